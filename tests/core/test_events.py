from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobsim.core.decide import Why
from jobsim.core.errors import IllegalTransition
from jobsim.core.events import RECORD, Event, EventLog, Standing, fold, standing, step
from jobsim.core.job import Job, JobId, State, WorkerId
from jobsim.core.time import Duration, Instant
from jobsim.core.transitions import TRANSITIONS, Kind

JOB = JobId(7)
W = WorkerId("w1")

events = st.builds(
    Event,
    seq=st.just(0),
    at=st.integers(0, 2**62).map(Instant),
    job=st.integers(1, 5).map(JobId),
    kind=st.sampled_from(Kind),
    attempt=st.integers(0, 2**31 - 1),
    max_attempts=st.integers(1, 2**31 - 1),
    token=st.integers(0, 2**31 - 1),
    worker=st.none() | st.text(max_size=3).map(WorkerId),
    due=st.none() | st.integers(0, 2**62).map(Instant),
    why=st.builds(Why, st.text(max_size=3), st.text(max_size=3), st.text(max_size=3)),
)
histories = st.lists(events, max_size=20).map(
    lambda found: [replace(event, seq=number) for number, event in enumerate(found, 1)]
)


def event(kind: Kind, at: int, *, due: int | None = None, attempt: int = 1, token: int = 1) -> Event:
    due_at = None if due is None else Instant(due)
    worker = None if kind in (Kind.ENQUEUE, Kind.REQUEUE) else W
    return Event(0, Instant(at), JOB, kind, attempt, 5, token, worker, due_at, Why())


@given(histories)
def test_log_gives_back_what_it_was_given(history: list[Event]) -> None:
    """Every field of every event survives the record, in order, and `seq` counts from 1."""
    log = EventLog.of(history)
    assert list(log) == history
    assert len(log) == len(history)
    assert len(log.records) == RECORD.size * len(history)


@given(histories, st.integers(0, 25))
def test_log_since_skips_what_was_seen(history: list[Event], after: int) -> None:
    """`since` yields the events with a greater seq."""
    assert list(EventLog.of(history).since(after)) == history[after:]


@given(histories, histories)
def test_log_digest_tells_logs_apart(one: list[Event], other: list[Event]) -> None:
    """Digests are equal exactly where the events are."""
    assert (EventLog.of(one).digest() == EventLog.of(other).digest()) is (one == other)


@given(histories, st.data())
def test_log_digest_changes_with_any_field(history: list[Event], data: st.DataObject) -> None:
    """One changed field of one event is another digest."""
    before = EventLog.of(history or [event(Kind.ENQUEUE, 1, due=1)])
    index = data.draw(st.integers(0, len(before) - 1))
    changed = list(before)
    changed[index] = replace(changed[index], token=changed[index].token ^ 1)
    assert EventLog.of(changed).digest() != before.digest()


DIGEST = """
from jobsim.core.decide import Why
from jobsim.core.events import Event, EventLog
from jobsim.core.job import JobId, WorkerId
from jobsim.core.time import Instant
from jobsim.core.transitions import Kind
print(EventLog.of(
    Event(n, Instant(n), JobId(n % 3), kind, 1, 5, n, WorkerId("w" * n), None, Why("a", "b" * n))
    for n, kind in enumerate(Kind, 1)
).digest())
"""


def test_log_digest_is_equal_in_every_process(said_by: Callable[[str, str], str]) -> None:
    """The digest does not depend on PYTHONHASHSEED."""
    assert len({said_by(DIGEST, hash_seed) for hash_seed in ("0", "1", "4242")}) == 1


def test_fold_follows_a_job_through_its_life() -> None:
    """From enqueue through retry, release, dead letter and requeue to success, each step as the rules say."""
    story = [
        (event(Kind.ENQUEUE, 0, due=10, attempt=0, token=0), ("pending", 10, None, None, None)),
        (event(Kind.CLAIM, 10, due=70), ("running", 10, 70, W, None)),
        (event(Kind.EXTEND, 30, due=90), ("running", 10, 90, W, None)),
        (event(Kind.RETRY, 40, due=45), ("failed", 45, None, None, None)),
        (event(Kind.CLAIM, 50, due=110, attempt=2, token=2), ("running", 45, 110, W, None)),
        (event(Kind.RELEASE, 55, due=55, attempt=1, token=2), ("pending", 55, None, None, None)),
        (event(Kind.CLAIM, 60, due=120, attempt=2, token=3), ("running", 55, 120, W, None)),
        (event(Kind.DEAD_LETTER, 65, attempt=2, token=3), ("dead_letter", 55, None, None, 65)),
        (event(Kind.REQUEUE, 80, due=80, attempt=2, token=3), ("pending", 80, None, None, None)),
        (event(Kind.CLAIM, 81, due=141, attempt=3, token=4), ("running", 80, 141, W, None)),
        (event(Kind.SUCCEED, 82, attempt=3, token=4), ("succeeded", 80, None, None, 82)),
    ]
    seen: list[Event] = []
    for happened, (state, run_at, lease_until, worker, finished) in story:
        seen.append(happened)
        assert fold(seen)[JOB] == Standing(
            State(state),
            happened.attempt,
            5,
            happened.token,
            Instant(run_at),
            None if lease_until is None else Instant(lease_until),
            worker,
            None if finished is None else Instant(finished),
        )


def test_fold_keeps_jobs_apart() -> None:
    """Events of one job change no other."""
    enqueue = event(Kind.ENQUEUE, 0, due=0)
    other = replace(enqueue, job=JobId(8))
    found = fold([enqueue, other, event(Kind.CLAIM, 1, due=61)])
    assert [found[JobId(n)].state.value for n in (7, 8)] == ["running", "pending"]


def test_fold_passes_over_a_refusal() -> None:
    """A refused settlement is on record, and changes nothing."""
    log = [event(Kind.ENQUEUE, 0, due=0), event(Kind.CLAIM, 1, due=61)]
    assert fold([*log, event(Kind.REFUSE, 2, token=9)]) == fold(log)


@pytest.mark.parametrize(
    "log",
    [
        [event(Kind.CLAIM, 1, due=61)],
        [event(Kind.ENQUEUE, 0, due=0), event(Kind.ENQUEUE, 1, due=1)],
        [event(Kind.ENQUEUE, 0, due=0), event(Kind.SUCCEED, 1)],
    ],
)
def test_fold_refuses_a_history_that_cannot_be(log: list[Event]) -> None:
    """What the transition table does not allow is an error, not a state."""
    with pytest.raises(IllegalTransition, match="cannot happen to a job"):
        fold(log)


@pytest.mark.parametrize(
    "log",
    [[event(Kind.ENQUEUE, 0)], [event(Kind.ENQUEUE, 0, due=0), event(Kind.CLAIM, 1)]],
)
def test_fold_refuses_an_event_without_its_time(log: list[Event]) -> None:
    """An enqueue must say when the job is due, a claim when its lease ends."""
    with pytest.raises(IllegalTransition, match="does not say when it is due"):
        fold(log)


@pytest.mark.parametrize("key", TRANSITIONS, ids=str)
def test_step_agrees_with_the_table(key: tuple[State | None, Kind]) -> None:
    """One step from any state leads where the table says."""
    state, kind = key
    before = Standing(state, 1, 5, 1, Instant(0), None, None, None) if state else None
    assert step(before, event(kind, 9, due=9)).state is TRANSITIONS[key]


def test_standing_is_what_a_stored_job_shares_with_its_log() -> None:
    """It picks the fields that events determine."""
    job = Job(
        id=JOB,
        kind="send",
        queue="default",
        payload="{}",
        state=State.RUNNING,
        attempt=2,
        max_attempts=5,
        budget=5,
        token=3,
        priority=0,
        run_at=Instant(10),
        created=Instant(1),
        enqueued=Instant(2),
        attempted=Instant(11),
        finished=None,
        lease_until=Instant(70),
        worker=W,
        delay=Duration(0),
        last_error=None,
        result=None,
    )
    assert standing(job) == Standing(State.RUNNING, 2, 5, 3, Instant(10), Instant(70), W, None)
