"""One scenario under a plan, complete: rates, memory, power, money. Plans may be arrays (a search), records draws (an interval)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from aicompute.economics.cost import run_cost, run_duration
from aicompute.estimate.account import Account, Activity, account, issued_flops
from aicompute.estimate.context import Records, Scene, engine
from aicompute.estimate.kernels import Timed
from aicompute.estimate.rates import Engine, Rate, added_prefill, decode_rate, in_flight_rate, pooled_rate, prefill_rate
from aicompute.estimate.serving import ServingPlan, absent, cache_memory, weight_memory
from aicompute.estimate.training import TrainingPlan, training_step
from aicompute.estimate.workload import Workload
from aicompute.machine.collectives import neighbour_time
from aicompute.machine.failures import cluster_mtbf, daly_interval, goodput_exponential
from aicompute.numerics import Array, ceil, floor, maximum, minimum, sum_of
from aicompute.workload.footprint import cache_bytes
from aicompute.workload.parameters import flops_per_token_training


@dataclass(frozen=True)
class Outcome:
    """What a scenario gives under a plan."""

    metrics: dict[str, Array]
    parts: dict[str, Array]
    """Seconds of a step."""
    communication: dict[str, Array]
    """Seconds of a step, nothing hidden."""
    memory_share: Array
    """Of the fullest device."""
    memory_parts: dict[str, Array]
    timed: list[Timed]
    """Operators of a step (training: one micro-batch forward)."""


MONEY = (
    "accelerator_power", "it_power", "site_power", "energy_per_token", "capital", "cost_per_hour", "cost_per_accelerator_hour",
    "cost_per_token", "carbon_per_token", "embodied_carbon_per_token", "run_cost", "run_carbon", "run_embodied_carbon",
)  # fmt: skip
"""Metrics that need power and prices."""


def training_outcome(s: Scene, r: Records, w: Workload, plan: TrainingPlan, cost: bool = True) -> Outcome:
    """A training job."""
    if r.training is None:
        raise ValueError("the scene is not a training scene")
    step = training_step(r.arch, w.sequence_length, w.global_batch, plan, r.device, r.fabric, r.wires, r.protocol, r.exchange, r.training)
    ranks = plan.dp * plan.tp * plan.pp * plan.cp
    share = sum_of(step.memory.values()) / r.device.capacity
    wanted = None if cost else [name for name in TRAINING_METRICS if name not in MONEY]
    metrics = training_metrics(s, r, w, ranks, step, share, wanted)
    return Outcome(metrics, step.parts, step.communication, share, step.memory, step.forward)


TRAINING_METRICS = (
    "tokens_per_s_per_accelerator", "tokens_per_s", "step_time", "mfu", "goodput", "communication_share", "exposed_share", "memory_share",
    *MONEY[:-3], "run_time", *MONEY[-3:],
)  # fmt: skip
"""All that `training_metrics` knows; those that begin with run where a run has a number of tokens."""


class Totals(Protocol):
    """What the metrics of a training step are made of; a `TrainingStep`, or some of its cells [s, FLOP, B]."""

    @property
    def step(self) -> Array: ...  # noqa: D102
    @property
    def exposed(self) -> Array: ...  # noqa: D102
    @property
    def flops(self) -> Array: ...  # noqa: D102
    @property
    def traffic(self) -> Array: ...  # noqa: D102
    @property
    def wire(self) -> Array: ...  # noqa: D102


def training_metrics(
    s: Scene, r: Records, w: Workload, ranks: Array | None, step: Totals, memory_share: Array, wanted: Collection[str] | None = None
) -> dict[str, Array]:
    """Metrics of training steps; only those wanted cost time.

    Parameters
    ----------
    s, r, w : Scene, Records, Workload
    ranks : shape (...)          Devices that work [1]; None: power as if none did, which bounds power and money from below.
    step : Totals                Fields of shape (...).
    memory_share : shape (...)   Of the fullest device [1].
    wanted : collection          Of `TRAINING_METRICS`; None: all.
    """
    rate = w.global_batch * w.sequence_length / r.time_factor / step.step
    mtbf = cluster_mtbf(r.mtbf, s.accelerators)
    good = goodput_exponential(daly_interval(r.checkpoint, mtbf), r.checkpoint, mtbf, r.restart)
    flops = flops_per_token_training(r.arch, w.sequence_length) / (r.dense_peak * s.accelerators)
    made: dict[str, Callable[[], Array]] = {
        "tokens_per_s_per_accelerator": lambda: rate / s.accelerators,
        "tokens_per_s": lambda: rate,
        "step_time": lambda: step.step * r.time_factor,
        "mfu": lambda: rate * flops,
        "goodput": lambda: good,
        "communication_share": lambda: step.wire / step.step,
        "exposed_share": lambda: step.exposed / step.step,
        "memory_share": lambda: memory_share,
    }
    found = {name: make() for name, make in made.items() if wanted is None or name in wanted}
    if wanted is None or any(name in MONEY for name in wanted):
        time = step.step * r.time_factor
        moved = step.traffic + step.wire / r.link
        busy = [] if ranks is None else [Activity(ranks / s.devices, step.flops / time, moved / time, 0.0)]
        paid = account(s, r, rate * good, busy)
        found |= _money(s, paid, wanted)
        found |= _run_money(paid, w.tokens, rate, good, wanted) if w.tokens is not None else {}
    if w.tokens is not None and (wanted is None or "run_time" in wanted):
        found["run_time"] = run_duration(w.tokens, rate, good)
    return found


def _money(s: Scene, paid: Account, wanted: Collection[str] | None = None) -> dict[str, Array]:
    """Metrics of an account."""
    made: dict[str, Callable[[], Array | None]] = {
        "accelerator_power": lambda: paid.accelerator_power,
        "it_power": lambda: paid.it_power,
        "site_power": lambda: paid.site_power,
        "energy_per_token": lambda: paid.energy_per_token,
        "capital": lambda: paid.capital,
        "cost_per_hour": lambda: paid.cost_rate,
        "cost_per_accelerator_hour": lambda: paid.cost_rate / s.accelerators,
        "cost_per_token": lambda: paid.cost_per_token,
        "carbon_per_token": lambda: paid.carbon_per_token,
        "embodied_carbon_per_token": lambda: paid.embodied_carbon_per_token,
    }
    return _asked(made, wanted)


def _run_money(paid: Account, tokens: Array, rate: Array, good: Array, wanted: Collection[str] | None) -> dict[str, Array]:
    """Money and carbon of a whole run."""

    def making() -> Array | None:
        return None if paid.embodied_carbon_per_token is None else paid.embodied_carbon_per_token * tokens

    made: dict[str, Callable[[], Array | None]] = {
        "run_cost": lambda: run_cost(paid.cost_rate, tokens, rate, good),
        "run_carbon": lambda: paid.carbon_per_token * tokens,
        "run_embodied_carbon": making,
    }
    return _asked(made, wanted)


def _asked(made: Mapping[str, Callable[[], Array | None]], wanted: Collection[str] | None) -> dict[str, Array]:
    """What is wanted, of what is known."""
    found = {name: make() for name, make in made.items() if wanted is None or name in wanted}
    return {name: value for name, value in found.items() if value is not None}


def serving_memory(e: Engine, sequences: Array, length: Array) -> tuple[Array, dict[str, Array]]:
    """Share of the memory that an engine may use, and bytes by part, with so many sequences of a full length."""
    weights = weight_memory(e.arch, e.plan, e.device, e.stack, e.drafts)
    cache = cache_memory(e.arch, e.plan, length, e.device) * maximum(sequences / e.plan.dp, 1.0)
    parts = {"weights": weights, "cache": cache, "reserve": e.stack.reserve + 0.0 * weights}
    return (weights + cache / e.stack.memory_free + e.stack.reserve) / (e.stack.memory_share * e.device.capacity), parts


def _activity(r: Records, e: Engine, rate: Rate, share: Array) -> Activity:
    """What a device of an engine does; a pipeline's step is the way through all stages, each of which works on other micro-batches."""
    seconds = rate.step.step * r.time_factor
    flops = issued_flops(rate.step.timed, r.power.rows)
    return Activity(share, flops / seconds, rate.step.traffic * e.plan.pp / seconds, rate.step.wire / seconds / r.link)


def _engine_metrics(s: Scene, r: Records, e: Engine, rate: Rate, tokens_rate: Array, engines: Array, cost: bool) -> dict[str, Array]:
    """Metrics that every serving outcome shares; ``tokens_rate`` is what costs are shared over."""
    step = rate.step
    metrics: dict[str, Array] = {
        "communication_share": sum(step.communication.values(), 0.0) / step.step,
        "exposed_share": step.exposed / step.step,
    }
    if cost:
        work = engines * e.plan.devices / s.devices
        metrics |= _money(s, account(s, r, tokens_rate, [_activity(r, e, rate, work)]))
    return metrics


def decode_outcome(s: Scene, r: Records, w: Workload, plan: ServingPlan, sequences: Array, drafts: Array, cost: bool = True) -> Outcome:
    """A decode pool: as many equal engines as fit; ``sequences`` in each."""
    e = engine(s, r, plan, drafts)
    rate = decode_rate(e, sequences, w.input_length, w.output_length, w.length_variation)
    engines = floor(s.devices / plan.devices)
    tpot = rate.tpot * r.time_factor
    total = engines * sequences / tpot
    share, parts = serving_memory(e, sequences, w.input_length + w.output_length)
    metrics = {
        "tokens_per_s_per_accelerator": total / s.accelerators,
        "tokens_per_s": total,
        "tokens_per_s_per_user": 1.0 / tpot,
        "tpot": tpot,
        "memory_share": share,
        **_engine_metrics(s, r, e, rate, total, engines, cost),
    }
    return Outcome(metrics, rate.step.parts, rate.step.communication, share, parts, rate.step.timed)


def waiting_factor(utilisation: Array) -> Array:
    """Mean time in a server over its service time, for random arrivals and constant service: 1 + u / (2 (1 - u)) [1]."""
    u = minimum(utilisation, 0.9)
    return 1.0 + 0.5 * u / (1.0 - u)


def prefill_outcome(s: Scene, r: Records, w: Workload, plan: ServingPlan, sequences: Array, cost: bool = True) -> Outcome:
    """A prefill pool; ``sequences`` are the prompts of a batch in one engine; rates count all input tokens, cached ones too."""
    e = engine(s, r, plan, 0.0)
    fresh = w.input_length * (1.0 - w.prefix_hit)
    rate = prefill_rate(e, sequences, fresh, w.input_length * w.prefix_hit)
    engines = floor(s.devices / plan.devices)
    batch = rate.ttft * r.time_factor
    total = engines * rate.output_rate * w.input_length / r.time_factor
    share, parts = serving_memory(e, sequences, w.input_length)
    metrics = {
        "tokens_per_s_per_accelerator": total / s.accelerators,
        "tokens_per_s": total,
        "ttft": (e.stack.first_token_fixed + batch * waiting_factor(s.utilisation)) * r.first_token_factor,
        "memory_share": share,
        **_engine_metrics(s, r, e, rate, total, engines, cost),
    }
    return Outcome(metrics, rate.step.parts, rate.step.communication, share, parts, rate.step.timed)


def in_flight_outcome(s: Scene, r: Records, w: Workload, plan: ServingPlan, sequences: Array, drafts: Array, cost: bool = True) -> Outcome:
    """One pool that prefills and decodes together."""
    e = engine(s, r, plan, drafts)
    fresh = w.input_length * (1.0 - w.prefix_hit)
    rate = in_flight_rate(e, sequences, fresh, w.output_length, w.length_variation, w.input_length * w.prefix_hit, operators=cost)
    engines = floor(s.devices / plan.devices)
    tpot = rate.tpot * r.time_factor
    total = engines * sequences / tpot
    share, parts = serving_memory(e, sequences, w.input_length + w.output_length)
    # a prompt waits for half a step, then passes in its own chunks beside the answers; prompts queue where prefill keeps the engine busy
    equal = rate.bare if absent(w.length_variation) else None
    added, bare = added_prefill(e, sequences, fresh, w.output_length, w.input_length * w.prefix_hit, equal)
    passing = ceil(fresh / e.stack.chunk) * bare + added
    arriving = sequences / (w.output_length * rate.tpot)
    queue = waiting_factor(minimum(arriving * added, 0.9))
    ttft = e.stack.first_token_fixed + (0.5 * bare + passing * queue) * r.time_factor
    metrics = {
        "tokens_per_s_per_accelerator": total / s.accelerators,
        "tokens_per_s": total,
        "tokens_per_s_per_user": 1.0 / tpot,
        "input_tokens_per_s_per_accelerator": total / s.accelerators * w.input_length / w.output_length,
        "tpot": tpot,
        "ttft": ttft * r.first_token_factor,
        "memory_share": share,
        **_engine_metrics(s, r, e, rate, total, engines, cost),
    }
    return Outcome(metrics, rate.step.parts, rate.step.communication, share, parts, rate.step.timed)


@dataclass(frozen=True)
class Pools:
    """A prefill pool and a decode pool: engines, and how many of each."""

    first: ServingPlan
    prompts: float
    """Prompts of a batch in a prefill engine."""
    then: ServingPlan
    sequences: float
    """In a decode engine."""
    drafts: float
    counts: tuple[float, float] | None
    """Whole engines of each pool; None: shares of a fleet in the ratio at which neither pool waits."""


def pools_outcome(s: Scene, r: Records, w: Workload, pools: Pools) -> Outcome:
    """Prompts read in one pool, answers generated in the other; the slower pool sets the rate."""
    e_prefill, e_decode = engine(s, r, pools.first, 0.0), engine(s, r, pools.then, pools.drafts)
    fresh = w.input_length * (1.0 - w.prefix_hit)
    prefill = prefill_rate(e_prefill, pools.prompts, fresh, w.input_length * w.prefix_hit)
    decode = decode_rate(e_decode, pools.sequences, w.input_length, w.output_length, w.length_variation)
    batch, tpot = prefill.ttft * r.time_factor, decode.tpot * r.time_factor
    # tokens per second of one working device
    in_rate = prefill.output_rate / r.time_factor * w.input_length / pools.first.devices
    out_rate = pools.sequences / tpot / pools.then.devices
    if pools.counts is None:
        each, share = pooled_rate(in_rate, out_rate, w.input_length, w.output_length)
        first_share, then_share = share, 1.0 - share
        total = each * s.devices
    else:
        first_share, then_share = pools.counts[0] * pools.first.devices / s.devices, pools.counts[1] * pools.then.devices / s.devices
        total = minimum(first_share * in_rate * w.output_length / w.input_length, then_share * out_rate) * s.devices
    # seconds of a device per output token, by pool; the pool that waits idles
    prompt_seconds = w.input_length / w.output_length / in_rate
    answer_seconds = 1.0 / out_rate
    # the cache of a prompt moves from pool to pool over the tier that joins neighbouring engines
    transfer = neighbour_time(cache_bytes(r.arch, w.input_length, r.device.kv_bytes, pools.first.tp), pools.first.devices, 2.0, r.fabric)
    memory, parts = serving_memory(e_decode, pools.sequences, w.input_length + w.output_length)
    breakdown = _per_token(prefill, prompt_seconds, "prefill: ") | _per_token(decode, answer_seconds, "decode: ")
    talk = _per_token_communication(prefill, prompt_seconds, "prefill: ") | _per_token_communication(decode, answer_seconds, "decode: ")
    breakdown["devices that wait"] = maximum(s.devices / total - prompt_seconds - answer_seconds, 0.0)
    spent = prompt_seconds + answer_seconds
    exposed = prefill.step.exposed / prefill.step.step * prompt_seconds + decode.step.exposed / decode.step.step * answer_seconds
    per_device = total / s.devices
    activities = [
        _activity(r, e_prefill, prefill, per_device * prompt_seconds),
        _activity(r, e_decode, decode, per_device * answer_seconds),
    ]
    metrics = {
        "tokens_per_s_per_accelerator": total / s.accelerators,
        "tokens_per_s": total,
        "tokens_per_s_per_user": 1.0 / tpot,
        "input_tokens_per_s_per_accelerator": total / s.accelerators * w.input_length / w.output_length,
        "tpot": tpot,
        "ttft": (e_prefill.stack.first_token_fixed + batch * waiting_factor(s.utilisation) + transfer) * r.first_token_factor,
        "memory_share": memory,
        "communication_share": sum(talk.values(), 0.0) / spent,
        "exposed_share": exposed / spent,
        "prefill_share": first_share + 0.0 * total,
        **_money(s, account(s, r, total, activities)),
    }
    return Outcome(metrics, breakdown, talk, memory, parts, decode.step.timed)


def _per_token(rate: Rate, seconds: Array, prefix: str) -> dict[str, Array]:
    """Parts of a step scaled to the seconds that an output token costs in a pool."""
    return {prefix + name: value / rate.step.step * seconds for name, value in rate.step.parts.items()}


def _per_token_communication(rate: Rate, seconds: Array, prefix: str) -> dict[str, Array]:
    return {prefix + name: value / rate.step.step * seconds for name, value in rate.step.communication.items()}


def plan_of(columns: Mapping[str, Array]) -> ServingPlan:
    """A serving plan from named numbers."""
    return ServingPlan(columns["tp"], columns["dp"], columns["pp"], columns["ep"])
