"""What work is asked for: the kinds of workload with their fields checked, and grids of workloads where a field is an array."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aicompute.arguments import is_axis, parsed
from aicompute.errors import UnknownNameError, UsageError
from aicompute.estimate import workload as workloads
from aicompute.estimate.workload import Workload, spelled_out

_FIELDS = {
    **dict.fromkeys(("input_length", "output_length", "sequence_length"), (1e8, "count")),
    **dict.fromkeys(("batch", "global_batch"), (1e9, "count")),
    "tokens": (1e18, "count"),
    **dict.fromkeys(("ttft", "tpot"), (1e6, "time")),
    "prefix_hit": (1.0, "fraction"),
    "length_variation": (10.0, "fraction"),
}
"""The most that a field of a workload may be, and its dimension."""


@dataclass(frozen=True)
class WorkloadGrid:
    """A workload some of whose fields are axes."""

    kind: str
    build: Callable[..., Workload]
    arguments: Mapping[str, Any]
    """As given to the constructor."""

    @property
    def axes(self) -> dict[str, list[Any]]:
        """Fields that are axes, with their values."""
        return {name: list(value) for name, value in self.arguments.items() if is_axis(value)}

    def at(self, place: Mapping[str, Any]) -> Workload:
        """The workload at a place of its axes."""
        return self.build(**{name: place.get(name, value) for name, value in self.arguments.items()})


def training(sequence_length: Any = 4096, global_batch: Any = 15360, tokens: Any = None) -> Workload | WorkloadGrid:
    """Pre-training with optimizer steps of ``global_batch`` sequences; arguments as of `aicompute.estimate.workload.training`, or arrays.

    Examples
    --------
    >>> training(tokens="14.8 Ttoken").tokens
    14800000000000.0
    """
    return _workload(workloads.training, sequence_length=sequence_length, global_batch=global_batch, tokens=tokens)


def prefill(input_length: Any = 4096, ttft: Any = None, batch: Any = None, prefix_hit: Any = 0.0) -> Workload | WorkloadGrid:
    """Reading prompts; arguments as of `aicompute.estimate.workload.prefill`, or arrays.

    Examples
    --------
    >>> prefill(ttft="2 s").ttft
    2.0
    """
    return _workload(workloads.prefill, input_length=input_length, ttft=ttft, batch=batch, prefix_hit=prefix_hit)


def decode(
    input_length: Any = 4096, output_length: Any = 1024, tpot: Any = None, batch: Any = None, length_variation: Any = 0.0
) -> Workload | WorkloadGrid:
    """Generating answers; arguments as of `aicompute.estimate.workload.decode`, or arrays.

    Examples
    --------
    >>> decode(batch=[8, 16]).axes
    {'batch': [8, 16]}
    """
    given = {"input_length": input_length, "output_length": output_length, "tpot": tpot, "batch": batch}
    return _workload(workloads.decode, **given, length_variation=length_variation)


def serving(
    input_length: Any = 4096,
    output_length: Any = 1024,
    ttft: Any = "2 s",
    tpot: Any = "50 ms",
    prefix_hit: Any = 0.0,
    length_variation: Any = 0.0,
) -> Workload | WorkloadGrid:
    """A whole service; arguments as of `aicompute.estimate.workload.serving`, or arrays.

    Examples
    --------
    >>> serving().tpot
    0.05
    """
    given = {"input_length": input_length, "output_length": output_length, "ttft": ttft, "tpot": tpot}
    return _workload(workloads.serving, **given, prefix_hit=prefix_hit, length_variation=length_variation)


WORKLOADS: Mapping[str, Callable[..., Workload | WorkloadGrid]] = {
    "training": training,
    "prefill": prefill,
    "decode": decode,
    "serving": serving,
}
"""The kinds of work, and what makes one."""


def one_workload(workload: Workload | WorkloadGrid | str | None) -> Workload:
    """The workload of one scenario."""
    if isinstance(workload, Workload):
        return workload
    if isinstance(workload, WorkloadGrid):
        return workload.at({})
    kind = "serving" if workload is None else workload
    if kind not in WORKLOADS:
        raise UnknownNameError("workload", str(kind), WORKLOADS)
    made = WORKLOADS[kind]()
    return made if isinstance(made, Workload) else made.at({})


def _workload(build: Callable[..., Workload], **arguments: Any) -> Workload | WorkloadGrid:
    """A workload, or a grid of them where an argument is an axis."""
    if any(is_axis(value) for value in arguments.values()):
        return WorkloadGrid(build.__name__, functools.partial(_built, build), arguments)
    return _built(build, **arguments)


def _built(build: Callable[..., Workload], **arguments: Any) -> Workload:
    """A workload, after a look at each field that names it in the message."""
    for name, value in arguments.items():
        most, dimension = _FIELDS[name]
        if dimension == "count" and isinstance(value, str):
            value = arguments[name] = spelled_out(value)
        if value is not None and parsed(name, value, dimension) > most:
            raise UsageError(f"{name} = {value!r}: expected at most {most:g}")
    return build(**arguments)
