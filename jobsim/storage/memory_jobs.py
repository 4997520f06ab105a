"""Jobs in memory, and what operators do with them; `memory_book` adds what enqueuers and workers do."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Final

from jobsim.core.decide import Why
from jobsim.core.events import RECORD, Event, EventLog
from jobsim.core.guards import Tally
from jobsim.core.job import Job, JobId, QueueDepth, State
from jobsim.core.limits import Limit, Scope
from jobsim.core.time import Duration, Instant
from jobsim.core.transitions import WAITING, Kind
from jobsim.storage.base import check_final
from jobsim.storage.memory_keys import Keys
from jobsim.storage.memory_limits import Limits
from jobsim.storage.memory_rows import Line, Row, Step
from jobsim.storage.memory_table import Table
from jobsim.storage.rows import depths_of

NOBODY: Final = 0
"""The number that every log gives to no worker."""

_LONG_AGO: Final = Instant(-(2**62))
_pack: Final = RECORD.pack


class Jobs:
    """Jobs for one thread; `log` holds every event. See `storage.base` for the contract.

    With `forgets` a job that ends is not kept, only its history and that it counts: where nobody will ask.
    """

    def __init__(self, log: EventLog | None = None, *, forgets: bool = False) -> None:
        self.log: Final = EventLog() if log is None else log
        self._table = table = Table(self.log)
        self._forgets = forgets
        self._rows, self._steps = table.rows, table.steps
        self._fresh = self.log.fresh
        self._append = self._fresh.append
        self._whys, self._workers = self.log.why_numbers, self.log.worker_numbers
        self._lines: dict[str, Line] = {}
        self._running: dict[int, Row] = {}  # by `Lease.key`
        self._keys = Keys()
        self._limits = Limits()
        self._paused: set[str] = set()

    def _new_line(self, queue: str) -> Line:
        line = self._lines[queue] = self._limits.line()
        return line

    def requeue(self, ids: Sequence[JobId], now: Instant) -> list[bool]:
        """Make jobs pending, due now, with a new budget; `False` where that is not possible."""
        left = set(ids)  # one that is named twice is requeued once
        done = []
        for id_ in ids:
            done.append(id_ in left and self._requeue(id_, now))
            left.discard(id_)
        return done

    def _requeue(self, id_: JobId, now: Instant) -> bool:
        row = self._table.row(id_)
        if row is not None and self._keys.holder(row.unique_key) not in (None, row):
            return False
        moved = self._move(id_, Kind.REQUEUE, now)
        if moved is None:
            return False
        row, step = moved
        row.max_attempts = row.attempt + row.budget
        row.enqueued = row.run_at = now
        row.delay = Duration(0)
        self._keys.give(row)
        self._lines[row.queue].add(row, now)
        self._record(row, now, now, step, Why(), NOBODY)
        return True

    def cancel(self, ids: Sequence[JobId], now: Instant, reason: str = "") -> list[bool]:
        """Cancel jobs that are not final, and discard dead letters; `False` where not possible."""
        return [self._cancel(id_, now, Why("cancelled", "operator", reason)) for id_ in ids]

    def _cancel(self, id_: JobId, now: Instant, why: Why) -> bool:
        moved = self._move(id_, Kind.CANCEL, now)
        if moved is not None:
            self._record(moved[0], now, None, moved[1], why, NOBODY)
        return moved is not None

    def _move(self, id_: JobId, kind: Kind, now: Instant) -> tuple[Row, Step] | None:
        """Take a job out of its state as an operator asked, if the table allows it."""
        row = self._table.row(id_)
        step = None if row is None else self._steps.all.get((row.state, kind))
        if row is None or step is None:
            return None
        step.taken += 1
        row.state = step.to
        row.finished = None
        if row.lease is not None:
            del self._running[row.lease.key]
            row.lease = None
        if step.final:
            self._finish(row, now)
        return row, step

    def _finish(self, row: Row, now: Instant) -> None:
        row.finished = now
        if self._forgets:
            self._keys.forget(row)
            self._table.forget(row)

    def set_limits(self, limits: Mapping[Scope, Limit]) -> None:
        """Put limits in force, each in the place of its scope's own; one that limits nothing removes that."""
        self._limits.set(limits)
        for queue in self._lines:
            self._new_line(queue)
        for row in self._table.select(list(WAITING), None, None):
            self._lines[row.queue].add(row, _LONG_AGO)

    def limits(self) -> dict[Scope, Limit]:
        """Return the limits in force."""
        return dict(self._limits.in_force)

    def tallies(self) -> dict[Scope, Tally]:
        """Return how the budgets and breakers in force stand, of those scopes where an attempt has ended."""
        return self._limits.tallies()

    def prune(self, states: Sequence[State], before: Instant, limit: int) -> int:
        """Remove up to `limit` jobs that ended `before` in one of `states`, and return how many."""
        check_final(states)
        over = (row for row in self._table if row.finished is not None and row.finished < before)
        rows = list(islice((row for row in over if row.state in states), max(limit, 0)))
        for row in rows:
            self._keys.forget(row)
            self._table.remove(row)
        return len(rows)

    def get(self, job: JobId) -> Job | None:
        """Return the job, or `None`."""
        row = self._table.row(job)
        return None if row is None else row.job()

    def get_many(self, jobs: Sequence[JobId]) -> list[Job | None]:
        """Return what `get` would of each of `jobs`, all as they are at one moment."""
        return [self.get(job) for job in jobs]

    def find(
        self,
        *,
        states: Sequence[State] = (),
        kind: str | None = None,
        queue: str | None = None,
        limit: int | None = None,
    ) -> list[Job]:
        """Return jobs in the order they were enqueued; nothing given filters nothing."""
        found = self._table.select(states, kind, queue)
        return [row.job() for row in islice(found, limit)]

    def pause(self, queue: str) -> bool:
        """Have no job of `queue` claimed any more; `False` where it is paused already."""
        if queue in self._paused:
            return False
        self._paused.add(queue)
        return True

    def resume(self, queue: str) -> bool:
        """Let jobs of `queue` be claimed again; `False` where it is not paused."""
        if queue not in self._paused:
            return False
        self._paused.remove(queue)
        return True

    def paused(self) -> set[str]:
        """Return the queues that are paused."""
        return set(self._paused)

    def _open(self, queues: Sequence[str]) -> Sequence[str]:
        """Return those of `queues` that are not paused."""
        return [queue for queue in queues if queue not in self._paused]

    def depths(self) -> dict[str, QueueDepth]:
        """Return how many jobs there are on each queue that has any, of every state."""
        numbers, oldest = Counter[tuple[str, State]](), dict[tuple[str, State], Instant]()
        for row in self._rows.values():
            place = row.queue, row.state
            numbers[place] += 1
            oldest[place] = min(row.run_at, oldest.get(place, row.run_at))
        return depths_of((*place, number, oldest[place]) for place, number in numbers.items())

    def counts(self) -> dict[State, int]:
        """Return the number of jobs in every state."""
        return self._steps.counts()

    def events(self, after: int = 0, job: JobId | None = None) -> Iterator[Event]:
        """Yield events with `seq` above `after`, oldest first; of one `job` only, where given."""
        return self._table.events(after, job)

    def close(self) -> None:
        """Do nothing: there is nothing to let go of."""

    def _record(self, row: Row, now: Instant, due: Instant | None, step: Step, why: Why, by: int) -> None:
        until, reason = -1 if due is None else due, self._whys[why]
        self._append(
            _pack(now, until, row.number, row.attempt, row.max_attempts, row.token, by, reason, step.code)
        )
