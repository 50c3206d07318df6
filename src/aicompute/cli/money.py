"""What the commands about money share: how a cluster is held, and how an answer is shown."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from aicompute.report.money import Page

Command = Callable[..., Any]


def holding_options(command: Command) -> Command:
    """Add ``--on-demand``, ``--colocation`` and ``--life``; the command gets ``holding``, keyword arguments of `aicompute.money`."""

    @functools.wraps(command)
    def with_holding(*args: Any, on_demand: bool, colocation: str | None, life: str | None, **given: Any) -> Any:
        return command(*args, holding={"on_demand": on_demand, "colocation": colocation, "life": life}, **given)

    made: Command = with_holding
    for option in (
        click.option("--life", metavar="TIME", help="Until equipment is replaced, such as '4 year' [the site's]."),
        click.option("--colocation", metavar="PRICE", help="Instead of a building: '180 USD/kW/month', or list: the site's."),
        click.option("--on-demand", is_flag=True, help="Rent is paid while there is work only."),
    ):
        made = option(made)
    return made


def show(view: Page, format: str) -> None:
    """Print an answer on stdout and its notes on stderr."""
    click.echo(view.table(format, notes=False) if format in ("table", "markdown") else view.table(format))
    if format in ("table", "markdown"):
        for note in view.notes:
            click.echo(f"note: {note}", err=True)
