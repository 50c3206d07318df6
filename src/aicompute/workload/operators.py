"""The operators of a transformer step on one rank: shapes, FLOPs and bytes, with how often each runs.

A step is a short list of operators. Training, prefill and decode use the same builders and differ in tokens, attention core and direction.
"""

from __future__ import annotations

from dataclasses import dataclass

from aicompute.machine.records import AttentionShape
from aicompute.numerics import Array, maximum
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
    shape: AttentionShape | None = None
    """Of softmax attention over keys and values, for devices whose kernels are known by shape."""

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


def mixer_projections(arch: Architecture, tokens: Array, tp: Array, again: Array = 0.0) -> list[Operator]:
    """Projections around the token mixers.

    Parameters
    ----------
    arch : Architecture
    tokens : shape (...)   Tokens that pass the rank [1].
    tp : shape (...)       Ranks that share the heads [1].
    again : shape (...)    Cached tokens whose latents are expanded again, for attention of new tokens over a prefix [1].

    Returns
    -------
    list of Operator.

    Notes
    -----
    Absorbed MLA, the up-projection folded into query and output, asks a token for the same FLOPs as expanding its latent: heads times
    latent width times (nope + value). So "latent up" stands for both.

    References
    ----------
    .. [1] DeepSeek-AI, arXiv:2405.04434, section 2.1 (MLA and its absorbed form).

    Examples
    --------
    >>> a = Architecture(512, 2, 8, 2, 64, "gqa", 1000)
    >>> [o.columns for o in mixer_projections(a, 16.0, 2.0)]
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
        ops.append(Operator("latent up", "dense", count, tokens + again, heads * (nope + value), latent))
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


def elementwise(arch: Architecture, tokens: Array, coefficient: Array, sharded: Array) -> Operator:
    """Norms, residuals, rotary, activation, casts: everything that only moves activations.

    Parameters
    ----------
    arch : Architecture
    tokens : shape (...)        Tokens on the rank [1].
    coefficient : shape (...)   Bytes moved per token and hidden element in a layer of two blocks [B].
    sharded : shape (...)       Ranks over which it is split [1].

    Returns
    -------
    Operator, once a residual block: half of what a layer with a mixer and a feed-forward part moves.

    References
    ----------
    .. [1] A. Ivanov et al., MLSys 2021, Data movement is all you need.

    Examples
    --------
    >>> o = elementwise(Architecture(8, 2, 1, 1, 8, "mha", 100), 4.0, 10.0, 1.0)
    >>> o.count, o.traffic
    (4, 160.0)
    """
    return Operator("norms and elementwise", "memory", arch.blocks, traffic=0.5 * coefficient * tokens * arch.hidden_size / sharded)


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
