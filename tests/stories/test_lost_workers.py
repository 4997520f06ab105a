"""Workers that die, stand still, are slow to renew, or are told to stop: stories told of other queues.

The rule of each is held by every kind of store; `tests/stories/test_stories.py` says which story it is.
"""

from itertools import accumulate
from typing import Final

from jobsim.core.backoff import Fixed
from jobsim.core.decide import Settlement
from jobsim.core.job import State
from jobsim.core.limits import By, Limit, Scope
from jobsim.core.policy import RetryPolicy
from jobsim.core.time import SECOND, Duration
from jobsim.core.transitions import Kind
from jobsim.storage.base import Storage
from jobsim.storage.troubles import Mishap, Script, Trouble
from jobsim.testing.conformance_base import SUCCEED, at, claim, job_id, lose, settle, start, stored
from jobsim.testing.invariants import verify
from jobsim.testing.scripted import Act
from jobsim.worker.pool import Worker
from tests.stories.company import DEADLY, Company

ONE: Final = {Scope(By.KIND, "mail"): Limit(running=1)}


def most_at_a_time(storage: Storage) -> int:
    """Return how many jobs ran at once at most, as the log has it."""
    steps = {Kind.CLAIM: 1, Kind.SUCCEED: -1, Kind.RETRY: -1}
    return max(accumulate(steps.get(event.kind, 0) for event in storage.events()))


def test_worker_that_stood_still_changes_nothing_of_its_successor(storage: Storage) -> None:
    """One taken for dead, who lives and ends its run, neither ends the job again nor frees a place twice."""
    storage.set_limits(ONE)
    company = Company(storage, {1: [Act(takes="5s"), Act(takes="30s")], 2: [Act(takes="5s")]})
    company.enqueue(1, 2)
    ann = company.hire("ann")
    company.play(
        (1, lambda: ann.machine.pause(Duration(20 * SECOND))),
        (2, lambda: company.hire("bob")),
        (25, lambda: company.hire("eve")),
        until=120,
    )
    assert company.runs[0][:2] == (1, "ann")
    assert len(company.events(1, Kind.REFUSE)) == 1
    assert company.job(1).worker is None
    assert [len(company.events(1, kind)) for kind in (Kind.CLAIM, Kind.SUCCEED)] == [2, 1]
    assert most_at_a_time(storage) == 1
    assert storage.counts()[State.SUCCEEDED] == 2


def test_job_that_ends_while_it_is_being_rescued_stays_ended(storage: Storage) -> None:
    """What its worker settled, after a reaper has seen the lease end and before it says so, is not undone."""
    late = start(storage)
    assert storage.expired(9, at(61)) == [late]
    assert settle(storage, late, SUCCEED, now=at(61))
    assert not settle(storage, late, lose(at(70)), now=at(62))
    assert storage.counts()[State.SUCCEEDED] == 1
    verify(storage.events(), jobs=storage.find(), drained=True)


def test_job_that_was_rescued_by_another_is_not_rescued_again(storage: Storage) -> None:
    """A list of the lost that was read before is no right to anything."""
    lost = start(storage)
    stale = storage.expired(9, at(61))
    assert settle(storage, lost, lose(at(61)), now=at(61))
    [again] = claim(storage, now=at(62))
    assert storage.settle([Settlement(lease, lose(at(70))) for lease in stale], at(200)) == [False]
    assert stored(storage, again.id).token == again.token
    assert settle(storage, again, SUCCEED, now=at(201))
    verify(storage.events(), jobs=storage.find(), drained=True)


def test_long_job_runs_once_as_long_as_its_worker_lives(storage: Storage) -> None:
    """How long a run has taken says nothing: while its lease is renewed, nobody else takes the job."""
    company = Company(storage, {1: [Act(takes="47m")]})
    company.enqueue(1)
    for name in ("ann", "bob"):
        company.hire(name, lease="60s", poll="10s")
    company.play(until=3_000)
    assert [run[0] for run in company.runs] == [1]
    assert company.times(1, Kind.SUCCEED) == [47 * 60]


def test_renewals_that_are_slow_or_fail_now_and_then_keep_the_lease(storage: Storage) -> None:
    """Leases are renewed so often that one renewal may fail and the next take a second."""
    company = Company(storage, {1: [Act(takes="60s")]})
    company.enqueue(1)
    slow, lost = Trouble(takes=Duration(SECOND)), Trouble(Mishap.BUSY)
    company.hire("ann", Script({n: (slow, lost)[n % 2] for n in range(1, 100)}, ("extend",)))
    company.hire("bob")
    company.play(until=90)
    assert [run[:2] for run in company.runs] == [(1, "ann")]
    assert company.job(1).state is State.SUCCEEDED


def test_worker_that_returns_under_its_name_does_not_keep_its_old_jobs(storage: Storage) -> None:
    """A job belongs to a lease, not to a name: that somebody of the name lives does not make it alive."""
    company = Company(storage, {1: [Act(takes="5s")]})
    company.enqueue(1)
    ann = company.hire("ann")
    company.play((1, ann.machine.kill), (2, lambda: company.hire("ann")), until=60)
    assert [(number, name) for number, name, _ in company.runs] == [(1, "ann")] * 2
    assert company.runs[1][2] >= 9
    assert company.job(1).state is State.SUCCEEDED


def test_job_of_a_dead_worker_follows_the_retry_policy(storage: Storage) -> None:
    """It waits as after an error, and is tried again; it is not simply failed."""
    company = Company(storage, policy=RetryPolicy(Fixed("20s"), max_attempts=5))
    company.enqueue(1)
    ann = company.hire("ann")
    company.play((0.5, ann.machine.kill), (1, lambda: company.hire("bob")), until=60)
    [lost] = company.events(1, Kind.RETRY)
    assert (lost.why.outcome, lost.due) == ("lost", lost.at + 20 * SECOND)
    assert company.job(1).state is State.SUCCEEDED


def test_job_that_kills_its_workers_ends_as_a_dead_letter(storage: Storage) -> None:
    """Every crash is an attempt, and bringing the job back gives none back."""
    company = Company(storage)
    company.enqueue(1, kind=DEADLY, max_attempts=3)
    company.enqueue(2)
    crew = [(20.0 * n, lambda n=n: company.hire(f"worker-{n}")) for n in range(5)]
    company.play(*crew, until=120)
    assert [event.attempt for event in company.events(1, Kind.CLAIM)] == [1, 2, 3]
    assert company.job(1).state is State.DEAD_LETTER
    assert company.job(2).state is State.SUCCEEDED


def test_orphan_in_the_last_place_is_brought_back(storage: Storage) -> None:
    """A dead worker's job counts against the limit until its lease ends, and not for itself."""
    storage.set_limits(ONE)
    company = Company(storage)
    company.enqueue(1, 2)
    ann = company.hire("ann")
    company.play((0.5, ann.machine.kill), (1, lambda: company.hire("bob", slots=2)), until=60)
    assert storage.counts()[State.SUCCEEDED] == 2


class Stop:
    """Tells a worker to stop in the midst of its n-th call of the store."""

    def __init__(self, call: int, *, at_once: bool) -> None:
        self.worker: Worker | None = None
        self._left = call
        self._at_once = at_once

    def __call__(self, _: str) -> Trouble:
        """Count the calls, each of which takes a moment."""
        self._left -= 1
        if not self._left and self.worker is not None:
            self.worker.stop(at_once=self._at_once)
        return Trouble(takes=Duration(100_000))


def test_stop_at_any_moment_loses_nothing(storage: Storage) -> None:
    """A worker told to stop in the midst of whatever call ends or gives back all that it has claimed."""
    company = Company(storage, policy=RetryPolicy(Fixed("1s"), max_attempts=5))
    seen = Script({})
    company.enqueue(1, 2, 3)
    company.hire("calls", seen, burst=True)
    company.play(until=60)
    calls = len(seen.seen)
    assert calls > 3
    stops = [(n, at_once) for n in range(1, calls + 1) for at_once in (False, True)]
    for number, (call, at_once) in enumerate(stops, 1):
        jobs = [10 * number + n for n in (1, 2, 3)]
        again = Company(storage, began=at(1_000 * number))
        again.enqueue(*jobs)
        stop = Stop(call, at_once=at_once)
        stop.worker = again.hire("stopped", stop).worker
        again.play(until=30)
        states = {again.job(job).state for job in jobs}
        assert states <= {State.SUCCEEDED, State.PENDING}, (call, at_once)
        assert all(again.job(job).attempt == len(again.events(job, Kind.SUCCEED)) for job in jobs)
        storage.cancel([job_id(job) for job in jobs], at(1_000 * number + 500))
