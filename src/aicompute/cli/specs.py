"""``aicompute specs``: list, show, check, describe, compare and import spec files."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aicompute.cli.completion import ids, words
from aicompute.cli.options import common_options
from aicompute.errors import SpecError, UnknownNameError, UsageError

if TYPE_CHECKING:
    from aicompute.specs import Library, Spec

KINDS = ("accelerators", "systems", "models", "stacks", "sites", "rules", "suppliers")
ANY = ids(*KINDS)


@click.group("specs", short_help="List, show, check, compare and import spec files")
def command() -> None:
    """List, show, check, compare and import spec files."""


@command.command("list")
@click.argument("kind", required=False, shell_complete=words(*KINDS))
@common_options
def list_command(kind: str | None, format: str, library: Library) -> None:
    """List the ids of every KIND, or of one: accelerators, systems, models, stacks, sites, rules, suppliers."""
    from aicompute.report.text import render

    rows = [[each, spec.id, spec.name, ", ".join(spec.get("aliases", []))] for each in _kinds(kind) for spec in _all(library, each)]
    click.echo(render(["kind", "id", "name", "aliases"], rows, format))


@command.command("show")
@click.argument("name", metavar="ID", shell_complete=ANY)
@common_options
def show_command(name: str, format: str, library: Library) -> None:
    """Show every value of ID (or KIND/ID) with its range, kind and source."""
    from aicompute.report.text import render

    spec = _find(library, name)
    if format == "json":
        click.echo(json.dumps(_record(library, spec), indent=2, ensure_ascii=False))
        return
    if format == "table":
        _print_sheet(library, spec)
        return
    rows = [_row(library, path, leaf) for path, leaf in spec.leaves()]
    click.echo(render(["key", "value", "range", "kind", "source"], rows, format))


@command.command("check")
@click.argument("paths", nargs=-1, type=click.Path(exists=True))
def check_command(paths: Sequence[str]) -> None:
    """Check spec files, or folders of them; with no PATH the built-in ones."""
    from aicompute.specs.check import check_all, faults_of_file

    folders = [path for path in paths if Path(path).is_dir()]
    files = [Path(path) for path in paths if not Path(path).is_dir()]
    faults = [fault for path in files for fault in faults_of_file(path.absolute(), folders)]
    count = len(files)
    if folders or not files:
        try:
            count += check_all(folders)
        except SpecError as error:
            faults += str(error).splitlines()
    if faults:
        raise SpecError("\n".join([f"{len(faults)} fault{'s' if len(faults) > 1 else ''}", *faults]))
    click.echo(f"{count} file{'s' if count != 1 else ''} checked, no faults")


@command.command("schema")
@click.argument("kind", required=False, shell_complete=words(*KINDS))
def schema_command(kind: str | None) -> None:
    """Print the JSON Schema of KIND, or of every kind in one object."""
    from aicompute.specs import schema

    found: dict[str, Any] = {each: schema.json_schema(each) for each in _kinds(kind)}
    click.echo(json.dumps(next(iter(found.values())) if kind else found, indent=2, ensure_ascii=False))


@command.command("diff")
@click.argument("a", shell_complete=ANY)
@click.argument("b", shell_complete=ANY)
@common_options
def diff_command(a: str, b: str, format: str, library: Library) -> None:
    """Show the keys in which A and B (ids of one kind) differ."""
    from aicompute.report.text import render
    from aicompute.specs.diff import diff

    first = _find(library, a)
    second = _find(library, b, prefer=first.kind)
    rows = [[item.path, _leaf_text(item.a), _leaf_text(item.b), item.ratio] for item in diff(first, second)]
    if not rows and format == "table":
        click.echo(f"{first.id} and {second.id} do not differ")
        return
    click.echo(render(["key", first.id, second.id, "b / a"], rows, format))


@command.command("import")
@click.argument("format", metavar="FORMAT", type=click.Choice(["hf", "calculon-system", "calculon-model", "llm-analysis-gpu"]))
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="A .toml file, or a specs folder that then works with --specs.")
def import_command(format: str, file: Path, output: Path | None) -> None:
    """Turn a FILE of another program into spec files.

    FORMAT is hf (config.json of Hugging Face), calculon-system, calculon-model or llm-analysis-gpu. With no output it is printed.
    """
    texts, source = IMPORTERS[format](file)
    if output is None:
        click.echo("\n".join(f"# {name}\n{text}" if len(texts) > 1 else text for name, text in texts.items()), nl=False)
    elif output.suffix == ".toml":
        if len(texts) > 1:
            raise UsageError(f"--output {str(output)!r} is one file, but {format} makes {len(texts)}: {', '.join(texts)}; give a folder")
        _write(output, next(iter(texts.values())))
    else:
        for name, text in texts.items():
            _write(output / name, text)
        _add_source(output / "sources.toml", source, file)


def _import_hf(file: Path) -> tuple[dict[str, str], tuple[str, str]]:
    from aicompute.specs.importers.hf import SOURCE, import_hf

    return {f"models/{_stem(file)}.toml": import_hf(file)}, (SOURCE, "config.json of Hugging Face")


def _import_calculon_system(file: Path) -> tuple[dict[str, str], tuple[str, str]]:
    from aicompute.specs.importers.calculon import SOURCE, import_system

    return import_system(file), (SOURCE, "File of Calculon")


def _import_calculon_model(file: Path) -> tuple[dict[str, str], tuple[str, str]]:
    from aicompute.specs.importers.calculon import SOURCE, import_model

    return {f"models/{_stem(file)}.toml": import_model(file)}, (SOURCE, "File of Calculon")


def _import_llm_analysis(file: Path) -> tuple[dict[str, str], tuple[str, str]]:
    from aicompute.specs.importers.llm_analysis import SOURCE, import_gpu

    return {f"accelerators/{_stem(file)}.toml": import_gpu(file)}, (SOURCE, "GPU file of llm-analysis")


IMPORTERS: dict[str, Callable[[Path], tuple[dict[str, str], tuple[str, str]]]] = {
    "hf": _import_hf,
    "calculon-system": _import_calculon_system,
    "calculon-model": _import_calculon_model,
    "llm-analysis-gpu": _import_llm_analysis,
}


def _stem(file: Path) -> str:
    """An id from a file name; ``config.json`` says nothing, so its folder names the model."""
    stem = file.resolve().parent.name if file.stem == "config" else file.stem
    return stem.lower().replace("_", "-").replace(" ", "-")


def _write(path: Path, text: str) -> None:
    """Write a file where there is none."""
    if path.exists():
        raise UsageError(f"{path} exists; remove it or choose another --output")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from None
    click.echo(f"wrote {path}", err=True)


def _add_source(path: Path, source: tuple[str, str], file: Path) -> None:
    """Add the source of an import to the bibliography of its folder."""
    from aicompute.specs.files import read
    from aicompute.specs.importers.toml import write

    key, title = source
    if path.exists() and key in read(path):
        return
    entry = write({key: {"title": title, "where": file.name}}).lstrip("\n")
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    path.write_text(f"{old}\n{entry}" if old else entry, encoding="utf-8")


def _kinds(kind: str | None) -> Sequence[str]:
    """One kind, its singular allowed, or all."""
    if kind is None:
        return KINDS
    if kind not in KINDS and f"{kind}s" not in KINDS:
        raise UnknownNameError("kind", kind, KINDS)
    return (kind if kind in KINDS else f"{kind}s",)


def _all(library: Library, kind: str) -> list[Spec]:
    """Every spec of a kind that is not abstract; one broken file must not hide the others."""
    found = []
    for identifier in library.ids(kind):
        try:
            found.append(library.load(kind, identifier))
        except SpecError as error:
            click.echo(f"left out {kind}/{identifier}: {error}", err=True)
    return found


def _find(library: Library, name: str, prefer: str = "") -> Spec:
    """The spec of an id or alias of any kind, or of ``kind/id``."""
    kind, slash, rest = name.partition("/")
    if slash and kind in KINDS:
        return library.load(kind, rest)
    order = [prefer, *(each for each in KINDS if each != prefer)] if prefer else list(KINDS)
    for each in order:
        if name in library.ids(each, abstract=True):
            return library.load(each, name)
    for each in order:
        try:
            return library.load(each, library.resolve(each, name))
        except UnknownNameError:
            continue
    raise UnknownNameError("spec", name, [identifier for each in KINDS for identifier in library.ids(each)])


def _row(library: Library, path: str, leaf: Any) -> list[str]:
    """A leaf with everything known of it."""
    from aicompute.specs import Value

    if not isinstance(leaf, Value):
        return [path, _leaf_text(leaf), "", "", ""]
    value, low, high = leaf.written
    spread = f"{_number(low)} to {_number(high)}" if (low, high) != (value, value) else ""
    return [path, _leaf_text(leaf), spread, leaf.kind, str(library.sources().get(leaf.source, {}).get("title", leaf.source))]


def _print_sheet(library: Library, spec: Spec) -> None:
    """Print the rows of a spec under the names of their tables, with sources as numbered notes so that 80 columns suffice."""
    from textwrap import fill

    from aicompute.report.text import WIDTH, render

    titles: list[str] = []
    rows: list[list[str]] = []
    group = ""
    for path, *cells, title in (_row(library, path, leaf) for path, leaf in spec.leaves()):
        above, _, last = path.rpartition(".")
        if above and above != group:
            rows.append([above, "", "", "", ""])
        group = above
        if title and title not in titles:
            titles.append(title)
        rows.append([f"{'  ' if above else ''}{last}", *cells, f"[{titles.index(title) + 1}]" if title else ""])
    click.echo(f"{spec.name} ({spec.kind}/{spec.id})\n")
    click.echo(render(["key", "value", "range", "kind", "source"], rows) + "\n")
    for number, title in enumerate(titles, 1):
        click.echo(fill(f"[{number}] {title}", WIDTH, subsequent_indent="    "))


def _leaf_text(leaf: Any) -> str:
    """A leaf on one line."""
    from aicompute.specs import Value

    if isinstance(leaf, Value):
        return f"{_number(leaf.written[0])}{'' if leaf.unit == '1' else f' {leaf.unit}'}"
    if isinstance(leaf, bool):
        return "true" if leaf else "false"
    return ", ".join(leaf) if isinstance(leaf, list) else "" if leaf is None else str(leaf)


def _number(value: float) -> str:
    """A number of a file with the digits it was written with, more or less."""
    return f"{value:.10g}"


def _record(library: Library, spec: Spec) -> dict[str, Any]:
    """A spec as JSON."""
    from aicompute.specs import Value

    values: dict[str, Any] = {}
    for path, leaf in spec.leaves():
        if isinstance(leaf, Value):
            value, low, high = leaf.written
            title = library.sources().get(leaf.source, {}).get("title")
            values[path] = {"value": value, "low": low, "high": high, "unit": leaf.unit, "si": leaf.value}
            values[path].update({"kind": leaf.kind, "source": leaf.source})
            values[path].update({key: text for key, text in (("title", title), ("note", leaf.note)) if text})
        else:
            values[path] = leaf
    return {"kind": spec.kind, "id": spec.id, "path": str(spec.path), "values": values}
