"""Concentration of supply, and carbon of making accelerators."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import aicompute as ac
from aicompute import cli
from aicompute.decide.supply import STEPS, exposure, fleet_of
from aicompute.economics.carbon import die_carbon
from aicompute.errors import UnknownNameError, UsageError
from aicompute.policy.exposure import dependence, herfindahl, largest_share
from aicompute.specs import Library

library = Library()
shares = st.lists(st.floats(0.01, 100), min_size=1, max_size=6)


@given(shares, st.floats(0.1, 10))
def test_the_index_lies_between_even_and_one(amounts: list[float], scale: float) -> None:
    found = float(herfindahl(np.array(amounts)))
    assert 1 / len(amounts) - 1e-12 <= found <= 1 + 1e-12
    assert float(herfindahl(scale * np.array(amounts))) == pytest.approx(found)
    whole = np.array(amounts) / sum(amounts)
    assert float(largest_share(whole)) ** 2 <= found + 1e-12
    assert found <= float(largest_share(whole)) + 1e-12


@given(st.lists(st.tuples(st.floats(0.1, 100), st.integers(1, 7)), min_size=1, max_size=5))
def test_the_truth_lies_between_alone_and_touched(rows: list[tuple[float, int]]) -> None:
    capital = np.array([amount for amount, _ in rows])
    sources = np.array([[float(bool(mask & (1 << k))) for k in range(3)] for _, mask in rows])
    alone, even, touched = dependence(capital, sources)
    assert np.all(alone <= even + 1e-12)
    assert np.all(even <= touched + 1e-12)
    assert float(np.sum(even)) == pytest.approx(1.0)


def test_no_capital_is_refused() -> None:
    with pytest.raises(ValueError, match="must be above 0"):
        dependence(np.array([0.0]), np.array([[1.0]]))
    assert np.isnan(herfindahl(np.array([0.0, 0.0])))


def test_one_system_depends_on_its_makers() -> None:
    found = {step.step: step for step in exposure(library, {"cloudmatrix-384": 1.0}).steps}
    assert set(found) == set(STEPS)
    foundry = {holder.id: holder for holder in found["foundry"].holders}
    assert (foundry["tsmc"].alone, foundry["tsmc"].even, foundry["tsmc"].touched) == (0.0, 0.5, 1.0)
    assert found["foundry"].index == pytest.approx(0.5)
    assert found["foundry"].index_most == pytest.approx(1.0)  # all from one of the two
    assert [holder.id for holder in found["country of the memory"].holders] == ["kr"]
    assert found["country of the memory"].holders[0].alone == 1.0  # Samsung or SK hynix, Korea either way


def test_a_fleet_is_weighed_by_its_capital() -> None:
    ten, thirty = library.load("systems", "cloudmatrix-384"), library.load("systems", "gb200-nvl72")
    e = exposure(library, {"cm384": 10.0, "nvl72": 30.0})
    unit = [spec.si("price.unit") + spec.si("price.network") for spec in (ten, thirty)]
    assert e.capital == pytest.approx(10 * unit[0] + 30 * unit[1])
    priced = ((3840, "huawei-ascend-910c"), (2160, "nvidia-gb200"))
    chips = [count * library.load("accelerators", name).si("price") for count, name in priced]
    assert e.accelerator_share == pytest.approx(sum(chips) / e.capital)
    tsmc = next(holder for step in e.steps if step.step == "foundry" for holder in step.holders if holder.id == "tsmc")
    assert tsmc.alone == pytest.approx(chips[1] / sum(chips))
    assert tsmc.touched == pytest.approx(1.0)


def test_every_system_with_a_price_can_be_weighed() -> None:
    for system in library.ids("systems"):
        e = exposure(library, {system: 2.0})
        assert 0.0 < e.accelerator_share <= 1.0, system
        for step in e.steps:
            assert sum(holder.even for holder in step.holders) == pytest.approx(1.0)
            assert step.index <= step.index_most + 1e-12


def test_what_nobody_published_is_called_so() -> None:
    step = ac.supply("tpu-v5e-pod")["memory"]
    assert [holder.id for holder in step.holders] == ["not known"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "supply needs at least one system"),
        (("gb200=0",), "gb200=0: expected a number of units above 0"),
        (("gb200=many",), "gb200=many: expected a number of units above 0"),
        (("gb200", "nvl72"), "'nvl72' is gb200-nvl72, which is named twice"),
        (("gb200", "gb200"), "'gb200' is named twice"),
        (("gb200-nvl27",), "did you mean 'gb200-nvl72'"),
    ],
)
def test_bad_fleets_are_told(words: tuple[str, ...], said: str) -> None:
    done = CliRunner().invoke(cli.cli, ["supply", *words])
    assert done.exit_code == 2
    assert said in " ".join(done.stderr.split())


def test_a_fleet_is_read_from_text_or_mapping() -> None:
    assert fleet_of("a=2") == {"a": 2.0}
    assert fleet_of({"a": 2}) == {"a": 2.0}
    with pytest.raises(UsageError, match="named twice"):
        fleet_of(["a", "a=3"])
    with pytest.raises(UnknownNameError, match="step of the supply"):
        ac.supply("nvl72")["wafer"]


def test_supply_is_printed() -> None:
    runner = CliRunner()
    done = runner.invoke(cli.cli, ["supply", "cloudmatrix-384=10", "gb200-nvl72=30"])
    assert done.exit_code == 0
    assert all(len(line) <= 80 for line in done.stdout.splitlines())
    assert "0.62 to 1.00" in done.stdout
    assert "From memory" in done.stderr
    found = json.loads(runner.invoke(cli.cli, ["supply", "cm384", "--format", "json"]).stdout)
    assert found["steps"][1]["holders"][0]["touched"] == 1.0
    assert runner.invoke(cli.cli, ["supply", "cm384", "--format", "csv"]).stdout.startswith("step,holder,alone")


# Carbon of making

ACT = {"7": (2.15, 275.0), "5": (2.75, 327.5), "3": (3.25, 372.5)}  # ACT: kWh and g a cm2, gases between 95 and 99 % abatement


def test_footprints_follow_from_dies_or_are_published() -> None:
    """ACT (Gupta et al., ISCA 2022), Taiwan 583 g/kWh, materials 500 g/cm2, yield 0.875, times 6.8 (4 to 10)."""
    found = 0
    for name in library.ids("accelerators"):
        spec = library.load("accelerators", name)
        assert spec.has("carbon.embodied") == spec.has("silicon.area"), name
        if not spec.has("carbon.embodied") or spec.value("carbon.embodied").source != "assumption-embodied-ratio":
            continue
        value = spec.value("carbon.embodied")
        node = value.note.split(" nm:")[0].rpartition(" ")[2]
        energy, gas = ACT[node]
        die = die_carbon(spec.si("silicon.area"), 583e-3 / 3.6e6, energy * 3.6e6 * 1e4, gas * 10, 5000.0, 0.875)
        for number, ratio in ((value.value, 6.8), (value.low, 4.0), (value.high, 10.0)):
            assert number == pytest.approx(ratio * die, rel=0.01), name
        found += 1
    assert found > 15
    for name, board in (("nvidia-h100-sxm", 1312.0), ("nvidia-b200-sxm", 2274.0)):  # NVIDIA's product carbon footprints
        assert library.load("accelerators", name).si("carbon.embodied") == pytest.approx(board / 8, rel=0.005)


def test_a_token_bears_its_share_of_the_making() -> None:
    found = ac.estimate("dgx-h100", model="llama-3.1-70b", workload="decode", site="us-average", samples=0).estimate
    life = library.load("sites", "us-average").si("capital.life")
    rate = found.accelerators * library.load("accelerators", "nvidia-h100-sxm").si("carbon.embodied") / life
    tokens = found.value("tokens_per_s") * 0.6
    assert found.value("embodied_carbon_per_token") == pytest.approx(rate / tokens, rel=1e-9)
    assert found.value("embodied_carbon_per_token") < 0.05 * found.value("carbon_per_token")  # the grid of the US dominates


def test_a_run_bears_both() -> None:
    found = ac.estimate("dgx-h100", model="llama-3.1-70b", workload=ac.training(tokens=1e12), accelerators=512, samples=0).estimate
    assert found.value("run_carbon") == pytest.approx(1e12 * found.value("carbon_per_token"))
    assert found.value("run_embodied_carbon") == pytest.approx(1e12 * found.value("embodied_carbon_per_token"))
    life = library.load("sites", "us-average").si("capital.life")
    whole = 512 * library.load("accelerators", "nvidia-h100-sxm").si("carbon.embodied")
    assert found.value("run_embodied_carbon") == pytest.approx(whole * found.value("run_time") / life, rel=1e-6)


def test_an_unknown_footprint_is_left_out_and_said() -> None:
    answer = ac.compare(["tpu-v5e-pod", "dgx-h100"], model="llama-3.1-8b", workload="decode", samples=0)
    tpu, h100 = answer.estimates
    assert "embodied_carbon_per_token" not in tpu.metrics
    assert "embodied_carbon_per_token" in h100.metrics
    assert any("google-tpu-v5e: no carbon.embodied" in note for note in answer.comparison.notes)
    own = ac.compare(["tpu-v5e-pod", "dgx-h100"], model="llama-3.1-8b", workload="decode", samples=0,
                     set={"google-tpu-v5e.carbon.embodied": "100 kg"})  # fmt: skip
    assert "embodied_carbon_per_token" in own.estimates[0].metrics
    assert own.comparison.notes == ()
