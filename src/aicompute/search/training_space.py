"""Training plans of a scenario as an open mesh: small axes first, the possible layouts last, the formulas of `estimate` as they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aicompute.estimate.context import Records, Scene
from aicompute.estimate.evaluate import MONEY, training_metrics, training_outcome
from aicompute.estimate.training import TrainingPlan, training_memory, training_step
from aicompute.estimate.workload import Workload
from aicompute.numerics import sum_of
from aicompute.plan.space import CHOICES, LAYOUT, TRAINING_AXES, Rows
from aicompute.search.best import training_plan
from aicompute.search.mesh import Cells

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

CELLS = 300_000
"""Plans of a block: as many as hide the cost of some thousand calls, and as few as stay in a processor's cache."""
SLICE = 16_384
"""Plans of which power and money are found at a time: dozens of operations then stay in the cache nearest to a core."""
_MEMORY = ("zero", "recompute", "sequence_parallel", "micro_batch", "chunks")
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
        for wide in _blocks(self.rows, self.size, _MEMORY):
            shares = self._memory_shares(wide)
            fits = (shares <= 1.0) & _allowed(wide, _MEMORY)
            some = fits.reshape(-1, len(wide)).any(axis=0)
            allowed = dict(wide.allowed)
            for place, name in enumerate(CHOICES):
                if name in _MEMORY:
                    others = tuple(k for k in range(len(CHOICES)) if k != place)
                    allowed[name] = allowed[name] & fits.any(axis=others)
            least = float(np.where(_allowed(wide, _MEMORY), shares, np.inf).min())
            judged = int(wide.plans.sum())
            fitting = replace(wide, allowed=allowed).take(np.flatnonzero(some))
            for block in _blocks(fitting, self.size, CHOICES):
                yield replace(self._timed(block, names), judged=judged, least_memory=least)
                judged = 0
            if judged:
                yield Cells(judged, least, {name: np.zeros(0) for name in names}, lambda rows: {})

    def _memory_shares(self, block: Rows) -> Floats:
        """Memory over capacity, on the mesh without overlap."""
        r, w = self.records, self.work
        plan = _plan(_mesh(block))
        assert r.training is not None
        memory = training_memory(r.arch, w.sequence_length, w.global_batch, plan, r.training)
        shape = (*(len(block.allowed[name]) if name in _MEMORY else 1 for name in CHOICES), len(block))
        return np.broadcast_to(sum_of(memory.values()) / r.device.capacity, shape)

    def _timed(self, block: Rows, names: Sequence[str]) -> Cells:
        """A block whose plans mostly fit."""
        s, r, w = self.scene, self.records, self.work
        mesh = _mesh(block)
        plan = _plan(mesh)
        stack = overlapping(r, mesh).training
        assert stack is not None
        needs = "exposed_share" in names, any(name in MONEY or name == "communication_share" for name in names)
        machine = (r.device, r.fabric, r.wires, r.protocol, r.exchange)
        step = training_step(r.arch, w.sequence_length, w.global_batch, plan, *machine, stack, *needs)
        share = np.asarray(sum_of(step.memory.values()) / r.device.capacity)
        shape = (*(len(block.allowed[name]) for name in CHOICES), len(block))
        fits = np.broadcast_to((share <= 1.0) & _allowed(block, CHOICES), shape)
        cells = np.flatnonzero(fits)
        fields = [name for name in _Some._fields if name == "step" or np.ndim(getattr(step, name))]
        spread = {name: _spread(getattr(step, name), shape) for name in fields}
        ranks, memory = _spread(plan.dp * plan.tp * plan.pp * plan.cp, shape), _spread(share, shape)
        full = {name: np.empty(len(cells)) for name in names}
        for start in range(0, len(cells), SLICE if needs[1] else max(len(cells), 1)):
            some = cells[start : start + SLICE] if needs[1] else cells
            picked = _Some(**{name: _pick(spread[name], some) for name in fields})
            full_share = _pick(memory, some) if "memory_share" in names else 0.0
            metrics = training_metrics(s, r, w, _pick(ranks, some) if needs[1] else 0.0, picked, full_share, names)
            for name in names:
                full[name][start : start + len(some)] = metrics[name]

        def plans(some: Indices) -> dict[str, Floats]:
            places = np.unravel_index(cells[some], shape)
            columns = {name: block.layout[name][places[-1]] for name in LAYOUT}
            for name, place in zip(CHOICES, places, strict=False):
                value = block.values[name]
                columns[name] = value[place, places[-1] if value.shape[1] > 1 else 0]
            return {name: columns[name] for name in TRAINING_AXES}

        return Cells(0, np.inf, full, plans)

    def complete(self, plans: Mapping[str, Floats]) -> dict[str, Floats]:
        """All metrics of some plans, as `estimate` finds them."""
        r = overlapping(self.records, plans)
        outcome = training_outcome(self.scene, r, self.work, training_plan(plans, plans["sequence_parallel"]))
        shape = plans["tp"].shape
        return {name: np.broadcast_to(np.asarray(value, dtype=float), shape) for name, value in outcome.metrics.items()}


def overlapping(r: Records, columns: Mapping[str, Any]) -> Records:
    """Records whose stack hides as much as it can where the flag of a plan is 1, and nothing where it is 0."""
    assert r.training is not None
    shares = {field: getattr(r.training, field) * columns[name] for name, field in _OVERLAPS.items()}
    return replace(r, training=replace(r.training, **shares))


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


def _spread(values: Any, shape: tuple[int, ...]) -> Floats:
    """An array that broadcasts, spread over the mesh and flat; first axes along which it is constant are left out."""
    values = np.asarray(values, dtype=float)
    same = next((place for place, length in enumerate(values.shape) if length > 1), values.ndim)
    inner = shape[same:] if values.ndim else ()
    return np.broadcast_to(values.reshape(values.shape[same:]), inner).reshape(-1)


def _pick(flat: Floats, cells: Indices) -> Any:
    """Cells of the mesh from what `_spread` made of an array."""
    if len(flat) == 1:
        return flat[0]
    return flat[cells if not len(cells) or cells[-1] < len(flat) else cells % len(flat)]


def _blocks(rows: Rows, size: int, names: Sequence[str]) -> Iterator[Rows]:
    """Rows in blocks of about so many cells; those with the same choices side by side, so that few cells are none."""
    if not len(rows):
        return
    bits = np.packbits(np.concatenate([rows.allowed[name] for name in names]), axis=0)
    order = np.lexsort(bits[::-1])
    start, count = 0, 16
    while start < len(order):
        block = rows.take(order[start : start + count])
        cells = _size_of(block, names)
        while cells < size // 2 and start + count < len(order):
            more = rows.take(order[start : start + 2 * count])
            if _size_of(more, names) > size:
                break
            block, count, cells = more, 2 * count, _size_of(more, names)
        while cells > 2 * size and count > 1:
            count = max(int(count * size / cells), 1)
            block = rows.take(order[start : start + count])
            cells = _size_of(block, names)
        yield block
        start += count


def _size_of(block: Rows, names: Sequence[str]) -> int:
    """Cells of a block."""
    return prod(len(block.allowed[name]) for name in names) * len(block)
