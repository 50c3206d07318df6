"""Pictures made of dots: operators under the roofs of a chip, and ratios with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aicompute.estimate.result import Comparison, Ratio
from aicompute.report.numbers import better_of, probability_text
from aicompute.report.page.draw import SIZE, WIDE, Axis, Canvas, fitted, frame, line, mark, path, shape, width_of, wrapped
from aicompute.report.page.parts import readable
from aicompute.report.page.steps import Roof
from aicompute.report.svg import LogAxis, element, label, short
from aicompute.report.verdict import ratio_of

MOST_NAMED = 6
"""Operators that a roofline names."""
LEAST_ROOM = 0.01
"""Operators below this share of the step are not drawn."""


def drawn_operators(roof: Roof) -> list[tuple[str, float, float, str, float]]:
    """Operators worth a dot: name, FLOP/B, FLOP/s, bound and share of the step, largest first."""
    found = []
    for o in roof.operators:
        share = o.seconds / roof.seconds
        if share >= LEAST_ROOM:
            found.append((o.name, o.flops / o.traffic, o.flops / o.seconds, o.bound, share))
    return sorted(found, key=lambda each: -each[4])


def roofline(roofs: Sequence[Roof], names: Sequence[str], width: float) -> Canvas:
    """Rate of every operator over what it does with a byte, under the peaks and the memory bandwidth of the chip."""
    columns = len(roofs) if width >= WIDE else 1
    gap, high = 28.0, 330.0
    wide = (width - gap * (columns - 1)) / columns
    dots = {roof.system: drawn_operators(roof) for roof in roofs}
    x = [each[1] for found in dots.values() for each in found]
    y = [each[2] for found in dots.values() for each in found]
    peaks = [peak for roof in roofs for peak in roof.peaks.values()]
    across = LogAxis.around([*x, *(max(roof.peaks.values()) / roof.bandwidth for roof in roofs)], wide - 62.0, margin=0.12)
    up = LogAxis.around([*y, *peaks], high - 44.0 - 46.0, margin=0.1)
    canvas = Canvas(width)
    for place, roof in enumerate(roofs):
        left, top = (place * (wide + gap), 0.0) if columns > 1 else (0.0, place * (high + 14.0))
        _roof(canvas, roof, dots[roof.system], names[roof.system], (left, top, wide, high), (across, up))
    canvas.height = high if columns > 1 else len(roofs) * (high + 14.0)
    return canvas


def _roof(
    canvas: Canvas, roof: Roof, dots: Sequence[tuple[str, float, float, str, float]], name: str,
    box: tuple[float, float, float, float], axes: tuple[LogAxis, LogAxis],
) -> None:  # fmt: skip
    """One panel."""
    (x, y, wide, high), (across, up) = box, axes
    left, top = x + 50.0, y + 44.0
    kind, bottom = "ab"[roof.system], y + 44.0 + up.length
    canvas.text(fitted(name, wide, SIZE, "bold"), x, y + 15.0, f"bold {kind}-text", size=SIZE)
    canvas.text("TFLOP/s of a device", x, y + 33.0, "soft")
    frame(canvas, left, top, across, up, short, lambda v: short(v / 1e12), y_most=6, x_most=5)
    canvas.text("FLOP per byte of memory traffic", left + across.length, y + high - 4.0, "soft", "end")

    def at(intensity: float, rate: float) -> tuple[float, float]:
        return left + float(across.at(intensity)), bottom - float(up.at(rate))

    canvas.avoid(x + wide, y, x + wide + 28.0, y + high)
    canvas.avoid(x, y, left, y + high)
    first, roofs = True, []
    for word, peak in sorted(roof.peaks.items(), key=lambda item: -item[1]):
        ridge = peak / roof.bandwidth
        start = max(across.low, up.low / roof.bandwidth)
        slope = [at(start, start * roof.bandwidth)] if first else []
        corners = [*slope, at(ridge, peak), at(across.high, peak)]
        canvas.add(path(corners, "roof"))
        canvas.avoid_line(corners, 2.0)
        roofs.append((f"{word} {peak / 1e12:,.0f}", corners[-1][1] - 5.0))
        first = False
    for _, intensity, rate, bound, share in reversed(dots):
        size = 3.0 + 14.0 * share**0.5
        px, py = at(intensity, rate)
        canvas.add(shape(bound, px, py, size, f"mark see {kind}"))
        canvas.avoid(px - size, py - size, px + size, py + size)
    for words, base in roofs:
        canvas.text(words, left + across.length, base, "soft", "end")
    start = max(across.low, up.low / roof.bandwidth) * 1.3
    canvas.placed(f"{roof.bandwidth / 1e12:.3g} TB/s", *at(start, start * roof.bandwidth), kind="soft")
    for title, intensity, rate, _, share in dots[:MOST_NAMED]:
        px, py = at(intensity, rate)
        canvas.placed(fitted(title, 160.0), px, py, gap=6.0 + 14.0 * share**0.5)


@dataclass(frozen=True)
class Whisker:
    """How many times better the first system is, in one scenario."""

    title: str
    ratio: Ratio | None
    """Above 1 the first is better; None where one of two cannot do it."""
    why: str = ""
    """Who cannot."""


METRICS = {
    "accelerator": ("per accelerator", "tokens_per_s_per_accelerator"),
    "watt": ("per watt", "energy_per_token"),
    "dollar": ("per dollar", "cost_per_token"),
}
"""What throughput is counted over: word of the switch, and the metric behind it."""


def whiskers(comparisons: Sequence[Comparison], basis: str, names: Sequence[str]) -> list[Whisker]:
    """Ratios of all scenarios, turned so that more is better."""
    metric, found = METRICS[basis][1], []
    for comparison in comparisons:
        ratio = ratio_of(comparison, metric)
        if ratio is not None and better_of(metric) == "less":
            ratio = Ratio(1.0 / ratio.value, 1.0 / ratio.high, 1.0 / ratio.low, ratio.probability)
        missing = [name for name, e in zip(names, comparison.estimates, strict=True) if not e.feasible]
        found.append(Whisker(readable(comparison.title), ratio, f"{' and '.join(missing)} cannot" if missing else ""))
    return found


def interval(found: Sequence[Whisker], names: Sequence[str], width: float) -> Canvas:
    """Ratios with their 90 % intervals, a row a scenario."""
    gutter, right = (270.0, 100.0) if width >= WIDE else (0.0, 100.0)
    room = gutter - 10.0 if gutter else width - right
    ends = [end for each in found if (r := each.ratio) for end in (r.low, r.value, r.high)]
    axis: Axis = LogAxis.around([1.0, *ends], width - gutter - (right if gutter else 0.0) - 24.0, 0.05, 3.0)
    left, canvas = gutter + 12.0, Canvas(width)
    titles = [wrapped(each.title, room) for each in found]
    heights = [(34.0 if gutter else 44.0) + 16.0 * (len(lines) - 1 if not gutter else 0) for lines in titles]
    top = 50.0 if _together(names, width - (left if gutter else 0.0)) else 66.0
    canvas.height = top + sum(heights) + 26.0
    even, foot = left + float(axis.at(1.0)), canvas.height - 24.0
    _sides(canvas, names, left if gutter else 0.0, width, even, top)
    canvas.add(line(even, top - 4.0, even, foot, "even"))
    end = 0.0
    for value in (0.02, 0.05, 0.1, 0.2, 0.5, 2.0, 5.0, 10.0, 20.0, 50.0):
        x, half = left + float(axis.at(value)), 0.5 * width_of(_times(value))
        if axis.low < value < axis.high and x - half > end and x + half < width:
            canvas.add(line(x, top - 4.0, x, foot, "grid"))
            canvas.text(_times(value), x, foot + 17.0, "soft", "middle")
            end = x + half + 4.0
    y = top
    for each, lines, height in zip(found, titles, heights, strict=True):
        _whisker(canvas, each, names, axis, (left, y, gutter, width), lines)
        y += height
    return canvas


def _together(names: Sequence[str], room: float) -> bool:
    """Whether both sides are named on one line."""
    return sum(width_of(f"{name} better →", kind="bold") for name in names) + 12.0 <= room


def _sides(canvas: Canvas, names: Sequence[str], left: float, width: float, even: float, top: float) -> None:
    """Which way is whose; below each other where there is no room for both."""
    canvas.text(fitted(f"← {names[1]} better", width - left, kind="bold"), left, 14.0, "bold b-text")
    lower = 14.0 if _together(names, width - left) else 32.0
    canvas.text(fitted(f"{names[0]} better →", width - left, kind="bold"), width, lower, "bold a-text", "end")
    canvas.text("even", even, top - 10.0, "soft", "middle")


def _whisker(
    canvas: Canvas, each: Whisker, names: Sequence[str], axis: Axis, box: tuple[float, float, float, float], lines: Sequence[str]
) -> None:
    """One row: scenario, interval, who is ahead how surely."""
    left, y, gutter, width = box
    first = each.ratio is not None and each.ratio.value >= 1.0
    sure = each.why
    if each.ratio is not None:
        chance = each.ratio.probability if first else 1.0 - each.ratio.probability
        sure = f"{probability_text(chance)} sure".replace("over ", ">")
    start = y + (14.0 if not gutter or len(lines) == 1 else 7.0)
    for place, words in enumerate(lines):
        canvas.text(words, gutter - 10.0 if gutter else 0.0, start + 15.0 * place, "", "end" if gutter else "start")
    canvas.text(fitted(sure, 100.0), width, y + 14.0, "soft", "end")
    middle = y + 10.0 if gutter else y + 12.0 + 16.0 * len(lines)
    if each.ratio is None:
        return
    x0, x, x1 = (left + float(axis.at(value)) for value in (each.ratio.low, each.ratio.value, each.ratio.high))
    words = f"{each.title}: {names[0]} {_times(each.ratio.value)} of {names[1]} ({_times(each.ratio.low)} to {_times(each.ratio.high)})"
    drawn = line(x0, middle, x1, middle, f"whisker {'ab'[not first]}") + mark(int(not first), x, middle, 6.0)
    canvas.add(element("g", element("title", label(words)), drawn))


def _times(value: float) -> str:
    """A factor on an axis.

    Examples
    --------
    >>> _times(2.0), _times(0.25)
    ('2×', '0.25×')
    """
    return f"{value:.3g}×"
