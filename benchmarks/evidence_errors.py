"""Error of the predictions on a folder of measurements (training.csv, serving.csv), by stack, accelerator, mode and model.

`python benchmarks/evidence_errors.py FOLDER` prints the tables; `--limits benchmarks/limits.toml` fails where a median is too large.
"""

import argparse
import csv
import statistics
import sys
import time
import tomllib
from collections import defaultdict
from pathlib import Path

from aicompute.errors import AicomputeError
from aicompute.evidence import serving as served
from aicompute.evidence import training as trained
from aicompute.specs import Library

OUTSIDE = 3
"""Exit code where a median error exceeds its limit."""


class Errors:
    """Relative errors (predicted / measured - 1) by table and line, and the rows left out by reason."""

    def __init__(self):
        self.tables = defaultdict(lambda: defaultdict(list))
        self.skipped = defaultdict(int)
        self.seconds = 0.0

    def add(self, error, **lines):
        for table, line in lines.items():
            self.tables[table][line].append(error)


def measured_step(row, case):
    """The step time of a row, or what its token rate says."""
    if row["step_time_s"]:
        return float(row["step_time_s"])
    return case.global_batch * case.sequence / (float(row["tokens_per_s_per_accelerator"]) * float(row["n_accelerators"]))


def training_errors(folder, show):
    lib, found, start = Library(), Errors(), time.perf_counter()
    for row in rows_of(folder / "training.csv"):
        try:
            case = trained.training_case(lib, row)
            step = float(trained.predict_training(lib, case).step)
        except AicomputeError as error:
            found.skipped[str(error)[:100]] += 1
            continue
        measured = measured_step(row, case)
        error = step / measured - 1.0
        found.add(
            error,
            all="all",
            kind="MoE" if row["n_experts"] else "dense",
            stack=f"{row['stack']} {row['accelerator'].split('-', 1)[1]}",
            precision=row["precision"],
        )
        if show:
            plan = f"tp{row['tp']} pp{row['pp']} vpp{row['vpp']} ep{row['ep']} mb{row['micro_batch']}"
            print(
                f"{row['id']:<14} {row['model'][:16]:<16} {row['accelerator'][-10:]:<10} n={row['n_accelerators']:<5} {plan} "
                f"{row['precision']:<6} {measured:8.3f} {step:8.3f} {100 * error:+6.1f}%"
            )
    found.seconds = time.perf_counter() - start
    return found


def serving_errors(folder, show):
    lib, found, start = Library(), Errors(), time.perf_counter()
    for row in rows_of(folder / "serving.csv"):
        try:
            case = served.serving_case(lib, row)
            rate, share = served.predict_serving(lib, case)
        except AicomputeError as error:
            found.skipped[str(error)[:100]] += 1
            continue
        predicted = {
            "output_tokens_per_s_per_accelerator": rate.output_rate / share,
            "input_tokens_per_s_per_accelerator": rate.input_rate / share,
            "tpot_ms": rate.tpot * 1e3,
            "ttft_ms": rate.ttft * 1e3,
        }
        for metric, value in predicted.items():
            if not row[metric] or (metric.startswith("input") and case.mode != "prefill"):
                continue
            measured = float(row[metric])
            error = float(value) / measured - 1.0
            short = metric.split("_")[0]
            found.add(
                error,
                all=short,
                mode=f"{short} {case.mode}",
                stack=f"{short} {row['id'].rsplit('-', 1)[0]} {case.stack}",
                accelerator=f"{short} {row['accelerator']}",
                model=f"{short} {row['model']}",
            )
            if show:
                plan = f"tp{case.plan.tp:g} dp{case.plan.dp:g} ep{case.plan.ep:g}"
                load = f"isl{case.input_length:g} osl{case.output_length:g} c{case.sequences:g} b{float(rate.sequences):.0f}"
                print(
                    f"{row['id']:<16} {short:<6} {row['model'][:18]:<18} {row['accelerator'][7:]:<12} {row['stack'][:10]} "
                    f"{case.mode[:14]} {plan} {load} {row['weight_precision']} {measured:.1f} {float(value):.1f} {100 * error:+.1f}%"
                )
    found.seconds = time.perf_counter() - start
    return found


READERS = {"training": training_errors, "serving": serving_errors}


def rows_of(path):
    with path.open(newline="", encoding="utf-8") as file:
        yield from csv.DictReader(file)


def statistics_of(errors):
    """Number, median, mean and ninth decile of the size of the errors, and their median with its sign [%]."""
    size = sorted(100.0 * abs(e) for e in errors)
    tenth = size[min(int(0.9 * len(size)), len(size) - 1)]
    return len(size), statistics.median(size), statistics.fmean(size), tenth, 100.0 * statistics.median(errors)


def print_table(title, lines, style):
    heads = ("n", "median", "mean", "p90", "bias")
    ordered = sorted(lines.items(), key=lambda item: -len(item[1]))
    if style == "markdown":
        print(f"| {title} | {' | '.join(heads)} |\n|---|{'---:|' * len(heads)}")
    else:
        print(f"{title:<50} {'n':>4} {'median':>7} {'mean':>7} {'p90':>7} {'bias':>7}")
    for name, errors in ordered:
        n, median, mean, tenth, bias = statistics_of(errors)
        if style == "markdown":
            print(f"| {name} | {n} | {median:.1f} % | {mean:.1f} % | {tenth:.1f} % | {bias:+.1f} % |")
        else:
            print(f"{name[:50]:<50} {n:>4} {median:>6.1f}% {mean:>6.1f}% {tenth:>6.1f}% {bias:>+6.1f}%")
    if style == "markdown":
        print()


def beyond(limits, found):
    """A line for every limit: whether the median is within it; and the number that are not."""
    failed = 0
    for kind, tables in limits.items():
        if kind not in found:
            continue
        for table, lines in tables.items():
            for line, limit in lines.items():
                errors = found[kind].tables.get(table, {}).get(line, [])
                median = statistics_of(errors)[1] if errors else None
                bad = median is None or median > limit
                failed += bad
                reached = "no rows" if median is None else f"median {median:.1f} % of {len(errors)}"
                print(f"{'FAIL' if bad else 'ok':<4} {kind}, {line}: {reached}, limit {limit:g} %")
    return failed


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="folder that holds training.csv and serving.csv")
    parser.add_argument("what", nargs="?", choices=tuple(READERS), help="only these rows (default: both)")
    parser.add_argument("--rows", action="store_true", help="print every row as well")
    parser.add_argument("--tables", metavar="NAME,...", help="only these tables, such as all,mode")
    parser.add_argument("--format", choices=("table", "markdown"), default="table", help="how to print")
    parser.add_argument("--limits", metavar="FILE", type=Path, help=f"largest median errors; exit {OUTSIDE} where one is exceeded")
    given = parser.parse_args(arguments)
    kinds = [given.what] if given.what else list(READERS)
    missing = [str(given.folder / f"{kind}.csv") for kind in kinds if not (given.folder / f"{kind}.csv").is_file()]
    if missing:
        parser.error(f"no file {' or '.join(missing)}")
    limits = tomllib.loads(given.limits.read_text(encoding="utf-8")) if given.limits else {}
    wanted = given.tables.split(",") if given.tables else None
    found = {}
    for kind in kinds:
        found[kind] = READERS[kind](given.folder, given.rows)
        for title, lines in found[kind].tables.items():
            if wanted is None or title in wanted:
                print_table(f"{kind}: {title}", lines, given.format)
        for reason, count in found[kind].skipped.items():
            print(f"left out {count} rows: {reason}", file=sys.stderr)
        print(f"{kind}: {found[kind].seconds:.1f} s", file=sys.stderr)
    if not limits:
        return 0
    failed = beyond(limits, found)
    print(f"{failed} of the limits in {given.limits} not kept" if failed else f"all limits in {given.limits} kept")
    return OUTSIDE if failed else 0


if __name__ == "__main__":
    sys.exit(main())
