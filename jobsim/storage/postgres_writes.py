"""What a transaction of the PostgreSQL store writes.

Each method lets its statements be under way, and returns what reads their answers.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Final

from jobsim.core.decide import LOST, Settlement, Why
from jobsim.core.job import JobId, Lease, NewJob, State, WorkerId
from jobsim.core.time import SECOND, Duration, Instant
from jobsim.core.transitions import TRANSITIONS, WAITING, Kind
from jobsim.storage.base import ENDS, possible
from jobsim.storage.postgres_rows import lease_of, stored
from jobsim.storage.postgres_session import Cursor, Session
from jobsim.storage.postgres_statements import numbers, texts, uuids
from jobsim.storage.rows import Row, state_of

WAVE: Final = 10_000
"""How many jobs of a queue that have come due one transaction marks as ready."""

CHUNK: Final = 1_000
"""How many jobs one statement enqueues."""

_SOON: Final = SECOND
"""Jobs due within this are made known to those who listen; the others are found by looking at the time."""

_PENDING: Final = TRANSITIONS[None, Kind.ENQUEUE]
_REQUEUED: Final = TRANSITIONS[State.DEAD_LETTER, Kind.REQUEUE]
(_CLAIMED,) = {TRANSITIONS[state, Kind.CLAIM] for state in WAITING}
_LONG_AGO: Final = Instant(-(2**62))


class MoreDue(Exception):
    """So much had come due that not all of it is marked as ready: claims would not be in order."""


class Names:
    """The numbers under which workers and reasons are stored, as far as they have been needed."""

    def __init__(self) -> None:
        self._workers: dict[str, int] = {}
        self._whys: dict[tuple[str, str], int] = {}

    def forget(self) -> None:
        """Forget all: the database may be another one, or not have kept some of them."""
        self._workers.clear()
        self._whys.clear()

    def worker(self, session: Session, name: WorkerId) -> int:
        """Return the number of a worker."""
        number = self._workers.get(name)
        if number is None:
            number = self._workers[name] = _numbered(session, "name_worker", stored(name))
        return number

    def why(self, session: Session, why: Why) -> int | None:
        """Return the number of a reason, its error left out; `None` where there is no more to it."""
        outcome, reason, _ = why
        number = self._whys.get((outcome, reason))
        if number is None:
            if not (outcome or reason):
                return None
            number = _numbered(session, "name_why", stored(outcome), stored(reason))
            self._whys[outcome, reason] = number
        return number


def _numbered(session: Session, statement: str, *name: str) -> int:
    # None where another session has just made it, which this statement could not see: then the next does.
    found: list[Row] = []
    while not found:
        found = session.alone(statement, *name)
    number: int = found[0][0]
    return number


class Writes:
    """The changes a store makes, in the order of the contract; `channel` is where news of jobs are told."""

    def __init__(self, channel: str) -> None:
        self.names: Final = Names()
        self._channel = channel

    def enqueue(self, session: Session, now: Instant, jobs: Sequence[NewJob]) -> Callable[[], list[JobId]]:
        """Store `jobs`; see `Storage.enqueue`."""
        whys = {kind: self.names.why(session, Why("", kind)) for kind in {job.kind for job in jobs}}
        for low in range(0, len(jobs), CHUNK):
            ids, kinds, due, queues, payloads, limits, priorities, *_ = zip(
                *jobs[low : low + CHUNK], strict=True
            )
            session.run(
                "enqueue",
                uuids(ids),
                texts(map(stored, kinds)),
                texts(map(stored, queues)),
                numbers(priorities),
                numbers(due),
                numbers(limits),
                texts(map(stored, payloads)),
                numbers(map(whys.__getitem__, kinds)),
                _PENDING,
                now,
                Kind.ENQUEUE,
            )
        if any(job.run_at < now + _SOON for job in jobs):
            session.news = self._channel
        return lambda: [job.id for job in jobs]

    def promote(self, session: Session, now: Instant, queues: Sequence[str]) -> Callable[[], bool]:
        """Mark jobs that have come due as ready; tell whether there may be more."""
        marked = session.run("promote", texts(map(stored, queues)), now, WAVE)
        return lambda: marked.fetchall()[0][0] >= WAVE

    def exchange(
        self,
        session: Session,
        now: Instant,
        settlements: Sequence[Settlement],
        worker: WorkerId,
        queues: Sequence[str],
        limit: int,
        lease: Duration,
    ) -> Callable[[], tuple[list[bool], list[Lease], Instant | None]]:
        """Settle, claim, and see what is due next; see `Storage.exchange`.

        The answer raises `MoreDue` where jobs had come due of which not all are marked as ready.
        """
        number = self.names.worker(session, worker)
        settled = self.settle(session, now, settlements)
        names = texts(map(stored, queues))
        more = self.promote(session, now, queues)
        claimed = session.run(
            "claim", names, now, limit, _CLAIMED, now + lease, number, Kind.CLAIM, stored(worker)
        )

        def answer() -> tuple[list[bool], list[Lease], Instant | None]:
            if more():
                raise MoreDue
            rows = claimed.fetchall()
            rows.sort(key=_urgency)
            leases = [lease_of(row[2:]) for row in rows[:limit]]
            due: Instant | None = rows[limit][1] if len(rows) > limit else next_due(session, names)
            return settled(), leases, due

        return answer

    def settle(
        self, session: Session, now: Instant, settlements: Sequence[Settlement]
    ) -> Callable[[], list[bool]]:
        """Write what became of attempts; see `Storage.settle`."""
        if not settlements:
            return list
        settled = session.run("settle", *self._columns(session, settlements, now), Kind.REFUSE, now)
        if any(decision.due is not None and decision.due < now + _SOON for _, decision in settlements):
            session.news = self._channel
        return lambda: _marked(settled, len(settlements))

    def _columns(self, session: Session, settlements: Sequence[Settlement], now: Instant) -> tuple[str, ...]:
        """Return what ``settle.sql`` is given, a column of a row a settlement each."""
        names = self.names
        leases = [lease for lease, _ in settlements]
        decisions = [decision for _, decision in settlements]
        # Whether a lost lease has ended is for the row to say: all else can be told from here.
        states = [ENDS[d.kind] if possible(lease, d, _LONG_AGO, now) else None for lease, d in settlements]
        judged = list(zip(decisions, states, strict=True))
        return (
            *_of_leases(leases),
            numbers(lease.attempt for lease in leases),
            numbers(lease.max_attempts for lease in leases),
            numbers(names.worker(session, lease.worker) for lease in leases),
            texts(decision.kind for decision in decisions),
            texts(states),
            numbers(decision.kind is Kind.RELEASE for decision in decisions),
            numbers(decision.due if state in WAITING else None for decision, state in judged),
            numbers(decision.delay if state in WAITING else None for decision, state in judged),
            numbers(now if decision.why.outcome == LOST else None for decision in decisions),
            numbers(names.why(session, decision.why) for decision in decisions),
            texts(stored(decision.why.error) or None for decision in decisions),
            texts(None if decision.result is None else stored(decision.result) for decision in decisions),
        )

    def extend(
        self, session: Session, now: Instant, leases: Sequence[Lease], until: Instant
    ) -> Callable[[], set[JobId]]:
        """Prolong leases; see `Storage.extend`."""
        workers = numbers(self.names.worker(session, lease.worker) for lease in leases)
        held = session.run("extend", *_of_leases(leases), workers, until, now, Kind.EXTEND)
        return lambda: {leases[place - 1].id for (place,) in held.fetchall()}

    def requeue(self, session: Session, now: Instant, ids: Sequence[JobId]) -> Callable[[], list[bool]]:
        """Give jobs a new budget; see `Storage.requeue`."""
        movable = _movable(session, ids, Kind.REQUEUE)
        if movable:
            events = [(row[1], row[3], row[3] + row[5], row[6]) for row in movable.values()]
            keys, _, limits, _ = zip(*events, strict=True)
            session.run("requeue", _REQUEUED, now, numbers(keys), numbers(limits))
            _record(session, events, Kind.REQUEUE, now, now)
            session.news = self._channel
        return lambda: [movable.pop(id_, None) is not None for id_ in ids]

    def cancel(
        self, session: Session, now: Instant, ids: Sequence[JobId], reason: str
    ) -> Callable[[], list[bool]]:
        """Cancel jobs; see `Storage.cancel`."""
        why = self.names.why(session, Why("cancelled", "operator"))
        movable = _movable(session, ids, Kind.CANCEL)
        ends: defaultdict[State, list[int]] = defaultdict(list)
        for row in movable.values():
            ends[TRANSITIONS[state_of(row[2]), Kind.CANCEL]].append(row[1])
        for state, keys in ends.items():
            session.run("finish", state, now, numbers(keys))
        events = [(row[1], row[3], row[4], row[6]) for row in movable.values()]
        _record(session, events, Kind.CANCEL, now, None, why, stored(reason) or None)
        return lambda: [movable.pop(id_, None) is not None for id_ in ids]


def next_due(session: Session, names: str) -> Instant | None:
    """Return when the next job of queues is due, as this transaction sees it."""
    due: Instant | None = session.run("next_due", names).fetchall()[0][0]
    return due


def _urgency(row: Row) -> tuple[int, Instant, int]:
    return (-row[0], row[1], row[2])


def _of_leases(leases: Sequence[Lease]) -> tuple[str, str, str]:
    """Return what says of which job and which attempt a lease is: keys, ids and tokens."""
    return (
        numbers(map(attrgetter("key"), leases)),
        uuids(map(attrgetter("id"), leases)),
        numbers(map(attrgetter("token"), leases)),
    )


def _marked(places: Cursor, number: int) -> list[bool]:
    """Return a list with `True` at the places that were answered, which count from 1."""
    marks = [False] * number
    for (place,) in places.fetchall():
        marks[place - 1] = True
    return marks


def _movable(session: Session, ids: Iterable[JobId], kind: Kind) -> dict[JobId, Row]:
    """Return those of the jobs to which `kind` can happen, in the order given; they stay as they are."""
    rows = session.run("standing", uuids(ids)).fetchall()
    standing = {JobId.from_bytes(row[0]): row for row in rows if (state_of(row[2]), kind) in TRANSITIONS}
    return {id_: standing[id_] for id_ in ids if id_ in standing}


def _record(
    session: Session,
    events: Sequence[tuple[int, int, int, int]],
    kind: Kind,
    now: Instant,
    due: Instant | None,
    why: int | None = None,
    error: str | None = None,
) -> None:
    """Write an event for each job: its key, attempt, limit and token."""
    keys, attempts, limits, tokens = ([event[column] for event in events] for column in range(4))
    columns = map(numbers, (keys, attempts, limits, tokens))
    session.run("insert_events", now, kind, due, why, error, *columns)
