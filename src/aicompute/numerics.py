"""The few operations that formulas need, for plain floats, flat arrays and open meshes alike.

Formulas are written once. One configuration runs through them as Python floats (tens of microseconds), a batch as flat arrays, a plan
space as an open mesh of broadcastable axes. Every function here keeps floats as floats and leaves arrays to NumPy.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = float | NDArray[Any]
"""What every formula takes and gives: a float or an array, in SI units."""

Mask = bool | NDArray[np.bool_]
"""A condition over configurations."""

_SCALARS = (float, int, bool)


def maximum(a: Array, b: Array) -> Array:
    """Elementwise larger value."""
    if isinstance(a, _SCALARS) and isinstance(b, _SCALARS):
        return a if a > b else b
    return np.maximum(a, b)


def minimum(a: Array, b: Array) -> Array:
    """Elementwise smaller value."""
    if isinstance(a, _SCALARS) and isinstance(b, _SCALARS):
        return a if a < b else b
    return np.minimum(a, b)


def where(condition: Mask, a: Array, b: Array) -> Array:
    """``a`` where the condition holds, else ``b``; both are evaluated."""
    if isinstance(condition, (bool, int)):
        return a if condition else b
    return np.where(condition, a, b)


def logical_not(condition: Mask) -> Mask:
    """The opposite of a condition (``~True`` is -2 in Python)."""
    return not condition if isinstance(condition, (bool, int)) else np.logical_not(condition)


def safe_divide(a: Array, b: Array, otherwise: float = 0.0) -> Array:
    """``a / b``, and ``otherwise`` where b is zero.

    Examples
    --------
    >>> safe_divide(1.0, 0.0), safe_divide(1.0, 4.0)
    (0.0, 0.25)
    """
    if isinstance(a, _SCALARS) and isinstance(b, _SCALARS):
        return a / b if b else otherwise
    zero = np.equal(b, 0.0)
    return np.where(zero, otherwise, np.divide(a, np.where(zero, 1.0, b)))


def ceil(a: Array) -> Array:
    """Smallest whole number not below a."""
    return float(math.ceil(a)) if isinstance(a, _SCALARS) else np.ceil(a)


def floor(a: Array) -> Array:
    """Largest whole number not above a."""
    return float(math.floor(a)) if isinstance(a, _SCALARS) else np.floor(a)


def sqrt(a: Array) -> Array:
    """Square root."""
    return math.sqrt(a) if isinstance(a, _SCALARS) else np.sqrt(a)


def log2(a: Array) -> Array:
    """Logarithm to base 2."""
    return math.log2(a) if isinstance(a, _SCALARS) else np.log2(a)


def exp(a: Array) -> Array:
    """Exponential."""
    return math.exp(a) if isinstance(a, _SCALARS) else np.exp(a)


def power(a: Array, b: Array) -> Array:
    """``a`` to the power of ``b``, for ``a`` of at least zero and ``b`` above zero; of arrays at half the cost of a general power.

    Examples
    --------
    >>> power(0.0, 0.4), round(power(32.0, 0.4), 12)
    (0.0, 4.0)
    """
    if isinstance(a, _SCALARS):
        return a**b
    with np.errstate(divide="ignore"):  # log 0 = -inf, and exp of it is 0
        return np.exp(b * np.log(a))


def smooth_maximum(a: Array, b: Array) -> Array:
    """Maximum with a rounded corner, (a⁴ + b⁴)^¼: 19 % above where both are equal, exact where one dominates.

    Two things that run at the same time on one device, arithmetic and memory traffic, rarely overlap perfectly where both are long.

    Examples
    --------
    >>> round(smooth_maximum(1.0, 1.0), 3), round(smooth_maximum(1.0, 10.0), 3)
    (1.189, 10.0)
    """
    a2, b2 = a * a, b * b
    return sqrt(sqrt(a2 * a2 + b2 * b2))


def sum_of(terms: Iterable[Array]) -> Array:
    """Sum of arrays that broadcast, small ones first: on an open mesh few additions then see the full size.

    Examples
    --------
    >>> sum_of([1.0, 2.0, 3.5])
    6.5
    >>> sum_of([np.ones((2, 1)), 1.0, np.zeros((1, 3))]).shape
    (2, 3)
    """
    found: Array = 0.0
    for term in sorted(terms, key=_size):
        found = found + term
    return found


def _size(term: Array) -> int:
    return 0 if isinstance(term, _SCALARS) else term.size
