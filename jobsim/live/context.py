"""What a handler can learn of the attempt that it runs."""

import logging
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from typing import Final

from jobsim.core.errors import Abandoned, JobsimError
from jobsim.core.job import Lease
from jobsim.core.time import Instant

_job_log: Final = logging.getLogger("jobsim.job")

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class JobContext:
    """One run of one job.

    `id` is the same at every attempt: pass it on as an idempotency key. `attempt` counts from 1. `token`
    grows with every claim: a resource that refuses smaller ones than it has seen is safe from attempts
    that were taken for dead. `cancelled` becomes true once nobody wants the outcome any more (timed
    out, job cancelled, lease lost, worker stopping): a long sync handler should look, or call `heartbeat`,
    and return. What is logged through `logger` carries the job's id and the attempt.
    """

    __slots__ = ("_ends", "attempt", "cancelled", "id", "kind", "max_attempts", "queue", "token")

    def __init__(self, lease: Lease, ends: Instant | None = None) -> None:
        self.id = lease.id
        self.kind = lease.kind
        self.queue = lease.queue
        self.attempt = lease.attempt
        self.max_attempts = lease.max_attempts
        self.token = lease.token
        self.cancelled = False
        self._ends = ends

    @property
    def about(self) -> dict[str, object]:
        """What a log record says of the attempt beside its text."""
        return {"job_id": str(self.id), "kind": self.kind, "attempt": self.attempt}

    @property
    def logger(self) -> "logging.LoggerAdapter[logging.Logger]":
        """The logger ``jobsim.job``, whose records carry `about`."""
        return logging.LoggerAdapter(_job_log, self.about)

    @property
    def deadline(self) -> datetime | None:
        """When the time of this attempt is up, in UTC; `None` where it has no limit."""
        return None if self._ends is None else _EPOCH + timedelta(microseconds=self._ends)

    def heartbeat(self) -> None:
        """Go on, unless nobody wants the outcome any more; leases are renewed without it.

        Raises:
            Abandoned: the attempt is over.
        """
        if self.cancelled:
            raise Abandoned(f"{self} is over: it timed out, or its job is no longer this worker's")

    def __str__(self) -> str:
        return f"job {self.id} ({self.kind}), attempt {self.attempt}"


CURRENT: Final[ContextVar[JobContext]] = ContextVar("jobsim_job")


def current_job() -> JobContext:
    """Return the context of the attempt that the calling handler runs.

    Raises:
        JobsimError: no handler is running here.
    """
    try:
        return CURRENT.get()
    except LookupError:
        raise JobsimError("no attempt is under way: only a handler run by a worker has one") from None
