"""``aicompute calibrate``: fit a stack or a device to own measurements."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aicompute.cli.completion import STACKS, SYSTEMS
from aicompute.cli.options import common_options

if TYPE_CHECKING:
    from aicompute.specs import Library


@click.command("calibrate", short_help="Fit a stack or a device to your own measurements")
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path))
@click.option(
    "--system", metavar="ID", help="System of rows that name none, and no accelerator, or none that is known.", shell_complete=SYSTEMS
)  # fmt: skip
@click.option(
    "--stack", metavar="ID", help="Stack to begin with, and that of rows that name none or one that is not known [the rows'].",
    shell_complete=STACKS,
)  # fmt: skip
@click.option("--device", is_flag=True, help="Fit what kernels reach on the accelerator, and its links, as well.")
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Where to write: FOLDER/stacks/ID.toml, or a FOLDER.")
@click.option("--force", is_flag=True, help="Overwrite files.")
@common_options
def command(
    files: Sequence[Path],
    system: str | None,
    stack: str | None,
    device: bool,
    output: Path | None,
    force: bool,
    format: str,
    library: Library,
) -> None:
    """Fit the few values of a stack to your own measurements.

    FILEs are CSV with the columns of docs/evidence.md, as for validate. What the specs say, with its ranges, is the belief before: a few
    rows move what they tell and leave the rest. The answer says errors before and after, and on rows left out of the fit, what moved, and
    what the rows cannot tell. --output writes a stack of a new name, with --device an accelerator and its system beside it, in a folder
    that --specs takes; without it nothing is written. Exit code 1: no row can be used.

    \b
    aicompute calibrate mine.csv
    aicompute calibrate mine.csv --stack sglang --system dgx-h100 -o my-specs/stacks/my-sglang.toml
    aicompute calibrate gemm.csv attention.csv --device -o my-specs
    """  # noqa: D301
    from aicompute import measured

    view = measured.calibrate(
        files, system=system, stack=stack, device=device, output=output, force=force, library=library,
        progress=lambda said: click.echo(said, err=True),
    )  # fmt: skip
    click.echo(view.table(format))
