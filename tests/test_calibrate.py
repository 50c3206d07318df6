"""Own measurements move what they tell and nothing else, files written are specs that work, `aicompute calibrate` says what it does."""

from __future__ import annotations

import csv
import json
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

import aicompute as ac
from aicompute import cli
from aicompute.errors import AicomputeError, UsageError
from aicompute.estimate.reading import Sampler
from aicompute.evidence import overlay, own
from aicompute.evidence.calibration import Calibration, read_calibration
from aicompute.evidence.files import KINDS, Row, Table
from aicompute.evidence.judge import judge
from aicompute.specs import Library
from aicompute.specs.check import faults_of_file

STACK = "megatron-core"
NAMED = """source = "fit-training"
files = ["training"]
[scale.training]
step_time_s = 0.05
[[free]]
spec = ["stacks/generic-training", "stacks/torchtitan"]
path = "reached.dense"
spread = 0.1
[[free]]
spec = ["stacks/generic-training", "stacks/torchtitan"]
path = "step.fixed"
spread = 0.5
[[free]]
spec = ["stacks/generic-training", "stacks/torchtitan"]
path = "overlap.tensor"
scale = "share"
spread = 1
[[free]]
spec = ["accelerators/nvidia-hopper"]
path = "efficiency.memory"
scale = "share"
spread = 0.5
[[free]]
spec = "systems/dgx-h100"
path = "tiers.scale-up.efficiency"
scale = "share"
spread = 0.5
"""
GEMM = {"accelerator": "nvidia-h100-sxm", "backend": "sglang", "dtype": "bfloat16", "n": "4096", "k": "4096"}


@pytest.fixture(autouse=True)
def fewer_folds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows left out in four parts instead of one by one."""
    monkeypatch.setattr(own, "FOLDS", 8)


@pytest.fixture
def named(library: Library, tmp_path: Path) -> list[Calibration]:
    path = tmp_path / "training.toml"
    path.write_text(NAMED, encoding="utf-8")
    return [read_calibration(library, path)]


def training(count: int, seed: int = 0) -> list[dict[str, str]]:
    """Configurations that differ in what the values act on: size, tensor ranks, length of a step."""
    draw = np.random.default_rng(seed)
    return [
        {
            "accelerator": "nvidia-h100-sxm", "n_accelerators": str(8 * int(draw.integers(1, 9))),
            "model": str(draw.choice(["llama-3.1-8b", "llama-3.1-70b"])), "stack": STACK, "seq_len": str(draw.choice([2048, 4096, 8192])),
            "global_batch": str(64 * int(draw.integers(1, 9))), "tp": str(draw.choice([1, 2, 4, 8])), "micro_batch": "1",
            "recompute": "none",
        }
        for _ in range(count)
    ]  # fmt: skip


def measured(lib: Library, rows: Sequence[dict[str, str]], noise: float = 0.0, seed: int = 0) -> Table:
    """Rows as a library predicts them, with noise."""
    table = Table("mine.csv", KINDS["training"], (), tuple(Row(number, {**row, "step_time_s": "1"}) for number, row in enumerate(rows, 1)))
    draw = np.random.default_rng(seed)
    found = [one.predicted * np.exp(noise * draw.standard_normal()) for one in judge(lib, table)]
    return with_cells(table, [{"step_time_s": f"{value:.6g}"} for value in found])


def with_cells(table: Table, changes: Sequence[dict[str, str]]) -> Table:
    """A table with some cells changed in each row."""
    return replace(table, rows=tuple(replace(row, cells={**row.cells, **each}) for row, each in zip(table.rows, changes, strict=True)))


def truth(lib: Library, **values: float) -> Library:
    return lib.override({f"stacks/{STACK}.{path.replace('__', '.')}": value for path, value in values.items()})


def size(lib: Library, table: Table) -> float:
    """Mean size of the errors."""
    return float(np.mean([abs(one.error) for one in judge(lib, table)]))


def written(path: Path, rows: Sequence[dict[str, str]]) -> Path:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    return path


def products(path: Path, factor: float = 1.0, **changes: str) -> Path:
    """A file of products that take a factor longer than predicted."""
    rows = [GEMM | {"m": str(m), "time_us": "1"} | changes for m in (1, 16, 128, 512, 1024, 2048, 4096, 8192)]
    for row, one in zip(rows, ac.validate(written(path, rows)).judged, strict=True):
        row["time_us"] = f"{one.predicted * factor:.6g}"
    return written(path, rows)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli.cli, [str(argument) for argument in arguments])


# The fit


def test_a_known_stack_is_found_again(library: Library, named: list[Calibration]) -> None:
    moved = {"reached.dense": 0.8, "step.fixed": 0.06, "overlap.tensor": 0.3}
    table = measured(truth(library, **{path.replace(".", "__"): value for path, value in moved.items()}), training(60), noise=0.03)
    found = own.calibrate(library, [table], calibrations=named)
    for one in found.changes:
        if one.place[2] in moved:
            assert one.low <= moved[one.place[2]] <= one.high, one
    assert {"reached.dense", "overlap.tensor"} <= {one.place[2] for one in found.changes}
    (errors,) = found.errors
    assert errors.left_out is not None
    assert np.median(np.abs(errors.left_out)) < 0.03 < np.median(np.abs(errors.before))
    residual = next(one for one in found.changes if one.place[2] == "residual.step")
    assert residual.value < residual.before.value


def test_five_rows_help_and_do_no_harm(library: Library, named: list[Calibration], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own, "ENOUGH", 1000)  # rows left out are not of interest here
    other, noise, gains, harms = training(40, seed=99), 0.05, [], []
    for seed in range(4):
        draw = np.random.default_rng(seed)
        for spread in (0.0, 1.0):
            stack = library.load("stacks", STACK)
            true = truth(
                library,
                reached__dense=stack.si("reached.dense") * np.exp(0.15 * spread * draw.standard_normal()),
                step__fixed=stack.si("step.fixed") * np.exp(0.7 * spread * draw.standard_normal()),
            )
            found = own.calibrate(library, [measured(true, training(5, seed), noise, seed)], calibrations=named)
            held = measured(true, other)
            change = size(found.library(library), held) - size(library, held)
            (gains if spread else harms).append(change)
    assert np.mean(gains) < -0.02
    assert max(gains) < noise
    assert np.mean(harms) < noise / 2.0  # of rows that agree with the specs but for noise
    assert max(harms) < noise


def test_rows_that_agree_change_little(library: Library, named: list[Calibration]) -> None:
    found = own.calibrate(library, [measured(library, training(12))], calibrations=named)
    assert found.drift == own.DRIFTS[0]
    for one in found.changes:
        if one.place[2] != "residual.step":
            assert one.value == pytest.approx(one.before.value, rel=0.02)


def test_what_all_stacks_share_moves_within_its_range(library: Library, named: list[Calibration]) -> None:
    table = measured(truth(library, reached__dense=0.5), training(12), 0.01)
    alone = replace(named[0], free=tuple(one for one in named[0].free if one.place[1] != "torchtitan"))
    for each, least, most in ((named[0], 0.4, 0.6), (alone, 0.7, 1.0)):
        found = own.calibrate(library, [table], calibrations=[each])
        assert least < found.library(library).load("stacks", STACK).si("reached.dense") < most


def test_one_wild_row_does_not_decide(library: Library, named: list[Calibration]) -> None:
    table = measured(library, training(20), 0.02)
    wild = replace(table.rows[3], cells={**table.rows[3].cells, "step_time_s": f"{5.0 * table.rows[3].number_in('step_time_s'):g}"})
    rows = tuple(wild if row is table.rows[3] else row for row in table.rows)
    found = own.calibrate(library, [replace(table, rows=rows)], calibrations=named)
    assert size(found.library(library), table) < 0.04


def test_values_that_rows_do_not_tell_stay(library: Library, named: list[Calibration]) -> None:
    rows = [row | {"tp": "1"} for row in training(8)]
    found = own.calibrate(library, [measured(library, rows, 0.02)], calibrations=named)
    assert "overlap.tensor" not in {one.place[2] for one in found.changes}


def test_fewer_rows_than_values_and_too_few_to_leave_out(library: Library, named: list[Calibration]) -> None:
    found = own.calibrate(library, [measured(truth(library, reached__dense=0.7), training(1))], calibrations=named)
    (errors,) = found.errors
    assert errors.left_out is None
    assert abs(errors.after[0]) < abs(errors.before[0])
    assert "residual.step" not in {one.place[2] for one in found.changes}


def test_a_device_is_calibrated_beside_the_stack(library: Library, named: list[Calibration]) -> None:
    true = library.override({"accelerators/nvidia-h100-sxm.efficiency.memory": 0.6})
    table = measured(true, training(30), 0.01)
    alone = own.calibrate(library, [table], calibrations=named)
    both = own.calibrate(library, [table], calibrations=named, device=True)
    assert {one.place[0] for one in alone.changes} == {"stacks"}
    assert ("accelerators", "nvidia-h100-sxm", "efficiency.memory") in {one.place for one in (*both.changes, *both.untold)}


# Which rows


def test_rows_without_stack_or_machine_take_those_given(library: Library, named: list[Calibration]) -> None:
    table = measured(library, training(6), 0.02)
    bare = with_cells(table, [{"stack": "in-house", "accelerator": ""}] * 6)
    found = own.calibrate(library, [bare], stack=STACK, system="dgx-h100", calibrations=named)
    assert len(found.used) == 6
    assert found.used[0][1].text("system") == "dgx-h100"
    with pytest.raises(UsageError, match=r"unknown stack 'in-house'.*--stack"):
        own.calibrate(library, [bare], system="dgx-h100", calibrations=named)
    with pytest.raises(AicomputeError, match="column accelerator: is empty"):
        own.calibrate(library, [bare], stack=STACK, calibrations=named)


def test_a_machine_in_a_row_wins_over_the_one_given(library: Library, named: list[Calibration]) -> None:
    table = measured(library, [row | {"accelerator": "nvidia-a100-sxm-80gb"} for row in training(2)])
    found = own.calibrate(library, [table], system="dgx-h100", calibrations=named)
    assert found.used[0][1].text("accelerator") == "nvidia-a100-sxm-80gb"


def test_rows_of_other_stacks_are_left_out_and_said(library: Library, named: list[Calibration]) -> None:
    table = measured(library, training(8), 0.02)
    mixed = with_cells(table, [{"stack": name} for name in ("torchtitan", "megatrn", *[STACK] * 6)])
    with pytest.raises(UsageError, match=rf"2 stacks: {STACK} \(6 rows\), torchtitan \(1 rows\); choose one with --stack"):
        own.calibrate(library, [mixed], calibrations=named)
    found = own.calibrate(library, [mixed], stack=STACK, calibrations=named)
    assert [(one.number, one.reason) for one in found.left_out] == [(1, f"is of stack torchtitan, not of {STACK}")]
    assert len(found.used) == 7  # a name that nobody knows is taken for the one given


def test_an_unknown_stack_or_one_of_another_kind_is_refused(library: Library, named: list[Calibration]) -> None:
    table = measured(library, training(3))
    with pytest.raises(UsageError, match="did you mean 'megatron-core'"):
        own.calibrate(library, [table], stack="megatron-cor", calibrations=named)
    bare = with_cells(table, [{"stack": ""}] * 3)
    with pytest.raises(AicomputeError, match=r"no row can be used; mine.csv, 3 rows: training is not what stack sglang does"):
        own.calibrate(library, [bare], stack="sglang", calibrations=named)


def test_broken_rows_are_left_out_with_their_reason(library: Library, named: list[Calibration]) -> None:
    table = measured(library, training(5), 0.02)
    broken = replace(table.rows[1], fault="column tp: 'x' is not a number")
    unknown = replace(table.rows[2], cells={**table.rows[2].cells, "accelerator": "h1000"})
    found = own.calibrate(library, [replace(table, rows=(table.rows[0], broken, unknown, *table.rows[3:]))], calibrations=named)
    assert [one.number for one in found.left_out] == [2, 3]
    assert "'x' is not a number" in found.left_out[0].reason
    assert "unknown accelerator 'h1000'" in found.left_out[1].reason


# What is written


def test_the_overlay_is_a_stack_that_works(library: Library, named: list[Calibration], tmp_path: Path) -> None:
    table = measured(truth(library, reached__dense=0.75), training(12), 0.02)
    found = own.calibrate(library, [table], calibrations=named, device=True)
    target = overlay.target_of(tmp_path / "specs" / "stacks" / "mine.toml", library, STACK)
    paths = overlay.written(overlay.overlay(library, found, "mine", "A note."), target)
    assert paths[0] == tmp_path / "specs" / "stacks" / "mine.toml"
    for path in paths:
        assert faults_of_file(path) == []
    made = Library([tmp_path / "specs"])
    mine = made.load("stacks", "mine")
    assert mine.value("reached.dense").source == "calibrated-by-user"
    assert mine.value("reached.dense").kind == "derived"
    renamed = with_cells(table, [{"stack": "mine"}] * 12)
    errors = [np.log(one.predicted / one.measured) for one in judge(made, renamed)]
    np.testing.assert_allclose(sorted(errors), sorted(found.errors[0].after), atol=1e-3)
    sampler = Sampler(4000)
    names = mine.get("calibration.parameters")
    draws = [np.log(sampler(made.load(*name.split()[0].split("/")), name.split()[1])) for name in names[:2]]
    assert np.corrcoef(draws)[0, 1] == pytest.approx(found.correlation[0, 1], abs=0.06)


def test_tiers_of_a_system_are_written_so_that_none_is_lost(library: Library, tmp_path: Path) -> None:
    system = library.load("systems", "dgx-h100")
    value = system.value("tiers.scale-up.efficiency")
    change = own.Change(("systems", "dgx-h100", "tiers.scale-up.efficiency"), value, 0.8, 0.7, 0.9, 0.5)
    found = own.Calibrated(library.load("stacks", STACK), ("mine.csv",), (), (), (change,), (), np.eye(1), (), 1.0)
    target = overlay.target_of(tmp_path / "mine", library, STACK)
    (path,) = overlay.written(overlay.overlay(library, found, target.stack, "A note."), target)
    assert faults_of_file(path) == []
    made = Library([tmp_path / "mine"]).load("systems", "dgx-h100")
    assert made.si("tiers.scale-up.efficiency") == 0.8
    assert list(made.get("tiers")) == list(system.get("tiers"))
    assert made.si("tiers.scale-up.bandwidth") == system.si("tiers.scale-up.bandwidth")


@pytest.mark.parametrize(
    ("output", "folder", "stack"),
    [
        ("specs/stacks/mine.toml", "specs", "mine"),
        ("mine.toml", ".", "mine"),
        ("specs/mine.toml", "specs", "mine"),
        ("specs", "specs", f"{STACK}-own"),
        (f"specs/stacks/{STACK}.toml", "specs", STACK),
    ],
)
def test_where_it_goes(library: Library, output: str, folder: str, stack: str) -> None:
    target = overlay.target_of(Path(output), library, STACK)
    assert (target.folder, target.stack) == (Path(folder), stack)
    assert target.file == Path(folder) / "stacks" / f"{stack}.toml"


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("specs/accelerators/mine.toml", "a stack lies in a folder stacks"),
        ("My Stack.toml", "try my-stack.toml"),
        ("specs/stacks/vllm.toml", "'vllm' is another stack"),
    ],
)
def test_where_it_cannot_go(library: Library, output: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        overlay.target_of(Path(output), library, STACK)


def test_a_spec_is_not_made_to_extend_itself(library: Library, tmp_path: Path) -> None:
    path = tmp_path / "stacks" / "mine.toml"
    path.parent.mkdir()
    path.write_text(f'name = "Mine"\nextends = "{STACK}"\n', encoding="utf-8")
    lib = Library([tmp_path])
    with pytest.raises(UsageError, match="would be extended"):
        overlay.refuse(lib, overlay.target_of(path, lib, "mine"), [("stacks", "mine")], "mine", force=True)
    overlay.refuse(lib, overlay.target_of(path, lib, STACK), [("stacks", "mine")], STACK, force=True)


# The command


def test_the_command_says_what_it_did_and_how_to_use_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    products(Path("mine.csv"), 1.3)
    done = run("calibrate", "mine.csv", "--device", "-o", "my-specs/stacks/my-sglang.toml")
    assert done.exit_code == 0, done.output
    assert "Stack sglang: 8 rows used, 0 left out." in done.stdout
    assert all(len(line) <= 80 for line in done.stdout.splitlines())
    assert "fitting" in done.stderr
    assert "fitting" not in done.stdout
    for name in ("stacks/my-sglang.toml", "accelerators/nvidia-h100-sxm.toml"):
        assert name in done.stdout
    assert run("specs", "check", "my-specs").exit_code == 0
    use = shlex.split(done.stdout[done.stdout.index("  aicompute") :].replace("\\\n", ""))
    tried = run(*use[1:])
    assert tried.exit_code == 0, tried.output
    again = run("calibrate", "mine.csv", "-o", "my-specs/stacks/my-sglang.toml")
    assert again.exit_code == 2
    assert "exists; --force overwrites it" in again.stderr
    assert run("calibrate", "mine.csv", "-o", "my-specs/stacks/my-sglang.toml", "--force").exit_code == 0


def test_every_format(tmp_path: Path) -> None:
    mine = products(tmp_path / "mine.csv", 1.2)
    found = json.loads(run("calibrate", mine, "--device", "--format", "json").stdout)
    assert found["schema"] == 1
    assert (found["base"], found["rows"]["used"], found["files"]) == ("sglang", 8, [])
    assert found["errors"][0]["before"]["median"] == pytest.approx(1.0 / 6.0, rel=0.01)
    assert found["errors"][0]["after"]["median"] < found["errors"][0]["before"]["median"]
    rows = list(csv.DictReader(run("calibrate", mine, "--device", "--format", "csv").stdout.splitlines()))
    assert {"spec", "key", "before", "after", "low", "high", "learned"} <= set(rows[0])
    assert "| value | was | is |" in run("calibrate", mine, "--device", "--format", "markdown").stdout


@pytest.mark.parametrize(
    ("text", "arguments", "code", "said"),
    [
        ("a,b\n1,2\n", (), 2, "fit no kind of measurement"),
        ("accelerator,backend,dtype,m,n,k,time_us\n", (), 2, "no row below its header"),
        ("accelerator,backend,dtype,m,n,k,time_us\nh100,sglang,fp7,1,1,1,1\n", (), 1, "no row can be used"),
        ("accelerator,backend,dtype,m,n,k,time_us\nh100,sglang,fp8,1,1,1,1\n", ("--stack", "sglangg"), 2, "did you mean 'sglang'"),
        ("accelerator,backend,dtype,m,n,k,time_us\nh100,sglang,fp8,1,1,1,1\n", ("--system", "dgx-h10"), 2, "did you mean"),
    ],
)
def test_faults_are_named(tmp_path: Path, text: str, arguments: Sequence[str], code: int, said: str) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(text, encoding="utf-8")
    done = run("calibrate", path, *arguments)
    assert (done.exit_code, done.stdout) == (code, "")
    assert said in done.stderr


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = run("calibrate", tmp_path / "none.csv")
    assert done.exit_code == 2
    assert "cannot be read" in done.stderr
    assert run("calibrate").exit_code == 2


def test_from_python(tmp_path: Path) -> None:
    mine = products(tmp_path / "mine.csv", 1.3)
    answer = ac.calibrate(mine, device=True)
    assert answer.stack == "sglang"
    better = ac.validate(mine, library=answer.library)
    assert better.figures()["gemm", "time_us", ""].median < ac.validate(mine).figures()["gemm", "time_us", ""].median
    assert str(answer).startswith("Stack sglang")
    kept = ac.calibrate(mine, device=True, output=tmp_path / "specs")
    assert kept.stack == "sglang-own"
    assert kept.library.load("stacks", "sglang-own").value("residual.gemm").source == "calibrated-by-user"
    with pytest.raises(UsageError, match="needs a file"):
        ac.calibrate([])


def test_validate_from_python(tmp_path: Path) -> None:
    mine = products(tmp_path / "mine.csv", 1.3)
    answer = ac.validate(mine, by=["accelerator"], tolerance={"gemm": {"time_us": 1.0}})
    assert len(answer.judged) == 8
    assert not answer.kept
    assert answer.to_dict()["summary"]["rows"] == 8
    assert "by accelerator" in str(answer)
    assert answer.figures("accelerator")["gemm", "time_us", "nvidia-h100-sxm"].bias == pytest.approx(1.0 / 1.3 - 1.0, abs=1e-3)
    answer.plot(tmp_path / "mine.svg")
    assert (tmp_path / "mine.svg").read_text(encoding="utf-8").startswith("<svg")
    pytest.importorskip("pandas")
    assert list(answer.to_pandas()["metric"].unique()) == ["time_us"]
