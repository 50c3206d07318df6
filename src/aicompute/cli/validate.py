"""``aicompute validate``: predictions against measurements."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aicompute.cli.options import common_options
from aicompute.errors import ToleranceError, UsageError

if TYPE_CHECKING:
    from aicompute.evidence.judge import Judgement, Limit
    from aicompute.specs import Library


@click.command("validate", short_help="Predictions against measurements")
@click.argument("files", nargs=-1, metavar="[FILE]...", type=click.Path(path_type=Path))
@click.option("--by", multiple=True, metavar="COLUMN", help="Also by accelerator, stack, model_kind, scale, mode, ...; may be repeated.")
@click.option("--pool", multiple=True, metavar="COLUMN", help="Rows that differ only in it count once, by their medians; may be repeated.")
@click.option("--worst", type=click.IntRange(min=0), default=5, show_default=True, help="How many of the rows farthest off to show.")
@click.option("--tolerance", type=click.Path(path_type=Path), metavar="FILE", help="TOML of largest median errors; exit code 3 outside.")
@click.option("--plot", type=click.Path(path_type=Path), metavar="FILE", help="Draw predicted against measured as well: .svg or .html.")
@common_options
def command(
    files: Sequence[Path],
    by: Sequence[str],
    pool: Sequence[str],
    worst: int,
    tolerance: Path | None,
    plot: Path | None,
    format: str,
    library: Library,
) -> None:
    """Predict every row of measurements from specs alone and tell the errors.

    FILEs are CSV with the columns of docs/evidence.md, recognised by them, or folders of such files; none: the evidence that ships. An
    error is predicted / measured - 1; csv and json give every row. Exit code 2: a file cannot be read (the others are judged), 3: outside
    the tolerance.

    With --pool backend, kernels that several libraries were measured on count once: the median over the libraries of what was predicted
    against the median of what was measured, and how far the libraries are apart. --plot has a panel for each kind of file and measured
    column, with --by for each word of that column.

    \b
    aicompute validate
    aicompute validate mine.csv --by accelerator --worst 20
    aicompute validate gemm.csv --pool backend --plot gemm.html
    """  # noqa: D301
    from aicompute.evidence import files as evidence
    from aicompute.evidence import judge
    from aicompute.evidence.pool import agreement, check_pool, pooled
    from aicompute.evidence.scale import with_scale
    from aicompute.report import plot as drawing
    from aicompute.report import validation

    wanted = _tolerance(tolerance)
    if plot:
        drawing.check_target(plot)
    judged: list[Judgement] = []
    faults = []
    paths = [inner for path in files for inner in evidence.files_in(path)] if files else evidence.shipped()
    for path in paths:
        if len(paths) > 1:
            click.echo(f"reading {path.name}", err=True)
        try:
            judged += judge.judge(library, evidence.read_table(path))
        except UsageError as error:
            faults.append(str(error))
    if faults and not judged:
        raise UsageError("; ".join(faults))
    judged = with_scale(judged) if "scale" in by else judged
    for column in by:
        judge.check_column(judged, column)
    check_pool(judged, pool, by)
    apart = agreement(judged, pool) if pool else []
    judged = pooled(judged, pool) if pool else judged
    limits = judge.limits(judged, wanted)
    click.echo(validation.render(judged, by, worst, limits, format, apart))
    if plot:
        names = ", ".join(path.name for path in files) or "the measurements that ship"
        drawing.write(plot, judged, by, f"Predicted against measured: {names}")
        click.echo(f"wrote {plot}", err=True)
    _report(limits, faults, tolerance)


def _tolerance(path: Path | None) -> dict[str, Any]:
    """The limits in a TOML file."""
    if path is None:
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"--tolerance {path}: cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"--tolerance {path}: not valid TOML: {error}") from None


def _report(limits: Sequence[Limit], faults: Sequence[str], tolerance: Path | None) -> None:
    """Turn faults and limits that are not kept into an exit code.

    Raises
    ------
    AicomputeError
        A file could not be read, or a median is outside its limit.
    """
    if faults:
        raise UsageError("; ".join(faults))
    failed = [limit for limit in limits if not limit.kept]
    if failed:
        said = [f"{one.name}: {f'{one.reached:.1f} %' if one.count else 'no rows'}, limit {one.most:g} %" for one in failed]
        raise ToleranceError(f"{len(failed)} of {len(limits)} limits in {tolerance} not kept; {'; '.join(said)}")
