"""Statements on their way to PostgreSQL, many to a packet: the driver's own pipeline sends each at once.

A transaction of ours has six to eight statements, of which each costs the driver a look at the network and
the server a wake-up. Here they gather in libpq's buffer until an answer is to be read.
"""

from collections import deque
from collections.abc import Generator, Sequence
from contextlib import suppress
from typing import Any, Final, Self, assert_never

import psycopg
from psycopg.adapt import Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus, Format
from psycopg.pq.abc import PGconn, PGresult
from psycopg.waiting import Ready, Wait

from jobsim.storage.rows import Row

Parameter = str | int | None
"""What statements are given; truth values are integers to Python."""

_FAILED: Final = frozenset((ExecStatus.FATAL_ERROR, ExecStatus.PIPELINE_ABORTED))


class Connection(psycopg.Connection[Row]):
    """A connection that knows under which names a `Pipeline` has prepared statements, by their text.

    The driver is to prepare none itself (`prepare_threshold`): it would now and then let go of all.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.prepares = False
        self.names: Final[dict[bytes, bytes]] = {}
        self.named = 0


class Answer:
    """What the server says to a statement, once it has been waited for."""

    __slots__ = ("_pipeline", "names", "result")

    def __init__(self, pipeline: "Pipeline", names: bytes = b"") -> None:
        self._pipeline = pipeline
        self.names: Final = names  # the statement, whose preparation this is the answer to
        self.result: PGresult | None = None

    def fetchall(self) -> list[Row]:
        """Return the rows.

        Raises:
            psycopg.Error: this statement or one before it has failed.
        """
        return self._pipeline.rows(self)

    @property
    def tag(self) -> bytes:
        """What the server calls that which it has done; nothing while it has not answered."""
        return b"" if self.result is None else self.result.command_status or b""


class Pipeline:
    """A connection while nothing but this sends to it; leave it by `close`, in any case, or enter it.

    Statements are prepared by their first use, where the connection does that. Their types are for
    themselves to tell.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._pgconn: PGconn = connection.pgconn
        self._transformer = Transformer(connection)
        self._awaited: deque[Answer] = deque()
        self._error: psycopg.Error | None = None
        self._pgconn.enter_pipeline_mode()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if error is None:
            self.close()
        elif isinstance(error, Exception):  # else whose connection it is has to close it
            with suppress(psycopg.Error):  # which is what came of the `error`, if not that once more
                self.close()

    def send(self, statement: bytes, parameters: Sequence[Parameter] = ()) -> Answer:
        """Let a statement be next."""
        values = [_text(value) for value in parameters]
        if self._connection.prepares:
            name = self._connection.names.get(statement) or self._prepare(statement)
            self._pgconn.send_query_prepared(name, values, result_format=Format.BINARY)
        else:
            self._pgconn.send_query_params(statement, values, result_format=Format.BINARY)
        answer = Answer(self)
        self._awaited.append(answer)
        return answer

    def _prepare(self, statement: bytes) -> bytes:
        # A new name each time: nobody knows of one that has failed whether the server has it.
        connection = self._connection
        connection.named += 1
        name = connection.names[statement] = b"jobsim_%d" % connection.named
        self._pgconn.send_prepare(name, statement)
        self._awaited.append(Answer(self, statement))
        return name

    def rows(self, answer: Answer) -> list[Row]:
        """Return the rows of an answer; see `Answer.fetchall`."""
        if answer.result is None:
            self._pgconn.send_flush_request()
            self._connection.wait(self._receive(answer))
        result = answer.result
        if result is None or result.status in _FAILED:
            raise self._error or psycopg.OperationalError("it was never answered")
        if not result.nfields:
            return []
        self._transformer.set_pgresult(result, format=Format.BINARY)
        return self._transformer.load_rows(0, result.ntuples, tuple)

    def close(self) -> None:
        """Wait for all that is still to be answered; a transaction that was not begun by a statement ends.

        A connection that nobody can use after this is closed.

        Raises:
            psycopg.Error: something has failed of which no answer has told.
        """
        try:
            self._pgconn.pipeline_sync()
            last = Answer(self)
            self._awaited.append(last)
            self._connection.wait(self._receive(last))
        finally:
            try:
                self._pgconn.exit_pipeline_mode()
            except psycopg.Error:  # it is lost, or there is more to come
                self._connection.close()

    def _receive(self, last: Answer) -> Generator[Wait, Ready | int | None, None]:
        """Read answers up to the `last`, and raise the first error at the end if there is one among them."""
        pgconn, failed, silent = self._pgconn, False, False
        while pgconn.flush():
            ready = yield Wait.RW
            if ready and ready & Ready.R:  # nothing is ready where the driver goes on after a Ctrl-C
                pgconn.consume_input()
        while last.result is None:
            while pgconn.is_busy():
                yield Wait.R
                pgconn.consume_input()
            result = pgconn.get_result()
            if result is None:  # as after the result of each statement; twice, if there is no other to come
                if silent:
                    raise self._error or psycopg.OperationalError("the connection was lost")
                silent = True
                continue
            silent = False
            answer = self._awaited.popleft()
            answer.result = result
            if result.status in _FAILED:
                failed = True
                self._connection.names.pop(answer.names, None)
                self._error = self._error or error_from_result(result)
        if failed and self._error is not None:
            raise self._error


def _text(value: Parameter) -> bytes | None:
    match value:
        case str():
            return value.encode()
        case None:
            return None
        case bool():
            return b"true" if value else b"false"
        case int():
            return b"%d" % value
        case _:
            assert_never(value)
