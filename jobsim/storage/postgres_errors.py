"""What PostgreSQL's errors mean for a person: the one place that translates them."""

import re
from typing import Final

import psycopg
from psycopg import errors
from psycopg_pool import PoolTimeout

from jobsim.core.errors import (
    StorageBusy,
    StorageError,
    StorageForeign,
    StorageFull,
    StorageReadOnly,
    StorageUnavailable,
)
from jobsim.storage.rows import Meaningless

NATIVE: Final = (psycopg.Error, UnicodeError, Meaningless)
"""What is raised below: the driver's and the pool's errors, and those of values that mean nothing."""

_GOING: Final = (
    errors.AdminShutdown,
    errors.CrashShutdown,
    errors.CannotConnectNow,
    errors.IdleInTransactionSessionTimeout,
    errors.IdleSessionTimeout,
    errors.TooManyConnections,
)
_BUSY: Final = (StorageBusy, "others were in the way ({}); nothing of the call was kept, try again")
_BROKEN_OFF: Final = (
    StorageBusy,
    (
        "the server broke a statement off ({}); nothing of the call was kept, try again; if it took longer "
        "than the role may, give it more: ALTER ROLE ... SET statement_timeout"
    ),
)
_CROWDED: Final = (
    StorageUnavailable,
    (
        "it takes no more connections, nothing of the call was kept ({}); raise the limit of the server, the "
        "database or the role, or lower `connections` in the URL: a worker takes one more to listen"
    ),
)
_LACKING: Final = (StorageForeign, "it has not the tables it should have ({}); restore them from a backup")
_CORRUPT: Final = (StorageForeign, "it is corrupt ({}); restore it from a backup")
_REFUSED: Final = (
    StorageError,
    "it cannot be opened so, however long one waits ({}); see that the URL is right",
)
_UNFIT: Final = (StorageError, "a value cannot be stored, nothing of the call was kept: {}")

_MEANINGS: Final[dict[type[Exception], tuple[type[StorageError], str]]] = {
    PoolTimeout: (
        StorageUnavailable,
        "there is no connection to be had: the server does not answer, or all of this process are in use",
    ),
    errors.SerializationFailure: _BUSY,
    errors.DeadlockDetected: _BUSY,
    errors.LockNotAvailable: _BUSY,
    errors.QueryCanceled: _BROKEN_OFF,
    errors.TooManyConnections: _CROWDED,
    errors.DiskFull: (StorageFull, "the server's disk is full; free some space and try again"),
    errors.ReadOnlySqlTransaction: (
        StorageReadOnly,
        "it cannot be written ({}): the server is a standby, or read-only; name another",
    ),
    errors.InsufficientPrivilege: (StorageError, "its user may not do that ({}); grant what is missing"),
    errors.InvalidAuthorizationSpecification: _REFUSED,
    errors.InvalidPassword: _REFUSED,
    errors.InvalidCatalogName: _REFUSED,
    errors.UndefinedTable: _LACKING,
    errors.UndefinedColumn: _LACKING,
    errors.InvalidSchemaName: _LACKING,
    errors.DataCorrupted: _CORRUPT,
    errors.IndexCorrupted: _CORRUPT,
    Meaningless: _CORRUPT,
    psycopg.IntegrityError: (StorageError, "a value was refused, nothing of the call was kept: {}"),
    psycopg.DataError: _UNFIT,
    UnicodeError: _UNFIT,
}
_LOST: Final = (
    StorageUnavailable,
    "it cannot be reached, nothing of the call was kept ({}); see that the server runs and the URL is right",
)
_OTHER: Final = (StorageError, "{}")

_FULL: Final = re.compile(
    r"too many (?:clients|connections)|remaining connection slots|no more connections allowed"
)
"""What the server and PgBouncer say where all connections are taken."""

_HOPELESS: Final = re.compile(
    r"(?<!LDAP )(?<!PAM )(?<!RADIUS )authentication failed for user|no password supplied"
    r"|no pg_hba\.conf entry|pg_hba\.conf rejects"
    r"|role \".*\" (?:does not exist|is not permitted to log in)|no such (?:user|database)"
    r"|database \".*\" does not exist|permission denied for database"
    r"|connection is bad: invalid |could not match \d+ port numbers"
)
"""What is said where a connection is refused for good: by the server, PgBouncer, libpq and psycopg.

libpq hands no SQLSTATE on where a connection fails. A server that speaks another language is waited for, and
so is a host that nobody knows: where services start together, or move, its name comes with it. So is one that
asks another server whether a password is right: it says the same where that one is away.
"""


def lost(error: BaseException) -> bool:
    """Return whether `error` means that the connection is gone, or could not be had."""
    if not isinstance(error, psycopg.OperationalError) or _hopeless(error):
        return False
    return error.sqlstate is None or error.sqlstate.startswith("08") or isinstance(error, _GOING)


def _hopeless(error: BaseException) -> bool:
    """Return whether a connection was refused for a reason that does not pass by itself."""
    if not isinstance(error, psycopg.OperationalError) or error.sqlstate is not None:
        return False
    return _HOPELESS.search(str(error)) is not None


def undone(error: BaseException) -> bool:
    """Return whether the server chose to undo this transaction, so that it or another could go on."""
    return isinstance(error, (errors.DeadlockDetected, errors.SerializationFailure))


def explained(error: Exception, where: str) -> StorageError:
    """Return the error to raise for one of `NATIVE` about the database `where`."""
    known = (_MEANINGS[kind] for kind in type(error).__mro__ if kind in _MEANINGS)
    kind, text = next(known, _unknown(error))
    return kind(f"{where}: {text.format(said(error))}")


def _unknown(error: Exception) -> tuple[type[StorageError], str]:
    """Return the meaning of an error whose class says nothing, as that of a connection that fails."""
    if _hopeless(error):
        return _REFUSED
    if not lost(error):
        return _OTHER
    return _CROWDED if _FULL.search(str(error)) else _LOST


def said(error: Exception) -> str:
    """Return the first line of what the server or the driver said."""
    text = (error.diag.message_primary if isinstance(error, psycopg.Error) else None) or str(error)
    return text.strip().partition("\n")[0]
