"""The whole answer of a sizing: every system at every site, the best of each kind, pairs that train here and serve there, what to relax."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from aicompute.decide.needs import Choice, Limits, Service, Training
from aicompute.decide.offer import Holding, offer_of, place_of
from aicompute.decide.size import Option, Refused, service_rate, serving_options, training_options
from aicompute.errors import InfeasibleError, UsageError
from aicompute.estimate.inputs import specs_of
from aicompute.search.compare import Options
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
        return self.train.run_cost + self.serve.cost_rate.value * 3.1536e7

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
    open_ended = (training is not None and training.within is None) or (service is not None and service.rate is None)
    if open_ended and limits.budget is None and limits.power is None and limits.yearly is None:
        raise UsageError("nothing says how large the fleet is: give serve or users, within, or a limit (budget, power, yearly)")
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
            raise InfeasibleError(_relax(use, [o for o in bad if o.use == use], [r for r in refused if r.use == use], len(names)))
    pairs, single = _pairs(good, limits, places) if len(wanted) == 2 else ([], None)
    if len(wanted) == 2 and not pairs:
        raise InfeasibleError(f"each of the two works, but not both within the limits: {_pair_shortfall(good, limits)}")
    marks = {use: _marked([o for o in good if o.use == use]) for use in wanted}
    if samples:
        good, marks = _with_intervals(lib, good, marks, training, service, limits, base, samples, shown)
    return Sizing(training, service, limits, tuple(places), tuple(good), tuple(bad), tuple(refused), marks, tuple(pairs), single)


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
    if training is not None:
        made = training_options(lib, name, training, sites, limits, base)
        refused += [made] if isinstance(made, Refused) else []
        found += [] if isinstance(made, Refused) else made
    if service is not None:
        rate = service_rate(lib, name, service, base, _most_accelerators(lib, name, sites, limits))
        if isinstance(rate, Refused):
            refused.append(rate)
        else:
            found += serving_options(lib, rate, service, sites, limits, 0)
    return found, refused


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
    """The best by each mark; of equals the cheapest, which comes first."""
    if not options:
        return {}

    def speed(option: Option) -> float:
        return option.time if option.use == "train" else -option.per_user

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


def _relax(use: str, failing: Sequence[Option], refused: Sequence[Refused], systems: int) -> str:
    """Which limit to relax and by how much, or why nothing does whatever the limits."""
    if failing:
        lines = []
        for limit in dict.fromkeys(name for option in failing for name in option.over):
            alone = [o for o in failing if set(o.over) == {limit}]
            if alone:
                o = min(alone, key=lambda option: option.over[limit])
                lines.append(f"{limit} times {_up(o.over[limit])}: {o.system} in {o.site} does then")
        o = failing[0]
        if not lines:
            both = " and ".join(f"{name} times {_up(factor)}" for name, factor in o.over.items())
            lines.append(f"{both}: {o.system} in {o.site} does then")
        return f"no system of {systems} can {use} this within the limits; relax " + "; or ".join(lines)
    reasons: dict[str, list[str]] = {}
    for no in refused:
        reasons.setdefault(no.reason, []).append(no.system)
    said = [f"{reason} ({few(names, 3)})" for reason, names in reasons.items()]
    return f"no system of {systems} can {use} this: " + "; ".join(said[:4])


def few(names: Sequence[str], most: int) -> str:
    """Some names, and how many more there are.

    Examples
    --------
    >>> few(["a", "b", "c"], 2)
    'a, b and 1 more'
    """
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _up(factor: float) -> str:
    """A factor rounded up, so that it suffices."""
    return f"{math.ceil(factor * 100.0) / 100.0:.2f}" if factor < 100.0 else f"{math.ceil(factor):,}"


def _with_intervals(
    lib: Library,
    options: Sequence[Option],
    marks: Mapping[str, Mapping[str, Option]],
    training: Training | None,
    service: Service | None,
    limits: Limits,
    base: Options,
    samples: int,
    shown: int,
) -> tuple[list[Option], dict[str, dict[str, Option]]]:
    """The options that people see with intervals; sizes stay as they are."""
    seen = [option for use in marks for option in [o for o in options if o.use == use][:shown]]
    seen += [option for each in marks.values() for option in each.values()]
    drawn: dict[int, Option] = {}
    rates: dict[tuple[str, str], list[Option]] = {}
    for option in seen:
        key = option.use, option.system
        if key not in rates:
            rates[key] = _sampled(lib, option, training, service, limits, replace(base, samples=samples), _sites_of(seen, key))
        drawn[id(option)] = next((o for o in rates[key] if o.site == option.site and o.units == option.units), option)
    return (
        [drawn.get(id(option), option) for option in options],
        {use: {name: drawn.get(id(option), option) for name, option in each.items()} for use, each in marks.items()},
    )


def _sites_of(options: Iterable[Option], key: tuple[str, str]) -> list[str]:
    return list(dict.fromkeys(o.site for o in options if (o.use, o.system) == key))


def _sampled(
    lib: Library, option: Option, training: Training | None, service: Service | None, limits: Limits, base: Options, sites: Sequence[str]
) -> list[Option]:
    """One system again, with draws."""
    if option.use == "train" and training is not None:
        made = training_options(lib, option.system, training, sites, limits, base)
        return [] if isinstance(made, Refused) else made
    if service is None:
        return []
    rate = service_rate(lib, option.system, service, base, _most_accelerators(lib, option.system, sites, limits))
    return [] if isinstance(rate, Refused) else serving_options(lib, rate, service, sites, limits, base.samples)


def fastest_under(
    lib: Library,
    service: Service,
    limits: Limits,
    choice: Choice,
    systems: Sequence[str] = (),
    sites: Sequence[str] = (),
    options: Options | None = None,
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
    least = math.inf
    for name in names:
        if choice.refusal(lib, *specs_of(lib, name)):
            continue
        for tpot in SPEEDS:
            asked = replace(service, workload=replace(service.workload, tpot=tpot))
            rate = service_rate(lib, name, asked, base)
            made = [] if isinstance(rate, Refused) else serving_options(lib, rate, asked, places, limits, 0)
            least = min([least, *(o.per_token.value for o in made)])
            good = [o for o in made if o.feasible]
            if good:
                found.append(min(good, key=lambda o: o.per_token.value))
                break
    if not found:
        said = f"no system serves a million tokens for {(limits.ceiling or 0.0) * 1e6:.3g} USD at any speed"
        raise InfeasibleError(f"{said}; the least is {least * 1e6:.3g} USD")
    return sorted(found, key=lambda o: (-o.per_user, o.per_token.value))
