"""What an answer depends on: elasticities to every spec value, what its range does, and finite changes of what is counted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aicompute.errors import InfeasibleError, PlanError, UsageError
from aicompute.estimate.context import Scene, changed_scene, drawn, records, scene, standing
from aicompute.estimate.recorded import given_reader, values_read
from aicompute.estimate.result import METRICS, Metric
from aicompute.estimate.workload import Workload
from aicompute.search import best
from aicompute.search.compare import Options, choose, metrics_of
from aicompute.search.explain import Run
from aicompute.specs import Library, Spec, Value

STEP = 1e-3
"""Share by which a value is moved each way: small against any bend, large against rounding."""
COUNTED = ("domain", "devices", "accelerators", "usable", "limits.chunk", "limits.sequences")
"""Ends of paths whose values are whole numbers: they are halved and doubled, and the plan is chosen again."""
FIRST = ("cost_per_token", "tokens_per_s_per_accelerator")
"""Metrics that come first where none is asked for."""


@dataclass(frozen=True)
class Sensitivity:
    """What one spec value does to the metrics, each by its name."""

    address: str
    """Kind, id and path."""
    value: Value
    elasticity: Mapping[str, float]
    """Percent that the metric changes for a percent of the value, all else as it is, the plan too."""
    at_low: Mapping[str, float]
    """Metric over what it is, minus one, where the value is at the low end of its range."""
    at_high: Mapping[str, float]
    halved: Mapping[str, float] = field(default_factory=dict)
    """Likewise where a counted value is half as large and the plan is chosen again; empty for others, and where no plan fits."""
    doubled: Mapping[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The value as people name it: id and path."""
        return self.address.partition("/")[2]

    def swing(self, metric: str) -> float:
        """How far apart the metric is at the two ends of the range."""
        return self.at_high[metric] - self.at_low[metric]


@dataclass(frozen=True)
class Sensitivities:
    """All of them, of a system or of one system over another."""

    systems: tuple[str, ...]
    scenario: Mapping[str, Any]
    metrics: Mapping[str, float]
    """At the values as they stand, SI; of two systems the ratio of the first to the second."""
    found: tuple[Sensitivity, ...]
    draw: Callable[[int], tuple[dict[str, Metric], ...]] = field(default=lambda count: (), repr=False, compare=False)
    """The metrics of each system at its plan with so many draws of all specs; systems share the draws of what they have in common."""

    def by(self, metric: str, *, ranges: bool = False) -> list[Sensitivity]:
        """Largest first: by elasticity, or by what the ranges make of the metric."""
        if metric not in self.metrics:
            raise UsageError(f"no sensitivity to {metric!r} was asked for; there are {', '.join(self.metrics)}")
        return sorted(self.found, key=lambda one: -abs(one.swing(metric) if ranges else one.elasticity[metric]))


def sensitivities(
    lib: Library, systems: Sequence[str], model: str, w: Workload, options: Options, metrics: Sequence[str] = (), finite: bool = True
) -> Sensitivities:
    """Sensitivities of the metrics of one system, or of the ratio of two.

    Parameters
    ----------
    lib : Library
    systems : sequence     One or two.
    model, w, options      As of `compare.estimate_system`.
    metrics : sequence     In this order; empty: all that both have.
    finite : bool          Halve and double what is counted too; a plan is chosen for each.

    Raises
    ------
    InfeasibleError
        A system has no plan.

    Notes
    -----
    Central differences of the logarithm, all in one batch at the plan that was chosen. At an optimum the choice of the plan itself adds
    nothing to first order to what was optimised.
    """
    if not 1 <= len(systems) <= 2:
        raise UsageError(f"sensitivities are of one system or of the ratio of two, not of {len(systems)}")
    each = [_of_system(lib, system, model, w, options, metrics, finite) for system in systems]
    base, found, scenario, identifiers = each[0].metrics, {one.address: one for one in each[0].found}, each[0].scenario, each[0].systems
    if len(each) == 2:
        base, found = _ratio(each[0], each[1])
        identifiers = (each[0].systems[0], each[1].systems[0])
        pairs = {name: (value, each[1].scenario[name]) for name, value in scenario.items()}
        scenario = {name: one if one == other else [one, other] for name, (one, other) in pairs.items()}
    return Sensitivities(identifiers, scenario, base, tuple(found.values()), lambda n: tuple(own for one in each for own in one.draw(n)))


def _of_system(
    lib: Library, system: str, model: str, w: Workload, o: Options, metrics: Sequence[str], finite: bool
) -> Sensitivities:
    site = o.sites[0] if o.sites else None
    s = scene(lib, system, model, w.kind, site, o.stack, o.precision, o.accelerators, o.used(w), o.rent)
    best.check_overrides(o.plan, best.TRAINING_KEYS if w.is_training else best.SERVING_KEYS, w.kind)
    if not s.eligible:
        vendors = ", ".join(s.site.get("eligible.vendors"))
        raise InfeasibleError(f"{s.system.id}: the terms of site {s.site.id} hold for chips of {vendors} only")
    r = standing(s)
    plan, run, _ = choose(s, r, w, o)
    if run is None:
        raise InfeasibleError(f"{s.system.id}: {plan['reason']}")
    values = values_read(s)
    known = [name for name in run(r).metrics if name in METRICS]
    unknown = [name for name in metrics if name not in known]
    if unknown:
        raise UsageError(f"{', '.join(unknown)}: no such metric in this scenario, which has {', '.join(known)}")
    names = list(dict.fromkeys(metrics or [*(name for name in FIRST if name in known), *known]))
    base, (low, high, at_low, at_high) = _differences(s, run, values, names)
    found = []
    for place, (key, (_, path, value)) in enumerate(values.items()):
        ends = np.log((1.0 + STEP) / (1.0 - STEP))
        elasticity = {n: float(np.log(high[n][place] / low[n][place]) / ends) if base[n] > 0.0 else 0.0 for n in names}
        below, above = ({n: float(ends_of[n][place] / base[n] - 1.0) if base[n] else 0.0 for n in names} for ends_of in (at_low, at_high))
        halved = doubled = {}
        if path.endswith(COUNTED):
            elasticity = dict.fromkeys(names, 0.0)
            if finite:
                halved, doubled = (_chosen_again(s, w, o, key, float(np.floor(value.value * factor)), base) for factor in (0.5, 2.0))
        found.append(Sensitivity(key, value, elasticity, below, above, halved, doubled))
    scenario = {"model": s.model.id, "workload": w.kind, "stack": s.stack.id, "site": s.site.id, "accelerators": s.accelerators}
    return Sensitivities((s.system.id,), scenario, base, tuple(found), lambda count: (metrics_of(run(r), run(drawn(s, count))),))


def _differences(
    s: Scene, run: Run, values: Mapping[str, tuple[Spec, str, Value]], names: Sequence[str]
) -> tuple[dict[str, float], list[dict[str, NDArray[np.float64]]]]:
    """Metrics as they stand, and with each value a step down, a step up, at the low and at the high end of its range."""
    count = len(values)
    arrays = {}
    for place, (key, (_, _, value)) in enumerate(values.items()):
        column = np.full(4 * count + 1, value.value)
        column[[place, count + place]] = value.value * (1.0 - STEP), value.value * (1.0 + STEP)
        column[[2 * count + place, 3 * count + place]] = value.low, value.high
        arrays[key] = column

    with np.errstate(all="ignore"):
        metrics = run(records(s, given_reader(arrays))).metrics
    full = {name: np.broadcast_to(np.asarray(metrics[name], dtype=float), (4 * count + 1,)) for name in names}
    base = {name: float(full[name][-1]) for name in names}
    parts = [{name: full[name][k * count : (k + 1) * count] for name in names} for k in range(4)]
    return base, parts


def _chosen_again(s: Scene, w: Workload, o: Options, key: str, number: float, base: Mapping[str, float]) -> dict[str, float]:
    """Metrics over what they are, minus one, with another number and the plan that is then best; empty where there is none."""
    if number < 1.0:
        return {}
    other = changed_scene(s, {key: number})
    with np.errstate(all="ignore"):  # some plans have no engine, and count for nothing
        try:
            _, run, _ = choose(other, standing(other), w, o)
        except PlanError:
            return {}
        if run is None:
            return {}
        metrics = run(standing(other)).metrics
    return {name: float(metrics[name]) / value - 1.0 if value else 0.0 for name, value in base.items() if name in metrics}


def _ratio(first: Sensitivities, second: Sensitivities) -> tuple[dict[str, float], dict[str, Sensitivity]]:
    """Sensitivities of the ratio; what both read moves both."""
    names = [name for name in first.metrics if second.metrics.get(name)]
    one, other = ({item.address: item for item in each.found} for each in (first, second))
    found = {}
    for key in dict.fromkeys([*one, *other]):
        a, b = one.get(key), other.get(key)
        value = (a or b).value  # type: ignore[union-attr]
        parts: list[dict[str, float]] = []
        for part in ("at_low", "at_high", "halved", "doubled"):
            above, below = (getattr(each, part) if each else {} for each in (a, b))
            missing = (a is not None and not above) or (b is not None and not below)
            parts.append({} if missing else {n: (1.0 + above.get(n, 0.0)) / (1.0 + below.get(n, 0.0)) - 1.0 for n in names})
        elasticity = {n: (a.elasticity[n] if a else 0.0) - (b.elasticity[n] if b else 0.0) for n in names}
        found[key] = Sensitivity(key, value, elasticity, *parts)
    return {name: first.metrics[name] / second.metrics[name] for name in names}, found
