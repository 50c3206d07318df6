"""What a shell completes: names of commands, ids, aliases, metrics; from folders of one's own too."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from aicompute import cli
from aicompute.cli.completion import matching

SITE = 'name = "Here"\nextends = "generic"\n'


def completed(*typed: str) -> list[str]:
    """What the Tab key gives after some words, the last of which is begun."""
    from click.shell_completion import ShellComplete

    shell = ShellComplete(cli.cli, {}, "aicompute", "_AICOMPUTE_COMPLETE")
    return [item.value for item in shell.get_completions(list(typed[:-1]), typed[-1])]


def in_shell(instruction: str, **more: str) -> str:
    environment = {**os.environ, "_AICOMPUTE_COMPLETE": instruction, **more}
    done = subprocess.run([sys.executable, "-m", "aicompute.cli"], capture_output=True, text=True, env=environment, check=True)
    assert not done.stderr
    return done.stdout


def test_bash_is_told_how_to_complete() -> None:
    assert "_AICOMPUTE_COMPLETE=bash_complete" in in_shell("bash_source")


def test_bash_asks_for_an_id() -> None:
    said = in_shell("bash_complete", COMP_WORDS="aicompute compare cloudm", COMP_CWORD="2")
    assert said.splitlines() == ["plain,cloudmatrix-384"]


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        (("breake",), ["breakeven"]),
        (("compare", "cloudmatrix-384", "gb300-n"), ["gb300-nvl72"]),
        (("breakeven", "cloudmatrix-384", "gb300-n"), ["gb300-nvl72"]),
        (("supply", "gb300-n"), ["gb300-nvl72"]),
        (("cost", "GB300"), ["gb300-nvl72"]),
        (("rules", "huawei-ascend-910c"), ["huawei-ascend-910c"]),
        (("rules", "cloudm"), ["cloudmatrix-384"]),
        (("estimate", "gb200-nvl72", "--model", "deepseek-r1-05"), ["deepseek-r1-0528"]),
        (("estimate", "gb200-nvl72", "--site", "us-av"), ["us-average"]),
        (("estimate", "gb200-nvl72", "--site", "ho"), ["home"]),
        (("estimate", "gb200-nvl72", "--stack", "torcht"), ["torchtitan"]),
        (("estimate", "gb200-nvl72", "--workload", "d"), ["decode"]),
        (("size", "--train-model", "deepseek-v3.2"), ["deepseek-v3.2"]),
        (("size", "--site", "us-av"), ["us-average"]),
        (("search", "gb200-nvl72", "--pareto", "tpot,cost_per_h"), ["tpot,cost_per_hour"]),
        (("specs", "show", "gb300-n"), ["gb300-nvl72"]),
        (("specs", "list", "acc"), ["accelerators"]),
        (("estimate", "gb200-nvl72", "--format", "j"), ["json"]),
        (("estimate", "nothing-begins-so"), []),
    ],
    ids=" ".join,
)
def test_names_are_offered(typed: tuple[str, ...], wanted: list[str]) -> None:
    assert completed(*typed) == wanted


def test_an_alias_is_offered_where_no_id_begins_so() -> None:
    assert completed("estimate", "cm38") == ["cm384"]


def test_folders_on_the_line_count(tmp_path: Path) -> None:
    (tmp_path / "sites").mkdir()
    (tmp_path / "sites" / "my-hall.toml").write_text(SITE, encoding="utf-8")
    assert completed("estimate", "--specs", str(tmp_path), "gb200-nvl72", "--site", "my-h") == ["my-hall"]
    assert completed("estimate", "gb200-nvl72", "--site", "my-h") == []
    assert completed("estimate", "--specs", str(tmp_path / "absent"), "gb200-nvl72", "--site", "us-av") == []


def ids_wanted() -> list[tuple[str, click.Parameter]]:
    """Parameters of every command that take ids, by their usual names."""
    found = []
    for name in cli.COMMANDS:
        command = cli.cli.get_command(click.Context(cli.cli), name)
        assert command is not None
        found += [(name, p) for p in command.params if p.name in ("model", "site", "stack", "system", "systems", "train_model")]
    return found


@pytest.mark.parametrize(("command", "parameter"), ids_wanted(), ids=lambda part: part if isinstance(part, str) else str(part.name))
def test_every_option_that_takes_an_id_completes(command: str, parameter: click.Parameter) -> None:
    offered = parameter.shell_complete(click.Context(click.Command(command)), "")
    assert len(offered) > 5, f"{command} {parameter.name}"


def test_help_reads_no_specs() -> None:
    code = "import sys; from aicompute.cli import main\ntry:\n    main(['compare', '--help'])\nexcept SystemExit:\n    pass\n"
    code += "sys.exit(any(name in sys.modules for name in ('numpy', 'aicompute.specs', 'click.shell_completion')))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_the_case_of_what_is_typed_does_not_matter() -> None:
    assert matching(["gb200-nvl72", "dgx-h100"], "GB") == ["gb200-nvl72"]


def test_an_unknown_name_travels_between_processes() -> None:
    import pickle

    from aicompute.errors import UnknownNameError

    error = UnknownNameError("site", "krr", ["kr"])
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.name, again.nearest) == (str(error), "krr", ["kr"])
