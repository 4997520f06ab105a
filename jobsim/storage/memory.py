"""The store in memory: for tests and demonstrations. Same contract; it lasts as long as the process."""

from collections.abc import Iterator, Mapping, Sequence
from threading import Lock

from jobsim.core.decide import Settlement
from jobsim.core.events import Event, EventLog
from jobsim.core.guards import Tally
from jobsim.core.job import Job, JobId, Lease, NewJob, QueueDepth, State, WorkerId
from jobsim.core.limits import Limit, Scope
from jobsim.core.time import Duration, Instant
from jobsim.storage.memory_book import Book


class MemoryStorage:
    """Jobs in this process's memory; `log` holds every event. See `storage.base` for the contract."""

    def __init__(self) -> None:
        self._book = Book()
        self._lock = Lock()

    @property
    def log(self) -> EventLog:
        """All that has happened, to jobs that were pruned too."""
        return self._book.log

    def enqueue(self, jobs: Sequence[NewJob], now: Instant) -> list[JobId]:
        """Accept `jobs`, all or none, and return their ids in order."""
        with self._lock:
            return self._book.enqueue(jobs, now)

    def claim(
        self, worker: WorkerId, queues: Sequence[str], limit: int, lease: Duration, now: Instant
    ) -> list[Lease]:
        """Give `worker` up to `limit` due jobs of `queues`, each under a lease until `now + lease`."""
        with self._lock:
            return self._book.claim(worker, queues, limit, lease, now)

    def settle(self, settlements: Sequence[Settlement], now: Instant) -> list[bool]:
        """Write what became of finished attempts; `False` where the lease was no longer held."""
        with self._lock:
            return self._book.settle(settlements, now)

    def exchange(
        self,
        settlements: Sequence[Settlement],
        worker: WorkerId,
        queues: Sequence[str],
        limit: int,
        lease: Duration,
        now: Instant,
    ) -> tuple[list[bool], list[Lease], Instant | None]:
        """Settle, then claim, in one transaction; return what `settle`, `claim` and `next_due` would."""
        with self._lock:
            return self._book.exchange(settlements, worker, queues, limit, lease, now)

    def extend(self, leases: Sequence[Lease], until: Instant, now: Instant) -> set[JobId]:
        """Let `leases` last until `until`, never less than before; return the ids still held."""
        with self._lock:
            return self._book.extend(leases, until, now)

    def expired(self, limit: int, now: Instant, after: int = 0) -> list[Lease]:
        """Return up to `limit` leases that ended before `now`, by `Lease.key`, those above `after`."""
        with self._lock:
            return self._book.expired(limit, now, after)

    def next_due(self, queues: Sequence[str]) -> Instant | None:
        """Return when the next waiting job of `queues` can be claimed, by its `run_at` and by its rate."""
        with self._lock:
            return self._book.next_due(queues)

    def requeue(self, ids: Sequence[JobId], now: Instant) -> list[bool]:
        """Make jobs pending, due now, with a new budget; `False` where that is not possible."""
        with self._lock:
            return self._book.requeue(ids, now)

    def set_limits(self, limits: Mapping[Scope, Limit]) -> None:
        """Put limits in force, each in the place of its scope's own; one that limits nothing removes that."""
        with self._lock:
            self._book.set_limits(limits)

    def limits(self) -> dict[Scope, Limit]:
        """Return the limits in force."""
        with self._lock:
            return self._book.limits()

    def tallies(self) -> dict[Scope, Tally]:
        """Return how the budgets and breakers in force stand, of those scopes where an attempt has ended."""
        with self._lock:
            return self._book.tallies()

    def pause(self, queue: str) -> bool:
        """Have no job of `queue` claimed any more; `False` where it is paused already."""
        with self._lock:
            return self._book.pause(queue)

    def resume(self, queue: str) -> bool:
        """Let jobs of `queue` be claimed again; `False` where it is not paused."""
        with self._lock:
            return self._book.resume(queue)

    def paused(self) -> set[str]:
        """Return the queues that are paused."""
        with self._lock:
            return self._book.paused()

    def prune(self, states: Sequence[State], before: Instant, limit: int) -> int:
        """Remove up to `limit` jobs that ended `before` in one of `states`, and return how many."""
        with self._lock:
            return self._book.prune(states, before, limit)

    def cancel(self, ids: Sequence[JobId], now: Instant, reason: str = "") -> list[bool]:
        """Cancel jobs that are not final, and discard dead letters; `False` where not possible."""
        with self._lock:
            return self._book.cancel(ids, now, reason)

    def get(self, job: JobId) -> Job | None:
        """Return the job, or `None`."""
        with self._lock:
            return self._book.get(job)

    def get_many(self, jobs: Sequence[JobId]) -> list[Job | None]:
        """Return what `get` would of each of `jobs`, all as they are at one moment."""
        with self._lock:
            return self._book.get_many(jobs)

    def find(
        self,
        *,
        states: Sequence[State] = (),
        kind: str | None = None,
        queue: str | None = None,
        limit: int | None = None,
    ) -> list[Job]:
        """Return jobs in the order they were enqueued; nothing given filters nothing."""
        with self._lock:
            return self._book.find(states=states, kind=kind, queue=queue, limit=limit)

    def counts(self) -> dict[State, int]:
        """Return the number of jobs in every state."""
        with self._lock:
            return self._book.counts()

    def depths(self) -> dict[str, QueueDepth]:
        """Return how many jobs there are on each queue that has any, of every state."""
        with self._lock:
            return self._book.depths()

    def events(self, after: int = 0, job: JobId | None = None) -> Iterator[Event]:
        """Yield events with `seq` above `after`, oldest first; of one `job` only, where given."""
        with self._lock:  # whole: reading it joins what others would be adding to
            events = list(self._book.events(after, job))
        yield from events

    def close(self) -> None:
        """Do nothing: there is nothing to let go of."""
