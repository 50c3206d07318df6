"""Quantities with units become SI floats here, at the edge; formulas inside see floats only.

Spec files use a closed list of unit strings, whose factors stand in `aicompute.unit_table`. That table is written by ``python -m
aicompute.units`` from our pint definitions (``data/units.txt``) and a test compares the two, so the usual path never imports pint.
Other units ("kWh/week", "furlong"?) ask pint.

Conventions: information is counted in bytes, money in USD, a year has 8,760 hours and a month 730; floating-point and integer operations
are one dimension.
"""

from aicompute.units.closed_list import closed_table
from aicompute.units.dimensions import DIMENSIONS, Dimension, check_unit, describe
from aicompute.units.factors import DEFINITIONS, factor_of, from_unit, registry, signature, to_unit
from aicompute.units.reading import names_currency, parse, split
from aicompute.units.writing import format_si, plain, si_unit

__all__ = [
    "DEFINITIONS",
    "DIMENSIONS",
    "Dimension",
    "check_unit",
    "closed_table",
    "describe",
    "factor_of",
    "format_si",
    "from_unit",
    "names_currency",
    "parse",
    "plain",
    "registry",
    "si_unit",
    "signature",
    "split",
    "to_unit",
]
