"""What is kept between questions never changes an answer: specs, draws, grids of plans, formulas played back."""

from __future__ import annotations

import os
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import aicompute as ac
from aicompute.errors import SpecError, UnknownNameError
from aicompute.estimate import reading, replay, workload
from aicompute.estimate.context import drawn, scene, standing
from aicompute.estimate.result import bounds
from aicompute.estimate.serving import ServingPlan
from aicompute.numerics import ceil, exp, floor, log2, maximum, minimum, safe_divide, sqrt, where
from aicompute.playback import played
from aicompute.search import best
from aicompute.search.compare import Options, compare_systems, estimate_system
from aicompute.specs import Library
from aicompute.specs.current import KEPT, current

RATE = "tokens_per_s_per_accelerator"
PLAN = {"tp": 1, "dp": 32, "pp": 1, "ep": 32}

SITE = """name = "Test site"
country = "XX"
currency = "USD"
extends = "us-average"
[electricity]
price = {{ value = {price}, unit = "USD/kWh", kind = "assumed", low = 0.01, high = 1.0, source = "assumption-test" }}
"""


def price_of(view):
    return view["cost_per_token"].value


def asked(**terms):
    return ac.estimate("gb200-nvl72", workload=ac.decode(batch=64), plan=PLAN, samples=0, **terms)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "sites").mkdir()
    (tmp_path / "sites" / "here.toml").write_text(SITE.format(price="0.10"))
    return tmp_path


# --- specs


def test_a_changed_file_is_read_again(folder):
    """Same folder, same length of the file: only its time tells."""
    path = folder / "sites" / "here.toml"
    before = price_of(asked(site="here", specs=folder))
    assert price_of(asked(site="here", specs=folder)) == before
    path.write_text(SITE.format(price="0.20"))
    os.utime(path, ns=(1, 1))
    after = price_of(asked(site="here", specs=folder))
    assert after > before
    assert after == price_of(asked(site="here", library=Library([folder])))


def test_files_that_come_and_go(folder):
    before = price_of(asked(specs=folder))
    own = folder / "sites" / "us-average.toml"
    own.write_text(SITE.format(price="0.30"))
    dear = price_of(asked(specs=folder))
    own.unlink()
    assert dear > before
    assert price_of(asked(specs=folder)) == before
    with pytest.raises(UnknownNameError):
        asked(site="there", specs=folder)
    (folder / "sites" / "here.toml").rename(folder / "sites" / "there.toml")
    assert asked(site="there", specs=folder).site == "there"
    with pytest.raises(UnknownNameError):
        asked(site="here", specs=folder)


def test_an_alias_that_moves(folder):
    path = folder / "sites" / "here.toml"
    other = folder / "sites" / "other.toml"
    path.write_text('aliases = ["spot"]\n' + SITE.format(price="0.10"))
    other.write_text(SITE.format(price="0.40"))
    assert asked(site="spot", specs=folder).site == "here"
    path.write_text(SITE.format(price="0.10"))
    other.write_text('aliases = ["spot"]\n' + SITE.format(price="0.40"))
    assert asked(site="spot", specs=folder).site == "other"


def test_a_file_that_breaks_and_is_mended(folder):
    path = folder / "sites" / "here.toml"
    good = price_of(asked(site="here", specs=folder))
    path.write_text(SITE.format(price='"dear"'))
    with pytest.raises(SpecError, match=r"electricity\.price"):
        asked(site="here", specs=folder)
    path.write_text(SITE.format(price="0.10"))
    assert price_of(asked(site="here", specs=folder)) == good


def test_the_variable_is_looked_at_each_time(folder, monkeypatch):
    with pytest.raises(UnknownNameError):
        asked(site="here")
    monkeypatch.setenv("AICOMPUTE_SPECS", str(folder))
    assert asked(site="here").site == "here"
    monkeypatch.delenv("AICOMPUTE_SPECS")
    with pytest.raises(UnknownNameError):
        asked(site="here")


def test_a_relative_folder_belongs_to_where_it_is(folder, tmp_path_factory, monkeypatch):
    other = tmp_path_factory.mktemp("other")
    for place, price in ((folder, "0.10"), (other, "0.50")):
        (place / "mine" / "sites").mkdir(parents=True)
        (place / "mine" / "sites" / "here.toml").write_text(SITE.format(price=price))
    found = []
    for place in (folder, other, folder):
        monkeypatch.chdir(place)
        found.append(price_of(asked(site="here", specs="mine")))
    assert found[0] == found[2] < found[1]


def test_libraries_are_kept_and_bounded(tmp_path):
    assert current() is current()
    for number in range(2 * KEPT):
        (tmp_path / str(number) / "sites").mkdir(parents=True)
        current([tmp_path / str(number)])
    from aicompute.specs.current import _kept

    assert len(_kept) <= KEPT


def test_changes_do_not_leak():
    """Alternating changes give what a library of their own gives, and nothing stays."""
    choices = [None, {"gb200-nvl72.price.unit": "8e6 USD"}, {"gb200-nvl72.price.unit": 2e6}, {"generic.efficiency.memory": 0.5}]
    for changes in (*choices, *reversed(choices)):
        own = Library().override(changes) if changes else Library()
        assert asked(set=changes).metrics == asked(library=own).metrics


def test_equal_numbers_of_other_kinds_are_other_changes():
    """4000000 == 4e6, but they need not be the same change."""
    lib = Library()
    assert lib.variant({"gb200-nvl72.price.unit": 4000000}) is not lib.variant({"gb200-nvl72.price.unit": 4e6})
    assert lib.variant({"gb200-nvl72.price.unit": 4e6}) is lib.variant({"gb200-nvl72.price.unit": 4e6})


def test_an_override_shares_what_it_leaves():
    lib = Library()
    other = lib.override({"generic.launch": "9 us"}).override({"us-average.pue.air": 1.5})
    for kind, name in (("models", "deepseek-v3"), ("systems", "gb200-nvl72")):
        assert other.load(kind, name) is lib.load(kind, name)
    assert other.load("accelerators", "nvidia-h100-sxm") is not lib.load("accelerators", "nvidia-h100-sxm")
    assert other.load("sites", "us-average").si("pue.air") == 1.5
    assert lib.load("sites", "us-average").si("pue.air") != 1.5


# --- grids and choices


def test_targets_sites_and_use_are_asked_of_kept_grids():
    """Answers in one go, and each from nothing."""
    cases = [
        (workload.decode(tpot=0.02), {}),
        (workload.decode(tpot=0.05), {}),
        (workload.prefill(ttft=1.0), {"utilisation": 0.9}),
        (workload.prefill(ttft=1.0), {"utilisation": 0.3}),
        (workload.prefill(ttft=2.0, prefix_hit=0.5), {}),
        (workload.serving(), {"sites": ("home",)}),
        (workload.serving(), {"accelerators": 36.0}),
        (workload.serving(length_variation=0.5), {"precision": "8bit"}),
        (workload.training(global_batch=256), {"accelerators": 64.0}),
        (workload.training(global_batch=256), {"accelerators": 64.0, "sites": ("de",), "rent": 2.0 / 3600.0}),
    ]

    def answers(forget):
        lib = Library()
        for w, options in cases:
            if forget:
                best._kept.clear()
                lib = Library()
            model = "llama-3.1-8b" if w.is_training else "deepseek-r1-0528"
            found = estimate_system(lib, "gb200-nvl72", model, w, Options(samples=0, **options))
            yield found.feasible, found.reason, dict(found.plan), {n: m.value for n, m in found.metrics.items()}, found.alternatives

    assert list(answers(forget=False)) == list(answers(forget=True))
    assert len(best._kept) <= best._KEPT


# --- draws


def test_draws_are_the_same_from_nothing():
    value = Library().load("accelerators", "nvidia-h100-sxm").value("efficiency.memory")
    kept = reading.Sampler(50)(Library().load("accelerators", "nvidia-h100-sxm"), "efficiency.memory")
    reading._normal.cache_clear()
    reading._own_draws.cache_clear()
    again = reading.Sampler(50)(Library().load("accelerators", "nvidia-h100-sxm"), "efficiency.memory")
    np.testing.assert_array_equal(kept, again)
    key = f"efficiency.memory|{value.value}|{value.low}|{value.high}|{value.source}"
    np.testing.assert_array_equal(kept, reading.spread_draws(value, reading.Sampler(50).normal(key)))
    with pytest.raises(ValueError, match="read-only"):
        kept[0] = 0.0


@given(st.integers(1, 60), st.integers(1, 3))
def test_bounds_are_those_of_numpy(count, rows):
    draws = np.random.default_rng(count).lognormal(size=(rows, count))
    low, high = bounds(draws)
    np.testing.assert_allclose([low, high], np.quantile(draws, (0.05, 0.95), axis=1), rtol=1e-15)
    draws[0, 0] = np.nan
    assert np.isnan(bounds(draws)[0][0])


# --- formulas played back

LIBRARY = Library()
SCENES = {
    "decode": scene(LIBRARY, "gb200-nvl72", "deepseek-r1-0528", "decode"),
    "prefill": scene(LIBRARY, "cloudmatrix-384", "deepseek-r1-0528", "prefill"),
    "in flight": scene(LIBRARY, "dgx-h100", "llama-3.1-70b", "serving"),
    "training": scene(LIBRARY, "dgx-h100", "deepseek-v3", "training", accelerators=2048.0),
}
POWERS = st.sampled_from([1.0, 2.0, 4.0, 8.0, 16.0, 32.0])


def asked_once(kind, count, length, plan, load, drafts):
    """The same from the tape and from the formulas."""
    s = SCENES[kind]
    r = drawn(s, count) if count else standing(s)
    if kind == "training":
        w = workload.training(length, 512.0 * load)
        one = dict(zip(("tp", "dp", "pp", "ep"), plan, strict=True))
        rest = {"chunks": 1.0, "cp": 1.0, "micro_batch": 1.0, "zero": drafts, "recompute": 2.0 * drafts}
        laid_out, given_load = best.training_plan({**one, **rest}, 1.0), ()
    else:
        w = {"decode": workload.decode, "prefill": workload.prefill, "in flight": workload.serving}[kind](length)
        laid_out, given_load = ServingPlan(*plan), (load * plan[1],) if kind == "prefill" else (load * plan[1], drafts)
    played = replay.outcome(kind, s, r, w, laid_out, *given_load)
    return played, replay.EVALUATE[kind](s, r, w, laid_out, *given_load)


@pytest.mark.parametrize("count", [0, 30])
@pytest.mark.parametrize("kind", list(SCENES))
@settings(max_examples=25, deadline=None)
@given(st.integers(64, 200_000), st.tuples(POWERS, POWERS, POWERS, POWERS), st.integers(1, 300), st.sampled_from([0.0, 1.0]))
def test_a_tape_gives_what_the_formulas_give(kind, count, length, plan, load, drafts):
    devices, (tp, dp, pp, ep) = SCENES[kind].devices, plan
    tp, pp = min(tp, 4.0), min(pp, 2.0)
    dp = min(dp, devices / tp / pp)
    with mock.patch.object(replay, "AFTER", 1):
        played, found = asked_once(kind, count, length, (tp, dp, pp, min(ep, tp * dp)), float(load), drafts)
        assert played.timed == []
    for ours, theirs in (
        (played.metrics, found.metrics),
        (played.parts, found.parts),
        (played.communication, found.communication),
        (played.memory_parts, found.memory_parts),
        ({"share": played.memory_share}, {"share": found.memory_share}),
    ):
        assert list(ours) == list(theirs)
        for name, number in theirs.items():
            np.testing.assert_allclose(ours[name], number, rtol=1e-12, atol=0.0, err_msg=name)


@pytest.mark.parametrize("kind", list(SCENES))
def test_tapes_are_made_for_all_kinds(kind):
    for _ in range(replay.AFTER + 1):
        played, _ = asked_once(kind, 0, 1000, (1.0, 8.0, 1.0, 8.0), 4.0, 0.0)
    assert SCENES[kind].memo[f"{kind} of standing"].play is not None
    assert played.timed == []


def test_terms_that_are_part_of_a_tape_make_another():
    s = scene(Library(), "gb200-nvl72", "deepseek-r1-0528", "prefill")
    r, plan = standing(s), ServingPlan(1.0, 32.0, 1.0, 32.0)
    for hit in (0.0, 0.5, 0.0):
        w = workload.prefill(4096, prefix_hit=hit)
        for _ in range(replay.AFTER + 1):
            played = replay.outcome("prefill", s, r, w, plan, 64.0)
        assert played.metrics == replay.EVALUATE["prefill"](s, r, w, plan, 64.0).metrics


def test_operators_are_told_where_they_are_wanted():
    w = workload.decode(batch=64)
    for _ in range(replay.AFTER + 1):
        found = estimate_system(LIBRARY, "gb200-nvl72", "deepseek-r1-0528", w, Options(samples=0, plan=PLAN))
    assert not found.operators
    explained = estimate_system(LIBRARY, "gb200-nvl72", "deepseek-r1-0528", w, Options(samples=0, plan=PLAN, explain=True))
    assert len(explained.operators) > 5
    assert explained.metrics == found.metrics


def test_comparisons_stay_the_same_when_asked_often():
    """From the formulas at first, from tapes at last."""
    lib, names = Library(), ["cloudmatrix-384", "gb200-nvl72"]
    found = [
        compare_systems(lib, names, "deepseek-r1-0528", workload.decode(batch=48), Options(plan=PLAN, samples=64))
        for _ in range(replay.AFTER + 2)
    ]
    for first, last in zip(found[0], found[-1], strict=True):
        assert first.metrics == last.metrics
        for name, metric in first.metrics.items():
            if metric.draws is not None:
                np.testing.assert_allclose(last.metrics[name].draws, metric.draws, rtol=1e-12)


def everything(a, b):
    """All that numerics and the operators know."""
    c = where((a > b) & (b >= 0.5), sqrt(a) + 2.0**-b, exp(-a) / (1.0 - b * 0.01))
    d = maximum(a, 3.0) - minimum(4.0, b) ** 2.0 + ceil(a) * floor(b) + log2(a + 1.0)
    return [c + d, -d, safe_divide(a, b - 1.0), (a < b) * 5.0, 1.0 if a is None else a, where(a != b, 1.0, float("inf"))]


@given(st.floats(0.01, 100.0), st.floats(0.0, 50.0))
def test_a_tape_of_all_operations(a, b):
    assert played(everything, 2)(a, b) == tuple(everything(a, b))


def test_what_is_no_formula_is_not_recorded():
    for function in (
        lambda a: [a if a > 0.0 else -a],
        lambda a: [float(a)],
        lambda a: [np.asarray(a)],
        lambda a: [np.sum([a, a])],
        lambda a: [np.sin(a)],
        lambda a: [np.maximum(a, 1.0, where=True)],
    ):
        with pytest.raises((TypeError, AttributeError)):
            played(function, 1)
