"""What the metrics say, against what was told and what is in the store."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from typing import NoReturn

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from jobsim.core.decide import SUCCESS, Decision, Why
from jobsim.core.errors import StorageUnavailable
from jobsim.core.job import JobId, Lease, WorkerId
from jobsim.core.time import MILLISECOND, SECOND, Duration, Instant
from jobsim.core.transitions import Kind
from jobsim.live.prometheus import PrometheusMetrics, _Standing
from jobsim.live.stores import Presence
from jobsim.live.telemetry import (
    AttemptClaimed,
    AttemptEnded,
    JobsEnqueued,
    LeaseLost,
    StorageFailed,
    Telemetry,
    TelemetryEvent,
)
from jobsim.queue import Queue
from jobsim.runtime.live import now
from jobsim.storage.memory import MemoryStorage
from jobsim.testing.conformance_base import SUCCEED as DONE
from jobsim.testing.conformance_base import add, claim, new, settle

MakeLease = Callable[..., Lease]

W = WorkerId("w")
NOW = Instant(10 * SECOND)
WORK = {"queue": "default", "kind": "work"}
RETRY = Decision(Kind.RETRY, Why("failed", "backoff", "ValueError: no"), NOW, Duration(4 * SECOND))
LOST = Decision(Kind.RETRY, Why("lost", "backoff"), NOW, Duration(0))
DEAD = Decision(Kind.DEAD_LETTER, Why("timed_out", "exhausted", "slow"))
TOOK = Duration(30 * MILLISECOND)


class Scene:
    """Metrics of a store in memory; `value` is what a scrape says of one."""

    def __init__(self) -> None:
        self.store = MemoryStorage()
        self.registry = CollectorRegistry()
        self.telemetry = Telemetry()
        self.metrics = PrometheusMetrics(self.registry, lambda: nullcontext(self.store), self.telemetry)

    def tell(self, *events: TelemetryEvent) -> None:
        for event in events:
            self.metrics(event)

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"jobsim_{name}", labels)


@pytest.fixture
def scene() -> Iterator[Scene]:
    scene = Scene()
    yield scene
    scene.telemetry.close()


def test_attempts_are_counted_by_how_they_ended(scene: Scene, lease: MakeLease) -> None:
    """Each settlement that was kept counts once; dead letters also by their reason."""
    ends = [(SUCCESS, TOOK), (SUCCESS, TOOK), (RETRY, TOOK), (DEAD, TOOK), (LOST, None)]
    scene.tell(*(AttemptEnded(NOW, W, lease(1), decision, took, kept=True) for decision, took in ends))
    outcomes = {"succeeded": 2, "failed": 1, "timed_out": 1, "lost": 1}
    assert {o: scene.value("attempts_total", outcome=o, **WORK) for o in outcomes} == outcomes
    assert scene.value("jobs_dead_lettered_total", reason="exhausted", **WORK) == 1
    assert scene.value("leases_expired_total", queue="default") == 1


def test_handlers_are_timed_where_that_was_seen(scene: Scene, lease: MakeLease) -> None:
    """The histogram has the attempts that ran here, in seconds, and the delays of retries another."""
    scene.tell(
        AttemptEnded(NOW, W, lease(1), RETRY, TOOK, kept=True),
        AttemptEnded(NOW, W, lease(1), LOST, None, kept=True),
    )
    assert scene.value("attempt_duration_seconds_count", **WORK) == 1
    assert scene.value("attempt_duration_seconds_sum", **WORK) == 0.03
    assert scene.value("attempt_duration_seconds_bucket", le="0.025", **WORK) == 0
    assert scene.value("attempt_duration_seconds_bucket", le="0.05", **WORK) == 1
    assert scene.value("retry_delay_seconds_sum", **WORK) == 4


def test_refused_settlements_are_no_attempts(scene: Scene, lease: MakeLease) -> None:
    """They are counted apart; two workers that bring back the same attempt refuse nothing of anybody's."""
    scene.tell(
        AttemptEnded(NOW, W, lease(1), SUCCESS, TOOK, kept=False),
        AttemptEnded(NOW, W, lease(1), LOST, None, kept=False),
    )
    assert scene.value("settlements_refused_total", **WORK) == 1
    assert scene.value("attempts_total", outcome="succeeded", **WORK) is None
    assert scene.value("leases_expired_total", queue="default") is None


def test_waits_enqueues_and_troubles_are_counted(scene: Scene, lease: MakeLease) -> None:
    """A job waits once, until its first claim; a batch counts with all its jobs."""
    scene.tell(
        JobsEnqueued(NOW, "work", "default", (JobId(1), JobId(2))),
        AttemptClaimed(NOW, lease(1)),
        AttemptClaimed(NOW, lease(1, attempt=2)),
        LeaseLost(NOW, lease(1)),
        StorageFailed(NOW, W, "exchange", "locked"),
    )
    assert scene.value("jobs_enqueued_total", **WORK) == 2
    assert scene.value("job_wait_seconds_count", **WORK) == 1
    assert scene.value("job_wait_seconds_sum", **WORK) == 10
    assert scene.value("leases_lost_total", queue="default") == 1
    assert scene.value("storage_errors_total", call="exchange") == 1


def test_a_scrape_looks_at_the_store(scene: Scene) -> None:
    """Jobs by queue and state, how late the oldest is, and which queues are paused, as it is just then."""
    late = Instant(now() - 100 * SECOND)
    add(
        scene.store,
        new(1),
        new(2, run_at=late, queue="mail"),
        new(3, run_at=Instant(late + SECOND), queue="mail"),
    )
    add(scene.store, new(4, run_at=Instant(now() + 100 * SECOND), queue="later"))
    [lease] = claim(scene.store)
    scene.store.pause("mail")
    assert scene.value("jobs", queue="default", state="running") == 1
    settle(scene.store, lease, DONE)
    assert scene.value("jobs", queue="default", state="running") == 0
    assert scene.value("jobs", queue="default", state="succeeded") == 1
    assert scene.value("jobs", queue="mail", state="pending") == 2
    age = scene.value("queue_latency_seconds", queue="mail")
    assert age is not None
    assert 100 <= age < 1000
    assert scene.value("queue_latency_seconds", queue="later") == 0
    assert scene.value("queue_paused", queue="mail") == 1
    assert scene.value("queue_paused", queue="default") == 0
    assert scene.value("store_up") == 1


def test_a_scrape_while_the_store_fails_says_so(lease: MakeLease) -> None:
    """What is counted is told all the same, and that nobody could look."""
    presence, registry = Presence(MemoryStorage()), CollectorRegistry()
    metrics = PrometheusMetrics(registry, presence.beside, presence.telemetry)
    presence.close()
    metrics(AttemptEnded(NOW, W, lease(1), SUCCESS, TOOK, kept=True))
    assert registry.get_sample_value("jobsim_store_up") == 0
    assert registry.get_sample_value("jobsim_jobs", {"queue": "default", "state": "pending"}) is None
    assert registry.get_sample_value("jobsim_attempts_total", {**WORK, "outcome": "succeeded"}) == 1


def test_a_look_that_takes_long_serves_later_scrapes(scene: Scene) -> None:
    """It is not made again before twenty times as long has passed, and how old it is is told."""
    time, takes, looks = [0], [SECOND], [0]

    @contextmanager
    def look() -> Iterator[MemoryStorage]:
        looks[0] += 1
        time[0] += takes[0]
        yield scene.store

    standing = _Standing(look, scene.telemetry, lambda: Instant(time[0]))

    def scrape() -> float:
        found = {metric.name: metric for metric in standing.collect()}
        return float(found["jobsim_store_age_seconds"].samples[0].value)

    assert [scrape(), looks[0]] == [0, 1]
    time[0] += 19 * SECOND
    assert [scrape(), looks[0]] == [19, 1]
    time[0] += SECOND
    takes[0] = 50 * MILLISECOND
    assert [scrape(), looks[0]] == [0, 2]
    assert [scrape(), looks[0]] == [0, 3]


def test_a_look_that_fails_late_serves_those_who_waited_for_it() -> None:
    """Scrapes that come while a server does not answer are answered together, and the next one looks."""
    time, looks = [0], [0]

    def look() -> NoReturn:
        looks[0] += 1
        time[0] += 10 * SECOND
        raise StorageUnavailable("it does not answer")

    with closing(Telemetry()) as telemetry:
        standing = _Standing(look, telemetry, lambda: Instant(time[0]))

        def scrape() -> float:
            found = {metric.name: metric for metric in standing.collect()}
            return float(found["jobsim_store_up"].samples[0].value)

        assert [scrape(), scrape(), looks[0]] == [0, 0, 1]
        time[0] += 10 * SECOND
        assert [scrape(), looks[0]] == [0, 2]


def test_no_label_is_unbounded(scene: Scene, lease: MakeLease) -> None:
    """Neither a job's id nor its error nor a worker's name is to be found in a scrape."""
    scene.tell(
        JobsEnqueued(NOW, "work", "default", (JobId(77),)),
        AttemptEnded(NOW, WorkerId("host:1:aa"), lease(77), RETRY, TOOK, kept=True),
        StorageFailed(NOW, W, "exchange", "locked by 4711"),
    )
    text = generate_latest(scene.registry).decode()
    for value in (str(JobId(77)), "ValueError", "host:1:aa", "4711"):
        assert value not in text


@pytest.mark.live
def test_workers_are_counted_while_they_work() -> None:
    """How many serve each queue, how many handlers they may run, and how many they do."""
    registry = CollectorRegistry()
    said = dict[str, float | None]()

    def scrape() -> None:
        value = registry.get_sample_value
        said.update(
            workers=value("jobsim_workers", {"queue": "default"}),
            slots=value("jobsim_worker_slots"),
            busy=value("jobsim_workers_busy"),
        )

    with Queue(MemoryStorage()) as queue:
        queue.export_metrics(registry)
        queue.job(name="work")(scrape).enqueue()
        queue.run_worker(burst=True, concurrency=3)
        assert said == {"workers": 1, "slots": 3, "busy": 1}
        scrape()
        assert said == {"workers": None, "slots": 0, "busy": 0}


@pytest.mark.live
def test_a_worker_is_counted() -> None:
    """A queue's metrics tell what it has enqueued, and how its workers' attempts ended."""
    registry = CollectorRegistry()
    with Queue(MemoryStorage()) as queue:
        queue.export_metrics(registry)
        queue.job(name="work")(lambda: None).enqueue()
        queue.run_worker(burst=True)
        assert registry.get_sample_value("jobsim_jobs_enqueued_total", WORK) == 1
        assert registry.get_sample_value("jobsim_attempts_total", {**WORK, "outcome": "succeeded"}) == 1
        assert registry.get_sample_value("jobsim_jobs", {"queue": "default", "state": "succeeded"}) == 1
