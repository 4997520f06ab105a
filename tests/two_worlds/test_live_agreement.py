"""One scenario in both worlds: simulated, and on SQLite by a real clock, with the same random numbers."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar, TypeVarTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from jobsim import Exponential, RetryPolicy, Scenario
from jobsim.analysis.arrays import History
from jobsim.core.events import EventLog
from jobsim.core.job import KEY_MASK, State, WorkerId
from jobsim.core.time import SECOND, Duration, Instant
from jobsim.core.transitions import FINAL
from jobsim.runtime.live import LiveRuntime
from jobsim.sim.clients import _jobs
from jobsim.sim.model_executor import ModelExecutor
from jobsim.sim.stage import BEGAN, Stage
from jobsim.sim.world import run_world
from jobsim.storage.sqlite import SqliteStorage
from jobsim.testing.invariants import verify
from jobsim.worker.pool import Worker
from jobsim.worker.settings import WorkerSettings

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
Floats = NDArray[np.float64]

pytestmark = pytest.mark.live

POLICY = RetryPolicy(Exponential(base="200ms", cap="1s", jitter="full"), max_attempts=3)
SEED = 5


def world(horizon: str, **changes: Any) -> Scenario:
    """Return a small world whose fates depend on no clock."""
    scenario = Scenario.from_text(
        f"""
        name = "both-worlds"
        horizon = "{horizon}"
        workers = {{ count = 1, slots = 6 }}
        [[jobs]]
        kind = "call"
        arrivals = {{ process = "poisson", rate = "15/s" }}
        service = {{ dist = "lognormal", mean = "150ms", cv = 0.6 }}
        failures = [{{ model = "independent", probability = 0.3 }}]
        [[jobs]]
        kind = "mail"
        arrivals = {{ process = "deterministic", every = "400ms" }}
        service = {{ dist = "erlang", mean = "100ms", k = 4 }}
        failures = [{{ model = "permanent", share = 0.2 }}]
        """
    )
    return scenario.with_(**changes) if changes else scenario


class Timed(LiveRuntime):
    """A live runtime with the verb that attempts are played by, which notes how long storage calls take."""

    def __init__(self) -> None:
        super().__init__()
        self.calls_s: list[float] = []

    async def _after(self, duration: Duration, value: T) -> T:
        await self.sleep(duration)
        return value

    def after(self, duration: Duration, value: T) -> Awaitable[T]:
        """Wait for `duration` and return `value`."""
        return self._after(duration, value)

    async def call(self, fn: Callable[[*Ts], T], *args: *Ts) -> T:
        """Make a call and note how long it took."""
        began = self.now()
        try:
            return await super().call(fn, *args)
        finally:
            self.calls_s.append((self.now() - began) / SECOND)


async def play(scenario: Scenario, store: SqliteStorage) -> Timed:
    """Play the scenario by the real clock, until every job is final."""
    runtime, stage = Timed(), Stage(scenario, POLICY, SEED, store)
    bell, began = runtime.signal(), runtime.now()
    executor: Any = ModelExecutor(runtime, stage.fates, began, lambda: None)  # type: ignore[arg-type]
    settings = WorkerSettings(slots=scenario.workers.slots)
    name, policies = WorkerId("worker-1.1"), lambda _: POLICY
    worker = Worker(name, runtime, store, executor, policies, stage.streams, settings, bell)

    async def arrive() -> None:
        due = sorted((pair for job in scenario.jobs for pair in _jobs(stage, job)), key=lambda pair: pair[0])
        for at, new in due:
            moment = Instant(began + (at - BEGAN))
            await runtime.sleep(Duration(max(0, moment - runtime.now())))
            await runtime.call(store.enqueue, [new._replace(run_at=moment)], moment)
            bell.ring()
        while any(number for state, number in store.counts().items() if state not in FINAL):
            await runtime.sleep(Duration(SECOND // 20))
        worker.stop()

    try:
        await runtime.together(worker.run(), arrive())
    finally:
        runtime.close()
    return runtime


def live(scenario: Scenario, path: Path) -> tuple[EventLog, float]:
    """Return the log of a live run, and how long a storage call took at the median, in seconds."""
    with closing(SqliteStorage(path)) as store:
        runtime = asyncio.run(play(scenario, store))
        events = list(store.events())
    verify(events)
    return EventLog.of(events), float(np.median(runtime.calls_s))


def fates(log: EventLog) -> dict[int, tuple[int, int]]:
    """Return by what a job's numbers are keyed how many attempts it had, and how it ended."""
    jobs = History.of(log).jobs
    keys = (id_ & KEY_MASK for id_ in log.jobs)
    return dict(zip(keys, zip(jobs.attempts.tolist(), jobs.state.tolist(), strict=True), strict=True))


def latencies_s(log: EventLog) -> Floats:
    """Return how long jobs took from their creation to their end."""
    jobs = History.of(log).jobs
    found: Floats = (jobs.finished - jobs.created) / SECOND
    return found


def test_live_and_simulated_jobs_have_the_same_attempts_and_ends(tmp_path: Path) -> None:
    """Under keyed randomness each job fails as often and ends the same, whether its clock is real or not."""
    scenario = world("2s")
    log, _ = live(scenario, tmp_path / "jobs.db")
    simulated = fates(run_world(scenario, POLICY, SEED).log)
    assert fates(log) == simulated
    assert len(simulated) > 20
    assert {State.SUCCEEDED, State.DEAD_LETTER} == {list(State)[end] for _, end in simulated.values()}
    assert set(Counter(tries for tries, _ in simulated.values())) == {1, 2, 3}


@pytest.mark.soak
def test_live_and_simulated_latencies_agree(tmp_path: Path) -> None:
    """Given how long storage calls took, simulated latencies are the live ones within 5 %, at p50 and p95."""
    scenario = world("60s")
    log, call_s = live(scenario, tmp_path / "jobs.db")
    latency = {"dist": "constant", "value": f"{1e6 * call_s:.0f}us"}
    simulated = run_world(world("60s", storage={"latency": latency}), POLICY, SEED).log
    assert fates(log) == fates(simulated)
    for share in (0.5, 0.95):
        real, model = (float(np.quantile(latencies_s(each), share)) for each in (log, simulated))
        told = f"p{100 * share:g}: live {real} s, simulated {model} s; a call took {call_s} s"
        assert model == pytest.approx(real, rel=0.05), told
