"""Power: an accelerator by what it does, the rest of its system, the conversion to direct current, the building."""

from __future__ import annotations

from dataclasses import dataclass

from aicompute.numerics import Array, minimum, power, sqrt


def issued_rows(rows: Array, extra: Array) -> Array:
    r"""Rows of a matrix product that the matrix units work on, those issued for nothing among them.

    Parameters
    ----------
    rows : shape (...)    Useful rows: the batch, or the tokens of an expert [1].
    extra : shape (...)   Rows issued however few are useful [1].

    Returns
    -------
    shape (...), broadcast of the inputs [1].

    Notes
    -----
    .. math:: \sqrt{B^2 + m_0^2}

    A matrix instruction has a smallest tile, so power falls little below about ten rows. For power only; time has `shape_penalty`.
    Counted in elements, not bytes: weights of 4 bits multiplied in 16 cost the arithmetic of 16.

    References
    ----------
    .. [1] ML.ENERGY leaderboard v3 (2026-02), the H100 and B200 rows to which m0 = 9.4 (7 to 18) was fitted.

    Examples
    --------
    >>> issued_rows(8.0, 6.0), issued_rows(0.0, 6.0)
    (10.0, 6.0)
    """
    return sqrt(rows * rows + extra * extra)


def accelerator_power(
    tdp: Array,
    peak: Array,
    idle_fraction: Array,
    energy_per_byte: Array,
    compute: Array,
    exponent: Array,
    flops_rate: Array,
    bytes_rate: Array,
    wire: Array = 0.0,
    residual: Array = 1.0,
) -> Array:
    r"""Mean power of an accelerator at work.

    Parameters
    ----------
    tdp : shape (...)               Power limit [W].
    peak : shape (...)              Dense bf16 peak, whatever precision is used [FLOP/s].
    idle_fraction : shape (...)     Idle power over the limit [1], below 1.
    energy_per_byte : shape (...)   Of memory traffic, from the cells to the matrix units [J/B].
    compute : shape (...)           Arithmetic power at the peak, if nothing capped it, over the limit [1].
    exponent : shape (...)          Of the arithmetic rate [1].
    flops_rate : shape (...)        Issued, `issued_rows` in place of rows; mean over the step [FLOP/s].
    bytes_rate : shape (...)        Read and written in memory, mean over the step [B/s].
    wire : shape (...)              Sent over links, mean over the step [B/s]; a byte costs as one of memory.
    residual : shape (...)          Measured over predicted dynamic power [1].

    Returns
    -------
    shape (...), broadcast of the inputs [W], between idle and the limit. All per package, not per die.

    Notes
    -----
    .. math:: P = P_0 + \frac{D}{\left(1 + (D/R)^8\right)^{1/8}}, \quad
              D = e_B \dot B + c\,T \left(\frac{\dot F}{F_{16}}\right)^g, \quad P_0 = i\,T, \quad R = T - P_0

    The soft cap acts on the dynamic part, so both bounds are exact. Three square roots make its exponent of 8 at half the cost of general
    powers. The fit capped the whole power, with exponent 12: the two differ by 0.3 % (median) to 2.0 % (largest) on its 213 rows, and 8 is
    no worse when refitted with a model left out (median error 7.2 against 7.4 %).

    Median error on 213 serving rows of H100 and B200 with measured rates 6.9 % (H100 5.3, B200 9.8; nine in ten below 20 %), on seven
    others (Llama-3.1-405B, Qwen3-235B, DeepSeek) 11.7 %. DeepSeek on eight B200 reads 11 to 29 % low, Llama-3.1-8B on one B200 29 % high.
    Long prefill attention kernels on B200: 8.0 %, nine in ten below 44 %.

    The exponent is below 1 because voltage, clock and idle units follow the load. Arithmetic is in units of the limit and of the chip's own
    peak, so the process node needs no term. The price of a byte on the wire is a prior: no measurement identified it.

    References
    ----------
    .. [1] ML.ENERGY leaderboard v3 (2026-02), steady-state serving with vLLM, energy counters of H100 and B200.
    .. [2] S. Hong, H. Kim, ISCA 2010, An integrated GPU power and performance model (idle plus dynamic power by rate of each unit).

    Examples
    --------
    Llama-3.1-405B in 8 bits on 8 H100, 256 sequences (measured: 609 W):

    >>> round(accelerator_power(700.0, 989e12, 0.1, 65e-12, 1.54, 0.4, 3.39e14, 5.5e11))
    681
    >>> accelerator_power(700.0, 989e12, 0.1, 65e-12, 1.54, 0.4, 0.0, 0.0)
    70.0
    """
    idle = idle_fraction * tdp
    room = tdp - idle
    dynamic = energy_per_byte * (bytes_rate + wire) + compute * tdp * power(flops_rate / peak, exponent)
    square = dynamic / room
    square = square * square
    fourth = square * square
    capped = dynamic / sqrt(sqrt(sqrt(1.0 + fourth * fourth)))
    return minimum(idle + capped * residual, tdp)


def scaled_energy(reference: Array, reference_stack: Array, stack: Array) -> Array:
    r"""Energy per byte of an accelerator with another generation of memory, where none is measured.

    Parameters
    ----------
    reference : shape (...)         Energy per byte of a measured accelerator, stack to matrix unit [J/B].
    reference_stack : shape (...)   Bytes that its memory moves per joule [B/J]; 42 GB/s per W is 42e9.
    stack : shape (...)             Likewise of the other memory [B/J].

    Returns
    -------
    shape (...), broadcast of the inputs [J/B].

    Notes
    -----
    .. math:: e = e_{ref} + 1/s - 1/s_{ref}

    Only the memory's own share changes. The larger share is the way across the chip, whose wires gain little from a smaller node; it is
    kept, and the interval has to be wide. Fits of single devices agree in sign: 67 pJ/B with HBM3, 59 with HBM3E. Stack figures come from
    one public estimator (HBM2E 32, HBM3 36, HBM3E 42, HBM4 48 GB/s per W).

    References
    ----------
    .. [1] M. O'Connor et al., MICRO 2017, Fine-grained DRAM (what energy in a stack is spent on).

    Examples
    --------
    >>> round(scaled_energy(65e-12, 42e9, 32e9) * 1e12, 1)  # HBM2E
    72.4
    """
    return reference + 1.0 / stack - 1.0 / reference_stack


@dataclass(frozen=True, slots=True)
class SystemPower:
    """Power of everything but the accelerators, at the DC side. All per accelerator or all per unit: everything here is linear."""

    hosts: Array
    """CPUs with their memory and storage, at work [W]."""
    nics: Array
    """Network cards; constant [W]."""
    switches: Array
    """Switch chips of all tiers; constant, as their links never sleep [W]."""
    optics: Array
    """Optical modules; constant [W]."""
    other: Array
    """Fans, pumps, boards, regulators, at work [W]."""
    conversion: Array
    """Power at the DC side over power at the AC side [1]."""
    hosts_idle: Array = 1.0
    """Share of the hosts' power that they draw when nothing runs [1]; 1: constant."""
    other_idle: Array = 1.0
    """Likewise of the rest [1]."""


@dataclass(frozen=True, slots=True)
class UnitPower:
    """Where the power goes [W]; the parts and the conversion add up to the total."""

    accelerators: Array
    hosts: Array
    nics: Array
    switches: Array
    optics: Array
    other: Array
    conversion: Array
    """Lost between the AC and the DC side."""
    total: Array
    """IT power at the AC side, before the building."""

    @property
    def parts(self) -> dict[str, Array]:
        """Everything in the total by name [W]."""
        names = ("accelerators", "hosts", "nics", "switches", "optics", "other", "conversion")
        return {name: getattr(self, name) for name in names}


def load_power(full: Array, idle_share: Array, load: Array) -> Array:
    r"""Power of a server, or of what cools it, that is linear in its load.

    Parameters
    ----------
    full : shape (...)         At full load [W].
    idle_share : shape (...)   Drawn when nothing runs, over the full power [1].
    load : shape (...)         0 when nothing runs, 1 at work [1].

    Returns
    -------
    shape (...), broadcast of the inputs [W].

    Notes
    -----
    .. math:: P = P_{full} \left(i + (1 - i)\,u\right)

    Servers of 2007 idle at half their power or more [2]_; later ones lower.

    References
    ----------
    .. [1] X. Fan, W.-D. Weber, L. A. Barroso, ISCA 2007, Power provisioning for a warehouse-sized computer.
    .. [2] L. A. Barroso, U. Hölzle, IEEE Computer 40 (2007) 33, The case for energy-proportional computing.

    Examples
    --------
    >>> load_power(900.0, 0.5, 0.0), load_power(900.0, 0.5, 1.0)
    (450.0, 900.0)
    """
    return full * (idle_share + (1.0 - idle_share) * load)


def unit_power(accelerators: Array, system: SystemPower, load: Array = 1.0) -> UnitPower:
    """Power of a system by part, with the loss of its power supplies.

    Parameters
    ----------
    accelerators : shape (...)   Of all accelerators that the system record counts (one, or those of a unit) [W].
    system : SystemPower         The rest.
    load : shape (...)           Of hosts and cooling: 1 while a job runs, 0 when nothing does [1].

    Returns
    -------
    UnitPower, fields broadcast of the inputs [W].

    Notes
    -----
    With every accelerator at its limit it gives 558.7 kW for CloudMatrix 384 (published 559, 500 to 600) and 145.9 kW for GB200 NVL72
    (published 145), but component values were chosen for that sum. A DGX H100 gives 9.6 kW with its share of the network, below the 10.2 kW
    of its name plate. A system at work some of the time: `mean_power` of load 1 and of load 0 with idle accelerators.

    References
    ----------
    .. [1] X. Fan, W.-D. Weber, L. A. Barroso, ISCA 2007, Power provisioning for a warehouse-sized computer.
    .. [2] SMC, MLPerf Training v4.0 power: AC over DC 1.030 on 8 H100; 0.9 to 2.0 kW of network a node.

    Examples
    --------
    >>> dgx = SystemPower(hosts=900.0, nics=260.0, switches=950.0, optics=280.0, other=1100.0, conversion=0.95)
    >>> power = unit_power(8 * 700.0, dgx)
    >>> round(power.total), round(power.conversion)
    (9568, 478)
    """
    hosts = load_power(system.hosts, system.hosts_idle, load)
    other = load_power(system.other, system.other_idle, load)
    direct = accelerators + (hosts + system.nics + system.switches + system.optics + other)
    total = direct / system.conversion
    return UnitPower(accelerators, hosts, system.nics, system.switches, system.optics, other, total - direct, total)


def site_power(it: Array, pue: Array) -> Array:
    """Power at the meter of the building.

    Parameters
    ----------
    it : shape (...)    IT equipment at the AC side [W].
    pue : shape (...)   Power at the meter over power of the IT equipment [1], at least 1.

    Returns
    -------
    shape (...), broadcast of the inputs [W].

    Notes
    -----
    Fans inside servers are IT power by this definition, pumps of the building are not: two sites compare only with the same boundary.

    References
    ----------
    .. [1] ISO/IEC 30134-2:2016, Power usage effectiveness.

    Examples
    --------
    >>> round(site_power(559e3, 1.2))
    670800
    """
    return it * pue
