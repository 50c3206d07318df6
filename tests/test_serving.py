"""Serving engines: steps that add up, rates under load, floats against arrays; estimates of every model."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aicompute.estimate import workload
from aicompute.estimate.account import Activity, account
from aicompute.estimate.context import engine, records, scene
from aicompute.estimate.evaluate import decode_outcome, in_flight_outcome, prefill_outcome
from aicompute.estimate.rates import (
    added_prefill,
    closed_loop_rate,
    decode_rate,
    finite_rate,
    in_flight_rate,
    open_loop_rate,
    pooled_rate,
    prefill_rate,
    static_rate,
)
from aicompute.estimate.serving import Load, ServingPlan, emitted
from aicompute.specs import Library

library = Library()
RATE = "tokens_per_s_per_accelerator"
SUPPORTED = [m for m in library.ids("models") if not library.load("models", m).get("unsupported", "")]


def setting(system: str = "gb200-nvl72", model: str = "deepseek-r1", **options: Any):
    s = scene(library, system, model, "decode", **options)
    return s, records(s)


def made(system: str, model: str, plan: ServingPlan, drafts: Any = 0.0):
    s, r = setting(system, model)
    return engine(s, r, plan, drafts)


systems = st.sampled_from(["gb200-nvl72", "dgx-h100", "cloudmatrix-384", "tpu-v6e-pod"])
models = st.sampled_from(SUPPORTED)
plans = st.builds(
    ServingPlan, tp=st.sampled_from([1.0, 2.0, 8.0]), dp=st.sampled_from([1.0, 4.0, 32.0]), pp=st.sampled_from([1.0, 2.0]), ep=st.just(1.0)
).flatmap(lambda p: st.sampled_from([p, dataclasses.replace(p, ep=p.tp * p.dp)]))
lengths = st.sampled_from([16.0, 1024.0, 100000.0])


# --- published


@pytest.mark.parametrize(("drafts", "acceptance", "tokens"), [(1.0, 0.85, 1.85), (1.0, 0.9, 1.9), (1.0, 0.7, 1.7)])
def test_emitted_tokens(drafts, acceptance, tokens):
    """arXiv:2412.19437, section 5.4.3: 85 to 90 % acceptance give 1.8 times the tokens; arXiv:2506.12708: 70 % give 1.7."""
    assert emitted(drafts, acceptance) == pytest.approx(tokens, rel=1e-9)


# --- a step


@given(
    system=systems,
    model=models,
    plan=plans,
    sequences=st.sampled_from([1.0, 64.0, 5000.0]),
    context=lengths,
    drafts=st.sampled_from([0.0, 1.0, 3.0]),
)
@settings(max_examples=80)
def test_decode_steps_are_finite_and_add_up(system, model, plan, sequences, context, drafts):
    e = made(system, model, plan, drafts)
    for load in (
        Load(sequences, 1.0 + drafts, context, 0.0, 1.0, 0.0),
        Load(sequences, 1.0, context, 0.3, 1000.0, 0.0, 0.5, 1.0),
        Load(0.0, 1.0, 1.0, 2.0, context, 0.0),
    ):
        s = e.step(load)
        numbers = [s.step, s.exposed, s.flops, s.traffic, s.wire, *s.parts.values(), *s.communication.values()]
        assert all(math.isfinite(x) and x >= 0.0 for x in numbers), s.parts
        assert s.step == pytest.approx(sum(s.parts.values()), rel=1e-12)
        assert s.exposed <= sum(s.communication.values()) * (1 + 1e-9)
        assert s.step > 0.0


@given(system=systems, model=models, plan=plans, sequences=st.sampled_from([1.0, 64.0, 2000.0]), context=lengths)
@settings(max_examples=80)
def test_steps_are_monotone(system, model, plan, sequences, context):
    e = made(system, model, plan)

    def time(engine_=e, **changes: float) -> float:
        load = Load(
            **{
                "sequences": sequences,
                "queries": 1.0,
                "context": context,
                "prefill_sequences": 0.0,
                "prefill_length": 1.0,
                "prefill_prefix": 0.0,
                **changes,
            }
        )
        return float(engine_.step(load).step)

    base = time()
    assert time(sequences=2 * sequences) >= base * (1 - 1e-9)
    assert time(context=2 * context) >= base
    assert time(prefill_sequences=1.0, prefill_length=100.0) >= base
    assert time(spread=0.5) >= base
    quick = tuple(dataclasses.replace(t, inverse_bandwidth=t.inverse_bandwidth / 2) for t in e.fabric)
    wires = tuple(dataclasses.replace(t, inverse_bandwidth=t.inverse_bandwidth / 2) for t in e.wires)
    assert time(dataclasses.replace(e, fabric=quick, wires=wires)) <= base
    fast = dataclasses.replace(e.device, bandwidth=2 * e.device.bandwidth, kv_bandwidth=2 * e.device.kv_bandwidth)
    assert time(dataclasses.replace(e, device=fast)) <= base
    rates = {
        role: dataclasses.replace(getattr(e.device, role), compute=2 * getattr(e.device, role).compute)
        for role in ("dense", "experts", "head", "cache_attention")
    }
    assert time(dataclasses.replace(e, device=dataclasses.replace(e.device, **rates))) <= base


@given(plan=plans, sequences=st.sampled_from([8.0, 512.0]), context=lengths)
@settings(max_examples=30)
def test_engines_do_at_least_the_work_of_one_device(plan, sequences, context):
    """Conservation: a dense model's FLOPs of all devices of an engine are those of one device alone."""
    alone = made("gb200-nvl72", "llama-3.1-70b", ServingPlan(1.0, 1.0, 1.0, 1.0)).step(Load(sequences, 1.0, context, 0.0, 1.0, 0.0)).flops
    plan = dataclasses.replace(plan, ep=1.0)
    each = made("gb200-nvl72", "llama-3.1-70b", plan).step(Load(sequences, 1.0, context, 0.0, 1.0, 0.0)).flops
    # the fullest group carries more than the mean
    together = each * plan.devices * plan.pp
    assert alone * 0.999 <= together
    assert plan.dp > 1.0 or together <= alone * 1.001


def test_layers_of_one_mixer_are_half_a_layer():
    """Nemotron-H has 118 blocks: 118 reductions, and the constants of 59 layers of two blocks."""
    e = made("dgx-h100", "nemotron-h-56b", ServingPlan(8.0, 1.0, 1.0, 1.0))
    step = e.step(Load(64.0, 1.0, 1024.0, 0.0, 1.0, 0.0))
    assert step.parts["layer launches"] == pytest.approx(59 * e.stack.layer_fixed, rel=1e-12)
    whole = dataclasses.replace(e, arch=dataclasses.replace(e.arch, num_ffn_layers=0)).step(Load(64.0, 1.0, 1024.0, 0.0, 1.0, 0.0))
    assert step.communication["tensor parallel"] == pytest.approx(whole.communication["tensor parallel"] * 118 / 182, rel=1e-12)


def test_chunks_of_a_prompt_expand_its_prefix_again():
    """MLA: products of a chunk behind a prefix grow by the latent up-projection of the prefix; decoding tokens expand none."""
    e = made("gb200-nvl72", "deepseek-r1", ServingPlan(1.0, 4.0, 1.0, 4.0))
    a = e.arch

    def dense(load: Load) -> float:
        return float(sum(t.flops for t in e.step(load).timed if t.operator.role == "dense"))

    expanded = 2.0 * a.num_layers * a.num_heads * (a.qk_nope_head_dim + a.v_head_dim) * a.kv_lora_rank * 6144.0
    first, later = (Load(0.0, 1.0, 1.0, 4.0, 2048.0, p) for p in (0.0, 6144.0))
    assert dense(later) - dense(first) == pytest.approx(expanded, rel=1e-9)
    assert dense(Load(64.0, 1.0, 100.0, 0.0, 1.0, 0.0)) == dense(Load(64.0, 1.0, 9000.0, 0.0, 1.0, 0.0))


# --- rates

RATES = {
    "decode": lambda e, n, i, o: decode_rate(e, n, i, o),
    "in flight": lambda e, n, i, o: in_flight_rate(e, n, i, o),
    "static": lambda e, n, i, o: static_rate(e, n, i, o),
    "closed loop": lambda e, n, i, o: closed_loop_rate(e, n, i, o),
    "open loop": lambda e, n, i, o: open_loop_rate(e, n / 100.0, i, o),
    "prefill": lambda e, n, i, o: prefill_rate(e, n, i),
}


@pytest.mark.parametrize("kind", RATES)
@pytest.mark.parametrize(
    ("system", "model"), [("gb200-nvl72", "deepseek-r1"), ("dgx-h100", "llama-3.1-8b"), ("cloudmatrix-384", "qwen3-235b-a22b")]
)
def test_floats_flat_arrays_and_open_meshes_agree(kind, system, model):
    tp, dp, number = [1.0, 4.0], [1.0, 16.0], [1.0, 24.0, 3000.0]
    moe = bool(library.load("models", model).get("num_experts", 0))

    def run(t, d, n):
        ep = t * d if moe else 0.0 * t * d + 1.0
        r = RATES[kind](made(system, model, ServingPlan(t, d, 1.0, ep)), n, 1500.0, 300.0)
        return [r.output_rate, r.input_rate, r.tpot, r.ttft, r.sequences, r.step.step, r.step.exposed, r.step.flops, r.step.traffic]

    mesh = run(*np.meshgrid(tp, dp, number, indexing="ij", sparse=True))
    grid = [g.ravel() for g in np.meshgrid(tp, dp, number, indexing="ij")]
    flat = run(*grid)
    for a, b in zip(mesh, flat, strict=True):
        assert np.broadcast_to(a, (2, 2, 3)).ravel() == pytest.approx(np.broadcast_to(b, 12), rel=1e-12)
    for k in range(12):
        single = run(*(float(g[k]) for g in grid))
        assert [float(np.broadcast_to(b, 12)[k]) for b in flat] == pytest.approx([float(x) for x in single], rel=1e-12)


@given(
    system=systems,
    model=models,
    plan=plans,
    number=st.sampled_from([1.0, 50.0, 4000.0]),
    prompt=lengths,
    answer=st.sampled_from([1.0, 200.0, 5000.0]),
)
@settings(max_examples=60)
def test_rates_are_finite_and_obey_little(system, model, plan, number, prompt, answer):
    """J. Little (1961): requests in the engine = rate x time in it; checked for the closed loop, which nothing else forces."""
    e = made(system, model, plan)
    for name, run in RATES.items():
        r = run(e, number, prompt, answer)
        numbers = [float(x) for x in (r.output_rate, r.input_rate, r.tpot, r.ttft, r.sequences)]
        assert all(math.isfinite(x) and x >= 0.0 for x in numbers), name
    r = closed_loop_rate(e, number, prompt, answer)
    most = max(float(e.capacity(prompt + answer)), 1.0)
    if number <= most:
        assert r.output_rate / answer * (r.ttft + answer * r.tpot) == pytest.approx(number, rel=1e-6)


@given(
    system=systems,
    model=models,
    plan=plans,
    number=st.sampled_from([1.0, 50.0, 4000.0]),
    prompt=st.sampled_from([16.0, 20000.0]),
    answer=st.sampled_from([20.0, 5000.0]),
)
@settings(max_examples=40)
def test_full_engines_do_the_work_of_their_prompts(system, model, plan, number, prompt, answer):
    """Steps with and without prompts together compute what arrives: FLOPs follow the mean, whatever their mixture; and the parts add up."""
    e = dataclasses.replace(made(system, model, plan), stack=dataclasses.replace(made(system, model, plan).stack, balanced=1.0))
    rate = in_flight_rate(e, number, prompt, answer)
    assert rate.step.step == pytest.approx(sum(rate.step.parts.values()), rel=1e-9)
    assert rate.step.flops == pytest.approx(sum(t.flops for t in rate.step.timed) / plan.pp, rel=1e-9)
    assert rate.typical > 0.0
    bare = decode_rate(e, number, prompt, answer)
    assert rate.tpot >= bare.tpot * (1.0 - 1e-9)


def test_few_prompts_slow_the_mean_step_by_their_own_time():
    """One prompt in a hundred steps: the mean step is the bare one and a hundredth of what the prompt adds."""
    e = made("dgx-h100", "llama-3.1-8b", ServingPlan(1.0, 1.0, 1.0, 1.0))
    added, bare = added_prefill(e, 10.0, 1000.0, 1000.0)
    assert in_flight_rate(e, 10.0, 1000.0, 1000.0).tpot == pytest.approx(bare + 0.01 * added, rel=1e-6)


@given(number=st.sampled_from([1.0, 64.0, 700.0]), requests=st.sampled_from([1.0, 63.0, 1000.0, 1e6]))
@settings(max_examples=12)
def test_runs_that_end_are_no_faster_than_those_that_do_not(number, requests):
    e = made("dgx-h100", "llama-3.1-8b", ServingPlan(1.0, 1.0, 1.0, 1.0))
    finite, steady = finite_rate(e, number, requests, 500.0, 500.0), in_flight_rate(e, min(number, requests), 500.0, 500.0)
    assert finite.output_rate <= steady.output_rate * (1.0 + 1e-9)
    if requests >= 1e6 or requests == number:
        assert finite.output_rate == pytest.approx(steady.output_rate, rel=2e-3)


def test_clients_beyond_memory_wait_for_whole_answers():
    e = made("dgx-h100", "llama-3.1-8b", ServingPlan(1.0, 1.0, 1.0, 1.0))
    held, more = (closed_loop_rate(e, c, 1000.0, 500.0, 40.0) for c in (40.0, 80.0))
    assert more.tpot == pytest.approx(held.tpot, rel=1e-9)
    assert more.output_rate == pytest.approx(held.output_rate, rel=1e-9)
    assert more.ttft - held.ttft == pytest.approx(held.ttft + 500.0 * held.tpot, rel=1e-9)


def test_skewed_routing_touches_fewer_experts():
    e = made("dgx-h100", "qwen3-235b-a22b", ServingPlan(4.0, 1.0, 1.0, 1.0))
    times = [
        float(
            dataclasses.replace(e, stack=dataclasses.replace(e.stack, diversity=d))
            .step(Load(16.0, 1.0, 1000.0, 0.0, 1.0, 0.0))
            .parts["experts"]
        )
        for d in (0.3, 0.8, 1.0)
    ]
    assert times[0] < times[1] < times[2]
    alone = [
        float(
            dataclasses.replace(e, stack=dataclasses.replace(e.stack, diversity=d))
            .step(Load(1.0, 1.0, 1000.0, 0.0, 1.0, 0.0))
            .parts["experts"]
        )
        for d in (0.3, 1.0)
    ]
    assert alone[0] == pytest.approx(alone[1], rel=1e-12)


@given(prefill=st.floats(1.0, 1e6), decode=st.floats(1.0, 1e6), prompt=st.floats(1.0, 1e6), answer=st.floats(1.0, 1e6))
def test_pools_are_in_balance(prefill, decode, prompt, answer):
    """Neither pool waits: prompts read equal answers begun; and the whole is slower than either part alone."""
    rate, share = pooled_rate(prefill, decode, prompt, answer)
    assert share * prefill / prompt == pytest.approx((1 - share) * decode / answer, rel=1e-6, abs=1e-14 * decode / answer)
    assert rate == pytest.approx((1 - share) * decode, rel=1e-6, abs=1e-14 * decode)
    assert 0.0 < rate <= decode


@given(drafts=st.integers(0, 8).map(float), acceptance=st.floats(0.0, 1.0))
def test_emitted_limits(drafts, acceptance):
    gain = emitted(drafts, acceptance)
    assert 1.0 - 1e-12 <= gain <= drafts + 1.0
    assert emitted(drafts + 1.0, acceptance) >= gain
    assert emitted(0.0, acceptance) == pytest.approx(1.0, rel=1e-9)


def test_prompts_found_in_a_cache_are_still_attended_to():
    """A hit saves the prefill and not the cache that every answer reads: with everything cached, a step costs what decoding alone costs."""
    s, r = setting("dgx-h100", "llama-3.1-8b")
    plan = ServingPlan(1.0, 1.0, 1.0, 1.0)
    outcomes = [
        in_flight_outcome(s, r, workload.serving(8000, 500, prefix_hit=hit), plan, 16.0, 0.0, cost=False) for hit in (0.0, 0.5, 0.999)
    ]
    times = [float(o.metrics["tpot"]) for o in outcomes]
    assert times[0] > times[1] > times[2]
    alone = decode_outcome(s, r, workload.decode(8000, 500), plan, 16.0, 0.0, cost=False)
    assert outcomes[2].parts["cache attention"] == pytest.approx(alone.parts["cache attention"], rel=1e-9)
    assert times[2] >= 0.95 * float(alone.metrics["tpot"])


def test_a_pipeline_does_not_shorten_the_way_of_one_prompt():
    """One prompt on two stages passes both: no sooner than on one device of the same kind, sends aside."""
    s, r = setting("dgx-h100", "llama-3.1-8b")
    w = workload.prefill(2000)
    one, two = (prefill_outcome(s, r, w, ServingPlan(1.0, 1.0, p, 1.0), 1.0, cost=False).metrics["ttft"] for p in (1.0, 2.0))
    assert two >= 0.74 * one  # the prompt in two halves: three half-steps instead of four


# --- money and power of arrays


def test_account_of_arrays_equals_floats():
    s, r = setting()
    tokens, flops = np.array([1e3, 1e5, 1e7])[:, None], np.array([1e12, 5e14])[None, :]
    mesh = account(s, r, tokens, [Activity(0.9, flops, 1e12, 1e10)])
    for i, t in enumerate(tokens[:, 0]):
        for j, f in enumerate(flops[0]):
            one = account(s, r, float(t), [Activity(0.9, float(f), 1e12, 1e10)])
            for name in (
                "accelerator_power",
                "it_power",
                "site_power",
                "energy_per_token",
                "capital",
                "cost_rate",
                "cost_per_token",
                "carbon_per_token",
            ):
                assert np.broadcast_to(getattr(mesh, name), (3, 2))[i, j] == pytest.approx(getattr(one, name), rel=1e-12), name


@pytest.mark.parametrize("outcome", ["decode", "prefill", "serving"])
def test_metrics_of_arrays_equal_floats(outcome):
    s, r = setting(model="qwen3-235b-a22b")
    number = np.array([8.0, 64.0, 1024.0])
    plan = ServingPlan(1.0, 8.0, 1.0, 8.0)

    def run(n):
        if outcome == "decode":
            return decode_outcome(s, r, workload.decode(), plan, n, 0.0).metrics
        if outcome == "prefill":
            return prefill_outcome(s, r, workload.prefill(), plan, n).metrics
        return in_flight_outcome(s, r, workload.serving(), plan, n, 0.0).metrics

    together = run(number)
    for k, n in enumerate(number):
        for name, value in run(float(n)).items():
            assert np.broadcast_to(together[name], 3)[k] == pytest.approx(value, rel=1e-12), name


# --- estimates

ASKED = {"prefill": workload.prefill(), "decode": workload.decode(tpot="100 ms"), "serving": workload.serving(tpot="100 ms")}


def check(e) -> None:
    assert e.feasible or e.reason
    for name, metric in e.metrics.items():
        assert math.isfinite(metric.value), name
        assert metric.value > 0.0 or name in ("communication_share", "exposed_share"), name
    if e.feasible:
        assert e.value("memory_share") <= 1.0
        assert e.value("exposed_share") <= e.value("communication_share") + 1e-12
        assert sum(p.share for p in e.breakdown) == pytest.approx(1.0, rel=1e-9)
        assert e.value("accelerator_power") <= library.load("accelerators", e.accelerator).si("power.tdp") * 1.001
        assert e.value("site_power") >= e.value("it_power") >= e.value("accelerator_power") * e.accelerators * 0.999


@pytest.mark.parametrize("kind", ASKED)
@pytest.mark.parametrize("model", SUPPORTED)
def test_every_model_is_served_or_says_why(ask, model, kind):
    check(ask("gb200-nvl72", model, ASKED[kind]))


@pytest.mark.parametrize("kind", ASKED)
@pytest.mark.parametrize("system", library.ids("systems"))
def test_every_system_serves_or_says_why(ask, system, kind):
    for model in ("llama-3.1-8b", "gpt-oss-120b", "deepseek-r1"):
        check(ask(system, model, ASKED[kind]))


@pytest.mark.parametrize("system", ["gb200-nvl72", "cloudmatrix-384"])
def test_totals_are_the_sum_of_their_parts(ask, system):
    e = ask(system, "deepseek-r1", workload.decode(tpot="50 ms"))
    gain = emitted(float(e.plan["drafts"]), records(scene(library, system, "deepseek-r1", "decode")).acceptance)
    assert sum(p.seconds for p in e.breakdown) == pytest.approx(e.value("tpot") * gain, rel=1e-9)
    e = ask(system, "deepseek-r1", workload.serving())
    # seconds of a device per output token: all devices over the rate
    devices = e.accelerators * library.load("accelerators", e.accelerator).si("devices")
    if e.plan["pools"] == "prefill and decode":
        assert sum(p.seconds for p in e.breakdown) == pytest.approx(devices / e.value("tokens_per_s"), rel=1e-9)
