"""Pipeline schedules: the slowest stage, the bubble, micro-batches in flight."""

from __future__ import annotations

from aicompute.numerics import Array, ceil, maximum, minimum, where


def most_layers(layers: Array, stages: Array, chunks: Array) -> Array:
    r"""Layers of the fullest pipeline rank; the last one takes the rest.

    Parameters
    ----------
    layers : shape (...)   Layers of the model [1].
    stages : shape (...)   Pipeline stages [1].
    chunks : shape (...)   Virtual stages on each rank [1].

    Returns
    -------
    shape (...) [1].

    Notes
    -----
    .. math:: v \lceil L / (p v) \rceil

    References
    ----------
    .. [1] D. Narayanan et al., arXiv:2104.04473, section 2.2.

    Examples
    --------
    >>> most_layers(61.0, 16.0, 1.0), most_layers(61.0, 1.0, 1.0)
    (4.0, 61.0)
    """
    return where(stages > 1.0, ceil(layers / (stages * chunks)) * chunks, layers)


def slowest_stage_time(layers: Array, layer: Array, stages: Array, chunks: Array, head: Array) -> Array:
    r"""Time of one micro-batch on the slowest pipeline stage.

    Parameters
    ----------
    layers : shape (...)   Layers of the model [1].
    layer : shape (...)    Time of an average layer [s].
    stages : shape (...)   Pipeline stages [1].
    chunks : shape (...)   Virtual stages on each rank [1].
    head : shape (...)     Time of the vocabulary head and loss, on the last stage [s].

    Returns
    -------
    shape (...) [s].

    Notes
    -----
    Whole layers: the stages hold as many as `most_layers` says but the last, which takes the rest and the head. Where the head would make
    an even last stage the slowest by more than moving a layer costs, frameworks move layers forward; the lower bound (L t + head) / p
    holds always.

    References
    ----------
    .. [1] Meta, arXiv:2407.21783, section 3.3.2 (one layer less on the first and last stage).

    Examples
    --------
    >>> slowest_stage_time(126.0, 1.0, 8.0, 1.0, 1.0)
    16.0
    >>> slowest_stage_time(32.0, 1.0, 4.0, 1.0, 1.5)
    9.5
    """
    most = most_layers(layers, stages, chunks)
    rest = maximum(layers - (stages - 1.0) * most, 0.0)
    return where(stages > 1.0, maximum(most * layer, rest * layer + head), layers * layer + head)


def bubble_time(stage: Array, stages: Array, chunks: Array) -> Array:
    r"""Time in which a rank waits for the pipeline to fill and drain.

    Parameters
    ----------
    stage : shape (...)    Forward and backward time of a micro-batch on a stage [s].
    stages : shape (...)   Pipeline stages [1].
    chunks : shape (...)   Virtual stages on each rank [1]; 1 is plain 1F1B.

    Returns
    -------
    shape (...) [s].

    Notes
    -----
    .. math:: (p - 1)\,t / v

    References
    ----------
    .. [1] D. Narayanan et al., arXiv:2104.04473, section 2.2.

    Examples
    --------
    >>> bubble_time(2.0, 5.0, 2.0)
    4.0
    """
    return (stages - 1.0) / chunks * stage


def in_flight(stages: Array, chunks: Array, micro_batches: Array) -> Array:
    r"""Micro-batches whose activations the first stage holds, in units of a whole stage.

    Parameters
    ----------
    stages, chunks : shape (...)   Pipeline stages; virtual stages on each rank [1].
    micro_batches : shape (...)    Micro-batches of a step [1].

    Returns
    -------
    shape (...) [1].

    Notes
    -----
    1F1B holds p; interleaving holds p (1 + (p - 1)/(p v)).

    References
    ----------
    .. [1] V. Korthikanti et al., arXiv:2205.05198, section 4.2.3.

    Examples
    --------
    >>> in_flight(8.0, 1.0, 64.0), in_flight(8.0, 2.0, 64.0)
    (8.0, 11.5)
    """
    interleaved = stages * where(chunks > 1.0, 1.0 + (stages - 1.0) / (stages * chunks), 1.0)
    return minimum(interleaved, maximum(micro_batches, 1.0) * where(chunks > 1.0, 1.0 + (stages - 1.0) / (stages * chunks), 1.0))
