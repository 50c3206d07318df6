"""Pictures made of lines: the front, the size of the scale-up network, and where both cost the same."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from aicompute.report.page.draw import SIZE, SMALL, WIDE, Box, Canvas, fitted, frame, line, mark, meet, path, width_of
from aicompute.report.page.money import BreakEven, money_unit
from aicompute.report.page.sweeps import BASES, Domain, DomainPoint, Front, Point
from aicompute.report.svg import LinearAxis, LogAxis, element, label, short


def front(found: Front, basis: str, names: Sequence[str], width: float) -> Canvas:
    """Throughput over a basis against latency or size, with the 90 % interval as a band."""
    left, top, foot = 62.0, 40.0, 48.0
    height = 380.0 if width >= WIDE else 330.0
    points = [(point.x.value, point.rates[basis]) for each in found.lines for point in each]
    across = LogAxis.around([x for x, _ in points], width - left - 16.0, margin=0.06, least=2.0)
    up = LinearAxis(0.0, 1.04 * max(rate.high for _, rate in points), height - top - foot)
    canvas = Canvas(width, height)
    canvas.text(BASES[basis][1], 0.0, 16.0, "soft")
    bottom = top + up.length
    frame(canvas, left, top, across, up, _thousands, _thousands, x_most=8 if width >= WIDE else 5)
    canvas.text(found.axis, left + across.length, height - 6.0, "soft", "end")
    curves = []
    for k, each in enumerate(found.lines):
        xs = [left + float(across.at(point.x.value)) for point in each]
        low, value, high = ([bottom - float(up.at(getattr(p.rates[basis], end))) for p in each] for end in ("low", "value", "high"))
        if len(each) > 1:
            band = [*zip(xs, high, strict=True), *reversed(list(zip(xs, low, strict=True)))]
            canvas.add(path(band, f"band {'ab'[k]}", closed=True))
        curves.append(list(zip(xs, value, strict=True)))
    for k, curve in enumerate(curves):
        if len(curve) > 1:
            canvas.add(path(curve, f"line {'ab'[k]}"))
        for (x, y), point in zip(curve, found.lines[k], strict=True):
            canvas.add(_told(mark(k, x, y), f"{names[k]}: {_point(found, point, basis)}"))
        canvas.avoid_line(curve, 6.0)
    for k, curve in enumerate(curves):
        _named(canvas, curve, names[k], k)
    return canvas


def _named(canvas: Canvas, curve: Sequence[tuple[float, float]], name: str, system: int) -> None:
    """The name of a line beside one of its points, the middle ones first."""
    middle = len(curve) // 2
    for place in sorted(range(len(curve)), key=lambda k: abs(k - middle)):
        if canvas.placed(name, *curve[place], kind=f"bold {'ab'[system]}-text", size=SIZE, gap=13.0):
            return


def _told(drawn: str, words: str) -> str:
    """A mark that says what it is when it is pointed at."""
    return element("g", element("title", label(words)), drawn)


def _point(found: Front, point: Point, basis: str) -> str:
    return f"{point.x.value:,.3g} {found.axis}, {_thousands(point.rates[basis].value)} {BASES[basis][1]}"


def _thousands(value: float) -> str:
    """A number on an axis.

    Examples
    --------
    >>> _thousands(1500.0), _thousands(850000.0), _thousands(0.25), _thousands(20.0)
    ('1,500', '850k', '0.25', '20')
    """
    return short(float(f"{value:.3g}")) if value >= 1e4 else f"{value:,.4g}" if value < 1e3 else f"{value:,.0f}"


PANELS: tuple[tuple[str, Callable[[DomainPoint, float], float], Callable[[DomainPoint, float], float]], ...] = (
    ("rate, % of that on the largest network", lambda p, top: p.rate / top, lambda p, top: p.held_rate / top),
    ("exposed communication, % of the time", lambda p, top: p.exposed, lambda p, top: p.held_exposed),
)
"""Panels over the size of the network: title, the best plan, the plan that is best on the largest network."""


def domain(found: Sequence[tuple[str, Domain]], names: Sequence[str], width: float) -> Canvas:
    """Rate and exposed communication over the size of the scale-up network, a row of panels for each latency."""
    columns = 2 if width >= WIDE else 1
    gap = 36.0
    wide = (width - gap * (columns - 1)) / columns
    high, canvas, y = 250.0, Canvas(width), 0.0
    for title, each in found:
        canvas.text(fitted(title, width, SIZE, "bold"), 0.0, y + 16.0, "bold", size=SIZE)
        y += 26.0
        for number, (heading, best, held) in enumerate(PANELS):
            left = number * (wide + gap) if columns > 1 else 0.0
            _panel(canvas, each, heading, (best, held), names, left, y, wide, high)
            y += high + 12.0 if columns == 1 else 0.0
        y += high + 22.0 if columns > 1 else 10.0
    canvas.height = y
    return canvas


def _panel(
    canvas: Canvas, found: Domain, heading: str, read: Sequence[Callable[[DomainPoint, float], float]], names: Sequence[str],
    x: float, y: float, wide: float, high: float,
) -> None:  # fmt: skip
    """One panel: solid for the best plan of each size, thin for the plan of the largest."""
    canvas.text(fitted(heading, wide), x, y + 13.0, "soft")
    left, top = x + 42.0, y + 26.0
    sizes = [point.accelerators for each in found.lines for point in each]
    values = [value for each in found.lines for p in each for f in read if math.isfinite(value := f(p, each[-1].rate))]
    across = LogAxis(min(sizes), max(sizes), wide - 42.0 - 24.0)
    up = LinearAxis(0.0, max(1.08 * max(values), 0.1), high - 26.0 - 46.0)
    canvas.text("accelerators that the network joins", x + wide - 24.0, y + high - 6.0, "soft", "end")
    ticks = [2.0**power for power in range(3, 11) if min(sizes) <= 2.0**power <= max(sizes)]
    shown = ticks if wide > 330.0 else ticks[::2]
    frame(canvas, left, top, across, up, lambda v: f"{v:,.0f}", lambda v: f"{v * 100.0:.0f}", x_ticks=shown, y_most=5)
    bottom, curves = top + up.length, []
    canvas.avoid(left, bottom - 3.0, left + across.length, bottom + 3.0)
    for k, each in enumerate(found.lines):
        if not each:
            continue
        for number, f in enumerate(read):
            pairs = [(p.accelerators, f(p, each[-1].rate)) for p in each if math.isfinite(f(p, each[-1].rate))]
            curve = [(left + float(across.at(n)), bottom - float(up.at(value))) for n, value in pairs]
            if number == 0:
                canvas.add(path(curve, f"line {'ab'[k]}"))
                own = [point for (n, _), point in zip(pairs, curve, strict=True) if n == found.own[k]]
                canvas.add(*(mark(k, *point, size=6.0, kind="own") for point in own))
                curves.append((k, curve))
            elif curve:
                canvas.add(path(curve, f"line thin {'ab'[k]}"))
            canvas.avoid_line(curve, 4.0)
    for k, curve in curves:
        _named(canvas, curve[1:], names[k], k)


def break_even(found: BreakEven, names: Sequence[str], width: float) -> Canvas:
    """The line of equal cost over the price of the first and the rate of the second; the cross is where the specs and the answer stand."""
    left, top, foot = 58.0, 40.0, 50.0
    height = 380.0 if width >= WIDE else 340.0
    across = LinearAxis(0.0, float(found.prices[-1]), width - left - 18.0)
    up = LinearAxis(0.0, 1.12 * max(found.rate[2], float(found.rates["value"][-1])), height - top - foot)
    canvas, bottom = Canvas(width, height), top + up.length
    size, unit = money_unit(found.price[0])

    def place(x: float, y: float) -> tuple[float, float]:
        return left + float(across.at(x)), bottom - float(up.at(min(max(y, 0.0), up.high)))

    curve = {name: [place(float(x), float(y)) for x, y in zip(found.prices, ys, strict=True)] for name, ys in found.rates.items()}
    corner = [(left + across.length, bottom), (left, bottom)]
    canvas.add(path([*curve["value"], *corner], "zone a", closed=True))
    canvas.add(path([*curve["value"], (left + across.length, top), (left, top)], "zone b", closed=True))
    canvas.add(path([*curve["low"], *reversed(curve["high"])], "band even", closed=True))
    frame(canvas, left, top, across, up, lambda v: f"{v / size:g}", _thousands, x_most=7 if width >= WIDE else 5)
    canvas.add(path(_below(curve["value"], top), "line even"))
    canvas.text(fitted(f"tokens/s per accelerator of {names[1]}", width), 0.0, 16.0, "soft")
    said = (f"price of a unit of {names[0]}, {unit}", f"{names[0]}, {unit} a unit")
    words = next((each for each in said if width_of(each) <= across.length + left), said[1])
    canvas.text(fitted(words, across.length + left), left + across.length, height - 6.0, "soft", "end")
    x, y = place(found.price[0], found.rate[0])
    (x0, _), (x1, _) = place(found.price[1], 0.0), place(found.price[2], 0.0)
    (_, y0), (_, y1) = place(0.0, found.rate[1]), place(0.0, found.rate[2])
    canvas.add(line(x0, y, x1, y, "whisker"), line(x, y0, x, y1, "whisker"), element("circle", cx=x, cy=y, r=5.5, class_="here"))
    canvas.avoid_line(curve["value"], 8.0)
    canvas.avoid_line([(x0, y), (x1, y)], 3.0)
    canvas.avoid_line([(x, y0), (x, y1)], 3.0)
    canvas.placed("as found", x, y, "bold")
    _zones(canvas, (left, top, left + across.length, bottom), curve["value"], names)
    return canvas


def _below(curve: Sequence[tuple[float, float]], top: float) -> list[tuple[float, float]]:
    """A falling line without the part along the upper edge."""
    cut = max((place for place, (_, y) in enumerate(curve) if y <= top + 1e-6), default=0)
    return list(curve[cut:])


def _zones(canvas: Canvas, box: Box, curve: Sequence[tuple[float, float]], names: Sequence[str]) -> None:
    """Names of both sides of the line, where there is most room; in two lines where one is too long."""
    left, top, right, bottom = box
    size = SIZE if canvas.width >= WIDE else SMALL
    for k, name in enumerate(names):
        for lines in ([f"{name} is cheaper"], [name, "is cheaper"]):
            half, deep = 0.5 * max(width_of(words, size, "bold") for words in lines), 18.0 * len(lines)
            rated = []
            for across in np.linspace(0.1, 0.9, 33):
                for down in np.linspace(0.03, 0.97, 12):
                    x, y = left + float(across) * (right - left), top + float(down) * (bottom - top - deep)
                    spot = (x - half, y, x + half, y + deep)
                    ends = [_height(curve, end) for end in (spot[0], x, spot[2])]
                    clear = min(y - end if k == 0 else end - y - deep for end in ends)
                    inside = left + 4.0 < spot[0] and spot[2] < right - 4.0
                    if clear > 8.0 and inside and not any(meet(spot, other) for other in canvas.taken):
                        rated.append((clear, x, y))
            if rated:
                _, x, y = max(rated)
                for number, words in enumerate(lines):
                    canvas.text(words, x, y + 14.0 + 18.0 * number, f"bare bold {'ab'[k]}-text", "middle", size)
                break


def _height(curve: Sequence[tuple[float, float]], x: float) -> float:
    """Where a line stands at x."""
    for (x0, y0), (x1, y1) in pairwise(curve):
        if x0 <= x <= x1 and x1 > x0:
            return y0 + (y1 - y0) * (x - x0) / (x1 - x0)
    return curve[0][1] if x < curve[0][0] else curve[-1][1]
