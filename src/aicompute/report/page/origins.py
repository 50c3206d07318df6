"""The table of every spec value that the answer used, with its source."""

from __future__ import annotations

from collections import Counter
from html import escape

from aicompute.report.page.asked import Asked
from aicompute.report.page.costs import link, written
from aicompute.report.page.parts import Cell, Markup, Section, table


def sources(asked: Asked) -> Section:
    """Every value with its range, kind and source, by file."""
    known = asked.library.sources()
    seen = {origin.path: origin for e in asked.main.estimates for origin in e.origins}
    rows: list[list[Cell]] = []
    for path, origin in sorted(seen.items()):
        entry = known.get(origin.source, {})
        title = str(entry.get("title", origin.source))
        spread = "" if origin.low == origin.high else f"{written(origin.low, origin.unit)} to {written(origin.high, origin.unit)}"
        rows.append([path, written(origin.value, origin.unit), spread, origin.kind, link(str(entry.get("url", "")), title), _where(entry)])
    kinds = Counter(origin.kind for origin in seen.values())
    counted = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    finding = f"{len(seen)} values of the specs stand behind this page: {counted}. The model is {asked.main.estimates[0].model}."
    headers = ["value", "is", "range", "kind", "source", "where in it"]
    return Section("sources", "Where do the numbers come from?", finding, "", table("Sources", headers, rows, 6) + _model(asked), "")


def _where(entry: dict[str, object]) -> str:
    return str(entry.get("where", ""))


def _model(asked: Asked) -> Markup:
    """Where the shape of the model comes from."""
    spec = asked.library.load("models", asked.main.estimates[0].model)
    entry = asked.library.sources().get(str(spec.get("source", "")), {})
    title = str(entry.get("title", spec.get("source", "")))
    return Markup(f"<p>{escape(spec.name)}: layers and sizes from {link(str(entry.get('url', '')), title)}.</p>")
