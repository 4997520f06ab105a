"""A worker that dies before or after any of its storage calls loses no job."""

import itertools
from collections.abc import Callable, Iterator

import pytest

from jobsim.core.backoff import Exponential
from jobsim.core.job import JobId, NewJob, State, WorkerId
from jobsim.core.outcome import Error, Failed, Snoozed
from jobsim.core.policy import RetryPolicy
from jobsim.core.streams import Streams
from jobsim.core.time import SECOND, Duration, Instant
from jobsim.core.transitions import FINAL
from jobsim.runtime.base import Runtime
from jobsim.runtime.sim import SimRuntime, World
from jobsim.storage.base import Storage
from jobsim.storage.memory import MemoryStorage
from jobsim.storage.sqlite import SqliteStorage
from jobsim.testing.crashing import CrashPoint, When, mortal
from jobsim.testing.invariants import check
from jobsim.testing.scripted import Act, ScriptedExecutor
from jobsim.worker.pool import Worker
from jobsim.worker.settings import WorkerSettings

BEGAN = Instant(1_767_225_600 * SECOND)
POLICY = RetryPolicy(Exponential(base="1s", cap="8s", jitter="full"), dead_letter_on="Permanent")
ERROR = Failed(Error("ValueError"))
SUCCEEDS, RECOVERS, EXHAUSTED, PERMANENT, SNOOZES, LATE = map(JobId, range(1, 7))
SCRIPT = {
    SUCCEEDS: [Act(takes="5s")],
    RECOVERS: [Act(ERROR), Act()],
    EXHAUSTED: [Act(ERROR)],
    PERMANENT: [Act(Failed(Error("Permanent")))],
    SNOOZES: [Act(Snoozed(Duration(2 * SECOND)), takes="2s"), Act()],
    LATE: [Act(takes="10s")],
}
ENDS = {
    SUCCEEDS: State.SUCCEEDED,
    RECOVERS: State.SUCCEEDED,
    EXHAUSTED: State.DEAD_LETTER,
    PERMANENT: State.DEAD_LETTER,
    SNOOZES: State.SUCCEEDED,
    LATE: State.SUCCEEDED,
}
STORES = pytest.mark.parametrize(
    "store", [MemoryStorage, lambda: SqliteStorage(":memory:")], ids=["memory", "sqlite"]
)


class Play:
    """The first worker dies at `point` of its life or is stopped after a while; others end what it began."""

    def __init__(self, storage: Storage, *points: CrashPoint | None) -> None:
        self.storage = storage
        self.calls: list[list[str]] = []
        self._points = points
        self._world = World(BEGAN)
        delays = {LATE: 6 * SECOND}
        jobs = [NewJob(id_, "work", Instant(BEGAN + delays.get(id_, 0)), max_attempts=4) for id_ in SCRIPT]
        storage.enqueue(jobs, BEGAN)
        self._world.run(self._direct(self._world.machine()))

    async def _direct(self, machine: SimRuntime) -> None:
        for number, point in enumerate(self._points):
            dying, storage, calls = mortal(self._world, self.storage, point)
            worker = self._worker(f"mortal-{number}", dying, storage)
            dying.live(worker.run())
            if not await machine.wait(dying.over, Duration(12 * SECOND)):
                worker.stop()
                await machine.wait(dying.over)
            self.calls.append(calls)
        last = self._world.machine()
        last.start(self._worker("last", last, self.storage).run())
        while machine.now() < BEGAN + 600 * SECOND and not self._all_final():
            await machine.sleep(Duration(SECOND))

    def _worker(self, name: str, runtime: Runtime, storage: Storage) -> Worker:
        settings = WorkerSettings(slots=2, lease="9s", shutdown_timeout="1s")
        executor = ScriptedExecutor(runtime, SCRIPT)
        return Worker(WorkerId(name), runtime, storage, executor, lambda _: POLICY, Streams(1), settings)

    def _all_final(self) -> bool:
        return not any(count for state, count in self.storage.counts().items() if state not in FINAL)

    def faults(self) -> list[str]:
        """Return what is wrong with the end and with the history."""
        jobs = self.storage.find()
        found = check(self.storage.events(), accepted=SCRIPT, offered=SCRIPT, jobs=jobs, drained=True)
        ends = {job.id: job.state for job in jobs}
        return [*map(str, found), *([] if ends == ENDS else [f"the jobs ended as {ends}"])]


def points(calls: int) -> Iterator[CrashPoint]:
    """Return every moment to die in a life of so many storage calls."""
    return (CrashPoint(call, when) for call in range(1, calls + 1) for when in When)


@STORES
def test_play_covers_every_storage_call_of_a_worker(store: Callable[[], Storage]) -> None:
    """Without a crash, the first worker makes every call that a worker makes, its shutdown's included."""
    play = Play(store(), None)
    assert set(play.calls[0]) == {"exchange", "extend", "expired", "settle"}
    assert play.faults() == []


@STORES
def test_worker_killed_at_any_storage_call_loses_nothing(store: Callable[[], Storage]) -> None:
    """Whatever call it dies before or after, every job ends as it would have, and its history is sound."""
    calls = len(Play(store(), None).calls[0])
    broken = {point: faults for point in points(calls) if (faults := Play(store(), point).faults())}
    assert not broken


def test_two_workers_killed_one_after_the_other_lose_nothing() -> None:
    """The one who takes over may die at any call as well."""
    calls = len(Play(MemoryStorage(), None).calls[0])
    pairs = itertools.product(points(calls), points(6))
    broken = {pair: faults for pair in pairs if (faults := Play(MemoryStorage(), *pair).faults())}
    assert not broken


def test_crash_after_a_call_differs_from_one_before_it() -> None:
    """Before, nothing of the call has happened; after, all of it has, and the worker never heard of it."""
    call = Play(MemoryStorage(), None).calls[0].index("exchange") + 1
    before, after = (Play(MemoryStorage(), CrashPoint(call, when)) for when in When)
    assert not [e for e in before.storage.events() if e.worker == "mortal-0"]
    assert [e.why.outcome for e in after.storage.events() if e.worker == "mortal-0"] == ["", "lost"]
