"""What breaks: failure rates, checkpoints, goodput, spares, and parts whose loss costs bandwidth and not the job.

Failures come at a constant rate and independently of each other. Real ones come in bursts (a bad batch, a power dip) and fall with age.
"""

from __future__ import annotations

import numpy as np

from aicompute.numerics import Array, exp, maximum, safe_divide, sqrt, where


def cluster_mtbf(mtbf: Array, count: Array) -> Array:
    """Mean time between failures of a job that needs all of its parts.

    Parameters
    ----------
    mtbf : shape (...)    Of one part [s].
    count : shape (...)   Parts [1].

    Returns
    -------
    shape (...), broadcast of the inputs [s].

    References
    ----------
    .. [1] Llama Team, "The Llama 3 herd of models", arXiv:2407.21783, table 5: 419 unexpected interruptions of 16,384 H100 in 54 days.

    Examples
    --------
    >>> round(cluster_mtbf(16384 * 1296.0 / 419, 16384.0), 4)
    3.0931
    """
    return mtbf / count


def combined_mtbf(*mtbf: Array) -> Array:
    """Mean time between failures of any of several kinds of parts.

    Parameters
    ----------
    mtbf : shapes (...)   Of each kind, all of its parts together [s].

    Returns
    -------
    shape (...), broadcast of the inputs [s].

    References
    ----------
    .. [1] M. Rausand, A. Høyland, System Reliability Theory, 2nd ed. (2004), series structures of components with constant failure rates.

    Examples
    --------
    >>> combined_mtbf(3.0, 6.0)
    2.0
    """
    rate: Array = 0.0
    for one in mtbf:
        rate = rate + 1.0 / one
    return 1.0 / rate


def young_interval(checkpoint: Array, mtbf: Array) -> Array:
    r"""Work between checkpoints that wastes least, first order.

    Parameters
    ----------
    checkpoint : shape (...)   Time that a checkpoint stops the job [s].
    mtbf : shape (...)         Of the job [s].

    Returns
    -------
    shape (...), broadcast of the inputs [s].

    Notes
    -----
    .. math:: \tau = \sqrt{2 C M}

    Minimises `checkpoint_waste`; holds for C much smaller than M.

    References
    ----------
    .. [1] J. W. Young, Commun. ACM 17 (1974) 530.

    Examples
    --------
    >>> round(young_interval(60.0, 11135.16), 2)
    1155.95
    """
    return sqrt(2.0 * checkpoint * mtbf)


def daly_interval(checkpoint: Array, mtbf: Array) -> Array:
    r"""Work between checkpoints that wastes least, higher order.

    Parameters
    ----------
    checkpoint : shape (...)   Time that a checkpoint stops the job [s].
    mtbf : shape (...)         Of the job [s].

    Returns
    -------
    shape (...), broadcast of the inputs [s].

    Notes
    -----
    .. math:: \tau = \sqrt{2 C M} \left(1 + \frac{1}{3} \sqrt{\frac{C}{2 M}} + \frac{1}{9} \frac{C}{2 M}\right) - C
              \quad (C < 2 M), \qquad \tau = M \quad \text{otherwise}

    Within 0.2 % of the goodput at the optimum of `goodput_exponential` for all C < 2 M.

    References
    ----------
    .. [1] J. T. Daly, Future Gener. Comput. Syst. 22 (2006) 303, the higher-order optimum.

    Examples
    --------
    >>> round(daly_interval(60.0, 11135.16), 2)
    1116.3
    """
    ratio = checkpoint / (2.0 * mtbf)
    series = young_interval(checkpoint, mtbf) * (1.0 + sqrt(ratio) / 3.0 + ratio / 9.0) - checkpoint
    return where(ratio < 1.0, series, mtbf)


def checkpoint_waste(interval: Array, checkpoint: Array, mtbf: Array, restart: Array) -> Array:
    r"""Share of the time lost to checkpoints, repeated work and restarts, first order.

    Parameters
    ----------
    interval : shape (...)     Work between checkpoints [s].
    checkpoint : shape (...)   Time that a checkpoint stops the job [s].
    mtbf : shape (...)         Of the job [s], finite.
    restart : shape (...)      From a failure until the job runs again [s].

    Returns
    -------
    shape (...), broadcast of the inputs [1]; above 1 where the job never ends.

    Notes
    -----
    .. math:: W = \frac{C}{\tau} + \frac{\tau}{2 M} + \frac{R}{M}

    First order in C/τ and τ/M: at the best interval the goodput 1 − W is too low by about W²/3, 0.006 where W is 0.13.

    References
    ----------
    .. [1] J. W. Young, Commun. ACM 17 (1974) 530.
    .. [2] T. Hérault, Y. Robert (eds.), Fault-Tolerance Techniques for High-Performance Computing (2015), the waste of periodic
           checkpoints.

    Examples
    --------
    >>> round(1.0 - checkpoint_waste(1155.95, 60.0, 11135.16, 300.0), 5)
    0.86925
    """
    return safe_divide(checkpoint, interval) + (interval / 2.0 + restart) / mtbf


def goodput(interval: Array, checkpoint: Array, mtbf: Array, restart: Array) -> Array:
    """Share of the time that moves the job forward, first order, not below 0.

    Parameters
    ----------
    interval : shape (...)     Work between checkpoints [s].
    checkpoint : shape (...)   Time that a checkpoint stops the job [s].
    mtbf : shape (...)         Of the job [s], finite.
    restart : shape (...)      From a failure until the job runs again [s].

    Returns
    -------
    shape (...), broadcast of the inputs [1].

    Notes
    -----
    One less `checkpoint_waste`; its range holds here. Use `goodput_exponential` where the waste is above a tenth.

    References
    ----------
    .. [1] A. Kokolis et al., "Revisiting reliability in large-scale machine learning research clusters", arXiv:2410.21680, for the
           effective training time ratio.
    .. [2] Llama Team, "The Llama 3 herd of models", arXiv:2407.21783: effective training time above 90 %.

    Examples
    --------
    30 s checkpoints and 3 min restarts give the "more than 90 %" of Llama 3:

    >>> round(goodput(817.38, 30.0, 11135.16, 180.0), 5)
    0.91043
    """
    return maximum(0.0, 1.0 - checkpoint_waste(interval, checkpoint, mtbf, restart))


def goodput_exponential(interval: Array, checkpoint: Array, mtbf: Array, restart: Array) -> Array:
    r"""Share of the time that moves the job forward, with failures during checkpoints and restarts.

    Parameters
    ----------
    interval : shape (...)     Work between checkpoints [s], above 0.
    checkpoint : shape (...)   Time that a checkpoint stops the job [s].
    mtbf : shape (...)         Of the job [s].
    restart : shape (...)      From a failure until the job runs again [s].

    Returns
    -------
    shape (...), broadcast of the inputs [1], between 0 and 1.

    Notes
    -----
    .. math:: G = \frac{\tau}{M e^{R/M} \left(e^{(\tau + C)/M} - 1\right)}

    Exact for exponential times between failures; agrees with `goodput` to first order.

    References
    ----------
    .. [1] J. T. Daly, Future Gener. Comput. Syst. 22 (2006) 303, the complete model.

    Examples
    --------
    >>> round(float(goodput_exponential(1116.30, 60.0, 11135.16, 300.0)), 4)
    0.8758
    """
    cycle = (interval + checkpoint) / mtbf
    undisturbed = safe_divide(cycle * exp(-cycle), -np.expm1(-cycle), otherwise=1.0)
    return interval / (interval + checkpoint) * undisturbed * exp(-restart / mtbf)


def steady_availability(mtbf: Array, repair: Array) -> Array:
    """Share of the time that a part which is repaired when it fails is up.

    Parameters
    ----------
    mtbf : shape (...)     Mean time until it fails [s].
    repair : shape (...)   Mean time until it is back [s].

    Returns
    -------
    shape (...), broadcast of the inputs [1].

    References
    ----------
    .. [1] M. Rausand, A. Høyland, System Reliability Theory, 2nd ed. (2004), average availability of a repairable component.

    Examples
    --------
    >>> steady_availability(99.0, 1.0)
    0.99
    """
    return mtbf / (mtbf + repair)


def spares(failures: Array, confidence: Array) -> Array:
    r"""Fewest spares that last until the next delivery.

    Parameters
    ----------
    failures : shape (...)     Failures to expect until then, count × time / MTBF [1].
    confidence : shape (...)   Probability that the spares are enough [1], below 1.

    Returns
    -------
    shape (...), broadcast of the inputs [1], whole numbers.

    Notes
    -----
    .. math:: k = \min \left\{ k : \sum_{i=0}^{k} \frac{\lambda^i e^{-\lambda}}{i!} \ge p \right\}

    References
    ----------
    .. [1] C. C. Sherbrooke, Optimal Inventory Modeling of Systems, 2nd ed. (2004), for Poisson demand and Palm's theorem.

    Examples
    --------
    384 accelerators with an MTBF of 50,677 h, four weeks until delivery, 95 % confidence:

    >>> float(spares(384 * 672 / 50677, 0.95))
    9.0
    """
    from scipy.special import pdtr, pdtrik  # type: ignore[import-untyped, unused-ignore]  # 0.1 s: only where spares are asked for

    above = np.maximum(0.0, np.ceil(pdtrik(confidence, failures)))
    below = np.maximum(0.0, above - 1.0)
    fewest: Array = np.where(pdtr(below, failures) >= confidence, below, above)  # the continuous inverse may overshoot by one
    return fewest


def domain_availability(needed: Array, parts: Array, availability: Array) -> Array:
    """Probability that enough parts of a domain are up, spares among them.

    Parameters
    ----------
    needed : shape (...)         Parts that the job uses [1].
    parts : shape (...)          Parts in the domain [1], at least as many.
    availability : shape (...)   Of one part [1].

    Returns
    -------
    shape (...), broadcast of the inputs [1].

    References
    ----------
    .. [1] W. Kuo, M. J. Zuo, Optimal Reliability Modeling (2003), k-out-of-n systems.

    Examples
    --------
    64 of 72 at 99 % each:

    >>> bool(domain_availability(64, 72, 0.99) > 0.999999)
    True
    """
    from scipy.special import bdtr  # type: ignore[import-untyped, unused-ignore]  # 0.1 s: only where spares are asked for

    enough: Array = bdtr(np.subtract(parts, needed), np.asarray(parts, dtype=np.int64), np.subtract(1.0, availability))
    return enough


def degraded_bandwidth_share(modules: Array, planes: Array, availability: Array) -> Array:
    r"""Mean share of the bandwidth of a fabric that loses a plane, not the job, when a module fails.

    Parameters
    ----------
    modules : shape (...)        Optical modules on which a collective depends [1].
    planes : shape (...)         Parallel planes over which each device spreads its traffic [1].
    availability : shape (...)   Of one module [1]; see `steady_availability`.

    Returns
    -------
    shape (...), broadcast of the inputs [1].

    Notes
    -----
    .. math:: \bar\beta = 1 - \frac{1 - A^m}{p}

    A collective runs at the pace of its worst-placed device, so one dead module costs all of them 1/p. Two dead modules on the same device
    are left out: holds where m (1 − A) is below p.

    References
    ----------
    .. [1] P. Zuo et al., "Serving large language models on Huawei CloudMatrix384", arXiv:2506.12708, for the planes; the mean is of
           independent modules.

    Examples
    --------
    6,912 modules of 1e6 h, repaired in a day, seven planes:

    >>> round(float(degraded_bandwidth_share(6912.0, 7.0, steady_availability(1e6, 24.0))), 4)
    0.9782
    """
    return 1.0 - (1.0 - availability**modules) / planes
