"""A front of two or three metrics as a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from aicompute.errors import UsageError
from aicompute.report.numbers import better_of, display_of, scale_of
from aicompute.report.svg import NAMESPACE, LogAxis, element, label, short, shortened
from aicompute.search.plans import Answer

WIDTH, HEIGHT = 640.0, 420.0
_LEFT, _RIGHT, _TOP, _FOOT = 64.0, 24.0, 56.0, 56.0
_SIZE, _SMALL = 13.0, 11.0
_SHADES = ("#08306b", "#2171b5", "#6baed6", "#fdae6b", "#d94801")
STYLE = (
    "text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;fill:#1b1f24}.paper{fill:#fff}"
    ".soft{fill:#57606a}.bold{font-weight:600}.frame{fill:none;stroke:#8c959f}.grid{stroke:#e4e7eb}.line{fill:none;stroke:#2171b5}"
    "@media(prefers-color-scheme:dark){text{fill:#e6e9ec}.paper{fill:#14181d}.soft{fill:#a2abb5}.frame{stroke:#6b747e}.grid{stroke:#262d35}}"
)


def check_target(path: Path) -> None:
    """Refuse a file that is no ``.svg`` or whose folder does not exist.

    Raises
    ------
    UsageError
        Before anything is searched.
    """
    if path.suffix.lower() != ".svg":
        raise UsageError(f"plot {path}: expected a name that ends with .svg")
    if not path.parent.is_dir():
        raise UsageError(f"plot {path}: there is no folder {path.parent}")


def drawing(answer: Answer) -> str:
    """The front as SVG: the first two metrics as axes, the third as colour.

    Raises
    ------
    UsageError
        There is no front to draw.
    """
    if len(answer.pareto) < 2 or not answer.front:
        raise UsageError("there is no front to draw; name two or three metrics with pareto, such as tokens_per_s_per_accelerator,tpot")
    names = answer.pareto
    scales = [scale_of(display_of(name).scales, [one.metrics[name] for one in answer.front]) for name in names]
    points = np.array([[one.metrics[name] / scale[0] for name, scale in zip(names, scales, strict=True)] for one in answer.front])
    points = points[(points[:, :2] > 0.0).all(axis=1)]
    across, up = WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _FOOT
    x_axis, y_axis = (LogAxis.around(points[:, k], length, least=1.2) for k, length in ((0, across), (1, up)))
    x, y = _LEFT + x_axis.at(points[:, 0]), _TOP + up - y_axis.at(points[:, 1])
    parts = [element("style", STYLE), element("rect", class_="paper", width=WIDTH, height=HEIGHT)]
    parts += _text(_title(answer), _LEFT, 22.0, _SIZE, "bold") + _text(_subtitle(answer), _LEFT, 40.0, _SMALL, "soft")
    for value in _ticks(x_axis):
        place = _LEFT + float(x_axis.at(value))
        parts.append(element("line", class_="grid", x1=place, x2=place, y1=_TOP, y2=_TOP + up))
        below = {"x": place, "y": _TOP + up + 16.0, "font_size": _SMALL}
        parts.append(element("text", label(short(value)), class_="soft", text_anchor="middle", **below))
    for value in _ticks(y_axis):
        place = _TOP + up - float(y_axis.at(value))
        parts.append(element("line", class_="grid", x1=_LEFT, x2=_LEFT + across, y1=place, y2=place))
        parts.append(element("text", label(short(value)), class_="soft", x=_LEFT - 6.0, y=place + 4.0, font_size=_SMALL, text_anchor="end"))
    parts.append(element("rect", class_="frame", x=_LEFT, y=_TOP, width=across, height=up))
    order = np.argsort(x)
    if len(names) == 2:
        path = "M" + "L".join(f"{x[k]:.1f} {y[k]:.1f}" for k in order)
        parts.append(element("path", class_="line", d=path))
    shades = _shades(points[:, 2]) if len(names) == 3 else [_SHADES[1]] * len(points)
    parts += [element("circle", cx=float(x[k]), cy=float(y[k]), r=3.0, fill=shades[k]) for k in order]
    titles = [_headed(name, scale[1]) for name, scale in zip(names, scales, strict=True)]
    parts += [element("text", label(titles[0]), x=_LEFT + across / 2.0, y=HEIGHT - 14.0, font_size=_SMALL, text_anchor="middle")]
    turned = f"translate(16 {_TOP + up / 2.0:g}) rotate(-90)"
    parts += [element("text", label(titles[1]), transform=turned, font_size=_SMALL, text_anchor="middle")]
    if len(names) == 3:
        low, high = float(points[:, 2].min()), float(points[:, 2].max())
        said = f"colour: {titles[2]}, {low:.3g} (dark blue) to {high:.3g} (orange)"
        parts += [element("text", label(said), class_="soft", x=WIDTH - _RIGHT, y=40.0, font_size=_SMALL, text_anchor="end")]
    return element("svg", *parts, xmlns=NAMESPACE, viewBox=f"0 0 {WIDTH:g} {HEIGHT:g}", width=WIDTH, height=HEIGHT) + "\n"


def _text(text: str, x: float, y: float, size: float, kind: str) -> list[str]:
    return [element("text", label(shortened(text, size, WIDTH - x - _RIGHT)), class_=kind, x=x, y=y, font_size=size)]


def _title(answer: Answer) -> str:
    s = answer.scenario
    return f"{s['model']}, {s['workload']['kind']}, on {s['accelerators']:,.0f} accelerators of {s['system']}"


def _subtitle(answer: Answer) -> str:
    return f"{len(answer.front)} of {answer.feasible:,} feasible plans that no other beats"


def _headed(name: str, unit: str) -> str:
    way = {"more": "more is better", "less": "less is better"}[better_of(name)]
    return f"{display_of(name).label}{f' [{unit}]' if unit else ''}, {way}"


def _ticks(axis: LogAxis) -> list[float]:
    """Round numbers; evenly spaced ones where the axis spans little."""
    found = axis.ticks()
    if len(found) >= 3:
        return found
    raw = (axis.high - axis.low) / 5.0
    step = 10.0 ** np.floor(np.log10(raw))
    step *= next(factor for factor in (1.0, 2.0, 5.0, 10.0) if factor * step >= raw)
    first = np.ceil(axis.low / step) * step
    return [float(f"{value:.6g}") for value in np.arange(first, axis.high, step)]


def _shades(values: np.ndarray) -> list[str]:
    """A colour for each value, by rank."""
    ranks = np.argsort(np.argsort(values))
    return [_SHADES[int(rank * len(_SHADES) / len(values))] for rank in ranks]
