"""``aicompute cost``: what a system costs, as a tree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from aicompute.cli.completion import SYSTEMS
from aicompute.cli.money import holding_options, show
from aicompute.cli.options import common_options
from aicompute.cli.scenario import scenario_options

if TYPE_CHECKING:
    from aicompute.specs import Library


@click.command("cost", short_help="What a system costs, as a tree that adds up")
@click.argument("system", shell_complete=SYSTEMS)
@scenario_options
@holding_options
@click.option("--currency", metavar="CODE", help="Such as KRW, or local: of the site [USD].")
@click.option("--explain", is_flag=True, help="The whole tree to the cent, with formula, inputs, kind and source of each.")
@common_options
def command(
    system: str, scenario: Mapping[str, Any], holding: Mapping[str, Any], currency: str | None, explain: bool, format: str, library: Library
) -> None:
    """Tell what SYSTEM costs: capital by component, building, energy, operation; or its rent.

    Without --model or --workload all accelerators run at their limit while they are used (--utilisation, else always); with one, costs per
    million tokens are told too. Several --site give a column each. --rent and --colocation take a price, or list: that of the specs.

    \b
    aicompute cost gb200-nvl72 --site kr --currency KRW
    aicompute cost cloudmatrix-384 --site us --site cn --site kr --workload decode --tpot '50 ms'
    aicompute cost dgx-h100 --rent list --utilisation 0.6
    aicompute cost gb200-nvl72 --colocation '180 USD/kW/month' --life '4 year' --explain
    """  # noqa: D301
    from aicompute import money

    show(money.cost(system, **scenario, **holding, currency=currency, explain=explain, library=library), format)
