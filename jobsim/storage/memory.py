"""The store in memory: for simulations and tests. Same contract; it lasts as long as the process."""

from collections.abc import Iterable, Iterator, Sequence
from heapq import heappop
from itertools import islice
from threading import Lock
from typing import Final

from jobsim.core.decide import Decision, Settlement, Why
from jobsim.core.errors import StorageError
from jobsim.core.events import CODE, RECORD, Event, EventLog
from jobsim.core.job import Job, JobId, Lease, NewJob, State, WorkerId
from jobsim.core.time import Duration, Instant
from jobsim.core.transitions import FINAL, TRANSITIONS, Kind
from jobsim.storage.base import ENDS, possible
from jobsim.storage.memory_rows import Line, Row

_REFUSE: Final = CODE[Kind.REFUSE]
_RELEASE: Final = Kind.RELEASE  # to look up a member of an enum costs as much as a call
_NOBODY: Final = 0  # the number that every log gives to no worker
_NO_WHY: Final = 0  # and that of no reason
_pack: Final = RECORD.pack
_tuple: Final = tuple.__new__


class _Step:
    """One entry of the transition table, what a store asks of it, and how often it has been taken."""

    __slots__ = ("code", "final", "taken", "to")

    def __init__(self, kind: Kind, to: State) -> None:
        self.to = to
        self.code = CODE[kind]
        self.final = to in FINAL
        self.taken = 0


class MemoryStorage:
    """Jobs in this process's memory; `log` holds every event. See `storage.base` for the contract."""

    def __init__(self) -> None:
        self.log: Final = EventLog()
        self._append = self.log.records.extend
        self._whys = self.log.why_numbers
        self._rows: list[Row] = []
        self._numbers: dict[JobId, int] = {}
        self._highest = JobId(-1)  # of all ids: ids sort by time, so what is above it is new
        self._lines: dict[str, Line] = {}
        self._running: dict[int, Row] = {}  # by `Lease.key`
        self._kinds: dict[str, int] = {}
        self._lock = Lock()
        self._steps = {(before, kind): _Step(kind, to) for (before, kind), to in TRANSITIONS.items()}
        self._enqueue = self._steps[None, Kind.ENQUEUE]
        self._claims = {before: step for (before, kind), step in self._steps.items() if kind is Kind.CLAIM}
        self._ends = {kind: self._steps[State.RUNNING, kind] for kind in ENDS}

    def enqueue(self, jobs: Sequence[NewJob], now: Instant) -> list[JobId]:
        """Accept `jobs`, all or none, and return their ids in order."""
        with self._lock:
            ids, highest = [new.id for new in jobs], self._highest
            for id_ in ids:
                if id_ <= highest:
                    self._refuse_taken(ids)
                    highest = max(*ids, self._highest)
                    break
                highest = id_
            for new in jobs:
                self._accept(new, now)
            self._highest = highest
            return ids

    def _refuse_taken(self, ids: list[JobId]) -> None:
        """Raise an error if one of `ids` is there already, or there twice."""
        for id_ in ids:
            if self._find(id_) is not None:
                raise StorageError(f"job {id_} is there already; nothing of the batch was accepted")
        if len(set(ids)) < len(ids):
            raise StorageError("two jobs of one batch have the same id; nothing of it was accepted")

    def _find(self, id_: JobId) -> Row | None:
        """Return the row of a job, by an index that is made as far as it is needed."""
        numbers, rows = self._numbers, self._rows
        for number in range(len(numbers), len(rows)):
            numbers[rows[number].new.id] = number
        found = numbers.get(id_)
        return None if found is None else rows[found]

    def _accept(self, new: NewJob, now: Instant) -> None:
        kind, queue = new.kind, new.queue
        rows, step = self._rows, self._enqueue
        number = len(rows)
        row = Row(new, number, step.to, now)
        step.taken += 1
        rows.append(row)
        self.log.jobs.append(new.id)
        (self._lines.get(queue) or self._new_line(queue)).add(row, now)
        why = self._kinds.get(kind) or self._new_kind(kind)
        self._append(_pack(now, row.run_at, number, 0, row.max_attempts, 0, _NOBODY, why, step.code))

    def _new_line(self, queue: str) -> Line:
        line = self._lines[queue] = Line()
        return line

    def _new_kind(self, kind: str) -> int:
        why = self._kinds[kind] = self.log.why_numbers[Why("", kind)]
        return why

    def claim(
        self, worker: WorkerId, queues: Sequence[str], limit: int, lease: Duration, now: Instant
    ) -> list[Lease]:
        """Give `worker` up to `limit` due jobs of `queues`, each under a lease until `now + lease`."""
        with self._lock:
            return self._claim(worker, queues, limit, Instant(now + lease), now)

    def _claim(
        self, worker: WorkerId, queues: Iterable[str], limit: int, until: Instant, now: Instant
    ) -> list[Lease]:
        leases: list[Lease] = []
        while len(leases) < limit:
            line = self._line_to_serve(queues, now)
            if line is None:
                break
            leases.append(self._start(heappop(line.ready)[3], worker, until, now))
        return leases

    def _line_to_serve(self, queues: Iterable[str], now: Instant) -> Line | None:
        """Return the line that has at the head of `ready` what is to be claimed first."""
        lines, best, where = self._lines, None, None
        for queue in queues:
            line = lines.get(queue)
            if line is not None:
                head = line.first(now)
                if head is not None and (best is None or head < best):
                    best, where = head, line
        return where

    def _start(self, row: Row, worker: WorkerId, until: Instant, now: Instant) -> Lease:
        """Give `worker` the lease of `row`."""
        step, new, limit = self._claims[row.state], row.new, row.max_attempts
        step.taken += 1
        row.state = step.to
        row.attempt = attempt = row.attempt + 1
        row.token = token = row.token + 1
        row.attempted = now
        row.by = by = self.log.worker_numbers[worker]
        number = row.number
        key = number + 1
        # Past the constructor, which costs twice as much.
        row.lease = lease = _tuple(
            Lease,
            (
                key,
                new.id,
                new.kind,
                new.queue,
                attempt,
                limit,
                new.max_attempts,
                token,
                row.enqueued,
                row.delay,
                until,
                worker,
                new.payload,
            ),
        )
        self._running[key] = row
        self._append(_pack(now, until, number, attempt, limit, token, by, _NO_WHY, step.code))
        return lease

    def settle(self, settlements: Sequence[Settlement], now: Instant) -> list[bool]:
        """Write what became of finished attempts; `False` where the lease was no longer held."""
        with self._lock:
            return [self._settle(lease, decision, now) for lease, decision in settlements]

    def _settle(self, lease: Lease, decision: Decision, now: Instant) -> bool:
        key = lease.key
        row = self._running.get(key)
        if row is None or row.lease is None or not (row.lease is lease or row.runs_under(lease)):
            return self._refuse(lease, decision, now)
        kind, why, due, delay, result = decision
        if not possible(lease, decision, row.lease.until, now):
            return self._refuse(lease, decision, now)
        step = self._ends[kind]
        step.taken += 1
        row.state = step.to
        row.lease = None
        del self._running[key]
        if step.final:
            row.finished = now
        elif due is not None:
            if kind is _RELEASE:
                row.attempt -= 1
            row.run_at = due
            row.delay = delay
            self._lines[row.new.queue].add(row, now)
        if why.error:
            row.last_error = why.error
        if result is not None:
            row.result = result
        self._append(
            _pack(
                now,
                -1 if due is None else due,
                row.number,
                row.attempt,
                row.max_attempts,
                row.token,
                row.by,
                self._whys[why],
                step.code,
            )
        )
        return True

    def _refuse(self, lease: Lease, decision: Decision, now: Instant) -> bool:
        row = self._find(lease.id)
        if row is not None:  # else there is no job whose history it could be part of
            by, why = self.log.worker_numbers[lease.worker], self._whys[decision.why]
            self._append(
                _pack(now, -1, row.number, lease.attempt, lease.max_attempts, lease.token, by, why, _REFUSE)
            )
        return False

    def exchange(
        self,
        settlements: Sequence[Settlement],
        worker: WorkerId,
        queues: Sequence[str],
        limit: int,
        lease: Duration,
        now: Instant,
    ) -> tuple[list[bool], list[Lease], Instant | None]:
        """Settle, then claim, in one transaction; return what `settle`, `claim` and `next_due` would."""
        with self._lock:
            settled = []
            for held, decision in settlements:
                settled.append(self._settle(held, decision, now))
            leases = self._claim(worker, queues, limit, Instant(now + lease), now)
            return settled, leases, self._next_due(queues)

    def extend(self, leases: Sequence[Lease], until: Instant, now: Instant) -> set[JobId]:
        """Let `leases` last until `until`, never less than before; return the ids still held."""
        step, held = self._steps[State.RUNNING, Kind.EXTEND], set()
        with self._lock:
            for lease in leases:
                row = self._running.get(lease.key)
                if row is not None and row.runs_under(lease):
                    longer = row.renew(until)
                    step.taken += 1
                    self._record(row, now, longer, step, Why(), row.by)
                    held.add(row.new.id)
        return held

    def _record(self, row: Row, now: Instant, due: Instant | None, step: _Step, why: Why, by: int) -> None:
        until, number = -1 if due is None else due, self._whys[why]
        self._append(
            _pack(now, until, row.number, row.attempt, row.max_attempts, row.token, by, number, step.code)
        )

    def expired(self, limit: int, now: Instant, after: int = 0) -> list[Lease]:
        """Return up to `limit` leases that ended before `now`, by `Lease.key`, those above `after`."""
        with self._lock:
            leases = (row.lease for key, row in self._running.items() if key > after)
            ended = [lease for lease in leases if lease is not None and lease.until < now]
        return sorted(ended)[: max(limit, 0)]

    def next_due(self, queues: Sequence[str]) -> Instant | None:
        """Return the earliest `run_at` of a waiting job of `queues`, or `None`."""
        with self._lock:
            return self._next_due(queues)

    def _next_due(self, queues: Iterable[str]) -> Instant | None:
        lines, earliest = self._lines, None
        for queue in queues:
            line = lines.get(queue)
            if line is not None:
                due = line.due()
                if due is not None and (earliest is None or due < earliest):
                    earliest = due
        return earliest

    def requeue(self, ids: Sequence[JobId], now: Instant) -> list[bool]:
        """Make dead letters pending again, due now; `False` where that is not possible."""
        with self._lock:
            return [self._requeue(id_, now) for id_ in ids]

    def _requeue(self, id_: JobId, now: Instant) -> bool:
        moved = self._movable(id_, Kind.REQUEUE)
        if moved is None:
            return False
        row, step = moved
        step.taken += 1
        row.state = step.to
        row.max_attempts = row.attempt + row.new.max_attempts
        row.enqueued = row.run_at = now
        row.delay = Duration(0)
        row.finished = None
        self._lines[row.new.queue].add(row, now)
        self._record(row, now, now, step, Why(), _NOBODY)
        return True

    def _movable(self, id_: JobId, kind: Kind) -> tuple[Row, _Step] | None:
        """Return the row and the step that `kind` would take, if there is one."""
        row = self._find(id_)
        step = None if row is None else self._steps.get((row.state, kind))
        return None if row is None or step is None else (row, step)

    def cancel(self, ids: Sequence[JobId], now: Instant, reason: str = "") -> list[bool]:
        """Cancel jobs that are not final, and discard dead letters; `False` where not possible."""
        with self._lock:
            return [self._cancel(id_, now, reason) for id_ in ids]

    def _cancel(self, id_: JobId, now: Instant, reason: str) -> bool:
        moved = self._movable(id_, Kind.CANCEL)
        if moved is None:
            return False
        row, step = moved
        step.taken += 1
        row.state = step.to
        row.finished = now
        if row.lease is not None:
            del self._running[row.lease.key]
            row.lease = None
        self._record(row, now, None, step, Why("cancelled", "operator", reason), _NOBODY)
        return True

    def get(self, job: JobId) -> Job | None:
        """Return the job, or `None`."""
        with self._lock:
            row = self._find(job)
            return None if row is None else row.job()

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
            counts = dict.fromkeys(State, 0)
            for (before, _), step in self._steps.items():
                counts[step.to] += step.taken
                if before is not None:
                    counts[before] -= step.taken
            return counts

    def events(self, after: int = 0, job: JobId | None = None) -> Iterator[Event]:
        """Yield events with `seq` above `after`, oldest first; of one `job` only, where given."""
        return (event for event in self.log.since(after) if job is None or event.job == job)

    def close(self) -> None:
        """Do nothing: there is nothing to let go of."""
