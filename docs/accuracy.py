"""Parts of the page that says how right predictions are: errors by group, floors, held-out errors, fitted values, pictures."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import heldout

from aicompute.evidence import calibration as cal
from aicompute.evidence.files import KINDS, read_table, shipped
from aicompute.evidence.free import Free, Space
from aicompute.evidence.judge import Judgement, figures, grouped, judge
from aicompute.evidence.pool import READERS, agreement, pooled
from aicompute.evidence.scale import CLASSES, with_scale
from aicompute.report import plot
from aicompute.report.svg import short
from aicompute.report.text import Cell, markdown
from aicompute.report.validation import LABELS, percent, render
from aicompute.specs import Library
from aicompute.specs.value import UNSEEN, Value
from aicompute.units import plain, to_unit

IMAGES = Path(__file__).parent / "img"
PICTURES = {
    "training": ("training",),
    "serving": ("serving",),
    "kernels": ("gemm", "attention", "moe", "collectives", "moe_a2a", "power"),
}
"""Files under `IMAGES`, and the kinds of measurements in them."""
IMAGE_BYTES = 90_000
LIBRARIES = ("gemm", "attention", "moe")
"""Kinds measured on several libraries each."""
HEADS = ("rows", "median", "mean", "p90", "bias", "inside")
ENOUGH = 20
"""Rows of a group that is named, and of a floor."""
MOST_WORST = 15
DETAILS = {
    "gemm": ("dtype",),
    "attention": ("phase", "attn_type"),
    "moe": ("moe_dtype", "distribution"),
    "collectives": ("op", "implementation"),
    "moe_a2a": ("op",),
    "power": ("op",),
}
"""By kind, columns that say what a kernel does."""
GROUPS = ("accelerator", "model", "stack", "mode", "scale", "precision", "backend")
"""Columns by which groups are looked for that lie to one side, beside those of `DETAILS`."""
CANNOT_TELL = "the rows cannot tell"
"""In the note of a fitted value that stayed at its prior."""


# Rows


@cache
def judged() -> list[Judgement]:
    """Every measurement that ships against its prediction."""
    library = Library()
    return with_scale([one for path in shipped() for one in judge(library, read_table(path))])


@cache
def over_libraries() -> list[Judgement]:
    """Kernels that several libraries were measured on, by the medians over libraries."""
    return pooled([one for one in judged() if one.kind in LIBRARIES], ["backend"])


def predicted(kinds: Iterable[str] = KINDS) -> list[Judgement]:
    """Rows of some kinds that have a prediction."""
    return [one for one in judged() if not one.skipped and one.kind in set(kinds)]


def closed_loops() -> list[Judgement]:
    """Rows of serving under clients that wait for their answers."""
    return [one for one in predicted(["serving"]) if one.row.text("mode").startswith("mixed-closed-loop")]


def name_of(kind: str, metric: str) -> str:
    """A measured column as tables name it."""
    return f"{kind} {LABELS[metric]}"


def line(name: str, rows: Sequence[Judgement]) -> list[Cell]:
    """Figures of some rows under `HEADS`."""
    found = figures(rows)
    sizes = [percent(value) for value in (found.median, found.mean, found.p90)]
    return [name, f"{found.count:,}", *sizes, f"{100.0 * found.bias:+.1f} %", percent(found.inside, 0)]


# Errors by group


def summary() -> str:
    """Errors of every measured column, and of kernels by the medians over libraries."""
    lines = [line(name_of(kind, metric), rows) for (kind, metric, _), rows in grouped(predicted()).items()]
    lines += [
        line(f"{name_of(kind, metric)}, median over libraries", rows)
        for (kind, metric, _), rows in grouped([one for one in over_libraries() if not one.skipped]).items()
    ]
    left_out = Counter(f"{one.kind}: {one.skipped}" for one in judged() if one.skipped)
    said = [f"Without a prediction: {count:,} values of {reason}." for reason, count in left_out.most_common()]
    return "\n\n".join([markdown(["measured", *HEADS], lines), *(said or ["Every row has a prediction."])])


def by(column: str, kinds: Sequence[str], order: Sequence[str] = ()) -> str:
    """Errors by the words of a column, the words in an order or the largest group first."""
    lines: list[list[Cell]] = []
    for (kind, metric, _), rows in grouped(predicted(kinds)).items():
        groups = {label: found for (_, _, label), found in grouped(rows, column).items()}
        if groups:
            ordered = [word for word in order if word in groups] if order else sorted(groups, key=lambda word: (-len(groups[word]), word))
            lines += [[name_of(kind, metric)], *(line(word, groups[word]) for word in ordered)]
    return markdown([column.replace("_", " "), *HEADS], lines)


def details() -> str:
    """Errors of kernels by what they do."""
    lines: list[list[Cell]] = []
    for kind, columns in DETAILS.items():
        for column in columns:
            groups = grouped(predicted([kind]), column)
            lines.append([f"{kind} by {column.removeprefix('moe_')}"])
            lines += [line(word.rstrip(":"), rows) for (_, _, word), rows in sorted(groups.items(), key=lambda item: -len(item[1]))]
    return markdown(["kernels", *HEADS], lines)


ENGINES = ("all-reduce by engines' own kernels", "collectives", "bytes", (32e3, 256e3, 1e6, 4e6), "bytes")
SIZES: Sequence[tuple[str, str, str, Sequence[float], str]] = (
    *((kind, kind, "time_us", (20.0, 50.0, 200.0, 1000.0), "µs") for kind in ("gemm", "attention", "moe", "collectives", "moe_a2a")),
    ENGINES,
    ("power", "power", "time_us", (300.0, 1000.0), "µs"),
    ("serving in closed loops", "serving", "concurrency", (4.0, 16.0, 64.0, 256.0), "clients"),
)
"""What, kind of file, column by which, edges of classes, unit."""


def sizes() -> str:
    """Errors by how long a kernel takes, how large a buffer is, how many clients there are."""
    lines: list[list[Cell]] = []
    for entry in SIZES:
        said, kind, column, edges, unit = entry
        rows = [one for one in predicted([kind]) if one.row.text(column)]
        if entry is ENGINES:
            rows = [one for one in rows if one.row.text("op") == "all_reduce" and one.row.text("implementation") not in ("NCCL", "HCCL")]
        elif kind == "serving":
            rows = closed_loops()
        for (_, metric, _), found in grouped(rows).items():
            classes = [_class(one.row.number_in(column), edges) for one in found]
            head = f"{said} {LABELS[metric]}".removesuffix(" time")
            inside = [line(_class_name(edges, place, unit), [one for one, other in zip(found, classes, strict=True) if other == place])
                      for place in sorted(set(classes)) if classes.count(place) >= ENOUGH]  # fmt: skip
            lines += [[head], *inside] if inside else []
    return markdown(["size", *HEADS], lines)


def _class(value: float, edges: Sequence[float]) -> int:
    """Number of the class of a value; an edge begins one."""
    return sum(value >= edge for edge in edges)


def _class_name(edges: Sequence[float], place: int, unit: str) -> str:
    if place == 0:
        return f"below {short(edges[0])} {unit}"
    begins = short(edges[place - 1])
    return f"from {begins} {unit}" if place == len(edges) else f"{begins} to {short(edges[place])} {unit}"


def intervals() -> str:
    """Share of measurements inside their 90 % interval, and how wide it is."""
    lines: list[list[Cell]] = []
    for (kind, metric, _), rows in grouped(predicted()).items():
        found = figures(rows)
        below = sum(one.measured < one.low for one in rows) / len(rows)
        above = sum(one.measured > one.high for one in rows) / len(rows)
        shares = [percent(share, 0) for share in (found.inside, below, above)]
        factor = math.exp(found.width / 2.0)
        lines.append([name_of(kind, metric), f"{found.count:,}", *shares, f"÷ {factor:.2f} to × {factor:.2f}"])
    return markdown(["measured", "rows", "inside", "below it", "above it", "median interval"], lines)


# Where it is bad


def worst() -> str:
    """Groups of rows that lie farthest to one side."""
    found: dict[tuple[tuple[str, str], ...], tuple[float, list[Cell]]] = {}
    for column in dict.fromkeys([*GROUPS, *(column for columns in DETAILS.values() for column in columns)]):
        groups = grouped(predicted(), column)
        words = Counter((kind, metric) for kind, metric, _ in groups)
        for (kind, metric, word), rows in groups.items():
            if len(rows) >= ENOUGH and words[kind, metric] > 1:
                cells = line(f"{name_of(kind, metric)}, {column.replace('_', ' ')} {word.rstrip(':')}", rows)
                same = tuple((one.file, f"{one.metric} {one.row.number}") for one in rows)  # such as a model that only one stack ran
                found.setdefault(same, (abs(math.log1p(figures(rows).bias)), cells))
    best = sorted(found.values(), key=lambda item: -item[0])[:MOST_WORST]
    return markdown(["group", *HEADS], [cells for _, cells in best])


FLOORS: Sequence[tuple[str, str, tuple[str, ...], str]] = (
    ("training", "", (), "nothing that a column says: repeats, releases, options"),
    ("serving", "", (), "nothing that a column says"),
    ("serving", "", ("stack", "stack_version"), "software and its version"),
    ("gemm", "bfloat16", ("backend",), "the library, bf16"),
    ("gemm", "fp8", ("backend",), "the library, fp8"),
    ("gemm", "fp8_block", ("backend",), "the library, fp8 in blocks"),
    ("gemm", "nvfp4", ("backend",), "the library, nvfp4"),
    ("attention", "", (), "nothing that a column says"),
    ("attention", "", ("backend",), "the library"),
    ("moe", "", (), "nothing that a column says"),
    ("moe", "", ("backend",), "the library"),
    ("collectives", "", (), "nothing that a column says"),
    ("collectives", "", ("implementation",), "the library or engine"),
    ("moe_a2a", "", (), "nothing that a column says"),
    ("power", "", ("time_us", "tflops", "hbm_GBps"), "nothing that a column says: kernels run again"),
)
"""Kind, number format (all if empty), columns that rows may differ in, and these in words."""


def floors() -> str:
    """How far rows that are alike are from their median, beside the error of the predictions of the same rows."""
    lines: list[list[Cell]] = []
    for kind, dtype, columns, said in FLOORS:
        rows = [one for one in predicted([kind]) if not dtype or one.row.text("dtype") == dtype]
        lines += _floor(rows, agreement(rows, columns), said)
    lines += _floor(closed_loops(), along(closed_loops()), "the load: each from the line through its neighbours")
    heads = ["measured", "rows differ in", "rows", "floor: median", "mean", "p90", "prediction: median", "mean "]
    return markdown(heads, lines)


def _floor(rows: Sequence[Judgement], alike: Iterable[Judgement], said: str) -> list[list[Cell]]:
    """Figures of rows against their like, and of the predictions of the same rows."""
    own = {(one.metric, one.row.number): one for one in rows}
    lines: list[list[Cell]] = []
    for (kind, metric, _), found in grouped(alike).items():
        if len(found) >= ENOUGH:
            floor, reached = figures(found), figures([own[one.metric, one.row.number] for one in found])
            sizes = [percent(value) for value in (floor.median, floor.mean, floor.p90, reached.median, reached.mean)]
            lines.append([name_of(kind, metric), said, f"{floor.count:,}", *sizes])
    return lines


def along(rows: Sequence[Judgement]) -> list[Judgement]:
    """Rows of series that differ in concurrency alone, each against the line through its two neighbours in logarithms.

    Scatter of the neighbours counts as well, a half of it in squares: measurements that spread by s differ from the line by 1.2 s.
    """
    series: dict[tuple[str, ...], list[Judgement]] = defaultdict(list)
    apart = {"concurrency", "batch_per_accelerator", *READERS, *KINDS["serving"].measured}
    for one in rows:
        series[one.metric, *(one.row.text(name) for name in sorted(one.row.cells) if name not in apart)].append(one)
    found = []
    for members in series.values():
        ordered = sorted(members, key=lambda one: one.row.number_in("concurrency"))
        for before, one, after in zip(ordered, ordered[1:], ordered[2:], strict=False):
            low, here, high = (math.log(max(each.row.number_in("concurrency"), 1.0)) for each in (before, one, after))
            if low < here < high:
                share = (here - low) / (high - low)
                line_here = before.measured ** (1.0 - share) * after.measured**share
                found.append(replace(one, predicted=line_here, low=line_here, high=line_here))
    return found


# Held out


def left_out() -> str:
    """Errors on rows that a fit has not seen, from ``calibration/heldout.json``."""
    kept = heldout.read()
    if not kept:
        return "No fit without some of its rows has been run yet."
    columns = [column for column in heldout.COLUMNS if any(column in layer["left out"] for layer in kept.values())]
    errors: list[list[Cell]] = []
    inside: list[list[Cell]] = []
    for layer in kept.values():
        for seen in layer["seen"]:
            name, count = name_of(seen["kind"], seen["metric"]), f"{seen['rows']:,}"
            others = [_whole(layer["left out"].get(column, []), seen) for column in columns]
            errors.append([name, count, *(_sizes(one) for one in (seen, *others))])
            inside.append([name, count, *(percent(one["inside"], 0) if one else "" for one in (seen, *others))])
    heads = ["measured", "rows", "in sample", *(f"left out: {column}" for column in columns)]
    return "\n\n".join(
        [
            "Median / mean / 90th percentile of the error, %:",
            markdown(heads, errors),
            "Measurements inside their 90 % interval:",
            markdown(heads, inside),
        ]
    )


def left_out_each() -> str:
    """Errors on each accelerator and stack that a fit has not seen."""
    kept, parts = heldout.read(), []
    for column, title in (("accelerator", "accelerator left out"), ("family", "family left out"), ("stack", "stack left out")):
        lines: list[list[Cell]] = []
        for layer in kept.values():
            found = [row for row in layer["left out"].get(column, []) if "label" in row]
            for kind, metric in dict.fromkeys((row["kind"], row["metric"]) for row in found):
                lines.append([name_of(kind, metric)])
                lines += [_line(row) for row in found if (row["kind"], row["metric"]) == (kind, metric)]
        if lines:
            parts.append(markdown([title, *HEADS], lines))
    return "\n\n".join(parts) or "No fit without some of its rows has been run yet."


def _whole(table: Sequence[dict[str, Any]], seen: dict[str, Any]) -> dict[str, Any]:
    """The row of a table for all words of a kind and metric."""
    return next((row for row in table if "label" not in row and (row["kind"], row["metric"]) == (seen["kind"], seen["metric"])), {})


def _sizes(row: dict[str, Any]) -> str:
    return " / ".join(plain(100.0 * row[name], 2) for name in ("median", "mean", "p90")) if row else ""


def _line(row: dict[str, Any]) -> list[Cell]:
    """A row of the store under `HEADS`."""
    sizes = [percent(row[name]) for name in ("median", "mean", "p90")]
    return [row["label"], f"{row['rows']:,}", *sizes, f"{100.0 * row['bias']:+.1f} %", percent(row["inside"], 0)]


# Fitted values


@cache
def fits() -> list[tuple[cal.Calibration, Space]]:
    """Every layer with a calibration file."""
    library = Library()
    found = [cal.read_calibration(library, heldout.CALIBRATION / f"{layer}.toml") for layer in heldout.layers()]
    return [(one, Space(library, one.free)) for one in found]


def counts() -> str:
    """How many values are fitted: shared, of hardware, of software."""
    every: dict[str, Counter[str]] = defaultdict(Counter)
    lines: list[list[Cell]] = []
    for calibration, space in fits():
        owners: dict[str, Counter[str]] = defaultdict(Counter)
        for one in space.free:
            kind, identifier, _ = one.place
            owners["shared" if identifier.startswith("generic") else "software" if kind == "stacks" else "hardware"][identifier] += 1
        for word, found in owners.items():
            every[word] += found
        lines.append(_counted(calibration.name, owners))
    heads = ["layer", "fitted values", "shared by all", "of families of accelerators and links", "of stacks"]
    return markdown(heads, [*lines, _counted("all", every)])


def _counted(name: str, owners: Mapping[str, Counter[str]]) -> list[Cell]:
    """A row of the table of counts."""
    shared, hardware, software = (owners.get(word, Counter()) for word in ("shared", "hardware", "software"))
    apart = [f"{each.total()}, of {len(each)}, at most {max(each.values())} each" if each else "0" for each in (hardware, software)]
    return [name, shared.total() + hardware.total() + software.total(), shared.total(), *apart]


def values() -> str:
    """Every fitted value with what was believed before, what stands in the specs, and whether the rows told it."""
    parts = []
    for calibration, space in fits():
        lines = [_value(space, place, calibration) for place in range(len(space.free))]
        heads = ["value", "believed before", "fitted", "90 % range", "of the range left", "what"]
        parts += [f"### Values of {calibration.name}", markdown(heads, lines)]
    return "\n\n".join(parts)


def _value(space: Space, place: int, calibration: cal.Calibration) -> list[Cell]:
    """A row of the table of values."""
    one = space.free[place]
    found = space.lib.load(*one.place[:2]).value(one.place[2])
    unit = "" if found.unit == "1" else f" {found.unit}"
    value, low, high = (plain(number) for number in found.written)
    chain = space.chains[place]
    parent = f"as `{space.free[chain[1]].place[1]}`" if len(chain) > 1 else ""
    before = parent or f"{plain(to_unit(one.prior, found.unit))}{unit}"
    own = found.source in (calibration.source, UNSEEN)
    left = _left(space, place, one, found) if own else "not fitted yet"
    return [f"`{one.place[1]}` {one.place[2]}", before, f"{value}{unit}", f"{low} to {high}" if own else "", left, one.why]


def _left(space: Space, place: int, one: Free, found: Value) -> str:
    """How much of the range that was believed of a value the rows left."""
    if CANNOT_TELL in found.note:
        return "all: the rows cannot tell"
    if found.source == UNSEEN:
        return "for what was not measured"
    before = math.sqrt(sum(float(space.spreads[link]) ** 2 for link in space.chains[place]))
    now = (one.to_line(found.high) - one.to_line(found.low)) / (2.0 * cal.QUANTILE)
    return percent(min(now / before, 1.0), 0)


# Pictures


def pictures() -> dict[Path, str]:
    """Drawings by the file that they belong in."""
    drawn = {}
    for name, kinds in PICTURES.items():
        rows = predicted(kinds)
        columns = ["model_kind"] if name == "training" else []
        title = f"Predicted against measured: {name}, {len(rows):,} values"
        drawn[IMAGES / f"accuracy-{name}.svg"] = plot.svg(rows, columns, title, columns=2, most_bytes=IMAGE_BYTES)
    return drawn


def renew_pictures(check: bool = False) -> list[str]:
    """Write the drawings that changed, unless they are only checked; their names."""
    IMAGES.mkdir(exist_ok=True)
    changed = []
    for path, drawn in pictures().items():
        if not path.is_file() or path.read_text(encoding="utf-8") != drawn:
            changed.append(path.name)
            if not check:
                path.write_text(drawn, encoding="utf-8")
    return changed


FITS = {"accuracy-counts": counts, "accuracy-values": values, "accuracy-left-out": left_out, "accuracy-left-out-each": left_out_each}
"""Parts that follow from specs and files of calibration, by the names of their marks."""

EVIDENCE = {
    "errors": lambda: render(judged(), (), 0, (), "markdown"),
    "accuracy-summary": summary,
    "accuracy-intervals": intervals,
    "accuracy-accelerators": lambda: by("accelerator", list(KINDS)),
    "accuracy-model-kinds": lambda: by("model_kind", ["training", "serving"]),
    "accuracy-modes": lambda: by("mode", ["serving"]),
    "accuracy-stacks": lambda: by("stack", ["training", "serving"]),
    "accuracy-scale": lambda: by("scale", ["training", "serving", "collectives", "moe_a2a"], [name for _, name in CLASSES]),
    "accuracy-kernels": details,
    "accuracy-sizes": sizes,
    "accuracy-worst": worst,
    "accuracy-floors": floors,
}
"""Parts that follow from predictions of the measurements that ship."""
