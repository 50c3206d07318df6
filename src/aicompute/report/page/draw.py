"""What the pictures of the page share: a canvas, marks and lines of the two systems, labels that keep out of each other's way."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from aicompute.report.svg import LinearAxis, LogAxis, element, label

WIDE, NARROW = 720.0, 340.0
"""Widths in which each picture is drawn: for screens, and for phones."""
CHARACTER, BOLD = 0.6, 0.7
"""Width of a character over the size of its type, on the wide side for the widest of the faces that the page may get."""
SIZE, SMALL = 14.0, 12.5
"""Sizes of type; pictures are shown at about their own size, so that these are those on the screen [px]."""
Axis = LogAxis | LinearAxis
Box = tuple[float, float, float, float]


@dataclass
class Canvas:
    """Elements of a picture in order of drawing."""

    width: float
    height: float = 0.0
    parts: list[str] = field(default_factory=list)
    taken: list[Box] = field(default_factory=list)
    """Where no label may stand: left, top, right, bottom."""

    def add(self, *parts: str) -> None:
        """Draw elements."""
        self.parts += parts

    def text(self, words: str, x: float, y: float, kind: str = "", anchor: str = "start", size: float = SMALL) -> None:
        """Draw words; their baseline is at y."""
        self.add(element("text", label(words), x=x, y=y, class_=kind or "t", text_anchor=anchor, font_size=size))
        self.taken.append(box_of(words, x, y, anchor, size, kind))

    def placed(self, words: str, x: float, y: float, kind: str = "", size: float = SMALL, gap: float = 9.0) -> bool:
        """Draw words beside a point where there is room; nothing where there is none."""
        places = (
            (x + gap, y + 4.0, "start"), (x - gap, y + 4.0, "end"), (x, y - gap, "middle"), (x, y + gap + size * 0.8, "middle"),
            (x + gap, y - gap, "start"), (x - gap, y - gap, "end"), (x + gap, y + gap + size * 0.8, "start"),
            (x - gap, y + gap + size * 0.8, "end"), (x, y - 2.4 * gap, "middle"), (x, y + 2.4 * gap + size * 0.8, "middle"),
        )  # fmt: skip
        for left, base, anchor in places:
            found = box_of(words, left, base, anchor, size, kind)
            if found[0] >= 1.0 and found[2] <= self.width - 1.0 and found[1] >= 0.0 and not any(meet(found, other) for other in self.taken):
                self.text(words, left, base, kind, anchor, size)
                return True
        return False

    def avoid(self, left: float, top: float, right: float, bottom: float) -> None:
        """Keep labels out of a box."""
        self.taken.append((left, top, right, bottom))

    def avoid_line(self, points: Sequence[tuple[float, float]], margin: float = 3.0) -> None:
        """Keep labels off a line."""
        for (x0, y0), (x1, y1) in pairwise(points):
            steps = max(int(math.hypot(x1 - x0, y1 - y0) / 12.0), 1)
            for place in range(steps + 1):
                x, y = x0 + (x1 - x0) * place / steps, y0 + (y1 - y0) * place / steps
                self.avoid(x - margin, y - margin, x + margin, y + margin)


def width_of(words: str, size: float = SMALL, kind: str = "") -> float:
    """About the width of words, at most."""
    return len(words) * size * (BOLD if "bold" in kind else CHARACTER)


def fitted(words: str, width: float, size: float = SMALL, kind: str = "") -> str:
    """Words that fit a width, their end left out where they do not.

    Examples
    --------
    >>> fitted("a long name", 40.0)
    'a lo…'
    """
    most = max(int(width / width_of("x", size, kind)), 2)
    return words if len(words) <= most else f"{words[: most - 1].rstrip()}…"


def wrapped(words: str, width: float, size: float = SMALL) -> list[str]:
    """Words in lines of a width, two at most.

    Examples
    --------
    >>> wrapped("decode, a token in 50 ms, 8 bits", 150.0)
    ['decode, a token in', '50 ms, 8 bits']
    """
    most, first = max(int(width / width_of("x", size)), 2), ""
    rest = words.split(" ")
    while rest and len(f"{first} {rest[0]}".strip()) <= most:
        first = f"{first} {rest.pop(0)}".strip()
    return [line for line in (first, fitted(" ".join(rest), width, size)) if line]


def box_of(words: str, x: float, y: float, anchor: str, size: float, kind: str = "") -> Box:
    """About where words stand."""
    wide = width_of(words, size, kind)
    left = x - {"start": 0.0, "middle": 0.5, "end": 1.0}[anchor] * wide
    return left, y - 0.85 * size, left + wide, y + 0.25 * size


def meet(one: Box, other: Box) -> bool:
    """Whether two boxes have room in common.

    Examples
    --------
    >>> meet((0, 0, 2, 2), (1, 1, 3, 3)), meet((0, 0, 1, 1), (1, 0, 2, 1))
    (True, False)
    """
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def picture(key: str, title: str, description: str, draw: Callable[[float], Canvas]) -> str:
    """A picture in both widths; the style shows the one that fits.

    Parameters
    ----------
    key : str           Of the page's elements; unique.
    title : str         What a screen reader calls it.
    description : str   What it shows, in a sentence.
    draw : callable     Canvas of a width.
    """
    drawn = []
    for kind, width in (("wide", WIDE), ("narrow", NARROW)):
        canvas, name = draw(width), f"{key}-{kind}"
        head = element("title", label(title), id=f"{name}-title") + element("desc", label(description), id=f"{name}-desc")
        drawn.append(
            element(
                "svg", head, *canvas.parts, class_=kind, role="img", aria_labelledby=f"{name}-title", aria_describedby=f"{name}-desc",
                viewBox=f"0 0 {canvas.width:g} {math.ceil(canvas.height):g}",
            )
        )  # fmt: skip
    return f'<div class="picture">{"".join(drawn)}</div>'


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """A straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=kind)


def bar(x: float, y: float, width: float, height: float, kind: str) -> str:
    """A filled box."""
    return element("rect", x=x, y=y, width=max(width, 0.0), height=height, class_=kind)


def path(points: Sequence[tuple[float, float]], kind: str, closed: bool = False) -> str:
    """A line through points."""
    return element("path", d="M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points) + ("Z" if closed else ""), class_=kind)


def mark(system: int, x: float, y: float, size: float = 4.5, kind: str = "") -> str:
    """The mark of a system: a circle for the first, a square for the second."""
    classes = f"mark {'ab'[system]} {kind}".strip()
    if system == 0:
        return element("circle", cx=x, cy=y, r=size, class_=classes)
    return element("rect", x=x - size, y=y - size, width=2.0 * size, height=2.0 * size, class_=classes)


def shape(kind: str, x: float, y: float, size: float, classes: str) -> str:
    """A mark by what bounds an operator: circle, diamond or triangle."""
    if kind == "compute":
        return element("circle", cx=x, cy=y, r=size, class_=classes)
    corners = [(x, y - 1.3 * size), (x + 1.3 * size, y), (x, y + 1.3 * size), (x - 1.3 * size, y)]
    if kind != "memory":
        corners = [(x, y - 1.3 * size), (x + 1.2 * size, y + size), (x - 1.2 * size, y + size)]
    return element("path", d="M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in corners) + "Z", class_=classes)


def segments(canvas: Canvas, x: float, y: float, height: float, parts: Sequence[tuple[str, float, str]]) -> float:
    """A stacked bar; labels stand in the parts that have room for them.

    Parameters
    ----------
    canvas : Canvas
    x, y, height : float   Where it begins.
    parts : sequence       Class, width and label of each.

    Returns
    -------
    Where it ends.
    """
    for kind, width, words in parts:
        canvas.add(bar(x, y, max(width - 1.0, 0.4), height, f"fill {kind}"))
        if words and width_of(words) + 6.0 <= width:
            canvas.text(words, x + width / 2.0, y + height / 2.0 + 4.5, f"on {kind}", "middle")
        x += width
    return x


def frame(
    canvas: Canvas, left: float, top: float, across: Axis, up: Axis, x_text: Callable[[float], str], y_text: Callable[[float], str],
    x_ticks: Sequence[float] | None = None, y_most: int = 5, x_most: int = 6,
) -> None:  # fmt: skip
    """Grid, ticks and their words."""
    bottom = top + up.length
    for value in up.ticks(y_most):
        y = bottom - float(up.at(value))
        canvas.add(line(left, y, left + across.length, y, "grid"))
        canvas.text(y_text(value), left - 6.0, y + 4.0, "soft", "end")
    for value in across.ticks(x_most) if x_ticks is None else x_ticks:
        x = left + float(across.at(value))
        canvas.add(line(x, bottom, x, bottom + 4.0, "tick"))
        canvas.text(x_text(value), x, bottom + 18.0, "soft", "middle")
    canvas.add(line(left, bottom, left + across.length, bottom, "base"))
