"""Planted bugs met by the explorer of interleavings: which it finds, after how many states."""

from collections.abc import Callable, Sequence
from time import perf_counter  # noqa: TID251  # the table of bugs says how long it took
from typing import Any, Final, NamedTuple

from jobsim.core.decide import Settlement
from jobsim.core.job import JobId, Lease, NewJob, WorkerId
from jobsim.core.time import Duration, Instant
from jobsim.core.transitions import FINAL
from jobsim.storage.base import Storage
from jobsim.testing.interleaving import Course, Scope, directly, explore
from jobsim.testing.interleaving_process import Through

SCOPES: Final = (
    Scope(workers=1, enqueuers=2, jobs=2, attempts=1, ticks=0, batch=True, keyed=True, failures=1),
    Scope(workers=2, attempts=2, ticks=3),
)
"""The smallest first."""


class Explored(NamedTuple):
    """That a bug was found: after how many `states`, in what time, and by which schedule."""

    states: int
    seconds: float
    course: Course


def explorer_finds(
    open_storage: Callable[[], Storage], through: Through = directly, most: int = 10_000
) -> Explored | None:
    """Explore one scope after the other, each up to `most` states, until something is found."""
    began, states = perf_counter(), 0
    for scope in SCOPES:
        result = explore(scope, open_storage, through=through, most=most)
        states += result.states
        if result.found is not None:
            return Explored(states, perf_counter() - began, result.found)
    return None


class LookThenAct:
    """A client that looks whether it may act, and acts afterwards: each in a transaction of its own."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def enqueue(self, jobs: Sequence[NewJob], now: Instant) -> list[JobId]:
        """Accept jobs whose unique key nobody holds."""
        held = {job.unique_key: job.id for job in self._storage.find() if job.state not in FINAL}
        new = [job for job in jobs if job.unique_key is None or job.unique_key not in held]
        accepted = iter(self._storage.enqueue(new, now)) if new else iter(())
        return [next(accepted) if job in new else held[job.unique_key] for job in jobs]

    def exchange(
        self,
        settlements: Sequence[Settlement],
        worker: WorkerId,
        queues: Sequence[str],
        limit: int,
        lease: Duration,
        now: Instant,
    ) -> tuple[list[bool], list[Lease], Instant | None]:
        """Settle what is still held, and claim."""
        good = [self._holds(settlement.lease) for settlement in settlements]
        kept = [settlement for settlement, held in zip(settlements, good, strict=True) if held]
        settled, leases, due = self._storage.exchange(kept, worker, queues, limit, lease, now)
        answers = iter(settled)
        return [held and next(answers) for held in good], leases, due

    def extend(self, leases: Sequence[Lease], until: Instant, now: Instant) -> set[JobId]:
        """Let leases last longer that are still held."""
        kept = [lease for lease in leases if self._holds(lease)]
        return self._storage.extend(kept, until, now) if kept else set()

    def _holds(self, lease: Lease) -> bool:
        job = self._storage.get(lease.id)
        return job is not None and job.lease_until is not None and job.token == lease.token
