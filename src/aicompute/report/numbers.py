"""Numbers as people read them: a unit that suits, and no more digits than the interval supports."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from aicompute.estimate.result import METRICS, Metric, Ratio
from aicompute.units import plain

NONE = "-"
"""What stands where there is no number."""

Scale = tuple[float, str]
"""Size of a unit in the SI unit, and its name."""

_COUNT = ((1.0, ""),)
_RATE = ((1e6, "M"), (1e3, "k"), (1.0, ""))
_TIME = ((86400.0, "days"), (3600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"), (1e-6, "us"))
_SHARE = ((0.01, "%"),)
_POWER = ((1e6, "MW"), (1e3, "kW"), (1.0, "W"))
_MONEY = ((1e9, "G$"), (1e6, "M$"), (1.0, "$"))
_HOURLY = ((1.0 / 3600.0, "$/h"),)
_LEAST = {"": 1.0, "k": 1e4, "days": 2 * 86400.0, "h": 2 * 3600.0, "min": 120.0}
"""Where a unit begins, if not at one of it."""


@dataclass(frozen=True)
class Display:
    """How a metric is shown in a table and in JSON."""

    label: str
    scales: tuple[Scale, ...]
    """Units to choose from, large ones first."""
    key: str
    """Name in JSON and CSV."""
    unit: str
    """Unit in JSON and CSV."""
    size: float = 1.0
    """Of that unit, in SI."""


DISPLAYS: Mapping[str, Display] = {
    "tokens_per_s_per_accelerator": Display("tokens/s/accelerator", _RATE, "tokens_per_s_per_accelerator", "token/s/accelerator"),
    "tokens_per_s": Display("tokens/s, system", _RATE, "tokens_per_s", "token/s"),
    "tokens_per_s_per_user": Display("tokens/s per user", _COUNT, "tokens_per_s_per_user", "token/s/user"),
    "input_tokens_per_s_per_accelerator": Display("input tok/s/accel.", _RATE, "input_tokens_per_s_per_accelerator", "token/s/accelerator"),
    "tpot": Display("TPOT", _TIME, "tpot", "s"),
    "ttft": Display("TTFT", _TIME, "ttft", "s"),
    "step_time": Display("step time", _TIME, "step_time", "s"),
    "mfu": Display("MFU", _SHARE, "mfu", "1"),
    "run_time": Display("run time", _TIME, "run_time", "s"),
    "goodput": Display("goodput", _SHARE, "goodput", "1"),
    "prefill_share": Display("prefill pool", _SHARE, "prefill_share", "1"),
    "communication_share": Display("comm., total", _SHARE, "interconnect_share", "1"),
    "exposed_share": Display("comm., exposed", _SHARE, "interconnect_exposed_share", "1"),
    "memory_share": Display("memory used", _SHARE, "memory_share", "1"),
    "accelerator_power": Display("accelerator power", ((1.0, "W"),), "accelerator_power", "W"),
    "it_power": Display("system power", _POWER, "power", "W"),
    "site_power": Display("with PUE", _POWER, "site_power", "W"),
    "energy_per_token": Display("energy", ((1.0, "J/token"), (1e-3, "mJ/token")), "energy_per_token", "J/token"),
    "capital": Display("capital", _MONEY, "capex", "USD"),
    "cost_per_hour": Display("cost", _HOURLY, "cost_per_hour", "USD/h", 1.0 / 3600.0),
    "cost_per_accelerator_hour": Display("cost/accel.", _HOURLY, "cost_per_accelerator_hour", "USD/accelerator/h", 1.0 / 3600.0),
    "cost_per_token": Display("cost", ((1e-6, "$/M tokens"),), "cost_per_million_tokens", "USD/Mtoken", 1e-6),
    "run_cost": Display("cost of the run", _MONEY, "run_cost", "USD"),
    "carbon_per_token": Display("CO2", ((1e-9, "g/M tokens"),), "carbon_per_million_tokens", "kg/Mtoken", 1e-6),
    "embodied_carbon_per_token": Display("CO2, making", ((1e-9, "g/M tokens"),), "embodied_carbon_per_million_tokens", "kg/Mtoken", 1e-6),
    "run_carbon": Display("CO2 of the run", ((1e3, "t"),), "run_carbon", "kg"),
    "run_embodied_carbon": Display("CO2, making, run", ((1e3, "t"),), "run_embodied_carbon", "kg"),
}
"""Every metric in the order of the tables. JSON speaks of the system's power, capex and interconnect, as its schema says."""

KEYS: Mapping[str, str] = {display.key: name for name, display in DISPLAYS.items()}
"""Metric by its name in JSON."""


def display_of(name: str) -> Display:
    """How to show a metric, those not in the list with their SI unit."""
    known = DISPLAYS.get(name)
    if known is not None:
        return known
    unit, title, _ = METRICS.get(name, ("1", name.replace("_", " "), ""))
    return Display(title, ((1.0, "" if unit == "1" else unit),), name, unit)


def better_of(name: str) -> str:
    """Which way a metric is better: more, less or neither."""
    return METRICS[name][2] if name in METRICS else ""


def scale_of(scales: tuple[Scale, ...], values: Iterable[float]) -> Scale:
    """The unit in which the largest of some values is said.

    Examples
    --------
    >>> scale_of(((1e6, "MW"), (1e3, "kW"), (1.0, "W")), [1200.0, 559e3])
    (1000.0, 'kW')
    """
    largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    fitting = (scale for scale in scales if largest >= _LEAST.get(scale[1], scale[0]) * (1.0 - 1e-9))
    return next(fitting, scales[-1])


def spread(value: float, low: float, high: float) -> str:
    """A number with its interval, rounded to what the interval supports.

    Examples
    --------
    >>> spread(2118.7, 1783.0, 2458.0), spread(0.5191, 0.41, 0.653), spread(7583.2, 7583.2, 7583.2)
    ('2,120 (1,780-2,460)', '0.52 (0.41-0.65)', '7,583')
    """
    if not math.isfinite(value):
        return NONE
    if not (math.isfinite(low) and math.isfinite(high)) or high - low <= 1e-9 * abs(value):
        return plain(value)
    digits = _decimals(value, low, high)
    return f"{fixed(value, digits)} ({'-'.join(_not_zero(end, digits) for end in (low, high))})"


def value_text(value: float, low: float, high: float) -> str:
    """A number alone, with the digits that its interval supports.

    Examples
    --------
    >>> value_text(2118.7, 1783.0, 2458.0)
    '2,120'
    """
    return spread(value, low, high).partition(" ")[0]


def fixed(value: float, decimals: int) -> str:
    """A number rounded to so many decimals; negative ones round to tens, hundreds.

    Examples
    --------
    >>> fixed(2118.7, -1), fixed(0.5, 2)
    ('2,120', '0.50')
    """
    rounded = round(value, decimals)
    return f"{rounded + 0.0:,.{max(decimals, 0)}f}"


def _not_zero(value: float, decimals: int) -> str:
    """A number rounded, with one digit where it would round to zero."""
    text = fixed(value, decimals)
    return text if not value or float(text.replace(",", "")) else plain(value, 1)


def _decimals(value: float, low: float, high: float) -> int:
    """Decimals so that half the interval has two digits and the value two to four."""
    place = math.floor(math.log10((high - low) / 2.0)) - 1
    if value:
        lead = math.floor(math.log10(abs(value)))
        place = max(min(place, lead - 1), lead - 3)
    return -place


def metric_text(metric: Metric | None, scale: Scale) -> str:
    """A metric in a unit, with its interval."""
    if metric is None:
        return NONE
    value, interval = metric_parts(metric, scale)
    return f"{value} ({interval})" if interval else value


def metric_parts(metric: Metric, scale: Scale) -> tuple[str, str]:
    """A metric in a unit, and its interval; shares below 1 % to a tenth.

    Examples
    --------
    >>> metric_parts(Metric(0.000345, 0.000286, 0.000432, "1"), (0.01, "%")), metric_parts(Metric(0.0034, 0.0029, 0.0043, "1"), (0.01, "%"))
    (('under 0.1', ''), ('0.3', '0.3-0.4'))
    """
    value, low, high = (number / scale[0] for number in (metric.value, metric.low, metric.high))
    if scale[1] != "%" or not 0.0 < value < 1.0 or not math.isfinite(high - low):
        text, _, interval = spread(value, low, high).partition(" ")
        return text, interval.strip("()")
    ends = [fixed(end, 1) for end in (low, high)]
    return "under 0.1" if value < 0.1 else fixed(value, 1), "-".join(ends) if ends[0] != ends[1] else ""


def with_unit(metric: Metric, name: str) -> str:
    """A metric with its unit, as a sentence says it.

    Examples
    --------
    >>> with_unit(Metric(559e3, 500e3, 600e3, "W"), "it_power")
    '559 kW'
    """
    size, unit = scale_of(display_of(name).scales, [metric.value])
    text = value_text(metric.value / size, metric.low / size, metric.high / size)
    if unit == "$" or (unit == "M$" and size == 1e6):
        return f"${text}{' M' if unit == 'M$' else ''}"
    if display_of(name).scales is _RATE:
        return f"{text} {unit} tokens/s" if unit else f"{text} tokens/s"
    return text if not unit else f"{text} {unit}"


def ratio_text(ratio: Ratio | None) -> str:
    """A ratio with its interval, two decimals at most unless it is small.

    Examples
    --------
    >>> ratio_text(Ratio(1.2304, 1.213, 1.318, 0.5)), ratio_text(Ratio(0.0312, 0.03, 0.033, 0.0)), ratio_text(Ratio(3.1, 3.1, 3.1, 0.0))
    ('1.23 (1.21-1.32)', '0.031 (0.030-0.033)', '3.10')
    """
    if ratio is None or not math.isfinite(ratio.value):
        return NONE
    most = 2 if ratio.value >= 0.1 else 3 if ratio.value >= 0.01 else 5
    if not ratio.high > ratio.low:
        return _not_zero(ratio.value, most)
    decimals = min(_decimals(ratio.value, ratio.low, ratio.high), most)
    value, low, high = (_not_zero(number, decimals) for number in (ratio.value, ratio.low, ratio.high))
    return f"{value} ({low}-{high})"


def percent(share: float) -> str:
    """A share in percent, or "under 1 %".

    Examples
    --------
    >>> percent(0.1234), percent(0.001), percent(0.9999)
    ('12 %', 'under 1 %', '100 %')
    """
    if not math.isfinite(share):
        return NONE
    return "under 1 %" if 0.0 < share < 0.005 else f"{share * 100.0:.0f} %"


def probability_text(probability: float) -> str:
    """A probability from samples: never quite certain.

    Examples
    --------
    >>> probability_text(1.0), probability_text(0.62)
    ('over 99 %', '62 %')
    """
    return "over 99 %" if probability > 0.99 else f"{probability * 100.0:.0f} %"


def chance_text(probability: float) -> str:
    """A probability from samples, neither quite certain nor quite impossible.

    Examples
    --------
    >>> chance_text(0.0), chance_text(0.62)
    ('under 1 %', '62 %')
    """
    return "under 1 %" if probability < 0.01 else probability_text(probability)


def times(factor: float) -> str:
    """A factor in words.

    Examples
    --------
    >>> times(5.13), times(1.214), times(23.4)
    ('5.1 times', '1.2 times', '23 times')
    """
    return f"{factor:.0f} times" if factor >= 9.95 else f"{factor:.1f} times" if factor >= 1.095 else f"{factor:.2f} times"
