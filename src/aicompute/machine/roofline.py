"""Time of one operator on one device: arithmetic against memory traffic, with shape penalties and launch."""

from __future__ import annotations

from aicompute.machine.records import Kernel, Rates
from aicompute.numerics import Array, sqrt, where


def overlap_pair(compute: Array, memory: Array) -> Array:
    r"""Time of arithmetic and memory traffic in one kernel, which overlap but not perfectly.

    Parameters
    ----------
    compute : shape (...)     Time of the arithmetic alone [s].
    memory : shape (...)      Time of the traffic alone [s].

    Returns
    -------
    shape (...), broadcast [s].

    Notes
    -----
    .. math:: t = \sqrt{t_c^2 + t_m^2}

    A p-norm; kernels fit p from 1 (whole serving steps) to 2.5 (single GEMMs). p = 2 costs one square root and is within 2 % of the best
    exponent on both.

    References
    ----------
    .. [1] S. Williams, A. Waterman, D. Patterson, Commun. ACM 52 (2009) 65, the roofline with a sharp corner (p = infinity).

    Examples
    --------
    >>> overlap_pair(3.0, 4.0)
    5.0
    """
    return sqrt(compute * compute + memory * memory)


def shape_penalty(rows: Array, columns: Array, depth: Array, kernel: Kernel) -> Array:
    r"""Arithmetic issued over arithmetic needed by a matrix product.

    Parameters
    ----------
    rows, columns, depth : shape (...)   m, n and k of the product [1].
    kernel : Kernel                      Rows, columns and depth issued on top.

    Returns
    -------
    shape (...) [1], at least 1.

    Notes
    -----
    .. math:: (1 + m_0/m)(1 + n_0/n)(1 + k_0/k)

    Smooth stand-in for tile and wave quantisation and for the prologue of the inner loop; the averages over tile sets fit as well as the
    staircase (6.3 % median on 7,829 GEMMs either way).

    References
    ----------
    .. [1] NVIDIA, Matrix Multiplication Background User's Guide, sections on tile and wave quantisation.

    Examples
    --------
    >>> k = Kernel(rows=0.0, columns=0.0, depth=100.0, launch=0.0)
    >>> round(shape_penalty(1.0, 1.0, 1000.0, k), 3)
    1.1
    """
    return (1.0 + kernel.rows / rows) * (1.0 + kernel.columns / columns) * (1.0 + kernel.depth / depth)


def reached_share(large: Array, peak: Array, power: Array, energy: Array) -> Array:
    r"""Share of a peak rate that large matrix products reach, at a number format of that peak.

    Parameters
    ----------
    large : shape (...)    Share reached where rated power does not slow the chip [1].
    peak : shape (...)     Dense peak of the format [FLOP/s].
    power : shape (...)    Rated power [W].
    energy : shape (...)   Of an operation, as far as power slows it [J/FLOP].

    Returns
    -------
    shape (...) [1].

    Notes
    -----
    .. math:: \frac{1}{r} = \frac{1}{s} \left(\frac{1}{p} + \frac{e}{P}\right)

    An operation takes its time at the peak and its energy at rated power. With one energy of 0.1 pJ for every format, large products of
    five generations of chips at 16, 8 and 4 bits are met within a tenth, and three generations of NVIDIA's data-centre chips share s = 0.85
    to 0.87. Within the range of 0.8 to 9 TFLOP/s a watt; chips of newer processes may need less energy.

    References
    ----------
    .. [1] M. Horowitz, Computing's energy problem, ISSCC 2014.

    Examples
    --------
    >>> round(reached_share(0.88, 989e12, 700.0, 0.1e-12), 2), round(reached_share(0.85, 9000e12, 1000.0, 0.1e-12), 2)
    (0.77, 0.45)
    """
    return large / (1.0 + energy * peak / power)


def matrix_traffic(rows: Array, columns: Array, depth: Array, groups: Array, rates: Rates, output_bytes: Array = 2.0) -> Array:
    """Bytes that matrix products of one shape move; the weights of each group are read once.

    Parameters
    ----------
    rows, columns, depth : shape (...)   m, n and k of each product [1].
    groups : shape (...)                 Products in the kernel [1].
    rates : Rates                        Bytes per element.
    output_bytes : shape (...)           Result written [B/element].

    Returns
    -------
    shape (...) [B].

    References
    ----------
    .. [1] S. Williams, A. Waterman, D. Patterson, Commun. ACM 52 (2009) 65.

    Examples
    --------
    >>> matrix_traffic(1.0, 2.0, 3.0, 1.0, Rates(compute=1.0, weight_bytes=1.0, activation_bytes=2.0))
    16.0
    """
    return groups * (columns * depth * rates.weight_bytes + rows * depth * rates.activation_bytes + rows * columns * output_bytes)


def cast_time(rows: Array, depth: Array, rates: Rates, bandwidth: Array, kernel: Kernel) -> Array:
    r"""Time to cast the inputs of a product from 16 bits to a smaller format before it; 0 where they stay.

    Parameters
    ----------
    rows, depth : shape (...)   m and k of the product [1].
    rates : Rates               Bytes per element.
    bandwidth : shape (...)     Memory bandwidth reached [B/s].
    kernel : Kernel             Launch of the cast, its growth with the rows, and the share of its traffic that is not fused.

    Returns
    -------
    shape (...) [s].

    Notes
    -----
    .. math:: t = t_0 \left(1 + g\,\frac{m}{m + m_0}\right) + s\,\frac{m\,k\,(2 + a)}{\beta}

    On GPUs g = 0 and t0 = 3 us. On an Ascend die each row starts work of its own on the vector cores: 8 us for one row, 30 us from a few
    hundred rows on.

    References
    ----------
    .. [1] aiconfigurator-core 0.12.0 and aiconfigurator-npu, tables of matrix products at 16 and 8 bits of equal shapes.

    Examples
    --------
    >>> k = Kernel(rows=0.0, columns=0.0, depth=0.0, launch=0.0, cast_launch=3e-6)
    >>> cast_time(1.0, 8.0, Rates(1.0, 1.0, 1.0), 1e12, k), cast_time(1.0, 8.0, Rates(1.0, 2.0, 2.0), 1e12, k)
    (3e-06, 0.0)
    """
    start = kernel.cast_launch * (1.0 + kernel.cast_growth * rows / (rows + kernel.cast_rows))
    traffic = kernel.cast_share * rows * depth * (2.0 + rates.activation_bytes)
    return where(rates.activation_bytes < 2.0, start + traffic / bandwidth, 0.0)


def matrix_time(rows: Array, columns: Array, depth: Array, groups: Array, rates: Rates, bandwidth: Array, kernel: Kernel) -> Array:
    r"""Time of ``groups`` matrix products of one shape in one kernel (dense: 1; experts: those touched).

    Parameters
    ----------
    rows, columns, depth : shape (...)   m, n, k of each product [1].
    groups : shape (...)                 Products in the kernel [1].
    rates : Rates                        Reached FLOP/s and bytes per element.
    bandwidth : shape (...)              Memory bandwidth reached [B/s].
    kernel : Kernel                      Penalties, casts and launch.

    Returns
    -------
    shape (...), broadcast [s]; 0 where there are no groups.

    Notes
    -----
    .. math:: t = \sqrt{t_c^2 + t_m^2 + (\tau k)^2} + t_0 + t_{cast} + \pi\,g\,m

    FLOPs 2·g·m·n·k times `shape_penalty`, traffic g·(n·k·w + m·k·a + m·n·o); the weights of each group are read once. The inner loop
    cannot be shorter than k steps, 0.75 ns each on all chips measured, which binds narrow products of long depth. Median error 8 % on
    the median over software of 3,800 dense products, and 19 % on 6,228 of routed experts, where one software predicts another to 29 %.

    References
    ----------
    .. [1] S. Williams, A. Waterman, D. Patterson, Commun. ACM 52 (2009) 65.

    Examples
    --------
    >>> r = Rates(compute=1e12, weight_bytes=2.0, activation_bytes=2.0)
    >>> k = Kernel(rows=0.0, columns=0.0, depth=0.0, launch=0.0)
    >>> round(matrix_time(1000.0, 1000.0, 1000.0, 1.0, r, 1e12, k), 6)
    0.002
    """
    compute = 2.0 * groups * rows * columns * depth * shape_penalty(rows, columns, depth, kernel) / rates.compute
    output = where(rates.activation_bytes < 2.0, kernel.narrow_output, 2.0)
    memory = matrix_traffic(rows, columns, depth, groups, rates, output) / bandwidth
    chain = kernel.step * depth
    busy = sqrt(compute * compute + memory * memory + chain * chain)
    fixed = kernel.launch + cast_time(groups * rows, depth, rates, bandwidth, kernel)
    return (busy + fixed) * (groups > 0.0) + kernel.pair * groups * rows


def stream_time(traffic: Array, bandwidth: Array, launch: Array = 0.0) -> Array:
    """Time of an operator that only moves memory (norms, residuals, casts, optimizer).

    Parameters
    ----------
    traffic : shape (...)     Bytes read and written [B].
    bandwidth : shape (...)   Reached [B/s].
    launch : shape (...)      Launch [s].

    Returns
    -------
    shape (...) [s].

    References
    ----------
    .. [1] J. McCalpin, Memory bandwidth and machine balance (STREAM), 1995.

    Examples
    --------
    >>> stream_time(1e9, 1e12)
    0.001
    """
    return traffic / bandwidth + launch
