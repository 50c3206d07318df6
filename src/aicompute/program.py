"""Recorded formulas as a program: one NumPy call an operation, into buffers that stay in a processor's cache.

Ordinary array code makes a new array for every operation, and repeats what two formulas have in common. A program does each operation once,
on a few thousand rows at a time, and writes the result over one that is no longer needed. What varies along no axis is done once with plain
numbers; what varies along some of the axes is done at that size.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aicompute.tape import LOGICAL, Operand, Recorded, needed

ROWS = 8192
"""Rows of a flat batch done at a time: enough to hide the cost of a call, few enough that some dozen buffers stay in the cache."""

_OWN = ("where", "power")
"""Operations that make an array of their own."""

Body = Callable[[Sequence[Any], Sequence[Any]], tuple[Any, ...]]


def compiled(outputs: Mapping[str, Operand]) -> Program:
    """A program that finds some recorded values; nothing that they do not need is done.

    Parameters
    ----------
    outputs : mapping   Names and what was recorded for them; plain numbers pass through.

    Examples
    --------
    >>> from aicompute.tape import Tape
    >>> tape = Tape()
    >>> x, a = tape.input("x"), tape.input("a", axes=0)
    >>> program = compiled({"y": a * a * x + 1.0, "z": np.maximum(x, a)})
    >>> found = program.run({"x": np.array([1.0, 2.0, 5.0]), "a": 3.0})
    >>> found["y"].tolist(), found["z"].tolist()
    ([10.0, 19.0, 46.0], [3.0, 3.0, 5.0])
    """
    order = needed(outputs.values())
    inputs = [value for value in order if value.operation == "input"]
    once = [value for value in order if value.operation != "input" and not value.axes]
    arrays = [value for value in order if value.operation != "input" and value.axes]
    recorded = {name: value for name, value in outputs.items() if isinstance(value, Recorded)}
    passed = _passed(arrays, recorded.values())
    plan = _Buffers(arrays, [value.place for value in recorded.values()])
    return Program(
        inputs={str(value.arguments[0]): value.axes for value in inputs},
        axes={name: value.axes for name, value in recorded.items()},
        fixed={name: value for name, value in outputs.items() if not isinstance(value, Recorded)},
        operations=len(once) + len(arrays),
        array_operations=len(arrays),
        buffers=tuple(plan.kinds),
        _passed=tuple(passed),
        _once=_function("once", _once_lines(inputs, once, passed)),
        _body=_function("body", _body_lines(inputs, passed, arrays, plan, recorded)),
    )


@dataclass(frozen=True)
class Program:
    """Recorded formulas, ready to run."""

    inputs: Mapping[str, int]
    """Names, and the axes along which each may vary."""
    axes: Mapping[str, int]
    """Along which each output varies."""
    fixed: Mapping[str, Any]
    """Outputs that are plain numbers."""
    operations: int
    array_operations: int
    """Those on arrays."""
    buffers: tuple[tuple[int, bool], ...]
    """Axes of each, and whether it holds conditions."""
    _passed: tuple[Recorded, ...] = field(repr=False)
    _once: Body = field(repr=False)
    _body: Body = field(repr=False)

    def run(self, values: Mapping[str, Any], rows: int = ROWS) -> dict[str, NDArray[Any]]:
        """Run over a flat batch.

        Parameters
        ----------
        values : mapping   Of every input: shape (n,) or a number where it varies, a number where it does not.
        rows : int         Done at a time.

        Returns
        -------
        dict of shape (n,); of shape () what does not vary.
        """
        count = max((len(v) for v in values.values() if np.ndim(v)), default=1)
        found = {name: np.asarray(value) for name, value in self.fixed.items()}
        with np.errstate(all="ignore"):
            columns = [np.broadcast_to(np.asarray(values[n], float), (count,) if a else ()) for n, a in self.inputs.items()]
            numbers = self._once(columns, ())
            buffers: list[NDArray[Any]] = []
            for start in range(0, max(count, 1), rows):  # of an empty batch too the columns are wanted
                part = slice(start, min(start + rows, count))
                size = part.stop - start
                if not start or size < rows:
                    buffers = [np.empty(size, bool if logical else float) for _, logical in self.buffers]
                results = self._body([*(c[part] if c.ndim else c for c in columns), *numbers], buffers)
                for (name, axes), result in zip(self.axes.items(), results, strict=True):
                    if not start:
                        found[name] = np.empty(count if axes else (), result.dtype)
                    found[name][part if axes else ...] = result
        return found

    def over(self, values: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
        """Run over an open mesh: all cells at once.

        Parameters
        ----------
        values : mapping   Of every input: an array that varies along its axes only (all of one number of dimensions), or a number.

        Returns
        -------
        dict of arrays, each of the shape of its own axes; broadcast them to see the whole.
        """
        with np.errstate(all="ignore"):
            columns = [np.asarray(values[name], float) for name in self.inputs]
            shapes: dict[int, tuple[int, ...]] = {}
            for axes in {axes for axes, _ in self.buffers}:
                parts = [c.shape for c, own in zip(columns, self.inputs.values(), strict=True) if own and not own & ~axes]
                shapes[axes] = np.broadcast_shapes(*parts)
            buffers = [np.empty(shapes[axes], bool if logical else float) for axes, logical in self.buffers]
            results = self._body([*columns, *self._once(columns, ())], buffers)
            found = {name: np.asarray(value) for name, value in self.fixed.items()}
            return found | {name: np.array(result) for name, result in zip(self.axes, results, strict=True)}


class _Buffers:
    """Which buffer each value is written to: one whose value is no longer needed."""

    def __init__(self, arrays: Sequence[Recorded], kept: Sequence[int]) -> None:
        last: dict[int, int] = {}
        for position, value in enumerate(arrays):
            for argument in value.arguments:
                if isinstance(argument, Recorded):
                    last[argument.place] = position
        last |= dict.fromkeys(kept, len(arrays))
        self.kinds: list[tuple[int, bool]] = []
        self.of: dict[int, int] = {}
        self.dropped: dict[int, list[int]] = {}
        """After which value those that have no buffer are given up."""
        own: set[int] = set()
        free: dict[tuple[int, bool], list[int]] = {}
        for position, value in enumerate(arrays):
            for place in {a.place for a in value.arguments if isinstance(a, Recorded)}:
                if last[place] == position and place in self.of:
                    buffer = self.of[place]
                    free.setdefault(self.kinds[buffer], []).append(buffer)
                elif last[place] == position and place in own:
                    self.dropped.setdefault(value.place, []).append(place)
            if value.operation in _OWN:
                own.add(value.place)
                continue
            kind = (value.axes, value.operation in LOGICAL)
            pool = free.setdefault(kind, [])
            if pool:
                self.of[value.place] = pool.pop()
            else:
                self.of[value.place] = len(self.kinds)
                self.kinds.append(kind)


def _passed(arrays: Sequence[Recorded], outputs: Any) -> list[Recorded]:
    """Values that vary along no axis and that arrays or outputs need."""
    found = {a.place: a for v in arrays for a in v.arguments if isinstance(a, Recorded) and not a.axes}
    found |= {value.place: value for value in outputs if not value.axes}
    return list(found.values())


def _once_lines(inputs: Sequence[Recorded], once: Sequence[Recorded], passed: Sequence[Recorded]) -> tuple[list[str], dict[str, Any]]:
    """Lines that find what varies along no axis."""
    lines = [f"[{', '.join(_name(v) for v in inputs)},] = given"] if inputs else []
    lines += [f"{_name(v)} = {v.operation}({', '.join(_name(a) for a in v.arguments)})" for v in once]
    lines.append(f"return [{', '.join(f'asarray({_name(v)})' for v in passed)}]")
    return lines, {}


def _body_lines(
    inputs: Sequence[Recorded], passed: Sequence[Recorded], arrays: Sequence[Recorded], plan: _Buffers, outputs: Mapping[str, Recorded]
) -> tuple[list[str], dict[str, Any]]:
    """Lines that find what varies; numbers stand as arrays of no dimension, which NumPy reads fastest."""
    numbers: dict[str, tuple[str, Any]] = {}

    def named(argument: Operand) -> str:
        if isinstance(argument, Recorded):
            return _name(argument)
        return numbers.setdefault(repr(argument), (f"k{len(numbers)}", argument))[0]

    given = [_name(v) for v in inputs] + [_name(v) for v in passed]
    lines = [f"[{', '.join(given)},] = given"] if given else []
    lines += [f"[{', '.join(f'b{k}' for k in range(len(plan.kinds)))},] = buffers"] if plan.kinds else []
    for value in arrays:
        inner = ", ".join(named(a) for a in value.arguments)
        if value.place in plan.of:
            lines.append(f"{_name(value)} = {value.operation}({inner}, out=b{plan.of[value.place]})")
        else:
            lines.append(f"{_name(value)} = {value.operation}({inner})")
        lines += [f"del v{place}" for place in plan.dropped.get(value.place, ())]
    lines.append(f"return ({''.join(_name(v) + ', ' for v in outputs.values())})")
    return lines, {name: np.asarray(number) for name, number in numbers.values()}


def _name(value: Operand) -> str:
    return f"v{value.place}" if isinstance(value, Recorded) else repr(value)


def _power(base: Any, exponent: Any) -> Any:
    """A power by way of the logarithm, in two thirds of the time; as NumPy has it where that fails (a base below zero, 0⁰, 1^∞)."""
    found = np.asarray(np.multiply(np.log(base), exponent))
    np.exp(found, out=found)
    return np.power(base, exponent) if np.isnan(found.min()) else found


def _function(name: str, made: tuple[list[str], dict[str, Any]]) -> Body:
    """A Python function of generated lines; they hold nothing but names of operations, places and numbers."""
    lines, constants = made
    space: dict[str, Any] = {**vars(np), "inf": float("inf"), "nan": float("nan"), **constants}
    if name == "body":  # what varies along no axis may be plain numbers
        space["power"] = _power
    exec(compile(f"def {name}(given, buffers):\n    " + "\n    ".join(lines), f"<{name}>", "exec"), space)
    made_function: Body = space[name]
    return made_function
