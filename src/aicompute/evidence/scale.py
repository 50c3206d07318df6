"""Rows by how many accelerators took part, in classes that can be told apart at a glance."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace

from aicompute.evidence.files import Row
from aicompute.evidence.judge import Judgement

COLUMNS = ("n_accelerators", "n_gpus", "n_ranks")
"""Where files say how many took part; the last two count devices."""
CLASSES = ((1.0, "1"), (8.0, "2 to 8"), (64.0, "9 to 64"), (512.0, "65 to 512"), (float("inf"), "above 512"))


def scale_of(row: Row) -> str:
    """The class of a row; empty where it does not say, or is of a kernel of one device.

    Examples
    --------
    >>> scale_of(Row(1, {"n_accelerators": "128"})), scale_of(Row(1, {}))
    ('65 to 512', '')
    """
    for column in COLUMNS:
        with suppress(ValueError):  # a fault that is told elsewhere
            count = row.number_in(column)
            if count > 0.0:
                return next(name for most, name in CLASSES if count <= most)
    return ""


def with_scale(judged: Iterable[Judgement]) -> list[Judgement]:
    """The same rows, to be grouped by a column ``scale`` as well."""
    return [replace(one, extra={**one.extra, "scale": scale}) if (scale := scale_of(one.row)) else one for one in judged]
