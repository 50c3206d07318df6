"""The report without a browser: its numbers against the library, its text, its file, and the command."""

from __future__ import annotations

import json
import math
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

import aicompute as ac
from aicompute import cli
from aicompute.errors import InfeasibleError, UnknownNameError, UsageError
from aicompute.report.page.draw import Canvas, fitted, meet, width_of, wrapped
from aicompute.report.page.report import Report
from aicompute.report.page.steps import group_of

PAIR = ["cloudmatrix-384", "gb200-nvl72"]
DECODE: dict[str, Any] = {"workload": ac.decode(tpot="50 ms"), "site": "kr", "samples": 40}


@pytest.fixture(scope="module")
def made() -> Report:
    found: Report = ac.report(PAIR, **DECODE)
    return found


@pytest.fixture(scope="module")
def page(made: Report) -> str:
    return made.html()


def cost(**asked: Any) -> list[float]:
    return [each["cost_per_token"].value for each in ac.compare(PAIR, **{**DECODE, "samples": 0, **asked})]


# Numbers


def test_costs_at_every_site_are_those_of_compare(made: Report) -> None:
    books = made.books
    assert books is not None
    for site in ac.Library().ids("sites"):
        answer = ac.compare(PAIR, **{**DECODE, "site": site})
        for k, each in enumerate(answer):
            stack = books.stack(k, site)
            assert (stack is None) is not each.feasible
            if stack is not None:
                assert sum(stack.values()) / 1e6 == pytest.approx(each["cost_per_token"].value, rel=1e-12)
                assert np.allclose(books.draws_per_token(k, site), each["cost_per_token"].draws, rtol=1e-12)


def test_at_the_break_even_price_both_cost_the_same(made: Report) -> None:
    assert made.break_even is not None
    first, second = cost(set={"cloudmatrix-384.price.unit": f"{made.break_even.at_price} USD"})
    assert first == pytest.approx(second, rel=1e-9)


def test_the_break_even_line_is_where_the_second_costs_as_much(made: Report) -> None:
    even = made.break_even
    assert even is not None
    k = len(even.prices) // 2
    first, second = cost(set={"cloudmatrix-384.price.unit": f"{even.prices[k]} USD"})
    assert second * made.main.estimates[1].value("tokens_per_s_per_accelerator") / even.rates["value"][k] == pytest.approx(first, rel=1e-9)


def test_the_heat_map_holds_the_probabilities_of_compare(made: Report) -> None:
    heat = made.heat_map
    assert heat is not None
    price = heat.prices[6] * 3.6e6
    answer = ac.compare(PAIR, **DECODE, utilisation=float(heat.uses[2]), set={"kr.electricity.price": f"{price} USD/kWh"})
    assert heat.chance[2, 6] == answer.ratio("cost_per_token").probability


def test_the_front_passes_through_the_answer(made: Report) -> None:
    answer = ac.compare(PAIR, **{**DECODE, "samples": 0})
    for line, each in zip(made.front.lines, answer, strict=True):
        [point] = [point for point in line if point.target == 0.050]
        assert point.rates["accelerator"].value == each["tokens_per_s_per_accelerator"].value
        assert point.rates["megawatt"].value == pytest.approx(1e6 * each["tokens_per_s"].value / each["site_power"].value)
        assert point.rates["dollar"].value == pytest.approx(1e-6 / each["cost_per_token"].value)
        xs, ys = [point.x.value for point in line], [point.rates["accelerator"].value for point in line]
        assert xs == sorted(xs)
        assert all(b <= a * 1.001 for a, b in pairwise(ys))  # speed for users is paid with throughput


def test_a_domain_is_what_compare_says_of_it(made: Report) -> None:
    title, found = made.domains[0]
    assert "50 ms" in title
    assert found.own == (384.0, 72.0)
    asked = {**DECODE, "samples": 0, "accelerators": found.accelerators}
    answer = ac.compare(PAIR, **asked, set={"cloudmatrix-384.tiers.scale-up.domain": 32, "gb200-nvl72.tiers.scale-up.domain": 16})
    for line, each in zip(found.lines, answer, strict=True):
        [point] = [point for point in line if point.accelerators == 16.0]  # a 910C is two devices
        assert point.rate == each["tokens_per_s_per_accelerator"].value
        assert point.exposed == each["exposed_share"].value
        rates = [point.rate for point in line]
        assert all(a <= b * (1.0 + 1e-9) for a, b in pairwise(rates))
        assert all(point.held_rate <= point.rate * (1.0 + 1e-9) for point in line if math.isfinite(point.held_rate))
        assert line[-1].held_rate == pytest.approx(line[-1].rate)


def test_bars_are_the_time_of_an_accelerator_for_a_token(made: Report) -> None:
    for k, e in enumerate(made.main.estimates):
        total = sum(sum(bar.parts.values()) for bar in made.bars if bar.system == k)
        assert total == pytest.approx(1.0 / e.value("tokens_per_s_per_accelerator"))


def test_a_service_has_a_bar_for_prompts_and_one_for_answers() -> None:
    found = ac.report(PAIR, samples=2)
    assert [bar.phase for bar in found.bars] == ["prompts", "answers", "waiting"] * 2
    for k, e in enumerate(found.main.estimates):
        total = sum(sum(bar.parts.values()) for bar in found.bars if bar.system == k)
        assert total == pytest.approx(1.0 / e.value("tokens_per_s_per_accelerator"))


def test_the_way_from_the_peak_falls_and_ends_at_what_is_delivered_over_the_day(made: Report) -> None:
    for way, e in zip(made.ways, made.main.estimates, strict=True):
        rates = [drop.rate for drop in way]
        assert rates == sorted(rates, reverse=True)
        assert rates[-1] == pytest.approx(0.6 * e.value("tokens_per_s_per_accelerator"))
        assert rates[-2] == pytest.approx(e.value("tokens_per_s_per_accelerator"))


def test_the_peak_of_a_training_run_is_its_rate_over_its_mfu() -> None:
    found = ac.report(PAIR, workload="training", samples=2)
    for way, e in zip(found.ways, found.main.estimates, strict=True):
        assert way[0].rate == pytest.approx(e.value("tokens_per_s_per_accelerator") / e.value("mfu"))
        assert way[-1].rate == pytest.approx(e.value("tokens_per_s_per_accelerator") * e.value("goodput"))


def test_no_operator_is_above_the_roofs(made: Report) -> None:
    for roof in made.roofs:
        assert roof.operators
        for o in roof.operators:
            bound = min(max(roof.peaks.values()), o.flops / o.traffic * roof.bandwidth)
            assert o.flops / o.seconds <= bound * 1.0001, o.name


def test_drivers_are_those_of_sensitivity(made: Report) -> None:
    assert made.drivers
    widths = [driver.width for driver in made.drivers]
    assert widths == sorted(widths, reverse=True)
    answer = ac.sensitivity(PAIR, metrics="cost_per_token", finite=False, site="kr", workload=DECODE["workload"]).answer
    each = {one.name: one for one in answer.found}
    base = answer.metrics["cost_per_token"]
    for driver in made.drivers:
        one = each[driver.path]
        assert driver.low == pytest.approx(base * (1.0 + one.at_low["cost_per_token"]), rel=1e-9), driver.path
        assert driver.high == pytest.approx(base * (1.0 + one.at_high["cost_per_token"]), rel=1e-9), driver.path


def test_drivers_of_money_are_what_compare_says_with_the_value_set(made: Report) -> None:
    money = [driver for driver in made.drivers if ".price." in driver.path or driver.path.startswith("kr.")]
    assert money
    for driver in money:
        for value, ratio in ((driver.origin.low, driver.low), (driver.origin.high, driver.high)):
            first, second = cost(set={driver.path: value})
            assert first / second == pytest.approx(ratio, rel=1e-9), driver.path


def test_values_that_act_through_power_alone_drive_too() -> None:
    wide = {"huawei-ascend-910c.power.tdp": "600 W"}
    found = ac.report(PAIR, **{**DECODE, "set": {"kr.electricity.price": "0.5 USD/kWh", **wide}})
    assert any(".power." in driver.path for driver in found.drivers)


def test_scenarios_of_the_headline_are_those_of_compare() -> None:
    found = ac.report(PAIR, samples=2)
    answer = ac.compare(PAIR, samples=2)
    assert [each.title for each in found.scenarios] == [each.title for each in answer.comparisons]
    for mine, theirs in zip(found.scenarios, answer.comparisons, strict=True):
        assert [e.value("cost_per_token") for e in mine.estimates] == [e.value("cost_per_token") for e in theirs.estimates]
    service = answer["the whole service, TTFT <= 2 s, TPOT <= 50 ms, 8 bits, same site"]
    assert [e.value("cost_per_token") for e in found.main.estimates] == [e["cost_per_token"].value for e in service]


def test_groups_of_parts() -> None:
    assert group_of("prefill: tensor parallel") == "communication"
    assert group_of("a new collective", ["a new collective"]) == "communication"


# Words


def test_the_verdict_is_three_sentences_with_the_numbers_of_the_answer(made: Report) -> None:
    rate, energy, money = made.verdict()
    answer = ac.compare(PAIR, **DECODE)
    ahead = answer.ratio("tokens_per_s_per_accelerator")
    assert rate.startswith("An accelerator of GB200 NVL72 delivers")
    assert f"{1.0 / ahead.value:.1f} times" in rate
    assert "electricity" in energy
    assert f"${answer['gb200-nvl72']['cost_per_token'].value * 1e6:.2f}"[:5] in money
    assert "Korea" in money
    assert "instead of $11 M" in money


def test_a_verdict_turns_when_the_numbers_turn() -> None:
    found = ac.report(PAIR, **DECODE, set={"cloudmatrix-384.price.unit": "1e6 USD"})
    assert "on CloudMatrix 384 and $" in found.verdict()[2]
    assert "instead of $1.0 M" in found.verdict()[2]


def test_one_system_alone_is_said_with_the_reason() -> None:
    found = ac.report(["l40s-pcie-server", "dgx-b200"], workload=ac.decode(tpot="20 ms"), samples=2)
    first, second = found.verdict()
    assert first.startswith("Only DGX B200 can do this")
    assert second.startswith("8 × L40S cannot: ")
    page = found.html()
    assert "left out" in page
    assert 'id="time"' in page
    assert 'id="live"' not in page
    assert 'id="data"' not in page


def test_no_system_at_all_is_an_error() -> None:
    with pytest.raises(InfeasibleError, match=r"no system can do this; cloudmatrix-384: .*; gb200-nvl72: "):
        ac.report(PAIR, workload=ac.decode(tpot="0.1 ms"), samples=2).html()


# The file


class Reader(HTMLParser):
    """Elements with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))


def test_the_page_is_small_and_loads_nothing(page: str) -> None:
    assert len(page.encode()) < 1_500_000
    for tag, attributes in Reader(page).found:
        assert "src" not in attributes
        assert tag not in ("iframe", "object", "embed", "img", "base")
        if "href" in attributes and tag != "a":
            assert (tag, attributes["href"]) == ("link", "data:,")
        if tag == "a":
            assert attributes["href"].startswith(("#", "https://", "http://"))
        assert not [name for name in attributes if name.startswith("on")]
    assert "@import" not in page
    assert not re.findall(r"url\((?!#)", page)
    assert "default-src 'none'" in page


def test_ids_are_unique_and_references_lead_somewhere(page: str) -> None:
    found = Reader(page).found
    ids = [attributes["id"] for _, attributes in found if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in found:
        for name in ("aria-labelledby", "aria-describedby", "for"):
            assert all(one in ids for one in attributes.get(name, "").split())
        if attributes.get("href", "").startswith("#"):
            assert attributes["href"][1:] in ids


def test_every_picture_is_told_and_has_its_table(page: str) -> None:
    pictures = [attributes for tag, attributes in Reader(page).found if tag == "svg" and attributes.get("role") == "img"]
    assert len(pictures) == 2 * (3 + 3 + 7)
    for section in re.findall(r"<section.*?</section>", page, re.DOTALL):
        assert "<table>" in section or 'class="heat"' in section or 'id="live"' in section
    for text in re.findall(r"<desc[^>]*>(.*?)</desc>", page):
        assert len(text) > 20


def test_the_numbers_of_the_script_are_those_of_the_books(made: Report, page: str) -> None:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    assert made.books is not None
    data = json.loads(found.group(1))
    assert data["site"] == "kr"
    assert data["ledgers"][0]["price"][0] == made.books.ledgers[0].price
    assert set(data["sites"]) == {*ac.Library().ids("sites"), "home"}


def test_names_from_spec_files_are_escaped(tmp_path: Path) -> None:
    (tmp_path / "systems").mkdir()
    said = ['extends = "gb200-nvl72"', 'vendor = "nvidia"', "year = 2024", 'status = "shipping"', 'accelerator = "nvidia-gb200"']
    text = "\n".join(["name = '<script>alert(1)</script> & \"Co\"'", *said])
    (tmp_path / "systems" / "evil.toml").write_text(text, encoding="utf-8")
    page = ac.report(["evil", "dgx-b200"], **DECODE, specs=tmp_path).html()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
    assert [tag for tag, _ in Reader(page).found].count("script") == 2


def test_labels_find_room_or_stay_away() -> None:
    canvas = Canvas(200.0)
    assert all(canvas.placed("a label", 100.0, 50.0) for _ in range(4))
    boxes = canvas.taken
    assert not any(meet(a, b) for k, a in enumerate(boxes) for b in boxes[:k])
    canvas.avoid(0.0, 0.0, 200.0, 100.0)
    assert not canvas.placed("a label", 100.0, 50.0)


@pytest.mark.parametrize("words", ["", "x", "a long title that does not fit", "onewordthatisfartoolongtofit"])
def test_fitted_and_wrapped_words_stay_within_their_width(words: str) -> None:
    assert width_of(fitted(words, 80.0)) <= 80.0
    lines = wrapped(words, 80.0)
    assert len(lines) <= 2
    assert all(width_of(line) <= 80.0 for line in lines)


# The command


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli.cli, [str(argument) for argument in arguments])


def test_the_command_writes_the_page_and_tells_the_verdict(tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    done = run("report", *PAIR, "--workload", "decode", "--tpot", "50 ms", "--samples", 20, "-o", target)
    assert done.exit_code == 0, done.output
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "CloudMatrix 384" in done.stdout
    assert f"wrote {target}" in done.stderr
    assert "working on" in done.stderr
    assert target.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["-o", "x.html"], 2, "two systems side by side; given: none"),
        (["gb200", "-o", "x.html"], 2, "two systems side by side; given: gb200"),
        (["gb200", "910c", "h100", "-o", "x.html"], 2, "two systems side by side"),
        (["gb200", "910c", "-o", "x.pdf"], 2, "--output x.pdf: expected a name that ends in .html"),
        (["gb200", "910c", "-o", "nowhere/x.html"], 2, "--output nowhere/x.html: there is no folder 'nowhere'"),
        (["gb200", "910c"], 2, "-o"),
        (["gb200", "cloudmatrx-384", "-o", "x.html"], 2, "did you mean 'cloudmatrix-384'"),
        (["gb200", "910c", "--samples", "0", "-o", "x.html"], 2, "samples = 0: a report holds 2 to 1,000 draws"),
        (["gb200", "910c", "--samples", "5000", "-o", "x.html"], 2, "samples = 5000"),
        (["gb200", "910c", "--equal", "weight", "-o", "x.html"], 2, "unknown value of equal 'weight'"),
        (["gb200", "910c", "--site", "atlantis", "-o", "x.html"], 2, "unknown"),
        (["gb200", "910c", "--workload", "decode", "--tpot", "0.1 ms", "-o", "x.html"], 4, "no system can do this"),
    ],
)
def test_what_the_command_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, message: str) -> None:
    monkeypatch.chdir(tmp_path)
    done = run("report", *arguments)
    assert done.exit_code == code, done.output
    assert message in done.output
    assert "Traceback" not in done.output
    assert not list(tmp_path.iterdir())


def test_what_the_function_refuses() -> None:
    with pytest.raises(UsageError, match="utilisation is an array; a report is about one scenario"):
        ac.report(PAIR, utilisation=[0.5, 0.6])
    with pytest.raises(UnknownNameError, match="unknown value of equal"):
        ac.report(PAIR, equal="weight")
