"""The sheet of one estimate, and on request its reasons: operators, spec values with their sources, what the interval is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aicompute.estimate.result import METRICS, Comparison, Estimate, Origin
from aicompute.report.comparison import breakdown_table, known_metrics
from aicompute.report.numbers import display_of, metric_parts, percent, scale_of
from aicompute.report.sheet import Prose, Sheet, Table
from aicompute.report.terms import BOUNDARY, best_plan_text, scenario_text, size_of, terms_text
from aicompute.report.text import Cell
from aicompute.report.verdict import sentence, verdict
from aicompute.specs import Library
from aicompute.units import plain, to_unit

MOST_SWINGS = 8
"""Spec values named among those that move the answer most."""
LEAST_SWING = 0.0005
"""Smaller changes of the answer are not shown."""
SWING = (
    "Swing: by how many percent tokens/s per accelerator changes, with the plan as it is, when this value alone goes from the low "
    "to the high end of its range."
)
_RECOMPUTE = ("none", "selective", "full")


def estimate_sheet(comparison: Comparison, library: Library | None = None, notes: bool = True) -> Sheet:
    """Everything known of one estimate.

    Parameters
    ----------
    comparison : Comparison       Of one estimate.
    library : Library, optional   For the titles of sources.
    notes : bool                  Whether its notes stand at the end.
    """
    estimate = comparison.estimates[0]
    blocks: list[Table | Prose] = []
    if estimate.feasible:
        blocks += [_metrics(estimate), breakdown_table([estimate])]
        if estimate.communication:
            blocks.append(_communication(estimate))
    else:
        blocks.append(Prose([("", sentence(estimate.reason))], "Not feasible"))
    plan = f"{estimate.stack}; {best_plan_text(estimate, library)}" if estimate.plan else estimate.stack
    blocks.append(Prose([("", plan)], "Best plan" if estimate.feasible else "Nearest plan"))
    if estimate.alternatives:
        blocks.append(_alternatives(estimate))
    if estimate.feasible:
        blocks.append(Prose([("", text) for text in verdict(comparison, library)], "Verdict"))
    blocks += explained(estimate, library)
    if notes and comparison.notes:
        blocks.append(Prose([("", f"- {note}") for note in comparison.notes], "Notes"))
    title = f"{estimate.system_name} ({estimate.system}), {size_of(estimate)}"
    return Sheet(title, f"{scenario_text(comparison)}. {terms_text(comparison, library)} Boundary: {BOUNDARY}.", blocks)


def explained(estimate: Estimate, library: Library | None) -> list[Table | Prose]:
    """The reasons, where they were asked for."""
    blocks: list[Table | Prose] = []
    if estimate.operators:
        blocks.append(_operators(estimate))
    if estimate.origins:
        blocks += _values(estimate, library)
    if estimate.interval_parts:
        blocks.append(_interval(estimate))
    return blocks


def _metrics(estimate: Estimate) -> Table:
    """Every metric under its full title."""
    rows: list[list[Cell]] = []
    for name in known_metrics([estimate]):
        metric = estimate.metrics[name]
        scale = scale_of(display_of(name).scales, [metric.value])
        title = METRICS[name][1] if name in METRICS else display_of(name).label
        rows.append([title, *metric_parts(metric, scale), scale[1]])
    return Table(["metric", "value", "90 % interval", "unit"], rows)


def _communication(estimate: Estimate) -> Table:
    """Collectives, nothing hidden."""
    scale = scale_of(((1.0, "s"), (1e-3, "ms"), (1e-6, "us")), [part.seconds for part in estimate.communication])
    rows: list[list[Cell]] = [[part.name, f"{part.seconds / scale[0]:.3g}", percent(part.share)] for part in estimate.communication]
    return Table(["collective", scale[1], "share"], rows, "Communication if nothing were hidden")


def _alternatives(estimate: Estimate) -> Table:
    """Next best plans with what they reach of the best."""
    keys = [key for key in estimate.alternatives[0] if key != "objective" and any(plan.get(key) != 1 for plan in estimate.alternatives)]
    best = estimate.value("tokens_per_s_per_accelerator")
    rows = [[*(_entry(key, plan.get(key)) for key in keys), _reach(plan, best)] for plan in estimate.alternatives]
    return Table([*(key.replace("_", " ") for key in keys), "of the best"], rows, "Next best plans")


def _reach(plan: Mapping[str, Any], best: float) -> str:
    objective = plan.get("objective")
    return f"{float(objective) / best * 100.0:.1f} %" if objective is not None and best > 0.0 else ""


def _entry(key: str, value: Any) -> str:
    if key == "recompute" and isinstance(value, float) and 0.0 <= value <= 2.0:
        return _RECOMPUTE[int(value)]
    return plain(float(value)) if isinstance(value, (int, float)) else str(value or "")


def _operators(estimate: Estimate) -> Table:
    """Every operator and collective of one device in a step."""
    rows: list[list[Cell]] = []
    for line in estimate.operators:
        amounts = (_amount(line.flops, 1e9), _amount(line.traffic, 1e6), _amount(line.seconds, 1e-6))
        rows.append([line.name, plain(line.count), line.shape, *amounts, line.bound])
    what = "one forward pass of a micro-batch" if estimate.workload == "training" else "a step"
    return Table(["operator", "count", "rows x columns x depth", "GFLOP", "MB", "us", "bound"], rows, f"Operators of one device in {what}")


def _amount(value: float, size: float) -> str:
    return plain(value / size) if value else ""


def _values(estimate: Estimate, library: Library | None) -> list[Table | Prose]:
    """Spec values under the name of their spec, with numbered sources."""
    keys = list(dict.fromkeys(origin.source for origin in estimate.origins))
    groups: dict[str, list[Origin]] = {}
    for origin in estimate.origins:
        groups.setdefault(_owner(origin.path, estimate), []).append(origin)
    rows: list[Sequence[Cell]] = []
    for owner, origins in groups.items():
        rows.append([owner or "others"])
        rows += [_value_row(origin, owner, keys) for origin in origins]
    sources = library.sources() if library else {}
    titles = [(f"[{number}]", str(sources.get(key, {}).get("title", key))) for number, key in enumerate(keys, 1)]
    return [
        Table(["value", "number (range)", "kind", "swing", "from"], rows, "Spec values used"),
        Prose([("", SWING)]),
        Prose(titles, "Sources"),
    ]


def _owner(path: str, estimate: Estimate) -> str:
    """The spec that a path belongs to; ids may have dots."""
    known = (estimate.system, estimate.accelerator, estimate.model, estimate.stack, estimate.site)
    return next((name for name in known if path.startswith(f"{name}.")), path.partition(".")[0])


def _value_row(origin: Origin, owner: str, keys: Sequence[str]) -> list[Cell]:
    unit = "" if origin.unit == "1" else f" {origin.unit}"
    value, low, high = (plain(to_unit(number, origin.unit), 4) for number in (origin.value, origin.low, origin.high))
    between = f" ({low}-{high})" if (low, high) != (value, value) else ""
    swing = f"{origin.swing * 100.0:+.1f}" if abs(origin.swing) >= LEAST_SWING else ""
    name, number = origin.path.removeprefix(f"{owner}."), keys.index(origin.source) + 1
    return [f" {name}", f"{value}{unit}{between}", origin.kind, swing, f"[{number}]"]


def _interval(estimate: Estimate) -> Prose:
    """Shares of variance, and the values that move the answer most."""
    shares = sorted(estimate.interval_parts.items(), key=lambda part: -part[1])
    swings = [origin for origin in estimate.origins if abs(origin.swing) >= LEAST_SWING][:MOST_SWINGS]
    lines = [("", f"Variance of tokens/s per accelerator: {', '.join(f'{name} {percent(share)}' for name, share in shares)}.")]
    if swings:
        moved = ", ".join(f"{origin.path} ({origin.swing * 100.0:+.1f} %)" for origin in swings)
        lines.append(("", f"Most moved by: {moved}."))
    return Prose(lines, "What the interval is made of")
