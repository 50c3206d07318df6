"""The best plans of a scenario: from specs to a space, from a question to an answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aicompute.errors import InfeasibleError, PlanError, UnknownNameError, UsageError
from aicompute.estimate import workload as workloads
from aicompute.estimate.context import Records, Scene, scene, standing
from aicompute.estimate.evaluate import TRAINING_METRICS
from aicompute.estimate.result import METRICS
from aicompute.estimate.workload import Workload
from aicompute.plan.enumerate import engine_sizes, serving_plans
from aicompute.plan.space import LAYOUT, MOST_ROWS, SWITCHES, TRAINING_AXES, combinations
from aicompute.search.best import GROUP_SIZES
from aicompute.search.conditions import Condition, contradiction, metric_named, parse_condition
from aicompute.search.mesh import FLAT, Found, Query, Space, explore
from aicompute.search.reasons import time_text
from aicompute.search.service import drafts_worth_trying
from aicompute.search.serving_space import ENGINE, JointSpace, Loads, PoolsSpace, ServingSpace
from aicompute.search.training_plans import axes_of, job_of, rows_of
from aicompute.search.training_space import TrainingSpace
from aicompute.specs import Library

Floats = NDArray[np.float64]

SERVING_AXES = (*ENGINE, "sequences", "chunk", "drafts")
SERVING_METRICS = (
    "tokens_per_s_per_accelerator", "tokens_per_s", "communication_share", "exposed_share", "memory_share", "accelerator_power", "it_power",
    "site_power", "energy_per_token", "capital", "cost_per_hour", "cost_per_accelerator_hour", "cost_per_token", "carbon_per_token",
)  # fmt: skip
_LATENCIES = {
    "prefill": ("ttft",),
    "decode": ("tpot", "tokens_per_s_per_user"),
    "serving": ("ttft", "tpot", "tokens_per_s_per_user", "input_tokens_per_s_per_accelerator"),
}
ASK_ABOVE = 300_000_000
"""Plans above which a search is confirmed first."""
SLOW_RATE = 4e6
"""Plans a second that even a slow machine reaches, for the time said before a large search."""
OBJECTIVE = "tokens_per_s_per_accelerator"


@dataclass(frozen=True)
class Terms:
    """What a search is about, beside the workload."""

    objective: str = OBJECTIVE
    where: tuple[str, ...] = ()
    top: int = 20
    pareto: tuple[str, ...] = ()
    axes: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """Values of axes that are not the default ones."""
    full: bool = False
    """Every stage of ZeRO, and overlap off as well as on."""
    large: bool = False
    """Search a space of any size."""
    site: str | None = None
    stack: str | None = None
    precision: str | Mapping[str, str] | None = None
    utilisation: float | None = None
    accelerators: float | None = None
    rent: float | None = None
    drafts: tuple[float, ...] = ()


@dataclass(frozen=True)
class FoundPlan:
    """A plan with all its metrics, in SI units."""

    plan: Mapping[str, Any]
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Answer:
    """What a search found."""

    scenario: Mapping[str, Any]
    objective: str
    pareto: tuple[str, ...]
    enumerated: int
    valid: int
    judged: int
    """Valid plans that were looked at: all, unless interrupted."""
    feasible: int
    excluded: Mapping[str, int]
    """Combinations that are not feasible by reason; with ``feasible`` they add up to those enumerated."""
    within: Mapping[float, int]
    """Plans at most so much worse than the best."""
    plans: tuple[FoundPlan, ...]
    front: tuple[FoundPlan, ...]
    seconds: float
    complete: bool
    notes: tuple[str, ...] = ()

    @property
    def evaluated_per_s(self) -> float:
        """Valid plans judged in a second, enumeration and the chosen rows included."""
        return self.judged / self.seconds if self.seconds else 0.0


def search_plans(
    lib: Library, system: str, model: str, w: Workload, terms: Terms | None = None, watch: Callable[[Found], None] | None = None
) -> Answer:
    """The best plans of a system in a scenario.

    Parameters
    ----------
    lib : Library
    system, model : str   Ids or aliases.
    w : Workload
    terms : Terms
    watch : callable      Is told after every block.

    Returns
    -------
    Answer.

    Raises
    ------
    UsageError
        Unknown metric or axis, conditions that exclude each other, a space too large to search unasked.
    PlanError
        No combination is a plan.
    InfeasibleError
        No plan fits the memory, or none meets the conditions; what comes nearest is said.
    """
    import time

    t = terms or Terms()
    start = time.perf_counter()
    used = t.utilisation if t.utilisation is not None else (1.0 if w.is_training else 0.6)
    s = scene(lib, system, model, w.kind, t.site, t.stack, t.precision, t.accelerators, used, t.rent)
    if not s.eligible:
        raise InfeasibleError(f"the terms of site {s.site.id} hold for chips of {', '.join(s.site.get('eligible.vendors'))} only")
    r = standing(s)
    metrics = metrics_of(w)
    axes = TRAINING_AXES if w.is_training else SERVING_AXES
    conditions = [parse_condition(text, metrics, axes) for text in t.where]
    said = contradiction(conditions)
    if said:
        raise UsageError(f"conditions {said}; leave one out")
    query = _query(t, metrics, [c for c in conditions if c.name in metrics], w)
    on_axes = [c for c in conditions if c.name not in metrics]
    space = _training_space(s, r, w, t, on_axes) if w.is_training else _serving_space(s, r, w, t, on_axes, query)
    _refuse_empty(space, s)
    if space.valid > ASK_ABOVE and not t.large:
        raise UsageError(
            f"the space has {space.valid:,} plans ({space.enumerated:,} combinations), up to {_duration(space.valid / SLOW_RATE)}; "
            "narrow it with axes or conditions on them, or confirm with --yes (large=True)"
        )
    found = explore(space, query, watch)
    if not found.feasible and found.complete:
        raise InfeasibleError(_why_not(space, found))
    plans, front = (_materialised(space, columns, s, w) for columns in (found.top, found.front))
    seconds = time.perf_counter() - start
    return _answer(s, w, t, query, space, found, plans, front, seconds)


def metrics_of(w: Workload) -> tuple[str, ...]:
    """Metrics that plans for a workload have."""
    if w.is_training:
        return tuple(name for name in TRAINING_METRICS if w.tokens is not None or not name.startswith("run_"))
    return (*SERVING_METRICS, *_LATENCIES[w.kind])


def _query(t: Terms, metrics: Sequence[str], conditions: list[Condition], w: Workload) -> Query:
    """What is looked for, latency targets among the conditions."""
    objective, sign = _signed(t.objective, metrics)
    if not 2 <= len(t.pareto) <= 3 and t.pareto:
        raise UsageError(f"pareto takes two or three metrics, not {len(t.pareto)}")
    front = tuple(_signed(name, metrics) for name in t.pareto)
    if len({name for name, _ in front}) < len(front):
        raise UsageError("pareto names a metric twice")
    if t.top < 1 or t.top > 100_000:
        raise UsageError(f"top = {t.top}: expected a number from 1 to 100,000")
    targets = [("ttft", w.ttft)] if w.kind in ("prefill", "serving") else []
    targets += [("tpot", w.tpot)] if w.kind in ("decode", "serving") else []
    given = [Condition(name, "<=", most, _target(name, most)) for name, most in targets if most is not None]
    return Query(objective, sign, (*given, *conditions), t.top, front)


def _target(name: str, most: float | None) -> str:
    return f"{name} <= {time_text(most or 0.0)}"


def _signed(name: str, metrics: Sequence[str]) -> tuple[str, float]:
    """A metric and which way it is better."""
    found, _ = metric_named(name, metrics)
    better = METRICS[found][2]
    if not better:
        raise UsageError(f"{name} is neither better high nor low; it may stand in a condition, such as '{name} < 0.9'")
    return found, 1.0 if better == "more" else -1.0


def _training_space(s: Scene, r: Records, w: Workload, t: Terms, conditions: Sequence[Condition]) -> TrainingSpace:
    for name in t.axes:
        if name not in TRAINING_AXES:
            raise UnknownNameError("axis", name, TRAINING_AXES)
    given = {name: _values(name, values) for name, values in t.axes.items()}
    axes = axes_of(job_of(s, r, w), given, t.full)
    size = float(np.prod([len(axes[name]) or 3 for name in LAYOUT]))
    if size > MOST_ROWS:
        total = float(combinations(axes))
        raise UsageError(
            f"the space has {total:.3g} combinations, {_duration(total / SLOW_RATE)}, and {size:.3g} layouts to choose from, "
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
        raise UsageError(f"axis {what}; expected whole numbers from {least:g} to {most:g}")
    return values


def _serving_space(s: Scene, r: Records, w: Workload, t: Terms, conditions: Sequence[Condition], query: Query) -> Any:
    """One pool, or for a whole service one and two."""
    given = {}
    for name, values in t.axes.items():
        if name not in SERVING_AXES:
            raise UnknownNameError("axis", name, SERVING_AXES)
        given[name] = _values(name, values)
    drafts = given.get("drafts") or tuple(drafts_worth_trying(s, t.drafts))
    sequences = given.get("sequences") or tuple(GROUP_SIZES.tolist())
    chunks = given.get("chunk") or _chunks(s)
    loads = Loads(sequences, chunks, drafts, w.batch)
    excluded: dict[str, int] = {}
    engines = _engines(s, r, given, conditions)
    for condition in conditions:
        if condition.name not in ENGINE:
            kept = {"sequences": loads.sequences, "chunk": loads.chunks, "drafts": loads.drafts}[condition.name]
            kept = tuple(value for value in kept if bool(condition.holds(np.float64(value))))
            loads = Loads(**{**vars(loads), {"chunk": "chunks"}.get(condition.name, condition.name): kept})
    if not (loads.sequences and loads.chunks and loads.drafts):
        raise PlanError(f"conditions leave nothing to try: {', '.join(c.text for c in conditions)}")
    if w.kind != "serving":
        return ServingSpace(s, r, w, w.kind, engines, loads, excluded)
    prefill = Loads(sequences[:12], chunks, (0.0,))
    targets = (_target("ttft", w.ttft), _target("tpot", w.tpot))
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


def _refuse_empty(space: Space, s: Scene) -> None:
    """Refuse a space without any plan, and say what emptied it."""
    if space.valid:
        return
    reasons = {reason: count for reason, count in space.excluded.items() if count}
    said = ", ".join(f"{_REASONS.get(reason, reason)} ({count:,})" for reason, count in sorted(reasons.items(), key=lambda item: -item[1]))
    raise PlanError(f"none of {space.enumerated:,} combinations is a plan on {s.devices:g} devices: {said}")


_REASONS = {
    "layout": "devices, heads, layers, experts or batch do not allow it",
    "stack": "the stack cannot run it",
    "same": "the same as another",
}


def _why_not(space: Space, found: Found) -> str:
    """Why no plan is feasible, and what comes nearest."""
    if not found.fit:
        least = f"the smallest takes {found.least_memory:.3g} of it: more devices, or a smaller precision"
        return f"none of {found.judged:,} plans fits the memory; {least}"
    said = []
    for condition in found.query.conditions:
        if condition.text in found.nearest:
            nearest = _shown(condition.name, found.nearest[condition.text])
            said.append(f"{condition.text}: the nearest of plans that meet the rest is {nearest}")
    if not said:
        said = [f"{text}: {count:,} fail it" for text, count in found.failed.items() if count]
        said.append("no plan meets all but one of them; leave some out")
    return f"none of {found.fit:,} plans that fit the memory meets all conditions; {'; '.join(said)}"


def _shown(name: str, value: float) -> str:
    unit = METRICS[name][0] if name in METRICS else ""
    if unit == "s":
        return time_text(value)
    return f"{value:.3g}" + (f" {unit}" if unit not in ("", "1") else "")


def _duration(seconds: float) -> str:
    if seconds > 3.15e7:
        return f"{seconds / 3.15e7:,.3g} years"
    if seconds > 2 * 86400.0:
        return f"{seconds / 86400.0:.3g} days"
    return f"{seconds / 3600.0:.3g} h" if seconds > 7200.0 else f"{seconds:.0f} s"


def _materialised(space: Space, columns: Mapping[str, Floats], s: Scene, w: Workload) -> tuple[FoundPlan, ...]:
    """The chosen rows with all their metrics."""
    plans = {name: column for name, column in columns.items() if name != "value" and not name.startswith("cost ")}
    if not plans or not len(plans["tp"]):
        return ()
    metrics = space.complete(plans)
    labels = space.labels if isinstance(space, JointSpace) else ()
    found = []
    for place in range(len(plans["tp"])):
        shown = _readable({name: float(column[place]) for name, column in plans.items()}, s, labels)
        numbers = {name: float(value[place]) for name, value in metrics.items()}
        shown |= {name: int(numbers[name]) for name in ("prefill_engines", "decode_engines") if numbers.get(name, np.nan) >= 1.0}
        found.append(FoundPlan(shown, {name: value for name, value in numbers.items() if name in METRICS and np.isfinite(value)}))
    return tuple(found)


def _readable(plan: dict[str, float], s: Scene, labels: Sequence[str]) -> dict[str, Any]:
    """A plan as people read it."""
    shown: dict[str, Any] = {}
    for name, value in plan.items():
        if np.isnan(value) or (name == "etp" and not s.model.get("num_moe_layers", 0)):
            continue
        if name == "pools":
            shown[name] = labels[int(value)]
        elif name == "recompute":
            shown[name] = ("none", "selective", "full")[int(value)]
        elif name.endswith("sequences"):
            prefix = name.removesuffix("sequences")
            size = plan[f"{prefix}tp"] * plan[f"{prefix}dp"] * plan[f"{prefix}pp"] / s.devices_each
            shown[f"{prefix}engine_accelerators"] = size
            shown[f"{prefix}batch_per_accelerator"] = value / size
        elif name in SWITCHES:
            shown[name] = bool(value)
        else:
            shown[name] = int(value) if value.is_integer() else value
    return shown


def _answer(
    s: Scene,
    w: Workload,
    t: Terms,
    query: Query,
    space: Space,
    found: Found,
    plans: tuple[FoundPlan, ...],
    front: tuple[FoundPlan, ...],
    seconds: float,
) -> Answer:
    """Counts and plans together."""
    excluded = {reason: count for reason, count in space.excluded.items() if count}
    excluded |= {"memory": found.judged - found.fit} if found.judged > found.fit else {}
    excluded |= {reason: count for reason, count in found.failed.items() if count}
    if space.valid > found.judged:
        excluded["not looked at"] = space.valid - found.judged
    scenario = {
        "system": s.system.id,
        "accelerators": s.accelerators,
        "model": s.model.id,
        "workload": workloads.described(w),
        "stack": s.stack.id,
        "site": s.site.id,
        "precision": dict(s.precision),
        "utilisation": s.utilisation,
        "where": list(t.where),
    }
    notes = () if found.complete else (f"interrupted: {found.judged:,} of {space.valid:,} plans were looked at",)
    return Answer(
        scenario=scenario,
        objective=query.objective,
        pareto=tuple(name for name, _ in query.pareto),
        enumerated=space.enumerated,
        valid=space.valid,
        judged=found.judged,
        feasible=found.feasible,
        excluded=excluded,
        within={share: found.within(share) for share in FLAT} if found.feasible else {},
        plans=plans,
        front=front,
        seconds=seconds,
        complete=found.complete,
        notes=notes,
    )
