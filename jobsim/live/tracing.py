"""Traces of jobs: what goes with a job from who enqueues it, and is there again where it runs.

Who records them is a `Tracer`. Nothing here imports one: a queue that is not traced pays nothing.
"""

import logging
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final, Protocol

from jobsim.core.errors import IdTaken, KeyTaken
from jobsim.core.job import JobId, Lease, NewJob
from jobsim.core.outcome import Outcome

_log: Final = logging.getLogger("jobsim.telemetry")


class Sending(Protocol):
    """An enqueue under way."""

    @property
    def headers(self) -> str:
        """What is to go with each job, as `NewJob.headers`."""
        ...

    def accepted(self, ids: Sequence[JobId]) -> None:
        """Say that the store has returned `ids`."""
        ...

    def forget(self) -> None:
        """Record nothing: there was nothing to be enqueued."""
        ...


class Attempting(Protocol):
    """An attempt under way."""

    @property
    def headers(self) -> str:
        """What another process needs to carry the attempt's trace on."""
        ...

    def ended(self, outcome: Outcome) -> None:
        """Say how the handler has ended; what becomes of the job is told to subscribers."""
        ...


class Tracer(Protocol):
    """Records what happens inside the blocks that it gives; it never raises."""

    def sending(self, kind: str, queue: str, count: int) -> AbstractContextManager[Sending]:
        """Return the block in which `count` jobs are enqueued by one call."""
        ...

    def attempting(self, lease: Lease) -> AbstractContextManager[Attempting]:
        """Return the block in which a handler runs, in its own thread or task."""
        ...

    def finish(self) -> None:
        """Record what is complete but for the news of its settlement, since none is to come any more."""
        ...


def sent(
    tracer: Tracer | None, jobs: Sequence[NewJob], enqueue: Callable[[Sequence[NewJob]], list[JobId]]
) -> list[JobId]:
    """Return what `enqueue` makes of the jobs of one tick; the worker that enqueued them records it."""
    if tracer is None:
        return enqueue(jobs)
    with tracer.sending(jobs[0].kind, jobs[0].queue, len(jobs)) as sending:
        try:
            ids = enqueue([job._replace(headers=sending.headers) for job in jobs])
        except (IdTaken, KeyTaken):
            sending.forget()
            raise
        if ids == [job.id for job in jobs]:
            sending.accepted(ids)
        else:
            sending.forget()
        return ids


def traced(tracer: Tracer | None, lease: Lease, run: Callable[[Lease], Outcome]) -> Outcome:
    """Return what `run` makes of the attempt, with headers only where its trace is to go on."""
    if tracer is None:
        return run(lease._replace(headers="") if lease.headers else lease)
    with tracer.attempting(lease) as attempt:
        outcome = run(lease._replace(headers=attempt.headers))
        attempt.ended(outcome)
    return outcome


async def traced_async(
    tracer: Tracer, lease: Lease, run: Callable[[], Coroutine[Any, Any, Outcome]]
) -> Outcome:
    """Return what `run` makes of the attempt; it is called at the first step, which may never come."""
    with tracer.attempting(lease) as attempt:
        outcome = await run()
        attempt.ended(outcome)
    return outcome


def carried_on(headers: str) -> AbstractContextManager[object]:
    """Return the block in which the trace that `headers` tell of goes on; nothing, where they are empty."""
    if not headers:
        return nullcontext()
    try:
        from jobsim.live.otel_context import CarriedOn

        return CarriedOn(headers)
    except Exception:  # noqa: BLE001  # a job that is not traced is run all the same
        _log.warning("a trace cannot be carried on; its job goes on without", exc_info=True)
        return nullcontext()
