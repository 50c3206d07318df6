"""The cores of token mixers on one rank: softmax attention over a context or a cache, sparse selection, recurrent states."""

from __future__ import annotations

from aicompute.machine.records import AttentionShape
from aicompute.numerics import Array, maximum, minimum, safe_divide, where
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


def seen_pairs(length: Array, prefix: Array, reach: Array) -> Array:
    r"""Pairs of a new token and one that it sees, itself and those before it, of which it may see no more than ``reach``.

    Parameters
    ----------
    length : shape (...)   New tokens [1].
    prefix : shape (...)   Tokens before them [1].
    reach : shape (...)    Tokens that one may see: a window or a selection [1].

    Returns
    -------
    shape (...) [1].

    Notes
    -----
    .. math:: w s - \tfrac12 \max(w - p, 0)^2, \quad w = \min(r, p + s)

    which is s p + s²/2 without a limit, and additive over chunks of a prompt.

    References
    ----------
    .. [1] I. Beltagy, M. E. Peters, A. Cohan, arXiv:2004.05150, for the window; the sum is elementary.

    Examples
    --------
    >>> seen_pairs(4096.0, 0.0, 1e9), seen_pairs(4096.0, 0.0, 2048.0), seen_pairs(4096.0, 4096.0, 2048.0)
    (8388608.0, 6291456.0, 8388608.0)
    """
    most = minimum(reach, prefix + length)
    growing = maximum(most - prefix, 0.0)
    return most * length - 0.5 * growing * growing


def selects(arch: Architecture, length: Array, prefix: Array) -> Array:
    """Whether a sparse model's prefill attends to its selection only: 1 there, 0 where it masks whole attention, cheaper on short contexts.

    Parameters
    ----------
    arch : Architecture
    length, prefix : shape (...)   New tokens; tokens before them [1].

    Returns
    -------
    shape (...)   0 for models without an indexer [1].

    Notes
    -----
    Every token has a selection of its own, so kernels work on the latent cache, which all heads share, with scores and values of
    latent width: 3.4 times the expanded widths in DeepSeek-V3.2. That pays in prompts from 6.3 times the selected number on.

    References
    ----------
    .. [1] DeepSeek-AI, arXiv:2512.02556, section 2.1: multi-query mode of MLA; short prefills run as masked multi-head attention.

    Examples
    --------
    >>> a = Architecture(7168, 61, 128, 128, 192, "mla", 129280, kv_lora_rank=512, qk_nope_head_dim=128, qk_rope_head_dim=64,
    ...                  v_head_dim=128, index_topk=2048, index_heads=64, index_head_dim=128)
    >>> selects(a, 4096.0, 0.0), selects(a, 4096.0, 32768.0)
    (0.0, 1.0)
    """
    if not arch.index_topk:
        return 0.0
    context = length + prefix
    chosen = seen_pairs(length, prefix, arch.index_topk * 1.0) * sum(query_key_widths(arch, absorbed=True))
    masked = seen_pairs(length, prefix, context) * sum(query_key_widths(arch, absorbed=False))
    return where((context > arch.index_topk) & (chosen < masked), 1.0, 0.0)


def expanded_prefix(arch: Architecture, length: Array, prefix: Array) -> Array:
    """Cached tokens of a sequence whose latents are expanded again to keys and values for its new tokens.

    Parameters
    ----------
    arch : Architecture
    length, prefix : shape (...)   New tokens; tokens before them [1].

    Returns
    -------
    shape (...) [1]; 0 without latent attention and where a selection of the latents is attended to.

    References
    ----------
    .. [1] DeepSeek-AI, arXiv:2405.04434, section 2.1.

    Examples
    --------
    >>> a = Architecture(7168, 61, 128, 128, 192, "mla", 129280, kv_lora_rank=512, qk_nope_head_dim=128, qk_rope_head_dim=64,
    ...                  v_head_dim=128)
    >>> expanded_prefix(a, 2048.0, 6144.0)
    6144.0
    """
    return prefix * (1.0 - selects(arch, length, prefix)) if arch.attention == "mla" else 0.0


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
    Pairs are those of `seen_pairs`, FLOPs 2 · heads · pairs · (d_qk + d_v). MLA runs expanded, with keys and values of every head, but
    absorbed where a selection of the cache is attended to (`selects`).

    References
    ----------
    .. [1] T. Dao, arXiv:2307.08691 (FlashAttention-2: causal halves the FLOPs).

    Examples
    --------
    >>> a = Architecture(128, 1, 2, 2, 64, "mha", 1000)
    >>> context_attention(a, 1.0, 1024.0, 0.0, 1.0, 1.0, 2.0)[0].flops / 1e6
    268.435456
    """
    heads = arch.num_heads / tp
    kv_heads = heads if arch.attention == "mla" else maximum(arch.num_kv_heads / tp, 1.0)
    whole, width = length + prefix, sum(query_key_widths(arch, absorbed=False))
    ops: list[Operator] = []

    def core(name: str, count: float, pairs: Array, seen: Array, width: Array, entry: Array) -> Operator:
        traffic = sequences * (length * heads * width * 2.0 + seen * entry * kv_bytes) / cp
        shape = AttentionShape(
            sequences=sequences,
            length=length / cp,
            seen=safe_divide(pairs, length),
            context=seen,
            heads=heads,
            kv_heads=entry / width,
            width=width,
            entry=width,
            latent=arch.attention == "mla",
        )
        return Operator(name, "attention", count, flops=2.0 * sequences * heads * pairs * width / cp, traffic=traffic, shape=shape)

    if arch.global_layers:
        pairs = seen_pairs(length, prefix, whole) + 0.5 * full_square * length * length
        entry = kv_heads * width
        wide: Array = width
        if arch.index_topk:
            ops.append(_indexer(arch, sequences * pairs / cp, sequences * whole / cp))
            chosen = selects(arch, length, prefix)
            absorbed = sum(query_key_widths(arch, absorbed=True))
            latent = (arch.kv_lora_rank + arch.qk_rope_head_dim) * 1.0 if arch.attention == "mla" else entry
            pairs = where(chosen > 0.0, seen_pairs(length, prefix, arch.index_topk * 1.0), pairs)
            wide, entry = where(chosen > 0.0, absorbed, width), where(chosen > 0.0, latent, entry)
        ops.append(core("attention", arch.global_layers, pairs, whole, wide, entry))
    if arch.num_window_layers:
        window = minimum(arch.sliding_window * 1.0, whole)
        pairs = seen_pairs(length, prefix, window)
        ops.append(core("window attention", arch.num_window_layers, pairs, minimum(prefix, window) + length, width, kv_heads * width))
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
        latent = arch.attention == "mla"
        kv_heads = 1.0 if latent else maximum(arch.num_kv_heads / tp, 1.0)
        shape = AttentionShape(
            sequences=sequences,
            length=queries,
            seen=seen,
            context=seen,
            heads=heads,
            kv_heads=kv_heads,
            width=qk + v,
            entry=entry / kv_heads,
            latent=latent,
        )
        return Operator(name, "attention", count, flops=flops, traffic=sequences * seen * entry * kv_bytes, shape=shape)

    if arch.global_layers:
        seen = context
        if arch.index_topk:
            ops.append(_indexer(arch, sequences * queries * context, sequences * context))
            seen = minimum(context, arch.index_topk * 1.0)
        ops.append(core("attention", arch.global_layers, seen))
    if arch.num_window_layers:
        ops.append(core("window attention", arch.num_window_layers, minimum(context, arch.sliding_window * 1.0)))
    ops += _recurrent(arch, sequences * queries, sequences, tp)
    return ops


def _indexer(arch: Architecture, pairs: Array, tokens: Array) -> Operator:
    """Scores of every pair by a sparse indexer, from 8-bit keys of the tokens."""
    flops = 2.0 * arch.index_heads * arch.index_head_dim * pairs
    return Operator("indexer scores", "attention", arch.index_layers, flops=flops, traffic=tokens * arch.index_head_dim)


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
