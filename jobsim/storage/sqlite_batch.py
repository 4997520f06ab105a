"""What one transaction of the SQLite store writes about attempts."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

import apsw

from jobsim.core.decide import Decision
from jobsim.core.job import Lease, State
from jobsim.core.time import Instant
from jobsim.core.transitions import WAITING, Kind
from jobsim.storage.base import ENDS
from jobsim.storage.rows import Row, storable
from jobsim.storage.sqlite_names import Names
from jobsim.storage.sqlite_statements import Insert, OnKeys, statement

FINISH: Final = OnKeys("finish")
EVENTS: Final = Insert("insert_event")
RECORD: Final = OnKeys("record_running")
_RESULTS: Final = Insert("insert_result")
_WAIT_AGAIN: Final = statement("wait_again")
_NOTE_ERROR: Final = statement("note_error")


_FEW: Final = 12
"""Events that it costs less to insert with those of settlements than to copy from the jobs by a statement."""


class Batch:
    """Gathers what is written `now`, so that each table is written in few steps: jobs first, then events."""

    def __init__(self, cursor: apsw.Cursor, names: Names, now: Instant) -> None:
        self.cursor: Final = cursor
        self.names: Final = names
        self.now: Final = now
        self.waits: Final[list[Row]] = []
        self._ends: defaultdict[State, list[int]] = defaultdict(list)
        self._results: list[Row] = []
        self._events: list[Row] = []
        self._begun: Sequence[int] = ()
        self._errors: list[tuple[int, int]] = []

    def settle(self, row: Row, worker: int, why: int | None, decision: Decision) -> None:
        """End the attempt of the job whose row of ``held.sql`` is `row`."""
        key, _, token, attempt, limit, *_ = row
        kind, (_, _, error), due, delay, result, _ = decision
        state = ENDS[kind]
        if state in WAITING:
            attempt -= kind is Kind.RELEASE
            ready = due is not None and due <= self.now
            self.waits.append((state, ready, attempt, due, delay, key))
        else:
            due = None
            self._ends[state].append(key)
        if error:
            error = storable(error)
            self._errors.append((len(self._events), key))
        if result is not None:
            self._results.append((key, storable(result)))
        self._events.append((self.now, key, kind, attempt, limit, token, worker, due, why, error or None))

    def refuse(self, key: int, lease: Lease, worker: int, why: int | None, decision: Decision) -> None:
        """Note what was said of an attempt that was not under its lease any more."""
        at = (self.now, key, Kind.REFUSE, lease.attempt, lease.max_attempts, lease.token)
        self._events.append((*at, worker, None, why, storable(decision.why.error) or None))

    def begin(self, leases: Sequence[Lease], worker: int) -> None:
        """Note that attempts have begun, under `leases`."""
        if len(leases) > _FEW:
            self._begun = [lease.key for lease in leases]
            return
        for key, _, _, _, attempt, limit, _, token, _, _, until, *_ in leases:
            event = (self.now, key, Kind.CLAIM, attempt, limit, token, worker, until, None, None)
            self._events.append(event)

    def write_jobs(self) -> None:
        """Write what became of jobs."""
        for state, ended in self._ends.items():
            FINISH.execute(self.cursor, ended, state, self.now)
        for wait in self.waits:
            self.cursor.execute(_WAIT_AGAIN, wait)
        _RESULTS.into(self.cursor, self._results)

    def write_events(self) -> None:
        """Write what happened to them."""
        EVENTS.into(self.cursor, self._events)
        if self._errors:
            first = self.cursor.connection.last_insert_rowid() - len(self._events) + 1
            self.cursor.executemany(_NOTE_ERROR, [(first + place, key) for place, key in self._errors])
        if self._begun:
            RECORD.execute(self.cursor, self._begun, self.now, Kind.CLAIM)
