"""How each cost of a tree is found, in words, and which spec values it is found from."""

from __future__ import annotations

from collections.abc import Mapping

from aicompute.decide.offer import Offer, Place

_CAPITAL = {
    "depreciation": "price / life",
    "interest": "price x (CRF(rate, life) - 1 / life)",
    "resale": "-price x residual x SFF(rate, life)",
}
_CONSUMERS = ("accelerators", "hosts", "nics", "switches", "optics", "other")

FORMULAS: Mapping[str, str] = {
    **{f"capital.{part}": formula for part, formula in _CAPITAL.items()},
    **{f"facility.{part}": formula.replace("price", "rated power x price per watt") for part, formula in _CAPITAL.items()},
    "facility.colocation": "rated power x price per watt",
    **{f"energy.{name}": "mean power x electricity price" for name in _CONSUMERS},
    "energy.conversion": "mean loss of power supplies x electricity price",
    "energy.building (PUE)": "mean IT power x (PUE - 1) x electricity price",
    "energy.demand charge": "rated power x PUE x demand charge",
    "operation.staff, maintenance, spares": "capital x share a year",
    "rent.rent": "price x accelerators x share of the time that is paid",
}
"""By first and last name of the way to a cost."""


def inputs_of(way: tuple[str, ...], place: Place, offer: Offer) -> tuple[str, ...]:
    """Keys ``<spec>.<path>`` of the values behind a leaf."""
    system, accelerator, site = place.system.id, place.accelerator.id, place.site.id
    if way[0] == "rent":
        return (f"{system}.price.rent",)
    if way[0] == "capital":
        return (*_price_inputs(way[1], place, offer), *(f"{site}.capital.{term}" for term in _terms(way[-1])))
    if way == ("facility", "colocation"):
        return (*_rated_inputs(place), f"{site}.colocation.price")
    if way[0] == "facility":
        return (*_rated_inputs(place), f"{site}.facility.capital", *(f"{site}.facility.{term}" for term in _terms(way[-1])))
    if way[0] == "operation":
        return (f"{system}.price.unit", f"{system}.price.network", f"{site}.operation.fraction")
    pue = f"{site}.pue.{place.system.get('cooling', 'air')}"
    if way[1] == "demand charge":
        return (*_rated_inputs(place), pue, f"{site}.electricity.demand_charge")
    price = f"{site}.electricity.price"
    if way[1] == "building (PUE)":
        return (pue, price)
    if way[1] == "accelerators":
        return (f"{accelerator}.power.tdp", f"{accelerator}.power.idle_fraction", price)
    return (f"{system}.power.{way[1]}", price)


def _terms(part: str) -> tuple[str, ...]:
    """The terms of capital that a part of its cost depends on."""
    return {"depreciation": ("life",), "interest": ("rate", "life"), "resale": ("residual", "rate", "life")}[part]


def _rated_inputs(place: Place) -> tuple[str, ...]:
    """Values behind the rated power."""
    parts = (f"{place.system.id}.power.{name}" for name in (*_CONSUMERS[1:], "conversion"))
    return (f"{place.accelerator.id}.power.tdp", *parts)


def _price_inputs(component: str, place: Place, offer: Offer) -> tuple[str, ...]:
    """Values behind the price of a component."""
    system = place.system.id
    unit = f"{system}.price.unit"
    if component == "network between units":
        return (f"{system}.price.network",)
    if component == "import tax":
        return (unit, f"{place.site.id}.tax.import")
    if component in offer.parts:
        return (_part_input(component, place), unit)
    return (unit, *(_part_input(part, place) for part in offer.parts))


def _part_input(part: str, place: Place) -> str:
    """Where the price of a part stands."""
    own = f"price.parts.{part}"
    return f"{place.system.id}.{own}" if place.system.has(own) else f"{place.accelerator.id}.price"
