"""Predicted against measured as one page of HTML: pictures, figures in words, light and dark, for screens of any width."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from aicompute.evidence.judge import Judgement, worst
from aicompute.report.plot import MOST_BYTES, READING, STYLE, Panel, Picture, cells_for, draw, pictures, size_of, spoken, told
from aicompute.report.svg import element, label
from aicompute.report.validation import percent

_SIDE = 240.0
_PANEL_BYTES = 3_200
"""Of a panel without its points, with its line in the table."""

_PAGE_STYLE = (
    ":root{color-scheme:light dark}"
    "body{margin:0;background:#fff;color:#1b1f24;font:1rem/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}"
    "main{max-width:76rem;margin:0 auto;padding:1rem}h1{font-size:1.4rem;line-height:1.25}h2{font-size:1.1rem;margin:2rem 0 .5rem}"
    ".panels{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,18rem),1fr));gap:1.25rem}"
    ".panels svg{display:block;width:100%;max-width:26rem;height:auto}"
    ".legend{display:flex;flex-wrap:wrap;gap:.25rem 1rem;list-style:none;padding:0;margin:.5rem 0 1rem}"
    ".legend svg{width:.9rem;height:.9rem;vertical-align:-.1rem;margin-right:.3rem}"
    ".scroll{overflow-x:auto}table{border-collapse:collapse;margin:1rem 0}th,td{padding:.2rem .8rem .2rem 0;text-align:right;"
    "border-bottom:1px solid #e4e7eb;white-space:nowrap}th:first-child,td:first-child{text-align:left}"
    "li{overflow-wrap:anywhere}@media(prefers-color-scheme:dark){body{background:#14181d;color:#e6e9ec}th,td{border-color:#2d343c}}"
)


def page(judged: Sequence[Judgement], by: Sequence[str] = (), title: str = "Predicted against measured") -> str:
    """A page with a picture by kind and metric and one for each column; it loads nothing.

    Parameters
    ----------
    judged : sequence of Judgement
    by : sequence of str      Columns.
    title : str

    Raises
    ------
    UsageError
        No row has a prediction.
    """
    shown = pictures(judged, by)
    cells = cells_for(shown, _SIDE, MOST_BYTES - _PANEL_BYTES * sum(len(picture.panels) for picture in shown))
    far = [f"<li>{escape(told(one))}</li>" for one in worst(judged, 10)]
    return "\n".join(
        [
            '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title><style>{STYLE}{_PAGE_STYLE}</style></head><body><main>",
            f"<h1>{escape(title)}</h1>",
            f"<p>{escape(READING)}</p>",
            *(_section(picture, cells) for picture in shown),
            f"<h2>Farthest off</h2><ul>{''.join(far)}</ul>",
            "</main></body></html>\n",
        ]
    )


def _section(picture: Picture, cells: Mapping[int, float]) -> str:
    """A heading, the colours, the panels, and their figures as a table."""
    colours = [f"<li>{_swatch(colour)}{escape(word)}</li>" for colour, word in picture.legend]
    panels = [_drawing(panel, cells[id(panel)]) for panel in picture.panels]
    return "\n".join(
        [
            f"<section><h2>{escape(picture.heading[:1].upper() + picture.heading[1:])}</h2>",
            f'<ul class="legend">{"".join(colours)}</ul>',
            f'<div class="panels">{"".join(panels)}</div>',
            f'<div class="scroll">{_table(picture.panels)}</div></section>',
        ]
    )


def _swatch(colour: int) -> str:
    dot = element("path", class_=f"dots c{colour}", d="M6 6h.1", stroke_width=10.0 if colour < 4 else 8.0)
    return element("svg", dot, viewBox="0 0 12 12", aria_hidden="true")


def _drawing(panel: Panel, cell: float) -> str:
    width, height = size_of(_SIDE)
    content = draw(panel, _SIDE, cell)
    return element("svg", element("title", label(spoken(panel))), content, viewBox=f"0 0 {width:g} {height:g}", role="img", class_="panel")


def _table(panels: Sequence[Panel]) -> str:
    """Figures of panels."""
    heads = ("measured", "rows", "median", "mean", "p90", "bias", "inside 90 %")
    rows = []
    for panel in panels:
        found = panel.figures
        cells = [percent(found.median), percent(found.mean), percent(found.p90), f"{100.0 * found.bias:+.1f} %", percent(found.inside, 0)]
        rows.append([escape(panel.title), f"{found.count:,}", *cells])
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{''.join(f'<th>{head}</th>' for head in heads)}</tr></thead><tbody>{body}</tbody></table>"
