"""Statements that go to PostgreSQL many to a packet, and what becomes of those after one that fails."""

import re
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest
from psycopg import errors

from jobsim.core.decide import Settlement
from jobsim.core.errors import StorageForeign
from jobsim.storage.postgres import PostgresStorage
from jobsim.storage.postgres_pipeline import Answer, Connection, Pipeline
from jobsim.testing.conformance_base import ANN, BEGAN, MINUTE, QUEUES, SUCCEED, job_id, new

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


def test_failed_answer_tells_so_each_time_it_is_read(connection: Connection) -> None:
    """No answer to a statement that was not done is taken for one without rows."""
    with closing(Pipeline(connection)) as pipeline:
        failed, after = pipeline.send(b"SELECT 1 / $1::bigint", (0,)), pipeline.send(b"SELECT 1::bigint")
        for answer in (after, failed, after):
            with pytest.raises(errors.DivisionByZero):
                answer.fetchall()


def test_error_is_told_rather_than_what_came_of_it(connection: Connection) -> None:
    """Statements that wait behind the one that failed, and are not tried, do not hide why."""

    def read() -> None:
        with Pipeline(connection) as pipeline:
            rows = pipeline.send(b"SELECT FROM missing")
            pipeline.send(b"SELECT 1::bigint")
            rows.fetchall()

    with pytest.raises(errors.UndefinedTable):
        read()
    with Pipeline(connection) as pipeline:
        assert pipeline.send(b"SELECT 1::bigint").fetchall() == [(1,)]


def test_answer_that_cannot_come_is_not_waited_for(connection: Connection) -> None:
    """Where more is awaited than was sent, that is an error, rather than a look without end."""
    pipeline = Pipeline(connection)
    pipeline._awaited.append(Answer(pipeline))
    with pytest.raises(psycopg.OperationalError):
        pipeline.close()
    assert connection.execute("SELECT 1").fetchall() == [(1,)]


def test_connection_that_has_more_to_say_is_closed(connection: Connection) -> None:
    """Where more was sent than is awaited, nobody reads the answers to it as those to something else."""
    pipeline = Pipeline(connection)
    for _ in range(2):
        pipeline.send(b"SELECT 1::bigint")
    pipeline._awaited.clear()
    pipeline.close()
    assert connection.closed


def test_missing_table_is_told_by_reads(postgres: str, schema: str) -> None:
    """Reads that look things up by an index say what is wrong as all others do."""
    storage = PostgresStorage(postgres, schema=schema)
    with psycopg.connect(postgres, autocommit=True) as other:
        other.execute(f"DROP TABLE {schema}.paused".encode())
    with pytest.raises(StorageForeign, match="paused"):
        storage.paused()
    storage.close()


def _before(_: Connection) -> None:
    """What was sent is still in libpq's buffer."""


def _given_up(connection: Connection) -> None:
    """As the driver does where the server does not heed that the statement is to be cancelled."""
    connection.pgconn.finish()


CALLS: dict[str, Callable[[PostgresStorage, int], object]] = {
    "enqueue": lambda storage, number: storage.enqueue([new(1 + number)], BEGAN),
    "claim": lambda storage, _: storage.claim(ANN, QUEUES, 1, MINUTE, BEGAN),
    "find": lambda storage, _: storage.find(),
    "expired": lambda storage, _: storage.expired(1, BEGAN),
}


@pytest.mark.parametrize("strike", [_before, _given_up])
@pytest.mark.parametrize("call", CALLS)
def test_interrupt_is_told_and_leaves_nothing_behind(
    postgres: str,
    schema: str,
    call: str,
    strike: Callable[[Connection], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A Ctrl-C at any wait of a call ends it, is not taken for a lost connection, and spoils no later one."""
    storage = PostgresStorage(postgres, schema=schema, connections=1)
    storage.enqueue([new(1)], BEGAN)
    wait, left = Connection.wait, 0

    def interrupted(connection: Connection, *args: Any, **options: Any) -> Any:
        nonlocal left
        left -= 1
        if left:
            return wait(connection, *args, **options)
        strike(connection)
        raise KeyboardInterrupt

    for number in range(1, 20):
        left = number
        with monkeypatch.context() as patch:
            patch.setattr(Connection, "wait", interrupted)
            try:
                CALLS[call](storage, number)
            except KeyboardInterrupt:
                pass
            else:
                break
        assert storage.get(job_id(1)) is not None
    assert left > 0
    assert 1 < number < 20
    leases = storage.claim(ANN, QUEUES, 9, MINUTE, BEGAN)
    assert storage.settle([Settlement(lease, SUCCEED) for lease in leases], BEGAN) == [True] * len(leases)
    storage.close()


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


@pytest.mark.parametrize("name", ["settle", "claim", "extend", "requeue", "finish", "promote", "get"])
def test_plan_made_while_there_was_little_serves_when_there_is_much(
    postgres: str, schema: str, name: str
) -> None:
    """Jobs are looked up by an index's condition, never read one after the other, whatever was believed."""
    storage = PostgresStorage(postgres, schema=schema)
    storage.enqueue([new(1)], BEGAN)
    storage.close()
    sql = storage._database._sql
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"VACUUM ANALYZE {schema}.job".encode())
        connection.execute("BEGIN")
        connection.execute(sql["glance"])
        connection.execute(b"PREPARE statement AS " + sql[name])
        [(parameters,)] = connection.execute(
            "SELECT cardinality(parameter_types) FROM pg_prepared_statements WHERE name = 'statement'"
        ).fetchall()
        nothing = ", ".join(["NULL"] * parameters)
        rows = connection.execute(f"EXPLAIN EXECUTE statement({nothing})".encode()).fetchall()
    plan = [line for (line,) in rows]
    scans = [place for place, line in enumerate(plan) if re.search(r"(Index|Seq).* Scan .*on job\b", line)]
    assert scans
    assert all("Index Cond" in plan[place + 1] for place in scans), "\n".join(plan)


def test_text_does_not_depend_on_the_encoding_asked_for(postgres: str, schema: str) -> None:
    """A store keeps any text whatever encoding its URL asks for."""
    storage = PostgresStorage(f"{postgres}&client_encoding=latin1", schema=schema)
    job = new(1, kind="Żółć ☃", payload='["☃"]')
    storage.enqueue([job], BEGAN)
    found = storage.get(job.id)
    storage.close()
    assert found is not None
    assert (found.kind, found.payload) == (job.kind, job.payload)
