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


def matrix_time(
    rows: Array, columns: Array, depth: Array, groups: Array, rates: Rates, bandwidth: Array, kernel: Kernel, output_bytes: Array = 2.0
) -> Array:
    r"""Time of ``groups`` matrix products of one shape in one kernel (dense: 1; experts: those touched).

    Parameters
    ----------
    rows, columns, depth : shape (...)   m, n, k of each product [1].
    groups : shape (...)                 Products in the kernel [1].
    rates : Rates                        Reached FLOP/s and bytes per element.
    bandwidth : shape (...)              Memory bandwidth reached [B/s].
    kernel : Kernel                      Penalties and launch.
    output_bytes : shape (...)           Result written [B/element].

    Returns
    -------
    shape (...), broadcast [s]; 0 where there are no groups.

    Notes
    -----
    FLOPs 2·g·m·n·k, traffic g·(n·k·w + m·k·a + m·n·o); the weights of each group are read once. Where inputs are smaller than
    16 bits they are cast first, g·m·k·(2 + a) bytes and a kernel of its own unless a stack fuses it.

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
    traffic = matrix_traffic(rows, columns, depth, groups, rates, output_bytes)
    small = rates.activation_bytes < 2.0
    cast = kernel.cast_launch + kernel.cast_share * groups * rows * depth * (2.0 + rates.activation_bytes) / bandwidth
    return overlap_pair(compute, traffic / bandwidth) + (kernel.launch + where(small, cast, 0.0)) * (groups > 0.0)


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
