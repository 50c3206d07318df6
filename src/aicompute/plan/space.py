"""The space of training plans: its axes, the layouts of ranks that are possible, and which further choices each layout has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import prod

import numpy as np
from numpy.typing import NDArray

from aicompute.plan.enumerate import divisors
from aicompute.plan.schedule import most_layers

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

LAYOUT = ("tp", "cp", "pp", "dp", "ep")
"""Axes that are joined to rows: which ranks there are. Few of all combinations are possible."""
CHOICES = ("overlap_data", "overlap_experts", "overlap_tensor", "zero", "recompute", "sequence_parallel", "etp", "micro_batch", "chunks")
"""Axes of an open mesh over the rows, in the order of the mesh; the rows are its last axis, so that inner loops are long."""
TRAINING_AXES = (*LAYOUT, *reversed(CHOICES))
SWITCHES = ("sequence_parallel", "overlap_tensor", "overlap_data", "overlap_experts")
"""Axes of 0 (off) and 1 (on; for overlap: as much as the stack can)."""
MOST_ROWS = 20_000_000


@dataclass(frozen=True)
class Job:
    """What a training plan must suit."""

    devices: int
    """Devices that may be used; some may stay idle."""
    heads: int
    layers: int
    experts: int
    """Routed; 0: dense."""
    sequence: int
    """Tokens."""
    global_batch: int
    """Sequences."""
    window: int
    """Devices of the scale-up domain: tensor groups stay inside."""


def default_axes(job: Job) -> dict[str, tuple[float, ...]]:
    """Values worth trying on every axis.

    Parameters
    ----------
    job : Job

    Returns
    -------
    dict of values. ``dp`` is empty: all ranks that the other dimensions leave, the most of them that divide the batch, and the largest
    power of two. ``chunks`` is empty: 1 to 4, and a layer each. ``etp``, the ranks that share an expert, is empty: 1, and tp.

    References
    ----------
    .. [1] D. Narayanan et al., arXiv:2104.04473, section 3.

    Examples
    --------
    >>> default_axes(Job(64, 32, 32, 0, 4096, 512, 8))["tp"]
    (1.0, 2.0, 4.0, 8.0)
    """
    j = job
    experts = [e for e in divisors(j.experts) if e <= 8 or e % 8 == 0] if j.experts else [1]
    values: dict[str, list[int]] = {
        "tp": [t for t in (1, 2, 4, 8, 16) if j.heads % t == 0 and t <= j.window],
        "cp": [c for c in (1, 2, 4, 8, 16) if c == 1 or j.sequence // c >= (4096 if j.sequence <= 16384 else 2048)],
        "pp": sorted({p for p in (1, 2, 4, 6, 8, 10, 12, 16, 20, 24, 32) if p <= j.layers} | {p for p in divisors(j.layers) if p <= 32}),
        "dp": [],
        "ep": experts,
        "chunks": [],
        "micro_batch": [m for m in (1, 2, 4, 8) if m <= j.global_batch],
        "etp": [],
        "sequence_parallel": [0, 1],
        "recompute": [0, 1, 2],
        "zero": [1, 3],
        "overlap_tensor": [1],
        "overlap_data": [1],
        "overlap_experts": [1],
    }
    return {name: tuple(map(float, values[name])) for name in TRAINING_AXES}


def full_axes(job: Job) -> dict[str, tuple[float, ...]]:
    """`default_axes` with every stage of ZeRO, and overlap off as well as on.

    Examples
    --------
    >>> full_axes(Job(64, 32, 32, 0, 4096, 512, 8))["zero"]
    (0.0, 1.0, 2.0, 3.0)
    """
    wide = dict.fromkeys(("overlap_tensor", "overlap_data", "overlap_experts"), (0.0, 1.0))
    return {**default_axes(job), "zero": (0.0, 1.0, 2.0, 3.0), **wide}


@dataclass(frozen=True)
class Rows:
    """Possible layouts of ranks, and which choices each has."""

    layout: Mapping[str, Floats]
    """Shape (R,) by the names of `LAYOUT`."""
    values: Mapping[str, Floats]
    """Shape (K, 1) or (K, R) by the names of `CHOICES`."""
    allowed: Mapping[str, Flags]
    """Shape (K, R): whether the choice is a plan of its own for the row."""
    enumerated: int
    """Combinations of all axes."""
    excluded: Mapping[str, int] = field(default_factory=dict)
    """Combinations that are no plan, by reason."""

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.layout["tp"])

    @cached_property
    def count(self) -> int:
        """Valid plans of all rows."""
        return int(self.plans.sum()) if len(self) else 0

    @property
    def plans(self) -> Floats:
        """Valid plans of each row, shape (R,)."""
        found = np.ones(len(self))
        for mask in self.allowed.values():
            found = found * mask.sum(axis=0)
        return found

    @cached_property
    def only(self) -> dict[str, float]:
        """The first plan, in plain floats."""
        return {name: float(column[0]) for name, column in self.columns().items()}

    def columns(self) -> dict[str, Floats]:
        """Every plan as flat arrays by the names of `TRAINING_AXES`."""
        shape = (*(len(self.allowed[name]) for name in CHOICES), len(self))
        kept = np.ones(shape, dtype=bool)
        for place, name in enumerate(CHOICES):
            kept &= self.allowed[name].reshape((1,) * place + (shape[place],) + (1,) * (len(CHOICES) - 1 - place) + (shape[-1],))
        return self.cells(np.nonzero(kept))

    def cells(self, places: tuple[NDArray[np.intp], ...]) -> dict[str, Floats]:
        """Some plans, by their places on the mesh of choices and rows."""
        columns = {name: self.layout[name][places[-1]] for name in LAYOUT}
        for name, place in zip(CHOICES, places, strict=False):
            value = self.values[name]
            columns[name] = value[place, places[-1] if value.shape[1] != 1 else 0]
        return {name: columns[name] for name in TRAINING_AXES}

    def narrowed(self, name: str, holds: Callable[[Floats], Flags], reason: str) -> Rows:
        """Only plans for which a condition on an axis holds; the others are counted under a reason."""
        before = int(self.plans.sum())
        allowed, keep = dict(self.allowed), np.arange(len(self))
        if name in LAYOUT:
            keep = np.flatnonzero(holds(self.layout[name]))
        else:
            allowed[name] = allowed[name] & holds(self.values[name])
            keep = np.flatnonzero(allowed[name].any(axis=0))
        rows = replace(self, allowed=allowed).take(keep)
        return replace(rows, excluded={**self.excluded, reason: before - int(rows.plans.sum())})

    def take(self, rows: NDArray[np.intp]) -> Rows:
        """Some of the rows, without choices that none of them has."""
        layout = {name: column[rows] for name, column in self.layout.items()}
        values, allowed = {}, {}
        for name in CHOICES:
            mask = self.allowed[name][:, rows]
            used = mask.any(axis=1)
            value = self.values[name]
            allowed[name] = mask[used]
            values[name] = (value if value.shape[1] == 1 else value[:, rows])[used]
        return Rows(layout, values, allowed, self.enumerated, self.excluded)


def training_rows(job: Job, axes: Mapping[str, tuple[float, ...]], runnable: Mapping[str, tuple[float, ...]] | None = None) -> Rows:
    """Layouts of a training job with their choices.

    Parameters
    ----------
    job : Job
    axes : mapping       Values by the names of `TRAINING_AXES`; see `default_axes`.
    runnable : mapping   Values that the software can run, of axes where it cannot run all.

    Returns
    -------
    Rows. ``excluded`` counts by "layout" (devices, heads, layers, experts or batch do not allow it), "stack" (the software cannot run it)
    and "same" (a choice that changes nothing where it stands: overlap of a group of one).

    References
    ----------
    .. [1] D. Narayanan et al., arXiv:2104.04473, section 3.

    Examples
    --------
    >>> job = Job(8, 8, 4, 0, 4096, 64, 8)
    >>> rows = training_rows(job, default_axes(job))
    >>> rows.enumerated, int(rows.plans.sum()), sum(rows.excluded.values())
    (17280, 300, 16980)
    """
    enumerated = combinations(axes)
    axes = _runnable(axes, runnable or {})
    runs = combinations(axes)
    if runs == 0:
        return Rows({name: np.zeros(0) for name in LAYOUT}, {}, {}, enumerated, {"stack": enumerated, "layout": 0, "same": 0})
    columns = [np.array(axes[name] or (0.0, 1.0, 2.0)) for name in LAYOUT]
    tp, cp, pp, dp, ep = (each.ravel() for each in np.meshgrid(*columns, indexing="ij"))
    each = runs // len(tp)
    ranks = np.minimum(np.floor(job.devices / (tp * cp * pp)), job.global_batch)
    if not axes["dp"]:
        dp = _data_ranks(ranks, dp, job.global_batch)
    keep = (ranks >= 1.0) & (dp >= 1.0) & (dp <= ranks) & (job.heads % tp == 0.0) & (tp <= job.window) & (pp <= job.layers)
    keep &= ((job.experts or 1) % ep == 0.0) & (dp * cp * tp % ep == 0.0)
    layout = {name: column[keep] for name, column in zip(LAYOUT, (tp, cp, pp, dp, ep), strict=True)}
    values, fitting, distinct = _choices(job, axes, layout)
    fit = plans = np.ones(len(layout["tp"]))
    for name in CHOICES:
        fit = fit * fitting[name].sum(axis=0)
        plans = plans * (fitting[name] & distinct[name]).sum(axis=0)
    possible = int(fit.sum())
    # what is the same as another is so within its row; rows with the same layout were given no ranks
    excluded = {"stack": enumerated - runs, "layout": each * len(tp) - possible, "same": possible - int(plans.sum())}
    rows = Rows(layout, values, {name: fitting[name] & distinct[name] for name in CHOICES}, enumerated, excluded)
    return rows.take(np.flatnonzero(plans > 0.0))


_OWN = {"dp": 3, "chunks": 5, "etp": 2}
"""How many values an axis has that is left empty, which then depend on the layout."""


def combinations(axes: Mapping[str, tuple[float, ...]]) -> int:
    """Combinations of all axes, plans or not.

    Examples
    --------
    >>> combinations(default_axes(Job(64, 32, 32, 0, 4096, 512, 8)))
    63360
    """
    return prod(len(axes[name]) or _OWN.get(name, 0) for name in TRAINING_AXES)


def _runnable(axes: Mapping[str, tuple[float, ...]], runnable: Mapping[str, tuple[float, ...]]) -> dict[str, tuple[float, ...]]:
    """The axes without values that the software cannot run; an axis of its own making becomes what it can."""
    found = dict(axes)
    for name, values in runnable.items():
        found[name] = tuple(value for value in axes[name] if value in values) if axes[name] else values
    return found


def _data_ranks(ranks: Floats, habit: Floats, global_batch: int) -> Floats:
    """Data ranks by habit: 0 all, 1 the most that divide the batch, 2 a power of two; zero where a habit before gives the same."""
    batch = np.array(divisors(global_batch), dtype=float)
    some = np.maximum(ranks, 1.0)
    even = batch[np.searchsorted(batch, some, side="right") - 1]
    power = 2.0 ** np.floor(np.log2(some))
    found = np.where(habit == 0.0, some, np.where(habit == 1.0, even, power))
    again = ((habit >= 1.0) & (found == some)) | ((habit == 2.0) & (found == even))
    return np.where(again | (ranks < 1.0), 0.0, found)


def _choices(
    job: Job, axes: Mapping[str, tuple[float, ...]], layout: Mapping[str, Floats]
) -> tuple[dict[str, Floats], dict[str, Flags], dict[str, Flags]]:
    """Values of every choice; what the layout allows, and what is not the same as another."""
    tp, cp, pp, dp, ep = (layout[name] for name in LAYOUT)
    values = {name: np.array(axes[name], dtype=float)[:, None] for name in CHOICES if axes[name]}
    whole = np.maximum(np.floor(job.layers / pp), 1.0)
    chunks = np.array(axes["chunks"] or (1.0, 2.0, 3.0, 4.0))[:, None] + np.zeros(len(tp))
    v = values["chunks"] = chunks if axes["chunks"] else np.concatenate([chunks, whole[None, :]])
    if not axes["etp"]:
        values["etp"] = np.stack([np.ones(len(tp)), tp])
    every = {name: np.ones((len(values[name]), len(tp)), dtype=bool) for name in CHOICES}
    fitting, distinct = dict(every), dict(every)
    # the last stage must have a layer
    last = (pp - 1.0) * np.asarray(most_layers(float(job.layers), pp, v)) < job.layers
    fitting["chunks"] = np.where(pp > 1.0, (v <= whole) & last, True)
    distinct["chunks"] = (pp > 1.0) | (v == v[:1])
    if not axes["chunks"]:
        distinct["chunks"][-1] &= whole > 4.0
    fitting["micro_batch"] = values["micro_batch"] * dp <= job.global_batch
    fitting["etp"] = (dp * cp * tp % (ep * values["etp"]) == 0.0) & (values["etp"] <= job.window)
    first = np.arange(len(values["etp"]))[:, None] == 0
    distinct["etp"] = first | ((job.experts > 0) & (values["etp"] != values["etp"][:1]))
    # sharded weights are not gathered for every stage and micro-batch, unless nothing else is wanted
    fitting["zero"] = (values["zero"] < 3.0) | (pp == 1.0) | (len(values["zero"]) == 1)
    groups = {"sequence_parallel": tp, "overlap_tensor": tp, "overlap_data": dp * cp, "overlap_experts": ep, "zero": dp * cp}
    for name, group in groups.items():
        kept = values[name] == values[name][-1 if name in SWITCHES else 0]
        distinct[name] = (group > 1.0) | kept
    return values, fitting, distinct
