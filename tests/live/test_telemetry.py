"""Who is told what goes on, and whom a bad subscriber harms: nobody."""

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobsim.core.decide import SUCCESS
from jobsim.core.job import Conflict, JobId, NewJob
from jobsim.core.time import Instant
from jobsim.live.telemetry import (
    LONGEST,
    JobsEnqueued,
    Telemetry,
    TelemetryEvent,
    briefly,
    enqueued,
    in_brief,
)
from tests.core.values import LEASE

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


def test_a_subscriber_that_would_exit_is_told_of_the_next_event(telemetry: Telemetry) -> None:
    """What ends a program elsewhere ends neither the process nor the telling."""
    heard: list[TelemetryEvent] = []

    def leave(event: TelemetryEvent) -> None:
        heard.append(event)
        raise SystemExit(1)

    telemetry.add(leave)
    for number in range(2):
        telemetry.tell(event(number))
        assert telemetry.flush(PATIENCE_S)
    assert heard == [event(0), event(1)]


def test_the_end_is_told_of(telemetry: Telemetry) -> None:
    """Who closes a queue has its subscribers told of all before; of what comes later, nobody is."""
    heard: list[TelemetryEvent] = []
    telemetry.add(heard.append)
    telemetry.tell(event(1))
    telemetry.close()
    telemetry.tell(event(2))
    assert heard == [event(1)]


@pytest.mark.live
def test_a_script_that_ends_has_told_everything(tmp_path: Path) -> None:
    """What a process enqueues just before its end is told, though nothing was closed."""
    script = (
        "import jobsim, pathlib\n"
        "queue = jobsim.Queue('sqlite://')\n"
        "queue.subscribe(lambda event: pathlib.Path(event.kind).touch())\n"
        "for n in range(3): queue.enqueue(f'kind{n}')\n"
    )
    subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=True,
    )
    assert sorted(file.name for file in tmp_path.iterdir()) == ["kind0", "kind1", "kind2"]


def test_events_are_small() -> None:
    """Many of them may wait: what is long of a payload and a result does not."""
    long, short = "x" * (LONGEST + 1), "x" * LONGEST
    lease = LEASE._replace(payload=long, headers="{}")
    assert briefly(lease) == lease._replace(payload="")
    assert in_brief(SUCCESS._replace(result=long)) == SUCCESS
    same = LEASE._replace(payload=short), SUCCESS._replace(result=short)
    assert (briefly(same[0]), in_brief(same[1])) == same


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
