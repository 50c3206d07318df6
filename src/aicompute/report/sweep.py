"""The rows of a sweep: what was found, the best of it, and columns for further work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aicompute.errors import UnknownNameError
from aicompute.estimate.result import METRICS
from aicompute.report.frames import pandas_module
from aicompute.report.numbers import display_of, scale_of
from aicompute.report.printed import Printed
from aicompute.report.records import SCHEMA, clean
from aicompute.report.sheet import Prose, Sheet, Table
from aicompute.report.text import Cell, comma_separated
from aicompute.sweep.design import column_of
from aicompute.sweep.sweep import Swept
from aicompute.sweep.table import Words, length
from aicompute.units import plain, to_unit

SHOWN = 12
"""Rows of a printed table."""
WIDE = 4
"""Axes above which those that the rows shown have in common are said once."""
_SHORT = {"tokens_per_s_per_accelerator": "tok/s/acc", "cost_per_token": "cost"}


@dataclass(frozen=True, repr=False)
class SweepView(Printed):
    """A sweep; `answer` is the record behind it. Columns are in SI units."""

    answer: Swept

    def __len__(self) -> int:
        """Rows that are kept here."""
        return length(self.answer.table or {})

    def __getitem__(self, name: str) -> NDArray[Any]:
        """A column: numbers in SI units, conditions, or words as objects."""
        table = self.answer.table or {}
        if name not in table:
            raise UnknownNameError("column", name, table)
        column = table[name]
        return np.array(column.tolist(), dtype=object) if isinstance(column, Words) else column

    @property
    def columns(self) -> list[str]:
        """Names of the columns: axes, feasible, reason, metrics."""
        return list(self.answer.table or {})

    def to_pandas(self) -> Any:
        """A data frame; from the folder where rows are kept there. Needs the extra ``tables``."""
        pandas = pandas_module()
        if self.answer.table is None:
            return pandas.read_parquet(self.answer.folder)
        return pandas.DataFrame({name: self[name] for name in self.columns})

    def to_dict(self) -> dict[str, Any]:
        """Counts, where the rows are, and the best of them, as JSON has it."""
        a, p = self.answer, self.answer.progress
        best = self._best()
        rows = [{name: _plain(best[name], k) for name in best} for k in range(length(best))]
        found: dict[str, Any] = clean(
            {
                "schema": SCHEMA, "points": p.points, "done": p.done, "found": p.found, "feasible": p.feasible, "seconds": p.seconds,
                "complete": a.complete, "folder": None if a.folder is None else str(a.folder), "objective": a.design.objective,
                "units": {name: heading.unit or "1" for name, heading in a.columns.items() if heading.kind == "number"}, "best": rows,
            }
        )  # fmt: skip
        return found

    def _best(self) -> dict[str, Any]:
        """The best rows of those kept, best first."""
        return self.answer.best or {}

    def _csv(self) -> str:
        """All rows that are kept here; where they are in a folder, the best."""
        table = self.answer.table if self.answer.table is not None else self._best()
        units = {name: heading.unit for name, heading in self.answer.columns.items()}
        headers = [f"{name} [{units[name]}]" if units.get(name) else name for name in table]
        columns: list[Sequence[Cell]] = [column.tolist() for column in table.values()]
        return comma_separated(headers, [list(row) for row in zip(*columns, strict=True)])

    def _sheet(self, notes: bool = True) -> Sheet:
        a, p = self.answer, self.answer.progress
        blocks: list[Table | Prose] = []
        best = self._best()
        if length(best):
            blocks += _best_blocks(best, a)
        now = f", {p.found:,} found now" if p.found < p.points else ""
        said = [("", f"{p.points:,} points{now}, {p.feasible:,} feasible{' of these' if now and a.design.top is not None else ''}")]
        if p.seconds > 0.0 and p.found:
            said.append(("", f"{p.seconds:.2f} s, {_rate(p.found / p.seconds)} rows/s"))
        table = a.table
        if table is not None and a.design.top is None and isinstance(table["reason"], Words):
            counts = Counter(table["reason"].tolist())
            said += [("", f"- {reason}: {count:,}") for reason, count in counts.most_common() if reason][:6]
        if a.folder is not None:
            said.append(("", f"rows: Parquet in {a.folder}"))
        if not a.complete:
            said.append(("", f"interrupted: {p.done:,} of {p.points:,} rows are there; the same command goes on"))
        fixed = ", ".join(f"{name} {value}" for name, value in {**a.design.fixed, **a.design.plan}.items())
        names = ", ".join(" with ".join(axis.names) for axis in a.design.axes)
        return Sheet(f"Sweep over {names}", f"Fixed: {fixed}." if fixed else "", [*blocks, Prose(said)])


def _best_blocks(best: dict[str, Any], a: Swept) -> list[Table | Prose]:
    """The axes and the objective of the best rows; what all of them have stands below, where there are many axes."""
    names = [name for name in (column_of(n) for axis in a.design.axes for n in axis.names) if name in best]
    names = list(dict.fromkeys(names))
    metrics = [a.design.objective, *(name for name in ("tokens_per_s_per_accelerator", "cost_per_token") if name in best)]
    metrics = list(dict.fromkeys(metrics))
    units = {name: heading.shown if heading.shown != "1" else "" for name, heading in a.columns.items()}
    shown = range(min(length(best), SHOWN))
    cells = {name: [_level(best[name], k, units.get(name, "")) for k in shown] for name in names}
    labels = short_names(names)
    common = [name for name in names if len(set(cells[name])) == 1] if len(names) > WIDE else []
    names = [name for name in names if name not in common]
    headers = [label + (f" [{units[name]}]" if units.get(name) else "") for name, label in labels.items() if name not in common]
    scales = {name: scale_of(display_of(name).scales, [float(best[name][k]) for k in shown]) for name in metrics}
    for name, scale in scales.items():
        headers.append(_SHORT.get(name, display_of(name).label) + (f" [{scale[1]}]" if scale[1] else ""))
    rows: list[list[Cell]] = []
    for k in shown:
        numbers = [plain(float(best[name][k]) / scales[name][0]) for name in metrics]
        rows.append([*(cells[name][k] for name in names), *numbers])
    way = "most" if METRICS[a.design.objective][2] == "more" else "least"
    found: list[Table | Prose] = [Table(headers, rows, f"Best by {display_of(a.design.objective).label}, {way} first")]
    if common:
        said = ", ".join(f"{labels[name]} {cells[name][0]} {units.get(name, '')}".rstrip() for name in common)
        found.append(Prose([("", f"all have: {said}")]))
    return found


def short_names(names: Sequence[str]) -> dict[str, str]:
    """Names by the last of their parts, or by as many more as tell them apart.

    Examples
    --------
    >>> short_names(["batch", "accelerator.memory.bandwidth", "system.tiers.scale-up.bandwidth", "system.power.nics"]).values()
    dict_values(['batch', 'memory.bandwidth', 'scale-up.bandwidth', 'nics'])
    """
    found = {}
    for name in names:
        parts = name.split(".")
        tails = [".".join(parts[-k:]) for k in range(1, len(parts) + 1)]
        alone = [tail for tail in tails if not any(f".{other}".endswith(f".{tail}") for other in names if other != name)]
        found[name] = alone[0] if alone else name
    return found


def _level(column: Any, row: int, unit: str) -> str:
    """A level of an axis in the unit in which people read it."""
    value = _plain(column, row)
    return value if isinstance(value, str) else plain(to_unit(float(value), unit) if unit else float(value), 4)


def _plain(column: Any, row: int) -> Any:
    if isinstance(column, Words):
        return column.words[int(column.codes[row])]
    value = column[row].item()
    return value


def _rate(number: float) -> str:
    return f"{number / 1e6:.3g} million" if number >= 1e6 else f"{number:,.0f}"
