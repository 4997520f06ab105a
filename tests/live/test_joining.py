"""Transactional enqueue by a queue: the jobs are part of the caller's transaction, and of nothing else."""

import sqlite3  # noqa: TID251  # the caller's own
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw  # noqa: TID251  # the caller's own
import pytest

from jobsim.core.errors import ConfigError, KeyTaken, PayloadError, StorageError
from jobsim.core.job import JobId, State
from jobsim.queue import Queue
from jobsim.storage.memory import MemoryStorage


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Return the URL of a queue that was opened once, by a worker perhaps."""
    url = f"sqlite:///{tmp_path}/jobs.db"
    with Queue(url) as queue:
        queue.storage.counts()
    return url


@pytest.fixture
def connection(tmp_path: Path, url: str) -> Iterator[sqlite3.Connection]:  # noqa: ARG001  # it made the file
    """Return a connection of Python's own library, with a table of the caller's."""
    with closing(sqlite3.connect(tmp_path / "jobs.db")) as connection:
        connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY)")
        yield connection


@pytest.fixture
def queue(url: str) -> Iterator[Queue]:
    """Return a queue with a handler, which a process that only enqueues would have."""
    with Queue(url) as queue:
        queue.job(pay)
        yield queue


def pay(order_id: int) -> None:
    """Pay."""


def count(connection: sqlite3.Connection) -> int:
    """Return how many jobs there are, as the connection sees it."""
    number: int = connection.execute("SELECT count(*) FROM jobsim_job").fetchone()[0]
    return number


def test_job_and_order_are_committed_together(queue: Queue, connection: sqlite3.Connection) -> None:
    """With the caller's commit both are there; with a roll back neither; and the queue's store stays shut."""
    for order in (1, 2):
        connection.execute("INSERT INTO orders VALUES (?)", (order,))
        assert isinstance(queue.handlers["pay"].enqueue(order, connection=connection), JobId)
        assert count(connection) == order
        (connection.commit if order == 1 else connection.rollback)()
    assert connection.execute("SELECT id FROM orders").fetchall() == [(1,)]
    assert count(connection) == 1
    assert queue._here._store is None


def test_every_way_in_takes_a_connection(queue: Queue, connection: sqlite3.Connection) -> None:
    """By handler and by name, one, many, and many in batches, which are all the caller's to commit."""
    handler = queue.handlers["pay"]
    queue.enqueue("other", n=1, connection=connection)
    handler.enqueue_many([{"order_id": n} for n in range(3)], connection=connection)
    queue.enqueue_many("pay", ({"order_id": n} for n in range(5)), batch=2, connection=connection)
    assert count(connection) == 9
    connection.rollback()
    assert count(connection) == 0


def test_keys_are_those_of_the_queue(queue: Queue, connection: sqlite3.Connection) -> None:
    """A key that is held is skipped or raised about as ever; what went before in the transaction stays."""
    first = queue.enqueue("pay", order_id=1, unique_key="k", connection=connection)
    assert queue.enqueue("pay", order_id=2, unique_key="k", connection=connection) == first
    with pytest.raises(KeyTaken):
        queue.enqueue_many(
            "pay",
            [{"order_id": 3}, {"order_id": 4}],
            unique_key=lambda order_id: "k" if order_id == 4 else "other",
            on_conflict="raise",
            connection=connection,
        )
    connection.commit()
    assert count(connection) == 1


def test_wrong_arguments_leave_the_transaction_alone(queue: Queue, connection: sqlite3.Connection) -> None:
    """What could not be run is refused before anything is written or begun."""
    with pytest.raises(PayloadError):
        queue.enqueue("pay", order_id="seven", connection=connection)
    assert not connection.in_transaction


@pytest.mark.live
def test_a_worker_runs_what_apsw_committed(queue: Queue, tmp_path: Path) -> None:
    """With the library of the store, enqueueing and working go on in one process."""
    seen: list[int] = []

    @queue.job
    def count_order(order_id: int) -> None:
        seen.append(order_id)

    with closing(apsw.Connection(str(tmp_path / "jobs.db"))) as connection, connection:
        job = count_order.enqueue(7, connection=connection)
    queue.run_worker(burst=True)
    assert seen == [7]
    assert queue.get(job).state is State.SUCCEEDED


def test_two_libraries_never_meet_on_one_file(queue: Queue, connection: sqlite3.Connection) -> None:
    """A store that is open refuses Python's own library, and the other way around; both say what to do."""
    queue.storage.counts()
    with pytest.raises(StorageError, match=r"Enqueue with an apsw\.Connection"):
        queue.enqueue("pay", order_id=1, connection=connection)
    queue.close()
    with Queue(queue.where.url) as other:  # type: ignore[union-attr]
        other.enqueue("pay", order_id=1, connection=connection)
        with pytest.raises(StorageError, match="was opened through Python's sqlite3"):
            other.storage.counts()


@pytest.mark.parametrize("where", ["sqlite://", MemoryStorage()], ids=["memory", "store"])
def test_what_no_transaction_reaches_is_told(where: Any) -> None:
    """A queue in memory, or on a store given as it is, has no database to be connected to."""
    with pytest.raises(ConfigError, match="make the queue with a URL"):
        Queue(where).enqueue("pay", order_id=1, connection=object())


def test_what_is_no_connection_is_told(queue: Queue) -> None:
    """So is a connection of another library."""
    with pytest.raises(ConfigError, match=r"neither an apsw\.Connection nor a sqlite3\.Connection"):
        queue.enqueue("pay", order_id=1, connection=object())


def test_a_closed_queue_takes_no_connection(queue: Queue, connection: sqlite3.Connection) -> None:
    """What was closed stays closed."""
    queue.close()
    with pytest.raises(StorageError, match="was closed"):
        queue.enqueue("pay", order_id=1, connection=connection)


def test_durability_is_the_urls(url: str, connection: sqlite3.Connection) -> None:
    """A connection that commits less durably than the queue's URL says is refused."""
    connection.execute("PRAGMA synchronous = NORMAL")
    with pytest.raises(ConfigError, match="may not survive power loss"):
        Queue(url).enqueue("pay", order_id=1, connection=connection)
    assert Queue(f"{url}?durability=normal").enqueue("pay", order_id=1, connection=connection)


def test_jobs_can_stand_beside_the_tables_of_an_application(tmp_path: Path) -> None:
    """Where the URL says that the file is shared, a queue on it can be joined like any other."""
    with closing(apsw.Connection(str(tmp_path / "shop.db"))) as connection:
        connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY)")
        with pytest.raises(StorageError, match="shared=true"):
            Queue(f"sqlite:///{tmp_path}/shop.db").storage.counts()
        with Queue(f"sqlite:///{tmp_path}/shop.db?shared=true") as queue:
            with connection, pytest.raises(StorageError, match=r"has no tables of jobsim yet.*shared=true"):
                queue.enqueue("pay", order_id=1, connection=connection)
            queue.storage.counts()
            with connection:
                connection.execute("INSERT INTO orders VALUES (1)")
                job = queue.enqueue("pay", order_id=1, connection=connection)
            assert queue.get(job).state is State.PENDING
