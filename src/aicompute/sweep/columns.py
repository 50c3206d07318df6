"""Columns of a sweep: the same in every file of it, whatever its rows are, so that a reader of the folder sees one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from aicompute.errors import UsageError
from aicompute.estimate.evaluate import TRAINING_METRICS
from aicompute.estimate.recorded import SERVING_PLAN, recorded
from aicompute.estimate.result import METRICS
from aicompute.sweep.cases import Case
from aicompute.sweep.design import Design, column_of
from aicompute.sweep.table import Column, Table, Words, length, words
from aicompute.units import si_unit


@dataclass(frozen=True)
class Heading:
    """What a column holds."""

    kind: str
    """number, words, condition or place."""
    unit: str = ""
    """SI unit of its numbers; empty for words and plain numbers."""
    shown: str = ""
    """Unit in which people read it, where that is another."""


def headings(design: Design, cases: Sequence[Case]) -> dict[str, Heading]:
    """Every column of a sweep in its order: words, axes, whether a row is feasible and why not, metrics, what was chosen, its number.

    Raises
    ------
    UsageError
        A metric that no scenario of the sweep has.
    """
    found = {name: Heading("words") for name in cases[0].words}
    for axis in (*cases[0].slow, *cases[0].fast):
        found |= {name: Heading("number", si_unit(unit), unit) for name, unit in zip(axis.names, axis.units, strict=True)}
    order = [column_of(name) for axis in design.axes for name in axis.names if column_of(name) in found]
    found = {name: found[name] for name in (*cases[0].words, *order)}
    found |= {"feasible": Heading("condition"), "reason": Heading("words")}
    known = _metrics(cases)
    absent = [name for name in (*design.metrics, design.objective) if name not in known]
    if absent:
        kinds = ", ".join(dict.fromkeys(case.work.kind for case in cases))
        raise UsageError(f"{', '.join(dict.fromkeys(absent))}: no such metric in a {kinds} scenario, which has {', '.join(known)}")
    wanted = known if not design.metrics else [name for name in known if name in (*design.metrics, design.objective)]
    found |= {name: Heading("number", "" if METRICS[name][0] == "1" else METRICS[name][0]) for name in wanted}
    tried = {name for case in cases if case.work.kind != "prefill" for each in case.tries for name in each}
    found |= {name: Heading("number") for name in ("drafts", "etp") if name in tried}
    if not all(case.flat for case in cases):
        found["plan"] = Heading("words")
    return found | {"row": Heading("place")}


def _metrics(cases: Sequence[Case]) -> list[str]:
    """Metrics that rows of some case may have, in the order of `METRICS`."""
    found: set[str] = set()
    for case in {case.work.kind: case for case in cases}.values():
        w = case.work
        if w.is_training:
            run = w.tokens is not None or any("tokens" in axis.targets for axis in (*case.slow, *case.fast))
            found |= {name for name in TRAINING_METRICS if run or not name.startswith("run_")}
        else:
            found |= set(recorded(replace(case.scene, memo={}), w, {}, dict.fromkeys(SERVING_PLAN, 1)))
            found |= {"prefill_share"} if w.kind == "serving" and not case.flat else set()
    return [name for name in METRICS if name in found]


def filled(table: Table, columns: Mapping[str, Heading]) -> Table:
    """A table with exactly some columns, in their order: numbers that it lacks are nan, words empty.

    Examples
    --------
    >>> found = filled({"a": np.array([1, 2])}, {"a": Heading("number"), "b": Heading("number"), "c": Heading("words")})
    >>> found["a"].tolist(), found["b"].tolist(), found["c"].tolist()
    ([1.0, 2.0], [nan, nan], ['', ''])
    """
    size = length(table)
    return {name: _column(table.get(name), heading.kind, size) for name, heading in columns.items()}


def _column(column: Column | None, kind: str, size: int) -> Column:
    if kind == "words":
        return words("", size) if column is None else column
    if column is None:
        return np.full(size, np.nan)
    if isinstance(column, Words):
        raise TypeError("words where numbers belong")
    return np.asarray(column, {"condition": bool, "place": np.int64}.get(kind, np.float64))
