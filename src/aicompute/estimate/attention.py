"""Attention kernels of a serving stack on an accelerator: specs become the record that formulas of attention understand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aicompute.machine.records import AttentionKernels
from aicompute.numerics import Array, maximum, minimum
from aicompute.specs import Spec

if TYPE_CHECKING:
    from aicompute.estimate.inputs import Reader

UNIT = 8192.0
"""FLOP a clock, at 16 bits, of the largest core that works on one tile at a time (SM of 2024, AI core); larger ones are several [1]."""

UNSTATED_CLOCK = 1.8e9
"""Clock of accelerators that do not state it [1/s]."""

UNSTATED_CACHE = 32e6
"""Last-level cache likewise [B]."""


def written_for(stack: Spec, key: str, accelerator: Spec) -> bool:
    """Whether the accelerator's family is in a list of the stack."""
    return accelerator.get("family") in stack.get(f"attention.{key}", ())


def tile_units(accelerator: Spec, read: Reader) -> tuple[Array, Array]:
    """Tiles that one device works on at the same time [1], and its clock [1/s]."""
    devices = read(accelerator, "devices")
    clock = read(accelerator, "clock", UNSTATED_CLOCK)
    cores = read(accelerator, "cores", 0.0) / devices
    return maximum(cores, read(accelerator, "peak.bf16") / devices / clock / UNIT), clock


def exponentials_rate(accelerator: Spec, read: Reader) -> Array:
    """Exponentials that one device can do [1/s]."""
    units, clock = tile_units(accelerator, read)
    return units * clock * read(accelerator, "exponentials")


def attention_kernels(
    accelerator: Spec,
    stack: Spec,
    narrow: str | None,
    computed: str | None,
    latent: bool,
    bandwidth: Array,
    kv_bandwidth: Array,
    read: Reader,
) -> AttentionKernels:
    """How the attention kernels of a stack use one device.

    Parameters
    ----------
    accelerator, stack : Spec
    narrow : str or None              Peak in the format of a cache of 8 bits; None for 16 bits.
    computed : str or None            Peak in the format of prefill where that is 8 bits whatever the stack does; None for 16 bits.
    latent : bool                     For latent attention.
    bandwidth, kv_bandwidth : shape (...)   Of memory, as kernels and as cache kernels stream it [B/s].
    read : Reader

    Returns
    -------
    AttentionKernels.
    """
    devices = read(accelerator, "devices")
    top = read(accelerator, "peak.bf16") / devices
    units, clock = tile_units(accelerator, read)
    split = not (latent and written_for(stack, "latent_unsplit", accelerator))
    portable = latent and written_for(stack, "latent_portable", accelerator)
    widened = latent and narrow is not None and written_for(stack, "latent_widened", accelerator)
    stored = narrow is not None and split
    inside = computed or (narrow if narrow is not None and split and written_for(stack, "narrow_prefill", accelerator) else None)
    kind = "portable_attention" if portable else "attention"
    context = minimum(read(accelerator, f"efficiency.{kind}") * read(stack, "reached.attention"), 1.0)
    kind = "portable_attention" if portable else "decode_attention"
    decode = minimum(read(accelerator, f"efficiency.{kind}") * read(stack, "reached.cache_attention"), 1.0)
    share = read(stack, "attention.narrow")
    return AttentionKernels(
        context=context * (top if inside is None else share * read(accelerator, f"peak.{inside}") / devices),
        decode=decode * (read(accelerator, f"peak.{narrow}") / devices if stored and not widened else top),
        issue=top * read(accelerator, "efficiency.decode_attention") * (read(stack, "attention.widened") if widened else 1.0),
        exponentials=exponentials_rate(accelerator, read) * read(stack, "attention.exponentials"),
        units=units,
        clock=clock,
        bandwidth=bandwidth,
        kv_bandwidth=kv_bandwidth,
        cache=read(accelerator, "memory.cache", UNSTATED_CACHE) / devices,
        cache_bandwidth=units * clock * read(stack, "attention.cache_bytes"),
        kv_cache_bandwidth=units * clock * read(stack, "attention.kv_cache_bytes"),
        kv_bytes=1.0 if stored else 2.0,
        start=read(stack, "attention.start"),
        host=read(stack, "attention.host"),
        join=read(stack, "attention.join") if latent else 0.0,
        preparation=read(stack, "attention.preparation"),
        cast=read(stack, "attention.cast") if stored else 0.0,
        decode_cast=read(stack, "attention.cast") if stored and (widened or not latent) else 0.0,
        tile=read(stack, "attention.tile"),
        block=read(stack, "attention.block"),
        group=read(stack, "attention.group"),
        combine=read(stack, "attention.combine"),
        rows=read(stack, "attention.rows"),
        passes=1.0 if latent else read(stack, "attention.passes"),
        packs=read(stack, "attention.packs"),
        group_limit=float("inf") if latent else read(stack, "attention.group_limit"),
        split=1.0 if split else 0.0,
    )
