"""Pictures show every row where it belongs, pools are medians of rows that are alike, and the page of errors says what its data say."""

from __future__ import annotations

import importlib
import json
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from itertools import combinations
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from click.testing import CliRunner, Result

from aicompute import cli
from aicompute.errors import UnknownNameError, UsageError
from aicompute.evidence.files import Row
from aicompute.evidence.judge import Judgement, figures
from aicompute.evidence.pool import agreement, check_pool, pooled
from aicompute.evidence.scale import with_scale
from aicompute.report import plot, plot_page

ROOT = Path(__file__).parent.parent
SVG = "{http://www.w3.org/2000/svg}"
GEMM = {"accelerator": "nvidia-h100-sxm", "backend": "trtllm", "dtype": "fp8", "m": "4096", "n": "8192", "k": "8192", "time_us": "400"}


def made(predicted: float, measured: float = 100.0, number: int = 1, **cells: str) -> Judgement:
    row = Row(number, {**GEMM, "time_us": str(measured), **cells})
    return Judgement("gemm.csv", "gemm", row, cells.get("group", "a"), "time_us", measured, predicted, predicted / 1.3, predicted * 1.3)


def skipped(reason: str = "column m: is empty") -> Judgement:
    return Judgement("gemm.csv", "gemm", Row(9, dict(GEMM)), "a", "time_us", 100.0, skipped=reason)


def many(count: int, groups: int = 3) -> list[Judgement]:
    draws = np.random.default_rng(1).normal(size=(count, 2))
    return [
        made(float(math.exp(3.0 + a + 0.2 * b)), float(math.exp(3.0 + a)), k, group=f"g{k % groups}")
        for k, (a, b) in enumerate(draws, start=1)
    ]


def parsed(drawn: str) -> ElementTree.Element:
    return ElementTree.fromstring(drawn)


def dots(root: ElementTree.Element) -> Iterator[tuple[str, float, float]]:
    """Colour and place of every point of every panel."""
    for panel in root.iter(f"{SVG}g"):
        if panel.get("class") == "panel":
            for path in panel.iter(f"{SVG}path"):
                for x, y in re.findall(r"M([\d.]+) ([\d.]+)h", path.get("d") or ""):
                    yield (path.get("class") or "").split()[-1], float(x), float(y)


def corners(root: ElementTree.Element) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of the first square."""
    frame = next(one for one in root.iter(f"{SVG}rect") if one.get("class") == "frame")
    left, top, wide, high = (float(frame.get(name) or "nan") for name in ("x", "y", "width", "height"))
    return left, top, left + wide, top + high


# Pictures


def test_every_row_is_a_point_and_names_are_escaped() -> None:
    rows = [made(90.0, 100.0, 1, group="a<b & 'c'"), made(50.0, 20.0, 2), made(7.0, 9.0, 3), skipped()]
    root = parsed(plot.svg(rows, title="mine & <yours>"))
    assert len(list(dots(root))) == 3
    assert root.find(f"{SVG}title").text == "mine & <yours>"  # type: ignore[union-attr]
    said = [text.text for text in root.iter(f"{SVG}text")]
    assert "a<b & 'c'" in said
    assert f"3 rows, median error {100 * figures(rows[:3]).median:.1f} %" in said
    assert {"gemm time", "measured [µs]", "predicted [µs]"} <= set(said)
    assert "67 % inside the 90 % interval" in said  # 50 against 20 is not


def test_points_the_diagonal_and_the_band_go_where_they_should() -> None:
    root = parsed(plot.svg([made(10.0, 10.0), made(1000.0, 1000.0, 2), made(120.0, 100.0, 3), made(80.0, 100.0, 4)]))
    left, top, right, bottom = corners(root)
    line = next(one for one in root.iter(f"{SVG}line") if one.get("class") == "line")
    assert [float(line.get(name) or "nan") for name in ("x1", "y1", "x2", "y2")] == [left, bottom, right, top]
    places = sorted((x - left, bottom - y) for _, x, y in dots(root))
    assert len(places) == 4
    first, low, high, last = places[0], *sorted(places[1:3], key=lambda place: place[1]), places[3]
    assert first[0] == pytest.approx(first[1], abs=0.06)
    assert last[0] == pytest.approx(last[1], abs=0.06)
    per_factor = (last[0] - first[0]) / math.log(100.0)
    assert low[0] == high[0] == pytest.approx((first[0] + last[0]) / 2.0, abs=0.1)  # 100 lies halfway between 10 and 1000
    assert high[1] - high[0] == pytest.approx(per_factor * math.log(1.2), abs=0.1)  # above the line: predicted too high
    assert low[1] - low[0] == pytest.approx(per_factor * math.log(0.8), abs=0.1)
    band = next(one for one in root.iter(f"{SVG}polygon") if one.get("class") == "band")
    edge = [tuple(map(float, point.split(","))) for point in (band.get("points") or "").split()]
    assert edge[1][0] == left
    assert bottom - edge[1][1] == pytest.approx(high[1] - high[0], abs=0.1)
    assert edge[5][1] == bottom
    assert edge[5][0] - left == pytest.approx(low[0] - low[1], abs=0.1)


def test_points_stay_inside_their_square() -> None:
    root = parsed(plot.svg(many(500)))
    left, top, right, bottom = corners(root)
    assert all(left <= x <= right and top <= y <= bottom for _, x, y in dots(root))


def test_there_are_no_more_than_eight_colours_and_the_largest_groups_have_them() -> None:
    rows = [made(100.0 + k, 100.0, k, stack=f"s{k % 10}", accelerator=f"a{k % 12}", group=str(k)) for k in range(1, 49)]
    rows += [made(50.0, 60.0, 100 + k, stack="s3", accelerator="a5", group=str(k)) for k in range(5)]
    picture = plot.pictures(rows)[0]
    assert picture.column == "accelerator"  # of groups there are too many
    assert picture.labels[0] == "a5"
    assert len(picture.labels) == plot.MOST_COLOURS
    assert picture.legend[-1] == (plot.MOST_COLOURS, "others")
    colours = {colour for colour, _, _ in dots(parsed(plot.svg(rows)))}
    assert colours == {f"c{k}" for k in range(plot.MOST_COLOURS + 1)}
    assert plot.pictures(rows[:8])[0].column == "group"
    assert plot.pictures(rows, ["accelerator"])[1].column == "stack"


def test_colours_can_be_told_apart_without_one_kind_of_cone() -> None:
    """Distance in CIELAB under the matrices of Machado et al. 2009 for a missing kind of cone."""
    sight = {
        "normal": np.eye(3),
        "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
        "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
        "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
    }
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) / [[0.9505], [1.0], [1.089]]

    def linear(name: str) -> np.ndarray:
        level = np.array([int(name[at : at + 2], 16) / 255.0 for at in (1, 3, 5)])
        return np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4)

    def lab(name: str, matrix: object) -> np.ndarray:
        root = np.cbrt(np.clip(to_xyz @ np.clip(np.asarray(matrix) @ linear(name), 0.0, 1.0), 0.0089, None))
        return np.array([116.0 * root[1] - 16.0, 500.0 * (root[0] - root[1]), 200.0 * (root[1] - root[2])])

    by_class = re.findall(r"\.c(\d)\{stroke:(#\w{6})\}", plot.STYLE)
    light, dark = by_class[: plot.MOST_COLOURS], by_class[plot.MOST_COLOURS + 1 : -1]
    for palette in (light, dark):
        assert len(palette) == plot.MOST_COLOURS
        for (_, a), (_, b) in combinations(palette, 2):
            assert min(np.linalg.norm(lab(a, matrix) - lab(b, matrix)) for matrix in sight.values()) > 12.0, (a, b)


def test_many_points_are_thinned_and_the_file_stays_small() -> None:
    rows = many(40_000, groups=8)
    for drawn in (plot.svg(rows), plot_page.page(rows)):
        assert 100_000 < len(drawn.encode()) < 400_000
    some = plot.svg(rows[:2000])
    assert 1900 < len(list(dots(parsed(some)))) <= 2000


def test_dots_that_stand_for_many_points_are_larger() -> None:
    heavy = [made(50.0, 40.0) for _ in range(17)] + [made(5000.0, 4000.0), made(5.0, 4.0), made(5.0, 4.0)]
    panel = next(one for one in parsed(plot.svg(heavy)).iter(f"{SVG}g") if one.get("class") == "panel")
    sizes = [(float(path.get("stroke-width") or "nan"), (path.get("d") or "").count("h")) for path in panel.iter(f"{SVG}path")]
    assert [count for _, count in sorted(sizes)] == [1, 1, 1]
    assert plot.cloud([1.0] * 17 + [9.0, 5.0, 5.0], [1.0] * 17 + [9.0, 5.0, 5.0], 1.0) == [(0, "M9 9h.1"), (1, "M5 5h.1"), (3, "M1 1h.1")]


def test_a_small_panel_keeps_its_points_beside_a_large_one() -> None:
    few = [made(100.0 * 1.1**k, 100.0 * 1.07**k, k, dtype="few") for k in range(20)]
    root = parsed(plot.svg([*many(60_000), *few], by=["dtype"]))
    panels = [one for one in root.iter(f"{SVG}g") if one.get("class") == "panel"]
    sizes = [sum((path.get("d") or "").count("h") for path in panel.iter(f"{SVG}path")) for panel in panels]
    assert sizes[1] == 20
    assert 5_000 < sizes[0] < 40_000


def test_columns_have_a_panel_a_word() -> None:
    rows = [made(90.0, dtype="fp8"), made(90.0, dtype="bf16"), made(80.0, dtype="bf16")]
    said = [text.text for text in parsed(plot.svg(rows, by=["dtype"])).iter(f"{SVG}text") if text.get("class") == "bold"]
    assert said[1:] == ["gemm time bf16", "gemm time fp8"]
    assert [len(picture.panels) for picture in plot.pictures(rows, ["dtype"])] == [1, 2]


def test_of_too_many_panels_every_kind_keeps_its_largest() -> None:
    rows = [made(90.0, dtype=f"d{k}") for k in range(60) for _ in range(3)]
    other = Judgement("power.csv", "power", Row(1, {"dtype": "rare"}), "a", "power_w", 100.0, 90.0, 80.0, 110.0)
    picture = plot.pictures([*rows, other], ["dtype"])[1]
    assert len(picture.panels) == plot.MOST_PANELS
    assert picture.left_out == 61 - plot.MOST_PANELS
    assert picture.panels[-1].title == "power of kernels rare"
    assert f"{picture.left_out} panels" in picture.heading


def test_the_rows_farthest_off_are_named() -> None:
    root = parsed(plot.svg([made(99.0), made(10.0, number=2), made(101.0, number=3), made(98.0, number=4)]))
    titles = [one[0].text for one in root.iter(f"{SVG}circle")]
    assert len(titles) == plot.MOST_WORST
    assert titles[0] == "gemm.csv 2 (a): measured 100 µs, predicted 10, ratio 0.1"


class Outline(HTMLParser):
    """Elements that are open, and every attribute."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_loads_nothing_and_knows_phones_and_the_dark() -> None:
    drawn = plot_page.page([*many(50), skipped()], ["dtype"], "mine & <yours>")
    assert "<title>mine &amp; &lt;yours&gt;</title>" in drawn
    assert not re.search(r"https?:|//|url\(|@import", drawn.removeprefix("<!DOCTYPE html>"))
    outline = Outline()
    outline.feed(drawn)
    assert not outline.open
    assert not [given for _, given in outline.seen if {"src", "href"} & set(given)]
    assert ("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}) in outline.seen
    assert "prefers-color-scheme:dark" in drawn
    panels = [given for tag, given in outline.seen if tag == "svg" and given.get("class") == "panel"]
    assert [given["role"] for given in panels] == ["img", "img"]
    assert drawn.count("<title>gemm time") == 2
    assert drawn.count("<td>") == 2 * 7


def test_nothing_to_draw_is_said() -> None:
    with pytest.raises(UsageError, match="nothing to draw"):
        plot.svg([skipped()])


# Pools


def test_pools_are_medians() -> None:
    rows = [made(90.0, 100.0, 1, backend="a"), made(200.0, 140.0, 2, backend="b"), made(110.0, 120.0, 3, backend="c")]
    (one,) = pooled(rows, ["backend"])
    assert (one.measured, one.predicted) == (120.0, 110.0)
    assert (one.low, one.high) == pytest.approx((110.0 / 1.3, 110.0 * 1.3))
    assert one.row.number == 1
    assert (one.row.text("backend"), one.row.text("time_us"), one.row.text("m")) == ("", "", "4096")
    (two,) = pooled(rows[:2], ["backend"])
    assert (two.measured, two.predicted) == (120.0, 145.0)


def test_only_rows_that_are_alike_are_pooled() -> None:
    rows = [made(90.0, backend="a"), made(90.0, backend="a", m="8"), made(80.0, backend="b"), skipped()]
    found = pooled(rows, ["backend"])
    assert [(one.predicted, one.row.text("m")) for one in found[:2]] == [(85.0, "4096"), (90.0, "8")]
    assert found[2] is rows[3]
    assert pooled(rows, ["dtype"]) == [*rows[:1], *rows[1:]]  # backends differ
    assert len(pooled(rows, ["backend", "m"])) == 2


def test_where_rows_come_from_does_not_keep_them_apart_and_is_forgotten() -> None:
    rows = [made(90.0, id="x", notes="old", backend="a"), made(80.0, id="y", notes="new", backend="b", group="other")]
    rows = [Judgement(**{**vars(one), "extra": {"stack": one.row.text("backend"), "kind": "gemm"}}) for one in rows]
    (one,) = pooled(rows, ["backend"])
    assert (one.row.text("id"), one.id, one.group) == ("", "1", "nvidia-h100-sxm")
    assert one.extra == {"kind": "gemm"}


def test_agreement_is_what_a_formula_that_sees_only_the_rest_would_reach() -> None:
    rows = [made(1.0, 100.0, backend="a"), made(1.0, 120.0, backend="b"), made(1.0, 100.0, m="8"), skipped()]
    found = agreement(rows, ["backend"])
    assert [one.predicted for one in found] == [110.0, 110.0]
    assert figures(found).mean == pytest.approx((0.1 + 10.0 / 120.0) / 2.0)
    assert agreement(rows) == []
    assert len(agreement([*rows, rows[2]])) == 2


def test_columns_to_pool_over_must_exist_and_be_no_results() -> None:
    rows = [made(90.0)]
    check_pool(rows, ["backend"])
    with pytest.raises(UnknownNameError, match="column to pool over 'backedn'; did you mean 'backend'"):
        check_pool(rows, ["backedn"])
    with pytest.raises(UsageError, match="--pool time_us"):
        check_pool(rows, ["time_us"])
    with pytest.raises(UsageError, match="--by backend"):
        check_pool(rows, ["backend"], ["backend"])


def test_classes_of_scale() -> None:
    rows = [made(90.0, n_accelerators=count) for count in ("1", "2", "8", "9", "512", "513", "", "x")]
    assert [one.label("scale") for one in with_scale(rows)] == ["1", "2 to 8", "2 to 8", "9 to 64", "65 to 512", "above 512", "", ""]
    assert with_scale([made(90.0, n_gpus="16")])[0].label("scale") == "9 to 64"


# The command


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    lines = [",".join(GEMM)]
    for backend, factor in (("trtllm", 1.0), ("sglang", 1.5), ("vllm", 1.2)):
        rows = [{**GEMM, "backend": backend, "m": m, "time_us": str(float(m) / 10.0 * factor)} for m in ("1024", "4096")]
        lines += [",".join(row.values()) for row in rows]
    path = tmp_path / "mine.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli.cli, ["validate", *map(str, arguments)])


def code(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as left:
        cli.main(["validate", *map(str, arguments)])
    return int(left.value.code or 0)


@pytest.mark.parametrize("ending", ["svg", "html", "SVG"])
def test_plot_writes_what_the_ending_says(mine: Path, ending: str) -> None:
    target = mine.parent / f"drawn.{ending}"
    done = run(mine, "--plot", target, "--by", "backend")
    assert done.exit_code == 0
    assert f"wrote {target}" in done.stderr
    drawn = target.read_text(encoding="utf-8")
    assert "Predicted against measured: mine.csv" in drawn
    if ending == "html":
        assert drawn.startswith("<!DOCTYPE html>")
    else:
        assert len(list(dots(parsed(drawn)))) == 6


@pytest.mark.parametrize(
    ("target", "said"), [("drawn.pdf", ".svg or .html"), ("drawn", ".svg or .html"), ("none/drawn.svg", "does not exist")]
)
def test_a_plot_that_cannot_be_is_refused_before_the_work(mine: Path, target: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert code(mine.parent / "no such file.csv", "--plot", mine.parent / target) == 2
    told = capsys.readouterr().err
    assert said in told
    assert "no such file" not in told


def test_pool_counts_once_and_says_how_far_rows_are_apart(mine: Path) -> None:
    done = run(mine, "--pool", "backend")
    assert re.search(r"^gemm time +2 +0 ", done.stdout, re.MULTILINE)
    assert re.search(r"^gemm time +6 +20\.0 % +13\.3 %", done.stdout, re.MULTILINE)  # 1.2 for 1, 1.2 and 1.5
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_pool_in_json(mine: Path) -> None:
    found = json.loads(run(mine, "--pool", "backend", "--format", "json").stdout)
    assert [row["measured"] for row in found["rows"]] == pytest.approx([1024 * 0.12, 4096 * 0.12])
    assert found["summary"]["pooled"][0]["rows"] == 6
    assert "pooled" not in json.loads(run(mine, "--format", "json").stdout)["summary"]


def test_pool_over_nothing_is_a_usage_error(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert code(mine, "--pool", "backedn") == 2
    assert "did you mean 'backend'" in capsys.readouterr().err


# The page


@pytest.fixture
def accuracy(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module that writes the page."""
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    return importlib.import_module("accuracy")


def loops(*pairs: tuple[str, float], **cells: str) -> list[Judgement]:
    """Rows of closed loops by concurrency and TPOT."""
    rows = [Row(number, {"mode": "mixed-closed-loop", "concurrency": c, "tpot_ms": str(v), **cells}) for number, (c, v) in enumerate(pairs)]
    return [Judgement("serving.csv", "serving", row, "a", "tpot_ms", row.number_in("tpot_ms"), 1.0, 0.5, 2.0) for row in rows]


def test_rows_of_a_series_are_compared_with_the_line_through_their_neighbours(accuracy: Any) -> None:
    rows = loops(("1", 10.0), ("100", 1000.0), ("10", 200.0)) + loops(("20", 5.0), model="other")
    (one,) = accuracy.along(rows)
    assert (one.measured, one.predicted) == (200.0, pytest.approx(100.0))
    assert accuracy.along(loops(("1", 10.0), ("1", 11.0), ("1", 12.0))) == []


def test_classes_of_size(accuracy: Any) -> None:
    edges = (20.0, 1000.0)
    assert [accuracy._class(value, edges) for value in (19.9, 20.0, 999.0, 1000.0)] == [0, 1, 1, 2]
    assert [accuracy._class_name(edges, place, "µs") for place in range(3)] == ["below 20 µs", "20 to 1k µs", "from 1k µs"]


def test_errors_of_rows_left_out_are_those_that_are_kept(accuracy: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = {"rows": 1234, "median": 0.05, "mean": 0.123, "p90": 0.3, "bias": -0.02, "inside": 0.876}
    seen = {"kind": "gemm", "metric": "time_us", **numbers}
    family = [{**seen, "median": 0.08}, {**seen, "label": "hopper"}]
    kept = {"products": {"values": 3, "seen": [seen], "left out": {"family": family, "stack": []}}}
    store = tmp_path / "heldout.json"
    monkeypatch.setattr(accuracy.heldout, "STORE", store)
    assert accuracy.left_out().startswith("No fit")
    store.write_text(accuracy.heldout._written(kept), encoding="utf-8")
    assert accuracy.heldout.read() == kept
    assert "| gemm time | 1,234 | 5 / 12 / 30 | 8 / 12 / 30 |  |" in accuracy.left_out()
    assert "| gemm time | 1,234 | 88 % | 88 % |  |" in accuracy.left_out()
    assert "| hopper | 1,234 | 5.0 % | 12.3 % | 30.0 % | -2.0 % | 88 % |" in accuracy.left_out_each()


def test_every_fitted_value_has_a_row_and_is_counted_once(accuracy: Any) -> None:
    table, every = accuracy.values(), [one for _, space in accuracy.fits() for one in space.free]
    assert len(re.findall(r"^\| `", table, re.MULTILINE)) == len(every) > 20
    for one in every:
        assert f"| `{one.place[1]}` {one.place[2]} |" in table
    shared = sum(one.place[1].startswith("generic") for one in every)
    assert f"| all | {len(every)} | {shared} |" in accuracy.counts()


def test_values_that_the_rows_cannot_tell_are_marked(accuracy: Any) -> None:
    space = accuracy.fits()[0][1]
    place = next(number for number, chain in enumerate(space.chains) if len(chain) == 1)
    one = space.free[place]
    found = space.lib.load(*one.place[:2]).value(one.place[2])
    wide = {"low": float(one.from_line(one.to_line(found.value) - 1.645 * one.spread / 4)), "source": "fit-products"}
    wide["high"] = float(one.from_line(one.to_line(found.value) + 1.645 * one.spread / 4))
    assert accuracy._left(space, place, one, replace(found, **wide, note="")) == "25 %"
    assert accuracy._left(space, place, one, replace(found, **wide, note="the rows cannot tell: near its prior")).startswith("all")


@pytest.mark.parametrize("name", ["training", "serving", "kernels"])
def test_pictures_of_the_page_are_drawings_and_small(name: str) -> None:
    drawn = (ROOT / "docs/img" / f"accuracy-{name}.svg").read_text(encoding="utf-8")
    assert len(drawn) < 120_000
    root = parsed(drawn)
    assert root.find(f"{SVG}title").text.startswith("Predicted against measured")  # type: ignore[union-attr]
    assert len(list(dots(root))) > 500
    assert f"img/accuracy-{name}.svg" in (ROOT / "docs/accuracy.md").read_text(encoding="utf-8")
