"""Predictions against measurements as tables, JSON or CSV."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from aicompute.evidence.judge import Figures, Judgement, Limit, counted, figures, grouped, reasons, worst
from aicompute.report import text
from aicompute.report.text import Cell

SCHEMA = 1

LABELS = {
    "step_time_s": "step time",
    "tokens_per_s_per_accelerator": "tokens/s",
    "output_tokens_per_s_per_accelerator": "output tokens/s",
    "input_tokens_per_s_per_accelerator": "input tokens/s",
    "ttft_ms": "TTFT",
    "tpot_ms": "TPOT",
    "power_w_per_accelerator": "power",
    "power_w": "of kernels",
    "time_us": "time",
}
"""Measured columns as tables name them."""

UNITS = {
    "step_time_s": "s",
    "tokens_per_s_per_accelerator": "tokens/s per accelerator",
    "output_tokens_per_s_per_accelerator": "tokens/s per accelerator",
    "input_tokens_per_s_per_accelerator": "tokens/s per accelerator",
    "ttft_ms": "ms",
    "tpot_ms": "ms",
    "power_w_per_accelerator": "W per accelerator",
    "power_w": "W",
    "time_us": "µs",
}
"""Their units."""

_HEADS = ("rows", "skipped", "median", "mean", "p90", "bias", "inside")
_ROW = ("file", "id", "group", "metric", "measured", "predicted", "low", "high", "error", "skipped")


def render(
    judged: Sequence[Judgement],
    by: Sequence[str] = (),
    count: int = 5,
    limits: Sequence[Limit] = (),
    format: str = "table",
    apart: Sequence[Judgement] = (),
) -> str:
    """Everything that was judged, in one of the formats of `text`.

    Parameters
    ----------
    judged : sequence of Judgement
    by : sequence of str          Columns to group by, a table each.
    count : int                   Of the rows farthest off.
    limits : sequence of Limit    That were asked for.
    format : str                  table, markdown: figures by group. csv, json: every row.
    apart : sequence of Judgement
        Rows before they were pooled, each with the median of its pool for a prediction.
    """
    if format == "json":
        return json.dumps(as_json(judged, by, count, limits, apart), ensure_ascii=False, allow_nan=False)
    if format == "csv":
        records = [record(one) for one in judged]
        return text.comma_separated(_ROW, [[each.get(name) for name in _ROW] for each in records])
    return "\n\n".join(_tables(judged, by, count, limits, format, apart))


def record(one: Judgement) -> dict[str, Any]:
    """A row as JSON says it: with its error, or with the reason why it is left out."""
    found: dict[str, Any] = {"file": one.file, "id": one.id, "group": one.group, "metric": one.metric, "measured": _finite(one.measured)}
    if one.skipped:
        return found | {"predicted": None, "low": None, "high": None, "skipped": f"row {one.row.number}, {one.skipped}"}
    return found | {"predicted": one.predicted, "low": one.low, "high": one.high, "error": one.error}


def as_json(
    judged: Sequence[Judgement],
    by: Sequence[str] = (),
    count: int = 5,
    limits: Sequence[Limit] = (),
    apart: Sequence[Judgement] = (),
) -> dict[str, Any]:
    """The contract: schema, rows, summary."""
    summary: dict[str, Any] = {
        **counted(judged),
        "groups": [_figures_of(kind, metric, judged_here) for (kind, metric, _), judged_here in grouped(judged).items()],
        "by": {
            column: [
                {column: label, **_figures_of(kind, metric, judged_here)}
                for (kind, metric, label), judged_here in grouped(judged, column).items()
            ]
            for column in by
        },
        "reasons": [{"file": file, "reason": reason, "rows": len(rows)} for (file, reason), rows in reasons(judged).items()],
        "worst": [record(one) for one in worst(judged, count)],
    }
    if limits:
        summary["limits"] = [
            {"name": one.name, "limit": one.most / 100.0, "median": _finite(one.reached / 100.0), "rows": one.count, "kept": one.kept}
            for one in limits
        ]
    if apart:
        summary["pooled"] = [
            {"kind": kind, "metric": metric, "rows": found.count, "median": found.median, "mean": found.mean, "p90": found.p90}
            for (kind, metric, _), rows in grouped(apart).items()
            for found in [figures(rows)]
        ]
    return {"schema": SCHEMA, "rows": [record(one) for one in judged], "summary": summary}


def _figures_of(kind: str, metric: str, judged: Sequence[Judgement]) -> dict[str, Any]:
    """Figures of a group as JSON says them; errors are shares."""
    found, skipped = _split(judged)
    return {
        "kind": kind,
        "metric": metric,
        "rows": len(judged),
        "skipped": skipped,
        "median": _finite(found.median),
        "mean": _finite(found.mean),
        "p90": _finite(found.p90),
        "bias": _finite(found.bias),
        "inside": _finite(found.inside),
        "log_width": _finite(found.width),
    }


def _split(judged: Sequence[Judgement]) -> tuple[Figures, int]:
    predicted = [one for one in judged if not one.skipped]
    return figures(predicted), len(judged) - len(predicted)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _tables(
    judged: Sequence[Judgement], by: Sequence[str], count: int, limits: Sequence[Limit], format: str, apart: Sequence[Judgement]
) -> list[str]:
    """The figures of all rows, how far pooled rows are apart, figures by group, what is left out, the rows farthest off, the limits."""

    def shown(headers: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
        return text.render(headers, rows, format)

    parts = [shown(("measured", *_HEADS), [_line(f"{kind} {LABELS[metric]}", rows) for (kind, metric, _), rows in grouped(judged).items()])]
    if apart:
        heads = ("pooled rows from their median", "rows", "median", "mean", "p90")
        parts.append(shown(heads, [_apart(*item) for item in grouped(apart).items()]))
    for column in by:
        lines: list[list[Cell]] = []
        for (kind, metric, _), together in grouped(judged).items():
            groups = sorted(grouped(together, column).items(), key=lambda item: -len(item[1]))
            if groups:
                lines += [[f"{kind} {LABELS[metric]}"], *(_line(label, rows) for (_, _, label), rows in groups)]
        parts.append(shown((f"by {column}", *_HEADS), lines))
    left_out = [[file, _numbers(rows), reason] for (file, reason), rows in reasons(judged).items()]
    if left_out:
        parts.append(shown(("left out of", "rows", "reason"), left_out))
    farthest = worst(judged, count)
    if farthest:
        far: list[list[Cell]] = [
            [one.id, f"{one.kind} {LABELS[one.metric]}", one.measured, one.predicted, one.predicted / one.measured, one.group]
            for one in farthest
        ]
        parts.append(shown(("farthest off", "what", "measured", "predicted", "ratio", "group"), far))
    if limits:
        kept = [[one.name, one.count, percent(one.reached / 100.0), f"{one.most:g} %", "yes" if one.kept else "NO"] for one in limits]
        parts.append(shown(("limit of the median", "rows", "reached", "limit", "kept"), kept))
    return parts


def _line(name: str, judged: Sequence[Judgement]) -> list[Cell]:
    found, skipped = _split(judged)
    sizes = [percent(value) for value in (found.median, found.mean, found.p90)]
    bias = f"{100.0 * found.bias:+.1f} %" if math.isfinite(found.bias) else "-"
    return [name, found.count, skipped, *sizes, bias, percent(found.inside, 0)]


def _apart(key: tuple[str, str, str], rows: Sequence[Judgement]) -> list[Cell]:
    """How far pooled rows are from the median of their pool."""
    found = figures(rows)
    return [f"{key[0]} {LABELS[key[1]]}", found.count, percent(found.median), percent(found.mean), percent(found.p90)]


def percent(share: float, digits: int = 1) -> str:
    """A share in percent, a dash where it is not known.

    Examples
    --------
    >>> percent(0.1234), percent(0.9, 0), percent(math.nan)
    ('12.3 %', '90 %', '-')
    """
    return f"{100.0 * share:.{digits}f} %" if math.isfinite(share) else "-"


def _numbers(judged: Sequence[Judgement], most: int = 5) -> str:
    """Numbers of rows: the first few, and how many more.

    Examples
    --------
    >>> from aicompute.evidence.files import Row
    >>> _numbers([Judgement("f", "gemm", Row(n, {}), "", "time_us", 1.0) for n in range(1, 9)])
    '1, 2, 3, 4, 5 and 3 more'
    """
    numbers = sorted({one.row.number for one in judged})
    said = ", ".join(str(number) for number in numbers[:most])
    return said if len(numbers) <= most else f"{said} and {len(numbers) - most} more"
