"""What enqueuers and workers of this process do, told to subscribers, who can neither stop nor slow them."""

import atexit
import logging
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from queue import SimpleQueue
from typing import Final, NamedTuple

from jobsim.core.decide import Decision
from jobsim.core.job import JobId, Lease, NewJob, WorkerId
from jobsim.core.time import Duration, Instant

BACKLOG: Final = 10_000
"""How many events wait for one subscriber; what comes then, it is not told."""

LONGEST: Final = 10_000
"""How many characters payloads and results may have that subscribers are told; many events may wait."""

LAST_WORDS_S: Final = 2.0
"""How long the end of a worker, a queue or the interpreter waits for those who are told of it."""

_log: Final = logging.getLogger("jobsim.telemetry")


class JobsEnqueued(NamedTuple):
    """Jobs were accepted by one call; those for which another stands, by its unique key, are not of them.

    Where the call joined a transaction of the caller's, that may still be undone.
    """

    at: Instant
    kind: str
    queue: str
    jobs: tuple[JobId, ...]


class AttemptClaimed(NamedTuple):
    """An attempt was claimed, and is about to start."""

    at: Instant
    lease: Lease

    @property
    def wait(self) -> Duration | None:
        """How long after its enqueue, delay included, the job was first claimed; `None` at a later try."""
        return Duration(max(0, self.at - self.lease.enqueued)) if self.lease.tries == 1 else None


class AttemptEnded(NamedTuple):
    """The end of an attempt was settled; or refused, if not `kept`: the lease had been lost before.

    `decision` is what the store has written, after budgets and breakers; or, if not `kept`, the worker's own.
    `took` is how long the handler ran: `None` where `worker` settled for
    another that was lost, or gave back what it was still running.
    """

    at: Instant
    worker: WorkerId
    lease: Lease
    decision: Decision
    took: Duration | None
    kept: bool


class LeaseLost(NamedTuple):
    """A lease could not be renewed; its attempt is stopped."""

    at: Instant
    lease: Lease


class StorageFailed(NamedTuple):
    """A call of the store failed; most are made again."""

    at: Instant
    worker: WorkerId
    call: str
    error: str


TelemetryEvent = JobsEnqueued | AttemptClaimed | AttemptEnded | LeaseLost | StorageFailed
Subscriber = Callable[[TelemetryEvent], object]


def enqueued(jobs: Sequence[NewJob], ids: Sequence[JobId], now: Instant) -> Iterator[JobsEnqueued]:
    """Yield what there is to tell of `jobs` for which a store has returned `ids`."""
    accepted = [job for job, given in zip(jobs, ids, strict=True) if job.id == given]
    for (kind, queue), some in groupby(accepted, key=lambda job: (job.kind, job.queue)):
        yield JobsEnqueued(now, kind, queue, tuple(job.id for job in some))


def briefly(lease: Lease) -> Lease:
    """Return `lease` without a payload that is too long to wait for a subscriber."""
    return lease._replace(payload="") if len(lease.payload) > LONGEST else lease


def in_brief(decision: Decision) -> Decision:
    """Return `decision` without a result that is too long."""
    return decision._replace(result=None) if len(decision.result or "") > LONGEST else decision


class Telemetry:
    """Tells subscribers what happens, each in a thread of its own, in order; false while there are none."""

    def __init__(self, backlog: int = BACKLOG) -> None:
        self._backlog = backlog
        self._deliveries: tuple[_Delivery, ...] = ()
        self._lock = threading.Lock()
        self._pid = os.getpid()

    def __bool__(self) -> bool:
        return bool(self._deliveries)

    def add(self, subscriber: Subscriber) -> None:
        """Tell `subscriber` from now on; once, however often it is added."""
        with self._lock:
            if not self._deliveries:
                atexit.register(self._last_words)
            if all(delivery.subscriber != subscriber for delivery in self._deliveries):
                self._deliveries = (*self._deliveries, _Delivery(subscriber, self._backlog))

    def tell(self, event: TelemetryEvent) -> None:
        """Tell all subscribers of `event`, without waiting for any; from any thread."""
        for delivery in self._deliveries:
            delivery.put(event)

    def flush(self, patience_s: float) -> bool:
        """Wait until subscribers have been told everything; `False` when `patience_s` seconds did not do."""
        marks = [delivery.mark() for delivery in self._deliveries]
        return all(mark.wait(patience_s) for mark in marks)

    def close(self) -> None:
        """Tell nobody anything any more; those who do not hang are told what was before."""
        self.flush(LAST_WORDS_S)
        atexit.unregister(self._last_words)
        with self._lock:
            deliveries, self._deliveries = self._deliveries, ()
        for delivery in deliveries:
            delivery.end()

    def _last_words(self) -> None:
        if self._pid == os.getpid():  # a fork has none of the threads that tell
            self.flush(LAST_WORDS_S)

    @property
    def dropped(self) -> int:
        """How many times a subscriber was not told of an event, as it was too slow."""
        return sum(delivery.dropped for delivery in self._deliveries)


class _Delivery:
    """The way to one subscriber; its errors, and what it was too slow for, are counted, and said once."""

    def __init__(self, subscriber: Subscriber, backlog: int) -> None:
        self.subscriber = subscriber
        self.dropped = 0
        self._failed = False
        self._backlog = backlog
        self._events: SimpleQueue[TelemetryEvent | threading.Event | None] = SimpleQueue()
        threading.Thread(target=self._deliver, name="jobsim-telemetry", daemon=True).start()

    def put(self, event: TelemetryEvent) -> None:
        """Let the subscriber be told of `event`, unless too many wait."""
        if self._events.qsize() < self._backlog:
            self._events.put(event)
            return
        self.dropped += 1
        if self.dropped == 1:
            _log.warning(
                "%r is too slow for what it is to be told; it misses events from now on", self.subscriber
            )

    def mark(self) -> threading.Event:
        """Return what is set once all events up to now are told."""
        mark = threading.Event()
        self._events.put(mark)
        return mark

    def end(self) -> None:
        """Let the thread end after what waits; one whose subscriber hangs ends with the interpreter."""
        self._events.put(None)

    def _deliver(self) -> None:
        while (event := self._events.get()) is not None:
            if isinstance(event, threading.Event):
                event.set()
            else:
                self._tell(event)

    def _tell(self, event: TelemetryEvent) -> None:
        try:
            self.subscriber(event)
        except BaseException:  # noqa: BLE001  # whatever it raises, be it SystemExit, the next event is told
            if not self._failed:
                self._failed = True
                _log.warning(
                    "%r failed; it is told of other events all the same", self.subscriber, exc_info=True
                )
