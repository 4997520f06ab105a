"""How a SQLite database hands out jobs. All happens within a transaction of the caller's."""

from collections.abc import Iterable, Iterator, Sequence
from heapq import merge
from itertools import repeat
from typing import Any, Final

import apsw

from jobsim.core.job import Lease, WorkerId
from jobsim.core.limits import Gate, Lane
from jobsim.core.time import Instant
from jobsim.core.transitions import TRANSITIONS, WAITING, Kind
from jobsim.storage.rows import Row, lease_of
from jobsim.storage.sqlite_limits import gate, move_turns
from jobsim.storage.sqlite_names import Names
from jobsim.storage.sqlite_statements import Insert, keys, statement

WAVE: Final = 10_000
"""How many jobs that have come due one transaction marks as ready: some 30 ms of work."""

(_CLAIMED,) = {TRANSITIONS[state, Kind.CLAIM] for state in WAITING}

_EVENTS: Final = Insert("insert_event")
_DUE: Final = statement("due")
_PROMOTE: Final = statement("promote")
_CLAIMABLE: Final = statement("claimable")
_LIMITED_READY: Final = statement("limited_ready")
_LANES_READY: Final = statement("lanes_ready")
_LANES_LATER: Final = statement("lanes_later")
_CLAIMABLE_OF_LANE: Final = statement("claimable_of_lane")
_START: Final = statement("start")
_LEASES: Final = statement("leases")
_NEXT_DUE: Final = statement("next_due")

Urgency = tuple[int, Instant, int]
"""What a claim goes by: the priority with its sign changed, when the job was due, and its key."""


def promote(cursor: apsw.Cursor, queues: Iterable[str], now: Instant) -> bool:
    """Mark jobs that have come due as ready; return whether these were all."""
    complete = True
    for queue in queues:
        if cursor.execute(_DUE, (queue, now)).fetchall()[0][0]:
            for limited in (False, True):
                cursor.execute(_PROMOTE, (queue, limited, now, WAVE))
                complete = complete and cursor.connection.changes() < WAVE
    return complete


def claim(
    cursor: apsw.Cursor,
    names: Names,
    worker: WorkerId,
    queues: Sequence[str],
    limit: int,
    until: Instant,
    now: Instant,
) -> list[Lease]:
    """Start ready jobs; see `Storage.claim`."""
    chosen = _chosen(cursor, queues, limit, now)
    if not chosen:
        return []
    number = names.worker(cursor, worker)
    cursor.execute(_START, (_CLAIMED, now, until, number, keys(chosen)))
    rows: dict[Any, Row] = {row[0]: row for row in cursor.execute(_LEASES, (keys(chosen),)).fetchall()}
    leases = [lease_of(rows[key]) for key in chosen]
    events = [
        (now, key, Kind.CLAIM, attempt, limit, token, number, until, None, None)
        for key, _, _, _, attempt, limit, _, token, *_ in leases
    ]
    _EVENTS.into(cursor, events)
    return leases


def _chosen(cursor: apsw.Cursor, queues: Sequence[str], limit: int, now: Instant) -> list[int]:
    """Return the keys of the jobs to start, in their order."""
    found: list[Urgency] = []
    heads: list[Row] = []
    for queue in queues:
        found += map(_urgency, cursor.execute(_CLAIMABLE, (queue, now, limit)).fetchall())
        if cursor.execute(_LIMITED_READY, (queue,)).fetchall()[0][0]:
            heads += cursor.execute(_LANES_READY, (queue,)).fetchall()
    if len(queues) > 1:
        found.sort()
    if not heads:
        return [key for _, _, key in found[:limit]]
    passing = gate(cursor)
    lines = [_line(cursor, head, limit, passing, now) for head in heads]
    chosen: list[int] = []
    for (_, _, key), lane in merge(zip(found, repeat(None)), *lines):
        if lane is None or passing.enter(lane, now):
            chosen.append(key)
            if len(chosen) == limit:
                break
    move_turns(cursor, passing)
    return chosen


def _urgency(row: Row) -> Urgency:
    priority, run_at, key = row
    return -priority, run_at, key


def _line(
    cursor: apsw.Cursor, head: Row, limit: int, passing: Gate, now: Instant
) -> Iterator[tuple[Urgency, Lane]]:
    """Yield the jobs of a lane, as long as one may start; more than its first are fetched only when asked."""
    lane, first = Lane(*head[:3]), _urgency(head[3:])
    if passing.room(lane, now) == 0:
        return
    _, run_at, key = first
    if run_at <= now:
        yield first, lane
    room = passing.room(lane, now)
    if room == 0:
        return
    # The first comes again, where it was due; with it, nobody is left out.
    most = limit if room is None else min(limit, room + 1)
    for row in cursor.execute(_CLAIMABLE_OF_LANE, (*lane, now, most)).fetchall():
        if row[2] != key:
            yield _urgency(row), lane


def next_due(cursor: apsw.Cursor, queues: Sequence[str]) -> Instant | None:
    """Return when the next job can be claimed; see `Storage.next_due`."""
    times: list[Instant] = []
    limited = []
    for queue in queues:
        rows: list[Row] = cursor.execute(_NEXT_DUE, (queue,)).fetchall()
        [(ready, later, waiting)] = rows
        times += (at for at in (ready, later) if at is not None)
        if waiting:
            limited.append(queue)
    if limited:
        times += _openings(cursor, limited)
    return min(times, default=None)


def _openings(cursor: apsw.Cursor, queues: Sequence[str]) -> Iterator[Instant]:
    """Yield when a job of each lane can start, where others need not end before."""
    passing = gate(cursor)
    for queue in queues:
        for sql in (_LANES_READY, _LANES_LATER):
            heads: list[Row] = cursor.execute(sql, (queue,)).fetchall()
            for *lane, _, run_at, _ in heads:
                opens = passing.opens(Lane(*lane))
                if opens is not None:
                    yield max(run_at, opens)
