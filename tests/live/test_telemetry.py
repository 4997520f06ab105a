"""Who is told what goes on, and whom a bad subscriber harms: nobody."""

import logging
import threading
from collections.abc import Iterator

import pytest

from jobsim.core.job import Conflict, JobId, NewJob
from jobsim.core.time import Instant
from jobsim.live.telemetry import JobsEnqueued, Telemetry, TelemetryEvent, enqueued

PATIENCE_S = 60.0


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    """Return a telemetry that holds three events for each subscriber."""
    telemetry = Telemetry(backlog=3)
    yield telemetry
    telemetry.close()


def event(number: int) -> TelemetryEvent:
    return JobsEnqueued(Instant(number), "work", "default", (JobId(number),))


def test_subscribers_are_told_everything_in_order(telemetry: Telemetry) -> None:
    """Each hears of each event, in a thread that is not the teller's."""
    heard: list[list[TelemetryEvent]] = [[], []]
    threads = set[str]()
    telemetry.add(heard[0].append)
    telemetry.add(heard[1].append)
    telemetry.add(lambda _: threads.add(threading.current_thread().name))
    for number in range(20):
        telemetry.tell(event(number))
        assert telemetry.flush(PATIENCE_S)
    assert heard == [[event(number) for number in range(20)]] * 2
    assert threads == {"jobsim-telemetry"}


def test_one_that_is_added_twice_is_told_once(telemetry: Telemetry) -> None:
    """A worker that starts again does not double what is counted."""
    heard: list[TelemetryEvent] = []
    telemetry.add(heard.append)
    telemetry.add(heard.append)
    telemetry.tell(event(1))
    assert telemetry.flush(PATIENCE_S)
    assert heard == [event(1)]


def test_telemetry_is_true_while_somebody_listens(telemetry: Telemetry) -> None:
    """Whoever would have to work for an event can ask whether anybody wants it."""
    assert not telemetry
    telemetry.add(lambda _: None)
    assert telemetry
    telemetry.close()
    assert not telemetry


def test_a_subscriber_that_raises_is_told_of_the_next_event(
    telemetry: Telemetry, caplog: pytest.LogCaptureFixture
) -> None:
    """Its error is logged once, with a traceback, and others do not notice."""
    calm: list[TelemetryEvent] = []
    upset: list[TelemetryEvent] = []

    def fail(event: TelemetryEvent) -> None:
        upset.append(event)
        raise ValueError("no such label")

    telemetry.add(fail)
    telemetry.add(calm.append)
    with caplog.at_level(logging.WARNING, "jobsim.telemetry"):
        for number in range(3):
            telemetry.tell(event(number))
        assert telemetry.flush(PATIENCE_S)
    assert calm == upset == [event(number) for number in range(3)]
    (record,) = caplog.records
    assert "failed" in record.message
    assert "no such label" in caplog.text


def test_a_subscriber_that_is_too_slow_misses_events(
    telemetry: Telemetry, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody waits for it: what there is no room for is dropped, counted, and said once."""
    at_work, go, slow = threading.Event(), threading.Event(), list[TelemetryEvent]()

    def hang(event: TelemetryEvent) -> None:
        slow.append(event)
        at_work.set()
        assert go.wait(PATIENCE_S)

    telemetry.add(hang)
    telemetry.tell(event(0))
    assert at_work.wait(PATIENCE_S)
    with caplog.at_level(logging.WARNING, "jobsim.telemetry"):
        for number in range(1, 10):
            telemetry.tell(event(number))
    assert telemetry.dropped == 6
    assert [record.message.endswith("it misses events from now on") for record in caplog.records] == [True]
    assert not telemetry.flush(0)
    go.set()
    assert telemetry.flush(PATIENCE_S)
    assert slow == [event(number) for number in range(4)]


def test_jobs_for_which_another_stands_are_not_enqueued() -> None:
    """Of a batch those are told whose own ids the store returned, together where kind and queue are one."""
    jobs = [
        NewJob(JobId(1), "a", Instant(5)),
        NewJob(JobId(2), "a", Instant(5), unique_key="k", conflict=Conflict.SKIP),
        NewJob(JobId(3), "a", Instant(5)),
        NewJob(JobId(4), "a", Instant(5), queue="mail"),
    ]
    ids = [JobId(1), JobId(9), JobId(3), JobId(4)]
    assert list(enqueued(jobs, ids, Instant(5))) == [
        JobsEnqueued(Instant(5), "a", "default", (JobId(1), JobId(3))),
        JobsEnqueued(Instant(5), "a", "mail", (JobId(4),)),
    ]
