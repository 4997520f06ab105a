"""What the store in memory does to its rows, one transaction's steps at a time; `memory` locks around it.

All that a simulation does goes through here, so the usual path of a job is written out rather than divided
into many calls, each of which costs as much as what it would do.
"""

from collections.abc import Iterable, Sequence
from heapq import heappop
from typing import Final

from jobsim.core.decide import Decision, Settlement, Why
from jobsim.core.errors import StorageError
from jobsim.core.events import CODE, RECORD, EventLog
from jobsim.core.job import JobId, Lease, NewJob, State, WorkerId
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


class Book:
    """The rows, the lines they wait in, and the log of what happens to them."""

    def __init__(self) -> None:
        self.log: Final = EventLog()
        self.rows: Final[list[Row]] = []
        self.running: Final[dict[int, Row]] = {}  # by `Lease.key`
        self._append = self.log.records.extend
        self._lines: dict[str, Line] = {}
        self._kinds: dict[str, int] = {}
        self._numbers: dict[JobId, int] = {}
        self._highest = JobId(-1)  # of all ids: ids sort by time, so what is above it is new
        self._steps = {(before, kind): _Step(kind, to) for (before, kind), to in TRANSITIONS.items()}
        self._new = self._steps[None, Kind.ENQUEUE]
        self._claims = {before: step for (before, kind), step in self._steps.items() if kind is Kind.CLAIM}
        self._ends = {kind: self._steps[State.RUNNING, kind] for kind in ENDS}

    def check_new(self, ids: Sequence[JobId]) -> None:
        """Refuse `ids` of which one is there already, or there twice.

        Raises:
            StorageError: so it is.
        """
        highest = self._highest
        for id_ in ids:
            if id_ <= highest:
                break
            highest = id_
        else:
            return
        for id_ in ids:
            if self.find(id_) is not None:
                raise StorageError(f"job {id_} is there already; nothing of the batch was accepted")
        if len(set(ids)) < len(ids):
            raise StorageError("two jobs of one batch have the same id; nothing of it was accepted")

    def find(self, id_: JobId) -> Row | None:
        """Return the row of a job, by an index that is made as far as it is needed."""
        numbers, rows = self._numbers, self.rows
        for number in range(len(numbers), len(rows)):
            numbers[rows[number].id] = number
        found = numbers.get(id_)
        return None if found is None else rows[found]

    def accept(self, new: NewJob, now: Instant) -> None:
        """Take in a job whose id is not there yet."""
        rows, step, log = self.rows, self._new, self.log
        number = len(rows)
        row = Row(new, number, step.to, now)
        step.taken += 1
        rows.append(row)
        id_ = row.id
        log.jobs.append(id_)
        if id_ > self._highest:
            self._highest = id_
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
        self, worker: WorkerId, queues: Iterable[str], limit: int, until: Instant, now: Instant
    ) -> list[Lease]:
        """Start up to `limit` due jobs of `queues`, in their order."""
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
            leases.append(self._start(heappop(where.ready)[3], worker, until, now))
        return leases

    def _start(self, row: Row, worker: WorkerId, until: Instant, now: Instant) -> Lease:
        """Give `worker` the lease of `row`."""
        step, number, limit = self._claims[row.state], row.number, row.max_attempts
        step.taken += 1
        row.state = step.to
        row.attempt = attempt = row.attempt + 1
        row.token = token = row.token + 1
        row.attempted = now
        row.by = by = self.log.worker_numbers[worker]
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
        self.running[key] = row
        self._append(_pack(now, until, number, attempt, limit, token, by, _NO_WHY, step.code))
        return lease

    def settle(self, settlements: Iterable[Settlement], now: Instant) -> list[bool]:
        """Write what became of attempts; `False` where that is refused."""
        settled = []
        for lease, decision in settlements:
            row = self.running.get(lease.key)
            held = None if row is None else row.lease
            if (
                row is None
                or held is None
                or not (held is lease or row.runs_under(lease))
                or not possible(lease, decision, held.until, now)
            ):
                self._refuse(lease, decision, now)
                settled.append(False)
                continue
            kind, why, due, delay, result = decision
            step = self._ends[kind]
            step.taken += 1
            row.state = step.to
            row.lease = None
            del self.running[held.key]
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
            self._record(row, now, due, step, why, row.by)
            settled.append(True)
        return settled

    def _record(self, row: Row, now: Instant, due: Instant | None, step: _Step, why: Why, by: int) -> None:
        until, reason = -1 if due is None else due, self.log.why_numbers[why]
        self._append(
            _pack(now, until, row.number, row.attempt, row.max_attempts, row.token, by, reason, step.code)
        )

    def _refuse(self, lease: Lease, decision: Decision, now: Instant) -> None:
        row = self.find(lease.id)
        if row is not None:  # else there is no job whose history it could be part of
            by, why = self.log.worker_numbers[lease.worker], self.log.why_numbers[decision.why]
            _, _, _, _, attempt, limit, _, token, *_ = lease
            self._append(_pack(now, -1, row.number, attempt, limit, token, by, why, _REFUSE))

    def extend(self, lease: Lease, until: Instant, now: Instant) -> bool:
        """Let `lease` last until `until`, never less than before; `False` where it is not held."""
        row = self.running.get(lease.key)
        if row is None or row.lease is None or not row.runs_under(lease):
            return False
        until = max(row.lease.until, until)
        row.lease = row.lease._replace(until=until)
        step = self._steps[State.RUNNING, Kind.EXTEND]
        step.taken += 1
        self._record(row, now, until, step, Why(), row.by)
        return True

    def next_due(self, queues: Iterable[str]) -> Instant | None:
        """Return the earliest `run_at` of a waiting job of `queues`, or `None`."""
        lines, earliest = self._lines, None
        for queue in queues:
            line = lines.get(queue)
            if line is not None:
                due = line.due()
                if due is not None and (earliest is None or due < earliest):
                    earliest = due
        return earliest

    def requeue(self, id_: JobId, now: Instant) -> bool:
        """Make a dead letter pending again, due now; `False` where that is not possible."""
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

    def cancel(self, id_: JobId, now: Instant, reason: str) -> bool:
        """Cancel or discard a job; `False` where that is not possible."""
        moved = self._move(id_, Kind.CANCEL, now)
        if moved is None:
            return False
        row, step = moved
        self._record(row, now, None, step, Why("cancelled", "operator", reason), _NOBODY)
        return True

    def _move(self, id_: JobId, kind: Kind, now: Instant) -> tuple[Row, _Step] | None:
        """Take a job out of its state as an operator asked, if the table allows it."""
        row = self.find(id_)
        step = None if row is None else self._steps.get((row.state, kind))
        if row is None or step is None:
            return None
        step.taken += 1
        row.state = step.to
        row.finished = now if step.final else None
        if row.lease is not None:
            del self.running[row.lease.key]
            row.lease = None
        return row, step

    def counts(self) -> dict[State, int]:
        """Return the number of jobs in every state."""
        counts = dict.fromkeys(State, 0)
        for (before, _), step in self._steps.items():
            counts[step.to] += step.taken
            if before is not None:
                counts[before] -= step.taken
        return counts
