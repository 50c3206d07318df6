"""``aicompute sweep``: a grid or random points over any input, streamed to files."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aicompute.cli.completion import metrics
from aicompute.cli.options import common_options
from aicompute.errors import UsageError

if TYPE_CHECKING:
    from aicompute.specs import Library
    from aicompute.sweep.sweep import Progress

INTERRUPTED = 130
_TERMINAL, _FILE = 0.2, 10.0
"""Seconds between two words on progress."""


@click.command("sweep", short_help="A grid or random points over any input, streamed to Parquet")
@click.argument("design", type=click.Path(path_type=Path), metavar="GRID.toml")
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="DIR", help="Folder of Parquet files; what is unfinished goes on.")
@click.option("--on", default="local", show_default=True, metavar="PLACE", help="local, dask, or dask=tcp://HOST:PORT.")
@click.option("--workers", type=int, metavar="N", help="Processes [one a core].")
@click.option("--top", type=int, metavar="N", help="Keep only the best N rows.")
@click.option("--objective", metavar="METRIC", help="What is best.", shell_complete=metrics)
@click.option("--yes", is_flag=True, help="Go on however long it takes.")
@common_options
def command(
    design: Path,
    output: Path | None,
    on: str,
    workers: int | None,
    top: int | None,
    objective: str | None,
    yes: bool,
    format: str,
    library: Library,
) -> None:
    """Find every row of the sweep that GRID.toml describes.

    Ctrl-C keeps what is there: files are whole, and the same command goes on.

    \b
    [sweep]
    model = "deepseek-r1-0528"
    workload = "decode"
    tpot = "50 ms"
    [axes]
    system = ["cloudmatrix-384", "gb200-nvl72"]
    "site.electricity.price" = { from = "0.03 USD/kWh", to = "0.2 USD/kWh", count = 50 }
    "accelerator.memory.bandwidth" = ["x1", "x2"]
    """  # noqa: D301
    from aicompute.report.sweep import SweepView
    from aicompute.sweep.design import chosen_from, read_design
    from aicompute.sweep.sweep import run_sweep

    made = chosen_from(read_design(design), top, objective)
    if output is not None and output.is_file():
        raise UsageError(f"--output {output} is a file, not a folder")
    view = SweepView(run_sweep(library, made, output, on, workers, yes, _progress()))
    if sys.stderr.isatty():
        click.echo("\r\033[K", err=True, nl=False)
    click.echo(view.table(format))
    if not view.answer.complete:
        raise click.exceptions.Exit(INTERRUPTED)


def _progress() -> Callable[[Progress], None]:
    """Says on stderr how far it is: in place on a terminal, now and then elsewhere."""
    terminal = sys.stderr.isatty()
    said = time.monotonic()

    def tell(p: Progress) -> None:
        nonlocal said
        now = time.monotonic()
        if now - said < (_TERMINAL if terminal else _FILE):
            return
        said = now
        text = f"{p.done:,} of {p.points:,} rows, {p.found / max(p.seconds, 1e-9):,.0f}/s, {_time(p.left)} left"
        filled = int(24 * p.done / p.points)
        click.echo(f"\r\033[K[{'#' * filled}{'.' * (24 - filled)}] {text}" if terminal else text, err=True, nl=not terminal)

    return tell


def _time(seconds: float) -> str:
    if seconds != seconds:
        return "?"
    if seconds >= 7200.0:
        return f"{seconds / 3600.0:.1f} h"
    return f"{seconds / 60.0:.1f} min" if seconds >= 120.0 else f"{seconds:.0f} s"
