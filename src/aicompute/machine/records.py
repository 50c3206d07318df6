"""Frozen records of the numbers that formulas need, all SI, each field a float or a broadcastable array."""

from __future__ import annotations

from dataclasses import dataclass

from aicompute.numerics import Array


@dataclass(frozen=True, slots=True)
class Rates:
    """What one device reaches for one role (dense, experts, attention) at the precision of that role."""

    compute: Array
    """Reached by a large kernel [FLOP/s]."""
    weight_bytes: Array
    """Stored weight, scales included [B/element]."""
    activation_bytes: Array
    """Input read by the kernel [B/element]."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """How kernels fall short of the large-kernel rate: shape penalties and fixed times."""

    rows: Array
    """Rows of a matrix product issued on top of the useful ones [1]."""
    columns: Array
    """Columns likewise [1]."""
    depth: Array
    """Length of the inner dimension that start and end of the loop cost [1]."""
    launch: Array
    """Time of a kernel that is not hidden behind others [s]."""
    step: Array = 0.0
    """Time of the inner loop for each element of depth, however few rows and columns there are [s]."""
    narrow_output: Array = 2.0
    """Moved for an element of the result where inputs are smaller than 16 bits, scaling in a second pass included [B]."""
    cast_launch: Array = 0.0
    """Time of the kernel that casts 16-bit inputs to a smaller format, where one runs [s]."""
    cast_growth: Array = 0.0
    """Longest time over shortest of casts that move little, less one: many rows start more of them [1]."""
    cast_rows: Array = 128.0
    """Rows at which half of that growth is reached [1]."""
    cast_share: Array = 0.0
    """Share of the casts' memory traffic that no other kernel does on the way [1]; 0 where all casts are fused."""
    pair: Array = 0.0
    """Time to sort one pair of token and expert in and out again [s]; of kernels of routed experts."""


@dataclass(frozen=True, slots=True)
class AttentionShape:
    """What one attention kernel is asked for."""

    sequences: Array
    """Sequences [1]; a fraction is the share of the steps that carry one."""
    length: Array
    """New tokens of each [1]."""
    seen: Array
    """Tokens that a new token sees, on average [1]."""
    context: Array
    """Tokens of each whose keys and values are read [1]."""
    heads: Array
    """Query heads on the device [1]."""
    kv_heads: Array
    """Heads of the keys and values [1]."""
    width: Array
    """Of a score and of a value product, of each head together [1]."""
    entry: Array
    """Numbers that the cache holds for a token and head of keys and values [1]."""
    latent: bool = False
    """Attention over a latent that all heads share, or over keys and values expanded from it."""


@dataclass(frozen=True, slots=True)
class AttentionKernels:
    """How the attention kernels of a stack use one device."""

    context: Array
    """Arithmetic that long prefill reaches [FLOP/s]."""
    decode: Array
    """Arithmetic that decode reaches in the format of the cache [FLOP/s]."""
    issue: Array
    """Likewise at 16 bits, in which rows of a tile are issued whether needed or not [FLOP/s]."""
    exponentials: Array
    """Reached [1/s]."""
    units: Array
    """Tiles that the device works on at the same time [1]."""
    clock: Array
    """Of the cycles below [1/s]."""
    bandwidth: Array
    """Of memory, as prefill streams it [B/s]."""
    kv_bandwidth: Array
    """Likewise as decode streams a cache [B/s]."""
    cache: Array
    """Last-level cache [B]."""
    cache_bandwidth: Array
    """Reached by what lies in it, in prefill [B/s]."""
    kv_cache_bandwidth: Array
    """Likewise in decode [B/s]."""
    kv_bytes: Array
    """Of a stored key or value [B]."""
    start: Array
    """Clock cycles of a kernel measured alone, before and after its work [1]."""
    host: Array
    """Time that the host takes to launch a kernel measured alone, where no graph does [s]."""
    join: Array
    """Cycles of kernels of their own that join the parts of queries and keys before latent decode [1]."""
    preparation: Array
    """Cycles of a kernel of its own before prefill, that rotates queries and keys and stores them [1]."""
    cast: Array
    """Cycles of a kernel of its own that casts what prefill puts into the cache; 0 where none runs [1]."""
    decode_cast: Array
    """Likewise of decode [1]."""
    tile: Array
    """Cycles that a tile of prefill costs beside its arithmetic [1]."""
    block: Array
    """Cycles that a key-value head of a sequence costs in decode, at 256 numbers a token [1]."""
    group: Array
    """Query heads that cost as much as the key-value head they share [1]."""
    combine: Array
    """Cycles to divide a cache over units and to bring the parts together [1]."""
    rows: Array
    """Rows of queries that decode issues for a key-value head, whether needed or not [1]."""
    passes: Array
    """Times that queries and outputs of prefill cross the memory, over once [1]."""
    packs: Array
    """1 where query heads that share keys fill a tile of prefill together, else 0."""
    group_limit: Array
    """Query heads that decode serves from one reading of their keys; with more of them each reads for itself [1]."""
    split: Array
    """1 where a cache is divided over units, 0 where one unit walks along all of it."""


@dataclass(frozen=True, slots=True)
class Device:
    """One device: its memory and what it reaches by role."""

    dense: Rates
    experts: Rates
    attention: Rates
    """Of whole sequences (training, prefill)."""
    cache_attention: Rates
    """Of decode steps."""
    head: Rates
    kv_bytes: Array
    """Stored keys and values [B/element]."""
    bandwidth: Array
    """Memory bandwidth that streaming kernels reach [B/s]."""
    kv_bandwidth: Array
    """Memory bandwidth that decode attention reaches [B/s]."""
    capacity: Array
    """Memory that software can address [B]."""
    kernel: Kernel
    expert_kernel: Kernel
    """Of grouped products of routed experts."""
    attention_kernels: AttentionKernels | None = None
    """Where shapes of attention kernels count: serving. None leaves attention to the rates above."""
    latent_kernels: AttentionKernels | None = None
    """Likewise for latent attention."""


@dataclass(frozen=True, slots=True)
class Tier:
    """One level of the fabric. The neutral tier has inverse bandwidth 0 and latency 0."""

    domain: Array
    """Devices joined, cumulative [1]."""
    inverse_bandwidth: Array
    """1 / (bandwidth per device and direction · reached share / oversubscription) [s/B]."""
    base: Array
    """Fixed time of a collective that uses this tier as its outermost [s]."""
    hop: Array
    """Time of each further hop [s]."""
    reduction: Array
    """1 where switches add up, else 0."""
    relay: Array = 1.0
    """1 where the devices of a domain pass on for each other what enters it, 0 where each fetches its own (dies of one package)."""
    topology: str = "switch"
    """switch, fat-tree and point-to-point give any two devices the whole bandwidth; mesh and torus divide it over their links; on a
    bus, memory of the host that all pass through, devices hinder each other."""
    axes: Array = 3.0
    """Axes of a torus [1]."""
    contention: Array = 0.0
    """Exponent d of the loss (n/8)^d of rate among n > 8 members of a switched domain [1]."""
    passes: Array = 2.0
    """Times that an all-reduce goes through the group: 2 of a ring, 1 where all read from all [1]."""
    pairwise: Array = 0.0
    """Further start of an all-to-all, over that of a gather [1]."""
    direct: Array = 1.0
    """Share of the rate that short messages reach, where kernels and not copy engines move them [1]."""
    bulk_start: Array = 0.0
    """Further start of long messages, where copy engines move them [s]."""
    bulk_part: Array = float("inf")
    """Part of a buffer, for one rank, from which messages are long [B]."""


Fabric = tuple[Tier, Tier, Tier, Tier]
"""Four tiers from the inside out; unused ones neutral."""


@dataclass(frozen=True, slots=True)
class Protocol:
    """Shared constants of collective libraries, and of the all-reduce kernels that engines bring along."""

    ramp: Array
    """Strength of the change from the low-latency to the bandwidth protocol [1]."""
    granularity: Array
    """Extra traffic of a ring by pipelining, falls with group size [1]."""
    reduction_base: Array
    """Extra fixed time of a reduction in the switch [s]."""
    reduction_efficiency: Array
    """Share of the link that a reduction in the switch reaches, relative to the tier's own [1]."""
    exchange_start: Array = 0.0
    """Further start of an all-to-all with longer parts, over the start of the tier [1]."""
    exchange_part: Array = 0.0
    """Part for one rank at which half of it is there [B]."""
    custom: Array = 0.0
    """Start of an engine's own all-reduce, in hops of the tier; 0 where it brings none [1]."""
    custom_peer: Array = 0.0
    """Growth of that start with each further rank [1]."""
    custom_second: Array = 0.0
    """Start of its second phase over that of the first [1]."""
    custom_efficiency: Array = 1.0
    """Share of the link that it reaches, relative to the tier's own [1]."""


@dataclass(frozen=True, slots=True)
class ExchangePhase:
    """One way of a token: out to its experts (dispatch), or back (combine)."""

    payload: Array
    """Of a hidden element, scales included [B/element]."""
    token: Array = 0.0
    """Work on each token, casts included [s]."""
    local: Array = 0.0
    """Inverse rate at which copies are written and read in the device's own memory [s/B]."""


@dataclass(frozen=True, slots=True)
class ExpertExchange:
    """Constants of dispatch and combine."""

    base: Array
    """Fixed time of one phase [s]."""
    per_doubling: Array
    """Further time per doubling of the group [s]."""
    deduplicated: Array
    """1 where a token crosses to a domain once and is copied inside, 0 where each expert's copy crosses."""
    dispatch: ExchangePhase
    combine: ExchangePhase
    engine: Array = 0.0
    """Inverse rate at which the kernels can send copies, whatever the link [s/B]."""
