"""What a person wants of a fleet, and what it may take: work to be done, limits, and whose machines may be bought."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from aicompute.decide.chips import made_of
from aicompute.errors import UnknownNameError, UsageError
from aicompute.estimate.workload import Workload
from aicompute.specs import Library, Spec

MAKERS = ("vendor", "foundry", "memory", "country")
"""What a filter may speak of; country is that of the vendor, of a foundry or of a memory maker."""


@dataclass(frozen=True)
class Training:
    """A run to be made."""

    model: str
    workload: Workload
    within: float | None = None
    """Time that it may take, failures included [s]."""


@dataclass(frozen=True)
class Service:
    """Tokens to be served."""

    model: str
    workload: Workload
    rate: float | None = None
    """Mean output tokens a second; None: as many as the limits allow."""
    peak_factor: float = 1.0 / 0.6
    """Highest demand over its mean; what is not used at other times is paid too."""


@dataclass(frozen=True)
class Limits:
    """What a fleet may take; None: any amount."""

    budget: float | None = None
    """Capital: equipment with import tax, and the building [USD]."""
    yearly: float | None = None
    """Cost of owning and running it [USD/s]."""
    power: float | None = None
    """At the meter, all at work [W]."""
    ceiling: float | None = None
    """Cost of an output token [USD/token]."""

    @property
    def bound_size(self) -> bool:
        """Whether one of them says how large a fleet may be."""
        return any(value is not None for value in (self.budget, self.yearly, self.power))


@dataclass(frozen=True)
class Choice:
    """Whose machines may be bought."""

    allow: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """By the names of `MAKERS`: only these."""
    exclude: Mapping[str, frozenset[str]] = field(default_factory=dict)
    announced: bool = False
    """Chips that are announced and not yet sold count too."""
    date: str = ""
    """On which export control is judged; empty: not judged."""
    obey: bool = False
    """Chips that need an export licence for a site may not be bought there."""

    def refusal(self, lib: Library, system: Spec, accelerator: Spec) -> str:
        """Why a system may not be bought; empty where it may."""
        if accelerator.get("status", "shipping") != "shipping" and not self.announced:
            return "announced, not sold yet"
        found = makers_of(lib, accelerator)
        for kind, names in self.exclude.items():
            hit = sorted(found[kind] & names)
            if hit:
                return f"{kind} {', '.join(hit)} is excluded"
        for kind, names in self.allow.items():
            if not found[kind] <= names:
                return f"{kind} {', '.join(sorted(found[kind] - names)) or 'not known'} is not allowed"
        return ""


def makers_of(lib: Library, accelerator: Spec) -> dict[str, set[str]]:
    """Ids of everybody who makes a chip, by the names of `MAKERS`."""
    made = made_of(accelerator)
    known = lib.ids("suppliers")
    everybody = (made.designer, *made.foundries, *made.memory)
    countries = {str(lib.load("suppliers", name).get("jurisdiction")) for name in everybody if name in known}
    return {"vendor": {made.designer}, "foundry": set(made.foundries), "memory": set(made.memory), "country": countries}


def filters_of(lib: Library, given: Sequence[str], what: str) -> dict[str, frozenset[str]]:
    """Filters from texts such as "vendor=huawei" or "country=cn,us".

    Raises
    ------
    UsageError
        All that is wrong: not KIND=NAME, an unknown kind or name with the nearest.

    Examples
    --------
    >>> filters_of(Library(), ["foundry=smic"], "exclude")
    {'foundry': frozenset({'smic'})}
    """
    found: dict[str, set[str]] = {}
    faults = []
    countries = {str(lib.load(kind, name).get("jurisdiction")) for kind in ("suppliers", "sites") for name in lib.ids(kind)}
    for text in given:
        kind, equals, names = str(text).partition("=")
        kind = kind.strip()
        if not equals or not names.strip():
            faults.append(f"{what} {text!r} is not KIND=NAME, such as vendor=huawei, foundry=smic, memory=samsung or country=cn")
            continue
        if kind not in MAKERS:
            faults.append(str(UnknownNameError(f"kind of {what}", kind, MAKERS)))
            continue
        known = countries if kind == "country" else lib.ids("suppliers")
        for name in (part.strip().lower() for part in names.split(",") if part.strip()):
            if name not in known:
                faults.append(str(UnknownNameError(f"{kind} to {what}", name, known)))
            found.setdefault(kind, set()).add(name)
    if faults:
        raise UsageError("; ".join(faults))
    return {kind: frozenset(names) for kind, names in found.items()}
