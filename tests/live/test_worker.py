"""A worker in this process: what wakes it, what stops it, and what cannot hold it up."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jobsim.core.errors import StorageError
from jobsim.core.job import JobId, State
from jobsim.core.transitions import Kind
from jobsim.live.context import current_job
from jobsim.live.telemetry import AttemptEnded, JobsEnqueued, TelemetryEvent
from jobsim.live.worker import LiveWorker
from jobsim.queue import Queue
from jobsim.runtime.live import now
from jobsim.storage.memory import MemoryStorage

pytestmark = pytest.mark.live

PATIENCE_S = 60.0


@pytest.fixture(params=["memory", "sqlite"])
def queue(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Queue]:
    """Return a queue in memory, and one in a file."""
    where = MemoryStorage() if request.param == "memory" else f"sqlite:///{tmp_path}/jobs.db"
    with Queue(where) as queue:
        yield queue


def until(condition: Callable[[], object]) -> None:
    """Wait until `condition` holds; the test's own time limit ends a vain wait."""
    while not condition():
        time.sleep(0.002)  # noqa: TID251  # threads of the worker are at it


def kinds(queue: Queue, job: JobId) -> list[Kind]:
    """Return what happened to a job."""
    return [event.kind for event in queue.storage.events(job=job)]


def stopped(worker: LiveWorker, *, at_once: bool = False) -> None:
    """Stop `worker` and wait for its end."""
    worker.stop(at_once=at_once)
    assert worker.wait(PATIENCE_S)


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_a_handler_that_blocks_keeps_its_lease(queue: Queue, is_async: bool) -> None:
    """A handler that blocks its thread or its loop for longer than a lease is not taken for dead."""

    def block() -> None:
        time.sleep(1)  # noqa: TID251  # as a handler might

    async def block_loop() -> None:
        block()

    job = queue.job(name="block")(block_loop if is_async else block).enqueue()
    queue.run_worker(lease="300ms", burst=True)
    assert queue.get(job).state is State.SUCCEEDED
    assert queue.get(job).attempt == 1
    assert kinds(queue, job).count(Kind.CLAIM) == 1
    assert kinds(queue, job).count(Kind.EXTEND) >= 2


def test_enqueue_wakes_an_idle_worker(queue: Queue) -> None:
    """A job of the same process does not wait for the next poll."""
    seen = threading.Event()
    handler = queue.job(name="see")(lambda: seen.set())  # noqa: PLW0108  # a bound method has no module
    worker = queue.worker(poll="1h").start()
    for _ in range(3):
        handler.enqueue()
        assert seen.wait(PATIENCE_S)
        seen.clear()
        time.sleep(0.02)  # noqa: TID251  # so that it is idle again
    stopped(worker)


def test_a_delayed_job_starts_when_it_is_due(queue: Queue) -> None:
    """An idle worker wakes for the next job that becomes due, without waiting for a poll."""
    seen = threading.Event()
    handler = queue.job(name="see")(lambda: seen.set())  # noqa: PLW0108
    job = handler.enqueue(delay="100ms")
    worker = queue.worker(poll="1h").start()
    assert seen.wait(PATIENCE_S)
    stopped(worker)
    attempted = queue.get(job).attempted
    assert attempted is not None
    assert attempted >= queue.get(job).run_at


def test_stop_lets_running_handlers_end(queue: Queue) -> None:
    """What runs is finished and settled, what waits is left alone."""
    started, go = threading.Event(), threading.Event()

    @queue.job
    def work() -> None:
        started.set()
        assert go.wait(PATIENCE_S)

    first, second = work.enqueue(), work.enqueue()
    worker = queue.worker(concurrency=1).start()
    assert started.wait(PATIENCE_S)
    worker.stop()
    assert not worker.wait(0.05)
    go.set()
    assert worker.wait(PATIENCE_S)
    assert queue.get(first).state is State.SUCCEEDED
    assert queue.get(second).state is State.PENDING
    assert queue.get(second).token == 0


def test_stop_at_once_gives_attempts_back(queue: Queue) -> None:
    """What runs is pending again, its attempt not counted; the handler sees that it is not wanted."""
    told = threading.Event()
    started = threading.Event()

    @queue.job
    def work() -> None:
        started.set()
        until(lambda: current_job().cancelled)
        told.set()

    job = work.enqueue()
    worker = queue.worker().start()
    assert started.wait(PATIENCE_S)
    stopped(worker, at_once=True)
    assert worker.stopped_at_once
    stored = queue.get(job)
    assert (stored.state, stored.attempt, stored.token) == (State.PENDING, 0, 1)
    assert told.wait(PATIENCE_S)


def test_stop_waits_no_longer_than_told(queue: Queue) -> None:
    """After the shutdown timeout what still runs is given back, sync and async."""
    started = threading.Barrier(3)

    @queue.job
    def work() -> None:
        started.wait(PATIENCE_S)
        until(lambda: current_job().cancelled)

    @queue.job
    async def wait() -> None:
        await asyncio.to_thread(started.wait, PATIENCE_S)
        await asyncio.Event().wait()

    jobs = [work.enqueue(), wait.enqueue()]
    worker = queue.worker(shutdown_timeout="50ms").start()
    started.wait(PATIENCE_S)
    stopped(worker)
    assert [queue.get(job).state for job in jobs] == [State.PENDING] * 2
    assert [queue.get(job).attempt for job in jobs] == [0, 0]


def test_stop_in_the_moment_of_a_claim_holds_nothing(queue: Queue) -> None:
    """A worker stopped at once at any moment leaves no job running."""
    handler = queue.job(name="work")(lambda: None)
    for enough in range(20):
        handler.enqueue_many([{}] * 20)
        worker = queue.worker(concurrency=4, poll="1h").start()
        until(lambda enough=enough: queue.storage.counts()[State.SUCCEEDED] > enough)  # type: ignore[misc]
        stopped(worker, at_once=True)
        assert queue.storage.counts()[State.RUNNING] == 0


def test_stop_before_the_start_is_kept(queue: Queue) -> None:
    """A worker that was told to stop before it began ends at once."""
    job = queue.job(name="work")(lambda: None).enqueue()
    worker = queue.worker()
    worker.stop()
    assert worker.start().wait(PATIENCE_S)
    assert queue.get(job).state in {State.PENDING, State.SUCCEEDED}


def test_a_cancelled_job_stops_its_handler(queue: Queue) -> None:
    """An operator's cancel reaches an async handler with the next renewal of its lease."""
    started, ended = threading.Event(), threading.Event()

    @queue.job
    async def work() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    job = work.enqueue()
    worker = queue.worker(lease="300ms").start()
    assert started.wait(PATIENCE_S)
    assert queue.storage.cancel([job], now()) == [True]
    assert ended.wait(PATIENCE_S)
    stopped(worker)
    assert queue.get(job).state is State.CANCELLED


def test_a_timeout_counts_as_a_failed_attempt(queue: Queue) -> None:
    """A handler that takes too long fails its attempt, with an error that policies can name."""

    @queue.job(timeout="50ms", max_attempts=1)
    async def work() -> None:
        await asyncio.Event().wait()

    job = work.enqueue()
    queue.run_worker(burst=True)
    stored = queue.get(job)
    assert stored.state is State.DEAD_LETTER
    assert stored.last_error == "jobsim.TimedOut: ran longer than 50ms"


def test_a_store_that_fails_ends_the_worker(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error of the store is raised where the worker's end is waited for."""
    queue.job(name="work")(lambda: None)

    def fail(*_: object) -> None:
        raise StorageError("the disk is gone")

    monkeypatch.setattr(queue.storage, "exchange", fail)
    with pytest.raises(StorageError, match="the disk is gone"):
        queue.run_worker()


def test_a_worker_runs_inside_a_running_loop(queue: Queue) -> None:
    """As in a notebook, where a loop is running already."""
    job = queue.job(name="work")(lambda: None).enqueue()

    async def cell() -> None:
        queue.run_worker(burst=True)

    asyncio.run(cell())
    assert queue.get(job).state is State.SUCCEEDED


def test_a_worker_runs_in_any_thread(queue: Queue) -> None:
    """Outside the main thread signals are left alone, and `stop_worker` ends it."""
    seen = threading.Event()
    queue.job(name="work")(lambda: seen.set()).enqueue()  # noqa: PLW0108
    thread = threading.Thread(target=queue.run_worker)
    thread.start()
    assert seen.wait(PATIENCE_S)
    queue.stop_worker()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()


def test_closing_a_queue_ends_its_workers(queue: Queue) -> None:
    """What runs is given back before the store is let go of."""
    started = threading.Event()

    @queue.job
    async def work() -> None:
        started.set()
        await asyncio.Event().wait()

    work.enqueue()
    worker = queue.worker().start()
    assert started.wait(PATIENCE_S)
    queue.close()
    assert worker.wait(0)


def test_every_worker_has_a_name_of_its_own(queue: Queue) -> None:
    """A restarted worker is never taken for the one before."""
    queue.job(name="work")(lambda: None)
    assert len({queue.worker().name for _ in range(50)}) == 50


def test_a_worker_made_while_a_job_is_enqueued_does_not_spoil_that(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An enqueue that was committed returns, whatever workers another thread makes meanwhile."""
    handler = queue.job(name="work")(lambda: None)
    made = [queue.worker(), queue.worker()]

    def ring(_self: LiveWorker, _count: int) -> None:
        made.append(queue.worker())

    monkeypatch.setattr(LiveWorker, "ring", ring)
    job = handler.enqueue()
    assert queue.get(job).state is State.PENDING
    assert len(made) > 2


def test_subscribers_hear_of_enqueues_and_attempts(queue: Queue) -> None:
    """What this process enqueues, and what its workers do, is told in order, before the worker has ended."""
    heard: list[TelemetryEvent] = []
    queue.subscribe(heard.append)
    handler = queue.job(name="work")(lambda: None)
    job = handler.enqueue()
    queue.run_worker(burst=True)
    assert [type(event).__name__ for event in heard] == ["JobsEnqueued", "AttemptClaimed", "AttemptEnded"]
    enqueued, _, ended = heard
    assert isinstance(enqueued, JobsEnqueued)
    assert enqueued.jobs == (job,)
    assert isinstance(ended, AttemptEnded)
    assert (ended.decision.kind, ended.kept) == (Kind.SUCCEED, True)
    assert ended.took is not None


def test_a_subscriber_that_raises_harms_no_job(queue: Queue, caplog: pytest.LogCaptureFixture) -> None:
    """Jobs run and end as if nobody had been told."""

    def fail(_: TelemetryEvent) -> None:
        raise RuntimeError("broken subscriber")

    queue.subscribe(fail)
    job = queue.job(name="work")(lambda: None).enqueue()
    queue.run_worker(burst=True)
    assert queue.get(job).state is State.SUCCEEDED
    assert [r.name for r in caplog.records if r.exc_info] == ["jobsim.telemetry"]
