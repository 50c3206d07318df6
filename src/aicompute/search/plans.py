"""The best plans of a scenario: from specs to a space, from a question to an answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aicompute.errors import InfeasibleError, PlanError, UsageError
from aicompute.estimate import workload as workloads
from aicompute.estimate.context import Scene, scene, standing
from aicompute.estimate.evaluate import TRAINING_METRICS
from aicompute.estimate.result import METRICS
from aicompute.estimate.workload import Workload
from aicompute.plan.space import SWITCHES, TRAINING_AXES
from aicompute.search.conditions import Condition, contradiction, metric_named, parse_condition
from aicompute.search.joint_space import JointSpace
from aicompute.search.mesh import FLAT, Found, Query, Space, explore
from aicompute.search.reasons import time_text
from aicompute.search.spaces import axes_of_serving, serving_space, target_text, training_space
from aicompute.search.terms import ASK_ABOVE, SLOW_RATE, Terms, duration
from aicompute.search.training_plans import job_of, rules_text
from aicompute.specs import Library

Floats = NDArray[np.float64]

SERVING_METRICS = (
    "tokens_per_s_per_accelerator", "tokens_per_s", "communication_share", "exposed_share", "memory_share", "accelerator_power", "it_power",
    "site_power", "energy_per_token", "capital", "cost_per_hour", "cost_per_accelerator_hour", "cost_per_token", "carbon_per_token",
)  # fmt: skip
DRAWN = 100_000
"""Plans times draws that are found at a time."""
_LATENCIES = {
    "prefill": ("ttft",),
    "decode": ("tpot", "tokens_per_s_per_user"),
    "serving": ("ttft", "tpot", "tokens_per_s_per_user", "input_tokens_per_s_per_accelerator"),
}
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
    draw: Callable[[int], tuple[dict[str, Floats], dict[str, Floats]]] = field(default=lambda count: ({}, {}), repr=False, compare=False)
    """So many draws of all metrics of the plans and of the front, shape (k, draws) each; the same draws of specs for all plans."""

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
    scenes = [
        scene(lib, system, model, w.kind, t.site, t.stack, word, t.accelerators, used, t.rent) for word in t.precisions or (t.precision,)
    ]
    s = scenes[0]
    if not s.eligible:
        raise InfeasibleError(f"the terms of site {s.site.id} hold for chips of {', '.join(s.site.get('eligible.vendors'))} only")
    metrics = metrics_of(w)
    axes = TRAINING_AXES if w.is_training else axes_of_serving(w)
    conditions = [parse_condition(text, metrics, axes) for text in t.where]
    said = contradiction(conditions)
    if said:
        raise UsageError(f"conditions {said}; leave one out")
    query = _query(t, metrics, [c for c in conditions if c.name in metrics], w)
    make: Any = training_space if w.is_training else serving_space
    on_axes = [c for c in conditions if c.name not in metrics]
    spaces = [make(each, standing(each), w, t, on_axes) for each in scenes]
    space = JointSpace(spaces, t.precisions, "precision") if t.precisions else spaces[0]
    _refuse_empty(space, s, rules_text(job_of(s, standing(s), w)) if w.is_training else "")
    if space.valid > ASK_ABOVE and not t.large:
        raise UsageError(
            f"the space has {space.valid:,} plans ({space.enumerated:,} combinations), up to {duration(space.valid / SLOW_RATE)}; "
            "narrow it with axes or conditions on them, or confirm with --yes (large=True)"
        )
    found = explore(space, query, watch)
    if not found.feasible and found.complete:
        raise InfeasibleError(_why_not(space, found))
    plans, front = (_materialised(space, columns, s) for columns in (found.top, found.front))
    seconds = time.perf_counter() - start
    return _answer(scenes, w, t, query, space, found, plans, front, seconds)


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
    given = [Condition(name, "<=", most, target_text(name, most)) for name, most in targets if most is not None]
    return Query(objective, sign, (*given, *conditions), t.top, front)


def _signed(name: str, metrics: Sequence[str]) -> tuple[str, float]:
    """A metric and which way it is better."""
    found, _ = metric_named(name, metrics)
    better = METRICS[found][2]
    if not better:
        raise UsageError(f"{name} is neither better high nor low; it may stand in a condition, such as '{name} < 0.9'")
    return found, 1.0 if better == "more" else -1.0


def _refuse_empty(space: Space, s: Scene, rules: str) -> None:
    """Refuse a space without any plan, and say what emptied it."""
    if space.valid:
        return
    reasons = {reason: count for reason, count in space.excluded.items() if count}
    said = ", ".join(f"{_REASONS.get(reason, reason)} ({count:,})" for reason, count in sorted(reasons.items(), key=lambda item: -item[1]))
    why = f"; {rules}" if rules and reasons.get("layout") else ""
    raise PlanError(f"none of {space.enumerated:,} combinations is a plan on {s.devices:g} devices: {said}{why}")


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


def _plans_of(columns: Mapping[str, Floats]) -> dict[str, Floats]:
    """The axes among the columns that a search keeps."""
    return {name: column for name, column in columns.items() if name != "value" and not name.startswith("cost ")}


def _materialised(space: Space, columns: Mapping[str, Floats], s: Scene) -> tuple[FoundPlan, ...]:
    """The chosen rows with all their metrics."""
    plans = _plans_of(columns)
    if not plans or not len(plans["tp"]):
        return ()
    metrics = space.complete(plans)
    words = space.words if isinstance(space, JointSpace) else {}
    found = []
    for place in range(len(plans["tp"])):
        shown = _readable({name: float(column[place]) for name, column in plans.items()}, s, words)
        numbers = {name: float(value[place]) for name, value in metrics.items()}
        shown |= {name: int(numbers[name]) for name in ("prefill_engines", "decode_engines") if numbers.get(name, np.nan) >= 1.0}
        found.append(FoundPlan(shown, {name: value for name, value in numbers.items() if name in METRICS and np.isfinite(value)}))
    return tuple(found)


def _sampled(space: Space, columns: Mapping[str, Floats], count: int) -> dict[str, Floats]:
    """Draws of all metrics of the chosen rows, shape (k, count); some plans at a time, so that they stay in the cache."""
    plans = _plans_of(columns)
    size = len(plans["tp"]) if plans else 0
    step = max(DRAWN // count, 1)
    slices = [slice(start, start + step) for start in range(0, size, step)]
    parts = [space.complete({name: column[some] for name, column in plans.items()}, count) for some in slices]
    names = dict.fromkeys(name for part in parts for name in part if name in METRICS)
    nothing = [np.full((len(next(iter(part.values()))), count), np.nan) for part in parts]
    return {name: np.concatenate([part.get(name, none) for part, none in zip(parts, nothing, strict=True)]) for name in names}


def _readable(plan: dict[str, float], s: Scene, words: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """A plan as people read it."""
    shown: dict[str, Any] = {}
    for name, value in plan.items():
        if np.isnan(value) or (name == "etp" and not s.model.get("num_moe_layers", 0)):
            continue
        if name in words:
            shown[name] = words[name][int(value)]
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
    scenes: Sequence[Scene],
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
    s = scenes[0]
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
        "precision": dict(s.precision) if not t.precisions else {x: dict(y.precision) for x, y in zip(t.precisions, scenes, strict=True)},
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
        draw=lambda count: (_sampled(space, found.top, count), _sampled(space, found.front, count)),
    )
