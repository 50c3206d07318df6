"""What a search is asked, beside the workload."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

OBJECTIVE = "tokens_per_s_per_accelerator"
ASK_ABOVE = 300_000_000
"""Plans above which a search is confirmed first."""
SLOW_RATE = 4e6
"""Plans a second that even a slow machine reaches, for the time said before a large search."""


@dataclass(frozen=True)
class Terms:
    """What a search is about, beside the workload."""

    objective: str = OBJECTIVE
    where: tuple[str, ...] = ()
    top: int = 20
    pareto: tuple[str, ...] = ()
    axes: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """Values of axes that are not the default ones."""
    full: bool = False
    """Every stage of ZeRO, and overlap off as well as on."""
    large: bool = False
    """Search a space of any size."""
    site: str | None = None
    stack: str | None = None
    precision: str | Mapping[str, str] | None = None
    precisions: tuple[str, ...] = ()
    """Words tried one after another, in place of ``precision``."""
    utilisation: float | None = None
    accelerators: float | None = None
    rent: float | None = None
    drafts: tuple[float, ...] = ()


def duration(seconds: float) -> str:
    """A time to wait, as people say it."""
    if seconds > 3.15e7:
        return f"{seconds / 3.15e7:,.3g} years"
    if seconds > 2 * 86400.0:
        return f"{seconds / 86400.0:.3g} days"
    return f"{seconds / 3600.0:.3g} h" if seconds > 7200.0 else f"{seconds:.0f} s"
