"""Predictions against measurements, and stacks fitted to measurements of one's own, from Python."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aicompute.errors import UsageError
from aicompute.question import Folders, changed
from aicompute.question import library_of as _library
from aicompute.specs import Library

if TYPE_CHECKING:
    from aicompute.report.calibration import CalibrationView
    from aicompute.report.judged import ValidationView

__all__ = ["calibrate", "validate"]

Path = str | os.PathLike[str]


def validate(
    files: Path | Sequence[Path] = (),
    *,
    by: Sequence[str] = (),
    pool: Sequence[str] = (),
    worst: int = 5,
    tolerance: Mapping[str, Any] | None = None,
    specs: Folders = (),
    set: Mapping[str, Any] | None = None,
    library: Library | None = None,
) -> ValidationView:
    """Predict measurements from specs alone, and tell the errors.

    Parameters
    ----------
    files : path or list        CSV with the columns of docs/evidence.md, or folders of such files. None: the evidence that ships.
    by : list of str            Columns by which figures are wanted too.
    pool : list of str          Rows that differ only in these columns count once, by their medians.
    worst : int                 How many of the rows farthest off to show.
    tolerance : mapping         Largest median errors in percent, such as {"training": {"step_time_s": 10}}; `ValidationView.kept` tells.
    specs, set, library         As of `compare`.

    Returns
    -------
    ValidationView, with every row in ``judged``.

    Raises
    ------
    AicomputeError
        A file cannot be read, or a column is unknown.

    Examples
    --------
    >>> from aicompute.specs.files import built_in
    >>> answer = validate(built_in("evidence") / "training.csv")
    >>> answer.figures()["training", "step_time_s", ""].median < 0.2
    True
    """
    from aicompute.evidence import judge
    from aicompute.evidence.files import read_table, shipped
    from aicompute.evidence.pool import agreement, check_pool, pooled
    from aicompute.evidence.scale import with_scale
    from aicompute.report.judged import ValidationView

    lib = changed(_library(specs, library), set)
    judged = [one for path in _paths(files) or shipped() for one in judge.judge(lib, read_table(path))]
    judged = with_scale(judged) if "scale" in by else judged
    for column in by:
        judge.check_column(judged, column)
    check_pool(judged, pool, by)
    apart = agreement(judged, pool) if pool else []
    judged = pooled(judged, pool) if pool else judged
    return ValidationView(tuple(judged), tuple(by), worst, tuple(judge.limits(judged, tolerance or {})), tuple(apart))


def calibrate(
    files: Path | Sequence[Path],
    *,
    system: str | None = None,
    stack: str | None = None,
    device: bool = False,
    output: Path | None = None,
    force: bool = False,
    progress: Callable[[str], None] = lambda said: None,
    specs: Folders = (),
    set: Mapping[str, Any] | None = None,
    library: Library | None = None,
) -> CalibrationView:
    """Fit the few values of a stack, or of a device, to own measurements; what the specs say is the belief before.

    Parameters
    ----------
    files : path or list        CSV with the columns of docs/evidence.md, or folders of such files.
    system : str                Of rows that name no system and no accelerator, or none that is known.
    stack : str                 Stack to begin with, and that of rows that name none or one that is not known. Default: the rows'.
    device : bool               Fit what kernels reach on the accelerator, and its links, as well.
    output : path               Where to write: FOLDER/stacks/ID.toml, or a folder. None: nothing is written.
    force : bool                Overwrite files.
    progress : function         Told what is going on.
    specs, set, library         As of `compare`.

    Returns
    -------
    CalibrationView: its ``library`` and ``stack`` are for `compare` and `estimate`.

    Raises
    ------
    AicomputeError
        A file cannot be read or written, a name is unknown, or no row can be used.

    Examples
    --------
    >>> from aicompute.specs.files import built_in
    >>> answer = calibrate(built_in("evidence") / "training.csv", stack="torchtitan")
    >>> answer.stack, len(answer.calibrated.used)
    ('torchtitan', 22)
    """
    from aicompute.evidence import overlay, own
    from aicompute.evidence.files import read_table
    from aicompute.evidence.own_rows import FILLED, chosen_rows
    from aicompute.report.calibration import CalibrationView, said_in_notes

    lib = changed(_library(specs, library), set)
    tables = [read_table(path, FILLED) for path in _paths(files)]
    if not tables:
        raise UsageError("calibrate needs a file of measurements")
    base = chosen_rows(lib, tables, stack, system)[0]
    target = None
    if output is not None:
        target = overlay.target_of(pathlib.Path(output), lib, base.id)
        overlay.refuse(lib, target, [("stacks", target.stack)], base.id, force)
    found = own.calibrate(lib, tables, stack=stack, system=system, device=device, progress=progress)
    if target is None or not found.changes:
        return CalibrationView(found, found.library(lib), base.id)
    texts = overlay.overlay(lib, found, target.stack, said_in_notes(found))
    overlay.refuse(lib, target, list(texts), base.id, force)
    paths = overlay.written(texts, target)
    name = target.stack if ("stacks", target.stack) in texts else base.id
    made = changed(Library([*lib.folders[1:], target.folder]), set)
    return CalibrationView(found, made, name, tuple(paths), overlay.command_of(lib, found, target))


def _paths(files: Path | Sequence[Path]) -> list[pathlib.Path]:
    """Files of measurements, folders opened."""
    from aicompute.evidence.files import files_in

    given = [files] if isinstance(files, (str, os.PathLike)) else files
    return [inner for path in given for inner in files_in(pathlib.Path(path))]
