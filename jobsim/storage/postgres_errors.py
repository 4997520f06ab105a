"""What PostgreSQL's errors mean for a person: the one place that translates them."""

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

NATIVE: Final = (psycopg.Error, UnicodeError)
"""What the driver raises: its own errors, the pool's included, and those of values it cannot take."""

_GOING: Final = (
    errors.AdminShutdown,
    errors.CrashShutdown,
    errors.CannotConnectNow,
    errors.IdleInTransactionSessionTimeout,
    errors.TooManyConnections,
)
_MISPLACED: Final = (errors.UndefinedTable, errors.UndefinedColumn, errors.InvalidSchemaName)
_CROWDED: Final = (
    errors.SerializationFailure,
    errors.DeadlockDetected,
    errors.LockNotAvailable,
    errors.QueryCanceled,
)


def lost(error: BaseException) -> bool:
    """Return whether `error` means that the connection is gone, or could not be had."""
    if not isinstance(error, psycopg.OperationalError):
        return False
    return error.sqlstate is None or error.sqlstate.startswith("08") or isinstance(error, _GOING)


def explained(error: Exception, where: str) -> StorageError:
    """Return the error to raise for one of `NATIVE` about the database `where`."""
    said = _said(error)
    match error:
        case PoolTimeout():
            return StorageUnavailable(
                f"{where} gives no connection: the server does not answer, or all of this process are in use"
            )
        case _ if lost(error):
            return StorageUnavailable(
                f"{where} cannot be reached, nothing of the call was kept ({said}); see that the server runs"
            )
        case psycopg.Error() if isinstance(error, _CROWDED):
            return StorageBusy(f"{where}: others were in the way ({said}), nothing of the call was kept")
        case errors.DiskFull():
            return StorageFull(f"{where}: the server's disk is full; free some space and try again")
        case errors.ReadOnlySqlTransaction():
            return StorageReadOnly(f"{where} cannot be written: the server is a standby, or read-only")
        case errors.InsufficientPrivilege():
            return StorageError(f"{where}: its user may not do that ({said}); grant what is missing")
        case psycopg.Error() if isinstance(error, _MISPLACED):
            return StorageForeign(f"{where} has not the tables it should have ({said})")
        case errors.DataCorrupted() | errors.IndexCorrupted():
            return StorageForeign(f"{where} is corrupt ({said}); restore it from a backup")
        case errors.IntegrityError():
            return StorageError(f"{where}: a value was refused, nothing of the call was kept: {said}")
        case UnicodeError() | psycopg.DataError():
            return StorageError(f"{where}: a value cannot be stored, nothing of the call was kept: {said}")
        case _:
            return StorageError(f"{where}: {type(error).__name__}: {said}")


def _said(error: Exception) -> str:
    """Return the first line of what the server or the driver said."""
    text = (error.diag.message_primary if isinstance(error, psycopg.Error) else None) or str(error)
    return text.strip().partition("\n")[0]
