"""The verdict in three sentences, made from the numbers."""

from __future__ import annotations

import math

from aicompute.estimate.result import Comparison, Metric
from aicompute.report.numbers import display_of, probability_text, scale_of, times, value_text, with_unit
from aicompute.report.page.asked import Asked
from aicompute.report.page.money import HOME, Books, BreakEven
from aicompute.report.verdict import Lead, lead, sentence


def sentences(asked: Asked, books: Books | None, even: BreakEven | None) -> list[str]:
    """Who delivers more, who needs less electricity, who is cheaper and when that would change.

    Parameters
    ----------
    asked : Asked
    books : Books, optional       None where one of the two cannot do it.
    even : BreakEven, optional    None for rented systems.
    """
    if books is None:
        return _of_one(asked)
    main, names = asked.main, dict(zip([e.system for e in asked.main.estimates], asked.names, strict=True))
    found = [_rate(main, names), _energy(main, names), _money(asked, books, even, names)]
    return [sentence(text) for text in found if text]


def _of_one(asked: Asked) -> list[str]:
    """Which of the two can do it, and why the other cannot."""
    found = []
    for name, e in zip(asked.names, asked.main.estimates, strict=True):
        if e.feasible:
            rate, cost = (with_unit(e[key], key) for key in ("tokens_per_s_per_accelerator", "cost_per_token"))
            found.append(f"Only {name} can do this: {rate} per accelerator at ${cost.partition(' ')[0]} a million tokens.")
    found += [sentence(f"{name} cannot: {e.reason}") for name, e in zip(asked.names, asked.main.estimates, strict=True) if not e.feasible]
    return found


def _sure(found: Lead) -> str:
    """Interval and probability."""
    ends = [value_text(end, found.low, found.high) for end in (found.low, found.high)]
    spread = f"{ends[0]} to {ends[1]} times" if found.low < found.high < math.inf else ""
    chance = "" if math.isnan(found.probability) else f"{probability_text(found.probability)} sure"
    inside = "; ".join(text for text in (spread, chance) if text)
    return f" ({inside})" if inside else ""


def _rate(main: Comparison, names: dict[str, str]) -> str:
    """Tokens of an accelerator, then of the whole."""
    each, whole = lead(main, "tokens_per_s_per_accelerator"), lead(main, "tokens_per_s")
    if each is None or whole is None:
        return ""
    ahead, behind = names[each.ahead.system], names[each.behind.system]
    first = (
        f"An accelerator of {ahead} delivers {times(each.factor)} the tokens of one of {behind}{_sure(each)}"
        if each.decided
        else f"Accelerators of {ahead} and {behind} deliver about as many tokens{_sure(each)}"
    )
    counts = f"{whole.ahead.accelerators:,.0f} accelerators against {whole.behind.accelerators:,.0f}"
    other = names[whole.ahead.system]
    if whole.ahead.accelerators == whole.behind.accelerators:
        return first
    joint = "and" if whole.ahead.system == each.ahead.system else "but"
    if whole.decided:
        return f"{first}, {joint} as a whole {other}, with {counts}, delivers {times(whole.factor)} as many{_sure(whole)}"
    return f"{first}; as a whole, with {counts}, {other} delivers about as many{_sure(whole)}"


def _energy(main: Comparison, names: dict[str, str]) -> str:
    """Electricity of a token at the meter."""
    found = lead(main, "energy_per_token")
    if found is None:
        return ""
    ahead, behind = names[found.ahead.system], names[found.behind.system]
    both = _energies(found.ahead["energy_per_token"], found.behind["energy_per_token"])
    if found.decided:
        return f"{behind} takes {times(found.factor)} the electricity of {ahead} for a token{_sure(found)}: {both} at the meter"
    return f"Both take about as much electricity for a token: {both} on {ahead} and {behind}{_sure(found)}"


def _energies(first: Metric, second: Metric) -> str:
    """Two energies of a token in one unit."""
    size, unit = scale_of(display_of("energy_per_token").scales, [first.value, second.value])
    texts = [value_text(one.value / size, one.low / size, one.high / size) for one in (first, second)]
    return f"{' against '.join(texts)} {unit.removesuffix('/token')}"


def _money(asked: Asked, books: Books, even: BreakEven | None, names: dict[str, str]) -> str:
    """Cost of a million tokens, and the price at which both would cost the same."""
    found = lead(asked.main, "cost_per_token")
    if found is None:
        return ""
    ahead, behind = names[found.ahead.system], names[found.behind.system]
    costs = [f"${with_unit(e['cost_per_token'], 'cost_per_token').partition(' ')[0]}" for e in (found.ahead, found.behind)]
    place = "With each at home" if books.site == HOME else f"On the terms of {in_words(books.names[books.site])}"
    head = f"{place} a million tokens cost {costs[0]} on {ahead} and {costs[1]} on {behind}, {times(found.factor)} as much{_sure(found)}"
    if not found.decided:
        head = f"{place} a million tokens cost about the same: {costs[0]} on {ahead} and {costs[1]} on {behind}{_sure(found)}"
    if even is None:
        return head
    now = even.price[0]
    if even.at_price <= 0.0:
        return f"{head}; no price of {asked.names[0]} would make them equal"
    return f"{head}; they would cost the same if a unit of {asked.names[0]} cost {dollars(even.at_price)} instead of {dollars(now)}"


def in_words(place: str) -> str:
    """A site within a sentence.

    Examples
    --------
    >>> in_words("United States, average"), in_words("Korea")
    ('United States (average)', 'Korea')
    """
    head, comma, rest = place.partition(", ")
    return f"{head} ({rest})" if comma else place


def dollars(amount: float) -> str:
    """A sum as people say it.

    Examples
    --------
    >>> dollars(11e6), dollars(4.7244e6), dollars(350000.0), dollars(0.12345)
    ('$11 M', '$4.7 M', '$350,000', '$0.12')
    """
    if amount >= 1e6:
        return f"${amount / 1e6:,.0f} M" if amount >= 9.95e6 else f"${amount / 1e6:.1f} M"
    return f"${float(f'{amount:.3g}'):,.0f}" if amount >= 100.0 else f"${amount:.2f}"
