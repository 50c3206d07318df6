"""Public programmes that name money and GPUs: what a GPU may cost, beside the capital of systems at the site: evidence/programmes.csv.

python benchmarks/programmes.py COUNTRY SITE SYSTEM...
"""

from __future__ import annotations

import csv
import sys

import aicompute as ac
from aicompute.specs.files import built_in
from aicompute.units import plain


def programmes(country: str) -> list[dict[str, str]]:
    """Rows of a country that name money and GPUs."""
    with (built_in("evidence") / "programmes.csv").open(encoding="utf-8", newline="") as stream:
        return [row for row in csv.DictReader(stream) if row["country"] == country and row["gpus"] and row["budget"]]


def main(country: str, site: str, *systems: str) -> None:
    """Print a line a programme, and a line a system with as many GPUs as the first programme."""
    rows = programmes(country)
    if not rows:
        raise SystemExit(f"no programme of {country!r} with money and GPUs in evidence/programmes.csv")
    print(f"{'programme':48} {'GPUs':>7} {'budget':>12} {'M ' + rows[0]['currency'] + '/GPU':>10}")
    for row in rows:
        budget, gpus = float(row["budget"]), float(row["gpus"])
        print(f"{row['name']:48} {gpus:7,.0f} {plain(budget / 1e12) + ' tn ' + row['currency']:>12} {plain(budget / gpus / 1e6):>10}")
    for system in systems:
        tree = ac.cost(system, site=site, accelerators=float(rows[0]["gpus"]), currency=rows[0]["currency"])
        capital, rate = tree.tree.capital, tree.exchange.rate / float(rows[0]["gpus"]) / 1e6
        print(f"ours: {system + ' in ' + site + ', hardware and tax':62} {plain(capital.value * rate):>10}")
        print(f"{'90 % interval':>68} {plain(capital.low * rate) + '-' + plain(capital.high * rate):>10}")


if __name__ == "__main__":
    main(*sys.argv[1:])
