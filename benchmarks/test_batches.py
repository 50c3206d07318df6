"""Batches, sweeps, sensitivities, draws and single estimates: how many a second, and how much faster than other ways of doing the same.

Run with `pytest benchmarks/test_batches.py`. CPU time, the least of some rounds. What fails is a ratio of two things measured in turn in
the same process; times and rates are reported (`--benchmark-json FILE`, then `python benchmarks/table.py FILE`).
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cases import KINDS, Flat
from measure import ROWS, arithmetic_bound, cache_bound, least, own_bound, plain_loop

COUNT = 1 << 17
WHOLE = 1 << 18
"""Rows of which one buffer is 2 MB: no cache holds a few dozen of them."""
CHUNKED = 1.5
ONE_CHUNK = 1.15
SCALAR = 30.0
FORMULAS = 1.2
"""A program against the formulas on arrays of 8,192 rows."""
SHARE = 0.25
"""Of the rate at which the program's own operations run alone on arrays in the cache."""
EXPONENT = 1.05
SLACK = 0.05
"""What the fit of an exponent to noisy times may be off."""
CARLO = 200.0
"""Plain loops that twenty systems with 100,000 draws each may take."""
POINTS = 50.0
"""Plain loops that a search of the operating points of a service may take."""
SWEPT = 300e6
"""Bytes above start of a sweep that keeps the best rows."""


@pytest.fixture(scope="module", params=KINDS)
def flat(request):
    return Flat(request.param)


def test_flat_batch(benchmark, row, flat):
    """Every input an array, all metrics; the formulas themselves and a scalar loop over the same rows give the same numbers."""
    columns = flat.rows(COUNT)
    given = flat.inputs(columns)
    few = {name: column[:ROWS] for name, column in columns.items()}
    singles = [{name: float(column[k]) for name, column in columns.items()} for k in range(100)]
    found = flat.program.run(given)
    for name, value in flat.ordinary(few).items():
        np.testing.assert_allclose(found[name][:ROWS], np.broadcast_to(value, ROWS), rtol=1e-12)
    assert flat.ordinary(singles[7])["cost_per_token"] == pytest.approx(found["cost_per_token"][7], rel=1e-12)
    run, array, loop = least(
        lambda: flat.program.run(given), lambda: flat.ordinary(few), lambda: [flat.ordinary(one) for one in singles], rounds=7
    )
    benchmark.pedantic(flat.program.run, (given,), rounds=3)
    rate, formulas, scalar = COUNT / run, ROWS / array, len(singles) / loop
    benchmark.extra_info.update(rows_per_s=round(rate), array_per_s=round(formulas), scalar_per_s=round(scalar))
    what = f"flat batch, {flat.work.kind}: {len(given)} inputs, all arrays, {len(found)} metrics"
    said = f"{rate / formulas:.1f} × formulas on arrays, {formulas / scalar:.0f} × there over a scalar loop"
    row(what, f"{rate / 1e6:.2f} million/s", "2 million/s", f"{said} (limits {FORMULAS:g}, {SCALAR:g})")
    assert rate >= FORMULAS * formulas, f"a program is only {rate / formulas:.3g} times as fast as formulas on arrays"
    assert formulas >= SCALAR * scalar, f"arrays are only {formulas / scalar:.3g} times as fast as a scalar loop"


def test_flat_batch_of_plans(benchmark, row, flat):
    """Plan, workload and terms as arrays, one system: what depends on its specs alone is done once."""
    from aicompute.estimate import recorded

    names = [name for name in flat.names if "/" not in name]
    program = recorded.scene_program(flat.scene, flat.work, {}, dict.fromkeys(names, 1))
    columns = flat.rows(COUNT)
    given = {name: columns[name] for name in program.inputs}
    run, loop = least(lambda: program.run(given), plain_loop, rounds=5)
    benchmark.pedantic(program.run, (given,), rounds=3)
    what = f"flat batch, {flat.work.kind}: plan, workload and terms arrays, one system"
    row(what, f"{COUNT / run / 1e6:.2f} million/s", "", f"{program.array_operations} operations")
    benchmark.extra_info.update(rows_per_s=round(COUNT / run), loops=round(run / loop, 2))


def test_chunks_against_whole(benchmark, row):
    """A program in chunks against the same program in one chunk, and against the formulas over whole arrays."""
    flat = Flat("decode")
    columns = flat.rows(WHOLE)
    given = flat.inputs(columns)
    chunked, single, whole = least(
        lambda: flat.program.run(given, rows=ROWS), lambda: flat.program.run(given, rows=WHOLE), lambda: flat.ordinary(columns), rounds=3
    )
    benchmark.pedantic(flat.program.run, (given, ROWS), rounds=1)
    row(f"{WHOLE:,} rows in chunks against formulas over whole arrays", f"{whole / chunked:.2f} ×", "1.5 ×", f"limit {CHUNKED:g}")
    row(f"{WHOLE:,} rows in chunks against one chunk", f"{single / chunked:.2f} ×", "1.5 ×", f"limit {ONE_CHUNK:g}, for noise")
    assert whole >= CHUNKED * chunked, f"chunks are only {whole / chunked:.3g} times as fast as whole arrays, limit {CHUNKED:g}"
    assert single >= ONE_CHUNK * chunked, f"chunks are only {single / chunked:.3g} times as fast as one, limit {ONE_CHUNK:g}"


def test_share_of_the_machine(benchmark, row):
    """How near a program comes to what one NumPy call an operation can do, and to the arithmetic of the core."""
    flat = Flat("decode")
    given = flat.inputs(flat.rows(COUNT))
    operations = flat.operations()
    total = sum(operations.values())
    benchmark.pedantic(flat.program.run, (given,), rounds=3)
    own, taken, product, peak = float("inf"), float("inf"), 0.0, 0.0
    for _ in range(3):  # in turn, the least of each: other work on the machine comes and goes
        own = min(own, own_bound(operations))
        product, peak = max(product, cache_bound()), max(peak, arithmetic_bound())
        taken = min(taken, least(lambda: flat.program.run(given), rounds=3)[0])
    done = total * COUNT / taken
    best, cached = own * COUNT / taken, done / product
    benchmark.extra_info.update(share_of_own=round(best, 3), share_of_cache=round(cached, 3), share_of_arithmetic=round(done / peak, 4))
    row("share of what its operations take alone in the cache, decode", f"{best:.0%}", "stated", f"limit {SHARE:.0%}")
    said = f"{cached:.0%} ({done / 1e9:.2f} of {done / cached / 1e9:.2f} G/s)"
    row("share of NumPy's cache bound (multiplying 8,192 rows)", said, "stated")
    row("share of the arithmetic bound (matrix product)", f"{done / peak:.1%} of {peak / 1e9:.0f} GFLOP/s", "stated")
    assert best >= SHARE, f"a program reaches {best:.1%} of what its operations take alone, limit {SHARE:.0%}"


def test_cost_grows_linearly(benchmark, row):
    """Time against rows over four decades: the exponent of a power law; each size takes its least time of several rounds."""
    from aicompute.estimate import recorded

    flat = Flat("decode")
    names = [name for name in flat.names if "/" not in name]
    metrics = ["tpot", "memory_share", "cost_per_token"]
    program = recorded.scene_program(flat.scene, flat.work, {}, dict.fromkeys(names, 1), metrics)
    base = flat.rows(1 << 16)
    sizes = np.array([10**k for k in np.arange(3.0, 7.1, 0.5)]).astype(int)

    def seconds(size):
        given = {name: np.resize(base[name], size) for name in program.inputs}
        return least(lambda: program.run(given), rounds=max(2, min(30, 1_000_000 // size)))[0]

    times = np.array([seconds(size) for size in sizes])
    benchmark.pedantic(program.run, ({name: base[name] for name in program.inputs},), rounds=3)
    exponent = float(np.polyfit(np.log(sizes), np.log(times), 1)[0])
    benchmark.extra_info.update(rows=sizes.tolist(), seconds=times.round(6).tolist(), exponent=round(exponent, 3))
    what = f"exponent of time against rows, {sizes[0]:,} to {sizes[-1]:,}"
    row(what, f"{exponent:.3f}", f"{EXPONENT:g}", f"limit {EXPONENT:g} + {SLACK:g} for noise")
    assert exponent <= EXPONENT + SLACK, f"time grows as rows to the power of {exponent:.3f}"


def test_estimate(benchmark, row):
    """One estimate through the public API, warm; with its interval; in milliseconds and in plain loops."""
    import aicompute as ac

    lib = ac.Library()
    plan = {"tp": 1, "dp": 32, "pp": 1, "ep": 32, "batch": 64}
    terms = {"model": "deepseek-r1-0528", "workload": ac.decode(), "plan": plan, "drafts": 0, "library": lib}

    def ask(samples):
        for _ in range(20):
            ac.estimate("cloudmatrix-384", samples=samples, **terms)

    ask(0), ask(400)
    bare, interval, loop = least(lambda: ask(0), lambda: ask(400), plain_loop, rounds=7)
    benchmark.pedantic(ac.estimate, ("cloudmatrix-384",), {"samples": 0, **terms}, rounds=20)
    row("one estimate, public API, warm, no interval", f"{1e6 * bare / 20:.0f} µs", "200 µs", f"{bare / 20 / loop:.4f} loops (limit 0.02)")
    row("the same with its interval (400 draws)", f"{1e3 * interval / 20:.2f} ms", "2 ms", f"{interval / 20 / loop:.4f} loops (limit 0.2)")
    assert bare / 20 <= 0.02 * loop
    assert interval / 20 <= 0.2 * loop


def test_sensitivities(benchmark, row):
    """All spec values at once, and what a person waits for; the plan is given, so no search is timed."""
    import aicompute as ac
    from aicompute.estimate.context import scene, standing
    from aicompute.estimate.recorded import values_read
    from aicompute.estimate.result import METRICS
    from aicompute.search.compare import Options, choose
    from aicompute.search.sensitivity import _differences
    from aicompute.specs import Library

    lib, work = Library(), ac.decode()
    plan = {"tp": 1.0, "dp": 32.0, "pp": 1.0, "ep": 32.0, "batch": 64.0}
    s = scene(lib, "cloudmatrix-384", "deepseek-r1-0528", "decode")
    _, run, _ = choose(s, standing(s), work, Options(plan=plan, samples=0, drafts=(0.0,)))
    values = values_read(s)
    names = [name for name in run(standing(s)).metrics if name in METRICS]
    thirty = dict(list(values.items())[:30])

    def ask():
        return ac.sensitivity("cloudmatrix-384", workload=work, plan=plan, drafts=0, finite=False, library=lib)

    ask()
    times = least(lambda: _differences(s, run, thirty, names), lambda: _differences(s, run, values, names), ask, plain_loop, rounds=15)
    some, every, asked, loop = times
    benchmark.pedantic(ask, rounds=5)
    row("thirty sensitivities, all metrics", f"{1e3 * some:.2f} ms", "2 ms", f"{some / loop:.3f} loops (limit 0.2)")
    row(f"all {len(values)} sensitivities, with their ranges", f"{1e3 * every:.2f} ms", "", f"{len(values) / every / 1e3:.1f} thousand/s")
    row("`ac.sensitivity`, given plan, no finite changes", f"{1e3 * asked:.1f} ms", "", f"{asked / loop:.3f} loops")
    assert some <= 0.2 * loop


PLAN = {"tp": 8.0, "dp": 1.0, "pp": 1.0, "ep": 1.0, "batch": 16.0}
SYSTEMS, DRAWS = 20, 100_000
MODEL = "llama-3.1-70b"


def test_monte_carlo(benchmark, row):
    """Draws of 20 systems: through `compare`, as people ask, and by programs over what they need of the drawn values."""
    import aicompute as ac
    from aicompute.estimate import reading, recorded

    lib, work = ac.Library(), ac.decode()
    scenes = _scenes(lib, work)
    systems = [s.system.id for s in scenes]

    def forget():  # draws are kept with a scene, and for the next system
        reading._kept.clear()
        for s in scenes:
            s.memo.pop(f"drawn {DRAWS}", None)

    def ask():
        forget()
        return ac.compare(systems, model=MODEL, workload=work, plan=PLAN, drafts=0, samples=DRAWS, library=lib)

    plan = {**PLAN, "drafts": 0.0}

    def programs():
        forget()
        for s in scenes:
            sampler, read = reading.Sampler(DRAWS), recorded.values_read(s)
            vary = {name: 1 for name, (_, _, value) in read.items() if value.low != value.high}
            program = recorded.scene_program(s, work, plan, vary, ["tpot", "cost_per_token", "it_power"])
            program.run({name: sampler(*read[name][:2]) for name in program.inputs})

    programs()
    recorded_programs, asked, loop = least(programs, ask, plain_loop, rounds=2)
    forget()
    few = {"model": MODEL, "workload": work, "plan": PLAN, "drafts": 0, "samples": 400, "library": lib}
    benchmark.pedantic(ac.compare, (systems,), few)
    rate = len(systems) * DRAWS
    what = f"Monte Carlo, {len(systems)} systems × {DRAWS:,} draws"
    said = f"{rate / asked / 1e6:.2f} million/s; {asked / loop:.0f} loops (limit {CARLO:g})"
    row(f"{what}: `ac.compare`", f"{asked:.2f} s", "1 s", said)
    row(f"{what}: programs, three metrics, draws included", f"{recorded_programs:.2f} s", "1 s", f"{recorded_programs / loop:.0f} loops")
    assert asked <= CARLO * loop


def _scenes(lib, work):
    """Twenty systems that can serve the model under the plan."""
    import aicompute as ac
    from aicompute.estimate.context import scene, standing
    from aicompute.search.compare import Options, choose

    found = []
    for name in lib.ids("systems"):
        try:
            s = scene(lib, name, MODEL, "decode", "us-average", None, None, None, 0.6, None)
            _, run, _ = choose(s, standing(s), work, Options(plan=PLAN, samples=0, drafts=(0.0,)))
        except ac.AicomputeError:
            continue
        if run is not None and len(found) < SYSTEMS:
            found.append(s)
    assert len(found) == SYSTEMS
    return found


SWEEP = """
import json, sys, time
from measure import peak_resident, resident
import aicompute as ac
span = {"from": "x0.5", "to": "x2", "count": int(sys.argv[1]), "spacing": "log"}
axes = {"accelerator.memory.bandwidth": span, "system.price.unit": span, "site.electricity.price": span}
batch = list(range(8, 808, int(sys.argv[2])))
plan = {"tp": 1, "dp": 32, "pp": 1, "ep": 32}
terms = dict(system="cloudmatrix-384", workload="decode", plan=plan, drafts=0, top=20, objective="cost_per_token", workers=1, large=True)
ac.sweep({**axes, "site.electricity.price": ["x1"], "batch": [8]}, **terms)
start, began = resident(), time.process_time()
found = ac.sweep({**axes, "batch": batch}, **terms)
took, peak = time.process_time() - began, peak_resident()
points = found.answer.progress.points
print(json.dumps({"seconds": took, "points": points, "kept": len(found), "above": None if start is None else peak - start}))
"""


def test_sweep_that_keeps_the_best(benchmark, row, large):
    """A grid of 1e7 rows (1e8 with --large) over three spec values and a batch, of which the best 20 stay, in a process of its own."""
    command = [sys.executable, "-c", SWEEP, "100" if large else "50", "8" if large else "10"]
    paths = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}

    def sweep():
        return json.loads(subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout)

    found = benchmark.pedantic(sweep, rounds=1)
    points, above = found["points"], found["above"]
    assert points == (10**8 if large else 10**7)
    assert found["kept"] == 20
    loop = least(plain_loop)[0]
    rate = points / found["seconds"]
    row(f"sweep of {points:,} rows, best 20 kept, all metrics", f"{rate / 1e6:.2f} million rows/s", "", f"{found['seconds']:.0f} s CPU")
    benchmark.extra_info.update(rows_per_loop=round(rate * loop), bytes_above_start=above)
    if above is not None:
        row("its memory above start", f"{above / 1e6:.0f} MB", "under 300 MB", f"limit {SWEPT / 1e6:.0f} MB")
        assert above <= SWEPT, f"a sweep of {points:,} rows takes {above / 1e6:.0f} MB above start, limit {SWEPT / 1e6:.0f} MB"


def test_served_operating_points(benchmark, row):
    """Plan × batch × draft tokens under latency targets, one pool and two: points a second; of two pools every pair of engines is one."""
    from aicompute.estimate import workload
    from aicompute.search.plans import Terms, search_plans
    from aicompute.specs import Library

    lib = Library()
    loads = Terms(axes={"sequences": tuple(range(1, 1025))})
    for what, work, terms in (
        ("decode, TPOT 50 ms, every batch to 1,024", workload.decode(tpot=0.05), loads),
        ("one pool or two, TTFT 2 s, TPOT 50 ms", workload.serving(), Terms()),
    ):
        answer = search_plans(lib, "cloudmatrix-384", "deepseek-r1-0528", work, terms)
        seconds, loop = least(
            lambda work=work, terms=terms: search_plans(lib, "cloudmatrix-384", "deepseek-r1-0528", work, terms), plain_loop, rounds=3
        )
        each = answer.valid / seconds
        row(f"serving points, {what}", f"{each / 1e6:.2f} million/s", "1 million/s", f"{answer.valid:,} points, {seconds / loop:.1f} loops")
        assert seconds <= POINTS * loop
    benchmark.pedantic(search_plans, (lib, "cloudmatrix-384", "deepseek-r1-0528", workload.serving(), Terms()), rounds=2)
