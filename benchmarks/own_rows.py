"""What a few rows of one's own are worth: each stack of the training evidence is calibrated on some of its rows and judged on the others.

python benchmarks/own_rows.py [ROWS] [DRAWS]

Once as a stack that nobody knows (it begins as generic-training), once as the one that the specs know.
"""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np

from aicompute.evidence import own
from aicompute.evidence.calibration import summary
from aicompute.evidence.files import Row, Table, read_table
from aicompute.evidence.judge import judge
from aicompute.specs import Library
from aicompute.specs.files import built_in

FEWEST = 20
"""Rows of a stack that takes part."""

MOST = 40
"""Rows on which it is judged."""


def part(table: Table, rows: list[Row], stack: str) -> Table:
    """Some rows, under a stack."""
    return replace(table, rows=tuple(replace(row, cells={**row.cells, "stack": stack, "group": ""}) for row in rows))


def size(lib: Library, table: Table) -> tuple[float, float]:
    """Median and mean of the errors' size."""
    found = [np.log(one.predicted / one.measured) for one in judge(lib, table) if not one.skipped]
    return summary(np.array(found))[:2]


def main(count: int = 5, draws: int = 3) -> None:
    """Print a line a stack, and all together."""
    own.ENOUGH = sys.maxsize  # rows left out of the few are not of interest here
    lib, table = Library(), read_table(built_in("evidence") / "training.csv")
    stacks = sorted({row.text("stack") for row in table.rows})
    for begin in ("generic-training", "itself"):
        together = []
        print(f"{count} rows, beginning as {begin}: median (mean) error of the other rows, %")
        for stack in stacks:
            rows = [row for row in table.rows if row.text("stack") == stack]
            if len(rows) < FEWEST:
                continue
            base = stack if begin == "itself" else begin
            found = []
            for seed in range(draws):
                order = np.random.default_rng(seed).permutation(len(rows))
                mine = part(table, [rows[place] for place in order[:count]], base)
                other = part(table, [rows[place] for place in order[count : count + MOST]], base)
                found.append((*size(lib, other), *size(own.calibrate(lib, [mine]).library(lib), other)))
            together += found
            show(stack, found)
        show("all", together)
        print(f"  {'most harm to a mean':26s} {100.0 * max(one[3] - one[1] for one in together):+.1f}\n")


def show(name: str, found: list[tuple[float, ...]]) -> None:
    """Mean over the draws."""
    before, mean_before, after, mean_after = 100.0 * np.mean(found, axis=0)
    print(f"  {name:26s} {before:5.1f} ({mean_before:.1f}) -> {after:5.1f} ({mean_after:.1f})", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
