"""One plan evaluated again and again in the same scene: after some times from a tape, which gives the same numbers sooner."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np

from aicompute.estimate import evaluate
from aicompute.estimate.context import Records, Scene
from aicompute.estimate.evaluate import Outcome
from aicompute.estimate.workload import Workload
from aicompute.playback import Played, played

Plan = Any
"""A plan of either kind: a record of numbers."""

AFTER = 32
"""Evaluations after which a tape is made: it takes about as long as so many of them save."""
MOST = 1000
"""Draws up to which tapes are made: arrays take their own time, not that of calls."""

_LENGTHS = {
    "training": ("sequence_length", "global_batch"),
    "prefill": ("input_length",),
    "decode": ("input_length", "output_length"),
    "in flight": ("input_length", "output_length"),
}
"""Fields of a workload that are inputs of a tape; the others are part of it."""


class _Tape:
    """Evaluations of one kind in a scene."""

    def __init__(self, fixed: tuple[Any, ...]) -> None:
        self.fixed = fixed
        self.count = 0
        self.play: Played | None = None
        self.names: tuple[tuple[str, ...], ...] = ()

    def outcome(self, inputs: Sequence[float]) -> Outcome:
        """The outcome from the tape; without operators."""
        if self.play is None:
            raise ValueError("nothing is recorded")
        found = iter(self.play(*inputs))
        metrics, parts, communication, memory = (dict(zip(names, found, strict=False)) for names in self.names)
        return Outcome(metrics, parts, communication, next(found), memory, [])


def outcome(kind: str, s: Scene, r: Records, w: Workload, plan: Plan, *load: float, operators: bool = False) -> Outcome:
    """What a scenario gives under one plan, complete.

    Parameters
    ----------
    kind : str             training, prefill, decode or in flight.
    s, r, w : Scene, Records, Workload
    plan : ServingPlan or TrainingPlan, of plain numbers.
    load : float           Sequences of an engine, and the draft tokens of a step where it may make any; nothing for training.
    operators : bool       Whether the times of single operators are wanted too.
    """
    evaluated = EVALUATE[kind]
    label = None if operators or np.size(r.time_factor) > MOST else next((name for name, kept in s.memo.items() if kept is r), None)
    if label is None:
        return evaluated(s, r, w, plan, *load)
    key, fixed = f"{kind} of {label}", (w.prefix_hit, w.length_variation, w.tokens, type(plan))
    tape = s.memo.get(key)
    if tape is None or tape.fixed != fixed:
        tape = s.memo[key] = _Tape(fixed)
    tape.count += 1
    if tape.count < AFTER:
        return evaluated(s, r, w, plan, *load)
    inputs = (*[getattr(w, name) for name in _LENGTHS[kind]], *[getattr(plan, name) for name in _names(type(plan))], *load)
    if tape.count == AFTER:
        _record(tape, kind, s, r, w, plan, len(inputs))
    if tape.play is not None and all(type(value) is float for value in inputs):
        try:
            return tape.outcome(inputs)
        except (ArithmeticError, ValueError):  # NumPy's floats divide by zero where Python's do not
            pass
    return evaluated(s, r, w, plan, *load)


def _record(tape: _Tape, kind: str, s: Scene, r: Records, w: Workload, plan: Plan, count: int) -> None:
    """Make the tape, where the formulas allow it."""
    lengths, names = _LENGTHS[kind], _names(type(plan))

    def run(*inputs: Any) -> list[Any]:
        values = iter(inputs)
        work = replace(w, **{name: next(values) for name in lengths})
        found = EVALUATE[kind](s, r, work, type(plan)(**{name: next(values) for name in names}), *values)
        groups = (found.metrics, found.parts, found.communication, found.memory_parts)
        tape.names = tuple(tuple(group) for group in groups)
        return [*(value for group in groups for value in group.values()), found.memory_share]

    try:
        tape.play = played(run, count)
    except (ArithmeticError, TypeError, ValueError):  # something in it is no plain formula
        tape.play = None


def _names(plan: type) -> tuple[str, ...]:
    """Fields of a kind of plan."""
    if plan not in _FIELDS:
        _FIELDS[plan] = tuple(field.name for field in fields(plan))
    return _FIELDS[plan]


_FIELDS: dict[type, tuple[str, ...]] = {}
EVALUATE: dict[str, Callable[..., Outcome]] = {
    "training": evaluate.training_outcome,
    "prefill": evaluate.prefill_outcome,
    "decode": evaluate.decode_outcome,
    "in flight": evaluate.in_flight_outcome,
}
