"""``aicompute search``: the best of all plans."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aicompute.cli.completion import SYSTEMS, metrics
from aicompute.cli.options import common_options
from aicompute.cli.scenario import scenario_options
from aicompute.errors import UsageError

if TYPE_CHECKING:
    from aicompute.search.mesh import Found
    from aicompute.specs import Library

INTERRUPTED = 130
_PATIENCE = 2.0
"""Seconds without a word."""


@click.command("search", short_help="The best of all plans, and the front of any metrics")
@click.argument("system", shell_complete=SYSTEMS)
@click.option(
    "--objective", metavar="METRIC", default="tokens_per_s_per_accelerator", show_default=True, help="What is best.", shell_complete=metrics
)  # fmt: skip
@click.option("--where", multiple=True, metavar="CONDITION", help="Such as 'memory_share < 0.9' or 'tp <= 8'; may be repeated.")
@click.option("--top", type=int, default=20, show_default=True, metavar="N", help="Plans to show.")
@click.option(
    "--pareto", metavar="METRIC,METRIC[,METRIC]", default="", help="Also the plans that no other beats in all of these.",
    shell_complete=metrics,
)  # fmt: skip
@click.option("--plot", type=click.Path(path_type=Path), metavar="FILE", help="Draw the front: .svg.")
@click.option("--axis", "axes", multiple=True, metavar="NAME=V,V,…", help="Values of an axis, such as zero=1,2,3; may be repeated.")
@click.option("--full", is_flag=True, help="Training: every stage of ZeRO, and overlap off as well as on.")
@click.option("--yes", is_flag=True, help="Search a space of any size.")
@scenario_options
@common_options
def command(
    system: str,
    scenario: Mapping[str, Any],
    objective: str,
    where: Sequence[str],
    top: int,
    pareto: str,
    plot: Path | None,
    axes: Sequence[str],
    full: bool,
    yes: bool,
    format: str,
    library: Library,
) -> None:
    """Judge every plan of SYSTEM in a scenario and show the best.

    Options of the plan, such as --tp, take several values: --tp 1,2,4; so does --precision bf16,fp8. Axes of training: tp, pp, cp, dp, ep,
    etp, chunks (vpp), micro_batch, zero, recompute, sequence_parallel, overlap_tensor, overlap_data, overlap_experts; of serving: tp, dp,
    pp, ep, sequences, chunk, drafts, prompts. Every workload: precision.

    Exit code 4: no plan fits or meets the conditions; what comes nearest is said. Ctrl-C shows what was found so far.

    \b
    aicompute search dgx-h100 --model llama-3.1-70b --workload training --accelerators 512
    aicompute search gb200-nvl72 --workload decode --pareto tokens_per_s_per_accelerator,tpot --plot front.svg
    aicompute search dgx-h100 --workload training --accelerators 2048 --objective cost_per_million_tokens --where 'memory_share < 0.9'
    """  # noqa: D301
    from aicompute import api
    from aicompute.report.front import check_target

    if plot is not None:
        check_target(plot)
        if not pareto:
            raise UsageError("--plot needs --pareto: two or three metrics, such as tokens_per_s_per_accelerator,energy_per_token")
    if isinstance(scenario["site"], list):
        raise UsageError("search takes one --site; compare takes several")
    terms = {name: value for name, value in scenario.items() if name != "plan"}
    plan = _joined(scenario["plan"] or {}, _axes(axes))
    view = api.search(
        system, **terms, objective=objective, where=where, top=top, pareto=pareto, plan=plan, full=full, large=yes, library=library,
        watch=_progress() if sys.stderr.isatty() else None,
    )  # fmt: skip
    click.echo(view.table(format, notes=False) if format in ("table", "markdown") else view.table(format))
    if plot is not None and view.answer.front:
        click.echo(f"wrote {view.plot(plot)}", err=True)
    for note in view.answer.notes:
        click.echo(f"note: {note}", err=True)
    if not view.answer.complete:
        raise click.exceptions.Exit(INTERRUPTED)


def _axes(given: Sequence[str]) -> dict[str, str]:
    """The ``NAME=V,V`` texts of ``--axis``."""
    found: dict[str, str] = {}
    for text in given:
        name, equals, values = text.partition("=")
        if not equals or not name.strip() or not all(map(str.strip, values.split(","))):
            raise UsageError(f"--axis {text!r} is not NAME=V,V; for example --axis zero=1,2,3")
        key = name.strip().replace("-", "_")
        key = "chunks" if key == "vpp" else key
        if key in found:
            raise UsageError(f"--axis {key} is given twice; give all its values at once, such as --axis {key}={found[key]},{values}")
        found[key] = values
    return found


def _joined(plan: Mapping[str, Any], axes: Mapping[str, str]) -> dict[str, Any]:
    """Values of axes from options of their own and from ``--axis``; none may have both."""
    twice = [name for name in plan if ("chunks" if name == "vpp" else name) in axes]
    if twice:
        said = " and ".join(f"--{name.replace('_', '-')}" for name in twice)
        raise UsageError(f"{said}: also given with --axis; give one of the two")
    return {**plan, **axes}


def _progress() -> Callable[[Found], None]:
    """A line on stderr that tells how far a long search is."""
    start = time.monotonic()

    def tell(found: Found) -> None:
        if time.monotonic() - start > _PATIENCE:
            click.echo(f"\r{found.judged:,} plans judged, {found.feasible:,} feasible", err=True, nl=False)

    return tell
