"""How benchmarks of routed experts spread tokens: even, or drawn from a power law with the fullest rank measured."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from aicompute.errors import UsageError

DRAWS = 12
"""Draws of the power law that are averaged; benchmarks average a few too."""


class Loads(NamedTuple):
    """What falls on the rank that is measured."""

    work: float
    """Pairs of token and expert [1]."""
    touched: float
    """Experts that get any [1]."""


@lru_cache(maxsize=8192)
def rank_loads(distribution: str, tokens: int, copies: int, experts: int, ranks: int) -> Loads:
    r"""Work and touched experts of the measured rank of a benchmark.

    Parameters
    ----------
    distribution : str   "balanced" (or nothing), or "power_law_" and an exponent.
    tokens : int         Tokens routed together.
    copies : int         Experts a token goes to.
    experts : int        Experts of the layer.
    ranks : int          Ranks that share the experts.

    Raises
    ------
    UsageError
        The distribution is not known.

    Notes
    -----
    Balanced: copy i of token t goes to expert :math:`t + i \lceil E/k \rceil`, modulo E, and rank 0 is measured. Power law: the share of
    each expert is drawn from a density :math:`x^{-\alpha}` on 1 to 0.8 T (0.01 to 2 where there are fewer pairs than experts), scaled to
    the number of pairs and rounded; the rank with most pairs is measured.

    References
    ----------
    .. [1] aiconfigurator, collector for mixtures of experts (Apache-2.0): the routing its tables were measured with.

    Examples
    --------
    >>> rank_loads("balanced", 4096, 8, 256, 4)
    Loads(work=8192.0, touched=64.0)
    >>> [round(x) for x in rank_loads("power_law_1.2", 4096, 8, 256, 4)]
    [10693, 63]
    """
    word = distribution.lower()
    if word in ("", "balanced", "uniform"):
        return _balanced(tokens, copies, experts, ranks)
    try:
        exponent = float(word.removeprefix("power_law_"))
    except ValueError:
        raise UsageError(f"column distribution: {distribution!r} is not balanced or power_law_ and an exponent") from None
    return _power_law(exponent, tokens, copies, experts, ranks)


def _balanced(tokens: int, copies: int, experts: int, ranks: int) -> Loads:
    stride = math.ceil(experts / copies)
    step = 1.0 if tokens >= stride else stride / tokens
    chosen = np.floor(np.arange(tokens)[:, None] * step + np.arange(copies) * stride).astype(int) % experts
    loads = np.bincount(chosen.ravel(), minlength=experts)[: experts // ranks]
    return Loads(float(loads.sum()), float((loads > 0).sum()))


def _power_law(exponent: float, tokens: int, copies: int, experts: int, ranks: int) -> Loads:
    rng = np.random.default_rng(0)
    low, high = (1.0, max(0.8 * tokens, 1.001)) if tokens * copies > experts else (0.01, 2.0)
    power = 1.0 - exponent if exponent != 1.0 else 1e-9
    draws = (low**power + rng.random((DRAWS, experts)) * (high**power - low**power)) ** (1.0 / power)
    held = experts // ranks
    found = []
    for shares in draws:
        ranked = _rounded(shares / shares.sum() * tokens * copies, rng)[: held * ranks].reshape(ranks, held)
        fullest = ranked[ranked.sum(1).argmax()]
        found.append((fullest.sum(), (fullest > 0).sum()))
    work, touched = np.mean(found, 0)
    return Loads(float(work), float(touched))


def _rounded(wanted: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Whole numbers with the same sum; what rounding leaves goes to the largest first, equals in any order."""
    loads = np.round(wanted)
    left = round(float(wanted.sum() - loads.sum()))
    order = np.lexsort((rng.random(len(loads)), -loads))
    if left > 0:
        np.add.at(loads, order[np.arange(left) % len(loads)], 1.0)
    else:
        some = order[loads[order] > 0.0][::-1]
        for index in np.resize(some, -left):
            loads[index if loads[index] > 0.0 else loads.argmax()] -= 1.0
    return loads
