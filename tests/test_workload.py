"""What models ask for: published memory of activations, state and caches, then properties of operators and footprints."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aicompute.estimate.inputs import architecture
from aicompute.plan.schedule import in_flight
from aicompute.specs import Library
from aicompute.workload.architecture import Architecture
from aicompute.workload.attention import context_attention, decode_attention, expanded_prefix, seen_pairs, selects
from aicompute.workload.balance import fullest_rank, length_spread, touched_share
from aicompute.workload.footprint import (
    RankParameters,
    cache_bytes,
    kept_activation_bytes,
    layer_activation_bytes,
    rank_parameters,
    selective_activation_bytes,
    training_state_bytes,
)
from aicompute.workload.operators import elementwise, feed_forward, head, mixer_projections, operator_flops
from aicompute.workload.parameters import active_parameters, attended_tokens, kv_bytes_per_token, total_parameters

library = Library()
SUPPORTED = [m for m in library.ids("models") if not library.load("models", m).get("unsupported", "")]


def model(name: str) -> Architecture:
    return architecture(library.load("models", name))


# --- published: activations. V. Korthikanti et al., arXiv:2205.05198; shapes of table 3, sequences of 2,048, dropout, no flash attention
# name, heads, hidden, layers, tp, pp, interleaving, micro-batch, parameters
MEGATRON = [
    ("22B", 64, 6144, 48, 8, 1, 1, 4, 22e9),
    ("175B", 96, 12288, 96, 8, 8, 3, 1, 175e9),
    ("530B", 128, 20480, 105, 8, 35, 3, 1, 530e9),
    ("1T", 160, 25600, 128, 8, 64, 1, 1, 1000e9),
]
S = 2048.0


def gpt(heads: int, hidden: int, layers: int) -> Architecture:
    return Architecture(hidden, layers, heads, heads, hidden // heads, "mha", 51200, intermediate_size=4 * hidden, gated=False)


def layer_bytes(arch: Architecture, tokens: float, tp: float, split: float, policy: float) -> float:
    layer = layer_activation_bytes(arch, tokens, S, tp, split, 1.0, 0.0, 0.0)
    selected = selective_activation_bytes(arch, tokens, S, tp, split, 0.0, 0.0)
    return float(kept_activation_bytes(layer, tokens, arch.hidden_size, tp, split, policy, selected))


@pytest.mark.parametrize(("name", "a", "h", "layers", "t", "p", "v", "b", "n"), MEGATRON)
def test_activations_of_table_2(name, a, h, layers, t, p, v, b, n):
    """arXiv:2205.05198, table 2 and equations 1, 2, 4 and 6: exact."""
    arch, tokens, square = gpt(a, h, layers), S * b, 5 * a * S / h
    sbh = tokens * h
    assert layer_bytes(arch, tokens, 1, 0, 0) == pytest.approx(sbh * (34 + square), rel=1e-12)
    assert layer_bytes(arch, tokens, t, 0, 0) == pytest.approx(sbh * (10 + 24 / t + square / t), rel=1e-12)
    assert layer_bytes(arch, tokens, t, 1, 0) == pytest.approx(sbh / t * (34 + square), rel=1e-12)
    assert layer_bytes(arch, tokens, t, 0, 1) == pytest.approx(sbh * (10 + 24 / t), rel=1e-12)
    assert layer_bytes(arch, tokens, t, 1, 1) == pytest.approx(sbh * 34 / t, rel=1e-12)
    assert layer_bytes(arch, tokens, t, 0, 2) == pytest.approx(sbh * 2, rel=1e-12)


@pytest.mark.parametrize(("name", "a", "h", "layers", "t", "p", "v", "b", "n"), MEGATRON)
def test_shares_of_figure_7(name, a, h, layers, t, p, v, b, n):
    """arXiv:2205.05198, section 6.1: each technique cuts nearly half, both together five times; full recomputation leaves about 10 %."""
    arch, tokens = gpt(a, h, layers), S * b
    base = layer_bytes(arch, tokens, t, 0, 0)
    assert 0.45 < layer_bytes(arch, tokens, t, 1, 0) / base < 0.70
    assert 0.45 < layer_bytes(arch, tokens, t, 0, 1) / base < 0.70
    assert base / layer_bytes(arch, tokens, t, 1, 1) == pytest.approx(5.0, rel=0.25)
    assert layer_bytes(arch, tokens, t, 0, 2) / base == pytest.approx(0.10, abs=0.03)


@pytest.mark.parametrize(("heads", "hidden", "saved"), [(96, 12288, 0.70), (128, 20480, 0.65)])
def test_selective_recomputation_saves(heads, hidden, saved):
    """arXiv:2205.05198, section 5: 70 % for GPT-3, 65 % for MT-NLG."""
    arch = gpt(heads, hidden, 96)
    assert 1 - layer_bytes(arch, S, 1, 0, 1) / layer_bytes(arch, S, 1, 0, 0) == pytest.approx(saved, abs=0.01)


@pytest.mark.parametrize(("name", "a", "h", "layers", "t", "p", "v", "b", "n"), MEGATRON)
def test_figure_1_what_fits_80_gb(name, a, h, layers, t, p, v, b, n):
    """arXiv:2205.05198, figure 1: no baseline fits an A100 of 80 GB, every model does with sequence parallelism and
    selective recomputation.
    """
    arch, tokens = gpt(a, h, layers), S * b
    state = float(training_state_bytes(RankParameters(n / t / p, 0.0), 2.0, 4.0, 12.0, 0.0, 1.0, 1.0))
    flight = float(in_flight(p, v, 1e6))
    baseline = state + layer_bytes(arch, tokens, t, 0, 0) * layers / p * flight
    ours = state + layer_bytes(arch, tokens, t, 1, 1) * layers / p * flight
    assert baseline > 80 * 2**30 > ours


@pytest.mark.parametrize(
    ("name", "billions"), [("megatron-22b", 22), ("gpt-3-175b", 175), ("megatron-turing-530b", 530), ("megatron-1t", 1008)]
)
def test_parameters_of_table_3(name, billions):
    """arXiv:2205.05198, table 3: sizes as named (1T is 1,008 B in arXiv:2104.04473, table 1)."""
    assert total_parameters(model(name)) / 1e9 == pytest.approx(billions, rel=0.02)


@pytest.mark.parametrize(("stage", "gigabytes"), [(0, 120.0), (1, 31.4), (2, 16.6), (3, 1.9)])
def test_zero_figure_1(stage, gigabytes):
    """S. Rajbhandari et al., arXiv:1910.02054, figure 1: 7.5 B parameters, 64 ranks, 16 bytes a parameter; as printed, to 0.1 GB."""
    state = training_state_bytes(RankParameters(7.5e9, 0.0), 2.0, 2.0, 12.0, float(stage), 64.0, 1.0)
    assert state / 1e9 == pytest.approx(gigabytes, abs=0.05)


@pytest.mark.parametrize(("ranks", "gigabytes"), [(4, (52.5, 41.3, 30.0)), (64, (31.4, 16.6, 1.88)), (1024, (30.1, 15.1, 0.12))])
def test_zero_table_1(ranks, gigabytes):
    """arXiv:1910.02054, table 1, 7.5 B: per-device memory of the three stages."""
    for stage, expected in enumerate(gigabytes, start=1):
        state = training_state_bytes(RankParameters(7.5e9, 0.0), 2.0, 2.0, 12.0, float(stage), float(ranks), 1.0)
        assert state / 1e9 == pytest.approx(expected, rel=0.03)


# --- published: caches


def test_latent_cache_of_deepseek_v2():
    """arXiv:2405.04434, table 1: MLA holds (d_c + d_rope) l = 9/2 d_h l elements a token, that of GQA with 2.25 groups."""
    arch = model("deepseek-v2")
    elements = cache_bytes(arch, 1.0, 1.0, 1.0)
    assert elements == pytest.approx(4.5 * arch.qk_nope_head_dim * arch.num_layers, rel=1e-12)
    assert elements == pytest.approx(2 * 2.25 * arch.v_head_dim * arch.num_layers, rel=1e-12)


@pytest.mark.parametrize("tp", [1.0, 2.0, 8.0])
def test_latent_cache_of_deepseek_v3_is_whole_on_every_rank(tp):
    """Zhao et al., arXiv:2505.09343, table 1: 70.272 kB a token, and nothing for tensor ranks to share."""
    assert cache_bytes(model("deepseek-v3"), 1000.0, 2.0, tp) == pytest.approx(70.272e6, rel=1e-12)


def test_arithmetic_of_a_token_deepseek_v3_table():
    """arXiv:2412.19437, abstract: 37 B active; matrix products of one token on one rank are twice the active parameters
    outside the embedding.
    """
    arch = model("deepseek-v3")
    ops = mixer_projections(arch, 1.0, 1.0)
    ops += feed_forward(arch, 1.0, 1.0, 1.0, float(arch.experts_per_token), 1.0, 1.0)
    ops.append(head(arch, 1.0, 1.0))
    done = sum(o.count * operator_flops(o) for o in ops)
    assert done / 2 == pytest.approx(36.7e9, rel=0.02)
    assert done == pytest.approx(2 * active_parameters(arch), rel=0.005)


# --- operators against parameters, for every model


@pytest.mark.parametrize("name", SUPPORTED)
def test_products_are_twice_the_active_parameters(name):
    arch = model(name)
    ops = mixer_projections(arch, 1.0, 1.0)
    ops += feed_forward(arch, 1.0, 1.0, 1.0, float(arch.experts_per_token), 1.0, 1.0)
    ops.append(head(arch, 1.0, 1.0))
    # norms, convolutions, biases and small gates are parameters but no product
    assert sum(o.count * operator_flops(o) for o in ops) == pytest.approx(2 * active_parameters(arch), rel=0.02)


@pytest.mark.parametrize("name", ["llama-3.1-70b", "deepseek-v3", "qwen3-235b-a22b", "gpt-oss-120b", "qwen3-next-80b-a3b"])
@pytest.mark.parametrize("tp", [2.0, 4.0])
def test_ranks_share_the_arithmetic(name, tp):
    """Column and row parallel products: what tp ranks do together is what one does alone (keys and values at most replicated)."""
    arch = model(name)
    alone = sum(o.count * operator_flops(o) for o in mixer_projections(arch, 64.0, 1.0))
    shared = sum(o.count * operator_flops(o) for o in mixer_projections(arch, 64.0, tp)) * tp
    assert alone <= shared * (1 + 1e-12)
    assert shared <= alone * (1.0 if arch.attention != "mla" and not arch.num_kv_heads % tp else 1.45) * (1 + 1e-9)


@pytest.mark.parametrize("name", SUPPORTED)
def test_every_block_is_counted_once(name):
    """A block has one norm: what norms there are, those at the end and inside heads aside, is what elementwise traffic counts."""
    arch = model(name)
    moved = elementwise(arch, 3.0, 10.0, 2.0)
    assert moved.count == arch.mixer_layers + arch.dense_layers + arch.num_moe_layers
    assert moved.count * moved.traffic == pytest.approx(10.0 * 3.0 * arch.hidden_size / 2.0 * arch.blocks / 2.0, rel=1e-12)
    assert arch.blocks == (arch.num_layers if arch.num_ffn_layers else 2 * arch.num_layers)


def test_blocks_of_nemotron_h():
    """arXiv:2504.03624, table 1: 118 layers, of them 54 Mamba-2, 54 FFN and 10 attention; each is one block."""
    arch = model("nemotron-h-56b")
    assert (arch.mixer_layers, arch.ffn_layers, arch.blocks) == (64, 54, 118)


@given(length=st.floats(1.0, 1e6), tp=st.sampled_from([1.0, 2.0, 8.0]), full=st.sampled_from([0.0, 1.0]))
@settings(max_examples=30)
def test_causal_attention_is_half_the_square(length, tp, full):
    arch = model("llama-3.1-8b")
    [core] = context_attention(arch, 1.0, length, 0.0, tp, 1.0, 2.0, full)
    pairs = length * length * (1.0 if full else 0.5)
    assert core.flops == pytest.approx(4.0 * arch.num_heads / tp * arch.head_dim * pairs, rel=1e-12)


@given(fresh=st.floats(1.0, 1e5), prefix=st.floats(0.0, 1e5))
@settings(max_examples=50)
def test_prefill_in_two_pieces_is_prefill_in_one(fresh, prefix):
    """Conservation: chunks with their prefixes do the pairs of the whole."""
    arch = model("llama-3.1-8b")

    def flops(new: float, seen: float) -> float:
        return sum(o.count * o.flops for o in context_attention(arch, 1.0, new, seen, 1.0, 1.0, 2.0))

    assert flops(prefix, 0.0) + flops(fresh, prefix) == pytest.approx(flops(prefix + fresh, 0.0), rel=1e-9)


@given(cuts=st.lists(st.integers(1, 30000), min_size=1, max_size=5), reach=st.integers(1, 40000))
@settings(max_examples=60)
def test_pairs_against_a_count(cuts, reach):
    """Each token sees itself and those before it within its reach: half a pair a token less than counting tokens; additive over chunks."""
    whole = sum(cuts)
    counted = np.minimum(np.arange(1, whole + 1), reach).sum() - 0.5 * min(whole, reach)
    starts = [sum(cuts[:k]) for k in range(len(cuts))]
    chunked = sum(seen_pairs(float(c), float(s), float(reach)) for c, s in zip(cuts, starts, strict=True))
    assert chunked == pytest.approx(seen_pairs(float(whole), 0.0, float(reach)), rel=1e-9)
    assert chunked == pytest.approx(counted, rel=1e-9)
    assert chunked / whole == pytest.approx(attended_tokens(float(whole), float(reach), causal=True), rel=1e-9)


def test_sparse_prefill_runs_absorbed_where_that_is_less():
    """arXiv:2512.02556, section 2.1: selection by token works in the multi-query mode of MLA, 576 + 512 wide; short prefills run as
    masked multi-head attention, 192 + 128 wide over all pairs.
    """
    arch = model("deepseek-v3.2")
    dense = dataclasses.replace(arch, index_topk=0)

    def core(a: Architecture, length: float, prefix: float):
        return next(o for o in context_attention(a, 1.0, length, prefix, 1.0, 1.0, 1.0) if o.name == "attention")

    for length, prefix in ((1024.0, 0.0), (4096.0, 0.0)):
        assert core(arch, length, prefix).flops == core(dense, length, prefix).flops
        assert expanded_prefix(arch, length, prefix) == prefix
    long = core(arch, 8192.0, 122880.0)
    assert long.flops == pytest.approx(2.0 * 128 * 8192 * 2048 * (576 + 512), rel=1e-12)
    assert expanded_prefix(arch, 8192.0, 122880.0) == 0.0
    assert core(arch, 32768.0, 0.0).flops == pytest.approx(2.0 * 128 * (32768 * 2048 - 2048**2 / 2) * (576 + 512), rel=1e-12)


@given(length=st.floats(1.0, 1e6), prefix=st.floats(0.0, 1e6), name=st.sampled_from(["deepseek-v3.2", "glm-5"]))
@settings(max_examples=60)
def test_selection_never_costs_more_than_the_whole(length, prefix, name):
    arch = model(name)
    sparse, dense = (
        sum(o.flops for o in context_attention(a, 1.0, length, prefix, 1.0, 1.0, 1.0) if o.name == "attention")
        for a in (arch, dataclasses.replace(arch, index_topk=0))
    )
    assert 0.0 < sparse <= dense * (1 + 1e-12)
    assert selects(arch, length, prefix) == 0.0 or length + prefix > arch.index_topk


def test_a_cached_prefix_is_expanded_again():
    """The latent up-projection runs on prefix and new tokens of a chunk (arXiv:2405.04434, equations 10 and 11); nothing else does."""
    arch = model("deepseek-v3")
    plain, again = (mixer_projections(arch, 2048.0, 1.0, p) for p in (0.0, 6144.0))
    for a, b in zip(plain, again, strict=True):
        assert b.rows == (8192.0 if a.name == "latent up" else a.rows)
    assert expanded_prefix(model("llama-3.1-8b"), 2048.0, 6144.0) == 0.0


@given(length=st.floats(64.0, 1e6), window=st.integers(16, 4096))
@settings(max_examples=50)
def test_windows_never_cost_more_than_the_whole(length, window):
    full = dataclasses.replace(model("llama-3.1-8b"), num_window_layers=0)
    windowed = dataclasses.replace(full, num_window_layers=full.num_layers, sliding_window=window)
    [a], [b] = (context_attention(arch, 1.0, length, 0.0, 1.0, 1.0, 2.0) for arch in (full, windowed))
    assert 0.0 < b.flops <= a.flops * (1 + 1e-12)
    [c], [d] = (decode_attention(arch, 1.0, 1.0, length, 1.0, 2.0) for arch in (full, windowed))
    assert 0.0 < d.traffic <= c.traffic
    assert cache_bytes(windowed, length, 2.0, 1.0) <= cache_bytes(full, length, 2.0, 1.0)


@pytest.mark.parametrize("name", SUPPORTED)
def test_decode_reads_what_the_cache_holds(name):
    """A step's traffic is the cache of the sequence, whatever the kind of attention; sparse selection may read less, a
    state is read and written.
    """
    arch = model(name)
    length = 3000.0
    ops = decode_attention(arch, 1.0, 1.0, length, 1.0, 2.0)
    states = sum(o.count * o.traffic for o in ops if "state" in o.name)
    read = sum(o.count * o.traffic for o in ops) - states
    held = cache_bytes(arch, length, 2.0, 1.0) - cache_bytes(arch, 0.0, 2.0, 1.0)
    assert read == pytest.approx(held, rel=1e-9) if not arch.index_topk else read < held
    if not arch.num_window_layers and not arch.index_topk:
        assert held == pytest.approx(kv_bytes_per_token(arch, 2.0) * length, rel=1e-9)


# --- memory of ranks


@pytest.mark.parametrize("name", ["llama-3.1-405b", "deepseek-v3", "qwen3-235b-a22b", "kimi-k2"])
@given(tp=st.sampled_from([1.0, 2.0, 8.0]), pp=st.sampled_from([1.0, 4.0]), ep=st.sampled_from([1.0, 8.0, 32.0]))
@settings(max_examples=20)
def test_ranks_hold_the_whole_model(name, tp, pp, ep):
    """Conservation: parameters of a rank times its ranks is the model."""
    arch = model(name)
    held = rank_parameters(arch, tp, pp, ep, 1.0)
    assert held.dense * tp * pp + held.experts * ep * pp == pytest.approx(total_parameters(arch), rel=1e-12)


@given(dense=st.floats(1e6, 1e12), experts=st.floats(0.0, 1e12), ranks=st.integers(1, 4096))
@settings(max_examples=50)
def test_zero_stages_are_ordered_and_vanish_on_one_rank(dense, experts, ranks):
    held = RankParameters(dense, experts)
    states = [float(training_state_bytes(held, 2.0, 4.0, 12.0, float(z), float(ranks), float(ranks))) for z in range(4)]
    assert states == sorted(states, reverse=True)
    assert states[3] == pytest.approx(states[0] / ranks, rel=1e-12)


@given(
    tokens=st.floats(1.0, 1e6),
    tp=st.sampled_from([1.0, 2.0, 4.0, 8.0]),
    split=st.sampled_from([0.0, 1.0]),
    flash=st.sampled_from([0.0, 1.0]),
    name=st.sampled_from(SUPPORTED),
)
@settings(max_examples=100)
def test_activations_are_positive_and_policies_are_ordered(tokens, tp, split, flash, name):
    arch = model(name)
    layer = float(layer_activation_bytes(arch, tokens, 4096.0, tp, split, 0.0, flash, float(arch.experts_per_token)))
    selected = selective_activation_bytes(arch, tokens, 4096.0, tp, split, flash, float(arch.experts_per_token))
    kept = [float(kept_activation_bytes(layer, tokens, arch.hidden_size, tp, split, p, selected)) for p in (0.0, 1.0, 2.0)]
    assert kept[0] > kept[1] > 0.0
    assert kept[1] > kept[2] > 0.0
    assert layer <= layer_activation_bytes(arch, tokens, 4096.0, 1.0, split, 0.0, flash, float(arch.experts_per_token)) * (1 + 1e-12)


def test_selective_recomputation_with_flash_kernels():
    """What norms put out, 4 bytes of a hidden element, and the product of gate and up, a third of what a gated unit keeps."""
    arch = model("llama-3.1-8b")
    dropped = selective_activation_bytes(arch, 10.0, 4096.0, 1.0, 0.0, 1.0, 0.0)
    assert dropped == 10.0 * (4.0 * arch.hidden_size + 6.0 * arch.intermediate_size / 3.0)
    ungated = dataclasses.replace(arch, gated=False)
    assert selective_activation_bytes(ungated, 10.0, 4096.0, 1.0, 0.0, 1.0, 0.0) == dropped
    assert selective_activation_bytes(arch, 10.0, 9999.0, 1.0, 0.0, 1.0, 0.0) == dropped


def test_activations_of_recurrent_layers():
    """The outputs of their input projections in 16 bits: columns of the products that make them."""
    for name in ("nemotron-h-56b", "qwen3-next-80b-a3b"):
        arch = model(name)
        made = sum(o.count * o.rows * o.columns for o in mixer_projections(arch, 7.0, 2.0) if o.name in ("mamba in", "linear attention in"))
        without = dataclasses.replace(arch, mamba_num_heads=0, mamba_groups=0, linear_num_key_heads=0, linear_num_value_heads=0)
        layers = [float(layer_activation_bytes(a, 7.0, 4096.0, 2.0, 1.0, 0.0, 1.0, 8.0)) for a in (arch, without)]
        assert (layers[0] - layers[1]) * arch.num_layers == pytest.approx(2.0 * made, rel=1e-9)


# --- balance


def test_touched_share_against_a_simulation():
    """32 tokens to 8 of 256 experts each: simulated with 400 draws, standard error 0.1 %."""
    generator = np.random.default_rng(3)
    seen = np.mean([len(np.unique(generator.integers(0, 256, 32 * 8))) / 256 for _ in range(400)])
    assert touched_share(32.0, 8.0, 256.0) == pytest.approx(seen, rel=0.02)


@pytest.mark.parametrize(("mean", "ranks"), [(48.0, 320), (460.0, 72), (200.0, 8)])
def test_fullest_rank_against_a_simulation(mean, ranks):
    """Cramér's bound: 6 to 15 % of the excess too high for 8 to 1,000 ranks; Poisson loads are a little heavier in the tail."""
    generator = np.random.default_rng(5)
    excess = generator.poisson(mean, (2000, ranks)).max(axis=1).mean() / mean - 1.0
    claimed = fullest_rank(mean, 1.0, float(ranks)) - 1.0
    assert -0.05 * excess < claimed - excess < 0.45 * excess


@given(mean=st.floats(0.1, 1e6), spread=st.floats(0.0, 3.0), ranks=st.floats(1.0, 1e5))
def test_fullest_rank_limits(mean, spread, ranks):
    assert fullest_rank(mean, spread, 1.0) == 1.0
    assert fullest_rank(mean, 0.0, ranks) == 1.0
    assert fullest_rank(mean, spread, ranks) >= 1.0
    assert fullest_rank(2 * mean, spread, ranks) <= fullest_rank(mean, spread, ranks)
    assert fullest_rank(mean, spread, 2 * ranks) >= fullest_rank(mean, spread, ranks)


@given(tokens=st.floats(0.0, 1e6), copies=st.integers(1, 16), experts=st.integers(16, 1024))
def test_touched_share_is_a_share_and_grows(tokens, copies, experts):
    share = touched_share(tokens, copies, float(experts))
    assert 0.0 <= share <= 1.0
    assert touched_share(tokens + 1.0, copies, float(experts)) >= share
    assert touched_share(1.0, copies, float(experts)) == pytest.approx(copies / experts, rel=1e-9)


@given(prompt=st.floats(1.0, 1e6), answer=st.floats(0.0, 1e6), variation=st.floats(0.0, 3.0))
def test_length_spread(prompt, answer, variation):
    spread = length_spread(prompt, answer, variation)
    assert math.hypot(variation, 1 / math.sqrt(3.0)) >= spread * (1 - 1e-12)
    assert spread >= variation * (1 - 1e-9) - 1e-150
    assert length_spread(prompt, 0.0, variation) == pytest.approx(variation)


# --- floats, flat arrays and open meshes


@pytest.mark.parametrize("name", ["llama-3.1-8b", "deepseek-v3.2", "gpt-oss-20b", "qwen3-next-80b-a3b", "nemotron-h-56b"])
def test_arrays_equal_a_loop_of_floats(name):
    arch = model(name)
    tokens, tp = np.array([1.0, 33.0, 4096.0])[:, None], np.array([1.0, 2.0, 8.0])[None, :]

    def numbers(t, p):
        ops = mixer_projections(arch, t, p, 3.0 * t) + feed_forward(arch, t, p, t, 4.0, p, t) + [head(arch, t, p)]
        ops += context_attention(arch, 2.0, t, 100.0, p, 1.0, 1.0) + decode_attention(arch, t, 2.0, 10.0 * t, p, 1.0)
        total = sum(o.count * (operator_flops(o) + o.traffic) for o in ops)
        return total, cache_bytes(arch, t, 2.0, p), layer_activation_bytes(arch, t, 4096.0, p, 1.0, 0.0, 1.0, 2.0)

    mesh = [np.broadcast_to(x, (3, 3)) for x in numbers(tokens, tp)]
    for i, t in enumerate(tokens[:, 0]):
        for j, p in enumerate(tp[0]):
            assert [m[i, j] for m in mesh] == pytest.approx(numbers(float(t), float(p)), rel=1e-12)
