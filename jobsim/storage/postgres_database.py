"""Connections to a PostgreSQL database, one for each call, and what is done when one of them is lost."""

import logging
import os
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any, Final, NamedTuple, TypeVar, TypeVarTuple
from zlib import crc32

import psycopg
from psycopg import RawCursor
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.types.numeric import Int8Dumper
from psycopg_pool import ConnectionPool, PoolTimeout

from jobsim.core.errors import ConfigError, StorageError, StorageUnavailable
from jobsim.core.time import MILLISECOND, Duration
from jobsim.storage.postgres_errors import NATIVE, explained, lost, said
from jobsim.storage.postgres_schema import prepare
from jobsim.storage.postgres_session import Connection, Session
from jobsim.storage.postgres_statements import statements
from jobsim.storage.postgres_watch import PostgresWatch
from jobsim.storage.rows import Row

T = TypeVar("T")
V = TypeVar("V")
Ts = TypeVarTuple("Ts")

_DEFAULTS: Final[dict[str, Any]] = {
    "application_name": "jobsim",
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
"""So that a server which vanished without a word is not waited for, for hours."""

_OFTEN: Final = 5
"""How often a connection runs a statement before it is worth being prepared."""

_ASKS: Final = 100
"""How often the fate of a transaction is asked for which is still in progress: 2 s in all."""

_UNSURE: Final = 16
"""How many calls of unknown fate are remembered, in case they are made again."""

_log: Final = logging.getLogger("jobsim.storage")


class _Unsure(NamedTuple):
    """A call whose commit was sent and never confirmed, and what it is to return if it was kept."""

    number: str
    work: Callable[..., Any]
    args: tuple[Any, ...]
    answer: Any


class Database:
    """The connections of one process. `forget` is called where the database may not be as it was left."""

    def __init__(
        self,
        conninfo: str,
        schema: str,
        patience: Duration,
        connections: int,
        forget: Callable[[], None],
        *,
        prepared: bool,
    ) -> None:
        given = _parsed(conninfo)
        host = given.get("host") or given.get("hostaddr") or "this machine"
        self.where: Final = f"PostgreSQL database {given.get('dbname') or ''!r} on {host} (schema {schema!r})"
        self.tag: Final = crc32(schema.encode()) - 2**31
        self._conninfo = make_conninfo(**{**_DEFAULTS, "connect_timeout": _seconds(patience), **given})
        self._schema = schema
        self._patience = patience
        self._connections = connections
        self._forget = forget
        self._settings: dict[str, Any] = {
            "autocommit": True,
            "prepare_threshold": _OFTEN if prepared else None,
            "cursor_factory": RawCursor,
        }
        self._sql = statements(schema)
        self._prelude = (str(patience // MILLISECOND), self.tag)
        self._pool: ConnectionPool[Connection] | None = None
        self._pid = os.getpid()
        self._closed = False
        self._unsure: deque[_Unsure] = deque(maxlen=_UNSURE)

    def open(self, *, create: bool) -> None:
        """See that the schema is there and is ours, and make or migrate it where that is needed.

        Raises:
            StorageError: it cannot be used.
        """
        try:
            with self.connect() as connection:
                prepare(connection, self._schema, self.tag, self.where, create=create)
        except NATIVE as error:
            raise explained(error, self.where) from error

    def connect(self) -> Connection:
        """Return a connection outside the pool, for its caller to close."""
        connection = psycopg.connect(self._conninfo, **self._settings)
        _set_up(connection)
        return connection

    def write(self, work: Callable[[Session, *Ts], Callable[[], T]], *args: *Ts) -> T:
        """Return what ``work(session, *args)`` gives to read, of one transaction: durable when this returns.

        Where the connection is lost, it is done once more if nothing of it was kept; at the commit, the
        server is asked what became of it.

        Raises:
            StorageError: nothing was kept; of some `StorageUnavailable` nobody knows, as they say.
        """
        if self._unsure and (known := self._remembered(work, args)) is not None:
            answer: T = known.answer
            return answer
        return self._twice(self._transact, work, args)

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
        return PostgresWatch(self.connect, channel, self.where)

    def close(self) -> None:
        """Close the connections; what comes later is refused."""
        with _opening:
            self._closed = True
            pool, self._pool = self._pool, None
        if pool is not None:
            if self._pid == os.getpid():
                pool.close()
            else:
                _of_parents.append(pool)

    def _twice(self, step: Callable[[*Ts], T], *args: *Ts) -> T:
        """Make a step, again where the connection was lost, and tell of errors in our own words."""
        try:
            return step(*args)
        except NATIVE as error:
            if not lost(error) or isinstance(error, PoolTimeout):
                raise explained(error, self.where) from error
            _log.warning("%s: %s; trying again at once", self.where, said(error))
        try:
            self._renew()
            return step(*args)
        except NATIVE as error:
            raise explained(error, self.where) from error

    def _renew(self) -> None:
        """Let go of other lost connections, and of what is known of a database that may be another."""
        self._forget()
        if self._pool is not None:
            self._pool.check()

    def _transact(self, work: Callable[[Session, *Ts], Callable[[], T]], args: tuple[*Ts]) -> T:
        with self._connection() as connection:
            session = Session(connection, self._sql, self._prelude)
            try:
                answer, number = session.complete(work(session, *args))
            except BaseException:
                session.abandon()
                raise
            try:
                session.commit()
            except NATIVE as error:
                session.abandon()
                if number is None or not lost(error):
                    raise
                unsure = _Unsure(number, work, args, answer)
                unconfirmed = error
            else:
                return answer
        if self._kept(unsure):
            return answer
        raise unconfirmed

    def _remembered(self, work: Callable[..., Any], args: tuple[Any, ...]) -> _Unsure | None:
        """Return the same call as was made before, if that one was kept after all."""
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
        with self._connection() as connection:
            return connection.execute(self._sql[name], parameters, binary=True).fetchall()

    def _query_by_index(self, name: str, parameters: tuple[Any, ...]) -> list[Row]:
        with self._connection() as connection:
            with connection.pipeline():
                connection.execute(b"BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY")
                connection.execute(self._sql["glance"])
                rows = connection.execute(self._sql[name], parameters, binary=True)
                connection.execute(b"COMMIT")
            return rows.fetchall()

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        pool = self._opened()
        connection = pool.getconn()
        try:
            yield connection
        finally:
            pool.putconn(connection)

    def _opened(self) -> ConnectionPool[Connection]:
        pool = self._pool
        if pool is None or self._pid != os.getpid():
            with _opening:
                pool = self._pool = self._made()
        return pool

    def _made(self) -> ConnectionPool[Connection]:
        if self._closed:
            raise StorageError(f"{self.where} was closed; open it again")
        if self._pool is not None:
            if self._pid == os.getpid():
                return self._pool  # another thread was faster
            _of_parents.append(self._pool)
        self._pid = os.getpid()
        return ConnectionPool(
            self._conninfo,
            kwargs=self._settings,
            configure=_set_up,
            min_size=1,
            max_size=self._connections,
            timeout=self._patience.seconds,
            # Left to itself it looks for a lost server ever more seldom; so each call makes it look anew.
            reconnect_timeout=self._patience.seconds,
            name="jobsim",
            open=True,
        )


_opening: Final = Lock()
os.register_at_fork(
    before=_opening.acquire, after_in_parent=_opening.release, after_in_child=_opening.release
)

_of_parents: Final[list[ConnectionPool[Connection]]] = []
"""Pools inherited by a fork, kept for ever: closing one would end sessions that are the parent's."""


def _parsed(conninfo: str) -> dict[str, Any]:
    try:
        return conninfo_to_dict(conninfo)
    except psycopg.ProgrammingError as error:
        raise ConfigError(f"{said(error)}; write for example postgresql://user@host/database") from None


def _seconds(patience: Duration) -> int:
    """Return the time to connect in; libpq takes whole seconds, 2 at least."""
    return max(2, round(patience.seconds))


def _set_up(connection: Connection) -> None:
    # One type for all numbers, so that each statement is prepared once, not once for each length of number.
    connection.adapters.register_dumper(int, Int8Dumper)
