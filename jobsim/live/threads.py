"""Where handlers run: threads for the sync ones, one more with an event loop for the async ones.

All are daemons, for a handler that hangs must not keep a process alive that was told to end at once.
"""

import asyncio
import logging
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Final

GRACE_S: Final = 2.0
"""How long async handlers may take to clean up after they were cancelled, in seconds."""

_log: Final = logging.getLogger("jobsim.worker")


class HandlerThreads:
    """Threads that are made when they are needed and used again; for one caller's thread only."""

    def __init__(self) -> None:
        self._work: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._idle = 0
        self._made = 0

    def start(self, work: Callable[[], None]) -> None:
        """Run `work`, which must not raise, in a thread that is free or new.

        Raises:
            RuntimeError: the system gives no more threads.
        """
        if self._idle:
            self._idle -= 1
        else:
            name = f"jobsim-handler-{self._made + 1}"
            threading.Thread(target=self._serve, name=name, daemon=True).start()
            self._made += 1
        self._work.put(work)

    def ended(self) -> None:
        """Take note that a piece of work has ended."""
        self._idle += 1

    def _serve(self) -> None:
        while work := self._work.get():
            work()
            del work  # keep nothing alive while idle

    def close(self) -> None:
        """Let idle threads end now, and busy ones after their work."""
        for _ in range(self._made):
            self._work.put(None)


class LoopThread:
    """An event loop in a thread of its own, which survives whatever its tasks raise."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._open = True
        self._thread = threading.Thread(target=self._serve, name="jobsim-async-handlers", daemon=True)
        self._thread.start()

    def do(self, fn: Callable[..., object], *args: Any) -> None:
        """Call `fn(*args)` on the loop, soon; after other calls asked for before."""
        self._loop.call_soon_threadsafe(fn, *args)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        while self._open:
            try:
                self._loop.run_forever()
            except BaseException:  # noqa: BLE001  # asyncio lets a task's SystemExit through
                _log.exception("a task of an async handler tried to end the process")
        self._loop.close()

    def close(self) -> None:
        """Cancel all tasks, wait a moment for them to clean up, and end the thread."""
        self.do(lambda: self._loop.create_task(self._finish()))
        self._thread.join(2 * GRACE_S)
        if self._thread.is_alive():
            _log.error("an async handler blocks its event loop; it is left to itself")

    async def _finish(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=GRACE_S)
        await self._loop.shutdown_asyncgens()
        self._open = False
        self._loop.stop()
