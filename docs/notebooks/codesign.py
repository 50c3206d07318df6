"""What if the domain were larger, or the memory faster? Co-design by sweep and sensitivity. Run with `python codesign.py`."""

import marimo

app = marimo.App(app_title="Co-design: domain and memory")


@app.cell
def _():
    import marimo as mo
    import numpy as np

    import aicompute as ac

    return ac, mo, np


@app.cell
def _(mo):
    mo.md("""
    # How large a domain, how fast a memory?

    A design is a spec with other values. Take the GPU of an NVL72, four racks of it, and let two things change: how many GPUs one
    scale-up domain joins, and how fast the memory of each is. Every point has the plan that is best there; nothing else changes,
    the price neither.
    """)
    return


@app.cell
def _(ac):
    DOMAIN, MEMORY = "gb200-nvl72.tiers.scale-up.domain", "nvidia-gb200.memory.bandwidth"
    DOMAINS, FACTORS, TARGETS = [8, 18, 36, 72, 144, 288], [0.5, 1.0, 2.0], [0.015, 0.05]
    AXES = {MEMORY: [f"x{factor:g}" for factor in FACTORS], DOMAIN: DOMAINS}
    swept = {
        target: ac.sweep(AXES, system="gb200-nvl72", workload=ac.decode(tpot=target), accelerators=288, workers=1) for target in TARGETS
    }
    swept[0.05]
    return AXES, DOMAIN, DOMAINS, FACTORS, MEMORY, TARGETS, swept


@app.cell
def _(DOMAIN, MEMORY, TARGETS, np, swept):
    def rates_at(target: float) -> np.ndarray:
        """Tokens per second of a GPU, memory by domain."""
        found = swept[target]
        order = np.lexsort((found[DOMAIN], found[MEMORY]))
        return found["tokens_per_s_per_accelerator"][order].reshape(len(set(found[MEMORY])), -1)

    rates = {target: rates_at(target) for target in TARGETS}
    return rates, rates_at


@app.cell
def _(DOMAINS, FACTORS, TARGETS, rates):
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, len(TARGETS), figsize=(9, 4), layout="constrained")
    for panel, target in zip(panels, TARGETS, strict=True):
        for factor, line in zip(FACTORS, rates[target], strict=True):
            panel.plot(DOMAINS, line, marker="o", label=f"memory x {factor:g}")
        panel.set(xscale="log", xlabel="GPUs of a domain", title=f"TPOT <= {target * 1e3:.0f} ms", ylim=(0, None))
        panel.set_xticks(DOMAINS, [str(domain) for domain in DOMAINS])
        panel.minorticks_off()
    panels[0].set_ylabel("output tokens/s of a GPU")
    panels[0].legend()
    figure
    return (figure,)


@app.cell
def _(DOMAINS, FACTORS, TARGETS, mo, np, rates):
    def sentence(target: float) -> str:
        """What both changes do at a latency."""
        table = rates[target]
        base = table[FACTORS.index(1.0)]
        enough = DOMAINS[int(np.argmax(base >= 0.98 * base.max()))]
        wider = base[-1] / base[DOMAINS.index(72)]
        faster = table[FACTORS.index(2.0), DOMAINS.index(72)] / base[DOMAINS.index(72)]
        return (
            f"- At {target * 1e3:.0f} ms a domain of {enough} reaches 98 % of what any here reaches. "
            f"From 72 to 288 GPUs gives {wider:.2f} times the tokens; memory twice as fast, {faster:.2f} times."
        )

    findings = [sentence(target) for target in TARGETS]
    mo.md("\n".join(findings))
    return (findings,)


@app.cell
def _(ac):
    drivers = ac.sensitivity("gb200-nvl72", workload=ac.decode(tpot="50 ms"), metrics="tokens_per_s_per_accelerator")
    drivers
    return (drivers,)


@app.cell
def _(drivers, mo):
    first = drivers.by("tokens_per_s_per_accelerator")[:5]
    mo.md(
        "What would help most, in percent more tokens for a percent of the value, at the plan chosen:\n\n"
        + "\n".join(f"- `{one.name}`: {one.elasticity['tokens_per_s_per_accelerator']:+.2f}" for one in first)
    )
    return (first,)


if __name__ == "__main__":
    app.run()
