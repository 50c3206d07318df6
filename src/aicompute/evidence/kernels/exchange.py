"""Measured collectives, and dispatch and combine of a mixture of experts, against the formulas."""

from __future__ import annotations

from dataclasses import replace

from aicompute.errors import UnknownNameError, UsageError
from aicompute.estimate import inputs
from aicompute.evidence.kernels.common import Columns, Labels, accelerator_of, number_format
from aicompute.machine import collectives
from aicompute.machine.records import Fabric
from aicompute.numerics import Array
from aicompute.plan.layout import place
from aicompute.specs import Library, Spec


def _fabric(lib: Library, accelerator: str, read: inputs.Reader) -> Fabric:
    """The tiers of an accelerator's default system."""
    system, _ = inputs.specs_of(lib, accelerator_of(lib, accelerator).id)
    return inputs.fabric_record(system, read)


COLLECTIVES = {
    "all_reduce": collectives.all_reduce_time,
    "all_gather": collectives.gather_time,
    "reduce_scatter": collectives.gather_time,
    "alltoall": collectives.all_to_all_time,
}
"""The formula of a collective by the name in the column op, without what joins its words."""


def collective_time(lib: Library, stack: Spec, labels: Labels, c: Columns, read: inputs.Reader = inputs.read_value) -> Array:
    """Times of collectives among neighbouring devices of the default system [us]; the size is the whole buffer, as in nccl-tests."""
    known = {name.replace("_", ""): formula for name, formula in COLLECTIVES.items()}
    formula = known.get(labels["op"].lower().replace("_", "").replace("-", ""))
    if formula is None:
        raise UsageError(f"column op: {UnknownNameError('collective', labels['op'], COLLECTIVES)}")
    fabric = _fabric(lib, labels["accelerator"], read)
    return 1e6 * formula(c["bytes"], place(c["n_gpus"], 1.0, fabric).members, fabric, inputs.protocol_record(stack, read))


INDEX_BYTES = 4.0
"""Of one entry of the table of destinations that is exchanged before a dispatch: an int32 [B]."""


def expert_exchange_time(lib: Library, stack: Spec, labels: Labels, c: Columns, read: inputs.Reader = inputs.read_value) -> Array:
    """Times of one phase of the exchange of a mixture of experts [us]."""
    phase, word = labels["op"].lower(), number_format(labels["dtype"], "dtype")
    fabric = _fabric(lib, labels["accelerator"], read)
    precision = {"dispatch": word, "combine": word if "low_precision" in phase else "bf16"}
    exchange, wires = inputs.exchange_record(stack, precision, fabric, read)
    if labels["comm_backend"].lower().endswith(("_ht", "_context")):  # kernels for large batches
        exchange = replace(exchange, deduplicated=read(stack, "exchange.bulk_deduplicated"))
    members = place(c["n_ranks"], 1.0, wires).members
    hidden: Array = c["hidden_size"]
    if "dispatch" in phase:
        payload = exchange.dispatch_bytes
    elif "combine" in phase:
        payload = exchange.combine_bytes
    elif "prepare" in phase:
        hidden, payload = 1.0, INDEX_BYTES
    else:
        raise UsageError(f"column op: {labels['op']!r} is not a dispatch, a combine or what prepares them")
    return 1e6 * collectives.exchange_time(c["tokens_per_rank"], hidden, c["experts_per_token"], payload, members, wires, exchange)
