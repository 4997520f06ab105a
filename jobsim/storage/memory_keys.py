"""Who holds which unique key, in memory."""

from collections.abc import Sequence

from jobsim.core.job import Conflict, JobId, NewJob
from jobsim.storage.base import key_taken
from jobsim.storage.memory_rows import Row


class Keys:
    """The holders of unique keys. One that has ended stays until it is met, so that no settlement pays."""

    def __init__(self) -> None:
        self._last: dict[str, Row] = {}

    def holder(self, key: str | None) -> Row | None:
        """Return the job that holds `key`; no job holds `None`."""
        row = None if key is None else self._last.get(key)
        return row if row is not None and row.finished is None and not row.replaced else None

    def give(self, row: Row) -> None:
        """Let `row` hold its key, if it has one."""
        row.replaced = False
        if row.unique_key is not None:
            self._last[row.unique_key] = row

    def forget(self, row: Row) -> None:
        """Keep no trace of a job that is no more."""
        if row.unique_key is not None and self._last.get(row.unique_key) is row:
            del self._last[row.unique_key]

    def check(self, jobs: Sequence[NewJob]) -> None:
        """Refuse a batch of which a job meets a taken key and would rather raise.

        Raises:
            KeyTaken: there is such a job.
        """
        given: dict[str, JobId] = {}
        for job in jobs:
            key = job.unique_key
            if key is not None:
                row = self.holder(key)
                held = given.get(key, None if row is None else row.id)
                if held is not None and job.conflict is Conflict.RAISE:
                    raise key_taken(key, held)
                if held is None or job.conflict is Conflict.REPLACE:
                    given[key] = job.id
