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

_ENQUEUED: Final = TRANSITIONS[None, Kind.ENQUEUE]
_ENQUEUE: Final = CODE[Kind.ENQUEUE]
_CLAIM: Final = CODE[Kind.CLAIM]
_REFUSE: Final = CODE[Kind.REFUSE]
_NO_WHY: Final = 0  # the number every log gives to an event without a reason
_NOBODY: Final = 0
_pack: Final = RECORD.pack


class _Row:
    """One job; `number` is its place in the order of enqueueing and in the log.

    What has not happened yet is a default of the class: most rows are never asked for it.
    """

    attempt = 0
    token = 0
    delay = Duration(0)
    attempted: Instant | None = None
    finished: Instant | None = None
    lease_until: Instant | None = None
    worker: WorkerId | None = None
    last_error: str | None = None
    result: str | None = None

    def __init__(self, new: NewJob, number: int, state: State, now: Instant) -> None:
        self.new = new
        self.number = number
        self.state = state
        self.max_attempts = new.max_attempts
        self.run_at = new.run_at
        self.created = self.enqueued = now

    def job(self) -> Job:
        """Return the job as the world sees it."""
        new = self.new
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
            lease_until=self.lease_until,
            worker=self.worker,
            delay=self.delay,
            last_error=self.last_error,
            result=self.result,
        )

    def lease(self) -> Lease:
        """Return the lease the job runs under."""
        id_, kind, _, queue, payload, budget, _ = self.new
        # Past the constructor, whose keywords cost as much as all the rest of a claim.
        return _tuple(
            Lease,
            (
                self.number + 1,
                id_,
                kind,
                queue,
                self.attempt,
                self.max_attempts,
                budget,
                self.token,
                self.enqueued,
                self.delay,
                self.lease_until,
                self.worker,
                payload,
            ),
        )


_tuple: Final = tuple.__new__

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
            heappush(self.ready, (-row.new.priority, row.run_at, row.number, row))
        else:
            heappush(self.later, (row.run_at, row.number, row))

    def first(self, now: Instant) -> _Ready | None:
        """Return the entry to be claimed first, which stays at the head of `ready`."""
        later, ready = self.later, self.ready
        while later and later[0][0] <= now:
            run_at, number, row = heappop(later)
            heappush(ready, (-row.new.priority, run_at, number, row))
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
        self._kinds: dict[str, int] = {}
        self._lock = RLock()

    def enqueue(self, jobs: Sequence[NewJob], now: Instant) -> list[JobId]:
        """Accept `jobs`, all or none, and return their ids in order."""
        with self._lock:
            ids = [new.id for new in jobs]
            if len(ids) > 1 and len(set(ids)) < len(ids):
                raise StorageError("two jobs of one batch have the same id; nothing of it was accepted")
            for id_ in ids:
                if id_ in self._numbers:
                    raise StorageError(f"job {id_} is there already; nothing of the batch was accepted")
            for new in jobs:
                self._accept(new, now)
            return ids

    def _accept(self, new: NewJob, now: Instant) -> None:
        log = self.log
        number = self._numbers[new.id] = log.add_job(new.id)
        row = _Row(new, number, _ENQUEUED, now)
        self._rows.append(row)
        self._counts[_ENQUEUED] += 1
        self._line(new.queue).add(row, now)
        why = self._kinds.get(new.kind)
        if why is None:
            why = self._kinds[new.kind] = log.why(Why("", new.kind))
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
            until, by = Instant(now + lease), self.log.worker(worker)
            leases: list[Lease] = []
            while len(leases) < limit:
                row = self._first(queues, now)
                if row is None:
                    break
                leases.append(self._claim(row, worker, by, until, now))
            return leases

    def _first(self, queues: Sequence[str], now: Instant) -> _Row | None:
        """Take the row to be claimed first out of its line."""
        best = None
        for queue in queues:
            line = self._lines.get(queue)
            head = None if line is None else line.first(now)
            if head is not None and (best is None or head < best):
                best = head
        return None if best is None else heappop(self._lines[best[3].new.queue].ready)[3]

    def _claim(self, row: _Row, worker: WorkerId, by: int, until: Instant, now: Instant) -> Lease:
        self._move(row, Kind.CLAIM)
        row.attempt = attempt = row.attempt + 1
        row.token = token = row.token + 1
        row.attempted = now
        row.lease_until = until
        row.worker = worker
        number = row.number
        self._running[number] = row
        self._append(_pack(now, until, number, attempt, row.max_attempts, token, by, _NO_WHY, _CLAIM))
        return row.lease()

    def _move(self, row: _Row, kind: Kind) -> None:
        counts, before = self._counts, row.state
        row.state = after = TRANSITIONS.get((before, kind)) or transition(before, kind)
        counts[before] -= 1
        counts[after] += 1

    def settle(self, settlements: Sequence[Settlement], now: Instant) -> list[bool]:
        """Write what became of finished attempts; `False` where the lease was no longer held."""
        with self._lock:
            return [self._settle(lease, decision, now) for lease, decision in settlements]

    def _settle(self, lease: Lease, decision: Decision, now: Instant) -> bool:
        row = self._held(lease)
        if row is None:
            self._refuse(lease, decision, now)
            return False
        kind, why, due, delay, result = decision
        self._move(row, kind)
        self._let_go(row, now)
        if due is not None:
            if kind is Kind.RELEASE:
                row.attempt -= 1
            row.run_at = due
            row.delay = delay
            self._line(row.new.queue).add(row, now)
        if why.error:
            row.last_error = why.error
        if result is not None:
            row.result = result
        self._record(row, now, due, kind, why, lease.worker)
        return True

    def _held(self, lease: Lease) -> _Row | None:
        """Return the row that runs under `lease`, if it still does."""
        row = self._running.get(lease.key - 1)
        return row if row is not None and row.token == lease.token and row.new.id == lease.id else None

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
            settled = [self._settle(held, decision, now) for held, decision in settlements]
            return settled, self.claim(worker, queues, limit, lease, now) if limit else []

    def extend(self, leases: Sequence[Lease], until: Instant, now: Instant) -> set[JobId]:
        """Let `leases` last until `until`, never less than before; return the ids still held."""
        held = set()
        with self._lock:
            for lease in leases:
                row = self._held(lease)
                if row is not None and row.lease_until is not None:
                    row.lease_until = max(row.lease_until, until)
                    self._record(row, now, row.lease_until, Kind.EXTEND, Why(), row.worker)
                    held.add(row.new.id)
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
        earliest = None
        with self._lock:
            for queue in queues:
                line = self._lines.get(queue)
                due = None if line is None else line.due()
                if due is not None and (earliest is None or due < earliest):
                    earliest = due
        return earliest

    def requeue(self, ids: Sequence[JobId], now: Instant) -> list[bool]:
        """Make dead letters pending again, due now; `False` where that is not possible."""
        with self._lock:
            return [self._requeue(id_, now) for id_ in ids]

    def _requeue(self, id_: JobId, now: Instant) -> bool:
        row = self._movable(id_, Kind.REQUEUE)
        if row is None:
            return False
        self._move(row, Kind.REQUEUE)
        row.max_attempts = min(row.attempt + row.new.max_attempts, UNLIMITED)
        row.enqueued = row.run_at = now
        row.delay = Duration(0)
        row.finished = None
        self._line(row.new.queue).add(row, now)
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
                and (kind is None or row.new.kind == kind)
                and (queue is None or row.new.queue == queue)
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
