"""Fleets as tables and records: what does, what it takes, what it would need otherwise."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from aicompute.decide.fleet import Pair, Sizing, few
from aicompute.decide.needs import Limits, Service
from aicompute.decide.size import Option
from aicompute.errors import UnknownNameError
from aicompute.estimate.result import Metric
from aicompute.report.numbers import scale_of, spread, value_text
from aicompute.report.printed import Printed
from aicompute.report.records import SCHEMA, clean
from aicompute.report.sheet import Prose, Sheet, Table
from aicompute.report.text import Cell, comma_separated
from aicompute.units import plain

SHOWN = 12
"""Options of a printed table."""
YEAR = 3.1536e7
_SIGNS = {"cheapest": "$", "fastest": ">", "greenest": "g", "least abroad": "h"}
_USES = {"serve": "Serving", "train": "Training"}


@dataclass(frozen=True, repr=False)
class SizeView(Printed):
    """A sizing; `answer` is the record behind it, in SI units; None where the fastest under a ceiling were asked for."""

    answer: Sizing | None
    fastest: tuple[Option, ...]
    service: Service | None
    limits: Limits
    top: int = SHOWN

    @property
    def options(self) -> tuple[Option, ...]:
        """Fleets that do, by use and cost; under a ceiling the fastest first."""
        return self.answer.options if self.answer is not None else self.fastest

    def __len__(self) -> int:
        """Fleets that do."""
        return len(self.options)

    def __iter__(self) -> Iterator[Option]:
        """Fleets that do."""
        return iter(self.options)

    def mark(self, name: str, use: str = "serve") -> Option:
        """The cheapest, fastest, greenest or least abroad.

        Raises
        ------
        UnknownNameError
            No such mark; the nearest are named.
        """
        found = {} if self.answer is None else self.answer.marks.get(use, {})
        if name not in found:
            raise UnknownNameError("mark", name, found)
        return found[name]

    def to_dict(self) -> dict[str, Any]:
        """All options, marks, pairs and refusals, as JSON has them."""
        a = self.answer
        record: dict[str, Any] = {"schema": SCHEMA, "options": [_record(option) for option in self.options]}
        if a is not None:
            places = {id(option): place for place, option in enumerate(a.options)}
            record["marks"] = {use: {name: places.get(id(o)) for name, o in each.items()} for use, each in a.marks.items()}
            record["pairs"] = [_pair_record(pair) for pair in a.pairs]
            record["single"] = None if a.single is None else _pair_record(a.single)
            record["failing"] = [{**_record(o), "reason": o.reason, "over": dict(o.over)} for o in a.failing]
            record["refused"] = [{"use": r.use, "system": r.system, "reason": r.reason} for r in a.refused]
        cleaned: dict[str, Any] = clean(record)
        return cleaned

    def _csv(self) -> str:
        """A row an option."""
        rows = [list(_flat(option).values()) for option in self.options]
        return comma_separated(list(_flat(self.options[0])) if self.options else [], rows)

    def _sheet(self, notes: bool = True) -> Sheet:
        blocks: list[Table | Prose] = []
        if self.answer is None:
            blocks.append(_table(self.options[: self.top], {}, "The fastest that the ceiling buys, each system at its cheapest site"))
            return Sheet(_title(self), _terms(self), [*blocks, Prose(_notes([]))])
        for use in ("train", "serve"):
            found = self.answer.of(use)
            if not found:
                continue
            marks = self.answer.marks[use]
            shown = list(found[: self.top])
            heading = f"{_USES[use]}: {len(found)} of {_count(self.answer, use)} fleets do; cheapest first"
            blocks.append(_table(_once([*shown, *marks.values()]), marks, heading))
        if self.answer.pairs:
            blocks.append(_pairs_table(self.answer))
        blocks.append(Prose(_notes(_refusals(self.answer) if notes else [])))
        return Sheet(_title(self), _terms(self), blocks)


def _once(options: Sequence[Option]) -> list[Option]:
    found: list[Option] = []
    for option in options:
        if not any(option is other for other in found):
            found.append(option)
    return found


def _count(a: Sizing, use: str) -> int:
    return sum(option.use == use for option in (*a.options, *a.failing)) + sum(r.use == use for r in a.refused)


def _title(view: SizeView) -> str:
    a = view.answer
    parts = []
    if a is not None and a.training is not None:
        t = a.training
        time = "" if t.within is None else f" within {_time(t.within)}"
        parts.append(f"train {t.model} on {plain((t.workload.tokens or 0.0) / 1e12)} T tokens{time}")
    if view.service is not None:
        s = view.service
        rate = "as many tokens as the limits allow" if s.rate is None else f"{plain(s.rate)} output tokens/s"
        parts.append(f"serve {rate} of {s.model}")
    return f"A fleet to {' and '.join(parts)}"


def _terms(view: SizeView) -> str:
    s, said = view.service, []
    if s is not None:
        w = s.workload
        speed = "" if view.answer is None else f", TPOT <= {(w.tpot or 0.0) * 1e3:g} ms"
        said.append(f"{w.input_length:,.0f} tokens in, {w.output_length:,.0f} out, TTFT <= {w.ttft or 0.0:g} s{speed}")
        said.append(f"peak {s.peak_factor:.3g} times the mean")
    limits = view.limits
    if limits.budget is not None:
        said.append(f"budget {plain(limits.budget / 1e6)} M USD")
    if limits.yearly is not None:
        said.append(f"{plain(limits.yearly * YEAR / 1e6)} M USD a year")
    if limits.power is not None:
        said.append(f"{plain(limits.power / 1e6)} MW at the meter")
    if limits.ceiling is not None:
        said.append(f"at most {plain(limits.ceiling * 1e6)} USD a million output tokens")
    return f"Terms: {'; '.join(said)}." if said else ""


def _table(options: Sequence[Option], marks: Any, heading: str) -> Table:
    """A row an option."""
    train = bool(options) and options[0].use == "train"
    binds = list(dict.fromkeys(o.binds for o in options))
    headers = ["", "system", "site", "units", "MW", "M$", "M$/run" if train else "$/M", "90 %", "gCO2/M", "days" if train else "t/s/u"]
    rows: list[Sequence[Cell]] = []
    for o in options:
        signs = "".join(sign for name, sign in _SIGNS.items() if marks.get(name) is o)
        size = o.time / 1e6 if train else 1e6
        value, _, interval = _interval(o.cost_rate if train else o.per_token, size).partition(" ")
        numbers = [f"{o.units:,.0f}", _text(o.power, 1e-6), _text(o.capital, 1e-6), value, interval.strip("()")]
        numbers += [f"{o.carbon_per_token * 1e9:,.0f}", plain(o.time / 86400.0 if train else o.per_user)]
        rows.append([signs, o.system, o.site, *numbers])
    if not marks:
        headers, rows = headers[1:], [row[1:] for row in rows]
    return Table(headers, rows, f"{heading}. What sets the size: {', '.join(binds)}")


def _pairs_table(a: Sizing) -> Table:
    """Train here, serve there."""
    pairs = list(a.pairs[:5])
    rows: list[Sequence[Cell]] = [[p.train.site, p.train.system, p.serve.system, _millions(p.yearly)] for p in pairs]
    heading = "Both, the cheapest pair of each site; M$ a year: one run, and serving all year"
    if a.single is not None:
        p = a.single
        rows.append([p.train.site, p.train.system, "the same", _millions(p.yearly)])
        gain = p.yearly / a.pairs[0].yearly - 1.0
        heading += f". One system for both costs {100.0 * gain:.1f} % more" if gain > 5e-4 else ". One system for both is the cheapest"
    return Table(["site", "trains", "serves", "M$/year"], rows, heading)


def _millions(usd: float) -> str:
    return plain(usd / 1e6)


def _interval(metric: Metric, size: float) -> str:
    return spread(metric.value * size, metric.low * size, metric.high * size)


def _text(metric: Metric, size: float) -> str:
    return value_text(metric.value * size, metric.low * size, metric.high * size)


def _users(number: float) -> str:
    size, unit = scale_of(((1e6, "M"), (1e3, "k"), (1.0, "")), [number])
    return f"{plain(number / size)}{unit}"


def _time(seconds: float) -> str:
    return f"{plain(seconds / 86400.0)} days" if seconds >= 2 * 86400.0 else f"{plain(seconds / 3600.0)} h"


def _refusals(a: Sizing) -> list[str]:
    """Why the other systems are not there, the same reasons together."""
    found: dict[str, list[str]] = {}
    for no in a.refused:
        names = found.setdefault(no.reason.partition(";")[0], [])
        names += [no.system] if no.system not in names else []
    said = [f"- {reason}: {few(names, 4)}" for reason, names in found.items()]
    over: dict[str, int] = {}
    for option in a.failing:
        over["; ".join(option.over)] = over.get("; ".join(option.over), 0) + 1
    return said + [f"- {count} fleets break a limit: {name}" for name, count in over.items()]


def _notes(more: Sequence[str]) -> list[tuple[str, str]]:
    """What the columns mean, and what is left out."""
    said = [
        "$ cheapest, > fastest, g greenest, h least made abroad (design, logic and memory of the chip, a third each). "
        "t/s/u: output tokens/s of a user; g CO2 of operation and dollars are for a million output tokens.",
        "MW: at the meter, all at work. M$: equipment with import tax, spare units, and the building. Costs: owning and running it.",
    ]
    return [("", line) for line in (*said, *more)]


def _record(o: Option) -> dict[str, Any]:
    """An option as JSON has it."""
    metrics = {
        "tokens_per_s": _metric(o.rate, 1.0, "token/s"),
        "power": _metric(o.power, 1.0, "W"),
        "capex": _metric(o.capital, 1.0, "USD"),
        "cost_per_hour": _metric(o.cost_rate, 3600.0, "USD/h"),
        "cost_per_year": _metric(o.cost_rate, YEAR, "USD/year"),
        "cost_per_million_tokens": _metric(o.per_token, 1e6, "USD/Mtoken"),
        "carbon_per_million_tokens": {"value": o.carbon_per_token * 1e6, "unit": "kg/Mtoken"},
    }
    return {
        "use": o.use, "system": o.system, "accelerator": o.accelerator, "site": o.site, "units": o.units, "spare_units": o.spare_units,
        "accelerators": o.accelerators, "plan": dict(o.plan), "metrics": metrics, "utilisation": o.utilisation, "time": _none(o.time),
        "run_cost": _none(o.run_cost), "users": _none(o.users), "tokens_per_s_per_user": _none(o.per_user), "abroad": o.abroad,
        "binds": o.binds,
    }  # fmt: skip


def _none(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _metric(metric: Metric, size: float, unit: str) -> dict[str, Any]:
    return {"value": metric.value * size, "low": metric.low * size, "high": metric.high * size, "unit": unit}


def _pair_record(pair: Pair) -> dict[str, Any]:
    return {
        "site": pair.train.site, "train": pair.train.system, "serve": pair.serve.system, "cost_per_year": pair.yearly, "mixed": pair.mixed,
    }  # fmt: skip


def _flat(o: Option) -> dict[str, Cell]:
    """An option as a row."""
    record = _record(o)
    plain_fields = {k: v for k, v in record.items() if not isinstance(v, dict)}
    metrics: dict[str, Any] = record["metrics"]
    return {**plain_fields, **{f"{name} [{m['unit']}]": m["value"] for name, m in metrics.items()}}
