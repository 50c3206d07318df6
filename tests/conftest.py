"""What tests share: the built-in library, estimates without draws, plausible records for the formulas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings

from aicompute.estimate.result import Estimate
from aicompute.estimate.workload import Workload
from aicompute.search.compare import Options, estimate_system
from aicompute.specs import Library

settings.register_profile("here", deadline=None, max_examples=40)
settings.load_profile("here")


@pytest.fixture(scope="session")
def library() -> Library:
    return Library()


@pytest.fixture(scope="session")
def ask(library: Library) -> Callable[..., Estimate]:
    """An estimate without draws; ``lib`` replaces the library, other keywords are options."""

    def asked(system: str, model: str, workload: Workload, lib: Library | None = None, **options: Any) -> Estimate:
        return estimate_system(lib or library, system, model, workload, Options(**{"samples": 0, **options}))

    return asked
