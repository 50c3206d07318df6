"""A question about rules, put together: chips and systems on dates, a training run, and what reaches a threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aicompute.decide.chips import Chip, Span, chip_of, named
from aicompute.decide.reach import Pace, Reach, pace_of, reaches, time_of
from aicompute.decide.regimes import Rule, Standing, date_of, rules_of, standing, turning_dates
from aicompute.decide.training_rules import Crossing, Run, crossings, run_of, tokens_of
from aicompute.errors import UnknownNameError, UsageError
from aicompute.specs import Library


@dataclass(frozen=True)
class SystemTotal:
    """The performance of all chips of a unit of a system."""

    id: str
    accelerator: str
    accelerators: float
    tpp: Span


@dataclass(frozen=True)
class RulesAnswer:
    """What rules say; records in SI units."""

    chips: tuple[Chip, ...]
    systems: tuple[SystemTotal, ...]
    dates: tuple[str, ...]
    standings: tuple[tuple[Standing, ...], ...]
    """For each chip, on each of the dates."""
    rules: tuple[Rule, ...]
    """On chips."""
    country: tuple[Rule, ...]
    """On all chips of a country."""
    jurisdiction: str
    """Whose rules on chips."""
    date: str
    """Asked for; empty: every day on which something changed."""
    run: Run | None
    crossings: tuple[Crossing, ...]
    paces: tuple[Pace, ...]
    reaches: tuple[Reach, ...]
    within: float
    """[s]"""


def answer(
    lib: Library,
    names: Sequence[str],
    date: str | None = None,
    model: str | None = None,
    train_tokens: str | float | None = None,
    sequence_length: Any = 4096,
    within: str | float = "90 days",
    jurisdiction: str = "us",
) -> RulesAnswer:
    """What rules say of chips, systems and a training run.

    Parameters
    ----------
    lib : Library
    names : sequence of str   Accelerators or systems; none, and no model: every accelerator.
    date, model, train_tokens, sequence_length, within, jurisdiction   As of `aicompute.controls.rules`.

    Raises
    ------
    AicomputeError
        As `aicompute.controls.rules`.
    """
    day = "" if date is None else date_of(date)
    sequence, time = tokens_of(sequence_length, "sequence_length"), time_of(within)
    if not 1.0 <= sequence <= 1e9:
        raise UsageError(f"sequence_length = {sequence_length!r}: expected from 1 to 1e9 tokens")
    if train_tokens is not None and model is None:
        raise UsageError("train_tokens belongs to a model; name one, such as deepseek-v3")
    asked = [named(lib, name) for name in names]
    if not asked and model is None:
        asked = [(identifier, "") for identifier in lib.ids("accelerators")]
    chips = tuple(chip_of(lib, identifier) for identifier in dict.fromkeys(chip for chip, _ in asked))
    systems = list(dict.fromkeys(system for _, system in asked if system))
    run = None if model is None else run_of(lib, model, train_tokens, sequence)
    on_chips, on_training = chip_rules(lib, jurisdiction), rules_of(lib, "training")
    dates = (day,) if day else tuple(turning_dates(on_chips))
    counted = run.name if run is not None and run.tokens and run.name in lib.ids("models") else None
    paces = tuple(pace_of(lib, system, counted) for system in systems) if run is not None else ()
    return RulesAnswer(
        chips=chips,
        systems=tuple(_total(lib, system, chips) for system in systems),
        dates=dates,
        standings=tuple(tuple(standing(on_chips, chip, each) for each in dates) for chip in chips),
        rules=tuple(on_chips),
        country=tuple(rule for rule in rules_of(lib, "country") if rule.jurisdiction == jurisdiction),
        jurisdiction=jurisdiction,
        date=day,
        run=run,
        crossings=tuple(crossings(lib, run)) if run is not None else (),
        paces=paces,
        reaches=tuple(reach for pace in paces for reach in reaches(pace, on_training, time)),
        within=time,
    )


def chip_rules(lib: Library, jurisdiction: str) -> list[Rule]:
    """The rules on chips of a jurisdiction, the oldest first.

    Raises
    ------
    UnknownNameError
        The specs have none of it.
    """
    every = rules_of(lib, "chip")
    found = [rule for rule in every if rule.jurisdiction == jurisdiction]
    if not found:
        raise UnknownNameError("jurisdiction with rules on chips", jurisdiction, dict.fromkeys(rule.jurisdiction for rule in every))
    return found


def _total(lib: Library, system: str, chips: Sequence[Chip]) -> SystemTotal:
    """All chips of a unit, spares included."""
    spec = lib.load("systems", system)
    chip = next(chip for chip in chips if chip.id == spec.get("accelerator"))
    count = spec.si("accelerators")
    return SystemTotal(spec.id, chip.id, count, Span(*(count * x for x in chip.tpp)))
