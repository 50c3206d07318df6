"""Reader of Hugging Face configs. ``data/hf`` holds the shape keys of configs copied from aiconfigurator-core 0.12.0 (Apache-2.0)."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from aicompute.errors import SpecError
from aicompute.specs import Library
from aicompute.specs.importers.hf import import_hf
from aicompute.specs.importers.hf_families import FAMILIES, REFUSED
from aicompute.workload.architecture import Architecture
from aicompute.workload.parameters import active_parameters, total_parameters

CONFIGS = Path(__file__).parent / "data" / "hf"
READ = sorted(path.stem for path in CONFIGS.glob("*.json") if path.stem != "deepseek-v4-flash")
LLAMA = {
    "model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8,
    "intermediate_size": 14336, "vocab_size": 128256,
}  # fmt: skip


def read(path: Path) -> Architecture:
    return Architecture.from_mapping(tomllib.loads(import_hf(path)))


def write(folder: Path, config: dict[str, Any]) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    return path


def refusal(folder: Path, config: dict[str, Any]) -> str:
    with pytest.raises(SpecError) as caught:
        import_hf(write(folder, config))
    return str(caught.value)


@pytest.mark.parametrize("name", READ)
def test_config_gives_the_model_of_the_library(name: str) -> None:
    spec = Architecture.from_mapping(Library().load("models", name).data)
    same = {"parameters_published": 0.0, "active_published": 0.0, "native_precision": "any"}
    assert dataclasses.replace(read(CONFIGS / f"{name}.json"), **same) == dataclasses.replace(spec, **same)


def test_spec_is_accepted_by_the_library(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "mine.toml").write_text(import_hf(write(tmp_path, LLAMA)), encoding="utf-8")
    assert Library(folders=[tmp_path]).load("models", "mine").data["hidden_size"] == 4096


def shape(hidden: int, layers: int, heads: int, vocabulary: int, **more: Any) -> dict[str, Any]:
    return {"hidden_size": hidden, "num_hidden_layers": layers, "num_attention_heads": heads, "vocab_size": vocabulary} | more


OLDER = {
    "gptj": ({"n_embd": 4096, "n_layer": 28, "n_head": 16, "vocab_size": 50400}, 6.053e9),
    "falcon": (shape(4544, 32, 71, 65024, multi_query=True), 6.922e9),
    "mpt": ({"d_model": 4096, "n_layers": 32, "n_heads": 32, "expansion_ratio": 4, "vocab_size": 50432}, 6.649e9),
    "bloom": ({"n_embed": 14336, "n_layer": 70, "num_attention_heads": 112, "vocab_size": 250880}, 176.247e9),
    "gpt_neox": (shape(6144, 44, 64, 50432, intermediate_size=24576), 20.55e9),
    "gemma2": (shape(3584, 42, 16, 256000, num_key_value_heads=8, head_dim=256, intermediate_size=14336, sliding_window=4096,
                     max_position_embeddings=8192), 9.242e9),
    "qwen2": (shape(3584, 28, 28, 152064, num_key_value_heads=4, intermediate_size=18944, sliding_window=131072,
                    use_sliding_window=False, max_window_layers=28), 7.616e9),
    "phi3": (shape(3072, 32, 32, 32064, num_key_value_heads=32, intermediate_size=8192, sliding_window=2047,
                   max_position_embeddings=4096), 3.821e9),
    "chatglm": ({"hidden_size": 4096, "num_layers": 28, "num_attention_heads": 32, "padded_vocab_size": 65024, "ffn_hidden_size": 13696,
                 "multi_query_attention": True, "multi_query_group_num": 2, "kv_channels": 128, "add_qkv_bias": True}, 6.244e9),
    "deepseek_v2": (shape(2048, 27, 16, 102400, num_key_value_heads=16, q_lora_rank=None, kv_lora_rank=512, qk_nope_head_dim=128,
                          qk_rope_head_dim=64, v_head_dim=128, intermediate_size=10944, n_routed_experts=64, n_shared_experts=2,
                          num_experts_per_tok=6, moe_intermediate_size=1408, first_k_dense_replace=1, moe_layer_freq=1), 15.706e9),
}  # fmt: skip


@pytest.mark.parametrize("model_type", OLDER)
def test_spellings_and_defaults_of_a_class(tmp_path: Path, model_type: str) -> None:
    """Totals as ``num_parameters()`` of the released checkpoints gives them (GPT-J 6B, Falcon-7B, MPT-7B, BLOOM, GPT-NeoX-20B ...)."""
    config, published = OLDER[model_type]
    assert total_parameters(read(write(tmp_path, {"model_type": model_type} | config))) == pytest.approx(published, rel=0.002)


def test_windows_of_a_class(tmp_path: Path) -> None:
    windows = {"gemma2": 21, "phi3": 32, "qwen2": 0}
    for model_type, layers in windows.items():
        assert read(write(tmp_path, {"model_type": model_type} | OLDER[model_type][0])).num_window_layers == layers
    gemma3 = LLAMA | {"model_type": "gemma3_text", "num_hidden_layers": 62, "sliding_window": 1024, "max_position_embeddings": 131072}
    assert read(write(tmp_path, gemma3)).num_window_layers == 52
    upper = {"model_type": "qwen2", "use_sliding_window": True, "max_window_layers": 21, "max_position_embeddings": 262144}
    upper = OLDER["qwen2"][0] | upper
    assert read(write(tmp_path, upper)).num_window_layers == 7


def test_text_part_of_a_multimodal_config(tmp_path: Path) -> None:
    text = {k: v for k, v in LLAMA.items() if k != "model_type"}
    text["model_type"] = "qwen3_vl_text"
    config = {"model_type": "qwen3_vl", "tie_word_embeddings": True, "text_config": text, "vision_config": {"depth": 24}}
    architecture = read(write(tmp_path, config))
    assert architecture.hidden_size == 4096
    assert architecture.tied_embeddings
    unknown_shell = {"model_type": "llava_of_somebody", "text_config": LLAMA}
    assert read(write(tmp_path, unknown_shell)).num_layers == 32


def test_precision(tmp_path: Path) -> None:
    cases = {
        "fp8": {"quantization_config": {"quant_method": "fp8"}},
        "mxfp4": {"quantization_config": {"quant_method": "mxfp4"}},
        "nvfp4": {"quantization_config": {"quant_method": "modelopt", "quant_algo": "NVFP4"}},
        "int4": {"quantization_config": {"quant_method": "compressed-tensors", "config_groups": {"a": {"weights": {"num_bits": 4}}}}},
        "fp16": {"torch_dtype": "float16"},
        "bf16": {},
    }
    for precision, extra in cases.items():
        assert read(write(tmp_path, LLAMA | extra)).native_precision == precision
    (tmp_path / "hf_quant_config.json").write_text('{"quantization": {"quant_algo": "NVFP4"}}', encoding="utf-8")
    assert read(write(tmp_path, LLAMA)).native_precision == "nvfp4"


def test_every_family_reads_or_says_what_is_missing(tmp_path: Path) -> None:
    for model_type in FAMILIES:
        message = refusal(tmp_path, {"model_type": model_type})
        assert "hidden_size" in message
        assert "vocab_size" in message


def test_all_missing_keys_in_one_message(tmp_path: Path) -> None:
    message = refusal(tmp_path, {"model_type": "llama", "hiden_size": 4096, "num_attention_heads": 32})
    parts = ("hidden_size or n_embd", "did you mean 'hiden_size'?", "num_hidden_layers", "vocab_size", "intermediate_size", "config.json")
    for text in parts:
        assert text in message


def test_unknown_type_names_the_nearest(tmp_path: Path) -> None:
    message = refusal(tmp_path, LLAMA | {"model_type": "lama"})
    for text in ("config.json", "model_type = 'lama'", "did you mean 'llama'", "allowed:"):
        assert text in message
    assert "model_type is missing" in refusal(tmp_path, {"hidden_size": 1})


@pytest.mark.parametrize("model_type", REFUSED)
def test_layers_that_cannot_be_described_are_refused(tmp_path: Path, model_type: str) -> None:
    assert REFUSED[model_type] in refusal(tmp_path, LLAMA | {"model_type": model_type})


def test_deepseek_v4_is_refused() -> None:
    with pytest.raises(SpecError, match="compress_ratios"):
        import_hf(CONFIGS / "deepseek-v4-flash.json")


@pytest.mark.parametrize(("extra", "text"), [
    ({"layer_types": ["full_attention"] * 31 + ["rwkv"]}, "layer_types: kind 'rwkv' is not known; allowed: full_attention"),
    ({"layer_types": ["linear_attention"] * 32}, "which linear attention model_type 'llama' has is not known"),
    ({"layer_types": ["full_attention"]}, "layer_types must be a list of 32 entries"),
    ({"layer_types": ["sliding_attention"] * 32}, "sliding_window is missing"),
    ({"sliding_window": 1024}, "sliding_window = 1024: model_type 'llama' does not say which layers it covers"),
    ({"ssm_state_size": 128}, "ssm_state_size: layers of this kind are not known"),
    ({"linear_attn_config": {"kda_layers": [1]}}, "linear_attn_config: layers of this kind"),
    ({"block_configs": [{}]}, "block_configs: layers of this kind"),
    ({"attn_type_list": [0, 1]}, "lightning attention"),
    ({"hidden_size": "big"}, "hidden_size = 'big' is not a whole number"),
    ({"hidden_size": -1}, "hidden_size = -1 is not a whole number"),
    ({"num_hidden_layers": 10**8}, "num_layers = 100000000 is not possible"),
    ({"vocab_size": 0}, "vocab_size = 0 is not possible"),
    ({"num_key_value_heads": 5}, "32 attention heads do not divide over 5"),
    ({"num_attention_heads": 31, "num_key_value_heads": 31}, "head_dim is missing"),
    ({"num_experts": 4, "num_experts_per_tok": 8, "moe_intermediate_size": 64}, "8 experts per token of only 4"),
    ({"tie_word_embeddings": "yes"}, "tie_word_embeddings = 'yes' is not true or false"),
    ({"torch_dtype": "float8"}, "torch_dtype = 'float8' is not known; allowed: bfloat16"),
    ({"quantization_config": {"quant_method": "hqq"}}, "method 'hqq' is not known; allowed: mxfp4"),
])  # fmt: skip
def test_faults(tmp_path: Path, extra: dict[str, Any], text: str) -> None:
    assert text in refusal(tmp_path, LLAMA | extra)


def test_hybrid_pattern(tmp_path: Path) -> None:
    config = json.loads((CONFIGS / "nemotron-3-super-120b-a12b.json").read_text(encoding="utf-8"))
    assert "kind 'X' is not known; allowed: M, *, -, E" in refusal(tmp_path, config | {"hybrid_override_pattern": "X" * 88})
    assert "has 2 entries for 88 layers" in refusal(tmp_path, config | {"hybrid_override_pattern": "M*"})
    names = {"M": "mamba", "*": "attention", "E": "moe"}
    listed = {k: v for k, v in config.items() if k not in ("hybrid_override_pattern", "num_hidden_layers")}
    listed["layers_block_type"] = [names[letter] for letter in config["hybrid_override_pattern"]]
    assert active_parameters(read(write(tmp_path, listed))) == active_parameters(read(CONFIGS / "nemotron-3-super-120b-a12b.json"))


@pytest.mark.parametrize(("content", "text"), [
    ("", "the file is empty"),
    ("  \n", "the file is empty"),
    ("{", "not valid JSON"),
    ("[1, 2]", "a JSON object was expected, not list"),
    ("null", "a JSON object was expected, not NoneType"),
    ("[" * 100_000, "not"),
])  # fmt: skip
def test_broken_files(tmp_path: Path, content: str, text: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(SpecError, match=text) as caught:
        import_hf(path)
    assert str(path) in str(caught.value)


def test_paths_that_are_no_file(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="a directory; give the config"):
        import_hf(tmp_path)
    with pytest.raises(SpecError, match="there is no such file"):
        import_hf(tmp_path / "none.json")
    binary = tmp_path / "config.json"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SpecError, match="cannot be read"):
        import_hf(binary)


def test_name(tmp_path: Path) -> None:
    assert tomllib.loads(import_hf(write(tmp_path, LLAMA | {"_name_or_path": "org/Mine-8B"})))["name"] == "Mine-8B"
    assert tomllib.loads(import_hf(write(tmp_path, LLAMA)))["name"] == tmp_path.name
    assert tomllib.loads(import_hf(CONFIGS / "mixtral-8x7b.json"))["name"] == "mixtral-8x7b"


@pytest.mark.parametrize("value", [None, -1, "x", [], {}, True, 1e400, 1.5, [None], 10**30])
def test_odd_values_are_refused_not_raised(tmp_path: Path, value: Any) -> None:
    for name in ("deepseek-v3", "glm-5.2", "qwen3.5-397b-a17b", "nemotron-3-super-120b-a12b", "llama-4-maverick"):
        config = json.loads((CONFIGS / f"{name}.json").read_text(encoding="utf-8"))
        for key in config.get("text_config", config):
            odd = config | ({"text_config": config["text_config"] | {key: value}} if "text_config" in config else {key: value})
            with contextlib.suppress(SpecError):
                Architecture.from_mapping(tomllib.loads(import_hf(write(tmp_path, odd))))
