"""Set values in the text of a spec file; comments and everything else stay as they are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from aicompute.errors import SpecError

_ORDER = ("value", "unit", "kind", "source", "low", "high", "note")


def with_value(text: str, path: str, fields: Mapping[str, Any]) -> str:
    r"""The text of a spec file with the value at a path replaced or added.

    Parameters
    ----------
    text : str        TOML with one value a line, as the spec files are written.
    path : str        Such as "kernel.depth", "launch" or "tiers.scale-up.latency".
    fields : mapping  Of value, unit, kind, source, low, high, note.

    Raises
    ------
    SpecError
        A tier that the file does not have.

    Examples
    --------
    >>> print(with_value("[kernel]\nrows = { value = 1 }", "kernel.depth", {"value": 85.0, "unit": "1"}))
    [kernel]
    rows = { value = 1 }
    depth = { value = 85, unit = "1" }
    <BLANKLINE>
    """
    section, _, key = path.rpartition(".")
    line = f"{key} = {{ {', '.join(f'{name} = {_written(fields[name])}' for name in _ORDER if name in fields)} }}"
    lines = text.rstrip("\n").split("\n")
    start, end = _section(lines, section)
    if start is None:
        lines += ["", f"[{section}]", line]
    else:
        old = next((index for index in range(start, end) if re.match(rf"{re.escape(key)}\s*=", lines[index])), None)
        if old is not None:
            lines[old] = line
        else:
            while end > start and not lines[end - 1].strip():
                end -= 1
            lines.insert(end, line)
    return "\n".join(lines) + "\n"


def _section(lines: list[str], section: str) -> tuple[int | None, int]:
    """First line of a section and the line behind its last."""
    heads = [index for index, line in enumerate(lines) if line.startswith("[")]
    if not section:
        return 0, heads[0] if heads else len(lines)
    parts = section.split(".")
    if parts[0] == "tiers":
        for index in (head for head in heads if lines[head].strip() == "[[tiers]]"):
            end = next((head for head in heads if head > index), len(lines))
            if any(re.match(rf'name\s*=\s*"{re.escape(parts[1])}"', line) for line in lines[index:end]):
                return index + 1, end
        raise SpecError(f"{section}: the file has no such tier")
    for index in heads:
        if lines[index].strip() == f"[{section}]":
            return index + 1, next((head for head in heads if head > index), len(lines))
    return None, len(lines)


def _written(item: Any) -> str:
    """A value as TOML; numbers as short as they are exact."""
    if isinstance(item, str):
        return '"' + item.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{item:.12g}"
