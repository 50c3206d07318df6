"""Fits: do they find what was put in, keep to beliefs where rows say nothing, and write what they found?"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from aicompute.errors import AicomputeError, SpecError
from aicompute.estimate.reading import read_value
from aicompute.evidence import calibration as cal
from aicompute.evidence.batches import batches_of
from aicompute.evidence.files import Table, read_table
from aicompute.evidence.fit import fit, kept, parts_of
from aicompute.evidence.free import Free, FreeReader, Space, entries, stated
from aicompute.specs import Library
from aicompute.specs.edit import with_value

HOPPER = ("accelerators", "nvidia-hopper", "efficiency.matrix")
ROOT = ("accelerators", "generic", "efficiency.matrix")
MEMORY = ("accelerators", "nvidia-hopper", "efficiency.memory")
TRUTH = {HOPPER: 0.6, MEMORY: 0.7}


@pytest.fixture(scope="module")
def library() -> Library:
    return Library()


@pytest.fixture
def table(tmp_path: Path, library: Library) -> Table:
    """Products of H100 and B200 as the formula gives them with other efficiencies on Hopper, and noise of 3 %."""
    rng = np.random.default_rng(0)
    shapes = [(m, n, k) for m in (1, 64, 1024, 8192) for n in (2048, 8192) for k in (2048, 16384)]
    rows = [
        {"accelerator": a, "backend": "sglang", "dtype": "bfloat16", "m": m, "n": n, "k": k, "time_us": 1.0}
        for a in ("nvidia-h100-sxm", "nvidia-b200-sxm")
        for m, n, k in shapes
    ]
    path = tmp_path / "gemm.csv"
    _write(path, rows)
    space = Space(library, tuple(Free(place, value, 0.1) for place, value in TRUTH.items()))
    reader = FreeReader(space, list(space.values(np.zeros(2))))
    for batch in batches_of(library, read_table(path))[0]:
        times = np.broadcast_to(batch.predict(reader)["time_us"], len(batch.indices))
        for index, time in zip(batch.indices, times, strict=True):
            rows[index]["time_us"] = float(time) * float(np.exp(0.03 * rng.standard_normal()))
    _write(path, rows)
    return read_table(path)


def _write(path: Path, rows: list[dict[str, object]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def beliefs(spread: float = 0.3) -> tuple[Free, ...]:
    return Free(ROOT, 0.76, spread), Free(HOPPER, 0.9, spread), Free(MEMORY, 0.85, spread)


def test_a_fit_finds_what_was_put_in(library: Library, table: Table) -> None:
    space = Space(library, beliefs())
    fitted = fit(space, parts_of(library, table, {"time_us": 0.03}))
    found = space.values(fitted.moved)
    assert found[1] == pytest.approx(TRUTH[HOPPER], rel=0.03)
    assert found[2] == pytest.approx(TRUTH[MEMORY], rel=0.03)
    assert fitted.learned[2] > 0.9
    assert fitted.spreads[2] < 0.03


def test_without_rows_a_child_stays_at_its_parent(library: Library, table: Table) -> None:
    space = Space(library, beliefs())
    parts = kept(parts_of(library, table, {"time_us": 0.03}), lambda part, _: part.batch.accelerator != "nvidia-h100-sxm")
    fitted = fit(space, parts)
    root, hopper, _ = space.values(fitted.moved)
    assert hopper == pytest.approx(root)
    assert fitted.learned[1] == pytest.approx(0.0, abs=1e-9)
    assert fitted.spreads[1] > 0.3


def test_strong_beliefs_hold_against_few_rows(library: Library, table: Table) -> None:
    parts = kept(parts_of(library, table, {"time_us": 0.2}), lambda _, index: index == 0)
    space = Space(library, beliefs(0.01))
    assert np.abs(fit(space, parts).moved).max() < 0.02


def test_wild_rows_do_not_carry_the_fit(library: Library, table: Table) -> None:
    space = Space(library, beliefs())
    parts = parts_of(library, table, {"time_us": 0.03})
    calm = space.values(fit(space, parts).moved)
    for part in parts:
        part.measured[0] *= 100.0
    assert space.values(fit(space, parts).moved) == pytest.approx(calm, rel=0.05)


def test_slopes_are_those_of_the_formula(library: Library, table: Table) -> None:
    from aicompute.evidence.fit import _Problem

    space = Space(library, beliefs())
    parts = parts_of(library, table, {"time_us": 0.1})
    batches = {id(part.batch): part.batch for part in parts}
    problem = _Problem(space, [(batch, [p for p in parts if p.batch is batch]) for batch in batches.values()], {0: [0, 1, 2], 1: [0, 1, 2]})
    at = np.array([0.05, -0.1, 0.02])
    residuals, slopes = problem.both(at)
    for column in range(3):
        step = np.zeros(3)
        step[column] = 1e-3
        other = problem.both(at + step)[0]
        assert (other - residuals) / 1e-3 == pytest.approx(slopes[:, column], abs=0.05)


def test_a_value_that_stands_before_a_free_one_is_kept(library: Library) -> None:
    space = Space(library, (Free(("accelerators", "generic", "efficiency.bf16"), 0.76, 0.1),))
    own = library.load("accelerators", "amd-mi300x")
    assert library.states("accelerators", "amd-mi300x", "efficiency.bf16")
    assert space.position(own, "efficiency.bf16") is None
    reader = FreeReader(space, [0.5])
    assert reader(own, "efficiency.bf16") == read_value(own, "efficiency.bf16")
    assert not reader.touched


def test_shares_stay_shares(library: Library) -> None:
    one = Free(("stacks", "generic-training", "overlap.tensor"), 0.4, 1.0, share=True)
    space = Space(library, (one,))
    assert space.values(np.array([0.0]))[0] == pytest.approx(0.4)
    assert 0.0 < space.values(np.array([-9.0]))[0] < space.values(np.array([9.0]))[0] < 1.0


def test_rows_left_out_are_not_seen(library: Library, table: Table) -> None:
    space = Space(library, beliefs())
    held = cal.leave_out(library, space, parts_of(library, table, {"time_us": 0.03}), "family")
    error = {one.label: cal.summary(one.logarithms)[0] for one in held}
    assert set(error) == {"nvidia-hopper", "nvidia-blackwell"}
    assert error["nvidia-hopper"] > 0.1
    assert all(one.spreads.min() > 0.02 for one in held if one.label == "nvidia-hopper")


def test_the_spread_needed_holds_the_share_asked_for() -> None:
    rng = np.random.default_rng(1)
    errors, known = 0.2 * rng.standard_normal(20_000), np.full(20_000, 0.1)
    found = cal.HeldOut("x", "gemm", "time_us", "gemm", "sglang", (), errors, known, np.ones(20_000))
    sigma = cal.spread_needed([found])
    assert sigma == pytest.approx(np.sqrt(0.2**2 - 0.1**2), rel=0.03)
    assert found.inside(sigma) == pytest.approx(0.9, abs=0.001)
    wild = cal.HeldOut("y", "gemm", "time_us", "gemm", "sglang", (), np.full(20_000, 3.0), np.full(20_000, 0.1), np.full(20_000, 1e-9))
    assert cal.spread_needed([found, wild]) == pytest.approx(sigma, rel=0.01)


@pytest.mark.parametrize("path", ["launch", "efficiency.bf16", "efficiency.new", "new.one"])
def test_a_value_written_is_a_value_read(path: str, tmp_path: Path) -> None:
    import tomllib

    text = '# head\nname = "x"\nlaunch = { value = 1 } # old\n\n[efficiency]\nbf16 = { value = 0.5 }\n\n[power]\ntdp = { value = 3 }\n'
    fields = {"value": 0.25, "unit": "1", "note": 'say "so"'}
    data = tomllib.loads(with_value(text, path, fields))
    node = data
    for part in path.split("."):
        node = node[part]
    assert node == fields
    assert data["power"] == {"tdp": {"value": 3}}
    assert with_value(text, path, fields).startswith("# head\n")


def test_tiers_are_written_by_name() -> None:
    text = '[[tiers]]\nname = "a"\nlatency = { value = 1 }\n\n[[tiers]]\nname = "b"\nlatency = { value = 2 }\n'
    assert with_value(text, "tiers.b.latency", {"value": 7.0}).count("value = 1") == 1
    assert with_value(text, "tiers.b.latency", {"value": 7.0}).endswith('name = "b"\nlatency = { value = 7 }\n')
    with pytest.raises(SpecError, match="no such tier"):
        with_value(text, "tiers.c.latency", {"value": 7.0})


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"path": "x", "spread": 1.0}, "expected spec"),
        ({"spec": "stacks/sglang", "path": "step.fixed"}, "spread None"),
        ({"spec": "stacks/sglang", "path": "step.fixed", "spread": -1}, "spread -1"),
    ],
)
def test_entries_that_mean_nothing_are_refused(entry: dict[str, object], said: str, library: Library) -> None:
    with pytest.raises(AicomputeError, match=said):
        entries(library, [entry])


def test_the_prior_is_what_stands_where_none_is_given(library: Library) -> None:
    (one,) = entries(library, [{"spec": "stacks/sglang", "path": "step.fixed", "spread": 0.5}])
    assert one.prior == stated(library, ("stacks", "sglang", "step.fixed"))


def test_a_value_is_not_free_twice(library: Library) -> None:
    with pytest.raises(AicomputeError, match=r"free twice: accelerators/generic efficiency\.matrix"):
        Space(library, (Free(ROOT, 0.7, 0.1), Free(ROOT, 0.8, 0.1)))


@pytest.mark.parametrize("path", sorted((Path(__file__).parents[1] / "calibration").glob("*.toml")), ids=lambda path: path.stem)
def test_every_calibration_file_can_be_read(path: Path, library: Library) -> None:
    calibration = cal.read_calibration(library, path)
    Space(library, calibration.free)
    assert calibration.source in library.sources()
    for one in calibration.free:
        assert stated(library, one.place) > 0.0
