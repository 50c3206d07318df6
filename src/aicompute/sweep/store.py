"""A sweep on disk: partitioned Parquet, whose files are whole or absent, and a note that tells which sweep it is."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import quote

from aicompute.errors import AicomputeError, UsageError
from aicompute.specs import Library
from aicompute.sweep.cases import Case
from aicompute.sweep.design import Design
from aicompute.sweep.rows import Block
from aicompute.sweep.table import Table, parquet_of, table_of

NOTE = "_sweep.json"
BEST = "_best.parquet"


class Store:
    """A folder of a sweep.

    Parameters
    ----------
    folder : Path
    design, cases   What is swept.
    library : Library   Its specs: with others, the rows would be others.

    Raises
    ------
    UsageError
        The folder holds another sweep, or something else.
    AicomputeError
        It cannot be made.
    """

    def __init__(self, folder: Path, design: Design, cases: Sequence[Case], library: Library) -> None:
        self.folder, self.cases = folder, cases
        self.note: dict[str, Any] = {
            "schema": 1,
            "sweep": hashlib.blake2b(f"{design.digest}|{specs_digest(library)}".encode(), digest_size=12).hexdigest(),
            "points": sum(case.rows for case in cases),
            "axes": [list(axis.names) for axis in design.axes],
            "design": json.loads(json.dumps(asdict(design), default=str)),
            "complete": False,
        }
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise AicomputeError(f"{folder}: cannot be made: {error.strerror}") from None
        before = self._before()
        if before is None and any(folder.iterdir()):
            raise UsageError(f"{folder} is not empty and holds no sweep; choose another folder")
        if before is not None and before.get("sweep") != self.note["sweep"]:
            raise UsageError(f"{folder} holds another sweep, or one of other specs; choose another folder")
        self.resumed = before is not None
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
        return folder / f"part-{block.first:015d}.parquet"

    def missing(self, blocks: Iterator[Block]) -> Iterator[Block]:
        """Blocks that are not there yet."""
        return (block for block in blocks if not self.path(block).exists())

    def write(self, block: Block, table: Table) -> int:
        """Write the rows of a block; gives its bytes."""
        own = set(self.cases[block.case].words)
        data = parquet_of({name: column for name, column in table.items() if name not in own})
        path = self.path(block)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._write(path, data)
        return len(data)

    def read(self, block: Block) -> Table:
        """The rows of a block that is there."""
        return table_of(self.path(block).read_bytes())

    def close(self, *, complete: bool, best: Table | None = None) -> None:
        """Note whether all rows are there; write the best ones."""
        if best is not None:
            self._write(self.folder / BEST, parquet_of(best))
        self._write(self.folder / NOTE, json.dumps({**self.note, "complete": complete}, indent=1).encode())

    def _write(self, path: Path, data: bytes) -> None:
        """Write a file whole, or not at all."""
        new = path.with_name(f".{path.name}.{os.getpid()}.new")
        try:
            new.write_bytes(data)
            os.replace(new, path)
        except OSError as error:
            new.unlink(missing_ok=True)
            said = f"{path}: cannot be written: {error.strerror}"
            raise AicomputeError(f"{said}; what is written is whole, and the same command goes on") from None


def specs_digest(library: Library) -> str:
    """Tells specs apart: the content of all files, and what is changed."""
    found = hashlib.blake2b(digest_size=12)
    for folder in library.folders:
        for path in sorted(folder.rglob("*.toml")):
            found.update(path.name.encode() + path.read_bytes())
    found.update(repr(sorted(library.changes.items())).encode())
    return found.hexdigest()
