"""A queue on PostgreSQL whose jobs are written by the caller's own transaction."""

import time
from collections.abc import Callable, Iterator

import psycopg
import pytest

from jobsim.core.errors import ConfigError, KeyTaken
from jobsim.core.job import State
from jobsim.queue import Queue

pytestmark = pytest.mark.live


@pytest.fixture
def url(postgres: str, schema: str) -> str:
    """Return the URL of a queue whose tables are there."""
    url = f"{postgres}{'&' if '?' in postgres else '?'}schema={schema}"
    with Queue(url) as queue:
        queue.storage.counts()
    return url


@pytest.fixture
def queue(url: str) -> Iterator[Queue]:
    with Queue(url) as queue:
        yield queue


@pytest.fixture
def connection(postgres: str) -> Iterator[psycopg.Connection]:
    """Return a connection of the caller's."""
    with psycopg.connect(postgres) as connection:
        yield connection


def until(condition: Callable[[], object]) -> None:
    """Wait until `condition` holds; the test's own time limit ends a vain wait."""
    while not condition():
        time.sleep(0.005)  # a worker's threads are at it


def test_job_is_there_if_the_transaction_commits(
    queue: Queue, url: str, connection: psycopg.Connection
) -> None:
    """Nobody sees it before; a roll back leaves none; and the queue's own store stays shut."""
    ids = []
    with Queue(url) as other:
        for end in (connection.rollback, connection.commit):
            ids.append(queue.enqueue("pay", order_id=7, delay="1h", connection=connection))
            assert other.storage.get(ids[-1]) is None
            end()
        assert [job.id for job in other.storage.find()] == ids[1:]
        job = other.get(ids[1])
        assert (job.payload, job.run_at - job.created) == ('{"order_id":7}', 3_600_000_000)
        assert abs(job.created - other._here.now()) < 60_000_000
    assert queue._here._store is None


def test_batches_are_all_the_callers(queue: Queue, url: str, connection: psycopg.Connection) -> None:
    """Whether they are kept is said once, by the caller."""
    calls = ({"n": n} for n in range(5))
    queue.enqueue_many("work", calls, batch=2, connection=connection)
    connection.rollback()
    queue.enqueue_many("work", [{"n": n} for n in range(3)], connection=connection)
    connection.commit()
    with Queue(url) as other:
        assert other.storage.counts()[State.PENDING] == 3


def test_a_taken_key_leaves_the_transaction_usable(queue: Queue, connection: psycopg.Connection) -> None:
    """Where it is raised about, what went before in the transaction can still be committed."""
    first = queue.enqueue("pay", unique_key="k", connection=connection)
    with pytest.raises(KeyTaken):
        queue.enqueue("pay", unique_key="k", on_conflict="raise", connection=connection)
    assert queue.enqueue("pay", unique_key="k", connection=connection) == first
    connection.commit()
    assert queue.get(first).state is State.PENDING


def test_a_worker_hears_of_the_commit(url: str, connection: psycopg.Connection) -> None:
    """It is woken by the caller's commit, long before it would look by itself."""
    seen: list[int] = []
    with Queue(url) as queue:

        @queue.job
        def pay(order_id: int) -> None:
            seen.append(order_id)

        worker = queue.worker(poll="1h").start()
        pay.enqueue(1)
        until(lambda: seen)
        with Queue(url) as web:
            web.enqueue("pay", order_id=2, connection=connection)
        connection.commit()
        until(lambda: seen == [1, 2])
        worker.stop()
        worker.wait()


def test_a_connection_to_something_else_is_told(queue: Queue) -> None:
    """A queue on PostgreSQL takes connections of psycopg."""
    with pytest.raises(ConfigError, match="psycopg"):
        queue.enqueue("pay", connection=object())
