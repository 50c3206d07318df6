"""How much of a fleet hangs on one supplier or one country."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def herfindahl(shares: Floats) -> Floats:
    r"""Herfindahl-Hirschman index of shares.

    Parameters
    ----------
    shares : shape (..., holders)   Share or amount of each holder; scaled to a sum of 1.

    Returns
    -------
    shape (...) [1], from 1/n where n holders have the same, to 1 where one has all; nan where nobody has anything.

    Notes
    -----
    .. math:: H = \sum_i \left(\frac{s_i}{\sum_j s_j}\right)^2

    Competition authorities write it 10,000 times as large; they call markets above 1,800 highly concentrated.

    References
    ----------
    .. [1] A. O. Hirschman, "The paternity of an index", Am. Econ. Rev. 54 (1964) 761.
    .. [2] U.S. Department of Justice and FTC, Merger Guidelines (2023), guideline 1.

    Examples
    --------
    >>> float(herfindahl(np.array([1.0, 1.0]))), float(herfindahl(np.array([3.0, 0.0])))
    (0.5, 1.0)
    """
    amounts = np.asarray(shares, dtype=float)
    total = np.sum(amounts, axis=-1, keepdims=True)
    parts = np.where(total > 0.0, amounts / np.where(total > 0.0, total, 1.0), np.nan)
    return np.asarray(np.sum(parts**2, axis=-1))


def dependence(capital: Floats, sources: Floats) -> tuple[Floats, Floats, Floats]:
    """Share of capital that hangs on each supplier: on it alone, at an even split, and at all.

    Parameters
    ----------
    capital : shape (..., items)       Capital of each item [USD].
    sources : shape (items, suppliers)  1 where a supplier can make the item, else 0 [1].

    Returns
    -------
    alone, even, touched : shape (..., suppliers) [1]
        Share of all capital in items that only this supplier makes; with items of several suppliers split evenly; in items that it makes
        too. The true share lies between the first and the last.

    Raises
    ------
    ValueError
        The capital is not positive.

    References
    ----------
    .. [1] European Commission, "Strategic dependencies and capacities", SWD(2021) 352, for single against several sources.

    Examples
    --------
    An item of 3 USD that only the first makes, one of 1 USD that both make:

    >>> alone, even, touched = dependence(np.array([3.0, 1.0]), np.array([[1.0, 0.0], [1.0, 1.0]]))
    >>> alone.tolist(), even.tolist(), touched.tolist()
    ([0.75, 0.0], [0.875, 0.125], [1.0, 0.25])
    """
    amounts, makes = np.asarray(capital, dtype=float), np.asarray(sources, dtype=float)
    total = np.sum(amounts, axis=-1, keepdims=True)
    if not np.all(total > 0.0):
        raise ValueError(f"capital = {capital!r}: its sum must be above 0")
    count = np.sum(makes, axis=-1, keepdims=True)
    weights = amounts / total
    alone = weights @ (makes * (count == 1.0))
    even = weights @ (makes / np.maximum(count, 1.0))
    return alone, even, weights @ makes


def largest_share(shares: Floats) -> Floats:
    """The largest of some shares.

    Parameters
    ----------
    shares : shape (..., holders)   Shares of a whole [1].

    Returns
    -------
    shape (...) [1].

    References
    ----------
    .. [1] J. Bain, Industrial Organization (1959): the concentration ratio of one firm, CR1.

    Examples
    --------
    >>> float(largest_share(np.array([0.2, 0.5, 0.3])))
    0.5
    """
    return np.asarray(np.max(np.asarray(shares, dtype=float), axis=-1))
