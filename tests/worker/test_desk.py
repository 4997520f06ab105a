"""The desk and the heartbeat: what a busy store, or a clock that is set back, must not do to them."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from jobsim.core.errors import StorageBusy
from jobsim.core.job import JobId, NewJob, State, WorkerId
from jobsim.core.policy import RetryPolicy
from jobsim.core.streams import Streams
from jobsim.core.time import MILLISECOND, SECOND, Duration, Instant
from jobsim.core.transitions import Kind
from jobsim.runtime.base import Runtime
from jobsim.runtime.live import LiveRuntime, now
from jobsim.runtime.sim import World
from jobsim.storage.memory import MemoryStorage
from jobsim.testing.scripted import Act, ScriptedExecutor
from jobsim.worker.pool import Worker
from jobsim.worker.settings import WorkerSettings

BEGAN = Instant(1_767_225_600 * SECOND)
JOB = JobId(1)


class BusyStorage(MemoryStorage):
    """A store that is busy, for one kind of call, from one time to another; `clock` tells the time."""

    def __init__(self, call: str, begin_s: int, end_s: int, clock: Callable[[], Instant]) -> None:
        super().__init__()
        self._call, self._begin, self._end = call, begin_s * SECOND, end_s * SECOND
        self._clock = clock

    def _see(self, call: str) -> None:
        if call == self._call and self._begin <= self._clock() - BEGAN < self._end:
            raise StorageBusy("busy")

    def exchange(self, *args: Any) -> Any:
        self._see("exchange")
        return super().exchange(*args)

    def extend(self, *args: Any) -> Any:
        self._see("extend")
        return super().extend(*args)


def worker(storage: MemoryStorage, runtime: Runtime, settings: WorkerSettings, takes: str) -> Worker:
    """Return a worker each of whose attempts succeeds after a while."""
    executor = ScriptedExecutor(runtime, {JOB: [Act(takes=takes)]})
    policy = RetryPolicy()
    return Worker(WorkerId("w"), runtime, storage, executor, lambda _: policy, Streams(1), settings)


@pytest.mark.parametrize(("call", "begin_s", "end_s"), [("exchange", 0, 20), ("extend", 2, 7)])
def test_a_call_repeated_on_a_busy_store_goes_by_the_time_of_its_success(
    call: str, begin_s: int, end_s: int
) -> None:
    """No lease is given or renewed that is over by the time at which the store takes it."""
    world = World(BEGAN)
    machine = world.machine()
    storage = BusyStorage(call, begin_s, end_s, world.now)
    storage.enqueue([NewJob(JOB, "work", BEGAN)], BEGAN)
    settings = WorkerSettings(slots=1, lease="9s", burst=True)
    world.run(worker(storage, machine, settings, "30s").run())
    written = [e for e in storage.events() if e.kind in {Kind.CLAIM, Kind.EXTEND}]
    assert written
    assert all(e.due is not None and e.due - e.at == 9 * SECOND for e in written)
    first = next(e for e in written if e.kind is (Kind.CLAIM if call == "exchange" else Kind.EXTEND))
    assert first.at - BEGAN >= end_s * SECOND


@pytest.mark.live
def test_polls_go_on_when_the_clock_is_set_back() -> None:
    """A worker whose clock is set back by an hour still looks for jobs after each poll."""
    behind = 0

    async def scene() -> bool:
        nonlocal behind
        runtime = LiveRuntime(lambda: Instant(now() - behind))
        storage = MemoryStorage()
        settings = WorkerSettings(slots=1, poll="20ms", shutdown_timeout="0s")
        engine = worker(storage, runtime, settings, "0s")
        running = asyncio.create_task(engine.run())
        await runtime.sleep(Duration(100 * MILLISECOND))
        behind = 3_600 * SECOND
        await runtime.sleep(Duration(100 * MILLISECOND))
        storage.enqueue([NewJob(JOB, "work", runtime.now())], runtime.now())
        for _ in range(500):
            await runtime.sleep(Duration(10 * MILLISECOND))
            if storage.counts()[State.SUCCEEDED]:
                break
        engine.stop(at_once=True)
        await running
        runtime.close()
        return storage.counts()[State.SUCCEEDED] == 1

    assert asyncio.run(scene())
