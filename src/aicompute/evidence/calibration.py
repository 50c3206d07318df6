"""Calibration files: which values are fitted to which measurements, what is left out as a check, and the writing of the values."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import floor, log10
from pathlib import Path

import numpy as np

from aicompute import units
from aicompute.errors import AicomputeError
from aicompute.evidence.files import Table, read_table, shipped
from aicompute.evidence.fit import Fitted, Part, errors, fit, kept, parts_of
from aicompute.evidence.free import Free, Space, Vector, entries
from aicompute.specs import Library
from aicompute.specs.edit import with_value

QUANTILE = 1.6448536269514722
"""Standard deviations of a normal law between its median and its 95 % point."""


@dataclass(frozen=True)
class Weight:
    """Rows that count less."""

    column: str
    begins: str
    """With what the column's text begins."""
    factor: float


@dataclass(frozen=True)
class Calibration:
    """What a calibration file says."""

    name: str
    source: str
    """Key of sources.toml that the values get."""
    files: tuple[str, ...]
    """Kinds of files of measurements."""
    scales: Mapping[str, Mapping[str, float]]
    """By kind and measured column, the size of an ordinary error of ln(predicted / measured)."""
    correlation: float
    free: tuple[Free, ...]
    weights: tuple[Weight, ...]


def read_calibration(lib: Library, path: Path) -> Calibration:
    """Read a calibration file.

    Raises
    ------
    AicomputeError
        It cannot be read, or an entry means nothing.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        return Calibration(
            path.stem,
            str(data["source"]),
            tuple(data["files"]),
            data["scale"],
            float(data.get("correlation", 0.0)),
            tuple(entries(lib, data["free"])),
            tuple(Weight(str(item["column"]), str(item["begins"]), float(item["factor"])) for item in data.get("weight", [])),
        )
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise AicomputeError(f"{path}: {error}") from None


def tables_of(kinds: Iterable[str]) -> list[Table]:
    """The shipped tables of some kinds."""
    found = {table.kind.name: table for table in map(read_table, shipped())}
    return [found[kind] for kind in kinds]


def calibration_parts(lib: Library, calibration: Calibration, tables: Sequence[Table]) -> list[Part]:
    """The rows a calibration counts, with their weights."""
    parts = [
        part
        for table in tables
        for part in parts_of(lib, table, calibration.scales[table.kind.name], calibration.correlation)
    ]
    found = []
    for part in parts:
        factors = np.array([_factor(calibration.weights, part, index) for index in part.batch.indices])
        found.append(Part(part.batch, part.metric, part.measured, part.table, part.weight * factors))
    return found


def _factor(weights: Sequence[Weight], part: Part, index: int) -> float:
    row = part.table.rows[index]
    factor = 1.0
    for weight in weights:
        if row.text(weight.column).startswith(weight.begins):
            factor *= weight.factor
    return factor


def family_of(lib: Library, accelerator: str) -> str:
    """What an accelerator extends: its family, or itself where it stands alone."""
    chain = lib.lineage("accelerators", accelerator)
    return chain[1] if len(chain) > 2 else chain[0]


def labels_of(lib: Library, part: Part, column: str) -> list[str]:
    """The label of each row of a part by which rows are left out together: family, accelerator, stack, model, group or any other column."""
    if column == "family":
        return [family_of(lib, part.batch.accelerator)] * len(part.batch.indices)
    if column == "stack":
        return [part.batch.stack] * len(part.batch.indices)
    rows = [part.table.rows[index] for index in part.batch.indices]
    if column == "accelerator":
        return [part.batch.accelerator] * len(rows)
    return [row.text(column) or part.batch.accelerator for row in rows]


@dataclass(frozen=True)
class HeldOut:
    """Errors of rows that a fit has not seen."""

    label: str
    kind: str
    metric: str
    logarithms: Vector
    """ln(predicted / measured)."""


def leave_out(
    lib: Library, space: Space, parts: Sequence[Part], column: str, folds: int = 0, start: Vector | None = None, seed: int = 0,
    progress: Callable[[str], None] = lambda text: None,
) -> list[HeldOut]:
    """Fit without the rows of each label of a column in turn, and predict them.

    Parameters
    ----------
    lib, space, parts
    column : str          As `labels_of` understands it.
    folds : int           Labels are put together by chance into so many folds; 0 leaves out one label at a time.
    start : vector        Where each fit begins; at the beliefs if None.
    seed : int            Of the folds.
    progress : function   Told of each fold.

    Returns
    -------
    list of HeldOut, one for each label, kind and metric.
    """
    labels = {id(part): dict(zip(part.batch.indices, labels_of(lib, part, column), strict=True)) for part in parts}
    names = sorted({label for found in labels.values() for label in found.values()})
    order = np.random.default_rng(seed).permutation(len(names))
    count = min(folds or len(names), len(names))
    fold_of = {names[index]: place % count for place, index in enumerate(order)}
    results = []
    for fold in range(count):
        seen = kept(parts, lambda part, index, fold=fold: fold_of[labels[id(part)][index]] != fold)  # type: ignore[misc]
        progress(f"{column}: fold {fold + 1} of {count}")
        moved = fit(space, seen, start).moved
        out = [part for part in parts if any(fold_of[label] == fold for label in labels[id(part)].values())]
        for part, found in zip(out, errors(space, moved, out), strict=True):
            for label in sorted(set(labels[id(part)].values())):
                mask = np.array([labels[id(part)][index] == label and fold_of[label] == fold for index in part.batch.indices])
                use = mask & (part.weight > 0.0) & np.isfinite(found)
                if use.any():
                    results.append(HeldOut(label, part.table.kind.name, part.metric, found[use]))
    return results


def heirs_spreads(fitted: Fitted) -> Vector:
    """Standard deviation on the line of what a spec without measurements may expect of each value.

    Of a value that others inherit, it is how far those differ from it: the prior of a difference counts as two of them.
    """
    spreads = fitted.spreads.copy()
    for parent in range(len(spreads)):
        heirs = [index for index, chain in enumerate(fitted.space.chains) if len(chain) > 1 and chain[1] == parent]
        if heirs:
            believed = float(np.mean(fitted.space.spreads[heirs] ** 2))
            found = fitted.moved[heirs] ** 2 + np.diag(fitted.covariance)[heirs]
            spreads[parent] = np.sqrt(spreads[parent] ** 2 + (2.0 * believed + float(np.sum(found))) / (2.0 + len(heirs)))
    return spreads


def write(lib: Library, calibration: Calibration, fitted: Fitted) -> list[Path]:
    """Write fitted values into the spec files they stand in, with their 90 % ranges."""
    texts: dict[Path, str] = {}
    values = fitted.space.values(fitted.moved)
    for one, value, spread, learned in zip(calibration.free, values, heirs_spreads(fitted), fitted.learned, strict=True):
        kind, identifier, path = one.place
        spec = lib.load(kind, identifier)
        file = spec.path
        texts.setdefault(file, file.read_text(encoding="utf-8"))
        unit = spec.value(path).unit
        point = one.to_line(float(value))
        low, high = (float(one.from_line(np.asarray(point + sign * QUANTILE * spread))) for sign in (-1.0, 1.0))
        note = one.why if learned > 0.1 else "; ".join(filter(None, [one.why, "the rows cannot tell: near its prior"]))
        fields = {
            "value": rounded(units.to_unit(float(value), unit)),
            "unit": unit,
            "kind": "derived",
            "source": calibration.source,
            "low": rounded(units.to_unit(low, unit)),
            "high": rounded(units.to_unit(high, unit)),
            **({"note": note} if note else {}),
        }
        texts[file] = with_value(texts[file], path, fields)
    for file, text in texts.items():
        file.write_text(text, encoding="utf-8")
    return list(texts)


def rounded(value: float, digits: int = 4) -> float:
    """A number to so many significant digits.

    Examples
    --------
    >>> rounded(0.123456)
    0.1235
    """
    return value if value == 0.0 else round(value, digits - 1 - floor(log10(abs(value))))


def summary(logarithms: Vector) -> tuple[float, float, float, float]:
    """Median, mean and 90th percentile of |predicted / measured - 1|, and the median with its sign.

    Examples
    --------
    >>> summary(np.log(np.array([1.0, 1.1, 1.2])))[0]
    0.10000000000000009
    """
    relative = np.expm1(logarithms)
    size = np.abs(relative)
    return float(np.median(size)), float(np.mean(size)), float(np.quantile(size, 0.9)), float(np.median(relative))
