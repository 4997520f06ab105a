"""The floor on SQLite: APSW, one cursor, cached statements."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import apsw

from floors import Heard

_CACHED = 512


class SqliteFloor:
    """It is as durable as the store: the same PRAGMAs are executed first.

    Parameters that stand for arrays are the very objects which the store made: to make them is not part of
    the floor.
    """

    def __init__(self) -> None:
        self._connection: apsw.Connection
        self._cursor: apsw.Cursor

    @contextmanager
    def hear(self) -> Iterator[Heard]:
        heard: Heard = []

        def trace(_: Any, sql: str, parameters: Any) -> bool:
            heard.append((sql, parameters))
            return True

        def attend(connection: apsw.Connection) -> None:
            connection.exec_trace = trace

        apsw.connection_hooks.append(attend)
        try:
            yield heard
        finally:
            apsw.connection_hooks.remove(attend)

    def open(self, where: str, opening: Heard) -> None:
        self._connection = apsw.Connection(where, statementcachesize=_CACHED)
        # The plan of a statement is made once, whatever is bound to it.
        self._connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
        self._cursor = self._connection.cursor()
        self.execute(opening)

    def execute(self, heard: Heard) -> None:
        execute = self._cursor.execute
        for sql, parameters in heard:
            execute(sql, parameters).fetchall()

    def close(self) -> None:
        self._connection.close()
