"""What `estimate` chooses is what `search` finds best on the same terms."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import aicompute as ac
from aicompute.errors import InfeasibleError, PlanError, UsageError
from aicompute.specs import Library

RATE = "tokens_per_s_per_accelerator"
LIB = Library()
SYSTEMS = ["dgx-h100", "gb200-nvl72", "cloudmatrix-384", "tpu-v5p", "dgx-a100-80gb", "mi300x-8", "hgx-h800"]
MODELS = ["llama-3.1-8b", "llama-3.1-70b", "deepseek-v3", "qwen3-235b-a22b", "gpt-3-175b"]


def own_chunk(system: str) -> float:
    return LIB.load("stacks", str(LIB.load("systems", system).get("default_stack.serving"))).si("limits.chunk")


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(SYSTEMS), st.sampled_from(MODELS), st.sampled_from([32, 96, 256, 1000, 4096]), st.sampled_from([256, 1000, 4096]),
    st.fixed_dictionaries({}, optional={"tp": st.sampled_from([1, 2, 4]), "recompute": st.sampled_from(["none", "full"]),
                                        "etp": st.just(1), "zero": st.sampled_from([1, 3])}),
)  # fmt: skip
def test_training_plan_of_an_estimate_is_the_best_of_a_search(system, model, count, batch, plan):
    terms = {"model": model, "workload": ac.training(global_batch=batch), "accelerators": count, "plan": plan}
    try:
        alone = ac.estimate(system, samples=0, **terms)
    except (PlanError, UsageError):
        with pytest.raises((PlanError, UsageError)):
            ac.search(system, top=1, **terms)
        return
    if not alone.feasible:
        with pytest.raises(InfeasibleError):
            ac.search(system, top=1, **terms)
        return
    found = ac.search(system, top=3, **terms)
    assert alone.metrics[RATE].value == pytest.approx(found[0].metrics[RATE], rel=1e-12)
    if found[0].metrics[RATE] > found[1 if len(found) > 1 else 0].metrics[RATE] * (1 + 1e-9):
        for name, value in alone.plan.items():
            if name != "precision":
                assert found[0].plan[name] == value, name


@pytest.mark.parametrize("system", ["gb200-nvl72", "dgx-h100", "mi300x-8", "cloudmatrix-384"])
@pytest.mark.parametrize("work", [ac.decode(tpot="30 ms"), ac.decode(), ac.prefill(ttft="2 s"), ac.serving()], ids=lambda w: w.kind)
def test_serving_plan_of_an_estimate_is_the_best_of_a_search(system, work):
    """Prompts are cut as the stack does by itself; a search tries other lengths too."""
    model = "deepseek-r1-0528" if system in ("gb200-nvl72", "cloudmatrix-384") else "llama-3.1-70b"
    alone = ac.estimate(system, model=model, workload=work, samples=0)
    axes = {} if work.kind == "decode" else {"chunk": own_chunk(system)}
    found = ac.search(system, model=model, workload=work, top=1, plan=axes)
    best, chosen = found[0].metrics[RATE], alone.metrics[RATE].value
    assert best >= chosen * (1 - 1e-9)
    assert best <= chosen * (1.02 if work.kind == "serving" else 1 + 1e-9)


def test_experts_are_split_as_asked_and_only_where_it_is_possible():
    terms = {"model": "qwen3-235b-a22b", "workload": ac.training(global_batch=256), "accelerators": 256}
    whole, split = (ac.estimate("dgx-h100", samples=0, plan={"tp": 4, "ep": 8, "etp": n}, **terms) for n in (1, 4))
    assert (whole.plan["etp"], split.plan["etp"]) == (1, 4)
    assert whole.metrics[RATE].value != split.metrics[RATE].value
    found = ac.search("dgx-h100", plan={"tp": [1, 4], "etp": [1, 2, 4]}, top=100_000, **terms)
    assert {one.plan["etp"] for one in found} == {1, 2, 4}
    for one in found:
        ranks = one.plan["tp"] * one.plan["dp"] * one.plan["cp"]
        assert ranks % (one.plan["ep"] * one.plan["etp"]) == 0
    with pytest.raises(PlanError, match="etp"):
        ac.estimate("dgx-h100", samples=0, plan={"tp": 1, "dp": 32, "ep": 32, "etp": 8, "pp": 8}, **terms)
    dense = ac.search("dgx-h100", model="llama-3.1-8b", workload=ac.training(global_batch=64), accelerators=8)
    assert not any("etp" in one.plan for one in dense)
