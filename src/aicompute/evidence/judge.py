"""Measured against predicted: an error and an interval for every row, and figures over groups of rows."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np

from aicompute.errors import AicomputeError, UnknownNameError
from aicompute.estimate.reading import Reader, Sampler, read_value
from aicompute.evidence.batch import Batch
from aicompute.evidence.batches import batches_of
from aicompute.evidence.files import Row, Table
from aicompute.evidence.fit import spread_of
from aicompute.evidence.free import DrawnReader
from aicompute.specs import Library

QUANTILE = 1.6448536269514722
"""Standard deviations of a normal law between its median and its 95 % point."""


@dataclass(frozen=True)
class Judgement:
    """One measured value against its prediction, or the reason why there is none."""

    file: str
    kind: str
    row: Row
    group: str
    metric: str
    """The measured column."""
    measured: float
    predicted: float = math.nan
    low: float = math.nan
    high: float = math.nan
    """Bounds of the 90 % interval of the measurement."""
    skipped: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)
    """Words that a row can be grouped by and that no column holds."""

    @property
    def id(self) -> str:
        """The row's own name, or its number."""
        return self.row.text("id") or str(self.row.number)

    @property
    def error(self) -> float:
        """Predicted over measured, less 1."""
        return self.predicted / self.measured - 1.0

    @property
    def inside(self) -> bool:
        """Whether the interval holds the measurement."""
        return self.low <= self.measured <= self.high

    def label(self, column: str) -> str:
        """What a row says in a column, for grouping."""
        return self.extra.get(column) or self.row.text(column)


@dataclass(frozen=True)
class Figures:
    """What the errors of a group of rows come to; shares, not percent."""

    count: int
    median: float
    """Of the size of the errors, as are the mean and the 90th percentile."""
    mean: float
    bias: float
    """Median of the errors with their sign."""
    p90: float
    inside: float
    """Share of measurements within their 90 % interval."""
    width: float
    """Median of ln(high / low)."""


DRAWS = 48
"""Draws of the values that a prediction reads; the spread of their predictions is known to a tenth."""


def judge(lib: Library, table: Table) -> list[Judgement]:
    """Predict every row of a file; rows that cannot be are kept with the reason."""
    batches, faults = batches_of(lib, table)
    judged: dict[int, list[Judgement]] = {
        index: [_skipped(table, table.rows[index], reason, {"kind": table.kind.name})] for index, reason in faults.items()
    }
    reader = DrawnReader(Sampler(DRAWS))
    for batch in batches:
        for index, one in _batch(lib, table, batch, reader):
            judged.setdefault(index, []).append(one)
    return [one for index in sorted(judged) for one in judged[index]]


def _batch(lib: Library, table: Table, batch: Batch, reader: Reader) -> Iterator[tuple[int, Judgement]]:
    """The measured values of a batch, with the position of their rows."""
    stack = lib.load("stacks", batch.stack)
    values, draws = batch.predict(read_value), batch.predict(reader)
    for metric, name in batch.residuals.items():
        residual = stack.si(f"residual.{name}")
        spread = np.broadcast_to(spread_of(draws[metric]), len(batch.indices))
        predicted = np.broadcast_to(values[metric], len(batch.indices))
        for index, value, wide in zip(batch.indices, predicted, spread, strict=True):
            row = table.rows[index]
            if row.text(metric):
                extra = {"kind": table.kind.name, "stack": row.text("stack") or stack.id}
                if table.kind.name in ("training", "serving"):
                    extra["model_kind"] = model_kind(lib, row)
                yield index, _judged(table, row, metric, float(value), math.hypot(residual, wide), extra)


def _judged(table: Table, row: Row, metric: str, value: float, sigma: float, extra: Mapping[str, str]) -> Judgement:
    """A value with its interval, log-normal around the prediction."""
    if not math.isfinite(value) or value <= 0.0:
        return _skipped(table, row, "the formula gives no positive value for this row", extra, metric)
    factor = math.exp(QUANTILE * sigma)
    measured = row.number_in(metric)
    return Judgement(table.name, table.kind.name, row, _group(row), metric, measured, value, value / factor, value * factor, "", extra)


def _skipped(table: Table, row: Row, reason: str, extra: Mapping[str, str], metric: str = "") -> Judgement:
    """A row with the reason why it is left out."""
    measured = math.nan
    metric = metric or next((column for column in table.kind.measured if row.text(column)), table.kind.measured[0])
    with suppress(ValueError):  # the fault itself
        measured = row.number_in(metric, math.nan)
    return Judgement(table.name, table.kind.name, row, _group(row), metric, measured, skipped=reason, extra=extra)


def _group(row: Row) -> str:
    return row.text("group") or row.text("accelerator")


def model_kind(lib: Library, row: Row) -> str:
    """Whether a row's model is a mixture of experts or dense."""
    if "n_experts" in row.cells:
        return "MoE" if row.number_in("n_experts") else "dense"
    return "MoE" if lib.load("models", row.text("model")).get("num_experts", 0) else "dense"


def figures(judged: Sequence[Judgement]) -> Figures:
    """Figures over rows that have a prediction; nan for none."""
    if not judged:
        return Figures(0, *[math.nan] * 6)
    errors = np.array([one.error for one in judged])
    size = np.abs(errors)
    return Figures(
        len(judged),
        float(np.median(size)),
        float(np.mean(size)),
        float(np.median(errors)),
        float(np.quantile(size, 0.9)),
        float(np.mean([one.inside for one in judged])),
        float(np.median([math.log(one.high / one.low) for one in judged])),
    )


def grouped(judged: Iterable[Judgement], column: str = "") -> dict[tuple[str, str, str], list[Judgement]]:
    """Rows by kind, metric and what they say in a column; rows that say nothing there are left out."""
    groups: dict[tuple[str, str, str], list[Judgement]] = {}
    for one in judged:
        label = one.label(column) if column else ""
        if label or not column:
            groups.setdefault((one.kind, one.metric, label), []).append(one)
    return groups


def check_column(judged: Sequence[Judgement], column: str) -> None:
    """Refuse a column that no file has.

    Raises
    ------
    UnknownNameError
        With the nearest.
    """
    files = {one.file: one for one in judged}
    known = {name for one in files.values() for name in (*one.row.cells, *one.extra) if name} | {"model_kind"}
    if column not in known:
        raise UnknownNameError("column to group by", column, sorted(known))


def reasons(judged: Iterable[Judgement]) -> dict[tuple[str, str], list[Judgement]]:
    """Rows left out, by file and reason, the most frequent first."""
    found: dict[tuple[str, str], list[Judgement]] = {}
    for one in judged:
        if one.skipped:
            found.setdefault((one.file, one.skipped), []).append(one)
    return dict(sorted(found.items(), key=lambda item: -len(item[1])))


def worst(judged: Iterable[Judgement], count: int) -> list[Judgement]:
    """Rows farthest off, as a factor: half and double are equally wrong."""
    with_error = [one for one in judged if not one.skipped]
    return sorted(with_error, key=lambda one: -abs(math.log(one.predicted / one.measured)))[: max(count, 0)]


@dataclass(frozen=True)
class Limit:
    """A largest median error, and what is reached."""

    name: str
    most: float
    """[%]"""
    reached: float
    """[%]; nan without rows."""
    count: int

    @property
    def kept(self) -> bool:
        """Within the limit; without rows it is not."""
        return self.reached <= self.most


def limits(judged: Sequence[Judgement], wanted: Mapping[str, object]) -> list[Limit]:
    """Every limit of a tolerance file against the rows.

    ``[KIND] METRIC = percent`` is of all rows of a kind, ``[KIND.COLUMN.LABEL] METRIC = percent`` of those with a word in a column.

    Raises
    ------
    AicomputeError
        A table or value that means nothing.
    """
    found: list[Limit] = []
    predicted = [one for one in judged if not one.skipped]
    for kind, tables in wanted.items():
        if not isinstance(tables, Mapping):
            raise AicomputeError(f"tolerance {kind!r}: expected a table of limits, such as [training]")
        for name, inside in tables.items():
            if not isinstance(inside, Mapping):
                found.append(_limit(f"{kind}, {name}", inside, [one for one in predicted if (one.kind, one.metric) == (kind, name)]))
                continue
            for label, metrics in inside.items():
                if not isinstance(metrics, Mapping):
                    raise AicomputeError(f"tolerance {kind}.{name}.{label}: expected a table [{kind}.{name}.{label!r}] with limits")
                chosen = [one for one in predicted if one.kind == kind and one.label(name) == label]
                found += [
                    _limit(f"{kind}, {name} {label}, {metric}", most, [one for one in chosen if one.metric == metric])
                    for metric, most in metrics.items()
                ]
    return found


def _limit(name: str, most: object, judged: Sequence[Judgement]) -> Limit:
    if isinstance(most, bool) or not isinstance(most, (int, float)) or not most > 0:
        raise AicomputeError(f"tolerance {name}: {most!r} is not a median error above 0 in percent")
    return Limit(name, float(most), 100.0 * figures(judged).median, len(judged))


def counted(judged: Sequence[Judgement]) -> Counter[str]:
    """Values predicted and left out, and rows."""
    return Counter(
        rows=len({(one.file, one.row.number) for one in judged}),
        judged=sum(not one.skipped for one in judged),
        skipped=sum(bool(one.skipped) for one in judged),
    )
