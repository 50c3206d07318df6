"""Time of attention kernels: tiles of queries against keys in prefill, a cache against one query in decode."""

from __future__ import annotations

from aicompute.machine.records import AttentionKernels, AttentionShape
from aicompute.machine.roofline import overlap_pair
from aicompute.numerics import Array, exp, maximum, minimum, smooth_maximum, where

TILE = 128.0
"""Rows of queries that one unit of a device works on at a time in prefill [1]."""

SHORT = 1024.0
"""Tokens of a cache at which half of the decode kernels have divided it over units [1]."""


def reuse(traffic: Array, cache: Array) -> Array:
    r"""Share of a kernel's traffic that the last-level cache serves when the same kernel runs again, or the one before has left it there.

    Parameters
    ----------
    traffic : shape (...)   Of the kernel [B].
    cache : shape (...)     Size [B].

    Returns
    -------
    shape (...) [1].

    Notes
    -----
    .. math:: e^{-b / C}

    References
    ----------
    .. [1] A smooth stand-in for the edge at b = C that kernels of 10 to 100 MB show; it is wrong by up to 20 % of the time there.

    Examples
    --------
    >>> reuse(0.0, 50e6)
    1.0
    """
    return exp(-traffic / cache)


def memory_time(traffic: Array, cache: Array, bandwidth: Array, near_bandwidth: Array) -> Array:
    """Time to move the bytes of a kernel, partly from the last-level cache.

    Parameters
    ----------
    traffic : shape (...)                     [B].
    cache : shape (...)                       Size of the cache [B].
    bandwidth, near_bandwidth : shape (...)   Of memory, and of the cache, hardly ever slower [B/s].

    Returns
    -------
    shape (...) [s].

    References
    ----------
    .. [1] S. Williams, A. Waterman, D. Patterson, Commun. ACM 52 (2009) 65, with a second ceiling.

    Examples
    --------
    >>> round(memory_time(1e9, 1.0, 1e12, 5e12), 6)
    0.001
    """
    near = reuse(traffic, cache)
    return traffic * ((1.0 - near) / bandwidth + near / smooth_maximum(near_bandwidth, bandwidth))


def with_exponentials(arithmetic: Array, exponentials: Array, width: float = 256.0) -> Array:
    """Rate of prefill attention that knows no shapes: arithmetic slowed by the exponentials of usual heads.

    Parameters
    ----------
    arithmetic : shape (...)     Reached by the products alone [FLOP/s].
    exponentials : shape (...)   [1/s].
    width : float                Of a score and of a value product together [1].

    Returns
    -------
    shape (...) [FLOP/s].

    References
    ----------
    .. [1] J. Shah et al., arXiv:2407.08608, section 1: 512 FLOP to an exponential at head dimension 128.

    Examples
    --------
    >>> round(with_exponentials(3.0, 4.0 / 512.0), 3)
    2.4
    """
    return 1.0 / overlap_pair(1.0 / arithmetic, 1.0 / (2.0 * width * exponentials))


def context_time(shape: AttentionShape, kernels: AttentionKernels) -> Array:
    r"""Time of a causal attention kernel over new tokens, without its start.

    Parameters
    ----------
    shape : AttentionShape
    kernels : AttentionKernels

    Returns
    -------
    shape (...) [s].

    Notes
    -----
    .. math::

        t &= \sqrt{t_c^2 + t_x^2} + t_m + \tau n / (U f), \qquad n = B h / g \cdot \max(1, g s / 128) \\
        t_c &= 2 w W / P, \quad t_x = W / X, \quad W = 128\, k\, (n + U)

    with tiles n of 128 rows (g query heads that share keys fill them together, else g = 1), units U at clock f, width w of score and value,
    k keys seen by a row on average: half of the longest row, so that 128 k U is half of the last tile that runs alone. Arithmetic P and
    exponentials X run side by side, but not the stages that fill and empty a tile.

    Fitted to 4,543 prefill kernels of seven accelerators with four stacks; median error 11 %, see `docs/accuracy.md`.

    References
    ----------
    .. [1] T. Dao, arXiv:2307.08691 (tiles of queries, causal); J. Shah et al., arXiv:2407.08608 (exponentials beside products).
    """
    group = where(kernels.packs > 0.0, shape.heads / shape.kv_heads, 1.0)
    number = maximum(shape.sequences, 1.0)
    tiles = number * shape.heads / group * maximum(1.0, shape.length * group / TILE)
    scores = TILE * shape.seen * (tiles + kernels.units)
    work = overlap_pair(2.0 * shape.width * scores / kernels.context, scores / kernels.exponentials)
    queries = 2.0 * shape.length * shape.heads * kernels.passes
    keys = shape.kv_heads * (2.0 * shape.length + kernels.kv_bytes * shape.context)
    moved = memory_time(number * shape.width * (queries + keys), kernels.cache, kernels.bandwidth, kernels.cache_bandwidth)
    return minimum(shape.sequences, 1.0) * (work + moved + kernels.tile * tiles / kernels.units / kernels.clock)


def decode_time(shape: AttentionShape, kernels: AttentionKernels) -> Array:
    r"""Time of an attention kernel of new tokens over a cache, without its start.

    Parameters
    ----------
    shape : AttentionShape
    kernels : AttentionKernels

    Returns
    -------
    shape (...) [s].

    Notes
    -----
    .. math::

        t &= (t_m^4 + t_c^4 + t_r^4)^{1/4} + t_b, \qquad t_r = 2 B k s\, e\, r / P_{16} \\
        t_b &= \frac{1}{f}\left[\tau \frac{B k}{U} \left(1 + \frac{g}{g_0}\right) \frac{e}{256}
               + c \frac{s}{s + 1024} \frac{1}{1 + B k / U}\right]

    for B sequences of s cached tokens with k key-value heads of e numbers a token and g query heads each; t_c is the arithmetic asked for,
    t_r that of the r rows that a matrix instruction issues for a key-value head even if one is needed, which also bounds how fast a cache
    of 8-bit numbers is taken in. Where a cache is not divided over units (``split``), one walks along it: t_r for one unit, in place of
    the time c to divide and bring together. Where more heads share keys than the kernel knows (``group_limit``), each reads for itself.

    Fitted to 5,083 decode kernels of seven accelerators with four stacks; median error 12 %, see `docs/accuracy.md`.

    References
    ----------
    .. [1] T. Dao et al., Flash-Decoding for long-context inference (2023), for the division of the cache over units.
    """
    number = maximum(shape.sequences, 1.0)
    group, blocks = shape.heads / shape.kv_heads, number * shape.kv_heads
    kept = blocks * shape.context * shape.entry
    traffic = kept * kernels.kv_bytes + 2.0 * number * shape.length * shape.heads * shape.width
    asked = 2.0 * number * shape.length * shape.heads * shape.context * shape.width / kernels.decode
    issued = 2.0 * kernels.rows * kept / kernels.issue * where(group > kernels.group_limit, group, 1.0)
    moved = memory_time(traffic, kernels.cache, kernels.kv_bandwidth, kernels.kv_cache_bandwidth)
    busy = smooth_maximum(smooth_maximum(moved, asked), issued)
    walk = 2.0 * kernels.rows * shape.context * shape.entry * kernels.units / kernels.issue
    filled = blocks / kernels.units
    per_block = kernels.block * filled * (1.0 + group / kernels.group) * shape.entry / 256.0
    divide = kernels.combine * shape.context / (shape.context + SHORT) / (1.0 + filled)
    extra = (per_block + kernels.split * divide) / kernels.clock + (1.0 - kernels.split) * walk
    return minimum(shape.sequences, 1.0) * (busy + extra)


def lone_start(kernels: AttentionKernels, prefill: bool) -> Array:
    """Time of an attention kernel measured alone beside its work: launch, wait, and the small kernels that run with it.

    Parameters
    ----------
    kernels : AttentionKernels
    prefill : bool   Of a whole sequence, else of a decode step.

    Returns
    -------
    shape (...) [s].

    References
    ----------
    .. [1] Measured kernels of 5 to 20 us in `evidence/attention.csv`: on one stack their time goes with the inverse of the clock.
    """
    small = kernels.cast + kernels.preparation if prefill else kernels.decode_cast + kernels.join
    return kernels.host + (kernels.start + small) / kernels.clock
