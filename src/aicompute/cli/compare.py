"""``aicompute compare``: systems side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aicompute.cli.completion import SYSTEMS
from aicompute.cli.options import common_options
from aicompute.cli.scenario import scenario_options
from aicompute.errors import InfeasibleError, UsageError

if TYPE_CHECKING:
    from aicompute.specs import Library


@click.command("compare", short_help="Systems side by side on equal terms")
@click.argument("systems", nargs=-1, metavar="SYSTEM...", shell_complete=SYSTEMS)
@scenario_options
@click.option("--equal", metavar="WHAT", help="Equal accelerators, power, cost or flops; the last system sets how much.")
@click.option("--plot", type=click.Path(path_type=Path), metavar="FILE", help="Draw the answer as well: .svg, .pdf or .png.")
@common_options
def command(
    systems: Sequence[str], scenario: Mapping[str, Any], equal: str | None, plot: Path | None, format: str, library: Library
) -> None:
    """Compare SYSTEMs on equal terms.

    Two systems and nothing else give the headline: decode at four latencies, prefill, the whole service and training. Any option of the
    scenario gives that scenario. --plot draws how many times better the first of the headline is, else where the time goes; it needs the
    extra plot. Exit code 4: no system can do it.

    \b
    aicompute compare cloudmatrix-384 gb200-nvl72
    aicompute compare gb200 910c --workload decode --tpot '30 ms'
    aicompute compare gb200 910c --workload training --equal flops
    """  # noqa: D301
    from aicompute import api

    if not systems:
        raise UsageError("compare needs at least one system, such as cloudmatrix-384; 'aicompute specs list systems' names them")
    if plot is None:
        show(api.compare(systems, **scenario, equal=equal, library=library), format)
        return
    from aicompute import plot as figures

    figures.check_target(plot, "--plot")
    view = api.compare(systems, **scenario, equal=equal, library=library)
    show(view, format)
    figures.of_answer(view, plot)
    click.echo(f"wrote {plot}", err=True)


def show(view: Any, format: str) -> None:
    """Print an answer on stdout and its notes on stderr.

    Raises
    ------
    InfeasibleError
        No system can do what was asked.
    """
    comparisons = getattr(view, "comparisons", None) or (view.comparison,)
    click.echo(view.table(format, notes=False) if format in ("table", "markdown") else view.table(format))
    if format not in ("json", "csv"):
        for note in dict.fromkeys(note for comparison in comparisons for note in comparison.notes):
            click.echo(f"note: {note}", err=True)
    estimates = [estimate for comparison in comparisons for estimate in comparison.estimates]
    if not any(estimate.feasible for estimate in estimates):
        reasons = dict.fromkeys(f"{estimate.system}: {estimate.reason}" for estimate in estimates)
        raise InfeasibleError(f"no system can do this; {'; '.join(reasons)}")
