"""Files of measurements are recognised, every row gets a prediction or a reason, and `aicompute validate` says so in every format."""

from __future__ import annotations

import csv
import gzip
import json
import math
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from aicompute import cli
from aicompute.errors import UsageError
from aicompute.evidence.files import KINDS, Row, fault_of, kind_of, read_table, shipped
from aicompute.evidence.judge import Judgement, figures, grouped, judge, limits, worst
from aicompute.specs import Library

GEMM = "accelerator,backend,dtype,m,n,k,time_us"
TRAINING = {
    "accelerator": "nvidia-h100-sxm", "n_accelerators": "8", "model": "llama-3.1-8b", "stack": "megatron-core", "seq_len": "4096",
    "global_batch": "64", "step_time_s": "2.5",
}  # fmt: skip
SERVING = {
    "accelerator": "nvidia-h100-sxm", "n_accelerators": "1", "model": "llama-3.1-8b", "stack": "vllm", "mode": "latency", "isl": "1000",
    "osl": "100", "concurrency": "4", "ttft_ms": "50", "tpot_ms": "10",
}  # fmt: skip
KERNELS = {
    "gemm": {"backend": "trtllm", "dtype": "fp8", "m": "4096", "n": "8192", "k": "8192", "time_us": "400"},
    "attention": {
        "backend": "vllm", "phase": "context", "attn_type": "GQA", "b": "1", "s": "4096", "prefix": "0", "heads": "32", "kv_heads": "8",
        "head_dim": "128", "attn_dtype": "bfloat16", "kv_cache_dtype": "bfloat16", "time_us": "300",
    },
    "moe": {
        "backend": "sglang", "moe_dtype": "bfloat16", "num_tokens": "4096", "hidden_size": "4096", "inter_size": "14336", "topk": "2",
        "num_experts": "8", "moe_tp_size": "1", "moe_ep_size": "8", "distribution": "balanced", "time_us": "800",
    },
    "collectives": {"implementation": "NCCL", "op": "all_reduce", "n_gpus": "8", "bytes": "536870912", "dtype": "half", "time_us": "2300"},
    "moe_a2a": {
        "backend": "trtllm", "op": "alltoall_dispatch:", "comm_backend": "", "dtype": "fp8", "n_ranks": "8", "hidden_size": "7168",
        "experts_per_token": "8", "num_experts": "256", "tokens_per_rank": "4096", "time_us": "600",
    },
    "power": {"op": "context_attention", "tflops": "400", "hbm_GBps": "500", "power_w": "600"},
}  # fmt: skip


def written(path: Path, rows: Sequence[dict[str, str]]) -> Path:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    return path


def kernel(kind: str, **changes: str) -> dict[str, str]:
    return {"accelerator": "nvidia-h100-sxm", **KERNELS[kind], **changes}


def judged(folder: Path, library: Library, *rows: dict[str, str]) -> list[Judgement]:
    return judge(library, read_table(written(folder / "mine.csv", rows)))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.cli, ["validate", *arguments])


def code(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        cli.main(["validate", *arguments])
    return int(left.value.code or 0)


def test_every_shipped_file_is_recognised_and_holds_no_fault() -> None:
    paths = shipped()
    assert [path.stem for path in paths] == list(KINDS)
    for path in paths:
        table = read_table(path)
        assert table.kind.name == path.stem
        assert not [row.fault for row in table.rows if row.fault]


def test_the_evidence_stays_small() -> None:
    assert sum(path.stat().st_size for path in shipped()) < 6e6


@pytest.mark.parametrize("kind", list(KINDS))
def test_extra_columns_change_nothing_and_missing_ones_are_named(kind: str) -> None:
    columns = [*KINDS[kind].required, *KINDS[kind].measured]
    assert kind_of([*columns, "colour", "notes"], "mine.csv").name == kind
    missing = KINDS[kind].required[-1]
    if kind != "power":  # of its three columns any two are few
        with pytest.raises(UsageError, match=f"mine.csv: looks like {kind}, but has no column {missing}"):
            kind_of([name for name in columns if name != missing], "mine.csv")
    with pytest.raises(UsageError, match="no column of results"):
        kind_of(KINDS[kind].required, "mine.csv")


def test_columns_of_nothing_are_refused() -> None:
    with pytest.raises(UsageError, match="fit no kind"):
        kind_of(["date", "temperature"], "weather.csv")


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ({"m": "1", "n": "", "k": "3", "time_us": "4"}, "column n: is empty"),
        ({"m": "1", "n": "2", "k": "abc", "time_us": "4"}, "column k: 'abc' is not a number"),
        ({"m": "1", "n": "2", "k": "-3", "time_us": "4"}, "column k: '-3' is not a number above 0"),
        ({"m": "1", "n": "2", "k": "inf", "time_us": "4"}, "column k: 'inf' is not a number above 0"),
        ({"m": "1", "n": "2", "k": "3", "time_us": ""}, "column time_us: nothing measured"),
        ({"m": "1", "n": "2", "k": "3", "time_us": "4"}, ""),
    ],
)
def test_faults_of_cells_name_the_column(cells: dict[str, str], said: str) -> None:
    assert fault_of(KINDS["gemm"], cells) == said


def test_packed_files_marks_of_order_and_short_rows(tmp_path: Path) -> None:
    text = "\ufeff" + GEMM + "\nnvidia-h100-sxm,trtllm,fp8,1,2,3,4\nnvidia-h100-sxm,trtllm\n"
    path = tmp_path / "mine.csv.gz"
    path.write_bytes(gzip.compress(text.encode()))
    table = read_table(path)
    assert table.columns[0] == "accelerator"
    assert [row.fault for row in table.rows] == ["", "column m: is empty"]


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"a,b\n1,2\n", f"{GEMM}\n".encode()])
def test_wrong_files_are_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "wrong.csv"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"wrong\.csv"):
        read_table(path)


@pytest.mark.parametrize("kind", list(KERNELS))
def test_a_kernel_is_predicted_within_a_factor_of_two(kind: str, tmp_path: Path, library: Library) -> None:
    """The measured values are round numbers near published ones of H100: this checks units, not accuracy."""
    (one,) = judged(tmp_path, library, kernel(kind))
    assert one.kind == kind
    assert 0.5 < one.predicted / one.measured < 2.0
    assert one.low < one.predicted < one.high
    assert one.predicted / one.low == pytest.approx(one.high / one.predicted)


@pytest.mark.parametrize(
    ("kind", "column", "values"),
    [
        ("gemm", "m", ("1024", "8192")),
        ("gemm", "dtype", ("fp8", "bfloat16")),
        ("attention", "s", ("2048", "8192")),
        ("attention", "prefix", ("0", "8192")),
        ("moe", "num_tokens", ("1024", "8192")),
        ("moe", "moe_ep_size", ("8", "1")),
        ("moe", "distribution", ("balanced", "power_law_1.2")),
        ("collectives", "bytes", ("1024", "1073741824")),
        ("collectives", "op", ("all_gather", "all_reduce")),
        ("moe_a2a", "tokens_per_rank", ("16", "16384")),
        ("moe_a2a", "dtype", ("nvfp4", "bfloat16")),
        ("power", "tflops", ("100", "700")),
    ],
)
def test_more_work_takes_more(kind: str, column: str, values: tuple[str, str], tmp_path: Path, library: Library) -> None:
    less, more = judged(tmp_path, library, *(kernel(kind, **{column: value}) for value in values))
    assert less.predicted < more.predicted


def test_latent_attention_expands_in_prefill_and_stays_latent_in_decode(tmp_path: Path, library: Library) -> None:
    latent = {"attn_type": "MLA", "heads": "128", "kv_heads": "1", "head_dim": "576", "s": "8192", "b": "32"}
    whole = {**latent, "attn_type": "GQA", "kv_heads": "128", "head_dim": "160"}
    prefill = [kernel("attention", **row) for row in (latent, whole)]
    decode = [kernel("attention", phase="generation", **row) for row in (latent, whole)]
    same, reference, small, large = (one.predicted for one in judged(tmp_path, library, *prefill, *decode))
    assert same == pytest.approx(reference, rel=0.2)
    assert small < 0.3 * large


def test_a_group_of_rows_says_what_its_rows_say_alone(library: Library) -> None:
    table = read_table(shipped()[list(KINDS).index("gemm")])
    few = [table.rows[index] for index in (0, 2500, 7800)]
    together = judge(library, table)
    for row in few:
        (alone,) = judge(library, type(table)(table.name, table.kind, table.columns, (row,)))
        assert alone.predicted == pytest.approx(together[row.number - 1].predicted, rel=1e-12)


@pytest.mark.parametrize(
    ("kind", "change", "said"),
    [
        ("gemm", {"accelerator": "nvidia-h100-smx"}, "column accelerator: unknown .*did you mean 'nvidia-h100-sxm'"),
        ("gemm", {"accelerator": ""}, "column accelerator: is empty"),
        ("gemm", {"dtype": "fp9"}, "column dtype: unknown number format 'fp9'"),
        ("attention", {"phase": "both"}, "column phase"),
        ("collectives", {"op": "scatter"}, "column op: unknown collective"),
        ("moe_a2a", {"op": "send"}, "column op"),
    ],
)
def test_unknown_words_leave_out_their_row_only(kind: str, change: dict[str, str], said: str, tmp_path: Path, library: Library) -> None:
    wrong, right = judged(tmp_path, library, kernel(kind, **change), kernel(kind))
    assert not right.skipped
    with pytest.raises(UsageError, match=said):
        raise UsageError(wrong.skipped)


def test_a_backend_nobody_knows_gets_the_prior(tmp_path: Path, library: Library) -> None:
    (one,) = judged(tmp_path, library, kernel("gemm", backend="my-engine"))
    assert one.label("stack") == "generic-serving"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": "gpt-9"}, "column model"),
        ({"accelerator": "abacus"}, "column accelerator: unknown accelerator 'abacus'"),
        ({"accelerator": ""}, "column accelerator: is empty"),
        ({"n_accelerators": ""}, "column n_accelerators: is empty"),
        ({"tp": "two"}, "column tp: 'two' is not a number"),
        ({"pp": "0"}, ""),
        ({"stack": "my-trainer"}, None),
        ({"system": "my-cluster"}, None),
    ],
)
def test_training_rows(change: dict[str, str], said: str | None, tmp_path: Path, library: Library) -> None:
    one, whole = judged(tmp_path, library, {**TRAINING, **change}, TRAINING)
    assert not whole.skipped
    assert whole.metric == "step_time_s"
    if said is None:
        assert not one.skipped
    else:
        assert one.skipped
        assert said in one.skipped


def test_training_rows_may_measure_tokens_only(tmp_path: Path, library: Library) -> None:
    rate = {**TRAINING, "step_time_s": "", "tokens_per_s_per_accelerator": "10000"}
    step, tokens = judged(tmp_path, library, TRAINING, rate)
    assert tokens.metric == "tokens_per_s_per_accelerator"
    assert tokens.predicted * step.predicted * 8 == pytest.approx(4096 * 64)


def test_an_unknown_stack_has_the_wider_interval(tmp_path: Path, library: Library) -> None:
    known, unknown = judged(tmp_path, library, {**SERVING, "stack": "sglang"}, {**SERVING, "stack": "my-engine"})[::2]
    assert math.log(unknown.high / unknown.low) > math.log(known.high / known.low)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"mode": "fast"}, "column mode"),
        ({"mode": "mixed-server-fixed-QPS"}, "column request_rate"),
        ({"mode": "mixed-offline-max-throughput", "tpot_ms": ""}, "nothing measured"),
        ({"model": "gpt-9"}, "column model"),
        ({"mode": "mixed-closed-loop", "concurrency": ""}, None),
    ],
)
def test_serving_rows(change: dict[str, str], said: str | None, tmp_path: Path, library: Library) -> None:
    found = judged(tmp_path, library, {**SERVING, **change})
    if said is None:
        assert [one.metric for one in found] == ["ttft_ms", "tpot_ms"]
        assert not any(one.skipped for one in found)
    else:
        assert said in found[0].skipped


def made(predicted: float, measured: float = 100.0, **extra: str) -> Judgement:
    return Judgement("mine.csv", "gemm", Row(1, {}), "a", "time_us", measured, predicted, predicted / 1.2, predicted * 1.2, "", extra)


def test_figures() -> None:
    found = figures([made(90.0), made(110.0), made(130.0)])
    assert (found.count, found.median, found.bias) == (3, pytest.approx(0.1), pytest.approx(0.1))
    assert found.mean == pytest.approx(0.5 / 3)
    assert found.inside == pytest.approx(2 / 3)
    assert figures([]).count == 0
    assert math.isnan(figures([]).median)


def test_half_is_as_far_off_as_double() -> None:
    assert [one.predicted for one in worst([made(160.0), made(50.0), made(100.0)], 2)] == [50.0, 160.0]


def test_groups_leave_out_rows_that_say_nothing() -> None:
    assert list(grouped([made(90.0, colour="red"), made(90.0)], "colour")) == [("gemm", "time_us", "red")]


def test_limits_need_rows() -> None:
    rows = [made(90.0, colour="red"), made(130.0, colour="blue")]
    wanted = {"gemm": {"time_us": 25, "colour": {"red": {"time_us": 5}, "green": {"time_us": 99}}}}
    assert [(one.kept, one.count) for one in limits(rows, wanted)] == [(True, 2), (False, 1), (False, 0)]


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    rows = [kernel("gemm", id="good"), kernel("gemm", m="x"), kernel("gemm", dtype="fp9")]
    return written(tmp_path / "mine.csv", rows)


def test_json_is_the_contract(mine: Path) -> None:
    found = json.loads(run(str(mine), "--format", "json", "--by", "dtype").stdout)
    assert list(found) == ["schema", "rows", "summary"]
    first, second, third = found["rows"]
    assert list(first) == ["file", "id", "group", "metric", "measured", "predicted", "low", "high", "error"]
    assert (first["file"], first["id"], first["group"], first["metric"]) == ("mine.csv", "good", "nvidia-h100-sxm", "time_us")
    assert first["error"] == pytest.approx(first["predicted"] / first["measured"] - 1.0)
    assert (second["id"], second["skipped"]) == ("2", "row 2, column m: 'x' is not a number")
    assert "error" not in third
    summary = found["summary"]
    assert (summary["rows"], summary["judged"], summary["skipped"]) == (3, 1, 2)
    assert summary["by"]["dtype"][0]["dtype"] == "fp8"


@pytest.mark.parametrize("format", ["table", "markdown", "csv"])
def test_other_formats(mine: Path, format: str) -> None:
    found = run(str(mine), "--format", format)
    assert found.exit_code == 0
    assert "column m: 'x' is not a number" in found.stdout
    if format == "table":
        assert max(map(len, found.stdout.splitlines())) <= 80


def test_a_wrong_file_does_not_hide_the_others(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert code(str(mine), str(mine.parent / "none.csv")) == 2
    told = capsys.readouterr()
    assert "gemm time" in told.out
    assert "none.csv: cannot be read" in told.err


def test_a_folder_stands_for_its_files(mine: Path) -> None:
    mine.rename(mine.parent / "gemm.csv")
    assert "gemm time" in run(str(mine.parent)).stdout


def test_tolerance(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    limit = mine.parent / "limits.toml"
    limit.write_text("[gemm]\ntime_us = 99\n")
    assert code(str(mine), "--tolerance", str(limit)) == 0
    limit.write_text("[gemm]\ntime_us = 0.001\n[moe]\ntime_us = 99\n")
    assert code(str(mine), "--tolerance", str(limit)) == 3
    assert "moe, time_us: no rows" in capsys.readouterr().err
    for text, status in (("[gemm]\ntime_us = 'a'\n", 1), ("gemm = 3\n", 1), ("[[", 2)):
        limit.write_text(text)
        assert code(str(mine), "--tolerance", str(limit)) == status
    assert code(str(mine), "--tolerance", str(mine.parent / "none.toml")) == 2


def test_values_can_be_changed(mine: Path) -> None:
    def predicted(*options: str) -> float:
        return float(json.loads(run(str(mine), "--format", "json", *options).stdout)["rows"][0]["predicted"])

    assert predicted("--set", "nvidia-h100-sxm.peak.fp8=1000 TFLOP/s") > 1.3 * predicted()


def test_columns_to_group_by_must_exist(mine: Path) -> None:
    assert code(str(mine), "--by", "dtpye") == 2
