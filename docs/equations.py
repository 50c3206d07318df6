"""Hook of mkdocs: equations become MathML, so that pages need no script and no other site."""

import html
import re
from typing import Any

EQUATION = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)


def mathml(latex: str, display: str) -> str:
    r"""An equation as MathML.

    Parameters
    ----------
    latex : str     Such as ``\sqrt{x}``.
    display : str   inline or block.
    """
    from latex2mathml.converter import convert

    return str(convert(latex.strip(), display=display))


def on_page_content(content: str, **_: Any) -> str:
    """Replace every equation of a page."""

    def replace(found: re.Match[str]) -> str:
        return mathml(html.unescape(found[3]), "inline" if found[2] == "(" else "block")

    return EQUATION.sub(replace, content)
