"""A complete spec: values by their paths."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from aicompute.errors import SpecError, nearest
from aicompute.specs.value import Value

Leaf = Value | str | int | float | bool | list[str]


class _Missing:
    """Stands for nothing; a class, so that it stays itself in copies."""


_MISSING: Final = _Missing


@dataclass(frozen=True)
class Spec:
    """A complete spec: what its file says on top of what it inherits.

    Parameters
    ----------
    kind, id : str
        Such as "systems" and "gb200-nvl72".
    path : Path
        The file.
    data : dict
        Nested; leaves are `Value`, str, int, float, bool or list. Tiers are a dict by name, in order from the inside.
    """

    kind: str
    id: str
    path: Path
    data: dict[str, Any]
    _looked_up: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)
    """What stood at the paths asked for; `data` is read-only."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Travels to other processes without what was looked up."""
        return Spec, (self.kind, self.id, self.path, self.data)

    @property
    def name(self) -> str:
        """The name people use."""
        return str(self.data.get("name", self.id))

    def has(self, path: str) -> bool:
        """True where the path leads to something."""
        return self._find(path) is not _MISSING

    def get(self, path: str, default: Any = _MISSING) -> Any:
        """Whatever stands at a path: a leaf or a dict.

        Raises
        ------
        SpecError
            Nothing stands there and no default is given.
        """
        found = self._find(path)
        if found is not _MISSING:
            return found
        if default is not _MISSING:
            return default
        close = nearest(path, (where for where, _ in self.leaves()), 2)
        hint = f"; did you mean {' or '.join(map(repr, close))}?" if close else ""
        raise SpecError(f"{self.path}: {path}: is missing, and needed here{hint}")

    def value(self, path: str) -> Value:
        """The `Value` at a path."""
        found = self.get(path)
        if not isinstance(found, Value):
            raise SpecError(f"{self.path}: {path}: is {_shown(found)}, expected a value with unit and source")
        return found

    def si(self, path: str, default: Any = _MISSING) -> float:
        """The number at a path in SI units; plain numbers as they are.

        Parameters
        ----------
        path : str
            Dotted, such as "tiers.scale-up.bandwidth".
        default : float, optional
            Returned as it is where nothing stands at the path.
        """
        found = self.get(path, default)
        if isinstance(found, Value):
            return found.value
        if found is default or (isinstance(found, (int, float)) and not isinstance(found, bool)):
            return found
        raise SpecError(f"{self.path}: {path}: is {_shown(found)}, expected a number")

    def changed(self, numbers: Mapping[str, float]) -> Spec:
        """The spec with other numbers, in SI units, at some paths; whole numbers stay whole where the spec has such."""
        data = self.data
        for path, number in numbers.items():
            old = self.get(path)
            leaf = old.replaced(number) if isinstance(old, Value) else int(number) if isinstance(old, int) else number
            data = with_leaf(data, path, leaf)
        return Spec(self.kind, self.id, self.path, data)

    def leaves(self) -> Iterator[tuple[str, Leaf]]:
        """Every leaf with its path."""
        return leaves(self.data)

    def walk(self) -> Iterator[tuple[str, Value]]:
        """Every `Value` with its path."""
        return ((path, leaf) for path, leaf in self.leaves() if isinstance(leaf, Value))

    def _find(self, path: str) -> Any:
        if path in self._looked_up:
            return self._looked_up[path]
        node: Any = self.data
        for part in path.split("."):
            if not isinstance(node, dict) or part not in node:
                node = _MISSING
                break
            node = node[part]
        self._looked_up[path] = node
        return node


def with_leaf(data: dict[str, Any], path: str, leaf: Leaf) -> dict[str, Any]:
    """The data with another leaf at a path; what is on the way is copied."""
    head, _, rest = path.partition(".")
    if not rest:
        return {**data, head: leaf}
    below = data.get(head)
    return {**data, head: with_leaf(below if isinstance(below, dict) else {}, rest, leaf)}


def leaves(data: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Leaf]]:
    """Leaves of nested dicts with dotted paths."""
    for name, item in data.items():
        if isinstance(item, dict):
            yield from leaves(item, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", item


def _shown(found: Any) -> str:
    """A found thing in a message."""
    return "a table" if isinstance(found, dict) else repr(found)
