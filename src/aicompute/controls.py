"""Rules on chips and runs, and who supplies a fleet, from Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aicompute.question import Folders, changed
from aicompute.question import library_of as _library
from aicompute.specs import Library

if TYPE_CHECKING:
    from aicompute.report.rules import RulesView
    from aicompute.report.supply import SupplyView

__all__ = ["rules", "supply"]


def rules(
    names: str | Sequence[str] = (),
    *,
    date: str | None = None,
    model: str | None = None,
    train_tokens: str | float | None = None,
    sequence_length: Any = 4096,
    within: str | float = "90 days",
    jurisdiction: str = "us",
    specs: Folders = (),
    set: Mapping[str, Any] | None = None,
    library: Library | None = None,
) -> RulesView:
    """What chips count as under export control, and which thresholds of training compute a run crosses.

    Parameters
    ----------
    names : str or list         Ids or aliases of accelerators or systems. None, and no model: every accelerator.
    date : str                  Day to judge on, such as "2026-01-15". Default: every day on which something changed.
    model : str                 A model, or a run that others have estimated, such as "grok-3".
    train_tokens : str or float  Tokens it is trained on, such as "14.8T". Default: as published.
    sequence_length : int       Tokens that attend to one another, for the higher count.
    within : str                Time in which a system named beside a model is to reach a threshold.
    jurisdiction : str          Whose rules on chips, of those in the specs.
    specs, set, library         As of `compare`.

    Returns
    -------
    RulesView. It informs, and is no legal advice.

    Raises
    ------
    AicomputeError
        A name is unknown (the nearest is named), a date is none, or tokens are not known.

    Examples
    --------
    >>> found = rules("h20", date="2023-12-01")
    >>> found["nvidia-h20"].tpp.value, found.standing("nvidia-h20").labels
    (2368.0, ('none',))
    >>> rules(model="llama-3.1-405b").crossing("eu-ai-act").verdict
    'over'
    """
    from aicompute.decide.answer import answer
    from aicompute.report.rules import RulesView

    lib = changed(_library(specs, library), set)
    asked = [names] if isinstance(names, str) else [str(name) for name in names]
    return RulesView(answer(lib, asked, date, model, train_tokens, sequence_length, within, jurisdiction), lib)


def supply(
    systems: str | Sequence[str] | Mapping[str, float],
    *,
    specs: Folders = (),
    set: Mapping[str, Any] | None = None,
    library: Library | None = None,
) -> SupplyView:
    """Who a fleet depends on: share of its capital by foundry, memory maker, designer and their countries.

    Parameters
    ----------
    systems : str, list or mapping   Ids or aliases of systems, with units: "gb200-nvl72=10", or {"gb200-nvl72": 10}.
    specs, set, library              As of `compare`.

    Returns
    -------
    SupplyView.

    Raises
    ------
    AicomputeError
        A name is unknown (the nearest is named), or a number of units makes no sense.

    Examples
    --------
    >>> found = supply({"cloudmatrix-384": 10, "gb200-nvl72": 30})
    >>> found["foundry"].holders[0].name, round(found["foundry"].largest, 2)
    ('TSMC', 0.75)
    """
    from aicompute.decide.supply import exposure, fleet_of
    from aicompute.report.supply import SupplyView

    lib = changed(_library(specs, library), set)
    return SupplyView(exposure(lib, fleet_of(systems)))
