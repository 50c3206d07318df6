"""Fit the values that calibration files name to the measurements that ship.

python calibration/fit.py                         # every layer in order, nothing written
python calibration/fit.py --write                 # and write the values into specs/
python calibration/fit.py products --leave family --leave stack
python calibration/fit.py training --leave group --folds 5
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from aicompute.evidence import calibration as cal
from aicompute.evidence.fit import fit
from aicompute.evidence.free import Space
from aicompute.specs import Library
from aicompute.units import to_unit

HERE = Path(__file__).parent
ORDER = ("products", "attention", "collectives", "training", "serving", "power")
"""Layers in the order in which one stands on another."""

ENOUGH_GROUPS, ENOUGH_ROWS = 5, 25
"""With fewer, each as far as it counts, a stack keeps the spread of its kind."""

SMALLEST = 0.03
"""Repeated measurements of one configuration differ by so much."""


@dataclass
class Line:
    """A row of a table of errors."""

    logarithms: list[np.ndarray] = field(default_factory=list)
    inside: list[np.ndarray] = field(default_factory=list)

    def shown(self, name: str) -> str:
        """In percent."""
        together = np.concatenate(self.logarithms)
        median, mean, p90, bias = (100.0 * one for one in cal.summary(together))
        inside = f"{100.0 * np.mean(np.concatenate(self.inside)):6.0f}" if self.inside else ""
        return f"  {name:50s} {len(together):5d} {median:6.1f} {mean:6.1f} {p90:6.1f} {bias:+6.1f} {inside}"


def print_table(title: str, lines: Mapping[str, Line]) -> None:
    """Print errors by name."""
    print(f"\n{title}, %\n  {'':50s} {'rows':>5s} {'median':>6s} {'mean':>6s} {'p90':>6s} {'bias':>6s} {'inside':>6s}")
    for name in sorted(lines):
        print(lines[name].shown(name))


def table_of(lib: Library, held: Sequence[cal.HeldOut], each: bool) -> dict[str, Line]:
    """Held-out errors by kind and metric, and by label if each is wanted."""
    lines: dict[str, Line] = defaultdict(Line)
    for one in held:
        line = lines[f"{one.kind} {one.metric}{f' {one.label}' if each else ''}"]
        line.logarithms.append(one.logarithms)
        sigma = lib.load("stacks", one.stack).si(f"residual.{one.residual}")
        line.inside.append(np.abs(one.logarithms) <= cal.QUANTILE * np.hypot(sigma, one.spreads))
    return lines


def write_residuals(lib: Library, calibration: cal.Calibration, held: Sequence[cal.HeldOut]) -> None:
    """Print and write how far held-out measurements spread around the formulas, of all stacks and of those with enough groups."""
    sorted_by: dict[tuple[str, str], list[cal.HeldOut]] = defaultdict(list)
    for one in held:
        root = lib.lineage("stacks", one.stack)[-1]
        sorted_by[root, one.residual].append(one)
        if one.stack != root:
            sorted_by[one.stack, one.residual].append(one)
    for (stack, residual), found in sorted(sorted_by.items()):
        groups = {group for one in found for group in one.groups}
        rows = round(sum(float(np.sum(one.weights)) for one in found))
        if not stack.startswith("generic") and (len(groups) < ENOUGH_GROUPS or rows < ENOUGH_ROWS):
            continue
        sigma = max(cal.spread_needed(found), SMALLEST)
        print(f"residual.{residual} of {stack}: {sigma:.3f} ({rows} rows, {len(groups)} groups)")
        cal.write_residual(lib, calibration, stack, residual, sigma, rows)


def run(layer: str, leave: Sequence[str], folds: int, write: bool, residuals: bool) -> list[str]:
    """One layer; what the specs say otherwise than the fit."""
    lib = Library()
    calibration = cal.read_calibration(lib, HERE / f"{layer}.toml")
    space = Space(lib, calibration.free)
    parts = cal.calibration_parts(lib, calibration, cal.tables_of(calibration.files))
    began = time.process_time()
    fitted = fit(space, parts)
    rows = sum(int(np.count_nonzero(part.weight)) for part in parts)
    print(f"\n{layer}: {len(calibration.free)} values, {rows} measurements, {time.process_time() - began:.0f} s of CPU")
    print(f"  {'value':58s} {'prior':>10s} {'fitted':>10s} {'+-':>7s} {'learned':>7s}")
    for one, value, spread, learned in zip(calibration.free, space.values(fitted.moved), fitted.spreads, fitted.learned, strict=True):
        unit = lib.load(*one.place[:2]).value(one.place[2]).unit
        prior, found = to_unit(one.prior, unit), to_unit(float(value), unit)
        print(f"  {one.name:58s} {prior:10.4g} {found:10.4g} {spread:7.3f} {learned:7.2f} {unit}")
    used = [part for part in parts if part.weight.any()]
    seen = [one for part in used for one in cal.held_out(fitted, part, dict.fromkeys(part.batch.indices, ""), [""])]
    print_table("in sample", table_of(lib, seen, each=False))
    for column in leave:
        began = time.process_time()
        held = cal.leave_out(
            lib, space, parts, column, folds if column == "group" else 0,
            progress=lambda text: print(text, end="\r", file=sys.stderr),
        )
        print_table(f"left out by {column} ({time.process_time() - began:.0f} s of CPU)", table_of(lib, held, each=False))
        if column != "group":
            print_table(f"left out by {column}, each", table_of(lib, held, each=True))
        if residuals and column == "group":
            write_residuals(lib, calibration, held)
    if write:
        for path in cal.write(lib, calibration, fitted):
            print(f"wrote {path.parent.name}/{path.name}")
    return cal.stale(lib, fitted)


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("layers", nargs="*", choices=[*ORDER, []], help="default: all that have a file")
    parser.add_argument("--leave", action="append", default=[], help="leave out by family, accelerator, stack, model, group or a column")
    parser.add_argument("--folds", type=int, default=5, help="of --leave group")
    parser.add_argument("--write", action="store_true", help="write the values into specs/")
    parser.add_argument("--residuals", action="store_true", help="with --leave group: write spreads that hold 90 %% of the rows left out")
    parser.add_argument("--check", action="store_true", help="fail where the specs say something else than the fit")
    given = parser.parse_args()
    stale = [
        name
        for layer in given.layers or [name for name in ORDER if (HERE / f"{name}.toml").exists()]
        for name in run(layer, given.leave, given.folds, given.write, given.residuals)
    ]
    if given.check and stale:
        sys.exit("not what the fit gives; run with --write:\n" + "\n".join(stale))


if __name__ == "__main__":
    main()
