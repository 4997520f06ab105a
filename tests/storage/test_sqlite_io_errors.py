"""Any call of the file system fails, once or for a while: no job is lost, and errors are in our own words."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import apsw
import pytest

from jobsim.core.errors import StorageError, StorageFull
from jobsim.core.job import WorkerId
from jobsim.core.streams import Streams
from jobsim.core.time import SECOND, Instant
from jobsim.storage.faulty import FaultyStorage
from jobsim.storage.sqlite import SqliteStorage
from jobsim.storage.sqlite_database import Database
from jobsim.testing.conformance_base import add, claim, new, snapshot
from jobsim.testing.crashing import CrashPoint, When
from jobsim.testing.driving import burst, drain
from jobsim.testing.invariants import check
from jobsim.testing.power_jobs import JobsKept, witnessed
from tests.campaigns import record
from tests.crash.power import BEGAN, Day, often_copied_back
from tests.storage.faults import FaultyDisk, bare

LIVES = 60
PAGE = 4096


class Notebook:
    """What callers were told."""

    def __init__(self) -> None:
        self.notes: list[object] = []

    def note(self, what: object, *, confirms: bool = True) -> None:
        self.notes.append(what)


@pytest.fixture
def disk() -> Iterator[FaultyDisk]:
    disk = FaultyDisk("erring")
    yield disk
    disk.unregister()


def live(path: Path, disk: FaultyDisk, seed: int) -> list[str]:
    """Let processes follow each other until one has done a day's work; return what is wrong in the end."""
    told = Notebook()
    disk.calls, disk.hit = 0, []
    with often_copied_back():
        for life in range(LIVES):
            if _day_done(path, disk, told, seed + life):
                break
        else:
            return ["no process came to an end"]
    disk.bad = range(0)
    storage = SqliteStorage(path, vfs=disk.name)
    found = [*map(str, check(storage.events(), jobs=storage.find()))]
    storage.close()
    found += filter(None, [JobsKept(told)(path.read_bytes(), len(told.notes))])
    return found + _drained(path)


def _day_done(path: Path, disk: FaultyDisk, told: Notebook, seed: int) -> bool:
    try:
        storage = SqliteStorage(path, vfs=disk.name)
    except StorageError:
        return False
    try:
        Day(witnessed(storage, told), seed, rounds=1)
    except StorageError:
        return False
    finally:
        with suppress(apsw.Error):  # a file layer in Python tells of what SQLite passes over
            storage.close()
    return True


def _drained(path: Path) -> list[str]:
    storage = SqliteStorage(path)
    drain(storage, "after", Instant(BEGAN + 86_400 * SECOND))
    found = check(storage.events(), jobs=storage.find(), drained=True)
    storage.close()
    return [*map(str, found)]


def calls(tmp_path: Path, disk: FaultyDisk) -> int:
    """Return how many calls the file system sees in a day without errors."""
    assert live(tmp_path / "sound.db", disk, 1) == []
    return disk.calls


@pytest.mark.parametrize("length", [1, 50], ids=["once", "burst"])
def test_error_of_any_call_loses_nothing(tmp_path: Path, disk: FaultyDisk, length: int) -> None:
    """Whichever call it is: what was acknowledged is there afterwards, the log is sound, all jobs end."""
    last, hit = calls(tmp_path, disk), set[str]()
    for first in range(length, last, 11):
        disk.bad = range(first, first + length)
        assert live(tmp_path / f"{first}.db", disk, 1) == [], f"{disk.hit}, from call {first} on"
        hit.update(disk.hit)
    assert hit >= {"open", "read", "write", "sync", "size"}


def test_commit_whose_error_is_passed_over_is_found(
    tmp_path: Path, disk: FaultyDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that acknowledges although the disk was full does lose jobs: the tests above can fail."""
    last, safely = calls(tmp_path, disk), Database._safely

    def careless(database: Database, step: Callable[..., Any], *args: Any) -> Any:
        with suppress(StorageFull):
            return safely(database, step, *args)
        return args[1][0] if step == database._transact else []

    monkeypatch.setattr(Database, "_safely", careless)

    def found(first: int) -> list[str]:
        disk.bad = range(first, first + 1)
        with suppress(StorageError):
            return live(tmp_path / f"{first}.db", disk, 1)
        return []

    assert any("accepted, yet not there" in text for first in range(20, last, 7) for text in found(first))


def test_storm_of_other_writers_loses_nothing(tmp_path: Path) -> None:
    """Others hold the lock again and again, at any call: a worker tries again until they let go."""
    storage = SqliteStorage(tmp_path / "jobs.db", busy_timeout="3ms")
    storage.enqueue([new(number, max_attempts=3) for number in range(10)], BEGAN)
    numbers, refused = Streams(1).stream("storm"), 0
    with bare(tmp_path / "jobs.db") as other:

        def storm(_: str) -> None:
            nonlocal refused
            if other.in_transaction:
                other.execute("ROLLBACK")
            elif numbers.random() < 0.3:
                other.execute("BEGIN IMMEDIATE")
                refused += 1

        burst(FaultyStorage(storage, storm), WorkerId("w"), BEGAN, CrashPoint(10_000, When.AFTER))
        assert refused > 5
    storage.close()
    assert _drained(tmp_path / "jobs.db") == []


@pytest.mark.parametrize("filling", [b"\0", b"\xff", b"\x0d"], ids=["zeros", "ones", "leaf"])
def test_spoilt_page_is_told_of_or_does_not_matter(tmp_path: Path, filling: bytes) -> None:
    """Whichever page of the file it is, jobs are as they were, or the store refuses in its own words."""
    path = tmp_path / "jobs.db"
    storage = SqliteStorage(path)
    add(storage, *(new(number) for number in range(60)))
    before = snapshot(storage)
    storage.close()
    content, refused = path.read_bytes(), 0
    for start in range(0, len(content), PAGE):
        path.write_bytes(content[:start] + filling * PAGE + content[start + PAGE :])
        path.with_name("jobs.db-wal").unlink(missing_ok=True)
        try:
            storage = SqliteStorage(path)
        except StorageError:
            refused += 1
            continue
        try:
            assert snapshot(storage) == before
            claim(storage, limit=1)
        except StorageError:
            refused += 1
        finally:
            storage.close()
    assert refused > 5


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(1, 5))
def test_error_of_every_call_loses_nothing(tmp_path: Path, disk: FaultyDisk, seed: int) -> None:
    """Each call in turn, once and in bursts, of full disks and of broken ones."""
    runs = 0
    for length, code in itertools.product((1, 7, 50), (apsw.SQLITE_FULL, apsw.SQLITE_IOERR_WRITE)):
        disk.codes["write"] = code
        for first in itertools.count(1):
            disk.bad = range(first, first + length)
            assert live(tmp_path / f"{runs}.db", disk, seed) == [], f"{disk.hit}, from call {first} on"
            runs += 1
            if not disk.hit:
                break
    record("errors of the file system, SQLite", runs=runs, lost=0)
