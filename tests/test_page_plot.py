"""Figures by matplotlib: the numbers in them, the files they become, and what is said where it is missing."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import aicompute as ac
from aicompute import cli
from aicompute.errors import UnknownNameError, UsageError
from aicompute.report.page.report import Report

PAIR = ["cloudmatrix-384", "gb200-nvl72"]


@pytest.fixture(scope="module")
def made() -> Report:
    pytest.importorskip("matplotlib")
    found: Report = ac.report(PAIR, workload=ac.decode(tpot="50 ms"), samples=10)
    return found


@pytest.mark.parametrize("name", ac.plot.__all__)
@pytest.mark.parametrize(("ending", "start"), [(".svg", b"<?xml"), (".pdf", b"%PDF"), (".png", b"\x89PNG")])
def test_every_figure_becomes_a_file(made: Report, tmp_path: Path, name: str, ending: str, start: bytes) -> None:
    target = tmp_path / f"figure{ending}"
    getattr(ac.plot, name)(made, file=target)
    assert target.read_bytes().startswith(start)


def test_the_front_draws_the_rates(made: Report) -> None:
    [axes] = ac.plot.front(made, by="dollar").axes
    for line, points in zip(axes.get_lines(), made.front.lines, strict=True):
        assert list(line.get_ydata()) == [point.rates["dollar"].value for point in points]
        assert list(line.get_xdata()) == [point.x.value for point in points]


def test_bars_add_up_to_the_time_of_a_token(made: Report) -> None:
    [axes] = ac.plot.breakdown(made).axes
    for row, e in enumerate(made.main.estimates):
        ends = [box.get_x() + box.get_width() for box in axes.patches if round(box.get_y() + box.get_height() / 2) == row]
        assert max(ends) == pytest.approx(1e6 / e.value("tokens_per_s_per_accelerator"))


def test_costs_add_up(made: Report) -> None:
    assert made.books is not None
    [axes] = ac.plot.costs(made).axes
    ends = [box.get_x() + box.get_width() for box in axes.patches if round(box.get_y() + box.get_height() / 2) == 0]
    assert max(ends) == pytest.approx(made.main.estimates[0].value("cost_per_token") * 1e6)


def test_answers_of_compare_and_estimate_are_drawn_too(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    ac.plot.breakdown(ac.estimate("gb200-nvl72", samples=0), tmp_path / "one.svg")
    ac.plot.breakdown(ac.compare(["gb200", "910c", "mi355x-8"], workload="decode", samples=0), tmp_path / "three.svg")
    ac.plot.ratios(ac.compare(PAIR, samples=2), by="dollar", file=tmp_path / "ratios.svg")
    assert len(list(tmp_path.iterdir())) == 3
    with pytest.raises(UsageError, match="Grid cannot be drawn so"):
        ac.plot.breakdown(ac.estimate("gb200", workload=ac.decode(batch=[8, 16]), samples=0))


def test_words_that_mean_nothing_are_refused(made: Report, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="unknown value of by 'megawat'; did you mean 'megawatt'"):
        ac.plot.front(made, by="megawat")
    with pytest.raises(UnknownNameError, match="unknown value of by"):
        ac.plot.ratios(made, by="weight")
    with pytest.raises(UsageError, match=r"figure.gif: the ending says what is drawn; it can be \.svg, \.pdf, \.png"):
        ac.plot.costs(made, file=tmp_path / "figure.gif")
    with pytest.raises(UsageError, match="there is no folder"):
        ac.plot.costs(made, file=tmp_path / "nowhere" / "figure.svg")


@pytest.mark.parametrize("arguments", [[], ["--workload", "decode"]])
def test_compare_draws_its_answer(tmp_path: Path, arguments: list[str]) -> None:
    pytest.importorskip("matplotlib")
    target = tmp_path / "answer.svg"
    done = CliRunner().invoke(cli.cli, ["compare", *PAIR, *arguments, "--samples", "5", "--plot", str(target)])
    assert done.exit_code == 0, done.output
    assert f"wrote {target}" in done.stderr
    assert target.stat().st_size > 1000


def test_without_matplotlib_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real = importlib.import_module

    def missing(name: str, package: str | None = None) -> Any:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, package)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(UsageError, match=r"figures need matplotlib; install aicompute\[plot\]"):
        ac.plot.check_target(tmp_path / "figure.svg")
    done = CliRunner().invoke(cli.cli, ["compare", *PAIR, "--plot", str(tmp_path / "x.svg")])
    assert done.exit_code == 2
    assert "install aicompute[plot]" in done.output
