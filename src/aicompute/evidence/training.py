"""Rows of measured training steps: what they say, what is filled in, what is predicted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

import numpy as np

from aicompute.errors import AicomputeError, UsageError
from aicompute.estimate import inputs
from aicompute.estimate.reading import Reader, read_value
from aicompute.estimate.training import TrainingPlan, TrainingStep, training_step
from aicompute.evidence.batch import Batch
from aicompute.evidence.files import Table
from aicompute.evidence.serving import number, row_system
from aicompute.numerics import Array
from aicompute.plan.layout import expert_tensor_ranks
from aicompute.specs import Library, Spec
from aicompute.workload.architecture import Architecture

PRIOR = "generic-training"
"""The stack of rows whose software nobody knows."""

RECOMPUTE = {"none": 0.0, "selective": 1.0, "partial": 1.0, "full": 2.0}


@dataclass(frozen=True)
class TrainingCase:
    """One measured configuration, complete."""

    arch: Architecture
    system: str
    stack: str
    precision: str
    scales: str
    """Of 8-bit formats: "row" where each row has one of its own, else empty."""
    sequence: Array
    global_batch: Array
    plan: TrainingPlan


def row_architecture(lib: Library, row: Mapping[str, str]) -> Architecture:
    """The model of a row: its columns, and what a spec of the same name and size adds (head width, windows, latent ranks, gating)."""
    try:
        spec = lib.load("models", row.get("model") or "")
        keys = {"n_layers": "num_layers", "d_model": "hidden_size"}
        same = all(number(row, column) in (0.0, spec.get(key, 0)) for column, key in keys.items())
        if same and not spec.get("unsupported", ""):
            return Architecture.from_mapping(spec.data)
    except AicomputeError:
        pass
    d = int(number(row, "d_model"))
    if not d or not number(row, "n_layers"):
        raise UsageError(f"column model: {row.get('model') or ''!r} is not known, and n_layers or d_model is empty")
    heads = int(number(row, "n_heads")) or max(d // 128, 1)
    layers, ff, experts = int(number(row, "n_layers")), int(number(row, "d_ff")), int(number(row, "n_experts"))
    expert_ff = int(number(row, "d_expert_ff") or ff or 4 * d)
    shared = int(number(row, "n_shared_experts"))
    known: dict[str, Any] = dict(
        hidden_size=d,
        num_layers=layers,
        num_heads=heads,
        num_kv_heads=int(number(row, "n_kv_heads", heads)),
        head_dim=d // heads,
        attention=row.get("attention") or "mha",
        vocab_size=int(number(row, "vocab", 51200)),
        intermediate_size=ff or 4 * d,
        gated=bool(experts) or ff not in (0, 4 * d),
        num_experts=experts,
        experts_per_token=int(number(row, "experts_per_token")),
        expert_intermediate_size=expert_ff if experts else 0,
        num_shared_experts=shared,
        shared_expert_intermediate_size=expert_ff if shared else 0,
        num_moe_layers=layers - int(number(row, "n_dense_layers")) if experts else 0,
    )
    if known["attention"] == "mla":  # the DeepSeek shape, where the row does not say
        known.update(q_lora_rank=1536, kv_lora_rank=512, qk_nope_head_dim=128, qk_rope_head_dim=64, v_head_dim=128)
    return Architecture.from_mapping(known)


def row_stack(lib: Library, row: Mapping[str, str]) -> Spec:
    """The stack of a row: the one it names, or the release before where the row is older than that; the prior where nobody knows it."""
    try:
        stack = lib.load("stacks", row.get("stack") or "")
    except UsageError:
        return lib.load("stacks", PRIOR)
    date, since = (row.get("date") or "").strip(), str(stack.get("defaults.since", ""))
    return lib.load("stacks", str(stack.get("defaults.earlier"))) if date and date < since else stack


def training_case(lib: Library, row: Mapping[str, str]) -> TrainingCase:
    """Complete a row: defaults for empty cells come from the stack.

    Raises
    ------
    AicomputeError
        Unknown accelerator, or a plan that does not make sense.
    """
    arch = row_architecture(lib, row)
    stack = row_stack(lib, row)
    system_spec, accelerator = row_system(lib, row)
    devices = number(row, "n_accelerators") * accelerator.si("devices")
    if not devices:
        raise UsageError("n_accelerators is empty")
    tp, pp, cp, ep = (number(row, key, 1.0) for key in ("tp", "pp", "cp", "ep"))
    dp = number(row, "dp") or devices / (tp * pp * cp)
    chunks = number(row, "vpp")
    if not chunks:
        chunks = arch.num_layers / pp if pp > 1 and stack.get("defaults.schedule", "1f1b") == "interleaved" else 1.0
        chunks = max(1.0, float(int(chunks)))
    precision = (row.get("precision") or "bf16").strip()
    text = (row.get("sequence_parallel") or "").lower()
    split = 1.0 if (text == "true" or (not text and stack.get("defaults.sequence_parallel", False))) else 0.0
    recompute = row.get("recompute") or "unknown"
    if recompute not in RECOMPUTE:
        recompute = str(stack.get("defaults.recompute", "none"))
    zero = number(row, "zero_stage", float(stack.get("defaults.zero", 1)))
    expert_tp = expert_tensor_ranks(tp, ep, dp * cp) if stack.get("defaults.expert_tensor", True) else 1.0
    plan = TrainingPlan(
        dp=dp,
        tp=tp,
        pp=pp,
        chunks=chunks,
        cp=cp,
        ep=ep,
        expert_tp=expert_tp,
        micro_batch=number(row, "micro_batch", 1.0),
        zero=zero,
        recompute=RECOMPUTE[recompute],
        sequence_parallel=split,
    )
    scales = "row" if "rowwise" in (row.get("precision_recipe") or "") else ""
    return TrainingCase(arch, system_spec.id, stack.id, precision, scales, number(row, "seq_len"), number(row, "global_batch"), plan)


def predict_training(lib: Library, case: TrainingCase, read: Reader = read_value) -> TrainingStep:
    """The step of a case, or of many that differ in plan, sequence and batch alone: then the fields of the plan are arrays."""
    system, accelerator = inputs.specs_of(lib, case.system)
    stack = lib.load("stacks", case.stack)
    precision = inputs.precision_map(case.precision, inputs.SIXTEEN_BITS)
    precision["dense"] = precision["experts"]  # recipes run every linear layer in the format they name
    precision["dispatch"] = "bf16"
    if case.scales:
        precision["scales"] = case.scales
    device = inputs.device_record(accelerator, stack, precision, read)
    fabric = inputs.fabric_record(system, read, stack)
    exchange, wires = inputs.exchange_record(stack, precision, fabric, read)
    return training_step(
        case.arch,
        case.sequence,
        case.global_batch,
        case.plan,
        device,
        fabric,
        wires,
        inputs.protocol_record(stack, read),
        exchange,
        inputs.training_stack_record(stack, precision, read),
    )


def training_batches(lib: Library, table: Table) -> tuple[list[Batch], dict[int, str]]:
    """Rows that share model, system, stack and precision as one batch each, and why the others cannot be predicted, by position."""
    faults: dict[int, str] = {}
    alike: dict[tuple[Any, ...], list[tuple[int, TrainingCase]]] = {}
    for index, row in enumerate(table.rows):
        try:
            if row.fault:
                raise UsageError(row.fault)
            case = training_case(lib, row.cells)
            inputs.precision_map(case.precision, inputs.SIXTEEN_BITS)
        except AicomputeError as error:
            faults[index] = str(error)
            continue
        except (ArithmeticError, ValueError, KeyError) as error:  # a plan that no formula was meant for: the other rows still count
            faults[index] = f"cannot be computed: {error}"
            continue
        key = (case.arch, case.system, case.stack, case.precision, case.scales, measured_column(row.cells))
        alike.setdefault(key, []).append((index, case))
    batches = []
    for (_, system, stack, _, _, metric), members in alike.items():
        indices = tuple(index for index, _ in members)
        accelerators = np.array([table.rows[index].number_in("n_accelerators") for index in indices])
        predict = partial(_predict, lib, _stacked([case for _, case in members]), metric, accelerators)
        batches.append(Batch(indices, predict, stack, inputs.specs_of(lib, system)[1].id, {metric: "step"}))
    return batches, faults


def _predict(lib: Library, case: TrainingCase, metric: str, accelerators: Array, read: Reader) -> dict[str, Array]:
    """What was measured of stacked cases, by column."""
    step = predict_training(lib, case, read).step
    return {metric: step if metric == "step_time_s" else case.global_batch * case.sequence / step / accelerators}


def _stacked(cases: Sequence[TrainingCase]) -> TrainingCase:
    """Cases of one model, system, stack and precision as one, numbers as arrays."""
    plans = [case.plan for case in cases]
    plan = TrainingPlan(*(np.array([getattr(one, field.name) for one in plans]) for field in fields(TrainingPlan)))
    sequence, batch = np.array([case.sequence for case in cases]), np.array([case.global_batch for case in cases])
    return replace(cases[0], sequence=sequence, global_batch=batch, plan=plan)


def measured_column(row: Mapping[str, str]) -> str:
    """What of a row is predicted: the step time, or the token rate where only that is known."""
    return "step_time_s" if (row.get("step_time_s") or "").strip() else "tokens_per_s_per_accelerator"


def predicted(lib: Library, row: Mapping[str, str]) -> tuple[dict[str, float], Spec]:
    """What a row measured, predicted, and the stack that was taken.

    Raises
    ------
    AicomputeError
        The row cannot be completed.
    """
    case = training_case(lib, row)
    step = float(predict_training(lib, case).step)
    stack, metric = lib.load("stacks", case.stack), measured_column(row)
    if metric == "step_time_s":
        return {metric: step}, stack
    return {metric: float(case.global_batch * case.sequence / step / number(row, "n_accelerators"))}, stack
