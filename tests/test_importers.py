"""Files of Calculon and llm-analysis, self-written in their formats."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from aicompute.errors import SpecError
from aicompute.specs import Library
from aicompute.specs.importers import calculon, llm_analysis
from aicompute.specs.importers.toml import write

SYSTEM: dict[str, Any] = {
    "matrix": {"tflops": 200, "gflops_efficiency": {"float16": [[100, 0.85], [10, 0.7], [0, 0.1]]}},
    "vector": {"tflops": 20, "gflops_efficiency": {"float16": [[0, 0.5]]}},
    "mem1": {"GiB": 64, "GBps": 1600, "MB_efficiency": [[50, 0.8], [0, 0.2]]},
    "mem2": {"GiB": 256, "GBps": 30, "MB_efficiency": [[0, 0.9]]},
    "processing_mode": "no_overlap",
    "networks": [
        {"bandwidth": 250, "efficiency": 0.7, "size": 4, "latency": 0.000002, "ops": {"p2p": 1.0}, "processor_usage": 0.1},
        {"bandwidth": 20, "efficiency": 0.8, "size": 1024, "latency": 0.000005, "ops": {"p2p": 1.0}, "processor_usage": 0.0},
    ],
}
MODEL = {"hidden": 1024, "feedforward": 4096, "seq_size": 2048, "attn_heads": 16, "attn_size": 64, "num_blocks": 24}
GPU = {
    "name": "test-gpu-64gb",
    "mem_per_GPU_in_GB": 64,
    "hbm_bandwidth_in_GB_per_sec": 1600,
    "intra_node_bandwidth_in_GB_per_sec": 250,
    "intra_node_min_message_latency": 8e-06,
    "peak_fp16_TFLOPS": 200,
    "peak_i8_TFLOPS": 400,
    "peak_i4_TFLOPS": 800,
    "inter_node_bandwidth_in_GB_per_sec": 100,
}
TDP = '\n[power]\ntdp = { value = 500, unit = "W", kind = "assumed", source = "s", low = 400, high = 600 }\n'


def _file(folder: Path, name: str, data: object) -> Path:
    path = folder / name
    path.write_text(data if isinstance(data, str) else json.dumps(data), encoding="utf-8")
    return path


def _library(folder: Path, files: dict[str, str]) -> Library:
    for name, text in files.items():
        (folder / "specs" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "specs" / name).write_text(text, encoding="utf-8")
    return Library([folder / "specs"])


def test_a_calculon_system_becomes_an_accelerator_and_a_system(tmp_path: Path) -> None:
    files = calculon.import_system(_file(tmp_path, "box_4x.json", SYSTEM))
    assert set(files) == {"accelerators/box-4x.toml", "systems/box-4x.toml"}
    files["accelerators/box-4x.toml"] += TDP
    library = _library(tmp_path, files)
    chip, system = library.load("accelerators", "box-4x"), library.load("systems", "box-4x")
    assert chip.si("peak.bf16") == 200e12
    assert chip.si("memory.capacity") == 64 * 2**30
    assert chip.si("memory.bandwidth") == 1.6e12
    assert (chip.si("efficiency.bf16"), chip.si("efficiency.memory")) == (0.85, 0.8)
    assert system.si("accelerators") == 4
    assert list(system.data["tiers"]) == ["scale-up", "scale-out"]
    assert system.si("tiers.scale-out.bandwidth") == 20e9
    assert system.si("tiers.scale-up.latency") == pytest.approx(2e-6)
    assert system.value("tiers.scale-out.domain").source == calculon.SOURCE


def test_what_a_calculon_file_lacks_is_named(tmp_path: Path) -> None:
    library = _library(tmp_path, calculon.import_system(_file(tmp_path, "box.json", SYSTEM)))
    with pytest.raises(SpecError, match=r"power\.tdp: is missing, expected a value in W"):
        library.load("accelerators", "box")
    library = _library(tmp_path, {"models/small.toml": calculon.import_model(_file(tmp_path, "small.json", MODEL))})
    with pytest.raises(SpecError, match=r"vocab_size: is missing, expected a whole number"):
        library.load("models", "small")


def test_older_and_newer_spellings_of_calculon(tmp_path: Path) -> None:
    data = copy.deepcopy(SYSTEM)
    data["matrix"] = {"float16": {"tflops": 200, "gflops_efficiency": [[0, 0.8]]}, "float8": {"tflops": 400}, "posit": {"tflops": 1}}
    data["networks"] = [{"bw": 250, "eff": 0.7, "size": 4, "ops": {}}]
    files = calculon.import_system(_file(tmp_path, "box.json", data))
    files["accelerators/box.toml"] += TDP
    library = _library(tmp_path, files)
    assert library.load("accelerators", "box").si("peak.fp8") == 400e12
    assert library.load("systems", "box").si("tiers.scale-up.efficiency") == 0.7


def test_a_calculon_model(tmp_path: Path) -> None:
    text = calculon.import_model(_file(tmp_path, "small.json", MODEL)).replace("gated", "vocab_size = 51200\ngated")
    model = _library(tmp_path, {"models/small.toml": text}).load("models", "small")
    assert [model.si(key) for key in ("hidden_size", "num_layers", "num_heads", "num_kv_heads", "head_dim", "intermediate_size")] == [
        1024, 24, 16, 16, 64, 4096,
    ]  # fmt: skip
    assert model.get("gated") is False


def test_a_gpu_of_llm_analysis(tmp_path: Path) -> None:
    text = llm_analysis.import_gpu(_file(tmp_path, "gpu.json", GPU)) + TDP
    chip = _library(tmp_path, {"accelerators/gpu.toml": text}).load("accelerators", "gpu")
    assert (chip.name, chip.si("peak.bf16"), chip.si("peak.int8")) == ("test-gpu-64gb", 200e12, 400e12)
    assert chip.si("memory.capacity") == 64 * 2**30
    assert "250 GB/s inside a node" in chip.get("notes")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("{", "not valid JSON"),
        ("[]", "is not a JSON object"),
        ({"matrixx": 1}, "matrix: is missing in this file of Calculon; there is 'matrixx'"),
        ({**SYSTEM, "mem1": {"GiB": 64}}, "mem1: GBps: is missing"),
        ({**SYSTEM, "mem1": {"GiB": 0, "GBps": 3}}, "mem1: GiB: is 0, expected a positive number"),
        ({**SYSTEM, "mem1": {"GiB": 1, "GBps": 3, "MB_efficiency": [[0, 3]]}}, "expected a share up to 1 or a list of [size, share]"),
        ({**SYSTEM, "matrix": {"tflops": 3, "gflops_efficiency": {"posit": 1}}}, "no data type among float64"),
        ({**SYSTEM, "networks": []}, "expected a list of 1 to 3 networks"),
        ({**SYSTEM, "networks": [3]}, "networks[0]: bandwidth: is missing"),
        ({**SYSTEM, "networks": [{"bandwidth": 1, "size": 2.5}]}, "networks[0]: size: is 2.5, expected a positive whole number"),
        ({**SYSTEM, "networks": [{"bandwidth": 1, "size": 2, "latency": -1}]}, "latency: is -1, expected seconds"),
    ],
)
def test_files_that_are_none_of_calculon(tmp_path: Path, change: object, message: str) -> None:
    path = _file(tmp_path, "box.json", change)
    with pytest.raises(SpecError) as error:
        calculon.import_system(path)
    assert message in str(error.value)
    assert str(path) in str(error.value)


def test_files_that_are_none_of_llm_analysis_or_absent(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"mem_per_GPU_in_GB: is missing in this file of llm-analysis"):
        llm_analysis.import_gpu(_file(tmp_path, "gpu.json", {}))
    with pytest.raises(SpecError, match=r"cannot be read: No such file"):
        llm_analysis.import_gpu(tmp_path / "none.json")


def test_written_toml_reads_back() -> None:
    import tomllib

    data = {"a": 'quote " \\ ü', "b": [1, 2.5], "c": {"d": {"e": True}}, "f": [{"g": 1}, {"g": 2, "h": {"value": 1}}]}
    assert tomllib.loads(write(data)) == data
