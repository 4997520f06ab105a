"""The file beside a SQLite database: what makes it grow, and what is said then."""

import logging
from collections.abc import Iterator
from math import log2
from pathlib import Path

import apsw
import pytest

from jobsim.core.errors import StorageBroken, StorageError
from jobsim.storage import sqlite_file, sqlite_wal
from jobsim.storage.sqlite import SqliteStorage
from jobsim.testing.conformance_base import add, new
from tests.storage.faults import FaultyDisk, bare

PAGES = 20
BIG = 400_000


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SqliteStorage]:
    """Return a store whose WAL is copied back often, and is soon big."""
    monkeypatch.setattr(sqlite_wal, "CHECKPOINT", PAGES)
    monkeypatch.setattr(sqlite_wal, "BIG", BIG)
    storage = SqliteStorage(tmp_path / "jobs.db")
    yield storage
    storage.close()


def work(storage: SqliteStorage, first: int, jobs: int) -> int:
    """Enqueue one job a commit; return how large the WAL has become."""
    for number in range(first, first + jobs):
        add(storage, new(number))
    return Path(f"{storage.path}-wal").stat().st_size


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def test_wal_begins_anew_as_long_as_nobody_reads(
    storage: SqliteStorage, caplog: pytest.LogCaptureFixture
) -> None:
    """It stays small under any number of commits, and there is nothing to say."""
    assert work(storage, 0, 600) < BIG
    assert warnings(caplog) == []


def test_long_reader_makes_it_grow_and_is_told(
    storage: SqliteStorage, caplog: pytest.LogCaptureFixture
) -> None:
    """A warning names the file and its size, again when that has doubled, and not in between."""
    with bare(Path(storage.path)) as reader:
        reader.execute("BEGIN; SELECT * FROM jobsim_job").fetchall()
        size = work(storage, 0, 150)
        told = warnings(caplog)
        assert 2 <= len(told) <= 1 + log2(size / BIG)
        assert told[0].startswith(f"{storage.path}-wal has grown to 0 MB")
        assert "end long transactions" in told[0]
        reader.execute("ROLLBACK")


def test_after_a_long_reader_it_begins_anew(storage: SqliteStorage, caplog: pytest.LogCaptureFixture) -> None:
    """Once nobody reads any more, the file grows no further, and the next to hold it up is told of, too."""
    for turn in range(2):
        caplog.clear()
        with bare(Path(storage.path)) as reader:
            reader.execute("BEGIN; SELECT * FROM jobsim_job").fetchall()
            grown = work(storage, 1_000 * turn, 150)
            reader.execute("ROLLBACK")
        assert warnings(caplog)
        # It is copied back once more before it can begin anew.
        assert work(storage, 1_000 * turn + 500, 300) <= grown + 2 * PAGES * 4096


def test_it_is_copied_back_no_more_often_where_that_does_not_help(
    storage: SqliteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader who holds it up costs the commits of others nothing: few of them sync the database for it."""
    times = 0
    copy_back = sqlite_wal.Wal.copy_back

    def counted(wal: sqlite_wal.Wal, connection: apsw.Connection) -> None:
        nonlocal times
        times += 1
        copy_back(wal, connection)

    monkeypatch.setattr(sqlite_wal.Wal, "copy_back", counted)
    with bare(Path(storage.path)) as reader:
        reader.execute("BEGIN; SELECT * FROM jobsim_job").fetchall()
        pages = work(storage, 0, 100) // 4096
        assert 2 <= times <= pages / PAGES + 1
        reader.execute("ROLLBACK")


@pytest.fixture
def disk() -> Iterator[FaultyDisk]:
    disk = FaultyDisk("doubtful")
    yield disk
    disk.unregister()


def broken(path: Path, disk: FaultyDisk) -> SqliteStorage:
    """Return a store that has enqueued one job, and whose next commit was not confirmed by the disk."""
    storage = SqliteStorage(path, vfs=disk.name)
    add(storage, new(1))
    disk.failing = {"sync": apsw.SQLITE_IOERR_FSYNC}
    with pytest.raises(StorageBroken):
        add(storage, new(2))
    disk.failing = {}
    return storage


def test_wal_that_a_failed_sync_left_is_written_again_before_the_next_commit(
    tmp_path: Path, disk: FaultyDisk
) -> None:
    """A process that comes after has the disk confirm what it builds on, once; reading changes nothing."""
    path, doubt = tmp_path / "jobs.db", tmp_path / "jobs.db-in-doubt"
    assert not doubt.exists()
    broken(path, disk).close()
    for _ in range(2):
        storage = SqliteStorage(path)
        assert len(storage.find()) in {1, 2}
        storage.close()
        assert doubt.exists()
        assert path.with_name("jobs.db-wal").stat().st_size > 0
    storage = SqliteStorage(path)
    add(storage, new(3))
    assert not doubt.exists()
    storage.close()
    assert not path.with_name("jobs.db-wal").exists()


def test_wal_in_doubt_whose_writing_fails_stays_in_doubt(tmp_path: Path, disk: FaultyDisk) -> None:
    """Nothing is committed behind it until the disk has confirmed it."""
    broken(tmp_path / "jobs.db", disk).close()
    storage = SqliteStorage(tmp_path / "jobs.db", vfs=disk.name)
    disk.where, disk.failing = "-wal", {"write": apsw.SQLITE_FULL}
    with pytest.raises(StorageError):
        add(storage, new(3))
    assert (tmp_path / "jobs.db-in-doubt").exists()
    disk.failing = {}
    add(storage, new(3))
    assert not (tmp_path / "jobs.db-in-doubt").exists()
    storage.close()


def test_migration_makes_sure_of_the_wal_before_it_writes(
    tmp_path: Path, disk: FaultyDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An older database that a failed sync left in doubt is migrated behind no hole."""
    with monkeypatch.context() as older:
        older.setattr(sqlite_file, "NEWEST", sqlite_file.NEWEST - 1)
        older.setattr(sqlite_file, "_MIGRATIONS", sqlite_file._MIGRATIONS[:-1])
        broken(tmp_path / "jobs.db", disk).close()
    assert (tmp_path / "jobs.db-in-doubt").exists()
    SqliteStorage(tmp_path / "jobs.db").close()
    assert not (tmp_path / "jobs.db-in-doubt").exists()


def test_large_wal_is_written_again_whole(tmp_path: Path, disk: FaultyDisk) -> None:
    """Its size does not matter, and what it says stays the same."""
    broken(tmp_path / "jobs.db", disk).close()
    wal = tmp_path / "jobs.db-wal"
    with wal.open("ab") as file:
        file.write(bytes(1_000_001))
    before = wal.read_bytes()
    sqlite_wal.Wal(str(tmp_path / "jobs.db")).make_sure(disk.name)
    assert wal.read_bytes() == before
