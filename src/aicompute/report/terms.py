"""Terms, plans and targets in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from aicompute.errors import AicomputeError
from aicompute.estimate.result import Comparison, Estimate
from aicompute.report.sheet import joined
from aicompute.specs import Library
from aicompute.units import plain

BOUNDARY = "rates over all accelerators owned; power and price of accelerators, hosts and network; PUE and idle time in energy and cost"
"""What every answer covers, the same on both sides."""

_PARALLEL = ("tp", "dp", "pp", "cp", "ep")
_OF_EXPERTS = ("experts", "dispatch", "combine")
"""Roles of a precision map that only a model with experts has."""


def terms_text(comparison: Comparison, library: Library | None = None) -> str:
    """The terms of a comparison in one sentence: precision, site, use, size, boundary.

    Parameters
    ----------
    comparison : Comparison       Its ``scenario`` may lack any of the terms.
    library : Library, optional   Tells whether the model has experts.
    """
    scenario = comparison.scenario
    parts = [precisions_text(comparison, library), site_text(comparison), use_text(scenario.get("utilisation"))]
    parts += [size_text(comparison), _rent(scenario.get("rent"))]
    text = "; ".join(part for part in parts if part)
    return f"Terms: {text}. 90 % intervals."


def precision_text(given: Any) -> str:
    """A precision as an option has it.

    Examples
    --------
    >>> precision_text("8bit"), precision_text({"dense": "fp8", "experts": "nvfp4"})
    ('8 bits', 'dense fp8, experts nvfp4')
    """
    if isinstance(given, Mapping):
        return ", ".join(f"{role} {word}" for role, word in given.items())
    if given in (None, "native"):
        return "each at its native precision"
    return "8 bits" if given in ("8bit", "8-bit") else str(given)


def precisions_text(comparison: Comparison, library: Library | None = None) -> str:
    """The precision of a comparison: what each role runs at where it is not each system's own, in the words of all systems together."""
    given = comparison.scenario.get("precision")
    maps = [found for estimate in comparison.estimates if (found := formats_of(estimate, library))]
    if given in (None, "native") or not maps:
        return precision_text(given)
    roles = dict.fromkeys(role for found in maps for role in found)
    words = {role: tuple(dict.fromkeys(found[role] for found in maps if role in found)) for role in roles}
    if len(set(words.values())) == 1:
        return f"{_by_system(next(iter(words.values())))} on all"
    parts = (f"{_by_system(word)} ({', '.join(role for role in roles if words[role] == word)})" for word in dict.fromkeys(words.values()))
    return ", ".join(parts)


def _by_system(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{' or '.join(words)} by system"


def formats_of(estimate: Estimate, library: Library | None = None) -> dict[str, str]:
    """The precision map of the plan, without the roles of experts where the model is known to have none."""
    found = dict(estimate.plan.get("precision") or {})
    return {role: word for role, word in found.items() if role not in _OF_EXPERTS} if found and _is_dense(estimate, library) else found


def _is_dense(estimate: Estimate, library: Library | None) -> bool:
    """Whether the model is known to have no experts."""
    if library is None:
        return False
    try:
        return not library.load("models", estimate.model).get("num_experts", 0)
    except AicomputeError:
        return False


def best_plan_text(estimate: Estimate, library: Library | None = None) -> str:
    """The plan of an estimate on one line, its precision as far as the model has the roles."""
    formats = formats_of(estimate, library)
    return plan_text({**estimate.plan, "precision": formats} if formats else estimate.plan)


def site_text(comparison: Comparison) -> str:
    """Where the systems stand."""
    sites = list(dict.fromkeys(estimate.site for estimate in comparison.estimates if estimate.site))
    if not sites:
        return ""
    if comparison.scenario.get("sites") == ["home"]:
        homes = ", ".join(dict.fromkeys(f"{e.system} at {e.site}" for e in comparison.estimates))
        return f"each at home ({homes})"
    return f"site {sites[0]}" if len(sites) == 1 else f"sites {joined(sites)}"


def use_text(share: Any) -> str:
    """How much of the day is used."""
    return "" if share is None else "in use all day" if share == 1.0 else f"in use {share * 100.0:.0f} % of the time"


def size_text(comparison: Comparison) -> str:
    """How many accelerators each has, and by what they are equal."""
    estimates = comparison.estimates
    counts = list(dict.fromkeys(f"{e.accelerators:,.0f}" for e in estimates))
    plural = "" if counts == ["1"] else "s"
    each = f"{joined(counts)} accelerator{plural}" + (" each" if len(counts) == 1 and len(estimates) > 1 else "")
    equal = comparison.scenario.get("equal")
    return f"equal {equal} ({each})" if equal and equal != "accelerators" else each


def _rent(rent: Any) -> str:
    return "" if rent is None else f"rented at {plain(float(rent) * 3600.0)} $ an accelerator-hour"


def plan_text(plan: Mapping[str, Any]) -> str:
    """A plan on one line.

    Examples
    --------
    >>> plan_text({"tp": 1, "dp": 256, "pp": 1, "ep": 256, "engine_accelerators": 128.0, "batch_per_accelerator": 96.0})
    'dp 256, ep 256; 128 accelerators an engine; batch 96 an accelerator'
    """
    pools = [pool for pool in ("prefill", "decode") if any(key.startswith(f"{pool}_t") for key in plan)]
    if pools:
        share = plan.get("prefill_share")
        sizes = {"prefill": share, "decode": None if share is None else 1.0 - share}
        texts = []
        for pool in pools:
            own = {key: value for key, value in plan.items() if key.startswith(f"{pool}_") and not key.endswith("_share")}
            part = {key.removeprefix(f"{pool}_"): value for key, value in own.items()}
            head = pool if sizes[pool] is None else f"{pool} on {sizes[pool]:.0%}".replace("%", " %")
            texts.append(f"{head}: {_layout(part)}")
        return " | ".join([*texts, *_extras(plan)])
    mixed = ["one pool"] if str(plan.get("pools", "")).startswith("one") else []
    return "; ".join(text for text in [*mixed, _layout(plan), *_extras(plan)] if text)


def _layout(plan: Mapping[str, Any]) -> str:
    """Parallel sizes, engine, batch and how a step runs."""
    sizes = [f"{key} {_count(plan[key])}" for key in _PARALLEL if plan.get(key) not in (None, 1, 1.0)]
    texts = [", ".join(sizes) if sizes else "tp 1" if "tp" in plan else ""]
    if plan.get("chunks") not in (None, 1, 1.0):
        texts.append(f"{_count(plan['chunks'])} virtual stages")
    if plan.get("engine_accelerators") is not None:
        texts.append(f"{_count(plan['engine_accelerators'])} accelerator{'s' if plan['engine_accelerators'] != 1 else ''} an engine")
    if plan.get("batch_per_accelerator") is not None:
        texts.append(f"batch {_count(plan['batch_per_accelerator'])} an accelerator")
    if plan.get("micro_batch") is not None:
        texts.append(f"micro-batch {_count(plan['micro_batch'])}")
    if plan.get("zero") is not None:
        texts.append(f"ZeRO {_count(plan['zero'])}")
    if plan.get("recompute") is not None:
        texts.append(f"recompute {plan['recompute']}")
    if plan.get("sequence_parallel") is not None:
        texts.append("sequence parallel" if plan["sequence_parallel"] else "")
    return "; ".join(text for text in texts if text)


def _extras(plan: Mapping[str, Any]) -> list[str]:
    """The fleet that whole engines need, drafts and precision."""
    drafts, fleet = plan.get("drafts"), plan.get("fleet")
    texts = [f"in a fleet of {_count(fleet)} accelerators or more"] if fleet else []
    texts += [f"{_count(drafts)} draft token{'s' if drafts != 1 else ''}"] if drafts else []
    precision = plan.get("precision")
    return [*texts, precision_map_text(precision)] if isinstance(precision, Mapping) else texts


def precision_map_text(precision: Mapping[str, str]) -> str:
    """A precision map, roles of one precision together.

    Examples
    --------
    >>> precision_map_text({"dense": "fp8", "experts": "fp8", "attention": "bf16", "kv": "bf16"})
    'fp8 dense, experts; bf16 attention, kv'
    """
    words = dict.fromkeys(precision.values())
    if len(words) == 1:
        return f"{next(iter(words))}"
    return "; ".join(f"{word} {', '.join(role for role, has in precision.items() if has == word)}" for word in words)


def plan_rows(plan: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Every entry of a plan as a name and a text."""
    rows = []
    for key, value in plan.items():
        if isinstance(value, Mapping):
            rows += [(f"{key}.{name}", str(item)) for name, item in value.items()]
        elif value is not None and not isinstance(value, (list, tuple)):
            rows.append((key, _count(value)))
    return rows


def _count(value: Any) -> str:
    """A number or word of a plan."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
    return f"{value:,.0f}" if float(value).is_integer() else plain(float(value))


def lengths_text(workload: Mapping[str, Any]) -> str:
    """A workload of a scenario in words.

    Examples
    --------
    >>> lengths_text({"kind": "decode", "input_length": 4096.0, "output_length": 1024.0, "tpot": 0.05})
    'decode, 4,096 in, 1,024 out, TPOT <= 50 ms'
    """
    found = {key: value for key, value in workload.items() if value is not None}
    texts = [str(found.get("kind", ""))]
    forms: Sequence[tuple[str, str]] = (
        ("input_length", "{:,.0f} in"), ("output_length", "{:,.0f} out"), ("sequence_length", "{:,.0f} tokens a sequence"),
        ("global_batch", "{:,.0f} sequences a step"), ("batch", "batch {:,.4g} an accelerator"),
    )  # fmt: skip
    texts += [form.format(found[key]) for key, form in forms if key in found]
    if "tokens" in found:
        texts.append(f"{plain(found['tokens'] / 1e12)} T tokens" if found["tokens"] >= 1e11 else f"{plain(found['tokens'] / 1e9)} G tokens")
    texts.append(target_text(found))
    if found.get("prefix_hit"):
        texts.append(f"{found['prefix_hit']:.0%} of the prompt cached".replace("%", " %"))
    if found.get("length_variation"):
        texts.append(f"lengths vary by {found['length_variation']:.0%}".replace("%", " %"))
    return ", ".join(text for text in texts if text)


def target_text(workload: Mapping[str, Any]) -> str:
    """The latency targets of a workload.

    Examples
    --------
    >>> target_text({"ttft": 2.0, "tpot": 0.05})
    'TTFT <= 2 s, TPOT <= 50 ms'
    """
    return ", ".join(f"{key.upper()} <= {_time(float(workload[key]))}" for key in ("ttft", "tpot") if workload.get(key) is not None)


def _time(seconds: float) -> str:
    """A time in s or ms, as people say latencies."""
    return f"{plain(seconds)} s" if seconds >= 1.0 else f"{plain(seconds * 1e3)} ms"


def scenario_text(comparison: Comparison) -> str:
    """Model and workload of a comparison."""
    workload = comparison.scenario.get("workload")
    model = str(comparison.scenario.get("model") or (comparison.estimates[0].model if comparison.estimates else ""))
    return f"{model}: {lengths_text(workload)}" if isinstance(workload, Mapping) else f"{model}: {comparison.title}"


def size_of(estimate: Estimate) -> str:
    """How much of a system there is: accelerators and units."""
    units = "" if not math.isfinite(estimate.units) else f", {estimate.units:,.0f} unit{'s' if estimate.units != 1 else ''}"
    return f"{estimate.accelerators:,.0f} accelerator{'s' if estimate.accelerators != 1 else ''}{units}"
