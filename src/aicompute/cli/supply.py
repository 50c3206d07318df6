"""``aicompute supply``: who a fleet depends on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from aicompute.cli.completion import SYSTEMS
from aicompute.cli.money import show
from aicompute.cli.options import common_options

if TYPE_CHECKING:
    from aicompute.specs import Library


@click.command("supply", short_help="Who a fleet depends on: foundries, memory, countries")
@click.argument("systems", nargs=-1, metavar="SYSTEM[=UNITS]...", shell_complete=SYSTEMS)
@common_options
def command(systems: Sequence[str], format: str, library: Library) -> None:
    """Tell which share of a fleet's capital hangs on one foundry, memory maker, designer or country.

    \b
    aicompute supply cloudmatrix-384
    aicompute supply cloudmatrix-384=10 gb200-nvl72=30
    """  # noqa: D301
    from aicompute import controls

    show(controls.supply(systems, library=library), format)
