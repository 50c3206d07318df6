"""The Hugging Face model classes: what each fixes without saying so, which are refused, which keys give a layer away."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Family:
    """What the class behind a ``model_type`` fixes and its config does not say.

    Parameters
    ----------
    name : str              Family of the spec.
    gated : bool            Whether the FFN is gated.
    tied : bool             Whether embedding and head are one matrix if the config is silent.
    window : str            Layers a window covers if no list says: none, all, half, upper (from max_window_layers), pattern, chunk.
    expert_width : str      Key of an expert's width.
    bias : bool             Whether query, key and value have biases if the config is silent.
    """

    name: str
    gated: bool = True
    tied: bool = False
    window: str = "none"
    expert_width: str = "moe_intermediate_size"
    bias: bool = False


FAMILIES: dict[str, Family] = {
    "baichuan": Family("baichuan"),
    "bloom": Family("bloom", gated=False, tied=True, bias=True),
    "chatglm": Family("glm"),
    "cohere": Family("command", tied=True),
    "cohere2": Family("command", tied=True, window="pattern"),
    "deepseek": Family("deepseek"),
    "deepseek_v2": Family("deepseek"),
    "deepseek_v3": Family("deepseek"),
    "deepseek_v32": Family("deepseek"),
    "exaone4": Family("exaone", window="pattern"),
    "falcon": Family("falcon", gated=False, tied=True),
    "gemma": Family("gemma", tied=True),
    "gemma2": Family("gemma", tied=True, window="half"),
    "gemma3": Family("gemma", tied=True, window="pattern"),
    "gemma3_text": Family("gemma", tied=True, window="pattern"),
    "glm": Family("glm"),
    "glm4": Family("glm"),
    "glm4_moe": Family("glm"),
    "glm_moe_dsa": Family("glm"),
    "gpt2": Family("gpt", gated=False, tied=True, bias=True),
    "gpt_neox": Family("gpt-neox", gated=False, bias=True),
    "gpt_oss": Family("gpt-oss", window="half", expert_width="intermediate_size", bias=True),
    "gptj": Family("gpt-j", gated=False),
    "granite": Family("granite"),
    "internlm2": Family("internlm"),
    "kimi_k2": Family("kimi"),
    "kimi_k25": Family("kimi"),
    "llama": Family("llama"),
    "llama4": Family("llama", window="chunk", expert_width="intermediate_size"),
    "llama4_text": Family("llama", window="chunk", expert_width="intermediate_size"),
    "mimo": Family("mimo"),
    "minimax": Family("minimax", expert_width="intermediate_size"),
    "minimax_m2": Family("minimax", expert_width="intermediate_size"),
    "ministral": Family("mistral", window="all"),
    "mistral": Family("mistral", window="all"),
    "mistral3": Family("mistral", window="all"),
    "mixtral": Family("mistral", window="all", expert_width="intermediate_size"),
    "mpt": Family("mpt", gated=False, tied=True),
    "nemotron": Family("nemotron", gated=False),
    "nemotron_h": Family("nemotron", gated=False),
    "olmo": Family("olmo"),
    "olmo2": Family("olmo"),
    "opt": Family("opt", gated=False, tied=True, bias=True),
    "phi": Family("phi", gated=False, bias=True),
    "phi3": Family("phi", window="all"),
    "phimoe": Family("phi", window="all", expert_width="intermediate_size"),
    "qwen2": Family("qwen2", window="upper", bias=True),
    "qwen2_moe": Family("qwen2", window="upper", bias=True),
    "qwen3": Family("qwen3", window="upper"),
    "qwen3_5": Family("qwen3"),
    "qwen3_5_moe": Family("qwen3"),
    "qwen3_moe": Family("qwen3", window="upper"),
    "qwen3_next": Family("qwen3"),
    "qwen3_vl": Family("qwen3"),
    "qwen3_vl_moe": Family("qwen3"),
    "seed_oss": Family("seed", bias=True),
    "stablelm": Family("stablelm"),
    "starcoder2": Family("starcoder", gated=False, tied=True, window="all", bias=True),
    "step3p7": Family("step"),
}
"""Every ``model_type`` that can be read; the text part of a multimodal model by the type of the whole."""

REFUSED: dict[str, str] = {
    "bamba": "Mamba-2 layers whose layout this reader does not know",
    "deepseek_ref": "compressed attention (compress_ratios) mixed with windows, grouped output ranks and hyper-connections",
    "deepseek_v4": "compressed attention (compress_ratios) mixed with windows, grouped output ranks and hyper-connections",
    "falcon_h1": "attention and Mamba-2 in parallel in every layer",
    "gemma3n": "per-layer embeddings and layers that share a cache",
    "gemma4": "full-attention layers with head width and key-value heads of their own, and a dense FFN beside the experts",
    "granitemoehybrid": "Mamba-2 layers whose layout this reader does not know",
    "jamba": "Mamba-1 layers",
    "kimi_k3": "Kimi delta attention with a full-rank gate and residual attention over blocks",
    "kimi_linear": "Kimi delta attention",
    "mamba": "Mamba-1 layers",
    "mimo_v2_flash": "window layers with a number of key-value heads of their own",
    "minimax_m1": "lightning attention",
    "minimax_m3": "block-sparse attention (sparse_attention_config)",
    "minimax_m3_vl": "block-sparse attention (sparse_attention_config)",
    "nemotron-nas": "layers that differ from one another (block_configs)",
    "nemotron_nas": "layers that differ from one another (block_configs)",
    "recurrent_gemma": "real-gated linear recurrent units",
    "rwkv": "RWKV time mixing",
}
"""Known types with layers that a model spec cannot describe, and which."""

MARKERS = (
    "attn_layer_period", "block_configs", "compress_ratios", "global_head_dim", "hybrid_layer_pattern", "hybrid_override_pattern",
    "layers_block_type", "linear_attn_config", "linear_num_key_heads", "mamba_num_heads", "num_global_key_value_heads",
    "num_kv_shared_layers", "sparse_attention_config", "ssm_state_size", "swa_head_dim", "swa_num_key_value_heads",
    "vocab_size_per_layer_input",
)  # fmt: skip
"""Keys that make a layer something else than attention and an FFN; a reader that does not take one refuses the config."""

LAYER_KINDS = ("full_attention", "sliding_attention", "chunked_attention", "linear_attention", "deepseek_sparse_attention")
"""Entries of ``layer_types`` that a spec can describe."""
