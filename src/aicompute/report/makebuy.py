"""Make or buy, on a page: break-even volumes against every offer, and who is cheaper at a volume."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aicompute.decide.apis import ApiOffer
from aicompute.decide.makebuy import DAY, Hosting, MakeOrBuy, Verdict
from aicompute.estimate.result import Metric
from aicompute.report.money import Page, record_of
from aicompute.report.numbers import chance_text, percent, spread
from aicompute.report.records import SCHEMA, clean
from aicompute.report.sheet import Prose, Sheet, Table
from aicompute.report.text import Cell
from aicompute.units import plain

MILLION = 1e6
_HOURS = {"mean": "evenly through the week", "dear": "in the dearest hours", "cheap": "in the cheapest hours"}
_VOLUMES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1.0, ""))


@dataclass(frozen=True, repr=False)
class MakeBuyView(Page):
    """Making tokens against buying them; `answer` is the record behind it, in SI units."""

    answer: MakeOrBuy
    mode: str = "standard"

    columns = ("api", "provider", "status", "hosting", "metric", "value", "low", "high", "unit")

    @property
    def notes(self) -> tuple[str, ...]:
        """Boundaries, and what list prices do not say."""
        a = self.answer
        found = ["tokens are those in and out together; prices are lists in USD, without volume discounts and tax"]
        if any(offer.spec != a.model for offer in a.offers):
            found.append("another model is another quality: its price is compared, not its worth")
        if any(len(offer.windows) > 1 for offer in a.offers):
            found.append(f"where the price depends on the hour, tokens are bought {_HOURS[a.hours]}")
        if a.shape.prefix_hit and any(window.cached_input is None for offer in a.offers for window in offer.windows):
            found.append("where a list has no price for cached input, that of other input is taken")
        if any(hosting.tree.how.on_demand for hosting in a.hostings):
            found.append("on demand, whole units are rented for the time of work alone: waiting and starting cost nothing")
        if len({hosting.kind for hosting in a.hostings}) < 2:
            found.append(f"no rent is listed for {a.hostings[0].tree.system}; --rent gives one")
        return tuple(found)

    def sheet(self, notes: bool = True) -> Sheet:
        """The page: the clusters, the offers, the volume that was asked."""
        a = self.answer
        blocks: list[Table | Prose] = [self._clusters(), self._offers()]
        blocks.append(Prose([("", "From: tokens a day from which the smallest cluster costs less than the API; used: its mean use then.")]))
        blocks.append(Prose([("", f"- {line}") for line in self.verdict], "Verdict"))
        if notes:
            blocks.append(Prose([("", f"- {note}") for note in self.notes], "Notes"))
        tree = a.hostings[0].tree
        title = f"Make or buy: {a.model} on {tree.system_name} ({tree.system}), {tree.site}"
        cached = f", {percent(a.shape.prefix_hit)} of it cached" if a.shape.prefix_hit else ""
        shape = f"{plain(a.shape.input_length)} tokens in{cached}, {plain(a.shape.output_length)} out"
        prices = f"prices of {a.date}" if a.date else "last prices"
        use = percent(a.hostings[0].most_use)
        drawn = " 90 % intervals." if a.hostings[0].drawn is not None else ""
        return Sheet(title, f"Terms: {shape}; {prices}, {self.mode}; a cluster is used {use} of the time at most.{drawn}", blocks)

    def _clusters(self) -> Table:
        """What the smallest cluster makes and costs."""
        rows: list[list[Cell]] = []
        for hosting in self.answer.hostings:
            made = hosting.plant.rate * hosting.least_units * DAY * hosting.most_use
            daily = hosting.plant.fixed_of(float(hosting.least_units)) * DAY
            units = f"{hosting.least_units} x {plain(hosting.tree.accelerators / hosting.least_units)}"
            rows.append([hosting.kind, units, _volume(float(made)), plain(float(daily)), _money(hosting.per_token())])
        headers = ["smallest cluster", "units x acc.", "tokens/day", "fixed USD/day", "USD/M tokens, full"]
        return Table(headers, rows)

    def _offers(self) -> Table:
        """Each offer, and under it every way to make tokens: break-even volume, use, and cost over price at the volume asked."""
        a = self.answer
        rows: list[list[Cell]] = []
        for offer in a.offers:
            verdicts = a.of(offer)
            rows.append([f"{_called(offer)}: {plain(verdicts[0].price * MILLION)} USD/M tokens, {offer.status}"])
            rows += [[f"  {verdict.hosting.kind}", *_break_even(verdict), *_factor(verdict, a.volume is not None)] for verdict in verdicts]
        headers = ["against", "from tokens/day", "used"]
        if a.volume is None:
            return Table(headers, rows, "List prices")
        costs = [f"{each.kind} {_money(each.per_token(a.volume))} USD/M tokens with {_units(each, a.volume)}" for each in a.hostings]
        heading = f"List prices; at {_volume(a.volume * DAY)} tokens/day: {', '.join(costs)}"
        return Table([*headers, "make/buy", "P(make cheaper)"], rows, heading)

    @property
    def verdict(self) -> tuple[str, ...]:
        """For each way to make tokens, which offers it undercuts, in words."""
        a = self.answer
        found = []
        for hosting in a.hostings:
            own = [each for each in a.verdicts if each.hosting is hosting]
            paying = [each for each in own if each.reachable and each.volume is not None]
            name = f"{'An' if hosting.kind == 'own' else 'A'} {hosting.kind} cluster"
            if not paying:
                found.append(f"{name} is never cheaper: at most {percent(hosting.most_use)} of the time in use, no volume pays for it.")
                continue
            least, most = (pick(paying, key=lambda each: each.volume.value if each.volume else 0.0) for pick in (min, max))
            first = f"{name} beats {_called(least.offer)} from {_least(least)} tokens/day"
            if not any(each.volume.value for each in paying if each.volume):  # all of its cost grows with the tokens
                first, most = f"{name} beats {len(paying)} of {len(own)} offers at any volume", least
            rest = f" and {_called(most.offer)} from {_least(most)}" if most is not least else ""
            never = len(own) - len(paying)
            found.append(f"{first}{rest}{f'; {never} of {len(own)} offers it never beats' if never else ''}.")
        return tuple(found)

    def to_dict(self) -> dict[str, Any]:
        """Clusters, offers with break-even volumes, notes."""
        a = self.answer
        found: dict[str, Any] = clean(
            {
                "schema": SCHEMA,
                "model": a.model,
                "shape": {"input_length": a.shape.input_length, "output_length": a.shape.output_length, "prefix_hit": a.shape.prefix_hit},
                "date": a.date,
                "mode": self.mode,
                "hours": a.hours,
                "volume_tokens_per_day": None if a.volume is None else a.volume * DAY,
                "clusters": [_cluster_record(hosting, a.volume) for hosting in a.hostings],
                "offers": [self._offer_record(offer) for offer in a.offers],
                "verdict": list(self.verdict),
                "notes": list(self.notes),
            }
        )
        return found

    def _offer_record(self, offer: ApiOffer) -> dict[str, Any]:
        verdicts = self.answer.of(offer)
        windows = [
            {
                "hours": window.name,
                "share_of_week": window.share,
                "input": window.input * MILLION,
                "cached_input": None if window.cached_input is None else window.cached_input * MILLION,
                "output": window.output * MILLION,
            }
            for window in offer.windows
        ]
        names = ("model", "spec", "weights", "provider", "valid_from", "valid_to", "seen", "status", "source", "notes")
        return {
            **{name: getattr(offer, name) for name in names},
            "prices": windows,
            "price_per_million_tokens": verdicts[0].price * MILLION,
            "against": [_verdict_record(verdict) for verdict in verdicts],
        }

    def rows(self) -> list[list[Cell]]:
        """A row a number, in the order of `columns`."""
        found: list[list[Cell]] = []
        for verdict in self.answer.verdicts:
            offer = verdict.offer
            head: list[Cell] = [offer.model, offer.provider, offer.status, verdict.hosting.kind]
            record = _verdict_record(verdict)
            found.append([*head, "price_per_million_tokens", verdict.price * MILLION, None, None, "USD/Mtoken"])
            for name in ("break_even_volume", "break_even_utilisation", "cost_over_price"):
                cells = record[name]
                if cells is not None:
                    found.append([*head, name, cells["value"], cells["low"], cells["high"], cells["unit"]])
        return [[clean(cell) for cell in row] for row in found]


def _least(verdict: Verdict) -> str:
    """The break-even volume without its interval, with the digits that this supports."""
    number, bracket, rest = _break_even(verdict)[0].partition(" (")
    return number + rest.partition(")")[2] if bracket else number


def _called(offer: ApiOffer) -> str:
    return f"{offer.model} ({offer.provider})"


def _volume(tokens: float) -> str:
    """Tokens with a prefix."""
    size, prefix = next((size, prefix) for size, prefix in _VOLUMES if tokens >= size or size == 1.0)
    return f"{plain(tokens / size)} {prefix}".strip()


def _units(hosting: Hosting, volume: float) -> str:
    count = float(hosting.units_for(hosting.plant, volume))
    return f"{plain(count)} unit{'' if count == 1.0 else 's'}"


def _money(metric: Metric) -> str:
    return spread(metric.value * MILLION, metric.low * MILLION, metric.high * MILLION)


def _break_even(verdict: Verdict) -> tuple[str, str]:
    """Tokens a day and the use of the smallest cluster, or that there are none."""
    if verdict.volume is None or verdict.utilisation is None:
        return "never", ""
    if not verdict.volume.value:
        return "any", ""
    use = percent(verdict.utilisation.value)
    if not verdict.reachable:
        return "never", f"{use} needed"
    value, low, high = (number * DAY for number in (verdict.volume.value, verdict.volume.low, verdict.volume.high))
    size, prefix = next((size, prefix) for size, prefix in _VOLUMES if value >= size or size == 1.0)
    return f"{spread(value / size, low / size, high / size)} {prefix}".strip(), use


def _factor(verdict: Verdict, asked: bool) -> tuple[str, ...]:
    """Cost of making over price, and how likely it is below one."""
    if not asked or verdict.factor is None:
        return ()
    text = spread(verdict.factor.value, verdict.factor.low, verdict.factor.high)
    return text, "" if verdict.cheaper != verdict.cheaper else chance_text(verdict.cheaper)


def _cluster_record(hosting: Hosting, volume: float | None) -> dict[str, Any]:
    size = hosting.least_units
    found = {
        "kind": hosting.kind,
        "system": hosting.tree.system,
        "site": hosting.tree.site,
        "units": size,
        "accelerators": hosting.tree.accelerators,
        "largest_utilisation": hosting.most_use,
        "fixed_usd_per_day": float(hosting.plant.fixed_of(float(size))) * DAY,
        "variable_usd_per_million_tokens": float(hosting.plant.variable) * MILLION,
        "tokens_per_day_at_work": float(hosting.plant.rate) * size * DAY,
        "cost_per_million_tokens_when_full": record_of(hosting.per_token(), "USD/Mtoken", 1.0 / MILLION),
    }
    if volume is None:
        return found
    cost = record_of(hosting.per_token(volume), "USD/Mtoken", 1.0 / MILLION)
    return {**found, "at_volume": {"units": float(hosting.units_for(hosting.plant, volume)), "cost_per_million_tokens": cost}}


def _verdict_record(verdict: Verdict) -> dict[str, Any]:
    return {
        "hosting": verdict.hosting.kind,
        "break_even_volume": record_of(verdict.volume, "token/day", 1.0 / DAY),
        "break_even_utilisation": record_of(verdict.utilisation, "1"),
        "reachable": verdict.reachable,
        "probability_reachable": verdict.probability,
        "cost_over_price": record_of(verdict.factor, "1"),
        "probability_make_cheaper": verdict.cheaper,
    }

