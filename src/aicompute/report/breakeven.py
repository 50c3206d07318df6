"""Where two systems break even, on a page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aicompute.decide.breakeven import AXES, BreakEven
from aicompute.decide.costs import PARTS, CostTree
from aicompute.estimate.result import Metric
from aicompute.report.money import Page, record_of
from aicompute.report.numbers import chance_text, percent, spread
from aicompute.report.records import SCHEMA, clean
from aicompute.report.sheet import Prose, Sheet, Table, joined
from aicompute.report.text import Cell
from aicompute.units import factor_of

MILLION = 1e6


@dataclass(frozen=True, repr=False)
class BreakEvenView(Page):
    """Where a token costs the same on two systems; `answer` is the record behind it, in SI units."""

    answer: BreakEven

    columns = ("axis", "of", "metric", "system", "site", "value", "low", "high", "unit")

    @property
    def root(self) -> Metric | None:
        """The break-even in SI units; None where there is none in the range."""
        return self.answer.root

    @property
    def notes(self) -> tuple[str, ...]:
        """What is held fixed, and how sure a break-even is."""
        a = self.answer
        found = ["rates of tokens and power at work are those of the terms as they stand; no plan is searched again"]
        if a.changes > 1:
            found.append(f"the cheaper side changes {a.changes} times in the range; the first is shown")
        if a.share == a.share and 0.0 < a.share < 0.995:
            made = "" if a.root is None else ", of which the interval is made"
            found.append(f"{percent(a.share)} of the draws break even in the range{made}")
        if a.counted != PARTS:
            found.append(f"counted: {joined(a.counted)}")
        return tuple(found)

    @property
    def sentence(self) -> str:
        """The break-even in words."""
        a = self.answer
        title, sides = AXES[a.axis].title, _names(a.sides)
        where = "" if a.of == "both" else f" of {sides[0 if a.of == 'first' else 1]}"
        if a.root is None:
            same = a.below == a.above and a.below >= 0
            who = f"{sides[a.below]} is cheaper throughout" if same else "the two cost the same" if a.below < 0 else "none is certain"
            return f"No {title}{where} from {a.range.text} makes a token cost the same: {who}."
        size = factor_of(a.range.unit)[0]
        value = spread(a.root.value / size, a.root.low / size, a.root.high / size)
        below, above = (sides[end] if end >= 0 else "neither" for end in (a.below, a.above))
        return f"A token costs the same where the {title}{where} is {value}{a.range.behind}; below, {below} is cheaper, above, {above}."

    def sheet(self, notes: bool = True) -> Sheet:
        """The page: both sides, the sentence, notes."""
        a = self.answer
        rows: list[list[Cell]] = []
        for tree, now, par in zip(a.sides, a.now, a.rates, strict=True):
            rate = None if tree.offer.tokens_rate is None else tree.tokens_rate
            each = float(tree.offer.tokens_rate) / tree.accelerators if tree.offer.tokens_rate is not None else None
            shown = spread(each, *(_each(rate, tree) or (each, each))) if each is not None else ""
            rows.append([tree.system, tree.site, shown, _text(now, 1.0 / MILLION), _text(par, 1.0)])
        blocks: list[Table | Prose] = [Table(["system", "site", "tok/s/acc.", "USD/M tokens", "par tok/s/acc."], rows)]
        chance = a.probability
        lines = [("", self.sentence)]
        if chance == chance:
            lines.append(("", f"At the terms as they stand {_names(a.sides)[0]} is cheaper with a probability of {chance_text(chance)}."))
        lines.append(("", "Par: tokens/s of an accelerator at which the token costs what the other system's token costs."))
        blocks.append(Prose(lines))
        if notes:
            blocks.append(Prose([("", f"- {note}") for note in self.notes], "Notes"))
        return Sheet(f"Break-even over {AXES[a.axis].title}: {' against '.join(_names(a.sides))}", f"Terms: {self._terms()}.", blocks)

    def _terms(self) -> str:
        first, second = self.answer.sides
        use = percent(float(first.offer.utilisation))
        held = [f"{tree.system} {'rented' if tree.offer.rent is not None else 'owned'}" for tree in (first, second)]
        found = first.estimate
        work = f"{found.workload} of {found.model}" if found is not None else "rates of tokens as given, full power"
        return f"{work}; used {use} of the time; {joined(held)}{'; 90 % intervals' if first.drawn is not None else ''}"

    def to_dict(self) -> dict[str, Any]:
        """Root, range, both sides, notes."""
        a = self.answer
        size = factor_of(a.range.unit)[0]
        sides = [
            {
                "id": tree.system,
                "site": tree.site,
                "rented": tree.offer.rent is not None,
                "cost_per_million_tokens": record_of(now, "USD/Mtoken", 1.0 / MILLION),
                "break_even_tokens_per_s_per_accelerator": record_of(par, "token/s/accelerator"),
            }
            for tree, now, par in zip(a.sides, a.now, a.rates, strict=True)
        ]
        found: dict[str, Any] = clean(
            {
                "schema": SCHEMA,
                "axis": a.axis,
                "of": a.of,
                "counted": list(a.counted),
                "range": {"low": a.range.low / size, "high": a.range.high / size, "unit": a.range.unit},
                "break_even": record_of(a.root, a.range.unit, size),
                "changes": a.changes,
                "share_of_draws": a.share,
                "cheaper_at_low_end": _side(a.below, a.sides),
                "cheaper_at_high_end": _side(a.above, a.sides),
                "probability_first_cheaper": a.probability,
                "sides": sides,
                "verdict": self.sentence,
                "notes": list(self.notes),
            }
        )
        return found

    def rows(self) -> list[list[Cell]]:
        """A row a number, in the order of `columns`."""
        record = self.to_dict()
        head: list[Cell] = [record["axis"], record["of"]]
        found = [[*head, "break_even", "", "", *_cells(record["break_even"])]]
        for side in record["sides"]:
            for name in ("cost_per_million_tokens", "break_even_tokens_per_s_per_accelerator"):
                found.append([*head, name, side["id"], side["site"], *_cells(side[name])])
        return found


def _each(rate: Metric | None, tree: CostTree) -> tuple[float, float] | None:
    """The interval of a rate per accelerator."""
    return None if rate is None else (rate.low / tree.accelerators, rate.high / tree.accelerators)


def _names(sides: tuple[CostTree, CostTree]) -> tuple[str, str]:
    """Names that tell two sides apart, be they the same system."""
    first, second = sides
    if first.system != second.system:
        return first.system, second.system
    if first.site != second.site:
        return f"{first.system} in {first.site}", f"{second.system} in {second.site}"
    return tuple(f"{tree.system} {'rented' if tree.offer.rent is not None else 'owned'}" for tree in sides)  # type: ignore[return-value]


def _text(metric: Metric | None, size: float) -> str:
    return spread(metric.value / size, metric.low / size, metric.high / size) if metric is not None else ""


def _side(place: int, sides: tuple[CostTree, CostTree]) -> str | None:
    return _names(sides)[place] if place >= 0 else None


def _cells(record: dict[str, Any] | None) -> list[Cell]:
    return [record["value"], record["low"], record["high"], record["unit"]] if record else [None, None, None, ""]
