"""Attention kernels of a serving stack on an accelerator: specs become the record that formulas of attention understand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aicompute.machine.records import AttentionKernels
from aicompute.numerics import Array, maximum, minimum
from aicompute.specs import Spec

if TYPE_CHECKING:
    from aicompute.estimate.reading import Reader

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


def narrow_peak(accelerator: Spec, word: str) -> str | None:
    """The format of 8 bits that attention computes in; None where that is one of 16, or the accelerator has no such units.

    Examples
    --------
    >>> from aicompute.specs import Library
    >>> [narrow_peak(Library().load("accelerators", name), "fp8") for name in ("h100", "a100")]
    ['fp8', None]
    """
    return word if word in ("fp8", "int8") and accelerator.has(f"peak.{word}") else None


def attention_kernels(
    accelerator: Spec, stack: Spec, computed: str, kept: str, latent: bool, bandwidth: Array, kv_bandwidth: Array, read: Reader
) -> AttentionKernels:
    """How the attention kernels of a stack use one device.

    Parameters
    ----------
    accelerator, stack : Spec
    computed, kept : str                    Formats of prefill and of the cache, as the precision map says them.
    latent : bool                           For latent attention.
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
    stored = kept in ("fp8", "int8") and split
    widened = latent and stored and written_for(stack, "latent_widened", accelerator)
    narrow = narrow_peak(accelerator, kept) if stored else None
    inside = narrow_peak(accelerator, computed) or (narrow if written_for(stack, "narrow_prefill", accelerator) else None)

    def reached(kind: str, share: str, word: str | None) -> Array:
        efficiency = read(accelerator, f"efficiency.{'portable_attention' if portable else kind}")
        peak = top if word is None else read(stack, "attention.narrow") * read(accelerator, f"peak.{word}") / devices
        return peak * minimum(efficiency * read(stack, f"reached.{share}"), 1.0)

    return AttentionKernels(
        context=reached("attention", "attention", inside),
        decode=reached("decode_attention", "cache_attention", None if widened else narrow),
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
