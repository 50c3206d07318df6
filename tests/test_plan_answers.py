"""What a search hands back: intervals from shared draws, precisions side by side, JSON by its schema, messages about bad input."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import aicompute as ac
from aicompute import cli
from aicompute.errors import AicomputeError, UsageError

SCHEMA = json.loads((Path(ac.__file__).parent / "data" / "search.schema.json").read_text(encoding="utf-8"))
TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None), "number": (int, float)}
RATE = "tokens_per_s_per_accelerator"
SMALL = {"model": "llama-3.1-8b", "workload": ac.training(global_batch=128), "accelerators": 64}


def faults(data: Any, schema: Mapping[str, Any], where: str = "$") -> list[str]:
    """What of the data the schema does not allow; the keywords that the schema uses."""
    if "$ref" in schema:
        return faults(data, SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]], where)
    found = [f"{where}: is not {schema['const']}"] if "const" in schema and data != schema["const"] else []
    kinds = schema.get("type", ())
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(isinstance(data, TYPES[kind]) and (kind == "boolean" or not isinstance(data, bool)) for kind in kinds):
        return [*found, f"{where}: {data!r} is not {kinds}"]
    if isinstance(data, dict):
        known, other = schema.get("properties", {}), schema.get("additionalProperties", True)
        found += [f"{where}: lacks {name}" for name in schema.get("required", ()) if name not in data]
        found += [f"{where}: has {name}" for name in data if name not in known and other is False]
        for name, item in data.items():
            found += faults(item, known.get(name, other if isinstance(other, dict) else {}), f"{where}.{name}")
    if isinstance(data, list) and "items" in schema:
        found += [fault for place, item in enumerate(data) for fault in faults(item, schema["items"], f"{where}[{place}]")]
    return found


def no_constant(word: str) -> None:
    raise AssertionError(f"{word} in JSON")


@pytest.mark.parametrize(
    "options",
    [
        ("dgx-h100", "--model", "llama-3.1-8b", "--workload", "training", "--accelerators", "64", "--pareto", "mfu,step_time"),
        ("dgx-h100", "--model", "llama-3.1-70b", "--workload", "serving", "--pareto", "tokens_per_s,ttft,tpot", "--top", "3"),
        ("gb200-nvl72", "--workload", "decode", "--samples", "0"),
        ("dgx-h100", "--workload", "prefill", "--model", "llama-3.1-70b", "--axis", "precision=bf16,fp8", "--where", "memory_share < 0.9"),
    ],
)
def test_json_keeps_to_the_schema(options):
    done = CliRunner().invoke(cli.cli, ["search", *options, "--format", "json"])
    assert done.exit_code == 0, done.output
    record = json.loads(done.stdout, parse_constant=no_constant)
    assert faults(record, SCHEMA) == []
    for plan in record["plans"] + record["pareto"]["plans"]:
        for number in plan["metrics"].values():
            assert number["low"] <= number["value"] <= number["high"]
    assert record["enumerated"] == record["feasible"] + sum(record["excluded"].values())
    assert sum(record["probability_best"]) == pytest.approx(1.0 if record["samples"] else 0.0)


def test_the_schema_finds_faults():
    good = ac.search("dgx-h100", top=2, samples=0, **SMALL).to_dict()
    assert not faults(good, SCHEMA)
    for change in ({"schema": 2}, {"plans": {}}, {"more": 1}, {"plans": [{"rank": 1}]}, {"complete": 1}):
        assert faults({**good, **change}, SCHEMA)
    assert faults({name: item for name, item in good.items() if name != "valid"}, SCHEMA)


@pytest.mark.parametrize(
    ("system", "model", "work"),
    [
        ("dgx-h100", "llama-3.1-8b", ac.training(global_batch=128)),
        ("gb200-nvl72", "deepseek-r1-0528", ac.decode(tpot="30 ms")),
        ("dgx-h100", "llama-3.1-70b", ac.serving()),
    ],
    ids=["training", "decode", "serving"],
)
def test_intervals_are_those_of_an_estimate_of_the_same_plan(system, model, work):
    terms = {"model": model, "workload": work, "accelerators": 64 if work.is_training else None}
    axes = {"chunk": 8192, "drafts": 0} if work.kind == "serving" else {}
    found = ac.search(system, top=4, samples=100, plan=axes, **terms)
    plan = {name: value for name, value in found[0].plan.items() if not name.startswith("overlap")}
    alone = ac.estimate(system, samples=100, plan=plan if work.is_training else {}, **terms)
    draws = found.draws()
    assert draws.shape == (4, 100)
    if work.kind != "serving":  # where an estimate leaves the length of a prompt's parts to the stack, a plan of a search fixes it
        np.testing.assert_allclose(draws[0], alone.metrics[RATE].draws, rtol=1e-9)
    low, high = np.quantile(draws[0], (0.05, 0.95))
    assert low < found[0].metrics[RATE] < high


def test_probability_that_a_plan_beats_another():
    found = ac.search("dgx-h100", top=6, samples=300, **SMALL)
    draws = found.draws("step_time")
    assert found.probability(0, 5, "step_time") == pytest.approx((draws[0] < draws[5]).mean())
    assert found.probability(0, 5) == pytest.approx(found.probability(0, 5, "step_time"))  # shared draws: time alone decides
    assert found.probability(0, 5) + found.probability(5, 0) == pytest.approx(1.0)
    assert "plan 1 beats plan 2" in str(found.table())
    # what is common to all plans does not blur the comparison
    apart = np.log(draws[0]) - np.log(draws[5])
    assert apart.std() < 0.5 * np.log(draws[0]).std()
    none = ac.search("dgx-h100", top=2, samples=0, **SMALL)
    assert "low-high" not in str(none.table())
    with pytest.raises(UsageError, match="samples"):
        none.draws()


def test_precisions_side_by_side_are_searches_one_by_one():
    both = ac.search("dgx-h100", top=5000, plan={"precision": ["bf16", "fp8"]}, pareto="mfu,tokens_per_s", **SMALL)
    each = {word: ac.search("dgx-h100", top=5000, precision=word, **SMALL) for word in ("bf16", "fp8")}
    a = both.answer
    for name in ("enumerated", "valid", "feasible"):
        assert getattr(a, name) == sum(getattr(one.answer, name) for one in each.values())
    rates = sorted((plan.metrics[RATE] for one in each.values() for plan in one), reverse=True)
    np.testing.assert_allclose([plan.metrics[RATE] for plan in both], rates, rtol=1e-12)
    for word, one in each.items():
        mine = next(plan for plan in both if plan.plan["precision"] == word)
        assert mine.metrics == pytest.approx(one[0].metrics, rel=1e-12)
    assert list(ac.search("dgx-h100", top=1, precision=["fp8"], **SMALL)[0].plan) == list(each["fp8"][0].plan)


def test_prompts_of_a_prefill_pool_are_an_axis():
    found = ac.search("gb200-nvl72", plan={"prompts": [2, 3], "sequences": [64]}, top=1000, where="pp <= 1")
    plans = [one.plan for one in found if "prefill_tp" in one.plan]
    assert plans
    for plan in plans:
        each = plan["prefill_batch_per_accelerator"] * plan["prefill_engine_accelerators"]
        assert each / (plan["prefill_dp"] * plan["prefill_pp"]) in (2.0, 3.0)
    with pytest.raises(UsageError, match="unknown axis of plans for decode 'prompts'; there are tp, dp"):
        ac.search("gb200-nvl72", workload="decode", plan={"prompts": 2})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"plan": {"precison": ["fp8"]}}, "'precision'"),
        ({"plan": {"precision": ["fp9"]}}, "'fp8'"),
        ({"plan": {"precision": []}}, "precision has no value"),
        ({"plan": {"precision": "bf16,fp8"}, "precision": "bf16"}, "given twice"),
        ({"objective": "cost_per_milion_tokens"}, "cost_per_million_tokens"),
        ({"where": "memory_shar < 1"}, "memory_share"),
        ({"where": ["memory_share > 0.9", "memory_share < 0.8"]}, "exclude each other"),
        ({"where": ["mfu > 1", "mfu < 0.1"]}, "exclude each other"),
        ({"plan": {"etp": [1000]}, "model": "qwen3-235b-a22b"}, "none of"),
        ({"plan": {"pp": [1000]}}, "none of"),
        ({"plan": {"tp": []}}, "tp has no value"),
        ({"plan": {"tp": ["two"]}}, "tp"),
        ({"samples": -1}, "samples"),
    ],
)
def test_bad_input_names_what_is_wrong(options, said):
    with pytest.raises(AicomputeError, match=said):
        ac.search("dgx-h100", **{**SMALL, **options})
