"""The lives that a storm ends: a real worker's, and that of a client who enqueues until it is killed.

All that a life does is keyed by the storm's seed. What its predecessor asked for and never heard of, an
enqueuer sends again under the same ids: what a client must do who wants to know.
"""

import itertools
import os
import signal
from collections.abc import Iterable, Sequence
from contextlib import suppress
from enum import StrEnum
from typing import Any, Final, NamedTuple, NoReturn

import apsw

from jobsim.core.backoff import Exponential
from jobsim.core.errors import IdTaken, StorageError
from jobsim.core.job import Conflict, JobId, NewJob, State
from jobsim.core.streams import Streams
from jobsim.core.time import MILLISECOND, SECOND, Duration, Instant
from jobsim.core.transitions import FINAL, Kind
from jobsim.live.calls import Call
from jobsim.live.context import JobContext
from jobsim.live.declarations import Declarations
from jobsim.live.payload import SIZE_LIMIT
from jobsim.live.placement import Placement
from jobsim.live.stores import clock_of, present
from jobsim.live.worker import LiveWorker
from jobsim.runtime.live import pause
from jobsim.storage.base import Storage
from jobsim.storage.troubles import Mishap, Script
from jobsim.testing.clients import Clients, Told
from jobsim.worker.settings import WorkerSettings

BATCH: Final = 8
_BATCHES: Final = 10_000_000
"""More batches than one enqueuer sends; together with `BATCH` this keeps ids apart."""

_LEASE: Final = "600ms"
_SHORTEST, _LONGEST = Duration(4 * MILLISECOND), Duration(200 * MILLISECOND)
_PATIENCE: Final = Duration(SECOND)
_BREATH: Final = Duration(5 * MILLISECOND)
_CALLS: Final = 10
_STATEMENTS: Final = 120


class Death(StrEnum):
    """Where a life ends."""

    AT_RANDOM = "at random"
    """Wherever it is when its time is up."""

    BEFORE_CALL = "before a call"
    """Nothing of a storage call has happened."""

    AFTER_CALL = "after a call"
    """All of a storage call is committed, and nobody was told."""

    BEFORE_STATEMENT = "before a statement"
    """Within a transaction on SQLite, before one of its statements, or before its commit."""


class Fate(NamedTuple):
    """How a life ends: at which call or statement, from 1; after `within` at the latest, wherever it is."""

    death: Death
    number: int
    within: Duration


def fate(streams: Streams, life: int, *, statements: bool) -> Fate:
    """Return how life number `life` ends; half of all end at random. `statements`: on SQLite."""
    stream = streams.stream("storm:fate", life)
    kinds = [Death.BEFORE_CALL, Death.AFTER_CALL, Death.BEFORE_STATEMENT][: 3 if statements else 2]
    if stream.random() < 0.5:
        span = _LONGEST / _SHORTEST
        return Fate(Death.AT_RANDOM, 0, Duration(round(_SHORTEST * span ** stream.random())))
    death = kinds[int(stream.random() * len(kinds))]
    most = _STATEMENTS if death is Death.BEFORE_STATEMENT else _CALLS
    return Fate(death, 1 + int(stream.random() * most), _PATIENCE)


def die() -> NoReturn:
    """End this process as the system does when memory runs out: nothing of it runs any more."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise SystemExit  # never reached: no signal is as sure


def script(fate: Fate) -> Script:
    """Return the troubles of a life that ends at a storage call."""
    mishaps = {Death.BEFORE_CALL: Mishap.DIES_BEFORE, Death.AFTER_CALL: Mishap.DIES_AFTER}
    return Script({fate.number: mishaps[fate.death]} if fate.death in mishaps else {})


def arm(fate: Fate) -> None:
    """Let this process die before a statement of SQLite's, if that is its fate."""
    if fate.death is not Death.BEFORE_STATEMENT:
        return
    made = itertools.count(1)

    def see(_cursor: object, _sql: str, _bindings: Any) -> bool:
        return next(made) != fate.number or die()

    apsw.connection_hooks.append(lambda connection: connection.set_exec_trace(see))


class Permanent(Exception):
    """An error that no retry mends."""


class _Handlers(Declarations):
    """A handler that succeeds, fails, gives up or takes its time, by job and attempt."""

    def __init__(self, streams: Streams) -> None:
        super().__init__({}, SIZE_LIMIT, {})
        self._fates = streams.numbers("storm:handler")
        retry = Exponential(base="20ms", cap="200ms", jitter="full")
        self.job(retry=retry, dead_letter_on=Permanent)(self.work)

    def _accept(
        self, kind: str, calls: Iterable[Call], placement: Placement, batch: int | None = None
    ) -> list[JobId]:
        raise NotImplementedError  # enqueuers go to the store, as their ids are to be theirs

    def work(self, run: JobContext) -> None:
        fate = self._fates(run.id, run.attempt)
        if fate < 0.25:
            raise ValueError(fate)
        if fate < 0.3:
            raise Permanent
        if fate > 0.9:
            pause(Duration(20 * MILLISECOND))


def worker(storage: Storage, streams: Streams, slots: int, lease: str) -> LiveWorker:
    """Return a worker as `jobsim.Queue.worker` makes them, with a handler of all outcomes."""
    declared = _Handlers(streams)
    settings = WorkerSettings(slots=slots, lease=lease, poll="50ms")
    return LiveWorker(storage, declared.handlers, declared.policy, settings, clock_of(storage))


def work(storage: Storage, streams: Streams) -> None:
    """Be a worker until killed."""
    worker(storage, streams, 4, _LEASE).run()


def enqueue(
    storage: Storage, clients: Clients, seat: int, streams: Streams, backlog: int, earlier: Clients
) -> None:
    """Be a client until killed: enqueue while fewer than `backlog` jobs wait, cancel some, requeue others.

    `earlier` is what the last who had this `seat` was told.
    """
    unheard = unresolved(earlier)
    clients.ask([Told(Kind.ENQUEUE, job, 0, None) for job in unheard])
    if unheard:
        deliver(storage, clients, batch(seat, number_of(unheard[0]), streams))
    number = max((number_of(job) for job in earlier.offered), default=0)
    while True:
        number += 1
        deliver(storage, clients, batch(seat, number, streams))
        if number % 4 == 0:
            _interfere(storage, batch(seat, number - 1, streams))
        while sum(n for state, n in storage.counts().items() if state not in FINAL) > backlog:
            pause(_BREATH)


def unresolved(clients: Clients) -> list[JobId]:
    """Return the jobs that were offered, and of which nothing was heard."""
    heard = {told.job for told in clients.told if told.kind is Kind.ENQUEUE and told.kept is not None}
    return sorted(clients.offered - heard)


def number_of(job: JobId) -> int:
    """Return the number of the batch that a job belongs to."""
    return job // BATCH % _BATCHES


def batch(seat: int, number: int, streams: Streams) -> list[NewJob]:
    """Return a batch of an enqueuer, the same whoever sends it; one in four is a single job with a key."""
    stream = streams.stream("storm:batch", number, seat)
    first = (seat * _BATCHES + number) * BATCH
    if number % 4 == 1:
        conflict = Conflict.REPLACE if stream.random() < 0.5 else Conflict.SKIP
        key = f"key-{int(stream.random() * 4)}"
        return [NewJob(JobId(first), "work", Instant(0), unique_key=key, conflict=conflict)]
    return [NewJob(JobId(first + n), "work", Instant(0), max_attempts=1 + number % 3) for n in range(BATCH)]


def deliver(storage: Storage, clients: Clients, jobs: Sequence[NewJob]) -> None:
    """Enqueue `jobs`, again and again until it is known what became of them."""
    while True:
        try:
            storage.enqueue(jobs, present(storage))
        except IdTaken:
            told = [Told(Kind.ENQUEUE, job.id, 0, kept=True) for job in jobs]
            clients.hear(clients.ask(told), len(told), told)
            return
        except StorageError:  # it may be away for a while
            pause(_BREATH)
        else:
            return


def _interfere(storage: Storage, jobs: Sequence[NewJob]) -> None:
    """Do what operators do, who may not be heard: cancel a job, requeue what has died."""
    with suppress(StorageError):
        storage.cancel([jobs[0].id], present(storage))
        dead = storage.find(states=[State.DEAD_LETTER], limit=2)
        storage.requeue([job.id for job in dead], present(storage))
