"""Searches that leave out what cannot be among the best give what a search of everything gives."""

from __future__ import annotations

import numpy as np
import pytest

from aicompute.estimate import workload
from aicompute.estimate.context import scene, standing
from aicompute.estimate.evaluate import MONEY
from aicompute.plan.space import default_axes, full_axes, training_rows
from aicompute.search.conditions import Condition
from aicompute.search.mesh import FLAT, Query, explore
from aicompute.search.training_plans import job_of
from aicompute.search.training_space import TrainingSpace
from aicompute.specs import Library

LIB = Library()
CASES = [("dgx-h100", "deepseek-v3", 256.0), ("gb200-nvl72", "llama-3.1-70b", 72.0)]
ALWAYS = Condition("it_power", "<", 1e30, "it_power < 1e30")


def space_of(system, model, count, full=True):
    s, w = scene(LIB, system, model, "training", accelerators=count), workload.training(4096, 512, 1e12)
    r = standing(s)
    job = job_of(s, r, w)
    return TrainingSpace(s, r, w, training_rows(job, full_axes(job) if full else default_axes(job)), 3000)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[1])
@pytest.mark.parametrize("objective", ["cost_per_token", "energy_per_token", "it_power", "run_cost"])
@pytest.mark.parametrize("top", [1, 200])
def test_bounds_leave_the_answer_as_it_is(case, objective, top):
    space = space_of(*case)
    pruned, every = (explore(space, Query(objective, -1.0, conditions, top)) for conditions in ((), (ALWAYS,)))
    np.testing.assert_array_equal(pruned.top["value"], every.top["value"])
    assert pruned.feasible == every.feasible
    assert [pruned.within(share) for share in FLAT] == [every.within(share) for share in FLAT]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[1])
def test_no_plan_is_below_its_bound(case):
    names = tuple(name for name in MONEY if name != "capital")
    below = 0
    for cells in space_of(*case, full=False).cells(names):
        if len(cells):
            metrics = cells.metrics
            for name in names:
                least = cells.values.least(name)
                assert (least <= metrics[name] * (1 + 1e-12)).all(), name
                below += int((least < metrics[name] * 0.999).sum())
    assert below > 0
