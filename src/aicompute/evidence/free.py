"""Values that a fit may move: where they stand, how they are scaled, and what is believed of them before."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from aicompute.errors import AicomputeError
from aicompute.estimate.reading import Sampler, read_value
from aicompute.numerics import Array
from aicompute.specs import Library, Spec

Vector = NDArray[np.float64]
Place = tuple[str, str, str]
"""Kind, id and path of a value."""


@dataclass(frozen=True)
class Free:
    """One value that a fit may move."""

    place: Place
    prior: float
    """What is believed before, in SI units; where a parent's value is free too, the parent's value takes its place."""
    spread: float
    """Standard deviation of the belief, of ln(value), or of ln(share / (1 - share))."""
    share: bool = False
    """Lies between 0 and 1."""
    why: str = ""

    @property
    def name(self) -> str:
        """Such as stacks/sglang step.fixed."""
        kind, identifier, path = self.place
        return f"{kind}/{identifier} {path}"

    def to_line(self, value: float) -> float:
        """A value on the whole line: its logarithm, or its log-odds.

        Examples
        --------
        >>> Free(("stacks", "s", "p"), 1.0, 1.0, share=True).to_line(0.5)
        0.0
        """
        if self.share:
            inside = min(max(value, 1e-6), 1.0 - 1e-6)
            return math.log(inside / (1.0 - inside))
        return math.log(value)

    def from_line(self, point: Array) -> Array:
        """The value at a point of the line."""
        return 1.0 / (1.0 + np.exp(-point)) if self.share else np.exp(point)


@dataclass
class Space:
    """Free values together: how far each is from what is believed of it, and which stand on which.

    A vector holds one number for each free value: its distance on the line from its parent's value (from its prior where no parent is
    free). So a device or stack without measurements stays at the value of its family or kind.
    """

    lib: Library
    free: tuple[Free, ...]
    chains: tuple[tuple[int, ...], ...] = field(init=False)
    """For each free value the positions whose distances add up to it, itself first, the root last."""
    _position: dict[Place, int] = field(init=False)
    _found: dict[Place, int | None] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._position = {one.place: index for index, one in enumerate(self.free)}
        if len(self._position) < len(self.free):
            names = [one.name for one in self.free]
            raise AicomputeError(f"free twice: {', '.join(sorted({name for name in names if names.count(name) > 1}))}")
        self.chains = tuple(self._chain(index) for index in range(len(self.free)))

    @property
    def spreads(self) -> Vector:
        """Of all beliefs."""
        return np.array([one.spread for one in self.free])

    def _chain(self, index: int) -> tuple[int, ...]:
        kind, identifier, path = self.free[index].place
        above = [self._position.get((kind, name, path)) for name in self.lib.lineage(kind, identifier)[1:]]
        return (index, *(position for position in above if position is not None))

    def heirs(self, index: int) -> list[int]:
        """Free values that stand directly on one."""
        return [heir for heir, chain in enumerate(self.chains) if len(chain) > 1 and chain[1] == index]

    def points(self, moved: Vector) -> Vector:
        """Points on the line, of moved distances; the first axis runs over the free values."""
        return np.array(
            [sum((moved[link] for link in chain), self.free[chain[-1]].to_line(self.free[chain[-1]].prior)) for chain in self.chains]
        )

    def values(self, moved: Vector) -> Vector:
        """Values in SI units, of moved distances."""
        return np.array([one.from_line(point) for one, point in zip(self.free, self.points(moved), strict=True)])

    def position(self, spec: Spec, path: str) -> int | None:
        """Which free value a spec reads at a path: its own, or the nearest it inherits; None where a stated value stands before."""
        place = (spec.kind, spec.id, path)
        if place not in self._found:
            self._found[place] = self._search(place)
        return self._found[place]

    def _search(self, place: Place) -> int | None:
        kind, identifier, path = place
        for name in self.lib.lineage(kind, identifier):
            if (kind, name, path) in self._position:
                return self._position[kind, name, path]
            if self.lib.states(kind, name, path):
                return None
        return None


@dataclass
class FreeReader:
    """Reads free values as they are moved, and others as they stand; remembers which it was asked for."""

    space: Space
    values: Sequence[Array]
    """By position."""
    touched: set[int] = field(default_factory=set)

    def __call__(self, spec: Spec, path: str, default: float | None = None) -> Array:
        """The number at a path in SI units."""
        position = self.space.position(spec, path)
        if position is None:
            return read_value(spec, path, default)
        self.touched.add(position)
        return self.values[position]


@dataclass(frozen=True)
class DrawnReader:
    """Draws of every value, free or not, along an axis before that of the rows."""

    sampler: Sampler
    space: Space | None = None
    moved: Vector | None = None
    spreads: Vector | None = None
    """Of the free values on their lines."""

    def __call__(self, spec: Spec, path: str, default: float | None = None) -> Array:
        """The draws at a path, shape (draws, 1); a float where a value has no range."""
        position = None if self.space is None else self.space.position(spec, path)
        if self.space is None or self.moved is None or self.spreads is None or position is None:
            found = self.sampler(spec, path, default)
            return found[:, None] if isinstance(found, np.ndarray) else found
        one = self.space.free[position]
        point = self.space.points(self.moved)[position] + self.spreads[position] * self.sampler.normal(one.name)
        return np.asarray(one.from_line(point))[:, None]


def stated(lib: Library, place: Place) -> float:
    """The value that stands at a place [SI]."""
    kind, identifier, path = place
    return lib.load(kind, identifier).si(path)


def entries(lib: Library, table: Sequence[Mapping[str, object]]) -> list[Free]:
    """Free values of the entries of a calibration file; each names one spec or several.

    Raises
    ------
    AicomputeError
        An entry that names nothing, or has no belief.
    """
    from aicompute import units

    found = []
    for item in table:
        specs, path = item.get("spec"), item.get("path")
        names = [specs] if isinstance(specs, str) else specs
        if not isinstance(names, list) or not isinstance(path, str):
            raise AicomputeError(f"free value {dict(item)!r}: expected spec = 'stacks/sglang' (or several) and path = 'step.fixed'")
        spread, value = item.get("spread"), item.get("value")
        if not isinstance(spread, (int, float)) or not spread > 0:
            raise AicomputeError(f"free value {names[0]} {path}: spread {spread!r} is not above 0")
        for name in names:
            kind, _, identifier = str(name).partition("/")
            place = (kind, identifier, path)
            prior = units.from_unit(value, str(item.get("unit", "1"))) if isinstance(value, (int, float)) else stated(lib, place)
            found.append(Free(place, prior, float(spread), item.get("scale", "log") == "share", str(item.get("why", ""))))
    return found
