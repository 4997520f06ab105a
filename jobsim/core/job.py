"""What a job is: its id, its states, and the views of it that stores hand out."""

import uuid
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple, NewType, Self

from jobsim.core.errors import ConfigError
from jobsim.core.time import Duration, Instant

WorkerId = NewType("WorkerId", str)
"""Names one incarnation of a worker; a restarted worker has another, never used before."""

UNLIMITED: Final = 2**30
"""The `max_attempts` of a job that may be tried for ever: this, or more once it was requeued.

A requeue adds the attempts made so far, and the sum still fits the 32 bits of an event record.
"""

DEFAULT_QUEUE: Final = "default"

KEY_MASK: Final = (1 << 62) - 1


class State(StrEnum):
    """The six states; each says who puts a job there, who takes it out, and what a crash leaves."""

    PENDING = "pending"
    """Waits for its first run, or for another after a requeue, a release or a snooze. Enqueuers and
    operators put it here; a claim at or after `run_at`, or a cancellation, takes it out. A crash leaves
    it as it is."""

    RUNNING = "running"
    """One worker holds a lease on it. A claim puts it here; the settlement of that lease takes it
    out. A crashed worker leaves it here until the lease ends, when any reaper settles it as lost."""

    SUCCEEDED = "succeeded"
    """Final: the handler returned and that was committed. A crash leaves it as it is."""

    FAILED = "failed"
    """The last attempt failed and the job waits for its retry time. A settlement puts it here; a
    claim at or after `run_at`, a requeue or a cancellation takes it out. A crash leaves it as it is."""

    DEAD_LETTER = "dead_letter"
    """Final until an operator acts: attempts exhausted, error not retryable, or too old. A
    settlement puts it here; requeue and discard take it out. A crash leaves it as it is."""

    CANCELLED = "cancelled"
    """Final: an operator cancelled or discarded it, or its handler asked for that. A crash leaves
    it as it is; a worker that still runs it finds its lease refused."""


class JobId(int):
    """A UUIDv7 as a 128-bit integer: sorts by creation time and prints as a UUID."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the id that `text` spells as a UUID.

        Raises:
            ConfigError: `text` is not a UUID.
        """
        try:
            return cls(uuid.UUID(text).int)
        except ValueError:
            raise ConfigError(
                f"{text!r} is not a job id; ids look like 01920000-0000-7000-8000-000000000000"
            ) from None

    @property
    def key(self) -> int:
        """The 62 random bits, which key every random stream of this job."""
        return self & KEY_MASK

    def __str__(self) -> str:
        return str(uuid.UUID(int=self))

    def __repr__(self) -> str:
        return f"JobId.parse('{self}')"


class Conflict(StrEnum):
    """What enqueueing does where another job, not yet final, holds the unique key."""

    SKIP = "skip"
    """Nothing: the holder stands for the new job."""

    REPLACE = "replace"
    """The new job takes the key. A holder that waits is cancelled; one that runs goes on, but never waits
    again: where it would be retried or given back, it is cancelled."""

    RAISE = "raise"
    """`KeyTaken` is raised, and nothing of the call is kept."""


KEY_LENGTH: Final = 255
"""How many characters a unique key or a limit key may have."""


class NewJob(NamedTuple):
    """A job as it is handed to `Storage.enqueue`; `payload` is JSON text. A named tuple, as `Lease` is.

    At most one job that is not final holds a `unique_key`; `conflict` says what a second one means.
    `limit_key` is what `Limit.running_per_key` counts by. `headers` is JSON text, too: what goes with the job
    from who enqueues it to who runs it, such as the trace that it belongs to; empty where there is nothing.
    """

    id: JobId
    kind: str
    run_at: Instant
    queue: str = DEFAULT_QUEUE
    payload: str = "{}"
    max_attempts: int = 5
    priority: int = 0
    unique_key: str | None = None
    conflict: Conflict = Conflict.SKIP
    limit_key: str = ""
    headers: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as it stands in the store; times are `Instant`s, `None` where it has not happened.

    `attempt` counts claims (from 1 while the first run is under way) and never passes
    `max_attempts`, the limit in force. `budget` is how many attempts one enqueue or requeue grants:
    a requeue sets `max_attempts` to `attempt + budget` and leaves `attempt` as it is. `token` grows by
    one at each claim and is never lowered. `enqueued` is when the job last became fresh (enqueue or
    requeue), `created` when it was first accepted. `delay` is the last backoff delay. A `replaced` job has
    given its unique key up to another while it ran.
    """

    id: JobId
    kind: str
    queue: str
    payload: str
    state: State
    attempt: int
    max_attempts: int
    budget: int
    token: int
    priority: int
    run_at: Instant
    created: Instant
    enqueued: Instant
    attempted: Instant | None
    finished: Instant | None
    lease_until: Instant | None
    worker: WorkerId | None
    delay: Duration
    last_error: str | None
    result: str | None
    unique_key: str | None = None
    replaced: bool = False
    limit_key: str = ""
    headers: str = ""


class QueueDepth(NamedTuple):
    """How many jobs of a queue are in each state, and when the first of those that wait is due."""

    counts: dict[State, int]
    oldest: Instant | None


class Lease(NamedTuple):
    """One worker's right to run one attempt, and what the attempt and its settlement need.

    A named tuple, not a dataclass: one is made at every claim, and this form costs a third.
    `key` is the store's own handle of the row; nobody else reads meaning into it.
    """

    key: int
    id: JobId
    kind: str
    queue: str
    attempt: int
    max_attempts: int
    budget: int
    token: int
    enqueued: Instant
    delay: Duration
    until: Instant
    worker: WorkerId
    payload: str
    headers: str = ""

    @property
    def tries(self) -> int:
        """Attempts since the last enqueue or requeue, counting from 1: what backoff counts."""
        return self.attempt - (self.max_attempts - self.budget)
