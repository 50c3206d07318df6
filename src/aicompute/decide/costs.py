"""The cost of a cluster as a tree that adds up: capital by component, building, energy by consumer, operation; or rent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from aicompute.decide.formulas import FORMULAS, inputs_of
from aicompute.decide.offer import Holding, Ledger, Offer, Place, kept_rate, of_estimate, place_of
from aicompute.economics.capital import capital_cost_parts
from aicompute.economics.cost import rental_cost_rate
from aicompute.economics.energy import demand_cost_rate, energy_cost_rate, mean_power
from aicompute.errors import InfeasibleError, UnknownNameError
from aicompute.estimate.reading import Sampler
from aicompute.estimate.result import Estimate, Metric, Origin, metric_of
from aicompute.estimate.workload import Workload
from aicompute.numerics import Array, maximum, sum_of
from aicompute.search.compare import Options, estimate_system
from aicompute.specs import Library

HOUR = 3600.0
PARTS = ("capital", "facility", "energy", "operation", "rent")
"""The first level of a tree; what is owned has the first four, what is rented the last."""
NETWORK = ("network", "nics", "switches", "optics", "network between units")
"""Components and consumers that join accelerators."""
WHOLE = "unit"
"""Component of a price that no source splits."""

Leaves = dict[tuple[str, ...], Array]
"""Costs by their way from the root [USD/s]."""


def component_prices(offer: Offer) -> dict[str, Array]:
    """Prices of all that is bought, by component, import tax among them [USD].

    Notes
    -----
    Parts that together cost more than the unit are taken as its shares: the price of the unit is what is paid.
    """
    paid = offer.unit_price * offer.units
    known = sum_of(offer.parts.values())
    scale = paid / maximum(offer.unit_price, known)
    found = {name: price * scale for name, price in offer.parts.items()}
    found["rest of the unit" if found else WHOLE] = paid - known * scale
    found["network between units"] = offer.network_price * offer.joined
    found["import tax"] = (paid + found["network between units"]) * offer.terms.import_tax * offer.foreign
    return found


def leaves_of(offer: Offer) -> Leaves:
    """Every cost of a cluster that is not a sum of others.

    Parameters
    ----------
    offer : Offer   Floats, or draws.

    Returns
    -------
    dict of ways to costs [USD/s] whose sum is `economics.cost.ownership_cost_rate`, or the rent.
    """
    if offer.rent is not None:
        paid = offer.utilisation if offer.on_demand else 1.0
        return {("rent", "rent"): rental_cost_rate(offer.rent, offer.accelerators, paid)}
    t = offer.terms
    prices = component_prices(offer)
    found: Leaves = {}
    for name, price in prices.items():
        for part, cost in capital_cost_parts(price, t.capital_rate, t.capital_life, t.capital_residual).parts.items():
            found["capital", name, part] = cost
    if offer.colocation is None:
        building = capital_cost_parts(offer.rated * t.facility_capital, t.facility_rate, t.facility_life)
        found |= {("facility", "building", part): cost for part, cost in building.parts.items()}
    else:
        found["facility", "colocation"] = offer.rated * offer.colocation
    for name in offer.busy:
        power = mean_power(offer.busy[name], offer.idle[name], offer.utilisation)
        found["energy", name] = energy_cost_rate(power, 1.0, t.electricity_price)
    found["energy", "building (PUE)"] = sum_of(list(found[way] for way in found if way[0] == "energy")) * (t.pue - 1.0)
    found["energy", "demand charge"] = demand_cost_rate(offer.rated, t.pue, t.demand_charge)
    found["operation", "staff, maintenance, spares"] = sum_of(prices.values()) * t.operation_fraction
    return found


@dataclass(frozen=True)
class Node:
    """A cost of a tree: a sum of others, or a formula of inputs."""

    name: str
    cost: Metric
    """USD per second of the whole cluster."""
    formula: str
    inputs: tuple[str, ...] = ()
    """Keys of the tree's origins."""
    children: tuple[Node, ...] = ()

    def __getitem__(self, name: str) -> Node:
        """A part by its name.

        Raises
        ------
        UnknownNameError
            There is none; the nearest are named.
        """
        for child in self.children:
            if child.name == name:
                return child
        raise UnknownNameError(f"part of {self.name}", name, [child.name for child in self.children])

    def __contains__(self, name: object) -> bool:
        """Whether there is such a part."""
        return any(child.name == name for child in self.children)

    def walk(self, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Node]]:
        """Itself and all below it with their ways from the root."""
        yield above, self
        for child in self.children:
            yield from child.walk((*above, child.name))

    def cents(self, factor: float) -> dict[tuple[str, ...], int]:
        """Amounts in cents by way: leaves rounded, sums added, so that they add up at every level.

        Parameters
        ----------
        factor : float   Seconds of the time that is paid, times units of a currency per USD.
        """
        found: dict[tuple[str, ...], int] = {}

        def add(node: Node, way: tuple[str, ...]) -> int:
            found[way] = 0  # before its parts, as a table has it
            below = [add(child, (*way, child.name)) for child in node.children]
            found[way] = sum(below) if below else round(node.cost.value * factor * 100.0)
            return found[way]

        add(self, ())
        return found


@dataclass(frozen=True)
class CostTree:
    """What a cluster costs at a site."""

    system: str
    system_name: str
    site: str
    site_name: str
    accelerators: float
    units: float
    how: Holding
    root: Node
    """USD per second."""
    capital: Metric
    """What is bought, import tax included [USD]; 0 where rented."""
    rated: Metric
    """IT power that the building is made for [W]."""
    tokens_rate: Metric | None
    """Tokens per second at work, of all accelerators; None without a workload."""
    estimate: Estimate | None
    origins: Mapping[str, Origin]
    network: Metric
    """Share of the cost that joins accelerators: network priced apart, and the energy of NICs, switches and optics."""
    offer: Offer
    drawn: Offer | None

    def __getitem__(self, name: str) -> Node:
        """A first part of the tree: capital, facility, energy, operation or rent."""
        return self.root[name]

    def per_accelerator_hour(self, name: str | None = None) -> float:
        """USD per accelerator-hour of all, or of one first part."""
        node = self.root if name is None else self.root[name]
        return node.cost.value * HOUR / self.accelerators

    def per_token(self, node: Node | None = None) -> Metric | None:
        """USD per token of a node; None without a workload."""
        if self.tokens_rate is None:
            return None
        cost, used = (node or self.root).cost, self.offer.utilisation
        value = cost.value / (self.tokens_rate.value * used)
        if cost.draws is None and self.tokens_rate.draws is None:
            return metric_of(value, None, "USD")
        above, below = (metric.value if metric.draws is None else metric.draws for metric in (cost, self.tokens_rate))
        return metric_of(value, above / (below * used), "USD")


@dataclass(frozen=True)
class Work:
    """What the cluster does."""

    model: str
    workload: Workload
    options: Options


def cost_tree(lib: Library, system: str, site: str | None, how: Holding, work: Work | None = None, samples: int = 400) -> CostTree:
    """The cost of a system at a site.

    Parameters
    ----------
    lib : Library
    system : str          Id or alias.
    site : str, optional  Id, "home", or None: the US average.
    how : Holding         How it is held and used.
    work : Work, optional What it does; without it all accelerators run at their limit while they are used.
    samples : int         Draws behind the intervals; 0: none. They are those of an estimate in the same scenario.

    Raises
    ------
    AicomputeError
        Unknown names, an ineligible site, a price that is listed nowhere, no feasible plan.
    """
    place = place_of(lib, system, site)
    found = None if work is None else estimate_of(lib, place, how, work, samples)
    ledger = Ledger()
    offer = of_estimate(place, how, found, ledger, drawn=False)
    drawn = of_estimate(place, how, found, Sampler(samples), drawn=True) if samples else None
    costs, sampled = leaves_of(offer), leaves_of(drawn) if drawn else None
    root = _node((), f"cost of {place.system.id}", costs, sampled, place, offer)
    joined = [way for way in costs if way[1] in NETWORK]
    share = sum_of([costs[way] for way in joined]) / sum_of(costs.values())
    shares = sum_of([sampled[way] for way in joined]) / sum_of(sampled.values()) if sampled else None
    bought, drawn_capital = _bought(offer), _bought(drawn) if drawn else None
    return CostTree(
        system=place.system.id,
        system_name=place.system.name,
        site=place.site.id,
        site_name=place.site.name,
        accelerators=offer.accelerators,
        units=offer.units,
        how=how,
        root=root,
        capital=metric_of(bought, drawn_capital, "USD"),
        rated=metric_of(offer.rated, drawn.rated if drawn else None, "W"),
        tokens_rate=None if found is None else kept_rate(found),
        estimate=found,
        origins=ledger.seen,
        network=metric_of(share, shares, "1"),
        offer=offer,
        drawn=drawn,
    )


def estimate_of(lib: Library, place: Place, how: Holding, work: Work, samples: int) -> Estimate:
    """What a cluster does at its best plan.

    Raises
    ------
    InfeasibleError
        No plan fits; the reason says what would do.
    """
    options = replace(
        work.options, sites=(place.site.id,), accelerators=how.accelerators, utilisation=how.utilisation, samples=samples, rent=None
    )
    found = estimate_system(lib, place.system.id, work.model, work.workload, options)
    if not found.feasible:
        raise InfeasibleError(f"{found.system} cannot do this: {found.reason}")
    return found


def _bought(offer: Offer) -> Array:
    """Price of all that is owned [USD]."""
    return 0.0 if offer.rent is not None else sum_of(component_prices(offer).values())


def _node(way: tuple[str, ...], name: str, costs: Leaves, sampled: Leaves | None, place: Place, offer: Offer) -> Node:
    """A node and all below it; costs that are zero whatever is drawn are left out."""
    own = [other for other in costs if other[: len(way)] == way]
    value = sum_of([costs[other] for other in own])
    draws = sum_of([sampled[other] for other in own]) if sampled else None
    cost = metric_of(value, draws, "USD/s")
    if own == [way]:
        return Node(name, cost, FORMULAS.get(_kind(way), "as given"), inputs_of(way, place, offer))
    below = dict.fromkeys(other[len(way)] for other in own if _counts(other, costs, sampled))
    children = tuple(_node((*way, part), part, costs, sampled, place, offer) for part in below)
    return Node(name, cost, "the sum of its parts", (), children)


def _counts(way: tuple[str, ...], costs: Leaves, sampled: Leaves | None) -> bool:
    """Whether a cost is anything but zero, a cent in a thousand years not counted."""
    largest = float(np.max(np.abs(sampled[way]))) if sampled else 0.0
    return max(abs(float(costs[way])), largest) > 1e-12


def _kind(way: tuple[str, ...]) -> str:
    """The key of a leaf's formula: its first and last name."""
    return f"{way[0]}.{way[-1]}"
