"""Tables and sentences of a sizing: what fleets take, what they do, and the verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aicompute.decide.currency import Exchange
from aicompute.decide.fleet import Sizing, best_of_each
from aicompute.decide.size import Option
from aicompute.economics.capital import YEAR
from aicompute.estimate.result import Metric
from aicompute.report.numbers import scale_of, spread, value_text
from aicompute.report.sheet import Prose, Table
from aicompute.report.text import Cell
from aicompute.units import plain

MONTH = YEAR / 12.0
LARGE = 20.0
"""Units of a currency to the dollar from which on large amounts are told in billions."""
SIGNS = {"cheapest": "$", "fastest": ">", "greenest": "g", "least abroad": "h"}
_USES = {"serve": "Serving", "train": "Training"}


@dataclass(frozen=True)
class Money:
    """A currency, and how large amounts of it are told."""

    exchange: Exchange

    @property
    def sign(self) -> str:
        """Of one unit."""
        return "$" if self.exchange.code == "USD" else self.exchange.code

    @property
    def large(self) -> float:
        """A million, or a billion of small units [USD]."""
        return (1e6 if self.exchange.rate < LARGE else 1e9) / self.exchange.rate

    @property
    def short(self) -> str:
        """That amount at the head of a column."""
        return "M$" if self.sign == "$" else f"{'M' if self.exchange.rate < LARGE else 'bn '}{self.sign}"

    @property
    def words(self) -> str:
        """That amount in a sentence."""
        return f"{'million' if self.exchange.rate < LARGE else 'billion'} {self.exchange.code}"


def blocks_of(a: Sizing, use: str, money: Money, top: int) -> list[Table | Prose]:
    """Tables of one use."""
    found = a.of(use)
    if not found:
        return []
    marks = a.marks[use]
    several = len({o.site for o in found}) > 1
    shown = (best_of_each(found, "system") if several else found)[:top]
    chosen = once([*shown, *marks.values()])
    where = "each system at its cheapest site" if several else "the cheapest first"
    count = sum(o.use == use for o in (*a.options, *a.failing)) + sum(r.use == use for r in a.refused)
    heading = f"{_USES[use]}: {len(found)} of {count} fleets do; {where}. What sets the size: {_binds(chosen)}"
    blocks: list[Table | Prose] = [fleet_table(chosen, marks, money, heading), work_table(chosen, marks)]
    if several:
        blocks.append(fleet_table(best_of_each(found, "site"), marks, money, f"{_USES[use]}: each site with its cheapest system"))
    return blocks


def fastest_blocks(options: Sequence[Option], money: Money) -> list[Table | Prose]:
    """Tables of the fastest that a ceiling buys."""
    heading = f"The fastest that the ceiling buys, each system at its cheapest site. What sets the size: {_binds(options)}"
    return [fleet_table(options, {}, money, heading), work_table(options, {})]


def fleet_table(options: Sequence[Option], marks: Mapping[str, Option], money: Money, heading: str) -> Table:
    """What fleets take: a row an option."""
    train = bool(options) and options[0].use == "train"
    short = money.short
    last = [f"{short}/run", "90 %", "days"] if train else [f"{short}/mo.", f"{money.sign}/M", "90 %"]
    rows: list[Sequence[Cell]] = []
    for o in options:
        row: list[Cell] = [_marked(o, marks), _site(o), f"{o.units:,.0f}", _text(o.power, 1e-6), _text(o.capital, 1.0 / money.large)]
        if train:
            value, _, interval = _interval(o.cost_rate, o.time / money.large).partition(" ")
            row += [value, interval.strip("()"), plain(o.time / 86400.0)]
        else:
            value, _, interval = _interval(o.per_token, 1e6 * money.exchange.rate).partition(" ")
            row += [_text(o.cost_rate, MONTH / money.large), value, interval.strip("()")]
        rows.append(row)
    return Table(["system", "site", "units", "MW", short, *last], rows, heading)


def work_table(options: Sequence[Option], marks: Mapping[str, Option]) -> Table:
    """What the same fleets do."""
    if options and options[0].use == "train":
        rows: list[Sequence[Cell]] = [
            [*_head(o, marks), _text(o.rate, 1e-6), plain(o.carbon_per_token * o.rate.value * o.time / 1e3), f"{100.0 * o.abroad:.0f} %"]
            for o in options
        ]
        heading = "The same fleets: spare accelerators, speed, carbon of operation, share of the chip made abroad"
        return Table(["system", "site", "accel.", "spare", "Mtok/s", "t CO2/run", "abroad"], rows, heading)
    rows = [
        [*_head(o, marks), _text(o.rate, o.utilisation / 1e3), users_text(o.users), plain(o.per_user),
         f"{o.carbon_per_token * 1e9:,.0f}", f"{100.0 * o.abroad:.0f} %"]
        for o in options
    ]  # fmt: skip
    heading = (
        "The same fleets: spare accelerators, mean output, users at the peak and tokens/s of each, carbon of operation (g a million "
        "tokens), share of the chip made abroad"
    )
    return Table(["system", "site", "accel.", "spare", "ktok/s", "users", "each", "g/M", "abroad"], rows, heading)


def _head(o: Option, marks: Mapping[str, Option]) -> list[Cell]:
    return [_marked(o, marks), _site(o), f"{o.accelerators:,.0f}", f"{o.spare:,.0f}"]


def verdict(a: Sizing | None, fastest: Sequence[Option], money: Money) -> list[tuple[str, str]]:
    """The answer in a few sentences."""
    if a is None:
        o = fastest[0]
        return [("", f"{o.system} at site {o.site} is the fastest: {plain(o.per_user)} output tokens/s for a user, {_price(o, money)}.")]
    said = [("", _sentence(a.marks[use]["cheapest"], money)) for use in ("train", "serve") if a.marks.get(use)]
    if not a.pairs:
        return said
    first, single = a.pairs[0], a.single
    if single is None:
        said.append(("", "Only a mixed fleet does both within the limits."))
        return said
    gain = single.yearly / first.yearly - 1.0
    if first.mixed and gain > 5e-4:
        pair = f"train on {first.train.system} and serve on {first.serve.system} in {first.train.site}"
        other = f"{single.train.system} for both in {single.train.site}"
        said.append(("", f"A mixed fleet wins: {pair}; {other} costs {100.0 * gain:.1f} % more."))
    else:
        said.append(("", f"One system wins: {single.train.system} in {single.train.site} for both; to mix saves nothing."))
    return said


def _sentence(o: Option, money: Money) -> str:
    """What the cheapest fleet is and takes."""
    spare = f", {o.spare:,.0f} of them spare" if o.spare else ""
    units = f"{o.units:,.0f} {o.system} ({o.accelerators:,.0f} accelerators{spare})"
    takes = f"{_text(o.power, 1e-6)} MW, {_interval(o.capital, 1.0 / money.large)} {money.words} of capital"
    if o.use == "train":
        cost = f"{_interval(o.cost_rate, o.time / money.large)} {money.words}"
        return f"Cheapest to train: {units} at site {o.site}: {time_text(o.time)}, {cost}; {takes}. {_bound(o)}"
    month = f"{_interval(o.cost_rate, MONTH / money.large)} {money.words} a month"
    users = f"{users_text(o.users)} users at a time at {plain(o.per_user)} tokens/s"
    return f"Cheapest to serve: {units} at site {o.site}: {_price(o, money)}, {month}; {takes}; {users}. {_bound(o)}"


def _bound(o: Option) -> str:
    return {"time": "The time given sets the size.", "demand": "Demand sets the size."}.get(o.binds, f"What sets the size: {o.binds}.")


def _binds(options: Sequence[Option]) -> str:
    return ", ".join(dict.fromkeys(o.binds for o in options))


def _price(o: Option, money: Money) -> str:
    return f"{_interval(o.per_token, 1e6 * money.exchange.rate)} {money.exchange.code} a million output tokens"


def pairs_table(a: Sizing, money: Money) -> Table:
    """Train here, serve there."""
    rows: list[Sequence[Cell]] = [[p.train.site, p.train.system, p.serve.system, plain(p.yearly / money.large)] for p in a.pairs[:5]]
    if a.single is not None:
        rows.append([a.single.train.site, a.single.train.system, "the same", plain(a.single.yearly / money.large)])
    heading = "Both, the cheapest pair of each site; a year: one run, and serving all year"
    return Table(["site", "trains", "serves", f"{money.short}/year"], rows, heading)


def once(options: Sequence[Option]) -> list[Option]:
    """Options without those that came before."""
    return list({id(option): option for option in options}.values())


def _marked(o: Option, marks: Mapping[str, Option]) -> str:
    """A system with its marks."""
    return " ".join([o.system, "".join(sign for name, sign in SIGNS.items() if marks.get(name) is o)]).strip()


def _site(o: Option) -> str:
    return f"{o.site} !" if o.licence else o.site


def _interval(metric: Metric, size: float) -> str:
    return spread(metric.value * size, metric.low * size, metric.high * size)


def _text(metric: Metric, size: float) -> str:
    return value_text(metric.value * size, metric.low * size, metric.high * size)


def users_text(number: float) -> str:
    """A number of users in thousands or millions."""
    size, unit = scale_of(((1e6, "M"), (1e3, "k"), (1.0, "")), [number])
    return f"{plain(number / size)}{unit}"


def time_text(seconds: float) -> str:
    """A time in days or hours."""
    return f"{plain(seconds / 86400.0)} days" if seconds >= 2 * 86400.0 else f"{plain(seconds / 3600.0)} h"
