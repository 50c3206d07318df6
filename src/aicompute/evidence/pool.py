"""Rows that differ in one column only, taken together: as one row by their medians, or as a measure of how far rows agree at all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from aicompute.errors import UnknownNameError, UsageError
from aicompute.evidence.files import KINDS, Row
from aicompute.evidence.judge import Judgement

READERS = frozenset({"id", "group", "source", "locator", "date", "notes"})
"""Columns that say where a row comes from and decide nothing about its prediction."""

Key = tuple[str, str, str, tuple[tuple[str, str], ...]]


def check_pool(judged: Sequence[Judgement], columns: Iterable[str], by: Iterable[str] = ()) -> None:
    """Refuse a column over which nothing can be pooled.

    Parameters
    ----------
    judged : sequence of Judgement
    columns : sequence of str       Over which to pool.
    by : sequence of str            By which figures are wanted.

    Raises
    ------
    UnknownNameError
        No file has it; with the nearest.
    UsageError
        It holds a result, or figures are wanted by it.
    """
    known = {name for one in {one.file: one for one in judged}.values() for name in one.row.cells if name}
    results = {name for one in judged for name in KINDS[one.kind].measured}
    for column in columns:
        if column not in known:
            raise UnknownNameError("column to pool over", column, sorted(known - results - READERS))
        if column in results:
            raise UsageError(f"--pool {column}: a result, not a column by which rows differ")
        if column in by:
            raise UsageError(f"--by {column}: pooled rows no longer tell their {column} apart; leave out --pool {column} or --by {column}")


def pooled(judged: Sequence[Judgement], columns: Sequence[str]) -> list[Judgement]:
    """Rows that differ only in some columns as one, by the medians of what was measured, predicted and of the bounds.

    Parameters
    ----------
    judged : sequence of Judgement
    columns : sequence of str       Over which to pool; a file that has none of them stays as it is.

    Returns
    -------
    list of Judgement, in the order in which the first of each was given. Rows without a prediction stay as they are.

    Notes
    -----
    Rows are alike where all cells agree but those of the columns, of results and of `READERS`. What the rows of a pool do not
    share, such as the stack where it follows from the backend, the pooled row does not say. A median spreads less than its rows, so
    its interval is on the wide side.
    """
    found: list[Judgement] = []
    for rows in _together(judged, columns):
        found += [_one(rows, columns)] if len(rows) > 1 else rows
    return found


def agreement(judged: Sequence[Judgement], columns: Sequence[str] = ()) -> list[Judgement]:
    """How well rows agree that differ only in some columns: each with the median of its like in place of a prediction.

    Their figures are those of a formula that is right on the whole and cannot see the columns: a floor. With few rows a pool it is on
    the low side, since each row takes part in its own median. Rows without their like are left out, intervals are empty.

    Parameters
    ----------
    judged : sequence of Judgement
    columns : sequence of str       None: rows that are the same measurement, repeated.
    """
    found = []
    for rows in _together([one for one in judged if not one.skipped], columns, everywhere=not columns):
        if len(rows) > 1:
            middle = float(np.median([one.measured for one in rows]))
            found += [replace(one, predicted=middle, low=middle, high=middle) for one in rows]
    return found


def _together(judged: Iterable[Judgement], columns: Sequence[str], everywhere: bool = False) -> Iterable[list[Judgement]]:
    """Rows that are alike, in the order of the first of each."""
    pools: dict[Key | int, list[Judgement]] = {}
    for number, one in enumerate(judged):
        alone = one.skipped or not (everywhere or any(column in one.row.cells for column in columns))
        pools.setdefault(number if alone else _key(one, columns), []).append(one)
    return pools.values()


def _key(one: Judgement, columns: Sequence[str]) -> Key:
    """What rows of a pool share."""
    apart = {*columns, *READERS, *KINDS[one.kind].measured}
    return one.file, one.kind, one.metric, tuple((name, one.row.text(name)) for name in one.row.cells if name and name not in apart)


def _one(rows: Sequence[Judgement], columns: Sequence[str]) -> Judgement:
    """A pool as one row; cells and words that its rows do not share are empty."""
    first, apart = rows[0], {*columns, *READERS, *KINDS[rows[0].kind].measured}
    cells = {name: first.row.text(name) if name not in apart or _agree([one.row.text(name) for one in rows]) else ""
             for name in first.row.cells if name}  # fmt: skip
    measured, predicted, low, high = (
        float(np.median([getattr(one, name) for one in rows])) for name in ("measured", "predicted", "low", "high")
    )
    return replace(
        first,
        row=Row(first.row.number, cells),
        group=first.group if _agree([one.group for one in rows]) else first.row.text("accelerator"),
        measured=measured,
        predicted=predicted,
        low=low,
        high=high,
        extra={name: word for name, word in first.extra.items() if _agree([one.extra.get(name) for one in rows])},
    )


def _agree(words: Sequence[str | None]) -> bool:
    return len(set(words)) == 1
