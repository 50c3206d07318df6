"""The whole answer of a sizing: every system at every site, the best of each kind, pairs that train here and serve there, what to relax."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from aicompute.decide.exports import licences
from aicompute.decide.needs import Choice, Limits, Service, Training
from aicompute.decide.offer import Holding, offer_of, place_of
from aicompute.decide.relax import relax, rounded_up
from aicompute.decide.size import CEILING, Option, Refused, service_rate, serving_options, training_options, with_draws
from aicompute.economics.capital import YEAR
from aicompute.errors import InfeasibleError, UsageError
from aicompute.estimate.inputs import specs_of
from aicompute.estimate.result import Estimate
from aicompute.search.best import TRAINING_KEYS
from aicompute.search.compare import Options, estimate_system
from aicompute.search.conditions import RECOMPUTE
from aicompute.specs import Library

MARKS = ("cheapest", "fastest", "greenest", "least abroad")
NEAR = 1.0 + 1e-9
SPEEDS = (0.005, 0.007, 0.010, 0.014, 0.020, 0.028, 0.040, 0.056, 0.080, 0.110, 0.160, 0.220)
"""Times per output token that are tried for the highest speed that a ceiling buys [s]."""


@dataclass(frozen=True)
class Pair:
    """One system trains, one serves, at one site."""

    train: Option
    serve: Option

    @property
    def yearly(self) -> float:
        """Serving all year and one run [USD]."""
        return self.train.run_cost + self.serve.cost_rate.value * YEAR

    @property
    def mixed(self) -> bool:
        """Whether two systems take part."""
        return self.train.system != self.serve.system


@dataclass(frozen=True)
class Sizing:
    """What a sizing found."""

    training: Training | None
    service: Service | None
    limits: Limits
    sites: tuple[str, ...]
    options: tuple[Option, ...]
    """Those that do, by use and cost."""
    failing: tuple[Option, ...]
    """Those that break a limit, nearest first."""
    refused: tuple[Refused, ...]
    marks: Mapping[str, Mapping[str, Option]]
    """By use and by `MARKS`."""
    pairs: tuple[Pair, ...] = ()
    """Where both were asked for: the cheapest at each site, the cheapest first."""
    single: Pair | None = None
    """The cheapest pair of one system."""
    date: str = ""
    """On which export control was judged."""

    def of(self, use: str) -> list[Option]:
        """Options of one use, the cheapest first."""
        return [option for option in self.options if option.use == use]


def size(
    lib: Library,
    training: Training | None,
    service: Service | None,
    limits: Limits,
    choice: Choice,
    systems: Sequence[str] = (),
    sites: Sequence[str] = (),
    options: Options | None = None,
    samples: int = 400,
    shown: int = 12,
    watch: Callable[[int, int], None] | None = None,
) -> Sizing:
    """Size a fleet of every system at every site.

    Parameters
    ----------
    lib : Library
    training, service     What is to be done; one at least.
    limits : Limits
    choice : Choice       Whose machines may be bought.
    systems, sites        Ids; empty: all.
    options : Options     Stack, precision and plan of the estimates.
    samples : int         Draws behind the intervals of the options that are marked or among the first ``shown``.
    watch : callable      Is told how many of how many systems are done.

    Raises
    ------
    InfeasibleError
        Nothing does; which limit to relax, and by how much, for the nearest option.
    UsageError
        Neither work nor limits are given.
    """
    if training is None and service is None:
        raise UsageError("nothing to size for: give a service (serve, users) or a run (train_tokens), or a limit (budget, power, yearly)")
    missing = ["within, the time of the run"] if training is not None and training.within is None else []
    missing += ["serve or users"] if service is not None and service.rate is None else []
    if missing and not limits.bound_size:
        raise UsageError(f"nothing says how large the fleet is: give {' and '.join(missing)}; or a limit (budget, power, yearly)")
    base = replace(options or Options(), samples=0)
    places = list(sites) or lib.ids("sites")
    names = [specs_of(lib, name)[0].id for name in systems] or lib.ids("systems")
    found: list[Option] = []
    refused: list[Refused] = []
    for done, name in enumerate(names):
        made, no = _of_system(lib, name, training, service, limits, choice, places, base)
        found += made
        refused += no
        if watch is not None:
            watch(done + 1, len(names))
    good = sorted((option for option in found if option.feasible), key=_order)
    bad = sorted((option for option in found if not option.feasible), key=lambda o: max(o.over.values()))
    wanted = [use for use, job in (("train", training), ("serve", service)) if job is not None]
    for use in wanted:
        if not any(option.use == use for option in good):
            raise InfeasibleError(relax(use, [o for o in bad if o.use == use], [r for r in refused if r.use == use], len(names)))
    pairs, single = _pairs(good, limits, places) if len(wanted) == 2 else ([], None)
    if len(wanted) == 2 and not pairs:
        raise InfeasibleError(f"each of the two works, but not both within the limits: {_pair_shortfall(good, limits)}")
    marks = {use: _marked([o for o in good if o.use == use]) for use in wanted}
    if samples:
        good, marks = _with_intervals(lib, good, marks, {"train": training, "serve": service}, base, samples, shown)
    lists = tuple(good), tuple(bad), tuple(refused)
    return Sizing(training, service, limits, tuple(places), *lists, marks, tuple(pairs), single, choice.date)


def _order(option: Option) -> tuple[str, float]:
    return option.use, option.run_cost if option.use == "train" else option.per_token.value


def _of_system(
    lib: Library,
    name: str,
    training: Training | None,
    service: Service | None,
    limits: Limits,
    choice: Choice,
    sites: Sequence[str],
    base: Options,
) -> tuple[list[Option], list[Refused]]:
    """Everything that one system can do."""
    spec, accelerator = specs_of(lib, name)
    why = choice.refusal(lib, spec, accelerator)
    uses = [use for use, job in (("train", training), ("serve", service)) if job is not None]
    if why:
        return [], [Refused(use, spec.id, why) for use in uses]
    found: list[Option] = []
    refused: list[Refused] = []
    asked = licences(lib, accelerator, choice.date) if choice.date else {}
    if choice.obey:
        held = [site for site in sites if str(lib.load("sites", site).get("jurisdiction", "")) in asked]
        sites = [site for site in sites if site not in held]
        if held:
            word = next(iter(asked.values()))
            refused += [Refused(use, spec.id, f"needs an export licence ({word}) in {', '.join(held)}") for use in uses]
    if not sites:
        return [], refused
    if training is not None:
        made = training_options(lib, name, training, sites, limits, base)
        refused += [made] if isinstance(made, Refused) else []
        found += [] if isinstance(made, Refused) else made
    if service is not None:
        found_here = _served_within(lib, name, service, sites, limits, base)
        refused += [found_here] if isinstance(found_here, Refused) else []
        found += [] if isinstance(found_here, Refused) else found_here
    return [licensed(lib, option, asked) for option in found], refused


def _served_within(
    lib: Library, name: str, service: Service, sites: Sequence[str], limits: Limits, base: Options
) -> list[Option] | Refused:
    """Fleets that serve; of smaller groups where limits are too tight for one."""
    most = _most_accelerators(lib, name, sites, limits)
    while True:
        rate = service_rate(lib, name, service, base, most)
        if isinstance(rate, Refused):
            return rate
        made = serving_options(lib, rate, service, sites, limits)
        if service.rate is not None or rate.units == 1 or any(option.feasible for option in made):
            return made
        most = 0.7 * rate.estimate.accelerators


def licensed(lib: Library, option: Option, asked: Mapping[str, str]) -> Option:
    """An option with the licence that its site needs, if any."""
    need = asked.get(str(lib.load("sites", option.site).get("jurisdiction", "")), "")
    return replace(option, licence=need) if need else option


def _most_accelerators(lib: Library, name: str, sites: Sequence[str], limits: Limits) -> float:
    """Accelerators that budget and power allow where they allow most."""
    most = 0.0
    for site in sites:
        try:
            place = place_of(lib, name, site)
        except UsageError:
            continue
        offer = offer_of(place, Holding(place.per_unit, 1.0))
        power = float(offer.rated) * float(offer.terms.pue)
        building = float(offer.rated) * float(offer.terms.facility_capital)
        capital = float(offer.unit_price) * (1.0 + float(offer.terms.import_tax) * offer.foreign) + building
        units = min(
            math.inf if limits.power is None else limits.power / power * 1.5,  # work takes less than the limit
            math.inf if limits.budget is None else limits.budget / capital,
        )
        most = max(most, units * place.per_unit)
    return most or math.inf


def _marked(options: Sequence[Option]) -> dict[str, Option]:
    """The best by each mark; of equals the cheapest, which comes first.

    Fastest: the run is done soonest; where limits set the size, most tokens a second; where demand does, most of them for a user.
    """
    if not options:
        return {}

    def speed(option: Option) -> float:
        if option.use == "train":
            return option.time
        return -option.per_user if option.binds == "demand" else -option.rate.value

    return {
        "cheapest": options[0],
        "fastest": min(options, key=speed),
        "greenest": min(options, key=lambda o: o.carbon_per_token),
        "least abroad": min(options, key=lambda o: round(o.abroad, 6)),
    }


def _pairs(options: Sequence[Option], limits: Limits, sites: Sequence[str]) -> tuple[list[Pair], Pair | None]:
    """The cheapest pair within the limits at each site, and the cheapest of one system."""
    best: list[Pair] = []
    single: Pair | None = None
    for site in sites:
        trains, serves = ([o for o in options if o.use == use and o.site == site] for use in ("train", "serve"))
        fitting = [pair for t in trains for s in serves if _within(pair := Pair(t, s), limits)]
        best += [min(fitting, key=lambda p: p.yearly)] if fitting else []
        same = [pair for pair in fitting if not pair.mixed]
        single = min([*same, *([single] if single else [])], key=lambda p: p.yearly) if same or single else None
    return sorted(best, key=lambda p: p.yearly), single


def _within(pair: Pair, limits: Limits) -> bool:
    both = (pair.train, pair.serve)
    return all(
        most is None or sum(need) <= most * NEAR
        for need, most in (
            ([o.capital.value for o in both], limits.budget),
            ([o.power.value for o in both], limits.power),
            ([o.cost_rate.value for o in both], limits.yearly),
        )
    )


def _pair_shortfall(options: Sequence[Option], limits: Limits) -> str:
    """What the least pair needs."""
    said = []
    for name, most, what in (
        ("budget", limits.budget, "capital"), ("power", limits.power, "power"), ("yearly cost", limits.yearly, "cost_rate"),
    ):  # fmt: skip
        if most is not None:
            least = sum(min(getattr(o, what).value for o in options if o.use == use) for use in ("train", "serve"))
            said.append(f"{name} {least / most:.3g} times what is allowed at the least")
    return ", ".join(said) or "no site has both"


def _with_intervals(
    lib: Library,
    options: Sequence[Option],
    marks: Mapping[str, Mapping[str, Option]],
    jobs: Mapping[str, Training | Service | None],
    base: Options,
    samples: int,
    shown: int,
) -> tuple[list[Option], dict[str, dict[str, Option]]]:
    """The options that people see with intervals; sizes and plans stay as they are."""
    seen: list[Option] = [option for each in marks.values() for option in each.values()]
    for use in marks:
        own = [option for option in options if option.use == use]
        seen += own[:shown] + best_of_each(own, "system")[:shown] + best_of_each(own, "site")
    drawn: dict[int, Option] = {}
    known: dict[tuple[str, str, float], Estimate] = {}
    for option in seen:
        job = jobs[option.use]
        if id(option) in drawn or option.estimate is None or job is None:
            continue
        key = option.use, option.system, option.estimate.accelerators
        if key not in known:
            known[key] = _estimate_again(lib, option, option.estimate, job, replace(base, samples=samples))
        drawn[id(option)] = with_draws(lib, option, known[key], samples)
    return (
        [drawn.get(id(option), option) for option in options],
        {use: {name: drawn.get(id(option), option) for name, option in each.items()} for use, each in marks.items()},
    )


def best_of_each(options: Sequence[Option], name: str) -> list[Option]:
    """The first option of each system, or of each site."""
    found: dict[str, Option] = {}
    for option in options:
        found.setdefault(getattr(option, name), option)
    return list(found.values())


def _estimate_again(lib: Library, option: Option, found: Estimate, job: Training | Service, options: Options) -> Estimate:
    """The same plan with draws."""
    plan = options.plan
    if option.use == "train":
        words = {name: value for name, value in found.plan.items() if name in TRAINING_KEYS}
        plan = {name: float(RECOMPUTE.index(value) if isinstance(value, str) else value) for name, value in words.items()}
    return estimate_system(lib, option.system, job.model, job.workload, replace(options, accelerators=found.accelerators, plan=plan))


def fastest_under(
    lib: Library,
    service: Service,
    limits: Limits,
    choice: Choice,
    systems: Sequence[str] = (),
    sites: Sequence[str] = (),
    options: Options | None = None,
    samples: int = 0,
) -> list[Option]:
    """The highest speed per user that a ceiling on the cost of a token buys, for every system at its best site, the fastest first.

    Raises
    ------
    InfeasibleError
        No system serves a token at that cost, at any speed; the least cost is told.
    """
    base = replace(options or Options(), samples=0)
    places, names = list(sites) or lib.ids("sites"), [specs_of(lib, name)[0].id for name in systems] or lib.ids("systems")
    found: list[Option] = []
    least, refused = math.inf, []
    for name in names:
        for tpot in SPEEDS:
            asked = replace(service, workload=replace(service.workload, tpot=tpot))
            made, no = _of_system(lib, name, None, asked, limits, choice, places, base)
            least = min([least, *(o.per_token.value for o in made if set(o.over) <= {CEILING})])
            good = [o for o in made if o.feasible]
            if good:
                best = min(good, key=lambda o: o.per_token.value)
                if samples and best.estimate is not None:
                    again = _estimate_again(lib, best, best.estimate, asked, replace(base, samples=samples))
                    best = with_draws(lib, best, again, samples)
                found.append(best)
                break
        else:
            refused += no
    if not found and math.isinf(least):
        raise InfeasibleError(relax("serve", [], refused, len(names)))
    if not found:
        said = f"no system serves a million tokens for {(limits.ceiling or 0.0) * 1e6:.3g} USD at any speed"
        raise InfeasibleError(f"{said}; relax the ceiling to {rounded_up(least * 1e6)} USD")
    return sorted(found, key=lambda o: (-o.per_user, o.per_token.value))
