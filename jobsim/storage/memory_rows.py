"""What the store in memory is made of: a row a job, a line a queue."""

from heapq import heappop, heappush
from typing import Final

from jobsim.core.job import Job, Lease, NewJob, State
from jobsim.core.time import Duration, Instant
from jobsim.core.transitions import WAITING

_NO_DELAY: Final = Duration(0)


class Row:
    """One job; `number` is its place in the order of enqueueing and in the log.

    `by` is the number in the log of the worker who holds `lease`.
    """

    __slots__ = (
        "attempt",
        "attempted",
        "by",
        "created",
        "delay",
        "enqueued",
        "finished",
        "last_error",
        "lease",
        "max_attempts",
        "new",
        "number",
        "result",
        "run_at",
        "state",
        "token",
    )

    def __init__(self, new: NewJob, number: int, state: State, now: Instant) -> None:
        self.new = new
        self.number = number
        self.state = state
        self.max_attempts = new.max_attempts
        self.run_at = new.run_at
        self.created = self.enqueued = now
        self.attempt = self.token = self.by = 0
        self.delay = _NO_DELAY
        self.lease: Lease | None = None
        self.attempted: Instant | None = None
        self.finished: Instant | None = None
        self.last_error: str | None = None
        self.result: str | None = None

    @property
    def until(self) -> Instant | None:
        """When the lease ends, if there is one."""
        return None if self.lease is None else self.lease.until

    def runs_under(self, lease: Lease) -> bool:
        """Return whether `lease`, be it renewed meanwhile, is the one the job runs under."""
        return self.lease is not None and self.token == lease.token and self.new.id == lease.id

    def renew(self, until: Instant) -> Instant:
        """Let the lease last until `until`, never less than before; return when it ends."""
        assert self.lease is not None
        until = max(self.lease.until, until)
        self.lease = self.lease._replace(until=until)
        return until

    def job(self) -> Job:
        """Return the job as the world sees it."""
        new, lease = self.new, self.lease
        return Job(
            id=new.id,
            kind=new.kind,
            queue=new.queue,
            payload=new.payload,
            state=self.state,
            attempt=self.attempt,
            max_attempts=self.max_attempts,
            budget=new.max_attempts,
            token=self.token,
            priority=new.priority,
            run_at=self.run_at,
            created=self.created,
            enqueued=self.enqueued,
            attempted=self.attempted,
            finished=self.finished,
            lease_until=self.until,
            worker=None if lease is None else lease.worker,
            delay=self.delay,
            last_error=self.last_error,
            result=self.result,
        )


_Ready = tuple[int, Instant, int, Row]
_Later = tuple[Instant, int, Row]


class Line:
    """The waiting jobs of one queue: those due by priority, the others by time.

    A cancelled job stays until it is met: nothing leads out of that state, so it cannot be mistaken.
    """

    __slots__ = ("later", "ready")

    def __init__(self) -> None:
        self.ready: list[_Ready] = []
        self.later: list[_Later] = []

    def add(self, row: Row, now: Instant) -> None:
        """Add a waiting job."""
        run_at = row.run_at
        if run_at <= now:
            heappush(self.ready, (-row.new.priority, run_at, row.number, row))
        else:
            heappush(self.later, (run_at, row.number, row))

    def first(self, now: Instant) -> _Ready | None:
        """Return the entry to be claimed first, which stays at the head of `ready`."""
        later, ready = self.later, self.ready
        while later and later[0][0] <= now:
            run_at, number, row = heappop(later)
            heappush(ready, (-row.new.priority, run_at, number, row))
        while ready:
            head = ready[0]
            if head[3].state in WAITING:
                if head[1] <= now:
                    return head
                # A clock ahead of the one that asks now has brought it here too early.
                heappush(later, head[1:])
            heappop(ready)
        return None

    def due(self) -> Instant | None:
        """Return the earliest `run_at` of those waiting, or that of an overdue one."""
        ready, later = self.ready, self.later
        while ready:
            if ready[0][3].state in WAITING:
                return ready[0][1]
            heappop(ready)
        while later:
            if later[0][2].state in WAITING:
                return later[0][0]
            heappop(later)
        return None
