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

_HIGHEST: Final = 2**63 - 1

_PAGE: Final = statement("page_of_jobs")
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
    found: list[int] = []
    low, page = 0, [0]
    while page and len(found) < limit:
        # By rows, not by keys, of which few are left where many jobs were removed.
        page = database.read(_PAGE, (low, SPAN), number_of)
        high = page[0] if page else _HIGHEST
        found += database.read(_ENDED, (low, high, before, texts(states), limit - len(found)), number_of)
        low = high
    return found


def _remove(database: Database, found: Sequence[int], states: Sequence[State], before: Instant) -> int:
    cursor: apsw.Cursor = database.cursor
    rows: list[Row] = cursor.execute(_PRUNE_JOB, (keys(found), before, texts(states))).fetchall()
    if rows:
        removed = keys(key for (key,) in rows)
        for sql in _PRUNE_MORE:
            cursor.execute(sql, (removed,))
    return len(rows)
