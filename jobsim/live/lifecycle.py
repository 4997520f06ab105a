"""The lives of jobs in the log: a record for each thing that a worker does, with fields for programs."""

import logging
from typing import Final, assert_never

from jobsim.core.decide import LOST, Decision
from jobsim.core.job import Lease
from jobsim.core.time import SECOND, Duration
from jobsim.core.transitions import Kind
from jobsim.live.telemetry import (
    AttemptClaimed,
    AttemptEnded,
    JobsEnqueued,
    LeaseLost,
    StorageFailed,
    Telemetry,
    TelemetryEvent,
)

lifecycle: Final = logging.getLogger("jobsim.lifecycle")


def log_lives(telemetry: Telemetry) -> None:
    """Log what `telemetry` tells, if such records are wanted; whether they are is looked at now."""
    if lifecycle.isEnabledFor(logging.INFO):
        telemetry.add(log_event)


def log_event(event: TelemetryEvent) -> None:
    """Log `event`: attempts that ended as information, claims and enqueues for debugging.

    Each record has the field ``event``, and those of `fields` with what it is about.
    """
    about: dict[str, object]
    match event:
        case JobsEnqueued(_, kind, queue, jobs):
            for job in jobs:
                about = {"event": "job_enqueued", "job_id": str(job), "kind": kind, "queue": queue}
                lifecycle.debug("job %s (%s) was enqueued on %s", job, kind, queue, extra=about)
        case AttemptClaimed(_, lease):
            about = _about("attempt_claimed", lease)
            if event.wait is not None:
                about["wait_s"] = event.wait / SECOND
            lifecycle.debug("%s is claimed", _name(lease), extra=about)
        case AttemptEnded():
            _log_end(event)
        case LeaseLost(_, lease):
            lifecycle.info("%s lost its lease", _name(lease), extra=_about("lease_lost", lease))
        case StorageFailed(_, worker, call, error):
            about = {"event": "storage_failed", "worker": worker, "call": call, "error": error}
            lifecycle.info("the store's %s failed: %s", call, error, extra=about)
        case _:
            assert_never(event)


def _log_end(event: AttemptEnded) -> None:
    lease, decision, took = event.lease, event.decision, event.took
    why = decision.why
    about: dict[str, object] = {
        **_about("attempt_ended" if event.kept else "attempt_refused", lease),
        "worker": event.worker,
        "outcome": why.outcome,
        "decision": decision.kind.value,
        "reason": why.reason,
        "error": why.error,
        "took_s": None if took is None else took / SECOND,
        "retry_in_s": decision.delay / SECOND if decision.kind is Kind.RETRY else None,
    }
    length = "" if took is None else f" after {_length(took)}"
    outcome = "was lost with its worker" if why.outcome == LOST else why.outcome.replace("_", " ")
    then = _then(decision) if event.kept else "; that came too late, and changes nothing"
    text = "%s %s%s%s"
    lifecycle.info(text, _name(lease), outcome, length, then, extra=_without_none(about))


def _length(took: Duration) -> str:
    return f"{took / SECOND:.3f} s"


def _then(decision: Decision) -> str:
    """Return what becomes of the job, where the outcome does not say it."""
    match decision.kind:
        case Kind.RETRY:
            return f"; it is to be tried again in {decision.delay.brief()}"
        case Kind.DEAD_LETTER:
            return f"; it is a dead letter now ({decision.why.reason or 'given up'})"
        case _:
            return ""


def _name(lease: Lease) -> str:
    return f"job {lease.id} ({lease.kind}), attempt {lease.attempt},"


def _about(event: str, lease: Lease) -> dict[str, object]:
    """Return what records say of the attempt under `lease`."""
    return {
        "event": event,
        "job_id": str(lease.id),
        "kind": lease.kind,
        "queue": lease.queue,
        "attempt": lease.attempt,
        "max_attempts": lease.max_attempts,
        "worker": lease.worker,
    }


def _without_none(fields: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value not in (None, "")}
