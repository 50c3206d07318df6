"""Make tokens or buy them: a cluster of one's own, or a rented one, against list prices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from aicompute.decide.apis import ApiOffer, Shape
from aicompute.decide.costs import CostTree, Work, cost_tree, leaves_of
from aicompute.decide.offer import Holding, Offer, place_of
from aicompute.economics.breakeven import break_even_volume
from aicompute.errors import InfeasibleError, UsageError
from aicompute.estimate.result import Metric, metric_of
from aicompute.numerics import Array, ceil, maximum, sum_of, where
from aicompute.specs import Library

DAY = 86_400.0
MOST_UNITS = 64
"""Units that the smallest cluster may have; a model that fits no such cluster is not served by it."""
KINDS = ("own", "rented")


@dataclass(frozen=True)
class Plant:
    """A cluster that makes tokens, as numbers: floats, or draws. Tokens are those in and out together."""

    fixed: Array
    """What one unit costs however much it makes [USD/s]."""
    between: Array
    """What joins it to others, where there are any [USD/s]."""
    variable: Array
    """Cost of one more token [USD/token]."""
    rate: Array
    """Tokens per second that one unit makes at work."""

    def fixed_of(self, units: Array) -> Array:
        """Fixed cost of whole units [USD/s]."""
        return units * (self.fixed + where(units > 1.0, self.between, 0.0))


@dataclass(frozen=True)
class Hosting:
    """A way to make tokens."""

    kind: str
    """own or rented."""
    tree: CostTree
    least_units: int
    """Of the smallest cluster."""
    most_use: float
    """Largest mean utilisation that demand over the day allows."""
    plant: Plant
    drawn: Plant | None

    def per_token(self, volume: Array | None = None) -> Metric:
        """USD per token at a volume [token/s]; None: the smallest cluster at its largest mean utilisation."""
        units = float(self.least_units)

        def cost(plant: Plant) -> Array:
            if volume is None:
                return plant.fixed_of(units) / (plant.rate * units * self.most_use) + plant.variable
            return plant.fixed_of(self.units_for(plant, volume)) / volume + plant.variable

        return metric_of(cost(self.plant), cost(self.drawn) if self.drawn else None, "USD")

    def units_for(self, plant: Plant, volume: Array) -> Array:
        """Whole units for a volume, the smallest cluster at least."""
        clusters = ceil(volume / (plant.rate * self.least_units * self.most_use) * (1.0 - 1e-12))
        return maximum(clusters, 1.0) * self.least_units


@dataclass(frozen=True)
class Verdict:
    """A way to make tokens against an offer."""

    offer: ApiOffer
    hosting: Hosting
    price: float
    """Of the offer [USD/token]."""
    volume: Metric | None
    """Tokens per second from which the smallest cluster costs less; None where it never does."""
    utilisation: Metric | None
    """Of the smallest cluster at that volume; above `Hosting.most_use` it cannot be had."""
    reachable: bool
    """Whether demand over the day allows that utilisation."""
    probability: float
    """Share of the draws in which it is reachable; nan without draws."""
    factor: Metric | None
    """Cost of making over price at the volume asked; None where none was asked."""
    cheaper: float
    """Probability that making is cheaper at that volume; nan without draws or volume."""


@dataclass(frozen=True)
class MakeOrBuy:
    """The answer: every way to make tokens against every offer."""

    model: str
    shape: Shape
    hours: str
    date: str | None
    volume: float | None
    """Tokens per second, in and out."""
    hostings: tuple[Hosting, ...]
    offers: tuple[ApiOffer, ...]
    verdicts: tuple[Verdict, ...]

    def of(self, offer: ApiOffer) -> tuple[Verdict, ...]:
        """The verdicts on an offer."""
        return tuple(each for each in self.verdicts if each.offer is offer)


def hosting_of(lib: Library, system: str, site: str | None, how: Holding, work: Work, samples: int) -> Hosting:
    """The smallest whole cluster that serves a model, and what it costs.

    Parameters
    ----------
    lib, system, site, how, work, samples   As of `cost_tree`; ``how.accelerators`` sets the smallest cluster, in whole units.

    Raises
    ------
    InfeasibleError
        The model does not fit `MOST_UNITS` units, or no plan meets the latency.
    """
    if work.workload.kind != "serving":
        raise UsageError(f"make or buy needs a whole service, not {work.workload.kind}: an API reads prompts and writes answers")
    place = place_of(lib, system, site)
    units = 1 if how.accelerators is None else math.ceil(how.accelerators / place.per_unit - 1e-9)
    while True:
        try:
            tree = cost_tree(lib, system, place.site.id, replace(how, accelerators=units * place.per_unit), work, samples)
            break
        except InfeasibleError:
            if how.accelerators is not None or 2 * units > MOST_UNITS:
                raise
            units *= 2
    ratio = (work.workload.input_length + work.workload.output_length) / work.workload.output_length
    drawn = _plant(tree.drawn, ratio, units) if tree.drawn is not None else None
    return Hosting("own" if how.rent is None else "rented", tree, units, how.utilisation, _plant(tree.offer, ratio, units), drawn)


def _plant(offer: Offer, ratio: float, units: int) -> Plant:
    """A plant from an offer: cost is a straight line in utilisation, and in the network between units."""
    if offer.tokens_rate is None:
        raise UsageError("no rate of tokens")
    idle, busy = (_total(replace(offer, joined=0.0, utilisation=use)) for use in (0.0, 1.0))
    joined = _total(replace(offer, joined=offer.units, utilisation=0.0))
    rate = offer.tokens_rate * ratio
    return Plant(fixed=idle / units, between=(joined - idle) / units, variable=(busy - idle) / rate, rate=rate / units)


def _total(offer: Offer) -> Array:
    return sum_of(leaves_of(offer).values())


def make_or_buy(
    hostings: Sequence[Hosting], found: Sequence[ApiOffer], model: str, shape: Shape, *, hours: str = "mean", date: str | None = None,
    volume: float | None = None
) -> MakeOrBuy:  # fmt: skip
    """Ways to make tokens against offers.

    Parameters
    ----------
    hostings : sequence of Hosting
    found : sequence of ApiOffer
    model : str               Id of the model that is served.
    shape : Shape             Of a request, the same for both.
    hours : str               When tokens are bought, of `apis.HOURS`.
    date : str, optional      To which prices hold, for the record.
    volume : float, optional  Tokens in and out [token/s].
    """
    verdicts = tuple(_verdict(offer, hosting, shape, hours, volume) for offer in found for hosting in hostings)
    return MakeOrBuy(model, shape, hours, date, volume, tuple(hostings), tuple(found), verdicts)


def _verdict(offer: ApiOffer, hosting: Hosting, shape: Shape, hours: str, volume: float | None) -> Verdict:
    price = offer.per_token(shape, hours)
    units = float(hosting.least_units)

    def needed(plant: Plant) -> tuple[Array, Array]:
        least = break_even_volume(plant.fixed_of(units), plant.variable, price)
        return least, least / (plant.rate * units)

    value, use = needed(hosting.plant)
    drawn = needed(hosting.drawn) if hosting.drawn else (None, None)
    factor, cheaper = None, math.nan
    if volume is not None:
        cost = hosting.per_token(volume)
        factor = metric_of(cost.value / price, None if cost.draws is None else cost.draws / price, "1")
        cheaper = math.nan if factor.draws is None else float(np.mean(factor.draws < 1.0))
    finite = math.isfinite(float(value))
    return Verdict(
        offer=offer,
        hosting=hosting,
        price=price,
        volume=_open_metric(value, drawn[0], "token/s") if finite else None,
        utilisation=_open_metric(use, drawn[1], "1") if finite else None,
        reachable=finite and float(use) <= hosting.most_use * (1.0 + 1e-12),
        probability=math.nan if drawn[1] is None else float(np.mean(np.asarray(drawn[1]) <= hosting.most_use)),
        factor=factor,
        cheaper=cheaper,
    )


def _open_metric(value: Array, draws: Array | None, unit: str) -> Metric:
    """A metric whose draws may be infinite: quantiles of ranks, not of sums."""
    number = float(value)
    drawn: NDArray[np.float64] | None = None if draws is None else np.asarray(draws, dtype=float)
    if drawn is None or drawn.ndim == 0:
        return Metric(number, number, number, unit)
    low, high = (float(q) for q in np.quantile(drawn, (0.05, 0.95), method="nearest"))
    return Metric(number, min(low, number), max(high, number), unit, drawn)
