"""Rows of measured serving: what they say, what is filled in, what is predicted.

Rows of equal model, system, stack, precision and manner of load share records of floats, so each such group is one call over arrays.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from aicompute.errors import AicomputeError, UnknownNameError, UsageError
from aicompute.estimate import inputs
from aicompute.estimate.account import issued_flops
from aicompute.estimate.rates import (
    Engine,
    Rate,
    closed_loop_rate,
    decode_rate,
    finite_rate,
    in_flight_rate,
    open_loop_rate,
    prefill_rate,
    static_rate,
)
from aicompute.estimate.reading import Reader, read_value
from aicompute.estimate.serving import ServingPlan
from aicompute.evidence.batch import Batch
from aicompute.evidence.files import Table
from aicompute.machine.power import accelerator_power
from aicompute.numerics import Array, floor, maximum, minimum, where
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

METRICS = tuple(dict.fromkeys(name for names in EMITTED.values() for name in names))
"""All of them."""


MANNERS = {
    "prefill": "prefill",
    "decode": "decode",
    "latency": "static",
    "mixed-offline-max-throughput": "in-flight",
    "mixed-closed-loop": "closed",
    "mixed-closed-loop-disaggregated": "closed",
    "mixed-server-fixed-QPS": "open",
}
"""How the load of a mode comes, and so which formula speaks of it."""

MOST_DEVICES = 4096.0
"""Beyond this nobody looks for a plan [1]."""

RESIDUALS = {"power_w_per_accelerator": "power", "ttft_ms": "first_token"}
"""Which spread around the formula a measured column has, where it is not that of a step."""


@dataclass(frozen=True)
class ServingCase:
    """One measured configuration, complete; or several that differ in numbers only, with arrays for these."""

    model: str
    system: str
    stack: str
    precision: dict[str, str]
    mode: str
    manner: str
    """One of `MANNERS`."""
    plan: ServingPlan
    engines: Array
    """Equal engines among which the load is shared."""
    accelerators: Array
    input_length: Array
    output_length: Array
    sequences: Array
    """In all engines; 0 where memory decides."""
    request_rate: Array
    drafts: Array
    acceptance: Array
    """Probability that a draft is right; nan where the stack says it."""

    @property
    def shared(self) -> tuple[object, ...]:
        """What cases have in common that are computed together."""
        return self.model, self.system, self.stack, self.manner, tuple(sorted(self.precision.items()))


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
    per = accelerator.si("devices")
    precision = row_precision(
        row, arch.num_moe_layers > 0, str(model.get("native_precision", "bf16")), str(stack.get("defaults.kv", "bf16"))
    )
    mode = (row.get("mode") or "").strip()
    if mode not in EMITTED:
        raise UsageError(f"column mode: {UnknownNameError('mode', mode, EMITTED)}")
    if mode == "mixed-server-fixed-QPS" and not number(row, "request_rate"):
        raise UsageError("column request_rate: is empty, so the load cannot be known")
    manner = MANNERS[mode]
    if manner == "in-flight" and stack.get("defaults.batching", "in-flight") == "static":
        manner = "static"
    tp, pp, ep = number(row, "tp"), number(row, "pp", 1.0), number(row, "ep")
    attention = (row.get("dp_attention") or "").strip().lower()
    wide = attention in ("y", "yes", "true") or ep > 8.0 or (attention.isdigit() and float(attention) > 1.0)
    packages = number(row, "n_accelerators")
    devices = packages * per or ep or tp * pp
    speculative = (row.get("speculative") or "none").strip()
    stated = re.search(r"(\d+) ?% acceptance", speculative)
    case = ServingCase(
        model.id,
        system.id,
        stack.id,
        precision,
        mode,
        manner,
        ServingPlan(1.0, 2.0 if wide else 1.0, pp, 1.0),
        1.0,
        packages,
        number(row, "isl") or (2000.0 if mode == "decode" else 4096.0),
        number(row, "osl") or (1.0 if mode == "prefill" else 256.0),
        number(row, "concurrency"),
        number(row, "request_rate"),
        float(speculative[3]) if speculative.startswith("mtp") else 0.0,
        float(stated.group(1)) / 100.0 if stated else np.nan,
    )
    devices = devices or fewest_devices(lib, case, arch.num_moe_layers > 0)
    packages = packages or devices / per
    if wide:
        dp = float(attention) if attention.isdigit() else devices / pp
        tp = max(devices / pp / dp, 1.0)
        engines = 1.0
    else:
        tp = tp or devices / pp
        dp = 1.0
        engines = max(devices / (tp * pp), 1.0)
    ep = min(ep or (tp * dp if wide else 1.0), tp * dp) if arch.num_moe_layers else 1.0
    return replace(
        case,
        plan=ServingPlan(tp, dp, pp, ep),
        engines=engines,
        accelerators=packages,
        sequences=case.sequences or number(row, "batch_per_accelerator") * packages,
    )


def fewest_devices(lib: Library, case: ServingCase, experts: bool) -> float:
    """The fewest devices that hold a model and a sequence of a case: tensor ranks, or expert ranks where attention is replicated.

    Raises
    ------
    UsageError
        It fits none.
    """
    wide = float(case.plan.dp) > 1.0
    pp, devices = float(case.plan.pp), float(case.plan.pp)
    while devices <= MOST_DEVICES:
        ranks = devices / pp
        plan = ServingPlan(1.0, ranks, pp, ranks if experts else 1.0) if wide else ServingPlan(ranks, 1.0, pp, 1.0)
        if case_engine(lib, replace(case, plan=plan)).capacity(case.input_length + case.output_length) >= 1.0:
            return devices
        devices *= 2.0
    raise UsageError("column n_accelerators: is empty, and the model fits no plan")


def case_engine(lib: Library, case: ServingCase, read: Reader = read_value) -> Engine:
    """The engine of a case."""
    system, accelerator = inputs.specs_of(lib, case.system)
    stack = lib.load("stacks", case.stack)
    device = inputs.device_record(accelerator, stack, case.precision, read)
    fabric = inputs.fabric_record(system, read)
    exchange, wires = inputs.exchange_record(stack, case.precision, fabric, read)
    unknown = case.acceptance != case.acceptance
    acceptance = where(unknown, read(stack, "drafts.acceptance"), case.acceptance)
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


def predict_serving(lib: Library, case: ServingCase, read: Reader = read_value) -> tuple[Rate, Array]:
    """Rate of an engine of a case, and the accelerators that it takes."""
    engine = case_engine(lib, case, read)
    isl, osl = case.input_length, case.output_length
    each = case.sequences / case.engines
    # a measured row did fit, whatever is thought of its memory
    room = where(engine.capacity(isl + osl) >= 1.0, engine.room(isl, osl), maximum(each, 1.0))
    if case.manner == "prefill":
        batch = case.plan.dp * maximum(engine.stack.chunk * 2.0 / isl, 1.0)
        rate = prefill_rate(engine, where(case.plan.dp > 1.0, batch, maximum(each, 1.0)), isl)
    elif case.manner == "decode":
        rate = decode_rate(engine, where(each > 0.0, each, room), isl, osl)
    elif case.manner == "static":
        rate = static_rate(engine, where(each > 0.0, each, 1.0), isl, osl)
    elif case.manner == "in-flight":
        rate = offline_rate(engine, lib.load("stacks", case.stack), where(each > 0.0, minimum(each, room), room), isl, osl, read)
    elif case.manner == "open":
        rate = open_loop_rate(engine, case.request_rate / case.engines, isl, osl)
    else:
        rate = closed_loop_rate(engine, maximum(where(each > 0.0, each, room), 1.0), isl, osl, room)
    return rate, case.accelerators / case.engines


def offline_rate(engine: Engine, stack: Spec, sequences: Array, isl: Array, osl: Array, read: Reader) -> Rate:
    """Rate at the highest load, with as many requests as those who publish figures of a stack send."""
    if not stack.si("benchmark.requests"):
        return in_flight_rate(engine, sequences, isl, osl)
    requests = maximum(read(stack, "benchmark.requests"), read(stack, "benchmark.tokens") / (isl + osl))
    return finite_rate(engine, sequences, floor(requests), isl, osl)


def serving_power(lib: Library, case: ServingCase, rate: Rate, read: Reader = read_value) -> Array:
    """Mean power of an accelerator at a predicted rate [W]."""
    system, a = inputs.specs_of(lib, case.system)
    step, each = rate.step, a.si("devices")
    link = inputs.fabric_record(system)[1 if next(iter(system.get("tiers"))) == "in-package" else 0].inverse_bandwidth
    return accelerator_power(
        read(a, "power.tdp"),
        read(a, "peak.bf16"),
        read(a, "power.idle_fraction"),
        read(a, "power.energy_per_byte"),
        read(a, "power.compute"),
        read(a, "power.exponent"),
        issued_flops(step.timed, read(a, "power.rows")) / step.step * each,
        step.traffic * case.plan.pp / step.step * each,
        step.wire / step.step / link * each,
    )


_NUMBERS = ("engines", "accelerators", "input_length", "output_length", "sequences", "request_rate", "drafts", "acceptance")


def together(cases: Sequence[ServingCase]) -> ServingCase:
    """Cases that share everything but numbers as one, with arrays of shape (n,)."""
    plan = ServingPlan(*(np.array([getattr(one.plan, name) for one in cases]) for name in ("tp", "dp", "pp", "ep")))
    numbers: dict[str, Any] = {name: np.array([getattr(one, name) for one in cases]) for name in _NUMBERS}
    return replace(cases[0], plan=plan, **numbers)


def measured_columns(case: ServingCase, row: Mapping[str, str]) -> list[str]:
    """Columns that a row measures and its mode predicts."""
    return [name for name in EMITTED[case.mode] if (row.get(name) or "").strip()]


def refuse_too_large(lib: Library, case: ServingCase) -> None:
    """Refuse a case whose load memory decides where not one sequence fits.

    Raises
    ------
    UsageError
        It does not fit.
    """
    decides = case.manner == "in-flight" and not case.sequences
    if decides and case_engine(lib, case).capacity(case.input_length + case.output_length) < 1.0:
        raise UsageError("the model does not fit the memory of the engine")


def predict_columns(lib: Library, case: ServingCase, metrics: Sequence[str], read: Reader = read_value) -> dict[str, Array]:
    """Measured columns of a case in their units, shape (..., n)."""
    rate, share = predict_serving(lib, case, read)
    values: dict[str, Callable[[], Array]] = {
        "output_tokens_per_s_per_accelerator": lambda: rate.output_rate / share,
        "input_tokens_per_s_per_accelerator": lambda: rate.input_rate / share,
        "ttft_ms": lambda: rate.ttft * 1e3,
        # what is published of engines at the highest load is the median time between tokens
        "tpot_ms": lambda: (rate.typical if case.manner == "in-flight" else rate.tpot) * 1e3,
        "power_w_per_accelerator": lambda: serving_power(lib, case, rate, read),
    }
    zero = np.zeros(np.shape(case.sequences))
    return {name: values[name]() + zero for name in metrics}


def serving_batches(lib: Library, table: Table) -> tuple[list[Batch], dict[int, str]]:
    """The rows of a table in groups of one call each, and the reasons why some cannot be predicted, by position.

    Rows of one group may measure different columns; the group predicts all of them for every row.
    """
    groups, faults = serving_groups(lib, table)
    batches = []
    for indices, case, metrics in groups:
        accelerator = inputs.specs_of(lib, case.system)[1].id
        residuals = {name: RESIDUALS.get(name, "step") for name in metrics}
        batches.append(Batch(indices, partial(predict_columns, lib, case, metrics), case.stack, accelerator, residuals))
    return batches, faults


def serving_groups(lib: Library, table: Table) -> tuple[list[tuple[tuple[int, ...], ServingCase, tuple[str, ...]]], dict[int, str]]:
    """Rows that are computed together: positions, the case with arrays, columns; and faults by position."""
    groups: dict[tuple[object, ...], list[tuple[int, ServingCase]]] = {}
    faults: dict[int, str] = {}
    for index, row in enumerate(table.rows):
        try:
            if row.fault:
                raise UsageError(row.fault)
            case = serving_case(lib, row.cells)
            if not measured_columns(case, row.cells):
                raise UsageError(f"nothing measured that mode {case.mode} predicts")
            refuse_too_large(lib, case)
            groups.setdefault(case.shared, []).append((index, case))
        except AicomputeError as error:
            faults[index] = str(error)
        except (ArithmeticError, ValueError, KeyError) as error:  # a plan that no formula was meant for: the other rows still count
            faults[index] = f"cannot be computed: {error}"
    found = []
    for members in groups.values():
        measured = {name for index, case in members for name in measured_columns(case, table.rows[index].cells)}
        ordered = tuple(name for name in METRICS if name in measured)
        found.append((tuple(index for index, _ in members), together([case for _, case in members]), ordered))
    return found, faults


def predicted(lib: Library, row: Mapping[str, str]) -> tuple[dict[str, float], Spec]:
    """What a row measured and its mode predicts, by column and in its unit; and the stack that was taken.

    Raises
    ------
    AicomputeError
        The row cannot be completed, or its model does not fit.
    """
    case = serving_case(lib, row)
    refuse_too_large(lib, case)
    values = predict_columns(lib, case, measured_columns(case, row))
    return {name: float(value) for name, value in values.items()}, lib.load("stacks", case.stack)
