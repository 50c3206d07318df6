"""Recording of formulas: run once over names instead of numbers, they leave a list of operations without repetitions.

A formula here is written once and knows nothing of this. Where its arguments are `Recorded` values, each operation is noted on a `Tape`
instead of done; the same operation on the same arguments is noted once, and what nobody asked for is never run (`program.compiled`).
A formula that branches on a recorded value cannot be recorded, and says so.

What is plain is not done: x + 0, x * 1, x - x, and x * 0, 0 / x, which are 0 here also where x is infinite or no number. A division by a
number becomes a multiplication, so that a result may differ from the formula's in its last digit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

Operand = Any
"""A `Recorded` value or a number."""

LOGICAL = ("less", "less_equal", "greater", "greater_equal", "equal", "not_equal", "logical_and", "logical_or", "logical_not")
"""Operations that give a condition."""
_COMMUTES = ("add", "multiply", "maximum", "minimum", "logical_and", "logical_or")


class Recorded:
    """A value that is not known yet: an input, or an operation on values.

    Attributes
    ----------
    operation   Name of a NumPy function, or "input".
    arguments   Operands; the name, of an input.
    axes        Bits of the axes along which it varies; 0: one number.
    place       On the tape.
    """

    __slots__ = ("arguments", "axes", "operation", "place", "tape")
    __hash__ = object.__hash__

    def __init__(self, tape: Tape, operation: str, arguments: tuple[Operand, ...], axes: int, place: int) -> None:
        self.tape, self.operation, self.arguments, self.axes, self.place = tape, operation, arguments, axes, place

    def __repr__(self) -> str:
        inner = ", ".join(f"#{a.place}" if isinstance(a, Recorded) else repr(a) for a in self.arguments)
        return f"#{self.place} = {self.operation}({inner})"

    @property
    def ndim(self) -> int:
        """Number of axes along which it varies."""
        return self.axes.bit_count()

    @property
    def size(self) -> int:
        """Larger for what varies along more axes, as a sum that adds small terms first wants to know."""
        return 1 << self.ndim

    @property
    def shape(self) -> tuple[int, ...]:
        """Stands for a shape; only its length means something."""
        return (2,) * self.ndim

    def __array_ufunc__(self, function: Any, method: str, *inputs: Operand, **options: Any) -> Operand:
        """Note an operation of NumPy."""
        if method != "__call__" or options:
            raise TypeError(f"{function.__name__}.{method} with {sorted(options)} cannot be recorded")
        return self.tape.note(function.__name__, *inputs)

    def __array_function__(self, function: Any, types: Any, arguments: Any, options: Any) -> Operand:
        """Note a choice; say that the others cannot be."""
        if function is np.where and len(arguments) == 3 and not options:
            return self.tape.note("where", *arguments)
        if function is np.ndim:
            return self.ndim
        raise TypeError(f"{function.__name__} cannot be recorded")

    def __bool__(self) -> bool:
        raise TypeError(f"a formula branches on a recorded value ({self!r}); use `where`")

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError(f"a formula makes an array of a recorded value ({self!r})")

    def __float__(self) -> float:
        raise TypeError(f"a formula wants the number of a recorded value ({self!r})")

    def __neg__(self) -> Operand:
        return self.tape.note("negative", self)

    def __invert__(self) -> Operand:
        return self.tape.note("logical_not", self)

    def __iter__(self) -> Iterator[Operand]:
        raise TypeError("a recorded value cannot be taken apart")


def _operator(name: str, *, swapped: bool = False) -> Callable[[Recorded, Operand], Operand]:
    """A method that notes an operation of two values."""
    if swapped:
        return lambda self, other: self.tape.note(name, other, self)
    return lambda self, other: self.tape.note(name, self, other)


for _method, _name in {
    "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide", "pow": "power", "and": "logical_and", "or": "logical_or",
}.items():  # fmt: skip
    setattr(Recorded, f"__{_method}__", _operator(_name))
    setattr(Recorded, f"__r{_method}__", _operator(_name, swapped=True))
for _method, _name in {
    "lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal", "eq": "equal", "ne": "not_equal",
}.items():  # fmt: skip
    setattr(Recorded, f"__{_method}__", _operator(_name))


class Tape:
    """Operations in the order in which they were met, none twice.

    Parameters
    ----------
    draws : bool   Arrays may stand among the numbers of a formula; they vary along the first axis, and are part of the recording.
    exact : bool   Operations stay as they are where a cheaper one would round in another way.

    Examples
    --------
    >>> tape = Tape()
    >>> x, y = tape.input("x"), tape.input("y")
    >>> (x + y) * 2.0 - 2.0 * (y + x)
    0.0
    >>> len(tape)
    4
    """

    def __init__(self, *, draws: bool = False, exact: bool = False) -> None:
        self.values: list[Recorded] = []
        self.draws, self.exact = draws, exact
        self._known: dict[Any, Recorded] = {}

    def __len__(self) -> int:
        """Values noted, inputs among them."""
        return len(self.values)

    def input(self, name: str, axes: int = 1) -> Recorded:
        """A value that is given when the recording is run; the same one for the same name.

        Parameters
        ----------
        name : str
        axes : int   Bits of the axes along which it will vary.
        """
        return self._noted("input", (name,), axes, ("input", name))

    def note(self, operation: str, *operands: Operand) -> Operand:
        """Note an operation, or give what it comes to where that is plain.

        Raises
        ------
        TypeError
            An operand is an array, and draws are not expected: along which axes it varies is not known.
        """
        arguments = tuple(self._operand(operand) for operand in operands)
        short = _shorter(self, operation, arguments)
        if short is not None:
            return short
        axes = 0
        for argument in arguments:
            axes |= argument.axes if isinstance(argument, Recorded) else 0
        keys = [("#", a.place) if isinstance(a, Recorded) else ("", repr(a)) for a in arguments]  # 0.0 is not -0.0, nor True 1.0
        return self._noted(operation, arguments, axes, (operation, *(sorted(keys) if operation in _COMMUTES else keys)))

    def _operand(self, operand: Operand) -> Operand:
        """A number as Python knows it, or draws."""
        if self.draws and isinstance(operand, np.ndarray) and operand.ndim == 1:
            return self._noted("draws", (operand,), 1, ("draws", id(operand)))
        return _plain(operand)

    def _noted(self, operation: str, arguments: tuple[Operand, ...], axes: int, key: Any) -> Recorded:
        if key not in self._known:
            self._known[key] = Recorded(self, operation, arguments, axes, len(self.values))
            self.values.append(self._known[key])
        return self._known[key]


def _plain(operand: Operand) -> Operand:
    """A number as Python knows it."""
    # NumPy's float64 is a float too, but is not written as one
    if isinstance(operand, np.generic) or (isinstance(operand, np.ndarray) and operand.ndim == 0):
        return operand.item()
    if isinstance(operand, (Recorded, float, int)):
        return operand
    raise TypeError(f"{type(operand).__name__} of shape {np.shape(operand)} cannot be recorded; name it as an input")


def _shorter(tape: Tape, operation: str, arguments: tuple[Operand, ...]) -> Operand | None:
    """What an operation comes to without being done, or with a cheaper one; None where it has to be done."""
    first, last = arguments[0], arguments[-1]
    if operation == "where":
        return _choice(tape, first, arguments[1], last)
    if len(arguments) == 1:
        return None
    constants = [a for a in arguments if not isinstance(a, Recorded)]
    if len(constants) == 2:
        return getattr(np, operation)(*constants).item()
    if not constants:
        if first is last and operation in ("logical_and", "logical_or"):
            return first if first.operation in LOGICAL else None
        return None if first is not last else first if operation in ("maximum", "minimum") else 0.0 if operation == "subtract" else None
    other, constant = (last, constants[0]) if last is not constants[0] else (first, constants[0])
    return _with_constant(tape, operation, other, constant, constant is last)


def _choice(tape: Tape, condition: Operand, then: Operand, otherwise: Operand) -> Operand | None:
    """A choice that is none, or one of two choices by the same condition."""
    if not isinstance(condition, Recorded):
        return then if condition else otherwise
    if _chooses_by(then, condition):
        return tape.note("where", condition, then.arguments[1], otherwise)
    if _chooses_by(otherwise, condition):
        return tape.note("where", condition, then, otherwise.arguments[2])
    plain = not isinstance(then, Recorded) and not isinstance(otherwise, Recorded)
    return otherwise if then is otherwise or (plain and type(then) is type(otherwise) and then == otherwise) else None


def _chooses_by(value: Operand, condition: Recorded) -> bool:
    return isinstance(value, Recorded) and value.operation == "where" and value.arguments[0] is condition


def _with_constant(tape: Tape, operation: str, value: Recorded, constant: Any, last: bool) -> Operand | None:
    """Likewise, of a value and a number; ``last`` where the number stands behind."""
    if operation == "multiply":
        return value if constant == 1 else 0.0 if constant == 0 else None if tape.exact else _scaled(tape, value, constant)
    if operation == "add" or (operation == "subtract" and last):
        return value if constant == 0 else None
    if operation == "divide":
        if last:
            inverse = 1.0 / constant if abs(constant) > 1e-300 else 0.0
            return value if constant == 1 else tape.note("multiply", value, inverse) if inverse and not tape.exact else None
        return 0.0 if constant == 0 else None
    if operation == "power":
        if tape.exact:
            return None
        return _power(tape, value, constant) if last else _exponential(tape, value, constant)
    if operation == "logical_and" and not constant:
        return False
    if operation == "logical_or" and constant:
        return True
    return value if operation in ("logical_and", "logical_or") and value.operation in LOGICAL else None


def _power(tape: Tape, value: Recorded, exponent: float) -> Operand | None:
    """A power by multiplication or a root, which take a tenth of the time."""
    if exponent == 0.5:
        return tape.note("sqrt", value)
    if exponent not in (1, 2, 3, 4):
        return None
    squared = tape.note("multiply", value, value) if exponent > 1 else value
    return value if exponent == 1 else squared if exponent == 2 else tape.note("multiply", squared, value if exponent == 3 else squared)


def _exponential(tape: Tape, exponent: Recorded, base: float) -> Operand | None:
    """A power of a number above zero, by the exponential."""
    return tape.note("exp", tape.note("multiply", exponent, math.log(base))) if 0.0 < base < math.inf else None


def _scaled(tape: Tape, value: Recorded, factor: float) -> Operand | None:
    """A multiple of a multiple, with one factor."""
    if not -math.inf < factor < math.inf:
        return None
    first, last = value.arguments[0], value.arguments[-1]
    if value.operation == "multiply":
        for own, other in ((first, last), (last, first)):
            if not isinstance(own, Recorded) and 0.0 < abs(own * factor) < math.inf:
                return tape.note("multiply", other, own * factor)
    if value.operation == "divide" and not isinstance(first, Recorded) and 0.0 < abs(first * factor) < math.inf:
        return tape.note("divide", first * factor, last)
    return None


def needed(outputs: Iterable[Operand]) -> list[Recorded]:
    """What some values are made of, each after its arguments, so that few are in use at a time."""
    order: list[Recorded] = []
    seen: set[int] = set()
    for output in outputs:
        stack: list[tuple[Recorded, bool]] = [(output, False)] if isinstance(output, Recorded) else []
        while stack:
            value, ready = stack.pop()
            if ready:
                order.append(value)
            elif value.place not in seen:
                seen.add(value.place)
                stack.append((value, True))
                stack.extend((a, False) for a in reversed(value.arguments) if isinstance(a, Recorded) and a.place not in seen)
    return order
