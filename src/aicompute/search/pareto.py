"""Points that no other beats in every way."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_FEW = 48
"""Points of a front of three metrics that sift the others first."""


def pareto_front(costs: Floats) -> NDArray[np.intp]:
    """Rows that no other row beats, equal rows once.

    Parameters
    ----------
    costs : shape (n, m)   Less is better in every column; m is 1 to 3.

    Returns
    -------
    shape (k,)   Indices, the first column ascending.

    Notes
    -----
    Sorted by the first column, a row belongs to the front where it is below the least of all before it (two columns), or where no earlier
    member of the front is at or below it in both others (three): n log n, and n k at worst.

    References
    ----------
    .. [1] H. T. Kung, F. Luccio, F. P. Preparata, J. ACM 22 (1975) 469.

    Examples
    --------
    >>> pareto_front(np.array([[1.0, 5.0], [2.0, 2.0], [3.0, 3.0], [2.0, 2.0], [4.0, 1.0]])).tolist()
    [0, 1, 4]
    """
    rows = np.flatnonzero(np.isfinite(costs).all(axis=1))
    order = rows[np.lexsort(costs[rows].T[::-1])]
    if not len(order) or costs.shape[1] == 1:
        return order[:1]
    if costs.shape[1] == 2:
        second = costs[order, 1]
        before = np.concatenate([[np.inf], np.minimum.accumulate(second)[:-1]])
        return np.asarray(order[second < before])
    order = order[~_beaten(costs[order], costs[_promising(costs, order)])]
    kept: list[int] = []
    front = np.empty((0, 2))
    for row in order:
        rest = costs[row, 1:]
        if not (front <= rest).all(axis=1).any():
            kept.append(int(row))
            front = np.concatenate([front[~(rest <= front).all(axis=1)], rest[None, :]])
    return np.array(kept, dtype=np.intp)


def _promising(costs: Floats, rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """Rows that probably beat many: small sums of ranks-like shares with different weights."""
    scaled = costs[rows]
    low, high = scaled.min(axis=0), scaled.max(axis=0)
    scaled = (scaled - low) / np.where(high > low, high - low, 1.0)
    steps = np.linspace(0.02, 0.98, 7)
    weights = np.array([(a, b, c) for a in steps for b in steps for c in steps])
    chosen = np.unique(np.argmin(scaled @ weights.T, axis=0))
    return np.asarray(rows[chosen[:_FEW]])


def _beaten(costs: Floats, by: Floats) -> NDArray[np.bool_]:
    """Rows that some other row beats: at most equal everywhere, less somewhere."""
    found = np.zeros(len(costs), dtype=bool)
    for one in by:
        found |= (one <= costs).all(axis=1) & (one < costs).any(axis=1)
    return found


def may_join(costs: Floats, front: Floats) -> NDArray[np.bool_]:
    """Rows that a front does not beat; quick and exact for two columns, a sieve for three.

    Examples
    --------
    >>> may_join(np.array([[1.0, 1.0], [3.0, 3.0]]), np.array([[2.0, 2.0]])).tolist()
    [True, False]
    """
    if not len(front):
        return np.ones(len(costs), dtype=bool)
    if costs.shape[1] == 2:
        order = np.argsort(front[:, 0])
        least = np.concatenate([[np.inf], np.minimum.accumulate(front[order, 1])])
        at = np.searchsorted(front[order, 0], costs[:, 0], side="right")
        return np.asarray(costs[:, 1] < least[at])
    step = max(len(front) // _FEW, 1)
    return ~_beaten(costs, front[::step])
