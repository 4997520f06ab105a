"""litequeue: a library without a worker, so the usual loop around it is here."""

import threading
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, ClassVar

from peers.base import Put


class LiteQueue:
    """One connection a process, behind a lock: with one a thread, they fight for the file."""

    settings: ClassVar[str] = "FULL; threads share a connection; poll 10 ms"
    batches: ClassVar[bool] = True

    def __init__(self, where: str) -> None:
        self._queue: Any = import_module("litequeue").LiteQueue(where, timeout=60)
        self._queue.conn.execute("PRAGMA synchronous = FULL")
        self._lock = threading.Lock()

    def prepare(self) -> None:
        """Nothing is left to do: the table is made when it is opened."""

    async def connect(self) -> Put:
        async def put(numbers: Sequence[int]) -> None:
            if len(numbers) == 1:
                self._queue.put(str(numbers[0]))
                return
            with self._queue.transaction():
                for number in numbers:
                    self._queue.put(str(number))

        return put

    def work(self, slots: int, jobs: int | None, handle: Callable[[int], None]) -> None:
        threads = [
            threading.Thread(target=self._loop, args=(jobs is None, handle), daemon=True)
            for _ in range(slots)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _loop(self, for_ever: bool, handle: Callable[[int], None]) -> None:  # noqa: FBT001
        while True:
            with self._lock:
                message = self._queue.pop()
            if message is not None:
                handle(int(message.data))
                with self._lock:
                    self._queue.done(message.message_id)
            elif for_ever:
                time.sleep(0.01)
            else:
                return
