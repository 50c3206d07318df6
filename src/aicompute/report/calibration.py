"""What own measurements changed: errors before and after, values that moved, values that they do not tell."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aicompute import units
from aicompute.evidence.calibration import rounded, summary
from aicompute.evidence.free import Vector
from aicompute.evidence.own import DRIFTS, Calibrated, Change, Errors
from aicompute.evidence.own_rows import reasons
from aicompute.report import text
from aicompute.report.printed import Text
from aicompute.report.text import Cell
from aicompute.report.validation import LABELS, percent
from aicompute.specs import Library

SCHEMA = 1

_VALUE = ("spec", "key", "unit", "before", "before_low", "before_high", "after", "low", "high", "learned")


@dataclass(frozen=True, repr=False)
class CalibrationView:
    """What own measurements say of a stack, or of a device."""

    calibrated: Calibrated
    """The record behind it: floats in SI units."""
    library: Library = field(compare=False)
    """With the values in place: under the new name where files were written, else under the old."""
    stack: str = ""
    """Id of the stack to use with it."""
    files: tuple[Path, ...] = ()
    """That were written."""
    use: str = ""
    """A command that uses them."""

    def table(self, format: str = "table") -> Text:
        """As text: ``table`` (80 columns), ``markdown``, ``csv`` (a line a value) or ``json``."""
        if format == "json":
            return Text(self.to_json())
        if format == "csv":
            records = [value_record(one) for one in (*self.calibrated.changes, *self.calibrated.untold)]
            return Text(text.comma_separated(_VALUE, [[each[name] for name in _VALUE] for each in records]))
        return Text("\n\n".join(_parts(self, format)))

    def to_json(self) -> str:
        """The same as ``--format json``."""
        return json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False)

    def to_dict(self) -> dict[str, Any]:
        """Rows, errors as shares, values in the unit of their spec, and the files written."""
        found = self.calibrated
        return {
            "schema": SCHEMA,
            "stack": self.stack,
            "base": found.base.id,
            "drift": found.drift,
            "rows": {
                "used": len(found.used),
                "left_out": [{"file": one.file, "row": one.number, "reason": one.reason} for one in found.left_out],
            },
            "errors": [error_record(one) for one in found.errors],
            "values": [value_record(one) for one in found.changes],
            "untold": [value_record(one) for one in found.untold],
            "correlation": found.correlation.tolist(),
            "files": [str(path) for path in self.files],
            "use": self.use,
        }

    def __str__(self) -> str:
        return str(self.table())

    __repr__ = __str__


def value_record(one: Change) -> dict[str, Any]:
    """A value before and after, in its unit."""
    unit = one.before.unit
    before, before_low, before_high = one.before.written
    after, low, high = (rounded(units.to_unit(number, unit)) for number in (one.value, one.low, one.high))
    kind, identifier, path = one.place
    return {
        "spec": f"{kind}/{identifier}", "key": path, "unit": unit,
        "before": before, "before_low": before_low, "before_high": before_high,
        "after": after, "low": low, "high": high, "learned": round(one.learned, 3),
    }  # fmt: skip


def error_record(one: Errors) -> dict[str, Any]:
    """Errors of a measured column; shares, not percent."""
    found: dict[str, Any] = {"kind": one.kind, "metric": one.metric, "rows": len(one.before)}
    for name, logarithms in (("before", one.before), ("after", one.after), ("left_out", one.left_out)):
        found[name] = None if logarithms is None else dict(zip(("median", "mean", "p90", "bias"), summary(logarithms), strict=True))
    return found


def said_in_notes(found: Calibrated) -> str:
    """What a spec file says of the rows behind it."""
    errors = "; ".join(
        f"{one.kind} {LABELS[one.metric]}: median error {percent(_median(one.before))} before, {percent(_median(one.after))} after"
        + ("" if one.left_out is None else f", {percent(_median(one.left_out))} on rows left out")
        for one in found.errors
    )
    return f"By aicompute calibrate from {_counted(len(found.used))} of {', '.join(found.files)}. {errors}."


def broken(command: str) -> str:
    r"""A command on lines that fit, as a shell reads them.

    Examples
    --------
    >>> print(broken("aicompute estimate " + "x" * 70))
      aicompute estimate \
        xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
    """
    lines = textwrap.wrap(
        command, text.WIDTH - 2, initial_indent="  ", subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
    )
    return " \\\n".join(lines)


def _parts(view: CalibrationView, format: str) -> list[str]:
    """Rows, reasons, errors, values, what cannot be told, and what to do with it."""
    found = view.calibrated

    def shown(headers: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
        return text.render(headers, rows, format)

    def prose(said: str) -> str:
        return "\n".join(text.wrap(said, text.WIDTH)) if format == "table" else said

    parts = [prose(f"Stack {found.base.id}: {_counted(len(found.used))} used, {len(found.left_out)} left out.")]
    if found.left_out:
        lines: list[list[Cell]] = [[file, _some(rows), reason] for (file, reason), rows in reasons(found.left_out).items()]
        parts.append(shown(("left out of", "rows", "reason"), lines))
    heads = ("median error", "rows", "before", "after", "left out", "bias before", "after", "left out")
    parts.append(shown(heads, [_error_line(one) for one in found.errors]))
    if found.changes:
        owners = dict.fromkeys(one.place[1] for one in found.changes)
        rows: list[list[Cell]] = []
        for owner in owners:
            rows += [[owner]] if len(owners) > 1 else []
            rows += [_value_line(one) for one in sorted(found.changes, key=lambda one: -one.learned) if one.place[1] == owner]
        parts.append(shown(("value", "was", "is", "90 % range", "learned"), rows))
    else:
        parts.append("The rows tell no value: nothing changes.")
    if found.untold:
        names = ", ".join(f"{_name(one)} ({_quantity(one)})" for one in found.untold)
        parts.append(prose(f"The rows cannot tell, and these stay as they were: {names}."))
    parts += [prose(said) for said in _remarks(found)]
    if view.files:
        parts += ["\n".join(["Wrote", *(f"  {path}" for path in view.files)]), f"To use it:\n\n{broken(view.use)}"]
    elif found.changes:
        parts.append(prose(f"Nothing is written; --output my-specs/stacks/my-{found.base.id}.toml makes a stack of it."))
    return parts


def _error_line(one: Errors) -> list[Cell]:
    columns = (one.before, one.after, one.left_out)
    medians = ["-" if each is None else percent(_median(each)) for each in columns]
    biases = ["-" if each is None else f"{100.0 * summary(each)[3]:+.1f} %" for each in columns]
    return [f"{one.kind} {LABELS[one.metric]}", len(one.before), *medians, *biases]


def _value_line(one: Change) -> list[Cell]:
    unit = "" if one.before.unit == "1" else f" {one.before.unit}"
    value, low, high = (units.to_unit(number, one.before.unit) for number in (one.value, one.low, one.high))
    before = one.before.written[0]
    return [one.place[2], f"{before:.3g}", f"{value:.3g}", f"{low:.3g} to {high:.3g}{unit}", f"{100.0 * one.learned:.0f} %"]


def _remarks(found: Calibrated) -> list[str]:
    """What to think of it."""
    said = []
    if found.drift == min(DRIFTS):
        said.append("The rows agree with what the specs say, so the values were held close to that.")
    if found.changes:
        said.append("Learned is the share of what was unknown of a value (its variance) that the rows removed.")
    if any(one.left_out is None for one in found.errors):
        said.append("Left out: too few rows to predict each from the others.")
    worse = [one for one in found.errors if one.left_out is not None and _median(one.left_out) > _median(one.before) + 0.005]
    if worse:
        names = ", ".join(f"{one.kind} {LABELS[one.metric]}" for one in worse)
        said.append(f"Rows left out are predicted no better than before ({names}): these rows say little about the next one.")
    return said


def _name(one: Change) -> str:
    kind, identifier, path = one.place
    return path if kind == "stacks" else f"{identifier} {path}"


def _quantity(one: Change) -> str:
    return f"{one.before.written[0]:.3g}{'' if one.before.unit == '1' else f' {one.before.unit}'}"


def _median(logarithms: Vector) -> float:
    return summary(logarithms)[0]


def _some(numbers: Sequence[int], most: int = 5) -> str:
    said = ", ".join(map(str, numbers[:most]))
    return said if len(numbers) <= most else f"{said} and {len(numbers) - most} more"


def _counted(count: int) -> str:
    return f"{count} row{'' if count == 1 else 's'}"
