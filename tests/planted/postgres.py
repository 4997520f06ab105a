"""Bugs planted in the statements of PostgreSQL: conditions and locks that are dropped."""

from collections.abc import Mapping
from time import perf_counter  # noqa: TID251  # the table says how long it took
from typing import Final

import pytest

from jobsim.storage import postgres_database
from jobsim.storage.postgres_statements import statements
from tests.planted.instruments import Found
from tests.planted.sql import Slip
from tests.storage.meetings import Meetings, pairs
from tests.storage.turns import Turns

_NOBODY: Final = "FOR UPDATE SKIP LOCKED"

CONDITIONS: Final[Mapping[str, Slip]] = {
    "settled under any token": Slip("settle", "token = given.token AND ", ""),
    "extended under any token": Slip("extend", "token = given.token AND ", ""),
}
"""Slips that one who is alone meets."""

LOCKS: Final[Mapping[str, Slip]] = {
    "claim without lock": Slip("claim", _NOBODY, ""),
    "claim that waits": Slip("claim", "SKIP LOCKED", ""),
    "promotion without lock": Slip("promote", _NOBODY, ""),
    "settlement without lock": Slip("settle", "FOR UPDATE", ""),
    "extension without lock": Slip("extend", "FOR UPDATE", ""),
    "cancellation without lock": Slip("standing", "FOR UPDATE", ""),
    "pruned without a look": Slip(
        "prune",
        "AND state = ANY ($2::text[]) AND finished < $3::bigint",
        "AND $2::text[] IS NOT NULL AND $3::bigint > 0",
    ),
    "limit without lock": Slip("lock_limits", "FOR UPDATE", ""),
    "log without lock": Slip(
        "prelude", "pg_advisory_xact_lock_shared($2::int, (last_value & 1073741823)::int)", "last_value"
    ),
    "limits beside writers": Slip("prelude", "pg_advisory_xact_lock($2)", "pg_advisory_xact_lock_shared($2)"),
}
"""Slips that only those meet who are not alone."""

REFUSAL: Final = {"refusal without lock": Slip("settle", "FOR KEY SHARE", "")}
"""What only two calls that meet are known to find."""


def in_postgres(patch: pytest.MonkeyPatch, slip: Slip) -> None:
    """Plant a slip in the statements of all stores on PostgreSQL that are opened from now on."""

    def slipped(schema: str) -> dict[str, bytes]:
        texts = statements(schema)
        return {**texts, slip.statement: slip.of(texts[slip.statement].decode()).encode()}

    patch.setattr(postgres_database, "statements", slipped)


def by_meetings(dsn: str, schema: str) -> Found | None:
    """Let every two calls meet; `examples` are meetings."""
    began = perf_counter()
    with Meetings(dsn, schema) as meetings:
        for tried, (first, second, terms) in enumerate(pairs(), 1):
            if meetings.meet(first, second, terms):
                return Found(tried, perf_counter() - began)
    return None


def by_turns(dsn: str, schema: str, most: int = 200) -> Found | None:
    """Draw schedules of statements by lot; `examples` are schedules."""
    began, turns = perf_counter(), Turns(dsn, schema)
    for seed in range(most):
        if turns.wrong(seed):
            return Found(seed + 1, perf_counter() - began)
    return None
