"""Work that is cut: a day of a small queue, through the real store and the real worker, in virtual time."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import apsw
import pytest

from jobsim.core.errors import StorageBroken
from jobsim.core.events import Event
from jobsim.core.ids import IdMint
from jobsim.core.job import Job, JobId, NewJob, State, WorkerId
from jobsim.core.streams import Stream, Streams
from jobsim.core.time import SECOND, Instant
from jobsim.core.transitions import FINAL
from jobsim.storage import sqlite_wal
from jobsim.storage.base import Storage
from jobsim.storage.sqlite import Durability, SqliteStorage
from jobsim.testing.crashing import CrashPoint, When
from jobsim.testing.driving import QUEUES, burst, drain
from jobsim.testing.invariants import Violation, check
from jobsim.testing.power_cut import PowerCutDisk
from jobsim.testing.power_jobs import witnessed
from jobsim.testing.power_platter import Image

BEGAN = Instant(1_767_225_600 * SECOND)
NEVER = 1_000
PAGES = 12
"""A WAL so small that it is copied back again and again, and begun anew."""


class Day:
    """Jobs come in, workers work and die, operators step in: all chosen by `seed`, in so many `rounds`.

    The workers have a connection of their own to the store, where one is given.
    """

    def __init__(self, storage: Storage, seed: int, rounds: int = 2, workers: Storage | None = None) -> None:
        self._storage = storage
        self._workers = workers or storage
        self._numbers: Stream = Streams(seed).stream("day")
        self._mint = IdMint(Streams(seed))
        self._now = BEGAN
        for number in range(rounds):
            self._enqueue()
            self._work(WorkerId(f"w{number}"))
            self._operate()

    def _below(self, limit: int) -> int:
        return self._numbers.bits() % limit

    def _enqueue(self) -> None:
        for _ in range(1 + self._below(2)):
            self._storage.enqueue([self._job() for _ in range(1 + self._below(2))], self._now)

    def _job(self) -> NewJob:
        return NewJob(
            self._mint.mint(self._now),
            "work",
            Instant(self._now + self._below(3) * SECOND),
            queue=QUEUES[self._below(2)],
            payload=f'"{"x" * self._below(200)}"',
            max_attempts=1 + self._below(3),
            unique_key=[None, None, "a"][self._below(3)],
        )

    def _work(self, name: WorkerId) -> None:
        """Let one work who dies on the way, or does not, and one who finds what the first has left."""
        dies_at = CrashPoint([3, 5, NEVER][self._below(3)], list(When)[self._below(2)])
        for crash in (dies_at, CrashPoint(NEVER, When.AFTER)):
            took = burst(self._workers, WorkerId(f"{name}-{crash.call}"), self._now, crash)
            self._now = Instant(self._now + took + 20 * SECOND)

    def _operate(self) -> None:
        self._storage.requeue(self._in(State.DEAD_LETTER)[:1], self._now)
        self._storage.cancel(self._in(State.PENDING, State.FAILED)[:1], self._now, "not wanted")
        self._storage.prune(list(FINAL), self._now, 1)

    def _in(self, *states: State) -> list[JobId]:
        return [job.id for job in self._storage.find(states=states)]


@contextmanager
def often_copied_back() -> Iterator[None]:
    """Have the WAL copied back every few commits, rather than every few hundred."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite_wal, "CHECKPOINT", PAGES)
        yield


def play(
    directory: Path,
    disk: PowerCutDisk,
    seed: int,
    durability: Durability = Durability.FULL,
    rounds: int = 2,
    connections: int = 2,
) -> PowerCutDisk:
    """Do a day's work on a database on `disk`, and return that; a process that must end has a successor."""
    with often_copied_back():
        for life in range(3):
            with suppress(StorageBroken), ExitStack() as ends:
                stores = [_opened(directory / "jobs.db", disk, durability, ends) for _ in range(connections)]
                client, *workers = [witnessed(storage, disk) for storage in stores]
                Day(client, seed + life, rounds, *workers)
                break
    return disk


def in_doubt(directory: Path, disk: PowerCutDisk) -> PowerCutDisk:
    """Have a sync fail in the enqueue of a client, who ends, and enqueue the same job in the next process.

    That finds its unique key taken and is told by whom, for which it commits nothing of its own.
    """
    job = NewJob(JobId(1), "work", BEGAN)
    for number in (2, 3):
        with suppress(StorageBroken), ExitStack() as ends:
            client = witnessed(_opened(directory / "jobs.db", disk, Durability.FULL, ends), disk)
            if number == 2:
                client.enqueue([job], BEGAN)
                disk.failing_sync = disk.syncs + 1
            client.enqueue([job._replace(id=JobId(number), unique_key="a")], BEGAN)
    return disk


def _opened(path: Path, disk: PowerCutDisk, durability: Durability, ends: ExitStack) -> SqliteStorage:
    """Return a store that is closed at the end, whatever that meets: a file layer in Python tells of it."""
    storage = SqliteStorage(path, durability=durability, vfs=disk.name)
    ends.callback(_closed, storage)
    return storage


def _closed(storage: SqliteStorage) -> None:
    with suppress(apsw.IOError):
        storage.close()


def reopened(image: Image, directory: Path, disk: PowerCutDisk) -> tuple[list[Job], list[Event]]:
    """Return what the store finds in an image, which it opens, recovers and closes on `disk`."""
    with tempfile.TemporaryDirectory(dir=directory) as place:
        image.write(Path(place))
        storage = SqliteStorage(Path(place) / "jobs.db", vfs=disk.name)
        try:
            return storage.find(), list(storage.events())
        finally:
            storage.close()


def drained(image: Image, directory: Path) -> list[Violation]:
    """Let workers go on from an image until nothing is left, and return what is wrong then."""
    with PowerCutDisk() as disk, tempfile.TemporaryDirectory(dir=directory) as place:
        image.write(Path(place))
        storage = SqliteStorage(Path(place) / "jobs.db", vfs=disk.name)
        drain(storage, "after", Instant(BEGAN + 86_400 * SECOND))
        found = check(storage.events(), jobs=storage.find(), drained=True)
        storage.close()
    return found
