"""Rules as tables and records: what chips count as, how they stand on a date, and training runs against thresholds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aicompute.decide.answer import RulesAnswer
from aicompute.decide.chips import UNKNOWN, Chip, Span
from aicompute.decide.regimes import NONE, Standing
from aicompute.decide.training_rules import Crossing, Run
from aicompute.errors import UnknownNameError, UsageError
from aicompute.report.printed import Printed
from aicompute.report.records import SCHEMA, clean
from aicompute.report.rules_training import run_blocks, run_record, run_rows
from aicompute.report.sheet import Prose, Sheet, Table, joined
from aicompute.report.text import Cell, comma_separated
from aicompute.specs import Library
from aicompute.specs.policy_keys import MEASURES
from aicompute.units import format_si

DISCLAIMER = (
    "For information: the formula of the regulation on the values of the specs. No legal advice; the text of a rule, its annexes and an "
    "official classification decide."
)
_ENTRY = "3A090."
"""Left out where a class stands in a narrow column."""
_SIDE_BY_SIDE = 3
"""Chips that fit beside each other in 80 columns."""


@dataclass(frozen=True, repr=False)
class RulesView(Printed):
    """What rules say; `answer` is the record behind it, in SI units."""

    answer: RulesAnswer
    library: Library

    @property
    def chips(self) -> tuple[Chip, ...]:
        """The accelerators judged."""
        return self.answer.chips

    @property
    def run(self) -> Run | None:
        """The training run."""
        return self.answer.run

    def __getitem__(self, identifier: str) -> Chip:
        """A chip by its id."""
        found = {chip.id: chip for chip in self.chips}
        if identifier not in found:
            raise UnknownNameError("accelerator of this answer", identifier, found)
        return found[identifier]

    def standing(self, identifier: str, date: str | None = None) -> Standing:
        """How a chip stands on one of the dates; the last where none is given."""
        chip = self[identifier]
        if date is not None and date not in self.answer.dates:
            raise UnknownNameError("date of this answer", date, self.answer.dates)
        place = self.answer.dates.index(date) if date is not None else -1
        return self.answer.standings[self.chips.index(chip)][place]

    def crossing(self, rule: str) -> Crossing:
        """Where the training run stands to a rule, by its id."""
        found = {crossing.rule.id: crossing for crossing in self.answer.crossings}
        if rule not in found:
            raise UnknownNameError("rule on training", rule, found)
        return found[rule]

    def to_dict(self) -> dict[str, Any]:
        """The answer as ``--format json`` writes it."""
        a = self.answer
        found: dict[str, Any] = {"schema": SCHEMA, "notice": DISCLAIMER, "jurisdiction": a.jurisdiction, "date": a.date or None}
        found["accelerators"] = [_chip_record(c, s) for c, s in zip(self.chips, self.answer.standings, strict=True)]
        found["systems"] = [
            {"id": s.id, "accelerator": s.accelerator, "accelerators": s.accelerators, "tpp": _span_record(s.tpp)}
            for s in self.answer.systems
        ]
        found["training"] = run_record(self.answer)
        found["notes"] = self.notes
        cleaned: dict[str, Any] = clean(found)
        return cleaned

    @property
    def notes(self) -> list[str]:
        """What a reader should know before the numbers are used."""
        found = [DISCLAIMER]
        if self.chips:
            found.append(
                "The class is what the formula gives; whether the rules of a country reach a chip made elsewhere is another question."
            )
            last = max((rule.effective for rule in self.answer.rules if rule.effective), default="")
            found.append(f"The newest rule on chips in the specs is of {last}.")
            found += _uncertain(self.chips, self.answer.standings)
        return found

    def _sheet(self, notes: bool = True) -> Sheet:
        blocks: list[Table | Prose] = []
        if self.chips:
            blocks += self._side_by_side() if len(self.chips) <= _SIDE_BY_SIDE else self._rows()
        if self.answer.systems:
            blocks += self._totals()
        blocks += run_blocks(self.answer)
        blocks.append(Prose(self._sources(), "Rules and their sources"))
        if notes:
            blocks.append(Prose([("", f"- {note}") for note in self.notes], "Notes"))
        title = "Rules on chips" if self.chips and not self.run else "Rules on a training run" if not self.chips else "Rules"
        when = f"On {self.answer.date}. " if self.answer.date else ""
        return Sheet(title, f"{when}For information; no legal advice.", blocks)

    def _sources(self) -> list[tuple[str, str]]:
        """The rules that spoke, with their sources and what a reader should know of them."""
        spoke = [one.judgement.rule for each in self.answer.standings for one in each if one.judgement is not None]
        spoke += [review.rule for each in self.answer.standings for one in each for review in one.reviews]
        spoke += [crossing.rule for crossing in self.answer.crossings]
        known = self.library.sources()
        return [(rule.id, ". ".join(part for part in (_title(known, rule.source), rule.notes) if part)) for rule in dict.fromkeys(spoke)]

    def _side_by_side(self) -> list[Table | Prose]:
        """A column a chip."""
        lines = [_facts(chip, self.library) for chip in self.chips]
        rows: list[list[Cell]] = [[label, *(each[label] for each in lines)] for label in lines[0]]
        stands: list[list[Cell]] = [[day, *(_stands(each[k]) for each in self.answer.standings)] for k, day in enumerate(self.answer.dates)]
        heads = ["", *(chip.id for chip in self.chips)]
        return [
            Table(heads, rows, "What counts"),
            Table(["on" if self.answer.date else "from", *heads[1:]], stands, f"Class under export control ({self.answer.jurisdiction})"),
            Prose(_meanings(self.answer.standings), "What the classes mean"),
        ]

    def _rows(self) -> list[Table | Prose]:
        """A row a chip."""
        a = self.answer
        sorting = [day for day in a.dates if a.date or any(r.role == "class" and r.effective == day for r in a.rules)]
        rows: list[list[Cell]] = [
            [chip.id, _about(chip.tpp, 0), _about(chip.density, 2), *(", ".join(_short(each[a.dates.index(day)])) for day in sorting),
             "; ".join(_reviewed(each[-1]))]
            for chip, each in zip(a.chips, a.standings, strict=True)
        ]  # fmt: skip
        heads = ["accelerator", "TPP", "PD", *(day if a.date else day[:7] for day in sorting), f"reviews, {a.dates[-1][:7]}"]
        heading = "Performance (TPP), density (PD), and class from each date on; ~ sources differ, ? not known"
        return [Table(heads, rows, heading), Prose(_meanings(a.standings), "What the classes mean")]

    def _totals(self) -> list[Table | Prose]:
        a = self.answer
        rows: list[list[Cell]] = [[s.id, f"{s.accelerators:,.0f}", s.accelerator, _number(s.tpp)] for s in a.systems]
        blocks: list[Table | Prose] = [Table(["system", "chips", "accelerator", "TPP of a unit"], rows, "A unit of each system")]
        for rule, c in [(each, c) for each in a.country for c in each.classes]:
            for limit in (limit for name, _, limit in c.tests if name == "country_tpp"):
                held = joined(f"{limit / s.tpp.value:,.0f} units of {s.id}" for s in a.systems)
                state = rule.state(a.date) if a.date and a.date < rule.effective else rule.ended or rule.standing
                blocks.append(Prose([(f"{c.label} ({rule.name}; {state})", f"{limit / 1e6:,.0f} M TPP a country, or {held}")]))
        return blocks

    def _csv(self) -> str:
        """A row a chip and date, or a row a rule on a training run."""
        if self.run is not None and self.chips:
            raise UsageError("csv holds one table; ask for chips and for a training run one after the other")
        if self.run is not None:
            return comma_separated(*run_rows(self.run, self.answer.crossings))
        heads = [
            "accelerator", "tpp", "tpp_low", "tpp_high", "precision", "bits", "density", "density_low", "density_high", "area [mm^2]",
            "transfer_rate [GB/s]", "memory_bandwidth [GB/s]", "date", "class", "possible", "reviews",
        ]  # fmt: skip
        return comma_separated(heads, [_csv_row(c, s) for c, each in zip(self.chips, self.answer.standings, strict=True) for s in each])


def _title(known: Mapping[str, Any], source: str) -> str:
    """A source with its date, where the bibliography has them."""
    entry = known.get(source, {})
    title, date = str(entry.get("title", source)), str(entry.get("date", ""))
    return title if date in title else f"{title}, {date}"


def _facts(chip: Chip, lib: Library) -> dict[str, Cell]:
    """What counts of a chip, by label."""

    def names(ids: Sequence[str], key: str) -> str:
        said = ", ".join(lib.load("suppliers", each).name if each in lib.ids("suppliers") else each for each in ids)
        return f"{said or 'not known'}{' (recalled)' if said and key in chip.made.recalled else ''}"

    return {
        "TPP": _number(chip.tpp),
        "counted at": f"{format_si(chip.rate, 'OP/s', 4).removesuffix('OP/s')}{_rate_unit(chip)} x {chip.bits:g} bits ({chip.precision})",
        "logic dies": f"{_number(_scaled(chip.area, 1e-6))} mm²" if chip.area is not UNKNOWN else "not known",
        "PD": _number(chip.density, 2),
        "links, both ways": f"{_number(_scaled(chip.transfer_rate, 1e9))} GB/s" if chip.transfer_rate is not UNKNOWN else "not known",
        "DRAM bandwidth": f"{_number(_scaled(chip.memory_bandwidth, 1e9))} GB/s",
        "market": chip.market or "not known",
        "process": chip.made.process or "not known",
        "foundry": names(chip.made.foundries, "foundries"),
        "memory": f"{chip.made.memory_kind or 'not known'}: {names(chip.made.memory, 'memory')}",
        "packaging": chip.made.packaging or "not known",
    }


def _rate_unit(chip: Chip) -> str:
    """OP/s of integers, FLOP/s of the others."""
    return "OP/s" if chip.precision.startswith("int") else "FLOP/s"


def _scaled(span: Span, factor: float) -> Span:
    return Span(*(x / factor for x in span))


def _number(span: Span, digits: int = 0) -> str:
    """A span as people read it."""
    if span is UNKNOWN:
        return "not known"
    value, low, high = (f"{x:,.{digits}f}" for x in span)
    return value if low == high else f"{value} ({low}-{high})"


def _about(span: Span, digits: int) -> str:
    """A value alone, marked where sources differ."""
    return "?" if span is UNKNOWN else f"{'' if span.certain else '~'}{span.value:,.{digits}f}"


def _stands(standing: Standing) -> str:
    """A class, or those that are possible, and what reviews it."""
    said = " or ".join(_short(standing))
    return "; ".join([said, *_reviewed(standing)])


def _short(standing: Standing) -> list[str]:
    """The possible classes, the likely one first, without the number of the entry."""
    return [label.removeprefix(_ENTRY) for label in standing.labels]


def _reviewed(standing: Standing) -> list[str]:
    """What reviews a chip, in doubt with a question mark."""
    return [r.found.label + ("" if r.sure else "?") for r in standing.reviews]


def _meanings(standings: Sequence[Sequence[Standing]]) -> list[tuple[str, str]]:
    """Every class and review that occurs, with what follows and from where."""
    found: dict[str, str] = {}
    for standing in (one for each in standings for one in each):
        if standing.judgement is not None:
            rule = standing.judgement.rule
            for c in standing.judgement.possible:
                if c is not None:
                    short = c.label.removeprefix(_ENTRY)
                    entry = f"{c.label}, " if short != c.label else ""
                    found.setdefault(short, f"{entry}{c.effect} ({rule.instrument})")
        for review in standing.reviews:
            further = f", if {review.found.further}" if review.found.further else ""
            found.setdefault(review.found.label, f"{review.found.effect}{further} ({review.rule.instrument})")
    if any(NONE in one.labels for each in standings for one in each):
        found[NONE] = "caught by no test of the rule of that date"
    if any("?" in _stands(one) for each in standings for one in each):
        found["?"] = "holds for some of the values or classes that are possible"
    return list(found.items())


def _uncertain(chips: Sequence[Chip], standings: Sequence[Sequence[Standing]]) -> list[str]:
    """Why classes are open."""
    open_: dict[str, set[str]] = {}
    ranges: list[str] = []
    for chip, each in zip(chips, standings, strict=True):
        judged = [one.judgement for one in each if one.judgement is not None and not one.judgement.certain]
        for judgement in judged:
            for name in judgement.open:
                open_.setdefault("die area" if name == "density" else MEASURES[name][3], set()).add(chip.id)
        if any(not judgement.open for judgement in judged):
            ranges.append(chip.id)
    found = [f"Not known: the {what} of {joined(sorted(ids))}; so every class is named that is possible." for what, ids in open_.items()]
    if ranges:
        found.append(f"Sources differ, and the class with them: {joined(ranges)}. The likely class stands first.")
    return found


def _span_record(span: Span, scale: float = 1.0) -> dict[str, float] | None:
    return None if span is UNKNOWN else {"value": span.value / scale, "low": span.low / scale, "high": span.high / scale}


def _chip_record(chip: Chip, standings: Sequence[Standing]) -> dict[str, Any]:
    """A chip as JSON; units stand in the keys."""
    made = chip.made
    return {
        "id": chip.id,
        "name": chip.name,
        "tpp": _span_record(chip.tpp),
        "precision": chip.precision,
        "bit_length": chip.bits,
        "peak_op_per_s": chip.rate,
        "performance_density": _span_record(chip.density),
        "die_area_mm2": _span_record(chip.area, 1e-6),
        "transfer_rate_gb_per_s": _span_record(chip.transfer_rate, 1e9),
        "memory_bandwidth_gb_per_s": _span_record(chip.memory_bandwidth, 1e9),
        "market": chip.market or None,
        "made_by": {
            "designer": made.designer, "foundries": list(made.foundries), "process": made.process or None, "memory": list(made.memory),
            "memory_kind": made.memory_kind or None, "packaging": made.packaging or None, "assembly": made.assembly or None,
            "recalled": list(made.recalled), "notes": made.notes or None, "source": made.source or None,
        },
        "standings": [_standing_record(each) for each in standings],
    }  # fmt: skip


def _standing_record(standing: Standing) -> dict[str, Any]:
    judgement = standing.judgement
    return {
        "date": standing.date,
        "rule": judgement.rule.id if judgement else None,
        "class": standing.labels[0] if judgement and (judgement.certain or not judgement.open) else None,
        "possible": list(standing.labels),
        "unknown": list(judgement.open) if judgement else [],
        "reviews": [
            {"rule": r.rule.id, "label": r.found.label, "effect": r.found.effect, "conditions": r.found.further or None, "sure": r.sure}
            for r in standing.reviews
        ],
    }


def _csv_row(chip: Chip, standing: Standing) -> list[Cell]:
    def three(span: Span) -> list[Cell]:
        return [None, None, None] if span is UNKNOWN else list(span)

    record = _standing_record(standing)
    alone: list[Cell] = [
        None if span is UNKNOWN else span.value / scale
        for span, scale in ((chip.area, 1e-6), (chip.transfer_rate, 1e9), (chip.memory_bandwidth, 1e9))
    ]
    reviews = "; ".join(r["label"] for r in record["reviews"])
    return [
        chip.id, *three(chip.tpp), chip.precision, chip.bits, *three(chip.density), *alone, standing.date, record["class"],
        "; ".join(record["possible"]), reviews,
    ]  # fmt: skip
