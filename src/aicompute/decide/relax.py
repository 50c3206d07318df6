"""What to say where nothing does: which limit to relax, and by how much."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from aicompute.decide.size import Option, Refused


def relax(use: str, failing: Sequence[Option], refused: Sequence[Refused], systems: int) -> str:
    """Which limit to relax and by how much, or why nothing does whatever the limits."""
    if failing:
        lines = []
        for limit in dict.fromkeys(name for option in failing for name in option.over):
            alone = [o for o in failing if set(o.over) == {limit}]
            if alone:
                o = min(alone, key=lambda option: option.over[limit])
                lines.append(f"{limit} times {_up(o.over[limit])}: {o.system} in {o.site} does then")
        o = failing[0]
        if not lines:
            both = " and ".join(f"{name} times {_up(factor)}" for name, factor in o.over.items())
            lines.append(f"{both}: {o.system} in {o.site} does then")
        return f"no system of {systems} can {use} this within the limits; relax " + "; or ".join(lines)
    nearest = _nearest(refused)
    if nearest:
        return f"no system of {systems} can {use} this; relax {nearest}"
    reasons: dict[str, list[str]] = {}
    for no in refused:
        reasons.setdefault(no.reason, []).append(no.system)
    said = [f"{reason} ({few(names, 3)})" for reason, names in reasons.items()]
    return f"no system of {systems} can {use} this: " + "; ".join(said[:4])


_REACHED = (
    ("TPOT", re.compile(r"TPOT at best ([\d.,]+) (ms|s)\b")),
    ("TTFT", re.compile(r"TTFT at best ([\d.,]+) (ms|s)\b")),
    ("time of the run", re.compile(r"([\d.,]+) (days) at the least")),
)
"""What refusals say of the best that a system reaches."""
_UNITS = {"ms": 1e-3, "s": 1.0, "days": 86400.0}


def _nearest(refused: Sequence[Refused]) -> str:
    """Targets that are out of reach, with the best that any system reaches."""
    said = []
    for name, pattern in _REACHED:
        hits = [(found, no.system) for no in refused if (found := pattern.search(no.reason))]
        if hits:
            best, system = min(hits, key=lambda hit: float(hit[0][1].replace(",", "")) * _UNITS[hit[0][2]])
            said.append(f"{name} to {best[1]} {best[2]}: {system} does then")
    return "; or ".join(said)


def few(names: Sequence[str], most: int) -> str:
    """Some names, and how many more there are.

    Examples
    --------
    >>> few(["a", "b", "c"], 2)
    'a, b and 1 more'
    """
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _up(factor: float) -> str:
    """A factor rounded up, so that it suffices."""
    return f"{math.ceil(factor * 100.0) / 100.0:.2f}" if factor < 100.0 else f"{math.ceil(factor):,}"


def rounded_up(usd: float) -> str:
    """An amount rounded up in its third digit, so that it suffices."""
    digit = 10.0 ** (math.floor(math.log10(usd)) - 2)
    return f"{math.ceil(usd / digit) * digit:.3g}"
