"""How a SQLite database hands out jobs. All happens within a transaction of the caller's."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from heapq import merge
from itertools import repeat
from typing import Any, Final

import apsw

from jobsim.core.job import KEY_LENGTH, Lease, WorkerId
from jobsim.core.limits import Gate, Lane
from jobsim.core.time import Instant
from jobsim.core.transitions import TRANSITIONS, WAITING, Kind
from jobsim.storage.rows import Row, lease_of, storable
from jobsim.storage.sqlite_limits import gate, move_turns
from jobsim.storage.sqlite_names import Names
from jobsim.storage.sqlite_statements import keys, statement

WAVE: Final = 10_000
"""How many jobs that have come due one transaction marks as ready: some 30 ms of work."""

(_CLAIMED,) = {TRANSITIONS[state, Kind.CLAIM] for state in WAITING}

PAUSED: Final = statement("paused")
_DUE: Final = statement("due")
_PROMOTE: Final = statement("promote")
_CLAIMABLE: Final = statement("claimable")
_LIMITED_READY: Final = statement("limited_ready")
_KINDS_READY: Final = statement("kinds_ready")
_KINDS_LATER: Final = statement("kinds_later")
_SOME: Final = statement("lanes_ready") + "\nLIMIT ?4"
_CLAIMABLE_OF_KIND: Final = statement("claimable_of_kind")
_MOST_URGENT: Final = statement("lanes_ready") + "\nORDER BY priority DESC, run_at, id LIMIT ?4"
_EARLIEST: Final = statement("lanes_later") + "\nORDER BY run_at LIMIT ?4"
_CLAIMABLE_OF_LANE: Final = statement("claimable_of_lane")
_START: Final = statement("start")
_RECORD: Final = statement("record_running")
_LEASES: Final = statement("leases")
_NEXT_DUE: Final = statement("next_due")

_NO_KEY: Final = "\0" * (KEY_LENGTH + 1)
"""A limit key that no job has: what holds for its lane holds for all of the kind."""

_WINDOW: Final = 2
"""How many times as many jobs as may start are looked at before their lanes are."""

_EVER: Final = Instant(2**63 - 1)

Urgency = tuple[int, Instant, int]
"""What a claim goes by: the priority with its sign changed, when the job was due, and its key."""


def open_queues(cursor: apsw.Cursor, queues: Sequence[str]) -> Sequence[str]:
    """Return those of `queues` that are not paused."""
    paused = {name for (name,) in cursor.execute(PAUSED).fetchall()}
    return [queue for queue in queues if storable(queue) not in paused] if paused else queues


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
    wanted = keys(chosen)
    cursor.execute(_START, (_CLAIMED, now, until, number, wanted))
    cursor.execute(_RECORD, (now, Kind.CLAIM, wanted))
    rows: dict[Any, Row] = {row[0]: row for row in cursor.execute(_LEASES, (wanted,)).fetchall()}
    return [lease_of(rows[key]) for key in chosen]


def _chosen(cursor: apsw.Cursor, queues: Sequence[str], limit: int, now: Instant) -> list[int]:
    """Return the keys of the jobs to start, in their order."""
    found: list[Urgency] = []
    limited = []
    for queue in queues:
        found += map(_urgency, cursor.execute(_CLAIMABLE, (queue, now, limit)).fetchall())
        if cursor.execute(_LIMITED_READY, (queue,)).fetchall()[0][0]:
            limited.append(queue)
    if len(queues) > 1:
        found.sort()
    if not limited:
        return [key for _, _, key in found[:limit]]
    passing, full = gate(cursor)
    lines = [line for queue in limited for line in _lines(cursor, queue, limit, passing, full, now)]
    chosen: list[int] = []
    for (_, _, key), lane in merge(zip(found, repeat(None)), *lines):
        if lane is None or passing.enter(lane, now):
            chosen.append(key)
            if len(chosen) == limit:
                break
    move_turns(cursor, passing)
    return chosen


def _urgency(row: Sequence[Any]) -> Urgency:
    priority, run_at, key = row
    return -priority, run_at, key


def _lines(
    cursor: apsw.Cursor, queue: str, limit: int, passing: Gate, full: int, now: Instant
) -> Iterator[Iterator[tuple[Urgency, Lane]]]:
    """Yield the jobs of a queue to choose from, for which there is a limit, in lines by their urgency."""
    kinds: list[Row] = cursor.execute(_KINDS_READY, (queue,)).fetchall()
    for (kind,) in kinds:
        if passing.room(Lane(queue, kind, _NO_KEY), now) == 0:
            continue
        # A start of another kind may close a lane of this one, but is itself one of `limit`.
        most = _WINDOW * (limit + full)
        first = _first(cursor, queue, kind, most, now)
        if len(first) < most or _can_start(first, passing, now) >= limit:
            yield iter(first)
            continue
        # Of the lanes no more than `full` can be closed by their key alone, so that behind the `limit` most
        # urgent ones of the others nobody can have a turn.
        heads: list[Row] = cursor.execute(_MOST_URGENT, (queue, kind, now, limit + full)).fetchall()
        for key, *head in heads:
            yield _line(cursor, Lane(queue, kind, key), _urgency(head), limit, passing, now)


def _first(cursor: apsw.Cursor, queue: str, kind: str, most: int, now: Instant) -> list[tuple[Urgency, Lane]]:
    """Return the most urgent ready jobs of a kind, whether they may start or not."""
    rows: list[Row] = cursor.execute(_CLAIMABLE_OF_KIND, (queue, kind, now, most)).fetchall()
    return [(_urgency(row), Lane(queue, kind, key)) for key, *row in rows]


def _can_start(jobs: Iterable[tuple[Urgency, Lane]], passing: Gate, now: Instant) -> int:
    """Return how many of `jobs` their keys let start."""
    lanes = Counter(lane for _, lane in jobs)
    rooms = ((number, passing.room(lane, now)) for lane, number in lanes.items())
    return sum(number if room is None else min(number, room) for number, room in rooms)


def _line(
    cursor: apsw.Cursor, lane: Lane, first: Urgency, limit: int, passing: Gate, now: Instant
) -> Iterator[tuple[Urgency, Lane]]:
    """Yield the jobs of a lane, as long as one may start; more than its first are fetched only when asked."""
    if passing.room(lane, now) == 0:
        return
    yield first, lane
    room = passing.room(lane, now)
    if room == 0:
        return
    most = limit if room is None else min(limit, room + 1)  # the first comes again
    for row in cursor.execute(_CLAIMABLE_OF_LANE, (*lane, now, most)).fetchall()[1:]:
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
    """Yield when jobs for which there is a limit can start, the earliest among them."""
    passing, full = gate(cursor)
    for queue in queues:
        for kinds, heads in ((_KINDS_READY, _SOME), (_KINDS_LATER, _EARLIEST)):
            found: list[Row] = cursor.execute(kinds, (queue,)).fetchall()
            for (kind,) in found:
                if passing.opens(Lane(queue, kind, _NO_KEY)) is not None:
                    # All lanes open at the same time, but for those that are closed by their key.
                    rows: list[Row] = cursor.execute(heads, (queue, kind, _EVER, full + 1)).fetchall()
                    for key, _, run_at, _ in rows:
                        opens = passing.opens(Lane(queue, kind, key))
                        if opens is not None:
                            yield max(run_at, opens)
