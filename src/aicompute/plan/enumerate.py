"""Plans worth trying, as flat arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aicompute.plan.schedule import most_layers

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


def training_plans(
    devices: int, heads: int, layers: int, experts: int, sequence: int, global_batch: int, window: int, fixed: dict[str, float]
) -> dict[str, Floats]:
    """Layouts of a training job on up to ``devices`` devices.

    Parameters
    ----------
    devices : int           Devices that may be used; data parallelism takes what the rest leaves, so a few may stay idle.
    heads, layers, experts : int   Attention heads; layers; routed experts (0: dense).
    sequence, global_batch : int   Tokens a sequence; sequences a step.
    window : int            Devices of the scale-up domain: tensor groups stay inside.
    fixed : dict            Dimensions that must have a value.

    Returns
    -------
    dict of shape (P,)   dp, tp, pp, chunks, cp, ep, micro_batch, zero, recompute.

    Notes
    -----
    Layouts whose other stages take all layers, so that the last one has none, are left out.

    References
    ----------
    .. [1] D. Narayanan et al., arXiv:2104.04473, section 3.

    Examples
    --------
    >>> plans = training_plans(8, 8, 4, 0, 4096, 64, 8, {"tp": 2.0, "pp": 1.0})
    >>> sorted(set((plans["tp"] * plans["dp"]).tolist()))
    [8.0]
    """

    def choices(name: str, default: list[int]) -> list[int]:
        return [int(fixed[name])] if name in fixed else default

    blocks: list[Floats] = []
    shards = divisors(experts) if experts else [1]
    batches = divisors(global_batch)
    for tp in choices("tp", [t for t in (1, 2, 4, 8, 16) if heads % t == 0 and t <= window]):
        for cp in choices("cp", [1] if sequence <= 16384 else [c for c in (1, 2, 4, 8, 16) if sequence // c >= 2048]):
            for pp in choices("pp", [p for p in (1, 2, 4, 6, 8, 10, 12, 16, 20, 24, 32) if p <= layers]):
                ranks = devices // (tp * cp * pp)
                if ranks < 1:
                    continue
                ranks = min(ranks, global_batch)
                even = max((d for d in batches if d <= ranks), default=1)
                powers = 1 << (ranks.bit_length() - 1)
                most = max(layers // pp, 1)
                chunks = [c for c in choices("chunks", [1] if pp == 1 else sorted({1, 2, 3, 4, most})) if c <= most]
                for dp in choices("dp", sorted({ranks, even, powers})):
                    if dp > ranks:
                        continue
                    groups = choices("ep", [e for e in shards if (dp * cp * tp) % e == 0 and (e <= 8 or e % 8 == 0)])
                    micro = choices("micro_batch", [m for m in (1, 2, 4, 8) if m * dp <= global_batch])
                    blocks.append(_crossed(dp, tp, pp, chunks, cp, groups, micro))
    names = ("dp", "tp", "pp", "chunks", "cp", "ep", "micro_batch")
    table = np.concatenate([np.empty((0, len(names))), *blocks])
    columns = {name: table[:, k] for k, name in enumerate(names)}
    policies = [float(fixed["recompute"])] if "recompute" in fixed else [0.0, 1.0, 2.0]
    stages = [float(fixed["zero"])] if "zero" in fixed else [1.0, 3.0]
    grid = [(z, c) for z in stages for c in policies]
    size = len(table)
    plans = {name: np.tile(column, len(grid)) for name, column in columns.items()}
    plans["zero"] = np.repeat([z for z, _ in grid], size)
    plans["recompute"] = np.repeat([c for _, c in grid], size)
    keep = (heads % plans["tp"] == 0) & (plans["pp"] <= layers) & (plans["micro_batch"] * plans["dp"] <= global_batch)
    keep &= (plans["pp"] - 1.0) * most_layers(float(layers), plans["pp"], plans["chunks"]) < layers  # else the last stage has none
    keep &= ((experts or 1) % plans["ep"] == 0) & (plans["dp"] * plans["cp"] * plans["tp"] % plans["ep"] == 0)
    if "zero" not in fixed:
        keep &= (plans["zero"] < 3.0) | (plans["pp"] == 1.0)  # sharded weights are not gathered for every stage and micro-batch
    return {name: column[keep] for name, column in plans.items()}


def _crossed(dp: int, tp: int, pp: int, chunks: list[int], cp: int, groups: list[int], micro: list[int]) -> Floats:
    """A row for each expert group, micro-batch and number of chunks, chunks fastest."""
    block = np.empty((len(groups), len(micro), len(chunks), 7))
    block[...] = (dp, tp, pp, 0, cp, 0, 0)
    block[..., 3] = chunks
    block[..., 5] = np.array(groups, dtype=float)[:, None, None]
    block[..., 6] = np.array(micro, dtype=float)[:, None]
    return block.reshape(-1, 7)
