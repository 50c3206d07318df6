"""Published reliability numbers, then properties."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aicompute.machine.failures import (
    checkpoint_waste,
    cluster_mtbf,
    combined_mtbf,
    daly_interval,
    degraded_bandwidth_share,
    domain_availability,
    goodput,
    goodput_exponential,
    spares,
    steady_availability,
    young_interval,
)

HOUR = 3600.0
LLAMA = 11135.16

ratios = st.floats(1e-5, 1.9)


def test_llama_3_405b_table_5():
    one = 16384 * 54 * 24 * HOUR / 419
    assert one / HOUR == pytest.approx(50_677, abs=1)
    assert cluster_mtbf(one, 16384) / HOUR == pytest.approx(3.0931, abs=5e-5)
    assert [cluster_mtbf(one, n) / HOUR for n in (384, 72, 10_000)] == pytest.approx([132, 704, 5.07], rel=1e-3)
    assert 8760 * HOUR / one == pytest.approx(0.1729, abs=5e-5)  # failures a year


@pytest.mark.parametrize(
    ("checkpoint", "mtbf", "restart", "young", "daly", "share"),
    [
        (60, LLAMA, 300, 1155.95, 1116.30, 0.86925),
        (30, LLAMA, 180, 817.38, 797.50, 0.91043),
        (300, 36 * HOUR, 600, 8818.16, 8619.30, 0.92733),
    ],
)
def test_young_and_daly(checkpoint, mtbf, restart, young, daly, share):
    assert young_interval(checkpoint, mtbf) == pytest.approx(young, abs=6e-3)
    assert daly_interval(checkpoint, mtbf) == pytest.approx(daly, abs=6e-3)
    assert goodput(young_interval(checkpoint, mtbf), checkpoint, mtbf, restart) == pytest.approx(share, abs=6e-6)


def test_optical_modules_of_a_cloudmatrix():
    assert cluster_mtbf(1e6 * HOUR, 6912) / HOUR == pytest.approx(145, abs=0.5)


def test_spares_are_the_smallest_number_that_suffices():
    for mean in (0.01, 0.5, 1.0, 5.09, 40.0, 700.0):
        for confidence in (0.5, 0.9, 0.99):
            total, k = math.exp(-mean), 0
            while total < confidence:
                k += 1
                total += math.exp(k * math.log(mean) - mean - math.lgamma(k + 1))
            assert spares(mean, confidence) == k
    assert spares(np.array([0.0, 1.0]), 0.95).tolist() == [0.0, 3.0]


def test_domain_availability_by_hand():
    assert domain_availability(2, 3, 0.9) == pytest.approx(3 * 0.9**2 * 0.1 + 0.9**3)
    assert domain_availability(np.array([3, 0]), 3, 0.9) == pytest.approx([0.9**3, 1.0])


def test_a_lost_plane_costs_bandwidth_and_no_job():
    assert degraded_bandwidth_share(6912, 7, 1.0) == 1.0
    assert degraded_bandwidth_share(6912, 7, 0.5) == pytest.approx(6 / 7)
    assert degraded_bandwidth_share(1, 1, 0.9) == pytest.approx(0.9)


@given(ratio=ratios)
def test_daly_is_near_the_exact_optimum(ratio):
    intervals = np.geomspace(1e-3, 3.0, 4000)
    best = goodput_exponential(intervals, ratio, 1.0, 0.0).max()
    assert goodput_exponential(daly_interval(ratio, 1.0), ratio, 1.0, 0.0) > best * 0.998


@given(ratio=st.floats(1e-6, 1e-2))
def test_young_minimises_the_first_order_waste(ratio):
    best = young_interval(ratio, 1.0)
    for factor in (0.9, 1.1):
        assert checkpoint_waste(best, ratio, 1.0, 0.0) < checkpoint_waste(best * factor, ratio, 1.0, 0.0)


@given(ratio=st.floats(1e-7, 1e-3), restart=st.floats(0.0, 1e-3))
def test_first_order_and_exponential_goodput_agree_where_waste_is_small(ratio, restart):
    interval = young_interval(ratio, 1.0)
    waste = checkpoint_waste(interval, ratio, 1.0, restart)
    assert abs(goodput(interval, ratio, 1.0, restart) - goodput_exponential(interval, ratio, 1.0, restart)) < waste**2


@given(interval=st.floats(1.0, 1e6), checkpoint=st.floats(0.0, 1e4), mtbf=st.floats(10.0, 1e9), restart=st.floats(0.0, 1e5))
def test_goodput_is_a_share_and_grows_with_reliability(interval, checkpoint, mtbf, restart):
    for share in (goodput, goodput_exponential):
        assert 0.0 <= share(interval, checkpoint, mtbf, restart) <= 1.0
        assert share(interval, checkpoint, 2 * mtbf, restart) >= share(interval, checkpoint, mtbf, restart) - 1e-12


def test_no_failures_leave_only_checkpoints():
    assert goodput_exponential(900.0, 100.0, math.inf, 50.0) == pytest.approx(0.9)


@given(second=st.floats(1e-3, 1e3), ratio=ratios)
def test_units_of_time_do_not_matter(second, ratio):
    for interval in (young_interval, daly_interval):
        assert interval(ratio * second, second) == pytest.approx(second * interval(ratio, 1.0), rel=1e-9)
    assert goodput_exponential(second, ratio * second, second, second) == pytest.approx(goodput_exponential(1.0, ratio, 1.0, 1.0), rel=1e-9)


def test_rates_of_kinds_add():
    assert combined_mtbf(cluster_mtbf(100.0, 4), cluster_mtbf(100.0, 6)) == pytest.approx(cluster_mtbf(100.0, 10))
    assert steady_availability(1e6, 0.0) == 1.0


def test_arrays_equal_a_loop_of_floats():
    generator = np.random.default_rng(3)
    checkpoint, mtbf = generator.uniform(1, 600, 100), generator.uniform(50, 1e5, 100)
    interval = daly_interval(checkpoint, mtbf)
    first, exact = goodput(interval, checkpoint, mtbf, 120.0), goodput_exponential(interval, checkpoint, mtbf, 120.0)
    for i in range(100):
        c, m = float(checkpoint[i]), float(mtbf[i])
        tau = daly_interval(c, m)
        assert isinstance(tau, float)
        assert tau == pytest.approx(interval[i], rel=1e-12)
        assert goodput(tau, c, m, 120.0) == pytest.approx(first[i], rel=1e-12, abs=1e-12)
        assert float(goodput_exponential(tau, c, m, 120.0)) == pytest.approx(exact[i], rel=1e-12)
