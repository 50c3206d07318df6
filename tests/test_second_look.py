"""Faults that were found by looking again: money kept from another site, options that were dropped, bounds that are none."""

from __future__ import annotations

import json
from pathlib import Path
from unittest import mock

import pytest
from click.testing import CliRunner

import aicompute as ac
from aicompute.cli import cli
from aicompute.errors import UnknownNameError, UsageError
from aicompute.search import best
from aicompute.sweep.run import runner

TRAINED = ("search", "dgx-h100", "--workload", "training", "--model", "llama-3.1-70b", "--accelerators", "64", "--global-batch", "128")
ONES = dict.fromkeys(("pp", "cp", "ep", "etp", "chunks", "micro_batch", "zero", "sequence_parallel"), 1)
ONE_PLAN = {**ONES, "tp": 8, "recompute": "selective"}
GRID = """[sweep]
system = "gb200-nvl72"
workload = "decode"
[plan]
tp = 1
dp = 32
pp = 1
ep = 32
[axes]
batch = [8, 64]
"""


def told(*arguments: str, code: int = 2) -> str:
    """What a command says that is refused."""
    result = CliRunner().invoke(cli, list(arguments))
    assert result.exit_code == code, result.output
    return result.stderr.strip() if code else result.stdout


def alone(**terms):
    tokens = terms.pop("tokens", None)
    work = ac.training(global_batch=64, tokens=tokens)
    view = ac.estimate("dgx-h100", model="llama-3.1-8b", workload=work, accelerators=64, plan=ONE_PLAN, samples=0, **terms)
    return {name: metric.value for name, metric in view.metrics.items()}


@pytest.mark.parametrize("terms", [{"site": "china"}, {"rent": "2 USD/h"}, {"utilisation": 0.5}, {"tokens": 1e12}])
def test_money_of_the_only_plan_is_that_of_its_own_terms(terms):
    """Only the ranks of data parallelism are left open: one plan, kept for whoever asks again, but not its money."""
    with mock.patch.object(best, "_kept", {}):
        fresh = alone(**terms)
    alone()
    assert alone(**terms) == fresh
    assert fresh != alone()


def test_an_axis_is_said_once():
    assert "--tp" in told(*TRAINED, "--axis", "tp=4", "--tp", "8")
    assert "--vpp" in told(*TRAINED, "--axis", "chunks=4", "--vpp", "2")
    assert "twice" in told(*TRAINED, "--axis", "tp=4", "--axis", "tp=8")
    assert "NAME=V,V" in told(*TRAINED, "--axis", "tp=1,,4")
    with pytest.raises(UsageError, match="vpp and chunks"):
        ac.search("dgx-h100", workload="training", plan={"vpp": 2, "chunks": 3})


@pytest.mark.parametrize("bound", ["nan", "inf", "-inf"])
def test_a_bound_is_a_number(bound):
    assert "no bound" in told(*TRAINED, "--where", f"step_time < {bound}")


def test_draws_are_checked_before_anything_is_searched():
    assert "samples = -1" in told(*TRAINED, "--samples", "-1")


def test_what_a_message_proposes_is_allowed():
    said = told(*TRAINED, "--plot", "front.svg")
    proposed = said.rpartition("such as ")[2]
    assert "wrote" not in told(*TRAINED, "--pareto", proposed, "--top", "1", "--samples", "0", code=0)


def test_a_name_like_no_other_is_answered_with_those_there_are():
    assert "tokens_per_s" in told("search", "dgx-h100", "--objective", "mfu")
    assert "gb200-nvl72" in str(UnknownNameError("system", "zzzz", ["gb200-nvl72"]))
    assert "and 6 more" in str(UnknownNameError("system", "zzzz", [f"n{k}" for k in range(30)]))


# --- sensitivities: draws


def test_sensitivities_draw_as_comparisons_do():
    work = ac.decode(tpot="50 ms")
    systems = ["gb200-nvl72", "cloudmatrix-384"]
    view = ac.sensitivity(systems, workload=work, metrics="cost_per_token", finite=False, samples=200)
    found = ac.compare(systems, workload=work, samples=200).comparison.ratio("cost_per_token")
    assert view.interval() == found
    assert 0.0 < found.probability <= 1.0
    assert "probability" in view.table()
    assert json.loads(view.table("json"))["intervals"]["cost_per_million_tokens"]["probability"] == found.probability


def test_without_draws_there_is_no_interval():
    view = ac.sensitivity("gb200-nvl72", workload=ac.decode(), metrics="tpot", finite=False, samples=0)
    assert view.interval() is None
    record = json.loads(view.table("json"))
    assert record["samples"] == 0
    assert record["intervals"] == {}
    assert " ms" in view.table()
    assert "samples = -1" in told("sensitivity", "gb200-nvl72", "--samples", "-1")


# --- sweeps


def test_a_sweep_that_goes_on_counts_what_was_there(tmp_path: Path):
    pytest.importorskip("pyarrow")
    (tmp_path / "grid.toml").write_text(GRID)
    asked = ("sweep", str(tmp_path / "grid.toml"), "-o", str(tmp_path / "rows"), "--workers", "1")
    assert "2 points, 2 feasible" in told(*asked, code=0)
    assert "2 points, 0 found now, 2 feasible" in told(*asked, code=0)


def test_rows_of_another_version_are_another_sweep(tmp_path: Path):
    pytest.importorskip("pyarrow")
    (tmp_path / "grid.toml").write_text(GRID)
    asked = ("sweep", str(tmp_path / "grid.toml"), "-o", str(tmp_path / "rows"), "--workers", "1")
    told(*asked, code=0)
    with mock.patch.object(ac, "__version__", "0.0.0+other", create=True):
        assert "another sweep" in told(*asked)


def test_only_what_is_better_one_way_can_be_best(tmp_path: Path):
    (tmp_path / "grid.toml").write_text(GRID)
    assert "neither better high nor low" in told("sweep", str(tmp_path / "grid.toml"), "--objective", "memory_share")
    assert "TPOT [ms]" in told("sweep", str(tmp_path / "grid.toml"), "--objective", "tpot", "--workers", "1", code=0)


def test_an_axis_over_no_key_is_told_the_nearest():
    with pytest.raises(UnknownNameError, match=r"memory\.bandwidth"):
        ac.sweep({"accelerator.memory.bandwith": ["x1", "x2"]}, system="gb200-nvl72", workload="decode")


@pytest.mark.parametrize("on", ["dask=foo", "dask=tcp://nowhere", "dask=1234"])
def test_an_address_has_a_host_and_a_port(on):
    with pytest.raises(UsageError, match="HOST:PORT"):
        runner(on, 1)
