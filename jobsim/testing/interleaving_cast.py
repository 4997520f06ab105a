"""Who takes part in an exploration: the engine's own workers, reapers and enqueuers."""

from collections.abc import Coroutine, Sequence
from typing import Any, Final

from jobsim.core.backoff import Fixed
from jobsim.core.ids import IdMint
from jobsim.core.job import JobId, Lease, NewJob, WorkerId
from jobsim.core.outcome import Outcome
from jobsim.core.policy import RetryPolicy
from jobsim.core.streams import Stream, Streams
from jobsim.core.time import Duration
from jobsim.storage.base import Storage
from jobsim.testing.interleaving_process import BELL, Role
from jobsim.testing.interleaving_scope import BEGAN, LEASE, TICK, Scope
from jobsim.testing.interleaving_verbs import Verbs
from jobsim.worker.calls import StorageCalls
from jobsim.worker.pool import Worker
from jobsim.worker.settings import WorkerSettings

SOON: Final = Duration(TICK // 2)
POLICY: Final = RetryPolicy(Fixed(SOON))
SETTINGS: Final = WorkerSettings(slots=1, lease=LEASE, poll=SOON)
LOOPS: Final = frozenset({"_slot", "heartbeat", "reaper", BELL})


class _Middle(Stream):
    """A stream that is in the middle of what it could be, always."""

    __slots__ = ()

    def random(self) -> float:
        """Return a half."""
        return 0.5


class _Even(Streams):
    """Streams without chance, so that processes which were at the same point are there again."""

    __slots__ = ()

    def stream(self, purpose: str, key: int = 0, attempt: int = 0) -> Stream:
        """Return the stream."""
        return _Middle(0)


STREAMS: Final = _Even(0)


class Manual:
    """An executor whose attempts end when they are told to; one that is abandoned goes on, as threads do."""

    def __init__(self, verbs: Verbs) -> None:
        self._verbs = verbs

    async def execute(self, lease: Lease) -> Outcome:
        """Run the attempt until it is told to end."""
        return await self._verbs.work(lease)

    def abandon(self, lease: Lease) -> None:
        """Do nothing: the outcome will be refused."""


def worker(name: str, loops: frozenset[str] = LOOPS) -> Role:
    """Return a worker, of which those `loops` run; the others are as slow as may be."""

    def main(verbs: Verbs, storage: Storage) -> Coroutine[Any, Any, None]:
        named = WorkerId(name)
        return Worker(named, verbs, storage, Manual(verbs), lambda _: POLICY, STREAMS, SETTINGS).run()

    return Role(name, main, LOOPS - loops)


def enqueuer(name: str, batches: Sequence[Sequence[NewJob]]) -> Role:
    """Return who enqueues `batches`, one after the other, as often as it takes."""

    async def enqueue(verbs: Verbs, storage: Storage) -> None:
        calls = StorageCalls(verbs, STREAMS)
        for batch in batches:
            await calls.make(storage.enqueue, batch, verbs.now())

    return Role(name, enqueue)


def cast(scope: Scope, *, alike: bool = False) -> list[Role]:
    """Return who takes part: first the workers, then the reapers, then the enqueuers.

    Where workers are `alike` they have one name.
    """
    names = ["w" if alike else f"w{n}" for n in range(1, scope.workers + 1)]
    workers = [worker(name, LOOPS - {"reaper"}) for name in names]
    reapers = [worker(f"r{n}", frozenset({"reaper"})) for n in range(1, scope.reapers + 1)]
    return [
        *workers,
        *reapers,
        *(enqueuer(f"e{n}", _batches(scope, jobs)) for n, jobs in enumerate(_jobs(scope), 1)),
    ]


def offered(scope: Scope) -> list[JobId]:
    """Return the ids of all jobs that somebody may enqueue."""
    return [job.id for jobs in _jobs(scope) for job in jobs]


def _jobs(scope: Scope) -> list[list[NewJob]]:
    mint = IdMint(Streams(0))
    return [
        [
            NewJob(
                mint.mint(BEGAN),
                "work",
                BEGAN,
                max_attempts=scope.attempts,
                unique_key=f"key-{number}" if scope.keyed else None,
            )
            for number in range(scope.jobs)
        ]
        for _ in range(scope.enqueuers)
    ]


def _batches(scope: Scope, jobs: Sequence[NewJob]) -> list[Sequence[NewJob]]:
    return [jobs] if scope.batch else [(job,) for job in jobs]
