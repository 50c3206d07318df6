"""How things are measured: CPU time, the least of several rounds, ratios taken in the same minute, and what the machine can do at most."""

import os
import platform
import time
from pathlib import Path

import numpy as np

from aicompute.program import _power

ROWS = 8192
LOOP = 1_500_000


def processor():
    """The processor's name and the number of cores that this process may use."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor() or "unknown")
    return f"{name}, {cores()} cores, Python {platform.python_version()}, NumPy {np.__version__}"


def cores():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def plain_loop():
    """A fixed amount of plain Python: what this machine does at the moment."""
    total = 0.0
    for index in range(LOOP):
        total = total * 0.999 + index % 7
    return total


def cpu(work):
    """CPU seconds of one call."""
    start = time.process_time()
    work()
    return time.process_time() - start


def least(*works, rounds=5):
    """Least CPU time of each of some works, in turn, so that other work on the machine slows all of them alike."""
    best = [float("inf")] * len(works)
    for _ in range(rounds):
        best = [min(before, cpu(work)) for before, work in zip(best, works, strict=True)]
    return best


def resident():
    """Bytes of this process in memory now; None where the system does not tell."""
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    return next(int(line.split()[1]) * 1024 for line in status.read_text().splitlines() if line.startswith("VmRSS:"))


def peak_resident():
    """The most that it ever was."""
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    return next(int(line.split()[1]) * 1024 for line in status.read_text().splitlines() if line.startswith("VmHWM:"))


def operation_seconds(name, rows=ROWS, rounds=20):
    """Least CPU seconds an element of one operation on arrays that stay in the cache, written into a third."""
    draw = np.random.default_rng(0)
    first, second, out = draw.uniform(0.5, 2.0, rows), draw.uniform(0.5, 2.0, rows), np.empty(rows)
    condition, logical = first > 1.0, np.empty(rows, bool)
    function = _power if name == "power" else getattr(np, name)
    if name == "power":
        arguments, options = (first, second), {}
    elif name == "where":
        arguments, options = (condition, first, second), {}
    elif name.startswith("logical"):
        arguments, options = (condition, condition)[: function.nin], {"out": logical}
    elif name in ("less", "less_equal", "greater", "greater_equal", "equal", "not_equal"):
        arguments, options = (first, second), {"out": logical}
    else:
        arguments, options = (first, second)[: function.nin], {"out": out}

    def some():
        for _ in range(50):
            function(*arguments, **options)

    return least(some, rounds=rounds)[0] / 50 / rows


def cache_bound():
    """Elements a second that NumPy multiplies from and to buffers of 8,192 rows: what a program of one call an operation cannot pass."""
    return 1.0 / operation_seconds("multiply")


def arithmetic_bound():
    """Floating-point operations a second of CPU time of a matrix product: what a core does with data that it need not fetch."""
    size = 384
    a = np.random.default_rng(0).uniform(size=(size, size))
    return 2.0 * size**3 / least(lambda: a @ a, rounds=15)[0]


def own_bound(operations):
    """Seconds a row of some operations (name to count) if each ran alone on arrays in the cache."""
    return sum(count * operation_seconds(name, rounds=8) for name, count in operations.items())
