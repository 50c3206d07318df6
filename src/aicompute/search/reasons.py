"""Plans as people read them, and why there is none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from aicompute.estimate import evaluate
from aicompute.estimate.context import Records, Scene, engine
from aicompute.estimate.serving import ServingPlan
from aicompute.estimate.workload import Workload
from aicompute.search import best
from aicompute.search.training_plans import training_plan


def time_text(seconds: float) -> str:
    """A time in the unit people would use."""
    return f"{seconds:.3g} s" if seconds >= 1.0 else f"{seconds * 1e3:.3g} ms"


def shown_plan(choice: best.Choice, s: Scene) -> dict[str, Any]:
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


def why_late(s: Scene, r: Records, w: Workload, choice: best.Choice, name: str, target: float | None) -> dict[str, Any]:
    """Why no serving plan does."""
    if choice.reason == "memory":
        return why_memory(s, r, w, choice)
    plan = shown_plan(choice, s)
    layout = " ".join(f"{k}{plan[k]}" for k in ("tp", "dp", "pp", "ep") if k in plan)
    wanted = f"no plan meets {name} <= {time_text(target)}" if target is not None else "no plan works"
    reached = f"{name} at best {time_text(choice.late)}"
    return {**plan, "reason": f"{wanted}; {reached}, with {layout}, batch {plan['batch_per_accelerator']:.3g} per accelerator"}


def why_memory(s: Scene, r: Records, w: Workload, choice: best.Choice) -> dict[str, Any]:
    """How much memory is missing, and what would hold the model."""
    if w.is_training:
        plan = training_plan(choice.plan, choice.plan["sequence_parallel"])
        out = evaluate.training_outcome(s, r, w, plan, cost=False)
        need, have = sum(float(v) for v in out.memory_parts.values()), float(r.device.capacity)
        text = f"does not fit: the leanest plan needs {need / 1e9:.0f} GB a device of {have / 1e9:.0f}, {(need - have) / 1e9:.2g} too much"
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
    each = least_memory(s, r, length, s.devices)
    if each <= have:
        asked = f"the plan or batch asked for needs more than the {have / 1e9:.1f} GB usable of a device"
        return {"reason": f"does not fit: {asked}; other plans with one sequence need {each / 1e9:.1f} GB"}
    text = f"does not fit: at least {each / 1e9:.1f} GB a device of {have / 1e9:.1f} GB usable, {(each - have) / 1e9:.1f} GB short"
    size = s.devices
    while size < 65536:
        size *= 2
        if least_memory(s, r, length, size) <= have:
            return {"reason": f"{text}; {size / s.devices_each:.0f} accelerators hold it"}
    return {"reason": f"{text}; more accelerators do not help: one sequence is too long"}


def least_memory(s: Scene, r: Records, length: float, devices: float) -> float:
    """Least bytes a device needs for the weights and one sequence over all plans."""
    columns = best._serving_columns(s, r.arch, {}, devices)
    plan = ServingPlan(*(columns[k] for k in ("tp", "dp", "pp", "ep")))
    e = engine(s, r, plan, 0.0)
    _, parts = evaluate.serving_memory(e, np.asarray(plan.dp), length)
    return float(np.min(sum(np.asarray(v) for v in parts.values())))
