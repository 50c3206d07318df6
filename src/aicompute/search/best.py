"""Choose a plan: evaluate all that are worth trying at once, mask those that do not fit or are too slow, take the best."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from aicompute.errors import PlanError
from aicompute.estimate import replay
from aicompute.estimate.context import Records, Scene
from aicompute.estimate.evaluate import Outcome
from aicompute.estimate.serving import ServingPlan
from aicompute.estimate.workload import Workload
from aicompute.plan.enumerate import engine_sizes, serving_plans
from aicompute.plan.space import TRAINING_AXES
from aicompute.search.mesh import Query, explore
from aicompute.search.training_plans import job_of, rows_of, rules_text, runnable_axes, training_plan
from aicompute.search.training_space import TrainingSpace
from aicompute.workload.architecture import Architecture

Floats = NDArray[np.float64]
T = TypeVar("T")

SERVING_KEYS = ("tp", "dp", "pp", "ep", "batch")
TRAINING_KEYS = ("dp", "tp", "pp", "chunks", "cp", "ep", "etp", "micro_batch", "zero", "recompute", "sequence_parallel")
OTHERS = 5
"""Next best plans that are kept."""
GROUP_SIZES = np.array(
    [
        1,
        2,
        3,
        4,
        6,
        8,
        10,
        12,
        16,
        20,
        24,
        32,
        40,
        48,
        56,
        64,
        80,
        96,
        112,
        128,
        160,
        192,
        224,
        256,
        320,
        384,
        448,
        512,
        640,
        768,
        896,
        1024,
        1280,
        1536,
        1792,
        2048.0,
    ]
)
"""Sequences of an attention group worth trying."""


@dataclass(frozen=True)
class Choice:
    """A plan with its load, ready to be evaluated alone."""

    plan: dict[str, float]
    objective: float
    feasible: bool
    reason: str = ""
    late: float = 0.0
    """Time reached where no plan meets the target [s]."""
    others: tuple[dict[str, Any], ...] = ()
    """Next best plans with their objective."""
    counts: Mapping[str, int] = field(default_factory=dict)
    by_size: Mapping[float, tuple[dict[str, float], float]] = field(default_factory=dict)
    """Best plan of each engine size with its objective, for pools of whole engines."""
    outcome: Outcome | None = field(default=None, repr=False, compare=False)
    """What the plan gives, complete, where it was the only one."""


def check_overrides(given: Mapping[str, float], allowed: tuple[str, ...], kind: str) -> None:
    """Refuse plan overrides that mean nothing for this kind of work.

    Raises
    ------
    PlanError
        Names every wrong key or value.
    """
    steps = {"zero": 3, "recompute": 2, "sequence_parallel": 1}
    wrong = [f"{key} (a {kind} plan has {', '.join(allowed)})" for key in given if key not in allowed]
    for key, value in given.items():
        if key in steps and value not in range(steps[key] + 1):
            wrong.append(f"{key} = {value:g} (expected a whole number from 0 to {steps[key]})")
        elif key in allowed and key not in steps and not (value >= 1 or (key == "batch" and value > 0)):
            wrong.append(f"{key} = {value:g} (expected a number of at least 1)")
    if wrong:
        raise PlanError("plan: " + "; ".join(wrong))


def _keep(columns: dict[str, Floats], given: Mapping[str, float]) -> dict[str, Floats]:
    mask = np.ones(len(next(iter(columns.values()))), dtype=bool)
    for key, value in given.items():
        if key in columns:
            mask &= columns[key] == value
    return {name: column[mask] for name, column in columns.items()}


def _serving_columns(s: Scene, arch: Architecture, given: Mapping[str, float], limit: float | None = None) -> dict[str, Floats]:
    """Serving plans on the devices of a scene that agree with what is given."""
    devices = int(limit or s.devices)
    domains = [int(s.system.si(f"tiers.{name}.domain")) for name in s.system.get("tiers")]
    fixed = {k: int(v) for k, v in given.items() if k in ("tp", "dp", "pp", "ep")}
    if {"tp", "dp", "pp"} <= fixed.keys() or {"tp", "dp"} <= fixed.keys():
        size = fixed["tp"] * fixed["dp"] * fixed.get("pp", 1)
        if size > devices:
            raise PlanError(f"plan: tp x dp x pp = {size} devices, but {s.accelerators:g} accelerators give {devices}")
        ep = fixed.get("ep", size // fixed.get("pp", 1) if arch.num_moe_layers and fixed["dp"] > 1 else 1)
        faults = [f"tp = {fixed['tp']} does not divide {arch.num_heads} heads"] if arch.num_heads % fixed["tp"] else []
        faults += [f"pp = {fixed['pp']} is more than {arch.num_layers} layers"] if fixed.get("pp", 1) > arch.num_layers else []
        faults += [f"ep = {ep} does not divide tp x dp = {fixed['tp'] * fixed['dp']}"] if fixed["tp"] * fixed["dp"] % ep else []
        if faults:
            raise PlanError("plan: " + "; ".join(faults))
        return {k: np.array([float(v)]) for k, v in {"tp": fixed["tp"], "dp": fixed["dp"], "pp": fixed.get("pp", 1), "ep": ep}.items()}
    sizes = engine_sizes(devices, domains)
    if "ep" in fixed:
        sizes = sorted({*sizes, fixed["ep"], fixed["ep"] * fixed.get("pp", 1)} & set(range(1, devices + 1)))
    columns = _keep(serving_plans(sizes, arch.num_heads, arch.num_layers, arch.num_experts if arch.num_moe_layers else 0), fixed)
    if not len(columns["tp"]):
        wanted = ", ".join(f"{k} = {v}" for k, v in fixed.items())
        raise PlanError(
            f"plan: nothing fits {wanted} on {devices} devices with {arch.num_heads} heads, {arch.num_layers} layers "
            f"and {arch.num_experts} experts"
        )
    return columns


def _load_grid(s: Scene, columns: dict[str, Floats], batch: float | None) -> tuple[ServingPlan, Any]:
    """Plans down the rows, loads across the columns; one plan with one load stays plain floats."""
    if batch is not None and len(columns["tp"]) == 1:
        single = ServingPlan(*(float(columns[k][0]) for k in ("tp", "dp", "pp", "ep")))
        return single, max(batch * float(single.devices) / s.devices_each, float(single.dp))
    plan = ServingPlan(*(columns[k][:, None] for k in ("tp", "dp", "pp", "ep")))
    if batch is not None:
        return plan, np.maximum(batch * plan.devices / s.devices_each, plan.dp)  # every attention group has one
    return plan, GROUP_SIZES[None, :] * np.asarray(plan.dp * plan.pp)


@dataclass(frozen=True)
class Grid:
    """Serving plans down the rows, loads across the columns, evaluated before any target is asked for; floats for one plan."""

    columns: dict[str, Floats]
    sequences: Any
    objective: Any
    fits: Any
    tpot: Any
    ttft: Any
    outcome: Outcome | None = None
    """Of a single plan, complete."""


_KEPT = 16
"""Grids and choices that are kept."""
_kept: dict[Hashable, Any] = {}


def _remembered(s: Scene, r: Records, about: tuple[Hashable, ...], make: Callable[[], T]) -> T:
    """What ``make`` gives, kept for scenes of the same specs: sites, prices and targets are asked of the same plans and loads."""
    if s.origin is None or s.memo.get("standing") is not r:
        return make()
    key = (s.origin, s.accelerators, *about)
    found = _kept.pop(key, None)
    _kept[key] = made = make() if found is None else found
    while len(_kept) > _KEPT:
        _kept.pop(next(iter(_kept)), None)
    return made


def _pick(grid: Grid, meets: Any, late: Any) -> Choice:
    """The best cell, or the reason why there is none."""
    if grid.outcome is not None:
        return _only(grid, bool(meets), float(late))
    columns = grid.columns
    objective, fits, meets, late = (np.atleast_2d(np.asarray(x)) for x in (grid.objective, grid.fits, meets, late))
    good = fits & meets
    shape = objective.shape
    sequences = np.broadcast_to(np.asarray(grid.sequences), shape)
    fits, late = np.broadcast_to(fits, shape), np.broadcast_to(late, shape)

    def cell(index: int) -> dict[str, float]:
        row, column = divmod(index, shape[1])
        plan = {k: float(v[row]) for k, v in columns.items()}
        plan["sequences"] = float(sequences[row, column])
        return plan

    counts = {"plans": int(objective.size), "fit": int(fits.sum()), "meet": int(good.sum())}
    if not good.any():
        if not fits.any():
            return Choice({}, 0.0, False, "memory", counts=counts)
        fastest = np.where(fits, late, np.inf)
        index = int(np.argmin(fastest))
        return Choice(cell(index), float(objective.flat[index]), False, "late", late=float(fastest.flat[index]), counts=counts)
    masked = np.where(good, objective, -np.inf)
    index = int(np.argmax(masked))
    per_plan = masked.max(axis=1)
    order = [int(k) for k in np.argsort(-per_plan)[:6] if np.isfinite(per_plan[k])]
    sizes = columns["tp"] * columns["dp"] * columns["pp"]
    # the last of an ascending order is the best of its size
    best_rows = {float(sizes[row]): int(row) for row in np.argsort(per_plan) if np.isfinite(per_plan[row])}
    by_size = {
        size: (cell(row * shape[1] + int(np.argmax(masked[row]))), float(per_plan[row])) for size, row in best_rows.items()
    }
    best_row = index // shape[1]
    others = tuple(
        {**{k: float(v[row]) for k, v in columns.items()}, "objective": float(per_plan[row])} for row in order if row != best_row
    )
    return Choice(cell(index), float(masked.flat[index]), True, others=others, counts=counts, by_size=by_size)


def _only(grid: Grid, meets: bool, late: float) -> Choice:
    """A single plan with its load, or what is wrong with it."""
    plan = {k: float(v[0]) for k, v in grid.columns.items()}
    plan["sequences"] = float(grid.sequences)
    fits, objective = bool(grid.fits), float(grid.objective)
    counts = {"plans": 1, "fit": int(fits), "meet": int(fits and meets)}
    if not fits:
        return Choice({}, 0.0, False, "memory", counts=counts)
    if not meets:
        return Choice(plan, objective, False, "late", late=late, counts=counts)
    size = plan["tp"] * plan["dp"] * plan["pp"]
    return Choice(plan, objective, True, counts=counts, by_size={size: (plan, objective)}, outcome=grid.outcome)


def _grid(s: Scene, r: Records, w: Workload, given: Mapping[str, float], kind: str, *drafts: float) -> Grid:
    """Plans that agree with what is given, each with its load or all worth trying, evaluated as far as a choice needs it."""
    batch = given.get("batch", w.batch)

    def make() -> Grid:
        columns = _serving_columns(s, r.arch, given)
        plan, sequences = _load_grid(s, columns, batch)
        single = isinstance(sequences, float)
        if batch is None and kind == "prefill":
            # one prompt for each attention group (split over the stages of a pipeline), then more
            sequences = np.concatenate([columns["dp"][:, None], sequences[:, :12]], axis=1)
        if single:
            out = replay.outcome(kind, s, r, w, plan, sequences, *drafts)
        else:
            out = replay.EVALUATE[kind](s, r, w, plan, sequences, *drafts, cost=False)
        fits = out.memory_share <= 1.0
        found = (out.metrics["tokens_per_s_per_accelerator"], fits, out.metrics.get("tpot"), out.metrics.get("ttft"))
        return Grid(columns, sequences, *found, out if single else None)

    if batch is not None:
        return make()
    lengths = (w.input_length, w.output_length, w.length_variation, w.prefix_hit)
    return _remembered(s, r, (kind, *lengths, s.utilisation if kind == "prefill" else 0.0, *drafts, *sorted(given.items())), make)


def _within(time: Any, target: float | None) -> Any:
    """Whether a time meets its target."""
    return time <= (target or np.inf) * (1.0 + 1e-9)


def best_decode(s: Scene, r: Records, w: Workload, given: Mapping[str, float], drafts: float) -> Choice:
    """The decode pool with most tokens per accelerator under the TPOT target."""
    grid = _grid(s, r, w, given, "decode", drafts)
    return _pick(grid, _within(grid.tpot, w.tpot), grid.tpot)


def best_prefill(s: Scene, r: Records, w: Workload, given: Mapping[str, float]) -> Choice:
    """The prefill pool with most input tokens per accelerator under the TTFT target."""
    grid = _grid(s, r, w, given, "prefill")
    return _pick(grid, _within(grid.ttft, w.ttft), grid.ttft)


def best_in_flight(s: Scene, r: Records, w: Workload, given: Mapping[str, float], drafts: float) -> Choice:
    """The mixed pool with most tokens per accelerator under both targets."""
    grid = _grid(s, r, w, given, "in flight", drafts)
    return _pick(grid, _within(grid.tpot, w.tpot) & _within(grid.ttft, w.ttft), grid.tpot)


def best_training(s: Scene, r: Records, w: Workload, given: Mapping[str, float]) -> Choice:
    """The training plan with most tokens per second on the devices of a scene, of those that a search on the same terms judges."""
    if "micro_batch" in given and "dp" in given:  # hardly more than one plan, and quicker than to keep it
        return _best_training(s, r, w, given)
    about = ("training", w.sequence_length, w.global_batch, *sorted(given.items()))
    # of a single plan the outcome is known too, but its money is that of one site and one run, which the choice does not depend on
    return _remembered(s, r, about, lambda: replace(_best_training(s, r, w, given), outcome=None))


def _best_training(s: Scene, r: Records, w: Workload, given: Mapping[str, float]) -> Choice:
    """`best_training`, found anew."""
    fixed = {name: float(value) for name, value in given.items()}
    product = int(np.prod([fixed.get(k, 1.0) for k in ("tp", "cp", "pp", "dp")]))
    if product > s.devices:
        names = " x ".join(k for k in ("tp", "cp", "pp", "dp") if k in fixed)
        raise PlanError(f"plan: {names} = {product} devices, but {s.accelerators:g} accelerators give {s.devices:g}")
    rows = rows_of(s, r, w, {name: (value,) for name, value in fixed.items()})
    count = rows.count
    if not count:
        raise PlanError(_no_layout(s, r, w, fixed, rows.excluded.get("stack", 0) == rows.enumerated))
    if count == 1:
        return _only_training(s, r, w, rows.only)
    space = TrainingSpace(s, r, w, rows)
    found = explore(space, Query("tokens_per_s_per_accelerator", 1.0, top=1 + OTHERS))
    counts = {"plans": count, "fit": found.fit, "meet": found.fit}
    if not found.fit:
        return Choice(_shown(space.leanest(), r), 0.0, False, "memory", counts=counts)
    plans = [_shown({name: float(found.top[name][k]) for name in TRAINING_AXES}, r) for k in range(len(found.top["value"]))]
    rates = found.top["value"].tolist()
    others = tuple({**plan, "objective": rate} for plan, rate in zip(plans[1:], rates[1:], strict=True))
    return Choice(plans[0], rates[0], True, others=others, counts=counts)


def _only_training(s: Scene, r: Records, w: Workload, plan: dict[str, float]) -> Choice:
    """The only plan there is, in plain floats."""
    out = replay.outcome("training", s, r, w, training_plan(plan, plan["sequence_parallel"]))
    fits = bool(out.memory_share <= 1.0)
    counts = {"plans": 1, "fit": int(fits), "meet": int(fits)}
    rate = float(out.metrics["tokens_per_s_per_accelerator"]) if fits else 0.0
    return Choice(_shown(plan, r), rate, fits, "" if fits else "memory", counts=counts, outcome=out if fits else None)


def _shown(plan: Mapping[str, float], r: Records) -> dict[str, float]:
    """The axes that an estimate speaks of."""
    return {name: plan[name] for name in TRAINING_KEYS if name != "etp" or r.arch.num_moe_layers}


def _no_layout(s: Scene, r: Records, w: Workload, fixed: Mapping[str, float], stack: bool) -> str:
    """Why no layout has what is given."""
    wanted = ", ".join(f"{k} = {v:g}" for k, v in fixed.items()) or "any layout"
    if stack:
        able = "; ".join(f"{k} {' or '.join(f'{v:g}' for v in values)}" for k, values in runnable_axes(s).items() if k in fixed)
        return f"plan: stack {s.stack.id} cannot run {wanted}: it has {able}"
    return f"plan: nothing fits {wanted} on {s.devices:g} devices: {rules_text(job_of(s, r, w))}"
