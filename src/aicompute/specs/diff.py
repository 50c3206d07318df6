"""How two specs differ, key by key."""

from __future__ import annotations

from typing import Any, NamedTuple

from aicompute.errors import UsageError
from aicompute.specs.spec import Spec
from aicompute.specs.value import Value

_ABOUT_THE_FILE = ("name", "aliases", "notes", "extends", "abstract")


class Difference(NamedTuple):
    """One key whose content differs; ``ratio`` is b over a where both are numbers other than zero."""

    path: str
    a: Any
    b: Any
    ratio: float | None


def diff(a: Spec, b: Spec) -> list[Difference]:
    """Keys that differ between two specs of one kind, in the order of the first; None stands for an absent key.

    Values differ where the number or its range does; a different source or note alone is no difference.
    """
    if a.kind != b.kind:
        raise UsageError(f"cannot compare {a.id!r} ({a.kind}) with {b.id!r} ({b.kind}); both must be of one kind")
    left, right = dict(a.leaves()), dict(b.leaves())
    paths = [path for path in dict.fromkeys([*left, *right]) if path.rpartition(".")[2] not in _ABOUT_THE_FILE]
    return [
        Difference(path, left.get(path), right.get(path), None if path == "year" else _ratio(left.get(path), right.get(path)))
        for path in paths
        if _content(left.get(path)) != _content(right.get(path))
    ]


def _content(leaf: Any) -> Any:
    """What counts in a comparison."""
    return (leaf.value, leaf.low, leaf.high) if isinstance(leaf, Value) else leaf


def _ratio(a: Any, b: Any) -> float | None:
    """Ratio b / a, or None where there is none."""
    first, second = (leaf.value if isinstance(leaf, Value) else leaf for leaf in (a, b))
    if any(isinstance(leaf, bool) or not isinstance(leaf, (int, float)) for leaf in (first, second)):
        return None
    return second / first if first else None
