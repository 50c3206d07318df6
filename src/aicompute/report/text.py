"""Plain tables for a terminal, and the same rows as markdown, CSV or JSON."""

from __future__ import annotations

import csv
import io
import json
import re
import textwrap
import unicodedata
from collections.abc import Sequence

from aicompute.errors import UnknownNameError
from aicompute.units import plain

WIDTH = 80
"""Columns of the terminal that every table fits, so that a pipe shows what a screen shows."""
FORMATS = ("table", "json", "csv", "markdown")
_NUMBER = re.compile(r"(under )?[+-]?(\d|\.\d|inf\b|nan\b)")
_LEAST = 8

Cell = str | int | float | bool | None


def render(headers: Sequence[str], rows: Sequence[Sequence[Cell]], format: str = "table", width: int = WIDTH) -> str:
    """Rows in one of `FORMATS`.

    Parameters
    ----------
    headers : sequence of str
        Column names; the keys of the JSON records.
    rows : sequence of sequences
        Cells; None is empty.
    format : str
        table, json, csv or markdown.
    width : int
        Columns that a table may take.

    Examples
    --------
    >>> print(render(["id", "power"], [["a", 1200.0]], "csv"))
    id,power
    a,1200.0
    """
    if format == "table":
        return table(headers, rows, width)
    if format == "markdown":
        return markdown(headers, rows)
    if format == "csv":
        return comma_separated(headers, rows)
    if format == "json":
        return json.dumps([dict(zip(headers, row, strict=True)) for row in rows], indent=2, ensure_ascii=False)
    raise UnknownNameError("format", format, FORMATS)


def table(headers: Sequence[str], rows: Sequence[Sequence[Cell]], width: int = WIDTH) -> str:
    """Aligned columns; numbers to the right, long text wrapped so that the table fits. A row of one cell is a heading over all columns.

    Examples
    --------
    >>> print(table(["system", "tokens/s"], [["cloudmatrix-384", 1943.0], ["gb200-nvl72", 12.5]]))
    system           tokens/s
    ---------------  --------
    cloudmatrix-384     1,943
    gb200-nvl72          12.5
    """
    cells = [[shown(cell) for cell in row] for row in rows]
    filled = [row for row in cells if len(row) == len(headers)]
    right = [_is_numeric([row[column] for row in filled]) for column in range(len(headers))]
    widths = _widths(headers, filled, width)
    lines = [_line(headers, widths, right), "  ".join("-" * size for size in widths)]
    for row in cells:
        lines += wrap(row[0], width) if len(row) == 1 < len(headers) else [_line(row, widths, right)]
    return "\n".join(lines)


def markdown(headers: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    r"""A table for GitHub and MkDocs.

    Examples
    --------
    >>> print(markdown(["a", "n"], [["x|y", 2]]))
    | a | n |
    |---|---:|
    | x\|y | 2 |
    """
    cells = [[shown(cell).replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows]
    cells = [[f"**{row[0]}**", *[""] * (len(headers) - 1)] if len(row) == 1 < len(headers) else row for row in cells]
    rule = "|".join("---:" if _is_numeric([row[column] for row in cells]) else "---" for column in range(len(headers)))
    return "\n".join([f"| {' | '.join(headers)} |", f"|{rule}|", *(f"| {' | '.join(row)} |" for row in cells)])


def comma_separated(headers: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    """Comma-separated values with a header, numbers in full."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(headers)
    writer.writerows([["" if cell is None else cell for cell in row] for row in rows])
    return stream.getvalue().rstrip("\n")


def shown(cell: Cell) -> str:
    """A cell as people read it: floats with three digits, nothing for None.

    Examples
    --------
    >>> shown(1234.5), shown(None), shown(True), shown(7)
    ('1,234', '', 'yes', '7')
    """
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    return plain(cell) if isinstance(cell, float) else str(cell)


def columns_of(text: str) -> int:
    """Columns that a terminal gives a text: wide characters take two, combining ones none.

    Examples
    --------
    >>> columns_of("abc"), columns_of("\u6607\u817e")
    (3, 4)
    """
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(sign) else 2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text)


def wrap(text: str, width: int, indent: str = "") -> list[str]:
    """Text in lines of at most so many columns, later ones indented; no lines for no text.

    Examples
    --------
    >>> wrap("one two three", 8, "  ")
    ['one two', '  three']
    """
    if text.isascii():
        return textwrap.wrap(text, width, break_on_hyphens=True, subsequent_indent=indent)
    lines: list[str] = []
    line = ""
    for word in text.split():
        for piece in _pieces(word, width - columns_of(indent)):
            if line.strip() and columns_of(f"{line} {piece}") > width:
                lines.append(line)
                line = f"{indent}{piece}"
            else:
                line = f"{line} {piece}" if line.strip() else f"{line}{piece}"
    return [*lines, line] if line else lines


def _pieces(word: str, width: int) -> list[str]:
    """A word, cut where it is wider than a line."""
    pieces = [""]
    for sign in word:
        if pieces[-1] and columns_of(pieces[-1] + sign) > width:
            pieces.append("")
        pieces[-1] += sign
    return pieces


def _is_numeric(column: Sequence[str]) -> bool:
    """Whether a column holds numbers, units behind them allowed, and gaps."""
    filled = [cell for cell in column if cell and cell != "-"]
    return bool(filled) and all(_NUMBER.match(cell) for cell in filled)


def _widths(headers: Sequence[str], cells: Sequence[Sequence[str]], width: int) -> list[int]:
    """Widths of the columns: natural ones, the widest cut between words until the table fits, then the last ones within words."""
    columns = list(zip(*([headers, *cells]), strict=True))
    widths = [max(map(columns_of, column)) for column in columns]
    words = [max((columns_of(word) for cell in column for word in cell.split()), default=0) for column in columns]
    words[:1] = widths[:1]  # the first column names the row
    for least, last in ((words, False), ([_LEAST] * len(widths), True)):
        while sum(widths) + 2 * (len(widths) - 1) > width:
            loose = [place for place in range(len(widths)) if widths[place] > max(least[place], _LEAST)]
            if not loose:
                break
            widths[loose[-1] if last else max(loose, key=lambda place: widths[place])] -= 1
    return widths


def _line(row: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    """One row, on several lines where a cell is wrapped."""
    wrapped = [wrap(cell, size) or [""] for cell, size in zip(row, widths, strict=True)]
    height = max((len(lines) for lines in wrapped), default=0)
    lines = []
    for number in range(height):
        parts = [cell[number] if number < len(cell) else "" for cell in wrapped]
        aligned = [_padded(part, size, to_right) for part, size, to_right in zip(parts, widths, right, strict=True)]
        lines.append("  ".join(aligned).rstrip())
    return "\n".join(lines)


def _padded(text: str, width: int, right: bool) -> str:
    """A text with spaces to a width in columns."""
    gap = " " * (width - columns_of(text))
    return gap + text if right else text + gap
