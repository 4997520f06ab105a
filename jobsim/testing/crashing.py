"""Crash injection: a simulated machine that loses power before or after a chosen storage call."""

from collections.abc import Awaitable, Callable, Coroutine
from enum import StrEnum
from typing import Any, NamedTuple, TypeVar, TypeVarTuple

from jobsim.core.time import Duration, Instant
from jobsim.runtime.base import Signal
from jobsim.runtime.sim import SimRuntime

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class When(StrEnum):
    """On which side of the commit the power fails."""

    BEFORE = "before"
    """Nothing of the call has happened."""

    AFTER = "after"
    """All of it is committed, and the caller never hears of it."""


class CrashPoint(NamedTuple):
    """A moment to die at: before or after the machine's storage call number `call`, from 1."""

    call: int
    when: When


class CrashingRuntime:
    """The verbs of `machine`, which dies at `point`: nothing on it runs again, no `finally` either.

    `calls` names the storage calls that were begun. `over` rings when what was started has ended, or died.
    """

    def __init__(self, machine: SimRuntime, point: CrashPoint | None = None) -> None:
        self.calls: list[str] = []
        self.over = machine.signal()
        self._machine = machine
        self._point = point

    def start(self, loop: Coroutine[Any, Any, None]) -> None:
        """Run `loop` on the machine."""
        self._machine.start(self._to_its_end(loop))

    async def _to_its_end(self, loop: Coroutine[Any, Any, None]) -> None:
        await loop
        self.over.ring()

    def now(self) -> Instant:
        """Return the present."""
        return self._machine.now()

    def signal(self) -> Signal:
        """Return a new doorbell."""
        return self._machine.signal()

    def sleep(self, duration: Duration) -> Awaitable[None]:
        """Wait for `duration`."""
        return self._machine.sleep(duration)

    def wait(self, signal: Signal, timeout: Duration | None = None) -> Awaitable[bool]:
        """Wait for a ring of `signal`; `False` when `timeout` came first."""
        return self._machine.wait(signal, timeout)

    def together(self, *loops: Coroutine[Any, Any, None]) -> Awaitable[None]:
        """Run `loops` until all have ended; the first that fails cancels the others and is raised."""
        return self._machine.together(*loops)

    async def call(self, fn: Callable[[*Ts], T], *args: *Ts) -> T:
        """Run `fn(*args)` inline, unless the machine dies before; return its value, unless it dies after."""
        self.calls.append(fn.__name__)
        number = len(self.calls)
        if self._point == (number, When.BEFORE):
            await self._die()
        value = await self._machine.call(fn, *args)
        if self._point == (number, When.AFTER):
            await self._die()
        return value

    async def _die(self) -> None:
        self._machine.kill()
        self.over.ring()
        await self._machine.wait(self._machine.signal())  # for ever: this very coroutine is dead, too
