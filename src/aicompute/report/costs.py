"""The cost of a cluster on a page: the tree at one site or side by side at several, and every input with its source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from aicompute.decide.costs import CostTree, Node
from aicompute.decide.currency import Exchange
from aicompute.decide.offer import LISTED
from aicompute.economics.capital import YEAR
from aicompute.estimate.result import Metric, Origin
from aicompute.report.money import Page, record_of
from aicompute.report.numbers import percent, scale_of, spread
from aicompute.report.records import SCHEMA, clean
from aicompute.report.sheet import Prose, Sheet, Table
from aicompute.report.text import Cell
from aicompute.specs import Library
from aicompute.units import plain, to_unit

HOUR = 3600.0
MILLION = 1e6
LARGE = 1e9
"""Yearly amounts from here on are said in millions."""
_SUMS = ((1e12, "trillion "), (1e9, "billion "), (1e6, "million "), (1.0, ""))
_POWER = ((1e6, "MW"), (1e3, "kW"))
_DEPTH = 2


@dataclass(frozen=True, repr=False)
class CostView(Page):
    """What a system costs at one site or several; `trees` are the records behind it, in SI units."""

    trees: tuple[CostTree, ...]
    exchange: Exchange
    library: Library
    explain: bool = False

    columns = ("system", "site", "cost", "per", "value", "low", "high", "unit")

    @property
    def tree(self) -> CostTree:
        """The tree at the first site."""
        return self.trees[0]

    def __iter__(self) -> Iterator[CostTree]:
        """The trees, a site each."""
        return iter(self.trees)

    def __getitem__(self, site: int | str) -> CostTree:
        """A tree by its place or its site."""
        if isinstance(site, int):
            return self.trees[site]
        for tree in self.trees:
            if tree.site == site:
                return tree
        raise KeyError(site)

    @property
    def notes(self) -> tuple[str, ...]:
        """The exchange rate, and what is not in the cost."""
        found = []
        if self.exchange.source:
            e = self.exchange
            between = f" ({plain(e.low, 6)}-{plain(e.high, 6)})" if e.low != e.high else ""
            since = f"as of {e.date}: {self._title(e.source)}" if e.date else "as given"
            found.append(f"{plain(e.rate, 6)} {e.code}/USD{between} {since}")
        if self.tree.how.rent is None and self.tree.units <= 1.0:
            found.append("one unit needs no network to others; --accelerators for more adds it")
        units, each = self.tree.units, self.tree.accelerators / self.tree.units
        if abs(units - round(units)) > 1e-9:
            found.append(f"units of {plain(each)} accelerators are sold whole; the cost is that of a share, {plain(units, 4)} units")
        return tuple(found)

    def sheet(self, notes: bool = True) -> Sheet:
        """The page: cost by part, and the tree to the cent with its inputs where it was asked to explain."""
        blocks: list[Table | Prose] = [self._one(self.tree)] if len(self.trees) == 1 else self._several()
        if len(self.trees) == 1:
            blocks.append(Prose([("", self._sums(self.tree))]))
        if self.explain:
            blocks += [block for tree in self.trees for block in self._explained(tree)]
        if notes and self.notes:
            blocks.append(Prose([("", f"- {note}") for note in self.notes], "Notes"))
        places = ", ".join(tree.site for tree in self.trees)
        title = f"Cost of {self.tree.system_name} ({self.tree.system}), {self._size()}, {places}"
        return Sheet(title, f"Terms: {self._all_terms()}.{' 90 % intervals.' if self._drawn else ''}", blocks)

    @property
    def _drawn(self) -> bool:
        """Whether there are intervals."""
        return self.tree.drawn is not None

    def _title(self, key: str) -> str:
        return str(self.library.sources().get(key, {}).get("title", key))

    def _size(self) -> str:
        units = self.tree.units
        count = f"{self.tree.accelerators:,.0f} accelerators"
        return f"1 unit of {count}" if units == 1.0 else f"{plain(units, 4)} units, {count}"

    def _all_terms(self) -> str:
        """The terms, with the sites where they differ."""
        sites: dict[str, list[str]] = {}
        for tree in self.trees:
            sites.setdefault(self._terms(tree), []).append(tree.site)
        return next(iter(sites)) if len(sites) == 1 else "; ".join(f"{', '.join(names)}: {terms}" for terms, names in sites.items())

    def _terms(self, tree: CostTree) -> str:
        use = percent(float(tree.offer.utilisation))
        at = "at full power" if tree.estimate is None else f"at the power of {tree.estimate.workload} of {tree.estimate.model}"
        if tree.offer.rent is not None:
            price = "as listed" if tree.how.rent == LISTED else "as given"
            return f"rented, {price}, paid {f'{use} of the time' if tree.offer.on_demand else 'at all times'}; used {use} of the time"
        life, rate = plain(float(tree.offer.terms.capital_life) / YEAR), percent(float(tree.offer.terms.capital_rate) * YEAR)
        place = "in colocation" if tree.offer.colocation is not None else "in a building of one's own"
        return f"owned for {life} years at {rate} a year, {place}; used {use} of the time, {at}"

    def _said(self, cost: Metric, size: float) -> tuple[str, str]:
        """A cost in units of some size in USD per second, and its interval."""
        each = size / self.exchange.rate
        text, _, interval = spread(cost.value / each, cost.low / each, cost.high / each).partition(" ")
        return text, interval.strip("()")

    def _large(self, cost: Metric, size: float) -> str:
        """A sum of money in words that keep it short."""
        scale, word = scale_of(_SUMS, [cost.value / size * self.exchange.rate])
        return f"{_joined(self._said(cost, size * scale))} {word}{self.exchange.code}"

    def _one(self, tree: CostTree) -> Table:
        """Costs by part at one site."""
        code, total = self.exchange.code, tree.root.cost.value
        rows: list[list[Cell]] = []
        large = total * YEAR * self.exchange.rate >= LARGE
        for way, node in tree.root.walk():
            if len(way) > _DEPTH:
                continue
            token = tree.per_token(node)
            last = node.cost.value * YEAR / (MILLION if large else 1.0) if token is None else token.value * MILLION
            said = self._said(node.cost, tree.accelerators / HOUR)[: 2 if self._drawn else 1]
            rows.append([_indented(way, node), *said, _plain(last * self.exchange.rate), percent(node.cost.value / total)])
        unit = f"{code}/M tokens" if tree.tokens_rate else f"{'M ' if large else ''}{code}/year"
        return Table(["cost", f"{code}/acc./h", *(["interval"] if self._drawn else []), unit, "share"], rows)

    def _several(self) -> list[Table | Prose]:
        """Costs per accelerator-hour by part, a column a site; as many tables as 80 columns ask for."""
        ways = _merged_ways([[way for way, _ in tree.root.walk() if len(way) <= _DEPTH] for tree in self.trees])
        found = [dict(tree.root.walk()) for tree in self.trees]
        rows: list[list[Cell]] = []
        for way in ways:
            said = [self._said(nodes[way].cost, tree.accelerators / HOUR) if way in nodes else ("", "")
                    for nodes, tree in zip(found, self.trees, strict=True)]  # fmt: skip
            rows.append([_indented(way, next(nodes[way] for nodes in found if way in nodes)), *(text for text, _ in said)])
            if not way and self._drawn:
                rows.append(["90 % interval", *(interval for _, interval in said)])
        if self.tree.tokens_rate:
            tokens = [self._said(token, 1.0 / MILLION) for tree in self.trees if (token := tree.per_token())]
            rows.append([f"{self.exchange.code}/M tokens", *(text for text, _ in tokens)])
            if self._drawn:
                rows.append(["90 % interval", *(each for _, each in tokens)])
        heads = [f"{self.exchange.code} per accelerator-hour", *(tree.site for tree in self.trees)]
        widths = [max(len(str(cell)) for cell in column) for column in zip(heads, *rows, strict=True)]
        return [Table([heads[k] for k in kept], [[row[k] for k in kept] for row in rows]) for kept in _columns_that_fit(widths)]

    def _sums(self, tree: CostTree) -> str:
        """What the whole system costs, its capital, power and tokens, in a sentence."""
        code = self.exchange.code
        parts = [f"The system: {self._large(tree.root.cost, 1.0 / HOUR)} an hour, {self._large(tree.root.cost, 1.0 / YEAR)} a year"]
        if tree.capital.value:
            parts.append(f"{self._large(tree.capital, 1.0)} of capital")
            size, unit = scale_of(_POWER, [tree.rated.value])
            parts.append(f"{spread(tree.rated.value / size, tree.rated.low / size, tree.rated.high / size)} {unit} of rated IT power")
            parts.append(f"{percent(tree.network.value)} of the cost joins accelerators")
        if tree.tokens_rate and (token := tree.per_token()):
            rate = plain(tree.tokens_rate.value)
            parts.append(f"{_joined(self._said(token, 1.0 / MILLION))} {code} per million tokens at {rate} tokens/s")
        return "; ".join(parts) + "."

    def _explained(self, tree: CostTree) -> list[Table | Prose]:
        """The tree to the cent with formulas, then every input with kind and source."""
        used = dict.fromkeys(key for _, node in tree.root.walk() for key in node.inputs if key in tree.origins)
        numbers = {key: place for place, key in enumerate(used, 1)}
        cents = tree.root.cents(YEAR * self.exchange.rate)
        rows: list[list[Cell]] = []
        for way, node in tree.root.walk():
            marks = " ".join(f"[{numbers[key]}]" for key in node.inputs if key in numbers)
            rows.append([_indented(way, node), f"{cents[way] / 100.0:,.2f}", "" if node.children else node.formula, marks])
        sources = {source: place for place, source in enumerate(dict.fromkeys(tree.origins[key].source for key in used), 1)}
        values = [[f"[{number}] {key}", *_value_cells(tree.origins[key]), f"s{sources[tree.origins[key].source]}"]
                  for key, number in numbers.items()]  # fmt: skip
        return [
            Table([f"{self.exchange.code} a year", "amount", "formula", "inputs"], rows, f"The tree at {tree.site}, to the cent"),
            Table(["input", "number (range)", "kind", "from"], values, "Inputs"),
            Prose([(f"s{place}", self._title(key)) for key, place in sources.items()], "Sources"),
        ]

    def to_dict(self) -> dict[str, Any]:
        """Trees with all their nodes, inputs and notes."""
        found: dict[str, Any] = clean(
            {
                "schema": SCHEMA,
                "currency": {"code": self.exchange.code, "per_usd": self.exchange.rate, "source": self.exchange.source or None},
                "systems": [self._tree_record(tree) for tree in self.trees],
                "notes": list(self.notes),
            }
        )
        return found

    def _tree_record(self, tree: CostTree) -> dict[str, Any]:
        return {
            "id": tree.system,
            "site": tree.site,
            "accelerators": tree.accelerators,
            "units": tree.units,
            "utilisation": tree.offer.utilisation,
            "terms": self._terms(tree),
            "capital": record_of(tree.capital, self.exchange.code, 1.0 / self.exchange.rate),
            "rated_power": record_of(tree.rated, "W"),
            "network_share": record_of(tree.network, "1"),
            "tokens_per_s": record_of(tree.tokens_rate, "token/s"),
            "tree": self._node_record(tree, tree.root),
            "inputs": [_input_record(origin) for origin in tree.origins.values()],
        }

    def _node_record(self, tree: CostTree, node: Node) -> dict[str, Any]:
        found: dict[str, Any] = {"name": node.name, "costs": self._numbers(tree, node)}
        parts = [self._node_record(tree, child) for child in node.children]
        return {**found, "formula": node.formula, "inputs": list(node.inputs), "parts": parts}

    def _numbers(self, tree: CostTree, node: Node) -> dict[str, Any]:
        """The cost of a node per everything it is said per."""
        code, rate = self.exchange.code, self.exchange.rate
        sizes = {
            "hour": (f"{code}/h", 1.0 / HOUR / rate),
            "accelerator_hour": (f"{code}/accelerator/h", tree.accelerators / HOUR / rate),
            "year": (f"{code}/year", 1.0 / YEAR / rate),
        }
        found = {name: record_of(node.cost, unit, size) for name, (unit, size) in sizes.items()}
        token = tree.per_token(node)
        return {**found, "million_tokens": record_of(token, f"{code}/Mtoken", 1e-6 / rate)} if token else found

    def rows(self) -> list[list[Cell]]:
        """A row a node and a unit, in the order of `columns`."""
        found: list[list[Cell]] = []
        for tree in self.trees:
            for way, node in tree.root.walk():
                for per, record in self._numbers(tree, node).items():
                    name = "/".join(way) or "total"
                    found.append([tree.system, tree.site, name, per, record["value"], record["low"], record["high"], record["unit"]])
        return found


def _columns_that_fit(widths: Sequence[int], most: int = 80) -> list[list[int]]:
    """Places of the columns of each table, the first column in all, so that none is wider than a screen.

    Examples
    --------
    >>> _columns_that_fit([30, 20, 20, 10]), _columns_that_fit([30, 90])
    ([[0, 1, 2], [0, 3]], [[0, 1]])
    """
    found, width = [[0]], widths[0]
    for place, each in enumerate(widths[1:], 1):
        if len(found[-1]) > 1 and width + 2 + each > most:
            found.append([0])
            width = widths[0]
        found[-1].append(place)
        width += 2 + each
    return found


def _merged_ways(ways: Sequence[Sequence[tuple[str, ...]]]) -> list[tuple[str, ...]]:
    """Ways of several trees in one order: each part below its own whole."""
    order = {way: place for place, way in enumerate(dict.fromkeys(way for each in ways for way in each))}
    return sorted(order, key=lambda way: [order[way[:depth]] for depth in range(len(way) + 1)])


def _joined(said: tuple[str, str]) -> str:
    """A number with its interval behind it."""
    return f"{said[0]} ({said[1]})" if said[1] else said[0]


def _plain(value: float) -> str:
    """Three digits, or all before the point; what is next to nothing as 0."""
    return plain(value) if abs(value) >= 5e-5 else "0"


def _indented(way: Sequence[str], node: Node) -> str:
    return f"{'  ' * (len(way) - 1)}{node.name}" if way else "total"


def _value_cells(origin: Origin) -> list[Cell]:
    unit = "" if origin.unit == "1" else f" {origin.unit}"
    value, low, high = (plain(to_unit(number, origin.unit), 5) for number in (origin.value, origin.low, origin.high))
    between = f" ({low}-{high})" if (low, high) != (value, value) else ""
    return [f"{value}{unit}{between}", origin.kind]


def _input_record(origin: Origin) -> dict[str, Any]:
    value, low, high = (to_unit(number, origin.unit) for number in (origin.value, origin.low, origin.high))
    numbers = {"path": origin.path, "value": value, "low": low, "high": high, "unit": origin.unit}
    return {**numbers, "kind": origin.kind, "source": origin.source}
