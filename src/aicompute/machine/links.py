"""What a group of devices finds in the tiers of a fabric: its members, and the bandwidth each of them has."""

from __future__ import annotations

from collections.abc import Callable

from aicompute.machine.records import Fabric, Tier
from aicompute.numerics import Array, log2, maximum, minimum, where

Members = tuple[Array, Array, Array, Array]


def sizes(members: Members) -> tuple[tuple[Array, Array], ...]:
    """Members inside a domain of the tier below, and inside a domain of this tier."""
    return tuple(zip((1.0, *members[:3]), members, strict=True))


def outermost(members: Members, fabric: Fabric, field: Callable[[Tier], Array], otherwise: float) -> Array:
    """A value of the outermost tier that a group uses.

    Parameters
    ----------
    members : four of shape (...)   Members inside one domain of each tier [1].
    fabric : Fabric                 Tiers.
    field : function                The value of a tier.
    otherwise : float               For a group of one.

    Returns
    -------
    shape (...).

    References
    ----------
    .. [1] Plan of the house, tiers from the inside out.

    Examples
    --------
    >>> from aicompute.machine.records import Tier
    >>> a, b = Tier(8.0, 0.0, 5e-6, 1e-6, 0.0), Tier(64.0, 0.0, 9e-6, 1e-6, 0.0)
    >>> outermost((8.0, 8.0, 8.0, 8.0), (a, b, b, b), lambda tier: tier.base, 0.0)
    5e-06
    """
    found: Array = otherwise
    for (below, here), tier in zip(sizes(members), fabric, strict=True):
        found = where(here / below > 1.0, field(tier), found)
    return found


def gather_inverse(tier: Tier, steps: Array) -> Array:
    r"""Inverse bandwidth that a device has towards ``steps`` members in a tier, itself among them.

    Parameters
    ----------
    tier : Tier
    steps : shape (...)   Members of the group in the tier [1].

    Returns
    -------
    shape (...) [s/B].

    Notes
    -----
    A full mesh of D devices has one link to each: g members use (g - 1)/(D - 1) of them. A torus of a axes gives a group of g about
    log4(g) axes, at least one. Through memory of the host, g devices reach (2/g)^2 of what two reach (one host: 20, 5 and 1.5 GB/s for
    2, 4 and 8). Elsewhere any two devices have the whole bandwidth, but switches lose (n/8)^d beyond eight members: expert exchange
    on GB200 racks gives d = 0.10, with which the published 850 GB/s of an all-reduce among 72 GPUs comes out too.

    References
    ----------
    .. [1] E. Chan et al., Concurrency Computat. Pract. Exper. 19 (2007) 1749, section 6 (meshes and hypercubes).

    Examples
    --------
    >>> from aicompute.machine.records import Tier
    >>> gather_inverse(Tier(8.0, 1.0, 0.0, 0.0, 0.0, topology="mesh"), 2.0)
    7.0
    """
    if tier.topology == "mesh":
        return tier.inverse_bandwidth * maximum((tier.domain - 1.0) / maximum(steps - 1.0, 1.0), 1.0)
    if tier.topology == "torus":
        return tier.inverse_bandwidth * tier.axes / torus_axes(tier, steps)
    if tier.topology == "bus":
        return tier.inverse_bandwidth * maximum(0.5 * steps, 1.0) ** 2.0
    if tier.topology == "switch":
        return tier.inverse_bandwidth * maximum(0.125 * steps, 1.0) ** tier.contention
    return tier.inverse_bandwidth


def torus_axes(tier: Tier, steps: Array) -> Array:
    """Axes of a torus that a compact group of ``steps`` members spans [1].

    Parameters
    ----------
    tier : Tier
    steps : shape (...)   Members [1].

    Returns
    -------
    shape (...), from 1 to the axes of the torus.

    References
    ----------
    .. [1] N. Jouppi et al., arXiv:2304.01433 (TPU v4: cubes of 4 x 4 x 4).

    Examples
    --------
    >>> from aicompute.machine.records import Tier
    >>> torus_axes(Tier(4096.0, 1.0, 0.0, 0.0, 0.0, topology="torus", axes=3.0), 16.0)
    2.0
    """
    return minimum(tier.axes, maximum(0.5 * log2(maximum(steps, 1.0)), 1.0))


def exchange_inverse(tier: Tier, steps: Array) -> Array:
    r"""Inverse bandwidth of a device in a uniform all-to-all among ``steps`` members in a tier.

    Parameters
    ----------
    tier : Tier
    steps : shape (...)   Members of the group in the tier [1].

    Returns
    -------
    shape (...) [s/B].

    Notes
    -----
    On a torus each message takes a/4 g^{1/a} hops on average and so uses as many links; with the links of its axes this gives the
    bisection limit.

    References
    ----------
    .. [1] W. Dally, B. Towles, Principles and Practices of Interconnection Networks (2004), section 5.2.

    Examples
    --------
    >>> from aicompute.machine.records import Tier
    >>> round(exchange_inverse(Tier(4096.0, 1.0, 0.0, 0.0, 0.0, topology="torus", axes=3.0), 4096.0), 6)
    12.0
    """
    inverse = gather_inverse(tier, steps)
    if tier.topology == "torus":
        axes = torus_axes(tier, steps)
        return inverse * maximum(0.25 * axes * maximum(steps, 1.0) ** (1.0 / axes), 1.0)
    return inverse


def link_inverse(tier: Tier) -> Array:
    """Inverse bandwidth between two neighbours in a tier [s/B].

    Parameters
    ----------
    tier : Tier

    Returns
    -------
    shape (...) [s/B].

    References
    ----------
    .. [1] N. Jouppi et al., arXiv:2304.01433 (six links a chip).

    Examples
    --------
    >>> from aicompute.machine.records import Tier
    >>> link_inverse(Tier(64.0, 1.0, 0.0, 0.0, 0.0, topology="torus", axes=3.0))
    6.0
    """
    if tier.topology == "mesh":
        return tier.inverse_bandwidth * maximum(tier.domain - 1.0, 1.0)
    if tier.topology == "torus":
        return tier.inverse_bandwidth * 2.0 * tier.axes
    return tier.inverse_bandwidth
