"""The operators of a transformer step on one rank: shapes, FLOPs and bytes, with how often each runs.

A step is a short list of operators. Training, prefill and decode use the same builders and differ in tokens, attention core and direction.
"""

from __future__ import annotations

from dataclasses import dataclass

from aicompute.numerics import Array, maximum, minimum
from aicompute.workload.architecture import Architecture


@dataclass(frozen=True, slots=True)
class Operator:
    """One kind of kernel in a step on one device."""

    name: str
    role: str
    """Whose rates it uses: dense, experts, attention, head, memory."""
    count: Array
    """Executions in one forward pass through the whole model [1]."""
    rows: Array = 0.0
    columns: Array = 0.0
    depth: Array = 0.0
    groups: Array = 1.0
    flops: Array = 0.0
    """Of one execution, where rows, columns and depth do not say it [FLOP]."""
    traffic: Array = 0.0
    """Of one execution, where the shape does not say it [B]."""

    @property
    def is_matrix(self) -> bool:
        """Whether rows, columns and depth describe the operator."""
        return self.role in ("dense", "experts", "head")


def operator_flops(operator: Operator) -> Array:
    """FLOPs of one execution on one device.

    Parameters
    ----------
    operator : Operator

    Returns
    -------
    shape (...) [FLOP].

    References
    ----------
    .. [1] V. Korthikanti et al., arXiv:2205.05198, appendix A: 2·m·n·k a product.

    Examples
    --------
    >>> operator_flops(Operator("up", "dense", 1.0, rows=2.0, columns=3.0, depth=5.0))
    60.0
    """
    if operator.is_matrix:
        return 2.0 * operator.groups * operator.rows * operator.columns * operator.depth
    return operator.flops


def mixer_projections(arch: Architecture, tokens: Array, tp: Array, absorbed: bool) -> list[Operator]:
    """Projections around the token mixers.

    Parameters
    ----------
    arch : Architecture
    tokens : shape (...)   Tokens that pass the rank [1].
    tp : shape (...)       Ranks that share the heads [1].
    absorbed : bool        MLA with the up-projections folded into query and output (decode).

    Returns
    -------
    list of Operator.

    References
    ----------
    .. [1] DeepSeek-AI, arXiv:2405.04434, section 2.1 (MLA and its absorbed form).

    Examples
    --------
    >>> a = Architecture(512, 2, 8, 2, 64, "gqa", 1000)
    >>> [o.columns for o in mixer_projections(a, 16.0, 2.0, False)]
    [384.0, 512.0]
    """
    d, heads, width = arch.hidden_size * 1.0, arch.num_heads / tp, arch.head_dim * 1.0
    count = arch.attention_layers
    ops: list[Operator] = []
    if arch.attention == "mla":
        latent, rope, nope, value = arch.kv_lora_rank * 1.0, arch.qk_rope_head_dim, arch.qk_nope_head_dim * 1.0, arch.v_head_dim * 1.0
        query = arch.q_lora_rank * 1.0
        if query:
            ops.append(Operator("query and latent down", "dense", count, tokens, query + latent + rope, d))
            ops.append(Operator("query up", "dense", count, tokens, heads * (nope + rope), query))
        else:
            ops.append(Operator("query and latent", "dense", count, tokens, heads * (nope + rope) + latent + rope, d))
        if absorbed:
            ops.append(Operator("absorbed query", "dense", count, tokens, latent, nope, groups=heads))
            ops.append(Operator("absorbed value", "dense", count, tokens, value, latent, groups=heads))
        else:
            ops.append(Operator("latent up", "dense", count, tokens, heads * (nope + value), latent))
        ops.append(Operator("attention output", "dense", count, tokens, d, heads * value))
    elif count:
        kv = maximum(arch.num_kv_heads / tp, 1.0)
        gate = heads if arch.attention_output_gate else 0.0
        ops.append(Operator("query, key, value", "dense", count, tokens, (heads + gate + 2.0 * kv) * width, d))
        ops.append(Operator("attention output", "dense", count, tokens, d, heads * width))
    if arch.index_topk:
        ops.append(
            Operator(
                "indexer query",
                "dense",
                arch.index_layers,
                tokens,
                arch.index_heads * arch.index_head_dim * 1.0,
                arch.q_lora_rank * 1.0 or d,
            )
        )
    if arch.num_linear_layers:
        key, value = arch.linear_num_key_heads * arch.linear_key_head_dim, arch.linear_num_value_heads * arch.linear_value_head_dim
        ops.append(Operator("linear attention in", "dense", arch.num_linear_layers, tokens, (2.0 * key + 2.0 * value) / tp, d))
        ops.append(Operator("linear attention out", "dense", arch.num_linear_layers, tokens, d, value / tp))
    if arch.num_mamba_layers:
        inner = arch.mamba_num_heads * arch.mamba_head_dim
        wide = 2.0 * inner + 2.0 * arch.mamba_groups * arch.mamba_state_size + arch.mamba_num_heads
        ops.append(Operator("mamba in", "dense", arch.num_mamba_layers, tokens, wide / tp, d))
        ops.append(Operator("mamba out", "dense", arch.num_mamba_layers, tokens, d, inner / tp))
    return ops


def feed_forward(
    arch: Architecture, tokens: Array, tp: Array, expert_rows: Array, experts: Array, expert_tp: Array, expert_count_rows: Array
) -> list[Operator]:
    """Feed-forward parts: dense, router, routed and shared experts.

    Parameters
    ----------
    arch : Architecture
    tokens : shape (...)              Tokens that pass the rank's dense parts [1].
    tp : shape (...)                  Ranks that share a dense matrix [1].
    expert_rows : shape (...)         Rows that each expert on this rank gets [1].
    experts : shape (...)             Experts on this rank that get any [1].
    expert_tp : shape (...)           Ranks that share one expert [1].
    expert_count_rows : shape (...)   Rows the router sees on this rank [1].

    Returns
    -------
    list of Operator.

    References
    ----------
    .. [1] N. Shazeer, arXiv:2002.05202 (gated units); D. Lepikhin et al., arXiv:2006.16668 (experts).

    Examples
    --------
    >>> a = Architecture(512, 2, 8, 2, 64, "gqa", 1000, intermediate_size=2048)
    >>> [o.columns for o in feed_forward(a, 16.0, 2.0, 0.0, 0.0, 1.0, 0.0)]
    [2048.0, 512.0]
    """
    d, gate = arch.hidden_size * 1.0, 2.0 if arch.gated else 1.0
    ops: list[Operator] = []
    if arch.dense_layers:
        ops.append(Operator("feed-forward up", "dense", arch.dense_layers, tokens, gate * arch.intermediate_size / tp, d))
        ops.append(Operator("feed-forward down", "dense", arch.dense_layers, tokens, d, arch.intermediate_size / tp))
    if arch.num_moe_layers:
        width = arch.expert_intermediate_size / expert_tp
        ops.append(Operator("router", "dense", arch.num_moe_layers, expert_count_rows, arch.num_experts * 1.0, d))
        inner = arch.expert_latent_size or d
        if arch.expert_latent_size:
            ops.append(Operator("latent down and up", "dense", arch.num_moe_layers, expert_count_rows, 2.0 * inner, d))
        ops.append(Operator("experts up", "experts", arch.num_moe_layers, expert_rows, gate * width, inner, groups=experts))
        ops.append(Operator("experts down", "experts", arch.num_moe_layers, expert_rows, inner, width, groups=experts))
        shared = arch.num_shared_experts * arch.shared_expert_intermediate_size
        if shared:
            ops.append(Operator("shared expert up", "dense", arch.num_moe_layers, tokens, gate * shared / tp, d))
            ops.append(Operator("shared expert down", "dense", arch.num_moe_layers, tokens, d, shared / tp))
    return ops


def query_key_widths(arch: Architecture, absorbed: bool) -> tuple[float, float]:
    """Width of a score and of a value product per head.

    Parameters
    ----------
    arch : Architecture
    absorbed : bool   MLA in the latent space.

    Returns
    -------
    float, float   [1].

    References
    ----------
    .. [1] DeepSeek-AI, arXiv:2405.04434, section 2.1.

    Examples
    --------
    >>> query_key_widths(Architecture(64, 1, 1, 1, 64, "mha", 1000), False)
    (64.0, 64.0)
    """
    if arch.attention == "mla":
        if absorbed:
            return arch.kv_lora_rank + arch.qk_rope_head_dim * 1.0, arch.kv_lora_rank * 1.0
        return arch.qk_nope_head_dim + arch.qk_rope_head_dim * 1.0, arch.v_head_dim * 1.0
    return arch.head_dim * 1.0, arch.head_dim * 1.0


def context_attention(
    arch: Architecture, sequences: Array, length: Array, prefix: Array, tp: Array, cp: Array, kv_bytes: Array, full_square: Array = 0.0
) -> list[Operator]:
    r"""Attention cores of whole sequences (training, prefill), causal.

    Parameters
    ----------
    arch : Architecture
    sequences : shape (...)     Sequences on the rank [1].
    length : shape (...)        New tokens of each [1].
    prefix : shape (...)        Tokens already in the cache of each [1].
    tp, cp : shape (...)        Ranks that share heads, and the sequence [1].
    kv_bytes : shape (...)      Stored key or value [B/element].
    full_square : shape (...)   1 where the kernel computes masked scores too, else 0.

    Returns
    -------
    list of Operator, forward.

    Notes
    -----
    Pairs of a causal sequence: s p + s²/2; inside a window w: w s - w²/2 from s = w on. FLOPs 2 · heads · pairs · (d_qk + d_v).

    References
    ----------
    .. [1] T. Dao, arXiv:2307.08691 (FlashAttention-2: causal halves the FLOPs).

    Examples
    --------
    >>> a = Architecture(128, 1, 2, 2, 64, "mha", 1000)
    >>> context_attention(a, 1.0, 1024.0, 0.0, 1.0, 1.0, 2.0)[0].flops / 1e6
    268.435456
    """
    qk, v = query_key_widths(arch, absorbed=False)
    heads = arch.num_heads / tp
    kv_heads = arch.num_heads / tp if arch.attention == "mla" else maximum(arch.num_kv_heads / tp, 1.0)
    ops: list[Operator] = []

    def core(name: str, count: float, pairs: Array, seen: Array, new: Array) -> Operator:
        traffic = sequences * (new * heads * (qk + v) * 2.0 + seen * kv_heads * (qk + v) * kv_bytes) / cp
        return Operator(name, "attention", count, flops=2.0 * sequences * heads * pairs * (qk + v) / cp, traffic=traffic)

    if arch.global_layers:
        pairs = length * prefix + 0.5 * length * length * (1.0 + full_square)
        if arch.index_topk:
            index = 2.0 * sequences * arch.index_heads * arch.index_head_dim * pairs / cp
            ops.append(
                Operator(
                    "indexer scores",
                    "attention",
                    arch.index_layers,
                    flops=index,
                    traffic=sequences * (length + prefix) * arch.index_head_dim / cp,
                )
            )
            pairs = minimum(pairs, length * arch.index_topk)
        ops.append(core("attention", arch.global_layers, pairs, prefix + length, length))
    if arch.num_window_layers:
        window = minimum(arch.sliding_window * 1.0, length + prefix)
        inside = minimum(window, length)
        pairs = minimum(window * length - 0.5 * inside * inside * (prefix <= 0.0), length * prefix + 0.5 * length * length)
        ops.append(core("window attention", arch.num_window_layers, pairs, minimum(prefix, window) + length, length))
    ops += _recurrent(arch, sequences * length / cp, 0.0, tp)
    return ops


def decode_attention(arch: Architecture, sequences: Array, queries: Array, context: Array, tp: Array, kv_bytes: Array) -> list[Operator]:
    """Attention cores of one decode step.

    Parameters
    ----------
    arch : Architecture
    sequences : shape (...)   Sequences on the rank [1].
    queries : shape (...)     New tokens of each, drafts included [1].
    context : shape (...)     Tokens in the cache of each [1].
    tp : shape (...)          Ranks that share the heads [1].
    kv_bytes : shape (...)    Stored key or value [B/element].

    Returns
    -------
    list of Operator.

    Notes
    -----
    Traffic is the cache of every sequence: 2 · kv heads · width an entry, or latent + rope for MLA, which every rank of a tensor group
    reads whole.

    References
    ----------
    .. [1] DeepSeek-AI, arXiv:2405.04434, section 2.1; N. Shazeer, arXiv:1911.02150 (decode is bound by the cache).

    Examples
    --------
    >>> a = Architecture(512, 1, 8, 2, 64, "gqa", 1000)
    >>> decode_attention(a, 1.0, 1.0, 1000.0, 1.0, 2.0)[0].traffic
    512000.0
    """
    qk, v = query_key_widths(arch, absorbed=True)
    heads = arch.num_heads / tp
    entry = (
        (arch.kv_lora_rank + arch.qk_rope_head_dim) * 1.0 if arch.attention == "mla" else maximum(arch.num_kv_heads / tp, 1.0) * (qk + v)
    )
    ops: list[Operator] = []

    def core(name: str, count: float, seen: Array) -> Operator:
        flops = 2.0 * sequences * queries * heads * seen * (qk + v)
        return Operator(name, "attention", count, flops=flops, traffic=sequences * seen * entry * kv_bytes)

    if arch.global_layers:
        seen = context
        if arch.index_topk:
            index = 2.0 * sequences * queries * arch.index_heads * arch.index_head_dim * context
            ops.append(
                Operator("indexer scores", "attention", arch.index_layers, flops=index, traffic=sequences * context * arch.index_head_dim)
            )
            seen = minimum(context, arch.index_topk * 1.0)
        ops.append(core("attention", arch.global_layers, seen))
    if arch.num_window_layers:
        ops.append(core("window attention", arch.num_window_layers, minimum(context, arch.sliding_window * 1.0)))
    ops += _recurrent(arch, sequences * queries, sequences, tp)
    return ops


def _recurrent(arch: Architecture, tokens: Array, states: Array, tp: Array) -> list[Operator]:
    """Cores of linear attention and state-space layers: 6 FLOPs a state element and token; fp32 states move when decoding."""
    ops: list[Operator] = []
    states_of = (
        (
            "linear attention state",
            arch.num_linear_layers,
            arch.linear_num_value_heads * arch.linear_key_head_dim * arch.linear_value_head_dim,
        ),
        ("mamba state", arch.num_mamba_layers, arch.mamba_num_heads * arch.mamba_head_dim * arch.mamba_state_size),
    )
    for name, layers, size in states_of:
        if layers:
            width = size / tp
            ops.append(Operator(name, "attention", layers, flops=6.0 * tokens * width, traffic=8.0 * states * width))
    return ops


def elementwise(arch: Architecture, tokens: Array, coefficient: Array, sharded: Array) -> Operator:
    """Norms, residuals, rotary, activation, casts: everything that only moves activations.

    Parameters
    ----------
    arch : Architecture
    tokens : shape (...)        Tokens on the rank [1].
    coefficient : shape (...)   Bytes moved per token and hidden element in one layer [B].
    sharded : shape (...)       Ranks over which it is split [1].

    Returns
    -------
    Operator.

    References
    ----------
    .. [1] A. Ivanov et al., MLSys 2021, Data movement is all you need.

    Examples
    --------
    >>> elementwise(Architecture(8, 2, 1, 1, 8, "mha", 100), 4.0, 10.0, 1.0).traffic
    320.0
    """
    return Operator("norms and elementwise", "memory", arch.num_layers, traffic=coefficient * tokens * arch.hidden_size / sharded)


def head(arch: Architecture, tokens: Array, tp: Array) -> Operator:
    """The product with the vocabulary.

    Parameters
    ----------
    arch : Architecture
    tokens : shape (...)   Tokens whose logits are needed [1].
    tp : shape (...)       Ranks that share the vocabulary [1].

    Returns
    -------
    Operator.

    References
    ----------
    .. [1] M. Shoeybi et al., arXiv:1909.08053, section 3 (vocabulary-parallel head).

    Examples
    --------
    >>> head(Architecture(8, 2, 1, 1, 8, "mha", 100), 2.0, 4.0).columns
    25.0
    """
    return Operator("head", "head", 1.0, tokens, arch.vocab_size / tp, arch.hidden_size * 1.0)
