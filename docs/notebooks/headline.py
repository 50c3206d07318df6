"""384 slower chips or 72 faster ones? The headline, step by step. Open with `marimo edit headline.py`, run with `python headline.py`."""

import marimo

app = marimo.App(app_title="384 or 72?")


@app.cell
def _():
    import marimo as mo

    import aicompute as ac

    return ac, mo


@app.cell
def _(mo):
    mo.md("""
    # 384 slower chips or 72 faster ones?

    Huawei's CloudMatrix 384 joins 384 Ascend 910C in one optical scale-up domain; NVIDIA's GB200 NVL72 joins 72 Blackwell GPUs in
    one of copper. Same model, same lengths, same latency, same site: only then is it a comparison. First, what a user has to wait
    for a token.
    """)
    return


@app.cell
def _(mo):
    tpot = mo.ui.slider(15, 100, step=5, value=50, label="TPOT, ms", show_value=True)
    tpot
    return (tpot,)


@app.cell
def _(ac, tpot):
    SYSTEMS = ("cloudmatrix-384", "gb200-nvl72")
    decode = ac.compare(SYSTEMS, workload=ac.decode(tpot=f"{tpot.value} ms"))
    decode
    return SYSTEMS, decode


@app.cell
def _(decode, mo):
    lead = decode.ratio("tokens_per_s_per_accelerator")
    system = decode.ratio("tokens_per_s")
    mo.md(f"""
    An accelerator of the first makes **{lead.value:.2f}** ({lead.low:.2f} to {lead.high:.2f}) times the tokens of one of the
    second; the system as a whole {system.value:.2f} times, since it has more of them. Where does the time go? A step of decode, by
    part:
    """)
    return lead, system


@app.cell
def _(decode):
    parts = {name: dict(sorted(part.items(), key=lambda each: -each[1])[:6]) for name, part in decode.breakdown().items()}
    {name: {part: f"{seconds * 1e3:.2f} ms" for part, seconds in each.items()} for name, each in parts.items()}
    return (parts,)


@app.cell
def _(SYSTEMS, ac):
    TARGETS = (15, 20, 30, 50, 75, 100)
    curve = {
        name: [ac.estimate(name, workload=ac.decode(tpot=ms / 1e3), samples=100)["tokens_per_s_per_accelerator"] for ms in TARGETS]
        for name in SYSTEMS
    }
    return TARGETS, curve


@app.cell
def _(TARGETS, curve):
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for name, metrics in curve.items():
        (line,) = axes.plot(TARGETS, [metric.value for metric in metrics], marker="o", label=name)
        low, high = [metric.low for metric in metrics], [metric.high for metric in metrics]
        axes.fill_between(TARGETS, low, high, color=line.get_color(), alpha=0.15)
    axes.set(xlabel="TPOT target, ms", ylabel="output tokens/s of an accelerator", yscale="log", title="Decode, with 90 % intervals")
    axes.legend()
    figure
    return (figure,)


@app.cell
def _(SYSTEMS, ac):
    service = ac.compare(SYSTEMS, workload=ac.serving())
    home = ac.compare(SYSTEMS, workload=ac.serving(), site="home")
    return home, service


@app.cell
def _(home, mo, service):
    rows = [
        {
            "metric": name,
            "same site": f"{same.value:.2f} ({same.low:.2f} to {same.high:.2f})",
            "each at home": f"{own.value:.2f} ({own.low:.2f} to {own.high:.2f})",
            "probability that the first is better": f"{same.probability:.0%}",
        }
        for name in ("tokens_per_s_per_accelerator", "energy_per_token", "cost_per_million_tokens", "carbon_per_million_tokens")
        for same, own in [(service.ratio(name), home.ratio(name))]
    ]
    mo.vstack([mo.md("A whole service reads prompts too. First over second:"), mo.ui.table(rows, selection=None)])
    return (rows,)


@app.cell
def _(mo, service):
    mo.md("The verdict, made from the numbers:\n\n" + "\n".join(f"- {sentence}" for sentence in service.verdict()))
    return


if __name__ == "__main__":
    app.run()
