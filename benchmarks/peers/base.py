"""What a queue must do to be measured."""

from collections.abc import Awaitable, Callable, Sequence
from typing import ClassVar, Protocol

Put = Callable[[Sequence[int]], Awaitable[None]]
"""Enqueues a job for each number, in one durable commit where the queue can do that."""


class Peer(Protocol):
    """A queue with one kind of job, which takes a number and hands it to `handle`."""

    settings: ClassVar[str]
    """How it is set up, in words for the table."""

    batches: ClassVar[bool]
    """Whether it can enqueue many jobs in one durable commit."""

    def prepare(self) -> None:
        """Make the file, or the tables."""
        ...

    async def connect(self) -> Put:
        """Return what enqueues, with its connection open."""
        ...

    def work(self, slots: int, jobs: int | None, handle: Callable[[int], None]) -> None:
        """Run a worker with `slots` until `jobs` are done, which is all there are; for ever where `None`."""
        ...
