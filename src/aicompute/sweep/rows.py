"""Rows of a sweep: blocks of a case, each found from nothing but its number, and every row with its axes, metrics and reason."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aicompute.errors import PlanError
from aicompute.estimate.context import Scene, records, standing
from aicompute.estimate.recorded import AS_TENSOR, FIELDS, TERMS, given_reader, scene_program
from aicompute.estimate.workload import Workload
from aicompute.plan.check import SERVING_FAULTS, TRAINING_FAULTS, serving_faults, training_faults
from aicompute.search.compare import choose
from aicompute.search.training_plans import job_of, runnable_axes
from aicompute.sweep.cases import Case
from aicompute.sweep.design import TARGETS
from aicompute.sweep.table import Table, Words, joined, words
from aicompute.workload.architecture import Architecture

FAST_ROWS = 262_144
"""Rows of a block where formulas take arrays."""
SLOW_ROWS = 256
"""Where a plan is chosen for every row."""
MESH = 65_536
"""Cells of an open mesh: some dozen arrays of it stay in a processor's last cache."""

_RATE = "tokens_per_s_per_accelerator"


@dataclass(frozen=True)
class Block:
    """Rows of a case."""

    case: int
    first: int
    """Row of the case."""
    last: int
    """One past the end."""
    start: int = 0
    """Row of the whole sweep with which the case begins."""

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self.last - self.first


def blocks_of(cases: Sequence[Case]) -> Iterator[Block]:
    """All rows of a sweep in their order, a block at a time."""
    start = 0
    for number, case in enumerate(cases):
        size = _block_rows(case)
        for first in range(0, case.rows, size):
            yield Block(number, first, min(first + size, case.rows), start)
        start += case.rows


def count_blocks(cases: Sequence[Case]) -> int:
    """Number of blocks, without listing them."""
    return sum(-(-case.rows // _block_rows(case)) for case in cases)


def _block_rows(case: Case) -> int:
    """Rows of a block: whole meshes where there are some."""
    if case.random:
        return SLOW_ROWS if case.slow else FAST_ROWS
    cells = _mesh_rows(case)
    if cells > MESH:
        return FAST_ROWS
    return cells * max(min(FAST_ROWS // cells, SLOW_ROWS if case.slow else FAST_ROWS), 1)


def _inner(case: Case) -> int:
    """How many of the last fast axes make one open mesh; a long one is taken alone, in pieces."""
    taken, cells = 0, 1
    for axis in reversed(case.fast):
        if cells * axis.size > MESH:
            break
        cells *= axis.size
        taken += 1
    return taken or min(len(case.fast), 1)


def _mesh_rows(case: Case) -> int:
    """Rows that differ in the inner axes only."""
    return math.prod(axis.size for axis in case.fast[len(case.fast) - _inner(case) :])


def piece_rows(case: Case) -> int:
    """Rows that are found at once."""
    return min(_block_rows(case), SLOW_ROWS if case.random and case.slow else FAST_ROWS if case.random else min(_mesh_rows(case), MESH))


def rows_of(case: Case, block: Block, metrics: Sequence[str], seed: int = 0) -> Table:
    """The rows of a block.

    Parameters
    ----------
    case : Case
    block : Block
    metrics : sequence of str   Empty: all.
    seed : int                  Of random points.

    Returns
    -------
    Columns of one length: axes, "feasible", "reason", metrics in SI units (nan where a row is not feasible), "plan" where it was chosen;
    not every block has every column (`columns.filled`).
    """
    with np.errstate(all="ignore"):
        if case.random:
            return _random(case, block, metrics, seed)
        cells, start, parts = _mesh_rows(case), block.first, []
        while start < block.last:
            size = min(cells - start % cells, MESH, block.last - start)
            parts.append(_grid_part(case, start, size, metrics))
            start += size
        return joined(parts)


def _grid_part(case: Case, start: int, size: int, metrics: Sequence[str]) -> Table:
    """Rows that differ in the inner axes only: all of them, or a piece where that is a single long axis."""
    inner = _inner(case)
    outer, mesh = (*case.slow, *case.fast[: len(case.fast) - inner]), case.fast[len(case.fast) - inner :]
    places = _places(start // _mesh_rows(case), [axis.size for axis in outer])
    fixed = {t: float(v) for a, p in zip(outer, places, strict=True) for t, v in zip(a.targets, a.level(p), strict=True)}
    columns: dict[str, Any] = {name: fixed[target] for axis in outer for name, target in zip(axis.names, axis.targets, strict=True)}
    arrays: dict[str, NDArray[np.float64]] = {}
    axes: dict[str, int] = {}
    for place, axis in enumerate(mesh):
        levels = np.arange(size) + start % axis.size if len(mesh) == 1 else np.arange(axis.size)
        for target, values in zip(axis.targets, axis.level(levels), strict=True):
            arrays[target] = values.reshape([-1 if k == place else 1 for k in range(len(mesh))])
            axes[target] = 1 << place
    shape = (size,) if len(mesh) == 1 else tuple(axis.size for axis in mesh)
    found = _evaluated(case, fixed, arrays, axes, shape, metrics)
    for axis in mesh:
        columns |= {name: arrays[target] for name, target in zip(axis.names, axis.targets, strict=True)}
    return _table(case, {**columns, **found}, shape)


def _places(number: int, sizes: Sequence[int]) -> list[int]:
    """Places on some axes of a cell of their grid, the last axis fastest; of any size."""
    found = []
    for size in reversed(sizes):
        number, place = divmod(number, size)
        found.append(place)
    return found[::-1]


def _random(case: Case, block: Block, metrics: Sequence[str], seed: int) -> Table:
    """Random rows; each block draws its own, so that blocks can be found in any order."""
    draw = np.random.default_rng([seed, block.case, block.first])
    every = (*case.slow, *case.fast)
    levels = [axis.at(draw.random(block.rows)) for axis in every]
    values = {t: v for axis, level in zip(every, levels, strict=True) for t, v in zip(axis.targets, level, strict=True)}
    names = {name: values[target] for axis in every for name, target in zip(axis.names, axis.targets, strict=True)}
    slow = [target for axis in case.slow for target in axis.targets]
    if not slow:
        found = _evaluated(case, {}, values, dict.fromkeys(values, 1), (block.rows,), metrics)
        return _table(case, {**names, **found}, (block.rows,))
    parts = []
    for row in range(block.rows):
        fixed = {target: float(value[row]) for target, value in values.items()}
        found = _evaluated(case, fixed, {}, {}, (), metrics)
        parts.append(_table(case, {**{name: float(value[row]) for name, value in names.items()}, **found}, ()))
    return joined(parts)


def _table(case: Case, columns: Mapping[str, Any], shape: tuple[int, ...]) -> Table:
    """Columns at full length, the words of the case before them."""
    size = math.prod(shape)
    full: Table = {name: words(str(word), size) for name, word in case.words.items()}
    for name, value in columns.items():
        if isinstance(value, str):
            full[name] = words(value, size)
        elif isinstance(value, Words):
            full[name] = Words(np.broadcast_to(value.codes, shape).reshape(size), value.words)
        else:
            full[name] = np.broadcast_to(np.asarray(value), shape).reshape(size)
    return full


def _evaluated(
    case: Case,
    fixed: Mapping[str, float],
    arrays: Mapping[str, Any],
    axes: Mapping[str, int],
    shape: tuple[int, ...],
    metrics: Sequence[str],
) -> dict[str, Any]:
    """Metrics, whether each row is feasible, and why not."""
    if case.barred:
        return {"feasible": False, "reason": case.barred}
    if case.flat:
        return _given(case, fixed, arrays, axes, shape, metrics)
    return _chosen(case, fixed, arrays, shape, metrics)


def _given(
    case: Case,
    fixed: Mapping[str, float],
    arrays: Mapping[str, Any],
    axes: Mapping[str, int],
    shape: tuple[int, ...],
    metrics: Sequence[str],
) -> dict[str, Any]:
    """Under plans that are given in full: one program for all rows, or one for each of the few things to try; the better counts."""
    anew = {target for axis in case.slow for target in axis.targets}
    s = case.scene_with({name: value for name, value in fixed.items() if name in anew}) if anew else case.scene
    numbers = {name: value for name, value in fixed.items() if name not in anew}
    varying = {name: bits for name, bits in {**dict.fromkeys(numbers, 0), **axes}.items() if name not in TARGETS}
    wanted = (*metrics, "memory_share", "ttft", "tpot", _RATE) if metrics else None
    best: dict[str, Any] = {}
    for tried in case.tries:
        plan = {**case.plan, **tried}
        program = scene_program(s, case.work, plan, varying, wanted)
        everything = {**plan, **numbers, **arrays}
        given = {name: everything[name] for name in program.inputs}
        found: Mapping[str, Any] = program.run(given) if len(shape) == 1 else program.over(given)
        faults = [*_layout_faults(s, case.work, everything), ("memory", found["memory_share"] > 1.0)]
        for name in TARGETS:
            most = everything.get(name, getattr(case.work, name))
            if most is not None and name in found:
                faults.append((f"{name} above its target", found[name] > most * (1.0 + 1e-9)))
        shown = {name: everything["tp"] if value == AS_TENSOR else value for name, value in tried.items()}
        one = {**_judged(found, faults, shape), **shown}
        best = _better(best, one) if best else one
    return {name: value for name, value in best.items() if not metrics or name in (*metrics, "feasible", "reason", "drafts", "etp")}


def _better(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Row by row the one that delivers more."""
    wins = other["feasible"] & ~(one[_RATE] >= other[_RATE])
    reason = Words(np.where(wins, other["reason"].codes, one["reason"].codes), one["reason"].words)
    return {name: reason if name == "reason" else np.where(wins, other[name], one[name]) for name in one}


def _layout_faults(s: Scene, w: Workload, given: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Ways in which plans cannot be laid out."""
    arch: Architecture = standing(s).arch
    place = replace(s, accelerators=given.get("accelerators", s.accelerators), memo={})
    if not w.is_training:
        return list(zip(SERVING_FAULTS, serving_faults(given, place.devices, arch.num_heads, arch.num_layers), strict=True))
    sequence, batch = (given.get(name, getattr(w, name)) for name in ("sequence_length", "global_batch"))
    experts, window = arch.num_experts if arch.num_moe_layers else 0, job_of(s, standing(s), w).window
    plan = {**given, "etp": given["tp"]} if np.ndim(given["etp"]) == 0 and given["etp"] == AS_TENSOR else given
    found = training_faults(plan, place.devices, arch.num_heads, arch.num_layers, experts, sequence, batch, window)
    able = [~np.isin(given[name], values) for name, values in runnable_axes(s).items() if name in given]
    return [*zip(TRAINING_FAULTS, found, strict=True), *(("the stack cannot run it", fault) for fault in able)]


def _judged(metrics: Mapping[str, Any], faults: Sequence[tuple[str, Any]], shape: tuple[int, ...]) -> dict[str, Any]:
    """Metrics of the rows that have no fault; the first fault is the reason."""
    reason = np.zeros(shape, dtype=np.int32)
    for place, (_, fault) in reversed(list(enumerate(faults, start=1))):
        if np.any(fault):
            reason[np.broadcast_to(fault, shape)] = place
    fine = reason == 0
    some = {name: value for name, value in metrics.items() if name != "memory_share"}
    kept = some if fine.all() else {name: np.where(fine, value, np.nan) for name, value in some.items()}
    return {"feasible": fine, "reason": Words(reason, ("", *(name for name, _ in faults))), **metrics, **kept}


def _chosen(
    case: Case, fixed: Mapping[str, float], arrays: Mapping[str, Any], shape: tuple[int, ...], metrics: Sequence[str]
) -> dict[str, Any]:
    """Under the best plan of each level of the slow axes; the fast ones, such as prices, do not change it."""
    s = case.scene_with(fixed)
    terms: dict[str, Any] = {name: fixed[name] for name in TERMS if name in fixed}
    s = replace(s, **terms)
    fields: dict[str, Any] = {name: value for name, value in fixed.items() if name in (*FIELDS[case.work.kind], *TARGETS)}
    w = replace(case.work, **fields)
    plan = {n: v for n, v in fixed.items() if "/" not in n and n not in fields and n not in (*TERMS, "drafts")}
    drafts = (fixed["drafts"],) if "drafts" in fixed else case.options.drafts
    options = replace(case.options, plan={**case.options.plan, **plan}, drafts=drafts)
    try:
        shown, run, _ = choose(s, standing(s), w, options)
    except PlanError as error:
        shown, run = {"reason": str(error)}, None
    if run is None:
        return {"feasible": False, "reason": str(shown["reason"]), "plan": ""}
    r = records(s, given_reader(arrays)) if arrays else standing(s)
    found = {name: value for name, value in run(r).metrics.items() if not metrics or name in metrics}
    text = " ".join(f"{name}={_short(value)}" for name, value in shown.items() if name != "others" and not isinstance(value, Mapping))
    return {"feasible": True, "reason": "", **found, "plan": text}


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value).replace(" ", "-")

