"""How many units of which system, where, and what they take: for a run in a time, for a demand, or within limits."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from typing import Any

from aicompute.decide.chips import made_of
from aicompute.decide.costs import component_prices, leaves_of
from aicompute.decide.layouts import in_time, within_units
from aicompute.decide.needs import Limits, Service, Training
from aicompute.decide.offer import Holding, Offer, Place, kept_rate, offer_of, place_of
from aicompute.economics.energy import mean_power
from aicompute.errors import PlanError, UsageError
from aicompute.estimate.inputs import specs_of
from aicompute.estimate.reading import Sampler
from aicompute.estimate.result import Estimate, Metric, metric_of
from aicompute.machine.failures import spares
from aicompute.numerics import Array, sum_of
from aicompute.search.compare import Options, estimate_system
from aicompute.specs import Library, Spec

GROUP = 256.0
"""Accelerators of a group that serves on its own; larger units are groups themselves."""
MOST_UNITS = 64
"""Units that one copy of a model may need."""
SUMMED = 600.0
"""Mean up to which the law is summed up; e to its negative is still a number."""
CEILING = "cost of a token"
CONFIDENCE = 0.99
"""Share of the time in which spare units replace all that are broken."""


@dataclass(frozen=True)
class Rate:
    """What a group of units does; groups are copies of each other."""

    system: str
    estimate: Estimate
    units: int
    """Of a group."""
    engine: float
    """Accelerators that work together, and stand still together."""


@dataclass(frozen=True)
class Option:
    """A fleet of one system at one site."""

    use: str
    """train or serve."""
    system: str
    accelerator: str
    site: str
    units: float
    spare: float
    """Accelerators of them that may be broken at a time."""
    accelerators: float
    plan: Mapping[str, Any]
    rate: Metric
    """Tokens per second with everything at work; output tokens where it serves."""
    utilisation: float
    """Mean share of the time in use."""
    time: float
    """Of the run, failures included [s]; nan where it serves."""
    users: float
    """Served at a time at the speed of the plan; nan where it trains."""
    per_user: float
    """Output tokens a second of one of them."""
    power: Metric
    """At the meter, all at work [W]."""
    capital: Metric
    """Equipment with import tax, and the building [USD]."""
    cost_rate: Metric
    """Owning and running it [USD/s]."""
    per_token: Metric
    """USD a token that is wanted."""
    run_cost: float
    """Of the training run [USD]; nan where it serves."""
    carbon_per_token: float
    """Operation [kg]."""
    abroad: float
    """Share of the making of its chips (design, logic, memory; each a third) that is done in other countries [1]."""
    binds: str
    """What sets its size."""
    reason: str = ""
    """Why it will not do, and by how much; empty where it does."""
    over: Mapping[str, float] = field(default_factory=dict)
    """By limit, needed over allowed where that is above 1."""
    licence: str = ""
    """Class by which the chip needs an export licence for the site; empty where it needs none."""
    estimate: Estimate | None = field(default=None, repr=False, compare=False)
    """Of a group that serves, or of the run."""

    @property
    def feasible(self) -> bool:
        """Whether it does."""
        return not self.reason


@dataclass(frozen=True)
class Refused:
    """A system that cannot do the work, or may not be bought."""

    use: str
    system: str
    reason: str


def service_rate(lib: Library, system: str, service: Service, options: Options, most: float = math.inf) -> Rate | Refused:
    """The best plan of a group of units that serves a model within its latency.

    Parameters
    ----------
    lib, system, options
    service : Service
    most : float   Accelerators that limits allow.

    Notes
    -----
    A group has about `GROUP` accelerators, so that experts may be spread over several nodes; fewer where the demand is met by fewer.
    """
    spec, _ = specs_of(lib, system)
    unit = spec.si("accelerators")
    units = max(math.floor(min(math.ceil(GROUP / unit), most / unit)), 1)
    found = _served(lib, spec, service, units, options)
    while isinstance(found, str) and units < MOST_UNITS and unit * units < GROUP:
        units *= 2
        found = _served(lib, spec, service, units, options)
    if isinstance(found, str):
        return Refused("serve", spec.id, found)
    if service.rate is not None:
        needed = math.ceil(service.rate * service.peak_factor / kept_rate(found).value * units)
        while needed < units:  # a smaller group may be enough
            smaller = _served(lib, spec, service, needed, options)
            if not isinstance(smaller, str) and kept_rate(smaller).value >= service.rate * service.peak_factor:
                found, units = smaller, needed
                break
            needed = min(2 * needed, units)
    engine = max(float(size) for name, size in found.plan.items() if name.endswith("engine_accelerators"))
    return Rate(spec.id, found, units, engine)


def _served(lib: Library, spec: Spec, service: Service, units: int, options: Options) -> Estimate | str:
    """The estimate of a group, or why there is none."""
    terms = replace(options, accelerators=units * spec.si("accelerators"))
    try:
        found = estimate_system(lib, spec.id, service.model, service.workload, terms)
    except UsageError as error:
        return str(error)
    return found if found.feasible else found.reason


def serving_options(lib: Library, rate: Rate, service: Service, sites: Sequence[str], limits: Limits) -> list[Option]:
    """A fleet that serves, at each site whose terms hold for it."""
    found = []
    spec, accelerator = specs_of(lib, rate.system)
    per_group = rate.units * spec.si("accelerators")
    each = kept_rate(rate.estimate)
    for place in _places(lib, rate.system, sites):
        binds, extra, share = "demand", 0, 1.0
        if service.rate is not None:
            groups = max(math.ceil(service.rate * service.peak_factor / each.value - 1e-9), 1)
            needed = service.rate * service.peak_factor / each.value * per_group
            spare = spare_accelerators(spec, accelerator, groups * per_group, rate.engine)
            extra = math.ceil(max(spare - (groups * per_group - needed), 0.0) / spec.si("accelerators") - 1e-9)
        else:
            groups, binds = _most_groups(limits, partial(_totals, place, rate, per_group, 1.0 / service.peak_factor))
            spare = spare_accelerators(spec, accelerator, groups * per_group, rate.engine)
            spare = min(spare, max(groups * per_group - rate.engine, 0.0))  # one works, or there is no fleet
            share = 1.0 - spare / (groups * per_group)
        use = 1.0 / service.peak_factor if service.rate is None else service.rate / (groups * each.value)
        size = _Size(groups * rate.units + extra, spare, groups * share, min(use, 1.0), binds)
        found.append(_serving_option(lib, place, rate, size, limits))
    return found


@dataclass(frozen=True)
class _Size:
    """Of a fleet."""

    units: int
    spare: float
    """Accelerators."""
    groups: float
    """At work."""
    use: float
    binds: str


def spare_accelerators(spec: Spec, accelerator: Spec, count: float, engine: float) -> float:
    """Accelerators beside those at work, so that what is broken at a time is missed nearly never.

    Parameters
    ----------
    spec, accelerator : Spec   Of the system.
    count : float              Accelerators of the fleet.
    engine : float             Accelerators that stand still when one of them is broken, at most a unit: it is formed again from spares.

    Notes
    -----
    Units that have spare accelerators of their own need no more. Failures come independently: the number that is broken at a time follows
    Poisson's law. Where work needs fewer accelerators than there are, the rest of them are the spares.

    References
    ----------
    .. [1] C. Palm, "Analysis of the Erlang traffic formulae" (1938): units down with any law of repair times.
    """
    if spec.si("usable", spec.si("accelerators")) < spec.si("accelerators"):
        return 0.0
    broken = count * accelerator.si("reliability.repair") / accelerator.si("reliability.mtbf")
    return min(_spares(broken) * min(engine, spec.si("accelerators")), count)


@lru_cache(maxsize=4096)
def _spares(broken: float) -> float:
    """Spares for a mean number of broken ones: `machine.failures.spares`, summed up for one number, which needs no SciPy.

    Examples
    --------
    >>> _spares(0.5), _spares(100.0)
    (3.0, 124.0)
    """
    if broken > SUMMED:
        return float(spares(broken, CONFIDENCE))
    count, chance = 0, math.exp(-broken)
    enough = chance
    while enough < CONFIDENCE:
        count += 1
        chance *= broken / count
        enough += chance
    return float(count)


@dataclass(frozen=True)
class _Totals:
    power: Array
    capital: Array
    cost_rate: Array
    carbon: Array
    """kg a second."""


def _totals(place: Place, rate: Rate, per_group: float, use: float, groups: float) -> _Totals:
    """What a fleet takes, at the values as they stand."""
    holding = Holding(groups * per_group, use)
    offer = offer_of(place, holding, busy_each=rate.estimate["accelerator_power"].value, tokens_rate=1.0)
    return _totals_of(offer, place.site.si("carbon.intensity"))


def _totals_of(offer: Offer, intensity: Array) -> _Totals:
    building = offer.rated * offer.terms.facility_capital
    mean = sum_of(mean_power(offer.busy[name], offer.idle[name], offer.utilisation) for name in offer.busy)
    return _Totals(
        power=sum_of(offer.busy.values()) * offer.terms.pue,
        capital=sum_of(component_prices(offer).values()) + building,
        cost_rate=sum_of(leaves_of(offer).values()),
        carbon=mean * offer.terms.pue * intensity,
    )


def _most_groups(limits: Limits, totals: Callable[[float], _Totals]) -> tuple[int, str]:
    """As many groups as the limits allow, at least one, and which limit says so. All limits grow with the number, nearly in proportion."""
    if not limits.bound_size:
        return 1, "one group"
    low, high = 1, 2
    while high < 1 << 40 and not _exceeds(limits, totals(high)):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _exceeds(limits, totals(middle)) else (middle, high)
    over = _exceeds(limits, totals(high))
    return low, max(over, key=lambda name: over[name]) if over else "demand"


def _exceeds(limits: Limits, totals: _Totals) -> dict[str, float]:
    """Needed over allowed, of every limit that is not kept."""
    pairs = {
        "budget": (totals.capital, limits.budget),
        "yearly cost": (totals.cost_rate, limits.yearly),
        "power": (totals.power, limits.power),
    }
    return {name: float(need) / most for name, (need, most) in pairs.items() if most is not None and float(need) > most * (1.0 + 1e-9)}


def _serving_option(lib: Library, place: Place, rate: Rate, size: _Size, limits: Limits) -> Option:
    """A fleet of some groups."""
    found, count, use = rate.estimate, size.units * place.per_unit, size.use
    each = kept_rate(found)
    total = metric_of(each.value * size.groups, None, "token/s")
    money = _money(lib, place, found, _held(found, count, total.value, use), 0)
    wanted = total.value * use
    per_token = _over(money["cost_rate"], metric_of(wanted, None if total.draws is None else total.draws * use, "token/s"), "USD")
    per_user = found.value("tokens_per_s_per_user")
    over = _exceeds(limits, _Totals(*(money[name].value for name in ("power", "capital", "cost_rate", "carbon"))))
    if limits.ceiling is not None and per_token.value > limits.ceiling:
        over[CEILING] = per_token.value / limits.ceiling
    return Option(
        use="serve",
        system=rate.system,
        accelerator=place.accelerator.id,
        site=place.site.id,
        units=size.units,
        spare=size.spare,
        accelerators=count,
        plan=found.plan,
        rate=total,
        utilisation=use,
        time=math.nan,
        users=total.value / per_user,
        per_user=per_user,
        power=money["power"],
        capital=money["capital"],
        cost_rate=money["cost_rate"],
        per_token=per_token,
        run_cost=math.nan,
        carbon_per_token=money["carbon"].value / wanted,
        abroad=abroad(lib, place.accelerator, place.site),
        binds=size.binds,
        reason=_said(over),
        over=over,
        estimate=found,
    )


def training_options(
    lib: Library, system: str, run: Training, sites: Sequence[str], limits: Limits, options: Options
) -> list[Option] | Refused:
    """A fleet that makes a run in its time, or the largest that limits allow, at each site whose terms hold for it."""
    spec, _ = specs_of(lib, system)
    made: list[Option] = []
    sized: dict[int, Estimate | str] = {}
    binds, why = "time", ""
    for place in _places(lib, spec.id, sites):
        most = 0
        if run.within is None:
            most, binds = _most_units(place, limits)
        if most not in sized:
            try:
                sized[most] = within_units(lib, spec, run, options, most) if most else in_time(lib, spec, run, options)
            except (UsageError, PlanError) as error:
                sized[most] = str(error)
        found = sized[most]
        if isinstance(found, str):
            why = found
            continue
        made.append(_training_option(lib, place, found, run, binds, limits))
    return Refused("train", spec.id, why) if why and not made else made


def _most_units(place: Place, limits: Limits) -> tuple[int, str]:
    """Units that work at full power within limits, and what says so."""

    def totals(units: float) -> _Totals:
        return _totals_of(offer_of(place, Holding(units * place.per_unit, 1.0)), 0.0)

    return _most_groups(limits, totals)


def _training_option(lib: Library, place: Place, found: Estimate, run: Training, binds: str, limits: Limits) -> Option:
    """A fleet for a run. What is broken is replaced from spares, or the run goes on with fewer copies of the model where there is time."""
    plan, tokens = found.plan, run.workload.tokens or 0.0
    devices = place.accelerator.si("devices")
    ranks = plan["tp"] * plan["pp"] * plan["cp"] * plan["dp"] / devices
    copy = plan["pp"] * max(plan["tp"] * plan["cp"], plan["ep"]) / devices
    spare = spare_accelerators(place.system, place.accelerator, found.accelerators, copy)
    lost = max(spare - (found.accelerators - ranks), 0.0) / found.accelerators
    extra, lost = 0, min(lost, max(1.0 - copy / found.accelerators, 0.0))  # one copy works, or there is no fleet
    if run.within is not None and tokens / kept_rate(found).value / (1.0 - lost) > run.within:
        extra, lost = math.ceil(lost * found.accelerators / place.per_unit - 1e-9), 0.0
    count = found.accelerators + extra * place.per_unit
    rate = metric_of(kept_rate(found).value * (1.0 - lost), None, "token/s")
    money = _money(lib, place, found, Holding(count, 1.0), 0)
    time = tokens / rate.value
    over = _exceeds(limits, _Totals(*(money[name].value for name in ("power", "capital", "cost_rate", "carbon"))))
    per_token = _over(money["cost_rate"], rate, "USD")
    if limits.ceiling is not None and per_token.value > limits.ceiling:
        over[CEILING] = per_token.value / limits.ceiling
    return Option(
        use="train",
        system=place.system.id,
        accelerator=place.accelerator.id,
        site=place.site.id,
        units=math.ceil(count / place.per_unit - 1e-9),
        spare=spare,
        accelerators=count,
        plan=found.plan,
        rate=rate,
        utilisation=1.0,
        time=time,
        users=math.nan,
        per_user=math.nan,
        power=money["power"],
        capital=money["capital"],
        cost_rate=money["cost_rate"],
        per_token=per_token,
        run_cost=money["cost_rate"].value * time,
        carbon_per_token=money["carbon"].value / rate.value,
        abroad=abroad(lib, place.accelerator, place.site),
        binds=binds,
        reason=_said(over),
        over=over,
        estimate=found,
    )


def with_draws(lib: Library, option: Option, found: Estimate, samples: int) -> Option:
    """An option with intervals, from an estimate of the same plan with draws."""
    place = place_of(lib, option.system, option.site)
    how = _held(found, option.accelerators, option.rate.value, option.utilisation)
    money = _money(lib, place, found, how, samples)
    each = kept_rate(found)
    copies = option.rate.value / each.value
    total = metric_of(option.rate.value, None if each.draws is None else each.draws * copies, each.unit)
    wanted = metric_of(total.value * option.utilisation, None if total.draws is None else total.draws * option.utilisation, each.unit)
    per_token = _over(money["cost_rate"], wanted, "USD")
    return replace(
        option, rate=total, power=money["power"], capital=money["capital"], cost_rate=money["cost_rate"], per_token=per_token
    )


def _held(found: Estimate, count: float, rate: float, use: float) -> Holding:
    """A fleet whose copies of a group make a rate, the accelerators beside them idle."""
    working = rate / kept_rate(found).value * found.accelerators
    return Holding(count, use * min(working / count, 1.0))


def _money(lib: Library, place: Place, found: Estimate, how: Holding, samples: int) -> dict[str, Metric]:
    """What a fleet takes, with intervals from the draws that its estimate is made of."""
    power = found["accelerator_power"]
    stands = _totals_of(offer_of(place, how, busy_each=power.value, tokens_rate=1.0), place.site.si("carbon.intensity"))
    drawn: _Totals | None = None
    if samples:
        read = Sampler(samples)
        busy = power.value if power.draws is None else power.draws
        drawn = _totals_of(offer_of(place, how, read, busy, 1.0), place.site.si("carbon.intensity"))
    units = {"power": "W", "capital": "USD", "cost_rate": "USD/s", "carbon": "kg/s"}
    return {name: metric_of(getattr(stands, name), getattr(drawn, name) if drawn else None, unit) for name, unit in units.items()}


def _over(above: Metric, below: Metric, unit: str) -> Metric:
    """One metric over another, draw by draw."""
    if above.draws is None and below.draws is None:
        return metric_of(above.value / below.value, None, unit)
    one, other = (metric.value if metric.draws is None else metric.draws for metric in (above, below))
    return metric_of(above.value / below.value, one / other, unit)


def _places(lib: Library, system: str, sites: Sequence[str]) -> list[Place]:
    """The sites whose terms hold for a system."""
    found = []
    for site in sites:
        try:
            found.append(place_of(lib, system, site))
        except UsageError:
            continue
    return found


def abroad(lib: Library, accelerator: Spec, site: Spec) -> float:
    """Share of the making of a chip that is done in other countries than the site's: design, logic and memory count a third each [1].

    Notes
    -----
    Where several make the same, evenly split; whoever is not known counts as abroad.
    """
    made, here = made_of(accelerator), str(site.get("jurisdiction", ""))
    known = lib.ids("suppliers")

    def outside(names: Sequence[str]) -> float:
        away = [name not in known or lib.load("suppliers", name).get("jurisdiction") != here for name in names]
        return sum(away) / len(away) if away else 1.0

    return sum(outside(names) for names in ((made.designer,), made.foundries, made.memory)) / 3.0


def _said(over: Mapping[str, float]) -> str:
    """The limits that are not kept, in words."""
    return "; ".join(f"{name} {factor:.3g} times what is allowed" for name, factor in over.items())
