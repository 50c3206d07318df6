"""Time of operators on a device: published matrix rates, then properties of the roofline."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aicompute.estimate.inputs import peak_share
from aicompute.machine.records import Kernel, Rates
from aicompute.machine.roofline import cast_time, matrix_time, overlap_pair, reached_share, shape_penalty, stream_time
from aicompute.numerics import ceil, exp, floor, log2, maximum, minimum, safe_divide, smooth_maximum, sqrt, where
from aicompute.specs import Library

library = Library()
NO_KERNEL = Kernel(0.0, 0.0, 0.0, 0.0)

sizes = st.floats(1.0, 1e5)
seconds = st.floats(1e-9, 1e3)
kernels = st.builds(Kernel, st.floats(0, 500), st.floats(0, 500), st.floats(0, 2000), st.floats(0, 1e-4))
rates = st.builds(Rates, st.floats(1e12, 1e16), st.floats(0.5, 4.0), st.floats(0.5, 4.0))


# S. Bekman, ml-engineering, "Maximum Achievable Matmul FLOPS" table, bf16, TFLOP/s. The spread of published attempts
# at one chip is about 5 %;
# our specs hold the rate that ranges of shapes reach, so a tenth.
@pytest.mark.parametrize(("chip", "reached"), [("nvidia-a100-sxm-80gb", 271.2), ("nvidia-h100-sxm", 792.1), ("nvidia-b200-sxm", 1745.0)])
def test_published_matrix_rates(chip, reached):
    spec = library.load("accelerators", chip)
    assert spec.si("peak.bf16") * peak_share(spec, "bf16") / 1e12 == pytest.approx(reached, rel=0.12)


@pytest.mark.parametrize("chip", library.ids("accelerators"))
def test_wider_formats_are_not_faster(chip):
    """Dense peaks of floating formats; int8 is left out, newer chips cut it."""
    spec = library.load("accelerators", chip)
    for narrow, wide in (("fp4", "fp8"), ("fp8", "bf16"), ("bf16", "tf32")):
        if spec.has(f"peak.{narrow}") and spec.has(f"peak.{wide}"):
            assert spec.si(f"peak.{narrow}") >= spec.si(f"peak.{wide}")


# S. Bekman, same table at 8 bits, and CloudMatrix paper (arXiv:2506.12708), table 7: int8 products of a die reach 77 to 83 % of its peak.
@pytest.mark.parametrize(("chip", "word", "reached"), [("nvidia-h100-sxm", "fp8", 1402.6), ("huawei-ascend-910c", "int8", 1504.0 * 0.8)])
def test_power_takes_from_narrow_formats_what_is_published(chip, word, reached):
    spec = library.load("accelerators", chip)
    assert spec.si(f"peak.{word}") * peak_share(spec, word) / 1e12 == pytest.approx(reached, rel=0.12)


def test_a_stated_share_stands_and_other_formats_follow_it():
    spec = library.override({"nvidia-h100-sxm.efficiency.bf16": 0.5}).load("accelerators", "nvidia-h100-sxm")
    whole = library.load("accelerators", "nvidia-h100-sxm")
    assert peak_share(spec, "bf16") == 0.5
    assert peak_share(spec, "fp8") / 0.5 == pytest.approx(peak_share(whole, "fp8") / peak_share(whole, "bf16"), rel=1e-12)


# --- properties


@given(large=st.floats(0.1, 1.0), peak=st.floats(1e13, 1e17), power=st.floats(100, 3000), energy=st.floats(0, 1e-12))
def test_reached_share_lies_between_nothing_and_what_power_leaves(large, peak, power, energy):
    share = reached_share(large, peak, power, energy)
    assert 0.0 < share <= large
    assert reached_share(large, peak, 2 * power, energy) >= share
    assert 2 * peak * reached_share(large, 2 * peak, power, energy) >= peak * share
    assert reached_share(large, 7 * peak, 7 * power, energy) == pytest.approx(share, rel=1e-12)


@given(m=sizes, n=sizes, k=sizes, bandwidth=st.floats(1e11, 2e13), growth=st.floats(0, 5))
def test_casts(m, n, k, bandwidth, growth):
    narrow, wide = Rates(1e15, 1.0, 1.0), Rates(1e15, 2.0, 2.0)
    kernel = Kernel(0.0, 0.0, 0.0, 0.0, cast_launch=3e-6, cast_share=1.5, cast_growth=growth)
    assert cast_time(m, k, wide, bandwidth, kernel) == 0.0
    assert cast_time(m, k, narrow, bandwidth, kernel) >= 3e-6 + 1.5 * m * k * 3.0 / bandwidth * (1 - 1e-12)
    assert cast_time(m, k, narrow, bandwidth, kernel) <= 3e-6 * (1 + growth) + 1.5 * m * k * 3.0 / bandwidth * (1 + 1e-12)
    plain = matrix_time(m, n, k, 1.0, narrow, bandwidth, NO_KERNEL)
    both = plain + cast_time(m, k, narrow, bandwidth, kernel)
    assert matrix_time(m, n, k, 1.0, narrow, bandwidth, kernel) == pytest.approx(both, rel=1e-9)


def test_a_narrow_product_cannot_be_shorter_than_its_loop():
    kernel = Kernel(0.0, 0.0, 0.0, 0.0, step=1e-9)
    fast = Rates(1e18, 2.0, 2.0)
    assert matrix_time(1.0, 8.0, 50_000.0, 1.0, fast, 1e16, kernel) == pytest.approx(50e-6, rel=0.01)
    assert matrix_time(8192.0, 8192.0, 8192.0, 1.0, Rates(1e12, 2.0, 2.0), 1e16, kernel) == pytest.approx(1.0995, rel=1e-3)


@given(a=seconds, b=seconds)
def test_overlap_is_between_maximum_and_sum(a, b):
    for both in (overlap_pair(a, b), smooth_maximum(a, b)):
        assert max(a, b) * (1 - 1e-12) <= both <= (a + b) * (1 + 1e-12)
    assert overlap_pair(a, b) == pytest.approx(overlap_pair(b, a), rel=1e-15)
    assert smooth_maximum(a, b) <= overlap_pair(a, b) * (1 + 1e-12)
    assert overlap_pair(a, 0.0) == pytest.approx(a, rel=1e-15)


@given(m=sizes, n=sizes, k=sizes, g=st.floats(1.0, 256.0), r=rates, bandwidth=st.floats(1e11, 2e13), kernel=kernels)
def test_matrix_time_respects_the_roofline(m, n, k, g, r, bandwidth, kernel):
    time = matrix_time(m, n, k, g, r, bandwidth, kernel)
    traffic = g * (n * k * r.weight_bytes + m * k * r.activation_bytes + m * n * 2.0)
    assert time >= max(2 * g * m * n * k / r.compute, traffic / bandwidth) * (1 - 1e-12)
    assert np.isfinite(time)
    assert matrix_time(2 * m, n, k, g, r, bandwidth, kernel) >= time
    assert matrix_time(m, n, k, 2 * g, r, bandwidth, kernel) >= time
    assert matrix_time(m, n, k, g, r, 2 * bandwidth, kernel) <= time
    assert matrix_time(m, n, k, g, Rates(2 * r.compute, r.weight_bytes, r.activation_bytes), bandwidth, kernel) <= time
    assert matrix_time(m, n, k, g, Rates(r.compute, r.weight_bytes / 2, r.activation_bytes), bandwidth, kernel) <= time


@given(m=sizes, n=sizes, k=sizes, r=rates, bandwidth=st.floats(1e11, 2e13), second=st.floats(1e-3, 1e3))
def test_matrix_time_scales_with_the_unit_of_time(m, n, k, r, bandwidth, second):
    time = matrix_time(m, n, k, 1.0, r, bandwidth, NO_KERNEL)
    scaled = matrix_time(m, n, k, 1.0, Rates(r.compute / second, r.weight_bytes, r.activation_bytes), bandwidth / second, NO_KERNEL)
    assert scaled == pytest.approx(time * second, rel=1e-12)


@given(m=sizes, n=sizes, k=sizes, kernel=kernels)
def test_shape_penalty_vanishes_for_large_products(m, n, k, kernel):
    assert shape_penalty(m, n, k, kernel) >= 1.0
    assert shape_penalty(2 * m, 2 * n, 2 * k, kernel) <= shape_penalty(m, n, k, kernel)
    assert shape_penalty(1e15, 1e15, 1e15, kernel) == pytest.approx(1.0, abs=1e-9)


def test_no_groups_cost_nothing():
    assert matrix_time(8.0, 8.0, 8.0, 0.0, Rates(1e12, 2.0, 2.0), 1e12, Kernel(1.0, 1.0, 1.0, 1e-5)) == 0.0


@given(traffic=st.floats(0.0, 1e12), bandwidth=st.floats(1e9, 1e13), launch=st.floats(0.0, 1e-3))
def test_stream_time(traffic, bandwidth, launch):
    assert stream_time(traffic, bandwidth, launch) >= launch
    assert stream_time(2 * traffic, 2 * bandwidth, launch) == pytest.approx(stream_time(traffic, bandwidth, launch), rel=1e-12)


# --- arrays equal floats


@given(st.lists(st.tuples(sizes, sizes, sizes, st.floats(0.0, 64.0)), min_size=1, max_size=8), rates, kernels)
@settings(max_examples=30)
def test_matrix_time_of_arrays_equals_floats(rows, r, kernel):
    m, n, k, g = (np.array(column) for column in zip(*rows, strict=True))
    together = matrix_time(m, n, k, g, r, 3e12, kernel)
    assert together == pytest.approx([matrix_time(*row, r, 3e12, kernel) for row in rows], rel=1e-12)


@given(st.lists(st.tuples(st.floats(1e-6, 1e6), st.floats(1e-6, 1e6)), min_size=1, max_size=8))
@settings(max_examples=30)
def test_small_operations_of_arrays_equal_floats(pairs):
    a, b = (np.array(column) for column in zip(*pairs, strict=True))
    for two in (maximum, minimum, smooth_maximum, safe_divide, lambda x, y: where(x > y, x, y)):
        assert two(a, b) == pytest.approx([two(x, y) for x, y in pairs], rel=1e-12)
    for one in (ceil, floor, sqrt, log2, lambda x: exp(-x)):
        assert one(a) == pytest.approx([one(x) for x, _ in pairs], rel=1e-12)
    assert safe_divide(a, 0.0 * b, 7.0) == pytest.approx([safe_divide(x, 0.0, 7.0) for x, _ in pairs])
