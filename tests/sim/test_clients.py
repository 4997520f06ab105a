"""Those who enqueue: what they offer, what is acknowledged, and what they enqueue again."""

from jobsim.analysis.arrays import History
from jobsim.core.events import fold
from jobsim.core.ids import originals
from jobsim.core.job import State
from jobsim.core.time import SECOND
from jobsim.core.transitions import Kind
from jobsim.models import (
    CallFailures,
    Constant,
    Deterministic,
    InOrder,
    Outage,
    Partition,
    Permanent,
    Resubmit,
    StorageModel,
    Workers,
)
from jobsim.sim.result import SimResult
from jobsim.sim.scenario import JobClass, Scenario
from jobsim.sim.stage import BEGAN
from jobsim.sim.world import Run, run_world
from jobsim.testing.invariants import verify


def play(storage: StorageModel | None = None, drain: str = "1d", jobs: int = 60, **job: object) -> Run:
    """Return the run of a world in which a job comes every 10 s and takes one."""
    terms = {"kind": "a", "arrivals": Deterministic(every="10s", jobs=jobs), "service": Constant(value="1s")}
    scenario = Scenario(
        name="a",
        horizon=f"{10 * jobs}s",
        drain=drain,
        workers=Workers(count=4, slots=4),
        storage=storage,
        jobs=(JobClass(**terms | job),),  # type: ignore[arg-type]
        policies=["full_jitter"],
    )
    ran = run_world(scenario, scenario.policies["full_jitter"], 1)
    if ran.submissions:
        verify(ran.log, accepted=ran.submissions.acknowledged, offered=ran.submissions.offered)
    return ran


def test_clients_of_a_perfect_store_are_told_of_by_the_log() -> None:
    """Where nothing can go wrong with an enqueue, nothing else is kept of it."""
    ran = play()
    assert ran.submissions is None
    assert len(ran.log.jobs) == 60


def test_client_enqueues_again_what_does_not_succeed() -> None:
    """A job that has not succeeded is enqueued again so often, and told by its id; one that has is not."""
    outage = Outage(start="0s", duration="100s")
    ran = play(failures=(outage,), resubmit=Resubmit(after="15s", times=3), max_attempts=1)
    told = ran.submissions
    assert told is not None
    sent = {id_: event.at - BEGAN for event in ran.log for id_ in [event.job] if event.kind is Kind.ENQUEUE}
    by_original: dict[int, list[int]] = {}
    for again, original in told.resubmitted.items():
        by_original.setdefault(sent[original] // SECOND, []).append(sent[again] // SECOND)
    assert by_original[0] == [15, 30, 45]
    assert by_original[70] == [85, 100]  # the second of them came after the outage, and succeeded
    assert by_original[90] == [105]
    assert set(by_original) == set(range(0, 100, 10))
    assert originals(ran.log.jobs, times=3) == told.resubmitted


def test_measures_tell_original_from_resubmitted() -> None:
    """Of a run, they count the jobs that stand for another, and those that succeeded for nothing."""
    ran = play(service=Constant(value="10s"), resubmit=Resubmit(after="4s", times=2))
    row = SimResult(ran).runs.iloc[0]
    assert (row["jobs"], row["resubmitted"], row["duplicate_successes"]) == (180, 120, 120)
    again = play(service=Constant(value="10s"), resubmit=Resubmit(after="11s", times=2))
    row = SimResult(again).runs.iloc[0]
    assert (row["jobs"], row["resubmitted"], row["duplicate_successes"]) == (60, 0, 0)


def test_what_can_never_succeed_does_not_when_it_is_enqueued_again() -> None:
    """A resubmitted job is poison where its original is, and takes as long as that is recorded to take."""
    ran = play(failures=(Permanent(share=0.5),), resubmit=Resubmit(after="15s", times=3), max_attempts=1)
    assert ran.submissions is not None
    succeeded = {id_ for id_, standing in fold(ran.log).items() if standing.state is State.SUCCEEDED}
    assert 20 < len(succeeded) < 40
    assert not succeeded & set(ran.submissions.resubmitted)
    places = InOrder(values=[f"{n}s" for n in range(1, 61)])
    late = play(service=places, resubmit=Resubmit(after="5s", times=1), max_attempts=1)
    assert late.submissions is not None
    attempts = History.of(late.log).attempts
    took = dict(zip(attempts.job.tolist(), (attempts.ended - attempts.started).tolist(), strict=True))
    number = {id_: place for place, id_ in enumerate(late.log.jobs)}
    again = late.submissions.resubmitted
    assert len(again) > 40
    assert all(took[number[id_]] == took[number[first]] for id_, first in again.items())


def test_run_goes_on_while_a_client_may_enqueue() -> None:
    """That all jobs are final is not the end, as long as one may be enqueued again."""
    ran = play(jobs=1, failures=(Permanent(),), resubmit=Resubmit(after="10min", times=2), max_attempts=1)
    assert [(event.at - BEGAN) // SECOND for event in ran.log if event.kind is Kind.ENQUEUE] == [0, 600, 1200]
    assert {standing.state for standing in fold(ran.log).values()} == {State.DEAD_LETTER}


def test_client_that_enqueues_in_vain_is_not_acknowledged() -> None:
    """Cut off for longer than it tries, it gives up; what is acknowledged is in the log, all of it."""
    partition = Partition(start="95s", duration="2min", takes="1s", enqueuers=True)
    ran = play(StorageModel(partitions=(partition,)))
    told = ran.submissions
    assert told is not None
    assert len(told.offered) == 60
    assert 48 <= len(told.acknowledged) < 60
    assert sorted(told.acknowledged) == sorted(ran.log.jobs)


def test_client_that_hears_nothing_enqueues_once() -> None:
    """Where replies are lost, an enqueue is made again as the same, and accepted once."""
    ran = play(StorageModel(lost_replies=CallFailures(probability=0.5, calls=("enqueue",))))
    told = ran.submissions
    assert told is not None
    assert len(told.acknowledged) == len(ran.log.jobs) == 60
    assert any(event.at % (10 * SECOND) for event in ran.log if event.kind is Kind.CLAIM)


def test_client_may_enqueue_again_what_was_accepted_unheard() -> None:
    """A client that gave up on an enqueue enqueues another; both run if the first had been accepted."""
    partition = Partition(start="5s", duration="1min", takes="1s", enqueuers=True)
    ran = play(StorageModel(partitions=(partition,)), jobs=2, resubmit=Resubmit(after="1min"))
    told = ran.submissions
    assert told is not None
    assert len(told.offered) == 3
    assert set(told.resubmitted) <= set(told.acknowledged)
