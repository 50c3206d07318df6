"""The scenario asked again along one line: latency or size, and the number of accelerators that the scale-up network joins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from aicompute.errors import AicomputeError
from aicompute.estimate.result import Comparison, Estimate, Metric
from aicompute.estimate.workload import Workload
from aicompute.report.page.asked import Asked
from aicompute.specs import Spec

TPOTS = (0.010, 0.013, 0.017, 0.022, 0.030, 0.050, 0.070, 0.100, 0.200)
"""Longest times per output token along a front [s]."""
TTFTS = (0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
"""Longest times to the first token along a front [s]."""
SIZES = (128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0, 8192.0, 16384.0)
"""Accelerators of a training run along a front."""
DOMAINS = (8, 16, 32, 64, 128, 256, 512, 1024)
"""Accelerators that a scale-up network joins."""
MOST_DRAWS = 200
"""Behind the bands of a front."""
TIGHT = 0.020
"""Time per output token at which the network counts most [s]."""


@dataclass(frozen=True)
class Point:
    """One answer along a front."""

    target: float
    """What was asked: a latency [s], or accelerators."""
    x: Metric
    rates: dict[str, Metric]
    """Tokens/s per accelerator, per megawatt and per dollar of cost."""
    plan: Estimate


@dataclass(frozen=True)
class Front:
    """Throughput against latency (serving, decode, prefill) or size (training) of both systems."""

    axis: str
    """What x is, with its unit."""
    at: str
    """The same in a sentence, with a place for the number."""
    better: str
    """Which way is better."""
    asked_by: str
    """What was asked for at each point, and its unit."""
    lines: tuple[Sequence[Point], Sequence[Point]]
    comparisons: tuple[Comparison, ...]


BASES = {
    "accelerator": ("per accelerator", "tokens/s per accelerator"),
    "megawatt": ("per megawatt", "tokens/s per megawatt at the meter"),
    "dollar": ("per dollar", "million tokens per dollar"),
}
"""What throughput is counted over: word of the switch and name of the axis."""


def front(asked: Asked) -> Front:
    """The scenario under tighter and looser targets, the best plan of each."""
    w = asked.workload
    targets: tuple[float, ...]
    if w.kind == "training":
        axis, at, better, by, targets = "accelerators", "on {} accelerators", "Further up is better", "accelerators", SIZES
    elif w.kind == "prefill":
        axis, at, better = "time to first token [s]", "with the first token after {} s", "Further left and further up is better"
        by, targets = "TTFT [s]", tuple(sorted({*TTFTS, *([w.ttft] if w.ttft else [])}))
    else:
        axis, at, better = "tokens/s per user", "at {} tokens/s per user", "Further right and further up is better"
        by, targets = "TPOT [s]", tuple(sorted({*TPOTS, *([w.tpot] if w.tpot else [])}))
    samples = min(asked.options.samples, MOST_DRAWS)
    found = []
    for target in targets:
        try:
            if w.kind == "training":
                found.append((target, asked.ask(accelerators=target, samples=samples)))
            else:
                changed = replace(w, ttft=target) if w.kind == "prefill" else replace(w, tpot=target)
                found.append((target, asked.ask(workload=changed, samples=samples)))
        except AicomputeError:
            if w.kind != "training":
                raise
            continue  # a run of so few or so many accelerators has no layout
    lines = [_line([(target, each.estimates[k]) for target, each in found], w.kind) for k in (0, 1)]
    return Front(axis, at, better, by, (lines[0], lines[1]), tuple(each for _, each in found))


def _line(found: Sequence[tuple[float, Estimate]], kind: str) -> list[Point]:
    """Feasible answers from left to right; of those that are the same, the first."""
    points: dict[float, Point] = {}
    for target, e in found:
        if not e.feasible:
            continue
        size = Metric(e.accelerators, e.accelerators, e.accelerators, "1")
        x = size if kind == "training" else e.metrics["ttft" if kind == "prefill" else "tokens_per_s_per_user"]
        points.setdefault(x.value, Point(target, x, _rates(e), e))
    return [points[key] for key in sorted(points)]


def _rates(e: Estimate) -> dict[str, Metric]:
    """Throughput over accelerators, power at the meter, and cost."""
    each, total, power, cost = (e.metrics[k] for k in ("tokens_per_s_per_accelerator", "tokens_per_s", "site_power", "cost_per_token"))
    return {
        "accelerator": each,
        "megawatt": over(total, power, 1e6),
        "dollar": over(Metric(1e-6, 1e-6, 1e-6, "1"), cost, 1.0),
    }


def over(above: Metric, below: Metric, scale: float) -> Metric:
    """A metric over another, its interval from shared draws."""
    value = scale * above.value / below.value
    if above.draws is None and below.draws is None:
        return Metric(value, value, value, "1")
    top, bottom = (one.value if one.draws is None else one.draws for one in (above, below))
    drawn = scale * np.asarray(top) / np.asarray(bottom)
    low, high = (float(q) for q in np.quantile(drawn, (0.05, 0.95)))
    return Metric(value, min(low, value), max(high, value), "1", drawn)


@dataclass(frozen=True)
class DomainPoint:
    """An answer with a scale-up network of another size."""

    accelerators: float
    """That it joins."""
    rate: float
    """Tokens/s per accelerator under the best plan."""
    exposed: float
    """Share of the time that communication takes."""
    communication: float
    """The same where nothing is hidden."""
    experts: float
    """Devices over which experts are spread."""
    held_rate: float
    """Under the plan that is best for the largest network; nan where it does not fit."""
    held_exposed: float


@dataclass(frozen=True)
class Domain:
    """Both systems over the size of their scale-up network; a line is empty where a system has no such network."""

    accelerators: float
    """Of each system."""
    lines: tuple[Sequence[DomainPoint], Sequence[DomainPoint]]
    own: tuple[float, float]
    """What the systems as they are sold join [accelerator]."""


def domains(asked: Asked) -> list[tuple[str, Domain]]:
    """`domain` at the latency that was asked for and at a tight one, with titles."""
    w = asked.decoding
    if w.kind != "decode":
        return [(w.kind.capitalize(), domain(asked, w))]
    tight = [] if w.tpot is not None and w.tpot <= TIGHT else [replace(w, tpot=TIGHT)]
    return [(_target(each), domain(asked, each)) for each in [w, *tight]]


def _target(w: Workload) -> str:
    return f"A token in {w.tpot * 1e3:g} ms at most" if w.tpot else "No latency target"


def domain(asked: Asked, work: Workload) -> Domain:
    """What the chips would do on scale-up networks of other sizes, both with the same number of accelerators."""
    estimates = asked.step.estimates
    specs = [asked.spec(estimate) for estimate in estimates]
    own = [_own(asked, spec) for spec in specs]
    count = max(float(DOMAINS[-1]), *(e.accelerators for e in estimates))
    sizes = sorted({*map(float, DOMAINS), *(size for size in own if DOMAINS[0] <= size <= DOMAINS[-1])})
    given = {"samples": 0, "accelerators": count, "equal": None}
    free = {size: asked.ask(workload=work, changes=_joined(asked, specs, size), **given) for size in sizes}
    lines: list[list[DomainPoint]] = []
    for k in (0, 1):
        held = _width(free[sizes[-1]].estimates[k])
        terms = {**given, "plan": {**asked.options.plan, **held}}
        fixed = {size: _held(asked, work, _joined(asked, specs, size), terms, k) for size in sizes} if held else {}
        points = [_point(size, free[size].estimates[k], fixed.get(size)) for size in sizes if free[size].estimates[k].feasible]
        lines.append(points if own[k] == own[k] else [])
    return Domain(count, (lines[0], lines[1]), (own[0], own[1]))


def _tier(spec: Spec) -> str:
    """Name of the scale-up tier; none where a system has only a network between servers."""
    names = [name for name in spec.get("tiers") if name not in ("in-package", "scale-out")]
    return names[-1] if names else ""


def _devices(asked: Asked, spec: Spec) -> float:
    return asked.library.load("accelerators", str(spec.get("accelerator"))).si("devices", 1.0)


def _own(asked: Asked, spec: Spec) -> float:
    tier = _tier(spec)
    return spec.si(f"tiers.{tier}.domain") / _devices(asked, spec) if tier else float("nan")


def _joined(asked: Asked, specs: Sequence[Spec], size: float) -> dict[str, float]:
    """The change that joins so many accelerators of each system."""
    return {f"{spec.id}.tiers.{tier}.domain": size * _devices(asked, spec) for spec in specs if (tier := _tier(spec))}


def _width(estimate: Estimate) -> dict[str, float]:
    """How far a plan spreads experts, or else tensors."""
    plan = estimate.plan
    if float(plan.get("ep", 1)) > 1.0:
        return {"ep": float(plan["ep"])}
    return {"tp": float(plan["tp"])} if float(plan.get("tp", 1)) > 1.0 else {}


def _held(asked: Asked, work: Workload, changes: dict[str, float], terms: dict[str, Any], k: int) -> Estimate | None:
    """The answer of one system under a plan as wide as on the largest network."""
    try:
        one = replace(asked, systems=(asked.systems[k],))
        found = one.ask(workload=work, changes=changes, **terms).estimates[0]
    except AicomputeError:
        return None
    return found if found.feasible else None


def _point(size: float, e: Estimate, held: Estimate | None) -> DomainPoint:
    nan = float("nan")
    return DomainPoint(
        size,
        e.value("tokens_per_s_per_accelerator"),
        e.value("exposed_share"),
        e.value("communication_share"),
        float(e.plan.get("ep", 1)),
        held.value("tokens_per_s_per_accelerator") if held else nan,
        held.value("exposed_share") if held else nan,
    )
