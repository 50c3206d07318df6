"""Memory traffic of what is neither product nor attention core: norms, residuals, rotary embedding, activations, routing, casts."""

from __future__ import annotations

from dataclasses import dataclass

from aicompute.numerics import Array
from aicompute.workload.architecture import Architecture
from aicompute.workload.operators import Operator


@dataclass(frozen=True, slots=True)
class Streams:
    """Bytes of an average layer that kernels between the products read and write."""

    forward: Array
    backward: Array
    routed_forward: Array
    """Of routed experts: sorting tokens by expert and back, and their activations."""
    routed_backward: Array


RESIDUAL = (8.0, 10.0)
"""Of a residual block: add and norm in one kernel (two read, sum and norm written); backward the norm's input too."""
ROTARY = (4.0, 4.0)
"""Queries and keys read and written."""
ACTIVATION = (4.0, 6.0)
"""Input read and result written; backward the gradient and the input read and the input's gradient written."""
GATE = (2.0, 4.0)
"""What a gate adds: its input read; backward read and its gradient written."""
ROUTED = 6.0
"""Copies written when tokens are sorted by expert, read, and summed again; backward the same."""


def layer_streams(arch: Architecture, tokens: Array, tp: Array, sharded: Array, copies: Array, expert_tp: Array) -> Streams:
    r"""Traffic between the products of an average layer, each kernel reading and writing 16-bit arrays once.

    Parameters
    ----------
    arch : Architecture
    tokens : shape (...)      Tokens on the rank [1].
    tp : shape (...)          Ranks that share heads and inner widths [1].
    sharded : shape (...)     Ranks over which norms and residuals are split [1].
    copies : shape (...)      Copies of tokens that the rank's experts work on [1].
    expert_tp : shape (...)   Ranks that share one expert [1].

    Returns
    -------
    Streams [B].

    Notes
    -----
    A gated unit reads two arrays and writes one, and its backward pass reads three and writes two: 16 bytes an inner element in all,
    10 without a gate. Stacks fuse some of it, or run it in more kernels; how their traffic compares is a value of theirs.

    References
    ----------
    .. [1] A. Ivanov et al., MLSys 2021, Data movement is all you need, table A.1.

    Examples
    --------
    >>> s = layer_streams(Architecture(8, 1, 1, 1, 8, "mha", 100, intermediate_size=32, gated=False), 1.0, 1.0, 1.0, 0.0, 1.0)
    >>> s.forward, s.backward
    (320.0, 416.0)
    """
    layers = arch.num_layers * 1.0
    heads = arch.num_heads * arch.qk_head_dim if arch.attention != "mla" else arch.num_heads * arch.qk_rope_head_dim
    keys = arch.num_kv_heads * arch.head_dim if arch.attention != "mla" else arch.qk_rope_head_dim
    rotated = (heads + keys) * arch.attention_layers / layers / tp
    shared = arch.num_moe_layers * arch.num_shared_experts * arch.shared_expert_intermediate_size
    inner = (arch.dense_layers * arch.intermediate_size + shared) / layers / tp
    moe = arch.num_moe_layers / layers

    def both(which: int) -> tuple[Array, Array]:
        residual = RESIDUAL[which] * arch.hidden_size * arch.blocks / layers / sharded
        activation = ACTIVATION[which] + (GATE[which] if arch.gated else 0.0)
        per_token = residual + ROTARY[which] * rotated + activation * inner
        per_copy = ROUTED * (arch.expert_latent_size or arch.hidden_size) + activation * arch.expert_intermediate_size / expert_tp
        return tokens * per_token, moe * copies * per_copy

    (forward, routed_forward), (backward, routed_backward) = both(0), both(1)
    return Streams(forward, backward, routed_forward, routed_backward)


def cast_elements(operators: list[Operator], roles: tuple[str, ...] = ("dense", "experts")) -> tuple[Array, Array]:
    """Elements that products in a narrow format cast in a pass through the model: inputs forward, gradients of results backward.

    Parameters
    ----------
    operators : list of Operator   Of a forward pass.
    roles : tuple of str           Whose products run in the format.

    Returns
    -------
    shape (...), shape (...) [1].

    Notes
    -----
    Weights are cast once a step and not counted.

    References
    ----------
    .. [1] P. Micikevicius et al., arXiv:2209.05433, FP8 formats for deep learning.

    Examples
    --------
    >>> cast_elements([Operator("up", "dense", 2.0, rows=2.0, columns=3.0, depth=5.0)])
    (20.0, 12.0)
    """
    chosen = [o for o in operators if o.role in roles]
    inputs = sum((o.count * o.groups * o.rows * o.depth for o in chosen), 0.0)
    results = sum((o.count * o.groups * o.rows * o.columns for o in chosen), 0.0)
    return inputs, results
