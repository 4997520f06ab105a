"""Rows of a database as the values that they stand for."""

from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeVar

from jobsim.core.decide import Why
from jobsim.core.events import Event
from jobsim.core.job import Job, JobId, Lease, QueueDepth, State
from jobsim.core.time import Duration
from jobsim.core.transitions import WAITING, Kind

T = TypeVar("T")
Row = tuple[Any, ...]

_KINDS: Final = {kind.value: kind for kind in Kind}
_STATES: Final = {state.value: state for state in State}
_tuple: Final = tuple.__new__


def blob(job: JobId) -> bytes:
    """Return `job` as its sixteen bytes."""
    return job.to_bytes(16)


class Meaningless(ValueError):
    """A row holds what no code of ours can have written."""


def storable(text: str) -> str:
    """Return `text` with what UTF-8 cannot say (half of a surrogate pair) spelled as JSON would."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def number_of(row: Row) -> int:
    """Return the number that is all there is in a row."""
    number: int = row[0]
    return number


def name_of(row: Row) -> str:
    """Return the name that is all there is in a row."""
    name: str = row[0]
    return name


def state_of(text: str) -> State:
    """Return the state that is stored as `text`.

    Raises:
        Meaningless: there is none.
    """
    return _named(_STATES, text)


def _named(known: dict[str, T], text: str) -> T:
    try:
        return known[text]
    except KeyError:
        raise Meaningless(f"{text!r} means nothing") from None


def lease_of(row: Row) -> Lease:
    """Return a row in the order of a lease's fields, its id as bytes, as a lease."""
    key, uuid, kind, queue, attempt, limit, budget, token, enqueued, delay, until, worker, payload, head = row
    # Past the constructor, whose keywords cost as much as all the rest.
    return _tuple(
        Lease,
        (
            key,
            JobId.from_bytes(uuid),
            kind,
            queue,
            attempt,
            limit,
            budget,
            token,
            enqueued,
            Duration(delay),
            until,
            worker,
            payload,
            head or "",
        ),
    )


def job_of(row: Row) -> Job:
    """Return a row of the view ``full_job``, and its headers, as a job.

    Raises:
        Meaningless: its state is none.
    """
    _, uuid, kind, queue, payload, state, attempt, limit, budget, token, priority, run_at, *rest = row
    created, enqueued, attempted, finished, lease_until, worker, delay, last_error, result, *more = rest
    unique_key, replaced, limit_key, headers = more
    return Job(
        id=JobId.from_bytes(uuid),
        kind=kind,
        queue=queue,
        payload=payload,
        state=state_of(state),
        attempt=attempt,
        max_attempts=limit,
        budget=budget,
        token=token,
        priority=priority,
        run_at=run_at,
        created=created,
        enqueued=enqueued,
        attempted=attempted,
        finished=finished,
        lease_until=lease_until,
        worker=worker,
        delay=Duration(delay),
        last_error=last_error,
        result=result,
        unique_key=unique_key,
        replaced=bool(replaced),
        limit_key=limit_key,
        headers=headers or "",
    )


def depths_of(rows: Iterable[Sequence[Any]]) -> dict[str, QueueDepth]:
    """Return what rows of queue, state, number, and first due, say of each queue.

    Raises:
        Meaningless: a state is none.
    """
    depths: dict[str, QueueDepth] = {}
    for queue, name, number, due in rows:
        state = state_of(name)
        counts, oldest = depths.get(queue) or QueueDepth(dict.fromkeys(State, 0), None)
        counts[state] = number
        if state in WAITING and (oldest is None or due < oldest):
            oldest = due
        depths[queue] = QueueDepth(counts, oldest)
    return depths


def event_of(row: Row) -> Event:
    """Return a row of the view ``full_event`` as an event.

    Raises:
        Meaningless: its kind is none.
    """
    seq, at, uuid, kind, attempt, limit, token, worker, due, outcome, reason, error, _ = row
    why = Why(outcome or "", reason or "", error or "")
    return Event(
        seq, at, JobId.from_bytes(uuid), _named(_KINDS, kind), attempt, limit, token, worker, due, why
    )
