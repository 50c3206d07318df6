"""Write `aicompute.unit_table` from our pint definitions."""

from __future__ import annotations

from pathlib import Path

from aicompute.units.closed_list import table_source

if __name__ == "__main__":
    Path(__file__).parent.with_name("unit_table.py").write_text(table_source(), encoding="utf-8")
