"""Measured collectives, and dispatch and combine of a mixture of experts, against the formulas."""

from __future__ import annotations

from dataclasses import replace

from aicompute.errors import UnknownNameError, UsageError
from aicompute.estimate import inputs
from aicompute.estimate.reading import Reader, read_value
from aicompute.evidence.kernels.common import Columns, Labels, accelerator_of, number_format
from aicompute.machine import collectives
from aicompute.machine.expert_exchange import exchange_time
from aicompute.machine.records import ExchangePhase
from aicompute.numerics import Array
from aicompute.plan.layout import place
from aicompute.specs import Library, Spec


def _system(lib: Library, accelerator: str) -> Spec:
    """The system that an accelerator's kernels were measured on: its default one unless the accelerator names another."""
    found = accelerator_of(lib, accelerator)
    measured = found.get("measured_system", "")
    return lib.load("systems", str(measured)) if measured else inputs.specs_of(lib, found.id)[0]


LIBRARIES = ("nccl", "rccl", "hccl")
"""Implementations that are libraries alone, without the all-reduce kernels of an engine."""

COLLECTIVES = {
    "all_reduce": collectives.all_reduce_time,
    "all_gather": collectives.gather_time,
    "reduce_scatter": collectives.gather_time,
    "alltoall": collectives.all_to_all_time,
}
"""The formula of a collective by the name in the column op, without what joins its words."""


def collective_time(lib: Library, stack: Spec, labels: Labels, c: Columns, read: Reader = read_value) -> Array:
    """Times of collectives among neighbouring devices of the default system [us]; the size is the whole buffer, as in nccl-tests."""
    known = {name.replace("_", ""): formula for name, formula in COLLECTIVES.items()}
    formula = known.get(labels["op"].lower().replace("_", "").replace("-", ""))
    if formula is None:
        raise UsageError(f"column op: {UnknownNameError('collective', labels['op'], COLLECTIVES)}")
    fabric = inputs.fabric_record(_system(lib, labels["accelerator"]), read)
    protocol = inputs.protocol_record(stack, read)
    if labels["implementation"].lower() in LIBRARIES:
        protocol = replace(protocol, custom=0.0)
    return 1e6 * formula(c["bytes"], place(c["n_gpus"], 1.0, fabric).members, fabric, protocol)


INDEX_BYTES = 4.0
"""Of one entry of the table of destinations that is exchanged before a dispatch: an int32 [B]."""


def expert_exchange_time(lib: Library, stack: Spec, labels: Labels, c: Columns, read: Reader = read_value) -> Array:
    """Times of one phase of the exchange of a mixture of experts [us].

    A library of kernels that the stack has values of (such as deepep_ht) is measured alone, started by the host; others are those that
    the stack uses in its steps.
    """
    phase, word = labels["op"].lower(), number_format(labels["dtype"], "dtype")
    system = _system(lib, labels["accelerator"])
    precision = {"dispatch": word, "combine": word if "low_precision" in phase else "bf16"}
    kernels = labels["comm_backend"].lower().removeprefix(f"{labels['backend'].lower()}_")
    alone = stack.has(f"{kernels}.dispatch_start")
    exchange, wires = inputs.exchange_record(stack, precision, inputs.fabric_record(system, read), read, kernels if alone else "exchange")
    members = place(c["n_ranks"], 1.0, wires).members
    hidden: Array = c["hidden_size"]
    if "dispatch" in phase:
        way, start = exchange.dispatch, "dispatch_start"
    elif "combine" in phase:
        way, start = exchange.combine, "combine_start"
    elif "prepare" in phase:
        hidden, way, start = 1.0, ExchangePhase(INDEX_BYTES, token=read(stack, "exchange.prepare_token", 0.0)), "dispatch_start"
    else:
        raise UsageError(f"column op: {labels['op']!r} is not a dispatch, a combine or what prepares them")
    if alone:
        host = read(stack, f"{kernels}.{start}") * read(system, "host_time", 1.0)
        exchange = replace(exchange, base=host, per_doubling=0.0)
    return 1e6 * exchange_time(c["tokens_per_rank"], hidden, c["experts_per_token"], way, members, wires, exchange)
