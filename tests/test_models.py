"""Models of the library: published totals, published arithmetic, properties of the counts."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import numpy as np
import pytest

from aicompute.specs import Library
from aicompute.workload import parameters as p
from aicompute.workload.architecture import Architecture

LIBRARY = Library()
IDS = LIBRARY.ids("models")

TOTAL_EXCEPTIONS = {
    "kimi-k2": "published as 1T, rounded; 1,026B",
    "kimi-k2-thinking": "published as 1T, rounded; 1,026B",
    "kimi-k2.5": "published as 1T, rounded; 1,026B",
    "llama-4-scout": "the published 109B count the vision tower; the text part has 107.8B",
    "qwen3-1.7b": "published as 1.7B, rounded; 1.72B",
}
ACTIVE_EXCEPTIONS = {
    "glm-4.5-air": "published as 12B, cut off rather than rounded; 12.8B",
    "qwen3-next-80b-a3b": "A3B is a class, not a count; 3.6B",
}
COUNTS_EMBEDDING = {
    "llama-4-maverick", "llama-4-scout", "nemotron-3-nano-30b-a3b", "qwen3-30b-a3b", "qwen3-coder-30b-a3b", "qwen3.5-122b-a10b",
    "solar-open-100b",
}  # fmt: skip
"""Models whose published active parameters count the embedding as well as the head."""


def load(name: str) -> Architecture:
    return Architecture.from_mapping(LIBRARY.load("models", name).data)


def described(key: str = "name", without: Iterable[str] = ()) -> list[str]:
    """Models whose layers the keys can say and that have a key."""
    found = {name: LIBRARY.load("models", name).data for name in IDS}
    return [name for name, data in found.items() if key in data and "unsupported" not in data and name not in without]


@pytest.mark.parametrize("name", described("parameters_published", TOTAL_EXCEPTIONS))
def test_total_agrees_with_the_published(name: str) -> None:
    architecture = load(name)
    assert p.total_parameters(architecture) == pytest.approx(architecture.parameters_published, rel=0.01)


@pytest.mark.parametrize("name", described("active_published", ACTIVE_EXCEPTIONS))
def test_active_agrees_with_the_published(name: str) -> None:
    architecture = load(name)
    active = p.active_parameters(architecture, embedding=name in COUNTS_EMBEDDING)
    assert active == pytest.approx(architecture.active_published, rel=0.05)


def test_exceptions_are_needed() -> None:
    for name in TOTAL_EXCEPTIONS:
        architecture = load(name)
        assert abs(p.total_parameters(architecture) / architecture.parameters_published - 1) > 0.01, name
    for name in ACTIVE_EXCEPTIONS:
        architecture = load(name)
        assert abs(p.active_parameters(architecture) / architecture.active_published - 1) > 0.05, name


@pytest.mark.parametrize("name", described())
def test_layer_kinds_add_up(name: str) -> None:
    a = load(name)
    if a.num_ffn_layers:
        assert a.num_attention_layers + a.num_mamba_layers + a.num_linear_layers + a.num_ffn_layers == a.num_layers
    assert 0 < a.attention_layers <= a.num_layers
    assert a.global_layers >= 0
    assert a.dense_layers >= 0
    assert (a.dense_layers == 0) == (a.intermediate_size == 0)
    assert a.num_heads % a.num_kv_heads == 0
    assert bool(a.sliding_window) == bool(a.num_window_layers)
    assert bool(a.num_experts) == bool(a.num_moe_layers)
    assert a.attention == ("mla" if a.kv_lora_rank else "mha" if a.num_kv_heads == a.num_heads else "mqa" if a.num_kv_heads == 1 else "gqa")


def test_names_are_unique() -> None:
    owners: dict[str, str] = {}
    for name in IDS:
        for alias in {name, *LIBRARY.load("models", name).data.get("aliases", [])}:
            key = alias.lower().replace("_", "-").replace(" ", "-")
            assert owners.setdefault(key, name) == name, f"{alias} belongs to {owners[key]} and {name}"


def test_llama_405b_training_compute() -> None:
    """Grattafiori et al., arXiv 2407.21783, sections 1 and 3.2: 3.8e25 FLOP for 15.6e12 tokens, 6 N D."""
    architecture = load("llama-3.1-405b")
    assert p.flops_per_token_training(architecture, 8192.0, "6n") * 15.6e12 == pytest.approx(3.8e25, rel=0.005)


@pytest.mark.parametrize(("name", "published"), [("deepseek-v2", 155e9), ("deepseek-v3", 250e9), ("llama-3.1-405b", 2448e9)])
def test_training_flops_of_a_token(name: str, published: float) -> None:
    """Zhao et al., "Insights into DeepSeek-V3", arXiv 2505.09343, table 2: sequences of 4,096, causal attention counted."""
    architecture = load(name)
    assert p.flops_per_token_training(architecture, 4096.0, "causal") == pytest.approx(published, rel=0.015)


@pytest.mark.parametrize(("name", "published"), [("deepseek-v3", 70_272), ("qwen2.5-72b", 327_680), ("llama-3.1-405b", 516_096)])
def test_cache_of_a_token(name: str, published: float) -> None:
    """Zhao et al., arXiv 2505.09343, table 1: KV cache per token in BF16."""
    architecture = load(name)
    assert p.kv_bytes_per_token(architecture, 2.0) == published


def test_gpt3_matches_megatron() -> None:
    """Narayanan et al., arXiv 2104.04473, equation 3, without its recomputation: 72 l h² (1 + s/6h + V/12lh) a token."""
    a = load("gpt-3-175b")
    layers, h, s = a.num_layers, a.hidden_size, 2048.0
    expected = 72 * layers * h**2 * (1 + s / (6 * h) + a.vocab_size / (12 * layers * h))
    assert p.flops_per_token_training(a, s, "full") == pytest.approx(expected, rel=0.001)


def test_deepseek_mtp_module() -> None:
    """DeepSeek-V3 README: 685B on the hub, of which 14B are the MTP module with copies of embedding and head (1.85B)."""
    architecture = load("deepseek-v3")
    with_copies = p.mtp_parameters(architecture) + p.embedding_parameters(architecture)
    assert with_copies == pytest.approx(14e9, rel=0.05)
    assert p.total_parameters(architecture, mtp=True) - p.total_parameters(architecture) == p.mtp_parameters(architecture)


def test_active_of_a_dense_model_is_its_total() -> None:
    architecture = load("llama-3.1-70b")
    assert p.active_parameters(architecture, embedding=True) == p.total_parameters(architecture)


def test_conventions_are_ordered_and_broadcast() -> None:
    architecture = load("deepseek-v3")
    lengths = np.array([[1024.0], [4096.0], [131072.0]])
    causal = np.asarray(p.flops_per_token_training(architecture, lengths, "causal"))
    full = np.asarray(p.flops_per_token_training(architecture, lengths, "full"))
    assert causal.shape == full.shape == (3, 1)
    assert (np.diff(causal[:, 0]) > 0).all()
    body = 6.0 * p.active_parameters(architecture)
    np.testing.assert_allclose(full - body, 2.0 * (causal - body))
    with pytest.raises(ValueError, match="convention = '8n'"):
        p.flops_per_token_training(architecture, 4096.0, "8n")


def test_window_bounds_attention() -> None:
    architecture = load("gpt-oss-120b")
    open_ = dataclasses.replace(architecture, sliding_window=0, num_window_layers=0)
    assert p.flops_per_token_training(architecture, 64.0) == pytest.approx(p.flops_per_token_training(open_, 64.0))
    assert p.flops_per_token_training(architecture, 65536.0) < p.flops_per_token_training(open_, 65536.0)
    assert p.attended_tokens(1e6, 128.0, True) == pytest.approx(128.0, rel=1e-3)


def test_hybrids_hold_a_state_and_little_cache() -> None:
    hybrid = load("nemotron-nano-12b-v2")
    assert p.kv_bytes_per_token(hybrid, 2.0) == 6 * 2 * 8 * 128 * 2
    assert p.recurrent_state_elements(hybrid) == 28 * (128 * 80 * 128 + 3 * (128 * 80 + 2 * 8 * 128))
    assert p.recurrent_flops_per_token(hybrid) == 28 * 7 * 128 * 80 * 128
    sparse = load("glm-5.2")
    assert p.indexer_elements_per_token(sparse) == 21 * 128


def test_missing_keys_are_named() -> None:
    with pytest.raises(ValueError, match=r"hidden_size, num_layers.*vocab_size"):
        Architecture.from_mapping({"attention": "gqa"})
    with pytest.raises(ValueError, match="attention = 'linear' is not one of mha, gqa, mqa, mla"):
        Architecture(hidden_size=64, num_layers=2, num_heads=4, num_kv_heads=4, head_dim=16, attention="linear", vocab_size=100)
