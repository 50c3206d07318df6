"""Measured kernels against the formulas: products, attention, routed experts, collectives, dispatch and combine, power.

Rows of equal accelerator, number format and software share records of floats, so each such group is one call over arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from aicompute.errors import AicomputeError
from aicompute.estimate.reading import Reader, read_value
from aicompute.evidence.batch import Batch
from aicompute.evidence.files import Table
from aicompute.evidence.kernels.attention import attention_time
from aicompute.evidence.kernels.common import Columns, Labels, accelerator_of, backend_stack
from aicompute.evidence.kernels.exchange import collective_time, expert_exchange_time
from aicompute.evidence.kernels.power import kernel_power
from aicompute.evidence.kernels.products import experts_time, gemm_time
from aicompute.numerics import Array
from aicompute.specs import Library, Spec


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
    formula: Callable[[Library, Spec, Labels, Columns, Reader], Array]
    """Predicted values in the unit of the measured column."""


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


def kernel_batches(lib: Library, table: Table) -> tuple[list[Batch], dict[int, str]]:
    """The rows of a kernel file in groups that share their words, and the reasons why rows are left out."""
    kind = KERNELS[table.kind.name]
    words = ("accelerator", kind.backend, *kind.labels)
    groups: dict[tuple[str, ...], list[int]] = {}
    faults = {index: row.fault for index, row in enumerate(table.rows) if row.fault}
    for index, row in enumerate(table.rows):
        if not row.fault:
            groups.setdefault(tuple(row.text(word) for word in words), []).append(index)
    batches = []
    for key, members in groups.items():
        labels = dict(zip(words, key, strict=True))
        try:
            batches.append(_batch(lib, kind, labels, table, members))
        except AicomputeError as error:
            faults |= dict.fromkeys(members, str(error))
    return batches, faults


def _batch(lib: Library, kind: KernelKind, labels: Labels, table: Table, members: list[int]) -> Batch:
    """Rows that share their words; predicted once as a check of the words."""
    stack = backend_stack(lib, labels[kind.backend])
    columns = {name: np.array([table.rows[index].number_in(name) for index in members]) for name in kind.columns}
    (metric,) = table.kind.measured

    def predict(read: Reader) -> Mapping[str, Array]:
        with np.errstate(divide="ignore", invalid="ignore"):
            return {metric: kind.formula(lib, stack, labels, columns, read)}

    accelerator = accelerator_of(lib, labels["accelerator"]).id
    predict(read_value)
    return Batch(tuple(members), predict, stack.id, accelerator, {metric: kind.residual})
