"""SI values as people read them."""

from __future__ import annotations

import math

from aicompute.unit_table import FACTORS
from aicompute.units.factors import factor_of, to_unit

_PREFIXES = {-4: "p", -3: "n", -2: "u", -1: "m", 0: "", 1: "k", 2: "M", 3: "G", 4: "T", 5: "P", 6: "E"}
_PREFIXED = {"B", "W", "J", "OP", "FLOP", "Hz", "m"}


def format_si(value: float, unit: str, digits: int = 3) -> str:
    """An SI value for people: with a prefix that suits where the unit is an SI unit, else in the unit named.

    Parameters
    ----------
    value : float
        In SI units.
    unit : str
        "B/s" chooses among kB/s, GB/s, …; "s" among us, ms, min, h, year; "TB/s" is kept; "1" is a plain number.
    digits : int
        Significant digits.

    Examples
    --------
    >>> format_si(1.8e12, "B/s"), format_si(0.0123, "s"), format_si(7200, "s"), format_si(3.1e6, "USD"), format_si(0.05, "ms")
    ('1.8 TB/s', '12.3 ms', '2 h', '3,100,000 USD', '50 ms')
    """
    factor = factor_of(unit)[0]
    if not math.isfinite(value) or value == 0.0:
        return f"{plain(value, digits)} {unit}" if unit != "1" else plain(value, digits)
    if unit == "s":
        unit = _time_unit(abs(value))
        return f"{plain(to_unit(value, unit), digits)} {unit}"
    head, _, rest = unit.partition("/")
    if factor == 1.0 and head in _PREFIXED:
        exponent = min(max(math.floor(math.log10(abs(value)) / 3.0 + 1e-12), -4), 6)
        scaled = value / 10.0 ** (3 * exponent)
        if abs(float(f"{scaled:.{digits}g}")) >= 1000.0 and exponent < 6:
            exponent, scaled = exponent + 1, scaled / 1e3
        return f"{plain(scaled, digits)} {_PREFIXES[exponent]}{head}{'/' + rest if rest else ''}"
    text = plain(to_unit(value, unit), digits)
    return text if unit == "1" else f"{text} {unit}"


def plain(value: float, digits: int = 3) -> str:
    """A number with so many significant digits, thousands separated, no exponent where it can be read without.

    Examples
    --------
    >>> plain(1234567.0), plain(0.01234), plain(2.0), plain(1e-9)
    ('1,234,567', '0.0123', '2', '1e-09')
    """
    if not math.isfinite(value):
        return str(value)
    if abs(value) >= 1e15 or 0.0 < abs(value) < 1e-5:
        return f"{value:.{digits}g}"
    if abs(value) >= 10.0 ** (digits - 1):
        return f"{value:,.0f}"
    return f"{float(f'{value:.{digits}g}'):.12f}".rstrip("0").rstrip(".")


def si_unit(unit: str) -> str:
    """The SI unit of what people give in some unit; empty for a plain number.

    Examples
    --------
    >>> si_unit("TB/s"), si_unit("USD/kWh"), si_unit("1/year"), si_unit("1")
    ('B/s', 'USD/J', '1/s', '')
    """
    if unit in ("", "1"):
        return ""
    signature = factor_of(unit)[1]
    same = [name for name, (factor, other) in FACTORS.items() if factor == 1.0 and other == signature]
    head = "1/s" if signature == "1/time" else unit
    return head if head in same or signature == "1/time" else next(iter(same), unit)


def _time_unit(seconds: float) -> str:
    """The unit in which people say so many seconds."""
    for unit, least in (("year", 2.0), ("day", 2.0), ("h", 2.0), ("min", 2.0)):
        if seconds >= least * FACTORS[unit][0]:
            return unit
    return next((unit for unit, least in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)) if seconds >= least * (1 - 1e-12)), "ns")
