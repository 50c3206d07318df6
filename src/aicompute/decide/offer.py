"""What a cluster costs at a place, as numbers: read from specs once as they stand and once drawn from their ranges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from aicompute.economics.cost import SiteTerms
from aicompute.errors import UsageError
from aicompute.estimate.inputs import site_terms, specs_of
from aicompute.estimate.reading import Reader, read_value
from aicompute.estimate.result import Estimate, Metric, Origin, metric_of
from aicompute.machine.power import SystemPower, UnitPower, unit_power
from aicompute.numerics import Array
from aicompute.specs import Library, Spec, Value

LISTED = "list"
"""Word for the price that the specs state."""


@dataclass(frozen=True)
class Holding:
    """How a cluster is held and used."""

    accelerators: float | None = None
    """None: one unit."""
    utilisation: float = 1.0
    """Share of the time at work."""
    rent: float | str | None = None
    """USD per accelerator and second, `LISTED`, or None: owned."""
    on_demand: bool = False
    """Rent is paid while there is work, not all the time."""
    colocation: float | str | None = None
    """USD per watt of IT power and second, `LISTED`, or None: a building of one's own."""


@dataclass(frozen=True)
class Place:
    """The specs of a system at a site."""

    system: Spec
    accelerator: Spec
    site: Spec

    @property
    def per_unit(self) -> float:
        """Accelerators in a unit of sale."""
        return self.system.si("accelerators")

    @property
    def foreign(self) -> float:
        """1 where the system is imported."""
        return 0.0 if self.system.get("home_site") == self.site.id else 1.0


@dataclass(frozen=True)
class Offer:
    """A cluster as numbers: floats, or draws. Powers and prices of all its units."""

    units: float
    accelerators: float
    unit_price: Array
    """Of one unit [USD]."""
    parts: Mapping[str, Array]
    """Prices of parts of one unit, where a source splits it [USD]."""
    network_price: Array
    """Between units, for one unit [USD]."""
    joined: float
    """Units that need it: all, or none where there is only one."""
    foreign: float
    rated: Array
    """IT power that the building is made for [W]."""
    busy: Mapping[str, Array]
    """IT power at work, by consumer [W]."""
    idle: Mapping[str, Array]
    """IT power at rest [W]."""
    terms: SiteTerms
    utilisation: Array
    colocation: Array | None = None
    """USD per watt of rated IT power and second, instead of a building."""
    rent: Array | None = None
    """USD per accelerator and second, instead of all else."""
    on_demand: bool = False
    tokens_rate: Array | None = None
    """Tokens per second of the whole cluster while it works."""

    def changed(self, name: str, value: Array) -> Offer:
        """The same offer with a field, or one of the site's terms, changed."""
        change: dict[str, Any] = {name: value}
        if name in SiteTerms.__dataclass_fields__:
            return replace(self, terms=replace(self.terms, **change))
        return replace(self, **change)


@dataclass
class Ledger:
    """Reads values as they stand and remembers where they come from."""

    seen: dict[str, Origin] = field(default_factory=dict)

    def __call__(self, spec: Spec, path: str, default: float | None = None) -> Array:
        """The number at a path in SI units."""
        found = spec.get(path, None) if default is not None else spec.get(path)
        if isinstance(found, Value):
            key = f"{spec.id}.{path}"
            self.seen[key] = Origin(key, found.value, found.low, found.high, found.unit, found.kind, found.source)
        return read_value(spec, path, default)


def place_of(lib: Library, system: str, site: str | None) -> Place:
    """The specs of a system at a site; "home" is where it is usually run, None the US average.

    Raises
    ------
    UsageError
        Unknown names, or a site whose terms hold for other vendors only.
    """
    found, accelerator = specs_of(lib, system)
    where = lib.load("sites", str(found.get("home_site")) if site == "home" else site or "us-average")
    vendors = where.get("eligible.vendors", [])
    if vendors and found.get("vendor") not in vendors:
        raise UsageError(f"the terms of site {where.id} hold for chips of {', '.join(vendors)} only, not for {found.id}")
    return Place(found, accelerator, where)


def offer_of(
    place: Place, how: Holding, read: Reader = read_value, busy_each: Array | None = None, tokens_rate: Array | None = None
) -> Offer:
    """The numbers of a cluster.

    Parameters
    ----------
    place : Place
    how : Holding
    read : Reader                     As specs state it, or draws.
    busy_each : shape (...), optional   Power of an accelerator at work [W]; None: its limit.
    tokens_rate : shape (...), optional   Tokens per second of the cluster at work.

    Raises
    ------
    UsageError
        A listed rent or colocation is wanted, and the specs have none.
    """
    accelerators = place.per_unit if how.accelerators is None else how.accelerators
    units = accelerators / place.per_unit
    tdp = read(place.accelerator, "power.tdp")
    rest = _rest(place, read)
    idle = unit_power(tdp * read(place.accelerator, "power.idle_fraction") * place.per_unit, rest, load=0.0)
    busy = unit_power((tdp if busy_each is None else busy_each) * place.per_unit, rest)
    return Offer(
        units=units,
        accelerators=accelerators,
        unit_price=read(place.system, "price.unit"),
        parts=_parts(place, read),
        network_price=read(place.system, "price.network", 0.0),
        joined=units if units > 1.0 else 0.0,
        foreign=place.foreign,
        rated=unit_power(tdp * place.per_unit, rest).total * units,
        busy=_times(busy, units),
        idle=_times(idle, units),
        terms=site_terms(place.site, place.system, read),
        utilisation=how.utilisation,
        colocation=_listed(how.colocation, place.site, "colocation.price", "colocation", read),
        rent=_listed(how.rent, place.system, "price.rent", "rent", read),
        on_demand=how.on_demand,
        tokens_rate=tokens_rate,
    )


def of_estimate(place: Place, how: Holding, found: Estimate | None, read: Reader, drawn: bool) -> Offer:
    """The numbers of a cluster that does what an estimate says: its power at work and its tokens, as they stand or drawn."""
    if found is None:
        return offer_of(place, how, read)
    power, rate = found["accelerator_power"], kept_rate(found)
    if not drawn:
        return offer_of(place, how, read, power.value, rate.value)
    return offer_of(
        place, how, read, power.value if power.draws is None else power.draws, rate.value if rate.draws is None else rate.draws
    )


def kept_rate(found: Estimate) -> Metric:
    """Tokens per second that last: failures undo some of a training run's."""
    rate = found["tokens_per_s"]
    if "goodput" not in found.metrics:
        return rate
    share = found["goodput"]
    made, kept = (metric.value if metric.draws is None else metric.draws for metric in (rate, share))
    drawn = None if rate.draws is None and share.draws is None else made * kept
    return metric_of(rate.value * share.value, drawn, rate.unit)


def _rest(place: Place, read: Reader) -> SystemPower:
    """Power of everything around the accelerators of a unit."""
    names = ("hosts", "nics", "switches", "optics", "other", "conversion")
    shares = {f"{name}_idle": read(place.accelerator, f"power.{name}_idle_fraction") for name in ("hosts", "other")}
    return SystemPower(**{name: read(place.system, f"power.{name}") for name in names}, **shares)


def _parts(place: Place, read: Reader) -> dict[str, Array]:
    """Prices of the parts of a unit that a source gives; that of accelerators also from their number and price."""
    found = {name: read(place.system, f"price.parts.{name}") for name in place.system.get("price.parts", {})}
    if "accelerators" not in found and place.accelerator.has("price"):
        own = read(place.accelerator, "price") * place.per_unit
        derived = place.accelerator.si("price") * place.per_unit >= place.system.si("price.unit")  # the unit's price over again
        if found or not derived:
            found = {"accelerators": own, **found}
    return found


def _times(power: UnitPower, units: float) -> dict[str, Array]:
    return {name: part * units for name, part in power.parts.items()}


def _listed(given: float | str | None, spec: Spec, path: str, what: str, read: Reader) -> Array | None:
    """A price as given, or as the specs list it."""
    if given != LISTED:
        return None if given is None else float(given)
    if not spec.has(path):
        raise UsageError(f"{spec.id} lists no price for {what} ({path}); give one, or set it with --set '{spec.id}.{path}=…'")
    return read(spec, path)
