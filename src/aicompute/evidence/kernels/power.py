"""Measured power of single kernels against the formula."""

from __future__ import annotations

import numpy as np

from aicompute.estimate.reading import Reader, read_value
from aicompute.evidence.kernels.common import Columns, Labels, accelerator_of
from aicompute.machine.power import accelerator_power
from aicompute.numerics import Array
from aicompute.specs import Library, Spec


def kernel_power(lib: Library, stack: Spec, labels: Labels, c: Columns, read: Reader = read_value) -> Array:
    """Power of an accelerator at the measured rates of arithmetic and memory [W]."""
    a = accelerator_of(lib, labels["accelerator"])
    limit = np.where(c["power_limit_w"] > 0.0, c["power_limit_w"], read(a, "power.tdp"))
    return accelerator_power(
        limit,
        read(a, "peak.bf16"),
        read(a, "power.idle_fraction"),
        read(a, "power.energy_per_byte"),
        read(a, "power.compute"),
        read(a, "power.exponent"),
        c["tflops"] * 1e12,
        c["hbm_GBps"] * 1e9,
    )
