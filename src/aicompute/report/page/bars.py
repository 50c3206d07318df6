"""Pictures made of bars: where time goes, what a token costs, what moves the verdict, from peak to tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aicompute.report.page.draw import SIZE, WIDE, Canvas, bar, fitted, line, segments, width_of
from aicompute.report.page.drivers import Driver
from aicompute.report.page.money import PARTS
from aicompute.report.page.steps import GROUPS, OTHER, Bar, Drop
from aicompute.report.svg import LinearAxis, LogAxis
from aicompute.units import plain

GROUP_CLASS: Mapping[str, str] = {name: f"g{place}" for place, name in enumerate((*GROUPS, OTHER))}
PART_CLASS: Mapping[str, str] = {name: f"p{place}" for place, name in enumerate(PARTS)}


def seconds_text(seconds: float) -> str:
    """A short time.

    Examples
    --------
    >>> seconds_text(0.000814), seconds_text(0.0123), seconds_text(2.0)
    ('814 µs', '12.3 ms', '2 s')
    """
    for size, unit in ((1.0, "s"), (1e-3, "ms")):
        if seconds >= size:
            return f"{plain(seconds / size)} {unit}"
    return f"{plain(seconds / 1e-6)} µs"


def breakdown(found: Sequence[Bar], names: Sequence[str], width: float) -> Canvas:
    """Time of an accelerator for a token, stacked; bars of all systems on one scale."""
    totals = [sum(sum(one.parts.values()) for one in found if one.system == k) for k in range(len(names))]
    scale = width / max(sum(one.parts.values()) for one in found)
    canvas, y = Canvas(width), 4.0
    for k, name in enumerate(names):
        mine = [one for one in found if one.system == k]
        if not mine:
            continue
        y += 16.0
        words = f"{seconds_text(totals[k])} a token"
        room = width - width_of(f": {words}", SIZE, "bold")
        canvas.text(f"{fitted(name, room, SIZE, 'bold')}: {words}", 0.0, y, f"bold {'ab'[k]}-text", size=SIZE)
        y += 8.0
        for one in mine:
            whole = sum(one.parts.values())
            if one.phase:
                y += 12.0
                canvas.text(f"{one.phase}, {seconds_text(whole)}", 0.0, y, "soft")
                y += 5.0
            parts = [(GROUP_CLASS[group], time * scale, f"{time / totals[k] * 100.0:.0f} %") for group, time in one.parts.items()]
            segments(canvas, 0.0, y, 28.0, parts)
            y += 34.0
        y += 10.0
    canvas.height = y
    return canvas


def cost_stack(rows: Sequence[tuple[str, Sequence[Mapping[str, float] | None]]], names: Sequence[str], why: str, width: float) -> Canvas:
    """Cost of a million tokens by part, a row for each site and system.

    Parameters
    ----------
    rows : sequence    Name of a site, and the parts for each system [USD]; None where its terms do not hold for it.
    names : sequence   Of the systems.
    why : str          What to say there.
    width : float
    """
    most = max(sum(parts.values()) for _, both in rows for parts in both if parts)
    named = max(width_of(name) for name in names) + 14.0
    gutter = named if width >= WIDE and named < 0.3 * width else 0.0
    scale = (width - gutter - 64.0) / most
    canvas, y = Canvas(width), 0.0
    for site, both in rows:
        y += 18.0
        canvas.text(fitted(site, width, SIZE, "bold"), 0.0, y, "bold", size=SIZE)
        y += 8.0
        for k, parts in enumerate(both):
            if gutter:
                canvas.text(names[k], gutter - 10.0, y + 16.0, f"{'ab'[k]}-text", "end")
            else:
                y += 11.0
                canvas.text(fitted(names[k], width), 0.0, y, f"{'ab'[k]}-text")
                y += 5.0
            if parts is None:
                canvas.text(fitted(why, width - gutter), gutter, y + 16.0, "soft")
            else:
                made = [(PART_CLASS[part], value * scale, f"{value:.2f}") for part, value in parts.items() if value > 0.0]
                end = segments(canvas, gutter, y, 22.0, made)
                canvas.text(f"${sum(parts.values()):.2f}", end + 6.0, y + 16.0, "bold")
            y += 28.0
        y += 10.0
    canvas.height = y
    return canvas


def tornado(found: Sequence[Driver], base: float, width: float) -> Canvas:
    """Ratio of the costs of a token at both ends of each value; hollow at the low end, filled at the high end."""
    gutter = 250.0 if width >= WIDE else 0.0
    ends = [end for driver in found for end in (driver.low, driver.high)]
    axis = LogAxis.around([*ends, base, 1.0], width - gutter - 84.0, margin=0.02, least=1.5)
    left, step = gutter + 42.0, 34.0 if gutter else 52.0
    canvas = Canvas(width, 34.0 + step * len(found) + 30.0)
    at = left + float(axis.at(base))
    even = left + float(axis.at(1.0))
    foot = canvas.height - 26.0
    canvas.text(f"now {base:.2f}", at, 14.0, "bold", "middle")
    if abs(even - at) > 70.0:
        canvas.text("even", even, 14.0, "soft", "middle")
    canvas.add(line(even, 22.0, even, foot, "even"), line(at, 22.0, at, foot, "base"))
    for place, driver in enumerate(found):
        y = 30.0 + step * place
        words, home = driver.words, driver.home
        if gutter:
            canvas.text(fitted(words, gutter - 12.0), gutter - 10.0, y + 8.0, "", "end")
            canvas.text(fitted(home, gutter - 12.0, 12.0), gutter - 10.0, y + 22.0, "soft", "end", 12.0)
        else:
            canvas.text(fitted(f"{words} · {home}", width), 0.0, y + 12.0)
            y += 18.0
        x0, x1 = left + float(axis.at(driver.low)), left + float(axis.at(driver.high))
        for x, kind in ((x0, "low"), (x1, "high")):
            canvas.add(bar(min(x, at), y, abs(x - at), 18.0, f"end {kind}"))
        _ends(canvas, (x0, driver.low), (x1, driver.high), at, y)
    for value in (0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0):
        if not axis.low <= value <= axis.high:
            continue
        canvas.text(f"{value:g}", left + float(axis.at(value)), foot + 18.0, "soft", "middle")
    return canvas


def _ends(canvas: Canvas, low: tuple[float, float], high: tuple[float, float], at: float, y: float) -> None:
    """The ratio at both ends, outside the bar."""
    ordered = sorted((low, high))
    for (x, ratio), anchor in zip(ordered, ("end", "start"), strict=True):
        away = min(x, at) - 5.0 if anchor == "end" else max(x, at) + 5.0
        canvas.text(f"{ratio:.2f}", away, y + 13.5, "soft", anchor)


def waterfall(ways: Sequence[Sequence[Drop]], names: Sequence[str], width: float) -> Canvas:
    """What is left of the peak after each loss, both systems on one scale; what a step loses is hatched."""
    most = max(way[0].rate for way in ways if way)
    columns = len([way for way in ways if way]) if width >= WIDE else 1
    wide = (width - 40.0 * (columns - 1)) / columns
    canvas, bottom = Canvas(width), 0.0
    shown = [(k, way) for k, way in enumerate(ways) if way]
    y = 0.0
    for place, (k, way) in enumerate(shown):
        left = place * (wide + 40.0) if columns > 1 else 0.0
        y = 16.0 if columns > 1 else y + 18.0
        canvas.text(fitted(names[k], wide, SIZE, "bold"), left, y, f"bold {'ab'[k]}-text", size=SIZE)
        y = _drops(canvas, way, left, y + 10.0, LinearAxis(0.0, most, wide), "ab"[k])
        bottom = max(bottom, y)
        y += 14.0
    canvas.height = bottom + 4.0
    return canvas


def _drops(canvas: Canvas, way: Sequence[Drop], left: float, y: float, axis: LinearAxis, kind: str) -> float:
    """The rows of one system; returns where they end."""
    before = 0.0
    for drop in way:
        share = f"{drop.rate / way[0].rate * 100.0:.0f} %" if before else "100 %"
        rate = f"{drop.rate:,.0f} · {share}"
        room = axis.length - width_of(rate) - 8.0
        canvas.text(fitted(drop.name, room), left, y + 12.0)
        canvas.text(rate, left + axis.length, y + 12.0, "soft", "end")
        now = float(axis.at(drop.rate))
        canvas.add(bar(left, y + 17.0, max(now, 1.0), 15.0, f"fill {kind}"))
        if before:
            canvas.add(bar(left + now, y + 17.0, float(axis.at(before)) - now, 15.0, f"lost {kind}"))
        before = drop.rate
        y += 40.0
    return y
