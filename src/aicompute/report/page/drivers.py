"""Which values of the specs move the verdict, one at a time: the numbers of `aicompute.search.sensitivity`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from aicompute.estimate.result import Origin
from aicompute.report.page.asked import Asked
from aicompute.report.page.money import Books
from aicompute.search.sensitivity import Sensitivity, sensitivities

METRIC = "cost_per_token"
MOST_SHOWN = 12
LEAST_WIDTH = 1.001
"""Larger end over smaller, below which a value moves nothing that can be seen."""


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
    Every value that a formula reads, at the plans as they were chosen. One at a time: values that matter only together are not found.
    """
    first, second = (_of_system(asked, k) for k in (0, 1))
    base = base_ratio(found)
    made = []
    for address, one in {**second, **first}.items():
        ends = [base * _moved(first, address, at_high) / _moved(second, address, at_high) for at_high in (False, True)]
        if all(math.isfinite(end) and end > 0.0 for end in ends):
            v = one.value
            origin = Origin(one.name, v.value, v.low, v.high, v.unit, v.kind, v.source)
            made.append(Driver(one.name, _home(asked, one.name), origin, *ends))
    made.sort(key=lambda driver: -driver.width)
    return [driver for driver in made if driver.width > LEAST_WIDTH][:MOST_SHOWN]


def base_ratio(found: Books) -> float:
    """Cost of a token on the first system over that on the second."""
    return float(found.per_token(0, found.site)) / float(found.per_token(1, found.site))


def _of_system(asked: Asked, k: int) -> dict[str, Sensitivity]:
    """What values do to one system, of the size and at the site of its answer."""
    e = asked.main.estimates[k]
    terms = replace(asked.options, sites=(e.site,), accelerators=e.accelerators, equal=None)
    found = sensitivities(asked.library, [e.system], asked.model, asked.workload, terms, (METRIC,), finite=False).found
    return {one.address: one for one in found}


def _moved(found: Mapping[str, Sensitivity], address: str, at_high: bool) -> float:
    """The cost of a token at one end of a range over what it is; 1 where the system does not depend on the value."""
    if address not in found:
        return 1.0
    return 1.0 + (found[address].at_high if at_high else found[address].at_low)[METRIC]


def _home(asked: Asked, path: str) -> str:
    """Id of the file of a value: ids may hold dots."""
    ids = {name for e in asked.main.estimates for name in (e.system, e.accelerator, e.stack, e.site, e.model)}
    return max((name for name in ids if path.startswith(f"{name}.")), key=len, default=path.partition(".")[0])
