"""A design on specs: one case for every combination of words, whose axes are numbers in SI units."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aicompute.arguments import accelerators_of, drafts_of, plan_of, rent_of, share_of
from aicompute.errors import UnknownNameError, UsageError
from aicompute.estimate.context import ROLES, Scene, changed_scene, scene
from aicompute.estimate.inputs import runnable
from aicompute.estimate.recorded import FIELDS, SERVING_PLAN, TERMS, TRAINING_PLAN, address, recorded, values_read
from aicompute.estimate.workload import Workload
from aicompute.search.compare import Options
from aicompute.search.service import drafts_worth_trying
from aicompute.specs import Library, Spec, Value
from aicompute.sweep.design import FIXED, Axis, Design
from aicompute.tape import Recorded, needed
from aicompute.workload_grid import WORKLOADS, WorkloadGrid

WORDS = ("system", "model", "workload", "site", "stack", "precision")
"""Axes of names: each combination is a case of its own."""
TARGETS = ("ttft", "tpot")
DEFAULT_MODEL = {"training": "deepseek-v3"}
_CHOSEN_BY = ("tokens_per_s_per_accelerator", "memory_share", "tpot", "ttft")


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
        for (low, high), log in zip(self.ends, self.logs, strict=True):
            found.append(low * (high / low) ** share if log else low + (high - low) * share)
        return np.asarray(found)


@dataclass(frozen=True)
class Case:
    """All points that share their words."""

    words: Mapping[str, Any]
    """Columns that are the same throughout."""
    scene: Scene
    work: Workload
    plan: Mapping[str, float]
    options: Options
    slow: tuple[Levels, ...]
    """Axes for which everything is made anew: other specs to plan with, or a plan to be chosen."""
    fast: tuple[Levels, ...]
    """Axes that formulas take as arrays."""
    flat: bool
    """The plan is given in full; else it is chosen at each level of the slow axes."""
    drafts: tuple[float, ...]
    """Draft tokens to try where they are not given, the better of them counts; empty where they are, or mean nothing."""
    random: bool
    rows: int


def cases_of(lib: Library, design: Design) -> list[Case]:
    """The cases of a design; random points are shared out equally.

    Raises
    ------
    AicomputeError
        A name is unknown, a value has a wrong unit or makes no sense, or an axis changes nothing.
    """
    library = lib.override(design.set) if design.set else lib
    worded = [axis for axis in design.axes if any(name in WORDS for name in axis.names)]
    numbers = [axis for axis in design.axes if axis not in worded]
    if any(axis.ranges for axis in worded):
        raise UsageError(f"{', '.join(n for a in worded if a.ranges for n in a.names)}: names have no range; give a list")
    combinations = [dict(_pairs(worded, levels)) for levels in itertools.product(*(axis.levels for axis in worded))]
    share = _shares(design.points, len(combinations))
    found = [_case(library, design, words, numbers, rows) for words, rows in zip(combinations, share, strict=True)]
    read = {target for case in found for target in _used(case)}
    every = found[0].slow + found[0].fast
    idle = [name for axis in every for name, target in zip(axis.names, axis.targets, strict=True) if target not in read]
    if idle:
        raise UsageError(f"{idle[0]} changes nothing in this sweep: no formula of it reads that value")
    return found


def _pairs(axes: Sequence[Axis], levels: Sequence[tuple[Any, ...]]) -> Iterator[tuple[str, Any]]:
    for axis, level in zip(axes, levels, strict=True):
        yield from zip(axis.names, level, strict=True)


def _shares(points: int | None, cases: int) -> list[int | None]:
    if points is None:
        return [None] * cases
    return [points // cases + (1 if place < points % cases else 0) for place in range(cases)]


def _case(lib: Library, design: Design, words: Mapping[str, Any], axes: Sequence[Axis], rows: int | None) -> Case:
    """The case of some words."""
    given = {**design.fixed, **words}
    if given.get("system") is None:
        raise UsageError("a sweep needs a system, such as system = 'gb200-nvl72'; or several, as an axis")
    kind = str(given.get("workload", "decode"))
    if kind not in WORKLOADS:
        raise UnknownNameError("workload", kind, WORKLOADS)
    names = [name for axis in axes for name in axis.names]
    work = _workload(kind, {name: value for name, value in given.items() if name not in (*WORDS, *TERMS, "drafts", "batch")}, given)
    options = _options(lib, given, {**design.plan, **{n: v for n, v in words.items() if n not in FIXED}})
    model = str(given.get("model", DEFAULT_MODEL.get(kind, "deepseek-r1-0528")))
    s = scene(lib, str(given["system"]), model, kind, options.sites[0] if options.sites else None, options.stack, options.precision,
              options.accelerators, options.used(work), options.rent)  # fmt: skip
    levels = [_levels(lib, s, kind, axis) for axis in axes]
    plan = _complete(s, kind, options, work, names)
    slow, fast = _sorted(s, work, plan, levels)
    count = rows if rows is not None else math.prod(axis.size for axis in levels)
    tried = () if work.is_training or "drafts" in names else (0.0,) if kind == "prefill" else tuple(drafts_worth_trying(s, options.drafts))
    drafts = tried if plan is not None else ()
    columns = {**words, "system": s.system.id} if "system" in words or not words else dict(words)
    given_in_full = plan is not None
    return Case(columns, s, work, plan or {}, options, slow, fast, given_in_full, drafts, design.points is not None, count)


def _workload(kind: str, fields: Mapping[str, Any], given: Mapping[str, Any]) -> Workload:
    """A workload with what is fixed of it."""
    known = (*FIELDS[kind], *(("batch",) if kind in ("decode", "prefill") else ()), *TARGETS)
    wrong = [name for name in fields if name not in known]
    if wrong:
        raise UsageError(f"{', '.join(wrong)} has no meaning in a {kind} scenario, which has {', '.join(known)}")
    late = {"decode": "ttft", "prefill": "tpot"}.get(kind)  # what this kind of work does not have
    allowed = {name: value for name, value in fields.items() if name != late}
    if kind in ("decode", "prefill") and given.get("batch") is not None:
        allowed["batch"] = given["batch"]
    made = WORKLOADS[kind](**allowed)
    if isinstance(made, WorkloadGrid):
        raise UsageError(f"{', '.join(made.axes)}: give lists under axes")
    return made


def _options(lib: Library, given: Mapping[str, Any], plan: Mapping[str, Any]) -> Options:
    """Terms of the estimates."""
    drafts = given.get("drafts")
    return Options(
        sites=() if given.get("site") is None else (str(given["site"]),),
        stack=given.get("stack"),
        precision=given.get("precision"),
        utilisation=share_of("utilisation", given.get("utilisation")),
        accelerators=accelerators_of(given.get("accelerators")),
        plan=plan_of({name: value for name, value in plan.items() if name != "sequences"}),
        samples=0,
        rent=rent_of(given.get("rent"), lib),
        drafts=() if drafts is None else (drafts_of(drafts),),
    )


def _levels(lib: Library, s: Scene, kind: str, axis: Axis) -> Levels:
    """An axis with its values in SI units."""
    targets = tuple(_target(lib, s, kind, name) for name in axis.names)
    units = tuple(_unit(s, target) for target in targets)

    def number(place: int, value: Any) -> float:
        return _number(lib, s, kind, axis.names[place], targets[place], value)

    if axis.ranges:
        ends = tuple((number(k, r.low), number(k, r.high)) for k, r in enumerate(axis.ranges))
        for (low, high), r, name in zip(ends, axis.ranges, axis.names, strict=True):
            if r.spacing == "log" and not (low > 0.0 and high > 0.0):
                raise UsageError(f"{name}: a log range needs ends above zero, not {r.low!r} and {r.high!r}")
            if low == high:
                raise UsageError(f"{name}: the range from {r.low!r} to {r.high!r} is a single value")
        return Levels(axis.names, targets, None, ends, tuple(r.spacing == "log" for r in axis.ranges), axis.ranges[0].count, units)
    values = np.array([[number(k, value) for k, value in enumerate(level)] for level in axis.levels])
    return Levels(axis.names, targets, values, units=units)


def _target(lib: Library, s: Scene, kind: str, name: str) -> str:
    """What a name sets."""
    short = {"vpp": "chunks", "isl": "input_length", "osl": "output_length"}.get(name, name)
    plans = TRAINING_PLAN if kind == "training" else (*SERVING_PLAN, "batch")
    known = (*plans, *FIELDS[kind], *TERMS, *TARGETS)
    if short in known:
        return short
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
    for spec in _specs(s) if slash else ():
        if spec.kind == kind and rest.startswith(f"{spec.id}."):
            found = spec.get(rest[len(spec.id) + 1 :], None)
            return found.unit if isinstance(found, Value) else ""
    return "s" if target in TARGETS else ""


def _number(lib: Library, s: Scene, kind: str, name: str, target: str, value: Any) -> float:
    """A level of an axis in SI units."""
    if isinstance(value, bool):
        return float(value)
    if "/" in target:
        kind_of, _, rest = target.partition("/")
        spec = next((x for x in _specs(s) if rest.startswith(f"{x.id}.") and x.kind == kind_of), None)
        identifier, path = (spec.id, rest[len(spec.id) + 1 :]) if spec else lib.address(target)[1:]
        if isinstance(value, str) and value[:1] == "x":
            try:
                return float(value[1:]) * lib.load(kind_of, identifier).si(path)
            except ValueError:
                raise UsageError(f"{name} = {value!r}: expected a multiple such as 'x2'") from None
        return float(lib.override({target: value}).load(kind_of, identifier).si(path))
    if target in FIELDS[kind] or target in TARGETS:
        made = WORKLOADS["serving" if target in TARGETS else kind](**{target: value})
        return float(getattr(made, target))
    if target == "utilisation":
        return share_of(name, value) or 0.0
    if target == "accelerators":
        return accelerators_of(value) or 0.0
    if target == "rent":
        return rent_of(value, lib) or 0.0
    if target == "drafts":
        return drafts_of(value)
    if target in ("batch", "sequences"):
        number = float(plan_of({"batch": value})["batch"])
        if number <= 0.0:
            raise UsageError(f"{name} = {value!r}: expected a number above zero")
        return number
    return plan_of({name: value})[target]


def _specs(s: Scene) -> tuple[Spec, ...]:
    return s.system, s.accelerator, s.model, s.stack, s.site


def _complete(s: Scene, kind: str, o: Options, w: Workload, axes: Sequence[str]) -> dict[str, float] | None:
    """Numbers of a plan that is given in full, with the axes; None where some of it has to be chosen."""
    named = {"chunks" if name == "vpp" else name for name in (*o.plan, *axes)}
    plan = dict(o.plan)
    if kind == "training":
        if "sequence_parallel" not in named:
            plan["sequence_parallel"] = 1.0 if s.stack.get("defaults.sequence_parallel", True) else 0.0
            named.add("sequence_parallel")
        return plan if set(TRAINING_PLAN) <= named else None
    if w.batch is not None and "batch" not in named:
        plan["batch"] = w.batch
        named.add("batch")
    return plan if {"tp", "dp", "pp", "ep"} <= named and named & {"batch", "sequences"} else None


def _sorted(
    s: Scene, w: Workload, plan: Mapping[str, float] | None, levels: Sequence[Levels]
) -> tuple[tuple[Levels, ...], tuple[Levels, ...]]:
    """Axes for which everything is made anew, and those that formulas take as arrays."""
    read = values_read(s)
    slow: list[Levels] = []
    fast: list[Levels] = []
    choosing = _choosing(s, w) if plan is None else set()
    for axis in levels:
        spec_values = [target for target in axis.targets if "/" in target]
        if plan is None:
            anew = len(spec_values) < len(axis.targets) or any(target not in read or target in choosing for target in spec_values)
        else:
            anew = any(target not in read or target.endswith(".devices") for target in spec_values) or _changes_formats(s, axis)
        (slow if anew else fast).append(axis)
    return tuple(slow), tuple(fast)


def _choosing(s: Scene, w: Workload) -> set[str]:
    """Spec values that the choice of a plan depends on."""
    found: set[str] = set()
    kinds = ("serving", "decode", "prefill") if w.kind == "serving" else (w.kind,)
    for kind in kinds:
        names = TRAINING_PLAN if kind == "training" else SERVING_PLAN
        varying = {name: 1 for name in names} | dict.fromkeys(values_read(s), 1)
        metrics = recorded(s, replace(w, kind=kind), {}, varying)
        order = needed(value for name, value in metrics.items() if name in _CHOSEN_BY and isinstance(value, Recorded))
        found |= {str(value.arguments[0]) for value in order if value.operation == "input"}
    return found


def _changes_formats(s: Scene, axis: Levels) -> bool:
    """Whether an axis makes the chip compute some format in other units at one of its levels."""
    if not any(target.partition(".")[0].startswith("accelerators/") for target in axis.targets):
        return False
    before = [runnable(s.accelerator, word) for word in s.precision.values()]
    places = range(axis.size) if axis.values is not None and axis.size <= 64 else (0, axis.size - 1)
    ends = [axis.level(place) for place in places] if axis.values is not None else [axis.at(0.0), axis.at(1.0)]
    for values in ends:
        other = changed_scene(s, dict(zip(axis.targets, map(float, values), strict=True))).accelerator
        if [runnable(other, word) for word in s.precision.values()] != before:
            return True
    return False


def _used(case: Case) -> set[str]:
    """What the axes of a case set that has an effect there."""
    found = set()
    for axis in (*case.slow, *case.fast):
        for target in axis.targets:
            kind, slash, rest = target.partition("/")
            own = any(spec.kind == kind and rest.startswith(f"{spec.id}.") for spec in _specs(case.scene))
            if own or not slash:
                found.add(target)
    return found

