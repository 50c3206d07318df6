"""What an AI compute cluster really delivers, and at what cost.

>>> import aicompute as ac
>>> answer = ac.compare(["cloudmatrix-384", "gb200-nvl72"], workload=ac.decode(tpot="50 ms"), samples=0)
>>> answer.ratio("tokens_per_s_per_accelerator").value < 1.0
True

Names are imported when they are used, so that ``import aicompute`` costs nothing.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aicompute import plot as plot
    from aicompute.api import calibrate, compare, decode, estimate, load, prefill, report, search, serving, training, validate
    from aicompute.errors import AicomputeError
    from aicompute.specs import Library

    __version__: str

__all__ = [
    "AicomputeError",
    "Library",
    "__version__",
    "calibrate",
    "compare",
    "decode",
    "estimate",
    "load",
    "plot",
    "prefill",
    "report",
    "search",
    "serving",
    "training",
    "validate",
]

_HOMES = {
    "AicomputeError": "aicompute.errors",
    "Library": "aicompute.specs",
    **{name: "aicompute.api" for name in __all__ if name.islower() and not name.startswith("_")},
}


def __getattr__(name: str) -> Any:
    """A public name, imported now."""
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("aicompute")
        except PackageNotFoundError:
            return "unknown"
    import importlib

    if name == "plot":
        return importlib.import_module("aicompute.plot")
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'aicompute' has no attribute {name!r}")


def __dir__() -> list[str]:
    """Public names and what is loaded."""
    return sorted({*globals(), *__all__})


class _Package(ModuleType):
    """The package itself: ``estimate``, ``report`` and ``search`` stay functions where the import system would put the subpackages."""

    @property
    def estimate(self) -> Any:
        """`aicompute.api.estimate`."""
        return __getattr__("estimate")

    @estimate.setter
    def estimate(self, loaded: ModuleType) -> None:
        """Leave the subpackage to ``sys.modules``."""

    @property
    def report(self) -> Any:
        """`aicompute.api.report`."""
        return __getattr__("report")

    @report.setter
    def report(self, loaded: ModuleType) -> None:
        """Leave the subpackage to ``sys.modules``."""

    @property
    def search(self) -> Any:
        """`aicompute.api.search`."""
        return __getattr__("search")

    @search.setter
    def search(self, loaded: ModuleType) -> None:
        """Leave the subpackage to ``sys.modules``."""


sys.modules[__name__].__class__ = _Package
