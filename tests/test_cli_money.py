"""``aicompute cost``, ``breakeven`` and ``makebuy`` at the shell: answers, formats, exit codes, messages."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest
from click.testing import CliRunner, Result

from aicompute import cli
from aicompute.report.text import columns_of

NVL72, CLOUDMATRIX = "gb200-nvl72", "cloudmatrix-384"
ASKED = {
    "cost": ["cost", NVL72, "--site", "kr"],
    "breakeven": ["breakeven", CLOUDMATRIX, NVL72, "--over", "rack_price", "--tokens-per-s", "1943,4500"],
    "makebuy": ["makebuy", NVL72, "--site", "kr", "--volume", "2e9 token/day"],
}
QUICK = ["--samples", "20"]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.cli, [*arguments])


@pytest.mark.parametrize("name", ASKED)
def test_an_answer_fits_80_columns_and_notes_go_to_stderr(name: str) -> None:
    done = run(*ASKED[name], *QUICK)
    assert done.exit_code == 0, done.output
    assert max(columns_of(line) for line in done.stdout.splitlines()) <= 80
    assert "note: " not in done.stdout
    assert done.stderr.startswith("note: ")


@pytest.mark.parametrize("name", ASKED)
def test_formats(name: str) -> None:
    record = json.loads(run(*ASKED[name], *QUICK, "--format", "json").stdout)
    assert record["schema"] == 1
    assert record["notes"]
    rows = list(csv.DictReader(io.StringIO(run(*ASKED[name], *QUICK, "--format", "csv").stdout)))
    assert len(rows) > 2
    assert {"value", "low", "high", "unit"} <= set(rows[0])
    assert run(*ASKED[name], *QUICK, "--format", "markdown").stdout.startswith("## ")


def test_several_sites_are_columns() -> None:
    done = run("cost", CLOUDMATRIX, "--site", "us", "--site", "cn", "--site", "kr", *QUICK)
    assert re.search(r"us-average +cn-average +kr\n", done.stdout)
    assert max(columns_of(line) for line in done.stdout.splitlines()) <= 80


def test_explain_prints_the_tree_with_sources() -> None:
    done = run("cost", NVL72, "--explain", "--currency", "local", "--site", "kr", *QUICK)
    assert done.exit_code == 0
    assert "KRW a year" in done.stdout
    assert re.search(r"s\d+: GB200 NVL72 prices", done.stdout)


def test_plain_numbers_have_the_unit_of_the_option() -> None:
    one = run("breakeven", NVL72, "dgx-h100", "--over", "rent", "--rent", "3.3,own", "--tokens-per-s", "4000,1500", *QUICK)
    other = run(
        "breakeven", NVL72, "dgx-h100", "--over", "rent", "--rent", "3.3 USD/accelerator/h,own", "--tokens-per-s", "4000,1500", *QUICK
    )
    assert one.exit_code == 0, one.output
    assert one.stdout == other.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["cost"], 2, "Missing argument 'SYSTEM'"),
        (["cost", "gb200-nvl27"], 2, "did you mean 'gb200-nvl72'"),
        (["cost", NVL72, "--site", "korea-south"], 2, "unknown site"),
        (["cost", NVL72, "--isl", "12", "--workload", "training"], 2, "--isl does not belong"),
        (["cost", NVL72, "--colocation", "list", "--site", "kr"], 2, "kr lists no price for colocation"),
        (["cost", CLOUDMATRIX, "--rent", "list"], 2, "cloudmatrix-384 lists no price for rent"),
        (["cost", "dgx-h100", "--model", "deepseek-r1", "--workload", "decode"], 4, "cannot do this"),
        (["breakeven", NVL72], 2, "Missing argument 'SECOND'"),
        (["breakeven", CLOUDMATRIX, NVL72, "--over", "rackprice"], 2, "rack_price"),
        (["breakeven", CLOUDMATRIX, NVL72, "--tokens-per-s", "1,2,3"], 2, "two with a comma"),
        (["breakeven", CLOUDMATRIX, NVL72, "--tokens-per-s", "fast,3"], 2, "tokens_per_s"),
        (["breakeven", CLOUDMATRIX, NVL72, "--over", "pue", "--between", "3", "1", "--tokens-per-s", "1943,4500"], 2, "1 to 3"),
        (["makebuy", NVL72, "--api", "gpt4o"], 2, "gpt-4o"),
        (["makebuy", NVL72, "--workload", "decode"], 2, "whole service"),
        (["makebuy", NVL72, "--volume", "many"], 2, "volume"),
        (["makebuy", NVL72, "--site", "kr", "--site", "us"], 2, "takes one --site"),
        (["makebuy", NVL72, "--mode", "flex"], 2, "'flex' is not one of"),
    ],
)
def test_bad_input_is_one_message(arguments: list[str], code: int, message: str) -> None:
    done = run(*arguments)
    assert done.exit_code == code, done.output
    assert message in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
