"""A bug planted in the store on SQLite that shows only where two connections write, and who looks for it."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from itertools import count
from pathlib import Path
from time import perf_counter  # noqa: TID251  # the table says how long it took
from typing import Any

import pytest

from jobsim.core.decide import SUCCESS, Settlement
from jobsim.core.errors import StorageBusy
from jobsim.core.job import JobId, Lease, NewJob, State, WorkerId
from jobsim.core.outcome import Error, Failed
from jobsim.core.time import SECOND, Duration, Instant
from jobsim.storage.base import Storage
from jobsim.storage.sqlite import Durability, SqliteStorage
from jobsim.storage.sqlite_database import Database
from jobsim.testing.driving import judge
from tests.planted.instruments import Found

ANN = WorkerId("ann")
QUEUE = ("default",)
LEASE = Duration(10 * SECOND)


def deferred_transaction(patch: pytest.MonkeyPatch) -> None:
    """A transaction takes the lock with its first write only, when what it has read may be out of date."""

    def begin(database: Database) -> None:
        database._connect()
        database.cursor.execute("BEGIN")

    patch.setattr(Database, "_begin", begin)


def by_rival(directory: Path) -> Found | None:
    """Let another connection try to write before every statement of a call: it must wait, and harm none."""
    began, number = perf_counter(), count(1)
    path = directory / "jobs.db"
    with closing(_opened(path)) as store, closing(_opened(path)) as rival:
        statements = 0

        def interfere(*_: Any) -> bool:
            nonlocal statements
            statements += 1
            with suppress(StorageBusy):
                rival.enqueue([NewJob(JobId(next(number) << 70), "work", Instant(0))], Instant(0))
            return True

        connection = store._database._connection
        assert connection is not None
        connection.exec_trace = interfere
        try:
            _work(store)
        except StorageBusy:
            return Found(statements, perf_counter() - began)
        finally:
            connection.exec_trace = None
    return None


def by_threads(directory: Path, calls: int = 3_000) -> Found | None:
    """Let two threads work on two connections until one is told that the file is busy, which it hardly is.

    It depends on how they are scheduled, and is for the table alone.
    """
    began, path, made = perf_counter(), directory / "jobs.db", count(1)

    def work(store: SqliteStorage, name: WorkerId) -> int:
        for number in range(calls):
            try:
                store.enqueue([NewJob(JobId(next(made) << 70), "work", Instant(0))], Instant(0))
                leases = store.claim(name, QUEUE, 1, LEASE, Instant(1))
                store.settle([Settlement(lease, SUCCESS) for lease in leases], Instant(2))
            except StorageBusy:
                return number + 1
        return 0

    with (
        closing(_opened(path, "10s")) as one,
        closing(_opened(path, "10s")) as other,
        ThreadPoolExecutor(2) as pool,
    ):
        ends = list(pool.map(work, (one, other), (ANN, WorkerId("bob"))))
    return Found(min(filter(None, ends)), perf_counter() - began) if any(ends) else None


def _opened(path: Path, patience: str = "20ms") -> SqliteStorage:
    return SqliteStorage(path, durability=Durability.NORMAL, busy_timeout=patience)


def _work(store: Storage) -> None:
    """Make every call that writes."""
    now = Instant(SECOND)
    store.enqueue([NewJob(JobId(n), "work", Instant(0), unique_key=f"k{n}") for n in range(1, 5)], now)
    first, second, third = store.claim(ANN, QUEUE, 3, LEASE, now)
    store.extend([first, second, third], Instant(30 * SECOND), now)
    store.settle([_failed(first), _failed(second, "Permanent")], now)
    store.exchange([Settlement(third, SUCCESS)], ANN, QUEUE, 1, LEASE, now)
    store.requeue([second.id], now)
    store.cancel([JobId(4)], now)
    store.pause("mail")
    store.prune([State.SUCCEEDED, State.CANCELLED], Instant(60 * SECOND), 9)


def _failed(lease: Lease, error: str = "ValueError") -> Settlement:
    return judge(lease, Failed(Error(error)), Instant(SECOND))
