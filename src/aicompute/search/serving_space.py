"""Serving plans with their loads as an open mesh: engines along the last axis, sequences and chunk before it; one pool or two."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aicompute.estimate import evaluate
from aicompute.estimate.context import Records, Scene, drawn, engine
from aicompute.estimate.evaluate import Outcome, Pools
from aicompute.estimate.serving import ServingPlan, ServingStack
from aicompute.estimate.workload import Workload
from aicompute.search.mesh import Cells, Known, none_of

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

ENGINE = ("tp", "dp", "pp", "ep")
CELLS = 100_000
"""Points of a block."""
POOL_PAIRS = 200_000
"""Pairs of a block."""
NO_ROOM = "no room for both pools"


@dataclass(frozen=True)
class Loads:
    """What is tried on every engine."""

    sequences: tuple[float, ...]
    """Of an attention group, and of each stage of a pipeline."""
    chunks: tuple[float, ...]
    """Tokens of a prefill step."""
    drafts: tuple[float, ...]
    batch: float | None = None
    """Sequences per accelerator, where they are given."""


@dataclass(frozen=True)
class ServingSpace:
    """One pool: prefill, decode, or both in flight."""

    scene: Scene
    records: Records
    work: Workload
    kind: str
    """prefill, decode or mixed."""
    engines: Mapping[str, Floats]
    """Shape (R,) by the names of `ENGINE`."""
    loads: Loads
    excluded: dict[str, int] = field(default_factory=dict)
    """Combinations that are no plan, by reason; known once all blocks were seen."""

    @property
    def names(self) -> tuple[str, ...]:
        """Columns of plans."""
        return (*ENGINE, "sequences", *(("chunk",) if self.kind != "decode" else ()), *(("drafts",) if self.kind != "prefill" else ()))

    @property
    def _sequences(self) -> int:
        return 1 if self.loads.batch is not None else len(self.loads.sequences)

    @property
    def _repeats(self) -> int:
        chunks = 1 if self.kind == "decode" else len(self.loads.chunks)
        return chunks * (1 if self.kind == "prefill" else len(self.loads.drafts))

    @property
    def enumerated(self) -> int:
        """Combinations of all axes."""
        return len(self.engines["tp"]) * self._sequences * self._repeats

    @cached_property
    def _in_engine(self) -> Floats:
        """Sequences of each engine, shape (B, R)."""
        e, each = self.engines, self.loads
        if each.batch is not None:
            return np.maximum(each.batch * e["tp"] * e["dp"] * e["pp"] / self.scene.devices_each, e["dp"])[None, :]
        return np.array(each.sequences)[:, None] * (e["dp"] * e["pp"])[None, :]

    @cached_property
    def _runs(self) -> NDArray[np.bool_]:
        """What the stack's limit of running sequences allows, shape (B, R)."""
        most = float(np.max(_stack(self.records).max_sequences))
        every = np.ones(self._in_engine.shape, dtype=bool)
        return every if self.kind == "prefill" else every & (self._in_engine / self.engines["dp"] <= most)

    @property
    def valid(self) -> int:
        """Those that are plans."""
        found = int(self._runs.sum()) * self._repeats
        self.excluded["stack"] = self.enumerated - found
        return found

    def outcome(self, plan: ServingPlan, sequences: Any, chunk: Any, drafts: float, cost: bool, count: int = 0) -> Outcome:
        """The formulas for this kind of pool, with records or so many draws of them."""
        s, w = self.scene, self.work
        r = _chunked(drawn(s, count) if count else self.records, chunk)
        if self.kind == "decode":
            return evaluate.decode_outcome(s, r, w, plan, sequences, drafts, cost)
        if self.kind == "prefill":
            return evaluate.prefill_outcome(s, r, w, plan, sequences, cost)
        return evaluate.in_flight_outcome(s, r, w, plan, sequences, drafts, cost)

    def cells(self, names: Sequence[str]) -> Iterator[Cells]:
        """The valid points, block by block."""
        cost = any(name in evaluate.MONEY for name in names)
        chunks = 1 if self.kind == "decode" else len(self.loads.chunks)
        for drafts in (0.0,) if self.kind == "prefill" else self.loads.drafts:
            shares = self._memory_shares(drafts)
            fits = (shares <= 1.0) & self._runs
            least = float(np.where(self._runs, shares, np.inf).min())
            yield none_of(int(self._runs.sum()) * chunks, least)
            # engines that hold equally many sequences side by side, so that few points do not fit
            held = fits.sum(axis=0)
            order = np.argsort(-held, kind="stable")
            order = order[held[order] > 0]
            start = 0
            while start < len(order):
                count = max(CELLS // int(held[order[start]] * chunks), 1)
                rows = order[start : start + count]
                yield self._block(rows, np.flatnonzero(fits[:, rows].any(axis=1)), drafts, names, cost)
                start += count

    def _memory_shares(self, drafts: float) -> Floats:
        """Memory over what an engine may use, shape (B, R)."""
        w = self.work
        e = engine(self.scene, self.records, ServingPlan(*(self.engines[name] for name in ENGINE)), drafts)
        length = w.input_length + (0.0 if self.kind == "prefill" else w.output_length)
        return np.broadcast_to(np.asarray(evaluate.serving_memory(e, self._in_engine, length)[0]), self._in_engine.shape)

    def _block(self, rows: Indices, loads: Indices, drafts: float, names: Sequence[str], cost: bool) -> Cells:
        """Some engines with some loads; shape (chunks, loads, engines)."""
        engines = {name: column[rows] for name, column in self.engines.items()}
        sequences = self._in_engine[np.ix_(loads, rows)][None]
        chunks = np.array(self.loads.chunks)[:, None, None] if self.kind != "decode" else np.array(self.loads.chunks[:1])[:, None, None]
        plan = ServingPlan(*(engines[name] for name in ENGINE))
        out = self.outcome(plan, sequences, chunks if chunks.size > 1 else float(chunks.flat[0]), drafts, cost)
        shape = (len(chunks), *sequences.shape[1:])
        runs = np.broadcast_to(self._runs[np.ix_(loads, rows)][None], shape)
        share = np.broadcast_to(np.asarray(out.memory_share), shape)
        cells = np.flatnonzero((share <= 1.0) & runs)
        metrics = {name: np.broadcast_to(np.asarray(out.metrics[name], dtype=float), shape).reshape(-1)[cells] for name in names}

        def plans(some: Indices) -> dict[str, Floats]:
            chunk, load, row = np.unravel_index(cells[some], shape)
            found = {name: column[row] for name, column in engines.items()}
            found["sequences"] = sequences[0, load, row]
            if self.kind != "prefill":
                found["drafts"] = np.full(len(some), drafts)
            if self.kind != "decode":
                found["chunk"] = chunks[chunk, 0, 0]
            return found

        return Cells(0, np.inf, len(cells), tuple(names), Known(metrics), plans)

    def complete(self, plans: Mapping[str, Floats], count: int = 0) -> dict[str, Floats]:
        """All metrics of some plans, shape (k,); or draws of them, shape (k, count)."""
        size = len(plans["tp"])
        found: dict[str, Floats] = {}
        drafts = plans.get("drafts", np.zeros(size))
        for number in sorted(set(drafts.tolist())):
            rows = np.flatnonzero(drafts == number)
            columns = {name: down(plans[name][rows], count) for name in (*ENGINE, "sequences", "chunk") if name in plans}
            plan = ServingPlan(*(columns[name] for name in ENGINE))
            out = self.outcome(plan, columns["sequences"], columns.get("chunk", self.loads.chunks[0]), number, True, count)
            fill(found, out.metrics, rows, (size, count))
        return found


def down(column: Floats, count: int) -> Floats:
    """A column of plans, as an axis of its own beside that of the draws, where there are any."""
    return column[:, None] if count else column


def fill(found: dict[str, Floats], metrics: Mapping[str, Any], rows: Indices, shape: tuple[int, int]) -> None:
    """Put the metrics of some rows in their places; ``shape`` is that of plans and draws, without the draws where there are none."""
    for name, value in metrics.items():
        column = found.setdefault(name, np.full(shape if shape[1] else shape[:1], np.nan))
        column[rows] = value


def _chunked(r: Records, chunk: Any) -> Records:
    """Records whose stack prefills in steps of so many tokens."""
    return replace(r, serving=replace(_stack(r), chunk=chunk))


def _stack(r: Records) -> ServingStack:
    """The stack of a serving scene."""
    if r.serving is None:
        raise ValueError("the scene is not a serving scene")
    return r.serving


@dataclass(frozen=True)
class PoolsSpace:
    """A prefill and a decode pool: every pair of their engines and loads, in whole engines of the ratio at which neither waits long."""

    first: ServingSpace
    then: ServingSpace
    targets: tuple[str, str] = ("ttft", "tpot")
    """Names of the latency targets among the reasons."""
    excluded: dict[str, int] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """Columns of plans."""
        return (*(f"prefill_{name}" for name in self.first.names), *self.then.names)

    @property
    def enumerated(self) -> int:
        """Combinations of all axes."""
        return self.first.enumerated * self.then.enumerated

    @property
    def valid(self) -> int:
        """Those that are plans, pools that leave no room for the other among them."""
        found = self.first.valid * self.then.valid
        self.excluded["stack"] = self.enumerated - found
        return found

    def cells(self, names: Sequence[str]) -> Iterator[Cells]:
        """The pairs, block by block; those of which a pool does not fit its memory or misses its target are only counted."""
        w = self.then.work
        reading, all_reading, least_reading = _side(self.first, "ttft", w.ttft)
        answering, all_answering, least_answering = _side(self.then, "tpot", w.tpot)
        fit_r, fit_a = len(reading["fits"]), len(answering["fits"])
        pairs = all_reading * all_answering
        # pairs of which a pool alone misses its target
        ok_r, ok_a = np.flatnonzero(reading["meets"]), np.flatnonzero(answering["meets"])
        late = {self.targets[0]: (fit_r - len(ok_r)) * fit_a, self.targets[1]: len(ok_r) * (fit_a - len(ok_a))}
        yield none_of(pairs - len(ok_r) * len(ok_a), max(least_reading, least_answering), late)
        if not (len(ok_r) and len(ok_a)):
            return
        step = max(POOL_PAIRS // len(ok_a), 1)
        for drafts in sorted(set(answering["drafts"][ok_a].tolist())):
            then = {name: column[ok_a[answering["drafts"][ok_a] == drafts]] for name, column in answering.items()}
            for start in range(0, len(ok_r), step):
                first = {name: column[ok_r[start : start + step]][:, None] for name, column in reading.items()}
                yield self._pairs(first, then, drafts, names)

    def _pairs(self, first: Mapping[str, Floats], then: Mapping[str, Floats], drafts: float, names: Sequence[str]) -> Cells:
        metrics, counts = self._outcome(first, then, drafts)
        shape = np.broadcast_shapes(first["tp"].shape, then["tp"].shape)
        cells = np.flatnonzero(np.broadcast_to(counts[0] * counts[1] > 0.0, shape))
        found = {name: np.broadcast_to(np.asarray(metrics[name], dtype=float), shape).reshape(-1)[cells] for name in names}

        def plans(some: Indices) -> dict[str, Floats]:
            one, other = np.unravel_index(cells[some], shape)
            columns = {f"prefill_{name}": first[name][one, 0] for name in (*ENGINE, "sequences", "chunk")}
            columns |= {name: then[name][other] for name in (*ENGINE, "sequences", "drafts")}
            return columns

        size = int(np.prod(shape))
        return Cells(size, np.inf, len(cells), tuple(names), Known(found), plans, {NO_ROOM: size - len(cells)})

    def _outcome(self, first: Mapping[str, Any], then: Mapping[str, Any], drafts: float) -> tuple[dict[str, Any], tuple[Any, Any]]:
        """Metrics of pairs, and the engines of each pool."""
        counts = self._counts(first, then)
        return self._metrics(first, then, drafts, counts, self.then.records), counts

    def _counts(self, first: Mapping[str, Any], then: Mapping[str, Any]) -> tuple[Any, Any]:
        """Whole engines of each pool, such that neither waits long."""
        s, w = self.then.scene, self.then.work
        one, other = (ServingPlan(*(side[name] for name in ENGINE)) for side in (first, then))
        in_rate, out_rate = (side["tokens_per_s"] / np.floor(s.devices / plan.devices) for side, plan in ((first, one), (then, other)))
        return matched(s.devices, one.devices, other.devices, in_rate * w.output_length / w.input_length, out_rate)

    def _metrics(
        self, first: Mapping[str, Any], then: Mapping[str, Any], drafts: float, counts: tuple[Any, Any], records: Records
    ) -> dict[str, Any]:
        s, w = self.then.scene, self.then.work
        one, other = (ServingPlan(*(side[name] for name in ENGINE)) for side in (first, then))
        pools = Pools(one, first["sequences"], other, then["sequences"], drafts, counts)
        with np.errstate(divide="ignore", invalid="ignore"):  # pairs that find no room have no engine
            return evaluate.pools_outcome(s, _chunked(records, first["chunk"]), w, pools).metrics

    def complete(self, plans: Mapping[str, Floats], count: int = 0) -> dict[str, Floats]:
        """All metrics of some plans, and the engines of each pool; or draws of them, with the same engines."""
        size = len(plans["tp"])
        found: dict[str, Floats] = {}
        for number in sorted(set(plans["drafts"].tolist())):
            rows = np.flatnonzero(plans["drafts"] == number)
            first = {name: plans[f"prefill_{name}"][rows] for name in (*ENGINE, "sequences", "chunk")}
            then = {name: plans[name][rows] for name in (*ENGINE, "sequences", "drafts")}
            rate = self.first.outcome(ServingPlan(*(first[n] for n in ENGINE)), first["sequences"], first["chunk"], 0.0, False)
            first["tokens_per_s"] = np.asarray(rate.metrics["tokens_per_s"])
            rate = self.then.outcome(ServingPlan(*(then[n] for n in ENGINE)), then["sequences"], self.then.loads.chunks[0], number, False)
            then["tokens_per_s"] = np.asarray(rate.metrics["tokens_per_s"])
            counts = self._counts(first, then)
            first, then = ({name: down(np.asarray(column), count) for name, column in side.items()} for side in (first, then))
            engines = (down(counts[0], count), down(counts[1], count))
            records = drawn(self.then.scene, count) if count else self.then.records
            metrics = self._metrics(first, then, number, engines, records)
            metrics |= {"prefill_engines": engines[0], "decode_engines": engines[1]}
            fill(found, metrics, rows, (size, count))
        return found


def matched(devices: float, first: Any, then: Any, reading: Any, answering: Any) -> tuple[Any, Any]:
    """Whole engines of two pools that together answer most.

    Parameters
    ----------
    devices : float                   In all [1].
    first, then : shape (...)         Devices of a prefill and of a decode engine [1].
    reading, answering : shape (...)  Output tokens per second that an engine allows, or makes.

    Returns
    -------
    Engines of each pool, shape (...); zero where there is no room for both.

    Examples
    --------
    >>> [float(n) for n in matched(64.0, 8.0, 16.0, 300.0, 200.0)]
    [2.0, 3.0]
    """
    most = np.floor((devices - first) / then)
    ideal = devices / (then + first * answering / reading)
    best: Any = 0.0
    kept: Any = 0.0
    for extra in (0.0, 1.0):
        count = np.minimum(np.maximum(np.floor(ideal) + extra, 1.0), most)
        rate = np.minimum(np.floor((devices - count * then) / first) * reading, count * answering)
        kept = np.where(rate > best, count, kept)
        best = np.maximum(rate, best)
    kept = np.maximum(kept, 0.0)
    return np.where(kept > 0.0, np.floor((devices - kept * then) / first), 0.0), kept


def _side(space: ServingSpace, target: str, most: float | None) -> tuple[dict[str, Floats], int, float]:
    """Points of one pool whose memory suffices, whether each meets its target; how many there are in all, and their least memory."""
    parts: list[dict[str, Floats]] = []
    judged, least = 0, np.inf
    for cells in space.cells((target, "tokens_per_s")):
        judged += cells.judged
        least = min(least, cells.least_memory)
        columns = cells.plans(np.arange(len(cells)))
        if len(cells):
            parts.append({**columns, target: cells.metrics[target], "tokens_per_s": cells.metrics["tokens_per_s"]})
    if not parts:
        return {"fits": np.zeros(0), "meets": np.zeros(0, dtype=bool)}, judged, least
    found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    found["fits"] = np.ones(len(found["tp"]))
    found["meets"] = found[target] <= (np.inf if most is None else most * (1.0 + 1e-9))
    return found, judged, least
