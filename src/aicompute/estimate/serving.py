"""Steps of a serving engine and the rates that follow: prefill, decode, in-flight batching, pools. Arrays in, arrays out; knows no spec."""

from __future__ import annotations

from dataclasses import dataclass, replace

from aicompute.estimate.kernels import Timed, expert_round_trip, time_operators, total_seconds
from aicompute.machine.collectives import all_reduce_time, neighbour_time
from aicompute.machine.records import Device, ExpertExchange, Fabric, Protocol
from aicompute.numerics import Array, floor, maximum, minimum, sqrt, where
from aicompute.plan.layout import place
from aicompute.workload.architecture import Architecture
from aicompute.workload.attention import context_attention, decode_attention, expanded_prefix
from aicompute.workload.balance import fullest_rank, touched_share
from aicompute.workload.footprint import cache_bytes, rank_parameters
from aicompute.workload.operators import Operator, elementwise, feed_forward, head, mixer_projections


@dataclass(frozen=True, slots=True)
class ServingPlan:
    """One engine of tp · dp · pp devices: attention split over tp, replicated over dp; experts spread over ep, split over the rest."""

    tp: Array
    dp: Array
    pp: Array
    ep: Array

    @property
    def devices(self) -> Array:
        """Devices of the engine."""
        return self.tp * self.dp * self.pp

    @property
    def expert_tp(self) -> Array:
        """Ranks that share one expert."""
        return self.tp * self.dp / self.ep


@dataclass(frozen=True, slots=True)
class ServingStack:
    """What the engine reaches, overlaps and costs; the meaning of each value is in specs/stacks/generic-serving.toml."""

    step_fixed: Array
    sequence_fixed: Array
    token_fixed: Array
    layer_fixed: Array
    expert_layer_fixed: Array
    index_layer_fixed: Array
    """Of a layer that selects what it attends to, on top [s]."""
    elementwise: Array
    overlap_experts: Array
    overlap_tensor: Array
    overlap_host: Array
    """Share of the host's work on a step that runs while devices work on another."""
    reduce_fixed: Array
    imbalance: Array
    diversity: Array
    """Share of further tokens that choose their experts independently; the others go where tokens went before [1]."""
    redundant_experts: Array
    balanced: Array
    """1 where sequences are spread by length, 0 where the fullest rank sets the pace."""
    interference: Array
    first_token_fixed: Array
    first_token_steps: Array
    burst: Array
    reserved: Array
    """Share of an answer's cache that has to be free when a request starts: 1 keeps room for all of it, 0.5 for the mean."""
    reserve: Array
    memory_share: Array
    memory_free: Array
    """Share of what weights and reserve leave that the cache gets [1]."""
    max_sequences: Array
    chunk: Array
    draft_cost: Array
    bulk_deduplicated: Array
    """1 where prefill pools send a token to each domain once."""


@dataclass(frozen=True, slots=True)
class Load:
    """What one step of an engine carries."""

    sequences: Array
    """Decoding [1]."""
    queries: Array
    """Tokens of each in a step, drafts included [1]."""
    context: Array
    """Tokens in the cache of each, on average [1]."""
    prefill_sequences: Array
    """Being prefilled in the step (may be a fraction) [1]."""
    prefill_length: Array
    """New tokens of each [1]."""
    prefill_prefix: Array
    """Tokens of each already cached [1]."""
    spread: Array = 0.0
    """Spread of the cache of a sequence over its mean [1]."""
    scattered: Array = 0.0
    """1 where prompts arrive at random on the attention groups, 0 where a batch is spread evenly."""


_KERNELS = ("projections and dense", "experts", "cache attention", "prefill attention", "norms and elementwise")


@dataclass(frozen=True, slots=True)
class EngineStep:
    """Times of one step on the slowest rank [s]."""

    step: Array
    parts: dict[str, Array]
    communication: dict[str, Array]
    exposed: Array
    timed: list[Timed]
    flops: Array
    traffic: Array
    wire: Array


def absent(count: Array) -> bool:
    """Whether a kind of work is left out of the scenario as a whole (a plain zero), not just of some of its cases."""
    return isinstance(count, float) and count == 0.0


def redundancy(arch: Architecture, plan: ServingPlan, stack: ServingStack) -> Array:
    """Further expert copies in a layer: as the stack places them where the group is wide, and enough for a slot on every rank [1]."""
    copies = where(plan.dp * plan.tp > 8.0, stack.redundant_experts, 0.0)
    return maximum(copies, plan.ep - arch.num_experts)


def fullest_prefill(load: Load, plan: ServingPlan, stack: ServingStack) -> Array:
    """Prompts on the attention group that gets most in a step, over the mean: groups wait for each other at every exchange."""
    each = maximum(load.prefill_sequences / plan.dp / plan.pp, 1e-9)
    return where(stack.balanced > 0.0, 1.0, minimum(fullest_rank(each, load.scattered, plan.dp), plan.dp))


def step_operators(
    arch: Architecture, plan: ServingPlan, load: Load, device: Device, stack: ServingStack, busiest: Array, local: Array
) -> tuple[list[Operator], list[Operator]]:
    """Operators of one step on the slowest rank: those of any token, and attention over the cache.

    ``busiest`` is `fullest_prefill`, ``local`` the tokens of the fullest attention group.
    """
    decode = load.sequences * load.queries / plan.pp
    fresh = load.prefill_sequences * load.prefill_length / plan.pp
    total = decode + fresh
    ranks = plan.tp * plan.dp
    prompts = load.prefill_sequences * busiest / plan.dp / plan.pp
    again = prompts * expanded_prefix(arch, load.prefill_length, load.prefill_prefix)
    ops = mixer_projections(arch, local, plan.tp, again)
    rows: Array = 0.0
    experts: Array = 0.0
    if arch.num_moe_layers:
        places = arch.num_experts + redundancy(arch, plan, stack)
        independent = minimum(total, 1.0) + stack.diversity * maximum(total - 1.0, 0.0)
        touched = touched_share(independent, arch.experts_per_token * 1.0, arch.num_experts * 1.0)
        mean = places / plan.ep * touched
        # with few tokens ranks differ in how many of their experts get any; the fullest is waited for
        experts = minimum(mean * fullest_rank(mean, sqrt(1.0 - touched), plan.ep), places / plan.ep)
        experts = maximum(experts, minimum(1.0, total))
        share = total * arch.experts_per_token / plan.ep
        skew = stack.imbalance * fullest_rank(maximum(share, 1.0), 1.0, plan.ep)
        rows = maximum(share * minimum(skew, plan.ep * 1.0) / experts, minimum(total, 1.0))
    ops += feed_forward(arch, local, plan.tp, rows, experts, ranks / plan.ep, local)
    ops.append(elementwise(arch, local, stack.elementwise, 1.0))
    sequences = load.sequences / plan.dp / plan.pp
    fullest = where(stack.balanced > 0.0, 1.0, fullest_rank(maximum(sequences, 1.0), load.spread, plan.dp))
    cores: list[Operator] = []
    prefill: list[Operator] = []
    if not absent(load.sequences):
        cores = decode_attention(arch, sequences * fullest, load.queries, load.context, plan.tp, device.kv_bytes)
    if not absent(load.prefill_sequences):
        prefill = context_attention(arch, prompts, load.prefill_length, load.prefill_prefix, plan.tp, 1.0, device.kv_bytes)
    return ops + [replace(o, name=f"prefill {o.name}") for o in prefill], cores


def engine_step(
    arch: Architecture,
    plan: ServingPlan,
    load: Load,
    device: Device,
    fabric: Fabric,
    wires: Fabric,
    protocol: Protocol,
    exchange: ExpertExchange,
    stack: ServingStack,
) -> EngineStep:
    """Time of one step of an engine that decodes and prefills together.

    Parameters
    ----------
    arch, plan, load, device, protocol, exchange, stack   Records of broadcastable fields.
    fabric, wires   Tiers; the same at the rate that expert exchange reaches.

    Returns
    -------
    EngineStep; a pipeline's step is the way of one micro-batch through all stages.

    Notes
    -----
    Operators run one after another; expert exchange and tensor reductions hide behind them as far as the stack can. Attention of the
    fullest rank sets the pace, and so do the experts of the fullest rank.

    References
    ----------
    .. [1] P. Patel et al., arXiv:2311.18677 (phases); A. Agrawal et al., arXiv:2403.02310 (mixed steps); DeepSeek-AI, arXiv:2412.19437,
    section 3.4.
    """
    busiest = fullest_prefill(load, plan, stack)
    # each attention group has its own sequences
    local = (load.sequences * load.queries / plan.pp + load.prefill_sequences * load.prefill_length / plan.pp * busiest) / plan.dp
    ops, cores = step_operators(arch, plan, load, device, stack, busiest, local)
    timed = time_operators(ops, device)
    timed_cores = time_operators(cores, device, cache=True)

    answers = (load.sequences * load.queries + load.prefill_sequences) / plan.pp / plan.dp
    vocabulary = time_operators([head(arch, answers, plan.tp)], device)

    tensor_span = place(plan.tp, 1.0, fabric).members
    # one reduction after each mixer and feed-forward part, but not where experts are exchanged
    exchanged = (plan.dp > 1.0) & (plan.ep > 1.0)
    reductions = arch.blocks - where(exchanged, arch.num_moe_layers * 1.0, 0.0)
    one = all_reduce_time(local * arch.hidden_size * 2.0, tensor_span, fabric, protocol)
    tensor = where(plan.tp > 1.0, reductions * (one + stack.reduce_fixed), 0.0)
    experts: Array = 0.0
    if arch.num_moe_layers:
        span = place(plan.ep, plan.expert_tp, fabric).members
        sent = local / plan.tp * plan.expert_tp * stack.imbalance
        experts = where(exchanged, arch.num_moe_layers * expert_round_trip(arch, sent, span, wires, exchange), 0.0)
    hops = where(plan.pp > 1.0, plan.pp * neighbour_time(local * arch.hidden_size * 2.0, plan.tp * plan.dp, plan.pp, fabric), 0.0)

    def named(role: str) -> Array:
        return total_seconds(t for t in timed if t.operator.role == role and not t.operator.name.startswith("prefill "))

    fixed = stack.step_fixed + stack.sequence_fixed * load.sequences / plan.dp / plan.pp + stack.token_fixed * local
    # constants are those of layers with two blocks, one of them experts or neither
    pairs = 0.5 * arch.blocks
    layer_fixed = (pairs - arch.num_moe_layers) * stack.layer_fixed + arch.num_moe_layers * stack.expert_layer_fixed
    layer_fixed = layer_fixed + arch.index_layers * stack.index_layer_fixed
    drafts = load.queries - 1.0
    parts = {
        "projections and dense": named("dense"),
        "experts": named("experts"),
        "cache attention": total_seconds(timed_cores),
        "prefill attention": total_seconds(t for t in timed if t.operator.name.startswith("prefill ")),
        "norms and elementwise": named("memory"),
        "head": total_seconds(vocabulary),
        "tensor parallel": tensor * (1.0 - stack.overlap_tensor),
        "pipeline sends": hops,
        "layer launches": layer_fixed,
    }
    # no more of the exchange hides than there are kernels to hide behind
    kernels = sum((parts[name] for name in _KERNELS), 0.0)
    parts["expert exchange"] = experts - minimum(stack.overlap_experts * experts, kernels)
    parts["host"] = fixed - minimum(stack.overlap_host * fixed, sum(parts.values(), 0.0))
    body = sum(parts.values(), 0.0)
    # each draft token runs a layer of two blocks of its own and the head
    parts["drafts"] = drafts * (stack.draft_cost * (body - parts["head"] - parts["host"]) / pairs + parts["head"])
    step = body + parts["drafts"]
    exposed = parts["tensor parallel"] + parts["expert exchange"] + hops
    everything = timed + timed_cores + vocabulary
    flops = sum((t.flops for t in everything), 0.0) / plan.pp
    traffic = sum((t.traffic for t in everything), 0.0) / plan.pp
    communication = {"tensor parallel": tensor, "expert exchange": experts, "pipeline sends": hops}
    return EngineStep(step, parts, communication, exposed, everything, flops, traffic, sum(communication.values(), 0.0))


def mixed_steps(alone: EngineStep, mixed: EngineStep, share: Array, operators: bool = True) -> EngineStep:
    """The mean of steps of which a share carries prompts, part by part; with their operators where these are wanted."""

    def mean(a: Array, b: Array) -> Array:
        return (1.0 - share) * a + share * b

    def part(timed: list[Timed], weight: Array, prefix: str) -> list[Timed]:
        return [
            Timed(
                replace(t.operator, name=prefix + t.operator.name, count=t.operator.count * weight),
                t.seconds * weight,
                t.flops * weight,
                t.traffic * weight,
            )
            for t in timed
        ]

    return EngineStep(
        mean(alone.step, mixed.step),
        {name: mean(alone.parts[name], mixed.parts[name]) for name in alone.parts},
        {name: mean(alone.communication[name], mixed.communication[name]) for name in alone.communication},
        mean(alone.exposed, mixed.exposed),
        part(alone.timed, 1.0 - share, "") + part(mixed.timed, share, "with prompts: ") if operators else [],
        mean(alone.flops, mixed.flops),
        mean(alone.traffic, mixed.traffic),
        mean(alone.wire, mixed.wire),
    )


def weight_memory(arch: Architecture, plan: ServingPlan, device: Device, stack: ServingStack, drafts: Array) -> Array:
    """Weights that one device holds [B]; draft layers are loaded where drafts are made."""
    held = rank_parameters(arch, plan.tp, plan.pp, plan.ep, plan.expert_tp, redundant=redundancy(arch, plan, stack))
    extra = rank_parameters(arch, plan.tp, plan.pp, plan.ep, plan.expert_tp, mtp=True).dense - held.dense
    return (held.dense + where(drafts > 0.0, extra, 0.0)) * device.dense.weight_bytes + held.experts * device.experts.weight_bytes


def cache_memory(arch: Architecture, plan: ServingPlan, length: Array, device: Device) -> Array:
    """Cache of one sequence on each device of its attention group [B]."""
    return cache_bytes(arch, length, device.kv_bytes, plan.tp) / plan.pp


def most_sequences(arch: Architecture, plan: ServingPlan, length: Array, device: Device, stack: ServingStack, drafts: Array = 0.0) -> Array:
    """Sequences of a full length that an engine's memory holds; below 1 where none fits.

    Parameters
    ----------
    arch, plan, device, stack   Records.
    length : shape (...)        Tokens a sequence has at its end [1].
    drafts : shape (...)        Draft tokens a step [1].

    Returns
    -------
    shape (...) [1].

    References
    ----------
    .. [1] W. Kwon et al., arXiv:2309.06180 (paged cache: little is lost to fragments).
    """
    left = stack.memory_share * device.capacity - stack.reserve - weight_memory(arch, plan, device, stack, drafts)
    room = floor(maximum(stack.memory_free * left, 0.0) / cache_memory(arch, plan, length, device))
    return minimum(room * plan.dp, stack.max_sequences * plan.dp)


def emitted(drafts: Array, acceptance: Array) -> Array:
    r"""Expected tokens a sequence gains in a step.

    Parameters
    ----------
    drafts : shape (...)       Draft tokens [1].
    acceptance : shape (...)   Probability that a draft is right, given the one before was [1].

    Returns
    -------
    shape (...) [1].

    Notes
    -----
    .. math:: (1 - \alpha^{n+1}) / (1 - \alpha)

    References
    ----------
    .. [1] Y. Leviathan, M. Kalman, Y. Matias, arXiv:2211.17192, equation 1.

    Examples
    --------
    >>> round(emitted(1.0, 0.7), 3)
    1.7
    """
    safe = minimum(acceptance, 0.999999)
    return (1.0 - safe ** (drafts + 1.0)) / (1.0 - safe)
