"""Options of a scenario, which ``compare`` and ``estimate`` share, and how they become arguments of the Python interface."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import click

from aicompute.cli.completion import MODELS, OPTIONS, SITES, words
from aicompute.errors import UnknownNameError, UsageError

Command = Callable[..., Any]

FIELDS: Mapping[str, Mapping[str, str]] = {
    "training": {"seq_len": "sequence_length", "global_batch": "global_batch", "tokens": "tokens"},
    "prefill": {"isl": "input_length", "ttft": "ttft", "batch": "batch", "prefix_hit": "prefix_hit"},
    "decode": {"isl": "input_length", "osl": "output_length", "tpot": "tpot", "batch": "batch", "length_variation": "length_variation"},
    "serving": {
        "isl": "input_length", "osl": "output_length", "ttft": "ttft", "tpot": "tpot", "prefix_hit": "prefix_hit",
        "length_variation": "length_variation",
    },
}  # fmt: skip
"""Options that belong to each workload, with the field they set."""

PLANS: Mapping[str, tuple[str, ...]] = {
    "training": ("tp", "dp", "pp", "cp", "ep", "etp", "vpp", "micro_batch", "zero", "recompute"),
    "prefill": ("tp", "dp", "pp", "ep"),
    "decode": ("tp", "dp", "pp", "ep"),
    "serving": ("tp", "dp", "pp", "ep"),
}
"""Options of the plan that belong to each workload."""

_WORK = (
    ("isl", "TOKENS", "Input length [4096]."),
    ("osl", "TOKENS", "Output length [1024]."),
    ("batch", "N", "Sequences per accelerator; else the best."),
    ("ttft", "TIME", "Longest time to first token, such as '2 s' [serving: 2 s]."),
    ("tpot", "TIME", "Longest time per output token, such as '50 ms' [serving: 50 ms]."),
    ("prefix-hit", "SHARE", "Share of input tokens found in a cache [0]."),
    ("length-variation", "SHARE", "Standard deviation over mean of lengths [0]."),
    ("global-batch", "N", "Training: sequences in a step [15360]."),
    ("seq-len", "TOKENS", "Training: tokens of a sequence [4096]."),
    ("tokens", "TOKENS", "Training: tokens of the run, such as 14.8e12."),
)
_TERMS = (
    ("precision", "WORD|MAP", "native (default), 8bit, a word, or dense=fp8,experts=nvfp4."),
    ("stack", "ID", "Software [each system's own]."),
    ("utilisation", "SHARE", "Share of the day in use [0.6 serving, 1 training]."),
    ("accelerators", "N", "Accelerators of each system [one unit]."),
    ("drafts", "N", "Draft tokens of a decode step."),
    ("rent", "PRICE", "USD per accelerator-hour, instead of owning."),
)
_PLAN = (
    ("tp", "Tensor parallel devices."),
    ("dp", "Data parallel groups."),
    ("pp", "Pipeline stages."),
    ("cp", "Training: context parallel devices."),
    ("ep", "Expert parallel devices."),
    ("etp", "Training: devices that share an expert."),
    ("vpp", "Training: virtual stages on a device."),
    ("micro-batch", "Training: sequences of a micro-batch."),
    ("zero", "Training: ZeRO stage, 0 to 3."),
)


def scenario_options(command: Command) -> Command:
    """Add the options of a scenario; the command gets ``scenario``, keyword arguments of `aicompute.api`."""

    @functools.wraps(command)
    def with_scenario(*args: Any, **given: Any) -> Any:
        names = [name.replace("-", "_") for name, *_ in (*_WORK, *_TERMS, *_PLAN)]
        own = {name: given.pop(name) for name in (*names, "model", "workload", "site", "recompute", "samples")}
        return command(*args, scenario=arguments(own), **given)

    made: Command = with_scenario
    options = [click.option("--model", metavar="ID", help="Model [deepseek-r1-0528; training: deepseek-v3].", shell_complete=MODELS)]
    kinds = words(*FIELDS)
    options.append(click.option("--workload", metavar="KIND", help="training, prefill, decode or serving [serving].", shell_complete=kinds))
    options += [click.option(f"--{name}", metavar=metavar, help=text) for name, metavar, text in _WORK]
    place = "Where; home: each at home; may be repeated [us-average]."
    options.append(click.option("--site", multiple=True, metavar="ID", help=place, shell_complete=SITES))
    options += [click.option(f"--{name}", metavar=metavar, help=text, shell_complete=OPTIONS.get(name)) for name, metavar, text in _TERMS]
    options += [click.option(f"--{name}", metavar="N", help=text) for name, text in _PLAN]
    options.append(click.option("--recompute", metavar="WORD", help="Training: none, selective or full."))
    options.append(click.option("--samples", type=int, default=400, show_default=True, help="Draws behind the intervals; 0: no intervals."))
    for option in reversed(options):
        made = option(made)
    return made


def arguments(given: Mapping[str, Any]) -> dict[str, Any]:
    """Keyword arguments of `aicompute.api.compare` from the options of a scenario.

    Raises
    ------
    UsageError
        An option does not belong to the workload; each such option is named.
    """
    from aicompute.api import WORKLOADS

    set_options = {name: value for name, value in given.items() if value not in (None, ())}
    kind = given["workload"]
    if kind is not None and kind not in FIELDS:
        raise UnknownNameError("--workload", kind, FIELDS)
    _refuse_strangers(kind or "serving", set_options)
    fields = {field: set_options[name] for name, field in FIELDS[kind or "serving"].items() if name in set_options}
    plan = {name: set_options[name] for name in PLANS[kind or "serving"] if name in set_options}
    sites = given["site"]
    return {
        "model": given["model"],
        "workload": _named(kind or "serving", lambda: WORKLOADS[kind or "serving"](**fields)) if kind or fields else None,
        "site": (sites[0] if len(sites) == 1 else list(sites)) if sites else None,
        "stack": given["stack"],
        "precision": _precision(given["precision"]),
        "utilisation": given["utilisation"],
        "accelerators": given["accelerators"],
        "drafts": given["drafts"],
        "rent": _rent(given["rent"]),
        "plan": plan or None,
        "samples": given["samples"],
    }


def _named(kind: str, make: Callable[[], Any]) -> Any:
    """What a function makes; a message about a field names the option instead."""
    try:
        return make()
    except UsageError as error:
        for name, field in FIELDS[kind].items():
            tail = str(error).removeprefix(field)
            if tail != str(error) and tail.startswith((":", " =")):
                raise UsageError(f"--{name.replace('_', '-')}{tail}") from None
        raise


def _refuse_strangers(kind: str, given: Mapping[str, Any]) -> None:
    """Refuse every option that the workload has no use for."""
    faults = []
    for table, own in ((FIELDS, FIELDS[kind]), (PLANS, PLANS[kind])):
        known = dict.fromkeys(name for names in table.values() for name in names)
        for name in known:
            if name in given and name not in own:
                others = [other for other, names in table.items() if name in names]
                faults.append(f"--{name.replace('_', '-')} does not belong to --workload {kind}, but to {' and '.join(others)}")
    if kind not in ("decode", "serving") and "drafts" in given:
        faults.append(f"--drafts does not belong to --workload {kind}, but to decode and serving")
    if faults:
        raise UsageError("; ".join(faults))


def _precision(given: str | None) -> str | dict[str, str] | None:
    """A word, or a map written ``dense=fp8,experts=nvfp4``."""
    if given is None or "=" not in given:
        return given
    found = {}
    for entry in given.split(","):
        role, equals, word = (part.strip() for part in entry.partition("="))
        if not (role and equals and word):
            raise UsageError(f"--precision {given!r}: {entry!r} is not ROLE=WORD; for example dense=fp8,experts=nvfp4")
        found[role] = word
    return found


def _rent(given: str | None) -> str | None:
    """A price; a plain number is USD per accelerator-hour."""
    if given is None:
        return None
    try:
        return f"{float(given)} USD/accelerator/h"
    except ValueError:
        return given
