"""Whether a plan can be laid out at all, for plans that come as arrays: each way in which it cannot be, as a condition."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from aicompute.numerics import Array, Mask
from aicompute.plan.schedule import most_layers

SERVING_FAULTS = (
    "tp x dp x pp is more than the devices", "tp does not divide the heads", "pp is more than the layers", "ep does not divide tp x dp",
)  # fmt: skip
"""What `serving_faults` looks for, in its order."""
TRAINING_FAULTS = (
    "tp x cp x pp x dp is more than the devices", "tp does not divide the heads", "pp x chunks is more than the layers",
    "ep does not divide the experts, or ep x etp the ranks", "dp x micro-batch is more than the batch", "cp is more than the tokens",
    "tp or etp is more than the scale-up domain",
)  # fmt: skip
"""What `training_faults` looks for, in its order."""


def serving_faults(plan: Mapping[str, Array], devices: Array, heads: int, layers: int) -> tuple[Mask, ...]:
    """Conditions under which an engine cannot be laid out.

    Parameters
    ----------
    plan : mapping          tp, dp, pp and ep, shape (...) [1].
    devices : shape (...)   That may work [1].
    heads, layers : int     Of the model.

    Returns
    -------
    One condition of shape (...) for each of `SERVING_FAULTS`.

    References
    ----------
    .. [1] D. Narayanan et al., arXiv:2104.04473, section 3.

    Examples
    --------
    >>> [bool(fault) for fault in serving_faults({"tp": 3.0, "dp": 4.0, "pp": 1.0, "ep": 12.0}, 72.0, 128, 61)]
    [False, True, False, False]
    """
    tp, dp, pp, ep = (plan[name] for name in ("tp", "dp", "pp", "ep"))
    return tp * dp * pp > devices, np.not_equal(heads % tp, 0.0), pp > layers, np.not_equal((tp * dp) % ep, 0.0)


def training_faults(
    plan: Mapping[str, Array], devices: Array, heads: int, layers: int, experts: int, sequence: Array, batch: Array, window: int
) -> tuple[Mask, ...]:
    """Conditions under which a training step cannot be laid out.

    Parameters
    ----------
    plan : mapping                     tp, cp, pp, dp, ep, etp, chunks and micro_batch, shape (...) [1].
    devices : shape (...)              That may work [1].
    heads, layers, experts : int       Of the model; experts are the routed ones, 0 of a dense model.
    sequence, batch : shape (...)      Tokens a sequence; sequences a step [1].
    window : int                       Devices of the scale-up domain.

    Returns
    -------
    One condition of shape (...) for each of `TRAINING_FAULTS`.

    References
    ----------
    .. [1] D. Narayanan et al., arXiv:2104.04473, section 3.

    Examples
    --------
    >>> plan = {"tp": 8.0, "cp": 1.0, "pp": 4.0, "dp": 4.0, "ep": 1.0, "etp": 1.0, "chunks": 1.0, "micro_batch": 1.0}
    >>> [bool(fault) for fault in training_faults(plan, 64.0, 64, 80, 0, 4096.0, 512.0, 8)]
    [True, False, False, False, False, False, False]
    """
    tp, cp, pp, dp, ep, chunks = (plan[name] for name in ("tp", "cp", "pp", "dp", "ep", "chunks"))
    last = (pp - 1.0) * most_layers(layers * 1.0, pp, chunks) >= layers
    return (
        tp * cp * pp * dp > devices,
        np.not_equal(heads % tp, 0.0),
        (pp > layers) | ((pp > 1.0) & ((pp * chunks > layers) | last)),
        np.not_equal((experts or 1) % ep, 0.0) | np.not_equal((dp * cp * tp) % (ep * plan["etp"]), 0.0),
        dp * plan["micro_batch"] > batch,
        cp > sequence,
        np.greater(tp, window) | np.greater(plan["etp"], window),
    )
