"""The cores of token mixers on one rank: softmax attention over a context or a cache, sparse selection, recurrent states."""

from __future__ import annotations

from aicompute.numerics import Array, maximum, minimum
from aicompute.workload.architecture import Architecture
from aicompute.workload.operators import Operator


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
