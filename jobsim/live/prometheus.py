"""Prometheus metrics (extra ``metrics``): what this process does, and how the store stands at a scrape.

No label has an unbounded number of values: none is a job's id, a worker's name or an error's text.
"""

import threading
from collections import Counter as Counts
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final, assert_never

from prometheus_client import CollectorRegistry, Counter, Histogram, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from jobsim.core.decide import LOST
from jobsim.core.errors import StorageError
from jobsim.core.time import MILLISECOND, SECOND, Duration, Instant
from jobsim.core.transitions import Kind
from jobsim.live.stores import present
from jobsim.live.telemetry import (
    AttemptClaimed,
    AttemptEnded,
    JobsEnqueued,
    LeaseLost,
    StorageFailed,
    Telemetry,
    TelemetryEvent,
)
from jobsim.live.worker import LiveWorker
from jobsim.runtime.live import elapsed
from jobsim.storage.base import Storage

LOOPBACK: Final = "127.0.0.1"

_DURATIONS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800)
"""Upper ends of buckets, in seconds: those of OpenTelemetry's conventions, and some for long jobs."""

_WAITS: Final = (*_DURATIONS, 7_200, 43_200)

_QUICK: Final = Duration(50 * MILLISECOND)
"""A look at the store that took no longer is made for every scrape."""

_REST: Final = 20
"""After one that took longer, how many times as long there is none: looking takes 5 % of the time at most."""

Look = Callable[[], AbstractContextManager[Storage]]
"""Gives the store for a look at it that may take long."""


class PrometheusMetrics:
    """A subscriber that counts what it is told, and has a look at the store, by `look`, at each scrape."""

    def __init__(
        self,
        registry: CollectorRegistry,
        look: Look,
        telemetry: Telemetry,
        workers: Callable[[], Iterable[object]] = tuple,
    ) -> None:
        def counter(name: str, about: str, *labels: str) -> Counter:
            return Counter(f"jobsim_{name}", about, labels, registry=registry)

        def histogram(name: str, about: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(f"jobsim_{name}_seconds", about, labels, buckets=buckets, registry=registry)

        where = ("queue", "kind")
        self._enqueued = counter("jobs_enqueued_total", "Jobs that this process has enqueued.", *where)
        self._attempts = counter(
            "attempts_total", "Attempts that this process has settled.", *where, "outcome"
        )
        self._dead = counter(
            "jobs_dead_lettered_total",
            "Dead letters that this process has written.",
            *where,
            "reason",
        )
        self._refused = counter(
            "settlements_refused_total", "Attempts whose end came too late: the lease was lost.", *where
        )
        self._expired = counter(
            "leases_expired_total", "Attempts of lost workers that this process has brought back.", "queue"
        )
        self._lost = counter(
            "leases_lost_total", "Leases that could not be renewed: cancelled or taken over.", "queue"
        )
        self._errors = counter("storage_errors_total", "Calls of the store that failed.", "call")
        self._took = histogram("attempt_duration", "How long handlers ran.", _DURATIONS, *where)
        self._waited = histogram(
            "job_wait", "From a job's enqueue, delay included, to its first claim.", _WAITS, *where
        )
        self._delays = histogram("retry_delay", "How long retries were put off.", _WAITS, *where)
        registry.register(_Workers(workers))
        registry.register(_Standing(look, telemetry))

    def __call__(self, event: TelemetryEvent) -> None:
        """Count `event`."""
        match event:
            case JobsEnqueued(_, kind, queue, jobs):
                self._enqueued.labels(queue, kind).inc(len(jobs))
            case AttemptClaimed(_, lease):
                if event.wait is not None:
                    self._waited.labels(lease.queue, lease.kind).observe(event.wait / SECOND)
            case AttemptEnded():
                self._ended(event)
            case LeaseLost(_, lease):
                self._lost.labels(lease.queue).inc()
            case StorageFailed(call=call):
                self._errors.labels(call).inc()
            case _:
                assert_never(event)

    def _ended(self, event: AttemptEnded) -> None:
        where, decision = (event.lease.queue, event.lease.kind), event.decision
        if event.took is not None:
            self._took.labels(*where).observe(event.took / SECOND)
        if not event.kept:
            # Of a lost attempt, another worker was faster to bring it back: nothing came too late.
            if decision.why.outcome != LOST:
                self._refused.labels(*where).inc()
            return
        self._attempts.labels(*where, decision.why.outcome).inc()
        if decision.why.outcome == LOST:
            self._expired.labels(event.lease.queue).inc()
        if decision.kind is Kind.RETRY:
            self._delays.labels(*where).observe(decision.delay / SECOND)
        elif decision.kind is Kind.DEAD_LETTER:
            self._dead.labels(*where, decision.why.reason).inc()


class _Workers(Collector):
    """What the workers of this process have to do."""

    def __init__(self, workers: Callable[[], Iterable[object]]) -> None:
        self._workers = workers

    def describe(self) -> Iterable[Metric]:
        """Return nothing, as the store's does."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        working = [worker for worker in self._workers() if isinstance(worker, LiveWorker) and worker.working]
        serving = Counts((queue,) for worker in working for queue in worker.settings.queues)
        slots = sum(worker.settings.slots for worker in working)
        yield _gauge("workers", "Workers of this process that serve a queue.", ("queue",), serving)
        yield _gauge("worker_slots", "How many handlers they may run at a time.", (), {(): slots})
        busy = sum(worker.busy for worker in working)
        yield _gauge("workers_busy", "How many handlers they run.", (), {(): busy})


class _Standing(Collector):
    """How the store stands, looked at for a scrape.

    A look counts all jobs. One that took long serves the scrapes that come soon after it, so that looking
    takes no more than a small share of the time, however often that is asked for.
    """

    def __init__(self, look: Look, telemetry: Telemetry, elapsed: Callable[[], Instant] = elapsed) -> None:
        self._look = look
        self._telemetry = telemetry
        self._elapsed = elapsed
        self._lock = threading.Lock()
        self._found: list[Metric] = []
        self._seen = self._again = Instant(0)

    def describe(self) -> Iterable[Metric]:
        """Return nothing: to be registered, it need not look."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        yield _gauge("build_info", "The version of jobsim.", ("version",), {(_version(),): 1})
        dropped = CounterMetricFamily(
            "jobsim_telemetry_dropped", "Events that subscribers were too slow to be told."
        )
        dropped.add_metric((), self._telemetry.dropped)
        yield dropped
        with self._lock:
            found, age = self._fresh()
        yield _gauge("store_up", "Whether the store could be looked at.", (), {(): bool(found)})
        if found:
            yield _gauge("store_age_seconds", "How long ago that was.", (), {(): age / SECOND})
        yield from found

    def _fresh(self) -> tuple[list[Metric], Duration]:
        """Return what was found at the last look that is young enough, and how old that is."""
        began = self._elapsed()
        if began >= self._again:
            try:
                self._found = list(self._seen_now())
            except StorageError:
                self._found = []
            self._seen = self._elapsed()
            took = self._seen - began
            # One that failed serves those who have waited for it: each would wait as long, one after another.
            rest = (_REST if self._found else 1) * took
            self._again = Instant(self._seen + (rest if took > _QUICK else 0))
        return self._found, Duration(self._elapsed() - self._seen)

    def _seen_now(self) -> Iterator[Metric]:
        with self._look() as store:
            depths, paused, now = store.depths(), store.paused(), present(store)
        jobs = {
            (queue, state.value): number
            for queue, depth in depths.items()
            for state, number in depth.counts.items()
        }
        ages = {
            (queue,): max(0, now - depth.oldest) / SECOND if depth.oldest is not None else 0
            for queue, depth in depths.items()
        }
        stopped = {(queue,): queue in paused for queue in {*depths, *paused}}
        yield _gauge("jobs", "Jobs in each state.", ("queue", "state"), jobs)
        yield _gauge(
            "queue_latency_seconds", "How long ago the first of those that wait was due.", ("queue",), ages
        )
        yield _gauge("queue_paused", "Whether a queue is paused.", ("queue",), stopped)


def _gauge(name: str, about: str, labels: tuple[str, ...], values: Mapping[Any, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"jobsim_{name}", about, labels=labels)
    for place, value in sorted(values.items()):
        family.add_metric(place, value)
    return family


def _version() -> str:
    try:
        return version("jobsim")
    except PackageNotFoundError:
        return "unknown"


def serve(registry: CollectorRegistry, port: int) -> Callable[[], None]:
    """Serve the metrics on a port that this machine alone can reach; return what ends that.

    Raises:
        OSError: the port is taken, or not to be had.
    """
    server, thread = start_http_server(port, LOOPBACK, registry)

    def end() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return end
