"""Loads of benchmarks of routed experts: what is asked of a rank is what was drawn."""

from __future__ import annotations

import numpy as np
import pytest

from aicompute.errors import UsageError
from aicompute.evidence.kernels.loads import rank_loads


@pytest.mark.parametrize(("tokens", "copies", "experts", "ranks"), [(1, 8, 256, 4), (64, 8, 256, 4), (4096, 2, 8, 1), (1024, 22, 512, 32)])
def test_balanced_ranks_share_the_work(tokens: int, copies: int, experts: int, ranks: int) -> None:
    loads = rank_loads("balanced", tokens, copies, experts, ranks)
    assert loads.work == pytest.approx(tokens * copies / ranks, abs=copies)
    assert loads.touched == min(experts / ranks, loads.work) or tokens * copies < experts


@pytest.mark.parametrize("tokens", [1, 4, 16, 256, 4096])
def test_the_fullest_rank_has_more_than_the_mean(tokens: int) -> None:
    loads = rank_loads("power_law_1.2", tokens, 8, 256, 16)
    assert tokens * 8 / 16 <= loads.work <= tokens * 8
    assert 1.0 <= loads.touched <= 16.0


def test_one_rank_does_all() -> None:
    assert rank_loads("power_law_1.01", 100, 4, 32, 1).work == 400.0
    assert np.isfinite(rank_loads("power_law_1.0", 100, 4, 32, 1).touched)


def test_an_unknown_distribution_is_named() -> None:
    with pytest.raises(UsageError, match="column distribution: 'zipf'"):
        rank_loads("zipf", 1, 1, 8, 1)
