"""Logs, decoded for a fit: what arrives, what is a trial, and what is cut off."""

from collections.abc import Callable

import numpy as np
import pytest

from jobsim.core.decide import Why
from jobsim.core.events import Event, EventLog
from jobsim.core.job import JobId, WorkerId
from jobsim.core.time import SECOND, Instant
from jobsim.core.transitions import Kind
from jobsim.sim.history.lives import Observed, Record

BEGAN = 1_700_000_000 * SECOND
Write = Callable[..., None]


class Story:
    """A log written by hand; times are seconds, jobs small numbers."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._attempt: dict[int, int] = {}
        self._token: dict[int, int] = {}

    def add(self, kind: Kind, job: int, at: float, due: float | None = None, why: Why | None = None) -> None:
        """Write an event; a claim counts the attempt and the token up."""
        if kind is Kind.CLAIM:
            self._attempt[job] = self._attempt.get(job, 0) + 1
            self._token[job] = self._token.get(job, 0) + 1
            due = at + 60
        self.events.append(
            Event(
                seq=len(self.events) + 1,
                at=self.at(at),
                job=JobId(job),
                kind=kind,
                attempt=self._attempt.get(job, 0),
                max_attempts=5,
                token=self._token.get(job, 0),
                worker=WorkerId("w") if kind in {Kind.CLAIM, Kind.EXTEND} else None,
                due=None if due is None else self.at(due),
                why=why or Why(),
            )
        )

    @staticmethod
    def at(seconds: float) -> Instant:
        return Instant(BEGAN + round(seconds * SECOND))

    def enqueue(self, job: int, at: float, due: float | None = None, kind: str = "a") -> None:
        self.add(Kind.ENQUEUE, job, at, at if due is None else due, Why(reason=kind))

    def fail(self, job: int, at: float, due: float, outcome: str = "failed") -> None:
        self.add(Kind.RETRY, job, at, due, Why(outcome, "backoff", "OSError: down"))

    def seen(self, since: float | None = None, until: float | None = None) -> Observed:
        return Observed.of(
            EventLog.of(self.events),
            None if since is None else self.at(since),
            None if until is None else self.at(until),
        )

    def only(self, since: float | None = None, until: float | None = None) -> Record:
        (record,) = self.seen(since, until).kinds
        return record


@pytest.fixture
def story() -> Story:
    return Story()


def test_retries_are_no_arrivals(story: Story) -> None:
    """A job that comes back after its backoff delay came once."""
    story.enqueue(1, 0)
    story.add(Kind.CLAIM, 1, 1)
    story.fail(1, 2, due=50)
    story.add(Kind.CLAIM, 1, 50)
    story.add(Kind.SUCCEED, 1, 53, why=Why("succeeded"))
    record = story.only()
    assert record.arrivals_s.tolist() == [0]
    assert record.attempts.started_s.tolist() == [1, 50]
    assert record.attempts.lasted_s.tolist() == [1, 3]
    assert record.attempts.life.tolist() == [0, 0]


def test_requeue_is_an_arrival_of_its_own(story: Story) -> None:
    """A dead letter that is requeued begins another life, with attempts of its own."""
    story.enqueue(1, 0)
    story.add(Kind.CLAIM, 1, 1)
    story.add(Kind.DEAD_LETTER, 1, 2, why=Why("failed", "exhausted", "OSError"))
    story.add(Kind.REQUEUE, 1, 90, due=90)
    story.add(Kind.CLAIM, 1, 91)
    story.add(Kind.SUCCEED, 1, 92, why=Why("succeeded"))
    record = story.only()
    assert record.arrivals_s.tolist() == [0, 90]
    assert record.attempts.life.tolist() == [0, 1]


def test_delayed_job_arrives_when_it_is_due(story: Story) -> None:
    """What was enqueued for later asks for work later."""
    story.enqueue(1, 0)
    story.enqueue(2, 1, due=301)
    assert story.only().arrivals_s.tolist() == [0, 301]


def test_lost_attempt_is_known_to_have_run_until_its_last_renewal(story: Story) -> None:
    """The log notes a loss long after the death: the last sign of life is what is known."""
    for job in (1, 2):
        story.enqueue(job, 0)
        story.add(Kind.CLAIM, job, 0)
    story.add(Kind.EXTEND, 1, 20, due=80)
    story.add(Kind.EXTEND, 1, 40, due=100)
    story.fail(1, 130, due=131, outcome="lost")
    story.fail(2, 130, due=131, outcome="lost")
    assert story.only().attempts.lasted_s.tolist() == [40, 0]


def test_attempt_still_running_is_known_until_the_end_of_the_log(story: Story) -> None:
    """What the log does not end has lasted at least as long as the log tells of anything."""
    story.enqueue(1, 0)
    story.add(Kind.CLAIM, 1, 1)
    story.enqueue(2, 31)
    (attempt,) = story.only().attempts.lasted_s.tolist()
    assert attempt == 30


def test_window_counts_what_begins_in_it(story: Story) -> None:
    """What was there before is no arrival, what began before no trial; how it ended may follow later."""
    story.enqueue(1, 0)
    story.add(Kind.CLAIM, 1, 1)
    story.enqueue(2, 12)
    story.add(Kind.CLAIM, 2, 15)
    story.add(Kind.SUCCEED, 1, 16, why=Why("succeeded"))
    story.enqueue(3, 25)
    story.add(Kind.SUCCEED, 2, 40, why=Why("succeeded"))
    record = story.only(since=10, until=20)
    assert record.arrivals_s.tolist() == [2]
    assert record.waiting == 1
    assert record.attempts.started_s.tolist() == [5]
    assert record.attempts.lasted_s.tolist() == [25]


def test_log_that_begins_late_uses_nothing_of_jobs_it_does_not_know(story: Story) -> None:
    """A job whose enqueueing is missing has no kind; it is counted and left out."""
    story.add(Kind.CLAIM, 9, 1)
    story.add(Kind.SUCCEED, 9, 2, why=Why("succeeded"))
    story.enqueue(1, 3)
    seen = story.seen()
    assert seen.untold == 1
    assert [record.kind for record in seen.kinds] == ["a"]
    assert np.count_nonzero(seen.kinds[0].attempts.started_s) == 0


def test_kinds_are_told_apart(story: Story) -> None:
    """Each kind has its own arrivals, limits and attempts."""
    story.enqueue(1, 0, kind="a")
    story.enqueue(2, 5, kind="b")
    story.add(Kind.CLAIM, 2, 6)
    first, second = story.seen().kinds
    assert (first.kind, len(first.attempts.life)) == ("a", 0)
    assert (second.kind, second.arrivals_s.tolist(), len(second.attempts.life)) == ("b", [5], 1)
    assert second.limits.tolist() == [5]
