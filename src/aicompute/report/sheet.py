"""A page of tables and sentences, and its three dresses: text of 80 columns, markdown, HTML."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape

from aicompute.errors import UnknownNameError
from aicompute.report.text import WIDTH, Cell, markdown, shown, table, wrap


@dataclass(frozen=True)
class Table:
    """Headers and rows under a heading."""

    headers: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    heading: str = ""


@dataclass(frozen=True)
class Prose:
    """Paragraphs under a heading; ``label: text`` where a label is given, a point of a list where one begins with a dash."""

    lines: Sequence[tuple[str, str]]
    heading: str = ""


@dataclass(frozen=True)
class Sheet:
    """A title, what holds for all of it, and blocks."""

    title: str
    terms: str = ""
    blocks: Sequence[Table | Prose] = field(default_factory=tuple)

    def render(self, format: str = "table") -> str:
        """As text (table), markdown or html."""
        dress = {"table": as_text, "markdown": as_markdown, "html": as_html}
        if format not in dress:
            raise UnknownNameError("format", format, dress)
        return dress[format](self)


def as_text(sheet: Sheet) -> str:
    """A sheet in 80 columns without colour."""
    lines = [*wrap(sheet.title, WIDTH), *(wrap(sheet.terms, WIDTH) if sheet.terms else [])]
    for block in sheet.blocks:
        lines.append("")
        if isinstance(block, Table):
            if block.heading:
                lines += wrap(block.heading, WIDTH)
            lines += table(block.headers, block.rows).splitlines()
        else:
            if block.heading:
                lines += wrap(block.heading, WIDTH)
            for label, text in block.lines:
                lines += wrap(
                    f"{label}{'' if label.endswith(']') else ':'} {text}" if label else text,
                    WIDTH,
                    "  " if label or _is_point(text) else "",
                )
    return "\n".join(line.rstrip() for line in lines)


def as_markdown(sheet: Sheet) -> str:
    """A sheet for GitHub and MkDocs."""
    parts = [f"## {_marked(sheet.title)}"]
    if sheet.terms:
        parts.append(_marked(sheet.terms))
    for block in sheet.blocks:
        if block.heading:
            parts.append(f"### {_marked(block.heading)}")
        if isinstance(block, Table):
            parts.append(markdown(block.headers, block.rows))
        else:
            labelled = "\n".join(f"- **{_marked(label)}**: {_marked(text)}" for label, text in block.lines if label)
            points = "\n".join(_marked(text) for label, text in block.lines if not label and _is_point(text))
            plain = " ".join(_marked(text) for label, text in block.lines if not label and not _is_point(text))
            parts += [part for part in (labelled, plain, points) if part]
    return "\n\n".join(parts)


def as_html(sheet: Sheet) -> str:
    """A sheet for a notebook; plain elements that take the style of the page."""
    parts = [f"<h3>{escape(sheet.title)}</h3>"]
    if sheet.terms:
        parts.append(f"<p>{escape(sheet.terms)}</p>")
    for block in sheet.blocks:
        if block.heading:
            parts.append(f"<h4>{escape(block.heading)}</h4>")
        if isinstance(block, Table):
            parts.append(_html_table(block))
        else:
            parts += [f"<p>{f'<b>{escape(label)}</b>: ' if label else ''}{escape(text)}</p>" for label, text in block.lines]
    return f'<div class="aicompute">{"".join(parts)}</div>'


def _html_table(block: Table) -> str:
    head = "".join(f"<th>{escape(header)}</th>" for header in block.headers)
    body = "".join(f"<tr>{_html_row(row, len(block.headers))}</tr>" for row in block.rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _html_row(row: Sequence[Cell], columns: int) -> str:
    if len(row) == 1 < columns:
        return f'<th colspan="{columns}">{escape(shown(row[0]))}</th>'
    return "".join(f"<td>{escape(shown(cell))}</td>" for cell in row)


def _is_point(text: str) -> bool:
    """Whether a paragraph is a point of a list."""
    return text.startswith("- ")


def _marked(text: str) -> str:
    """Text in which nothing is taken for markup."""
    for sign in ("\\", "*", "_", "<", "|", "`"):
        text = text.replace(sign, f"\\{sign}")
    return text


def joined(words: Iterable[str]) -> str:
    """Words as a list in a sentence.

    Examples
    --------
    >>> joined(["a", "b", "c"])
    'a, b and c'
    """
    found = list(words)
    return found[0] if len(found) == 1 else f"{', '.join(found[:-1])} and {found[-1]}" if found else ""
