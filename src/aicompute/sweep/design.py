"""What a sweep goes over: axes with levels or ranges, a grid of them or random points, and what stays fixed."""

from __future__ import annotations

import hashlib
import json
import math
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from aicompute.errors import SpecError, UnknownNameError, UsageError
from aicompute.estimate.result import METRICS
from aicompute.search.conditions import metric_named

SPACINGS = ("linear", "log")
TABLES = ("sweep", "axes", "linked", "random", "plan", "set")
FIXED = (
    "system", "model", "workload", "site", "stack", "precision", "utilisation", "accelerators", "rent", "drafts",
    "input_length", "output_length", "sequence_length", "global_batch", "tokens", "batch", "ttft", "tpot", "prefix_hit", "length_variation",
)  # fmt: skip
"""Arguments of an estimate that a sweep may fix, or have as an axis."""
KEPT = ("metrics", "top", "objective")
TARGETS = ("ttft", "tpot")
"""Latency targets; as axes their columns are called "ttft_target" and "tpot_target", for the metrics have the plain names."""
SHORT = {"isl": "input_length", "osl": "output_length", "vpp": "chunks"}
OBJECTIVE = "tokens_per_s_per_accelerator"
MOST_POINTS = 10**15
MOST_WORDS = 100_000
"""Combinations of names: each is prepared on its own."""


@dataclass(frozen=True)
class Range:
    """Values between two ends, both included."""

    low: Any
    high: Any
    """As a person writes them: a number in SI units, a text with a unit, or "x2" for a multiple of what the spec says."""
    count: int | None = None
    """Levels in a grid."""
    spacing: str = "linear"


@dataclass(frozen=True)
class Axis:
    """One direction of a sweep: one input, or several that move together."""

    names: tuple[str, ...]
    levels: tuple[tuple[Any, ...], ...] = ()
    """Of each level, a value for every name; empty where a range is given."""
    ranges: tuple[Range, ...] = ()
    """For every name."""

    @property
    def size(self) -> int | None:
        """Levels; None where it is a range without a number of levels."""
        return len(self.levels) if self.levels else self.ranges[0].count


@dataclass(frozen=True)
class Design:
    """A sweep as it was asked for."""

    axes: tuple[Axis, ...]
    fixed: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of an estimate, by the names of `FIXED`."""
    plan: Mapping[str, Any] = field(default_factory=dict)
    set: Mapping[str, Any] = field(default_factory=dict)
    """Spec values that are changed throughout."""
    points: int | None = None
    """Random points; None: the grid."""
    seed: int = 0
    metrics: tuple[str, ...] = ()
    """Empty: all."""
    top: int | None = None
    """Keep so many of the best rows only."""
    objective: str = OBJECTIVE

    @property
    def size(self) -> int:
        """Number of points."""
        return self.points if self.points is not None else math.prod(axis.size or 1 for axis in self.axes)

    @property
    def digest(self) -> str:
        """Tells two designs apart."""
        return hashlib.blake2b(json.dumps(asdict(self), sort_keys=True, default=str).encode(), digest_size=12).hexdigest()


def plain_name(name: str) -> str:
    """An input by its full name.

    Examples
    --------
    >>> plain_name("isl"), plain_name("batch")
    ('input_length', 'batch')
    """
    return SHORT.get(name, name)


def column_of(name: str) -> str:
    """The column of an axis.

    Examples
    --------
    >>> column_of("batch"), column_of("tpot")
    ('batch', 'tpot_target')
    """
    return f"{name}_target" if name in TARGETS else name


def axis_from(names: Sequence[str], given: Any, *, random: bool, where: str) -> Axis:
    """An axis from what a person wrote.

    Parameters
    ----------
    names : sequence   One name, or several that move together.
    given : Any        A list of levels (of lists, for several names), one value, a `Range`, or a mapping with from, to, count, spacing.
    random : bool      Whether points are random: a range then needs no count.
    where : str        For messages.

    Raises
    ------
    UsageError
        An empty axis, a range that is none.

    Examples
    --------
    >>> axis_from(["batch"], {"from": 1, "to": 512, "count": 10, "spacing": "log"}, random=False, where="axes.batch").size
    10
    """
    if isinstance(given, Mapping):
        given = _range(given, where)
    if isinstance(given, Range):
        _check_range(given, random, where)
        return Axis(tuple(names), ranges=(given,))
    words = isinstance(given, (str, bytes)) or not hasattr(given, "__iter__")
    levels = [given] if words else [v.item() if hasattr(v, "item") and not hasattr(v, "magnitude") else v for v in given]
    if not levels:
        raise UsageError(f"{where}: is empty; give at least one value")
    if len(names) == 1:
        return Axis(tuple(names), tuple((level,) for level in levels))
    for level in levels:
        if isinstance(level, str) or not hasattr(level, "__len__") or len(level) != len(names):
            raise UsageError(f"{where}: {level!r} is not a list of {len(names)} values, one for each of {', '.join(names)}")
    return Axis(tuple(names), tuple(tuple(level) for level in levels))


def linked_axis(table: Mapping[str, Any], *, random: bool, where: str) -> Axis:
    """An axis of several names, from a table of lists of one length or of ranges alike."""
    parts = [axis_from([name], given, random=random, where=f"{where}.{name}") for name, given in table.items()]
    sizes = {part.size for part in parts}
    ranged = {bool(part.ranges) for part in parts}
    if len(parts) < 2 or len(sizes) > 1 or len(ranged) > 1:
        said = ", ".join(f"{part.names[0]} has {part.size or 'a range'}" for part in parts)
        raise UsageError(f"{where}: linked axes are two or more, all lists of one length or all ranges of one count; {said}")
    names = tuple(part.names[0] for part in parts)
    if parts[0].ranges:
        return Axis(names, ranges=tuple(part.ranges[0] for part in parts))
    return Axis(names, tuple(zip(*([level[0] for level in part.levels] for part in parts), strict=True)))


def _range(given: Mapping[str, Any], where: str) -> Range:
    """A range from a table."""
    unknown = [key for key in given if key not in ("from", "to", "count", "spacing")]
    if unknown:
        raise UnknownNameError(f"key of {where}", unknown[0], ("from", "to", "count", "spacing"))
    missing = [key for key in ("from", "to") if key not in given]
    if missing:
        raise UsageError(f"{where}: a range needs {' and '.join(missing)}, such as {{ from = 1, to = 512, count = 10, spacing = 'log' }}")
    return Range(given["from"], given["to"], given.get("count"), given.get("spacing", "linear"))


def _check_range(r: Range, random: bool, where: str) -> None:
    if r.spacing not in SPACINGS:
        raise UnknownNameError(f"spacing of {where}", str(r.spacing), SPACINGS)
    if r.count is None and not random:
        raise UsageError(f"{where}: a range in a grid needs a count of levels; random points do not ([random] points = …)")
    if r.count is not None and (isinstance(r.count, bool) or not isinstance(r.count, int) or r.count < 2):
        raise UsageError(f"{where}: count = {r.count!r}: expected a whole number of at least 2")


def design_from(
    axes: Mapping[Any, Any],
    *,
    linked: Sequence[Mapping[str, Any]] = (),
    points: int | None = None,
    seed: int = 0,
    fixed: Mapping[str, Any] | None = None,
    plan: Mapping[str, Any] | None = None,
    changes: Mapping[str, Any] | None = None,
    metrics: Sequence[str] = (),
    top: int | None = None,
    objective: str = OBJECTIVE,
) -> Design:
    """A design, checked as far as it can be without specs; all faults at once.

    Raises
    ------
    UsageError
        Every fault on a line.

    Examples
    --------
    >>> design_from({"system": ["gb200-nvl72", "cloudmatrix-384"], "batch": [8, 16, 32]}).size
    6
    """
    faults: list[str] = []
    found: list[Axis] = []
    random = points is not None
    for name, given in axes.items():
        names = [name] if isinstance(name, str) else list(name)
        _collect(faults, found, lambda names=names, given=given: axis_from(names, given, random=random, where=f"axes.{' + '.join(names)}"))
    for place, table in enumerate(linked):
        _collect(faults, found, lambda table=table, place=place: linked_axis(table, random=random, where=f"linked[{place}]"))
    known = [plain_name(name) for axis in found for name in axis.names]
    faults += [f"{name} is an axis twice" for name in dict.fromkeys(known) if known.count(name) > 1]
    faults += [f"{name} is an axis and fixed" for name in map(plain_name, (*(fixed or {}), *(plan or {}))) if name in known]
    faults += [f"{name} is fixed twice" for name in (fixed or {}) if name in (plan or {})]
    faults += _contradictions({*known, *map(plain_name, (*(fixed or {}), *(plan or {})))})
    if points is not None and (isinstance(points, bool) or not isinstance(points, int) or points < 1):
        faults.append(f"points = {points!r}: expected a whole number of at least 1")
    if top is not None and (isinstance(top, bool) or not isinstance(top, int) or not 1 <= top <= 1_000_000):
        faults.append(f"top = {top!r}: expected a whole number from 1 to 1,000,000")
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        faults.append(f"seed = {seed!r}: expected a whole number")
    named: list[str] = []
    for name in (objective, *metrics):
        try:
            named.append(metric_named(str(name), METRICS)[0])
        except UnknownNameError as error:
            faults.append(str(error))
    if named and not faults and not METRICS[named[0]][2]:
        faults.append(f"objective = {objective!r}: is neither better high nor low, so that no row is the best; it may be among the metrics")
    if not found and not faults:
        faults.append("a sweep needs at least one axis, such as batch = [8, 16, 32]")
    if faults:
        raise UsageError("; ".join(faults))
    return Design(
        axes=tuple(found), fixed=dict(fixed or {}), plan=dict(plan or {}), set=dict(changes or {}), points=points, seed=seed,
        metrics=tuple(named[1:]), top=top, objective=named[0],
    )  # fmt: skip


def chosen_from(design: Design, top: int | None, objective: str | None) -> Design:
    """A design that keeps other rows: so many of the best, by another metric; None leaves what it says."""
    asked = design_from({"batch": [1]}, top=top, objective=objective or design.objective)
    return replace(design, top=design.top if top is None else top, objective=asked.objective)


def _contradictions(names: Collection[str]) -> list[str]:
    """Inputs that exclude each other."""
    pairs = (("batch", "sequences", "sequences of an accelerator or of an engine"),)
    return [f"{one} and {other} are both given; give one of them: {why}" for one, other, why in pairs if one in names and other in names]


def _collect(faults: list[str], found: list[Axis], make: Any) -> None:
    try:
        found.append(make())
    except UsageError as error:
        faults.append(str(error))


def read_design(path: Path) -> Design:
    """A design from a TOML file.

    Raises
    ------
    SpecError
        The file cannot be read; or UsageError: it says something that means nothing. All faults at once, with the file's name.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SpecError(f"{path}: cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SpecError(f"{path}: is not TOML: {error}") from None
    faults = [f"{name}: expected a table [{name}], found {data[name]!r}" for name in TABLES
              if name in data and name != "linked" and not isinstance(data[name], dict)]  # fmt: skip
    linked = data.get("linked", [])
    if not isinstance(linked, list) or not all(isinstance(table, dict) for table in linked):
        faults.append("linked: expected tables [[linked]], each of axes that move together")
    if faults:
        raise UsageError("\n".join(f"{path}: {fault}" for fault in faults))
    head = data.get("sweep", {})
    faults = [str(UnknownNameError("table", name, TABLES)) for name in data if name not in TABLES]
    faults += [str(UnknownNameError("key of [sweep]", name, (*FIXED, *KEPT))) for name in head if name not in (*FIXED, *KEPT)]
    if not isinstance(head.get("metrics", []), (str, list)):
        faults.append(f"metrics = {head['metrics']!r}: expected a list of names")
    strangers = [name for name in data.get("random", {}) if name not in ("points", "seed")]
    faults += [str(UnknownNameError("key of [random]", name, ("points", "seed"))) for name in strangers]
    if "random" in data and "points" not in data["random"]:
        faults.append("[random] needs points")
    if faults:
        raise UsageError("\n".join(f"{path}: {fault}" for fault in faults))
    random, metrics = data.get("random", {}), head.get("metrics", ())
    try:
        return design_from(
            _flat(data.get("axes", {})),
            linked=[_flat(table) for table in linked],
            points=random.get("points"),
            seed=random.get("seed", 0),
            fixed={name: head[name] for name in head if name in FIXED},
            plan=data.get("plan", {}),
            changes=_flat(data.get("set", {})),
            metrics=[metrics] if isinstance(metrics, str) else metrics,
            top=head.get("top"),
            objective=head.get("objective", OBJECTIVE),
        )
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Keys with dots that TOML has taken apart, put together again; ranges are left as they are.

    Examples
    --------
    >>> _flat({"site": {"electricity": {"price": [1, 2]}}, "batch": {"from": 1, "to": 2, "count": 2}})
    {'site.electricity.price': [1, 2], 'batch': {'from': 1, 'to': 2, 'count': 2}}
    """
    found: dict[str, Any] = {}
    for name, item in table.items():
        if isinstance(item, Mapping) and item and not {"from", "to", "count", "spacing"} & set(item):
            found |= _flat(item, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = item
    return found
