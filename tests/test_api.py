"""``import aicompute as ac``: names, arguments, axes, views."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import aicompute as ac
from aicompute import api, units
from aicompute.errors import UnitError, UnknownNameError, UsageError
from aicompute.report.grid import Grid
from aicompute.report.views import ComparisonView, EstimateView, HeadlineView

PAIR = ["cloudmatrix-384", "gb200-nvl72"]
DECODE = ac.decode(tpot="50 ms")


def test_the_import_is_light() -> None:
    code = (
        "import sys, aicompute as ac; ac.__version__; dir(ac)\n"
        "heavy = {'numpy', 'pint', 'scipy', 'pandas', 'xarray', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "ac.compare(['910c', 'gb200'], workload=ac.decode(), samples=0).to_json()\n"
        "heavy = {'pint', 'pandas', 'xarray', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_public_names() -> None:
    for name in ac.__all__:
        assert getattr(ac, name) is not None
        assert name in dir(ac)
    with pytest.raises(AttributeError, match="no attribute 'compar'"):
        ac.compar  # type: ignore[attr-defined]  # noqa: B018


def test_estimate_stays_a_function_after_its_subpackage_is_imported() -> None:
    code = "import aicompute as ac, aicompute.estimate.result; from aicompute.estimate import workload; assert callable(ac.estimate)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert ac.estimate is api.estimate


def test_what_each_question_gives() -> None:
    assert isinstance(ac.compare(PAIR, samples=0), HeadlineView)
    assert isinstance(ac.compare(PAIR, workload=DECODE, samples=0), ComparisonView)
    assert isinstance(ac.compare("gb200", samples=0), ComparisonView)
    assert isinstance(ac.estimate("gb200", samples=0), EstimateView)
    assert isinstance(ac.compare(PAIR, workload=DECODE, utilisation=[0.5, 1.0], samples=0), Grid)


def test_quantities_texts_and_numbers_are_the_same() -> None:
    ms = units.registry().Quantity(50.0, "ms")
    assert ac.decode(tpot=ms) == ac.decode(tpot="50 ms") == ac.decode(tpot=0.05)
    assert ac.training(tokens="14.8 Ttoken") == ac.training(tokens=14.8e12)
    assert ac.serving("4096", 1024).kind == "serving"
    assert ac.prefill(prefix_hit="50 %") == ac.prefill(prefix_hit=0.5)
    whole = ac.estimate("gb200", workload=DECODE, utilisation="60 %", samples=0)
    assert whole.to_json() == ac.estimate("gb200", workload=DECODE, utilisation=0.6, samples=0).to_json()


def test_the_kinds_of_work_by_name() -> None:
    assert ac.estimate("gb200", workload="decode", samples=0).estimate.workload == "decode"
    assert ac.estimate("gb200", workload="training", samples=0).estimate.model == "deepseek-v3"
    assert ac.estimate("gb200", samples=0).estimate.workload == "serving"


def test_arguments_are_those_of_the_plain_constructors() -> None:
    from aicompute.estimate import workload

    for name, made in api.WORKLOADS.items():
        plain = inspect.signature(getattr(workload, name)).parameters
        assert {key: item.default for key, item in inspect.signature(made).parameters.items()} == {
            key: item.default for key, item in plain.items()
        }


def test_arrays_become_named_axes() -> None:
    found = ac.estimate(
        "gb200",
        workload=ac.decode(batch=np.array([8, 16, 32]), tpot=["50 ms", "100 ms"]),
        set={"gb200-nvl72.price.unit": ["3e6 USD", "4e6 USD"]},
        samples=0,
    )
    assert isinstance(found, Grid)
    assert dict(found.coords) == {"tpot": (0.05, 0.1), "batch": (8.0, 16.0, 32.0), "gb200-nvl72.price.unit": (3e6, 4e6)}
    rate = found.metric("tokens_per_s")
    assert rate.shape == found.shape
    alone = ac.estimate("gb200", workload=ac.decode(batch=16, tpot="50 ms"), set={"gb200-nvl72.price.unit": "4e6 USD"}, samples=0)
    place = {"tpot": 0.05, "batch": 16.0, "gb200-nvl72.price.unit": 4e6}
    assert found.at(**place).value("capital") == alone.value("capital") == pytest.approx(4e6)
    assert found.at(**place).metrics.keys() == alone.metrics.keys()


@pytest.mark.parametrize(
    ("keywords", "dims"),
    [
        ({"model": ["deepseek-v3", "kimi-k2"]}, ("model",)),
        ({"precision": ["8bit", "native", {"dense": "fp8"}]}, ("precision",)),
        ({"accelerators": (72, 144)}, ("accelerators",)),
        ({"plan": {"ep": [8, 36], "tp": 1}}, ("ep",)),
        ({"utilisation": ["60 %", 1.0], "site": ["us-average", "home"]}, ("site", "utilisation")),
        ({"rent": ["2 USD/accelerator/h", "3 USD/accelerator/h"], "drafts": [0, 1]}, ("rent", "drafts")),
    ],
)
def test_every_argument_may_be_an_array(keywords: dict[str, Any], dims: tuple[str, ...]) -> None:
    found = ac.estimate("gb200", workload=DECODE, samples=0, **keywords)
    assert isinstance(found, Grid)
    assert found.dims == dims
    assert found.feasible().all()
    assert all(len(set(values)) == len(values) for values in found.coords.values())


def test_systems_are_an_axis_of_a_grid_and_share_terms() -> None:
    found = ac.compare(PAIR, workload=ac.decode(tpot=["30 ms", "50 ms"]), samples=0, precision="8bit")
    assert isinstance(found, Grid)
    assert (found.dims, found.coords["system"]) == (("system", "tpot"), tuple(PAIR))
    alone = ac.compare(PAIR, workload=DECODE, samples=0, precision="8bit")
    assert isinstance(alone, ComparisonView)
    assert found.metric("capital")[1, 1] == alone["gb200-nvl72"].value("capital")
    assert found.metric("tpot")[0, 1] == alone["cloudmatrix-384"].value("tpot")
    listed = ac.estimate(PAIR, workload=DECODE, samples=0, precision="8bit")
    assert isinstance(listed, Grid)
    assert listed.dims == ("system",)


def test_sites_of_a_comparison_are_entries() -> None:
    found = ac.compare(PAIR, workload=DECODE, site=["us-average", "home"], samples=0)
    assert isinstance(found, ComparisonView)
    record = json.loads(found.to_json())
    assert [(system["id"], system["site"]) for system in record["systems"]] == [
        ("cloudmatrix-384", "us-average"),
        ("gb200-nvl72", "us-average"),
        ("cloudmatrix-384", "cn-hub-domestic"),
    ]


def test_intervals_hold_the_value_and_need_draws() -> None:
    found = ac.estimate("gb200", workload=DECODE, samples=50)
    assert all(metric.low <= metric.value <= metric.high for metric in found.metrics.values())
    assert found.draws["tpot"].shape == (50,)
    assert ac.estimate("gb200", workload=DECODE, samples=0).draws == {}


def test_load_finds_any_kind() -> None:
    assert [ac.load(name).kind for name in ("gb200-nvl72", "nvidia-gb200", "deepseek-r1-0528", "vllm", "us-average")] == [
        "systems",
        "accelerators",
        "models",
        "stacks",
        "sites",
    ]
    assert ac.load("sites/us").id == ac.load("us", kind="site").id == "us-average"
    assert ac.load("gb200", set={"gb200-nvl72.price.unit": "1e6 USD"}).si("price.unit") == 1e6
    with pytest.raises(UnknownNameError, match="unknown spec 'gb200-nvl27'; did you mean 'gb200-nvl72'"):
        ac.load("gb200-nvl27")
    with pytest.raises(UnknownNameError, match="unknown kind 'site-s'"):
        ac.load("us", kind="site-s")


def test_a_library_or_folders_may_be_given(tmp_path: Any) -> None:
    lib = ac.Library().override({"gb200-nvl72.price.unit": "1e6 USD"})
    assert ac.estimate("gb200", workload=DECODE, samples=0, library=lib).value("capex") == 1e6
    (tmp_path / "sites").mkdir()
    spec = 'name = "Here"\nextends = "us-average"\n'
    (tmp_path / "sites" / "here.toml").write_text(spec, encoding="utf-8")
    assert ac.estimate("gb200", workload=DECODE, samples=0, specs=tmp_path, site="here").site == "here"


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: ac.compare([]), UsageError, "at least one system"),
        (lambda: ac.estimate([]), UsageError, "needs a system"),
        (lambda: ac.compare(["910c", "910c"]), UsageError, "named twice"),
        (lambda: ac.decode(tpot="50 GB"), UnitError, "tpot: '50 GB' is memory"),
        (lambda: ac.decode(tpot=-1.0), UsageError, "tpot = -1.0"),
        (lambda: ac.decode(input_length=float("nan")), UnitError, "input_length: nan is not a quantity"),
        (lambda: ac.decode(input_length=float("inf")), UsageError, "input_length = inf: expected at most 1e[+]08"),
        (lambda: ac.estimate("gb200", workload="decod"), UnknownNameError, "unknown workload 'decod'; did you mean 'decode'"),
        (lambda: ac.estimate("gb200", rent=2.5), UsageError, "rent = 2.5: expected a price above 0, at most 100 USD an hour, such as"),
        (lambda: ac.estimate("gb200", samples=2.5), UsageError, "samples = 2.5"),
        (lambda: ac.estimate("gb200", samples=True), UsageError, "samples = True"),
        (lambda: ac.estimate("gb200", plan={"tpp": 2}), UsageError, "tpp"),
        (lambda: ac.estimate("gb200", utilisation=[]), UsageError, "utilisation is empty"),
        (lambda: ac.estimate("gb200", utilisation=np.ones((2, 2))), UsageError, "array of 2 dimensions cannot be an axis"),
        (lambda: ac.estimate("gb200", set={"gb200-nvl72.price.unti": 1.0}), UnknownNameError, "did you mean 'price.unit'"),
        (lambda: ac.compare(PAIR, equal="watt"), UnknownNameError, "unknown value of equal 'watt'"),
    ],
)
def test_bad_arguments_are_named(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        call()
    assert isinstance(caught.value, ac.AicomputeError)
    assert isinstance(caught.value, ValueError)


def test_an_infeasible_answer_is_an_answer() -> None:
    found = ac.estimate("gb200", workload=ac.decode(tpot="50 us"), samples=0)
    assert not found.feasible
    assert "TPOT at best" in found.reason
    assert np.isnan(found.value("tokens_per_s"))
    assert "Not feasible" in found.table()


def test_other_currencies_are_taken_at_the_dated_rates_of_the_sites():
    won = ac.Library().load("sites", "kr").si("exchange_rate")
    terms = {"model": "llama-3.1-8b", "workload": ac.decode(batch=8), "samples": 0}
    in_won = ac.estimate("dgx-h100", set={"dgx-h100.price.unit": "4e8 KRW"}, **terms)
    in_dollars = ac.estimate("dgx-h100", set={"dgx-h100.price.unit": f"{4e8 / won} USD"}, **terms)
    assert in_won["capital"].value == pytest.approx(in_dollars["capital"].value, rel=1e-12)
    assert ac.estimate("dgx-h100", rent="2758 KRW/accelerator/h", **terms)["cost_per_accelerator_hour"].value == pytest.approx(
        2758 / won / 3600
    )
