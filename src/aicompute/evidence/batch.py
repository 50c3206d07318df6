"""Rows of measurements that share every record, so that one call of the formulas over arrays predicts them all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from aicompute.estimate.reading import Reader
from aicompute.numerics import Array


@dataclass(frozen=True)
class Batch:
    """Rows of one file with the same accelerator, software and number formats."""

    indices: tuple[int, ...]
    """Positions of the rows in their table."""
    predict: Callable[[Reader], Mapping[str, Array]]
    """Predictions by measured column and in its unit, the last axis along the rows, the axes before as the reader's values have them.

    Not a number where nothing can be said of a row.
    """
    stack: str
    """Id of the stack that was taken."""
    accelerator: str
    """Id of the accelerator."""
    residuals: Mapping[str, str]
    """By measured column, the value under ``residual`` of the stack that says how far measurements spread around the formula."""
