"""What an answer is made of: metrics with intervals, a breakdown, a plan, reasons and origins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

METRICS: Mapping[str, tuple[str, str, str]] = {
    # name: (SI unit, title, better: "more", "less" or "")
    "tokens_per_s_per_accelerator": ("token/s", "tokens/s per accelerator", "more"),
    "tokens_per_s": ("token/s", "tokens/s of the system", "more"),
    "tokens_per_s_per_user": ("token/s", "tokens/s per user", "more"),
    "input_tokens_per_s_per_accelerator": ("token/s", "input tokens/s per accelerator", "more"),
    "tpot": ("s", "time per output token (TPOT)", "less"),
    "ttft": ("s", "time to first token (TTFT)", "less"),
    "step_time": ("s", "time of a step", "less"),
    "mfu": ("1", "MFU (of the peak at the precision that runs)", "more"),
    "run_time": ("s", "time of the run, failures included", "less"),
    "goodput": ("1", "share of time not lost to failures", "more"),
    "communication_share": ("1", "communication, nothing hidden, over step", "less"),
    "exposed_share": ("1", "communication exposed, of the step", "less"),
    "memory_share": ("1", "device memory used", ""),
    "prefill_share": ("1", "share of accelerators that prefill", ""),
    "accelerator_power": ("W", "power of an accelerator", "less"),
    "it_power": ("W", "power of the system (AC, IT)", "less"),
    "site_power": ("W", "power at the meter (with PUE)", "less"),
    "energy_per_token": ("J", "energy per token (meter, idle time included)", "less"),
    "capital": ("USD", "capital, hardware", "less"),
    "cost_per_hour": ("USD/s", "cost of the system", "less"),
    "cost_per_accelerator_hour": ("USD/s", "cost per accelerator", "less"),
    "cost_per_token": ("USD", "cost per token", "less"),
    "run_cost": ("USD", "cost of the run", "less"),
    "carbon_per_token": ("kg", "carbon per token (operation)", "less"),
    "embodied_carbon_per_token": ("kg", "carbon per token (making of the accelerators)", "less"),
    "run_carbon": ("kg", "carbon of the run (operation)", "less"),
    "run_embodied_carbon": ("kg", "carbon of the run (making of the accelerators)", "less"),
}
"""Every metric an answer may hold, with its SI unit, its title and which way is better."""


@dataclass(frozen=True)
class Metric:
    """A number with its 90 % interval, in SI units."""

    value: float
    low: float
    high: float
    unit: str
    draws: NDArray[np.float64] | None = field(default=None, repr=False, compare=False)
    """Samples behind the interval; those of systems compared belong together draw by draw."""


def metric_of(value: Any, draws: Any, unit: str) -> Metric:
    """A number with the 90 % interval of its draws; a number alone where there are none.

    Examples
    --------
    >>> metric_of(2.0, np.array([1.0, 2.0, 3.0]), "W")
    Metric(value=2.0, low=1.1, high=2.9, unit='W')
    """
    number = float(value)
    drawn = None if draws is None else np.asarray(draws, dtype=float)
    if drawn is None or drawn.ndim == 0:
        return Metric(number, number, number, unit)
    low, high = (float(end) for end in bounds(drawn))
    return Metric(number, min(low, number), max(high, number), unit, drawn)


@dataclass(frozen=True)
class Part:
    """One line of a breakdown."""

    name: str
    seconds: float
    share: float


@dataclass(frozen=True)
class OperatorLine:
    """One operator or collective, for ``--explain``; of one device in one step (training: one forward pass of a micro-batch)."""

    name: str
    count: float
    shape: str
    flops: float
    traffic: float
    seconds: float
    bound: str
    """compute, memory, launch or link."""


@dataclass(frozen=True)
class Origin:
    """A spec value that the answer used."""

    path: str
    value: float
    low: float
    high: float
    unit: str
    kind: str
    source: str
    swing: float = 0.0
    """Change of the main metric (as a share) when this value goes from low to high."""


@dataclass(frozen=True)
class Estimate:
    """The answer for one system at one site in one scenario."""

    system: str
    system_name: str
    accelerator: str
    site: str
    workload: str
    """training, prefill, decode or serving."""
    model: str
    stack: str
    accelerators: float
    """Bought or allotted; rates per accelerator divide by it."""
    units: float
    """Units of sale, rounded up."""
    feasible: bool
    reason: str
    """Why not, and what would do; empty where feasible."""
    plan: Mapping[str, Any]
    metrics: Mapping[str, Metric]
    breakdown: tuple[Part, ...]
    communication: tuple[Part, ...]
    bottleneck: str
    operators: tuple[OperatorLine, ...] = ()
    origins: tuple[Origin, ...] = ()
    interval_parts: Mapping[str, float] = field(default_factory=dict)
    """What the interval of the main metric is made of: share of variance by spec ranges, kernels, stack, unseen device."""
    alternatives: tuple[Mapping[str, Any], ...] = ()
    """Next best plans: plan and main metric."""
    target: str = ""
    """Such as "TPOT <= 50 ms"."""

    def __getitem__(self, name: str) -> Metric:
        """A metric by name."""
        return self.metrics[name]

    def value(self, name: str) -> float:
        """The value of a metric, nan where the answer has none."""
        return self.metrics[name].value if name in self.metrics else float("nan")

    def replaced(self, **changes: Any) -> Estimate:
        """The same answer with some fields changed."""
        return replace(self, **changes)


@dataclass(frozen=True)
class Ratio:
    """One system over another."""

    value: float
    low: float
    high: float
    probability: float
    """That the first is better; nan where neither way is better or no draws exist."""


def bounds(draws: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The 5 % and 95 % points of draws, interpolated between neighbours as by `numpy.quantile`, which takes longer to get ready.

    Parameters
    ----------
    draws : shape (..., N)   N draws of each metric.

    Returns
    -------
    low, high : shape (...); nan where a draw is.

    References
    ----------
    .. [1] R. J. Hyndman, Y. Fan, Am. Stat. 50 (1996) 361, definition 7.

    Examples
    --------
    >>> bounds(np.arange(101.0))
    (np.float64(5.0), np.float64(95.0))
    """
    ordered = np.sort(draws, axis=-1)
    last = ordered.shape[-1] - 1
    found = []
    for point in (0.05, 0.95):
        place = point * last
        below = min(int(place), max(last - 1, 0))
        share = place - below
        a, b = ordered[..., below], ordered[..., min(below + 1, last)]
        between = b - (b - a) * (1.0 - share) if share >= 0.5 else a + (b - a) * share
        found.append(np.where(np.isnan(ordered[..., -1]), np.nan, between)[()])
    return found[0], found[1]


def ratio(first: Metric, second: Metric, better: str) -> Ratio | None:
    """Ratio of two metrics, with the interval and the probability from shared draws; None where one is zero, or a divisor may be.

    Examples
    --------
    >>> ratio(Metric(2.0, 1.0, 3.0, "1"), Metric(1.0, 1.0, 1.0, "1"), "more")
    Ratio(value=2.0, low=2.0, high=2.0, probability=nan)
    """
    if not first.value or not second.value:
        return None
    value = first.value / second.value
    if first.draws is None and second.draws is None:
        return Ratio(value, value, value, float("nan"))
    above, below = (metric.value if metric.draws is None else metric.draws for metric in (first, second))
    if not np.all(below):
        return None
    drawn = np.asarray(above) / below
    low, high = (float(point) for point in bounds(drawn))
    wins = float(np.mean(drawn > 1.0)) if better == "more" else float(np.mean(drawn < 1.0))
    return Ratio(value, low, high, wins if better else float("nan"))


@dataclass(frozen=True)
class Comparison:
    """Several systems (and sites) in one scenario."""

    title: str
    scenario: Mapping[str, Any]
    estimates: tuple[Estimate, ...]
    notes: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Estimate]:
        """The estimates in order."""
        return iter(self.estimates)

    def __len__(self) -> int:
        """Number of estimates."""
        return len(self.estimates)

    def __getitem__(self, key: int | str) -> Estimate:
        """By position or by system id (the first site)."""
        if isinstance(key, int):
            return self.estimates[key]
        for estimate in self.estimates:
            if estimate.system == key:
                return estimate
        raise KeyError(key)

    def ratio(self, name: str) -> Ratio | None:
        """First over second estimate for a metric, where both have it and neither is zero."""
        if len(self.estimates) != 2 or any(name not in e.metrics for e in self.estimates):
            return None
        return ratio(self.estimates[0][name], self.estimates[1][name], METRICS[name][2])
