"""What a handler does, as an outcome: what it returns, raises, or asks for."""

import logging
from collections.abc import Awaitable
from inspect import isawaitable, iscoroutine
from typing import Any, Final

from jobsim.core.errors import JobsimError, PayloadError, UnknownKind
from jobsim.core.outcome import (
    SUCCEEDED,
    Cancel,
    Cancelled,
    Error,
    Failed,
    Outcome,
    RetryAfter,
    Snooze,
    Snoozed,
    Succeeded,
)
from jobsim.live.attempt import CURRENT, Attempt
from jobsim.live.handler import Handler
from jobsim.live.payload import encode

_log: Final = logging.getLogger("jobsim.worker")


def run_sync(handler: Handler[..., Any], attempt: Attempt, payload: str) -> Outcome:
    """Run a sync handler to its end and return what that means; never raises."""
    token = CURRENT.set(attempt)
    try:
        return _returned(handler, handler.fn(**handler.arguments.decode(payload)))
    except BaseException as error:  # noqa: BLE001  # SystemExit, too, costs this attempt and not the worker
        return raised(error, attempt)
    finally:
        CURRENT.reset(token)


async def run_async(handler: Handler[..., Any], attempt: Attempt, payload: str) -> Outcome:
    """Run an async handler to its end and return what that means; never raises."""
    CURRENT.set(attempt)
    try:
        running: Awaitable[Any] = handler.fn(**handler.arguments.decode(payload))
        return _returned(handler, await running)
    except BaseException as error:  # noqa: BLE001  # as above, and a cancellation of the handler's own making
        return raised(error, attempt)


def _returned(handler: Handler[..., Any], value: Any) -> Outcome:
    if isawaitable(value):
        if iscoroutine(value):
            value.close()
        raise TypeError(f"it returned a {type(value).__name__}, which nobody awaits; define it by async def")
    if not handler.terms.keep_result:
        return SUCCEEDED
    return Succeeded(encode(value, f"the result of {handler.kind}", handler.terms.payload_limit))


def raised(error: BaseException, attempt: Attempt) -> Outcome:
    """Return what it means that `error` ended an attempt; its traceback goes to the log alone."""
    match error:
        case Snooze(delay=delay):
            return Snoozed(delay)
        case Cancel(reason=reason):
            return Cancelled(reason)
        case RetryAfter(delay=delay):
            _log.warning("%s failed: %s", attempt, error, extra=about(attempt))
            return Failed(_error(error), delay)
        case UnknownKind() | PayloadError():
            _log.warning("%s failed: %s", attempt, error, extra=about(attempt))
        case _ if not attempt.abandoned:
            _log.warning("%s failed", attempt, exc_info=error, extra=about(attempt))
    return Failed(_error(error))


def _error(exception: BaseException) -> Error:
    """Return the value for `exception`; jobsim's own go by the names that users import."""
    error = Error.of(exception)
    if not isinstance(exception, JobsimError):
        return error
    name = f"jobsim.{type(exception).__name__}"
    return Error(name, error.message, (name, *error.lineage))


def about(attempt: Attempt) -> dict[str, object]:
    """Return what a log record says of `attempt` beside its text."""
    return {"job_id": str(attempt.id), "attempt": attempt.number}
