"""The value of a term at which two systems cost the same per token."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from aicompute.decide.costs import PARTS, CostTree, leaves_of
from aicompute.decide.offer import Offer
from aicompute.economics.breakeven import first_crossing, linear_root
from aicompute.economics.cost import break_even_throughput, cost_per_token
from aicompute.errors import UnknownNameError, UsageError
from aicompute.estimate.result import Metric, metric_of
from aicompute.numerics import Array, sum_of
from aicompute.specs import schema
from aicompute.units import plain, to_unit

SIDES = ("first", "second", "both")
PLACES = 96
"""Places at which a term that is not linear is looked at before halving."""


class Axis(NamedTuple):
    """A term over which two costs can be equal."""

    title: str
    field: str
    """Of an `Offer` or of its terms."""
    key: str
    """Kind and path of the spec value, which has the unit and the plausible range; or a unit."""
    of: str
    """Side that it is changed on, where nothing else is said."""
    form: str
    """In which the cost per token is a straight line: the value, its reciprocal, or none."""


AXES: Mapping[str, Axis] = {
    "electricity_price": Axis("electricity price", "electricity_price", "sites/electricity.price", "both", "value"),
    "demand_charge": Axis("demand charge", "demand_charge", "sites/electricity.demand_charge", "both", "value"),
    "pue": Axis("PUE", "pue", "sites/pue.air", "both", "value"),
    "utilisation": Axis("utilisation", "utilisation", "1", "both", "reciprocal"),
    "life": Axis("life of equipment", "capital_life", "sites/capital.life", "both", ""),
    "rate": Axis("cost of capital", "capital_rate", "sites/capital.rate", "both", ""),
    "residual": Axis("residual value", "capital_residual", "sites/capital.residual", "both", "value"),
    "operation": Axis("share of capital that operation takes a year", "operation_fraction", "sites/operation.fraction", "both", "value"),
    "facility": Axis("price of the building", "facility_capital", "sites/facility.capital", "both", "value"),
    "colocation": Axis("colocation", "colocation", "sites/colocation.price", "both", "value"),
    "import_tax": Axis("import tax", "import_tax", "sites/tax.import", "both", "value"),
    "rack_price": Axis("price of a unit", "unit_price", "systems/price.unit", "first", "value"),
    "network_price": Axis("price of the network for a unit", "network_price", "systems/price.network", "first", "value"),
    "rent": Axis("rent", "rent", "systems/price.rent", "first", "value"),
    "tokens_per_s": Axis("rate", "tokens_rate", "token/s/accelerator", "second", "reciprocal"),
}
"""Every axis by name."""

_MOST_RATE = 1e6
"""Tokens a second of an accelerator, far above any."""


@dataclass(frozen=True)
class Range:
    """Where a break-even is looked for, in SI units."""

    low: float
    high: float
    unit: str
    """In which people say it."""

    @property
    def text(self) -> str:
        """As people say it."""
        ends = (plain(to_unit(end, self.unit), 4) for end in (self.low, self.high))
        return f"{' to '.join(ends)}{self.behind}"

    @property
    def behind(self) -> str:
        """The unit as it stands behind a number."""
        return {"1": "", "1/year": " a year", "year": " years"}.get(self.unit, f" {self.unit}")


@dataclass(frozen=True)
class BreakEven:
    """Where two costs per token are equal."""

    axis: str
    of: str
    sides: tuple[CostTree, CostTree]
    counted: tuple[str, ...]
    range: Range
    root: Metric | None
    """In SI units; None where there is none in the range."""
    changes: int
    """How often the cheaper side changes in the range."""
    share: float
    """Of the draws in which the costs are equal somewhere in the range; nan without draws."""
    below: int
    """Which side is cheaper at the low end of the range: 0 or 1; -1 where they are equal."""
    above: int
    now: tuple[Metric | None, Metric | None]
    """USD per token at the terms as they stand; None where a side has no rate."""
    probability: float
    """That the first is cheaper at these terms; nan without draws or rates."""
    rates: tuple[Metric | None, Metric | None]
    """Tokens per second of an accelerator at which each would cost a token what the other's costs."""


def axis_named(name: str) -> Axis:
    """An axis by its name.

    Raises
    ------
    UnknownNameError
        There is none; the nearest are named.
    """
    word = name.strip().lower().replace("-", "_").replace(" ", "_")
    if word not in AXES:
        raise UnknownNameError("axis", name, AXES)
    return AXES[word]


def range_of(axis: Axis) -> Range:
    """The plausible range of an axis: that of its spec value."""
    kind, slash, path = axis.key.partition("/")
    if slash and kind in schema.TABLES:
        key = schema.keys(kind)[path]
        low, high = schema.bounds(key)
        return Range(low, high, key.unit)
    return Range(0.0, 1.0 if axis.field == "utilisation" else _MOST_RATE, axis.key)


def break_even(first: CostTree, second: CostTree, over: str, of: str | None = None, between: tuple[float, float] | None = None,
               counted: Collection[str] = PARTS) -> BreakEven:  # fmt: skip
    """Where two systems cost the same per token.

    Parameters
    ----------
    first, second : CostTree   With rates of tokens; that of the side whose rate is looked for is not needed.
    over : str                 Of `AXES`.
    of : str, optional         first, second or both: where the value is changed.
    between : two floats       The range in SI units; None: what is plausible.
    counted : collection       First parts of the costs that count.

    Notes
    -----
    Rates of tokens and power at work stay as they are at the terms as they stand: a plan is not searched again for another price.
    """
    axis = axis_named(over)
    name = next(key for key, value in AXES.items() if value is axis)
    side = of or axis.of
    if side not in SIDES:
        raise UnknownNameError("side", side, SIDES)
    if name == "tokens_per_s" and side == "both":
        raise UsageError("over tokens_per_s needs of = first or second: with one rate on both sides no rate makes them equal")
    where = range_of(axis)
    if between is not None:
        where = Range(*between, where.unit)
    _check(axis, name, side, first, second, where)
    _check_counted((first, second), tuple(counted))
    pair = (first, second)
    offers = tuple(tree.offer for tree in pair)
    drawn = tuple(tree.drawn for tree in pair)
    sampled = drawn if drawn[0] is not None and drawn[1] is not None else None
    finder = _Difference(axis, side, tuple(counted))
    root, changes = finder.root(offers, where)
    roots = None if sampled is None else finder.root(sampled, where)[0]  # type: ignore[arg-type]
    inside = roots[np.isfinite(roots)] if roots is not None else None
    ends = [finder.at(offers, end) for end in _ends(axis, where)]
    rates = _par_rates(pair, tuple(counted))
    return BreakEven(
        axis=name,
        of=side,
        sides=pair,
        counted=tuple(counted),
        range=where,
        root=metric_of(root[0], inside, where.unit) if np.isfinite(root[0]) else None,
        changes=int(changes[0]),
        share=float("nan") if roots is None or inside is None else len(inside) / len(roots),
        below=_cheaper(float(np.asarray(ends[0]))),
        above=_cheaper(float(np.asarray(ends[1]))),
        now=(_token(first, tuple(counted)), _token(second, tuple(counted))),
        probability=_probability(sampled, tuple(counted)),
        rates=rates,
    )


def _check(axis: Axis, name: str, side: str, first: CostTree, second: CostTree, where: Range) -> None:
    """Refuse what can have no answer, all faults at once."""
    faults = []
    if not where.low < where.high:
        faults.append(f"the range must rise, not run from {where.low:g} to {where.high:g}")
    for place, tree in (("first", first), ("second", second)):
        changed = side in (place, "both")
        if tree.offer.tokens_rate is None and not (name == "tokens_per_s" and changed):
            faults.append(f"{tree.system} has no rate of tokens: give a workload, or tokens_per_s for both")
        if changed and axis.field in ("rent", "colocation") and getattr(tree.offer, axis.field) is None:
            word = "rented" if axis.field == "rent" else "in colocation"
            faults.append(f"over {name}: {tree.system} is not {word}; give {axis.field}, such as 'list'")
    if faults:
        raise UsageError("; ".join(dict.fromkeys(faults)))


def _check_counted(pair: tuple[CostTree, CostTree], counted: tuple[str, ...]) -> None:
    """Refuse parts of which a side pays none: its tokens would cost nothing."""
    faults = []
    for tree in pair:
        paid = list(dict.fromkeys(way[0] for way in leaves_of(tree.offer)))
        if not set(paid) & set(counted):
            faults.append(f"count = {','.join(counted)}: {tree.system} pays for none of it, but for {', '.join(paid)}")
    if faults:
        raise UsageError("; ".join(dict.fromkeys(faults)))


class _Difference(NamedTuple):
    """Cost per token of the first less that of the second, as a function of a term."""

    axis: Axis
    side: str
    counted: tuple[str, ...]

    def at(self, offers: tuple[Offer, ...], value: Array) -> Array:
        """The difference at values of the term [USD/token]."""
        first, second = (self._changed(offer, place, value) for place, offer in zip(SIDES, offers, strict=False))
        return _per_token(first, self.counted) - _per_token(second, self.counted)

    def _changed(self, offer: Offer, place: str, value: Array) -> Offer:
        if self.side not in (place, "both"):
            return offer
        each = value * offer.accelerators if self.axis.field == "tokens_rate" else value
        return offer.changed(self.axis.field, each)

    def root(self, offers: tuple[Offer, ...], where: Range) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        """Roots in the range, nan where there is none, and how many changes of sign there are."""
        low, high = _ends(self.axis, where)
        if not self.axis.form:
            return first_crossing(lambda value: self.at(offers, value), np.linspace(low, high, PLACES))
        ends = (low, high) if self.axis.form == "value" else (1.0 / low, 1.0 / high)
        found = np.atleast_1d(np.asarray(linear_root(*ends, self.at(offers, low), self.at(offers, high)), dtype=float))
        with np.errstate(divide="ignore"):
            found = found if self.axis.form == "value" else 1.0 / found
        slack = 1e-9 * (high - low)
        found = np.where((found >= low - slack) & (found <= high + slack), found, np.nan)
        return found, np.isfinite(found).astype(np.intp)


def _ends(axis: Axis, where: Range) -> tuple[float, float]:
    """The ends of a range; a reciprocal begins above zero."""
    return (max(where.low, where.high * 1e-6), where.high) if axis.form == "reciprocal" else (where.low, where.high)


def _per_token(offer: Offer, counted: tuple[str, ...]) -> Array:
    """USD per token, of the parts that count."""
    if offer.tokens_rate is None:
        raise UsageError("no rate of tokens")
    return cost_per_token(_cost(offer, counted), offer.tokens_rate, offer.utilisation)


def _cost(offer: Offer, counted: tuple[str, ...]) -> Array:
    """USD per second, of the parts that count."""
    return sum_of([cost for way, cost in leaves_of(offer).items() if way[0] in counted])


def _token(tree: CostTree, counted: tuple[str, ...]) -> Metric | None:
    if tree.offer.tokens_rate is None:
        return None
    drawn = _per_token(tree.drawn, counted) if tree.drawn is not None else None
    return metric_of(_per_token(tree.offer, counted), drawn, "USD")


def _par_rates(pair: tuple[CostTree, CostTree], counted: tuple[str, ...]) -> tuple[Metric | None, Metric | None]:
    """Tokens per second of an accelerator at which each side costs a token what the other's costs."""

    def par(own: Offer, other: Offer) -> Array:
        busy = own.accelerators * own.utilisation
        return break_even_throughput(_cost(own, counted) / busy, _per_token(other, counted))

    found: list[Metric | None] = []
    for own, other in ((0, 1), (1, 0)):
        if pair[other].offer.tokens_rate is None:
            found.append(None)
            continue
        here, there = pair[own].drawn, pair[other].drawn
        drawn = par(here, there) if here is not None and there is not None else None
        found.append(metric_of(par(pair[own].offer, pair[other].offer), drawn, "token/s/accelerator"))
    return found[0], found[1]


def _probability(sampled: tuple[Offer | None, ...] | None, counted: tuple[str, ...]) -> float:
    """How often the first is cheaper."""
    if sampled is None or any(offer is None or offer.tokens_rate is None for offer in sampled):
        return math.nan
    first, second = (_per_token(offer, counted) for offer in sampled if offer is not None)
    return float(np.mean(np.asarray(first) < np.asarray(second)))


def _cheaper(difference: float) -> int:
    return -1 if difference == 0.0 else 0 if difference < 0.0 else 1

