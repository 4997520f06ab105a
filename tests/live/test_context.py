"""What a handler learns of its attempt, and how it is given that."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

import jobsim
from jobsim.core.job import Lease
from jobsim.core.outcome import Succeeded
from jobsim.core.time import Instant
from jobsim.live.context import JobContext
from jobsim.live.handler import Handler
from jobsim.live.outcomes import run_sync

MakeLease = Callable[..., Lease]
MakeHandler = Callable[..., Handler[..., Any]]


def test_context_is_an_argument_where_it_is_declared(handler: MakeHandler, lease: MakeLease) -> None:
    """A parameter annotated JobContext, by class or by name, takes the attempt, and is not stored."""

    def by_class(number: int, context: JobContext) -> list[int]:
        return [number, context.attempt]

    def by_name(job: "jobsim.JobContext", number: int = 7) -> list[int]:
        return [number, job.attempt]

    for fn in (by_class, by_name):
        made = handler(fn, keep_result=True)
        assert made.arguments.names == ["number"]
        payload = made.arguments.encode({"number": 7})
        assert run_sync(made, JobContext(lease(attempt=2)), payload) == Succeeded("[7,2]")


def test_context_cannot_be_enqueued(handler: MakeHandler) -> None:
    """Whoever enqueues gives the other arguments only."""

    def declared(number: int, context: JobContext) -> None: ...

    with pytest.raises(jobsim.PayloadError, match="no argument 'context'"):
        handler(declared).enqueue(1, context=2)


def test_context_tells_when_time_is_up(lease: MakeLease) -> None:
    """The deadline is a moment in UTC; without a limit there is none."""
    assert JobContext(lease(), Instant(1_500_000)).deadline == datetime(
        1970, 1, 1, 0, 0, 1, 500_000, tzinfo=UTC
    )
    assert JobContext(lease()).deadline is None


def test_heartbeat_raises_once_nobody_waits_any_more(lease: MakeLease) -> None:
    """A long handler that calls it is ended at the next call."""
    context = JobContext(lease(attempt=2))
    context.heartbeat()
    context.cancelled = True
    with pytest.raises(jobsim.Abandoned, match=r"attempt 2 is over"):
        context.heartbeat()


def test_logger_names_the_attempt(lease: MakeLease, caplog: pytest.LogCaptureFixture) -> None:
    """Records of the context's logger carry the job's id, its kind and the attempt."""
    context = JobContext(lease(attempt=2))
    context.logger.warning("half way")
    [record] = caplog.records
    assert (record.name, record.getMessage()) == ("jobsim.job", "half way")
    assert vars(record).items() >= {"job_id": str(context.id), "kind": "work", "attempt": 2}.items()
