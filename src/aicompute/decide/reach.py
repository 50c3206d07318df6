"""The smallest cluster, or the shortest time, that takes a training run over a threshold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from aicompute import units
from aicompute.decide.regimes import Rule
from aicompute.decide.training_rules import training_thresholds
from aicompute.errors import UnitError, UsageError
from aicompute.estimate import workload as workloads
from aicompute.estimate.inputs import architecture, runnable, specs_of
from aicompute.policy.training_compute import accelerators_to_reach, time_to_reach
from aicompute.search.compare import Options, estimate_system
from aicompute.specs import Library
from aicompute.workload.parameters import flops_per_token_training

WITHIN = "90 days"
"""Time of a run where none is given."""
_CLUSTER = 2048.0
"""Accelerators of the run whose rate is estimated, unless a unit is larger."""


@dataclass(frozen=True)
class Reach:
    """What a system needs for one threshold."""

    system: str
    threshold: float
    """[FLOP]"""
    rules: tuple[str, ...]
    """Ids of the rules that set it."""
    least: float
    """Accelerators below which it is impossible in the time, at the dense peak."""
    likely: float | None
    """Accelerators at the estimated rate of the model; None where there is no estimate."""
    unit_time: float
    """On one unit, at the estimated rate, else at the peak [s]."""


@dataclass(frozen=True)
class Pace:
    """How fast an accelerator of a system trains."""

    system: str
    accelerator: str
    per_unit: float
    precision: str
    peak: float
    """Dense, of one accelerator, at the precision of training [FLOP/s]."""
    utilisation: float | None
    """6 N arithmetic over that peak, failures included; None where no model was estimated."""
    accelerators: float
    """Of the run that was estimated [1]."""


def time_of(within: str | float) -> float:
    """A time of a run in seconds.

    Raises
    ------
    UsageError
        Not a time, or not above 0.
    """
    try:
        time = units.parse(within, "time")
    except UnitError as error:
        raise UnitError(f"within = {error}") from None
    if not 0.0 < time < math.inf:
        raise UsageError(f"within = {within!r}: expected a time above 0, such as {WITHIN!r}")
    return time


def pace_of(lib: Library, system: str, model: str | None) -> Pace:
    """How fast a system trains a model; only its peak where no model is given.

    Parameters
    ----------
    lib : Library
    system : str            Id or alias.
    model : str, optional   Id of a model whose architecture is known.
    """
    spec, accelerator = specs_of(lib, system)
    precision = runnable(accelerator, str(spec.get("precision.training.dense", "bf16")))
    peak, unit = accelerator.si(f"peak.{precision}"), spec.si("accelerators")
    count = max(_CLUSTER, unit)
    if model is None:
        return Pace(spec.id, accelerator.id, unit, precision, peak, None, count)
    found = estimate_system(lib, spec.id, model, workloads.training(), Options(accelerators=count, samples=0))
    if not found.feasible:
        return Pace(spec.id, accelerator.id, unit, precision, peak, None, count)
    plain = float(flops_per_token_training(architecture(lib.load("models", model)), 1.0, "6n"))
    used = found.value("tokens_per_s_per_accelerator") * found.value("goodput") * plain / peak
    return Pace(spec.id, accelerator.id, unit, precision, peak, used, count)


def reaches(pace: Pace, rules: Sequence[Rule], time: float) -> list[Reach]:
    """What a system needs for every threshold of training compute.

    Parameters
    ----------
    pace : Pace
    rules : sequence of Rule   On training.
    time : float               [s].
    """
    found = []
    for threshold, setters in training_thresholds(rules).items():
        likely = None if pace.utilisation is None else accelerators_to_reach(threshold, time, pace.peak, pace.utilisation)
        found.append(
            Reach(
                system=pace.system,
                threshold=threshold,
                rules=tuple(rule.id for rule in setters),
                least=math.ceil(accelerators_to_reach(threshold, time, pace.peak, 1.0)),
                likely=None if likely is None else math.ceil(likely),
                unit_time=float(time_to_reach(threshold, pace.per_unit, pace.peak, pace.utilisation or 1.0)),
            )
        )
    return found
