"""What the specs say of a system that explains an answer: peak rates, memory, size of the scale-up domain."""

from __future__ import annotations

from dataclasses import dataclass

from aicompute.errors import AicomputeError
from aicompute.estimate.result import Estimate
from aicompute.specs import Library

NAN = float("nan")


@dataclass(frozen=True)
class Facts:
    """Of one accelerator, and the domain in devices; nan where unknown."""

    peak: float = NAN
    """Dense [operations/s] at ``precision``."""
    precision: str = ""
    bandwidth: float = NAN
    """Of memory [B/s]."""
    link: float = NAN
    """Of the scale-up tier, per accelerator and direction [B/s]."""
    domain: float = NAN
    """Devices that the scale-up tier joins."""
    devices: float = NAN
    """In an accelerator."""


def facts_of(library: Library | None, estimate: Estimate) -> Facts:
    """Facts of the system behind an estimate: nothing known where the library has no such specs.

    Parameters
    ----------
    library : Library, optional
    estimate : Estimate   Training is judged by its bf16 peak, serving by the larger of the 8-bit peaks.
    """
    if library is None:
        return Facts()
    try:
        system, accelerator = library.load("systems", estimate.system), library.load("accelerators", estimate.accelerator)
    except AicomputeError:
        return Facts()
    words = ("bf16",) if estimate.workload == "training" else ("fp8", "int8")
    peak, word = max((accelerator.si(f"peak.{word}", NAN), word) for word in words if accelerator.has(f"peak.{word}") or word == words[-1])
    devices = accelerator.si("devices", 1.0)
    tiers: dict[str, object] = system.get("tiers", {})
    tier = "scale-up" if "scale-up" in tiers else next(reversed(tiers), "")
    return Facts(
        peak=peak,
        precision="bf16" if words == ("bf16",) else "8-bit" if peak == peak else word,
        bandwidth=accelerator.si("memory.bandwidth", NAN),
        link=system.si(f"tiers.{tier}.bandwidth", NAN) * devices,
        domain=system.si(f"tiers.{tier}.domain", NAN),
        devices=devices,
    )
