"""How jobs of a PostgreSQL store are claimed: what is due becomes ready, and what limits allow is taken."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from jobsim.core.job import Lease, WorkerId
from jobsim.core.limits import Gate, Lane, Scope
from jobsim.core.time import Duration, Instant
from jobsim.core.transitions import TRANSITIONS, WAITING, Kind
from jobsim.storage.postgres_limits import gate_of, next_due
from jobsim.storage.postgres_rows import lane_of, lease_of, stored
from jobsim.storage.postgres_session import Rows, Session
from jobsim.storage.postgres_statements import numbers, texts
from jobsim.storage.rows import Row

WAVE: Final = 10_000
"""How many jobs of a queue that have come due one transaction marks as ready."""

(_CLAIMED,) = {TRANSITIONS[state, Kind.CLAIM] for state in WAITING}

Line = tuple[str, str]
"""A queue and a lane of it, as they are stored; the lane of those whom no limit is for is empty."""


class MoreDue(Exception):
    """So much had come due that not all of it is marked as ready: claims would not be in order."""


class Order(NamedTuple):
    """What a claim asks for; `number` is the worker's."""

    worker: WorkerId
    number: int
    queues: Sequence[str]
    limit: int
    lease: Duration


class Claimed(NamedTuple):
    """What a claim got, when the next job is due, and how many were taken of each lane."""

    leases: list[Lease]
    due: Instant | None
    taken: Counter[Line]


def promote(session: Session, now: Instant, queues: Iterable[str]) -> Callable[[], bool]:
    """Mark jobs that have come due as ready; tell whether there may be more."""
    marked = session.run("promote", texts(map(stored, queues)), now, WAVE)
    return lambda: marked.fetchall()[0][0] >= WAVE


def claim(session: Session, now: Instant, order: Order) -> Callable[[], Claimed]:
    """Take jobs, and see what is due next.

    The answer raises `MoreDue` where jobs had come due of which not all are marked as ready.
    """
    names = texts(map(stored, order.queues))
    more = promote(session, now, order.queues)
    claimed = _start(session, now, order, names, order.limit, {})

    def answer() -> Claimed:
        if more():
            raise MoreDue
        rows = claimed.fetchall()
        if rows and rows[0][0] is None:
            return _by_lanes(session, now, order, names)
        leases = _leases(rows, order.limit)
        due: Instant | None = rows[order.limit][1] if len(rows) > order.limit else look(session, order.queues)
        return Claimed(leases, due, Counter())

    return answer


def _start(
    session: Session, now: Instant, order: Order, names: str, limit: int, shares: dict[Line, int]
) -> Rows:
    """Take jobs off the front of `names`, or so many of each line as the `shares` say."""
    until, worker = now + order.lease, stored(order.worker)
    lines = _columns(shares)
    return session.run("claim", names, now, limit, _CLAIMED, until, order.number, Kind.CLAIM, worker, *lines)


def _by_lanes(session: Session, now: Instant, order: Order, names: str) -> Claimed:
    """Take jobs where some are in lanes: the most urgent of those that may start."""
    lines = session.run("lanes", names)
    gate = _gate(session)
    limited: dict[Line, Lane] = {line: lane_of(*line) for line in lines.fetchall()}
    if open_ := [line for line, lane in limited.items() if gate.room(lane, now) != 0]:
        gate = _gate_of_ones_own(session, open_)
    rooms = {line: gate.room(limited[line], now) for line in open_}
    fronts = {line: order.limit if room is None else min(room, order.limit) for line, room in rooms.items()}
    fronts |= {(stored(queue), ""): order.limit for queue in order.queues}
    shares, taken = Counter[Line](), 0
    for _, _, _, queue, lane in sorted(_heads(session, now, fronts), key=_urgency):
        if taken == order.limit:
            break
        if not lane or gate.enter(limited[queue, lane], now):
            shares[queue, lane] += 1
            taken += 1
    leases = list[Lease]()
    if taken:
        leases = _leases(_start(session, now, order, "{}", taken, shares).fetchall(), taken)
        _move(session, gate.moved)
    due = look(session, order.queues)
    return Claimed(leases, due, shares)


def _heads(session: Session, now: Instant, fronts: dict[Line, int]) -> list[Row]:
    lines = {line: number for line, number in fronts.items() if number}
    return session.run("heads", *_columns(lines), now).fetchall()


def _gate(session: Session) -> Gate:
    """Return the gate as it stands for all who look; it may be another at once."""
    limits, running, guards = session.run("limits"), session.run("running"), session.run("guards")
    return gate_of(limits.fetchall(), running.fetchall(), guards.fetchall())


def _gate_of_ones_own(session: Session, lines: Iterable[Line]) -> Gate:
    """Return the gate for `lines` after all who have just gone through; who comes next waits for us.

    What runs is counted by a statement of its own, which sees what those have committed who were waited for.
    """
    lanes = [lane_of(*line) for line in lines]
    queues, kinds = texts({lane.queue for lane in lanes}), texts({lane.kind for lane in lanes})
    limits, running = session.run("lock_limits", queues, kinds), session.run("running")
    guards = session.run("guards")
    return gate_of(limits.fetchall(), running.fetchall(), guards.fetchall())


def _move(session: Session, turns: dict[Scope, Instant]) -> None:
    """Write whose turn it is under rates."""
    if turns:
        by, names = texts(scope.by for scope in turns), texts(scope.name for scope in turns)
        session.run("turns", by, names, numbers(turns.values()))


def look(session: Session, queues: Iterable[str]) -> Instant | None:
    """Return when the next job of `queues` can start, as this transaction sees it."""
    return next_due(lambda *statement: session.run(*statement).fetchall(), queues)


def _leases(rows: list[Row], limit: int) -> list[Lease]:
    rows.sort(key=_urgency)
    return [lease_of(row[2:]) for row in rows[:limit]]


def _urgency(row: Row) -> tuple[int, Instant, int]:
    return -row[0], row[1], row[2]


def _columns(lines: dict[Line, int]) -> tuple[str, str, str]:
    return (
        texts(queue for queue, _ in lines),
        texts(lane for _, lane in lines),
        numbers(lines.values()),
    )
