"""One scenario under a plan, complete: rates, memory, power, money. Plans may be arrays (a search), records draws (an interval)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aicompute.estimate.account import Account, account, issued_flops
from aicompute.estimate.context import Records, Scene, engine
from aicompute.estimate.kernels import Timed
from aicompute.estimate.rates import Engine, Rate, decode_rate, in_flight_rate, pooled_rate, prefill_rate
from aicompute.estimate.serving import ServingPlan, cache_memory, weight_memory
from aicompute.estimate.training import TrainingPlan, training_step
from aicompute.estimate.workload import Workload
from aicompute.machine.collectives import neighbour_time
from aicompute.machine.failures import cluster_mtbf, daly_interval, goodput_exponential
from aicompute.numerics import Array, floor, maximum
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


def training_outcome(s: Scene, r: Records, w: Workload, plan: TrainingPlan, cost: bool = True) -> Outcome:
    """A training job."""
    if r.training is None:
        raise ValueError("the scene is not a training scene")
    step = training_step(r.arch, w.sequence_length, w.global_batch, plan, r.device, r.fabric, r.wires, r.protocol, r.exchange, r.training)
    time = step.step * r.time_factor
    rate = w.global_batch * w.sequence_length / time
    used = plan.dp * plan.tp * plan.pp * plan.cp / s.devices
    mtbf = cluster_mtbf(r.mtbf, s.accelerators)
    interval = daly_interval(r.checkpoint, mtbf)
    good = goodput_exponential(interval, r.checkpoint, mtbf, r.restart)
    model_flops = flops_per_token_training(r.arch, w.sequence_length) * rate
    memory = sum(step.memory.values(), 0.0)
    metrics: dict[str, Array] = {
        "tokens_per_s_per_accelerator": rate / s.accelerators,
        "tokens_per_s": rate,
        "step_time": time,
        "mfu": model_flops / (r.power.peak * s.accelerators),
        "goodput": good,
        "communication_share": sum(step.communication.values(), 0.0) / step.step,
        "exposed_share": step.exposed / step.step,
        "memory_share": memory / r.device.capacity,
    }
    if cost:
        paid = account(
            s, r, rate * good, step.flops / time * used, step.traffic / time * used, step.wire / time * used / r.link
        )
        metrics |= _money(s, paid)
        if w.tokens is not None:
            metrics["run_time"] = w.tokens / (rate * good)
            metrics["run_cost"] = paid.cost_rate * metrics["run_time"]
    return Outcome(metrics, step.parts, step.communication, memory / r.device.capacity, step.memory, step.forward)


def _money(s: Scene, paid: Account) -> dict[str, Array]:
    """Metrics of an account."""
    return {
        "accelerator_power": paid.accelerator_power,
        "it_power": paid.it_power,
        "site_power": paid.site_power,
        "energy_per_token": paid.energy_per_token,
        "capital": paid.capital,
        "cost_per_hour": paid.cost_rate,
        "cost_per_accelerator_hour": paid.cost_rate / s.accelerators,
        "cost_per_token": paid.cost_per_token,
        "carbon_per_token": paid.carbon_per_token,
    }


def serving_memory(e: Engine, sequences: Array, length: Array) -> tuple[Array, dict[str, Array]]:
    """Share of the memory that an engine may use, and bytes by part, with so many sequences of a full length."""
    weights = weight_memory(e.arch, e.plan, e.device, e.stack, e.drafts)
    cache = cache_memory(e.arch, e.plan, length, e.device) * maximum(sequences / e.plan.dp, 1.0)
    parts = {"weights": weights, "cache": cache, "reserve": e.stack.reserve + 0.0 * weights}
    return (weights + cache + e.stack.reserve) / (e.stack.memory_share * e.device.capacity), parts


def _engine_metrics(
    s: Scene, r: Records, e: Engine, rate: Rate, tokens_rate: Array, engines: Array, cost: bool, busy: Array = 1.0
) -> dict[str, Array]:
    """Metrics that every serving outcome shares; ``tokens_rate`` is what costs are shared over."""
    step = rate.step
    seconds = step.step * r.time_factor
    work = engines * e.plan.devices / s.devices
    metrics: dict[str, Array] = {
        "communication_share": sum(step.communication.values(), 0.0) / step.step,
        "exposed_share": step.exposed / step.step,
    }
    if cost:
        flops = issued_flops(step.timed, r.power.rows) / e.plan.pp / seconds
        wire = step.wire / seconds / r.link
        # a pipeline's step is the way through all stages; each stage works on other micro-batches meanwhile
        together = e.plan.pp * work * busy
        metrics |= _money(s, account(s, r, tokens_rate, flops * together, step.traffic / seconds * together, wire * work * busy))
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


def waiting_factor(utilisation: float) -> float:
    """Mean time in a server over its service time, for random arrivals and constant service: 1 + u / (2 (1 - u)) [1]."""
    u = min(utilisation, 0.9)
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
        "ttft": e.stack.first_token_fixed + batch * waiting_factor(s.utilisation),
        "memory_share": share,
        **_engine_metrics(s, r, e, rate, total, engines, cost),
    }
    return Outcome(metrics, rate.step.parts, rate.step.communication, share, parts, rate.step.timed)


def in_flight_outcome(s: Scene, r: Records, w: Workload, plan: ServingPlan, sequences: Array, drafts: Array, cost: bool = True) -> Outcome:
    """One pool that prefills and decodes together."""
    e = engine(s, r, plan, drafts)
    fresh = w.input_length * (1.0 - w.prefix_hit)
    rate = in_flight_rate(e, sequences, fresh, w.output_length, w.length_variation, w.input_length * w.prefix_hit)
    engines = floor(s.devices / plan.devices)
    tpot = rate.tpot * r.time_factor
    total = engines * sequences / tpot
    share, parts = serving_memory(e, sequences, w.input_length + w.output_length)
    chunks = maximum(fresh / e.stack.chunk, 1.0)
    metrics = {
        "tokens_per_s_per_accelerator": total / s.accelerators,
        "tokens_per_s": total,
        "tokens_per_s_per_user": 1.0 / tpot,
        "input_tokens_per_s_per_accelerator": total / s.accelerators * w.input_length / w.output_length,
        "tpot": tpot,
        # a prompt waits for the running step and passes in its own chunks, as one of those that arrive
        "ttft": e.stack.first_token_fixed + (0.5 + chunks) * rate.step.step * r.time_factor * waiting_factor(s.utilisation),
        "memory_share": share,
        **_engine_metrics(s, r, e, rate, total, engines, cost),
    }
    return Outcome(metrics, rate.step.parts, rate.step.communication, share, parts, rate.step.timed)


def pools_outcome(
    s: Scene, r: Records, w: Workload, first: ServingPlan, prompts: Array, then: ServingPlan, sequences: Array, drafts: Array
) -> Outcome:
    """A prefill pool and a decode pool in the ratio at which neither waits; pools are fractions of a fleet."""
    e_prefill, e_decode = engine(s, r, first, 0.0), engine(s, r, then, drafts)
    fresh = w.input_length * (1.0 - w.prefix_hit)
    prefill = prefill_rate(e_prefill, prompts, fresh, w.input_length * w.prefix_hit)
    decode = decode_rate(e_decode, sequences, w.input_length, w.output_length, w.length_variation)
    each = s.devices / s.accelerators  # working devices an accelerator paid for
    batch = prefill.ttft * r.time_factor
    tpot = decode.tpot * r.time_factor
    in_rate = prefill.output_rate / r.time_factor * w.input_length / first.devices * each
    out_rate = sequences / tpot / then.devices * each
    per_accelerator, share = pooled_rate(in_rate, out_rate, w.input_length, w.output_length)
    total = per_accelerator * s.accelerators
    # the cache of a prompt moves from pool to pool over the tier that joins neighbouring engines
    transfer = neighbour_time(cache_bytes(r.arch, w.input_length, r.device.kv_bytes, first.tp), first.devices, 2.0, r.fabric)
    memory, parts = serving_memory(e_decode, sequences, w.input_length + w.output_length)
    pieces = [(prefill, e_prefill, share), (decode, e_decode, 1.0 - share)]
    flops = sum((issued_flops(p.step.timed, r.power.rows) / (p.step.step * r.time_factor) * part for p, _, part in pieces), 0.0)
    traffic = sum((p.step.traffic * e.plan.pp / (p.step.step * r.time_factor) * part for p, e, part in pieces), 0.0)
    wire = sum((p.step.wire / (p.step.step * r.time_factor) * part for p, _, part in pieces), 0.0) / r.link
    # seconds of a device per output token, by pool
    prompt_seconds = w.input_length / w.output_length / (in_rate / each)
    answer_seconds = 1.0 / (out_rate / each)
    breakdown = _per_token(prefill, prompt_seconds, "prefill: ") | _per_token(decode, answer_seconds, "decode: ")
    talk = _per_token_communication(prefill, prompt_seconds, "prefill: ") | _per_token_communication(decode, answer_seconds, "decode: ")
    spent = prompt_seconds + answer_seconds
    exposed = prefill.step.exposed / prefill.step.step * prompt_seconds + decode.step.exposed / decode.step.step * answer_seconds
    metrics = {
        "tokens_per_s_per_accelerator": per_accelerator,
        "tokens_per_s": total,
        "tokens_per_s_per_user": 1.0 / tpot,
        "input_tokens_per_s_per_accelerator": per_accelerator * w.input_length / w.output_length,
        "tpot": tpot,
        "ttft": e_prefill.stack.first_token_fixed + batch * waiting_factor(s.utilisation) + transfer,
        "memory_share": memory,
        "communication_share": sum(talk.values(), 0.0) / spent,
        "exposed_share": exposed / spent,
        "prefill_share": share,
        **_money(s, account(s, r, total, flops, traffic, wire)),
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
