"""The shape of a transformer: what every formula of the workload asks about a model."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ATTENTIONS = ("mha", "gqa", "mqa", "mla")
"""Kinds of softmax attention that the formulas know."""


@dataclass(frozen=True)
class Architecture:
    """A model as plain numbers; the names are the keys of a model spec and an absent number is 0.

    A layer mixes tokens by softmax attention, by a gated delta net or by Mamba-2, and has a dense FFN, an MoE FFN or none. The properties
    below count each kind; every formula uses them and none looks at `num_layers` alone.

    Examples
    --------
    >>> a = Architecture(hidden_size=64, num_layers=8, num_heads=4, num_kv_heads=2, head_dim=16, attention="gqa", intermediate_size=256,
    ...                  gated=True, vocab_size=1000, num_linear_layers=6, num_experts=4, num_moe_layers=7)
    >>> a.attention_layers, a.dense_layers, a.blocks
    (2, 1, 16)
    """

    hidden_size: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    attention: str
    vocab_size: int
    intermediate_size: int = 0
    gated: bool = True
    tied_embeddings: bool = False
    attention_bias: bool = False
    attention_output_gate: bool = False
    q_lora_rank: int = 0
    kv_lora_rank: int = 0
    qk_nope_head_dim: int = 0
    qk_rope_head_dim: int = 0
    v_head_dim: int = 0
    sliding_window: int = 0
    num_window_layers: int = 0
    index_topk: int = 0
    index_heads: int = 0
    index_head_dim: int = 0
    num_index_layers: int = 0
    num_attention_layers: int = 0
    num_linear_layers: int = 0
    linear_num_key_heads: int = 0
    linear_num_value_heads: int = 0
    linear_key_head_dim: int = 0
    linear_value_head_dim: int = 0
    linear_conv_kernel: int = 0
    num_mamba_layers: int = 0
    mamba_num_heads: int = 0
    mamba_head_dim: int = 0
    mamba_state_size: int = 0
    mamba_groups: int = 0
    mamba_conv_kernel: int = 0
    num_ffn_layers: int = 0
    num_experts: int = 0
    experts_per_token: int = 0
    expert_intermediate_size: int = 0
    expert_latent_size: int = 0
    num_shared_experts: int = 0
    shared_expert_intermediate_size: int = 0
    num_moe_layers: int = 0
    mtp_layers: int = 0
    native_precision: str = "bf16"
    parameters_published: float = 0.0
    active_published: float = 0.0

    def __post_init__(self) -> None:
        if self.attention not in ATTENTIONS:
            raise ValueError(f"attention = {self.attention!r} is not one of {', '.join(ATTENTIONS)}")

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any]) -> Architecture:
        """Take the keys of a spec that describe the shape and leave its name, source and notes.

        Raises
        ------
        ValueError
            If required keys are missing; all of them are named.
        """
        fields = dataclasses.fields(cls)
        missing = [f.name for f in fields if f.default is dataclasses.MISSING and f.name not in data]
        if missing:
            raise ValueError(f"a model needs {', '.join(missing)}")
        return cls(**{f.name: data[f.name] for f in fields if f.name in data})

    @property
    def attention_layers(self) -> int:
        """Layers with softmax attention, windowed or not."""
        return self.num_attention_layers or self.num_layers - self.num_linear_layers - self.num_mamba_layers

    @property
    def global_layers(self) -> int:
        """Softmax attention layers that see the whole sequence."""
        return self.attention_layers - self.num_window_layers

    @property
    def index_layers(self) -> int:
        """Layers that compute a sparse selection; the others of a sparse model reuse the selection of a layer below."""
        return (self.num_index_layers or self.attention_layers) if self.index_topk else 0

    @property
    def ffn_layers(self) -> int:
        """Layers with a feed-forward block of either kind."""
        return self.num_ffn_layers or self.num_layers

    @property
    def mixer_layers(self) -> int:
        """Layers that mix tokens, by whatever kind of mixer."""
        return self.attention_layers + self.num_linear_layers + self.num_mamba_layers

    @property
    def blocks(self) -> int:
        """Residual blocks, a mixer or a feed-forward part each: two a layer, one where layers have a single part (Nemotron-H)."""
        return self.mixer_layers + self.ffn_layers

    @property
    def dense_layers(self) -> int:
        """Layers with a dense feed-forward block."""
        return self.ffn_layers - self.num_moe_layers

    @property
    def qk_head_dim(self) -> int:
        """Width of a head's query and key."""
        return self.qk_nope_head_dim + self.qk_rope_head_dim if self.attention == "mla" else self.head_dim

    @property
    def value_head_dim(self) -> int:
        """Width of a head's value."""
        return self.v_head_dim or self.head_dim
