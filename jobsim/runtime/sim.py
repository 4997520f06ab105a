"""The simulated world: the verbs on SimPy time, in whole microseconds.

An `async def` is a SimPy process as it stands: SimPy asks a generator for `send` and `throw` only, and a
coroutine has both. What it yields at its innermost await is the SimPy event it waits for.
"""

import asyncio
import types
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator
from functools import partial
from typing import Any, Final, TypeVar, TypeVarTuple

import simpy
from simpy.events import Event, Process, Timeout

from jobsim.core.time import Duration, Instant
from jobsim.runtime.base import Signal

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


@types.coroutine
def _until(event: Event) -> Generator[Event, Any, Any]:
    """Wait for `event`; an interrupt becomes the cancellation that it is in the live world."""
    try:
        return (yield event)
    except simpy.Interrupt:
        # It is an Exception in SimPy, which a worker's `except Exception` would swallow.
        raise asyncio.CancelledError from None


class World:
    """One simulated stretch of time, shared by the machines in it."""

    def __init__(self, begins: Instant) -> None:
        self.environment: Final = simpy.Environment(begins)

    def now(self) -> Instant:
        """Return the present."""
        return Instant(self.environment.now)  # type: ignore[arg-type]  # whole, since all delays are

    def machine(self) -> "SimRuntime":
        """Return the runtime of a new machine, which can die without the others."""
        return SimRuntime(self.environment)

    def signal(self) -> "SimSignal":
        """Return a doorbell that machines may share."""
        return SimSignal(self.environment)

    def run(self, root: Coroutine[Any, Any, T]) -> T:
        """Run `root` to its end, and everything else until then; stale timers do not matter.

        Raises:
            Exception: what `root` raised.
        """
        loop = Loop(self.machine(), root, lambda _: None)
        self.environment.run(loop.process)
        value: T = loop.value()
        return value


class Loop:
    """A coroutine run as a process; its value or error is kept here, since SimPy would copy the error."""

    __slots__ = ("_error", "_value", "process")

    def __init__(
        self, runtime: "SimRuntime", coroutine: Coroutine[Any, Any, Any], then: Callable[["Loop"], None]
    ) -> None:
        self._value: Any = None
        self._error: BaseException | None = None
        self.process: Process = runtime.start(self._guarded(coroutine, then))

    async def _guarded(
        self, coroutine: Coroutine[Any, Any, Any], then: Callable[["Loop"], None]
    ) -> None:
        try:
            self._value = await coroutine
        except GeneratorExit:
            raise
        except BaseException as error:  # whatever it is, it is raised again where the loop's end is awaited
            self._error = error
        then(self)

    @property
    def failed(self) -> bool:
        """Whether it ended in an error."""
        return self._error is not None

    def value(self) -> Any:
        """Return the coroutine's value, or raise its error."""
        if self._error is not None:
            raise self._error
        return self._value

    async def end(self) -> None:
        """Raise `CancelledError` where it waits, if it still does, and wait for its end."""
        if self.process.is_alive:
            self.process.interrupt()
            await _until(self.process)


class SimSignal:
    """A doorbell on SimPy time."""

    __slots__ = ("_environment", "_remembered", "_waiters")

    def __init__(self, environment: simpy.Environment) -> None:
        self._environment = environment
        self._waiters: deque[Event] = deque()
        self._remembered = False

    def ring(self, count: int = 1) -> None:
        """Wake up to `count` waiters; where nobody waits, let the next `wait` return at once."""
        waiters = self._waiters
        heard = False
        while count and waiters:
            event = waiters.popleft()
            # Without callbacks its machine is dead; triggered, its time was up.
            if event.callbacks and not event.triggered:
                event.succeed(True)
                heard = True
                count -= 1
        if not heard:
            self._remembered = True

    def waiter(self) -> Event:
        """Return the event of the next ring, which a remembered one has triggered already."""
        event = Event(self._environment)
        if self._remembered:
            self._remembered = False
            return event.succeed(True)
        self._waiters.append(event)
        return event


def _time_is_up(waiter: Event, _: Event) -> None:
    if waiter.callbacks and not waiter.triggered:
        waiter.succeed(False)


class SimRuntime:
    """The verbs for one machine, which `kill` can end without the others."""

    def __init__(self, environment: simpy.Environment) -> None:
        self._environment = environment
        self._processes: list[Process] = []

    def now(self) -> Instant:
        """Return the present."""
        # The attribute behind the property: it is asked for several times a job.
        return self._environment._now  # type: ignore[return-value]  # noqa: SLF001  # whole, as all delays

    def signal(self) -> SimSignal:
        """Return a new doorbell."""
        return SimSignal(self._environment)

    def sleep(self, duration: Duration) -> Awaitable[None]:
        """Wait for `duration`."""
        return _until(Timeout(self._environment, duration))

    def wait(self, signal: Signal, timeout: Duration | None = None) -> Awaitable[bool]:
        """Wait for a ring of `signal`; `False` when `timeout` came first."""
        assert isinstance(signal, SimSignal)  # a doorbell of the other world cannot ring in this one
        waiter = signal.waiter()
        if timeout is not None and not waiter.triggered:
            # One timer with a callback costs a third of SimPy's `waiter | timer`.
            Timeout(self._environment, timeout).callbacks.append(partial(_time_is_up, waiter))
        return _until(waiter)

    async def call(self, fn: Callable[[*Ts], T], *args: *Ts) -> T:
        """Run `fn(*args)` inline: at one instant, whole."""
        return fn(*args)

    async def together(self, *loops: Coroutine[Any, Any, None]) -> None:
        """Run `loops` until all have ended; the first that fails cancels the others and is raised."""
        enough = self._environment.event()
        ended: list[Loop] = []

        def note(loop: Loop) -> None:
            ended.append(loop)
            if (loop.failed or len(ended) == len(loops)) and not enough.triggered:
                enough.succeed()

        running = [Loop(self, loop, note) for loop in loops]
        try:
            if running:
                await _until(enough)
        except asyncio.CancelledError:
            for loop in running:
                await loop.end()
            raise
        for loop in running:
            await loop.end()
        for loop in ended:
            loop.value()

    def start(self, coroutine: Coroutine[Any, Any, Any]) -> Process:
        """Run `coroutine` on this machine."""
        # SimPy asks for a generator by its type and makes do with a coroutine.
        process = self._environment.process(coroutine)  # type: ignore[arg-type]
        self._processes.append(process)
        return process

    def kill(self) -> None:
        """End all that runs on this machine where it stands, as losing power would.

        Nothing of it runs again, no `finally` either: the coroutines stay referenced, unresumed.
        """
        for process in self._processes:
            if process.is_alive:
                waited_for = process.target.callbacks
                if waited_for is not None:
                    waited_for.remove(process._resume)  # noqa: SLF001  # SimPy has no other way
                process._ok, process._value = True, None  # noqa: SLF001  # so that it counts as ended
