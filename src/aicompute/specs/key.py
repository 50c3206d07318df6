"""One key of a spec file: where it stands, what it holds, what is plausible."""

from __future__ import annotations

import math
from typing import NamedTuple

INFINITE = math.inf
PRECISIONS = ("fp64", "tf32", "bf16", "fp8", "int8", "fp6", "fp4")


class Key(NamedTuple):
    """One key: where it stands, what it holds, what is plausible.

    ``type`` is value, string, integer, number, boolean, date or strings (a list). ``dimension`` is a word of `aicompute.units.DIMENSIONS`;
    ``low`` and ``high`` bound plausible values in ``unit``.
    """

    path: str
    type: str
    doc: str
    dimension: str = ""
    unit: str = "1"
    low: float = -INFINITE
    high: float = INFINITE
    required: bool = False
    choices: tuple[str, ...] = ()
    refers: str = ""


def value_key(path: str, dimension: str, unit: str, low: float, high: float, doc: str, required: bool = False) -> Key:
    """A key that holds a value table."""
    return Key(path, "value", doc, dimension, unit, low, high, required)


def share_key(path: str, doc: str, low: float = 0.0) -> Key:
    """A fraction between 0 and 1."""
    return value_key(path, "fraction", "1", low, 1.0, doc)
