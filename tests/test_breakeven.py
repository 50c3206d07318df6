"""Break-even: worked rates, closed forms, roots that are searched, ranges without a root."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import aicompute as ac
from aicompute.decide.breakeven import AXES
from aicompute.economics.breakeven import break_even_volume, first_crossing, linear_root
from aicompute.errors import UnitError, UnknownNameError, UsageError

CLOUDMATRIX, NVL72 = "cloudmatrix-384", "gb200-nvl72"
QUICK = {"samples": 40, "tokens_per_s": (1943.0, 4500.0)}


def worked(sites: tuple[str, str], rack: float, **terms: object) -> ac.money.BreakEvenView:  # type: ignore[name-defined]
    """Section 7: capital and energy only, PUE 1.2, 8.2 M USD for CloudMatrix at 1,943 tokens/s per accelerator."""
    prices = {f"{CLOUDMATRIX}.price.unit": 8.2e6, f"{NVL72}.price.unit": rack}
    pue = {f"{site}.pue.liquid": 1.2 for site in sites}
    return ac.breakeven(
        CLOUDMATRIX, NVL72, "tokens_per_s", tokens_per_s=(1943.0, None), site=sites, count=("capital", "energy"), set={**prices, **pue},
        samples=0, **terms
    )  # fmt: skip


@pytest.mark.parametrize(("rack", "expected"), [(3.1e6, 3924), (4.0e6, 4911), (5.0e6, 6008)])
def test_section_7_rate_of_nvl72_in_the_us_against_the_chinese_hub(rack: float, expected: float) -> None:
    found = worked(("cn-hub-domestic", "us-average"), rack)
    assert found.root.value == pytest.approx(expected, rel=0.01)
    assert found.answer.rates[1].value == pytest.approx(found.root.value, rel=1e-9)


@pytest.mark.parametrize(("rack", "expected"), [(3.1e6, 3595), (4.0e6, 4434), (5.0e6, 5366)])
def test_section_7_rate_of_nvl72_with_both_in_korea(rack: float, expected: float) -> None:
    assert worked(("kr", "kr"), rack).root.value == pytest.approx(expected, rel=0.01)


# Roots make costs equal


def at(axis: str, value: float, of: str, view: ac.money.BreakEvenView) -> float:  # type: ignore[name-defined]
    """Difference over cost per token when the specs themselves are changed to the break-even."""
    first, second = view.answer.sides
    specs = {
        "electricity_price": "us-average.electricity.price", "pue": "us-average.pue.liquid", "residual": "us-average.capital.residual",
        "operation": "us-average.operation.fraction", "facility": "us-average.facility.capital", "life": "us-average.capital.life",
        "rate": "us-average.capital.rate", "import_tax": "us-average.tax.import",
        "rack_price": f"{CLOUDMATRIX if of == 'first' else NVL72}.price.unit",
    }  # fmt: skip
    given = {"utilisation": value} if axis == "utilisation" else {"set": {specs[axis]: value}}
    rates = [float(tree.offer.tokens_rate) / tree.accelerators for tree in (first, second)]
    costs = []
    for tree, rate in zip((first, second), rates, strict=True):
        use = given.get("utilisation", float(tree.offer.utilisation))
        whole = ac.cost(tree.system, samples=0, **{"utilisation": use, **given}).tree.per_accelerator_hour()
        costs.append(whole / rate / use)
    return (costs[0] - costs[1]) / costs[0]


@pytest.mark.parametrize(
    ("axis", "of", "rate"),
    [
        ("electricity_price", None, 2800.0), ("pue", None, 2850.0), ("facility", None, 2800.0), ("operation", None, 2900.0),
        ("life", None, 2850.0), ("rate", None, 2900.0), ("rack_price", "first", 4500.0), ("rack_price", "second", 4500.0),
        ("residual", None, 2850.0),
    ],
)  # fmt: skip
def test_a_root_makes_the_costs_equal(axis: str, of: str | None, rate: float) -> None:
    found = ac.breakeven(CLOUDMATRIX, NVL72, axis, of=of, tokens_per_s=(1943.0, rate), samples=0)
    assert found.root is not None, found.sentence
    assert abs(at(axis, found.root.value, found.answer.of, found)) < 1e-9
    assert {found.answer.below, found.answer.above} == {0, 1}


def test_utilisation_above_which_owning_beats_renting_on_demand() -> None:
    """Break-even of `economics.cost.break_even_utilisation`, the closed form."""
    from aicompute.economics.cost import break_even_utilisation

    found = ac.breakeven(
        NVL72, NVL72, "utilisation", rent=(None, "4 USD/accelerator/h"), on_demand=True, tokens_per_s=(3000.0, 3000.0), samples=0
    )
    own = [ac.cost(NVL72, utilisation=use, samples=0).tree for use in (1e-9, 1.0)]
    fixed = sum(own[0][part].cost.value for part in ("capital", "facility", "operation"))
    idle, busy = (tree["energy"].cost.value for tree in own)
    assert found.root.value == pytest.approx(break_even_utilisation(fixed, idle, busy, 4.0 * 72 / 3600), rel=1e-6)
    assert found.answer.below == 1
    assert found.answer.above == 0


def test_none_in_the_range_says_who_is_cheaper_throughout() -> None:
    found = ac.breakeven(CLOUDMATRIX, NVL72, "electricity_price", tokens_per_s=(1000.0, 6000.0), samples=0)
    assert found.root is None
    assert "gb200-nvl72 is cheaper throughout" in found.sentence
    assert found.to_dict()["break_even"] is None
    narrow = ac.breakeven(CLOUDMATRIX, NVL72, "rack_price", between=("9e6 USD", "1e7 USD"), samples=0, tokens_per_s=(1943.0, 4500.0))
    assert narrow.root is None
    assert "9,000,000 to 10,000,000 USD" in narrow.sentence


def test_intervals_come_from_shared_draws() -> None:
    found = ac.breakeven(CLOUDMATRIX, NVL72, "rack_price", **QUICK)
    assert found.root.low < found.root.value < found.root.high
    assert 0.0 < found.answer.share <= 1.0
    twins = ac.breakeven(NVL72, NVL72, "tokens_per_s", site=("us-average", "us-average"), tokens_per_s=(3000.0, None), samples=40)
    assert twins.root.value == pytest.approx(3000.0)
    assert twins.root.high - twins.root.low < 1e-6  # the same facts are drawn once for both


def test_an_estimate_is_the_default() -> None:
    found = ac.breakeven(CLOUDMATRIX, NVL72, "rack_price", workload=ac.decode(tpot="50 ms"), samples=0)
    other = ac.compare([CLOUDMATRIX, NVL72], workload=ac.decode(tpot="50 ms"), samples=0)
    for place in (0, 1):
        assert found.answer.now[place].value == pytest.approx(other[place]["cost_per_token"].value, rel=1e-9)


@pytest.mark.parametrize("axis", [name for name in AXES if name not in ("rent", "colocation", "tokens_per_s")])
def test_every_axis_answers(axis: str) -> None:
    found = ac.breakeven(CLOUDMATRIX, NVL72, axis, **QUICK)
    assert found.sentence
    assert found.table("csv").count("\n") == 5
    assert len(found.table().splitlines()) < 40


@pytest.mark.parametrize("axis", ["rent", "colocation"])
def test_axes_of_what_is_rented(axis: str) -> None:
    given = {"rent": ("list", None)} if axis == "rent" else {"colocation": "list"}
    found = ac.breakeven(NVL72, "dgx-h100", axis, **given, tokens_per_s=(4000.0, 1500.0), samples=20)
    assert found.answer.axis == axis


# Formulas


@given(slope=st.floats(0.1, 10.0), root=st.floats(-5.0, 5.0))
def test_a_line_through_two_points(slope: float, root: float) -> None:
    assert linear_root(-6.0, 6.0, slope * (-6.0 - root), slope * (6.0 - root)) == pytest.approx(root, abs=1e-9)


@given(roots=st.lists(st.floats(0.05, 4.95), min_size=1, max_size=5))
def test_crossings_of_many_draws(roots: list[float]) -> None:
    wanted = np.array(roots)
    found, changes = first_crossing(lambda x: x**3 - wanted**3, np.linspace(0.0, 5.0, 23))
    np.testing.assert_allclose(found, wanted, rtol=1e-9)
    assert changes.tolist() == [1] * len(roots)


def test_the_first_of_several_crossings() -> None:
    found, changes = first_crossing(lambda x: (x - 1.0) * (x - 2.0) * (x - 4.0), np.linspace(0.0, 5.0, 13))
    assert found[0] == pytest.approx(1.0)
    assert changes[0] == 3


def test_a_root_at_the_end_of_the_range_counts() -> None:
    found, changes = first_crossing(lambda x: x - 5.0, np.linspace(0.0, 5.0, 11))
    assert (found[0], changes[0]) == (5.0, 1)
    found, _ = first_crossing(lambda x: x, np.linspace(0.0, 5.0, 11))
    assert found[0] == 0.0


@given(fixed=st.floats(1e-3, 1e3), variable=st.floats(0.0, 1.0), price=st.floats(0.0, 2.0))
def test_at_the_break_even_volume_costs_are_equal(fixed: float, variable: float, price: float) -> None:
    volume = break_even_volume(fixed, variable, price)
    if price - variable > 1e-6:
        assert fixed + variable * volume == pytest.approx(price * volume, rel=1e-6)
    elif price <= variable:
        assert math.isinf(volume)


# What cannot be asked


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"over": "electricty_price"}, UnknownNameError, "electricity_price"),
        ({"over": "rack_price", "of": "third"}, UnknownNameError, "third"),
        ({"over": "tokens_per_s", "of": "both"}, UsageError, "first or second"),
        ({"over": "rent"}, UsageError, "not rented"),
        ({"over": "colocation"}, UsageError, "not in colocation"),
        ({"over": "rack_price", "tokens_per_s": (1943.0, None)}, UsageError, "gb200-nvl72 has no rate"),
        ({"over": "rack_price", "tokens_per_s": (None, None)}, UsageError, "expected a rate"),
        ({"over": "rack_price", "tokens_per_s": (-1.0, 3.0)}, UsageError, "above 0"),
        ({"over": "rack_price", "between": ("1e6 USD",)}, UsageError, "two ends"),
        ({"over": "rack_price", "between": ("2e6 USD", "1e6 USD")}, UsageError, "rise"),
        ({"over": "pue", "between": (0.5, 2.0)}, UsageError, "1 to 3"),
        ({"over": "rack_price", "between": ("1 kW", "2 kW")}, UnitError, "between"),
        ({"count": ("capitals",)}, UnknownNameError, "capital"),
        ({"count": ()}, UsageError, "count is empty"),
        ({"site": ("kr", "us-average", "de")}, UsageError, "site has 3 values"),
    ],
)
def test_bad_input_is_named(arguments: dict, kind: type[Exception], message: str) -> None:
    terms = {"tokens_per_s": (1943.0, 4500.0), "samples": 0, **arguments}
    with pytest.raises(kind, match=message):
        ac.breakeven(CLOUDMATRIX, NVL72, **terms)
