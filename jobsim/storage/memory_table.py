"""Jobs and their history in memory, in the order of enqueueing."""

from collections.abc import Iterator, Sequence
from typing import Final

from jobsim.core.errors import IdTaken
from jobsim.core.events import Event, EventLog
from jobsim.core.job import JobId, State
from jobsim.storage.memory_rows import Row, Steps


class Table:
    """The rows by their numbers; `log` gets every event there ever was. `accepted` counts all jobs."""

    def __init__(self, log: EventLog) -> None:
        self.log: Final = log
        self.rows: Final[dict[int, Row]] = {}
        self.accepted = 0
        self.steps: Final = Steps()
        self._index: dict[JobId, Row] = {}
        self._indexed = 0
        self._removed: set[int] = set()

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows.values())

    def row(self, id_: JobId) -> Row | None:
        """Return the row of a job, by an index that is made as far as it is needed."""
        index, rows = self._index, self.rows
        for number in range(self._indexed, self.accepted):
            row = rows.get(number)
            if row is not None:
                index[row.id] = row
        self._indexed = self.accepted
        return index.get(id_)

    def check_new(self, ids: Sequence[JobId]) -> None:
        """Refuse ids that are taken.

        Raises:
            IdTaken: one is, or is there twice.
        """
        for id_ in ids:
            if self.row(id_) is not None:
                raise IdTaken(f"job {id_} is there already; nothing of the batch was accepted")
        if len(set(ids)) < len(ids):
            raise IdTaken("two jobs of one batch have the same id; nothing of it was accepted")

    def select(self, states: Sequence[State], kind: str | None, queue: str | None) -> Iterator[Row]:
        """Yield rows; nothing given filters nothing."""
        return (
            row
            for row in self
            if (not states or row.state in states)
            and (kind is None or row.kind == kind)
            and (queue is None or row.queue == queue)
        )

    def remove(self, row: Row) -> None:
        """Let a job that has ended be no more. Its number is not given again."""
        self.forget(row)
        self._removed.add(row.number)
        self.steps.pruned[row.state] += 1

    def forget(self, row: Row) -> None:
        """Keep no more of a job that has ended than its history and that it counts."""
        del self.rows[row.number]
        self._index.pop(row.id, None)

    def events(self, after: int, job: JobId | None) -> Iterator[Event]:
        """Yield the events above `after` of the jobs that are there; of one `job` only, where given."""
        return (event for event in self.log.since(after, self._removed) if job is None or event.job == job)
