"""Workers on a PostgreSQL store: what wakes them, by which clock they go, and what they outlive."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from jobsim.core.errors import StorageUnavailable
from jobsim.core.job import State
from jobsim.core.time import MILLISECOND, SECOND, Duration, Instant
from jobsim.core.transitions import Kind
from jobsim.queue import Queue
from jobsim.runtime.clock import ServerClock, elapsed
from jobsim.runtime.live import now
from jobsim.storage.postgres import PostgresStorage
from jobsim.testing.conformance_base import ANN, BURY, MINUTE, QUEUES, SUCCEED, new, release, retry, settle
from jobsim.testing.invariants import verify
from jobsim.testing.postgres_server import PostgresServer

pytestmark = pytest.mark.live

_MOMENT = Duration(30 * MILLISECOND)
_LONG = Duration(30 * SECOND)


def until(condition: Callable[[], object]) -> None:
    """Wait until `condition` holds; the test's own time limit ends a vain wait."""
    while not condition():
        time.sleep(0.005)  # threads of the worker are at it


@pytest.fixture
def storage(postgres: str, schema: str) -> Iterator[PostgresStorage]:
    storage = PostgresStorage(postgres, schema=schema)
    yield storage
    storage.close()


def test_watch_hears_what_other_processes_put_on_the_queue(
    storage: PostgresStorage, postgres: str, schema: str
) -> None:
    """An enqueue, a requeue, and an attempt that is to be repeated soon are news; a claim is none."""
    watch = storage.watch()
    assert watch is not None
    other = PostgresStorage(postgres, schema=schema)
    assert watch.wait(_LONG)  # at first, as nobody knows what was told before
    moment = other.clock()

    def told(call: Callable[[], object]) -> bool:
        call()
        heard = watch.wait(_MOMENT)
        assert not (heard and watch.wait(_MOMENT))
        return heard

    assert told(lambda: other.enqueue([new(n, run_at=moment) for n in range(3)], moment))
    one, two, three = other.claim(ANN, QUEUES, 3, MINUTE, moment)
    assert not watch.wait(_MOMENT)
    assert not told(lambda: settle(other, one, SUCCEED, now=moment))
    assert not told(lambda: settle(other, two, retry(Instant(moment + MINUTE)), now=moment))
    assert told(lambda: settle(other, three, release(moment), now=moment))
    [three] = other.claim(ANN, QUEUES, 3, MINUTE, moment)
    assert not told(lambda: settle(other, three, BURY, now=moment))
    assert told(lambda: other.requeue([three.id], moment))
    assert not told(lambda: other.requeue([one.id], moment))
    assert not told(lambda: other.enqueue([new(9, run_at=Instant(moment + MINUTE))], moment))
    other.close()
    watch.close()


def test_watch_hears_again_after_the_server_was_away(
    make_server: Callable[[], PostgresServer], schema: str
) -> None:
    """A wait that cannot hear anything says so; once the server is back, there may be news."""
    with make_server() as server:
        storage = PostgresStorage(server.dsn, schema=schema)
        watch = storage.watch()
        assert watch is not None
        assert watch.wait(_LONG)
        server.kill()
        for _ in range(2):
            with pytest.raises(StorageUnavailable):
                watch.wait(_LONG)
        server.start()
        assert watch.wait(_LONG)
        assert not watch.wait(_MOMENT)
        watch.close()
        storage.close()


@pytest.mark.parametrize("listen", ["on", "off"])
def test_worker_finds_what_another_process_enqueues(postgres: str, schema: str, listen: str) -> None:
    """News or none, every job is found; without, when the worker looks by itself."""
    url = f"{postgres}&schema={schema}"
    with Queue(f"{url}&listen={listen}") as queue, Queue(url) as other:
        queue.job(_nothing)
        worker = queue.worker(concurrency=2, poll="200ms" if listen == "off" else "60s").start()
        ids = []
        for _ in range(3):
            ids += other.enqueue_many("_nothing", [{}] * 4)
            until(lambda: other.storage.counts()[State.SUCCEEDED] == len(ids))  # noqa: B023  # it ends here
        worker.stop()
        assert worker.wait(30)


def _nothing() -> None:
    pass


def test_worker_goes_on_when_the_server_comes_back(
    make_server: Callable[[], PostgresServer], schema: str
) -> None:
    """A server that is killed under a working worker costs no job, and no attempt is settled twice."""
    with make_server() as server:
        url = f"{server.dsn}&schema={schema}&patience=1s"
        with Queue(url) as queue:
            gate = threading.Semaphore(0)
            started = threading.Semaphore(0)

            @queue.job
            def work(number: int) -> int:
                started.release()
                gate.acquire()
                return number

            ids = queue.enqueue_many("work", [{"number": n} for n in range(20)])
            worker = queue.worker(concurrency=4).start()
            for _ in range(4):
                started.acquire()
            server.kill()
            gate.release(20)
            server.start()
            until(lambda: queue.storage.counts()[State.SUCCEEDED] == 20)
            worker.stop()
            assert worker.wait(30)
            events = list(queue.storage.events())
            verify(events, accepted=ids, jobs=queue.storage.find(), drained=True)
            assert [event.kind for event in events].count(Kind.SUCCEED) == 20


def test_server_s_clock_is_read(storage: PostgresStorage) -> None:
    """It is a time of today, in microseconds, of the moment of asking."""
    before, seen, after = now(), storage.clock(), now()
    assert before - SECOND <= seen <= after + SECOND
    assert storage.clock() > seen


@pytest.mark.parametrize("skew", [600 * SECOND, -600 * SECOND])
def test_leases_hold_between_machines_whose_clocks_differ(storage: PostgresStorage, skew: int) -> None:
    """Workers whose own clocks are minutes apart agree on what is due and on which lease has ended."""
    right = ServerClock(storage.clock)
    wrong = ServerClock(storage.clock, lambda: elapsed() + skew)
    assert abs(right.now() - wrong.now()) < SECOND
    storage.enqueue([new(1, run_at=wrong.now())], wrong.now())
    until(lambda: storage.next_due(QUEUES) is not None and (storage.next_due(QUEUES) or 0) <= right.now())
    [lease] = storage.claim(ANN, QUEUES, 1, MINUTE, right.now())
    assert storage.expired(9, wrong.now()) == []
    assert abs(lease.until - wrong.now() - MINUTE) < SECOND
    assert storage.extend([lease], Instant(wrong.now() + 2 * MINUTE), wrong.now()) == {lease.id}
    assert storage.expired(9, Instant(right.now() + MINUTE)) == []
    assert storage.expired(9, Instant(right.now() + 3 * MINUTE))[0].id == lease.id


@pytest.mark.parametrize("skew", [600 * SECOND, -600 * SECOND])
def test_queue_goes_by_the_server_s_clock(
    postgres: str, schema: str, skew: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process whose clock is wrong enqueues, claims and settles at the time of the server."""
    wall, steady = time.time_ns, time.clock_gettime_ns
    monkeypatch.setattr(time, "time_ns", lambda: wall() + 1_000 * skew)
    monkeypatch.setattr(time, "clock_gettime_ns", lambda clock: steady(clock) + 1_000 * skew)
    with Queue(f"{postgres}&schema={schema}") as queue:
        queue.job(_nothing)
        job = queue.enqueue("_nothing")
        queue.run_worker(concurrency=1, burst=True)
        clock = queue.storage.clock() if isinstance(queue.storage, PostgresStorage) else 0
        assert [event.kind for event in queue.storage.events()] == [Kind.ENQUEUE, Kind.CLAIM, Kind.SUCCEED]
        assert all(abs(event.at - clock) < 20 * SECOND for event in queue.storage.events(job=job))
