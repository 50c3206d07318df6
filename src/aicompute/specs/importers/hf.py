"""Read a Hugging Face ``config.json`` and give the text of a model spec.

A config is read only if its ``model_type`` is known, and a key that changes what a layer is must be understood or the config is refused: a
hybrid model taken for a dense one would give wrong answers without a word.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from aicompute.errors import SpecError, nearest
from aicompute.specs.importers.hf_config import Config, read
from aicompute.specs.importers.hf_families import FAMILIES, REFUSED, Family
from aicompute.specs.importers.hf_layers import Spec, attention, feed_forward, mixers

SOURCE = "hf-config"
"""Key of the bibliography for what a user imports."""

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
    raw = read(path)
    config = Config(path, raw)
    family = _family(config)
    notes = f"model_type {config.model_type}, from {path.name}."
    spec: Spec = {"name": _name(path, raw), "family": family.name, "source": SOURCE, "notes": notes}
    spec |= attention(config, family) | mixers(config) | feed_forward(config, family) | _rest(config, family)
    _check(config, spec)
    config.refuse_markers()
    if config.faults:
        raise SpecError(f"{path}: " + "; ".join(config.faults))
    return _toml(spec)


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


def _rest(config: Config, family: Family) -> Spec:
    """Vocabulary, prediction modules and precision."""
    return {
        "vocab_size": config.common("vocab_size"),
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
    quantization = read(beside).get("quantization")
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
