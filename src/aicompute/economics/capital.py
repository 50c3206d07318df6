"""What capital costs: recovery factors, annuities and present values.

Rates and lives meet in one convention. `capital_recovery_factor`, `sinking_fund_factor`, `annuity` and `present_value` take a rate *per
period* and a number of *periods*. `capital_cost_rate` takes SI, a rate in 1/s, a life in s and a compounding period in s, and gives USD/s.
Payments fall at the end of each period. A rate in 1/s is nominal: it is multiplied by the period, never compounded into it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aicompute.numerics import Array, where

YEAR = 8760.0 * 3600.0
"""The year of accountants, 365 days [s]: prices per hour in the trade press divide by 8,760."""


def capital_recovery_factor(rate: Array, periods: Array) -> Array:
    r"""Share of a sum that must be paid each period to pay it off with interest.

    Parameters
    ----------
    rate : shape (...)      Interest per period [1]; above -1, 0 allowed.
    periods : shape (...)   Number of equal payments [1]; above 0, need not be whole.

    Returns
    -------
    shape (...), broadcast of the inputs [1/period].

    Notes
    -----
    .. math:: \mathrm{CRF}(r, n) = \frac{r (1 + r)^n}{(1 + r)^n - 1}

    r → 0 gives 1/n, n = 1 gives 1 + r, n → ∞ gives r. Written with `expm1` and `log1p`, it keeps full precision for rates near zero.

    References
    ----------
    .. [1] G. J. Thuesen, W. J. Fabrycky, Engineering Economy, "capital recovery factor, equal payment series".

    Examples
    --------
    >>> round(float(capital_recovery_factor(0.10, 5.0)), 6), capital_recovery_factor(0.0, 5.0)
    (0.263797, 0.2)
    """
    zero = rate == 0.0
    some_rate = where(zero, 1.0, rate)
    return where(zero, 1.0 / periods, -some_rate / np.expm1(-periods * np.log1p(some_rate)))


def sinking_fund_factor(rate: Array, periods: Array) -> Array:
    r"""Share of a sum that must be set aside each period to own it at the end.

    Parameters
    ----------
    rate : shape (...)      Interest per period [1].
    periods : shape (...)   Number of equal payments [1].

    Returns
    -------
    shape (...), broadcast of the inputs [1/period].

    Notes
    -----
    .. math:: \mathrm{SFF}(r, n) = \frac{r}{(1 + r)^n - 1} = \mathrm{CRF}(r, n) - r

    References
    ----------
    .. [1] G. J. Thuesen, W. J. Fabrycky, Engineering Economy, "sinking fund factor".

    Examples
    --------
    >>> round(float(sinking_fund_factor(0.10, 5.0)), 6)
    0.163797
    """
    zero = rate == 0.0
    some_rate = where(zero, 1.0, rate)
    return where(zero, 1.0 / periods, some_rate / np.expm1(periods * np.log1p(some_rate)))


def annuity(capital: Array, rate: Array, periods: Array, residual: Array = 0.0) -> Array:
    r"""Equal payment each period that pays for capital, less what it is worth at the end.

    Parameters
    ----------
    capital : shape (...)    Price paid at the start [USD].
    rate : shape (...)       Cost of capital per period [1].
    periods : shape (...)    Life in periods [1].
    residual : shape (...)   Share of the price that is recovered at the end [1].

    Returns
    -------
    shape (...), broadcast of the inputs [USD/period].

    Notes
    -----
    .. math:: A = C \left(\mathrm{CRF}(r, n) - s\,\mathrm{SFF}(r, n)\right)

    References
    ----------
    .. [1] G. J. Thuesen, W. J. Fabrycky, Engineering Economy, "capital recovery with return".

    Examples
    --------
    >>> round(float(annuity(100.0, 0.10, 5.0, residual=0.20)), 4)
    23.1038
    """
    return capital * (capital_recovery_factor(rate, periods) - residual * sinking_fund_factor(rate, periods))


def capital_cost_rate(capital: Array, rate: Array, life: Array, residual: Array = 0.0, period: float = YEAR) -> Array:
    """Cost of owning capital for a second.

    Parameters
    ----------
    capital : shape (...)    Price paid at the start [USD].
    rate : shape (...)       Cost of capital [1/s], nominal.
    life : shape (...)       Time until it is replaced or sold [s].
    residual : shape (...)   Share of the price that is recovered at the end [1].
    period : float           Compounding period [s].

    Returns
    -------
    shape (...), broadcast of the inputs [USD/s].

    Notes
    -----
    The annuity over ``life / period`` periods at ``rate * period``, spread evenly over a period. A year that differs from `YEAR` by a leap
    day moves the result by 0.07 %; give the period in which the rate was stated.

    References
    ----------
    .. [1] G. J. Thuesen, W. J. Fabrycky, Engineering Economy, "capital recovery with return".
    .. [2] L. A. Barroso, U. Hölzle, P. Ranganathan, The Datacenter as a Computer, 3rd ed. (2018), chapter 6, for interest and life of
           servers.

    Examples
    --------
    CloudMatrix 384 at 8.2 M USD, 10 %, 5 years, per accelerator-hour:

    >>> round(float(capital_cost_rate(8.2e6, 0.10 / YEAR, 5 * YEAR) * 3600 / 384), 4)
    0.6431
    """
    return annuity(capital, rate * period, life / period, residual) / period


@dataclass(frozen=True)
class CapitalParts:
    """What `capital_cost_rate` is made of [USD/s]; the three add up to it.

    Attributes
    ----------
    depreciation   The price spread evenly over the life.
    interest       What the annuity costs beyond that.
    resale         What is set aside less because a sale recovers it; negative.
    """

    depreciation: Array
    interest: Array
    resale: Array

    @property
    def parts(self) -> dict[str, Array]:
        """The parts by name."""
        return {"depreciation": self.depreciation, "interest": self.interest, "resale": self.resale}


def capital_cost_parts(capital: Array, rate: Array, life: Array, residual: Array = 0.0, period: float = YEAR) -> CapitalParts:
    r"""Cost of owning capital for a second, by depreciation, interest and resale.

    Parameters
    ----------
    capital : shape (...)    Price paid at the start [USD].
    rate : shape (...)       Cost of capital [1/s], nominal.
    life : shape (...)       Time until it is replaced or sold [s].
    residual : shape (...)   Share of the price that is recovered at the end [1].
    period : float           Compounding period [s].

    Returns
    -------
    CapitalParts, fields of shape (...), broadcast of the inputs [USD/s].

    Notes
    -----
    .. math:: A = \frac{C}{n} + C \left(\mathrm{CRF}(r, n) - \frac{1}{n}\right) - s\,C\,\mathrm{SFF}(r, n)

    Straight-line depreciation of the whole price; interest is the rest of the level payment, its mean over the life.

    References
    ----------
    .. [1] G. J. Thuesen, W. J. Fabrycky, Engineering Economy, "capital recovery with return".

    Examples
    --------
    >>> parts = capital_cost_parts(100.0, 0.10 / YEAR, 5 * YEAR, residual=0.20)
    >>> [round(float(part * YEAR), 3) for part in parts.parts.values()]
    [20.0, 6.38, -3.276]
    """
    periods = life / period
    even = capital / periods
    level = capital * capital_recovery_factor(rate * period, periods)
    resale = -capital * residual * sinking_fund_factor(rate * period, periods)
    return CapitalParts(even / period, (level - even) / period, resale / period)


def present_value(payment: Array, rate: Array, periods: Array) -> Array:
    """Sum today that equals equal payments at the end of each period.

    Parameters
    ----------
    payment : shape (...)   Payment each period [USD/period].
    rate : shape (...)      Discount rate per period [1].
    periods : shape (...)   Number of payments [1].

    Returns
    -------
    shape (...), broadcast of the inputs [USD].

    References
    ----------
    .. [1] G. J. Thuesen, W. J. Fabrycky, Engineering Economy, "present-worth factor, equal payment series".

    Examples
    --------
    >>> round(float(present_value(23.1038, 0.10, 5.0)), 2)
    87.58
    """
    return payment / capital_recovery_factor(rate, periods)


def net_present_value(flows: NDArray[np.float64], rate: Array) -> Array:
    r"""Sum today that equals a series of uneven flows.

    Parameters
    ----------
    flows : shape (..., time)   Money received less money paid, the first now, the others one period apart [USD].
    rate : shape (...)          Discount rate per period [1].

    Returns
    -------
    shape (...) [USD].

    Notes
    -----
    .. math:: \mathrm{NPV} = \sum_t \frac{F_t}{(1 + r)^t}

    References
    ----------
    .. [1] R. A. Brealey, S. C. Myers, F. Allen, Principles of Corporate Finance, "net present value".

    Examples
    --------
    >>> round(float(net_present_value(np.array([-100.0, 60.0, 60.0]), 0.10)), 4)
    4.1322
    """
    growth = np.expand_dims(np.asarray(1.0 + rate), -1)
    value: NDArray[np.float64] = np.sum(flows / growth ** np.arange(np.shape(flows)[-1]), axis=-1)
    return value


def weighted_cost_of_capital(equity_share: Array, equity_rate: Array, debt_rate: Array, tax: Array = 0.0) -> Array:
    r"""Cost of capital of a firm that uses equity and debt.

    Parameters
    ----------
    equity_share : shape (...)   Equity over equity and debt [1].
    equity_rate : shape (...)    Return that owners ask for per period [1].
    debt_rate : shape (...)      Interest per period [1].
    tax : shape (...)            Tax on profits, from which interest is deducted [1].

    Returns
    -------
    shape (...), broadcast of the inputs [1/period].

    Notes
    -----
    .. math:: \mathrm{WACC} = e\,r_e + (1 - e)\,r_d\,(1 - t)

    References
    ----------
    .. [1] R. A. Brealey, S. C. Myers, F. Allen, Principles of Corporate Finance, "after-tax weighted-average cost of capital".
    .. [2] F. Modigliani, M. H. Miller, Am. Econ. Rev. 53 (1963) 433, for the tax that interest saves.

    Examples
    --------
    >>> round(weighted_cost_of_capital(0.6, 0.13, 0.07, 0.21), 5)
    0.10012
    """
    return equity_share * equity_rate + (1.0 - equity_share) * debt_rate * (1.0 - tax)
