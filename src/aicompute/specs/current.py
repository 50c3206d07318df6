"""Libraries kept between questions: files are read again when they change, not before."""

from __future__ import annotations

import os
from collections.abc import Iterable

from aicompute.specs import files
from aicompute.specs.library import Library

KEPT = 8
"""Libraries that are kept, of as many sets of folders."""

_kept: dict[tuple[object, ...], Library] = {}


def current(folders: Iterable[str | os.PathLike[str]] = ()) -> Library:
    """The library of some folders as they are now.

    Parameters
    ----------
    folders : iterable of paths   As of `Library`.

    Returns
    -------
    Library, the same one for as long as no file or folder that it has read changes: what was made from its specs holds as long.

    Raises
    ------
    UsageError
        A folder does not exist, or holds no specs.

    Examples
    --------
    >>> current() is current()
    True
    """
    given = list(folders)
    path = files.search_path(given)
    key = (path, os.getcwd() if len(path) > 1 else "")
    found = _kept.get(key)
    if found is None or not found.fresh():
        _kept.pop(key, None)
        while len(_kept) >= KEPT:
            _kept.pop(next(iter(_kept)), None)
        found = _kept[key] = Library(given)
    return found
