"""Costs of an accelerator-hour and provisioned power against those that a public dashboard uses: evidence/cluster_costs.csv.

python benchmarks/cluster_costs.py

Ours: many units with the network between them, owned at the US average on the terms that sites share, at full power all the time; power at
the meter. The dashboard's terms are not published, so its two kinds of owner stand for a range.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

import aicompute as ac
from aicompute.specs.files import built_in

UNITS = 100
POWER = "provisioned power"


@dataclass(frozen=True)
class Check:
    """One figure of the dashboard and ours."""

    system: str
    quantity: str
    theirs: float
    value: float
    low: float
    high: float

    @property
    def error(self) -> float:
        """Ours over theirs, less one."""
        return self.value / self.theirs - 1.0


def checks(samples: int = 400) -> Iterator[Check]:
    """Every row of the file that we have a cost or power for: rents are a price, not a cost."""
    with (built_in("evidence") / "cluster_costs.csv").open(encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if "rental" not in row["quantity"]]
    trees = {}
    for row in rows:
        if row["system"] not in trees:
            count = UNITS * ac.load(row["system"], "systems").si("accelerators")
            trees[row["system"]] = ac.cost(row["system"], accelerators=count, samples=samples).tree
        tree = trees[row["system"]]
        if row["quantity"] == POWER:
            pue = float(tree.offer.terms.pue)
            mine = [number * pue / tree.accelerators for number in (tree.rated.value, tree.rated.low, tree.rated.high)]
        else:
            cost = tree.root.cost
            mine = [number * 3600.0 / tree.accelerators for number in (cost.value, cost.low, cost.high)]
        yield Check(row["system"], row["quantity"], float(row["value"]), mine[0], mine[1], mine[2])


def main() -> None:
    """Print every figure and the errors by quantity."""
    found = list(checks())
    print(f"{'system':14} {'quantity':24} {'theirs':>8} {'ours':>8} {'90 % interval':>17} {'error':>7}")
    for one in found:
        interval = f"{one.low:.4g}-{one.high:.4g}"
        print(f"{one.system:14} {one.quantity:24} {one.theirs:8.4g} {one.value:8.4g} {interval:>17} {one.error:+7.1%}")
    for quantity in dict.fromkeys(one.quantity for one in found):
        own = [one for one in found if one.quantity == quantity]
        inside = sum(one.low <= one.theirs <= one.high for one in own)
        print(f"{quantity}: median error {median(abs(one.error) for one in own):.1%}, {inside} of {len(own)} inside the interval")


if __name__ == "__main__":
    main()
