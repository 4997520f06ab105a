"""What SQLite's errors mean for a person: the one place that translates them."""

from typing import Final

import apsw

from jobsim.core.errors import (
    StorageBroken,
    StorageBusy,
    StorageError,
    StorageForeign,
    StorageFull,
    StorageReadOnly,
)
from jobsim.storage.rows import Meaningless

BAD_VALUES: Final = (UnicodeError, OverflowError, Meaningless)
"""What is raised for values that SQLite cannot take, or that mean nothing."""

NATIVE: Final = (apsw.Error, *BAD_VALUES)
"""What is raised below."""

_THEIRS: Final = (apsw.AbortError, apsw.AuthError, apsw.InterruptError, apsw.MisuseError)

Meaning = tuple[type[StorageError], str]

READ_ONLY: Final[Meaning] = (
    StorageReadOnly,
    "{path} cannot be written, which even reading it needs; see to the permissions of file and directory",
)
MOVED: Final[Meaning] = (
    StorageError,
    (
        "{path} or a file beside it (-wal, -shm) was removed or replaced while it was open; nothing of the "
        "call was kept. Put the files back or end this process, and never move them under a running one"
    ),
)
_BROKEN: Final[Meaning] = (
    StorageBroken,
    (
        "{path}: the disk did not confirm a write (fsync failed), so that nobody knows what was kept; "
        "end this process, look after the disk, then start again"
    ),
)
_CORRUPT: Final[Meaning] = (StorageForeign, "{path} is corrupt ({error}); open a copy from a backup")

_BY_CODE: Final[dict[int | None, Meaning]] = {
    apsw.SQLITE_IOERR_FSYNC: _BROKEN,
    apsw.SQLITE_IOERR_DIR_FSYNC: _BROKEN,
    apsw.SQLITE_READONLY_DBMOVED: MOVED,
    apsw.SQLITE_BUSY_SNAPSHOT: (
        StorageBusy,
        (
            "{path} was written by another connection since the transaction began to read, so that it cannot "
            "write any more; roll it back, and begin it with BEGIN IMMEDIATE"
        ),
    ),
}
_BY_CLASS: Final[dict[type[Exception], Meaning]] = {
    apsw.BusyError: (
        StorageBusy,
        "{path} is in use by another process, which did not let go of it in time; try again",
    ),
    apsw.FullError: (StorageFull, "{path}: the disk is full, nothing of the call was kept; free some space"),
    apsw.ReadOnlyError: READ_ONLY,
    apsw.NotADBError: _CORRUPT,
    apsw.CorruptError: _CORRUPT,
    Meaningless: _CORRUPT,
    apsw.SQLError: (StorageForeign, "{path} has not the tables of a jobsim database ({error})"),
    apsw.ConstraintError: (
        StorageError,
        "{path}: refused, nothing of the call was kept: {error}",
    ),
    apsw.CantOpenError: (
        StorageError,
        "{path} cannot be opened ({error}); may its directory be written, and this process open more files?",
    ),
    UnicodeError: (
        StorageError,
        "{path}: a text is not Unicode, nothing of the call was kept: {error}",
    ),
    OverflowError: (StorageError, "{path}: a number does not fit 64 bits, nothing of the call was kept"),
}
_OTHER: Final[Meaning] = (StorageError, "{path}: {name}: {error}")


def explained(error: Exception, path: str, native: Exception | None = None) -> StorageError:
    """Return the error to raise for one of `NATIVE` about the database `path`.

    For an error of another driver, `native` is what APSW would have raised.
    """
    native = native or error
    by_class = (meaning for known, meaning in _BY_CLASS.items() if isinstance(native, known))
    meaning = _BY_CODE.get(getattr(native, "extendedresult", None)) or next(by_class, _OTHER)
    return meant(meaning, path, error)


def is_ours(native: Exception) -> bool:
    """Return whether an error, on a connection that belongs to somebody else, is one to explain."""
    return not isinstance(native, _THEIRS)


def meant(meaning: Meaning, path: str, error: Exception | None = None) -> StorageError:
    """Return the error that says `meaning` about the database `path`."""
    kind, text = meaning
    return kind(text.format(path=path, error=error, name=type(error).__name__))
