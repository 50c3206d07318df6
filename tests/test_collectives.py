"""Collectives and expert exchange: published bandwidths, then conservation, limits, monotony."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aicompute.estimate.inputs import exchange_record, fabric_record, protocol_record
from aicompute.machine.collectives import (
    all_reduce_time,
    all_to_all_time,
    custom_all_reduce_time,
    gather_time,
    moved_time,
    neighbour_time,
    ring_pass_time,
    start_time,
    wire_time,
)
from aicompute.machine.expert_exchange import exchange_time, expected_distinct
from aicompute.machine.links import gather_inverse
from aicompute.machine.records import ExchangePhase, ExpertExchange, Protocol, Tier
from aicompute.plan.layout import place
from aicompute.specs import Library

library = Library()
PROTOCOL = protocol_record(library.load("stacks", "generic-training"))


def fabric_of(system: str):
    return fabric_record(library.load("systems", system))


def bus(time: float, message: float, ranks: float) -> float:
    """Bus bandwidth of nccl-tests, PERFORMANCE.md: 2 (n - 1)/n of the buffer over the time [B/s]."""
    return 2.0 * (ranks - 1.0) / ranks * message / time


# --- published


@pytest.mark.parametrize(
    ("system", "ranks", "message", "published"),
    [
        # NVIDIA nccl-tests, PERFORMANCE.md and issues: large all-reduces in one node. Runs and versions differ by a tenth.
        ("dgx-a100-80gb", 8.0, 8e9, 230e9),  # without addition in the switch: about 0.77 of 300 GB/s a direction
        ("dgx-h100", 8.0, 8e9, 480e9),  # NVLink SHARP: 450 GB/s links show as about 480
    ],
)
def test_large_all_reduce_in_a_node(system, ranks, message, published):
    fabric = fabric_of(system)
    time = all_reduce_time(message, place(ranks, 1.0, fabric).members, fabric, PROTOCOL)
    assert bus(time, message, ranks) == pytest.approx(published, rel=0.15)


DEEPEP = {8: (77, 114), 16: (118, 195), 32: (155, 273), 64: (173, 314), 128: (192, 369), 256: (194, 360)}


@pytest.mark.parametrize("ranks", DEEPEP)
def test_deepep_low_latency_on_h800(ranks):
    """DeepEP README, low-latency kernels on H800 with 400 Gbit/s InfiniBand: microseconds of dispatch (fp8) and combine (bf16).

    128 tokens, hidden 7,168, top 8. The formula with the hardware of the spec, a start of 32 us and no growth: the two tables that DeepEP
    published (February and June 2025) differ by 10 to 20 %.
    """
    fabric = fabric_of("hgx-h800")
    members = place(float(ranks), 1.0, fabric).members
    kernels = ExpertExchange(32e-6, 0.0, 0.0, ExchangePhase(1.0 + 4.0 / 128.0), ExchangePhase(2.0))
    for phase, published in zip((kernels.dispatch, kernels.combine), DEEPEP[ranks], strict=True):
        assert exchange_time(128.0, 7168.0, 8.0, phase, members, fabric, kernels) * 1e6 == pytest.approx(published, rel=0.2)


@pytest.mark.parametrize("ranks", DEEPEP)
def test_deepep_low_latency_through_the_stack(ranks):
    """The same through the spec of DeepSeek's own stack, whose exchange is stated to about a half."""
    stack, fabric = library.load("stacks", "deepseek-inhouse"), fabric_of("hgx-h800")
    exchange, wires = exchange_record(stack, {"dispatch": "fp8", "combine": "bf16"}, fabric)
    members = place(float(ranks), 1.0, fabric).members
    for phase, published in zip((exchange.dispatch, exchange.combine), DEEPEP[ranks], strict=True):
        assert exchange_time(128.0, 7168.0, 8.0, phase, members, wires, exchange) * 1e6 == pytest.approx(published, rel=0.55)


@pytest.mark.parametrize(("nodes", "logical"), [(4.0, 58e9), (8.0, 51e9)])
def test_deepep_normal_kernels_on_h800(nodes, logical):
    """DeepEP README, normal kernels on H800: 58 and 51 GB/s a NIC at EP 32 and 64, a token once a node.

    DeepEP counts the own node's copy too, which does not touch the wire; the runs of two nodes (43 GB/s) are bound inside
    the node. Two runs
    of one table differ by a tenth.
    """
    fabric = fabric_of("hgx-h800")
    kernels = ExpertExchange(0.0, 0.0, 1.0, ExchangePhase(1.0), ExchangePhase(2.0))
    time = exchange_time(4096.0, 7168.0, 8.0, kernels.dispatch, place(8.0 * nodes, 1.0, fabric).members, fabric, kernels)
    assert 4096.0 * 7168.0 * expected_distinct(8.0, nodes) / time == pytest.approx(logical, rel=0.1)


# CloudMatrix384's own kernels, 128 tokens, arXiv:2506.12708 as evidence/operators_cloudmatrix.csv has it: us of dispatch and combine.
CLOUDMATRIX = {8.0: (116, 118), 256.0: (152, 149)}


@pytest.mark.parametrize("ranks", CLOUDMATRIX)
def test_dispatch_and_combine_on_cloudmatrix(ranks):
    stack, fabric = library.load("stacks", "cloudmatrix-infer"), fabric_of("cloudmatrix-384")
    exchange, wires = exchange_record(stack, {"dispatch": "int8", "combine": "bf16"}, fabric)
    members = place(ranks, 1.0, fabric).members
    for phase, published in zip((exchange.dispatch, exchange.combine), CLOUDMATRIX[ranks], strict=True):
        assert exchange_time(128.0, 7168.0, 8.0, phase, members, wires, exchange) * 1e6 == pytest.approx(published, rel=0.1)


def test_all_reduce_of_a_rack():
    """NVIDIA GTC25 s72583: 850 GB/s among 72 GPUs of GB200 NVL72 with additions in the switch; links of 900 GB/s lose by contention."""
    fabric = fabric_of("gb200-nvl72")
    time = all_reduce_time(16e9, place(72.0, 1.0, fabric).members, fabric, PROTOCOL)
    assert bus(time, 16e9, 72.0) == pytest.approx(850e9, rel=0.1)


def test_engines_reduce_small_buffers_in_a_fraction_of_the_library_time():
    fabric = fabric_of("dgx-h100")
    members = place(8.0, 1.0, fabric).members
    engine = protocol_record(library.load("stacks", "vllm"))
    own, of_library = (all_reduce_time(16384.0, members, fabric, p) for p in (engine, PROTOCOL))
    assert own == custom_all_reduce_time(16384.0, members, fabric, engine)
    assert own * 1e6 == pytest.approx(5.2, rel=0.15)  # vLLM on 8 H100, evidence/collectives.csv
    assert of_library * 1e6 == pytest.approx(16.7, rel=0.15)  # NCCL, likewise
    large = 2.0**30
    assert all_reduce_time(large, members, fabric, engine) == all_reduce_time(large, members, fabric, PROTOCOL)


def test_training_and_serving_use_the_same_library():
    """One fit, on rows that name no stack; the copy of the values in the other kind of stack is kept by hand."""
    serving, training = library.load("stacks", "generic-serving"), library.load("stacks", "generic-training")
    for key in ("ramp", "granularity", "reduction_base", "reduction_efficiency", "exchange_start", "exchange_part"):
        assert training.si(f"collective.{key}") == serving.si(f"collective.{key}")


def test_no_kernels_of_their_own_across_packages_or_nodes():
    engine = dataclasses.replace(PROTOCOL, custom=4.0)
    for system, ranks in (("cloudmatrix-384", 8.0), ("dgx-h100", 16.0), ("l40s-pcie-server", 8.0)):
        fabric = fabric_of(system)
        assert custom_all_reduce_time(1e4, place(ranks, 1.0, fabric).members, fabric, engine) == np.inf


def test_copy_engines_start_later_and_a_bus_is_shared():
    t = Tier(16.0, 1e-11, 5e-6, 1e-6, 0.0, direct=0.5, bulk_start=60e-6, bulk_part=1e6)
    sizes = np.geomspace(1e3, 1e9, 50)
    times = moved_time(sizes * 1e-11, sizes, (8.0,) * 4, (t,) * 4)
    assert (np.diff(times) > 0.0).all()
    assert times[-1] == pytest.approx(sizes[-1] * 1e-11 + 60e-6)
    bus_tier = dataclasses.replace(t, topology="bus")
    assert [gather_inverse(bus_tier, n) / 1e-11 for n in (2.0, 4.0, 8.0)] == [1.0, 4.0, 16.0]


# --- drawn fabrics

latencies = st.floats(0.0, 1e-4)


@st.composite
def fabrics(draw):
    """Two to four nested tiers, bandwidth falling outwards; unused ones repeat the last."""
    count = draw(st.integers(1, 4))
    tiers, domain, bandwidth = [], 1, 1e12
    for _ in range(count):
        domain *= draw(st.sampled_from([2, 4, 8, 16]))
        bandwidth /= draw(st.floats(1.0, 10.0))
        tiers.append(
            Tier(float(domain), 1.0 / bandwidth, draw(latencies), draw(latencies), float(draw(st.booleans())), float(draw(st.booleans())))
        )
    while len(tiers) < 4:
        tiers.append(tiers[-1])
    return tuple(tiers)


protocols = st.builds(
    Protocol,
    st.floats(0.0, 5.0),
    st.floats(0.0, 2.0),
    st.floats(0.0, 1e-4),
    st.floats(0.3, 1.0),
    st.floats(0.0, 2.0),
    st.floats(0.0, 1e5),
    st.sampled_from([0.0, 4.0]),
    st.floats(0.0, 0.1),
    st.floats(0.0, 3.0),
    st.floats(0.3, 1.0),
)
exchanges = st.builds(
    ExpertExchange,
    st.floats(0.0, 1e-4),
    st.floats(0.0, 1e-5),
    st.sampled_from([0.0, 1.0]),
    st.builds(ExchangePhase, st.just(1.0), st.floats(0.0, 1e-7), st.floats(0.0, 1e-12)),
    st.builds(ExchangePhase, st.just(2.0), st.floats(0.0, 1e-7), st.floats(0.0, 1e-12)),
    st.floats(0.0, 1e-11),
)
groups = st.sampled_from([1.0, 2.0, 4.0, 8.0, 16.0, 64.0, 256.0])
strides = st.sampled_from([1.0, 2.0, 8.0, 64.0])
messages = st.floats(1.0, 1e11)


def faster(fabric, factor=2.0):
    return tuple(dataclasses.replace(t, inverse_bandwidth=t.inverse_bandwidth / factor) for t in fabric)


def slower_start(fabric, more=1e-6):
    return tuple(dataclasses.replace(t, base=t.base + more, hop=t.hop + more) for t in fabric)


COLLECTIVES = [gather_time, all_reduce_time, all_to_all_time]


@pytest.mark.parametrize("collective", COLLECTIVES)
@given(fabric=fabrics(), protocol=protocols, message=messages, stride=strides)
def test_one_device_costs_nothing(collective, fabric, protocol, message, stride):
    assert collective(message, place(1.0, stride, fabric).members, fabric, protocol) == 0.0


@given(fabric=fabrics(), exchange=exchanges, message=messages, stride=strides)
def test_one_device_exchanges_and_passes_nothing(fabric, exchange, message, stride):
    assert exchange_time(message, 7168.0, 8.0, exchange.combine, place(1.0, stride, fabric).members, fabric, exchange) == 0.0
    assert neighbour_time(message, stride, 1.0, fabric) == 0.0
    assert ring_pass_time(message, stride, 1.0, fabric) == 0.0


@pytest.mark.parametrize("collective", COLLECTIVES)
@given(fabric=fabrics(), protocol=protocols, message=messages, group=groups, stride=strides)
def test_collectives_are_monotone(collective, fabric, protocol, message, group, stride):
    members = place(group, stride, fabric).members
    time = collective(message, members, fabric, protocol)
    assert np.isfinite(time)
    assert time >= 0.0
    assert collective(2 * message, members, fabric, protocol) >= time
    assert collective(message, members, faster(fabric), protocol) <= time
    assert collective(message, members, slower_start(fabric), protocol) >= time
    if group > 1.0:
        assert collective(message, members, slower_start(fabric), protocol) > 0.0  # wherever the group lies


@given(fabric=fabrics(), protocol=protocols, message=messages, group=groups, stride=strides, second=st.floats(1e-3, 1e3))
def test_unit_of_time_does_not_matter(fabric, protocol, message, group, stride, second):
    scaled = tuple(
        dataclasses.replace(t, inverse_bandwidth=t.inverse_bandwidth * second, base=t.base * second, hop=t.hop * second) for t in fabric
    )
    library_of = dataclasses.replace(protocol, reduction_base=protocol.reduction_base * second)
    members = place(group, stride, fabric).members
    for collective in COLLECTIVES:
        time = collective(message, members, fabric, protocol)
        assert collective(message, members, scaled, library_of) == pytest.approx(time * second, rel=1e-9)


@given(fabric=fabrics(), message=messages, group=groups, stride=strides)
def test_unit_of_information_does_not_matter(fabric, message, group, stride):
    """Bits in, bits per second: the same time."""
    bits = tuple(dataclasses.replace(t, inverse_bandwidth=t.inverse_bandwidth / 8) for t in fabric)
    members = place(group, stride, fabric).members
    for collective in COLLECTIVES:
        same = collective(message * 8, members, bits, dataclasses.replace(PROTOCOL, exchange_part=PROTOCOL.exchange_part * 8))
        assert same == pytest.approx(collective(message, members, fabric, PROTOCOL), rel=1e-12)


@given(fabric=fabrics(), message=messages, group=groups)
def test_all_reduce_is_at_most_reduce_scatter_and_all_gather(fabric, message, group):
    members = place(group, 1.0, fabric).members
    quiet = Protocol(0.0, 0.5, 0.0, 1.0)
    assert all_reduce_time(message, members, fabric, quiet) <= 2 * gather_time(message, members, fabric, quiet) * (1 + 1e-12)


@given(group=st.sampled_from([2.0, 4.0, 8.0, 16.0]), message=st.floats(1e6, 1e11))
def test_all_reduce_moves_at_least_the_lower_bound(group, message):
    """Thakur et al. (2005), section 4: without help from the switch 2 (n - 1)/n of the buffer leaves every device."""
    t = Tier(16.0, 1e-11, 0.0, 0.0, 0.0)
    time = all_reduce_time(message, (group,) * 4, (t, t, t, t), Protocol(0.0, 0.0, 0.0, 1.0))
    assert time == pytest.approx(2 * (group - 1) / group * message * 1e-11, rel=1e-12)


@given(message=st.floats(1e6, 1e11), group=st.sampled_from([4.0, 8.0, 16.0]))
def test_addition_in_the_switch_never_hurts(message, group):
    with_switch, without = (Tier(16.0, 1e-11, 5e-6, 1e-6, r) for r in (1.0, 0.0))
    p = Protocol(1.0, 0.5, 2e-5, 0.7)
    fast, slow = (all_reduce_time(message, (group,) * 4, (t, t, t, t), p) for t in (with_switch, without))
    assert fast <= slow


@given(fabric=fabrics(), message=messages, group=groups)
def test_traffic_of_an_all_gather_leaves_every_domain_once(fabric, message, group):
    """Conservation: where inner devices relay, each tier's share of the buffer times its devices is what is missing inside."""
    members = place(group, 1.0, fabric).members
    for k, tier in enumerate(fabric):
        if any(t is tier for t in fabric[:k]):
            continue
        only = tuple(dataclasses.replace(t, inverse_bandwidth=1.0 if t is tier else 0.0, relay=1.0) for t in fabric)
        below = members[k - 1] if k else 1.0
        assert wire_time(message, members, only) * below == pytest.approx(message * (1 - below / members[k]), rel=1e-9)


# --- expert exchange


@given(fabric=fabrics(), group=groups, stride=strides, copies=st.sampled_from([1.0, 2.0, 4.0, 8.0]), tokens=st.floats(1.0, 1e5))
def test_bytes_are_conserved_without_deduplication(fabric, group, stride, copies, tokens):
    """The sum over tiers is copies times payload, less what stays on the device; dispatch and combine differ only in payload."""
    members = place(group, stride, fabric).members
    exchange = ExpertExchange(0.0, 0.0, 0.0, ExchangePhase(1.0), ExchangePhase(2.0))
    total = {1.0: 0.0, 2.0: 0.0}
    for k in range(4):
        if any(fabric[j] is fabric[k] for j in range(k)):
            continue
        only = tuple(dataclasses.replace(t, inverse_bandwidth=1.0 if t is fabric[k] else 0.0) for t in fabric)
        for payload in total:
            total[payload] += exchange_time(tokens, 100.0, copies, ExchangePhase(payload), members, only, exchange)
    size = members[3]
    assert total[1.0] == pytest.approx(tokens * 100.0 * min(copies, size) * (size - 1.0) / size, rel=1e-9)
    assert total[2.0] == pytest.approx(2 * total[1.0], rel=1e-12)


@given(
    fabric=fabrics(), exchange=exchanges, group=groups, stride=strides, tokens=st.floats(1.0, 1e5), copies=st.sampled_from([1.0, 2.0, 8.0])
)
def test_exchange_is_monotone(fabric, exchange, group, stride, tokens, copies):
    members = place(group, stride, fabric).members

    def time(t=tokens, k=copies, f=fabric, x=exchange):
        return exchange_time(t, 7168.0, k, x.combine, members, f, x)

    assert np.isfinite(time())
    assert time(t=2 * tokens) >= time()
    assert time(k=2 * copies) >= time() * (1 - 1e-12)
    assert time(f=faster(fabric)) <= time()
    assert time(x=dataclasses.replace(exchange, base=exchange.base + 1e-6)) >= time()
    assert time(x=dataclasses.replace(exchange, deduplicated=1.0)) <= time(x=dataclasses.replace(exchange, deduplicated=0.0)) * (1 + 1e-12)


@given(copies=st.floats(0.0, 64.0), places=st.floats(1.0, 4096.0))
def test_distinct_places(copies, places):
    distinct = expected_distinct(copies, places)
    assert 0.0 <= distinct <= min(places, copies if copies >= 1.0 else places) * (1 + 1e-9)
    assert expected_distinct(1.0, places) == pytest.approx(1.0, rel=1e-9)


def test_a_wide_domain_beats_islands_of_eight():
    """The same devices and links: 320 dies in one scale-up domain exchange faster than in islands of 16 dies over the network."""
    fabric = fabric_of("cloudmatrix-384")
    islands = tuple(dataclasses.replace(t, domain=16.0) if t is fabric[1] else t for t in fabric)
    stack = library.load("stacks", "cloudmatrix-infer")
    times = []
    for f in (fabric, islands):
        exchange, wires = exchange_record(stack, {"dispatch": "int8", "combine": "bf16"}, f)
        times.append(exchange_time(96.0, 7168.0, 8.0, exchange.combine, place(320.0, 1.0, f).members, wires, exchange))
    assert times[1] > 2 * times[0]


# --- neighbours


@given(fabric=fabrics(), message=messages, stride=strides)
def test_a_neighbour_uses_the_innermost_tier_that_holds_both(fabric, message, stride):
    time = neighbour_time(message, stride, 2.0, fabric)
    tier = next((t for t in fabric if stride < t.domain), fabric[-1])
    assert time == pytest.approx(tier.base + tier.hop + message * tier.inverse_bandwidth, rel=1e-12)


@given(fabric=fabrics(), group=groups)
def test_start_needs_fewer_hops_than_a_ring(fabric, group):
    base, hops = start_time(place(group, 1.0, fabric).members, fabric)
    assert base <= max(t.base for t in fabric)
    assert hops <= (group - 1.0) * max(t.hop for t in fabric) + 1e-15


# --- arrays equal floats


@given(fabric=fabrics(), protocol=protocols, exchange=exchanges)
@settings(max_examples=40)
def test_meshes_equal_a_loop_of_floats(fabric, protocol, exchange):
    messages_, groups_ = np.array([1.0, 1e5, 1e9])[:, None], np.array([1.0, 2.0, 8.0, 24.0, 256.0])[None, :]

    def numbers(message, group):
        members = place(group, 2.0, fabric).members
        return (
            gather_time(message, members, fabric, protocol),
            all_reduce_time(message, members, fabric, protocol),
            exchange_time(message, 7.0, 8.0, exchange.dispatch, members, fabric, exchange),
            all_to_all_time(message, members, fabric, protocol),
            neighbour_time(message, group, group, fabric),
            ring_pass_time(message, 2.0, group, fabric),
        )

    mesh = [np.broadcast_to(x, (3, 5)) for x in numbers(messages_, groups_)]
    for i, message in enumerate(messages_[:, 0]):
        for j, group in enumerate(groups_[0]):
            assert [m[i, j] for m in mesh] == pytest.approx(numbers(float(message), float(group)), rel=1e-12)


def test_an_all_to_all_costs_nothing_alone_and_the_wire_of_a_gather_in_one_tier():
    tier, rail = Tier(8.0, 1e-11, 5e-6, 0.0, 0.0), Tier(1024.0, 1e-10, 2e-5, 3e-6, 0.0)
    protocol = Protocol(2.0, 0.8, 0.0, 1.0)
    fabric = (tier, rail, rail, rail)
    assert all_to_all_time(1e9, (1.0,) * 4, fabric, protocol) == 0.0
    inside = (8.0,) * 4
    assert all_to_all_time(1e9, inside, fabric, protocol) == pytest.approx(gather_time(1e9, inside, fabric, protocol))
    later = dataclasses.replace(protocol, exchange_start=0.5)
    assert all_to_all_time(1e9, inside, fabric, later) == pytest.approx(all_to_all_time(1e9, inside, fabric, protocol) + 0.5 * 5e-6)
    across = (8.0, 64.0, 64.0, 64.0)  # 56 of 64 parts leave the domain, none is shared by its devices
    assert all_to_all_time(1e12, across, fabric, protocol) == pytest.approx(1e12 * 56 / 64 * 1e-10 * (1 + 0.8 / 64), rel=1e-2)
    assert all_to_all_time(1e12, across, fabric, protocol) > gather_time(1e12, across, fabric, protocol)
