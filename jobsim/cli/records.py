"""Jobs, attempts and events as plain values for JSON and tables."""

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from jobsim.cli.output import iso
from jobsim.core.events import Event
from jobsim.core.job import UNLIMITED, Job
from jobsim.core.time import SECOND
from jobsim.core.transitions import Kind

_ENDS: Final = frozenset({Kind.SUCCEED, Kind.RETRY, Kind.DEAD_LETTER, Kind.RELEASE, Kind.CANCEL})


def job_record(job: Job) -> dict[str, Any]:
    """Return everything stored of `job`; payload and result as the JSON values they spell."""
    return {
        "id": str(job.id),
        "kind": job.kind,
        "queue": job.queue,
        "state": job.state.value,
        "attempt": job.attempt,
        "max_attempts": limit(job.max_attempts),
        "priority": job.priority,
        "run_at": iso(job.run_at),
        "created": iso(job.created),
        "enqueued": iso(job.enqueued),
        "attempted": iso(job.attempted),
        "finished": iso(job.finished),
        "lease_until": iso(job.lease_until),
        "worker": job.worker,
        "token": job.token,
        "budget": limit(job.budget),
        "unique_key": job.unique_key,
        "replaced": job.replaced,
        "limit_key": job.limit_key or None,
        "delay_s": job.delay.seconds,
        "last_error": job.last_error,
        "headers": decoded(job.headers or None),
        "payload": decoded(job.payload),
        "result": decoded(job.result),
    }


def event_record(event: Event) -> dict[str, Any]:
    """Return `event` as a row."""
    return {
        "seq": event.seq,
        "at": iso(event.at),
        "event": event.kind.value,
        "attempt": event.attempt,
        "max_attempts": limit(event.max_attempts),
        "token": event.token,
        "worker": event.worker,
        "due": iso(event.due),
        "outcome": event.why.outcome or None,
        "reason": event.why.reason or None,
        "error": event.why.error or None,
    }


def attempts(events: Iterable[Event]) -> Iterator[dict[str, Any]]:
    """Yield a row for each attempt of one job: what began and ended it; one under way has no end."""
    begun: Event | None = None
    for event in events:
        if event.kind is Kind.CLAIM:
            begun = event
        elif begun is not None and event.kind in _ENDS:
            yield _attempt(begun, event)
            begun = None
    if begun is not None:
        yield _attempt(begun, None)


def _attempt(begun: Event, ended: Event | None) -> dict[str, Any]:
    return {
        "attempt": begun.attempt,
        "token": begun.token,
        "worker": begun.worker,
        "started": iso(begun.at),
        "finished": iso(ended.at) if ended else None,
        "duration_s": (ended.at - begun.at) / SECOND if ended else None,
        "outcome": (ended.why.outcome or ended.kind.value) if ended else "running",
        "error": (ended.why.error or None) if ended else None,
        "next_start": iso(ended.due) if ended else None,
    }


def limit(attempts: int) -> int | None:
    """Return a number of attempts, `None` where there is no limit."""
    return None if attempts >= UNLIMITED else attempts


def decoded(text: str | None) -> Any:
    """Return the value that JSON `text` spells; `text` itself where it is broken."""
    if text is None:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
