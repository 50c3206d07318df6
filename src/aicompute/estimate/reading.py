"""How a spec value becomes a number: as it stands, or drawn from its range."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Protocol

import numpy as np

from aicompute.errors import SpecError
from aicompute.numerics import Array
from aicompute.specs import Spec, Value


class Reader(Protocol):
    """How a value becomes a number: as it stands, or drawn from its range."""

    def __call__(self, spec: Spec, path: str, default: float | None = None) -> Array:
        """The number at a path in SI units."""


def read_value(spec: Spec, path: str, default: float | None = None) -> Array:
    """The value as it stands."""
    return float(spec.si(path) if default is None else spec.si(path, default))


@dataclass
class Sampler:
    """Draws values from their ranges; equal facts get equal draws, so that systems compared share them.

    ``low`` and ``high`` are read as the 5 % and 95 % points of a two-piece log-normal law around the value (normal where a sign changes).
    Values that were calibrated together are drawn together, with the correlations of their file.
    """

    count: int = 400
    seed: int = 20250616
    used: dict[str, Value] = field(default_factory=dict)
    _draws: dict[str, Array] = field(default_factory=dict)

    def normal(self, key: str) -> np.ndarray:
        """Standard normal draws that belong to a key; not to be written to."""
        return (_normal if self.count <= _FEW else _normal.__wrapped__)(self.seed, key, self.count)

    def __call__(self, spec: Spec, path: str, default: float | None = None) -> Array:
        """Draws of the value at a path; a float where it has no range."""
        found = spec.get(path, None) if default is not None else spec.get(path)
        if not isinstance(found, Value):
            return read_value(spec, path, default)
        if found.low == found.high:
            return found.value
        key = f"{path}|{found.value}|{found.low}|{found.high}|{found.source}"
        if key not in self._draws:
            joint = self._joint(spec, path)
            if joint is None and self.count <= _FEW:
                self._draws[key] = _own_draws(found, self.seed, key, self.count)
            elif joint is None:
                self._draws[key] = _shared((self.seed, self.count, found.unit, key), lambda: spread_draws(found, self.normal(key)))
            else:
                self._draws[key] = spread_draws(found, joint)
            self.used[f"{spec.id}.{path}"] = found
        return self._draws[key]

    def _joint(self, spec: Spec, path: str) -> np.ndarray | None:
        """Standard normal draws of a value that was calibrated with others; None for other values."""
        name, names = f"{spec.kind}/{spec.id} {path}", spec.get("calibration.parameters", ())
        if name not in names:
            return None
        rows = tuple(spec.get("calibration.correlation"))
        try:
            weights = correlation_root(rows)[names.index(name)]
            drawn = [weight * self.normal(f"{other}|{rows}") for weight, other in zip(weights, names, strict=True)]
            return np.asarray(np.sum(drawn, axis=0))
        except ValueError:
            count = len(names)
            raise SpecError(f"{spec.path}: calibration.correlation: expected {count} rows of {count} numbers between -1 and 1") from None


_FEW = 1000
"""Draws of a value up to which they are kept: systems, precisions and sites that are compared share most of them."""


@lru_cache(maxsize=1024)
def _normal(seed: int, key: str, count: int) -> np.ndarray:
    """Standard normal draws that belong to a key."""
    digest = hashlib.blake2b(f"{seed}|{key}".encode(), digest_size=8).digest()
    drawn = np.random.default_rng(int.from_bytes(digest, "little")).standard_normal(count)
    drawn.flags.writeable = False
    return drawn


@lru_cache(maxsize=1024)
def _own_draws(value: Value, seed: int, key: str, count: int) -> np.ndarray:
    """Draws of a value that was not calibrated with others."""
    drawn = spread_draws(value, _normal.__wrapped__(seed, key, count))
    drawn.flags.writeable = False
    return drawn


SHARED_BYTES = 400e6
"""Draws that are kept for the next system, which has many facts in common with the last."""
_kept: dict[tuple[object, ...], np.ndarray] = {}


def _shared(key: tuple[object, ...], make: Callable[[], np.ndarray]) -> np.ndarray:
    """Draws, made once as long as there is room; nobody may write into them."""
    if key not in _kept:
        made = make()
        made.flags.writeable = False
        if (len(_kept) + 1) * made.nbytes > SHARED_BYTES:
            _kept.pop(next(iter(_kept), ()), None)
        _kept[key] = made
    return _kept[key]


@cache
def correlation_root(rows: tuple[str, ...]) -> np.ndarray:
    """A matrix R with R R' the correlation whose rows are given as text; digits that were rounded away are made up for.

    Examples
    --------
    >>> root = correlation_root(("1 0.5", "0.5 1"))
    >>> np.round(root @ root.T, 9).tolist()
    [[1.0, 0.5], [0.5, 1.0]]
    """
    sizes, ways = np.linalg.eigh(np.array([[float(word) for word in row.split()] for row in rows]))
    root = ways * np.sqrt(np.maximum(sizes, 0.0))
    return np.asarray(root / np.linalg.norm(root, axis=1, keepdims=True))


def spread_draws(value: Value, normal: np.ndarray) -> np.ndarray:
    """Turn standard normal draws into draws of a value within its range."""
    quantile = 1.6448536269514722
    if value.low > 0.0 and value.value > 0.0:
        down, up = np.log(value.value / value.low) / quantile, np.log(value.high / value.value) / quantile
        drawn = np.where(normal < 0.0, down, up)
        drawn *= normal  # in place: for many draws new memory costs more than the arithmetic
        np.exp(drawn, out=drawn)
        drawn *= value.value
    else:
        drawn = value.value + normal / quantile * np.where(normal < 0.0, value.value - value.low, value.high - value.value)
        drawn = np.maximum(drawn, min(0.0, value.low))
    if value.unit == "1" and value.high <= 1.0:
        drawn = np.minimum(drawn, 1.0)
    return np.asarray(drawn)
