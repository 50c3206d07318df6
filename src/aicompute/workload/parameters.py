r"""How many parameters a model has, and what a token costs in training.

Built of the layers of `aicompute.workload.layer_parameters`, whose names, and those of `aicompute.workload.cache`, stand here too.
"""

from __future__ import annotations

from aicompute.numerics import Array, minimum
from aicompute.workload.architecture import Architecture
from aicompute.workload.cache import (
    indexer_elements_per_token,
    kv_bytes_per_token,
    kv_bytes_per_token_layer,
    recurrent_state_elements,
)
from aicompute.workload.layer_parameters import (
    attention_parameters,
    dense_ffn_parameters,
    embedding_parameters,
    expert_parameters,
    feed_forward_parameters,
    indexer_parameters,
    linear_attention_parameters,
    mamba_parameters,
    router_parameters,
    shared_expert_parameters,
)

__all__ = [
    "CONVENTIONS",
    "active_parameters",
    "attended_tokens",
    "attention_parameters",
    "dense_ffn_parameters",
    "embedding_parameters",
    "expert_parameters",
    "feed_forward_parameters",
    "flops_per_token_training",
    "indexer_elements_per_token",
    "indexer_parameters",
    "kv_bytes_per_token",
    "kv_bytes_per_token_layer",
    "linear_attention_parameters",
    "mamba_parameters",
    "mtp_parameters",
    "recurrent_flops_per_token",
    "recurrent_state_elements",
    "router_parameters",
    "shared_expert_parameters",
    "total_parameters",
]

CONVENTIONS = ("6n", "full", "causal")
"""Ways in use to count the arithmetic of a trained token, see `flops_per_token_training`."""


def mtp_parameters(architecture: Architecture) -> float:
    r"""Parameters of the multi-token prediction modules, embedding and head shared with the body; 0 without any.

    Parameters
    ----------
    architecture : Architecture

    Returns
    -------
    float       [1].

    Notes
    -----
    Each module is one layer, of the MoE kind if the model has one, and a projection of two hidden states to one:

    .. math:: P = m (2 h^2 + P_{attention} + P_{FFN})

    DeepSeek-V3 publishes 14 B for its module with its own copies of embedding and head (1.85 B); without them this gives 11.6 B.

    References
    ----------
    .. [1] DeepSeek-AI, "DeepSeek-V3 Technical Report", arXiv 2412.19437 (2024), section 2.2.

    Examples
    --------
    >>> mtp_parameters(Architecture(hidden_size=4096, num_layers=32, num_heads=32, num_kv_heads=8, head_dim=128, attention="gqa",
    ...                             vocab_size=32000))
    0.0
    """
    a = architecture
    if not a.mtp_layers:
        return 0.0
    feed_forward = _moe_layer(a, a.num_experts) if a.num_moe_layers else dense_ffn_parameters(a)
    return a.mtp_layers * (2.0 * a.hidden_size**2 + attention_parameters(a) + indexer_parameters(a) + feed_forward + 4.0 * a.hidden_size)


def total_parameters(architecture: Architecture, mtp: bool = False) -> float:
    r"""All parameters of a model.

    Parameters
    ----------
    architecture : Architecture
    mtp : bool      Count the multi-token prediction modules, which serve training and speculation and are not in published totals.

    Returns
    -------
    float       [1].

    Notes
    -----
    Within 1 % of the published total of every model in the library, bar the exceptions that the tests name.

    References
    ----------
    .. [1] DeepSeek-AI, "DeepSeek-V3 Technical Report", arXiv 2412.19437 (2024): 671 B, checked.

    Examples
    --------
    >>> llama = Architecture(hidden_size=4096, num_layers=32, num_heads=32, num_kv_heads=8, head_dim=128,
    ...     attention="gqa", vocab_size=128256,
    ...                      intermediate_size=14336)
    >>> total_parameters(llama)
    8030261248.0
    """
    extra = mtp_parameters(architecture) if mtp else 0.0
    return _body(architecture, architecture.num_experts) + embedding_parameters(architecture) + extra


def active_parameters(architecture: Architecture, embedding: bool = False) -> float:
    r"""Parameters that one token passes through.

    Parameters
    ----------
    architecture : Architecture
    embedding : bool    Count the token embedding too, which is looked up and not multiplied.

    Returns
    -------
    float       Body with the experts per token, and the head, tied or not [1].

    Notes
    -----
    Twice this number is the arithmetic of a token outside the attention core. Publishers differ: gpt-oss counts the head and not the
    embedding, as here; Qwen3-30B-A3B's 3.3 B counts both.

    References
    ----------
    .. [1] OpenAI, "gpt-oss-120b & gpt-oss-20b Model Card", arXiv 2508.10925 (2025), table 1.

    Examples
    --------
    >>> mixtral = Architecture(hidden_size=4096, num_layers=32, num_heads=32, num_kv_heads=8, head_dim=128,
    ...     attention="gqa", vocab_size=32000,
    ...                        num_experts=8, experts_per_token=2, expert_intermediate_size=14336, num_moe_layers=32)
    >>> active_parameters(mixtral), active_parameters(mixtral, embedding=True)
    (12748853248.0, 12879925248.0)
    """
    head = float(architecture.hidden_size * architecture.vocab_size)
    lookup = embedding_parameters(architecture) - head if embedding else 0.0
    return _body(architecture, architecture.experts_per_token) + head + lookup


def flops_per_token_training(architecture: Architecture, seq_len: Array, convention: str = "causal") -> Array:
    r"""Arithmetic of one trained token, forward and backward, without recomputation.

    Parameters
    ----------
    architecture : Architecture
    seq_len : shape (...)       Tokens that attend to one another [token].
    convention : str            One of `CONVENTIONS`.

    Returns
    -------
    shape (...)     [FLOP/token].

    Raises
    ------
    ValueError
        If the convention is not known.

    Notes
    -----
    ========== ================================================== ===========================================
    convention formula                                            used by
    ========== ================================================== ===========================================
    ``6n``     :math:`6 N`, all (active) parameters, no attention  scaling laws, Llama 3's 3.8e25
    ``full``   :math:`6 N' + 6 L n (d_{qk} + d_v) s`               PaLM, Megatron-LM (no causal saving)
    ``causal`` :math:`6 N' + 3 L n (d_{qk} + d_v) s`               DeepSeek-V3, torchtitan since 2025
    ========== ================================================== ===========================================

    N' leaves the embedding out. A window, or a sparse selection, replaces s in its layers by what is attended to. Linear layers add
    :math:`18 n_v d_k d_v`, Mamba-2 layers :math:`21 m s_{state}`, a sparse indexer :math:`6 n_I d_I s` (half of it if causal).
    ``causal`` is within 1.1 % of the published figures of DeepSeek-V2, DeepSeek-V3 and Llama-405B at 4,096 tokens [4]_.

    References
    ----------
    .. [1] J. Kaplan et al., "Scaling Laws for Neural Language Models", arXiv 2001.08361 (2020), section 2.1.
    .. [2] A. Chowdhery et al., "PaLM", arXiv 2204.02311 (2022), appendix B.
    .. [3] D. Narayanan et al., SC '21, arXiv 2104.04473, equation 3.
    .. [4] C. Zhao et al., "Insights into DeepSeek-V3", arXiv 2505.09343 (2025), table 2.

    Examples
    --------
    >>> llama = Architecture(hidden_size=16384, num_layers=126, num_heads=128, num_kv_heads=8, head_dim=128,
    ...     attention="gqa", vocab_size=128256,
    ...                      intermediate_size=53248)
    >>> f"{flops_per_token_training(llama, 8192.0, '6n'):.4g}", f"{flops_per_token_training(llama, 8192.0, 'full'):.4g}"
    ('2.435e+12', '2.625e+12')
    """
    a = architecture
    if convention not in CONVENTIONS:
        raise ValueError(f"convention = {convention!r} is not one of {', '.join(CONVENTIONS)}")
    if convention == "6n":
        return 6.0 * active_parameters(a, embedding=True) + 0.0 * seq_len
    causal = convention == "causal"
    per_position = 6.0 * a.num_heads * (a.qk_head_dim + a.value_head_dim)
    reach = attended_tokens(seq_len, float(a.index_topk), causal)
    windows = attended_tokens(seq_len, float(a.sliding_window), causal)
    core = per_position * (a.global_layers * reach + a.num_window_layers * windows)
    index = 6.0 * a.index_layers * a.index_heads * a.index_head_dim * attended_tokens(seq_len, 0.0, causal)
    return 6.0 * active_parameters(a) + core + index + 3.0 * recurrent_flops_per_token(a)


def attended_tokens(seq_len: Array, window: float, causal: bool) -> Array:
    r"""Mean number of positions that a position attends to.

    Parameters
    ----------
    seq_len : shape (...)   [token].
    window : float          Positions that one may see at most; 0 is no limit [token].
    causal : bool           Whether a position sees only those before it; otherwise the convention that ignores the mask.

    Returns
    -------
    shape (...)     [token].

    Notes
    -----
    .. math:: \bar s = w - \frac{w^2}{2 s}, \quad w = \min(s, window)

    which is s/2 without a window; ``w`` if the mask is ignored.

    References
    ----------
    .. [1] I. Beltagy, M. E. Peters, A. Cohan, "Longformer", arXiv 2004.05150 (2020), for the window; the mean is elementary.

    Examples
    --------
    >>> attended_tokens(4096.0, 0.0, True), attended_tokens(4096.0, 1024.0, True), attended_tokens(4096.0, 1024.0, False)
    (2048.0, 896.0, 1024.0)
    """
    w = minimum(seq_len, window) if window else seq_len
    return w - w * w / (2.0 * seq_len) if causal else w


def recurrent_flops_per_token(architecture: Architecture) -> float:
    r"""Forward arithmetic of all recurrent states for one token, projections not counted.

    Parameters
    ----------
    architecture : Architecture

    Returns
    -------
    float       [FLOP/token].

    Notes
    -----
    .. math:: F = 6 L_{lin} n_v d_k d_v + 7 L_{mamba} m s

    The delta rule reads, corrects and reads the state again (three products); 7 for Mamba-2 is Megatron-LM's count. A chunked kernel does
    more arithmetic than this recurrence.

    References
    ----------
    .. [1] S. Yang, J. Kautz, A. Hatamizadeh, "Gated Delta Networks", arXiv 2412.06464 (2024), equation 10.
    .. [2] NVIDIA Megatron-LM, megatron/training/training.py, function mamba_layer_flops.

    Examples
    --------
    >>> recurrent_flops_per_token(Architecture(hidden_size=64, num_layers=2, num_heads=4, num_kv_heads=4, head_dim=16, attention="mha",
    ...                                        vocab_size=100))
    0.0
    """
    a = architecture
    linear = 6.0 * a.linear_num_value_heads * a.linear_key_head_dim * a.linear_value_head_dim
    return a.num_linear_layers * linear + a.num_mamba_layers * 7.0 * a.mamba_num_heads * a.mamba_head_dim * a.mamba_state_size


def _moe_layer(a: Architecture, experts: float) -> float:
    """Parameters of one MoE block with so many experts counted."""
    return experts * expert_parameters(a) + shared_expert_parameters(a) + router_parameters(a)


def _body(a: Architecture, experts: float) -> float:
    """Parameters between embedding and head with so many experts counted; a norm before every mixer and every FFN, and one at the end."""
    mixers = a.attention_layers * attention_parameters(a) + a.index_layers * indexer_parameters(a)
    mixers += a.num_linear_layers * linear_attention_parameters(a) + a.num_mamba_layers * mamba_parameters(a)
    feed_forward = a.dense_layers * dense_ffn_parameters(a) + a.num_moe_layers * _moe_layer(a, experts)
    norms = a.hidden_size * (a.attention_layers + a.num_linear_layers + a.num_mamba_layers + a.ffn_layers + 1)
    return mixers + feed_forward + norms
