r"""How many parameters a model has, what a token costs in training and what it leaves in the cache.

Weights of matrix products, convolutions and norms are counted; biases of the FFN, learned positions and scalars per head are not (less
than 0.1 % above a billion parameters, 0.6 % in the smallest). Every count is of scalars, whatever the precision.
"""

from __future__ import annotations

from aicompute.numerics import Array, minimum
from aicompute.workload.architecture import Architecture

CONVENTIONS = ("6n", "full", "causal")
"""Ways in use to count the arithmetic of a trained token, see `flops_per_token_training`."""


def attention_parameters(architecture: Architecture) -> float:
    r"""Parameters of one softmax attention layer.

    Returns
    -------
    float       Query, key, value and output projections, biases if any [1].

    Notes
    -----
    With n heads of width d, k key-value heads and hidden size h,

    .. math:: P = h d (2 n + 2 k)

    and one more h d n where the output is gated. Multi-head latent attention with ranks :math:`r_q, r_{kv}` and widths
    :math:`d_{nope}, d_{rope}, d_v`:

    .. math:: P = h r_q + r_q n (d_{nope} + d_{rope}) + h (r_{kv} + d_{rope}) + r_{kv} n (d_{nope} + d_v) + n d_v h

    where the first two terms become one full matrix if there is no query rank.

    References
    ----------
    .. [1] J. Ainslie et al., "GQA", arXiv 2305.13245 (2023).
    .. [2] DeepSeek-AI, "DeepSeek-V2", arXiv 2405.04434 (2024), section 2.1 and appendix C.

    Examples
    --------
    >>> llama = Architecture(hidden_size=4096, num_layers=32, num_heads=32, num_kv_heads=8, head_dim=128,
    ...     attention="gqa", vocab_size=128256)
    >>> attention_parameters(llama)
    41943040.0
    """
    a = architecture
    h, n = a.hidden_size, a.num_heads
    if a.attention == "mla":
        query = h * a.q_lora_rank + a.q_lora_rank * n * a.qk_head_dim if a.q_lora_rank else h * n * a.qk_head_dim
        down = h * (a.kv_lora_rank + a.qk_rope_head_dim)
        up = a.kv_lora_rank * n * (a.qk_nope_head_dim + a.value_head_dim)
        return float(query + down + up + n * a.value_head_dim * h)
    weights = h * a.head_dim * (2 * n + 2 * a.num_kv_heads)
    gate = h * a.head_dim * n if a.attention_output_gate else 0
    bias = a.head_dim * (n + 2 * a.num_kv_heads) + h if a.attention_bias else 0
    return float(weights + gate + bias)


def indexer_parameters(architecture: Architecture) -> float:
    r"""Parameters of the indexer of one sparse attention layer; 0 without one.

    Returns
    -------
    float       Query from the query rank, one shared key, one weight a head [1].

    Notes
    -----
    .. math:: P = r_q n_I d_I + h d_I + h n_I

    References
    ----------
    .. [1] DeepSeek-AI, "DeepSeek-V3.2", arXiv 2512.02556 (2025), section 2.1.

    Examples
    --------
    >>> sparse = Architecture(hidden_size=7168, num_layers=61, num_heads=128, num_kv_heads=128, head_dim=192, attention="mla",
    ...                       vocab_size=129280, q_lora_rank=1536, index_topk=2048, index_heads=64, index_head_dim=128)
    >>> indexer_parameters(sparse)
    13959168.0
    """
    a = architecture
    rank = a.q_lora_rank or a.hidden_size
    return float(rank * a.index_heads * a.index_head_dim + a.hidden_size * (a.index_head_dim + a.index_heads)) if a.index_topk else 0.0


def linear_attention_parameters(architecture: Architecture) -> float:
    r"""Parameters of one gated delta net layer.

    Returns
    -------
    float       Projections of query, key, value, output gate, two scalars a value head, convolution and output [1].

    Notes
    -----
    With key width :math:`K = n_k d_k`, value width :math:`V = n_v d_v` and convolution length c,

    .. math:: P = h (2 K + 2 V + 2 n_v) + c (2 K + V) + V h

    References
    ----------
    .. [1] S. Yang, J. Kautz, A. Hatamizadeh, "Gated Delta Networks", arXiv 2412.06464 (2024).
    .. [2] Hugging Face transformers, models/qwen3_next/modeling_qwen3_next.py, class Qwen3NextGatedDeltaNet.

    Examples
    --------
    >>> hybrid = Architecture(hidden_size=2048, num_layers=48, num_heads=16, num_kv_heads=2, head_dim=256,
    ...     attention="gqa", vocab_size=151936,
    ...     num_linear_layers=36, linear_num_key_heads=16, linear_num_value_heads=32, linear_key_head_dim=128, linear_value_head_dim=128,
    ...     linear_conv_kernel=4)
    >>> linear_attention_parameters(hybrid)
    33718272.0
    """
    a = architecture
    key = a.linear_num_key_heads * a.linear_key_head_dim
    value = a.linear_num_value_heads * a.linear_value_head_dim
    projections = a.hidden_size * (2 * key + 2 * value + 2 * a.linear_num_value_heads)
    return float(projections + a.linear_conv_kernel * (2 * key + value) + value * a.hidden_size)


def mamba_parameters(architecture: Architecture) -> float:
    r"""Parameters of one Mamba-2 layer.

    Returns
    -------
    float       Input projection, convolution, output projection [1].

    Notes
    -----
    With inner width m = heads x head width, g groups of state size s, n heads and convolution length c,

    .. math:: P = h (2 m + 2 g s + n) + c (m + 2 g s) + m h

    References
    ----------
    .. [1] T. Dao, A. Gu, "Transformers are SSMs", arXiv 2405.21060 (2024), section 7.
    .. [2] NVIDIA, "Nemotron-H", arXiv 2504.03624 (2025).

    Examples
    --------
    >>> nemotron = Architecture(hidden_size=8192, num_layers=118, num_heads=64, num_kv_heads=8, head_dim=128,
    ...     attention="gqa", vocab_size=131072,
    ...     num_mamba_layers=54, mamba_num_heads=256, mamba_head_dim=64, mamba_state_size=256, mamba_groups=8, mamba_conv_kernel=4)
    >>> mamba_parameters(nemotron)
    438386688.0
    """
    a = architecture
    inner = a.mamba_num_heads * a.mamba_head_dim
    state = 2 * a.mamba_groups * a.mamba_state_size
    return float(a.hidden_size * (2 * inner + state + a.mamba_num_heads) + a.mamba_conv_kernel * (inner + state) + inner * a.hidden_size)


def feed_forward_parameters(width: float, intermediate: float, gated: bool) -> float:
    r"""Parameters of a feed-forward block: 3 w i gated (SwiGLU, GeGLU), else 2 w i.

    Parameters
    ----------
    width : float           Of the input and output [1].
    intermediate : float    Of the hidden layer [1].
    gated : bool            Whether a second up-projection gates the first.

    References
    ----------
    .. [1] N. Shazeer, "GLU Variants Improve Transformer", arXiv 2002.05202 (2020).

    Examples
    --------
    >>> feed_forward_parameters(4096, 14336, gated=True)
    176160768.0
    """
    return float((3 if gated else 2) * width * intermediate)


def dense_ffn_parameters(architecture: Architecture) -> float:
    r"""Parameters of one dense feed-forward block [1].

    Notes
    -----
    .. math:: P = 3 h i \text{ gated, } 2 h i \text{ otherwise}

    References
    ----------
    .. [1] N. Shazeer, "GLU Variants Improve Transformer", arXiv 2002.05202 (2020).

    Examples
    --------
    >>> llama = Architecture(hidden_size=4096, num_layers=32, num_heads=32, num_kv_heads=8, head_dim=128,
    ...     attention="gqa", vocab_size=128256,
    ...                      intermediate_size=14336)
    >>> dense_ffn_parameters(llama)
    176160768.0
    """
    return feed_forward_parameters(architecture.hidden_size, architecture.intermediate_size, architecture.gated)


def expert_parameters(architecture: Architecture) -> float:
    r"""Parameters of one routed expert [1].

    Notes
    -----
    As `dense_ffn_parameters` with the width of an expert. Where experts work in a latent space of size l (LatentMoE), l replaces h, and
    `router_parameters` holds the projections into and out of it.

    References
    ----------
    .. [1] D. Dai et al., "DeepSeekMoE", arXiv 2401.06066 (2024), equation 3.

    Examples
    --------
    >>> mixtral = Architecture(hidden_size=4096, num_layers=32, num_heads=32, num_kv_heads=8, head_dim=128,
    ...     attention="gqa", vocab_size=32000,
    ...                        num_experts=8, experts_per_token=2, expert_intermediate_size=14336, num_moe_layers=32)
    >>> expert_parameters(mixtral)
    176160768.0
    """
    a = architecture
    return feed_forward_parameters(a.expert_latent_size or a.hidden_size, a.expert_intermediate_size, a.gated)


def shared_expert_parameters(architecture: Architecture) -> float:
    r"""Parameters of all shared experts of one MoE layer; 0 without any [1].

    References
    ----------
    .. [1] D. Dai et al., "DeepSeekMoE", arXiv 2401.06066 (2024), section 3.2.

    Examples
    --------
    >>> deepseek = Architecture(hidden_size=7168, num_layers=61, num_heads=128, num_kv_heads=128, head_dim=192, attention="mla",
    ...                         vocab_size=129280, num_shared_experts=1, shared_expert_intermediate_size=2048)
    >>> shared_expert_parameters(deepseek)
    44040192.0
    """
    a = architecture
    return a.num_shared_experts * feed_forward_parameters(a.hidden_size, a.shared_expert_intermediate_size, a.gated)


def router_parameters(architecture: Architecture) -> float:
    r"""Parameters of the router of one MoE layer, with the latent projections if experts have any [1].

    Notes
    -----
    .. math:: P = h E + 2 h l

    References
    ----------
    .. [1] W. Fedus, B. Zoph, N. Shazeer, "Switch Transformers", arXiv 2101.03961 (2021), section 2.1.

    Examples
    --------
    >>> mixtral = Architecture(hidden_size=4096, num_layers=32, num_heads=32, num_kv_heads=8, head_dim=128,
    ...     attention="gqa", vocab_size=32000,
    ...                        num_experts=8)
    >>> router_parameters(mixtral)
    32768.0
    """
    return float(architecture.hidden_size * (architecture.num_experts + 2 * architecture.expert_latent_size))


def embedding_parameters(architecture: Architecture) -> float:
    r"""Parameters of the token embedding and the head: one matrix if tied, else two [1].

    References
    ----------
    .. [1] O. Press, L. Wolf, "Using the Output Embedding to Improve Language Models", arXiv 1608.05859 (2016).

    Examples
    --------
    >>> embedding_parameters(Architecture(hidden_size=4096, num_layers=32, num_heads=32, num_kv_heads=8, head_dim=128, attention="gqa",
    ...                                   vocab_size=128256))
    1050673152.0
    """
    return float(architecture.hidden_size * architecture.vocab_size * (1 if architecture.tied_embeddings else 2))


def mtp_parameters(architecture: Architecture) -> float:
    r"""Parameters of the multi-token prediction modules, embedding and head shared with the body; 0 without any [1].

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

    Examples
    --------
    >>> attended_tokens(4096.0, 0.0, True), attended_tokens(4096.0, 1024.0, True), attended_tokens(4096.0, 1024.0, False)
    (2048.0, 896.0, 1024.0)
    """
    w = minimum(seq_len, window) if window else seq_len
    return w - w * w / (2.0 * seq_len) if causal else w


def recurrent_flops_per_token(architecture: Architecture) -> float:
    r"""Forward arithmetic of all recurrent states for one token, projections not counted.

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


def kv_bytes_per_token_layer(architecture: Architecture, bytes_per_element: Array) -> Array:
    r"""Cache that one token leaves in one softmax attention layer.

    Parameters
    ----------
    architecture : Architecture
    bytes_per_element : shape (...)     Of the cache's precision [B].

    Returns
    -------
    shape (...)     [B/token].

    Notes
    -----
    .. math:: 2 k d\,b, \qquad (r_{kv} + d_{rope})\,b \text{ for latent attention}

    References
    ----------
    .. [1] DeepSeek-AI, "DeepSeek-V2", arXiv 2405.04434 (2024), table 1.

    Examples
    --------
    >>> kv_bytes_per_token_layer(Architecture(hidden_size=4096, num_layers=32, num_heads=32, num_kv_heads=8, head_dim=128, attention="gqa",
    ...                                       vocab_size=128256), 2.0)
    4096.0
    """
    a = architecture
    elements = a.kv_lora_rank + a.qk_rope_head_dim if a.attention == "mla" else a.num_kv_heads * (a.head_dim + a.value_head_dim)
    return elements * bytes_per_element


def kv_bytes_per_token(architecture: Architecture, bytes_per_element: Array) -> Array:
    r"""Cache that one token leaves in all softmax attention layers, as long as no window drops it.

    Parameters
    ----------
    architecture : Architecture
    bytes_per_element : shape (...)     Of the cache's precision [B].

    Returns
    -------
    shape (...)     [B/token].

    Notes
    -----
    Layers with a window hold no more than `sliding_window` tokens of `kv_bytes_per_token_layer`, so a caller with long sequences counts
    `global_layers` and `num_window_layers` by themselves. Recurrent layers hold `recurrent_state_elements`, whatever the length, and a
    sparse indexer adds `indexer_elements_per_token`.

    References
    ----------
    .. [1] C. Zhao et al., "Insights into DeepSeek-V3", arXiv 2505.09343 (2025), table 1: 70.272 kB DeepSeek-V3, 516.096 kB Llama-405B.

    Examples
    --------
    >>> kv_bytes_per_token(Architecture(hidden_size=7168, num_layers=61, num_heads=128, num_kv_heads=128, head_dim=192, attention="mla",
    ...     vocab_size=129280, kv_lora_rank=512, qk_nope_head_dim=128, qk_rope_head_dim=64, v_head_dim=128), 2.0)
    70272.0
    """
    return architecture.attention_layers * kv_bytes_per_token_layer(architecture, bytes_per_element)


def indexer_elements_per_token(architecture: Architecture) -> float:
    r"""Elements that one token leaves in the key caches of all sparse indexers; stored in FP8 where DeepSeek-V3.2 runs [1].

    References
    ----------
    .. [1] DeepSeek-AI, "DeepSeek-V3.2", arXiv 2512.02556 (2025), section 2.1.

    Examples
    --------
    >>> indexer_elements_per_token(Architecture(hidden_size=7168, num_layers=61, num_heads=128, num_kv_heads=128, head_dim=192,
    ...     attention="mla",
    ...                            vocab_size=129280, index_topk=2048, index_heads=64, index_head_dim=128))
    7808.0
    """
    return float(architecture.index_layers * architecture.index_head_dim)


def recurrent_state_elements(architecture: Architecture) -> float:
    r"""Elements of state that all recurrent layers hold for one sequence, whatever its length.

    Returns
    -------
    float       Matrix states and the convolution's last inputs [1].

    Notes
    -----
    .. math:: L_{lin} (n_v d_k d_v + (c - 1)(2 K + V)) + L_{mamba} (m s + (c - 1)(m + 2 g s))

    References
    ----------
    .. [1] T. Dao, A. Gu, "Transformers are SSMs", arXiv 2405.21060 (2024).

    Examples
    --------
    >>> recurrent_state_elements(Architecture(hidden_size=64, num_layers=2, num_heads=4, num_kv_heads=4, head_dim=16, attention="mha",
    ...                                       vocab_size=100))
    0.0
    """
    a = architecture
    key, value = a.linear_num_key_heads * a.linear_key_head_dim, a.linear_num_value_heads * a.linear_value_head_dim
    linear = value * a.linear_key_head_dim + max(a.linear_conv_kernel - 1, 0) * (2 * key + value)
    inner, groups = a.mamba_num_heads * a.mamba_head_dim, 2 * a.mamba_groups * a.mamba_state_size
    mamba = inner * a.mamba_state_size + max(a.mamba_conv_kernel - 1, 0) * (inner + groups)
    return float(a.num_linear_layers * linear + a.num_mamba_layers * mamba)


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
