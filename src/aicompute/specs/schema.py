"""What a spec file may say: one table of keys per kind. Checks, overrides, JSON Schemas and documentation are made from it.

A ``*`` in a path stands for the name of a tier, or of a class of a rule. Ranges are in the unit of the key; they are generous and catch
slips of a unit or a power of ten, not opinions. ``generic*`` files (abstract) of `OPEN_KINDS` may define further values, which files that
extend them may set.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

from aicompute import units
from aicompute.errors import UnknownNameError
from aicompute.specs.key import INFINITE, PRECISIONS, Key
from aicompute.specs.key import share_key as _share
from aicompute.specs.key import value_key as _value
from aicompute.specs.policy_keys import MARKETS, RULES, SUPPLIERS
from aicompute.specs.value import KINDS as VALUE_KINDS

__all__ = [
    "INFINITE", "KINDS", "NAMED_TABLES", "OPEN_KINDS", "OPEN_TABLES", "PRECISIONS", "TABLES", "Key", "allowed", "bounds", "general",
    "json_schema", "keys", "markdown",
]  # fmt: skip

STORED = (*PRECISIONS, "fp32", "fp16", "mxfp8", "mxfp4", "nvfp4", "int4", "int16")
ROLES = ("dense", "experts", "attention", "kv", "dispatch", "combine", "gradients")
TOPOLOGIES = ("switch", "mesh", "torus", "fat-tree", "ring", "point-to-point", "dragonfly", "bus")
CONSUMERS = {
    "hosts": "CPU hosts",
    "nics": "network cards",
    "switches": "switches",
    "optics": "optical modules",
    "other": "fans, pumps and boards",
}
PARTS = {
    "accelerators": "accelerators, where not their number times their own price",
    "hosts": "servers around them",
    "network": "network inside the unit",
    "optics": "optical modules",
    "cooling": "liquid cooling",
}
COMMON = (
    Key("name", "string", "The name people use.", required=True),
    Key("aliases", "strings", "Other names that find this file."),
    Key("notes", "string", "What a reader should know."),
    Key("extends", "string", "Id of the same kind whose keys are inherited."),
    Key("abstract", "boolean", "Only to be extended; not listed."),
)

CALIBRATION = (
    Key("calibration.parameters", "strings", "Values that were fitted together, as 'kind/id key'; written by aicompute calibrate."),
    Key("calibration.correlation", "strings", "Their correlations, a row of numbers for each."),
)


def _integers(*docs: tuple[str, str]) -> tuple[Key, ...]:
    """Plain counts of a model."""
    return tuple(Key(path, "integer", doc, low=0, high=1e7) for path, doc in docs)


ACCELERATORS = (
    Key("vendor", "string", "Who designs it, in lower case.", required=True),
    Key("family", "string", "Architecture generation, such as nvidia-hopper.", required=True),
    Key("year", "integer", "First year of volume shipments.", low=2010, high=2040),
    Key("status", "string", "Whether it ships.", choices=("shipping", "announced")),
    Key("default_system", "string", "System used when only the accelerator is named.", refers="systems"),
    Key("measured_system", "string", "System on which its kernels were measured, where that is another one.", refers="systems"),
    _value("devices", "devices_per_accelerator", "device/accelerator", 1, 16, "Ranks in one package.", True),
    *(_value(f"peak.{p}", "compute", "TFLOP/s", 0.1, 1e6, f"Dense peak in {p}.", p == "bf16") for p in PRECISIONS),
    _value("memory.capacity", "memory", "GB", 1, 1e5, "Decimal bytes that software can address.", True),
    _value("memory.bandwidth", "bandwidth", "TB/s", 0.01, 1e5, "Peak of the datasheet.", True),
    _value("memory.cache", "memory", "MB", 0.1, 1e6, "Last-level cache or large on-chip memory."),
    _value("cores", "count", "1", 1, 1e7, "Compute units (SM, CU, AI core)."),
    _value("clock", "frequency", "GHz", 0.1, 10, "Clock of the peak."),
    _value("power.tdp", "power", "W", 10, 1e5, "Rated power of one accelerator.", True),
    _share("power.idle_fraction", "Idle power as a share of TDP."),
    _share("power.residual", "Standard deviation of ln(measured/predicted) of the dynamic power."),
    _share("power.hosts_idle_fraction", "Hosts of its system at rest over at work."),
    _share("power.other_idle_fraction", "Fans, pumps and regulators of its system at rest over at work."),
    _value("power.energy_per_byte", "energy_per_byte", "pJ/B", 0.1, 1e4, "Energy to move a byte of device memory."),
    _value("power.compute", "fraction", "1", 0, 10, "Dynamic compute power at peak as a share of TDP."),
    _value("power.exponent", "fraction", "1", 0, 10, "Exponent of the dynamic power."),
    _value("power.rows", "count", "1", 0, 1e6, "Rows at which a GEMM draws half its power."),
    _value("silicon.area", "area", "mm^2", 1, 1e5, "All logic dies."),
    Key("silicon.process", "string", "Process node, such as TSMC N4."),
    Key("silicon.foundry", "string", "Who makes the dies."),
    Key("silicon.memory", "string", "Kind of memory, such as HBM3e."),
    _value("silicon.transfer_rate", "bandwidth", "GB/s", 1, 1e5, "To other chips, memory left out: all links, both directions together."),
    Key("market", "string", "What it is designed or marketed for.", choices=MARKETS),
    Key("supply.foundries", "strings", "Who makes the logic dies.", refers="suppliers"),
    Key("supply.memory", "strings", "Who makes the memory, the largest first.", refers="suppliers"),
    Key("supply.packaging", "string", "How dies and memory are joined, and by whom."),
    Key("supply.assembly", "string", "Where the package is made."),
    Key("supply.source", "string", "Key of sources.toml for this table."),
    Key("supply.recalled", "strings", "Keys of this table that no page that was read says."),
    Key("supply.notes", "string", "What a reader should know of the supply."),
    _value("carbon.embodied", "mass", "kg", 1, 1e5, "CO2 equivalent of making it, with its share of the board."),
    _value("price", "price_accelerator", "USD/accelerator", 50, 1e7, "The chip or its share of a board."),
    _share("efficiency.matrix", "Share of the peak that a large GEMM reaches where power does not slow the chip."),
    _value("efficiency.energy", "energy_per_operation", "pJ/FLOP", 0, 10, "Of an operation, as far as power slows large GEMMs."),
    *(_share(f"efficiency.{p}", f"Share of the {p} peak that a large GEMM reaches, instead of efficiency.matrix.") for p in PRECISIONS),
    _share("efficiency.memory", "Share of memory bandwidth that a streaming kernel reaches."),
    _share("efficiency.attention", "Share of the bf16 peak that long prefill attention reaches."),
    _share("efficiency.portable_attention", "Share of the bf16 peak that attention kernels not tuned to this generation reach."),
    _share("efficiency.decode_attention", "Share of the bf16 peak that decode attention reaches where arithmetic binds."),
    _value("exponentials", "count", "1", 0.1, 1e5, "Exponentials a clock and core (of `cores`)."),
    _value("launch", "time", "us", 0, 1e4, "Time of one kernel launch that is not hidden."),
    _value("reliability.repair", "time", "h", 0.1, 1e4, "Time until a broken accelerator is replaced."),
    _value("reliability.mtbf", "time", "h", 10, 1e8, "Mean time between failures that stop a job, with its share of host and network."),
)

SYSTEMS = (
    Key("vendor", "string", "Who sells it, in lower case.", required=True),
    Key("year", "integer", "First year of volume shipments.", low=2010, high=2040),
    Key("status", "string", "Whether it ships.", choices=("shipping", "announced")),
    Key("accelerator", "string", "Id of the accelerator.", required=True, refers="accelerators"),
    Key("unit", "string", "What can be bought.", required=True, choices=("node", "rack", "supernode", "pod")),
    Key("home_site", "string", "Site where it is usually run.", refers="sites"),
    Key("cooling", "string", "Which PUE applies.", choices=("air", "liquid")),
    Key("default_stack.training", "string", "Stack for training.", refers="stacks"),
    Key("default_stack.serving", "string", "Stack for serving.", refers="stacks"),
    *(
        Key(f"precision.{use}.{role}", "string", f"Precision of {role} in {use}.", choices=STORED)
        for use in ("training", "serving")
        for role in ROLES
    ),
    _value("accelerators", "accelerators", "accelerator", 1, 1e6, "Accelerators in one unit, spares included.", True),
    _value("usable", "accelerators", "accelerator", 1, 1e6, "Accelerators in one unit without spares."),
    _value("nodes", "count", "1", 1, 1e6, "Servers in a unit."),
    _value("hosts", "count", "1", 0, 1e6, "CPU sockets in a unit."),
    _value("host_time", "fraction", "1", 0.1, 10, "Time of host code over that of two x86 sockets."),
    Key("tiers.*.name", "string", "in-package, scale-up, scale-out or another name.", required=True),
    Key("tiers.*.topology", "string", "Shape of the network.", choices=TOPOLOGIES),
    _value("tiers.*.axes", "count", "1", 1, 6, "Axes of a torus."),
    Key("tiers.*.in_network_reduction", "boolean", "Whether switches add."),
    _value("tiers.*.domain", "devices", "device", 1, 1e7, "Devices that one domain of this tier joins, cumulative.", True),
    _value("tiers.*.bandwidth", "bandwidth", "GB/s", 0.1, 3e4, "Per device and direction, datasheet.", True),
    _value("tiers.*.latency", "time", "us", 0, 1e4, "Of a hop or message, end to end, software included (the alpha of a fit).", True),
    _value("tiers.*.base_latency", "time", "us", 0, 1e5, "Fixed part of a collective, whatever its size and group."),
    _share("tiers.*.efficiency", "Share of the datasheet bandwidth that a large collective reaches."),
    _value("tiers.*.contention", "fraction", "1", 0, 1, "Exponent d of the rate (n/8)^-d of n > 8 devices in a switched domain."),
    _value("tiers.*.passes", "count", "1", 1, 2, "Times that an all-reduce goes through a group: 2 of a ring, 1 where all read from all."),
    _value("tiers.*.pairwise", "fraction", "1", 0, 100, "Further start of an all-to-all, over that of a gather."),
    _share("tiers.*.direct", "Share of the rate at which kernels move short messages, where copy engines move long ones."),
    _value("tiers.*.bulk_start", "time", "us", 0, 1e5, "Further start of long messages, where copy engines move them."),
    _value("tiers.*.bulk_part", "memory", "MB", 0, 1e5, "Part of a buffer for one device from which messages are long."),
    _value("tiers.*.oversubscription", "fraction", "1", 1, 100, "1 means non-blocking."),
    _value("optics.count", "count", "1", 0, 1e7, "Optical modules in a unit."),
    _value("optics.mtbf", "time", "h", 1e3, 1e9, "Mean time between failures of one module."),
    *(_value(f"power.{part}", "power", "W", 0, 1e8, f"Power of {what} in a unit at work, DC side.") for part, what in CONSUMERS.items()),
    _value("power.conversion", "fraction", "1", 0.5, 1, "AC to DC efficiency."),
    _value("power.total", "power", "W", 10, 1e10, "Published all-in power of a unit; its boundary stands in the note."),
    _value("price.unit", "money", "USD", 100, 1e11, "One unit."),
    _value("price.network", "money", "USD", 0, 1e11, "Scale-out network that a unit needs when there is more than one."),
    *(_value(f"price.parts.{part}", "money", "USD", 0, 1e11, f"Of the price of a unit: {what}.") for part, what in PARTS.items()),
    _value("price.rent", "price_hour", "USD/accelerator/h", 0.01, 100, "Rent of an accelerator with its share of host, network and site."),
)

MODELS = (
    Key("family", "string", "Such as deepseek or llama."),
    Key("source", "string", "Key of sources.toml for the whole file.", required=True),
    *(Key(path, "integer", doc, low=1, high=1e7, required=True) for path, doc in (
        ("hidden_size", "Width of the residual stream."), ("num_layers", "Layers, MTP not counted."), ("vocab_size", "Tokens known."))),
    *_integers(
        ("num_heads", "Query heads."), ("num_kv_heads", "Key and value heads."), ("head_dim", "Width of a head."),
        ("q_lora_rank", "MLA: width of the compressed query."), ("kv_lora_rank", "MLA: width of the compressed keys and values."),
        ("qk_nope_head_dim", "MLA: width of a query or key head without position."), ("qk_rope_head_dim", "MLA: width with position."),
        ("v_head_dim", "MLA: width of a value head."), ("intermediate_size", "Width of the dense FFN; 0 if none."),
        ("num_experts", "Routed experts of a layer."), ("experts_per_token", "Routed experts a token visits."),
        ("expert_intermediate_size", "Width of one routed expert."), ("num_shared_experts", "Experts that every token visits."),
        ("shared_expert_intermediate_size", "Width of one shared expert."),
        ("num_moe_layers", "Layers with experts; the others are dense."),
        ("sliding_window", "Tokens that a window layer sees."), ("num_window_layers", "Layers with a window; the others see everything."),
        ("mtp_layers", "Multi-token-prediction layers."), ("index_topk", "Sparse attention: tokens chosen."),
        ("index_heads", "Sparse attention: heads of the indexer."), ("index_head_dim", "Sparse attention: width of an indexer head."),
        ("num_index_layers", "Sparse attention: layers with an indexer of their own; 0 means all."),
        ("expert_latent_size", "Width of the latent space in which routed experts work; 0 if none."),
        ("num_linear_layers", "Layers with a gated delta net."), ("linear_num_key_heads", "Delta net: key heads."),
        ("linear_num_value_heads", "Delta net: value heads."), ("linear_key_head_dim", "Delta net: width of a key head."),
        ("linear_value_head_dim", "Delta net: width of a value head."), ("linear_conv_kernel", "Delta net: taps of the convolution."),
        ("num_mamba_layers", "State-space layers."), ("mamba_num_heads", "State space: heads."),
        ("mamba_head_dim", "State space: width of a head."),
        ("mamba_state_size", "State space: size of the state."), ("mamba_groups", "State space: groups."),
        ("mamba_conv_kernel", "State space: taps of the convolution."), ("num_ffn_layers", "Layers with an FFN, where not all have one."),
        ("num_attention_layers", "Layers with attention, where not all have it.")),
    Key("attention", "string", "Kind of attention.", choices=("mha", "gqa", "mqa", "mla")),
    Key("gated", "boolean", "Whether the FFN has a gate (three matrices)."),
    Key("tied_embeddings", "boolean", "Whether embedding and head share weights."),
    Key("attention_bias", "boolean", "Whether projections have a bias."),
    Key("attention_output_gate", "boolean", "Whether the query projection also gives a gate."),
    Key("unsupported", "string", "Why no estimate is given: layers that these keys cannot say."),
    Key("native_precision", "string", "What the weights are published in (experts).", choices=STORED),
    Key("parameters_published", "number", "Parameters as published.", low=1e5, high=1e15),
    Key("active_published", "number", "Parameters that a token visits, as published.", low=1e5, high=1e15),
)

STACKS = (
    Key("kind", "string", "What it runs.", required=True, choices=("training", "serving")),
    Key("vendors", "strings", "Vendors of accelerators it runs on."),
    Key("attention.latent_unsplit", "strings", "Families on which one core walks along a whole latent cache, kept in 16 bits."),
    Key("attention.latent_absorbed", "strings", "Families on which latent prefill runs in the latent space, as decode does."),
    Key("attention.latent_portable", "strings", "Families whose latent kernels are not written for them: `efficiency.portable_attention`."),
    Key("attention.latent_widened", "strings", "Families on which a latent cache of 8 bits is widened to 16 first: `attention.widened`."),
    Key("attention.narrow_prefill", "strings", "Families on which a cache of 8 bits makes prefill compute in 8 bits."),
)

SITES = (
    Key("country", "string", "ISO code or name.", required=True),
    Key("jurisdiction", "string", "ISO code of the country in lower case, as suppliers have it."),
    Key("currency", "string", "ISO code of the local currency."),
    Key("eligible.vendors", "strings", "Vendors whose accelerators may run here; absent means all."),
    _value("electricity.price", "price_energy", "USD/kWh", 0, 2, "Energy at the meter, taxes that are not refunded included.", True),
    _value("electricity.demand_charge", "demand_charge", "USD/kW/month", 0, 200, "For the peak of a month."),
    _value("pue.air", "fraction", "1", 1, 3, "Power usage effectiveness with air cooling."),
    _value("pue.liquid", "fraction", "1", 1, 3, "Power usage effectiveness with liquid cooling."),
    _value("carbon.intensity", "carbon_intensity", "g/kWh", 0, 2000, "Emissions of the electricity used."),
    _value("facility.capital", "price_power", "USD/W", 0, 100, "Building and its plant, per watt of IT power."),
    _value("colocation.price", "demand_charge", "USD/kW/month", 1, 2000, "Rent of a place with power and cooling, energy apart."),
    _value("facility.life", "time", "year", 1, 60, "Years over which the facility is written off."),
    _value("facility.rate", "rate", "1/year", 0, 1, "Cost of capital of the facility."),
    _value("capital.rate", "rate", "1/year", 0, 1, "Cost of capital of the equipment."),
    _value("capital.life", "time", "year", 1, 30, "Years over which equipment is written off."),
    _share("capital.residual", "Share of the price left at the end."),
    _value("operation.fraction", "rate", "1/year", 0, 1, "Staff, spares and repair, as a share of capital a year."),
    _value("tax.import", "fraction", "1", 0, 2, "Added to imported hardware."),
    _value("exchange_rate", "exchange_rate", "1", 1e-6, 1e6, "Local currency per USD; its date stands in the source."),
)

TABLES: dict[str, tuple[Key, ...]] = {
    "accelerators": COMMON + ACCELERATORS + CALIBRATION,
    "systems": COMMON + SYSTEMS + CALIBRATION,
    "models": COMMON + MODELS,
    "stacks": COMMON + STACKS + CALIBRATION,
    "sites": COMMON + SITES,
    "rules": COMMON + RULES,
    "suppliers": COMMON + SUPPLIERS,
}
KINDS = tuple(TABLES)
OPEN_KINDS = ("accelerators", "stacks")
NAMED_TABLES = ("tiers", "classes")
"""Tables that hold tables of any name; a star stands for the name."""
OPEN_TABLES = {"stacks": ("defaults",)}
"""Tables of a kind that hold plain strings, booleans and numbers of any name."""


@cache
def keys(kind: str) -> dict[str, Key]:
    """The keys of a kind by path.

    Examples
    --------
    >>> keys("accelerators")["memory.bandwidth"].unit
    'TB/s'
    """
    if kind not in TABLES:
        raise UnknownNameError("kind", kind, KINDS)
    return {key.path: key for key in TABLES[kind]}


def general(path: str) -> str:
    """The path with the name of a tier or class replaced by ``*``.

    Examples
    --------
    >>> general("tiers.scale-up.bandwidth")
    'tiers.*.bandwidth'
    """
    parts = path.split(".")
    return ".".join([parts[0], "*", *parts[2:]]) if parts[0] in NAMED_TABLES and len(parts) > 1 else path


def bounds(key: Key) -> tuple[float, float]:
    """The plausible range of a value in SI units."""
    factor = units.factor_of(key.unit)[0]
    return key.low * factor, key.high * factor


def allowed(key: Key) -> str:
    """What a key may hold, in words for messages and docs.

    Examples
    --------
    >>> allowed(keys("systems")["tiers.*.bandwidth"])
    '0.1 to 30,000 GB/s'
    """
    if key.choices:
        return "one of " + ", ".join(key.choices)
    if key.type == "value" or key.type in ("integer", "number"):
        unit = "" if key.unit == "1" else f" {key.unit}"
        prefix = {"integer": "a whole number, ", "number": "a number, "}.get(key.type, "")
        return f"{prefix}{units.plain(key.low)} to {units.plain(key.high)}{unit}"
    return {"string": "a string", "boolean": "true or false", "strings": "a list of strings", "date": "a date such as 2026-01-15"}[key.type]


def json_schema(kind: str) -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of the files of a kind, for editors.

    Examples
    --------
    >>> json_schema("sites")["properties"]["electricity"]["properties"]["price"]["description"]
    'Energy at the meter, taxes that are not refunded included. 0 to 2 USD/kWh'
    """
    root: dict[str, Any] = _object()
    for key in keys(kind).values():
        node, parts = root, key.path.split(".")
        for part in parts[:-1]:
            if part == "*":
                if parts[0] != "tiers":  # the items of a list have taken this step
                    node = node.setdefault("patternProperties", {}).setdefault("^[\\w-]+$", _object())
                continue
            new = {"type": "array", "items": _object()} if part == "tiers" else _object()
            child = node["properties"].setdefault(part, new)
            node = child["items"] if part == "tiers" else child
        node["properties"][parts[-1]] = _leaf_schema(key)
        if key.path == "name":
            node["required"] = ["name"]
    if kind in OPEN_KINDS:  # what generic files define is not known here
        for node in (root, *root["properties"].values()):
            node.pop("additionalProperties", None)
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": f"aicompute {kind[:-1]}"}
    return {**head, "$defs": {"value": _value_schema()}, **root}


def markdown(kind: str) -> str:
    """A table of the keys of a kind for the documentation."""
    rows = [f"| `{key.path}` | {key.type} | {allowed(key)} | {'yes' if key.required else ''} | {key.doc} |" for key in keys(kind).values()]
    return "\n".join(["| key | type | allowed | required | what |", "|---|---|---|---|---|", *rows]) + "\n"


def _object() -> dict[str, Any]:
    """A table whose keys are closed."""
    return {"type": "object", "properties": {}, "additionalProperties": False}


def _leaf_schema(key: Key) -> dict[str, Any]:
    """The schema of one key."""
    text = f"{key.doc} {allowed(key)}" if key.type == "value" else key.doc
    if key.type == "value":
        return {"$ref": "#/$defs/value", "description": text}
    if key.type == "strings":
        return {"type": "array", "items": {"type": "string"}, "description": text}
    leaf: dict[str, Any] = {"type": key.type, "description": text}
    if key.type == "date":
        leaf.update(type="string", format="date")
    if key.choices:
        leaf["enum"] = list(key.choices)
    if key.type in ("integer", "number"):
        leaf.update({name: bound for name, bound in (("minimum", key.low), ("maximum", key.high)) if math.isfinite(bound)})
    return leaf


def _value_schema() -> dict[str, Any]:
    """The schema of a value table."""
    return {
        "type": "object",
        "properties": {
            "value": {"type": "number"},
            "unit": {"type": "string"},
            "kind": {"enum": list(VALUE_KINDS)},
            "source": {"type": "string", "description": "Key of sources.toml."},
            "low": {"type": "number"},
            "high": {"type": "number"},
            "note": {"type": "string"},
        },
        "required": ["value", "unit", "kind", "source"],
        "additionalProperties": False,
    }
