"""Budgets and breakers as a PostgreSQL store keeps them, and what they make of settlements."""

from collections.abc import Iterable, Mapping, Sequence

from jobsim.core.decide import Settlement
from jobsim.core.guards import REASONS, Guard, tally_text
from jobsim.core.limits import Limit, Scope
from jobsim.core.time import Instant
from jobsim.core.transitions import Kind
from jobsim.storage.base import possible
from jobsim.storage.guard_rows import guard_row, tallies_of, with_guards
from jobsim.storage.postgres_names import Names
from jobsim.storage.postgres_rows import original, stored
from jobsim.storage.postgres_session import Session
from jobsim.storage.postgres_statements import numbers, texts, uuids
from jobsim.storage.rows import Row


class Guarded(Exception):
    """There are budgets or breakers, which settlements were not told to."""


def plain(rows: Iterable[Row]) -> list[Row]:
    """Return rows of the table of guards with the names that scopes have, not as they are stored."""
    return [(by, original(name), *rest) for by, name, *rest in rows]


def judged(
    session: Session, now: Instant, settlements: Sequence[Settlement], names: Names
) -> Sequence[Settlement]:
    """Return what budgets and breakers make of `settlements`; they and the jobs are locked from then on.

    They are locked before the jobs, so that who settles under them waits for no one who waits for him.
    """
    _name(session, settlements, names)
    queues, kinds = {lease.queue for lease, _ in settlements}, {lease.kind for lease, _ in settlements}
    rows = plain(session.run("lock_guards", texts(map(stored, queues)), texts(map(stored, kinds))).fetchall())
    if not rows:
        return settlements
    guard = Guard(with_guards({}, rows), tallies_of(rows))
    told = _told(session, now, settlements, guard)
    moved = guard.moved
    session.run("tallies", *columns_of(moved), texts(map(tally_text, moved.values())))
    return told


def _name(session: Session, settlements: Sequence[Settlement], names: Names) -> None:
    """See that all that may be written has a number; once the transaction has begun it is too late."""
    for lease, decision in settlements:
        names.worker(session, lease.worker)
        names.why(session, decision.why)
        for reason in REASONS if decision.kind is Kind.RETRY else ():
            names.why(session, decision.why._replace(reason=reason))


def _told(
    session: Session, now: Instant, settlements: Sequence[Settlement], guard: Guard
) -> Sequence[Settlement]:
    """Tell `guard` of those that will not be refused, in their order."""
    leases = [lease for lease, _ in settlements]
    keys, tokens = numbers(lease.key for lease in leases), numbers(lease.token for lease in leases)
    held = session.run("held", keys, uuids(lease.id for lease in leases), tokens).fetchall()
    running = {place - 1: (until, replaced) for place, until, replaced in held}
    told, over = list(settlements), set[int]()
    for place, (lease, decision) in enumerate(settlements):
        if place in running and lease.key not in over:
            until, replaced = running[place]
            if possible(lease, decision, until, now):
                over.add(lease.key)
                # One that is replaced and was to wait is cancelled, whatever could be afforded.
                if not (replaced and decision.due is not None):
                    told[place] = Settlement(lease, guard.settle(lease, decision, now))
    return told


def set_guards(session: Session, limits: Mapping[Scope, Limit]) -> None:
    """Put budgets and breakers in force; those that are the same go on as they stand."""
    rows = plain(session.run("guards").fetchall())
    before, standing = with_guards({}, rows), tallies_of(rows)
    session.run("remove_guards", *columns_of(scope for scope, limit in limits.items() if not limit.guards))
    given = {scope: limit for scope, limit in limits.items() if limit.guards}
    new = [guard_row(limit, before.get(scope), standing.get(scope)) for scope, limit in given.items()]
    session.run(
        "declare_guards", *columns_of(given), *(texts(row[column] for row in new) for column in range(3))
    )


def columns_of(scopes: Iterable[Scope]) -> tuple[str, str]:
    """Return `scopes` as two columns, of what they are by and of their names as they are stored."""
    columns = [(scope.by, stored(scope.name)) for scope in scopes]
    return texts(by for by, _ in columns), texts(name for _, name in columns)
