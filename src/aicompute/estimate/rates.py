"""Rates of a serving engine under load: what steps become when requests come and go. Arrays in, arrays out."""

from __future__ import annotations

from dataclasses import dataclass, replace

from aicompute.estimate.serving import EngineStep, Load, ServingPlan, ServingStack, emitted, engine_step, mixed_steps, most_sequences
from aicompute.machine.records import Device, ExpertExchange, Fabric, Protocol
from aicompute.numerics import Array, ceil, floor, maximum, minimum, where
from aicompute.workload.architecture import Architecture
from aicompute.workload.balance import length_spread


@dataclass(frozen=True, slots=True)
class Engine:
    """Everything about an engine but its load."""

    arch: Architecture
    plan: ServingPlan
    device: Device
    fabric: Fabric
    wires: Fabric
    """The fabric at the rate that expert exchange reaches."""
    protocol: Protocol
    exchange: ExpertExchange
    stack: ServingStack
    drafts: Array
    acceptance: Array

    def step(self, load: Load) -> EngineStep:
        """One step under a load."""
        return engine_step(self.arch, self.plan, load, self.device, self.fabric, self.wires, self.protocol, self.exchange, self.stack)

    @property
    def gain(self) -> Array:
        """Tokens a sequence gains in a step."""
        return emitted(self.drafts, self.acceptance)

    def capacity(self, length: Array) -> Array:
        """Sequences of a full length that memory holds."""
        return most_sequences(self.arch, self.plan, length, self.device, self.stack, self.drafts)

    def room(self, input_length: Array, output_length: Array) -> Array:
        """Sequences that run at a time: an engine that does not keep room for whole answers holds more of them, at least one."""
        return maximum(self.capacity(input_length + self.stack.reserved * output_length), 1.0)


@dataclass(frozen=True, slots=True)
class Rate:
    """What an engine delivers."""

    output_rate: Array
    """Output tokens per second of the engine."""
    input_rate: Array
    """Input tokens per second of the engine."""
    tpot: Array
    """Seconds per emitted token of a sequence."""
    ttft: Array
    """Seconds to the first token."""
    sequences: Array
    """In flight."""
    step: EngineStep
    typical: Array = 0.0
    """Seconds per emitted token in the step of median length, where steps with and without prompts differ."""
    bare: EngineStep | None = None
    """The step without prompts, where steps with and without differ."""


def decode_load(sequences: Array, drafts: Array, input_length: Array, output_length: Array, variation: Array = 0.0) -> Load:
    """A step of decoding only, at the mean context isl + osl/2."""
    spread = length_spread(input_length, output_length, variation)
    return Load(sequences, 1.0 + drafts, input_length + 0.5 * output_length, 0.0, 1.0, 0.0, spread)


def decode_rate(engine: Engine, sequences: Array, input_length: Array, output_length: Array, variation: Array = 0.0) -> Rate:
    """An engine that only decodes (a decode pool).

    Parameters
    ----------
    engine : Engine
    sequences : shape (...)                     In the engine [1].
    input_length, output_length : shape (...)   Tokens [1].
    variation : shape (...)                     Standard deviation over mean of lengths [1].

    Returns
    -------
    Rate.

    References
    ----------
    .. [1] Y. Zhong et al., arXiv:2401.09670 (separate pools).
    """
    step = engine.step(decode_load(sequences, engine.drafts, input_length, output_length, variation))
    tpot = step.step / engine.gain
    return Rate(sequences / tpot, 0.0 * tpot, tpot, 0.0 * tpot, sequences, step)


def prefill_rate(engine: Engine, sequences: Array, input_length: Array, prefix: Array = 0.0) -> Rate:
    """An engine that only prefills: batches of whole prompts in chunks.

    Parameters
    ----------
    engine : Engine
    sequences : shape (...)      Prompts in a batch of the engine [1].
    input_length : shape (...)   New tokens of each [1].
    prefix : shape (...)         Tokens of each already in the cache [1].

    Returns
    -------
    Rate; ttft is the time of a batch.

    References
    ----------
    .. [1] Y. Zhong et al., arXiv:2401.09670.
    """
    limit = engine.stack.chunk * engine.plan.dp * engine.plan.pp
    chunks = maximum(ceil(sequences * input_length / limit - 1e-9), 1.0)
    # a chunk carries part of the prompts where they fit several to a chunk, else part of each prompt
    per_prompt = maximum(minimum(chunks / sequences, chunks), 1.0)
    length = input_length / per_prompt
    together = sequences * per_prompt / chunks
    seen = prefix + 0.5 * (input_length - length)
    # kernels for large batches send a token to a node once
    bulk = replace(engine, exchange=replace(engine.exchange, deduplicated=engine.stack.bulk_deduplicated))
    step = bulk.step(Load(0.0, 1.0, 1.0, together, length, seen))
    time = chunks * step.step
    rate = sequences * input_length / time
    last = time + (engine.plan.pp - 1.0) / engine.plan.pp * step.step  # the last micro-batch leaves the pipeline
    return Rate(sequences / time, rate, 0.0 * time, last, sequences, step)


def in_flight_rate(
    engine: Engine,
    sequences: Array,
    input_length: Array,
    output_length: Array,
    variation: Array = 0.0,
    prefix: Array = 0.0,
    operators: bool = True,
) -> Rate:
    """An engine that prefills and decodes together, always full: steps carry the prompts that replace finished answers.

    Parameters
    ----------
    engine : Engine
    sequences : shape (...)                     In flight [1].
    input_length, output_length : shape (...)   New tokens of a prompt, and of an answer [1].
    variation : shape (...)                     Standard deviation over mean of lengths [1].
    prefix : shape (...)                        Tokens of each prompt found in a cache: not computed, but attended to [1].
    operators : bool                            Whether the step should hold its operators.

    Returns
    -------
    Rate.

    Notes
    -----
    Where less than one prompt (or piece of one that is longer than a step takes) arrives in a step, that share of the steps carries one
    and the others none; the step is their mean. Where groups of data-parallel attention are kept in balance, each takes one at a time.

    References
    ----------
    .. [1] G.-I. Yu et al., OSDI 2022 (Orca: iteration-level scheduling); A. Agrawal et al., arXiv:2403.02310 (chunked prefill).
    """
    pieces = maximum(ceil(input_length / engine.stack.chunk), 1.0)
    length = input_length / pieces
    arriving = sequences * engine.gain / output_length * pieces
    # groups that are kept in balance take a prompt each at a time
    together = where(engine.stack.balanced > 0.0, engine.plan.dp, 1.0)
    share = minimum(arriving / together, 1.0)
    alone = Load(
        sequences,
        1.0 + engine.drafts,
        input_length + prefix + 0.5 * output_length,
        0.0,
        1.0,
        0.0,
        length_spread(input_length + prefix, output_length, variation),
    )
    with_prompts = replace(
        alone,
        prefill_sequences=maximum(arriving, together),
        prefill_length=length,
        prefill_prefix=prefix + 0.5 * (input_length - length),
        scattered=1.0,
    )
    without, within = engine.step(alone), engine.step(with_prompts)
    step = mixed_steps(without, within, share, operators)
    tpot = step.step / engine.gain
    rate = sequences / tpot
    typical = where(share < 0.5, without.step, within.step) / engine.gain
    return Rate(rate, rate * input_length / output_length, tpot, 0.0 * tpot, sequences, step, typical, without)


def finite_rate(engine: Engine, sequences: Array, requests: Array, input_length: Array, output_length: Array) -> Rate:
    r"""Output rate of a fixed number of equal requests that are all there at the start.

    Parameters
    ----------
    engine : Engine
    sequences : shape (...)                     In flight while enough are left [1].
    requests : shape (...)                      In all [1].
    input_length, output_length : shape (...)   Tokens [1].

    Returns
    -------
    Rate; of the full engine but for the rates, which count the last wave that does not fill it.

    Notes
    -----
    .. math:: r = N / \left(\lfloor N/b \rfloor\,\frac{b}{r_b} + \frac{m}{r_m}\right), \quad m = N - b \lfloor N/b \rfloor

    Answers of equal length end in waves: the requests left over for the last one take nearly as long as a full one where weights and
    fixed times rule.

    References
    ----------
    .. [1] R. Graham, SIAM J. Appl. Math. 17 (1969) 416 (list scheduling: the last task decides).
    """
    batch = minimum(sequences, requests)
    full = in_flight_rate(engine, batch, input_length, output_length)
    waves = floor(requests / batch)
    rest = requests - waves * batch
    last = in_flight_rate(engine, maximum(rest, 1.0), input_length, output_length)
    rate = requests / (waves * batch / full.output_rate + where(rest >= 1.0, rest / last.output_rate, 0.0))
    return replace(full, output_rate=rate, input_rate=rate * input_length / output_length)


def static_rate(engine: Engine, sequences: Array, input_length: Array, output_length: Array) -> Rate:
    """A batch that is prefilled whole, then decoded whole.

    Parameters
    ----------
    engine : Engine
    sequences : shape (...)                     In the batch [1].
    input_length, output_length : shape (...)   Tokens [1].

    Returns
    -------
    Rate.

    References
    ----------
    .. [1] G.-I. Yu et al., OSDI 2022 (what request-level scheduling costs).
    """
    first = prefill_rate(engine, sequences, input_length)
    then = decode_rate(engine, sequences, input_length, output_length)
    time = first.ttft + output_length * then.tpot
    return Rate(sequences * output_length / time, sequences * input_length / time, then.tpot, first.ttft, sequences, then.step)


def added_prefill(
    engine: Engine, sequences: Array, input_length: Array, output_length: Array, prefix: Array = 0.0, bare: EngineStep | None = None
) -> tuple[Array, Array]:
    """Time that prefilling one more prompt adds to the steps of a decoding engine, and the time of the bare step [s].

    ``bare`` is that step where it is known: the one of `decode_load` at equal lengths.
    """
    added, bare = _beside_a_prompt(engine, sequences, input_length, output_length, prefix, bare)
    return added, bare.step


def _beside_a_prompt(
    engine: Engine, sequences: Array, input_length: Array, output_length: Array, prefix: Array = 0.0, bare: EngineStep | None = None
) -> tuple[Array, EngineStep]:
    """What `added_prefill` says, with the bare step itself."""
    base = decode_load(sequences, engine.drafts, prefix + input_length, output_length)
    bare = engine.step(base) if bare is None else bare
    chunks = maximum(ceil(input_length / engine.stack.chunk), 1.0)
    length = input_length / chunks
    mixed = Load(sequences, base.queries, base.context, 1.0, length, prefix + 0.5 * (input_length - length), base.spread, scattered=1.0)
    return chunks * maximum(engine.step(mixed).step - bare.step, 0.0), bare


def closed_loop_rate(engine: Engine, concurrency: Array, input_length: Array, output_length: Array, room: Array | None = None) -> Rate:
    r"""Clients that each send the next request when the last one ends.

    Parameters
    ----------
    engine : Engine
    concurrency : shape (...)                   Requests open at any time [1].
    input_length, output_length : shape (...)   Tokens [1].
    room : shape (...)                          Requests that run at a time; what memory holds if None [1].

    Returns
    -------
    Rate; tpot is the mean with stalls by other prompts, ttft the mean.

    Notes
    -----
    .. math::

        \mathrm{TTFT} = t_0 + k\,t_d + t_p \left(1 + \beta\,\frac{c - 1}{2}\right), \quad
        \mathrm{TPOT} = \frac{t_d(b)}{g} + \varphi\,(b - 1)\,\frac{t_p}{\mathrm{osl}}

    with b = c · osl · TPOT / cycle the requests that decode, found by three rounds. Answers of equal length end together, so that the next
    prompts come in bursts: with β = 1 all at once, with 0 each alone. Measured waits do not grow with the share of time that
    prefill takes, as they would for random arrivals. What memory does not hold waits for whole answers.

    References
    ----------
    .. [1] J. Little, Operations Research 9 (1961) 383.
    """
    most = engine.room(input_length, output_length) if room is None else room
    held = minimum(concurrency, most)
    active = held
    for _ in range(3):
        added, bare = _beside_a_prompt(engine, active, input_length, output_length)
        stalls = engine.stack.interference * maximum(active - 1.0, 0.0) * added / output_length
        tpot = bare.step / engine.gain + stalls
        answer = output_length * tpot
        wait = engine.stack.first_token_fixed + engine.stack.first_token_steps * bare.step
        first = wait + added * (1.0 + 0.5 * engine.stack.burst * (held - 1.0))
        cycle = first + answer
        active = maximum(held * answer / cycle, minimum(held, 1.0))
    queue = where(concurrency > most, (concurrency / most - 1.0) * cycle, 0.0)
    rate = held * output_length / cycle
    return Rate(rate, rate * input_length / output_length, tpot, first + queue, active, bare)


def open_loop_rate(engine: Engine, request_rate: Array, input_length: Array, output_length: Array) -> Rate:
    """Requests that arrive at random at a given rate.

    Parameters
    ----------
    engine : Engine
    request_rate : shape (...)                  Requests per second of the engine.
    input_length, output_length : shape (...)   Tokens [1].

    Returns
    -------
    Rate; the rate cannot exceed what a full engine delivers.

    References
    ----------
    .. [1] J. Little, Operations Research 9 (1961) 383; L. Kleinrock, Queueing Systems I (1975).
    """
    most = engine.room(input_length, output_length)
    full = in_flight_rate(engine, most, input_length, output_length)
    offered = minimum(request_rate, full.output_rate / output_length)
    active = minimum(most, maximum(offered * 1.0, 1.0))
    for _ in range(4):
        added, bare = _beside_a_prompt(engine, active, input_length, output_length)
        busy = minimum(offered * added, 0.95)
        tpot = bare.step / engine.gain / (1.0 - minimum(engine.stack.interference * busy, 0.95))
        active = maximum(minimum(most, offered * output_length * tpot), minimum(1.0, most))
    wait = added * 0.5 * busy / (1.0 - busy)
    first = engine.stack.first_token_fixed + engine.stack.first_token_steps * bare.step + added + wait
    return Rate(offered * output_length, offered * input_length, tpot, first, active, bare)


def pooled_rate(prefill: Array, decode: Array, input_length: Array, output_length: Array) -> tuple[Array, Array]:
    r"""Output rate per accelerator of two pools in the ratio at which neither waits, and the share of accelerators that prefill.

    Parameters
    ----------
    prefill : shape (...)   Input tokens per second and accelerator of the prefill pool.
    decode : shape (...)    Output tokens per second and accelerator of the decode pool.
    input_length, output_length : shape (...)   Tokens [1].

    Returns
    -------
    rate, share : shape (...).

    Notes
    -----
    .. math:: \frac{1}{\mathrm{isl}/(\mathrm{osl}\,p) + 1/d}

    References
    ----------
    .. [1] Y. Zhong et al., arXiv:2401.09670, section 4.

    Examples
    --------
    >>> pooled_rate(4000.0, 1000.0, 4000.0, 1000.0)
    (500.0, 0.5)
    """
    prefilling = input_length / output_length / prefill
    decoding = 1.0 / decode
    return 1.0 / (prefilling + decoding), prefilling / (prefilling + decoding)
