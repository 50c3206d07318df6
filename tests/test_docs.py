"""The documentation is current, its links lead somewhere, and what it tells people to type works."""

from __future__ import annotations

import ast
import doctest
import importlib.util
import re
import shlex
from pathlib import Path
from types import ModuleType

import click
import pytest
from click.testing import CliRunner

import aicompute
from aicompute import cli

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    [*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", ROOT / "benchmarks/README.md"]
)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


generate = load(ROOT / "docs" / "generate.py")


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(page: Path, language: str) -> list[str]:
    return [body for word, body in FENCE.findall(text(page)) if word == language]


def typed(page: Path) -> list[list[str]]:
    """Lines of shell blocks that run aicompute, without what follows a #."""
    lines = [line.replace(".venv/bin/", "") for block in blocks(page, "sh") for line in block.replace("\\\n", " ").splitlines()]
    commands = [command for line in lines for command in line.split("&&")]
    return [shlex.split(command, comments=True)[1:] for command in commands if command.strip().startswith("aicompute ")]


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that CONTRIBUTING writes, named in their first lines."""
    for body in blocks(ROOT / "CONTRIBUTING.md", "toml"):
        path = tmp_path / body.splitlines()[0].removeprefix("# ")
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(body)
    monkeypatch.chdir(tmp_path)
    return tmp_path


# Current


@pytest.mark.parametrize("page", sorted((ROOT / "docs").rglob("*.md")), ids=lambda page: page.name)
def test_generated_parts_are_current(page: Path) -> None:
    assert generate.renewed(text(page), generate.PARTS) == text(page), "run: python docs/generate.py"


def test_every_generated_part_stands_in_a_page() -> None:
    marks = {name for page in PAGES for _, name, _ in generate.BLOCK.findall(text(page))}
    assert marks == {*generate.PARTS, *generate.SLOW}


def test_every_public_name_has_a_section() -> None:
    heads = set(re.findall(r"^### (\w+)$", text(ROOT / "docs/api.md"), re.MULTILINE))
    named = {name for name in aicompute.__all__ if not name.startswith("_")} - {"AicomputeError", "plot"}
    assert named <= heads
    assert "| `AicomputeError` |" in text(ROOT / "docs/api.md")


def test_every_public_formula_has_a_row_with_a_summary() -> None:
    rows = dict(re.findall(r"^\| \*\*`(\w+)`\*\* (.*?) \|", text(ROOT / "docs/formulas.md"), re.MULTILINE))
    for path in generate.modules():
        for formula in generate.formulas_of(path)[1]:
            assert rows.get(formula.name), f"{path.stem}.{formula.name}"


def test_notes_are_split_into_equation_and_prose() -> None:
    notes = "With n of them,\n\n.. math:: a = b |c|\n          < d\n\nholds for n > 1. Error 5 %.\n\n.. math:: e\n"
    equation, prose = generate.split_notes(notes)
    assert equation == r"a = b \vert c\vert \lt d"
    assert prose == "With n of them, (equation) holds for n > 1. Error 5 %. :math:`e`"


def test_every_equation_can_be_shown() -> None:
    convert = pytest.importorskip("latex2mathml.converter").convert
    equations = load(ROOT / "docs" / "equations.py")
    for page in PAGES:
        for found in re.findall(r"\$\$?([^$\n]+)\$\$?", FENCE.sub("", text(page))):
            assert "<math" in convert(found), f"{page.name}: {found}"
    made = equations.on_page_content(r'<p><span class="arithmatex">\(a &lt; b\)</span></p>')
    assert made.startswith("<p><math")
    assert "<mo>&#x0003C;</mo>" in made


# Links


def slugs(page: Path) -> set[str]:
    """Anchors of the headings of a page, as mkdocs and GitHub make them."""
    heads = re.findall(r"^#+ (.+)$", FENCE.sub("", text(page)), re.MULTILINE)
    return {re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", head.lower()).strip()) for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    bare = re.sub(r"`[^`\n]*`", "", FENCE.sub("", text(page)))
    for target in re.findall(r"\]\(([^)\s]+)\)", bare):
        if re.match(r"https?://", target):
            continue
        file, _, anchor = target.partition("#")
        goal = (page.parent / file).resolve() if file else page
        assert goal.exists(), f"{page.name}: {target}"
        assert not anchor or anchor in slugs(goal), f"{page.name}: {target}"


def test_every_page_is_in_the_navigation() -> None:
    listed = set(re.findall(r"[-:] (\S+\.md)$", text(ROOT / "mkdocs.yml"), re.MULTILINE))
    assert listed == {str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")}


# Commands


def test_every_command_and_option_is_documented() -> None:
    page = text(ROOT / "docs/cli.md")
    named = {name for name, _ in generate.commands()}
    assert {name.split()[0] for name in named} == set(cli.COMMANDS)
    for name, command in generate.commands():
        section = page.partition(f"## aicompute {name}\n")[2].partition("\n## ")[0]
        assert section, name
        for option in (p for p in command.params if isinstance(p, click.Option) and not p.hidden):
            assert all(f"`{word}`" in section for word in option.opts), f"{name} {option.opts}"


def test_the_front_page_names_every_command() -> None:
    rows = re.findall(r"^\| (`.*?`) \|", text(ROOT / "README.md"), re.MULTILINE)
    assert sorted(name for row in rows for name in re.findall(r"`(\w+)`", row)) == sorted(cli.COMMANDS)


def commands_in_pages() -> list[tuple[str, list[str]]]:
    """Commands as typed, each once in a page."""
    return [(page.name, list(words)) for page in PAGES for words in dict.fromkeys(map(tuple, typed(page)))]


@pytest.mark.parametrize(("page", "arguments"), commands_in_pages(), ids=lambda part: part if isinstance(part, str) else " ".join(part))
def test_what_pages_say_to_type_is_understood(page: str, arguments: list[str], example: Path) -> None:
    context, command, rest = click.Context(cli.cli), cli.cli, arguments
    while isinstance(command, click.Group):
        name, found, rest = command.resolve_command(context, rest)
        assert found is not None
        command = found
        if not isinstance(command, click.Group):
            command.make_context(name, list(rest), parent=context)  # refuses unknown options and missing arguments
        assert page


@pytest.mark.parametrize("arguments", typed(ROOT / "CONTRIBUTING.md"), ids=" ".join)
def test_the_example_of_contributing_runs(arguments: list[str], example: Path) -> None:
    done = CliRunner().invoke(cli.cli, arguments)
    assert done.exit_code == 0, done.output
    assert done.output.strip()


# Python


def python_pages() -> list[Path]:
    """Pages with Python code; that of a page a question runs where its answer is made."""
    return [page for page in PAGES if blocks(page, "python") and page not in generate.QUESTIONS]


@pytest.mark.parametrize("page", python_pages(), ids=lambda page: page.name)
def test_python_of_pages_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Later blocks of a page go on from earlier ones; results said behind code, such as ``# 'over'``, are true."""
    for call, module in (("to_pandas", "pandas"), ("to_xarray", "xarray")):
        if any(call in body for body in blocks(page, "python")):
            pytest.importorskip(module)
    monkeypatch.chdir(tmp_path)
    for name, rows in files_of(page):
        (tmp_path / name).write_text(rows, encoding="utf-8")
    names: dict[str, object] = {}
    for body in blocks(page, "python"):
        for node in ast.parse(body).body:
            wanted = body.splitlines()[node.end_lineno - 1].partition("  # ")[2]
            if isinstance(node, ast.Expr) and re.match(r"['\"\d\[(]", wanted):
                assert repr(eval(ast.unparse(node), names)) == wanted, f"{page.name}: {ast.unparse(node)}"
            else:
                exec(compile(ast.Module([node], []), str(page), "exec"), names)


def files_of(page: Path) -> list[tuple[str, str]]:
    """Measurements that a page writes down, as the files that its code reads."""
    return [("mine.csv", body) for body in blocks(page, "csv")]


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "api.md" and blocks(page, "pycon")], ids=lambda page: page.name)
def test_prompts_of_pages_answer_as_shown(page: Path) -> None:
    for body in blocks(page, "pycon"):
        examples = doctest.DocTestParser().get_doctest(body, {}, page.name, str(page), 0)
        assert doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(examples).failed == 0
