"""Files of measurements: recognised by their columns, read row by row, faults of single cells kept beside the rows."""

from __future__ import annotations

import csv
import gzip
import io
import math
import zlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from aicompute.errors import UsageError
from aicompute.specs.files import built_in


@dataclass(frozen=True)
class Kind:
    """What a file of one kind looks like."""

    name: str
    required: tuple[str, ...]
    """Columns without which no row can be predicted."""
    measured: tuple[str, ...]
    """Columns of results; one of them at least."""
    positive: tuple[str, ...] = ()
    """Columns that hold a number above zero in every row."""
    numbers: tuple[str, ...] = ()
    """Further columns that hold a number or nothing."""


_SERVED = ("output_tokens_per_s_per_accelerator", "input_tokens_per_s_per_accelerator", "ttft_ms", "tpot_ms", "power_w_per_accelerator")
_TIME = ("time_us",)

KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "training",
            ("accelerator", "n_accelerators", "model", "stack", "seq_len", "global_batch"),
            ("step_time_s", "tokens_per_s_per_accelerator"),
            ("n_accelerators", "seq_len", "global_batch"),
            (
                "n_layers", "d_model", "n_heads", "n_kv_heads", "d_ff", "vocab", "n_experts", "experts_per_token", "d_expert_ff",
                "n_shared_experts", "n_dense_layers", "tp", "pp", "vpp", "cp", "ep", "dp", "zero_stage", "micro_batch",
            ),
        ),
        Kind(
            "serving",
            ("accelerator", "model", "stack", "mode"),
            _SERVED,
            (),
            (
                "n_accelerators", "n_prefill_accelerators", "n_decode_accelerators", "tp", "pp", "ep", "isl", "osl",
                "batch_per_accelerator", "concurrency", "request_rate",
            ),
        ),
        Kind("gemm", ("accelerator", "backend", "dtype", "m", "n", "k"), _TIME, ("m", "n", "k")),
        Kind(
            "attention",
            (
                "accelerator", "backend", "phase", "attn_type", "b", "s", "heads", "kv_heads", "head_dim", "attn_dtype", "kv_cache_dtype",
            ),
            _TIME,
            ("b", "s", "heads", "kv_heads", "head_dim"),
            ("prefix",),
        ),
        Kind(
            "moe",
            (
                "accelerator", "backend", "moe_dtype", "num_tokens", "hidden_size", "inter_size", "topk", "num_experts", "moe_tp_size",
                "moe_ep_size",
            ),
            _TIME,
            ("num_tokens", "hidden_size", "inter_size", "topk", "num_experts", "moe_tp_size", "moe_ep_size"),
        ),
        Kind("collectives", ("accelerator", "op", "n_gpus", "bytes"), _TIME, ("n_gpus", "bytes")),
        Kind(
            "moe_a2a",
            ("accelerator", "backend", "op", "dtype", "n_ranks", "hidden_size", "experts_per_token", "tokens_per_rank"),
            _TIME,
            ("n_ranks", "hidden_size", "experts_per_token", "tokens_per_rank"),
        ),
        Kind("power", ("accelerator", "tflops", "hbm_GBps"), ("power_w",), (), ("tflops", "hbm_GBps", "power_limit_w")),
    )
}  # fmt: skip
"""Every kind of file by name."""


@dataclass(frozen=True)
class Row:
    """One row of a file."""

    number: int
    """1 is the first row below the header."""
    cells: Mapping[str, str]
    fault: str = ""
    """The first cell that cannot be used, with its column."""

    def text(self, column: str) -> str:
        """The cell of a column without blanks around it; empty where there is none."""
        return (self.cells.get(column) or "").strip()

    def number_in(self, column: str, default: float = 0.0) -> float:
        """The number in a column."""
        text = self.text(column)
        return float(text) if text else default


@dataclass(frozen=True)
class Table:
    """A file of measurements."""

    name: str
    kind: Kind
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def shipped() -> list[Path]:
    """The files that ship, of the kinds that can be judged."""
    return [path for kind in KINDS if (path := built_in("evidence") / f"{kind}.csv").is_file()]


def files_in(path: Path) -> list[Path]:
    """A file, or the files of measurements in a folder.

    Raises
    ------
    UsageError
        The folder has none.
    """
    if not path.is_dir():
        return [path]
    found = [path / f"{kind}.csv{end}" for kind in KINDS for end in ("", ".gz") if (path / f"{kind}.csv{end}").is_file()]
    if not found:
        raise UsageError(f"folder {str(path)!r} has none of the files {', '.join(f'{kind}.csv' for kind in KINDS)}")
    return found


def kind_of(columns: Iterable[str], name: str, filled: Collection[str] = ()) -> Kind:
    """The kind of a file with these columns: the one of which it has the largest share. Columns that are filled later may be missing.

    Raises
    ------
    UsageError
        A required column is missing, or nothing fits.

    Examples
    --------
    >>> kind_of(["accelerator", "backend", "dtype", "m", "n", "k", "time_us"], "mine.csv").name
    'gemm'
    """
    given = set(columns)

    def share(kind: Kind) -> tuple[float, int]:
        wanted = [*kind.required, *kind.positive, *kind.numbers, *kind.measured]
        own = given.intersection(wanted)
        return sum(column in given for column in kind.required) / len(kind.required), len(own)

    best = max(KINDS.values(), key=share)
    missing = [column for column in best.required if column not in given and column not in filled]
    if share(best)[0] < 0.5:
        raise UsageError(f"{name}: its columns fit no kind of measurement; docs/evidence.md has those of {', '.join(KINDS)}")
    if missing:
        raise UsageError(f"{name}: looks like {best.name}, but has no column {', '.join(missing)}")
    if not given.intersection(best.measured):
        raise UsageError(f"{name}: looks like {best.name}, but has no column of results: {' or '.join(best.measured)}")
    return best


def read_table(path: Path, filled: Collection[str] = ()) -> Table:
    """Read a file; ``.gz`` is unpacked, columns that are not known are kept, those that are filled later may be missing.

    Raises
    ------
    UsageError
        It cannot be read, or its columns fit nothing.
    """
    name = path.name
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (UnicodeDecodeError, EOFError, zlib.error):
        raise UsageError(f"{path}: is not UTF-8 text") from None
    reader = csv.DictReader(io.StringIO(text, newline=""))
    try:
        columns = tuple((column or "").strip() for column in reader.fieldnames or ())
        if not columns:
            raise UsageError(f"{name}: is empty; the first line names the columns")
        reader.fieldnames = list(columns)
        kind = kind_of(columns, name, filled)
        rows = tuple(Row(number, cells, fault_of(kind, cells)) for number, cells in enumerate(reader, start=1))
    except csv.Error as error:
        raise UsageError(f"{name}: line {reader.line_num}: {error}") from None
    if not rows:
        raise UsageError(f"{name}: has no row below its header")
    return Table(name, kind, columns, rows)


def fault_of(kind: Kind, cells: Mapping[str, str]) -> str:
    """What is wrong with the cells of a row: the first number that is none, is missing or is out of range.

    Examples
    --------
    >>> fault_of(KINDS["gemm"], {"m": "12", "n": "x", "k": "3", "time_us": "1"})
    "column n: 'x' is not a number"
    """
    for column in kind.positive:
        if not (cells.get(column) or "").strip():
            return f"column {column}: is empty"
    for column in (*kind.positive, *kind.numbers, *kind.measured):
        text = (cells.get(column) or "").strip()
        if not text:
            continue
        try:
            value = float(text)
        except ValueError:
            return f"column {column}: {text!r} is not a number"
        above = column not in kind.numbers
        if not math.isfinite(value) or value < 0.0 or (above and value == 0.0):
            return f"column {column}: {text!r} is not a number {'above' if above else 'of at least'} 0"
    if not any((cells.get(column) or "").strip() for column in kind.measured):
        return f"column {' and '.join(column for column in kind.measured if column in cells)}: nothing measured"
    return ""
