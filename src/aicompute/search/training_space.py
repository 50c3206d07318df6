"""Training plans of a scenario as an open mesh: small axes first, the possible layouts last, the formulas of `estimate` as they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aicompute.estimate.context import Records, Scene, drawn
from aicompute.estimate.evaluate import MONEY, training_metrics, training_outcome
from aicompute.estimate.training import Groundwork, TrainingPlan, TrainingStack, assembled, groundwork, training_memory
from aicompute.estimate.workload import Workload
from aicompute.numerics import sum_of
from aicompute.plan.space import CHOICES, TRAINING_AXES, Rows
from aicompute.search.mesh import Cells, none_of
from aicompute.search.training_plans import training_plan

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

CELLS = 300_000
"""Plans of which memory, and what does not depend on most choices, are found at a time: as many as hide the cost of some thousand calls."""
BLOCK = 100_000
"""Plans of which time is found at a time: their arrays stay in a processor's cache."""
SLICE = 16_384
"""Plans of which power and money are found at a time: dozens of operations then stay in the cache nearest to a core."""
_MEMORY = ("zero", "recompute", "sequence_parallel", "etp", "micro_batch", "chunks")
"""Choices that memory depends on."""
_OVERLAPS = {"overlap_tensor": "overlap_tensor", "overlap_data": "overlap_data", "overlap_experts": "overlap_experts"}


class _Some(NamedTuple):
    """What `training_metrics` needs, of some cells; zero what is not needed."""

    step: Any
    exposed: Any = 0.0
    flops: Any = 0.0
    traffic: Any = 0.0
    wire: Any = 0.0


@dataclass(frozen=True)
class TrainingSpace:
    """All training plans of a scenario."""

    scene: Scene
    records: Records
    work: Workload
    rows: Rows
    size: int = CELLS

    @property
    def enumerated(self) -> int:
        """Combinations of all axes."""
        return self.rows.enumerated

    @cached_property
    def valid(self) -> int:
        """Those that are plans."""
        return int(self.rows.plans.sum())

    @property
    def excluded(self) -> Mapping[str, int]:
        """Those that are none, by reason."""
        return self.rows.excluded

    def cells(self, names: Sequence[str]) -> Iterator[Cells]:
        """The valid plans, block by block; time is found only where memory suffices for some plan of a layout."""
        for rows in _blocks(self.rows, self.size, _MEMORY):
            wide, _ = _taken(self.rows, rows)
            shares = self._memory_shares(wide)
            allowed = _allowed(wide, _MEMORY)
            fits = (shares <= 1.0) & allowed
            judged, least = int(wide.plans.sum()), float(np.where(allowed, shares, np.inf).min())
            yield none_of(judged, least)
            some = np.flatnonzero(fits.reshape(-1, len(wide)).any(axis=0))
            if not len(some):
                continue
            fitting, kept = _taken(replace(wide, allowed=_narrowed(wide.allowed, fits)), some)
            shares = _part(shares, kept)
            ground = self._groundwork(fitting)
            for rows in _blocks(fitting, min(self.size, BLOCK), CHOICES):
                block, kept = _taken(fitting, rows)
                yield self._timed(block, _part(ground, kept), _part(shares, kept), names)

    def leanest(self) -> dict[str, float]:
        """The plan that takes least memory."""
        least, found = np.inf, {}
        for rows in _blocks(self.rows, self.size, _MEMORY):
            wide, _ = _taken(self.rows, rows)
            shares = np.where(_allowed(wide, _MEMORY), self._memory_shares(wide), np.inf)
            place = int(shares.argmin())
            if shares.flat[place] < least:
                least = float(shares.flat[place])
                found = wide.cells(np.unravel_index(np.array([place]), shares.shape))
        return {name: float(column[0]) for name, column in found.items()}

    def _memory_shares(self, block: Rows) -> Floats:
        """Memory over capacity, on the mesh without overlap."""
        r, w = self.records, self.work
        plan = _plan(_mesh(block))
        memory = training_memory(r.arch, w.sequence_length, w.global_batch, plan, _stack(r))
        shape = (*(len(block.allowed[name]) if name in _MEMORY else 1 for name in CHOICES), len(block))
        return np.broadcast_to(sum_of(memory.values()) / r.device.capacity, shape)

    def _groundwork(self, rows: Rows) -> Groundwork:
        """What does not depend on most choices, found once for many blocks."""
        r, w = self.records, self.work
        mesh = _mesh(rows)
        stack = _stack(overlapping(r, mesh))
        machine = (r.device, r.fabric, r.wires, r.protocol, r.exchange)
        return groundwork(r.arch, w.sequence_length, w.global_batch, _plan(mesh), *machine, stack, memory_too=False)

    def _timed(self, block: Rows, ground: Groundwork, share: Floats, names: Sequence[str]) -> Cells:
        """A block whose plans mostly fit."""
        r = self.records
        mesh = _mesh(block)
        plan = _plan(mesh)
        stack = _stack(overlapping(r, mesh))
        money = any(name in MONEY or name == "communication_share" for name in names)
        step = assembled(r.arch, plan, ground, r.device, stack, "exposed_share" in names, money)
        shape = (*(len(block.allowed[name]) for name in CHOICES), len(block))
        cells = np.flatnonzero(np.broadcast_to((share <= 1.0) & _allowed(block, CHOICES), shape))
        totals = _Some(step.step, step.exposed, step.flops, step.traffic, step.wire)
        if "communication_share" not in names:
            totals = totals._replace(traffic=step.traffic + step.wire / r.link, wire=0.0)  # power takes them together
        return Cells(
            judged=0,
            least_memory=np.inf,
            size=len(cells),
            names=tuple(names),
            values=_Values(self, shape, cells, totals, plan.dp * plan.tp * plan.pp * plan.cp, share),
            plans=lambda some: block.cells(np.unravel_index(cells[some], shape)),
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Columns of plans."""
        return TRAINING_AXES

    def complete(self, plans: Mapping[str, Floats], count: int = 0) -> dict[str, Floats]:
        """All metrics of some plans, as `estimate` finds them, shape (k,); or draws of them, shape (k, count)."""
        columns = {name: column[:, None] for name, column in plans.items()} if count else plans
        r = overlapping(drawn(self.scene, count) if count else self.records, columns)
        outcome = training_outcome(self.scene, r, self.work, training_plan(columns, columns["sequence_parallel"]))
        shape = (len(plans["tp"]), count) if count else plans["tp"].shape
        return {name: np.broadcast_to(np.asarray(value, dtype=float), shape) for name, value in outcome.metrics.items()}


def overlapping(r: Records, columns: Mapping[str, Any]) -> Records:
    """Records whose stack hides as much as it can where the flag of a plan is 1, and nothing where it is 0."""
    stack = _stack(r)
    shares = {field: getattr(stack, field) * columns[name] for name, field in _OVERLAPS.items()}
    return replace(r, training=replace(stack, **shares))


def _stack(r: Records) -> TrainingStack:
    """The stack of a training scene."""
    if r.training is None:
        raise ValueError("the scene is not a training scene")
    return r.training


def _mesh(block: Rows) -> dict[str, Floats]:
    """Every axis in its place: choices along axes of their own, layouts along the last."""
    places = len(CHOICES)
    columns = {name: column.reshape((1,) * places + (-1,)) for name, column in block.layout.items()}
    for place, name in enumerate(CHOICES):
        value = block.values[name]
        columns[name] = value.reshape((1,) * place + (len(value),) + (1,) * (places - 1 - place) + (value.shape[1],))
    return columns


def _allowed(block: Rows, names: Sequence[str]) -> Any:
    """Where the choices named are plans of their own, on the mesh."""
    places = len(CHOICES)
    found: Any = True
    for place, name in enumerate(CHOICES):
        mask = block.allowed[name]
        if name in names and not mask.all():
            found = found & mask.reshape((1,) * place + (len(mask),) + (1,) * (places - 1 - place) + (-1,))
    return found


def _plan(mesh: Mapping[str, Any]) -> TrainingPlan:
    return training_plan(mesh, mesh["sequence_parallel"])


class _Values:
    """Metrics of the cells of a block, found when they are asked for."""

    def __init__(self, space: TrainingSpace, shape: tuple[int, ...], cells: Indices, totals: _Some, ranks: Any, share: Floats) -> None:
        self._space, self._cells = space, cells
        self._shape = shape
        self._meshed = {**totals._asdict(), "ranks": ranks, "share": share}
        self._flat: dict[str, Floats] = {}

    def __call__(self, names: Sequence[str], some: Indices | None = None) -> dict[str, Floats]:
        """Metrics of some of the cells; None: of all."""
        cells = self._cells if some is None else self._cells[some]
        if not any(name in MONEY for name in names):
            return self._found(names, cells)
        # dozens of operations: what they work on stays in the cache nearest to a core
        found = {name: np.empty(len(cells)) for name in names}
        for start in range(0, len(cells), SLICE):
            part = self._found(names, cells[start : start + SLICE])
            for name in names:
                found[name][start : start + SLICE] = part[name]
        return found

    def _found(self, names: Sequence[str], cells: Indices) -> dict[str, Floats]:
        space = self._space
        needed = {"step"} | {field for name in names for field in _NEEDS.get(name, _POWER if name in MONEY else ())}
        for name in needed - self._flat.keys():
            self._flat[name] = _spread(self._meshed[name], self._shape)
        places: dict[int, Indices] = {}
        picked = {name: _pick(self._flat[name], cells, places) if name in needed else 0.0 for name in self._meshed}
        ranks, share = picked.pop("ranks"), picked.pop("share")
        metrics = training_metrics(space.scene, space.records, space.work, ranks, _Some(**picked), share, names)
        return {name: np.broadcast_to(np.asarray(metrics[name], dtype=float), cells.shape) for name in names}

    def least(self, name: str, some: Indices | None = None) -> Floats | None:
        """No more than a metric that power and prices make can be, from time alone: accelerators at idle power; None of other metrics."""
        if name not in MONEY:
            return None
        space = self._space
        step = self._found(("step_time",), self._cells if some is None else self._cells[some])["step_time"] / space.records.time_factor
        found = training_metrics(space.scene, space.records, space.work, None, _Some(step), 0.0, (name,))[name]
        return np.broadcast_to(np.asarray(found, dtype=float), step.shape)


_POWER = ("flops", "traffic", "wire", "ranks")
_NEEDS = {"exposed_share": ("exposed",), "communication_share": ("wire",), "memory_share": ("share",)}


def _spread(values: Any, shape: tuple[int, ...]) -> Floats:
    """An array that broadcasts, spread over the mesh and flat; first axes along which it is constant are left out."""
    values = np.asarray(values, dtype=float)
    same = next((place for place, length in enumerate(values.shape) if length > 1), values.ndim)
    inner = shape[same:] if values.ndim else ()
    return np.broadcast_to(values.reshape(values.shape[same:]), inner).reshape(-1)


def _pick(flat: Floats, cells: Indices, places: dict[int, Indices]) -> Any:
    """Cells of the mesh from what `_spread` made of an array; the places in arrays of a length are kept for the next one."""
    if len(flat) == 1:
        return flat[0]
    if len(flat) not in places:
        places[len(flat)] = cells if not len(cells) or cells[-1] < len(flat) else cells % len(flat)
    return flat.take(places[len(flat)])


def _narrowed(allowed: Mapping[str, Any], fits: Any) -> dict[str, Any]:
    """Choices that some plan of a layout has, of those that memory depends on."""
    found = dict(allowed)
    for place, name in enumerate(CHOICES):
        if name in _MEMORY:
            others = tuple(k for k in range(len(CHOICES)) if k != place)
            found[name] = found[name] & fits.any(axis=others)
    return found


_Kept = tuple["Indices | None", ...]
"""What is kept along each axis of a mesh; None: all."""


def _taken(rows: Rows, some: Indices) -> tuple[Rows, _Kept]:
    """Some of the rows, and what of a mesh over all of them is left."""
    used = [rows.allowed[name][:, some].any(axis=1) for name in CHOICES]
    kept = tuple(None if each.all() else np.flatnonzero(each) for each in used)
    return rows.take(some), (*kept, some)


def _part(value: Any, kept: _Kept) -> Any:
    """What is left of an array on a mesh, or of a record of arrays."""
    if isinstance(value, np.ndarray):
        for axis, places in enumerate(kept):
            if places is not None and value.ndim and value.shape[axis] > 1:
                value = value.take(places, axis=axis)
        return value
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: _part(getattr(value, f.name), kept) for f in fields(value)})
    return [] if isinstance(value, list) else value


def _blocks(rows: Rows, size: int, names: Sequence[str]) -> Iterator[Indices]:
    """Rows in blocks of about so many cells; those with the same choices side by side, so that few cells are none."""
    if not len(rows):
        return
    masks = np.concatenate([rows.allowed[name] for name in names])
    starts = np.cumsum([0, *(len(rows.allowed[name]) for name in names)])[:-1]
    order = np.lexsort(np.packbits(masks, axis=0)[::-1])
    masks = masks[:, order]

    def cells(start: int, count: int) -> int:
        used = masks[:, start : start + count].any(axis=1)
        return int(np.add.reduceat(used, starts, dtype=np.int64).prod()) * min(count, len(order) - start)

    start, count = 0, 16
    while start < len(order):
        while cells(start, count) < size // 2 and start + count < len(order) and cells(start, 2 * count) <= size:
            count *= 2
        while cells(start, count) > 2 * size and count > 1:
            count = max(int(count * size / cells(start, count)), 1)
        yield order[start : start + count]
        start += count
