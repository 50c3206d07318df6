"""What a report is about: two systems in one scenario, and how to ask the same with some terms changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from aicompute.errors import UsageError
from aicompute.estimate.result import Comparison, Estimate
from aicompute.estimate.workload import Workload, serving
from aicompute.question import SERVED, Question, changed
from aicompute.search.compare import Options, compare_systems, headline
from aicompute.specs import Library, Spec

MOST_SAMPLES = 1000
"""Draws that a page holds at most; each of them takes room in it."""
BLOCS = ("us-average", "cn-average", "kr")
"""Sites that a report shows besides those that were asked for."""


@dataclass(frozen=True)
class Asked:
    """Two systems in one scenario."""

    library: Library
    systems: tuple[str, ...]
    model: str
    workload: Workload
    options: Options
    is_headline: bool
    """Nothing but the systems was named."""
    _changed: dict[tuple[tuple[str, Any], ...], Library] = field(default_factory=dict, repr=False, compare=False)
    """Libraries with changed values, kept because their files are read but once."""

    @classmethod
    def of(cls, question: Question) -> Asked:
        """What a question asks for.

        Raises
        ------
        UsageError
            Not two systems, an argument that is an array, or too many draws.
        """
        if len(question.systems) != 2:
            raise UsageError(f"a report sets two systems side by side; given: {', '.join(question.systems) or 'none'}")
        arrays = [name for name in question.axes if name != "site"]
        if arrays:
            raise UsageError(f"{arrays[0]} is an array; a report is about one scenario")
        if not 2 <= question.fixed.samples <= MOST_SAMPLES:
            raise UsageError(f"samples = {question.fixed.samples}: a report holds 2 to {MOST_SAMPLES:,} draws, for its sliders")
        if question.narrowed:
            return cls(question.changed_library, question.systems, question.model, question.work, question.options, False)
        equal = replace(question.options, precision="8bit", drafts=(0.0, 1.0))  # the service of the headline, on terms equal for both
        return cls(question.changed_library, question.systems, SERVED, serving(), equal, True)

    def ask(self, *, workload: Workload | None = None, changes: Mapping[str, Any] | None = None, **options: Any) -> Comparison:
        """Both systems with some terms changed; at the first site unless ``sites`` says more."""
        terms = replace(self.options, **{"sites": self.options.sites[:1], **options})
        key = tuple(sorted((changes or {}).items()))
        if key not in self._changed:
            self._changed[key] = changed(self.library, changes)
        return compare_systems(self._changed[key], self.systems, self.model, workload or self.workload, terms)

    @property
    def used(self) -> float:
        """Share of the time in use."""
        return self.options.used(self.workload)

    @cached_property
    def main(self) -> Comparison:
        """The scenario itself, with operators, spec values and parts of the interval."""
        return self.ask(explain=True)

    @cached_property
    def step(self) -> Comparison:
        """One kind of step: of a service its decode pool, else the scenario itself."""
        if self.workload.kind != "serving":
            return self.main
        return self.ask(workload=self.decoding, explain=True)

    @property
    def decoding(self) -> Workload:
        """The answers of a service; other workloads as they are."""
        w = self.workload
        return w if w.kind != "serving" else replace(w, kind="decode", ttft=None, input_length=w.input_length, prefix_hit=0.0)

    @cached_property
    def headline(self) -> tuple[Comparison, ...]:
        """The questions that people ask first, where nothing but the systems was named."""
        return tuple(headline(self.library, self.systems, replace(self.options, precision=None, drafts=()))) if self.is_headline else ()

    @property
    def sites(self) -> list[str]:
        """Every site of the library, the `usual` ones first."""
        return list(dict.fromkeys([*self.usual, *self.library.ids("sites")]))

    @property
    def usual(self) -> list[str]:
        """Sites asked for, those that the systems call home, and one of each bloc, as far as the library has them."""
        known = self.library.ids("sites")
        named = [self.library.resolve("sites", site) for site in self.options.sites if site != "home"]
        return [site for site in dict.fromkeys([*named, *BLOCS[:1], *self.homes, *BLOCS[1:]]) if site in known]

    @property
    def homes(self) -> list[str]:
        """Home site of each system; empty where it has none."""
        return [str(self.spec(estimate).get("home_site", "")) for estimate in self.main.estimates]

    def spec(self, estimate: Estimate) -> Spec:
        """The spec of the system of an estimate."""
        return self.library.load("systems", estimate.system)

    @cached_property
    def names(self) -> tuple[str, str]:
        """Short names of the systems."""
        first, second = (short_name(self.spec(estimate)) for estimate in self.main.estimates)
        return (first, second) if first != second else (f"{first} (first)", f"{second} (second)")


def short_name(spec: Spec) -> str:
    """The name of a system without vendor, brackets and the words for a box.

    Examples
    --------
    >>> from aicompute.specs import Library
    >>> systems = ("cloudmatrix-384", "gb200-nvl72", "mi355x-8", "gh200")
    >>> [short_name(Library().load("systems", name)) for name in systems]
    ['CloudMatrix 384', 'GB200 NVL72', '8 × MI355X', 'GH200']
    """
    name = spec.name.partition("(")[0].partition(",")[0].strip()
    vendor = str(spec.get("vendor", ""))
    name = name[len(vendor) :].strip() if name.lower().startswith(f"{vendor.lower()} ") else name
    for box in (" server", " platform"):
        name = name.removesuffix(box)
    return name.replace(" x ", " × ") or spec.id
