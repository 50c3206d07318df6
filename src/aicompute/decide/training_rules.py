"""Training runs against the thresholds of laws and guidelines."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from aicompute import units
from aicompute.decide.chips import Span
from aicompute.decide.regimes import Judgement, Rule, RuleClass, judge, rules_of
from aicompute.errors import UnknownNameError, UsageError
from aicompute.estimate.inputs import architecture
from aicompute.policy.training_compute import training_compute
from aicompute.specs import Library
from aicompute.specs.files import built_in
from aicompute.specs.library import normal
from aicompute.workload.parameters import flops_per_token_training

SEQUENCE = 4096.0
"""Length of a training sequence that is assumed where none is given [token]."""
TABLE = "training_compute.csv"
_SHORT = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9, "g": 1e9, "t": 1e12}
_MEASURE = "training"


@dataclass(frozen=True)
class Published:
    """A training run as somebody told it."""

    model: str
    model_id: str
    developer: str
    date: str
    tokens: float | None
    flop: Span | None
    """As published, with the range that goes with it; else six times active parameters times tokens."""
    basis: str
    hardware: str
    source: str
    notes: str


@dataclass(frozen=True)
class Run:
    """A training run and its arithmetic."""

    name: str
    tokens: float | None
    flop: Span
    """From 6 N D to the count with causal attention, or as published."""
    basis: str
    published: tuple[Published, ...]


@dataclass(frozen=True)
class Crossing:
    """A rule, and where a training run stands to it."""

    rule: Rule
    judgement: Judgement | None
    """None where the rule has no threshold of training compute."""
    threshold: float | None
    """The lowest [FLOP]."""
    comparison: str
    ratio: float | None
    """Arithmetic of the run over the threshold."""
    also: tuple[str, ...]
    """Measures of stricter classes, such as revenue, on which they depend."""

    @property
    def verdict(self) -> str:
        """Over, under, or open where the ways of counting differ."""
        if self.judgement is None:
            return "no threshold"
        caught = [c is not None for c in self.judgement.possible]
        return "over" if all(caught) else "open" if any(caught) else "under"


def tokens_of(given: str | float, name: str = "train_tokens") -> float:
    """A number of tokens: a number, with a unit, or short as 14.8T; ``name`` is the argument that messages tell.

    Raises
    ------
    UsageError
        It cannot be read, or is not above 0.

    Examples
    --------
    >>> tokens_of("14.8T"), tokens_of("300 B"), tokens_of(1e12)
    (14800000000000.0, 300000000000.0, 1000000000000.0)
    """
    short = re.fullmatch(r"\s*([\d._]+(?:[eE][+-]?\d+)?)\s*([kKmMbBgGtT]?)\s*", given) if isinstance(given, str) else None
    try:
        number = float(short[1]) * _SHORT[short[2].lower()] if short else units.parse(given, "tokens")
    except ValueError:
        raise UsageError(f"{name} = {given!r}: expected a number of tokens, such as 14.8T or 14.8e12") from None
    if not 0.0 < number < 1e18:
        raise UsageError(f"{name} = {given!r}: expected more than 0 and less than 1e18 tokens")
    return number


@lru_cache(maxsize=1)
def published_runs() -> tuple[Published, ...]:
    """The training runs that ship with the evidence."""
    with (built_in("evidence") / TABLE).open(encoding="utf-8", newline="") as stream:
        return tuple(_published(row) for row in csv.DictReader(stream))


def _published(row: Mapping[str, str]) -> Published:
    """A run from its row."""
    flop = row["flop"] or row["six_nd_flop"]
    return Published(
        model=row["model"],
        model_id=row["model_id"],
        developer=row["developer"],
        date=row["date"],
        tokens=float(row["tokens_t"]) * 1e12 if row["tokens_t"] else None,
        flop=Span(float(flop), float(row["flop_low"] or flop), float(row["flop_high"] or flop)) if flop else None,
        basis=row["flop_basis"] if row["flop"] or not flop else "6 x active parameters x tokens",
        hardware=row["hardware"],
        source=row["source_ref"],
        notes=row["notes"],
    )


def run_of(lib: Library, model: str, tokens: str | float | None = None, sequence: float = SEQUENCE) -> Run:
    """A training run of a model whose architecture is known, or one that was published.

    Parameters
    ----------
    lib : Library
    model : str          Id or alias of a model, or a name in the table of published runs.
    tokens : optional    As `tokens_of`; None: as published.
    sequence : float     Tokens that attend to one another.

    Raises
    ------
    UnknownNameError
        Neither a model nor a published run.
    UsageError
        No tokens are given and none are published, or tokens are given for a model whose architecture is not known.
    """
    named = {normal(one.model): one for one in published_runs()}.get(normal(model))
    try:
        spec = lib.load("models", model if named is None else named.model_id or model)
    except UnknownNameError:
        return _told(lib, model, named, tokens)
    known = tuple(one for one in published_runs() if one.model_id == spec.id)
    if tokens is None:
        count = next((one.tokens for one in (named, *known) if one is not None and one.tokens), None)
        if count is None:
            said = next((one for one in known if one.flop), None)
            if said is not None and said.flop is not None:
                return Run(spec.id, None, said.flop, said.basis, known)
            raise UsageError(f"no number of training tokens is known for {spec.id}; give train_tokens, such as 14.8T")
    else:
        count = tokens_of(tokens)
    if spec.has("unsupported"):
        raise UsageError(f"{spec.id}: {spec.get('unsupported')}")
    arch = architecture(spec)
    plain, attending = (float(training_compute(flops_per_token_training(arch, sequence, way), count)) for way in ("6n", "causal"))
    basis = f"6 x active parameters x tokens; high: with attention over {sequence:,.0f} tokens"
    return Run(spec.id, count, Span(plain, min(plain, attending), max(plain, attending)), basis, known)


def _told(lib: Library, model: str, found: Published | None, tokens: str | float | None) -> Run:
    """A run that is only known by what was published."""
    if found is None:
        raise UnknownNameError("model", model, [*lib.ids("models"), *(normal(one.model) for one in published_runs())])
    if tokens is not None:
        raise UsageError(f"the architecture of {found.model} is not known, so train_tokens cannot be counted; leave it out")
    if found.flop is None:
        raise UsageError(f"nobody has published the training compute of {found.model} ({found.basis})")
    return Run(found.model, found.tokens, found.flop, found.basis, (found,))


def crossings(lib: Library, run: Run) -> list[Crossing]:
    """Every rule on training runs, and where a run stands to it."""
    return [_crossing(rule, run) for rule in rules_of(lib, "training")]


def training_thresholds(rules: Sequence[Rule]) -> dict[float, list[Rule]]:
    """Thresholds of training compute, ascending, with the rules that set them [FLOP]."""
    found: dict[float, list[Rule]] = {}
    for rule in rules:
        for limit in {limit for c in rule.classes for name, _, limit in c.tests if name == _MEASURE}:
            found.setdefault(limit, []).append(rule)
    return dict(sorted(found.items()))


def _crossing(rule: Rule, run: Run) -> Crossing:
    """Where a run stands to one rule; classes that do not speak of training compute are left out."""
    speaking = [c for c in rule.classes if any(name == _MEASURE for name, _, _ in c.tests)]
    if not speaking:
        return Crossing(rule, None, None, "", None, ())
    judgement = judge(rule, {_MEASURE: run.flop}, classes=speaking)
    comparison, lowest = min(((way, limit) for c in speaking for name, way, limit in c.tests if name == _MEASURE), key=lambda t: t[1])
    also = tuple(dict.fromkeys(name for c in judgement.possible if c is not None for name in _others(c)))
    return Crossing(rule, judgement, lowest, comparison, run.flop.value / lowest, also)


def _others(found: RuleClass) -> list[str]:
    """Measures other than training compute that a class asks for."""
    return [name for name, _, _ in found.tests if name != _MEASURE]
