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
from aicompute.estimate.reading import Sampler
from aicompute.evidence.files import Row, Table, read_table, shipped
from aicompute.evidence.fit import Fitted, Part, errors, fit, kept, parts_of, spread_of
from aicompute.evidence.free import DrawnReader, Free, Space, Vector, entries, stated
from aicompute.specs import Library
from aicompute.specs.edit import with_value
from aicompute.specs.value import UNSEEN

QUANTILE = 1.6448536269514722
"""Standard deviations of a normal law between its median and its 95 % point."""

DRAWS = 48
"""Draws of the values that a prediction reads."""

@dataclass(frozen=True)
class Weight:
    """Rows that count less."""

    column: str
    begins: str
    """With what the column's text begins."""
    below: float
    """What the column's number is below."""
    factor: float

    def applies(self, row: Row) -> bool:
        """Whether a row counts less."""
        text = row.text(self.column)
        return bool(text) and text.startswith(self.begins) and (self.below == np.inf or row.number_in(self.column) < self.below)


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
            tuple(
                Weight(str(item["column"]), str(item.get("begins", "")), float(item.get("below", np.inf)), float(item["factor"]))
                for item in data.get("weight", [])
            ),
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
        found.append(Part(part.batch, part.metric, part.measured, part.table, part.weight * factors, factors))
    return found


def _factor(weights: Sequence[Weight], part: Part, index: int) -> float:
    row = part.table.rows[index]
    return float(np.prod([weight.factor for weight in weights if weight.applies(row)]))


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
    residual: str
    """Key of the stack's value that says how far measurements spread around the formula."""
    stack: str
    groups: tuple[str, ...]
    """Of each row."""
    logarithms: Vector
    """ln(predicted / measured)."""
    spreads: Vector
    """Standard deviation of ln(predicted) by the ranges of the values read."""
    weights: Vector
    """Share of a row that each counts."""

    def inside(self, sigma: float) -> float:
        """Share of the rows inside their 90 % interval, if measurements spread by ``sigma`` around the formula."""
        return float(np.mean(np.abs(self.logarithms) <= QUANTILE * np.hypot(sigma, self.spreads)))


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
        fitted = fit(space, seen, start)
        out = [part for part in parts if any(fold_of[label] == fold for label in labels[id(part)].values())]
        results += [
            one
            for part in out
            for one in held_out(fitted, part, labels[id(part)], [label for label in labels[id(part)].values() if fold_of[label] == fold])
        ]
    return results


def held_out(fitted: Fitted, part: Part, labels: Mapping[int, str], wanted: Iterable[str]) -> list[HeldOut]:
    """Errors and spreads of the rows of a part by label, of those wanted."""
    (found,) = errors(fitted.space, fitted.moved, [part])
    reader = DrawnReader(Sampler(DRAWS), fitted.space, fitted.moved, fitted.spreads)
    spreads = np.broadcast_to(spread_of(part.batch.predict(reader)[part.metric]), found.shape)
    results = []
    for label in sorted(set(wanted)):
        use = np.array([labels[index] == label for index in part.batch.indices]) & (part.weight > 0.0) & np.isfinite(found)
        if use.any():
            groups = tuple(part.table.rows[index].text("group") for index, used in zip(part.batch.indices, use, strict=True) if used)
            residual = part.batch.residuals[part.metric]
            kind = part.table.kind.name
            weights = part.share[use]
            results.append(HeldOut(label, kind, part.metric, residual, part.batch.stack, groups, found[use], spreads[use], weights))
    return results


def spread_needed(found: Sequence[HeldOut], share: float = 0.9) -> float:
    """The spread of measurements around the formula with which a share of the rows, each as far as it counts, lies inside its interval.

    0 where the ranges of the values read do already.
    """
    size = np.concatenate([np.abs(one.logarithms) for one in found]) / QUANTILE
    known = np.concatenate([one.spreads for one in found])
    weights = np.concatenate([one.weights for one in found])
    order = np.argsort(size**2 - known**2)
    reached = np.cumsum(weights[order]) / np.sum(weights)
    return float(np.sqrt(max((size**2 - known**2)[order][int(np.searchsorted(reached, share))], 0.0)))


def heirs_spreads(fitted: Fitted) -> Vector:
    """Standard deviation on the line of what a spec without measurements may expect of each value.

    Of a value that others inherit, it is how far those differ from it: the prior of a difference counts as two of them.
    """
    spreads = fitted.spreads.copy()
    for parent in range(len(spreads)):
        heirs = fitted.space.heirs(parent)
        if heirs:
            believed = float(np.mean(fitted.space.spreads[heirs] ** 2))
            found = fitted.moved[heirs] ** 2 + np.diag(fitted.covariance)[heirs]
            spreads[parent] = np.sqrt(spreads[parent] ** 2 + (2.0 * believed + float(np.sum(found))) / (2.0 + len(heirs)))
    return spreads


def write(lib: Library, calibration: Calibration, fitted: Fitted) -> list[Path]:
    """Write fitted values into the spec files they stand in, with their 90 % ranges."""
    texts: dict[Path, str] = {}
    values = fitted.space.values(fitted.moved)
    for index, (one, value, spread, learned) in enumerate(
        zip(calibration.free, values, heirs_spreads(fitted), fitted.learned, strict=True)
    ):
        kind, identifier, path = one.place
        heirs = len(fitted.space.heirs(index))
        spec = lib.load(kind, identifier)
        file = spec.path
        texts.setdefault(file, file.read_text(encoding="utf-8"))
        unit = spec.value(path).unit
        point = one.to_line(float(value))
        low, high = (float(one.from_line(np.asarray(point + sign * QUANTILE * spread))) for sign in (-1.0, 1.0))
        notes = [one.why, f"for what was not measured: {heirs} others differ from it by the range" if heirs else ""]
        note = "; ".join(filter(None, [*notes, "" if learned > 0.1 else "the rows cannot tell: near its prior"]))
        fields = {
            "value": rounded(units.to_unit(float(value), unit)),
            "unit": unit,
            "kind": "derived",
            "source": UNSEEN if heirs else calibration.source,
            "low": rounded(units.to_unit(low, unit)),
            "high": rounded(units.to_unit(high, unit)),
            **({"note": note} if note else {}),
        }
        texts[file] = with_value(texts[file], path, fields)
    for file, text in texts.items():
        file.write_text(text, encoding="utf-8")
    return list(texts)


def stale(lib: Library, fitted: Fitted) -> list[str]:
    """Values of which the specs say something else than the fit, by more than a tenth of what is not known of them and one percent."""
    found = []
    for one, value, spread in zip(fitted.space.free, fitted.space.values(fitted.moved), fitted.spreads, strict=True):
        there = stated(lib, one.place)
        if abs(one.to_line(there) - one.to_line(float(value))) > 0.01 + 0.1 * spread:
            found.append(f"{one.name}: {there:.4g} stands, {float(value):.4g} is fitted (SI units)")
    return found


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


def write_residual(lib: Library, calibration: Calibration, stack: str, residual: str, sigma: float, rows: int) -> None:
    """Write the spread of measurements around the formula into a stack, known to one part in the root of twice the rows."""
    path = f"residual.{residual}"
    file = lib.load("stacks", stack).path
    doubt = QUANTILE / np.sqrt(2.0 * rows)
    fields = {
        "value": rounded(sigma, 3),
        "unit": "1",
        "kind": "derived",
        "source": calibration.source,
        "low": rounded(sigma * (1.0 - min(doubt, 0.5)), 3),
        "high": rounded(sigma * (1.0 + doubt), 3),
        "note": f"holds 90 % of {rows} measurements whose group was left out, with the ranges of the values read",
    }
    file.write_text(with_value(file.read_text(encoding="utf-8"), path, fields), encoding="utf-8")
