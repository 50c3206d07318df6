"""Answers as they are used in Python: tables, records, data frames, labelled arrays, and what a notebook shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aicompute.errors import UnknownNameError
from aicompute.estimate.result import METRICS, Comparison, Estimate, Metric, Ratio
from aicompute.report.comparison import comparison_sheet, known_metrics, unique
from aicompute.report.detail import estimate_sheet
from aicompute.report.frames import BOUNDS, attributes_of, bounds_of, metric_name, pandas_module, xarray_module
from aicompute.report.headline import headline_sheet, headline_verdict
from aicompute.report.printed import Printed
from aicompute.report.records import as_csv, as_json, comparison_record, comparisons_record
from aicompute.report.sheet import Sheet
from aicompute.report.verdict import ratio_of, verdict
from aicompute.specs import Library


class View(Printed):
    """What answers to a scenario can do; the parts differ."""

    def _record(self) -> dict[str, Any]:
        raise NotImplementedError

    def _comparisons(self) -> Sequence[Comparison]:
        raise NotImplementedError

    def _csv(self) -> str:
        return as_csv(self._comparisons())

    def to_json(self) -> str:
        """The answer by ``compare.schema.json``; the same as ``--format json``."""
        return as_json(self._record())

    def to_dict(self) -> dict[str, Any]:
        """The answer as `to_json` writes it, not yet text."""
        return self._record()

    def to_pandas(self) -> Any:
        """A data frame with a row a metric, in SI units; needs the extra ``tables``."""
        rows = [row for comparison in self._comparisons() for row in _long_rows(comparison)]
        columns = ["scenario", "system", "site", "metric", "value", "low", "high", "unit"]
        return pandas_module().DataFrame(rows, columns=columns)


@dataclass(frozen=True, repr=False)
class EstimateView(View):
    """One system in one scenario; `estimate` is the record behind it, in SI units."""

    comparison: Comparison
    library: Library | None = field(default=None, compare=False)

    @property
    def estimate(self) -> Estimate:
        """The record: floats in SI units."""
        return self.comparison.estimates[0]

    @property
    def system(self) -> str:
        """Id of the system."""
        return self.estimate.system

    @property
    def site(self) -> str:
        """Id of the site."""
        return self.estimate.site

    @property
    def feasible(self) -> bool:
        """Whether any plan fits and meets the targets; `reason` says why not."""
        return self.estimate.feasible

    @property
    def reason(self) -> str:
        """Why it is not feasible, and what would do."""
        return self.estimate.reason

    @property
    def plan(self) -> Mapping[str, Any]:
        """The best plan found."""
        return self.estimate.plan

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """Every metric with its 90 % interval, in SI units."""
        return self.estimate.metrics

    @property
    def bottleneck(self) -> str:
        """What bounds it."""
        return self.estimate.bottleneck

    @property
    def draws(self) -> Mapping[str, NDArray[np.float64]]:
        """The samples behind the intervals."""
        return {name: metric.draws for name, metric in self.metrics.items() if metric.draws is not None}

    def __getitem__(self, name: str) -> Metric:
        """A metric by its name here or in JSON (``capital`` or ``capex``)."""
        return self.estimate[metric_name(name, self.metrics)]

    def value(self, name: str) -> float:
        """A metric in SI units, nan where the answer has none."""
        return self.estimate.value(metric_name(name, METRICS))

    def breakdown(self) -> dict[str, float]:
        """Seconds of a step by part, largest first."""
        return {part.name: part.seconds for part in self.estimate.breakdown}

    def communication(self) -> dict[str, float]:
        """Seconds that each collective would take if nothing were hidden."""
        return {part.name: part.seconds for part in self.estimate.communication}

    def verdict(self) -> list[str]:
        """The verdict in words."""
        return verdict(self.comparison, self.library)

    def to_xarray(self) -> Any:
        """A dataset with a variable a metric over ``bound`` (value, low, high), in SI units; needs the extra ``tables``."""
        found = {name: ("bound", [metric.value, metric.low, metric.high], attributes_of(name)) for name, metric in self.metrics.items()}
        return xarray_module().Dataset(found, coords={"bound": list(BOUNDS)}, attrs={"system": self.system, "site": self.site})

    def _sheet(self, notes: bool = True) -> Sheet:
        return estimate_sheet(self.comparison, self.library, notes)

    def _record(self) -> dict[str, Any]:
        return comparison_record(self.comparison, self.library)

    def _comparisons(self) -> Sequence[Comparison]:
        return (self.comparison,)


@dataclass(frozen=True, repr=False)
class ComparisonView(View):
    """Systems side by side in one scenario."""

    comparison: Comparison
    library: Library | None = field(default=None, compare=False)

    @property
    def estimates(self) -> tuple[Estimate, ...]:
        """The records: floats in SI units."""
        return self.comparison.estimates

    @property
    def scenario(self) -> Mapping[str, Any]:
        """What was asked."""
        return self.comparison.scenario

    def __iter__(self) -> Iterator[EstimateView]:
        """Each system (and site) alone."""
        return (self[place] for place in range(len(self.estimates)))

    def __len__(self) -> int:
        return len(self.estimates)

    def __getitem__(self, key: int | str) -> EstimateView:
        """By position or by system id (its first site)."""
        systems = [estimate.system for estimate in self.estimates]
        if isinstance(key, str) and key not in systems:
            raise UnknownNameError("system of this comparison", key, systems)
        found = self.comparison[key]
        return EstimateView(Comparison(self.comparison.title, self.comparison.scenario, (found,)), self.library)

    def ratio(self, name: str) -> Ratio | None:
        """First over second system, with interval and the probability that the first is better."""
        return ratio_of(self.comparison, metric_name(name, METRICS))

    def breakdown(self) -> dict[str, dict[str, float]]:
        """Seconds of a step by part, for each system (and site)."""
        several = len({estimate.site for estimate in self.estimates}) > 1
        return {
            f"{estimate.system} @ {estimate.site}" if several else estimate.system: {part.name: part.seconds for part in estimate.breakdown}
            for estimate in self.estimates
        }

    def verdict(self) -> list[str]:
        """The verdict in words."""
        return verdict(self.comparison, self.library)

    def to_xarray(self) -> Any:
        """A dataset over ``system``, ``site`` where there are several, and ``bound``; in SI units. Needs the extra ``tables``."""
        systems = list(dict.fromkeys(estimate.system for estimate in self.estimates))
        sites = list(dict.fromkeys(estimate.site for estimate in self.estimates))
        by_place = {(estimate.system, estimate.site): estimate for estimate in self.estimates}
        dims = ("system", "site") if len(sites) > 1 else ("system",)
        places = [[(system, site) for site in sites] if len(sites) > 1 else [(system, sites[0])] for system in systems]
        found = {}
        for name in known_metrics(self.estimates):
            values = np.array([[bounds_of(by_place.get(place), name) for place in row] for row in places])
            found[name] = ((*dims, "bound"), values if len(sites) > 1 else values[:, 0], attributes_of(name))
        coords: dict[str, Any] = {"system": systems, "bound": list(BOUNDS)}
        return xarray_module().Dataset(found, coords=coords | ({"site": sites} if len(sites) > 1 else {}))

    def _sheet(self, notes: bool = True) -> Sheet:
        return comparison_sheet(self.comparison, self.library, notes)

    def _record(self) -> dict[str, Any]:
        return comparison_record(self.comparison, self.library)

    def _comparisons(self) -> Sequence[Comparison]:
        return (self.comparison,)


@dataclass(frozen=True, repr=False)
class HeadlineView(View):
    """Systems side by side in several scenarios."""

    comparisons: tuple[Comparison, ...]
    library: Library | None = field(default=None, compare=False)

    def __iter__(self) -> Iterator[ComparisonView]:
        """The scenarios in order."""
        return (ComparisonView(comparison, self.library) for comparison in self.comparisons)

    def __len__(self) -> int:
        return len(self.comparisons)

    def __getitem__(self, key: int | str) -> ComparisonView:
        """By position or title."""
        if isinstance(key, int):
            return ComparisonView(self.comparisons[key], self.library)
        titles = {comparison.title: comparison for comparison in self.comparisons}
        if key not in titles:
            raise UnknownNameError("scenario of this headline", key, titles)
        return ComparisonView(titles[key], self.library)

    def breakdown(self) -> dict[str, dict[str, dict[str, float]]]:
        """Seconds of a step by part, for each scenario and system."""
        return {view.comparison.title: view.breakdown() for view in self}

    def verdict(self) -> list[str]:
        """The verdict in words."""
        return headline_verdict(self.comparisons, self.library)

    def to_xarray(self) -> Any:
        """A dataset over ``scenario``, ``system`` and ``bound``, in SI units; nan where a metric has no meaning. Needs ``tables``."""
        systems = [estimate.system for estimate in self.comparisons[0].estimates]
        every = [estimate for comparison in self.comparisons for estimate in comparison.estimates]
        found = {
            name: (
                ("scenario", "system", "bound"),
                np.array([[bounds_of(estimate, name) for estimate in comparison.estimates] for comparison in self.comparisons]),
                attributes_of(name),
            )
            for name in known_metrics(every)
        }
        titles = [comparison.title for comparison in self.comparisons]
        return xarray_module().Dataset(found, coords={"scenario": titles, "system": systems, "bound": list(BOUNDS)})

    def _sheet(self, notes: bool = True) -> Sheet:
        return headline_sheet(self.comparisons, self.library, notes)

    def _record(self) -> dict[str, Any]:
        return comparisons_record(self.comparisons, self.library)

    def _comparisons(self) -> Sequence[Comparison]:
        return self.comparisons


def _long_rows(comparison: Comparison) -> list[list[Any]]:
    """A row a metric, in SI units."""
    return [
        [comparison.title, estimate.system, estimate.site, name, metric.value, metric.low, metric.high, metric.unit]
        for estimate in unique(comparison.estimates)
        for name, metric in estimate.metrics.items()
    ]
