"""The notebooks run from a shell, as a reader runs them, and say what they are to say."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("marimo", reason="needs the extra notebooks")
pytest.importorskip("matplotlib", reason="needs the extra notebooks")

FOLDER = Path(__file__).parent.parent / "docs" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.py"))
PROBE = """
import json, runpy, sys
outputs, found = runpy.run_path(sys.argv[1])["app"].run()
shown = [each.text for each in outputs if isinstance(getattr(each, "text", None), str)]
panels = len(found["figure"].axes) if "figure" in found else 0
print(json.dumps({"shown": shown, "panels": panels, "found": eval(sys.argv[2], {"found": found})}))
"""
SEEN = {
    "headline": "{'system': found['system'].value, 'lead': found['lead'].value, 'rows': len(found['rows'])}",
    "codesign": "{'rates': {str(t): r.tolist() for t, r in found['rates'].items()}, 'findings': found['findings']}",
    "programme": "{'won': found['won'], 'service': len(found['service']), 'home': found['home'].abroad}",
}
"""What is read of each after it ran."""


def run(name: str) -> tuple[str, dict[str, Any]]:
    """What the cells of a notebook show as text, and some of its values."""
    environment = {**os.environ, "MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", PROBE, str(FOLDER / f"{name}.py"), SEEN[name]]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    return "\n".join(said["shown"]), said["found"] | {"panels": said["panels"]}


def test_every_notebook_is_run_here_and_named_in_the_page() -> None:
    page = (FOLDER.parent / "notebooks.md").read_text(encoding="utf-8")
    assert {path.stem for path in NOTEBOOKS} == set(SEEN)
    assert all(f"{path.stem}.py" in page for path in NOTEBOOKS)


def test_headline() -> None:
    shown, found = run("headline")
    assert 0.0 < found["lead"] < found["system"], "384 against 72: the system does better than the accelerator"
    assert found["rows"] == 4
    assert found["panels"] == 1
    assert "verdict" in shown
    assert f"{found['lead']:.2f}" in shown


def test_codesign() -> None:
    shown, found = run("codesign")
    for table in found["rates"].values():
        assert [len(row) for row in table] == [6, 6, 6]
        for slow, fast in pairwise(table):
            assert all(less <= more * 1.01 for less, more in zip(slow, fast, strict=True)), "faster memory does no harm"
        for row in table:
            assert row[0] <= row[-1] * 1.01, "a wider domain does no harm"
    assert found["panels"] == 2
    assert all(re.search(r"domain of \d+ reaches 98 %", line) for line in found["findings"])
    assert len(found["findings"]) == len(found["rates"])
    assert "What would help most" in shown


def test_programme() -> None:
    shown, found = run("programme")
    assert 1e11 < found["won"] < 1e13
    assert found["service"] >= 3
    assert 0.0 <= found["home"] < 1.0
    assert "AI Basic Act" in shown
