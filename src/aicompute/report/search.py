"""The answer of a search: tables, records, and the picture of a front."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aicompute.errors import UsageError
from aicompute.estimate.result import METRICS
from aicompute.report.front import check_target, drawing
from aicompute.report.numbers import better_of, display_of, scale_of
from aicompute.report.printed import Printed
from aicompute.report.records import SCHEMA, clean
from aicompute.report.sheet import Prose, Sheet, Table
from aicompute.report.text import WIDTH, Cell, comma_separated
from aicompute.search.conditions import metric_named
from aicompute.search.plans import Answer, FoundPlan
from aicompute.units import plain

Floats = NDArray[np.float64]

_SHORT = {
    "micro_batch": "mb", "chunks": "vpp", "recompute": "recomp", "sequence_parallel": "sp", "overlap_tensor": "ovl-t",
    "overlap_data": "ovl-d", "overlap_experts": "ovl-e", "engine_accelerators": "engine", "batch_per_accelerator": "batch",
    "prefill_engine_accelerators": "p-engine", "prefill_batch_per_accelerator": "p-batch", "prefill_engines": "p-count",
    "decode_engines": "count", "prefill_tp": "p-tp",
    "prefill_dp": "p-dp", "prefill_pp": "p-pp", "prefill_ep": "p-ep", "prefill_chunk": "p-chunk",
}  # fmt: skip
_APART = ("tp", "dp", "pp", "cp", "ep", "micro_batch", "batch_per_accelerator")
"""Columns of their own where there is no room for all."""
_WORDS = {"selective": "select", "one, mixed": "one", "prefill and decode": "two"}
_TITLES = {
    "tokens_per_s_per_accelerator": "tok/s/acc", "tokens_per_s": "tok/s", "tokens_per_s_per_user": "tok/s/user", "step_time": "step",
    "memory_share": "memory", "exposed_share": "exposed", "communication_share": "comm.", "energy_per_token": "energy",
    "input_tokens_per_s_per_accelerator": "in tok/s/acc", "accelerator_power": "acc. power", "run_cost": "run cost",
}  # fmt: skip
_ALSO = {"training": ("step_time", "mfu", "memory_share"), "prefill": ("ttft", "memory_share"), "decode": ("tpot", "memory_share"),
         "serving": ("ttft", "tpot", "memory_share")}  # fmt: skip
_REASONS = {
    "layout": "layout: devices, heads, layers, experts or batch do not allow it",
    "stack": "stack: the software cannot run it",
    "same": "same: a switch or split that changes nothing there",
    "memory": "memory: more than a device has",
}


@dataclass(frozen=True, repr=False)
class SearchView(Printed):
    """Best plans, counts, and the front of a search; `answer` is the record behind it, in SI units."""

    answer: Answer
    samples: int = 400
    """Draws behind the intervals."""

    @cached_property
    def _drawn(self) -> tuple[dict[str, Floats], dict[str, Floats]]:
        return self.answer.draw(self.samples) if self.samples else ({}, {})

    def draws(self, metric: str | None = None) -> Floats:
        """Draws of a metric (the objective) of the best plans in SI units, shape (plans, samples); the same specs for all plans.

        Raises
        ------
        UnknownNameError
            The plans have no such metric, or there are no draws.
        """
        name = metric_named(metric, list(self._drawn[0]))[0] if metric is not None else self.answer.objective
        if name not in self._drawn[0]:
            raise UsageError("there are no draws: samples = 0")
        return self._drawn[0][name]

    def probability(self, one: int = 0, other: int = 1, metric: str | None = None) -> float:
        """Share of the draws in which one plan is better than another, half of the ties; plans by rank, from 0."""
        draws = self.draws(metric)
        name = metric_named(metric, list(self._drawn[0]))[0] if metric is not None else self.answer.objective
        ahead = np.sign(draws[one] - draws[other]) * (1.0 if better_of(name) == "more" else -1.0)
        return float(0.5 + 0.5 * ahead.mean())

    @property
    def plans(self) -> tuple[FoundPlan, ...]:
        """The best plans, best first."""
        return self.answer.plans

    @property
    def front(self) -> tuple[FoundPlan, ...]:
        """Plans that no other beats in all metrics of the front."""
        return self.answer.front

    @property
    def feasible(self) -> int:
        """Plans that fit and meet all conditions."""
        return self.answer.feasible

    def __len__(self) -> int:
        """Plans kept."""
        return len(self.answer.plans)

    def __getitem__(self, place: int) -> FoundPlan:
        """A plan by its rank, from 0."""
        return self.answer.plans[place]

    def __iter__(self) -> Iterator[FoundPlan]:
        """The best plans, best first."""
        return iter(self.answer.plans)

    def to_dict(self) -> dict[str, Any]:
        """The answer by ``search.schema.json``; the same as ``--format json``."""
        a = self.answer
        found: dict[str, Any] = clean(
            {
                "schema": SCHEMA,
                "scenario": dict(a.scenario),
                "objective": display_of(a.objective).key,
                "enumerated": a.enumerated,
                "valid": a.valid,
                "feasible": a.feasible,
                "evaluated": a.judged,
                "evaluated_per_s": a.evaluated_per_s,
                "seconds": a.seconds,
                "complete": a.complete,
                "excluded": dict(a.excluded),
                "within": {f"{100.0 * share:g} %": count for share, count in a.within.items()},
                "samples": self.samples,
                "plans": _records(a.plans, self._drawn[0]),
                "probability_best": self._wins(),
                "pareto": {"metrics": [display_of(name).key for name in a.pareto], "plans": _records(a.front, self._drawn[1])},
                "notes": list(a.notes),
            }
        )
        return found

    def _wins(self) -> list[float]:
        """Share of the draws in which each of the best plans is the best of them."""
        if not self.samples or not self.plans:
            return []
        draws = self.draws()
        first = draws.argmax(axis=0) if better_of(self.answer.objective) == "more" else draws.argmin(axis=0)
        return [float(share) for share in np.bincount(first, minlength=len(draws)) / draws.shape[1]]

    def plot(self, path: str | Path) -> Path:
        """Draw the front as a picture, ``.svg``."""
        target = Path(path)
        check_target(target)
        target.write_text(drawing(self.answer), encoding="utf-8")
        return target

    def _csv(self) -> str:
        """A row a plan, the front after the best plans."""
        a = self.answer
        lists = (("plans", a.plans), ("pareto", a.front))
        found = [(label, rank, one) for label, plans in lists for rank, one in enumerate(plans, 1)]
        keys = list(dict.fromkeys(key for _, _, one in found for key in one.plan))
        names = [name for name in METRICS if any(name in one.metrics for _, _, one in found)]
        headers = ["list", "rank", *keys, *(f"{display_of(name).key} [{display_of(name).unit}]" for name in names)]
        key, unit = display_of(a.objective).key, display_of(a.objective).unit
        headers += [f"{key} low [{unit}]", f"{key} high [{unit}]"] if self.samples else []
        rows: list[list[Cell]] = []
        for label, rank, one in found:
            numbers = [one.metrics[name] / display_of(name).size if name in one.metrics else None for name in names]
            drawn = self._drawn[0 if label == "plans" else 1]
            bounds = [end / display_of(a.objective).size for end in interval(one, a.objective, drawn, rank)] if self.samples else []
            rows.append([label, rank, *(one.plan.get(key) for key in keys), *numbers, *bounds])
        return comma_separated(headers, rows)

    def _sheet(self, notes: bool = True) -> Sheet:
        a = self.answer
        blocks: list[Table | Prose] = []
        if a.plans:
            heading = f"Best by {display_of(a.objective).label}, {_way(a.objective)} first"
            blocks += _plans_table(a.plans, [a.objective, *_also(a)], heading, drawn=self._drawn[0])
        if a.front:
            names = list(a.pareto)
            said = ", ".join(display_of(name).label for name in names)
            blocks += _plans_table(a.front, names, f"Front of {said}: no plan is better in all", len(names))
        counts = [["enumerated", f"{a.enumerated:,}"]]
        counts += [[f"- {_REASONS.get(reason, reason)}", f"{count:,}"] for reason, count in a.excluded.items()]
        counts += [["feasible", f"{a.feasible:,}"]]
        blocks.append(Table(["plans", "number"], counts))
        near = ", ".join(f"{count:,} within {100.0 * share:g} %" for share, count in a.within.items())
        speed = f"{a.valid:,} valid plans, {_rate(a.evaluated_per_s)} plans/s ({a.seconds:.2f} s)"
        lines = [("", speed)] + ([("near the best", near)] if near else [])
        if self.samples and len(a.plans) > 1:
            said = f"plan 1 beats plan 2 in {100.0 * self.probability():.0f} % of {self.samples:,} draws, the same for both"
            lines.append(("intervals (90 %)", said))
        lines += [("", f"- {note}") for note in a.notes] if notes else []
        blocks.append(Prose(lines))
        return Sheet(_title(a), _terms(a), blocks)


def _also(a: Answer) -> list[str]:
    """Metrics shown beside the objective."""
    return [name for name in _ALSO[a.scenario["workload"]["kind"]] if name != a.objective]


def _way(name: str) -> str:
    return "most" if better_of(name) == "more" else "least"


def _title(a: Answer) -> str:
    s = a.scenario
    return f"Plans for {s['model']} ({s['workload']['kind']}) on {s['accelerators']:,.0f} accelerators of {s['system']}"


def _terms(a: Answer) -> str:
    s = a.scenario
    work = s["workload"]
    if work["kind"] == "training":
        said = f"{work['sequence_length']:,.0f} tokens, {work['global_batch']:,.0f} sequences a step"
    else:
        said = f"{work['input_length']:,.0f} tokens in" + (f", {work['output_length']:,.0f} out" if "output_length" in work else "")
    where = f"; {', '.join(s['where'])}" if s["where"] else ""
    return f"Terms: {said}; stack {s['stack']}, site {s['site']}{where}."


def _rate(number: float) -> str:
    return f"{number / 1e6:.3g} million" if number >= 1e6 else f"{number:,.0f}"


def interval(found: FoundPlan, name: str, drawn: Mapping[str, Floats], rank: int) -> tuple[float, float]:
    """Between which bounds nine draws in ten of a metric are; the value itself where there are none."""
    value = found.metrics[name]
    draws = drawn[name][rank - 1] if name in drawn else np.array([value])
    if not np.isfinite(draws).all():
        return value, value
    low, high = (float(end) for end in np.quantile(draws, (0.05, 0.95)))
    return min(low, value), max(high, value)


def _records(plans: Sequence[FoundPlan], drawn: Mapping[str, Floats]) -> list[dict[str, Any]]:
    """Plans as JSON has them."""
    return [_record(rank, one, drawn) for rank, one in enumerate(plans, 1)]


def _record(rank: int, found: FoundPlan, drawn: Mapping[str, Floats]) -> dict[str, Any]:
    """A plan as JSON has it."""
    metrics = {}
    for name, value in found.metrics.items():
        display = display_of(name)
        ends = (value, *interval(found, name, drawn, rank))
        numbers = [float(f"{end / display.size:.12g}") for end in ends]
        metrics[display.key] = {**dict(zip(("value", "low", "high"), numbers, strict=True)), "unit": display.unit}
    return {"rank": rank, "plan": dict(found.plan), "metrics": metrics}


def _width(plans: Sequence[FoundPlan], keys: Sequence[str], names: Sequence[str]) -> int:
    """Columns of the terminal that a table takes, about."""
    widths = [len(str(len(plans)))]
    widths += [max(len(_SHORT.get(key, key)), *(len(_word(one.plan.get(key))) for one in plans)) for key in keys]
    widths += [max(len(_headed(name, "ms" if "[" not in name else "")), 7) for name in names]
    return sum(widths) + 2 * (len(widths) - 1)


def _plans_table(
    plans: Sequence[FoundPlan], names: Sequence[str], heading: str, least: int = 1, drawn: Mapping[str, Floats] | None = None
) -> list[Table | Prose]:
    """Columns of what differs between the plans; what all have in common in a line after; at least so many of the metrics."""
    main, drawn = names[0], drawn or {}
    bounds = 2 + max(map(len, _bounds(plans, main, drawn))) if main in drawn else 0
    keys = list(dict.fromkeys(key for one in plans for key in one.plan))
    same = {key for key in keys if len(plans) > 1 and len({str(one.plan.get(key)) for one in plans}) == 1}
    common = ", ".join(f"{_SHORT.get(key, key)} {_word(plans[0].plan[key])}" for key in keys if key in same)
    differing = [key for key in keys if key not in same]
    while len(names) > least and _width(plans, differing, names) + bounds > WIDTH:
        names = names[:-1]
    scales = {name: scale_of(display_of(name).scales, [one.metrics[name] for one in plans if name in one.metrics]) for name in names}
    apart = differing if _width(plans, differing, names) + bounds <= WIDTH else [key for key in differing if key in _APART]
    rest = [key for key in differing if key not in apart]
    headers = ["#", *(_SHORT.get(key, key) for key in apart), *(["further"] if rest else [])]
    headers += [_headed(name, scales[name][1]) for name in names]
    ends = _bounds(plans, main, drawn, scales[main][0]) if main in drawn else []
    if ends:
        headers.insert(len(headers) - len(names) + 1, "low-high")
    rows: list[Sequence[Cell]] = []
    for rank, one in enumerate(plans, 1):
        further = ", ".join(f"{_SHORT.get(key, key)} {_word(one.plan[key])}" for key in rest if key in one.plan)
        numbers = [_number(one.metrics, name, scales[name][0]) for name in names]
        numbers[1:1] = ends[rank - 1 : rank] if ends else []
        rows.append([str(rank), *(_word(one.plan.get(key)) for key in apart), *([further] if rest else []), *numbers])
    blocks: list[Table | Prose] = [Table(headers, rows, heading)]
    if common:
        blocks.append(Prose([("all have", common)]))
    return blocks


def _bounds(plans: Sequence[FoundPlan], name: str, drawn: Mapping[str, Floats], size: float | None = None) -> list[str]:
    """The interval of a metric of every plan, as text."""
    size = size or scale_of(display_of(name).scales, [one.metrics[name] for one in plans])[0]
    ends = (interval(one, name, drawn, rank) for rank, one in enumerate(plans, 1))
    return ["-".join(plain(end / size) for end in both) for both in ends]


def _headed(name: str, unit: str) -> str:
    title = _TITLES.get(name, display_of(name).label)
    return f"{title} [{unit}]" if unit else title


def _number(metrics: Mapping[str, float], name: str, size: float) -> str:
    return plain(metrics[name] / size) if name in metrics else "-"


def _word(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "on" if value else "off"
    return plain(value) if isinstance(value, float) else _WORDS.get(str(value), str(value))
