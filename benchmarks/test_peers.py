"""Side by side with public programs in one process: the same question, evaluations a second, and the error where the answer was measured.

Install what is to be compared beside aicompute: `pip install llm-analysis genz-llm aiconfigurator`. What is absent is skipped.
The measured rows are among those that aicompute's stacks were fitted to; the peers' own tables hold measurements of the same chips.
"""

import contextlib
import csv
import importlib
import importlib.metadata
import io
import itertools
import logging
import statistics
import warnings
from pathlib import Path

import numpy as np
import pytest
from measure import least, processor

EVIDENCE = Path(__file__).parent.parent / "evidence"
TRAINED = "GPT-3 175B, BF16, tp 4, pp 8, 128 to 2,048 H100: step time"
SERVED = "Llama-3.1-8B, BF16, decode on one H100 with 8 to 256 sequences: time between tokens"
LIMIT = 1.0
"""Evaluations a second of aicompute in arrays over those of a peer, at least."""

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.benchmark(group="peers")]


def rows(file, wanted):
    """Rows of the evidence by id, in the order asked."""
    with (EVIDENCE / file).open(newline="") as lines:
        found = {one["id"]: one for one in csv.DictReader(lines) if one["id"] in wanted}
    return [found[name] for name in wanted]


def training_rows():
    return rows("training.csv", [f"dgxc-{number:03d}" for number in range(79, 84)])


def serving_rows():
    return rows("serving.csv", [f"mlenergy-{number:04d}" for number in range(242, 250)])


def package(name, module):
    """A peer's version; skips where it is not installed or does not load."""
    try:
        version = importlib.metadata.version(name)
        with quiet():
            importlib.import_module(module)
    except importlib.metadata.PackageNotFoundError:
        pytest.skip(f"{name} is not installed: pip install {name}")
    except ImportError as error:
        pytest.skip(f"{name} does not load: {error}")
    return f"{name} {version}"


@contextlib.contextmanager
def quiet():
    """Peers print, warn and log."""
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


def llm_analysis():
    from llm_analysis.analysis import train

    def ask(row):
        batch, dp = int(row["global_batch"]), int(row["dp"])
        found = train(
            model_name="megatron-lm-175b", gpu_name="h100-sxm-80gb", log_level="CRITICAL", batch_size_per_gpu=int(row["micro_batch"]),
            global_batch_size=batch, seq_len=int(row["seq_len"]), dp_size=dp, tp_size=int(row["tp"]), pp_size=int(row["pp"]),
            total_num_gpus=int(row["n_accelerators"]),
        )  # fmt: skip
        return found["latency_per_iter"]

    return ask


def genz():
    from GenZ import decode_moddeling

    def ask(row):
        context, answer, batch = int(float(row["isl"])), int(float(row["osl"])), int(row["concurrency"])
        found = decode_moddeling(
            model="meta-llama/Llama-3.1-8B", batch_size=batch, input_tokens=context, output_tokens=answer // 2, Bb=1,
            system_name="H100_GPU", bits="bf16",
        )  # fmt: skip
        return found["Latency"]

    return ask


def aiconfigurator():
    from aiconfigurator.sdk.backends.factory import get_backend
    from aiconfigurator.sdk.config import ModelConfig, RuntimeConfig
    from aiconfigurator.sdk.inference_session import InferenceSession
    from aiconfigurator.sdk.models import get_model
    from aiconfigurator.sdk.perf_database import get_database, get_latest_database_version

    database = get_database("h100_sxm", "vllm", get_latest_database_version("h100_sxm", "vllm"))
    model = get_model("meta-llama/Meta-Llama-3.1-8B", ModelConfig(tp_size=1, pp_size=1), "vllm")
    session = InferenceSession(model, database, get_backend("vllm"))

    def ask(row):
        runtime = RuntimeConfig(batch_size=int(row["concurrency"]), isl=int(float(row["isl"])), osl=int(float(row["osl"])))
        return session.run_static(runtime_config=runtime, mode="static_gen", stride=32).get_result_dict()["tpot"]

    return ask


def ours(kind):
    """aicompute, one row at a time through the code that `validate` runs."""
    from aicompute.evidence import serving, training
    from aicompute.specs import Library

    lib = Library()
    if kind == "training":
        return lambda row: training.predicted(lib, row)[0]["step_time_s"]
    return lambda row: serving.predicted(lib, row)[0]["tpot_ms"]


def ours_in_arrays(kind):
    """Rows a second of a recorded program with plan, workload and load as arrays."""
    from aicompute.estimate import recorded, workload
    from aicompute.estimate.context import scene
    from aicompute.specs import Library

    draw, count = np.random.default_rng(0).choice, 1 << 16
    if kind == "training":
        s, w = scene(Library(), "dgx-h100", "gpt-3-175b", "training", accelerators=2048.0), workload.training(2048, 512)
        plan = {"cp": 1.0, "ep": 1.0, "zero": 1.0, "sequence_parallel": 1.0}
        given = {"dp": draw([4.0, 8.0, 16.0], count), "tp": draw([1.0, 2.0, 4.0, 8.0], count), "pp": draw([4.0, 8.0, 16.0], count)}
        given |= {"micro_batch": draw([1.0, 2.0, 4.0], count), "chunks": draw([1.0, 2.0, 4.0], count)}
        given |= {"recompute": draw([0.0, 1.0, 2.0], count), "global_batch": draw([256.0, 512.0, 1024.0], count)}
    else:
        s, w = scene(Library(), "dgx-h100", "llama-3.1-8b", "decode"), workload.decode()
        plan = {"dp": 1.0, "pp": 1.0, "ep": 1.0, "drafts": 0.0}
        given = {"tp": draw([1.0, 2.0, 4.0, 8.0], count), "sequences": draw(np.arange(1.0, 513.0), count)}
        given |= {"input_length": draw(np.arange(128.0, 8192.0), count), "output_length": draw(np.arange(64.0, 2048.0), count)}
    program = recorded.scene_program(s, w, plan, dict.fromkeys(given, 1))
    return count / least(lambda: program.run({name: given[name] for name in program.inputs}), rounds=5)[0]


PEERS = {
    "llm-analysis": ("llm_analysis.analysis", llm_analysis, "training"),
    "genz-llm": ("GenZ", genz, "decode"),
    "aiconfigurator": ("aiconfigurator.cli.api", aiconfigurator, "decode"),
}


@pytest.fixture
def peer(request):
    name = request.param
    module, make, kind = PEERS[name]
    version = package(name, module)
    with quiet():
        return version, make(), kind


@pytest.mark.parametrize("peer", PEERS, indirect=True)
def test_peer(peer, benchmark, capsys):
    version, theirs, kind = peer
    asked, column = (training_rows(), "step_time_s") if kind == "training" else (serving_rows(), "tpot_ms")
    mine, measured = ours(kind), [float(row[column]) for row in asked]

    def all_theirs():
        with quiet():
            return [theirs(row) for row in asked]

    def all_mine():
        return [mine(row) for row in asked]

    errors = {who: [abs(found / true - 1.0) for found, true in zip(ask(), measured, strict=True)] for who, ask in
              (("theirs", all_theirs), ("ours", all_mine))}  # fmt: skip
    turn = itertools.count(1)

    def new(ask):  # a question not asked before: some keep their answers
        extra = next(turn) if kind == "decode" else 0
        changed = [{**row, "concurrency": str(int(row["concurrency"]) + extra)} if extra else row for row in asked]
        with quiet():
            return [ask(row) for row in changed]

    slow, fast = least(lambda: new(theirs), lambda: new(mine), rounds=5)
    benchmark.pedantic(all_theirs, rounds=2)
    arrays = ours_in_arrays(kind)
    question, rates = TRAINED if kind == "training" else SERVED, (len(asked) / slow, len(asked) / fast)
    lines = [
        (version, rates[0], errors["theirs"]),
        ("aicompute, one at a time", rates[1], errors["ours"]),
        ("aicompute, arrays of all metrics", arrays, None),
    ]
    table = [
        {"what": f"{who}: {question}", "target": "", "measured": f"{rate:,.0f} evaluations/s",
         "ratio": f"median error {statistics.median(found):.1%}, {len(asked)} rows" if found else f"{arrays / rates[0]:,.0f} × the peer"}
        for who, rate, found in lines
    ]  # fmt: skip
    benchmark.extra_info.update(machine=processor(), table=table, ratio=round(rates[1] / rates[0], 2))
    with capsys.disabled():
        print(f"\n{question}")
        for one in table:
            print(f"  {one['what'].partition(':')[0]:34} {one['measured']:>28}  {one['ratio']}")
    assert arrays >= LIMIT * rates[0]
