"""What a tape makes of operations that come to less work, and powers by the logarithm: the numbers stay those of NumPy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aicompute.program import compiled
from aicompute.tape import Tape, needed

X = np.array([-3.0, -0.5, 0.0, 0.5, 1.0, 2.0, 7.0])


def program_of(formula):
    tape = Tape()
    return compiled({"found": formula(tape.input("x"))})


@pytest.mark.parametrize(
    ("formula", "operations"),
    [
        (lambda x: (x * 3.0) * 5.0, 1),
        (lambda x: 4.0 * (x / 8.0), 1),
        (lambda x: (2.0 / x) * 8.0, 1),
        (lambda x: np.where(x > 1.0, 2.0, 2.0) + x, 1),
        (lambda x: np.where(x > 1.0, x, np.where(x > 1.0, 5.0, 3.0)), 2),
        (lambda x: np.where(x > 1.0, np.where(x > 1.0, x, 7.0), 3.0), 2),
        (lambda x: 2.0**x, 2),
        (lambda x: (x * 1e-200) * 1e-200, 2),
        (lambda x: x * np.float64(2.0) + np.float64(1.0), 2),
    ],
)
def test_shorter_forms_give_the_same(formula, operations):
    program = program_of(formula)
    assert program.array_operations == operations
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(program.run({"x": X})["found"], formula(X), rtol=1e-13)


def test_multiples_that_are_wanted_stay():
    tape = Tape()
    x = tape.input("x")
    once = x * 3.0
    assert [value.operation for value in needed([once, once * 5.0])] == ["input", "multiply", "multiply"]


def test_choices_by_different_conditions_stay():
    program = program_of(lambda x: np.where(x > 1.0, x, np.where(x > 0.0, 5.0, 3.0)))
    np.testing.assert_array_equal(program.run({"x": X})["found"], np.where(X > 1.0, X, np.where(X > 0.0, 5.0, 3.0)))


@given(st.lists(st.tuples(st.floats(allow_nan=True), st.floats(allow_nan=True)), min_size=1, max_size=20))
def test_powers_are_those_of_numpy(pairs):
    tape = Tape()
    program = compiled({"found": tape.input("x") ** tape.input("y")})
    x, y = np.array(pairs).T
    with np.errstate(all="ignore"):
        expected = np.power(x, y)
    normal = ~(np.abs(expected) < 1e-290)  # below it numbers have fewer digits
    found = program.run({"x": x, "y": y})["found"]
    np.testing.assert_allclose(found[normal], expected[normal], rtol=1e-12)
    np.testing.assert_allclose(found[~normal], expected[~normal], atol=1e-289)


def test_powers_of_numbers_and_of_mesh_axes():
    tape = Tape()
    program = compiled({"found": tape.input("x", 1) ** tape.input("y", 2)})
    x, y = np.array([[0.5], [2.0], [0.0]]), np.array([[0.0, 1.0, 2.5, 3.0]])
    np.testing.assert_allclose(program.over({"x": x, "y": y})["found"], x**y, rtol=1e-14)
