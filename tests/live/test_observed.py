"""What is told of a worker, against what its store has written; the real engine in virtual time."""

from collections.abc import Iterator
from typing import Any, TypeVar

import pytest

from jobsim.core.budget import Budget, WhenEmpty
from jobsim.core.errors import IdTaken, StorageBusy
from jobsim.core.job import JobId, NewJob, WorkerId
from jobsim.core.limits import By, Limit, Scope
from jobsim.core.streams import Streams
from jobsim.core.time import SECOND, Duration
from jobsim.core.transitions import Kind
from jobsim.live.observed import observed
from jobsim.live.telemetry import (
    AttemptClaimed,
    AttemptEnded,
    JobsEnqueued,
    LeaseLost,
    StorageFailed,
    Telemetry,
    TelemetryEvent,
)
from jobsim.testing.scripted import Act
from jobsim.worker.pool import Worker
from jobsim.worker.settings import WorkerSettings
from tests.worker.stage import BEGAN, ERROR, POLICY, Stage

T = TypeVar("T")

PATIENCE_S = 60.0


class Watched:
    """A stage on which workers are observed; `heard` is what is told of them."""

    def __init__(self, script: dict[int, list[Act]]) -> None:
        self.stage = Stage(script)
        self.telemetry = Telemetry()
        self._heard: list[TelemetryEvent] = []
        self.telemetry.add(self._heard.append)

    def engine(self, name: str = "w1") -> tuple[Any, Any]:
        stage = self.stage
        return observed(stage.store, stage.executor, WorkerId(name), self.telemetry, stage.here.now)

    def worker(self, name: str = "w1", **settings: Any) -> Worker:
        values = WorkerSettings(**{"slots": 1, "poll": "1h", **settings})
        stage, engine = self.stage, self.engine(name)
        return Worker(
            WorkerId(name), stage.runtime, *engine, lambda _: POLICY, Streams(1), values, stage.bell
        )

    def heard(self, kind: type[T]) -> list[T]:
        assert self.telemetry.flush(PATIENCE_S)
        return [event for event in self._heard if isinstance(event, kind)]


@pytest.fixture
def watch() -> Iterator[Any]:
    """Return a function that sets a stage on which workers are observed."""
    watched: list[Watched] = []

    def make(script: dict[int, list[Act]]) -> Watched:
        watched.append(Watched(script))
        return watched[-1]

    yield make
    for each in watched:
        each.telemetry.close()


def test_each_attempt_is_told_from_claim_to_settlement(watch: Any) -> None:
    """A failure and its retry: when, how long the handler took, what was decided, and that it was kept."""
    watched = watch({1: [Act(ERROR, takes="2s"), Act(takes="3s")]})
    watched.stage.enqueue(1, delay_s=4)
    watched.stage.play(watched.worker(), until=60)
    claims = watched.heard(AttemptClaimed)
    assert [(claim.at - BEGAN, claim.lease.attempt) for claim in claims] == [
        (4 * SECOND, 1),
        (16 * SECOND, 2),
    ]
    assert [claim.wait for claim in claims] == [4 * SECOND, None]
    ends = watched.heard(AttemptEnded)
    assert [(end.decision.kind, end.decision.why.outcome) for end in ends] == [
        (Kind.RETRY, "failed"),
        (Kind.SUCCEED, "succeeded"),
    ]
    assert [end.took for end in ends] == [2 * SECOND, 3 * SECOND]
    assert [end.at for end in ends] == [e.at for e in watched.stage.events(1, Kind.RETRY, Kind.SUCCEED)]
    assert all(end.kept and end.worker == "w1" for end in ends)
    assert watched.heard(LeaseLost) == watched.heard(StorageFailed) == []


def test_a_lease_that_is_taken_away_is_told_as_lost(watch: Any) -> None:
    """The renewal that fails is told, and then that the late settlement was refused."""
    watched = watch({1: [Act(takes="50s")]})
    stage = watched.stage
    stage.enqueue(1)

    async def direct() -> None:
        stage.start(watched.worker(lease="9s"))
        await stage.until(1)
        stage.store.cancel([JobId(1)], stage.here.now())
        await stage.until(100)

    stage.world.run(direct())
    (lost,) = watched.heard(LeaseLost)
    assert (lost.at - BEGAN, lost.lease.id) == (3 * SECOND, 1)
    (end,) = watched.heard(AttemptEnded)
    assert (end.kept, end.took) == (False, 50 * SECOND)


def test_a_lost_worker_is_told_by_the_one_who_settles_for_it(watch: Any) -> None:
    """Nobody knows how long its handler ran."""
    watched = watch({1: [Act()]})
    stage = watched.stage
    stage.enqueue(1)
    stage.store.claim(WorkerId("dead"), ["default"], 1, Duration(5 * SECOND), BEGAN)
    stage.play(watched.worker(lease="8s"), until=30)
    lost, end = watched.heard(AttemptEnded)
    assert (lost.decision.why.outcome, lost.worker, lost.lease.worker, lost.took) == (
        "lost",
        "w1",
        "dead",
        None,
    )
    assert (end.decision.kind, end.lease.attempt) == (Kind.SUCCEED, 2)


def test_an_attempt_that_is_given_back_is_told(watch: Any) -> None:
    """A stop at once settles what runs as released."""
    watched = watch({1: [Act(takes="50s")]})
    stage = watched.stage
    stage.enqueue(1)

    async def direct() -> None:
        worker = watched.worker()
        stage.start(worker)
        await stage.until(1)
        worker.stop(at_once=True)
        await stage.until(2)

    stage.world.run(direct())
    (end,) = watched.heard(AttemptEnded)
    assert (end.decision.kind, end.decision.why.outcome, end.took) == (Kind.RELEASE, "released", None)


def test_a_call_that_fails_is_told_and_what_came_of_it_only_once(watch: Any) -> None:
    """Of an exchange that is made again, the claims and ends are told when it has worked."""
    watched = watch({1: [Act()]})
    watched.stage.store.errors = {
        "exchange": [StorageBusy("locked")],
        "expired": [StorageBusy("locked as well")],
    }
    watched.stage.enqueue(1)
    watched.stage.play(watched.worker(), until=30)
    assert {(e.call, e.error) for e in watched.heard(StorageFailed)} == {
        ("exchange", "locked"),
        ("expired", "locked as well"),
    }
    assert len(watched.heard(AttemptClaimed)) == len(watched.heard(AttemptEnded)) == 1


def test_what_a_budget_made_of_a_retry_is_told(watch: Any) -> None:
    """The decision is the one that was written: one retry is paid for, the next is a dead letter."""
    watched = watch({1: [Act(ERROR)], 2: [Act(ERROR)]})
    budget = Budget(capacity=1, first_try=0, per_second=0, when_empty=WhenEmpty.DEAD_LETTER)
    watched.stage.store.set_limits({Scope(By.KIND, "work"): Limit(budget=budget)})
    watched.stage.enqueue(1, 2)
    watched.stage.play(watched.worker(), until=5)
    paid, unpaid = watched.heard(AttemptEnded)
    assert (paid.decision.kind, paid.decision.why.reason, paid.decision.delay) == (
        Kind.RETRY,
        "backoff",
        10 * SECOND,
    )
    (written,) = watched.stage.events(2, Kind.DEAD_LETTER)
    assert (unpaid.decision.kind, unpaid.decision.why) == (Kind.DEAD_LETTER, written.why)
    assert unpaid.decision.due is None


def test_a_retry_that_a_budget_puts_off_is_told_with_its_time(watch: Any) -> None:
    """The delay is until the store will let it start, not that of the backoff."""
    watched = watch({1: [Act(ERROR)], 2: [Act(ERROR)]})
    budget = Budget(capacity=1, first_try=0, per_second=0.01)
    watched.stage.store.set_limits({Scope(By.QUEUE, "default"): Limit(budget=budget)})
    watched.stage.enqueue(1, 2)
    watched.stage.play(watched.worker(), until=5)
    _, late = watched.heard(AttemptEnded)
    (written,) = watched.stage.events(2, Kind.RETRY)
    assert written.due is not None
    assert late.decision.due == written.due
    assert late.decision.delay == written.due - written.at > 50 * SECOND


def test_ticks_of_schedules_are_told_by_the_worker_that_enqueued_them(watch: Any) -> None:
    """One that another was faster to enqueue is neither told nor an error."""
    watched = watch({})
    store, _ = watched.engine()
    job = NewJob(JobId(7), "tick", BEGAN)
    store.enqueue([job], BEGAN)
    with pytest.raises(IdTaken):
        store.enqueue([job], BEGAN)
    assert watched.heard(JobsEnqueued) == [JobsEnqueued(BEGAN, "tick", "default", (JobId(7),))]
    assert watched.heard(StorageFailed) == []
