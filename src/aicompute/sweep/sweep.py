"""A sweep from its design to its rows: what it takes, where it runs, what is kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from aicompute.errors import UsageError
from aicompute.specs import Library
from aicompute.sweep.cases import Case, cases_of
from aicompute.sweep.columns import Heading, filled, headings
from aicompute.sweep.design import Design
from aicompute.sweep.rows import Block, blocks_of, count_blocks, piece_rows, rows_of
from aicompute.sweep.run import runner, sign_of, works
from aicompute.sweep.store import Store
from aicompute.sweep.table import Table, best_rows, joined, length, needs_arrow, parquet_of, words

FEW = 12
"""Best rows that are shown where all are kept."""
MOST_IN_MEMORY = 5_000_000
"""Rows that are kept without a folder."""
LONG = 3600.0
"""Seconds above which a sweep has to be confirmed."""
LARGE = 50e9
"""Bytes above which it has to."""


@dataclass
class Progress:
    """How far a sweep is."""

    points: int
    blocks: int
    done: int = 0
    """Rows found, those of an earlier run among them."""
    found: int = 0
    """Rows found in this run."""
    feasible: int = 0
    """Of those done; where only the best are kept, of those found in this run."""
    seconds: float = 0.0

    @property
    def left(self) -> float:
        """Seconds that remain, at the rate so far."""
        return (self.points - self.done) * self.seconds / self.found if self.found else float("nan")


@dataclass(frozen=True)
class Swept:
    """A sweep that ran."""

    design: Design
    progress: Progress
    complete: bool
    """False where the person interrupted it."""
    table: Table | None
    """All rows, or the best; None where they are in the folder only."""
    folder: Path | None = None
    best: Table | None = None
    """The best rows, best first."""
    columns: Mapping[str, Heading] = field(default_factory=dict)
    """What each column holds, and its unit."""
    resumed: bool = False


def run_sweep(
    lib: Library,
    design: Design,
    output: Path | None = None,
    on: str = "local",
    workers: int | None = None,
    large: bool = False,
    watch: Callable[[Progress], None] | None = None,
) -> Swept:
    """Find every row of a design.

    Parameters
    ----------
    lib : Library
    design : Design
    output : Path     Folder of Parquet files; one with an unfinished run of the same sweep is gone on with. None: rows are kept in memory.
    on, workers       As of `run.runner`.
    large : bool      Go on however long it takes.
    watch : callable  Is told after every block.

    Raises
    ------
    AicomputeError
        The design makes no sense, is too large to be kept or was not confirmed, or a file cannot be written.
    """
    run = runner(on, workers)
    cases = cases_of(lib, design)
    blocks = count_blocks(cases)
    progress = Progress(sum(case.rows for case in cases), blocks)
    columns = headings(design, cases)
    _ask(design, cases, progress.points, output, large)
    if output is not None:
        needs_arrow()
    store = Store(output, design, cases, columns, lib) if output is not None else None
    kept = _Kept(design, store)
    start = time.perf_counter()
    todo = _todo(store, cases, kept, progress)
    complete = True
    try:
        for block, rows_found, rows, feasible in run(works(design, cases, columns, todo)):
            kept.add(block, rows_found)
            progress.done += rows
            progress.found += rows
            progress.feasible += feasible
            progress.seconds = time.perf_counter() - start
            if watch is not None:
                watch(progress)
    except KeyboardInterrupt:
        complete = False
    progress.seconds = time.perf_counter() - start
    if store is not None:
        store.close(complete=complete, best=kept.best)
    table = kept.best if design.top is not None else kept.rows() if store is None else None
    return Swept(design, progress, complete, table, output, kept.best, columns, store is not None and store.resumed)


class _Kept:
    """What is kept of the rows: files, all in memory, or the best."""

    def __init__(self, design: Design, store: Store | None) -> None:
        self.design, self.store = design, store
        self.parts: list[tuple[Block, Table]] = []
        self.best: Table | None = None

    def add(self, block: Block, table: Table, *, new: bool = True) -> None:
        """Keep the rows of a block."""
        if self.store is not None and new:
            self.store.write(block, table)
        if self.store is not None and not new:
            table = {**_words_of(self.store, block, length(table)), **table}  # they stand in the names of the folders
        objective, sign = self.design.objective, sign_of(self.design.objective)
        if objective in table:
            best = best_rows(table, objective, sign, self.design.top or FEW)
            self.best = best_rows(best if self.best is None else joined([self.best, best]), objective, sign, self.design.top or FEW)
        if self.design.top is None and self.store is None:
            self.parts.append((block, table))

    def rows(self) -> Table | None:
        """All rows in the order of the design."""
        return joined([table for _, table in sorted(self.parts, key=lambda part: (part[0].case, part[0].first))]) if self.parts else None


def _words_of(store: Store, block: Block, size: int) -> Table:
    return {name: words(str(word), size) for name, word in store.cases[block.case].words.items()}


def _todo(store: Store | None, cases: Sequence[Case], kept: _Kept, progress: Progress) -> Iterator[Block]:
    """Blocks to be found; those of an earlier run are counted, and looked at where the best rows are wanted."""
    for block in blocks_of(cases):
        there = store.read(block) if store is not None else None
        if there is None:
            yield block
        else:
            progress.done += block.rows
            if store is not None and store.top is None:  # else the best of its rows are all that is there
                progress.feasible += int(np.asarray(there["feasible"]).sum())
            kept.add(block, there, new=False)


def _ask(design: Design, cases: Sequence[Case], points: int, output: Path | None, large: bool) -> None:
    """Refuse what cannot be kept, and what takes very long unless it is confirmed."""
    if output is None and design.top is None and points > MOST_IN_MEMORY:
        said = f"{points:,} rows are more than {MOST_IN_MEMORY:,}, which are kept in memory"
        raise UsageError(f"{said}; give an output folder, or keep the top N only")
    if large or points < (100_000 if all(case.flat for case in cases) else 2_000):
        return
    seconds, size = _cost(design, cases, points)
    size = 0.0 if design.top is not None or output is None else size
    if seconds > LONG or size > LARGE:
        took = f"{points:.4g} points take about {_duration(seconds)} on one core" + (f" and {size / 1e9:,.0f} GB" if size else "")
        raise UsageError(f"{took}; use fewer levels, random points, or the top N only; or confirm (--yes, large=True)")


def _cost(design: Design, cases: Sequence[Case], points: int) -> tuple[float, float]:
    """Seconds and bytes of a sweep, from some rows of its largest case; of those that choose a plan, where there are such."""
    case = max(cases, key=lambda one: (not one.flat, one.rows))
    first = next(blocks_of([case]))
    unit = replace(first, last=min(first.last, piece_rows(case) if case.flat else 2))
    rows_of(case, unit, design.metrics, design.seed)  # programs are made once
    start = time.process_time()
    table = filled(rows_of(case, unit, design.metrics, design.seed), headings(design, [case]))
    each = (time.process_time() - start) / max(length(table), 1)
    try:
        size = len(parquet_of(table)) / max(length(table), 1)
    except ValueError:
        size = 8.0 * len(table)
    return each * points, size * points


def _duration(seconds: float) -> str:
    for unit, each in (("years", 3.15e7), ("days", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds > 2.0 * each:
            return f"{seconds / each:,.3g} {unit}"
    return f"{seconds:.0f} s"
