"""Options that every command shares: the format of the answer, folders of specs, and changed values."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import click

from aicompute.errors import UsageError

Command = Callable[..., Any]


def format_option(command: Command) -> Command:
    """Add ``--format``; the command gets ``format``."""
    return click.option(
        "--format",
        "format",
        type=click.Choice(["table", "json", "csv", "markdown"]),
        default="table",
        show_default=True,
        help="How to print.",
    )(command)


def library_options(command: Command) -> Command:
    """Add ``--specs`` and ``--set``; the command gets ``library``, a `Library` with the folders and changes."""

    @functools.wraps(command)
    def with_library(*args: Any, specs: Sequence[str], changes: Sequence[str], **kwargs: Any) -> Any:
        from aicompute.specs import Library

        library = Library(specs)
        wanted = parse_changes(changes)
        return command(*args, library=library.override(wanted) if wanted else library, **kwargs)

    with_specs = click.option("--specs", multiple=True, metavar="DIR", help="Folder of further specs; may be repeated, the last wins.")
    with_set = click.option(
        "--set",
        "changes",
        multiple=True,
        metavar="KEY=VALUE",
        help="Change a value, such as gb200-nvl72.price.unit='4e6 USD'; may be repeated.",
    )
    return with_specs(with_set(with_library))


def common_options(command: Command) -> Command:
    """Add ``--format``, ``--specs`` and ``--set``."""
    return library_options(format_option(command))


def parse_changes(changes: Sequence[str]) -> dict[str, str]:
    """The ``KEY=VALUE`` texts of ``--set`` as a mapping.

    Examples
    --------
    >>> parse_changes(["de.electricity.price = 0.2 USD/kWh"])
    {'de.electricity.price': '0.2 USD/kWh'}
    """
    found = {}
    for change in changes:
        key, equals, value = change.partition("=")
        if not equals or not key.strip() or not value.strip():
            raise UsageError(f"--set {change!r} is not KEY=VALUE; for example --set 'gb200-nvl72.tiers.scale-up.bandwidth=1.8 TB/s'")
        found[key.strip()] = value.strip()
    return found
