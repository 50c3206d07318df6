"""Sweeps on disk and on several workers: whole files, runs that go on, the same rows wherever they were found."""

from __future__ import annotations

import errno
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import aicompute as ac
from aicompute.cli import cli
from aicompute.errors import AicomputeError, UsageError
from aicompute.specs import Library
from aicompute.sweep import rows as rows_module
from aicompute.sweep import run as run_module
from aicompute.sweep import store as store_module
from aicompute.sweep.design import Design, design_from
from aicompute.sweep.sweep import Progress, Swept, run_sweep
from aicompute.sweep.table import Table, Words, best_rows, table_of

pandas = pytest.importorskip("pandas", reason="reading the files back needs pandas")
pytest.importorskip("pyarrow", reason="files of a sweep need pyarrow")

PLAN = {"tp": 1, "dp": 32, "pp": 1, "ep": 32}
AXES: dict[Any, Any] = {
    "system": ["gb200-nvl72", "cloudmatrix-384"], "batch": {"from": 1, "to": 300, "count": 60},
    "site.electricity.price": {"from": "0.02 USD/kWh", "to": "0.2 USD/kWh", "count": 10},
}  # fmt: skip


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some hundred rows a block, so that a small sweep has many."""
    monkeypatch.setattr(rows_module, "FAST_ROWS", 100)
    monkeypatch.setattr(rows_module, "MESH", 64)


def design(**more: Any) -> Design:
    return design_from(AXES, plan=PLAN, fixed={"tpot": "50 ms", "drafts": 0}, **more)


def frame(folder: Path) -> Any:
    found = pandas.read_parquet(folder)
    return found.sort_values("row").reset_index(drop=True).astype({"system": str, "reason": str})


def equal(one: Table | None, other: Table | None) -> None:
    assert one is not None
    assert other is not None
    assert list(one) == list(other)
    for name, column in one.items():
        left, right = column.tolist(), other[name].tolist()
        if isinstance(column, Words) or column.dtype == bool:
            assert left == right, name
        else:
            np.testing.assert_array_equal(left, right, err_msg=name)


def cut_after(blocks: int) -> Any:
    """Stops a run from within after so many blocks, as Ctrl-C does."""
    count = 0

    def tell(_: Progress) -> None:
        nonlocal count
        count += 1
        if count >= blocks:
            raise KeyboardInterrupt

    return tell


# Files


def test_files_hold_all_rows_with_units_and_the_design(library: Library, tmp_path: Path, small_blocks: None) -> None:
    swept = run_sweep(library, design(), tmp_path / "out", workers=1)
    memory = run_sweep(library, design(), workers=1)
    assert swept.table is None
    assert memory.table is not None
    found = frame(tmp_path / "out")
    assert len(found) == swept.progress.points == 1200
    assert list(found["row"]) == list(range(1200))
    for name, column in memory.table.items():
        wanted = column.tolist()
        if isinstance(column, Words):
            assert list(found[name]) == wanted
        else:
            np.testing.assert_array_equal(found[name].to_numpy(dtype=column.dtype), wanted, err_msg=name)
    note = json.loads((tmp_path / "out" / "_sweep.json").read_text())
    assert note["complete"] is True
    assert note["columns"]["tpot"] == {"kind": "number", "unit": "s"}
    assert note["columns"]["site.electricity.price"] == {"kind": "number", "unit": "USD/J", "given_in": "USD/kWh",
        "of_which_one_is": 1.0 / 3.6e6}
    assert "SI" in note["units"]
    assert set(note["columns"]) == set(memory.table)
    equal(swept.best, memory.best)
    equal(table_of((tmp_path / "out" / "_best.parquet").read_bytes()), memory.best)


def test_every_file_has_the_same_columns_whatever_its_rows_are(library: Library, tmp_path: Path) -> None:
    """Training and serving, rows without any plan, a plan chosen and a plan given."""
    made = design_from(
        {"workload": ["training", "decode", "serving"], "accelerators": [1, 64]},
        fixed={"system": "dgx-h100", "model": "llama-3.1-70b", "global_batch": 128, "tpot": 0.05},
    )
    run_sweep(library, made, tmp_path, workers=1)
    from pyarrow import parquet

    schemas = {tuple((f.name, str(f.type)) for f in parquet.read_schema(path)) for path in tmp_path.rglob("part-*.parquet")}
    assert len(schemas) == 1
    found = pandas.read_parquet(tmp_path)
    assert len(found) == 6
    assert not found["feasible"].all()
    assert found["feasible"].any()
    for kind, metric in (("training", "mfu"), ("decode", "tpot"), ("serving", "ttft")):
        assert found[(found["workload"] == kind) & found["feasible"]][metric].notna().all()


@pytest.mark.parametrize("blocks", [1, 9])
@pytest.mark.parametrize("top", [None, 7])
def test_an_interrupted_run_goes_on_and_ends_the_same(
    library: Library, tmp_path: Path, small_blocks: None, blocks: int, top: int | None
) -> None:
    made = design(top=top)
    whole = run_sweep(library, made, tmp_path / "whole", workers=1)
    part = run_sweep(library, made, tmp_path / "part", workers=1, watch=cut_after(blocks))
    assert not part.complete
    assert 0 < part.progress.done < part.progress.points
    assert json.loads((tmp_path / "part" / "_sweep.json").read_text())["complete"] is False
    assert len(pandas.read_parquet(tmp_path / "part")) > 0, "what is there can be read"
    rest = run_sweep(library, made, tmp_path / "part", workers=1)
    assert rest.complete
    assert rest.resumed
    assert rest.progress.found == whole.progress.points - part.progress.done
    pandas.testing.assert_frame_equal(frame(tmp_path / "part"), frame(tmp_path / "whole"))
    equal(rest.best, whole.best)
    again = run_sweep(library, made, tmp_path / "part", workers=1)
    assert again.progress.found == 0
    equal(again.best, whole.best)


def test_files_that_were_cut_and_files_that_were_being_written(library: Library, tmp_path: Path, small_blocks: None) -> None:
    whole = run_sweep(library, design(), tmp_path, workers=1)
    wanted = frame(tmp_path)
    files = sorted(tmp_path.rglob("part-*.parquet"))
    files[0].write_bytes(files[0].read_bytes()[:100])
    files[1].write_bytes(b"")
    files[2].unlink()
    left = files[3].with_name(f".{files[3].name}.123.new")
    left.write_bytes(b"half")
    rest = run_sweep(library, design(), tmp_path, workers=1)
    assert not left.exists()
    assert 0 < rest.progress.found < rest.progress.points
    pandas.testing.assert_frame_equal(frame(tmp_path), wanted)
    equal(rest.best, whole.best)


def test_other_sweeps_and_other_folders_are_refused(library: Library, tmp_path: Path) -> None:
    axes = {"batch": [8, 16]}
    made = design_from(axes, plan=PLAN, fixed={"system": "gb200-nvl72"})
    run_sweep(library, made, tmp_path / "a", workers=1)
    for other in (
        (library, replace(made, top=3)), (library, design_from({"batch": [8, 17]}, plan=PLAN, fixed={"system": "gb200-nvl72"})),
        (library, replace(made, seed=1)), (library.override({"gb200-nvl72.price.unit": "4e6 USD"}), made),
    ):  # fmt: skip
        with pytest.raises(UsageError, match="holds another sweep, or one of other specs; choose another folder"):
            run_sweep(*other, tmp_path / "a", workers=1)
    full = tmp_path / "full"
    full.mkdir()
    (full / "thesis.tex").write_text("text")
    with pytest.raises(UsageError, match="is not empty and holds no sweep"):
        run_sweep(library, made, full, workers=1)
    assert (full / "thesis.tex").read_text() == "text"
    with pytest.raises(AicomputeError, match="cannot be made"):
        run_sweep(library, made, full / "thesis.tex" / "deeper", workers=1)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "_sweep.json").write_text("{")
    with pytest.raises(UsageError, match=r"_sweep\.json: cannot be read"):
        run_sweep(library, made, tmp_path / "b", workers=1)


@pytest.mark.parametrize("where", ["replace", "write_bytes", "mkdir"])
def test_a_full_disk_leaves_whole_files_and_says_so(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_blocks: None, where: str
) -> None:
    count = 0

    def full(real: Any) -> Any:
        def write(first: Any, *rest: Any, **more: Any) -> Any:
            nonlocal count
            if "part-" in str(first) or "system=cloud" in str(first):
                count += 1
                if count > 4:
                    if where == "write_bytes":
                        real(first, rest[0][:50])
                    raise OSError(errno.ENOSPC, "No space left on device")
            return real(first, *rest, **more)

        return write

    with monkeypatch.context() as patched:
        if where == "replace":
            patched.setattr(store_module.os, "replace", full(os.replace))
        else:
            patched.setattr(Path, where, full(getattr(Path, where)))
        with pytest.raises(AicomputeError, match="No space left on device; what is written is whole, and the same command goes on"):
            run_sweep(library, design(), tmp_path / "out", workers=1)
    assert not list((tmp_path / "out").rglob(".*.new"))
    assert len(pandas.read_parquet(tmp_path / "out")) > 0
    run_sweep(library, design(), tmp_path / "out", workers=1)
    run_sweep(library, design(), tmp_path / "whole", workers=1)
    pandas.testing.assert_frame_equal(frame(tmp_path / "out"), frame(tmp_path / "whole"))


# Best rows


def test_the_best_rows_are_those_of_all_rows(library: Library, small_blocks: None) -> None:
    everything = run_sweep(library, design(), workers=1).table
    assert everything is not None
    for objective, sign in (("cost_per_token", -1.0), ("tokens_per_s_per_user", 1.0)):
        best = run_sweep(library, design(top=9, objective=objective), workers=1).table
        equal(best, best_rows(everything, objective, sign, 9))


def test_of_equal_rows_the_first_are_kept(library: Library, small_blocks: None) -> None:
    """Prices do not change the rate: ten rows of each batch are equal."""
    best = run_sweep(library, design(top=15, objective="tokens_per_s_per_user"), workers=1).table
    assert best is not None
    number, value = np.asarray(best["row"]), np.asarray(best["tokens_per_s_per_user"])
    assert len(set(value[:10])) == 1
    for level in set(value):
        own = number[value == level]
        assert own.tolist() == sorted(own)
    everything = run_sweep(library, design(), workers=1).table
    assert everything is not None
    equal(best, best_rows(everything, "tokens_per_s_per_user", 1.0, 15))


def test_blocks_without_a_feasible_row_are_no_fault(library: Library) -> None:
    """A target that nothing meets, plan given and plan chosen."""
    for plan in (PLAN, {}):
        made = design_from({"tpot": ["1 us", "2 us"], "batch": [16]}, plan=plan, fixed={"system": "gb200-nvl72"}, top=3)
        swept = run_sweep(library, made, workers=1)
        assert swept.table is not None
        assert len(swept.table["row"].tolist()) == 0
        assert swept.progress.feasible == 0


# Workers


def on(swept: Swept, other: Swept) -> None:
    equal(swept.table, other.table)
    equal(swept.best, other.best)
    assert swept.progress.feasible == other.progress.feasible


@pytest.mark.parametrize("top", [None, 15])
def test_processes_find_the_rows_of_one_process(library: Library, small_blocks: None, top: int | None) -> None:
    made = design(top=top, objective="tokens_per_s_per_user")
    on(run_sweep(library, made, workers=3), run_sweep(library, made, workers=1))


def test_a_worker_process_that_dies_is_said(library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_blocks: None) -> None:
    if sys.platform != "linux":
        pytest.skip("patches a worker through a fork")
    here = os.getpid()
    real = run_module.rows_of

    def dies(case: Any, block: Any, *rest: Any) -> Any:
        if os.getpid() != here and block.case == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(case, block, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(run_module, "rows_of", dies)
        with pytest.raises(AicomputeError, match="a worker process died, perhaps for want of memory; what is written is whole"):
            run_sweep(library, design(), tmp_path / "out", workers=2)
    run_sweep(library, design(), tmp_path / "out", workers=1)
    assert len(pandas.read_parquet(tmp_path / "out")) == 1200


@pytest.mark.parametrize("place", ["cloud", "local=3", "dusk=tcp://a:1", ""])
def test_places_that_are_none(library: Library, place: str) -> None:
    with pytest.raises(UsageError, match="is not one of local, dask, dask=tcp://HOST:PORT"):
        run_sweep(library, design(), on=place)


@pytest.mark.parametrize("workers", [0, -1, 5000])
def test_numbers_of_workers_that_are_none(library: Library, workers: int) -> None:
    with pytest.raises(UsageError, match="expected a number from 1 to 1,024"):
        run_sweep(library, design(), workers=workers)


def test_a_scheduler_that_cannot_be_reached(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed", reason="needs dask.distributed")
    monkeypatch.setattr(run_module, "CONNECT", 0.5)
    with pytest.raises(AicomputeError, match=r"the Dask scheduler at tcp://127\.0\.0\.1:9 cannot be reached within 0\.5 s"):
        run_sweep(library, design(), on="dask=tcp://127.0.0.1:9")


@pytest.fixture
def cluster() -> Iterator[Any]:
    """Two processes, which import the program from where this test has it."""
    distributed = pytest.importorskip("distributed", reason="needs dask.distributed")
    path = os.pathsep.join([str(Path(ac.__file__).parent.parent), os.environ.get("PYTHONPATH", "")])
    old = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = path
    made = distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50)
    try:
        yield made
    finally:
        made.close()
        os.environ.pop("PYTHONPATH", None)
        if old is not None:
            os.environ["PYTHONPATH"] = old


@pytest.mark.filterwarnings("ignore")
def test_dask_finds_the_same_rows_and_loses_nothing_with_a_worker(
    library: Library, cluster: Any, tmp_path: Path
) -> None:
    axes = {"system": ["gb200-nvl72", "cloudmatrix-384"], "site": library.ids("sites")[:12], "batch": [8, 16, 32]}
    made = design_from(axes, plan=PLAN, fixed={"tpot": "50 ms"})
    wanted = run_sweep(library, made, workers=1)
    on(run_sweep(library, made, on=f"dask={cluster.scheduler_address}"), wanted)
    victims = [worker.pid for worker in cluster.workers.values()]
    killed: list[int] = []

    def kill(p: Progress) -> None:
        if not killed and p.found >= p.points // 4:
            killed.append(victims[0])
            os.kill(victims[0], signal.SIGKILL)

    on_disk = run_sweep(library, made, tmp_path / "out", on=f"dask={cluster.scheduler_address}", watch=kill)
    assert killed
    assert on_disk.progress.found == 72
    assert on_disk.complete
    run_sweep(library, made, tmp_path / "one", workers=1)
    pandas.testing.assert_frame_equal(frame(tmp_path / "out"), frame(tmp_path / "one"))
    equal(on_disk.best, wanted.best)


# The command

TOML = """
[sweep]
system = "gb200-nvl72"
workload = "decode"
tpot = "50 ms"
top = {top}
[plan]
tp = 1
dp = 32
pp = 1
ep = 32
[axes]
batch = {{ from = 1, to = 400, count = {count} }}
site.electricity.price = {{ from = "0.02 USD/kWh", to = "0.2 USD/kWh", count = {count} }}
"accelerator.memory.bandwidth" = ["x1", "x2"]
"""


def written(tmp_path: Path, count: int = 20, top: str = "5") -> str:
    path = tmp_path / "grid.toml"
    text = TOML.format(count=count, top=top)
    path.write_text(text if top else text.replace("top = \n", ""))
    return str(path)


def command(*arguments: str | Path) -> Any:
    return CliRunner().invoke(cli, [*map(str, arguments)])


def test_the_command_in_every_format(tmp_path: Path) -> None:
    path = written(tmp_path)
    shown = command("sweep", path, "--workers", "1")
    assert shown.exit_code == 0, shown.output
    assert max(map(len, shown.stdout.splitlines())) <= 80
    assert "800 points" in shown.stdout
    record = json.loads(command("sweep", path, "--workers", "1", "--format", "json").stdout)
    assert (record["schema"], record["points"], record["complete"], len(record["best"])) == (1, 800, True, 5)
    assert record["units"]["site.electricity.price"] == "USD/J"
    lines = command("sweep", path, "--workers", "1", "--format", "csv").stdout.splitlines()
    assert lines[0].startswith("system,batch,site.electricity.price [USD/J],accelerator.memory.bandwidth [B/s],feasible,reason,")
    assert len(lines) == 6
    assert "| batch" in command("sweep", path, "--workers", "1", "--format", "markdown").stdout
    kept = command("sweep", path, "--workers", "1", "--format", "csv", "-o", tmp_path / "out", "--top", "3", "--objective",
        "cost_per_million_tokens")
    assert len(kept.stdout.splitlines()) == 4


@pytest.mark.parametrize("workers", ["1", "2"])
def test_ctrl_c_leaves_complete_partial_results(tmp_path: Path, workers: str) -> None:
    """A real signal to the whole group, as a terminal sends it."""
    path = written(tmp_path, 2500, "")
    out = tmp_path / "out"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    line = [sys.executable, "-m", "aicompute.cli", "sweep", path, "-o", str(out), "--workers", workers]
    running = subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.monotonic() + 60.0
    while not list(out.rglob("part-*.parquet")) and time.monotonic() < deadline and running.poll() is None:
        time.sleep(0.01)
    os.killpg(running.pid, signal.SIGINT)
    said, errors = running.communicate(timeout=60)
    assert running.returncode == 130, errors
    assert "Traceback" not in errors
    assert "interrupted" in said
    found = pandas.read_parquet(out)
    assert 0 < len(found) < 12_500_000
    assert len(found) == len(set(found["row"]))
    assert not list(out.rglob(".*.new"))
    assert json.loads((out / "_sweep.json").read_text())["complete"] is False


def test_a_grid_too_large_asks_with_time_and_size(tmp_path: Path, library: Library) -> None:
    path = written(tmp_path, 1_000_000, "")
    answer = command("sweep", path, "-o", tmp_path / "out")
    assert answer.exit_code == 2
    assert "2e+12 points take about" in answer.stderr
    assert "GB" in answer.stderr
    assert "--yes" in answer.stderr
    assert not (tmp_path / "out").exists()
    everything = command("sweep", path)
    assert "give an output folder, or keep the top N only" in everything.stderr
    with pytest.raises(UsageError, match="points are more than 1e"):
        run_sweep(library, design_from({"batch": {"from": 1, "to": 9, "count": 10**9}, "tp": {"from": 1, "to": 9, "count": 10**9}},
            fixed={"system": "gb200-nvl72"}))


def test_slow_sweeps_ask_sooner(library: Library) -> None:
    """Where a plan is chosen for every point, hours begin at some hundred thousand of them."""
    axes = {"tpot": {"from": 0.01, "to": 0.1, "count": 2000}, "input_length": {"from": 100, "to": 9000, "count": 2000}}
    with pytest.raises(UsageError, match=r"4e\+06 points take about .*(h|days) on one core"):
        run_sweep(library, design_from(axes, fixed={"system": "gb200-nvl72"}))


def test_the_cost_of_memory_is_that_of_blocks(library: Library) -> None:
    """Rows that are not kept take no room: only the best of each block are there at a time."""
    sizes: Sequence[int] = [20, 200]
    found = []
    for size in sizes:
        axes = {"batch": {"from": 1, "to": 300, "count": size}, "site.electricity.price": {"from": 1e-8, "to": 5e-8, "count": 300}}
        swept = run_sweep(library, design_from(axes, plan=PLAN, fixed={"system": "gb200-nvl72"}, top=4), workers=1)
        assert swept.table is not None
        found.append(len(swept.table["row"].tolist()))
        assert swept.progress.points == 300 * size
    assert found == [4, 4]
    assert math.isfinite(float(np.asarray(swept.table["cost_per_token"])[0]))
