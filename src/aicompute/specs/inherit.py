"""A file as data: value tables as values, tiers by name, and what it says over what it extends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aicompute.specs.value import Value


def as_values(kind: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """TOML with value tables as `Value` and tiers by name; what is broken, and reported as such, is left as it is."""
    built: dict[str, Any] = {}
    for name, item in data.items():
        if name == "tiers" and isinstance(item, list):
            tiers = [tier for tier in item if isinstance(tier, dict) and isinstance(tier.get("name"), str)]
            built[name] = {tier["name"]: as_values(kind, tier) for tier in tiers}
        elif isinstance(item, dict):
            built[name] = _value_or_table(kind, item)
        else:
            built[name] = item
    return built


def _value_or_table(kind: str, item: Mapping[str, Any]) -> Value | dict[str, Any] | str:
    """A value, a deeper table, or a mark where a value is broken."""
    if "value" not in item:
        return as_values(kind, item)
    try:
        return Value.from_table(item)
    except (AttributeError, KeyError, TypeError, ValueError):
        return "broken"


def laid_over(parent: Mapping[str, Any], child: Mapping[str, Any]) -> dict[str, Any]:
    """The parent's keys with the child's over them; a list of tiers says which tiers there are and in which order."""
    merged = dict(parent)
    for name, item in child.items():
        below = parent.get(name)
        if name == "tiers" and isinstance(item, dict) and isinstance(below, dict):
            merged[name] = {tier: laid_over(below.get(tier, {}), own) for tier, own in item.items()}
        elif isinstance(item, dict) and isinstance(below, dict):
            merged[name] = laid_over(below, item)
        else:
            merged[name] = item
    return merged
