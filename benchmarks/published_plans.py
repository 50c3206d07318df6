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


def plan_text(plan):
    """A plan as the tables write it: tp pp cp ep, virtual stages, micro-batch."""
    return "/".join(f"{int(plan[name])}" for name in FIELDS)


def main(everything: bool) -> None:
    lib = Library()
    rows, fitting, over, shown = [], [], [], {}
    for key, (_, cells) in sorted(configurations(lib).items()):
        try:
            plan, rate, memory, answer, rank = judged(lib, key, cells)
        except ValueError as error:
            print(f"{key[1]} on {key[3]} {key[2]}, {key[4]}: {error}", file=sys.stderr)
            continue
        best = answer.plans[0]
        share = rate / best.metrics["tokens_per_s_per_accelerator"]
        (fitting if memory <= 1.0 else over).append(share)
        name = f"{key[1]}, {key[3]} {key[2].split('-')[0 if key[2].startswith('g') else 1]}, {key[4]}, {SHORT[key[0]]}"
        place = f"{rank} of {answer.feasible:,}" if memory <= 1.0 else "does not fit"
        rows.append([name, plan_text(plan), plan_text(best.plan), f"{100.0 * share:.1f} %", place, f"{100.0 * memory:.0f} %"])
        shown[key[:3]] = rows[-1]  # the largest of each model on each system
    headers = ["configuration", "published", "predicted best", "of the best", "place", "memory"]
    print(render(headers, rows if everything else list(shown.values()), "markdown"))
    inside = sum(share >= 0.95 for share in fitting)
    print(f"\nPlans are {'/'.join(FIELDS)}. Of {len(fitting) + len(over)} configurations, {len(fitting)} published plans fit the memory as")
    print(f"predicted: {inside} of them within 5 % of the predicted optimum, median {100.0 * np.median(fitting):.1f} %.")
    print(f"The other {len(over)} are predicted to take more memory than there is; their median is {100.0 * np.median(over):.1f} %.")


if __name__ == "__main__":
    main("--all" in sys.argv)
