"""Conditions on plans and metrics: ``memory_share < 0.9``, ``tpot <= 50 ms``, ``tp <= 8``."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aicompute import units
from aicompute.errors import UnitError, UnknownNameError, UsageError
from aicompute.estimate.result import METRICS

_TEXT = re.compile(r"\s*([A-Za-z_][\w ]*?)\s*(<=|>=|==|!=|=|<|>|≤|≥)\s*(.+?)\s*")
_SYMBOLS = {"==": "=", "≤": "<=", "≥": ">="}
RECOMPUTE = ("none", "selective", "full")
PER_MILLION = {"cost_per_million_tokens": ("cost_per_token", 1e-6), "carbon_per_million_tokens": ("carbon_per_token", 1e-6)}
OTHER_NAMES = {
    "power": ("it_power", 1.0), "capex": ("capital", 1.0), "interconnect_share": ("communication_share", 1.0),
    "interconnect_exposed_share": ("exposed_share", 1.0), "memory": ("memory_share", 1.0), "vpp": ("chunks", 1.0), **PER_MILLION,
}  # fmt: skip
"""Names of tables and JSON, with the metric or axis and the size of their unit in SI."""
_DIMENSIONS = {"s": "time", "1": "fraction", "W": "power", "J": "energy", "USD": "money", "kg": "mass", "token/s": "throughput"}


@dataclass(frozen=True)
class Condition:
    """A bound on a metric or an axis, in SI units."""

    name: str
    symbol: str
    value: float
    text: str

    def holds(self, values: Any) -> NDArray[np.bool_]:
        """Where it holds; a bound is kept by what differs from it by rounding alone."""
        slack = 1e-9 * abs(self.value)
        if self.symbol == "=":
            return np.asarray(np.abs(values - self.value) <= slack)
        if self.symbol == "!=":
            return np.asarray(np.abs(values - self.value) > slack)
        if self.symbol == "<=":
            return np.asarray(values <= self.value + slack)
        if self.symbol == ">=":
            return np.asarray(values >= self.value - slack)
        return np.asarray(values < self.value if self.symbol == "<" else values > self.value)

    def nearest(self, values: NDArray[np.float64]) -> float:
        """Of some values that which comes nearest to the bound."""
        return float(values[np.argmin(np.abs(values - self.value))])


def metric_named(name: str, metrics: Collection[str], what: str = "metric") -> tuple[str, float]:
    """A metric by its name in Python or in JSON, with the size of its unit.

    Raises
    ------
    UnknownNameError
        With the nearest names.

    Examples
    --------
    >>> metric_named("cost_per_million_tokens", ["cost_per_token"])
    ('cost_per_token', 1e-06)
    """
    found, size = OTHER_NAMES.get(name, (name, 1.0))
    if name in ("cost_per_hour", "cost_per_accelerator_hour"):
        size = 1.0 / 3600.0
    if found not in metrics:
        others = [other for other, (target, _) in OTHER_NAMES.items() if target in metrics]
        raise UnknownNameError(what, name, [*metrics, *others])
    return found, size


def parse_condition(text: str, metrics: Collection[str], axes: Collection[str]) -> Condition:
    """A condition as people write it.

    Parameters
    ----------
    text : str            ``NAME < VALUE``; also <=, >, >=, = and !=; the value may have a unit.
    metrics, axes : str   Names that are known.

    Raises
    ------
    UsageError
        It cannot be read; a name is unknown (the nearest is named); the unit is another.

    Examples
    --------
    >>> parse_condition("tpot <= 50 ms", ["tpot"], ["tp"])
    Condition(name='tpot', symbol='<=', value=0.05, text='tpot <= 50 ms')
    """
    match = _TEXT.fullmatch(text)
    if match is None:
        raise UsageError(f"condition {text!r} is not NAME < VALUE; for example 'memory_share < 0.9' or 'tpot <= 50 ms'")
    name, symbol, given = match[1].strip().replace(" ", "_"), _SYMBOLS.get(match[2], match[2]), match[3]
    found, size = metric_named(name, [*metrics, *axes], "metric or axis")
    shown = f"{name} {symbol} {given}"
    if found in axes:
        if found == "recompute" and given in RECOMPUTE:
            return Condition(found, symbol, float(RECOMPUTE.index(given)), shown)
        return Condition(found, symbol, _number(shown, given, "count"), shown)
    dimension = _DIMENSIONS.get(METRICS[found][0], "count")
    try:
        bound = float(given) * size
        if not math.isfinite(bound):
            raise UsageError(f"condition {shown!r}: {given!r} is no bound; expected a finite number")
        return Condition(found, symbol, bound, shown)
    except UsageError:
        raise
    except ValueError:
        if found.endswith("_per_token"):
            dimension = {"energy_per_token": "energy_per_token", "cost_per_token": "price_token"}.get(found, dimension)
        if found in ("cost_per_hour", "cost_per_accelerator_hour"):
            dimension = "price_hour"
        if found.endswith("per_accelerator"):
            dimension = "throughput_per_accelerator" if "accelerator" in given else "throughput"
        return Condition(found, symbol, _number(shown, given, dimension), shown)


def _number(text: str, given: str, dimension: str) -> float:
    try:
        return units.parse(given, dimension)
    except UnitError as error:
        raise UsageError(f"condition {text!r}: {error}") from None


def contradiction(conditions: Sequence[Condition]) -> str:
    """Two conditions that nothing can meet, or nothing.

    Examples
    --------
    >>> contradiction([Condition("tp", ">", 8.0, "tp > 8"), Condition("tp", "<=", 4.0, "tp <= 4")])
    'tp > 8 and tp <= 4 exclude each other'
    """
    for place, one in enumerate(conditions):
        for other in conditions[place + 1 :]:
            if one.name == other.name and _apart(one, other):
                return f"{one.text} and {other.text} exclude each other"
    return ""


def _apart(one: Condition, other: Condition) -> bool:
    """Whether no number meets both."""
    for first, second in ((one, other), (other, one)):
        if first.symbol == "=" and not bool(second.holds(np.float64(first.value))):
            return True
        if first.symbol in (">", ">=") and second.symbol in ("<", "<="):
            strict = ">" in (first.symbol,) or second.symbol == "<"
            if first.value > second.value or (strict and first.value == second.value):
                return True
    return False
