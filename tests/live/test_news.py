"""What goes on beside a worker: of which news it hears."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from jobsim import Queue
from jobsim.core.errors import StorageError
from jobsim.core.job import State
from jobsim.core.limits import Limit
from jobsim.core.time import Duration, Instant
from jobsim.live import news
from jobsim.live.news import attend
from jobsim.runtime.clock import ServerClock
from jobsim.storage.memory import MemoryStorage
from jobsim.testing.conformance_base import BEGAN, add, at, claim, new

QUEUE = "default"
LONG_AGO, FAR_OFF = BEGAN, Instant(2**62)


class Bell:
    """Counts its rings."""

    def __init__(self) -> None:
        self.rings = 0

    def ring(self, count: int = 1) -> None:
        self.rings += count

    def ring_at(self, at: Instant) -> None:
        raise AssertionError("not from another thread")

    def forget(self) -> None:
        raise AssertionError("not from another thread")


class Scripted(MemoryStorage):
    """A store whose every wait for news ends at once, after the next step of a script."""

    def __init__(self, ended: threading.Event, *steps: Callable[["Scripted"], object]) -> None:
        super().__init__()
        self._ended = ended
        self._steps = list(steps)
        self.closed = 0

    def watch(self) -> "Scripted":
        return self

    def wait(self, timeout: Duration) -> bool:
        self._steps.pop(0)(self)
        if not self._steps:
            self._ended.set()
        return True

    def close(self) -> None:
        self.closed += 1


def rings(*steps: Callable[[Scripted], object], queues: tuple[str, ...] = (QUEUE,)) -> int:
    """Return how often the bell rang at news of what `steps` do to a store."""
    ended, bell = threading.Event(), Bell()
    storage = Scripted(ended, *steps)
    attend(storage, queues, None, bell, ended)
    assert storage.closed == 1
    return bell.rings


def enqueue(number: int, run_at: Instant = LONG_AGO) -> Callable[[Scripted], object]:
    return lambda storage: add(storage, new(number, run_at=run_at))


def nothing(_: Scripted) -> None:
    pass


def fail(_: Scripted) -> None:
    raise StorageError("gone")


def test_due_job_rings_at_each_news_of_it() -> None:
    """As long as a job waits that is due, whoever is idle is to look for it."""
    assert rings(enqueue(1), nothing, enqueue(2)) == 3


def test_what_others_do_with_their_jobs_rings_for_nobody() -> None:
    """News of a claim, or of jobs of another queue, wake no worker that could only look in vain."""
    assert rings(enqueue(1), lambda storage: claim(storage, now=at(9)), nothing) == 1
    assert rings(enqueue(1), queues=("another",)) == 0


def test_job_for_later_rings_once() -> None:
    """Its worker then knows when to look, until something is to come earlier."""
    assert rings(enqueue(1, FAR_OFF), nothing, nothing) == 1
    assert rings(enqueue(1, FAR_OFF), enqueue(2, Instant(FAR_OFF - 1)), nothing) == 2


def test_news_of_a_server_rings_at_once() -> None:
    """It tells of new jobs alone; to ask it for them first would take as long as to claim them."""
    ended, bell = threading.Event(), Bell()
    storage = Scripted(ended, nothing, nothing)
    attend(storage, (QUEUE,), ServerClock(lambda: BEGAN), bell, ended)
    assert bell.rings == 2


def test_listening_goes_on_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that cannot be heard just now is tried again."""
    monkeypatch.setattr(news, "_TURN", Duration(0))
    assert rings(fail, enqueue(1)) == 1


@pytest.mark.live
def test_job_of_another_process_wakes_an_idle_worker(tmp_path: Path) -> None:
    """A worker that would not look by itself for an hour runs what somebody else put into the file."""
    url, ran = f"sqlite:///{tmp_path}/jobs.db", threading.Semaphore(0)
    with Queue(url) as queue, Queue(url) as another:  # no connection of theirs is shared

        @queue.job(name="work")
        def work() -> None:
            ran.release()

        @another.job(name="work")
        def call() -> None: ...

        worker = queue.worker(poll="1h").start()
        for number in range(1, 4):
            call.enqueue()
            assert ran.acquire(timeout=60)
            while another.storage.counts()[State.SUCCEEDED] < number:  # then the worker is idle again
                pass
        worker.stop()
        assert worker.wait(60)


@pytest.mark.live
def test_place_that_is_freed_wakes_a_worker_of_another_queue(tmp_path: Path) -> None:
    """Of two workers in one process, the one that waits for a place of a kind starts when the other ends."""
    gate, began, ran = (threading.Semaphore(0) for _ in range(3))
    with Queue(f"sqlite:///{tmp_path}/jobs.db") as queue:

        @queue.job(limit=Limit(running=1))
        def work() -> None:
            began.release()
            assert gate.acquire(timeout=60)

        @queue.job(queue="second")
        def beside() -> None:
            ran.release()

        first, second = (queue.worker(queues=[name], poll="1h").start() for name in ("first", "second"))
        work.enqueue(queue="first")
        assert began.acquire(timeout=60)
        work.enqueue(queue="second")
        beside.enqueue()
        assert ran.acquire(timeout=60)
        while queue.storage.counts()[State.SUCCEEDED] < 1:  # then the second has looked, and waits
            pass
        gate.release(2)
        assert began.acquire(timeout=60)
        for worker in (first, second):
            worker.stop()
            assert worker.wait(60)
