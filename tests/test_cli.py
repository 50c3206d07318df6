from __future__ import annotations

import importlib
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from aicompute import cli
from aicompute.errors import InfeasibleError, UsageError

SITE = """name = "Here"
country = "Nowhere"
aliases = ["here-again"]
[electricity]
price = { value = 0.1, unit = "USD/kWh", kind = "assumed", source = "s", low = 0.05, high = 0.2 }
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sites").mkdir()
    (tmp_path / "sites" / "here.toml").write_text(SITE, encoding="utf-8")
    there = SITE.replace("Here", "There").replace("0.1,", "0.15,").replace("here-", "there-")
    (tmp_path / "sites" / "there.toml").write_text(there, encoding="utf-8")
    (tmp_path / "sources.toml").write_text('[s]\ntitle = "A source of prices"\n', encoding="utf-8")
    return tmp_path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli.cli, [str(argument) for argument in arguments])


def shell(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "aicompute.cli", *arguments], capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]


# The base


@pytest.mark.parametrize("name", list(cli.COMMANDS))
def test_the_table_of_commands_is_what_the_modules_say(name: str) -> None:
    if importlib.util.find_spec(f"aicompute.cli.{name}") is None:
        pytest.skip("not written yet")
    command = importlib.import_module(f"aicompute.cli.{name}").command
    assert isinstance(command, click.Command)
    assert command.get_short_help_str(limit=200).rstrip(".") == cli.COMMANDS[name]


def _commands() -> list[tuple[str, click.Command]]:
    from aicompute.cli import specs

    return [("specs", specs.command), *((f"specs {name}", command) for name, command in specs.command.commands.items())]


@pytest.mark.parametrize(("name", "command"), _commands())
def test_every_command_and_option_has_help(name: str, command: click.Command) -> None:
    assert command.help, name
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{name} {parameter.name}"


def test_help_lists_commands_and_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['aicompute', '--help']\n"
        "from aicompute.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'scipy', 'pint', 'pandas', 'aicompute.specs', 'aicompute.units'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    for name, text in cli.COMMANDS.items():
        assert name in done.stdout
        assert text in done.stdout


def test_unknown_commands_name_the_nearest() -> None:
    done = shell("compar")
    assert done.returncode == 2
    assert "unknown command 'compar'; did you mean 'compare'?" in done.stderr
    assert done.stdout == ""
    assert "there are compare, estimate, search, sweep, sensitivity, validate, calibrate, specs" in run("xyzzy").output


def test_errors_are_one_line_without_traceback() -> None:
    done = shell("specs", "show", "gb200-nvl27")
    assert done.returncode == 2
    assert done.stderr.startswith("Error: unknown spec 'gb200-nvl27'; did you mean 'gb200-nvl72'")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("error", "code"),
    [(UsageError("u"), 2), (InfeasibleError("i"), 4), (KeyboardInterrupt(), 130), (click.Abort(), 130), (BrokenPipeError(), 141)],
)
def test_exit_codes(monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, capfd: pytest.CaptureFixture[str]) -> None:
    def fail(*_: object) -> None:
        raise error

    saved = os.dup(1)
    monkeypatch.setattr(click.Group, "invoke", fail)
    with pytest.raises(SystemExit) as leave:
        cli.main(["specs"])
    os.dup2(saved, 1)
    os.close(saved)
    assert leave.value.code == code
    assert "Traceback" not in capfd.readouterr().err


def test_a_closed_pipe_is_quiet() -> None:
    line = f"{sys.executable} -m aicompute.cli specs schema | head -c 1 >/dev/null"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    assert done.stderr == ""


def test_version_and_usage() -> None:
    assert run("--version").output.startswith("aicompute ")
    assert run("specs", "show").exit_code == 2
    assert shell("specs", "list", "--format", "jsn").returncode == 2


# specs


def test_list(folder: Path) -> None:
    found = run("specs", "list", "site", "--specs", folder, "--format", "json")
    rows = {row["id"]: row for row in json.loads(found.stdout)}
    assert rows["here"] == {"kind": "sites", "id": "here", "name": "Here", "aliases": "here-again"}
    assert "generic" not in rows
    assert max(map(len, run("specs", "list").stdout.splitlines())) <= 80
    wrong = run("specs", "list", "sits")
    assert (wrong.exit_code, wrong.output) == (2, "Error: unknown kind 'sits'; did you mean 'sites' or 'stacks'?\n")


def test_list_goes_on_past_a_broken_file(folder: Path) -> None:
    (folder / "sites" / "bad.toml").write_text("name = 'Bad'\n", encoding="utf-8")
    found = run("specs", "list", "sites", "--specs", folder)
    assert found.exit_code == 0
    assert "left out sites/bad" in found.stderr
    assert "here" in found.stdout


def test_show_gives_range_kind_and_source_title(folder: Path) -> None:
    text = run("specs", "show", "here-again", "--specs", folder).stdout
    assert text.startswith("Here (sites/here)\n")
    assert "  price      0.1 USD/kWh  0.05 to 0.2  assumed  [1]" in text
    assert "[1] A source of prices" in text
    record = json.loads(run("specs", "show", "sites/here", "--specs", folder, "--format", "json").stdout)
    price = record["values"]["electricity.price"]
    assert (price["value"], price["low"], price["unit"], price["title"]) == (0.1, 0.05, "USD/kWh", "A source of prices")
    assert "| electricity.price | 0.1 USD/kWh |" in run("specs", "show", "here", "--specs", folder, "--format", "markdown").stdout


def test_set_changes_what_is_shown(folder: Path) -> None:
    text = run("specs", "show", "here", "--specs", folder, "--set", "here.electricity.price = 0.3 USD/kWh").stdout
    assert "0.3 USD/kWh" in text
    assert "override" in text
    for change in ("here.electricity.price", "=3", "here.electricity.price="):
        wrong = run("specs", "show", "here", "--specs", folder, "--set", change)
        assert wrong.exit_code == 2
        assert f"--set {change!r} is not KEY=VALUE" in wrong.output
    assert run("specs", "show", "here", "--specs", folder / "none").exit_code == 2


def test_built_in_systems_show_within_eighty_columns() -> None:
    for name in ("gb200-nvl72", "cloudmatrix-384"):
        text = run("specs", "show", f"systems/{name}").stdout
        assert max(map(len, text.splitlines())) <= 80


def test_check(folder: Path) -> None:
    fine = run("specs", "check", folder)
    assert (fine.exit_code, fine.output) == (0, "3 files checked, no faults\n")
    one = run("specs", "check", folder / "sites" / "here.toml")
    assert (one.exit_code, one.output) == (0, "1 file checked, no faults\n")
    (folder / "sites" / "here.toml").write_text(SITE.replace("country", "land"), encoding="utf-8")
    bad = run("specs", "check", folder)
    assert bad.exit_code == 1
    assert bad.output.startswith("Error: 2 faults\n")
    assert "here.toml: land: unknown key" in bad.output
    assert "here.toml: country: is missing" in bad.output
    assert run("specs", "check", folder / "none").exit_code == 2


def test_schema() -> None:
    assert json.loads(run("specs", "schema", "sites").stdout)["title"] == "aicompute site"
    assert set(json.loads(run("specs", "schema").stdout)) == {"accelerators", "systems", "models", "stacks", "sites"}
    assert run("specs", "schema", "site").exit_code == 0
    assert "did you mean 'models'" in run("specs", "schema", "modles").output


def test_diff(folder: Path) -> None:
    rows = json.loads(run("specs", "diff", "here", "there", "--specs", folder, "--format", "json").stdout)
    assert rows == [{"key": "electricity.price", "here": "0.1 USD/kWh", "there": "0.15 USD/kWh", "b / a": pytest.approx(1.5)}]
    assert run("specs", "diff", "here", "here", "--specs", folder).stdout == "here and here do not differ\n"
    assert run("specs", "diff", "here", "gb200-nvl72", "--specs", folder).exit_code == 2


def test_import_into_a_folder_that_then_checks_out(tmp_path: Path) -> None:
    model = {"hidden": 1024, "feedforward": 4096, "attn_heads": 16, "attn_size": 64, "num_blocks": 24}
    file, out = tmp_path / "Small_1.json", tmp_path / "mine"
    file.write_text(json.dumps(model), encoding="utf-8")
    assert "hidden_size = 1024" in run("specs", "import", "calculon-model", file).stdout
    done = run("specs", "import", "calculon-model", file, "-o", out)
    assert (done.exit_code, done.stdout) == (0, "")
    spec = out / "models" / "small-1.toml"
    assert "vocab_size: is missing" in run("specs", "check", out).output
    spec.write_text(spec.read_text(encoding="utf-8") + "vocab_size = 50000\n", encoding="utf-8")
    assert run("specs", "check", out).output == "2 files checked, no faults\n"
    again = run("specs", "import", "calculon-model", file, "-o", out)
    assert (again.exit_code, "exists; remove it" in again.output) == (2, True)


def test_import_refuses_what_it_cannot_do(tmp_path: Path) -> None:
    file = tmp_path / "gpu.json"
    file.write_text("{}", encoding="utf-8")
    assert run("specs", "import", "llm-analysis-gpu", file).exit_code == 1
    assert run("specs", "import", "pdf", file).exit_code == 2
    system = {"matrix": {"tflops": 1, "efficiency": 1}, "mem1": {"GiB": 1, "GBps": 1}, "networks": [{"bandwidth": 1, "size": 1}]}
    file.write_text(json.dumps(system), encoding="utf-8")
    wrong = run("specs", "import", "calculon-system", file, "-o", tmp_path / "x.toml")
    assert (wrong.exit_code, "makes 2: accelerators/gpu.toml, systems/gpu.toml; give a folder" in wrong.output) == (2, True)
    assert "# systems/gpu.toml" in run("specs", "import", "calculon-system", file).stdout


def test_import_of_a_hugging_face_config(tmp_path: Path) -> None:
    config = {
        "model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "intermediate_size": 128, "vocab_size": 1000, "hidden_act": "silu", "torch_dtype": "bfloat16", "tie_word_embeddings": False,
    }  # fmt: skip
    (tmp_path / "my-model").mkdir()
    file = tmp_path / "my-model" / "config.json"
    file.write_text(json.dumps(config), encoding="utf-8")
    done = run("specs", "import", "hf", file, "-o", tmp_path / "out")
    assert (done.exit_code, done.output.count("wrote")) == (0, 1)
    assert run("specs", "check", tmp_path / "out").exit_code == 0
