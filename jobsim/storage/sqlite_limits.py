"""The limits in force, as a SQLite database keeps them. All happens within a transaction of the caller's."""

from collections.abc import Mapping
from typing import Final

from jobsim.core.limits import NO_LIMIT, By, Gate, Lane, Limit, Rate, Scope
from jobsim.core.time import Duration, duration
from jobsim.storage.rows import Row, storable
from jobsim.storage.sqlite_statements import Cursor, statement

LIMITS: Final = statement("limits")
_LIMITED: Final = statement("limited")
_RUNNING: Final = statement("running")
_SET: Final = statement("set_limit")
_REMOVE: Final = statement("remove_limit")
_MARK: Final = statement("mark_limited")
_MOVE_TURN: Final = statement("move_turn")


def limit_of(row: Row) -> tuple[Scope, Limit]:
    """Return a row of ``limits.sql`` as a scope and its limit."""
    by, name, running, running_per_key, starts, per, burst, _ = row
    rate = None if starts is None else Rate(starts, Duration(per), burst)
    return Scope(By(by), name), Limit(running=running, running_per_key=running_per_key, rate=rate)


def limited(cursor: Cursor) -> tuple[set[str], set[str]]:
    """Return the queues for which there is a limit, and the kinds."""
    scopes: list[Row] = cursor.execute(_LIMITED).fetchall()
    queues = {name for by, name in scopes if by == By.QUEUE}
    return queues, {name for by, name in scopes if by == By.KIND}


def gate(cursor: Cursor) -> tuple[Gate, int]:
    """Return who may start just now, and in how many lanes attempts run."""
    rows: list[Row] = cursor.execute(LIMITS).fetchall()
    limits = dict(map(limit_of, rows))
    turns = {scope: row[-1] for scope, row in zip(limits, rows, strict=True) if row[-1] is not None}
    running = {Lane(*lane): number for *lane, number in cursor.execute(_RUNNING).fetchall()}
    return Gate(limits, running, turns), len(running)


def move_turns(cursor: Cursor, passed: Gate) -> None:
    """Keep the turns that `passed` has moved."""
    for (by, name), turn in passed.moved.items():
        cursor.execute(_MOVE_TURN, (turn, by, name))


def set_limits(cursor: Cursor, limits: Mapping[Scope, Limit]) -> None:
    """Put `limits` in force; see `Storage.set_limits`."""
    rows = {(row[0], row[1]): row for row in cursor.execute(LIMITS).fetchall()}
    same_scopes = True
    for scope, limit in limits.items():
        by, name = scope.by.value, storable(scope.name)
        row = rows.get((by, name))
        same_scopes = same_scopes and bool(limit) == (row is not None)
        if limit:
            cursor.execute(_SET, (by, name, *_row(limit, row)))
        else:
            cursor.execute(_REMOVE, (by, name))
    if not same_scopes:
        cursor.execute(_MARK)


def _row(limit: Limit, before: Row | None) -> Row:
    """Return what is stored of `limit`, in the place of the row `before`."""
    rate, old = limit.rate, NO_LIMIT if before is None else limit_of(before)[1]
    if rate is None:
        return limit.running, limit.running_per_key, None, None, None, None
    turn = before[-1] if before is not None and old.rate == rate else None
    return limit.running, limit.running_per_key, rate.starts, duration(rate.per), rate.burst, turn
