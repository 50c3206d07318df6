"""What a reader found wrong once: each case must stay right."""

import pytest

from aicompute.errors import UsageError
from aicompute.estimate import workload
from aicompute.estimate.account import Activity, busy_power
from aicompute.estimate.context import records, scene, standing
from aicompute.estimate.inputs import precision_map
from aicompute.search.compare import Options, compare_systems, estimate_system, headline
from aicompute.specs import Library

library = Library()
QUIET = Options(samples=0)


def peak(system: str, word: str) -> float:
    return library.load("accelerators", str(library.load("systems", system).get("accelerator"))).si(f"peak.{word}")


@pytest.mark.parametrize("system", ["dgx-h100", "mi300x-8", "gb200-nvl72"])
def test_no_first_token_comes_before_the_arithmetic_allows(system):
    """2 N FLOP a token over the accelerators of the engine that reads the prompt, at their 8-bit peak."""
    e = estimate_system(library, system, "llama-3.1-70b", workload.serving(ttft="3 s"), QUIET)
    size = e.plan.get("prefill_engine_accelerators", e.plan.get("engine_accelerators"))
    assert e.value("ttft") > 2 * 70.5e9 * 4096 / (size * peak(system, "fp8"))


def test_a_target_below_the_arithmetic_is_not_met():
    e = estimate_system(library, "dgx-h100", "llama-3.1-405b", workload.serving(ttft="300 ms", tpot="60 ms"), QUIET)
    assert not e.feasible
    assert "TTFT at best" in e.reason


@pytest.mark.parametrize(
    ("system", "model"), [("cloudmatrix-384", "deepseek-r1"), ("gb200-nvl72", "deepseek-r1"), ("trn2-ultraserver", "qwen3-235b-a22b")]
)
def test_pools_are_whole_engines_that_fit(system, model):
    e = estimate_system(library, system, model, workload.serving(), QUIET)
    if e.feasible and e.plan["pools"] == "prefill and decode":
        used = sum(e.plan[f"{name}_engines"] * e.plan[f"{name}_engine_accelerators"] for name in ("prefill", "decode"))
        assert used <= e.accelerators
        assert min(e.plan["prefill_engines"], e.plan["decode_engines"]) >= 1


def test_a_batch_has_a_prompt_for_every_attention_group():
    e = estimate_system(library, "dgx-b200", "deepseek-r1", workload.prefill(ttft="300 ms"), QUIET)
    assert e.plan["batch_per_accelerator"] * e.plan["engine_accelerators"] >= e.plan["dp"]


@pytest.mark.parametrize(
    ("system", "model"), [("vr-nvl72", "llama-3.1-405b"), ("dgx-h100", "llama-3.1-405b"), ("gb300-nvl72", "llama-3.1-70b")]
)
def test_utilisation_stays_below_one_at_the_precision_that_runs(system, model):
    e = estimate_system(library, system, model, workload.training(), Options(samples=0, accelerators=1024))
    assert 0.05 < e.value("mfu") < 0.75


def test_a_word_of_four_bits_reaches_a_model_without_experts():
    rates = [
        estimate_system(library, "gb300-nvl72", "llama-3.1-405b", workload.decode(tpot="50 ms"), Options(samples=0, precision=word)).value(
            "memory_share"
        )
        for word in ("fp8", "nvfp4")
    ]
    both = [scene(library, "gb300-nvl72", "llama-3.1-405b", "decode", precision=word).precision["dense"] for word in ("fp8", "nvfp4")]
    assert both == ["fp8", "nvfp4"]
    assert rates[0] != rates[1]


def test_weights_are_no_wider_than_the_model_is_published_in():
    assert scene(library, "dgx-h100", "gpt-oss-120b", "decode").precision["experts"] == "mxfp4"
    assert scene(library, "dgx-h100", "gpt-oss-120b", "decode", precision="fp8").precision["experts"] == "fp8"
    assert scene(library, "cloudmatrix-384", "deepseek-r1", "decode").precision["experts"] == "int8"


def test_energy_cost_and_carbon_share_a_boundary():
    """Carbon over energy is the grid's intensity, whatever the utilisation."""
    e = estimate_system(library, "gb200-nvl72", "deepseek-r1", workload.decode(tpot="50 ms"), Options(samples=0, utilisation=0.4))
    grid = library.load("sites", "us-average").si("carbon.intensity")
    assert e.value("carbon_per_token") / e.value("energy_per_token") == pytest.approx(grid, rel=1e-9)


def test_no_cache_streams_faster_than_the_memory():
    for system in ("cloudmatrix-384", "dgx-h100", "gb200-nvl72"):
        s = scene(library, system, "llama-3.1-70b", "decode")
        sheet = s.accelerator.si("memory.bandwidth") / s.devices_each
        assert standing(s).device.kv_bandwidth <= sheet
        assert standing(s).device.bandwidth <= sheet


def test_power_of_two_pools_is_the_mean_of_their_powers():
    s = scene(library, "dgx-h100", "llama-3.1-70b", "serving")
    r = records(s)
    busy, light = Activity(1.0, 4e14, 1e12, 0.0), Activity(1.0, 1e13, 1e12, 0.0)
    half = [Activity(0.5, 4e14, 1e12, 0.0), Activity(0.5, 1e13, 1e12, 0.0)]
    assert busy_power(s, r, half) == pytest.approx(0.5 * (busy_power(s, r, [busy]) + busy_power(s, r, [light])))


def test_power_has_an_interval_of_its_own():
    e = estimate_system(library, "dgx-h100", "llama-3.1-8b", workload.decode(batch=4), Options(samples=400))
    power = e["accelerator_power"]
    assert (power.high - power.low) / power.value > 0.1
    assert power.high <= library.load("accelerators", "nvidia-h100-sxm").si("power.tdp")


def test_equal_cost_is_equal_within_an_accelerator_and_its_network():
    c = compare_systems(
        library, ["gb200-nvl72", "cloudmatrix-384"], "deepseek-r1", workload.decode(tpot="50 ms"), Options(samples=0, equal="cost")
    )
    assert c[0].value("cost_per_hour") == pytest.approx(c[1].value("cost_per_hour"), rel=0.02)


def test_attention_runs_in_16_bits_and_says_so():
    with pytest.raises(UsageError, match="precision of attention 'fp8' is not one of bf16, fp16"):
        precision_map("attention=fp8", {})


def test_everything_cached_is_refused():
    with pytest.raises(UsageError, match=r"prefix_hit = 1: expected a number from 0 to 0\.999"):
        workload.prefill(prefix_hit=1)


def test_the_budget_of_the_headline_follows_the_specs():
    half = library.override({"nvidia-gb200.peak.bf16": 1.25e15})
    full, halved = (
        next(c for c in headline(lib, ["cloudmatrix-384", "gb200-nvl72"], QUIET) if c[0].workload == "training") for lib in (library, half)
    )
    assert halved[1].accelerators == full[1].accelerators == 2048
    assert halved[0].accelerators == pytest.approx(full[0].accelerators / 2, abs=1)


def test_no_more_exchange_hides_than_there_is_work_to_hide_behind():
    """One token an attention group over InfiniBand: exchange dwarfs the kernels, and a stack that overlaps all of it still waits."""
    lib = library.override({"deepseek-inhouse.overlap.experts": 1.0})
    e = estimate_system(
        lib, "hgx-h800", "deepseek-v3", workload.decode(batch=1), Options(samples=0, accelerators=128, plan={"tp": 1, "dp": 128, "ep": 128})
    )
    shown = {part.name: part.seconds for part in e.breakdown}
    total = {part.name: part.seconds for part in e.communication}
    kernels = sum(
        seconds
        for name, seconds in shown.items()
        if name in ("projections and dense", "experts", "cache attention", "norms and elementwise")
    )
    assert shown.get("expert exchange", 0.0) == pytest.approx(max(total["expert exchange"] - kernels, 0.0), abs=1e-9)
