"""Arithmetic of a training run, and how long or large a cluster must be to reach a threshold."""

from __future__ import annotations

from aicompute.numerics import Array


def training_compute(flops_per_token: Array, tokens: Array) -> Array:
    r"""Arithmetic of a training run.

    Parameters
    ----------
    flops_per_token : shape (...)   Forward and backward, without recomputation [FLOP/token].
    tokens : shape (...)            Tokens seen, repetitions included [token].

    Returns
    -------
    shape (...), broadcast of the inputs [FLOP].

    Notes
    -----
    .. math:: C = f\,D \approx 6 N D

    The counting of the European Commission's guidelines: synthetic data and discarded runs may have to be added. `flops_per_token_training`
    gives :math:`f` by several conventions.

    References
    ----------
    .. [1] J. Kaplan et al., "Scaling Laws for Neural Language Models", arXiv 2001.08361 (2020), section 2.1.
    .. [2] European Commission, Guidelines on the scope of the obligations for general-purpose AI models (2025), annex.

    Examples
    --------
    Llama 3.1 405B on 15.6 trillion tokens:

    >>> f"{training_compute(6 * 405e9, 15.6e12):.2g}"
    '3.8e+25'
    """
    return flops_per_token * tokens


def compute_by_hardware(accelerators: Array, time: Array, peak: Array, utilisation: Array) -> Array:
    r"""Arithmetic that a cluster does in a time.

    Parameters
    ----------
    accelerators : shape (...)   How many [1].
    time : shape (...)           [s].
    peak : shape (...)           Of one, dense, at the precision of the training [FLOP/s].
    utilisation : shape (...)    Useful arithmetic over the peak (MFU), failures included [1].

    Returns
    -------
    shape (...), broadcast of the inputs [FLOP].

    Notes
    -----
    .. math:: C = n\,t\,P\,u

    References
    ----------
    .. [1] J. Sevilla et al., "Compute trends across three eras of machine learning", arXiv 2202.05924 (2022): count from hardware and time.

    Examples
    --------
    16,384 H100 at a utilisation of 0.4 need 67 days for 3.8e25:

    >>> f"{compute_by_hardware(16384, 67 * 86400, 989e12, 0.4):.2g}"
    '3.8e+25'
    """
    return accelerators * time * peak * utilisation


def accelerators_to_reach(threshold: Array, time: Array, peak: Array, utilisation: Array) -> Array:
    r"""The smallest cluster that reaches an amount of arithmetic in a time.

    Parameters
    ----------
    threshold : shape (...)     [FLOP].
    time : shape (...)          [s].
    peak : shape (...)          Of one accelerator [FLOP/s].
    utilisation : shape (...)   [1]; 1 gives the cluster below which it is impossible.

    Returns
    -------
    shape (...), broadcast of the inputs [1], not rounded.

    Notes
    -----
    .. math:: n = \frac{C}{t\,P\,u}

    References
    ----------
    .. [1] J. Sevilla et al., arXiv 2202.05924 (2022): estimate from hardware and time, solved for the number of chips.

    Examples
    --------
    >>> round(accelerators_to_reach(1e25, 90 * 86400, 989e12, 0.4))
    3251
    """
    return threshold / (time * peak * utilisation)


def time_to_reach(threshold: Array, accelerators: Array, peak: Array, utilisation: Array) -> Array:
    r"""The shortest time in which a cluster reaches an amount of arithmetic.

    Parameters
    ----------
    threshold : shape (...)      [FLOP].
    accelerators : shape (...)   [1].
    peak : shape (...)           Of one accelerator [FLOP/s].
    utilisation : shape (...)    [1].

    Returns
    -------
    shape (...), broadcast of the inputs [s].

    Notes
    -----
    .. math:: t = \frac{C}{n\,P\,u}

    References
    ----------
    .. [1] J. Sevilla et al., arXiv 2202.05924 (2022): estimate from hardware and time, solved for the time.

    Examples
    --------
    >>> round(time_to_reach(1e25, 16384, 989e12, 0.4) / 86400, 1)
    17.9
    """
    return threshold / (accelerators * peak * utilisation)
