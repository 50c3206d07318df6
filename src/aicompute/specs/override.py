"""What an override puts in the place of a value, checked against the schema."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from aicompute import units
from aicompute.errors import UnitError, UsageError
from aicompute.specs import check, schema
from aicompute.specs.spec import Leaf, Spec
from aicompute.specs.value import Value


def override_value(old: Any, key: schema.Key | None, given: Any, address: str, rates: Callable[[], Mapping[str, float]]) -> Value:
    """A value whose number is the one given; other currencies at the sites' dated rates."""
    dimension = key.dimension if key is not None else old.unit
    try:
        exchanged = units.names_currency(given) and dimension != "exchange_rate"
        value = units.parse(given, dimension, rates=rates() if exchanged else None)
    except UnitError as error:
        raise UnitError(f"{address}: {error}") from None
    if key is not None:
        problem = check.implausible(value, key, f"{given}")
        if problem:
            raise UsageError(f"{address}: {problem}")
    if isinstance(old, Value):
        return old.replaced(value)
    return Value(value, value, value, key.unit if key is not None else "1", "assumed", "override")


def override_plain(old: Any, key: schema.Key | None, given: Any, address: str) -> Leaf:
    """A plain leaf from what was given, text turned into the type that the spec has."""
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string", list: "strings"}
    key = key or schema.Key(address, kinds[type(old)], "")
    new: Any = given
    if isinstance(given, str) and key.type in ("integer", "number", "boolean"):
        new = {"true": True, "false": False}.get(given.lower(), given) if key.type == "boolean" else _number(given, key.type)
    if isinstance(given, str) and key.type == "strings":
        new = [part.strip() for part in given.split(",") if part.strip()]
    problem = check.plain_problem(new, key)
    if problem:
        raise UsageError(f"{address}: {problem}")
    return new  # type: ignore[no-any-return]


def _number(text: str, kind: str) -> Any:
    """A whole or any number from text, or the text itself where it is none."""
    try:
        number = float(text)
    except ValueError:
        return text
    return int(number) if kind == "integer" and number == int(number) else number


def key_of(kind: str, spec: Spec, path: str) -> schema.Key | None:
    """The schema key of a path, if the tier or class it names exists."""
    parts = path.split(".")
    if parts[0] in schema.NAMED_TABLES and len(parts) > 1 and parts[1] not in spec.data.get(parts[0], {}):
        return None
    return schema.keys(kind).get(schema.general(path))
