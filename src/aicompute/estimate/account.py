"""From what a device does to what the owner pays: power, energy, money, carbon. Arrays in, arrays out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from aicompute.economics.capital import YEAR
from aicompute.economics.carbon import carbon_per_token, embodied_carbon_rate, operational_carbon
from aicompute.economics.cost import CostBreakdown, cost_per_token, ownership_cost_rate, rental_cost_rate
from aicompute.economics.energy import energy_per_token, mean_power
from aicompute.estimate.context import Records, Scene
from aicompute.estimate.kernels import Timed
from aicompute.machine.power import accelerator_power, issued_rows, site_power, unit_power
from aicompute.numerics import Array, where


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
    mean: Array = 0.0
    working: Array = 0.0
    for a in activities:
        # of a device, whose share of limit and peak is one in so many
        power = accelerator_power(
            p.tdp / each,
            p.peak / each,
            p.idle_fraction,
            p.energy_per_byte,
            p.compute,
            p.exponent,
            a.flops_rate,
            a.bytes_rate,
            a.wire_rate,
            p.residual,
        )
        mean = mean + a.share * each * power
        working = working + a.share
    return mean + (1.0 - working) * (p.tdp * p.idle_fraction)


@dataclass(frozen=True)
class Account:
    """Power and money of a system at a throughput; each found when it is asked for."""

    scene: Scene
    records: Records
    tokens_rate: Array
    """Of the whole system while it works [token/s]."""
    accelerator_power: Array
    """Mean of an accelerator while the system works [W]."""

    @cached_property
    def units(self) -> Array:
        """Units of sale, in fractions."""
        return self.scene.accelerators / self.scene.per_unit

    @cached_property
    def it_power(self) -> Array:
        """All units at work, at the AC side [W]."""
        return self._all_units(self.accelerator_power)

    def _all_units(self, each: Array, load: float = 1.0) -> Array:
        # a unit's power is linear in that of its accelerators: two operations on what may be an array
        r, s = self.records, self.scene
        rest = unit_power(0.0, r.rest, load).total * self.units
        return each * (s.per_unit * self.units / r.rest.conversion) + rest

    @cached_property
    def site_power(self) -> Array:
        """At the meter of the building, while it works [W]."""
        return site_power(self.it_power, self.records.terms.pue)

    @cached_property
    def mean_power(self) -> Array:
        """IT power with idle time [W]."""
        p = self.records.power
        return mean_power(self.it_power, self._all_units(p.tdp * p.idle_fraction, load=0.0), self.scene.utilisation)

    @cached_property
    def _used(self) -> Array:
        return self.tokens_rate * self.scene.utilisation

    @cached_property
    def energy_per_token(self) -> Array:
        """At the meter [J/token]."""
        return energy_per_token(self.mean_power, self.records.terms.pue, self._used)

    @cached_property
    def capital(self) -> Array:
        """Price of all equipment [USD]."""
        r = self.records
        return self.units * (r.price + where(self.units > 1.0, r.network_price, 0.0))

    @cached_property
    def cost(self) -> CostBreakdown:
        """By parts [USD/s]."""
        s, r = self.scene, self.records
        if s.rent is not None:
            nothing = 0.0 * self.accelerator_power
            return CostBreakdown(rental_cost_rate(s.rent, s.accelerators) + nothing, nothing, nothing, nothing)
        foreign = 0.0 if s.system.get("home_site") == s.site.id else 1.0
        rated = self._all_units(r.power.tdp)
        return ownership_cost_rate(self.capital, rated, self.mean_power, r.terms, imported=foreign, period=YEAR)

    @cached_property
    def cost_rate(self) -> Array:
        """[USD/s]."""
        return self.cost.total

    @cached_property
    def cost_per_token(self) -> Array:
        """[USD/token]."""
        return cost_per_token(self.cost_rate, self.tokens_rate, self.scene.utilisation)

    @cached_property
    def carbon_per_token(self) -> Array:
        """[kg/token]."""
        return operational_carbon(self.mean_power, self.records.terms.pue, self.records.carbon) / self._used

    @cached_property
    def embodied_carbon_per_token(self) -> Array | None:
        """Of making the accelerators and their boards; None where nobody knows [kg/token]."""
        r = self.records
        if r.embodied is None:
            return None
        making = embodied_carbon_rate(self.scene.accelerators * r.embodied, r.terms.capital_life)
        return carbon_per_token(0.0, making, self._used)


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
    return Account(s, r, tokens_rate, busy_power(s, r, activities))
