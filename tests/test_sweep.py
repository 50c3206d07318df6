"""Rows of a sweep are estimates: whichever way they are found, each is what one question at that point gives."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

import aicompute as ac
from aicompute.arguments import accelerators_of, drafts_of, plan_of, share_of
from aicompute.errors import PlanError
from aicompute.estimate.context import Scene, changed_scene, scene, standing
from aicompute.estimate.recorded import SERVING_PLAN, TRAINING_PLAN, values_read
from aicompute.estimate.result import METRICS
from aicompute.search.compare import Options, estimate_system
from aicompute.specs import Library, Value
from aicompute.sweep.cases import cases_of
from aicompute.sweep.design import design_from
from aicompute.sweep.sweep import run_sweep
from aicompute.sweep.table import Table
from aicompute.workload_grid import WORKLOADS

CLOSE = 1e-12
ROLES = ("system", "accelerator", "model", "stack", "site")
DECODE = {"tp": 1, "dp": 32, "pp": 1, "ep": 32}
TRAINING = {
    "tp": 4, "dp": 8, "pp": 2, "chunks": 1, "cp": 1, "ep": 1, "micro_batch": 1, "zero": 1, "recompute": 1, "sequence_parallel": 1,
}  # fmt: skip


def rows(library: Library, axes: Mapping[Any, Any], fixed: Mapping[str, Any] | None = None, **more: Any) -> Table:
    found = run_sweep(library, design_from(axes, fixed=fixed, **more)).table
    assert found is not None
    return found


def words_of(table: Table, name: str) -> list[Any]:
    return list(table[name].tolist())


def point(library: Library, given: Mapping[str, Any]) -> Any:
    """The estimate at a point: spec values as overrides, everything else as arguments."""
    kind = str(given.get("workload", "decode"))
    fields = ("input_length", "output_length", "sequence_length", "global_batch", "tokens", "ttft", "tpot", "prefix_hit",
        "length_variation")
    changes = {name: value for name, value in given.items() if "." in name}
    plan = plan_of({name: given[name] for name in (*TRAINING_PLAN, *SERVING_PLAN, "batch") if name in given and name not in ("sequences",
        "drafts")})
    options = Options(
        samples=0, sites=(given["site"],) if "site" in given else (), stack=given.get("stack"), precision=given.get("precision"),
        utilisation=share_of("utilisation", given.get("utilisation")), accelerators=accelerators_of(given.get("accelerators")), plan=plan,
        rent=given.get("rent"), drafts=(drafts_of(given["drafts"]),) if "drafts" in given else (),
    )  # fmt: skip
    work = WORKLOADS[kind](**{name: given[name] for name in fields if name in given})
    lib = library.override(changes) if changes else library
    model = given.get("model", "deepseek-v3" if kind == "training" else "deepseek-r1-0528")
    return estimate_system(lib, given["system"], model, work, options)  # type: ignore[arg-type]


def same(table: Table, row: int, answer: Any) -> None:
    assert bool(np.asarray(table["feasible"])[row]), words_of(table, "reason")[row]
    assert answer.metrics
    for name, metric in answer.metrics.items():
        assert float(np.asarray(table[name])[row]) == pytest.approx(metric.value, rel=CLOSE), name


def judge(library: Library, table: Table, fixed: Mapping[str, Any], axes: list[str], picked: Any) -> int:
    """Compare some rows with the estimate at their point; gives how many are feasible."""
    feasible = 0
    for row in picked:
        where: dict[str, Any] = dict(fixed)
        for name in axes:
            column = table[f"{name}_target" if name in ("ttft", "tpot") else name]
            value = column.tolist()[row]
            if "." in name:
                name, leaf = owned(library, where, name)
                value = type(leaf)(value) if isinstance(leaf, (bool, int)) else value
            where[name] = value
        try:
            answer = point(library, where)
        except PlanError:
            answer = None
        if answer is None or not answer.feasible:
            assert not np.asarray(table["feasible"])[row], (where, words_of(table, "reason")[row])
            assert words_of(table, "reason")[row]
            assert math.isnan(np.asarray(table["tokens_per_s_per_accelerator"])[row])
        else:
            same(table, row, answer)
            feasible += 1
    return feasible


def owned(library: Library, where: Mapping[str, Any], name: str) -> tuple[str, Any]:
    """A spec value by the id of its spec, as an override has it, and what stands there."""
    role, _, path = name.partition(".")
    kind = str(where.get("workload", "decode"))
    model = where.get("model", "deepseek-v3" if kind == "training" else "deepseek-r1-0528")
    spec = getattr(scene(library, where["system"], model, kind, where.get("site")), role)
    return f"{spec.kind}/{spec.id}.{path}", spec.get(path)


# Random designs

PLANNED: Mapping[str, Mapping[str, list[Any]]] = {
    "decode": {
        "batch": [4, 32, 150.5, 4000], "tp": [1, 2, 3], "dp": [8, 16, 64], "ep": [8, 16, 64], "pp": [1, 2], "drafts": [0, 1],
            "tpot": ["10 ms", 0.05],
        "input_length": [1000, 6000], "output_length": [200, 2000], "length_variation": [0.0, 0.7], "utilisation": [0.4, 1.0],
        "accelerators": [72, 100, 36], "accelerator.memory.bandwidth": ["x1", "x2", "4 TB/s"],
            "accelerator.memory.capacity": ["x0.5", "x2"],
        "system.tiers.scale-up.domain": [72, 384, 8], "site.electricity.price": ["0.03 USD/kWh", "0.2 USD/kWh"],
            "system.price.unit": ["x0.5", "x1.7"],
        "accelerator.peak.fp8": ["x0.1", "x1", "x4"], "accelerator.power.tdp": ["x0.7", "x1"], "rent": [None],
    },
    "training": {
        "tp": [1, 2, 8], "dp": [2, 8, 16], "pp": [1, 2, 5], "ep": [1, 2], "cp": [1, 2], "chunks": [1, 2, 4], "micro_batch": [1, 2],
            "zero": [0, 1, 3],
        "recompute": ["none", "selective", "full"], "sequence_length": [2048, 8192], "global_batch": [64, 512], "tokens": [1e11, "1T"],
        "accelerators": [16, 64, 256], "accelerator.peak.bf16": ["x0.5", "x1.5"], "accelerator.peak.fp8": ["x0.2", "x3"],
            "stack.overlap.data": [0.0, 0.9],
        "system.tiers.scale-out.bandwidth": ["x0.5", "x4"], "accelerator.reliability.mtbf": ["x0.1"], "site.capital.rate": ["x2", "x1"],
    },
    "prefill": {
        "batch": [0.1, 1, 4], "tp": [1, 4], "dp": [4, 16], "ep": [4, 16], "pp": [1, 2], "input_length": [1000, 16000],
            "prefix_hit": [0.0, 0.5],
        "ttft": ["500 ms", 3.0], "accelerator.efficiency.attention": ["x0.8"], "system.tiers.scale-up.latency": ["x3", "x1"],
            "utilisation": [0.3, 0.8],
    },
}  # fmt: skip
FIXED: Mapping[str, Mapping[str, Any]] = {
    "decode": {"workload": "decode", "system": "gb200-nvl72"},
    "training": {"workload": "training", "system": "dgx-h100", "model": "llama-3.1-8b", "accelerators": 64},
    "prefill": {"workload": "prefill", "system": "cloudmatrix-384"},
}


def random_design(kind: str, seed: int) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Some axes of a kind of work; the rest of the plan fixed, so that it is given in full."""
    draw = np.random.default_rng([seed, len(kind)])
    pool = {name: levels for name, levels in PLANNED[kind].items() if levels != [None]}
    taken = [str(name) for name in draw.choice(list(pool), 4, replace=False)]
    axes = {name: pool[name][:3] for name in taken}
    fixed = {name: value for name, value in FIXED[kind].items() if name not in axes}
    plan = {"training": TRAINING, "decode": {**DECODE, "batch": 16}, "prefill": {"tp": 4, "dp": 8, "pp": 1, "ep": 32, "batch": 1}}[kind]
    return axes, fixed, {name: value for name, value in plan.items() if name not in axes}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", list(FIXED))
def test_rows_of_plans_given_in_full_are_estimates(library: Library, kind: str, seed: int) -> None:
    axes, fixed, plan = random_design(kind, seed)
    more = {} if seed % 2 else {"points": 12, "seed": seed}
    table = rows(library, axes, fixed, plan=plan, **more)
    size = len(words_of(table, "row"))
    assert all(case.flat for case in cases_of(library, design_from(axes, fixed=fixed, plan=plan, **more)))  # type: ignore[arg-type]
    picked = np.unique(np.linspace(0, size - 1, 6).astype(int))
    judge(library, table, {**fixed, **plan}, list(axes), picked)


def test_random_designs_have_feasible_rows(library: Library) -> None:
    """Else the test above would compare nothing."""
    for kind in FIXED:
        fine = 0
        for seed in range(4):
            axes, fixed, plan = random_design(kind, seed)
            fine += int(np.asarray(rows(library, axes, fixed, plan=plan)["feasible"]).sum())
        assert fine > 10


@pytest.mark.parametrize(
    ("fixed", "axes"),
    [
        ({"workload": "decode", "model": "deepseek-r1-0528"}, {"system": ["cloudmatrix-384", "gb200-nvl72"], "tpot": ["15 ms", "50 ms"]}),
        ({"workload": "decode", "system": "gb200-nvl72", "tpot": 0.03},
            {"accelerator.memory.bandwidth": ["x1", "x2"], "input_length": [512, 32768]}),
        ({"workload": "decode", "system": "gb200-nvl72", "tpot": 0.03},
            {"system.tiers.scale-up.domain": [8, 72], "site.electricity.price": [1e-8, 6e-8]}),
        ({"workload": "serving", "system": "gb200-nvl72"},
            {"accelerators": [72, 20], "ttft": [0.5, 4.0], "system.price.unit": ["x1", "x3"]}),
        ({"workload": "serving", "system": "gb200-nvl72"}, {"tp": [1, 2], "batch": [8]}),
        ({"workload": "prefill", "system": "cloudmatrix-384"},
            {"ttft": [1.0], "site": ["us-average", "cn-average"], "stack.step.fixed": ["x1", "x2"]}),
        ({"workload": "training", "system": "dgx-h100", "model": "llama-3.1-8b"},
            {"accelerators": [8, 64], "zero": [1, 3], "global_batch": [128]}),
        ({"workload": "training", "system": "dgx-h100", "model": "llama-3.1-8b", "accelerators": 16},
            {"site.capital.rate": ["x1", "x2"], "accelerator.peak.fp8": ["x0.2", "x1"]}),
        ({"workload": "decode", "system": "gb200-nvl72", "precision": "bf16"},
            {"model.num_layers": [61, 40], "utilisation": [0.5], "rent": [5e-4]}),
    ],
)  # fmt: skip
def test_rows_of_chosen_plans_are_estimates(library: Library, fixed: dict[str, Any], axes: dict[str, Any]) -> None:
    table = rows(library, axes, fixed)
    size = len(words_of(table, "row"))
    assert judge(library, table, fixed, list(axes), range(0, size, max(size // 4, 1))) >= 1


def test_random_points_of_chosen_plans_are_estimates(library: Library) -> None:
    fixed = {"workload": "decode", "system": "gb200-nvl72"}
    axes = {
        "accelerator.memory.bandwidth": {"from": "x0.5", "to": "x4", "spacing": "log"}, "tpot": {"from": "20 ms", "to": "80 ms"},
        "site.electricity.price": {"from": "0.02 USD/kWh", "to": "0.3 USD/kWh"}, "input_length": {"from": 500, "to": 9000},
    }  # fmt: skip
    table = rows(library, axes, fixed, points=5, seed=3)
    assert all(float(length).is_integer() for length in words_of(table, "input_length")), "tokens come in whole numbers"
    assert judge(library, table, fixed, list(axes), range(5)) >= 3


# Spec values

SCENES: Mapping[str, tuple[str, str, str, dict[str, Any]]] = {
    "decode": ("gb200-nvl72", "deepseek-r1-0528", "decode", {**DECODE, "sequences": 640.0}),
    "training": ("dgx-h100", "llama-3.1-8b", "training", dict(TRAINING)),
    "serving": ("cloudmatrix-384", "deepseek-r1-0528", "serving", {**DECODE, "sequences": 640.0}),
}


def numeric_paths(library: Library, s: Scene) -> dict[str, float]:
    """Every value of the specs of a scene, as an axis by its part in it, and another number for it."""
    found = {}
    for role in ROLES:
        for path, leaf in getattr(s, role).leaves():
            if isinstance(leaf, Value) and leaf.unit != "":
                found[f"{role}.{path}"] = allowed(library, f"{getattr(s, role).kind}/{getattr(s, role).id}.{path}", leaf.value)
    return found


def allowed(library: Library, name: str, value: float) -> float:
    """Another number near a value, which a spec may have."""
    for number in (value * 1.0625, value * 0.9375, value + 0.25, value + 1e-9):
        try:
            library.leaf(name, number)
        except ValueError:
            continue
        if number != value:
            return number
    raise AssertionError(name)


def metrics_of(library: Library, s: Scene, kind: str, plan: Mapping[str, Any]) -> dict[str, float]:
    """Metrics by the formulas on a scene whose specs say other numbers: nothing here knows what is an axis."""
    from aicompute.estimate import evaluate
    from aicompute.estimate.recorded import training_plan_of
    from aicompute.estimate.serving import ServingPlan

    w, r = WORKLOADS[kind](), standing(s)
    numbers = {name: float(value) for name, value in plan.items()}
    if kind == "training":
        out = evaluate.training_outcome(s, r, w, training_plan_of(numbers))  # type: ignore[arg-type]
    else:
        layout = ServingPlan(*(numbers[name] for name in ("tp", "dp", "pp", "ep")))
        find = evaluate.decode_outcome if kind == "decode" else evaluate.in_flight_outcome
        out = find(s, r, w, layout, numbers["sequences"], 1.0)  # type: ignore[arg-type]
    return {name: float(value) for name, value in out.metrics.items() if name in METRICS}


@pytest.mark.parametrize("which", list(SCENES))
def test_every_spec_value_as_an_axis_does_what_another_spec_does(library: Library, which: str) -> None:
    """Values read as formulas read them: one axis of all names whose k-th level changes the k-th of them."""
    system, model, kind, plan = SCENES[which]
    units = 8 if kind == "training" else 1
    count = library.load("systems", system).si("accelerators") * units
    s = scene(library, system, model, kind, accelerators=count, utilisation=1.0 if kind == "training" else 0.6)
    other, read = numeric_paths(library, s), values_read(s)
    names = [name for name in other if address(s, name) in read and not name.endswith(".devices")]
    assert len(names) > 60
    standing_at = [spec_value(s, name) for name in names]
    levels = [[other[name] if k == place else value for k,
        (name, value) in enumerate(zip(names, standing_at, strict=True))] for place in range(len(names))]
    fixed = {"system": system, "model": model, "workload": kind, "accelerators": count, **({} if kind == "training" else {"drafts": 1})}
    fixed |= {"ttft": 100.0, "tpot": 1.0} if kind == "serving" else {}
    table = rows(library, {tuple(names): levels}, fixed, plan=plan)
    for place, name in enumerate(names):
        wanted = metrics_of(library, changed_scene(s, {address(s, name): other[name]}), kind, plan)
        reason = words_of(table, "reason")[place]
        if reason:
            continue
        for metric, value in wanted.items():
            assert float(np.asarray(table[metric])[place]) == pytest.approx(value, rel=CLOSE), (name, metric)
    assert sum(not reason for reason in words_of(table, "reason")) > 0.95 * len(names)


@pytest.mark.parametrize("which", list(SCENES))
def test_values_that_no_formula_reads_change_nothing_or_are_read_elsewhere(library: Library, which: str) -> None:
    """The others: those that count devices or choose a format are found anew, the rest is refused as an axis."""
    system, model, kind, plan = SCENES[which]
    fixed = {"system": system, "model": model, "workload": kind}
    s = scene(library, system, model, kind, utilisation=1.0 if kind == "training" else 0.6)
    read = values_read(s)
    base = metrics_of(library, s, kind, plan)
    elsewhere, idle = [], []
    for name, number in numeric_paths(library, s).items():
        if address(s, name) in read and not name.endswith(".devices"):
            continue
        alone = any(name.endswith(end) for end in (".accelerators", ".usable", ".devices")) or ".peak." in name or ".efficiency." in name
        (elsewhere if alone else idle).append(name)
        if not alone:
            assert metrics_of(library, changed_scene(s, {address(s, name): number}), kind, plan) == base, name
    assert len(elsewhere) >= 3
    refused = _message(lambda: rows(library, {name: ["x1"] for name in idle}, fixed, plan=plan))
    assert "changes nothing" in refused
    assert all(name in refused for name in idle)


@pytest.mark.parametrize(
    ("axis", "levels"),
    [
        ("system.accelerators", [72, 36, 144]), ("system.usable", [72, 64, 32]), ("accelerator.devices", [1, 2]),
        ("system.tiers.scale-up.in_network_reduction", [True, False]), ("model.num_layers", [61, 30]), ("model.vocab_size", ["x2"]),
        ("model.experts_per_token", [4, 8]), ("model.num_experts", [128]), ("accelerator.peak.fp4", ["x0.01", "x1"]),
        ("accelerator.peak.fp8", ["x0.01", "x10"]), ("accelerator.efficiency.matrix", [0.3]), ("system.price.network", ["x0.5", "2e6 USD"]),
    ],
)  # fmt: skip
def test_what_is_read_elsewhere_is_the_override_too(library: Library, axis: str, levels: list[Any]) -> None:
    """With the plan given, and where it is chosen."""
    for plan in ({**DECODE, "batch": 16}, {"batch": 16, "tp": 1}):
        fixed = {"system": "gb200-nvl72", "workload": "decode"}
        table = rows(library, {axis: levels}, fixed, plan=plan)
        assert judge(library, table, {**fixed, **plan}, [axis], range(len(levels))) >= 1


def test_two_axes_change_the_format_only_together(library: Library) -> None:
    fixed = {"system": "dgx-h100", "model": "llama-3.1-8b", "workload": "training", "precision": "fp8"}
    axes = {"accelerator.peak.fp8": ["x0.7", "x1"], "accelerator.peak.bf16": ["x1", "x1.6"]}
    plan = {**TRAINING, "tp": 1, "dp": 8, "pp": 1}
    table = rows(library, axes, fixed, plan=plan)
    assert judge(library, table, {**fixed, **plan}, list(axes), range(4)) == 4
    assert len(set(words_of(table, "mfu"))) >= 3


def test_names_and_numbers_that_move_together(library: Library) -> None:
    linked = [{"system": ["gb200-nvl72", "cloudmatrix-384", "gb200-nvl72"], "tp": [1, 4, 2], "system.price.unit": ["x1", "x2", "4e6 USD"]}]
    fixed = {"workload": "decode", "tpot": 0.05, "model": "deepseek-r1-0528"}
    table = rows(library, {}, fixed, linked=linked)
    assert words_of(table, "system") == ["gb200-nvl72", "cloudmatrix-384", "gb200-nvl72"]
    assert words_of(table, "tp") == [1.0, 4.0, 2.0]
    assert words_of(table, "row") == [0, 1, 2]
    assert judge(library, table, fixed, ["system", "tp", "system.price.unit"], range(3)) == 3


def test_several_kinds_of_work_in_one_table(library: Library) -> None:
    fixed = {"system": "dgx-h100", "model": "llama-3.1-70b", "tpot": 0.05, "global_batch": 256, "ttft": 2.0, "accelerators": 64}
    table = rows(library, {"workload": ["training", "decode", "prefill"]}, fixed)
    assert np.isnan(np.asarray(table["tpot"])).tolist() == [True, False, True]
    assert np.isnan(np.asarray(table["mfu"])).tolist() == [False, True, True]
    assert judge(library, table, {n: v for n, v in fixed.items() if n not in ("tpot", "ttft", "global_batch")} | {"global_batch": 256},
        ["workload"], [0]) == 1


def test_the_terms_of_a_site_hold(library: Library) -> None:
    barred = next(site for site in library.ids("sites") if "NVIDIA" not in library.load("sites", site).get("eligible.vendors", ["NVIDIA"]))
    table = rows(library, {"site": ["us-average", barred], "batch": [8, 16]}, {"system": "gb200-nvl72"}, plan=DECODE)
    assert np.asarray(table["feasible"]).tolist() == [True, True, False, False]
    assert "hold for chips of" in words_of(table, "reason")[3]


def test_sweep_from_python_is_estimate_from_python() -> None:
    found = ac.sweep({"accelerator.memory.bandwidth": ["x1", "x2"]}, system="gb200-nvl72",
        workload=ac.decode(batch=[8, 16], tpot="50 ms"), plan=DECODE)
    assert found["batch"].tolist() == [8.0, 8.0, 16.0, 16.0]
    one = ac.estimate("gb200-nvl72", workload=ac.decode(batch=16, tpot="50 ms"), plan=DECODE, samples=0,
        set={"nvidia-gb200.memory.bandwidth": "16 TB/s"})
    assert found["tpot"][3] == pytest.approx(one["tpot"].value, rel=CLOSE)
    assert found["cost_per_token"][3] == pytest.approx(one["cost_per_token"].value, rel=CLOSE)


def address(s: Scene, name: str) -> str:
    role, _, path = name.partition(".")
    spec = getattr(s, role)
    return f"{spec.kind}/{spec.id}.{path}"


def spec_value(s: Scene, name: str) -> float:
    role, _, path = name.partition(".")
    return float(getattr(s, role).si(path))


def _message(ask: Any) -> str:
    with pytest.raises(ValueError) as caught:
        ask()
    return str(caught.value)


