"""Search of a whole space: block by block, memory first, then what the question needs; only the plans chosen are kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from aicompute.search.conditions import Condition
from aicompute.search.pareto import may_join, pareto_front

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

FLAT = (0.01, 0.05, 0.1)
"""How near to the best plans are counted."""


class Values(Protocol):
    """Metrics of plans, found when they are asked for."""

    def __call__(self, names: Sequence[str], some: Indices | None = None) -> dict[str, Floats]:
        """Metrics of some plans; None: of all."""

    def least(self, name: str, some: Indices | None = None) -> Floats | None:
        """What a metric is at least, found with less work; None where no work is saved."""


@dataclass(frozen=True)
class Cells:
    """Plans of a block whose memory suffices."""

    judged: int
    """Valid plans of the block."""
    least_memory: float
    """Smallest share of the memory that a plan of the block takes."""
    size: int
    """Plans whose memory suffices."""
    names: tuple[str, ...]
    """Metrics asked for."""
    values: Values
    plans: Callable[[Indices], dict[str, Floats]]
    """Columns of some of them."""
    failed: Mapping[str, int] = field(default_factory=dict)
    """Further plans that fit but were left out before, by reason."""

    def __len__(self) -> int:
        """Plans whose memory suffices."""
        return self.size

    @property
    def metrics(self) -> dict[str, Floats]:
        """All metrics asked for of all plans."""
        return self.values(self.names)


class Known:
    """`Values` that are already found."""

    def __init__(self, metrics: Mapping[str, Floats]) -> None:
        self._metrics = metrics

    def __call__(self, names: Sequence[str], some: Indices | None = None) -> dict[str, Floats]:
        """Metrics of some plans; None: of all."""
        return {name: _of(self._metrics[name], some) for name in names}

    def least(self, name: str, some: Indices | None = None) -> Floats | None:
        """None."""
        return None


def none_of(judged: int, least_memory: float, failed: Mapping[str, int] | None = None) -> Cells:
    """Plans of which none is left."""
    return Cells(judged, least_memory, 0, (), Known({}), lambda some: {}, failed or {})


class Space(Protocol):
    """Plans of one scenario."""

    @property
    def enumerated(self) -> int:
        """Combinations of all axes."""

    @property
    def valid(self) -> int:
        """Those that are plans."""

    @property
    def excluded(self) -> Mapping[str, int]:
        """Those that are none, by reason."""

    def cells(self, names: Sequence[str]) -> Iterator[Cells]:
        """The valid plans, block by block, with some metrics."""

    @property
    def names(self) -> tuple[str, ...]:
        """Columns of plans."""

    def complete(self, plans: Mapping[str, Floats], count: int = 0) -> dict[str, Floats]:
        """All metrics of some plans; or so many draws of them, shape (k, count), the same draws for all plans."""


@dataclass(frozen=True)
class Query:
    """What is looked for."""

    objective: str
    sign: float
    """1 where more is better, -1 where less is."""
    conditions: tuple[Condition, ...] = ()
    """On metrics."""
    top: int = 20
    pareto: tuple[tuple[str, float], ...] = ()
    """Metrics of the front with their signs."""

    @property
    def names(self) -> list[str]:
        """Metrics that are needed for every plan."""
        return list(dict.fromkeys([self.objective, *(c.name for c in self.conditions), *(name for name, _ in self.pareto)]))


@dataclass
class Found:
    """What a search has found so far."""

    query: Query
    judged: int = 0
    fit: int = 0
    feasible: int = 0
    failed: dict[str, int] = field(default_factory=dict)
    """Plans that fit and fail a condition, by the first that fails."""
    nearest: dict[str, float] = field(default_factory=dict)
    """Of plans that meet all other conditions, what comes nearest to this one."""
    least_memory: float = float("inf")
    top: dict[str, Floats] = field(default_factory=dict)
    """Columns of the best plans, best first, and "value"."""
    front: dict[str, Floats] = field(default_factory=dict)
    """Columns of the front, and a "cost k" for each of its metrics."""
    near: list[Floats] = field(default_factory=list)
    """Objectives near the best."""
    seconds: float = 0.0
    complete: bool = False

    @property
    def best(self) -> float:
        """The objective of the best plan, its sign applied."""
        return float(self.top["value"][0]) if self.top and len(self.top["value"]) else -np.inf

    @property
    def full(self) -> bool:
        """Whether there are as many plans as were asked for."""
        return bool(self.top) and len(self.top["value"]) >= max(self.query.top, 1)

    def within(self, share: float) -> int:
        """Plans whose objective is at most so much worse than the best."""
        return sum(int((values >= _edge(self.best, share)).sum()) for values in self.near)


def _edge(best: float, share: float) -> float:
    """What is so much worse than the best: (1 - share) of a rate, (1 + share) of a time or price; values carry their sign."""
    return best * (1.0 - share) if best >= 0.0 else best * (1.0 + share)


def explore(space: Space, query: Query, watch: Callable[[Found], None] | None = None) -> Found:
    """Judge every plan of a space.

    Parameters
    ----------
    space : Space
    query : Query
    watch : callable   Is told after every block.

    Returns
    -------
    Found; ``complete`` is False where the person interrupted it.
    """
    found = Found(query, failed={c.text: 0 for c in query.conditions})
    start = time.perf_counter()
    try:
        for cells in space.cells(query.names):
            _add(found, cells)
            found.seconds = time.perf_counter() - start
            if watch is not None:
                watch(found)
        found.complete = True
    except KeyboardInterrupt:
        pass
    found.seconds = time.perf_counter() - start
    return found


def _add(found: Found, cells: Cells) -> None:
    """Reduce a block."""
    query, fit = found.query, len(cells)
    found.judged += cells.judged
    found.fit += fit + sum(cells.failed.values())
    for reason, count in cells.failed.items():
        found.failed[reason] = found.failed.get(reason, 0) + count
    found.least_memory = min(found.least_memory, cells.least_memory)
    if not fit:
        return
    good: Indices | None = None
    if query.conditions:
        good = _meeting(found, cells)
        if not len(good):
            return
    found.feasible += fit if good is None else len(good)
    if query.pareto:
        _add_front(found, cells, good)
    good = _promising(found, cells, good)
    values = cells.values((query.objective,), good)[query.objective]
    values = values if query.sign > 0.0 else -values
    _add_top(found, cells, values, good)
    edge = _edge(found.best, FLAT[-1])
    found.near = [kept for kept in (each[each >= edge] for each in found.near) if len(kept)]
    found.near.append(values[values >= edge])


def _promising(found: Found, cells: Cells, good: Indices | None) -> Indices | None:
    """Plans that may be among the best or near them, where that is known with less work than the objective itself."""
    query = found.query
    if query.sign > 0.0 or not found.full:
        return good
    least = cells.values.least(query.objective, good)
    if least is None:
        return good
    most = -min(_edge(found.best, FLAT[-1]), float(found.top["value"][-1]))
    rows = np.flatnonzero(least <= most * (1.0 + 1e-9))
    return rows if good is None else good[rows]


def _of(values: Floats, rows: Indices | None) -> Floats:
    return values if rows is None else values[rows]


def _meeting(found: Found, cells: Cells) -> Indices:
    """Plans that meet all conditions; the others are counted by the first that they fail."""
    conditions = found.query.conditions
    metrics = cells.values(tuple({c.name for c in conditions}))
    masks = [c.holds(metrics[c.name]) for c in conditions]
    so_far = np.ones(len(cells), dtype=bool)
    for condition, mask in zip(conditions, masks, strict=True):
        after = so_far & mask
        found.failed[condition.text] += int(so_far.sum()) - int(after.sum())
        so_far = after
    if not found.feasible:
        for place, condition in enumerate(conditions):
            others = np.ones(len(cells), dtype=bool)
            for other, mask in enumerate(masks):
                others &= mask if other != place else True
            if others.any():
                values = [condition.nearest(metrics[condition.name][others])]
                values += [found.nearest[condition.text]] if condition.text in found.nearest else []
                found.nearest[condition.text] = condition.nearest(np.array(values))
    return np.flatnonzero(so_far)


def _add_top(found: Found, cells: Cells, values: Floats, good: Indices | None) -> None:
    """Merge the best of a block with the best so far."""
    count = max(found.query.top, 1)
    rows = np.flatnonzero(values > found.top["value"][-1]) if found.full else np.arange(len(values))
    if len(rows) > count:
        rows = rows[np.argpartition(-values[rows], count - 1)[:count]]
    if not len(rows):
        return
    columns = cells.plans(_of_rows(rows, good)) | {"value": values[rows]}
    if found.top:
        columns = {name: np.concatenate([found.top[name], column]) for name, column in columns.items()}
    order = np.argsort(-columns["value"], kind="stable")[:count]
    found.top = {name: column[order] for name, column in columns.items()}


def _of_rows(rows: Indices, good: Indices | None) -> Indices:
    return rows if good is None else good[rows]


def _add_front(found: Found, cells: Cells, good: Indices | None) -> None:
    """Merge the front of a block with the front so far."""
    names = [f"cost {k}" for k in range(len(found.query.pareto))]
    metrics = cells.values(tuple(name for name, _ in found.query.pareto), good)
    costs = np.stack([-sign * metrics[name] for name, sign in found.query.pareto], axis=1)
    before = np.stack([found.front[name] for name in names], axis=1) if found.front else np.empty((0, len(names)))
    rows = np.flatnonzero(may_join(costs, before))
    rows = rows[pareto_front(costs[rows])]
    if not len(rows):
        return
    columns = cells.plans(_of_rows(rows, good)) | {name: costs[rows, k] for k, name in enumerate(names)}
    if found.front:
        columns = {name: np.concatenate([found.front[name], column]) for name, column in columns.items()}
    kept = pareto_front(np.stack([columns[name] for name in names], axis=1))
    found.front = {name: column[kept] for name, column in columns.items()}
