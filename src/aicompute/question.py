"""A question as it was asked: which of its arguments are axes, and its answer at every place of them."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from aicompute import units
from aicompute.arguments import accelerators_of, drafts_of, is_axis, plan_of, rent_of, share_of
from aicompute.errors import UsageError
from aicompute.estimate.result import Comparison
from aicompute.estimate.workload import Workload
from aicompute.report.grid import Grid
from aicompute.search.compare import Options, compare_systems
from aicompute.specs import Library
from aicompute.specs.current import current
from aicompute.workload_grid import WorkloadGrid, one_workload

Folders = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]

SERVED, TRAINED = "deepseek-r1-0528", "deepseek-v3"
"""Models of a question that names none."""
WORDS = ("model", "site", "stack", "precision")
"""Arguments whose values are words, even where they begin with a digit."""


@dataclass(frozen=True)
class Question:
    """Arguments of `compare` or `estimate`, as given."""

    library: Library
    systems: tuple[str, ...]
    terms: Mapping[str, Any]
    """Model, site, stack, precision, utilisation, accelerators, rent and drafts."""
    workload: Workload | WorkloadGrid | str | None
    plan: Mapping[str, Any]
    changes: Mapping[str, Any]
    fixed: Options
    """What cannot be an axis."""

    @property
    def narrowed(self) -> bool:
        """Whether more was asked than the headline."""
        asked = (*self.terms.values(), *self.plan.values(), self.workload, self.fixed.equal)
        return any(value is not None for value in asked)

    @property
    def changed_library(self) -> Library:
        """The specs with the changed values; as they stand where the changes are an axis."""
        return changed(self.library, {key: value for key, value in self.changes.items() if not is_axis(value)})

    @property
    def axes(self) -> dict[str, list[Any]]:
        """Every argument that is an array, with its values."""
        fields = self.workload.arguments if isinstance(self.workload, WorkloadGrid) else {}
        found: dict[str, list[Any]] = {}
        for group in ({"model": self.terms["model"]}, fields, self.terms, self.plan, self.changes):
            found |= {name: list(value) for name, value in group.items() if value is not None and is_axis(value) and name not in found}
        empty = [name for name, values in found.items() if not values]
        if empty:
            raise UsageError(f"{empty[0]} is empty; give at least one value")
        return found

    def at(self, place: Mapping[str, Any]) -> Question:
        """The question at a place of its axes."""
        terms, plan, changes = (
            {name: place.get(name, value) for name, value in group.items()} for group in (self.terms, self.plan, self.changes)
        )
        work = self.workload.at(place) if isinstance(self.workload, WorkloadGrid) else self.workload
        return replace(self, terms=terms, plan=plan, changes=changes, workload=work)

    @property
    def work(self) -> Workload:
        """The workload where no field of it is an array."""
        return one_workload(self.workload)

    @property
    def model(self) -> str:
        """Id or alias of the model, the usual one for this kind of work where none is named."""
        return str(self.terms["model"] or (TRAINED if self.work.is_training else SERVED))

    @property
    def options(self) -> Options:
        """The terms as records, where nothing but the site is an array."""
        site, drafts = self.terms["site"], self.terms["drafts"]
        return replace(
            self.fixed,
            sites=() if site is None else (site,) if isinstance(site, str) else tuple(map(str, site)),
            stack=self.terms["stack"],
            precision=self.terms["precision"],
            utilisation=share_of("utilisation", self.terms["utilisation"]),
            accelerators=accelerators_of(self.terms["accelerators"]),
            plan=plan_of(self.plan),
            rent=rent_of(self.terms["rent"], self.changed_library),
            drafts=() if drafts is None else (drafts_of(drafts),),
        )

    def answer(self) -> Comparison:
        """The answer where nothing but the site is an array."""
        options = self.options
        comparison = compare_systems(self.changed_library, self.systems, self.model, self.work, options)
        kept = {"stack": options.stack, "plan": dict(options.plan), "rent": options.rent, "samples": options.samples}
        return replace(comparison, scenario={**comparison.scenario, **kept})

    def grid(self, *, named: bool) -> Grid:
        """The outer product of all axes; systems stay together in each place, so that they share terms and draws.

        Parameters
        ----------
        named : bool   Whether the systems are an axis.
        """
        axes = self.axes
        found = [self.at(dict(zip(axes, values, strict=True))).answer() for values in itertools.product(*axes.values())]
        coords: dict[str, tuple[Any, ...]] = {"system": tuple(each.system for each in found[0].estimates)} if named else {}
        coords |= {name: tuple(self._coordinate(name, value) for value in values) for name, values in axes.items()}
        cells = [replace(each, estimates=(each.estimates[column],)) for column in range(len(self.systems)) for each in found]
        return Grid(coords, tuple(cells), self.changed_library)

    def _coordinate(self, name: str, value: Any) -> Any:
        """A value on its axis: fields of a workload in SI units, other numbers too, words as they are."""
        if isinstance(self.workload, WorkloadGrid) and name in self.workload.axes:
            firsts = {axis: values[0] for axis, values in self.workload.axes.items()}
            return getattr(self.workload.at({**firsts, name: value}), name)
        if isinstance(value, np.generic):
            return value.item()
        text = f"{value.magnitude} {value.units}" if hasattr(value, "magnitude") else value
        if name not in WORDS and isinstance(text, str) and text[:1] in "+-.0123456789":
            try:
                number, unit = units.split(text, "count")
                return units.from_unit(number, unit or "1")
            except UsageError:
                return text
        return tuple(text.items()) if isinstance(text, Mapping) else text


def changed(lib: Library, changes: Mapping[str, Any] | None) -> Library:
    """A library with changed values."""
    return lib.variant(changes) if changes else lib


def library_of(specs: Folders, library: Library | None) -> Library:
    """The specs of an answer: those given, or those of some folders."""
    if library is not None:
        return library
    return current([specs] if isinstance(specs, (str, os.PathLike)) else list(specs))
