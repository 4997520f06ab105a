"""Logs of any length and databases in use are judged as histories are, in little memory."""

import tracemalloc
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from jobsim.core.decide import SUCCESS, Settlement, Why
from jobsim.core.events import Event
from jobsim.core.job import Job, JobId, NewJob, State, WorkerId
from jobsim.core.outcome import Error, Failed
from jobsim.core.time import SECOND, Duration, Instant
from jobsim.core.transitions import Kind
from jobsim.storage.memory import MemoryStorage
from jobsim.testing.driving import judge
from jobsim.testing.inspection import MANY, Inspection, inspect_log, inspect_store
from jobsim.testing.invariants import check

ANN = WorkerId("ann")
NOW = Instant(0)
LEASE = Duration(10 * SECOND)


def filled(jobs: int = 9, done: int = 6, store: MemoryStorage | None = None) -> MemoryStorage:
    """Return a store where of so many jobs some have ended, every third as a dead letter, and one waits."""
    storage = store or MemoryStorage()
    storage.enqueue([NewJob(JobId(n), "work", NOW) for n in range(1, jobs + 1)], NOW)
    leases = storage.claim(ANN, ["default"], done, LEASE, NOW)
    ends = [
        judge(lease, Failed(Error("Permanent")), NOW) if lease.id % 3 == 0 else Settlement(lease, SUCCESS)
        for lease in leases
    ]
    storage.settle(ends, Instant(SECOND))
    return storage


def looked(events: Sequence[Event], *, drained: bool = False) -> Inspection:
    """Return what is said of a log."""
    return inspect_log(lambda: events, drained=drained)


def rules(found: Inspection) -> list[str]:
    """Return the rules that are broken, in the order in which that is told."""
    return [wrong.rule for wrong in found.broken]


def never() -> None:
    """Refuse to pause: nothing is to be looked at again."""
    raise AssertionError("nothing was in doubt")


def test_sound_log_is_counted() -> None:
    """Of a sound log it is told how much of it there was."""
    assert looked(list(filled().events())) == Inspection(events=21, jobs=9, broken=(), more=False)


def test_corrupt_log_is_told_of_as_a_history_is() -> None:
    """Whichever event is changed, and how: what `check` finds is found, and with its past."""
    sound = list(filled().events())
    changes: list[dict[str, Any]] = [
        {"token": 7},
        {"attempt": 3},
        {"worker": WorkerId("bob")},
        {"kind": Kind.CANCEL, "due": None},
        {"job": JobId(1)},
        {"seq": 1},
    ]
    found_any = 0
    for place in range(len(sound)):
        for change in changes:
            events = [*sound[:place], replace(sound[place], **change), *sound[place + 1 :]]
            whole = {(v.rule, v.job, v.problem, v.history) for v in check(events)}
            assert {(v.rule, v.job, v.problem, v.history) for v in looked(events).broken} == whole
            found_any += bool(whole)
    assert found_any > len(sound)


def test_first_broken_rule_is_told_first() -> None:
    """Violations come in the order of the log."""
    events = [replace(e, token=9) if e.seq in (17, 20) else e for e in filled().events()]
    found = looked(events)
    assert [v.history[-1].seq for v in found.broken] == sorted(v.history[-1].seq for v in found.broken)
    assert [v.history[-1].seq for v in found.broken][:1] == [17]


def test_job_that_is_enqueued_again_after_its_end_is_found() -> None:
    """What has ended for good is not forgotten: a second life is a violation."""
    events = list(filled(1, 1).events())
    again = replace(events[0], seq=4)
    assert rules(looked([*events, again]))[0] == "legal"


def test_refusals_after_the_end_are_sound() -> None:
    """A zombie that is refused after its job has ended breaks no rule."""
    store = filled(1, 0)
    [lease] = store.claim(ANN, ["default"], 1, LEASE, NOW)
    for _ in range(2):
        store.settle([Settlement(lease, SUCCESS)], NOW)
    assert [event.kind for event in store.events()][-1] is Kind.REFUSE
    assert looked(list(store.events())).broken == ()


def test_liveness_is_asked_for_by_name() -> None:
    """What still waits breaks a rule only where workers are said to have drained it."""
    store = filled()
    assert looked(list(store.events())).broken == ()
    assert rules(looked(list(store.events()), drained=True)) == ["liveness"] * 3
    assert inspect_store(store, never).broken == ()
    assert rules(inspect_store(store, never, drained=True)) == ["liveness"] * 3


def test_number_of_jobs_looked_at_is_bounded() -> None:
    """Where everything is wrong, it says so without looking at all of it."""
    found = looked(list(filled(MANY + 5, 0).events()), drained=True)
    assert (len(found.broken), found.more) == (MANY, True)
    assert not looked(list(filled(MANY, 0).events()), drained=True).more


def long_log(jobs: int) -> Iterator[Event]:
    """Yield the events of so many jobs whose tenth attempts succeed, made as they are asked for."""
    for seq in range(21 * jobs):
        number, step = divmod(seq, 21)
        attempt = (step + 1) // 2
        kind = (Kind.RETRY, Kind.CLAIM)[step % 2] if 0 < step < 20 else Kind.SUCCEED if step else Kind.ENQUEUE
        due = None if kind is Kind.SUCCEED else Instant(seq + (kind is Kind.CLAIM))
        job, why = JobId(number << 70), Why("failed", "backoff")
        yield Event(seq + 1, Instant(seq), job, kind, attempt, 50, attempt, ANN, due, why)


def test_memory_does_not_grow_with_the_events() -> None:
    """Jobs that have ended take a few bytes each, and their events nothing."""
    tracemalloc.start()
    found = inspect_log(lambda: long_log(2_000))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (found.events, found.jobs, found.broken) == (42_000, 2_000, ())
    assert peak < 400 * found.jobs


class Busy(MemoryStorage):
    """A store where a lease is renewed whenever its job is looked at, a few times."""

    looks = 10

    def get(self, job: JobId) -> Job | None:
        """Renew the lease of a job, and return that."""
        return self.get_many([job])[0]

    def get_many(self, jobs: Sequence[JobId]) -> list[Job | None]:
        """Renew the leases of jobs, and return those."""
        for lease in self.expired(9, Instant(2**61)):
            if lease.id in jobs and self.looks:
                self.looks -= 1
                self.extend([lease], Instant(lease.until + SECOND), NOW)
        return super().get_many(jobs)


def test_store_in_use_is_sound() -> None:
    """What others do between two looks at a job is no violation."""
    pauses: list[None] = []
    store = filled(4, 0, Busy())
    store.claim(ANN, ["default"], 3, LEASE, NOW)
    found = inspect_store(store, lambda: pauses.append(None))
    assert found.broken == ()
    assert pauses


class Losing(MemoryStorage):
    """A store that holds one job otherwise than its log says, or not at all, or logs nothing of one."""

    def __init__(self, lost: JobId, kept: dict[str, Any] | None, unlogged: int = 0) -> None:
        super().__init__()
        self._lost, self._kept, self._unlogged = lost, kept, JobId(unlogged)

    def get(self, job: JobId) -> Job | None:
        """Return the job."""
        return self.get_many([job])[0]

    def get_many(self, jobs: Sequence[JobId]) -> list[Job | None]:
        """Return the jobs."""
        return [self._changed(job) for job in super().get_many(jobs)]

    def _changed(self, job: Job | None) -> Job | None:
        if job is None or job.id != self._lost:
            return job
        return None if self._kept is None else replace(job, **self._kept)

    def events(self, after: int = 0, job: JobId | None = None) -> Iterator[Event]:
        """Yield events, but those of the job that is not in the log."""
        return (event for event in super().events(after, job) if event.job != self._unlogged)


@pytest.mark.parametrize("lost", [JobId(1), JobId(3), JobId(9)], ids=["succeeded", "dead letter", "waiting"])
@pytest.mark.parametrize("kept", [None, {"attempt": 9}, {"state": State.CANCELLED}], ids=str)
def test_job_that_is_not_as_the_log_says_is_found(lost: JobId, kept: dict[str, Any] | None) -> None:
    """In whatever state it is, a job that differs, or is missing, stays so when looked at again."""
    pauses: list[None] = []
    found = inspect_store(filled(store=Losing(lost, kept)), lambda: pauses.append(None))
    assert [(wrong.rule, wrong.job) for wrong in found.broken] == [("log_equals_state", lost)]
    assert pauses


def test_job_that_is_not_in_the_log_is_found() -> None:
    """A job without an event is a violation."""
    found = inspect_store(filled(store=Losing(JobId(0), None, 8)), lambda: None)
    assert [(wrong.rule, wrong.job) for wrong in found.broken] == [("log_equals_state", JobId(8))]


def test_pruned_store_is_sound() -> None:
    """Whole jobs are gone with their events, and the numbers of the others have gaps."""
    store = filled()
    assert store.prune([State.SUCCEEDED], Instant(60 * SECOND), 2) == 2
    found = inspect_store(store, never)
    assert (found.jobs, found.broken) == (7, ())
