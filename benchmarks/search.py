"""Plans judged in a second: `python benchmarks/search.py`. CPU time of one core, the best of some rounds; set OMP_NUM_THREADS=1.

Two spaces: DeepSeek-V3 on 16,416 GB200 with every axis, and GPT-3 175B on 512 A100 with the dimensions that Calculon searches. And the
operating points of serving under latency targets.
"""

from __future__ import annotations

import platform
import time
from pathlib import Path

from aicompute.estimate import workload
from aicompute.search.plans import Terms, search_plans
from aicompute.specs import Library

ROUNDS = 5
LOOP = 1_500_000
DIVISORS_OF_96 = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 96)
POWERS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
DEEPSEEK = Terms(accelerators=16416.0, full=True, axes={"cp": (1, 2, 4, 8), "etp": (1,), "micro_batch": (1, 2, 3, 4, 5, 6, 8, 16)})
GPT3 = Terms(
    accelerators=512.0,
    stack="megatron-core",
    full=True,
    axes={
        "tp": DIVISORS_OF_96,
        "pp": DIVISORS_OF_96,
        "dp": POWERS,
        "chunks": DIVISORS_OF_96,
        "micro_batch": POWERS,
        "zero": (0, 1),
        "etp": (1,),
        "overlap_experts": (1,),
    },
)


def loop() -> float:
    """CPU seconds of a fixed loop of plain Python: what the machine does at the moment."""
    start, total = time.process_time(), 0.0
    for index in range(LOOP):
        total = total * 0.999 + index % 7
    return time.process_time() - start


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor())


def measured(lib, system, model, work, terms):
    """Answer, and least CPU time of some rounds."""
    best, answer = float("inf"), None
    for _ in range(ROUNDS):
        start = time.process_time()
        answer = search_plans(lib, system, model, work, terms)
        best = min(best, time.process_time() - start)
    return answer, best


LOADS = Terms(axes={"sequences": tuple(range(1, 1025))})
CASES = (
    ("DeepSeek-V3, 16,416 GB200, most tokens/s", "gb200-nvl72", "deepseek-v3", workload.training(), DEEPSEEK, {}),
    ("the same, least cost a token", "gb200-nvl72", "deepseek-v3", workload.training(), DEEPSEEK, {"objective": "cost_per_token"}),
    ("the same, and power of every plan", "gb200-nvl72", "deepseek-v3", workload.training(), DEEPSEEK,
     {"objective": "cost_per_token", "where": ("it_power < 60 MW",)}),
    ("GPT-3 175B, 512 A100, most tokens/s", "dgx-a100-80gb", "gpt-3-175b", workload.training(2048, 512), GPT3, {}),
    ("DeepSeek-R1 decode, 384 910C, TPOT 50 ms", "cloudmatrix-384", "deepseek-r1-0528", workload.decode(tpot=0.05), LOADS, {}),
    ("the same served by one pool or two, TTFT 2 s", "cloudmatrix-384", "deepseek-r1-0528", workload.serving(), Terms(), {}),
)


def main() -> None:
    lib = Library()
    probe = 1e3 * min(loop() for _ in range(5))
    print(f"{processor()}, Python {platform.python_version()}; a loop of {LOOP:,} steps takes {probe:.0f} ms\n")
    print("| space | combinations | valid plans | feasible | s | million valid plans/s | million feasible plans/s |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for name, system, model, work, terms, changes in CASES:
        answer, seconds = measured(lib, system, model, work, Terms(**{**vars(terms), **changes}))
        rates = " | ".join(f"{count / seconds / 1e6:.2f}" for count in (answer.valid, answer.feasible))
        print(f"| {name} | {answer.enumerated:,} | {answer.valid:,} | {answer.feasible:,} | {seconds:.3f} | {rates} |", flush=True)


if __name__ == "__main__":
    main()
