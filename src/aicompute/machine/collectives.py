"""Time of collectives over a hierarchy of tiers: latency, bandwidth, and the best algorithm."""

from __future__ import annotations

from aicompute.machine.records import ExpertExchange, Fabric, Protocol, Tier
from aicompute.numerics import Array, log2, maximum, minimum, sqrt, where

Members = tuple[Array, Array, Array, Array]


def _sizes(members: Members) -> tuple[tuple[Array, Array], ...]:
    """Members inside a domain of the tier below, and inside a domain of this tier."""
    return tuple(zip((1.0, *members[:3]), members, strict=True))


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
    log4(g) axes, at least one. Elsewhere any two devices have the whole bandwidth.

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


def wire_time(message: Array, members: Members, fabric: Fabric, granularity: Array = 0.0) -> Array:
    r"""Time on the busiest tier of an all-gather or reduce-scatter of a buffer.

    Parameters
    ----------
    message : shape (...)       Whole buffer [B].
    members : four of shape (...)   Members inside one domain of each tier [1].
    fabric : Fabric             Tiers.
    granularity : shape (...)   Extra traffic of a pipelined ring, over the group's size [1].

    Returns
    -------
    shape (...) [s].

    Notes
    -----
    .. math:: \max_t \frac{M}{s_t} \left(1 - \frac{m_{t-1}}{m_t}\right) \frac{1}{e_t \beta_t}

    The s_t devices of the inner domains share what enters (s_t = m_{t-1} where the inner tier relays); tiers work at the same time
    (pipelined). Dies of one package do not relay: HCCL over 8 and 16 dies takes (n - 2)/n of the buffer through each die's own port.

    References
    ----------
    .. [1] R. Thakur, R. Rabenseifner, W. Gropp, Int. J. High Perform. Comput. Appl. 19 (2005) 49.

    Examples
    --------
    >>> from aicompute.machine.records import Tier
    >>> t = Tier(8.0, 1e-11, 0.0, 0.0, 0.0)
    >>> round(wire_time(8e9, (8.0, 8.0, 8.0, 8.0), (t, t, t, t)), 6)
    0.07
    """
    time: Array = 0.0
    sharing: Array = 1.0
    for (below, here), tier in zip(_sizes(members), fabric, strict=True):
        time = maximum(time, (1.0 - below / here) / sharing * gather_inverse(tier, here / below))
        sharing = where(tier.relay > 0.0, here, sharing)
    return message * time * (1.0 + granularity / members[3])


def start_time(members: Members, fabric: Fabric) -> tuple[Array, Array]:
    r"""Fixed time and hop time of one pass around a group.

    Parameters
    ----------
    members : four of shape (...)   Members inside one domain of each tier [1].
    fabric : Fabric                 Tiers.

    Returns
    -------
    base, hops : shape (...) [s]    The base of the outermost tier used; the hops of all tiers.

    Notes
    -----
    Per tier min(n - 1, 2 log2 n) hops: a ring inside small groups, a tree beyond about eight. Measured only up to eight devices in a
    domain; beyond, the choice is a prior.

    References
    ----------
    .. [1] R. Thakur, R. Rabenseifner, W. Gropp, Int. J. High Perform. Comput. Appl. 19 (2005) 49.

    Examples
    --------
    >>> from aicompute.machine.records import Tier
    >>> t = Tier(8.0, 0.0, 5e-6, 1e-6, 0.0)
    >>> base, hops = start_time((8.0, 8.0, 8.0, 8.0), (t, t, t, t))
    >>> round(base * 1e6, 3), round(hops * 1e6, 3)
    (5.0, 6.0)
    """
    base: Array = 0.0
    hops: Array = 0.0
    for (below, here), tier in zip(_sizes(members), fabric, strict=True):
        steps = here / below
        used = steps > 1.0
        base = where(used, maximum(base, tier.base), base)
        hops = hops + where(used, minimum(steps - 1.0, 2.0 * log2(steps)) * tier.hop, 0.0)
    return base, hops


def gather_time(message: Array, members: Members, fabric: Fabric, protocol: Protocol) -> Array:
    r"""Time of an all-gather or a reduce-scatter.

    Parameters
    ----------
    message : shape (...)           Whole buffer [B].
    members : four of shape (...)   Members inside one domain of each tier [1]; a group of one costs nothing.
    fabric, protocol                Tiers; constants of the library.

    Returns
    -------
    shape (...) [s].

    Notes
    -----
    .. math:: t = a_0 + a_1 h + w + \sqrt{k\,a_0\,w}

    The root is the smooth change from the low-latency to the bandwidth protocol. Median error 5.5 % on 756 measured groups of 2 to 8 GPUs
    of five kinds.

    References
    ----------
    .. [1] S. Jeaugey, Massively scale your deep learning training with NCCL 2.4, NVIDIA 2019 (protocols LL, LL128, Simple).

    Examples
    --------
    >>> from aicompute.machine.records import Tier
    >>> t, p = Tier(8.0, 1e-11, 5e-6, 1e-6, 0.0), Protocol(0.0, 0.0, 0.0, 1.0)
    >>> gather_time(1e9, (1.0, 1.0, 1.0, 1.0), (t, t, t, t), p)
    0.0
    """
    base, hops = start_time(members, fabric)
    wire = wire_time(message, members, fabric, protocol.granularity)
    return base + hops + wire + sqrt(protocol.ramp * base * wire)


def all_reduce_time(message: Array, members: Members, fabric: Fabric, protocol: Protocol) -> Array:
    r"""Time of an all-reduce: the better of ring (reduce-scatter + all-gather) and addition in the switch.

    Parameters
    ----------
    message : shape (...)           Buffer on each device [B].
    members : four of shape (...)   Members inside one domain of each tier [1].
    fabric, protocol                Tiers; constants of the library.

    Returns
    -------
    shape (...) [s]; 0 for a group of one.

    Notes
    -----
    Ring: twice the wire of a gather over 2(n-1) hops. Switch: each device sends and receives the buffer once; offered where the group
    lies in one domain whose switches reduce.

    References
    ----------
    .. [1] R. Thakur, R. Rabenseifner, W. Gropp, Int. J. High Perform. Comput. Appl. 19 (2005) 49.
    .. [2] B. Klenk et al., ISCA 2020, An in-network architecture for accelerating shared-memory multiprocessor collectives.

    Examples
    --------
    >>> from aicompute.machine.records import Tier
    >>> t, p = Tier(8.0, 1e-11, 0.0, 0.0, 0.0), Protocol(0.0, 0.0, 0.0, 1.0)
    >>> round(all_reduce_time(8e9, (8.0, 8.0, 8.0, 8.0), (t, t, t, t), p), 6)
    0.14
    """
    base, hops = start_time(members, fabric)
    wire = 2.0 * wire_time(message, members, fabric, protocol.granularity)
    ring = base + 2.0 * hops + wire + sqrt(protocol.ramp * base * wire)
    size = members[3]
    switched: Array = float("inf")
    for (below, here), tier in zip(_sizes(members), fabric, strict=True):
        whole = (here >= size) & (below <= 1.0) & (tier.reduction > 0.0) & (size > 2.0)
        once = tier.base + protocol.reduction_base + message * (1.0 + 1.0 / size) * tier.inverse_bandwidth / protocol.reduction_efficiency
        switched = minimum(switched, where(whole, once, float("inf")))
    return where(size > 1.0, minimum(ring, switched), 0.0)


def all_to_all_time(message: Array, members: Members, fabric: Fabric, protocol: Protocol) -> Array:
    r"""Time of a library's all-to-all, in which each member sends an equal part of its buffer to every member.

    Parameters
    ----------
    message : shape (...)           Buffer of each device, its own part included [B].
    members : four of shape (...)   Members inside one domain of each tier [1]; a group of one costs nothing.
    fabric, protocol                Tiers; constants of the library.

    Returns
    -------
    shape (...) [s].

    Notes
    -----
    .. math:: t = a_0 + a_1 h + w + \sqrt{k\,a_0\,w}, \quad w = \max_t M\,\frac{m_t - m_{t-1}}{n}\,\frac{1}{e_t \beta_t}

    Start and protocol change of a gather; nothing that crosses a tier is shared by the devices of a domain. Sends among few devices of a
    mesh or torus pay for its links as in `exchange_time`.

    References
    ----------
    .. [1] R. Thakur, R. Rabenseifner, W. Gropp, Int. J. High Perform. Comput. Appl. 19 (2005) 49, section 4 (pairwise exchange).

    Examples
    --------
    >>> from aicompute.machine.records import Tier
    >>> t, p = Tier(8.0, 1e-11, 0.0, 0.0, 0.0), Protocol(0.0, 0.0, 0.0, 1.0)
    >>> round(all_to_all_time(8e9, (8.0, 8.0, 8.0, 8.0), (t, t, t, t), p), 6)
    0.07
    """
    base, hops = start_time(members, fabric)
    size = members[3]
    wire: Array = 0.0
    for (below, here), tier in zip(_sizes(members), fabric, strict=True):
        wire = maximum(wire, (here - below) / size * exchange_inverse(tier, here / below))
    wire = message * wire * (1.0 + protocol.granularity / size)
    return base + hops + wire + sqrt(protocol.ramp * base * wire)


def neighbour_time(message: Array, stride: Array, group: Array, fabric: Fabric) -> Array:
    r"""Time to send a buffer to the next member of a pipeline or ring.

    Parameters
    ----------
    message : shape (...)   Buffer of each device [B].
    stride : shape (...)    Distance of neighbours in rank order [1].
    group : shape (...)     Members; one sends nothing.
    fabric : Fabric         Tiers.

    Returns
    -------
    shape (...) [s], on the innermost tier that holds both.

    References
    ----------
    .. [1] R. Hockney, Parallel Computing 20 (1994) 389 (latency and bandwidth).

    Examples
    --------
    >>> from aicompute.machine.records import Tier
    >>> a, b = Tier(8.0, 1e-12, 1e-6, 0.0, 0.0), Tier(64.0, 1e-10, 2e-6, 0.0, 0.0)
    >>> round(neighbour_time(1e6, 8.0, 2.0, (a, b, b, b)) * 1e6, 3)
    102.0
    """
    time: Array = 0.0
    for tier in reversed(fabric):
        inside = stride < tier.domain
        time = where(inside | (tier is fabric[-1]), tier.base + tier.hop + message * link_inverse(tier), time)
    return where(group > 1.0, time, 0.0)


def expected_distinct(copies: Array, places: Array) -> Array:
    r"""Expected distinct places hit by independent copies.

    Parameters
    ----------
    copies : shape (...)   Draws [1].
    places : shape (...)   Places [1].

    Returns
    -------
    shape (...) [1].

    Notes
    -----
    .. math:: N (1 - (1 - 1/N)^k)

    References
    ----------
    .. [1] W. Feller, An Introduction to Probability Theory and Its Applications I (1968), occupancy.

    Examples
    --------
    >>> round(expected_distinct(8.0, 8.0), 3)
    5.251
    """
    return places * (1.0 - (1.0 - 1.0 / places) ** copies)


def exchange_time(
    tokens: Array, hidden: Array, copies: Array, payload: Array, members: Members, fabric: Fabric, exchange: ExpertExchange
) -> Array:
    r"""Time of one phase (dispatch or combine) of a mixture of experts.

    Parameters
    ----------
    tokens : shape (...)            Tokens that each device sends [1].
    hidden : shape (...)            Width [1].
    copies : shape (...)            Experts a token goes to [1].
    payload : shape (...)           Bytes of a hidden element in this phase [B].
    members : four of shape (...)   Members of the expert group in one domain of each tier [1].
    fabric, exchange                Tiers; constants of the library.

    Returns
    -------
    shape (...) [s]; 0 for a group of one.

    Notes
    -----
    A token's copies fall on min(k, n) devices (routing balanced over devices). On each tier the share of destinations beyond the inner
    domain and inside this one crosses it: k (m_t - m_{t-1})/n copies, or, where a domain receives a token once, the expected distinct
    domains.
    The slowest tier sets the time; contention grows as (n/8)^d.

    References
    ----------
    .. [1] DeepSeek-AI, DeepEP (2025), normal kernels send once per node, low-latency kernels once per expert.
    .. [2] DeepSeek-AI, arXiv:2412.19437, section 3.2.2.

    Examples
    --------
    >>> from aicompute.machine.records import Tier
    >>> t = Tier(64.0, 1e-11, 0.0, 0.0, 0.0)
    >>> x = ExpertExchange(10e-6, 0.0, 0.0, 0.0, 1.0, 2.0)
    >>> round(exchange_time(1024.0, 1000.0, 8.0, 1.0, (64.0,) * 4, (t, t, t, t), x) * 1e6, 2)
    90.64
    """
    size = members[3]
    sent = minimum(copies, size)
    slowest: Array = 0.0
    for (below, here), tier in zip(_sizes(members), fabric, strict=True):
        direct = sent * (here - below) / size
        domains = here / below
        once = where(below > 1.0, expected_distinct(copies * here / size, domains) * (domains - 1.0) / domains, direct)
        crossing = where(exchange.deduplicated > 0.0, minimum(once, direct), direct)
        slowest = maximum(slowest, crossing * exchange_inverse(tier, here / below))
    traffic = tokens * hidden * payload * slowest * (maximum(size, 8.0) / 8.0) ** exchange.contention
    return where(size > 1.0, exchange.base + exchange.per_doubling * log2(maximum(size, 1.0)) + traffic, 0.0)


def ring_pass_time(message: Array, stride: Array, group: Array, fabric: Fabric) -> Array:
    """Time of passing each member's buffer all the way around a ring (context parallelism).

    Parameters
    ----------
    message : shape (...)   Buffer of each device [B].
    stride, group           Distance of neighbours; members [1].
    fabric : Fabric         Tiers.

    Returns
    -------
    shape (...) [s]; (g - 1) neighbour sends.

    References
    ----------
    .. [1] H. Liu, M. Zaharia, P. Abbeel, arXiv:2310.01889 (ring attention).

    Examples
    --------
    >>> from aicompute.machine.records import Tier
    >>> t = Tier(8.0, 1e-11, 0.0, 0.0, 0.0)
    >>> round(ring_pass_time(1e8, 1.0, 4.0, (t, t, t, t)), 6)
    0.003
    """
    # a ring that crosses a domain is as slow as its slowest link
    return (group - 1.0) * neighbour_time(message, stride * maximum(group - 1.0, 1.0), group, fabric)
