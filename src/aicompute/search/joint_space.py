"""Several spaces searched as one: one pool or two, or one precision after another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aicompute.search.mesh import Cells

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]


@dataclass(frozen=True)
class JointSpace:
    """Several spaces searched one after another; columns that a space has not are nan."""

    spaces: Sequence[Any]
    labels: Sequence[str]

    @property
    def enumerated(self) -> int:
        """Combinations of all axes."""
        return sum(space.enumerated for space in self.spaces)

    @property
    def valid(self) -> int:
        """Those that are plans."""
        return sum(space.valid for space in self.spaces)

    @property
    def excluded(self) -> Mapping[str, int]:
        """Those that are none, by reason."""
        found: dict[str, int] = {}
        for space in self.spaces:
            for reason, count in space.excluded.items():
                found[reason] = found.get(reason, 0) + count
        return found

    column: str = "pools"
    """Which of the spaces a plan is of."""

    @property
    def words(self) -> dict[str, Sequence[str]]:
        """What the numbers of columns stand for."""
        found = {self.column: self.labels}
        for space in self.spaces:
            found |= getattr(space, "words", {})
        return found

    @cached_property
    def _columns(self) -> tuple[str, ...]:
        """Of all spaces, those of the one with most of them first."""
        spaces = sorted(self.spaces, key=lambda space: -len(space.names))
        return tuple(dict.fromkeys(name for space in spaces for name in space.names))

    @property
    def names(self) -> tuple[str, ...]:
        """Columns of plans."""
        return (self.column, *self._columns)

    def cells(self, names: Sequence[str]) -> Iterator[Cells]:
        """The valid points of all, with the place of their space as a column."""
        for place, space in enumerate(self.spaces):
            for cells in space.cells(names):
                yield replace(cells, plans=self._widened(cells.plans, place))

    def _widened(self, plans: Callable[[Indices], dict[str, Floats]], place: int) -> Callable[[Indices], dict[str, Floats]]:
        def wide(some: Indices) -> dict[str, Floats]:
            columns = plans(some)
            nothing = np.full(len(some), np.nan)
            return {self.column: np.full(len(some), float(place)), **{name: columns.get(name, nothing) for name in self._columns}}

        return wide

    def complete(self, plans: Mapping[str, Floats], count: int = 0) -> dict[str, Floats]:
        """All metrics of some plans, or draws of them."""
        size = len(plans["tp"])
        found: dict[str, Floats] = {}
        for place, space in enumerate(self.spaces):
            rows = np.flatnonzero(plans[self.column] == place)
            if len(rows):
                for name, value in space.complete({key: column[rows] for key, column in plans.items()}, count).items():
                    found.setdefault(name, np.full((size, *value.shape[1:]), np.nan))[rows] = value
        return found
