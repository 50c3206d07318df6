"""Questions of money from Python: what a cluster costs, where two break even, whether to make tokens or to buy them.

Arguments are as in `aicompute.api`: numbers are SI, texts have units. All three are names of `aicompute`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from aicompute import units
from aicompute.arguments import accelerators_of, drafts_of, is_axis, parsed, plan_of, rent_of, samples_of, share_of
from aicompute.decide.costs import PARTS, CostTree, Work, cost_tree
from aicompute.decide.currency import LOCAL, exchange
from aicompute.decide.offer import LISTED, Holding, place_of
from aicompute.economics.capital import YEAR
from aicompute.errors import UnknownNameError, UsageError
from aicompute.estimate.workload import Workload
from aicompute.question import SERVED, TRAINED, Folders, changed, library_of
from aicompute.report.costs import CostView
from aicompute.search.compare import Options
from aicompute.specs import Library, schema
from aicompute.units import plain
from aicompute.workload_grid import WorkloadGrid, one_workload

if TYPE_CHECKING:
    from aicompute.report.breakeven import BreakEvenView
    from aicompute.report.makebuy import MakeBuyView

__all__ = ["breakeven", "cost", "makebuy"]

MOST_COLOCATION = 2000.0 / 1e3 / (730.0 * 3600.0)
"""USD per watt and second: 2,000 USD per kW-month. Above it a monthly price was probably given as a number."""
Works = Workload | WorkloadGrid | str | None


def cost(
    system: str,
    *,
    site: str | Sequence[str] | None = None,
    model: str | None = None,
    workload: Works = None,
    utilisation: Any = None,
    accelerators: Any = None,
    rent: Any = None,
    on_demand: bool = False,
    colocation: Any = None,
    life: Any = None,
    currency: str | None = None,
    stack: str | None = None,
    precision: str | Mapping[str, str] | None = None,
    plan: Mapping[str, Any] | None = None,
    drafts: Any = None,
    samples: int = 400,
    explain: bool = False,
    specs: Folders = (),
    set: Mapping[str, Any] | None = None,
    library: Library | None = None,
) -> CostView:
    """What a system costs, as a tree that adds up.

    Parameters
    ----------
    system : str            Id or alias; an accelerator stands for its default system.
    site : str or list      Ids, or "home". Default: us-average.
    model, workload         What it does, as of `aicompute.compare`: then costs per million tokens too. Neither: full power while used.
    utilisation : float     Share of the time in use. Default: 1; with a workload 0.6 serving, 1 training.
    accelerators : float    Default: one unit; more than one unit needs the network between units.
    rent : str or float     Such as "2.5 USD/accelerator/h", or "list": the rent that the system's spec states.
    on_demand : bool        Rent is paid while there is work only.
    colocation : str        Such as "180 USD/kW/month", or "list": that of the site's spec; instead of a building of one's own.
    life : str or float     Such as "4 year": time until the equipment is replaced.
    currency : str          Such as "KRW", or "local"; at the dated rates of the sites. Default: USD.
    explain : bool          The whole tree to the cent, with formula, inputs, kind and source of each.
    stack, precision, plan, drafts, samples, specs, set, library   As of `aicompute.compare`.

    Returns
    -------
    CostView; a tree for each site, with intervals from draws that all share.

    Raises
    ------
    AicomputeError
        A name is unknown (the nearest is named), a value has a wrong unit or makes no sense, no plan fits.

    Examples
    --------
    CloudMatrix 384 at 8.2 M USD in the US, capital and energy per accelerator-hour:

    >>> found = cost("cloudmatrix-384", set={"cloudmatrix-384.price.unit": 8.2e6, "us-average.pue.liquid": 1.2}, samples=0)
    >>> round(found.tree.per_accelerator_hour("capital") + found.tree.per_accelerator_hour("energy"), 3)
    0.787
    """
    lib = changed(library_of(specs, library), set)
    places = [None] if site is None else [site] if isinstance(site, str) else [str(each) for each in site]
    if not places:
        raise UsageError("site is empty; give at least one")
    lib = _with_life(lib, system, places, life)
    work = _work(model, workload, stack, precision, plan, drafts)
    how = _holding(lib, work, utilisation, accelerators, rent, on_demand, colocation)
    trees = tuple(cost_tree(lib, system, place, how, work, samples_of(samples)) for place in places)
    _check_local(lib, currency, [tree.site for tree in trees])
    return CostView(trees, exchange(lib, currency, lib.load("sites", trees[0].site)), lib, bool(explain))


def breakeven(
    first: str,
    second: str,
    over: str = "electricity_price",
    *,
    of: str | None = None,
    between: Sequence[Any] | None = None,
    count: Sequence[str] | None = None,
    tokens_per_s: Any = None,
    site: str | Sequence[str] | None = None,
    model: str | None = None,
    workload: Works = None,
    utilisation: Any = None,
    accelerators: Any = None,
    rent: Any = None,
    on_demand: bool = False,
    colocation: Any = None,
    life: Any = None,
    stack: str | None = None,
    precision: str | Mapping[str, str] | None = None,
    plan: Mapping[str, Any] | None = None,
    drafts: Any = None,
    samples: int = 400,
    specs: Folders = (),
    set: Mapping[str, Any] | None = None,
    library: Library | None = None,
) -> BreakEvenView:
    """The value of a term at which a token costs the same on two systems.

    Parameters
    ----------
    first, second : str     Systems.
    over : str              electricity_price, demand_charge, pue, utilisation, life, rate, residual, operation, facility, colocation,
                            import_tax (on both); rack_price, network_price, rent (on the first); tokens_per_s (of the second).
    of : str                first, second or both: where the term is changed, if not as above.
    between : two values    The range in which to look. Default: all that is plausible.
    count : list of str     Of capital, facility, energy, operation, rent: the parts that count. Default: all.
    tokens_per_s : value or two   Tokens/s of an accelerator of each, instead of an estimate; None for the one that is looked for.
    site : str or two       One for both, or one each.
    rent, colocation : value or two   As of `cost`, one for both or one each; None: owned.
    model, workload         As of `aicompute.compare`, with its defaults.
    utilisation, accelerators, on_demand, life, stack, precision, plan, drafts, samples, specs, set, library   As of `cost`.

    Returns
    -------
    BreakEvenView.

    Raises
    ------
    AicomputeError
        As of `cost`; a term that one side does not have.

    Examples
    --------
    >>> found = breakeven("cloudmatrix-384", "gb200-nvl72", "tokens_per_s", tokens_per_s=(1943.0, None), samples=0)
    >>> found.answer.root.value > 1943.0
    True
    """
    from aicompute.decide.breakeven import break_even
    from aicompute.report.breakeven import BreakEvenView

    sites, rents, rooms = _pair("site", site), _pair("rent", rent), _pair("colocation", colocation)
    rates = (None, None) if tokens_per_s is None else _rates(tokens_per_s)
    lib = changed(library_of(specs, library), set)
    for name, place in zip((first, second), sites, strict=True):
        lib = _with_life(lib, name, [place], life)
    given = tokens_per_s is not None
    work = None if given and model is None and workload is None else _work(model or SERVED, workload, stack, precision, plan, drafts)
    trees = []
    for name, place, paid, room, rate in zip((first, second), sites, rents, rooms, rates, strict=True):
        how = _holding(lib, work, utilisation, accelerators, paid, on_demand and paid is not None, room)
        tree = cost_tree(lib, name, place, how, None if given else work, samples_of(samples))
        trees.append(tree if rate is None else _at_rate(tree, rate))
    bounds = None if between is None else _between(lib, over, between)
    answer = break_even(trees[0], trees[1], over, of, bounds, _counted(count))
    return BreakEvenView(answer)


def makebuy(
    system: str,
    *,
    model: str | None = None,
    workload: Works = None,
    api: str | Sequence[str] = (),
    volume: Any = None,
    date: str | None = None,
    mode: str = "standard",
    hours: str = "mean",
    site: str | None = None,
    utilisation: Any = None,
    accelerators: Any = None,
    rent: Any = None,
    on_demand: bool = False,
    colocation: Any = None,
    life: Any = None,
    stack: str | None = None,
    precision: str | Mapping[str, str] | None = None,
    plan: Mapping[str, Any] | None = None,
    drafts: Any = None,
    samples: int = 400,
    specs: Folders = (),
    set: Mapping[str, Any] | None = None,
    library: Library | None = None,
) -> MakeBuyView:
    """A cluster of one's own, and a rented one, against dated list prices of APIs.

    Parameters
    ----------
    system : str            The smallest cluster is so many whole units as the model needs, or as ``accelerators`` says.
    model, workload         A whole service. Input and output lengths and the share of cached input count on both sides.
    api : str or list       Models, or model/provider, or "open" and "closed". Default: those of the same weights and six closed ones.
    volume : str or float   Such as "2e9 token/day", in and out together: who is cheaper there.
    date : str              Prices in force then. Default: the last of each, retired ones named so.
    mode : str              standard or batch.
    hours : str             mean, dear or cheap: when tokens are bought, where the price depends on the hour.
    utilisation : float     Largest mean utilisation that demand over the day allows. Default: 0.6.
    rent : str or float     Price of the rented cluster, or "list". Default: as listed, where the system has a listed rent.
    site, accelerators, on_demand, colocation, life, stack, precision, plan, drafts, samples, specs, set, library   As of `cost`.

    Returns
    -------
    MakeBuyView.

    Raises
    ------
    AicomputeError
        As of `cost`; an API that is not in the list.

    Examples
    --------
    >>> found = makebuy("gb200-nvl72", api="claude-3-opus", samples=0)
    >>> found.answer.verdicts[0].reachable
    True
    """
    from aicompute.decide.apis import HOURS, Shape, chosen, offers
    from aicompute.decide.makebuy import hosting_of, make_or_buy
    from aicompute.report.makebuy import MakeBuyView

    if hours not in HOURS:
        raise UnknownNameError("hours", str(hours), HOURS)
    lib = _with_life(changed(library_of(specs, library), set), system, [site], life)
    served = _work(model or SERVED, workload, stack, precision, plan, drafts)
    if served is None or served.workload.kind != "serving":
        raise UsageError("makebuy needs a whole service (workload serving): an API reads prompts and writes answers")
    w, wanted = served.workload, _volume(volume)
    names = [api] if isinstance(api, str) else list(api)
    model_id = lib.resolve("models", served.model)
    found = chosen(offers(w.input_length, date=date, mode=mode), names, model_id, offers(w.input_length))
    listed = place_of(lib, system, site).system.has("price.rent")
    ways = [_holding(lib, served, utilisation, accelerators, None, False, colocation)]
    if rent is not None or listed:
        ways.append(_holding(lib, served, utilisation, accelerators, rent or LISTED, on_demand, None))
    elif on_demand:
        raise UsageError(f"on_demand needs a rent, and {system} lists none; give one, such as '2.5 USD/accelerator/h'")
    hostings = [hosting_of(lib, system, site, how, served, samples_of(samples)) for how in ways]
    shape = Shape(w.input_length, w.output_length, w.prefix_hit)
    return MakeBuyView(make_or_buy(hostings, found, model_id, shape, hours=hours, date=date, volume=wanted), mode)


def _work(model: str | None, workload: Works, stack: Any, precision: Any, plan: Mapping[str, Any] | None, drafts: Any) -> Work | None:
    """What the cluster does; None where neither a model nor a workload is named."""
    if model is None and workload is None:
        return None
    if any(is_axis(value) for value in (model, stack, precision)):
        raise UsageError("model, stack and precision take one value here")
    work = one_workload(workload)
    options = Options(
        stack=stack, precision=precision, plan=plan_of(plan or {}), drafts=() if drafts is None else (drafts_of(drafts),)
    )
    return Work(model or (TRAINED if work.is_training else SERVED), work, options)


def _holding(lib: Library, work: Work | None, utilisation: Any, accelerators: Any, rent: Any, on_demand: bool, colocation: Any) -> Holding:
    """How a cluster is held and used, from arguments."""
    if on_demand and rent is None:
        raise UsageError("on_demand needs a rent; give one, such as '2.5 USD/accelerator/h', or 'list'")
    if rent is not None and colocation is not None:
        raise UsageError("rent and colocation exclude each other: rent pays for the place too")
    used = share_of("utilisation", utilisation)
    return Holding(
        accelerators=accelerators_of(accelerators),
        utilisation=used if used is not None else 1.0 if work is None else work.options.used(work.workload),
        rent=rent if rent == LISTED else rent_of(rent, lib),
        on_demand=bool(on_demand),
        colocation=_colocation(lib, colocation),
    )


def _colocation(lib: Library, given: Any) -> float | str | None:
    """A price of power and place in USD per watt and second."""
    if given is None or given == LISTED:
        return None if given is None else LISTED
    price = parsed("colocation", given, "demand_charge", lib.exchange_rates() if units.names_currency(given) else None)
    if not 0.0 < price <= MOST_COLOCATION:
        raise UsageError(f"colocation = {given!r}: expected a price above 0, at most 2,000 USD/kW/month, such as '180 USD/kW/month'")
    return price


def _check_local(lib: Library, currency: str | None, sites: Sequence[str]) -> None:
    """Refuse "local" where it would mean several currencies in one table."""
    if currency is None or currency.strip().lower() != LOCAL:
        return
    meant = {site: str(lib.load("sites", site).get("currency", "USD")) for site in sites}
    if len({*meant.values()}) > 1:
        said = ", ".join(f"{code} at {site}" for site, code in meant.items())
        raise UsageError(f"currency = {currency!r} means {said}; name one, such as {next(iter(meant.values()))}")


def _with_life(lib: Library, system: str, sites: Sequence[str | None], life: Any) -> Library:
    """The library in which equipment at some sites lives so long."""
    if life is None:
        return lib
    seconds = parsed("life", life, "time")
    least, most = schema.bounds(schema.keys("sites")["capital.life"])
    if not least <= seconds <= most:
        raise UsageError(f"life = {life!r}: expected {plain(least / YEAR)} to {plain(most / YEAR)} years, such as '4 year'")
    return lib.override({f"sites/{place_of(lib, system, site).site.id}.capital.life": seconds for site in sites})


def _pair(name: str, given: Any) -> tuple[Any, Any]:
    """One value for both sides, or one each."""
    if given is None or not is_axis(given):
        return given, given
    values = list(given)
    if len(values) not in (1, 2):
        raise UsageError(f"{name} has {len(values)} values; expected one for both systems, or one each")
    return values[0], values[-1]


def _rates(given: Any) -> tuple[float | None, float | None]:
    """Tokens per second of an accelerator of each side; None where it is looked for."""
    values = list(given) if is_axis(given) else [given, None]
    if len(values) == 1:
        values.append(None)
    if len(values) != 2 or all(value is None for value in values):
        raise UsageError("tokens_per_s: expected a rate for each system, or for one with None for the other")
    found = []
    for value in values:
        rate = None if value is None else parsed("tokens_per_s", value, "token/s/accelerator")
        if rate is not None and not 0.0 < rate < 1e6:
            raise UsageError(f"tokens_per_s = {value!r}: expected a rate above 0, below 1e6 tokens/s per accelerator")
        found.append(rate)
    return found[0], found[1]


def _at_rate(tree: CostTree, rate: float) -> CostTree:
    """A tree whose cluster makes so many tokens."""
    made = rate * tree.accelerators
    drawn = None if tree.drawn is None else replace(tree.drawn, tokens_rate=made)
    return replace(tree, offer=replace(tree.offer, tokens_rate=made), drawn=drawn)


def _counted(count: Sequence[str] | None) -> tuple[str, ...]:
    """The parts that count."""
    if count is None:
        return PARTS
    names = tuple(part.strip() for part in count.split(",")) if isinstance(count, str) else tuple(count)
    for name in names:
        if name not in PARTS:
            raise UnknownNameError("part of the cost", str(name), PARTS)
    if not names:
        raise UsageError(f"count is empty; expected some of {', '.join(PARTS)}")
    return names


def _between(lib: Library, over: str, given: Sequence[Any]) -> tuple[float, float]:
    """Ends of a range in SI units."""
    from aicompute.decide.breakeven import axis_named, range_of

    where = range_of(axis_named(over))
    values = list(given)
    if len(values) != 2:
        raise UsageError(f"between has {len(values)} values; expected the two ends of a range")
    low, high = (
        parsed("between", value, where.unit, lib.exchange_rates() if units.names_currency(value) else None) for value in values
    )
    if not where.low <= low < high <= where.high * (1.0 + 1e-12):
        raise UsageError(f"between = {values[0]!r}, {values[1]!r}: expected two values that rise, within {where.text}")
    return low, high


def _volume(given: Any) -> float | None:
    """Tokens per second."""
    if given is None:
        return None
    volume = parsed("volume", given, "throughput")
    if not 0.0 < volume < 1e15:
        raise UsageError(f"volume = {given!r}: expected tokens in a time, such as '2e9 token/day'")
    return volume
