"""How unevenly random work falls on ranks: distinct experts touched, and the load of the fullest rank."""

from __future__ import annotations

import math

from aicompute.numerics import Array, log2, maximum, sqrt


def touched_share(tokens: Array, copies: Array, experts: Array) -> Array:
    r"""Share of experts that get at least one token.

    Parameters
    ----------
    tokens : shape (...)    Tokens routed together [1].
    copies : shape (...)    Experts a token goes to [1].
    experts : shape (...)   Experts of a layer [1].

    Returns
    -------
    shape (...) between 0 and 1.

    Notes
    -----
    .. math:: 1 - (1 - k/E)^T

    Balanced, independent routing; real routing is skewed and touches fewer.

    References
    ----------
    .. [1] W. Feller, An Introduction to Probability Theory and Its Applications I (1968), occupancy.

    Examples
    --------
    >>> round(touched_share(32.0, 8.0, 256.0), 3)
    0.638
    """
    return 1.0 - (1.0 - copies / experts) ** tokens


def fullest_rank(mean: Array, spread: Array, ranks: Array) -> Array:
    r"""Expected load of the fullest of several independent ranks, over the mean.

    Parameters
    ----------
    mean : shape (...)     Independent items on a rank, on average [1].
    spread : shape (...)   Standard deviation of the load of one item over its mean, Poisson arrival included as 1 [1].
    ranks : shape (...)    Ranks that wait for each other [1].

    Returns
    -------
    shape (...), at least 1.

    Notes
    -----
    .. math:: 1 + c \left(\sqrt{2 \ln R} - 0.4 (1 - 1/R)\right) / \sqrt{\mu}

    The expected maximum of R normal loads: the bound of the reference, less most of what it is too high by. Within 20 % of the excess for
    R from 8 to 1,000, 33 % too high for 4.

    References
    ----------
    .. [1] H. Cramér, Mathematical Methods of Statistics (1946), section 28.6.

    Examples
    --------
    >>> round(fullest_rank(48.0, 1.0, 320.0), 2), round(fullest_rank(460.0, 1.0, 72.0), 2)
    (1.43, 1.12)
    """
    several = maximum(ranks, 1.0)
    deviations = sqrt(2.0 * math.log(2.0) * log2(several)) - 0.4 * (1.0 - 1.0 / several)
    return 1.0 + spread * deviations / sqrt(maximum(mean, 1e-9))


def length_spread(input_length: Array, output_length: Array, variation: Array) -> Array:
    r"""Spread of the cache of one sequence in flight: lengths vary, and each is somewhere in its answer.

    Parameters
    ----------
    input_length, output_length : shape (...)   Means [1].
    variation : shape (...)   Standard deviation over mean of the lengths of requests; 0 in fixed-length benchmarks [1].

    Returns
    -------
    shape (...) [1].

    Notes
    -----
    Uniform progress through the answer has variance osl²/12 around isl + osl/2.

    References
    ----------
    .. [1] W. Feller, An Introduction to Probability Theory and Its Applications I (1968), chapter IX.

    Examples
    --------
    >>> round(length_spread(0.0, 1000.0, 0.0), 3)
    0.577
    """
    middle = input_length + 0.5 * output_length
    progress = output_length * output_length / 12.0 / (middle * middle)
    return sqrt(progress + variation * variation)
