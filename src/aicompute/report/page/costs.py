"""Sections about money: the calculator, the stack of each site, chances, break-even, and what moves the verdict."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from html import escape

from aicompute.report.numbers import probability_text
from aicompute.report.page import bars, lines, live
from aicompute.report.page.draw import picture
from aicompute.report.page.drivers import Driver
from aicompute.report.page.money import HOME, PARTS, Books, BreakEven, HeatMap
from aicompute.report.page.parts import Cell, Markup, Section, colour_key, scrolled, table
from aicompute.report.page.sentences import dollars
from aicompute.units import plain, to_unit

Names = Sequence[str]


def calculator(books: Books, names: Names) -> Section:
    """Controls that recompute cost in the page."""
    wanted = live.controls(books, names)
    key = "" if books.rent is not None else colour_key(bars.PART_CLASS)
    return Section(
        "cost", "What if your terms are different?",
        "Set your own electricity, price, PUE, use and life; costs, intervals and the chance are computed here, in the page.",
        live.panel(books, names, wanted) + key, "",
        f"{live.SAMPLES_NOTE} Plans and rates stay as they were found. Its address holds what you set, to share it.",
    )  # fmt: skip


def stacks(books: Books, names: Names, shown: Sequence[str]) -> Section:
    """Cost of a million tokens at several sites, by part."""
    found = {site: [books.stack(k, site) for k in (0, 1)] for site in books.places if site != HOME}
    drawn = [(books.names[site], found[site]) for site in shown]
    why = "the terms hold for domestic chips only"
    rows: list[list[Cell]] = []
    for site, both in found.items():
        for k, parts in enumerate(both):
            each: list[Cell] = [parts[part] for part in PARTS] if parts else [None] * len(PARTS)
            rows.append([books.names[site], names[k], *each, sum(parts.values()) if parts else None])
    costs = {(books.names[site], names[k]): sum(parts.values()) for site, both in found.items() for k, parts in enumerate(both) if parts}
    least, most = min(costs, key=lambda each: costs[each]), max(costs, key=lambda each: costs[each])
    wins = sum(1 for both in found.values() if both[0] and both[1] and sum(both[0].values()) < sum(both[1].values()))
    shared = sum(1 for both in found.values() if both[0] and both[1])
    finding = (
        f"{_wins(wins, shared, names)} Cheapest of all is {least[1]} in {least[0]} "
        f"(${costs[least]:.2f}), dearest {most[1]} in {most[0]} (${costs[most]:.2f})."
    )
    body = picture("sites-bars", "Cost of a million tokens by site and part", finding, partial(bars.cost_stack, drawn, names, why))
    headers = ["site", "system", *(f"{part}, $" for part in PARTS), "total, $ a million tokens"]
    reading = "Dollars a million tokens. Capital holds interest; facility is building, power and cooling; operation is staff and spares."
    numbers = table("Cost by site", headers, rows, 2)
    return Section("sites", "Where is it cheaper?", finding, colour_key(bars.PART_CLASS) + body, numbers, reading)


def _wins(wins: int, shared: int, names: Names) -> str:
    """At how many sites the first is cheaper."""
    if wins in (0, shared):
        return f"{names[1] if wins == 0 else names[0]} is cheaper at all {shared} sites where both may stand."
    return f"{names[0]} is cheaper at {wins} of {shared} sites where both may stand, {names[1]} at the others."


def chances(found: HeatMap, names: Names) -> Section:
    """Probability that the first is cheaper, over electricity and use."""
    head = "".join(f'<th scope="col">{price * 3.6e6:.2f}</th>' for price in found.prices)
    rows = []
    for use, row in zip(found.uses, found.chance, strict=True):
        cells = "".join(f'<td class="{_shade(chance)}">{_chance(chance)}</td>' for chance in row)
        rows.append(f'<tr><th scope="row">{use * 100.0:.0f} %</th>{cells}</tr>')
    corner = '<th scope="col">in use</th>'
    top = f"<caption>Electricity, $/kWh</caption><thead><tr>{corner}{head}</tr></thead>"
    grid = f'<table class="heat">{top}<tbody>{"".join(rows)}</tbody></table>'
    least, most = float(found.chance.min()), float(found.chance.max())
    what = f"the probability that a token is cheaper on {names[0]}"
    ends = [probability(least), probability(most)]
    span = ends[0] if ends[0] == ends[1] else f"between {ends[0]} and {ends[1]}"
    finding = f"Whatever electricity costs and however busy they are, {what} is {span}."
    if least < 0.5 < most:
        finding = f"Electricity and use decide: {what} goes from {ends[0]} to {ends[1]}."
    return Section(
        "chances", f"How likely is {names[0]} cheaper?", finding, scrolled("Probability over electricity and use", grid), "",
        f"In percent, from draws that both systems share. Blue: {names[0]} is probably cheaper; orange: {names[1]}; pale: open.",
    )  # fmt: skip


def probability(chance: float) -> str:
    """A probability from draws in words: never quite certain.

    Examples
    --------
    >>> probability(0.0), probability(0.42), probability(1.0)
    ('under 1 %', '42 %', 'over 99 %')
    """
    return "under 1 %" if chance < 0.01 else probability_text(chance)


def _shade(chance: float) -> str:
    """Class of a cell: who is ahead, and how surely."""
    steps = (0.1, 0.25, 0.4, 0.6, 0.75, 0.9)
    return f"h{sum(chance > step for step in steps)}"


def _chance(chance: float) -> str:
    """A probability from draws, in percent: never quite certain."""
    return "&lt;1" if chance < 0.01 else "&gt;99" if chance > 0.99 else f"{chance * 100.0:.0f}"


def equal(found: BreakEven, names: Names) -> Section:
    """Where both cost the same."""
    now = dollars(found.price[0])
    given = f"At the rate and price of {names[1]} as found"
    finding = f"{given}, both cost the same where a unit of {names[0]} costs {dollars(found.at_price)}; it costs {now}."
    if found.at_price <= 0.0:
        finding = f"{given}, no price of {names[0]} makes them equal; a unit costs {now}."
    places = range(0, len(found.prices), 6)
    rows: list[list[Cell]] = [
        [dollars(float(found.prices[k])), *(float(found.rates[name][k]) for name in ("low", "value", "high"))] for k in places
    ]
    ends = [f"{names[1]} at {dollars(price)}" for price in (found.seconds_price[1], found.seconds_price[0], found.seconds_price[2])]
    drawn = picture("even-map", "Break-even over price and rate", finding, lambda width: lines.break_even(found, names, width))
    numbers = table("Break-even rates, tokens/s per accelerator", [f"unit of {names[0]}", *ends], rows)
    reading = (
        f"On the line a token costs the same; its band is the range of prices of {names[1]}. The cross spans the range of the price and "
        "the interval of the rate."
    )
    return Section("equal", "At what price are they equal?", finding, drawn, numbers, reading)


def tornado(found: Sequence[Driver], base: float, names: Names) -> Section | None:
    """What moves the verdict."""
    if not found:
        return None
    first = found[0]
    words, home = first.words, first.home
    turning = [driver for driver in found if min(driver.low, driver.high) < 1.0 < max(driver.low, driver.high)]
    verdict = f"{len(turning)} of them alone would turn the verdict" if turning else "none of them alone would turn the verdict"
    finding = f"Most moves with {words} ({home}): from {first.low:.2f} to {first.high:.2f}. Of the {len(found)} largest, {verdict}."
    rows: list[list[Cell]] = []
    for driver in found:
        ends = [written(end, driver.origin.unit) for end in (driver.origin.low, driver.origin.high)]
        rows.append([driver.path, *ends, driver.low, driver.high, driver.origin.kind])
    drawn = picture("drivers-bars", "What moves the ratio of costs", finding, lambda width: bars.tornado(found, base, width))
    headers = ["value", "low", "high", "ratio at low", "ratio at high", "kind"]
    reading = (
        f"Cost of a token on {names[0]} over that on {names[1]}, one value at a time, at the plans that were chosen: hollow at the low "
        "end, filled at the high. The numbers are those of aicompute sensitivity."
    )
    numbers = table("Values and what they move", headers, rows)
    return Section("drivers", "What drives the verdict?", finding, drawn, numbers, reading)


def written(value: float, unit: str) -> str:
    """A value in the unit of its file.

    Examples
    --------
    >>> written(0.0000000363888889, "USD/kWh"), written(0.5, "1")
    ('0.131 USD/kWh', '0.5')
    """
    number = plain(to_unit(value, unit), 4)
    return number if unit == "1" else f"{number} {unit}"


def link(url: str, title: str) -> Markup:
    """A title with its address, where it has a safe one."""
    if not url.startswith(("https://", "http://")):
        return Markup(escape(title))
    return Markup(f'<a href="{escape(url)}" rel="noreferrer">{escape(title)}</a>')
