"""Enqueueing by a user's own connection to the SQLite database: jobs stand or fall with its transaction."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Protocol

import apsw

from jobsim.core.errors import ConfigError, JobsimError, StorageError
from jobsim.core.job import JobId, NewJob
from jobsim.core.time import Instant
from jobsim.storage.rows import Row
from jobsim.storage.sqlite_connection import Durability
from jobsim.storage.sqlite_copies import enter_apsw, enter_stdlib, identity
from jobsim.storage.sqlite_enqueue import enqueue as write
from jobsim.storage.sqlite_enqueue import refuse_taken
from jobsim.storage.sqlite_errors import BAD_VALUES, explained, is_ours
from jobsim.storage.sqlite_file import NEWEST, any_version, resolved
from jobsim.storage.sqlite_names import Names
from jobsim.storage.sqlite_statements import Cursor

_OLDEST: Final = (3, 37, 0)
"""The first SQLite that knows STRICT tables."""

_SYNCHRONOUS: Final = {Durability.FULL: 2, Durability.NORMAL: 1}
_MAIN_FILE: Final = "PRAGMA database_list"
"""It opens no file; a SELECT from it would, and closing that second copy of the library removes the WAL."""
_FROM_LEGACY: Final = -1  # sqlite3.LEGACY_TRANSACTION_CONTROL, which Python 3.11 has not


class _Joined(Protocol):
    """A user's connection: what differs between the libraries."""

    def cursor(self) -> Cursor:
        """Return a cursor that gives rows as they are."""
        ...

    def in_transaction(self) -> bool:
        """Return whether a transaction is open."""
        ...

    def begins_by_itself(self) -> bool:
        """Return whether the connection would begin one before it writes."""
        ...

    def enter(self, path: str) -> None:
        """See that its copy of the library may be used on the file."""
        ...

    def native(self, error: Exception) -> Exception | None:
        """Return the error as APSW would have raised it; `None` for one that did not come from SQLite."""
        ...


def enqueue(
    connection: object,
    path: str | os.PathLike[str],
    jobs: Sequence[NewJob],
    now: Instant,
    durability: Durability = Durability.FULL,
) -> list[JobId]:
    """Accept `jobs` with the transaction that is open on `connection`; see `Storage.enqueue`.

    They are there when it commits, and never were when it is rolled back; where this raises, it stands as it
    did before. The connection is an `apsw.Connection` or a `sqlite3.Connection` to the database `path`, in
    which the queue was opened before. On one of sqlite3 that begins transactions by itself, one is begun. It
    must write as durably as `durability` says.

    Raises:
        ConfigError: the connection cannot be used so.
        StorageError: as `Storage.enqueue`; or two copies of the SQLite library would meet on one file.
    """
    joined, file = _joined(connection), resolved(path)
    with _in_our_words(joined, file):
        _check_file(joined, file)
        cursor = joined.cursor()
        _check_schema(cursor, file)
        _check_durability(cursor, file, durability)
        return _write(joined, cursor, jobs, now)


def _joined(connection: object) -> _Joined:
    if isinstance(connection, apsw.Connection):
        return _Apsw(connection)
    stdlib = sys.modules.get("sqlite3")
    if stdlib is not None and isinstance(connection, stdlib.Connection):
        return _Stdlib(connection, stdlib)
    kind = type(connection)
    raise ConfigError(
        f"connection: a {kind.__module__}.{kind.__qualname__} is neither an apsw.Connection nor a "
        f"sqlite3.Connection; hand over the driver's own connection, which a library above it has somewhere"
    )


def _check_file(joined: _Joined, path: str) -> None:
    rows: list[Row] = joined.cursor().execute(_MAIN_FILE).fetchall()
    file: str = rows[0][2]
    if not Path(path).exists():
        raise StorageError(f"there is no database {path}; see that the name is right")
    if not (file and Path(file).exists() and identity(file) == identity(path)):
        raise ConfigError(
            f"connection: it is to {file or 'a database in memory'}, but the jobs are in {path}; "
            f"both must be the same file"
        )
    joined.enter(path)


def _check_schema(cursor: Cursor, path: str) -> None:
    if any_version(cursor, path) < NEWEST:
        raise StorageError(
            f"{path} has no tables of jobsim yet, or older ones; open the queue once before, for example by: "
            f"jobsim stats --url 'sqlite:///{path}?shared=true'"
        )


def _check_durability(cursor: Cursor, path: str, durability: Durability) -> None:
    rows: list[Row] = cursor.execute("PRAGMA synchronous").fetchall()
    if rows[0][0] < _SYNCHRONOUS[durability]:
        raise ConfigError(
            f"connection: its commits to {path} may not survive power loss; execute "
            f"'PRAGMA synchronous = {durability.value}' before its transaction begins"
        )
    rows = cursor.execute("PRAGMA main.journal_mode").fetchall()
    if rows[0][0] in {"memory", "off"}:
        raise ConfigError(
            f"connection: without a journal on disk {path} does not survive a crash; execute "
            f"'PRAGMA journal_mode = wal'"
        )


def _write(joined: _Joined, cursor: Cursor, jobs: Sequence[NewJob], now: Instant) -> list[JobId]:
    if joined.in_transaction():
        return _within(joined, cursor, jobs, now)
    if not joined.begins_by_itself():
        raise ConfigError(
            "connection: no transaction is open that the jobs could be part of; BEGIN one first"
        )
    cursor.execute("BEGIN IMMEDIATE")
    try:
        return _within(joined, cursor, jobs, now)
    except BaseException:
        if joined.in_transaction():
            cursor.execute("ROLLBACK")
        raise


def _within(joined: _Joined, cursor: Cursor, jobs: Sequence[NewJob], now: Instant) -> list[JobId]:
    """Write all or nothing within the transaction that is open."""
    cursor.execute("SAVEPOINT jobsim_enqueue")
    try:
        ids = write(cursor, Names(), jobs, now)
    except BaseException as error:
        if joined.in_transaction():  # else SQLite has ended it
            cursor.execute("ROLLBACK TO jobsim_enqueue")
            cursor.execute("RELEASE jobsim_enqueue")
        if isinstance(error, Exception) and isinstance(joined.native(error), apsw.ConstraintError):
            refuse_taken(cursor, jobs, error)
        raise
    cursor.execute("RELEASE jobsim_enqueue")
    return ids


@contextmanager
def _in_our_words(joined: _Joined, path: str) -> Iterator[None]:
    """Tell of SQLite's errors as the store does; those of the connection, such as that it is closed, stay."""
    before = joined.in_transaction()
    try:
        yield
    except JobsimError:
        raise
    except Exception as error:
        native = error if isinstance(error, BAD_VALUES) else joined.native(error)
        if native is None or not is_ours(native):
            raise
        meaning = explained(error, path, native)
        if before and not joined.in_transaction():
            meaning = type(meaning)(f"{meaning} (SQLite has rolled the whole transaction back)")
        raise meaning from error


class _Apsw:
    """A connection of APSW, which begins nothing by itself."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def cursor(self) -> Cursor:
        cursor = self._connection.cursor()
        cursor.row_trace = lambda _, row: row  # in the place of what the connection makes of rows
        return cursor

    def in_transaction(self) -> bool:
        return self._connection.in_transaction

    def begins_by_itself(self) -> bool:
        return False

    def enter(self, path: str) -> None:
        enter_apsw(self._connection, path)

    def native(self, error: Exception) -> Exception | None:
        return error if getattr(error, "extendedresult", None) is not None else None


class _Stdlib:
    """A connection of Python's sqlite3."""

    def __init__(self, connection: Any, module: Any) -> None:
        self._connection = connection
        self._module = module

    def cursor(self) -> Cursor:
        cursor: Any = self._connection.cursor(self._module.Cursor)
        cursor.row_factory = None
        return _Texts(self._connection, cursor)

    def in_transaction(self) -> bool:
        return bool(self._connection.in_transaction)

    def begins_by_itself(self) -> bool:
        legacy = getattr(self._connection, "autocommit", _FROM_LEGACY) == _FROM_LEGACY
        return legacy and self._connection.isolation_level is not None

    def enter(self, path: str) -> None:
        if self._module.sqlite_version_info < _OLDEST:
            raise StorageError(
                f"SQLite {self._module.sqlite_version}, which Python's sqlite3 uses here, is too old for "
                f"{path}; enqueue with a connection of apsw.Connection"
            )
        enter_stdlib(path)

    def native(self, error: Exception) -> Exception | None:
        code = getattr(error, "sqlite_errorcode", None)
        return None if code is None else apsw.exception_for(code)


class _Texts:
    """A cursor of sqlite3 that gives texts as such, whatever its connection makes of them for others."""

    def __init__(self, connection: Any, cursor: Any) -> None:
        self._connection = connection
        self._cursor = cursor

    @property
    def connection(self) -> "_Texts":
        return self

    def last_insert_rowid(self) -> int:
        return int(self._cursor.lastrowid)

    def execute(self, sql: str, bindings: Sequence[Any] = (), /) -> "_Texts":
        self._cursor.execute(sql, bindings)
        return self

    def fetchall(self) -> list[Row]:
        before, self._connection.text_factory = self._connection.text_factory, str
        try:
            rows: list[Row] = self._cursor.fetchall()
        finally:
            self._connection.text_factory = before
        return rows
