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
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from aicompute.evidence import calibration as cal
from aicompute.evidence.fit import errors, fit
from aicompute.evidence.free import Space
from aicompute.specs import Library
from aicompute.units import to_unit

HERE = Path(__file__).parent
ORDER = ("products", "attention", "collectives", "training", "serving", "power")
"""Layers in the order in which one stands on another."""


def line(name: str, count: int, logarithms: np.ndarray) -> str:
    """A row of a table of errors, in percent."""
    median, mean, p90, bias = (100.0 * one for one in cal.summary(logarithms))
    return f"  {name:44s} {count:6d} {median:8.1f} {mean:8.1f} {p90:8.1f} {bias:+8.1f}"


def table_of(title: str, found: Sequence[tuple[str, np.ndarray]]) -> None:
    """Print errors by name, put together where names repeat."""
    print(f"\n{title}\n  {'':44s} {'rows':>6s} {'median':>8s} {'mean':>8s} {'p90':>8s} {'bias':>8s}   [%]")
    for name in sorted({name for name, _ in found}):
        together = np.concatenate([one for other, one in found if other == name])
        print(line(name, len(together), together))


def run(layer: str, leave: Sequence[str], folds: int, write: bool) -> None:
    """One layer."""
    lib = Library()
    calibration = cal.read_calibration(lib, HERE / f"{layer}.toml")
    space = Space(lib, calibration.free)
    parts = cal.calibration_parts(lib, calibration, cal.tables_of(calibration.files))
    began = time.process_time()
    fitted = fit(space, parts)
    print(f"\n{layer}: {len(calibration.free)} values, {len(fitted.residuals)} measurements, {time.process_time() - began:.0f} s of CPU")
    print(f"  {'value':58s} {'prior':>10s} {'fitted':>10s} {'+-':>7s} {'learned':>7s}")
    for one, value, spread, learned in zip(calibration.free, space.values(fitted.moved), fitted.spreads, fitted.learned, strict=True):
        unit = lib.load(*one.place[:2]).value(one.place[2]).unit
        print(f"  {one.name:58s} {to_unit(one.prior, unit):10.4g} {to_unit(float(value), unit):10.4g} {spread:7.3f} {learned:7.2f} {unit}")
    seen = [
        (f"{part.table.kind.name} {part.metric}", found[np.isfinite(found) & (part.weight > 0.0)])
        for part, found in zip(parts, errors(space, fitted.moved, parts), strict=True)
    ]
    table_of("in sample", seen)
    for column in leave:
        held = cal.leave_out(
            lib, space, parts, column, folds if column == "group" else 0, fitted.moved * 0.0,
            progress=lambda text: print(text, end="\r", file=sys.stderr),
        )
        table_of(f"left out by {column}", [(f"{one.kind} {one.metric}", one.logarithms) for one in held])
        if column != "group":
            table_of(f"left out by {column}, each", [(f"{one.kind} {one.metric} {one.label}", one.logarithms) for one in held])
    if write:
        for path in cal.write(lib, calibration, fitted):
            print(f"wrote {path.parent.name}/{path.name}")


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("layers", nargs="*", choices=[*ORDER, []], help="default: all that have a file")
    parser.add_argument("--leave", action="append", default=[], help="leave out by family, accelerator, stack, model, group or a column")
    parser.add_argument("--folds", type=int, default=5, help="of --leave group")
    parser.add_argument("--write", action="store_true", help="write the values into specs/")
    given = parser.parse_args()
    for layer in given.layers or [name for name in ORDER if (HERE / f"{name}.toml").exists()]:
        run(layer, given.leave, given.folds, given.write)


if __name__ == "__main__":
    main()
