"""Published power of chips, nodes and racks, then properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aicompute.machine.power import SystemPower, accelerator_power, issued_rows, load_power, scaled_energy, site_power, unit_power
from aicompute.specs import Library

library = Library()

FITTED = {"idle_fraction": 0.1, "energy_per_byte": 65e-12, "compute": 1.54, "exponent": 0.4}
H100, B200 = (700.0, 989e12), (1000.0, 2250e12)

rates = st.floats(0.0, 1e16)
traffic = st.floats(0.0, 1e14)
shares = st.floats(0.0, 1.0)
watts = st.floats(0.0, 1e6)


def system(identifier: str, bound: str = "value", **changes: float) -> tuple[float, float, SystemPower]:
    """Accelerators of a unit, their limit, and everything else of the unit."""
    spec = library.load("systems", identifier)
    chip = library.load("accelerators", spec.get("accelerator"))
    parts = {part: getattr(spec.value(f"power.{part}"), bound) for part in ("hosts", "nics", "switches", "optics", "other")}
    return spec.si("accelerators"), chip.si("power.tdp"), SystemPower(**parts | {"conversion": spec.si("power.conversion")} | changes)


def full_power(identifier: str, **changes: float) -> float:
    count, tdp, rest = system(identifier, **changes)
    return float(unit_power(count * tdp, rest).total)


# --- accelerators

# ML.ENERGY leaderboard v3, GPU energy, rows that were not in the fit: watts a GPU. FLOP/s and B/s a GPU follow from batch, tokens/s and the
# shape of the model: weights touched read once a step, cache of 250 to 300 prompt tokens and half the answer.
SERVED = [
    (*H100, 3.39e14, 5.50e11, 609.4),  # Llama-3.1-405B fp8, 8 GPUs, batch 256
    (*B200, 9.72e14, 9.08e11, 970.8),  # the same, 4 GPUs, 512
    (*B200, 2.09e14, 7.33e11, 799.0),  # Qwen3-235B-A22B bf16, 4 GPUs, 4096
    (*H100, 4.27e13, 3.76e11, 495.1),  # the same, fp8, 8 GPUs, 512
    (*B200, 2.56e13, 1.12e12, 534.7),  # DeepSeek-R1 fp8, 8 GPUs, batch 8
    (*B200, 7.92e13, 2.04e12, 890.8),  # 128
    (*B200, 1.28e14, 2.90e11, 683.7),  # DeepSeek-V3.1 fp8, 8 GPUs, 3072
]


def test_serving_of_large_models():
    tdp, peak, flops, moved, measured = (np.array(column) for column in zip(*SERVED, strict=True))
    error = np.abs(accelerator_power(tdp, peak, flops_rate=flops, bytes_rate=moved, **FITTED) / measured - 1.0)
    assert np.median(error) < 0.12
    assert error.max() < 0.30
    assert error[:2].max() < 0.12  # dense


def test_training_runs_near_the_limit():
    # Latif et al., arXiv:2412.08602: GPUs "near full utilisation" at Llama-2-13B; a third to a half of the peak
    share = accelerator_power(*H100, flops_rate=np.array([0.33, 0.5]) * 989e12, bytes_rate=5e11, **FITTED) / 700.0
    assert np.all((share > 0.9) & (share < 1.0))


def test_soft_cap_is_that_of_the_fit():
    # the fit took the whole power, with exponent 12
    dynamic = np.linspace(0.0, 3.0, 400)
    here = accelerator_power(1.0, 1.0, 0.1, 1.0, 0.0, 1.0, 0.0, dynamic)
    there = (0.1 + dynamic) / (1.0 + (0.1 + dynamic) ** 12.0) ** (1.0 / 12.0)
    assert np.abs(here / there - 1.0).max() < 0.025
    assert np.median(np.abs(here / there - 1.0)) < 0.01


def test_energy_per_byte_of_older_memory_is_that_of_the_specs():
    default = library.load("accelerators", "nvidia-b200-sxm").si("power.energy_per_byte")
    ascend = library.load("accelerators", "huawei-ascend-910c").value("power.energy_per_byte")
    assert scaled_energy(default, 42e9, 32e9) == pytest.approx(ascend.value, rel=0.01)
    assert scaled_energy(default, 42e9, 42e9) == default


@given(rates, rates, traffic, traffic, traffic)
def test_power_rises_with_the_work_between_idle_and_the_limit(flops, more_flops, moved, more_moved, wire):
    def power(f, b, w=0.0):
        return accelerator_power(*H100, flops_rate=f, bytes_rate=b, wire=w, **FITTED)

    low = power(flops, moved)
    assert 70.0 <= low <= 700.0
    for high in (power(flops + more_flops, moved), power(flops, moved + more_moved), power(flops, moved, wire)):
        assert low <= high * (1.0 + 1e-12)
        assert high <= 700.0


@given(rates, traffic, st.floats(0.1, 10.0))
def test_power_scales_with_the_package(flops, moved, size):
    one = accelerator_power(*H100, flops_rate=flops, bytes_rate=moved, **FITTED)
    many = accelerator_power(700.0 * size, 989e12 * size, flops_rate=flops * size, bytes_rate=moved * size, **FITTED)
    assert many == pytest.approx(one * size, rel=1e-9)


@given(st.lists(st.tuples(rates, traffic), min_size=1, max_size=8))
def test_arrays_equal_a_loop(points):
    flops, moved = (np.array(column) for column in zip(*points, strict=True))
    together = accelerator_power(*B200, flops_rate=flops, bytes_rate=moved, **FITTED)
    apart = [accelerator_power(*B200, flops_rate=f, bytes_rate=b, **FITTED) for f, b in points]
    assert together == pytest.approx(apart, rel=1e-12)
    mesh = accelerator_power(*B200, flops_rate=flops[:, None], bytes_rate=moved[None, :], **FITTED)
    assert np.diagonal(mesh) == pytest.approx(apart, rel=1e-12)


def test_floats_stay_floats():
    assert type(accelerator_power(*H100, flops_rate=1e14, bytes_rate=1e12, **FITTED)) is float
    assert type(issued_rows(3.0, 4.0)) is float
    assert type(unit_power(700.0, SystemPower(1.0, 1.0, 1.0, 1.0, 1.0, 0.9)).total) is float


@given(st.floats(1.0, 1e6), st.floats(0.0, 100.0))
def test_issued_rows_cover_both(rows, extra):
    issued = issued_rows(rows, extra)
    assert max(rows, extra) <= issued * (1.0 + 1e-12)
    assert issued <= (rows + extra) * (1.0 + 1e-12)


# --- systems


def test_cloudmatrix_384_all_in():
    published = library.load("systems", "cloudmatrix-384").value("power.total")  # SemiAnalysis 2025-04-16; 500 kW elsewhere
    power = full_power("cloudmatrix-384")
    assert published.low < power < published.high
    assert power == pytest.approx(559e3, rel=0.02)


def test_gb200_nvl72_all_in():
    published = library.load("systems", "gb200-nvl72").value("power.total")
    power = full_power("gb200-nvl72")
    assert published.low < power < published.high
    assert power == pytest.approx(145e3, rel=0.02)


def test_dgx_h100():
    with_network = full_power("dgx-h100")
    # 500 to 800 W of the switches' 950 W and all optics belong to the scale-out network
    alone = full_power("dgx-h100", switches=300.0, optics=0.0)
    assert alone < with_network < 10_200.0  # name plate
    assert alone == pytest.approx(8400.0, rel=0.03)  # highest measured at a node, Llama-2-13B, Latif et al., arXiv:2412.08602


def test_dgx_h100_measured_nodes_lie_between_idle_and_full():
    count, tdp, rest = system("dgx-h100", switches=300.0, optics=0.0, hosts_idle=0.5, other_idle=0.5)
    idle = unit_power(count * 0.1 * tdp, rest, load=0.0).total
    full = unit_power(count * tdp, rest).total
    # Latif et al.; Newkirk et al., arXiv:2506.14551; SMC in MLPerf Training v4.0, 6,741 W at the DC side
    for measured in (8400.0, 7752.0, 6741.0 * 1.03):
        assert idle < measured < full * 1.01


def test_conversion_of_smc():
    # MLPerf Training v4.0, Llama-2-70B-LoRA on one node of 8 H100: 12,127,904 J AC, 11,769,962 J DC
    rest = SystemPower(0.0, 0.0, 0.0, 0.0, 0.0, conversion=1.0 / 1.030)
    assert unit_power(11_769_962.0, rest).total == pytest.approx(12_127_904.0, rel=1e-3)


@given(watts, watts, watts, watts, watts, watts, st.floats(0.5, 1.0), shares, shares, shares)
def test_parts_add_up_and_rise_with_load(chips, hosts, nics, switches, optics, other, conversion, idle, load, more):
    rest = SystemPower(hosts, nics, switches, optics, other, conversion, hosts_idle=idle, other_idle=idle)
    power = unit_power(chips, rest, load)
    assert sum(power.parts.values()) == pytest.approx(power.total)
    assert power.total * conversion == pytest.approx(chips + power.hosts + nics + switches + optics + power.other)
    assert power.total >= chips
    assert unit_power(chips, rest, max(load, more)).total >= power.total * (1.0 - 1e-12)


@given(watts, shares, shares)
def test_load_power_lies_between_idle_and_full(full, idle, load):
    power = load_power(full, idle, load)
    assert full * idle * (1.0 - 1e-12) <= power <= full * (1.0 + 1e-12)
    assert load_power(full, 1.0, load) == full


@given(st.floats(1.0, 1e4))
def test_a_unit_is_its_accelerators_times_one(count):
    one = SystemPower(100.0, 30.0, 120.0, 40.0, 150.0, 0.95, 0.5, 0.5)
    all_of_them = SystemPower(*(count * part for part in (100.0, 30.0, 120.0, 40.0, 150.0)), 0.95, 0.5, 0.5)
    assert unit_power(count * 700.0, all_of_them, 0.3).total == pytest.approx(count * unit_power(700.0, one, 0.3).total)


def test_site_power():
    assert site_power(559e3, 1.0) == 559e3
    assert site_power(np.array([559e3, 145e3]), 1.1) == pytest.approx([614.9e3, 159.5e3])
