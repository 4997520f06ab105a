"""What the store in memory is made of: a row a job, a line a queue, a count a transition."""

from collections import Counter
from heapq import heappop, heappush
from typing import Final

from jobsim.core.events import CODE
from jobsim.core.job import Job, Lease, NewJob, State
from jobsim.core.time import Duration, Instant
from jobsim.core.transitions import FINAL, TRANSITIONS, WAITING, Kind
from jobsim.storage.base import ENDS

_NO_DELAY: Final = Duration(0)


class Row:
    """One job; `number` is its place in the order of enqueueing and in the log.

    `by` is the number in the log of the worker who holds `lease`.
    """

    __slots__ = (
        "attempt",
        "attempted",
        "budget",
        "by",
        "created",
        "delay",
        "enqueued",
        "finished",
        "headers",
        "id",
        "kind",
        "last_error",
        "lease",
        "limit_key",
        "max_attempts",
        "number",
        "payload",
        "priority",
        "queue",
        "replaced",
        "result",
        "run_at",
        "state",
        "token",
        "unique_key",
    )

    def __init__(self, new: NewJob, number: int, state: State, now: Instant) -> None:
        (
            self.id,
            self.kind,
            self.run_at,
            self.queue,
            self.payload,
            self.budget,
            self.priority,
            self.unique_key,
            _,
            self.limit_key,
            self.headers,
        ) = new
        self.number = number
        self.state = state
        self.max_attempts = self.budget
        self.created = self.enqueued = now
        self.attempt = self.token = self.by = 0
        self.replaced = False
        self.delay = _NO_DELAY
        self.lease: Lease | None = None
        self.attempted: Instant | None = None
        self.finished: Instant | None = None
        self.last_error: str | None = None
        self.result: str | None = None

    def runs_under(self, lease: Lease) -> bool:
        """Return whether `lease`, be it renewed meanwhile, is the one the job runs under."""
        return self.lease is not None and self.token == lease.token and self.id == lease.id

    def job(self) -> Job:
        """Return the job as the world sees it."""
        lease = self.lease
        return Job(
            id=self.id,
            kind=self.kind,
            queue=self.queue,
            payload=self.payload,
            state=self.state,
            attempt=self.attempt,
            max_attempts=self.max_attempts,
            budget=self.budget,
            token=self.token,
            priority=self.priority,
            run_at=self.run_at,
            created=self.created,
            enqueued=self.enqueued,
            attempted=self.attempted,
            finished=self.finished,
            lease_until=None if lease is None else lease.until,
            worker=None if lease is None else lease.worker,
            delay=self.delay,
            last_error=self.last_error,
            result=self.result,
            unique_key=self.unique_key,
            replaced=self.replaced,
            limit_key=self.limit_key,
            headers=self.headers,
        )


Ready = tuple[int, Instant, int, Row]
"""A job that is due, with what the order of claims depends on."""

Later = tuple[Instant, int, Row]
"""A job that is not yet due."""


class Line:
    """The waiting jobs of one queue: those due by priority, the others by time.

    A job that was cancelled, or requeued for another time, stays where it was until it is met there, and is
    told by its state, or by its time.
    """

    __slots__ = ("later", "ready")

    def __init__(self) -> None:
        self.ready: list[Ready] = []
        self.later: list[Later] = []

    def add(self, row: Row, now: Instant) -> None:
        """Add a waiting job."""
        run_at = row.run_at
        if run_at <= now:
            heappush(self.ready, (-row.priority, run_at, row.number, row))
        else:
            heappush(self.later, (run_at, row.number, row))

    def first(self, now: Instant) -> Ready | None:
        """Return the entry to be claimed first, which stays at the head of `ready`."""
        later, ready = self.later, self.ready
        while later and later[0][0] <= now:
            run_at, number, row = heappop(later)
            heappush(ready, (-row.priority, run_at, number, row))
        while ready:
            head = ready[0]
            row = head[3]
            if row.state in WAITING and row.run_at == head[1]:
                if head[1] <= now:
                    return head
                # A clock ahead of the one that asks now has brought it here too early.
                heappush(later, head[1:])
            heappop(ready)
        return None

    def behind_first(self, now: Instant) -> Ready | None:
        """Take the first job out, all its entries if it was requeued for the same time; return the next."""
        row = heappop(self.ready)[3]
        head = self.first(now)
        while head is not None and head[3] is row:
            heappop(self.ready)
            head = self.first(now)
        return head

    def due(self) -> Instant | None:
        """Return the earliest `run_at` of those waiting, or that of an overdue one."""
        ready, later = self.ready, self.later
        while ready:
            row = ready[0][3]
            if row.state in WAITING and row.run_at == ready[0][1]:
                return ready[0][1]
            heappop(ready)
        while later:
            row = later[0][2]
            if row.state in WAITING and row.run_at == later[0][0]:
                return later[0][0]
            heappop(later)
        return None


class Step:
    """One entry of the transition table, what a store asks of it, and how often it has been taken."""

    __slots__ = ("code", "final", "taken", "to")

    def __init__(self, kind: Kind, to: State) -> None:
        self.to = to
        self.code = CODE[kind]
        self.final = to in FINAL
        self.taken = 0


class Steps:
    """The transition table as steps: `all` of it, the `new` job's, a `claim` by state, an `end` by kind.

    `pruned` counts the jobs that are no more, by the state they were in.
    """

    __slots__ = ("all", "claim", "end", "new", "pruned")

    def __init__(self) -> None:
        self.all: Final = {(before, kind): Step(kind, to) for (before, kind), to in TRANSITIONS.items()}
        self.new: Final = self.all[None, Kind.ENQUEUE]
        self.claim: Final = {before: step for (before, kind), step in self.all.items() if kind is Kind.CLAIM}
        self.end: Final = {kind: self.all[State.RUNNING, kind] for kind in ENDS}
        self.pruned: Final = Counter[State]()

    def counts(self) -> dict[State, int]:
        """Return the number of jobs in every state, which the steps taken add up to."""
        counts = {state: -self.pruned[state] for state in State}
        for (before, _), step in self.all.items():
            counts[step.to] += step.taken
            if before is not None:
                counts[before] -= step.taken
        return counts
