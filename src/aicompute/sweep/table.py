"""Tables of rows: columns of numbers, of conditions and of words; the best of them; files of them."""

from __future__ import annotations

import importlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aicompute.errors import AicomputeError


@dataclass(frozen=True)
class Words:
    """A column of words: a place in a short list for each row."""

    codes: NDArray[np.int32]
    words: tuple[str, ...]

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.codes)

    def __getitem__(self, rows: Any) -> Words:
        """Some of the rows."""
        return Words(self.codes[rows], self.words)

    def tolist(self) -> list[str]:
        """The words, row by row."""
        return [self.words[code] for code in self.codes]


Column = NDArray[Any] | Words
Table = dict[str, Column]


def words(text: str, size: int) -> Words:
    """A column of one word."""
    return Words(np.zeros(size, np.int32), (text,))


def length(table: Mapping[str, Column]) -> int:
    """Rows of a table."""
    return len(next(iter(table.values()))) if table else 0


def joined(parts: Sequence[Table]) -> Table:
    """Tables one after the other; a number that one of them lacks is nan there, a word is empty.

    Examples
    --------
    >>> found = joined([{"a": np.array([1.0]), "b": words("x", 1)}, {"a": np.array([2.0])}])
    >>> found["a"].tolist(), found["b"].tolist()
    ([1.0, 2.0], ['x', ''])
    """
    if len(parts) == 1:
        return parts[0]
    sizes = [length(part) for part in parts]
    found: Table = {}
    for name in dict.fromkeys(name for part in parts for name in part):
        columns = [part.get(name) for part in parts]
        if any(isinstance(column, Words) for column in columns):
            known: dict[str, int] = {}
            codes = []
            for column, size in zip(columns, sizes, strict=True):
                column = column if isinstance(column, Words) else words("", size)
                codes.append(np.array([known.setdefault(word, len(known)) for word in column.words], np.int32)[column.codes])
            found[name] = Words(np.concatenate(codes), tuple(known))
        else:
            filled = [np.full(size, np.nan) if column is None else np.asarray(column) for column, size in zip(columns, sizes, strict=True)]
            found[name] = np.concatenate(filled)
    return found


def best_rows(table: Table, objective: str, sign: float, count: int) -> Table:
    """The feasible rows that are best in an objective, best first; of equal ones the first rows, by the column "row" where there is one.

    Parameters
    ----------
    table : Table
    objective : str   A column; higher is better where ``sign`` is 1, lower where it is -1.
    count : int       At most so many.

    Examples
    --------
    >>> table = {"feasible": np.array([True, True, False]), "tpot": np.array([0.03, 0.02, 0.01])}
    >>> best_rows(table, "tpot", -1.0, 1)["tpot"].tolist()
    [0.02]
    """
    values = sign * np.asarray(table[objective], dtype=float)
    rows = np.flatnonzero(np.asarray(table["feasible"], dtype=bool) & np.isfinite(values))
    if len(rows) > count:
        rows = rows[values[rows] >= -np.partition(-values[rows], count - 1)[count - 1]]
    number = np.asarray(table["row"])[rows] if "row" in table else rows
    rows = rows[np.lexsort((number, -values[rows]))][:count]
    return {name: column[rows] for name, column in table.items()}


def parquet_of(table: Table) -> bytes:
    """A table as a Parquet file.

    Raises
    ------
    AicomputeError
        pyarrow is not installed.
    """
    arrow, parquet = needs_arrow()
    columns = []
    for column in table.values():
        if isinstance(column, Words):
            columns.append(arrow.DictionaryArray.from_arrays(arrow.array(column.codes), arrow.array(list(column.words), arrow.string())))
        else:
            columns.append(arrow.array(column))
    out = io.BytesIO()
    parquet.write_table(arrow.table(dict(zip(table, columns, strict=True))), out, compression="snappy")
    return out.getvalue()


def needs_arrow() -> tuple[Any, Any]:
    """The modules pyarrow and pyarrow.parquet.

    Raises
    ------
    AicomputeError
        It is not installed.
    """
    try:
        return importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise AicomputeError("files of a sweep need pyarrow: install aicompute[sweep], or leave the output away") from None


def table_of(data: bytes) -> Table:
    """A Parquet file as a table."""
    arrow, parquet = needs_arrow()
    found: Table = {}
    read = parquet.ParquetFile(io.BytesIO(data)).read()
    for name in read.column_names:
        column = read.column(name).combine_chunks()
        if arrow.types.is_dictionary(column.type):
            found[name] = Words(column.indices.to_numpy(zero_copy_only=False).astype(np.int32), tuple(column.dictionary.to_pylist()))
        elif arrow.types.is_string(column.type):
            encoded = column.dictionary_encode()
            found[name] = Words(encoded.indices.to_numpy(zero_copy_only=False).astype(np.int32), tuple(encoded.dictionary.to_pylist()))
        else:
            found[name] = column.to_numpy(zero_copy_only=False)
    return found
