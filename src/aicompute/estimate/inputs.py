"""The door: specs become frozen records of floats (or of sampled arrays) that formulas understand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from aicompute.economics.cost import SiteTerms
from aicompute.errors import UsageError, nearest
from aicompute.estimate.attention import attention_kernels, exponentials_rate
from aicompute.estimate.reading import Reader, read_value
from aicompute.estimate.serving import ServingStack
from aicompute.estimate.training import TrainingStack
from aicompute.machine.attention import with_exponentials
from aicompute.machine.records import AttentionKernels, Device, ExchangePhase, ExpertExchange, Fabric, Kernel, Protocol, Rates, Tier
from aicompute.machine.roofline import reached_share
from aicompute.numerics import Array, minimum
from aicompute.specs import Library, Spec
from aicompute.workload.architecture import Architecture

PRECISIONS: Mapping[str, tuple[str, float, float]] = {
    # name: (peak it runs on, weight bytes with scales, activation bytes)
    "fp32": ("tf32", 4.0, 4.0),
    "tf32": ("tf32", 4.0, 4.0),
    "fp16": ("bf16", 2.0, 2.0),
    "bf16": ("bf16", 2.0, 2.0),
    "fp8": ("fp8", 1.0 + 4.0 / 16384.0, 1.0 + 4.0 / 128.0),
    "mxfp8": ("fp8", 1.0 + 1.0 / 32.0, 1.0 + 1.0 / 32.0),
    "int8": ("int8", 1.0, 1.0 + 4.0 / 128.0),
    "w8a16": ("bf16", 1.0, 2.0),
    "fp6": ("fp6", 0.75 + 1.0 / 32.0, 1.0 + 1.0 / 32.0),
    "nvfp4": ("fp4", 0.5 + 1.0 / 16.0, 0.5 + 1.0 / 16.0),
    "mxfp4": ("fp4", 0.5 + 1.0 / 32.0, 1.0 + 1.0 / 32.0),
    "int4": ("bf16", 0.5 + 2.0 / 128.0, 2.0),
}
"""Number formats: the peak they compute on and the bytes of an element, with scales (block sizes define the format)."""

_ALLOWED: Mapping[str, tuple[str, ...]] = {
    "attention": ("bf16", "fp16"),
    "gradients": ("bf16", "fp16", "fp32"),
    "kv": ("bf16", "fp16", "fp8", "int8"),
}
"""What a role can be computed or stored in, where not everything goes."""

SIXTEEN_BITS: Mapping[str, str] = dict.fromkeys(("dense", "experts", "attention", "kv", "dispatch", "combine"), "bf16")
"""A precision map with nothing smaller."""

ROLES = ("dense", "experts", "attention", "kv", "dispatch", "combine", "gradients")
"""What a precision map speaks of."""


def precision_map(text: str | Mapping[str, str] | None, default: Mapping[str, str]) -> dict[str, str]:
    """Complete a precision map.

    Parameters
    ----------
    text : str, mapping or None   A word for all ("fp8"), a map as text ("dense=fp8,kv=bf16") or as a mapping.
    default : mapping             Taken where the text says nothing.

    Raises
    ------
    UsageError
        Unknown role or precision, with the nearest.

    Examples
    --------
    >>> precision_map("dense=fp8", {"dense": "bf16", "kv": "bf16"})
    {'dense': 'fp8', 'kv': 'bf16'}
    """
    chosen = dict(default)
    if text is None:
        return chosen
    if isinstance(text, str) and "=" not in text:
        word = _known(text.strip(), PRECISIONS, "precision")
        eight_bit = PRECISIONS[word][1] < 1.5
        chosen.update(dense=word, experts=word, dispatch=word if eight_bit else "bf16", combine="bf16")
        if word in ("nvfp4", "mxfp4", "int4"):  # attention weights stay at 8 bits or more, and so does the wire
            chosen.update(dense="fp8" if word != "int4" else "int4", dispatch="fp8")
        return chosen
    pairs = text.items() if isinstance(text, Mapping) else (part.split("=", 1) for part in text.split(",") if part.strip())
    for role, word in pairs:
        name = _known(str(role).strip(), ROLES, "precision role")
        chosen[name] = _known(str(word).strip(), _ALLOWED.get(name, PRECISIONS), f"precision of {name}")
    return chosen


def _known(name: str, known: Mapping[str, object] | tuple[str, ...], what: str) -> str:
    if name in known:
        return name
    close = nearest(name, known)
    hint = f"; did you mean {' or '.join(map(repr, close))}?" if close else ""
    raise UsageError(f"{what} {name!r} is not one of {', '.join(known)}{hint}")


def runnable(accelerator: Spec, word: str) -> str:
    """The precision an accelerator computes a format in fastest: its own, or the next wider one where it has none or gains nothing."""
    narrow = {"fp4": ("fp4",), "fp6": ("fp6", "fp8"), "fp8": ("fp8", "int8"), "int8": ("int8", "fp8")}
    peak = PRECISIONS[word][0]
    own = next((c for c in narrow.get(peak, (peak,)) if accelerator.has(f"peak.{c}")), "bf16")

    def reached(candidate: str) -> float:
        return accelerator.si(f"peak.{candidate}") * float(peak_share(accelerator, candidate))

    return max((own, "bf16"), key=reached)


def peak_share(accelerator: Spec, peak: str, read: Reader = read_value) -> Array:
    """Share of a peak that large products reach: as stated for this chip, or as power leaves it."""
    power, energy = read(accelerator, "power.tdp"), read(accelerator, "efficiency.energy")

    def left(large: Array, word: str) -> Array:
        return reached_share(large, read(accelerator, f"peak.{word}"), power, energy)

    if accelerator.has(f"efficiency.{peak}"):
        return read(accelerator, f"efficiency.{peak}")
    if accelerator.has("efficiency.bf16"):  # other formats lose more or less to power than the one that is known
        return read(accelerator, "efficiency.bf16") * left(1.0, peak) / left(1.0, "bf16")
    return left(read(accelerator, "efficiency.matrix"), peak)


def rates(accelerator: Spec, word: str, reached: Array, read: Reader) -> Rates:
    """What one device reaches at a precision."""
    peak = runnable(accelerator, word)
    _, weights, activations = PRECISIONS[word]
    share = minimum(peak_share(accelerator, peak, read) * reached, 1.0)
    compute = read(accelerator, f"peak.{peak}") / read(accelerator, "devices") * share
    wide = peak == "bf16" and weights < 2.0
    return Rates(compute, weights, 2.0 if wide else activations)


def _experts_reached(stack: Spec, word: str, read: Reader) -> Array:
    """What grouped products reach over dense ones: on a stack's own kernels, on those for scales in blocks, or on those for 4 bits."""
    _, weights, activations = PRECISIONS[word]
    if stack.get("kind") == "training":
        return read(stack, "reached.experts")
    if weights < 0.75 and activations < 2.0:
        return read(stack, "reached.narrow_experts")
    if word in ("fp8", "mxfp8"):
        return read(stack, "reached.block_experts") * read(stack, "reached.deployed_blocks")
    return read(stack, "reached.experts")


def device_record(accelerator: Spec, stack: Spec, precision: Mapping[str, str], read: Reader = read_value) -> Device:
    """One device under a stack, at a precision map."""
    devices = read(accelerator, "devices")
    training = stack.get("kind") == "training"
    dense = rates(accelerator, precision["dense"], read(stack, "reached.dense"), read)
    grouped = read(stack, "reached.dense") * _experts_reached(stack, precision["experts"], read)
    experts = rates(accelerator, precision["experts"], grouped, read)
    head = rates(accelerator, "bf16", read(stack, "reached.dense"), read)
    top = read(accelerator, "peak.bf16") / devices
    tuned = read(stack, "attention.tuned", 1.0)
    best = tuned * read(accelerator, "efficiency.attention") + (1.0 - tuned) * read(accelerator, "efficiency.portable_attention")
    core = with_exponentials(top * minimum(best * read(stack, "reached.attention"), 1.0), exponentials_rate(accelerator, read))
    cache = (
        top if training else top * minimum(read(accelerator, "efficiency.decode_attention") * read(stack, "reached.cache_attention"), 1.0)
    )
    kv = precision.get("kv", "bf16")
    sheet = read(accelerator, "memory.bandwidth") / devices
    bandwidth = sheet * read(accelerator, "efficiency.memory")
    growth = (dense.compute / read(stack, "kernel.reference")) ** read(stack, "kernel.exponent")
    kernel = Kernel(
        rows=read(stack, "kernel.rows") * growth,
        columns=read(stack, "kernel.columns") * growth,
        depth=read(stack, "kernel.depth") * growth,
        launch=0.0 if training else read(accelerator, "launch") * read(stack, "kernel.launch"),
        step=0.0 if training else read(stack, "kernel.step"),
        narrow_output=2.0 if training else read(stack, "kernel.narrow_output"),
        cast_launch=0.0 if training else read(stack, "kernel.cast_launch"),
        cast_share=0.0 if training else read(stack, "kernel.cast_share"),
    )
    streamed = bandwidth if training else minimum(bandwidth * read(stack, "reached.memory"), sheet)
    cached = bandwidth if training else minimum(bandwidth * read(stack, "reached.cache"), sheet)

    def attention(latent: bool) -> AttentionKernels | None:
        computed, kept = precision.get("attention", "bf16"), precision.get("kv", "bf16")
        return None if training else attention_kernels(accelerator, stack, computed, kept, latent, streamed, cached, read)

    return Device(
        dense=dense,
        experts=experts,
        attention=Rates(core, 2.0, 2.0),
        cache_attention=Rates(cache, 2.0, 2.0),
        head=head,
        kv_bytes=PRECISIONS[kv][1] if kv != "fp8" else 1.0,
        bandwidth=streamed,
        kv_bandwidth=cached,
        capacity=read(accelerator, "memory.capacity") / devices,
        kernel=kernel,
        expert_kernel=kernel if training else _expert_kernel(kernel, stack, read),
        attention_kernels=attention(False),
        latent_kernels=attention(True),
    )


def _expert_kernel(kernel: Kernel, stack: Spec, read: Reader) -> Kernel:
    """Grouped products of routed experts, whose fixed times hold what stands around each of the two: sorting, casts, activation."""
    return replace(
        kernel,
        rows=read(stack, "kernel.expert_rows"),
        depth=read(stack, "kernel.expert_depth"),
        launch=read(stack, "kernel.expert_launch"),
        pair=read(stack, "kernel.expert_pair"),
        narrow_output=2.0,
        cast_launch=0.0,
        cast_share=0.0,
    )


def fabric_record(system: Spec, read: Reader = read_value, stack: Spec | None = None) -> Fabric:
    """The tiers of a system at what a stack reaches of them, padded to four with copies of the last that cost nothing more."""
    tiers = []
    network = 1.0 if stack is None else read(stack, "reached.network", 1.0)
    for name in system.get("tiers"):
        path = f"tiers.{name}"
        share = network if name == "scale-out" else 1.0
        reached = read(system, f"{path}.bandwidth") * minimum(read(system, f"{path}.efficiency", 0.85) * share, 1.0)
        tiers.append(
            Tier(
                domain=read(system, f"{path}.domain"),
                inverse_bandwidth=read(system, f"{path}.oversubscription", 1.0) / reached,
                base=read(system, f"{path}.base_latency", 6.3e-6),
                hop=read(system, f"{path}.latency"),
                reduction=1.0 if system.get(f"{path}.in_network_reduction", False) else 0.0,
                relay=0.0 if name == "in-package" else 1.0,
                topology=str(system.get(f"{path}.topology", "switch")),
                axes=read(system, f"{path}.axes", 3.0),
                contention=read(system, f"{path}.contention", 0.05),
                passes=read(system, f"{path}.passes", 2.0),
                pairwise=read(system, f"{path}.pairwise", 0.0),
                direct=read(system, f"{path}.direct", 1.0),
                bulk_start=read(system, f"{path}.bulk_start", 0.0),
                bulk_part=read(system, f"{path}.bulk_part", float("inf")),
            )
        )
    if not tiers:
        raise UsageError(f"{system.id}: a system needs at least one tier")
    while len(tiers) < 4:
        tiers.append(tiers[-1])
    return (tiers[0], tiers[1], tiers[2], tiers[3])


def protocol_record(stack: Spec, read: Reader = read_value) -> Protocol:
    """Constants of the collective library that a stack uses, and of the all-reduce kernels that a serving stack brings along."""
    return Protocol(
        ramp=read(stack, "collective.ramp"),
        granularity=read(stack, "collective.granularity"),
        reduction_base=read(stack, "collective.reduction_base"),
        reduction_efficiency=read(stack, "collective.reduction_efficiency"),
        exchange_start=read(stack, "collective.exchange_start"),
        exchange_part=read(stack, "collective.exchange_part"),
        custom=read(stack, "custom_reduce.start", 0.0),
        custom_peer=read(stack, "custom_reduce.peer", 0.0),
        custom_second=read(stack, "custom_reduce.second", 0.0),
        custom_efficiency=read(stack, "custom_reduce.efficiency", 1.0),
    )


def exchange_record(
    stack: Spec, precision: Mapping[str, str], fabric: Fabric, read: Reader = read_value, kernels: str = "exchange"
) -> tuple[ExpertExchange, Fabric]:
    """Constants of dispatch and combine, and the fabric at the rate they reach.

    ``kernels`` names the table of a stack that says what its kernels cost and can send: "exchange", or a library of kernels.
    """
    word, back = precision.get("dispatch", "bf16"), PRECISIONS[precision.get("combine", "bf16")][2]
    scale = read(stack, "exchange.dispatch_scale", 1.0)
    dispatch = PRECISIONS[word][2] * scale if PRECISIONS[word][2] < 2.0 else 2.0
    reached = read(stack, "exchange.efficiency")

    def phase(name: str, payload: Array) -> ExchangePhase:
        if name == "combine" and back < 2.0:  # results are cast on both ends where they travel in fewer bits
            name, token = "cast", read(stack, f"{kernels}.cast_token", 0.0)
        else:
            token = read(stack, f"{kernels}.token", 0.0) + (read(stack, f"{kernels}.dispatch_cast", 0.0) if name == "dispatch" else 0.0)
        return ExchangePhase(payload, token, 1.0 / read(stack, f"{kernels}.{name}_local", float("inf")))

    record = ExpertExchange(
        base=read(stack, "exchange.base"),
        per_doubling=read(stack, "exchange.per_doubling"),
        deduplicated=read(stack, f"{kernels}.deduplicated" if stack.has(f"{kernels}.deduplicated") else "exchange.deduplicated"),
        dispatch=phase("dispatch", dispatch),
        combine=phase("combine", back),
        engine=1.0 / read(stack, f"{kernels}.engine", float("inf")),
    )
    tiers = [replace(t, inverse_bandwidth=t.inverse_bandwidth / reached) for t in fabric]
    return record, (tiers[0], tiers[1], tiers[2], tiers[3])


_CASTS = {"fp8": "cast.fp8", "int8": "cast.fp8", "mxfp8": "cast.mxfp8", "nvfp4": "cast.fp4", "mxfp4": "cast.fp4"}


def training_stack_record(stack: Spec, precision: Mapping[str, str], read: Reader = read_value) -> TrainingStack:
    """A training stack as numbers."""
    cast = _CASTS.get(precision["dense"])
    if cast == "cast.fp8" and precision.get("scales") == "row":
        cast = "cast.fp8_rows"
    gradient = {"bf16": 2.0, "fp16": 2.0, "fp32": 4.0}.get(precision.get("gradients", ""))
    return TrainingStack(
        attention_length=read(stack, "attention.length"),
        attention_width=read(stack, "attention.width"),
        attention_backward=read(stack, "attention.backward"),
        full_square=read(stack, "attention.full_square"),
        score_bytes=read(stack, "attention.score_bytes"),
        passes=read(stack, "streams.passes"),
        routed=read(stack, "streams.routed"),
        cast=read(stack, cast) if cast else 0.0,
        layer_host=read(stack, "host.layer"),
        expert_host=read(stack, "host.expert"),
        overlap_tensor=read(stack, "overlap.tensor"),
        overlap_data=read(stack, "overlap.data"),
        overlap_experts=read(stack, "overlap.experts"),
        overlap_everywhere=read(stack, "overlap.everywhere"),
        overlap_context=read(stack, "overlap.context"),
        overlap_pipeline=read(stack, "overlap.pipeline"),
        step_fixed=read(stack, "step.fixed"),
        gradient_bytes=read(stack, "bytes.gradient") if gradient is None else gradient,
        gather_bytes=read(stack, "bytes.gather"),
        weight_memory=read(stack, "memory.weights"),
        gradient_memory=read(stack, "memory.gradients"),
        optimizer_memory=read(stack, "memory.optimizer"),
        optimizer_traffic=read(stack, "memory.optimizer_traffic"),
        activation_share=read(stack, "memory.activations"),
        reserve=read(stack, "memory.reserve"),
        imbalance=read(stack, "experts.imbalance"),
        dropout=read(stack, "memory.dropout"),
        flash=read(stack, "memory.flash"),
        bubble=read(stack, "schedule.bubble"),
    )


def serving_stack_record(stack: Spec, read: Reader = read_value) -> ServingStack:
    """A serving stack as numbers."""
    return ServingStack(
        step_fixed=read(stack, "step.fixed"),
        sequence_fixed=read(stack, "sequence.fixed"),
        token_fixed=read(stack, "token.fixed"),
        layer_fixed=read(stack, "layer.dense"),
        expert_layer_fixed=read(stack, "layer.experts"),
        index_layer_fixed=read(stack, "layer.index"),
        elementwise=read(stack, "elementwise.base"),
        overlap_experts=read(stack, "overlap.experts"),
        overlap_tensor=read(stack, "overlap.tensor"),
        overlap_host=read(stack, "overlap.host"),
        reduce_fixed=read(stack, "reduce.fixed"),
        imbalance=read(stack, "experts.imbalance"),
        diversity=read(stack, "experts.diversity"),
        redundant_experts=read(stack, "experts.redundant"),
        balanced=read(stack, "sequences.balanced"),
        interference=read(stack, "prefill.interference"),
        first_token_fixed=read(stack, "first_token.fixed"),
        first_token_steps=read(stack, "first_token.steps"),
        burst=read(stack, "first_token.burst"),
        reserved=read(stack, "limits.reserved"),
        reserve=read(stack, "memory.reserve"),
        memory_share=read(stack, "memory.share"),
        memory_free=read(stack, "memory.free"),
        max_sequences=read(stack, "limits.sequences"),
        chunk=read(stack, "limits.chunk"),
        draft_cost=read(stack, "drafts.layers"),
        bulk_deduplicated=read(stack, "exchange.bulk_deduplicated"),
    )


def architecture(model: Spec) -> Architecture:
    """A model as plain numbers; refuses what the formulas cannot count.

    Raises
    ------
    UsageError
        The model has layers that no operator describes.
    """
    reason = model.get("unsupported", "")
    if reason:
        raise UsageError(f"model {model.id!r} cannot be estimated: {reason}")
    return Architecture.from_mapping(model.data)


def site_terms(site: Spec, system: Spec, read: Reader = read_value) -> SiteTerms:
    """Money and energy terms of a site for a system."""
    return SiteTerms(
        electricity_price=read(site, "electricity.price"),
        pue=read(site, f"pue.{system.get('cooling', 'air')}"),
        facility_capital=read(site, "facility.capital"),
        facility_life=read(site, "facility.life"),
        facility_rate=read(site, "facility.rate"),
        capital_rate=read(site, "capital.rate"),
        capital_life=read(site, "capital.life"),
        operation_fraction=read(site, "operation.fraction"),
        capital_residual=read(site, "capital.residual"),
        demand_charge=read(site, "electricity.demand_charge", 0.0),
        import_tax=read(site, "tax.import", 0.0),
    )


def specs_of(lib: Library, system: str) -> tuple[Spec, Spec]:
    """A system and its accelerator; an accelerator's name stands for its default system."""
    try:
        found = lib.load("systems", system)
    except UsageError as unknown:
        try:
            accelerator = lib.load("accelerators", system)
        except UsageError:
            raise unknown from None
        found = lib.load("systems", str(accelerator.get("default_system")))
    if found.data.get("abstract") is True:
        raise UsageError(f"{system!r} is only there to be extended; name a system or an accelerator")
    return found, lib.load("accelerators", str(found.get("accelerator")))
