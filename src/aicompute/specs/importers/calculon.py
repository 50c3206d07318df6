"""Read the system and model files of Calculon (Isaev et al., SC 2023; github.com/calculon-ai/calculon).

Calculon's efficiency is a staircase over sizes; the share that the largest size reaches becomes ours, since small sizes are slow here for
other reasons (launch, shape). What its files do not hold (rated power, vendor, vocabulary) is left out: the check of the file names it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aicompute.errors import SpecError
from aicompute.specs.importers.toml import fact, number, object_with, read_json, write

SOURCE = "calculon-file"
PROGRAM = "Calculon"
_PRECISIONS = {
    "float64": "fp64",
    "float32": "tf32",
    "tfloat32": "tf32",
    "float16": "bf16",
    "bfloat16": "bf16",
    "float8": "fp8",
    "int8": "int8",
}
_OLD_NAMES = {"bw": "bandwidth", "eff": "efficiency"}
_TIERS = {1: ["scale-up"], 2: ["scale-up", "scale-out"], 3: ["in-package", "scale-up", "scale-out"]}


def import_system(path: Path) -> dict[str, str]:
    """A Calculon system as an accelerator and a system.

    Parameters
    ----------
    path : Path
        ``systems/*.json`` of Calculon.

    Returns
    -------
    dict
        Text by file name below a specs folder: ``accelerators/<stem>.toml`` and ``systems/<stem>.toml``.

    Raises
    ------
    SpecError
        The file is not a Calculon system; every missing key is named.

    Notes
    -----
    ``size`` of the first network is taken as what can be bought: a node of so many processors, one device each. ``bandwidth`` is per
    processor and direction, capacity in GiB.
    """
    path = Path(path)
    data = read_json(path, ("matrix", "mem1", "networks"), PROGRAM)
    stem = path.stem.lower().replace("_", "-").replace(" ", "-")
    return {f"accelerators/{stem}.toml": write(_accelerator(data, path, stem)), f"systems/{stem}.toml": write(_system(data, path, stem))}


def import_model(path: Path) -> str:
    """A Calculon model as a dense transformer.

    Calculon models have plain multi-head attention and an FFN without gate; its files hold no vocabulary, which must be added.

    Parameters
    ----------
    path : Path
        ``models/*.json`` of Calculon.
    """
    path = Path(path)
    data = read_json(path, ("hidden", "feedforward", "attn_heads", "attn_size", "num_blocks"), PROGRAM)
    heads = number(data, "attn_heads", str(path), whole=True)
    spec = {
        "name": path.stem,
        "source": SOURCE,
        "notes": "Imported from Calculon, whose files hold no vocabulary: add vocab_size.",
        "hidden_size": number(data, "hidden", str(path), whole=True),
        "num_layers": number(data, "num_blocks", str(path), whole=True),
        "num_heads": heads,
        "num_kv_heads": heads,
        "head_dim": number(data, "attn_size", str(path), whole=True),
        "attention": "mha",
        "intermediate_size": number(data, "feedforward", str(path), whole=True),
        "gated": False,
        "tied_embeddings": True,
        "attention_bias": True,
    }
    return write(spec)


def _accelerator(data: dict[str, Any], path: Path, stem: str) -> dict[str, Any]:
    """The processor, its memory and what they reach."""
    memory = object_with(data["mem1"], ("GiB", "GBps"), f"{path}: mem1", PROGRAM)
    peaks, shares = _peaks(data["matrix"], path)
    efficiency = {precision: fact(share, "1", SOURCE, "at the largest size") for precision, share in shares.items()}
    stairs = memory.get("MB_efficiency", memory.get("efficiency"))
    if stairs is not None:
        efficiency["memory"] = fact(_best(stairs, f"{path}: mem1"), "1", SOURCE, "at the largest size")
    return {
        "name": path.stem,
        "extends": "generic",
        "vendor": "unknown",
        "family": "unknown",
        "default_system": stem,
        "notes": "Imported from Calculon, whose files hold no rated power: add power.tdp; set vendor and family.",
        "devices": fact(1, "device/accelerator", SOURCE),
        "peak": {precision: fact(peak, "TFLOP/s", SOURCE) for precision, peak in peaks.items()},
        "memory": {
            "capacity": fact(number(memory, "GiB", f"{path}: mem1"), "GiB", SOURCE),
            "bandwidth": fact(number(memory, "GBps", f"{path}: mem1"), "GB/s", SOURCE),
        },
        **({"efficiency": efficiency} if efficiency else {}),
    }


def _peaks(matrix: Any, path: Path) -> tuple[dict[str, float], dict[str, float]]:
    """Peak [TFLOP/s] and efficiency by precision: one peak for all data types, or one a data type."""
    where = f"{path}: matrix"
    engine = object_with(matrix, (), where, PROGRAM)
    if "tflops" in engine:
        curves = engine.get("gflops_efficiency", {"float16": engine.get("efficiency", 1.0)})
        entries = {name: {"tflops": engine["tflops"], "gflops_efficiency": curve} for name, curve in curves.items()}
    else:
        entries = {name: object_with(entry, ("tflops",), f"{where}: {name}", PROGRAM) for name, entry in engine.items()}
    known = {name: entry for name, entry in entries.items() if name in _PRECISIONS}
    if not known:
        raise SpecError(f"{where}: no data type among {', '.join(_PRECISIONS)}; found {', '.join(entries) or 'nothing'}")
    peaks = {_PRECISIONS[name]: number(entry, "tflops", f"{where}: {name}") for name, entry in known.items()}
    shares = {_PRECISIONS[name]: _best(entry.get("gflops_efficiency", 1.0), f"{where}: {name}") for name, entry in known.items()}
    return peaks, shares


def _system(data: dict[str, Any], path: Path, stem: str) -> dict[str, Any]:
    """The networks as tiers, one domain of the first as the unit."""
    networks = data["networks"]
    if not isinstance(networks, list) or not 1 <= len(networks) <= len(_TIERS):
        raise SpecError(f"{path}: networks: expected a list of 1 to {len(_TIERS)} networks")
    names = _TIERS[len(networks)]
    tiers = [_tier(names[place], network, f"{path}: networks[{place}]") for place, network in enumerate(networks)]
    size = tiers[0]["domain"]["value"]
    return {
        "name": path.stem,
        "vendor": "unknown",
        "accelerator": stem,
        "unit": "node",
        "notes": "Imported from Calculon.",
        "accelerators": fact(size, "accelerator", SOURCE, "size of the first network"),
        "tiers": tiers,
    }


def _tier(name: str, network: Any, where: str) -> dict[str, Any]:
    """One network; older files say bw and eff."""
    given = network if isinstance(network, dict) else {}
    found = object_with({_OLD_NAMES.get(key, key): item for key, item in given.items()}, ("bandwidth", "size"), where, PROGRAM)
    latency = found.get("latency", 0.0)
    if isinstance(latency, bool) or not isinstance(latency, (int, float)) or latency < 0:
        raise SpecError(f"{where}: latency: is {latency!r}, expected seconds")
    tier = {
        "name": name,
        "domain": fact(number(found, "size", where, whole=True), "device", SOURCE),
        "bandwidth": fact(number(found, "bandwidth", where), "GB/s", SOURCE, "per processor and direction"),
        "latency": fact(latency, "s", SOURCE),
    }
    if "efficiency" in found:
        tier["efficiency"] = fact(_best(found["efficiency"], where), "1", SOURCE)
    return tier


def _best(efficiency: Any, where: str) -> float:
    """The largest share of an efficiency: a number, or a staircase of [size, share]."""
    try:
        share = max(float(step[1]) for step in efficiency) if isinstance(efficiency, list) else float(efficiency)
    except (TypeError, ValueError, IndexError, KeyError):
        share = 0.0
    if not 0.0 < share <= 1.0:
        raise SpecError(f"{where}: efficiency is {efficiency!r}, expected a share up to 1 or a list of [size, share]")
    return share
