"""What electricity costs: power at the meter, its price, and what it takes to make a token."""

from __future__ import annotations

from aicompute.numerics import Array


def mean_power(busy: Array, idle: Array, utilisation: Array) -> Array:
    """Mean draw of equipment that works for a share of the time and idles for the rest.

    Parameters
    ----------
    busy : shape (...)          Power at work [W].
    idle : shape (...)          Power when nothing runs [W].
    utilisation : shape (...)   Share of the time at work [1].

    Returns
    -------
    shape (...), broadcast of the inputs [W].

    Notes
    -----
    Linear in time, not in load: ``busy`` already holds what the load does to the chip.

    References
    ----------
    .. [1] L. A. Barroso, U. Hölzle, IEEE Computer 40 (2007) 33, The case for energy-proportional computing (idle power and utilisation).

    Examples
    --------
    >>> mean_power(1000.0, 200.0, 0.75)
    800.0
    """
    return busy * utilisation + idle * (1.0 - utilisation)


def energy_cost_rate(power: Array, pue: Array, price: Array) -> Array:
    """Cost of the energy that equipment uses in a second.

    Parameters
    ----------
    power : shape (...)   Mean power of the IT equipment [W].
    pue : shape (...)     Power at the meter over power of the IT equipment [1].
    price : shape (...)   Electricity [USD/J].

    Returns
    -------
    shape (...), broadcast of the inputs [USD/s].

    References
    ----------
    .. [1] C. D. Patel, A. J. Shah, Cost model for planning, development and operation of a data center, HPL-2005-107 (2005).
    .. [2] ISO/IEC 30134-2:2016, Power usage effectiveness.

    Examples
    --------
    559 kW for a year at a PUE of 1.2 and 0.0826 USD/kWh:

    >>> round(energy_cost_rate(559e3, 1.2, 0.0826 / 3.6e6) * 8760 * 3600)
    485375
    """
    return power * (pue * price)


def demand_cost_rate(peak_power: Array, pue: Array, charge: Array) -> Array:
    """Cost of the connection, which follows the peak and not the energy.

    Parameters
    ----------
    peak_power : shape (...)   Highest power of the IT equipment in a billing period [W].
    pue : shape (...)          Power at the meter over power of the IT equipment [1].
    charge : shape (...)       Demand charge [USD/(W s)]; 10 USD/kW/month is 3.8e-9.

    Returns
    -------
    shape (...), broadcast of the inputs [USD/s].

    Notes
    -----
    Average prices of statistics offices are revenue over sales and hold the demand charge already: give 0 with them.

    References
    ----------
    .. [1] H. Xu, B. Li, Reducing electricity demand charge for data centers with partial execution, arXiv:1307.5442.

    Examples
    --------
    >>> round(demand_cost_rate(559e3, 1.2, 10.0 / 1e3 / (730 * 3600)) * 730 * 3600)
    6708
    """
    return peak_power * (pue * charge)


def energy_per_token(power: Array, pue: Array, throughput: Array) -> Array:
    """Energy at the meter for a token.

    Parameters
    ----------
    power : shape (...)        Mean power of the IT equipment [W].
    pue : shape (...)          Power at the meter over power of the IT equipment [1].
    throughput : shape (...)   Tokens per second over the same time as the power [token/s].

    Returns
    -------
    shape (...), broadcast of the inputs [J/token].

    References
    ----------
    .. [1] ML.ENERGY leaderboard v3, DeepSeek-R1-0528, 8 B200, batch 8: 4277.8 W, 433.24 token/s (GPU energy only).

    Examples
    --------
    >>> round(energy_per_token(4277.8, 1.0, 433.24), 3)
    9.874
    """
    return power * pue / throughput
