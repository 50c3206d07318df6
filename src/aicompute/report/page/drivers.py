"""Which values of the specs move the verdict, one at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from aicompute.errors import AicomputeError
from aicompute.estimate.result import Origin
from aicompute.numerics import Array
from aicompute.report.page.asked import Asked
from aicompute.report.page.money import Books

TERMS: Mapping[str, str] = {
    "electricity_price": "electricity.price",
    "pue": "pue",
    "facility_capital": "facility.capital",
    "facility_life": "facility.life",
    "facility_rate": "facility.rate",
    "capital_rate": "capital.rate",
    "capital_life": "capital.life",
    "operation_fraction": "operation.fraction",
    "capital_residual": "capital.residual",
    "demand_charge": "electricity.demand_charge",
    "import_tax": "tax.import",
}
"""Where the terms of a site stand in its file."""
MOST_TRIED = 8
"""Values that change the rate, those with the largest swing first, for which the scenario is asked again."""
MOST_SHOWN = 12


@dataclass(frozen=True)
class Driver:
    """A value, and the cost of a token on the first system over that on the second at the ends of its range."""

    path: str
    """Id of its file, then where it stands there."""
    home: str
    """Id of its file."""
    origin: Origin
    low: float
    high: float

    @property
    def words(self) -> str:
        """The value without its file."""
        return self.path.removeprefix(f"{self.home}.").replace(".", " ").replace("_", " ").replace("-", " ")

    @property
    def width(self) -> float:
        """Larger end over smaller."""
        return max(self.low, self.high) / min(self.low, self.high)


def drivers(asked: Asked, found: Books) -> list[Driver]:
    """The values with the largest effect on the ratio of the costs of a token, largest first.

    Notes
    -----
    Money by the formula of cost; what changes the rate by asking again with the value at each end, the plan free. One at a time: values
    that matter only together are not found, nor those that act through power alone.
    """
    seen = {origin.path: origin for e in asked.main.estimates for origin in e.origins}
    made = [*_of_money(asked, found, seen), *_of_rate(asked, found, seen)]
    made.sort(key=lambda driver: -driver.width)
    return [driver for driver in made if driver.width > 1.001][:MOST_SHOWN]


def base_ratio(found: Books) -> float:
    """Cost of a token on the first system over that on the second."""
    return float(found.per_token(0, found.site)) / float(found.per_token(1, found.site))


def _of_money(asked: Asked, found: Books, seen: Mapping[str, Origin]) -> list[Driver]:
    """Prices of the systems and terms of the sites."""
    if found.rent is not None:
        return []
    made = []
    sites = [e.site for e in asked.main.estimates]
    for field, path in TERMS.items():
        ends_in = (path, f"{path}.air", f"{path}.liquid")
        for where in [name for name in seen if any(name == f"{site}.{end}" for site in sites for end in ends_in)]:
            ends = []
            for value in (seen[where].low, seen[where].high):
                costs = [_cost(found, k, {field: value} if _reads(asked, k, where) else {}) for k in (0, 1)]
                ends.append(costs[0] / costs[1])
            made.append(Driver(where, _home(asked, where), seen[where], ends[0], ends[1]))
    for k, e in enumerate(asked.main.estimates):
        where = f"{e.system}.price.unit"
        if where in seen:
            ends = []
            for value in (seen[where].low, seen[where].high):
                costs = [_cost(found, 0), _cost(found, 1)]
                costs[k] = _priced(found, k, value)
                ends.append(costs[0] / costs[1])
            made.append(Driver(where, _home(asked, where), seen[where], ends[0], ends[1]))
    return made


def _home(asked: Asked, path: str) -> str:
    """Id of the file of a value: ids may hold dots."""
    ids = {name for e in asked.main.estimates for name in (e.system, e.accelerator, e.stack, e.site, e.model)}
    return max((name for name in ids if path.startswith(f"{name}.")), key=len, default=path.partition(".")[0])


def _reads(asked: Asked, system: int, path: str) -> bool:
    """Whether the answer of a system used a value."""
    return any(origin.path == path for origin in asked.main.estimates[system].origins)


def _cost(found: Books, system: int, terms: Mapping[str, Array] | None = None) -> float:
    return float(found.per_token(system, found.site, **(terms or {})))


def _priced(found: Books, system: int, price: float) -> float:
    """Cost of a token where a unit has another price."""
    place = found.places[found.site][system]
    return float(replace(found.ledgers[system], price=price).per_token(place.terms, found.use, place.imported))


def _of_rate(asked: Asked, found: Books, seen: Mapping[str, Origin]) -> list[Driver]:
    """What changes the rate: the scenario asked again."""
    moving = [origin for origin in seen.values() if abs(origin.swing) > 0.005]
    made = []
    for origin in sorted(moving, key=lambda one: -abs(one.swing))[:MOST_TRIED]:
        ends = [_asked_again(asked, found, origin.path, value) for value in (origin.low, origin.high)]
        if all(end is not None for end in ends):
            made.append(Driver(origin.path, _home(asked, origin.path), origin, float(ends[0] or 0.0), float(ends[1] or 0.0)))
    return made


def _asked_again(asked: Asked, found: Books, path: str, value: float) -> float | None:
    """Ratio of the costs where one value is another; None where a system cannot do it then."""
    costs = []
    for k, e in enumerate(asked.main.estimates):
        if not _reads(asked, k, path):
            costs.append(_cost(found, k))
            continue
        try:
            one = replace(asked, systems=(asked.systems[k],))
            again = one.ask(changes={path: value}, samples=0, explain=False, accelerators=e.accelerators, equal=None).estimates[0]
        except AicomputeError:
            return None
        if not again.feasible:
            return None
        costs.append(again.value("cost_per_token"))
    return costs[0] / costs[1]
