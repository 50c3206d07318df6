"""A Hugging Face ``config.json``: its values under any of their spellings, and all that is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from aicompute.errors import SpecError, nearest
from aicompute.specs.importers.hf_families import FAMILIES, MARKERS, REFUSED

_SPELLINGS = {
    "hidden_size": ("hidden_size", "n_embd", "n_embed", "d_model"),
    "num_layers": ("num_hidden_layers", "n_layer", "n_layers", "num_layers"),
    "num_heads": ("num_attention_heads", "n_head", "n_heads"),
    "vocab_size": ("padded_vocab_size", "vocab_size"),
}
_NESTED = ("text_config", "llm_config", "language_config")
LARGEST = 1_000_000_000
MOST_LAYERS = 10_000
"""Bounds against nonsense: no width and no number of layers exceeds them."""


class Config:
    """A config that hands out values under any of their spellings and notes every fault instead of stopping at the first."""

    def __init__(self, path: Path, raw: dict[str, Any]) -> None:
        inner: dict[str, Any] = next((raw[k] for k in _NESTED if isinstance(raw.get(k), dict)), {})
        self.path = path
        self.data = raw | inner
        self.faults: list[str] = []
        self.taken: set[str] = set()
        outer, within = raw.get("model_type"), inner.get("model_type")
        known = isinstance(outer, str) and outer in FAMILIES | REFUSED
        self.model_type: Any = outer if known or not within else within

    def fault(self, text: str) -> None:
        """Note a fault."""
        if text not in self.faults:
            self.faults.append(text)

    def integer(self, *names: str, default: int | None = None) -> int:
        """Whole number under the first of the names that has one; without a default it must be there."""
        for name in names:
            self.taken.add(name)
            value = self.data.get(name)
            if value is None:
                continue
            whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
            if isinstance(value, bool) or not whole or not 0 <= value <= LARGEST:
                self.fault(f"{name} = {value!r} is not a whole number from 0 to {LARGEST:,}")
                return 1
            return int(value)
        if default is None:
            close = nearest(names[0], [k for k in self.data if k not in names])
            hint = f" (did you mean {close[0]!r}?)" if close else ""
            self.fault(f"{' or '.join(names)} is missing{hint}")
            return 1
        return default

    def common(self, key: str) -> int:
        """One of the numbers that go by several spellings; it must be positive."""
        block = self.data.get("layers_block_type")
        default = len(block) if key == "num_layers" and isinstance(block, list) else None
        value = self.integer(*_SPELLINGS[key], default=default)
        if value == 0 or (key == "num_layers" and value > MOST_LAYERS):
            self.fault(f"{key} = {value} is not possible")
            return 1
        return value

    def flag(self, name: str, default: bool) -> bool:
        """Boolean, or the default where the config is silent."""
        self.taken.add(name)
        value = self.data.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.fault(f"{name} = {value!r} is not true or false")
        return bool(value)

    def table(self, name: str) -> dict[str, Any]:
        """Nested table, empty if absent."""
        value = self.data.get(name)
        return value if isinstance(value, dict) else {}

    def sequence(self, name: str, length: int) -> list[Any] | None:
        """List with one entry a layer, or None if absent."""
        self.taken.add(name)
        value = self.data.get(name)
        if value is None:
            return None
        if not isinstance(value, list) or len(value) != length:
            self.fault(f"{name} must be a list of {length} entries, one a layer")
            return None
        return value

    def refuse_markers(self) -> None:
        """Refuse keys that change what a layer is and that no reader took."""
        for name in MARKERS:
            if name not in self.taken and self.data.get(name) not in (None, 0, [], {}, False):
                self.fault(f"{name}: layers of this kind are not known for model_type {self.model_type!r}")


def read(path: Path) -> dict[str, Any]:
    """Parse the file, with an error that says what it is instead of a config."""
    if path.is_dir():
        raise SpecError(f"{path}: a directory; give the config.json in it")
    if not path.exists():
        raise SpecError(f"{path}: there is no such file")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{path}: cannot be read: {error}") from None
    if not text.strip():
        raise SpecError(f"{path}: the file is empty; a Hugging Face config.json was expected")
    try:
        raw = json.loads(text)
    except json.JSONDecodeError as error:
        raise SpecError(f"{path}: not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise SpecError(f"{path}: nested too deeply for a config.json") from None
    if not isinstance(raw, dict):
        raise SpecError(f"{path}: a JSON object was expected, not {type(raw).__name__}")
    return raw
