"""Which rows of somebody's own measurements are of the stack in question, and what the command line fills in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from aicompute.errors import AicomputeError, UnknownNameError, UsageError
from aicompute.estimate import inputs
from aicompute.evidence.files import Row, Table
from aicompute.evidence.kernels import KERNELS
from aicompute.evidence.kernels.common import backend_stack
from aicompute.evidence.serving import row_system, stack_of
from aicompute.specs import Library, Spec

FILLED = ("accelerator", "stack", "backend")
"""Columns that a file may lack, because the command line fills them."""


@dataclass(frozen=True)
class LeftOut:
    """A row that was not used."""

    file: str
    number: int
    """1 is the first row below the header."""
    reason: str


def software(lib: Library, table: Table, row: Row) -> tuple[str, ...]:
    """Ids of the stacks that a row may be of: that of its version, and that of its name; none where nobody knows it."""
    if table.kind.name in KERNELS:
        word = row.text(KERNELS[table.kind.name].backend)
        found = backend_stack(lib, word)
        return () if not word or found.id.startswith("generic") else (found.id,)
    try:
        named = lib.load("stacks", row.text("stack")).id
    except UsageError:
        return ()
    if table.kind.name != "serving":
        return (named,)
    return tuple(dict.fromkeys((stack_of(lib, named, row.text("stack_version")).id, named)))


def chosen_rows(
    lib: Library, tables: Sequence[Table], stack: str | None, system: str | None
) -> tuple[Spec, list[Table], list[LeftOut]]:
    """The stack in question, tables of the rows that are of it, completed, and the other rows."""
    machine = inputs.specs_of(lib, system) if system else None
    known = {id(table): [software(lib, table, row) for row in table.rows] for table in tables}
    base = lib.load("stacks", stack) if stack else _only_stack(lib, tables, known)
    ready, left_out = [], []
    for table in tables:
        rows = []
        for row, names in zip(table.rows, known[id(table)], strict=True):
            reason = _stranger(table, row, names, base, bool(stack))
            if reason:
                left_out.append(LeftOut(table.name, row.number, reason))
            else:
                rows.append(_completed(lib, table, row, base, machine))
        if rows:
            ready.append(replace(table, rows=tuple(rows)))
    return base, ready, left_out


def _only_stack(lib: Library, tables: Sequence[Table], known: Mapping[int, Sequence[tuple[str, ...]]]) -> Spec:
    """The stack of all rows that name one.

    Raises
    ------
    UsageError
        They name several, or none.
    """
    found = Counter(names[0] for each in known.values() for names in each if names)
    if len(found) > 1:
        said = ", ".join(f"{name} ({count} rows)" for name, count in found.most_common())
        raise UsageError(f"the rows are of {len(found)} stacks: {said}; choose one with --stack")
    if found:
        return lib.load("stacks", next(iter(found)))
    if all(table.kind.name in KERNELS for table in tables):
        return lib.load("stacks", "generic-serving")
    word = next((row.text("stack") for table in tables for row in table.rows if row.text("stack")), "")
    ids = lib.ids("stacks", abstract=True)
    fault = UnknownNameError("stack", word, ids) if word else "the rows name no stack"
    raise UsageError(f"{fault}; say with --stack whose values to calibrate")


def _stranger(table: Table, row: Row, names: Sequence[str], base: Spec, given: bool) -> str:
    """Why a row is not of the stack in question; empty where it is."""
    kind = str(base.get("kind"))
    if table.kind.name in ("training", "serving") and table.kind.name != kind:
        return f"{table.kind.name} is not what stack {base.id} does: it is for {kind}"
    if names and base.id not in names:
        return f"is of stack {names[0]}, not of {base.id}"
    if not names and not given and table.kind.name not in KERNELS:
        word = row.text("stack")
        fault = f"unknown stack {word!r}" if word else "is empty"
        return f"column stack: {fault}; --stack says what to take"
    return ""


def _completed(lib: Library, table: Table, row: Row, base: Spec, machine: tuple[Spec, Spec] | None) -> Row:
    """A row that names the stack in question, and a system or accelerator if it does not say one that is known."""
    if table.kind.name in KERNELS:
        cells = {**row.cells, KERNELS[table.kind.name].backend: base.id}
    else:
        cells = {**row.cells, "stack": base.id, "stack_version": ""}
    if machine is not None:
        try:
            accelerator = row_system(lib, row.cells)[1].id
        except AicomputeError:
            accelerator = ""
        if accelerator in ("", machine[1].id) and not (accelerator and _is_known(lib, row.text("system"))):
            cells |= {"system": machine[0].id, "accelerator": machine[1].id}
    return replace(row, cells=cells)


def _is_known(lib: Library, system: str) -> bool:
    """Whether there is a spec of a system."""
    try:
        return bool(system and lib.resolve("systems", system))
    except UsageError:
        return False


def reasons(left_out: Sequence[LeftOut]) -> dict[tuple[str, str], list[int]]:
    """Numbers of rows by file and reason, the most frequent first."""
    found: dict[tuple[str, str], list[int]] = {}
    for one in left_out:
        found.setdefault((one.file, one.reason), []).append(one.number)
    return dict(sorted(found.items(), key=lambda item: -len(item[1])))
