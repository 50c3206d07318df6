"""Plan searches at full size: valid plans a second, and when a person sees the first best plans. The spaces are those of `search.py`."""

import pytest
import search
from measure import least, plain_loop

from aicompute.search.plans import Terms, search_plans
from aicompute.specs import Library

LOOPS = 60.0
"""Plain loops that a search may take: 6 s where a loop takes 0.1 s."""
TARGETS = {0: "15 million valid plans/s, first 20 in 0.3 s", 2: "under 2 s"}


@pytest.mark.parametrize("place", TARGETS, ids=["deepseek-v3-16416", "gpt-3-175b-512"])
def test_space(benchmark, row, place):
    name, system, model, work, terms, changes = search.CASES[place]
    lib, wanted = Library(), Terms(**{**vars(terms), **changes})
    answer = search_plans(lib, system, model, work, wanted)
    seconds, loop = least(lambda: search_plans(lib, system, model, work, wanted), plain_loop, rounds=3)
    benchmark.pedantic(search_plans, (lib, system, model, work, wanted), rounds=1)
    rate = f"{seconds:.2f} s, {answer.valid / seconds / 1e6:.1f} million valid plans/s"
    what = f"search: {name}, {answer.valid:,} valid of {answer.enumerated:,}"
    row(what, rate, TARGETS[place], f"{seconds / loop:.1f} loops (limit {LOOPS:g})")
    assert seconds <= LOOPS * loop
