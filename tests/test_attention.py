"""Attention kernels by shape: limits, monotony, and what stacks and accelerators say about them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aicompute.estimate import inputs
from aicompute.estimate.attention import attention_kernels, tile_units
from aicompute.estimate.reading import read_value
from aicompute.machine.attention import context_time, decode_time, lone_start, memory_time, with_exponentials
from aicompute.machine.records import AttentionShape
from aicompute.specs import Library

library = Library()


def device(accelerator="nvidia-h100-sxm", stack="generic-serving", **precision):
    return inputs.device_record(
        library.load("accelerators", accelerator), library.load("stacks", stack), {**inputs.SIXTEEN_BITS, **precision}
    )


KERNELS = device().attention_kernels
LATENT = device().latent_kernels


def prompt(sequences=1.0, length=4096.0, heads=32.0, kv_heads=8.0, width=256.0, prefix=0.0):
    whole = length + prefix
    return AttentionShape(sequences, length, prefix + 0.5 * length, whole, heads, kv_heads, width, width)


def step(sequences=8.0, context=4096.0, heads=32.0, kv_heads=8.0, width=256.0, queries=1.0):
    return AttentionShape(sequences, queries, context, context, heads, kv_heads, width, width)


def test_long_prompts_reach_the_kernel_rate():
    """Arithmetic and exponentials bind; tiles, memory and the last tile vanish."""
    shape = prompt(length=2.0**22)
    flops = 2.0 * shape.length * shape.seen * shape.heads * shape.width
    bound = with_exponentials(KERNELS.context, KERNELS.exponentials, shape.width)
    assert context_time(shape, KERNELS) * bound / flops == pytest.approx(1.0, rel=0.01)


def test_a_long_cache_is_bound_by_memory():
    shape = step(context=2.0**21, heads=8.0)
    read = shape.sequences * shape.context * shape.kv_heads * shape.entry * KERNELS.kv_bytes
    assert decode_time(shape, KERNELS) * KERNELS.kv_bandwidth / read == pytest.approx(1.0, rel=0.05)


def test_absorbed_queries_of_many_heads_are_bound_by_arithmetic():
    """Flash-MLA on H800 SXM: 660 TFLOP/s where arithmetic binds (github.com/deepseek-ai/FlashMLA), of 989; the fit pools it with others."""
    shape = AttentionShape(128.0, 1.0, 4096.0, 4096.0, 128.0, 1.0, 1088.0, 576.0, latent=True)
    flops = 2.0 * 128.0 * 4096.0 * 128.0 * 1088.0
    assert flops / decode_time(shape, LATENT) == pytest.approx(660e12, rel=0.25)


@given(st.floats(1, 512), st.floats(1, 65536), st.sampled_from([1.0, 2.0, 8.0, 16.0]), st.sampled_from(["sequences", "context", "heads"]))
def test_more_work_takes_longer(sequences, context, kv_heads, field):
    for shape, time in (
        (prompt(sequences, context, 16.0, kv_heads), context_time),
        (step(sequences, context, 16.0, kv_heads), decode_time),
    ):
        more = {field: 2.0 * getattr(shape, field)}
        if field == "context":
            more["seen"] = 2.0 * shape.seen
        assert time(replace(shape, **more), KERNELS) >= time(shape, KERNELS) * (1.0 - 1e-12)


def test_a_fraction_of_a_sequence_is_a_share_of_steps():
    for shape, time in ((prompt(), context_time), (step(1.0), decode_time)):
        assert time(replace(shape, sequences=0.25), KERNELS) == pytest.approx(0.25 * time(shape, KERNELS))
        assert time(replace(shape, sequences=0.0), KERNELS) == 0.0


def test_arrays_and_floats_agree():
    lengths = np.array([1.0, 64.0, 1000.0, 30_000.0])
    for make, time in ((lambda n: prompt(length=n), context_time), (lambda n: step(context=n), decode_time)):
        assert time(make(lengths), KERNELS) == pytest.approx([time(make(n), KERNELS) for n in lengths])


def test_two_halves_of_a_prompt_cost_about_the_whole():
    """Chunks of a prompt see the chunks before them; only their last tiles add up."""
    whole = context_time(prompt(length=32768.0), KERNELS)
    halves = context_time(prompt(length=16384.0), KERNELS) + context_time(prompt(length=16384.0, prefix=16384.0), KERNELS)
    assert halves == pytest.approx(whole, rel=0.05)


def test_short_caches_cost_by_the_head():
    """From many sequences on, the time of a tiny cache grows with heads of keys over units."""
    t = [decode_time(step(sequences=n, context=2.0), KERNELS) for n in (10_000.0, 20_000.0)]
    assert t[1] / t[0] == pytest.approx(2.0, rel=0.05)


def test_heads_that_share_keys_fill_a_tile_together():
    shape = prompt(sequences=64.0, length=16.0, heads=64.0, kv_heads=8.0)
    assert context_time(shape, KERNELS) < 0.5 * context_time(shape, replace(KERNELS, packs=0.0))


def test_what_lies_in_the_cache_is_not_slower():
    for traffic in (1e3, 1e6, 1e8, 1e12):
        assert memory_time(traffic, 50e6, 3e12, 1e12) <= traffic / 3e12 * (1.0 + 1e-12)


def test_stacks_say_where_they_have_no_kernel():
    whole = AttentionShape(1.0, 1.0, 65536.0, 65536.0, 16.0, 1.0, 1088.0, 576.0, latent=True)
    divided = decode_time(whole, device("nvidia-l40s").latent_kernels)
    walked = decode_time(whole, device("nvidia-l40s", "tensorrt-llm-1.x").latent_kernels)
    assert walked > 10.0 * divided
    grouped, limit = step(heads=64.0, kv_heads=1.0), device(stack="tensorrt-llm-1.x").attention_kernels
    assert decode_time(grouped, limit) > 5.0 * decode_time(grouped, KERNELS)
    eight, sixteen = device(stack="sglang", kv="fp8").latent_kernels, device(stack="sglang").latent_kernels
    assert decode_time(replace(whole, sequences=32.0), eight) > 3.0 * decode_time(replace(whole, sequences=32.0), sixteen)


def test_a_narrow_cache_makes_prefill_narrow_where_a_stack_does_so():
    wide, narrow = (device(stack="tensorrt-llm-1.x", kv=word).attention_kernels for word in ("bf16", "fp8"))
    assert narrow.context > 1.1 * wide.context
    assert device(kv="fp8").attention_kernels.context == KERNELS.context
    assert device(attention="fp8").attention_kernels.context > 1.1 * KERNELS.context


def test_an_accelerator_without_narrow_arithmetic_widens_the_cache():
    old, new = device("nvidia-a100-sxm-80gb", kv="fp8").attention_kernels, device(kv="fp8").attention_kernels
    assert old.kv_bytes == new.kv_bytes == 1.0
    assert old.decode == device("nvidia-a100-sxm-80gb").attention_kernels.decode
    assert new.decode > KERNELS.decode


def test_a_kernel_alone_starts_later_where_more_kernels_run():
    trt, lang = device(stack="tensorrt-llm-1.x").attention_kernels, device(stack="sglang", kv="fp8").attention_kernels
    assert lone_start(trt, True) > lone_start(trt, False)
    assert lone_start(lang, False) > lone_start(device(stack="sglang").attention_kernels, False)
    assert lone_start(device("huawei-ascend-910c", "vllm-ascend").attention_kernels, False) > 2.0 * lone_start(trt, False)


@pytest.mark.parametrize("name", library.ids("accelerators"))
def test_every_accelerator_has_kernels(name):
    """Those that state no cores, clock or cache too."""
    accelerator = library.load("accelerators", name)
    units, clock = tile_units(accelerator, read_value)
    assert 10.0 < units < 1000.0
    assert 5e8 < clock < 4e9
    kernels = attention_kernels(accelerator, library.load("stacks", "generic-serving"), None, None, False, 1e12, 1e12, read_value)
    for time, shape in ((context_time, prompt()), (decode_time, step())):
        assert 0.0 < time(shape, kernels) < 1.0


def test_training_keeps_rates_without_shapes():
    record = inputs.device_record(
        library.load("accelerators", "nvidia-h100-sxm"), library.load("stacks", "generic-training"), inputs.SIXTEEN_BITS
    )
    assert record.attention_kernels is None
    assert record.latent_kernels is None
