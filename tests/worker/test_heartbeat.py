"""Leases are renewed while their worker lives."""

import pytest

from jobsim.core.errors import StorageBusy, StorageForeign
from jobsim.core.job import JobId, State
from jobsim.core.time import SECOND, Duration
from jobsim.core.transitions import Kind
from jobsim.testing.scripted import Act
from tests.worker.stage import Stage


def test_heartbeat_renews_at_a_third_of_the_lease() -> None:
    """A job that runs longer than its lease keeps it: it is renewed three times a lease, in full."""
    stage = Stage({1: [Act(takes="20s")]})
    stage.enqueue(1)
    stage.play(stage.worker(lease="9s"), until=30)
    assert stage.times(1, Kind.EXTEND) == [3, 6, 9, 12, 15, 18]
    assert {(event.due or 0) - event.at for event in stage.events(1, Kind.EXTEND)} == {9 * SECOND}
    assert stage.times(1, Kind.SUCCEED) == [20]
    assert stage.job(1).attempt == 1


def test_heartbeat_leaves_young_leases_alone() -> None:
    """A lease of which less than a third is over is renewed by the next beat."""
    stage = Stage({1: [Act(takes="8s")], 2: [Act(takes="8s")]})
    stage.enqueue(1)
    stage.enqueue(2, delay_s=2)
    stage.play(stage.worker(lease="9s", slots=2), until=7)
    assert stage.times(1, Kind.EXTEND) == [3, 6]
    assert stage.times(2, Kind.EXTEND) == [6]


def test_heartbeat_asks_nothing_of_the_store_while_idle() -> None:
    """Where nothing is held, nothing is renewed, and the store is left in peace."""
    stage = Stage({1: [Act()]})
    stage.enqueue(1)
    stage.store.errors["extend"] = [StorageForeign("nobody should ask")]
    stage.play(stage.worker(lease="9s"), until=100)
    assert stage.store.errors["extend"]


def test_heartbeat_renews_leases_whose_settlement_waits_for_a_commit() -> None:
    """Neither what a commit in flight settles nor what waits for the next is lost, however long it takes."""
    stage = Stage({1: [Act(takes="1s")], 2: [Act(takes="2s")]})
    stage.enqueue(1, 2)

    async def direct() -> None:
        stage.start(stage.worker(lease="9s", slots=2))
        await stage.until(0.5)
        stage.runtime.takes["exchange"] = Duration(20 * SECOND)
        await stage.until(20.5)
        assert stage.store.counts()[State.RUNNING] == 2
        await stage.until(50)

    stage.world.run(direct())
    assert stage.times(1, Kind.EXTEND) == [3, 6, 9, 12, 15, 18]
    assert stage.times(2, Kind.EXTEND) == [3, 6, 9, 12, 15, 18, 21, 24, 27, 30, 33, 36, 39]
    for id_ in (1, 2):
        kinds = [event.kind for event in stage.events(id_) if event.kind is not Kind.EXTEND]
        assert kinds == [Kind.ENQUEUE, Kind.CLAIM, Kind.SUCCEED]


def test_heartbeat_renews_leases_while_they_are_given_back() -> None:
    """A worker that is told to stop as leases come in loses none, however long it takes to give them back."""
    takes = {1: "1s", 2: "1100ms", 3: "1200ms", 4: "99s", 5: "99s", 6: "99s"}
    stage = Stage({id_: [Act(takes=time)] for id_, time in takes.items()})
    stage.enqueue(*takes)

    async def direct() -> None:
        worker = stage.worker(lease="9s", slots=3)
        stage.start(worker)
        await stage.until(0.5)
        stage.runtime.takes |= {"exchange": Duration(5 * SECOND), "settle": Duration(20 * SECOND)}
        await stage.until(11.01)
        worker.stop(at_once=True)
        await stage.until(30)
        assert stage.store.expired(9, stage.here.now()) == []
        await stage.until(50)

    stage.world.run(direct())
    assert stage.times(6, Kind.CLAIM) == [6.01]
    for id_ in (4, 5, 6):
        assert (stage.job(id_).state, stage.job(id_).attempt) == (State.PENDING, 0)


def test_heartbeat_abandons_an_attempt_whose_lease_is_lost() -> None:
    """A job that was cancelled is stopped at the next beat, and its late settlement is refused."""
    stage = Stage({1: [Act(takes="5s")]})
    stage.enqueue(1)

    async def direct() -> None:
        stage.start(stage.worker(lease="9s"))
        await stage.until(1)
        stage.store.cancel([JobId(1)], stage.here.now())
        await stage.until(20)

    stage.world.run(direct())
    assert stage.executor.abandoned == [(1, 1, 3)]
    assert stage.times(1, Kind.REFUSE) == [5]
    assert stage.job(1).state is State.CANCELLED


def test_heartbeat_survives_a_busy_store() -> None:
    """A renewal that fails for a while is made again, and lasts from when it was made."""
    stage = Stage({1: [Act(takes="5s")]})
    stage.enqueue(1)
    stage.store.errors["extend"] = [StorageBusy("locked")] * 3
    stage.play(stage.worker(lease="9s"), until=20)
    (renewal,) = stage.events(1, Kind.EXTEND)
    assert 3 < stage.times(1, Kind.EXTEND)[0] < 3.5
    assert renewal.due == renewal.at + 9 * SECOND
    assert stage.job(1).state is State.SUCCEEDED


def test_heartbeat_that_fails_for_good_ends_the_worker() -> None:
    """A worker that cannot renew its leases says why, rather than go on without them."""
    stage = Stage({1: [Act(takes="5s")]})
    stage.enqueue(1)
    stage.store.errors["extend"] = [StorageForeign("another's file")]
    with pytest.raises(StorageForeign, match="another's file"):
        stage.play(stage.worker(lease="9s"), until=20)
    assert stage.seconds == 3
