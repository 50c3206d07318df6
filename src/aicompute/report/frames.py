"""What data frames and labelled arrays of answers share."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from aicompute.errors import UnknownNameError, UsageError
from aicompute.estimate.result import METRICS, Estimate
from aicompute.report.numbers import DISPLAYS, KEYS

Bound = Literal["value", "low", "high"]
BOUNDS: tuple[Bound, ...] = ("value", "low", "high")
"""What a metric has: its value and the ends of its 90 % interval."""


def metric_name(name: str, known: Mapping[str, Any]) -> str:
    """The name of a metric from the one here or in JSON.

    Examples
    --------
    >>> metric_name("capex", METRICS)
    'capital'
    """
    if name in known:
        return name
    other = KEYS.get(name, name)
    if other in known or (other in DISPLAYS and known is METRICS):
        return other
    raise UnknownNameError("metric", name, [*known, *(key for key in KEYS if KEYS[key] in known)])


def bounds_of(estimate: Estimate | None, name: str) -> tuple[float, float, float]:
    """Value, low and high, nan where there is none."""
    metric = estimate.metrics.get(name) if estimate else None
    return (metric.value, metric.low, metric.high) if metric else (np.nan, np.nan, np.nan)


def attributes_of(name: str) -> dict[str, str]:
    """Unit and title of a variable."""
    unit, title, _ = METRICS.get(name, ("1", name, ""))
    return {"units": unit, "long_name": title}


def pandas_module() -> Any:
    """The pandas module, or how to get it."""
    return _module("pandas", "to_pandas")


def xarray_module() -> Any:
    """The xarray module, or how to get it."""
    return _module("xarray", "to_xarray")


def _module(name: str, wanted_by: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise UsageError(f"{wanted_by} needs {name}; install aicompute[tables]") from None
