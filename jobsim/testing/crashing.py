"""Crash injection: a simulated machine that loses power at a chosen storage call, or at any await."""

from collections.abc import Callable, Coroutine, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeVar, TypeVarTuple

from jobsim.core.time import Duration
from jobsim.runtime.base import Signal
from jobsim.runtime.machine import Machine
from jobsim.runtime.sim import SimRuntime, World
from jobsim.storage.base import Storage
from jobsim.storage.faulty import FaultyStorage
from jobsim.storage.troubles import Mishap, Script

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

HANDLER: Final = "dies: handler"

NO_STALLS: Final[Mapping[int, Duration]] = MappingProxyType({})


class When(StrEnum):
    """On which side of the commit the power fails."""

    BEFORE = "before"
    """Nothing of the call has happened."""

    AFTER = "after"
    """All of it is committed, and the caller never hears of it."""


_MISHAPS: Final = {When.BEFORE: Mishap.DIES_BEFORE, When.AFTER: Mishap.DIES_AFTER}


class CrashPoint(NamedTuple):
    """A moment to die at: before or after the machine's storage call number `call`, from 1."""

    call: int
    when: When


class Mortal(NamedTuple):
    """A machine, the store as it sees it, and the names of the calls that it has made."""

    machine: Machine
    storage: FaultyStorage
    calls: list[str]


def mortal(world: World, storage: Storage, point: CrashPoint | None = None) -> Mortal:
    """Return a machine that dies at `point`: nothing on it runs again, no `finally` either."""
    script = Script({point.call: _MISHAPS[point.when]} if point else {})
    return Mortal(Machine(world.machine()), FaultyStorage(storage, script), script.seen)


class Doomed(Machine):
    """A machine that dies or stands still at awaits of what runs on it, numbered from 1 as they come.

    Each await counts twice: as it begins, and as it ends, before what awaited goes on. `seen` names them.
    `note` is told of each that something befalls, and for how long.
    """

    def __init__(
        self,
        machine: SimRuntime,
        dies: int | None = None,
        stalls: Mapping[int, Duration] = NO_STALLS,
        note: Callable[[str, Duration], None] = lambda _, __: None,
    ) -> None:
        super().__init__(machine)
        self.seen: list[str] = []
        self._dies, self._stalls, self._note = dies, stalls, note

    async def sleep(self, duration: Duration) -> None:
        """Wait for `duration`."""
        await self._pass("sleep")
        await super().sleep(duration)
        await self._pass("slept")

    async def wait(self, signal: Signal, timeout: Duration | None = None) -> bool:  # noqa: ASYNC109
        """Wait for a ring of `signal`; `False` when `timeout` came first."""
        await self._pass("wait")
        rung = await super().wait(signal, timeout)
        await self._pass("rung" if rung else "timed out")
        return rung

    async def call(self, fn: Callable[[*Ts], T], *args: *Ts) -> T:
        """Run `fn(*args)`, whole."""
        await self._pass("call")
        value = await super().call(fn, *args)
        await self._pass("returned")
        return value

    async def together(self, *loops: Coroutine[Any, Any, None]) -> None:
        """Run `loops` until all have ended."""
        await super().together(*loops)
        await self._pass("together")

    async def die(self) -> None:
        """End here and now, as a process does whose handler ends it."""
        self._note(HANDLER, Duration(0))
        await self._die()

    async def _pass(self, await_: str) -> None:
        self.seen.append(await_)
        number = len(self.seen)
        if number in self._stalls:
            self._note(f"stalls: {await_}", self._stalls[number])
            self.pause(self._stalls[number])
            await self._until(self._wakes)
        if number == self._dies:
            self._note(f"dies: {await_}", Duration(0))
            await self._die()
