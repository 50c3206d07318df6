"""Dated exchange rates: those of the sites' specs."""

from __future__ import annotations

from dataclasses import dataclass

from aicompute.errors import UnknownNameError
from aicompute.specs import Library, Spec

LOCAL = "local"
"""Word for the currency of the site."""


@dataclass(frozen=True)
class Exchange:
    """A currency and what a dollar is worth in it."""

    code: str
    rate: float
    """Units of it per USD."""
    low: float
    high: float
    source: str
    """Key of the bibliography; empty for USD."""
    date: str
    """Of the source."""


USD = Exchange("USD", 1.0, 1.0, 1.0, "", "")


def exchange(lib: Library, code: str | None, site: Spec) -> Exchange:
    """The exchange of a currency by its code, or of the site's own.

    Raises
    ------
    UnknownNameError
        No site has that currency.

    Examples
    --------
    >>> lib = Library()
    >>> exchange(lib, "krw", lib.load("sites", "us-average")).rate
    1379.05
    """
    wanted = (code or "USD").strip()
    word = str(site.get("currency", "USD")) if wanted.lower() == LOCAL else wanted.upper()
    if word == "USD":
        return USD
    for name in (site.id, *lib.ids("sites")):
        spec = lib.load("sites", name)
        if spec.get("currency", "") == word:
            found = spec.value("exchange_rate")
            date = str(lib.sources().get(found.source, {}).get("date", ""))
            return Exchange(word, found.value, found.low, found.high, found.source, date)
    raise UnknownNameError("currency", wanted, dict.fromkeys(["USD", LOCAL, *lib.exchange_rates()]))
