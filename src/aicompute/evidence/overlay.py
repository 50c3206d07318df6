"""Spec files of calibrated values: a stack that extends the one it was made from, and accelerators and systems of the same name."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aicompute import units
from aicompute.errors import AicomputeError, UsageError
from aicompute.estimate import inputs
from aicompute.evidence.calibration import rounded
from aicompute.evidence.files import Row, Table
from aicompute.evidence.own import Calibrated, Change
from aicompute.evidence.serving import row_system
from aicompute.specs import Library, schema
from aicompute.specs.files import built_in
from aicompute.specs.importers.toml import write as toml
from aicompute.specs.library import normal

SOURCE = "calibrated-by-user"
"""Key of sources.toml for values that somebody fitted to measurements of their own."""

SMALL_MODEL = "llama-3.1-8b"


@dataclass(frozen=True)
class Target:
    """Where calibrated values go."""

    folder: Path
    """Of specs; works with ``--specs``."""
    stack: str
    """Id of the new stack."""

    @property
    def file(self) -> Path:
        """Of the stack."""
        return self.folder / "stacks" / f"{self.stack}.toml"


def target_of(output: Path, lib: Library, base: str) -> Target:
    """Where calibrated values go: ``FOLDER/stacks/ID.toml``; ``FOLDER/ID.toml`` is understood so, and a folder takes ``BASE-own``.

    Raises
    ------
    UsageError
        The id cannot be one, or belongs to another stack.
    """
    if output.suffix != ".toml":
        target = Target(output, f"{base}-own")
    else:
        inside = output.parent.name if output.parent.name in schema.KINDS else ""
        if inside not in ("", "stacks"):
            raise UsageError(f"--output {str(output)!r}: a stack lies in a folder stacks, not {inside}")
        target = Target(output.parent.parent if inside else output.parent, output.stem)
    name = target.stack
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]*", name):
        better = re.sub(r"[^a-z0-9._-]", "", normal(name)) or "my-stack"
        raise UsageError(f"--output {str(output)!r}: {name!r} cannot be an id; try {better}.toml")
    if name in lib.ids("stacks", abstract=True):
        there = lib.load("stacks", name).path
        if name != base and (there.resolve() != target.file.resolve() or there.is_relative_to(built_in())):
            raise UsageError(f"--output {str(output)!r}: {name!r} is another stack, {there}; give the new one another name")
    return target


def overlay(lib: Library, found: Calibrated, stack: str, said: str) -> dict[tuple[str, str], str]:
    """Texts of spec files by kind and id; the stack only where a value of it changed.

    Parameters
    ----------
    lib : Library
    found : Calibrated
    stack : str         Id of the new stack.
    said : str          What it was made from, for ``notes``.
    """
    owners: dict[tuple[str, str], list[Change]] = {}
    for one in found.changes:
        owners.setdefault((one.place[0], one.place[1]), []).append(one)
    texts = {}
    for (kind, identifier), changes in owners.items():
        new = stack if kind == "stacks" else identifier
        spec = lib.load(kind, identifier)
        name = f"{stack} (from {identifier})" if kind == "stacks" else f"{spec.name}, calibrated"
        data: dict[str, Any] = {"name": name, "extends": identifier}
        if kind == "stacks":
            data["kind"] = str(spec.get("kind"))
        data["notes"] = said
        for one in changes:
            _put(data, one.place[2], _fact(one))
        data["calibration"] = {
            "parameters": [f"{one.place[0]}/{stack if one.place[0] == 'stacks' else one.place[1]} {one.place[2]}" for one in found.changes],
            "correlation": [" ".join(f"{value:.3f}" for value in row) for row in found.correlation],
        }
        tiers = data.pop("tiers", None)
        if tiers is not None:  # the list says which tiers there are
            data["tiers"] = [{"name": name, **tiers.get(name, {})} for name in spec.get("tiers")]
        texts[kind, new] = toml(data)
    return texts


def _put(data: dict[str, Any], path: str, item: Mapping[str, Any]) -> None:
    """Set an item at a dotted path."""
    *above, last = path.split(".")
    for part in above:
        data = data.setdefault(part, {})
    data[last] = item


def _fact(one: Change) -> dict[str, Any]:
    """A value as a spec file states it, within what is plausible."""
    unit = one.before.unit
    key = schema.keys(one.place[0]).get(schema.general(one.place[2]))
    least, most = schema.bounds(key) if key else (-schema.INFINITE, schema.INFINITE)
    value, low, high = (rounded(units.to_unit(min(max(number, least), most), unit)) for number in (one.value, one.low, one.high))
    meaning = one.before.note.partition(";")[0]  # what follows is about the value before
    note = "; ".join(filter(None, [meaning, f"was {rounded(one.before.written[0]):g}"]))
    return {"value": value, "unit": unit, "kind": "derived", "source": SOURCE, "low": low, "high": high, "note": note}


def refuse(lib: Library, target: Target, files: Sequence[tuple[str, str]], base: str, force: bool) -> None:
    """Refuse to write over files, by kind and id.

    Raises
    ------
    UsageError
        One exists and is not to be overwritten, or is what the new one would extend.
    """
    for kind, name in files:
        path = target.folder / kind / f"{name}.toml"
        extended = kind != "stacks" or name == base
        if extended and name in lib.ids(kind, abstract=True) and lib.load(kind, name).path.resolve() == path.resolve():
            raise UsageError(f"--output: {path} is what would be extended; choose another folder or name")
        if path.exists() and not force:
            raise UsageError(f"--output: {path} exists; --force overwrites it")


def written(texts: Mapping[tuple[str, str], str], target: Target) -> list[Path]:
    """Write the files of an overlay.

    Raises
    ------
    UsageError
        It cannot be written.
    """
    paths = {target.folder / kind / f"{name}.toml": text for (kind, name), text in texts.items()}
    for path, text in paths.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise UsageError(f"--output: cannot write {path}: {error.strerror}") from None
    return list(paths)


def command_of(lib: Library, found: Calibrated, target: Target) -> str:
    """A command that uses an overlay, for the system and model that most rows are of."""
    cases = Counter(_case(lib, table, row) for table, row in found.used)
    system, model, accelerators = cases.most_common(1)[0][0]
    workload = "training" if found.base.get("kind") == "training" else "decode"
    words = ["aicompute", "estimate", system, "--workload", workload, "--model", model]
    words += ["--accelerators", accelerators] if accelerators else []
    words += ["--stack", target.stack] if any(one.place[0] == "stacks" for one in found.changes) else []
    return shlex.join([*words, "--specs", str(target.folder)])


def _case(lib: Library, table: Table, row: Row) -> tuple[str, str, str]:
    """System, model and number of accelerators of a row; a small model where it names none that is known."""
    system, _ = row_system(lib, row.cells)
    count = row.number_in("n_accelerators") if table.kind.name in ("training", "serving") else 0.0
    try:
        model = lib.load("models", row.text("model"))
        inputs.architecture(model)
        return system.id, model.id, f"{count:g}" if count else ""
    except AicomputeError:
        return system.id, SMALL_MODEL, f"{count:g}" if count else ""
