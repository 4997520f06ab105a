"""Every rule of the history checker catches the corruption it is there for, and nothing sound."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from jobsim.core.decide import Decision, Settlement, Why
from jobsim.core.events import Event, EventLog, fold
from jobsim.core.job import Job, JobId, NewJob, WorkerId
from jobsim.core.time import SECOND, Duration, Instant
from jobsim.core.transitions import Kind
from jobsim.storage.memory import MemoryStorage
from jobsim.testing.invariants import Violation, check, verify
from jobsim.testing.rules import RULES

A, B, STRANGER = JobId(11), JobId(12), JobId(99)
ANN, BOB = WorkerId("ann"), WorkerId("bob")
_WHYS = {
    Kind.SUCCEED: Why("succeeded"),
    Kind.RETRY: Why("failed", "backoff", "ValueError"),
    Kind.DEAD_LETTER: Why("failed", "exhausted", "ValueError"),
    Kind.RELEASE: Why("released", "shutdown"),
}


def event(
    seq: int, kind: Kind, at: int, attempt: int, token: int, due: int | None = None, **more: Any
) -> Event:
    """Return an event of job A, by ann where a worker acts; times are in seconds."""
    worker = None if kind in (Kind.ENQUEUE, Kind.REQUEUE, Kind.CANCEL) else ANN
    plain = Event(
        seq,
        Instant(at * SECOND),
        A,
        kind,
        attempt,
        2,
        token,
        worker,
        None if due is None else Instant(due * SECOND),
        _WHYS.get(kind, Why()),
    )
    return replace(plain, **more)


def sound() -> list[Event]:
    """Return a history with every kind of event, in which nothing is wrong."""
    four = {"max_attempts": 4}
    lost = {"why": Why("lost", "backoff")}
    return [
        event(1, Kind.ENQUEUE, 0, 0, 0, due=5),
        event(2, Kind.CLAIM, 5, 1, 1, due=65),
        event(3, Kind.EXTEND, 25, 1, 1, due=85),
        event(4, Kind.RETRY, 86, 1, 1, due=90, **lost),
        event(5, Kind.REFUSE, 87, 1, 1, why=Why("succeeded")),
        event(6, Kind.CLAIM, 90, 2, 2, due=150, worker=BOB),
        event(7, Kind.DEAD_LETTER, 91, 2, 2, worker=BOB),
        event(8, Kind.REQUEUE, 100, 2, 2, due=100, **four),
        event(9, Kind.CLAIM, 100, 3, 3, due=160, **four),
        event(10, Kind.RELEASE, 101, 2, 3, due=101, **four),
        event(11, Kind.CLAIM, 101, 3, 4, due=161, **four),
        event(12, Kind.SUCCEED, 102, 3, 4, **four),
        event(13, Kind.ENQUEUE, 103, 0, 0, due=103, job=B),
        event(14, Kind.CANCEL, 104, 0, 0, job=B),
    ]


def changed(seq: int, **fields: Any) -> Callable[[list[Event]], list[Any]]:
    """Return a corruption: other values in the event `seq`."""
    return lambda events: [replace(e, **fields) if e.seq == seq else e for e in events]


def without(*seqs: int) -> Callable[[list[Event]], list[Any]]:
    """Return a corruption: the events `seqs` are missing."""
    return lambda events: [e for e in events if e.seq not in seqs]


def after(extra: object) -> Callable[[list[Event]], list[Any]]:
    """Return a corruption: one more event at the end."""
    return lambda events: [*events, extra]


def swapped(events: list[Event]) -> list[Event]:
    """Return the events with two of different jobs the wrong way round."""
    return [*events[:11], events[12], events[11], events[13]]


CORRUPTIONS: list[tuple[str, Callable[[list[Event]], list[Any]]]] = [
    ("well_formed", after(None)),
    ("well_formed", after({"seq": 15, "kind": "claim"})),
    ("well_formed", changed(2, worker=None)),
    ("well_formed", changed(2, due=None)),
    ("well_formed", changed(2, due="soon")),
    ("well_formed", changed(2, at=None)),
    ("well_formed", changed(2, attempt=True)),
    ("well_formed", changed(2, token=-1)),
    ("well_formed", changed(2, kind="claimed")),
    ("well_formed", changed(2, kind=["claim"])),
    ("well_formed", changed(2, job=[])),
    ("well_formed", changed(2, why=None)),
    ("well_formed", changed(2, why=Why(None))),  # type: ignore[arg-type]  # that is the corruption
    ("well_formed", changed(12, due=Instant(5))),
    ("in_order", swapped),
    ("legal", changed(12, kind=Kind.ENQUEUE, due=Instant(0))),
    ("legal", without(2)),
    ("legal", after(event(15, Kind.CLAIM, 105, 4, 5, due=165, max_attempts=4))),
    ("legal", after(event(15, Kind.REFUSE, 105, 1, 1, job=STRANGER))),
    ("attempts_counted", changed(4, attempt=0)),
    ("attempts_counted", changed(6, attempt=1)),
    ("attempts_counted", changed(10, attempt=3)),
    ("attempts_bounded", changed(6, attempt=3)),
    ("attempts_bounded", changed(4, attempt=2)),
    ("limit_kept", changed(6, max_attempts=3)),
    ("limit_kept", changed(8, max_attempts=2)),
    ("token_grows", changed(6, token=1)),
    ("token_grows", changed(11, token=3)),
    ("one_lease", without(4)),
    ("one_lease", changed(4, at=Instant(84 * SECOND))),
    ("fenced", changed(12, token=3)),
    ("fenced", changed(3, token=0)),
    ("fenced", changed(12, worker=BOB)),
    ("refused_rightly", lambda events: [*events[:11], event(12, Kind.REFUSE, 102, 3, 4)]),
    ("not_early", changed(2, at=Instant(4 * SECOND))),
    ("not_early", changed(6, at=Instant(89 * SECOND))),
    ("lease_kept", changed(3, due=Instant(64 * SECOND))),
    ("buried_for_a_reason", changed(7, why=Why("failed", "bad luck"))),
    ("buried_for_a_reason", changed(7, why=Why("failed"))),
    ("buried_for_a_reason", lambda events: [*events[:3], event(4, Kind.DEAD_LETTER, 26, 1, 1)]),
    ("final_stays", after(event(15, Kind.SUCCEED, 105, 3, 4, max_attempts=4))),
    ("final_stays", lambda events: [*events[:7], event(8, Kind.CANCEL, 92, 2, 2, worker=BOB)]),
]


def rules(found: list[Violation]) -> set[str]:
    """Return the names of the rules broken."""
    return {violation.rule for violation in found}


def test_check_finds_nothing_in_a_sound_history() -> None:
    """A history with every kind of event in its place has no violation."""
    assert {e.kind for e in sound()} == set(Kind)
    assert check(sound(), accepted=[A, B], offered=[A, B], drained=True) == []


@pytest.mark.parametrize(("rule", "corrupt"), CORRUPTIONS)
def test_check_catches_a_corrupt_history(rule: str, corrupt: Callable[[list[Event]], list[Any]]) -> None:
    """Each planted corruption is reported under the rule that it breaks, and never raises."""
    assert rule in rules(check(corrupt(sound())))


@pytest.mark.parametrize("rule", [rule.__name__ for rule in RULES])
def test_every_rule_has_a_corruption(rule: str) -> None:
    """No rule is asked of events without a test that it can say no."""
    assert rule in {name for name, _ in CORRUPTIONS}


def test_check_accepts_a_refusal_of_a_loss_whose_lease_was_renewed() -> None:
    """A reaper that comes after a renewal is refused rightly, although the token is in force."""
    late = event(4, Kind.REFUSE, 26, 1, 1, why=Why("lost", "backoff"))
    assert check([*sound()[:3], late]) == []


def test_conservation_misses_an_accepted_job() -> None:
    """An id that an enqueue returned and that the log does not know is lost."""
    found = check(sound(), accepted=[A, STRANGER])
    assert [(v.rule, v.job) for v in found] == [("conservation", STRANGER)]


def test_nothing_invented_finds_a_job_nobody_offered() -> None:
    """A job in the log that no enqueue was called with is reported."""
    found = check(sound(), offered=[A])
    assert [(v.rule, v.job) for v in found] == [("nothing_invented", B)]


def test_liveness_finds_what_the_drain_left() -> None:
    """A job that is not final after the drain is reported, and only then."""
    unfinished = sound()[:6]
    assert check(unfinished) == []
    assert rules(check(unfinished, drained=True)) == {"liveness"}


def stored() -> tuple[list[Event], list[Job]]:
    """Return the log and the jobs of a store with one job done and one waiting."""
    store = MemoryStorage()
    store.enqueue([NewJob(A, "a", Instant(0)), NewJob(B, "b", Instant(9))], Instant(0))
    [lease] = store.claim(ANN, ["default"], 2, Duration(60), Instant(1))
    store.settle([Settlement(lease, Decision(Kind.SUCCEED, Why("succeeded")))], Instant(2))
    return list(store.events()), store.find()


def test_log_equals_state_accepts_a_store_as_its_log_tells_it() -> None:
    """What the memory store holds is what its log says."""
    events, jobs = stored()
    assert check(events, jobs=jobs) == []


@pytest.mark.parametrize(
    "corrupt",
    [
        lambda jobs: jobs[:1],
        lambda jobs: [*jobs, jobs[0]],
        lambda jobs: [*jobs, replace(jobs[0], id=STRANGER)],
        lambda jobs: [jobs[0], replace(jobs[1], run_at=Instant(8))],
        lambda jobs: [replace(jobs[0], attempt=0), jobs[1]],
    ],
    ids=["missing", "twice", "unknown", "earlier", "attempt lowered"],
)
def test_log_equals_state_finds_what_differs(corrupt: Callable[[list[Job]], list[Job]]) -> None:
    """A job that the store lacks, has twice, has unlogged or holds otherwise is reported."""
    events, jobs = stored()
    assert rules(check(events, jobs=corrupt(jobs))) == {"log_equals_state"}


def test_verify_tells_the_rule_the_job_and_its_history() -> None:
    """The error names the rule, the job and each of its events, and no other job's."""
    with pytest.raises(AssertionError) as caught:
        verify(changed(6, token=1)(sound()))
    text = str(caught.value)
    assert text.startswith(f"token_grows: job {A}: token 1 after 1\n")
    assert "     3          +25s  extend       attempt 1/2 token 1 by ann due +1m25s\n" in text
    assert str(B) not in text


def test_verify_accepts_a_sound_history() -> None:
    """Where `check` finds nothing, `verify` says nothing."""
    verify(sound(), accepted=[A, B], drained=True)


def test_check_reads_an_event_log_as_it_reads_events() -> None:
    """The compact log of the memory store and of the analysis is a history like any other."""
    log = EventLog.of(sound())
    assert check(log, drained=True) == []
    assert fold(log).keys() == {A, B}
