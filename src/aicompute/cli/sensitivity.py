"""``aicompute sensitivity``: what an answer depends on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aicompute.cli.completion import SYSTEMS, metrics
from aicompute.cli.options import common_options
from aicompute.cli.scenario import scenario_options
from aicompute.errors import UsageError

if TYPE_CHECKING:
    from aicompute.specs import Library


@click.command("sensitivity", short_help="What an answer depends on: elasticities and tornado")
@click.argument("systems", nargs=-1, required=True, metavar="SYSTEM [SYSTEM]", shell_complete=SYSTEMS)
@click.option(
    "--metric", "metrics", multiple=True, metavar="METRIC", help="Such as tpot; may be repeated [all; cost is shown].",
    shell_complete=metrics,
)  # fmt: skip
@click.option("--top", type=click.IntRange(1, 500), default=15, show_default=True, help="Values to show.")
@click.option("--no-finite", is_flag=True, help="Do not halve and double what is counted; faster.")
@click.option("--plot", type=click.Path(path_type=Path), metavar="FILE", help="Draw the tornado: .svg.")
@scenario_options
@common_options
def command(
    systems: Sequence[str],
    scenario: Mapping[str, Any],
    metrics: Sequence[str],
    top: int,
    no_finite: bool,
    plot: Path | None,
    format: str,
    library: Library,
) -> None:
    """Show how a metric of SYSTEM moves with every spec value that it reads; of two systems, how their ratio moves.

    The interval comes from --samples draws of all values; two systems share them, and the probability that the first is better is said.

    \b
    aicompute sensitivity gb200-nvl72 --workload decode --tpot '50 ms'
    aicompute sensitivity cloudmatrix-384 gb200-nvl72 --metric cost_per_million_tokens --plot tornado.svg
    """  # noqa: D301
    from aicompute import studies
    from aicompute.report.front import check_target

    if plot is not None:
        check_target(plot)
    if isinstance(scenario["site"], list):
        raise UsageError("sensitivity takes one --site; compare takes several")
    view = replace(studies.sensitivity(systems, **scenario, metrics=metrics, finite=not no_finite, library=library), top=top)
    click.echo(view.table(format))
    if plot is not None:
        click.echo(f"wrote {view.plot(plot)}", err=True)
