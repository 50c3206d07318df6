"""``aicompute compare`` and ``estimate`` at the shell: answers, formats, exit codes, messages."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

import aicompute as ac
from aicompute import cli
from aicompute.cli import scenario
from aicompute.report.text import columns_of

PAIR = ("cloudmatrix-384", "gb200-nvl72")
DECODE = ("--workload", "decode", "--tpot", "50 ms")
QUICK = ("--samples", "20")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli.cli, [str(argument) for argument in arguments])


def shell(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "aicompute.cli", *arguments], capture_output=True, text=True, check=False)


def widest(answer: str) -> int:
    return max(columns_of(line) for line in answer.splitlines())


# Answers


def test_two_systems_and_nothing_else_give_the_headline() -> None:
    done = shell("compare", *PAIR, *QUICK)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("cloudmatrix-384 against gb200-nvl72\n")
    assert widest(done.stdout) <= 80
    assert len(done.stdout.splitlines()) <= 80
    assert "\x1b" not in done.stdout
    points = done.stdout.partition("\nVerdict\n- ")[2].split("\n- ")
    assert max(len(point.splitlines()) for point in points) <= 3
    for wanted in (
        "TPOT <= 15 ms",
        "TPOT <= 100 ms",
        "50 ms, native",
        "Prefill",
        "Whole service, each at home",
        "Training",
        "Verdict",
        "ratio",
    ):
        assert wanted in done.stdout, wanted


def test_an_option_of_the_scenario_gives_that_scenario() -> None:
    done = run("compare", *PAIR, *DECODE, *QUICK)
    assert done.exit_code == 0
    assert done.stdout.startswith("deepseek-r1-0528: decode, 4,096 in, 1,024 out, TPOT <= 50 ms\n")
    assert widest(done.stdout) <= 80
    assert "Training" not in done.stdout
    assert run("compare", *PAIR, "--precision", "8bit", *QUICK).stdout.startswith("deepseek-r1-0528: serving")


def test_changed_values_keep_the_headline() -> None:
    done = run("compare", *PAIR, *QUICK, "--set", "gb200-nvl72.price.unit=31e6 USD")
    assert done.stdout.startswith("cloudmatrix-384 against gb200-nvl72")
    assert " capital, M$" in done.stdout
    row = next(line for line in done.stdout.splitlines() if line.startswith(" capital, M$"))
    assert row.split()[4] in ("31", "31.0")


@pytest.mark.parametrize("systems", [PAIR[:1], PAIR, (*PAIR, "dgx-h200"), (*PAIR, "dgx-h200", "dgx-b200")])
@pytest.mark.parametrize("work", ["training", "prefill", "decode", "serving"])
def test_any_number_of_systems_in_any_work_fits(systems: tuple[str, ...], work: str) -> None:
    done = run("compare", *systems, "--workload", work, *QUICK, "--site", "us-average", "--site", "home", "--accelerators", 256)
    assert done.exit_code == 0
    assert widest(done.stdout) <= 80
    for name in systems:
        assert name in done.stdout


@pytest.mark.parametrize("format", ["table", "json", "csv", "markdown"])
@pytest.mark.parametrize("arguments", [("compare", *PAIR), ("compare", *PAIR, *DECODE), ("estimate", PAIR[1], *DECODE, "--explain")])
def test_every_format(arguments: tuple[str, ...], format: str) -> None:
    done = run(*arguments, *QUICK, "--format", format)
    assert done.exit_code == 0
    assert done.stdout.strip()
    if format == "json":
        assert json.loads(done.stdout, parse_constant=pytest.fail)["schema"] == 1
    elif format == "csv":
        assert {"cloudmatrix-384", "gb200-nvl72"} >= {row["system"] for row in csv.DictReader(io.StringIO(done.stdout))}
    elif format == "markdown":
        assert done.stdout.startswith("## ")
    else:
        assert widest(done.stdout) <= 80


def test_one_estimate_in_detail() -> None:
    done = run("estimate", "gb200", *DECODE, *QUICK)
    assert done.stdout.startswith("NVIDIA GB200 NVL72 (gb200-nvl72), 72 accelerators, 1 unit")
    assert "Operators" not in done.stdout
    why = run("estimate", "gb200", *DECODE, *QUICK, "--explain").stdout
    for wanted in (
        "Operators of one device",
        "Spec values used",
        "Sources",
        "What the interval is made of",
        "datasheet",
        "expert exchange",
    ):
        assert wanted in why, wanted


def test_equal_terms_and_plans_reach_the_answer() -> None:
    record = json.loads(run("compare", *PAIR, "--workload", "training", "--equal", "flops", "--samples", 0, "--format", "json").stdout)
    each = [system["accelerators"] for system in record["systems"]]
    assert each[0] > 2.5 * each[1]
    plan = json.loads(run("estimate", "gb200", *DECODE, "--tp", 2, "--ep", 8, "--samples", 0, "--format", "json").stdout)["systems"][0][
        "plan"
    ]
    assert (plan["tp"], plan["ep"]) == (2, 8)
    trained = run(
        "estimate",
        "gb200",
        "--workload",
        "training",
        "--accelerators",
        512,
        "--vpp",
        1,
        "--micro-batch",
        1,
        "--recompute",
        "full",
        "--samples",
        0,
        "--format",
        "json",
    )
    plan = json.loads(trained.stdout)["systems"][0]["plan"]
    assert (plan["chunks"], plan["micro_batch"], plan["recompute"]) == (1, 1, "full")


def test_renting_instead_of_owning() -> None:
    record = json.loads(run("estimate", "gb200", *DECODE, "--rent", 2.5, "--samples", 0, "--format", "json").stdout)
    assert record["systems"][0]["metrics"]["cost_per_accelerator_hour"]["value"] == pytest.approx(2.5, rel=0.5)
    assert record["scenario"]["rent"] == pytest.approx(2.5 / 3600.0)


# The same through Python


SAME: list[tuple[tuple[str, ...], dict[str, Any]]] = [
    ((), {}),
    (DECODE, {"workload": ac.decode(tpot="50 ms")}),
    (("--workload", "prefill", "--isl", "8192", "--ttft", "4 s", "--site", "home"), {"workload": ac.prefill(8192, "4 s"), "site": "home"}),
    (("--precision", "8bit", "--utilisation", "40 %"), {"precision": "8bit", "utilisation": 0.4}),
    (
        ("--workload", "training", "--tokens", "1e12", "--equal", "power", "--zero", "3", "--set", "us-average.pue.liquid=1.3"),
        {"workload": ac.training(tokens=1e12), "equal": "power", "plan": {"zero": 3}, "set": {"us-average.pue.liquid": 1.3}},
    ),
    (("--site", "us-average", "--site", "home", "--rent", "3"), {"site": ["us-average", "home"], "rent": "3 USD/accelerator/h"}),
    (
        ("--precision", "dense=bf16,experts=bf16", "--osl", "512"),
        {"precision": {"dense": "bf16", "experts": "bf16"}, "workload": ac.serving(output_length=512)},
    ),
]


@pytest.mark.parametrize(("options", "keywords"), SAME)
def test_shell_and_python_give_the_same_answer(options: tuple[str, ...], keywords: dict[str, Any]) -> None:
    asked = run("compare", *PAIR, *options, *QUICK, "--format", "json")
    assert asked.exit_code == 0
    assert json.loads(asked.stdout) == json.loads(ac.compare(PAIR, samples=20, **keywords).to_json())


def test_estimate_in_shell_and_python_is_the_same() -> None:
    asked = run("estimate", "910c", *DECODE, *QUICK, "--explain", "--format", "json")
    found = ac.estimate("910c", workload=ac.decode(tpot="50 ms"), samples=20, explain=True)
    assert json.loads(asked.stdout) == json.loads(found.to_json())
    assert run("estimate", "910c", *DECODE, *QUICK, "--explain").stdout == found.table() + "\n"


# Exit codes and messages


def test_nothing_feasible_is_exit_4_with_the_best_that_can_be_had() -> None:
    done = shell("compare", *PAIR, "--workload", "decode", "--tpot", "50 us")
    assert done.returncode == 4
    assert "TPOT at best" in done.stdout
    assert done.stderr.startswith("Error: no system can do this; cloudmatrix-384: no plan meets TPOT <= 0.05 ms; TPOT at best")
    assert "Traceback" not in done.stderr
    record = run("compare", *PAIR, "--workload", "decode", "--tpot", "50 us", "--format", "json")
    assert record.exit_code == 4
    assert [system["feasible"] for system in json.loads(record.stdout)["systems"]] == [False, False]
    assert run("estimate", "gb200", "--workload", "decode", "--tpot", "50 us").exit_code == 4


def test_one_infeasible_system_is_a_column() -> None:
    done = run("compare", "dgx-h100", "gb200-nvl72", *DECODE, *QUICK)
    assert done.exit_code == 0
    assert "Not feasible\ndgx-h100: does not fit" in done.stdout
    assert "Only gb200-nvl72 can do this" in done.stdout


MESSAGES: list[tuple[tuple[object, ...], str]] = [
    (("compare",), "compare needs at least one system, such as cloudmatrix-384"),
    (("estimate",), "Missing argument 'SYSTEM'"),
    (("compare", "gb200-nvl27"), "unknown system 'gb200-nvl27'; did you mean 'gb200-nvl72'"),
    (("compare", *PAIR, "--model", "deepseek-r2"), "unknown model 'deepseek-r2'; did you mean 'deepseek-v2' or 'deepseek-r1'"),
    (("compare", *PAIR, "--stack", "vlm"), "unknown stack 'vlm'; did you mean 'vllm'"),
    (("compare", *PAIR, "--site", "us-averag"), "unknown site 'us-averag'; did you mean 'us-average'"),
    (("compare", *PAIR, "--workload", "decod"), "unknown --workload 'decod'; did you mean 'decode'"),
    (("compare", *PAIR, "--precision", "fp9"), "did you mean 'fp8'"),
    (("compare", *PAIR, "--precision", "denes=fp8"), "did you mean 'dense'"),
    (("compare", *PAIR, "--precision", "dense=fp8,x"), "--precision 'dense=fp8,x': 'x' is not ROLE=WORD"),
    (("compare", *PAIR, "--equal", "flop"), "unknown value of equal 'flop'; did you mean 'flops'"),
    (("compare", *PAIR, "--format", "jsn"), "'jsn' is not one of"),
    (("compare", *PAIR, "--workload", "training", "--recompute", "ful"), "unknown value of recompute 'ful'; did you mean 'full'"),
    (("compare", *PAIR, "--tpto", "1 s"), "--tpto"),
    (("compare", *PAIR, "--tpot", "50 GB"), "--tpot: '50 GB' is memory (information), expected time, for example '50 ms'"),
    (("compare", *PAIR, "--tpot", "50"), "--tpot: '50' has no unit; expected time, for example '50 ms'"),
    (("compare", *PAIR, "--ttft", "-2 s"), "--ttft = '-2 s': expected a time above zero"),
    (("compare", *PAIR, "--isl", "0"), "--isl = '0': expected a number of at least 1"),
    (("compare", *PAIR, "--isl", "nan"), "--isl: 'nan' is not a quantity"),
    (("compare", *PAIR, "--osl", "1e12"), "--osl = '1e12': expected at most 1e+08"),
    (("compare", *PAIR, "--prefix-hit", "1.5"), "--prefix-hit = '1.5': expected at most 1"),
    (("compare", *PAIR, "--utilisation", "0"), "utilisation = '0': expected a share above 0, at most 1"),
    (("compare", *PAIR, "--utilisation", "nan"), "utilisation: 'nan' is not a quantity"),
    (("compare", *PAIR, "--accelerators", "-5"), "accelerators = '-5': expected a number from 1 to 1e8"),
    (("compare", *PAIR, "--accelerators", "1e12"), "accelerators = '1e12': expected a number from 1 to 1e8"),
    (("compare", *PAIR, "--accelerators", "5 kW"), "accelerators: '5 kW' is power"),
    (("compare", *PAIR, "--rent", "900"), "expected a price above 0, at most 100 USD an hour"),
    (("compare", *PAIR, "--rent", "inf"), "rent = 'inf"),
    (("compare", *PAIR, "--samples", "-1"), "samples = -1: expected a whole number from 0 to 1,000,000"),
    (("compare", *PAIR, "--tp", "3.5"), "tp = '3.5': expected a whole number"),
    (("compare", *PAIR, "--tp", "0"), "tp = 0"),
    (("compare", *PAIR, "--drafts", "99"), "drafts = '99': expected a whole number from 0 to 8"),
    (("compare", *PAIR, "--workload", "training", "--zero", "7"), "zero = '7': expected 0 to 3"),
    (
        ("compare", *PAIR, "--workload", "training", "--tpot", "5 ms"),
        "--tpot does not belong to --workload training, but to decode and serving",
    ),
    (
        ("compare", *PAIR, "--workload", "decode", "--ttft", "5 ms"),
        "--ttft does not belong to --workload decode, but to prefill and serving",
    ),
    (("compare", *PAIR, "--seq-len", "8192"), "--seq-len does not belong to --workload serving, but to training"),
    (("compare", *PAIR, "--workload", "decode", "--zero", "1"), "--zero does not belong to --workload decode, but to training"),
    (("compare", *PAIR, "--workload", "prefill", "--drafts", "1"), "--drafts does not belong to --workload prefill"),
    (("compare", "910c", "cloudmatrix-384"), "'cloudmatrix-384' is cloudmatrix-384, which is named twice"),
    (("estimate", "910c", "--site", "home", "--site", "us"), "estimate takes one --site; compare takes several"),
    (("compare", *PAIR, "--set", "gb200-nvl72.price.unit=4 kg"), "gb200-nvl72.price.unit: '4 kg' is mass"),
    (("compare", *PAIR, "--specs", "/no/such/folder"), "/no/such/folder"),
]


@pytest.mark.parametrize(("arguments", "message"), MESSAGES, ids=[" ".join(map(str, arguments))[-40:] for arguments, _ in MESSAGES])
def test_bad_input_is_a_usage_error_that_names_it(arguments: tuple[object, ...], message: str) -> None:
    done = run(*arguments)
    assert done.exit_code == 2
    assert message in " ".join(done.stderr.split())
    assert done.stdout == ""


def test_every_fault_of_the_options_is_named_at_once() -> None:
    wrong = run("compare", *PAIR, "--workload", "training", "--tpot", "5 ms", "--batch", 3)
    assert "--batch does not" in wrong.stderr
    assert "--tpot does not" in wrong.stderr


# Help, pipes, folders


@pytest.mark.parametrize("name", ["compare", "estimate"])
def test_help_is_readable_and_every_option_has_some(name: str) -> None:
    done = run(name, "--help")
    assert done.exit_code == 0
    assert widest(done.stdout) <= 80
    command = cli.cli.get_command(None, name)  # type: ignore[arg-type]
    assert command is not None
    assert all(parameter.help for parameter in command.params if isinstance(parameter, click.Option))
    known = {parameter.name for parameter in command.params}
    assert {option for options in (*scenario.FIELDS.values(), *scenario.PLANS.values()) for option in options} <= known


def test_a_closed_pipe_is_quiet() -> None:
    line = f"{sys.executable} -m aicompute.cli compare 910c gb200 --workload decode --samples 0 | head -n 1"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.count("\n") == 1


def test_a_folder_of_specs_can_be_compared(tmp_path: Path) -> None:
    (tmp_path / "systems").mkdir()
    spec = 'name = "Cheaper"\nextends = "gb200-nvl72"\n[price]\n'
    spec += 'unit = { value = 1e6, unit = "USD", kind = "assumed", source = "s", low = 9e5, high = 2e6 }\n'
    spec += 'network = { value = 0, unit = "USD", kind = "assumed", source = "s", low = 0, high = 1 }\n'
    (tmp_path / "systems" / "cheaper.toml").write_text(spec, encoding="utf-8")
    (tmp_path / "sources.toml").write_text('[s]\ntitle = "A guess"\n', encoding="utf-8")
    done = run("compare", "cheaper", "gb200-nvl72", *DECODE, "--samples", 0, "--specs", tmp_path, "--format", "json")
    assert done.exit_code == 0
    systems = json.loads(done.stdout)["systems"]
    assert [system["metrics"]["capex"]["value"] for system in systems] == [1e6, 3.1e6]
