"""Quantities with units become SI floats here, at the edge; formulas inside see floats only.

Spec files use a closed list of unit strings, whose factors stand in `aicompute.unit_table`. That table is written by ``python -m
aicompute.units`` from our pint definitions (``data/units.txt``) and a test compares the two, so the usual path never imports pint.
Other units ("kWh/week", "furlong"?) ask pint.

Conventions: information is counted in bytes, money in USD, a year has 8,760 hours and a month 730; floating-point and integer operations
are one dimension.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from aicompute.errors import UnitError, UnknownNameError
from aicompute.unit_table import FACTORS

if TYPE_CHECKING:
    import pint

DEFINITIONS = Path(__file__).parent / "data" / "units.txt"


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

_QUANTITY = re.compile(r"\s*([+-]?(?:\d+(?:_\d+)*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]?(?:inf|nan))(?![\w.,])?\s*(.*?)\s*", re.DOTALL)
_SPELLING = {"µ": "u", "μ": "u", "²": "^2", "³": "^3", "·": "*", "**": "^"}
_TOKEN = re.compile(r"[^\W\d]\w*|[%$]")


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
        _dimension(dimension)
        return _number(given, given, dimension)
    accepted = _accepted(dimension)
    if not unit and "" not in accepted:
        raise UnitError(f"{given!r} has no unit; expected {describe(dimension)}")
    factor, found = factor_of(unit or "1")
    if found not in accepted and rates:
        factor, found = _exchange(factor, found, rates)
    if not _fits(found, dimension, accepted):
        hint = "; no exchange rate was given" if "currency_" in found else ""
        raise UnitError(f"{str(given)!r} is {_named(found)}, expected {describe(dimension)}{hint}")
    return _scaled(number, factor)


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


def factor_of(unit: str) -> tuple[float, str]:
    """The SI factor and the dimension signature of a unit; the closed table answers first, then pint.

    Examples
    --------
    >>> factor_of("Gbit/s")
    (125000000.0, 'information/time')
    """
    known = FACTORS.get(unit)
    return known if known is not None else _factor_by_pint(unit)


def signature(unit: str) -> str:
    """The dimension of a unit as text, in one canonical order ("" for a pure number)."""
    return factor_of(unit)[1]


def check_unit(unit: str, dimension: str) -> None:
    """Raise `UnitError` unless a unit has the dimension.

    Examples
    --------
    >>> check_unit("GB", "time")
    Traceback (most recent call last):
    aicompute.errors.UnitError: unit 'GB' is memory (information), expected time, for example '50 ms'
    """
    found = signature(unit)
    if not _fits(found, dimension, _accepted(dimension)):
        raise UnitError(f"unit {unit!r} is {_named(found)}, expected {describe(dimension)}")


def to_unit(value: float, unit: str) -> float:
    """An SI value in another unit.

    Examples
    --------
    >>> to_unit(1.8e12, "TB/s")
    1.8
    """
    factor = factor_of(unit)[0]
    whole = _whole_inverse(factor)
    return value * whole if whole else value / factor


def from_unit(value: float, unit: str) -> float:
    """A value in some unit as SI.

    Examples
    --------
    >>> from_unit(1.8, "TB/s")
    1800000000000.0
    """
    return _scaled(value, factor_of(unit)[0])


def describe(dimension: str) -> str:
    """A dimension in words with an example, as messages need it.

    Examples
    --------
    >>> describe("time")
    "time, for example '50 ms'"
    """
    words = dimension.replace("_", " ") if dimension in DIMENSIONS else "a pure number" if dimension == "1" else f"something in {dimension}"
    return f"{words}, for example {_dimension(dimension).example!r}"


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


def registry() -> pint.UnitRegistry[Any]:
    """Our pint registry, for those who want quantities; made once."""
    return _registry()


def closed_table() -> dict[str, tuple[float, str]]:
    """Factors and signatures of the closed list of units, computed by pint from the definitions."""
    return {unit: _ask_pint(unit) for unit in _closed_list()}


_PREFIXES = {-4: "p", -3: "n", -2: "u", -1: "m", 0: "", 1: "k", 2: "M", 3: "G", 4: "T", 5: "P", 6: "E"}
_PREFIXED = {"B", "W", "J", "OP", "FLOP", "Hz", "m"}


def _time_unit(seconds: float) -> str:
    """The unit in which people say so many seconds."""
    for unit, least in (("year", 2.0), ("day", 2.0), ("h", 2.0), ("min", 2.0)):
        if seconds >= least * FACTORS[unit][0]:
            return unit
    return next((unit for unit, least in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)) if seconds >= least * (1 - 1e-12)), "ns")


def _scaled(number: float, factor: float) -> float:
    """The product, as a division where that is exact: 50 ms is 0.05 s, not 0.05000000000000001."""
    whole = _whole_inverse(factor)
    return number / whole if whole else number * factor


def _whole_inverse(factor: float) -> float:
    """The whole number that a factor is one part of (1000 for milli), or 0 where there is none."""
    inverse = 1.0 / factor if factor < 1.0 else 0.5
    whole = float(round(inverse))
    return whole if abs(inverse - whole) < 1e-12 * whole else 0.0


def _number(given: Any, shown: Any, dimension: str) -> float:
    """A float that is a number; booleans and nan are not."""
    try:
        number = float(given)
    except (TypeError, ValueError):
        number = math.nan
    if isinstance(given, bool) or math.isnan(number):
        raise UnitError(f"{shown!r} is not a quantity; expected {describe(dimension)}")
    return number


def _dimension(dimension: str) -> Dimension:
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
def _accepted(dimension: str) -> tuple[str, ...]:
    """The signatures that a dimension takes."""
    return tuple(signature(reference) for reference in _dimension(dimension).units)


def _named(found: str) -> str:
    """A signature with the word people use for it."""
    if not found:
        return "a number without unit"
    word = next((name for name, dimension in DIMENSIONS.items() if signature(dimension.units[0]) == found), None)
    return f"{word.replace('_', ' ')} ({found})" if word and word != found else found


def _powers(text: str) -> dict[str, int]:
    """The exponents behind a signature."""
    powers: dict[str, int] = {}
    for sign, name, power in re.findall(r"([·/]?)([a-zA-Z_]+)(?:\^(\d+))?", text):
        powers[name] = (-1 if sign == "/" else 1) * int(power or 1)
    return powers


def _written(powers: Mapping[str, float]) -> str:
    """The canonical text of exponents: numerators joined by a dot, then the denominators."""
    def one(name: str) -> str:
        power = abs(powers[name])
        return name if power == 1 else f"{name}^{power:g}"

    above = [one(name) for name in sorted(powers) if powers[name] > 0]
    below = [f"/{one(name)}" for name in sorted(powers) if powers[name] < 0]
    return ("·".join(above) or ("1" if below else "")) + "".join(below)


def _exchange(factor: float, found: str, rates: Mapping[str, float]) -> tuple[float, str]:
    """The factor and signature with every currency that has a rate turned into USD."""
    powers = _powers(found)
    for name in [name for name in powers if name.removeprefix("currency_") in rates and name.startswith("currency_")]:
        rate, power = float(rates[name.removeprefix("currency_")]), powers.pop(name)
        if not rate > 0.0 or math.isinf(rate):
            raise UnitError(f"exchange rate of {name.removeprefix('currency_')} is {rate}; it must be positive (currency per USD)")
        factor *= rate**-power
        powers["currency"] = powers.get("currency", 0) + power
    return factor, _written({name: power for name, power in powers.items() if power})


def _fits(found: str, dimension: str, accepted: Iterable[str]) -> bool:
    """True where a signature is one of those accepted; any currency per USD is an exchange rate."""
    return found in accepted or (dimension == "exchange_rate" and re.fullmatch(r"currency_[A-Z]{3}/currency", found) is not None)


@lru_cache(maxsize=1)
def _registry() -> pint.UnitRegistry[Any]:
    import pint

    return pint.UnitRegistry(str(DEFINITIONS))


@lru_cache(maxsize=512)
def _factor_by_pint(unit: str) -> tuple[float, str]:
    """Ask pint after tidying the spelling; unknown names become a `UnitError` with what was probably meant."""
    tidy = re.sub(r"\s*([*/^])\s*", r"\1", unit.strip())
    tidy = re.sub(r"\s+per\s+", "/", tidy)
    for odd, usual in _SPELLING.items():
        tidy = tidy.replace(odd, usual)
    return FACTORS[tidy] if tidy in FACTORS else _ask_pint(tidy)


def _ask_pint(unit: str) -> tuple[float, str]:
    """Factor and signature of a unit from the definitions."""
    import pint

    try:
        quantity = _registry().Quantity(1.0, _registry().parse_units(unit)).to_root_units()
    except pint.UndefinedUnitError as error:
        names = [error.unit_names] if isinstance(error.unit_names, str) else list(error.unit_names)
        raise UnitError(f"unknown unit {unit!r}{_hint(unit, names[0])}") from None
    except Exception:  # pint's parser raises many kinds for text that is not a unit
        raise UnitError(f"cannot read {unit!r} as a unit; units look like 'GB/s', 'USD/kWh' or '1/year'") from None
    dimensionality: dict[str, Any] = dict(quantity.dimensionality)
    powers = {name.strip("[]"): float(power) for name, power in dimensionality.items()}
    factor: Any = quantity.magnitude
    return float(f"{factor:.15g}"), _written(powers)


def _hint(unit: str, wrong: str) -> str:
    """The tail of a message: the unit with its wrong name replaced by the nearest ones."""
    known = sorted({name for text in FACTORS for name in _TOKEN.findall(text)})
    found = [name for name in known if name.lower() == wrong.lower()]
    if re.fullmatch(r"[kKMGTP]?i?b", wrong):
        found = [f"{wrong[:-1]}bit", *found]
    folded: dict[str, str] = {name.lower(): name for name in known}
    found = list(dict.fromkeys(found)) or [folded[name] for name in get_close_matches(wrong.lower(), folded, n=2, cutoff=0.5)]
    meant = [re.sub(rf"(?<!\w){re.escape(wrong)}(?!\w)", name, unit) for name in found]
    return f"; did you mean {' or '.join(map(repr, meant))}?" if meant else ""


def _closed_list() -> Iterable[str]:
    """The unit strings that spec files may rely on without pint."""
    data = ["B", "byte", "bit", *(f"{p}{u}" for p in ("k", "M", "G", "T", "P") for u in ("B", "bit")), "KB", "Kbit", "EB"]
    data += [f"{p}B" for p in ("Ki", "Mi", "Gi", "Ti", "Pi")]
    times = ["ns", "us", "ms", "s", "min", "h", "day", "week", "month", "year", "second", "hour"]
    work = [f"{p}{u}" for u in ("FLOP", "OP") for p in ("", "k", "M", "G", "T", "P", "E", "Z", "Y")]
    speed = [f"{u}/s" for u in work] + [f"{p}{u}" for u in ("FLOPS", "OPS") for p in ("M", "G", "T", "P", "E")]
    power = ["mW", "W", "kW", "MW", "GW"]
    energy = ["fJ", "pJ", "nJ", "uJ", "mJ", "J", "kJ", "MJ", "GJ", "Wh", "kWh", "MWh", "GWh", "TWh"]
    yield from ("1", "%", "percent", "mm^2", "cm^2", "m^2", "mm", "m", "km", "g", "kg", "tonne", "Hz", "kHz", "MHz", "GHz")
    yield from data
    yield from (f"{unit}/{second}" for unit in data for second in ("s", "ms", "us"))
    yield from (f"{p}bps" for p in ("k", "M", "G", "T"))
    yield from (f"{p}Bps" for p in ("k", "M", "G", "T"))
    yield from times
    yield from (f"1/{unit}" for unit in times)
    yield from (*work, *speed, *power, *energy)
    yield from (f"{unit}/{each}" for unit in ("W", "kW") for each in ("accelerator", "device"))
    yield from (f"{unit}/{each}" for unit in ("fJ", "pJ", "nJ", "J") for each in ("B", "bit", "FLOP", "OP"))
    yield from (f"{unit}/{each}" for unit in ("J", "kJ", "Wh", "kWh") for each in ("token", "Mtoken"))
    yield from ("kg/J", "g/J", "g/kWh", "kg/kWh", "kg/MWh", "tonne/MWh", "g/token", "kg/token", "kg/Mtoken")
    yield from ("accelerator", "device", "token", "tokens", "request", "user", "kilotoken", "ktoken", "Mtoken", "Gtoken", "Ttoken")
    yield from ("device/accelerator", "1/accelerator", "1/device", "1/token", "accelerator/device")
    yield from ("B/token", "FLOP/token", "OP/token", "FLOP/B", "OP/B")
    yield from (f"{tokens}/s{each}" for tokens in ("token", "tokens") for each in ("", "/accelerator", "/device", "/user"))
    yield "request/s"
    yield from (f"{unit}/{each}" for unit in ("GB", "B") for each in ("device", "accelerator"))
    yield from ("USD", "kUSD", "MUSD", "USD/accelerator", "USD/device", "USD/W", "USD/kW", "USD/MW")
    yield from ("USD/J", "USD/kWh", "USD/MWh", "USD/s", "USD/h")
    yield from ("USD/W/s", "USD/kW/month", "USD/kW/year", "USD/W/year", "USD/month", "USD/year", "USD/accelerator/h", "USD/accelerator/s")
    yield from ("USD/token", "USD/Mtoken", "USD/GB", "USD/GB/s", "USD/kg", "USD/tonne", "USD/mm^2")
    for currency in ("EUR", "CNY", "KRW", "JPY", "TWD", "INR", "SGD", "AED", "SAR", "NOK", "SEK", "GBP", "CAD", "AUD", "BRL", "MYR"):
        yield from (currency, f"{currency}/USD", f"{currency}/kWh")


def _write_table() -> str:
    """The source text of `aicompute.unit_table`."""
    rows = "\n".join(f'    "{unit}": ({factor!r}, "{dimension}"),' for unit, (factor, dimension) in closed_table().items())
    return (
        '"""SI factor and dimension of every unit in the closed list. Written by ``python -m aicompute.units``; do not edit."""\n\n'
        f"FACTORS: dict[str, tuple[float, str]] = {{\n{rows}\n}}\n"
    )


if __name__ == "__main__":
    Path(__file__).with_name("unit_table.py").write_text(_write_table(), encoding="utf-8")
