"""Estimates and comparisons: specs in, answers out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from aicompute.errors import UsageError
from aicompute.estimate import evaluate
from aicompute.estimate import workload as workloads
from aicompute.estimate.account import account
from aicompute.estimate.context import Records, Scene, default_drafts, drawn, engine, scene, standing
from aicompute.estimate.evaluate import Outcome
from aicompute.estimate.result import METRICS, Comparison, Estimate, Metric, Part
from aicompute.estimate.serving import ServingPlan
from aicompute.estimate.workload import Workload
from aicompute.search import best
from aicompute.search.explain import interval_parts, operator_lines, origins
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
    use = o.utilisation if o.utilisation is not None else (1.0 if w.is_training else 0.6)
    s = scene(lib, system, model, w.kind, site, o.stack, o.precision, o.accelerators, use, o.rent)
    best.check_overrides(o.plan, best.TRAINING_KEYS if w.is_training else best.SERVING_KEYS, w.kind)
    r = standing(s)
    if not s.eligible:
        vendors = ", ".join(s.site.get("eligible.vendors"))
        return _infeasible(s, w, f"the terms of site {s.site.id} hold for chips of {vendors} only")
    plan, run = _choose(s, r, w, o)
    if run is None:
        return _infeasible(s, w, plan["reason"], plan)
    outcome = run(r)
    sampled: Outcome | None = None
    if o.samples:
        sampled = run(drawn(s, o.samples))
    found = _assemble(s, w, plan, outcome, sampled, o.samples)
    if o.explain:
        main = "tokens_per_s_per_accelerator"
        found = replace(
            found,
            operators=operator_lines(outcome, r, w),
            origins=origins(s, run, main),
            interval_parts=interval_parts(s, run, main, o.samples or 400),
        )
    return found


Run = Callable[[Records], Outcome]


def _choose(s: Scene, r: Records, w: Workload, o: Options) -> tuple[dict[str, Any], Run | None]:
    """The plan, as people read it, and how to evaluate it again with other records."""
    if w.is_training:
        choice = best.best_training(s, r, w, o.plan)
        if not choice.feasible:
            return _why_memory(s, r, w, choice), None
        plan = best.training_plan(choice.plan, choice.plan["sequence_parallel"])
        return _shown(choice, s), lambda x: evaluate.training_outcome(s, x, w, plan)
    drafts = _drafts(s, o)
    if w.kind == "decode":
        choice, made = _best_of(drafts, lambda n: best.best_decode(s, r, w, o.plan, n))
        if not choice.feasible:
            return _why(s, r, w, choice, "TPOT", w.tpot), None
        p, n = evaluate.plan_of(choice.plan), choice.plan["sequences"]
        return {**_shown(choice, s), "drafts": made}, lambda x: evaluate.decode_outcome(s, x, w, p, n, made)
    if w.kind == "prefill":
        choice = best.best_prefill(s, r, w, o.plan)
        if not choice.feasible:
            return _why(s, r, w, choice, "TTFT", w.ttft), None
        p, n = evaluate.plan_of(choice.plan), choice.plan["sequences"]
        return _shown(choice, s), lambda x: evaluate.prefill_outcome(s, x, w, p, n)
    return _choose_service(s, r, w, o, drafts)


def _drafts(s: Scene, o: Options) -> list[float]:
    """Draft tokens of a step worth trying; only models that ship draft layers make any."""
    asked = o.drafts or (0.0, default_drafts(s))
    for number in asked:
        if not 0.0 <= number <= 8.0:
            raise UsageError(f"drafts = {number:g}: expected 0 to 8")
    return sorted(set(asked)) if s.model.get("mtp_layers", 0) else [0.0]


def _best_of(drafts: list[float], choose: Callable[[float], best.Choice]) -> tuple[best.Choice, float]:
    """The best choice over numbers of draft tokens: a feasible one if any, then the highest objective."""
    tried = [(choose(n), n) for n in drafts]
    return max(tried, key=lambda pair: (pair[0].feasible, pair[0].objective))


def _choose_service(s: Scene, r: Records, w: Workload, o: Options, drafts: list[float]) -> tuple[dict[str, Any], Run | None]:
    """One mixed pool, or a prefill and a decode pool: whichever delivers more."""
    mixed, mixed_drafts = _best_of(drafts, lambda n: best.best_in_flight(s, r, w, o.plan, n))
    then, made = _best_of(drafts, lambda n: best.best_decode(s, r, w, o.plan, n))
    first = best.best_prefill(s, r, w, {k: v for k, v in o.plan.items() if k != "batch"})
    pools: tuple[dict[str, Any], Run] | None = None
    rate, reached = 0.0, 0.0
    if first.feasible and then.feasible:
        p1, n1, p2, n2 = evaluate.plan_of(first.plan), first.plan["sequences"], evaluate.plan_of(then.plan), then.plan["sequences"]

        def run(x: Records) -> Outcome:
            return evaluate.pools_outcome(s, x, w, p1, n1, p2, n2, made)

        outcome = run(r)
        rate = float(outcome.metrics["tokens_per_s_per_accelerator"])
        shown = {
            "pools": "prefill and decode",
            "prefill_share": float(outcome.metrics["prefill_share"]),
            "drafts": made,
            **{f"prefill_{k}": v for k, v in _shown(first, s).items() if k != "others"},
            **{f"decode_{k}": v for k, v in _shown(then, s).items() if k != "others"},
        }
        reached = float(outcome.metrics["ttft"])
        if reached <= (w.ttft or np.inf):
            pools = (shown, run)
    if mixed.feasible and (pools is None or mixed.objective > rate):
        p, n = evaluate.plan_of(mixed.plan), mixed.plan["sequences"]
        return {"pools": "one, mixed", **_shown(mixed, s), "drafts": mixed_drafts}, lambda x: evaluate.in_flight_outcome(
            s, x, w, p, n, mixed_drafts
        )
    if pools is not None:
        return pools
    if reached:
        moved = f"no pools meet TTFT <= {_time_text(w.ttft or 0.0)}; TTFT at best {_time_text(reached)} with the cache moved between them"
        return {"reason": moved}, None
    failing = then if not then.feasible else first
    return _why(s, r, w, failing, "TPOT" if failing is then else "TTFT", w.tpot if failing is then else w.ttft), None


def _shown(choice: best.Choice, s: Scene) -> dict[str, Any]:
    """A plan as people read it."""
    shown: dict[str, Any] = {}
    for key, value in choice.plan.items():
        if key == "sequences":
            engine_accelerators = choice.plan["tp"] * choice.plan["dp"] * choice.plan["pp"] / s.devices_each
            shown["engine_accelerators"] = engine_accelerators
            shown["batch_per_accelerator"] = value / engine_accelerators
        elif key == "recompute":
            shown[key] = ("none", "selective", "full")[int(value)]
        else:
            shown[key] = int(value) if float(value).is_integer() else value
    shown["others"] = choice.others
    return shown


def _why(s: Scene, r: Records, w: Workload, choice: best.Choice, name: str, target: float | None) -> dict[str, Any]:
    """Why no serving plan does."""
    if choice.reason == "memory":
        return _why_memory(s, r, w, choice)
    plan = _shown(choice, s)
    layout = " ".join(f"{k}{plan[k]}" for k in ("tp", "dp", "pp", "ep") if k in plan)
    wanted = f"{(target or 0.0) * 1e3:g} ms"
    return {
        **plan,
        "reason": f"no plan meets {name} <= {wanted}; {choice.reason}, with {layout}, "
        f"batch {plan['batch_per_accelerator']:.3g} per accelerator",
    }


def _why_memory(s: Scene, r: Records, w: Workload, choice: best.Choice) -> dict[str, Any]:
    """How much memory is missing, and what would hold the model."""
    if w.is_training:
        plan = best.training_plan(choice.plan, choice.plan["sequence_parallel"])
        out = evaluate.training_outcome(s, r, w, plan, cost=False)
        need, have = sum(float(v) for v in out.memory_parts.values()), float(r.device.capacity)
        text = f"does not fit: the leanest plan needs {need / 1e9:.0f} GB a device of {have / 1e9:.0f}, {(need - have) / 1e9:.0f} too much"
        count = s.accelerators
        while count < 32.0 * s.accelerators and count < 65536.0:
            count *= 2.0
            larger = replace(s, accelerators=count, memo={})
            if best.best_training(larger, r, w, {}).feasible:
                return {"reason": f"{text}; {count:.0f} accelerators hold it"}
        return {"reason": f"{text}; more accelerators do not help: a shorter sequence or a smaller micro-batch might"}
    stack = r.serving
    if stack is None:
        raise ValueError("the scene is not a serving scene")
    length = w.input_length + (w.output_length if w.kind != "prefill" else 0.0)
    have = float(stack.memory_share * r.device.capacity)
    each = _least_memory(s, r, length, s.devices)
    if each <= have:
        asked = f"the plan or batch asked for needs more than the {have / 1e9:.1f} GB usable of a device"
        return {"reason": f"does not fit: {asked}; other plans with one sequence need {each / 1e9:.1f} GB"}
    text = f"does not fit: at least {each / 1e9:.1f} GB a device of {have / 1e9:.1f} GB usable, {(each - have) / 1e9:.1f} GB short"
    size = s.devices
    while size < 65536:
        size *= 2
        if _least_memory(s, r, length, size) <= have:
            return {"reason": f"{text}; {size / s.devices_each:.0f} accelerators hold it"}
    return {"reason": f"{text}; more accelerators do not help: one sequence is too long"}


def _least_memory(s: Scene, r: Records, length: float, devices: float) -> float:
    """Least bytes a device needs for the weights and one sequence over all plans."""
    columns = best._serving_columns(s, r.arch, {}, devices)
    plan = ServingPlan(*(columns[k] for k in ("tp", "dp", "pp", "ep")))
    e = engine(s, r, plan, 0.0)
    share, parts = evaluate.serving_memory(e, np.asarray(plan.dp), length)
    del share
    return float(np.min(sum(np.asarray(v) for v in parts.values())))


def _metric(name: str, value: Any, draws: Any) -> Metric:
    unit = METRICS[name][0] if name in METRICS else "1"
    number = float(value)
    if draws is None:
        return Metric(number, number, number, unit)
    drawn = np.asarray(draws, dtype=float)
    if drawn.ndim == 0:
        return Metric(number, number, number, unit)
    low, high = (float(q) for q in np.quantile(drawn, (0.05, 0.95)))
    return Metric(number, min(low, number), max(high, number), unit, drawn)


def _time_text(seconds: float) -> str:
    return f"{seconds:g} s" if seconds >= 1.0 else f"{seconds * 1e3:g} ms"


def _target(w: Workload) -> str:
    parts = []
    if w.ttft is not None:
        parts.append(f"TTFT <= {_time_text(w.ttft)}")
    if w.tpot is not None:
        parts.append(f"TPOT <= {_time_text(w.tpot)}")
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


def _assemble(s: Scene, w: Workload, plan: dict[str, Any], outcome: Outcome, sampled: Outcome | None, count: int) -> Estimate:
    metrics = {
        name: _metric(name, value, sampled.metrics[name] if sampled else None) for name, value in outcome.metrics.items() if name in METRICS
    }
    total = sum(float(v) for v in outcome.parts.values())
    parts = [Part(name, float(v), float(v) / total) for name, v in outcome.parts.items() if float(v) > 0.0]
    parts.sort(key=lambda part: -part.seconds)
    talk = tuple(Part(name, float(v), float(v) / total) for name, v in outcome.communication.items() if float(v) > 0.0)
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
    use = o.utilisation if o.utilisation is not None else (1.0 if w.is_training else 0.6)
    each: list[float] = []
    scenes = [scene(lib, name, model, w.kind, (o.sites or ("us-average",))[0], o.stack, o.precision, None, use, o.rent) for name in systems]
    for s in scenes:
        r = standing(s)
        if o.equal == "accelerators":
            each.append(1.0)
        elif o.equal == "flops":
            each.append(s.accelerator.si("peak.bf16"))
        else:
            big = replace(s, accelerators=1e4)  # network included
            paid = account(big, r, 1.0, float(r.power.peak) * 0.4 / s.devices_each, 0.3 * float(r.device.bandwidth), 0.0)
            each.append(float(paid.it_power if o.equal == "power" else paid.cost_rate) / 1e4)
    # the last system named sets the budget: so many of its accelerators, or one unit
    budget = (o.accelerators or scenes[-1].per_unit) * each[-1]
    return [max(float(round(budget / one)), 1.0) for one in each]


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
    found = [
        estimate_system(lib, name, model, w, replace(o, sites=(site,), accelerators=count))
        for site in sites
        for name, count in zip(systems, counts, strict=True)
    ]
    scenario = {
        "model": found[0].model,
        "workload": workloads.described(w),
        "precision": o.precision if o.precision is not None else "native",
        "sites": list(sites),
        "utilisation": o.utilisation if o.utilisation is not None else (1.0 if w.is_training else 0.6),
        "equal": o.equal,
        "accelerators": o.accelerators,
    }
    return Comparison(title or _title(found[0].model, w), scenario, tuple(found), ())


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
    budget = round(2048 * 2.5e15 / lib.load("accelerators", str(lib.load("systems", systems[-1]).get("accelerator"))).si("peak.bf16"))
    train = replace(native, equal="flops", accelerators=float(budget))
    asked.append(("training at the peak of 2,048 GB200 GPUs, same site", trained, workloads.training(tokens=14.8e12), train))
    asked.append(("training, each at home", trained, workloads.training(tokens=14.8e12), replace(train, sites=("home",))))
    answers = []
    for title, model, w, terms in asked:
        answers.append(compare_systems(lib, systems, model, w, terms, title))
    return answers
