"""What a shell offers for ids of specs and other names; nothing is read until the Tab key is pressed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from click import Context, Parameter

Complete = Callable[["Context", "Parameter", str], list[Any]]


def ids(*kinds: str, extra: Sequence[str] = ()) -> Complete:
    """A function that offers ids of some kinds of spec, and other words; aliases where no id begins so.

    Folders of ``--specs`` on the same line and of ``$AICOMPUTE_SPECS`` count.
    """

    def complete(ctx: Context, parameter: Parameter, incomplete: str) -> list[Any]:
        from aicompute.errors import AicomputeError
        from aicompute.specs import Library

        try:
            library = Library(ctx.params.get("specs") or ())
            found = matching((*(name for kind in kinds for name in library.ids(kind)), *extra), incomplete)
            return found or matching((alias for kind in kinds for alias, _ in library.aliases(kind)), incomplete)
        except AicomputeError:  # a folder that is not there: the command will say so
            return []

    return complete


def metrics(ctx: Context, parameter: Parameter, incomplete: str) -> list[Any]:
    """Offer metrics; of several with commas, the last."""
    from aicompute.estimate.result import METRICS

    before, comma, last = incomplete.rpartition(",")
    return [before + comma + name for name in matching(METRICS, last)]


def words(*those: str) -> Complete:
    """A function that offers some words."""

    def complete(ctx: Context, parameter: Parameter, incomplete: str) -> list[Any]:
        return matching(those, incomplete)

    return complete


def matching(names: Iterable[str], incomplete: str) -> list[Any]:
    """The names that begin so, in any case.

    Examples
    --------
    >>> matching(["gb200-nvl72", "gb300-nvl72", "dgx-h100"], "GB")
    ['gb200-nvl72', 'gb300-nvl72']
    """
    return [name for name in names if name.lower().startswith(incomplete.lower())]


MODELS, SITES, STACKS, SYSTEMS = ids("models"), ids("sites", extra=("home",)), ids("stacks"), ids("systems")
OPTIONS = {"model": MODELS, "train-model": MODELS, "stack": STACKS}
"""Of options with a name that several commands share."""
