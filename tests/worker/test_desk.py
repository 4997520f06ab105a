"""How slots and the store exchange finished attempts for new leases."""

import pytest

from jobsim.core.job import JobId, State
from jobsim.core.outcome import Snoozed
from jobsim.core.time import MILLISECOND, SECOND, Duration
from jobsim.core.transitions import Kind
from jobsim.testing.scripted import Act
from tests.worker.stage import ERROR, Stage


def settled(stage: Stage) -> list[int]:
    """Return how many attempts each exchange settled that settled any."""
    return [exchange.settled for exchange in stage.store.exchanges if exchange.settled]


def test_settlements_that_end_during_a_commit_share_the_next() -> None:
    """However many attempts end while one commit is in flight, one more pays for them all."""
    takes = {1: "3.5s", 2: "3s", 3: "3.1s", 4: "3.2s"}
    stage = Stage({id_: [Act(takes=time)] for id_, time in takes.items()})
    stage.enqueue(*takes)
    stage.runtime.takes["exchange"] = Duration(SECOND)
    stage.play(stage.worker(slots=4), until=20)
    assert stage.executor.began == [(1, 1), (2, 2), (3, 2), (4, 2)]
    assert settled(stage) == [1, 3]
    assert stage.store.counts()[State.SUCCEEDED] == 4


def test_short_attempts_are_waited_for_to_share_a_commit() -> None:
    """Where attempts take less than a quarter of a commit, one commit pays for those of all slots."""
    stage = Stage({id_: [Act(takes="1ms")] for id_ in range(1, 41)})
    stage.enqueue(*stage.script)
    stage.runtime.takes["exchange"] = Duration(8 * MILLISECOND)
    stage.play(stage.worker(slots=4), until=20)
    assert stage.store.counts()[State.SUCCEEDED] == 40
    assert settled(stage)[2:-2] == [4] * len(settled(stage)[2:-2])
    assert len(settled(stage)) <= 13


def test_long_attempts_are_hardly_held_up_by_waiting_for_others() -> None:
    """Waiting that brings nobody is not repeated for the next eight exchanges, and lasts at most 10 ms."""
    stage = Stage({id_: [Act(takes=f"{300 + 37 * id_}ms")] for id_ in range(1, 31)})
    stage.enqueue(*stage.script)
    stage.runtime.takes["exchange"] = Duration(80 * MILLISECOND)
    stage.play(stage.worker(slots=2), until=60)
    began = dict(stage.executor.began)
    late = [
        round(stage.times(id_, Kind.SUCCEED)[0] - began[id_] - (300 + 37 * id_) / 1000, 6)
        for id_ in range(1, 31)
    ]
    assert {seconds for seconds in late if 0 < seconds < 0.08} == {0.01}
    assert late.count(0.01) <= 1 + 30 // 9


def test_new_jobs_are_not_held_up_by_running_attempts() -> None:
    """A slot that looks for work and brings nothing to settle waits for nobody."""
    stage = Stage({1: [Act(takes="30s")], 2: [Act(takes="1s")]})
    stage.runtime.takes["exchange"] = Duration(8 * MILLISECOND)

    async def direct() -> None:
        stage.enqueue(1)
        stage.start(stage.worker(slots=2))
        await stage.until(5)
        stage.enqueue(2)
        stage.bell.ring()
        await stage.until(20)

    stage.world.run(direct())
    assert stage.executor.began[1] == (2, 5.008)


def test_exchanges_that_take_no_time_are_not_shared() -> None:
    """Where a commit costs nothing, nobody waits for another: each slot is served as it comes."""
    stage = Stage({id_: [Act()] for id_ in range(1, 5)})
    stage.enqueue(*stage.script)
    stage.play(stage.worker(slots=4), until=20)
    assert settled(stage) == [1, 1, 1, 1]
    assert stage.executor.began == [(id_, 0) for id_ in (1, 2, 3, 4)]


def test_slot_gets_its_next_job_only_after_its_last_is_settled() -> None:
    """One exchange settles and claims: no attempt begins before the one before it in the slot is written."""
    stage = Stage({id_: [Act()] for id_ in (1, 2, 3)})
    stage.enqueue(1, 2, 3)
    stage.runtime.takes["exchange"] = Duration(SECOND)
    stage.play(stage.worker(), until=20)
    assert stage.executor.began == [(1, 1), (2, 3), (3, 5)]
    assert [(e.at, e.settled, e.limit) for e in stage.store.exchanges] == [
        (1, 0, 1),
        (3, 1, 1),
        (5, 1, 1),
        (7, 1, 1),
    ]


@pytest.mark.parametrize("commit", [0, 1, 30 * MILLISECOND, 2 * SECOND])
@pytest.mark.parametrize("workers", [1, 2])
def test_claims_never_exceed_waiting_slots(commit: int, workers: int) -> None:
    """No job is held back under a lease by a worker that has no slot free for it, however slow the store."""
    stage = Stage({id_: [Act(takes=f"{17 * id_ % 7 * 100}ms")] for id_ in range(1, 41)})
    stage.enqueue(*range(1, 31))
    stage.enqueue(*range(31, 41), delay_s=5)
    stage.runtime.takes["exchange"] = Duration(commit)
    crew = [stage.worker(f"w{number}", slots=3) for number in range(workers)]
    stage.play(*crew, until=600)
    assert stage.store.counts()[State.SUCCEEDED] == 40
    assert all(1 <= exchange.limit <= 3 for exchange in stage.store.exchanges)
    if workers == 1:
        assert all(exchange.limit + exchange.busy <= 3 for exchange in stage.store.exchanges)
    claimed = {(id_, round(stage.times(id_, Kind.CLAIM)[0] + commit / SECOND, 6)) for id_ in range(1, 41)}
    assert set(stage.executor.began) == claimed


def test_jobs_run_by_priority_then_by_age() -> None:
    """The slot that comes free takes the most urgent job, and of equals the one that is due for longest."""
    stage = Stage({id_: [Act()] for id_ in range(1, 6)})
    stage.enqueue(1)
    stage.enqueue(2, 3)
    stage.enqueue(4, priority=1)
    stage.enqueue(5, priority=9)
    stage.play(stage.worker(), until=20)
    assert [id_ for id_, _ in stage.executor.began] == [5, 4, 1, 2, 3]


def test_retry_wakes_an_idle_slot_at_its_due_time() -> None:
    """A retry begins to the microsecond when its delay is over, not when somebody polls."""
    stage = Stage({1: [Act(ERROR, "1s"), Act(ERROR, "2s"), Act()]})
    stage.enqueue(1)
    stage.play(stage.worker(slots=2), until=60)
    assert stage.executor.began == [(1, 0), (1, 11), (1, 23)]
    assert stage.job(1).state is State.SUCCEEDED


def test_snooze_wakes_an_idle_slot_at_its_due_time() -> None:
    """What a handler put off is begun when it said."""
    stage = Stage({1: [Act(Snoozed(Duration(7 * SECOND))), Act()]})
    stage.enqueue(1)
    stage.play(stage.worker(), until=60)
    assert stage.executor.began == [(1, 0), (1, 8)]


def test_scheduled_jobs_wake_idle_slots_one_after_the_other() -> None:
    """The exchange that takes one job learns when the next is due; equal times are no trouble."""
    stage = Stage({id_: [Act(takes="30s")] for id_ in range(1, 5)})
    stage.enqueue(1, delay_s=9)
    stage.enqueue(2, 3, delay_s=5)
    stage.enqueue(4, delay_s=5.000001)
    stage.play(stage.worker(slots=4), until=20)
    assert stage.executor.began == [(2, 5), (3, 5), (4, 5.000001), (1, 9)]


def test_idle_worker_that_nobody_wakes_looks_after_its_poll() -> None:
    """A job of which nothing was heard waits for a poll, spread over half its interval, and no longer."""
    stage = Stage({1: [Act()]})

    async def direct() -> None:
        stage.start(stage.worker(poll="10s", slots=3))
        await stage.until(1)
        stage.enqueue(1)
        await stage.until(40)

    stage.world.run(direct())
    ((_, began),) = stage.executor.began
    assert 7.5 <= began <= 12.6
    assert len([e for e in stage.store.exchanges if 0 < e.at < began]) == 0


def test_one_ring_is_enough_for_many_jobs() -> None:
    """The slot that was woken wakes others while there is more to do, at the same instant."""
    stage = Stage({id_: [Act(takes="9s")] for id_ in range(1, 9)})

    async def direct() -> None:
        stage.start(stage.worker(slots=5), stage.worker("w2", slots=5))
        await stage.until(1)
        stage.enqueue(*range(1, 9))
        stage.bell.ring()
        await stage.until(5)

    stage.world.run(direct())
    assert stage.executor.began == [(id_, 1) for id_ in range(1, 9)]


@pytest.mark.parametrize("jobs", [1, 2])
def test_ring_costs_one_exchange_a_job(jobs: int) -> None:
    """Idle slots that nothing is there for are not woken."""
    stage = Stage({id_: [Act(takes="9s")] for id_ in range(1, jobs + 1)})

    async def direct() -> None:
        stage.start(stage.worker(slots=5), stage.worker("w2", slots=5))
        await stage.until(1)
        stage.enqueue(*range(1, jobs + 1))
        stage.bell.ring()
        await stage.until(5)

    stage.world.run(direct())
    assert [exchange.at for exchange in stage.store.exchanges if exchange.at] == [1] * jobs


def test_late_settlement_after_a_lost_lease_is_refused() -> None:
    """What another has cancelled meanwhile stays so; the slot goes on with the next job."""
    stage = Stage({1: [Act(takes="2s")], 2: [Act()]})
    stage.enqueue(1, 2)

    async def direct() -> None:
        stage.start(stage.worker())
        await stage.until(1)
        stage.store.cancel([JobId(1)], stage.here.now())
        await stage.until(20)

    stage.world.run(direct())
    assert stage.times(1, Kind.REFUSE) == [2]
    assert stage.job(1).state is State.CANCELLED
    assert stage.executor.began == [(1, 0), (2, 2)]


def test_lease_lost_unnoticed_gives_way_to_its_successor() -> None:
    """A worker that gets its own lost job again stops the old attempt and keeps the new."""
    stage = Stage({1: [Act(takes="100s"), Act(takes="5s")]})
    stage.enqueue(1)
    stage.runtime.takes["extend"] = Duration(3600 * SECOND)  # the heartbeat hears nothing
    stage.play(stage.worker(slots=2, lease="8s"), until=200)
    assert stage.times(1, Kind.RETRY) == [10]
    assert stage.executor.began == [(1, 0), (1, 20)]
    assert stage.executor.abandoned == [(1, 1, 20)]
    assert stage.times(1, Kind.SUCCEED) == [25]
    assert [(event.token, stage.times(1, Kind.REFUSE)) for event in stage.events(1, Kind.REFUSE)] == [
        (1, [100])
    ]


def test_lease_that_comes_after_the_close_is_given_back() -> None:
    """A claim that was in flight at the stop is released by the next exchange, before the worker goes."""
    stage = Stage({1: [Act()]})
    stage.enqueue(1)
    stage.runtime.takes["exchange"] = Duration(2 * SECOND)

    async def direct() -> None:
        worker = stage.worker()
        stage.start(worker)
        await stage.until(1)
        worker.stop()
        await stage.until(20)

    stage.world.run(direct())
    assert stage.executor.began == []
    assert [event.kind for event in stage.events(1)] == [Kind.ENQUEUE, Kind.CLAIM, Kind.RELEASE]
    assert (stage.job(1).state, stage.job(1).attempt, stage.job(1).token) == (State.PENDING, 0, 1)
    assert stage.ended == [4]
