"""Handlers in a rehearsal: they run in the thread of the test, at one instant, in whatever peril."""

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, Final, Protocol

from jobsim.core.ids import IdMint
from jobsim.core.job import Lease
from jobsim.core.outcome import Outcome
from jobsim.core.streams import Streams
from jobsim.core.time import SECOND, Duration, Instant
from jobsim.live.context import JobContext
from jobsim.live.executor import Handlers
from jobsim.live.handler import Handler
from jobsim.live.outcomes import run_async, run_sync, unknown
from jobsim.live.stores import Address, Presence
from jobsim.live.tracing import Tracer, traced, traced_async
from jobsim.runtime.machine import Machine
from jobsim.storage.base import Storage
from jobsim.storage.memory import MemoryStorage

BEGAN: Final = Instant(1_767_225_600 * SECOND)
"""What the clock shows at first: 2026-01-01, 00:00 UTC."""

STREAMS: Final = Streams(1)

Life = Callable[[Counter[str]], bool]
"""The life of a worker: it counts how attempts end, and returns whether the worker came to its own end."""


class Clocked(Presence):
    """What a rehearsal has of a queue: a store, in memory unless told, and a time that the test moves."""

    rehearsed = True

    def __init__(self, where: Address | Storage | None = None, streams: Streams = STREAMS) -> None:
        super().__init__(MemoryStorage() if where is None else where)
        self.streams: Final = streams
        self.mint = IdMint(streams)
        self.time = BEGAN

    def now(self) -> Instant:
        """Return the time."""
        return self.time

    def move_to(self, time: Instant) -> None:
        """Let it be `time`, unless it is later already."""
        self.time = max(self.time, time)


class Peril(Protocol):
    """What may befall the workers of a rehearsal, and the handlers that they run."""

    def live(self, life: Life, ends: Counter[str]) -> bool:
        """Let a worker live its `life`; return whether it came to its own end."""
        ...

    def handling(self, handler: Handler[..., Any]) -> AbstractContextManager[None]:
        """Watch over a handler, which runs within; `PowerLost` is raised where that ends its worker."""
        ...


class Safety:
    """Nothing befalls anybody."""

    def live(self, life: Life, ends: Counter[str]) -> bool:
        """Let a worker live its `life`."""
        return life(ends)

    def handling(self, _: Handler[..., Any]) -> AbstractContextManager[None]:
        """Let a handler run."""
        return nullcontext()


class InlineExecutor:
    """Runs handlers in the thread of the test; `ends` counts how attempts ended, `tracer` is told of them."""

    def __init__(
        self,
        handlers: Handlers,
        here: Clocked,
        machine: Machine,
        peril: Peril,
        ends: Counter[str],
        tracer: Tracer | None = None,
    ) -> None:
        self._handlers = handlers
        self._here = here
        self._machine = machine
        self._peril = peril
        self._ends = ends
        self._tracer = tracer

    async def execute(self, lease: Lease) -> Outcome:
        """Run the handler of the lease's kind; a machine that loses power meanwhile dies of it."""
        outcome = await self._machine.call(self._run, lease)
        self._ends[type(outcome).__name__.lower()] += 1
        return outcome

    def _run(self, lease: Lease) -> Outcome:
        handler = self._handlers.get(lease.kind)
        if handler is None:
            return unknown(lease, self._handlers)
        here, machine = self._here, self._machine
        here.move_to(machine.now())
        try:
            if not handler.is_async:
                return traced(self._tracer, lease, partial(self._watched, handler))
            run = partial(self._watched_async, handler, lease)
            return _elsewhere(run() if self._tracer is None else traced_async(self._tracer, lease, run))
        finally:
            machine.pause(Duration(here.time - machine.now()))

    def _watched(self, handler: Handler[..., Any], lease: Lease) -> Outcome:
        with self._peril.handling(handler):
            return run_sync(handler, JobContext(lease), lease.payload)

    async def _watched_async(self, handler: Handler[..., Any], lease: Lease) -> Outcome:
        with self._peril.handling(handler):
            return await run_async(handler, JobContext(lease), lease.payload)

    def abandon(self, lease: Lease) -> None:
        """Do nothing: it has ended already."""


def _elsewhere(running: Coroutine[Any, Any, Outcome]) -> Outcome:
    """Return what `running` returns, on a loop of its own: the test may have one that runs."""
    found: list[Outcome] = []
    raised: list[BaseException] = []

    def run() -> None:
        try:
            found.append(asyncio.run(running))
        except BaseException as error:  # noqa: BLE001  # it belongs to the thread that waits
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if raised:
        raise raised[0]
    return found[0]
