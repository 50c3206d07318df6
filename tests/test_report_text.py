from __future__ import annotations

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aicompute.errors import UnknownNameError
from aicompute.report import text

HEADERS = ["name", "rate", "note"]
ROWS: list[list[text.Cell]] = [["a", 1234.56, None], ["b|c", 0.5, "two\nlines"], ["d", None, True]]


def test_numbers_stand_on_the_right_and_text_on_the_left() -> None:
    assert text.table(HEADERS, ROWS).splitlines() == [
        "name   rate  note",
        "----  -----  ---------",
        "a     1,235",
        "b|c     0.5  two lines",
        "d            yes",
    ]


def test_formats() -> None:
    assert json.loads(text.render(HEADERS, ROWS, "json"))[0] == {"name": "a", "rate": 1234.56, "note": None}
    assert list(csv.reader(io.StringIO(text.render(HEADERS, ROWS, "csv"))))[2] == ["b|c", "0.5", "two\nlines"]
    assert text.render(HEADERS, ROWS, "markdown").splitlines()[3] == "| b\\|c | 0.5 | two lines |"
    assert text.render(HEADERS, ROWS) == text.table(HEADERS, ROWS)
    with pytest.raises(UnknownNameError, match="unknown format 'jsn'; did you mean 'json'"):
        text.render(HEADERS, ROWS, "jsn")


def test_an_empty_table_has_its_head() -> None:
    assert text.table(["a", "b"], []) == "a  b\n-  -"


CELLS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(st.characters(codec="ascii"), max_size=60))


@given(st.integers(1, 6).flatmap(lambda columns: st.lists(st.lists(CELLS, min_size=columns, max_size=columns), min_size=1, max_size=5)))
def test_tables_fit_eighty_columns(rows: list[list[text.Cell]]) -> None:
    headers = [f"h{column}" for column in range(len(rows[0]))]
    assert max(len(line) for line in text.table(headers, rows).splitlines()) <= 80
