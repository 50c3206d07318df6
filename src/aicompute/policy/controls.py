"""Performance of chips as export control counts it, and the class that ordered tests give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from aicompute.numerics import Array

TERA = 1e12
"""Operations a second in which the regulation counts."""
NO_CLASS = -1
"""Index of `first_class` where no class holds."""


def total_processing_performance(rate: Array, bit_length: Array) -> Array:
    r"""Total processing performance (TPP) at one number format.

    Parameters
    ----------
    rate : shape (...)         Dense peak [OP/s]; a multiply-accumulate is two operations.
    bit_length : shape (...)   Largest bit length of the inputs of the multiply-accumulate [1].

    Returns
    -------
    shape (...), broadcast of the inputs [1], in tera-operations a second times bits.

    Notes
    -----
    .. math:: \mathrm{TPP} = 2 \times \mathrm{MacTOPS} \times b

    The TPP of a chip is the largest over its formats, summed over its processing units. Rates with structured sparsity do not count.

    References
    ----------
    .. [1] 15 CFR 774 Supplement 1, ECCN 3A090, Technical Note 2.

    Examples
    --------
    600 TOPS at 8 bits are as much as 300 TFLOPS at 16:

    >>> total_processing_performance(600e12, 8.0), total_processing_performance(300e12, 16.0)
    (4800.0, 4800.0)
    """
    return rate / TERA * bit_length


def performance_density(tpp: Array, area: Array) -> Array:
    r"""Performance density (PD).

    Parameters
    ----------
    tpp : shape (...)    Total processing performance [1].
    area : shape (...)   Applicable die area [m^2]: logic dies on non-planar nodes, memory left out.

    Returns
    -------
    shape (...), broadcast of the inputs, TPP per mm² [1].

    Notes
    -----
    .. math:: \mathrm{PD} = \mathrm{TPP} / A

    References
    ----------
    .. [1] 15 CFR 774 Supplement 1, ECCN 3A090, Technical Notes.

    Examples
    --------
    H20, 148 TFLOPS at 16 bits on 814 mm²:

    >>> round(performance_density(2368.0, 814e-6), 2)
    2.91
    """
    return tpp / (area * 1e6)


Test = tuple[str, str, float]
"""A measure, a comparison (at_least, above or below), and a threshold."""


def first_class(measures: Mapping[str, Array], classes: Sequence[Sequence[Test]]) -> NDArray[np.intp]:
    """The first of ordered classes of which every test holds.

    Parameters
    ----------
    measures : mapping of str to shape (...)   What the tests speak of, in the units of their thresholds.
    classes : sequence of sequences of Test    In the order of evaluation; a class without tests always holds.

    Returns
    -------
    shape (...), broadcast of the measures   Index of the class, `NO_CLASS` where none holds.

    Raises
    ------
    KeyError
        A test speaks of a measure that is not given.
    ValueError
        A comparison is not known.

    References
    ----------
    .. [1] 15 CFR 774 Supplement 1, ECCN 3A090: a.1, a.2, b.1, b.2, in this order.

    Examples
    --------
    >>> rule = [[("tpp", "at_least", 4800.0)], [("tpp", "at_least", 1600.0), ("density", "at_least", 5.92)]]
    >>> first_class({"tpp": np.array([5120.0, 2000.0, 2000.0]), "density": np.array([1.0, 6.0, 5.0])}, rule).tolist()
    [0, 1, -1]
    """
    shape = np.broadcast_shapes(*(np.shape(value) for value in measures.values())) if measures else ()
    found = np.full(shape, NO_CLASS, dtype=np.intp)
    for index in reversed(range(len(classes))):
        holds = np.ones(shape, dtype=bool)
        for name, comparison, threshold in classes[index]:
            holds = holds & _holds(measures[name], comparison, threshold)
        found = np.where(holds, np.intp(index), found)
    return found


def _holds(value: Array, comparison: str, threshold: float) -> NDArray[np.bool_]:
    """Whether a value meets a threshold."""
    if comparison == "at_least":
        return np.asarray(value) >= threshold
    if comparison == "above":
        return np.asarray(value) > threshold
    if comparison == "below":
        return np.asarray(value) < threshold
    raise ValueError(f"comparison = {comparison!r} is not one of at_least, above, below")


def deciding_points(low: float, high: float, thresholds: Sequence[float]) -> NDArray[np.float64]:
    """Values of a range between which no threshold lies: both ends, and every threshold inside with its neighbours.

    Parameters
    ----------
    low, high : float             Ends of the range; low ≤ high.
    thresholds : sequence of float

    Returns
    -------
    shape (points,), ascending. What is decided by comparison with the thresholds takes no other values on the range than on these.

    References
    ----------
    .. [1] R. E. Moore, R. B. Kearfott, M. J. Cloud, Introduction to Interval Analysis (2009): the range of a piecewise
           constant function.

    Examples
    --------
    >>> [round(float(x), 6) for x in deciding_points(1.0, 3.0, [2.0, 5.0])]
    [1.0, 2.0, 2.0, 2.0, 3.0]
    """
    inside = [t for t in thresholds if low <= t <= high]
    near = [x for t in inside for x in (np.nextafter(t, -np.inf), t, np.nextafter(t, np.inf)) if low <= x <= high]
    return np.unique(np.array([low, *near, high], dtype=float))
