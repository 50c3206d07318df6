"""Measured attention kernels against the formulas."""

from __future__ import annotations

import numpy as np

from aicompute.errors import UsageError
from aicompute.estimate import inputs
from aicompute.estimate.attention import written_for
from aicompute.estimate.reading import Reader, read_value
from aicompute.evidence.kernels.common import Columns, Labels, accelerator_of, number_format
from aicompute.machine.attention import context_time, decode_time, lone_start
from aicompute.machine.records import AttentionShape
from aicompute.numerics import Array
from aicompute.specs import Library, Spec
from aicompute.workload.architecture import Architecture
from aicompute.workload.attention import query_key_widths, seen_pairs

MLA_MODEL = "deepseek-v3"
"""The model whose latent widths the kernel tables mean by MLA."""


def attention_time(lib: Library, stack: Spec, labels: Labels, c: Columns, read: Reader = read_value) -> Array:
    """Times of attention kernels [us]: causal prefill of s tokens after a prefix, or one token on a cache of s."""
    phase, kv = labels["phase"].lower(), number_format(labels["kv_cache_dtype"], "kv_cache_dtype")
    computed = number_format(labels["attn_dtype"], "attn_dtype")
    if phase not in ("context", "generation"):
        raise UsageError(f"column phase: {labels['phase']!r} is not context or generation")
    prefill, latent = phase == "context", labels["attn_type"].upper() == "MLA"
    accelerator = accelerator_of(lib, labels["accelerator"])
    device = inputs.device_record(accelerator, stack, {**inputs.SIXTEEN_BITS, "attention": computed, "kv": kv}, read)
    kernels = device.latent_kernels if latent else device.attention_kernels
    if kernels is None:
        raise UsageError(f"column backend: {stack.id} is a stack for training, whose attention kernels are not known by shape")
    kv_heads, width, entry = c["kv_heads"], 2.0 * c["head_dim"], 2.0 * c["head_dim"]
    if latent:
        arch = _latent_model(lib)
        absorbed = not prefill or written_for(stack, "latent_absorbed", accelerator)
        width = np.full_like(c["s"], sum(query_key_widths(arch, absorbed)))
        kv_heads = np.ones_like(c["s"]) if absorbed else c["heads"]
        entry = width if prefill else np.full_like(width, arch.kv_lora_rank + arch.qk_rope_head_dim)
    whole = c["s"] + c["prefix"] if prefill else c["s"]
    shape = AttentionShape(
        sequences=c["b"],
        length=c["s"] if prefill else np.ones_like(whole),
        seen=seen_pairs(c["s"], c["prefix"], whole) / c["s"] if prefill else whole,
        context=whole,
        heads=c["heads"],
        kv_heads=kv_heads,
        width=width,
        entry=entry,
        latent=latent,
    )
    return 1e6 * (lone_start(kernels, prefill) + (context_time if prefill else decode_time)(shape, kernels))


def _latent_model(lib: Library) -> Architecture:
    """The model behind the MLA rows."""
    return inputs.architecture(lib.load("models", MLA_MODEL))
