"""A run of the real engine in its simulated world, told by its event log."""

import gc
from itertools import pairwise

import pytest

from jobsim.core.errors import ConfigError
from jobsim.core.events import Event, fold
from jobsim.core.job import JobId, State
from jobsim.core.time import SECOND
from jobsim.core.transitions import FINAL, Kind
from jobsim.models import (
    Alternating,
    Arrivals,
    Batches,
    Constant,
    Crashes,
    Deterministic,
    Diurnal,
    ExponentialService,
    Gamma,
    GilbertElliott,
    Independent,
    Listed,
    Mmpp,
    Permanent,
    Workers,
)
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


@pytest.mark.parametrize("crash", [None, Crashes(every="10d", restart_after="30s")])
def test_jobs_that_kill_their_worker_take_its_other_attempts_along(crash: Crashes | None) -> None:
    """A poison pill ends as a dead letter; its neighbours are lost with each of its attempts, and return."""
    healthy = JobClass(kind="a", arrivals=Deterministic(every="1s", jobs=3), service=Constant(value="20s"))
    poison = JobClass(
        kind="pill",
        arrivals=Listed(times=["5s"]),
        service=Constant(value="100ms"),
        failures=(Permanent(kills=True, takes="2s"),),
        max_attempts=2,
    )
    world = scenario(workers=Workers(count=1, slots=9, lease="10s", crash=crash), policies=["none"])
    ran = run(world.with_(jobs=(healthy, poison)))
    ends = [(history[-1].kind, history[-1].attempt) for history in histories(ran)]
    assert ends == [*3 * [(Kind.SUCCEED, 3)], (Kind.DEAD_LETTER, 2)]
    workers = [event.worker for event in ran.log if event.kind is Kind.CLAIM]
    assert set(workers) == {"worker-1.1", "worker-1.2", "worker-1.3"}
    claims = [e.at - BEGAN for e in ran.log if e.kind is Kind.CLAIM and e.worker != "worker-1.1"]
    assert min(claims) >= 37 * SECOND


def test_policies_and_workers_meet_the_same_world() -> None:
    """Where no slot is short, first attempts start, end and fail alike under any policy and any workers."""
    down = ExponentialService(mean="20s")
    api = Alternating(name="api", up=ExponentialService(mean="60s"), down=down, takes="1s", factor=2.0)
    processes: dict[str, Arrivals] = {
        "bursts": Mmpp(rates=("1/s", "9/s"), sojourns=("20s", "5s")),
        "waves": Batches(of=Diurnal(rate="1/s", amplitude=1, period="1m"), mean_size=2.0),
    }
    jobs = tuple(
        JobClass(
            kind=kind,
            arrivals=process,
            service=Gamma(mean="2s", cv=0.7),
            failures=(Permanent(share=0.1), api, GilbertElliott(good="30s", bad="5s")),
        )
        for kind, process in processes.items()
    )

    def first_attempts(policy: str, workers: Workers) -> list[tuple[int, int, str]]:
        ran = run(scenario(100, workers, policies=[policy], drain="1h").with_(jobs=jobs))
        ends = (history[2] for history in histories(ran))
        return [(int(end.job), end.at, end.why.error) for end in ends]

    expected = first_attempts("none", Workers(count=1, slots=900, lease="1h"))
    assert len(expected) > 300
    assert {error.partition(":")[0] for *_, error in expected} == {"", "ValueError", "ConnectionError"}
    assert first_attempts("sidekiq", Workers(count=3, slots=400, lease="1h")) == expected


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
