"""The sheet of one comparison: metrics in rows, systems in columns, then plans, time and the verdict."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from aicompute.estimate.result import Comparison, Estimate, Part
from aicompute.report.numbers import DISPLAYS, NONE, better_of, display_of, metric_text, percent, ratio_text, scale_of
from aicompute.report.sheet import Prose, Sheet, Table
from aicompute.report.terms import BOUNDARY, best_plan_text, scenario_text, size_of, terms_text
from aicompute.report.text import Cell
from aicompute.report.verdict import name_of, ratio_of, sentence, verdict
from aicompute.specs import Library

MOST_COLUMNS = 3
"""Systems side by side in one table of 80 columns; more follow below."""
LEAST_SHARE = 0.01
"""Parts of a step below this share in every system are summed up."""


def comparison_sheet(comparison: Comparison, library: Library | None = None, notes: bool = True) -> Sheet:
    """Everything that a comparison answers.

    Parameters
    ----------
    comparison : Comparison
    library : Library, optional   Explains the verdict by what the specs say of the chips.
    notes : bool                  Whether its notes stand at the end.

    Returns
    -------
    Sheet; infeasible systems are columns of dashes with their reason below.
    """
    blocks: list[Table | Prose] = []
    for group in by_site(comparison):
        for part in _columns(group):
            blocks.append(metrics_table(part))
            if any(estimate.breakdown for estimate in part):
                blocks.append(breakdown_table(part.estimates))
    blocks += [block for block in (_infeasible(comparison), _plans(comparison, library), _bottlenecks(comparison)) if block.lines]
    for group in by_site(comparison):
        blocks.append(Prose([("", text) for text in verdict(group, library)], "Verdict"))
    if notes and comparison.notes:
        blocks.append(Prose([("", f"- {note}") for note in comparison.notes], "Notes"))
    return Sheet(scenario_text(comparison), f"{terms_text(comparison, library)} Boundary: {BOUNDARY}.", blocks)


def by_site(comparison: Comparison) -> list[Comparison]:
    """A comparison at several sites as one comparison a site, so that each has its ratio and its verdict."""
    sites = comparison.scenario.get("sites") or ()
    count = len(comparison.estimates)
    if len(sites) < 2 or count % len(sites):
        return [comparison]
    size = count // len(sites)
    starts = range(0, count, size)
    return [
        Comparison(comparison.title, {**comparison.scenario, "sites": [site]}, comparison.estimates[start : start + size])
        for site, start in zip(sites, starts, strict=True)
    ]


def unique(estimates: Iterable[Estimate]) -> list[Estimate]:
    """Estimates without those of a system at a site that came before ("home" may be the site itself)."""
    first: dict[tuple[str, str, float], Estimate] = {}
    for estimate in estimates:
        first.setdefault((estimate.system, estimate.site, estimate.accelerators), estimate)
    return list(first.values())


def _columns(comparison: Comparison) -> Iterator[Comparison]:
    """A comparison in pieces narrow enough for a page."""
    for start in range(0, len(comparison.estimates), MOST_COLUMNS):
        yield Comparison(comparison.title, comparison.scenario, comparison.estimates[start : start + MOST_COLUMNS])


def names_of(comparison: Comparison) -> list[str]:
    """Headers of the columns."""
    return [name_of(estimate, comparison.estimates) for estimate in comparison.estimates]


def metrics_table(comparison: Comparison, only: Sequence[str] = (), heading: str = "") -> Table:
    """Metrics in rows, systems in columns, and the ratio of two.

    Parameters
    ----------
    comparison : Comparison
    only : sequence of str   Metrics to show; none: all that any estimate has.
    heading : str
    """
    rows = [metric_row(comparison, name) for name in only or known_metrics(comparison.estimates) if _has(comparison.estimates, name)]
    headers = ["90 % intervals", *names_of(comparison), *(["ratio"] if len(comparison) == 2 else [])]
    return Table(headers, rows or [["feasible", *(_feasible(e) for e in comparison), *([NONE] if len(comparison) == 2 else [])]], heading)


def known_metrics(estimates: Sequence[Estimate]) -> list[str]:
    """Metrics that some estimate has, in the order of the tables."""
    others = [name for estimate in estimates for name in estimate.metrics if name not in DISPLAYS]
    return [name for name in dict.fromkeys([*DISPLAYS, *others]) if _has(estimates, name)]


def metric_row(comparison: Comparison, name: str, label: str = "") -> list[Cell]:
    """One metric of every estimate in one unit, and the ratio of two."""
    found = [estimate.metrics.get(name) for estimate in comparison.estimates]
    scale = scale_of(display_of(name).scales, [metric.value for metric in found if metric])
    cells: list[Cell] = [label or labelled(name, scale[1]), *(metric_text(metric, scale) for metric in found)]
    if len(comparison) != 2:
        return cells
    return [*cells, ratio_text(ratio_of(comparison, name)) if better_of(name) else NONE]


def labelled(name: str, unit: str) -> str:
    """The label of a row with its unit."""
    label = display_of(name).label
    return f"{unit} {label}" if unit in ("k", "M") else f"{label}, {unit}" if unit else label


SPANS = {
    "training": "an optimizer step",
    "serving": "device time of an output token",
    "decode": "a decode step",
    "prefill": "a batch of prompts",
}
"""What a breakdown is the time of."""


def breakdown_table(estimates: Sequence[Estimate]) -> Table:
    """Parts of the time of a step in rows; then what communication would take if nothing were hidden, and what is exposed."""
    heading = f"Where the time goes ({SPANS.get(estimates[0].workload, 'a step')})"
    scale = scale_of(((1.0, "s"), (1e-3, "ms"), (1e-6, "us")), [sum(part.seconds for part in e.breakdown) for e in estimates])
    shares: dict[str, float] = {}
    for part in (part for estimate in estimates for part in estimate.breakdown):
        shares[part.name] = max(shares.get(part.name, 0.0), part.share)
    names = sorted((name for name, share in shares.items() if share >= LEAST_SHARE), key=lambda name: -shares[name])
    rows: list[list[Cell]] = [[name, *(_part(e.breakdown, (name,), scale[0]) for e in estimates)] for name in names]
    small = [name for name in shares if name not in names]
    if small:
        rows.append(["other", *(_part(e.breakdown, small, scale[0]) for e in estimates)])
    rows.append(["total", *(_part(e.breakdown, list(shares), scale[0]) for e in estimates)])
    talk = list(dict.fromkeys(part.name for estimate in estimates for part in estimate.communication))
    if talk:
        rows.append(["communication, total", *(_part(e.communication, talk, scale[0]) for e in estimates)])
        rows.append(["communication, exposed", *(_exposed(e, scale[0]) for e in estimates)])
    return Table([f"time, {scale[1]}", *(name_of(e, estimates) for e in estimates)], rows, heading)


def _part(parts: Sequence[Part], names: Sequence[str], size: float) -> str:
    """Seconds and share of some parts."""
    found = [part for part in parts if part.name in names]
    if not found:
        return NONE
    return _time_and_share(sum(part.seconds for part in found) / size, sum(part.share for part in found))


def _exposed(estimate: Estimate, size: float) -> str:
    share = estimate.value("exposed_share")
    total = sum(part.seconds for part in estimate.breakdown)
    return NONE if share != share else _time_and_share(share * total / size, share)


def _time_and_share(time: float, share: float) -> str:
    return f"{time:.3g} ({percent(share)})" if time < 1000.0 else f"{time:,.0f} ({percent(share)})"


def _has(estimates: Sequence[Estimate], name: str) -> bool:
    return any(name in estimate.metrics for estimate in estimates)


def _feasible(estimate: Estimate) -> str:
    return "yes" if estimate.feasible else "no"


def _named(comparison: Comparison) -> list[tuple[str, Estimate]]:
    """Estimates with their names, each once."""
    return [(name_of(estimate, comparison.estimates), estimate) for estimate in unique(comparison.estimates)]


def _infeasible(comparison: Comparison) -> Prose:
    """Why some cannot, and what would do."""
    return Prose([(name, sentence(estimate.reason)) for name, estimate in _named(comparison) if not estimate.feasible], "Not feasible")


def _plans(comparison: Comparison, library: Library | None) -> Prose:
    """The best plan of each."""
    lines = [(name, f"{size_of(e)}; {e.stack}; {best_plan_text(e, library)}") for name, e in _named(comparison) if e.feasible and e.plan]
    return Prose(lines, "Best plan")


def _bottlenecks(comparison: Comparison) -> Prose:
    """What bounds each."""
    return Prose([(name, e.bottleneck) for name, e in _named(comparison) if e.feasible and e.bottleneck], "Bottleneck")
