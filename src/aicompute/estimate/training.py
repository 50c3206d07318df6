"""One training step: compute, communication, pipeline, memory. Arrays in, arrays out; knows no spec."""

from __future__ import annotations

from dataclasses import dataclass

from aicompute.estimate.kernels import Timed, expert_round_trip, time_operators, total_seconds
from aicompute.machine.collectives import all_reduce_time, gather_time, neighbour_time, ring_pass_time
from aicompute.machine.records import Device, ExpertExchange, Fabric, Protocol
from aicompute.machine.roofline import stream_time
from aicompute.numerics import Array, Mask, ceil, maximum, minimum, smooth_maximum, sum_of, where
from aicompute.plan.layout import place
from aicompute.plan.schedule import bubble_time, in_flight, most_layers, slowest_stage_time
from aicompute.workload.architecture import Architecture
from aicompute.workload.attention import context_attention
from aicompute.workload.footprint import (
    RankParameters,
    kept_activation_bytes,
    layer_activation_bytes,
    rank_parameters,
    selective_activation_bytes,
    training_state_bytes,
)
from aicompute.workload.operators import Operator, feed_forward, head, mixer_projections
from aicompute.workload.streams import cast_elements, layer_streams

LOGITS = 12.0
"""Least traffic of a logit beside its products: read for the loss in 32 bits, and again for the gradient, which is written [B]."""


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
    """0 none, 1 selective (attention core; norms and activations where kernels keep no scores), 2 full."""
    sequence_parallel: Array


@dataclass(frozen=True, slots=True)
class TrainingStack:
    """What the software reaches, overlaps and costs; the meaning of each value is in specs/stacks/generic-training.toml."""

    attention_length: Array
    attention_width: Array
    """Width of a head at which exponentials and scaling of the scores take as long as their products [1]."""
    attention_backward: Array
    full_square: Array
    score_bytes: Array
    passes: Array
    """Traffic between products over that of kernels that read and write each array once."""
    routed: Array
    """Likewise of sorting tokens by expert and back, and of the activations of routed experts."""
    cast: Array
    """Moved by casting an element to the format of the products [B]; 0 at 16 bits."""
    layer_host: Array
    expert_host: Array
    overlap_tensor: Array
    overlap_data: Array
    overlap_experts: Array
    overlap_everywhere: Array
    """1 where expert exchange hides inside the scale-up domain and without interleaving too."""
    overlap_context: Array
    overlap_pipeline: Array
    step_fixed: Array
    gradient_bytes: Array
    gather_bytes: Array
    weight_memory: Array
    gradient_memory: Array
    optimizer_memory: Array
    optimizer_traffic: Array
    activation_share: Array
    """Activations kept over those of a plain 16-bit run (8-bit caching, cheap parts recomputed)."""
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
    ops = mixer_projections(arch, tokens, plan.tp)
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
    parts_too: bool = True,
    activity_too: bool = True,
) -> TrainingStep:
    """Time and memory of one optimizer step.

    Parameters
    ----------
    arch : Architecture
    sequence, global_batch : shape (...)   Tokens a sequence; sequences a step [1].
    plan, device, protocol, exchange, stack   Records of broadcastable fields.
    fabric, wires   Tiers; the same at the rate that expert exchange reaches.
    parts_too, activity_too : bool   Whether parts, communication and exposed, and flops, traffic and wire are wanted; they cost time.

    Returns
    -------
    TrainingStep; what is not wanted is empty or zero.

    Notes
    -----
    step = micro-batches · slowest stage + bubble + exposed data-parallel traffic + optimizer + fixed. A stage's time is that of its
    kernels, or of the host that launches them where that is longer; tensor, expert, context and pipeline traffic counts with the share
    that the stack cannot hide.

    References
    ----------
    .. [1] D. Narayanan et al., arXiv:2104.04473; V. Korthikanti et al., arXiv:2205.05198; S. Rajbhandari et al., arXiv:1910.02054.
    """
    g = groundwork(arch, sequence, global_batch, plan, device, fabric, wires, protocol, exchange, stack)
    return assembled(arch, plan, g, device, stack, parts_too, activity_too)


@dataclass(frozen=True, slots=True)
class Groundwork:
    """What a step is made of before anything overlaps; on a mesh of plans these arrays are small."""

    micro_batches: Array
    kernels: _Kernels
    traffic: _Traffic
    data: Array
    """Gradients and parameters of a step between data ranks, nothing hidden [s]."""
    optimizer: Array
    """[s]."""
    memory: dict[str, Array]


def groundwork(
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
    memory_too: bool = True,
) -> Groundwork:
    """Kernels, traffic and memory of a plan, of which `assembled` makes a step; parameters as of `training_step`."""
    micro_batches = ceil(global_batch / (plan.dp * plan.micro_batch) - 1e-9)
    k = _layer_kernels(arch, sequence, plan, device, stack)
    t = _layer_traffic(arch, sequence, plan, fabric, wires, protocol, exchange, stack)
    layers = arch.num_layers * 1.0
    most = most_layers(layers, plan.pp, plan.chunks)
    held = rank_parameters(arch, plan.tp, layers / most, plan.ep, plan.expert_tp)  # of the fullest stage
    groups = _data_groups(plan)
    data, owned = _data_parallel(arch, plan, held, most, groups, micro_batches, fabric, protocol, stack)
    optimizer = stream_time(owned * stack.optimizer_traffic, device.bandwidth)
    memory = _memory(arch, sequence, plan, held, most, stack, groups, micro_batches) if memory_too else {}
    return Groundwork(micro_batches, k, t, data, optimizer, memory)


def assembled(
    arch: Architecture,
    plan: TrainingPlan,
    work: Groundwork,
    device: Device,
    stack: TrainingStack,
    parts_too: bool = True,
    activity_too: bool = True,
) -> TrainingStep:
    """The step of a plan from its groundwork; parameters as of `training_step`."""
    layers = arch.num_layers * 1.0
    k, t, micro_batches = work.kernels, work.traffic, work.micro_batches
    # --- one layer forward and backward
    again = where(plan.recompute >= 2.0, 1.0, 0.0)
    again_core = where(plan.recompute >= 1.0, 1.0, 0.0) * (1.0 - stack.flash) + again * stack.flash
    forward = k.products + k.attention + k.streams
    backward = 2.0 * k.products + stack.attention_backward * k.attention + k.streams_back
    cheap = where(plan.recompute >= 1.0, stack.flash, 0.0) * (1.0 - again)  # norms and activations alone
    repeated = again * (k.products + k.streams) + cheap * k.plain + again_core * k.attention
    kernels = forward + backward + repeated
    tensor = t.tensor * (1.0 - stack.overlap_tensor)
    directions = 2.0 + again
    # no more hides than there are kernels to hide behind
    experts = t.experts - minimum(t.hidden * t.experts, kernels / directions)
    context = minimum(maximum(t.context - k.attention, 0.0) + (1.0 - stack.overlap_context) * t.context, t.context)
    # the host launches ahead of the device, and is waited for where it is the slower one
    ahead = smooth_maximum(forward + tensor + experts + context, k.host)
    back = smooth_maximum(backward + repeated + (1.0 + again) * (tensor + experts) + 2.0 * context, (2.0 + again) * k.host)
    layer = ahead + back
    # layers that predict further tokens sit beside the head, each with a head of its own
    head_both = (3.0 * k.head + k.logits) * (1.0 + arch.mtp_layers)
    predictors = arch.mtp_layers * 2.0 * layers / arch.blocks * layer
    tail = head_both + predictors

    # --- the pipeline
    stage = slowest_stage_time(layers, layer, plan.pp, plan.chunks, tail)
    warm_up = (plan.pp - 1.0) / plan.chunks
    sends = t.stage * (1.0 - stack.overlap_pipeline) * micro_batches + warm_up * t.stage

    # --- data parallel traffic and the optimizer
    data, optimizer, memory = work.data, work.optimizer, work.memory
    window = where(_regathers(plan), micro_batches * stage, stage)
    exposed_data = data - minimum(stack.overlap_data * data, window)

    bubble = stack.bubble * bubble_time(stage, plan.pp, plan.chunks)
    step = sum_of([micro_batches * stage, sends, bubble, exposed_data, optimizer, stack.step_fixed])
    if not (parts_too or activity_too):
        return TrainingStep(step, {}, {}, 0.0, memory, k.timed, 0.0, 0.0, 0.0)
    share = micro_batches * stage / (layers * layer + tail)  # of a whole body and head, run by the slowest stage in a step
    bodies = share * layers
    communication = {
        "tensor parallel": bodies * (directions * t.tensor),
        "expert exchange": bodies * (directions * t.experts),
        "context parallel": bodies * (3.0 * t.context),
        "pipeline sends": t.stage * (micro_batches + warm_up),
        "data parallel": data,
    }
    passes = micro_batches / plan.pp
    flops = passes * ((3.0 + again) * (k.flops - k.core_flops) + (3.5 + again) * k.core_flops + 3.0 * k.head_flops)
    streamed = layers * ((1.0 + again) * k.streams + cheap * k.plain + k.streams_back) * device.bandwidth
    traffic = passes * ((3.0 + again) * k.traffic + streamed)
    wire = sum_of(communication.values())
    if not parts_too:
        return TrainingStep(step, {}, {}, 0.0, memory, k.timed, flops, traffic, wire)
    waiting = maximum(layer - kernels - directions * (tensor + experts) - 3.0 * context, 0.0)  # not below zero by rounding
    # they add up to the step
    parts = {
        "matrix products": bodies * 3.0 * k.products,
        "attention": bodies * (1.0 + stack.attention_backward) * k.attention,
        "norms and elementwise": bodies * (k.streams + k.streams_back),
        "head": share * head_both,
        "multi-token prediction": share * predictors,
        "recomputation": bodies * repeated,
        "host launches": bodies * waiting,
        "tensor parallel": bodies * directions * tensor,
        "expert exchange": bodies * directions * experts,
        "context parallel": bodies * 3.0 * context,
        "pipeline sends": sends,
        "pipeline bubble": bubble,
        "data parallel": exposed_data,
        "optimizer": optimizer,
        "fixed": stack.step_fixed,
    }
    exposed = sum_of(parts[name] for name in communication)
    return TrainingStep(step, parts, communication, exposed, memory, k.timed, flops, traffic, wire)


@dataclass(frozen=True, slots=True)
class _Kernels:
    """Forward seconds of an average layer on one rank, and what the whole body asks for."""

    products: Array
    attention: Array
    streams: Array
    streams_back: Array
    """Backward."""
    plain: Array
    """Of the forward streams, those of norms and activations."""
    host: Array
    """Of launching the layer's kernels."""
    head: Array
    logits: Array
    """Loss over the vocabulary and its gradient, both directions."""
    flops: Array
    core_flops: Array
    head_flops: Array
    traffic: Array
    timed: list[Timed]


def _layer_kernels(arch: Architecture, sequence: Array, plan: TrainingPlan, device: Device, stack: TrainingStack) -> _Kernels:
    """Kernels of one micro-batch."""
    layers = arch.num_layers * 1.0
    tokens = plan.micro_batch * sequence / plan.cp
    local_length = sequence / plan.cp
    timed = time_operators(forward_operators(arch, plan, sequence, stack), device)
    cores = [t for t in timed if t.operator.role == "attention"]
    ramp = (local_length + stack.attention_length) / local_length  # short sequences fill the kernel badly
    ramp = ramp * (1.0 + stack.attention_width / arch.value_head_dim) / (1.0 + stack.attention_width / 128.0)  # a score costs the same
    # kernels that store the score matrix move it several times
    stored = stack.score_bytes * plan.micro_batch * arch.num_heads / plan.tp * sequence * local_length * arch.attention_layers / layers
    sharded = where(plan.sequence_parallel > 0.0, plan.tp, 1.0)
    copies = tokens / plan.tp * plan.expert_tp * arch.experts_per_token * stack.imbalance
    moved = layer_streams(arch, tokens, plan.tp, sharded, copies, plan.expert_tp)
    inputs, results = cast_elements([t.operator for t in timed])
    plain = stream_time(stack.passes * moved.forward, device.bandwidth)
    streams = plain + stream_time(stack.routed * moved.routed_forward + stack.cast * inputs / layers, device.bandwidth)
    back = stack.passes * moved.backward + stack.routed * moved.routed_backward + stack.cast * results / layers
    streams_back = stream_time(back, device.bandwidth)
    host = stack.layer_host * 0.5 * arch.blocks / layers
    if arch.num_moe_layers:
        host = host + stack.expert_host * maximum(arch.num_experts / plan.ep, 1.0) * arch.num_moe_layers / layers
    vocabulary = time_operators([head(arch, tokens, plan.tp)], device)
    return _Kernels(
        products=total_seconds(t for t in timed if t.operator.role != "attention") / layers,
        attention=total_seconds(cores) * ramp / layers + stored / device.bandwidth,
        streams=streams,
        streams_back=streams_back,
        plain=plain,
        host=host,
        head=total_seconds(vocabulary),
        logits=stream_time(stack.passes * LOGITS * tokens * arch.vocab_size / plan.tp, device.bandwidth),
        flops=sum((t.flops for t in timed), 0.0),
        core_flops=sum((t.flops for t in cores), 0.0),
        head_flops=sum((t.flops for t in vocabulary), 0.0),
        traffic=sum((t.traffic for t in timed), 0.0),
        timed=timed + vocabulary,
    )


@dataclass(frozen=True, slots=True)
class _Traffic:
    """Seconds of communication of an average layer in one direction, nothing hidden; and of a stage's sends both ways."""

    tensor: Array
    experts: Array
    hidden: Array
    """Share of expert exchange that can hide: where it leaves the scale-up domain and another micro-batch is at hand to compute meanwhile,
    or everywhere [1]."""
    context: Array
    stage: Array


def _layer_traffic(
    arch: Architecture,
    sequence: Array,
    plan: TrainingPlan,
    fabric: Fabric,
    wires: Fabric,
    protocol: Protocol,
    exchange: ExpertExchange,
    stack: TrainingStack,
) -> _Traffic:
    """Tensor, expert, context and pipeline traffic of one micro-batch."""
    tokens = plan.micro_batch * sequence / plan.cp
    width = 2.0 * tokens * arch.hidden_size
    tensor_span = place(plan.tp, 1.0, fabric).members
    blocks = arch.blocks / arch.num_layers
    gathers = 2.0 * blocks * gather_time(width, tensor_span, fabric, protocol)
    reduces = blocks * all_reduce_time(width, tensor_span, fabric, protocol)
    experts: Array = 0.0
    hidden: Array = 0.0
    if arch.num_moe_layers:
        span = place(plan.ep, plan.expert_tp, fabric).members
        sent = tokens / plan.tp * plan.expert_tp * stack.imbalance
        experts = expert_round_trip(arch, sent, span, wires, exchange) * arch.num_moe_layers / arch.num_layers
        inside = where(fabric[0].relay > 0.0, span[0], span[1])  # of the scale-up domain; dies of one package are no domain
        interleaved = (inside < plan.ep) & (plan.chunks * plan.pp > plan.pp)
        hidden = stack.overlap_experts * where(interleaved, 1.0, stack.overlap_everywhere)
    key_value: Array
    if arch.attention == "mla":
        key_value = arch.num_heads / plan.tp * (arch.qk_head_dim + arch.value_head_dim)
    else:
        key_value = 2.0 * maximum(arch.num_kv_heads / plan.tp, 1.0) * arch.head_dim
    sharded = where(plan.sequence_parallel > 0.0, plan.tp, 1.0)
    return _Traffic(
        tensor=where(plan.tp > 1.0, where(plan.sequence_parallel > 0.0, gathers, reduces), 0.0),
        experts=experts,
        hidden=hidden,
        context=ring_pass_time(2.0 * tokens * key_value, plan.tp, plan.cp, fabric),
        stage=2.0 * neighbour_time(width / sharded, plan.tp * plan.cp * plan.dp, plan.pp, fabric) * plan.chunks,
    )


def _regathers(plan: TrainingPlan) -> Mask:
    """Whether sharded weights are gathered anew for every micro-batch: a pipeline keeps them through a step, as it has many in flight."""
    return (plan.zero >= 3.0) & (plan.pp <= 1.0)


def _data_groups(plan: TrainingPlan) -> tuple[Array, Array]:
    """Ranks that hold the same dense parameters, and the same experts."""
    return plan.dp * plan.cp, maximum(plan.dp * plan.cp * plan.tp / (plan.ep * plan.expert_tp), 1.0)


def _data_parallel(
    arch: Architecture,
    plan: TrainingPlan,
    held: RankParameters,
    stage_layers: Array,
    groups: tuple[Array, Array],
    micro_batches: Array,
    fabric: Fabric,
    protocol: Protocol,
    stack: TrainingStack,
) -> tuple[Array, Array]:
    """Seconds of gradient and parameter traffic of a step, nothing hidden; and parameters that one rank updates."""
    spans = place(groups[0], plan.tp, fabric).members, place(groups[1], plan.expert_tp * plan.ep, fabric).members

    def over_ranks(size: Array) -> Array:
        """All buckets, one a layer, of dense and expert parameters."""
        time: Array = 0.0
        for parameters, span in zip((held.dense, held.experts), spans, strict=True):
            one = gather_time(parameters * size / stage_layers, span, fabric, protocol)
            time = time + where(parameters > 0.0, stage_layers * one, 0.0)
        return time

    scatter, collect = over_ranks(stack.gradient_bytes), over_ranks(stack.gather_bytes)
    data = where(_regathers(plan), micro_batches * (scatter + 2.0 * collect), scatter + collect)
    owned = where(plan.zero >= 1.0, held.dense / groups[0] + held.experts / groups[1], held.dense + held.experts)
    return data, owned


def training_memory(arch: Architecture, sequence: Array, global_batch: Array, plan: TrainingPlan, stack: TrainingStack) -> dict[str, Array]:
    """Bytes of the fullest rank by part, as `training_step` gives them, without the time.

    Parameters
    ----------
    arch : Architecture
    sequence, global_batch : shape (...)   Tokens a sequence; sequences a step [1].
    plan, stack   Records of broadcastable fields.

    Returns
    -------
    dict of shape (...) [B].

    References
    ----------
    .. [1] V. Korthikanti et al., arXiv:2205.05198; S. Rajbhandari et al., arXiv:1910.02054.
    """
    micro_batches = ceil(global_batch / (plan.dp * plan.micro_batch) - 1e-9)
    most = most_layers(arch.num_layers * 1.0, plan.pp, plan.chunks)
    held = rank_parameters(arch, plan.tp, arch.num_layers * 1.0 / most, plan.ep, plan.expert_tp)
    return _memory(arch, sequence, plan, held, most, stack, _data_groups(plan), micro_batches)


def _memory(
    arch: Architecture,
    sequence: Array,
    plan: TrainingPlan,
    held: RankParameters,
    stage_layers: Array,
    stack: TrainingStack,
    groups: tuple[Array, Array],
    micro_batches: Array,
) -> dict[str, Array]:
    """Bytes of the fullest rank: of as many layers as any stage has, first in the pipeline."""
    tokens = plan.micro_batch * sequence / plan.cp
    state = training_state_bytes(held, stack.weight_memory, stack.gradient_memory, stack.optimizer_memory, plan.zero, *groups)
    copies = arch.experts_per_token * stack.imbalance
    layer = layer_activation_bytes(arch, tokens, sequence, plan.tp, plan.sequence_parallel, stack.dropout, stack.flash, copies)
    selected = selective_activation_bytes(arch, tokens, sequence, plan.tp, plan.sequence_parallel, stack.flash, copies)
    kept = kept_activation_bytes(layer, tokens, arch.hidden_size, plan.tp, plan.sequence_parallel, plan.recompute, selected)
    flight = in_flight(plan.pp, plan.chunks, micro_batches)
    activations = stack.activation_share * kept * stage_layers * flight + where(plan.recompute >= 2.0, layer, 0.0)
    logits = tokens * arch.vocab_size / plan.tp * 6.0 * (1.0 / plan.pp)  # 16-bit logits and fp32 loss, on the last stage only
    # sharded weights are gathered a layer at a time
    gathered = where(plan.zero >= 3.0, 2.0 * (held.dense + held.experts) * stack.weight_memory / stage_layers, 0.0)
    return {"state": state, "activations": activations, "logits": logits, "gathered": gathered, "reserve": stack.reserve + 0.0 * state}
