"""``aicompute breakeven``: where a token costs the same on two systems."""

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

NOTHING = ("none", "-", "own")
"""Words for a side that has no such value."""


@click.command("breakeven", short_help="Where a token costs the same on two systems")
@click.argument("first", shell_complete=SYSTEMS)
@click.argument("second", shell_complete=SYSTEMS)
@click.option("--over", metavar="TERM", default="electricity_price", show_default=True, help="What is changed until the costs are equal.")
@click.option("--of", metavar="SIDE", help="first, second or both: where it is changed.")
@click.option("--between", nargs=2, metavar="LOW HIGH", help="Range in which to look [all that is plausible].")
@click.option("--count", metavar="PART,PART", help="Of capital, facility, energy, operation, rent [all].")
@click.option("--tokens-per-s", metavar="RATE[,RATE]", help="Of an accelerator of each, instead of an estimate; none: looked for.")
@scenario_options
@holding_options
@common_options
def command(
    first: str,
    second: str,
    over: str,
    of: str | None,
    between: Sequence[str] | None,
    count: str | None,
    tokens_per_s: str | None,
    scenario: Mapping[str, Any],
    holding: Mapping[str, Any],
    format: str,
    library: Library,
) -> None:
    """Tell the value of a term at which a token costs the same on FIRST and SECOND.

    Terms: electricity_price, demand_charge, pue, utilisation, life, rate (cost of capital), residual, operation, facility, colocation,
    import_tax, changed on both; rack_price, network_price and rent of FIRST; tokens_per_s of SECOND. --of says otherwise.

    --site twice: one for each. --rent and --colocation take two values with a comma, own for a side that owns.

    \b
    aicompute breakeven cloudmatrix-384 gb200-nvl72 --over rack_price --workload decode --tpot '50 ms'
    aicompute breakeven gb200-nvl72 gb200-nvl72 --over utilisation --rent own,4.0 --on-demand
    aicompute breakeven cloudmatrix-384 gb200-nvl72 --over tokens_per_s --tokens-per-s 1943,none --site cn-hub --site us
    """  # noqa: D301
    from aicompute import money

    terms = dict(scenario)
    terms["rent"] = _pair("rent", scenario["rent"], "USD/accelerator/h")
    held = {**holding, "colocation": _pair("colocation", holding["colocation"], "USD/kW/month")}
    rates = _pair("tokens-per-s", tokens_per_s, "token/s/accelerator")
    show(
        money.breakeven(
            first, second, over, of=of, between=between or None, count=count.split(",") if count else None, tokens_per_s=rates,
            **terms, **held, library=library,
        ),
        format,
    )  # fmt: skip


def _pair(name: str, given: str | None, unit: str) -> list[str | None] | str | None:
    """One value, or two with a comma between; plain numbers in a unit."""
    if given is None:
        return None
    parts = [part.strip() for part in given.split(",")]
    if len(parts) > 2 or not all(parts):
        raise UsageError(f"--{name} {given!r}: expected one value, or two with a comma")
    found = [_value(part, unit) for part in parts]
    return found[0] if len(found) == 1 and name != "tokens-per-s" else found


def _value(text: str, unit: str) -> str | None:
    """A value with its unit; None for a side that has none."""
    if text.lower() in NOTHING:
        return None
    try:
        return f"{float(text)} {unit}"
    except ValueError:
        return text
