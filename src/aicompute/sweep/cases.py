"""A design on specs: one case for every combination of words, whose axes are numbers in SI units."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from aicompute.arguments import accelerators_of, drafts_of, plan_of, rent_of, share_of
from aicompute.errors import UnknownNameError, UsageError
from aicompute.estimate.context import Scene, changed_scene, scene
from aicompute.estimate.inputs import runnable
from aicompute.estimate.recorded import AS_TENSOR, SERVING_PLAN, TERMS, TRAINING_PLAN, recorded, values_read
from aicompute.estimate.workload import Workload
from aicompute.search import best
from aicompute.search.compare import Options
from aicompute.search.service import drafts_worth_trying
from aicompute.specs import Library
from aicompute.sweep.design import MOST_POINTS, MOST_WORDS, Axis, Design
from aicompute.sweep.levels import WORDS, Levels, fields_of, levels_of, specs_in
from aicompute.tape import Recorded, needed
from aicompute.workload_grid import WORKLOADS, WorkloadGrid

_OTHERWISE = {"systems": ("accelerators", "usable"), "accelerators": ("devices", "peak.", "efficiency.")}
"""Beginnings of spec values that are not read by formulas alone: they also say how many devices there are, or which format runs."""
_CORNERS = 1024
DEFAULT_MODEL = {"training": "deepseek-v3"}
_CHOSEN_BY = ("tokens_per_s_per_accelerator", "memory_share", "tpot", "ttft")


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
    tries: tuple[Mapping[str, float], ...]
    """Numbers of the plan that are not given and have few values, draft tokens or ranks that share an expert: the better one counts."""
    random: bool
    rows: int
    barred: str = ""
    """Why no row is feasible whatever the plan: the terms of the site do not hold."""

    @property
    def one_unit(self) -> bool:
        """Whether there are as many accelerators as one unit has, however many that is."""
        given = any("accelerators" in axis.targets for axis in (*self.slow, *self.fast))
        return self.options.accelerators is None and not given

    def scene_with(self, values: Mapping[str, float]) -> Scene:
        """The scene with some spec values changed."""
        found = changed_scene(self.scene, values)
        return replace(found, accelerators=float(found.per_unit)) if self.one_unit else found


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
    cells = math.prod(len(axis.levels) for axis in worded)
    if cells > MOST_WORDS or (design.points is None and design.size > MOST_POINTS):
        said = f"{cells:,} combinations of names are more than {MOST_WORDS:,}"
        raise UsageError(said if cells > MOST_WORDS else f"{design.size:.4g} points are more than {MOST_POINTS:.0e}; give fewer levels")
    combinations = [dict(_pairs(worded, levels)) for levels in itertools.product(*(axis.levels for axis in worded))]
    share = _shares(design.points, len(combinations))
    kinds = tuple(dict.fromkeys(_kind({**design.fixed, **words}) for words in combinations))
    found = [_case(library, design, words, numbers, rows, kinds) for words, rows in zip(combinations, share, strict=True)]
    used = {name for case in found for name in _used(case)}
    idle = [name for axis in found[0].slow + found[0].fast for name in axis.names if name not in used]
    if idle:
        raise UsageError(f"{', '.join(idle)}: changes nothing in this sweep, no formula of it reads that value")
    return found


def _pairs(axes: Sequence[Axis], levels: Sequence[tuple[Any, ...]]) -> Iterator[tuple[str, Any]]:
    for axis, level in zip(axes, levels, strict=True):
        yield from zip(axis.names, level, strict=True)


def _shares(points: int | None, cases: int) -> list[int | None]:
    if points is None:
        return [None] * cases
    return [points // cases + (1 if place < points % cases else 0) for place in range(cases)]


def _kind(given: Mapping[str, Any]) -> str:
    kind = str(given.get("workload", "decode"))
    if kind not in WORKLOADS:
        raise UnknownNameError("workload", kind, WORKLOADS)
    return kind


def _case(
    lib: Library, design: Design, linked: Mapping[str, Any], axes: Sequence[Axis], rows: int | None, kinds: tuple[str, ...]
) -> Case:
    """The case of some words, and of numbers that move with them."""
    words = {name: value for name, value in linked.items() if name in WORDS}
    axes = [*axes, *(Axis((name,), ((value,),)) for name, value in linked.items() if name not in WORDS)]
    given = {**design.fixed, **words}
    if given.get("system") is None:
        raise UsageError("a sweep needs a system, such as system = 'gb200-nvl72'; or several, as an axis")
    kind = _kind(given)
    names = [name for axis in axes for name in axis.names]
    work = _workload(kind, {name: value for name, value in given.items() if name not in (*WORDS, *TERMS)}, kinds)
    options = _options(lib, kind, given, design.plan)
    model = str(given.get("model", DEFAULT_MODEL.get(kind, "deepseek-r1-0528")))
    s = scene(lib, str(given["system"]), model, kind, options.sites[0] if options.sites else None, options.stack, options.precision,
              options.accelerators, options.used(work), options.rent)  # fmt: skip
    levels = [levels_of(lib, s, kind, axis) for axis in axes]
    targets = [target for axis in levels for target in axis.targets]
    twice = [name for name, target in zip(names, targets, strict=True) if targets.count(target) > 1]
    if twice:
        raise UsageError(f"{' and '.join(twice)} are the same input; give one of them")
    plan = _complete(s, kind, options, targets, plan_of({name: value for name, value in design.plan.items() if name == "sequences"}))
    slow, fast = _sorted(s, work, plan, levels)
    count = rows if rows is not None else math.prod(axis.size for axis in levels)
    tries = _tries(s, kind, options, targets) if plan is not None else ()
    columns = {"system": s.system.id, **{name: _word(value) for name, value in words.items() if name != "system"}}
    barred = "" if s.eligible else f"the terms of site {s.site.id} hold for chips of {', '.join(s.site.get('eligible.vendors'))} only"
    return Case(columns, s, work, plan or {}, options, slow, fast, plan is not None, tries, design.points is not None, count, barred)


def _tries(s: Scene, kind: str, o: Options, axes: Sequence[str]) -> tuple[Mapping[str, float], ...]:
    """What is tried of a plan that is given in full but for these."""
    if kind == "training":
        known = "etp" in axes or "etp" in o.plan
        experts = bool(s.model.get("num_moe_layers", 0))
        return ({},) if known else ({"etp": 1.0}, {"etp": AS_TENSOR}) if experts else ({"etp": 1.0},)
    if "drafts" in axes:
        return ({},)
    return tuple({"drafts": n} for n in ((0.0,) if kind == "prefill" else drafts_worth_trying(s, o.drafts)))


def _word(value: Any) -> str:
    """A name as a column has it; a map of precisions as the command line writes it."""
    return ",".join(f"{role}={word}" for role, word in value.items()) if isinstance(value, Mapping) else str(value)


def _workload(kind: str, fields: Mapping[str, Any], kinds: Sequence[str]) -> Workload:
    """A workload with what is fixed of it; what means something to another kind of the sweep only is left to that one."""
    wrong = [name for name in fields if not any(name in fields_of(each) for each in kinds)]
    if wrong:
        raise UsageError(f"{', '.join(wrong)}: no meaning in a {kind} scenario, which has {', '.join(fields_of(kind))}")
    made = WORKLOADS[kind](**{n: v for n, v in fields.items() if n in fields_of(kind) and n not in ("batch", "drafts")})
    if isinstance(made, WorkloadGrid):
        raise UsageError(f"{', '.join(made.axes)}: give lists under axes")
    return made


def _options(lib: Library, kind: str, given: Mapping[str, Any], plan: Mapping[str, Any]) -> Options:
    """Terms of the estimates."""
    drafts, batch = (given.get(name) if name in fields_of(kind) else None for name in ("drafts", "batch"))
    own = {name: value for name, value in plan.items() if name != "sequences" or kind == "training"}
    numbers = plan_of(own if batch is None else {**own, "batch": batch})
    best.check_overrides(numbers, best.TRAINING_KEYS if kind == "training" else best.SERVING_KEYS, kind)
    return Options(
        sites=() if given.get("site") is None else (str(given["site"]),),
        stack=given.get("stack"),
        precision=given.get("precision"),
        utilisation=share_of("utilisation", given.get("utilisation")),
        accelerators=accelerators_of(given.get("accelerators")),
        plan=numbers,
        samples=0,
        rent=rent_of(given.get("rent"), lib),
        drafts=() if drafts is None else (drafts_of(drafts),),
    )


def _complete(s: Scene, kind: str, o: Options, axes: Sequence[str], load: Mapping[str, float]) -> dict[str, float] | None:
    """Numbers of a plan that is given in full, with the axes; None where some of it has to be chosen."""
    plan = {**o.plan, **load}
    named = {*plan, *axes}
    if kind == "training":
        if "sequence_parallel" not in named:
            plan["sequence_parallel"] = 1.0 if s.stack.get("defaults.sequence_parallel", True) else 0.0
            named.add("sequence_parallel")
        return plan if set(TRAINING_PLAN) <= named else None
    full = {"tp", "dp", "pp", "ep"} <= named
    if "sequences" in named and not full:
        raise UsageError("sequences are those of an engine, whose plan is needed in full (tp, dp, pp, ep); or give batch")
    return plan if full and named & {"batch", "sequences"} else None


def _sorted(
    s: Scene, w: Workload, plan: Mapping[str, float] | None, levels: Sequence[Levels]
) -> tuple[tuple[Levels, ...], tuple[Levels, ...]]:
    """Axes for which everything is made anew, and those that formulas take as arrays."""
    read = values_read(s)
    slow: list[Levels] = []
    fast: list[Levels] = []
    choosing = _choosing(s, w) if plan is None else set()
    formats = _changes_formats(s, levels)
    for axis in levels:
        spec_values = [target for target in axis.targets if "/" in target]
        if plan is None:
            anew = len(spec_values) < len(axis.targets) or any(target not in read or target in choosing for target in spec_values)
        else:
            anew = any(target not in read or target.endswith(".devices") or target in formats for target in spec_values)
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


def _changes_formats(s: Scene, axes: Sequence[Levels]) -> set[str]:
    """Spec values of the chip among the axes, if some of their levels together make it compute a format in other units.

    What a format reaches moves one way with each value, so that it is enough to look at the ends of every axis.
    """
    own = [axis for axis in axes if any(target.startswith("accelerators/") for target in axis.targets)]
    targets = [target for axis in own for target in axis.targets]
    before = [runnable(s.accelerator, word) for word in s.precision.values()]
    for corner in itertools.islice(itertools.product(*(axis.corners() for axis in own)), _CORNERS + 1 if own else 0):
        other = changed_scene(s, dict(zip(targets, np.concatenate(corner).tolist(), strict=True))).accelerator
        if [runnable(other, word) for word in s.precision.values()] != before:
            return set(targets)
    return set(targets) if math.prod(len(axis.corners()) for axis in own) > _CORNERS else set()


def _used(case: Case) -> set[str]:
    """Names of the axes of a case that have an effect there."""
    found = set()
    read = values_read(case.scene)
    for axis in (*case.slow, *case.fast):
        for name, target in zip(axis.names, axis.targets, strict=True):
            if "/" not in target or target in read or _read_otherwise(case.scene, target):
                found.add(name)
    return found


def _read_otherwise(s: Scene, target: str) -> bool:
    """Whether a spec value is used though no formula asks for it by its name."""
    kind, _, rest = target.partition("/")
    for spec in specs_in(s):
        if spec.kind == kind and rest.startswith(f"{spec.id}."):
            path = rest[len(spec.id) + 1 :]
            switch = isinstance(spec.get(path, None), bool)
            return switch or kind == "models" or path.startswith(_OTHERWISE.get(kind, ()))
    return False
