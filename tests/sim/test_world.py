"""A run of the real engine in its simulated world, told by its event log."""

import gc
from itertools import pairwise

import pytest

from jobsim.core.errors import ConfigError
from jobsim.core.events import Event, fold
from jobsim.core.job import JobId, State
from jobsim.core.time import SECOND
from jobsim.core.transitions import FINAL, Kind
from jobsim.models import Constant, Crashes, Deterministic, Independent, Listed, Workers
from jobsim.sim.scenario import JobClass, Scenario
from jobsim.sim.stage import BEGAN
from jobsim.sim.world import Run, run_world


def scenario(jobs: int = 200, workers: Workers | None = None, **changes: object) -> Scenario:
    """Return a world in which a job comes every second, takes 100 ms, and fails in half of its attempts."""
    job = JobClass(
        kind="a",
        arrivals=Deterministic(every="1s"),
        service=Constant(value="100ms"),
        failures=(Independent(probability=0.5),),
    )
    values = {"name": "a", "horizon": f"{jobs}s", "jobs": (job,), "policies": ["full_jitter"]}
    return Scenario(**values | {"workers": workers or Workers(count=3, slots=1)} | changes)  # type: ignore[arg-type]


def run(world: Scenario, seed: int = 1) -> Run:
    return run_world(world, next(iter(world.policies.values())), seed)


def histories(ran: Run) -> list[list[Event]]:
    """Return what happened to each job."""
    found: dict[JobId, list[Event]] = {}
    for event in ran.log:
        found.setdefault(event.job, []).append(event)
    return list(found.values())


@pytest.mark.parametrize(
    "workers", [Workers(count=3, slots=1), Workers(count=1, slots=3), Workers(count=50, slots=2)]
)
def test_idle_slots_start_jobs_the_moment_they_are_due(workers: Workers) -> None:
    """Where a slot is free, neither a new job nor a retry waits, whichever worker settled it last."""
    claims = 0
    for history in histories(run(scenario(workers=workers))):
        for before, event in pairwise(history):
            if event.kind is Kind.CLAIM:
                assert event.at == before.due
                claims += 1
    assert claims > 300


def test_run_ends_with_its_last_event() -> None:
    """A run lasts until every job is final, not until the horizon, nor until somebody looks."""
    ran = run(scenario(jobs=20))
    assert all(standing.state in FINAL for standing in fold(ran.log).values())
    assert ran.ended == max(event.at for event in ran.log)
    assert ran.began == BEGAN


def test_run_is_cut_off_when_time_is_up() -> None:
    """Jobs that are not final when the drain is over stay as they are, and the run ended then."""
    ran = run(
        scenario(jobs=20, drain="0s", workers=Workers(count=1, slots=1, lease="10s"), policies=["sidekiq"])
    )
    assert ran.ended == BEGAN + 20 * SECOND
    states = {standing.state for standing in fold(ran.log).values()}
    assert State.FAILED in states
    assert max(event.at for event in ran.log) <= ran.ended


def test_jobs_of_crashed_workers_come_back_after_their_lease() -> None:
    """A dead worker does nothing more; its attempts are lost once their lease is over, none is forgotten."""
    crash = Crashes(every="5s", restart_after="1s")
    ran = run(scenario(workers=Workers(count=2, slots=2, lease="9s", crash=crash), drain="1h"))
    assert all(standing.state in FINAL for standing in fold(ran.log).values())
    lost = 0
    for history in histories(ran):
        for before, event in pairwise(history):
            if event.why.outcome == "lost":
                assert before.due is not None
                assert before.due < event.at <= before.due + 3 * SECOND
                lost += 1
    assert lost > 3


def test_arrivals_stop_at_the_horizon() -> None:
    """What arrives before the horizon is enqueued at its very time, at once where several arrive together."""
    offsets = ["0s", "1s", "1s", "3s", "4s"]
    job = JobClass(kind="a", arrivals=Listed(times=offsets), service=Constant(value="1s"))
    ran = run(scenario(jobs=4).with_(jobs=(job,)))
    enqueued = [event.at - BEGAN for event in ran.log if event.kind is Kind.ENQUEUE]
    assert enqueued == [0, SECOND, SECOND, 3 * SECOND]


@pytest.mark.parametrize("enabled", [True, False])
def test_run_leaves_the_collector_as_it_was(enabled: bool) -> None:
    """Paused for a run, it is on again afterwards if it was on before, also where the run fails."""
    before = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        run(scenario(jobs=3))
        assert gc.isenabled() is enabled
        with pytest.raises(ConfigError, match=r"storage: 'memroy' is not one of .* 'memory'"):
            run_world(scenario(), next(iter(scenario().policies.values())), 1, "memroy")
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if before else gc.disable)()


def test_run_leaves_little_to_the_collector() -> None:
    """What a run leaves in cycles does not grow with its jobs: that is why the collector may be paused."""
    crash = Crashes(every="1h", restart_after="5s")
    left = []
    for jobs in (10, 1_000):
        world = scenario(jobs, Workers(count=2, slots=2, crash=crash))
        gc.collect()
        kept = run(world)
        left.append(gc.collect())
        assert len(kept.log.jobs) == jobs
    assert left[1] < left[0] + 50
