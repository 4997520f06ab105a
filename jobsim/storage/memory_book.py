"""Jobs in memory for one thread: what a simulation uses, and what `memory` locks for several.

The usual path of a job is written out rather than divided into many calls, each of which would cost as much
as what it does.
"""

from collections.abc import Iterator, Sequence
from heapq import heappop
from itertools import islice
from operator import attrgetter
from typing import Final

from jobsim.core.decide import SUCCESS, Decision, Settlement, Why
from jobsim.core.errors import StorageError
from jobsim.core.events import CODE, RECORD, Event, EventLog
from jobsim.core.job import Job, JobId, Lease, NewJob, State, WorkerId
from jobsim.core.time import Duration, Instant
from jobsim.core.transitions import Kind
from jobsim.storage.base import possible
from jobsim.storage.memory_rows import Line, Row, Step, Steps

_REFUSE: Final = CODE[Kind.REFUSE]
_RELEASE: Final = Kind.RELEASE  # to look up a member of an enum costs as much as a call
_NOBODY: Final = 0  # the number that every log gives to no worker
_NO_WHY: Final = 0  # and that of no reason
_pack: Final = RECORD.pack
_tuple: Final = tuple.__new__
_id: Final = attrgetter("id")


class Book:
    """A store for one thread; `log` holds every event. See `storage.base` for the contract."""

    def __init__(self) -> None:
        self.log: Final = EventLog()
        self._rows: list[Row] = []
        self._running: dict[int, Row] = {}  # by `Lease.key`
        self._append = self.log.records.extend
        self._whys, self._workers = self.log.why_numbers, self.log.worker_numbers
        self._lines: dict[str, Line] = {}
        self._kinds: dict[str, int] = {}
        self._numbers: dict[JobId, int] = {}
        self._highest = JobId(-1)  # of all ids: ids sort by time, so what is above it is new
        self._steps = Steps()

    def enqueue(self, jobs: Sequence[NewJob], now: Instant) -> list[JobId]:
        """Accept `jobs`, all or none, and return their ids in order."""
        ids = list(map(_id, jobs))
        highest = self._highest
        for id_ in ids:
            if id_ <= highest:
                self._check_new(ids)
                highest = max(*ids, self._highest)
                break
            highest = id_
        self._highest = highest
        for new in jobs:
            self._accept(new, now)
        return ids

    def _check_new(self, ids: Sequence[JobId]) -> None:
        for id_ in ids:
            if self._find(id_) is not None:
                raise StorageError(f"job {id_} is there already; nothing of the batch was accepted")
        if len(set(ids)) < len(ids):
            raise StorageError("two jobs of one batch have the same id; nothing of it was accepted")

    def _find(self, id_: JobId) -> Row | None:
        """Return the row of a job, by an index that is made as far as it is needed."""
        numbers, rows = self._numbers, self._rows
        for number in range(len(numbers), len(rows)):
            numbers[rows[number].id] = number
        found = numbers.get(id_)
        return None if found is None else rows[found]

    def _accept(self, new: NewJob, now: Instant) -> None:
        rows, step = self._rows, self._steps.new
        number = len(rows)
        row = Row(new, number, step.to, now)
        step.taken += 1
        rows.append(row)
        self.log.jobs.append(row.id)
        (self._lines.get(row.queue) or self._new_line(row.queue)).add(row, now)
        why = self._kinds.get(row.kind) or self._new_kind(row.kind)
        self._append(_pack(now, row.run_at, number, 0, row.budget, 0, _NOBODY, why, step.code))

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
        leases: list[Lease] = []
        lines = self._lines
        while len(leases) < limit:
            best, where = None, None
            for queue in queues:
                line = lines.get(queue)
                if line is not None:
                    head = line.first(now)
                    if head is not None and (best is None or head < best):
                        best, where = head, line
            if where is None:
                break
            leases.append(self._start(heappop(where.ready)[3], worker, Instant(now + lease), now))
        return leases

    def _start(self, row: Row, worker: WorkerId, until: Instant, now: Instant) -> Lease:
        """Give `worker` the lease of `row`."""
        step, number, limit = self._steps.claim[row.state], row.number, row.max_attempts
        step.taken += 1
        row.state = step.to
        row.attempt = attempt = row.attempt + 1
        row.token = token = row.token + 1
        row.attempted = now
        row.by = by = self._workers[worker]
        key = number + 1
        # Past the constructor, which costs twice as much.
        row.lease = lease = _tuple(
            Lease,
            (
                key,
                row.id,
                row.kind,
                row.queue,
                attempt,
                limit,
                row.budget,
                token,
                row.enqueued,
                row.delay,
                until,
                worker,
                row.payload,
            ),
        )
        self._running[key] = row
        self._append(_pack(now, until, number, attempt, limit, token, by, _NO_WHY, step.code))
        return lease

    def settle(self, settlements: Sequence[Settlement], now: Instant) -> list[bool]:
        """Write what became of finished attempts; `False` where the lease was no longer held."""
        settled = []
        for lease, decision in settlements:
            row = self._running.get(lease.key)
            held = None if row is None else row.lease
            if (
                row is None
                or held is None
                or not (held is lease or row.runs_under(lease))
                or not (decision is SUCCESS or possible(lease, decision, held.until, now))
            ):
                self._refuse(lease, decision, now)
                settled.append(False)
                continue
            kind, why, due, delay, result = decision
            step = self._steps.end[kind]
            step.taken += 1
            row.state = step.to
            row.lease = None
            del self._running[held.key]
            if step.final:
                row.finished = now
            elif due is not None:
                if kind is _RELEASE:
                    row.attempt -= 1
                row.run_at = due
                row.delay = delay
                self._lines[row.queue].add(row, now)
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
            settled.append(True)
        return settled

    def _record(self, row: Row, now: Instant, due: Instant | None, step: Step, why: Why, by: int) -> None:
        until, reason = -1 if due is None else due, self._whys[why]
        self._append(
            _pack(now, until, row.number, row.attempt, row.max_attempts, row.token, by, reason, step.code)
        )

    def _refuse(self, lease: Lease, decision: Decision, now: Instant) -> None:
        row = self._find(lease.id)
        if row is not None:  # else there is no job whose history it could be part of
            by, why = self._workers[lease.worker], self._whys[decision.why]
            _, _, _, _, attempt, limit, _, token, *_ = lease
            self._append(_pack(now, -1, row.number, attempt, limit, token, by, why, _REFUSE))

    def exchange(
        self,
        settlements: Sequence[Settlement],
        worker: WorkerId,
        queues: Sequence[str],
        limit: int,
        lease: Duration,
        now: Instant,
    ) -> tuple[list[bool], list[Lease], Instant | None]:
        """Settle, then claim; return what `settle`, `claim` and `next_due` would."""
        settled = self.settle(settlements, now) if settlements else []
        return settled, self.claim(worker, queues, limit, lease, now), self.next_due(queues)

    def extend(self, leases: Sequence[Lease], until: Instant, now: Instant) -> set[JobId]:
        """Let `leases` last until `until`, never less than before; return the ids still held."""
        step, extended = self._steps.all[State.RUNNING, Kind.EXTEND], set()
        for lease in leases:
            row = self._running.get(lease.key)
            if row is not None and row.lease is not None and row.runs_under(lease):
                longer = max(row.lease.until, until)
                row.lease = row.lease._replace(until=longer)
                step.taken += 1
                self._record(row, now, longer, step, Why(), row.by)
                extended.add(row.id)
        return extended

    def expired(self, limit: int, now: Instant, after: int = 0) -> list[Lease]:
        """Return up to `limit` leases that ended before `now`, by `Lease.key`, those above `after`."""
        leases = (row.lease for key, row in self._running.items() if key > after)
        ended = [lease for lease in leases if lease is not None and lease.until < now]
        return sorted(ended)[: max(limit, 0)]

    def next_due(self, queues: Sequence[str]) -> Instant | None:
        """Return the earliest `run_at` of a waiting job of `queues`, or `None`."""
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
        return [self._requeue(id_, now) for id_ in ids]

    def _requeue(self, id_: JobId, now: Instant) -> bool:
        moved = self._move(id_, Kind.REQUEUE, now)
        if moved is None:
            return False
        row, step = moved
        row.max_attempts = row.attempt + row.budget
        row.enqueued = row.run_at = now
        row.delay = Duration(0)
        self._lines[row.queue].add(row, now)
        self._record(row, now, now, step, Why(), _NOBODY)
        return True

    def cancel(self, ids: Sequence[JobId], now: Instant, reason: str = "") -> list[bool]:
        """Cancel jobs that are not final, and discard dead letters; `False` where not possible."""
        return [self._cancel(id_, now, Why("cancelled", "operator", reason)) for id_ in ids]

    def _cancel(self, id_: JobId, now: Instant, why: Why) -> bool:
        moved = self._move(id_, Kind.CANCEL, now)
        if moved is not None:
            self._record(moved[0], now, None, moved[1], why, _NOBODY)
        return moved is not None

    def _move(self, id_: JobId, kind: Kind, now: Instant) -> tuple[Row, Step] | None:
        """Take a job out of its state as an operator asked, if the table allows it."""
        row = self._find(id_)
        step = None if row is None else self._steps.all.get((row.state, kind))
        if row is None or step is None:
            return None
        step.taken += 1
        row.state = step.to
        row.finished = now if step.final else None
        if row.lease is not None:
            del self._running[row.lease.key]
            row.lease = None
        return row, step

    def get(self, job: JobId) -> Job | None:
        """Return the job, or `None`."""
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
        return self._steps.counts()

    def events(self, after: int = 0, job: JobId | None = None) -> Iterator[Event]:
        """Yield events with `seq` above `after`, oldest first; of one `job` only, where given."""
        return (event for event in self.log.since(after) if job is None or event.job == job)

    def close(self) -> None:
        """Do nothing: there is nothing to let go of."""
