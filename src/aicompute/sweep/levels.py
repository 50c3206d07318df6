"""Axes of numbers: what a name sets, and its values in SI units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aicompute.arguments import accelerators_of, drafts_of, plan_of, rent_of, share_of
from aicompute.errors import UnknownNameError, UsageError
from aicompute.estimate.context import ROLES, Scene
from aicompute.estimate.recorded import FIELDS, SERVING_PLAN, TERMS, TRAINING_PLAN, address
from aicompute.search import best
from aicompute.specs import Library, Spec, Value
from aicompute.sweep.design import TARGETS, Axis, column_of, plain_name
from aicompute.workload_grid import WORKLOADS

WORDS = ("system", "model", "workload", "site", "stack", "precision")
"""Axes of names: each combination is a case of its own."""
_LATE: Mapping[str, tuple[str, ...]] = {"training": (), "prefill": ("ttft",), "decode": ("tpot",), "serving": TARGETS}
"""Latency targets of each kind of work."""
_COUNTS = ("input_length", "output_length", "sequence_length", "global_batch", "accelerators", "drafts", "sequences", *TRAINING_PLAN, "ep")
_COUNTED = ("device", "accelerator", "device/accelerator")


@dataclass(frozen=True)
class Levels:
    """An axis of numbers in one case."""

    names: tuple[str, ...]
    """As a person calls them."""
    targets: tuple[str, ...]
    """What they set: a number of the plan, the workload or the scene by its name, or a spec value by its `address`."""
    values: NDArray[np.float64] | None = None
    """Shape (levels, names); None where ends are given."""
    ends: tuple[tuple[float, float], ...] = ()
    logs: tuple[bool, ...] = ()
    count: int | None = None
    units: tuple[str, ...] = ()
    """In which people read each; empty where it is a plain number."""
    whole: tuple[bool, ...] = ()
    """Which of them are counts: what lies between the ends of a range is rounded."""

    @property
    def size(self) -> int:
        """Levels in a grid."""
        return self.count or 1 if self.values is None else len(self.values)

    def level(self, place: Any) -> NDArray[np.float64]:
        """Values at some places of a grid: shape (names, ...)."""
        if self.values is not None:
            return np.asarray(self.values.T[:, place])
        return self.at(np.asarray(place) / (self.size - 1))

    def at(self, share: Any) -> NDArray[np.float64]:
        """Values at shares of the way from one end to the other, or of the list: shape (names, ...)."""
        if self.values is not None:
            return np.asarray(self.values.T[:, np.minimum((np.asarray(share) * len(self.values)).astype(int), len(self.values) - 1)])
        found = []
        for (low, high), log, whole in zip(self.ends, self.logs, self.whole, strict=True):
            between = low * (high / low) ** share if log else low + (high - low) * share
            found.append(np.rint(between) if whole else np.where(share == 1.0, high, between))
        return np.asarray(found)

    def corners(self) -> NDArray[np.float64]:
        """Levels among which each name has its least and its largest value: shape (levels, names)."""
        if self.values is None:
            return np.asarray([self.at(0.0), self.at(1.0)])
        return np.asarray(self.values[np.unique([*self.values.argmin(axis=0), *self.values.argmax(axis=0)])])


def fields_of(kind: str) -> tuple[str, ...]:
    """What a kind of work may be told."""
    own = {"training": (), "prefill": ("batch",)}.get(kind, ("batch", "drafts"))
    return (*FIELDS[kind], *_LATE[kind], *own)


def levels_of(lib: Library, s: Scene, kind: str, axis: Axis) -> Levels:
    """An axis with its values in SI units."""
    targets = tuple(_target(lib, s, kind, name) for name in axis.names)
    units = tuple(_unit(s, target) for target in targets)
    columns = tuple(map(column_of, axis.names))

    known: dict[tuple[int, str], float] = {}

    def number(place: int, value: Any) -> float:
        key = place, repr(value)
        if key not in known:
            known[key] = _number(lib, s, kind, axis.names[place], targets[place], value)
        return known[key]

    if axis.ranges:
        ends = tuple((number(k, r.low), number(k, r.high)) for k, r in enumerate(axis.ranges))
        for (low, high), r, name in zip(ends, axis.ranges, axis.names, strict=True):
            if r.spacing == "log" and not (low > 0.0 and high > 0.0):
                raise UsageError(f"{name}: a log range needs ends above zero, not {r.low!r} and {r.high!r}")
            if low == high:
                raise UsageError(f"{name}: the range from {r.low!r} to {r.high!r} is a single value")
        whole = tuple(t in _COUNTS or unit in _COUNTED or t.startswith("models/") for t, unit in zip(targets, units, strict=True))
        return Levels(columns, targets, None, ends, tuple(r.spacing == "log" for r in axis.ranges), axis.ranges[0].count, units, whole)
    values = np.array([[number(k, value) for k, value in enumerate(level)] for level in axis.levels])
    return Levels(columns, targets, values, units=units)


def _target(lib: Library, s: Scene, kind: str, name: str) -> str:
    """What a name sets."""
    short = plain_name(name)
    plans = (*TRAINING_PLAN, "etp") if kind == "training" else tuple(n for n in SERVING_PLAN if n != "drafts" or kind != "prefill")
    known = (*plans, *fields_of(kind), *TERMS)
    if short in known:
        return short
    if any(short in (*SERVING_PLAN, *TRAINING_PLAN, *fields_of(each)) for each in WORKLOADS):
        raise UsageError(f"axis {name}: no meaning in a {kind} scenario, which has {', '.join(dict.fromkeys(known))}")
    head, _, path = name.partition(".")
    if head in ROLES and path:
        spec: Spec = getattr(s, head)
        return address(spec, path)
    if path:
        kind_of, identifier, path = lib.address(name)
        return f"{kind_of}/{identifier}.{path}"
    raise UnknownNameError("axis", name, (*known, *WORDS, *(f"{role}.…" for role in ROLES)))


def _unit(s: Scene, target: str) -> str:
    """The unit of a target, as its spec states it."""
    kind, slash, rest = target.partition("/")
    for spec in specs_in(s) if slash else ():
        if spec.kind == kind and rest.startswith(f"{spec.id}."):
            found = spec.get(rest[len(spec.id) + 1 :], None)
            return found.unit if isinstance(found, Value) else ""
    return "s" if target in TARGETS else "USD/accelerator/h" if target == "rent" else ""


def _number(lib: Library, s: Scene, kind: str, name: str, target: str, value: Any) -> float:
    """A level of an axis in SI units."""
    if "/" in target:
        return _spec_number(lib, name, target, value)
    if isinstance(value, (list, dict)):
        raise UsageError(f"{name} = {value!r}: expected a number, or a text with a unit")
    if target in FIELDS[kind] or target in TARGETS:
        made = WORKLOADS[kind](**{target: value})
        return float(getattr(made, target))
    if target == "utilisation":
        return share_of(name, value) or 0.0
    if target == "accelerators":
        return accelerators_of(value) or 0.0
    if target == "rent":
        return rent_of(value, lib) or 0.0
    if target == "drafts":
        return drafts_of(value)
    number = float(plan_of({("batch" if target == "sequences" else target): value})["batch" if target == "sequences" else target])
    if target == "sequences":
        if number < 1.0:
            raise UsageError(f"{name} = {value!r}: expected a number of at least 1")
        return number
    best.check_overrides({target: number}, best.TRAINING_KEYS if kind == "training" else best.SERVING_KEYS, kind)
    return number


def _spec_number(lib: Library, name: str, target: str, value: Any) -> float:
    """A level of a spec value in SI units, checked as an override is; "x2" is twice what the spec says."""
    kind, identifier, path = lib.address(target)
    if isinstance(value, str) and value[:1] == "x":
        try:
            factor = float(value[1:])
        except ValueError:
            raise UsageError(f"{name} = {value!r}: expected a multiple such as 'x2'") from None
        if not lib.load(kind, identifier).has(path):
            lib.leaf(target, 1.0)  # says what is near where there is no such key at all
            raise UsageError(f"{name} = {value!r}: {identifier} says nothing of {path}, so that there is nothing to multiply; give values")
        number = factor * lib.load(kind, identifier).si(path)
        value = int(number) if number.is_integer() and isinstance(lib.load(kind, identifier).get(path), int) else number
    if isinstance(value, float) and value.is_integer() and isinstance(lib.load(kind, identifier).get(path, None), int):
        value = int(value)
    leaf = lib.leaf(target, value)
    if isinstance(leaf, Value):
        return leaf.value
    if isinstance(leaf, (bool, int, float)):
        return float(leaf)
    raise UsageError(f"{name} = {value!r}: {path} of {identifier} is no number; axes of words are {', '.join(WORDS)}")


def specs_in(s: Scene) -> tuple[Spec, ...]:
    """The specs of a scene."""
    return s.system, s.accelerator, s.model, s.stack, s.site
