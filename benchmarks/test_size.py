"""Sizing all systems at all sites, as ratios to the loop of `test_speed.py`: CPU time of a fresh process, intervals included."""

import importlib.util
from pathlib import Path

import pytest

SPEC = importlib.util.spec_from_file_location("speed", Path(__file__).with_name("test_speed.py"))
speed = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(speed)

LIMITS = {
    "service": (["--serve", "2e6 token/s"], 36.0),
    "dense run": (["--train-tokens", "15T", "--train-model", "llama-3.1-70b", "--within", "90 day"], 40.0),
    "run": (["--train-tokens", "15T", "--within", "90 day"], 75.0),
}
"""Loops accepted, about a third above what is reached."""


@pytest.mark.parametrize("name", LIMITS)
def test_size_of_all_systems_at_all_sites(benchmark, name):
    words, limit = LIMITS[name]
    benchmark.pedantic(speed.fresh, ("size", *words), rounds=1)
    speed.within(benchmark, lambda: speed.fresh("size", *words), limit)
