"""Calls on PostgreSQL that are under way at the same time, statement by statement, in an order drawn by lot.

Each process does what chance says; before each statement and each commit it waits for its turn. One that
waits for a lock is found by the server's own word. What comes of it is judged by the rules of every history,
and by what each process was told.
"""

import threading
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from random import Random
from typing import Any, Final, NamedTuple

import pytest

from jobsim.core.decide import Settlement
from jobsim.core.errors import StorageError
from jobsim.core.events import Event
from jobsim.core.job import Conflict, JobId, Lease, State, WorkerId
from jobsim.core.limits import By, Limit, Scope
from jobsim.core.time import Instant
from jobsim.storage import postgres_database
from jobsim.storage.base import Storage
from jobsim.storage.postgres import PostgresStorage
from jobsim.storage.postgres_pipeline import Answer, Connection
from jobsim.storage.postgres_session import Session
from jobsim.testing.clients import Clients, WatchedStorage
from jobsim.testing.conformance_base import (
    ANN,
    BURY,
    MINUTE,
    QUEUES,
    SUCCEED,
    add,
    at,
    claim,
    job_id,
    lose,
    new,
    release,
    retry,
)
from jobsim.testing.invariants import check

NOW: Final = at(10)
MAIL: Final = Scope(By.KIND, "mail")
PROCESSES: Final = 3
CALLS: Final = 4

_here: Final = threading.local()
_BLOCKED: Final = """SELECT application_name FROM pg_stat_activity
WHERE datname = current_database() AND application_name LIKE 'actor %' AND pg_blocking_pids(pid) <> '{}'"""


class Actor(threading.Thread):
    """A process that does the next thing only when it is told to `step`."""

    def __init__(self, name: str, calls: Sequence[Callable[[], object]]) -> None:
        super().__init__(name=name, daemon=True)
        self._calls = calls
        self._turn = threading.Semaphore(0)
        self.at_rest = threading.Event()
        self.doing = ""
        self.over = False
        self.error: BaseException | None = None

    def run(self) -> None:
        """Make all calls."""
        _here.actor = self
        try:
            for call in self._calls:
                self.pause("a call")
                with suppress(StorageError):
                    call()
        except BaseException as error:  # noqa: BLE001  # it is for who judges
            self.error = error
        finally:
            self.over = True
            self.at_rest.set()

    def pause(self, doing: str) -> None:
        """Wait for the turn to do something."""
        self.doing = doing
        self.at_rest.set()
        assert self._turn.acquire(timeout=60)

    def step(self) -> None:
        """Let it go on to its next pause."""
        self.at_rest.clear()
        self._turn.release()


class Stepwise(Session):
    """A transaction of which each statement has its turn, if an actor makes it."""

    def run(self, name: str, *parameters: Any) -> Answer:
        """Let a statement be made, and wait for its end."""
        if (actor := getattr(_here, "actor", None)) is not None:
            actor.pause(name)
        answer = super().run(name, *parameters)
        if actor is not None:
            answer.fetchall()
        return answer

    def commit(self) -> None:
        """Commit."""
        if (actor := getattr(_here, "actor", None)) is not None:
            actor.pause("commit")
        super().commit()


@contextmanager
def stepwise() -> Iterator[None]:
    """Have all transactions of PostgreSQL made step by step."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(postgres_database, "Session", Stepwise)
        yield


def play(
    actors: Sequence[Actor], monitor: Connection, chance: Random, never_waits: Container[str]
) -> list[str]:
    """Let `actors` take turns by `chance` until all are done, and return what was wrong on the way.

    `never_waits` names the statements in which nobody has to wait for another.
    """
    wrong = []
    for actor in actors:
        actor.start()
    _settled(actors, monitor)
    while not all(actor.over for actor in actors):
        able = [actor for actor in actors if actor.at_rest.is_set() and not actor.over]
        if not able:
            wrong.append("each waits for another")
            while not any(actor.at_rest.wait(0.01) for actor in actors if not actor.over):
                pass  # the server ends that
        else:
            chance.choice(able).step()
        blocked = _settled(actors, monitor)
        waiting = {actor.doing for actor in actors if actor.name in blocked}
        wrong += [f"{doing} waits for another" for doing in waiting if doing in never_waits]
    return wrong + [f"{actor.name} ended by {actor.error!r}" for actor in actors if actor.error]


def _settled(actors: Sequence[Actor], monitor: Connection) -> set[str]:
    """Return who waits for a lock, once everybody does, or for a turn."""
    while True:
        blocked: set[str] = set()
        moving = [actor for actor in actors if not actor.at_rest.wait(0.001)]
        if moving:
            blocked = {name for (name,) in monitor.execute(_BLOCKED).fetchall()}
        if all(actor.name in blocked for actor in moving):
            return blocked


class Told(NamedTuple):
    """What each process was told, and beside that all together, and the events that a reader saw."""

    clients: list[Clients]
    requeued: set[JobId]
    pruned: list[int]
    seen: list[Event]


class Hands:
    """What one process does: calls drawn by lot, on what it knows of."""

    def __init__(self, name: str, storage: Storage, told: Told, chance: Random, leases: list[Lease]) -> None:
        self._name, self._told, self._chance, self._leases = WorkerId(name), told, chance, leases
        told.clients.append(Clients())
        self._bare, self._storage = storage, WatchedStorage(storage, told.clients[-1])
        self._numbers = count(1_000 * (1 + int(name.split()[1])))
        self._ways = (
            *(
                self.claim,
                self.claim,
                self.settle,
                self.settle,
                self.exchange,
                self.extend,
                self.settle_twice,
            ),
            *(self.enqueue, self.lose, self.cancel, self.requeue, self.prune),
        )

    def act(self) -> None:
        """Make a call."""
        self._chance.choice(self._ways)()

    def claim(self) -> None:
        """Claim some."""
        limit = self._chance.randint(1, 3)
        self._leases += self._storage.claim(self._name, QUEUES, limit, MINUTE, NOW)

    def settle(self) -> None:
        """Settle some of what it runs, and of what others run: these will find out."""
        self._storage.settle(self._settlements(), NOW)

    def settle_twice(self) -> None:
        """Settle the first, which others do as well."""
        self._storage.settle([Settlement(lease, SUCCEED) for lease in self._leases[:1]], NOW)

    def exchange(self) -> None:
        """Settle, and claim."""
        args = self._settlements(), self._name, QUEUES, 1, MINUTE, NOW
        self._leases += self._storage.exchange(*args)[1]

    def _settlements(self) -> list[Settlement]:
        ends = (SUCCEED, SUCCEED, retry(NOW), BURY, release(NOW))
        some = self._chance.sample(self._leases, min(2, len(self._leases)))
        return [Settlement(lease, self._chance.choice(ends)) for lease in some]

    def extend(self) -> None:
        """Prolong all leases."""
        self._bare.extend(self._leases, at(80), NOW)

    def enqueue(self) -> None:
        """Enqueue some, with a key that others take as well."""
        conflict = self._chance.choice((Conflict.SKIP, Conflict.REPLACE))
        jobs = [new(next(self._numbers), unique_key="k", conflict=conflict), new(next(self._numbers))]
        self._storage.enqueue(jobs, NOW)

    def lose(self) -> None:
        """Bring back what a clock that is ahead takes for lost."""
        lost = self._bare.expired(2, at(75))
        self._storage.settle([Settlement(lease, lose(at(75))) for lease in lost], at(75))

    def cancel(self) -> None:
        """Cancel some."""
        self._bare.cancel([job_id(n) for n in self._chance.sample(range(1, 12), 3)], NOW)

    def requeue(self) -> None:
        """Requeue the dead letters."""
        dead = [job.id for job in self._bare.find(states=[State.DEAD_LETTER])]
        done = self._bare.requeue(dead, NOW)
        self._told.requeued.update(id_ for id_, is_done in zip(dead, done, strict=True) if is_done)

    def prune(self) -> None:
        """Prune what had ended before all began."""
        self._told.pruned.append(self._bare.prune([State.DEAD_LETTER, State.SUCCEEDED], at(5), 9))

    def declare(self) -> None:
        """Put a limit in force."""
        self._bare.set_limits({MAIL: Limit(running=6)})


class Turns:
    """Schedules on a server, each in a schema of its own."""

    def __init__(self, dsn: str, schema: str) -> None:
        self._dsn, self._schema, self._numbers = dsn, schema, count()

    def wrong(self, seed: int) -> list[str]:
        """Return what is wrong with the schedule that a seed means; every other one is under a limit."""
        schema, chance = f"{self._schema}_{next(self._numbers)}", Random(seed)
        names = [f"actor {number}" for number in range(PROCESSES)]
        stores = [
            PostgresStorage(f"{self._dsn}&application_name={name.replace(' ', '%20')}", schema=schema)
            for name in names
        ]
        monitor = stores[0]._database._connections.single()
        try:
            with stepwise():
                return self._play(names, stores, monitor, chance)
        finally:
            monitor.close()
            for store in stores:
                store.close()

    def _play(
        self, names: Sequence[str], stores: Sequence[PostgresStorage], monitor: Connection, chance: Random
    ) -> list[str]:
        told, store = Told([Clients()], set(), [], []), stores[0]
        limited = chance.choice(("never", "before", "meanwhile"))
        held = _prepare(WatchedStorage(store, told.clients[0]), limit=6 if limited == "before" else None)
        actors = [Actor("reader", [lambda: _read(store, told.seen)] * 6)]
        for name, own in zip(names, stores, strict=True):
            hands = Hands(name, own, told, Random(f"{chance.random()} {name}"), list(held))
            calls = [hands.act] * CALLS
            if limited == "meanwhile" and name == names[0]:
                calls[chance.randrange(CALLS)] = hands.declare
            actors.append(Actor(name, calls))
        wrong = play(actors, monitor, chance, () if limited == "meanwhile" else ("claim", "promote"))
        _read(store, told.seen)
        return wrong + _judged(store, told, limited=limited != "never")


def _prepare(storage: Storage, limit: int | None) -> list[Lease]:
    """Fill a store, and return the leases of three that run, and of three that are over."""
    add(storage, *(new(n, priority=1, unique_key="k" if n == 5 else None) for n in range(1, 7)))
    held = claim(storage, limit=6, worker=ANN, now=at(0))
    ends = (BURY, SUCCEED, BURY)
    storage.settle([Settlement(lease, end) for lease, end in zip(held[3:], ends, strict=True)], at(0))
    add(storage, *(new(n) for n in range(7, 10)), *(new(n, run_at=at(8)) for n in range(10, 12)))
    if limit is not None:
        storage.set_limits({MAIL: Limit(running=limit)})
    return held


def _read(storage: Storage, seen: list[Event]) -> None:
    """Read on in the log."""
    seen += storage.events(after=seen[-1].seq if seen else 0)


def _judged(storage: PostgresStorage, told: Told, *, limited: bool) -> list[str]:
    """Return what is wrong with what has come of a schedule."""
    events, jobs, clients = list(storage.events()), storage.find(), Clients()
    clients.told = [each for client in told.clients for each in client.told]
    gone = clients.accepted - {job.id for job in jobs}
    found = check(events, accepted=clients.accepted - gone, offered=clients.offered, jobs=jobs)
    wrong = [str(violation) for violation in (*found, *clients.agreement(events, gone))]
    wrong += storage.damage()
    if {event.seq for event in events} - {event.seq for event in told.seen}:
        wrong.append("a reader who goes on from what it has seen misses an event")
    if len(gone) != sum(told.pruned) or gone & told.requeued:
        wrong.append("a job was removed that nobody has pruned")
    running = storage.counts()[State.RUNNING]
    more = len(claim(storage, now=Instant(NOW + 1)))
    if limited and (running + more if more else 0) > 6:
        wrong.append("more run than the limit says")
    return wrong
