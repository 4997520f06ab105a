"""The simulated world: the verbs on SimPy time, in whole microseconds.

An `async def` runs on the clock as it stands: what it yields at its innermost await is what it waits for.
"""

import asyncio
import types
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import suppress
from typing import Any, Final, TypeVar, TypeVarTuple, cast

import simpy
from simpy.events import Event, Timeout

from jobsim.core.time import Duration, Instant
from jobsim.runtime.base import Signal
from jobsim.runtime.sim_clock import WOKEN, Clock, Task

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class World:
    """One simulated stretch of time, shared by the machines in it."""

    def __init__(self, begins: Instant) -> None:
        self._clock: Final = Clock(begins)
        self._machines: list[SimRuntime] = []

    @property
    def environment(self) -> simpy.Environment:
        """SimPy's view of this world, for processes and resources of one's own; times are microseconds."""
        return self._clock

    def now(self) -> Instant:
        """Return the present."""
        return self._clock.read()

    def machine(self) -> "SimRuntime":
        """Return the runtime of a new machine, which can die without the others."""
        machine = SimRuntime(self._clock)
        self._machines.append(machine)
        return machine

    def signal(self) -> "SimSignal":
        """Return a doorbell that machines may share."""
        return SimSignal(self._clock)

    def run(self, root: Coroutine[Any, Any, T]) -> T:
        """Run `root` to its end, and everything else until then; stale timers do not matter.

        Then all machines are switched off: what still runs is closed where it stands.

        Raises:
            TypeError: something other than a verb was awaited.
            Exception: what `root`, or anything started beside it, raised.
        """
        try:
            task = self.machine().start(root)
            self._clock.play(task)
            return cast("T", task.said)
        finally:
            for machine in self._machines:
                machine.switch_off()


class SimSignal:
    """A doorbell on simulated time."""

    __slots__ = ("_alarm", "_clock", "_line", "_remembered")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._line: deque[Task] = deque()
        self._remembered = False
        self._alarm: Instant | None = None

    def ring(self, count: int = 1) -> None:
        """Wake up to `count` waiters; where nobody waits, let the next `wait` return at once."""
        line = self._line
        if not line:
            self._remembered = True
        while count and line:
            line.popleft().wake(True)
            count -= 1

    def ring_at(self, at: Instant) -> None:
        """Ring once at `at`, or now if that is past; nothing is added where it will ring earlier anyway."""
        if self._alarm is None or at < self._alarm:
            self._alarm = at
            wait = at - self._clock.read()
            Timeout(self._clock, max(wait, 0)).callbacks.append(self._ring_alarm)

    def _ring_alarm(self, _: Event) -> None:
        # An alarm that an earlier one has replaced finds another time here, or none.
        if self._alarm is not None and self._alarm <= self._clock.read():
            self._alarm = None
            self.ring()

    def forget(self) -> None:
        """Forget an unheard ring: what it was for is about to be looked for."""
        self._remembered = False

    @types.coroutine
    def listen(self, timeout: Duration | None) -> Generator[object, bool, bool]:
        """Wait for a ring; `False` when `timeout` came first."""
        if self._remembered:
            self._remembered = False
            return True
        task = self._clock.active
        self._line.append(task)
        task.said, task.waits = False, self
        try:
            rung = yield WOKEN if timeout is None else timeout
        except asyncio.CancelledError:
            self.leave(task)
            raise
        task.waits = None
        if not rung:
            self._line.remove(task)
        return rung

    def leave(self, task: Task) -> None:
        """Let `task` out of the line; a ring that was meant for it goes to the next."""
        if task.said:
            self.ring()
        else:
            self._line.remove(task)


class SimRuntime:
    """The verbs for one machine, which `kill` can end without the others."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.now = clock.read  # not a method that calls it: it is asked for several times a job
        self._tasks: list[Task] = []

    def signal(self) -> SimSignal:
        """Return a new doorbell."""
        return SimSignal(self._clock)

    @types.coroutine
    def sleep(self, duration: Duration) -> Generator[Duration, Any, None]:
        """Wait for `duration`."""
        yield duration

    @types.coroutine
    def after(self, duration: Duration, value: T) -> Generator[Duration, Any, T]:
        """Wait for `duration` and return `value`, which is known already."""
        yield duration
        return value

    @types.coroutine
    def until(self, event: Event) -> Generator[Event, Any, Any]:
        """Wait for an event of `World.environment`, and return its value or raise its error."""
        return (yield event)

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
        ended: list[Task] = []

        def note(task: Task) -> None:
            ended.append(task)
            change.ring()

        running = [self._run(loop, note) for loop in loops]
        cancelled: asyncio.CancelledError | None = None
        try:
            while len(ended) < len(running) and all(task.error is None for task in ended):
                await self.wait(change)
        except asyncio.CancelledError as error:
            cancelled = error
        while len(ended) < len(running):
            for task in running:
                task.interrupt()
            with suppress(asyncio.CancelledError):  # once more: all must have ended before it is raised
                while len(ended) < len(running):
                    await self.wait(change)
        _raise_first(cancelled, ended)

    def start(self, coroutine: Coroutine[Any, Any, Any]) -> Task:
        """Run `coroutine` on this machine; what it raises ends the run of the world."""
        return self._run(coroutine, _fail)

    def _run(self, coroutine: Coroutine[Any, Any, Any], ended: Callable[[Task], None]) -> Task:
        task = Task(self._clock, coroutine, ended)
        self._tasks.append(task)
        return task

    def kill(self) -> None:
        """End all that runs on this machine where it stands, as losing power would.

        Nothing of it runs again, no `finally` either: the coroutines stay referenced, unresumed, until
        the world has ended.
        """
        for task in self._tasks:
            task.kill()

    def switch_off(self) -> None:
        """Kill the machine and close its coroutines: the world has ended, and no time passes any more."""
        self.kill()
        for task in self._tasks:
            task.coroutine.close()
        self._tasks.clear()


def _fail(task: Task) -> None:
    if task.error is not None:
        raise task.error


def _raise_first(cancelled: asyncio.CancelledError | None, ended: list[Task]) -> None:
    if cancelled is not None:
        raise cancelled
    for task in ended:
        if task.error is not None:
            raise task.error
