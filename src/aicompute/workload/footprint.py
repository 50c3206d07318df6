"""Memory of one rank: weights, gradients, optimizer, activations, key-value cache."""

from __future__ import annotations

from dataclasses import dataclass

from aicompute.numerics import Array, maximum, minimum, where
from aicompute.workload.architecture import Architecture
from aicompute.workload.cache import indexer_elements_per_token, kv_bytes_per_token_layer, recurrent_state_elements
from aicompute.workload.layer_parameters import expert_parameters
from aicompute.workload.parameters import mtp_parameters, total_parameters


@dataclass(frozen=True, slots=True)
class RankParameters:
    """Parameters that one rank holds, by how they are shared."""

    dense: Array
    """Everything but the routed experts, body and head [1]."""
    experts: Array
    """Routed experts [1]."""


def rank_parameters(
    arch: Architecture, tp: Array, pp: Array, expert_ranks: Array, expert_tp: Array, mtp: bool = False, redundant: Array = 0.0
) -> RankParameters:
    """Parameters of one rank of one pipeline stage (the average stage).

    Parameters
    ----------
    arch : Architecture
    tp, pp : shape (...)          Tensor and pipeline ranks [1].
    expert_ranks : shape (...)    Ranks over which the experts of a layer are spread [1].
    expert_tp : shape (...)       Ranks that share one expert [1].
    mtp : bool                    Count the multi-token-prediction layers.
    redundant : shape (...)       Further expert copies in all of a layer [1].

    Returns
    -------
    RankParameters [1].

    References
    ----------
    .. [1] M. Shoeybi et al., arXiv:1909.08053; D. Lepikhin et al., arXiv:2006.16668.

    Examples
    --------
    >>> a = Architecture(512, 2, 8, 2, 64, "gqa", 1000, intermediate_size=2048)
    >>> rank_parameters(a, 2.0, 1.0, 1.0, 1.0).experts
    0.0
    """
    routed = arch.num_moe_layers * arch.num_experts * expert_parameters(arch)
    dense = total_parameters(arch) - routed + (mtp_parameters(arch) if mtp else 0.0)
    held = arch.num_moe_layers * (arch.num_experts + redundant) * expert_parameters(arch)
    return RankParameters(dense / tp / pp, held / (expert_ranks * expert_tp) / pp)


def training_state_bytes(
    held: RankParameters,
    weight_bytes: Array,
    gradient_bytes: Array,
    optimizer_bytes: Array,
    zero: Array,
    dense_ranks: Array,
    expert_ranks: Array,
) -> Array:
    r"""Weights, gradients and optimizer state of one rank.

    Parameters
    ----------
    held : RankParameters             Parameters before any sharding over data ranks.
    weight_bytes : shape (...)        Working copy, with an 8-bit copy where kept [B/parameter].
    gradient_bytes : shape (...)      Gradient [B/parameter].
    optimizer_bytes : shape (...)     Master copy and moments [B/parameter]; 12 for Adam in fp32.
    zero : shape (...)                Stage 0 to 3.
    dense_ranks, expert_ranks : shape (...)   Data ranks that hold the same dense parameters, and the same experts [1].

    Returns
    -------
    shape (...) [B].

    Notes
    -----
    Stage 1 shards the optimizer, 2 the gradients too, 3 the weights too.

    References
    ----------
    .. [1] S. Rajbhandari et al., arXiv:1910.02054, figure 1: 16 bytes a parameter, 7.5 B parameters, 64 ranks: 120, 31.4, 16.6, 1.9 GB.

    Examples
    --------
    >>> held = RankParameters(7.5e9, 0.0)
    >>> [round(training_state_bytes(held, 2.0, 2.0, 12.0, z, 64.0, 1.0) / 1e9, 1) for z in (0.0, 1.0, 2.0, 3.0)]
    [120.0, 31.4, 16.6, 1.9]
    """
    total: Array = 0.0
    for parameters, ranks in ((held.dense, dense_ranks), (held.experts, expert_ranks)):
        optimizer = where(zero >= 1.0, optimizer_bytes / ranks, optimizer_bytes)
        gradients = where(zero >= 2.0, gradient_bytes / ranks, gradient_bytes)
        weights = where(zero >= 3.0, weight_bytes / ranks, weight_bytes)
        total = total + parameters * (optimizer + gradients + weights)
    return total


def layer_activation_bytes(
    arch: Architecture,
    tokens: Array,
    length: Array,
    tp: Array,
    sequence_parallel: Array,
    dropout: Array,
    flash: Array,
    expert_copies: Array,
) -> Array:
    r"""Activations that one average layer keeps for the backward pass, nothing recomputed, in 16 bits.

    Parameters
    ----------
    arch : Architecture
    tokens : shape (...)              Tokens of a micro-batch on the rank (before tensor sharding) [1].
    length : shape (...)              Keys each token sees, for the score matrix [1].
    tp : shape (...)                  Tensor ranks [1].
    sequence_parallel : shape (...)   1 where norms and residuals are split over tp too.
    dropout : shape (...)             1 where dropout masks are kept.
    flash : shape (...)               1 where the score matrix is never stored.
    expert_copies : shape (...)       Routed copies a token makes on this rank [1]; experts_per_token when balanced.

    Returns
    -------
    shape (...) [B].

    Notes
    -----
    For multi-head attention, an ungated FFN of 4 h and dropout this is s b h (10 + 24/t + 5 a s / (h t)), and s b h (34 + 5 a s/h)/t with
    sequence parallelism (equations 2 and 4 of the reference). Mamba and gated delta nets keep what their input projections put out. A layer
    of one block has one norm.

    References
    ----------
    .. [1] V. Korthikanti et al., arXiv:2205.05198, section 4.

    Examples
    --------
    >>> a = Architecture(1024, 1, 16, 16, 64, "mha", 1000, intermediate_size=4096, gated=False)
    >>> layer_activation_bytes(a, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0) / 1024
    34.0
    """
    d = arch.hidden_size * 1.0
    outside = where(sequence_parallel > 0.0, 1.0 / tp, 1.0)
    mixers = arch.attention_layers / arch.num_layers
    heads = arch.num_heads * 1.0
    key_value: Array
    if arch.attention == "mla":
        query = heads * arch.qk_head_dim + arch.q_lora_rank
        key_value = heads * (arch.qk_nope_head_dim + arch.v_head_dim) + arch.kv_lora_rank + arch.qk_rope_head_dim
        context = heads * arch.v_head_dim
    else:
        query, key_value, context = heads * arch.head_dim, 2.0 * maximum(arch.num_kv_heads * 1.0, tp) * arch.head_dim, heads * arch.head_dim
    # two norms' inputs and outputs; one dropout mask after attention and one after the FFN
    pairs = 0.5 * arch.blocks / arch.num_layers
    replicated = (4.0 * d + 2.0 * d + 2.0 * d + 2.0 * d * dropout) * outside * pairs
    attention = 2.0 * (query + key_value + context) / tp
    scores = where(flash > 0.0, 4.0 * heads / tp, 5.0 * heads * length / tp)
    stored = 6.0 if arch.gated else 4.0  # gate, up and their product; or the input of the activation and its output
    dense, routed = _feed_forward_widths(arch, expert_copies)
    moe = arch.num_moe_layers / arch.num_layers * expert_copies * 2.0 * d
    recurrent = 2.0 * _recurrent_widths(arch)
    return tokens * (replicated + mixers * (attention + scores) + (stored * (dense + routed) + moe + recurrent) / tp)


def _feed_forward_widths(arch: Architecture, expert_copies: Array) -> tuple[Array, Array]:
    """Inner widths that a token passes in an average layer: dense parts with shared experts, and routed experts [1]."""
    shared = arch.num_moe_layers * arch.num_shared_experts * arch.shared_expert_intermediate_size
    dense = (arch.dense_layers * arch.intermediate_size + shared) / arch.num_layers
    return dense, arch.num_moe_layers / arch.num_layers * expert_copies * arch.expert_intermediate_size


def _recurrent_widths(arch: Architecture) -> float:
    """Outputs of the input projections of recurrent mixers, in an average layer [1]."""
    key, value = arch.linear_num_key_heads * arch.linear_key_head_dim, arch.linear_num_value_heads * arch.linear_value_head_dim
    mamba = 2 * arch.mamba_num_heads * arch.mamba_head_dim + 2 * arch.mamba_groups * arch.mamba_state_size + arch.mamba_num_heads
    return (arch.num_linear_layers * (2 * key + 2 * value) + arch.num_mamba_layers * mamba) / arch.num_layers


def selective_activation_bytes(
    arch: Architecture, tokens: Array, length: Array, tp: Array, sequence_parallel: Array, flash: Array, expert_copies: Array
) -> Array:
    r"""Part of the activations of an average layer that selective recomputation does not keep, in 16 bits.

    Parameters
    ----------
    arch : Architecture
    tokens : shape (...)              Tokens of a micro-batch on the rank (before tensor sharding) [1].
    length : shape (...)              Keys each token sees [1].
    tp : shape (...)                  Tensor ranks [1].
    sequence_parallel : shape (...)   1 where norms and residuals are split over tp too.
    flash : shape (...)               1 where the score matrix is never stored.
    expert_copies : shape (...)       Routed copies a token makes on this rank [1].

    Returns
    -------
    shape (...) [B].

    Notes
    -----
    What takes much room and little arithmetic: the attention core, 5 a s / (h t) of the layer, where the score matrix is stored. Flash
    attention recomputes that anyway; then it is what norms put out and the input of the last product of feed-forward parts, a third
    of what a gated one keeps and half of what another does.

    References
    ----------
    .. [1] V. Korthikanti et al., arXiv:2205.05198, section 5; DeepSeek-AI, arXiv:2412.19437, section 3.2.3 (norms and SwiGLU).

    Examples
    --------
    >>> a = Architecture(1024, 1, 16, 16, 64, "mha", 1000, intermediate_size=4096, gated=False)
    >>> selective_activation_bytes(a, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0) / 1024
    12.0
    """
    scores = 5.0 * arch.num_heads * length / tp * arch.attention_layers / arch.num_layers
    norms = 2.0 * arch.hidden_size * arch.blocks / arch.num_layers * where(sequence_parallel > 0.0, 1.0 / tp, 1.0)
    products = 2.0 * sum(_feed_forward_widths(arch, expert_copies)) / tp
    return tokens * where(flash > 0.0, norms + products, scores)


def kept_activation_bytes(
    layer: Array, tokens: Array, hidden: Array, tp: Array, sequence_parallel: Array, recompute: Array, selected: Array
) -> Array:
    """Activations of a layer that stay in memory under a recompute policy.

    Parameters
    ----------
    layer : shape (...)               Everything a layer would keep [B].
    tokens, hidden : shape (...)      Tokens of the micro-batch; width [1].
    tp, sequence_parallel             Tensor ranks; 1 where norms are split too.
    recompute : shape (...)           0 none, 1 selective, 2 full.
    selected : shape (...)            Part of ``layer`` that selective recomputation drops [B].

    Returns
    -------
    shape (...) [B].

    References
    ----------
    .. [1] V. Korthikanti et al., arXiv:2205.05198, section 5.

    Examples
    --------
    >>> kept_activation_bytes(34.0, 1.0, 1.0, 1.0, 0.0, 2.0, 0.0)
    2.0
    """
    boundary = 2.0 * tokens * hidden * where(sequence_parallel > 0.0, 1.0 / tp, 1.0)
    return where(recompute >= 2.0, boundary, where(recompute >= 1.0, layer - selected, layer))


def cache_bytes(arch: Architecture, length: Array, kv_bytes: Array, tp: Array) -> Array:
    """Key-value cache and recurrent state of one sequence on one rank of a tensor group.

    Parameters
    ----------
    arch : Architecture
    length : shape (...)     Tokens in the cache [1].
    kv_bytes : shape (...)   Stored [B/element].
    tp : shape (...)         Ranks that share the heads; MLA's latent is held whole by each [1].

    Returns
    -------
    shape (...) [B].

    References
    ----------
    .. [1] DeepSeek-AI, arXiv:2405.04434, table 1.

    Examples
    --------
    >>> a = Architecture(512, 2, 8, 2, 64, "gqa", 1000, intermediate_size=2048)
    >>> cache_bytes(a, 10.0, 2.0, 4.0)
    5120.0
    """
    entry = kv_bytes_per_token_layer(arch, kv_bytes)
    shared: Array = 1.0 if arch.attention == "mla" else maximum(1.0 / tp, 1.0 / max(arch.num_kv_heads, 1))
    seen = arch.global_layers * length + arch.num_window_layers * minimum(length, arch.sliding_window * 1.0)
    index = indexer_elements_per_token(arch) * length if arch.index_topk else 0.0
    return entry * seen * shared + index + 4.0 * recurrent_state_elements(arch) / tp
