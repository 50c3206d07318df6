"""Questions over many inputs, from Python: sweeps over grids or random points, and what an answer depends on."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aicompute.arguments import accelerators_of, drafts_of, plan_of, rent_of, samples_of, share_of
from aicompute.errors import UsageError
from aicompute.estimate.workload import Workload
from aicompute.question import SERVED, TRAINED, Folders, changed, library_of
from aicompute.specs import Library
from aicompute.workload_grid import WorkloadGrid, one_workload

if TYPE_CHECKING:
    from aicompute.api import Path
    from aicompute.report.sensitivity import SensitivityView
    from aicompute.report.sweep import SweepView
    from aicompute.sweep.design import Design
    from aicompute.sweep.sweep import Progress


def sweep(
    axes: Mapping[Any, Any] | Path,
    *,
    system: str | None = None,
    model: str | None = None,
    workload: Workload | WorkloadGrid | str | None = None,
    plan: Mapping[str, Any] | None = None,
    linked: Sequence[Mapping[str, Any]] = (),
    points: int | None = None,
    seed: int = 0,
    metrics: str | Sequence[str] = (),
    top: int | None = None,
    objective: str | None = None,
    output: Path | None = None,
    on: str = "local",
    workers: int | None = None,
    large: bool = False,
    site: str | None = None,
    stack: str | None = None,
    precision: str | Mapping[str, str] | None = None,
    utilisation: Any = None,
    accelerators: Any = None,
    drafts: Any = None,
    rent: Any = None,
    specs: Folders = (),
    set: Mapping[str, Any] | None = None,
    library: Library | None = None,
    watch: Callable[[Progress], None] | None = None,
) -> SweepView:
    """Every point of a grid, or random points, of any inputs.

    Parameters
    ----------
    axes : mapping or path   Name of an input to its values; or a TOML file that says all of it (docs/sweep.md), most arguments left away.
                             Names: system, model, workload, site, stack, precision; numbers of the workload, the terms and the plan; spec
                             values as "gb200-nvl72.price.unit" or by their part in the scenario, "accelerator.memory.bandwidth".
                             Values: a list, or a range {"from": …, "to": …, "count": …, "spacing": "linear" or "log"}; "x2" is a
                             multiple of what the spec says. A tuple of names has lists of as many values: they move together.
                             Between the ends of a range counts (tp, devices, tokens of a prompt, layers) are rounded.
    system, model, site, stack, precision, utilisation, accelerators, drafts, rent, specs, set, library   As of `compare`.
    workload : Workload or str   What is no axis of it; fields that are arrays are axes. Default: decode.
    plan : mapping           Numbers of the plan. Where they and the axes give all (training: dp, tp, pp, chunks, cp, ep, micro_batch,
                             zero, recompute; else tp, dp, pp, ep with batch or sequences), millions of rows a second are found; a service
                             then is one pool that prefills and decodes. Else the best plan is chosen at every point that could change it.
    linked : sequence        Mappings of axes that move together.
    points, seed : int       So many random points instead of the grid: lists are drawn from, ranges evenly (or evenly in their logarithm).
    metrics : sequence       Keep only these and the objective. Default: all.
    top, objective           Keep only so many of the best rows in a metric.
    output : path            Folder of partitioned Parquet files (needs aicompute[sweep]); an unfinished sweep there is gone on with.
    on : str                 "local", "dask" or "dask=tcp://HOST:PORT" (needs aicompute[dask]).
    workers : int            Processes. Default: one a core.
    large : bool             Go on however long it takes.
    watch : callable         Is told after every block.

    Returns
    -------
    SweepView: columns by name in SI units, with "feasible" and "reason" for every row. Targets as axes are "ttft_target", "tpot_target".

    Raises
    ------
    AicomputeError
        The design makes no sense (all faults are named), is too large to be kept, or a file cannot be written.

    Examples
    --------
    >>> plan = {"tp": 1, "dp": 32, "pp": 1, "ep": 32}
    >>> found = sweep({"batch": [16, 64], "accelerator.memory.bandwidth": ["x1", "x2"]}, system="gb200-nvl72", plan=plan)
    >>> len(found), int(found["tokens_per_s_per_accelerator"].argmax())
    (4, 3)
    """
    from aicompute.report.sweep import SweepView
    from aicompute.sweep.design import OBJECTIVE
    from aicompute.sweep.sweep import run_sweep

    lib = changed(library_of(specs, library), set)
    if isinstance(axes, Mapping):
        terms = {
            "system": system, "model": model, "site": site, "stack": stack, "precision": precision, "utilisation": utilisation,
            "accelerators": accelerators, "drafts": drafts, "rent": rent,
        }  # fmt: skip
        design = _design(axes, terms, workload, plan or {}, linked, points, seed, metrics, top, objective or OBJECTIVE)
    else:
        from aicompute.sweep.design import chosen_from, read_design

        given = {"system": system, "model": model, "workload": workload, "plan": plan, "linked": linked, "points": points, "seed": seed,
                 "metrics": metrics, "site": site, "stack": stack, "precision": precision, "utilisation": utilisation,
                 "accelerators": accelerators, "drafts": drafts, "rent": rent}  # fmt: skip
        twice = [name for name, value in given.items() if value not in (None, (), 0)]
        if twice:
            raise UsageError(f"{', '.join(twice)}: the file {axes} says what is swept; only top and objective may stand beside it")
        design = chosen_from(read_design(pathlib.Path(axes)), top, objective)
    target = None if output is None else pathlib.Path(output)
    return SweepView(run_sweep(lib, design, target, on, workers, large, watch))


def _design(
    axes: Mapping[Any, Any],
    terms: Mapping[str, Any],
    workload: Workload | WorkloadGrid | str | None,
    plan: Mapping[str, Any],
    linked: Sequence[Mapping[str, Any]],
    points: int | None,
    seed: int,
    metrics: str | Sequence[str],
    top: int | None,
    objective: str,
) -> Design:
    """A design from arguments; fields of a workload that are axes are not fixed."""
    from aicompute.estimate.recorded import FIELDS
    from aicompute.sweep.design import design_from, plain_name

    if isinstance(workload, WorkloadGrid):
        axes, workload = {**workload.axes, **axes}, workload.at({name: values[0] for name, values in workload.axes.items()})
    names = [name for key in axes for name in ([key] if isinstance(key, str) else key)] + [name for table in linked for name in table]
    taken = set(map(plain_name, names))
    fixed = {name: value for name, value in terms.items() if value is not None}
    metrics = [metrics] if isinstance(metrics, str) else metrics
    if workload is not None and "workload" in taken:
        raise UsageError("workload is an axis and given; give its numbers as axes or leave it away")
    if workload is not None:
        work = one_workload(workload)
        fixed["workload"] = work.kind
        if isinstance(workload, Workload):
            given = {name: getattr(work, name) for name in (*FIELDS[work.kind], "batch", "ttft", "tpot")}
            fixed |= {name: value for name, value in given.items() if value is not None and name not in taken}
    return design_from(
        axes, linked=linked, points=points, seed=seed, fixed=fixed, plan=plan, metrics=metrics, top=top, objective=objective
    )  # fmt: skip


def sensitivity(
    systems: str | Sequence[str],
    *,
    model: str | None = None,
    workload: Workload | str | None = None,
    metrics: str | Sequence[str] = (),
    finite: bool = True,
    samples: int = 400,
    plan: Mapping[str, Any] | None = None,
    site: str | None = None,
    stack: str | None = None,
    precision: str | Mapping[str, str] | None = None,
    utilisation: Any = None,
    accelerators: Any = None,
    drafts: Any = None,
    rent: Any = None,
    specs: Folders = (),
    set: Mapping[str, Any] | None = None,
    library: Library | None = None,
) -> SensitivityView:
    """How much an answer depends on every spec value that it reads.

    Parameters
    ----------
    systems : str or list   One system, or two: then of the ratio of the first to the second.
    metrics : str or list   Default: all of the scenario.
    finite : bool           Halve and double what is counted (domain sizes, devices, limits) too, each with the plan that is then best.
    samples : int           Draws behind the interval, and behind the probability that one system is better, found when they are asked for;
                            both systems share them. 0: none.
    model, workload, plan, site, stack, precision, utilisation, accelerators, drafts, rent, specs, set, library   As of `compare`.

    Returns
    -------
    SensitivityView: elasticities (percent a percent, at the plan chosen) and what the range of each value makes of the metric.

    Raises
    ------
    AicomputeError
        A name is unknown, or a system has no plan.

    Examples
    --------
    >>> from aicompute import decode
    >>> found = sensitivity("gb200-nvl72", workload=decode(tpot="50 ms"), metrics="cost_per_token", finite=False)
    >>> found.by("cost_per_token")[0].name
    'gb200-nvl72.price.unit'
    """
    from aicompute.estimate.result import METRICS
    from aicompute.report.sensitivity import SensitivityView
    from aicompute.search.compare import Options
    from aicompute.search.conditions import metric_named
    from aicompute.search.sensitivity import sensitivities

    draws = samples_of(samples)
    lib = changed(library_of(specs, library), set)
    work = one_workload(workload)
    options = Options(
        sites=() if site is None else (site,),
        stack=stack,
        precision=precision,
        utilisation=share_of("utilisation", utilisation),
        accelerators=accelerators_of(accelerators),
        plan=plan_of(plan or {}),
        samples=0,
        rent=rent_of(rent, lib),
        drafts=() if drafts is None else (drafts_of(drafts),),
    )
    named = [metric_named(name, METRICS)[0] for name in ([metrics] if isinstance(metrics, str) else metrics)]
    names = [systems] if isinstance(systems, str) else list(systems)
    found = sensitivities(lib, names, model or (TRAINED if work.is_training else SERVED), work, options, named, finite)
    return SensitivityView(found, samples=draws)
