"""The copies of the SQLite library in a process: ours, and the one of Python's own sqlite3."""

import sqlite3
from typing import Final

import apsw

OURS: Final[str] = apsw.sqlite_lib_version()
PYTHONS: Final[str] = sqlite3.sqlite_version

_FIXED: Final = (3, 51, 3)
_FIXED_IN: Final = {(3, 50): 7, (3, 44): 6}
"""Minor versions that were mended, too, and since which patch."""

_SINCE: Final = (3, 7, 0)


def resets_wal_wrongly(version: str) -> bool:
    """Return whether a library can lose committed writes: a checkpoint that races the WAL's reset skips them.

    Source: https://sqlite.org/wal.html#walresetbug
    """
    major, minor, patch = map(int, version.split(".")[:3])
    mended = _FIXED_IN.get((major, minor))
    return _SINCE <= (major, minor, patch) < _FIXED and (mended is None or patch < mended)
