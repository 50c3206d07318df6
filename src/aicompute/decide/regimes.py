"""Rules as they stand in the specs: which are in force on a date, and what they say of a chip or a training run."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from aicompute.decide.chips import UNKNOWN, Chip, Span
from aicompute.errors import UsageError
from aicompute.policy.controls import NO_CLASS, Test, deciding_points, first_class
from aicompute.specs import Library, Spec, Value
from aicompute.specs.check import is_date
from aicompute.specs.policy_keys import COMPARISONS, MARKETS, MEASURES

NONE = "none"
"""The class of what no test catches."""


@dataclass(frozen=True)
class RuleClass:
    """One class of a rule: all its tests must hold."""

    id: str
    label: str
    effect: str
    market: str
    further: str
    tests: tuple[Test, ...]
    """Thresholds in SI units."""
    sources: tuple[str, ...]
    destinations: tuple[str, ...] = ()
    """Jurisdictions of sites for which it asks for a licence."""


@dataclass(frozen=True)
class Rule:
    """A rule with its dates."""

    id: str
    name: str
    jurisdiction: str
    instrument: str
    subject: str
    role: str
    standing: str
    effective: str
    until: str
    ended: str
    source: str
    notes: str
    accelerators: tuple[str, ...]
    over: tuple[str, ...]
    classes: tuple[RuleClass, ...]

    def state(self, date: str) -> str:
        """What it is on a date: in force, guidance, letter, not enforced, proposed, no rule, not yet in force, or what ended it."""
        if self.standing in ("proposed", "no rule"):
            return self.standing
        if date < self.effective:
            return "not yet in force"
        if self.until and date >= self.until:
            return self.ended or "ended"
        return "in force" if self.standing == "law" else self.standing

    def binds(self, date: str) -> bool:
        """Whether it counts on a date."""
        return self.state(date) in ("in force", "guidance", "letter")

    @property
    def dates(self) -> str:
        """Its days in words."""
        if self.standing == "no rule":
            return ""
        if not self.effective:
            return "never in force"
        return f"{self.effective} to {self.until}" if self.until else f"from {self.effective}"


def date_of(text: str) -> str:
    """A date as rules are judged on, checked.

    Raises
    ------
    UsageError
        Not a day of the calendar, or not written as year-month-day.

    Examples
    --------
    >>> date_of("2026-01-15")
    '2026-01-15'
    """
    given = text.isoformat() if isinstance(text, datetime.date) and not isinstance(text, datetime.datetime) else str(text).strip()
    if not is_date(given):
        raise UsageError(f"date = {given!r}: expected a day such as 2026-01-15")
    return given


def rules_of(lib: Library, subject: str) -> list[Rule]:
    """The rules on a subject, the oldest first, those without a date last."""
    found = [rule_of(lib.load("rules", name)) for name in lib.ids("rules")]
    return sorted((r for r in found if r.subject == subject), key=lambda r: (r.effective or "9999", r.id))


def rule_of(spec: Spec) -> Rule:
    """A rule from its spec."""
    words = {name: str(spec.get(name, "")) for name in (
        "name", "jurisdiction", "instrument", "subject", "role", "standing", "effective", "until", "ended", "source", "notes")}  # fmt: skip
    classes = tuple(_class_of(name, table) for name, table in spec.get("classes", {}).items())
    return Rule(id=spec.id, **words, accelerators=tuple(spec.get("accelerators", ())), over=tuple(spec.get("over", ())), classes=classes)


def _class_of(name: str, table: Mapping[str, object]) -> RuleClass:
    """A class from its table."""
    tests: list[Test] = []
    sources: list[str] = []
    for measure in MEASURES:
        limits = table.get(measure, {})
        for comparison in COMPARISONS:
            limit = limits.get(comparison) if isinstance(limits, dict) else None
            if isinstance(limit, Value):
                tests.append((measure, comparison, limit.value))
                sources.append(limit.source)
    label, effect, market, further = (str(table.get(key, "")) for key in ("label", "effect", "market", "further"))
    places = tuple(table.get("destinations", ()))  # type: ignore[arg-type, var-annotated]
    return RuleClass(name, label, effect, market, further, tuple(tests), tuple(dict.fromkeys(sources)), places)


@dataclass(frozen=True)
class Judgement:
    """What a rule says: the class at the stated values, and every class that their ranges leave possible."""

    rule: Rule
    likely: RuleClass | None
    """None stands for no class, and where a value that decides is unknown."""
    possible: tuple[RuleClass | None, ...]
    """In the order of evaluation; None stands for no class."""
    open: tuple[str, ...]
    """Measures that would decide and are unknown."""

    @property
    def certain(self) -> bool:
        """Whether the class is the same all over the ranges."""
        return len(self.possible) == 1


def judge(rule: Rule, measures: Mapping[str, Span], market: str = "", classes: Sequence[RuleClass] | None = None) -> Judgement:
    """The class of a rule, and what the ranges leave open.

    Parameters
    ----------
    rule : Rule
    measures : mapping     Span of each measure known [SI].
    market : str           What a chip is made for; empty: unknown, all are possible.
    classes : sequence     Of the rule; None: all.

    Returns
    -------
    Judgement. Measures are taken to vary independently, so that a class may be called possible that no pair of values gives.
    """
    wanted = rule.classes if classes is None else tuple(classes)
    markets = (market,) if market else MARKETS
    groups = [[c for c in wanted if c.market in ("", each)] for each in markets]
    found = {outcome for group in groups for outcome in _outcomes(group, measures)}
    possible = tuple(c for c in (*wanted, None) if c in found)
    names = dict.fromkeys(name for c in wanted for name, _, _ in c.tests)
    missing = tuple(name for name in names if name not in measures)
    if len(possible) == 1:
        return Judgement(rule, possible[0], possible, ())
    if missing or len(groups) > 1:
        return Judgement(rule, None, possible, missing)
    index = int(first_class({name: np.float64(measures[name].value) for name in names}, [c.tests for c in groups[0]]))
    return Judgement(rule, groups[0][index] if index != NO_CLASS else None, possible, ())


def _outcomes(classes: Sequence[RuleClass], measures: Mapping[str, Span]) -> set[RuleClass | None]:
    """Every class that some values in the ranges give; None for no class."""
    tests = [test for c in classes for test in c.tests]
    points = {}
    for name in dict.fromkeys(name for name, _, _ in tests):
        span = measures.get(name, UNKNOWN)
        points[name] = deciding_points(span.low, span.high, [limit for other, _, limit in tests if other == name])
    mesh = dict(zip(points, np.ix_(*points.values()), strict=True))
    indices = np.unique(first_class(mesh, [c.tests for c in classes]))
    return {classes[index] if index != NO_CLASS else None for index in indices}


@dataclass(frozen=True)
class Review:
    """A rule that changes what a class means, and whether it reaches a chip."""

    rule: Rule
    found: RuleClass
    sure: bool


@dataclass(frozen=True)
class Standing:
    """How a chip stands on a date."""

    date: str
    judgement: Judgement | None
    """None before any rule."""
    reviews: tuple[Review, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes that are possible, the likely one first."""
        if self.judgement is None:
            return ("no rule",)
        j = self.judgement
        ordered = sorted(j.possible, key=lambda c: not (j.open == () and c is j.likely))
        return tuple(NONE if c is None else c.label for c in ordered)


def standing(rules: Sequence[Rule], chip: Chip, date: str) -> Standing:
    """How a chip stands on a date: its class, and the rules that change what the class means.

    Parameters
    ----------
    rules : sequence of Rule   On chips, of one jurisdiction, the oldest first.
    chip : Chip
    date : str                 As `date_of` gives it.
    """
    sorting = [r for r in rules if r.role == "class" and r.binds(date)]
    judgement = judge(sorting[-1], chip.measures, chip.market) if sorting else None  # the newest counts
    keys = {f"{judgement.rule.id}/{c.id}" for c in judgement.possible if c is not None} if judgement else set()
    certain = judgement is None or (judgement.certain and judgement.possible[0] is not None)
    reviews: list[Review] = []
    for rule in (r for r in rules if r.role == "review" and r.binds(date)):
        if rule.accelerators and chip.id not in rule.accelerators:
            continue
        over = keys & set(rule.over)
        if rule.over and not over:
            continue
        said = judge(rule, chip.measures, chip.market)
        hits = [c for c in said.possible if c is not None]
        if not hits:
            continue
        letter = any(f"{review.rule.id}/{review.found.id}" in over for review in reviews)
        reviews.append(Review(rule, hits[0], said.certain and (certain or letter or not rule.over)))
        keys |= {f"{rule.id}/{c.id}" for c in hits}
    return Standing(date, judgement, tuple(reviews))


def turning_dates(rules: Sequence[Rule]) -> list[str]:
    """Days on which something begins or ends that sorts or reviews chips."""
    days = {day for r in rules if r.role in ("class", "review") for day in (r.effective, r.until) if day}
    return sorted(days)
