"""Time of operators on a device: the one place where what a model asks for meets what a device reaches."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from aicompute.machine.attention import context_time, decode_time
from aicompute.machine.expert_exchange import exchange_time
from aicompute.machine.links import Members
from aicompute.machine.records import Device, ExpertExchange, Fabric, Kernel, Rates
from aicompute.machine.roofline import matrix_time, matrix_traffic, overlap_pair
from aicompute.numerics import Array
from aicompute.workload.architecture import Architecture
from aicompute.workload.operators import Operator, operator_flops


@dataclass(frozen=True, slots=True)
class Timed:
    """An operator with its time."""

    operator: Operator
    seconds: Array
    """Of all executions of a forward pass [s]."""
    flops: Array
    """Of all executions [FLOP]."""
    traffic: Array
    """Of all executions [B]."""


def rates_of(device: Device, role: str) -> Rates:
    """Rates of a device for a role of an operator."""
    rates: Rates = getattr(device, role)
    return rates


def kernel_of(device: Device, role: str) -> Kernel:
    """Shape penalties and fixed times of a device for a role of an operator."""
    return device.expert_kernel if role == "experts" else device.kernel


def operator_traffic(operator: Operator, device: Device) -> Array:
    """Bytes that one execution moves [B]."""
    if operator.is_matrix:
        o = operator
        return matrix_traffic(o.rows, o.columns, o.depth, o.groups, rates_of(device, o.role))
    return operator.traffic


def operator_time(operator: Operator, device: Device, cache: bool = False) -> Array:
    """Time of one execution [s]; ``cache`` marks attention that streams a key-value cache."""
    o = operator
    if o.is_matrix:
        return matrix_time(o.rows, o.columns, o.depth, o.groups, rates_of(device, o.role), device.bandwidth, kernel_of(device, o.role))
    if o.role == "attention":
        kernels = None if o.shape is None else device.latent_kernels if o.shape.latent else device.attention_kernels
        if o.shape is not None and kernels is not None:
            return (decode_time if cache else context_time)(o.shape, kernels) + device.kernel.launch
        rates, bandwidth = (device.cache_attention, device.kv_bandwidth) if cache else (device.attention, device.bandwidth)
        return overlap_pair(o.flops / rates.compute, o.traffic / bandwidth) + device.kernel.launch
    return o.traffic / device.bandwidth


def time_operators(operators: Iterable[Operator], device: Device, cache: bool = False) -> list[Timed]:
    """Every operator with time, FLOPs and bytes of one forward pass."""
    return [
        Timed(o, o.count * operator_time(o, device, cache), o.count * operator_flops(o), o.count * operator_traffic(o, device))
        for o in operators
    ]


def total_seconds(timed: Iterable[Timed]) -> Array:
    """Sum of the times [s]."""
    return sum((t.seconds for t in timed), 0.0)


def expert_round_trip(arch: Architecture, tokens: Array, members: Members, wires: Fabric, exchange: ExpertExchange) -> Array:
    """Dispatch and combine of one layer of experts, for the tokens that each device sends [s]."""
    width, copies = (arch.expert_latent_size or arch.hidden_size) * 1.0, arch.experts_per_token * 1.0
    dispatch = exchange_time(tokens, width, copies, exchange.dispatch, members, wires, exchange)
    return dispatch + exchange_time(tokens, width, copies, exchange.combine, members, wires, exchange)
