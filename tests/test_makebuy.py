"""Make or buy: the list of prices, request shapes, break-even volumes in whole units."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import aicompute as ac
from aicompute.decide import apis
from aicompute.decide.apis import Shape, chosen, offers, read_prices, slug
from aicompute.decide.makebuy import DAY
from aicompute.errors import InfeasibleError, SpecError, UnitError, UnknownNameError, UsageError
from aicompute.specs import Library

NVL72 = "gb200-nvl72"


def one(name: str, length: float = 4096.0, **terms: str) -> apis.ApiOffer:
    found = [offer for offer in chosen(offers(length, **terms), [name], "") if offer.id == name.partition("/")[0]]
    assert len(found) == 1, found
    return found[0]


# The list


def test_the_list_that_ships_is_complete_and_dated(library: Library) -> None:
    rows = read_prices(apis.price_file())
    assert len(rows) >= 110
    models = set(library.ids("models"))
    for row in rows:
        assert row.cells["source"], row.cells
        assert row.cells["valid_from"] or row.cells["valid_to"] or row.cells["seen"], row.cells
        assert row.cells["spec"] in {"", *models}, row.cells
        assert row.numbers["output"] >= row.numbers["input"] or row.cells["verified"] == "false"
        assert row.numbers.get("cached_input", 0.0) <= row.numbers["input"]
    named = {slug(row.cells["model"]) for row in rows}
    assert {"gpt-4o", "gemini-1.5-pro", "claude-3-opus", "deepseek-r1", "qwen3-coder-480b-a35b", "kimi-k2"} <= named
    assert set(apis.REFERENCE) <= named


LISTED = [  # input, cached and output in USD per million tokens, as the providers' pages had them
    ("gpt-4o", 2.5, 1.25, 10.0),
    ("gemini-1.5-pro", 1.25, 0.3125, 5.0),
    ("claude-3-opus", 15.0, 1.5, 75.0),
    ("kimi-k2/moonshot", 0.6, 0.15, 2.5),
    ("qwen3-coder-plus", 1.0, 0.1, 5.0),
]


@pytest.mark.parametrize(("name", "first", "cached", "last"), LISTED)
def test_list_prices(name: str, first: float, cached: float, last: float) -> None:
    (window,) = one(name).windows
    assert (window.input * 1e6, window.cached_input * 1e6, window.output * 1e6) == pytest.approx((first, cached, last))


def test_a_request_pays_for_fresh_input_cached_input_and_output() -> None:
    cost = one("gpt-4o").cost(Shape(4000.0, 1000.0, 0.25))
    assert cost == pytest.approx((3000 * 2.5 + 1000 * 1.25 + 1000 * 10.0) * 1e-6)
    bare = one("gpt-4-turbo")
    assert bare.cost(Shape(4000.0, 1000.0, 0.25)) == bare.cost(Shape(4000.0, 1000.0))  # it has no price for cached input


def test_the_hour_counts_where_the_list_says_so() -> None:
    offer, shape = one("deepseek-r1/deepseek", date="2025-06-30"), Shape(0.0, 1e6)
    assert {window.name: round(window.share * 168) for window in offer.windows} == {"standard": 112, "off-peak": 56}
    assert offer.cost(shape, "dear") == pytest.approx(2.19)
    assert offer.cost(shape, "cheap") == pytest.approx(0.55)
    assert offer.cost(shape) == pytest.approx((2.19 * 112 + 0.55 * 56) / 168)


def test_long_prompts_have_tiers() -> None:
    assert one("gemini-1.5-pro", 200_000.0).windows[0].input == pytest.approx(2.5e-6)
    assert one("qwen3-coder-plus", 64_000.0).windows[0].output == pytest.approx(9e-6)
    assert one("gpt-6-astra", 300_000.0).windows[0].output == pytest.approx(75e-6)
    assert one("gemini-1.5-pro", 128_000.0).windows[0].input == pytest.approx(1.25e-6)  # the bound is of the lower tier


def test_batch_mode_has_prices_of_its_own() -> None:
    assert one("gpt-4o", mode="batch").windows[0].output == pytest.approx(5e-6)
    with pytest.raises(UsageError, match="no price of claude-3-opus"):
        ac.makebuy(NVL72, api="claude-3-opus", mode="batch", samples=0)


def test_dates_choose_what_was_in_force() -> None:
    assert one("gemini-1.5-pro", date="2024-06").windows[0].input == pytest.approx(3.5e-6)
    assert one("gemini-1.5-pro", date="2025-01-15").windows[0].input == pytest.approx(1.25e-6)
    assert one("gemini-4-argon").windows[0].input == pytest.approx(2e-6)  # the introductory price, as of the list
    assert one("gemini-4-argon", date="2026-12-24").windows[0].input == pytest.approx(4e-6)
    assert one("gpt-5.6-sol", date="2026-08-01").windows[0].output == pytest.approx(30e-6)
    assert not [offer for offer in offers(4096.0, date="2025-11-01") if offer.id == "deepseek-r1" and offer.provider == "DeepSeek"]
    assert one("claude-3-opus").status == "until 2026-01"
    assert one("gpt-4o").status == "seen 2026-11"


def test_no_model_has_two_prices_at_once() -> None:
    for mode in apis.MODES:
        found = [(offer.model, offer.provider) for offer in offers(4096.0, mode=mode)]
        assert len(found) == len(set(found))
        for offer in offers(4096.0, mode=mode):
            assert sum(window.share for window in offer.windows) == pytest.approx(1.0), offer


@given(hit=st.floats(0.0, 1.0), inside=st.floats(1.0, 1e5), outside=st.floats(1.0, 1e5))
def test_prices_of_requests_are_monotonic(hit: float, inside: float, outside: float) -> None:
    offer = one("gpt-4o")
    cost = offer.cost(Shape(inside, outside, hit))
    assert offer.cost(Shape(inside, outside, 1.0)) <= cost * (1 + 1e-12)
    assert cost <= offer.cost(Shape(inside, outside, 0.0)) * (1 + 1e-12)
    assert offer.per_token(Shape(inside, outside, hit)) * (inside + outside) == pytest.approx(cost)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("input", "x"), "column input: 'x' is not a number"),
        (("output", ""), "column output: '' is not a number"),
        (("output", "-1"), "at least 0"),
        (("mode", "flex"), "column mode: 'flex'"),
        (("valid_to", "soon"), "column valid_to: 'soon' is not a date"),
    ],
)
def test_a_broken_list_names_every_fault(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    import csv

    with apis.price_file().open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows[:2]:
        row[change[0]] = change[1]
    path = tmp_path / "prices.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    with pytest.raises(SpecError, match=message) as caught:
        read_prices(path)
    assert len(str(caught.value).splitlines()) == 2


def test_a_list_without_a_column_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    path.write_text("model,input\na,1\n", encoding="utf-8")
    with pytest.raises(SpecError, match="has no column spec, weights"):
        read_prices(path)
    with pytest.raises(SpecError, match="cannot be read"):
        read_prices(tmp_path / "none.csv")


# Break-even


@pytest.fixture(scope="module")
def view() -> ac.money.MakeBuyView:  # type: ignore[name-defined]
    return ac.makebuy(NVL72, site="kr", volume="2e9 token/day", samples=60)


def test_the_smallest_cluster_pays_from_the_break_even_volume_on(view: ac.money.MakeBuyView) -> None:  # type: ignore[name-defined]
    for verdict in view.answer.verdicts:
        assert verdict.volume is not None
        units = float(verdict.hosting.least_units)
        plant = verdict.hosting.plant
        cost = plant.fixed_of(units) / verdict.volume.value + plant.variable
        assert cost == pytest.approx(verdict.price, rel=1e-9)
        assert verdict.utilisation.value == pytest.approx(verdict.volume.value / (plant.rate * units))
        assert verdict.volume.low <= verdict.volume.value <= verdict.volume.high


def test_a_volume_costs_what_a_tree_of_so_many_units_costs() -> None:
    big = ac.makebuy(NVL72, site="kr", volume="3e11 token/day", api="gpt-4o", samples=0)
    own = big.answer.hostings[0]
    units = float(own.units_for(own.plant, big.answer.volume))
    assert units > 1.0
    use = big.answer.volume / (own.plant.rate * units)
    assert 0.0 < use <= 0.6
    tree = ac.cost(NVL72, site="kr", accelerators=72, workload="serving", utilisation=0.6, samples=0).tree
    energy = tree.offer.changed("utilisation", use)
    from aicompute.decide.costs import leaves_of

    alone = sum(leaves_of(energy).values())
    network = ac.load(NVL72).si("price.network")
    share = tree["capital"].cost.value / 3.1e6 + 0.05 / (8760 * 3600)
    assert own.per_token(big.answer.volume).value == pytest.approx(units * (alone + network * share) / big.answer.volume, rel=1e-9)


def test_a_full_cluster_costs_what_compare_says(view: ac.money.MakeBuyView) -> None:  # type: ignore[name-defined]
    own = view.answer.hostings[0]
    other = ac.compare([NVL72], site="kr", workload="serving", samples=60)[0]
    shape = view.answer.shape
    assert own.per_token().value * shape.tokens / shape.output_length == pytest.approx(other.value("cost_per_token"), rel=1e-9)
    np.testing.assert_allclose(own.per_token().draws * shape.tokens / shape.output_length, other["cost_per_token"].draws, rtol=1e-9)


def test_who_is_cheaper_at_a_volume_and_by_what_factor(view: ac.money.MakeBuyView) -> None:  # type: ignore[name-defined]
    for verdict in view.answer.verdicts:
        cost = verdict.hosting.per_token(view.answer.volume).value
        assert verdict.factor.value == pytest.approx(cost / verdict.price)
        assert (verdict.factor.value < 1.0) == (verdict.volume.value < view.answer.volume)
        assert 0.0 <= verdict.cheaper <= 1.0


def test_an_api_that_no_use_can_beat_is_said_so() -> None:
    found = ac.makebuy("dgx-h200", model="llama-3.1-405b", api="llama-3.1-405b/deepinfra", rent="20 USD/accelerator/h", samples=20)
    rented = [verdict for verdict in found.answer.verdicts if verdict.hosting.kind == "rented"]
    assert not any(verdict.reachable for verdict in rented)
    assert "never" in found.table()
    assert any("rented cluster is never cheaper" in line for line in found.verdict)


def test_a_model_that_does_not_fit_one_unit_gets_more() -> None:
    patient = ac.serving(ttft="10 s", tpot="200 ms")
    found = ac.makebuy("dgx-h100", model="deepseek-r1-0528", api="deepseek-r1-0528", samples=0, workload=patient)
    assert found.answer.hostings[0].least_units > 1
    assert "network between units" in found.answer.hostings[0].tree["capital"]


def test_default_offers_are_the_same_weights_and_the_closed_ones(view: ac.money.MakeBuyView) -> None:  # type: ignore[name-defined]
    assert {offer.spec for offer in view.answer.offers} == {"", "deepseek-r1-0528"}
    assert {offer.id for offer in view.answer.offers if not offer.spec} == set(apis.REFERENCE)
    assert any("another quality" in note for note in view.notes)


def test_json_and_csv_hold_the_table(view: ac.money.MakeBuyView) -> None:  # type: ignore[name-defined]
    record = view.to_dict()
    assert record["volume_tokens_per_day"] == pytest.approx(2e9)
    assert len(record["offers"]) == len(view.answer.offers)
    first = record["offers"][0]["against"][0]
    assert first["break_even_volume"]["value"] == pytest.approx(view.answer.verdicts[0].volume.value * DAY)
    assert view.table("csv").startswith("api,provider,status,hosting,metric,value,low,high,unit\n")
    assert "break_even_utilisation" in view.table("csv")


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"api": "gpt-4oo"}, UnknownNameError, "gpt-4o"),
        ({"workload": "decode"}, UsageError, "whole service"),
        ({"volume": "2e9"}, UnitError, "volume"),
        ({"volume": "-1 token/day"}, UsageError, "volume"),
        ({"date": "yesterday"}, UsageError, "date"),
        ({"date": "2025-02-30"}, UsageError, "date"),
        ({"date": "2019-01-01"}, UsageError, "no price"),
        ({"mode": "flex"}, UnknownNameError, "mode"),
        ({"hours": "night"}, UnknownNameError, "hours"),
        ({"rent": "200 USD/accelerator/h"}, UsageError, "rent"),
        ({"model": "deepseek-r99"}, UnknownNameError, "deepseek"),
        ({"accelerators": 1, "workload": ac.serving(tpot="1 ms")}, InfeasibleError, "cannot"),
    ],
)
def test_bad_input_is_named(arguments: dict, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        ac.makebuy(NVL72, samples=0, **arguments)


def test_on_demand_any_volume_pays_or_none() -> None:
    for price, reachable, word in ((4.0, True, "any"), (100.0, False, "never")):
        found = ac.makebuy(NVL72, api="deepseek-v4.1-flash", rent=f"{price} USD/accelerator/h", on_demand=True, samples=0)
        rented = next(verdict for verdict in found.answer.verdicts if verdict.hosting.kind == "rented")
        assert rented.reachable is reachable
        assert word in found.table()
        assert any("on demand" in note for note in found.notes)


def test_rows_become_a_data_frame(view: ac.money.MakeBuyView) -> None:  # type: ignore[name-defined]
    pytest.importorskip("pandas")
    frame = view.to_pandas()
    assert set(frame["hosting"]) == {"own", "rented"}
    assert frame["value"].notna().all()


def test_on_demand_without_any_rent_is_refused() -> None:
    with pytest.raises(UsageError, match="lists none"):
        ac.makebuy("cloudmatrix-384", on_demand=True, api="gpt-4o", samples=0)
