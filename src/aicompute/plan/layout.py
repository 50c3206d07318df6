"""Where a parallel group sits in the fabric."""

from __future__ import annotations

from dataclasses import dataclass

from aicompute.machine.records import Fabric
from aicompute.numerics import Array, floor, maximum, minimum, where


@dataclass(frozen=True, slots=True)
class Span:
    """A group of devices seen through the tiers."""

    size: Array
    """Devices in the group [1]."""
    members: tuple[Array, Array, Array, Array]
    """Members of the group inside one domain of each tier, cumulative [1]."""


def place(group: Array, stride: Array, fabric: Fabric) -> Span:
    r"""Spread a group whose neighbours are ``stride`` devices apart over the tiers.

    Parameters
    ----------
    group : shape (...)    Devices in the group [1].
    stride : shape (...)   Distance of neighbours in rank order: the product of the inner dimensions [1].
    fabric : Fabric        Tiers from the inside out.

    Returns
    -------
    Span with shape (...) members.

    Notes
    -----
    .. math:: m_t = \min(g, \max(1, \lfloor D_t / \sigma \rfloor))

    The outermost tier holds everybody, so that no group shrinks where the fabric ends. Ranks are numbered tp fastest, then cp, dp (ep
    inside it), pp; so tp sits on the innermost tier.

    References
    ----------
    .. [1] D. Narayanan et al., arXiv:2104.04473, section 3 (tensor parallel inside a server, pipeline across).

    Examples
    --------
    >>> from aicompute.machine.records import Tier
    >>> node, rail = Tier(8.0, 1e-12, 0.0, 0.0, 0.0), Tier(1024.0, 1e-11, 0.0, 0.0, 0.0)
    >>> place(16.0, 4.0, (node, rail, rail, rail)).members
    (2.0, 16.0, 16.0, 16.0)
    """
    last = fabric[3]
    inner, middle, outer, all_of_it = (
        group if tier is last else minimum(group, maximum(1.0, floor(tier.domain / stride))) for tier in fabric
    )
    return Span(group, (inner, middle, outer, all_of_it))


def expert_tensor_ranks(tp: Array, ep: Array, data_ranks: Array) -> Array:
    """Ranks that share one expert: the tensor group, unless the expert group is so wide that it takes the tensor ranks too.

    Parameters
    ----------
    tp, ep : shape (...)       Tensor ranks; ranks over which experts are spread [1].
    data_ranks : shape (...)   Data and context ranks [1].

    Returns
    -------
    shape (...) [1].

    References
    ----------
    .. [1] NVIDIA, Megatron Core documentation, expert tensor parallelism (by default the tensor group).

    Examples
    --------
    >>> expert_tensor_ranks(4.0, 8.0, 64.0), expert_tensor_ranks(2.0, 32.0, 16.0)
    (4.0, 1.0)
    """
    return where(ep > data_ranks, 1.0, tp)
