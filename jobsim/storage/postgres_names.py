"""The numbers under which a PostgreSQL store keeps names that many rows share."""

from jobsim.core.decide import Why
from jobsim.core.job import WorkerId
from jobsim.storage.postgres_rows import stored
from jobsim.storage.postgres_session import Statements
from jobsim.storage.rows import Row


class Names:
    """The numbers under which workers and reasons are stored, as far as they have been needed."""

    def __init__(self) -> None:
        self._workers: dict[str, int] = {}
        self._whys: dict[tuple[str, str], int] = {}

    def forget(self) -> None:
        """Forget all: the database may be another one, or not have kept some of them."""
        self._workers.clear()
        self._whys.clear()

    def worker(self, session: Statements, name: WorkerId) -> int:
        """Return the number of a worker."""
        number = self._workers.get(name)
        if number is None:
            number = self._workers[name] = _numbered(session, "name_worker", stored(name))
        return number

    def why(self, session: Statements, why: Why) -> int | None:
        """Return the number of a reason, its error left out; `None` where there is no more to it."""
        outcome, reason, _ = why
        number = self._whys.get((outcome, reason))
        if number is None:
            if not (outcome or reason):
                return None
            number = _numbered(session, "name_why", stored(outcome), stored(reason))
            self._whys[outcome, reason] = number
        return number


def _numbered(session: Statements, statement: str, *name: str) -> int:
    # None where another session has just made it, which this statement could not see: then the next does.
    found: list[Row] = []
    while not found:
        found = session.alone(statement, *name)
    number: int = found[0][0]
    return number
