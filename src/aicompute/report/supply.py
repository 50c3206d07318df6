"""The supply of a fleet as tables and records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aicompute.decide.supply import Concentration, Exposure
from aicompute.errors import UnknownNameError
from aicompute.report.printed import Printed
from aicompute.report.records import SCHEMA, clean
from aicompute.report.sheet import Prose, Sheet, Table, joined
from aicompute.report.text import Cell, comma_separated
from aicompute.units import plain


@dataclass(frozen=True, repr=False)
class SupplyView(Printed):
    """Who a fleet depends on; `exposure` is the record behind it."""

    exposure: Exposure

    def __getitem__(self, step: str) -> Concentration:
        """A step of the supply: designer, foundry, memory, or the country of one."""
        found = {each.step: each for each in self.exposure.steps}
        if step not in found:
            raise UnknownNameError("step of the supply", step, found)
        return found[step]

    def _csv(self) -> str:
        """A row a holder of each step."""
        heads = ["step", "holder", "alone", "even", "touched", "herfindahl", "herfindahl_most"]
        return comma_separated(heads, self._rows(plain_numbers=True))

    def to_dict(self) -> dict[str, Any]:
        """The answer as ``--format json`` writes it."""
        e = self.exposure
        found: dict[str, Any] = clean({
            "schema": SCHEMA,
            "capital_usd": e.capital,
            "accelerator_share": e.accelerator_share,
            "fleet": [{
                "system": i.system, "accelerator": i.accelerator, "units": i.units, "capital_usd": i.capital,
                "accelerator_capital_usd": i.accelerator_capital, "process": i.made.process or None, "assembly": i.made.assembly or None,
                "notes": i.made.notes or None, "recalled": list(i.made.recalled), "source": i.made.source or None,
            } for i in e.items],
            "steps": [{
                "step": s.step, "herfindahl": s.index, "herfindahl_most": s.index_most, "largest": s.largest,
                "holders": [{"id": h.id, "name": h.name, "alone": h.alone, "even": h.even, "touched": h.touched} for h in s.holders],
            } for s in e.steps],
            "notes": self.notes,
        })  # fmt: skip
        return found

    @property
    def notes(self) -> list[str]:
        """What the shares mean."""
        e = self.exposure
        found = [
            f"Shares are of what the accelerators cost, {e.accelerator_share:.0%} of the capital; who makes the rest (servers, network, "
            "cooling) is not in the specs.",
            "Alone: nobody else makes these. Even: several makers share evenly. Touched: it is one of the makers. The truth lies between "
            "the first and the last; shares of several makers are seldom published.",
            "HHI: 1 where one holds all, 1/n where n hold the same; at the even split, and at the one that concentrates most.",
        ]
        recalled = [f"{i.accelerator} ({', '.join(i.made.recalled)})" for i in e.items if i.made.recalled]
        if recalled:
            found.append(f"From memory, not from a page that was read: {joined(recalled)}.")
        return found + [f"{i.accelerator}: {i.made.notes}." for i in e.items if i.made.notes]

    def _rows(self, plain_numbers: bool = False) -> list[list[Cell]]:
        """A row a holder, under its step."""
        rows: list[list[Cell]] = []
        for step in self.exposure.steps:
            for number, h in enumerate(step.holders):
                shares: list[Cell] = [h.alone, h.even, h.touched]
                if plain_numbers:
                    rows.append([step.step, h.id, *shares, step.index, step.index_most])
                    continue
                index = f"{step.index:.2f}" + (f" to {step.index_most:.2f}" if step.index_most - step.index > 0.005 else "")
                rows.append([step.step if not number else "", h.name, *(f"{share:.0%}" for share in (h.alone, h.even, h.touched)),
                             index if not number else ""])  # fmt: skip
        return rows

    def _sheet(self, notes: bool = True) -> Sheet:
        e = self.exposure
        fleet: list[list[Cell]] = [
            [i.system, f"{i.units:g}", f"{plain(i.capital / 1e6)} M USD", f"{i.capital / e.capital:.0%}", i.accelerator, i.made.process]
            for i in e.items
        ]
        share = f"{e.accelerator_share:.0%} of the capital"
        blocks: list[Table | Prose] = [
            Table(["system", "units", "capital", "share", "accelerator", "process"], fleet, "The fleet"),
            Table(["step", "who", "alone", "even", "touched", "HHI"], self._rows(), f"On whom the accelerators depend ({share})"),
        ]
        if notes:
            blocks.append(Prose([("", f"- {note}") for note in self.notes], "Notes"))
        return Sheet("Supply of a fleet", "", blocks)
