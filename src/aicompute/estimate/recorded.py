"""A scenario as a program: its formulas recorded over whatever varies, to be run over batches of millions of rows.

The formulas are those of `evaluate`, run once over names instead of numbers; one question, a search and a batch so have one source.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import fields, replace
from typing import Any

from aicompute.errors import UsageError
from aicompute.estimate import evaluate
from aicompute.estimate.context import Records, Scene, records
from aicompute.estimate.reading import Reader, read_value
from aicompute.estimate.serving import ServingPlan
from aicompute.estimate.training import TrainingPlan
from aicompute.estimate.workload import Workload
from aicompute.numerics import Array, maximum
from aicompute.plan.layout import expert_tensor_ranks
from aicompute.program import Program, compiled
from aicompute.specs import Spec, Value
from aicompute.tape import Tape

TERMS = ("accelerators", "utilisation", "rent")
"""Numbers of a scene that may vary."""
FIELDS: Mapping[str, tuple[str, ...]] = {
    "training": ("sequence_length", "global_batch", "tokens"),
    "prefill": ("input_length", "prefix_hit"),
    "decode": ("input_length", "output_length", "length_variation"),
    "serving": ("input_length", "output_length", "prefix_hit", "length_variation"),
}
"""Fields of a workload that may vary; latency targets are no input of a formula, they choose."""
TRAINING_PLAN = tuple(f.name for f in fields(TrainingPlan) if f.name != "expert_tp")
AS_TENSOR = -1.0
"""A number of ``etp``, the ranks that share an expert: as many as those that share a layer, tp."""
SERVING_PLAN = ("tp", "dp", "pp", "ep", "sequences", "drafts")
"""Numbers of a plan; ``sequences`` are those of an engine at a time, of a prefill engine the prompts of a batch. Instead of them ``batch``
may stand, the sequences of an accelerator."""


def address(spec: Spec, path: str) -> str:
    """The name of a spec value among what varies.

    Examples
    --------
    >>> from aicompute.specs import Library
    >>> address(Library().load("sites", "us-average"), "electricity.price")
    'sites/us-average.electricity.price'
    """
    return f"{spec.kind}/{spec.id}.{path}"


class Reads:
    """Reads values as they stand, and remembers them."""

    def __init__(self) -> None:
        self.seen: dict[str, tuple[Spec, str, Value]] = {}
        """By their `address`."""

    def __call__(self, spec: Spec, path: str, default: float | None = None) -> Array:
        """The number at a path in SI units."""
        found = spec.get(path, None) if default is not None else spec.get(path)
        if isinstance(found, Value):
            self.seen[address(spec, path)] = spec, path, found
        return read_value(spec, path, default)


def values_read(s: Scene) -> dict[str, tuple[Spec, str, Value]]:
    """Every spec value that the formulas of a scene read, by its `address`; kept with the scene."""
    if "values read" not in s.memo:
        reads = Reads()
        records(s, reads)
        s.memo["values read"] = reads.seen
    found: dict[str, tuple[Spec, str, Value]] = s.memo["values read"]
    return found


def scene_program(
    s: Scene, w: Workload, plan: Mapping[str, float], varying: Mapping[str, int], wanted: Collection[str] | None = None
) -> Program:
    """Metrics of a scenario over what varies.

    Parameters
    ----------
    s : Scene
    w : Workload
    plan : mapping      Numbers of the plan that do not vary, by the names of `TRAINING_PLAN` or `SERVING_PLAN`.
    varying : mapping   Names to the bits of the axes along which they vary (`Tape.input`): of the plan, of `FIELDS`, of `TERMS`, or
                        spec values by their `address`.
    wanted : collection   Metrics; None: all.

    Returns
    -------
    Program, kept with the scene.

    Raises
    ------
    UsageError
        A number of the plan is missing, or something that varies has no place in this kind of work.

    Examples
    --------
    >>> from aicompute.estimate.context import scene
    >>> from aicompute.estimate.workload import decode
    >>> from aicompute.specs import Library
    >>> s = scene(Library(), "gb200-nvl72", "deepseek-r1-0528", "decode")
    >>> plan = {"tp": 1.0, "dp": 32.0, "pp": 1.0, "ep": 32.0, "drafts": 0.0}
    >>> program = scene_program(s, decode(), plan, {"sequences": 1}, ["tpot"])
    >>> program.run({"sequences": [320.0, 3200.0]})["tpot"].round(4).tolist()[0] < 0.02
    True
    """
    key = f"program {w} {sorted(plan.items())} {sorted(varying.items())} {wanted if wanted is None else sorted(wanted)}"
    if key not in s.memo:
        metrics = recorded(s, w, plan, varying)
        s.memo[key] = compiled({name: value for name, value in metrics.items() if wanted is None or name in wanted})
    found: Program = s.memo[key]
    return found


def recorded(s: Scene, w: Workload, plan: Mapping[str, float], varying: Mapping[str, int], tape: Tape | None = None) -> dict[str, Array]:
    """Metrics of a scenario as recorded values; arguments as of `scene_program`."""
    t = tape or Tape()
    given: dict[str, Any] = {name: t.input(name, axes) for name, axes in varying.items()}
    known = (*(TRAINING_PLAN if w.is_training else SERVING_PLAN), *FIELDS[w.kind], *TERMS)
    strangers = [name for name in given if name not in known and name != ("etp" if w.is_training else "batch") and "/" not in name]
    missing = [name for name in (TRAINING_PLAN if w.is_training else SERVING_PLAN) if name not in plan and name not in given]
    if "batch" in plan or "batch" in given:
        missing = [name for name in missing if name != "sequences"]
    if strangers or missing:
        faults = [f"{name!r} does not vary in a {w.kind} scenario" for name in strangers]
        raise UsageError("; ".join([*faults, *([f"the plan lacks {', '.join(missing)}"] if missing else [])]))
    work = replace(w, **{name: given[name] for name in FIELDS[w.kind] if name in given})
    r = records(s, given_reader(given))
    place = replace(s, memo={}, **{name: given[name] for name in TERMS if name in given})
    return _outcome(place, r, work, {**plan, **given}).metrics


def given_reader(given: Mapping[str, Any]) -> Reader:
    """Reads values by their `address` as what is given for them: recorded values, or arrays; the others as they stand."""

    def read(spec: Spec, path: str, default: float | None = None) -> Array:
        name = address(spec, path)
        return given[name] if name in given else read_value(spec, path, default)

    return read


def _outcome(s: Scene, r: Records, w: Workload, numbers: Mapping[str, Any]) -> evaluate.Outcome:
    """The outcome of one kind of work under a plan given by its numbers."""
    if w.is_training:
        return evaluate.training_outcome(s, r, w, training_plan_of(numbers))
    plan = ServingPlan(*(numbers[name] for name in ("tp", "dp", "pp", "ep")))
    # every attention group has one
    sequences = numbers["sequences"] if "sequences" in numbers else maximum(numbers["batch"] * plan.devices / s.devices_each, plan.dp)
    if w.kind == "prefill":
        return evaluate.prefill_outcome(s, r, w, plan, sequences)
    find = evaluate.decode_outcome if w.kind == "decode" else evaluate.in_flight_outcome
    return find(s, r, w, plan, sequences, numbers["drafts"])


def training_plan_of(numbers: Mapping[str, Any]) -> TrainingPlan:
    """A training plan from its numbers; without ``etp`` experts are split over the tensor ranks where their group leaves room for it."""
    ranks = numbers["etp"] if "etp" in numbers else expert_tensor_ranks(numbers["tp"], numbers["ep"], numbers["dp"] * numbers["cp"])
    if isinstance(ranks, float) and ranks == AS_TENSOR:
        ranks = numbers["tp"]
    return TrainingPlan(**{name: numbers[name] for name in TRAINING_PLAN}, expert_tp=ranks)
