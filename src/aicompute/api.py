"""The program from Python: the same questions and answers as the command line.

Numbers are SI (seconds, watts, tokens); texts with units ("50 ms") and pint quantities are converted. Every argument may be a list, tuple
or array: the answer is then a `Grid` with an axis of that name for each.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aicompute.arguments import accelerators_of, axis_of, drafts_of, is_axis, precisions_of, rent_of, samples_of, share_of
from aicompute.errors import UnknownNameError, UsageError
from aicompute.estimate.inputs import specs_of
from aicompute.estimate.workload import Workload
from aicompute.question import SERVED, TRAINED, Folders, Question, changed
from aicompute.question import library_of as _library
from aicompute.report.grid import Grid
from aicompute.report.views import ComparisonView, EstimateView, HeadlineView
from aicompute.search.compare import EQUAL, Options, headline
from aicompute.specs import Library, Spec
from aicompute.specs.schema import KINDS
from aicompute.workload_grid import WORKLOADS, WorkloadGrid, decode, prefill, serving, training

if TYPE_CHECKING:
    from aicompute.report.page.report import Report
    from aicompute.report.search import SearchView
    from aicompute.search.mesh import Found

__all__ = [
    "WORKLOADS", "WorkloadGrid", "compare", "decode", "estimate", "is_axis", "load", "prefill", "report", "search", "serving", "training",
]  # fmt: skip

Path = str | os.PathLike[str]


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
    fixed = Options(equal=equal, samples=samples_of(samples), explain=bool(explain))
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
    fixed = Options(samples=samples_of(samples), explain=bool(explain))
    question = Question(_library(specs, library), tuple(names), terms, workload, plan or {}, set or {}, fixed)
    if question.axes or not isinstance(system, str):
        return question.grid(named=not isinstance(system, str))
    return EstimateView(question.answer(), question.changed_library)


def search(
    system: str,
    *,
    model: str | None = None,
    workload: Workload | str | None = None,
    objective: str = "tokens_per_s_per_accelerator",
    where: str | Sequence[str] = (),
    top: int = 20,
    pareto: str | Sequence[str] = (),
    plan: Mapping[str, Any] | None = None,
    full: bool = False,
    large: bool = False,
    site: str | None = None,
    stack: str | None = None,
    precision: str | Sequence[str] | Mapping[str, str] | None = None,
    utilisation: Any = None,
    accelerators: Any = None,
    drafts: Any = None,
    rent: Any = None,
    samples: int = 400,
    specs: Folders = (),
    set: Mapping[str, Any] | None = None,
    library: Library | None = None,
    watch: Callable[[Found], None] | None = None,
) -> SearchView:
    """The best of all plans of a system in a scenario.

    Parameters
    ----------
    system : str                Id or alias; an accelerator stands for its default system.
    model, workload, site, stack, precision, utilisation, accelerators, drafts, rent, specs, set, library   As of `compare`.
    objective : str             A metric, by its name here or in JSON: tokens_per_s_per_accelerator, mfu, cost_per_million_tokens, ….
    where : str or list         Conditions on metrics and axes that every plan must meet, such as "memory_share < 0.9" or "tp <= 8".
    top : int                   Plans to keep.
    pareto : str or list        Two or three metrics: keep the plans that no other beats in all of them.
    plan : mapping              Values of axes, a number or a list each: tp, pp, cp, dp, ep, etp, chunks, micro_batch, zero, recompute,
                                sequence_parallel, overlap_tensor, overlap_data, overlap_experts; serving: tp, dp, pp, ep, sequences (of an
                                attention group), chunk, drafts, prompts (of a prefill pool). Others keep the values worth trying.
    precision : str or list     As of `compare`; of a list of words each is tried.
    samples : int               Draws behind the intervals, which are found when they are asked for; 0: none.
    full : bool                 Every stage of ZeRO, and overlap off as well as on.
    large : bool                Search a space of any size; else hundreds of millions of plans are refused, with the time they take.
    watch : callable            Is told what was found so far, after every block.

    Returns
    -------
    SearchView.

    Raises
    ------
    AicomputeError
        A name is unknown (the nearest is named), conditions exclude each other, no plan exists, none fits or none meets the conditions.

    Examples
    --------
    >>> found = search("dgx-h100", model="llama-3.1-8b", workload=training(global_batch=128), accelerators=64, top=3)
    >>> len(found), found[0].plan["dp"] * found[0].plan["tp"] * found[0].plan["pp"] <= 64
    (3, True)
    """
    from aicompute.report.search import SearchView
    from aicompute.search.plans import search_plans
    from aicompute.search.spaces import check_axes
    from aicompute.search.terms import Terms
    from aicompute.workload_grid import one_workload

    draws = samples_of(samples)
    lib = changed(_library(specs, library), set)
    work = one_workload(workload)
    if plan and plan.get("vpp") is not None and plan.get("chunks") is not None:
        raise UsageError("plan: vpp and chunks are the same; give one of them")
    axes = {("chunks" if name == "vpp" else name): value for name, value in (plan or {}).items() if value is not None}
    word, words = precisions_of(precision, axes.pop("precision", None))
    check_axes(axes, work)
    terms = Terms(
        objective=objective,
        where=(where,) if isinstance(where, str) else tuple(where),
        top=top,
        pareto=tuple(name.strip() for name in pareto.split(",") if name.strip()) if isinstance(pareto, str) else tuple(pareto),
        axes={name: axis_of(name, value) for name, value in axes.items()},
        full=full,
        large=large,
        site=site,
        stack=stack,
        precision=word,
        precisions=words,
        utilisation=share_of("utilisation", utilisation),
        accelerators=accelerators_of(accelerators),
        rent=rent_of(rent, lib),
        drafts=() if drafts is None else (drafts_of(drafts),),
    )
    answer = search_plans(lib, system, model or (TRAINED if work.is_training else SERVED), work, terms, watch)
    return SearchView(answer, draws)


def report(
    systems: Sequence[str],
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
    specs: Folders = (),
    set: Mapping[str, Any] | None = None,
    library: Library | None = None,
    watch: Callable[[str], None] | None = None,
) -> Report:
    """Two systems in pictures: a page with verdict, figures, tables and sliders, and the numbers behind them.

    Parameters
    ----------
    systems : list of str   Two.
    model, workload, site, stack, precision, utilisation, accelerators, equal, plan, drafts, rent, specs, set, library   As of `compare`.
                            Of several sites the first is that of the answer; costs are shown at all.
    samples : int           Draws behind the intervals, 2 to 1,000; the page holds them.
    watch : callable        Is told what is being worked on.

    Returns
    -------
    Report: ``save("report.html")``, ``verdict()``, and the parts, which `aicompute.plot` draws.

    Raises
    ------
    AicomputeError
        A name is unknown (the nearest is named), a value makes no sense, or there are not two systems.

    Examples
    --------
    >>> made = report(["910c", "gb200"], workload=decode(tpot="50 ms"), samples=20)
    >>> made.names, len(made.verdict())
    (('CloudMatrix 384', 'GB200 NVL72'), 3)
    """
    from aicompute.report.page.asked import Asked
    from aicompute.report.page.report import Report as Made

    names = [systems] if isinstance(systems, str) else [str(name) for name in systems]
    terms = {
        "model": model, "site": site, "stack": stack, "precision": precision, "utilisation": utilisation, "accelerators": accelerators,
        "rent": rent, "drafts": drafts,
    }  # fmt: skip
    if equal is not None and equal not in EQUAL:
        raise UnknownNameError("value of equal", str(equal), EQUAL)
    lib = _library(specs, library)
    _refuse_twins(lib, names)
    fixed = Options(equal=equal, samples=samples_of(samples))
    return Made(Asked.of(Question(lib, tuple(names), terms, workload, plan or {}, set or {}, fixed)), watch)


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
    kind : str      accelerators, systems, models, stacks, sites, rules or suppliers, where a name could be of several.
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
    lib = changed(_library(specs, library), set)
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


def _refuse_twins(lib: Library, names: Sequence[str]) -> None:
    """Refuse a system that is named twice, be it by an alias."""
    found: dict[str, str] = {}
    for name in names if len(names) > 1 else ():
        identifier = specs_of(lib, name)[0].id
        if identifier in found:
            raise UsageError(f"{name!r} is {identifier}, which is named twice")
        found[identifier] = name
