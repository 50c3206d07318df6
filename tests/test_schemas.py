"""JSON of the commands about money, rules and fleets keeps to the schemas that ship."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import aicompute as ac
from aicompute import cli

DATA = Path(ac.__file__).parent / "data"
TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None), "number": (int, float), "integer": int}
PAIR = ("cloudmatrix-384", "gb200-nvl72")
RATES = ("--tokens-per-s", "1943,3000")
ANSWERS = [
    ("cost", "gb200-nvl72", "--samples", "0"),
    ("cost", "gb200-nvl72", "--site", "kr", "--site", "us", "--workload", "decode", "--samples", "20", "--currency", "KRW"),
    ("cost", "gb200-nvl72", "--rent", "list", "--explain", "--samples", "20"),
    ("cost", "gb200-nvl72", "--accelerators", "720", "--colocation", "list", "--samples", "0"),
    ("breakeven", *PAIR, *RATES, "--samples", "20"),
    ("breakeven", *PAIR, *RATES, "--over", "rack_price", "--samples", "0"),
    ("breakeven", *PAIR, "--over", "tokens_per_s", "--tokens-per-s", "1943,none", "--samples", "20"),
    ("makebuy", "gb200-nvl72", "--samples", "20", "--volume", "2e9 token/day"),
    ("makebuy", "dgx-h100", "--samples", "0", "--api", "open", "--rent", "20"),
    ("makebuy", "cloudmatrix-384", "--samples", "20", "--api", "closed", "--prefix-hit", "0.5"),
    ("rules",),
    ("rules", "h20", "mlu590-server", "--date", "1990-01-01"),
    ("rules", "gb200-nvl72", "--model", "llama-3.1-405b", "--within", "60 days"),
    ("rules", "--model", "grok-3"),
    ("supply", *PAIR),
    ("supply", "mlu590-server=10"),
    ("size", "--serve", "1e5 token/s", "--site", "kr", "--system", "gb200-nvl72", "--system", "dgx-h100", "--samples", "0"),
    ("size", "--train-tokens", "1T", "--within", "30 day", "--serve", "1e5 token/s", "--site", "kr", "--system", "gb200-nvl72", "--power",
     "2 MW", "--samples", "20"),
]  # fmt: skip


def faults(data: Any, schema: Mapping[str, Any], whole: Mapping[str, Any], where: str = "$") -> list[str]:
    """What of the data the schema does not allow; the keywords that the schemas use."""
    if "$ref" in schema:
        return faults(data, whole["$defs"][schema["$ref"].rpartition("/")[2]], whole, where)
    found = [f"{where}: is not {schema['const']}"] if "const" in schema and data != schema["const"] else []
    kinds = schema.get("type", ())
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(isinstance(data, TYPES[kind]) and (kind == "boolean" or not isinstance(data, bool)) for kind in kinds):
        return [*found, f"{where}: {data!r} is not {kinds}"]
    if isinstance(data, dict):
        known, other = schema.get("properties", {}), schema.get("additionalProperties", True)
        found += [f"{where}: lacks {name}" for name in schema.get("required", ()) if name not in data]
        found += [f"{where}: has {name}" for name in data if name not in known and other is False]
        for name, item in data.items():
            found += faults(item, known.get(name, other if isinstance(other, dict) else {}), whole, f"{where}.{name}")
    if isinstance(data, list) and "items" in schema:
        found += [fault for place, item in enumerate(data) for fault in faults(item, schema["items"], whole, f"{where}[{place}]")]
    return found


def schema_of(command: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DATA / f"{command}.schema.json").read_text(encoding="utf-8"))
    return found


def answer(arguments: tuple[str, ...]) -> dict[str, Any]:
    done = CliRunner().invoke(cli.cli, [*arguments, "--format", "json"])
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout, parse_constant=pytest.fail)
    return found


@pytest.mark.parametrize("arguments", ANSWERS, ids=" ".join)
def test_json_keeps_to_its_schema(arguments: tuple[str, ...]) -> None:
    schema = schema_of(arguments[0])
    assert faults(answer(arguments), schema, schema) == []


@pytest.mark.parametrize("arguments", [ANSWERS[0], ANSWERS[4], ANSWERS[7], ANSWERS[11], ANSWERS[14], ANSWERS[16]], ids=lambda a: a[0])
def test_a_schema_finds_what_is_missing_or_wrong(arguments: tuple[str, ...]) -> None:
    schema, good = schema_of(arguments[0]), answer(arguments)
    assert faults({**good, "schema": 2}, schema, schema)
    for name in schema["required"]:
        assert faults({key: item for key, item in good.items() if key != name}, schema, schema), name
        assert faults({**good, name: object()}, schema, schema), name


def test_every_command_with_json_of_its_own_has_a_schema() -> None:
    shipped = {path.name.partition(".")[0] for path in DATA.glob("*.schema.json")}
    assert {"compare", "search", "sweep", "sensitivity", "cost", "breakeven", "makebuy", "rules", "supply", "size"} <= shipped
