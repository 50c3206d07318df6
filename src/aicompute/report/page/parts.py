"""What the sections of the page are made of: headings, tables behind pictures, keys, switches. Every text is escaped here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from aicompute.report.page.draw import mark, shape
from aicompute.report.svg import element

Cell = str | float | None


def readable(words: str) -> str:
    """Words with the signs of print.

    Examples
    --------
    >>> readable("TPOT <= 50 ms")
    'TPOT ≤ 50 ms'
    """
    return words.replace("<=", "≤")


@dataclass(frozen=True)
class Section:
    """A picture with what stands around it."""

    key: str
    question: str
    """The heading."""
    finding: str
    """What the picture shows, in a sentence or two made from the numbers."""
    body: str
    """HTML."""
    table: str = ""
    """HTML of the numbers behind it."""
    reading: str = ""
    """How to read the picture."""

    def html(self) -> str:
        """The section."""
        table = f'<details><summary>The numbers<span class="hidden"> of: {escape(self.question)}</span></summary>{self.table}</details>'
        reading = f'<p class="reading">{escape(self.reading)}</p>' if self.reading else ""
        return (
            f'<section id="{self.key}" aria-labelledby="{self.key}-heading"><h2 id="{self.key}-heading">{escape(self.question)}</h2>'
            f"<p>{escape(self.finding)}</p>{self.body}{reading}{table if self.table else ''}</section>"
        )


def table(name: str, headers: Sequence[str], rows: Sequence[Sequence[Cell]], words: int = 1) -> str:
    """A table that scrolls sideways where it is too wide.

    Parameters
    ----------
    name : str           What a screen reader calls it.
    headers : sequence   Of the columns.
    rows : sequence      Texts are escaped, numbers written short, None is a dash.
    words : int          Columns of text, left aligned; the first is the header of its row.
    """
    head = "".join(f'<th scope="col"{_left(place, words)}>{escape(each)}</th>' for place, each in enumerate(headers))
    body = []
    for row in rows:
        cells = [f'<th scope="row"{_left(0, words)}>{said(row[0])}</th>']
        cells += [f"<td{_left(place, words)}>{said(cell)}</td>" for place, cell in enumerate(row[1:], 1)]
        body.append(f"<tr>{''.join(cells)}</tr>")
    return scrolled(name, f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>")


def scrolled(name: str, content: str) -> str:
    """Content that scrolls sideways, by keyboard too."""
    return f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(name)}">{content}</div>'


def _left(place: int, words: int) -> str:
    return ' class="left"' if place < words else ""


class Markup(str):
    """HTML that is escaped already."""

    __slots__ = ()


def said(cell: Cell) -> str:
    """A cell as HTML.

    Examples
    --------
    >>> said("a < b"), said(1234.5678), said(0.000123456), said(None), said(float("nan"))
    ('a &lt; b', '1,235', '0.000123', '–', '–')
    """
    if isinstance(cell, Markup):
        return cell
    if isinstance(cell, str):
        return escape(cell)
    if cell is None or cell != cell:
        return "–"
    return f"{cell:,.0f}" if abs(cell) >= 1000.0 else f"{cell:.3g}"


def system_key(names: Sequence[str]) -> str:
    """Marks of both systems with their names."""
    items = [f'<li>{_sign(mark(k, 7.0, 7.0, 5.0))}<span class="{"ab"[k]}-text">{escape(name)}</span></li>' for k, name in enumerate(names)]
    return f'<ul class="key">{"".join(items)}</ul>'


def colour_key(classes: Mapping[str, str]) -> str:
    """Colours of parts with their names."""
    box = '<rect class="fill {}" x="1" y="1" width="12" height="12"/>'
    return f'<ul class="key">{"".join(f"<li>{_sign(box.format(kind))}{escape(name)}</li>" for name, kind in classes.items())}</ul>'


def bound_key() -> str:
    """Shapes of what bounds an operator."""
    words = {"compute": "bound by arithmetic", "memory": "bound by memory", "launch": "bound by launches"}
    items = [f"<li>{_sign(shape(kind, 7.0, 7.0, 4.5, 'mark see plain'))}{text}</li>" for kind, text in words.items()]
    return f'<ul class="key">{"".join(items)}</ul>'


def _sign(drawn: str) -> str:
    return f'<svg class="sign" viewBox="0 0 14 14" aria-hidden="true" focusable="false">{drawn}</svg>'


def switch(key: str, legend: str, views: Sequence[tuple[str, str, str]]) -> str:
    """Pictures of which one shows at a time, chosen by radio buttons; printed, all of them show.

    Parameters
    ----------
    key : str         Unique on the page.
    legend : str      What is chosen.
    views : sequence  Key, words and HTML of each.
    """
    buttons, shown = [], []
    for place, (name, words, content) in enumerate(views):
        checked = " checked" if place == 0 else ""
        buttons.append(f'<label><input type="radio" name="{key}" value="{name}"{checked}><span>{escape(words)}</span></label>')
        shown.append(f'<div class="view" data-view="{name}"><p class="printed">{escape(words)}</p>{content}</div>')
    choice = f'<fieldset class="switch"><legend>{escape(legend)}</legend>{"".join(buttons)}</fieldset>'
    return f'<div class="switched" id="{key}-views">{choice}{"".join(shown)}</div>'


def hatching() -> str:
    """Patterns that fills refer to."""
    strokes = element("path", d="M0 6L6 0M-1 1L1 -1M5 7L7 5", class_="hatching")
    pattern = element("pattern", strokes, id="hatch", width=6, height=6, patternUnits="userSpaceOnUse")
    return element("svg", element("defs", pattern), width=0, height=0, class_="defs", aria_hidden="true", focusable="false")
