"""Answers as records for programs: JSON by the schema that ships, and CSV in long form."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from aicompute.estimate.result import Comparison, Estimate, Metric, Part
from aicompute.report.comparison import known_metrics, unique
from aicompute.report.numbers import better_of, display_of
from aicompute.report.terms import plan_rows
from aicompute.report.text import Cell, comma_separated
from aicompute.report.verdict import ratio_of, verdict
from aicompute.specs import Library

SCHEMA = 1
"""Version of the JSON; it grows when a reader would have to change."""
COLUMNS = ("scenario", "system", "site", "feasible", "metric", "value", "low", "high", "unit")
"""Columns of the CSV: a row a number. Plans, bottlenecks and reasons are rows whose value is a word."""


def comparison_record(comparison: Comparison, library: Library | None = None) -> dict[str, Any]:
    """A comparison as the JSON Schema ``compare.schema.json`` describes it.

    Parameters
    ----------
    comparison : Comparison
    library : Library, optional   Titles of sources, and what explains the verdict.

    Returns
    -------
    dict of JSON types; numbers that are not finite are None.
    """
    record = {
        "schema": SCHEMA,
        "scenario": {"title": comparison.title, **comparison.scenario},
        "systems": [estimate_record(estimate, library) for estimate in unique(comparison.estimates)],
        "ratios": {display_of(name).key: found for name in known_metrics(comparison.estimates) if (found := _ratio(comparison, name))},
        "verdict": verdict(comparison, library),
        "notes": list(comparison.notes),
    }
    cleaned: dict[str, Any] = clean(record)
    return cleaned


def comparisons_record(comparisons: Sequence[Comparison], library: Library | None = None) -> dict[str, Any]:
    """Several comparisons in one object."""
    records = [comparison_record(comparison, library) for comparison in comparisons]
    for record in records:
        del record["schema"]
    return {"schema": SCHEMA, "comparisons": records}


def estimate_record(estimate: Estimate, library: Library | None = None) -> dict[str, Any]:
    """One system at one site; what explains the answer only where it was asked for."""
    record: dict[str, Any] = {
        "id": estimate.system,
        "name": estimate.system_name,
        "accelerator": estimate.accelerator,
        "site": estimate.site,
        "model": estimate.model,
        "stack": estimate.stack,
        "accelerators": estimate.accelerators,
        "units": estimate.units,
        "target": estimate.target,
        "feasible": estimate.feasible,
        "reason": estimate.reason,
        "plan": dict(estimate.plan),
        "metrics": {display_of(name).key: metric_record(name, metric) for name, metric in estimate.metrics.items()},
        "breakdown": _parts(estimate.breakdown),
        "communication": _parts(estimate.communication),
        "bottleneck": estimate.bottleneck,
        "alternatives": [dict(plan) for plan in estimate.alternatives],
    }
    if estimate.operators or estimate.origins or estimate.interval_parts:
        record["operators"] = [vars(line) for line in estimate.operators]
        record["origins"] = [_origin(origin, library) for origin in estimate.origins]
        record["interval_parts"] = dict(estimate.interval_parts)
    cleaned: dict[str, Any] = clean(record)
    return cleaned


def metric_record(name: str, metric: Metric) -> dict[str, Any]:
    """A metric in the unit that JSON and CSV use.

    Examples
    --------
    >>> metric_record("cost_per_token", Metric(2.5e-07, 2e-07, 3e-07, "USD"))
    {'value': 0.25, 'low': 0.2, 'high': 0.3, 'unit': 'USD/Mtoken'}
    """
    display = display_of(name)
    value, low, high = (_digits(number / display.size) for number in (metric.value, metric.low, metric.high))
    return {"value": value, "low": low, "high": high, "unit": display.unit}


def as_json(record: Mapping[str, Any]) -> str:
    """A record as text; a number that is not finite is an error here, since `clean` takes them out."""
    return json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False)


def as_csv(comparisons: Sequence[Comparison]) -> str:
    """Comparisons in long form, a row a number."""
    return comma_separated(list(COLUMNS), [row for comparison in comparisons for row in csv_rows(comparison)])


def csv_rows(comparison: Comparison) -> list[list[Cell]]:
    """The rows of a comparison in the order of `COLUMNS`."""
    rows: list[list[Cell]] = []
    for estimate in unique(comparison.estimates):
        head: list[Cell] = [comparison.title, estimate.system, estimate.site, "yes" if estimate.feasible else "no"]
        for name in known_metrics([estimate]):
            found = clean(metric_record(name, estimate.metrics[name]))
            rows.append([*head, display_of(name).key, found["value"], found["low"], found["high"], found["unit"]])
        rows += [[*head, f"breakdown.{part.name}", clean(part.seconds), None, None, "s"] for part in estimate.breakdown]
        rows += [[*head, f"communication.{part.name}", clean(part.seconds), None, None, "s"] for part in estimate.communication]
        rows += [[*head, f"plan.{name}", text, None, None, ""] for name, text in plan_rows(estimate.plan)]
        words = (("bottleneck", estimate.bottleneck), ("reason", estimate.reason))
        rows += [[*head, name, text, None, None, ""] for name, text in words if text]
    return rows


def clean(item: Any) -> Any:
    """Nested data as JSON types, with None for nan and infinity.

    Examples
    --------
    >>> clean({"a": (1, float("nan"), "x")})
    {'a': [1, None, 'x']}
    """
    if isinstance(item, Mapping):
        return {str(key): clean(each) for key, each in item.items()}
    if isinstance(item, (str, bool)) or item is None:
        return item
    if isinstance(item, (int, float)):
        return None if isinstance(item, float) and not math.isfinite(item) else item
    if hasattr(item, "tolist"):
        return clean(item.tolist())
    if isinstance(item, (list, tuple, set)):
        return [clean(each) for each in item]
    return str(item)


def _digits(number: float) -> float:
    """Without the noise that a change of unit leaves behind the twelfth digit."""
    return float(f"{number:.12g}")


def _parts(parts: Sequence[Part]) -> list[dict[str, Any]]:
    return [{"name": part.name, "seconds": part.seconds, "share": part.share} for part in parts]


def _ratio(comparison: Comparison, name: str) -> dict[str, float] | None:
    """First over second, and the probability that the first is better."""
    found = ratio_of(comparison, name)
    if found is None or not better_of(name):
        return None
    return {"value": found.value, "low": found.low, "high": found.high, "probability": found.probability}


def _origin(origin: Any, library: Library | None) -> dict[str, Any]:
    """A spec value with the title of its source."""
    from aicompute.units import to_unit

    title = library.sources().get(origin.source, {}).get("title") if library else None
    value, low, high = (to_unit(number, origin.unit) for number in (origin.value, origin.low, origin.high))
    number = {"path": origin.path, "value": value, "low": low, "high": high, "unit": origin.unit}
    return {**number, "kind": origin.kind, "source": origin.source, "title": title, "swing": origin.swing}
