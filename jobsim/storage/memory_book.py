"""Jobs in memory for one thread: what a simulation uses, and what `memory` locks for several.

The usual path of a job is written out rather than divided into many calls, each of which would cost as much
as what it does.
"""

from collections.abc import Sequence
from heapq import heappop
from operator import attrgetter
from typing import Final

from jobsim.core.decide import REPLACED, SUCCESS, Decision, Settlement, Why, for_replaced
from jobsim.core.events import CODE, MANY, RECORD, EventLog
from jobsim.core.job import Conflict, JobId, Lease, NewJob, State, WorkerId
from jobsim.core.time import Duration, Instant
from jobsim.core.transitions import Kind
from jobsim.storage.base import possible
from jobsim.storage.memory_jobs import NOBODY, Jobs
from jobsim.storage.memory_rows import Row

_REFUSE: Final = CODE[Kind.REFUSE]
_RELEASE: Final = Kind.RELEASE  # to look up a member of an enum costs as much as a call
_NO_WHY: Final = 0  # the number that every log gives to no reason
_pack: Final = RECORD.pack
_tuple: Final = tuple.__new__
_id: Final = attrgetter("id")


class Book(Jobs):
    """A store for one thread. See `memory_jobs` for its arguments, `storage.base` for the contract."""

    def __init__(self, log: EventLog | None = None, *, forgets: bool = False) -> None:
        super().__init__(log, forgets=forgets)
        self._kinds: dict[str, int] = {}
        self._highest = JobId(-1)  # of all ids: ids sort by time, so what is above it is new

    def enqueue(self, jobs: Sequence[NewJob], now: Instant) -> list[JobId]:
        """Accept `jobs`, all or none, and return their ids in order."""
        highest, keyed = self._highest, False
        for new in jobs:
            if new.id <= highest:
                ids = list(map(_id, jobs))
                self._table.check_new(ids)
                highest = max(*ids, highest)
            else:
                highest = new.id
            if new.unique_key is not None:
                keyed = True
        if keyed:
            self._keys.check(jobs)
        self._highest = highest
        return [self._accept_keyed(new, now) if keyed else self._accept(new, now).id for new in jobs]

    def _accept_keyed(self, new: NewJob, now: Instant) -> JobId:
        """Accept a job, unless another stands for it, and return which."""
        holder = self._keys.holder(new.unique_key)
        if holder is not None:
            if new.conflict is Conflict.SKIP:
                return holder.id
            if holder.lease is None:
                self._cancel(holder.id, now, Why("cancelled", REPLACED, f"by {new.id}"))
            else:
                holder.replaced = True
        self._keys.give(self._accept(new, now))
        return new.id

    def _accept(self, new: NewJob, now: Instant) -> Row:
        table, step = self._table, self._steps.new
        number = table.accepted
        table.accepted = number + 1
        row = Row(new, number, step.to, now)
        step.taken += 1
        self._rows[number] = row
        self.log.jobs.append(row.id)
        (self._lines.get(row.queue) or self._new_line(row.queue)).add(row, now)
        why = self._kinds.get(row.kind) or self._new_kind(row.kind)
        self._append(_pack(now, row.run_at, number, 0, row.budget, 0, NOBODY, why, step.code))
        return row

    def _new_kind(self, kind: str) -> int:
        why = self._kinds[kind] = self.log.why_numbers[Why("", kind)]
        return why

    def claim(
        self, worker: WorkerId, queues: Sequence[str], limit: int, lease: Duration, now: Instant
    ) -> list[Lease]:
        """Give `worker` up to `limit` due jobs of `queues`, each under a lease until `now + lease`."""
        if self._paused:
            queues = self._open(queues)
        leases: list[Lease] = []
        lines, until = self._lines, Instant(now + lease)
        if self._limits.holding:
            rows = self._limits.take(lines, queues, limit, self._running.values(), now)
            return [self._start(row, worker, until, now) for row in rows]
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
                row.headers,
            ),
        )
        self._running[key] = row
        self._append(_pack(now, until, number, attempt, limit, token, by, _NO_WHY, step.code))
        return lease

    def settle(self, settlements: Sequence[Settlement], now: Instant) -> list[bool]:
        """Write what became of finished attempts; `False` where the lease was no longer held."""
        settled, guard = [], self._limits.guard
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
            written = decision
            if decision.due is not None and row.replaced:
                written = for_replaced(decision)
            if guard is not None:
                written = guard.settle(lease, written, now)
            kind, why, due, delay, result, _ = written
            step = self._steps.end[kind]
            step.taken += 1
            row.state = step.to
            row.lease = None
            del self._running[held.key]
            if step.final:
                self._finish(row, now)
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

    def _refuse(self, lease: Lease, decision: Decision, now: Instant) -> None:
        row = self._table.row(lease.id)
        if row is not None or self._forgets:  # else there is no job whose history it could be part of
            number = lease.key - 1 if row is None else row.number
            by, why = self._workers[lease.worker], self._whys[decision.why]
            _, _, _, _, attempt, limit, _, token, *_ = lease
            self._append(_pack(now, -1, number, attempt, limit, token, by, why, _REFUSE))

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
        if len(self._fresh) > MANY:
            self.log.join()
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
        """Return when the next waiting job of `queues` can be claimed, by its `run_at` and by its rate."""
        if self._paused:
            queues = self._open(queues)
        lines, earliest = self._lines, None
        if self._limits.holding:
            return self._limits.next_due(lines, queues, self._running.values())
        for queue in queues:
            line = lines.get(queue)
            if line is not None:
                due = line.due()
                if due is not None and (earliest is None or due < earliest):
                    earliest = due
        return earliest
