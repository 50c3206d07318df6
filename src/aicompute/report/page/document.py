"""The page as one file: head, verdict, sections, style, script and the numbers for it. It loads nothing."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from importlib.resources import files

from aicompute.report.page.parts import Section, hatching, system_key

POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
"""What a browser lets the page do: run what is in it, load nothing."""


def document(
    title: str, names: Sequence[str], terms: str, verdict: Sequence[str], sections: Sequence[Section], left_out: Sequence[str],
    data: str, made: str,
) -> str:  # fmt: skip
    """The page.

    Parameters
    ----------
    title : str
    names : sequence of str      Of the systems.
    terms : str                  What was asked.
    verdict : sequence of str    Sentences.
    sections : sequence          In the order of the page.
    left_out : sequence of str   Why pictures are missing.
    data : str                   JSON for the script; none where there is nothing to compute.
    made : str                   How the page was made.
    """
    links = "".join(f'<li><a href="#{one.key}">{escape(one.question)}</a></li>' for one in sections)
    sentences = "".join(f"<p>{escape(text)}</p>" for text in verdict)
    missing = f'<p class="left-out">{escape(" ".join(left_out))}</p>' if left_out else ""
    holder = f'<script type="application/json" id="data">{data}</script>' if data else ""
    return "\n".join(
        [
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            f'<meta name="description" content="{escape(verdict[0] if verdict else title)}">',
            f"<title>{escape(title)}</title>\n<link rel=\"icon\" href=\"data:,\">\n<style>\n{_asset('style.css')}</style>\n</head>\n<body>",
            f'<a class="skip" href="#verdict">To the verdict</a>\n{hatching()}',
            '<header><div class="bar"><span>aicompute report</span><button type="button" id="theme" hidden>Dark page</button></div>',
            f'<h1>{escape(title)}</h1>\n<p class="terms">{escape(terms)}</p></header>',
            f'<main>\n<div class="verdict" id="verdict" tabindex="-1">{sentences}</div>\n{system_key(names)}',
            f'<nav aria-label="Questions"><ul>{links}</ul></nav>\n{missing}',
            *(one.html() for one in sections),
            f"</main>\n<footer><p>{escape(made)}</p></footer>",
            f"{holder}\n<script>\n{_asset('script.js')}</script>\n</body>\n</html>\n",
        ]
    )


def _asset(name: str) -> str:
    """A file beside this module."""
    return (files("aicompute.report.page") / name).read_text(encoding="utf-8")
