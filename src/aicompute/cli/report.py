"""``aicompute report``: two systems as one page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aicompute.cli.completion import SYSTEMS
from aicompute.cli.options import library_options
from aicompute.cli.scenario import scenario_options

if TYPE_CHECKING:
    from aicompute.specs import Library


@click.command("report", short_help="Two systems as one page of pictures and sliders")
@click.argument("systems", nargs=-1, metavar="SYSTEM SYSTEM", shell_complete=SYSTEMS)
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), metavar="FILE", help="The page to write: .html.")
@scenario_options
@click.option("--equal", metavar="WHAT", help="Equal accelerators, power, cost or flops; the last system sets how much.")
@library_options
def command(systems: Sequence[str], output: Path, scenario: Mapping[str, Any], equal: str | None, library: Library) -> None:
    """Write a page about two SYSTEMs: the verdict, pictures with their tables, and sliders that recompute cost.

    The page is one file that loads nothing. Without options it is about the whole service of the headline; any option of the scenario gives
    that scenario. Of several --site the first counts, costs are shown at all. Exit code 4: no system can do it.

    \b
    aicompute report cloudmatrix-384 gb200-nvl72 -o report.html
    aicompute report 910c gb200 --workload training --equal flops -o training.html
    aicompute report mi355x-8 dgx-b200 --model gpt-oss-120b --site kr -o korea.html
    """  # noqa: D301
    from aicompute import api
    from aicompute.report.page.report import check_target
    from aicompute.report.text import wrap

    check_target(output, "--output")
    made = api.report(systems, **scenario, equal=equal, library=library, watch=lambda what: click.echo(f"working on {what}", err=True))
    click.echo(f"wrote {made.save(output)}", err=True)
    click.echo("\n".join(line for sentence in made.verdict() for line in wrap(sentence, 80)))
