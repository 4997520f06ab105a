"""A connection to PostgreSQL while one call has it, and the transaction that the call makes."""

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final, Protocol, TypeVar

import psycopg

from jobsim.storage.postgres_pipeline import Answer, Connection, Pipeline
from jobsim.storage.rows import Row

T = TypeVar("T")

_BEGIN: Final = b"BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
"""Said in full: a role may have other defaults."""

_COMMIT: Final = b"COMMIT"
_COMMITTED: Final = b"COMMIT"
"""The server's word for it; a commit of a transaction that has failed is answered by another."""

_log: Final = logging.getLogger("jobsim.storage")


class Rows(Protocol):
    """Where the answer to a statement is to be read."""

    def fetchall(self) -> list[Row]:
        """Return the rows."""
        ...


class Statements(Protocol):
    """A transaction under way, of ours or of others; see `Session`."""

    news: str | None

    def alone(self, name: str, *parameters: Any) -> list[Row]:
        """Return the rows of a statement that is best committed before the others."""
        ...

    def run(self, name: str, *parameters: Any) -> Rows:
        """Let a statement be part of the transaction, and return where its answer is to be read."""
        ...


class Session:
    """What a call does on its connection: first `alone`, if at all, then `run`, then `complete` and `commit`.

    What is run goes out when an answer is read, and that is waited for; and once more at the commit.
    With `news` set, who listens to the channel of that name is woken after the commit. An `exclusive` one,
    if it is said before anything is run, has no other writer beside it.
    """

    __slots__ = ("_asked", "_connection", "_pipeline", "_prelude", "_sql", "exclusive", "news")

    def __init__(self, connection: Connection, sql: Mapping[str, bytes], prelude: tuple[Any, ...]) -> None:
        self._connection = connection
        self._sql = sql
        self.news: str | None = None
        self.exclusive = False
        self._asked = 0
        self._prelude = prelude
        self._pipeline: Pipeline | None = None

    def alone(self, name: str, *parameters: Any) -> list[Row]:
        """Return the rows of a statement that is a transaction by itself, committed before the call's own.

        Where that is under way already, it is part of it.
        """
        if self._pipeline is not None:
            return self._pipeline.send(self._sql[name], parameters).fetchall()
        with Pipeline(self._connection) as pipeline:
            pipeline.send(_BEGIN)
            answer = pipeline.send(self._sql[name], parameters)
            pipeline.send(_COMMIT)
            return answer.fetchall()

    def run(self, name: str, *parameters: Any) -> Answer:
        """Let a statement be part of the transaction, and return where its answer is to be read."""
        if self._pipeline is None:
            self._pipeline = Pipeline(self._connection)
            self._pipeline.send(_BEGIN)
            self._pipeline.send(self._sql["prelude"], (*self._prelude, self.exclusive))
        self._asked += 1
        return self._pipeline.send(self._sql[name], parameters)

    def complete(self, reply: Callable[[], T]) -> tuple[T, str | None]:
        """Return the call's answer, and the number of the transaction if it has written anything."""
        if self._pipeline is None:
            return reply(), None
        number = self.run("number")
        asked = self._asked
        answer = reply()
        [(known,)] = number.fetchall()
        if known is None and self._asked > asked:  # the answer took more, which may have written
            [(known,)] = self.run("number").fetchall()
        return answer, known

    def commit(self) -> None:
        """Make the transaction durable.

        Raises:
            psycopg.Error: it was undone, or nobody knows, if the connection was lost.
        """
        if self._pipeline is None:
            return
        committed = self._pipeline.send(_COMMIT)
        if self.news is not None:
            self._pipeline.send(self._sql["notify"], (self.news,))
        try:
            self._leave()
        except psycopg.Error as error:
            if committed.tag != _COMMITTED:
                raise
            _log.warning("news of jobs could not be told: %s", error)
        if committed.tag != _COMMITTED:
            raise psycopg.errors.TransactionRollback("the server undid the transaction")

    def abandon(self) -> None:
        """Undo the transaction; a connection that does not serve any more is closed, which does it, too."""
        try:
            with suppress(psycopg.Error):  # what has failed, and that the rest was not tried, is known
                self._leave()
            self._connection.rollback()
        except psycopg.Error:
            self._connection.close()

    def _leave(self) -> None:
        pipeline, self._pipeline = self._pipeline, None
        if pipeline is not None:
            pipeline.close()
