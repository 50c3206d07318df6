r"""How many parameters one layer of each kind has, and the embedding.

Weights of matrix products, convolutions and norms are counted; biases of the FFN, learned positions and scalars per head are not (less
than 0.1 % above a billion parameters, 0.6 % in the smallest). Every count is of scalars, whatever the precision.
"""

from __future__ import annotations

from aicompute.workload.architecture import Architecture


def attention_parameters(architecture: Architecture) -> float:
    r"""Parameters of one softmax attention layer.

    Parameters
    ----------
    architecture : Architecture

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

    Parameters
    ----------
    architecture : Architecture

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

    Parameters
    ----------
    architecture : Architecture

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

    Parameters
    ----------
    architecture : Architecture

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

    Returns
    -------
    float       [1].

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
    r"""Parameters of one dense feed-forward block.

    Parameters
    ----------
    architecture : Architecture

    Returns
    -------
    float       [1].

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
    r"""Parameters of one routed expert.

    Parameters
    ----------
    architecture : Architecture

    Returns
    -------
    float       [1].

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
    r"""Parameters of all shared experts of one MoE layer; 0 without any.

    Parameters
    ----------
    architecture : Architecture

    Returns
    -------
    float       [1].

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
    r"""Parameters of the router of one MoE layer, with the latent projections if experts have any.

    Parameters
    ----------
    architecture : Architecture

    Returns
    -------
    float       [1].

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
    r"""Parameters of the token embedding and the head: one matrix if tied, else two.

    Parameters
    ----------
    architecture : Architecture

    Returns
    -------
    float       [1].

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
