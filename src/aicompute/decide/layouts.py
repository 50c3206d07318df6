"""Sizes of a training cluster: the smallest that makes a run in its time, the best of at most so many units.

All plans are judged at one size; the best of them are then tried at the numbers of data ranks at which a batch divides well, all at once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aicompute.decide.needs import Training
from aicompute.estimate.context import Records, Scene, scene, standing
from aicompute.estimate.evaluate import training_outcome
from aicompute.estimate.inputs import architecture, runnable
from aicompute.estimate.result import Estimate
from aicompute.search.best import TRAINING_KEYS
from aicompute.search.compare import Options, estimate_system
from aicompute.search.mesh import Query, explore
from aicompute.search.training_plans import rows_of, training_plan
from aicompute.search.training_space import TrainingSpace
from aicompute.specs import Library, Spec
from aicompute.workload.parameters import flops_per_token_training

Floats = NDArray[np.float64]

START = 0.35
"""Share of the peak with which the search for a size begins; where it ends does not depend on it."""
MOST_ACCELERATORS = 2e7
KEPT = 32
"""Layouts that are tried at other sizes."""
STEPS = np.geomspace(0.45, 1.6, 20)
"""Sizes that are tried, over the one that time in proportion to size would need."""
FINER = np.geomspace(0.8, 1.0, 16)
"""The same over the smallest of those."""
ROUNDS = 8
JUDGED = 1024
"""Best plans of a size of which those with most tokens per device at work are kept."""
NEAR = 2.0
"""Ratio of two sizes up to which the best layouts of one are taken for those of the other."""
GROWTH = 3
"""Of the size where no layout is quick enough."""
SLACK = 1.03
"""Devices over those that a plan uses, from which on all plans are tried again at that size."""


@dataclass(frozen=True)
class Layouts:
    """The best layouts of a scene; their data ranks are those of its size."""

    scene: Scene
    columns: dict[str, Floats]
    time: Floats
    """Of the run with each [s]."""


def in_time(lib: Library, spec: Spec, run: Training, options: Options) -> Estimate | str:
    """The estimate of the smallest number of units that makes a run in its time, or why none does.

    Parameters
    ----------
    lib, options
    spec : Spec      Of a system.
    run : Training   With ``within``.
    """
    within = run.within or math.inf
    if "dp" in options.plan:
        return _as_planned(lib, spec, run, options)
    guess = _first_guess(lib, spec, run)
    quickest, plan = math.inf, None
    for turn in range(ROUNDS):
        known = layouts(lib, spec, run, options, guess)
        if isinstance(known, str):
            return known
        found = known
        aim = found.columns["dp"] * found.time / within
        units, time, plan = _smallest(found, run, within, aim[:, None] * STEPS)
        if plan is not None and turn and max(units / guess, guess / units) < NEAR:
            break
        quickest = min(quickest, time)
        guess = units if plan is not None else guess * GROWTH
        if guess * spec.si("accelerators") > MOST_ACCELERATORS:
            break
    if plan is None:
        return f"no cluster of up to {MOST_ACCELERATORS:,.0f} accelerators is fast enough: {quickest / 86400.0:.3g} days at the least"
    columns = found.columns
    least = units * spec.si("accelerators") * found.scene.devices_each / (columns["tp"] * columns["pp"] * columns["cp"])
    fewer, _, finer = _smallest(found, run, within, least[:, None] * FINER)
    if finer is not None and fewer <= units:
        units, plan = fewer, finer
    return _settled(lib, spec, run, options, units, plan)


def within_units(lib: Library, spec: Spec, run: Training, options: Options, most: int) -> Estimate | str:
    """The estimate of the cluster of at most so many units that makes a run soonest, or why none does it."""
    most = min(most, int(MOST_ACCELERATORS / spec.si("accelerators")))
    if "dp" in options.plan:
        return _as_planned(lib, spec, run, options)
    found = layouts(lib, spec, run, options, most)
    if isinstance(found, str):
        return found
    columns = dict(found.columns)
    step = _step(columns)
    room = np.floor(_devices(found.scene, most) / (columns["tp"] * columns["pp"] * columns["cp"]) / step) * step
    room = np.minimum(room, np.floor(run.workload.global_batch / columns["micro_batch"] / step) * step)
    rounds = np.ceil(run.workload.global_batch / (columns["micro_batch"] * np.maximum(room, 1.0)))
    even = np.minimum(np.ceil(run.workload.global_batch / (columns["micro_batch"] * rounds) / step) * step, room)
    tried = {name: np.concatenate([column, column]) for name, column in columns.items()}
    tried["dp"] = np.concatenate([even, room])
    tried = _only(tried, tried["dp"] >= 1.0)
    units, time, fits = _judged(found, run, tried)
    good = fits & (units <= most)
    if not good.any():
        return _refusal(lib, spec, run, options, most)
    index = int(np.lexsort((units, np.where(good, time, np.inf)))[0])
    return _settled(lib, spec, run, options, int(units[index]), {name: float(column[index]) for name, column in tried.items()})


def layouts(lib: Library, spec: Spec, run: Training, options: Options, units: int) -> Layouts | str:
    """The best layouts on some units; on more where nothing fits on so few. Or why nothing does."""
    most = MOST_ACCELERATORS / spec.si("accelerators")
    for _ in range(ROUNDS):
        s = scene(lib, spec.id, run.model, "training", None, options.stack, options.precision, units * spec.si("accelerators"), 1.0)
        found = _best(s, run, options.plan)
        if found is not None:
            return found
        if units * 4 > most or run.within is None:
            break
        units *= 4
    return _refusal(lib, spec, run, options, units)


def _refusal(lib: Library, spec: Spec, run: Training, options: Options, units: int) -> str:
    """Why nothing does on so many units."""
    terms = replace(options, accelerators=units * spec.si("accelerators"), samples=0)
    found = estimate_system(lib, spec.id, run.model, run.workload, terms)
    return found.reason or "no plan fits"


def _best(s: Scene, run: Training, plan: Mapping[str, float]) -> Layouts | None:
    """The best layouts of a scene that fit, by tokens per device at work."""
    r, w = standing(s), run.workload
    rows = rows_of(s, r, w, {name: (float(value),) for name, value in plan.items()})
    if not rows.count:
        return None
    top = explore(TrainingSpace(s, r, w, rows), Query("tokens_per_s_per_accelerator", 1.0, top=JUDGED)).top
    if not top:
        return None
    columns = {name: column for name, column in top.items() if name != "value"}
    time, fits = _times(s, r, run, columns, s.accelerators)
    worth = np.where(fits, time, np.inf) * columns["tp"] * columns["pp"] * columns["cp"] * columns["dp"]
    order = np.argsort(worth, kind="stable")
    kinds = np.stack([columns[name][order] for name in _KINDS])
    order = order[np.sort(np.unique(kinds, axis=1, return_index=True)[1])[:KEPT]]
    return Layouts(s, _only(columns, order), time[order])


def _smallest(found: Layouts, run: Training, within: float, aim: Floats) -> tuple[int, float, dict[str, float] | None]:
    """Units, time and plan of the smallest cluster of some layouts that is in time; without a plan the quickest that was tried.

    Parameters
    ----------
    aim : shape (layouts, sizes)   Data ranks to try: the fewest that have no more micro-batches one after another.
    """
    columns, batch = found.columns, run.workload.global_batch
    step, micro = _step(columns)[:, None], columns["micro_batch"][:, None]
    dp = np.ceil(batch / (micro * np.ceil(batch / (micro * np.maximum(aim, 1.0)))) / step) * step
    dp = np.sort(dp, axis=1)
    new = np.diff(dp, axis=1, prepend=0.0) > 0.0
    tried = {name: np.repeat(column, dp.shape[1]) for name, column in columns.items()}
    tried["dp"] = dp.ravel()
    tried = _only(tried, new.ravel() & (tried["dp"] * tried["micro_batch"] <= batch))
    if not len(tried["dp"]):
        return 1, math.inf, None
    units, time, fits = _judged(found, run, tried)
    good = fits & (time <= within)
    if not good.any():
        index = int(np.argmin(np.where(fits, time, np.inf)))
        return int(units[index]), float(time[index]) if fits[index] else math.inf, None
    index = int(np.lexsort((time, np.where(good, units, np.inf)))[0])
    return int(units[index]), float(time[index]), {name: float(column[index]) for name, column in tried.items()}


def _judged(found: Layouts, run: Training, tried: Mapping[str, Floats]) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Units, time of the run, and whether it fits, of layouts each on no more units than it needs."""
    s = found.scene
    ranks = tried["tp"] * tried["pp"] * tried["cp"] * tried["dp"]
    usable = min(s.system.si("usable", s.per_unit), s.per_unit)
    units = np.ceil(ranks / s.devices_each / usable - 1e-9)
    time, fits = _times(s, standing(s), run, tried, units * s.per_unit)
    return units, time, fits


def _times(s: Scene, r: Records, run: Training, columns: Mapping[str, Any], accelerators: Any) -> tuple[Any, Any]:
    """Time of the run with each plan, failures included, and whether it fits."""
    plan = training_plan(columns, columns["sequence_parallel"])
    out = training_outcome(replace(s, accelerators=accelerators, memo={}, origin=None), r, run.workload, plan, cost=False)
    shape = columns["dp"].shape
    return np.broadcast_to(out.metrics["run_time"], shape), np.broadcast_to(np.asarray(out.memory_share) <= 1.0, shape)


def _settled(lib: Library, spec: Spec, run: Training, options: Options, units: int, plan: Mapping[str, float]) -> Estimate:
    """The estimate of a plan; of all plans where units are so large that it leaves some idle."""
    terms = replace(options, accelerators=units * spec.si("accelerators"))
    own = {name: value for name, value in plan.items() if name in TRAINING_KEYS}
    found = estimate_system(lib, spec.id, run.model, run.workload, replace(terms, plan={**options.plan, **own}))
    s = scene(lib, spec.id, run.model, "training", None, options.stack, options.precision, terms.accelerators, 1.0)
    if s.devices > SLACK * plan["tp"] * plan["pp"] * plan["cp"] * plan["dp"]:
        every = estimate_system(lib, spec.id, run.model, run.workload, terms)
        if every.feasible and every.value("run_time") < found.value("run_time"):
            return every
    return found


_KINDS = ("tp", "pp", "cp", "etp", "micro_batch", "zero", "recompute", "sequence_parallel")
"""Of layouts that are alike in these the best one is kept: what suits one size well may not fit another."""


def _as_planned(lib: Library, spec: Spec, run: Training, options: Options) -> Estimate | str:
    """The estimate of a plan that says its size itself."""
    ranks = math.prod(options.plan.get(name, 1.0) for name in ("tp", "pp", "cp", "dp"))
    accelerator = lib.load("accelerators", str(spec.get("accelerator")))
    units = max(math.ceil(ranks / accelerator.si("devices") / min(spec.si("usable", spec.si("accelerators")), spec.si("accelerators"))), 1)
    found = estimate_system(lib, spec.id, run.model, run.workload, replace(options, accelerators=units * spec.si("accelerators")))
    if found.feasible and run.within is not None and found.value("run_time") > run.within:
        return f"the plan given takes {found.value('run_time') / 86400.0:.3g} days"
    return found if found.feasible else found.reason


def _first_guess(lib: Library, spec: Spec, run: Training) -> int:
    """Units that arithmetic at a share of the peak would need."""
    accelerator = lib.load("accelerators", str(spec.get("accelerator")))
    flops = float(flops_per_token_training(architecture(lib.load("models", run.model)), run.workload.sequence_length))
    peak = accelerator.si(f"peak.{runnable(accelerator, str(spec.get('precision.training.dense', 'bf16')))}")
    needed = flops * (run.workload.tokens or 0.0) / (peak * START * (run.within or 1.0))
    return max(math.ceil(min(needed, MOST_ACCELERATORS) / spec.si("accelerators")), 1)


def _devices(s: Scene, units: int) -> float:
    return float(replace(s, accelerators=units * s.per_unit).devices)


def _step(columns: Mapping[str, Floats]) -> Floats:
    """What data ranks must be a multiple of, so that expert groups fill them."""
    inside = columns["tp"] * columns["cp"]
    experts = (columns["ep"] * columns["etp"]).astype(np.int64)
    step: Floats = experts / np.gcd(experts, inside.astype(np.int64))
    return step


def _only(columns: Mapping[str, Floats], mask: Any) -> dict[str, Floats]:
    return {name: column[mask] for name, column in columns.items()}
