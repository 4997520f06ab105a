"""Any store, with faults: what a process sees whose store, or whose way to it, fails now and then."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NoReturn, TypeVar

from jobsim.core.decide import Settlement
from jobsim.core.errors import PowerLost, StorageBroken, StorageBusy, StorageFull, StorageUnavailable
from jobsim.core.events import Event
from jobsim.core.guards import Tally
from jobsim.core.job import Job, JobId, Lease, NewJob, QueueDepth, State, WorkerId
from jobsim.core.limits import Limit, Scope
from jobsim.core.time import Duration, Instant
from jobsim.storage.base import Inspectable, Storage, Timekeeper, Watchable
from jobsim.storage.troubles import NO_TROUBLES, Mishap, Trouble, Troubles

T = TypeVar("T")

_UNSURE: Final = 16
"""How many calls without a reply are remembered, in case they are made again."""

_SETTINGS: Final = ("set_limits", "pause", "resume")
"""What is put in force again where the reply was lost: another may have taken its place since."""

_ERRORS: Final = {
    Mishap.BUSY: (StorageBusy, "others hold the store's lock; nothing of the call was kept"),
    Mishap.FULL: (StorageFull, "the disk is full; nothing of the call was kept"),
    Mishap.UNREACHABLE: (StorageUnavailable, "it cannot be reached; nothing of the call was kept"),
    Mishap.LOST_REPLY: (
        StorageUnavailable,
        "the connection was lost during a commit, and nobody knows whether it was kept; make the call again",
    ),
    Mishap.BROKEN: (StorageBroken, "the disk did not confirm a write; nobody knows whether it was kept"),
}
_UNKEPT: Final = {Mishap.BUSY, Mishap.FULL, Mishap.UNREACHABLE}


def lose_power() -> NoReturn:
    """End the simulated machine that makes the call.

    Raises:
        PowerLost: always; `jobsim.runtime.machine.Machine` dies of it.
    """
    raise PowerLost


def _no_time(length: Duration) -> None:
    """Let no time pass."""


class FaultyStorage:
    """`storage` as one process sees it; `troubles` says of every call what befalls it.

    It keeps the contract of `storage.base` under every mishap. `sleep` passes the time that calls take
    beside (without it they take none), `crash` ends the caller: in a live process it may be `os.abort`.
    """

    def __init__(
        self,
        storage: Storage,
        troubles: Troubles = NO_TROUBLES,
        *,
        sleep: Callable[[Duration], None] = _no_time,
        crash: Callable[[], NoReturn] = lose_power,
    ) -> None:
        self._storage = storage
        self._troubles = troubles
        self._sleep = sleep
        self._crash = crash
        self._unsure: deque[tuple[tuple[Any, ...], Any]] = deque(maxlen=_UNSURE)
        if isinstance(storage, Watchable):
            self.watch = storage.watch
        if isinstance(storage, Timekeeper):
            self.clock = lambda: self._read("clock", storage.clock)
        if isinstance(storage, Inspectable):
            self.settings = lambda: self._read("settings", storage.settings)

    def enqueue(self, jobs: Sequence[NewJob], now: Instant) -> list[JobId]:
        """Accept `jobs`, all or none, and return their ids in order."""
        return self._write(("enqueue", jobs), lambda: self._storage.enqueue(jobs, now))

    def claim(
        self, worker: WorkerId, queues: Sequence[str], limit: int, lease: Duration, now: Instant
    ) -> list[Lease]:
        """Give `worker` up to `limit` due jobs of `queues`, each under a lease until `now + lease`."""
        call = ("claim", worker, queues, limit, lease)
        return self._write(call, lambda: self._storage.claim(worker, queues, limit, lease, now))

    def settle(self, settlements: Sequence[Settlement], now: Instant) -> list[bool]:
        """Write what became of finished attempts; `False` where the lease was no longer held."""
        return self._write(("settle", settlements), lambda: self._storage.settle(settlements, now))

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
        call = ("exchange", settlements, worker, queues, limit, lease)
        return self._write(
            call, lambda: self._storage.exchange(settlements, worker, queues, limit, lease, now)
        )

    def extend(self, leases: Sequence[Lease], until: Instant, now: Instant) -> set[JobId]:
        """Let `leases` last until `until`, never less than before; return the ids still held."""
        return self._write(("extend", leases, until), lambda: self._storage.extend(leases, until, now))

    def expired(self, limit: int, now: Instant, after: int = 0) -> list[Lease]:
        """Return up to `limit` leases that ended before `now`, by `Lease.key`, those above `after`."""
        return self._read("expired", lambda: self._storage.expired(limit, now, after))

    def next_due(self, queues: Sequence[str]) -> Instant | None:
        """Return when the next waiting job of `queues` can be claimed, by its `run_at` and by its rate."""
        return self._read("next_due", lambda: self._storage.next_due(queues))

    def requeue(self, ids: Sequence[JobId], now: Instant) -> list[bool]:
        """Make jobs that wait, and dead letters, pending and due now; `False` where that is not possible."""
        return self._write(("requeue", ids), lambda: self._storage.requeue(ids, now))

    def set_limits(self, limits: Mapping[Scope, Limit]) -> None:
        """Put limits in force, each in the place of its scope's own; one that limits nothing removes that."""
        self._write(("set_limits", limits), lambda: self._storage.set_limits(limits))

    def limits(self) -> dict[Scope, Limit]:
        """Return the limits in force."""
        return self._read("limits", self._storage.limits)

    def tallies(self) -> dict[Scope, Tally]:
        """Return how the budgets and breakers in force stand, of those scopes where an attempt has ended."""
        return self._read("tallies", self._storage.tallies)

    def pause(self, queue: str) -> bool:
        """Have no job of `queue` claimed any more; `False` where it is paused already."""
        return self._write(("pause", queue), lambda: self._storage.pause(queue))

    def resume(self, queue: str) -> bool:
        """Let jobs of `queue` be claimed again; `False` where it is not paused."""
        return self._write(("resume", queue), lambda: self._storage.resume(queue))

    def paused(self) -> set[str]:
        """Return the queues that are paused."""
        return self._read("paused", self._storage.paused)

    def prune(self, states: Sequence[State], before: Instant, limit: int) -> int:
        """Remove up to `limit` jobs that ended `before` in one of `states`, and return how many."""
        call = ("prune", states, before, limit)
        return self._write(call, lambda: self._storage.prune(states, before, limit))

    def cancel(self, ids: Sequence[JobId], now: Instant, reason: str = "") -> list[bool]:
        """Cancel jobs that are not final, and discard dead letters; `False` where not possible."""
        return self._write(("cancel", ids, reason), lambda: self._storage.cancel(ids, now, reason))

    def get(self, job: JobId) -> Job | None:
        """Return the job, or `None`."""
        return self._read("get", lambda: self._storage.get(job))

    def get_many(self, jobs: Sequence[JobId]) -> list[Job | None]:
        """Return what `get` would of each of `jobs`, all as they are at one moment."""
        return self._read("get", lambda: self._storage.get_many(jobs))

    def find(
        self,
        *,
        states: Sequence[State] = (),
        kind: str | None = None,
        queue: str | None = None,
        limit: int | None = None,
    ) -> list[Job]:
        """Return jobs in the order they were enqueued; nothing given filters nothing."""
        return self._read(
            "find", lambda: self._storage.find(states=states, kind=kind, queue=queue, limit=limit)
        )

    def counts(self) -> dict[State, int]:
        """Return the number of jobs in every state."""
        return self._read("counts", self._storage.counts)

    def depths(self) -> dict[str, QueueDepth]:
        """Return how many jobs there are on each queue that has any, of every state."""
        return self._read("depths", self._storage.depths)

    def events(self, after: int = 0, job: JobId | None = None) -> Iterator[Event]:
        """Yield events with `seq` above `after`, oldest first; of one `job` only, where given."""
        return self._read("events", lambda: self._storage.events(after, job))

    def close(self) -> None:
        """Let go of files and connections; no trouble is in the way."""
        self._storage.close()

    def _read(self, name: str, work: Callable[[], T]) -> T:
        """Make a call that changes nothing."""
        trouble = self._troubles(name)
        return work() if trouble is None else self._troubled(trouble, work, lambda _: None)

    def _write(self, call: tuple[Any, ...], work: Callable[[], T]) -> T:
        """Make a call, unless it is one that was made before and whose reply was lost.

        `call` is what makes it the same: its name and its arguments, but for the time.
        """
        trouble = self._troubles(call[0])
        if self._unsure:
            work = self._remembering(call, work)
        if trouble is None:
            return work()
        return self._troubled(trouble, work, lambda answer: self._unsure.append((call, answer)))

    def _remembering(self, call: tuple[Any, ...], work: Callable[[], T]) -> Callable[[], T]:
        def remembered() -> T:
            for unsure in list(self._unsure):
                if unsure[0] == call:
                    self._unsure.remove(unsure)
                    answer: T = unsure[1]
                    return work() or answer if call[0] in _SETTINGS else answer
            return work()

        return remembered

    def _troubled(self, trouble: Trouble, work: Callable[[], T], lost: Callable[[T], None]) -> T:
        """Make a call that `trouble` befalls; an answer that is `lost` is handed to that."""
        mishap, takes = trouble
        if mishap is None or mishap in _UNKEPT:
            self._sleep(takes)
        if mishap in _UNKEPT:
            _fail(mishap)
        if mishap is Mishap.DIES_BEFORE:
            self._crash()
        answer = work()
        if mishap is None:
            return answer
        if mishap is Mishap.DIES_AFTER:
            self._crash()
        if mishap is Mishap.LOST_REPLY:
            lost(answer)
        self._sleep(takes)
        return _fail(mishap)


def _fail(mishap: Mishap) -> NoReturn:
    """Raise the error that a caller sees.

    Raises:
        StorageError: it, of the class that goes with `mishap`.
    """
    error, text = _ERRORS[mishap]
    raise error(f"injected fault: {text}")
