"""Limits as a PostgreSQL store keeps them, and when those whom they hold back may start."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from jobsim.core.guards import circuits_of
from jobsim.core.limits import By, Gate, Limit, Rate, Scope
from jobsim.core.time import Duration, Instant, duration
from jobsim.storage.guard_rows import tallies_of, with_guards
from jobsim.storage.postgres_guards import columns_of, plain
from jobsim.storage.postgres_rows import lane_of, original, stored
from jobsim.storage.postgres_session import Session
from jobsim.storage.postgres_statements import numbers, texts
from jobsim.storage.rows import Row

_AHEAD: Final = 100
"""How many jobs of a queue whose time is to come are looked at for one that is not held back."""


def limit_of(row: Row) -> tuple[Scope, Limit]:
    """Return a row of the table of limits as a limit and its scope."""
    by, name, running, running_per_key, starts, per, burst, _ = row
    rate = None if starts is None else Rate(starts, Duration(per), burst)
    return Scope(By(by), original(name)), Limit(running=running, running_per_key=running_per_key, rate=rate)


def in_force(glance: Callable[..., list[Row]]) -> dict[Scope, Limit]:
    """Return the limits in force; `glance` returns the rows of statements."""
    return with_guards(dict(map(limit_of, glance("limits"))), plain(glance("guards")))


def gate_of(limits: Iterable[Row], running: Iterable[Row], guards: Sequence[Row]) -> Gate:
    """Return the gate under limits, by how many attempts of each lane run; names are as they are stored."""
    in_force, turns = dict[Scope, Limit](), dict[Scope, Instant]()
    for row in limits:
        by, name, *_, turn = row
        scope = Scope(By(by), name)
        in_force[scope] = limit_of(row)[1]
        if turn is not None:
            turns[scope] = turn
    counts = {lane_of(queue, lane): number for queue, lane, number in running}
    return Gate(with_guards(in_force, guards), counts, turns, circuits_of(tallies_of(guards)))


def next_due(run: Callable[..., list[Row]], queues: Iterable[str]) -> Instant | None:
    """Return when the next waiting job of `queues` can start; `run` returns the rows of statements."""
    names = texts(map(stored, queues))
    rows = run("next_due", names, 1)
    if not any(lane for _, lane, _, _ in rows):
        return min((due for _, _, due, _ in rows), default=None)
    return _earliest(run("next_due", names, _AHEAD), gate_of(run("limits"), run("running"), run("guards")))


def _earliest(rows: Iterable[Row], gate: Gate) -> Instant | None:
    dues, closed = list[Instant](), defaultdict[str, list[Instant]](list)
    for queue, lane, due, ready in rows:
        opens = gate.opens(lane_of(queue, lane)) if lane else due
        if opens is not None:
            dues.append(max(due, opens))
        elif not ready:
            closed[queue].append(due)
    # Behind so many that are held back there may be others: who looks again by then misses none of them.
    dues += [max(later) for later in closed.values() if len(later) == _AHEAD]
    return min(dues, default=None)


def set_limits(session: Session, limits: Mapping[Scope, Limit]) -> None:
    """Put limits in force, while nobody else writes, and all jobs that are not final into their lanes."""
    session.exclusive = True
    had = {scope for scope, _ in map(limit_of, session.run("limits").fetchall())}
    removed = [scope for scope, limit in limits.items() if not limit.holds]
    session.run("remove_limits", *columns_of(removed))
    _declare(session, {scope: limit for scope, limit in limits.items() if limit.holds})
    if had != (had | limits.keys()) - set(removed):
        session.run("relane")


def _declare(session: Session, limits: Mapping[Scope, Limit]) -> None:
    rates = [
        (None, None, None) if rate is None else (rate.starts, duration(rate.per), rate.burst)
        for rate in (limit.rate for limit in limits.values())
    ]
    session.run(
        "declare_limits",
        *columns_of(limits),
        numbers(limit.running for limit in limits.values()),
        numbers(limit.running_per_key for limit in limits.values()),
        *(numbers(rate[column] for rate in rates) for column in range(3)),
    )
