"""List prices of APIs: dated, by length of the prompt, hour of the week, share of cached input, and mode."""

from __future__ import annotations

import csv
import datetime
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from aicompute.errors import SpecError, UnknownNameError, UsageError
from aicompute.specs.files import built_in

WEEK = 168.0
"""Hours."""
MODES = ("standard", "batch")
HOURS = ("mean", "dear", "cheap")
"""When tokens are bought: through the week evenly, in its dearest hours, or in its cheapest."""
REFERENCE = ("gpt-4o", "gemini-1.5-pro", "claude-3-opus", "gpt-6.1-sol", "gemini-4-argon", "claude-opus-5.5")
"""Closed models that a made token is compared with where none is named: three that are often quoted, and three of late 2026."""
_NUMBERS = ("hours_per_week", "prompt_from", "input", "output")
_OPTIONAL = ("prompt_to", "cached_input")
_DATE = re.compile(r"\d{4}(-\d{2}(-\d{2})?)?")


@dataclass(frozen=True)
class Window:
    """Prices in some hours of the week [USD/token]."""

    name: str
    """all, or a word of the list such as off-peak."""
    share: float
    """Of the week."""
    input: float
    cached_input: float | None
    """None: cached input costs what other input costs."""
    output: float


@dataclass(frozen=True)
class Shape:
    """A request."""

    input_length: float
    output_length: float
    prefix_hit: float = 0.0
    """Share of the input that was sent before and is found in a cache."""

    @property
    def tokens(self) -> float:
        """In and out."""
        return self.input_length + self.output_length


@dataclass(frozen=True)
class ApiOffer:
    """What a provider asks for a model at some time."""

    model: str
    spec: str
    """Id of the model's spec; empty where it is closed or unknown."""
    weights: str
    """open, closed or unknown."""
    provider: str
    mode: str
    windows: tuple[Window, ...]
    valid_from: str
    valid_to: str
    seen: str
    source: str
    notes: str

    @property
    def id(self) -> str:
        """The model's name as options have it."""
        return slug(self.model)

    @property
    def status(self) -> str:
        """How far the price is known to hold."""
        if self.valid_to and not (self.seen and self.seen < self.valid_to):
            return f"until {self.valid_to}"
        return f"seen {self.seen}" if self.seen else f"from {self.valid_from}"

    def cost(self, shape: Shape, hours: str = "mean") -> float:
        """USD for a request.

        Parameters
        ----------
        shape : Shape
        hours : str   Of `HOURS`.
        """
        each = [_request(window, shape) for window in self.windows]
        if hours == "mean":
            whole = sum(window.share for window in self.windows)
            return sum(cost * window.share for cost, window in zip(each, self.windows, strict=True)) / whole
        return max(each) if hours == "dear" else min(each)

    def per_token(self, shape: Shape, hours: str = "mean") -> float:
        """USD per token, in and out together, of such requests."""
        return self.cost(shape, hours) / shape.tokens


def _request(window: Window, shape: Shape) -> float:
    """In x p_in + cached x p_cached + out x p_out."""
    cached = shape.input_length * shape.prefix_hit
    price = window.input if window.cached_input is None else window.cached_input
    return (shape.input_length - cached) * window.input + cached * price + shape.output_length * window.output


def slug(name: str) -> str:
    """A name as options have it.

    Examples
    --------
    >>> slug("Gemini 1.5 Pro"), slug("DeepSeek-R1")
    ('gemini-1.5-pro', 'deepseek-r1')
    """
    return re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-")


@dataclass(frozen=True)
class _Row:
    """A row of the file, numbers read."""

    cells: Mapping[str, str]
    numbers: Mapping[str, float]

    @property
    def period(self) -> tuple[str, str, str]:
        return self.cells["valid_from"], self.cells["valid_to"], self.cells["seen"]

    @property
    def last(self) -> str:
        """The last day on which it was known to hold."""
        return max(self.cells["valid_to"], self.cells["seen"]) or self.cells["valid_from"]

    def covers(self, length: float) -> bool:
        """Whether it is the price for prompts of a length."""
        return self.numbers["prompt_from"] <= length and length <= self.numbers.get("prompt_to", float("inf"))

    def holds(self, date: str) -> bool:
        """Whether it is known to hold on a date: one with no start from when it was seen, an announced one without end."""
        start = self.cells["valid_from"] or self.cells["seen"] or self.cells["valid_to"]
        announced = not (self.cells["valid_to"] or self.cells["seen"])
        return start <= date and (announced or date <= _end(self.last))


def _end(date: str) -> str:
    """The last day of a year or month, so that texts compare."""
    return date if len(date) == 10 else f"{date}-31" if len(date) == 7 else f"{date}-12-31"


def _is_date(text: str) -> bool:
    """Whether a text is a year, a month or a day that exists."""
    try:
        return _DATE.fullmatch(text) is not None and bool(datetime.date.fromisoformat(text + "2000-01-01"[len(text) :]))
    except ValueError:
        return False


def price_file() -> Path:
    """The list that ships."""
    return built_in("evidence") / "api_prices.csv"


def read_prices(path: Path) -> tuple[_Row, ...]:
    """The rows of a list of prices.

    Raises
    ------
    SpecError
        A column is missing or a cell is no number; all such cells are named.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            table = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SpecError(f"{path}: cannot be read: {error}") from None
    needed = ("model", "spec", "weights", "provider", "mode", "hours", *_NUMBERS, *_OPTIONAL, "valid_from", "valid_to", "seen", "source",
              "verified", "notes")  # fmt: skip
    missing = [column for column in needed if not table or column not in table[0]]
    if missing:
        raise SpecError(f"{path}: has no column {', '.join(missing)}")
    faults: list[str] = []
    rows = [_Row(cells, _numbers(cells, f"{path}: row {place}", faults)) for place, cells in enumerate(table, start=1)]
    if faults:
        raise SpecError("\n".join(faults))
    return tuple(rows)


def _numbers(cells: Mapping[str, str], where: str, faults: list[str]) -> dict[str, float]:
    """The numbers of a row; what is none is told."""
    found = {}
    for column in (*_NUMBERS, *_OPTIONAL):
        text = (cells[column] or "").strip()
        if not text and column in _OPTIONAL:
            continue
        try:
            found[column] = float(text)
        except ValueError:
            faults.append(f"{where}: column {column}: {text!r} is not a number")
            continue
        if not 0.0 <= found[column] < 1e9:
            faults.append(f"{where}: column {column}: {text!r} is not a number of at least 0")
    if cells["mode"] not in MODES:
        faults.append(f"{where}: column mode: {cells['mode']!r} is not one of {', '.join(MODES)}")
    for column in ("valid_from", "valid_to", "seen"):
        if cells[column] and not _is_date(cells[column]):
            faults.append(f"{where}: column {column}: {cells[column]!r} is not a date such as 2026-11-23")
    return found


@lru_cache(maxsize=4)
def _shipped(path: Path) -> tuple[_Row, ...]:
    return tuple(row for row in read_prices(path) if row.cells["verified"] == "true")


def as_of(rows: Iterable[_Row]) -> str:
    """The month in which the list was made: the last in which a price was seen."""
    return max(row.cells["seen"][:7] for row in rows)


def offers(length: float, *, date: str | None = None, mode: str = "standard", path: Path | None = None) -> tuple[ApiOffer, ...]:
    """Offers for requests of a length of prompt.

    Parameters
    ----------
    length : float          Tokens of a prompt: some providers ask more for long ones.
    date : str, optional    Only what held then, such as "2025-06-30"; None: the last price of each.
    mode : str              Of `MODES`.
    path : Path, optional   Another list of prices.

    Raises
    ------
    UsageError
        A date that is none, an unknown mode.
    """
    if mode not in MODES:
        raise UnknownNameError("mode", mode, MODES)
    if date is not None and not _is_date(date):
        raise UsageError(f"date = {date!r}: expected a date such as 2026-11-23 or a month such as 2026-11")
    rows = _shipped(path or price_file())
    fitting = [row for row in rows if row.cells["mode"] == mode and row.covers(length)]
    day = _end(date) if date else _end(as_of(rows))
    held = [row for row in fitting if row.holds(day)] if date else [row for row in fitting if row.cells["valid_from"] <= day]
    groups: dict[tuple[str, str], dict[tuple[str, str, str], list[_Row]]] = {}
    for row in held:
        periods = groups.setdefault((row.cells["model"], row.cells["provider"]), {})
        periods.setdefault(row.period, []).append(row)
    return tuple(_offer(max(periods.values(), key=lambda each: each[0].last)) for periods in groups.values())


def _offer(rows: Sequence[_Row]) -> ApiOffer:
    """The offer of rows of one model, provider and period: one, or one for each kind of hours; of tiers the lowest that fits."""
    by_hours: dict[str, _Row] = {}
    for row in rows:
        by_hours.setdefault(row.cells["hours"], row)
    windows = tuple(
        Window(
            name,
            row.numbers["hours_per_week"] / WEEK,
            row.numbers["input"] * 1e-6,
            row.numbers["cached_input"] * 1e-6 if "cached_input" in row.numbers else None,
            row.numbers["output"] * 1e-6,
        )
        for name, row in by_hours.items()
    )
    names = ("model", "spec", "weights", "provider", "mode", "valid_from", "valid_to", "seen", "source", "notes")
    return ApiOffer(windows=windows, **{name: rows[0].cells[name] for name in names})


def chosen(found: Sequence[ApiOffer], names: Sequence[str], model: str, others: Sequence[ApiOffer] = ()) -> tuple[ApiOffer, ...]:
    """The offers asked for: by model, or by model and provider with a slash; none named: those of the same weights, and `REFERENCE`.

    Parameters
    ----------
    found : sequence of ApiOffer
    names : sequence of str   Such as "gpt-4o", "deepseek-r1-0528/deepinfra", "open", "closed" or "all".
    model : str               Id of the model that would be served.
    others : sequence of ApiOffer   Of other modes and dates, to tell a name that is not known from a price that is not listed.

    Raises
    ------
    UsageError
        No offer has that name; or there is one, but not in this mode or on this date.

    Examples
    --------
    >>> [offer.provider for offer in chosen(offers(4096.0), ["gpt-4o"], "")]
    ['OpenAI']
    """
    if not names:
        own = [offer for offer in found if offer.spec == model]
        kept_for = (*own, *(offer for name in REFERENCE for offer in found if offer.id == name))
        if not kept_for:
            raise UsageError("no price of these weights, or of a model of reference, is listed in this mode and on this date; name others")
        return kept_for
    kept: dict[tuple[str, str], ApiOffer] = {}
    for name in names:
        word, _, provider = name.partition("/")
        fitting = [offer for offer in found if _named(offer, word, provider)]
        if not fitting and any(_named(offer, word, provider) for offer in others):
            raise UsageError(f"no price of {name} is listed in this mode and on this date")
        if not fitting:
            raise UnknownNameError("API", name, dict.fromkeys(known for offer in found for known in (offer.id, _full(offer))))
        kept |= {(offer.model, offer.provider): offer for offer in fitting}
    return tuple(kept.values())


def _named(offer: ApiOffer, word: str, provider: str) -> bool:
    """Whether an offer is meant."""
    return slug(word) in (offer.id, offer.spec, offer.weights, "all") and (not provider or slug(provider) in slug(offer.provider))


def _full(offer: ApiOffer) -> str:
    return f"{offer.id}/{slug(offer.provider)}"
