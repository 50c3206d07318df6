"""Why a number is what it is: operators, spec values with their swing, what the interval is made of."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from aicompute.estimate.context import Records, Scene, records, standing
from aicompute.estimate.evaluate import Outcome
from aicompute.estimate.kernels import Timed, kernel_of, rates_of
from aicompute.estimate.reading import Reader, Sampler, read_value
from aicompute.estimate.recorded import values_read
from aicompute.estimate.result import OperatorLine, Origin
from aicompute.numerics import Array
from aicompute.specs import Spec, Value
from aicompute.specs.value import UNSEEN

Run = Callable[[Records], Outcome]

GROUPS = ("specs of the hardware", "kernels", "stack", "unseen device or stack", "money and site", "residual of the stack")
"""What an interval is made of; the last is how far measurements spread around the formulas."""



def _bound(t: Timed, r: Records) -> str:
    o = t.operator
    if o.role == "memory":
        return "memory"
    rates = rates_of(r.device, o.role)
    compute = float(t.flops) / float(rates.compute)
    memory = float(t.traffic) / float(r.device.kv_bandwidth if o.role == "attention" else r.device.bandwidth)
    launch = float(o.count) * float(kernel_of(r.device, o.role).launch)
    return max((compute, "compute"), (memory, "memory"), (launch, "launch"))[1]


def operator_lines(outcome: Outcome, r: Records) -> tuple[OperatorLine, ...]:
    """Every operator and collective of a step on one device."""
    lines = []
    for t in outcome.timed:
        o = t.operator
        if float(t.seconds) <= 0.0 or float(o.count) == 0.0:
            continue
        shape = " x ".join(f"{float(n):.0f}" for n in (o.rows, o.columns, o.depth)) if o.is_matrix else ""
        if o.is_matrix and float(o.groups) != 1.0:
            shape += f" x {float(o.groups):.4g} groups"
        lines.append(OperatorLine(o.name, float(o.count), shape, float(t.flops), float(t.traffic), float(t.seconds), _bound(t, r)))
    for name, seconds in outcome.communication.items():
        if float(seconds) > 0.0:
            lines.append(OperatorLine(name, 1.0, "", 0.0, 0.0, float(seconds), "link"))
    return tuple(lines)


def _changed(target: tuple[str, str], number: float) -> Reader:
    def read(spec: Spec, path: str, default: float | None = None) -> Array:
        return number if (spec.id, path) == target else read_value(spec, path, default)

    return read


def origins(s: Scene, run: Run, main: str) -> tuple[Origin, ...]:
    """Every spec value that was read, with the change of the main metric over its range, largest first."""
    base = float(run(standing(s)).metrics[main])
    found = []
    for spec, path, value in values_read(s).values():
        swing = 0.0
        if value.low != value.high:
            ends = [float(run(records(s, _changed((spec.id, path), end))).metrics[main]) for end in (value.low, value.high)]
            swing = (ends[1] - ends[0]) / base
        found.append(Origin(f"{spec.id}.{path}", value.value, value.low, value.high, value.unit, value.kind, value.source, swing))
    return tuple(sorted(found, key=lambda origin: -abs(origin.swing)))


def _group(spec: Spec, path: str) -> str:
    found = spec.get(path, None)
    if isinstance(found, Value) and found.source == UNSEEN:
        return "unseen device or stack"
    if spec.kind == "stacks":
        return "stack"
    if spec.kind == "sites" or path.startswith("price"):
        return "money and site"
    if spec.kind == "accelerators" and path.split(".")[0] in ("efficiency", "launch"):
        return "kernels"
    return "specs of the hardware"


def interval_parts(s: Scene, run: Run, main: str, count: int) -> dict[str, float]:
    """Share of the variance of the main metric's logarithm that each group of inputs brings when it varies alone."""
    variances: dict[str, float] = {}
    for group in GROUPS[:-1]:
        sampler = Sampler(count)

        def read(spec: Spec, path: str, default: float | None = None, group: str = group, sampler: Sampler = sampler) -> Array:
            return sampler(spec, path, default) if _group(spec, path) == group else read_value(spec, path, default)

        drawn = np.asarray(run(records(s, read)).metrics[main])
        variances[group] = float(np.var(np.log(drawn))) if drawn.ndim else 0.0
    variances[GROUPS[-1]] = s.stack.si("residual.step") ** 2
    total = sum(variances.values()) or 1.0
    return {group: variance / total for group, variance in variances.items()}
