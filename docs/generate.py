"""Write the parts of the documentation that follow from code and specs: between ``<!-- generated: NAME -->`` and ``<!-- end -->``.

`python docs/generate.py` rewrites them, `--check` only tells which are not current, `--evidence` also renews tables and pictures of errors,
`--heldout all` first fits without some of the rows.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import inspect
import os
import re
import shlex
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import click

DOCS = Path(__file__).parent
ROOT = DOCS.parent
sys.path.append(str(DOCS))

import accuracy  # noqa: E402
import heldout  # noqa: E402
import reference  # noqa: E402
from docstrings import latex, plain, sections  # noqa: E402

SOURCE = ROOT / "src" / "aicompute"
ROOMS = ("workload", "machine", "plan", "economics", "policy")
KINDS = ("accelerators", "systems", "models", "stacks", "sites", "rules", "suppliers")
LONGEST_EQUATION = 200
BLOCK = re.compile(r"(<!-- generated: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


# Formulas, from their docstrings


class Formula(NamedTuple):
    """A public function as its docstring tells it."""

    name: str
    equation: str
    line: str
    holds: str
    error: str
    source: str


def split_notes(text: str) -> tuple[str, str]:
    """The first displayed equation of some notes, and everything else as one line, where further equations stand in the text."""
    equations: list[str] = []
    prose: list[str] = []
    inside = False
    for line in without_tables(text).splitlines():
        if line.startswith(".. math::"):
            inside = True
            equations.append(line.removeprefix(".. math::").strip())
            prose.append("(equation)" if len(equations) == 1 else f"\0{len(equations) - 1}\0")
        elif inside and line.startswith("  "):
            equations[-1] += " " + line.strip()
        else:
            inside = inside and not line
            prose.append(line)
    said = " ".join(" ".join(prose).split()).removeprefix("(equation)").strip()
    said = re.sub("\0(\\d+)\0", lambda found: f":math:`{equations[int(found[1])]}`", said)
    return latex(equations[0]) if equations else "", said


def without_tables(text: str) -> str:
    """Notes without tables of reStructuredText, which no cell can hold."""
    return re.sub(r"^=+ .*^=+ [= ]+$", "(A table is in the docstring.)", text, flags=re.MULTILINE | re.DOTALL)


def sentences(text: str) -> list[str]:
    """Split prose after full stops that end a sentence."""
    return [part for part in re.split(r"(?<=[.;])\s+(?=[A-Z0-9(])", text) if part]


def references(text: str) -> str:
    """References as one line."""
    items = re.split(r"^\.\. \[\d+\] ", text, flags=re.MULTILINE)
    return "; ".join(" ".join(item.split()).rstrip(".") for item in items if item.strip())


def formula(node: ast.FunctionDef) -> Formula:
    """What the docstring of a function says."""
    parts = sections(ast.get_docstring(node) or "")
    equation, prose = split_notes(parts.get("Notes", ""))
    said = sentences(prose)
    errors = [s for s in said if "%" in s or "error" in s.lower()]
    holds = [s for s in said if s not in errors]
    line = " ".join(parts[""].split("\n\n")[0].split())
    told = map(plain, (line, " ".join(holds), " ".join(errors), references(parts.get("References", ""))))
    return Formula(node.name, equation, *told)


def formulas_of(path: Path) -> tuple[str, list[Formula]]:
    """The subject of a module and its public functions, in order."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    public = [node for node in tree.body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")]
    return (ast.get_docstring(tree) or "").split("\n\n")[0].replace("\n", " "), [formula(node) for node in public]


def modules() -> Iterator[Path]:
    """Modules of the rooms that hold formulas."""
    for room in ROOMS:
        yield from sorted(path for path in (SOURCE / room).glob("*.py") if path.stem != "__init__")


def formula_tables() -> str:
    """A table of formulas for each module that has any."""
    text = []
    for path in modules():
        subject, formulas = formulas_of(path)
        if not formulas:
            continue
        text += [f"## {path.parent.name}.{path.stem}", "", plain(subject), ""]
        text += ["| formula | equation | holds, and how | error | source |", "|---|---|---|---|---|"]
        for f in formulas:
            short = len(f.equation) <= LONGEST_EQUATION
            equation = "" if not f.equation else f"${f.equation}$" if short else "in the docstring"
            text.append(f"| **`{f.name}`** {f.line} | {equation} | {f.holds} | {f.error} | {f.source} |")
        text.append("")
    return "\n".join(text)


# Specs and stacks


def schema_table(kind: str) -> str:
    """The keys of a kind of spec that are its own; those of every file stand apart."""
    from aicompute.specs import schema

    lines = schema.markdown(kind).splitlines()
    common = {f"| `{key.path}` " for key in schema.COMMON}
    return "\n".join(line for line in lines if not line.startswith(tuple(common)))


def common_table() -> str:
    """The keys that every spec file may have."""
    from aicompute.specs import schema

    lines = schema.markdown("sites").splitlines()
    return "\n".join([*lines[:2], *(line for line in lines[2:] if line.startswith(tuple(f"| `{key.path}` " for key in schema.COMMON)))])


def unit_words() -> str:
    """What a quantity may be, with its SI unit and an example."""
    from aicompute.units import DIMENSIONS

    rows = [f"| {word.replace('_', ' ')} | {d.units[0]} | `{d.example}` |" for word, d in DIMENSIONS.items()]
    return "\n".join(["| quantity | SI unit | may be written |", "|---|---|---|", *rows])


def leaves(data: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every value table with its path."""
    for key, item in data.items():
        here = f"{path}.{key}" if path else key
        if isinstance(item, dict) and "value" in item:
            yield here, item
        elif isinstance(item, dict):
            yield from leaves(item, here)


def stack_table(identifier: str) -> str:
    """Every value of a generic stack with its meaning."""
    data = tomllib.loads((ROOT / "specs" / "stacks" / f"{identifier}.toml").read_text(encoding="utf-8"))
    text = ["| key | value | range | kind | meaning |", "|---|---|---|---|---|"]
    for path, item in leaves(data):
        unit = "" if item["unit"] == "1" else f" {item['unit']}"
        low, high = item.get("low", item["value"]), item.get("high", item["value"])
        spread = f"{low:g} to {high:g}" if low != high else ""
        text.append(f"| `{path}` | {item['value']:g}{unit} | {spread} | {item['kind']} | {plain(item.get('note', ''))} |")
    habits = ", ".join(f"`{key} = {str(value).lower() or 'none'}`" for key, value in data.get("defaults", {}).items())
    return "\n".join([f"Habits (`[defaults]`): {habits}.", "", *text])


def stack_list() -> str:
    """Every stack with what it changes."""
    text = ["| id | name | kind | accelerators of | its own values |", "|---|---|---|---|---|"]
    for path in sorted((ROOT / "specs" / "stacks").glob("*.toml")):
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        if data.get("abstract"):
            continue
        own = ", ".join(f"`{name}`" for name, _ in leaves(data)) or f"those of `{data['extends']}`"
        kind, vendors = inherited(data, "kind"), ", ".join(inherited(data, "vendors"))
        text.append(f"| `{path.stem}` | {data['name']} | {kind} | {vendors} | {own} |")
    return "\n".join(text)


def inherited(data: dict[str, Any], key: str) -> Any:
    """A key of a stack or of what it extends."""
    while key not in data:
        data = tomllib.loads((ROOT / "specs" / "stacks" / f"{data['extends']}.toml").read_text(encoding="utf-8"))
    return data[key]


def metric_table() -> str:
    """Every metric of an answer."""
    from aicompute.estimate.result import METRICS

    better = {"more": "more", "less": "less", "": "neither"}
    rows = [f"| `{name}` | {title} | {unit} | {better[way]} |" for name, (unit, title, way) in METRICS.items()]
    return "\n".join(["| metric | what | SI unit | better |", "|---|---|---|---|", *rows])


# The command line


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command with its full name, groups before their members."""
    from aicompute.cli import COMMANDS

    for name in COMMANDS:
        try:
            yield from members(name, importlib.import_module(f"aicompute.cli.{name}").command)
        except ModuleNotFoundError as error:
            if error.name != f"aicompute.cli.{name}":
                raise


def members(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    """A command and everything below it."""
    yield name, command
    if isinstance(command, click.Group):
        for each, below in command.commands.items():
            yield from members(f"{name} {each}", below)


def argument_word(argument: click.Argument) -> str:
    """An argument as a usage line shows it."""
    word = argument.metavar or str(argument.name).upper()
    word = f"{word.rstrip('.')}..." if argument.nargs == -1 else word
    return word if argument.required or argument.metavar else f"[{word}]"


def option_row(option: click.Option) -> str:
    """A line of the table of options."""
    if option.is_flag:
        takes = ""
    elif isinstance(option.type, click.Choice):
        takes = ", ".join(str(choice) for choice in option.type.choices)
    else:
        takes = option.metavar or {"text": "TEXT", "integer": "NUMBER", "float": "NUMBER"}.get(option.type.name, option.type.name.upper())
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    default = option.default if option.show_default and isinstance(option.default, (str, int, float)) else ""
    return f"| {names} | {plain(takes)} | {default} | {plain(' '.join((option.help or '').split()))} |"


def command_text(name: str, command: click.Command) -> str:
    """A section for a command."""
    arguments = " ".join(argument_word(p) for p in command.params if isinstance(p, click.Argument))
    options = [p for p in command.params if isinstance(p, click.Option) and not p.hidden]
    rest = "COMMAND ..." if isinstance(command, click.Group) else f"{'[OPTIONS] ' if options else ''}{arguments}"
    text = [
        f"## aicompute {name}",
        "",
        "```",
        f"aicompute {name} {rest}".rstrip(),
        "```",
        "",
        help_text(inspect.cleandoc(command.help or "")),
    ]
    if options:
        text += ["", "| option | takes | default | what |", "|---|---|---|---|", *map(option_row, options)]
    return "\n".join([*text, ""])


def help_text(text: str) -> str:
    """Help as paragraphs; those that must not be wrapped as they are."""
    parts = []
    for paragraph in text.strip().split("\n\n"):
        if paragraph.startswith(("\b", r"\b")):
            parts.append("```\n" + "\n".join(paragraph.splitlines()[1:]) + "\n```")
        else:
            parts.append(plain(" ".join(paragraph.split())))
    return "\n\n".join(parts)


def command_line() -> str:
    """Sections for every command."""
    return "\n".join(command_text(name, command) for name, command in commands())


# The front page


def output_of(*command: str) -> str:
    """What a Python command prints, at 80 columns."""
    environment = {**os.environ, "COLUMNS": "80"}
    return subprocess.run([sys.executable, *command], capture_output=True, text=True, check=True, cwd=ROOT, env=environment).stdout


def verdict() -> str:
    """The headline without its middle: decode by latency, the whole service, training, and the verdict."""
    lines = output_of("-m", "aicompute.cli", "compare", "cloudmatrix-384", "gb200-nvl72").splitlines()
    table = next(k for k, line in enumerate(lines) if line.startswith("90 % intervals"))
    kept, keep = lines[: table + 2], False
    for line in lines[table + 2 : lines.index("", table)]:
        if not line.startswith(" "):
            keep = line.startswith(("Decode, tokens/s", "Whole service, TTFT", "Training"))
        kept += [line] if keep else []
    return "\n".join(["```", *kept, "", *lines[lines.index("Verdict") :], "```"])


def blind() -> str:
    """Published rates beside predictions."""
    return output_of(str(ROOT / "benchmarks" / "front_page.py"))


ANSWERS = {
    "cost-korea": "cost gb200-nvl72 --site kr --currency KRW",
    "cost-sites": "cost cloudmatrix-384 --site us-average --site cn-average --site kr",
    "cost-programme": "cost dgx-b200 --accelerators 13000 --site kr --currency KRW --utilisation 0.6",
    "cost-rent": "cost dgx-h100 --rent list --on-demand --utilisation 0.6 --model llama-3.1-70b",
    "breakeven-rate": "breakeven cloudmatrix-384 gb200-nvl72 --over tokens_per_s --tokens-per-s 1943,none --site cn-hub-domestic "
    "--site us-average",
    "breakeven-rack": "breakeven cloudmatrix-384 gb200-nvl72 --over rack_price --workload decode --tpot '50 ms' --site kr",
    "breakeven-rent": "breakeven gb200-nvl72 gb200-nvl72 --over utilisation --rent own,4.0 --on-demand --site kr --site us-average",
    "makebuy-korea": "makebuy gb200-nvl72 --site kr --volume '2e9 token/day'",
    "korea-all": "size --serve '2e6 token/s' --tpot '50 ms' --site kr --top 8",
    "sure-drives": "sensitivity cloudmatrix-384 gb200-nvl72 --metric cost_per_million_tokens --top 8",
    "mixed-fleet": "size --train-model llama-3.1-70b --train-tokens 15T --within '90 day' --serve '5e5 token/s' --tpot '50 ms' "
    "--system gb200-nvl72 --system mi355x-8 --system tpu-v7-pod --site kr --site us-texas",
    "own-rent-buy": "makebuy gb200-nvl72 --site kr --api deepseek-r1-0528 --api gpt-4o --api claude-3-opus --volume '2e9 token/day'",
    "own-or-rent": "breakeven gb200-nvl72 gb200-nvl72 --over utilisation --rent own,4.0 --on-demand --site kr",
    "megawatts": "size --power '40 MW' --site kr --top 6",
    "size-run": "size --train-tokens 15T --train-model llama-3.1-70b --within '90 day' --site kr --top 4",
    "korea-tokens": "size --budget '1.46e12 KRW' --site kr --currency KRW --top 4",
    "korea-gpus": "cost dgx-b200 --accelerators 13000 --site kr --currency KRW --workload serving --utilisation 0.6",
    "korea-deepseek": "size --train-tokens 14.8T --train-model deepseek-v3 --within '90 day' --site kr --system dgx-b200 --currency KRW",
    "korea-llama": "size --train-tokens 15.6T --train-model llama-3.1-405b --within '90 day' --site kr --system dgx-b200 --currency KRW",
    "korea-solar": "size --train-tokens 19.7T --train-model solar-open-100b --within '90 day' --site kr --system dgx-b200 --currency KRW",
    "korea-power": "size --power '40 MW' --site kr --currency KRW --top 4",
    "makebuy-coder": "makebuy dgx-h200 --model qwen3-coder-480b-a35b --isl 16384 --osl 1024 --prefix-hit 0.5",
}
"""Commands that pages show with what they print."""


EXTRACTS = {
    "korea-two": ("compare cloudmatrix-384 gb200-nvl72 --site kr --workload serving", ("Verdict",)),
    "domain-one": (
        "compare cloudmatrix-384 gb200-nvl72 --workload decode --tpot '50 ms' --set cloudmatrix-384.tiers.scale-up.domain=144",
        ("90 % intervals", "Best plan"),
    ),
    "sure-parts": ("estimate cloudmatrix-384 --workload decode --tpot '50 ms' --explain", ("What the interval is made of",)),
    "chips-on-a-day": ("rules h100 h20 910c --date 2026-01-15", ("What counts", "Class under", "What the classes")),
    "run-over-thresholds": ("rules --model llama-3.1-405b --date 2026-11-01", ("llama-3.1-405b on", "counted as")),
}
"""Commands of which pages show only some paragraphs, by how these begin."""


def answer(command: str, parts: tuple[str, ...] = ()) -> str:
    """A command and what it prints, its notes left out; only paragraphs that begin so, where parts are named."""
    said = output_of("-m", "aicompute.cli", *shlex.split(command))
    if parts:
        paragraphs = [text for text in said.strip().split("\n\n") if text.startswith(parts)]
        missing = [part for part in parts if not any(text.startswith(part) for text in paragraphs)]
        if missing:
            raise ValueError(f"aicompute {command}: prints no paragraph that begins with {' or '.join(missing)}")
        said = "\n\n".join(paragraphs) + "\n"
    return f"```sh\naicompute {command}\n```\n\n```\n{said}```"


QUESTIONS = sorted(page for page in (DOCS / "questions").glob("*.md") if page.stem != "index")


def printed(page: Path) -> str:
    """What the Python code of a page prints."""
    code = "\n".join(re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL))
    return f"```\n{output_of('-c', code)}```"


def cluster_costs() -> str:
    """Costs and power beside those of a dashboard."""
    return f"```\n{output_of(str(ROOT / 'benchmarks' / 'cluster_costs.py'))}```"


def korean_programmes() -> str:
    """Money and GPUs of Korea's programmes beside the capital of systems."""
    words = ["Korea", "kr", "dgx-b200", "dgx-h200"]
    output = output_of(str(ROOT / "benchmarks" / "programmes.py"), *words)
    return f"```sh\npython benchmarks/programmes.py {' '.join(words)}\n```\n\n```\n{output}```"


def calibrated() -> str:
    """What the example of calibrate.md prints."""
    page = (DOCS / "calibrate.md").read_text(encoding="utf-8")
    rows, command = re.findall(r"^```csv\n(.*?)^```\n\n^```sh\n(.*?)^```", page, re.MULTILINE | re.DOTALL)[0]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "mine.csv").write_text(rows, encoding="utf-8")
        environment = {**os.environ, "COLUMNS": "80", "PYTHONPATH": str(SOURCE.parent)}
        words = [sys.executable, "-m", "aicompute.cli", *shlex.split(command)[1:]]
        done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=folder, env=environment)
    return f"```\n{done.stdout}```"


PARTS: dict[str, Callable[[], str]] = {
    "verdict": verdict,
    "blind": blind,
    "formulas": formula_tables,
    "common": common_table,
    **{kind: (lambda kind=kind: schema_table(kind)) for kind in KINDS},
    "units": unit_words,
    "generic-training": lambda: stack_table("generic-training"),
    "generic-serving": lambda: stack_table("generic-serving"),
    "stack-list": stack_list,
    "metrics": metric_table,
    "commands": command_line,
    **{name: (lambda command=command: answer(command)) for name, command in ANSWERS.items()},
    **{name: (lambda command=command, parts=parts: answer(command, parts)) for name, (command, parts) in EXTRACTS.items()},
    **{f"printed-{page.stem}": (lambda page=page: printed(page)) for page in QUESTIONS},
    "cluster-costs": cluster_costs,
    "api": reference.reference,
    "korea-programmes": korean_programmes,
    **accuracy.FITS,
}
"""What stands between the marks, by name."""

SLOW: dict[str, Callable[[], str]] = {**accuracy.EVIDENCE, "calibrated": calibrated}
"""What follows from measurements, and is renewed only with ``--evidence``."""


def renewed(text: str, parts: dict[str, Callable[[], str]]) -> str:
    """A page with its generated parts as they should be; parts that are not known stay."""

    def replace(found: re.Match[str]) -> str:
        return f"{found[1]}\n{parts[found[2]]().strip()}\n\n{found[3]}" if found[2] in parts else found[0]

    return BLOCK.sub(replace, text)


def main(arguments: list[str] | None = None) -> int:
    """Renew or check all pages."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pages", nargs="*", metavar="PAGE", help="only these, such as accuracy.md")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 where a page is not current")
    parser.add_argument("--evidence", action="store_true", help="renew tables and pictures of errors too (a minute)")
    layers = ("all", *heldout.LAYERS)
    parser.add_argument("--heldout", action="append", choices=layers, help="first fit this layer, or all, without some rows (minutes)")
    given = parser.parse_args(arguments)
    parts = {**PARTS, **(SLOW if given.evidence else {})}
    if given.heldout and not given.check:
        heldout.renew(heldout.layers() if "all" in given.heldout else given.heldout)
    stale = accuracy.renew_pictures(given.check) if given.evidence else []
    for page in [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]:
        if given.pages and page.name not in given.pages:
            continue
        old = page.read_text(encoding="utf-8")
        new = renewed(old, parts)
        if new != old:
            stale.append(page.name)
            if not given.check:
                page.write_text(new, encoding="utf-8")
    if stale:
        print(f"{'not current' if given.check else 'written'}: {', '.join(stale)}")
    return 1 if stale and given.check else 0


if __name__ == "__main__":
    sys.exit(main())
