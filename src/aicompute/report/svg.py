"""The few parts of a drawing that our pictures need: elements, text, logarithmic axes, clouds of points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

NAMESPACE = "http://www.w3.org/2000/svg"

HEAVIEST = 3
"""Weight of the heaviest dots of a cloud."""

CHARACTER = 0.56
"""Width of a character over the size of its type, on the wide side for a sans-serif face."""


def element(name: str, *children: str, **attributes: str | float) -> str:
    """An element; attributes with ``_`` for ``-``, and ``class_`` for class.

    Examples
    --------
    >>> element("circle", cx=3.0, r=1.25, class_="worst")
    '<circle cx="3" r="1.25" class="worst"/>'
    >>> element("g", label("a < b"))
    '<g>a &lt; b</g>'
    """
    said = "".join(f' {key.rstrip("_").replace("_", "-")}="{_value(value)}"' for key, value in attributes.items())
    return f"<{name}{said}>{''.join(children)}</{name}>" if children else f"<{name}{said}/>"


def label(text: str) -> str:
    """Text as the content of an element."""
    return escape(text, quote=False)


def _value(value: str | float) -> str:
    return escape(value) if isinstance(value, str) else f"{round(float(value), 2):g}"


def text_width(text: str, size: float) -> float:
    """About the width of a text, for the layout."""
    return len(text) * size * CHARACTER


def shortened(text: str, size: float, width: float) -> str:
    """A text that fits a width, its end left out where it does not.

    Examples
    --------
    >>> shortened("a long name", 10.0, 30.0)
    'a lo…'
    """
    most = max(int(width / (size * CHARACTER)), 2)
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"


@dataclass(frozen=True)
class LogAxis:
    """A logarithmic axis from 0 at ``low`` to ``length`` at ``high``."""

    low: float
    high: float
    length: float

    @classmethod
    def around(cls, values: ArrayLike, length: float, margin: float = 0.04, least: float = 4.0) -> LogAxis:
        """The axis that holds all values, with a margin on both sides and at least so large a ratio of its ends.

        Examples
        --------
        >>> axis = LogAxis.around([1.0, 100.0], 200.0, margin=0.0)
        >>> axis.at([1.0, 10.0, 100.0]).tolist()
        [0.0, 100.0, 200.0]
        """
        points = np.log(np.asarray(values, dtype=float))
        low, high = float(points.min()), float(points.max())
        missing = max(math.log(least) - (high - low), 0.0) / 2.0
        pad = (high - low) * margin + missing
        return cls(math.exp(low - pad), math.exp(high + pad), length)

    def at(self, values: ArrayLike) -> np.ndarray:
        """Where values stand."""
        along = np.log(np.asarray(values, dtype=float) / self.low) / math.log(self.high / self.low)
        return np.asarray(along * self.length)

    def ticks(self, most: int = 6) -> list[float]:
        """Round numbers within the axis: 1, 2 and 5 of each decade, powers of ten where those are too many, every so manieth of them.

        Examples
        --------
        >>> LogAxis(0.9, 60.0, 200.0).ticks()
        [1.0, 2.0, 5.0, 10.0, 20.0, 50.0]
        >>> LogAxis(0.9, 2e6, 200.0).ticks()
        [1.0, 100.0, 10000.0, 1000000.0]
        """
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        for steps, every in (((1.0, 2.0, 5.0), 1), *(((1.0,), every) for every in range(1, 100))):
            powers = [power for power in range(first, last + 1) if power % every == 0]
            found = [step * 10.0**power for power in powers for step in steps if self.low <= step * 10.0**power <= self.high]
            if len(found) <= most:
                return found
        return []


@dataclass(frozen=True)
class LinearAxis:
    """A linear axis from 0 at ``low`` to ``length`` at ``high``."""

    low: float
    high: float
    length: float

    def at(self, values: ArrayLike) -> np.ndarray:
        """Where values stand.

        Examples
        --------
        >>> LinearAxis(0.0, 4.0, 200.0).at([1.0, 4.0]).tolist()
        [50.0, 200.0]
        """
        return np.asarray((np.asarray(values, dtype=float) - self.low) / (self.high - self.low) * self.length)

    def ticks(self, most: int = 6) -> list[float]:
        """Round numbers within the axis, at most so many.

        Examples
        --------
        >>> LinearAxis(0.0, 2.3, 200.0).ticks(5)
        [0.0, 0.5, 1.0, 1.5, 2.0]
        """
        raw = (self.high - self.low) / max(most - 1, 1)
        power = 10.0 ** math.floor(math.log10(raw))
        for step in (1.0, 2.0, 2.5, 5.0, 10.0, 20.0):
            first = math.ceil(self.low / (step * power) - 1e-9)
            count = math.floor(self.high / (step * power) + 1e-9) - first + 1
            if count <= most:
                return [float(f"{(first + place) * step * power:.12g}") for place in range(count)]
        return []


def short(value: float) -> str:
    """A round number as an axis says it.

    Examples
    --------
    >>> short(0.05), short(200.0), short(1e4), short(5e6)
    ('0.05', '200', '10k', '5M')
    """
    for size, sign in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{sign}"
    return f"{value:g}"


def cloud(x: ArrayLike, y: ArrayLike, cell: float) -> list[tuple[int, str]]:
    """Paths of dots, which strokes with round or square caps show: of the points in a cell of a grid the first.

    Parameters
    ----------
    x, y : shape (n,)     Where the points are.
    cell : float          Width of a cell. From 1 on, dots stand on whole units.

    Returns
    -------
    list of weight and path: 0 for dots that stand for one point, k for those that stand for up to 4^k, at most `HEAVIEST`.

    Examples
    --------
    >>> cloud([1.0, 1.1, 5.3], [2.0, 2.1, 5.0], 1.0)
    [(0, 'M5 5h.1'), (1, 'M1 2h.1')]
    """
    across, down = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    _, first, counts = np.unique(_cells(across, down, cell), return_index=True, return_counts=True)
    weights = np.minimum(np.ceil(np.log2(counts) / 2.0), HEAVIEST).astype(int)
    digits = 0 if cell >= 1.0 else 1
    found = []
    for weight in sorted(set(weights.tolist())):
        kept = np.sort(first[weights == weight])
        places = zip(across[kept].round(digits).tolist(), down[kept].round(digits).tolist(), strict=True)
        found.append((weight, "".join(f"M{a:g} {b:g}h.1" for a, b in places)))
    return found


def cloud_bytes(x: ArrayLike, y: ArrayLike, cell: float) -> int:
    """About the length of a cloud's path."""
    return len(np.unique(_cells(x, y, cell))) * (15 if cell < 1.0 else 11)


def _cells(x: ArrayLike, y: ArrayLike, cell: float) -> np.ndarray:
    """A number for the cell of each point."""
    column, row = (np.rint(np.asarray(one, dtype=float) / cell).astype(np.int64) for one in (x, y))
    return np.asarray(column * (1 << 20) + row)


def flowed(widths: Sequence[float], room: float) -> list[tuple[int, float]]:
    """Line and place in it of things that stand side by side and wrap.

    Examples
    --------
    >>> flowed([60.0, 30.0, 20.0], 100.0)
    [(0, 0.0), (0, 60.0), (1, 0.0)]
    """
    found: list[tuple[int, float]] = [(0, 0.0)] if widths else []
    for before, width in pairwise(widths):
        line, place = found[-1]
        place += before
        found.append((line, place) if place + width <= room else (line + 1, 0.0))
    return found
