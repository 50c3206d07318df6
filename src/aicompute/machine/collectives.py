"""Time of collectives over a hierarchy of tiers: latency, bandwidth, and the best algorithm."""

from __future__ import annotations

from collections.abc import Callable

from aicompute.machine.links import Members, exchange_inverse, gather_inverse, link_inverse, outermost, sizes
from aicompute.machine.records import Fabric, Protocol
from aicompute.numerics import Array, log2, maximum, minimum, sqrt, where

_LOADS_AND_STORES = ("switch", "mesh")
"""Topologies whose devices write into each other's memory, as an engine's own all-reduce does."""


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
    for (below, here), tier in zip(sizes(members), fabric, strict=True):
        time = maximum(time, (1.0 - below / here) / sharing * gather_inverse(tier, here / below))
        sharing = where(tier.relay > 0.0, here, sharing)
    return message * time * (1.0 + granularity / members[3])


def ring_rounds(steps: Array) -> Array:
    """Hops of a ring in small groups, of a tree beyond about eight [1].

    Parameters
    ----------
    steps : shape (...)   Members [1].

    Returns
    -------
    shape (...), min(n - 1, 2 log2 n + 1).

    References
    ----------
    .. [1] R. Thakur, R. Rabenseifner, W. Gropp, Int. J. High Perform. Comput. Appl. 19 (2005) 49.

    Examples
    --------
    >>> ring_rounds(8.0), ring_rounds(64.0)
    (7.0, 13.0)
    """
    return minimum(steps - 1.0, 2.0 * log2(steps) + 1.0)


def start_time(members: Members, fabric: Fabric, rounds: Callable[[Array], Array] = ring_rounds) -> tuple[Array, Array]:
    r"""Fixed time and hop time of one pass through a group.

    Parameters
    ----------
    members : four of shape (...)   Members inside one domain of each tier [1].
    fabric : Fabric                 Tiers.
    rounds : function               Hops of so many members of a tier.

    Returns
    -------
    base, hops : shape (...) [s]    The base of the outermost tier used; the hops of all tiers.

    Notes
    -----
    Measured only up to eight devices in a domain; beyond, the hops are a prior.

    References
    ----------
    .. [1] R. Thakur, R. Rabenseifner, W. Gropp, Int. J. High Perform. Comput. Appl. 19 (2005) 49.

    Examples
    --------
    >>> from aicompute.machine.records import Tier
    >>> t = Tier(8.0, 0.0, 5e-6, 1e-6, 0.0)
    >>> base, hops = start_time((8.0, 8.0, 8.0, 8.0), (t, t, t, t))
    >>> round(base * 1e6, 3), round(hops * 1e6, 3)
    (5.0, 7.0)
    """
    base: Array = 0.0
    hops: Array = 0.0
    for (below, here), tier in zip(sizes(members), fabric, strict=True):
        steps = here / below
        used = steps > 1.0
        base = where(used, maximum(base, tier.base), base)
        hops = hops + where(used, rounds(steps) * tier.hop, 0.0)
    return base, hops


def pipelined(members: Members, fabric: Fabric, protocol: Protocol) -> Array:
    """Extra traffic of a pipelined ring, over the group's size; none where all read from all.

    Parameters
    ----------
    members : four of shape (...)   Members inside one domain of each tier [1].
    fabric, protocol                Tiers; constants of the library.

    Returns
    -------
    shape (...) [1].

    References
    ----------
    .. [1] R. Thakur, R. Rabenseifner, W. Gropp, Int. J. High Perform. Comput. Appl. 19 (2005) 49.

    Examples
    --------
    >>> from aicompute.machine.records import Tier
    >>> t = Tier(8.0, 0.0, 5e-6, 1e-6, 0.0, passes=1.0)
    >>> pipelined((8.0, 8.0, 8.0, 8.0), (t, t, t, t), Protocol(0.0, 0.8, 0.0, 1.0))
    0.0
    """
    return protocol.granularity * (outermost(members, fabric, lambda t: t.passes, 2.0) - 1.0)


def moved_time(wire: Array, part: Array, members: Members, fabric: Fabric) -> Array:
    r"""Time on the wire with the manner in which a library moves short and long messages.

    Parameters
    ----------
    wire : shape (...)              Time at the full rate [s].
    part : shape (...)              Part of the buffer for one rank [B].
    members : four of shape (...)   Members inside one domain of each tier [1].
    fabric : Fabric                 Tiers; the outermost that is used tells.

    Returns
    -------
    shape (...) [s].

    Notes
    -----
    .. math:: t = \min(w/s,\ w + b) \text{ below the limit, else } w + b

    Kernels move short messages at a share s of the rate; copy engines move long ones at the full rate after a further start b. HCCL on
    910C dies: all-gathers of 0.25 MiB a rank take 21 us, of 1 MiB 160 us. Where kernels move everything s = 1 and b = 0.

    References
    ----------
    .. [1] HCCL of CANN 8.5 on an Atlas A3 server, tables of aiconfigurator-npu (2026).

    Examples
    --------
    >>> from aicompute.machine.records import Tier
    >>> t = Tier(8.0, 0.0, 5e-6, 1e-6, 0.0, direct=0.5, bulk_start=60e-6, bulk_part=1e6)
    >>> [round(moved_time(40e-6, part, (8.0,) * 4, (t, t, t, t)) * 1e6) for part in (5e5, 2e6)]
    [80, 100]
    """
    direct, start, limit = (
        outermost(members, fabric, lambda t: t.direct, 1.0),
        outermost(members, fabric, lambda t: t.bulk_start, 0.0),
        outermost(members, fabric, lambda t: t.bulk_part, float("inf")),
    )
    return where(part < limit, minimum(wire / direct, wire + start), wire + start)


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

    The root is the smooth change from the low-latency to the bandwidth protocol; w as `moved_time` has it. Median error 6 % on 1,666
    measurements of groups of 2 to 8 GPUs of five kinds.

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
    wire = wire_time(message, members, fabric, pipelined(members, fabric, protocol))
    return base + hops + moved_time(wire, message / members[3], members, fabric) + sqrt(protocol.ramp * base * wire)


def custom_all_reduce_time(message: Array, members: Members, fabric: Fabric, protocol: Protocol) -> Array:
    r"""Time of the all-reduce that an inference engine brings along: every rank reads what the others have.

    Parameters
    ----------
    message : shape (...)           Buffer on each device [B].
    members : four of shape (...)   Members inside one domain of each tier [1].
    fabric, protocol                Tiers; constants of the kernels.

    Returns
    -------
    shape (...) [s]; infinite where the engine has none, or the group leaves the domain in which devices write into each other's memory.

    Notes
    -----
    .. math::
        c = \kappa a_1 (1 + p (n - 1)), \quad t = \min\left(c + \frac{(n - 1) M}{e \beta},\
        c + s \kappa a_1 + \frac{2 (n - 1)}{n} \frac{M}{e \beta}\right)

    One phase in which all send all to all, or two (reduce-scatter, all-gather). The start is a few round trips of flags, so it scales
    with the hop a1 of the link: 3.7 hops in TensorRT-LLM, 5 in vLLM and SGLang. Median error 7 % on 1,404 measurements, p90 36 %: two
    versions of the software stand under one label.

    References
    ----------
    .. [1] vLLM, csrc/custom_all_reduce.cuh (one and two phases).

    Examples
    --------
    >>> from aicompute.machine.records import Tier
    >>> t, p = Tier(8.0, 1e-11, 5e-6, 1e-6, 0.0), Protocol(0.0, 0.0, 0.0, 1.0, custom=4.0)
    >>> round(custom_all_reduce_time(1e5, (4.0,) * 4, (t, t, t, t), p) * 1e6, 3)
    5.5
    """
    size = members[3]
    best: Array = float("inf")
    for (below, here), tier in zip(sizes(members), fabric, strict=True):
        if tier.topology not in _LOADS_AND_STORES:
            continue
        whole = (here >= size) & (below <= 1.0) & (protocol.custom > 0.0)
        first = protocol.custom * tier.hop
        start = first * (1.0 + protocol.custom_peer * (size - 1.0))
        wire = (size - 1.0) * message * gather_inverse(tier, size) / protocol.custom_efficiency
        best = minimum(best, where(whole, start + minimum(wire, protocol.custom_second * first + 2.0 * wire / size), float("inf")))
    return best


def all_reduce_time(message: Array, members: Members, fabric: Fabric, protocol: Protocol) -> Array:
    r"""Time of an all-reduce: the best of ring (reduce-scatter + all-gather), addition in the switch, and the engine's own kernel.

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
    round_trip = 2.0 * wire_time(message, members, fabric, pipelined(members, fabric, protocol))
    passes = outermost(members, fabric, lambda t: t.passes, 2.0)
    moved = moved_time(round_trip, 0.5 * message / members[3], members, fabric)
    ring = base + passes * hops + moved + sqrt(protocol.ramp * base * round_trip)
    size = members[3]
    switched: Array = float("inf")
    for (below, here), tier in zip(sizes(members), fabric, strict=True):
        whole = (here >= size) & (below <= 1.0) & (tier.reduction > 0.0) & (size > 2.0)
        wire = message * (1.0 + 1.0 / size) * gather_inverse(tier, size) / protocol.reduction_efficiency
        once = tier.base + protocol.reduction_base + wire
        switched = minimum(switched, where(whole, once, float("inf")))
    own = custom_all_reduce_time(message, members, fabric, protocol)
    return where(size > 1.0, minimum(minimum(ring, switched), own), 0.0)


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
    .. math::
        t = (a_0 + a_1 \log_2 n) p + x a_0 \frac{q}{q + q_0} + w + \sqrt{k\,a_0\,w}, \quad
        w = \max_t M\,\frac{m_t - m_{t-1}}{n}\,\frac{1}{e_t \beta_t}

    Protocol change of a gather; parts q beyond some KiB leave the low-latency protocol and start later. Some libraries start all of them
    later (p). Nothing that crosses a tier is shared by the devices of a domain. Sends among few devices of a mesh or torus pay for its
    links as in `exchange_time`. Median error 8 %.

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
    base, hops = start_time(members, fabric, log2)
    size = members[3]
    part = message / size
    later = protocol.exchange_start * base * part / (part + maximum(protocol.exchange_part, 1e-9))
    wire: Array = 0.0
    for (below, here), tier in zip(sizes(members), fabric, strict=True):
        wire = maximum(wire, (here - below) / size * exchange_inverse(tier, here / below))
    wire = message * wire * (1.0 + pipelined(members, fabric, protocol) / size)
    start = (base + hops) * (1.0 + outermost(members, fabric, lambda t: t.pairwise, 0.0)) + later
    return start + moved_time(wire, 0.0, members, fabric) + sqrt(protocol.ramp * base * wire)


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
