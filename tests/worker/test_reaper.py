"""What dead workers held comes back."""

from jobsim.core.decide import Settlement
from jobsim.core.job import Lease, State, WorkerId
from jobsim.core.outcome import SUCCEEDED
from jobsim.core.streams import Streams
from jobsim.core.time import SECOND, Duration, Instant
from jobsim.core.transitions import Kind
from jobsim.storage.base import Storage
from jobsim.testing.scripted import Act
from jobsim.worker.calls import StorageCalls
from jobsim.worker.judge import judge
from jobsim.worker.reaper import PAGE, reaper
from tests.worker.stage import BEGAN, POLICY, Stage

GONE = WorkerId("gone")


def claim(stage: Stage, limit: int, lease_s: int = 8) -> list[Lease]:
    """Let a worker that does nothing more take jobs."""
    return stage.store.claim(GONE, ["default"], limit, Duration(lease_s * SECOND), stage.world.now())


async def reap(stage: Stage, storage: Storage, length_s: int = 8) -> None:
    """Run a reaper, for ever."""
    runtime = stage.runtime
    calls, decides = StorageCalls(runtime, Streams(1)), judge(runtime, lambda _: POLICY, Streams(1))
    await reaper(runtime, storage, calls, stage.bell, decides, Duration(length_s * SECOND))


def play(stage: Stage, until: float) -> None:
    """Let one reaper work until then."""

    async def direct() -> None:
        stage.here.start(reap(stage, stage.store))
        await stage.until(until)

    stage.world.run(direct())


def test_reaper_looks_at_once_and_four_times_a_lease() -> None:
    """A worker that starts after a crash finds what was lost before, and later losses within a quarter."""
    stage = Stage()
    play(stage, until=8.5)
    assert len(stage.store.looks) == 5


def test_reaper_brings_back_what_a_dead_worker_held() -> None:
    """A lease that has ended, and not before, is an attempt that was lost: it counts, and is retried."""
    stage = Stage()
    stage.enqueue(1)

    claim(stage, 1)
    play(stage, until=100)
    (lost,) = stage.events(1, Kind.RETRY)
    assert stage.times(1, Kind.RETRY) == [10]
    assert (lost.why.outcome, lost.attempt, lost.token, lost.worker) == ("lost", 1, 1, GONE)
    assert lost.due == BEGAN + 20 * SECOND


def test_reaper_leaves_leases_that_still_run() -> None:
    """What is renewed in time is nobody's loss."""
    stage = Stage()
    stage.enqueue(1)
    (lease,) = claim(stage, 1)
    stage.store.extend([lease], Instant(BEGAN + 100 * SECOND), BEGAN)
    play(stage, until=100)
    assert stage.job(1).state is State.RUNNING


def test_reaper_pages_through_many_losses() -> None:
    """More than a page of leases is read a page at a time, all in one look, each settled once, none twice."""
    stage = Stage()
    ids = range(1, 2 * PAGE + 3)
    stage.enqueue(*ids)
    claim(stage, len(ids), lease_s=1)
    play(stage, until=3)
    found = [look for look in stage.store.looks if look[1]]
    assert found == [(PAGE, PAGE), (PAGE, PAGE), (PAGE, 2)]
    assert {stage.job(id_).state for id_ in ids} == {State.FAILED}
    assert {tuple(stage.times(id_, Kind.RETRY)) for id_ in (1, PAGE, PAGE + 1, ids[-1])} == {(2,)}


def test_reaper_goes_on_past_what_is_refused() -> None:
    """A page of which nothing can be settled does not keep the reaper from the next, nor busy for ever."""
    stage = Stage()
    ids = range(1, PAGE + 2)
    stage.enqueue(*ids)
    claim(stage, len(ids), lease_s=1)
    refuse = stage.store.settle

    def settle(settlements: list[Settlement], now: Instant) -> list[bool]:
        refused = [False for s in settlements if s.lease.id <= PAGE]
        return refused + refuse(settlements[len(refused) :], now)

    stage.store.settle = settle  # type: ignore[method-assign,assignment]
    play(stage, until=3)
    assert stage.job(1).state is State.RUNNING
    assert stage.job(PAGE + 1).state is State.FAILED


def test_reaper_never_lowers_attempts() -> None:
    """A lost attempt counts: a job that takes its workers with it ends as a dead letter."""
    stage = Stage()
    stage.enqueue(1, max_attempts=3)

    async def direct() -> None:
        stage.here.start(reap(stage, stage.store))
        for attempt in (1, 2, 3):
            await stage.until(30 * attempt)
            (lease,) = claim(stage, 1)
            assert lease.attempt == attempt
        await stage.until(120)

    stage.world.run(direct())
    assert (stage.job(1).state, stage.job(1).attempt) == (State.DEAD_LETTER, 3)
    attempts = [event.attempt for event in stage.events(1)]
    assert attempts == sorted(attempts)


def test_reaper_rings_when_what_it_brought_back_is_due() -> None:
    """An idle worker is woken for the retry of a lost job as for any other."""
    stage = Stage({1: [Act()]})
    stage.enqueue(1)
    claim(stage, 1)
    stage.play(stage.worker(lease="8s"), until=60)
    assert stage.executor.began == [(1, 20)]


def test_reaper_that_comes_too_late_is_refused() -> None:
    """A lease renewed, or settled, after the reaper saw its end is left alone."""
    stage = Stage()
    stage.enqueue(1, 2)
    renewed, ended = claim(stage, 2)
    stage.runtime.takes["settle"] = Duration(SECOND)

    async def direct() -> None:
        stage.here.start(reap(stage, stage.store))
        await stage.until(10.5)
        stage.store.extend([renewed], Instant(BEGAN + 100 * SECOND), stage.here.now())
        decide = judge(stage.runtime, lambda _: POLICY, Streams(1))
        stage.store.settle([decide(ended, SUCCEEDED)], stage.here.now())
        await stage.until(20)

    stage.world.run(direct())
    assert stage.job(1).state is State.RUNNING
    assert stage.job(2).state is State.SUCCEEDED
    assert [stage.times(id_, Kind.REFUSE) for id_ in (1, 2)] == [[10], [10]]


def test_two_reapers_bring_a_job_back_once() -> None:
    """All workers look; the second settlement of one loss is refused."""
    stage = Stage()
    stage.enqueue(1)
    claim(stage, 1)
    stage.runtime.takes["settle"] = Duration(SECOND)

    async def direct() -> None:
        for _ in range(2):
            stage.here.start(reap(stage, stage.store))
        await stage.until(15)

    stage.world.run(direct())
    assert len(stage.events(1, Kind.RETRY)) == 1
    assert len(stage.events(1, Kind.REFUSE)) == 1
