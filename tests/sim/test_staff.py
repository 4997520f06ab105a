"""The workers of a simulated run: pauses, clocks, faults of their store, and how many there are."""

import math
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest

from jobsim.core.errors import ConfigError
from jobsim.core.events import Event
from jobsim.core.time import SECOND
from jobsim.core.transitions import Kind
from jobsim.models import (
    Autoscale,
    CallFailures,
    Clocks,
    ClockSteps,
    Constant,
    Deterministic,
    Independent,
    Lognormal,
    Outage,
    Partition,
    Pauses,
    Permanent,
    Resubmit,
    StorageModel,
    Workers,
)
from jobsim.sim.replication import slots_of
from jobsim.sim.result import SimResult
from jobsim.sim.scenario import JobClass, Scenario
from jobsim.sim.stage import BEGAN
from jobsim.sim.world import Run, run_world
from jobsim.testing.invariants import verify

SKEW = Clocks(offset="10min", drift=1e-3, steps=ClockSteps(every="5min", size="10min"))


def scenario(storage: StorageModel | None = None, jobs: int = 900, **workers: Any) -> Scenario:
    """Return a world in which a job comes every second and takes two."""
    job = JobClass(kind="a", arrivals=Deterministic(every="1s", jobs=jobs), service=Constant(value="2s"))
    return Scenario(
        name="a",
        horizon=f"{jobs}s",
        workers=Workers(**{"count": 3, "slots": 4, "lease": "30s", **workers}),
        storage=storage,
        jobs=(job,),
        policies=["full_jitter"],
    )


def run(world: Scenario, seed: int = 1, storage: str = "memory") -> tuple[Run, list[Event]]:
    """Run it, and check that its history is sound and nothing of it lost."""
    ran = run_world(world, world.policies["full_jitter"], seed, storage)
    events = list(ran.log)
    told = ran.submissions
    verify(
        events,
        accepted=told.acknowledged if told else None,
        offered=told.offered if told else None,
        drained=True,
    )
    return ran, events


def kinds(events: list[Event]) -> Counter[Kind]:
    return Counter(event.kind for event in events)


def lost(events: list[Event]) -> int:
    """Return how many attempts were lost with their lease."""
    return sum(event.why.outcome == "lost" and event.kind is not Kind.REFUSE for event in events)


@pytest.mark.parametrize("heartbeat", [True, False])
def test_leases_are_renewed_by_a_heartbeat_alone(heartbeat: bool) -> None:
    """An attempt longer than its lease keeps it; without heartbeat its job is run again beside it."""
    world = scenario(lease="1s", count=2, jobs=20, heartbeat=heartbeat)
    found = kinds(run(world)[1])
    if heartbeat:
        assert found[Kind.CLAIM] == found[Kind.SUCCEED] == 20
    else:
        assert found[Kind.DEAD_LETTER] == 20  # each of eight attempts is taken for lost
        assert found[Kind.CLAIM] == 8 * 20


def test_paused_workers_become_zombies_and_are_refused() -> None:
    """After a pause longer than the lease, what a worker settles is refused, and its jobs ran elsewhere."""
    pause = Pauses(every="2min", length=Lognormal(mean="1min", cv=0.5))
    _, events = run(scenario(pause=pause))
    refused = [event for event in events if event.kind is Kind.REFUSE]
    assert len(refused) > 5
    assert lost(events) >= len(refused)
    taken_over = {(e.job, e.token) for e in events if e.kind is Kind.CLAIM and e.token > 1}
    assert {event.job for event in refused} <= {job for job, _ in taken_over}


def test_pauses_shorter_than_the_lease_lose_nothing() -> None:
    """A machine that stands still for less than its leases last settles late, and is not refused."""
    pause = Pauses(every="1min", length=Constant(value="5s"))
    _, events = run(scenario(pause=pause))
    assert (lost(events), kinds(events)[Kind.REFUSE]) == (0, 0)
    held = {event.job: event.at for event in events if event.kind is Kind.CLAIM}
    late = [e for e in events if e.kind is Kind.SUCCEED and e.at - held[e.job] > 2 * SECOND]
    assert late


def test_clocks_of_machines_do_not_matter_where_the_server_has_one() -> None:
    """Offsets, steps and drift of ten minutes change no lease: workers go by the store's clock."""
    _, events = run(scenario(clock=SKEW))
    assert (lost(events), kinds(events)[Kind.REFUSE]) == (0, 0)
    plain = run(scenario())[1]
    assert kinds(events) == kinds(plain)
    off = {abs(a.at - b.at) for a, b in zip(sorted_(events), sorted_(plain), strict=True)}
    assert max(off) <= 0.02 * SECOND  # a thousandth of the ten seconds between two looks, there and back


def sorted_(events: list[Event]) -> list[Event]:
    return sorted(events, key=lambda event: (event.job, event.seq))


def test_clock_of_the_server_is_looked_at_over_a_slow_wire() -> None:
    """What a look may be wrong by is half of the time it took."""
    storage = StorageModel(latency=Constant(value="200ms"))
    _, events = run(scenario(storage, jobs=600, clock=Clocks(offset="10min", drift=1e-3)))
    assert (lost(events), kinds(events)[Kind.REFUSE]) == (0, 0)


def test_workers_by_their_own_clocks_take_each_others_jobs_and_are_fenced() -> None:
    """Where each goes by its own, leases end early for some; tokens keep the history sound all the same."""
    wild = Clocks(offset="2min", steps=ClockSteps(every="30s", size="2min"))
    busy = scenario(StorageModel(clock="own"), clock=wild).with_(**{"jobs.a.service.value": "9s"})
    _, events = run(busy)
    assert lost(events) > 5
    assert kinds(events)[Kind.REFUSE] > 5


def test_own_clocks_that_are_nearly_right_are_safe() -> None:
    """An offset below what is left of a lease when it is renewed loses nothing."""
    _, events = run(scenario(StorageModel(clock="own"), clock=Clocks(offset="5s", drift=1e-4)))
    assert (lost(events), kinds(events)[Kind.REFUSE]) == (0, 0)


def test_storage_calls_take_their_time() -> None:
    """A worker hears of a job when its enqueue is answered, and of its claim later by as much.

    What ended it settles, at the latest after having waited for company.
    """
    ran, events = run(scenario(StorageModel(latency=Constant(value="20ms")), jobs=100, poll="1h"))
    for number, job in list(enumerate(ran.log.jobs))[1:]:
        at = {event.kind: event.at - BEGAN - number * SECOND for event in events if event.job == job}
        assert (at[Kind.ENQUEUE], at[Kind.CLAIM]) == (10_000, 20_000)
        assert at[Kind.SUCCEED] in {2_040_000, 2_045_000}


FAULTS = StorageModel(
    latency=Lognormal(mean="3ms", cv=1.0),
    busy=CallFailures(probability=0.05, takes="1s"),
    errors=CallFailures(probability=0.05, takes="100ms", calls=("exchange", "extend")),
    lost_replies=CallFailures(probability=0.1, takes="100ms"),
)


def test_storage_faults_are_got_over() -> None:
    """A store that is busy, out of reach or silent costs time; each job is accepted, and runs once."""
    ran, events = run(scenario(FAULTS))
    assert ran.submissions is not None
    assert len(ran.submissions.acknowledged) == len(ran.submissions.offered) == 900
    assert kinds(events)[Kind.CLAIM] - lost(events) == 900


def everything_at_once(clock: str = "own") -> Scenario:
    """Return a world with zombies, wrong clocks, crashes, partitions, a bad store, and autoscaling."""
    partitions = (
        Partition(start="2min", duration="3min", workers=(1, 2)),
        Partition(start="8min", duration="1min"),
    )
    return scenario(
        FAULTS.model_copy(update={"clock": clock, "partitions": partitions}),
        jobs=600,
        crash={"every": "4min", "restart_after": "10s"},
        pause=Pauses(every="2min", length=Lognormal(mean="40s", cv=1.0)),
        clock=SKEW,
        start_up="5s",
        autoscale=Autoscale(per_worker=4, min=1, max=6),
    )


def test_everything_at_once_loses_nothing() -> None:
    """Whatever goes wrong with machines, clocks and the store, the history is sound, and repeats itself."""
    world = everything_at_once()
    ran, events = run(world, seed=3)
    assert lost(events) > 10
    assert ran.log.digest() == run(world, seed=3)[0].log.digest()


def test_partition_ends_a_workers_process_when_its_patience_is_over() -> None:
    """Cut off for longer than it tries again, a worker gives up, and its successors until the end of that."""
    partition = Partition(start="1min", duration="3min", takes="1s", workers=(1,))
    ran, events = run(scenario(StorageModel(partitions=(partition,)), jobs=400))
    claims = [
        (e.at - BEGAN) / SECOND for e in events if e.kind is Kind.CLAIM and "worker-1." in str(e.worker)
    ]
    assert not [at for at in claims if 60 <= at < 240]
    assert {at > 240 for at in claims} == {True, False}
    assert min(count.workers for count in ran.headcounts) == 2
    assert ran.headcounts[-1].workers == 3


def outage_of_consumers(**scale: Any) -> Scenario:
    """Return a world whose attempts take long for five minutes, so that a backlog builds up."""
    slow = Outage(start="5min", duration="5min", takes="30s")
    world = scenario(count=1, start_up="20s", autoscale=Autoscale(per_worker=10, min=1, max=8, **scale))
    return world.with_(jobs=(world.jobs[0].model_copy(update={"failures": (slow,)}),))


def test_autoscale_follows_the_backlog() -> None:
    """More workers come with it, after their start-up, and go once it has been gone for a while."""
    ran, _ = run(outage_of_consumers(every="15s", patience="2min"))
    counts = [((c.at - BEGAN) / SECOND, c.workers) for c in ran.headcounts]
    assert [workers for _, workers in counts][:1] == [1]
    assert max(workers for _, workers in counts) == 8
    assert counts[-1][1] < 8
    ups = [at for (_, before), (at, after) in pairwise(counts) if after > before]
    assert all(at % 15 == pytest.approx(5) for at in ups)  # seen at a multiple of 15 s, there 20 s later
    assert all(c.slots == 4 * c.workers for c in ran.headcounts)
    table = SimResult(ran).headcount
    assert list(table.itertuples(index=False, name=None)) == [(at, n, 4 * n) for at, n in counts]


def test_utilisation_is_of_the_slots_that_were_there() -> None:
    """Where workers come and go by intent, it is the share of what they offered while jobs arrived."""
    ran, _ = run(outage_of_consumers(patience="1min"))
    counts, end = ran.headcounts, BEGAN + 900 * SECOND
    offered = sum(
        a.slots * (min(b, end) - min(a.at, end))
        for a, b in zip(counts, [*(c.at for c in counts[1:]), end], strict=True)
    )
    assert slots_of(ran) == pytest.approx(offered / (900 * SECOND))
    assert 4 < slots_of(ran) < 32
    assert 0 < SimResult(ran).runs["utilisation"].iloc[0] <= 1


def test_utilisation_is_not_told_by_clocks_that_differ() -> None:
    """Where each worker goes by its own clock, the times of the log do not add up."""
    ran, _ = run(scenario(StorageModel(clock="own"), jobs=60, clock=SKEW))
    assert math.isnan(SimResult(ran).runs["utilisation"].iloc[0])


def test_autoscale_waits_before_it_dismisses() -> None:
    """The longer its patience, the later the first worker goes."""
    last = [run(outage_of_consumers(patience=patience))[0].headcounts for patience in ("15s", "8min")]
    first_down = [
        next((b.at - BEGAN for a, b in pairwise(counts) if b.workers < a.workers), None) for counts in last
    ]
    assert first_down[0] is not None
    assert first_down[1] is None or first_down[1] > first_down[0] + 300 * SECOND


def test_dismissed_workers_end_their_attempts() -> None:
    """Scaling down loses and gives back nothing that can end within the time to shut down."""
    _, events = run(outage_of_consumers(patience="15s"))
    assert lost(events) == 0


def test_restarted_workers_work_after_their_start_up() -> None:
    """A crash costs the time until the restart and the start-up; those of the beginning are there."""
    crash = {"every": "2min", "restart_after": "10s"}
    ran, _ = run(scenario(count=1, crash=crash, start_up="20s"))
    counts = [(count.at, count.workers) for count in ran.headcounts]
    assert counts[0] == (BEGAN, 1)
    downs = [after - at for (at, workers), (after, _) in pairwise(counts) if workers == 0]
    assert len(downs) > 3
    assert set(downs) == {30 * SECOND}


def test_partition_names_workers_that_there_are() -> None:
    """A number beyond the count is refused, unless their number changes."""
    storage = StorageModel(partitions=(Partition(start="1m", duration="1m", workers=(4, 9)),))
    with pytest.raises(ConfigError, match="storage: partitions: there is no worker 9, only 4"):
        scenario(storage, count=4)
    scale = Autoscale(per_worker=1, max=5)
    assert scenario(storage, count=4, autoscale=scale).storage == storage


@pytest.mark.soak
@pytest.mark.parametrize("storage", ["memory", "sqlite"])
@pytest.mark.parametrize("clock", ["own", "server"])
@pytest.mark.parametrize("seed", range(20))
def test_everything_at_once_loses_nothing_at_length(storage: str, clock: str, seed: int) -> None:
    """The same under many seeds, with jobs that kill their workers and clients that enqueue again."""
    world = everything_at_once(clock)
    troubled = {
        "failures": (Independent(probability=0.2), Permanent(share=0.02, kills=True)),
        "resubmit": Resubmit(after="20s", times=2),
    }
    world = world.with_(jobs=(world.jobs[0].model_copy(update=troubled),))
    SimResult(run(world, seed, storage)[0])  # which checks itself
