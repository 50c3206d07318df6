"""Predictions against measurements as they are used in Python."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from aicompute.evidence.judge import Figures, Judgement, Limit, figures, grouped
from aicompute.report import plot, validation
from aicompute.report.frames import pandas_module
from aicompute.report.printed import Text


@dataclass(frozen=True, repr=False)
class ValidationView:
    """Every measured value with its prediction, or the reason why it has none."""

    judged: tuple[Judgement, ...]
    by: tuple[str, ...] = ()
    worst: int = 5
    limits: tuple[Limit, ...] = ()
    apart: tuple[Judgement, ...] = ()
    """How far rows that were pooled are apart."""

    @property
    def kept(self) -> bool:
        """Whether every limit that was asked for is kept."""
        return all(limit.kept for limit in self.limits)

    def figures(self, column: str = "") -> Mapping[tuple[str, str, str], Figures]:
        """Figures by kind of file, measured column and what rows say in a column."""
        return {
            key: figures([one for one in rows if not one.skipped]) for key, rows in grouped(self.judged, column).items()
        }

    def table(self, format: str = "table") -> Text:
        """As text: ``table`` (80 columns), ``markdown``, ``csv`` or ``json``."""
        return Text(validation.render(self.judged, self.by, self.worst, self.limits, format, self.apart))

    def to_json(self) -> str:
        """The same as ``--format json``."""
        return json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False)

    def to_dict(self) -> dict[str, Any]:
        """Every row, and a summary."""
        return validation.as_json(self.judged, self.by, self.worst, self.limits, self.apart)

    def to_pandas(self) -> Any:
        """A data frame with a row a measured value; needs the extra ``tables``."""
        return pandas_module().DataFrame([validation.record(one) for one in self.judged])

    def plot(self, path: str | PathLike[str], title: str = "Predicted against measured") -> None:
        """Draw predicted against measured, as ``.svg`` or ``.html``."""
        plot.check_target(Path(path))
        plot.write(Path(path), self.judged, self.by, title)

    def __str__(self) -> str:
        return str(self.table())

    __repr__ = __str__
