"""What a transaction of the SQLite store writes. Each method runs within one that its caller has begun."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

import apsw

from jobsim.core.decide import Settlement, Why, for_replaced
from jobsim.core.job import JobId, Lease, NewJob, State
from jobsim.core.time import Instant
from jobsim.core.transitions import TRANSITIONS, Kind
from jobsim.storage.base import possible
from jobsim.storage.rows import Row, blob, state_of, storable
from jobsim.storage.sqlite_batch import EVENTS, FINISH, RECORD, Batch
from jobsim.storage.sqlite_database import Database
from jobsim.storage.sqlite_enqueue import enqueue, holder, refuse_taken
from jobsim.storage.sqlite_limits import guard, move_tallies
from jobsim.storage.sqlite_names import Names
from jobsim.storage.sqlite_statements import OnKeys, statement

_REQUEUED: Final = TRANSITIONS[State.DEAD_LETTER, Kind.REQUEUE]

_HELD: Final = OnKeys("held")
_EXTEND: Final = OnKeys("extend")
_STANDING: Final = statement("standing")
_REQUEUE: Final = statement("requeue")


class Writes:
    """The changes a store makes, in the order of the contract."""

    def __init__(self, database: Database, names: Names) -> None:
        self._database = database
        self._names = names

    def enqueue(self, jobs: Sequence[NewJob], now: Instant) -> list[JobId]:
        """Store `jobs`; see `Storage.enqueue`."""
        return enqueue(self._database.cursor, self._names, jobs, now)

    def refuse_taken(self, jobs: Sequence[NewJob], error: Exception) -> None:
        """Say which id of `jobs`, of which none was stored, is taken, if one is."""
        refuse_taken(self._database.cursor, jobs, error)

    def batch(self, now: Instant) -> Batch:
        """Return what a transaction begins with that writes about attempts."""
        return Batch(self._database.cursor, self._names, now)

    def settle(self, settlements: Sequence[Settlement], now: Instant) -> list[bool]:
        """Write what became of attempts; see `Storage.settle`."""
        batch = self.batch(now)
        settled = self.settle_in(batch, settlements)
        batch.write_events()
        return settled

    def settle_in(self, batch: Batch, settlements: Sequence[Settlement]) -> list[bool]:
        """Settle as a part of `batch`, whose events are yet to be written."""
        cursor, names, now = batch.cursor, batch.names, batch.now
        held = self._held([lease.key for lease, _ in settlements])
        told = guard(cursor) if any(row[7] for row in held.values()) else None
        settled = []
        for lease, decision in settlements:
            row = held.get(lease.key)
            holds = row is not None and _under(lease, row) and possible(lease, decision, row[5], now)
            if holds and row is not None and row[6]:
                decision = for_replaced(decision)  # noqa: PLW2901  # what is written in its place
            if holds and told is not None:
                decision = told.settle(lease, decision, now)  # noqa: PLW2901  # as above
            worker, why = names.worker(cursor, lease.worker), names.why(cursor, decision.why)
            if holds:
                batch.settle(held.pop(lease.key), worker, why, decision)
            elif (key := self._key(lease.id)) is not None:
                batch.refuse(key, lease, worker, why, decision)
            settled.append(holds)
        batch.write_jobs()
        if told is not None:
            move_tallies(cursor, told)
        return settled

    def _held(self, wanted: Sequence[int]) -> dict[int, Row]:
        """Return the running jobs among those of the keys `wanted`, by key."""
        rows: list[Row] = _HELD.execute(self._database.cursor, wanted).fetchall()
        return {row[0]: row for row in rows}

    def _key(self, job: JobId) -> int | None:
        row = self._standing([job]).get(job)
        return None if row is None else row[1]

    def _standing(self, ids: Sequence[JobId]) -> dict[JobId, Row]:
        wanted = apsw.carray(tuple(map(blob, ids)))
        rows: list[Row] = self._database.cursor.execute(_STANDING, (wanted,)).fetchall()
        return {JobId.from_bytes(row[0]): row for row in rows}

    def extend(self, leases: Sequence[Lease], until: Instant, now: Instant) -> set[JobId]:
        """Prolong leases; see `Storage.extend`."""
        cursor = self._database.cursor
        held = self._held([lease.key for lease in leases])
        kept = [lease for lease in leases if lease.key in held and _under(lease, held[lease.key])]
        shorter = [lease.key for lease in kept if held[lease.key][5] < until]
        if shorter:
            _EXTEND.execute(cursor, shorter, until)
        if kept:
            RECORD.execute(cursor, [lease.key for lease in kept], now, Kind.EXTEND)
        return {lease.id for lease in kept}

    def requeue(self, ids: Sequence[JobId], now: Instant) -> list[bool]:
        """Give jobs a new budget; see `Storage.requeue`."""
        cursor = self._database.cursor
        standing = self._movable(ids, Kind.REQUEUE)
        done, events = [], []
        for id_ in ids:
            row = standing.pop(id_, None)
            free = row is not None and _has_free_key(cursor, row)
            done.append(free)
            if row is not None and free:
                _, key, _, attempt, _, budget, token, _ = row
                limit = attempt + budget
                cursor.execute(_REQUEUE, (_REQUEUED, limit, now, key))
                events.append((now, key, Kind.REQUEUE, attempt, limit, token, None, now, None, None))
        EVENTS.into(cursor, events)
        return done

    def cancel(self, ids: Sequence[JobId], now: Instant, reason: str) -> list[bool]:
        """Cancel jobs; see `Storage.cancel`."""
        cursor = self._database.cursor
        standing = self._movable(ids, Kind.CANCEL)
        why = self._names.why(cursor, Why("cancelled", "operator"))
        error = storable(reason) or None
        ends: defaultdict[State, list[int]] = defaultdict(list)
        done, events = [], []
        for id_ in ids:
            row = standing.pop(id_, None)
            done.append(row is not None)
            if row is not None:
                _, key, state, attempt, limit, _, token, _ = row
                ends[TRANSITIONS[state_of(state), Kind.CANCEL]].append(key)
                events.append((now, key, Kind.CANCEL, attempt, limit, token, None, None, why, error))
        for state, ended in ends.items():
            FINISH.execute(cursor, ended, state, now)
        EVENTS.into(cursor, events)
        return done

    def _movable(self, ids: Sequence[JobId], kind: Kind) -> dict[JobId, Row]:
        """Return those of the jobs to which `kind` can happen."""
        standing = self._standing(ids)
        return {id_: row for id_, row in standing.items() if (state_of(row[2]), kind) in TRANSITIONS}


def _has_free_key(cursor: apsw.Cursor, row: Row) -> bool:
    """Return whether nobody but the job of a row of ``standing.sql`` holds its unique key."""
    found = None if row[7] is None else holder(cursor, row[7])
    return found is None or bool(found[0] == row[1])


def _under(lease: Lease, row: Row) -> bool:
    """Return whether a row of ``held.sql`` runs under `lease`."""
    uuid, token = row[1:3]
    return bool(token == lease.token and uuid == blob(lease.id))
