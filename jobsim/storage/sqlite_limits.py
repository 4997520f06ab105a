"""The limits in force, as a SQLite database keeps them. All happens within a transaction of the caller's."""

from collections.abc import Mapping
from typing import Final

from jobsim.core.guards import Guard, Tally, circuits_of, tally_text
from jobsim.core.limits import NO_LIMIT, By, Gate, Lane, Limit, Rate, Scope
from jobsim.core.time import Duration, duration
from jobsim.storage.guard_rows import guard_row, tallies_of, with_guards
from jobsim.storage.rows import Row, storable
from jobsim.storage.sqlite_statements import Cursor, statement

_LIMITS: Final = statement("limits")
_GUARDS: Final = statement("guards")
_SET_GUARD: Final = statement("set_guard")
_REMOVE_GUARD: Final = statement("remove_guard")
_MOVE_TALLY: Final = statement("move_tally")
_LIMITED: Final = statement("limited")
_RUNNING: Final = statement("running")
_SET: Final = statement("set_limit")
_REMOVE: Final = statement("remove_limit")
_MARK: Final = statement("mark_limited")
_MOVE_TURN: Final = statement("move_turn")


def _limit_of(row: Row) -> tuple[Scope, Limit]:
    by, name, running, running_per_key, starts, per, burst, _ = row
    rate = None if starts is None else Rate(starts, Duration(per), burst)
    return Scope(By(by), name), Limit(running=running, running_per_key=running_per_key, rate=rate)


def in_force(cursor: Cursor) -> dict[Scope, Limit]:
    """Return the limits in force."""
    limits = dict(map(_limit_of, cursor.execute(_LIMITS).fetchall()))
    return with_guards(limits, cursor.execute(_GUARDS).fetchall())


def tallies(cursor: Cursor) -> dict[Scope, Tally]:
    """Return how budgets and breakers stand."""
    return tallies_of(cursor.execute(_GUARDS).fetchall())


def guard(cursor: Cursor) -> Guard:
    """Return what settlements are to be told to."""
    rows: list[Row] = cursor.execute(_GUARDS).fetchall()
    return Guard(with_guards({}, rows), tallies_of(rows))


def move_tallies(cursor: Cursor, told: Guard) -> None:
    """Keep what has changed of how budgets and breakers stand."""
    for (by, name), tally in told.moved.items():
        cursor.execute(_MOVE_TALLY, (tally_text(tally), by, name))


def limited(cursor: Cursor) -> tuple[set[str], set[str]]:
    """Return the queues for which there is a limit, and the kinds."""
    scopes: list[Row] = cursor.execute(_LIMITED).fetchall()
    queues = {name for by, name in scopes if by == By.QUEUE}
    return queues, {name for by, name in scopes if by == By.KIND}


def gate(cursor: Cursor) -> tuple[Gate, int]:
    """Return who may start just now, and in how many lanes attempts run."""
    rows: list[Row] = cursor.execute(_LIMITS).fetchall()
    limits = dict(map(_limit_of, rows))
    turns = {scope: row[-1] for scope, row in zip(limits, rows, strict=True) if row[-1] is not None}
    running = {Lane(*lane): number for *lane, number in cursor.execute(_RUNNING).fetchall()}
    guards: list[Row] = cursor.execute(_GUARDS).fetchall()
    limits = with_guards(limits, guards)
    return Gate(limits, running, turns, circuits_of(tallies_of(guards))), len(running)


def move_turns(cursor: Cursor, passed: Gate) -> None:
    """Keep the turns that `passed` has moved."""
    for (by, name), turn in passed.moved.items():
        cursor.execute(_MOVE_TURN, (turn, by, name))


def set_limits(cursor: Cursor, limits: Mapping[Scope, Limit]) -> None:
    """Put `limits` in force; see `Storage.set_limits`."""
    stored = {Scope(scope.by, storable(scope.name)): limit for scope, limit in limits.items()}
    _set_guards(cursor, stored)
    rows = {(row[0], row[1]): row for row in cursor.execute(_LIMITS).fetchall()}
    same_scopes = True
    for (by, name), limit in stored.items():
        row = rows.get((by, name))
        same_scopes = same_scopes and limit.holds == (row is not None)
        if limit.holds:
            cursor.execute(_SET, (by, name, *_row(limit, row)))
        else:
            cursor.execute(_REMOVE, (by, name))
    if not same_scopes:
        cursor.execute(_MARK)


def _set_guards(cursor: Cursor, limits: Mapping[Scope, Limit]) -> None:
    """Put budgets and breakers in force; those that are the same go on as they stand."""
    rows: list[Row] = cursor.execute(_GUARDS).fetchall()
    before, standing = with_guards({}, rows), tallies_of(rows)
    for scope, limit in limits.items():
        if limit.guards:
            cursor.execute(_SET_GUARD, (*scope, *guard_row(limit, before.get(scope), standing.get(scope))))
        else:
            cursor.execute(_REMOVE_GUARD, scope)


def _row(limit: Limit, before: Row | None) -> Row:
    """Return what is stored of `limit`, in the place of the row `before`."""
    rate, old = limit.rate, NO_LIMIT if before is None else _limit_of(before)[1]
    if rate is None:
        return limit.running, limit.running_per_key, None, None, None, None
    turn = before[-1] if before is not None and old.rate == rate else None
    return limit.running, limit.running_per_key, rate.starts, duration(rate.per), rate.burst, turn
