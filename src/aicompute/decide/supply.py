"""How concentrated the supply of a fleet is: share of its capital that hangs on one foundry, memory maker, designer or country."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from aicompute import units
from aicompute.decide.chips import Made, made_of
from aicompute.errors import UsageError
from aicompute.estimate.inputs import specs_of
from aicompute.policy.exposure import dependence, herfindahl, largest_share
from aicompute.specs import Library, Spec

NOT_KNOWN = "not known"
"""The supplier of what nobody has published."""
STEPS = ("designer", "foundry", "memory", "country of the designer", "country of the foundry", "country of the memory")
"""What may be concentrated."""
_MOST_SPLITS = 4096


@dataclass(frozen=True)
class Item:
    """The accelerators of one system in a fleet."""

    system: str
    accelerator: str
    units: float
    capital: float
    """Of all units, network between them included [USD]."""
    accelerator_capital: float
    """Of it, the accelerators [USD]."""
    made: Made


@dataclass(frozen=True)
class Holder:
    """A supplier or country, and the share of the accelerators' capital that hangs on it [1]."""

    id: str
    name: str
    alone: float
    """Nobody else makes these."""
    even: float
    """Where several make the same, split evenly."""
    touched: float
    """It is one of those who make these."""


@dataclass(frozen=True)
class Concentration:
    """One step of the supply."""

    step: str
    holders: tuple[Holder, ...]
    """The largest first."""
    index: float
    """Herfindahl-Hirschman index at an even split [1]."""
    index_most: float
    """At the split that concentrates most."""
    largest: float
    """Share of the largest at an even split [1]."""


@dataclass(frozen=True)
class Exposure:
    """A fleet and its supply."""

    items: tuple[Item, ...]
    steps: tuple[Concentration, ...]

    @property
    def capital(self) -> float:
        """Of the whole fleet [USD]."""
        return sum(item.capital for item in self.items)

    @property
    def accelerator_share(self) -> float:
        """Share of the capital that is accelerators, of which suppliers are known [1]."""
        return sum(item.accelerator_capital for item in self.items) / self.capital


def fleet_of(given: Mapping[str, float] | Sequence[str] | str) -> dict[str, float]:
    """Units of each system, from a mapping or from texts such as cloudmatrix-384=10.

    Raises
    ------
    UsageError
        A number of units that is none, or not above 0; nothing named; a system named twice.

    Examples
    --------
    >>> fleet_of(["cloudmatrix-384=10", "gb200-nvl72"])
    {'cloudmatrix-384': 10.0, 'gb200-nvl72': 1.0}
    """
    pairs: list[tuple[str, float | str]] = []
    if isinstance(given, Mapping):
        pairs = list(given.items())
    else:
        for text in [given] if isinstance(given, str) else given:
            before, equals, after = text.partition("=")
            pairs.append((before.strip(), after.strip() if equals else 1.0))
    if not pairs:
        raise UsageError("supply needs at least one system, such as cloudmatrix-384 or gb200-nvl72=10")
    fleet: dict[str, float] = {}
    for name, count in pairs:
        try:
            number = units.parse(count, "count")
        except ValueError:
            number = 0.0
        if not 0.0 < number < 1e8:
            raise UsageError(f"{name}={count}: expected a number of units above 0, such as {name or 'gb200-nvl72'}=10")
        if name in fleet:
            raise UsageError(f"{name!r} is named twice")
        fleet[name] = number
    return fleet


def exposure(lib: Library, fleet: Mapping[str, float]) -> Exposure:
    """Who a fleet depends on.

    Parameters
    ----------
    lib : Library
    fleet : mapping   Units of each system, by id or alias.

    Raises
    ------
    UnknownNameError
        No such system.
    UsageError
        Two names mean one system, or a price is missing.
    """
    items: list[Item] = []
    for name, count in fleet.items():
        item = _item(lib, name, count)
        if any(other.system == item.system for other in items):
            raise UsageError(f"{name!r} is {item.system}, which is named twice")
        items.append(item)
    return Exposure(tuple(items), tuple(_concentration(lib, step, items) for step in STEPS))


def accelerator_capital(system: Spec, accelerator: Spec) -> float:
    """Price of the accelerators in a unit, at most that of the unit [USD]: stated, or their number times their own price.

    Raises
    ------
    UsageError
        Neither is known.
    """
    stated = system.get("price.parts.accelerators", None)
    if stated is not None:
        return system.si("price.parts.accelerators")
    if not accelerator.has("price"):
        raise UsageError(f"no price is known for {accelerator.id}; set it, such as {accelerator.id}.price='20000 USD'")
    return min(system.si("accelerators") * accelerator.si("price"), system.si("price.unit"))


def _item(lib: Library, name: str, count: float) -> Item:
    """A system of a fleet."""
    system, accelerator = specs_of(lib, name)
    if not system.has("price.unit"):
        raise UsageError(f"no price is known for {system.id}; set it, such as {system.id}.price.unit='1e6 USD'")
    unit = system.si("price.unit") + (system.si("price.network", 0.0) if count > 1.0 else 0.0)
    return Item(system.id, accelerator.id, count, count * unit, count * accelerator_capital(system, accelerator), made_of(accelerator))


def _suppliers(made: Made, step: str) -> tuple[str, ...]:
    """Ids of those who take a step for a chip."""
    found = {"designer": (made.designer,), "foundry": made.foundries, "memory": made.memory}[step.rpartition(" ")[2]]
    return found or (NOT_KNOWN,)


def _holder_of(lib: Library, step: str, supplier: str) -> tuple[str, str]:
    """Id and name of the supplier, or of its country."""
    if supplier == NOT_KNOWN or supplier not in lib.ids("suppliers"):
        return NOT_KNOWN if step.startswith("country") else supplier, NOT_KNOWN if supplier == NOT_KNOWN else supplier
    spec = lib.load("suppliers", supplier)
    country = str(spec.get("jurisdiction"))
    return (country, country.upper()) if step.startswith("country") else (supplier, spec.name)


def _concentration(lib: Library, step: str, items: Sequence[Item]) -> Concentration:
    """One step of the supply of a fleet."""
    makers = [list(dict.fromkeys(_holder_of(lib, step, each) for each in _suppliers(item.made, step))) for item in items]
    holders = list(dict.fromkeys(holder for each in makers for holder in each))
    capital = np.array([item.accelerator_capital for item in items])
    sources = np.array([[float(holder in each) for holder in holders] for each in makers])
    alone, even, touched = dependence(capital, sources)
    found = [Holder(*holder, *(float(x[k]) for x in (alone, even, touched))) for k, holder in enumerate(holders)]
    found.sort(key=lambda h: (-h.even, -h.touched, h.id))
    most = _most(capital, sources)
    return Concentration(step, tuple(found), float(herfindahl(even)), most, float(largest_share(even)))


def _most(capital: np.ndarray, sources: np.ndarray) -> float:
    """The highest index that any split between makers of the same gives: a convex function is largest where each item has one maker."""
    choices = [np.flatnonzero(row) for row in sources]
    if np.prod([len(each) for each in choices], dtype=float) > _MOST_SPLITS:  # the makers of most, one after another
        order = np.argsort(-(capital @ sources))
        choices = [np.array([next(k for k in order if row[k])]) for row in sources]
    best = 0.0
    for split in itertools.product(*choices):
        amounts = np.bincount(np.array(split), weights=capital, minlength=sources.shape[1]).astype(float)
        best = max(best, float(herfindahl(amounts)))
    return best
