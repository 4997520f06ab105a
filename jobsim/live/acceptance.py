"""Where calls become jobs: with an id, a place and a time, in the store or in the caller's transaction."""

from collections.abc import Iterable, Sequence

from jobsim.core.job import UNLIMITED, Conflict, JobId, NewJob
from jobsim.core.time import Instant
from jobsim.live.calls import Call
from jobsim.live.joining import join
from jobsim.live.placement import Placement
from jobsim.live.stores import Presence
from jobsim.live.telemetry import enqueued
from jobsim.live.terms import Terms
from jobsim.live.tracing import Tracer


def accept(
    here: Presence,
    kind: str,
    calls: Sequence[Call],
    placement: Placement,
    terms: Terms,
    tracer: Tracer | None = None,
) -> list[JobId]:
    """Enqueue a job of `kind` for each of `calls`, all or none, and tell the workers of this process.

    Raises:
        ConfigError: the placement's connection cannot be joined.
        KeyTaken: a unique key is.
        StorageError: the store could not take them.
    """
    if not calls:
        return []
    if tracer is None:
        return _accept(here, kind, calls, placement, terms, "")
    with tracer.sending(kind, placement.queue or terms.queue, len(calls)) as sending:
        ids = _accept(here, kind, calls, placement, terms, sending.headers)
        sending.accepted(ids)
    return ids


def _accept(
    here: Presence, kind: str, calls: Sequence[Call], placement: Placement, terms: Terms, headers: str
) -> list[JobId]:
    if placement.connection is not None and not here.rehearsed:
        here.check()
        enqueue, now = join(here.where, placement.connection)
        jobs = jobs_of(here.mint.several(now, len(calls)), kind, calls, placement, terms, now, headers)
        ids = enqueue(jobs, now)
    else:
        now = here.now()
        jobs = jobs_of(here.mint.several(now, len(calls)), kind, calls, placement, terms, now, headers)
        ids = here.open().enqueue(jobs, now)
        for worker in here.workers:
            worker.ring(len(ids))
    if here.telemetry:
        for event in enqueued(jobs, ids, now):
            here.telemetry.tell(event)
    return ids


def jobs_of(
    ids: Iterable[JobId],
    kind: str,
    calls: Sequence[Call],
    placement: Placement,
    terms: Terms,
    now: Instant,
    headers: str = "",
) -> list[NewJob]:
    """Return the jobs that `calls` of `kind` are under `ids`, enqueued at `now`; `headers` go with each."""
    most = terms.policy.max_attempts if placement.max_attempts is ... else placement.max_attempts
    run_at, queue = placement.start(now), placement.queue or terms.queue
    priority = terms.priority if placement.priority is None else placement.priority
    conflict = Conflict(placement.on_conflict or terms.on_conflict or Conflict.SKIP)
    attempts = UNLIMITED if most is None else most
    place = (kind, run_at, queue)
    return [
        NewJob(id_, *place, payload, attempts, priority, unique_key, conflict, limit_key, headers)
        for id_, (payload, unique_key, limit_key) in zip(ids, calls, strict=True)
    ]
