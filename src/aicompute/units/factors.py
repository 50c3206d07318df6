"""The SI factor and the dimension of a unit: from the closed table, else from our pint definitions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aicompute.errors import UnitError
from aicompute.unit_table import FACTORS

if TYPE_CHECKING:
    import pint

DEFINITIONS = Path(__file__).parent.parent / "data" / "units.txt"

_SPELLING = {"$": "USD", "µ": "u", "μ": "u", "²": "^2", "³": "^3", "·": "*", "**": "^"}
_TOKEN = re.compile(r"[^\W\d]\w*|[%$]")


def factor_of(unit: str) -> tuple[float, str]:
    """The SI factor and the dimension signature of a unit; the closed table answers first, then pint.

    Examples
    --------
    >>> factor_of("Gbit/s")
    (125000000.0, 'information/time')
    """
    known = FACTORS.get(unit)
    return known if known is not None else _factor_by_pint(unit)


def signature(unit: str) -> str:
    """The dimension of a unit as text, in one canonical order ("" for a pure number)."""
    return factor_of(unit)[1]


def to_unit(value: float, unit: str) -> float:
    """An SI value in another unit.

    Examples
    --------
    >>> to_unit(1.8e12, "TB/s")
    1.8
    """
    factor = factor_of(unit)[0]
    whole = _whole_inverse(factor)
    return value * whole if whole else value / factor


def from_unit(value: float, unit: str) -> float:
    """A value in some unit as SI.

    Examples
    --------
    >>> from_unit(1.8, "TB/s")
    1800000000000.0
    """
    return scaled(value, factor_of(unit)[0])


def registry() -> pint.UnitRegistry[Any]:
    """Our pint registry, for those who want quantities; made once."""
    return _registry()


def ask_pint(unit: str) -> tuple[float, str]:
    """Factor and signature of a unit from the definitions."""
    import pint

    try:
        quantity = _registry().Quantity(1.0, _registry().parse_units(unit)).to_root_units()
    except pint.UndefinedUnitError as error:
        names = [error.unit_names] if isinstance(error.unit_names, str) else list(error.unit_names)
        raise UnitError(f"unknown unit {unit!r}{_hint(unit, names[0])}") from None
    except Exception:  # pint's parser raises many kinds for text that is not a unit
        raise UnitError(f"cannot read {unit!r} as a unit; units look like 'GB/s', 'USD/kWh' or '1/year'") from None
    dimensionality: dict[str, Any] = dict(quantity.dimensionality)
    powers = {name.strip("[]"): float(power) for name, power in dimensionality.items()}
    factor: Any = quantity.magnitude
    return float(f"{factor:.15g}"), written(powers)


def scaled(number: float, factor: float) -> float:
    """The product, as a division where that is exact: 50 ms is 0.05 s, not 0.05000000000000001."""
    whole = _whole_inverse(factor)
    return number / whole if whole else number * factor


def _whole_inverse(factor: float) -> float:
    """The whole number that a factor is one part of (1000 for milli), or 0 where there is none."""
    inverse = 1.0 / factor if factor < 1.0 else 0.5
    whole = float(round(inverse))
    return whole if abs(inverse - whole) < 1e-12 * whole else 0.0


def written(powers: Mapping[str, float]) -> str:
    """The canonical text of exponents: numerators joined by a dot, then the denominators."""

    def one(name: str) -> str:
        power = abs(powers[name])
        return name if power == 1 else f"{name}^{power:g}"

    above = [one(name) for name in sorted(powers) if powers[name] > 0]
    below = [f"/{one(name)}" for name in sorted(powers) if powers[name] < 0]
    return ("·".join(above) or ("1" if below else "")) + "".join(below)


@lru_cache(maxsize=1)
def _registry() -> pint.UnitRegistry[Any]:
    import pint

    return pint.UnitRegistry(str(DEFINITIONS))


@lru_cache(maxsize=512)
def _factor_by_pint(unit: str) -> tuple[float, str]:
    """Ask pint after tidying the spelling; unknown names become a `UnitError` with what was probably meant."""
    tidy = re.sub(r"\s*([*/^])\s*", r"\1", unit.strip())
    tidy = re.sub(r"\s+per\s+", "/", tidy)
    for odd, usual in _SPELLING.items():
        tidy = tidy.replace(odd, usual)
    return FACTORS[tidy] if tidy in FACTORS else ask_pint(tidy)


def _hint(unit: str, wrong: str) -> str:
    """The tail of a message: the unit with its wrong name replaced by the nearest ones."""
    from difflib import get_close_matches

    known = sorted({name for text in FACTORS for name in _TOKEN.findall(text)})
    found = [name for name in known if name.lower() == wrong.lower()]
    if re.fullmatch(r"[kKMGTP]?i?b", wrong):
        found = [f"{wrong[:-1]}bit", *found]
    folded: dict[str, str] = {name.lower(): name for name in known}
    found = list(dict.fromkeys(found)) or [folded[name] for name in get_close_matches(wrong.lower(), folded, n=2, cutoff=0.5)]
    meant = [re.sub(rf"(?<!\w){re.escape(wrong)}(?!\w)", name, unit) for name in found]
    return f"; did you mean {' or '.join(map(repr, meant))}?" if meant else ""
