"""Options and helpers of the benchmarks: rows of the table in README.md, and the machine's name in every JSON file."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # measure.py and cases.py lie beside the tests


def pytest_addoption(parser):
    parser.addoption("--large", action="store_true", help="sweep 1e8 rows instead of 1e7")


def pytest_benchmark_update_machine_info(config, machine_info):
    from measure import processor

    machine_info["processor_name"] = processor()


@pytest.fixture
def large(request):
    return request.config.getoption("--large")


@pytest.fixture
def row(benchmark):
    """Adds a line to the table of README.md: what, the target, what was measured, and the ratio with its limit."""
    from measure import processor

    benchmark.extra_info.update(machine=processor(), table=[])

    def add(what, measured, target="", ratio=""):
        benchmark.extra_info["table"].append({"what": what, "target": target, "measured": measured, "ratio": ratio})

    return add
