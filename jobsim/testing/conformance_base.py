"""What the groups of the conformance suite share: a store for each test, and short words for calls."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from jobsim.core.decide import LOST, Decision, Settlement, Why
from jobsim.core.events import Event
from jobsim.core.job import Job, JobId, Lease, NewJob, WorkerId
from jobsim.core.time import SECOND, Duration, Instant
from jobsim.core.transitions import Kind
from jobsim.storage.base import Storage

BEGAN: Final = Instant(1_767_225_600 * SECOND)
MINUTE: Final = Duration(60 * SECOND)
ANN: Final = WorkerId("ann")
BOB: Final = WorkerId("bob")
QUEUES: Final = ("default",)
_NO_DELAY: Final = Duration(0)


def at(seconds: float) -> Instant:
    """Return the moment so many seconds after the tests begin."""
    return Instant(BEGAN + round(seconds * SECOND))


def job_id(number: int) -> JobId:
    """Return a UUIDv7 of its own for `number`."""
    return JobId((BEGAN // 1_000) << 80 | 0x7 << 76 | 0b10 << 62 | number)


def new(number: int, *, run_at: Instant = BEGAN, **fields: Any) -> NewJob:
    """Return a job to enqueue, due at once unless told otherwise."""
    return NewJob(job_id(number), "mail", run_at)._replace(**fields)


SUCCEED: Final = Decision(Kind.SUCCEED, Why("succeeded"))
BURY: Final = Decision(Kind.DEAD_LETTER, Why("failed", "not_retryable", "ValueError: no"))


def retry(due: Instant, delay: Duration = _NO_DELAY, error: str = "ValueError: not yet") -> Decision:
    """Return the decision to try again at `due`."""
    return Decision(Kind.RETRY, Why("failed", "backoff", error), due, delay)


def release(due: Instant) -> Decision:
    """Return the decision to give the attempt back."""
    return Decision(Kind.RELEASE, Why("released", "shutdown"), due)


def lose(due: Instant) -> Decision:
    """Return the decision about an attempt whose worker was lost."""
    return Decision(Kind.RETRY, Why(LOST, "backoff", "jobsim.Lost: the lease ended"), due)


class StorageRules:
    """The store under test: a subclass says how one is made."""

    def make_storage(self, tmp_path: Path) -> Storage:
        """Return a store; an empty one for a new directory, the same jobs for one used before."""
        raise NotImplementedError

    def reopens(self) -> bool:
        """Return whether jobs are there again in a store made for the directory of one that was closed."""
        return True

    @pytest.fixture
    def storage(self, tmp_path: Path) -> Iterator[Storage]:
        storage = self.make_storage(tmp_path)
        yield storage
        storage.close()


def add(storage: Storage, *jobs: NewJob, now: Instant = BEGAN) -> list[JobId]:
    """Enqueue `jobs`."""
    return storage.enqueue(jobs, now)


def claim(
    storage: Storage,
    limit: int = 100,
    now: Instant = BEGAN,
    worker: WorkerId = ANN,
    queues: tuple[str, ...] = QUEUES,
    lease: Duration = MINUTE,
) -> list[Lease]:
    """Claim jobs."""
    return storage.claim(worker, queues, limit, lease, now)


def start(storage: Storage, number: int = 1, **fields: Any) -> Lease:
    """Enqueue one job and claim it."""
    add(storage, new(number, **fields))
    [lease] = claim(storage)
    return lease


def settle(storage: Storage, lease: Lease, decision: Decision, now: Instant = BEGAN) -> bool:
    """Settle one attempt."""
    [done] = storage.settle([Settlement(lease, decision)], now)
    return done


def stored(storage: Storage, job: JobId) -> Job:
    """Return a job that must be there."""
    found = storage.get(job)
    assert found is not None
    return found


def last(storage: Storage) -> Event:
    """Return the last event of the log."""
    return list(storage.events())[-1]


def snapshot(storage: Storage) -> tuple[list[Job], list[Event]]:
    """Return all that can be seen of a store."""
    return storage.find(), list(storage.events())
