"""Jobs enqueued by a transaction of the caller's own on PostgreSQL: they stand or fall with it.

The caller's connection is left as it is, with its settings, row factory, adapters and prepared statements.
One thing is changed, for the transaction alone: where `synchronous_commit` is off it is on, because a job
that was accepted must outlive a crash of the server.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, Final
from zlib import crc32

import psycopg
from psycopg import RawCursor, errors
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row
from psycopg.types.bool import BoolBinaryLoader
from psycopg.types.numeric import Int8BinaryLoader, Int8Dumper
from psycopg.types.string import ByteaBinaryLoader, StrDumper, TextBinaryLoader

from jobsim.core.errors import ConfigError, StorageBusy, StorageError
from jobsim.core.job import JobId, NewJob
from jobsim.core.time import Instant
from jobsim.storage import postgres_enqueue
from jobsim.storage.base import outdated
from jobsim.storage.postgres_errors import NATIVE, explained, said, undone
from jobsim.storage.postgres_names import Names
from jobsim.storage.postgres_schema import checked
from jobsim.storage.postgres_statements import migrations, statements, uuids
from jobsim.storage.rows import Row

_DUMPERS: Final = ((int, Int8Dumper), (str, StrDumper))
_LOADERS: Final = (
    ("int8", Int8BinaryLoader),
    ("text", TextBinaryLoader),
    ("bytea", ByteaBinaryLoader),
    ("bool", BoolBinaryLoader),
)

_ACCEPTED: Final = (
    "the sync psycopg.Connection of psycopg 3; of SQLAlchemy's it is session.connection()"
    ".connection.driver_connection, with the dialect postgresql+psycopg"
)


def enqueue(connection: object, schema: str, jobs: Sequence[NewJob], now: Instant) -> list[JobId]:
    """Accept `jobs`, all or none, within the transaction under way on `connection`; see `Storage.enqueue`.

    They are there for others once that is committed, and are gone if it is rolled back. If this raises,
    nothing of the call is kept and the transaction can go on. Until its end, readers of the log wait for it,
    and so do those who declare limits or enqueue the same unique keys: end it soon. Where its isolation is
    above READ COMMITTED, limits first declared since it began are not in force for these jobs.

    Raises:
        ConfigError: `connection` is none that can be used, or has no transaction under way.
        KeyTaken: a unique key is, and the job's `conflict` is `RAISE`.
        StorageError: they cannot be stored.
    """
    session = _Joined(_checked(connection, writes=True), checked(schema))
    if not jobs:
        return []
    try:
        return session.enqueue(jobs, now)
    except NATIVE as error:
        problem = session.told(error)
        if isinstance(error, errors.UniqueViolation):
            postgres_enqueue.refuse_taken(jobs, session.knows, problem)
        raise problem from error


def clock(connection: object) -> Instant:
    """Return what the clock of the server shows, to which all who use its store keep.

    Raises:
        ConfigError: `connection` is none that can be used.
        StorageError: it does not answer.
    """
    session = _Joined(_checked(connection, writes=False), "jobsim")
    try:
        [(now,)] = session.run("clock").fetchall()
    except NATIVE as error:
        raise session.told(error) from error
    return Instant(now)


def _checked(connection: object, *, writes: bool) -> "psycopg.Connection[Any]":
    """Return a connection that can be used; one that `writes` is within a transaction, or begins one."""
    if not isinstance(connection, psycopg.Connection):
        kind = type(connection)
        raise ConfigError(
            f"connection: a {kind.__module__}.{kind.__qualname__} cannot be used; give {_ACCEPTED}"
        )
    if connection.closed:
        raise ConfigError("connection: it is closed; give one that is open")
    match connection.info.transaction_status:
        case TransactionStatus.INERROR:
            raise ConfigError("connection: its transaction has failed already; roll it back first")
        case TransactionStatus.IDLE if writes and connection.autocommit:
            raise ConfigError(
                "connection: it commits by itself and no transaction is under way; "
                "write `with connection.transaction():` around what belongs together"
            )
        case _:
            return connection


@cache
def _statements(schema: str) -> dict[str, bytes]:
    return statements(schema)


class _Joined:
    """A transaction of the caller's as `Statements`, by cursors of our own: what he set up does no harm."""

    def __init__(self, connection: "psycopg.Connection[Any]", schema: str) -> None:
        self._connection = connection
        self._schema = schema
        self._sql = _statements(schema)
        self._where = f"PostgreSQL database {connection.info.dbname!r} (schema {schema!r})"
        self.news: str | None = None

    def run(self, name: str, *parameters: Any) -> "psycopg.Cursor[Row]":
        """Let a statement be part of the transaction, and return where its answer is to be read."""
        cursor = RawCursor(self._connection, row_factory=tuple_row)
        for cls, dumper in _DUMPERS:
            cursor.adapters.register_dumper(cls, dumper)
        for type_, loader in _LOADERS:
            cursor.adapters.register_loader(type_, loader)
        return cursor.execute(self._sql[name], parameters, prepare=False, binary=True)

    def alone(self, name: str, *parameters: Any) -> list[Row]:
        """Return the rows of a statement, which is part of the transaction as all others are."""
        return self.run(name, *parameters).fetchall()

    def enqueue(self, jobs: Sequence[NewJob], now: Instant) -> list[JobId]:
        """Write `jobs` between a savepoint and its release."""
        if self._connection.info.transaction_status == TransactionStatus.IDLE:
            self.alone("clock")  # begins the transaction, which a block of ours would commit otherwise
        with self._connection.transaction():
            self._begin()
            ids = postgres_enqueue.enqueue(self, now, jobs, Names(), self._schema)
            # What is read last brings the errors of all before it here, in a pipeline as well.
            self.alone("number") if self.news is None else self.alone("tell", self.news)
        return ids

    def _begin(self) -> None:
        [(version, *_)] = self.alone("join", crc32(self._schema.encode()) - 2**31)
        known = len(migrations(self._schema))
        if version < known:
            raise outdated(self._where, version, known)

    def knows(self, job: JobId) -> bool:
        """Return whether there is such a job."""
        return bool(self.alone("get", uuids([job])))

    def told(self, error: Exception) -> StorageError:
        """Return the error to raise for what the driver raised."""
        if isinstance(error, errors.UndefinedTable | errors.InvalidSchemaName):
            return StorageError(
                f"{self._where} does not hold jobsim's tables; see that the names are right; "
                f"a worker makes them, and so does a job enqueued without connection="
            )
        if undone(error):
            return StorageBusy(
                f"{self._where}: others were in the way ({said(error)}); nothing of the call was kept: "
                f"roll the transaction back, and do all of it again"
            )
        return explained(error, self._where)
