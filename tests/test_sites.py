"""The site files keep the contract of docs/design.md. They are read with tomllib alone, so that a fault is theirs."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from aicompute.specs import Library

SPECS = Path(__file__).parents[1] / "specs"
SOURCES = tomllib.loads((SPECS / "sources.toml").read_text(encoding="utf-8"))
PATHS = sorted((SPECS / "sites").glob("*.toml"))
SITES = [path.stem for path in PATHS if path.stem != "generic"]
UNITS = {
    "electricity.price": "USD/kWh",
    "electricity.demand_charge": "USD/kW/month",
    "pue.air": "1",
    "pue.liquid": "1",
    "carbon.intensity": "g/kWh",
    "facility.capital": "USD/W",
    "facility.life": "year",
    "facility.rate": "1/year",
    "capital.rate": "1/year",
    "capital.life": "year",
    "capital.residual": "1",
    "operation.fraction": "1/year",
    "tax.import": "1",
}
OPTIONAL = {"colocation.price": "USD/kW/month"}
PLAIN = {"name", "country", "jurisdiction", "currency", "extends", "aliases", "notes", "abstract", "exchange_rate", "eligible"}


def load(site: str) -> dict:
    data = tomllib.loads((SPECS / "sites" / f"{site}.toml").read_text(encoding="utf-8"))
    parent = load(data["extends"]) if "extends" in data else {}
    for key, value in data.items():
        both_tables = isinstance(value, dict) and isinstance(parent.get(key), dict) and "value" not in value
        parent[key] = parent[key] | value if both_tables else value
    return parent


def values(site: str) -> dict[str, dict]:
    tables = {f"{table}.{key}": value for table, keys in load(site).items() if table not in PLAIN for key, value in keys.items()}
    return tables | {"exchange_rate": load(site)["exchange_rate"]}


def test_the_sites_we_promise():
    promised = "us-virginia us-texas us-average cn-hub-domestic cn-average kr jp de fr no ae sg in"
    assert set(promised.split()) <= set(SITES)


@pytest.mark.parametrize("site", SITES)
def test_every_value_is_there_with_its_unit_range_and_source(site):
    found = values(site)
    assert {*UNITS, "exchange_rate"} <= set(found) <= {*UNITS, *OPTIONAL, "exchange_rate"}
    currency = load(site)["currency"]
    for key, value in found.items():
        rate_unit = "1" if currency == "USD" else f"{currency}/USD"
        assert value["unit"] == {**UNITS, **OPTIONAL}.get(key, rate_unit), key
        assert value["low"] <= value["value"] <= value["high"], key
        assert value["kind"] in {"datasheet", "measured", "analyst", "derived", "assumed"}, key
        assert value["source"] in SOURCES, key
        assert value["kind"] != "assumed" or value["low"] < value["high"], f"{key} is assumed and has no range"
        assert not value["source"].startswith("assumption-") or value["kind"] in {"assumed", "derived"}, key


@pytest.mark.parametrize("site", SITES)
def test_values_are_plausible(site):
    found = {key: value["value"] for key, value in values(site).items()}
    assert 0.03 < found["electricity.price"] < 0.3
    assert 1.0 < found["pue.liquid"] < found["pue.air"] < 1.6
    assert 10 < found["carbon.intensity"] < 900
    assert 3 < found["facility.capital"] < 20


def test_the_subsidised_tariff_is_for_domestic_chips_only():
    limited = {site: load(site)["eligible"]["vendors"] for site in SITES if "eligible" in load(site)}
    assert limited == {"cn-hub-domestic": ["huawei", "cambricon"]}


def test_names_and_aliases_are_unique():
    names = [name for site in SITES for name in (site, *load(site).get("aliases", []))]
    assert len(names) == len(set(names))


def test_the_library_reads_them_in_si():
    site = Library().load("sites", "china-hub")
    assert site.id == "cn-hub-domestic"
    assert site.si("electricity.price") == pytest.approx(0.056 / 3.6e6)
    assert site.si("capital.rate") * site.si("capital.life") == pytest.approx(0.5)
