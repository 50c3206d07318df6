"""Predicted against measured in pictures: squares with logarithmic axes, as one SVG file; `plot_page` has the page of HTML."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from aicompute.errors import UsageError
from aicompute.evidence.judge import Figures, Judgement, figures, grouped, worst
from aicompute.report.svg import NAMESPACE, LogAxis, cloud, cloud_bytes, element, flowed, label, short, shortened, text_width
from aicompute.report.text import wrap
from aicompute.report.validation import LABELS, UNITS, percent
from aicompute.units import plain

ENDINGS = (".svg", ".html")
BAND = 0.2
"""Half width of the band around the diagonal, as a share of what was measured."""
MOST_COLOURS = 8
MOST_PANELS = 36
CELLS = (0.1, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0)
"""Grids on which points may be thinned."""
MOST_WORST = 3
"""Rows of a panel that are circled and named."""
MOST_BYTES = 390_000
"""Of a file; where points need more, those that nearly meet are drawn as one."""

_LIGHT = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#222222", "#882255")
_DARK = ("#3f7fe0", "#d55e00", "#20b080", "#cc79a7", "#f0e442", "#a6dcf7", "#ffffff", "#b0306a")
_OTHERS = "others"
_PANEL_BYTES = 3_200
"""Of a panel without its points."""
_HEAVIER = 0.5
_SIZE, _SMALL = 13.0, 11.0
_HEAD, _LEFT, _FOOT, _RIGHT = 56.0, 44.0, 38.0, 12.0


def _colours(names: Sequence[str], others: str) -> str:
    return "".join(f".c{place}{{stroke:{colour}}}" for place, colour in enumerate(names)) + f".c{MOST_COLOURS}{{stroke:{others}}}"


STYLE = (
    "text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;fill:#1b1f24}"
    ".paper{fill:#fff}.soft{fill:#57606a}.bold{font-weight:600}.frame{fill:none;stroke:#8c959f}.grid{stroke:#e4e7eb}.band{fill:#e8eef5}"
    ".line{stroke:#1b1f24}.far{fill:none;stroke:#1b1f24}.dots{fill:none;stroke-linecap:round;stroke-opacity:.75}"
    ".c4,.c5,.c6,.c7{stroke-linecap:square}" + _colours(_LIGHT, "#b8bec5") + "@media(prefers-color-scheme:dark){"
    "text{fill:#e6e9ec}.paper{fill:#14181d}.soft{fill:#a2abb5}.frame{stroke:#6b747e}.grid{stroke:#262d35}.band{fill:#242f3b}"
    ".line,.far{stroke:#e6e9ec}" + _colours(_DARK, "#5a6169") + "}"
)
"""Colours by class, light and dark; dots of the last four colours are square. Told apart by people who lack one of the three cones."""


@dataclass(frozen=True)
class Panel:
    """One square: a measured column of a kind of file, or those of its rows that say one thing in a column."""

    title: str
    metric: str
    judged: Sequence[Judgement]
    """With a prediction, one at least."""
    colours: Sequence[int]
    """Of each row."""

    def axis(self, side: float) -> LogAxis:
        """The scale that both axes share, on a square of so many units."""
        return LogAxis.around(np.concatenate(self._values), side)

    @cached_property
    def _values(self) -> tuple[np.ndarray, np.ndarray]:
        """Measured and predicted."""
        return np.array([one.measured for one in self.judged]), np.array([one.predicted for one in self.judged])

    def points(self, side: float) -> list[tuple[int, np.ndarray, np.ndarray]]:
        """Colours with the places of their points in order of drawing: first those without a colour of their own, then large groups."""
        axis, colours = self.axis(side), np.array(self.colours)
        x, y = _LEFT + axis.at(self._values[0]), _HEAD + side - axis.at(self._values[1])
        order = sorted(set(self.colours), key=lambda colour: (colour != MOST_COLOURS, -int((colours == colour).sum())))
        return [(colour, x[colours == colour], y[colours == colour]) for colour in order]

    @cached_property
    def figures(self) -> Figures:
        """Of its rows."""
        return figures(self.judged)

    @property
    def facts(self) -> tuple[str, str]:
        """Rows and errors in two lines."""
        inside = f"{percent(self.figures.inside, 0)} inside the 90 % interval"
        return f"{self.figures.count:,} rows, median error {percent(self.figures.median)}", inside


@dataclass(frozen=True)
class Picture:
    """Panels that share their colours."""

    title: str
    panels: Sequence[Panel]
    left_out: int
    """Panels for which there is no room."""
    column: str
    """What colours stand for."""
    labels: Sequence[str]
    """One a colour."""

    @property
    def heading(self) -> str:
        """What panels and colours stand for."""
        rest = f"; {self.left_out} panels with fewer rows are left out" if self.left_out else ""
        return f"{self.title}; colours: {self.column}{rest}"

    @property
    def legend(self) -> list[tuple[int, str]]:
        """Colours with their words."""
        others = any(MOST_COLOURS in panel.colours for panel in self.panels)
        return [*enumerate(self.labels), *([(MOST_COLOURS, _OTHERS)] if others else [])]


def check_target(path: Path) -> None:
    """Refuse a file that cannot become a picture, before any work is done.

    Raises
    ------
    UsageError
        Its ending is not one of `ENDINGS`, or its folder does not exist.
    """
    if path.suffix.lower() not in ENDINGS:
        raise UsageError(f"--plot {path}: the ending says what is drawn; it can be {' or '.join(ENDINGS)}")
    if not path.parent.is_dir():
        raise UsageError(f"--plot {path}: folder {str(path.parent)!r} does not exist")


def write(path: Path, judged: Sequence[Judgement], by: Sequence[str] = (), title: str = "Predicted against measured") -> None:
    """Draw into a file of the kind that its ending says.

    Raises
    ------
    UsageError
        It cannot be written, or no row has a prediction.
    """
    from aicompute.report.plot_page import page

    check_target(path)
    drawn = page(judged, by, title) if path.suffix.lower() == ".html" else svg(judged, by, title)
    try:
        path.write_text(drawn, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"--plot {path}: cannot be written: {error.strerror or error}") from None


def pictures(judged: Sequence[Judgement], by: Sequence[str] = ()) -> list[Picture]:
    """A picture of every kind and metric, and one more for each column with a panel for each of its words.

    Parameters
    ----------
    judged : sequence of Judgement
    by : sequence of str      Columns.

    Raises
    ------
    UsageError
        No row has a prediction.
    """
    shown = [one for one in judged if not one.skipped]
    if not shown:
        raise UsageError("no row has a prediction, so that there is nothing to draw")
    return [picture for column in ("", *by) if (picture := _picture(shown, column)).panels]


def _picture(judged: Sequence[Judgement], column: str) -> Picture:
    """Panels by kind and metric, and by what rows say in a column; of too many those with the most rows."""
    order = list(grouped(judged))
    found = sorted(grouped(judged, column).items(), key=lambda item: (order.index((*item[0][:2], "")), -len(item[1])))
    kept = _most(found)
    colour = _colour_column(judged, column)
    counts = Counter(_word(one, colour) for _, rows in kept for one in rows)
    labels = [word for word, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0])) if word][:MOST_COLOURS]
    number = {word: place for place, word in enumerate(labels)}
    panels = []
    for (kind, metric, word), rows in kept:
        title = " ".join(filter(None, [kind, LABELS[metric], word]))
        panels.append(Panel(title, metric, rows, [number.get(_word(one, colour), MOST_COLOURS) for one in rows]))
    return Picture(f"by {column}" if column else "by kind", panels, len(found) - len(kept), colour, labels)


def _most(found: Sequence[tuple[tuple[str, str, str], list[Judgement]]]) -> Sequence[tuple[tuple[str, str, str], list[Judgement]]]:
    """Of too many groups `MOST_PANELS`: the largest of each kind and metric before the second of any. Given in that order."""
    seen = Counter[tuple[str, str]]()
    ranked = []
    for key, rows in found:
        seen[key[:2]] += 1
        ranked.append((seen[key[:2]], -len(rows), key))
    best = {key for _, _, key in sorted(ranked)[:MOST_PANELS]}
    return [item for item in found if item[0] in best]


def _colour_column(judged: Sequence[Judgement], taken: str) -> str:
    """What colours stand for: groups where they are few, else accelerators, else stacks."""
    free = [column for column in ("group", "accelerator", "stack") if column != taken]
    words = {column: {_word(one, column) for one in judged} for column in free}
    few = [column for column in free if len(words[column]) <= MOST_COLOURS]
    return few[0] if few else next(column for column in free if column != "group")


def _word(one: Judgement, column: str) -> str:
    return one.group if column == "group" else one.label(column)


def cells_for(shown: Iterable[Picture], side: float, room: float) -> dict[int, float]:
    """By the identity of each panel the grid on which its points are thinned, so that all take no more than so many bytes.

    Panels with few points keep them all: the largest are thinned first, to what a common limit for a panel allows.
    """
    panels = [panel for picture in shown for panel in picture.panels]
    bytes_of = [[sum(cloud_bytes(x, y, cell) for _, x, y in panel.points(side)) for cell in CELLS] for panel in panels]
    limits = sorted({size for sizes in bytes_of for size in sizes}, reverse=True)
    for limit in limits:
        chosen = [next((place for place, size in enumerate(sizes) if size <= limit), len(CELLS) - 1) for sizes in bytes_of]
        if sum(sizes[place] for sizes, place in zip(bytes_of, chosen, strict=True)) <= room:
            break
    return {id(panel): CELLS[place] for panel, place in zip(panels, chosen, strict=True)}


def size_of(side: float) -> tuple[float, float]:
    """Width and height of a panel around a square."""
    return _LEFT + side + _RIGHT, _HEAD + side + _FOOT


def draw(panel: Panel, side: float, cell: float) -> str:
    """The content of a panel, its corner at 0, 0."""
    wide = size_of(side)[0]
    first, second = panel.facts
    parts = [
        _text(shortened(panel.title, _SIZE, wide), 0.0, 14.0, size=_SIZE, class_="bold"),
        _text(shortened(first, _SMALL, wide + 20.0), 0.0, 31.0),
        _text(second, 0.0, 46.0),
        *_frame(panel.axis(side), UNITS[panel.metric]),
    ]
    dot = next(size for most, size in ((200, 5.0), (2000, 3.2), (math.inf, 2.4)) if len(panel.judged) <= most)
    for colour, x, y in panel.points(side):
        for weight, path in cloud(x, y, cell):
            size = min(dot * (1.0 + _HEAVIER * weight), max(dot, 1.25 * cell)) * (1.0 if colour < 4 else 0.85)
            parts.append(element("path", class_=f"dots c{colour}", d=path, stroke_width=size))
    return "".join([*parts, *_farthest(panel, side)])


def _frame(axis: LogAxis, unit: str) -> list[str]:
    """Band, diagonal, ticks and names of the axes."""
    side, bottom = axis.length, _HEAD + axis.length
    up, down = (math.log(1.0 + sign * BAND) / math.log(axis.high / axis.low) * side for sign in (1.0, -1.0))
    corners = [(0.0, 0.0), (0.0, up), (side - up, side), (side, side), (side, side + down), (-down, 0.0)]
    points = " ".join(f"{_LEFT + x:.1f},{bottom - y:.1f}" for x, y in corners)
    parts = [element("polygon", class_="band", points=points)]
    for tick in axis.ticks():
        at = float(axis.at(tick))
        parts += [
            element("line", class_="grid", x1=_LEFT + at, x2=_LEFT + at, y1=_HEAD, y2=bottom),
            element("line", class_="grid", x1=_LEFT, x2=_LEFT + side, y1=bottom - at, y2=bottom - at),
            _text(short(tick), _LEFT + at, bottom + 14.0, anchor="middle"),
            _text(short(tick), _LEFT - 5.0, bottom - at + 4.0, anchor="end"),
        ]
    middle = _HEAD + side / 2.0
    parts += [
        element("rect", class_="frame", x=_LEFT, y=_HEAD, width=side, height=side),
        element("line", class_="line", x1=_LEFT, y1=bottom, x2=_LEFT + side, y2=_HEAD),
        _text(f"measured [{unit}]", _LEFT + side / 2.0, bottom + 30.0, anchor="middle"),
        _text(f"predicted [{unit}]", 9.0, middle, anchor="middle", transform=f"rotate(-90 9 {middle:g})"),
    ]
    return parts


def _farthest(panel: Panel, side: float) -> list[str]:
    """Circles around the rows farthest off, with what they are."""
    axis = panel.axis(side)
    found = []
    for one in worst(panel.judged, MOST_WORST):
        x, y = _LEFT + float(axis.at(one.measured)), _HEAD + side - float(axis.at(one.predicted))
        found.append(element("circle", element("title", label(told(one))), class_="far", cx=x, cy=y, r=4.5, pointer_events="all"))
    return found


def told(one: Judgement) -> str:
    """A row in words."""
    unit = UNITS[one.metric]
    ratio = plain(one.predicted / one.measured)
    return f"{one.file} {one.id} ({one.group}): measured {plain(one.measured)} {unit}, predicted {plain(one.predicted)}, ratio {ratio}"


def svg(
    judged: Sequence[Judgement],
    by: Sequence[str] = (),
    title: str = "Predicted against measured",
    columns: int = 3,
    most_bytes: int = MOST_BYTES,
) -> str:
    """A drawing of all panels: by kind and metric, or by the words of columns where some are given.

    Parameters
    ----------
    judged : sequence of Judgement
    by : sequence of str      Columns, one picture below the other.
    title : str
    columns : int             Panels side by side, at most; one more where they are many.
    most_bytes : int          Points are thinned to it.

    Raises
    ------
    UsageError
        No row has a prediction.
    """
    every = pictures(judged, by)
    shown = every[1:] if by and len(every) > 1 else every
    most = max(len(picture.panels) for picture in shown)
    wide = min(most, columns if most <= 4 * columns else columns + 1)
    side = {1: 400.0, 2: 300.0}.get(wide, 220.0)
    step, height = size_of(side)
    pad, gap = 16.0, 18.0
    width = 2 * pad + wide * step + (wide - 1) * gap
    cells = cells_for(shown, side, most_bytes - _PANEL_BYTES * sum(len(picture.panels) for picture in shown))
    down = pad + 18.0
    parts = [_text(shortened(title, 17.0, width - 2 * pad), pad, down, size=17.0, class_="bold")]
    for picture in shown:
        parts.append(_text(picture.heading, pad, down + 26.0, size=_SIZE))
        entries, lines = _legend(picture, width - 2 * pad)
        parts.append(element("g", *entries, transform=f"translate({pad:g} {down + 36.0:g})"))
        down += 44.0 + 18.0 * lines
        for number, panel in enumerate(picture.panels):
            x, y = pad + number % wide * (step + gap), down + number // wide * (height + gap)
            content = draw(panel, side, cells[id(panel)])
            parts.append(element("g", content, class_="panel", transform=f"translate({x:g} {y:g})", aria_label=spoken(panel)))
        down += -(-len(picture.panels) // wide) * (height + gap)
    for line in wrap(READING, int((width - 2 * pad) / (_SMALL * 0.53))):
        parts.append(_text(line, pad, down + 4.0))
        down += 16.0
    return "".join(
        [
            f'<svg xmlns="{NAMESPACE}" viewBox="0 0 {width:g} {down + pad:g}" width="{width:g}" height="{down + pad:g}" role="img">',
            element("title", label(title)),
            element("desc", label(". ".join(spoken(panel) for picture in shown for panel in picture.panels))),
            element("style", STYLE),
            element("rect", class_="paper", width="100%", height="100%"),
            *parts,
            "</svg>\n",
        ]
    )


def spoken(panel: Panel) -> str:
    """A panel for those who cannot see it."""
    return ", ".join([panel.title, *panel.facts])


READING = (
    f"A point is a measured value. On the line the prediction is right, in the band within {percent(BAND, 0)}; above the line it is too "
    "high. Points that fall together are drawn once, larger where they are many; circled are the rows farthest off."
)


def _legend(picture: Picture, room: float) -> tuple[list[str], int]:
    """Words with their dots, and how many lines they take."""
    entries = picture.legend
    places = flowed([26.0 + text_width(word, _SMALL) for _, word in entries], room)
    found = []
    for (colour, word), (line, x) in zip(entries, places, strict=True):
        y = 8.0 + 18.0 * line
        found.append(element("path", class_=f"dots c{colour}", d=f"M{x + 6.0:g} {y:g}h.1", stroke_width=9.0 if colour < 4 else 7.0))
        found.append(_text(word, x + 15.0, y + 4.0))
    return found, places[-1][0] + 1 if places else 0


def _text(text: str, x: float, y: float, size: float = _SMALL, anchor: str = "", class_: str = "", transform: str = "") -> str:
    """A line of text; soft unless a class is given."""
    given = {"text_anchor": anchor, "class_": class_ or ("soft" if size == _SMALL else ""), "transform": transform}
    return element("text", label(text), x=x, y=y, font_size=size, **{key: word for key, word in given.items() if word})
