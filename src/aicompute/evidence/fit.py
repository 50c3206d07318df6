"""Fit free values to measured rows: robust least squares on the logarithm of predicted over measured, with beliefs as priors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aicompute.errors import AicomputeError
from aicompute.evidence.batch import Batch
from aicompute.evidence.batches import batches_of
from aicompute.evidence.files import Table
from aicompute.evidence.free import FreeReader, Space, Vector
from aicompute.numerics import Array
from aicompute.specs import Library

STEP = 1e-4
"""Difference on the line by which derivatives are taken."""

STEADY = 5.0
"""Rows that the ordinary size of an error counts as, when rows say how large errors are."""


@dataclass(frozen=True)
class Part:
    """Rows of one batch and one measured column."""

    batch: Batch
    metric: str
    measured: Vector
    """Of all rows of the batch; not a number where nothing was measured."""
    table: Table
    weight: Vector
    """Of each row's residual; 0 leaves it out."""
    share: Vector
    """Of a row that counts, whatever the size of its group."""


@dataclass(frozen=True)
class Fitted:
    """What a fit found."""

    space: Space
    moved: Vector
    covariance: NDArray[np.float64]
    """Of the moved distances."""
    residuals: Vector
    """ln(predicted / measured) of all rows used."""
    rounds: int
    support: float = 0.0
    """Logarithm of how probable the beliefs make the measurements, but for a constant; for comparing beliefs about equal rows."""

    @property
    def spreads(self) -> Vector:
        """Standard deviation of each value on its line, its parents' included."""
        found = []
        for chain in self.space.chains:
            pick = np.zeros(len(self.moved))
            pick[list(chain)] = 1.0
            found.append(float(pick @ self.covariance @ pick))
        return np.asarray(np.sqrt(np.maximum(found, 0.0)))

    @property
    def learned(self) -> Vector:
        """Share of the prior's variance of each distance that the rows removed; near 0 the data cannot tell."""
        return np.asarray(1.0 - np.diag(self.covariance) / self.space.spreads**2)


def parts_of(lib: Library, table: Table, scales: Mapping[str, float], correlation: float = 0.0) -> list[Part]:
    """Measured columns of a table, ready for a fit.

    Parameters
    ----------
    lib : Library
    table : Table
    scales : mapping              For each measured column that counts, the size of an ordinary error of ln(predicted / measured).
    correlation : float           Between the errors of rows of one ``group``: a group of n rows counts as n / (1 + (n - 1) c) rows.

    Returns
    -------
    list of Part.
    """
    labels: list[str] = [row.text("group") for row in table.rows]
    sizes = Counter(labels)
    shrink = np.array([1.0 if not label else (1.0 + (sizes[label] - 1) * correlation) ** -0.5 for label in labels])
    parts = []
    for batch in batches_of(lib, table)[0]:
        indices = list(batch.indices)
        for metric in (name for name in batch.residuals if name in scales):
            measured = np.array([table.rows[index].number_in(metric, np.nan) for index in indices])
            weight = np.where(np.isfinite(measured) & (measured > 0.0), shrink[indices] / scales[metric], 0.0)
            parts.append(Part(batch, metric, measured, table, weight, np.ones(len(indices))))
    return parts


def kept(parts: Sequence[Part], keep: Callable[[Part, int], bool]) -> list[Part]:
    """The same parts with the rows left out for which ``keep`` says no; it is given the part and the row's position in its table."""
    found = []
    for part in parts:
        mask = np.array([keep(part, index) for index in part.batch.indices])
        if (part.weight * mask).any():
            found.append(Part(part.batch, part.metric, part.measured, part.table, part.weight * mask, part.share))
    return found


def errors(space: Space, moved: Vector, parts: Sequence[Part]) -> list[Vector]:
    """ln(predicted / measured) of every row of every part; not a number where one of them is missing."""
    values = list(space.values(moved))
    return [_logarithms(part.batch.predict(FreeReader(space, values)), part)[0] for part in parts]


def _logarithms(predicted: Mapping[str, Array], part: Part, count: int = 1) -> NDArray[np.float64]:
    """ln(predicted / measured), of the shape (count, rows)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        whole = np.broadcast_to(predicted[part.metric], (count, len(part.measured)))
        return np.asarray(np.log(np.where(whole > 0.0, whole, np.nan) / part.measured))


def spread_of(draws: Array) -> Array:
    """Standard deviation of ln(prediction) over the draws."""
    with np.errstate(divide="ignore", invalid="ignore"):
        logarithm = np.log(np.maximum(draws, 0.0))
    return np.nan_to_num(np.std(logarithm, axis=0)) if np.ndim(draws) > 1 else 0.0


@dataclass
class _Problem:
    """Residuals and derivatives for the solver."""

    space: Space
    groups: list[tuple[Batch, list[Part]]]
    touched: dict[int, list[int]]
    """By group, the free values that it depends on, parents included."""
    last: tuple[bytes, Vector, NDArray[np.float64]] | None = None

    def both(self, moved: Vector) -> tuple[Vector, NDArray[np.float64]]:
        """Weighted residuals and their derivatives, those of the beliefs last."""
        key = moved.tobytes()
        if self.last is not None and self.last[0] == key:
            return self.last[1], self.last[2]
        residuals, slopes = [], []
        for index, (batch, parts) in enumerate(self.groups):
            wanted = self.touched[index]
            points = np.repeat(moved[:, None], len(wanted) + 1, axis=1)
            for column, position in enumerate(wanted):
                points[position, column + 1] += STEP
            values: list[Array] = [value[:, None] for value in self.space.values(points)]
            predicted = batch.predict(FreeReader(self.space, values))
            for part in parts:
                found = _logarithms(predicted, part, len(wanted) + 1)
                use = part.weight > 0.0
                base = found[0, use]
                finite = np.isfinite(base)
                base, weight = base[finite], part.weight[use][finite]
                soft, slope = _soft(base * weight)
                block = np.zeros((len(base), len(moved)))
                block[:, wanted] = ((found[1:, use][:, finite] - base) / STEP).T
                residuals.append(soft)
                slopes.append(block * (slope * weight)[:, None])
        residuals.append(moved / self.space.spreads)
        slopes.append(np.diag(1.0 / self.space.spreads))
        self.last = (key, np.concatenate(residuals), np.nan_to_num(np.vstack(slopes)))
        return self.last[1], self.last[2]


def _soft(residual: Vector) -> tuple[Vector, Vector]:
    """A residual whose square grows like the residual's size where that is large, and its slope (pseudo-Huber)."""
    soft = np.sign(residual) * np.sqrt(2.0 * (np.sqrt(1.0 + residual**2) - 1.0))
    safe = np.where(np.abs(soft) > 1e-9, soft, 1.0)
    return soft, np.where(np.abs(soft) > 1e-9, residual / (np.sqrt(1.0 + residual**2) * safe), 1.0)


def fit(space: Space, parts: Sequence[Part], start: Vector | None = None, rounds: int = 30) -> Fitted:
    r"""Move free values to where rows and beliefs agree best.

    Parameters
    ----------
    space : Space
    parts : sequence of Part
    start : shape (free,)     Distances to begin with; those of the beliefs if None.
    rounds : int              At most.

    Returns
    -------
    Fitted.

    Raises
    ------
    AicomputeError
        No row can be used, or no value is free.

    Notes
    -----
    .. math:: \min_u \sum_i 2\left(\sqrt{1 + (w_i r_i)^2} - 1\right) + \sum_j (u_j / s_j)^2, \quad r_i = \ln(p_i / m_i)

    The covariance is the inverse of the curvature at the minimum, times the mean square of the residuals where they are larger than was
    believed. The support is that of Laplace [2]_: the smallness of the minimum less the freedom that it took.

    References
    ----------
    .. [1] P. Huber, E. Ronchetti, Robust Statistics (2009), section 7.
    .. [2] D. MacKay, Neural Computation 4 (1992) 415, section 2.
    """
    from scipy.optimize import least_squares

    if not space.free:
        raise AicomputeError("nothing is free to be fitted")
    grouped: dict[int, tuple[Batch, list[Part]]] = {}
    for part in parts:
        grouped.setdefault(id(part.batch), (part.batch, []))[1].append(part)
    groups = list(grouped.values())
    if not groups:
        raise AicomputeError("no measured row can be used")
    moved = np.zeros(len(space.free)) if start is None else np.array(start, dtype=float)
    touched = {}
    for index, (batch, _) in enumerate(groups):
        reader = FreeReader(space, list(space.values(moved)))
        batch.predict(reader)
        touched[index] = sorted({link for position in reader.touched for link in space.chains[position]})
    problem = _Problem(space, groups, touched)
    result = least_squares(
        lambda u: problem.both(u)[0], moved, lambda u: problem.both(u)[1], method="trf", x_scale=space.spreads, max_nfev=rounds, ftol=1e-6
    )
    residuals, slopes = problem.both(result.x)
    rows = len(residuals) - len(moved)
    scale = max(1.0, float(np.sum(residuals[:rows] ** 2)) / max(rows - len(moved), 1))
    curvature = slopes[:rows].T @ slopes[:rows] / scale + np.diag(space.spreads**-2.0)
    found = np.concatenate([np.ravel(one) for one in errors(space, result.x, parts)])
    covariance = np.asarray(np.linalg.inv(curvature), dtype=np.float64)
    support = _support(residuals[:rows], slopes[:rows], residuals[rows:], space.spreads)
    return Fitted(space, result.x, covariance, found[np.isfinite(found)], int(result.nfev), support)


def _support(residuals: Vector, slopes: NDArray[np.float64], beliefs: Vector, spreads: Vector) -> float:
    """Logarithm of the probability of the rows under the beliefs, noise as large as they show if that is more than was believed."""
    squares, rows = float(np.sum(residuals**2)) + STEADY, len(residuals) + STEADY
    noise = max(1.0, squares / rows)
    _, freedom = np.linalg.slogdet(np.eye(len(spreads)) + (slopes.T @ slopes) * np.outer(spreads, spreads) / noise)
    return -0.5 * float(squares / noise + rows * np.log(noise) + np.sum(beliefs**2) + freedom)
