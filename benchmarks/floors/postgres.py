"""The floor on PostgreSQL: psycopg, one connection, prepared statements, a pipeline a call."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import psycopg
from psycopg.types.numeric import Int8Dumper

from floors import Heard
from jobsim.storage.postgres_pipeline import Pipeline


class PostgresFloor:
    """All that a call executes goes out in one pipeline: it waits for the server once.

    A store waits more often where what it executes next depends on an answer.
    """

    def __init__(self) -> None:
        self._connection: psycopg.Connection[Any]

    @contextmanager
    def hear(self) -> Iterator[Heard]:
        heard: Heard = []
        send = Pipeline.send

        def note(pipeline: Pipeline, statement: bytes, parameters: Sequence[Any] = ()) -> Any:
            heard.append((statement, parameters))
            return send(pipeline, statement, parameters)

        with patch.object(Pipeline, "send", note):
            yield heard

    def open(self, where: str, opening: Heard) -> None:
        # Nothing of `opening` is needed: the settings are the server's.
        self._connection = psycopg.connect(where, autocommit=True, prepare_threshold=0)
        # One type for all numbers, so that each statement is prepared once.
        self._connection.adapters.register_dumper(int, Int8Dumper)

    def execute(self, heard: Heard) -> None:
        cursors = []
        with self._connection.pipeline():
            for statement, parameters in heard:
                cursor = psycopg.RawCursor(self._connection)
                cursor.execute(statement, parameters, binary=True)
                cursors.append(cursor)
        for cursor in cursors:
            if cursor.description:
                cursor.fetchall()

    def close(self) -> None:
        self._connection.close()
