"""The headline on one screen: decode at four latencies, prefill, the whole service and training, then the verdict."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from aicompute.estimate.result import Comparison, Estimate
from aicompute.report.comparison import metric_row
from aicompute.report.facts import facts_of
from aicompute.report.numbers import percent, times, with_unit
from aicompute.report.sheet import Prose, Sheet, Table, joined
from aicompute.report.terms import plan_text, precision_text, precisions_text, target_text
from aicompute.report.text import Cell
from aicompute.report.verdict import (
    Known,
    Lead,
    communication,
    cost_reason,
    lead,
    name_of,
    per_system,
    per_watt,
    sentence,
    strength,
)
from aicompute.specs import Library

REFERENCE = 0.050
"""Time per output token at which decode is shown in full [s]."""
_STEP = (
    "tokens_per_s", "tpot", "communication_share", "exposed_share", "it_power", "energy_per_token", "capital", "cost_per_hour",
    "cost_per_token", "carbon_per_token",
)  # fmt: skip
_PREFILL = ("tokens_per_s_per_accelerator", "tokens_per_s", "exposed_share", "energy_per_token", "cost_per_token")
_SERVICE = ("tokens_per_s_per_accelerator", "tokens_per_s", "energy_per_token", "cost_per_token", "carbon_per_token")
_HOME = ("cost_per_token", "carbon_per_token")
_TRAINING = ("tokens_per_s_per_accelerator", "mfu", "exposed_share", "it_power", "run_time", "run_cost")


def headline_sheet(comparisons: Sequence[Comparison], library: Library | None = None, notes: bool = True) -> Sheet:
    """What the headline answers, in one table and one verdict.

    Parameters
    ----------
    comparisons : sequence of Comparison   Of the same systems; those of decode among them.
    library : Library, optional            Explains the verdict by what the specs say of the chips.
    notes : bool                           Whether notes stand at the end.

    Returns
    -------
    Sheet.
    """
    decodes = of_kind(comparisons, "decode")
    names = [estimate.system for estimate in comparisons[0].estimates]
    usual = (reference(decodes) if decodes else comparisons[0]).scenario.get("precision")
    rows: list[Sequence[Cell]] = []
    if decodes:
        rows += [["Decode, tokens/s per accelerator"], *(_decode_row(comparison) for comparison in decodes)]
        step = reference(decodes)
        rows += _section("Decode", step, _STEP, usual)
    for kind, title, only, only_home in (
        ("prefill", "Prefill", _PREFILL, ()),
        ("serving", "Whole service", _SERVICE, _HOME),
        ("training", "Training", _TRAINING, ()),
    ):
        same, home = same_and_home(of_kind(comparisons, kind))
        if same:
            rows += _section(title, same, only, usual)
        if home and (only_home or not same):
            rows += _section(f"{title}, each at home", home, only_home if same else only, usual)
    headers = ["90 % intervals", *names, *(["ratio"] if len(names) == 2 else [])]
    blocks: list[Table | Prose] = [Table(headers, rows)]
    blocks += [block for block in (_plans(decodes), _reasons(comparisons)) if block.lines]
    blocks.append(Prose([("", f"- {text}") for text in headline_verdict(comparisons, library)], "Verdict"))
    found = dict.fromkeys(note for comparison in comparisons for note in comparison.notes)
    if notes and found:
        blocks.append(Prose([("", f"- {note}") for note in found], "Notes"))
    return Sheet(" against ".join(names), headline_terms(comparisons, library), blocks)


def of_kind(comparisons: Sequence[Comparison], kind: str) -> list[Comparison]:
    """The comparisons of a kind of work."""
    return [c for c in comparisons if c.estimates and c.estimates[0].workload == kind]


def reference(decodes: Sequence[Comparison]) -> Comparison:
    """The decode at `REFERENCE`, equal in precision where there is one; else the first."""
    return next((c for c in decodes if _tpot(c) == REFERENCE), decodes[0])


def same_and_home(comparisons: Sequence[Comparison]) -> tuple[Comparison | None, Comparison | None]:
    """The comparison at one site for all, and the one with each at home."""
    home = next((c for c in comparisons if is_home(c)), None)
    return next((c for c in comparisons if not is_home(c)), None), home


def is_home(comparison: Comparison) -> bool:
    """Whether each system stands at its own home site."""
    return list(comparison.scenario.get("sites") or ()) == ["home"]


def headline_terms(comparisons: Sequence[Comparison], library: Library | None = None) -> str:
    """On what terms the headline is answered."""
    served, trained = [c for c in comparisons if c.estimates and c.estimates[0].workload != "training"], of_kind(comparisons, "training")
    texts = []
    if served:
        scenario, first = served[0].scenario, served[0].estimates
        work = scenario.get("workload") or {}
        lengths = f", {work['input_length']:,.0f} tokens in, {work.get('output_length', 0.0):,.0f} out" if "input_length" in work else ""
        counts = joined(f"{e.accelerators:,.0f}" for e in first)
        use = float(scenario.get("utilisation") or 1.0)
        texts.append(f"Serving {first[0].model}{lengths}, on {counts} accelerators in use {use:.0%} of the day")
    if trained:
        counts = joined(f"{e.accelerators:,.0f}" for e in trained[0].estimates)
        equal = trained[0].scenario.get("equal")
        texts.append(f"training {trained[0].estimates[0].model} on {counts} accelerators{f' (equal {equal})' if equal else ''}")
    site = next((e.site for c in comparisons if not is_home(c) for e in c.estimates), "")
    homes = next((joined(e.site for e in c.estimates) for c in comparisons if is_home(c)), "")
    texts.append(f"site {site}; home is {homes}" if homes else f"site {site}")
    if served:
        texts.append(f"{precisions_text(served[0], library)} unless said")
    boundary = "Power and price cover accelerators, hosts and network; energy and cost include PUE and idle time."
    return f"{sentence('; '.join(texts).replace('%', ' %'))} {boundary}"


def headline_verdict(comparisons: Sequence[Comparison], library: Library | None = None) -> list[str]:
    """Sentences on who leads where, how surely and why.

    Parameters
    ----------
    comparisons : sequence of Comparison
    library : Library, optional
    """
    decodes = of_kind(comparisons, "decode")
    service, home = same_and_home(of_kind(comparisons, "serving"))
    training, training_home = same_and_home(of_kind(comparisons, "training"))
    found = []
    if decodes:
        step, known = reference(decodes), partial(facts_of, library)
        found += [_decode(step, known), _over_latency(decodes), per_system(step), communication(step, known)]
    if service:
        found += [_in_scope("Whole service", per_watt(service)), *_service_money(service, home)]
    if training:
        found += [_training_time(training, partial(facts_of, library)), _training_money(training, training_home)]
    return [text for text in found if text]


def _in_scope(scope: str, text: str) -> str:
    """A sentence with what it is about in front."""
    return f"{scope}: {text[0].lower()}{text[1:]}" if text else ""


def _decode(step: Comparison, known: Known) -> str:
    """Who leads per accelerator in decode, and the chips behind it."""
    found = lead(step, "tokens_per_s_per_accelerator")
    texts = [found.clause("per accelerator"), strength(found, known)] if found else []
    scope = f"Decode at {_target(step)}" if _target(step) else "Decode"
    return sentence(f"{scope}: {': '.join(text for text in texts if text)}") if texts else ""


def _service_money(comparison: Comparison, home: Comparison | None) -> list[str]:
    """Money of the whole service, at one site and each at home."""
    found = []
    for scope, each in (("Whole service", comparison), ("Whole service, each at home", home)):
        money = lead(each, "cost_per_token") if each else None
        if money:
            found.append(sentence(f"{scope}: {money.clause('per dollar')}{cost_reason(money, ('cost_per_token',))}"))
    return found


def _over_latency(decodes: Sequence[Comparison]) -> str:
    """How the lead per accelerator moves with the latency target."""
    leads = [(c, found) for c in decodes if not _native(c) and _tpot(c) and (found := lead(c, "tokens_per_s_per_accelerator"))]
    if len(leads) < 2:
        return ""
    (tight, first), (loose, last) = leads[0], leads[-1]
    end = _target(loose).removeprefix("TPOT <= ")
    if first.ahead.system != last.ahead.system:
        return (
            f"{first.ahead.system} leads per accelerator at {_target(tight)} ({times(first.factor)}), "
            f"{last.ahead.system} at {end} ({times(last.factor)})."
        )
    moves = "shrinks" if last.factor < first.factor else "grows"
    return f"That lead {moves} from {times(first.factor)} at {_target(tight)} to {times(last.factor)} at {end}."


def _training_time(comparison: Comparison, known: Known) -> str:
    """Time of a run, and the chips behind it."""
    found = lead(comparison, "run_time") or lead(comparison, "tokens_per_s")
    if found is None:
        return ""
    texts = [f"Training: {found.clause('in time')}{_both(found, 'run_time')}", strength(found, known)]
    return sentence("; ".join(text for text in texts if text))


def _training_money(comparison: Comparison, home: Comparison | None) -> str:
    """Money of a run, at one site and each at home."""
    money, at_home = lead(comparison, "run_cost"), lead(home, "run_cost") if home else None
    if money is None:
        return ""
    text = f"Training: {money.clause('per dollar')}{_both(money, 'run_cost')} a run"
    return sentence(f"{text}; each at home{_both(at_home, 'run_cost')}" if at_home else text)


def _both(found: Lead, name: str) -> str:
    """A metric of the one ahead against that of the other, where both have it."""
    pair = (found.ahead, found.behind)
    return f": {' against '.join(with_unit(e[name], name) for e in pair)}" if all(name in e.metrics for e in pair) else ""


def _section(title: str, comparison: Comparison, only: Sequence[str], usual: Any) -> list[Sequence[Cell]]:
    """A heading over all columns and its rows; the precision is named where it is not the usual one."""
    precision = comparison.scenario.get("precision")
    texts = [title, _target(comparison), precision_text(precision) if precision != usual else ""]
    return [[", ".join(text for text in texts if text)], *_rows(comparison, only)]


def _rows(comparison: Comparison, only: Sequence[str]) -> list[list[Cell]]:
    known = [name for name in only if any(name in e.metrics for e in comparison.estimates)]
    rows = [metric_row(comparison, name) for name in known or only[:1]]
    return [[f" {str(row[0]).replace('/accelerator', '/accel.')}", *row[1:]] for row in rows]


def _decode_row(comparison: Comparison) -> list[Cell]:
    """Tokens per second and accelerator at a latency."""
    target = _target(comparison) or "no target"
    label = f"{target.removeprefix('TPOT <= ')}, native" if _native(comparison) else target
    row = metric_row(comparison, "tokens_per_s_per_accelerator", label)
    return [f" {row[0]}", *row[1:]]


def _target(comparison: Comparison) -> str:
    """The latency targets that a comparison asks for."""
    return target_text(comparison.scenario.get("workload") or {})


def _tpot(comparison: Comparison) -> float | None:
    workload = comparison.scenario.get("workload") or {}
    return workload.get("tpot")


def _native(comparison: Comparison) -> bool:
    return comparison.scenario.get("precision") in (None, "native")


def _plans(decodes: Sequence[Comparison]) -> Prose:
    """Best plan, where the time goes and the bottleneck of the reference decode."""
    if not decodes:
        return Prose([])
    step = reference(decodes)
    lines = []
    for estimate in (e for e in step.estimates if e.feasible):
        parts = ", then ".join(f"{part.name} {percent(part.share)}" for part in estimate.breakdown[:3])
        plan = {key: value for key, value in estimate.plan.items() if key != "precision"}
        lines.append((name_of(estimate, step.estimates), f"{plan_text(plan)}; bound by {parts}"))
    return Prose(lines, f"Best plan of decode at {_target(step)}" if _target(step) else "Best plan of decode")


def _reasons(comparisons: Sequence[Comparison]) -> Prose:
    """Which questions a system cannot answer, and why."""
    found: dict[tuple[str, str], Estimate] = {(c.title, e.system): e for c in comparisons for e in c.estimates if not e.feasible}
    return Prose([(f"{system}, {title}", sentence(estimate.reason)) for (title, system), estimate in found.items()], "Not feasible")
