"""Errors that a person can act on: each says what was wrong, what is allowed and what was probably meant."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any


class AicomputeError(ValueError):
    """Base of all errors raised for bad input; ``exit_code`` is what the command line returns."""

    exit_code = 1


class UsageError(AicomputeError):
    """An option or argument has a value that is not allowed."""

    exit_code = 2


class SpecError(AicomputeError):
    """A spec file is broken; the message lists every fault with file and key."""


class UnitError(UsageError):
    """A quantity has a wrong dimension, an unknown unit or cannot be read."""


class PlanError(UsageError):
    """A plan does not fit the devices, the model or the batch."""


class InfeasibleError(AicomputeError):
    """No plan fits memory or meets the targets; the message says by how much."""

    exit_code = 4


class ToleranceError(AicomputeError):
    """Errors on measurements exceed what was allowed; the message lists them."""

    exit_code = 3


class UnknownNameError(UsageError):
    """A name that is not known; the message carries the nearest ones.

    Parameters
    ----------
    what : str            What was asked for ("system", "option --tpot").
    name : str            The name as given.
    known : iterable      The names that exist.
    """

    def __init__(self, what: str, name: str, known: Iterable[str]) -> None:
        self.name = name
        known = list(known)
        self.nearest = nearest(name, known)
        hint = f"; did you mean {' or '.join(repr(n) for n in self.nearest)}?" if self.nearest else _choice(known)
        super().__init__(f"unknown {what} {name!r}{hint}")

    def __reduce__(self) -> tuple[Any, ...]:
        """Travels to other processes, as libraries that hold one do: its ``args`` are not those of the constructor."""
        return type(self).__new__, (type(self), *self.args), vars(self)


MANY = 24
"""Names above which a message does not list them all."""


def _choice(known: Sequence[str]) -> str:
    """What is allowed where nothing is near, as far as it can be read."""
    if not known:
        return ""
    more = f" and {len(known) - MANY:,} more" if len(known) > MANY else ""
    return f"; there {'are' if len(known) > 1 else 'is'} {', '.join(map(str, known[:MANY]))}{more}"


def nearest(name: str, known: Iterable[str], count: int = 3) -> list[str]:
    """Names of ``known`` that look like ``name``, best first.

    Examples
    --------
    >>> nearest("gb200-nvl27", ["gb200-nvl72", "dgx-h100"])
    ['gb200-nvl72']
    """
    from difflib import get_close_matches  # only for those who mistyped

    names = list(known)
    return get_close_matches(name.lower(), names, n=count, cutoff=0.55) or [n for n in names if name.lower() in n][:count]
