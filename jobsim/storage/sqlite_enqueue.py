"""How jobs are written to a SQLite database, by the store's own connection or by a user's."""

from collections.abc import Sequence
from typing import Final

from jobsim.core.decide import REPLACED, Why
from jobsim.core.errors import IdTaken
from jobsim.core.job import Conflict, JobId, NewJob, State
from jobsim.core.time import Instant
from jobsim.core.transitions import TRANSITIONS, Kind
from jobsim.storage.base import key_taken
from jobsim.storage.rows import Row, blob, state_of, storable
from jobsim.storage.sqlite_limits import limited
from jobsim.storage.sqlite_names import Names
from jobsim.storage.sqlite_statements import Cursor, Insert, statement

_PENDING: Final = TRANSITIONS[None, Kind.ENQUEUE]

_JOBS: Final = Insert("insert_job")
_PAYLOADS: Final = Insert("insert_payload")
_ADD_HEADERS: Final = statement("add_headers")
_EVENTS: Final = Insert("insert_event")
_RECORD: Final = statement("record_enqueued")
_HOLDER: Final = statement("holder")
_REPLACE_WAITING: Final = statement("replace_waiting")
_REPLACE_RUNNING: Final = statement("replace_running")
_TAKEN: Final = statement("taken")


def enqueue(cursor: Cursor, names: Names, jobs: Sequence[NewJob], now: Instant) -> list[JobId]:
    """Write `jobs` within the transaction that is open; see `Storage.enqueue`.

    Raises:
        KeyTaken: a unique key is.
        StorageError: the id of a job that has a unique key is; of one that has none, the database says so.
    """
    if any(job.unique_key is not None for job in jobs):
        refuse_taken(cursor, jobs)  # one that is skipped would not be noticed
        keyed = _Keyed(cursor, names, now)
        ids = [keyed.accept(job) for job in jobs]
        keyed.write()
        return ids
    _write(cursor, names, jobs, now)
    return [job.id for job in jobs]


def _write(cursor: Cursor, names: Names, jobs: Sequence[NewJob], now: Instant) -> None:
    queues, kinds = limited(cursor)
    rows = [
        (
            blob(id_),
            kind,
            queue,
            priority,
            run_at <= now,
            run_at,
            limit,
            limit,
            None if unique_key is None else storable(unique_key),
            limit_key and storable(limit_key),
            queue in queues or kind in kinds,
        )
        for id_, kind, run_at, queue, _, limit, priority, unique_key, _, limit_key, _ in jobs
    ]
    _JOBS.into(cursor, rows, (_PENDING, now))
    last = cursor.connection.last_insert_rowid()
    first = last - len(rows) + 1
    _PAYLOADS.into(cursor, [(key, storable(job.payload)) for key, job in enumerate(jobs, first)])
    for key, job in enumerate(jobs, first):
        if job.headers:
            cursor.execute(_ADD_HEADERS, (key, storable(job.headers)))
    for kind in dict.fromkeys(job.kind for job in jobs):
        names.why(cursor, Why("", kind))
    cursor.execute(_RECORD, (now, Kind.ENQUEUE, first, last))


class _Keyed:
    """Accepts jobs one by one, as each may find its unique key taken by one before it."""

    def __init__(self, cursor: Cursor, names: Names, now: Instant) -> None:
        self._cursor = cursor
        self._names = names
        self._now = now
        self._accepted: list[NewJob] = []
        self._holders: dict[str, JobId] = {}

    def accept(self, job: NewJob) -> JobId:
        """Take a job, or what stands for it; return whose id is to be told."""
        if job.unique_key is not None:
            key = storable(job.unique_key)
            holder = self._holder(key)
            if holder is not None and job.conflict is Conflict.SKIP:
                return holder
            if holder is not None and job.conflict is Conflict.RAISE:
                raise key_taken(job.unique_key, holder)
            if holder is not None:
                self._replace(key, job.id)
            self._holders[key] = job.id
        self._accepted.append(job)
        return job.id

    def _holder(self, key: str) -> JobId | None:
        if key in self._holders:
            return self._holders[key]
        row = holder(self._cursor, key)
        return None if row is None else JobId.from_bytes(row[1])

    def _replace(self, key: str, by: JobId) -> None:
        if key in self._holders:
            self.write()
        row = holder(self._cursor, key)
        if row is None:
            return
        number, _, text, attempt, limit, token = row
        state = state_of(text)
        if state is State.RUNNING:
            self._cursor.execute(_REPLACE_RUNNING, (number,))
            return
        self._cursor.execute(_REPLACE_WAITING, (TRANSITIONS[state, Kind.CANCEL], self._now, number))
        outcome, reason, error = Why("cancelled", REPLACED, f"by {by}")
        why = self._names.why(self._cursor, Why(outcome, reason))
        event = (self._now, number, Kind.CANCEL, attempt, limit, token, None, None, why, error)
        _EVENTS.into(self._cursor, [event])

    def write(self) -> None:
        """Write what was accepted so far."""
        if self._accepted:
            _write(self._cursor, self._names, self._accepted, self._now)
            self._accepted.clear()
            self._holders.clear()


def holder(cursor: Cursor, key: str) -> Row | None:
    """Return the row of the job that holds a unique key, as ``holder.sql`` says it."""
    return next(iter(cursor.execute(_HOLDER, (key,)).fetchall()), None)


def refuse_taken(cursor: Cursor, jobs: Sequence[NewJob], error: Exception | None = None) -> None:
    """Say which id is taken, if that is what was wrong; nothing of `jobs` is written yet, or any more.

    Raises:
        IdTaken: one is.
    """
    seen: set[JobId] = set()
    for job in jobs:
        if job.id in seen:
            raise IdTaken(f"job {job.id} is in the batch twice; none of it was accepted") from error
        if cursor.execute(_TAKEN, (blob(job.id),)).fetchall():
            raise IdTaken(f"job {job.id} is there already; none of the batch was accepted") from error
        seen.add(job.id)
