"""A national programme: what Korea's 1.46 trillion KRW and 13,000 GPUs buy. Run with `python programme.py`."""

import marimo

app = marimo.App(app_title="A national programme")


@app.cell
def _():
    import marimo as mo

    import aicompute as ac

    return ac, mo


@app.cell
def _(mo):
    mo.md("""
    # What does a national programme buy?

    Korea's supplementary budget of 2025: 1.46 trillion KRW for 13,000 GPUs. Four questions: what do they cost, what can they train
    and serve, is an API cheaper, and which rules apply? The answers inform; they are neither an offer nor legal advice.
    """)
    return


@app.cell
def _(mo):
    gpus = mo.ui.slider(1000, 50_000, step=1000, value=13_000, label="GPUs", show_value=True)
    gpus
    return (gpus,)


@app.cell
def _(ac, gpus):
    bill = ac.cost("dgx-b200", accelerators=gpus.value, site="kr", currency="KRW", utilisation=0.6)
    bill
    return (bill,)


@app.cell
def _(bill, mo):
    tree = bill.tree
    BUDGET = 1.46e12
    won = tree.capital.value * bill.exchange.rate
    mo.md(f"""
    The hardware costs {won / 1e12:.2f} trillion KRW at the rate of the specs, {won / BUDGET:.0%} of the budget, and needs
    {tree.rated.value / 1e6:.1f} MW at the racks. Energy is {tree["energy"].cost.value / tree.root.cost.value:.0%} of what it costs
    to own and run.
    """)
    return BUDGET, tree, won


@app.cell
def _(mo):
    mo.md("""
    ## The same money, spent on anything

    A run of a 70-billion model on 15 trillion tokens in 90 days, then as much service as money and power allow:
    """)
    return


@app.cell
def _(ac):
    CHOICE = ["dgx-b200", "gb200-nvl72", "mi355x-8", "rebel-quad-server", "cloudmatrix-384"]
    MONEY = {"budget": "1.46e12 KRW", "site": "kr", "systems": CHOICE, "samples": 200}
    run = ac.size(train_model="llama-3.1-70b", train_tokens="15T", within="90 day", **MONEY)
    run
    return CHOICE, MONEY, run


@app.cell
def _(MONEY, ac):
    service = ac.size("deepseek-r1-0528", power="40 MW", tpot="50 ms", **MONEY)
    service
    return (service,)


@app.cell
def _(mo, service):
    best, home = service.mark("cheapest"), service.mark("least abroad")
    per_million = [1e6 * value for value in (best.per_token.value, best.per_token.low, best.per_token.high)]
    mo.md(f"""
    Within that money and 40 MW, {best.system} serves the cheapest tokens: {per_million[0]:.2f} USD a million
    ({per_million[1]:.2f} to {per_million[2]:.2f}), for {best.users:,.0f} people at a time who read {best.per_user:.0f} tokens a second.
    The chips of {home.system} are made least abroad ({home.abroad:.0%} of design, logic and memory); its tokens cost
    {home.per_token.value / best.per_token.value:.1f} times as much.
    """)
    return best, home, per_million


@app.cell
def _(ac, best):
    api = ac.makebuy(best.system, site="kr", volume="1e11 token/day", api=["deepseek-r1-0528", "gpt-4o"], samples=200)
    api
    return (api,)


@app.cell
def _(ac, best):
    supply = ac.supply({best.system: best.units})
    supply
    return (supply,)


@app.cell
def _(ac):
    threshold = ac.rules("dgx-b200", model="llama-3.1-405b", within="90 days")
    threshold
    return (threshold,)


@app.cell
def _(mo, threshold):
    korea = threshold.crossing("kr-ai-basic-act")
    mo.md(f"""
    A run like Llama 3.1 405B is **{korea.verdict}** the threshold of Korea's AI Basic Act ({korea.ratio:.2f} of it), and
    **{threshold.crossing("eu-ai-act").verdict}** that of the EU.
    """)
    return (korea,)


if __name__ == "__main__":
    app.run()
