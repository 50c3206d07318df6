"""Where two costs are equal: roots of straight lines, roots in a range, volumes at which a fixed cost pays."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from aicompute.numerics import Array, maximum, safe_divide

HALVINGS = 60
"""A range is halved so often: to less than a part in 1e17."""


def linear_root(first: Array, second: Array, first_difference: Array, second_difference: Array) -> Array:
    r"""Where a straight line through two points is zero.

    Parameters
    ----------
    first, second : shape (...)                         Two places on the axis, not equal.
    first_difference, second_difference : shape (...)   The line at these places.

    Returns
    -------
    shape (...), broadcast of the inputs; nan where the line is level.

    Notes
    -----
    .. math:: x = x_0 - y_0 \frac{x_1 - x_0}{y_1 - y_0}

    References
    ----------
    .. [1] G. J. Thuesen, W. J. Fabrycky, Engineering Economy, "break-even analysis".

    Examples
    --------
    >>> linear_root(0.0, 1.0, -2.0, -1.0), linear_root(0.0, 1.0, 1.0, 1.0)
    (2.0, nan)
    """
    return first - first_difference * safe_divide(second - first, second_difference - first_difference, float("nan"))


def first_crossing(difference: Callable[[Array], Array], places: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """The first place in a range at which a difference changes its sign.

    Parameters
    ----------
    difference : callable    Takes places of shape (..., 1) or (draws,), gives the difference there, broadcast over the draws.
    places : shape (count,)  Ascending; roots are looked for between neighbours.

    Returns
    -------
    root : shape (draws,)      nan where there is none.
    changes : shape (draws,)   Number of changes of sign seen, so that a caller can tell where there is more than one.

    Notes
    -----
    The range is scanned at ``places``, then the first bracket is halved until it is a point. Two roots between neighbouring places are not
    seen.

    References
    ----------
    .. [1] W. H. Press et al., Numerical Recipes, 3rd ed. (2007), section 9.1, bracketing and bisection.

    Examples
    --------
    >>> root, changes = first_crossing(lambda x: x * x - np.array([4.0, 100.0]), np.linspace(0.0, 5.0, 11))
    >>> np.round(root, 9).tolist(), changes.tolist()
    ([2.0, nan], [1, 0])
    """
    seen = np.sign(np.atleast_2d(np.asarray(difference(places[:, np.newaxis]), dtype=float)))
    below, above = seen[:-1], seen[1:]
    crosses = (below * above < 0.0) | (below == 0.0)
    changes = np.sum(crosses, axis=0) + (seen[-1] == 0.0)
    start = np.where(np.any(crosses, axis=0), np.argmax(crosses, axis=0), len(places) - 2)
    low, high = places[start], places[start + 1]
    sign = np.take_along_axis(seen, start[np.newaxis, :], axis=0)[0]
    exact = sign == 0.0
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        same = np.sign(np.asarray(difference(middle), dtype=float)) == sign
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    root = np.where(exact, places[start], 0.5 * (low + high))
    root = np.where(np.any(crosses, axis=0), root, np.where(seen[-1] == 0.0, places[-1], np.nan))
    return root, changes


def break_even_volume(fixed_rate: Array, variable_cost: Array, price: Array) -> Array:
    r"""Units a second at which a fixed cost with a small cost a unit equals a price a unit.

    Parameters
    ----------
    fixed_rate : shape (...)      What is paid however much is made [USD/s].
    variable_cost : shape (...)   Cost of one more [USD/token].
    price : shape (...)           What one costs elsewhere [USD/token].

    Returns
    -------
    shape (...), broadcast of the inputs [token/s]; infinite where one more costs as much as elsewhere.

    Notes
    -----
    .. math:: v = \frac{F}{p - e}

    References
    ----------
    .. [1] G. J. Thuesen, W. J. Fabrycky, Engineering Economy, "break-even analysis", make or buy.

    Examples
    --------
    >>> break_even_volume(10.0, 0.5, 2.5), break_even_volume(10.0, 2.5, 2.5)
    (5.0, inf)
    """
    return safe_divide(fixed_rate, maximum(price - variable_cost, 0.0), float("inf"))
