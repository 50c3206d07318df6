"""What the specs say of a system that explains an answer: peak rates, memory, size of the scale-up domain."""

from __future__ import annotations

from dataclasses import dataclass

from aicompute.errors import AicomputeError
from aicompute.estimate.inputs import runnable
from aicompute.estimate.result import Estimate
from aicompute.specs import Library

NAN = float("nan")


@dataclass(frozen=True)
class Facts:
    """Of one accelerator, and the domain in devices; nan where unknown."""

    peak: float = NAN
    """Dense [operations/s] at ``precision``."""
    precision: str = ""
    """The peak that the dense layers of the plan run on."""
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
    estimate : Estimate   A chip is judged by its peak at the precision that the dense layers of the plan run at.
    """
    if library is None:
        return Facts()
    try:
        system, accelerator = library.load("systems", estimate.system), library.load("accelerators", estimate.accelerator)
    except AicomputeError:
        return Facts()
    dense = dict(estimate.plan.get("precision") or {}).get("dense")
    precision = runnable(accelerator, str(dense)) if dense else ""
    devices = accelerator.si("devices", 1.0)
    tiers: dict[str, object] = system.get("tiers", {})
    tier = "scale-up" if "scale-up" in tiers else next(reversed(tiers), "")
    return Facts(
        peak=accelerator.si(f"peak.{precision}", NAN) if precision else NAN,
        precision=precision,
        bandwidth=accelerator.si("memory.bandwidth", NAN),
        link=system.si(f"tiers.{tier}.bandwidth", NAN) * devices,
        domain=system.si(f"tiers.{tier}.domain", NAN),
        devices=devices,
    )
