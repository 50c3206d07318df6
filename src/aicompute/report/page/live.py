"""The part of the page that computes: what its script needs, and its controls with the values of the specs in them."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from html import escape
from typing import Any

import numpy as np

from aicompute.economics.capital import YEAR
from aicompute.economics.cost import SiteTerms
from aicompute.numerics import Array
from aicompute.report.page.money import PARTS, Books, Ledger, money_unit
from aicompute.report.page.sentences import dollars
from aicompute.units import from_unit

SAMPLES_NOTE = "Until you set a value, its range in the specs stays in the interval; a value that you set counts as known."


@dataclass(frozen=True)
class Control:
    """A value that people set."""

    key: str
    """In the address of the page."""
    label: str
    unit: str
    low: float
    high: float
    step: float
    size: float
    """Of the unit, in SI."""
    digits: int


def controls(books: Books, names: Sequence[str]) -> list[Control]:
    """What can be set: use, and for owners electricity, PUE, life and the price of both systems."""
    use = Control("use", "Share of the time in use", "%", 5.0, 100.0, 1.0, 0.01, 0)
    if books.rent is not None:
        return [Control("rent", "Rent", "$ per accelerator-hour", 0.1, 10.0, 0.05, 1.0 / 3600.0, 2), use]
    found = [
        Control("electricity", "Electricity", "$/kWh", 0.01, 0.4, 0.001, 1.0 / 3.6e6, 3),
        Control("pue", "PUE", "", 1.0, 2.0, 0.01, 1.0, 2),
        use,
        Control("life", "Life of the hardware", "years", 2.0, 10.0, 0.25, from_unit(1.0, "year"), 2),
    ]
    for key, name, ledger in zip(("price_a", "price_b"), names, books.ledgers, strict=True):
        size, unit = money_unit(float(ledger.price))
        most = float(f"{3.0 * float(ledger.price) / size:.2g}")
        found.append(Control(key, f"Price of a unit of {name}", unit, 0.0, most, most / 300.0, size, 2))
    return found


class Pool:
    """Draws, each array once, as little-endian 32-bit floats in base64."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._known: dict[str, int] = {}

    def number(self, value: Array, draws: Array) -> Any:
        """A value, with the place of its draws where it has a range."""
        drawn = np.asarray(draws, dtype="<f4")
        if drawn.ndim == 0:
            return float(value)
        text = base64.b64encode(drawn.tobytes()).decode("ascii")
        if text not in self._known:
            self._known[text] = len(self.texts)
            self.texts.append(text)
        return [float(value), self._known[text]]


def payload(books: Books, names: Sequence[str], wanted: Sequence[Control], samples: int) -> str:
    """What the script computes with, as JSON that may stand in a page."""
    pool = Pool()

    def record(value: Any, draws: Any, kind: type[Any]) -> dict[str, Any]:
        return {one.name: pool.number(getattr(value, one.name), getattr(draws, one.name)) for one in fields(kind)}

    data = {
        "names": list(names),
        "samples": samples,
        "year": YEAR,
        "parts": list(PARTS),
        "ledgers": [record(one, drawn, Ledger) for one, drawn in zip(books.ledgers, books.drawn, strict=True)],
        "sites": {
            key: [{"terms": record(p.terms, p.drawn, SiteTerms), "imported": p.imported, "eligible": p.eligible} for p in both]
            for key, both in books.places.items()
        },
        "site": books.site,
        "siteNames": dict(books.names),
        "use": books.use,
        "rent": books.rent,
        "controls": [asdict(one) for one in wanted],
        "draws": pool.texts,
    }
    return json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def starting(books: Books, control: Control) -> float:
    """Value of a control as the specs have it, in its unit."""
    terms = books.places[books.site][0].terms
    found = {
        "use": books.use,
        "rent": books.rent or 0.0,
        "electricity": terms.electricity_price,
        "pue": terms.pue,
        "life": terms.capital_life,
        "price_a": books.ledgers[0].price,
        "price_b": books.ledgers[1].price,
    }[control.key]
    return float(found) / control.size


def panel(books: Books, names: Sequence[str], wanted: Sequence[Control]) -> str:
    """Controls, and the answer as the specs give it until the script runs."""
    options = [
        f'<option value="{escape(key)}"{" selected" if key == books.site else ""}>{escape(name)}</option>'
        for key, name in books.names.items()
    ]
    rows = [f'<div class="control"><label for="set-site">Site</label><select id="set-site">{"".join(options)}</select></div>']
    for one in wanted:
        value = f"{starting(books, one):.{one.digits}f}"
        unit = f" <small>{escape(one.unit)}</small>" if one.unit else ""
        span = f'min="{one.low:g}" max="{one.high:g}" step="{one.step:g}"'
        rows.append(
            f'<div class="control"><label for="set-{one.key}">{escape(one.label)}{unit}</label>'
            f'<input type="number" id="set-{one.key}" min="{one.low:g}" step="any" value="{value}" inputmode="decimal">'
            f'<input type="range" id="slide-{one.key}" aria-label="{escape(one.label)}" {span} value="{value}"></div>'
        )
    return (
        f'<form id="live" autocomplete="off"><div class="controls">{"".join(rows)}</div>'
        '<p class="buttons"><button type="reset">Back to the specs</button></p></form>'
        f'<div id="answer">{answer(books, names)}</div>'
        '<p id="told" role="status" aria-live="polite"></p>'
        '<noscript><p class="reading">Without scripts the controls do nothing; the numbers are those of the specs.</p></noscript>'
    )


def answer(books: Books, names: Sequence[str]) -> str:
    """Cost of a million tokens of both systems, in parts and with intervals; the script writes into the same elements."""
    rows, costs, draws = [], [], []
    stacks = [books.parts(k, books.site) for k in (0, 1)]
    most = max(sum(stack.values()) for stack in stacks)
    for k, name in enumerate(names):
        cost, drawn = float(books.per_token(k, books.site)) * 1e6, books.draws_per_token(k, books.site) * 1e6
        costs.append(cost)
        draws.append(drawn)
        hour = float(books.ledgers[k].rate) * books.use * cost / 1e6 * 3600.0 / books.ledgers[k].accelerators
        shares = [value / most * 100.0 for value in stacks[k].values()]
        boxes = "".join(f'<span class="p{place} part" style="width:{share:.3f}%"></span>' for place, share in enumerate(shares))
        kind, shown = "ab"[k], escape(name)
        rows.append(
            f'<div class="system"><p><b class="{kind}-text">{shown}</b> '
            f'<output id="cost-{kind}" data-value="{cost!r}">${cost:.3f}</output> '
            f'a million tokens <span class="soft">(<output id="span-{kind}">{_span(cost, drawn)}</output>), '
            f'<output id="hour-{kind}" data-value="{hour!r}">${hour:.2f}</output> an accelerator-hour</span></p>'
            f'<div class="stack" id="stack-{kind}" aria-hidden="true">{boxes}</div></div>'
        )
    ratio, chance = costs[0] / costs[1], float(np.mean(draws[0] < draws[1]))
    rows.append(
        f'<p class="ratio">{escape(names[0])} costs <output id="ratio" data-value="{ratio!r}">{ratio:.2f}</output> times as much '
        f'(<output id="span-ratio">{_span(ratio, draws[0] / draws[1])}</output>); probability that it is cheaper: '
        f'<output id="chance" data-value="{chance!r}">{chance * 100.0:.0f} %</output>. '
        f'<span class="soft">Equal at <output id="even">{_even(books)}</output> a unit of {escape(names[0])}.</span></p>'
    )
    return "".join(rows)


def _span(value: float, drawn: Array) -> str:
    """Ends of the 90 % interval."""
    low, high = (float(q) for q in np.quantile(np.atleast_1d(drawn), (0.05, 0.95)))
    return f"{min(low, value):.2f}–{max(high, value):.2f}"


def _even(books: Books) -> str:
    """Price of the first at which both cost the same."""
    if books.rent is not None:
        return "–"
    place, target = books.places[books.site][0], float(books.per_token(1, books.site))
    ends = [float(replace(books.ledgers[0], price=price).per_token(place.terms, books.use, place.imported)) for price in (0.0, 1e6)]
    equal = (target - ends[0]) / (ends[1] - ends[0])
    return dollars(equal * 1e6) if equal > 0.0 else "no price"
