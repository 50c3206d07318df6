"""Everything fixed in a scenario, as records: built once from specs, or once more from sampled specs."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from aicompute.economics.cost import SiteTerms
from aicompute.errors import UsageError
from aicompute.estimate import inputs
from aicompute.estimate.rates import Engine
from aicompute.estimate.reading import Reader, Sampler, read_value
from aicompute.estimate.serving import ServingPlan, ServingStack
from aicompute.estimate.training import TrainingStack
from aicompute.machine.power import SystemPower
from aicompute.machine.records import Device, ExpertExchange, Fabric, Protocol
from aicompute.numerics import Array, floor
from aicompute.specs import Library, Spec
from aicompute.workload.architecture import Architecture

ROLES = {"system": "systems", "accelerator": "accelerators", "model": "models", "stack": "stacks", "site": "sites"}
"""Specs of a scenario by the part that each has in it, and their kinds."""


@dataclass(frozen=True)
class Scene:
    """The specs of one scenario."""

    system: Spec
    accelerator: Spec
    model: Spec
    stack: Spec
    site: Spec
    precision: Mapping[str, str]
    training: bool
    accelerators: float
    """Allotted; the whole of it is paid and powered."""
    utilisation: float
    rent: float | None = None

    memo: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """Records made from these specs, kept for the next question in the same scene."""
    origin: tuple[Hashable, ...] | None = field(default=None, repr=False, compare=False)
    """Library and ids that these specs come from, and the precision; None: not known."""

    @cached_property
    def per_unit(self) -> float:
        """Accelerators in a unit of sale."""
        return self.system.si("accelerators")

    @cached_property
    def devices_each(self) -> float:
        """Devices in an accelerator."""
        return self.accelerator.si("devices")

    @cached_property
    def devices(self) -> Any:
        """Devices that may work: spares of each unit stay idle."""
        usable = self.system.si("usable", self.per_unit) / self.per_unit
        return floor(self.accelerators * min(usable, 1.0) + 1e-9) * self.devices_each

    @property
    def eligible(self) -> bool:
        """Whether the site's terms hold for this system."""
        vendors = self.site.get("eligible.vendors", [])
        return not vendors or self.system.get("vendor") in vendors


@dataclass(frozen=True)
class PowerTerms:
    """Power of an accelerator at work."""

    tdp: Array
    peak: Array
    idle_fraction: Array
    energy_per_byte: Array
    compute: Array
    exponent: Array
    rows: Array
    residual: Array
    """Measured over predicted dynamic power: 1, or draws."""


@dataclass(frozen=True)
class Records:
    """A scene as numbers; each field a float, or draws."""

    arch: Architecture
    device: Device
    fabric: Fabric
    wires: Fabric
    protocol: Protocol
    exchange: ExpertExchange
    dense_peak: Array
    """Peak of an accelerator at the precision that dense products run in [FLOP/s]."""
    link: Array
    """Inverse bandwidth of the scale-up tier, which carries most bytes [s/B]."""
    training: TrainingStack | None
    serving: ServingStack | None
    acceptance: Array
    power: PowerTerms
    rest: SystemPower
    """Of one unit."""
    price: Array
    """Of one unit [USD]."""
    network_price: Array
    """Of the scale-out network for one unit [USD]."""
    terms: SiteTerms
    carbon: Array
    embodied: Array | None
    """Of making an accelerator [kg]; None where nobody knows."""
    mtbf: Array
    checkpoint: Array
    restart: Array
    time_factor: Array
    """Measured over predicted time: 1, or draws of the stack's residual."""
    first_token_factor: Array = 1.0
    """Further factor of the time to the first token."""


def scene(
    lib: Library,
    system: str,
    model: str,
    kind: str,
    site: str | None = None,
    stack: str | None = None,
    precision: str | Mapping[str, str] | None = None,
    accelerators: float | None = None,
    utilisation: float = 1.0,
    rent: float | None = None,
) -> Scene:
    """Find the specs of a scenario.

    Parameters
    ----------
    lib : Library
    system, model : str       Ids or aliases; an accelerator stands for its default system.
    kind : str                training, prefill, decode or serving.
    site : str, optional      Id, "home", or None for the US average.
    stack : str, optional     None: the system's default for this kind of work.
    precision : optional      None or "native": the system's best; else a word or a map.
    accelerators : float, optional   None: one unit.
    utilisation : float       Share of the time that is used.
    rent : float, optional    USD per accelerator and second, instead of owning.

    Raises
    ------
    AicomputeError
        Unknown names, a stack of the wrong kind or for other chips, a number that makes no sense.

    Notes
    -----
    The last scenes are kept, so that a question asked again reads no file.
    """
    words = tuple(sorted(precision.items())) if isinstance(precision, Mapping) else precision
    return _scene(lib, system, model, kind, site, stack, words, accelerators, utilisation, rent)


@lru_cache(maxsize=64)
def _scene(
    lib: Library,
    system: str,
    model: str,
    kind: str,
    site: str | None,
    stack: str | None,
    words: str | tuple[tuple[str, str], ...] | None,
    accelerators: float | None,
    utilisation: float,
    rent: float | None,
) -> Scene:
    precision = dict(words) if isinstance(words, tuple) else words
    system_spec, accelerator = inputs.specs_of(lib, system)
    training = kind == "training"
    role = "training" if training else "serving"
    stack_spec = lib.load("stacks", stack or str(system_spec.get(f"default_stack.{role}")))
    if stack_spec.get("kind") != role:
        fitting = [s for s in lib.ids("stacks") if lib.load("stacks", s).get("kind") == role]
        raise UsageError(f"stack {stack_spec.id!r} is for {stack_spec.get('kind')}, this is {kind}; allowed: {', '.join(fitting)}")
    vendor = str(accelerator.get("vendor"))
    if vendor not in stack_spec.get("vendors"):
        fitting = [
            s for s in lib.ids("stacks") if lib.load("stacks", s).get("kind") == role and vendor in lib.load("stacks", s).get("vendors")
        ]
        others = f"these do: {', '.join(fitting)}" if fitting else f"no {role} stack does"
        raise UsageError(f"stack {stack_spec.id!r} does not run on {vendor} accelerators ({accelerator.id}); {others}")
    place = str(system_spec.get("home_site")) if site == "home" else (site or "us-average")
    if not 0.0 < utilisation <= 1.0:
        raise UsageError(f"utilisation = {utilisation:g}: expected a share above 0, at most 1")
    count = system_spec.si("accelerators") if accelerators is None else accelerators
    if not 1.0 <= count < 1e8:
        raise UsageError(f"accelerators = {count:g}: expected a number from 1 to 1e8")
    native = dict(inputs.SIXTEEN_BITS)
    native.update({k: str(v) for k, v in system_spec.get(f"precision.{role}", {}).items()})
    if precision in ("8bit", "8-bit"):
        precision = _eight_bits(accelerator)
    elif precision == "native":
        precision = None
    chosen = inputs.precision_map(precision, native)
    model_spec = lib.load("models", model)
    if isinstance(precision, str) and "=" not in precision and not model_spec.get("num_moe_layers", 0):
        chosen["dense"] = chosen["experts"]  # a word speaks of all weights where there are no experts
    if precision is None:
        _published_format(chosen, model_spec)
    return Scene(
        system_spec,
        accelerator,
        model_spec,
        stack_spec,
        lib.load("sites", place),
        chosen,
        training,
        float(count),
        utilisation,
        rent,
        origin=(lib, system_spec.id, model_spec.id, stack_spec.id, tuple(chosen.items())),
    )


def _published_format(chosen: dict[str, str], model: Spec) -> None:
    """Weights no wider than the model is published in (experts, or all of a dense model)."""
    word = str(model.get("native_precision", "bf16"))
    role = "experts" if model.get("num_moe_layers", 0) else "dense"
    if word in inputs.PRECISIONS and inputs.PRECISIONS[word][1] < 0.9 * inputs.PRECISIONS[chosen[role]][1]:
        chosen[role] = word


def _eight_bits(accelerator: Spec) -> dict[str, str]:
    """8-bit weights in the accelerator's own 8-bit format, attention and its cache in 16."""
    word = "fp8" if accelerator.has("peak.fp8") else "int8"
    return {**inputs.SIXTEEN_BITS, "dense": word, "experts": word, "dispatch": word}


def changed_scene(s: Scene, values: Mapping[str, float]) -> Scene:
    """A scene with some spec values changed; what is not of its specs changes nothing."""
    parts: dict[str, Any] = {}
    for role in ROLES:
        spec: Spec = getattr(s, role)
        prefix = f"{spec.kind}/{spec.id}."
        own = {name[len(prefix) :]: value for name, value in values.items() if name.startswith(prefix)}
        if own:
            parts[role] = spec.changed(own)
    return replace(s, memo={}, origin=None, **parts)


def standing(s: Scene) -> Records:
    """Numbers of a scene as its specs state them; made once."""
    if "standing" not in s.memo:
        s.memo["standing"] = records(s)
    found: Records = s.memo["standing"]
    return found


def drawn(s: Scene, count: int) -> Records:
    """Numbers of a scene drawn from their ranges, with the stack's residual; made once for each count."""
    key = f"drawn {count}"
    if key not in s.memo:
        sampler = Sampler(count)
        # most of what a stack gets wrong it gets wrong on every system
        common, own = sampler.normal(f"residual|{s.stack.id}"), sampler.normal(f"residual|{s.system.id}|{s.stack.id}")
        residual = s.stack.si("residual.step") * (np.sqrt(0.7) * common + np.sqrt(0.3) * own)
        power = s.accelerator.si("power.residual") * sampler.normal(f"power|{s.accelerator.id}")
        waiting = _waiting(s) * sampler.normal(f"first token|{s.stack.id}")
        s.memo[key] = records(s, sampler, np.exp(residual), np.exp(power), np.exp(waiting))
    found: Records = s.memo[key]
    return found


def _waiting(s: Scene) -> float:
    """Spread of the time to the first token around the formula, beyond that of a step."""
    return float(np.sqrt(max(s.stack.si("residual.first_token", 0.0) ** 2 - s.stack.si("residual.step") ** 2, 0.0)))


def records(
    s: Scene, read: Reader = read_value, time_factor: Array = 1.0, power_factor: Array = 1.0, first_token_factor: Array = 1.0
) -> Records:
    """Numbers of a scene, read by ``read``."""
    fabric = inputs.fabric_record(s.system, read, s.stack)
    exchange, wires = inputs.exchange_record(s.stack, s.precision, fabric, read)
    a = s.accelerator
    return Records(
        arch=inputs.architecture(s.model),
        device=inputs.device_record(a, s.stack, s.precision, read),
        fabric=fabric,
        wires=wires,
        protocol=inputs.protocol_record(s.stack, read),
        exchange=exchange,
        dense_peak=read(a, f"peak.{inputs.runnable(a, s.precision['dense'])}"),
        link=fabric[1 if next(iter(s.system.get("tiers"))) == "in-package" else 0].inverse_bandwidth,
        training=inputs.training_stack_record(s.stack, s.precision, read) if s.training else None,
        serving=None if s.training else inputs.serving_stack_record(s.stack, read),
        acceptance=0.0 if s.training else read(s.stack, "drafts.acceptance"),
        power=PowerTerms(
            tdp=read(a, "power.tdp"),
            peak=read(a, "peak.bf16"),
            idle_fraction=read(a, "power.idle_fraction"),
            energy_per_byte=read(a, "power.energy_per_byte"),
            compute=read(a, "power.compute"),
            exponent=read(a, "power.exponent"),
            rows=read(a, "power.rows"),
            residual=power_factor,
        ),
        rest=SystemPower(
            hosts=read(s.system, "power.hosts"),
            nics=read(s.system, "power.nics"),
            switches=read(s.system, "power.switches"),
            optics=read(s.system, "power.optics"),
            other=read(s.system, "power.other"),
            conversion=read(s.system, "power.conversion"),
            hosts_idle=read(a, "power.hosts_idle_fraction"),
            other_idle=read(a, "power.other_idle_fraction"),
        ),
        price=read(s.system, "price.unit"),
        network_price=read(s.system, "price.network", 0.0),
        terms=inputs.site_terms(s.site, s.system, read),
        carbon=read(s.site, "carbon.intensity"),
        embodied=read(a, "carbon.embodied") if a.has("carbon.embodied") else None,
        mtbf=read(a, "reliability.mtbf"),
        checkpoint=read(s.stack, "checkpoint.write") if s.training else 0.0,
        restart=read(s.stack, "checkpoint.restart") if s.training else 0.0,
        time_factor=time_factor,
        first_token_factor=first_token_factor,
    )


def engine(s: Scene, r: Records, plan: ServingPlan, drafts: Array) -> Engine:
    """A serving engine of a scene under a plan; wide groups hold at least one expert slot a rank."""
    if r.serving is None:
        raise UsageError("a training scene has no serving engine")
    return Engine(r.arch, plan, r.device, r.fabric, r.wires, r.protocol, r.exchange, r.serving, drafts, r.acceptance)


def default_drafts(s: Scene) -> float:
    """Draft tokens of a step by the stack's habit, where the model can make them."""
    word = str(s.stack.get("defaults.speculative", "none"))
    return float(word[3:]) if word.startswith("mtp") and s.model.get("mtp_layers", 0) else 0.0
