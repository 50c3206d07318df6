"""Sensitivities are derivatives of estimates: by other estimates, by sum rules, by units of measurement."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

import aicompute as ac
from aicompute.cli import cli
from aicompute.errors import AicomputeError, InfeasibleError
from aicompute.report.sensitivity import SensitivityView
from aicompute.search.sensitivity import Sensitivity
from aicompute.units import factor_of, si_unit

PLAN = {"tp": 1, "dp": 32, "pp": 1, "ep": 32}
DECODE = ac.decode(tpot="50 ms", batch=24)
TRAINING = {"tp": 4, "dp": 8, "pp": 2, "vpp": 1, "cp": 1, "ep": 1, "micro_batch": 1, "zero": 1, "recompute": "selective"}


@pytest.fixture(scope="module")
def decode() -> SensitivityView:
    return ac.sensitivity("gb200-nvl72", workload=DECODE, plan=PLAN, finite=False)


@pytest.fixture(scope="module")
def pretraining() -> SensitivityView:
    work = ac.training(global_batch=512, tokens=1e12)
    return ac.sensitivity("dgx-h100", model="llama-3.1-8b", workload=work, plan=TRAINING, accelerators=64, finite=False)


def one(view: SensitivityView, name: str) -> Sensitivity:
    return next(found for found in view if found.name == name)


def at(changes: Mapping[str, Any], which: str = "decode") -> Any:
    if which == "decode":
        return ac.estimate("gb200-nvl72", workload=DECODE, plan=PLAN, samples=0, drafts=1, set=changes)
    work = ac.training(global_batch=512, tokens=1e12)
    return ac.estimate("dgx-h100", model="llama-3.1-8b", workload=work, plan=TRAINING, accelerators=64, samples=0, set=changes)


# Derivatives


@pytest.mark.parametrize(
    "name",
    [
        "gb200-nvl72.price.unit", "nvidia-gb200.memory.bandwidth", "nvidia-gb200.power.tdp", "tensorrt-llm-1.x.experts.imbalance",
        "gb200-nvl72.tiers.scale-up.latency", "us-average.electricity.price", "nvidia-gb200.efficiency.decode_attention",
    ],
)  # fmt: skip
def test_an_elasticity_is_the_derivative_of_estimates(name: str) -> None:
    """By `estimate` with the value a little lower and a little higher, at the same plan."""
    found = one(ac.sensitivity("gb200-nvl72", workload=DECODE, plan=PLAN, drafts=1, finite=False), name)
    step = 1e-3
    low, high = (at({found.address: found.value.value * (1.0 + side * step)}) for side in (-1.0, 1.0))
    for metric in ("cost_per_token", "tpot", "energy_per_token", "site_power"):
        wanted = math.log(high[metric].value / low[metric].value) / math.log((1.0 + step) / (1.0 - step))
        assert found.elasticity[metric] == pytest.approx(wanted, rel=1e-9, abs=1e-10), metric
    base = at({})
    for part, end in ((found.at_low, found.value.low), (found.at_high, found.value.high)):
        moved = at({found.address: end})
        assert part["cost_per_token"] == pytest.approx(moved["cost_per_token"].value / base["cost_per_token"].value - 1.0, rel=1e-9,
            abs=1e-12)


def test_an_elasticity_of_training_is_the_derivative_of_estimates(pretraining: SensitivityView) -> None:
    for name in ("nvidia-h100-sxm.peak.bf16", "dgx-h100.tiers.scale-out.bandwidth", "us-average.capital.rate"):
        found = next((item for item in pretraining if item.name == name), None)
        assert found is not None, [item.name for item in pretraining][:5]
        low, high = (at({found.address: found.value.value * factor}, "training") for factor in (0.999, 1.001))
        for metric in ("run_cost", "step_time"):
            wanted = math.log(high[metric].value / low[metric].value) / math.log(1.001 / 0.999)
            assert found.elasticity[metric] == pytest.approx(wanted, rel=1e-8, abs=1e-10)


# Rules that hold whatever the numbers


def powers(unit: str) -> dict[str, float]:
    """Exponents of the base dimensions of a unit."""
    above, *below = factor_of(unit)[1].split("/")
    found: dict[str, float] = {}
    for sign, text in ((1.0, above), *((-1.0, part) for part in below)):
        for factor in filter(None, text.split("·")):
            name, _, power = factor.partition("^")
            if name != "1":
                found[name] = found.get(name, 0.0) + sign * float(power or 1)
    return found


def scaled(view: SensitivityView, metric: str, dimension: str) -> float:
    """What the metric does, in percent a percent, when the unit of a dimension is made smaller in every value."""
    return sum(item.elasticity[metric] * powers(item.value.unit).get(dimension, 0.0) for item in view)


@pytest.mark.parametrize("metric", ["cost_per_token", "cost_per_hour", "capital"])
def test_cost_is_made_of_prices_and_of_nothing_else(decode: SensitivityView, pretraining: SensitivityView, metric: str) -> None:
    """All prices k times as high make every cost k times as high."""
    assert scaled(decode, metric, "currency") == pytest.approx(1.0, abs=1e-6)
    assert scaled(pretraining, metric, "currency") == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("metric", ["tpot", "tokens_per_s", "memory_share", "site_power", "energy_per_token", "communication_share"])
def test_rates_and_powers_do_not_know_prices(decode: SensitivityView, metric: str) -> None:
    assert all(item.elasticity[metric] == 0.0 for item in decode if "currency" in powers(item.value.unit))


@pytest.mark.parametrize(
    ("metric", "time", "mass"),
    [("tpot", 1.0, 0.0), ("tokens_per_s", -1.0, 0.0), ("memory_share", 0.0, 0.0), ("site_power", -3.0, 1.0),
        ("energy_per_token", -2.0, 1.0)],
)
def test_metrics_scale_with_the_units_of_time_and_mass(decode: SensitivityView, metric: str, time: float, mass: float) -> None:
    """Were the second half as long, values in seconds would double and so would the answer: no number in seconds hides in a formula."""
    assert scaled(decode, metric, "time") == pytest.approx(time, abs=2e-3)
    assert scaled(decode, metric, "mass") == pytest.approx(mass, abs=2e-3)


@pytest.mark.parametrize(("metric", "time", "mass"),
    [("step_time", 1.0, 0.0), ("mfu", 0.0, 0.0), ("goodput", 0.0, 0.0), ("it_power", -3.0, 1.0)])
def test_metrics_of_training_scale_likewise(pretraining: SensitivityView, metric: str, time: float, mass: float) -> None:
    assert scaled(pretraining, metric, "time") == pytest.approx(time, abs=2e-3)
    assert scaled(pretraining, metric, "mass") == pytest.approx(mass, abs=2e-3)


def test_metrics_that_are_one_another_move_alike(decode: SensitivityView) -> None:
    for item in decode:
        e = item.elasticity
        assert e["tokens_per_s_per_user"] == pytest.approx(-e["tpot"], abs=1e-9)
        assert e["cost_per_token"] == pytest.approx(e["cost_per_hour"] - e["tokens_per_s"], abs=1e-9)
        assert e["tokens_per_s"] == pytest.approx(e["tokens_per_s_per_accelerator"], abs=1e-9)


# Two systems


def test_of_two_systems_the_ratio_moves_by_the_difference() -> None:
    names = ["cloudmatrix-384", "gb200-nvl72"]
    both = ac.sensitivity(names, workload=ac.decode(tpot="50 ms"), metrics="cost_per_token", finite=False)
    each = [ac.sensitivity(name, workload=ac.decode(tpot="50 ms"), metrics="cost_per_token", finite=False) for name in names]
    assert both.answer.systems == ("cloudmatrix-384", "gb200-nvl72")
    costs = [view.answer.metrics["cost_per_token"] for view in each]
    assert both.answer.metrics["cost_per_token"] == pytest.approx(costs[0] / costs[1])
    for item in both:
        parts = [next((found for found in view if found.address == item.address), None) for view in each]
        wanted = [part.elasticity["cost_per_token"] if part else 0.0 for part in parts]
        assert item.elasticity["cost_per_token"] == pytest.approx(wanted[0] - wanted[1], abs=1e-12)
    shared = one(both, "us-average.electricity.price")
    alone = [one(view, "us-average.electricity.price").elasticity["cost_per_token"] for view in each]
    assert min(alone) > 0.0
    assert abs(shared.elasticity["cost_per_token"]) < max(alone), "what both pay moves both"
    assert sum(item.elasticity["cost_per_token"] for item in both if "currency" in powers(item.value.unit)) == pytest.approx(0.0, abs=1e-6)


def test_a_system_over_itself_moves_with_nothing() -> None:
    same = ac.sensitivity(["gb200-nvl72", "gb200-nvl72"], workload=DECODE, metrics="cost_per_token", finite=False)
    assert same.answer.metrics["cost_per_token"] == 1.0
    assert all(item.elasticity["cost_per_token"] == 0.0 and item.swing("cost_per_token") == 0.0 for item in same)


# Finite changes


def test_finite_changes_are_estimates_with_the_plan_chosen_again() -> None:
    work = ac.decode(tpot="30 ms")
    found = ac.sensitivity("gb200-nvl72", workload=work, metrics=["tokens_per_s_per_accelerator", "cost_per_token"])
    base = ac.estimate("gb200-nvl72", workload=work, samples=0)
    counted = [item for item in found if item.halved or item.doubled]
    assert {item.name.rpartition(".")[2] for item in counted} >= {"domain"}
    for item in counted:
        assert all(value == 0.0 for value in item.elasticity.values()), "a count has no small change"
        for part, factor in ((item.halved, 0.5), (item.doubled, 2.0)):
            if part:
                moved = ac.estimate("gb200-nvl72", workload=work, samples=0, set={item.address: math.floor(item.value.value * factor)})
                for metric, share in part.items():
                    assert share == pytest.approx(moved[metric].value / base[metric].value - 1.0, rel=1e-9, abs=1e-12), (item.name, metric)


# What comes out

SCHEMAS = Path(ac.__file__).parent / "data"
TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None), "number": (int, float)}


def faults(data: Any, schema: Mapping[str, Any], where: str = "$") -> list[str]:
    """What of the data the schema does not allow; the keywords that these schemas use."""
    if "const" in schema:
        return [] if data == schema["const"] else [f"{where}: is not {schema['const']}"]
    kinds = schema.get("type", ())
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(isinstance(data, TYPES[kind]) and (kind == "boolean" or not isinstance(data, bool)) for kind in kinds):
        return [f"{where}: {data!r} is not {kinds}"]
    found = []
    if isinstance(data, dict):
        known, other = schema.get("properties", {}), schema.get("additionalProperties", True)
        found += [f"{where}: lacks {name}" for name in schema.get("required", ()) if name not in data]
        found += [f"{where}: has {name}" for name in data if name not in known and other is False]
        for name, item in data.items():
            found += faults(item, known.get(name, other if isinstance(other, dict) else {}), f"{where}.{name}")
    if isinstance(data, list):
        found += [fault for number, item in enumerate(data) for fault in faults(item, schema.get("items", {}), f"{where}[{number}]")]
    return found


def strict(text: str) -> Any:
    return json.loads(text, parse_constant=pytest.fail)


def schema_of(name: str) -> Any:
    return json.loads((SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8"))


def test_json_keeps_to_its_schema(decode: SensitivityView) -> None:
    record = strict(decode.table("json"))
    assert faults(record, schema_of("sensitivity")) == []
    assert faults({**record, "more": 1}, schema_of("sensitivity"))
    assert faults({**record, "sensitivities": [{}]}, schema_of("sensitivity"))
    ratio = ac.sensitivity(["cloudmatrix-384", "gb200-nvl72"], workload="decode", metrics="cost_per_token")
    assert faults(strict(ratio.table("json")), schema_of("sensitivity")) == []
    assert strict(ratio.table("json"))["units"] == {"cost_per_million_tokens": "1"}
    for more in ({}, {"top": 1}, {"plan": {**PLAN, "batch": 9000}}):
        swept = ac.sweep({"tpot": ["1 us", "50 ms"], "site.electricity.price": ["x1"]}, system="gb200-nvl72", **more)
        assert faults(strict(swept.table("json")), schema_of("sweep")) == []
    assert faults({**strict(swept.table("json")), "best": [{"row": 1}]}, schema_of("sweep"))


def test_numbers_stand_in_the_unit_beside_them(decode: SensitivityView) -> None:
    """In JSON and CSV a value is SI, and so is its unit."""
    rows = {row["address"]: row for row in csv.DictReader(io.StringIO(decode.table("csv"))) if row["metric"] == "tpot"}
    assert len(rows) == len(decode)
    for item in strict(decode.table("json"))["sensitivities"]:
        assert factor_of(item["unit"] if item["unit"] != "1/s" else "Hz")[0] == 1.0
        assert float(rows[item["address"]]["value"]) == pytest.approx(item["value"])
        assert rows[item["address"]]["unit"] == item["unit"]
    bandwidth = rows["accelerators/nvidia-gb200.memory.bandwidth"]
    assert (float(bandwidth["value"]), bandwidth["unit"]) == (8e12, "B/s")
    assert float(bandwidth["elasticity"]) == pytest.approx(one(decode, "nvidia-gb200.memory.bandwidth").elasticity["tpot"])


def test_the_table_and_the_tornado(decode: SensitivityView, tmp_path: Path) -> None:
    text = str(decode)
    assert max(map(len, text.splitlines())) <= 80
    assert "spec values are read" in text
    assert len(decode) >= 30
    drawn = ElementTree.parse(decode.plot(tmp_path / "tornado.svg"))
    labels = "".join(drawn.getroot().itertext())
    widest = decode.by(decode.metric, ranges=True)[0]
    assert widest.name[:20] in labels
    assert decode.table("markdown").count("|") > 20
    assert "<table" in decode._repr_html_()
    order = [abs(item.elasticity["tpot"]) for item in decode.by("tpot")]
    assert order == sorted(order, reverse=True)
    assert si_unit("TB/s") == "B/s"


def test_the_first_metric_asked_for_is_shown() -> None:
    found = ac.sensitivity("gb200-nvl72", workload=DECODE, plan=PLAN, metrics=["tpot", "cost_per_million_tokens"], finite=False)
    assert found.metric == "tpot"
    assert ac.sensitivity("gb200-nvl72", workload=DECODE, plan=PLAN, finite=False).metric == "cost_per_token"
    with pytest.raises(AicomputeError, match="no sensitivity to 'mfu' was asked for"):
        found.by("mfu")


# Bad input


@pytest.mark.parametrize(
    ("systems", "more", "said"),
    [
        ([], {}, "one system or of the ratio of two, not of 0"),
        (["gb200-nvl72"] * 3, {}, "not of 3"),
        ("gb200-nvl27", {}, "did you mean 'gb200-nvl72'"),
        ("gb200-nvl72", {"metrics": "tpott"}, "did you mean 'tpot'"),
        ("gb200-nvl72", {"metrics": "mfu"}, "mfu: no such metric in this scenario, which has tokens_per_s_per_accelerator"),
        ("gb200-nvl72", {"plan": {"tpp": 3}}, r"plan: tpp \(a decode plan has"),
        ("gb200-nvl72", {"plan": {"tp": 3, "dp": 1}}, "tp = 3 does not divide 128 heads"),
        ("gb200-nvl72", {"utilisation": 2}, "at most 1"),
    ],
)
def test_what_makes_no_sense_is_refused(systems: Any, more: dict[str, Any], said: str) -> None:
    with pytest.raises(AicomputeError, match=said):
        ac.sensitivity(systems, workload="decode", finite=False, **more)


def test_without_a_plan_there_is_nothing_to_be_sensitive() -> None:
    with pytest.raises(InfeasibleError, match="gb200-nvl72: "):
        ac.sensitivity("gb200-nvl72", workload=ac.decode(tpot="1 us"))
    site = next(name for name in ac.Library().ids("sites") if ac.load(name, "sites").get("eligible.vendors", ["NVIDIA"]) != ["NVIDIA"])
    with pytest.raises(InfeasibleError, match="hold for chips of"):
        ac.sensitivity("gb200-nvl72", workload="decode", site=site)


def test_the_command(tmp_path: Path) -> None:
    def run(*arguments: str) -> Any:
        return CliRunner().invoke(cli, ["sensitivity", *arguments])

    fine = run("gb200-nvl72", "--workload", "decode", "--metric", "tpot", "--no-finite", "--top", "4", "--plot", str(tmp_path / "a.svg"))
    assert fine.exit_code == 0, fine.output
    assert fine.stdout.startswith("What TPOT depends on: gb200-nvl72")
    assert (tmp_path / "a.svg").exists()
    assert re.search(r"\+0\.\d\d|-0\.\d\d", fine.stdout)
    for arguments, code, said in (
        (["gb200-nvl72", "--plot", "a.png"], 2, "ends with .svg"),
        (["gb200-nvl72", "--plot", "/no/such/a.svg"], 2, "there is no folder"),
        (["gb200-nvl72", "--site", "home", "--site", "us-average"], 2, "takes one --site"),
        (["gb200-nvl72", "--metric", "colour"], 2, "colour"),
        (["gb200-nvl72", "--workload", "decode", "--tpot", "1 us"], 4, "gb200-nvl72"),
        ([], 2, "Missing argument"),
    ):
        found = run(*arguments)
        assert found.exit_code == code, found.output
        assert said in found.stderr
        assert "Traceback" not in found.output
