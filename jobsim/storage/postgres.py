"""The store on PostgreSQL, through psycopg 3: jobs in a schema of a database, shared by all who connect."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Final, TypeVar, TypeVarTuple

from psycopg import errors

from jobsim.core.decide import Settlement
from jobsim.core.errors import StorageBusy, StorageError
from jobsim.core.events import Event
from jobsim.core.guards import Tally
from jobsim.core.job import Job, JobId, Lease, NewJob, QueueDepth, State, WorkerId
from jobsim.core.limits import NO_LIMIT, Limit, Scope
from jobsim.core.time import Duration, DurationLike, Instant, duration
from jobsim.storage.base import check_final
from jobsim.storage.guard_rows import tallies_of
from jobsim.storage.postgres_claim import MoreDue
from jobsim.storage.postgres_connections import Connections
from jobsim.storage.postgres_database import Database
from jobsim.storage.postgres_enqueue import refuse_taken
from jobsim.storage.postgres_guards import Guarded, plain
from jobsim.storage.postgres_limits import in_force, next_due
from jobsim.storage.postgres_rows import event_of, job_of, lease_of, original, stored
from jobsim.storage.postgres_schema import checked
from jobsim.storage.postgres_session import Session
from jobsim.storage.postgres_statements import texts, uuids
from jobsim.storage.postgres_watch import PostgresWatch
from jobsim.storage.postgres_writes import Writes
from jobsim.storage.rows import Row, depths_of, name_of, state_of

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

PAGE: Final = 1_000

_TRIES: Final = 8
"""How often a requeue is tried while others take the same unique keys."""


class PostgresStorage:
    """Jobs in a `schema` of a PostgreSQL database. See `storage.base` for the contract.

    `conninfo` is a URL or a string as libpq takes it. A missing schema is made unless `create` is false.
    `connections` is how many calls can be under way at once, and `patience` how long a call waits for a
    connection, a lock, or a server that starts again. Behind a proxy that pools transactions, switch off
    `listen`, which needs a session of its own, and `prepared`, unless the proxy knows prepared statements.
    A forked child connects anew.

    Events are numbered in the order of the commits where these are of one job; where they are of several and
    overlap, in either order. A number may be missing where a transaction was undone.
    """

    def __init__(
        self,
        conninfo: str,
        *,
        schema: str = "jobsim",
        connections: int = 4,
        patience: DurationLike = "10s",
        prepared: bool = True,
        listen: bool = True,
        create: bool = True,
    ) -> None:
        self.schema: Final = checked(schema)
        waits = duration(patience, "patience")
        pool = Connections(conninfo, waits, connections, prepared=prepared)
        self._listen = listen
        self._writes = Writes(self.schema)
        self._database = Database(pool, self.schema, waits, self._writes.names.forget)
        self._database.open(create=create)

    def enqueue(self, jobs: Sequence[NewJob], now: Instant) -> list[JobId]:
        """Accept `jobs`, all or none, and return their ids in order."""
        if not jobs:
            return []
        try:
            return self._database.write(self._writes.enqueue, now, jobs)
        except StorageError as error:
            if isinstance(error.__cause__, errors.UniqueViolation):
                refuse_taken(jobs, lambda id_: self.get(id_) is not None, error)
            raise

    def claim(
        self, worker: WorkerId, queues: Sequence[str], limit: int, lease: Duration, now: Instant
    ) -> list[Lease]:
        """Give `worker` up to `limit` due jobs of `queues`, each under a lease until `now + lease`."""
        if limit <= 0 or not queues:
            return []
        return self._exchange((), worker, queues, limit, lease, now)[1]

    def settle(self, settlements: Sequence[Settlement], now: Instant) -> list[bool]:
        """Write what became of finished attempts; `False` where the lease was no longer held."""
        return self._settling(self._writes.settle, now, settlements) if settlements else []

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
        if limit > 0 and queues:
            return self._exchange(settlements, worker, queues, limit, lease, now)
        if not settlements:
            return [], [], self.next_due(queues)
        settled, due = self._settling(self._writes.settle_and_look, now, settlements, queues)
        return settled, [], due

    def _exchange(
        self,
        settlements: Sequence[Settlement],
        worker: WorkerId,
        queues: Sequence[str],
        limit: int,
        lease: Duration,
        now: Instant,
    ) -> tuple[list[bool], list[Lease], Instant | None]:
        wanted = tuple(dict.fromkeys(queues))
        write, writes = self._database.write, self._writes
        while True:
            try:
                return self._settling(writes.exchange, now, settlements, worker, wanted, limit, lease)
            except MoreDue:
                # In transactions of their own, so that nobody waits long for one to end.
                while write(writes.promote, now, wanted):
                    pass

    def _settling(
        self, work: Callable[[Session, Instant, *Ts], Callable[[], T]], now: Instant, *args: *Ts
    ) -> T:
        while True:
            with suppress(Guarded):  # from now on it is known, until another call finds that it is otherwise
                return self._database.write(work, now, *args)

    def extend(self, leases: Sequence[Lease], until: Instant, now: Instant) -> set[JobId]:
        """Let `leases` last until `until`, never less than before; return the ids still held."""
        return self._database.write(self._writes.extend, now, leases, until) if leases else set()

    def expired(self, limit: int, now: Instant, after: int = 0) -> list[Lease]:
        """Return up to `limit` leases that ended before `now`, by `Lease.key`, those above `after`."""
        return self._database.glance(lease_of, "expired", now, after, max(limit, 0))

    def next_due(self, queues: Sequence[str]) -> Instant | None:
        """Return when the next waiting job of `queues` can be claimed, or `None`."""
        return next_due(partial(self._database.glance, tuple), queues)

    def requeue(self, ids: Sequence[JobId], now: Instant) -> list[bool]:
        """Make jobs pending, due now, with a new budget; `False` where that is not possible."""
        if not ids:
            return []
        left = _TRIES
        while True:
            left -= 1
            try:
                return self._database.write(self._writes.requeue, now, ids)
            except StorageError as error:
                if not isinstance(error.__cause__, errors.UniqueViolation):
                    raise
                if not left:
                    raise StorageBusy(f"others take the same unique keys; try again ({error})") from error

    def set_limits(self, limits: Mapping[Scope, Limit]) -> None:
        """Put limits in force, each in the place of its scope's own; one that limits nothing removes that.

        Other writers wait meanwhile, and are waited for. That is short, but where jobs of a scope wait which
        had no limit before, or has none now: each of them is written anew.
        """
        in_force = self.limits()
        if any(in_force.get(scope, NO_LIMIT) != limit for scope, limit in limits.items()):
            self._database.write(self._writes.set_limits, self.clock(), limits)

    def limits(self) -> dict[Scope, Limit]:
        """Return the limits in force."""
        return in_force(partial(self._database.glance, tuple))

    def tallies(self) -> dict[Scope, Tally]:
        """Return how the budgets and breakers in force stand, of those scopes where an attempt has ended."""
        return tallies_of(plain(self._database.glance(tuple, "guards")))

    def pause(self, queue: str) -> bool:
        """Have no job of `queue` claimed any more; `False` where it is paused already."""
        return self._database.write(self._writes.turn, self.clock(), "pause", queue)

    def resume(self, queue: str) -> bool:
        """Let jobs of `queue` be claimed again; `False` where it is not paused."""
        return self._database.write(self._writes.turn, self.clock(), "resume", queue)

    def paused(self) -> set[str]:
        """Return the queues that are paused."""
        return {original(name) for (name,) in self._database.glance(tuple, "paused")}

    def prune(self, states: Sequence[State], before: Instant, limit: int) -> int:
        """Remove up to `limit` jobs that ended `before` in one of `states`, and return how many."""
        check_final(states)
        # Found without a lock, however long that takes, and looked at again by the one who removes them.
        found = self._database.read(_number, "final", texts(states), before, max(limit, 0))
        return self._database.write(self._writes.prune, before, found, states) if found else 0

    def cancel(self, ids: Sequence[JobId], now: Instant, reason: str = "") -> list[bool]:
        """Cancel jobs that are not final, and discard dead letters; `False` where not possible."""
        return self._database.write(self._writes.cancel, now, ids, reason) if ids else []

    def get(self, job: JobId) -> Job | None:
        """Return the job, or `None`."""
        return self.get_many([job])[0]

    def get_many(self, jobs: Sequence[JobId]) -> list[Job | None]:
        """Return what `get` would of each of `jobs`, all as they are at one moment."""
        if not jobs:
            return []
        found = {job.id: job for job in self._database.glance(job_of, "get", uuids(jobs))}
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
        named = (None if name is None else stored(name) for name in (kind, queue))
        most = None if limit is None else max(limit, 0)
        return self._database.read(job_of, "find", texts(states or State), *named, most)

    def counts(self) -> dict[State, int]:
        """Return the number of jobs in every state."""
        counts = dict.fromkeys(State, 0)
        counts.update(self._database.read(_count, "counts"))
        return counts

    def depths(self) -> dict[str, QueueDepth]:
        """Return how many jobs there are on each queue that has any, of every state."""
        rows = self._database.read(tuple, "depths")
        return depths_of((original(queue), *rest) for queue, *rest in rows)

    def events(self, after: int = 0, job: JobId | None = None) -> Iterator[Event]:
        """Yield events with `seq` above `after`, oldest first; of one `job` only, where given.

        It ends before the first that may still be under way, so that a reader who goes on from there misses
        none: an event never appears below one that was already read.
        """
        last = self._complete()
        name, of_job = ("events", ()) if job is None else ("events_of_job", (f"{job:032x}",))
        while page := self._database.glance(event_of, name, after, last, PAGE, *of_job):
            yield from page
            after = page[-1].seq

    def _complete(self) -> int:
        """Return the number up to which nothing can be added to the log any more.

        A transaction names the last number there was before it takes its own, by a lock that it holds until
        its commit can be seen. So the number is read first, and the locks after it.
        """
        [last] = self._database.read(_number, "last_event")
        [lag] = self._database.read(_number, "under_way", last, self._database.tag & 0xFFFFFFFF)
        return last - lag

    def watch(self) -> PostgresWatch | None:
        """Return what hears of new jobs; `None` where that is switched off."""
        return self._database.watch(self.schema) if self._listen else None

    def settings(self) -> dict[str, str]:
        """Return the version of the schema and of the server, what a commit is worth, and the way there.

        ``way`` is ``local``, ``encrypted`` or ``plain``.
        """
        names = ("schema", "server_version", "synchronous_commit", "fsync", "full_page_writes", "way")
        [row] = self._database.read(tuple, "settings")
        return dict(zip(names, row, strict=True))

    def damage(self) -> list[str]:
        """Return which rows belong to nothing."""
        return self._database.read(name_of, "damage")

    def clock(self) -> Instant:
        """Return what the server's clock shows."""
        [now] = self._database.read(_number, "clock")
        return Instant(now)

    def close(self) -> None:
        """Let go of all connections; calling it twice is harmless."""
        self._database.close()


def _number(row: Row) -> int:
    number: int = row[0]
    return number


def _count(row: Row) -> tuple[State, int]:
    state, count = row
    return state_of(state), count
