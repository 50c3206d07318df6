"""Error of the predictions on folders of measurements: `python benchmarks/evidence_errors.py FOLDER [training|serving]`."""

import csv
import statistics
import sys
import time
from collections import defaultdict
from pathlib import Path

from aicompute.errors import AicomputeError
from aicompute.evidence import serving as served
from aicompute.evidence import training as rows
from aicompute.specs import Library


def table(title, errors, width=34):
    print(f"{title:<{width}} {'n':>4} {'median':>7} {'mean':>7} {'p90':>7} {'bias':>7}")
    for name, values in sorted(errors.items(), key=lambda kv: -len(kv[1])):
        size = sorted(abs(v) for v in values)
        print(f"{str(name)[:width]:<{width}} {len(size):>4} {100 * statistics.median(size):>6.1f}% {100 * statistics.fmean(size):>6.1f}% "
              f"{100 * size[min(int(0.9 * len(size)), len(size) - 1)]:>6.1f}% {100 * statistics.median(values):>+6.1f}%")


def training(folder):
    lib = Library()
    by = defaultdict(lambda: defaultdict(list))
    skipped = defaultdict(int)
    start = time.perf_counter()
    for row in csv.DictReader((folder / "training.csv").open()):
        try:
            case = rows.training_case(lib, row)
            step = rows.predict_training(lib, case).step
        except AicomputeError as error:
            skipped[str(error)[:100]] += 1
            continue
        measured = float(row["step_time_s"]) if row["step_time_s"] else case.global_batch * case.sequence / (float(row["tokens_per_s_per_accelerator"]) * float(row["n_accelerators"]))
        e = step / measured - 1.0
        by["all"]["all"].append(e)
        by["kind"]["MoE" if row["n_experts"] else "dense"].append(e)
        by["stack, accelerator"][f"{row['stack']} {row['accelerator'].split('-', 1)[1]}"].append(e)
        by["precision"][row["precision"]].append(e)
        if len(sys.argv) > 3:
            print(f"{row['id']:<14} {row['model'][:16]:<16} {row['accelerator'][-10:]:<10} n={row['n_accelerators']:<5} tp{row['tp']} pp{row['pp']} vpp{row['vpp']} ep{row['ep']} mb{row['micro_batch']} {row['precision']:<6} {measured:8.3f} {step:8.3f} {100 * e:+6.1f}%")
    for title, errors in by.items():
        table(title, errors)
    print(dict(skipped), f"{time.perf_counter() - start:.1f} s")


def serving(folder):
    lib = Library()
    by = defaultdict(lambda: defaultdict(list))
    skipped = defaultdict(int)
    start = time.perf_counter()
    for row in csv.DictReader((folder / "serving.csv").open()):
        try:
            case = served.serving_case(lib, row)
            rate, share = served.predict_serving(lib, case)
        except AicomputeError as error:
            skipped[str(error)[:100]] += 1
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
            e = value / float(row[metric]) - 1.0
            short = metric.split("_")[0]
            by["all"][short].append(e)
            by["mode"][f"{short} {case.mode}"].append(e)
            by["stack"][f"{short} {row['id'].rsplit('-', 1)[0]} {case.stack}"].append(e)
            by["accelerator"][f"{short} {row['accelerator']}"].append(e)
            by["kind"][f"{short} {row['model']}"].append(e)
            if len(sys.argv) > 3:
                print(f"{row['id']:<16} {short:<6} {row['model'][:18]:<18} {row['accelerator'][7:]:<12} {row['stack'][:10]} {case.mode[:14]} tp{case.plan.tp:g} dp{case.plan.dp:g} ep{case.plan.ep:g} isl{case.input_length:g} osl{case.output_length:g} c{case.sequences:g} b{float(rate.sequences):.0f} {row['weight_precision']} {float(row[metric]):.1f} {value:.1f} {100 * e:+.1f}%")
    for title, errors in by.items():
        table(title, errors, 50)
    print(dict(skipped), f"{time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    if len(sys.argv) < 3 or sys.argv[2] == "training":
        training(folder)
    if len(sys.argv) < 3 or sys.argv[2] == "serving":
        serving(folder)
