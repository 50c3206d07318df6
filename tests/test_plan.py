"""Layout, schedules and enumeration: published bubbles, then properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aicompute.machine.records import Tier
from aicompute.plan.enumerate import divisors, engine_sizes, serving_plans
from aicompute.plan.layout import place
from aicompute.plan.schedule import bubble_time, in_flight, most_layers, slowest_stage_time
from aicompute.plan.space import Job, default_axes, training_rows

stages = st.integers(1, 64).map(float)
chunks = st.integers(1, 12).map(float)


def tier(domain: float) -> Tier:
    return Tier(domain, 0.0, 0.0, 0.0, 0.0)


FABRIC = (tier(2.0), tier(8.0), tier(64.0), tier(1024.0))


# --- published


@pytest.mark.parametrize(("p", "m", "v"), [(8, 64, 1), (12, 96, 1), (8, 64, 3), (35, 280, 3)])
def test_bubble_share(p, m, v):
    """D. Narayanan et al., arXiv:2104.04473, section 2.2: bubble over ideal time (p - 1)/m, interleaved (p - 1)/(v m); exact."""
    ideal = m * 1.7
    assert bubble_time(1.7, p, v) / ideal == pytest.approx((p - 1) / (v * m), rel=1e-12)


@pytest.mark.parametrize(("p", "v", "factor"), [(8, 3, 1 + 7 / 24), (35, 3, 1 + 34 / 105), (64, 1, 1.0)])
def test_interleaved_memory(p, v, factor):
    """V. Korthikanti et al., arXiv:2205.05198, section 4.2.3: the first stage holds L layers' worth times (1 + (p - 1)/(p m)); exact."""
    assert in_flight(p, v, 1e6) / p == pytest.approx(factor, rel=1e-12)


def test_llama_3_moves_layers_to_balance_the_head():
    """arXiv:2407.21783, section 3.3.2: 126 layers on 16 stages, one less on the last, whose head then costs about a layer."""
    assert slowest_stage_time(126.0, 1.0, 16.0, 1.0, 1.0) == 8.0


# --- schedules


@given(p=stages, v=chunks, m=st.integers(1, 512).map(float))
def test_in_flight_limits(p, v, m):
    held = in_flight(p, v, m)
    assert 0.0 < held <= p * (1 + (p - 1) / (p * v) if v > 1 else 1.0) * (1 + 1e-12)
    assert in_flight(p, v, m + 1.0) >= held
    assert in_flight(1.0, 1.0, m) == 1.0


@given(stage=st.floats(1e-6, 1e3), p=stages, v=chunks)
def test_bubble_limits(stage, p, v):
    assert bubble_time(stage, 1.0, v) == 0.0
    assert bubble_time(stage, p, 2 * v) == pytest.approx(bubble_time(stage, p, v) / 2, rel=1e-12)
    assert bubble_time(3 * stage, p, v) == pytest.approx(3 * bubble_time(stage, p, v), rel=1e-12)


@given(layers=st.integers(1, 200).map(float), layer=st.floats(1e-6, 1.0), p=stages, v=chunks, head=st.floats(0.0, 2.0))
def test_the_slowest_stage_is_at_least_the_mean(layers, layer, p, v, head):
    time = slowest_stage_time(layers, layer, p, v, head)
    assert time >= (layers * layer + head) / p * (1 - 1e-12)
    assert slowest_stage_time(layers, layer, 1.0, 1.0, head) == pytest.approx(layers * layer + head, rel=1e-12)
    assert slowest_stage_time(layers, layer, p, v, head + 1.0) >= time
    assert slowest_stage_time(layers, 2 * layer, p, v, 2 * head) == pytest.approx(2 * time, rel=1e-12)


@given(layers=st.integers(1, 200).map(float), p=stages, v=chunks)
def test_the_fullest_stage_holds_at_least_the_mean(layers, p, v):
    most = most_layers(layers, p, v)
    assert layers / p <= most < layers / p + v
    assert most_layers(layers, 1.0, v) == layers


# --- layout


@given(group=st.integers(1, 4096).map(float), stride=st.sampled_from([1.0, 2.0, 4.0, 8.0, 16.0, 128.0]))
def test_members_are_cumulative_and_bounded(group, stride):
    members = place(group, stride, FABRIC).members
    assert list(members) == sorted(members)
    assert members[3] == group  # nobody drops out of a group that is larger than the fabric
    for here, t in zip(members[:3], FABRIC[:3], strict=True):
        assert 1.0 <= here <= group
        assert here == 1.0 or here * stride <= t.domain


def test_places_of_arrays_equal_floats():
    group, stride = np.array([1.0, 3.0, 64.0])[:, None], np.array([1.0, 8.0])[None, :]
    mesh = place(group, stride, FABRIC).members
    for i, g in enumerate(group[:, 0]):
        for j, s in enumerate(stride[0]):
            assert [np.broadcast_to(m, (3, 2))[i, j] for m in mesh] == list(place(float(g), float(s), FABRIC).members)
    p, v, m = np.array([1.0, 4.0, 16.0])[:, None], np.array([1.0, 3.0])[None, :], 7.0
    for formula in (
        lambda a, b: in_flight(a, b, m),
        lambda a, b: bubble_time(0.3, a, b),
        lambda a, b: most_layers(61.0, a, b),
        lambda a, b: slowest_stage_time(61.0, 0.1, a, b, 0.3),
    ):
        table = formula(p, v)
        assert [[table[i, j] for j in range(2)] for i in range(3)] == [[formula(float(a), float(b)) for b in v[0]] for a in p[:, 0]]


# --- enumeration


@given(st.integers(1, 20000))
@settings(max_examples=30)
def test_divisors(number):
    found = divisors(number)
    assert found == sorted(set(found))
    assert all(number % d == 0 for d in found)
    assert sum(found) >= number + (number > 1)


@given(devices=st.integers(1, 2000), domain=st.sampled_from([2, 8, 72, 768]))
@settings(max_examples=40)
def test_engine_sizes_fit(devices, domain):
    sizes = engine_sizes(devices, [domain, 16384])
    assert sizes == sorted(set(sizes))
    assert sizes[0] == 1
    assert sizes[-1] <= devices


@given(
    size=st.integers(1, 512), heads=st.sampled_from([8, 12, 64, 128]), layers=st.integers(1, 128), experts=st.sampled_from([0, 8, 128, 256])
)
@settings(max_examples=60)
def test_serving_plans_are_whole(size, heads, layers, experts):
    plans = serving_plans([size], heads, layers, experts)
    tp, dp, pp, ep = (plans[k] for k in ("tp", "dp", "pp", "ep"))
    assert np.all(tp * dp * pp == size)
    assert np.all(heads % tp == 0)
    assert np.all(pp <= layers)
    assert np.all((tp * dp) % ep == 0)
    assert experts or np.all(ep == 1.0)
    rows = np.stack([tp, dp, pp, ep], axis=1)
    assert len(np.unique(rows, axis=0)) == len(rows)


def training_plans(devices, heads, layers, experts, batch, **fixed):
    job = Job(devices, heads, layers, experts, 4096, batch, 8)
    return training_rows(job, {**default_axes(job), **{name: (value,) for name, value in fixed.items()}}).columns()


@given(
    devices=st.integers(1, 600),
    heads=st.sampled_from([12, 64, 128]),
    layers=st.sampled_from([24, 61, 126]),
    experts=st.sampled_from([0, 8, 256]),
    batch=st.sampled_from([1, 7, 512, 1920]),
)
@settings(max_examples=40)
def test_training_plans_are_whole(devices, heads, layers, experts, batch):
    plans = training_plans(devices, heads, layers, experts, batch)
    dp, tp, pp, cp, ep = (plans[k] for k in ("dp", "tp", "pp", "cp", "ep"))
    assert len(dp)
    assert np.all(dp * tp * pp * cp <= devices)
    assert np.all(heads % tp == 0)
    assert np.all(pp <= layers)
    assert np.all(dp * plans["micro_batch"] <= batch)
    assert np.all((dp * cp * tp) % ep == 0)
    assert np.all((experts or 1) % ep == 0)
    assert np.all(plans["chunks"] * pp <= layers + pp)
    assert np.all((pp - 1) * most_layers(float(layers), pp, plans["chunks"]) < layers)
    rows = np.stack([plans[k] for k in sorted(plans)], axis=1)
    assert len(np.unique(rows, axis=0)) == len(rows)


def test_no_stage_is_left_without_layers():
    """32 layers on 12 stages: three on each of ten, two on the next and none on the last."""
    assert not len(training_plans(96, 32, 32, 0, 64, pp=12.0)["pp"])
    assert 12.0 not in training_plans(96, 32, 32, 0, 64)["pp"]
    assert len(training_plans(96, 32, 36, 0, 64, pp=12.0)["pp"])


def test_a_fixed_dimension_is_kept():
    plans = training_plans(2048, 128, 61, 256, 15360, tp=1.0, pp=16.0, ep=64.0, zero=1.0)
    for name, value in {"tp": 1.0, "pp": 16.0, "ep": 64.0, "zero": 1.0}.items():
        assert set(plans[name].tolist()) == {value}
    assert set(plans["dp"].tolist()) >= {128.0}
