"""How large a fleet, of what, and where, from Python."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aicompute import units
from aicompute.arguments import parsed, plan_of, samples_of
from aicompute.errors import UsageError
from aicompute.question import SERVED, TRAINED, Folders, changed, library_of
from aicompute.search.compare import Options
from aicompute.specs import Library
from aicompute.workload_grid import serving, training

if TYPE_CHECKING:
    from aicompute.decide.currency import Exchange
    from aicompute.decide.needs import Limits
    from aicompute.report.size import SizeView

__all__ = ["size"]


def size(
    model: str | None = None,
    *,
    train_tokens: Any = None,
    within: Any = None,
    train_model: str | None = None,
    serve: Any = None,
    users: Any = None,
    ttft: Any = "2 s",
    tpot: Any = None,
    peak_factor: float = 1.0 / 0.6,
    budget: Any = None,
    yearly: Any = None,
    power: Any = None,
    ceiling: Any = None,
    systems: str | Sequence[str] = (),
    site: str | Sequence[str] = (),
    allow: str | Sequence[str] = (),
    exclude: str | Sequence[str] = (),
    announced: bool = False,
    date: Any = None,
    obey_rules: bool = False,
    currency: str | None = None,
    input_length: Any = 4096,
    output_length: Any = 1024,
    prefix_hit: Any = 0.0,
    sequence_length: Any = 4096,
    global_batch: Any = 15360,
    stack: str | None = None,
    precision: str | Mapping[str, str] | None = None,
    plan: Mapping[str, Any] | None = None,
    samples: int = 400,
    specs: Folders = (),
    set: Mapping[str, Any] | None = None,
    library: Library | None = None,
    watch: Callable[[int, int], None] | None = None,
) -> SizeView:
    """How many units of which system at which site do some work, and what they take.

    Parameters
    ----------
    model : str             Served, and trained if ``train_model`` names no other. Default: deepseek-r1-0528; for a run deepseek-v3.
    train_tokens : str or float   Tokens of a run, such as "15T".
    within : str or float   Time that the run may take, failures included, such as "90 day". None: the largest cluster that limits allow.
    serve : str or float    Mean demand in output tokens, such as "2e6 token/s" or "1e12 token/day".
    users : float           Instead: users who read at the speed of ``tpot`` at the same time.
    ttft, tpot              Latency targets. With a ceiling and no ``tpot``: the fastest that the ceiling buys.
    peak_factor : float     Highest demand over its mean.
    budget, yearly          Capital (equipment with import tax, and the building) and cost a year, in any currency: "1.46e12 KRW".
    power : str             At the meter, such as "40 MW".
    ceiling : str           Of the cost of output tokens, such as "0.5 USD/Mtoken".
    systems, site           Ids. Default: all.
    allow, exclude          Such as "vendor=huawei", "foundry=smic", "memory=samsung" or "country=cn,us" (of any of the three).
    announced : bool        Chips that are not sold yet count too.
    date : str              Day on which export control is judged, such as "2023-12-01". Default: the newest change in the specs.
    obey_rules : bool       Refuse chips where they need an export licence; otherwise they are marked.
    currency : str          Of printed tables: a code such as KRW, or "local" where there is one site. Default: USD, as JSON and CSV.
    input_length, output_length, prefix_hit, sequence_length, global_batch   As of `serving` and `training`.
    stack, precision, plan, samples, specs, set, library   As of `compare`.
    watch : callable        Is told how many of how many systems are done.

    Returns
    -------
    SizeView: options by cost, the cheapest, fastest, greenest and least abroad marked; pairs that train here and serve there.

    Raises
    ------
    InfeasibleError
        Nothing does; which limit to relax and by how much.
    AicomputeError
        A name is unknown, a value has a wrong unit or makes no sense, or nothing says how large the fleet is.

    Examples
    --------
    >>> found = size("llama-3.1-70b", serve="1e5 token/s", tpot="50 ms", systems=["dgx-h100", "dgx-h200"], site="kr", samples=0)
    >>> sorted(option.system for option in found.options)
    ['dgx-h100', 'dgx-h200']
    """
    from aicompute.decide.exports import rule_date
    from aicompute.decide.fleet import fastest_under
    from aicompute.decide.fleet import size as sized
    from aicompute.decide.needs import Choice, Service, Training, filters_of
    from aicompute.report.size import SizeView

    lib = changed(library_of(specs, library), set)
    sites = [lib.load("sites", name).id for name in ([site] if isinstance(site, str) else site)]
    names = [systems] if isinstance(systems, str) else list(systems)
    limits = _limits(lib, budget, yearly, power, ceiling)
    only, none = ([given] if isinstance(given, str) else list(given) for given in (allow, exclude))
    day = rule_date(lib, date)
    choice = Choice(filters_of(lib, only, "allow"), filters_of(lib, none, "exclude"), announced, day, obey_rules)
    money = _exchange(lib, currency, sites)
    options = Options(stack=stack, precision=precision, plan=plan_of(plan or {}), samples=samples_of(samples))
    run = None
    if train_tokens is not None:
        job: Any = training(sequence_length, global_batch, train_tokens)
        run = Training(lib.resolve("models", train_model or model or TRAINED), job, _time(within))
    elif within is not None or train_model is not None:
        raise UsageError("within and train_model belong to a run; give train_tokens, such as '15T'")
    wants_service = serve is not None or users is not None or tpot is not None or ceiling is not None or run is None
    service = None
    if wants_service:
        searched = tpot is None and ceiling is not None
        asked: Any = serving(input_length, output_length, ttft, "50 ms" if tpot is None else tpot, prefix_hit)
        service = Service(lib.resolve("models", model or SERVED), asked, _rate(serve, users, asked.tpot), _factor(peak_factor))
        if searched:
            quick = fastest_under(lib, service, limits, choice, names, sites, options, samples_of(samples))
            return SizeView(None, tuple(quick), service, limits, exchange=money, date=day)
    answer = sized(lib, run, service, limits, choice, names, sites, options, samples_of(samples), watch=watch)
    return SizeView(answer, (), service, limits, exchange=money, date=day)


def _exchange(lib: Library, currency: str | None, sites: Sequence[str]) -> Exchange:
    """The currency of tables."""
    from aicompute.decide.currency import LOCAL, exchange

    if (currency or "").strip().lower() == LOCAL and len(sites) != 1:
        raise UsageError("currency = 'local' needs one site; name a currency, such as KRW")
    return exchange(lib, currency, lib.load("sites", sites[0] if sites else "us-average"))


def _time(given: Any) -> float | None:
    if given is None:
        return None
    time = parsed("within", given, "time")
    if not 0.0 < time < 3.2e9:
        raise UsageError(f"within = {given!r}: expected a time above zero, such as '90 day'")
    return time


def _factor(given: Any) -> float:
    factor = parsed("peak_factor", given, "count")
    if not 1.0 <= factor <= 1000.0:
        raise UsageError(f"peak_factor = {given!r}: expected 1 (the same all day) or more")
    return factor


def _rate(serve: Any, users: Any, tpot: float) -> float | None:
    """Mean demand in tokens a second."""
    if serve is not None and users is not None:
        raise UsageError("give serve or users, not both")
    if users is not None:
        number = parsed("users", users, "count")
        if not 0.0 < number < 1e12:
            raise UsageError(f"users = {users!r}: expected a number above zero")
        return number / tpot
    if serve is None:
        return None
    rate = parsed("serve", serve, "throughput")
    if not 0.0 < rate < 1e15:
        raise UsageError(f"serve = {serve!r}: expected tokens in a time, such as '2e6 token/s'")
    return rate


def _limits(lib: Library, budget: Any, yearly: Any, power: Any, ceiling: Any) -> Limits:
    """Limits in SI units; all that are not above zero are named."""
    from aicompute.decide.needs import Limits as Record

    money = {"budget": (budget, "money"), "yearly": (yearly, "price_hour"), "ceiling": (ceiling, "price_token")}
    dimensions = {**money, "power": (power, "power")}
    found: dict[str, float | None] = {}
    faults = []
    for name, (given, dimension) in dimensions.items():
        if given is None:
            found[name] = None
            continue
        try:
            found[name] = parsed(name, given, dimension, lib.exchange_rates() if units.names_currency(given) else None)
        except UsageError as error:
            faults.append(str(error))
            continue
        if not (found[name] or 0.0) > 0.0:
            faults.append(f"{name} = {given!r}: expected more than nothing; leave it away for no limit")
    if faults:
        raise UsageError("; ".join(faults))
    return Record(**found)
