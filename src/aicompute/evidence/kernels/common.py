"""What the formulas of measured kernels share: the words of the files, and the device that runs one kernel alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from aicompute.errors import UnknownNameError, UsageError
from aicompute.estimate import inputs
from aicompute.estimate.reading import Reader, read_value
from aicompute.machine.records import Device
from aicompute.specs import Library, Spec

Columns = Mapping[str, NDArray[np.float64]]
Labels = Mapping[str, str]

PRIOR = "generic-serving"
"""The stack of kernels whose software is not known."""

BACKENDS: Mapping[str, str] = {
    "trtllm": "tensorrt-llm-1.x",
    "vllm": "vllm-0.12",
    "vllm_custom_graph": "vllm-0.12",
    "sglang_customallreduce_graph": "sglang",
    "nccl": PRIOR,
    "rccl": PRIOR,
    "hccl": PRIOR,
}
"""The stack of a backend or library, by its name in small letters; others name a stack."""

FORMATS: Mapping[str, str] = {
    "bfloat16": "bf16",
    "float16": "bf16",
    "half": "bf16",
    "fp8_block": "fp8",
    "fp4": "nvfp4",
    "sq": "int8",
    "int8_wo": "w8a16",
    "int4_wo": "int4",
    "w4a16_mxfp4": "int4",
    "w4a8_mxfp4_mxfp8": "mxfp4",
    "default": "bf16",
}
"""Number formats as kernel tables call them, and as the precision map does."""


def backend_stack(lib: Library, backend: str) -> Spec:
    """The stack of a backend; the prior of all serving stacks where nobody knows it."""
    name = BACKENDS.get(backend.lower(), backend.lower())
    try:
        return lib.load("stacks", name or PRIOR)
    except UsageError:
        return lib.load("stacks", PRIOR)


def number_format(word: str, column: str) -> str:
    """A number format of the precision map.

    Raises
    ------
    UsageError
        It is not known, with the column.

    Examples
    --------
    >>> number_format("fp8_block", "dtype")
    'fp8'
    """
    found = FORMATS.get(word.lower(), word.lower())
    if found not in inputs.PRECISIONS:
        raise UsageError(f"column {column}: {UnknownNameError('number format', word, [*FORMATS, *inputs.PRECISIONS])}")
    return found


def kernel_device(
    lib: Library, accelerator: str, stack: Spec, word: str, kv: str = "bf16", read: Reader = read_value
) -> Device:
    """A device that runs one kernel alone: nothing fuses the casts of its inputs."""
    precision = {"dense": word, "experts": word, "attention": "bf16", "kv": kv}
    device = inputs.device_record(accelerator_of(lib, accelerator), stack, precision, read)
    kernel = replace(
        device.kernel,
        cast_launch=read(stack, "kernel.lone_cast_launch"),
        cast_share=read(stack, "kernel.lone_cast_share"),
        cast_growth=read(stack, "kernel.lone_cast_growth"),
    )
    return replace(device, kernel=kernel)


def accelerator_of(lib: Library, name: str) -> Spec:
    """The accelerator of a row.

    Raises
    ------
    UsageError
        It is not known, with the column.
    """
    if not name:
        raise UsageError("column accelerator: is empty")
    try:
        return lib.load("accelerators", name)
    except UsageError as error:
        raise UsageError(f"column accelerator: {error}") from None
