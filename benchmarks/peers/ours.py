"""jobsim, as its users have it."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import jobsim
from peers.base import Put


class _Ours:
    settings: ClassVar[str] = "defaults"
    batches: ClassVar[bool] = True

    def __init__(self, url: str) -> None:
        self._queue = jobsim.Queue(url)
        self._handle: Callable[[int], None] = lambda _: None
        self._job = self._queue.job(name="noop")(self._handler())

    def _handler(self) -> Callable[[int], Any]:
        def noop(number: int) -> None:
            self._handle(number)

        return noop

    def prepare(self) -> None:
        self._queue.storage.close()

    async def connect(self) -> Put:
        self._queue.storage.counts()
        enqueue, enqueue_many = self._job.enqueue, self._job.enqueue_many

        async def put(numbers: Sequence[int]) -> None:
            if len(numbers) == 1:
                enqueue(numbers[0])
            else:
                enqueue_many([{"number": number} for number in numbers])

        return put

    def work(self, slots: int, jobs: int | None, handle: Callable[[int], None]) -> None:
        self._handle = handle
        self._queue.run_worker(concurrency=slots, burst=jobs is not None)


class _Async(_Ours):
    def _handler(self) -> Callable[[int], Any]:
        async def noop(number: int) -> None:
            self._handle(number)

        return noop


class OnSqlite(_Ours):
    """On a file, which it opens with `synchronous=FULL` unless told otherwise; the handler is a `def`."""

    def __init__(self, where: str) -> None:
        super().__init__(f"sqlite:///{where}")


class OnSqliteAsync(_Async):
    """The same, with an `async def`."""

    def __init__(self, where: str) -> None:
        super().__init__(f"sqlite:///{where}")


class OnPostgres(_Ours):
    """On a database; the handler is a `def`."""


class OnPostgresAsync(_Async):
    """The same, with an `async def`."""
