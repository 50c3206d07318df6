"""How answers are presented, on hand-made estimates; says nothing about whether numbers are true."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import aicompute
from aicompute.errors import UnknownNameError, UsageError
from aicompute.estimate.result import METRICS, Comparison, Estimate, Metric, OperatorLine, Origin, Part, Ratio, ratio
from aicompute.report import records, text
from aicompute.report.comparison import by_site, comparison_sheet, unique
from aicompute.report.detail import estimate_sheet
from aicompute.report.facts import facts_of
from aicompute.report.grid import Grid
from aicompute.report.headline import headline_sheet, headline_verdict
from aicompute.report.numbers import DISPLAYS, KEYS, metric_text, ratio_text, spread
from aicompute.report.terms import plan_text, precisions_text, terms_text
from aicompute.report.verdict import lead, verdict
from aicompute.report.views import ComparisonView, EstimateView, HeadlineView

SIZES = {
    "tokens_per_s_per_accelerator": 2000.0,
    "tokens_per_s": 768e3,
    "tokens_per_s_per_user": 20.0,
    "input_tokens_per_s_per_accelerator": 3400.0,
    "tpot": 0.049,
    "ttft": 1.3,
    "step_time": 8.6,
    "mfu": 0.36,
    "run_time": 2.1e6,
    "goodput": 0.95,
    "communication_share": 0.24,
    "exposed_share": 0.12,
    "memory_share": 0.79,
    "accelerator_power": 696.0,
    "it_power": 557e3,
    "site_power": 624e3,
    "energy_per_token": 0.83,
    "capital": 11e6,
    "cost_per_hour": 0.146,
    "cost_per_accelerator_hour": 3.8e-4,
    "cost_per_token": 3.2e-7,
    "run_cost": 2.8e6,
    "carbon_per_token": 1.2e-7,
}
RANDOM = np.random.default_rng(1)
SHARED = RANDOM.normal(size=400)


def metric(name: str, value: float, width: float = 0.2) -> Metric:
    draws = value * np.exp(width * (0.5 * SHARED + 0.5 * RANDOM.normal(size=400)))
    low, high = (float(q) for q in np.quantile(draws, (0.05, 0.95)))
    return Metric(value, low, high, METRICS[name][0], draws)


def estimate(system: str = "alpha", scale: float = 1.0, **changes: Any) -> Estimate:
    parts = (("cache attention", 0.4), ("experts", 0.3), ("expert exchange", 0.295), ("head", 0.005))
    made = Estimate(
        system=system,
        system_name=f"The {system}",
        accelerator=f"{system}-chip",
        site="us-average",
        workload="decode",
        model="deepseek-r1-0528",
        stack="fast-infer",
        accelerators=384.0 * scale,
        units=1.0,
        feasible=True,
        reason="",
        plan={"tp": 1, "dp": 256, "pp": 1, "ep": 256, "batch_per_accelerator": 96.0, "precision": {"dense": "int8", "kv": "bf16"}},
        metrics={name: metric(name, value * scale) for name, value in SIZES.items()},
        breakdown=tuple(Part(name, 0.08 * share, share) for name, share in parts),
        communication=(Part("expert exchange", 0.04, 0.5),),
        bottleneck="cache attention (40% of the time)",
        target="TPOT <= 50 ms",
        alternatives=({"tp": 2.0, "dp": 128.0, "objective": 1900.0},),
    )
    return made.replaced(**changes)


def broken(system: str = "beta") -> Estimate:
    reason = "no plan meets TPOT <= 50 ms; TPOT at best 61 ms, with tp4 dp1"
    return estimate(system).replaced(
        feasible=False, reason=reason, metrics={}, breakdown=(), communication=(), bottleneck="", alternatives=()
    )


def scenario(**changes: Any) -> dict[str, Any]:
    work = {"kind": "decode", "input_length": 4096.0, "output_length": 1024.0, "tpot": 0.05}
    return {"model": "deepseek-r1-0528", "workload": work, "precision": "8bit", "sites": ["us-average"], "utilisation": 0.6} | changes


def comparison(*estimates: Estimate, notes: tuple[str, ...] = (), **changes: Any) -> Comparison:
    return Comparison("decode", scenario(**changes), estimates or (estimate(), estimate("beta", 2.5)), notes)


def explained() -> Estimate:
    operators = (
        OperatorLine("experts up", 58.0, "964 x 4096 x 7168", 4.1e12, 3.2e9, 0.0102, "compute"),
        OperatorLine("x", 1, "", 0, 0, 0.01, "link"),
    )
    origins = (
        Origin("alpha-chip.memory.bandwidth", 3.2e12, 3.0e12, 3.2e12, "TB/s", "analyst", "some-key", 0.014),
        Origin("alpha.tiers.scale-up.domain", 768.0, 768.0, 768.0, "device", "datasheet", "other-key"),
    )
    return estimate().replaced(operators=operators, origins=origins, interval_parts={"stack": 0.7, "kernels": 0.3})


CASES: Mapping[str, Comparison] = {
    "two": comparison(),
    "one": comparison(estimate()),
    "three": comparison(estimate(), estimate("beta", 2.5), estimate("gamma", 0.7)),
    "five": comparison(*(estimate(name, size) for name, size in zip("abcde", (1.0, 0.01, 100.0, 3.0, 1e5), strict=True))),
    "one infeasible": comparison(estimate(), broken()),
    "none feasible": comparison(broken("alpha"), broken()),
    "sites": comparison(estimate(), estimate("beta"), estimate(site="cn-hub"), estimate("beta"), sites=["us-average", "home"]),
    "wide": comparison(estimate("昇腾超节点集群系统名称很长很长"), estimate("b" * 60), notes=("a note " * 30,)),
    "no draws": comparison(
        *(e.replaced(metrics={n: Metric(m.value, m.value, m.value, m.unit) for n, m in e.metrics.items()}) for e in comparison())
    ),
    "not finite": comparison(estimate(metrics={"tpot": Metric(math.nan, -math.inf, math.inf, "s")}), estimate("beta")),
    "empty": comparison(estimate(metrics={}, breakdown=(), communication=(), plan={}, bottleneck="")),
    "explained": comparison(explained()),
    "training": comparison(
        estimate(workload="training", target=""), estimate("beta", workload="training", target=""), equal="flops", utilisation=1.0
    ),
}


def widest(answer: str) -> int:
    return max(text.columns_of(line) for line in answer.splitlines())


# Text


@pytest.mark.parametrize("name", list(CASES))
def test_text_fits_eighty_columns_and_has_no_colour(name: str) -> None:
    for sheet in (comparison_sheet(CASES[name]), estimate_sheet(CASES[name])):
        answer = sheet.render()
        assert widest(answer) <= 80
        assert "\x1b" not in answer
        assert not any(line.endswith(" ") for line in answer.splitlines())
        assert "nan" not in answer.lower().split()


@given(st.floats(1e-9, 1e12), st.floats(0.0, 3.0), st.floats(0.0, 3.0))
def test_any_size_of_number_fits(value: float, below: float, above: float) -> None:
    metrics = {name: Metric(value, value / (1.0 + below), value * (1.0 + above), METRICS[name][0]) for name in METRICS}
    assert widest(comparison_sheet(comparison(estimate(metrics=metrics), estimate("beta", metrics=metrics))).render()) <= 80


def test_a_comparison_shows_everything_asked_for() -> None:
    answer = comparison_sheet(CASES["two"]).render()
    for wanted in (
        "tokens/s/accelerator",
        "M tokens/s, system",
        "TPOT, ms",
        "comm., total, %",
        "comm., exposed, %",
        "system power, MW",
        "energy, ",
        "capital, M$",
        "cost, $/h",
        "cost, $/M tokens",
        "CO2, g/M tokens",
        "ratio",
        "Best plan",
        "dp 256, ep 256",
        "Bottleneck",
        "Verdict",
        "Where the time goes",
        "communication, exposed",
        "Terms: int8 (dense), bf16 (kv); site us-average; in use 60 % of the time",
        "90 % intervals",
    ):
        assert wanted in answer, wanted


def test_numbers_have_the_digits_that_the_interval_supports() -> None:
    assert spread(2118.7, 1783.0, 2458.0) == "2,120 (1,780-2,460)"
    assert spread(0.15, 0.106, 0.243) == "0.150 (0.106-0.243)"
    assert spread(5.0, 0.02, 9.0) == "5.0 (0.02-9.0)"
    assert spread(1e-7, 1e-7, 1e-7) == "1e-07"
    assert spread(math.nan, 0.0, 1.0) == "-"
    assert ratio_text(None) == "-"
    assert ratio_text(Ratio(3.2e-7, 1e-7, 9e-7, 0.0)) == "3e-07 (1e-07-9e-07)"
    assert ratio_text(Ratio(4e-7, 4e-7, 4e-7, 0.0)) == "4e-07"


def test_small_shares_have_one_digit() -> None:
    def share(value: float, low: float, high: float) -> str:
        return metric_text(Metric(value / 100.0, low / 100.0, high / 100.0, "1"), (0.01, "%"))

    assert share(0.0345, 0.0286, 0.0432) == "under 0.1"
    assert share(0.0345, 0.0286, 0.34) == "under 0.1 (0.0-0.3)"
    assert share(0.07, 0.06, 0.12) == "under 0.1"
    assert share(0.345, 0.286, 0.432) == "0.3 (0.3-0.4)"
    assert share(0.345, 0.345, 0.345) == "0.3"
    assert share(0.0, 0.0, 0.0) == "0"
    assert share(12.34, 11.0, 13.5) == "12.3 (11.0-13.5)"
    small = estimate(metrics={"exposed_share": Metric(3e-4, 2e-4, 4e-4, "1")})
    row = next(line for line in comparison_sheet(comparison(small)).render().splitlines() if line.startswith("comm., exposed"))
    assert row.endswith("under 0.1")
    row = next(line for line in estimate_sheet(comparison(small)).render().splitlines() if line.startswith("communication exposed"))
    assert row.split("  ")[1].strip() == "under 0.1"


def test_an_infeasible_system_is_a_column_that_says_why() -> None:
    answer = comparison_sheet(CASES["one infeasible"]).render()
    assert "Not feasible\nbeta: no plan meets TPOT <= 50 ms; TPOT at best 61 ms, with tp4 dp1." in answer
    assert "Only alpha can do this." in answer
    rate = next(line for line in answer.splitlines() if line.startswith("tokens/s/accelerator"))
    assert rate.split()[-2:] == ["-", "-"]
    assert "No system can do this" in comparison_sheet(CASES["none feasible"]).render()


def test_several_sites_are_compared_site_by_site() -> None:
    parts = by_site(CASES["sites"])
    assert [[e.site for e in part] for part in parts] == [["us-average", "us-average"], ["cn-hub", "us-average"]]
    assert len(unique(CASES["sites"].estimates)) == 3
    answer = comparison_sheet(CASES["sites"]).render()
    assert answer.count("ratio") == 2
    assert "alpha @ cn-hub" in answer
    assert "sites us-average and cn-hub" in answer


def test_three_systems_stand_side_by_side_and_five_follow_below() -> None:
    assert comparison_sheet(CASES["three"]).render().count("tokens/s/accelerator") == 1
    assert comparison_sheet(CASES["five"]).render().count("tokens/s/accelerator") == 2


def test_notes_can_be_left_out() -> None:
    noted = comparison(notes=("mind this",))
    assert "- mind this" in comparison_sheet(noted).render()
    assert "mind this" not in comparison_sheet(noted, notes=False).render()


def test_one_estimate_in_detail_with_its_reasons() -> None:
    answer = estimate_sheet(CASES["explained"]).render()
    for wanted in (
        "experts up",
        "964 x 4096 x 7168",
        "4,100",
        "memory.bandwidth",
        "3.2 TB/s (3-3.2)",
        "analyst",
        "+1.4",
        "Swing: by how many percent tokens/s per accelerator changes",
        "[1] some-key",
        "stack 70 %, kernels 30 %",
        "Next best plans",
        "95.0 %",
        "time per output token (TPOT)",
    ):
        assert wanted in answer, wanted
    assert "Operators" not in estimate_sheet(CASES["one"]).render()
    assert "Nearest plan" in estimate_sheet(comparison(broken())).render()


# The verdict


def test_the_verdict_names_who_leads_by_how_much_and_how_surely() -> None:
    found = lead(CASES["two"], "tokens_per_s")
    assert found is not None
    assert (found.ahead.system, round(found.factor, 9)) == ("beta", 2.5)
    assert found.low < 2.5 < found.high
    assert found.probability > 0.99
    energy = lead(CASES["two"], "energy_per_token")
    assert energy is not None
    assert energy.ahead.system == "alpha"
    words = " ".join(verdict(CASES["two"]))
    assert "Per accelerator beta leads (2.5 times" in words
    assert "Per watt alpha leads" in words
    assert "over 99 % sure" in words
    assert "960 accelerators against 384" in words
    assert "12 % of the time of alpha (24 % if not hidden)" in words


def test_a_lead_is_the_same_seen_from_either_side() -> None:
    first, second = CASES["two"].estimates
    here, there = lead(comparison(first, second), "tpot"), lead(comparison(second, first), "tpot")
    assert here is not None
    assert there is not None
    assert here.ahead is there.ahead is first
    assert here.factor == pytest.approx(there.factor)
    assert here.probability == pytest.approx(there.probability)


def test_even_systems_are_called_even() -> None:
    words = " ".join(verdict(comparison(estimate(), estimate("beta"))))
    assert "alpha and beta are about even" in words or "beta and alpha are about even" in words
    assert "sure" not in words


def test_a_sentence_on_even_systems_says_whose_chip_it_means() -> None:
    real = [estimate("cloudmatrix-384", accelerator="huawei-ascend-910c"), estimate("gb200-nvl72", accelerator="nvidia-gb200")]
    words = verdict(comparison(*real), aicompute.Library())[0]
    assert ": the chip of cloudmatrix-384 has 0." in words or ": the chip of gb200-nvl72 has 3.3 times" in words
    assert "its chip" not in words


def test_the_verdict_explains_by_the_chips_when_it_has_the_specs() -> None:
    library = aicompute.Library()
    real = [
        estimate("cloudmatrix-384", accelerator="huawei-ascend-910c", plan={"precision": {"dense": "bf16"}}),
        estimate("gb200-nvl72", 2.5, accelerator="nvidia-gb200", plan={"precision": {"dense": "bf16"}}),
    ]
    words = " ".join(verdict(comparison(*real), library))
    assert "its chip has 3.3 times the bf16 peak and 2.5 times the memory bandwidth" in words
    eight = real[1].replaced(plan={"precision": {"dense": "fp8"}}, workload="training")
    words = " ".join(verdict(comparison(real[0].replaced(workload="training"), eight), library))
    assert "its chip has 6.6 times the peak at the dense precision each runs (fp8 against bf16) and 2.5 times the memory" in words
    unknown = facts_of(library, eight.replaced(plan={}))
    assert (unknown.precision, math.isnan(unknown.peak)) == ("", True)
    assert "domain of 768 devices" in words
    assert facts_of(library, estimate("nobody")).precision == ""
    assert math.isnan(facts_of(None, real[0]).peak)


def test_nothing_divides_by_a_zero_metric() -> None:
    some, none = metric("exposed_share", 0.1), Metric(0.0, 0.0, 0.0, "1", np.zeros(400))
    partly = Metric(0.1, 0.0, 0.2, "1", np.where(np.arange(400) % 2, 0.2, 0.0))
    for first, second in ((some, none), (none, some), (none, none), (some, partly)):
        assert ratio(first, second, "less") is None
        each = [estimate(name, metrics={"exposed_share": m}) for name, m in (("alpha", first), ("beta", second))]
        assert comparison(*each).ratio("exposed_share") is None
        row = next(line for line in comparison_sheet(comparison(*each)).render().splitlines() if line.startswith("comm., exposed"))
        assert row.endswith(" -")
        assert "exposed_share" not in records.comparison_record(comparison(*each))["ratios"]
    fixed = ratio(some, Metric(0.1, 0.1, 0.1, "1"), "less")
    assert fixed is not None
    assert (fixed.low, fixed.high) == pytest.approx((some.low / 0.1, some.high / 0.1))
    found = ratio(partly, some, "less")
    assert found is not None
    assert found.low == 0.0


def test_several_systems_are_ranked() -> None:
    assert "As a system, best first: beta" in " ".join(verdict(CASES["three"]))
    assert "bound by cache attention" in " ".join(verdict(CASES["one"]))


# The headline


def headline() -> tuple[Comparison, ...]:
    found = []
    for tpot in (0.015, 0.05, 0.1):
        work = {**scenario()["workload"], "tpot": tpot}
        found.append(Comparison(f"decode {tpot}", scenario(workload=work), (estimate(), estimate("beta", 1.0 + 0.1 / tpot))))
    found.append(Comparison("native", scenario(precision="native"), (estimate(), broken())))
    for kind in ("prefill", "serving", "training"):
        pair = tuple(estimate(name, workload=kind) for name in ("alpha", "beta"))
        work = {"kind": kind, "ttft": 2.0}
        found.append(Comparison(kind, scenario(workload=work), pair))
        found.append(Comparison(f"{kind} home", scenario(workload=work, sites=["home"]), pair))
    return tuple(found)


def test_the_headline_is_one_screen() -> None:
    answer = headline_sheet(headline()).render()
    assert widest(answer) <= 80
    assert len(answer.splitlines()) <= 80
    for wanted in (
        "TPOT <= 15 ms",
        "50 ms, native",
        "Prefill, TTFT <= 2 s",
        "Whole service, each at home",
        "Training",
        "not feasible",
        "Verdict",
    ):
        assert wanted.lower() in answer.lower(), wanted
    assert 4 <= len(headline_verdict(headline())) <= 10
    assert "shrinks from 7.7 times at TPOT <= 15 ms to 2.0 times at 100 ms" in " ".join(headline_verdict(headline()))


def test_a_point_of_the_headline_takes_three_lines_with_a_hanging_indent() -> None:
    points = headline_sheet(headline()).render().partition("\nVerdict\n")[2].splitlines()
    assert all(line.startswith(("- ", "  ")) for line in points)
    starts = [place for place, line in enumerate(points) if line.startswith("- ")]
    assert max(np.diff([*starts, len(points)])) <= 3
    words = " ".join(headline_verdict(headline()))
    for wanted in (
        "Whole service: per watt",
        "Whole service: per dollar",
        "Whole service, each at home: per dollar",
        "Training: in time",
        "Training: per dollar",
    ):
        assert wanted in words, wanted
    assert "\n- Whole service: per dollar" in headline_sheet(headline()).render("markdown")


def test_the_headline_stands_on_any_part_of_it() -> None:
    everything = headline()
    for place in range(len(everything)):
        assert widest(headline_sheet(everything[place : place + 1]).render()) <= 80
    assert headline_sheet([CASES["none feasible"]]).render()


# Terms and plans


def test_terms_say_what_each_role_runs_at() -> None:
    dense = {"dense": "fp8", "experts": "nvfp4", "attention": "bf16", "kv": "bf16", "dispatch": "fp8", "combine": "bf16"}
    pair = (estimate(plan={"precision": dense}), estimate("beta", plan={"precision": {**dense, "kv": "fp8"}}))
    asked = comparison(*pair, precision="nvfp4")
    assert precisions_text(asked) == "fp8 (dense, dispatch), nvfp4 (experts), bf16 (attention, combine), bf16 or fp8 by system (kv)"
    assert precisions_text(comparison(*pair, precision="native")) == "each at its native precision"
    assert precisions_text(Comparison("", {"precision": "nvfp4"}, ())) == "nvfp4"
    one = estimate(plan={"precision": dict.fromkeys(dense, "bf16")})
    assert precisions_text(comparison(one, precision="bf16")) == "bf16 on all"


def test_a_model_without_experts_has_no_words_on_experts() -> None:
    dense = {"dense": "fp8", "experts": "nvfp4", "attention": "bf16", "kv": "bf16", "dispatch": "fp8", "combine": "bf16"}
    library = aicompute.Library()
    llama = comparison(estimate(model="llama-3.3-70b", plan={"precision": dense}), precision="nvfp4")
    assert precisions_text(llama, library) == "fp8 (dense), bf16 (attention, kv)"
    answers = [sheet(llama, library).render() for sheet in (comparison_sheet, estimate_sheet)]
    assert all("fp8 dense; bf16 attention, kv" in answer and "nvfp4" not in answer for answer in answers)
    assert "nvfp4" in comparison_sheet(comparison(estimate(plan={"precision": dense})), library).render()
    assert "nvfp4" in precisions_text(comparison(estimate(model="unknown", plan={"precision": dense}), precision="nvfp4"), library)


def test_a_plan_for_a_fleet_says_so() -> None:
    pools = {"prefill_share": 0.5, "prefill_tp": 2, "decode_tp": 8, "fleet": 24.0}
    assert plan_text(pools) == "prefill on 50 %: tp 2 | decode on 50 %: tp 8 | in a fleet of 24 accelerators or more"
    assert plan_text({"tp": 8, "fleet": None}) == "tp 8"


def test_terms_name_what_is_equal() -> None:
    assert "equal flops (384 accelerators each)" in terms_text(CASES["training"])
    home = comparison(estimate(), estimate("beta", site="cn"), sites=["home"], rent=2.5 / 3600.0)
    assert "each at home (alpha at us-average, beta at cn)" in terms_text(home)
    assert "rented at 2.5 $ an accelerator-hour" in terms_text(home)


def test_plans_in_words() -> None:
    pools = {
        "pools": "prefill and decode",
        "prefill_share": 0.57,
        "drafts": 1.0,
        "prefill_tp": 2,
        "prefill_dp": 4,
        "decode_tp": 1,
        "decode_ep": 256,
        "precision": {"dense": "fp8", "kv": "fp8"},
    }
    assert plan_text(pools) == "prefill on 57 %: tp 2, dp 4 | decode on 43 %: ep 256 | 1 draft token | fp8"
    training = {"tp": 4, "pp": 16, "chunks": 2, "micro_batch": 1, "zero": 1, "recompute": "none", "sequence_parallel": 1}
    assert plan_text(training) == "tp 4, pp 16; 2 virtual stages; micro-batch 1; ZeRO 1; recompute none; sequence parallel"
    assert plan_text({}) == ""


# Records


SCHEMA = json.loads((Path(aicompute.__file__).parent / "data" / "compare.schema.json").read_text(encoding="utf-8"))
TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None), "number": (int, float)}


def faults(data: Any, schema: Mapping[str, Any], where: str = "$") -> list[str]:
    """What of the data the schema does not allow; the keywords that our schema uses."""
    if "$ref" in schema:
        target: Any = SCHEMA
        for step in schema["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        return faults(data, target, where)
    found = [fault for each in schema.get("allOf", ()) for fault in faults(data, each, where)]
    if "oneOf" in schema and sum(not faults(data, each, where) for each in schema["oneOf"]) != 1:
        found.append(f"{where}: fits not one of {len(schema['oneOf'])}: {[faults(data, each, where)[:3] for each in schema['oneOf']]}")
    if "const" in schema and data != schema["const"]:
        found.append(f"{where}: is not {schema['const']}")
    kinds = schema.get("type", ())
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(isinstance(data, TYPES[kind]) and (kind == "boolean" or not isinstance(data, bool)) for kind in kinds):
        return [*found, f"{where}: {data!r} is not {kinds}"]
    if isinstance(data, dict):
        known = schema.get("properties", {})
        found += [f"{where}: lacks {name}" for name in schema.get("required", ()) if name not in data]
        for name, item in data.items():
            other = schema.get("additionalProperties", True)
            if name not in known and other is False:
                found.append(f"{where}: has {name}")
            inner = known.get(name, other if isinstance(other, dict) else {})
            found += faults(item, inner, f"{where}.{name}")
    if isinstance(data, list) and "items" in schema:
        found += [fault for number, item in enumerate(data) for fault in faults(item, schema["items"], f"{where}[{number}]")]
    return found


def strict(answer: str) -> Any:
    def refuse(word: str) -> None:
        raise AssertionError(f"{word} in JSON")

    return json.loads(answer, parse_constant=refuse)


@pytest.mark.parametrize("name", list(CASES))
def test_json_keeps_to_the_schema_without_nan(name: str) -> None:
    record = strict(records.as_json(records.comparison_record(CASES[name])))
    assert faults(record, SCHEMA) == []
    several = strict(records.as_json(records.comparisons_record([CASES[name], CASES["two"]])))
    assert faults(several, SCHEMA) == []
    assert set(several) == {"schema", "comparisons"}


def test_the_validator_finds_faults() -> None:
    good = records.comparison_record(CASES["two"])
    for change in ({"schema": 2}, {"systems": {}}, {"more": 1}, {"systems": [{"id": 1}]}):
        assert faults({**good, **change}, SCHEMA)
    assert faults({name: item for name, item in good.items() if name != "notes"}, SCHEMA)


def test_json_says_what_the_contract_says() -> None:
    record = records.comparison_record(CASES["two"])
    assert record["schema"] == 1
    first = record["systems"][0]
    assert {"id", "site", "feasible", "plan", "metrics", "breakdown", "bottleneck"} <= set(first)
    assert first["metrics"]["power"]["value"] == 557e3
    assert first["metrics"]["power"]["unit"] == "W"
    assert first["metrics"]["capex"]["unit"] == "USD"
    assert first["metrics"]["cost_per_million_tokens"]["value"] == pytest.approx(0.32)
    assert first["metrics"]["cost_per_hour"]["value"] == pytest.approx(0.146 * 3600.0)
    assert first["metrics"]["carbon_per_million_tokens"] == pytest.approx(first["metrics"]["carbon_per_million_tokens"])
    assert first["metrics"]["carbon_per_million_tokens"]["value"] == pytest.approx(0.12)
    assert {"interconnect_share", "interconnect_exposed_share"} <= set(first["metrics"])
    assert first["breakdown"][0] == {"name": "cache attention", "seconds": pytest.approx(0.032), "share": 0.4}
    assert record["ratios"]["tokens_per_s"]["value"] == pytest.approx(0.4)
    assert len(records.comparison_record(CASES["sites"])["systems"]) == 3
    assert records.comparison_record(CASES["not finite"])["systems"][0]["metrics"]["tpot"]["value"] is None


def test_every_metric_has_a_display_and_a_place_in_the_schema() -> None:
    assert set(METRICS) <= set(DISPLAYS)
    assert len(KEYS) == len(DISPLAYS)
    assert set(SCHEMA["$defs"]["metrics"]["properties"]) >= {DISPLAYS[name].key for name in METRICS}


def test_csv_has_a_row_a_number() -> None:
    rows = list(csv.DictReader(io.StringIO(records.as_csv([CASES["two"], CASES["one infeasible"]]))))
    capital = next(row for row in rows if row["metric"] == "capex" and row["system"] == "alpha")
    assert (float(capital["value"]), capital["unit"], capital["feasible"]) == (11e6, "USD", "yes")
    reason = next(row for row in rows if row["metric"] == "reason")
    assert (reason["system"], reason["feasible"]) == ("beta", "no")
    assert any(row["metric"] == "breakdown.experts" for row in rows)
    assert any(row["metric"] == "plan.precision.dense" and row["value"] == "int8" for row in rows)


# Markdown and HTML


class Tags(HTMLParser):
    """Counts tags and checks that they close."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.open.append(tag)
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("name", list(CASES))
def test_markdown_and_html_are_well_formed(name: str) -> None:
    view = ComparisonView(CASES[name])
    tables = [line for line in view.table("markdown").splitlines() if line.startswith("|")]
    assert tables
    assert all(line.endswith("|") for line in tables)
    page = Tags()
    page.feed(view._repr_html_())
    assert page.open == []
    assert "table" in page.seen


def test_html_escapes() -> None:
    shown = ComparisonView(comparison(estimate("<b>"), estimate("beta")))._repr_html_()
    assert "<b>" not in shown.replace("<b>beta</b>", "").replace("<b>&lt;b&gt;</b>", "")
    headline_html = HeadlineView(headline())._repr_html_()
    assert 'colspan="4"' in headline_html


# Views


def test_views_print_what_they_show() -> None:
    view = ComparisonView(CASES["two"])
    assert repr(view) == str(view) == view.table() == repr(view.table())
    assert json.loads(view.table("json")) == view.to_dict()
    assert view.table("csv").startswith("scenario,system")
    with pytest.raises(UnknownNameError, match="unknown format 'jsn'; did you mean 'json'"):
        view.table("jsn")


def test_a_comparison_is_made_of_estimates() -> None:
    view = ComparisonView(CASES["two"])
    assert (len(view), [each.system for each in view]) == (2, ["alpha", "beta"])
    assert view["beta"].value("capex") == view["beta"]["capital"].value == pytest.approx(11e6 * 2.5)
    assert view[0].breakdown()["experts"] == pytest.approx(0.024)
    assert view.breakdown()["alpha"] == view[0].breakdown()
    assert view[0].communication() == {"expert exchange": 0.04}
    assert view[0].draws["tpot"].shape == (400,)
    found = view.ratio("capex")
    assert found is not None
    assert found.value == pytest.approx(0.4)
    assert ComparisonView(CASES["one infeasible"]).ratio("capex") is None
    with pytest.raises(UnknownNameError, match="did you mean 'beta'"):
        view["bet"]
    with pytest.raises(UnknownNameError, match="unknown metric 'capx'; did you mean 'capex'"):
        view[0]["capx"]
    with pytest.raises(UnknownNameError, match="unknown metric"):
        view.ratio("nothing")


def test_a_headline_is_made_of_comparisons() -> None:
    view = HeadlineView(headline())
    assert len(view) == len(list(view)) == len(headline())
    assert view["native"][1].feasible is False
    assert view[0].comparison.title == "decode 0.015"
    assert set(view.breakdown()) == {comparison.title for comparison in headline()}
    with pytest.raises(UnknownNameError, match="did you mean 'native'"):
        view["nativ"]
    assert faults(strict(view.to_json()), SCHEMA) == []


def grid() -> Grid:
    cells = [comparison(estimate(scale=size)) for size in (1.0, 2.0, 3.0, 4.0, 5.0)] + [comparison(broken("alpha"))]
    return Grid({"tpot": (0.05, 0.1), "batch": (8.0, 16.0, 32.0)}, tuple(cells))


def test_a_grid_has_named_axes() -> None:
    found = grid()
    assert (found.dims, found.shape) == (("tpot", "batch"), (2, 3))
    assert found.metric("capex")[0].tolist() == pytest.approx([11e6, 22e6, 33e6])
    assert math.isnan(found.metric("capital")[1, 2])
    assert (found.metric("tpot", "low")[0] < found.metric("tpot")[0]).all()
    assert found.feasible().tolist() == [[True] * 3, [True, True, False]]
    assert found.at(tpot=0.1, batch=8.0).value("capital") == pytest.approx(44e6)
    assert found.breakdown()[0.05, 8.0]["experts"] == pytest.approx(0.024)
    assert widest(found.table()) <= 80
    assert found.table().splitlines()[-1].split()[:2] == ["0.1", "32"]
    assert faults(strict(found.to_json()), SCHEMA) == []
    assert found.to_dict()["comparisons"][4]["scenario"]["at"] == {"tpot": 0.1, "batch": 16.0}
    assert "<table>" in found._repr_html_()
    assert repr(found) == found.table()
    with pytest.raises(UnknownNameError, match="unknown axis 'bach'; did you mean 'batch'"):
        found.at(tpot=0.1, bach=8.0)
    with pytest.raises(UsageError, match="missing batch"):
        found.at(tpot=0.1)
    with pytest.raises(UsageError, match=r"is not on its axis, which has 8\.0, 16\.0"):
        found.at(tpot=0.1, batch=9.0)
    with pytest.raises(UnknownNameError, match="unknown bound"):
        found.metric("tpot", "mean")  # type: ignore[arg-type]


def test_frames_and_labelled_arrays() -> None:
    pandas, xarray = pytest.importorskip("pandas"), pytest.importorskip("xarray")
    view = ComparisonView(CASES["two"])
    frame = view.to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert frame.set_index(["system", "metric"]).loc[("alpha", "capital"), "value"] == 11e6
    data = view.to_xarray()
    assert isinstance(data, xarray.Dataset)
    assert float(data["capital"].sel(system="beta", bound="value")) == pytest.approx(27.5e6)
    assert data["tpot"].attrs["units"] == "s"
    sites = ComparisonView(CASES["sites"]).to_xarray()
    assert sites["capital"].dims == ("system", "site", "bound")
    assert bool(np.isnan(sites["capital"].sel(system="beta", site="cn-hub", bound="value")))
    alone = EstimateView(CASES["one"])
    assert float(alone.to_xarray()["capital"].sel(bound="value")) == 11e6
    assert len(alone.to_pandas()) == len(SIZES)
    assert HeadlineView(headline()).to_xarray()["tpot"].dims == ("scenario", "system", "bound")
    assert grid().to_xarray()["capital"].dims == ("tpot", "batch", "bound")
    assert "tpot_reached" in grid().to_xarray()
    assert grid().to_pandas()["capital"].loc[(0.1, 8.0)] == pytest.approx(44e6)
