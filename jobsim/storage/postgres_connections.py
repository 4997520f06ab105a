"""Connections of one process to a PostgreSQL database: a pool of them, and single ones."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any, Final, NamedTuple

import psycopg
from psycopg import RawCursor
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg_pool import ConnectionPool

from jobsim.core.errors import ConfigError, StorageError
from jobsim.core.masking import masked
from jobsim.core.time import Duration
from jobsim.storage.postgres_errors import said
from jobsim.storage.postgres_pipeline import Connection

_DEFAULTS: Final[dict[str, Any]] = {
    "application_name": "jobsim",
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
"""So that a server which vanished without a word is not waited for, for hours."""

_QUOTED: Final = re.compile(r'"([^"]*)"')


class _Owned(NamedTuple):
    """A pool, and the process that has opened it."""

    pid: int
    pool: ConnectionPool[Connection]


class Connections:
    """At most `most` connections at a time; `patience` is how long to wait for one, or for the server.

    Raises:
        ConfigError: `conninfo` cannot be read.
    """

    def __init__(self, conninfo: str, patience: Duration, most: int, *, prepared: bool) -> None:
        given = _parsed(conninfo)
        host = given.get("host") or given.get("hostaddr") or "this machine"
        self.where: Final = f"PostgreSQL database {given.get('dbname') or ''!r} on {host}"
        asked = {**_DEFAULTS, "connect_timeout": _whole(patience), **given, "client_encoding": "UTF8"}
        self._conninfo = make_conninfo(**asked)
        self._patience = patience
        self._prepared = prepared
        self._most = most
        self._settings: dict[str, Any] = {
            "autocommit": True,
            "prepare_threshold": None,
            "cursor_factory": RawCursor,
        }
        self._pool: _Owned | None = None
        self._closed = False

    def single(self) -> Connection:
        """Return a connection beside the pool, for its caller to close."""
        return Connection.connect(self._conninfo, **self._settings)

    @contextmanager
    def borrow(self) -> Iterator[Connection]:
        """Give out a connection of the pool.

        Raises:
            StorageError: they were closed.
        """
        pool = self._own
        if pool is None:
            with _opening:
                pool = self._opened()
        connection = pool.getconn()
        try:
            yield connection
        except Exception:
            raise
        except BaseException:  # a Ctrl-C strikes anywhere: nobody knows what was sent by then, and what read
            connection.close()
            raise
        finally:
            pool.putconn(connection)

    @property
    def _own(self) -> ConnectionPool[Connection] | None:
        """The pool, if this process has opened it."""
        held = self._pool
        return held.pool if held is not None and held.pid == os.getpid() else None

    def _opened(self) -> ConnectionPool[Connection]:
        if self._closed:
            raise StorageError(f"{self.where} was closed; open it again")
        if (pool := self._own) is not None:
            return pool  # another thread was faster
        pool = ConnectionPool(
            self._conninfo,
            connection_class=Connection,
            kwargs=self._settings,
            configure=self._set_up,
            min_size=1,
            max_size=self._most,
            timeout=self._patience.seconds,
            # Left to itself it looks for a lost server ever more seldom; so each call makes it look anew.
            reconnect_timeout=self._patience.seconds,
            name="jobsim",
            open=True,
        )
        if self._pool is not None:
            _of_parents.append(self._pool)
        self._pool = _Owned(os.getpid(), pool)
        return pool

    def _set_up(self, connection: Connection) -> None:
        connection.prepares = self._prepared

    def weed(self) -> None:
        """Let go of connections that do not serve any more."""
        if (pool := self._own) is not None:
            pool.check()

    def close(self) -> None:
        """Let go of all; who asks for one later is refused."""
        with _opening:
            self._closed = True
            pool, held, self._pool = self._own, self._pool, None
        if pool is not None:
            pool.close()
        elif held is not None:
            _of_parents.append(held)


_opening: Final = Lock()
os.register_at_fork(
    before=_opening.acquire, after_in_parent=_opening.release, after_in_child=_opening.release
)

_of_parents: Final[list[_Owned]] = []
"""Pools inherited by a fork, kept for ever: closing one would end sessions that are the parent's."""


def _parsed(conninfo: str) -> dict[str, Any]:
    try:
        return conninfo_to_dict(conninfo)
    except psycopg.ProgrammingError as error:
        raise ConfigError(
            f"{_reason(error, conninfo)}; write for example postgresql://user@host/database"
        ) from None


def _reason(error: Exception, conninfo: str) -> str:
    """Return what is wrong with `conninfo`, without what libpq quotes of it if that may be a secret."""
    text, shown = said(error), masked(conninfo)
    if all(part in shown for part in _QUOTED.findall(text)):
        return text
    said_before, quote, _ = text.partition('"')
    return f"{said_before}{quote}***{quote}"


def _whole(patience: Duration) -> int:
    """Return `patience` in seconds, as libpq takes them: whole, and 2 at least."""
    return max(2, round(patience.seconds))
