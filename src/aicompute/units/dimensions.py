"""What a quantity may be: the words for dimensions, the units that have them, and how messages say so."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from aicompute.errors import UnitError, UnknownNameError
from aicompute.units.factors import factor_of, signature


class Dimension(NamedTuple):
    """What a quantity may be: one or more reference units, the first being its SI unit, and an example for messages."""

    units: tuple[str, ...]
    example: str


DIMENSIONS: dict[str, Dimension] = {
    "time": Dimension(("s",), "50 ms"),
    "frequency": Dimension(("1/s",), "1.8 GHz"),
    "rate": Dimension(("1/s",), "0.08/year"),
    "memory": Dimension(("B",), "80 GiB"),
    "bandwidth": Dimension(("B/s",), "400 Gbit/s"),
    "compute": Dimension(("OP/s",), "989 TFLOP/s"),
    "work": Dimension(("OP",), "3.8e25 FLOP"),
    "power": Dimension(("W",), "145 kW"),
    "energy": Dimension(("J",), "1.2 MWh"),
    "energy_per_byte": Dimension(("J/B",), "60 pJ/B"),
    "energy_per_operation": Dimension(("J/OP",), "0.5 pJ/FLOP"),
    "energy_per_token": Dimension(("J/token",), "0.4 J/token"),
    "area": Dimension(("m^2",), "814 mm^2"),
    "mass": Dimension(("kg",), "2 kg"),
    "carbon_intensity": Dimension(("kg/J",), "380 g/kWh"),
    "money": Dimension(("USD",), "3e6 USD"),
    "price_accelerator": Dimension(("USD/accelerator", "USD"), "30000 USD/accelerator"),
    "price_hour": Dimension(("USD/accelerator/s", "USD/s"), "2.5 USD/accelerator/h"),
    "price_energy": Dimension(("USD/J",), "0.08 USD/kWh"),
    "demand_charge": Dimension(("USD/W/s",), "12 USD/kW/month"),
    "price_power": Dimension(("USD/W",), "12 USD/W"),
    "price_token": Dimension(("USD/token",), "0.55 USD/Mtoken"),
    "exchange_rate": Dimension(("1",), "7.2 CNY/USD"),
    "fraction": Dimension(("1",), "35 %"),
    "count": Dimension(("1", "accelerator", "device", "token", "request", "user"), "64"),
    "devices": Dimension(("device", "1"), "72 device"),
    "accelerators": Dimension(("accelerator", "1"), "384 accelerator"),
    "devices_per_accelerator": Dimension(("device/accelerator", "device", "1"), "2 device/accelerator"),
    "tokens": Dimension(("token", "1"), "4096 token"),
    "throughput": Dimension(("token/s",), "2000 token/s"),
    "throughput_per_accelerator": Dimension(("token/s/accelerator",), "2000 token/s/accelerator"),
    "request_rate": Dimension(("request/s", "1/s"), "3 request/s"),
}
"""The words that `parse` takes for a dimension. A unit ("GB/s") may stand in their place."""


def check_unit(unit: str, dimension: str) -> None:
    """Raise `UnitError` unless a unit has the dimension.

    Examples
    --------
    >>> check_unit("GB", "time")
    Traceback (most recent call last):
    aicompute.errors.UnitError: unit 'GB' is memory (information), expected time, for example '50 ms'
    """
    found = signature(unit)
    if not fits(found, dimension, accepted(dimension)):
        raise UnitError(f"unit {unit!r} is {named(found)}, expected {describe(dimension)}")


def describe(dimension: str) -> str:
    """A dimension in words with an example, as messages need it.

    Examples
    --------
    >>> describe("time")
    "time, for example '50 ms'"
    """
    words = dimension.replace("_", " ") if dimension in DIMENSIONS else "a pure number" if dimension == "1" else f"something in {dimension}"
    return f"{words}, for example {entry(dimension).example!r}"


def entry(dimension: str) -> Dimension:
    """The entry of a word, or one made for a unit."""
    known = DIMENSIONS.get(dimension)
    if known is not None:
        return known
    try:
        factor_of(dimension)
    except UnitError:
        raise UnknownNameError("dimension", dimension, DIMENSIONS) from None
    return Dimension((dimension,), f"3 {dimension}" if dimension != "1" else "3")


@lru_cache(maxsize=256)
def accepted(dimension: str) -> tuple[str, ...]:
    """The signatures that a dimension takes."""
    return tuple(signature(reference) for reference in entry(dimension).units)


def named(found: str) -> str:
    """A signature with the word people use for it."""
    if not found:
        return "a number without unit"
    word = next((name for name, dimension in DIMENSIONS.items() if signature(dimension.units[0]) == found), None)
    return f"{word.replace('_', ' ')} ({found})" if word and word != found else found


def fits(found: str, dimension: str, allowed: Iterable[str]) -> bool:
    """True where a signature is one of those allowed; any currency per USD is an exchange rate."""
    return found in allowed or (dimension == "exchange_rate" and re.fullmatch(r"currency_[A-Z]{3}/currency", found) is not None)
