"""Which chips need an export licence for a site on a date, as far as the rules in the specs tell."""

from __future__ import annotations

from functools import lru_cache

from aicompute.decide.chips import chip_of
from aicompute.decide.regimes import Rule, date_of, rules_of, standing, turning_dates
from aicompute.specs import Library, Spec

JURISDICTION = "us"
"""Whose rules: the only ones on chips in the specs."""


def rule_date(lib: Library, given: str | None) -> str:
    """The date to judge on: the one given, or that of the newest change of a rule on chips.

    Raises
    ------
    UsageError
        Not a date.
    """
    if given is not None:
        return date_of(given)
    return turning_dates(_rules(lib))[-1]


@lru_cache(maxsize=4)
def _rules(lib: Library) -> tuple[Rule, ...]:
    """Rules on chips, the oldest first."""
    return tuple(rule for rule in rules_of(lib, "chip") if rule.jurisdiction == JURISDICTION)


def licences(lib: Library, accelerator: Spec, date: str) -> dict[str, str]:
    """Jurisdictions for which a chip needs an export licence on a date, with the class that asks for it.

    Parameters
    ----------
    lib : Library
    accelerator : Spec
    date : str           As `rule_date` gives it.

    Notes
    -----
    A chip needs none where its designer sits. Whether the rule reaches a chip that is designed elsewhere, guidance, exceptions with notice,
    and who the customer is, are not judged.

    Examples
    --------
    >>> lib = Library()
    >>> licences(lib, lib.load("accelerators", "nvidia-h100-sxm"), "2026-01-15")
    {'ae': '3A090.a.1', 'cn': '3A090.a.1'}
    """
    stands = standing(_rules(lib), chip_of(lib, accelerator.id), date)
    possible = list(stands.judgement.possible) if stands.judgement is not None else []
    asking = [(each, len(possible) == 1) for each in possible if each is not None]
    asking += [(review.found, review.sure) for review in stands.reviews if review.rule.standing != "guidance"]
    home = str(lib.load("suppliers", str(accelerator.get("vendor"))).get("jurisdiction", ""))
    found: dict[str, str] = {}
    for each, sure in asking:
        for place in each.destinations:
            if place != home:
                found.setdefault(place, each.label if sure else f"{each.label}, perhaps")
    return found
