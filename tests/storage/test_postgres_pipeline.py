"""Statements that go to PostgreSQL many to a packet, and what becomes of those after one that fails."""

from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest
from psycopg import errors

from jobsim.storage.postgres import PostgresStorage
from jobsim.storage.postgres_pipeline import Connection, Pipeline
from jobsim.testing.conformance_base import BEGAN, new

pytestmark = pytest.mark.live


@pytest.fixture(params=[True, False], ids=["prepared", "plain"])
def connection(postgres: str, request: pytest.FixtureRequest) -> Iterator[Connection]:
    """A connection that prepares statements, and one that does not."""
    with Connection.connect(postgres, autocommit=True, prepare_threshold=None) as connection:
        connection.prepares = request.param
        yield connection


def test_answers_are_read_in_any_order_and_more_than_once(connection: Connection) -> None:
    """Who reads a later answer first finds the earlier ones where they were."""
    with closing(Pipeline(connection)) as pipeline:
        one, two = (
            pipeline.send(b"SELECT 1::bigint"),
            pipeline.send(b"SELECT $1::text, $2::boolean", ("ä", True)),
        )
        assert two.fetchall() == [("ä", True)]
        assert one.fetchall() == one.fetchall() == [(1,)]
        assert pipeline.send(b"SELECT $1::bigint, $2::bigint", (-7, None)).fetchall() == [(-7, None)]


def test_statement_is_prepared_once_and_again_where_that_failed(connection: Connection) -> None:
    """What an error kept from being prepared is prepared by its next use, and what was is not again."""
    for _ in range(2):
        with closing(Pipeline(connection)) as pipeline:
            assert pipeline.send(b"SELECT 1::bigint").fetchall() == [(1,)]
        pipeline = Pipeline(connection)
        pipeline.send(b"SELECT FROM missing")
        pipeline.send(b"SELECT 2::bigint")
        with pytest.raises(errors.UndefinedTable):
            pipeline.close()
    with closing(Pipeline(connection)) as pipeline:
        assert pipeline.send(b"SELECT 2::bigint").fetchall() == [(2,)]
        names = pipeline.send(b"SELECT count(*) FROM pg_prepared_statements").fetchall()
    assert names == [(3 if connection.prepares else 0,)]


def test_first_error_is_the_one_that_is_told(connection: Connection) -> None:
    """Reading what comes after a statement that failed tells why that one did, and nothing of it is kept."""
    connection.execute("CREATE TEMPORARY TABLE kept (number bigint)")
    pipeline = Pipeline(connection)
    pipeline.send(b"INSERT INTO kept VALUES (1)")
    pipeline.send(b"SELECT 1 / $1::bigint", (0,))
    after = pipeline.send(b"INSERT INTO kept VALUES (2)")
    with pytest.raises(errors.DivisionByZero):
        after.fetchall()
    pipeline.close()
    assert connection.execute("SELECT * FROM kept").fetchall() == []


def test_more_than_any_buffer_holds_goes_both_ways(connection: Connection) -> None:
    """Neither side waits for the other to read, however much both have to say."""
    text = "x" * 3_000_000
    with closing(Pipeline(connection)) as pipeline:
        answers = [pipeline.send(b"SELECT $1::text", (text,)) for _ in range(6)]
        assert all(answer.fetchall() == [(text,)] for answer in answers)


def test_lost_connection_is_told(connection: Connection, postgres: str) -> None:
    """Who waits for an answer over a connection that ends is told, and does not wait for ever."""
    pipeline = Pipeline(connection)
    with psycopg.connect(postgres, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s)", (connection.info.backend_pid,))
    answers = [pipeline.send(b"SELECT pg_sleep(60)") for _ in range(3)]
    with pytest.raises(psycopg.OperationalError):
        answers[-1].fetchall()
    with pytest.raises(psycopg.OperationalError):
        pipeline.close()


def test_text_does_not_depend_on_the_encoding_asked_for(postgres: str, schema: str) -> None:
    """A store keeps any text whatever encoding its URL asks for."""
    storage = PostgresStorage(f"{postgres}&client_encoding=latin1", schema=schema)
    job = new(1, kind="Żółć ☃", payload='["☃"]')
    storage.enqueue([job], BEGAN)
    found = storage.get(job.id)
    storage.close()
    assert found is not None
    assert (found.kind, found.payload) == (job.kind, job.payload)
