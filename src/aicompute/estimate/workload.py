"""What is asked of a system: training, prefill, decode, or a whole service."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from aicompute.errors import UsageError
from aicompute.units import parse


@dataclass(frozen=True)
class Workload:
    """A workload; which fields count depends on ``kind``. SI units, tokens and sequences."""

    kind: str
    """training, prefill, decode or serving."""
    input_length: float = 4096.0
    output_length: float = 1024.0
    batch: float | None = None
    """Sequences per accelerator; None: the best."""
    ttft: float | None = None
    tpot: float | None = None
    prefix_hit: float = 0.0
    """Share of input tokens found in a prefix cache."""
    length_variation: float = 0.0
    """Standard deviation over mean of request lengths."""
    sequence_length: float = 4096.0
    global_batch: float = 15360.0
    """Sequences in an optimizer step."""
    tokens: float | None = None
    """Of the whole training run."""

    @property
    def is_training(self) -> bool:
        """Whether weights are updated."""
        return self.kind == "training"


def _time(name: str, value: Any) -> float | None:
    if value is None:
        return None
    seconds = parse(value, "time")
    if not 0.0 < seconds < 1e6:
        raise UsageError(f"{name} = {value!r}: expected a time above zero, such as '50 ms'")
    return seconds


_SCALES = {"K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}


def spelled_out(value: str) -> float | str:
    """A number with a letter for thousands to trillions as a number; other texts as they are.

    Examples
    --------
    >>> spelled_out("14.8T"), spelled_out("512"), spelled_out("14.8 Ttoken")
    (14800000000000.0, '512', '14.8 Ttoken')
    """
    try:
        return float(value[:-1]) * _SCALES[value[-1:].upper()]
    except (KeyError, ValueError):
        return value


def _count(name: str, value: Any, least: float = 1.0) -> float:
    number = parse(spelled_out(value) if isinstance(value, str) else value, "count")
    if not least <= number < 1e18:
        bound = "at most 1e18" if number >= 1e18 else f"at least {least:g}"
        raise UsageError(f"{name} = {value!r}: expected a number of {bound}")
    return number


def training(sequence_length: Any = 4096, global_batch: Any = 15360, tokens: Any = None) -> Workload:
    """Pre-training with optimizer steps of ``global_batch`` sequences.

    Parameters
    ----------
    sequence_length, global_batch : int   Tokens a sequence; sequences a step.
    tokens : float, optional              Tokens of the whole run, such as 14.8e12 or "14.8T".

    Raises
    ------
    UsageError
        A number below one or not finite.

    Examples
    --------
    >>> training(tokens=14.8e12).kind
    'training'
    """
    run = None if tokens is None else _count("tokens", tokens)
    return Workload(
        "training",
        sequence_length=_count("sequence_length", sequence_length),
        global_batch=_count("global_batch", global_batch),
        tokens=run,
    )


def prefill(input_length: Any = 4096, ttft: Any = None, batch: Any = None, prefix_hit: Any = 0.0) -> Workload:
    """Reading prompts, nothing generated.

    Parameters
    ----------
    input_length : int          Tokens of a prompt.
    ttft : float or str         Longest time of a batch, such as "2 s".
    batch : float               Prompts at once per accelerator; None: the best.
    prefix_hit : float          Share of tokens found in a cache.

    Examples
    --------
    >>> prefill(ttft="2 s").ttft
    2.0
    """
    size = None if batch is None else _count("batch", batch, 1e-3)
    return Workload(
        "prefill",
        input_length=_count("input_length", input_length),
        ttft=_time("ttft", ttft),
        batch=size,
        prefix_hit=_share("prefix_hit", prefix_hit, 0.999),
    )


def decode(
    input_length: Any = 4096, output_length: Any = 1024, tpot: Any = None, batch: Any = None, length_variation: Any = 0.0
) -> Workload:
    """Generating answers to prompts that another pool has read.

    Parameters
    ----------
    input_length, output_length : int   Tokens.
    tpot : float or str                 Longest time per output token, such as "50 ms".
    batch : float                       Sequences per accelerator; None: the best.
    length_variation : float            Standard deviation over mean of lengths.

    Examples
    --------
    >>> decode(tpot="50 ms").tpot
    0.05
    """
    size = None if batch is None else _count("batch", batch, 1e-3)
    return Workload(
        "decode",
        input_length=_count("input_length", input_length),
        output_length=_count("output_length", output_length),
        tpot=_time("tpot", tpot),
        batch=size,
        length_variation=_share("length_variation", length_variation, 10.0),
    )


def serving(
    input_length: Any = 4096,
    output_length: Any = 1024,
    ttft: Any = "2 s",
    tpot: Any = "50 ms",
    prefix_hit: Any = 0.0,
    length_variation: Any = 0.0,
) -> Workload:
    """A whole service: prompts read and answers generated, in one pool or two.

    Parameters
    ----------
    input_length, output_length : int   Tokens.
    ttft, tpot : float or str           Longest time to the first token, and per output token.
    prefix_hit : float                  Share of input tokens found in a cache.
    length_variation : float            Standard deviation over mean of lengths.

    Examples
    --------
    >>> serving().ttft
    2.0
    """
    return Workload(
        "serving",
        input_length=_count("input_length", input_length),
        output_length=_count("output_length", output_length),
        ttft=_time("ttft", ttft),
        tpot=_time("tpot", tpot),
        prefix_hit=_share("prefix_hit", prefix_hit, 0.999),
        length_variation=_share("length_variation", length_variation, 10.0),
    )


def _share(name: str, value: Any, most: float = 1.0) -> float:
    number = parse(value, "fraction")
    if not 0.0 <= number <= most:
        raise UsageError(f"{name} = {value!r}: expected a number from 0 to {most:g}")
    return number


def described(workload: Workload) -> dict[str, Any]:
    """The fields of a workload that differ from nothing, for JSON and titles."""
    serving_fields = ("input_length", "output_length", "batch", "ttft", "tpot", "prefix_hit", "length_variation")
    wanted: tuple[str, ...] = ("sequence_length", "global_batch", "tokens") if workload.is_training else serving_fields
    if workload.kind == "prefill":
        wanted = tuple(f for f in wanted if f not in ("output_length", "tpot"))
    return {
        "kind": workload.kind,
        **{f.name: getattr(workload, f.name) for f in fields(workload) if f.name in wanted and getattr(workload, f.name) is not None},
    }
