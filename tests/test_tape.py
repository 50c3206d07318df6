"""Recorded formulas: a program gives what the formulas give, on flat batches, open meshes and single numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aicompute.errors import UsageError
from aicompute.estimate import evaluate
from aicompute.estimate import workload as workloads
from aicompute.estimate.context import scene, standing
from aicompute.estimate.recorded import SERVING_PLAN, TRAINING_PLAN, recorded, scene_program, training_plan_of, values_read
from aicompute.estimate.serving import ServingPlan
from aicompute.numerics import logical_not, maximum, minimum, safe_divide, where
from aicompute.program import ROWS, compiled
from aicompute.specs import Library
from aicompute.tape import Recorded, Tape

CLOSE = 1e-12

# Scenarios

KINDS: Mapping[str, tuple[str, str, workloads.Workload]] = {
    "training": ("dgx-h100", "llama-3.1-70b", workloads.training(global_batch=512)),
    "training, experts": ("gb200-nvl72", "deepseek-v3", workloads.training(tokens=1e12)),
    "prefill": ("cloudmatrix-384", "deepseek-r1-0528", workloads.prefill(prefix_hit=0.3)),
    "decode": ("gb200-nvl72", "deepseek-r1-0528", workloads.decode(length_variation=0.4)),
    "serving": ("cloudmatrix-384", "deepseek-r1-0528", workloads.serving()),
    "serving, dense": ("dgx-h100", "llama-3.1-70b", workloads.serving()),
}


def plans(kind: str, rows: int, seed: int) -> dict[str, Any]:
    """Plans that can be laid out or not: formulas do not mind."""
    draw = np.random.default_rng(seed)

    def one_of(*values: float) -> Any:
        return draw.choice(values, rows)

    if kind.startswith("training"):
        return {
            "dp": one_of(1.0, 2.0, 4.0, 8.0), "tp": one_of(1.0, 2.0, 8.0), "pp": one_of(1.0, 2.0, 4.0), "chunks": one_of(1.0, 2.0),
            "cp": one_of(1.0, 2.0), "ep": one_of(1.0, 2.0, 8.0), "micro_batch": one_of(1.0, 2.0), "zero": one_of(0.0, 1.0, 2.0, 3.0),
            "recompute": one_of(0.0, 1.0, 2.0), "sequence_parallel": one_of(0.0, 1.0),
        }  # fmt: skip
    return {
        "tp": one_of(1.0, 2.0, 8.0), "dp": one_of(1.0, 4.0, 32.0), "pp": one_of(1.0, 2.0), "ep": one_of(1.0, 4.0, 32.0),
        "sequences": one_of(32.0, 64.0, 512.0, 4096.0), "drafts": one_of(0.0, 1.0, 2.0),
    }  # fmt: skip


def plainly(s: Any, w: workloads.Workload, numbers: Mapping[str, Any]) -> dict[str, Any]:
    """Metrics by the formulas themselves."""
    r = standing(s)
    with np.errstate(all="ignore"):
        if w.is_training:
            return evaluate.training_outcome(s, r, w, training_plan_of(numbers)).metrics
        plan = ServingPlan(*(numbers[name] for name in ("tp", "dp", "pp", "ep")))
        if w.kind == "prefill":
            return evaluate.prefill_outcome(s, r, w, plan, numbers["sequences"]).metrics
        find = evaluate.decode_outcome if w.kind == "decode" else evaluate.in_flight_outcome
        return find(s, r, w, plan, numbers["sequences"], numbers["drafts"]).metrics


def agree(found: Mapping[str, Any], wanted: Mapping[str, Any], shape: tuple[int, ...]) -> None:
    assert set(found) == set(wanted)
    for name, value in wanted.items():
        np.testing.assert_allclose(
            np.broadcast_to(found[name], shape), np.broadcast_to(value, shape), rtol=CLOSE, atol=1e-300, equal_nan=True, err_msg=name
        )


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_program_gives_what_formulas_give(library: Library, kind: str) -> None:
    system, model, w = KINDS[kind]
    s = scene(library, system, model, w.kind)
    numbers = plans(kind, 300, 1)
    program = scene_program(s, w, {}, dict.fromkeys(numbers, 1))
    wanted = plainly(s, w, numbers)
    agree(program.run({n: numbers[n] for n in program.inputs}), wanted, (300,))
    agree(program.run({n: numbers[n] for n in program.inputs}, rows=7), wanted, (300,))
    agree(program.over({n: numbers[n] for n in program.inputs}), wanted, (300,))
    for row in (0, 299):
        single = {name: float(values[row]) for name, values in numbers.items()}
        agree(program.over({n: single[n] for n in program.inputs}), plainly(s, w, single), ())


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_program_gives_what_formulas_give_on_an_open_mesh(library: Library, kind: str) -> None:
    system, model, w = KINDS[kind]
    s = scene(library, system, model, w.kind)
    names = TRAINING_PLAN if w.is_training else SERVING_PLAN
    first = {name: float(values[0]) for name, values in plans(kind, 1, 2).items()}
    mesh = {names[0]: np.array([1.0, 2.0, 4.0]).reshape(-1, 1, 1), names[1]: np.array([1.0, 8.0]).reshape(1, -1, 1)}
    last = "recompute" if w.is_training else "sequences"
    mesh[last] = np.array([0.0, 1.0, 2.0] if w.is_training else [64.0, 128.0, 1024.0, 2048.0]).reshape(1, 1, -1)
    given_ = {**first, **mesh}
    program = scene_program(s, w, {n: v for n, v in first.items() if n not in mesh}, {name: 1 << k for k, name in enumerate(mesh)})
    agree(program.over({n: given_[n] for n in program.inputs}), plainly(s, w, given_), (3, 2, mesh[last].size))


def test_spec_values_and_terms_vary_too(library: Library) -> None:
    system, model, w = KINDS["decode"]
    s = scene(library, system, model, w.kind)
    plan = {"tp": 1.0, "dp": 32.0, "pp": 1.0, "ep": 32.0, "sequences": 640.0, "drafts": 0.0}
    name = "accelerators/nvidia-gb200.memory.bandwidth"
    varying = {name: 1, "utilisation": 1, "input_length": 0}
    program = scene_program(s, w, plan, varying, ["tpot", "cost_per_token"])
    values = {name: np.array([4e12, 8e12, 16e12]), "utilisation": np.array([0.5, 0.6, 0.9]), "input_length": 2000.0}
    found = program.run(values)
    for k in range(3):
        other = replace(s, utilisation=float(values["utilisation"][k]),
            accelerator=s.accelerator.changed({"memory.bandwidth": values[name][k]}), memo={})
        wanted = plainly(other, replace(w, input_length=2000.0), plan)
        assert found["tpot"][k] == pytest.approx(wanted["tpot"], rel=CLOSE)
        assert found["cost_per_token"][k] == pytest.approx(wanted["cost_per_token"], rel=CLOSE)


def test_what_does_not_vary_there_is_refused(library: Library) -> None:
    system, model, w = KINDS["decode"]
    s = scene(library, system, model, w.kind)
    with pytest.raises(UsageError, match=r"'zero' does not vary in a decode scenario; the plan lacks dp, pp, ep, drafts"):
        scene_program(s, w, {"tp": 1.0}, {"zero": 1, "batch": 1})


def test_values_read_are_those_of_every_spec(library: Library) -> None:
    system, model, w = KINDS["training"]
    read = values_read(scene(library, system, model, w.kind))
    assert {key.partition("/")[0] for key in read} == {"systems", "accelerators", "stacks", "sites"}
    assert len(read) > 60


# Small formulas

LEAVES = st.one_of(st.sampled_from(["x", "y", "z", "a"]), st.sampled_from([0.0, 1.0, 2.0, 0.5, -1.0, 3.0, 1e-3, 7.25]))
TWO: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b, "/": np.divide, "max": maximum, "min": minimum,
    "safe": safe_divide, "larger": lambda a, b: where(a > b, a, b * 0.5), "equal": lambda a, b: where(np.equal(a, b), 1.0, a),
    "both": lambda a, b: where(np.logical_and(a > 0.5, b > 0.5), a, b), "neither": lambda a,
        b: where(logical_not((a > 1.0) | (b > 1.0)), a, b),
}  # fmt: skip
ONE: Mapping[str, Callable[[Any], Any]] = {
    "-": lambda a: 0.0 - a, "square": lambda a: np.power(a, 2.0), "cube": lambda a: np.power(a, 3.0),
        "sqrt": lambda a: np.sqrt(np.maximum(a, 0.0)),
    "floor": np.floor, "ceil": np.ceil, "one": lambda a: a * 1.0 + 0.0, "root": lambda a: np.power(np.maximum(a, 0.0), 0.5),
}  # fmt: skip
FORMULAS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.tuples(st.sampled_from(sorted(TWO)), inner, inner), st.tuples(st.sampled_from(sorted(ONE)), inner)),
    max_leaves=14,
)


def value_of(formula: Any, names: Mapping[str, Any]) -> Any:
    if isinstance(formula, str):
        return names[formula]
    if isinstance(formula, float):
        return formula
    if len(formula) == 2:
        return ONE[formula[0]](value_of(formula[1], names))
    return TWO[formula[0]](value_of(formula[1], names), value_of(formula[2], names))


def _plain(formula: Any, names: Mapping[str, Any]) -> Any:
    """By NumPy on arrays throughout, so that a division by zero is what it is there."""
    return value_of(formula, {name: np.asarray(value, float) for name, value in names.items()})


def finite(formula: Any, names: Mapping[str, Any]) -> bool:
    """Whether nothing on the way is infinite or no number: there a program may say 0 for 0 x, as it states."""
    if not isinstance(formula, tuple):
        return True
    with np.errstate(all="ignore"):
        here = bool(np.all(np.isfinite(np.asarray(_plain(formula, names), float))))
    return here and all(finite(part, names) for part in formula[1:])


NUMBERS = {
    "x": np.array([0.0, 1.0, -2.0, 0.3, 5.0, 1.0]), "y": np.array([1.0, 1.0, 0.0, 2.5, -1.0, 0.5]),
        "z": np.array([3.0, 0.0, 1.0, 1.0, 2.0, 0.25]),
    "a": 1.5,
}  # fmt: skip


@settings(max_examples=80)
@given(st.lists(FORMULAS, min_size=1, max_size=5))
def test_random_formulas(formulas: list[Any]) -> None:
    """Several outputs over shared inputs; of a mesh each has the shape of its own axes."""
    formulas = [f for f in formulas if finite(f, NUMBERS)]
    tape = Tape()
    inputs = {"x": tape.input("x"), "y": tape.input("y"), "z": tape.input("z"), "a": tape.input("a", 0)}
    with np.errstate(all="ignore"):
        outputs = {str(k): value_of(f, inputs) for k, f in enumerate(formulas)}
        wanted = {str(k): np.broadcast_to(_plain(f, NUMBERS), (6,)) for k, f in enumerate(formulas)}
    program = compiled(outputs)
    for rows in (ROWS, 2, 4):
        found = program.run({n: NUMBERS[n] for n in program.inputs}, rows)
        for name, values in wanted.items():
            np.testing.assert_allclose(np.broadcast_to(found[name], (6,)), values, rtol=1e-12, atol=1e-15)
    mesh = {"x": NUMBERS["x"].reshape(-1, 1), "y": NUMBERS["y"].reshape(1, -1), "z": NUMBERS["z"].reshape(1, -1), "a": 1.5}
    tape = Tape()
    crossed = {"x": tape.input("x", 1), "y": tape.input("y", 2), "z": tape.input("z", 2), "a": tape.input("a", 0)}
    if all(finite(f, mesh) for f in formulas):
        program = compiled({str(k): value_of(f, crossed) for k, f in enumerate(formulas)})
        found = program.over({n: mesh[n] for n in program.inputs})
        for k, formula in enumerate(formulas):
            np.testing.assert_allclose(
                np.broadcast_to(found[str(k)], (6, 6)), np.broadcast_to(_plain(formula, mesh), (6, 6)), rtol=1e-12, atol=1e-15
            )


# What is noted, and what is not


def test_nothing_is_noted_twice_and_nothing_unasked_is_run() -> None:
    tape = Tape()
    x, y = tape.input("x"), tape.input("y")
    assert tape.input("x") is x
    assert (x + y) is (y + x)
    assert (x - y) is not (y - x)
    assert x * 2.0 is 2.0 * x
    dead = np.exp(x) + np.log2(y)
    program = compiled({"sum": x + y})
    assert isinstance(dead, Recorded)
    assert program.operations == 1
    assert set(program.inputs) == {"x", "y"}


def test_constants_are_folded() -> None:
    tape = Tape()
    x = tape.input("x")
    assert x + 0.0 is x
    assert x * 1.0 is x
    assert x / 1.0 is x
    assert x * 0.0 == 0.0
    assert x - x == 0.0
    assert np.maximum(x, x) is x
    assert np.where(True, x, 3.0) is x
    assert np.where(x > 0.0, x, x) is x
    assert np.power(x, 2.0) is x * x
    assert np.logical_and(x > 1.0, True) is (x > 1.0)
    assert np.logical_or(x > 1.0, True) is True
    assert np.logical_and(x, True) is not x, "a number is no condition"
    assert isinstance(x / 0.0, Recorded)


def test_zero_and_its_negative_are_two_numbers() -> None:
    tape = Tape()
    x = tape.input("x")
    program = compiled({"up": x / 0.0, "down": x / -0.0, "also": np.divide(1.0, x * 0.0 + 2.0)})
    found = program.run({"x": np.array([1.0, 2.0])})
    assert (found["up"].tolist(), found["down"].tolist(), float(found["also"])) == ([np.inf] * 2, [-np.inf] * 2, 0.5)


def test_a_small_divisor_is_not_turned_into_an_infinite_factor() -> None:
    tape = Tape()
    x = tape.input("x")
    found = compiled({"y": x / 1e-310, "z": x / float("inf")}).run({"x": np.array([1e-310, 2e-310])})
    np.testing.assert_allclose(found["y"], [1.0, 2.0], rtol=1e-12)
    assert found["z"].tolist() == [0.0, 0.0] or float(found["z"]) == 0.0


@pytest.mark.parametrize(
    "formula",
    [
        lambda x: 1.0 if x > 2.0 else 0.0, lambda x: float(x), lambda x: max(x, 1.0), lambda x: list(x), lambda x: np.sum(x),
        lambda x: np.add.reduce(x), lambda x: x + np.ones(3), lambda x: np.add(x, 1.0, where=np.array([True])), lambda x: bool(x),
    ],
)  # fmt: skip
def test_what_cannot_be_recorded_says_so(formula: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError, match=r"recorded|reduce|cannot"):
        formula(Tape().input("x"))


# Buffers


def check(make: Callable[[Any, Any], Mapping[str, Any]], rows: int = 10) -> None:
    """A program against the same lines on arrays, in blocks of three rows."""
    tape = Tape()
    x, y = np.linspace(-1.0, 3.0, rows), np.linspace(2.0, 0.5, rows)
    program = compiled(make(tape.input("x"), tape.input("y")))
    wanted = make(x, y)
    for found in (program.run({"x": x, "y": y}, 3), program.over({"x": x, "y": y})):
        assert list(dict.fromkeys(found)) == list(dict.fromkeys(found))
        for name, value in wanted.items():
            np.testing.assert_array_equal(np.broadcast_to(found[name], (rows,)), np.broadcast_to(value, (rows,)), err_msg=name)


def test_outputs_that_others_are_made_of() -> None:
    def make(x: Any, y: Any) -> dict[str, Any]:
        a = x + y
        b = a * y
        c = b - a
        d = np.sqrt(np.abs(c)) + a
        return {"d": d, "a": a, "c": c, "b": b, "last": d * a + b - c}

    check(make)


def test_outputs_that_repeat_and_inputs_and_constants_as_outputs() -> None:
    def make(x: Any, y: Any) -> dict[str, Any]:
        a = x * y
        return {"x": x, "a": a, "again": a, "b": a + x, "five": 5.0, "y": y, "zero": x - x, "yes": True}

    check(make)


def test_conditions_and_choices_have_arrays_of_their_own() -> None:
    def make(x: Any, y: Any) -> dict[str, Any]:
        positive = x > 0.0
        chosen = np.where(positive, x, y)
        other = np.where(np.logical_not(positive), chosen, x * y)
        return {"positive": positive, "sum": chosen + other, "other": other, "count": positive * 1.0 + (y > 1.0) * 2.0}

    check(make)


def test_a_long_chain_needs_few_buffers() -> None:
    tape = Tape()
    x = tape.input("x")
    value = x
    for k in range(200):
        value = np.sqrt(value * value + float(k))
    program = compiled({"y": value})
    assert len(program.buffers) <= 2
    y = np.linspace(0.0, 1.0, 5)
    wanted = y
    for k in range(200):
        wanted = np.sqrt(wanted * wanted + float(k))
    np.testing.assert_allclose(program.run({"x": y})["y"], wanted, rtol=1e-12)
    assert np.array_equal(y, np.linspace(0.0, 1.0, 5)), "an input is never written over"


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=25), st.data())
def test_whatever_is_kept_is_never_overwritten(steps: list[tuple[int, int, int]], data: Any) -> None:
    """Graphs where every value may be an output or feed any later one."""
    kinds: list[Callable[[Any, Any], Any]] = [
        lambda a, b: a + b * 0.5, lambda a, b: a - b * 0.25, np.maximum, lambda a, b: np.where(a > b, a, b + 1.0), lambda a, b: (a > b) * b,
    ]  # fmt: skip
    kept = data.draw(st.lists(st.integers(0, len(steps) + 1), min_size=1, max_size=8))

    def make(x: Any, y: Any) -> dict[str, Any]:
        values = [x, y]
        for kind, one, other in steps:
            values.append(kinds[kind](values[one % len(values)], values[other % len(values)]))
        return {str(k): values[k] for k in kept}

    tape = Tape()
    x, y = np.linspace(-1.0, 3.0, 10), np.linspace(2.0, 0.5, 10)
    program = compiled(make(tape.input("x"), tape.input("y")))
    wanted = make(x, y)
    values = {"x": x, "y": y}
    for found in (program.run(values, 4), program.over(values)):
        for name, value in wanted.items():
            np.testing.assert_allclose(np.broadcast_to(found[name], (10,)), value, rtol=1e-12, atol=1e-12)


def test_an_empty_batch_and_a_batch_of_numbers() -> None:
    tape = Tape()
    x, a = tape.input("x"), tape.input("a", 0)
    program = compiled({"y": x * a, "b": a + 1.0, "c": 2.0})
    empty = program.run({"x": np.zeros(0), "a": 2.0})
    assert (empty["y"].shape, float(empty["b"]), float(empty["c"])) == ((0,), 3.0, 2.0)
    single = program.run({"x": 3.0, "a": 2.0})
    assert single["y"].tolist() == [6.0]
    with pytest.raises(ValueError, match="broadcast"):
        program.run({"x": np.ones(3), "a": np.ones(3)})


def test_the_recorded_outcome_of_numbers_alone_is_numbers(library: Library) -> None:
    system, model, w = KINDS["decode"]
    s = scene(library, system, model, w.kind)
    plan = {"tp": 1.0, "dp": 32.0, "pp": 1.0, "ep": 32.0, "sequences": 640.0, "drafts": 0.0}
    assert all(isinstance(value, float) for value in recorded(s, w, plan, {}).values())
