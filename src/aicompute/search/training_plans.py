"""What training plans a scenario allows, and how their columns become a plan that formulas understand."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from aicompute.estimate.context import Records, Scene
from aicompute.estimate.training import TrainingPlan
from aicompute.estimate.workload import Workload
from aicompute.plan.layout import expert_tensor_ranks
from aicompute.plan.space import LAYOUT, TRAINING_AXES, Job, Rows, default_axes, full_axes, training_rows


def job_of(s: Scene, r: Records, w: Workload) -> Job:
    """What a training plan of a scenario must suit."""
    tiers = list(s.system.get("tiers"))
    inside = [name for name in tiers if name not in ("in-package", "scale-out")] or tiers[:1]
    window = max(int(s.system.si(f"tiers.{inside[-1]}.domain")), 8)
    a = r.arch
    experts = a.num_experts if a.num_moe_layers else 0
    return Job(int(s.devices), a.num_heads, a.num_layers, experts, int(w.sequence_length), int(w.global_batch), window)


def runnable_axes(s: Scene, names: tuple[str, ...] = TRAINING_AXES) -> dict[str, tuple[float, ...]]:
    """Values of axes that the stack can run, as its spec says; axes that it does not speak of are free."""
    found: dict[str, tuple[float, ...]] = {}
    if s.training and not s.stack.get("defaults.sequence_parallel", True):
        found["sequence_parallel"] = (0.0,)
    for name in names:
        values = str(s.stack.get(f"defaults.runs_{name}", ""))
        if values:
            found[name] = tuple(float(value) for value in values.split(","))
    return found


def axes_of(job: Job, given: Mapping[str, tuple[float, ...]], full: bool = False) -> dict[str, tuple[float, ...]]:
    """Values of every axis: those given, else those worth trying."""
    return {**(full_axes(job) if full else default_axes(job)), **given}


def rows_of(s: Scene, r: Records, w: Workload, given: Mapping[str, tuple[float, ...]], full: bool = False) -> Rows:
    """The plans of a scenario, for `estimate` and `search` alike."""
    job, runnable = job_of(s, r, w), runnable_axes(s)
    if all(len(given.get(name, ())) == 1 for name in LAYOUT):  # few plans, which may well be asked for again
        return _few_rows(job, tuple(given.items()), tuple(runnable.items()), full)
    return training_rows(job, axes_of(job, given, full), runnable)


_Axes = tuple[tuple[str, tuple[float, ...]], ...]


@lru_cache(maxsize=256)
def _few_rows(job: Job, given: _Axes, runnable: _Axes, full: bool) -> Rows:
    return training_rows(job, axes_of(job, dict(given), full), dict(runnable))


def rules_text(job: Job) -> str:
    """What every training plan of a scenario keeps to, for messages."""
    experts = ", ep and etp be 1 without experts"
    if job.experts:
        experts = f", ep divide {job.experts} experts and ep x etp the ranks tp x cp x dp"
    return (
        f"tp must divide {job.heads} heads, pp be at most {job.layers} layers with some left for the last stage, "
        f"dp x micro-batch at most {job.global_batch} sequences{experts}"
    )


def training_plan(columns: Mapping[str, Any], split: Any) -> TrainingPlan:
    """A training plan from named numbers or columns; without ``etp`` experts are split over tp where their group leaves room for it."""
    return TrainingPlan(
        dp=columns["dp"],
        tp=columns["tp"],
        pp=columns["pp"],
        chunks=columns["chunks"],
        cp=columns["cp"],
        ep=columns["ep"],
        expert_tp=columns["etp"] if "etp" in columns else expert_tensor_ranks(columns["tp"], columns["ep"], columns["dp"] * columns["cp"]),
        micro_batch=columns["micro_batch"],
        zero=columns["zero"],
        recompute=columns["recompute"],
        sequence_parallel=split,
    )
