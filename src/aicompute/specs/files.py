"""Where spec files lie and how they are read: folders in order of precedence, TOML parsed once per version of a file."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from aicompute.errors import SpecError, UsageError
from aicompute.specs.schema import KINDS

VARIABLE = "AICOMPUTE_SPECS"
Stamp = tuple[float, int, int] | None


@cache
def built_in(name: str = "specs") -> Path:
    """A folder of data that ships: in the installed package, or in the checkout in an editable install."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "data" / name
    return installed if installed.is_dir() else package.parents[1] / name


def search_path(folders: Iterable[str | os.PathLike[str]] = ()) -> tuple[Path, ...]:
    """Folders in order of precedence, the last wins: built-in, then ``$AICOMPUTE_SPECS``, then those given."""
    named = [part for part in os.environ.get(VARIABLE, "").split(os.pathsep) if part]
    for origin, group in ((f"${VARIABLE}", named), ("specs folder", list(folders))):
        for folder in group:
            _check_folder(Path(folder), origin)
    return (built_in(), *(Path(folder) for folder in (*named, *folders)))


def listing(folder: Path, kind: str) -> dict[str, Path]:
    """The files of one kind in one folder, by id."""
    inside = folder / kind
    try:
        names = sorted(os.listdir(inside))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    return {name[:-5]: inside / name for name in names if name.endswith(".toml") and not name.startswith(".")}


def stamp(path: str) -> Stamp:
    """What changes when a file or folder does: time, size and place; None where there is none."""
    try:
        stat = os.stat(path)
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def read(path: Path) -> dict[str, Any]:
    """The parsed TOML of a file; treat it as read-only, it is shared."""
    try:
        stat = path.stat()
        if path.is_dir():
            raise SpecError(f"{path}: is a directory, expected a TOML file")
        return _parse(path, stat.st_mtime_ns, stat.st_size)
    except OSError as error:
        raise SpecError(f"{path}: cannot be read: {error.strerror}") from None


def text_of(path: Path) -> str:
    """The text of a file, kept for as long as the file does not change; empty where it cannot be read."""
    try:
        stat = path.stat()
        return _text(path, stat.st_mtime_ns, stat.st_size)
    except (OSError, UnicodeDecodeError):
        return ""


def aliases(path: Path) -> list[str]:
    """The aliases in a file, found without parsing the rest of it."""
    match = re.search(r"^aliases\s*=\s*\[(.*?)\]", text_of(path), re.MULTILINE | re.DOTALL)
    return [a or b for a, b in re.findall(r"\"([^\"]*)\"|'([^']*)'", match[1])] if match else []


def is_abstract(path: Path) -> bool:
    """True for files that are only there to be extended."""
    return re.search(r"^abstract\s*=\s*true\b", text_of(path), re.MULTILINE) is not None


def _check_folder(folder: Path, origin: str) -> None:
    """Refuse what cannot hold specs, so that a slip of the path is not silently ignored."""
    if not folder.is_dir():
        state = "is a file" if folder.exists() else "does not exist"
        raise UsageError(f"{origin} {str(folder)!r} {state}; expected a folder with {', '.join(KINDS)} in it")
    if not any((folder / name).exists() for name in (*KINDS, "sources.toml")):
        raise UsageError(f"{origin} {str(folder)!r} has none of the folders {', '.join(KINDS)}")


@lru_cache(maxsize=1024)
def _text(path: Path, modified: int, size: int) -> str:
    return path.read_text(encoding="utf-8")


@lru_cache(maxsize=1024)
def _parse(path: Path, modified: int, size: int) -> dict[str, Any]:
    """Parse one version of a file."""
    try:
        data = tomllib.loads(_text(path, modified, size))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SpecError(f"{path}: not valid TOML: {error}") from None
    if not data:
        raise SpecError(f"{path}: is empty; a spec needs at least a name")
    return data
