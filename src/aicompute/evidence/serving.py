"""Rows of measured serving: what they say, what is filled in, what is predicted."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from aicompute.errors import UnknownNameError, UsageError
from aicompute.estimate import inputs
from aicompute.estimate.account import issued_flops
from aicompute.estimate.rates import Engine, Rate, closed_loop_rate, decode_rate, in_flight_rate, open_loop_rate, prefill_rate, static_rate
from aicompute.estimate.serving import ServingPlan
from aicompute.machine.power import accelerator_power
from aicompute.numerics import Array
from aicompute.specs import Library, Spec
from aicompute.workload.architecture import Architecture

PRIOR = "generic-serving"
"""The stack of rows whose software nobody knows."""

EMITTED = {
    "prefill": ("input_tokens_per_s_per_accelerator", "ttft_ms"),
    "decode": ("output_tokens_per_s_per_accelerator", "tpot_ms"),
    "latency": ("output_tokens_per_s_per_accelerator", "ttft_ms", "tpot_ms"),
    "mixed-offline-max-throughput": ("output_tokens_per_s_per_accelerator", "tpot_ms", "power_w_per_accelerator"),
    "mixed-closed-loop": ("ttft_ms", "tpot_ms"),
    "mixed-closed-loop-disaggregated": ("ttft_ms", "tpot_ms"),
    "mixed-server-fixed-QPS": ("ttft_ms", "tpot_ms"),
}
"""Measured columns that are predicted, by mode."""


@dataclass(frozen=True)
class ServingCase:
    """One measured configuration, complete."""

    model: str
    system: str
    stack: str
    precision: dict[str, str]
    mode: str
    plan: ServingPlan
    engines: float
    """Equal engines among which the load is shared."""
    accelerators: float
    input_length: float
    output_length: float
    sequences: float
    """In all engines; 0 where memory decides."""
    request_rate: float
    drafts: float
    acceptance: float | None


def number(row: Mapping[str, str], key: str, default: float = 0.0) -> float:
    """A cell as a number; empty cells are the default."""
    text = (row.get(key) or "").strip()
    return float(text) if text else default


def row_precision(row: Mapping[str, str], experts: bool, native: str, kv_default: str, combine: str = "bf16") -> dict[str, str]:
    """The precision map of a row: weights as stated, attention weights of 4-bit mixtures in 16 bits, cache by the stack's habit."""
    weights = (row.get("weight_precision") or native).strip()
    small = inputs.PRECISIONS.get(weights, ("", 2.0, 2.0))[1] < 2.0
    four_bit = weights in ("nvfp4", "mxfp4", "int4")
    kv = (row.get("kv_precision") or "").strip() or (kv_default if small else "bf16")
    return inputs.precision_map(
        {
            "dense": "bf16" if four_bit and experts else weights,
            "experts": weights,
            "attention": "bf16",
            "kv": kv,
            "dispatch": "fp8" if small else "bf16",
            "combine": combine,
        },
        {},
    )


def version_key(text: str) -> tuple[int, ...]:
    """Leading numbers of a version, for ordering.

    Examples
    --------
    >>> version_key("0.5.6.post2") < version_key("0.12.0")
    True
    """
    parts = []
    for part in text.split("."):
        digits = re.match(r"\d+", part)
        if not digits:
            break
        parts.append(int(digits.group()))
    return tuple(parts)


def stack_of(lib: Library, name: str, version: str) -> Spec:
    """The stack of a name, or the variant of it for a version: the one with the latest ``since`` that is not later.

    A stack that nobody knows gets the prior of its kind.
    """
    try:
        stack = lib.load("stacks", name)
    except UsageError:
        return lib.load("stacks", PRIOR)
    if not version:
        return stack
    best: tuple[tuple[int, ...], Spec] = ((), stack)
    for identifier in lib.ids("stacks"):
        if not identifier.startswith(stack.id + "-"):
            continue
        variant = lib.load("stacks", identifier)
        since = version_key(str(variant.get("defaults.since", "")))
        if variant.get("defaults.variant_of", "") == stack.id and best[0] < since <= version_key(version):
            best = (since, variant)
    return best[1]


def row_model(lib: Library, name: str) -> tuple[Spec, Architecture]:
    """The model of a row.

    Raises
    ------
    UsageError
        It is not known or cannot be counted, with the column.
    """
    try:
        model = lib.load("models", name)
        return model, inputs.architecture(model)
    except UsageError as error:
        raise UsageError(f"column model: {error}") from None


def row_system(lib: Library, row: Mapping[str, str]) -> tuple[Spec, Spec]:
    """The system and accelerator of a row; the accelerator's default system where the system is empty or not known.

    Raises
    ------
    UsageError
        Neither is known, with the column.
    """
    system, accelerator = ((row.get(column) or "").strip() for column in ("system", "accelerator"))
    if not system and not accelerator:
        raise UsageError("column accelerator: is empty")
    for name in (system, accelerator):
        try:
            if name:
                return inputs.specs_of(lib, name)
        except UsageError:
            continue
    try:
        lib.load("accelerators" if accelerator else "systems", accelerator or system)
        return inputs.specs_of(lib, accelerator or system)
    except UsageError as error:
        raise UsageError(f"column {'accelerator' if accelerator else 'system'}: {error}") from None


def serving_case(lib: Library, row: Mapping[str, str]) -> ServingCase:
    """Complete a row; empty cells get the defaults that docs/evidence.md states.

    Raises
    ------
    AicomputeError
        Unknown model, accelerator or mode; a load that cannot be known.
    """
    model, arch = row_model(lib, row.get("model") or "")
    stack = stack_of(lib, row.get("stack") or "", row.get("stack_version") or "")
    system, accelerator = row_system(lib, row)
    packages = number(row, "n_accelerators", 0.0)
    per = accelerator.si("devices")
    precision = row_precision(
        row, arch.num_moe_layers > 0, str(model.get("native_precision", "bf16")), str(stack.get("defaults.kv", "bf16"))
    )
    mode = (row.get("mode") or "").strip()
    if mode not in EMITTED:
        raise UsageError(f"column mode: {UnknownNameError('mode', mode, EMITTED)}")
    if mode == "mixed-server-fixed-QPS" and not number(row, "request_rate"):
        raise UsageError("column request_rate: is empty, so the load cannot be known")
    devices = packages * per if packages else (number(row, "ep") or 8.0)
    packages = packages or devices / per
    tp, pp, ep = number(row, "tp"), number(row, "pp", 1.0), number(row, "ep")
    attention = (row.get("dp_attention") or "").strip().lower()
    wide = attention in ("y", "yes", "true") or ep > 8.0 or (attention.isdigit() and float(attention) > 1.0)
    if wide:
        dp = float(attention) if attention.isdigit() else devices / pp
        tp = max(devices / pp / dp, 1.0)
        engines = 1.0
    else:
        tp = tp or devices / pp
        dp = 1.0
        engines = max(devices / (tp * pp), 1.0)
    ep = min(ep or (tp * dp if wide else 1.0), tp * dp) if arch.num_moe_layers else 1.0
    speculative = (row.get("speculative") or "none").strip()
    drafts = float(speculative[3]) if speculative.startswith("mtp") else 0.0
    isl, osl = number(row, "isl"), number(row, "osl")
    if not isl:
        isl = 2000.0 if mode == "decode" else 4096.0
    if not osl and mode != "prefill":
        osl = 256.0
    sequences = number(row, "concurrency") or number(row, "batch_per_accelerator") * packages
    return ServingCase(
        model.id,
        system.id,
        stack.id,
        precision,
        mode,
        ServingPlan(tp, dp, pp, ep),
        engines,
        packages,
        isl,
        osl,
        sequences,
        number(row, "request_rate"),
        drafts,
        None,
    )


def case_engine(lib: Library, case: ServingCase, read: inputs.Reader = inputs.read_value) -> Engine:
    """The engine of a case."""
    system, accelerator = inputs.specs_of(lib, case.system)
    stack = lib.load("stacks", case.stack)
    device = inputs.device_record(accelerator, stack, case.precision, read)
    fabric = inputs.fabric_record(system, read)
    exchange, wires = inputs.exchange_record(stack, case.precision, fabric, read)
    acceptance = read(stack, "drafts.acceptance") if case.acceptance is None else case.acceptance
    return Engine(
        inputs.architecture(lib.load("models", case.model)),
        case.plan,
        device,
        fabric,
        wires,
        inputs.protocol_record(stack, read),
        exchange,
        inputs.serving_stack_record(stack, read),
        case.drafts,
        acceptance,
    )


def predict_serving(lib: Library, case: ServingCase, read: inputs.Reader = inputs.read_value) -> tuple[Rate, float]:
    """Rate of all engines of a case, and the accelerators that share it."""
    engine = case_engine(lib, case, read)
    each = case.sequences / case.engines
    capacity = float(engine.capacity(case.input_length + case.output_length))
    isl, osl = case.input_length, case.output_length
    static = lib.load("stacks", case.stack).get("defaults.batching", "in-flight") == "static"
    if case.mode == "prefill":
        rate = prefill_rate(engine, max(each, 1.0) if case.plan.dp == 1.0 else case.plan.dp * max(engine.stack.chunk * 2.0 / isl, 1.0), isl)
    elif case.mode == "decode":
        rate = decode_rate(engine, each or max(capacity, 1.0), isl, osl)
    elif static or case.mode == "latency":
        rate = static_rate(engine, each or 1.0, isl, osl)
    elif case.mode == "mixed-offline-max-throughput":
        if capacity < 1.0 and not each:
            raise UsageError("the model does not fit the memory of the engine")
        rate = in_flight_rate(engine, min(each, max(capacity, 1.0)) if each else capacity, isl, osl)
    elif case.mode == "mixed-server-fixed-QPS":
        rate = open_loop_rate(engine, case.request_rate / case.engines, isl, osl)
    else:
        rate = closed_loop_rate(engine, max(each or capacity, 1.0), isl, osl)
    return rate, case.accelerators / case.engines


def serving_power(lib: Library, case: ServingCase, rate: Rate) -> float:
    """Mean power of an accelerator at a predicted rate [W]."""
    system, a = inputs.specs_of(lib, case.system)
    step, each = rate.step, a.si("devices")
    link = inputs.fabric_record(system)[1 if next(iter(system.get("tiers"))) == "in-package" else 0].inverse_bandwidth
    return float(
        accelerator_power(
            a.si("power.tdp"),
            a.si("peak.bf16"),
            a.si("power.idle_fraction"),
            a.si("power.energy_per_byte"),
            a.si("power.compute"),
            a.si("power.exponent"),
            issued_flops(step.timed, a.si("power.rows")) / step.step * each,
            step.traffic * case.plan.pp / step.step * each,
            step.wire / step.step / link * each,
        )
    )


def predicted(lib: Library, row: Mapping[str, str]) -> tuple[dict[str, float], Spec]:
    """What a row measured and its mode predicts, by column and in its unit; and the stack that was taken.

    Raises
    ------
    AicomputeError
        The row cannot be completed, or its model does not fit.
    """
    case = serving_case(lib, row)
    rate, share = predict_serving(lib, case)
    values: dict[str, Callable[[], Array]] = {
        "output_tokens_per_s_per_accelerator": lambda: rate.output_rate / share,
        "input_tokens_per_s_per_accelerator": lambda: rate.input_rate / share,
        "ttft_ms": lambda: rate.ttft * 1e3,
        "tpot_ms": lambda: rate.tpot * 1e3,
        "power_w_per_accelerator": lambda: serving_power(lib, case, rate),
    }
    asked = [name for name in EMITTED[case.mode] if (row.get(name) or "").strip()]
    return {name: float(values[name]()) for name in asked}, lib.load("stacks", case.stack)
