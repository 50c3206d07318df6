"""From the specs of a scenario to the space that is searched."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from aicompute.errors import PlanError, UnknownNameError, UsageError
from aicompute.estimate.context import Records, Scene
from aicompute.estimate.workload import Workload
from aicompute.plan.enumerate import engine_sizes, serving_plans
from aicompute.plan.space import LAYOUT, MOST_ROWS, SWITCHES, TRAINING_AXES, combinations
from aicompute.search.best import GROUP_SIZES
from aicompute.search.conditions import Condition
from aicompute.search.joint_space import JointSpace
from aicompute.search.reasons import time_text
from aicompute.search.service import drafts_worth_trying
from aicompute.search.serving_space import ENGINE, Loads, PoolsSpace, ServingSpace
from aicompute.search.terms import SLOW_RATE, Terms, duration
from aicompute.search.training_plans import axes_of, job_of, rows_of
from aicompute.search.training_space import TrainingSpace

Floats = NDArray[np.float64]

PROMPTS = (1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 10.0, 12.0, 16.0, 20.0, 24.0, 32.0, 48.0, 64.0, 96.0, 128.0)
"""Prompts at once in an attention group of a prefill pool beside a decode pool; more only make the first ones wait."""


def check_axes(names: Iterable[str], w: Workload) -> None:
    """Refuse axes that plans for a workload do not have.

    Raises
    ------
    UnknownNameError
        With the nearest that they have.
    """
    known = (*(TRAINING_AXES if w.is_training else axes_of_serving(w)), "precision")
    for name in names:
        if name not in known[:-1]:
            raise UnknownNameError(f"axis of plans for {w.kind}", name, known)


def axes_of_serving(w: Workload) -> tuple[str, ...]:
    """Axes that plans for a serving workload have."""
    own = {"decode": ("sequences", "drafts"), "prefill": ("sequences", "chunk")}
    return (*ENGINE, *own.get(w.kind, ("sequences", "chunk", "drafts", "prompts")))


def target_text(name: str, most: float | None) -> str:
    """A latency target as a condition reads."""
    return f"{name} <= {time_text(most or 0.0)}"


def training_space(s: Scene, r: Records, w: Workload, t: Terms, conditions: Sequence[Condition]) -> TrainingSpace:
    """All plans of a training job.

    Raises
    ------
    UsageError
        Unknown axis, values that it cannot have, more layouts than can be told apart.
    """
    check_axes(t.axes, w)
    given = {name: _values(name, values) for name, values in t.axes.items()}
    axes = axes_of(job_of(s, r, w), given, t.full)
    size = float(np.prod([len(axes[name]) or 3 for name in LAYOUT]))
    if size > MOST_ROWS:
        total = float(combinations(axes))
        raise UsageError(
            f"the space has {total:.3g} combinations, {duration(total / SLOW_RATE)}, and {size:.3g} layouts to choose from, "
            f"more than {MOST_ROWS:,}; give fewer values of {', '.join(LAYOUT)}"
        )
    rows = rows_of(s, r, w, given, t.full)
    for condition in conditions:
        rows = rows.narrowed(condition.name, condition.holds, condition.text) if len(rows) else rows
    return TrainingSpace(s, r, w, rows)


_STEPS = {"zero": 3.0, "recompute": 2.0, **dict.fromkeys(SWITCHES, 1.0)}


def _values(name: str, given: Sequence[float]) -> tuple[float, ...]:
    """Values of an axis, checked."""
    least, most = (0.0, _STEPS[name]) if name in _STEPS else (0.0 if name in ("drafts", "sequences") else 1.0, 1e9)
    values = tuple(sorted({float(value) for value in given}))
    wrong = [f"{v:g}" for v in values if not (least <= v <= most and (v.is_integer() or name == "sequences"))]
    if wrong or not values:
        what = f"{name} = {', '.join(wrong)}" if wrong else f"{name} has no value"
        raise UsageError(f"axis {what}; expected whole numbers from {least:g} to {most:,.0f}")
    return values


def serving_space(s: Scene, r: Records, w: Workload, t: Terms, conditions: Sequence[Condition]) -> ServingSpace | JointSpace:
    """One pool, or for a whole service one and two.

    Raises
    ------
    UsageError
        Unknown axis, or values that it cannot have.
    PlanError
        No engine or no load is left.
    """
    check_axes(t.axes, w)
    given = {name: _values(name, values) for name, values in t.axes.items()}
    drafts = given.get("drafts") or tuple(drafts_worth_trying(s, t.drafts))
    sequences = given.get("sequences") or tuple(GROUP_SIZES.tolist())
    chunks = given.get("chunk") or _chunks(s)
    tried = {"sequences": sequences, "chunk": chunks, "drafts": drafts, "prompts": given.get("prompts") or PROMPTS}
    excluded: dict[str, int] = {}
    engines = _engines(s, r, given, conditions)
    for condition in conditions:
        if condition.name in tried:
            tried[condition.name] = tuple(value for value in tried[condition.name] if bool(condition.holds(np.float64(value))))
    if not all(tried.values()):
        raise PlanError(f"conditions leave nothing to try: {', '.join(c.text for c in conditions)}")
    loads = Loads(tried["sequences"], tried["chunk"], tried["drafts"], w.batch)
    if w.kind != "serving":
        return ServingSpace(s, r, w, w.kind, engines, loads, excluded)
    prefill = Loads(tried["prompts"], tried["chunk"], (0.0,))
    targets = (target_text("ttft", w.ttft), target_text("tpot", w.tpot))
    mixed = ServingSpace(s, r, w, "mixed", engines, loads, excluded)
    first, then = ServingSpace(s, r, w, "prefill", engines, prefill), ServingSpace(s, r, w, "decode", engines, loads)
    return JointSpace((mixed, PoolsSpace(first, then, targets)), ("one, mixed", "prefill and decode"))


def _chunks(s: Scene) -> tuple[float, ...]:
    """Tokens of a prefill step within the range of the stack, powers of two, and its own value."""
    value = s.stack.value("limits.chunk")
    powers = [2.0**k for k in range(9, 18) if value.low <= 2.0**k <= value.high]
    return tuple(sorted({value.value, *powers}))


def _engines(s: Scene, r: Records, given: Mapping[str, Sequence[float]], conditions: Sequence[Condition]) -> dict[str, Floats]:
    """Layouts of serving engines on the devices of a scene."""
    domains = [int(s.system.si(f"tiers.{name}.domain")) for name in s.system.get("tiers")]
    a = r.arch
    sizes = engine_sizes(int(s.devices), domains)
    columns = serving_plans(sizes, a.num_heads, a.num_layers, a.num_experts if a.num_moe_layers else 0)
    keep = np.ones(len(columns["tp"]), dtype=bool)
    for name in ENGINE:
        if name in given:
            keep &= np.isin(columns[name], given[name])
        for condition in conditions:
            if condition.name == name:
                keep &= condition.holds(columns[name])
    if not keep.any():
        said = [f"{name} = {' or '.join(f'{v:g}' for v in given[name])}" for name in ENGINE if name in given]
        said += [c.text for c in conditions if c.name in ENGINE]
        rule = f"tp divides {a.num_heads} heads and tp x dp x pp the engine"
        raise PlanError(f"no engine has {', '.join(said)} on {s.devices:g} devices; {rule}")
    return {name: column[keep] for name, column in columns.items()}
