from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from aicompute.errors import SpecError, UnitError, UnknownNameError, UsageError
from aicompute.specs import Library, Value, check_all, check_file, schema
from aicompute.specs.diff import diff
from aicompute.specs.files import built_in

SOURCE = '[s]\ntitle = "A source"\n'
ACCELERATOR = """name = "Box A"
aliases = ["BoxA", "acme/Box-A-80GB"]
vendor = "acme"
family = "acme-a"
devices = { value = 2, unit = "device/accelerator", kind = "datasheet", source = "s" }
peak.bf16 = { value = 300, unit = "TFLOP/s", kind = "datasheet", source = "s", low = 280, high = 310 }
memory.capacity = { value = 80, unit = "GiB", kind = "datasheet", source = "s" }
memory.bandwidth = { value = 2, unit = "TB/s", kind = "datasheet", source = "s" }
power.tdp = { value = 500, unit = "W", kind = "assumed", source = "s", low = 400, high = 700 }
"""
SYSTEM = """name = "Rack A"
vendor = "acme"
accelerator = "box-a"
unit = "rack"
accelerators = { value = 16, unit = "accelerator", kind = "datasheet", source = "s" }

[[tiers]]
name = "scale-up"
topology = "switch"
domain = { value = 32, unit = "device", kind = "datasheet", source = "s" }
bandwidth = { value = 200, unit = "GB/s", kind = "datasheet", source = "s" }
latency = { value = 2, unit = "us", kind = "measured", source = "s" }
"""
SITE = """name = "Here"
country = "Nowhere"
[electricity]
price = { value = 0.1, unit = "USD/kWh", kind = "analyst", source = "s" }
"""
GENERIC_STACK = """name = "Base"
abstract = true
kind = "serving"
[defaults]
kv = "bf16"
[reached]
dense = { value = 0.9, unit = "1", kind = "derived", source = "s" }
"""
STACK = """name = "Engine 1"
extends = "generic-test"
[defaults]
kv = "fp8"
[reached]
dense = { value = 0.95, unit = "1", kind = "derived", source = "s" }
"""
FILES = {
    "sources.toml": SOURCE,
    "accelerators/box-a.toml": ACCELERATOR,
    "systems/rack-a.toml": SYSTEM,
    "sites/here-1.5.toml": SITE,
    "stacks/generic-test.toml": GENERIC_STACK,
    "stacks/engine-1.toml": STACK,
}
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a folder of specs, some files changed."""

    def _write(**changes: str) -> Path:
        for name, text in {**FILES, **{key.replace("__", "/").replace("_dot_", "."): text for key, text in changes.items()}}.items():
            path = tmp_path / (name if name.endswith(".toml") else f"{name}.toml")
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return tmp_path

    return _write


@pytest.fixture
def library(write: Write) -> Library:
    return Library([write()])


# Reading


def test_values_are_si_with_range_and_origin(library: Library) -> None:
    spec = library.load("accelerators", "box-a")
    assert spec.value("peak.bf16") == Value(300e12, 280e12, 310e12, "TFLOP/s", "datasheet", "s")
    assert spec.si("memory.capacity") == 80 * 2**30
    assert spec.value("memory.bandwidth").low == spec.value("memory.bandwidth").high == 2e12
    assert spec.value("peak.bf16").written == (300.0, 280.0, 310.0)


def test_tiers_are_addressed_by_name_and_keep_their_order(library: Library) -> None:
    spec = library.load("systems", "rack-a")
    assert list(spec.data["tiers"]) == ["scale-up"]
    assert spec.si("tiers.scale-up.latency") == 2e-6
    assert spec.get("tiers.scale-up.topology") == "switch"


def test_walk_gives_every_value_with_its_path(library: Library) -> None:
    assert {path for path, _ in library.load("systems", "rack-a").walk()} == {
        "accelerators",
        "tiers.scale-up.domain",
        "tiers.scale-up.bandwidth",
        "tiers.scale-up.latency",
    }


def test_a_missing_path_names_file_key_and_nearest(library: Library) -> None:
    spec = library.load("systems", "rack-a")
    assert spec.si("power.total", default=7.0) == 7.0
    assert spec.si("power.total", default=None) is None
    assert spec.has("accelerators")
    assert not spec.has("power.total")
    message = r"rack-a\.toml: tiers\.scale-up\.bandwith: is missing, .*did you mean 'tiers\.scale-up\.bandwidth'"
    with pytest.raises(SpecError, match=message):
        spec.si("tiers.scale-up.bandwith")
    with pytest.raises(SpecError, match=r"vendor: is 'acme', expected a value"):
        spec.value("vendor")
    with pytest.raises(SpecError, match=r"vendor: is 'acme', expected a number"):
        spec.si("vendor")


@pytest.mark.parametrize(
    "name", ["box-a", "BOX-A", "Box_A", "acme/box-a", "BoxA", "boxa", "acme/Box-A-80GB", "box-a-80gb", "other-org/BOXA"]
)
def test_names_resolve(library: Library, name: str) -> None:
    assert library.resolve("accelerators", name) == "box-a"


def test_a_model_of_a_hub_resolves() -> None:
    assert Library().resolve("models", "deepseek-ai/DeepSeek-R1-0528") == "deepseek-r1-0528"


def test_unknown_names_tell_the_nearest(library: Library) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown system 'rack-b'; did you mean 'rack-a'") as error:
        library.load("systems", "rack-b")
    assert error.value.exit_code == 2
    with pytest.raises(UnknownNameError, match=r"unknown kind 'system'; did you mean 'systems'"):
        library.load("system", "rack-a")


def test_abstract_specs_are_not_listed(library: Library) -> None:
    assert "engine-1" in library.ids("stacks")
    assert "generic-test" not in library.ids("stacks")
    assert "generic-test" in library.ids("stacks", abstract=True)


def test_the_bibliography_is_read_only_when_asked_for(write: Write) -> None:
    folder = write(sources="broken = [")
    library = Library([folder])
    assert library.load("systems", "rack-a").id == "rack-a"
    with pytest.raises(SpecError, match=r"sources\.toml: not valid TOML"):
        library.sources()


def test_loading_a_scenario_is_quick() -> None:
    library = Library()
    names = {kind: library.ids(kind)[0] for kind in schema.KINDS if library.ids(kind)}
    start = time.process_time()
    for kind, name in names.items():
        library.load(kind, name)
    assert time.process_time() - start < 0.1  # 15 ms on a quiet machine


# Folders


def test_folders_win_over_the_environment_and_that_over_the_built_in(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = write()
    second = tmp_path / "second"
    (second / "sites").mkdir(parents=True)
    (second / "sites" / "here-1.5.toml").write_text(SITE.replace("0.1", "0.2"), encoding="utf-8")
    monkeypatch.setenv("AICOMPUTE_SPECS", f"{first}{os.pathsep}")
    assert Library().load("sites", "here-1.5").si("electricity.price") == pytest.approx(0.1 / 3.6e6)
    assert Library([second]).load("sites", "here-1.5").si("electricity.price") == pytest.approx(0.2 / 3.6e6)
    assert set(Library().ids("sites")) > {"here-1.5"}


def test_a_file_may_extend_the_one_of_its_own_id_in_an_earlier_folder(write: Write, tmp_path: Path) -> None:
    first, second = write(), tmp_path / "mine"
    (second / "systems").mkdir(parents=True)
    text = 'name = "Mine"\nextends = "rack-a"\naccelerators = { value = 8, unit = "accelerator", kind = "derived", source = "s" }\n'
    (second / "systems" / "rack-a.toml").write_text(text, encoding="utf-8")
    spec = Library([first, second]).load("systems", "rack-a")
    assert (spec.name, spec.si("accelerators"), spec.si("tiers.scale-up.domain")) == ("Mine", 8.0, 32.0)
    check_all([second, first])


@pytest.mark.parametrize(("make", "message"), [("absent", "does not exist"), ("file", "is a file"), ("empty", "has none of the folders")])
def test_a_folder_that_holds_no_specs_is_refused(tmp_path: Path, make: str, message: str) -> None:
    path = tmp_path / make
    if make == "file":
        path.write_text("", encoding="utf-8")
    elif make == "empty":
        path.mkdir()
    with pytest.raises(UsageError, match=message):
        Library([path])


# Inheritance


def test_children_override_key_by_key(write: Write) -> None:
    child = 'name = "B"\nextends = "rack-a"\n[[tiers]]\nname = "scale-up"\ntopology = "torus"\n'
    spec = Library([write(systems__rack_b=child)]).load("systems", "rack_b")
    assert spec.get("tiers.scale-up.topology") == "torus"
    assert spec.si("tiers.scale-up.bandwidth") == 200e9
    assert not spec.has("aliases")


def test_a_value_is_replaced_as_a_whole(write: Write) -> None:
    child = 'name = "B"\nextends = "box-a"\npeak.bf16 = { value = 400, unit = "TFLOP/s", kind = "datasheet", source = "s" }\n'
    value = Library([write(accelerators__box_b=child)]).load("accelerators", "box_b").value("peak.bf16")
    assert (value.low, value.high) == (400e12, 400e12)


def test_circles_and_unknown_parents_are_refused(write: Write) -> None:
    a, b = SITE.replace("country", 'extends = "b"\ncountry'), SITE.replace("country", 'extends = "a"\ncountry')
    c = SITE.replace("country", 'extends = "here"\ncountry')
    library = Library([write(sites__a=a, sites__b=b, sites__c=c, sites__d='name="D"\nextends="d"\n')])
    with pytest.raises(SpecError, match=r"extends: goes in a circle: a -> b -> a"):
        library.load("sites", "a")
    with pytest.raises(SpecError, match=r"c\.toml: extends: 'here', which is not among the sites; did you mean 'here-1\.5'"):
        library.load("sites", "c")
    with pytest.raises(SpecError, match=r"d\.toml: extends: itself"):
        library.load("sites", "d")


# Overrides


def test_overrides_become_values_without_range(library: Library) -> None:
    changes = {"rack-a.tiers.scale-up.bandwidth": "1.8 TB/s", "box-a.power.tdp": 600, "here-1.5.electricity.price": "0.2 USD/kWh"}
    changed = library.override(changes)
    value = changed.load("systems", "rack-a").value("tiers.scale-up.bandwidth")
    assert (value.value, value.low, value.high, value.kind, value.source) == (1.8e12, 1.8e12, 1.8e12, "datasheet", "override")
    assert changed.load("accelerators", "box-a").si("power.tdp") == 600.0
    assert changed.load("sites", "here-1.5").si("electricity.price") == pytest.approx(0.2 / 3.6e6)
    assert library.load("systems", "rack-a").si("tiers.scale-up.bandwidth") == 200e9


def test_overrides_add_up_reach_children_and_plain_values(library: Library) -> None:
    changed = library.override({"generic-test.defaults.kv": "fp8"}).override({"BoxA.year": "2026", "stacks/engine-1.reached.dense": "90 %"})
    assert changed.load("accelerators", "box-a").get("year") == 2026
    assert changed.load("stacks", "engine-1").si("reached.dense") == 0.9
    assert changed.load("stacks", "generic-test").get("defaults.kv") == "fp8"


def test_a_key_that_the_schema_knows_may_be_added(library: Library) -> None:
    value = library.override({"rack-a.price.unit": "2e6 USD"}).load("systems", "rack-a").value("price.unit")
    assert (value.value, value.kind) == (2e6, "assumed")


@pytest.mark.parametrize(
    ("address", "given", "error", "message"),
    [
        ("rack-a.tiers.scale-up.bandwith", "1 TB/s", UnknownNameError, "unknown key of rack-a .*did you mean 'tiers.scale-up.bandwidth'"),
        ("rack-a.tiers.scale-out.bandwidth", "1 TB/s", UnknownNameError, "unknown key of rack-a"),
        ("rack-b.accelerators", "8", UnknownNameError, "unknown spec in override 'rack-b'; did you mean 'rack-a'"),
        ("rack-a", "8", UsageError, "expected '<id>.<path>'"),
        ("rack-a.tiers.scale-up", "8", UsageError, "holds several values; name one, such as"),
        ("rack-a.tiers.scale-up.bandwidth", "1 TB", UnitError, "rack-a.tiers.scale-up.bandwidth: '1 TB' is memory .*expected bandwidth"),
        ("rack-a.tiers.scale-up.bandwidth", "3 PB/s", UsageError, "3 PB/s is not plausible, expected 0.1 to 30,000 GB/s"),
        ("rack-a.tiers.scale-up.bandwidth", "-3 GB/s", UsageError, "not plausible"),
        ("rack-a.tiers.scale-up.bandwidth", 0, UsageError, "not plausible"),
        ("rack-a.tiers.scale-up.topology", "swich", UsageError, "expected one of switch, .*did you mean 'switch'"),
        ("box-a.year", "soon", UsageError, "box-a.year: is 'soon', expected a whole number"),
    ],
)
def test_wrong_overrides_are_refused(library: Library, address: str, given: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        library.override({address: given})


# Checks


def test_the_sample_files_have_no_faults(write: Write) -> None:
    assert check_all([write()]) == len(FILES)


def _broken(old: str, new: str, text: str = SYSTEM) -> str:
    assert old in text
    return text.replace(old, new)


FAULTS = [
    (_broken("unit = \"GB/s\"", "unit = \"GB\""), "tiers.scale-up.bandwidth: unit 'GB' is memory (information), expected bandwidth"),
    (_broken("unit = \"GB/s\"", "unit = \"Gb/s\""), "unknown unit 'Gb/s'; did you mean 'Gbit/s' or 'GB/s'?"),
    (_broken("unit = \"GB/s\"", "unit = \"PB/s\""), "value 200 PB/s is not plausible, expected 0.1 to 30,000 GB/s"),
    (_broken("unit = \"GB/s\"", "unit = 3"), "'unit' is 3, expected a string"),
    (_broken("value = 200", "value = -200"), "value -200 GB/s is not plausible"),
    (_broken("value = 200", "value = 0"), "value 0 GB/s is not plausible"),
    (_broken("value = 200", "value = nan"), "'value' is nan, expected a finite number"),
    (_broken("value = 200", "value = inf"), "'value' is inf, expected a finite number"),
    (_broken("value = 200", "value = true"), "'value' is True, expected a finite number"),
    (_broken("value = 200", 'value = "200"'), "'value' is '200', expected a finite number"),
    (_broken("value = 200, ", ""), "tiers.scale-up.bandwidth: no 'value'"),
    (_broken("value = 200", "value = 200, low = 300"), "low 300 <= value 200 <= high 200 does not hold"),
    (_broken("value = 200", "value = 200, lo = 300"), "unknown field 'lo'; did you mean 'low'"),
    (_broken("\"measured\"", "\"messured\""), "'kind' is 'messured', expected one of datasheet, measured, analyst, derived, assumed"),
    (_broken("\"measured\"", "\"messured\""), "did you mean 'measured'"),
    (_broken("\"measured\"", "\"assumed\""), "an assumed value needs 'low' and 'high'"),
    (_broken(', kind = "measured", source = "s"', ', kind = "measured"'), "tiers.scale-up.latency: no 'source'"),
    (_broken(', kind = "measured", source = "s"', ', kind = "measured", source = ""'), "'source' is empty"),
    (_broken('"measured", source = "s"', '"measured", source = "t"'), "tiers.scale-up.latency: unknown source 't'; add it to sources.toml"),
    (_broken("bandwidth =", "bandwith ="), "tiers.scale-up.bandwith: unknown key; did you mean 'tiers.scale-up.bandwidth'"),
    (_broken("bandwidth =", "bandwith ="), "tiers.scale-up.bandwidth: is missing, expected a value in GB/s"),
    (_broken('name = "scale-up"\n', ""), "tiers.0.name: is missing, expected a string"),
    (_broken('"switch"', '"swich"'), "tiers.scale-up.topology: is 'swich', expected one of switch, mesh"),
    (_broken('accelerator = "box-a"', 'accelerator = "box-b"'), "accelerator: no accelerator 'box-b'; did you mean 'box-a'"),
    (_broken('unit = "rack"', 'unit = "rack"\nhome_site = "her"'), "home_site: no site 'her'"),
    (_broken('unit = "rack"', 'unit = "rack"\ndefault_stack.serving = "engine-2"'), "no stack 'engine-2'; did you mean 'engine-1'"),
    (_broken('unit = "rack"', 'unit = "rack"\nyear = "2025"'), "year: is '2025', expected a whole number, 2,010 to 2,040"),
    (_broken('unit = "rack"', 'unit = "rack"\naliases = "r"'), "aliases: is 'r', expected a list of strings"),
    (_broken('name = "Rack A"\n', ""), "name: is missing, expected a string"),
    (_broken("accelerators = {", "accelerators = 16 # {"), "accelerators: is 16, expected a table { value, unit, kind, source }"),
    ("name = 'x'\n[tiers\n", "not valid TOML: Expected ']' at the end of a table declaration (at line 2"),
    ("", "is empty; a spec needs at least a name"),
]


@pytest.mark.parametrize(("text", "message"), FAULTS)
def test_every_fault_names_file_key_and_what_is_allowed(write: Write, text: str, message: str) -> None:
    folder = write(systems__rack_a="name = 'unused'\nabstract = true", **{"systems__rack-a": text})
    with pytest.raises(SpecError) as error:
        check_file(folder / "systems" / "rack-a.toml", [folder])
    assert message in str(error.value)
    assert all(line.startswith(str(folder / "systems" / "rack-a.toml")) for line in str(error.value).splitlines())


def test_all_faults_of_all_files_come_in_one_message(write: Write) -> None:
    broken = SYSTEM.replace("GB/s", "GB").replace('"us"', '"W"')
    folder = write(**{"systems__rack-a": broken, "sites__here-1.5": SITE.replace("country", "land")})
    with pytest.raises(SpecError) as error:
        check_all([folder])
    keys = [line.split(": ")[1] for line in str(error.value).splitlines()]
    assert keys == ["tiers.scale-up.bandwidth", "tiers.scale-up.latency", "land", "country"]


def test_a_stack_may_only_use_what_its_ancestor_defines(write: Write) -> None:
    folder = write(**{"stacks__engine-1": STACK.replace("dense =", "densse =").replace("kv =", "kw =")})
    with pytest.raises(SpecError) as error:
        Library([folder]).load("stacks", "engine-1")
    assert "reached.densse: unknown key; did you mean 'reached.dense'" in str(error.value)
    assert "defaults.kw: unknown key; did you mean 'defaults.kv'" in str(error.value)
    wrong_unit = write(**{"stacks__engine-1": STACK.replace('unit = "1"', 'unit = "us"')})
    with pytest.raises(SpecError, match=r"reached\.dense: unit 'us' is time, expected a pure number"):
        Library([wrong_unit]).load("stacks", "engine-1")


def test_broken_files_cannot_be_loaded_either(write: Write) -> None:
    with pytest.raises(SpecError, match="unit 'GB' is memory"):
        Library([write(**{"systems__rack-a": SYSTEM.replace("GB/s", "GB")})]).load("systems", "rack-a")


def test_a_directory_in_place_of_a_file(write: Write) -> None:
    folder = write()
    (folder / "sites" / "there.toml").mkdir()
    with pytest.raises(SpecError, match=r"there\.toml: is a directory, expected a TOML file"):
        check_all([folder])


def test_files_outside_a_kind_and_broken_bibliographies(write: Write) -> None:
    folder = write(system__x=SITE, sources="a = 3\n[b]\nurl = 'u'\n[v1.2]\ntitle = 't'\n")
    with pytest.raises(SpecError, match=r"lies in folder 'system'; expected one of .*did you mean 'systems'"):
        check_file(folder / "system" / "x.toml")
    with pytest.raises(SpecError) as error:
        check_file(folder / "sources.toml")
    assert "a: is 3, expected a table with a title" in str(error.value)
    assert "b: no 'title'" in str(error.value)
    assert "v1: no 'title'; quote a key that contains dots" in str(error.value)


def test_built_in_specs_have_no_faults() -> None:
    assert check_all() == sum(1 for _ in built_in().glob("*/*.toml")) + 1


# Schema and differences


@pytest.mark.parametrize("kind", schema.KINDS)
def test_the_schema_has_units_ranges_and_docs(kind: str) -> None:
    for key in schema.keys(kind).values():
        assert key.doc.endswith("."), key.path
        if key.type == "value":
            low, high = schema.bounds(key)
            assert low < high, key.path
            assert key.dimension, key.path
        assert schema.allowed(key)
    text = schema.markdown(kind)
    assert text.count("\n") == len(schema.keys(kind)) + 2
    json.dumps(schema.json_schema(kind), allow_nan=False)


def test_json_schema_knows_tiers_and_required_names() -> None:
    found = schema.json_schema("systems")
    assert found["properties"]["tiers"]["items"]["properties"]["domain"]["$ref"] == "#/$defs/value"
    assert found["required"] == ["name"]
    assert found["properties"]["cooling"]["enum"] == ["air", "liquid"]


def test_differences_are_of_content_not_of_origin(library: Library) -> None:
    a = library.load("systems", "rack-a")
    b = library.override({"rack-a.tiers.scale-up.bandwidth": "400 GB/s", "rack-a.price.unit": "1e6 USD"}).load("systems", "rack-a")
    found = {item.path: item for item in diff(a, b)}
    assert set(found) == {"tiers.scale-up.bandwidth", "price.unit"}
    assert found["tiers.scale-up.bandwidth"].ratio == 2.0
    assert found["price.unit"].ratio is None
    assert diff(a, a) == []
    with pytest.raises(UsageError, match="both must be of one kind"):
        diff(a, library.load("sites", "here-1.5"))
