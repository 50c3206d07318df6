"""A whole service: one mixed pool, or a prefill and a decode pool, in whole engines where they fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from aicompute.errors import UsageError
from aicompute.estimate import evaluate, replay
from aicompute.estimate.context import Records, Scene, default_drafts
from aicompute.estimate.evaluate import Outcome, Pools
from aicompute.estimate.workload import Workload
from aicompute.search import best
from aicompute.search.reasons import shown_plan, time_text, why_late

Run = Callable[[Records], Outcome]
TRIES = 6
"""Best splits into pools whose time to the first token is looked at."""


def drafts_worth_trying(s: Scene, given: tuple[float, ...]) -> list[float]:
    """Draft tokens of a step worth trying; only models that ship draft layers make any."""
    asked = given or (0.0, default_drafts(s))
    for number in asked:
        if not 0.0 <= number <= 8.0:
            raise UsageError(f"drafts = {number:g}: expected 0 to 8")
    return sorted(set(asked)) if s.model.get("mtp_layers", 0) else [0.0]


def best_of(drafts: list[float], choose: Callable[[float], best.Choice]) -> tuple[best.Choice, float]:
    """The best choice over numbers of draft tokens: a feasible one if any, then the highest objective."""
    tried = [(choose(n), n) for n in drafts]
    return max(tried, key=lambda pair: (pair[0].feasible, pair[0].objective))


def choose_service(
    s: Scene, r: Records, w: Workload, given: dict[str, float], drafts: list[float], operators: bool = False
) -> tuple[dict[str, Any], Run | None]:
    """One mixed pool or two, whichever delivers more; pools of a fleet only where nothing fits the accelerators allotted."""
    mixed, mixed_drafts = best_of(drafts, lambda n: best.best_in_flight(s, r, w, given, n))
    then, made = best_of(drafts, lambda n: best.best_decode(s, r, w, given, n))
    first = best.best_prefill(s, r, w, {k: v for k, v in given.items() if k != "batch"})
    split: tuple[dict[str, Any], Run] | None = None
    rate, reached = 0.0, 0.0
    if first.feasible and then.feasible:
        for pools in _splits(s, w, first, then, made):
            outcome = evaluate.pools_outcome(s, r, w, pools)
            reached = float(outcome.metrics["ttft"])
            if reached <= (w.ttft or np.inf) and (pools.counts is not None or not mixed.feasible):
                rate = float(outcome.metrics["tokens_per_s_per_accelerator"])
                split = _shown_pools(s, pools, outcome), lambda x, pools=pools: evaluate.pools_outcome(s, x, w, pools)
                break
    if mixed.feasible and (split is None or mixed.objective > rate):
        p, n = evaluate.plan_of(mixed.plan), mixed.plan["sequences"]
        shown = {"pools": "one, mixed", **shown_plan(mixed, s), "drafts": mixed_drafts}
        return shown, lambda x: replay.outcome("in flight", s, x, w, p, n, mixed_drafts, operators=operators)
    if split is not None:
        return split
    if reached:
        wanted = f"no pools meet TTFT <= {time_text(w.ttft or 0.0)}"
        return {"reason": f"{wanted}; TTFT at best {time_text(reached)} with the cache moved between them"}, None
    failing = then if not then.feasible else first
    return why_late(s, r, w, failing, "TPOT" if failing is then else "TTFT", w.tpot if failing is then else w.ttft), None


def _splits(s: Scene, w: Workload, first: best.Choice, then: best.Choice, drafts: float) -> Iterator[Pools]:
    """Pools of whole engines, the most productive first; then the pools of a fleet."""
    prompts_each = w.output_length / w.input_length
    devices, accelerators = s.devices, s.accelerators
    found: list[tuple[float, float, float, float, float]] = []
    for size_then, (_, share_then) in then.by_size.items():
        one_then = share_then * accelerators / np.floor(devices / size_then)
        for size_first, (_, share_first) in first.by_size.items():
            one_first = share_first * accelerators / np.floor(devices / size_first) * prompts_each
            answering = np.arange(1.0, (devices - size_first) // size_then + 1.0)
            if not answering.size:
                continue
            reading = np.floor((devices - answering * size_then) / size_first)
            total = np.minimum(reading * one_first, answering * one_then)
            k = int(total.argmax())
            found.append((float(total[k]), size_first, size_then, float(reading[k]), float(answering[k])))
    found.sort(reverse=True)

    def pools(one: dict[str, float], other: dict[str, float], counts: tuple[float, float] | None) -> Pools:
        return Pools(evaluate.plan_of(one), one["sequences"], evaluate.plan_of(other), other["sequences"], drafts, counts)

    for _, size_first, size_then, reading_count, answering_count in found[:TRIES]:
        yield pools(first.by_size[size_first][0], then.by_size[size_then][0], (reading_count, answering_count))
    yield pools(first.plan, then.plan, None)


def _shown_pools(s: Scene, pools: Pools, outcome: Outcome) -> dict[str, Any]:
    """Two pools as people read them."""
    share = float(outcome.metrics["prefill_share"])
    shown: dict[str, Any] = {"pools": "prefill and decode", "prefill_share": share, "drafts": pools.drafts}
    for name, plan, load, part in (("prefill", pools.first, pools.prompts, share), ("decode", pools.then, pools.sequences, 1.0 - share)):
        size = float(plan.devices) / s.devices_each
        numbers = {k: int(float(getattr(plan, k))) for k in ("tp", "dp", "pp", "ep")}
        shown |= {f"{name}_{k}": v for k, v in numbers.items()}
        shown |= {f"{name}_engine_accelerators": size, f"{name}_batch_per_accelerator": load / size}
        if pools.counts is not None:
            shown[f"{name}_engines"] = int(pools.counts[0 if name == "prefill" else 1])
        elif part * s.accelerators < size:
            shown["fleet"] = max(float(shown.get("fleet", 0.0)), float(np.ceil(size / part)))
    return shown
