"""The command line: one module a command, imported only when the command runs."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from aicompute.errors import AicomputeError, nearest

COMMANDS = {
    "compare": "Systems side by side on equal terms",
    "estimate": "One scenario in detail",
    "report": "Two systems as one page of pictures and sliders",
    "search": "The best of all plans, and the front of any metrics",
    "size": "How many of what, where: for some work, or within limits",
    "sweep": "A grid or random points over any input, streamed to Parquet",
    "sensitivity": "What an answer depends on: elasticities and tornado",
    "cost": "What a system costs, as a tree that adds up",
    "breakeven": "Where a token costs the same on two systems",
    "makebuy": "A cluster of one's own against list prices of APIs",
    "validate": "Predictions against measurements",
    "calibrate": "Fit a stack or a device to your own measurements",
    "rules": "Export control of chips, and thresholds of training compute",
    "supply": "Who a fleet depends on: foundries, memory, countries",
    "specs": "List, show, check, compare and import spec files",
}
"""Short help by command. ``aicompute --help`` reads it here, so that no command is imported for it; a test compares it with the modules.
A module ``aicompute.cli.<name>`` holds its click command as ``command``."""

PIPE_CLOSED = 141
INTERRUPTED = 130


class Failure(click.ClickException):
    """An `AicomputeError` on its way to the shell."""

    def __init__(self, error: AicomputeError) -> None:
        super().__init__(str(error))
        setattr(self, "exit_code", error.exit_code)  # noqa: B010 - click declares it a class variable


class Commands(click.Group):
    """A group that knows its commands by name and imports them on use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a name, imported now."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"aicompute.cli.{cmd_name}").command
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command or tell the nearest."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            close = nearest(name, COMMANDS)
            hint = f"; did you mean {' or '.join(map(repr, close))}?" if close else f"; there are {', '.join(COMMANDS)}"
            raise click.UsageError(f"unknown command {name!r}{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands from the table, importing none."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; our errors become messages."""
        try:
            return super().invoke(ctx)
        except AicomputeError as error:
            raise Failure(error) from error


def _print_version(ctx: click.Context, option: click.Parameter, value: bool) -> None:
    """Print the version, looked up only now."""
    if value and not ctx.resilient_parsing:
        from importlib.metadata import PackageNotFoundError, version

        try:
            number = version("aicompute")
        except PackageNotFoundError:
            number = "unknown (not installed)"
        click.echo(f"aicompute {number}")
        ctx.exit()


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Show the version and exit.")
def cli() -> None:
    """Tell what an AI compute cluster really delivers, and at what cost."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit: 0 fine, 1 error, 2 usage, 3 outside a tolerance, 4 nothing feasible, 130 interrupted."""
    if os.environ.get("_AICOMPUTE_COMPLETE"):
        cli.main(prog_name="aicompute")
    sys.exit(_run(list(sys.argv[1:] if arguments is None else arguments)))


def _run(arguments: list[str]) -> int:
    """Run and return the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        with cli.make_context("aicompute", arguments) as context:
            cli.invoke(context)
        sys.stdout.flush()
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # else the interpreter complains when it flushes at exit
        return PIPE_CLOSED
    return 0
