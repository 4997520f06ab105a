"""The SQLite store when the disk, the file or a call fails: nothing is lost, half written, or believed."""

from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest

from jobsim.core.decide import Settlement
from jobsim.core.errors import StorageBroken, StorageBusy, StorageError, StorageFull, StorageReadOnly
from jobsim.core.time import Duration, Instant
from jobsim.storage import sqlite_wal
from jobsim.storage.sqlite import SqliteStorage
from jobsim.testing.conformance_base import (
    ANN,
    BEGAN,
    BOB,
    MINUTE,
    QUEUES,
    SUCCEED,
    add,
    at,
    claim,
    job_id,
    new,
    retry,
    settle,
    snapshot,
    start,
)
from jobsim.testing.invariants import verify
from tests.storage.faults import FaultyDisk, bare, connection


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "jobs.db"


@pytest.fixture
def disk() -> Iterator[FaultyDisk]:
    disk = FaultyDisk("faulty")
    yield disk
    disk.unregister()


@pytest.fixture
def storage(path: Path, disk: FaultyDisk) -> Iterator[SqliteStorage]:
    storage = SqliteStorage(path, vfs=disk.name, busy_timeout="30ms")
    yield storage
    disk.failing = {}
    storage.close()


def calls(storage: SqliteStorage) -> list[Callable[[], object]]:
    """Return a call of every method that writes, each of which would change something."""
    add(storage, *(new(n) for n in range(4)))
    running, waiting, dead, _ = claim(storage)
    settle(storage, waiting, retry(at(1)))
    settle(storage, dead, SUCCEED._replace(kind=retry(BEGAN).kind, due=BEGAN))
    batch = [Settlement(running, SUCCEED)]
    return [
        lambda: add(storage, new(10), new(11)),
        lambda: claim(storage, now=at(2)),
        lambda: storage.settle(batch, at(1)),
        lambda: storage.exchange(batch, ANN, QUEUES, 9, MINUTE, at(2)),
        lambda: storage.extend([running], at(500), at(1)),
        lambda: storage.cancel([running.id, waiting.id], at(1)),
    ]


@pytest.mark.parametrize("which", range(6))
@pytest.mark.parametrize(
    ("code", "error"),
    [
        (apsw.SQLITE_FULL, StorageFull),
        (apsw.SQLITE_IOERR_WRITE, StorageError),
        (apsw.SQLITE_READONLY, StorageReadOnly),
    ],
    ids=["full", "write error", "read-only"],
)
def test_call_is_whole_or_not_at_all(
    storage: SqliteStorage, disk: FaultyDisk, which: int, code: int, error: type[StorageError]
) -> None:
    """Where a write fails nothing of the call is kept, and the same call succeeds afterwards."""
    call = calls(storage)[which]
    before = snapshot(storage)
    disk.failing = {"write": code}
    with pytest.raises(error, match=r"jobs\.db"):
        call()
    assert snapshot(storage) == before
    disk.failing = {}
    call()
    assert snapshot(storage) != before
    verify(storage.events(), jobs=storage.find())


def test_full_database_refuses_and_goes_on(storage: SqliteStorage) -> None:
    """What does not fit is refused whole; what is there can still be worked on."""
    add(storage, new(1))
    pragma = connection(storage).pragma
    pragma("max_page_count", pragma("page_count") + 2)
    before = snapshot(storage)
    with pytest.raises(StorageFull, match="free some space"):
        add(storage, *(new(n, payload="x" * 9_000) for n in range(2, 9)))
    assert snapshot(storage) == before
    [lease] = claim(storage)
    assert settle(storage, lease, SUCCEED)


@pytest.mark.parametrize("which", range(6))
def test_failed_sync_is_never_acknowledged(
    storage: SqliteStorage, path: Path, disk: FaultyDisk, which: int
) -> None:
    """After it the store refuses everything, though the disk be well again: the process is to end."""
    call = calls(storage)[which]
    disk.failing = {"sync": apsw.SQLITE_IOERR_FSYNC}
    with pytest.raises(StorageBroken, match="end this process"):
        call()
    disk.failing = {}
    for refused in (call, storage.find, storage.counts, lambda: storage.next_due(QUEUES)):
        with pytest.raises(StorageBroken):
            refused()
    storage.close()
    after = SqliteStorage(path)
    verify(after.events(), jobs=after.find())
    after.close()


@pytest.mark.parametrize("code", [apsw.SQLITE_IOERR_FSYNC, apsw.SQLITE_IOERR_WRITE], ids=["sync", "write"])
def test_checkpoint_that_fails(
    storage: SqliteStorage, disk: FaultyDisk, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """What was committed stays where the WAL cannot be copied back; only a failed sync breaks the store."""
    monkeypatch.setattr(sqlite_wal, "CHECKPOINT", 1)
    disk.where = ".db"
    disk.failing = {"sync" if code == apsw.SQLITE_IOERR_FSYNC else "write": code}
    if code == apsw.SQLITE_IOERR_FSYNC:
        with pytest.raises(StorageBroken):
            add(storage, new(1))
    else:
        add(storage, new(1))
        disk.failing = {}
        add(storage, new(2))
        assert [job.id for job in storage.find()] == [job_id(1), job_id(2)]


def test_wal_is_copied_back_as_it_grows(
    storage: SqliteStorage, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file beside the database does not grow for ever."""
    monkeypatch.setattr(sqlite_wal, "CHECKPOINT", 20)
    for number in range(300):
        add(storage, new(number))
    assert path.with_name("jobs.db-wal").stat().st_size < 200_000


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
@pytest.mark.parametrize("replaced", [False, True], ids=["removed", "replaced"])
def test_file_that_is_gone_is_noticed(
    storage: SqliteStorage, path: Path, suffix: str, replaced: bool
) -> None:
    """SQLite would accept jobs into a file without a name; the store refuses, reading included."""
    add(storage, new(1))
    file = path.with_name(path.name + suffix)
    kept = file.rename(path.with_name("kept"))
    if replaced:
        file.write_bytes(kept.read_bytes())
    for call in (lambda: add(storage, new(2)), storage.find, lambda: storage.next_due(QUEUES)):
        with pytest.raises(StorageError, match="removed or replaced"):
            call()
    kept.rename(file)
    add(storage, new(3))
    assert [job.id for job in storage.find()] == [job_id(1), job_id(3)]


def test_file_that_goes_during_a_call_is_noticed(storage: SqliteStorage, path: Path) -> None:
    """It is looked for just before the commit, so that nothing is acknowledged that has no name."""

    def work() -> None:
        storage._writes.enqueue([new(1)], BEGAN)
        path.rename(path.with_name("kept"))

    with pytest.raises(StorageError, match="removed or replaced"):
        storage._database.write(work)
    path.with_name("kept").rename(path)
    assert storage.find() == []


@pytest.mark.live
def test_lock_that_another_keeps_is_waited_for_and_then_refused(storage: SqliteStorage, path: Path) -> None:
    """A busy database is an error of its own, and no reason to give up later."""
    with bare(path) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageBusy, match="in use by another process"):
            add(storage, new(1))
        assert storage.find() == []
        other.execute("ROLLBACK")
    assert add(storage, new(1)) == [job_id(1)]


def test_exchange_is_one_transaction(storage: SqliteStorage) -> None:
    """Where the claim fails, what was settled before it is not kept either."""
    batch = [Settlement(start(storage, 1), SUCCEED)]
    add(storage, new(2))
    before = snapshot(storage)
    with pytest.raises(StorageError, match="64 bits"):
        storage.exchange(batch, ANN, QUEUES, 9, Duration(2**63), BEGAN)
    assert snapshot(storage) == before


def test_names_of_a_transaction_undone_are_forgotten(storage: SqliteStorage) -> None:
    """A worker first named in a call that failed is known by the right number afterwards."""
    add(storage, new(1), new(2))
    with pytest.raises(StorageError):
        claim(storage, worker=ANN, lease=Duration(2**63))
    assert [lease.worker for lease in claim(storage, limit=1, worker=BOB)] == [BOB]
    assert [lease.worker for lease in claim(storage, limit=1, worker=ANN)] == [ANN]
    assert [event.worker for event in storage.events(after=2)] == [BOB, ANN]


@pytest.mark.parametrize(
    "job",
    [
        new(2, priority=2**63),
        new(2, run_at=Instant(2**70)),
        new(2, kind="\ud800"),
        new(2, queue="\udcff"),
        new(2, max_attempts=0),
        new(2, max_attempts=2**31),
    ],
    ids=["priority", "run_at", "kind", "queue", "no attempt", "too many"],
)
def test_value_that_cannot_be_stored_is_refused(storage: SqliteStorage, job: object) -> None:
    """One clear error, and none of the batch is kept."""
    with pytest.raises(StorageError, match="nothing of the call was kept"):
        add(storage, new(1), job)  # type: ignore[arg-type]
    assert snapshot(storage) == ([], [])
    assert add(storage, new(1)) == [job_id(1)]


def test_questions_about_what_cannot_be_stored_have_answers(storage: SqliteStorage) -> None:
    """A queue of a name that is not Unicode holds no job."""
    add(storage, new(1))
    assert storage.next_due(["\udcff"]) is None
    assert storage.next_due(["\udcff", "default"]) == BEGAN


def test_interrupted_call_leaves_nothing_behind(storage: SqliteStorage) -> None:
    """An exception of any kind undoes the transaction that it comes out of."""

    def work() -> None:
        storage._writes.enqueue([new(1)], BEGAN)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        storage._database.write(work)
    assert not connection(storage).in_transaction
    assert snapshot(storage) == ([], [])
