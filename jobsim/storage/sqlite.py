"""The store on SQLite, through APSW: jobs in one file, shared by the processes of one machine."""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import apsw

from jobsim.core.decide import Settlement
from jobsim.core.errors import ConfigError, StorageError
from jobsim.core.events import Event
from jobsim.core.guards import Tally
from jobsim.core.job import Job, JobId, Lease, NewJob, QueueDepth, State, WorkerId
from jobsim.core.limits import Limit, Scope
from jobsim.core.time import Duration, DurationLike, Instant, duration
from jobsim.storage.base import check_final
from jobsim.storage.rows import (
    blob,
    depths_of,
    event_of,
    job_of,
    lease_of,
    name_of,
    number_of,
    state_of,
    storable,
)
from jobsim.storage.sqlite_claim import claim
from jobsim.storage.sqlite_connection import MEMORY, Durability
from jobsim.storage.sqlite_database import Database
from jobsim.storage.sqlite_file import resolved
from jobsim.storage.sqlite_limits import in_force, set_limits, tallies
from jobsim.storage.sqlite_names import Names
from jobsim.storage.sqlite_outlook import come_due, look, next_due, promote, some_ready
from jobsim.storage.sqlite_prune import prune
from jobsim.storage.sqlite_statements import statement, texts
from jobsim.storage.sqlite_watch import SqliteWatch
from jobsim.storage.sqlite_writes import Writes

__all__ = ["Durability", "SqliteStorage"]

PAGE: Final = 1_000

_VERSION: Final = statement("version")
_EXPIRED: Final = statement("expired")
_GET: Final = statement("get")
_FIND: Final = statement("find")
_COUNTS: Final = statement("counts")
_DEPTHS: Final = statement("depths")
_PAUSED: Final = statement("paused")
_PAUSE: Final = statement("pause")
_RESUME: Final = statement("resume")
_LAST_EVENT: Final = statement("last_event")
_EVENTS: Final = statement("events")
_EVENTS_OF_JOB: Final = statement("events_of_job")
_DAMAGE: Final = statement("damage")


class SqliteStorage:
    """Jobs in the SQLite file `path`, or in memory for ``":memory:"``. See `storage.base` for the contract.

    A missing file is made, for its owner alone, unless `create` is false. Less `durability` than `FULL` has
    to be asked for. `busy_timeout` is how long a call waits for other processes. A forked child opens the
    file anew. `vfs` names an APSW file layer to go through, for tests that let disks fail.

    A file with tables of others is refused, as its name may be mistyped. With `shared` ours are added, all
    called ``jobsim_...``, and from then on it is opened like any other; so an application can enqueue within
    its own transactions. The file is put in WAL mode; its `application_id` and `user_version` stay.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        durability: Durability = Durability.FULL,
        busy_timeout: DurationLike = "10s",
        create: bool = True,
        shared: bool = False,
        vfs: str = "",
    ) -> None:
        in_memory = path == MEMORY
        self.path: Final = MEMORY if in_memory else resolved(path)
        if durability is Durability.NONE and not in_memory:
            raise ConfigError("durability: a file is written with full or normal durability, not with none")
        self.durability: Final = Durability.NONE if in_memory else durability
        names = Names()
        patience = duration(busy_timeout, "busy_timeout")
        self._database = Database(self.path, self.durability, patience, vfs, names.forget, shared=shared)
        self._database.open(create=create)
        self._names = names
        self._writes = Writes(self._database, names)

    def enqueue(self, jobs: Sequence[NewJob], now: Instant) -> list[JobId]:
        """Accept `jobs`, all or none, and return their ids in order."""
        if not jobs:
            return []
        try:
            return self._database.write(self._writes.enqueue, jobs, now)
        except StorageError as error:
            if isinstance(error.__cause__, apsw.ConstraintError):
                self._database.write(self._writes.refuse_taken, jobs, error)
            raise

    def claim(
        self, worker: WorkerId, queues: Sequence[str], limit: int, lease: Duration, now: Instant
    ) -> list[Lease]:
        """Give `worker` up to `limit` due jobs of `queues`, each under a lease until `now + lease`."""
        return self.exchange((), worker, queues, limit, lease, now)[1]

    def settle(self, settlements: Sequence[Settlement], now: Instant) -> list[bool]:
        """Write what became of finished attempts; `False` where the lease was no longer held."""
        return self._database.write(self._writes.settle, settlements, now) if settlements else []

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
        wanted = tuple(dict.fromkeys(map(storable, queues)))
        until = Instant(now + lease)
        done = None
        while done is None:
            done = self._database.write(self._exchange, settlements, worker, wanted, limit, until, now)
        return done

    def _exchange(
        self,
        settlements: Sequence[Settlement],
        worker: WorkerId,
        wanted: tuple[str, ...],
        limit: int,
        until: Instant,
        now: Instant,
    ) -> tuple[list[bool], list[Lease], Instant | None] | None:
        """Return `None` where so much had come due that all this transaction does is to mark some of it.

        So claims come in the right order, and nobody waits long for a transaction to end.
        """
        cursor = self._database.cursor
        prospects = look(cursor, wanted)
        due = come_due(prospects, now)
        if due and not promote(cursor, due, now):
            return None
        batch = self._writes.batch(now)
        settled = self._writes.settle_in(batch, settlements) if settlements else []
        if due or batch.waits:
            prospects = look(cursor, wanted)
        if limit > 0:
            leases, ready = claim(batch, worker, prospects, limit, until)
        else:
            leases, ready = [], some_ready(cursor, prospects)
        batch.write_events()
        return settled, leases, next_due(cursor, prospects, ready)

    def extend(self, leases: Sequence[Lease], until: Instant, now: Instant) -> set[JobId]:
        """Let `leases` last until `until`, never less than before; return the ids still held."""
        return self._database.write(self._writes.extend, leases, until, now) if leases else set()

    def expired(self, limit: int, now: Instant, after: int = 0) -> list[Lease]:
        """Return up to `limit` leases that ended before `now`, by `Lease.key`, those above `after`."""
        return self._database.read(_EXPIRED, (now, after, max(limit, 0)), lease_of)

    def next_due(self, queues: Sequence[str]) -> Instant | None:
        """Return when the next waiting job of `queues` can be claimed, by its `run_at` and by its rate."""
        known = [storable(queue) for queue in queues]
        return self._database.look(self._next_due, known) if queues else None

    def _next_due(self, queues: Sequence[str]) -> Instant | None:
        cursor = self._database.cursor
        prospects = look(cursor, queues)
        return next_due(cursor, prospects, some_ready(cursor, prospects))

    def requeue(self, ids: Sequence[JobId], now: Instant) -> list[bool]:
        """Make jobs that wait, and dead letters, pending and due now; `False` where that is not possible."""
        return self._database.write(self._writes.requeue, ids, now) if ids else []

    def set_limits(self, limits: Mapping[Scope, Limit]) -> None:
        """Put limits in force, each in the place of its scope's own; one that limits nothing removes that."""
        self._database.write(self._set_limits, limits)

    def _set_limits(self, limits: Mapping[Scope, Limit]) -> None:
        set_limits(self._database.cursor, limits)

    def limits(self) -> dict[Scope, Limit]:
        """Return the limits in force."""
        return self._database.look(self._limits)

    def _limits(self) -> dict[Scope, Limit]:
        return in_force(self._database.cursor)

    def tallies(self) -> dict[Scope, Tally]:
        """Return how the budgets and breakers in force stand, of those scopes where an attempt has ended."""
        return self._database.look(self._tallies)

    def _tallies(self) -> dict[Scope, Tally]:
        return tallies(self._database.cursor)

    def pause(self, queue: str) -> bool:
        """Have no job of `queue` claimed any more; `False` where it is paused already."""
        return self._database.write(self._turn, _PAUSE, queue)

    def resume(self, queue: str) -> bool:
        """Let jobs of `queue` be claimed again; `False` where it is not paused."""
        return self._database.write(self._turn, _RESUME, queue)

    def _turn(self, sql: str, queue: str) -> bool:
        self._database.cursor.execute(sql, (storable(queue),))
        return self._database.cursor.connection.changes() > 0

    def paused(self) -> set[str]:
        """Return the queues that are paused."""
        return set(self._database.read(_PAUSED, (), name_of))

    def prune(self, states: Sequence[State], before: Instant, limit: int) -> int:
        """Remove up to `limit` jobs that ended `before` in one of `states`, and return how many."""
        check_final(states)
        return prune(self._database, states, before, limit)

    def cancel(self, ids: Sequence[JobId], now: Instant, reason: str = "") -> list[bool]:
        """Cancel jobs that are not final, and discard dead letters; `False` where not possible."""
        return self._database.write(self._writes.cancel, ids, now, reason) if ids else []

    def get(self, job: JobId) -> Job | None:
        """Return the job, or `None`."""
        return self.get_many([job])[0]

    def get_many(self, jobs: Sequence[JobId]) -> list[Job | None]:
        """Return what `get` would of each of `jobs`, all as they are at one moment."""
        if not jobs:
            return []
        wanted = apsw.carray(tuple(map(blob, jobs)))
        found = {job.id: job for job in self._database.read(_GET, (wanted,), job_of)}
        return [found.get(job) for job in jobs]

    def find(
        self,
        *,
        states: Sequence[State] = (),
        kind: str | None = None,
        queue: str | None = None,
        limit: int | None = None,
    ) -> list[Job]:
        """Return jobs in the order they were enqueued; nothing given filters nothing."""
        wanted = texts(states or tuple(State))
        bindings = (not states, wanted, kind, queue, -1 if limit is None else max(limit, 0))
        return self._database.read(_FIND, bindings, job_of)

    def counts(self) -> dict[State, int]:
        """Return the number of jobs in every state."""
        found = self._database.read(_COUNTS, (), lambda row: (state_of(row[0]), row[1]))
        return {**dict.fromkeys(State, 0), **dict(found)}

    def depths(self) -> dict[str, QueueDepth]:
        """Return how many jobs there are on each queue that has any, of every state."""
        return depths_of(self._database.read(_DEPTHS, (), tuple))

    def events(self, after: int = 0, job: JobId | None = None) -> Iterator[Event]:
        """Yield events with `seq` above `after`, oldest first; of one `job` only, where given."""
        [last] = self._database.read(_LAST_EVENT, (), number_of)
        sql, of_job = (_EVENTS, ()) if job is None else (_EVENTS_OF_JOB, (blob(job),))
        while page := self._database.read(sql, (after, last, PAGE, *of_job), event_of):
            yield from page
            after = page[-1].seq

    def watch(self) -> SqliteWatch | None:
        """Return what hears that other processes wrote to the file; nobody else writes to memory."""
        return None if self.path == MEMORY else SqliteWatch(self._database)

    def settings(self) -> dict[str, str]:
        """Return the version of the schema, and what a commit is worth."""
        wanted = {"schema": _VERSION, **{name: f"PRAGMA {name}" for name in ("journal_mode", "synchronous")}}
        return {name: str(self._database.read(sql, (), tuple)[0][0]) for name, sql in wanted.items()}

    def damage(self) -> list[str]:
        """Return what is wrong with our tables and their indexes, and which rows belong to nothing."""
        return self._database.read(_DAMAGE, (), name_of)

    def close(self) -> None:
        """Let go of the file; calling it twice is harmless."""
        self._database.close()
