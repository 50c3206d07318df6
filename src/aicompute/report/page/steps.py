"""Where the time goes: parts of a token, operators under the roofs of a chip, and the way from its peak to tokens delivered."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aicompute.estimate.inputs import runnable
from aicompute.estimate.result import Estimate, OperatorLine
from aicompute.report.page.asked import Asked
from aicompute.specs import Spec

GROUPS: Mapping[str, tuple[str, ...]] = {
    "attention": ("cache attention", "prefill attention", "attention"),
    "experts": ("experts",),
    "dense products": ("projections and dense", "matrix products", "head", "multi-token prediction"),
    "elementwise": ("norms and elementwise", "optimizer"),
    "drafts and recomputation": ("recomputation", "drafts"),
    "communication": (
        "expert exchange", "tensor parallel", "data parallel", "pipeline sends", "context parallel", "pipeline", "pipeline parallel",
    ),
    "host and launches": ("host", "layer launches", "host launches", "fixed"),
    "waiting": ("devices that wait", "pipeline bubble", "bubble"),
}  # fmt: skip
"""Parts of a step that pictures draw as one; drafts and recomputation are work done again or in vain."""
OTHER = "other"
_KERNELS = ("attention", "experts", "dense products", "elementwise", "drafts and recomputation")
PHASES = {"prefill": "prompts", "decode": "answers"}
"""Words for the two halves of a service."""


def group_of(part: str, communication: Sequence[str] = ()) -> str:
    """The group of a part of a step.

    Examples
    --------
    >>> group_of("decode: cache attention"), group_of("tensor parallel"), group_of("something new")
    ('attention', 'communication', 'other')
    """
    name = part.partition(": ")[2] or part
    return next((group for group, names in GROUPS.items() if name in names), "communication" if part in communication else OTHER)


@dataclass(frozen=True)
class Bar:
    """Time of an accelerator for a token, by group of parts."""

    system: int
    phase: str
    """Word of `PHASES`, or empty where the work has one phase."""
    parts: Mapping[str, float]
    """Seconds of an accelerator per token."""


def bars(estimates: Sequence[Estimate]) -> list[Bar]:
    """Time of an accelerator for a token: parts of the step in shares, times what a token takes.

    Parameters
    ----------
    estimates : sequence of Estimate   Infeasible ones have no bar.
    """
    found = []
    for system, e in enumerate(estimates):
        if not e.feasible:
            continue
        each = 1.0 / e.value("tokens_per_s_per_accelerator")
        talk = [part.name for part in e.communication]
        phases: dict[str, dict[str, float]] = {}
        several = any(part.name.startswith("prefill: ") for part in e.breakdown)
        for part in e.breakdown:
            head = part.name.partition(": ")[0]
            phase = PHASES.get(head, "waiting") if several else ""
            groups = phases.setdefault(phase, {})
            group = group_of(part.name, talk)
            groups[group] = groups.get(group, 0.0) + part.share * each
        found += [Bar(system, phase, _ordered(groups)) for phase, groups in phases.items() if phase != "waiting"]
        if "waiting" in phases:
            found.append(Bar(system, "waiting", phases["waiting"]))
    return found


def _ordered(groups: Mapping[str, float]) -> dict[str, float]:
    return {group: groups[group] for group in (*GROUPS, OTHER) if group in groups}


@dataclass(frozen=True)
class Roof:
    """Operators of one system under its peak and its memory bandwidth, of one device."""

    system: int
    peaks: Mapping[str, float]
    """By precision [FLOP/s]."""
    bandwidth: float
    """Of memory [B/s]."""
    operators: Sequence[OperatorLine]
    """Those that compute."""
    seconds: float
    """Of the step."""


def roofs(asked: Asked) -> list[Roof]:
    """Operators of a step, with the roofs of each chip."""
    found = []
    for system, e in enumerate(asked.step.estimates):
        if not e.feasible:
            continue
        chip = asked.library.load("accelerators", e.accelerator)
        words = dict.fromkeys(_precision(e, chip, role) for role in ("dense", "experts", "attention"))
        devices = chip.si("devices", 1.0)
        peaks = {word: chip.si(f"peak.{word}") / devices for word in words}
        lines = [line for line in e.operators if line.flops > 0.0 and line.traffic > 0.0 and line.bound != "link"]
        found.append(Roof(system, peaks, chip.si("memory.bandwidth") / devices, lines, sum(part.seconds for part in e.breakdown)))
    return found


def _precision(e: Estimate, chip: Spec, role: str) -> str:
    words = dict(e.plan.get("precision") or {})
    return runnable(chip, str(words.get(role, "bf16")))


def _role(line: OperatorLine) -> str:
    name = line.name.partition(": ")[2] or line.name
    if name.startswith("experts"):
        return "experts"
    return "attention" if name in ("attention", "prefill attention", "cache attention", "head") else "dense"


@dataclass(frozen=True)
class Drop:
    """A step of the way from peak to tokens: what is left after it."""

    name: str
    rate: float
    """Tokens/s per accelerator."""


def waterfall(asked: Asked, system: int) -> list[Drop]:
    """From what the peak of the chip would deliver to what it delivers over the day, tokens/s per accelerator.

    Notes
    -----
    A step takes T. Its FLOPs at the peak would take t0, under the roofs of peak and memory t1; the kernels take t2, host and launches add
    to t3, exposed communication to T. What each leaves is the delivered rate times T / t. Devices that no engine uses, failures and hours
    without work follow.
    """
    e = asked.step.estimates[system]
    if not e.feasible:
        return []
    chip = asked.library.load("accelerators", e.accelerator)
    talk = [part.name for part in e.communication]
    groups: dict[str, float] = {}
    for part in e.breakdown:
        group = group_of(part.name, talk)
        groups[group] = groups.get(group, 0.0) + part.seconds
    total = sum(groups.values())
    kernels = sum(groups.get(name, 0.0) for name in _KERNELS)
    delivered = e.value("tokens_per_s_per_accelerator")
    working = delivered / _working(e)
    found = []
    if asked.workload.is_training:
        found.append(Drop("peak of the chip", delivered / e.value("mfu")))
        found.append(Drop("as kernels run", working * total / kernels))
    else:
        devices = chip.si("devices", 1.0)
        at_peak, under_roofs = _ideal(e, chip, devices)
        found.append(Drop("peak of the chip", working * total / at_peak))
        found.append(Drop("as fast as memory feeds it", working * total / under_roofs))
        found.append(Drop("as kernels run", working * total / kernels))
    quiet = total - groups.get("communication", 0.0)
    rest = "with bubbles and launches" if asked.workload.is_training else "with host and launches"
    found.append(Drop(rest, working * total / quiet))
    found.append(Drop("with exposed communication", working))
    if delivered < working * (1.0 - 1e-9):
        found.append(Drop("with devices left over", delivered))
    good = e.value("goodput")
    if math.isfinite(good):
        found.append(Drop("with failures", delivered * good))
    if asked.used < 1.0:
        found.append(Drop(f"over the day, {asked.used * 100.0:.0f} % in use", found[-1].rate * asked.used))
    return found


def _ideal(e: Estimate, chip: Spec, devices: float) -> tuple[float, float]:
    """Seconds of the operators at the peak, and under the roofs of peak and memory."""
    bandwidth = chip.si("memory.bandwidth") / devices
    at_peak = under_roofs = 0.0
    for line in e.operators:
        if line.bound == "link":
            continue
        time = line.flops * devices / chip.si(f"peak.{_precision(e, chip, _role(line))}")
        at_peak += time
        under_roofs += max(time, line.traffic / bandwidth)
    return at_peak, under_roofs


def _working(e: Estimate) -> float:
    """Share of the accelerators that engines, or the ranks of a run, use."""
    size = e.plan.get("engine_accelerators")
    if size:
        return math.floor(e.accelerators / float(size) + 1e-9) * float(size) / e.accelerators or 1.0
    return 1.0
