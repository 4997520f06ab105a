"""The store in memory: for simulations and tests. Same contract; it lasts as long as the process."""

from collections.abc import Iterator, Sequence
from heapq import heappop, heappush
from itertools import islice
from threading import RLock
from typing import Final

from jobsim.core.decide import Decision, Settlement, Why
from jobsim.core.errors import StorageError
from jobsim.core.events import CODE, RECORD, Event, EventLog
from jobsim.core.job import UNLIMITED, Job, JobId, Lease, NewJob, State, WorkerId
from jobsim.core.time import Duration, Instant
from jobsim.core.transitions import FINAL, TRANSITIONS, WAITING, Kind, transition

_ENQUEUE: Final = CODE[Kind.ENQUEUE]
_CLAIM: Final = CODE[Kind.CLAIM]
_REFUSE: Final = CODE[Kind.REFUSE]
_NO_WHY: Final = 0  # the number every log gives to an event without a reason
_NOBODY: Final = 0
_pack: Final = RECORD.pack
_ZERO: Final = Duration(0)


class _Row:
    """One job; `number` is its row, its place in the order of enqueueing and in the log."""

    __slots__ = (
        "attempt",
        "attempted",
        "budget",
        "created",
        "delay",
        "enqueued",
        "finished",
        "id",
        "kind",
        "last_error",
        "lease_until",
        "max_attempts",
        "number",
        "payload",
        "priority",
        "queue",
        "result",
        "run_at",
        "state",
        "token",
        "worker",
    )

    def __init__(self, new: NewJob, number: int, state: State, now: Instant) -> None:
        self.number = number
        self.id = new.id
        self.kind = new.kind
        self.queue = new.queue
        self.payload = new.payload
        self.state = state
        self.attempt = 0
        self.max_attempts = self.budget = new.max_attempts
        self.token = 0
        self.priority = new.priority
        self.run_at = new.run_at
        self.created = self.enqueued = now
        self.attempted: Instant | None = None
        self.finished: Instant | None = None
        self.lease_until: Instant | None = None
        self.worker: WorkerId | None = None
        self.delay = _ZERO
        self.last_error: str | None = None
        self.result: str | None = None

    def job(self) -> Job:
        """Return the job as the world sees it."""
        return Job(**{name: getattr(self, name) for name in Job.__slots__})

    def lease(self) -> Lease:
        """Return the lease the job runs under."""
        assert self.lease_until is not None
        assert self.worker is not None
        return Lease(
            self.number + 1,
            self.id,
            self.kind,
            self.queue,
            self.attempt,
            self.max_attempts,
            self.budget,
            self.token,
            self.enqueued,
            self.delay,
            self.lease_until,
            self.worker,
            self.payload,
        )


_Ready = tuple[int, Instant, int, _Row]
_Later = tuple[Instant, int, _Row]


class _Line:
    """The waiting jobs of one queue: those due by priority, the others by time.

    A cancelled job stays until it is met: nothing leads out of that state, so it cannot be mistaken.
    """

    __slots__ = ("later", "ready")

    def __init__(self) -> None:
        self.ready: list[_Ready] = []
        self.later: list[_Later] = []

    def add(self, row: _Row, now: Instant) -> None:
        if row.run_at <= now:
            heappush(self.ready, (-row.priority, row.run_at, row.number, row))
        else:
            heappush(self.later, (row.run_at, row.number, row))

    def first(self, now: Instant) -> _Ready | None:
        """Return the entry to be claimed first, which stays at the head of `ready`."""
        later, ready = self.later, self.ready
        while later and later[0][0] <= now:
            run_at, number, row = heappop(later)
            heappush(ready, (-row.priority, run_at, number, row))
        while ready and ready[0][3].state not in WAITING:
            heappop(ready)
        return ready[0] if ready else None

    def due(self) -> Instant | None:
        """Return the earliest `run_at` of those waiting, or that of an overdue one."""
        ready, later = self.ready, self.later
        while ready and ready[0][3].state not in WAITING:
            heappop(ready)
        if ready:
            return ready[0][1]
        while later and later[0][2].state not in WAITING:
            heappop(later)
        return later[0][0] if later else None


class MemoryStorage:
    """Jobs in this process's memory; `log` holds every event. See `storage.base` for the contract."""

    def __init__(self) -> None:
        self.log: Final = EventLog()
        self._append = self.log.records.extend
        self._rows: list[_Row] = []
        self._numbers: dict[JobId, int] = {}
        self._lines: dict[str, _Line] = {}
        self._running: dict[int, _Row] = {}
        self._counts = dict.fromkeys(State, 0)
        self._lock = RLock()

    def enqueue(self, jobs: Sequence[NewJob], now: Instant) -> list[JobId]:
        """Accept `jobs`, all or none, and return their ids in order."""
        with self._lock:
            ids = [new.id for new in jobs]
            if len(jobs) > 1 and len(set(ids)) < len(ids):
                raise StorageError("two jobs of one batch have the same id; none was accepted")
            for id_ in ids:
                if id_ in self._numbers:
                    raise StorageError(f"job {id_} is there already; nothing of the batch was accepted")
            for new in jobs:
                self._accept(new, now)
            return ids

    def _accept(self, new: NewJob, now: Instant) -> None:
        log = self.log
        number = log.add_job(new.id)
        row = _Row(new, number, TRANSITIONS[None, Kind.ENQUEUE], now)
        self._rows.append(row)
        self._numbers[new.id] = number
        self._counts[row.state] += 1
        self._line(new.queue).add(row, now)
        why = log.why(Why("", new.kind))
        self._append(_pack(now, new.run_at, number, 0, new.max_attempts, 0, _NOBODY, why, _ENQUEUE))

    def _line(self, queue: str) -> _Line:
        line = self._lines.get(queue)
        if line is None:
            line = self._lines[queue] = _Line()
        return line

    def claim(
        self, worker: WorkerId, queues: Sequence[str], limit: int, lease: Duration, now: Instant
    ) -> list[Lease]:
        """Give `worker` up to `limit` due jobs of `queues`, each under a lease until `now + lease`."""
        with self._lock:
            lines = [line for queue in queues if (line := self._lines.get(queue)) is not None]
            leases: list[Lease] = []
            while len(leases) < limit:
                heads = [(head, line) for line in lines if (head := line.first(now)) is not None]
                if not heads:
                    break
                _, line = heads[0] if len(heads) == 1 else min(heads)
                row = heappop(line.ready)[3]
                leases.append(self._claim(row, worker, Instant(now + lease), now))
            return leases

    def _claim(self, row: _Row, worker: WorkerId, until: Instant, now: Instant) -> Lease:
        self._move(row, Kind.CLAIM)
        row.attempt = attempt = row.attempt + 1
        row.token = token = row.token + 1
        row.attempted = now
        row.lease_until = until
        row.worker = worker
        number = row.number
        self._running[number] = row
        self._append(
            _pack(
                now,
                until,
                number,
                attempt,
                row.max_attempts,
                token,
                self.log.worker(worker),
                _NO_WHY,
                _CLAIM,
            )
        )
        return row.lease()

    def _move(self, row: _Row, kind: Kind) -> None:
        counts = self._counts
        counts[row.state] -= 1
        row.state = state = transition(row.state, kind)
        counts[state] += 1

    def settle(self, settlements: Sequence[Settlement], now: Instant) -> list[bool]:
        """Write what became of finished attempts; `False` where the lease was no longer held."""
        with self._lock:
            return [self._settle(lease, decision, now) for lease, decision in settlements]

    def _settle(self, lease: Lease, decision: Decision, now: Instant) -> bool:
        row = self._held(lease)
        if row is None:
            self._refuse(lease, decision, now)
            return False
        kind = decision.kind
        why, due = decision.why, decision.due
        self._move(row, kind)
        self._let_go(row, now)
        if kind is Kind.RELEASE:
            row.attempt -= 1
        if due is not None:
            row.run_at = due
            row.delay = decision.delay
            self._line(row.queue).add(row, now)
        if why.error:
            row.last_error = why.error
        if decision.result is not None:
            row.result = decision.result
        self._record(row, now, due, kind, why, lease.worker)
        return True

    def _held(self, lease: Lease) -> _Row | None:
        """Return the row that runs under `lease`, if it still does."""
        row = self._running.get(lease.key - 1)
        return row if row is not None and row.token == lease.token and row.id == lease.id else None

    def _let_go(self, row: _Row, now: Instant) -> None:
        """End the lease of `row`, which has moved on."""
        del self._running[row.number]
        row.lease_until = None
        row.worker = None
        if row.state in FINAL:
            row.finished = now

    def _refuse(self, lease: Lease, decision: Decision, now: Instant) -> None:
        number = self._numbers.get(lease.id)
        if number is None:
            return  # there is no job whose history it could be part of
        log = self.log
        worker, why = log.worker(lease.worker), log.why(decision.why)
        self._append(
            _pack(now, -1, number, lease.attempt, lease.max_attempts, lease.token, worker, why, _REFUSE)
        )

    def _record(
        self, row: _Row, now: Instant, due: Instant | None, kind: Kind, why: Why, worker: WorkerId | None
    ) -> None:
        log = self.log
        self._append(
            _pack(
                now,
                -1 if due is None else due,
                row.number,
                row.attempt,
                row.max_attempts,
                row.token,
                log.worker(worker),
                log.why(why),
                CODE[kind],
            )
        )

    def exchange(
        self,
        settlements: Sequence[Settlement],
        worker: WorkerId,
        queues: Sequence[str],
        limit: int,
        lease: Duration,
        now: Instant,
    ) -> tuple[list[bool], list[Lease]]:
        """Settle, then claim, in one transaction; return what `settle` and `claim` would."""
        with self._lock:
            return self.settle(settlements, now), self.claim(worker, queues, limit, lease, now)

    def extend(self, leases: Sequence[Lease], until: Instant, now: Instant) -> set[JobId]:
        """Let `leases` last until `until`, never less than before; return the ids still held."""
        held = set()
        with self._lock:
            for lease in leases:
                row = self._held(lease)
                if row is not None and row.lease_until is not None:
                    row.lease_until = max(row.lease_until, until)
                    self._record(row, now, row.lease_until, Kind.EXTEND, Why(), row.worker)
                    held.add(row.id)
        return held

    def expired(self, limit: int, now: Instant, after: int = 0) -> list[Lease]:
        """Return up to `limit` leases that ended before `now`, by `Lease.key`, those above `after`."""
        with self._lock:
            ended = [
                row
                for number, row in self._running.items()
                if number >= after and row.lease_until is not None and row.lease_until < now
            ]
            ended.sort(key=lambda row: row.number)
            return [row.lease() for row in ended[:limit]]

    def next_due(self, queues: Sequence[str]) -> Instant | None:
        """Return the earliest `run_at` of a waiting job of `queues`, or `None`."""
        with self._lock:
            lines = (self._lines.get(queue) for queue in queues)
            times = [due for line in lines if line is not None and (due := line.due()) is not None]
            return min(times, default=None)

    def requeue(self, ids: Sequence[JobId], now: Instant) -> list[bool]:
        """Make dead letters pending again, due now; `False` where that is not possible."""
        with self._lock:
            return [self._requeue(id_, now) for id_ in ids]

    def _requeue(self, id_: JobId, now: Instant) -> bool:
        row = self._movable(id_, Kind.REQUEUE)
        if row is None:
            return False
        self._move(row, Kind.REQUEUE)
        row.max_attempts = min(row.attempt + row.budget, UNLIMITED)
        row.enqueued = row.run_at = now
        row.delay = _ZERO
        row.finished = None
        self._line(row.queue).add(row, now)
        self._record(row, now, now, Kind.REQUEUE, Why(), None)
        return True

    def _movable(self, id_: JobId, kind: Kind) -> _Row | None:
        number = self._numbers.get(id_)
        row = None if number is None else self._rows[number]
        return row if row is not None and (row.state, kind) in TRANSITIONS else None

    def cancel(self, ids: Sequence[JobId], now: Instant, reason: str = "") -> list[bool]:
        """Cancel jobs that are not final, and discard dead letters; `False` where not possible."""
        with self._lock:
            return [self._cancel(id_, now, reason) for id_ in ids]

    def _cancel(self, id_: JobId, now: Instant, reason: str) -> bool:
        row = self._movable(id_, Kind.CANCEL)
        if row is None:
            return False
        running = row.state is State.RUNNING
        self._move(row, Kind.CANCEL)
        if running:
            self._let_go(row, now)
        row.finished = now
        self._record(row, now, None, Kind.CANCEL, Why("cancelled", "operator", reason), None)
        return True

    def get(self, job: JobId) -> Job | None:
        """Return the job, or `None`."""
        with self._lock:
            number = self._numbers.get(job)
            return None if number is None else self._rows[number].job()

    def find(
        self,
        *,
        states: Sequence[State] = (),
        kind: str | None = None,
        queue: str | None = None,
        limit: int | None = None,
    ) -> list[Job]:
        """Return jobs in the order they were enqueued; nothing given filters nothing."""
        with self._lock:
            found = (
                row.job()
                for row in self._rows
                if (not states or row.state in states)
                and (kind is None or row.kind == kind)
                and (queue is None or row.queue == queue)
            )
            return list(islice(found, limit))

    def counts(self) -> dict[State, int]:
        """Return the number of jobs in every state."""
        with self._lock:
            return dict(self._counts)

    def events(self, after: int = 0, job: JobId | None = None) -> Iterator[Event]:
        """Yield events with `seq` above `after`, oldest first; of one `job` only, where given."""
        return (event for event in self.log.since(after) if job is None or event.job == job)

    def close(self) -> None:
        """Do nothing: there is nothing to let go of."""
