"""The verbs of a simulated machine whose clock is not the world's."""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, TypeVar, TypeVarTuple

from jobsim.core.time import Duration, Instant
from jobsim.runtime.base import Signal
from jobsim.runtime.machine import Machine

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class SkewedRuntime:
    """The verbs of `machine` by a clock that shows what `now` tells and goes `pace` times as fast as time."""

    def __init__(self, machine: Machine, now: Callable[[], Instant], pace: float = 1.0) -> None:
        self.now: Final = now
        self._machine = machine
        self._pace = pace
        self.call = machine.call

    def signal(self) -> "SkewedSignal":
        """Return a new doorbell."""
        return SkewedSignal(self._machine.signal(), self)

    def sleep(self, duration: Duration) -> Awaitable[None]:
        """Wait for `duration`."""
        return self._machine.sleep(self._true(duration))

    def wait(self, signal: Signal, timeout: Duration | None = None) -> Awaitable[bool]:
        """Wait for a ring of `signal`; `False` when `timeout` came first."""
        if not isinstance(signal, SkewedSignal):
            raise TypeError(f"{signal!r} is a doorbell of another clock, and would ring at another time")
        return self._machine.wait(signal.within, None if timeout is None else self._true(timeout))

    def together(self, *loops: Coroutine[Any, Any, None]) -> Awaitable[None]:
        """Run `loops` until all have ended; the first that fails cancels the others and is raised."""
        return self._machine.together(*loops)

    def true_instant(self, at: Instant) -> Instant:
        """Return when it will be `at` by this clock, if that goes on as it goes now; no earlier than now."""
        return Instant(self._machine.now() + self._true(Duration(max(0, at - self.now()))))

    def _true(self, duration: Duration) -> Duration:
        return Duration(round(duration / self._pace))


class SkewedSignal:
    """A doorbell that rings by the clock of `runtime`."""

    def __init__(self, within: Signal, runtime: SkewedRuntime) -> None:
        self.within: Final = within
        self._runtime = runtime
        self.ring, self.forget = within.ring, within.forget

    def ring_at(self, at: Instant) -> None:
        """Ring once at `at`, or now if that is past; nothing is added where it will ring earlier anyway."""
        self.within.ring_at(self._runtime.true_instant(at))
