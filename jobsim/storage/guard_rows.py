"""Rows of a database as the budgets and breakers that they stand for, and as how those stand."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from jobsim.core.guards import Tally, breaker_of, budget_of, kept, tally_of, tally_text, written
from jobsim.core.limits import NO_LIMIT, By, Limit, Scope
from jobsim.storage.rows import Row


def with_guards(limits: Mapping[Scope, Limit], rows: Iterable[Row]) -> dict[Scope, Limit]:
    """Return `limits` with the budgets and breakers that `rows` of the table of guards name."""
    guarded = dict(limits)
    for by, name, budget, breaker, _ in rows:
        scope = Scope(By(by), name)
        limit = guarded.get(scope, NO_LIMIT)
        guarded[scope] = replace(limit, budget=budget_of(budget), breaker=breaker_of(breaker))
    return guarded


def tallies_of(rows: Iterable[Row]) -> dict[Scope, Tally]:
    """Return how those stand of which `rows` of the table of guards tell it."""
    return {Scope(By(by), name): tally_of(tally) for by, name, *_, tally in rows if tally is not None}


def guard_row(limit: Limit, before: Limit | None, tally: Tally | None) -> tuple[str | None, ...]:
    """Return what is stored of a budget and a breaker that come in the place of those of `before`."""
    stays = kept(tally or Tally(), before or NO_LIMIT, limit)
    return written(limit.budget), written(limit.breaker), None if stays == Tally() else tally_text(stays)
