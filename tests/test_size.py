"""Sizing: what must hold whatever the numbers are, agreement with estimates and costs, impossible wishes, and the command."""

from __future__ import annotations

import importlib.util
import json
import math
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import aicompute as ac
from aicompute.cli.size import command
from aicompute.decide.exports import licences, rule_date
from aicompute.decide.layouts import in_time
from aicompute.decide.needs import Training, makers_of
from aicompute.decide.size import CONFIDENCE, Option, _spares, spare_accelerators
from aicompute.errors import InfeasibleError, UnknownNameError, UsageError
from aicompute.machine.failures import spares
from aicompute.report.size import SizeView
from aicompute.search.compare import Options, estimate_system
from aicompute.sizing import size
from aicompute.specs import Library
from aicompute.workload_grid import training

LIB = Library()
DAY = 86400.0
FEW = settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
SERVE = {"model": "llama-3.1-70b", "tpot": "50 ms", "site": "kr", "samples": 0, "library": LIB}
TRAIN = {"model": "llama-3.1-70b", "train_tokens": "15T", "site": "kr", "samples": 0, "library": LIB}


def one(**wish: Any) -> Option:
    """The only fleet of a sizing of DGX H100."""
    options = size(**{**SERVE, "systems": "dgx-h100", **wish}).options
    assert len(options) == 1
    return options[0]


@pytest.fixture(scope="module")
def served() -> SizeView:
    return size("llama-3.1-70b", serve="1e6 token/s", tpot="50 ms", site=["kr", "us-texas", "cn-average"], samples=0)


@pytest.fixture(scope="module")
def both() -> SizeView:
    return size(
        "llama-3.1-70b", train_tokens="15T", within="90 day", serve="1e6 token/s", tpot="50 ms", power="20 MW",
        systems=["dgx-h100", "gb200-nvl72", "trn2-ultraserver", "tpu-v6e-pod"], site=["kr", "us-texas"], samples=0,
    )  # fmt: skip


# What must hold


@FEW
@given(rate=st.floats(1e3, 1e8), more=st.floats(1.0, 10.0))
def test_more_demand_never_needs_fewer_units(rate: float, more: float) -> None:
    less, much = one(serve=rate), one(serve=rate * more)
    assert much.units >= less.units
    assert much.cost_rate.value >= less.cost_rate.value * (1.0 - 1e-9)


@FEW
@given(budget=st.floats(1e6, 1e10), more=st.floats(1.0, 10.0))
def test_a_larger_budget_never_buys_less(budget: float, more: float) -> None:
    less, much = one(budget=budget), one(budget=budget * more)
    assert much.rate.value >= less.rate.value * (1.0 - 1e-9)
    assert less.capital.value <= budget


@FEW
@given(power=st.floats(1e5, 1e9), more=st.floats(1.0, 10.0))
def test_more_power_never_serves_less(power: float, more: float) -> None:
    less, much = one(power=power), one(power=power * more)
    assert much.rate.value >= less.rate.value * (1.0 - 1e-9)
    assert less.power.value <= power


@FEW
@given(rate=st.floats(1e7, 1e9))
def test_cost_of_a_token_does_not_depend_on_scale_but_for_spares_and_rounding(rate: float) -> None:
    assert one(serve=rate).per_token.value == pytest.approx(one(serve=1e9).per_token.value, rel=0.05)


@FEW
@given(rate=st.floats(1e5, 1e8))
def test_demand_is_met_at_the_peak_with_what_may_be_broken_left_out(rate: float) -> None:
    found = one(serve=rate, peak_factor=2.0)
    assert found.estimate is not None
    each = found.estimate.value("tokens_per_s") / found.estimate.accelerators
    assert (found.accelerators - found.spare) * each >= 2.0 * rate * (1.0 - 1e-9)
    assert found.utilisation * found.rate.value == pytest.approx(rate)


@pytest.mark.parametrize(("limit", "what"), [("budget", "capital"), ("power", "power"), ("yearly", "cost_rate")])
def test_a_limit_just_below_what_a_fleet_needs_refuses_it(limit: str, what: str) -> None:
    needed = getattr(one(serve="1e6 token/s"), what).value
    text = {"budget": "{} USD", "power": "{} W", "yearly": "{} USD/s"}[limit]
    assert one(serve="1e6 token/s", **{limit: text.format(needed * 1.0001)}).feasible
    with pytest.raises(InfeasibleError, match=r"times 1\.01"):
        one(serve="1e6 token/s", **{limit: text.format(needed * 0.9999)})


def test_a_ceiling_just_below_the_cost_refuses_it() -> None:
    cost = one(serve="1e6 token/s").per_token.value
    assert one(serve="1e6 token/s", ceiling=f"{cost * 1.0001e6} USD/Mtoken").feasible
    with pytest.raises(InfeasibleError, match=r"cost of a token times 1\.01"):
        one(serve="1e6 token/s", ceiling=f"{cost * 0.9999e6} USD/Mtoken")


def test_marks_are_minima(served: SizeView, both: SizeView) -> None:
    for view, use in ((served, "serve"), (both, "serve"), (both, "train")):
        own = [o for o in view.options if o.use == use]
        marks = {name: view.mark(name, use) for name in ("cheapest", "fastest", "greenest", "least abroad")}
        cost = (lambda o: o.run_cost) if use == "train" else (lambda o: o.per_token.value)
        assert cost(marks["cheapest"]) == min(map(cost, own))
        assert marks["greenest"].carbon_per_token == min(o.carbon_per_token for o in own)
        assert marks["least abroad"].abroad == pytest.approx(min(o.abroad for o in own))
        speed = marks["fastest"].time if use == "train" else -marks["fastest"].per_user
        assert speed == min(o.time if use == "train" else -o.per_user for o in own)


def test_pairs_keep_to_the_limits_together_and_no_single_system_beats_them(both: SizeView) -> None:
    assert both.answer is not None
    assert both.answer.single is not None
    assert both.answer.pairs
    for pair in both.answer.pairs:
        assert pair.train.site == pair.serve.site
        assert pair.train.power.value + pair.serve.power.value <= 20e6
    assert both.answer.single.yearly >= both.answer.pairs[0].yearly
    assert not both.answer.single.mixed


def test_pairs_that_break_a_limit_together_say_by_how_much() -> None:
    wish = {**TRAIN, "within": "90 day", "serve": "1e6 token/s", "tpot": "50 ms", "systems": "gb200-nvl72"}
    alone = size(**wish).options
    largest = max(o.power.value for o in alone)
    with pytest.raises(InfeasibleError, match="not both within the limits: power"):
        size(**wish, power=f"{largest * 1.01} W")


@pytest.mark.parametrize("filters", ["vendor=nvidia", "foundry=smic", "memory=sk-hynix", "country=us", "country=cn"])
def test_filters_refuse_makers(served: SizeView, filters: str) -> None:
    kind, _, name = filters.partition("=")

    def by_them(view: SizeView) -> list[Option]:
        return [o for o in view.options if name in makers_of(LIB, LIB.load("accelerators", o.accelerator))[kind]]

    kept = size("llama-3.1-70b", serve="1e6 token/s", tpot="50 ms", site=["kr", "cn-average"], exclude=filters, samples=0)
    assert by_them(served)
    assert not by_them(kept)
    assert kept.answer is not None
    assert any("is excluded" in r.reason for r in kept.answer.refused)


def test_allow_leaves_only_those_named() -> None:
    found = size("llama-3.1-70b", serve="1e6 token/s", tpot="50 ms", site="kr", allow="vendor=amd", samples=0)
    assert {str(LIB.load("accelerators", o.accelerator).get("vendor")) for o in found.options} == {"amd"}


# Truth


@pytest.mark.parametrize(
    ("system", "model", "days"),
    [("dgx-h100", "llama-3.1-70b", 60), ("gb200-nvl72", "deepseek-v3", 90), ("dgx-b200", "deepseek-v3", 60)],
)
def test_the_size_found_makes_the_run_in_time_and_a_tenth_less_does_not(system: str, model: str, days: float) -> None:
    spec, work = LIB.load("systems", system), training(4096, 15360, "15T")
    found = in_time(LIB, spec, Training(model, work, days * DAY), Options(samples=0))
    assert not isinstance(found, str)
    assert found.value("run_time") <= days * DAY
    whole = estimate_system(LIB, system, model, work, Options(accelerators=found.accelerators, samples=0))
    assert whole.value("run_time") <= days * DAY * (1.0 + 1e-9)
    fewer = math.floor(min(0.9 * found.accelerators, found.accelerators - spec.si("accelerators")) / spec.si("accelerators"))
    less = estimate_system(LIB, system, model, work, Options(accelerators=fewer * spec.si("accelerators"), samples=0))
    assert less.value("run_time") > days * DAY


def test_a_run_with_spares_is_in_time_when_they_are_broken(both: SizeView) -> None:
    for o in (o for o in both.options if o.use == "train"):
        assert o.time <= 90 * DAY
        assert o.run_cost == pytest.approx(o.cost_rate.value * o.time)


def test_cost_is_that_of_the_cost_command() -> None:
    o = one(serve="1e6 token/s")
    assert o.estimate is not None
    tree = ac.cost(
        "dgx-h100", site="kr", accelerators=o.accelerators, utilisation=o.utilisation, samples=0,
        set={"nvidia-h100-sxm.power.tdp": "700 W"},
    ).tree  # fmt: skip
    assert o.capital.value == pytest.approx(tree.capital.value + tree.rated.value * float(tree.offer.terms.facility_capital))
    for part in ("capital", "facility", "operation"):  # energy follows the work, which a cost without a workload does not know
        assert tree[part].cost.value < o.cost_rate.value
    energy = o.cost_rate.value - sum(tree[part].cost.value for part in ("capital", "facility", "operation"))
    assert 0.0 < energy <= tree["energy"].cost.value * (1.0 + 1e-9)


def test_spares_follow_poissons_law() -> None:
    spec, accelerator = LIB.load("systems", "dgx-h100"), LIB.load("accelerators", "nvidia-h100-sxm")
    mean = 16384 * accelerator.si("reliability.repair") / accelerator.si("reliability.mtbf")
    spare = spare_accelerators(spec, accelerator, 16384.0, 1.0)
    law = [math.exp(-mean) * mean**k / math.factorial(k) for k in range(int(spare) + 1)]
    assert sum(law) >= 0.99 > sum(law[:-1])
    assert spare_accelerators(spec, accelerator, 16384.0, 64.0) == 8.0 * spare


@pytest.mark.parametrize("mean", [1e-6, 0.01, 0.5, 3.0, 47.0, 333.3, 599.0])
def test_spares_are_those_of_the_formula(mean: float) -> None:
    assert _spares(mean) == float(spares(mean, CONFIDENCE))


# Rules


def test_licences_follow_the_rules_of_the_day() -> None:
    h100, h800, h20 = (LIB.load("accelerators", f"nvidia-{name}") for name in ("h100-sxm", "h800-sxm", "h20"))
    assert rule_date(LIB, None) == "2026-01-15"
    assert licences(LIB, h100, "2022-01-01") == {}
    assert licences(LIB, h100, "2023-01-01") == {"cn": "3A090"}
    assert licences(LIB, h800, "2023-01-01") == {}
    assert set(licences(LIB, h800, "2024-01-01")) == {"ae", "cn"}
    assert licences(LIB, h20, "2025-01-01") == {}
    assert set(licences(LIB, h20, "2025-06-01")) == {"cn"}
    assert "cn" not in licences(LIB, LIB.load("accelerators", "huawei-ascend-910c"), "2026-01-15")


def test_rules_mark_or_refuse() -> None:
    wish = {**SERVE, "serve": "1e6 token/s", "site": ["kr", "cn-average"], "systems": "dgx-h100"}
    marked = {o.site: o.licence for o in size(**wish).options}
    assert marked == {"kr": "", "cn-average": "3A090.a.1"}
    obeyed = size(**wish, obey_rules=True)
    assert {o.site for o in obeyed.options} == {"kr"}
    assert "cn-average !" in str(size(**wish))
    with pytest.raises(InfeasibleError, match="export licence"):
        size(**{**wish, "site": "cn-average"}, obey_rules=True)
    assert size(**{**wish, "site": "cn-average"}, obey_rules=True, date="2022-01-01").options


# Impossible wishes


@pytest.mark.parametrize(
    ("wish", "error", "said"),
    [
        ({"power": "0 W"}, UsageError, "power = '0 W': expected more than nothing"),
        ({"power": "1 W"}, InfeasibleError, r"relax power times [\d,]+: \S+ in kr does then"),
        ({"budget": "1 USD", "serve": "1e6 token/s"}, InfeasibleError, r"relax budget times [\d,]+"),
        ({"serve": "1e6 token/s", "exclude": "country=us,cn,kr,tw"}, InfeasibleError, "is excluded"),
        ({"serve": "1e6 token/s", "tpot": "1 us"}, InfeasibleError, r"relax TPOT to [\d.]+ ms: \S+ does then"),
        ({"serve": "1e6 token/s", "ttft": "1 ms"}, InfeasibleError, r"relax TTFT to [\d.]+ ms: \S+ does then"),
        ({"train_tokens": "15T", "within": "1 s"}, InfeasibleError, r"relax time of the run to [\d.]+ days"),
        ({"ceiling": "1e-4 USD/Mtoken", "systems": "dgx-h100"}, InfeasibleError, "relax the ceiling to"),
        ({"serve": "-5 token/s"}, UsageError, "serve = '-5 token/s'"),
        ({"serve": "2 MW"}, UsageError, "expected throughput"),
        ({"serve": "1 token/s", "users": 5}, UsageError, "not both"),
        ({"power": "-1 W", "budget": "0 USD"}, UsageError, "budget = '0 USD'.*power = '-1 W'"),
        ({"power": "1 MW", "exclude": "vendor=nvidai"}, UsageError, "did you mean 'nvidia'"),
        ({"power": "1 MW", "exclude": ["vedor=nvidia", "nvidia"]}, UsageError, "did you mean 'vendor'.*is not KIND=NAME"),
        ({"power": "1 MW", "systems": "dgx-h10"}, UnknownNameError, "did you mean"),
        ({"power": "1 MW", "date": "2026-13-01"}, UsageError, "expected a day"),
        ({"power": "1 MW", "currency": "XYZ"}, UnknownNameError, "currency 'XYZ'"),
        ({"power": "1 MW", "peak_factor": 0.5}, UsageError, "peak_factor"),
        ({}, UsageError, "nothing says how large"),
        ({"within": "9 day"}, UsageError, "give train_tokens"),
        ({"train_tokens": "15T", "within": "0 day"}, UsageError, "within"),
    ],
)
def test_impossible_wishes_say_what_to_relax(wish: dict[str, Any], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        size(**{"model": "llama-3.1-70b", "site": "kr", "samples": 0, "library": LIB, **wish})


def test_what_to_relax_suffices() -> None:
    wish = {**SERVE, "serve": "1e6 token/s", "systems": "dgx-h100"}
    with pytest.raises(InfeasibleError) as refused:
        size(**wish, budget="3e6 USD")
    factor = float(str(refused.value).split("times ")[1].split(":")[0])
    assert size(**wish, budget=f"{3e6 * factor} USD").options
    with pytest.raises(InfeasibleError):
        size(**wish, budget=f"{3e6 * factor * 0.98} USD")


# The command and its records


def run(*arguments: str) -> Any:
    return CliRunner().invoke(command, [*arguments, "--site", "kr", "--system", "dgx-h100", "--system", "gb200-nvl72"])


@pytest.mark.parametrize("samples", ["0", "50"])
def test_tables_fit_80_columns(samples: str) -> None:
    found = run("--model", "llama-3.1-70b", "--train-tokens", "15T", "--within", "90 day", "--serve", "1e6 token/s", "--samples", samples)
    assert found.exit_code == 0, found.output
    assert max(map(len, found.output.splitlines())) <= 80
    for word in ("Cheapest to train", "Cheapest to serve", "users at a time", "a month", "M$/mo.", "days"):
        assert word in " ".join(found.output.split())


def test_intervals_hold_their_values() -> None:
    for o in size(**{**SERVE, "samples": 100, "train_tokens": "15T", "within": "90 day", "serve": 1e6, "systems": "dgx-h100"}).options:
        for metric in (o.rate, o.power, o.capital, o.cost_rate, o.per_token):
            assert metric.low <= metric.value <= metric.high
            assert metric.draws is not None


def test_currency_of_tables() -> None:
    found = run("--power", "1 MW", "--currency", "local", "--samples", "0")
    assert "bn KRW" in found.output
    assert "KRW at 1,379.05 to the dollar" in found.output


def test_markdown_csv_and_json(schema_faults: Any) -> None:
    wish = ("--model", "llama-3.1-70b", "--train-tokens", "15T", "--within", "90 day", "--serve", "1e6 token/s", "--samples", "0")
    assert "| system | site | units |" in run(*wish, "--format", "markdown").output
    lines = run(*wish, "--format", "csv").output.splitlines()
    assert len(lines) == 5
    assert all(line.count(",") == lines[0].count(",") for line in lines)
    schema = json.loads((Path(ac.__file__).parent / "data" / "size.schema.json").read_text(encoding="utf-8"))
    for more in (wish, ("--ceiling", "100 USD/Mtoken", "--model", "llama-3.1-70b", "--samples", "0")):
        record = json.loads(run(*more, "--format", "json").output)
        assert schema_faults(record, schema) == []
    assert schema_faults({**record, "schema": 2}, schema)
    assert schema_faults({**record, "options": [{"use": 1}]}, schema)


def test_an_interrupt_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("aicompute.sizing.size", stopped)
    found = CliRunner().invoke(command, ["--power", "1 MW"])
    assert found.exit_code != 0
    assert "Traceback" not in found.output


@pytest.fixture
def schema_faults(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What of some data a schema does not allow."""
    spec = importlib.util.spec_from_file_location("reports", Path(__file__).parent / "test_report.py")
    assert spec is not None
    assert spec.loader is not None
    reports = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(reports)

    def faults(data: Any, schema: Any) -> list[str]:
        monkeypatch.setattr(reports, "SCHEMA", schema)
        found: list[str] = reports.faults(data, schema)
        return found

    return faults
