"""The rows of any file of measurements in batches."""

from __future__ import annotations

from aicompute.evidence import serving, training
from aicompute.evidence.batch import Batch
from aicompute.evidence.files import Table
from aicompute.evidence.kernels import kernel_batches
from aicompute.specs import Library


def batches_of(lib: Library, table: Table) -> tuple[list[Batch], dict[int, str]]:
    """Batches of a table, and the reasons why rows are left out, by position of the row."""
    if table.kind.name == "training":
        return training.training_batches(lib, table)
    if table.kind.name == "serving":
        return serving.serving_batches(lib, table)
    return kernel_batches(lib, table)
