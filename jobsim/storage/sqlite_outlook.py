"""How queues of a SQLite database stand, and when to look again, within a transaction of the caller's."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

import apsw

from jobsim.core.job import KEY_LENGTH
from jobsim.core.limits import Lane
from jobsim.core.time import Instant
from jobsim.storage.rows import Row
from jobsim.storage.sqlite_limits import gate
from jobsim.storage.sqlite_statements import statement

WAVE: Final = 10_000
"""How many jobs that have come due one transaction marks as ready: some 30 ms of work."""

NO_KEY: Final = "\0" * (KEY_LENGTH + 1)
"""A limit key that no job has: what holds for its lane holds for all of the kind."""

_OUTLOOK: Final = statement("outlook")
_PROMOTE: Final = statement("promote")
_SOME_READY: Final = statement("some_ready")
_KINDS_READY: Final = statement("kinds_ready")
_KINDS_LATER: Final = statement("kinds_later")
_SOME: Final = statement("lanes_ready") + " LIMIT ?4"
_EARLIEST: Final = statement("lanes_later") + " ORDER BY run_at LIMIT ?4"

_EVER: Final = Instant(2**63 - 1)


class Prospect(NamedTuple):
    """How a queue stands: when the first of its jobs to come are due, and whether ready ones have a limit."""

    queue: str
    to_come: Instant | None
    limited_to_come: Instant | None
    limited_ready: int


def look(cursor: apsw.Cursor, queues: Iterable[str]) -> list[Prospect]:
    """Return how those of `queues` stand that are not paused."""
    prospects: list[Prospect] = []
    for queue in queues:
        prospects += map(Prospect._make, cursor.execute(_OUTLOOK, (queue,)).fetchall())
    return prospects


def come_due(prospects: Iterable[Prospect], now: Instant) -> list[tuple[str, bool]]:
    """Return where jobs have come due since that was last seen to: the queue, and whether with a limit."""
    due = []
    for queue, to_come, limited_to_come, _ in prospects:
        if to_come is not None and to_come <= now:
            due.append((queue, False))
        if limited_to_come is not None and limited_to_come <= now:
            due.append((queue, True))
    return due


def promote(cursor: apsw.Cursor, due: Iterable[tuple[str, bool]], now: Instant) -> bool:
    """Mark jobs that have come due as ready; return whether these were all."""
    complete = True
    for queue, limited in due:
        cursor.execute(_PROMOTE, (queue, limited, now, WAVE))
        complete = complete and cursor.connection.changes() < WAVE
    return complete


def some_ready(cursor: apsw.Cursor, prospects: Iterable[Prospect]) -> Instant | None:
    """Return when a job that is ready was due, of those for which there is no limit."""
    found: list[Row] = []
    for one in prospects:
        found += cursor.execute(_SOME_READY, (one.queue,)).fetchall()
    return min((at for (at,) in found), default=None)


def next_due(cursor: apsw.Cursor, prospects: Iterable[Prospect], ready: Instant | None) -> Instant | None:
    """Return when the next job can be claimed, where `some_ready` is `ready`; see `Storage.next_due`."""
    times = [] if ready is None else [ready]
    limited = []
    for queue, to_come, limited_to_come, limited_ready in prospects:
        if to_come is not None:
            times.append(to_come)
        if limited_ready or limited_to_come is not None:
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
                if passing.opens(Lane(queue, kind, NO_KEY)) is not None:
                    # All lanes open at the same time, but for those that are closed by their key.
                    rows: list[Row] = cursor.execute(heads, (queue, kind, _EVER, full + 1)).fetchall()
                    for key, _, run_at, _ in rows:
                        opens = passing.opens(Lane(queue, kind, key))
                        if opens is not None:
                            yield max(run_at, opens)
