"""A sweep on disk: partitioned Parquet, whose files are whole or absent, and a note that tells which sweep it is."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aicompute
from aicompute.errors import AicomputeError, UsageError
from aicompute.specs import Library
from aicompute.sweep.cases import Case
from aicompute.sweep.columns import Heading
from aicompute.sweep.design import Design
from aicompute.sweep.rows import Block
from aicompute.sweep.table import Table, length, parquet_of, table_of
from aicompute.units import from_unit

NOTE = "_sweep.json"
BEST = "_best.parquet"
NEW = ".new"
UNITS = "All numbers are in SI units with bytes, tokens, FLOP and USD, as `unit` of each column says; shares are not percent."


class Store:
    """A folder of a sweep.

    Parameters
    ----------
    folder : Path
    design, cases, columns   What is swept.
    library : Library   Its specs: with others, the rows would be others.

    Raises
    ------
    UsageError
        The folder holds another sweep, or something else.
    AicomputeError
        It cannot be made.
    """

    def __init__(self, folder: Path, design: Design, cases: Sequence[Case], columns: Mapping[str, Heading], library: Library) -> None:
        self.folder, self.cases, self.top = folder, cases, design.top
        self.note: dict[str, Any] = {
            "schema": 1,
            "sweep": hashlib.blake2b(f"{design.digest}|{specs_digest(library)}".encode(), digest_size=12).hexdigest(),
            "points": sum(case.rows for case in cases),
            "axes": [list(axis.names) for axis in design.axes],
            "design": json.loads(json.dumps(asdict(design), default=str)),
            "units": UNITS,
            "columns": {name: _column(heading) for name, heading in columns.items()},
            "complete": False,
        }
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise AicomputeError(f"{folder}: cannot be made: {error.strerror}") from None
        before = self._before()
        if before is None and any(not _unfinished(path) for path in folder.iterdir()):
            raise UsageError(f"{folder} is not empty and holds no sweep; choose another folder")
        if before is not None and before.get("sweep") != self.note["sweep"]:
            raise UsageError(f"{folder} holds another sweep, or one of other specs; choose another folder")
        self.resumed = before is not None
        for path in filter(_unfinished, folder.rglob(".*")):  # of a run that was killed while it wrote
            path.unlink(missing_ok=True)
        self._write(folder / NOTE, json.dumps(self.note, indent=1).encode())

    def _before(self) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = json.loads((self.folder / NOTE).read_text())
            return found
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise UsageError(f"{self.folder / NOTE}: cannot be read: {error}") from None

    def path(self, block: Block) -> Path:
        """The file of a block: in a folder for each word of its case, as readers of Parquet expect."""
        folder = self.folder
        for name, word in self.cases[block.case].words.items():
            folder = folder / f"{quote(str(name), safe='')}={quote(str(word), safe='')}"
        return folder / f"part-{block.case:06d}-{block.first:015d}.parquet"

    def write(self, block: Block, table: Table) -> int:
        """Write the rows of a block; gives its bytes."""
        own = set(self.cases[block.case].words)
        data = parquet_of({name: column for name, column in table.items() if name not in own})
        path = self.path(block)
        self._write(path, data)
        return len(data)

    def read(self, block: Block) -> Table | None:
        """The rows of a block; None where they are not there, or not whole: another program or a machine that stopped may have cut them."""
        try:
            table = table_of(self.path(block).read_bytes())
        except (OSError, ValueError):
            return None
        return table if self.top is not None or length(table) == block.rows else None

    def close(self, *, complete: bool, best: Table | None = None) -> None:
        """Note whether all rows are there; write the best ones."""
        if best is not None:
            self._write(self.folder / BEST, parquet_of(best))
        self._write(self.folder / NOTE, json.dumps({**self.note, "complete": complete}, indent=1).encode())

    def _write(self, path: Path, data: bytes) -> None:
        """Write a file whole, or not at all."""
        new = path.with_name(f".{path.name}.{os.getpid()}{NEW}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            new.write_bytes(data)
            os.replace(new, path)
        except OSError as error:
            said = f"{path}: cannot be written: {error.strerror}"
            raise AicomputeError(f"{said}; what is written is whole, and the same command goes on") from None
        finally:
            with contextlib.suppress(OSError):
                new.unlink(missing_ok=True)


def _unfinished(path: Path) -> bool:
    """Whether a file is one that was being written."""
    return path.name.startswith(".") and path.name.endswith(NEW)


def _column(heading: Heading) -> dict[str, Any]:
    """What a reader of the files has to know of a column."""
    found: dict[str, Any] = {"kind": heading.kind}
    if heading.kind == "number":
        found["unit"] = heading.unit or "1"
    if heading.shown and heading.shown != heading.unit and heading.shown != "1":
        found |= {"given_in": heading.shown, "of_which_one_is": from_unit(1.0, heading.shown)}
    return found


def specs_digest(library: Library) -> str:
    """Tells specs apart, and formulas: the content of all files, what is changed, and the version of this program."""
    found = hashlib.blake2b(aicompute.__version__.encode(), digest_size=12)
    for folder in library.folders:
        for path in sorted(folder.rglob("*.toml")):
            found.update(path.name.encode() + path.read_bytes())
    found.update(repr(sorted(library.changes.items())).encode())
    return found.hexdigest()
