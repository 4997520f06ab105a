"""One run: the real engine in a simulated world, from the first arrival until every job is final."""

import gc
import math
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Final

from jobsim.core.errors import ConfigError, did_you_mean
from jobsim.core.events import EventLog
from jobsim.core.ids import IdMint
from jobsim.core.job import Conflict, NewJob, WorkerId
from jobsim.core.policy import RetryPolicy
from jobsim.core.streams import Purpose, Streams
from jobsim.core.time import SECOND, Duration, Instant
from jobsim.core.transitions import FINAL
from jobsim.runtime.sim import SimRuntime, World
from jobsim.sim.draws import Draws
from jobsim.sim.model_executor import ModelExecutor, purposes
from jobsim.sim.scenario import JobClass, Scenario
from jobsim.storage.base import Storage
from jobsim.storage.memory_book import Book
from jobsim.worker.pool import Worker
from jobsim.worker.settings import WorkerSettings

BEGAN: Final = Instant(1_767_225_600 * SECOND)
"""When every simulated run begins: 2026-01-01, 00:00 UTC. An arbitrary moment, far from the clock's zero."""

STORAGES: Final = ("memory", "sqlite")

_new_job: Final = tuple.__new__  # the constructor does the same in twice the time


@dataclass(frozen=True, slots=True)
class Run:
    """What a run was of and what happened in it; it `ended` with its last event, or when time was up."""

    scenario: Scenario
    policy: RetryPolicy
    seed: int
    storage: str
    log: EventLog
    began: Instant
    ended: Instant


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Let no garbage be looked for: a run leaves none in cycles, and all that it keeps would be searched."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@_collector_paused()  # around the call, so that what the run has kept is gone when the collector comes back
def run_world(scenario: Scenario, policy: RetryPolicy, seed: int, storage: str = "memory") -> Run:
    """Run `scenario` once under `policy` and return what happened; equal arguments give equal runs.

    Raises:
        ConfigError: there is no such storage.
    """
    with _opened(storage) as store:
        stage = _Stage(scenario, policy, seed, store)
        stage.play()
        log = store.log if isinstance(store, Book) else EventLog.of(store.events())
    return Run(scenario, policy, seed, storage, log, BEGAN, _end(log) if stage.finished else stage.limit)


def _end(log: EventLog) -> Instant:
    return max((event.at for event in log.since(len(log) - 1)), default=BEGAN)


@contextmanager
def _opened(storage: str) -> Iterator[Storage]:
    match storage:
        case "memory":
            yield Book()
        case "sqlite":
            from jobsim.storage.sqlite import SqliteStorage

            with closing(SqliteStorage(":memory:")) as store:
                yield store
        case _:
            hint = did_you_mean(str(storage), STORAGES)
            raise ConfigError(f"storage: {storage!r} is not one of {', '.join(STORAGES)}{hint}")


class _Stage:
    """The world of one run and all who act in it."""

    def __init__(self, scenario: Scenario, policy: RetryPolicy, seed: int, storage: Storage) -> None:
        self._scenario = scenario
        self._policy = policy
        self._streams = Streams(seed)
        self._draws = Draws(self._streams)
        self._storage = storage
        self._world = World(BEGAN)
        self._bell = self._world.signal()
        self.limit = Instant(BEGAN + scenario.horizon + scenario.drain)
        self.finished = False

    def play(self) -> None:
        """Run until every job is final, at most until horizon and drain are over."""
        self._world.run(self._direct())

    async def _direct(self) -> None:
        machine = self._world.machine()
        for number in range(1, self._scenario.workers.count + 1):
            machine.start(self._work(machine, number))
        await machine.together(*(self._arrive(machine, job) for job in self._scenario.jobs))
        since = machine.now()
        while not self._all_final():
            left = self.limit - machine.now()
            if left <= 0:
                return
            # Look ever more rarely: after hours of stragglers nobody counts the seconds.
            await machine.sleep(Duration(min(left, max(SECOND, (machine.now() - since) // 32))))
        self.finished = True

    async def _work(self, here: SimRuntime, number: int) -> None:
        """Keep worker `number` going: after a crash another takes its place, under a name of its own."""
        crash = self._scenario.workers.crash
        for life in count(1):
            machine = self._world.machine()
            worker = self._worker(WorkerId(f"worker-{number}.{life}"), machine)
            machine.start(worker.run())
            if crash is None:
                return
            u = self._streams.random(f"{Purpose.CRASH}:{number}", life)
            await here.sleep(Duration(round(-crash.every * math.log1p(-u))))
            machine.kill()
            await here.sleep(crash.restart_after)

    def _all_final(self) -> bool:
        return not any(count for state, count in self._storage.counts().items() if state not in FINAL)

    async def _arrive(self, machine: SimRuntime, job: JobClass) -> None:
        """Enqueue the jobs of one kind as they arrive, until the horizon."""
        streams = self._streams.child(f"jobs:{job.kind}")
        mint = IdMint(streams, partial(self._draws.foresee, purposes(job))).mint
        limit = self._policy.limit if job.max_attempts is None else job.max_attempts
        kind, queue, priority, conflict = job.kind, job.queue, job.priority, Conflict.SKIP
        sleep, enqueue, ring = machine.sleep, self._storage.enqueue, self._bell.ring
        horizon, now = self._scenario.horizon, BEGAN
        for offset in job.arrivals.times(streams.numbers_in_order(Purpose.ARRIVAL)):
            if offset >= horizon:
                break
            at: Instant = BEGAN + offset  # type: ignore[assignment]  # as in `sleep`: no call for a type
            if at > now:
                await sleep(at - now)  # type: ignore[arg-type]  # whole microseconds, as good as a `Duration`
                now = at
            new = _new_job(NewJob, (mint(at), kind, at, queue, "{}", limit, priority, None, conflict, ""))
            enqueue((new,), at)
            ring()

    def _worker(self, name: WorkerId, machine: SimRuntime) -> Worker:
        """Return the engine's worker, on `machine`."""
        scenario = self._scenario
        workers = scenario.workers
        settings = WorkerSettings(
            slots=workers.slots,
            queues=tuple(dict.fromkeys(job.queue for job in scenario.jobs)),
            lease=workers.lease,
            poll=workers.poll,
        )
        executor = ModelExecutor(machine, scenario.jobs, self._draws, BEGAN)
        return Worker(
            name,
            machine,
            self._storage,
            executor,
            lambda _: self._policy,
            self._streams,
            settings,
            self._bell,
        )
