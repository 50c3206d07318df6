"""Read the GPU files of llm-analysis (github.com/cli99/llm-analysis)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aicompute.specs.importers.toml import fact, number, read_json, write

SOURCE = "llm-analysis-file"
PROGRAM = "llm-analysis"
_PEAKS = {"peak_fp16_TFLOPS": "bf16", "peak_i8_TFLOPS": "int8"}


def import_gpu(path: Path) -> str:
    """A GPU of llm-analysis as an accelerator.

    Parameters
    ----------
    path : Path
        ``gpu_configs/*.json`` of llm-analysis.

    Raises
    ------
    SpecError
        The file is not a GPU of llm-analysis; every missing key is named.

    Notes
    -----
    Memory is in GiB, as that program counts it. Its bandwidths between GPUs belong to a system and stand in the notes only; the 4-bit
    integer peak has no place here. Rated power is not in the file: the check of the file asks for it.
    """
    path = Path(path)
    data = read_json(path, ("mem_per_GPU_in_GB", "hbm_bandwidth_in_GB_per_sec", "peak_fp16_TFLOPS"), PROGRAM)
    peaks = {precision: fact(number(data, key, str(path)), "TFLOP/s", SOURCE) for key, precision in _PEAKS.items() if data.get(key)}
    spec: dict[str, Any] = {
        "name": str(data.get("name") or path.stem),
        "extends": "generic",
        "vendor": "unknown",
        "family": "unknown",
        "notes": _notes(data),
        "devices": fact(1, "device/accelerator", SOURCE),
        "peak": peaks,
        "memory": {
            "capacity": fact(number(data, "mem_per_GPU_in_GB", str(path)), "GiB", SOURCE),
            "bandwidth": fact(number(data, "hbm_bandwidth_in_GB_per_sec", str(path)), "GB/s", SOURCE),
        },
    }
    return write(spec)


def _notes(data: dict[str, Any]) -> str:
    """What the file says beyond the accelerator."""
    words = {"intra_node_bandwidth_in_GB_per_sec": "GB/s inside a node", "inter_node_bandwidth_in_GB_per_sec": "GB/s between nodes"}
    links = ", ".join(f"{data[key]:g} {text}" for key, text in words.items() if isinstance(data.get(key), (int, float)))
    return "Imported from llm-analysis" + (f" ({links})" if links else "") + ": add power.tdp; set vendor and family."
