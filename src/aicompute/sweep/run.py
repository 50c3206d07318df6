"""Blocks of a sweep, found one after the other, on several cores or on a Dask cluster; each is a function of its number alone."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import itertools
import multiprocessing
import os
import pickle
import re
import signal
import sys
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from aicompute.errors import AicomputeError, UsageError
from aicompute.estimate.result import METRICS
from aicompute.sweep.cases import Case
from aicompute.sweep.columns import Heading, filled
from aicompute.sweep.design import Design
from aicompute.sweep.rows import Block, rows_of
from aicompute.sweep.table import Table, best_rows, length

WAITING = 3
"""Blocks under way for each worker: none idles, and memory stays bounded."""
CONNECT = 10.0
"""Seconds to wait for a scheduler."""
GOES_ON = "what is written is whole, and the same command goes on"


@dataclass(frozen=True)
class Work:
    """A block to be found, with all that it takes; small enough to be sent."""

    key: str
    case: bytes
    block: Block
    metrics: tuple[str, ...]
    seed: int
    top: int | None
    objective: str
    columns: Mapping[str, Heading]


Found = tuple[Block, Table, int, int]
"""A block, its rows (of the best only, those), how many rows it has and how many are feasible."""

_known: dict[str, Case] = {}
"""Cases that this process has unpacked: their programs are made once."""


def works(design: Design, cases: Sequence[Case], columns: Mapping[str, Heading], blocks: Iterator[Block]) -> Iterator[Work]:
    """What is to be done for some blocks."""
    packed: dict[int, tuple[str, bytes]] = {}
    for block in blocks:
        if block.case not in packed:
            case = cases[block.case]
            bare = replace(case, scene=replace(case.scene, memo={}, origin=None))
            data = zlib.compress(pickle.dumps(bare), 1)
            packed = {block.case: (hashlib.blake2b(data, digest_size=12).hexdigest(), data)}
        key, data = packed[block.case]
        yield Work(key, data, block, design.metrics, design.seed, design.top, design.objective, columns)


def found_of(work: Work) -> Found:
    """Find the rows of a block."""
    if work.key not in _known:
        if len(_known) > 64:
            _known.clear()
        _known[work.key] = pickle.loads(zlib.decompress(work.case))
    wanted = (*work.metrics, work.objective) if work.metrics else ()
    table = rows_of(_known[work.key], work.block, wanted, work.seed)
    table["row"] = np.arange(work.block.start + work.block.first, work.block.start + work.block.last)
    if length(table) != work.block.rows:
        raise AicomputeError(f"a worker found {length(table):,} rows where {work.block.rows:,} were asked for: it runs another version")
    feasible = int(table["feasible"].sum())  # type: ignore[union-attr]
    table = filled(table, work.columns)
    if work.top is not None:
        table = best_rows(table, work.objective, sign_of(work.objective), work.top)
    return work.block, table, work.block.rows, feasible


def sign_of(objective: str) -> float:
    """1 where more of a metric is better, -1 where less is."""
    return 1.0 if METRICS[objective][2] == "more" else -1.0


Runner = Callable[[Iterator[Work]], Iterator[Found]]


def runner(on: str, workers: int | None) -> Runner:
    """Where blocks are found.

    Parameters
    ----------
    on : str          "local", "dask" (a cluster of processes on this machine) or "dask=ADDRESS" of a scheduler.
    workers : int     Processes; None: one for each core that this process may use.

    Raises
    ------
    UsageError
        A place that is none of these.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    count = cores if workers is None else workers
    if not 1 <= count <= 1024:
        raise UsageError(f"workers = {workers!r}: expected a number from 1 to 1,024")
    place, _, where = on.partition("=")
    if place == "local" and not where:
        return here if count == 1 else lambda given: _processes(given, count)
    if place == "dask" and (not where or _ADDRESS.fullmatch(where)):
        return lambda given: _dask(given, where or None, count)
    raise UsageError(f"on = {on!r} is not one of local, dask, dask=tcp://HOST:PORT")


_ADDRESS = re.compile(r"[a-z]+://.+:\d+")
"""Of a scheduler."""


def here(given: Iterator[Work]) -> Iterator[Found]:
    """One block after the other, in this process."""
    return map(found_of, given)


def _processes(given: Iterator[Work], count: int) -> Iterator[Found]:
    """Several processes of this machine; few blocks are found here."""
    first = list(itertools.islice(given, 2))
    if len(first) < 2:
        yield from here(iter(first))
        return
    # a fork, where there is one, so that a script needs no guard around its body; workers leave Ctrl-C to this process
    way = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    pool = ProcessPoolExecutor(count, way, initializer=signal.signal, initargs=(signal.SIGINT, signal.SIG_IGN))
    running: set[Future[Found]] = set()
    try:
        for work in itertools.chain(first, given):
            running.add(pool.submit(found_of, work))
            if len(running) >= WAITING * count:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for each in done:
                    yield each.result()
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for each in done:
                yield each.result()
    except BrokenProcessPool:
        raise AicomputeError(f"a worker process died, perhaps for want of memory; {GOES_ON}") from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _dask(given: Iterator[Work], address: str | None, count: int) -> Iterator[Found]:
    """A Dask cluster: blocks of a worker that dies are found by another."""
    try:
        dask: Any = importlib.import_module("distributed")
    except ImportError:
        raise AicomputeError("--on dask needs dask.distributed: install aicompute[dask]") from None
    cluster = None
    try:
        if address is None:
            with _deaf():
                cluster = dask.LocalCluster(n_workers=count, threads_per_worker=1, dashboard_address=None, silence_logs=50)
        client = dask.Client(cluster or address, timeout=CONNECT, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise AicomputeError(f"the Dask scheduler at {address} cannot be reached within {CONNECT:g} s: {_first_line(error)}") from None
    try:
        client.wait_for_workers(1, timeout=CONNECT)
        first = list(itertools.islice(given, WAITING * max(sum(client.nthreads().values()), 1)))
        queue = dask.as_completed([client.submit(found_of, work, pure=False, retries=2) for work in first], loop=client.loop)
        for done in queue:
            found: Found = done.result()
            done.release()
            for work in itertools.islice(given, 1):
                queue.add(client.submit(found_of, work, pure=False, retries=2))
            yield found
    except TimeoutError:
        raise AicomputeError(f"the Dask cluster at {address} has no worker after {CONNECT:g} s") from None
    except (dask.scheduler.KilledWorker, dask.comm.CommClosedError, CancelledError, ImportError) as error:
        raise AicomputeError(f"the Dask cluster failed: {_first_line(error)}; {GOES_ON}") from None
    finally:
        client.close()
        if cluster is not None:
            cluster.close()


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    """Processes started here leave Ctrl-C to this one, as they inherit."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, heard)


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
