"""What answers about money, rules and supply have in common: text, records, rows, what a notebook shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aicompute.estimate.result import Metric
from aicompute.report.frames import pandas_module
from aicompute.report.printed import Printed
from aicompute.report.sheet import Sheet
from aicompute.report.text import Cell, comma_separated


class Page(Printed):
    """An answer as people and programs read it; what it says is in its parts."""

    columns: Sequence[str] = ()
    """Of its rows."""

    def sheet(self, notes: bool = True) -> Sheet:
        """The answer as a page."""
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """The answer as ``--format json`` writes it, not yet text; a schema of each command ships."""
        raise NotImplementedError

    def rows(self) -> list[list[Cell]]:
        """The answer in long form, a row a number."""
        raise NotImplementedError

    @property
    def notes(self) -> Sequence[str]:
        """What a reader should know."""
        return ()

    def _sheet(self, notes: bool = True) -> Sheet:
        return self.sheet(notes)

    def _csv(self) -> str:
        return self.csv()

    def csv(self) -> str:
        """The answer as ``--format csv`` writes it."""
        return comma_separated(list(self.columns), self.rows())

    def to_pandas(self) -> Any:
        """A data frame of `rows`; needs the extra ``tables``."""
        return pandas_module().DataFrame(self.rows(), columns=list(self.columns))


def record_of(metric: Metric | None, unit: str, size: float = 1.0) -> dict[str, Any] | None:
    """A metric in a unit of some size in SI, as JSON has it.

    Examples
    --------
    >>> record_of(Metric(3600.0, 3600.0, 7200.0, "s"), "h", 3600.0)
    {'value': 1.0, 'low': 1.0, 'high': 2.0, 'unit': 'h'}
    """
    if metric is None:
        return None
    value, low, high = (float(f"{number / size:.12g}") for number in (metric.value, metric.low, metric.high))
    return {"value": value, "low": low, "high": high, "unit": unit}
