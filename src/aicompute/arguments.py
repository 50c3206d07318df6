"""Checks of single arguments: each is read into SI floats, or refused by name with what is allowed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from aicompute import units
from aicompute.errors import UnitError, UnknownNameError, UsageError
from aicompute.specs import Library

RECOMPUTE = ("none", "selective", "full")
MOST_RENT = 1.0 / 36.0
"""USD a second: 100 USD per accelerator-hour. Above it an hourly price was probably given as a number."""
MOST_SAMPLES = 1_000_000
_MOST_OF_PLAN = {"zero": 3, "recompute": 2, "sequence_parallel": 1}


def is_axis(value: Any) -> bool:
    """Whether an argument is an array and so an axis of the answer.

    Examples
    --------
    >>> is_axis([1, 2]), is_axis("ab"), is_axis(np.array([1.0])), is_axis(3)
    (True, False, True, False)
    """
    if value is None or isinstance(value, (str, bytes, float, int, Mapping)):
        return False
    shape = np.shape(getattr(value, "magnitude", value)) if not isinstance(value, (list, tuple, range)) else (len(value),)
    if len(shape) > 1:
        raise UsageError(f"an array of {len(shape)} dimensions cannot be an axis; give a list, or one argument for each axis")
    return len(shape) == 1


def parsed(name: str, value: Any, dimension: str, rates: Mapping[str, float] | None = None) -> float:
    """A quantity in SI units; a message about it begins with its name."""
    try:
        return units.parse(value, dimension, rates=rates)
    except UnitError as error:
        raise UnitError(f"{name}: {error}") from None


def samples_of(samples: Any) -> int:
    """A number of draws."""
    if isinstance(samples, bool) or not isinstance(samples, (int, np.integer)) or not 0 <= samples <= MOST_SAMPLES:
        raise UsageError(f"samples = {samples!r}: expected a whole number from 0 to {MOST_SAMPLES:,}")
    return int(samples)


def share_of(name: str, given: Any) -> float | None:
    """A share above zero."""
    if given is None:
        return None
    share = parsed(name, given, "fraction")
    if not 0.0 < share <= 1.0:
        raise UsageError(f"{name} = {given!r}: expected a share above 0, at most 1, such as 0.6 or '60 %'")
    return share


def accelerators_of(given: Any) -> float | None:
    """A number of accelerators."""
    if given is None:
        return None
    number = parsed("accelerators", given, "count")
    if not 1.0 <= number < 1e8:
        raise UsageError(f"accelerators = {given!r}: expected a number from 1 to 1e8")
    return number


def rent_of(given: Any, library: Library) -> float | None:
    """A price of an accelerator in USD a second; other currencies at the sites' dated rates."""
    if given is None:
        return None
    price = parsed("rent", given, "price_hour", library.exchange_rates() if units.names_currency(given) else None)
    if not 0.0 < price <= MOST_RENT:
        raise UsageError(f"rent = {given!r}: expected a price above 0, at most 100 USD an hour, such as '2.5 USD/accelerator/h'")
    return price


def drafts_of(given: Any) -> float:
    """Draft tokens of a step."""
    number = parsed("drafts", given, "count")
    if not (0.0 <= number <= 8.0 and number.is_integer()):
        raise UsageError(f"drafts = {given!r}: expected a whole number from 0 to 8")
    return number


def axis_of(name: str, given: Any) -> list[float]:
    """Values of an axis of a search: a number, a list, words for recompute and switches.

    Examples
    --------
    >>> axis_of("recompute", ["none", "full"]), axis_of("tp", "1,2,4"), axis_of("overlap_data", "on")
    ([0.0, 2.0], [1.0, 2.0, 4.0], [1.0])
    """
    if isinstance(given, str):
        given = [part.strip() for part in given.split(",") if part.strip()]
    values = list(given) if is_axis(given) else [given]
    words = {"off": 0.0, "on": 1.0, "false": 0.0, "true": 1.0}
    if name == "recompute":
        words = {word: float(place) for place, word in enumerate(RECOMPUTE)}
    found = []
    for value in values:
        if isinstance(value, str) and value.lower() in words:
            found.append(words[value.lower()])
        elif isinstance(value, str) and name == "recompute" and not value.isdigit():
            raise UnknownNameError("value of recompute", value, RECOMPUTE)
        else:
            found.append(float(value) if isinstance(value, bool) else parsed(name, value, "count"))
    return found


def precisions_of(given: Any, axis: Any = None) -> tuple[Any, tuple[str, ...]]:
    """One precision, or words to be tried one after another, given as the precision or as an axis of that name.

    Examples
    --------
    >>> precisions_of("fp8"), precisions_of(None, "bf16,fp8"), precisions_of(["bf16", "fp8"])
    (('fp8', ()), (None, ('bf16', 'fp8')), (None, ('bf16', 'fp8')))
    """
    if given is not None and axis is not None:
        raise UsageError("precision is given twice: once for all plans and once as an axis")
    given = axis if given is None else given
    if isinstance(given, str) and "," in given and "=" not in given:
        given = given.split(",")
    if given is None or isinstance(given, (str, Mapping)):
        return given, ()
    words = tuple(dict.fromkeys(str(word).strip() for word in given if str(word).strip()))
    if not words:
        raise UsageError("precision has no value; expected words such as bf16 or fp8")
    return (words[0], ()) if len(words) == 1 else (None, words)


def plan_of(given: Mapping[str, Any]) -> dict[str, float]:
    """Overrides of the plan as numbers; words for recompute, ``vpp`` for chunks."""
    found: dict[str, float] = {}
    for name, value in given.items():
        if value is None:
            continue
        key = "chunks" if name == "vpp" else name
        if key == "recompute" and isinstance(value, str) and not value.isdigit():
            if value not in RECOMPUTE:
                raise UnknownNameError("value of recompute", value, RECOMPUTE)
            found[key] = float(RECOMPUTE.index(value))
        elif isinstance(value, bool):
            found[key] = float(value)
        else:
            found[key] = parsed(name, value, "count")
            if not (found[key] < 1e9 and (found[key].is_integer() or key == "batch")):
                raise UsageError(f"{name} = {value!r}: expected a whole number")
        if found[key] > _MOST_OF_PLAN.get(key, 1e9):
            raise UsageError(f"{name} = {value!r}: expected 0 to {_MOST_OF_PLAN[key]}")
    return found
