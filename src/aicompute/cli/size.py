"""``aicompute size``: how many of what, where, for some work or within some limits."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from aicompute.cli.completion import OPTIONS, SITES, SYSTEMS
from aicompute.cli.options import common_options

if TYPE_CHECKING:
    from aicompute.specs import Library

_WORK = (
    ("model", "ID", "Served, and trained unless --train-model says another [deepseek-r1-0528]."),
    ("train-tokens", "N", "Tokens of a run, such as 15T."),
    ("train-model", "ID", "Trained [deepseek-v3]."),
    ("within", "TIME", "Time for the run, such as '90 day' [as limits allow]."),
    ("serve", "RATE", "Mean demand in output tokens: '2e6 token/s', '1e12 token/day'."),
    ("users", "N", "Instead: users reading at the speed of --tpot at a time."),
    ("ttft", "TIME", "Longest time to first token [2 s]."),
    ("tpot", "TIME", "Longest time per output token [50 ms]."),
    ("peak-factor", "N", "Highest demand over its mean [1.667]."),
    ("isl", "TOKENS", "Input length [4096]."),
    ("osl", "TOKENS", "Output length [1024]."),
    ("prefix-hit", "SHARE", "Share of input tokens found in a cache [0]."),
    ("seq-len", "TOKENS", "Training: tokens of a sequence [4096]."),
    ("global-batch", "N", "Training: sequences in a step [15360]."),
    ("budget", "MONEY", "Capital, any currency: '1.46e12 KRW'."),
    ("yearly", "MONEY/TIME", "Cost a year, such as '2e7 USD/year'."),
    ("power", "POWER", "At the meter, such as '40 MW'."),
    ("ceiling", "PRICE", "Cost of output tokens, such as '0.5 USD/Mtoken'."),
    ("stack", "ID", "Software [each system's own]."),
    ("precision", "WORD|MAP", "native (default), 8bit, a word, or a map."),
)
_NAMES = {"isl": "input_length", "osl": "output_length", "seq_len": "sequence_length"}


def _with_work(command: Any) -> Any:
    for name, metavar, text in reversed(_WORK):
        command = click.option(f"--{name}", metavar=metavar, help=text, shell_complete=OPTIONS.get(name))(command)
    return command


@click.command("size", short_help="How many of what, where: for some work, or within limits")
@_with_work
@click.option("--system", "systems", multiple=True, metavar="ID", help="Only these; may be repeated [all].", shell_complete=SYSTEMS)
@click.option("--site", multiple=True, metavar="ID", help="Only these; may be repeated [all].", shell_complete=SITES)
@click.option("--allow", multiple=True, metavar="KIND=NAME", help="Only vendor=, foundry=, memory= or country=NAME,NAME.")
@click.option("--exclude", multiple=True, metavar="KIND=NAME", help="None of these.")
@click.option("--announced", is_flag=True, help="Chips that are not sold yet too.")
@click.option("--date", metavar="DAY", help="Day of the export rules that mark chips with ! [newest].")
@click.option("--obey-rules", is_flag=True, help="Refuse chips where they need an export licence.")
@click.option("--currency", metavar="CODE", help="Of the tables: KRW, EUR, ..., or local with one --site [USD].")
@click.option("--top", type=click.IntRange(1, 1000), default=12, show_default=True, help="Fleets to show.")
@click.option("--samples", type=int, default=400, show_default=True, help="Draws behind the intervals; 0: no intervals.")
@common_options
def command(
    systems: Sequence[str],
    site: Sequence[str],
    allow: Sequence[str],
    exclude: Sequence[str],
    announced: bool,
    date: str | None,
    obey_rules: bool,
    currency: str | None,
    top: int,
    samples: int,
    format: str,
    library: Library,
    **work: str | None,
) -> None:
    """Size a fleet of every system at every site: units, megawatts, capital, cost a token, carbon, and what binds.

    Exit code 4: nothing does; which limit to relax, and by how much.

    \b
    aicompute size --train-tokens 15T --train-model llama-3.1-70b --within '90 day' --site kr
    aicompute size --serve '2e6 token/s' --tpot '50 ms' --power '40 MW' --exclude country=cn
    aicompute size --power '40 MW' --site kr --site us-texas
    aicompute size --ceiling '0.5 USD/Mtoken' --site kr
    """  # noqa: D301
    from aicompute import sizing

    given: dict[str, Any] = {_NAMES.get(name, name): value for name, value in work.items() if value is not None}
    view = sizing.size(
        **given, systems=systems, site=site, allow=allow, exclude=exclude, announced=announced, date=date, obey_rules=obey_rules,
        currency=currency, samples=samples, library=library, watch=_tell if sys.stderr.isatty() else None,
    )  # fmt: skip
    click.echo(replace(view, top=top).table(format))


def _tell(done: int, count: int) -> None:
    """How many systems are done, in place."""
    click.echo(f"\r\033[K{done} of {count} systems" if done < count else "\r\033[K", err=True, nl=False)
