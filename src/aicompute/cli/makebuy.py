"""``aicompute makebuy``: a cluster of one's own against list prices of APIs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from aicompute.cli.completion import SYSTEMS
from aicompute.cli.money import holding_options, show
from aicompute.cli.options import common_options
from aicompute.cli.scenario import scenario_options
from aicompute.errors import UsageError

if TYPE_CHECKING:
    from aicompute.specs import Library


@click.command("makebuy", short_help="A cluster of one's own against list prices of APIs")
@click.argument("system", shell_complete=SYSTEMS)
@click.option("--api", "apis", multiple=True, metavar="NAME", help="MODEL, MODEL/PROVIDER, open, closed or all; may be repeated.")
@click.option("--volume", metavar="RATE", help="Tokens in and out, such as '2e9 token/day': who is cheaper there.")
@click.option("--date", metavar="DATE", help="Prices in force then, such as 2025-06-30 [the last of each].")
@click.option("--mode", type=click.Choice(["standard", "batch"]), default="standard", show_default=True, help="Of the API.")
@click.option("--hours", type=click.Choice(["mean", "dear", "cheap"]), default="mean", show_default=True, help="When tokens are bought.")
@scenario_options
@holding_options
@common_options
def command(
    system: str,
    apis: Sequence[str],
    volume: str | None,
    date: str | None,
    mode: str,
    hours: str,
    scenario: Mapping[str, Any],
    holding: Mapping[str, Any],
    format: str,
    library: Library,
) -> None:
    """Tell from how many tokens a day the smallest cluster of SYSTEM serves a model for less than an API asks.

    Own and rented clusters are compared with dated list prices: of the same weights, and of closed models. --isl, --osl and --prefix-hit
    are the requests on both sides; --utilisation is the largest mean use that demand allows.

    \b
    aicompute makebuy gb200-nvl72 --site kr --volume '2e9 token/day'
    aicompute makebuy dgx-h200 --model qwen3-coder-480b-a35b --isl 16384 --osl 1024 --prefix-hit 0.5
    aicompute makebuy gb200-nvl72 --api gpt-4o --api claude-3-opus --mode batch
    """  # noqa: D301
    from aicompute import money

    if isinstance(scenario["site"], list):
        raise UsageError("makebuy takes one --site")
    answer = money.makebuy(
        system, api=apis, volume=volume, date=date, mode=mode, hours=hours, **scenario, **holding, library=library
    )
    show(answer, format)
