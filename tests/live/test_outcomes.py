"""What handlers do, as outcomes."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from jobsim.core.errors import JobsimError, NotFound, PayloadError
from jobsim.core.job import Lease
from jobsim.core.outcome import (
    SUCCEEDED,
    Cancel,
    Cancelled,
    Discard,
    Error,
    Failed,
    Outcome,
    RetryAfter,
    Snooze,
    Snoozed,
    Succeeded,
)
from jobsim.core.time import SECOND, Duration
from jobsim.live.context import JobContext, current_job
from jobsim.live.handler import Handler
from jobsim.live.outcomes import run_async, run_sync

MakeLease = Callable[..., Lease]
MakeHandler = Callable[..., Handler[..., Any]]
Run = Callable[..., Outcome]


@pytest.fixture
def attempt(lease: MakeLease) -> JobContext:
    """Return the third attempt of a job."""
    return JobContext(lease(attempt=3))


@pytest.fixture(params=["sync", "async"])
def run(request: pytest.FixtureRequest, handler: MakeHandler, attempt: JobContext) -> Run:
    """Return a function that runs a body as a sync and as an async handler."""

    def once(body: Callable[[], Any], *, keep_result: bool = False) -> Outcome:
        if request.param == "sync":
            return run_sync(handler(body, keep_result=keep_result), attempt, "{}")

        async def later() -> Any:
            return body()

        return asyncio.run(run_async(handler(later, keep_result=keep_result), attempt, "{}"))

    return once


def raising(error: BaseException) -> Callable[[], None]:
    """Return a body that raises `error`."""

    def body() -> None:
        raise error

    return body


def test_a_handler_that_returns_has_succeeded(run: Run) -> None:
    """What it returns is dropped, even if it has no JSON form."""
    assert run(lambda: object()) == SUCCEEDED  # noqa: PLW0108  # a class is no handler


def test_a_result_is_kept_where_asked(run: Run) -> None:
    """The result is JSON text; nothing returned is null."""
    assert run(lambda: {"sum": [1, 2.5, None]}, keep_result=True) == Succeeded('{"sum":[1,2.5,null]}')
    assert run(lambda: None, keep_result=True) == Succeeded("null")


@pytest.mark.parametrize("value", [object(), float("nan"), "x" * 10_000_000, b"\xff"])
def test_a_result_without_a_json_form_fails_the_attempt(run: Run, value: Any) -> None:
    """The error says that the result, not the work, was wrong."""
    outcome = run(lambda: value, keep_result=True)
    assert isinstance(outcome, Failed)
    assert outcome.error.kind == "jobsim.PayloadError"
    assert outcome.error.message.startswith("the result of work: ")


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (Snooze("5m"), Snoozed(Duration(300 * SECOND))),
        (Cancel("too late"), Cancelled("too late")),
        (ValueError("no"), Failed(Error("ValueError", "no", ("ValueError", "Exception", "BaseException")))),
        (SystemExit(3), Failed(Error("SystemExit", "3", ("SystemExit", "BaseException")))),
        (KeyboardInterrupt(), Failed(Error("KeyboardInterrupt", "", ("KeyboardInterrupt", "BaseException")))),
        (GeneratorExit(), Failed(Error("GeneratorExit", "", ("GeneratorExit", "BaseException")))),
    ],
    ids=lambda value: type(value).__name__,
)
def test_whatever_a_handler_raises_is_an_outcome(run: Run, error: BaseException, outcome: Outcome) -> None:
    """Nothing that a handler raises gets past its attempt: no SystemExit, no KeyboardInterrupt."""
    assert run(raising(error)) == outcome


def test_a_cancellation_of_its_own_making_fails_the_attempt(run: Run) -> None:
    """A handler that raises `CancelledError` without having been cancelled has failed."""
    outcome = run(raising(asyncio.CancelledError()))
    assert isinstance(outcome, Failed)
    assert outcome.error.kind == "asyncio.exceptions.CancelledError"


def test_retry_after_is_a_failure_with_a_wait(run: Run) -> None:
    """The wait that the error demands goes with it."""
    outcome = run(raising(RetryAfter("30s", "rate limit")))
    assert isinstance(outcome, Failed)
    assert outcome.retry_after == 30 * SECOND
    assert str(outcome.error) == "jobsim.RetryAfter: rate limit"


def test_discard_is_a_final_failure(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    """The reason is kept, and told in the log."""
    outcome = run(raising(Discard("account closed")))
    assert isinstance(outcome, Failed)
    assert (str(outcome.error), outcome.final) == ("jobsim.Discard: account closed", True)
    assert "is given up by its handler: account closed" in caplog.text


def test_errors_of_jobsim_go_by_their_public_names(run: Run) -> None:
    """A policy that names `jobsim.NotFound`, the class or its text, knows the error."""
    outcome = run(raising(NotFound("gone")))
    assert isinstance(outcome, Failed)
    assert outcome.error.kind == "jobsim.NotFound"
    assert all(outcome.error.is_a(n) for n in ("jobsim.NotFound", "NotFound", "jobsim.core.errors.NotFound"))
    assert outcome.error.is_a("LookupError")


def test_an_error_that_cannot_be_read_is_still_an_outcome(run: Run) -> None:
    """An exception whose text raises costs the attempt, no more."""

    class Unreadable(Exception):
        def __str__(self) -> str:
            raise ValueError

    outcome = run(raising(Unreadable()))
    assert isinstance(outcome, Failed)
    assert "could not be read" in outcome.error.message


def test_the_traceback_goes_to_the_log_alone(
    run: Run, attempt: JobContext, caplog: pytest.LogCaptureFixture
) -> None:
    """The log has the traceback, and knows job and attempt; the outcome has neither."""
    outcome = run(raising(ValueError("no")))
    (record,) = caplog.records
    assert record.name == "jobsim.worker"
    assert record.levelno == logging.WARNING
    assert vars(record)["job_id"] == str(attempt.id)
    assert vars(record)["attempt"] == 3
    assert "in body" in caplog.text
    assert "body" not in str(outcome)


def test_what_a_handler_asks_for_is_not_logged_as_a_failure(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    """Snoozing and cancelling are no failures."""
    run(raising(Snooze(1)))
    run(raising(Cancel()))
    assert caplog.records == []


def test_a_handler_knows_its_attempt(run: Run, attempt: JobContext) -> None:
    """Inside a handler the attempt can be had, with the number that the job is at; outside it cannot."""
    seen: list[JobContext] = []
    run(lambda: seen.append(current_job()))
    assert seen == [attempt]
    assert str(attempt) == f"job {attempt.id} (work), attempt 3"
    with pytest.raises(JobsimError, match="no attempt is under way"):
        current_job()


def test_a_sync_handler_that_returns_a_coroutine_has_done_nothing(
    handler: MakeHandler, attempt: JobContext
) -> None:
    """Work that nobody awaits is not taken for done."""

    async def later() -> None: ...

    outcome = run_sync(handler(lambda: later()), attempt, "{}")  # noqa: PLW0108  # as a decorator would hide it
    assert isinstance(outcome, Failed)
    assert outcome.error.message == ("it returned a coroutine, which nobody awaits; define it by async def")


@pytest.mark.parametrize("payload", ["{", '{"number": "x"}', "{}"])
def test_a_payload_that_cannot_be_decoded_fails_the_attempt(
    handler: MakeHandler, attempt: JobContext, payload: str
) -> None:
    """The handler is not called, and the error is a PayloadError to policies."""
    called: list[int] = []

    def work(number: int) -> None:
        called.append(number)

    async def later(number: int) -> None:
        called.append(number)

    for outcome in (
        run_sync(handler(work), attempt, payload),
        asyncio.run(run_async(handler(later), attempt, payload)),
    ):
        assert isinstance(outcome, Failed)
        assert outcome.error.kind == "jobsim.PayloadError"
        assert outcome.error.is_a("jobsim.core.errors.PayloadError")
        assert outcome.error.message.startswith("work: ")
    assert called == []


def test_arguments_reach_the_handler_as_its_annotations_say(
    handler: MakeHandler, attempt: JobContext
) -> None:
    """Payload values are passed by name; what is not there is the handler's default."""
    seen: list[object] = []

    def work(number: int, note: str = "none", *, flag: bool = True) -> None:
        seen.append((number, note, flag))

    assert run_sync(handler(work), attempt, '{"flag": false, "number": 7}') == SUCCEEDED
    assert seen == [(7, "none", False)]


def test_a_payload_error_of_the_handlers_own_is_its_failure(run: Run) -> None:
    """A handler that enqueues something wrong has failed."""
    outcome = run(raising(PayloadError("other: no")))
    assert isinstance(outcome, Failed)
    assert outcome.error.message == "other: no"
