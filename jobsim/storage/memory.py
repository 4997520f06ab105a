"""The store in memory: for simulations and tests. Same contract; it lasts as long as the process."""

from collections.abc import Iterable, Iterator, Sequence
from heapq import heappop
from itertools import islice
from threading import RLock
from typing import Final

from jobsim.core.decide import Decision, Settlement, Why
from jobsim.core.errors import StorageError
from jobsim.core.events import CODE, RECORD, Event, EventLog
from jobsim.core.job import Job, JobId, Lease, NewJob, State, WorkerId
from jobsim.core.time import Duration, Instant
from jobsim.core.transitions import FINAL, TRANSITIONS, Kind, transition
from jobsim.storage.base import possible
from jobsim.storage.memory_rows import Line, Row

_NEW: Final = (None, Kind.ENQUEUE)
_NO_WHY: Final = 0  # the number every log gives to an event without a reason
_NOBODY: Final = 0

# Constants, since looking up a member costs as much as a call.
_CLAIM: Final = Kind.CLAIM
_RELEASE: Final = Kind.RELEASE
_ENQUEUE_CODE: Final = CODE[Kind.ENQUEUE]
_CLAIM_CODE: Final = CODE[Kind.CLAIM]
_REFUSE_CODE: Final = CODE[Kind.REFUSE]
_pack: Final = RECORD.pack


class _Step:
    """One entry of the transition table, and how often it has been taken."""

    __slots__ = ("taken", "to")

    def __init__(self, to: State) -> None:
        self.to = to
        self.taken = 0


class MemoryStorage:
    """Jobs in this process's memory; `log` holds every event. See `storage.base` for the contract."""

    def __init__(self) -> None:
        self.log: Final = EventLog()
        self._append = self.log.records.extend
        self._rows: list[Row] = []
        self._numbers: dict[JobId, int] = {}
        self._lines: dict[str, Line] = {}
        self._running: dict[int, Row] = {}
        self._steps = {entry: _Step(to) for entry, to in TRANSITIONS.items()}
        self._kinds: dict[str, int] = {}
        self._lock = RLock()

    def enqueue(self, jobs: Sequence[NewJob], now: Instant) -> list[JobId]:
        """Accept `jobs`, all or none, and return their ids in order."""
        ids = [new.id for new in jobs]
        with self._lock:
            if not self._numbers.keys().isdisjoint(ids):
                taken = next(id_ for id_ in ids if id_ in self._numbers)
                raise StorageError(f"job {taken} is there already; nothing of the batch was accepted")
            if len(ids) > 1 and len(set(ids)) < len(ids):
                raise StorageError("two jobs of one batch have the same id; nothing of it was accepted")
            for new in jobs:
                self._accept(new, now)
        return ids

    def _accept(self, new: NewJob, now: Instant) -> None:
        id_, kind, run_at, queue, _, limit, _ = new
        log, step = self.log, self._steps[_NEW]
        number = self._numbers[id_] = log.add_job(id_)
        row = Row(new, number, step.to, now)
        step.taken += 1
        self._rows.append(row)
        self._line(queue).add(row, now)
        why = self._kinds.get(kind)
        if why is None:
            why = self._kinds[kind] = log.why(Why("", kind))
        self._append(_pack(now, run_at, number, 0, limit, 0, _NOBODY, why, _ENQUEUE_CODE))

    def _line(self, queue: str) -> Line:
        line = self._lines.get(queue)
        if line is None:
            line = self._lines[queue] = Line()
        return line

    def claim(
        self, worker: WorkerId, queues: Sequence[str], limit: int, lease: Duration, now: Instant
    ) -> list[Lease]:
        """Give `worker` up to `limit` due jobs of `queues`, each under a lease until `now + lease`."""
        with self._lock:
            return self._claim(worker, queues, limit, lease, now)

    def _claim(
        self, worker: WorkerId, queues: Iterable[str], limit: int, lease: Duration, now: Instant
    ) -> list[Lease]:
        until = Instant(now + lease)
        leases: list[Lease] = []
        while len(leases) < limit:
            row = self._take_first(queues, now)
            if row is None:
                break
            self._move(row, _CLAIM)
            row.attempt = attempt = row.attempt + 1
            row.token = token = row.token + 1
            row.attempted = now
            row.lease_until = until
            row.worker = worker
            number, by = row.number, self.log.worker(worker)
            self._running[number] = row
            self._append(
                _pack(now, until, number, attempt, row.max_attempts, token, by, _NO_WHY, _CLAIM_CODE)
            )
            leases.append(row.lease())
        return leases

    def _take_first(self, queues: Iterable[str], now: Instant) -> Row | None:
        """Take the row to be claimed first out of its line."""
        lines, best, where = self._lines, None, None
        for queue in queues:
            line = lines.get(queue)
            if line is not None:
                head = line.first(now)
                if head is not None and (best is None or head < best):
                    best, where = head, line
        return None if where is None else heappop(where.ready)[3]

    def _move(self, row: Row, kind: Kind) -> None:
        """Take the step that the table allows; the counts by state follow from it."""
        try:
            step = self._steps[row.state, kind]
        except KeyError:
            transition(row.state, kind)  # says what is wrong
            raise
        row.state = step.to
        step.taken += 1

    def settle(self, settlements: Sequence[Settlement], now: Instant) -> list[bool]:
        """Write what became of finished attempts; `False` where the lease was no longer held."""
        with self._lock:
            return [self._settle(lease, decision, now) for lease, decision in settlements]

    def _settle(self, lease: Lease, decision: Decision, now: Instant) -> bool:
        row = self._held(lease)
        if row is None or not possible(lease, decision, row.lease_until, now):
            self._refuse(lease, decision, now)
            return False
        kind, why, due, delay, result = decision
        worker = row.worker
        self._move(row, kind)
        self._let_go(row, now)
        if due is not None:
            if kind is _RELEASE:
                row.attempt -= 1
            row.run_at = due
            row.delay = delay
            self._lines[row.new.queue].add(row, now)
        if why.error:
            row.last_error = why.error
        if result is not None:
            row.result = result
        self._record(row, now, due, kind, why, worker)
        return True

    def _held(self, lease: Lease) -> Row | None:
        """Return the row that runs under `lease`, if it still does."""
        row = self._running.get(lease.key - 1)
        return row if row is not None and row.token == lease.token and row.new.id == lease.id else None

    def _let_go(self, row: Row, now: Instant) -> None:
        """End the lease of `row`, which has moved on."""
        del self._running[row.number]
        row.lease_until = row.worker = None
        if row.state in FINAL:
            row.finished = now

    def _refuse(self, lease: Lease, decision: Decision, now: Instant) -> None:
        number = self._numbers.get(lease.id)
        if number is None:
            return  # there is no job whose history it could be part of
        log = self.log
        by, why = log.worker(lease.worker), log.why(decision.why)
        self._append(
            _pack(now, -1, number, lease.attempt, lease.max_attempts, lease.token, by, why, _REFUSE_CODE)
        )

    def _record(
        self, row: Row, now: Instant, due: Instant | None, kind: Kind, why: Why, worker: WorkerId | None
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
    ) -> tuple[list[bool], list[Lease], Instant | None]:
        """Settle, then claim, in one transaction; return what `settle`, `claim` and `next_due` would."""
        with self._lock:
            settled = [self._settle(held, decision, now) for held, decision in settlements]
            leases = self._claim(worker, queues, limit, lease, now)
            return settled, leases, self._next_due(queues)

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
        row = self._movable(id_, Kind.REQUEUE)
        if row is None:
            return False
        self._move(row, Kind.REQUEUE)
        row.max_attempts = row.attempt + row.new.max_attempts
        row.enqueued = row.run_at = now
        row.delay = Duration(0)
        row.finished = None
        self._line(row.new.queue).add(row, now)
        self._record(row, now, now, Kind.REQUEUE, Why(), None)
        return True

    def _movable(self, id_: JobId, kind: Kind) -> Row | None:
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
