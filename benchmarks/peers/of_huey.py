"""Huey on SQLite. A job is deleted when it is taken: a crash loses it."""

import threading
from collections.abc import Callable, Sequence
from importlib import import_module
from itertools import count
from typing import Any, ClassVar

from peers.base import Put


class Huey:
    """`SqliteHuey` with its default durability, and thread workers, as its guide has it for SQLite.

    Its consumer polls, by default after 0.1 s to 10 s; here every 10 ms, without backoff.
    """

    settings: ClassVar[str] = "fsync as by default (FULL); threads; poll 10 ms, no backoff"
    batches: ClassVar[bool] = False

    def __init__(self, where: str) -> None:
        self._where = where
        self._handle: Callable[[int], None] = lambda _: None
        self._huey, self._noop = self._open()

    def _open(self, **settings: Any) -> tuple[Any, Any]:
        huey = import_module("huey").SqliteHuey("bench", filename=self._where, **settings)

        def noop(number: int) -> None:
            self._handle(number)

        return huey, huey.task()(noop)

    def prepare(self) -> None:
        """Nothing is left to do: the tables are made when it is opened."""

    async def connect(self) -> Put:
        # It has no batches. Where many jobs are wanted they are to fill the file, which is not timed.
        _, quickly = self._open(fsync=False)

        async def put(numbers: Sequence[int]) -> None:
            task = self._noop if len(numbers) == 1 else quickly
            for number in numbers:
                task(number)

        return put

    def work(self, slots: int, jobs: int | None, handle: Callable[[int], None]) -> None:
        done, ended = count(1), threading.Event()

        def handled(number: int) -> None:
            handle(number)
            if next(done) == jobs:
                ended.set()

        self._handle = handled
        poll = {"initial_delay": 0.01, "max_delay": 0.01, "backoff": 1.0}
        self._huey.create_consumer(workers=slots, periodic=False, **poll).start()
        ended.wait()
