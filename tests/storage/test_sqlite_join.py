"""Enqueueing by a user's own connection to SQLite: the jobs are there if, and only if, it commits."""

from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from jobsim.core.errors import ConfigError, KeyTaken, StorageBusy, StorageError, StorageReadOnly
from jobsim.core.job import Conflict, State
from jobsim.core.limits import By, Limit, Scope
from jobsim.storage.sqlite import Durability, SqliteStorage
from jobsim.storage.sqlite_join import enqueue
from jobsim.testing.conformance_base import BEGAN, add, claim, job_id, new
from jobsim.testing.invariants import verify


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database where the queue was opened once."""
    path = tmp_path / "jobs.db"
    SqliteStorage(path).close()
    return path


@pytest.fixture
def connection(path: Path) -> Iterator[apsw.Connection]:
    connection = apsw.Connection(str(path))
    connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY)")
    yield connection
    connection.close()


def found(path: Path) -> list[int]:
    """Return the numbers of the jobs that are in the database."""
    storage = SqliteStorage(path)
    jobs = storage.find()
    verify(storage.events(), jobs=jobs)
    storage.close()
    return [job.id & 0xFFFF for job in jobs]


def test_jobs_are_there_when_the_transaction_commits(connection: apsw.Connection, path: Path) -> None:
    """Nobody sees them before, and everybody afterwards, together with what the caller wrote."""
    connection.execute("BEGIN; INSERT INTO orders VALUES (7)")
    assert enqueue(connection, path, [new(1), new(2, kind="bill")], BEGAN) == [job_id(1), job_id(2)]
    assert found(path) == []
    connection.execute("COMMIT")
    assert found(path) == [1, 2]


def test_jobs_never_were_when_it_is_rolled_back(connection: apsw.Connection, path: Path) -> None:
    """A roll back takes all of it, and what the caller does next is not hindered."""
    connection.execute("BEGIN")
    enqueue(connection, path, [new(1)], BEGAN)
    connection.execute("ROLLBACK")
    assert found(path) == []
    connection.execute("BEGIN")
    enqueue(connection, path, [new(1)], BEGAN)
    connection.execute("COMMIT")
    assert found(path) == [1]


def test_failure_leaves_the_transaction_as_it_was(connection: apsw.Connection, path: Path) -> None:
    """What the caller and earlier calls wrote stays, nothing of the call that failed does."""
    connection.execute("BEGIN; INSERT INTO orders VALUES (7)")
    enqueue(connection, path, [new(1, unique_key="a")], BEGAN)
    with pytest.raises(KeyTaken, match="'a'"):
        enqueue(connection, path, [new(2), new(3, unique_key="a", conflict=Conflict.RAISE)], BEGAN)
    with pytest.raises(StorageError, match="is there already"):
        enqueue(connection, path, [new(4), new(1)], BEGAN)
    with pytest.raises(StorageError, match="not Unicode"):
        enqueue(connection, path, [new(5), new(6, kind="\ud800")], BEGAN)
    with pytest.raises(StorageError, match="64 bits"):
        enqueue(connection, path, [new(7), new(8, priority=2**70)], BEGAN)
    assert connection.in_transaction
    connection.execute("COMMIT")
    assert found(path) == [1]
    assert connection.execute("SELECT id FROM orders").get == 7


def test_unique_keys_and_limits_hold(connection: apsw.Connection, path: Path) -> None:
    """It is the enqueue of the store: a key is taken or replaced, and a limit waits for the job."""
    storage = SqliteStorage(path)
    storage.set_limits({Scope(By.KIND, "mail"): Limit(running=1)})
    add(storage, new(1, unique_key="a"), new(2, unique_key="b"))
    claim(storage, limit=1)
    connection.execute("BEGIN")
    jobs = [new(3, unique_key="a"), new(4, unique_key="b", conflict=Conflict.REPLACE)]
    assert enqueue(connection, path, jobs, BEGAN) == [job_id(1), job_id(4)]
    connection.execute("COMMIT")
    states = {job.id & 0xFFFF: job.state for job in storage.find()}
    assert states == {1: State.RUNNING, 2: State.CANCELLED, 4: State.PENDING}
    assert claim(storage) == []
    storage.close()


def test_rows_made_otherwise_do_not_matter(connection: apsw.Connection, path: Path) -> None:
    """A connection that makes dictionaries of its rows can be used, and goes on to make them."""
    connection.row_trace = lambda _, row: {"row": row}
    connection.execute("BEGIN")
    enqueue(connection, path, [new(1)], BEGAN)
    rows: list[object] = [*connection.execute("SELECT 1")]
    assert rows == [{"row": (1,)}]
    connection.execute("COMMIT")
    assert found(path) == [1]


def test_transaction_must_be_open(connection: apsw.Connection, path: Path) -> None:
    """A connection that commits every statement by itself would keep the jobs, whatever comes next."""
    with pytest.raises(ConfigError, match="BEGIN"):
        enqueue(connection, path, [new(1)], BEGAN)
    assert found(path) == []


def test_connection_must_be_to_the_file(connection: apsw.Connection, path: Path, tmp_path: Path) -> None:
    """Neither memory nor another file is where the jobs are; the same file by another name is."""
    for other in (":memory:", str(tmp_path / "other.db")):
        with pytest.raises(ConfigError, match="same file"):
            enqueue(apsw.Connection(other), path, [new(1)], BEGAN)
    gone = apsw.Connection(str(tmp_path / "other.db"))
    (tmp_path / "other.db").unlink()
    with pytest.raises(ConfigError, match="same file"):
        enqueue(gone, path, [new(1)], BEGAN)
    (tmp_path / "link.db").symlink_to(path)
    connection.execute("BEGIN")
    enqueue(connection, tmp_path / "link.db", [new(1)], BEGAN)
    connection.execute("COMMIT")
    with pytest.raises(StorageError, match="there is no database"):
        enqueue(connection, tmp_path / "missing.db", [new(1)], BEGAN)
    assert found(path) == [1]


def test_queue_must_have_been_opened(tmp_path: Path) -> None:
    """Where our tables are not there yet, the error says how they come to be."""
    connection = apsw.Connection(str(tmp_path / "jobs.db"))
    connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY); BEGIN")
    with pytest.raises(StorageError, match=r"open the queue once.*jobsim stats --url 'sqlite:////"):
        enqueue(connection, tmp_path / "jobs.db", [new(1)], BEGAN)
    connection.close()


def test_other_objects_are_refused(path: Path) -> None:
    """What is not a connection of a driver, is told by its type."""
    with pytest.raises(ConfigError, match=r"a pathlib\.PosixPath is neither"):
        enqueue(path, path, [new(1)], BEGAN)


def test_connection_must_be_as_durable_as_the_queue(connection: apsw.Connection, path: Path) -> None:
    """Jobs are accepted for good, unless the queue asked for less."""
    connection.pragma("synchronous", "normal")
    connection.execute("BEGIN")
    with pytest.raises(ConfigError, match="synchronous = full"):
        enqueue(connection, path, [new(1)], BEGAN)
    assert enqueue(connection, path, [new(2)], BEGAN, Durability.NORMAL) == [job_id(2)]
    connection.execute("COMMIT")
    connection.pragma("synchronous", "off")
    connection.execute("BEGIN")
    with pytest.raises(ConfigError, match="synchronous = normal"):
        enqueue(connection, path, [new(1)], BEGAN, Durability.NORMAL)


def test_errors_of_the_database_are_in_our_words(connection: apsw.Connection, path: Path) -> None:
    """Busy, out of date and read only are told as the store tells them."""
    other = apsw.Connection(str(path))
    connection.execute("BEGIN IMMEDIATE")
    other.execute("BEGIN")
    with pytest.raises(StorageBusy, match="in use"):
        enqueue(other, path, [new(1)], BEGAN)
    connection.execute("INSERT INTO orders VALUES (1); COMMIT")
    other.execute("ROLLBACK; BEGIN; SELECT * FROM orders").fetchall()
    connection.execute("INSERT INTO orders VALUES (2)")
    with pytest.raises(StorageBusy, match="BEGIN IMMEDIATE"):
        enqueue(other, path, [new(1)], BEGAN)
    other.close()
    reader = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    reader.execute("BEGIN")
    with pytest.raises(StorageReadOnly):
        enqueue(reader, path, [new(1)], BEGAN)
    reader.close()


def test_errors_of_the_connection_are_its_own(connection: apsw.Connection, path: Path) -> None:
    """That it was closed, or interrupted by its owner, is not ours to explain."""
    connection.execute("BEGIN")
    connection.set_progress_handler(lambda: True, 1)
    with pytest.raises(apsw.InterruptError):
        enqueue(connection, path, [new(1)], BEGAN)
    connection.set_progress_handler(None)
    connection.close()
    with pytest.raises(apsw.ConnectionClosedError):
        enqueue(connection, path, [new(1)], BEGAN)


def test_transaction_that_sqlite_ends_is_told(connection: apsw.Connection, path: Path) -> None:
    """Where an error makes SQLite undo the whole transaction, the caller hears that it is over."""
    pages = connection.pragma("page_count")
    connection.pragma("max_page_count", pages)
    connection.execute("BEGIN; INSERT INTO orders VALUES (7)")
    with pytest.raises(StorageError, match="full") as caught:
        enqueue(connection, path, [new(n, payload='"' + "x" * 9_000 + '"') for n in range(9)], BEGAN)
    assert ("rolled the whole transaction back" in str(caught.value)) is not connection.in_transaction
