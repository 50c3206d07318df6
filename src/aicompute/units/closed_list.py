"""The units that spec files may use without pint, and the table of their factors."""

from __future__ import annotations

from collections.abc import Iterable

from aicompute.units.factors import ask_pint


def closed_table() -> dict[str, tuple[float, str]]:
    """Factors and signatures of the closed list of units, computed by pint from the definitions."""
    return {unit: ask_pint(unit) for unit in _closed_list()}


def table_source() -> str:
    """The source text of `aicompute.unit_table`."""
    rows = "\n".join(f'    "{unit}": ({factor!r}, "{dimension}"),' for unit, (factor, dimension) in closed_table().items())
    return (
        '"""SI factor and dimension of every unit in the closed list. Written by ``python -m aicompute.units``; do not edit."""\n\n'
        f"FACTORS: dict[str, tuple[float, str]] = {{\n{rows}\n}}\n"
    )


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
    yield from (f"{tokens}/{time}" for tokens in ("token", "tokens") for time in ("h", "day", "month", "year"))
    yield from ("request/s", "GB/s/mm^2")
    yield from (f"{unit}/{each}" for unit in ("GB", "B") for each in ("device", "accelerator"))
    yield from ("USD", "kUSD", "MUSD", "USD/accelerator", "USD/device", "USD/W", "USD/kW", "USD/MW")
    yield from ("USD/J", "USD/kWh", "USD/MWh", "USD/s", "USD/h")
    yield from ("USD/W/s", "USD/kW/month", "USD/kW/year", "USD/W/year", "USD/month", "USD/year", "USD/accelerator/h", "USD/accelerator/s")
    yield from ("USD/token", "USD/Mtoken", "USD/GB", "USD/GB/s", "USD/kg", "USD/tonne", "USD/mm^2")
    for currency in ("EUR", "CNY", "KRW", "JPY", "TWD", "INR", "SGD", "AED", "SAR", "NOK", "SEK", "GBP", "CAD", "AUD", "BRL", "MYR"):
        yield from (currency, f"{currency}/USD", f"{currency}/kWh")
