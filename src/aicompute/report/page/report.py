"""A report: its parts are found when they are wanted, and written as one page."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path

from aicompute.errors import InfeasibleError, UsageError
from aicompute.estimate.result import Comparison
from aicompute.report.comparison import unique
from aicompute.report.page import costs, drivers, live, money, origins, sentences, speed, steps, sweeps
from aicompute.report.page.asked import Asked
from aicompute.report.page.document import document
from aicompute.report.page.parts import Section, readable
from aicompute.report.sheet import joined
from aicompute.report.terms import scenario_text, terms_text

ENDINGS = (".html", ".htm")


class Report:
    """Two systems in one scenario, with everything that the page shows; parts are found when they are first asked for.

    Parameters
    ----------
    asked : Asked
    watch : callable, optional   Is told what is being worked on.
    """

    def __init__(self, asked: Asked, watch: Callable[[str], None] | None = None) -> None:
        self.asked = asked
        self._watch = watch or (lambda _: None)

    @property
    def names(self) -> tuple[str, str]:
        """Short names of both systems."""
        return self.asked.names

    @property
    def main(self) -> Comparison:
        """The scenario itself."""
        return self.asked.main

    @cached_property
    def books(self) -> money.Books | None:
        """What costs are made of; None where one of the systems cannot do it."""
        return money.books(self.asked)

    @cached_property
    def break_even(self) -> money.BreakEven | None:
        """Where both cost the same; None for rented systems and where one cannot do it."""
        return money.break_even(self.asked, self.books) if self.books else None

    @cached_property
    def heat_map(self) -> money.HeatMap | None:
        """Probability that the first is cheaper over electricity and use; None where one cannot do it, or for rented systems."""
        return money.heat_map(self.books) if self.books and self.books.rent is None else None

    @cached_property
    def bars(self) -> list[steps.Bar]:
        """Time of an accelerator for a token, by part."""
        return steps.bars(self.main.estimates)

    @cached_property
    def roofs(self) -> list[steps.Roof]:
        """Operators under the roofs of each chip."""
        return steps.roofs(self.asked)

    @cached_property
    def ways(self) -> list[list[steps.Drop]]:
        """From the peak to delivered tokens, for each system."""
        return [steps.waterfall(self.asked, k) for k in (0, 1)]

    @cached_property
    def front(self) -> sweeps.Front:
        """Throughput against latency or size."""
        return sweeps.front(self.asked)

    @cached_property
    def domains(self) -> list[tuple[str, sweeps.Domain]]:
        """Rates over the size of the scale-up network."""
        return sweeps.domains(self.asked)

    @cached_property
    def drivers(self) -> list[drivers.Driver]:
        """Values that move the ratio of the costs of a token."""
        return drivers.drivers(self.asked, self.books) if self.books else []

    @property
    def sites(self) -> list[str]:
        """Sites in the picture of costs."""
        return self.asked.usual

    @cached_property
    def scenarios(self) -> tuple[Comparison, ...]:
        """Scenarios whose ratios are shown: those of the headline, or the scenario under other targets."""
        if self.asked.is_headline:
            return self.asked.headline
        named = {_title(each): each for each in (*self.front.comparisons, self.main)}
        return tuple(Comparison(title, each.scenario, each.estimates, each.notes) for title, each in named.items())

    def verdict(self) -> list[str]:
        """Three sentences made from the numbers; fewer where one of the systems cannot do it."""
        return sentences.sentences(self.asked, self.books, self.break_even)

    def html(self) -> str:
        """The page: one file that loads nothing.

        Raises
        ------
        InfeasibleError
            Neither system can do what was asked.
        """
        if not any(estimate.feasible for estimate in self.main.estimates):
            reasons = "; ".join(f"{e.system}: {e.reason}" for e in unique(self.main.estimates))
            raise InfeasibleError(f"no system can do this; {reasons}")
        sections = list(self._sections())
        wanted = live.controls(self.books, self.names) if self.books else []
        data = live.payload(self.books, self.names, wanted, self.asked.options.samples) if self.books else ""
        missing = [] if self.books else ["Pictures that need both systems are left out."]
        title = " against ".join(self.names)
        return document(title, self.names, self._terms(), self.verdict(), sections, missing, data, self._made())

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the page.

        Parameters
        ----------
        path : path   Ends in .html.

        Raises
        ------
        UsageError
            Another ending, no such folder, or it cannot be written.
        """
        target = check_target(path)
        text = self.html()
        try:
            target.write_text(text, encoding="utf-8")
        except OSError as error:
            raise UsageError(f"{target}: cannot be written: {error.strerror or error}") from None
        return target

    def _sections(self) -> Iterator[Section]:
        """In the order of the page; those that need what is missing are left out."""
        asked, names = self.asked, self.names
        self._watch("scenario")
        books = self.books
        found: list[Section | None] = []
        if books:
            self._watch("ratios and front")
            found += [speed.ahead(self.scenarios, names), costs.calculator(books, names), speed.front(self.front, names)]
        self._watch("time of a step")
        found += [speed.breakdown(self.bars, self.main, names), speed.waterfall(self.ways, names, self._about_step())]
        found += [speed.roofline(self.roofs, names)]
        self._watch("scale-up network")
        found += [speed.network(self.domains, names)]
        if books:
            self._watch("money")
            found += [costs.stacks(books, names, self.sites) if books.rent is None else None]
            found += [costs.chances(self.heat_map, names)] if self.heat_map else []
            found += [costs.equal(self.break_even, names)] if self.break_even else []
            self._watch("what moves the verdict")
            found += [costs.tornado(self.drivers, drivers.base_ratio(books), names)]
        yield from (one for one in (*found, origins.sources(asked)) if one)

    def _about_step(self) -> str:
        """What the step is that roofs and the way from the peak are about."""
        step = self.asked.step
        return readable(step.title)

    def _terms(self) -> str:
        head = scenario_text(self.main)
        return readable(f"{head}. {terms_text(self.main, self.asked.library)}")

    def _made(self) -> str:
        """How the page was made, and what it does not say."""
        import aicompute

        systems = " ".join(self.asked.systems)
        return (
            f"Made by aicompute {aicompute.__version__} (aicompute report {systems} …), from specs and formulas; best plan of each system. "
            "Intervals hold 90 % of the draws. Predictions are no measurements: aicompute validate tells how well they meet them."
        )


def _title(comparison: Comparison) -> str:
    """What tells a scenario from the others of its kind."""
    if comparison.estimates[0].workload == "training":
        sizes = dict.fromkeys(f"{e.accelerators:,.0f}" for e in comparison.estimates)
        return f"training, {joined(sizes)} accelerators"
    return comparison.estimates[0].target or comparison.title.partition(": ")[2] or comparison.title


def check_target(path: str | os.PathLike[str], name: str = "report") -> Path:
    """Refuse a file that cannot become a page, before any work is done.

    Raises
    ------
    UsageError
        Another ending, or no such folder.
    """
    target = Path(path)
    if target.suffix.lower() not in ENDINGS:
        raise UsageError(f"{name} {target}: expected a name that ends in .html")
    if not target.parent.is_dir():
        raise UsageError(f"{name} {target}: there is no folder {str(target.parent)!r}")
    return target

