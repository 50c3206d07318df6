"""Recorded formulas played back for one configuration: straight lines of plain Python arithmetic, a fifth of the time of the formulas.

A `program.Program` is for batches; for a single configuration the cost of a NumPy call is all there is, and Python's own floats are faster.
Draws behind an interval stay arrays.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from aicompute.tape import Operand, Recorded, Tape, needed

Played = Callable[..., tuple[Any, ...]]

_SIGNS = {
    "add": "+", "subtract": "-", "multiply": "*", "divide": "/", "power": "**", "greater": ">", "less": "<", "greater_equal": ">=",
    "less_equal": "<=", "equal": "==", "not_equal": "!=", "logical_and": "&", "logical_or": "|",
}  # fmt: skip
_SINGLE = {
    "maximum": "({0} if {0} > {1} else {1})", "minimum": "({0} if {0} < {1} else {1})", "where": "({1} if {0} else {2})",
    "ceil": "float(ceil({0}))", "floor": "float(floor({0}))", "logical_not": "(not {0})", "negative": "(-{0})",
    **{name: f"{name}({{0}})" for name in ("sqrt", "log2", "exp", "log", "expm1", "log1p")},
}  # fmt: skip
"""Functions of `numerics` on single numbers, as they are there."""
_NAMES: dict[str, Any] = {name: getattr(math, name) for name in ("sqrt", "log2", "exp", "log", "expm1", "log1p", "ceil", "floor")}


def played(function: Callable[..., Sequence[Any]], count: int) -> Played:
    """A function of plain numbers that does what another one does, without its calls.

    Parameters
    ----------
    function : callable   Of ``count`` numbers; gives a sequence of formulas of them, which may hold arrays of draws.
    count : int           Inputs.

    Returns
    -------
    callable of floats, giving a tuple. It raises ArithmeticError or ValueError where NumPy would give inf or nan.

    Raises
    ------
    TypeError
        The function looks at its arguments in a way that a formula does not.

    Examples
    --------
    >>> double = played(lambda a, b: (2.0 * a + b, np.maximum(a, b), a * np.array([1.0, 2.0])), 2)
    >>> double(3.0, 1.0)
    (7.0, 3.0, array([3., 6.]))
    """
    tape = Tape(draws=True, exact=True)
    inputs = [tape.input(f"a{place}", axes=0) for place in range(count)]
    results = function(*inputs)
    constants: dict[str, Any] = {}

    def text(operand: Operand) -> str:
        if isinstance(operand, Recorded):
            return f"v{operand.place}"
        if isinstance(operand, (float, int)) and math.isfinite(operand):
            return f"({operand!r})" if operand < 0 else repr(operand)
        name = f"c{len(constants)}"
        constants[name] = operand
        return name

    lines = []
    for value in needed(results):
        if value.operation == "draws":
            constants[f"v{value.place}"] = value.arguments[0]
        elif value.operation != "input":
            lines.append(f"{text(value)} = {_line(value, [text(argument) for argument in value.arguments])}")
    names = ", ".join(text(value) for value in inputs)
    body = "".join(f"    {line}\n" for line in lines)
    source = f"def play({names}):\n{body}    return ({''.join(f'{text(result)}, ' for result in results)})\n"
    scope: dict[str, Any] = {**_NAMES, "np": np, **constants}
    exec(compile(source, "<played>", "exec"), scope)
    made: Played = scope["play"]
    return made


def _line(value: Recorded, arguments: Sequence[str]) -> str:
    """An operation as Python writes it."""
    if value.operation in _SIGNS:
        return f"{arguments[0]} {_SIGNS[value.operation]} {arguments[1]}"
    if value.axes:
        return f"np.{value.operation}({', '.join(arguments)})"
    if value.operation not in _SINGLE:
        raise TypeError(f"{value.operation} cannot be played back")
    return _SINGLE[value.operation].format(*arguments)
