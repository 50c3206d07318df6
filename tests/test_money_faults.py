"""What reviewers found in answers about money and rules: each fault with the test that would have seen it."""

from __future__ import annotations

import json
import re

import pytest
from click.testing import CliRunner, Result

import aicompute as ac
from aicompute import cli
from aicompute.errors import UsageError

NVL72, CLOUDMATRIX = "gb200-nvl72", "cloudmatrix-384"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.cli, list(arguments))


def test_parts_that_a_side_does_not_pay_for_are_refused_as_a_count() -> None:
    done = run("breakeven", NVL72, CLOUDMATRIX, "--count", "rent", "--tokens-per-s", "1500,1000")
    assert done.exit_code == 2
    for system in (NVL72, CLOUDMATRIX):
        assert f"{system} pays for none of it, but for capital, facility, energy, operation" in done.output
    with pytest.raises(UsageError, match="pays for none of it, but for rent"):
        ac.breakeven(NVL72, CLOUDMATRIX, rent=["4 USD/accelerator/h", None], count=["capital"], tokens_per_s=(1500.0, 1000.0), samples=0)


def test_a_life_out_of_range_is_named_as_it_was_given() -> None:
    for life in ("0 year", "-4 year", "31 year"):
        done = run("cost", NVL72, "--life", life)
        assert done.exit_code == 2
        assert f"life = {life!r}: expected 1 to 30 years" in done.output


@pytest.mark.parametrize("command", [("cost",), ("supply",), ("rules",), ("estimate",), ("compare",), ("makebuy",)])
def test_a_template_of_systems_is_no_system(command: tuple[str, ...]) -> None:
    done = run(*command, "generic")
    assert done.exit_code == 2
    assert "'generic' is only there to be extended" in done.output


@pytest.mark.parametrize("sites", [["kr"], ["kr", "us-average"]])
def test_no_interval_is_promised_where_nothing_was_drawn(sites: list[str]) -> None:
    chosen = [word for site in sites for word in ("--site", site)]
    assert "interval" in run("cost", NVL72, *chosen, "--samples", "20").stdout
    assert "interval" not in run("cost", NVL72, *chosen, "--samples", "0").stdout
    assert "interval" not in run("makebuy", NVL72, "--samples", "0").stdout
    assert "interval" not in run("breakeven", NVL72, CLOUDMATRIX, "--samples", "0").stdout


def test_a_share_of_a_unit_is_said() -> None:
    done = run("cost", NVL72, "--accelerators", "100", "--samples", "0")
    assert "sold whole" in done.stderr
    assert "1.389 units" in done.stderr
    assert "sold whole" not in run("cost", NVL72, "--accelerators", "144", "--samples", "0").stderr


def test_before_any_rule_there_are_no_headings_over_nothing() -> None:
    done = run("rules", "a100", "--date", "1990-01-01")
    assert "no rule" in done.stdout
    assert "What the classes mean" not in done.stdout
    assert "Rules and their sources" not in done.stdout


def test_numbers_of_rules_in_csv_are_those_of_the_specs() -> None:
    first = run("rules", "nvidia-a100-sxm-80gb", "--format", "csv").stdout.splitlines()[1].split(",")
    assert first[9:12] == ["826.0", "664.0", "2039.0"]


# One quantity, several commands


@pytest.mark.parametrize("accelerators", [None, 144])
def test_estimate_cost_compare_and_make_or_buy_agree(accelerators: int | None) -> None:
    terms = {"site": "kr", "accelerators": accelerators, "samples": 50}
    one = ac.estimate(NVL72, **terms).estimate["cost_per_token"]
    tree = ac.cost(NVL72, workload="serving", **terms).tree.per_token()
    made = ac.makebuy(NVL72, api="claude-3-opus", **terms).answer.hostings[0].per_token()
    other = ac.compare([NVL72, CLOUDMATRIX], **{**terms, "accelerators": accelerators or 72})[0]["cost_per_token"]
    assert tree is not None
    for ratio, found in ((1.0, tree), (5.0, made), (1.0, other)):  # 4,096 tokens in and 1,024 out are five for each of output
        assert (found.value * ratio, found.low * ratio, found.high * ratio) == pytest.approx((one.value, one.low, one.high), rel=1e-9)


def test_a_rented_estimate_costs_what_its_tree_says() -> None:
    terms = {"site": "kr", "rent": "3 USD/accelerator/h", "samples": 0}
    tree = ac.cost(NVL72, workload="serving", **terms).tree.per_token()
    assert tree is not None
    assert tree.value == pytest.approx(ac.estimate(NVL72, **terms).estimate.value("cost_per_token"), rel=1e-12)


def test_json_of_rules_and_cost_holds_no_nan() -> None:
    for arguments in (("rules", "h20"), ("cost", NVL72, "--samples", "0"), ("breakeven", NVL72, CLOUDMATRIX, "--samples", "0")):
        json.loads(run(*arguments, "--format", "json").stdout, parse_constant=pytest.fail)


def test_many_sites_stay_within_80_columns_and_say_all_numbers() -> None:
    sites = ac.Library().ids("sites")
    told = [site for site in sites if site not in ("cn-hub-domestic", "generic")]
    done = run("cost", NVL72, "--samples", "0", *(word for site in told for word in ("--site", site)))
    assert done.exit_code == 0
    assert max(map(len, done.stdout.splitlines())) <= 80
    totals = [cell for line in done.stdout.splitlines() if line.startswith("total") for cell in line.split()[1:]]
    assert len(totals) == len(told)


def test_terms_that_differ_between_sites_are_told_for_each() -> None:
    done = run("cost", NVL72, "--site", "us", "--site", "kr", "--set", "kr.capital.life=4 year", "--samples", "0")
    text = " ".join(done.stdout.split())
    assert "us-average: owned for 5 years" in text
    assert "kr: owned for 4 years" in text


def test_rules_and_supply_are_frames_too() -> None:
    pytest.importorskip("pandas")
    assert list(ac.rules("h20").to_pandas()["accelerator"].unique()) == ["nvidia-h20"]
    assert set(ac.rules(model="deepseek-v3").to_pandas()["rule"]) >= {"eu-ai-act"}
    assert "foundry" in set(ac.supply(NVL72).to_pandas()["step"])


@pytest.mark.parametrize("samples", ["0", "20"])
def test_a_volume_is_said_once(samples: str) -> None:
    text = " ".join(run("makebuy", NVL72, "--api", "gpt-4o", "--samples", samples).stdout.split())
    assert len(re.findall(r"from [\d.,]+ [MGT]?\s?tokens/day", text)) == 2


def test_local_is_one_currency() -> None:
    assert run("cost", NVL72, "--site", "kr", "--currency", "local", "--samples", "0").exit_code == 0
    done = run("cost", NVL72, "--site", "kr", "--site", "jp", "--currency", "local", "--samples", "0")
    assert done.exit_code == 2
    assert "means KRW at kr, JPY at jp; name one, such as KRW" in done.output
