"""``aicompute estimate``: one scenario in detail."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from aicompute.cli.compare import show
from aicompute.cli.completion import SYSTEMS
from aicompute.cli.options import common_options
from aicompute.cli.scenario import scenario_options
from aicompute.errors import UsageError

if TYPE_CHECKING:
    from aicompute.specs import Library


@click.command("estimate", short_help="One scenario in detail")
@click.argument("system", shell_complete=SYSTEMS)
@scenario_options
@click.option("--explain", is_flag=True, help="Add every operator, every value used with its source, and what the interval is made of.")
@common_options
def command(system: str, scenario: Mapping[str, Any], explain: bool, format: str, library: Library) -> None:
    """Estimate what SYSTEM delivers in one scenario, in detail.

    Exit code 4: no plan fits, or none meets the latency targets; what is best is said.

    \b
    aicompute estimate gb200-nvl72 --workload decode --tpot '50 ms' --explain
    aicompute estimate dgx-h100 --workload training --accelerators 512
    """  # noqa: D301
    from aicompute import api

    if isinstance(scenario["site"], list):
        raise UsageError("estimate takes one --site; compare takes several")
    show(api.estimate(system, **scenario, explain=explain, library=library), format)
