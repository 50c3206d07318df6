"""Plan searches at full size: valid plans a second, and when a person sees the first best plans. The spaces are those of `search.py`."""

import pytest
import search
from measure import least, plain_loop

from aicompute.search.plans import Terms, search_plans
from aicompute.specs import Library

LOOPS = 60.0
"""Plain loops that a search may take: 6 s where a loop takes 0.1 s."""
RATE = "15 million valid plans/s, first 20 in 0.3 s"
TARGETS = {
    "DeepSeek-V3, 16,416 GB200, most tokens/s": RATE,
    "the same, and power of every plan": RATE,
    "GPT-3 175B, 512 A100, most tokens/s": "under 2 s",
}
"""By the names of the spaces in `search.py`; the second finds memory, time, power and cost of every plan."""


@pytest.mark.parametrize("named", TARGETS, ids=["deepseek-v3-16416", "deepseek-v3-16416-power-and-cost", "gpt-3-175b-512"])
def test_space(benchmark, row, named):
    (case,) = (each for each in search.CASES if each[0] == named)
    name, system, model, work, terms, changes = case
    lib, wanted = Library(), Terms(**{**vars(terms), **changes})
    answer = search_plans(lib, system, model, work, wanted)
    seconds, loop = least(lambda: search_plans(lib, system, model, work, wanted), plain_loop, rounds=3)
    benchmark.pedantic(search_plans, (lib, system, model, work, wanted), rounds=1)
    rate = f"{seconds:.2f} s, {answer.valid / seconds / 1e6:.1f} million valid plans/s"
    what = f"search: {name}, {answer.valid:,} valid of {answer.enumerated:,}"
    row(what, rate, TARGETS[named], f"{seconds / loop:.1f} loops (limit {LOOPS:g})")
    assert seconds <= LOOPS * loop
