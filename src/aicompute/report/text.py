"""Plain tables for a terminal, and the same rows as markdown, CSV or JSON."""

from __future__ import annotations

import csv
import io
import json
import re
import textwrap
from collections.abc import Sequence

from aicompute.errors import UnknownNameError
from aicompute.units import plain

WIDTH = 80
"""Columns of the terminal that every table fits, so that a pipe shows what a screen shows."""
FORMATS = ("table", "json", "csv", "markdown")
_NUMBER = re.compile(r"[+-]?(\d|\.\d|inf\b|nan\b)")
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
    """Aligned columns; numbers to the right, long text wrapped so that the table fits.

    Examples
    --------
    >>> print(table(["system", "tokens/s"], [["cloudmatrix-384", 1943.0], ["gb200-nvl72", 12.5]]))
    system           tokens/s
    ---------------  --------
    cloudmatrix-384     1,943
    gb200-nvl72          12.5
    """
    cells = [[shown(cell) for cell in row] for row in rows]
    right = [_is_numeric([row[column] for row in cells]) for column in range(len(headers))]
    widths = _widths(headers, cells, width)
    lines = [_line(headers, widths, right), "  ".join("-" * size for size in widths)]
    return "\n".join(lines + [_line(row, widths, right) for row in cells])


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


def _is_numeric(column: Sequence[str]) -> bool:
    """Whether a column holds numbers, units behind them allowed, and gaps."""
    filled = [cell for cell in column if cell and cell != "-"]
    return bool(filled) and all(_NUMBER.match(cell) for cell in filled)


def _widths(headers: Sequence[str], cells: Sequence[Sequence[str]], width: int) -> list[int]:
    """Widths of the columns: natural ones, the widest cut between words until the table fits, then the last ones within words."""
    columns = list(zip(*([headers, *cells]), strict=True))
    widths = [max(map(len, column)) for column in columns]
    words = [max((len(word) for cell in column for word in cell.split()), default=0) for column in columns]
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
    wrapped = [textwrap.wrap(cell, size, break_on_hyphens=True) or [""] for cell, size in zip(row, widths, strict=True)]
    height = max((len(lines) for lines in wrapped), default=0)
    lines = []
    for number in range(height):
        parts = [cell[number] if number < len(cell) else "" for cell in wrapped]
        aligned = [part.rjust(size) if to_right else part.ljust(size) for part, size, to_right in zip(parts, widths, right, strict=True)]
        lines.append("  ".join(aligned).rstrip())
    return "\n".join(lines)
