from __future__ import annotations

import contextlib
import math
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aicompute import units
from aicompute.errors import UnitError, UnknownNameError
from aicompute.unit_table import FACTORS

READ = [
    ("50 ms", "time", 0.05),
    ("50ms", "time", 0.05),
    ("50 µs", "time", 5e-5),
    ("1.5 h", "time", 5400.0),
    ("1 year", "time", 8760 * 3600.0),
    ("400 Gbit/s", "bandwidth", 50e9),
    ("400 gigabit / second", "bandwidth", 50e9),
    ("1.8 TB/s", "bandwidth", 1.8e12),
    ("400 Gbps", "bandwidth", 50e9),
    ("80 GiB", "memory", 80 * 2**30),
    ("64 KB", "memory", 64e3),
    ("64 KiB", "memory", 65536.0),
    ("8 bit", "memory", 1.0),
    ("989 TFLOP/s", "compute", 989e12),
    ("989 TFLOPS", "compute", 989e12),
    ("593 TOP/s", "compute", 593e12),
    ("3.8e25 FLOP", "work", 3.8e25),
    ("145 kW", "power", 145e3),
    ("1.2 MWh", "energy", 4.32e9),
    ("0.08 USD/kWh", "price_energy", 0.08 / 3.6e6),
    ("12 USD/kW/month", "demand_charge", 12 / 1e3 / (730 * 3600)),
    ("380 g/kWh", "carbon_intensity", 0.38 / 3.6e6),
    ("60 pJ/B", "energy_per_byte", 60e-12),
    ("814 mm^2", "area", 814e-6),
    ("814 mm²", "area", 814e-6),
    ("30000 USD/accelerator", "price_accelerator", 30000.0),
    ("0.08/year", "rate", 0.08 / (8760 * 3600)),
    ("0.08 1/year", "rate", 0.08 / (8760 * 3600)),
    ("2000 tokens/s", "throughput", 2000.0),
    ("35 %", "fraction", 0.35),
    ("0.35", "fraction", 0.35),
    ("72", "devices", 72.0),
    ("72 device", "devices", 72.0),
    ("7.2 CNY/USD", "exchange_rate", 7.2),
    ("7.2", "exchange_rate", 7.2),
    ("3 MUSD", "money", 3e6),
    ("5 GB/s", "GB/s", 5e9),
    (0.05, "time", 0.05),
    (7, "time", 7.0),
]


@pytest.mark.parametrize(("text", "dimension", "expected"), READ)
def test_quantities_become_si(text: str | float, dimension: str, expected: float) -> None:
    assert units.parse(text, dimension) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize(
    ("text", "dimension", "message"),
    [
        ("50 GB", "time", "'50 GB' is memory (information), expected time, for example '50 ms'"),
        ("50 GB", "bandwidth", "expected bandwidth, for example '400 Gbit/s'"),
        ("3 GHz", "bandwidth", "'3 GHz' is frequency (1/time)"),
        ("400 Gb/s", "bandwidth", "unknown unit 'Gb/s'; did you mean 'Gbit/s' or 'GB/s'?"),
        ("3 MT", "compute", "unknown unit 'MT'"),
        ("50 msec2", "time", "unknown unit 'msec2'"),
        ("12 usd", "money", "unknown unit 'usd'; did you mean 'USD'?"),
        ("50", "time", "'50' has no unit; expected time, for example '50 ms'"),
        ("fast", "time", "cannot read 'fast' as a quantity"),
        ("1,000 ms", "time", "cannot read '1,000 ms'"),
        ("1.2.3 ms", "time", "cannot read"),
        ("", "time", "cannot read ''"),
        ("3 GB*4", "memory", "cannot read 'GB*4' as a unit"),
        ("nan s", "time", "'nan s' is not a quantity"),
        (math.nan, "time", "nan is not a quantity"),
        (True, "time", "True is not a quantity"),
        (None, "time", "None is not a quantity"),
        ("3 EUR", "money", "'3 EUR' is currency_EUR, expected money, for example '3e6 USD'; no exchange rate was given"),
    ],
)
def test_errors_say_what_was_given_and_expected(text: object, dimension: str, message: str) -> None:
    with pytest.raises(UnitError) as error:
        units.parse(text, dimension)
    assert message in str(error.value)
    assert error.value.exit_code == 2


def test_an_unknown_dimension_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'bandwidth'"):
        units.parse(3.0, "bandwith")


def test_a_currency_converts_only_by_the_rate_given() -> None:
    assert units.parse("0.4 CNY/kWh", "price_energy", rates={"CNY": 8.0}) == pytest.approx(0.05 / 3.6e6)
    with pytest.raises(UnitError, match="no exchange rate"):
        units.parse("0.4 CNY/kWh", "price_energy", rates={"EUR": 0.9})
    for rate in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(UnitError, match="must be positive"):
            units.parse("1 CNY", "money", rates={"CNY": rate})


def test_quantities_of_any_pint_registry_convert() -> None:
    import pint

    ours = units.registry()
    assert units.parse(400 * ours.Unit("Gbit/s"), "bandwidth") == 50e9
    theirs = pint.UnitRegistry()
    assert units.parse(theirs.Quantity(50.0, "ms"), "time") == 0.05
    assert units.parse(theirs.Quantity(3.0, "gigabyte/second"), "bandwidth") == 3e9
    with pytest.raises(UnitError, match="expected bandwidth"):
        units.parse(theirs.Quantity(3.0, "GHz"), "bandwidth")


def test_the_closed_table_is_what_the_definitions_give() -> None:
    assert units.closed_table() == FACTORS


def test_every_dimension_reads_its_own_example() -> None:
    for name, dimension in units.DIMENSIONS.items():
        assert units.parse(dimension.example, name) > 0.0
        assert units.factor_of(dimension.units[0])[0] == 1.0, f"{name}: the first unit must be the SI unit"


def test_the_usual_path_does_not_import_pint() -> None:
    code = "import sys; from aicompute.units import parse; parse('50 ms', 'time'); sys.exit('pint' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_information_is_not_a_number() -> None:
    assert units.signature("B/s") != units.signature("Hz")
    assert units.signature("token") != units.signature("1")
    assert units.signature("FLOP/s") == units.signature("TOP/s")


NUMBERS = st.floats(min_value=1e-9, max_value=1e15)


@given(NUMBERS, st.sampled_from(sorted(FACTORS)))
def test_units_round_trip(number: float, unit: str) -> None:
    assert units.to_unit(units.from_unit(number, unit), unit) == pytest.approx(number, rel=1e-12)
    text = f"{number!r}{unit}" if unit.startswith("%") else f"{number!r} {unit}"
    assert units.parse(text, unit) == pytest.approx(units.from_unit(number, unit), rel=1e-12)


@given(NUMBERS, st.sampled_from([("GB/s", "Gbit/s", 8.0), ("h", "min", 60.0), ("MWh", "kWh", 1000.0), ("USD/kWh", "USD/MWh", 1000.0)]))
def test_the_answer_does_not_depend_on_the_unit(number: float, pair: tuple[str, str, float]) -> None:
    coarse, fine, ratio = pair
    assert units.parse(f"{number!r} {coarse}", coarse) == pytest.approx(units.parse(f"{number * ratio!r} {fine}", coarse), rel=1e-12)


@given(st.text(max_size=12))
def test_any_text_is_read_or_refused_by_a_unit_error(text: str) -> None:
    with contextlib.suppress(UnitError):
        assert not math.isnan(units.parse(text, "time"))


@given(st.floats(min_value=1e-12, max_value=1e20))
def test_display_keeps_three_digits(value: float) -> None:
    number, unit = units.format_si(value, "B/s").split(" ")
    assert units.parse(f"{number.replace(',', '')} {unit}", "bandwidth") == pytest.approx(value, rel=6e-3)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (999.9e9, "B/s", "1 TB/s"),
        (0.0, "B/s", "0 B/s"),
        (1.0, "1", "1"),
        (0.35, "%", "35 %"),
        (3.1e6, "USD", "3,100,000 USD"),
        (90.0, "s", "90 s"),
        (3 * 8760 * 3600.0, "s", "3 year"),
        (2.5e-7, "s", "250 ns"),
        (1e-3, "s", "1 ms"),
        (145e3, "W", "145 kW"),
        (-2e9, "B", "-2 GB"),
        (math.inf, "W", "inf W"),
    ],
)
def test_display(value: float, unit: str, text: str) -> None:
    assert units.format_si(value, unit) == text


