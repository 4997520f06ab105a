"""The simulated world: the verbs on SimPy time, in whole microseconds.

An `async def` is a SimPy process as it stands: SimPy asks a generator for `send` and `throw` only, and a
coroutine has both. What it yields at its innermost await is the SimPy event it waits for.
"""

import asyncio
import types
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import suppress
from typing import Any, Final, TypeVar, TypeVarTuple, cast

import simpy
from simpy.events import PENDING, Event, Process, Timeout

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
        self._environment: Final = simpy.Environment(begins)
        self._machines: list[SimRuntime] = []

    def now(self) -> Instant:
        """Return the present."""
        return Instant(self._environment.now)  # type: ignore[arg-type]  # whole, since all delays are

    def machine(self) -> "SimRuntime":
        """Return the runtime of a new machine, which can die without the others."""
        machine = SimRuntime(self._environment)
        self._machines.append(machine)
        return machine

    def signal(self) -> "SimSignal":
        """Return a doorbell that machines may share."""
        return SimSignal(self._environment)

    def run(self, root: Coroutine[Any, Any, T]) -> T:
        """Run `root` to its end, and everything else until then; stale timers do not matter.

        Then all machines are switched off: what still runs is closed where it stands.

        Raises:
            TypeError: something other than a verb was awaited.
            Exception: what `root`, or anything started beside it, raised.
        """
        try:
            return cast("T", self._environment.run(self.machine().start(root)))
        except AttributeError as error:
            _check_awaited(error)
            raise
        finally:
            for machine in self._machines:
                machine.switch_off()


def _check_awaited(error: AttributeError) -> None:
    """Say what was wrong where SimPy cannot, as it looks for the frame that only a generator has."""
    if error.name == "gi_frame" and isinstance(error.obj, types.CoroutineType):
        name = error.obj.__qualname__
        raise TypeError(f"{name} awaited something other than the verbs of the runtime") from None


class _Listener(Event):
    """The wait for one ring, in its place in the line; `False` is its value when its time is up."""

    def __init__(self, signal: "SimSignal", environment: simpy.Environment) -> None:
        super().__init__(environment)
        self._signal = signal

    def time_is_up(self, _: Event) -> None:
        if self._value is PENDING:
            self._signal.leave(self)
            self.succeed(False)

    def abandon(self) -> None:
        """Step out of the line; a ring that was meant for this one goes to the next."""
        if self._value is PENDING:
            self._signal.leave(self)
            self._value = False  # for the timer, should there be one
        elif self._value:
            self._signal.ring()


class SimSignal:
    """A doorbell on SimPy time."""

    __slots__ = ("_alarm", "_environment", "_line", "_remembered")

    def __init__(self, environment: simpy.Environment) -> None:
        self._environment = environment
        self._line: deque[_Listener] = deque()
        self._remembered = False
        self._alarm: Instant | None = None

    def ring(self, count: int = 1) -> None:
        """Wake up to `count` waiters; where nobody waits, let the next `wait` return at once."""
        line = self._line
        if not line:
            self._remembered = True
        while count and line:
            line.popleft().succeed(True)
            count -= 1

    def ring_at(self, at: Instant) -> None:
        """Ring once at `at`, or now if that is past; nothing is added where it will ring earlier anyway."""
        if self._alarm is None or at < self._alarm:
            self._alarm = at
            wait = at - self._environment.now
            Timeout(self._environment, max(wait, 0)).callbacks.append(self._ring_alarm)

    def _ring_alarm(self, _: Event) -> None:
        # An alarm that an earlier one has replaced finds another time here, or none.
        if self._alarm is not None and self._alarm <= self._environment.now:
            self._alarm = None
            self.ring()

    def forget(self) -> None:
        """Forget an unheard ring: what it was for is about to be looked for."""
        self._remembered = False

    @types.coroutine
    def listen(self, timeout: Duration | None) -> Generator[Event, bool, bool]:
        """Wait for a ring; `False` when `timeout` came first."""
        if self._remembered:
            self._remembered = False
            return True
        environment = self._environment
        listener = _Listener(self, environment)
        self._line.append(listener)
        if timeout is not None:
            # One timer with a callback costs a third of SimPy's `listener | timer`.
            Timeout(environment, timeout).callbacks.append(listener.time_is_up)
        try:
            rung: bool = yield listener
        except simpy.Interrupt:
            listener.abandon()
            raise asyncio.CancelledError from None
        return rung

    def leave(self, listener: _Listener) -> None:
        """Take `listener` out of the line."""
        self._line.remove(listener)


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

    def after(self, duration: Duration, value: T) -> Awaitable[T]:
        """Wait for `duration` and return `value`, which is known already."""
        return _until(Timeout(self._environment, duration, value))

    def wait(self, signal: Signal, timeout: Duration | None = None) -> Awaitable[bool]:
        """Wait for a ring of `signal`; `False` when `timeout` came first."""
        if not isinstance(signal, SimSignal):
            raise TypeError(f"{signal!r} is a doorbell of another world, and cannot ring in this one")
        return signal.listen(timeout)

    async def call(self, fn: Callable[[*Ts], T], *args: *Ts) -> T:
        """Run `fn(*args)` inline: at one instant, whole."""
        return fn(*args)

    async def together(self, *loops: Coroutine[Any, Any, None]) -> None:
        """Run `loops` until all have ended; the first that fails cancels the others and is raised."""
        change = self.signal()
        ended: list[Process] = []

        def note(process: Event) -> None:
            process.defused = True  # its error is raised below, as it is; SimPy would raise a copy
            ended.append(cast("Process", process))
            change.ring()

        running = [self._process(loop, note) for loop in loops]
        cancelled: asyncio.CancelledError | None = None
        try:
            while len(ended) < len(running) and all(process.ok for process in ended):
                await self.wait(change)
        except asyncio.CancelledError as error:
            cancelled = error
        while len(ended) < len(running):
            for process in running:
                if process.is_alive:
                    process.interrupt()
            with suppress(asyncio.CancelledError):  # once more: all must have ended before it is raised
                while len(ended) < len(running):
                    await self.wait(change)
        _raise_first(cancelled, ended)

    def start(self, coroutine: Coroutine[Any, Any, Any]) -> Process:
        """Run `coroutine` on this machine; what it raises ends the run of the world."""
        return self._process(coroutine, _fail)

    def _process(self, coroutine: Coroutine[Any, Any, Any], then: Callable[[Event], None]) -> Process:
        # SimPy asks for a generator by its type and makes do with a coroutine.
        process = self._environment.process(coroutine)  # type: ignore[arg-type]
        process.callbacks.append(then)
        self._processes.append(process)
        return process

    def kill(self) -> None:
        """End all that runs on this machine where it stands, as losing power would.

        Nothing of it runs again, no `finally` either: the coroutines stay referenced, unresumed, until
        the world has ended.
        """
        for process in self._processes:
            if process.is_alive:
                target = process.target
                if target.callbacks is not None:
                    target.callbacks.remove(process._resume)  # noqa: SLF001  # SimPy has no other way
                process._ok, process._value = True, None  # noqa: SLF001  # so that it counts as ended
                if isinstance(target, _Listener):
                    target.abandon()

    def switch_off(self) -> None:
        """Kill the machine and close its coroutines: the world has ended, and no time passes any more."""
        self.kill()
        for process in self._processes:
            process._generator.close()  # noqa: SLF001  # SimPy has no other way
        self._processes.clear()


def _fail(process: Event) -> None:
    if not process.ok:
        raise cast("BaseException", process.value)  # itself; SimPy would raise a copy, if it can make one


def _raise_first(cancelled: asyncio.CancelledError | None, ended: list[Process]) -> None:
    if cancelled is not None:
        raise cancelled
    for process in ended:
        if not process.ok:
            raise cast("BaseException", process.value)
