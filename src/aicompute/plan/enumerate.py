"""Plans worth trying, as flat arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def divisors(number: int) -> list[int]:
    """All divisors, ascending.

    Parameters
    ----------
    number : int   Above zero.

    Returns
    -------
    list of int.

    References
    ----------
    .. [1] Trial division.

    Examples
    --------
    >>> divisors(12)
    [1, 2, 3, 4, 6, 12]
    """
    small = [k for k in range(1, int(number**0.5) + 1) if number % k == 0]
    return small + [number // k for k in reversed(small) if k * k != number]


def engine_sizes(devices: int, domains: list[int]) -> list[int]:
    """Sizes of serving engines worth trying: powers of two, and multiples of eight up to the scale-up domain.

    Parameters
    ----------
    devices : int           Devices that may be used.
    domains : list of int   Domains of the tiers.

    Returns
    -------
    list of int, ascending.

    References
    ----------
    .. [1] DeepSeek-AI, open-infra-index (2025): engines of 32 and 144; CloudMatrix-Infer, arXiv:2506.12708: 32 and 320.

    Examples
    --------
    >>> engine_sizes(72, [72, 1024])
    [1, 2, 4, 8, 16, 24, 32, 36, 48, 64, 72]
    """
    sizes = {1 << k for k in range(11)}
    for domain in domains:
        if domain <= 1024:
            sizes |= {domain, domain // 2} | {domain * k // 12 for k in range(1, 13) if domain * k % 12 == 0 and domain * k // 12 % 8 == 0}
            sizes |= {k for k in (16, 24, 32, 48, 64, 96, 128, 144, 160, 192, 256, 288, 320, 384, 512) if k <= domain}
    sizes |= {144, 288} if devices >= 288 else set()
    return sorted(k for k in sizes if 1 <= k <= devices)


def serving_plans(sizes: list[int], heads: int, layers: int, experts: int) -> dict[str, Floats]:
    """Layouts of serving engines.

    Parameters
    ----------
    sizes : list of int   Devices of an engine.
    heads, layers, experts : int   Attention heads; layers; routed experts (0: dense).

    Returns
    -------
    dict of shape (P,)   tp, dp, pp, ep.

    References
    ----------
    .. [1] DeepSeek-AI, arXiv:2412.19437, section 3.4 (attention replicated, experts spread).

    Examples
    --------
    >>> {k: v.tolist() for k, v in serving_plans([2], 8, 4, 0).items()}
    {'tp': [2.0, 1.0], 'dp': [1.0, 1.0], 'pp': [1.0, 2.0], 'ep': [1.0, 1.0]}
    """
    rows: list[tuple[int, int, int, int]] = []
    for size in sizes:
        for pp in (1, 2, 4, 8):
            if size % pp or pp > layers or (experts and pp > 2):
                continue
            rest = size // pp
            for tp in (1, 2, 4, 8, 16):
                if rest % tp or heads % tp:
                    continue
                dp = rest // tp
                if not experts:
                    if dp == 1:
                        rows.append((tp, 1, pp, 1))
                elif dp > 1:
                    if rest <= 2 * experts or rest <= 768:
                        rows.append((tp, dp, pp, rest))
                else:
                    rows += [(tp, 1, pp, 1), (tp, 1, pp, tp)] if tp > 1 else [(1, 1, pp, 1)]
    rows.sort(key=lambda row: (row[0] * row[1] * row[2], -row[0] if not experts else row[0]))
    table = np.array(rows, dtype=float).reshape(-1, 4)
    return {name: table[:, k].copy() for k, name in enumerate(("tp", "dp", "pp", "ep"))}

