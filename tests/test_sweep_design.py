"""What a sweep may be asked: every fault is named with what is allowed, and nothing is taken silently for something else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import aicompute as ac
from aicompute.cli import cli
from aicompute.errors import AicomputeError
from aicompute.report.sweep import short_names
from aicompute.specs import Library
from aicompute.sweep.cases import cases_of
from aicompute.sweep.columns import headings
from aicompute.sweep.design import Range, design_from, linked_axis, read_design
from aicompute.sweep.sweep import run_sweep

PLAN = {"tp": 1, "dp": 32, "pp": 1, "ep": 32}
SYSTEM = {"system": "gb200-nvl72"}


def refused(axes: Mapping[Any, Any], fixed: Mapping[str, Any] | None = None, **more: Any) -> str:
    with pytest.raises(AicomputeError) as caught:
        run_sweep(Library(), design_from(axes, fixed=SYSTEM if fixed is None else fixed, **more))
    return str(caught.value)


@pytest.mark.parametrize(
    ("axes", "more", "said"),
    [
        ({"batch": []}, {}, ["axes.batch: is empty"]),
        ({}, {}, ["needs at least one axis"]),
        ({"bacth": [1]}, {}, ["unknown axis 'bacth'; did you mean 'batch'"]),
        ({"accelerator.memory.bandwith": [1e12]}, {}, ["memory.bandwith", "did you mean", "memory.bandwidth"]),
        ({"gb200-nvl27.price.unit": [1e6]}, {}, ["gb200-nvl27", "did you mean 'gb200-nvl72'"]),
        ({"chip.memory.bandwidth": ["x2"]}, {}, ["chip"]),
        ({"system": ["gb200-nvl27"]}, {"fixed": {}}, ["did you mean 'gb200-nvl72'"]),
        ({"batch": [8]}, {"fixed": {}}, ["a sweep needs a system"]),
        ({"workload": ["trainig"]}, {}, ["unknown workload 'trainig'; did you mean 'training'"]),
        ({"batch": [8]}, {"fixed": {**SYSTEM, "batch": 8}}, ["batch is an axis and fixed"]),
        ({"isl": [8]}, {"fixed": {**SYSTEM, "input_length": 8}}, ["input_length is an axis and fixed"]),
        ({"isl": [8], "input_length": [8]}, {}, ["input_length is an axis twice"]),
        ({"vpp": [1]}, {"plan": {"chunks": 2}}, ["chunks is an axis and fixed"]),
        ({"system.price.unit": ["x2"], "gb200-nvl72.price.unit": ["x3"]}, {}, ["are the same input; give one of them"]),
        ({"batch": [8]}, {"plan": {"sequences": 64}}, ["batch and sequences are both given"]),
        ({"sequences": [64]}, {}, ["whose plan is needed in full (tp, dp, pp, ep)"]),
        ({"batch": {"from": 1, "to": 8}}, {}, ["a range in a grid needs a count of levels"]),
        ({"batch": {"from": 1}}, {}, ["a range needs to, such as"]),
        ({"batch": {"from": 1, "to": 8, "cont": 3}}, {}, ["unknown key of axes.batch 'cont'; did you mean 'count'"]),
        ({"batch": {"from": 1, "to": 8, "count": 1}}, {}, ["count = 1: expected a whole number of at least 2"]),
        ({"batch": {"from": 1, "to": 8, "count": 2.5}}, {}, ["count = 2.5"]),
        ({"batch": {"from": 1, "to": 8, "count": 3, "spacing": "lag"}}, {}, ["unknown spacing of axes.batch 'lag'; did you mean 'log'"]),
        ({"prefix_hit": {"from": 0, "to": 0.9, "count": 3, "spacing": "log"}}, {"fixed": {**SYSTEM, "workload": "prefill"}},
            ["a log range needs ends above zero"]),
        ({"batch": {"from": 8, "to": 8, "count": 3}}, {}, ["is a single value"]),
        ({"system": {"from": 1, "to": 2, "count": 2}}, {"fixed": {}}, ["names have no range; give a list"]),
        ({("tp", "dp"): [[1, 2, 3]]}, {}, ["[1, 2, 3] is not a list of 2 values, one for each of tp, dp"]),
        ({("tp", "dp"): [1, 2]}, {}, ["1 is not a list of 2 values"]),
        ({"tp": [0]}, {}, ["tp = 0 (expected a number of at least 1)"]),
        ({"tp": [1.5]}, {}, ["tp = 1.5: expected a whole number"]),
        ({"tp": ["two"]}, {}, ["tp"]),
        ({"batch": [[1, 2]]}, {}, ["batch = [1, 2]: expected a number"]),
        ({"batch": [-1]}, {}, ["batch = -1 (expected a number of at least 1)"]),
        ({"batch": ["8 ms"]}, {}, ["batch", "8 ms"]),
        ({"tpot": ["8 GB"]}, {}, ["tpot", "8 GB"]),
        ({"tpot": [0]}, {}, ["tpot = 0: expected a time above zero"]),
        ({"utilisation": [1.2]}, {}, ["expected a share above 0, at most 1"]),
        ({"accelerators": [0]}, {}, ["expected a number from 1 to 1e8"]),
        ({"drafts": [9]}, {}, ["expected a whole number from 0 to 8"]),
        ({"rent": ["900 USD/accelerator/h"]}, {}, ["at most 100 USD an hour"]),
        ({"accelerator.memory.bandwidth": ["xtwo"]}, {}, ["expected a multiple such as 'x2'"]),
        ({"accelerator.memory.bandwidth": ["4 GB"]}, {}, ["memory.bandwidth", "4 GB"]),
        ({"accelerator.efficiency.memory": ["x9"]}, {}, ["efficiency.memory", "not plausible"]),
        ({"accelerator.memory.bandwidth": [True]}, {}, ["memory.bandwidth", "True"]),
        ({"system.tiers.scale-up.topology": ["torus"]}, {}, ["is no number; axes of words are system, model"]),
        ({"system.cooling": ["air"]}, {}, ["is no number"]),
        ({"model.num_layers": [60.5]}, {}, ["num_layers", "60.5"]),
        ({"model.num_layers": ["x0.3"]}, {}, ["num_layers", "18.3"]),
        ({"system.tiers.scale-up": [1]}, {}, ["holds several values; name one"]),
        ({"accelerator.silicon.area": ["x2"]}, {}, ["accelerator.silicon.area: changes nothing in this sweep"]),
        ({"ttft": ["1 s"]}, {}, ["axis ttft: no meaning in a decode scenario"]),
        ({"zero": [1]}, {}, ["axis zero: no meaning in a decode scenario"]),
        ({"drafts": [1]}, {"fixed": {**SYSTEM, "workload": "prefill"}}, ["axis drafts: no meaning in a prefill scenario"]),
        ({"batch": [1]}, {"fixed": {**SYSTEM, "workload": "training"}}, ["axis batch: no meaning in a training scenario"]),
        ({"tp": [1]}, {"fixed": {**SYSTEM, "workload": "training", "ttft": 2}},
            ["ttft: no meaning in a training scenario, which has sequence_length"]),
        ({"tp": [1]}, {"fixed": {**SYSTEM, "workload": "training", "batch": 3, "drafts": 1}}, ["batch, drafts: no meaning in a training"]),
        ({"tp": [1]}, {"fixed": {**SYSTEM, "ttft": "2 s"}}, ["ttft: no meaning in a decode scenario"]),
        ({"tp": [1]}, {"plan": {"tpp": 2}}, ["plan: tpp (a decode plan has tp, dp, pp, ep, batch)"]),
        ({"tp": [1]}, {"plan": {"batch": 8}, "fixed": {**SYSTEM, "batch": 4}}, ["batch is fixed twice"]),
        ({"tp": [1]}, {"changes": {"gb200-nvl72.price.unti": 1}}, ["did you mean"]),
        ({"tp": [1]}, {"metrics": ["tpott"]}, ["tpott", "did you mean", "tpot"]),
        ({"tp": [1]}, {"objective": "colour"}, ["colour"]),
        ({"tp": [1]}, {"metrics": ["mfu"]}, ["mfu: no such metric in a decode scenario, which has tokens_per_s_per_accelerator"]),
        ({"tp": [1]}, {"objective": "goodput", "top": 3}, ["goodput: no such metric in a decode scenario"]),
        ({"tp": [1]}, {"top": 0}, ["top = 0: expected a whole number from 1"]),
        ({"tp": [1]}, {"points": 0}, ["points = 0"]),
        ({"tp": [1]}, {"points": 5, "seed": -1}, ["seed = -1"]),
        ({"tp": [1]}, {"fixed": {**SYSTEM, "stack": "vlm"}}, ["vlm"]),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(axes: Mapping[Any, Any], more: dict[str, Any], said: list[str]) -> None:
    message = refused(axes, **more)
    assert all(part in message for part in said), message


def test_all_faults_are_named_at_once() -> None:
    message = refused({"tp": [], "dp": {"from": 1}, "ep": [1]}, {**SYSTEM, "ep": 2}, top=0, metrics=["tpott"])
    assert all(part in message for part in ("axes.tp", "axes.dp", "ep is an axis and fixed", "top = 0", "tpott")), message


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"tp": [1, 2], "dp": [8, 16, 32]}, "tp has 2, dp has 3"),
        ({"tp": [1, 2]}, "two or more"),
        ({"batch": {"from": 1, "to": 8, "count": 3}, "input_length": {"from": 1, "to": 8, "count": 4}}, "batch has 3, input_length has 4"),
        ({"batch": {"from": 1, "to": 8, "count": 2}, "input_length": [1, 2]}, "all lists of one length or all ranges of one count"),
    ],
)
def test_linked_axes_are_alike(table: Mapping[str, Any], said: str) -> None:
    with pytest.raises(AicomputeError, match=said):
        linked_axis(table, random=False, where="linked[0]")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[axes", "is not TOML"),
        ("[axis]\nbatch = [1]", "unknown table 'axis'; did you mean 'axes'"),
        ("[sweep]\nsytem = 'x'\n[axes]\nbatch = [1]", "unknown key of [sweep] 'sytem'; did you mean 'system'"),
        ("[random]\nseed = 3\n[axes]\nbatch = [1]", "[random] needs points"),
        ("[random]\npoint = 3\npoints = 4\n[axes]\nbatch = [1]", "unknown key of [random] 'point'; did you mean 'points'"),
        ("axes = 3", "axes: expected a table [axes], found 3"),
        ("sweep = 'x'\n[axes]\nbatch = [1]", "sweep: expected a table [sweep]"),
        ("[linked]\nbatch = [1]", "linked: expected tables [[linked]]"),
        ("[sweep]\nmetrics = 3\n[axes]\nbatch = [1]", "metrics = 3: expected a list of names"),
        ("", "needs at least one axis"),
        ("[axes]\nbatch = []", "axes.batch: is empty"),
    ],
)
def test_files_that_say_nothing_sensible(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "grid.toml"
    path.write_text(text)
    with pytest.raises(AicomputeError) as caught:
        read_design(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)
    shown = CliRunner().invoke(cli, ["sweep", str(path)])
    assert shown.exit_code in (1, 2)
    assert shown.stderr.startswith("Error: ") or "Error: " in shown.stderr
    assert "Traceback" not in shown.output


def test_files_that_are_none(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.toml", tmp_path):
        shown = CliRunner().invoke(cli, ["sweep", str(path)])
        assert shown.exit_code == 1
        assert f"{path}: cannot be read" in shown.stderr
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe\x00")
    assert "is not TOML" in CliRunner().invoke(cli, ["sweep", str(tmp_path / "bytes.toml")]).stderr
    grid = tmp_path / "grid.toml"
    grid.write_text("[sweep]\nsystem = 'gb200-nvl72'\n[axes]\nbatch = [8]\n")
    shown = CliRunner().invoke(cli, ["sweep", str(grid), "-o", str(grid)])
    assert shown.exit_code == 2
    assert "is a file, not a folder" in shown.stderr


def test_a_file_says_what_python_says(tmp_path: Path) -> None:
    path = tmp_path / "grid.toml"
    path.write_text(
        """
        [sweep]
        system = "gb200-nvl72"
        metrics = "tpot"
        [plan]
        tp = 1
        dp = 32
        pp = 1
        ep = 32
        [axes]
        batch = { from = 2, to = 64, count = 6, spacing = "log" }
        accelerator.memory.bandwidth = ["x1", "10 TB/s"]
        [[linked]]
        isl = [1000, 2000]
        osl = [100, 200]
        [set]
        gb200-nvl72.price.unit = "4e6 USD"
        """
    )
    axes = {"batch": Range(2, 64, 6, "log"), "accelerator.memory.bandwidth": ["x1", "10 TB/s"]}
    made = design_from(
        axes, linked=[{"isl": [1000, 2000], "osl": [100, 200]}], fixed=SYSTEM, plan=PLAN, changes={"gb200-nvl72.price.unit": "4e6 USD"},
            metrics=["tpot"]
    )
    assert read_design(path) == made
    assert read_design(path).digest == made.digest
    found = ac.sweep(path)
    assert found.columns == [
        "system", "batch", "accelerator.memory.bandwidth", "isl", "osl", "feasible", "reason", "tokens_per_s_per_accelerator", "tpot",
            "drafts", "row",
    ]  # fmt: skip
    assert found["batch"][::4].tolist() == pytest.approx([2.0, 4.0, 8.0, 16.0, 32.0, 64.0])
    assert found["accelerator.memory.bandwidth"][2] == 1e13
    assert np.array_equal(found["osl"] * 10.0, found["isl"])
    with pytest.raises(AicomputeError, match=r"system, points: the file .* says what is swept; only top and objective"):
        ac.sweep(path, system="gb200-nvl72", points=4)
    assert len(ac.sweep(path, top=3, objective="tpot")) == 3


def test_counts_between_the_ends_of_a_range_are_whole() -> None:
    axes = {
        "dp": {"from": 8, "to": 64, "count": 4, "spacing": "log"}, "input_length": {"from": 100, "to": 5000, "count": 4},
        "system.tiers.scale-up.domain": {"from": 8, "to": 576, "count": 4, "spacing": "log"}, "batch": {"from": 0.5, "to": 9, "count": 4},
    }  # fmt: skip
    (made,) = cases_of(Library(), design_from(axes, plan={"tp": 1, "pp": 1, "ep": 8}, fixed=SYSTEM))
    levels = {axis.names[0]: axis.level(np.arange(4))[0].tolist() for axis in (*made.slow, *made.fast)}
    assert levels["dp"] == [8.0, 16.0, 32.0, 64.0]
    assert levels["input_length"] == [100.0, 1733.0, 3367.0, 5000.0]
    assert levels["system.tiers.scale-up.domain"] == [8.0, 33.0, 138.0, 576.0]
    assert levels["batch"][1] == pytest.approx(0.5 + 8.5 / 3.0)
    assert levels["batch"][3] == 9.0


def test_random_points_lie_within_and_differ_by_seed() -> None:
    axes = {"batch": {"from": 1, "to": 512, "spacing": "log"}, "site.electricity.price": {"from": 1e-8, "to": 5e-8},
        "input_length": [1000, 2000]}
    one, again, other = (ac.sweep(axes, points=400, seed=seed, plan=PLAN, **SYSTEM) for seed in (1, 1, 2))
    assert np.array_equal(one["batch"], again["batch"])
    assert not np.array_equal(one["batch"], other["batch"])
    assert 1.0 <= one["batch"].min() < one["batch"].max() <= 512.0
    assert np.median(np.log2(one["batch"])) == pytest.approx(4.5, abs=0.6), "even in the logarithm"
    assert set(one["input_length"]) == {1000.0, 2000.0}


def test_columns_have_units_and_a_fixed_order() -> None:
    lib = Library()
    made = design_from({"tpot": ["20 ms"], "batch": [8], "site.electricity.price": ["x1"]}, fixed=SYSTEM, plan=PLAN)
    found = headings(made, cases_of(lib, made))
    assert list(found)[:6] == ["system", "tpot_target", "batch", "site.electricity.price", "feasible", "reason"]
    assert list(found)[-2:] == ["drafts", "row"]
    assert (found["tpot_target"].unit, found["site.electricity.price"].unit, found["tpot"].unit, found["batch"].unit) == ("s", "USD/J",
        "s", "")


def test_axes_that_end_alike_are_told_apart() -> None:
    names = ["accelerator.memory.bandwidth", "system.tiers.scale-up.bandwidth", "system.tiers.scale-out.bandwidth", "batch",
        "site.capital.rate"]
    assert list(short_names(names).values()) == ["memory.bandwidth", "scale-up.bandwidth", "scale-out.bandwidth", "batch", "rate"]
    shown = str(ac.sweep({names[0]: ["x1"], names[1]: ["x1"], names[2]: ["x1"]}, plan={**PLAN, "batch": 8}, **SYSTEM))
    assert "scale-up" in shown
    assert "scale-out" in shown


def test_many_axes_fit_a_page() -> None:
    """What all rows shown have in common is said once."""
    axes: dict[Any, Any] = {"batch": [8, 16], "input_length": [1000, 2000], "site.electricity.price": ["x1"], "system.price.unit": ["x1"]}
    axes |= {f"system.tiers.{tier}.bandwidth": ["x1"] for tier in ("scale-up", "scale-out")}
    shown = str(ac.sweep({**axes, "accelerator.memory.bandwidth": ["x1"], "accelerator.power.tdp": ["x1"]}, plan=PLAN, **SYSTEM))
    assert max(map(len, shown.splitlines())) <= 80
    assert "all have: price 0.0826 USD/kWh, unit 3,100,000 USD, scale-up.bandwidth 900 GB/s," in " ".join(shown.split())


def test_a_view_says_what_it_holds() -> None:
    found = ac.sweep({"batch": [8, 16, 4000]}, plan=PLAN, workload=ac.decode(tpot="50 ms"), **SYSTEM)
    assert len(found) == 3
    assert found["feasible"].tolist() == [True, True, False]
    assert found["reason"][2] in ("memory", "tpot above its target")
    with pytest.raises(AicomputeError, match="unknown column 'tpott'; did you mean 'tpot'"):
        found["tpott"]
    assert list(found.to_pandas()["batch"]) == [8.0, 16.0, 4000.0]
    assert found.table("csv").splitlines()[0].startswith("system,batch,feasible,reason,tokens_per_s_per_accelerator [token/s]")
    with pytest.raises(AicomputeError, match="unknown format 'yaml'"):
        found.table("yaml")
    assert "<table" in found._repr_html_()
