"""What a handler does, as an outcome: what it returns, raises, or asks for."""

import logging
from collections.abc import Iterable
from inspect import isawaitable, iscoroutine
from typing import Any, Final

from jobsim.core.errors import PayloadError, PowerLost, UnknownKind, did_you_mean
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
from jobsim.live.context import CURRENT, JobContext
from jobsim.live.handler import Handler
from jobsim.live.payload import encode

_log: Final = logging.getLogger("jobsim.worker")


def run_sync(handler: Handler[..., Any], context: JobContext, payload: str) -> Outcome:
    """Run a sync handler to its end and return what that means; never raises but `PowerLost`."""
    token = CURRENT.set(context)
    try:
        return _returned(handler, _call(handler, context, payload))
    except PowerLost:
        raise
    except BaseException as error:  # noqa: BLE001  # SystemExit, too, costs this attempt and not the worker
        return raised(error, context)
    finally:
        CURRENT.reset(token)


async def run_async(handler: Handler[..., Any], context: JobContext, payload: str) -> Outcome:
    """Run an async handler to its end and return what that means; never raises but `PowerLost`."""
    CURRENT.set(context)
    try:
        return _returned(handler, await _call(handler, context, payload))
    except PowerLost:
        raise
    except BaseException as error:  # noqa: BLE001  # as above, and a cancellation of the handler's own making
        return raised(error, context)


def _call(handler: Handler[..., Any], context: JobContext, payload: str) -> Any:
    arguments = handler.arguments
    return handler.fn(**arguments.decode(payload), **arguments.context(context))


def _returned(handler: Handler[..., Any], value: Any) -> Outcome:
    if isawaitable(value):
        if iscoroutine(value):
            value.close()
        raise TypeError(f"it returned a {type(value).__name__}, which nobody awaits; define it by async def")
    if not handler.terms.keep_result:
        return SUCCEEDED
    return Succeeded(encode(value, f"the result of {handler.kind}", handler.terms.payload_limit))


def unknown(lease: Lease, known: Iterable[str]) -> Outcome:
    """Return what it means that there is no handler for the lease's kind."""
    hint = did_you_mean(lease.kind, known)
    return raised(UnknownKind(f"this worker has no handler for {lease.kind!r}{hint}"), JobContext(lease))


def raised(error: BaseException, context: JobContext) -> Outcome:
    """Return what it means that `error` ended an attempt; its traceback goes to the log alone."""
    match error:
        case Snooze(delay=delay):
            return Snoozed(delay)
        case Cancel(reason=reason):
            return Cancelled(reason)
        case Discard(reason=reason):
            _log.warning("%s is given up by its handler: %s", context, reason, extra=context.about)
            return Failed(_error(error), final=True)
        case RetryAfter(delay=delay):
            _log.warning("%s failed: %s", context, error, extra=context.about)
            return Failed(_error(error), delay)
        case UnknownKind() | PayloadError():
            _log.warning("%s failed: %s", context, error, extra=context.about)
        case _ if not context.cancelled:
            _log.warning("%s failed", context, exc_info=error, extra=context.about)
    return Failed(_error(error))


def _error(exception: BaseException) -> Error:
    """Return the value for `exception`; jobsim's own go by the names that users import."""
    error = Error.of(exception)
    if not type(exception).__module__.startswith("jobsim."):
        return error
    name = f"jobsim.{type(exception).__name__}"
    return Error(name, error.message, (name, *error.lineage))
