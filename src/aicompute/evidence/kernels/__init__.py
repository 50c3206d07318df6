"""Measured kernels against the formulas: products, attention, routed experts, collectives, dispatch and combine, power.

Rows of equal accelerator, number format and software share records of floats, so each such group is one call over arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from aicompute.errors import AicomputeError, UnknownNameError, UsageError
from aicompute.estimate import inputs
from aicompute.evidence.files import Row, Table
from aicompute.machine import collectives
from aicompute.machine.power import accelerator_power
from aicompute.machine.records import Device, Fabric
from aicompute.machine.roofline import matrix_time, overlap_pair
from aicompute.numerics import Array, maximum, minimum
from aicompute.plan.layout import place
from aicompute.specs import Library, Spec
from aicompute.workload.architecture import Architecture
from aicompute.workload.attention import query_key_widths, seen_pairs
from aicompute.workload.balance import touched_share

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

MLA_MODEL = "deepseek-v3"
"""The model whose latent widths the kernel tables mean by MLA."""


@dataclass(frozen=True)
class Prediction:
    """What is predicted for one row of a kernel file."""

    value: float
    """In the unit of the measured column; nan where nothing can be said."""
    sigma: float
    """Standard deviation of ln(measured / predicted)."""
    stack: str
    reason: str = ""
    """Why nothing can be said."""


@dataclass(frozen=True)
class KernelKind:
    """How the rows of a file are predicted."""

    labels: tuple[str, ...]
    """Columns of words that a group of rows shares."""
    columns: tuple[str, ...]
    """Columns of numbers."""
    residual: str
    """Value of a serving stack that says how far measurements spread around the formula."""
    backend: str
    """Column that names the software."""
    formula: Callable[[Library, Spec, Labels, Columns], Array]
    """Predicted values in the unit of the measured column."""


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


def kernel_device(lib: Library, accelerator: str, stack: Spec, word: str, kv: str = "bf16") -> Device:
    """A device that runs one kernel alone: nothing fuses the casts of its inputs."""
    precision = {"dense": word, "experts": word, "attention": "bf16", "kv": kv}
    device = inputs.device_record(accelerator_of(lib, accelerator), stack, precision)
    launch, share = inputs.read_value(stack, "kernel.lone_cast_launch"), inputs.read_value(stack, "kernel.lone_cast_share")
    return replace(device, kernel=replace(device.kernel, cast_launch=launch, cast_share=share))


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


def gemm_time(lib: Library, stack: Spec, labels: Labels, c: Columns) -> Array:
    """Times of dense products [us]."""
    device = kernel_device(lib, labels["accelerator"], stack, number_format(labels["dtype"], "dtype"))
    return 1e6 * matrix_time(c["m"], c["n"], c["k"], 1.0, device.dense, device.bandwidth, device.kernel)


def attention_time(lib: Library, stack: Spec, labels: Labels, c: Columns) -> Array:
    """Times of attention kernels [us]: causal prefill of s tokens after a prefix, or one token on a cache of s."""
    phase, kv = labels["phase"].lower(), number_format(labels["kv_cache_dtype"], "kv_cache_dtype")
    number_format(labels["attn_dtype"], "attn_dtype")
    if phase not in ("context", "generation"):
        raise UsageError(f"column phase: {labels['phase']!r} is not context or generation")
    device = kernel_device(lib, labels["accelerator"], stack, "bf16", kv)
    b, s, heads, prefix = c["b"], c["s"], c["heads"], c["prefix"]
    width, read, cached = 2.0 * c["head_dim"], c["kv_heads"] * 2.0 * c["head_dim"], c["kv_heads"] * 2.0 * c["head_dim"]
    if labels["attn_type"].upper() == "MLA":
        arch = _latent_model(lib)
        width = np.full_like(s, sum(query_key_widths(arch, absorbed=phase == "generation")))
        read, cached = heads * width, np.full_like(s, arch.kv_lora_rank + arch.qk_rope_head_dim)
    kv_bytes = device.kv_bytes
    if phase == "context":
        flops = 2.0 * b * heads * seen_pairs(s, prefix, prefix + s) * width
        traffic = b * (s * (2.0 * heads * width + 2.0 * read) + cached * (s + prefix) * kv_bytes)
        start = inputs.read_value(stack, "attention.context_start")
        busy = overlap_pair(flops / device.attention.compute, traffic / device.bandwidth)
    else:
        flops = 2.0 * b * heads * s * width
        traffic = b * (cached * s * kv_bytes + 2.0 * heads * width)
        start = inputs.read_value(stack, "attention.decode_start")
        busy = overlap_pair(flops / device.cache_attention.compute, traffic / device.kv_bandwidth)
    return 1e6 * (busy + device.kernel.launch + start)


def _latent_model(lib: Library) -> Architecture:
    """The model behind the MLA rows."""
    return inputs.architecture(lib.load("models", MLA_MODEL))


def experts_time(lib: Library, stack: Spec, labels: Labels, c: Columns) -> Array:
    """Times of the routed experts of a layer on one rank [us]: gate and up, then down, over the experts touched."""
    device = kernel_device(lib, labels["accelerator"], stack, number_format(labels["moe_dtype"], "moe_dtype"))
    tokens, hidden, copies, experts = c["num_tokens"], c["hidden_size"], c["topk"], c["num_experts"]
    ranks, width = c["moe_ep_size"], c["inter_size"] / c["moe_tp_size"]
    held, work = experts / ranks, tokens * copies / ranks
    if labels["distribution"].lower() in ("", "balanced"):
        touched = minimum(held, maximum(work, 1.0))
    else:  # skewed routing: some experts stay idle, and the fullest rank is measured
        work = work * inputs.read_value(stack, "experts.imbalance")
        touched = minimum(maximum(held * touched_share(tokens, copies, experts), 1.0), maximum(work, 1.0))
    rows = maximum(work, 1.0) / touched
    up = matrix_time(rows, 2.0 * width, hidden, touched, device.experts, device.bandwidth, device.kernel)
    down = matrix_time(rows, hidden, width, touched, device.experts, device.bandwidth, device.kernel)
    return 1e6 * (up + down)


def _fabric(lib: Library, accelerator: str) -> Fabric:
    """The tiers of an accelerator's default system."""
    system, _ = inputs.specs_of(lib, accelerator_of(lib, accelerator).id)
    return inputs.fabric_record(system)


COLLECTIVES = {
    "all_reduce": collectives.all_reduce_time,
    "all_gather": collectives.gather_time,
    "reduce_scatter": collectives.gather_time,
    "alltoall": collectives.all_to_all_time,
}
"""The formula of a collective by the name in the column op, without what joins its words."""


def collective_time(lib: Library, stack: Spec, labels: Labels, c: Columns) -> Array:
    """Times of collectives among neighbouring devices of the default system [us]; the size is the whole buffer, as in nccl-tests."""
    known = {name.replace("_", ""): formula for name, formula in COLLECTIVES.items()}
    formula = known.get(labels["op"].lower().replace("_", "").replace("-", ""))
    if formula is None:
        raise UsageError(f"column op: {UnknownNameError('collective', labels['op'], COLLECTIVES)}")
    fabric = _fabric(lib, labels["accelerator"])
    return 1e6 * formula(c["bytes"], place(c["n_gpus"], 1.0, fabric).members, fabric, inputs.protocol_record(stack))


INDEX_BYTES = 4.0
"""Of one entry of the table of destinations that is exchanged before a dispatch: an int32 [B]."""


def expert_exchange_time(lib: Library, stack: Spec, labels: Labels, c: Columns) -> Array:
    """Times of one phase of the exchange of a mixture of experts [us]."""
    phase, word = labels["op"].lower(), number_format(labels["dtype"], "dtype")
    fabric = _fabric(lib, labels["accelerator"])
    precision = {"dispatch": word, "combine": word if "low_precision" in phase else "bf16"}
    exchange, wires = inputs.exchange_record(stack, precision, fabric)
    if labels["comm_backend"].lower().endswith(("_ht", "_context")):  # kernels for large batches
        exchange = replace(exchange, deduplicated=inputs.read_value(stack, "exchange.bulk_deduplicated"))
    members = place(c["n_ranks"], 1.0, wires).members
    hidden: Array = c["hidden_size"]
    if "dispatch" in phase:
        payload = exchange.dispatch_bytes
    elif "combine" in phase:
        payload = exchange.combine_bytes
    elif "prepare" in phase:
        hidden, payload = 1.0, INDEX_BYTES
    else:
        raise UsageError(f"column op: {labels['op']!r} is not a dispatch, a combine or what prepares them")
    return 1e6 * collectives.exchange_time(c["tokens_per_rank"], hidden, c["experts_per_token"], payload, members, wires, exchange)


def kernel_power(lib: Library, stack: Spec, labels: Labels, c: Columns) -> Array:
    """Power of an accelerator at the measured rates of arithmetic and memory [W]."""
    a = accelerator_of(lib, labels["accelerator"])
    limit = np.where(c["power_limit_w"] > 0.0, c["power_limit_w"], a.si("power.tdp"))
    return accelerator_power(
        limit,
        a.si("peak.bf16"),
        a.si("power.idle_fraction"),
        a.si("power.energy_per_byte"),
        a.si("power.compute"),
        a.si("power.exponent"),
        c["tflops"] * 1e12,
        c["hbm_GBps"] * 1e9,
    )


_SHAPE = ("num_tokens", "hidden_size", "inter_size", "topk", "num_experts", "moe_tp_size", "moe_ep_size")
_SENT = ("n_ranks", "hidden_size", "experts_per_token", "tokens_per_rank")

KERNELS: Mapping[str, KernelKind] = {
    "gemm": KernelKind(("dtype",), ("m", "n", "k"), "gemm", "backend", gemm_time),
    "attention": KernelKind(
        ("phase", "attn_type", "attn_dtype", "kv_cache_dtype"),
        ("b", "s", "prefix", "heads", "kv_heads", "head_dim"),
        "attention",
        "backend",
        attention_time,
    ),
    "moe": KernelKind(("moe_dtype", "distribution"), _SHAPE, "moe", "backend", experts_time),
    "collectives": KernelKind(("op",), ("n_gpus", "bytes"), "collective", "implementation", collective_time),
    "moe_a2a": KernelKind(("op", "comm_backend", "dtype"), _SENT, "exchange", "backend", expert_exchange_time),
    "power": KernelKind((), ("tflops", "hbm_GBps", "power_limit_w"), "power", "backend", kernel_power),
}
"""Every kind of kernel file by name."""


def predict_kernels(lib: Library, table: Table) -> list[Prediction]:
    """A prediction for every row of a kernel file, in its order."""
    kind = KERNELS[table.kind.name]
    words = ("accelerator", kind.backend, *kind.labels)
    groups: dict[tuple[str, ...], list[int]] = {}
    for index, row in enumerate(table.rows):
        if not row.fault:
            groups.setdefault(tuple(row.text(word) for word in words), []).append(index)
    found = [Prediction(np.nan, np.nan, "", row.fault) for row in table.rows]
    for key, members in groups.items():
        for index, prediction in zip(members, _group(lib, kind, dict(zip(words, key, strict=True)), table.rows, members), strict=True):
            found[index] = prediction
    return found


def _group(lib: Library, kind: KernelKind, labels: Labels, rows: tuple[Row, ...], members: list[int]) -> list[Prediction]:
    """Predictions of rows that share their words."""
    stack = backend_stack(lib, labels[kind.backend])
    columns = {name: np.array([rows[index].number_in(name) for index in members]) for name in kind.columns}
    sigma = stack.si(f"residual.{kind.residual}")
    try:
        with np.errstate(divide="ignore", invalid="ignore"):
            values = np.broadcast_to(kind.formula(lib, stack, labels, columns), len(members))
    except AicomputeError as error:
        return [Prediction(np.nan, np.nan, stack.id, str(error))] * len(members)
    return [
        Prediction(float(value), sigma, stack.id, "" if np.isfinite(value) and value > 0.0 else "the formula gives no time for this shape")
        for value in values
    ]
