"""Every fault of a spec file in one message: unknown keys, wrong units, missing sources, ranges that do not hold, references to nothing."""

from __future__ import annotations

import datetime
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from aicompute import units
from aicompute.errors import AicomputeError, SpecError, UnitError, nearest
from aicompute.specs import schema
from aicompute.specs.files import built_in, listing, read
from aicompute.specs.schema import Key
from aicompute.specs.value import KINDS as VALUE_KINDS

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,), "boolean": (bool,), "integer": (int,), "number": (int, float), "strings": (list,), "date": (str,),
}  # fmt: skip
VALUE_FIELDS = ("value", "unit", "kind", "source", "low", "high", "note")


def check_file(path: str | os.PathLike[str], folders: Iterable[str | os.PathLike[str]] = ()) -> None:
    """Check one file of a folder that is laid out like ``specs/``.

    Parameters
    ----------
    path : path
        ``…/<kind>/<id>.toml``, or a ``sources.toml``.
    folders : iterable of paths
        Further folders in which parents and references may be found.

    Raises
    ------
    SpecError
        With every fault, one a line: ``file: key: what is wrong and what is allowed``.
    """
    _raise(faults_of_file(Path(path), folders))


def check_all(folders: Iterable[str | os.PathLike[str]] = ()) -> int:
    """Check every file of the given folders, or the built-in ones if none is given, and return how many there are."""
    chosen = [Path(folder) for folder in folders]
    files = [path for folder in chosen or [built_in()] for path in _files(folder)]
    _raise(fault for path in files for fault in faults_of_file(path, chosen))
    return len(files)


def faults_of_file(path: Path, folders: Iterable[str | os.PathLike[str]] = ()) -> list[str]:
    """All faults of a file, its inheritance, references and source keys included."""
    from aicompute.specs.library import Library

    if path.name == "sources.toml":
        return _faults_of_sources(path)
    kind, root = path.parent.name, path.parent.parent
    if kind not in schema.KINDS:
        return [f"{path}: lies in folder {kind!r}; expected one of {', '.join(schema.KINDS)}{_meant(kind, schema.KINDS)}"]
    try:
        raw = read(path)
        others = [folder for folder in folders if Path(folder).resolve() != root.resolve()]
        library = Library([*others, *([root] if root.resolve() != built_in().resolve() else [])])
        spec = library.load_file(kind, path)
    except AicomputeError as error:
        return str(error).splitlines()
    known = library.sources()
    faults = []
    for where, source in _sources_in(kind, raw):
        if source not in known:
            faults.append(f"{path}: {where}: unknown source {source!r}; add it to sources.toml{_meant(source, known)}")
    for key in schema.keys(kind).values():
        found = spec.get(key.path, None) if key.refers else None
        for target in found if isinstance(found, list) else [found]:
            if isinstance(target, str) and target not in library.ids(key.refers):
                faults.append(f"{path}: {key.path}: no {key.refers[:-1]} {target!r}{_meant(target, library.ids(key.refers))}")
    return faults


def faults_of_data(kind: str, identifier: str, data: Mapping[str, Any], path: Path, inherited: Mapping[str, Any]) -> list[str]:
    """Faults that one file shows by itself.

    Parameters
    ----------
    kind, identifier : str
        What the file is.
    data : mapping
        Its TOML.
    path : Path
        Named in the faults.
    inherited : mapping
        Leaves of its parents by path; what an open parent defines may be set.
    """
    known = schema.keys(kind)
    opened = kind in schema.OPEN_KINDS and identifier.startswith("generic") and data.get("abstract") is True
    faults = []
    for where, leaf in leaves(kind, data):
        key = known.get(schema.general(where)) or _inherited_key(where, inherited)
        loose = where.partition(".")[0] in schema.OPEN_TABLES.get(kind, ())
        if loose and (opened or where in inherited):
            problem = "" if isinstance(leaf, (str, bool, int, float)) else f"is {leaf!r}, expected a string, a number or true or false"
        elif key is None and opened and isinstance(leaf, dict):
            problem = _value_problem(leaf, None)
        elif key is None:
            problem = f"unknown key{_meant(where, [*_spelled(where, known), *inherited])}"
        else:
            problem = _problem(leaf, key)
        if problem:
            faults.append(f"{path}: {where}: {problem}")
    return faults


def missing(kind: str, found: Iterable[str], data: Mapping[str, Any]) -> list[str]:
    """Required keys that a complete spec lacks."""
    have = set(found)
    wanted = [key.path for key in schema.keys(kind).values() if key.required]
    paths = [path.replace("*", name) for path in wanted for name in (data.get(path.partition(".")[0], {}) if "*" in path else [""])]
    return [path for path in paths if path not in have]


def leaves(kind: str, data: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of a file with their paths: value tables, plain values, and tiers under their names."""
    for name, item in data.items():
        where = f"{prefix}{name}"
        if where == "tiers" and isinstance(item, list):
            for number, tier in enumerate(item):
                label = tier.get("name") if isinstance(tier, dict) else None
                if isinstance(label, str) and label and "." not in label:
                    yield from leaves(kind, tier, f"tiers.{label}.")
                else:
                    yield f"tiers.{number}.name", None
        elif isinstance(item, dict) and not _is_value(item, where, kind):
            yield from leaves(kind, item, f"{where}.")
        else:
            yield where, item


def _is_value(table: Mapping[str, Any], where: str, kind: str) -> bool:
    """True for a value table, complete or not."""
    key = schema.keys(kind).get(schema.general(where))
    return "value" in table or (key is not None and key.type == "value") or _looks_like_value(table)


def _looks_like_value(table: Mapping[str, Any]) -> bool:
    """True for a value table that lacks its number; a group of values, such as ``[price]`` with ``unit`` alone, holds tables."""
    return bool(table) and set(table) <= set(VALUE_FIELDS) - {"kind"} and not any(isinstance(entry, Mapping) for entry in table.values())


def _inherited_key(where: str, inherited: Mapping[str, Any]) -> Key | None:
    """The key that a parent's value stands for: same dimension, no range."""
    leaf = inherited.get(where)
    if leaf is None:
        return None
    unit = getattr(leaf, "unit", None)
    if unit is not None:
        return Key(where, "value", "", str(unit), str(unit))
    return Key(where, "boolean" if isinstance(leaf, bool) else "number" if isinstance(leaf, (int, float)) else "string", "")


def _problem(leaf: Any, key: Key) -> str:
    """What is wrong with a leaf, or an empty string."""
    if key.type == "value":
        return _value_problem(leaf, key) if isinstance(leaf, dict) else f"is {leaf!r}, expected a table {{ value, unit, kind, source }}"
    return plain_problem(leaf, key)


def plain_problem(leaf: Any, key: Key) -> str:
    """What is wrong with a plain string, boolean, number or list, or an empty string.

    Examples
    --------
    >>> plain_problem("liqid", schema.keys("systems")["cooling"])
    "is 'liqid', expected one of air, liquid; did you mean 'liquid'?"
    """
    wrong = not isinstance(leaf, _TYPES[key.type]) or (isinstance(leaf, bool) and key.type != "boolean")
    if key.type == "strings" and not wrong:
        wrong = not all(isinstance(item, str) for item in leaf)
    if not wrong and key.choices:
        wrong = leaf not in key.choices
    if not wrong and key.type in ("integer", "number"):
        wrong = not key.low <= leaf <= key.high
    if not wrong and key.type == "string":
        wrong = not leaf
    if not wrong and key.type == "date":
        wrong = not is_date(leaf)
    shown = "is missing" if leaf is None else f"is {leaf!r}"
    return f"{shown}, expected {schema.allowed(key)}{_meant(leaf, key.choices) if isinstance(leaf, str) else ''}" if wrong else ""


def is_date(text: str) -> bool:
    """Whether a text is a day of the calendar, written as 2026-01-15.

    Examples
    --------
    >>> is_date("2024-02-29"), is_date("2023-02-29"), is_date("20240229")
    (True, False, False)
    """
    try:
        return datetime.date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _value_problem(table: Mapping[str, Any], key: Key | None) -> str:
    """Everything wrong with a value table, joined, or an empty string."""
    problems = [f"unknown field {name!r}{_meant(name, VALUE_FIELDS)}" for name in table if name not in VALUE_FIELDS]
    problems += [f"no {name!r}" for name in ("value", "unit", "kind", "source") if name not in table]
    numbers = {name: table[name] for name in ("value", "low", "high") if name in table}
    bad = [name for name, item in numbers.items() if not _is_finite(item)]
    problems += [f"{name!r} is {numbers[name]!r}, expected a finite number" for name in bad]
    kind, source, note = table.get("kind", VALUE_KINDS[0]), table.get("source", "?"), table.get("note", "")
    if kind not in VALUE_KINDS:
        problems.append(f"'kind' is {kind!r}, expected one of {', '.join(VALUE_KINDS)}{_meant(str(kind), VALUE_KINDS)}")
    texts = (("source", source), ("note", note))
    problems += [f"{name!r} is {item!r}, expected a string" for name, item in texts if not isinstance(item, str)]
    if source == "":
        problems.append("'source' is empty, expected a key of sources.toml")
    if not bad and "value" in numbers:
        problems += _range_problems(numbers, kind)
    if "unit" in table:
        problems += _unit_problems(table["unit"], {} if bad else numbers, key)
    return "; ".join(problems)


def _is_finite(item: Any) -> bool:
    """Whether an item is a number that is not nan, not infinite and not a boolean."""
    return isinstance(item, (int, float)) and not isinstance(item, bool) and math.isfinite(item)


def _range_problems(numbers: Mapping[str, float], kind: str) -> list[str]:
    """Ranges that are upside down, or missing where the value is assumed."""
    value = numbers["value"]
    low, high = numbers.get("low", value), numbers.get("high", value)
    if not low <= value <= high:
        return [f"low {low:g} <= value {value:g} <= high {high:g} does not hold"]
    return ["an assumed value needs 'low' and 'high'"] if kind == "assumed" and not {"low", "high"} <= set(numbers) else []


def _unit_problems(unit: Any, numbers: Mapping[str, float], key: Key | None) -> list[str]:
    """Wrong units, and numbers that are not plausible in them."""
    if not isinstance(unit, str) or not unit:
        return [f"'unit' is {unit!r}, expected a string such as 'GB/s'; '1' for a pure number"]
    try:
        if key is None:
            units.factor_of(unit)
            return []
        units.check_unit(unit, key.dimension)
    except UnitError as error:
        return [str(error)]
    return [text for name, item in numbers.items() if (text := implausible(units.from_unit(item, unit), key, f"{name} {item:g} {unit}"))]


def implausible(value: float, key: Key, shown: str) -> str:
    """A question about an SI value outside the plausible range of its key, or an empty string."""
    low, high = schema.bounds(key)
    if not math.isfinite(value) or not low * (1 - 1e-9) <= value <= high * (1 + 1e-9):
        return f"{shown} is not plausible, expected {schema.allowed(key)}"
    return ""


def _sources_in(kind: str, raw: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Every source key named in a file."""
    for where, leaf in leaves(kind, raw):
        if isinstance(leaf, dict) and isinstance(leaf.get("source"), str):
            yield where, leaf["source"]
        elif isinstance(leaf, str) and where.rpartition(".")[2] == "source":
            yield where, leaf


def _faults_of_sources(path: Path) -> list[str]:
    """Faults of a bibliography: every key is a table with a title."""
    try:
        data = read(path)
    except SpecError as error:
        return [str(error)]
    faults = []
    for name, entry in data.items():
        if not isinstance(entry, dict):
            faults.append(f"{path}: {name}: is {entry!r}, expected a table with a title")
        elif not isinstance(entry.get("title"), str):
            hint = "; quote a key that contains dots" if entry and all(isinstance(item, dict) for item in entry.values()) else ""
            faults.append(f"{path}: {name}: no 'title'{hint}")
    return faults


def _files(folder: Path) -> list[Path]:
    """All files of a folder, the bibliography last."""
    found = [path for kind in schema.KINDS for path in listing(folder, kind).values()]
    return found + [path for path in (folder / "sources.toml",) if path.exists()]


def _spelled(where: str, known: Iterable[str]) -> list[str]:
    """Known paths with the tier or class of ``where`` in place of the star."""
    parts = where.split(".")
    return [path.replace("*", parts[1]) if len(parts) > 1 else path for path in known]


def _meant(name: str, known: Iterable[str]) -> str:
    """The tail of a message with the nearest names, or nothing."""
    close = nearest(name, dict.fromkeys(known), 2)
    return f"; did you mean {' or '.join(map(repr, close))}?" if close else ""


def _raise(faults: Iterable[str]) -> None:
    """One error for all faults, if there is any."""
    lines = list(dict.fromkeys(faults))
    if lines:
        raise SpecError("\n".join(lines))
