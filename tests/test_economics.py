"""Truth from published worked numbers, then properties that hold for any input."""

from __future__ import annotations

import math
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aicompute.economics.capital import (
    YEAR,
    annuity,
    capital_cost_rate,
    capital_recovery_factor,
    net_present_value,
    present_value,
    sinking_fund_factor,
    weighted_cost_of_capital,
)
from aicompute.economics.carbon import carbon_per_token, die_carbon, embodied_carbon_rate, operational_carbon
from aicompute.economics.cost import (
    CostBreakdown,
    SiteTerms,
    break_even_price,
    break_even_throughput,
    break_even_utilisation,
    cost_per_token,
    ownership_cost_rate,
    rental_cost_rate,
    run_cost,
)
from aicompute.economics.energy import demand_cost_rate, energy_cost_rate, energy_per_token, mean_power
from aicompute.units import parse

HOUR = 3600.0
KWH = 3.6e6
CLOUDMATRIX = {"price": 8.2e6, "power": 559e3, "accelerators": 384}
NVL72 = {"price": 3.1e6, "power": 145e3, "accelerators": 72}
US, CN_HUB, CN, KR = 0.0826, 0.056, 0.086, 182.7 / 1395

rates = st.floats(1e-6, 1.0)
periods = st.floats(0.5, 60.0)


def terms(price_per_kwh: float = US, **changes: float) -> SiteTerms:
    bare = SiteTerms(
        electricity_price=price_per_kwh / KWH,
        pue=1.2,
        facility_capital=0.0,
        facility_life=15 * YEAR,
        facility_rate=0.08 / YEAR,
        capital_rate=0.10 / YEAR,
        capital_life=5 * YEAR,
        operation_fraction=0.0,
    )
    return replace(bare, **changes)


FULL = terms(
    facility_capital=12.0,
    operation_fraction=0.05 / YEAR,
    capital_residual=0.1,
    demand_charge=10.0 / 1e3 / (730 * HOUR),
    import_tax=0.1,
)


def hourly(system: dict[str, float], site: SiteTerms) -> float:
    cost = ownership_cost_rate(system["price"], system["power"], system["power"], site)
    return float(cost.scaled(HOUR / system["accelerators"]).total)


# --- truth ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rate", "life", "published"),
    [
        (0.10, 3, 0.402115),
        (0.10, 4, 0.315471),
        (0.10, 5, 0.263797),
        (0.10, 10, 0.162745),
        (0.10, 15, 0.131474),
        (0.08, 4, 0.301921),
        (0.08, 5, 0.250456),
        (0.08, 15, 0.116830),
        (0.07, 20, 0.094393),
        (0.13, 4, 0.336194),
        (0.15, 5, 0.298316),
    ],
)
def test_capital_recovery_factor_table_of_interest_factors(rate, life, published):
    assert float(capital_recovery_factor(rate, life)) == pytest.approx(published, abs=5e-7)


def test_monthly_compounding():
    assert 12 * float(capital_recovery_factor(0.10 / 12, 60)) == pytest.approx(0.254965, abs=5e-7)
    assert float(capital_cost_rate(1.0, 0.10 / YEAR, 5 * YEAR, period=YEAR / 12)) * YEAR == pytest.approx(0.254965, abs=5e-7)


def test_our_year_is_the_year_of_the_units():
    assert parse("1 year", "time") == YEAR


def test_residual_value():
    assert float(annuity(100.0, 0.10, 5, residual=0.20)) == pytest.approx(23.1038, abs=5e-5)


@pytest.mark.parametrize(("system", "published"), [(CLOUDMATRIX, 0.6431), (NVL72, 1.2966)])
def test_capital_per_accelerator_hour(system, published):
    capital = ownership_cost_rate(system["price"], 0.0, 0.0, terms()).capital
    assert float(capital) * HOUR / system["accelerators"] == pytest.approx(published, abs=6e-5)


def test_facility_of_12_dollars_a_watt():
    facility = float(ownership_cost_rate(0.0, 1.0, 0.0, terms(facility_capital=12.0)).facility)
    assert facility * YEAR == pytest.approx(1.402, abs=5e-4)
    assert facility * 1e3 * YEAR / 12 == pytest.approx(116.8, abs=0.05)  # per kW-month; colocation asks 150 to 250


@pytest.mark.parametrize(
    ("power", "price", "published"),
    [
        (559e3, US, 485_375),
        (559e3, CN_HUB, 329_068),
        (559e3, CN, 505_354),
        (559e3, KR, 769_594),
        (145e3, US, 125_902),
        (145e3, CN_HUB, 85_357),
        (145e3, CN, 131_085),
        (145e3, KR, 199_626),
    ],
)
def test_energy_of_a_year(power, price, published):
    assert energy_cost_rate(power, 1.2, price / KWH) * YEAR == pytest.approx(published, rel=2e-5)


@pytest.mark.parametrize(
    ("system", "price", "published"),
    [
        (CLOUDMATRIX, US, 0.7873),
        (CLOUDMATRIX, CN_HUB, 0.7409),
        (CLOUDMATRIX, CN, 0.7933),
        (CLOUDMATRIX, KR, 0.8718),
        (NVL72, US, 1.4962),
        (NVL72, CN, 1.5044),
        (NVL72, KR, 1.6131),
        (NVL72 | {"price": 5.0e6}, US, 2.2909),
        (NVL72 | {"price": 5.0e6}, CN, 2.2991),
        (NVL72 | {"price": 5.0e6}, KR, 2.4078),
    ],
)
def test_worked_comparison_per_accelerator_hour(system, price, published):
    assert hourly(system, terms(price)) == pytest.approx(published, abs=6e-5)


@pytest.mark.parametrize(("price", "published"), [(US, 0.1126), (CN_HUB, 0.1059), (CN, 0.1134), (KR, 0.1246)])
def test_cloudmatrix_per_million_decode_tokens(price, published):
    rate = hourly(CLOUDMATRIX, terms(price)) / HOUR
    assert 1e6 * cost_per_token(rate, 1943.0) == pytest.approx(published, abs=6e-5)


@pytest.mark.parametrize(
    ("price", "here", "there", "published"),
    [
        (3.1e6, US, CN_HUB, 3924),
        (4.0e6, US, CN_HUB, 4911),
        (5.0e6, US, CN_HUB, 6008),
        (3.1e6, KR, KR, 3595),
        (4.0e6, KR, KR, 4434),
        (5.0e6, KR, KR, 5366),
    ],
)
def test_break_even_decode_rate_of_an_nvl72_gpu(price, here, there, published):
    token = cost_per_token(hourly(CLOUDMATRIX, terms(there)) / HOUR, 1943.0)
    assert break_even_throughput(hourly(NVL72 | {"price": price}, terms(here)) / HOUR, token) == pytest.approx(published, rel=5e-4)


@pytest.mark.parametrize(
    ("power", "intensity", "published"),
    [(559e3, 582.317, 3421.8), (559e3, 430.6, 2530), (559e3, 369.5, 2171), (145e3, 369.5, 563), (145e3, 430.6, 656), (145e3, 582.3, 888)],
)
def test_carbon_of_a_year_in_tonnes(power, intensity, published):
    assert operational_carbon(power * YEAR, 1.2, intensity / 1e3 / KWH) / 1e3 == pytest.approx(published, rel=6e-4)


@pytest.mark.parametrize(("gpu_hours", "watts", "tonnes"), [(1_082_990, 400.0, 24.69), (256_646, 1000.0, 14.63)])
def test_carbon_of_bloom_luccioni_2022(gpu_hours, watts, tonnes):
    # the second row is idle energy: 256,646 kWh
    assert operational_carbon(gpu_hours * HOUR * watts, 1.0, 57e-3 / KWH) / 1e3 == pytest.approx(tonnes, abs=5e-3)


@pytest.mark.parametrize(
    ("area", "grid", "energy", "gas", "fab_yield", "kilograms"),
    [
        (8.14, 583, 2.75, 327.5, 0.875, 22.61),
        (8.14, 583, 2.75, 327.5, 0.4867, 40.66),
        (16.0, 583, 2.75, 327.5, 0.875, 44.45),
        (8.26, 583, 2.15, 275, 0.875, 19.15),
        (13.3122, 583, 2.15, 275, 0.875, 30.86),
        (13.3122, 582.317, 2.15, 275, 0.40, 67.46),
    ],
)
def test_carbon_of_dies_act(area, grid, energy, gas, fab_yield, kilograms):
    found = die_carbon(area * 1e-4, grid / 1e3 / KWH, energy * KWH * 1e4, gas * 10.0, 5000.0, fab_yield)
    assert found == pytest.approx(kilograms, rel=5e-4)


def test_embodied_carbon_of_hgx_h100_against_operation():
    embodied = embodied_carbon_rate(1312.0, 5 * YEAR) * HOUR / 8
    operation = operational_carbon(7752.0 / 8 * HOUR, 1.2, 369.5e-3 / KWH)
    assert embodied * 1e3 == pytest.approx(3.74, abs=5e-3)
    assert operation * 1e3 == pytest.approx(430, abs=0.5)


def test_energy_per_token_of_the_ml_energy_leaderboard():
    for watts, throughput, joules in [(4277.8, 433.2, 9.874), (7126.2, 2999.0, 2.376), (4874.8, 2363.5, 2.063), (3196.1, 13303.3, 0.240)]:
        assert energy_per_token(watts, 1.0, throughput) == pytest.approx(joules, abs=2e-3)


def test_owning_an_h100_agrees_with_a_published_total():
    """SemiAnalysis (InferenceX, April 2026) has 1.30 to 1.69 USD/h for an H100; a DGX at 270 k USD without network is between."""
    site = terms(facility_capital=12.0, operation_fraction=0.05 / YEAR)
    assert 1.30 < hourly({"price": 270_000, "power": 10.2e3, "accelerators": 8}, site) < 1.69


# --- limits --------------------------------------------------------------------------------------------------------------------------


@given(n=periods)
def test_no_interest_is_equal_shares(n):
    assert capital_recovery_factor(0.0, n) == 1.0 / n
    assert float(capital_recovery_factor(1e-13, n)) == pytest.approx(1.0 / n, rel=1e-11)
    assert sinking_fund_factor(0.0, n) == 1.0 / n


@given(r=rates)
def test_one_payment_and_payments_for_ever(r):
    assert float(capital_recovery_factor(r, 1.0)) == pytest.approx(1.0 + r, rel=1e-12)
    assert float(capital_recovery_factor(r, math.inf)) == pytest.approx(r, rel=1e-12)


def test_facility_and_demand_follow_rated_power_and_energy_follows_use():
    busy = ownership_cost_rate(1e6, 100e3, 100e3, FULL)
    idle = ownership_cost_rate(1e6, 100e3, mean_power(100e3, 30e3, 0.0), FULL)
    assert (busy.capital, busy.facility, busy.operation) == (idle.capital, idle.facility, idle.operation)
    demand = demand_cost_rate(100e3, FULL.pue, FULL.demand_charge)
    assert idle.energy - demand == pytest.approx(0.3 * (busy.energy - demand))


def test_import_tax_falls_on_imports_only():
    home, abroad = (ownership_cost_rate(1e6, 0.0, 0.0, FULL, imported=share) for share in (0.0, 1.0))
    assert abroad.total == pytest.approx(1.1 * home.total)


def test_net_present_value_of_equal_payments_is_their_present_value():
    flows = np.concatenate([[0.0], np.full(7, 3.0)])
    assert net_present_value(flows, 0.09) == pytest.approx(float(present_value(3.0, 0.09, 7)))
    both = net_present_value(np.stack([flows, 2 * flows]), np.array([0.09, 0.04]))
    assert both == pytest.approx([float(present_value(3.0, 0.09, 7)), float(present_value(6.0, 0.04, 7))])


def test_all_equity_pays_the_equity_rate():
    assert weighted_cost_of_capital(1.0, 0.13, 0.07, 0.2) == pytest.approx(0.13)
    assert weighted_cost_of_capital(0.0, 0.13, 0.07, 0.2) == pytest.approx(0.056)


# --- properties ----------------------------------------------------------------------------------------------------------------------


@given(r=rates, s=st.floats(1.01, 3.0), n=periods)
def test_capital_recovery_factor_is_monotone(r, s, n):
    assert capital_recovery_factor(r * s, n) > capital_recovery_factor(r, n)
    assert capital_recovery_factor(r, n * s) <= capital_recovery_factor(r, n)  # equal where (1 + r)^-n is below rounding
    assert capital_recovery_factor(r, n) >= max(r, 1.0 / n) * (1.0 - 1e-12)


@given(r=rates, n=periods)
def test_recovery_is_sinking_fund_and_interest(r, n):
    assert float(capital_recovery_factor(r, n)) == pytest.approx(float(sinking_fund_factor(r, n)) + r, rel=1e-9)


@given(
    price=st.floats(0.0, 1e9),
    rated=st.floats(0.0, 1e8),
    use=st.floats(0.0, 1.0),
    tariff=st.floats(0.0, 1.0),
    residual=st.floats(0.0, 0.5),
)
def test_total_is_the_sum_of_the_parts_and_none_is_negative(price, rated, use, tariff, residual):
    site = replace(FULL, electricity_price=tariff / KWH, capital_residual=residual)
    cost = ownership_cost_rate(price, rated, use * rated, site)
    parts = [float(getattr(cost, field.name)) for field in fields(cost)]
    assert float(cost.total) == pytest.approx(math.fsum(parts), rel=1e-12)
    assert min(parts) >= 0.0
    assert float(cost.scaled(7.0).total) == pytest.approx(7.0 * float(cost.total), rel=1e-12)


@given(scale=st.floats(1e-3, 1e3), tariff=st.floats(0.01, 0.5))
def test_cost_scales_with_the_fleet(scale, tariff):
    site = replace(FULL, electricity_price=tariff / KWH)
    one = ownership_cost_rate(1e6, 1e5, 8e4, site).total
    assert float(ownership_cost_rate(scale * 1e6, scale * 1e5, scale * 8e4, site).total) == pytest.approx(scale * float(one), rel=1e-12)


@given(second=st.floats(1e-3, 1e4), joule=st.floats(1e-3, 1e7), dollar=st.floats(1e-3, 1e4))
def test_units_do_not_matter(second, joule, dollar):
    """Time, energy and money counted in other units: the cost changes by the ratio of dollars to seconds and by nothing else."""
    watt = joule / second
    other = SiteTerms(
        electricity_price=FULL.electricity_price * dollar / joule,
        pue=FULL.pue,
        facility_capital=FULL.facility_capital * dollar / watt,
        facility_life=FULL.facility_life * second,
        facility_rate=FULL.facility_rate / second,
        capital_rate=FULL.capital_rate / second,
        capital_life=FULL.capital_life * second,
        operation_fraction=FULL.operation_fraction / second,
        capital_residual=FULL.capital_residual,
        demand_charge=FULL.demand_charge * dollar / watt / second,
        import_tax=FULL.import_tax,
    )
    here = ownership_cost_rate(3e6, 145e3, 100e3, FULL, imported=0.5)
    there = ownership_cost_rate(3e6 * dollar, 145e3 * watt, 100e3 * watt, other, imported=0.5, period=YEAR * second)
    for field in fields(CostBreakdown):
        assert float(getattr(there, field.name)) == pytest.approx(float(getattr(here, field.name)) * dollar / second, rel=1e-9)


@given(price=st.floats(1e3, 1e9), imported=st.floats(0.0, 1.0))
def test_break_even_price_inverts_ownership(price, imported):
    rate = ownership_cost_rate(price, 1e5, 7e4, FULL, imported=imported).total
    assert float(break_even_price(rate, 1e5, 7e4, FULL, imported=imported)) == pytest.approx(price, rel=1e-6)


@given(fixed=st.floats(0.1, 5.0), idle=st.floats(0.0, 0.2), more=st.floats(0.0, 0.5), rent=st.floats(1.0, 10.0))
def test_owning_and_renting_cost_the_same_at_break_even(fixed, idle, more, rent):
    use = break_even_utilisation(fixed, idle, idle + more, rent)
    assert fixed + mean_power(idle + more, idle, use) == pytest.approx(rental_cost_rate(rent, 1.0, use), rel=1e-9)


@given(use=st.floats(0.05, 0.95))
def test_an_idle_cluster_makes_dearer_tokens(use):
    def token(share: float) -> float:
        rate = ownership_cost_rate(1e6, 1e5, mean_power(1e5, 3e4, share), FULL).total
        return float(cost_per_token(rate, 1e4, share))

    assert token(use) > token(use + 0.05)


def test_failures_lengthen_a_run():
    assert run_cost(2.0, 1e6, 100.0, 0.8) == pytest.approx(run_cost(2.0, 1e6, 100.0) / 0.8)


def random_terms(generator: np.random.Generator, count: int) -> dict[str, np.ndarray]:
    return {field.name: getattr(FULL, field.name) * generator.uniform(0.5, 2.0, count) for field in fields(SiteTerms)}


def test_arrays_equal_a_loop_of_floats():
    generator = np.random.default_rng(7)
    count = 200
    sites = random_terms(generator, count)
    sites["capital_rate"][:20] = 0.0
    price, rated = generator.uniform(1e5, 1e7, count), generator.uniform(1e4, 1e6, count)
    use, throughput = generator.uniform(0.1, 1.0, count), generator.uniform(1e2, 1e5, count)
    cost = ownership_cost_rate(price, rated, mean_power(rated, 0.3 * rated, use), SiteTerms(**sites), imported=0.5)
    token = cost_per_token(cost.total, throughput, use)
    carbon = carbon_per_token(operational_carbon(rated, sites["pue"], 1e-7), embodied_carbon_rate(price / 100, 5 * YEAR), throughput)
    for i in range(count):
        site = SiteTerms(**{name: float(values[i]) for name, values in sites.items()})
        one = ownership_cost_rate(float(price[i]), float(rated[i]), mean_power(rated[i], 0.3 * rated[i], use[i]), site, imported=0.5)
        for field in fields(CostBreakdown):
            assert float(getattr(one, field.name)) == pytest.approx(getattr(cost, field.name)[i], rel=1e-12)
        assert float(cost_per_token(one.total, throughput[i], use[i])) == pytest.approx(token[i], rel=1e-12)
        grid = operational_carbon(rated[i], site.pue, 1e-7)
        made = embodied_carbon_rate(price[i] / 100, 5 * YEAR)
        assert carbon_per_token(grid, made, throughput[i]) == pytest.approx(carbon[i], rel=1e-12)


def test_axes_broadcast():
    prices = np.linspace(1e6, 2e7, 5)[:, None]
    tariffs = np.linspace(0.03, 0.3, 4)[None, :] / KWH
    cost = ownership_cost_rate(prices, 559e3, 400e3, replace(FULL, electricity_price=tariffs))
    assert np.shape(cost.total) == (5, 4)
    assert np.shape(cost.capital) == (5, 1)
    assert np.all(np.diff(cost.total, axis=0) > 0)
    assert np.all(np.diff(cost.total, axis=1) > 0)
