"""The numbers that stand in the SQLite store for the names of workers and for reasons."""

from typing import Final

from jobsim.core.decide import Why
from jobsim.core.job import WorkerId
from jobsim.storage.rows import Row
from jobsim.storage.sqlite_statements import Cursor, statement

_WORKER: Final = statement("worker")
_NEW_WORKER: Final = statement("insert_worker")
_WHY: Final = statement("why")
_NEW_WHY: Final = statement("insert_why")


class Names:
    """The numbers under which workers and reasons are stored, as far as they have been needed."""

    def __init__(self) -> None:
        self._workers: dict[str, int] = {}
        self._whys: dict[tuple[str, str], int] = {}

    def forget(self) -> None:
        """Forget all, as the transaction which made some of them came to nothing."""
        self._workers.clear()
        self._whys.clear()

    def worker(self, cursor: Cursor, name: WorkerId) -> int:
        """Return the number of a worker."""
        number = self._workers.get(name)
        if number is None:
            number = self._workers[name] = _numbered(cursor, _WORKER, _NEW_WORKER, (name,))
        return number

    def why(self, cursor: Cursor, why: Why) -> int | None:
        """Return the number of a reason, its error left out; `None` where there is no more to it."""
        outcome, reason, _ = why
        number = self._whys.get((outcome, reason))
        if number is None:
            if not (outcome or reason):
                return None
            number = self._whys[outcome, reason] = _numbered(cursor, _WHY, _NEW_WHY, (outcome, reason))
        return number


def _numbered(cursor: Cursor, find: str, make: str, name: tuple[str, ...]) -> int:
    found: list[Row] = cursor.execute(find, name).fetchall() or cursor.execute(make, name).fetchall()
    number: int = found[0][0]
    return number
