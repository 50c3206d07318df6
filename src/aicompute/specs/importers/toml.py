"""Write spec files, and read the JSON of other programs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aicompute.errors import SpecError, nearest

_WIDTH = 120
"""Longer lists take a line an entry."""


def fact(value: float, unit: str, source: str, note: str = "") -> dict[str, Any]:
    """A value table for something that another program's file says; who measured it is not known there."""
    table: dict[str, Any] = {"value": value, "unit": unit, "kind": "analyst", "source": source}
    return {**table, "note": note} if note else table


def write(data: Mapping[str, Any], prefix: str = "") -> str:
    """TOML of nested mappings, value tables on one line.

    Examples
    --------
    >>> print(write({"name": "x", "power": {"tdp": fact(700, "W", "s")}}), end="")
    name = "x"
    <BLANKLINE>
    [power]
    tdp = { value = 700, unit = "W", kind = "analyst", source = "s" }
    """
    lines = [f"{name} = {_inline(item)}" for name, item in data.items() if not _is_table(item) and not _is_list_of_tables(item)]
    text = "\n".join(lines) + ("\n" if lines else "")
    for name, item in data.items():
        where = f"{prefix}{name}"
        if _is_table(item):
            text += f"\n[{where}]\n{write(item, f'{where}.')}"
        elif _is_list_of_tables(item):
            text += "".join(f"\n[[{where}]]\n{write(entry, f'{where}.')}" for entry in item)
    return text


def read_json(path: Path, required: tuple[str, ...], program: str) -> dict[str, Any]:
    """The JSON object of a file, with the keys it must have.

    Raises
    ------
    SpecError
        Naming the file and every key that is missing.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SpecError(f"{path}: cannot be read: {error.strerror}") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise SpecError(f"{path}: not valid JSON: {error}") from None
    if not isinstance(data, dict):
        raise SpecError(f"{path}: is not a JSON object, so no file of {program}")
    return object_with(data, required, f"{path}", program)


def object_with(data: Any, required: tuple[str, ...], where: str, program: str) -> dict[str, Any]:
    """An object after checking that it has the keys required."""
    found = data if isinstance(data, dict) else {}
    faults = [f"{where}: {key}: is missing in this file of {program}{_meant(key, list(found))}" for key in required if key not in found]
    if faults:
        raise SpecError("\n".join(faults))
    return found


def number(data: Mapping[str, Any], key: str, where: str, whole: bool = False) -> Any:
    """A positive number of an object."""
    item = data[key]
    if isinstance(item, bool) or not isinstance(item, (int, float)) or not item > 0 or (whole and item != int(item)):
        raise SpecError(f"{where}: {key}: is {item!r}, expected a positive {'whole ' if whole else ''}number")
    return int(item) if whole else item


def _meant(key: str, known: list[str]) -> str:
    """The tail of a message with the nearest key."""
    close = nearest(key, known, 1)
    return f"; there is {close[0]!r}" if close else ""


def _is_table(item: Any) -> bool:
    """Whether an item gets a heading of its own."""
    return isinstance(item, dict) and "value" not in item


def _is_list_of_tables(item: Any) -> bool:
    """Whether an item is an array of tables."""
    return isinstance(item, list) and bool(item) and isinstance(item[0], dict)


def _inline(item: Any) -> str:
    """A TOML value on one line; JSON spells strings, booleans and numbers alike."""
    if isinstance(item, dict):
        return "{ " + ", ".join(f"{name} = {_inline(entry)}" for name, entry in item.items()) + " }"
    if isinstance(item, list):
        entries = [_inline(entry) for entry in item]
        line = "[" + ", ".join(entries) + "]"
        return line if len(line) <= _WIDTH else "\n".join(["[", *(f"  {entry}," for entry in entries), "]"])
    return json.dumps(item, ensure_ascii=False)
