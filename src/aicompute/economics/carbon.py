"""Greenhouse gas: what the grid emits while equipment runs, and what its making emitted."""

from __future__ import annotations

from aicompute.numerics import Array


def operational_carbon(energy: Array, pue: Array, intensity: Array) -> Array:
    """Emissions of the electricity that equipment uses.

    Parameters
    ----------
    energy : shape (...)      Energy of the IT equipment [J]; a power [W] gives a rate.
    pue : shape (...)         Power at the meter over power of the IT equipment [1].
    intensity : shape (...)   Grid carbon [kg/J] of CO2 equivalent; 1 g/kWh is 2.78e-10.

    Returns
    -------
    shape (...), broadcast of the inputs [kg]; of a power [kg/s].

    Notes
    -----
    Average, life-cycle intensity. What one more kilowatt emits (marginal) can differ by a factor of two either way.

    References
    ----------
    .. [1] U. Gupta et al., "ACT: designing sustainable computer systems with an architectural carbon modeling tool", ISCA 2022, equation 2.
    .. [2] A. S. Luccioni et al., arXiv:2211.02001, table 2: BLOOM, 433,196 kWh at 57 g/kWh, 24.69 t.

    Examples
    --------
    >>> round(operational_carbon(433_196 * 3.6e6, 1.0, 57e-3 / 3.6e6))
    24692
    """
    return energy * pue * intensity


def embodied_carbon_rate(embodied: Array, life: Array, utilisation: Array = 1.0) -> Array:
    """Emissions of making equipment, spread over the time it is used.

    Parameters
    ----------
    embodied : shape (...)      Emissions until it is installed [kg].
    life : shape (...)          Time until it is replaced [s].
    utilisation : shape (...)   Share of that time at work [1]; 1 spreads over the calendar.

    Returns
    -------
    shape (...), broadcast of the inputs [kg/s].

    References
    ----------
    .. [1] U. Gupta et al., "ACT", ISCA 2022, equation 1: embodied carbon by share of the lifetime.
    .. [2] NVIDIA, Product carbon footprint summary, HGX H100 (2025), for the example.

    Examples
    --------
    An HGX H100 board with 1,312 kg over 5 years, grams per GPU-hour:

    >>> round(embodied_carbon_rate(1312.0, 5 * 8760 * 3600) * 3600 / 8 * 1e3, 2)
    3.74
    """
    return embodied / (life * utilisation)


def die_carbon(area: Array, fab_intensity: Array, fab_energy: Array, gas: Array, material: Array, fab_yield: Array) -> Array:
    r"""Emissions of making a die.

    Parameters
    ----------
    area : shape (...)            Die area [m^2].
    fab_intensity : shape (...)   Carbon of the electricity of the fab [kg/J].
    fab_energy : shape (...)      Energy per wafer area [J/m^2].
    gas : shape (...)             Process gases per wafer area [kg/m^2].
    material : shape (...)        Raw materials per wafer area [kg/m^2].
    fab_yield : shape (...)       Share of good dies [1].

    Returns
    -------
    shape (...), broadcast of the inputs [kg].

    Notes
    -----
    .. math:: E = A\,\frac{I\,e + g + m}{Y}

    Silicon alone: product footprints are four to seven times as much, because of memory, boards, heat sinks and assembly.

    References
    ----------
    .. [1] U. Gupta et al., "ACT", ISCA 2022, equations 4 and 5.

    Examples
    --------
    An H100 die of 814 mm² in Taiwan at a yield of 0.875 (583 g/kWh; 2.75 kWh, 327.5 g and 500 g per cm²):

    >>> round(die_carbon(814e-6, 583e-3 / 3.6e6, 2.75 * 3.6e6 * 1e4, 3275.0, 5000.0, 0.875), 2)
    22.61
    """
    return area * (fab_intensity * fab_energy + gas + material) / fab_yield


def carbon_per_token(operational_rate: Array, embodied_rate: Array, throughput: Array) -> Array:
    """Emissions of a token.

    Parameters
    ----------
    operational_rate : shape (...)   From the grid, at the mean power [kg/s].
    embodied_rate : shape (...)      From making the equipment, over the calendar [kg/s].
    throughput : shape (...)         Tokens per second over the same time [token/s].

    Returns
    -------
    shape (...), broadcast of the inputs [kg/token].

    References
    ----------
    .. [1] ISO/IEC 21031:2024, Software Carbon Intensity: operational and embodied emissions per functional unit.
    .. [2] U. Gupta et al., "ACT", ISCA 2022, equation 1.

    Examples
    --------
    >>> carbon_per_token(3.0, 1.0, 8.0)
    0.5
    """
    return (operational_rate + embodied_rate) / throughput
