"""Figures for papers, drawn with matplotlib: the same numbers as those of `aicompute.report`.

Every function takes a report, from `aicompute.api.report`; `breakdown` and `ratios` also take an answer of `aicompute.api.compare`. Each
returns a matplotlib figure, and saves it where a file is named: .svg, .pdf or .png. Needs the extra ``plot``.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aicompute.errors import UnknownNameError, UsageError
from aicompute.estimate.result import Estimate
from aicompute.report.comparison import unique
from aicompute.report.page.bars import GROUP_CLASS
from aicompute.report.page.dots import METRICS, whiskers
from aicompute.report.page.drivers import base_ratio
from aicompute.report.page.money import PARTS
from aicompute.report.page.steps import bars
from aicompute.report.page.sweeps import BASES
from aicompute.report.verdict import name_of
from aicompute.report.views import ComparisonView, EstimateView, HeadlineView

if TYPE_CHECKING:
    from aicompute.report.page.report import Report

__all__ = ["breakdown", "costs", "domain", "drivers", "front", "ratios"]

ENDINGS = (".svg", ".pdf", ".png")
COLOURS = ("#0072b2", "#c1440e", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#333333", "#882255")
"""Of systems; told apart by people who lack one of the three cones."""
MARKS, LINES = "osD^v<>p", ("-", "--", "-.", ":")
GROUP_COLOURS = ("#332288", "#88ccee", "#44aa99", "#ddcc77", "#999933", "#cc6677", "#882255", "#bbbbbb", "#777777")
PART_COLOURS = ("#332288", "#88ccee", "#ddcc77", "#44aa99")
STYLE: Mapping[str, Any] = {
    "axes.spines.right": False, "axes.spines.top": False, "font.size": 9.0, "legend.frameon": False, "svg.fonttype": "none",
    "pdf.fonttype": 42, "figure.dpi": 150.0, "axes.grid": False,
}  # fmt: skip

File = str | os.PathLike[str] | None


def breakdown(answer: Any, file: File = None) -> Any:
    """Time of an accelerator for a token, by part.

    Parameters
    ----------
    answer : Report, ComparisonView or EstimateView
    file : path, optional   Where to save it.

    Returns
    -------
    matplotlib Figure.

    Raises
    ------
    UsageError
        Matplotlib is missing, the ending is unknown, or no system can do what was asked.
    """
    estimates = [e for e in unique(_estimates(answer)) if e.feasible]
    if not estimates:
        raise UsageError("no system can do this, so that there is nothing to draw")
    found = bars(estimates)
    named = dict(zip((e.system for e in _estimates(answer)), getattr(answer, "names", ()), strict=False))
    names = [named.get(e.system) or name_of(e, estimates) for e in estimates]
    rows = [(f"{names[one.system]}\n{one.phase}" if one.phase else names[one.system], one.parts) for one in found]
    with _drawn(6.3, 0.9 + 0.42 * len(rows)) as figure:
        axes = figure.add_subplot()
        _stacked(axes, [words for words, _ in rows], [parts for _, parts in rows], dict(zip(GROUP_CLASS, GROUP_COLOURS, strict=True)), 1e6)
        axes.set_xlabel("time of an accelerator for a token [µs]")
        return _saved(figure, file)


def front(report: Report, by: str = "accelerator", file: File = None) -> Any:
    """Throughput against latency (training: size), with 90 % intervals as bands.

    Parameters
    ----------
    report : Report
    by : str                accelerator, megawatt or dollar.
    file : path, optional   Where to save it.
    """
    if by not in BASES:
        raise UnknownNameError("value of by", by, BASES)
    with _drawn(5.0, 3.4) as figure:
        axes = figure.add_subplot()
        for k, points in enumerate(report.front.lines):
            x = [point.x.value for point in points]
            rates = [point.rates[by] for point in points]
            axes.fill_between(x, [r.low for r in rates], [r.high for r in rates], color=COLOURS[k], alpha=0.15, linewidth=0)
            axes.plot(x, [r.value for r in rates], LINES[k], marker=MARKS[k], markersize=4, color=COLOURS[k], label=report.names[k])
        axes.set_xscale("log")
        axes.set_ylim(bottom=0.0)
        _plain(axes)
        axes.set_xlabel(report.front.axis)
        axes.set_ylabel(BASES[by][1])
        axes.legend()
        return _saved(figure, file)


def costs(report: Report, file: File = None) -> Any:
    """Cost of a million tokens by site and part.

    Parameters
    ----------
    report : Report
    file : path, optional   Where to save it.
    """
    books = report.books
    if books is None:
        raise UsageError("one of the systems cannot do this; there are no costs to set side by side")
    rows = [
        (f"{books.names[site]}\n{name}", parts)
        for site in report.sites
        for k, name in enumerate(report.names)
        if (parts := books.stack(k, site))
    ]
    with _drawn(6.3, 0.9 + 0.42 * len(rows)) as figure:
        axes = figure.add_subplot()
        _stacked(axes, [words for words, _ in rows], [parts for _, parts in rows], dict(zip(PARTS, PART_COLOURS, strict=True)), 1.0)
        axes.set_xlabel("$ a million tokens")
        return _saved(figure, file)


def drivers(report: Report, file: File = None) -> Any:
    """What moves the ratio of the costs of a token: a tornado.

    Parameters
    ----------
    report : Report
    file : path, optional   Where to save it.
    """
    if report.books is None or not report.drivers:
        raise UsageError("nothing moves a ratio of costs here; a tornado needs two systems that can do what was asked")
    base, found = base_ratio(report.books), list(reversed(report.drivers))
    with _drawn(6.3, 0.9 + 0.3 * len(found)) as figure:
        axes = figure.add_subplot()
        for row, driver in enumerate(found):
            for end, fill in ((driver.low, "white"), (driver.high, COLOURS[0])):
                axes.barh(row, end - base, left=base, height=0.6, color=fill, edgecolor=COLOURS[0])
        axes.set_yticks(range(len(found)), [f"{driver.words} ({driver.home})" for driver in found])
        axes.axvline(base, color="black", linewidth=0.8)
        axes.axvline(1.0, color="grey", linewidth=0.8, linestyle=":")
        words = f"cost of a token, {report.names[0]} over {report.names[1]}; hollow: low end of the range, filled: high end"
        figure.supxlabel(words, fontsize=9)
        return _saved(figure, file)


def domain(report: Report, file: File = None) -> Any:
    """Rate and exposed communication over the size of the scale-up network.

    Parameters
    ----------
    report : Report
    file : path, optional   Where to save it.
    """
    found = report.domains
    with _drawn(6.3, 2.6 * len(found)) as figure:
        for row, (title, each) in enumerate(found):
            left, right = (figure.add_subplot(len(found), 2, 2 * row + column) for column in (1, 2))
            for k, points in enumerate(each.lines):
                if not points:
                    continue
                x, top = [p.accelerators for p in points], points[-1].rate
                solid: dict[str, Any] = {"color": COLOURS[k], "label": report.names[k]}
                thin: dict[str, Any] = {"color": COLOURS[k], "linewidth": 0.8, "linestyle": ":"}
                left.plot(x, [p.rate / top * 100.0 for p in points], LINES[k], **solid)
                left.plot(x, [p.held_rate / top * 100.0 for p in points], **thin)
                right.plot(x, [p.exposed * 100.0 for p in points], LINES[k], **solid)
                right.plot(x, [p.held_exposed * 100.0 for p in points], **thin)
            for axes, words in ((left, "rate [% of that on the largest]"), (right, "exposed communication [%]")):
                axes.set_xscale("log", base=2)
                _plain(axes)
                axes.set_ylim(bottom=0.0)
                axes.set_xlabel("accelerators that the network joins")
                axes.set_ylabel(words)
            left.set_title(title, loc="left", fontsize=9)
            left.legend()
        return _saved(figure, file)


def ratios(answer: Any, by: str = "accelerator", file: File = None) -> Any:
    """How many times better the first system is, with 90 % intervals, a row a scenario.

    Parameters
    ----------
    answer : Report or HeadlineView
    by : str                accelerator, watt or dollar.
    file : path, optional   Where to save it.
    """
    if by not in METRICS:
        raise UnknownNameError("value of by", by, METRICS)
    comparisons = answer.comparisons if isinstance(answer, HeadlineView) else answer.scenarios
    first, second = (e.system for e in comparisons[0].estimates) if isinstance(answer, HeadlineView) else answer.names
    found = [each for each in whiskers(comparisons, by, (first, second)) if each.ratio]
    if not found:
        raise UsageError("no scenario can be done by both systems, so that there is nothing to draw")
    with _drawn(6.3, 0.9 + 0.3 * len(found)) as figure:
        axes = figure.add_subplot()
        for row, each in enumerate(reversed(found)):
            if each.ratio is not None:
                k = int(each.ratio.value < 1.0)
                axes.plot([each.ratio.low, each.ratio.high], [row, row], color=COLOURS[k])
                axes.plot([each.ratio.value], [row], MARKS[k], color=COLOURS[k])
        axes.set_yticks(range(len(found)), [each.title for each in reversed(found)])
        axes.set_xscale("log")
        axes.axvline(1.0, color="grey", linewidth=0.8, linestyle=":")
        axes.set_xlabel(f"{first} over {second}, {METRICS[by][0]}\nabove 1 the first is better")
        _plain(axes)
        return _saved(figure, file)


def of_answer(view: Any, file: File) -> Any:
    """The picture of an answer of `compare`: ratios of a headline, else where the time goes."""
    return ratios(view, file=file) if isinstance(view, HeadlineView) else breakdown(view, file)


def check_target(file: str | os.PathLike[str], name: str = "file") -> Path:
    """Refuse a file that cannot become a figure, and a machine without matplotlib, before any work is done.

    Raises
    ------
    UsageError
        Another ending than `ENDINGS`, no such folder, or no matplotlib.
    """
    target = Path(file)
    if target.suffix.lower() not in ENDINGS:
        raise UsageError(f"{name} {target}: the ending says what is drawn; it can be {', '.join(ENDINGS)}")
    if not target.parent.is_dir():
        raise UsageError(f"{name} {target}: there is no folder {str(target.parent)!r}")
    _module("matplotlib")
    return target


def _estimates(answer: Any) -> Sequence[Estimate]:
    """Estimates of a report, a comparison or one estimate."""
    if isinstance(answer, EstimateView):
        return (answer.estimate,)
    if isinstance(answer, ComparisonView):
        return answer.estimates
    if hasattr(answer, "main"):
        estimates: Sequence[Estimate] = answer.main.estimates
        return estimates
    raise UsageError(f"{type(answer).__name__} cannot be drawn so; give a report, or an answer of compare or estimate about one scenario")


def _stacked(axes: Any, names: Sequence[str], rows: Sequence[Mapping[str, float]], colours: Mapping[str, str], size: float) -> None:
    """Stacked bars from top to bottom."""
    left = [0.0] * len(rows)
    for part, colour in colours.items():
        values = [row.get(part, 0.0) * size for row in rows]
        if any(values):
            axes.barh(range(len(rows)), values, left=left, height=0.7, color=colour, edgecolor="white", linewidth=0.6, label=part)
            left = [a + b for a, b in zip(left, values, strict=True)]
    axes.set_yticks(range(len(rows)), names)
    axes.invert_yaxis()
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))


def _plain(axes: Any) -> None:
    """Numbers on a logarithmic axis as people write them."""
    ticker = _module("matplotlib.ticker")
    axes.xaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    if axes.xaxis.get_transform().base == 10:
        axes.xaxis.set_major_locator(ticker.LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_minor_formatter(ticker.NullFormatter())


class _drawn:  # noqa: N801 - used like a function
    """A new figure in our style, which the figure keeps."""

    def __init__(self, width: float, height: float) -> None:
        self._size = (width, height)

    def __enter__(self) -> Any:
        self._style = _module("matplotlib").rc_context(dict(STYLE))
        self._style.__enter__()
        return _module("matplotlib.figure").Figure(figsize=self._size, layout="constrained")

    def __exit__(self, *failure: object) -> None:
        self._style.__exit__(*failure)


def _saved(figure: Any, file: File) -> Any:
    """The figure, written where a file is named."""
    if file is not None:
        target = check_target(file)
        try:
            figure.savefig(target)
        except OSError as error:
            raise UsageError(f"{target}: cannot be written: {error.strerror or error}") from None
    return figure


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise UsageError("figures need matplotlib; install aicompute[plot]") from None
