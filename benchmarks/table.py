"""The table of README.md from results: `python benchmarks/table.py RESULTS.json [MORE.json …]`.

RESULTS.json is what `pytest benchmarks --benchmark-json RESULTS.json` writes. A benchmark that says what it measured
(``extra_info["table"]``) has a line for each of its answers; of the others stand the least time and their ratio.
"""

import json
import sys
from pathlib import Path

TARGETS = {
    "test_help": ("`aicompute --help`, a fresh process", "80 ms CPU"),
    "test_headline_cold": ("headline `compare` from cold, intervals included", "1 s"),
    "test_estimate_of_one_plan": ("an estimate with a full plan", ""),
    "test_plans_in_one_array": ("4,096 training plans in one array against a Python loop", "30 ×"),
    "test_plans_on_a_mesh": ("plans on an open mesh against flat chunks", "5 ×"),
}
"""What benchmarks without lines of their own measure, and their target."""


def lines(benchmark):
    """Lines of one benchmark: what, target, measured, ratio."""
    extra = benchmark["extra_info"]
    if "table" in extra:
        return [(one["what"], one["target"], one["measured"], one["ratio"]) for one in extra["table"]]
    name, _, case = benchmark["name"].partition("[")
    what, target = TARGETS.get(name, (f"`{name}`", ""))
    if "ratio" in extra:
        return [(what, target, f"{extra['ratio']:g} ×", f"limit {extra['limit']:g}")]
    measured = f"{time_text(benchmark['stats']['min'])}"
    ratio = f"{extra['loops']:g} loops (limit {extra['limit']:g})" if "loops" in extra else ""
    return [(what + (f", {case[:-1]}" if case else ""), target, measured, ratio)]


def time_text(seconds):
    """Seconds as people read them."""
    for unit, each in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= each:
            return f"{seconds / each:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} µs"


def machine(results):
    """The machine that results were taken on."""
    info = results["machine_info"]
    return info.get("processor_name") or info.get("cpu", {}).get("brand_raw") or info.get("machine", "unknown")


def table(files):
    """Markdown of some results: a table for each machine."""
    by_machine = {}
    for results in files:
        found = [line for benchmark in results["benchmarks"] for line in lines(benchmark)]
        by_machine.setdefault(f"{machine(results)}, {results['datetime'][:10]}", []).extend(found)
    out = []
    for name, rows in by_machine.items():
        out += [f"{name}:", "", "| what | target | measured | ratio |", "|---|---|---:|---|"]
        out += [f"| {what} | {target} | {measured} | {ratio} |" for what, target, measured, ratio in rows]
        out.append("")
    return "\n".join(out)


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    files = []
    for name in sys.argv[1:]:
        try:
            files.append(json.loads(Path(name).read_text()))
            files[-1]["benchmarks"], files[-1]["machine_info"]
        except OSError as error:
            sys.exit(f"{name}: cannot be read: {error.strerror}")
        except (ValueError, KeyError, TypeError):
            sys.exit(f"{name}: is not a result of pytest --benchmark-json")
    print(table(files))


if __name__ == "__main__":
    main()
