r"""What a token leaves in the cache, and a sequence in recurrent states."""

from __future__ import annotations

from aicompute.numerics import Array
from aicompute.workload.architecture import Architecture


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
    r"""Elements that one token leaves in the key caches of all sparse indexers; stored in FP8 where DeepSeek-V3.2 runs.

    Parameters
    ----------
    architecture : Architecture

    Returns
    -------
    float       [1/token].

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

    Parameters
    ----------
    architecture : Architecture

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
