"""The program from Python: the same questions and answers as the command line.

Numbers are SI (seconds, watts, tokens); texts with units ("50 ms") and pint quantities are converted. Every argument may be a list, tuple
or array: the answer is then a `Grid` with an axis of that name for each.
"""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from aicompute import units
from aicompute.errors import UnitError, UnknownNameError, UsageError
from aicompute.estimate import workload as workloads
from aicompute.estimate.inputs import specs_of
from aicompute.estimate.result import Comparison
from aicompute.estimate.workload import Workload
from aicompute.report.grid import Grid
from aicompute.report.views import ComparisonView, EstimateView, HeadlineView
from aicompute.search.compare import EQUAL, Options, compare_systems, headline
from aicompute.specs import Library, Spec
from aicompute.specs.schema import KINDS

SERVED, TRAINED = "deepseek-r1-0528", "deepseek-v3"
"""Models of a question that names none."""
RECOMPUTE = ("none", "selective", "full")
WORDS = ("model", "site", "stack", "precision")
"""Arguments whose values are words, even where they begin with a digit."""
MOST_RENT = 1.0 / 36.0
"""USD a second: 100 USD per accelerator-hour. Above it an hourly price was probably given as a number."""
MOST_SAMPLES = 1_000_000
_FIELDS = {
    **dict.fromkeys(("input_length", "output_length", "sequence_length"), (1e8, "count")),
    **dict.fromkeys(("batch", "global_batch"), (1e9, "count")),
    "tokens": (1e18, "count"),
    **dict.fromkeys(("ttft", "tpot"), (1e6, "time")),
    "prefix_hit": (1.0, "fraction"),
    "length_variation": (10.0, "fraction"),
}
"""The most that a field of a workload may be, and its dimension."""
_MOST_OF_PLAN = {"zero": 3, "recompute": 2, "sequence_parallel": 1}

Folders = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


@dataclass(frozen=True)
class WorkloadGrid:
    """A workload some of whose fields are axes."""

    kind: str
    build: Callable[..., Workload]
    arguments: Mapping[str, Any]
    """As given to the constructor."""

    @property
    def axes(self) -> dict[str, list[Any]]:
        """Fields that are axes, with their values."""
        return {name: list(value) for name, value in self.arguments.items() if is_axis(value)}

    def at(self, place: Mapping[str, Any]) -> Workload:
        """The workload at a place of its axes."""
        return self.build(**{name: place.get(name, value) for name, value in self.arguments.items()})


def training(sequence_length: Any = 4096, global_batch: Any = 15360, tokens: Any = None) -> Workload | WorkloadGrid:
    """Pre-training with optimizer steps of ``global_batch`` sequences; arguments as of `aicompute.estimate.workload.training`, or arrays.

    Examples
    --------
    >>> training(tokens="14.8 Ttoken").tokens
    14800000000000.0
    """
    return _workload(workloads.training, sequence_length=sequence_length, global_batch=global_batch, tokens=tokens)


def prefill(input_length: Any = 4096, ttft: Any = None, batch: Any = None, prefix_hit: Any = 0.0) -> Workload | WorkloadGrid:
    """Reading prompts; arguments as of `aicompute.estimate.workload.prefill`, or arrays.

    Examples
    --------
    >>> prefill(ttft="2 s").ttft
    2.0
    """
    return _workload(workloads.prefill, input_length=input_length, ttft=ttft, batch=batch, prefix_hit=prefix_hit)


def decode(
    input_length: Any = 4096, output_length: Any = 1024, tpot: Any = None, batch: Any = None, length_variation: Any = 0.0
) -> Workload | WorkloadGrid:
    """Generating answers; arguments as of `aicompute.estimate.workload.decode`, or arrays.

    Examples
    --------
    >>> decode(batch=[8, 16]).axes
    {'batch': [8, 16]}
    """
    given = {"input_length": input_length, "output_length": output_length, "tpot": tpot, "batch": batch}
    return _workload(workloads.decode, **given, length_variation=length_variation)


def serving(
    input_length: Any = 4096,
    output_length: Any = 1024,
    ttft: Any = "2 s",
    tpot: Any = "50 ms",
    prefix_hit: Any = 0.0,
    length_variation: Any = 0.0,
) -> Workload | WorkloadGrid:
    """A whole service; arguments as of `aicompute.estimate.workload.serving`, or arrays.

    Examples
    --------
    >>> serving().tpot
    0.05
    """
    given = {"input_length": input_length, "output_length": output_length, "ttft": ttft, "tpot": tpot}
    return _workload(workloads.serving, **given, prefix_hit=prefix_hit, length_variation=length_variation)


WORKLOADS: Mapping[str, Callable[..., Workload | WorkloadGrid]] = {
    "training": training,
    "prefill": prefill,
    "decode": decode,
    "serving": serving,
}
"""The kinds of work, and what makes one."""


def compare(
    systems: str | Sequence[str],
    *,
    model: Any = None,
    workload: Workload | WorkloadGrid | str | None = None,
    site: Any = None,
    stack: Any = None,
    precision: Any = None,
    utilisation: Any = None,
    accelerators: Any = None,
    equal: str | None = None,
    plan: Mapping[str, Any] | None = None,
    drafts: Any = None,
    rent: Any = None,
    samples: int = 400,
    explain: bool = False,
    specs: Folders = (),
    set: Mapping[str, Any] | None = None,
    library: Library | None = None,
) -> HeadlineView | ComparisonView | Grid:
    """Systems side by side on equal terms.

    Parameters
    ----------
    systems : list of str       Ids or aliases of systems; an accelerator stands for its default system.
    model : str                 Default: DeepSeek-R1-0528, for training DeepSeek-V3.
    workload : Workload         From `training`, `prefill`, `decode` or `serving`, or one of these words. Default: serving.
    site : str or list          Ids, or "home" for each at its own home site; a list gives an entry for each. Default: us-average.
    stack : str                 Default: each system's own.
    precision : str or mapping  "native" (default: each system's best), "8bit", a word such as "fp8", or a map such as {"dense": "fp8"}.
    utilisation : float         Share of the day in use; 0.6 serving, 1 training.
    accelerators : float        Of each system; default: one unit.
    equal : str                 accelerators, power, cost or flops: sizes such that all have as much of it as the last one named.
    plan : mapping              Parts of the plan that are given, not searched: tp, dp, pp, cp, ep, chunks, micro_batch, zero, recompute, ….
    drafts : float              Draft tokens of a decode step. Default: none or the stack's habit, whichever is better.
    rent : str or float         Such as "2.5 USD/accelerator/h", instead of owning.
    samples : int               Draws behind the intervals; 0: none.
    explain : bool              Keep operators, spec values and the parts of the interval.
    specs : folders             Further spec folders.
    set : mapping               Changed values, such as {"gb200-nvl72.price.unit": "4e6 USD"}.
    library : Library           Instead of ``specs``.

    Returns
    -------
    HeadlineView where two systems are named and nothing else is asked; ComparisonView for one scenario; Grid where an argument is an array.

    Raises
    ------
    AicomputeError
        A name is unknown (the nearest is named), or a value has a wrong unit or makes no sense.

    Examples
    --------
    >>> answer = compare(["cloudmatrix-384", "gb200-nvl72"], workload=decode(tpot="50 ms"), samples=0)
    >>> [estimate.system for estimate in answer]
    ['cloudmatrix-384', 'gb200-nvl72']
    """
    names = [systems] if isinstance(systems, str) else [str(name) for name in systems]
    if not names:
        raise UsageError("compare needs at least one system, such as cloudmatrix-384")
    terms = {
        "model": model, "site": site, "stack": stack, "precision": precision, "utilisation": utilisation, "accelerators": accelerators,
        "rent": rent, "drafts": drafts,
    }  # fmt: skip
    if equal is not None and equal not in EQUAL:
        raise UnknownNameError("value of equal", str(equal), EQUAL)
    lib = _library(specs, library)
    _refuse_twins(lib, names)
    fixed = Options(equal=equal, samples=_samples(samples), explain=bool(explain))
    question = Question(lib, tuple(names), terms, workload, plan or {}, set or {}, fixed)
    if len(names) == 2 and not question.narrowed and not question.axes:
        lib = question.changed_library
        return HeadlineView(tuple(headline(lib, names, fixed)), lib)
    if list(question.axes) in ([], ["site"]):
        return ComparisonView(question.answer(), question.changed_library)
    return question.grid(named=len(names) > 1)


def estimate(
    system: str | Sequence[str],
    *,
    model: Any = None,
    workload: Workload | WorkloadGrid | str | None = None,
    site: Any = None,
    stack: Any = None,
    precision: Any = None,
    utilisation: Any = None,
    accelerators: Any = None,
    plan: Mapping[str, Any] | None = None,
    drafts: Any = None,
    rent: Any = None,
    samples: int = 400,
    explain: bool = False,
    specs: Folders = (),
    set: Mapping[str, Any] | None = None,
    library: Library | None = None,
) -> EstimateView | Grid:
    """One system in one scenario, in detail; arguments as of `compare`.

    Returns
    -------
    EstimateView, or Grid where an argument is an array (a list of systems is an axis too).

    Raises
    ------
    AicomputeError
        A name is unknown (the nearest is named), or a value has a wrong unit or makes no sense.

    Examples
    --------
    >>> found = estimate("gb200-nvl72", workload=decode(batch=[8, 16], tpot="50 ms"), samples=0)
    >>> found.dims, found.shape
    (('batch',), (2,))
    """
    names = [system] if isinstance(system, str) else [str(name) for name in system]
    if not names:
        raise UsageError("estimate needs a system, such as cloudmatrix-384")
    terms = {
        "model": model, "site": site, "stack": stack, "precision": precision, "utilisation": utilisation, "accelerators": accelerators,
        "rent": rent, "drafts": drafts,
    }  # fmt: skip
    fixed = Options(samples=_samples(samples), explain=bool(explain))
    question = Question(_library(specs, library), tuple(names), terms, workload, plan or {}, set or {}, fixed)
    if question.axes or not isinstance(system, str):
        return question.grid(named=not isinstance(system, str))
    return EstimateView(question.answer(), question.changed_library)


def load(
    name: str,
    kind: str | None = None,
    *,
    specs: Folders = (),
    set: Mapping[str, Any] | None = None,
    library: Library | None = None,
) -> Spec:
    """A spec of any kind by id or alias.

    Parameters
    ----------
    name : str      Such as "gb200-nvl72", "deepseek-r1-0528", "910c" or "sites/us-average".
    kind : str      accelerators, systems, models, stacks or sites, where a name could be of several.
    specs, set, library   As of `compare`.

    Raises
    ------
    UnknownNameError
        Nothing has that name; the nearest ones are named.

    Examples
    --------
    >>> load("gb200").id
    'gb200-nvl72'
    """
    lib = _changed(_library(specs, library), set)
    head, slash, rest = name.partition("/")
    if kind is None and slash and head in KINDS:
        kind, name = head, rest
    if kind is not None:
        if kind not in KINDS and f"{kind}s" not in KINDS:
            raise UnknownNameError("kind", kind, KINDS)
        return lib.load(kind if kind in KINDS else f"{kind}s", name)
    order = ("systems", *(each for each in KINDS if each != "systems"))
    for each in order:
        if name in lib.ids(each, abstract=True):
            return lib.load(each, name)
    for each in order:
        try:
            return lib.load(each, lib.resolve(each, name))
        except UnknownNameError:
            continue
    raise UnknownNameError("spec", name, [identifier for each in KINDS for identifier in lib.ids(each)])


def is_axis(value: Any) -> bool:
    """Whether an argument is an array and so an axis of the answer.

    Examples
    --------
    >>> is_axis([1, 2]), is_axis("ab"), is_axis(np.array([1.0])), is_axis(3)
    (True, False, True, False)
    """
    if isinstance(value, (str, bytes, Mapping)):
        return False
    shape = np.shape(getattr(value, "magnitude", value)) if not isinstance(value, (list, tuple, range)) else (len(value),)
    if len(shape) > 1:
        raise UsageError(f"an array of {len(shape)} dimensions cannot be an axis; give a list, or one argument for each axis")
    return len(shape) == 1


def _workload(build: Callable[..., Workload], **arguments: Any) -> Workload | WorkloadGrid:
    """A workload, or a grid of them where an argument is an axis."""
    if any(is_axis(value) for value in arguments.values()):
        return WorkloadGrid(build.__name__, functools.partial(_built, build), arguments)
    return _built(build, **arguments)


def _built(build: Callable[..., Workload], **arguments: Any) -> Workload:
    """A workload, after a look at each field that names it in the message."""
    for name, value in arguments.items():
        most, dimension = _FIELDS[name]
        if value is not None and _parsed(name, value, dimension) > most:
            raise UsageError(f"{name} = {value!r}: expected at most {most:g}")
    return build(**arguments)


def _parsed(name: str, value: Any, dimension: str) -> float:
    """A quantity in SI units; a message about it begins with its name."""
    try:
        return units.parse(value, dimension)
    except UnitError as error:
        raise UnitError(f"{name}: {error}") from None


def _refuse_twins(lib: Library, names: Sequence[str]) -> None:
    """Refuse a system that is named twice, be it by an alias."""
    found: dict[str, str] = {}
    for name in names if len(names) > 1 else ():
        identifier = specs_of(lib, name)[0].id
        if identifier in found:
            raise UsageError(f"{name!r} is {identifier}, which is named twice")
        found[identifier] = name


def _library(specs: Folders, library: Library | None) -> Library:
    """The specs of an answer."""
    if library is not None:
        return library
    return Library([specs] if isinstance(specs, (str, os.PathLike)) else list(specs))


def _changed(lib: Library, changes: Mapping[str, Any] | None) -> Library:
    """A library with changed values."""
    return lib.override(changes) if changes else lib


@dataclass(frozen=True)
class Question:
    """Arguments of `compare` or `estimate`, as given."""

    library: Library
    systems: tuple[str, ...]
    terms: Mapping[str, Any]
    """Model, site, stack, precision, utilisation, accelerators, rent and drafts."""
    workload: Workload | WorkloadGrid | str | None
    plan: Mapping[str, Any]
    changes: Mapping[str, Any]
    fixed: Options
    """What cannot be an axis."""

    @property
    def narrowed(self) -> bool:
        """Whether more was asked than the headline."""
        asked = (*self.terms.values(), *self.plan.values(), self.workload, self.fixed.equal)
        return any(value is not None for value in asked)

    @property
    def changed_library(self) -> Library:
        """The specs with the changed values; as they stand where the changes are an axis."""
        return _changed(self.library, {key: value for key, value in self.changes.items() if not is_axis(value)})

    @property
    def axes(self) -> dict[str, list[Any]]:
        """Every argument that is an array, with its values."""
        fields = self.workload.arguments if isinstance(self.workload, WorkloadGrid) else {}
        found: dict[str, list[Any]] = {}
        for group in ({"model": self.terms["model"]}, fields, self.terms, self.plan, self.changes):
            found |= {name: list(value) for name, value in group.items() if value is not None and is_axis(value) and name not in found}
        empty = [name for name, values in found.items() if not values]
        if empty:
            raise UsageError(f"{empty[0]} is empty; give at least one value")
        return found

    def at(self, place: Mapping[str, Any]) -> Question:
        """The question at a place of its axes."""
        terms, plan, changes = (
            {name: place.get(name, value) for name, value in group.items()} for group in (self.terms, self.plan, self.changes)
        )
        work = self.workload.at(place) if isinstance(self.workload, WorkloadGrid) else self.workload
        return replace(self, terms=terms, plan=plan, changes=changes, workload=work)

    def answer(self) -> Comparison:
        """The answer where nothing but the site is an array."""
        work = _work(self.workload)
        site, drafts = self.terms["site"], self.terms["drafts"]
        options = replace(
            self.fixed,
            sites=() if site is None else (site,) if isinstance(site, str) else tuple(map(str, site)),
            stack=self.terms["stack"],
            precision=self.terms["precision"],
            utilisation=_share("utilisation", self.terms["utilisation"]),
            accelerators=_accelerators(self.terms["accelerators"]),
            plan=_plan(self.plan),
            rent=_rent(self.terms["rent"]),
            drafts=() if drafts is None else (_drafts(drafts),),
        )
        model = self.terms["model"] or (TRAINED if work.is_training else SERVED)
        comparison = compare_systems(self.changed_library, self.systems, str(model), work, options)
        kept = {"stack": options.stack, "plan": dict(options.plan), "rent": options.rent, "samples": options.samples}
        return replace(comparison, scenario={**comparison.scenario, **kept})

    def grid(self, *, named: bool) -> Grid:
        """The outer product of all axes; systems stay together in each place, so that they share terms and draws.

        Parameters
        ----------
        named : bool   Whether the systems are an axis.
        """
        axes = self.axes
        found = [self.at(dict(zip(axes, values, strict=True))).answer() for values in itertools.product(*axes.values())]
        coords: dict[str, tuple[Any, ...]] = {"system": tuple(each.system for each in found[0].estimates)} if named else {}
        coords |= {name: tuple(self._coordinate(name, value) for value in values) for name, values in axes.items()}
        cells = [replace(each, estimates=(each.estimates[column],)) for column in range(len(self.systems)) for each in found]
        return Grid(coords, tuple(cells), self.changed_library)

    def _coordinate(self, name: str, value: Any) -> Any:
        """A value on its axis: fields of a workload in SI units, other numbers too, words as they are."""
        if isinstance(self.workload, WorkloadGrid) and name in self.workload.axes:
            firsts = {axis: values[0] for axis, values in self.workload.axes.items()}
            return getattr(self.workload.at({**firsts, name: value}), name)
        if isinstance(value, np.generic):
            return value.item()
        text = f"{value.magnitude} {value.units}" if hasattr(value, "magnitude") else value
        if name not in WORDS and isinstance(text, str) and text[:1] in "+-.0123456789":
            try:
                number, unit = units.split(text, "count")
                return units.from_unit(number, unit or "1")
            except UsageError:
                return text
        return tuple(text.items()) if isinstance(text, Mapping) else text


def _work(workload: Workload | WorkloadGrid | str | None) -> Workload:
    """The workload of one scenario."""
    if isinstance(workload, Workload):
        return workload
    if isinstance(workload, WorkloadGrid):
        return workload.at({})
    kind = "serving" if workload is None else workload
    if kind not in WORKLOADS:
        raise UnknownNameError("workload", str(kind), WORKLOADS)
    made = WORKLOADS[kind]()
    return made if isinstance(made, Workload) else made.at({})


def _samples(samples: Any) -> int:
    """A number of draws."""
    if isinstance(samples, bool) or not isinstance(samples, (int, np.integer)) or not 0 <= samples <= MOST_SAMPLES:
        raise UsageError(f"samples = {samples!r}: expected a whole number from 0 to {MOST_SAMPLES:,}")
    return int(samples)


def _share(name: str, given: Any) -> float | None:
    """A share above zero."""
    if given is None:
        return None
    share = _parsed(name, given, "fraction")
    if not 0.0 < share <= 1.0:
        raise UsageError(f"{name} = {given!r}: expected a share above 0, at most 1, such as 0.6 or '60 %'")
    return share


def _accelerators(given: Any) -> float | None:
    """A number of accelerators."""
    if given is None:
        return None
    number = _parsed("accelerators", given, "count")
    if not 1.0 <= number < 1e8:
        raise UsageError(f"accelerators = {given!r}: expected a number from 1 to 1e8")
    return number


def _rent(given: Any) -> float | None:
    """A price of an accelerator in USD a second."""
    if given is None:
        return None
    price = _parsed("rent", given, "price_hour")
    if not 0.0 < price <= MOST_RENT:
        raise UsageError(f"rent = {given!r}: expected a price above 0, at most 100 USD an hour, such as '2.5 USD/accelerator/h'")
    return price


def _drafts(given: Any) -> float:
    """Draft tokens of a step."""
    number = _parsed("drafts", given, "count")
    if not (0.0 <= number <= 8.0 and number.is_integer()):
        raise UsageError(f"drafts = {given!r}: expected a whole number from 0 to 8")
    return number


def _plan(given: Mapping[str, Any]) -> dict[str, float]:
    """Overrides of the plan as numbers; words for recompute, ``vpp`` for chunks."""
    found: dict[str, float] = {}
    for name, value in given.items():
        if value is None:
            continue
        key = "chunks" if name == "vpp" else name
        if key == "recompute" and isinstance(value, str) and not value.isdigit():
            if value not in RECOMPUTE:
                raise UnknownNameError("value of recompute", value, RECOMPUTE)
            found[key] = float(RECOMPUTE.index(value))
        elif isinstance(value, bool):
            found[key] = float(value)
        else:
            found[key] = _parsed(name, value, "count")
            if not (found[key] < 1e9 and (found[key].is_integer() or key == "batch")):
                raise UsageError(f"{name} = {value!r}: expected a whole number")
        if found[key] > _MOST_OF_PLAN.get(key, 1e9):
            raise UsageError(f"{name} = {value!r}: expected 0 to {_MOST_OF_PLAN[key]}")
    return found
