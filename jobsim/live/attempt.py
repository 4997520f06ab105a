"""What a handler can learn of the attempt that it runs."""

from contextvars import ContextVar
from typing import Final

from jobsim.core.errors import JobsimError
from jobsim.core.job import Lease


class Attempt:
    """One run of one job.

    `id` is the same at every attempt: pass it on as an idempotency key. `number` counts from 1. `token`
    grows with every claim: a resource that refuses smaller ones than it has seen is safe from attempts
    that were taken for dead. `abandoned` becomes true once nobody wants the outcome any more (timed
    out, cancelled, lease lost, worker stopping): a long sync handler should look, and return.
    """

    __slots__ = ("abandoned", "id", "kind", "max_attempts", "number", "queue", "token")

    def __init__(self, lease: Lease) -> None:
        self.id = lease.id
        self.kind = lease.kind
        self.queue = lease.queue
        self.number = lease.attempt
        self.max_attempts = lease.max_attempts
        self.token = lease.token
        self.abandoned = False

    def __str__(self) -> str:
        return f"job {self.id} ({self.kind}), attempt {self.number}"


CURRENT: Final[ContextVar[Attempt]] = ContextVar("jobsim_attempt")


def current_attempt() -> Attempt:
    """Return the attempt that the calling handler runs.

    Raises:
        JobsimError: no handler is running here.
    """
    try:
        return CURRENT.get()
    except LookupError:
        raise JobsimError("no attempt is under way: only a handler run by a worker has one") from None
