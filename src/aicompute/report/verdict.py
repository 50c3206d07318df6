"""The verdict in words: who leads, by how much, how surely, and why. Every sentence is built from numbers of the answer."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from aicompute.estimate.result import Comparison, Estimate, Part, Ratio
from aicompute.report.facts import Facts, facts_of
from aicompute.report.numbers import better_of, percent, probability_text, times, value_text, with_unit
from aicompute.report.sheet import joined
from aicompute.specs import Library

DECIDED = 0.8
"""From this probability on somebody leads."""
_EVEN = 1.03

Known = Callable[[Estimate], Facts]


@dataclass(frozen=True)
class Lead:
    """Who is ahead in a metric of two estimates."""

    ahead: Estimate
    behind: Estimate
    factor: float
    """How many times better, at least 1."""
    low: float
    high: float
    probability: float
    """That the one ahead is ahead; nan where unknown."""

    @property
    def decided(self) -> bool:
        """Whether the lead is more than chance."""
        return self.factor >= _EVEN if math.isnan(self.probability) else self.probability >= DECIDED

    @property
    def words(self) -> str:
        """The factor with its interval and probability."""
        if math.isnan(self.probability):
            return times(self.factor)
        ends = [value_text(end, self.low, self.high) for end in (self.low, self.high)]
        spread = f", {ends[0]} to {ends[1]}" if self.low < self.high < math.inf else ""
        sure = f"; {probability_text(self.probability)} sure" if self.decided else ""
        return f"{times(self.factor)}{spread}{sure}"

    def clause(self, scope: str, among: Sequence[Estimate] = ()) -> str:
        """Who leads in a scope ("per watt"), without a full stop."""
        ahead, behind = (name_of(e, among) if among else e.system for e in (self.ahead, self.behind))
        if self.decided:
            return f"{scope} {ahead} leads ({self.words})"
        return f"{scope} {ahead} and {behind} are about even ({self.words})"


def lead(comparison: Comparison, metric: str) -> Lead | None:
    """Who is ahead in a metric; None where one of two has no number.

    Parameters
    ----------
    comparison : Comparison   Of two estimates.
    metric : str              One for which more or less is better.
    """
    found = ratio_of(comparison, metric)
    if found is None or not better_of(metric) or not math.isfinite(found.value) or found.value <= 0.0:
        return None
    first_better = found.value >= 1.0 if better_of(metric) == "more" else found.value <= 1.0
    first, second = comparison.estimates
    ahead, behind = (first, second) if first_better else (second, first)
    low, value, high = sorted((found.low, found.value, found.high))
    if value < 1.0:
        low, value, high = 1.0 / high, 1.0 / value, 1.0 / low if low > 0.0 else math.inf
    chance = found.probability if first_better else 1.0 - found.probability
    return Lead(ahead, behind, value, low, high, chance)


def ratio_of(comparison: Comparison, metric: str) -> Ratio | None:
    """First over second, where both are feasible and have the metric."""
    if len(comparison.estimates) != 2 or not all(estimate.feasible for estimate in comparison.estimates):
        return None
    return comparison.ratio(metric)


def name_of(estimate: Estimate, among: Sequence[Estimate]) -> str:
    """What to call an estimate: the system, with its site where sites differ."""
    same = len({each.site for each in among}) == 1
    return estimate.system if same or not estimate.site else f"{estimate.system} @ {estimate.site}"


def verdict(comparison: Comparison, library: Library | None = None) -> list[str]:
    """Sentences on a comparison: per accelerator and why, per system, communication, energy, money.

    Parameters
    ----------
    comparison : Comparison
    library : Library, optional   Where peak rates and domains of the systems are found.
    """
    feasible = [estimate for estimate in comparison.estimates if estimate.feasible]
    if len(feasible) == 2 == len(comparison.estimates):
        return _of_two(comparison, library)
    names = [name_of(estimate, comparison.estimates) for estimate in feasible]
    sentences = []
    if len(feasible) < len(comparison.estimates):
        sentences.append(f"Only {joined(names)} can do this." if names else "No system can do this; see what each reaches at best.")
    if len(feasible) > 1:
        return [*sentences, *_of_many(feasible)]
    return [*sentences, *(_alone(estimate) for estimate in feasible)]


def sentence(text: str) -> str:
    """A text with a full stop."""
    text = text.strip() or "no reason was given"
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _of_two(comparison: Comparison, library: Library | None) -> list[str]:
    """Two feasible estimates, side by side."""
    known = partial(facts_of, library)
    found = [
        per_accelerator(comparison, known),
        per_system(comparison),
        communication(comparison, known),
        per_watt(comparison),
        per_dollar(comparison),
    ]
    return [text for text in found if text]


def per_accelerator(comparison: Comparison, known: Known) -> str:
    """Who leads per accelerator, and the chips behind it."""
    found = lead(comparison, "tokens_per_s_per_accelerator")
    if found is None:
        return ""
    why = "; ".join(text for text in (strength(found, known, comparison.estimates), _largest(comparison)) if text)
    head = found.clause("Per accelerator", comparison.estimates)
    return sentence(f"{head}: {why}" if why else head)


def strength(found: Lead, known: Known, among: Sequence[Estimate] = ()) -> str:
    """Ratio of the chips in memory bandwidth and in peak rate, each at the precision that its dense layers run at."""
    ahead, behind = known(found.ahead), known(found.behind)
    peak = f"the {ahead.precision} peak"
    if ahead.precision != behind.precision:
        peak = f"the peak at the dense precision each runs ({ahead.precision} against {behind.precision})"
    parts = [(ahead.peak / behind.peak, peak), (ahead.bandwidth / behind.bandwidth, "the memory bandwidth")]
    shown = [f"{value:.2g} times {what}" for value, what in parts if math.isfinite(value)]
    name = name_of(found.ahead, among) if among else found.ahead.system
    owner = "its chip" if found.decided else f"the chip of {name}"
    return f"{owner} has {joined(shown)}" if shown else ""


def _largest(comparison: Comparison) -> str:
    """The part of the time that dominates each."""
    tops = [(name_of(e, comparison.estimates), part) for e in comparison.estimates if (part := largest_part(e))]
    if len(tops) < len(comparison.estimates):
        return ""
    names = {part.name for _, part in tops}
    if len(names) == 1:
        shares = joined(f"{percent(part.share)} on {name}" for name, part in tops)
        return f"most time goes to {names.pop()} ({shares})"
    return "most time goes to " + joined(f"{part.name} on {name} ({percent(part.share)})" for name, part in tops)


def largest_part(estimate: Estimate) -> Part | None:
    """The longest part of a step."""
    return max(estimate.breakdown, key=lambda part: part.seconds, default=None)


def per_system(comparison: Comparison) -> str:
    """Who leads as a whole, with how many accelerators."""
    found = lead(comparison, "tokens_per_s")
    if found is None:
        return ""
    counts = f"{found.ahead.accelerators:,.0f} accelerators against {found.behind.accelerators:,.0f}"
    return f"{found.clause('As a system', comparison.estimates)}: {counts}."


def communication(comparison: Comparison, known: Known) -> str:
    """What the interconnect costs each."""
    parts = []
    for estimate in comparison.estimates:
        total, exposed = estimate.value("communication_share"), estimate.value("exposed_share")
        if not math.isfinite(exposed):
            return ""
        domain = known(estimate).domain
        size = f"; domain of {domain:,.0f} devices" if math.isfinite(domain) else ""
        name = name_of(estimate, comparison.estimates)
        parts.append(f"{percent(exposed)} of the time of {name} ({percent(total)} if not hidden{size})")
    return f"Communication takes {joined(parts)}."


def per_watt(comparison: Comparison) -> str:
    """Who makes more tokens of a joule."""
    found = lead(comparison, "energy_per_token")
    return sentence(found.clause("Per watt", comparison.estimates) + power_reason(found)) if found else ""


def per_dollar(comparison: Comparison) -> str:
    """Who makes more tokens of a dollar."""
    found = lead(comparison, "cost_per_token")
    return sentence(found.clause("Per dollar", comparison.estimates) + cost_reason(found)) if found else ""


def power_reason(found: Lead) -> str:
    """Power of an accelerator with its share of the system."""
    each = [e.value("it_power") / e.accelerators for e in (found.ahead, found.behind)]
    if not all(math.isfinite(value) for value in each):
        return ""
    both = " against ".join(f"{value:,.0f}" for value in each)
    return f": {both} W an accelerator with its share of the system"


_COSTS: Mapping[str, str] = {"cost_per_token": "a million tokens", "cost_per_accelerator_hour": "an accelerator-hour"}


def cost_reason(found: Lead, metrics: Sequence[str] = tuple(_COSTS)) -> str:
    """Cost of a million tokens and of an accelerator-hour."""
    texts = []
    for metric in metrics:
        both = [e.metrics[metric] for e in (found.ahead, found.behind) if metric in e.metrics]
        if len(both) == 2:
            numbers = [with_unit(each, metric).partition(" ")[0] for each in both]
            texts.append(f"{' against '.join(f'${number}' for number in numbers)} {_COSTS[metric]}")
    return f": {', '.join(texts)}" if texts else ""


def _of_many(feasible: Sequence[Estimate]) -> list[str]:
    """Rankings of several."""
    found = []
    for metric, head in (
        ("tokens_per_s_per_accelerator", "Per accelerator"),
        ("tokens_per_s", "As a system"),
        ("energy_per_token", "Per watt"),
        ("cost_per_token", "Per dollar"),
    ):
        known = [e for e in feasible if math.isfinite(e.value(metric))]
        if len(known) < 2:
            continue
        order = sorted(known, key=lambda e: e.value(metric), reverse=better_of(metric) == "more")
        ranks = [f"{name_of(e, feasible)} ({with_unit(e[metric], metric)})" for e in order]
        found.append(f"{head}, best first: {', '.join(ranks)}.")
    return found


def _alone(estimate: Estimate) -> str:
    """One estimate: what bounds it."""
    text = f"{estimate.system} is bound by {estimate.bottleneck}" if estimate.bottleneck else estimate.system
    exposed = estimate.value("exposed_share")
    return sentence(f"{text}; communication that is not hidden takes {percent(exposed)}" if math.isfinite(exposed) else text)
