"""The report in headless Chromium: its numbers against the library as controls move, its console, what it loads, how it fits."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import aicompute as ac

CHROMIUM = next((found for name in ("chromium", "chromium-browser", "google-chrome", "chrome") if (found := shutil.which(name))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine (apt-get install chromium)")
PAIR = ["cloudmatrix-384", "gb200-nvl72"]
TERMS: dict[str, Any] = {"workload": ac.decode(tpot="50 ms"), "site": "kr", "samples": 60}
NOISE = 2e-6
"""Draws travel as 32-bit floats."""


class Browser:
    """A page of Chromium, spoken to over a pipe in its debugging protocol."""

    def __init__(self, home: Path) -> None:
        taken, self._out = os.pipe()
        self._in, given = os.pipe()
        script = f'exec 3<&{taken} 4>&{given}; exec "$0" "$@"'
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe", "--no-first-run"]
        self._process = subprocess.Popen(
            ["bash", "-c", script, str(CHROMIUM), *options, f"--user-data-dir={home}", "about:blank"],
            pass_fds=(taken, given), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(taken)
        os.close(given)
        self._count, self._rest, self._session = 0, b"", ""
        self.events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> Any:
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters, **({"sessionId": self._session} if self._session else {})}
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            while b"\0" not in self._rest:
                read = os.read(self._in, 1 << 20)
                assert read, "chromium is gone"
                self._rest += read
            text, _, self._rest = self._rest.partition(b"\0")
            answer = json.loads(text)
            if answer.get("id") == self._count:
                assert "error" not in answer, answer
                return answer["result"]
            self.events.append(answer)

    def run(self, code: str) -> Any:
        done = self.call("Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    def open(self, page: Path, address: str = "", width: int = 1280, dark: bool = False, media: str = "") -> None:
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 500)
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", media=media, features=features)
        self.call("Page.navigate", url="about:blank")
        self.events.clear()
        self.call("Page.navigate", url=page.as_uri() + address)
        deadline = time.monotonic() + 60.0
        while not self.run("location.protocol === 'file:' && document.readyState === 'complete'"):
            assert time.monotonic() < deadline, "the page did not load"
            time.sleep(0.05)

    def value(self, name: str, key: str = "value") -> float:
        return float(self.run(f"document.getElementById('{name}').dataset.{key}"))

    def close(self) -> None:
        self.call("Browser.close")
        self._process.wait(30)
        os.close(self._out)
        os.close(self._in)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made: Path = ac.report(PAIR, **TERMS).save(tmp_path_factory.mktemp("report") / "report.html")
    return made


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    started = Browser(tmp_path_factory.mktemp("chromium"))
    yield started
    started.close()


def assert_shows(browser: Browser, answer: Any) -> None:
    """The page says what the library says: costs, intervals, ratio, probability."""
    for kind, estimate in zip("ab", answer, strict=True):
        cost = estimate["cost_per_token"]
        assert browser.value(f"cost-{kind}") == pytest.approx(cost.value * 1e6, rel=1e-6)
        assert browser.value(f"span-{kind}", "low") == pytest.approx(cost.low * 1e6, rel=NOISE)
        assert browser.value(f"span-{kind}", "high") == pytest.approx(cost.high * 1e6, rel=NOISE)
        assert browser.value(f"hour-{kind}") == pytest.approx(estimate["cost_per_accelerator_hour"].value * 3600.0, rel=1e-6)
    ratio = answer.ratio("cost_per_token")
    assert browser.value("ratio") == pytest.approx(ratio.value, rel=1e-6)
    assert browser.value("span-ratio", "low") == pytest.approx(min(ratio.low, ratio.value), rel=NOISE)
    assert browser.value("span-ratio", "high") == pytest.approx(max(ratio.high, ratio.value), rel=NOISE)
    assert browser.value("chance") == pytest.approx(ratio.probability, abs=1e-9)


def set_to(key: str, value: float) -> str:
    """Move a slider as a hand does."""
    return (
        f"(() => {{ const node = document.getElementById('slide-{key}'); node.value = '{value}';"
        " node.dispatchEvent(new Event('input', {bubbles: true})); return node.value; })()"
    )


def test_untouched_controls_show_the_answer_of_the_library(browser: Browser, page: Path) -> None:
    browser.open(page)
    assert_shows(browser, ac.compare(PAIR, **TERMS))


@pytest.mark.parametrize(
    ("address", "asked"),
    [
        ("#electricity=0.05", {"set": {"kr.electricity.price": "0.05 USD/kWh"}}),
        ("#pue=1.4&use=90", {"set": {"kr.pue.liquid": 1.4}, "utilisation": 0.9}),
        ("#life=3", {"set": {"kr.capital.life": "3 year"}}),
        ("#price_a=4.5&price_b=6", {"set": {"cloudmatrix-384.price.unit": "4.5e6 USD", "gb200-nvl72.price.unit": "6e6 USD"}}),
        ("#site=us-texas&use=15", {"site": "us-texas", "utilisation": 0.15}),
        (
            "#site=de&electricity=0.3&pue=1.05&use=35&life=8.5&price_a=20&price_b=1",
            {
                "site": "de",
                "utilisation": 0.35,
                "set": {
                    "de.electricity.price": "0.3 USD/kWh",
                    "de.pue.liquid": 1.05,
                    "de.capital.life": "8.5 year",
                    "cloudmatrix-384.price.unit": "20e6 USD",
                    "gb200-nvl72.price.unit": "1e6 USD",
                },
            },
        ),
    ],
)
def test_what_the_address_sets_gives_the_answer_of_the_library(browser: Browser, page: Path, address: str, asked: dict[str, Any]) -> None:
    browser.open(page, address)
    assert_shows(browser, ac.compare(PAIR, **{**TERMS, **asked}))


def test_a_slider_recomputes_and_is_kept_in_the_address_and_reset(browser: Browser, page: Path) -> None:
    browser.open(page)
    before = browser.value("cost-a")
    moved = float(browser.run(set_to("electricity", 0.25)))
    assert moved == pytest.approx(0.25)
    assert_shows(browser, ac.compare(PAIR, **TERMS, set={"kr.electricity.price": f"{moved} USD/kWh"}))
    assert browser.value("cost-a") > before
    assert "electricity=0.25" in browser.run("location.hash")
    time.sleep(0.6)
    assert "a million tokens" in browser.run("document.getElementById('told').textContent")
    browser.run("document.querySelector('#live button[type=reset]').click()")
    assert browser.value("cost-a") == pytest.approx(before, rel=1e-12)
    assert "electricity" not in browser.run("location.hash")


def test_each_at_home_is_a_site(browser: Browser, page: Path) -> None:
    browser.open(page, "#site=home")
    assert_shows(browser, ac.compare(PAIR, **{**TERMS, "site": "home"}))


def test_a_training_run_with_its_failures(browser: Browser, tmp_path: Path) -> None:
    asked = {"workload": "training", "equal": "flops", "samples": 20}
    made = ac.report(PAIR, **asked).save(tmp_path / "training.html")
    browser.open(made, "#use=70&life=4")
    assert_shows(browser, ac.compare(PAIR, **asked, utilisation=0.7, set={"us-average.capital.life": "4 year"}))


def test_a_rented_pair_has_rent_and_use_to_set(browser: Browser, tmp_path: Path) -> None:
    made = ac.report(PAIR, **{**TERMS, "rent": 2.0 / 3600.0}).save(tmp_path / "rented.html")
    browser.open(made, "#rent=3&use=50")
    assert_shows(browser, ac.compare(PAIR, **{**TERMS, "rent": "3 USD/accelerator/h"}, utilisation=0.5))
    assert browser.run("document.getElementById('slide-electricity')") is None


@pytest.mark.parametrize("address", ["#use=0", "#use=140", "#pue=0.5", "#life=-2", "#electricity=abc", "#site=atlantis", "#life=0"])
def test_nonsense_in_the_address_changes_nothing(browser: Browser, page: Path, address: str) -> None:
    browser.open(page)
    before = browser.value("cost-a")
    browser.open(page, address)
    assert browser.value("cost-a") == before


def test_a_number_that_makes_no_sense_is_marked(browser: Browser, page: Path) -> None:
    browser.open(page)
    code = (
        "(() => { const node = document.getElementById('set-use'); node.value = '150';"
        " node.dispatchEvent(new Event('input', {bubbles: true})); return node.getAttribute('aria-invalid'); })()"
    )
    assert browser.run(code) == "true"


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("dark", [False, True])
def test_nothing_is_loaded_nothing_complains_and_nothing_sticks_out(browser: Browser, page: Path, width: int, dark: bool) -> None:
    browser.open(page, width=width, dark=dark)
    complaints = [e for e in browser.events if e.get("method") in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")]
    asked = [e["params"]["request"]["url"] for e in browser.events if e.get("method") == "Network.requestWillBeSent"]
    assert complaints == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert browser.run("document.documentElement.scrollWidth") <= width
    paper = browser.run("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, paper[4:-1].split(","))) < 200) is dark


OVERLAPS = """(() => {
  const found = [];
  for (const drawing of document.querySelectorAll('.picture svg')) {
    const outer = drawing.getBoundingClientRect();
    if (!outer.width) continue;
    const words = [...drawing.querySelectorAll('text')].map((node) => [node.textContent, node.getBoundingClientRect()]);
    for (const [text, box] of words)
      if (box.left < outer.left - 1 || box.right > outer.right + 1 || box.top < outer.top - 1 || box.bottom > outer.bottom + 1)
        found.push('outside: ' + text);
    words.forEach(([text, a], place) => words.slice(place + 1).forEach(([other, b]) => {
      if (Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 3)
        found.push(`${text} | ${other}`);
    }));
  }
  return found;
})()"""


@pytest.mark.parametrize("width", [390, 1280])
def test_no_label_overlaps_another_or_is_cut_off(browser: Browser, page: Path, width: int) -> None:
    browser.open(page, width=width)
    for group in ("ahead-by", "front-by"):
        for name in browser.run(f"[...document.querySelectorAll('input[name={group}]')].map((node) => node.value)"):
            browser.run(f"document.querySelector('input[name={group}][value={name}]').click()")
            assert browser.run(OVERLAPS) == [], name
    sizes = browser.run(
        "[...document.querySelectorAll('.picture svg')].filter((one) => one.getBoundingClientRect().width)"
        ".map((one) => one.getBoundingClientRect().width / one.viewBox.baseVal.width)"
    )
    assert min(sizes) > 0.95  # type of 12.5 px stays readable


def test_the_theme_switch_and_the_address_choose_light_or_dark(browser: Browser, page: Path) -> None:
    browser.open(page, "#theme=dark")
    assert browser.run("document.documentElement.dataset.theme") == "dark"
    browser.run("document.getElementById('theme').click()")
    assert browser.run("document.documentElement.dataset.theme") == "light"
    assert "theme=light" in browser.run("location.hash")


def test_the_keyboard_reaches_switches_and_sliders(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.run("document.querySelector('input[name=front-by]').focus()")
    for kind in ("keyDown", "keyUp"):
        browser.call("Input.dispatchKeyEvent", type=kind, key="ArrowRight", code="ArrowRight", windowsVirtualKeyCode=39)
    assert browser.run("document.querySelector('input[name=front-by]:checked').value") == "megawatt"
    shown = browser.run("[...document.querySelectorAll('#front-by-views .view:not(.away)')].map((node) => node.dataset.view)")
    assert shown == ["megawatt"]
    before = browser.value("cost-b")
    browser.run("document.getElementById('slide-life').focus()")
    for kind in ("keyDown", "keyUp"):
        browser.call("Input.dispatchKeyEvent", type=kind, key="ArrowRight", code="ArrowRight", windowsVirtualKeyCode=39)
    assert browser.value("cost-b") < before


def test_print_shows_every_picture_and_no_controls(browser: Browser, page: Path) -> None:
    browser.open(page, media="print")
    assert browser.run("[...document.querySelectorAll('.view')].every((node) => getComputedStyle(node).display !== 'none')")
    assert browser.run("getComputedStyle(document.querySelector('nav')).display") == "none"
    assert browser.run("getComputedStyle(document.querySelector('.switch')).display") == "none"
