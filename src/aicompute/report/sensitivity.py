"""What an answer depends on: a table, records, and the tornado."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from aicompute.errors import AicomputeError
from aicompute.estimate.result import METRICS, Metric, Ratio, ratio
from aicompute.report.front import STYLE, check_target
from aicompute.report.numbers import chance_text, display_of, scale_of
from aicompute.report.printed import Printed
from aicompute.report.records import SCHEMA, clean
from aicompute.report.sheet import Prose, Sheet, Table
from aicompute.report.svg import NAMESPACE, element, label, shortened
from aicompute.report.text import Cell, comma_separated
from aicompute.search.sensitivity import Sensitivities, Sensitivity
from aicompute.units import format_si, plain, si_unit

SHOWN = 15
"""Values of a printed table and of a tornado."""


@dataclass(frozen=True, repr=False)
class SensitivityView(Printed):
    """Sensitivities; `answer` is the record behind it."""

    answer: Sensitivities
    top: int = SHOWN
    samples: int = 400
    """Draws behind the intervals."""

    @cached_property
    def _drawn(self) -> tuple[dict[str, Metric], ...]:
        return self.answer.draw(self.samples) if self.samples else ()

    def interval(self, metric: str | None = None) -> Ratio | None:
        """A metric (the first) between the bounds of nine draws in ten, of two systems their ratio and the chance that the first is better.

        None where there are no draws, or no ratio.
        """
        name = metric or self.metric
        found = [own[name] for own in self._drawn if name in own]
        if len(found) == 2:
            return ratio(found[0], found[1], METRICS[name][2])
        return Ratio(found[0].value, found[0].low, found[0].high, math.nan) if len(found) == 1 and len(self._drawn) == 1 else None

    @property
    def metric(self) -> str:
        """The metric that is shown: the first asked for, else cost."""
        return next(iter(self.answer.metrics))

    def by(self, metric: str, *, ranges: bool = False) -> list[Sensitivity]:
        """Largest first: by elasticity, or by what the ranges make of the metric."""
        return self.answer.by(metric, ranges=ranges)

    def __len__(self) -> int:
        """Spec values."""
        return len(self.answer.found)

    def __iter__(self) -> Iterator[Sensitivity]:
        """Every spec value that was read."""
        return iter(self.answer.found)

    def to_dict(self) -> dict[str, Any]:
        """Every value with all its sensitivities, as JSON has it."""
        a = self.answer
        names = {name: display_of(name).key for name in a.metrics}
        found = [
            {
                "address": one.address, "value": one.value.value, "low": one.value.low, "high": one.value.high,
                "unit": si_unit(one.value.unit) or "1",
                "kind": one.value.kind, "source": one.value.source,
                **{part: {names[n]: v for n, v in getattr(one, part).items()} for part in ("elasticity", "at_low", "at_high")},
                **{part: {names[n]: v for n, v in getattr(one, part).items()} for part in ("halved", "doubled") if getattr(one, part)},
            }
            for one in a.by(self.metric)
        ]  # fmt: skip
        record = {
            "schema": SCHEMA, "systems": list(a.systems), "scenario": dict(a.scenario),
            "units": {names[name]: display_of(name).unit if len(a.systems) == 1 else "1" for name in a.metrics},
            "metrics": {names[name]: value / display_of(name).size if len(a.systems) == 1 else value for name, value in a.metrics.items()},
            "samples": self.samples, "intervals": self._intervals(names), "sensitivities": found,
        }  # fmt: skip
        cleaned: dict[str, Any] = clean(record)
        return cleaned

    def _intervals(self, names: Mapping[str, str]) -> dict[str, dict[str, float]]:
        """Bounds of every metric in the unit beside it, of two systems with the probability that the first is better."""
        found = {}
        for name, key in names.items():
            between, size = self.interval(name), display_of(name).size if len(self.answer.systems) == 1 else 1.0
            if between is not None:
                found[key] = {"low": between.low / size, "high": between.high / size}
                found[key] |= {"probability": between.probability} if len(self.answer.systems) == 2 and METRICS[name][2] else {}
        return found

    def plot(self, path: str | Path) -> Path:
        """Draw the tornado, ``.svg``: what the range of each value makes of the metric."""
        target = Path(path)
        check_target(target)
        try:
            target.write_text(tornado(self.answer, self.metric, self.top), encoding="utf-8")
        except OSError as error:
            raise AicomputeError(f"{target}: cannot be written: {error.strerror}") from None
        return target

    def _csv(self) -> str:
        """A row a value and metric."""
        a = self.answer
        parts = ("elasticity", "at_low", "at_high", "halved", "doubled")
        rows: list[list[Cell]] = [
            [one.address, display_of(n).key, v.value, v.low, v.high, si_unit(v.unit) or "1", *(getattr(one, part).get(n) for part in parts)]
            for n in a.metrics
            for one in a.by(n)
            for v in (one.value,)
        ]
        return comma_separated(["address", "metric", "value", "low", "high", "unit", *parts], rows)

    def _sheet(self, notes: bool = True) -> Sheet:
        a, metric = self.answer, self.metric
        largest = [one for one in a.by(metric) if abs(one.elasticity[metric]) >= 5e-4][: self.top]
        rows: list[list[Cell]] = []
        for one in largest:
            ends = [_percent(part[metric]) for part in (one.at_low, one.at_high)]
            rows.append([one.name, _value(one), f"{one.elasticity[metric]:+.2f}", *ends])
        blocks: list[Table | Prose] = [Table(["value", "is", "elast.", "at low", "at high"], rows, _heading(a, metric, self.interval()))]
        counted = [one for one in a.found if max(map(abs, (*_of(one.halved, metric), *_of(one.doubled, metric), 0.0))) >= 5e-4]
        if counted:
            cells: list[list[Cell]] = []
            for one in counted:
                changes = _change(one.halved, metric, one.value.value >= 2.0), _change(one.doubled, metric)
                cells.append([one.name, _value(one), *changes])
            blocks.append(Table(["counted", "is", "halved", "doubled"], cells, "Whole numbers halved and doubled, the plan chosen again"))
        rest = sum(abs(one.elasticity[metric]) >= 5e-4 for one in a.found) - len(largest)
        said = f"{len(a.found)} spec values are read" + (f"; {rest} more matter less than these" if rest > 0 else "")
        note = "Elasticity: percent of the metric for a percent of the value, at the plan chosen. Low and high: ends of the value's range."
        blocks.append(Prose([("", f"{note} {said}.")]))
        chance = self._chance()
        blocks += [Prose([("", chance)])] if chance else []
        scenario = {name: " and ".join(map(str, value)) if isinstance(value, list) else value for name, value in a.scenario.items()}
        terms = f"Terms: {scenario['model']}, {scenario['workload']}; stack {scenario['stack']}, site {scenario['site']}."
        return Sheet(f"What {display_of(metric).label} depends on: {' over '.join(a.systems)}", terms, blocks)

    def _chance(self) -> str:
        """How sure it is that the first system is better."""
        between = self.interval() if len(self.answer.systems) == 2 else None
        if between is None or math.isnan(between.probability):
            return ""
        first, second = self.answer.systems
        sure = chance_text(between.probability)
        draws = f"{self.samples:,} draws of all values, what both read drawn once for both"
        return f"{first} beats {second} in {display_of(self.metric).label} with a probability of {sure} ({draws})."


def _heading(a: Sensitivities, metric: str, between: Ratio | None) -> str:
    size, unit = (1.0, "") if len(a.systems) == 2 else scale_of(display_of(metric).scales, [a.metrics[metric]])
    ends = f" ({plain(between.low / size)}-{plain(between.high / size)})" if between is not None and between.low < between.high else ""
    said = f"{plain(a.metrics[metric] / size)}{ends} {unit}".rstrip()
    if len(a.systems) == 2:
        return f"{display_of(metric).label} of {a.systems[0]} over that of {a.systems[1]}: {said}"
    return f"{display_of(metric).label}: {said}"


def _value(one: Sensitivity) -> str:
    unit = one.value.unit
    if unit == "USD" and one.value.value >= 1e5:
        return f"{plain(one.value.value / 1e6)} M$"
    return format_si(one.value.value, unit).replace(" device/accelerator", "").replace(" device", "")


def _percent(share: float) -> str:
    return f"{100.0 * share:+.1f} %" if abs(share) >= 5e-4 else "-"


def _of(part: Any, metric: str) -> list[float]:
    return [part[metric]] if metric in part else []


def _change(part: Any, metric: str, there: bool = True) -> str:
    """What a finite change does; a single one cannot be halved."""
    return _percent(part[metric]) if metric in part else "no plan" if there else "-"


_WIDTH, _ROW, _LABEL, _TOP = 720.0, 26.0, 300.0, 76.0
_COLOURS = {"low": "#2171b5", "high": "#d94801"}


def tornado(a: Sensitivities, metric: str, top: int = SHOWN) -> str:
    """What the range of each value makes of a metric, largest first, as SVG; bars to the low end and to the high end have their own colour.

    Examples
    --------
    >>> from aicompute import sensitivity
    >>> found = sensitivity("gb200-nvl72", workload="decode", metrics="cost_per_token", finite=False)
    >>> tornado(found.answer, "cost_per_token").startswith("<svg")
    True
    """
    bars = [one for one in a.by(metric, ranges=True) if max(abs(one.at_low[metric]), abs(one.at_high[metric])) >= 5e-4][:top]
    most = max((abs(x) for one in bars for x in (one.at_low[metric], one.at_high[metric])), default=1.0)
    middle = _LABEL + (_WIDTH - _LABEL) / 2.0
    half = (_WIDTH - _LABEL) / 2.0 - 62.0
    height = _TOP + _ROW * len(bars) + 24.0
    title = f"What {display_of(metric).label} depends on: {' over '.join(a.systems)}"
    parts = [
        element("title", label(title)),
        element("desc", label("; ".join(f"{one.name}: {_percent(one.at_low[metric])} to {_percent(one.at_high[metric])}" for one in bars))),
        element("style", STYLE),
        element("rect", class_="paper", width=_WIDTH, height=height),
        _words(title, 16.0, 24.0, 14.0, "bold"),
        _words("Change of the metric at the low end of each value's range (blue) and at the high end (orange)", 16.0, 44.0, 11.0, "soft"),
        element("line", class_="frame", x1=middle, x2=middle, y1=_TOP - 8.0, y2=height - 20.0),
    ]
    for row, one in enumerate(bars):
        y = _TOP + _ROW * row
        parts.append(_words(shortened(one.name, 11.5, _LABEL - 24.0), _LABEL - 10.0, y + 13.0, 11.5, "", "end"))
        ends = {"low": one.at_low[metric], "high": one.at_high[metric]}
        same = ends["low"] * ends["high"] > 0.0
        for k, (end, share) in enumerate(ends.items()):
            long = abs(share) / most * half
            thick = 8.0 if same else 16.0
            top_of = y + (k * 8.0 if same else 0.0)
            left = middle if share > 0.0 else middle - long
            parts.append(element("rect", x=left, y=top_of, width=long, height=thick, fill=_COLOURS[end]))
        for sign, anchor in ((1.0, "start"), (-1.0, "end")):
            there = [share for share in ends.values() if share * sign > 5e-4]
            if there:
                far = max(there, key=abs)
                place = middle + sign * (abs(far) / most * half + 5.0)
                parts.append(_words(f"{100.0 * far:+.1f} %", place, y + 13.0, 10.5, "soft", anchor))
    return element("svg", *parts, xmlns=NAMESPACE, viewBox=f"0 0 {_WIDTH:g} {height:g}", width=_WIDTH, height=height, role="img")


def _words(text: str, x: float, y: float, size: float, class_: str = "", anchor: str = "start") -> str:
    return element("text", label(text), x=x, y=y, font_size=size, class_=class_, text_anchor=anchor)
