"""What a cluster costs: a second of owning or renting it, a token, a run, and where two offers break even.

Owning has four parts. Capital, facility and operation are paid at all times; energy follows use (`energy.mean_power`: idle power while
nothing runs), and the demand charge follows the peak. Money per second throughout: 3,600 times as much is an hour.
"""

from __future__ import annotations

from dataclasses import dataclass

from aicompute.economics.capital import YEAR, capital_cost_rate
from aicompute.economics.energy import demand_cost_rate, energy_cost_rate
from aicompute.numerics import Array


@dataclass(frozen=True, kw_only=True)
class SiteTerms:
    """What a place charges. Fields are floats or arrays that broadcast.

    Attributes
    ----------
    electricity_price    Energy at the meter [USD/J].
    pue                  Power at the meter over power of the IT equipment [1], for the cooling in use.
    facility_capital     Building, power and cooling per rated IT power [USD/W].
    facility_life        Life of the building and its plant [s].
    facility_rate        Cost of capital of the building [1/s].
    capital_rate         Cost of capital of the equipment [1/s].
    capital_life         Time until equipment is replaced [s].
    operation_fraction   Staff, maintenance and spares as a share of the price of the equipment [1/s].
    capital_residual     Share of the price that a sale recovers at the end [1].
    demand_charge        Per peak power at the meter [USD/(W s)].
    import_tax           Added to the price of imported equipment [1].
    """

    electricity_price: Array
    pue: Array
    facility_capital: Array
    facility_life: Array
    facility_rate: Array
    capital_rate: Array
    capital_life: Array
    operation_fraction: Array
    capital_residual: Array = 0.0
    demand_charge: Array = 0.0
    import_tax: Array = 0.0


@dataclass(frozen=True)
class CostBreakdown:
    """The parts of a cost, all in one unit: USD/s, USD/(accelerator h), USD/token, as scaled.

    Attributes
    ----------
    capital     Equipment, with interest and import tax, less what a sale recovers.
    facility    Building, power and cooling, with interest.
    energy      Electricity at the meter, demand charge included.
    operation   Staff, maintenance and spares.
    """

    capital: Array
    facility: Array
    energy: Array
    operation: Array

    @property
    def total(self) -> Array:
        """Sum of the parts."""
        return self.energy + (self.capital + self.facility + self.operation)

    def scaled(self, factor: Array) -> CostBreakdown:
        """Every part times a factor, such as 3600 / accelerators for USD per accelerator-hour.

        Examples
        --------
        >>> CostBreakdown(4.0, 1.0, 2.0, 1.0).scaled(0.5).total
        4.0
        """
        return CostBreakdown(self.capital * factor, self.facility * factor, self.energy * factor, self.operation * factor)


def ownership_cost_rate(
    price: Array, rated_power: Array, mean_power: Array, terms: SiteTerms, *, imported: Array = 0.0, period: float = YEAR
) -> CostBreakdown:
    r"""Cost of owning equipment for a second, by parts.

    Parameters
    ----------
    price : shape (...)         All equipment that is owned, before import tax [USD].
    rated_power : shape (...)   IT power that the facility is built for [W].
    mean_power : shape (...)    Mean IT power, idle time included [W].
    terms : SiteTerms           The place.
    imported : shape (...)      Share of the price that is imported [1].
    period : float              Compounding period [s].

    Returns
    -------
    CostBreakdown of shape (...), broadcast of the inputs [USD/s].

    Notes
    -----
    .. math:: \dot K = C\,a(r, n, s) + P_{rated}\,F\,a(r_F, n_F, 0)
              + (\bar P\,p + P_{rated}\,d)\,\mathrm{PUE} + C\,o, \quad C = K_0 (1 + t\,i)

    with a the annuity per second of a dollar. Facility cost is per watt of IT load, as construction indices state it, so PUE enters energy
    only. The building is paid for rated power even where the mean is lower.

    References
    ----------
    .. [1] L. A. Barroso, U. Hölzle, P. Ranganathan, The Datacenter as a Computer, 3rd ed. (2018), chapter 6, for the four parts.

    Examples
    --------
    CloudMatrix 384 in the US at full power, capital and energy only, USD per accelerator-hour:

    >>> terms = SiteTerms(electricity_price=0.0826 / 3.6e6, pue=1.2, capital_rate=0.10 / YEAR, capital_life=5 * YEAR,
    ...                   facility_capital=0.0, facility_life=15 * YEAR, facility_rate=0.08 / YEAR, operation_fraction=0.0)
    >>> round(float(ownership_cost_rate(8.2e6, 559e3, 559e3, terms).scaled(3600 / 384).total), 4)
    0.7873
    """
    capital = price * (1.0 + terms.import_tax * imported)
    facility = rated_power * terms.facility_capital
    return CostBreakdown(
        capital=capital_cost_rate(capital, terms.capital_rate, terms.capital_life, terms.capital_residual, period),
        facility=capital_cost_rate(facility, terms.facility_rate, terms.facility_life, 0.0, period),
        energy=energy_cost_rate(mean_power, terms.pue, terms.electricity_price)
        + demand_cost_rate(rated_power, terms.pue, terms.demand_charge),
        operation=capital * terms.operation_fraction,
    )


def rental_cost_rate(price: Array, accelerators: Array, paid_share: Array = 1.0) -> Array:
    """Cost of renting accelerators for a second.

    Parameters
    ----------
    price : shape (...)          Rent of one accelerator [USD/(accelerator s)].
    accelerators : shape (...)   Rented accelerators [accelerator].
    paid_share : shape (...)     Share of the time that is paid [1]: 1 when reserved, the utilisation when on demand.

    Returns
    -------
    shape (...), broadcast of the inputs [USD/s].

    References
    ----------
    .. [1] M. Armbrust et al., "A view of cloud computing", Commun. ACM 53 (2010) 50, for paying by use.

    Examples
    --------
    >>> rental_cost_rate(2.0 / 3600, 8.0) * 3600
    16.0
    """
    return price * accelerators * paid_share


def cost_per_token(cost_rate: Array, throughput: Array, utilisation: Array = 1.0, availability: Array = 1.0) -> Array:
    """Cost of a token that is delivered.

    Parameters
    ----------
    cost_rate : shape (...)      What the cluster costs [USD/s], used or not.
    throughput : shape (...)     Tokens per second while it works [token/s].
    utilisation : shape (...)    Share of the time with work to do [1].
    availability : shape (...)   Share of that time in which it is not broken or repeating lost work [1].

    Returns
    -------
    shape (...), broadcast of the inputs [USD/token]; a million times as much is USD per million tokens.

    Notes
    -----
    The cost rate must already hold the energy of the same utilisation.

    References
    ----------
    .. [1] R. Pope et al., "Efficiently scaling transformer inference", arXiv:2211.05102, for cost as chip-seconds per token.

    Examples
    --------
    0.7873 USD per hour and 1,943 token/s, per million tokens:

    >>> round(cost_per_token(0.7873 / 3600, 1943.0) * 1e6, 4)
    0.1126
    """
    return cost_rate / (throughput * (utilisation * availability))


def run_duration(tokens: Array, throughput: Array, goodput: Array = 1.0) -> Array:
    """Time of a run, failures included.

    Parameters
    ----------
    tokens : shape (...)       Tokens to train on or to make [token].
    throughput : shape (...)   Tokens per second without failures [token/s].
    goodput : shape (...)      Share of the time that moves the run forward [1].

    Returns
    -------
    shape (...), broadcast of the inputs [s].

    References
    ----------
    .. [1] A. Kokolis et al., "Revisiting reliability in large-scale machine learning research clusters", arXiv:2410.21680, for the
           effective training time ratio.

    Examples
    --------
    >>> run_duration(900.0, 10.0, 0.9)
    100.0
    """
    return tokens / (throughput * goodput)


def run_cost(cost_rate: Array, tokens: Array, throughput: Array, goodput: Array = 1.0) -> Array:
    """Cost of a run, failures included.

    Parameters
    ----------
    cost_rate : shape (...)    What the cluster costs while the run lasts [USD/s].
    tokens : shape (...)       Tokens to train on or to make [token].
    throughput : shape (...)   Tokens per second without failures [token/s].
    goodput : shape (...)      Share of the time that moves the run forward [1].

    Returns
    -------
    shape (...), broadcast of the inputs [USD].

    References
    ----------
    .. [1] DeepSeek-AI, "DeepSeek-V3 technical report", arXiv:2412.19437, table 1: 2,664 K H800-hours of pre-training, 5.328 M USD.
    .. [2] B. Cottier et al., "The rising costs of training frontier AI models", arXiv:2405.21015.

    Examples
    --------
    DeepSeek-V3: 180 K H800-hours per trillion tokens at 2 USD/h, for 14.8 trillion tokens, in million USD:

    >>> round(run_cost(2.0 / 3600, 14.8e12, 1e12 / (180e3 * 3600)) / 1e6, 2)
    5.33
    """
    return cost_rate * run_duration(tokens, throughput, goodput)


def break_even_throughput(cost_rate: Array, token_cost: Array) -> Array:
    """Throughput at which a token costs what it costs elsewhere.

    Parameters
    ----------
    cost_rate : shape (...)    What the cluster costs [USD/s].
    token_cost : shape (...)   Cost of a token on the other cluster [USD/token].

    Returns
    -------
    shape (...), broadcast of the inputs [token/s].

    References
    ----------
    .. [1] G. J. Thuesen, W. J. Fabrycky, Engineering Economy, "break-even analysis".
    .. [2] R. Pope et al., "Efficiently scaling transformer inference", arXiv:2211.05102, for cost as chip-seconds per token.

    Examples
    --------
    >>> round(break_even_throughput(1.4962 / 3600, 0.1059e-6))
    3925
    """
    return cost_rate / token_cost


def break_even_price(
    cost_rate: Array, rated_power: Array, mean_power: Array, terms: SiteTerms, *, imported: Array = 0.0, period: float = YEAR
) -> Array:
    """Price of equipment at which owning it costs a given rate.

    Parameters
    ----------
    cost_rate : shape (...)     What owning may cost [USD/s].
    rated_power : shape (...)   IT power that the facility is built for [W].
    mean_power : shape (...)    Mean IT power, idle time included [W].
    terms : SiteTerms           The place.
    imported : shape (...)      Share of the price that is imported [1].
    period : float              Compounding period [s].

    Returns
    -------
    shape (...), broadcast of the inputs [USD]; negative where energy and facility alone cost more.

    Notes
    -----
    `ownership_cost_rate` is linear in the price; this is its inverse.

    References
    ----------
    .. [1] G. J. Thuesen, W. J. Fabrycky, Engineering Economy, "break-even analysis".

    Examples
    --------
    The example of `ownership_cost_rate` the other way round, in million USD:

    >>> terms = SiteTerms(electricity_price=0.0826 / 3.6e6, pue=1.2, capital_rate=0.10 / YEAR, capital_life=5 * YEAR,
    ...                   facility_capital=0.0, facility_life=15 * YEAR, facility_rate=0.08 / YEAR, operation_fraction=0.0)
    >>> round(float(break_even_price(0.7873 * 384 / 3600, 559e3, 559e3, terms)) / 1e6, 2)
    8.2
    """
    without = ownership_cost_rate(0.0, rated_power, mean_power, terms, imported=imported, period=period).total
    per_dollar = ownership_cost_rate(1.0, 0.0, 0.0, terms, imported=imported, period=period).total
    return (cost_rate - without) / per_dollar


def break_even_utilisation(fixed_rate: Array, idle_energy_rate: Array, busy_energy_rate: Array, rent_rate: Array) -> Array:
    r"""Share of the time above which owning costs less than renting on demand.

    Parameters
    ----------
    fixed_rate : shape (...)         Capital, facility and operation [USD/s].
    idle_energy_rate : shape (...)   Energy while idle [USD/s].
    busy_energy_rate : shape (...)   Energy at work [USD/s].
    rent_rate : shape (...)          Rent while it is used [USD/s].

    Returns
    -------
    shape (...), broadcast of the inputs [1]; above 1, renting is always cheaper.

    Notes
    -----
    .. math:: u = \frac{F + E_{idle}}{R - (E_{busy} - E_{idle})}

    Holds where the rent is above the marginal energy, R > E_busy − E_idle; else owning never pays and the result is negative.

    References
    ----------
    .. [1] M. Armbrust et al., "A view of cloud computing", Commun. ACM 53 (2010) 50, for the utilisation that decides between owning and
           renting.

    Examples
    --------
    >>> break_even_utilisation(1.0, 0.25, 0.5, 2.75)
    0.5
    """
    return (fixed_rate + idle_energy_rate) / (rent_rate - (busy_energy_rate - idle_energy_rate))
