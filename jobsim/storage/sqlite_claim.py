"""How a SQLite database hands out jobs. All happens within a transaction of the caller's."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from heapq import merge
from itertools import repeat
from operator import itemgetter
from typing import Any, Final

import apsw

from jobsim.core.job import Lease, WorkerId
from jobsim.core.limits import Gate, Lane
from jobsim.core.time import Instant
from jobsim.core.transitions import TRANSITIONS, WAITING, Kind
from jobsim.storage.rows import Row, lease_of
from jobsim.storage.sqlite_batch import Batch
from jobsim.storage.sqlite_limits import gate, move_turns
from jobsim.storage.sqlite_outlook import NO_KEY, Prospect, some_ready
from jobsim.storage.sqlite_statements import OnKeys, statement

(_CLAIMED,) = {TRANSITIONS[state, Kind.CLAIM] for state in WAITING}

_READY: Final = statement("ready")
_CLAIMABLE: Final = statement("claimable")
_KINDS_READY: Final = statement("kinds_ready")
_CLAIMABLE_OF_KIND: Final = statement("claimable_of_kind")
_MOST_URGENT: Final = statement("lanes_ready") + " ORDER BY priority DESC, run_at, id LIMIT ?4"
_CLAIMABLE_OF_LANE: Final = statement("claimable_of_lane")
_START: Final = OnKeys("start")
_LEASES: Final = OnKeys("leases")

_RUN_AT: Final = itemgetter(1)
"""When a job was due, of a row of ``ready.sql``."""

_WINDOW: Final = 2
"""How many times as many jobs as may start are looked at before their lanes are."""

Urgency = tuple[int, Instant, int]
"""What a claim goes by: the priority with its sign changed, when the job was due, and its key."""


def claim(
    batch: Batch, worker: WorkerId, prospects: Sequence[Prospect], limit: int, until: Instant
) -> tuple[list[Lease], Instant | None]:
    """Start ready jobs; see `Storage.claim`. And return what `some_ready` is then."""
    cursor, now = batch.cursor, batch.now
    found, early = _ready(cursor, prospects, limit + 1, now)
    limited = [one.queue for one in prospects if one.limited_ready]
    starting = [key for _, _, key in found[:limit]]
    chosen = _let_in(cursor, found, limited, limit, now) if limited else starting
    leases = _start(batch, worker, chosen, until) if chosen else []
    left = _left(found, chosen) if limited else found[limit:]
    if left:
        return leases, left[0][1]
    return leases, some_ready(cursor, prospects) if early else None


def _ready(
    cursor: apsw.Cursor, prospects: Sequence[Prospect], most: int, now: Instant
) -> tuple[list[Row], bool]:
    """Return the jobs that are due and have no limit, in order, and whether some were marked too early."""
    found: list[Row] = []
    early = False
    for queue, *_ in prospects:
        rows: list[Row] = cursor.execute(_READY, (queue, most)).fetchall()
        if rows and max(map(_RUN_AT, rows)) > now:
            early = True
            rows = cursor.execute(_CLAIMABLE, (queue, most, now)).fetchall()
        found += rows
    if len(prospects) > 1:
        found.sort(key=_urgency)
    return found, early


def _left(found: Iterable[Row], chosen: Iterable[int]) -> list[Row]:
    started = frozenset(chosen)
    return [row for row in found if row[2] not in started]


def _start(batch: Batch, worker: WorkerId, chosen: Sequence[int], until: Instant) -> list[Lease]:
    cursor = batch.cursor
    number = batch.names.worker(cursor, worker)
    _START.execute(cursor, chosen, _CLAIMED, batch.now, until, number)
    rows: list[Row] = _LEASES.execute(cursor, chosen).fetchall()
    by_key = {row[0]: lease_of(row) for row in rows}
    leases = [by_key[key] for key in chosen]
    batch.begin(leases, number)
    return leases


def _let_in(
    cursor: apsw.Cursor, found: Iterable[Row], limited: Iterable[str], limit: int, now: Instant
) -> list[int]:
    """Return the keys of the jobs to start, in their order, where some of the queues have `limited` ones."""
    passing, full = gate(cursor)
    lines = [line for queue in limited for line in _lines(cursor, queue, limit, passing, full, now)]
    chosen: list[int] = []
    for (_, _, key), lane in merge(zip(map(_urgency, found), repeat(None)), *lines):
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
        if passing.room(Lane(queue, kind, NO_KEY), now) == 0:
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
