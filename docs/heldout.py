"""Fit every layer without some of its rows, predict those, and keep the errors in ``calibration/heldout.json``."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aicompute.evidence import calibration as cal
from aicompute.evidence.fit import fit
from aicompute.evidence.free import Space
from aicompute.specs import Library

CALIBRATION = Path(__file__).parent.parent / "calibration"
STORE = CALIBRATION / "heldout.json"

LAYERS = ("products", "attention", "collectives", "training", "serving", "power")
"""In the order in which one stands on another."""
COLUMNS = ("group", "accelerator", "family", "stack", "model")
"""By which rows are left out together; those of kernels have neither groups nor models."""
KERNELS = ("accelerator", "family", "stack")
FOLDS = {"group": 5, "model": 5}
"""Into which groups and models are put together by chance, since they are many; of the other columns one word is left out at a time."""


def layers() -> list[str]:
    """Those that have a calibration file."""
    return [name for name in LAYERS if (CALIBRATION / f"{name}.toml").is_file()]


def figures(lib: Library, held: Iterable[cal.HeldOut], unseen: bool) -> dict[str, Any]:
    """What errors come to; shares. The spread of an unseen stack is that of its kind."""
    found = list(held)
    together = np.concatenate([one.logarithms for one in found])
    median, mean, p90, bias = cal.summary(together)
    inside = 0.0
    for one in found:
        stack = lib.lineage("stacks", one.stack)[1 if unseen else 0 :]
        sigma = lib.load("stacks", stack[0] if stack else one.stack).si(f"residual.{one.residual}")
        inside += one.inside(sigma) * len(one.logarithms)
    numbers = {"median": median, "mean": mean, "p90": p90, "bias": bias, "inside": inside / len(together)}
    return {"rows": len(together), **{name: round(value, 4) for name, value in numbers.items()}}


def table(lib: Library, held: Sequence[cal.HeldOut], unseen: bool, each: bool) -> list[dict[str, Any]]:
    """Figures by kind and metric, and those of every word that was left out if each is wanted."""
    sorted_by: dict[tuple[str, str, str], list[cal.HeldOut]] = defaultdict(list)
    for one in held:
        sorted_by[one.kind, one.metric, ""].append(one)
        if each:
            sorted_by[one.kind, one.metric, one.label].append(one)
    return [
        {"kind": kind, "metric": metric, **({"label": label} if label else {}), **figures(lib, found, unseen)}
        for (kind, metric, label), found in sorted(sorted_by.items())
    ]


def held_out(layer: str) -> dict[str, Any]:
    """Errors of a layer in sample and on rows left out."""
    lib = Library()
    calibration = cal.read_calibration(lib, CALIBRATION / f"{layer}.toml")
    space = Space(lib, calibration.free)
    parts = cal.calibration_parts(lib, calibration, cal.tables_of(calibration.files))
    fitted = fit(space, parts)
    used = [part for part in parts if part.weight.any()]
    seen = [one for part in used for one in cal.held_out(fitted, part, dict.fromkeys(part.batch.indices, ""), [""])]
    left_out = {}
    for column in COLUMNS if any("group" in part.table.columns for part in parts) else KERNELS:
        held = _without(lib, space, parts, column)
        left_out[column] = table(lib, held, unseen=column == "stack", each=column not in FOLDS)
    return {"values": len(calibration.free), "seen": table(lib, seen, unseen=False, each=False), "left out": left_out}


def _without(lib: Library, space: Space, parts: Sequence[Any], column: str) -> list[cal.HeldOut]:
    """Errors of rows left out by a column; nothing where all rows say the same, so that none would be left to fit."""
    words = {word for part in parts for word in cal.labels_of(lib, part, column)}
    if len(words) < 2:
        return []
    return cal.leave_out(lib, space, parts, column, FOLDS.get(column, 0), progress=_progress)


def _progress(text: str) -> None:
    print(f"{text}          ", end="\r", file=sys.stderr)


def read() -> dict[str, Any]:
    """What is kept, by layer; nothing where no fit was run yet."""
    return dict(json.loads(STORE.read_text(encoding="utf-8"))) if STORE.is_file() else {}


def renew(wanted: Sequence[str]) -> None:
    """Run the fits of some layers and keep what they give."""
    kept = {name: found for name, found in read().items() if name in layers()}
    for layer in wanted:
        print(f"{layer}: fits without some rows", file=sys.stderr)
        kept[layer] = held_out(layer)
        ordered = {name: kept[name] for name in LAYERS if name in kept}
        STORE.write_text(_written(ordered), encoding="utf-8")


def _written(kept: dict[str, Any]) -> str:
    """JSON with a line for each row of a table, so that a change shows what changed."""
    text = json.dumps(kept, ensure_ascii=False, separators=(",", ":"))
    return text.replace("{\"kind\"", "\n{\"kind\"") + "\n"
