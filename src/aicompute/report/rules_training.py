"""A training run against thresholds, as blocks of a sheet, records and rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from aicompute.decide.answer import RulesAnswer
from aicompute.decide.reach import Pace, Reach
from aicompute.decide.training_rules import Crossing, Run
from aicompute.report.sheet import Prose, Table, joined
from aicompute.report.text import Cell
from aicompute.specs.policy_keys import MEASURES
from aicompute.units import format_si, plain

_SIGN = {"at_least": ">=", "above": ">", "below": "<"}
_DAY, _YEAR = 86400.0, 365.25 * 86400.0


def run_blocks(a: RulesAnswer) -> list[Table | Prose]:
    """Tables of a run and of what reaches the thresholds; none where nothing was asked."""
    blocks: list[Table | Prose] = []
    run, date = a.run, a.date
    if run is not None:
        rows: list[list[Cell]] = [[
            c.rule.id, f"{_SIGN[c.comparison]} {flop(c.threshold)}" if c.threshold else "none",
            f"{c.ratio:.2g}" if c.ratio is not None and c.ratio < 100 else f"{c.ratio:,.0f}" if c.ratio is not None else None,
            "-" if c.threshold is None else c.verdict, status(c, date),
        ] for c in a.crossings]  # fmt: skip
        blocks.append(Table(["rule", "threshold, FLOP", "run / threshold", "run is", "status"], rows, _heading(run)))
        blocks.append(Prose([("counted as", run.basis), *_consequences(a.crossings, date), *_told(run)]))
    if a.reaches:
        blocks.append(_reach_table(a.reaches, a.within))
        blocks.append(Prose([("", said) for said in (*_pace_words(a.paces, run), *_cluster_words(a))]))
    return blocks


def _heading(run: Run) -> str:
    tokens = f" on {run.tokens / 1e12:,.4g} trillion tokens" if run.tokens else ""
    spread = "" if run.flop.certain else f" ({flop(run.flop.low)} to {flop(run.flop.high)})"
    return f"{run.name}{tokens}: {flop(run.flop.value)} FLOP{spread}"


def flop(number: float) -> str:
    """An amount of arithmetic, short.

    Examples
    --------
    >>> flop(1e25), flop(3.8e25)
    ('1e25', '3.80e25')
    """
    text = f"{number:.2e}".replace("e+", "e")
    return text.replace(".00e", "e")


def status(crossing: Crossing, date: str) -> str:
    """The standing of a rule on a date, or its dates."""
    rule = crossing.rule
    if date:
        return rule.state(date)
    weight = "" if rule.standing == "law" else rule.standing
    return ", ".join(part for part in (rule.dates, weight) if part and not (rule.dates == "never in force" and part != weight))


def _consequences(crossings: Sequence[Crossing], date: str) -> list[tuple[str, str]]:
    """What follows where the run is over a threshold that counts, or may be."""
    found = []
    for c in (c for c in crossings if not date or c.rule.binds(date)):
        hits = [each for each in c.judgement.possible if each is not None] if c.judgement else []
        if not hits:
            continue
        lowest = hits[-1]
        further = f"; only if: {lowest.further}" if lowest.further else ""
        limits = joined(MEASURES[name][3] for name in c.also)
        more = f"; {hits[0].label} if the {limits} is above the limit: {hits[0].effect}" if c.also else ""
        found.append((c.rule.id, f"{c.rule.name} ({lowest.label}): {lowest.effect}{further}{more}"))
    return found


def _told(run: Run) -> list[tuple[str, str]]:
    """What others said of the run."""
    found = []
    for one in run.published:
        amount = f"{flop(one.flop.value)} FLOP" if one.flop else "no amount"
        tokens = f", {one.tokens / 1e12:,.4g} trillion tokens" if one.tokens else ""
        found.append(("published", f"{one.model}{tokens}: {amount} ({one.basis}){'; ' + one.notes if one.notes else ''}"))
    return found


def _reach_table(reaches: Sequence[Reach], within: float) -> Table:
    rows: list[list[Cell]] = []
    for r in reaches:
        likely = f"{r.likely:,.0f}" if r.likely is not None else None
        rows.append([r.system, flop(r.threshold), f"{r.least:,.0f}", likely, _span(r.unit_time)])
    heads = ["system", "FLOP", "accelerators, at least", "at the estimated rate", "time on one unit"]
    return Table(heads, rows, f"The smallest cluster that reaches a threshold in {_span(within)}")


def _span(seconds: float) -> str:
    """A time of training in days, or years."""
    return f"{plain(seconds / _YEAR)} years" if seconds >= 2 * _YEAR else f"{plain(seconds / _DAY)} days"


def _pace_words(paces: Sequence[Pace], run: Run | None) -> list[str]:
    found = []
    for p in paces:
        peak = f"{p.system}: {format_si(p.peak, 'FLOP/s', 4)} dense at {p.precision} an accelerator"
        if p.utilisation is None:
            found.append(f"- {peak}; no estimate of its rate with {run.name if run else 'a model'}, and none gets to its peak.")
        else:
            said = run.name if run else "the model"
            reached = f"{p.utilisation:.0%} of it (6 N, failures included) on {p.accelerators:,.0f} accelerators"
            found.append(f"- {peak}; {said} reaches {reached}.")
    return found


def _cluster_words(a: RulesAnswer) -> list[str]:
    """How many accelerators reach the peak that a rule names for a cluster."""
    found = []
    for rule, limit in [(c.rule, limit) for c in a.crossings for each in c.rule.classes for name, _, limit in each.tests if name == "peak"]:
        held = joined(f"{math.ceil(limit / p.peak):,.0f} of {p.system} at {p.precision}" for p in a.paces)
        state = rule.state(a.date) if a.date else rule.dates
        found.append(f"- {rule.id} ({state}) speaks of clusters of {flop(limit)} FLOP/s in one data centre: {held}.")
    return found


def run_record(a: RulesAnswer) -> dict[str, Any] | None:
    """A run as JSON; None where none was asked for."""
    run = a.run
    if run is None:
        return None
    found: dict[str, Any] = {
        "model": run.name,
        "tokens": run.tokens,
        "flop": {"value": run.flop.value, "low": run.flop.low, "high": run.flop.high},
        "basis": run.basis,
        "rules": [_crossing_record(c, a.date) for c in a.crossings],
    }
    found["reach"] = [
        {
            "system": r.system, "flop": r.threshold, "rules": list(r.rules), "within_s": a.within, "accelerators_at_least": r.least,
            "accelerators": r.likely, "seconds_on_one_unit": r.unit_time,
        }
        for r in a.reaches
    ]  # fmt: skip
    found["rates"] = [
        {"system": p.system, "precision": p.precision, "peak_flop_per_s": p.peak, "utilisation": p.utilisation} for p in a.paces
    ]
    return found


def _crossing_record(c: Crossing, date: str) -> dict[str, Any]:
    labels = [each.label for each in c.judgement.possible if each is not None] if c.judgement else []
    return {
        "rule": c.rule.id, "jurisdiction": c.rule.jurisdiction, "instrument": c.rule.instrument, "threshold_flop": c.threshold,
        "comparison": c.comparison or None, "ratio": c.ratio, "verdict": c.verdict, "classes": labels, "depends_on": list(c.also),
        "effective": c.rule.effective or None, "until": c.rule.until or None, "standing": c.rule.standing,
        "state": c.rule.state(date) if date else None, "source": c.rule.source,
    }  # fmt: skip


RUN_COLUMNS = (
    "model", "flop", "flop_low", "flop_high", "rule", "jurisdiction", "threshold_flop", "ratio", "verdict", "effective", "until",
    "standing",
)  # fmt: skip


def run_rows(run: Run, crossings: Sequence[Crossing]) -> list[list[Cell]]:
    """A row a rule, in the order of `RUN_COLUMNS`."""
    return [
        [run.name, *run.flop, c.rule.id, c.rule.jurisdiction, c.threshold, c.ratio, c.verdict, c.rule.effective, c.rule.until,
         c.rule.standing]
        for c in crossings
    ]  # fmt: skip
