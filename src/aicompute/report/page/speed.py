"""Sections about speed: who is ahead, the front, where time goes, roofs, the way from peak to tokens, the scale-up network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

from aicompute.estimate.result import Comparison, Metric
from aicompute.report.numbers import display_of, percent, probability_text, spread, times
from aicompute.report.page import bars, dots, lines
from aicompute.report.page.draw import picture
from aicompute.report.page.parts import Cell, Section, bound_key, colour_key, switch, system_key, table
from aicompute.report.page.steps import Bar, Drop, Roof
from aicompute.report.page.sweeps import BASES, Domain, DomainPoint, Front
from aicompute.units import plain

Names = Sequence[str]


def ahead(comparisons: Sequence[Comparison], names: Names) -> Section:
    """How many times better one is, in every scenario."""
    views: list[tuple[str, str, str]] = []
    rows: list[list[Cell]] = []
    for basis, (words, metric) in dots.METRICS.items():
        found = dots.whiskers(comparisons, basis, names)
        if any(each.ratio for each in found):
            title = f"{names[0]} over {names[1]}, {words}, with 90 % intervals"
            drawn = picture(f"ahead-{basis}", title, _ahead_words(found, names), partial(dots.interval, found, names))
            views.append((basis, words, drawn))
        for each, comparison in zip(found, comparisons, strict=True):
            pair = [said_metric(e.metrics.get(metric), metric) for e in comparison.estimates]
            ratio = each.ratio
            chance = percent(ratio.probability) if ratio and ratio.probability == ratio.probability else each.why
            rows.append([each.title, words, *pair, spread(ratio.value, ratio.low, ratio.high) if ratio else None, chance])
    headers = ["scenario", "counted", *names, f"{names[0]} over {names[1]}, more is better", f"{names[0]} better with probability"]
    firsts = [each for each in dots.whiskers(comparisons, "accelerator", names) if each.ratio]
    wins = sum(1 for each in firsts if each.ratio and each.ratio.value > 1.0)
    count = len(firsts)
    finding = f"Per accelerator {names[0]} is ahead in {wins} of {count} scenarios that both can do, {names[1]} in {count - wins}."
    if wins in (0, count):
        every = f" in all {count} scenarios that both can do" if count > 1 else ""
        finding = f"Per accelerator {names[0] if wins else names[1]} is ahead{every}."
    return Section(
        "ahead", "Who is ahead, and how surely?", finding, switch("ahead-by", "Tokens", views), table("Ratios", headers, rows, 2),
        "Marks are best guesses, lines 90 % intervals; both systems share the draws behind them. At 2× the first does twice as much.",
    )  # fmt: skip


def _ahead_words(found: Sequence[dots.Whisker], names: Names) -> str:
    told = [f"{each.title}: {each.ratio.value:.3g} times, {probability_text(each.ratio.probability)}" for each in found if each.ratio]
    return f"How many times better {names[0]} is, and how surely. {'; '.join(told)}."


def said_metric(metric: Metric | None, name: str) -> str | None:
    """A metric with its interval in the unit of JSON."""
    if metric is None:
        return None
    display = display_of(name)
    return f"{spread(*(number / display.size for number in (metric.value, metric.low, metric.high)))} {display.unit}"


def front(found: Front, names: Names) -> Section | None:
    """Throughput against latency or size."""
    if not all(found.lines):
        return None
    views: list[tuple[str, str, str]] = []
    rows: list[list[Cell]] = []
    for basis, (words, axis) in BASES.items():
        drawn = picture(
            f"front-{basis}", f"{axis} against {found.axis}", _front_words(found, basis, names), partial(lines.front, found, basis, names)
        )
        views.append((basis, words, drawn))
    for name, each in zip(names, found.lines, strict=True):
        for point in each:
            bands = [_bounds(point.rates[basis]) for basis in BASES]
            rows.append([name, point.target, _bounds(point.x), *bands])
    headers = ["system", f"asked: {found.asked_by}", found.axis, *(axis for _, axis in BASES.values())]
    return Section(
        "front", _front_question(found), _front_finding(found, names), system_key(names) + switch("front-by", "Throughput", views),
        table("Throughput and latency", headers, rows),
        f"Each mark is the best plan under one target; bands are 90 % intervals. {found.better}.",
    )  # fmt: skip


def _front_question(found: Front) -> str:
    words = {"accelerators": "What does size cost?", "time to first token [s]": "What does a fast first token cost?"}
    return words.get(found.axis, "What does speed for each user cost?")


def _front_words(found: Front, basis: str, names: Names) -> str:
    ends = []
    for name, each in zip(names, found.lines, strict=True):
        first, last = each[0], each[-1]
        ends.append(
            f"{name} from {first.rates[basis].value:,.3g} at {first.x.value:,.3g} to {last.rates[basis].value:,.3g} at {last.x.value:,.3g}"
        )
    return f"{BASES[basis][1]} against {found.axis}: {'; '.join(ends)}."


def _front_finding(found: Front, names: Names) -> str:
    """How throughput falls along the front."""
    told = []
    for name, each in zip(names, found.lines, strict=True):
        best = max(each, key=lambda p: p.rates["accelerator"].value)
        end = max((each[0], each[-1]), key=lambda p: abs(math.log(p.x.value / best.x.value)))
        told.append(
            f"{name} makes {best.rates['accelerator'].value:,.0f} tokens/s per accelerator {found.at.format(plain(best.x.value))}, "
            f"{end.rates['accelerator'].value:,.0f} {found.at.format(plain(end.x.value))}"
        )
    return f"{'; '.join(told)}."


def _bounds(metric: Metric) -> str:
    return spread(metric.value, metric.low, metric.high)


def breakdown(found: Sequence[Bar], comparison: Comparison, names: Names) -> Section | None:
    """Where the time goes."""
    if not found:
        return None
    groups = {group: kind for group, kind in bars.GROUP_CLASS.items() if any(group in one.parts for one in found)}
    title = "Time of an accelerator for a token, by part"
    told = []
    for k, name in enumerate(names):
        parts: dict[str, float] = {}
        for one in (one for one in found if one.system == k):
            for group, time in one.parts.items():
                parts[group] = parts.get(group, 0.0) + time
        if parts:
            whole, largest = sum(parts.values()), max(parts, key=lambda group: parts[group])
            talk = parts.get("communication", 0.0) / whole
            shares = f"{percent(parts[largest] / whole)} {largest}, {percent(talk)} communication"
            told.append(f"{name} takes {bars.seconds_text(whole)} of an accelerator for a token: {shares}")
    rows: list[list[Cell]] = []
    for name, e in zip(names, comparison.estimates, strict=True):
        each = 1.0 / e.value("tokens_per_s_per_accelerator") if e.feasible else 0.0
        for part in e.breakdown:
            rows.append([name, part.name, f"{part.seconds:.4g} s", percent(part.share), bars.seconds_text(part.share * each)])
    drawn = picture("time-bars", title, f"{'; '.join(told)}.", lambda width: bars.breakdown(found, names, width))
    headers = ["system", "part", "in a step", "share", "of an accelerator for a token"]
    return Section(
        "time", "Where does the time go?", f"{'; '.join(told)}.", colour_key(groups) + drawn, table("Parts of the time", headers, rows, 2),
        "Longer bars are slower: all have one scale. Communication is what is not hidden behind arithmetic.",
    )  # fmt: skip


def roofline(found: Sequence[Roof], names: Names) -> Section | None:
    """Operators under the roofs of the chips."""
    if not any(dots.drawn_operators(roof) for roof in found):
        return None
    told = []
    rows: list[list[Cell]] = []
    for roof in found:
        name, seconds = names[roof.system], sum(o.seconds for o in roof.operators)
        fed = sum(o.seconds for o in roof.operators if o.bound == "memory") / seconds
        told.append(f"{percent(fed)} on {name}")
        for o in sorted(roof.operators, key=lambda o: -o.seconds):
            rate = f"{o.flops / o.seconds / 1e12:.4g}"
            rows.append([name, o.name, o.shape or None, f"{o.flops / o.traffic:.4g}", rate, f"{o.seconds * 1e3:.3g}", o.bound])
    finding = f"Share of the computing time in operators that wait for memory: {' and '.join(told)}"
    drawn = picture("roof-dots", "Operators under the roofs of each chip", f"{finding}.", lambda width: dots.roofline(found, names, width))
    headers = ["system", "operator", "shape", "FLOP/B", "TFLOP/s", "ms in a step", "bound by"]
    reading = "Each mark is an operator, larger where it takes more of the step; the line is what the chip could do."
    numbers = table("Operators", headers, rows, 3)
    return Section("roofs", "How close do the kernels come to the chip?", f"{finding}.", bound_key() + drawn, numbers, reading)


def waterfall(ways: Sequence[Sequence[Drop]], names: Names, about: str) -> Section | None:
    """From the peak to delivered tokens."""
    if not any(ways):
        return None
    told = []
    for name, way in zip(names, ways, strict=True):
        if way:
            both = f"{way[-1].rate:,.0f} of {way[0].rate:,.0f} tokens/s"
            told.append(f"{name} delivers {percent(way[-1].rate / way[0].rate)} of what the peak of its chip would, {both}")
    rows: list[list[Cell]] = [
        [name, drop.name, f"{drop.rate:,.0f}", percent(drop.rate / way[0].rate)]
        for name, way in zip(names, ways, strict=True)
        for drop in way
    ]
    drawn = picture("way-bars", "From the peak to delivered tokens", f"{'; '.join(told)}.", partial(bars.waterfall, ways, names))
    return Section(
        "way", "What is left of the peak?", f"{about}: {'; '.join(told)}.", drawn,
        table("From the peak to delivered tokens", ["system", "after", "tokens/s per accelerator", "of the peak"], rows, 2),
        "Bars are tokens/s per accelerator, both systems on one scale; what a step loses is hatched.",
    )  # fmt: skip


def network(found: Sequence[tuple[str, Domain]], names: Names) -> Section | None:
    """The size of the scale-up network."""
    shown = [(title, each) for title, each in found if any(each.lines)]
    if not shown:
        return None
    told: list[str] = []
    rows: list[list[Cell]] = []
    for title, each in shown:
        for k, points in enumerate(each.lines):
            for p in points:
                shares = [percent(p.exposed), percent(p.communication)]
                rows.append([title, names[k], p.accelerators, p.rate, *shares, p.experts, p.held_rate, percent(p.held_exposed)])
    for title, each in shown:
        gains = [
            f"{names[k]} {times(points[-1].rate / points[0].rate)} as fast (99 % of that from {enough(points):,.0f} on)"
            for k, points in enumerate(each.lines)
            if points
        ]
        sizes = [point.accelerators for points in each.lines for point in points]
        told.append(f"{title}: joining {max(sizes):,.0f} accelerators instead of {min(sizes):,.0f} makes {' and '.join(gains)}")
    finding = f"{'. '.join(told)}."
    title = "Rate and exposed communication over the size of the scale-up network"
    drawn = picture("network-lines", title, finding, partial(lines.domain, shown, names))
    headers = [
        "scenario", "system", "accelerators joined", "tokens/s per accelerator", "exposed", "communication, nothing hidden",
        "experts over devices", "tokens/s, widest plan", "exposed, widest plan",
    ]  # fmt: skip
    largest = max(size for size in shown[0][1].own if size == size)
    reading = (
        f"The same chips, {shown[0][1].accelerators:,.0f} of them, on networks of other sizes; large marks are the systems as sold. Solid: "
        "the best plan for each size. Thin: experts spread as widely as is best on the largest network, though that leaves a small one."
    )
    numbers = table("Size of the network", headers, rows, 2)
    return Section("network", f"Why would {largest:,.0f} matter?", finding, system_key(names) + drawn, numbers, reading)


def enough(points: Sequence[DomainPoint]) -> float:
    """The smallest network that reaches 99 % of the rate of the largest."""
    return next(point.accelerators for point in points if point.rate >= 0.99 * points[-1].rate)
