"""Read a Hugging Face ``config.json`` and give the text of a model spec.

A config is read only if its ``model_type`` is known, and a key that changes what a layer is must be understood or the config is refused: a
hybrid model taken for a dense one would give wrong answers without a word.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aicompute.errors import SpecError, nearest
from aicompute.specs.importers.hf_families import FAMILIES, LAYER_KINDS, MARKERS, REFUSED, Family

SOURCE = "hf-config"
"""Key of the bibliography for what a user imports."""

Spec = dict[str, Any]


_SPELLINGS = {
    "hidden_size": ("hidden_size", "n_embd", "n_embed", "d_model"),
    "num_layers": ("num_hidden_layers", "n_layer", "n_layers", "num_layers"),
    "num_heads": ("num_attention_heads", "n_head", "n_heads"),
    "vocab_size": ("padded_vocab_size", "vocab_size"),
}
_NESTED = ("text_config", "llm_config", "language_config")
LARGEST = 1_000_000_000
MOST_LAYERS = 10_000
"""Bounds against nonsense: no width and no number of layers exceeds them."""

_METHODS = ("mxfp4", "nvfp4", "fp8", "int8", "int4")
_DTYPES = {"bfloat16": "bf16", "float16": "fp16", "float32": "fp32"}


def import_hf(path: Path) -> str:
    """Read a Hugging Face ``config.json`` and give the text of a model spec.

    Parameters
    ----------
    path : Path     A config.json; the text part is taken from a multimodal one.

    Returns
    -------
    str             TOML, ready for ``specs/models/<id>.toml``.

    Raises
    ------
    SpecError
        If the file cannot be read, its ``model_type`` is not known, keys are missing or wrong (all are named), or a layer is of a kind
        that a spec cannot describe.

    Examples
    --------
    >>> import_hf(Path("nowhere.json"))
    Traceback (most recent call last):
    ...
    aicompute.errors.SpecError: nowhere.json: there is no such file
    """
    raw = _read(path)
    config = Config(path, raw)
    family = _family(config)
    notes = f"model_type {config.model_type}, from {path.name}."
    spec: Spec = {"name": _name(path, raw), "family": family.name, "source": SOURCE, "notes": notes}
    spec |= _attention(config, family) | _mixers(config) | _feed_forward(config, family) | _rest(config, family)
    _check(config, spec)
    config.refuse_markers()
    if config.faults:
        raise SpecError(f"{path}: " + "; ".join(config.faults))
    return _toml(spec)


class Config:
    """A config that hands out values under any of their spellings and notes every fault instead of stopping at the first."""

    def __init__(self, path: Path, raw: dict[str, Any]) -> None:
        inner: dict[str, Any] = next((raw[k] for k in _NESTED if isinstance(raw.get(k), dict)), {})
        self.path = path
        self.data = raw | inner
        self.faults: list[str] = []
        self.taken: set[str] = set()
        outer, within = raw.get("model_type"), inner.get("model_type")
        known = isinstance(outer, str) and outer in FAMILIES | REFUSED
        self.model_type: Any = outer if known or not within else within

    def fault(self, text: str) -> None:
        """Note a fault."""
        if text not in self.faults:
            self.faults.append(text)

    def integer(self, *names: str, default: int | None = None) -> int:
        """Whole number under the first of the names that has one; without a default it must be there."""
        for name in names:
            self.taken.add(name)
            value = self.data.get(name)
            if value is None:
                continue
            whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
            if isinstance(value, bool) or not whole or not 0 <= value <= LARGEST:
                self.fault(f"{name} = {value!r} is not a whole number from 0 to {LARGEST:,}")
                return 1
            return int(value)
        if default is None:
            close = nearest(names[0], [k for k in self.data if k not in names])
            hint = f" (did you mean {close[0]!r}?)" if close else ""
            self.fault(f"{' or '.join(names)} is missing{hint}")
            return 1
        return default

    def flag(self, name: str, default: bool) -> bool:
        """Boolean, or the default where the config is silent."""
        self.taken.add(name)
        value = self.data.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.fault(f"{name} = {value!r} is not true or false")
        return bool(value)

    def table(self, name: str) -> dict[str, Any]:
        """Nested table, empty if absent."""
        value = self.data.get(name)
        return value if isinstance(value, dict) else {}

    def sequence(self, name: str, length: int) -> list[Any] | None:
        """List with one entry a layer, or None if absent."""
        self.taken.add(name)
        value = self.data.get(name)
        if value is None:
            return None
        if not isinstance(value, list) or len(value) != length:
            self.fault(f"{name} must be a list of {length} entries, one a layer")
            return None
        return value

    def refuse_markers(self) -> None:
        """Refuse keys that change what a layer is and that no reader took."""
        for name in MARKERS:
            if name not in self.taken and self.data.get(name) not in (None, 0, [], {}, False):
                self.fault(f"{name}: layers of this kind are not known for model_type {self.model_type!r}")


def _read(path: Path) -> dict[str, Any]:
    """Parse the file, with an error that says what it is instead of a config."""
    if path.is_dir():
        raise SpecError(f"{path}: a directory; give the config.json in it")
    if not path.exists():
        raise SpecError(f"{path}: there is no such file")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{path}: cannot be read: {error}") from None
    if not text.strip():
        raise SpecError(f"{path}: the file is empty; a Hugging Face config.json was expected")
    try:
        raw = json.loads(text)
    except json.JSONDecodeError as error:
        raise SpecError(f"{path}: not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise SpecError(f"{path}: nested too deeply for a config.json") from None
    if not isinstance(raw, dict):
        raise SpecError(f"{path}: a JSON object was expected, not {type(raw).__name__}")
    return raw


def _family(config: Config) -> Family:
    """Family of the model_type, or the refusal with its reason."""
    model_type = config.model_type
    if not isinstance(model_type, str) or not model_type:
        raise SpecError(f"{config.path}: model_type is missing; allowed: {', '.join(FAMILIES)}")
    if model_type in REFUSED:
        raise SpecError(f"{config.path}: model_type = {model_type!r} has layers that a model spec cannot describe: {REFUSED[model_type]}")
    if model_type not in FAMILIES:
        close = nearest(model_type, FAMILIES)
        hint = f" (did you mean {' or '.join(repr(c) for c in close)}?)" if close else ""
        raise SpecError(f"{config.path}: model_type = {model_type!r} is not known{hint}; allowed: {', '.join(FAMILIES)}")
    return FAMILIES[model_type]


def _common(config: Config, key: str) -> int:
    """One of the numbers that go by several spellings; it must be positive."""
    block = config.data.get("layers_block_type")
    default = len(block) if key == "num_layers" and isinstance(block, list) else None
    value = config.integer(*_SPELLINGS[key], default=default)
    if value == 0 or (key == "num_layers" and value > MOST_LAYERS):
        config.fault(f"{key} = {value} is not possible")
        return 1
    return value


def _attention(config: Config, family: Family) -> Spec:
    """Widths of softmax attention, windows and sparse indexer."""
    hidden, heads = _common(config, "hidden_size"), _common(config, "num_heads")
    layers = _common(config, "num_layers")
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


def _mixers(config: Config) -> Spec:
    """Gated delta net and Mamba-2 layers."""
    layers = _common(config, "num_layers")
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


def _feed_forward(config: Config, family: Family) -> Spec:
    """Dense width, and experts where the config has any."""
    layers, hidden = _common(config, "num_layers"), _common(config, "hidden_size")
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


def _rest(config: Config, family: Family) -> Spec:
    """Vocabulary, prediction modules and precision."""
    return {
        "vocab_size": _common(config, "vocab_size"),
        "tied_embeddings": config.flag("tie_word_embeddings", family.tied),
        "mtp_layers": config.integer("num_nextn_predict_layers", "mtp_num_hidden_layers", "num_mtp_modules", default=0),
        "native_precision": _precision(config),
    }


def _precision(config: Config) -> str:
    """Precision of the published weights (of the experts, where they differ)."""
    quantization = config.table("quantization_config") or _quantization_beside(config.path)
    if not quantization:
        dtype = str(config.data.get("dtype") or config.data.get("torch_dtype") or "bfloat16").removeprefix("torch.")
        if dtype not in _DTYPES:
            config.fault(f"torch_dtype = {dtype!r} is not known; allowed: {', '.join(_DTYPES)}")
        return _DTYPES.get(dtype, "bf16")
    method = str(quantization.get("quant_algo") or quantization.get("quant_method") or "").lower()
    groups = quantization.get("config_groups")
    first: Any = next(iter(groups.values()), {}) if isinstance(groups, dict) else {}
    weights = first.get("weights") if isinstance(first, dict) else None
    if isinstance(weights, dict) and "num_bits" in weights:
        kind = "int" if str(weights.get("type", "int")).startswith("int") else "fp"
        return "nvfp4" if "nvfp4" in method else f"{kind}{weights['num_bits']}"
    if method == "mixed_precision":
        layers: Any = quantization.get("quantized_layers") or {}
        method = Counter(str(v.get("quant_algo")).lower() for v in layers.values()).most_common(1)[0][0] if layers else ""
    if method in ("awq", "gptq"):
        return f"int{quantization.get('bits', 4)}"
    for name in _METHODS:
        if name in method:
            return name
    config.fault(f"quantization_config: method {method!r} is not known; allowed: {', '.join(_METHODS)}, awq, gptq, compressed-tensors")
    return "bf16"


def _quantization_beside(path: Path) -> dict[str, Any]:
    """Quantization that ModelOpt writes into a file of its own, beside the config."""
    beside = path.with_name(path.name.replace("config.json", "hf_quant_config.json"))
    if beside == path or not beside.is_file():
        return {}
    quantization = _read(beside).get("quantization")
    return quantization if isinstance(quantization, dict) else {}


def _check(config: Config, spec: Spec) -> None:
    """Relations that hold in every model."""
    if spec["num_heads"] % max(spec["num_kv_heads"], 1) or not spec["num_kv_heads"]:
        config.fault(f"{spec['num_heads']} attention heads do not divide over {spec['num_kv_heads']} key-value heads")
    if spec.get("experts_per_token", 0) > spec.get("num_experts", 0):
        config.fault(f"{spec['experts_per_token']} experts per token of only {spec['num_experts']}")


_ORDER = (
    ("name", "family", "source", "notes"),
    ("hidden_size", "num_layers", "num_heads", "num_kv_heads", "head_dim", "attention", "q_lora_rank", "kv_lora_rank",
     "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim", "attention_bias", "attention_output_gate", "sliding_window",
     "num_window_layers", "index_topk", "index_heads", "index_head_dim", "num_index_layers"),
    ("num_attention_layers", "num_linear_layers", "linear_num_key_heads", "linear_num_value_heads", "linear_key_head_dim",
     "linear_value_head_dim", "linear_conv_kernel", "num_mamba_layers", "mamba_num_heads", "mamba_head_dim", "mamba_state_size",
     "mamba_groups", "mamba_conv_kernel", "num_ffn_layers"),
    ("intermediate_size", "gated", "num_experts", "experts_per_token", "expert_intermediate_size", "expert_latent_size",
     "num_shared_experts", "shared_expert_intermediate_size", "num_moe_layers"),
    ("vocab_size", "tied_embeddings", "mtp_layers", "native_precision"),
)  # fmt: skip
_ALWAYS = ("gated", "tied_embeddings")


def _toml(spec: Spec) -> str:
    """Spec text, in blocks, zeros left out."""
    blocks = []
    for keys in _ORDER:
        lines = [f"{k} = {json.dumps(spec[k], ensure_ascii=False)}" for k in keys if spec.get(k) or (k in _ALWAYS and k in spec)]
        blocks.append("\n".join(lines))
    return "\n\n".join(b for b in blocks if b) + "\n"


def _name(path: Path, raw: dict[str, Any]) -> str:
    """Name of the model: what the config calls it, else its folder or file."""
    given = raw.get("_name_or_path")
    if isinstance(given, str) and given.strip("/. "):
        return given.rstrip("/").split("/")[-1]
    stem = path.resolve().parent.name if path.stem == "config" else path.stem
    return stem.removesuffix("_config").split("--")[-1] or "model"
