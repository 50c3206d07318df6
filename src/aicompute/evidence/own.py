"""Fit the few values of a stack, or of a device, to somebody's own measurements; what the specs say is the belief before."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from aicompute.errors import AicomputeError
from aicompute.estimate.reading import read_value
from aicompute.evidence.batch import Batch
from aicompute.evidence.batches import batches_of
from aicompute.evidence.calibration import QUANTILE, Calibration, calibration_parts, read_calibration
from aicompute.evidence.files import Row, Table
from aicompute.evidence.fit import Fitted, Part, errors, fit, kept
from aicompute.evidence.free import Free, FreeReader, Place, Space, Vector
from aicompute.evidence.own_rows import LeftOut, chosen_rows, reasons
from aicompute.numerics import Array
from aicompute.specs import Library, Spec, Value
from aicompute.specs.files import built_in

TOLD = 0.05
"""Rows that remove a smaller share of what was unknown of a value do not tell it, and it stays as it is."""

NOTHING = 1e-6
"""And on values of which they remove still less they do not depend."""

ELSEWHERE = 10.0
"""Rows that the spread of other people's measurements around the formula counts as, at most."""

ENOUGH = 5
"""With fewer rows nothing is said of rows left out."""

FOLDS = 20
"""Up to so many rows are left out one at a time; more in half as many parts."""

DRIFTS = (0.125, 0.25, 0.5, 1.0)
"""Somebody's own installation may differ from those that were measured by so much of what one stack, or one device, differs from another;
the rows say which of these."""

EDGE = 0.01
"""A share at 0 or 1 begins so far inside, so that it can move."""

UNTOLD = "measures nothing that tells a value that may move; --device adds those of the device"

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Belief:
    """What is believed of a value before."""

    free: Free
    """With the spread of its 90 % range."""
    apart: float
    """How far, on its line, such values of two stacks, or of two devices, are from each other; 0 where all share one."""

    def at(self, drift: float) -> Free:
        r"""The free value, if an installation may differ from what the specs say by a part of what two stacks differ.

        Notes
        -----
        .. math:: s^2 = \left(\frac{\ln(high / low)}{2 \cdot 1.645}\right)^2 + (d\,t)^2
        """
        return replace(self.free, spread=math.hypot(self.free.spread, drift * self.apart))


@dataclass(frozen=True)
class Change:
    """A value before and after, in SI units."""

    place: Place
    before: Value
    value: float
    low: float
    high: float
    """Bounds of the 90 % range after."""
    learned: float
    """Share of the variance believed before that the rows removed."""


@dataclass(frozen=True)
class Errors:
    """ln(predicted / measured) of one measured column."""

    kind: str
    metric: str
    residual: str
    """Key of the stack's value that says how far measurements spread around the formula."""
    before: Vector
    after: Vector
    left_out: Vector | None
    """Each row predicted by a fit that has not seen it; None where there are too few."""


@dataclass(frozen=True)
class Calibrated:
    """What own measurements say."""

    base: Spec
    """The stack that was calibrated."""
    files: tuple[str, ...]
    used: tuple[tuple[Table, Row], ...]
    """Rows, as they were completed."""
    left_out: tuple[LeftOut, ...]
    changes: tuple[Change, ...]
    """Values that the rows tell."""
    untold: tuple[Change, ...]
    """Values that they do not: these stay as they were."""
    correlation: NDArray[np.float64]
    """Of the changes, on their lines."""
    errors: tuple[Errors, ...]
    drift: float
    """One of `DRIFTS`."""

    def library(self, lib: Library) -> Library:
        """A library in which the calibrated values stand in place of those before."""
        return lib.override({f"{kind}/{name}.{path}": written_value(one) for one in self.changes for kind, name, path in [one.place]})


def written_value(change: Change, source: str = "calibrated-by-user") -> Value:
    """A changed value as a spec states it."""
    return Value(change.value, change.low, change.high, change.before.unit, "derived", source, change.before.note)


def shipped_calibrations(lib: Library) -> list[Calibration]:
    """The calibration files that ship: they name the values that measurements of a kind may move."""
    return [read_calibration(lib, path) for path in sorted(built_in("calibration").glob("*.toml"))]


def calibrate(
    lib: Library,
    tables: Sequence[Table],
    *,
    stack: str | None = None,
    system: str | None = None,
    device: bool = False,
    calibrations: Sequence[Calibration] | None = None,
    progress: Progress = lambda text: None,
) -> Calibrated:
    """Fit the values of a stack to own measurements, and those of the device if wanted.

    Parameters
    ----------
    lib : Library
    tables : sequence of Table           Files of measurements, of any kinds.
    stack : str                          Of rows that name none, or one that nobody knows; rows of others are left out. Default: the rows'.
    system : str                         Of rows that name no system and no accelerator, or none that is known.
    device : bool                        Fit the kernel values of the accelerators and the links of their systems too.
    calibrations : sequence              Which values may move; default: those that ship.
    progress : function                  Told what is going on.

    Returns
    -------
    Calibrated

    Raises
    ------
    AicomputeError
        A name is unknown, the rows are of several stacks, or none can be used.

    Notes
    -----
    Values are believed to lie within their 90 % ranges, log-normally, or as log-odds where they are shares; and somebody's own installation
    to differ from what others measured, by a part of what two stacks differ (`Belief.at`). Which part is what makes the rows most probable
    (`Fitted.support`): rows that agree with the specs leave them alone, rows that do not may move them. The fit is the one that made the
    specs (`aicompute.evidence.fit.fit`), so a row far off pulls no more than one near. A value of which the rows remove less than 5 % of
    the variance is set back, and the others are fitted again.
    """
    chosen = shipped_calibrations(lib) if calibrations is None else list(calibrations)
    base, ready, left_out = chosen_rows(lib, tables, stack, system)
    batches = [batches_of(lib, table) for table in ready]
    machines = _machines(batch for found, _ in batches for batch in found) if device else []
    named = free_values(lib, [base, *machines], {table.kind.name for table in ready}, chosen)
    parts = _parts(lib, chosen, ready, named)
    before = errors(Space(lib, ()), np.zeros(0), parts)
    parts = [replace(part, weight=part.weight * np.isfinite(found)) for part, found in zip(parts, before, strict=True)]
    used, unused = _used(ready, [faults for _, faults in batches], parts)
    left_out += unused
    if not used:
        said = [f"{file}, {len(rows)} row{'s' if len(rows) > 1 else ''}: {reason}" for (file, reason), rows in reasons(left_out).items()]
        raise AicomputeError(f"no row can be used; {'; '.join(said)}")
    candidates = _touched(lib, parts, named)
    if not candidates:
        hint = "" if device else "; --device adds those of the device"
        raise AicomputeError(f"the rows depend on no value of {base.id} that may move{hint}")
    progress(f"fitting {len(candidates)} values to {len(used)} rows")
    drift, first = _best(lib, candidates, parts)
    told = [one for one, learned in zip(candidates, first.learned, strict=True) if learned > TOLD]
    fitted = first if len(told) == len(candidates) else _best(lib, told, parts, [drift])[1] if told else None
    found = tuple(_errors(lib, parts, before, fitted, told, drift, progress))
    changes, spreads = list(_changes(lib, fitted)) if fitted else [], list(_residuals(base, found))
    correlation = np.eye(len(changes) + len(spreads))
    if fitted:
        size = np.sqrt(np.diag(fitted.covariance))
        correlation[: len(changes), : len(changes)] = fitted.covariance / np.outer(size, size)
    return Calibrated(
        base,
        tuple(table.name for table in tables),
        tuple(used),
        tuple(left_out),
        tuple(changes + spreads),
        tuple(one for one in _changes(lib, first) if NOTHING < one.learned <= TOLD),
        correlation,
        found,
        drift,
    )


def _best(
    lib: Library, beliefs: Sequence[Belief], parts: Sequence[Part], drifts: Sequence[float] = DRIFTS, start: Vector | None = None
) -> tuple[float, Fitted]:
    """The drift that makes the rows most probable, and the fit with it."""
    found = [(drift, fit(Space(lib, tuple(one.at(drift) for one in beliefs)), parts, start)) for drift in drifts]
    return max(found, key=lambda item: item[1].support)


# Values


def free_values(
    lib: Library, owners: Sequence[Spec], kinds: Collection[str], calibrations: Sequence[Calibration]
) -> dict[str, list[Belief]]:
    """Values of some specs that may move, by the calibration that names them.

    Of a stack those that a calibration of the files' kinds names for it or for what it extends; of a device those that any names. A value
    that a calibration names only for what all extend is shared by all, and an installation does not differ in it.
    """
    return {
        each.name: [
            one
            for owner in owners
            if owner.kind != "stacks" or set(kinds).intersection(each.files)
            for entry in _named(lib, owner, each)
            if (one := believed(owner, entry, _shared(lib, entry, each))) is not None
        ]
        for each in calibrations
    }


def _shared(lib: Library, entry: Free, calibration: Calibration) -> bool:
    """Whether a calibration gives all specs of a kind one value."""
    kind, _, path = entry.place
    return all(len(lib.lineage(kind, one.place[1])) == 1 for one in calibration.free if (one.place[0], one.place[2]) == (kind, path))


def _named(lib: Library, owner: Spec, calibration: Calibration) -> list[Free]:
    """Entries of a calibration for a spec or what it extends, the nearest for each path."""
    line = lib.lineage(owner.kind, owner.id)
    entries = [one for one in calibration.free if one.place[0] == owner.kind and one.place[1] in line]
    nearest_last = sorted(entries, key=lambda one: -line.index(one.place[1]))
    return list({one.place[2]: one for one in nearest_last}.values())


def _machines(batches: Iterable[Batch]) -> list[Spec]:
    """The accelerators and systems that predictions read."""
    found: dict[Place, Spec] = {}

    def read(spec: Spec, path: str, default: float | None = None) -> Array:
        if spec.kind in ("accelerators", "systems"):
            found[spec.kind, spec.id, ""] = spec
        return read_value(spec, path, default)

    for batch in batches:
        batch.predict(read)
    return list(found.values())


def believed(owner: Spec, entry: Free, shared: bool) -> Belief | None:
    """What a spec's own value and range say, and an entry of a calibration file for it; None where it cannot move."""
    value = owner.get(entry.place[2], None)
    if not isinstance(value, Value):
        return None
    ends = [value.low, value.value, value.high]
    if entry.share:
        ends = [min(max(end, EDGE), 1.0 - EDGE) for end in ends]
    if min(ends) <= 0.0:
        return None
    low, prior, high = ends
    spread = (entry.to_line(high) - entry.to_line(low)) / (2.0 * QUANTILE)
    if shared and spread == 0.0:
        return None
    free = replace(entry, place=(owner.kind, owner.id, entry.place[2]), prior=prior, spread=spread)
    return Belief(free, 0.0 if shared else entry.spread)


def _touched(lib: Library, parts: Sequence[Part], candidates: Mapping[str, Sequence[Belief]]) -> list[Belief]:
    """Values that any row reads."""
    beliefs = list({one.free.place: one for each in candidates.values() for one in each}.values())
    space = Space(lib, tuple(one.free for one in beliefs))
    reader = FreeReader(space, list(space.values(np.zeros(len(beliefs)))))
    for batch in {id(part.batch): part.batch for part in parts}.values():
        batch.predict(reader)
    return [one for position, one in enumerate(beliefs) if position in reader.touched]


# Fit


def _parts(lib: Library, calibrations: Sequence[Calibration], tables: Sequence[Table], free: Mapping[str, Sequence[Belief]]) -> list[Part]:
    """Measured columns, each as the first calibration counts it that has something to move."""
    parts: dict[tuple[int, str], list[Part]] = {}
    for calibration in (each for each in calibrations if free[each.name]):
        known = set(parts)
        for part in calibration_parts(lib, calibration, [table for table in tables if table.kind.name in calibration.files]):
            if (id(part.table), part.metric) not in known:
                parts.setdefault((id(part.table), part.metric), []).append(part)
    return [part for each in parts.values() for part in each]


def _used(
    tables: Sequence[Table], faults: Sequence[Mapping[int, str]], parts: Sequence[Part]
) -> tuple[list[tuple[Table, Row]], list[LeftOut]]:
    """Rows that count, and why others do not."""
    counted = {row for part in parts for row in _rows_of(part)}
    used, left_out = [], []
    for table, reasons_here in zip(tables, faults, strict=True):
        for position, row in enumerate(table.rows):
            if (id(table), position) in counted:
                used.append((table, row))
            else:
                left_out.append(LeftOut(table.name, row.number, reasons_here.get(position, UNTOLD)))
    return used, left_out


def _changes(lib: Library, fitted: Fitted) -> Iterator[Change]:
    """The values of a fit beside those before."""
    points, values = fitted.space.points(fitted.moved), fitted.space.values(fitted.moved)
    for one, point, value, spread, learned in zip(fitted.space.free, points, values, fitted.spreads, fitted.learned, strict=True):
        low, high = (float(one.from_line(np.asarray(point + sign * QUANTILE * spread))) for sign in (-1.0, 1.0))
        kind, identifier, path = one.place
        yield Change(one.place, lib.load(kind, identifier).value(path), float(value), low, high, float(learned))


def _residuals(base: Spec, found: Sequence[Errors]) -> Iterator[Change]:
    r"""How far measurements spread around the formula, from rows that the fit had not seen.

    Notes
    -----
    .. math:: \sigma^2 = \frac{\nu \sigma_0^2 + \sum_i e_i^2}{\nu + n}, \quad \nu = \min\left(\frac{1}{2 s_0^2}, 10\right)

    with the value that stands and the standard deviation s_0 of its logarithm, counted as ten rows at most, since they are of other
    installations. Errors beyond three times the value that stands count as that.
    """
    for name in dict.fromkeys(one.residual for one in found):
        stood = base.get(f"residual.{name}", None)
        seen = [one.left_out for one in found if one.residual == name]
        if not isinstance(stood, Value) or any(one is None for one in seen) or not 0.0 < stood.low < stood.high:
            continue
        errors_here = np.concatenate([one for one in seen if one is not None])
        errors_here = np.minimum(np.abs(errors_here[np.isfinite(errors_here)]), 3.0 * stood.value)
        before = min(0.5 * (2.0 * QUANTILE / math.log(stood.high / stood.low)) ** 2, ELSEWHERE)
        rows = before + len(errors_here)
        value = math.sqrt((before * stood.value**2 + float(np.sum(errors_here**2))) / rows)
        doubt = math.exp(QUANTILE / math.sqrt(2.0 * rows))
        place = ("stacks", base.id, f"residual.{name}")
        yield Change(place, stood, value, value / doubt, value * doubt, len(errors_here) / rows)


def _errors(
    lib: Library,
    parts: Sequence[Part],
    before: Sequence[Vector],
    fitted: Fitted | None,
    beliefs: Sequence[Belief],
    drift: float,
    progress: Progress,
) -> Iterator[Errors]:
    """Errors by measured column."""
    after = before if fitted is None else errors(fitted.space, fitted.moved, parts)
    rows = list(dict.fromkeys(row for part in parts for row in _rows_of(part)))
    held: Sequence[Vector] | None = None if len(rows) < ENOUGH else before
    if fitted is not None and len(rows) >= ENOUGH:
        folds = len(rows) if len(rows) <= FOLDS else FOLDS // 2
        progress(f"predicting the rows by {folds} fits that have not seen them")
        order = np.random.default_rng(0).permutation(len(rows))
        fold_of = {row: int(place) % folds for row, place in zip(rows, order, strict=True)}
        held = _held_out(lib, beliefs, parts, DRIFTS if len(rows) <= FOLDS else [drift], fold_of, fitted.moved)
    places: dict[tuple[str, str], list[int]] = {}
    for place, part in enumerate(parts):
        places.setdefault((part.table.kind.name, part.metric), []).append(place)
    for (kind, metric), chosen in places.items():

        def together(found: Sequence[Vector], chosen: Sequence[int] = chosen) -> Vector:
            return np.concatenate([found[place][parts[place].weight > 0.0] for place in chosen])

        if len(together(before)):
            residual = parts[chosen[0]].batch.residuals[metric]
            yield Errors(kind, metric, residual, together(before), together(after), None if held is None else together(held))


def _held_out(
    lib: Library,
    beliefs: Sequence[Belief],
    parts: Sequence[Part],
    drifts: Sequence[float],
    fold_of: Mapping[tuple[int, int], int],
    start: Vector,
) -> list[Vector]:
    """Every row by a fit that has not seen it."""
    found = [np.full(len(part.batch.indices), np.nan) for part in parts]
    for fold in sorted(set(fold_of.values())):

        def out(part: Part, index: int, fold: int = fold) -> bool:
            return fold_of.get((id(part.table), index)) == fold

        seen = kept(parts, lambda part, index, out=out: not out(part, index))  # type: ignore[misc]
        _, fitted = _best(lib, beliefs, seen, drifts, start)
        for place, (part, predicted) in enumerate(zip(parts, errors(fitted.space, fitted.moved, parts), strict=True)):
            mask = np.array([out(part, index) for index in part.batch.indices])
            found[place][mask] = predicted[mask]
    return found


def _rows_of(part: Part) -> list[tuple[int, int]]:
    """Table and position of the rows of a part that count."""
    return [(id(part.table), index) for index, weight in zip(part.batch.indices, part.weight, strict=True) if weight > 0.0]
