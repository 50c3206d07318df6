"""Parts of numpy docstrings as Markdown."""

from __future__ import annotations

import html
import re


def sections(docstring: str) -> dict[str, str]:
    """The summary (key "") and the numpy sections of a docstring."""
    found, name = {"": ""}, ""
    lines = docstring.splitlines()
    for line, below in zip(lines, [*lines[1:], ""], strict=True):
        if below and set(below) == {"-"} and len(below) == len(line):
            name = line
            found[name] = ""
        elif set(line) != {"-"} or not line:
            found[name] += line + "\n"
    return {key: text.strip("\n") for key, text in found.items()}


def latex(text: str) -> str:
    """An equation that fits a cell of a table."""
    text = text.replace("|", r"\vert ").replace("<", r"\lt ").replace(">", r"\gt ")
    return " ".join(text.split())


def plain(text: str) -> str:
    """Text of a docstring as Markdown that fits a cell of a table."""
    text = re.sub(r"\s*\[\d+\]_|\s\[1\](?=\.)", "", text).replace("<", "&lt;").replace("|", r"\|")
    text = re.sub(r"``([^`]+)``", r"`\1`", text)
    return re.sub(r":math:`([^`]+)`", lambda found: f"${latex(html.unescape(found[1].replace(chr(92) + '|', '|')))}$", text)
