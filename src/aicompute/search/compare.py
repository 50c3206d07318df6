"""Estimates and comparisons: specs in, answers out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from aicompute.errors import UsageError
from aicompute.estimate import evaluate, replay
from aicompute.estimate import workload as workloads
from aicompute.estimate.account import Activity, account
from aicompute.estimate.context import Records, Scene, drawn, scene, standing
from aicompute.estimate.evaluate import Outcome
from aicompute.estimate.result import METRICS, Comparison, Estimate, Metric, Part, bounds
from aicompute.estimate.workload import Workload
from aicompute.search import best
from aicompute.search.explain import interval_parts, operator_lines, origins
from aicompute.search.reasons import shown_plan, time_text, why_late, why_memory
from aicompute.search.service import Run, best_of, choose_service, drafts_worth_trying
from aicompute.search.training_plans import training_plan
from aicompute.specs import Library

EQUAL = ("accelerators", "power", "cost", "flops")


@dataclass(frozen=True)
class Options:
    """Terms of an estimate or comparison."""

    sites: tuple[str, ...] = ()
    """Ids, or "home"; empty: the US average for all."""
    stack: str | None = None
    precision: str | Mapping[str, str] | None = None
    """None or "native": each system's best; "8bit"; a word; a map."""
    utilisation: float | None = None
    """Share of the time that is used; None: 0.6 serving, 1 training."""
    accelerators: float | None = None
    equal: str | None = None
    plan: Mapping[str, float] = field(default_factory=dict)
    samples: int = 400
    explain: bool = False
    rent: float | None = None
    """USD per accelerator and second."""
    drafts: tuple[float, ...] = ()
    """Draft tokens of a decode step worth trying; empty: none, and the stack's habit."""

    def used(self, w: Workload) -> float:
        """Share of the time that is used."""
        return self.utilisation if self.utilisation is not None else (1.0 if w.is_training else 0.6)


def estimate_system(lib: Library, system: str, model: str, w: Workload, options: Options | None = None) -> Estimate:
    """One system in one scenario at its best plan.

    Parameters
    ----------
    lib : Library
    system, model : str   Ids or aliases.
    w : Workload
    options : Options     The first site counts.

    Returns
    -------
    Estimate; infeasible ones say why and what would do.

    Raises
    ------
    AicomputeError
        Unknown names, options that make no sense.
    """
    o = options or Options()
    site = o.sites[0] if o.sites else None
    s = scene(lib, system, model, w.kind, site, o.stack, o.precision, o.accelerators, o.used(w), o.rent)
    best.check_overrides(o.plan, best.TRAINING_KEYS if w.is_training else best.SERVING_KEYS, w.kind)
    r = standing(s)
    if not s.eligible:
        vendors = ", ".join(s.site.get("eligible.vendors"))
        return _infeasible(s, w, f"the terms of site {s.site.id} hold for chips of {vendors} only")
    plan, run, known = choose(s, r, w, o)
    if run is None:
        return _infeasible(s, w, plan["reason"], plan)
    outcome = run(r) if known is None or o.explain else known
    sampled: Outcome | None = None
    if o.samples:
        sampled = run(drawn(s, o.samples))
    found = _assemble(s, w, plan, outcome, sampled)
    if o.explain:
        main = "tokens_per_s_per_accelerator"
        found = replace(
            found,
            operators=operator_lines(outcome, r),
            origins=origins(s, run, main),
            interval_parts=interval_parts(s, run, main, o.samples or 400),
        )
    return found


def choose(s: Scene, r: Records, w: Workload, o: Options) -> tuple[dict[str, Any], Run | None, Outcome | None]:
    """The plan, as people read it, how to evaluate it again with other records, and what it gives where that is known."""
    if w.is_training:
        choice = best.best_training(s, r, w, o.plan)
        if not choice.feasible:
            return why_memory(s, r, w, choice), None, None
        plan = training_plan(choice.plan, choice.plan["sequence_parallel"])
        return shown_plan(choice, s), lambda x: replay.outcome("training", s, x, w, plan, operators=o.explain), choice.outcome
    drafts = drafts_worth_trying(s, o.drafts)
    if w.kind == "decode":
        choice, made = best_of(drafts, lambda n: best.best_decode(s, r, w, o.plan, n))
        if not choice.feasible:
            return why_late(s, r, w, choice, "TPOT", w.tpot), None, None
        p, n = evaluate.plan_of(choice.plan), choice.plan["sequences"]
        shown = {**shown_plan(choice, s), "drafts": made}
        return shown, lambda x: replay.outcome("decode", s, x, w, p, n, made, operators=o.explain), choice.outcome
    if w.kind == "prefill":
        choice = best.best_prefill(s, r, w, o.plan)
        if not choice.feasible:
            return why_late(s, r, w, choice, "TTFT", w.ttft), None, None
        p, n = evaluate.plan_of(choice.plan), choice.plan["sequences"]
        return shown_plan(choice, s), lambda x: replay.outcome("prefill", s, x, w, p, n, operators=o.explain), choice.outcome
    return (*choose_service(s, r, w, dict(o.plan), drafts, o.explain), None)


def metrics_of(outcome: Outcome, sampled: Outcome | None) -> dict[str, Metric]:
    """Metrics of an outcome with the intervals that draws give them."""
    numbers = {name: float(value) for name, value in outcome.metrics.items() if name in METRICS}
    draws = {name: sampled.metrics[name] for name in numbers} if sampled else {}
    drawn = {name: many for name, many in draws.items() if isinstance(many, np.ndarray) and many.ndim}
    found = {name: Metric(number, number, number, METRICS[name][0]) for name, number in numbers.items()}
    if drawn:
        ends = bounds(np.stack(list(drawn.values())))
        for (name, many), low, high in zip(drawn.items(), ends[0].tolist(), ends[1].tolist(), strict=True):
            number = numbers[name]
            found[name] = Metric(number, min(low, number), max(high, number), METRICS[name][0], many)
    return found


def _target(w: Workload) -> str:
    parts = []
    if w.ttft is not None:
        parts.append(f"TTFT <= {time_text(w.ttft)}")
    if w.tpot is not None:
        parts.append(f"TPOT <= {time_text(w.tpot)}")
    return ", ".join(parts)


def _base(s: Scene, w: Workload) -> dict[str, Any]:
    return {
        "system": s.system.id,
        "system_name": s.system.name,
        "accelerator": s.accelerator.id,
        "site": s.site.id,
        "workload": w.kind,
        "model": s.model.id,
        "stack": s.stack.id,
        "accelerators": s.accelerators,
        "units": float(np.ceil(s.accelerators / s.per_unit - 1e-9)),
        "target": _target(w),
    }


def _infeasible(s: Scene, w: Workload, reason: str, plan: Mapping[str, Any] | None = None) -> Estimate:
    shown = {k: v for k, v in (plan or {}).items() if k not in ("reason", "others")}
    return Estimate(**_base(s, w), feasible=False, reason=reason, plan=shown, metrics={}, breakdown=(), communication=(), bottleneck="")


def _assemble(s: Scene, w: Workload, plan: dict[str, Any], outcome: Outcome, sampled: Outcome | None) -> Estimate:
    metrics = metrics_of(outcome, sampled)
    seconds = {name: float(v) for name, v in outcome.parts.items()}
    total = sum(seconds.values())
    parts = [Part(name, time, time / total) for name, time in seconds.items() if time > 0.0]
    parts.sort(key=lambda part: -part.seconds)
    wires = {name: float(v) for name, v in outcome.communication.items()}
    talk = tuple(Part(name, time, time / total) for name, time in wires.items() if time > 0.0)
    alternatives = plan.pop("others", ())
    plan = {**plan, "precision": dict(s.precision)}
    biggest = parts[0]
    return Estimate(
        **_base(s, w),
        feasible=True,
        reason="",
        plan=plan,
        metrics=metrics,
        breakdown=tuple(parts),
        communication=talk,
        bottleneck=f"{biggest.name} ({biggest.share:.0%} of the time)",
        alternatives=tuple(alternatives),
    )


def _allotted(lib: Library, systems: Sequence[str], model: str, w: Workload, o: Options) -> list[float | None]:
    """Accelerators of each system under equal terms."""
    if o.equal is None:
        return [o.accelerators] * len(systems)
    if o.equal not in EQUAL:
        raise UsageError(f"equal = {o.equal!r} is not one of {', '.join(EQUAL)}")
    scenes = [
        scene(lib, name, model, w.kind, (o.sites or ("us-average",))[0], o.stack, o.precision, None, o.used(w), o.rent) for name in systems
    ]
    # the last system named sets the budget: so many of its accelerators, or one unit
    budget = _spent(scenes[-1], o.accelerators or scenes[-1].per_unit, o.equal)
    return [_worth(s, budget, o.equal) for s in scenes]


def _spent(s: Scene, count: float, what: str) -> float:
    """What so many accelerators of a system take of a budget: accelerators, FLOP/s, watts at work or dollars a second."""
    if what == "accelerators":
        return count
    if what == "flops":
        return count * s.accelerator.si("peak.bf16")
    r = standing(s)
    busy = Activity(1.0, 0.4 * float(r.power.peak) / s.devices_each, 0.3 * float(r.device.bandwidth), 0.0)  # much the same for all work
    paid = account(replace(s, accelerators=count, memo={}), r, 1.0, [busy])
    return float(paid.it_power if what == "power" else paid.cost_rate)


def _worth(s: Scene, budget: float, what: str) -> float:
    """The accelerators that a budget buys, the network between units included where there are several."""
    count = s.per_unit
    for _ in range(8):
        count = max(round(count * budget / _spent(s, count, what)), 1)
    return float(count)


def compare_systems(
    lib: Library, systems: Sequence[str], model: str, w: Workload, options: Options | None = None, title: str = ""
) -> Comparison:
    """Systems side by side in one scenario; several sites give an entry for each system and site.

    Raises
    ------
    UsageError
        No system; unknown names.
    """
    o = options or Options()
    if not systems:
        raise UsageError("compare needs at least one system, such as cloudmatrix-384")
    counts = _allotted(lib, systems, model, w, o)
    sites = o.sites or ("us-average",)
    same = len(sites) == 1 and not any(count != o.accelerators for count in counts)
    found = [
        estimate_system(lib, name, model, w, o if same else replace(o, sites=(site,), accelerators=count))
        for site in sites
        for name, count in zip(systems, counts, strict=True)
    ]
    scenario = {
        "model": found[0].model,
        "workload": workloads.described(w),
        "precision": o.precision if o.precision is not None else "native",
        "sites": list(sites),
        "utilisation": o.used(w),
        "equal": o.equal,
        "accelerators": o.accelerators,
    }
    return Comparison(title or _title(found[0].model, w), scenario, tuple(found), _unknown_making(found))


def _unknown_making(found: Sequence[Estimate]) -> tuple[str, ...]:
    """A note for accelerators whose footprint nobody knows, where a token's carbon is told."""
    told = [e for e in found if "carbon_per_token" in e.metrics]
    lacking = dict.fromkeys(e.accelerator for e in told if "embodied_carbon_per_token" not in e.metrics)
    return tuple(f"{name}: no carbon.embodied in its spec (no footprint published, no die area): making left out" for name in lacking)


def _title(model: str, w: Workload) -> str:
    if w.is_training:
        return f"{model}: training, {w.sequence_length:,.0f} tokens, {w.global_batch:,.0f} sequences a step"
    target = _target(w)
    lengths = f"{w.input_length:,.0f} in" + ("" if w.kind == "prefill" else f", {w.output_length:,.0f} out")
    return f"{model}: {w.kind}, {lengths}" + (f", {target}" if target else "")


def headline(lib: Library, systems: Sequence[str], options: Options | None = None) -> list[Comparison]:
    """The questions that people ask first, on terms equal for all systems."""
    o = options or Options()
    served, trained = "deepseek-r1-0528", "deepseek-v3"
    drafting = replace(o, drafts=(0.0, 1.0)) if not o.drafts else o  # the same on both sides
    eight = replace(drafting, precision="8bit") if o.precision is None else drafting
    native = replace(drafting, precision="native") if o.precision is None else drafting
    asked: list[tuple[str, str, Workload, Options]] = []
    for tpot in (0.015, 0.030, 0.050, 0.100):
        asked.append((f"decode, TPOT <= {tpot * 1e3:g} ms, 8 bits", served, workloads.decode(tpot=tpot), eight))
    asked.append(("decode, TPOT <= 50 ms, each at its native best", served, workloads.decode(tpot=0.050), native))
    asked.append(("prefill, TTFT <= 2 s, 8 bits", served, workloads.prefill(ttft=2.0), eight))
    service = workloads.serving(ttft=2.0, tpot=0.050)
    asked.append(("the whole service, TTFT <= 2 s, TPOT <= 50 ms, 8 bits, same site", served, service, eight))
    asked.append(("the whole service, each at home", served, service, replace(eight, sites=("home",))))
    peak = lib.load("accelerators", "nvidia-gb200").si("peak.bf16")
    budget = round(2048 * peak / lib.load("accelerators", str(lib.load("systems", systems[-1]).get("accelerator"))).si("peak.bf16"))
    train = replace(native, equal="flops", accelerators=float(budget))
    asked.append(("training at the peak of 2,048 GB200 GPUs, same site", trained, workloads.training(tokens=14.8e12), train))
    asked.append(("training, each at home", trained, workloads.training(tokens=14.8e12), replace(train, sites=("home",))))
    answers = []
    for title, model, w, terms in asked:
        answers.append(compare_systems(lib, systems, model, w, terms, title))
    return answers
