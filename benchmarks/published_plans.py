"""Where published plans stand among all plans: `python benchmarks/published_plans.py [--all]`.

Each configuration of NeMo and Megatron Bridge on 64 to 2,048 GPUs in `evidence/training.csv`: the plan that was measured fastest is
predicted and compared with the best of all plans that the search finds for the same model, system, precision, batch and stack.
"""

from __future__ import annotations

import sys
from dataclasses import fields

import numpy as np

from aicompute.estimate import workload
from aicompute.estimate.context import scene, standing
from aicompute.estimate.evaluate import training_outcome
from aicompute.estimate.training import TrainingPlan
from aicompute.evidence.files import read_table
from aicompute.evidence.training import training_case
from aicompute.report.text import render
from aicompute.search.plans import Terms, search_plans
from aicompute.specs import Library
from aicompute.specs.files import built_in

STACKS = ("nemo-25", "megatron-bridge")
SHORT = {"megatron-bridge": "bridge", "nemo-25": "nemo"}
FIELDS = ("tp", "pp", "cp", "ep", "dp", "chunks", "micro_batch")


def configurations(lib):
    """Rows by what was asked, each with the fastest plan."""
    found = {}
    for row in read_table(built_in("evidence") / "training.csv").rows:
        cells = row.cells
        if cells["stack"] not in STACKS or not 64 <= int(cells["n_accelerators"] or 0) <= 2048:
            continue
        model = lib.resolve("models", cells["model"].lower().replace(" ", "-"))
        terms = (int(cells["n_accelerators"]), cells["precision"], cells["seq_len"], cells["global_batch"])
        key = (cells["stack"], model, cells["system"], *terms)
        speed = 1.0 / float(cells["step_time_s"]) if cells["step_time_s"] else float(cells["tokens_per_s_per_accelerator"])
        if key not in found or speed > found[key][0]:
            found[key] = (speed, cells)
    return found


def judged(lib, key, cells):
    """The published plan against the best one: both plans, share of the optimum, place among all."""
    _, model, system, count, precision, sequence, batch = key
    case = training_case(lib, cells)
    work = workload.training(float(sequence), float(batch))
    words = {"dense": precision, "experts": precision, "dispatch": "bf16"}
    s = scene(lib, system, model, "training", None, case.stack, words, float(count))
    numbers = {f.name: float(getattr(case.plan, f.name)) for f in fields(TrainingPlan)}
    out = training_outcome(s, standing(s), work, TrainingPlan(**numbers), cost=False)
    rate, memory = float(out.metrics["tokens_per_s_per_accelerator"]), float(out.memory_share)
    terms = Terms(stack=case.stack, precision=words, accelerators=float(count), top=5000)
    answer = search_plans(lib, system, model, work, terms)
    rates = np.array([plan.metrics["tokens_per_s_per_accelerator"] for plan in answer.plans])
    return numbers, rate, memory, answer, int((rates > rate * (1 + 1e-9)).sum()) + 1


GROUPS = {
    "layout (tp, pp, cp, dp)": ("tp", "pp", "cp", "dp"),
    "micro-batch": ("micro_batch",),
    "virtual stages": ("chunks",),
    "expert ranks (ep, etp)": ("ep", "etp"),
    "recomputation": ("recompute",),
    "ZeRO stage": ("zero",),
}
WIDE = {
    "layout, virtual stages and micro-batch": ("tp", "pp", "cp", "dp", "chunks", "micro_batch"),
    "layout and expert ranks": ("tp", "pp", "cp", "dp", "ep", "etp"),
}
AXES = ("tp", "pp", "cp", "dp", "ep", "etp", "chunks", "micro_batch", "zero", "recompute", "sequence_parallel")


def reason(lib, key, cells, plan, rate, share):
    """What a published plan misses: the gain where one thing is chosen anew, or several where one explains less than half."""
    _, model, system, count, precision, sequence, batch = key
    words = {"dense": precision, "experts": precision, "dispatch": "bf16"}
    case = training_case(lib, cells)
    fixed = {name: (plan["expert_tp" if name == "etp" else name],) for name in AXES}
    gains = {}
    for label, free in {**GROUPS, **WIDE}.items():
        if label in WIDE and max((gain for gain, *_ in gains.values()), default=0.0) > 0.5 * (1.0 / share - 1.0):
            continue
        axes = {name: values for name, values in fixed.items() if name not in free}
        terms = Terms(stack=case.stack, precision=words, accelerators=float(count), top=1, axes=axes)
        try:
            best = search_plans(lib, system, model, workload.training(float(sequence), float(batch)), terms).plans[0]
        except ValueError:
            continue
        gain = best.metrics["tokens_per_s_per_accelerator"] / rate - 1.0
        if gain > 0.005:
            changed = [name for name in free if name in best.plan and best.plan[name] != fixed[name][0]]
            gains[label] = gain, ", ".join(f"{name} {best.plan[name]}" for name in changed), best.metrics["memory_share"]
    found = sorted(gains.items(), key=lambda item: -item[1][0])[:1]
    if not found:
        return "only several changes at once gain"
    return "; ".join(f"{label} to {to}: +{100.0 * gain:.0f} % at {100.0 * memory:.0f} % of memory" for label, (gain, to, memory) in found)


def plan_text(plan):
    """A plan as the tables write it: tp pp cp ep, virtual stages, micro-batch."""
    return "/".join(f"{int(plan[name])}" for name in FIELDS)


def main(everything: bool) -> None:
    lib = Library()
    rows, fitting, over, shown, far = [], [], [], {}, []
    for key, (_, cells) in sorted(configurations(lib).items()):
        try:
            plan, rate, memory, answer, rank = judged(lib, key, cells)
        except ValueError as error:
            print(f"{key[1]} on {key[3]} {key[2]}, {key[4]}: {error}", file=sys.stderr)
            continue
        best = answer.plans[0]
        share = rate / best.metrics["tokens_per_s_per_accelerator"]
        (fitting if memory <= 1.0 else over).append((key[0], share))
        name = f"{key[1]}, {key[3]} {key[2].split('-')[0 if key[2].startswith('g') else 1]}, {key[4]}, {SHORT[key[0]]}"
        place = f"{rank} of {answer.feasible:,}" if memory <= 1.0 else "does not fit"
        rows.append([name, plan_text(plan), plan_text(best.plan), f"{100.0 * share:.1f} %", place, f"{100.0 * memory:.0f} %"])
        shown[key[:3]] = rows[-1]  # the largest of each model on each system
        if memory <= 1.0:
            far.append((share, name, key, cells, plan, rate))
    headers = ["configuration", "published", "predicted best", "of the best", "place", "memory"]
    print(render(headers, rows if everything else list(shown.values()), "markdown"))
    shares = [share for _, share in fitting]
    print(f"\nPlans are {'/'.join(FIELDS)}. Of {len(fitting) + len(over)} configurations, {len(fitting)} published plans fit the memory as")
    print(f"predicted: {near(shares)} of them within 5 % of the predicted optimum, median {100.0 * np.median(shares):.1f} %")
    said = [(SHORT[stack], [share for one, share in fitting if one == stack]) for stack in STACKS]
    print(f"({', '.join(f'{name} {near(some)} of {len(some)}' for name, some in said)}). The other {len(over)} are predicted to take more")
    print(f"memory than there is; their median is {100.0 * np.median([share for _, share in over]):.1f} %.\n")
    far.sort(key=lambda one: one[0])
    rows = [[name, f"{100.0 * share:.1f} %", reason(lib, *rest, share)] for share, name, *rest in far[:10]]
    headers = ["the farthest ten that fit", "of the best", "what is predicted to gain, where only that is chosen anew"]
    print(render(headers, rows, "markdown"))


def near(shares) -> int:
    """How many are within 5 % of the best."""
    return sum(share >= 0.95 for share in shares)


if __name__ == "__main__":
    main("--all" in sys.argv)
