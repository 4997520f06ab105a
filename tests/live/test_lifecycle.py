"""What the log says of the lives of jobs."""

import logging
from collections.abc import Callable

import pytest

from jobsim.core.decide import SUCCESS, Decision, Why
from jobsim.core.job import JobId, Lease, WorkerId
from jobsim.core.time import SECOND, Duration, Instant
from jobsim.core.transitions import Kind
from jobsim.live.lifecycle import log_event, log_lives
from jobsim.live.telemetry import (
    AttemptClaimed,
    AttemptEnded,
    JobsEnqueued,
    LeaseLost,
    StorageFailed,
    Telemetry,
    TelemetryEvent,
)

MakeLease = Callable[..., Lease]
Said = Callable[[TelemetryEvent], logging.LogRecord]

W = WorkerId("w")
NOW = Instant(10 * SECOND)
ID = JobId(7)


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Said:
    """Return a function that returns the one record of an event."""

    def record(event: TelemetryEvent) -> logging.LogRecord:
        caplog.clear()
        with caplog.at_level(logging.DEBUG, "jobsim.lifecycle"):
            log_event(event)
        (found,) = caplog.records
        return found

    return record


RETRY = Decision(Kind.RETRY, Why("failed", "backoff", "ValueError: no"), NOW, Duration(4 * SECOND))


@pytest.mark.parametrize(
    ("decision", "took", "kept", "says"),
    [
        (SUCCESS, Duration(SECOND // 4), True, "attempt 1, succeeded after 0.250 s"),
        (RETRY, Duration(SECOND), True, "attempt 1, failed after 1.000 s; it is to be tried again in 4s"),
        (
            Decision(Kind.DEAD_LETTER, Why("timed_out", "exhausted", "slow")),
            Duration(SECOND),
            True,
            "attempt 1, timed out after 1.000 s; it is a dead letter now (exhausted)",
        ),
        (
            Decision(Kind.RETRY, Why("lost", "backoff"), NOW, Duration(SECOND)),
            None,
            True,
            "attempt 1, was lost with its worker; it is to be tried again in 1s",
        ),
        (Decision(Kind.RELEASE, Why("released", "shutdown"), NOW), None, True, "attempt 1, released"),
        (
            SUCCESS,
            Duration(SECOND),
            False,
            "attempt 1, succeeded after 1.000 s; that came too late, and changes nothing",
        ),
    ],
    ids=["succeeded", "retried", "dead", "lost", "released", "refused"],
)
def test_the_end_of_an_attempt_says_what_becomes_of_its_job(
    said: Said, lease: MakeLease, decision: Decision, took: Duration | None, kept: bool, says: str
) -> None:
    """A line tells how it ended, after how long, and what comes then."""
    record = said(AttemptEnded(NOW, W, lease(7), decision, took, kept))
    assert record.getMessage() == f"job {ID} (work), {says}"
    assert record.levelno == logging.INFO
    assert vars(record)["event"] == ("attempt_ended" if kept else "attempt_refused")


def test_a_record_has_fields_for_programs(said: Said, lease: MakeLease) -> None:
    """They carry what the sentence does, and more, in units that their names say."""
    fields = vars(said(AttemptEnded(NOW, W, lease(7, attempt=2), RETRY, Duration(SECOND // 2), kept=True)))
    expected = {
        "event": "attempt_ended",
        "job_id": str(ID),
        "kind": "work",
        "queue": "default",
        "attempt": 2,
        "max_attempts": 5,
        "worker": "w",
        "outcome": "failed",
        "decision": "retry",
        "reason": "backoff",
        "error": "ValueError: no",
        "took_s": 0.5,
        "retry_in_s": 4.0,
    }
    assert {name: fields[name] for name in expected} == expected


def test_other_events_have_a_record_each(said: Said, lease: MakeLease) -> None:
    """Enqueues and claims are for debugging; trouble is information."""
    enqueued = said(JobsEnqueued(NOW, "work", "mail", (ID,)))
    claimed = said(AttemptClaimed(NOW, lease(7)))
    lost = said(LeaseLost(NOW, lease(7)))
    failed = said(StorageFailed(NOW, W, "exchange", "locked"))
    records = [enqueued, claimed, lost, failed]
    assert [vars(record)["event"] for record in records] == [
        "job_enqueued",
        "attempt_claimed",
        "lease_lost",
        "storage_failed",
    ]
    assert [record.levelname for record in records] == ["DEBUG", "DEBUG", "INFO", "INFO"]
    assert vars(claimed)["wait_s"] == 10
    assert failed.getMessage() == "the store's exchange failed: locked"


@pytest.mark.parametrize(("level", "wanted"), [(logging.INFO, True), (logging.WARNING, False)])
def test_nobody_is_told_for_a_log_that_is_not_wanted(level: int, wanted: bool) -> None:
    """A worker whose log is at WARNING pays nothing for records that nobody sees."""
    log, telemetry = logging.getLogger("jobsim.lifecycle"), Telemetry()
    before = log.level
    log.setLevel(level)
    try:
        log_lives(telemetry)
        assert bool(telemetry) is wanted
    finally:
        log.setLevel(before)
        telemetry.close()
