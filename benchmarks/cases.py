"""What is measured: scenarios with every input as an array of unrelated numbers."""

from dataclasses import replace

import numpy as np

from aicompute.estimate import recorded, workload
from aicompute.estimate.context import records, scene
from aicompute.specs import Library

SERVED = ("cloudmatrix-384", "deepseek-r1-0528")
TRAINED = ("dgx-h100", "deepseek-v3")
KINDS = ("decode", "training", "serving")
PLANS = {
    "tp": (1.0, 2.0, 4.0), "dp": (8.0, 16.0, 32.0), "pp": (1.0, 2.0, 4.0), "cp": (1.0, 2.0), "ep": (1.0, 8.0, 16.0, 32.0),
    "chunks": (1.0, 2.0), "micro_batch": (1.0, 2.0, 4.0), "zero": (0.0, 1.0, 2.0, 3.0), "recompute": (0.0, 1.0, 2.0),
    "sequence_parallel": (0.0, 1.0), "sequences": (64.0, 256.0, 1024.0, 4096.0), "drafts": (0.0, 1.0, 2.0),
}  # fmt: skip


class Flat:
    """A flat batch of unrelated configurations of one kind of work: plan, workload, terms and every spec value that is read are arrays."""

    def __init__(self, kind):
        system, model = TRAINED if kind == "training" else SERVED
        accelerators = 2048.0 if kind == "training" else None
        self.scene = scene(Library(), system, model, kind, accelerators=accelerators)
        self.work = workload.training(tokens=14.8e12) if kind == "training" else getattr(workload, kind)()
        s = self.scene
        self.base = {name: value.value for name, (_, _, value) in recorded.values_read(s).items()}
        self.base |= {"accelerators": s.accelerators, "utilisation": s.utilisation}
        fields = {name: getattr(self.work, name) for name in recorded.FIELDS[kind]}
        self.base |= {name: value for name, value in fields.items() if value is not None}
        self.plan = recorded.TRAINING_PLAN if self.work.is_training else recorded.SERVING_PLAN
        self.names = (*self.base, *self.plan)
        self.program = recorded.scene_program(s, self.work, {}, dict.fromkeys(self.names, 1))

    def rows(self, count, seed=0):
        """So many configurations: plans from `PLANS`, any other number from three quarters of what it is up to that."""
        draw = np.random.default_rng(seed)
        found = {name: draw.choice(PLANS[name], count) for name in self.plan}
        for name, value in self.base.items():
            column = value * draw.uniform(0.75, 1.0, count)
            found[name] = np.ceil(column) if value == round(value) else column
        return found

    def inputs(self, columns):
        """Those that the program reads."""
        return {name: columns[name] for name in self.program.inputs}

    def ordinary(self, columns):
        """The same metrics by the formulas themselves, over arrays or plain floats."""
        s, w = self.scene, self.work

        def read(spec, path, default=None):
            name = recorded.address(spec, path)
            return columns[name] if name in columns else recorded.read_value(spec, path, default)

        work = replace(w, **{name: columns[name] for name in recorded.FIELDS[w.kind] if name in columns})
        place = replace(s, memo={}, **{name: columns[name] for name in recorded.TERMS if name in columns})
        with np.errstate(all="ignore"):
            return recorded._outcome(place, records(s, read), work, columns).metrics

    def operations(self):
        """Operations on arrays, name to count."""
        from aicompute.tape import needed

        metrics = recorded.recorded(self.scene, self.work, {}, dict.fromkeys(self.names, 1))
        found = {}
        for value in needed(metrics.values()):
            if value.operation != "input" and value.axes:
                found[value.operation] = found.get(value.operation, 0) + 1
        return found
