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
    from aicompute.api import compare, decode, estimate, load, prefill, report, search, serving, training
    from aicompute.controls import rules, supply
    from aicompute.errors import AicomputeError
    from aicompute.measured import calibrate, validate
    from aicompute.money import breakeven, cost, makebuy
    from aicompute.sizing import size
    from aicompute.specs import Library
    from aicompute.studies import sensitivity, sweep

    __version__: str

__all__ = [
    "AicomputeError",
    "Library",
    "__version__",
    "breakeven",
    "calibrate",
    "compare",
    "cost",
    "decode",
    "estimate",
    "load",
    "makebuy",
    "plot",
    "prefill",
    "report",
    "rules",
    "search",
    "sensitivity",
    "serving",
    "size",
    "supply",
    "sweep",
    "training",
    "validate",
]

_HOMES = {
    "AicomputeError": "aicompute.errors",
    "Library": "aicompute.specs",
    **{name: "aicompute.api" for name in __all__ if name.islower() and not name.startswith("_")},
    **dict.fromkeys(("sensitivity", "sweep"), "aicompute.studies"),
    "size": "aicompute.sizing",
    **dict.fromkeys(("breakeven", "cost", "makebuy"), "aicompute.money"),
    **dict.fromkeys(("rules", "supply"), "aicompute.controls"),
    **dict.fromkeys(("calibrate", "validate"), "aicompute.measured"),
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
    """The package itself: functions stay functions when the import system would put the subpackages of their names in their place."""


def _function(name: str) -> property:
    """A function of `aicompute.api` or `aicompute.studies`; the subpackage of its name is left to ``sys.modules``."""
    return property(lambda self: __getattr__(name), lambda self, loaded: None)


for _name in ("estimate", "report", "search", "sweep"):
    setattr(_Package, _name, _function(_name))
sys.modules[__name__].__class__ = _Package
