"""Measured matrix products and routed experts against the formulas."""

from __future__ import annotations

from aicompute.estimate import inputs
from aicompute.evidence.kernels.common import Columns, Labels, kernel_device, number_format
from aicompute.machine.roofline import matrix_time
from aicompute.numerics import Array, maximum, minimum
from aicompute.specs import Library, Spec
from aicompute.workload.balance import touched_share


def gemm_time(lib: Library, stack: Spec, labels: Labels, c: Columns, read: inputs.Reader = inputs.read_value) -> Array:
    """Times of dense products [us]."""
    device = kernel_device(lib, labels["accelerator"], stack, number_format(labels["dtype"], "dtype"), read=read)
    return 1e6 * matrix_time(c["m"], c["n"], c["k"], 1.0, device.dense, device.bandwidth, device.kernel)


def experts_time(lib: Library, stack: Spec, labels: Labels, c: Columns, read: inputs.Reader = inputs.read_value) -> Array:
    """Times of the routed experts of a layer on one rank [us]: gate and up, then down, over the experts touched."""
    device = kernel_device(lib, labels["accelerator"], stack, number_format(labels["moe_dtype"], "moe_dtype"), read=read)
    tokens, hidden, copies, experts = c["num_tokens"], c["hidden_size"], c["topk"], c["num_experts"]
    ranks, width = c["moe_ep_size"], c["inter_size"] / c["moe_tp_size"]
    held, work = experts / ranks, tokens * copies / ranks
    if labels["distribution"].lower() in ("", "balanced"):
        touched = minimum(held, maximum(work, 1.0))
    else:  # skewed routing: some experts stay idle, and the fullest rank is measured
        work = work * read(stack, "experts.imbalance")
        touched = minimum(maximum(held * touched_share(tokens, copies, experts), 1.0), maximum(work, 1.0))
    rows = maximum(work, 1.0) / touched
    up = matrix_time(rows, 2.0 * width, hidden, touched, device.experts, device.bandwidth, device.kernel)
    down = matrix_time(rows, hidden, width, touched, device.experts, device.bandwidth, device.kernel)
    return 1e6 * (up + down)
