"""The event log: one frozen record a transition, and the fold that rebuilds every job from it."""

import struct
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Self, TypeVar

from jobsim.core.decide import Why
from jobsim.core.errors import IllegalTransition
from jobsim.core.job import Job, JobId, State, WorkerId
from jobsim.core.time import Instant
from jobsim.core.transitions import FINAL, Kind, transition


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to one job, as committed; `seq` is its place in the log, from 1.

    `attempt`, `max_attempts` and `token` are the values in force after it (for `REFUSE`: those of the
    refused settlement). `due` is the end of the lease for claim and extend, the earliest next start
    for enqueue, retry, release and requeue, and `None` otherwise. `why.reason` of an enqueue is the
    job's kind, so that a log is readable by itself.
    """

    seq: int
    at: Instant
    job: JobId
    kind: Kind
    attempt: int
    max_attempts: int
    token: int
    worker: WorkerId | None
    due: Instant | None
    why: Why


KINDS: Final = tuple(Kind)
CODE: Final = {kind: code for code, kind in enumerate(KINDS)}
RECORD: Final = struct.Struct("<qqiiiiiib")
"""An event as bytes: at, due (-1: none), job, attempt, max_attempts, token, worker, why, kind.

Jobs, workers and reasons are numbers into the log's own tables, in order of first appearance.
"""


MANY: Final = 4_096
"""How many packed records are joined to the others at once: each takes twice the space until then."""

_Thing = TypeVar("_Thing")


class Numbers(dict[_Thing, int]):
    """The places of things in `things`, to which those asked for the first time are added."""

    def __init__(self, things: list[_Thing]) -> None:
        super().__init__((thing, number) for number, thing in enumerate(things))
        self._things = things

    def __missing__(self, thing: _Thing) -> int:
        number = self[thing] = len(self)
        self._things.append(thing)
        return number


class EventLog:
    """Events in 41 bytes each: what the memory store appends to and the analysis reads.

    The tables `jobs`, `workers` and `whys` give the meaning of the numbers in the records; workers and
    whys enter them by being looked up in `worker_numbers` and `why_numbers`. A store appends records to
    `fresh`, packed; `join` adds them to the others, which saves memory.
    """

    __slots__ = (
        "_joined",
        "_last",
        "_length",
        "fresh",
        "jobs",
        "why_numbers",
        "whys",
        "worker_numbers",
        "workers",
    )

    def __init__(self) -> None:
        self._joined = bytearray()
        self._last = Instant(0)
        self._length = 0
        self.fresh: Final[list[bytes]] = []
        self.jobs: list[JobId] = []
        self.workers: list[WorkerId | None] = [None]
        self.whys: list[Why] = [Why()]
        self.worker_numbers: Final = Numbers(self.workers)
        self.why_numbers: Final = Numbers(self.whys)

    @classmethod
    def of(cls, events: Iterable[Event]) -> Self:
        """Return a log holding `events`, in their order."""
        log = cls()
        log.add(events)
        return log

    def add(self, events: Iterable[Event]) -> None:
        """Append all events of a store, in their order."""
        job_numbers = Numbers(self.jobs)
        for number, e in enumerate(events, 1):
            self.append(
                e.at,
                -1 if e.due is None else e.due,
                job_numbers[e.job],
                e.attempt,
                e.max_attempts,
                e.token,
                self.worker_numbers[e.worker],
                self.why_numbers[e.why],
                CODE[e.kind],
            )
            if number % MANY == 0:
                self.join()
        self.join()

    @property
    def records(self) -> bytearray:
        """All records, one after the other."""
        self.join()
        return self._joined

    def join(self) -> None:
        """Join the `fresh` records to the others."""
        if self.fresh:
            self.extend(b"".join(self.fresh))
            self.fresh.clear()

    def extend(self, records: bytes) -> None:
        """Append packed records, at least one."""
        self._last = Instant(RECORD.unpack_from(records, len(records) - RECORD.size)[0])
        self._length += len(records) // RECORD.size
        self._keep(records)

    def _keep(self, records: bytes) -> None:
        self._joined += records

    @property
    def last(self) -> Instant:
        """When the last event was; the clock's zero before the first."""
        self.join()
        return self._last

    def append(self, *record: int) -> None:
        """Append one record, its fields in the order of `RECORD`."""
        self.fresh.append(RECORD.pack(*record))

    def __len__(self) -> int:
        return self._length + len(self.fresh)

    def __iter__(self) -> Iterator[Event]:
        return self.since(0)

    def since(self, after: int, without: Container[int] = ()) -> Iterator[Event]:
        """Yield the events with `seq` above `after`, but those of the jobs whose numbers are in `without`."""
        for seq in range(after + 1, len(self) + 1):
            record = RECORD.unpack_from(self.records, (seq - 1) * RECORD.size)
            if record[2] not in without:
                yield self.event(seq, *record)

    def event(self, seq: int, *record: int) -> Event:
        """Return event number `seq`, whose record has these fields, by the log's tables."""
        at, due, job, attempt, limit, token, worker, why, kind = record
        return Event(
            seq,
            Instant(at),
            self.jobs[job],
            KINDS[kind],
            attempt,
            limit,
            token,
            self.workers[worker],
            None if due < 0 else Instant(due),
            self.whys[why],
        )

    def digest(self) -> str:
        """Return the SHA-256 of the whole log, as hexadecimal text."""
        tables = repr(([int(job) for job in self.jobs], self.workers, [tuple(w) for w in self.whys]))
        return sha256(bytes(self.records) + tables.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Standing:
    """What the log says of one job; `standing` takes the same from a stored job."""

    state: State
    attempt: int
    max_attempts: int
    token: int
    run_at: Instant
    lease_until: Instant | None
    worker: WorkerId | None
    finished: Instant | None


def standing(job: Job) -> Standing:
    """Return the part of a stored job that the event log determines."""
    return Standing(
        job.state,
        job.attempt,
        job.max_attempts,
        job.token,
        job.run_at,
        job.lease_until,
        job.worker,
        job.finished,
    )


def fold(events: Iterable[Event]) -> dict[JobId, Standing]:
    """Return where every job stands after `events`, by the transition table alone.

    Raises:
        IllegalTransition: an event is not allowed in the state its job is in.
    """
    jobs: dict[JobId, Standing] = {}
    for event in events:
        if event.kind is not Kind.REFUSE:
            jobs[event.job] = step(jobs.get(event.job), event)
    return jobs


def step(before: Standing | None, event: Event) -> Standing:
    """Return where a job stands after `event`, given where it stood (`None`: it did not exist).

    Raises:
        IllegalTransition: the table does not allow it, or the event lacks what its kind needs.
    """
    state = transition(before.state if before else None, event.kind)
    running = state is State.RUNNING
    run_at = before.run_at if before else event.due
    if not running and event.due is not None:
        run_at = event.due
    if run_at is None or (running and event.due is None):
        raise IllegalTransition(f"event {event.seq} ({event.kind.value}) does not say when it is due")
    return Standing(
        state,
        event.attempt,
        event.max_attempts,
        event.token,
        run_at,
        event.due if running else None,
        event.worker if running else None,
        event.at if state in FINAL else None,
    )
