"""One training step: compute, communication, pipeline, memory. Arrays in, arrays out; knows no spec."""

from __future__ import annotations

from dataclasses import dataclass

from aicompute.estimate.kernels import Timed, time_operators, total_seconds
from aicompute.machine.collectives import all_reduce_time, exchange_time, gather_time, neighbour_time, ring_pass_time
from aicompute.machine.records import Device, ExpertExchange, Fabric, Protocol
from aicompute.machine.roofline import stream_time
from aicompute.numerics import Array, ceil, maximum, minimum, smooth_maximum, where
from aicompute.plan.layout import place
from aicompute.plan.schedule import bubble_time, in_flight, slowest_stage_time
from aicompute.workload.architecture import Architecture
from aicompute.workload.footprint import (
    RankParameters,
    kept_activation_bytes,
    layer_activation_bytes,
    rank_parameters,
    training_state_bytes,
)
from aicompute.workload.operators import Operator, context_attention, elementwise, feed_forward, head, mixer_projections


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """How a step is laid out; all fields broadcast."""

    dp: Array
    tp: Array
    pp: Array
    chunks: Array
    """Virtual stages on each pipeline rank."""
    cp: Array
    ep: Array
    expert_tp: Array
    micro_batch: Array
    """Sequences."""
    zero: Array
    recompute: Array
    """0 none, 1 selective, 2 full."""
    sequence_parallel: Array


@dataclass(frozen=True, slots=True)
class TrainingStack:
    """What the software reaches, overlaps and costs; the meaning of each value is in specs/stacks/generic-training.toml."""

    attention_length: Array
    attention_backward: Array
    full_square: Array
    score_bytes: Array
    elementwise: Array
    routed: Array
    layer_host: Array
    expert_host: Array
    overlap_tensor: Array
    overlap_data: Array
    overlap_experts: Array
    overlap_context: Array
    overlap_pipeline: Array
    step_fixed: Array
    gradient_bytes: Array
    gather_bytes: Array
    weight_memory: Array
    gradient_memory: Array
    optimizer_memory: Array
    optimizer_traffic: Array
    reserve: Array
    imbalance: Array
    dropout: Array
    flash: Array
    bubble: Array
    """Pipeline bubble over that of 1F1B."""


@dataclass(frozen=True, slots=True)
class TrainingStep:
    """Times of one step on the slowest rank [s] and what they are made of."""

    step: Array
    parts: dict[str, Array]
    """Seconds of the step by part; they add up to ``step``."""
    communication: dict[str, Array]
    """Seconds each kind would take if nothing were hidden."""
    exposed: Array
    memory: dict[str, Array]
    """Bytes of the fullest rank by part."""
    forward: list[Timed]
    flops: Array
    """Executed by one device in a step, recomputation included [FLOP]."""
    traffic: Array
    """Memory moved by one device in a step [B]."""
    wire: Array
    """Seconds of links at work in a step [s]."""


def forward_operators(arch: Architecture, plan: TrainingPlan, sequence: Array, stack: TrainingStack) -> list[Operator]:
    """Operators of one micro-batch's forward pass through the whole body, on one rank."""
    tokens = plan.micro_batch * sequence / plan.cp
    routed = tokens / plan.tp * plan.expert_tp * arch.experts_per_token
    local = maximum(arch.num_experts / plan.ep, 1.0) if arch.num_experts else 0.0
    rows = routed / local * stack.imbalance if arch.num_experts else 0.0
    ops = mixer_projections(arch, tokens, plan.tp, absorbed=False)
    ops += feed_forward(arch, tokens, plan.tp, rows, local, plan.expert_tp, tokens / where(plan.sequence_parallel > 0.0, plan.tp, 1.0))
    ops += context_attention(arch, plan.micro_batch, sequence, 0.0, plan.tp, plan.cp, 2.0, stack.full_square)
    return ops


def training_step(
    arch: Architecture,
    sequence: Array,
    global_batch: Array,
    plan: TrainingPlan,
    device: Device,
    fabric: Fabric,
    wires: Fabric,
    protocol: Protocol,
    exchange: ExpertExchange,
    stack: TrainingStack,
) -> TrainingStep:
    """Time and memory of one optimizer step.

    Parameters
    ----------
    arch : Architecture
    sequence, global_batch : shape (...)   Tokens a sequence; sequences a step [1].
    plan, device, protocol, exchange, stack   Records of broadcastable fields.
    fabric, wires   Tiers; the same at the rate that expert exchange reaches.

    Returns
    -------
    TrainingStep.

    Notes
    -----
    step = micro-batches · slowest stage + bubble + exposed data-parallel traffic + optimizer + fixed. A stage's time is that of its
    kernels, or of the host that launches them where that is longer; tensor, expert, context and pipeline traffic counts with the share
    that the stack cannot
    hide.

    References
    ----------
    .. [1] D. Narayanan et al., arXiv:2104.04473; V. Korthikanti et al., arXiv:2205.05198; S. Rajbhandari et al., arXiv:1910.02054.
    """
    layers = arch.num_layers * 1.0
    tokens = plan.micro_batch * sequence / plan.cp
    micro_batches = ceil(global_batch / (plan.dp * plan.micro_batch) - 1e-9)
    stage_layers = layers / plan.pp
    sharded = where(plan.sequence_parallel > 0.0, plan.tp, 1.0)

    # --- kernels of one micro-batch, an average layer
    local_length = sequence / plan.cp
    ramp = (local_length + stack.attention_length) / local_length  # short sequences fill the kernel badly
    timed = time_operators(forward_operators(arch, plan, sequence, stack), device)
    scores = [t for t in timed if t.operator.role == "attention"]
    products = total_seconds(t for t in timed if t.operator.role != "attention") / layers
    # kernels that store the score matrix move it several times
    stored = stack.score_bytes * plan.micro_batch * arch.num_heads / plan.tp * sequence * local_length * arch.attention_layers / layers
    attention = total_seconds(scores) * ramp / layers + stored / device.bandwidth
    streams = stream_time(elementwise(arch, tokens, stack.elementwise, sharded).traffic, device.bandwidth)
    local_experts = maximum(arch.num_experts / plan.ep, 1.0) if arch.num_experts else 0.0
    if arch.num_moe_layers:
        copies = tokens / plan.tp * plan.expert_tp * arch.experts_per_token * stack.imbalance
        width_moved = (arch.expert_latent_size or arch.hidden_size) + arch.expert_intermediate_size / plan.expert_tp
        streams = streams + stream_time(stack.routed * copies * width_moved, device.bandwidth) * arch.num_moe_layers / layers
    host = stack.layer_host + stack.expert_host * local_experts * arch.num_moe_layers / layers
    vocabulary = time_operators([head(arch, tokens, plan.tp)], device)
    head_forward = total_seconds(vocabulary)

    # --- traffic of one layer in one direction
    width = 2.0 * tokens * arch.hidden_size
    tensor_span = place(plan.tp, 1.0, fabric).members
    gathers = 4.0 * gather_time(width, tensor_span, fabric, protocol)
    reduces = 2.0 * all_reduce_time(width, tensor_span, fabric, protocol)
    tensor = where(plan.tp > 1.0, where(plan.sequence_parallel > 0.0, gathers, reduces), 0.0)
    experts: Array = 0.0
    if arch.num_moe_layers:
        span = place(plan.ep, plan.expert_tp, fabric).members
        sent = tokens / plan.tp * plan.expert_tp * stack.imbalance
        inner = (arch.expert_latent_size or arch.hidden_size) * 1.0
        dispatch = exchange_time(sent, inner, arch.experts_per_token * 1.0, exchange.dispatch_bytes, span, wires, exchange)
        combine = exchange_time(sent, inner, arch.experts_per_token * 1.0, exchange.combine_bytes, span, wires, exchange)
        experts = (dispatch + combine) * arch.num_moe_layers / layers
    kv_width = (
        (arch.num_heads / plan.tp * (arch.qk_head_dim + arch.value_head_dim))
        if arch.attention == "mla"
        else (2.0 * maximum(arch.num_kv_heads / plan.tp, 1.0) * arch.head_dim)
    )
    context = ring_pass_time(2.0 * tokens * kv_width, plan.tp, plan.cp, fabric)

    # --- one layer forward and backward
    again = where(plan.recompute >= 2.0, 1.0, 0.0)
    again_core = where(plan.recompute >= 1.0, 1.0, 0.0) * (1.0 - stack.flash) + again * stack.flash
    forward_kernels = products + attention + streams
    backward_kernels = 2.0 * products + stack.attention_backward * attention + 2.0 * streams
    repeated = again * (products + streams) + again_core * attention
    exposed_tensor = tensor * (1.0 - stack.overlap_tensor)
    exposed_experts = experts * (1.0 - stack.overlap_experts)
    exposed_context = minimum(maximum(context - attention, 0.0) + (1.0 - stack.overlap_context) * context, context)
    kernels = smooth_maximum(forward_kernels, host) + smooth_maximum(backward_kernels + repeated, 2.0 * host)
    hidden_by_host = maximum(kernels - forward_kernels - backward_kernels - repeated, 0.0)  # not below zero by rounding
    layer = kernels + (2.0 + again) * (exposed_tensor + exposed_experts) + 3.0 * exposed_context
    head_both = 3.0 * head_forward

    stage = slowest_stage_time(layers, layer, plan.pp, plan.chunks, head_both)
    sent = 2.0 * neighbour_time(width / sharded, plan.tp * plan.cp * plan.dp, plan.pp, fabric) * plan.chunks
    busy = micro_batches * stage
    bubble = stack.bubble * bubble_time(stage, plan.pp, plan.chunks)
    hops = sent * (1.0 - stack.overlap_pipeline) * micro_batches + (plan.pp - 1.0) / plan.chunks * sent

    # --- data parallel traffic and the optimizer
    expert_ranks = plan.ep
    held = rank_parameters(arch, plan.tp, plan.pp, expert_ranks, plan.expert_tp)
    dense_data = plan.dp * plan.cp
    expert_data = maximum(plan.dp * plan.cp * plan.tp / (plan.ep * plan.expert_tp), 1.0)
    dense_span = place(dense_data, plan.tp, fabric).members
    expert_span = place(expert_data, plan.expert_tp * plan.ep, fabric).members

    def over_ranks(size: Array) -> Array:
        """All buckets, one a layer, of dense and expert parameters."""
        time: Array = 0.0
        for parameters, span in ((held.dense, dense_span), (held.experts, expert_span)):
            one = gather_time(parameters * size / stage_layers, span, fabric, protocol)
            time = time + where(parameters > 0.0, stage_layers * one, 0.0)
        return time

    scatter, collect = over_ranks(stack.gradient_bytes), over_ranks(stack.gather_bytes)
    sharded_weights = plan.zero >= 3.0
    data = where(sharded_weights, micro_batches * (scatter + 2.0 * collect), scatter + collect)
    window = where(sharded_weights, busy, stage)
    exposed_data = data - minimum(stack.overlap_data * data, window)
    owned = where(plan.zero >= 1.0, held.dense / dense_data + held.experts / expert_data, held.dense + held.experts)
    optimizer = stream_time(owned * stack.optimizer_traffic, device.bandwidth)

    # --- sums
    per_stage = stage / (layers * layer + head_both)  # share of the whole body and head that the slowest stage runs
    scale = micro_batches * per_stage
    backward = backward_kernels + forward_kernels
    parts = {
        "matrix products": scale * layers * 3.0 * products,
        "attention": scale * layers * (attention + stack.attention_backward * attention),
        "norms and elementwise": scale * layers * 3.0 * streams,
        "head": scale * head_both,
        "recomputation": scale * layers * repeated,
        "host launches": scale * layers * hidden_by_host,
        "tensor parallel": scale * layers * (2.0 + again) * exposed_tensor,
        "expert exchange": scale * layers * (2.0 + again) * exposed_experts,
        "context parallel": scale * layers * 3.0 * exposed_context,
        "pipeline sends": hops,
        "pipeline bubble": bubble,
        "data parallel": exposed_data,
        "optimizer": optimizer,
        "fixed": stack.step_fixed + 0.0 * backward,
    }
    step = sum(parts.values(), 0.0)
    communication = {
        "tensor parallel": scale * layers * (2.0 + again) * tensor,
        "expert exchange": scale * layers * (2.0 + again) * experts,
        "context parallel": scale * layers * 3.0 * context,
        "pipeline sends": sent * (micro_batches + (plan.pp - 1.0) / plan.chunks),
        "data parallel": data,
    }
    exposed = parts["tensor parallel"] + parts["expert exchange"] + parts["context parallel"] + parts["pipeline sends"] + exposed_data

    flops_forward = sum((t.flops for t in timed), 0.0) + 3.0 * 0.0
    core_flops = sum((t.flops for t in scores), 0.0)
    body_flops = (3.0 + again) * (flops_forward - core_flops) + (3.5 + again) * core_flops
    share = micro_batches / plan.pp
    flops = share * (body_flops + 3.0 * sum((t.flops for t in vocabulary), 0.0))
    traffic = share * (3.0 + again) * (sum((t.traffic for t in timed), 0.0) + layers * streams * device.bandwidth)
    memory = _memory(arch, sequence, plan, held, stack, dense_data, expert_data, micro_batches)
    return TrainingStep(step, parts, communication, exposed, memory, timed + vocabulary, flops, traffic, sum(communication.values(), 0.0))


def _memory(
    arch: Architecture,
    sequence: Array,
    plan: TrainingPlan,
    held: RankParameters,
    stack: TrainingStack,
    dense_data: Array,
    expert_data: Array,
    micro_batches: Array,
) -> dict[str, Array]:
    """Bytes of the fullest rank, the first pipeline stage."""
    tokens = plan.micro_batch * sequence / plan.cp
    state = training_state_bytes(
        held, stack.weight_memory, stack.gradient_memory, stack.optimizer_memory, plan.zero, dense_data, expert_data
    )
    copies = arch.experts_per_token * stack.imbalance
    layer = layer_activation_bytes(arch, tokens, sequence, plan.tp, plan.sequence_parallel, stack.dropout, stack.flash, copies)
    mixers = arch.attention_layers / arch.num_layers  # the average layer holds so many score matrices
    scores = where(stack.flash > 0.0, 0.0, 5.0 * tokens * arch.num_heads * sequence / plan.tp * mixers)
    kept = kept_activation_bytes(layer, tokens, arch.hidden_size, plan.tp, plan.sequence_parallel, plan.recompute, scores)
    flight = in_flight(plan.pp, plan.chunks, micro_batches)
    activations = kept * arch.num_layers / plan.pp * flight + where(plan.recompute >= 2.0, layer, 0.0)
    logits = tokens * arch.vocab_size / plan.tp * 6.0 * (1.0 / plan.pp)  # 16-bit logits and fp32 loss, on the last stage only
    # sharded weights are gathered a layer at a time
    gathered = where(plan.zero >= 3.0, 2.0 * (held.dense + held.experts) * stack.weight_memory * plan.pp / arch.num_layers, 0.0)
    return {"state": state, "activations": activations, "logits": logits, "gathered": gathered, "reserve": stack.reserve + 0.0 * state}
