"""How a connection to a SQLite database is set, and how durably it writes: settings are read back."""

from contextlib import suppress
from enum import StrEnum
from typing import Final

import apsw

from jobsim.core.errors import StorageError
from jobsim.core.time import MILLISECOND, Duration
from jobsim.storage.sqlite_wal import BIG

MEMORY: Final = ":memory:"


class Durability(StrEnum):
    """What a commit survives."""

    FULL = "full"
    """The end of the process, and power loss."""

    NORMAL = "normal"
    """The end of the process; power loss may undo the last commits, though they were acknowledged."""

    NONE = "none"
    """Nothing: a database in memory ends with its process."""


TRIES: Final = 3
"""SQLite waits for a lock itself, except where it fears a deadlock; then only trying again helps."""

_SETTINGS: Final = {
    "trusted_schema": 0,
    "cell_size_check": 1,
    "fullfsync": 1,
    "checkpoint_fullfsync": 1,
    "temp_store": 2,
    "cache_size": -32_000,
    "journal_size_limit": BIG,
}
_SYNCHRONOUS: Final = {Durability.FULL: 2, Durability.NORMAL: 1, Durability.NONE: 0}
_EXTRA: Final = 3
"""Syncs the directory too, so that a journal stays deleted; needed until the file is in WAL mode."""

_SWITCHES: Final = 50


def configure(connection: apsw.Connection, patience: Duration) -> None:
    """Have `connection` wait for others, `TRIES` times within `patience`, and trust no file."""
    connection.set_busy_timeout(max(1, patience // MILLISECOND // TRIES))
    connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
    # Without it, SQLite plans a query that is bound to other values anew, in the hope of a better plan.
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
    connection.limit(apsw.SQLITE_LIMIT_ATTACHED, 0)
    for name, value in {**_SETTINGS, "synchronous": _EXTRA}.items():
        connection.pragma(name, value)


def make_durable(connection: apsw.Connection, path: str, durability: Durability) -> None:
    """Have commits survive what `durability` says, and a file in WAL mode.

    Raises:
        StorageError: that, or another setting, is not in force.
    """
    if path != MEMORY:
        _switch_to_wal(connection)
    connection.pragma("synchronous", _SYNCHRONOUS[durability])
    wanted = {
        **_SETTINGS,
        "synchronous": _SYNCHRONOUS[durability],
        "journal_mode": "memory" if path == MEMORY else "wal",
    }
    for name, value in wanted.items():
        if (found := connection.pragma(name)) != value:  # SQLite keeps silent where it cannot follow
            raise StorageError(f"{path}: {name} is {found!r} and cannot be made {value!r} here")


def _switch_to_wal(connection: apsw.Connection) -> None:
    for _ in range(_SWITCHES):
        with suppress(apsw.BusyError):
            connection.pragma("journal_mode", "wal")
            return
        # SQLite does not wait in order to switch, but it does for this; others may be faster again.
        connection.execute("BEGIN EXCLUSIVE")
        connection.execute("COMMIT")
    connection.pragma("journal_mode", "wal")
