"""A simulated machine as machines are: it may stand still, lose power in a call, and be far from a store."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, TypeVar, TypeVarTuple

from jobsim.core.errors import PowerLost
from jobsim.core.time import Duration, Instant
from jobsim.runtime.base import Signal
from jobsim.runtime.sim import SimRuntime

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

Trip = Callable[[], tuple[Duration, Duration]]
"""Returns how long the next call is on its way until it is made, and its answer on the way back."""

_AT_ONCE: Final = (Duration(0), Duration(0))


class Machine:
    """The verbs of `machine`, which can be paused, and whose calls take the time that `trip` says.

    A process that loses power in a call (`PowerLost`) takes the machine with it. `over` rings when what was
    started by `live` has ended, or the machine has died.
    """

    def __init__(self, machine: SimRuntime, trip: Trip = lambda: _AT_ONCE) -> None:
        self.over: Final = machine.signal()
        self.alive = True
        self._machine = machine
        self._trip = trip
        self._wakes = Instant(0)
        self._owed = 0
        self.now, self.signal, self.start = machine.now, machine.signal, machine.start

    def live(self, process: Coroutine[Any, Any, None]) -> None:
        """Run `process`, whose end is that of the machine."""

        async def life() -> None:
            await process
            self.alive = False
            self.over.ring()

        self._machine.start(life())

    def kill(self) -> None:
        """End all that runs on this machine where it stands, as losing power would."""
        self._machine.kill()
        self.alive = False
        self.over.ring()

    def pause(self, length: Duration) -> None:
        """Stand still for `length` from now: what would go on meanwhile does so afterwards, all at once."""
        self._wakes = max(self._wakes, Instant(self.now() + length))

    def owe(self, length: Duration) -> None:
        """Let the call that is being made take so much longer, until its end is heard of."""
        self._owed += length

    async def sleep(self, duration: Duration) -> None:
        """Wait for `duration`."""
        await self._machine.sleep(duration)
        await self._until(self._wakes)

    async def after(self, duration: Duration, value: T) -> T:
        """Wait for `duration` and return `value`, which is known already."""
        await self.sleep(duration)
        return value

    async def wait(self, signal: Signal, timeout: Duration | None = None) -> bool:  # noqa: ASYNC109
        """Wait for a ring of `signal`; `False` when `timeout` came first."""
        rung = await self._machine.wait(signal, timeout)
        await self._until(self._wakes)
        return rung

    def together(self, *loops: Coroutine[Any, Any, None]) -> Awaitable[None]:
        """Run `loops` until all have ended; the first that fails cancels the others and is raised."""
        return self._machine.together(*loops)

    async def call(self, fn: Callable[[*Ts], T], *args: *Ts) -> T:
        """Run `fn(*args)` inline, whole, when the call arrives; a cancelled caller hears of it afterwards."""
        there, back = self._trip()
        cancelled = await self._through(there)
        value, error = None, None
        try:
            value = fn(*args)
        except PowerLost:
            await self._die()
        except Exception as raised:  # noqa: BLE001  # whatever it is, it belongs to the caller
            error = raised
        owed, self._owed = self._owed, 0
        cancelled |= await self._through(Duration(back + owed))
        cancelled |= await self._through(Duration(max(0, self._wakes - self.now())))
        if cancelled:
            raise asyncio.CancelledError
        if error is not None:
            raise error
        return value  # type: ignore[return-value]  # it is what `fn` returned, as nothing was raised

    async def _through(self, length: Duration) -> bool:
        """Let `length` pass, whatever happens; return whether the caller was cancelled meanwhile."""
        cancelled, until = False, self.now() + length
        while (left := until - self.now()) > 0:
            try:
                await self._machine.sleep(Duration(left))
            except asyncio.CancelledError:
                cancelled = True
        return cancelled

    async def _until(self, moment: Instant) -> None:
        while (left := moment - self.now()) > 0:
            await self._machine.sleep(Duration(left))
            moment = self._wakes

    async def _die(self) -> None:
        self.kill()
        await self._machine.wait(self._machine.signal())  # for ever: this very coroutine is dead, too
