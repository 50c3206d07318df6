"""What the layers of a Hugging Face config are: attention, recurrent mixers and feed-forward blocks, as keys of a model spec."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from aicompute.specs.importers.hf_config import Config
from aicompute.specs.importers.hf_families import LAYER_KINDS, Family

Spec = dict[str, Any]


def attention(config: Config, family: Family) -> Spec:
    """Widths of softmax attention, windows and sparse indexer."""
    hidden, heads = config.common("hidden_size"), config.common("num_heads")
    layers = config.common("num_layers")
    spec: Spec = {"hidden_size": hidden, "num_layers": layers, "num_heads": heads}
    if config.data.get("kv_lora_rank"):
        widths = {k: config.integer(k) for k in ("kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim")}
        spec |= {"num_kv_heads": heads, "head_dim": widths["qk_nope_head_dim"] + widths["qk_rope_head_dim"], "attention": "mla"}
        spec |= {"q_lora_rank": config.integer("q_lora_rank", default=0)} | widths
    else:
        kv_heads = _kv_heads(config, heads)
        spec |= {"num_kv_heads": kv_heads, "head_dim": _head_dim(config, hidden, heads)}
        spec["attention"] = "mha" if kv_heads == heads else "mqa" if kv_heads == 1 else "gqa"
    spec["attention_bias"] = config.flag("attention_bias", config.flag("add_qkv_bias", family.bias))
    spec["attention_output_gate"] = config.flag("attn_output_gate", config.model_type == "qwen3_next")
    spec |= _windows(config, family, layers)
    if config.data.get("index_topk"):
        kinds = config.sequence("indexer_types", layers)
        spec |= {"index_topk": config.integer("index_topk"), "index_heads": config.integer("index_n_heads")}
        spec |= {"index_head_dim": config.integer("index_head_dim"), "num_index_layers": kinds.count("full") if kinds else 0}
    return spec


def mixers(config: Config) -> Spec:
    """Gated delta net and Mamba-2 layers."""
    layers = config.common("num_layers")
    if config.model_type == "nemotron_h":
        return _nemotron_h(config, layers)
    kinds = config.data.get("attn_type_list")
    if isinstance(kinds, list) and any(k != 1 for k in kinds):
        config.fault("attn_type_list: lightning attention layers (0) cannot be described by a model spec")
    listed = config.sequence("layer_types", layers)
    if config.model_type in ("qwen3_next", "qwen3_5", "qwen3_5_moe"):
        interval = config.integer("full_attention_interval", default=4)
        linear = listed.count("linear_attention") if listed else layers - layers // max(interval, 1)
        names = ("linear_num_key_heads", "linear_num_value_heads", "linear_key_head_dim", "linear_value_head_dim")
        spec = {"num_linear_layers": linear, "linear_conv_kernel": config.integer("linear_conv_kernel_dim")}
        return spec | {n: config.integer(n) for n in names}
    if listed and "linear_attention" in listed:
        config.fault(f"layer_types: which linear attention model_type {config.model_type!r} has is not known")
    return {}


def feed_forward(config: Config, family: Family) -> Spec:
    """Dense width, and experts where the config has any."""
    layers, hidden = config.common("num_layers"), config.common("hidden_size")
    experts = config.integer("n_routed_experts", "num_local_experts", "num_experts", default=0)
    if not experts:
        return {"intermediate_size": _dense_width(config, hidden), "gated": family.gated}
    width = config.integer(family.expert_width)
    letters = _letters(config) if config.model_type == "nemotron_h" else ""
    moe_layers = letters.count("E") if letters else _moe_layers(config, layers)
    shared = config.integer("n_shared_experts", "num_shared_experts", default=0)
    shared_width = config.integer(
        "shared_expert_intermediate_size", "moe_shared_expert_intermediate_size", "shared_intermediate_size", "share_expert_dim",
        default=width if shared else 0,
    )  # fmt: skip
    spec: Spec = {
        "gated": family.gated, "num_experts": experts, "num_moe_layers": moe_layers, "expert_intermediate_size": width,
        "experts_per_token": config.integer("num_experts_per_tok", "num_experts_per_token", "experts_per_token", "moe_topk"),
        "expert_latent_size": config.integer("moe_latent_size", default=0),
    }  # fmt: skip
    if family.window == "chunk":
        shared, shared_width = 1, width
    if shared_width:
        spec |= {"num_shared_experts": max(shared, 1), "shared_expert_intermediate_size": shared_width}
    dense = letters.count("-") if letters else layers - moe_layers
    return spec | {"intermediate_size": config.integer("intermediate_size_mlp", "intermediate_size") if dense else 0}


def _kv_heads(config: Config, heads: int) -> int:
    """Key-value heads under the spellings of llama, falcon, mpt and chatglm."""
    if config.model_type == "falcon" and not config.flag("new_decoder_architecture", False):
        return 1 if config.flag("multi_query", True) else heads
    if config.model_type == "chatglm":
        return config.integer("multi_query_group_num", default=heads) if config.flag("multi_query_attention", False) else heads
    nested = config.table("attn_config").get("kv_n_heads")
    return nested if isinstance(nested, int) else config.integer("num_key_value_heads", "num_kv_heads", default=heads)


def _head_dim(config: Config, hidden: int, heads: int) -> int:
    """Width of a head, hidden / heads where the config is silent."""
    width = config.integer("head_dim", "attention_head_dim", "kv_channels", default=0)
    if not width and hidden % heads:
        config.fault(f"head_dim is missing and hidden size {hidden} does not divide into {heads} heads")
    return width or hidden // heads


def _windows(config: Config, family: Family, layers: int) -> Spec:
    """How many layers see only a window, from ``layer_types`` or from what the class does."""
    window = config.integer("attention_chunk_size" if family.window == "chunk" else "sliding_window", default=0)
    kinds = config.sequence("layer_types", layers)
    if kinds is not None:
        for kind in sorted({str(k) for k in kinds} - set(LAYER_KINDS)):
            config.fault(f"layer_types: kind {kind!r} is not known; allowed: {', '.join(LAYER_KINDS)}")
        count = kinds.count("sliding_attention") + kinds.count("chunked_attention")
        if count and not window:
            config.fault("sliding_window is missing though layer_types has window layers")
        return {"sliding_window": window, "num_window_layers": count} if count else {}
    if not window or window >= config.integer("max_position_embeddings", default=window + 1) or not config.flag("use_sliding_window", True):
        return {}
    counts: dict[str, Callable[[], int]] = {
        "all": lambda: layers,
        "half": lambda: (layers + 1) // 2,
        "chunk": lambda: layers - layers // 4,
        "upper": lambda: max(layers - config.integer("max_window_layers", default=0), 0),
        "pattern": lambda: _pattern(config, layers),
    }
    if family.window not in counts:
        config.fault(f"sliding_window = {window}: model_type {config.model_type!r} does not say which layers it covers; layer_types would")
        return {}
    count = counts[family.window]()
    return {"sliding_window": window, "num_window_layers": count} if count else {}


def _pattern(config: Config, layers: int) -> int:
    """Window layers of ``sliding_window_pattern``: every n-th layer sees everything, or a string of L and G."""
    usual = 6 if config.model_type.startswith("gemma") else 4
    pattern = config.data.get("sliding_window_pattern", config.data.get("_sliding_window_pattern", usual))
    if isinstance(pattern, str) and pattern and set(pattern) <= {"L", "G"}:
        return sum(pattern[i % len(pattern)] == "L" for i in range(layers))
    if isinstance(pattern, int) and pattern > 0:
        return layers - layers // pattern
    config.fault(f"sliding_window_pattern = {pattern!r} is neither a number of layers nor a string of L and G")
    return 0


def _nemotron_h(config: Config, layers: int) -> Spec:
    """Layers of a pattern string: M Mamba-2, * attention, - FFN, E experts; each is a layer of its own."""
    pattern = _letters(config)
    counts = Counter(pattern)
    if len(pattern) != layers:
        config.fault(f"hybrid_override_pattern or layers_block_type has {len(pattern)} entries for {layers} layers")
    if unknown := sorted(set(counts) - set("M*-E")):
        config.fault(f"hybrid_override_pattern: kind {', '.join(map(repr, unknown))} is not known; allowed: M, *, -, E")
    return {
        "num_attention_layers": counts["*"], "num_mamba_layers": counts["M"], "num_ffn_layers": counts["-"] + counts["E"],
        "mamba_num_heads": config.integer("mamba_num_heads"), "mamba_head_dim": config.integer("mamba_head_dim"),
        "mamba_state_size": config.integer("ssm_state_size"), "mamba_groups": config.integer("n_groups"),
        "mamba_conv_kernel": config.integer("conv_kernel"), "num_moe_layers": counts["E"],
    }  # fmt: skip


def _letters(config: Config) -> str:
    """Layers of Nemotron-H as letters, from the pattern or the list of names that newer configs have."""
    config.taken |= {"hybrid_override_pattern", "ssm_state_size", "layers_block_type", "mamba_num_heads"}
    pattern, names = config.data.get("hybrid_override_pattern"), config.data.get("layers_block_type")
    if isinstance(pattern, str):
        return pattern
    letters = {"mamba": "M", "attention": "*", "mlp": "-", "moe": "E"}
    return "".join(letters.get(str(n), "?") for n in names) if isinstance(names, list) else ""


def _dense_width(config: Config, hidden: int) -> int:
    """Width of a dense FFN; some older classes fix it at four times the hidden size."""
    if config.model_type == "mpt":
        return config.integer("expansion_ratio", default=4) * hidden
    names = ("intermediate_size", "ffn_hidden_size", "n_inner", "ffn_dim")
    return config.integer(*names, default=4 * hidden if config.model_type in ("bloom", "falcon", "gpt2", "gptj") else None)


def _moe_layers(config: Config, layers: int) -> int:
    """Layers with experts, in the ways that DeepSeek, Qwen, Llama 4 and GLM say it."""
    kinds = config.sequence("mlp_layer_types", layers)
    if kinds is not None:
        for kind in sorted({str(k) for k in kinds} - {"dense", "sparse"}):
            config.fault(f"mlp_layer_types: kind {kind!r} is not known; allowed: dense, sparse")
        return kinds.count("sparse")
    frequency = config.data.get("moe_layer_freq", 1)
    if isinstance(frequency, list):
        return sum(1 for f in config.sequence("moe_layer_freq", layers) or [] if f)
    first = config.integer("first_k_dense_replace", default=0)
    step = config.integer("interleave_moe_layer_step", "decoder_sparse_step", "moe_layer_freq", default=1)
    listed = config.data.get("mlp_only_layers")
    only = listed if isinstance(listed, list) else []
    sparse = range(max(step, 1) - 1, layers, max(step, 1)) if step != 1 else range(layers)
    return sum(1 for i in sparse if i >= first and i not in only)
