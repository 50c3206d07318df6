"""Answers over named axes: every argument that was an array became one."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aicompute.errors import UnknownNameError, UsageError
from aicompute.estimate.result import METRICS, Comparison, Estimate
from aicompute.report.comparison import known_metrics, labelled
from aicompute.report.frames import BOUNDS, Bound, attributes_of, bounds_of, metric_name, pandas_module, xarray_module
from aicompute.report.numbers import display_of, metric_text, scale_of
from aicompute.report.printed import Text
from aicompute.report.records import comparisons_record
from aicompute.report.sheet import Sheet, Table
from aicompute.report.text import WIDTH, Cell, columns_of, render, shown
from aicompute.report.views import EstimateView, View
from aicompute.specs import Library

SHOWN = ("tokens_per_s_per_accelerator", "tokens_per_s", "tpot", "ttft", "step_time", "energy_per_token", "cost_per_token")
"""Metrics in the table of a grid, as far as they fit."""


@dataclass(frozen=True, repr=False)
class Grid(View):
    """Answers over named axes: one for each combination of the values given.

    Parameters
    ----------
    coords : mapping of str to tuple   Values of each axis, in order; ``system`` first where several were named.
    cells : tuple of Comparison         Of one estimate for each combination, the last axis fastest.
    """

    coords: Mapping[str, tuple[Any, ...]]
    cells: tuple[Comparison, ...]
    library: Library | None = field(default=None, compare=False)

    @property
    def dims(self) -> tuple[str, ...]:
        """Names of the axes."""
        return tuple(self.coords)

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the axes."""
        return tuple(len(values) for values in self.coords.values())

    @property
    def metrics(self) -> list[str]:
        """Metrics that some answer has."""
        return known_metrics([cell.estimates[0] for cell in self.cells])

    def metric(self, name: str, bound: Bound = "value") -> NDArray[np.float64]:
        """A metric over the axes, in SI units, nan where infeasible.

        Parameters
        ----------
        name : str    Here or as in JSON.
        bound : str   value, low or high (of the 90 % interval).
        """
        if bound not in BOUNDS:
            raise UnknownNameError("bound", bound, BOUNDS)
        known = metric_name(name, METRICS)
        return self._mapped(lambda estimate: bounds_of(estimate, known)[BOUNDS.index(bound)])

    def feasible(self) -> NDArray[np.bool_]:
        """Which combinations are feasible."""
        return self._mapped(lambda estimate: estimate.feasible).astype(bool)

    def at(self, **place: Any) -> EstimateView:
        """The answer at a place, by the values of its axes.

        Raises
        ------
        UsageError
            An axis is missing or has no such value.
        """
        return EstimateView(self.cells[self._index(place)], self.library)

    def breakdown(self) -> dict[tuple[Any, ...], dict[str, float]]:
        """Seconds of a step by part, for each combination."""
        flat = zip(itertools.product(*self.coords.values()), self.cells, strict=True)
        return {place: {part.name: part.seconds for part in cell.estimates[0].breakdown} for place, cell in flat}

    def to_xarray(self) -> Any:
        """A dataset over the named axes and ``bound``, in SI units; needs the extra ``tables``.

        A metric with the name of an axis (the TPOT reached, over targets of TPOT) is called ``tpot_reached``.
        """
        found = {}
        for name in self.metrics:
            values = np.stack([self.metric(name, bound) for bound in BOUNDS], axis=-1)
            found[self._variable(name)] = ((*self.dims, "bound"), values, attributes_of(name))
        coords = {name: list(values) for name, values in self.coords.items()}
        return xarray_module().Dataset(found, coords={**coords, "bound": list(BOUNDS)})

    def to_pandas(self) -> Any:
        """A data frame with a row a combination and a column a metric, named as in `to_xarray`; needs the extra ``tables``."""
        pandas = pandas_module()
        index = pandas.MultiIndex.from_product([list(values) for values in self.coords.values()], names=list(self.dims))
        return pandas.DataFrame({self._variable(name): self.metric(name).ravel() for name in self.metrics}, index=index)

    def table(self, format: str = "table", *, notes: bool = True) -> Text:
        """The answer as text; a table shows the main metrics, JSON and CSV all of them."""
        if format in ("table", "markdown"):
            headers, rows = self._rows(WIDTH if format == "table" else 10 * WIDTH)
            return Text(render(headers, rows, format))
        return super().table(format, notes=notes)

    def _rows(self, width: int) -> tuple[list[str], list[list[Cell]]]:
        """Headers and rows of the main metrics, as many as are not too wide."""
        headers: list[str] = list(self.dims)
        rows: list[list[Cell]] = [[_coordinate(value) for value in place] for place in itertools.product(*self.coords.values())]
        estimates = [cell.estimates[0] for cell in self.cells]
        for name in SHOWN:
            found = [estimate.metrics.get(name) for estimate in estimates]
            if not any(found):
                continue
            scale = scale_of(display_of(name).scales, [metric.value for metric in found if metric])
            column = [metric_text(metric, scale) for metric in found]
            lines: list[Sequence[Cell]] = [headers, *rows]
            widths = [max(columns_of(shown(row[place])) for row in lines) for place in range(len(headers))]
            if sum(widths) + 2 * len(widths) + max(map(len, [labelled(name, scale[1]), *column])) > width:
                continue
            headers.append(labelled(name, scale[1]))
            rows = [[*row, cell] for row, cell in zip(rows, column, strict=True)]
        return headers, rows

    def _index(self, place: Mapping[str, Any]) -> int:
        """Where the answer of a combination stands."""
        unknown = [name for name in place if name not in self.coords]
        if unknown:
            raise UnknownNameError("axis", unknown[0], self.dims)
        missing = [name for name in self.dims if name not in place]
        if missing:
            raise UsageError(f"a place needs every axis; missing {', '.join(missing)}")
        index = 0
        for name, values in self.coords.items():
            if place[name] not in values:
                raise UsageError(f"{name} = {place[name]!r} is not on its axis, which has {', '.join(map(str, values))}")
            index = index * len(values) + values.index(place[name])
        return index

    def _variable(self, name: str) -> str:
        """The name of a metric beside those of the axes."""
        return f"{name}_reached" if name in self.coords else name

    def _mapped(self, function: Callable[[Estimate], Any]) -> NDArray[Any]:
        return np.array([function(cell.estimates[0]) for cell in self.cells]).reshape(self.shape)

    def _sheet(self, notes: bool = True) -> Sheet:
        headers, rows = self._rows(10 * WIDTH)
        return Sheet(f"{self.cells[0].estimates[0].model} over {', '.join(self.dims)}", "", (Table(headers, rows),))

    def __str__(self) -> str:
        return str(self.table())

    __repr__ = __str__

    def _record(self) -> dict[str, Any]:
        return comparisons_record(self._comparisons(), self.library)

    def _comparisons(self) -> Sequence[Comparison]:
        places = itertools.product(*self.coords.values())
        return [
            Comparison(cell.title, {**cell.scenario, "at": dict(zip(self.dims, place, strict=True))}, cell.estimates, cell.notes)
            for place, cell in zip(places, self.cells, strict=True)
        ]


def _coordinate(value: Any) -> Cell:
    return value if isinstance(value, (str, int, float, bool)) or value is None else str(value)
