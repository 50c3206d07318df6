"""The reference of the Python interface, from docstrings: public functions, what they answer with, errors."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import textwrap
from collections.abc import Iterator
from typing import Any

from docstrings import plain, sections

KINDS = (("What work", ("training", "prefill", "decode", "serving")), ("Errors", ("AicomputeError",)), ("Specs", ("Library",)))
"""Sections after that of the questions, with their names."""
RECORDS = ("Metric", "Ratio", "Estimate", "Comparison", "Spec")
"""Records that answers are made of."""
LONGEST = 100
"""Characters of a signature on one line."""
PARAMETER = re.compile(r"^(?P<names>[*\w, ]*\w)(?: : (?P<kind>.*?))?(?:\s{2,}(?P<text>\S.*))?$")


def reference() -> str:
    """Everything that ``import aicompute`` gives, and the classes of its answers."""
    import aicompute

    apart = {name for _, names in KINDS for name in names}
    questions = [name for name in aicompute.__all__ if name not in apart and not name.startswith("_") and name != "plot"]
    text = ["## Questions", "", *(function_text(name, getattr(aicompute, name)) for name in questions)]
    figures = [name for name in aicompute.plot.__all__]
    text += ["## Figures", "", *(function_text(f"plot.{name}", getattr(aicompute.plot, name)) for name in figures)]
    for title, names in KINDS:
        text += [f"## {title}", ""]
        for name in names:
            item = getattr(aicompute, name)
            text.append(errors_text() if title == "Errors" else class_text(item) if inspect.isclass(item) else function_text(name, item))
    text += ["## Answers", "", *map(class_text, answers([getattr(aicompute, name) for name in questions]))]
    text += ["## Records", "", *map(class_text, records())]
    return "\n".join(text)


# Functions


def node_of(item: Any) -> Any:
    """The syntax tree of a function or class."""
    return ast.parse(textwrap.dedent(inspect.getsource(item))).body[0]


def signature(name: str, node: ast.FunctionDef, method: bool = False) -> str:
    """A call with its arguments and defaults, types left to the table; one an argument where that is long."""
    a = node.args
    plain_ones = [*a.posonlyargs, *a.args]
    defaults = [None] * (len(plain_ones) - len(a.defaults)) + list(a.defaults)
    words = [with_default(one, default) for one, default in zip(plain_ones, defaults, strict=True)][1 if method else 0 :]
    if a.vararg or a.kwonlyargs:
        words.append(f"*{a.vararg.arg}" if a.vararg else "*")
    words += [with_default(one, default) for one, default in zip(a.kwonlyargs, a.kw_defaults, strict=True)]
    words += [f"**{a.kwarg.arg}"] if a.kwarg else []
    line = f"{name}({', '.join(words)})"
    if len(line) <= LONGEST or method:
        return line
    whole = ", ".join(word.replace(" ", "\0") for word in words)
    inside = textwrap.fill(whole, LONGEST, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False, break_long_words=False)
    return f"{name}(\n{inside},\n)".replace("\0", " ")


def with_default(one: ast.arg, default: ast.expr | None) -> str:
    """An argument as it stands in a call."""
    return one.arg if default is None else f"{one.arg}={ast.unparse(default)}"


def function_text(name: str, function: Any) -> str:
    """A section for a public function."""
    parts = sections(inspect.getdoc(function) or "")
    text = [f"### {name}", "", "```py", f"ac.{signature(name, node_of(function))}", "```", "", prose(parts[""]), ""]
    text += parameter_table(parameters_of(parts))
    for title in ("Returns", "Raises", "Notes"):
        if title in parts:
            text += [f"**{title}.** {prose(definitions(parts[title]))}", ""]
    return "\n".join([*text, *example(parts)])


def parameters_of(parts: dict[str, str]) -> str:
    """The section on parameters, or that of the function whose arguments they are."""
    elsewhere = re.search(r"arguments as of `([\w.]+)\.(\w+)`", parts[""])
    if "Parameters" in parts or not elsewhere or not elsewhere[1].startswith("aicompute."):
        return parts.get("Parameters", "")
    other = getattr(importlib.import_module(elsewhere[1]), elsewhere[2])
    return sections(inspect.getdoc(other) or "").get("Parameters", "")


def parameter_table(text: str) -> list[str]:
    """Parameters with what they may be."""
    rows: list[list[str]] = []
    for line in text.splitlines():
        found = None if line.startswith(" ") else PARAMETER.match(line.rstrip())
        if found:
            rows.append([found["names"], found["kind"] or "", found["text"] or ""])
        elif rows and line.strip():
            rows[-1][2] += f" {line.strip()}"
    if not rows:
        return []
    cells = []
    for names, kind, said in rows:
        each = ", ".join(f"`{name.strip()}`" for name in names.split(","))
        cells.append(f"| {each} | {plain(kind)} | {plain(said.strip())} |")
    return ["| argument | takes | what |", "|---|---|---|", *cells, ""]


def definitions(text: str) -> str:
    """Names with what is meant below them, as sentences."""
    return re.sub(r"^(\w+)\n((?:    .*\n?)+)", lambda found: f"`{found[1]}`: {' '.join(found[2].split())}\n", text, flags=re.MULTILINE)


def prose(text: str) -> str:
    """Paragraphs, wrapped by whoever shows them."""
    return "\n\n".join(plain(" ".join(paragraph.split())) for paragraph in text.split("\n\n"))


def example(parts: dict[str, str]) -> list[str]:
    """The doctest of a docstring, which the tests run."""
    said = parts.get("Examples", "")
    return ["```pycon", said, "```", ""] if said else []


# Classes


def answers(functions: list[Any]) -> Iterator[type]:
    """The classes that functions say they return, in order."""
    report = importlib.import_module("aicompute.report")
    named = [name for function in functions for name in re.findall(r"\w+", str(inspect.signature(function).return_annotation))]
    homes = {}
    for module in pkgutil.iter_modules(report.__path__, "aicompute.report."):
        loaded = importlib.import_module(module.name)
        homes.update({name: item for name, item in vars(loaded).items() if inspect.isclass(item) and item.__module__ == module.name})
    for name in dict.fromkeys(named):
        if name in homes:
            yield homes[name]


def records() -> Iterator[type]:
    """Records that stand in answers."""
    from aicompute import specs
    from aicompute.estimate import result

    for name in RECORDS:
        yield getattr(result, name, None) or getattr(specs, name)


def class_text(item: type) -> str:
    """A section for a class: its fields, properties and methods, inherited ones too."""
    parts = sections(inspect.getdoc(item) or "")
    text = [f"### {item.__name__}", "", prose(parts[""]), ""]
    rows: dict[str, str] = {}
    for base in item.__mro__:
        if base.__module__.startswith("aicompute."):
            for name, row in members(base):
                rows.setdefault(name, row)
    if rows:
        text += ["| has | what |", "|---|---|", *rows.values(), ""]
    return "\n".join([*text, *example(parts)])


def members(item: type) -> Iterator[tuple[str, str]]:
    """Fields, properties and methods that a class adds, with what they are."""
    body = node_of(item).body
    for node, below in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and not node.target.id.startswith("_"):
            said = below.value.value if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) else ""
            yield node.target.id, f"| `{node.target.id}` | {plain(ast.unparse(node.annotation))}{'. ' if said else ''}{prose(str(said))} |"
        elif isinstance(node, ast.FunctionDef) and (not node.name.startswith("_") or node.name == "__getitem__"):
            words = {ast.unparse(each) for each in node.decorator_list}
            if words & {"property", "cached_property"}:
                shown = node.name
            elif node.name == "__getitem__":
                shown = f"[{', '.join(one.arg for one in node.args.args[1:])}]"
            else:
                shown = signature(node.name, node, method="staticmethod" not in words)
            yield node.name, f"| `{shown}` | {prose(sections(ast.get_docstring(node) or '')[''])} |".replace("\n\n", " ")


# Errors


def errors_text() -> str:
    """Every error with what the command line exits with."""
    from aicompute import errors

    base = errors.AicomputeError
    found = [item for item in vars(errors).values() if inspect.isclass(item) and issubclass(item, base)]
    rows = [f"| `{e.__name__}` | {e.__mro__[1].__name__} | {e.exit_code} | {prose(sections(inspect.getdoc(e) or '')[''])} |" for e in found]
    return "\n".join(["All of `aicompute.errors`.", "", "| error | is a | exit code | when |", "|---|---|---|---|", *rows, ""])
