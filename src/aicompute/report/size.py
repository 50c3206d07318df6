"""Fleets as tables and records: what does, what it takes, what it would need otherwise."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from aicompute.decide.currency import USD, Exchange
from aicompute.decide.fleet import Pair, Sizing
from aicompute.decide.needs import Limits, Service
from aicompute.decide.relax import few
from aicompute.decide.size import Option
from aicompute.economics.capital import YEAR
from aicompute.errors import UnknownNameError
from aicompute.estimate.result import Metric
from aicompute.report.printed import Printed
from aicompute.report.records import SCHEMA, clean
from aicompute.report.sheet import Prose, Sheet, Table
from aicompute.report.size_tables import MONTH, Money, blocks_of, fastest_blocks, pairs_table, time_text, verdict
from aicompute.report.text import Cell, comma_separated
from aicompute.units import plain

SHOWN = 12
"""Options of a printed table."""


@dataclass(frozen=True, repr=False)
class SizeView(Printed):
    """A sizing; `answer` is the record behind it, in SI units; None where the fastest under a ceiling were asked for."""

    answer: Sizing | None
    fastest: tuple[Option, ...]
    service: Service | None
    limits: Limits
    top: int = SHOWN
    exchange: Exchange = USD
    """Of the tables; records are in USD."""
    date: str = ""
    """On which export control was judged."""

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
        record: dict[str, Any] = {"schema": SCHEMA, "rules_date": self.date or None}
        record["options"] = [_record(option) for option in self.options]
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
        a, money = self.answer, Money(self.exchange)
        blocks: list[Table | Prose] = [Prose(verdict(a, self.fastest, money))]
        if a is None:
            blocks += fastest_blocks(self.options[: self.top], money)
        else:
            blocks += [block for use in ("train", "serve") for block in blocks_of(a, use, money, self.top)]
            blocks += [pairs_table(a, money)] if a.pairs else []
        blocks.append(Prose(_notes(self, money, _refusals(a) if notes and a is not None else [])))
        return Sheet(_title(self), _terms(self), blocks)


def _title(view: SizeView) -> str:
    a = view.answer
    parts = []
    if a is not None and a.training is not None:
        t = a.training
        time = "" if t.within is None else f" within {time_text(t.within)}"
        parts.append(f"train {t.model} on {plain((t.workload.tokens or 0.0) / 1e12)} T tokens{time}")
    if view.service is not None:
        s = view.service
        rate = "as many tokens as the limits allow" if s.rate is None else f"{plain(s.rate)} output tokens/s"
        parts.append(f"serve {rate} of {s.model}" if a is not None else f"serve {s.model} as fast as a ceiling on its cost allows")
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
    return said + [f"- {count} fleet{'s break' if count > 1 else ' breaks'} a limit: {name}" for name, count in over.items()]


def _notes(view: SizeView, money: Money, more: Sequence[str]) -> list[tuple[str, str]]:
    """What the columns mean, and what is left out."""
    uses = {option.use for option in view.options}
    said = []
    if view.answer is not None:
        said.append("After a system: $ cheapest, > fastest, g greenest, h least made abroad (design, logic and memory, a third each).")
    said.append(
        f"MW: at the meter, all at work. {money.short}: {money.words} of capital (equipment with import tax, spares, the building). "
        "Other costs: owning and running."
    )
    if "train" in uses:
        said.append("A run is charged for the time that it takes; the rest of the fleet's life must find other work.")
    if "serve" in uses:
        said.append(f"{money.sign}/M and g/M: for a million output tokens, their input included; idle hours are paid too.")
    if any(option.licence for option in view.options):
        said.append(
            f"! needs an export licence for this site by the United States rules in the specs on {view.date} (aicompute rules). No legal "
            "advice: customers, exceptions and the reach to chips designed elsewhere are not judged."
        )
    if view.exchange.source:
        e = view.exchange
        said.append(f"{e.code} at {e.rate:,.6g} to the dollar ({e.source}, {e.date}).")
    return [("", line) for line in (*said, *more)]


def _record(o: Option) -> dict[str, Any]:
    """An option as JSON has it."""
    metrics = {
        "tokens_per_s": _metric(o.rate, 1.0, "token/s"),
        "power": _metric(o.power, 1.0, "W"),
        "capex": _metric(o.capital, 1.0, "USD"),
        "cost_per_hour": _metric(o.cost_rate, 3600.0, "USD/h"),
        "cost_per_month": _metric(o.cost_rate, MONTH, "USD/month"),
        "cost_per_year": _metric(o.cost_rate, YEAR, "USD/year"),
        "cost_per_million_tokens": _metric(o.per_token, 1e6, "USD/Mtoken"),
        "carbon_per_million_tokens": {"value": o.carbon_per_token * 1e6, "unit": "kg/Mtoken"},
    }
    return {
        "use": o.use, "system": o.system, "accelerator": o.accelerator, "site": o.site, "units": o.units, "spare": o.spare,
        "accelerators": o.accelerators, "plan": dict(o.plan), "metrics": metrics, "utilisation": o.utilisation, "time": _none(o.time),
        "run_cost": _none(o.run_cost), "users": _none(o.users), "tokens_per_s_per_user": _none(o.per_user), "abroad": o.abroad,
        "binds": o.binds, "licence": o.licence or None,
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
