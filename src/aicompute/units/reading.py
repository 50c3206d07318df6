"""Quantities as people give them, read into SI floats."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from aicompute.errors import UnitError
from aicompute.units.dimensions import accepted, describe, entry, fits, named
from aicompute.units.factors import factor_of, scaled, written

_QUANTITY = re.compile(r"\s*([+-]?(?:\d+(?:_\d+)*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]?(?:inf|nan))(?![\w.,])?\s*(.*?)\s*", re.DOTALL)


def parse(given: Any, dimension: str, *, rates: Mapping[str, float] | None = None) -> float:
    """A quantity in SI units.

    Parameters
    ----------
    given : float, str or pint.Quantity
        A number is taken as SI. A string is a number and a unit ("50 ms", "400 Gbit/s"); the unit may be left out only where the
        dimension has none or counts things.
    dimension : str
        A word of `DIMENSIONS` ("time", "bandwidth") or a unit that has the dimension wanted ("GB/s").
    rates : mapping, optional
        Units of a currency per USD. Without its rate no currency turns into another.

    Returns
    -------
    float
        The value in the SI unit of the dimension.

    Raises
    ------
    UnitError
        The text cannot be read, the unit is unknown or the dimension is another.

    Examples
    --------
    >>> parse("50 ms", "time"), parse("400 Gbit/s", "bandwidth"), parse(0.05, "time")
    (0.05, 50000000000.0, 0.05)
    >>> parse("7.2 CNY/kWh", "price_energy", rates={"CNY": 7.2}) == parse("1 USD/kWh", "price_energy")
    True
    >>> parse("50 GB", "time")
    Traceback (most recent call last):
    aicompute.errors.UnitError: '50 GB' is memory (information), expected time, for example '50 ms'
    """
    if isinstance(given, str):
        number, unit = split(given, dimension)
    elif hasattr(given, "magnitude") and hasattr(given, "units"):
        number, unit = _number(given.magnitude, given, dimension), str(given.units)
    else:
        entry(dimension)
        return _number(given, given, dimension)
    allowed = accepted(dimension)
    if not unit and "" not in allowed:
        raise UnitError(f"{given!r} has no unit; expected {describe(dimension)}")
    factor, found = factor_of(unit or "1")
    if found not in allowed and rates:
        factor, found = _exchange(factor, found, rates)
    if not fits(found, dimension, allowed):
        hint = "; no exchange rate was given" if "currency_" in found else ""
        raise UnitError(f"{str(given)!r} is {named(found)}, expected {describe(dimension)}{hint}")
    return scaled(number, factor)


def split(text: str, dimension: str) -> tuple[float, str]:
    """The number and the unit of a text.

    Examples
    --------
    >>> split("1.8 TB/s", "bandwidth"), split("0.08/year", "rate")
    ((1.8, 'TB/s'), (0.08, '1/year'))
    """
    match = _QUANTITY.fullmatch(text)
    if not match or (match[2][:1] in tuple(".,_0123456789+-") and match[2][:2] not in ("1", "1/")):
        raise UnitError(f"cannot read {text!r} as a quantity; expected {describe(dimension)}")
    unit = match[2]
    return _number(match[1], text, dimension), f"1{unit}" if unit.startswith("/") else unit


def _number(given: Any, shown: Any, dimension: str) -> float:
    """A float that is a number; booleans and nan are not."""
    try:
        number = float(given)
    except (TypeError, ValueError):
        number = math.nan
    if isinstance(given, bool) or math.isnan(number):
        raise UnitError(f"{shown!r} is not a quantity; expected {describe(dimension)}")
    return number


def _exchange(factor: float, found: str, rates: Mapping[str, float]) -> tuple[float, str]:
    """The factor and signature with every currency that has a rate turned into USD."""
    powers = _powers(found)
    for name in [name for name in powers if name.removeprefix("currency_") in rates and name.startswith("currency_")]:
        rate, power = float(rates[name.removeprefix("currency_")]), powers.pop(name)
        if not rate > 0.0 or math.isinf(rate):
            raise UnitError(f"exchange rate of {name.removeprefix('currency_')} is {rate}; it must be positive (currency per USD)")
        factor *= rate**-power
        powers["currency"] = powers.get("currency", 0) + power
    return factor, written({name: power for name, power in powers.items() if power})


def _powers(text: str) -> dict[str, int]:
    """The exponents behind a signature."""
    powers: dict[str, int] = {}
    for sign, name, power in re.findall(r"([·/]?)([a-zA-Z_]+)(?:\^(\d+))?", text):
        powers[name] = (-1 if sign == "/" else 1) * int(power or 1)
    return powers


def names_currency(given: Any) -> bool:
    """Whether a text may speak of money in another currency than USD.

    Examples
    --------
    >>> names_currency("4e8 KRW"), names_currency("4e6 USD"), names_currency(3.0)
    (True, False, False)
    """
    return isinstance(given, str) and any(word != "USD" for word in re.findall(r"\b[A-Z]{3}\b", given))
