"""Measured matrix products and routed experts against the formulas."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

from aicompute.estimate import inputs
from aicompute.estimate.reading import Reader, read_value
from aicompute.evidence.kernels.common import Columns, Labels, accelerator_of, kernel_device, number_format
from aicompute.evidence.kernels.loads import rank_loads
from aicompute.machine.records import Rates
from aicompute.machine.roofline import matrix_time
from aicompute.numerics import Array, sqrt
from aicompute.specs import Library, Spec


def gemm_time(lib: Library, stack: Spec, labels: Labels, c: Columns, read: Reader = read_value) -> Array:
    """Times of dense products [us].

    "fp8" has one scale for the whole tensor, which some software finds in a pass of its own; "fp8_block" has scales in blocks, whose
    parts some software launches one by one when measured alone.
    """
    word = labels["dtype"].lower()
    device = kernel_device(lib, labels["accelerator"], stack, number_format(word, "dtype"), read=read)
    time = matrix_time(c["m"], c["n"], c["k"], 1.0, device.dense, device.bandwidth, device.kernel)
    if word == "fp8":
        time = time + read(stack, "kernel.lone_scale_launch")
    if word == "fp8_block":
        time = sqrt(time**2 + read(stack, "kernel.lone_block_host") ** 2)
    return 1e6 * time


def experts_time(lib: Library, stack: Spec, labels: Labels, c: Columns, read: Reader = read_value) -> Array:
    """Times of the routed experts of a layer on one rank [us]: gate and up, then down, over the experts touched.

    All tokens of all ranks are there and get sorted. One set of weights is used again and again, so caches hold what fits.
    """
    accelerator, word = accelerator_of(lib, labels["accelerator"]), labels["moe_dtype"].lower()
    device = kernel_device(lib, accelerator.id, stack, number_format(word, "moe_dtype"), read=read)
    if word in ("fp8", "fp8_block"):  # one scale a tensor runs on the kernels of 16 bits; deployments may have better ones for blocks
        reached = read(stack, "reached.experts" if word == "fp8" else "reached.block_experts") * read(stack, "reached.dense")
        device = replace(device, experts=inputs.rates(accelerator, "fp8", reached, read))
    tokens, hidden, copies, experts, ranks = (c[name] for name in ("num_tokens", "hidden_size", "topk", "num_experts", "moe_ep_size"))
    width = c["inter_size"] / c["moe_tp_size"]
    loads = np.array([rank_loads(labels["distribution"], *map(int, row)) for row in zip(tokens, copies, experts, ranks, strict=True)])
    work, touched = loads.T
    used = np.maximum(touched, 1e-9)
    bare = _ungated(lib)
    gate = np.array([1.0 if shape in bare else 2.0 for shape in zip(experts, copies, c["inter_size"], strict=True)])
    cached = _cached(device.experts, (1.0 + gate) * hidden * width * used, accelerator, read)
    up = matrix_time(work / used, gate * width, hidden, touched, cached, device.bandwidth, device.expert_kernel)
    down = matrix_time(work / used, hidden, width, touched, cached, device.bandwidth, device.expert_kernel)
    others: Array = 2.0 * device.expert_kernel.pair * (tokens * copies - work)
    return 1e6 * (up + down + others)


def _cached(rates: Rates, elements: Array, accelerator: Spec, read: Reader) -> Rates:
    """Rates with the weight bytes that still come from memory when the same weights are used again and again."""
    if not accelerator.has("memory.cache"):
        return rates
    filled = (elements * rates.weight_bytes * read(accelerator, "devices") / read(accelerator, "memory.cache")) ** 4
    return replace(rates, weight_bytes=rates.weight_bytes * filled / (1.0 + filled))


@lru_cache(maxsize=4)
def _ungated(lib: Library) -> frozenset[tuple[int, int, int]]:
    """Experts, experts of a token and width of the models whose experts have no gate."""
    models = (lib.load("models", name) for name in lib.ids("models"))
    return frozenset(
        (m.get("num_experts", 0), m.get("experts_per_token", 0), m.get("expert_intermediate_size", 0))
        for m in models
        if not m.get("gated", True)
    )
