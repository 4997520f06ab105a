"""A worker's store and executor, observed: what the engine does with them is told as it happens.

The engine knows nothing of that, so that one which nobody watches, or a simulated one, pays nothing for it.
"""

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar, TypeVarTuple, cast

from jobsim.core.decide import Decision, Settlement
from jobsim.core.errors import IdTaken, StorageError
from jobsim.core.job import JobId, Lease, NewJob, WorkerId
from jobsim.core.limits import Lane, Scope
from jobsim.core.outcome import Outcome
from jobsim.core.time import Duration, Instant
from jobsim.core.transitions import Kind
from jobsim.live.telemetry import (
    AttemptClaimed,
    AttemptEnded,
    LeaseLost,
    StorageFailed,
    Telemetry,
    briefly,
    enqueued,
    in_brief,
)
from jobsim.live.tracing import Tracer, sent
from jobsim.storage.base import Storage
from jobsim.worker.executor import Executor

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

Times = dict[tuple[int, int], Duration]
"""How long handlers took whose attempts are not settled yet, by key and token."""

_FALLIBLE: Final = ("expired", "prune")
"""Calls of which a worker tells only where they fail."""


_WRITTEN: Final = (Kind.RETRY, Kind.DEAD_LETTER)
"""What becomes of a decision to retry where budgets or breakers are in force."""


def _scopes(lease: Lease) -> tuple[Scope, Scope]:
    return Lane(lease.queue, lease.kind, "").scopes


def observed(
    storage: Storage,
    executor: Executor,
    worker: WorkerId,
    telemetry: Telemetry,
    now: Callable[[], Instant],
    tracer: Tracer | None = None,
) -> tuple[Storage, Executor]:
    """Return `storage` and `executor` for the use of `worker`, of which `telemetry` then tells.

    `tracer` is told of the jobs of schedules.
    """
    times: Times = {}
    watched = cast("Storage", _Observed(storage, worker, telemetry, now, times, tracer))
    return watched, _Timed(executor, now, times)


class _Timed:
    """Takes the time of attempts."""

    def __init__(self, executor: Executor, now: Callable[[], Instant], times: Times) -> None:
        self._executor = executor
        self._now = now
        self._times = times

    async def execute(self, lease: Lease) -> Outcome:
        """Run the attempt, and return how it ended."""
        began = self._now()
        outcome = await self._executor.execute(lease)
        self._times[lease.key, lease.token] = Duration(max(0, self._now() - began))
        return outcome

    def abandon(self, lease: Lease) -> None:
        """Stop the attempt, if that is possible."""
        self._executor.abandon(lease)


class _Observed:
    """Tells what comes of a worker's calls, once that is committed."""

    def __init__(
        self,
        storage: Storage,
        worker: WorkerId,
        telemetry: Telemetry,
        now: Callable[[], Instant],
        times: Times,
        tracer: Tracer | None,
    ) -> None:
        self._storage = storage
        self._tracer = tracer
        self._worker = worker
        self._telemetry = telemetry
        self._now = now
        self._times = times

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._storage, name)
        return (lambda *args: self._made(name, method, *args)) if name in _FALLIBLE else method

    def enqueue(self, jobs: Sequence[NewJob], now: Instant) -> list[JobId]:
        """Accept jobs: those of schedules."""
        ids = sent(self._tracer, jobs, lambda jobs: self._made("enqueue", self._storage.enqueue, jobs, now))
        for event in enqueued(jobs, ids, now):
            self._telemetry.tell(event)
        return ids

    def exchange(
        self,
        settlements: Sequence[Settlement],
        worker: WorkerId,
        queues: Sequence[str],
        limit: int,
        lease: Duration,
        now: Instant,
    ) -> tuple[list[bool], list[Lease], Instant | None]:
        """Settle, then claim."""
        exchange = self._storage.exchange
        told = self._made("exchange", exchange, settlements, worker, queues, limit, lease, now)
        settled, leases, _ = told
        self._ended(settlements, settled, now)
        for each in leases:
            self._telemetry.tell(AttemptClaimed(now, briefly(each)))
        return told

    def settle(self, settlements: Sequence[Settlement], now: Instant) -> list[bool]:
        """Write what became of finished attempts."""
        settled = self._made("settle", self._storage.settle, settlements, now)
        self._ended(settlements, settled, now)
        return settled

    def extend(self, leases: Sequence[Lease], until: Instant, now: Instant) -> set[JobId]:
        """Let leases last longer."""
        kept = self._made("extend", self._storage.extend, leases, until, now)
        for lease in leases:
            if lease.id not in kept:
                self._telemetry.tell(LeaseLost(now, briefly(lease)))
        return kept

    def _ended(self, settlements: Sequence[Settlement], settled: Sequence[bool], now: Instant) -> None:
        guarded = self._guarded(settlements)
        for (lease, decision), kept in zip(settlements, settled, strict=True):
            took = self._times.pop((lease.key, lease.token), None)
            if kept and decision.kind is Kind.RETRY and any(scope in guarded for scope in _scopes(lease)):
                decision = self._as_written(lease, decision)  # noqa: PLW2901  # it stands for that
            about = briefly(lease), in_brief(decision)
            self._telemetry.tell(AttemptEnded(now, self._worker, *about, took, kept))

    def _guarded(self, settlements: Sequence[Settlement]) -> Collection[Scope]:
        """Return the scopes whose budgets and breakers have had a say about retries among `settlements`."""
        if any(decision.kind is Kind.RETRY for _, decision in settlements):
            with suppress(StorageError):
                return self._storage.tallies().keys()
        return frozenset()

    def _as_written(self, lease: Lease, decision: Decision) -> Decision:
        """Return what the store has written for `decision`, after budgets and breakers; or that, unseen."""
        with suppress(StorageError):
            for event in self._storage.events(job=lease.id):
                if event.token == lease.token and event.kind in _WRITTEN:
                    delay = decision.delay if event.due is None else Duration(event.due - event.at)
                    return decision._replace(kind=event.kind, why=event.why, due=event.due, delay=delay)
        return decision

    def _made(self, name: str, call: Callable[[*Ts], T], *args: *Ts) -> T:
        try:
            return call(*args)
        except IdTaken:  # the tick of a schedule that another worker was faster to enqueue
            raise
        except StorageError as error:
            self._telemetry.tell(StorageFailed(self._now(), self._worker, name, str(error)))
            raise
