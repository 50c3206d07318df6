"""``aicompute rules``: export control of chips, and thresholds of training compute."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from aicompute.cli.completion import MODELS, ids
from aicompute.cli.money import show
from aicompute.cli.options import common_options
from aicompute.errors import UsageError

if TYPE_CHECKING:
    from aicompute.specs import Library


OPTIONS = {"date": "--date", "train_tokens": "--train-tokens", "sequence_length": "--seq-len", "within": "--within"}
"""Arguments of `aicompute.controls.rules` that messages name, by option."""


@click.command("rules", short_help="Export control of chips, and thresholds of training compute")
@click.argument("names", nargs=-1, metavar="NAME...", shell_complete=ids("accelerators", "systems"))
@click.option("--date", metavar="DAY", help="Day to judge on, such as 2026-01-15 [every day on which something changed].")
@click.option(
    "--model", metavar="ID", help="A training run of this model, or one that others estimated, such as grok-3.", shell_complete=MODELS
)  # fmt: skip
@click.option("--train-tokens", metavar="TOKENS", help="Tokens it is trained on, such as 14.8T [as published].")
@click.option("--seq-len", default="4096", show_default=True, metavar="TOKENS", help="Tokens that attend to one another.")
@click.option("--within", default="90 days", show_default=True, metavar="TIME", help="Time in which a system is to reach a threshold.")
@click.option("--jurisdiction", default="us", show_default=True, metavar="CODE", help="Whose rules on chips.")
@common_options
def command(
    names: Sequence[str],
    date: str | None,
    model: str | None,
    train_tokens: str | None,
    seq_len: str,
    within: str,
    jurisdiction: str,
    format: str,
    library: Library,
) -> None:
    """Tell what the chips of NAMEs (accelerators or systems) count as under export control, and who makes them.

    With no NAME every accelerator. With --model: the arithmetic of a training run, and which thresholds it crosses; with a system as well,
    the smallest cluster that gets there. It informs and is no legal advice.

    \b
    aicompute rules h20 910c --date 2026-01-15
    aicompute rules cloudmatrix-384 gb200-nvl72
    aicompute rules --model deepseek-v3 --train-tokens 14.8T
    aicompute rules gb200-nvl72 --model llama-3.1-405b --within '60 days'
    """  # noqa: D301
    from aicompute import controls

    try:
        view = controls.rules(
            names, date=date, model=model, train_tokens=train_tokens, sequence_length=seq_len, within=within, jurisdiction=jurisdiction,
            library=library,
        )  # fmt: skip
    except UsageError as error:
        for name, option in OPTIONS.items():
            if str(error).startswith((f"{name} =", f"{name} belongs")):
                raise UsageError(str(error).replace(name, option, 1)) from None
        raise
    show(view, format)
