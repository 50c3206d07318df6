"""Measured attention kernels against the formulas."""

from __future__ import annotations

import numpy as np

from aicompute.errors import UsageError
from aicompute.estimate import inputs
from aicompute.evidence.kernels.common import Columns, Labels, kernel_device, number_format
from aicompute.machine.roofline import overlap_pair
from aicompute.numerics import Array
from aicompute.specs import Library, Spec
from aicompute.workload.architecture import Architecture
from aicompute.workload.attention import query_key_widths, seen_pairs

MLA_MODEL = "deepseek-v3"
"""The model whose latent widths the kernel tables mean by MLA."""


def attention_time(lib: Library, stack: Spec, labels: Labels, c: Columns, read: inputs.Reader = inputs.read_value) -> Array:
    """Times of attention kernels [us]: causal prefill of s tokens after a prefix, or one token on a cache of s."""
    phase, kv = labels["phase"].lower(), number_format(labels["kv_cache_dtype"], "kv_cache_dtype")
    number_format(labels["attn_dtype"], "attn_dtype")
    if phase not in ("context", "generation"):
        raise UsageError(f"column phase: {labels['phase']!r} is not context or generation")
    device = kernel_device(lib, labels["accelerator"], stack, "bf16", kv, read)
    b, s, heads, prefix = c["b"], c["s"], c["heads"], c["prefix"]
    width, fetched, cached = 2.0 * c["head_dim"], c["kv_heads"] * 2.0 * c["head_dim"], c["kv_heads"] * 2.0 * c["head_dim"]
    if labels["attn_type"].upper() == "MLA":
        arch = _latent_model(lib)
        width = np.full_like(s, sum(query_key_widths(arch, absorbed=phase == "generation")))
        fetched, cached = heads * width, np.full_like(s, arch.kv_lora_rank + arch.qk_rope_head_dim)
    kv_bytes = device.kv_bytes
    if phase == "context":
        flops = 2.0 * b * heads * seen_pairs(s, prefix, prefix + s) * width
        traffic = b * (s * (2.0 * heads * width + 2.0 * fetched) + cached * (s + prefix) * kv_bytes)
        start = read(stack, "attention.context_start")
        busy = overlap_pair(flops / device.attention.compute, traffic / device.bandwidth)
    else:
        flops = 2.0 * b * heads * s * width
        traffic = b * (cached * s * kv_bytes + 2.0 * heads * width)
        start = read(stack, "attention.decode_start")
        busy = overlap_pair(flops / device.cache_attention.compute, traffic / device.kv_bandwidth)
    return 1e6 * (busy + device.kernel.launch + start)


def _latent_model(lib: Library) -> Architecture:
    """The model behind the MLA rows."""
    return inputs.architecture(lib.load("models", MLA_MODEL))
