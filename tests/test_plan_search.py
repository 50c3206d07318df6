"""The search of whole plan spaces: the mesh agrees with single plans, the reductions with brute force, counts add up."""

from __future__ import annotations

import json
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

import aicompute as ac
from aicompute import cli
from aicompute.errors import InfeasibleError, PlanError, UnknownNameError, UsageError
from aicompute.estimate import evaluate, workload
from aicompute.estimate.context import scene, standing
from aicompute.plan.space import CHOICES, TRAINING_AXES, Job, default_axes, full_axes, training_rows
from aicompute.search import mesh
from aicompute.search.conditions import Condition, contradiction, parse_condition
from aicompute.search.mesh import Query, explore
from aicompute.search.pareto import may_join, pareto_front
from aicompute.search.plans import Terms, metrics_of, search_plans
from aicompute.search.training_plans import job_of, training_plan
from aicompute.search.training_space import TrainingSpace, overlapping
from aicompute.specs import Library

LIB = Library()
CASES = [("dgx-h100", "deepseek-v3", 256.0), ("gb200-nvl72", "llama-3.1-70b", 72.0), ("cloudmatrix-384", "qwen3-235b-a22b", 96.0)]


def space_of(system: str, model: str, count: float, tokens: float | None = None, full: bool = True, size: int = 20_000) -> TrainingSpace:
    s = scene(LIB, system, model, "training", accelerators=count)
    r, w = standing(s), workload.training(4096, 512, tokens)
    job = job_of(s, r, w)
    return TrainingSpace(s, r, w, training_rows(job, full_axes(job) if full else default_axes(job)), size)


def everything(space: TrainingSpace, names: list[str]) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Columns and metrics of all plans that fit."""
    blocks = [(cells.plans(np.arange(len(cells))), cells.metrics) for cells in space.cells(names) if len(cells)]
    columns = {name: np.concatenate([plans[name] for plans, _ in blocks]) for name in TRAINING_AXES}
    return columns, {name: np.concatenate([metrics[name] for _, metrics in blocks]) for name in names}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[1])
def test_mesh_flat_arrays_and_single_plans_agree(case):
    space = space_of(*case, tokens=1e12)
    names = list(metrics_of(space.work))
    columns, metrics = everything(space, names)
    rows = np.random.default_rng(3).choice(len(columns["tp"]), 300, replace=False)
    chosen = {name: column[rows] for name, column in columns.items()}
    flat = space.complete(chosen)
    for name in names:
        np.testing.assert_allclose(metrics[name][rows], flat[name], rtol=1e-12, err_msg=name)
    for place in range(0, 300, 10):
        one = {name: float(column[place]) for name, column in chosen.items()}
        plan = training_plan(one, one["sequence_parallel"])
        out = evaluate.training_outcome(space.scene, overlapping(space.records, one), space.work, plan)
        for name in names:
            assert out.metrics[name] == pytest.approx(flat[name][place], rel=1e-12), name


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[1])
def test_every_plan_is_there_once_and_counts_add_up(case):
    space = space_of(*case)
    found = explore(space, Query("tokens_per_s", 1.0))
    assert space.enumerated == space.valid + sum(space.excluded.values())
    assert found.judged == space.valid
    assert all(count >= 0 for count in space.excluded.values())
    columns, _ = everything(space, ["step_time"])
    table = np.stack(list(columns.values()), axis=1)
    assert len(np.unique(table, axis=0)) == len(table) == found.fit == found.feasible
    assert (table[:, TRAINING_AXES.index("tp")] * columns["cp"] * columns["pp"] * columns["dp"] <= space.scene.devices).all()
    assert (columns["micro_batch"] * columns["dp"] <= space.work.global_batch).all()


@pytest.mark.parametrize("size", [500, 20_000, 10_000_000])
def test_blocks_of_any_size_give_the_same_answer(size):
    query = Query("cost_per_token", -1.0, (Condition("mfu", ">", 0.2, "mfu > 0.2"),), 7, (("tokens_per_s", 1.0), ("it_power", -1.0)))
    one, other = (explore(space_of(*CASES[1], size=n), query) for n in (size, 3000))
    assert (one.judged, one.fit, one.feasible, one.failed) == (other.judged, other.fit, other.feasible, other.failed)
    np.testing.assert_allclose(one.top["value"], other.top["value"], rtol=1e-12)
    assert [one.within(share) for share in mesh.FLAT] == [other.within(share) for share in mesh.FLAT]
    np.testing.assert_allclose(np.sort(one.front["cost 0"]), np.sort(other.front["cost 0"]), rtol=1e-12)


def test_the_best_are_those_of_brute_force():
    space = space_of(*CASES[0])
    _, metrics = everything(space, ["tokens_per_s", "memory_share"])
    kept = metrics["tokens_per_s"][metrics["memory_share"] < 0.8]
    found = explore(space, Query("tokens_per_s", 1.0, (Condition("memory_share", "<", 0.8, "memory_share < 0.8"),), 25))
    np.testing.assert_allclose(found.top["value"], np.sort(kept)[::-1][:25], rtol=1e-12)
    assert found.feasible == len(kept)
    assert found.within(0.05) == (kept >= 0.95 * kept.max()).sum()
    assert found.fit == found.feasible + sum(found.failed.values())


@settings(max_examples=200, deadline=None)
@given(
    st.integers(2, 3).flatmap(
        lambda width: st.lists(st.lists(st.integers(0, 6).map(float), min_size=width, max_size=width), min_size=1, max_size=40)
    )
)
def test_front_is_that_of_brute_force(points):
    costs = np.array(points)
    beaten = [any((other <= one).all() and (other < one).any() for other in costs) for one in costs]
    wanted = {tuple(one) for one, lost in zip(costs, beaten, strict=True) if not lost}
    front = pareto_front(costs)
    assert {tuple(costs[k]) for k in front} == wanted
    assert len(front) == len(wanted)
    half = costs[pareto_front(costs[: len(costs) // 2 + 1])]
    joined = may_join(costs, half)
    assert all(joined[k] or any((costs[k] == one).all() for one in half) for k in front)


def test_a_front_of_a_search_is_that_of_brute_force():
    space = space_of(*CASES[0])
    names = ["tokens_per_s", "memory_share", "accelerator_power"]
    _, metrics = everything(space, names)
    costs = np.stack([-metrics[names[0]], metrics[names[1]], metrics[names[2]]], axis=1)
    found = explore(space, Query("tokens_per_s", 1.0, pareto=(("tokens_per_s", 1.0), ("memory_share", -1.0), ("accelerator_power", -1.0))))
    wanted = costs[pareto_front(costs)]
    got = np.stack([found.front[f"cost {k}"] for k in range(3)], axis=1)
    np.testing.assert_array_equal(np.unique(got, axis=0), np.unique(wanted, axis=0))


def test_search_finds_what_estimate_says_of_the_plan():
    found = ac.search("dgx-h100", model="llama-3.1-70b", workload=ac.training(global_batch=256), accelerators=128, top=3)
    best = found[0]
    plan = {name: value for name, value in best.plan.items() if not name.startswith("overlap")}
    alone = ac.estimate("dgx-h100", model="llama-3.1-70b", workload=ac.training(global_batch=256), accelerators=128, plan=plan, samples=0)
    for name, value in best.metrics.items():
        assert alone.metrics[name].value == pytest.approx(value, rel=1e-12), name
    free = ac.estimate("dgx-h100", model="llama-3.1-70b", workload=ac.training(global_batch=256), accelerators=128, samples=0)
    assert best.metrics["tokens_per_s"] >= free.metrics["tokens_per_s"].value * (1 - 1e-12)


@pytest.mark.parametrize("kind", ["decode", "prefill", "serving"])
def test_serving_plans_meet_their_targets_and_are_no_worse_than_estimate(kind):
    work = {"decode": ac.decode(tpot="30 ms"), "prefill": ac.prefill(ttft="2 s"), "serving": ac.serving()}[kind]
    found = ac.search("gb200-nvl72", workload=work, top=50)
    a = found.answer
    assert a.enumerated == a.feasible + sum(a.excluded.values())
    for one in found:
        assert one.metrics.get("tpot", 0.0) <= (work.tpot or np.inf) * (1 + 1e-9)
        assert one.metrics.get("ttft", 0.0) <= (work.ttft or np.inf) * (1 + 1e-9)
        assert one.metrics["memory_share"] <= 1.0
    rates = [one.metrics["tokens_per_s_per_accelerator"] for one in found]
    assert rates == sorted(rates, reverse=True)
    best = ac.estimate("gb200-nvl72", workload=work, samples=0)
    assert rates[0] >= best.metrics["tokens_per_s_per_accelerator"].value * (1 - 1e-9)


def test_decode_points_agree_with_brute_force():
    from aicompute.search.plans import _query
    from aicompute.search.spaces import serving_space

    s = scene(LIB, "gb200-nvl72", "deepseek-r1-0528", "decode", utilisation=0.6)
    r, w = standing(s), workload.decode(tpot="30 ms")
    query = _query(Terms(), metrics_of(w), [], w)
    space = serving_space(s, r, w, Terms(), [])
    rates = []
    for cells in space.cells(("tokens_per_s", "tpot", "cost_per_token")):
        if not len(cells):
            continue
        plans = cells.plans(np.arange(len(cells)))
        full = space.complete(plans)
        for name in ("tokens_per_s", "tpot", "cost_per_token"):
            np.testing.assert_allclose(full[name], cells.metrics[name], rtol=1e-12)
        rates.append(cells.metrics["tokens_per_s"][cells.metrics["tpot"] <= 0.03])
    found = explore(space, replace(query, objective="tokens_per_s"))
    np.testing.assert_allclose(found.top["value"], np.sort(np.concatenate(rates))[::-1][:20], rtol=1e-12)


# Bad input


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"objective": "mfuu"}, UnknownNameError, "'mfu'"),
        ({"objective": "memory_share"}, UsageError, "condition"),
        ({"pareto": "mfu"}, UsageError, "two or three"),
        ({"pareto": "mfu,tokens_per_sec"}, UnknownNameError, "tokens_per_s"),
        ({"plan": {"tpp": 2}}, UnknownNameError, "'tp'"),
        ({"plan": {"tp": [3]}}, PlanError, "none of"),
        ({"plan": {"zero": 4}}, UsageError, "0 to 3"),
        ({"where": "mfu"}, UsageError, "NAME < VALUE"),
        ({"where": "step_time < 3 GB"}, UsageError, "time"),
        ({"where": ["tp > 4", "tp < 4"]}, UsageError, "exclude each other"),
        ({"where": "mfu > 0.99"}, InfeasibleError, "the nearest"),
        ({"where": ["mfu > 0.99", "step_time < 1 ms"]}, InfeasibleError, "leave some out"),
        ({"where": "memory_share < 0.01"}, InfeasibleError, "nearest"),
        ({"accelerators": 8, "model": "llama-3.1-405b"}, InfeasibleError, "more devices"),
        ({"top": 0}, UsageError, "top = 0"),
    ],
)
def test_bad_input_says_what_would_do(options, error, said):
    terms = {"model": "llama-3.1-8b", "workload": ac.training(global_batch=128), "accelerators": 64, **options}
    with pytest.raises(error, match=said):
        ac.search("dgx-h100", **terms)


def test_large_spaces_are_refused_with_their_size():
    many = list(range(1, 129))
    with pytest.raises(UsageError, match=r"combinations, .*(days|years)"):
        ac.search("dgx-h100", workload="training", plan={name: many for name in ("tp", "cp", "pp", "dp", "ep", "micro_batch", "chunks")})
    axes = {"micro_batch": many, "cp": many, "pp": list(range(1, 30))}
    with pytest.raises(UsageError, match="--yes"):
        ac.search("cloudmatrix-384", workload="training", accelerators=15360, full=True, plan=axes)


def test_interrupted_searches_keep_what_they_found():
    seen = []

    def impatient(found):
        seen.append(found.judged)
        if len(seen) == 3:
            raise KeyboardInterrupt

    space = space_of(*CASES[1], size=500)
    found = explore(space, Query("tokens_per_s", 1.0), impatient)
    assert not found.complete
    assert 0 < found.judged < space.valid
    assert found.best > 0.0
    seen += [0] * 10
    answer = search_plans(LIB, "gb200-nvl72", "llama-3.1-70b", space.work, Terms(full=True), watch=impatient)
    assert answer.plans
    assert answer.enumerated == answer.feasible + sum(answer.excluded.values())


def test_conditions():
    assert parse_condition("vpp >= 2", [], ["chunks"]) == Condition("chunks", ">=", 2.0, "vpp >= 2")
    assert parse_condition("recompute = full", [], ["recompute"]).value == 2.0
    assert parse_condition("cost_per_million_tokens<0.5", ["cost_per_token"], []).value == pytest.approx(5e-7)
    assert parse_condition("memory < 90 %", ["memory_share"], []).value == pytest.approx(0.9)
    assert parse_condition("power <= 5 MW", ["it_power"], []).value == pytest.approx(5e6)
    assert not contradiction([Condition("tp", ">=", 4.0, ""), Condition("tp", "<=", 4.0, "")])
    assert contradiction([Condition("tp", "=", 4.0, ""), Condition("tp", "!=", 4.0, "")])


def test_conditions_on_axes_narrow_the_space():
    terms = {"model": "llama-3.1-8b", "workload": ac.training(global_batch=128), "accelerators": 64, "top": 100_000}
    wide = ac.search("dgx-h100", **terms)
    kept = ac.search("dgx-h100", **terms, where=["tp <= 2", "chunks > 1"])
    wanted = [one.plan for one in wide if one.plan["tp"] <= 2 and one.plan["chunks"] > 1]
    assert len(kept) == len(wanted) > 0
    a = kept.answer
    assert a.enumerated == a.feasible + sum(a.excluded.values())


def test_stacks_exclude_what_they_cannot_run():
    found = ac.search("dgx-a100-80gb", model="gpt-3-175b", workload="training", accelerators=512, stack="megatron-deepspeed-2022", top=500)
    assert not any(one.plan["sequence_parallel"] for one in found)
    assert found.answer.excluded["stack"] > 0
    sharded = ac.search("dgx-h100", model="llama-3.1-8b", workload="training", accelerators=64, stack="llm-foundry-fsdp", full=True)
    assert {(one.plan["tp"], one.plan["pp"]) for one in sharded} == {(1, 1)}
    assert {one.plan["zero"] for one in sharded} <= {2, 3}
    with pytest.raises(PlanError, match="the stack cannot run it"):
        ac.search("dgx-h100", model="llama-3.1-8b", workload="training", accelerators=64, stack="llm-foundry-fsdp", plan={"tp": 2})


# Enumeration


def test_rows_are_those_of_a_plain_loop():
    job = Job(24, 8, 12, 8, 4096, 48, 8)
    axes = {**full_axes(job), "dp": (1.0, 2.0, 3.0, 6.0, 24.0), "chunks": (1.0, 2.0, 3.0), "etp": (1.0, 2.0)}
    rows = training_rows(job, axes)
    count = 0
    for tp in axes["tp"]:
        for pp in axes["pp"]:
            for dp in axes["dp"]:
                for ep in axes["ep"]:
                    if tp * pp * dp > 24 or 8 % tp or 8 % ep or dp * tp % ep or pp > 12:
                        continue
                    chunks = sum(
                        v <= 12 // pp and (pp - 1) * np.ceil(12 / (pp * v)) * v < 12 if pp > 1 else v == 1 for v in axes["chunks"]
                    )
                    micro = sum(m * dp <= 48 for m in axes["micro_batch"])
                    zero = 1 if dp == 1 else (4 if pp == 1 else 3)
                    switches = (4 if tp > 1 else 1) * (2 if dp > 1 else 1) * (2 if ep > 1 else 1)
                    split = 2 if dp * tp % (2 * ep) == 0 else 1
                    count += chunks * micro * zero * 3 * switches * split
    assert int(rows.plans.sum()) == count
    assert set(CHOICES) <= set(rows.allowed)


# Output


def run(*arguments):
    return CliRunner().invoke(cli.cli, ["search", *arguments])


SMALL = ("dgx-h100", "--model", "llama-3.1-8b", "--workload", "training", "--accelerators", "64", "--global-batch", "128")


def test_command_prints_within_eighty_columns():
    done = run(*SMALL, "--pareto", "tokens_per_s_per_accelerator,step_time")
    assert done.exit_code == 0, done.output
    assert max(map(len, done.stdout.splitlines())) <= 80
    for word in ("enumerated", "feasible", "plans/s", "within 1 %", "layout", "memory"):
        assert word in done.stdout


def test_json_and_csv():
    objective = ("--objective", "cost_per_million_tokens", "--pareto", "mfu,cost_per_million_tokens")
    done = run(*SMALL, "--format", "json", "--top", "4", *objective)
    record = json.loads(done.stdout)
    assert record["schema"] == 1
    assert record["objective"] == "cost_per_million_tokens"
    assert len(record["plans"]) == 4
    costs = [plan["metrics"]["cost_per_million_tokens"]["value"] for plan in record["plans"]]
    assert costs == sorted(costs)
    assert record["enumerated"] == record["feasible"] + sum(record["excluded"].values())
    assert record["valid"] == record["evaluated"]
    assert record["evaluated_per_s"] > 0
    lines = run(*SMALL, "--format", "csv", "--top", "4").stdout.splitlines()
    assert len(lines) == 5
    assert lines[0].startswith("list,rank,tp")


def test_plot(tmp_path):
    target = tmp_path / "front.svg"
    done = run(*SMALL, "--pareto", "tokens_per_s_per_accelerator,energy_per_token,accelerator_power", "--plot", str(target))
    assert done.exit_code == 0, done.output
    root = ElementTree.parse(target).getroot()
    assert len(root.findall("{http://www.w3.org/2000/svg}circle")) >= 1
    assert run(*SMALL, "--plot", str(target)).exit_code == 2
    assert "ends with .svg" in run(*SMALL, "--pareto", "mfu,step_time", "--plot", "x.png").output
    assert "no folder" in run(*SMALL, "--pareto", "mfu,step_time", "--plot", "nowhere/x.svg").output


def test_command_refuses_with_exit_codes():
    assert run(*SMALL, "--axis", "tp").exit_code == 2
    assert "did you mean" in run(*SMALL, "--axis", "micro_bach=2").output
    found = CliRunner().invoke(cli.cli, ["search", *SMALL, "--where", "mfu > 2"])
    assert isinstance(found.exception, SystemExit)
    assert found.exit_code == 4
    assert run(*SMALL, "--tp", "1,2", "--top", "3", "--format", "json").exit_code == 0
