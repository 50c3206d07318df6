"""From what a device does to what the owner pays: power, energy, money, carbon. Arrays in, arrays out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from aicompute.economics.capital import YEAR
from aicompute.economics.carbon import carbon_per_token, embodied_carbon_rate, operational_carbon
from aicompute.economics.cost import CostBreakdown, cost_per_token, ownership_cost_rate, rental_cost_rate
from aicompute.economics.energy import energy_per_token, mean_power
from aicompute.estimate.context import Records, Scene
from aicompute.estimate.kernels import Timed
from aicompute.machine.power import accelerator_power, issued_rows, site_power, unit_power
from aicompute.numerics import Array, minimum, where


@dataclass(frozen=True)
class Account:
    """Power and money of a system at a throughput."""

    accelerator_power: Array
    it_power: Array
    site_power: Array
    energy_per_token: Array
    capital: Array
    cost: CostBreakdown
    cost_rate: Array
    cost_per_token: Array
    carbon_per_token: Array
    embodied_carbon_per_token: Array | None
    """Of the accelerators and their boards; None where nobody knows."""


def issued_flops(timed: Iterable[Timed], extra: Array) -> Array:
    """FLOPs that matrix units work on in one forward pass, rows issued for nothing among them [FLOP]."""
    total: Array = 0.0
    for t in timed:
        rows = t.operator.rows
        total = total + (t.flops * issued_rows(rows, extra) / (rows + 1e-30) if t.operator.is_matrix else t.flops)
    return total


@dataclass(frozen=True)
class Activity:
    """What a share of the devices does while the system works; what no activity claims idles."""

    share: Array
    """Of all devices and of the time [1]."""
    flops_rate: Array
    """Of one device at it, rows issued for nothing included [FLOP/s]."""
    bytes_rate: Array
    """Of one device at it [B/s]."""
    wire_rate: Array
    """Of one device at it [B/s]."""


def busy_power(s: Scene, r: Records, activities: Sequence[Activity]) -> Array:
    """Mean power of an accelerator while the system works, over what its devices do [W]."""
    p, each = r.power, s.devices_each
    idle = p.tdp * p.idle_fraction
    mean: Array = 0.0
    working: Array = 0.0
    for a in activities:
        power = accelerator_power(
            p.tdp,
            p.peak,
            p.idle_fraction,
            p.energy_per_byte,
            p.compute,
            p.exponent,
            a.flops_rate * each,
            a.bytes_rate * each,
            a.wire_rate * each,
        )
        power = minimum(idle + (power - idle) * p.residual, p.tdp)
        mean = mean + a.share * power
        working = working + a.share
    return mean + (1.0 - working) * idle


def account(s: Scene, r: Records, tokens_rate: Array, activities: Sequence[Activity]) -> Account:
    """Power, energy and money of a scene.

    Parameters
    ----------
    s, r : Scene, Records
    tokens_rate : shape (...)   Tokens per second of the whole system while it works.
    activities : sequence of Activity   What the devices do meanwhile.

    Returns
    -------
    Account.

    Notes
    -----
    All accelerators allotted are powered and paid, working or not; capital, building and operation are paid always, energy follows use,
    idle time at idle power, and so energy, cost and carbon of a token share one boundary. Units are counted in fractions, so that a budget
    of any size can be compared; more than one unit pays for the scale-out network.

    References
    ----------
    .. [1] L. A. Barroso, U. Hölzle, P. Ranganathan, The Datacenter as a Computer, 3rd ed. (2018), chapter 6.
    """
    p = r.power
    units = s.accelerators / s.per_unit
    busy_each = busy_power(s, r, activities)
    busy = unit_power(busy_each * s.per_unit, r.rest).total * units
    rated = unit_power(p.tdp * s.per_unit, r.rest).total * units
    idle = unit_power(p.tdp * p.idle_fraction * s.per_unit, r.rest, load=0.0).total * units
    mean = mean_power(busy, idle, s.utilisation)
    capital = units * (r.price + where(units > 1.0, r.network_price, 0.0))
    if s.rent is None:
        foreign = 0.0 if s.system.get("home_site") == s.site.id else 1.0
        cost = ownership_cost_rate(capital, rated, mean, r.terms, imported=foreign, period=YEAR)
    else:
        nothing = 0.0 * mean
        cost = CostBreakdown(rental_cost_rate(s.rent, s.accelerators) + nothing, nothing, nothing, nothing)
    used = tokens_rate * s.utilisation
    making = None if r.embodied is None else embodied_carbon_rate(s.accelerators * r.embodied, r.terms.capital_life)
    return Account(
        accelerator_power=busy_each,
        it_power=busy,
        site_power=site_power(busy, r.terms.pue),
        energy_per_token=energy_per_token(mean, r.terms.pue, used),
        capital=capital,
        cost=cost,
        cost_rate=cost.total,
        cost_per_token=cost_per_token(cost.total, tokens_rate, s.utilisation),
        carbon_per_token=operational_carbon(mean, r.terms.pue, r.carbon) / used,
        embodied_carbon_per_token=None if making is None else carbon_per_token(0.0, making, used),
    )
