"""How jobs are removed from a SQLite database for good."""

from collections.abc import Sequence
from typing import Final

import apsw

from jobsim.core.job import State
from jobsim.core.time import Instant
from jobsim.storage.rows import Row, number_of
from jobsim.storage.sqlite_database import Database
from jobsim.storage.sqlite_statements import keys, statement, texts

SPAN: Final = 10_000
"""How many jobs are looked through at a time; other calls of this process go in between."""

_LAST_JOB: Final = statement("last_job")
_ENDED: Final = statement("ended")
_PRUNE_JOB: Final = statement("prune_job")
_PRUNE_MORE: Final = tuple(statement(f"prune_{table}") for table in ("payload", "result", "event"))


def prune(database: Database, states: Sequence[State], before: Instant, limit: int) -> int:
    """Remove jobs; see `Storage.prune`. They are looked for before the transaction that removes them."""
    if not states or limit <= 0:
        return 0
    found = _find(database, states, before, limit)
    return database.write(_remove, database, found, states, before) if found else 0


def _find(database: Database, states: Sequence[State], before: Instant, limit: int) -> list[int]:
    [last] = database.read(_LAST_JOB, (), number_of)
    found: list[int] = []
    for low in range(0, last, SPAN):
        bindings = (low, low + SPAN, before, texts(states), limit - len(found))
        found += database.read(_ENDED, bindings, number_of)
        if len(found) == limit:
            break
    return found


def _remove(database: Database, found: Sequence[int], states: Sequence[State], before: Instant) -> int:
    cursor: apsw.Cursor = database.cursor
    rows: list[Row] = cursor.execute(_PRUNE_JOB, (keys(found), before, texts(states))).fetchall()
    if rows:
        removed = keys(key for (key,) in rows)
        for sql in _PRUNE_MORE:
            cursor.execute(sql, (removed,))
    return len(rows)
