"""Jobs enqueued by the caller's own transaction on PostgreSQL."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from psycopg.adapt import Loader
from psycopg.rows import dict_row
from psycopg.types.string import StrDumper

from jobsim.core.errors import ConfigError, KeyTaken, StorageBusy, StorageError
from jobsim.core.job import Conflict, NewJob, State
from jobsim.core.limits import By, Limit, Scope
from jobsim.core.time import SECOND, Duration
from jobsim.storage.postgres import PostgresStorage
from jobsim.storage.postgres_join import clock, enqueue
from jobsim.testing.conformance_base import BEGAN, add, at, claim, job_id, new, retry, settle, stored

pytestmark = pytest.mark.live

Connection = psycopg.Connection[Any]


@pytest.fixture
def storage(postgres: str, schema: str) -> Iterator[PostgresStorage]:
    storage = PostgresStorage(postgres, schema=schema)
    yield storage
    storage.close()


@pytest.fixture
def own(postgres: str, storage: PostgresStorage) -> Iterator[Connection]:
    """A connection of the caller's, with a table of his."""
    with psycopg.connect(postgres) as connection:
        connection.execute(f"CREATE TABLE {storage.schema}.orders (id int PRIMARY KEY)".encode())
        connection.commit()
        yield connection
        if not connection.closed:
            connection.rollback()


def order(own: Connection, storage: PostgresStorage, number: int = 1) -> None:
    """Write what is the caller's."""
    own.execute(f"INSERT INTO {storage.schema}.orders VALUES ({number})".encode())


def orders(own: Connection, storage: PostgresStorage) -> int:
    return len(own.execute(f"SELECT FROM {storage.schema}.orders".encode()).fetchall())


@pytest.mark.parametrize("kept", [True, False])
def test_jobs_stand_and_fall_with_the_transaction(
    own: Connection, storage: PostgresStorage, kept: bool
) -> None:
    """Nobody sees them before the commit, and nobody after a rollback."""
    order(own, storage)
    assert enqueue(own, storage.schema, [new(1), new(2, unique_key="k")], BEGAN) == [job_id(1), job_id(2)]
    assert storage.find() == []
    own.commit() if kept else own.rollback()
    assert len(storage.find()) == 2 * kept
    assert len(claim(storage)) == 2 * kept
    assert orders(own, storage) == kept


def test_enqueue_that_begins_the_transaction_does_not_end_it(
    own: Connection, storage: PostgresStorage
) -> None:
    """As the first statement of a transaction it commits nothing by itself."""
    enqueue(own, storage.schema, [new(1)], BEGAN)
    own.rollback()
    assert storage.find() == []


@pytest.mark.parametrize("pipelined", [False, True])
def test_failure_leaves_the_transaction_usable(
    own: Connection, storage: PostgresStorage, pipelined: bool
) -> None:
    """What is refused keeps nothing of its batch, and the caller goes on, in a pipeline as well."""
    add(storage, new(1, unique_key="k"))
    with own.transaction():
        order(own, storage)
        batch: list[NewJob]
        for batch, kind, said in (
            ([new(2), new(3, unique_key="k", conflict=Conflict.RAISE)], KeyTaken, "holds the unique key 'k'"),
            ([new(2), new(1)], StorageError, f"{job_id(1)} is there already"),
            ([new(2), new(2)], StorageError, f"{job_id(2)} is in the batch twice"),
            ([new(2, priority=2**64)], StorageError, "cannot be stored"),
        ):
            if pipelined:
                with own.pipeline(), pytest.raises(kind, match=said):
                    enqueue(own, storage.schema, batch, BEGAN)
            else:
                with pytest.raises(kind, match=said):
                    enqueue(own, storage.schema, batch, BEGAN)
        assert enqueue(own, storage.schema, [new(4), new(5, unique_key="k")], BEGAN) == [job_id(4), job_id(1)]
    assert [job.id for job in storage.find()] == [job_id(1), job_id(4)]
    assert orders(own, storage) == 1


def test_what_the_caller_set_up_does_no_harm_and_stays(own: Connection, storage: PostgresStorage) -> None:
    """Row factory, adapters, settings and prepared statements are the caller's before and after."""

    class Wrong(Loader):
        def load(self, data: Any) -> object:
            raise AssertionError(data)

    class Shouting(StrDumper):
        def dump(self, obj: str) -> bytes:
            return obj.upper().encode()

    settings = "SELECT count(*)::int AS number FROM pg_settings WHERE source = 'session'"
    prepared = "SELECT count(*)::int AS number FROM pg_prepared_statements WHERE statement LIKE '%job%'"
    own.row_factory = dict_row
    own.prepare_threshold = 0
    for name in ("int8", "text", "bytea", "bool"):
        own.adapters.register_loader(name, Wrong)
    own.adapters.register_dumper(str, Shouting)
    with own.transaction():
        for number in range(3):
            enqueue(own, storage.schema, [new(number, unique_key="k", conflict=Conflict.REPLACE)], BEGAN)
        for query in (settings, prepared):
            assert own.execute(query, prepare=False).fetchall() == [{"number": 0}]
    assert [job.state for job in storage.find()] == [State.CANCELLED, State.CANCELLED, State.PENDING]
    assert stored(storage, job_id(2)).kind == "mail"


def test_what_is_accepted_is_durable(own: Connection, storage: PostgresStorage) -> None:
    """A connection that need not wait for the disk does so for a transaction with jobs, and for no other."""
    own.execute("SET synchronous_commit = off")
    own.commit()
    enqueue(own, storage.schema, [new(1)], BEGAN)
    assert own.execute("SHOW synchronous_commit").fetchall() == [("on",)]
    own.commit()
    assert own.execute("SHOW synchronous_commit").fetchall() == [("off",)]


def test_readers_of_the_log_and_limits_take_it_into_account(
    own: Connection, storage: PostgresStorage
) -> None:
    """Events of later commits are held back until it ends, and its jobs are under the limits in force."""
    storage.set_limits({Scope(By.KIND, "mail"): Limit(running=1)})
    enqueue(own, storage.schema, [new(1), new(2)], BEGAN)
    add(storage, new(3, kind="other"))
    assert list(storage.events()) == []
    own.commit()
    assert [event.job for event in storage.events()] == [job_id(1), job_id(2), job_id(3)]
    assert [lease.id for lease in claim(storage)] == [job_id(1), job_id(3)]


def test_settlements_of_others_do_not_wait_for_its_end(own: Connection, storage: PostgresStorage) -> None:
    """Though it is the first ever to replace a job, workers go on while it is open."""
    add(storage, new(1))
    [lease] = claim(storage)
    enqueue(own, storage.schema, [new(2, unique_key="k", conflict=Conflict.REPLACE)], BEGAN)
    with ThreadPoolExecutor(1) as thread:
        settled = thread.submit(settle, storage, lease, retry(at(9)))
        try:
            assert settled.result(timeout=10)
        finally:
            own.rollback()


def test_workers_hear_of_it_at_the_commit(own: Connection, storage: PostgresStorage) -> None:
    """The news is told when the jobs are there to be claimed."""
    watch = storage.watch()
    assert watch is not None
    watch.wait(Duration(0))
    enqueue(own, storage.schema, [new(1)], BEGAN)
    assert not watch.wait(Duration(SECOND // 20))
    own.commit()
    assert watch.wait(Duration(30 * SECOND))
    watch.close()


def test_connection_that_cannot_be_used_is_refused(
    own: Connection, postgres: str, storage: PostgresStorage
) -> None:
    """What is wrong and what to give instead is said before anything is written."""

    async def other() -> object:
        return await psycopg.AsyncConnection.connect(postgres)

    foreign = asyncio.run(other())
    for connection, said in (
        (object(), r"a builtins.object cannot be used; give the sync psycopg.Connection.*driver_connection"),
        (foreign, r"psycopg.*AsyncConnection cannot be used"),
    ):
        with pytest.raises(ConfigError, match=said):
            enqueue(connection, storage.schema, [new(1)], BEGAN)
    own.autocommit = True
    with pytest.raises(ConfigError, match=r"commits by itself.*with connection.transaction\(\)"):
        enqueue(own, storage.schema, [new(1)], BEGAN)
    assert abs(clock(own) - storage.clock()) < 60 * SECOND
    with own.transaction():
        assert enqueue(own, storage.schema, [new(1)], BEGAN) == [job_id(1)]
    own.autocommit = False
    with pytest.raises(psycopg.Error):
        own.execute("SELECT 1 / 0")
    with pytest.raises(ConfigError, match="failed already; roll it back"):
        enqueue(own, storage.schema, [new(2)], BEGAN)
    own.close()
    with pytest.raises(ConfigError, match="it is closed"):
        clock(own)
    asyncio.run(foreign.close())  # type: ignore[attr-defined]


def test_schema_must_be_there_and_be_ours(own: Connection, storage: PostgresStorage) -> None:
    """Nothing is made or brought up to date on the way; what a newer jobsim has added is not in the way."""
    with pytest.raises(StorageError, match=r"schema 'nowhere'\) does not hold jobsim's tables.*worker makes"):
        enqueue(own, "nowhere", [new(1)], BEGAN)
    own.execute(f"UPDATE {storage.schema}.jobsim_schema SET version = 2".encode())
    with pytest.raises(StorageError, match=r"has schema 2, and this jobsim knows \d; jobsim migrate brings"):
        enqueue(own, storage.schema, [new(1)], at(0))
    own.execute(f"UPDATE {storage.schema}.jobsim_schema SET version = 99".encode())
    assert enqueue(own, storage.schema, [new(1)], at(0)) == [job_id(1)]
    own.rollback()
    assert enqueue(own, storage.schema, [], BEGAN) == []


def test_victim_of_a_deadlock_is_told_to_do_it_all_again(
    own: Connection, postgres: str, storage: PostgresStorage
) -> None:
    """Of two transactions that wait for each other one is ended, with advice that helps."""
    with psycopg.connect(postgres) as other, ThreadPoolExecutor(2) as threads:
        for connection, number, key in ((own, 1, "a"), (other, 2, "b")):
            connection.execute("SET LOCAL deadlock_timeout = '50ms'")
            enqueue(connection, storage.schema, [new(number, unique_key=key)], BEGAN)

        def cross(connection: Connection, number: int, key: str) -> StorageBusy | None:
            try:
                enqueue(connection, storage.schema, [new(number, unique_key=key)], BEGAN)
            except StorageBusy as error:
                connection.rollback()
                return error
            connection.commit()
            return None

        crossed = threads.map(cross, (own, other), (3, 4), ("b", "a"))
        [victim] = [error for error in crossed if error is not None]
        assert "deadlock detected" in str(victim)
        assert "roll the transaction back, and do all of it again" in str(victim)
    keys = {job.unique_key for job in storage.find()}
    assert keys == {"a", "b"}
    assert enqueue(own, storage.schema, [new(5, unique_key="c")], BEGAN) == [job_id(5)]
