"""What cost is made of, so that it can be computed again under other terms: in the page by its script, here by the same formulas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aicompute.economics.capital import YEAR
from aicompute.economics.cost import CostBreakdown, SiteTerms, cost_per_token, ownership_cost_rate, rental_cost_rate
from aicompute.economics.energy import mean_power
from aicompute.estimate.context import Scene, drawn, scene, standing
from aicompute.estimate.inputs import site_terms
from aicompute.estimate.reading import Sampler, read_value
from aicompute.estimate.result import Estimate
from aicompute.machine.power import unit_power
from aicompute.numerics import Array
from aicompute.report.page.asked import Asked
from aicompute.specs import Spec

PARTS = ("capital", "facility", "energy", "operation")
"""Of a cost, in the order in which pictures stack them."""
HOME = "home"
"""Stands for the home site of each system."""


@dataclass(frozen=True)
class Ledger:
    """What one system costs and delivers, apart from the site. Each field is a float, or draws."""

    price: Array
    """Of a unit [USD]."""
    network: Array
    """Of the scale-out network for a unit, 0 where there is one unit only [USD]."""
    units: float
    accelerators: float
    rated: Array
    """IT power that is paid for [W]."""
    busy: Array
    """IT power at work [W]."""
    idle: Array
    """IT power while nothing runs [W]."""
    rate: Array
    """Tokens delivered per second at work, failures included [token/s]."""

    def cost(self, terms: SiteTerms, use: Array, imported: float, rent: float | None = None) -> CostBreakdown:
        """Cost of owning it for a second [USD/s]; of renting it where a rent [USD/(accelerator s)] is given.

        Parameters
        ----------
        terms : SiteTerms
        use : shape (...)   Share of the time at work [1].
        imported : float    Share of the price that is imported [1].
        rent : float, optional
        """
        mean = mean_power(self.busy, self.idle, use)
        if rent is not None:
            nothing = 0.0 * mean
            return CostBreakdown(rental_cost_rate(rent, self.accelerators) + nothing, nothing, nothing, nothing)
        return ownership_cost_rate(self.units * (self.price + self.network), self.rated, mean, terms, imported=imported, period=YEAR)

    def per_token(self, terms: SiteTerms, use: Array, imported: float, rent: float | None = None) -> Array:
        """Cost of a token [USD]."""
        return cost_per_token(self.cost(terms, use, imported, rent).total, self.rate, use)


@dataclass(frozen=True)
class Place:
    """A site for one system."""

    terms: SiteTerms
    drawn: SiteTerms
    imported: float
    """Share of the price that is imported."""
    eligible: bool


@dataclass(frozen=True)
class Books:
    """Ledgers of both systems, and every site for both."""

    ledgers: tuple[Ledger, Ledger]
    drawn: tuple[Ledger, Ledger]
    places: Mapping[str, tuple[Place, Place]]
    names: Mapping[str, str]
    """Of the sites."""
    site: str
    """Of the scenario."""
    use: float
    rent: float | None

    def per_token(self, system: int, site: str, use: Array | None = None, **terms: Array) -> Array:
        """Cost of a token at a site, some of its terms given [USD]."""
        place = self.places[site][system]
        used = self.use if use is None else use
        return self.ledgers[system].per_token(replace(place.terms, **terms), used, place.imported, self.rent)

    def draws_per_token(self, system: int, site: str, use: Array | None = None, **terms: Array) -> NDArray[np.float64]:
        """Draws of the same, shared by the systems [USD]."""
        place = self.places[site][system]
        used = self.use if use is None else use
        found = self.drawn[system].per_token(replace(place.drawn, **terms), used, place.imported, self.rent)
        return np.asarray(found, dtype=float)

    def stack(self, system: int, site: str) -> dict[str, float] | None:
        """Parts of the cost of a million tokens [USD]; None where the terms of the site do not hold for the system."""
        return self.parts(system, site) if self.places[site][system].eligible else None

    def parts(self, system: int, site: str) -> dict[str, float]:
        """The same, whether the terms hold or not."""
        place, ledger = self.places[site][system], self.ledgers[system]
        cost = ledger.cost(place.terms, self.use, place.imported, self.rent).scaled(1e6 / (float(ledger.rate) * self.use))
        return {name: float(getattr(cost, name)) for name in PARTS}


def books(asked: Asked) -> Books | None:
    """Ledgers and places of a scenario; None where one of two cannot do it."""
    estimates = asked.main.estimates
    if not all(estimate.feasible for estimate in estimates):
        return None
    first, second = (_ledgers(asked, estimate) for estimate in estimates)
    specs = [asked.spec(estimate) for estimate in estimates]
    sites = asked.sites
    places = {site: _places(asked, [site, site], specs) for site in sites}
    names = {site: asked.library.load("sites", site).name for site in sites}
    if all(home in places for home in asked.homes):
        places = {HOME: _places(asked, asked.homes, specs), **places}
        names = {HOME: "each at home", **names}
    given = asked.options.sites[0] if asked.options.sites else "us-average"
    site = HOME if given == HOME else estimates[0].site
    return Books((first[0], second[0]), (first[1], second[1]), places, names, site, asked.used, asked.options.rent)


def _ledgers(asked: Asked, estimate: Estimate) -> tuple[Ledger, Ledger]:
    """The ledger of an answer, and its draws."""
    s = scene_of(asked, estimate)
    each = 1.0 / asked.used
    made = []
    for r, pick in ((standing(s), "value"), (drawn(s, asked.options.samples), "draws")):
        m = {name: _picked(estimate, name, pick) for name in ("it_power", "cost_per_hour", "cost_per_token")}
        units, power = s.accelerators / s.per_unit, r.power
        made.append(
            Ledger(
                price=r.price,
                network=r.network_price if units > 1.0 else 0.0,
                units=units,
                accelerators=s.accelerators,
                rated=unit_power(power.tdp * s.per_unit, r.rest).total * units,
                busy=m["it_power"],
                idle=unit_power(power.tdp * power.idle_fraction * s.per_unit, r.rest, load=0.0).total * units,
                rate=m["cost_per_hour"] / m["cost_per_token"] * each,
            )
        )
    return made[0], made[1]


def scene_of(asked: Asked, estimate: Estimate) -> Scene:
    """The scene behind an answer."""
    o = asked.options
    kind = estimate.workload
    return scene(
        asked.library, estimate.system, asked.model, kind, estimate.site, o.stack, o.precision, estimate.accelerators, asked.used, o.rent
    )


def _picked(estimate: Estimate, name: str, pick: str) -> Any:
    metric = estimate.metrics[name]
    return metric.value if pick == "value" or metric.draws is None else metric.draws


def _places(asked: Asked, sites: Sequence[str], specs: Sequence[Spec]) -> tuple[Place, Place]:
    """Sites of both systems, one each; equal facts share their draws with those of the answer."""
    sampler, made = Sampler(asked.options.samples), []
    for name, system in zip(sites, specs, strict=True):
        site = asked.library.load("sites", name)
        vendors = site.get("eligible.vendors", [])
        made.append(
            Place(
                site_terms(site, system, read_value),
                site_terms(site, system, sampler),
                0.0 if system.get("home_site", "") == site.id else 1.0,
                not vendors or system.get("vendor") in vendors,
            )
        )
    return made[0], made[1]


def money_unit(amount: float) -> tuple[float, str]:
    """The unit in which a price is said: its size in USD, and its name.

    Examples
    --------
    >>> money_unit(3.1e6), money_unit(45e3)
    ((1000000.0, 'million $'), (1000.0, 'thousand $'))
    """
    return (1e6, "million $") if amount >= 1e6 else (1e3, "thousand $")


@dataclass(frozen=True)
class HeatMap:
    """Probability that the first system is cheaper per token."""

    prices: NDArray[np.float64]
    """Of electricity, shape (p,) [USD/J]."""
    uses: NDArray[np.float64]
    """Shares of the time in use, shape (u,) [1]."""
    chance: NDArray[np.float64]
    """Shape (u, p) [1]."""


PRICES = np.array([0.02, 0.04, 0.06, 0.08, 0.10, 0.14, 0.20, 0.30]) / 3.6e6
"""Of electricity, from the cheapest hubs to households [USD/J]."""
USES = np.array([1.0, 0.8, 0.6, 0.4, 0.2])


def heat_map(found: Books) -> HeatMap:
    """Over prices of electricity and shares of use, from shared draws; plan and rate stay as they were found."""
    chance = np.empty((len(USES), len(PRICES)))
    for row, use in enumerate(USES):
        for column, price in enumerate(PRICES):
            first, second = (found.draws_per_token(k, found.site, float(use), electricity_price=float(price)) for k in (0, 1))
            chance[row, column] = float(np.mean(first < second))
    return HeatMap(PRICES, USES, chance)


@dataclass(frozen=True)
class BreakEven:
    """Where a token costs the same on both systems."""

    prices: NDArray[np.float64]
    """Of a unit of the first, shape (n,) [USD]."""
    rates: Mapping[str, NDArray[np.float64]]
    """Tokens/s per accelerator of the second at which it costs as much, for its price as it is, low and high; shape (n,) [token/s]."""
    price: tuple[float, float, float]
    """Of a unit of the first, with its range [USD]."""
    rate: tuple[float, float, float]
    """Of an accelerator of the second, with its interval [token/s]."""
    seconds_price: tuple[float, float, float]
    """Of a unit of the second, with its range [USD]."""
    at_price: float
    """Price of the first at which both cost the same, all else as found [USD]; negative where none does."""


def break_even(asked: Asked, found: Books) -> BreakEven | None:
    """The line on which both systems cost the same, over the price of the first; None for rented systems."""
    if found.rent is not None:
        return None
    first, second = found.ledgers
    spec_a, spec_b = (asked.spec(estimate) for estimate in asked.main.estimates)
    price_a, price_b = (spec.value("price.unit") for spec in (spec_a, spec_b))
    here, there = found.places[found.site]
    metric = asked.main.estimates[1].metrics["tokens_per_s_per_accelerator"]
    share = float(second.rate) / second.accelerators / metric.value  # delivered over reached: failures of a training run

    def cost_of(ledger: Ledger, price: Array, place: Place) -> Array:
        return replace(ledger, price=price).per_token(place.terms, found.use, place.imported)

    target = float(cost_of(second, second.price, there))
    at_zero, at_one = float(cost_of(first, 0.0, here)), float(cost_of(first, 1e6, here))
    equal = (target - at_zero) / (at_one - at_zero) * 1e6
    prices = np.linspace(0.0, 1.15 * max(price_a.high, min(equal, 3.0 * price_a.high)), 61)
    of_first = np.asarray(cost_of(first, prices, here))
    per_rate = {}
    for name in ("value", "low", "high"):
        dear = replace(second, price=getattr(price_b, name)).cost(there.terms, found.use, there.imported).total
        per_rate[name] = float(dear) / found.use / second.accelerators / of_first / share
    rates = {name: np.asarray(values) for name, values in per_rate.items()}
    a, b = ((v.value, v.low, v.high) for v in (price_a, price_b))
    return BreakEven(prices, rates, a, (metric.value, metric.low, metric.high), b, equal)
