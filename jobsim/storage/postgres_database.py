"""Calls to a PostgreSQL database, each a transaction, and what is done when a connection is lost."""

import logging
from collections import deque
from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeVar, TypeVarTuple
from zlib import crc32

from psycopg_pool import PoolTimeout

from jobsim.core.errors import StorageUnavailable
from jobsim.core.time import MILLISECOND, Duration, Instant
from jobsim.storage.postgres_connections import Connections
from jobsim.storage.postgres_errors import NATIVE, explained, lost, said, undone
from jobsim.storage.postgres_pipeline import Pipeline
from jobsim.storage.postgres_schema import prepare
from jobsim.storage.postgres_session import Session
from jobsim.storage.postgres_statements import statements
from jobsim.storage.postgres_watch import PostgresWatch
from jobsim.storage.rows import Row

T = TypeVar("T")
V = TypeVar("V")
Ts = TypeVarTuple("Ts")

_ASKS: Final = 100
"""How often the fate of a transaction is asked for which is still in progress: 2 s in all."""

_UNDONE: Final = 5
"""How often a transaction is made again that the server undid to let others through."""

_UNSURE: Final = 16
"""How many calls of unknown fate are remembered, in case they are made again."""

_log: Final = logging.getLogger("jobsim.storage")


class _Unsure(NamedTuple):
    """A call whose commit was sent and never confirmed, and what it is to return if it was kept.

    A `setting` is put in force again all the same: another may have taken its place since.
    """

    number: str
    work: Callable[..., Any]
    args: tuple[Any, ...]
    answer: Any
    setting: bool


class Database:
    """A database and its schema. `forget` is called where it may not be as it was left."""

    def __init__(
        self, connections: Connections, schema: str, patience: Duration, forget: Callable[[], None]
    ) -> None:
        self.where: Final = f"{connections.where} (schema {schema!r})"
        self.tag: Final = crc32(schema.encode()) - 2**31
        self._connections = connections
        self._schema = schema
        self._forget = forget
        self._sql = statements(schema)
        self._prelude = (str(patience // MILLISECOND), self.tag)
        self._unsure: deque[_Unsure] = deque(maxlen=_UNSURE)

    def open(self, *, create: bool) -> None:
        """See that the schema is there and is ours, and make or migrate it where that is needed.

        Raises:
            StorageError: it cannot be used.
        """
        try:
            with self._connections.single() as connection:
                prepare(connection, self._schema, self.tag, self.where, create=create)
        except NATIVE as error:
            raise explained(error, self.where) from error

    def write(self, work: Callable[[Session, Instant, *Ts], Callable[[], T]], now: Instant, *args: *Ts) -> T:
        """Return what ``work(session, now, *args)`` gives to read, of one transaction, which is durable.

        Where the connection is lost, it is done once more if nothing of it was kept; at the commit, the
        server is asked what became of it.

        Raises:
            StorageError: nothing was kept; of some `StorageUnavailable` nobody knows, as they say.
        """
        if self._unsure and (known := self._remembered(work, args)) is not None:
            answer: T = known.answer
            return self._twice(self._transact, work, now, args) or answer if known.setting else answer
        return self._twice(self._transact, work, now, args)

    def read(self, value: Callable[[Row], V], name: str, *parameters: Any) -> list[V]:
        """Return all rows of a query, each as the `value` that it stands for.

        Raises:
            StorageError: they cannot be read.
        """
        return self._twice(lambda: list(map(value, self._query(name, parameters))))

    def glance(self, value: Callable[[Row], V], name: str, *parameters: Any) -> list[V]:
        """Return all rows of a query that an index answers, whatever the planner believes.

        Raises:
            StorageError: they cannot be read.
        """
        return self._twice(lambda: list(map(value, self._query_by_index(name, parameters))))

    def watch(self, channel: str) -> PostgresWatch:
        """Return what hears what is told on `channel`."""
        return PostgresWatch(self._connections.single, channel, self.where)

    def close(self) -> None:
        """Close the connections; what comes later is refused."""
        self._connections.close()

    def _twice(self, step: Callable[[*Ts], T], *args: *Ts) -> T:
        """Make a step, again where the connection was lost, and tell of errors in our own words."""
        try:
            return self._past_others(step, *args)
        except NATIVE as error:
            if not lost(error) or isinstance(error, PoolTimeout):
                raise explained(error, self.where) from error
            _log.warning("%s: %s; trying again at once", self.where, said(error))
        try:
            self._renew()
            return step(*args)
        except NATIVE as error:
            raise explained(error, self.where) from error

    def _past_others(self, step: Callable[[*Ts], T], *args: *Ts) -> T:
        """Make a step, again where it was undone for the sake of others, who are through by then."""
        for _ in range(_UNDONE):
            try:
                return step(*args)
            except NATIVE as error:
                if not undone(error):
                    raise
                self._forget()
        return step(*args)

    def _renew(self) -> None:
        """Let go of other lost connections, and of what is known of a database that may be another."""
        self._forget()
        self._connections.weed()

    def _transact(
        self, work: Callable[[Session, Instant, *Ts], Callable[[], T]], now: Instant, args: tuple[*Ts]
    ) -> T:
        with self._connections.borrow() as connection:
            session = Session(connection, self._sql, self._prelude)
            try:
                answer, number = session.complete(work(session, now, *args))
            except Exception:
                session.abandon()
                raise
            try:
                session.commit()
            except NATIVE as error:
                session.abandon()
                if number is None or not lost(error):
                    raise
                unsure = _Unsure(number, work, args, answer, session.exclusive)
                unconfirmed = error
            else:
                return answer
        if self._kept(unsure):
            return answer
        raise unconfirmed

    def _remembered(self, work: Callable[..., Any], args: tuple[Any, ...]) -> _Unsure | None:
        """Return the same call as was made before, at whatever time, if that one was kept after all."""
        for unsure in list(self._unsure):
            if unsure.work == work and unsure.args == args:
                self._unsure.remove(unsure)
                return unsure if self._kept(unsure) else None
        return None

    def _kept(self, unsure: _Unsure) -> bool:
        """Return whether the server has kept what a call wrote, now that it is known to have ended."""
        status = "unknown"
        try:
            self._renew()
            for _ in range(_ASKS):
                status = self._query("fate", (unsure.number,))[0][0]
                if status in {"committed", "aborted"}:
                    return bool(status == "committed")
        except NATIVE as error:
            status = said(error)
        self._unsure.append(unsure)
        raise StorageUnavailable(
            f"{self.where}: the connection was lost while a commit was under way, so that nobody knows "
            f"whether the call was kept ({status}); make the same call again once the server can be reached"
        )

    def _query(self, name: str, parameters: tuple[Any, ...]) -> list[Row]:
        with self._connections.borrow() as connection, Pipeline(connection) as pipeline:
            return pipeline.send(self._sql[name], parameters).fetchall()

    def _query_by_index(self, name: str, parameters: tuple[Any, ...]) -> list[Row]:
        with self._connections.borrow() as connection, Pipeline(connection) as pipeline:
            pipeline.send(b"BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY")
            pipeline.send(self._sql["glance"])
            rows = pipeline.send(self._sql[name], parameters)
            pipeline.send(b"COMMIT")
            return rows.fetchall()
