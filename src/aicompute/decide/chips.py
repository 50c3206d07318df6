"""What a rule asks of a chip, read from its spec: performance, density, links, memory, who makes it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from aicompute.errors import UnknownNameError
from aicompute.estimate.inputs import specs_of
from aicompute.policy.controls import performance_density, total_processing_performance
from aicompute.specs import Library, Spec, Value
from aicompute.specs.key import PRECISIONS

COUNTING = "us-advanced-chips"
"""The rule that says how many bits an operation counts."""


class Span(NamedTuple):
    """A number and the range that sources leave for it, in SI units."""

    value: float
    low: float
    high: float

    @property
    def certain(self) -> bool:
        """Whether sources agree."""
        return self.low == self.high


UNKNOWN = Span(math.nan, 0.0, math.inf)
"""Nobody has published it."""


@dataclass(frozen=True)
class Made:
    """Who makes a chip, as ids of suppliers."""

    designer: str
    foundries: tuple[str, ...]
    memory: tuple[str, ...]
    process: str
    memory_kind: str
    packaging: str
    assembly: str
    notes: str
    recalled: tuple[str, ...]
    source: str


@dataclass(frozen=True)
class Chip:
    """An accelerator as rules see it."""

    id: str
    name: str
    market: str
    """data centre, other, or empty where unknown."""
    precision: str
    """The format of the highest TPP."""
    bits: float
    rate: float
    """Dense peak at that format [OP/s]."""
    tpp: Span
    area: Span
    density: Span
    transfer_rate: Span
    memory_bandwidth: Span
    made: Made

    @property
    def measures(self) -> Mapping[str, Span]:
        """What tests of rules may speak of, in SI units; absent where unknown."""
        every = {
            "tpp": self.tpp, "density": self.density, "transfer_rate": self.transfer_rate, "memory_bandwidth": self.memory_bandwidth,
        }  # fmt: skip
        return {name: span for name, span in every.items() if span is not UNKNOWN}


def span_of(spec: Spec, path: str) -> Span:
    """A spec value with its range, `UNKNOWN` where there is none."""
    found = spec.get(path, None)
    return Span(found.value, found.low, found.high) if isinstance(found, Value) else UNKNOWN


def chip_of(lib: Library, identifier: str) -> Chip:
    """An accelerator as rules see it.

    Parameters
    ----------
    lib : Library
    identifier : str   Id or alias of an accelerator.

    Raises
    ------
    UnknownNameError
        No such accelerator.
    """
    spec, counting = lib.load("accelerators", identifier), lib.load("rules", COUNTING)
    known = [p for p in PRECISIONS if spec.has(f"peak.{p}") and counting.has(f"bit_length.{p}")]
    spans = {p: _performance(span_of(spec, f"peak.{p}"), span_of(counting, f"bit_length.{p}")) for p in known}
    best = max(known, key=lambda p: (round(spans[p].value, 6), p == "bf16"))
    tpp = Span(spans[best].value, max(s.low for s in spans.values()), max(s.high for s in spans.values()))
    area = span_of(spec, "silicon.area")
    density = UNKNOWN
    if area is not UNKNOWN:
        pairs = ((tpp.value, area.value), (tpp.low, area.high), (tpp.high, area.low))
        density = Span(*(float(performance_density(t, a)) for t, a in pairs))
    return Chip(
        id=spec.id,
        name=spec.name,
        market=str(spec.get("market", "")),
        precision=best,
        bits=counting.si(f"bit_length.{best}"),
        rate=spec.si(f"peak.{best}"),
        tpp=tpp,
        area=area,
        density=density,
        transfer_rate=span_of(spec, "silicon.transfer_rate"),
        memory_bandwidth=span_of(spec, "memory.bandwidth"),
        made=made_of(spec),
    )


def made_of(spec: Spec) -> Made:
    """Who makes an accelerator."""
    return Made(
        designer=str(spec.get("vendor")),
        foundries=tuple(spec.get("supply.foundries", ())),
        memory=tuple(spec.get("supply.memory", ())),
        process=str(spec.get("silicon.process", "")),
        memory_kind=str(spec.get("silicon.memory", "")),
        packaging=str(spec.get("supply.packaging", "")),
        assembly=str(spec.get("supply.assembly", "")),
        notes=str(spec.get("supply.notes", "")),
        recalled=tuple(spec.get("supply.recalled", ())),
        source=str(spec.get("supply.source", "")),
    )


def _performance(rate: Span, bits: Span) -> Span:
    """TPP at one format, with its range."""
    return Span(*(float(total_processing_performance(r, b)) for r, b in zip(rate, bits, strict=True)))


def named(lib: Library, name: str) -> tuple[str, str]:
    """The accelerator, and the system if one was meant, behind a name; what is an id goes before aliases, systems before accelerators.

    Raises
    ------
    UnknownNameError
        Neither a system nor an accelerator; the nearest names of both are told.
    """
    if name in lib.ids("accelerators"):
        return name, ""
    try:
        system = lib.resolve("systems", name)
    except UnknownNameError:
        try:
            return lib.resolve("accelerators", name), ""
        except UnknownNameError:
            raise UnknownNameError("system or accelerator", name, [*lib.ids("systems"), *lib.ids("accelerators")]) from None
    return specs_of(lib, system)[1].id, system
