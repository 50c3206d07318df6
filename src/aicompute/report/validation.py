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
    "power_w": "power",
    "time_us": "time",
}
"""Measured columns as tables name them."""

_HEADS = ("rows", "skipped", "median", "mean", "p90", "bias", "inside")
_ROW = ("file", "id", "group", "metric", "measured", "predicted", "low", "high", "error", "skipped")


def render(judged: Sequence[Judgement], by: Sequence[str] = (), count: int = 5, limits: Sequence[Limit] = (), format: str = "table") -> str:
    """Everything that was judged, in one of the formats of `text`.

    Parameters
    ----------
    judged : sequence of Judgement
    by : sequence of str          Columns to group by, a table each.
    count : int                   Of the rows farthest off.
    limits : sequence of Limit    That were asked for.
    format : str                  table, markdown: figures by group. csv, json: every row.
    """
    if format == "json":
        return json.dumps(as_json(judged, by, count, limits), ensure_ascii=False, allow_nan=False)
    if format == "csv":
        records = [record(one) for one in judged]
        return text.comma_separated(_ROW, [[each.get(name) for name in _ROW] for each in records])
    return "\n\n".join(_tables(judged, by, count, limits, format))


def record(one: Judgement) -> dict[str, Any]:
    """A row as JSON says it: with its error, or with the reason why it is left out."""
    found: dict[str, Any] = {"file": one.file, "id": one.id, "group": one.group, "metric": one.metric, "measured": _finite(one.measured)}
    if one.skipped:
        return found | {"predicted": None, "low": None, "high": None, "skipped": f"row {one.row.number}, {one.skipped}"}
    return found | {"predicted": one.predicted, "low": one.low, "high": one.high, "error": one.error}


def as_json(judged: Sequence[Judgement], by: Sequence[str] = (), count: int = 5, limits: Sequence[Limit] = ()) -> dict[str, Any]:
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


def _tables(judged: Sequence[Judgement], by: Sequence[str], count: int, limits: Sequence[Limit], format: str) -> list[str]:
    """The figures of all rows, by group, what is left out, the rows farthest off, the limits."""

    def shown(headers: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
        return text.render(headers, rows, format)

    parts = [shown(("measured", *_HEADS), [_line(f"{kind} {LABELS[metric]}", rows) for (kind, metric, _), rows in grouped(judged).items()])]
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
        kept = [[one.name, one.count, _percent(one.reached / 100.0), f"{one.most:g} %", "yes" if one.kept else "NO"] for one in limits]
        parts.append(shown(("limit of the median", "rows", "reached", "limit", "kept"), kept))
    return parts


def _line(name: str, judged: Sequence[Judgement]) -> list[Cell]:
    found, skipped = _split(judged)
    sizes = [_percent(value) for value in (found.median, found.mean, found.p90)]
    bias = f"{100.0 * found.bias:+.1f} %" if math.isfinite(found.bias) else "-"
    return [name, found.count, skipped, *sizes, bias, f"{100.0 * found.inside:.0f} %" if math.isfinite(found.inside) else "-"]


def _percent(share: float) -> str:
    return f"{100.0 * share:.1f} %" if math.isfinite(share) else "-"


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
