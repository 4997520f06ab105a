"""Jobs, attempts and events as plain values."""

from jobsim.cli.records import attempts, decoded, event_record, job_record
from jobsim.core.decide import Why
from jobsim.core.events import Event
from jobsim.core.job import UNLIMITED, Job, JobId, State, WorkerId
from jobsim.core.time import SECOND, Duration, Instant
from jobsim.core.transitions import Kind

ID = JobId.parse("01920000-0000-7000-8000-000000000000")
WORKER = WorkerId("w1")


def event(seq: int, kind: Kind, attempt: int, why: Why = Why(), due: int | None = None) -> Event:  # noqa: B008
    """Return the event number `seq`, `seq` seconds after the epoch."""
    moment = None if due is None else Instant(due * SECOND)
    return Event(seq, Instant(seq * SECOND), ID, kind, attempt, 5, attempt, WORKER, moment, why)


def job(**changes: object) -> Job:
    """Return a job that waits for its retry."""
    values: dict[str, object] = {
        "id": ID,
        "kind": "charge",
        "queue": "default",
        "payload": '{"order": 7}',
        "state": State.FAILED,
        "attempt": 1,
        "max_attempts": 5,
        "budget": 5,
        "token": 1,
        "priority": 0,
        "run_at": Instant(SECOND),
        "created": Instant(0),
        "enqueued": Instant(0),
        "attempted": Instant(0),
        "finished": None,
        "lease_until": None,
        "worker": None,
        "delay": Duration(1_500_000),
        "last_error": "ValueError: no",
        "result": None,
    }
    return Job(**(values | changes))  # type: ignore[arg-type]


def test_attempts_pair_each_claim_with_what_ended_it() -> None:
    """An attempt has its outcome, error and duration, and when the next may start."""
    log = [
        event(1, Kind.ENQUEUE, 0, due=1),
        event(2, Kind.CLAIM, 1, due=60),
        event(3, Kind.EXTEND, 1, due=70),
        event(4, Kind.RETRY, 1, Why("failed", "backoff", "ValueError: no"), due=9),
        event(9, Kind.CLAIM, 2, due=70),
        event(10, Kind.SUCCEED, 2, Why("succeeded")),
    ]
    first, second = attempts(log)
    assert first["attempt"] == 1
    assert first["outcome"] == "failed"
    assert first["error"] == "ValueError: no"
    assert first["duration_s"] == 2.0
    assert first["next_start"] == "1970-01-01T00:00:09.000000Z"
    assert (second["attempt"], second["outcome"], second["error"]) == (2, "succeeded", None)


def test_attempts_under_way_have_no_end() -> None:
    """The attempt that still runs is there, and says so."""
    (only,) = attempts([event(1, Kind.ENQUEUE, 0, due=1), event(2, Kind.CLAIM, 1, due=60)])
    assert only["outcome"] == "running"
    assert only["finished"] is None
    assert only["duration_s"] is None


def test_attempts_ignore_a_refused_settlement() -> None:
    """A late result that was refused does not end the attempt that has the lease now."""
    log = [
        event(2, Kind.CLAIM, 1, due=3),
        event(4, Kind.RETRY, 1, Why("lost", "backoff"), due=5),
        event(5, Kind.CLAIM, 2, due=60),
        event(6, Kind.REFUSE, 1, Why("succeeded")),
        event(7, Kind.SUCCEED, 2, Why("succeeded")),
    ]
    assert [a["outcome"] for a in attempts(log)] == ["lost", "succeeded"]


def test_attempts_end_where_an_operator_cancels() -> None:
    """Cancelling a running job ends its attempt; cancelling a waiting one ends none."""
    cancelled = [event(2, Kind.CLAIM, 1, due=60), event(3, Kind.CANCEL, 1, Why("", "operator"))]
    assert [a["outcome"] for a in attempts(cancelled)] == ["cancel"]
    assert list(attempts([event(1, Kind.ENQUEUE, 0, due=1), event(2, Kind.CANCEL, 0)])) == []


def test_job_record_has_the_payload_as_json() -> None:
    """The payload is the JSON it spells, times are ISO, and no limit is null."""
    record = job_record(job(max_attempts=UNLIMITED))
    assert record["payload"] == {"order": 7}
    assert record["state"] == "failed"
    assert record["max_attempts"] is None
    assert record["run_at"] == "1970-01-01T00:00:01.000000Z"
    assert record["delay_s"] == 1.5


def test_broken_json_is_shown_as_it_is() -> None:
    """A payload that cannot be decoded does not hide its job."""
    assert decoded("{broken") == "{broken"
    assert decoded(None) is None


def test_event_record_has_null_for_what_is_not_said() -> None:
    """Reasons that are empty are null."""
    record = event_record(event(3, Kind.SUCCEED, 1, Why("succeeded")))
    assert record["event"] == "succeed"
    assert record["outcome"] == "succeeded"
    assert record["reason"] is None
    assert record["due"] is None
