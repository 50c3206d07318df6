"""Published rates beside what specs and operator measurements predict: `python benchmarks/front_page.py`."""

from dataclasses import dataclass

from aicompute.estimate.workload import Workload, decode, prefill, training
from aicompute.search.compare import Options, estimate_system
from aicompute.specs import Library


@dataclass(frozen=True)
class Published:
    """One published rate and the configuration it was measured in."""

    what: str
    measured: float
    system: str
    model: str
    work: Workload
    options: Options
    source: str


CASES = (
    Published(
        "CloudMatrix 384, DeepSeek-R1 decode, 4K/256, batch 96, EP320",
        1943.0,
        "cloudmatrix-384",
        "deepseek-r1",
        decode(4096, 256, batch=96),
        Options(accelerators=160, precision="8bit", drafts=(1.0,), plan={"tp": 1, "dp": 320, "pp": 1, "ep": 320}),
        "arXiv:2506.12708",
    ),
    Published(
        "CloudMatrix 384, DeepSeek-R1 prefill, 4K, EP32",
        5655.0,
        "cloudmatrix-384",
        "deepseek-r1",
        prefill(4096, batch=4),
        Options(accelerators=16, precision="8bit", plan={"tp": 1, "dp": 32, "pp": 1, "ep": 32}),
        "arXiv:2506.12708",
    ),
    Published(
        "DeepSeek-V3 pre-training, 2,048 H800, 180K GPU-hours/T tokens",
        1e12 / 180e3 / 3600.0,
        "hgx-h800",
        "deepseek-v3",
        training(4096, 15360),
        Options(
            accelerators=2048,
            plan={"dp": 128, "tp": 1, "pp": 16, "cp": 1, "ep": 64, "micro_batch": 1, "chunks": 1, "zero": 1, "recompute": 1},
        ),
        "arXiv:2412.19437",
    ),
    Published(
        "H800, DeepSeek-V3 decode profile, 4K, batch 128, EP128",
        2324.75,
        "hgx-h800",
        "deepseek-v3",
        decode(4096, 256, batch=128),
        Options(accelerators=128, precision="8bit", drafts=(0.0,), plan={"tp": 1, "dp": 128, "pp": 1, "ep": 128}),
        "DeepSeek open-infra-index 2025",
    ),
    Published(
        "H100, DeepSeek-V3 decode by SGLang, 2K, batch 256, EP72",
        2785.2,
        "dgx-h100",
        "deepseek-v3",
        decode(2000, 100, batch=256),
        Options(accelerators=72, stack="sglang", precision="8bit", drafts=(0.0,), plan={"tp": 1, "dp": 72, "pp": 1, "ep": 72}),
        "LMSYS blog 2025-05-05",
    ),
    Published(
        "H100, DeepSeek-V3 prefill by SGLang, 4K, EP32",
        6287.75,
        "dgx-h100",
        "deepseek-v3",
        prefill(4096, batch=4),
        Options(accelerators=32, stack="sglang", precision="8bit", plan={"tp": 1, "dp": 32, "pp": 1, "ep": 32}),
        "LMSYS blog 2025-05-05",
    ),
)


def main() -> None:
    """Print the table in Markdown."""
    library = Library()
    print("| tokens/s per accelerator | measured | predicted (90 %) | error | source |")
    print("|---|---:|---:|---:|---|")
    for case in CASES:
        found = estimate_system(library, case.system, case.model, case.work, case.options)
        rate = found["tokens_per_s_per_accelerator"]
        error = rate.value / case.measured - 1.0
        predicted = f"{rate.value:,.0f} ({rate.low:,.0f}-{rate.high:,.0f})"
        print(f"| {case.what} | {case.measured:,.0f} | {predicted} | {error:+.0%} | {case.source} |")


if __name__ == "__main__":
    main()
