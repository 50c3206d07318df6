"""What every answer can do: be printed in any format, here and in a notebook."""

from __future__ import annotations

from typing import Any

from aicompute.errors import UnknownNameError
from aicompute.report.records import as_json
from aicompute.report.sheet import Sheet
from aicompute.report.text import FORMATS


class Text(str):
    """A text that a prompt and a notebook show as it is printed."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


class Printed:
    """An answer as text; its parts differ: a sheet for people, a record for JSON, rows for CSV."""

    def _sheet(self, notes: bool = True) -> Sheet:
        raise NotImplementedError

    def _csv(self) -> str:
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """The answer as ``--format json`` writes it, by the schema of its command."""
        raise NotImplementedError

    def table(self, format: str = "table", *, notes: bool = True) -> Text:
        """The answer as text: ``table`` (80 columns), ``markdown``, ``csv``, ``json`` or ``html``; with its notes or without.

        Raises
        ------
        UnknownNameError
            No such format.
        """
        if format == "json":
            return Text(as_json(self.to_dict()))
        if format == "csv":
            return Text(self._csv())
        if format not in (*FORMATS, "html"):
            raise UnknownNameError("format", format, (*FORMATS, "html"))
        return Text(self._sheet(notes).render(format))

    def __str__(self) -> str:
        return self._sheet().render()

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return self._sheet().render("html")
