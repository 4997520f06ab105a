"""One script, its cast and its director, who knows neither which world it is in nor which store."""

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import Any, Protocol, cast

from jobsim.core.backoff import Decorrelated, Exponential
from jobsim.core.decide import Settlement
from jobsim.core.job import Job, JobId, Lease, NewJob, WorkerId
from jobsim.core.outcome import Cancelled, Error, Failed, Snoozed, TimedOut
from jobsim.core.policy import RetryPolicy
from jobsim.core.streams import Streams
from jobsim.core.time import MILLISECOND, SECOND, Duration, Instant
from jobsim.core.transitions import FINAL
from jobsim.runtime.base import Runtime
from jobsim.runtime.live import LiveRuntime
from jobsim.runtime.sim import World
from jobsim.storage.base import Storage
from jobsim.testing.scripted import Act, ScriptedExecutor
from jobsim.worker.pool import Worker
from jobsim.worker.settings import WorkerSettings

POLICIES = {
    "full": RetryPolicy(Exponential(base="10ms", cap="80ms", jitter="full"), dead_letter_on="Permanent"),
    "decorrelated": RetryPolicy(Decorrelated(base="10ms", cap="80ms"), dead_letter_on="Permanent"),
}
ERROR = Failed(Error("ValueError", "boom"))
LOST = JobId(100)
SCRIPT = {
    JobId(1): [Act(takes="3ms")],
    JobId(2): [Act(ERROR, "1ms"), Act(ERROR, "2ms"), Act(takes="1ms")],
    JobId(3): [Act(ERROR, "1ms"), Act(ERROR, "1ms"), Act(ERROR, "1ms"), Act(takes="1ms")],
    JobId(4): [Act(ERROR, "1ms")],
    JobId(5): [Act(Failed(Error("Permanent", "410 Gone")), "1ms")],
    JobId(6): [Act(Failed(Error("Busy"), Duration(100 * MILLISECOND)), "1ms"), Act(takes="1ms")],
    JobId(7): [Act(Snoozed(Duration(20 * MILLISECOND)), "1ms"), Act(ERROR, "1ms"), Act(takes="1ms")],
    JobId(8): [Act(TimedOut(Duration(5 * MILLISECOND)), "5ms"), Act(takes="1ms")],
    JobId(9): [Act(Cancelled("no longer wanted"), "1ms")],
    LOST: [Act(takes="1h"), Act(ERROR, "1ms"), Act(takes="1ms")],
}
"""Successes, failures, exhaustion, an error beyond retry, a wait on demand, a snooze, a time-out, a
cancellation, and a worker lost."""


def jobs(now: Instant) -> list[NewJob]:
    """Return the jobs of the script, all due now; the one to be lost has a queue of its own."""
    kinds = tuple(POLICIES)
    queues = {LOST: "doomed"}
    return [NewJob(id_, kinds[id_ % 2], now, queues.get(id_, "default")) for id_ in SCRIPT]


class Recording:
    """A store that keeps the settlements it is given."""

    def __init__(self, storage: Storage) -> None:
        self.settlements: list[Settlement] = []
        self._storage = storage

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def settle(self, settlements: Sequence[Settlement], now: Instant) -> list[bool]:
        """Keep the settlements, and settle."""
        self.settlements += settlements
        return self._storage.settle(settlements, now)

    def exchange(
        self, settlements: Sequence[Settlement], *args: Any
    ) -> tuple[list[bool], list[Lease], Instant | None]:
        """Keep the settlements, and exchange."""
        self.settlements += settlements
        return self._storage.exchange(settlements, *args)


class Machine(Protocol):
    """A machine for one worker, in either world."""

    @property
    def runtime(self) -> Runtime: ...
    def start(self, loop: Coroutine[Any, Any, None]) -> None: ...
    async def kill(self) -> None: ...


class SimulatedMachine:
    """A machine of a simulated world; killed, it stops where it stands."""

    def __init__(self, world: World) -> None:
        self.runtime = world.machine()

    def start(self, loop: Coroutine[Any, Any, None]) -> None:
        """Run the worker."""
        self.runtime.start(loop)

    async def kill(self) -> None:
        """Lose power."""
        self.runtime.kill()


class LiveMachine:
    """A task of this process, on the system's clock; killed, it is cancelled and tells the store nothing."""

    def __init__(self) -> None:
        self.runtime = LiveRuntime()

    def start(self, loop: Coroutine[Any, Any, None]) -> None:
        """Run the worker."""
        self._task = asyncio.get_running_loop().create_task(loop)

    async def kill(self) -> None:
        """End the worker."""
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        self.runtime.close()


async def direct(here: Runtime, doomed: Machine, heir: Machine, storage: Storage) -> None:
    """One worker takes a job and dies; once its lease is over, another does all that is to be done.

    The heir's own leases are so long that nothing depends on how fast anything is.
    """
    await here.call(storage.enqueue, jobs(here.now()), here.now())
    short = WorkerSettings(slots=1, queues=("doomed",), lease="60ms")
    doomed.start(worker("doomed", doomed.runtime, storage, short).run())
    while (await lost_job(here, storage)).token == 0:
        await here.sleep(Duration(MILLISECOND))
    await doomed.kill()
    while await leased(here, storage):
        await here.sleep(Duration(MILLISECOND))
    long = WorkerSettings(slots=3, queues=("default", "doomed"), lease="1h")
    heir.start(worker("heir", heir.runtime, storage, long).run())
    while any(n for state, n in (await here.call(storage.counts)).items() if state not in FINAL):
        await here.sleep(Duration(MILLISECOND))
    await heir.kill()


async def lost_job(here: Runtime, storage: Storage) -> Job:
    """Return the job to be lost as it stands."""
    job = await here.call(storage.get, LOST)
    assert job is not None
    return job


async def leased(here: Runtime, storage: Storage) -> bool:
    """Return whether the job to be lost still runs under a lease."""
    until = (await lost_job(here, storage)).lease_until
    return until is not None and until >= here.now()


def worker(name: str, runtime: Runtime, storage: Storage, settings: WorkerSettings) -> Worker:
    """Return the engine's worker: in all worlds this one."""
    executor = ScriptedExecutor(runtime, SCRIPT)
    return Worker(WorkerId(name), runtime, storage, executor, POLICIES.__getitem__, Streams(7), settings)


def simulated(storage: Storage) -> Recording:
    """Play in a simulated world."""
    record = Recording(storage)
    world = World(Instant(1_767_225_600 * SECOND))
    doomed, heir = SimulatedMachine(world), SimulatedMachine(world)
    world.run(direct(world.machine(), doomed, heir, cast("Storage", record)))
    return record


def live(storage: Storage) -> Recording:
    """Play in this process, on the system's clock."""
    record = Recording(storage)

    async def play() -> None:
        here = LiveRuntime()
        await direct(here, LiveMachine(), LiveMachine(), cast("Storage", record))
        here.close()

    asyncio.run(play())
    return record
