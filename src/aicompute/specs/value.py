"""One fact of a spec file: a number with its range, unit, kind and origin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aicompute import units

KINDS = ("datasheet", "measured", "analyst", "derived", "assumed")
"""How a value is known, from the surest to the least sure."""

UNSEEN = "fit-unseen"
"""Source of fitted values that stand for an accelerator or stack of which nothing was measured."""


@dataclass(frozen=True, slots=True)
class Value:
    """A number that somebody published, measured, derived or assumed.

    Parameters
    ----------
    value, low, high : float    The value and the range around it, in SI units.
    unit : str                  The unit as written in the file.
    kind : str                  One of `KINDS`.
    source : str                Key of ``sources.toml``, or "override".
    note : str                  Free text.
    """

    value: float
    low: float
    high: float
    unit: str
    kind: str
    source: str
    note: str = ""

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> Value:
        """A value from the table of a checked file.

        Examples
        --------
        >>> Value.from_table({"value": 3.2, "unit": "TB/s", "kind": "datasheet", "source": "s"}).value
        3200000000000.0
        """
        unit = table["unit"]
        value = units.from_unit(table["value"], unit)
        low = units.from_unit(table["low"], unit) if "low" in table else value
        high = units.from_unit(table["high"], unit) if "high" in table else value
        return cls(value, low, high, unit, table["kind"], table["source"], table.get("note", ""))

    def replaced(self, value: float, unit: str = "") -> Value:
        """The same fact with another number, which an override set."""
        return Value(value, value, value, unit or self.unit, self.kind, "override", self.note)

    @property
    def written(self) -> tuple[float, float, float]:
        """Value, low and high in the unit of the file."""
        return units.to_unit(self.value, self.unit), units.to_unit(self.low, self.unit), units.to_unit(self.high, self.unit)
