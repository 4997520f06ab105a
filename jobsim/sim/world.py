"""One run: the real engine in a simulated world, from the first arrival until every job is final."""

import gc
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Final

from jobsim.analysis.calls import CallLog
from jobsim.core.errors import ConfigError, did_you_mean
from jobsim.core.events import EventLog
from jobsim.core.policy import RetryPolicy
from jobsim.core.time import SECOND, Duration, Instant
from jobsim.core.transitions import FINAL
from jobsim.runtime.quiet import unheard
from jobsim.runtime.sim import SimRuntime
from jobsim.sim.clients import Clients, Submissions
from jobsim.sim.limit_tables import limits_of
from jobsim.sim.scenario import Scenario
from jobsim.sim.staff import Staff
from jobsim.sim.stage import BEGAN, Headcount, Stage
from jobsim.storage.base import Storage
from jobsim.storage.memory_book import Book

STORAGES: Final = ("memory", "sqlite")


@dataclass(frozen=True, slots=True)
class Run:
    """What a run was of and what happened in it; it `ended` with its last event, or when time was up.

    `headcounts` tell how many workers there were, over time; `submissions` what those who enqueue know, and
    are `None` where all that was offered was acknowledged and nothing enqueued twice: the log tells it.
    `calls` are those that each dependency has seen, by its name.
    """

    scenario: Scenario
    policy: RetryPolicy
    seed: int
    storage: str
    log: EventLog
    began: Instant
    ended: Instant
    headcounts: tuple[Headcount, ...] = ()
    submissions: Submissions | None = None
    calls: Mapping[str, CallLog] = field(default_factory=dict)


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


@unheard()
@_collector_paused()  # around the call, so that what the run has kept is gone when the collector comes back
def run_world(
    scenario: Scenario, policy: RetryPolicy, seed: int, storage: str = "memory", log: EventLog | None = None
) -> Run:
    """Run `scenario` once under `policy` and return what happened; equal arguments give equal runs.

    The events go to `log`, if it is given.

    Raises:
        ConfigError: there is no such storage.
    """
    log = EventLog() if log is None else log
    with _opened(storage, log, forgets=_forgets(scenario)) as store:
        if limits := limits_of(scenario.limits, (job.kind for job in scenario.jobs), policy):
            store.set_limits(limits)
        stage = Stage(scenario, policy, seed, store)
        play = _Play(stage)
        if not isinstance(store, Book):
            log.add(store.events())
    ended = min(log.last, play.limit) if play.finished else play.limit
    calls = {name: partner.calls(ended) for name, partner in stage.partners.items()}
    return Run(scenario, policy, seed, storage, log, BEGAN, ended, play.headcounts, play.submissions, calls)


def _forgets(scenario: Scenario) -> bool:
    """Return whether nobody in the run asks for a job that has ended."""
    rough = scenario.storage is not None or scenario.workers.rough
    return not rough and all(job.resubmit is None for job in scenario.jobs)


@contextmanager
def _opened(storage: str, log: EventLog, *, forgets: bool) -> Iterator[Storage]:
    match storage:
        case "memory":
            yield Book(log, forgets=forgets)
        case "sqlite":
            from jobsim.storage.sqlite import SqliteStorage

            with closing(SqliteStorage(":memory:")) as store:
                yield store
        case _:
            hint = did_you_mean(str(storage), STORAGES)
            raise ConfigError(f"storage: {storage!r} is not one of {', '.join(STORAGES)}{hint}")


class _Play:
    """One run, from the first arrival until every job is final, at most until horizon and drain are over."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._clients = Clients(stage)
        self.limit = Instant(BEGAN + stage.scenario.horizon + stage.scenario.drain)
        self.finished = False
        stage.world.run(self._direct(stage.world.machine()))
        self.headcounts = tuple(stage.headcounts)
        told = self._clients.submissions
        self.submissions = told if told.offered else None

    async def _direct(self, machine: SimRuntime) -> None:
        stage = self._stage
        for crew in stage.scenario.workers.crews:
            Staff(stage, machine, crew).start()
        await machine.together(*(self._clients.arrive(machine, job) for job in stage.scenario.jobs))
        since = machine.now()
        while self._clients.waiting or not self._all_final():
            left = self.limit - machine.now()
            if left <= 0:
                return
            # Look ever more rarely: after hours of stragglers nobody counts the seconds.
            await machine.sleep(Duration(min(left, max(SECOND, (machine.now() - since) // 32))))
        self.finished = True

    def _all_final(self) -> bool:
        counts = self._stage.storage.counts()
        return not any(count for state, count in counts.items() if state not in FINAL)
