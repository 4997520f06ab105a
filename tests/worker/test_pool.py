"""A worker from start to stop."""

import pytest

from jobsim.core.errors import StorageBusy, StorageForeign, StorageUnavailable
from jobsim.core.job import State
from jobsim.core.time import SECOND, Duration
from jobsim.core.transitions import Kind
from jobsim.testing.scripted import Act
from jobsim.worker.calls import TRIES
from jobsim.worker.pool import Worker
from tests.worker.stage import BEGAN, ERROR, Stage


def play(stage: Stage, worker: Worker, *stops: tuple[float, bool], until: float = 300) -> None:
    """Let `worker` work, and tell it to stop at each of these seconds, at once or not."""

    async def direct() -> None:
        stage.start(worker)
        for second, at_once in stops:
            await stage.until(second)
            worker.stop(at_once=at_once)
        await stage.until(until)

    stage.world.run(direct())


def shape(stage: Stage, id_: int) -> tuple[State, int, int]:
    """Return a job's state, attempt and token."""
    job = stage.job(id_)
    return job.state, job.attempt, job.token


def test_stop_drains() -> None:
    """Told to stop, a worker ends and settles what it runs, claims nothing more, and goes then."""
    stage = Stage({1: [Act(takes="5s")], 2: [Act(takes="8s")], 3: [Act()]})
    stage.enqueue(1, 2, 3)
    play(stage, stage.worker(slots=2), (1, False))
    assert stage.ended == [8]
    assert [stage.times(id_, Kind.SUCCEED) for id_ in (1, 2)] == [[5], [8]]
    assert shape(stage, 3) == (State.PENDING, 0, 0)


def test_stop_of_an_idle_worker_ends_it_at_once() -> None:
    """Nobody waits for a timer where nothing runs."""
    stage = Stage()
    play(stage, stage.worker(slots=3), (1, False))
    assert stage.ended == [1]


def test_stop_waits_at_most_the_shutdown_timeout_then_releases() -> None:
    """What still runs then is given back: due at once, the attempt not counted, the token kept."""
    stage = Stage({1: [Act(takes="100s")], 2: [Act(takes="4s")]})
    stage.enqueue(1, 2)
    play(stage, stage.worker(slots=2, shutdown_timeout="5s"), (1, False))
    assert stage.ended == [6]
    (release,) = stage.events(1, Kind.RELEASE)
    assert (release.at, release.due) == (BEGAN + 6 * SECOND, BEGAN + 6 * SECOND)
    assert (release.why.outcome, release.why.reason) == ("released", "shutdown")
    assert shape(stage, 1) == (State.PENDING, 0, 1)
    assert stage.times(2, Kind.SUCCEED) == [4]


def test_released_job_is_taken_by_a_worker_that_goes_on() -> None:
    """An idle worker that shares the bell begins it in the same instant."""
    stage = Stage({1: [Act(takes="100s"), Act()]})
    stage.enqueue(1)

    async def direct() -> None:
        leaves = stage.worker("leaves", shutdown_timeout="5s")
        stage.start(leaves)
        await stage.until(0.5)
        stage.start(stage.worker("stays"))
        await stage.until(1)
        leaves.stop()
        await stage.until(50)

    stage.world.run(direct())
    assert stage.executor.began == [(1, 0), (1, 6)]
    assert stage.times(1, Kind.SUCCEED) == [7]
    assert (stage.job(1).attempt, stage.job(1).token) == (1, 2)


@pytest.mark.parametrize("stops", [[(1, True)], [(1, False), (3, True)]])
def test_stop_at_once_gives_back_what_runs(stops: list[tuple[float, bool]]) -> None:
    """It may also follow upon a stop that still waits."""
    stage = Stage({1: [Act(takes="100s")]})
    stage.enqueue(1)
    play(stage, stage.worker(), *stops)
    assert stage.ended == [stops[-1][0]]
    assert shape(stage, 1) == (State.PENDING, 0, 1)


def test_stop_said_twice_is_one_stop() -> None:
    """A second stop that is not at once does not shorten the wait."""
    stage = Stage({1: [Act(takes="5s")]})
    stage.enqueue(1)
    play(stage, stage.worker(), (1, False), (2, False))
    assert stage.ended == [5]
    assert shape(stage, 1) == (State.SUCCEEDED, 1, 1)


def test_stop_without_a_shutdown_timeout_gives_back_at_once() -> None:
    """A worker that is to wait for nobody does not."""
    stage = Stage({1: [Act(takes="5s")]})
    stage.enqueue(1)
    play(stage, stage.worker(shutdown_timeout=0), (1, False))
    assert stage.ended == [1]
    assert shape(stage, 1) == (State.PENDING, 0, 1)


def test_stop_at_once_still_settles_what_is_finished() -> None:
    """What waits for a commit is written as it ended, not given back."""
    stage = Stage({1: [Act(takes="1s")], 2: [Act(takes="2s")], 3: [Act(takes="100s")]})
    stage.enqueue(1, 2, 3)

    async def direct() -> None:
        worker = stage.worker(slots=3)
        stage.start(worker)
        await stage.until(0.5)
        stage.runtime.takes["exchange"] = Duration(5 * SECOND)
        await stage.until(3)
        worker.stop(at_once=True)
        await stage.until(50)

    stage.world.run(direct())
    assert [shape(stage, id_)[0] for id_ in (1, 2, 3)] == [State.SUCCEEDED, State.SUCCEEDED, State.PENDING]
    assert all(not stage.events(id_, Kind.REFUSE) for id_ in (1, 2, 3))


def test_stop_before_the_start_ends_it_at_once() -> None:
    """A worker that is told to stop before it runs does not wait for a second word."""
    stage = Stage()
    worker = stage.worker()
    worker.stop()
    stage.play(worker, until=10)
    assert stage.ended == [0]


def test_burst_ends_when_nothing_is_due_and_nothing_runs() -> None:
    """It does what is due, what comes due meanwhile as well, and does not wait for what is due later."""
    stage = Stage({1: [Act(takes="3s")], 2: [Act(takes="2s")], 3: [Act(ERROR, "1s")], 4: [Act()]})
    stage.enqueue(1, 3)
    stage.enqueue(2, delay_s=2.5)
    stage.enqueue(4, delay_s=100)
    stage.play(stage.worker(slots=2, burst=True), until=50)
    assert stage.ended == [4.5]
    assert [shape(stage, id_)[0] for id_ in (1, 2, 3, 4)] == [
        State.SUCCEEDED,
        State.SUCCEEDED,
        State.FAILED,
        State.PENDING,
    ]


@pytest.mark.parametrize("commit", [0, SECOND])
def test_burst_with_nothing_to_do_ends_at_once(commit: int) -> None:
    """One look is enough."""
    stage = Stage()
    stage.runtime.takes["exchange"] = Duration(commit)
    stage.play(stage.worker(slots=3, burst=True), until=50)
    assert stage.ended == [commit / SECOND]


@pytest.mark.parametrize("method", ["exchange", "expired"])
def test_busy_store_is_waited_for(method: str) -> None:
    """A store that is busy for some seconds costs time, no job and no worker."""
    stage = Stage({1: [Act()]})
    stage.enqueue(1)
    stage.store.errors[method] = [StorageBusy("locked")] * 4 + [StorageUnavailable("gone")] * 3
    stage.play(stage.worker(lease="20s"), until=50)
    assert stage.store.errors[method] == []
    assert shape(stage, 1) == (State.SUCCEEDED, 1, 1)


def test_lease_got_on_a_busy_store_begins_when_it_is_got() -> None:
    """A claim that took long to be made has its whole lease before it."""
    stage = Stage({1: [Act()]})
    stage.enqueue(1)
    stage.store.errors["exchange"] = [StorageBusy("locked")] * 7
    stage.play(stage.worker(lease="20s"), until=50)
    (claim,) = stage.events(1, Kind.CLAIM)
    assert claim.at > BEGAN + 2 * SECOND
    assert claim.due == claim.at + 20 * SECOND


def test_store_that_stays_busy_surfaces() -> None:
    """After the bounded tries the worker ends with the store's own error."""
    stage = Stage()
    errors = [StorageBusy(f"locked {number}") for number in range(TRIES + 1)]
    stage.store.errors["exchange"] = list(errors)
    with pytest.raises(StorageBusy) as caught:
        stage.play(stage.worker(), until=100)
    assert caught.value is errors[-1]


@pytest.mark.parametrize("method", ["exchange", "expired"])
def test_store_that_is_not_ours_surfaces_at_once(method: str) -> None:
    """The first of the loops that fails ends the worker, with that error."""
    stage = Stage()
    stage.store.errors[method] = [StorageForeign("newer than this version")]
    with pytest.raises(StorageForeign, match="newer"):
        stage.play(stage.worker(slots=3), until=100)
    assert stage.seconds == 0
