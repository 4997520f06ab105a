"""The verbs a loop may await, and nothing else: what makes one worker run in both worlds."""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol, TypeVar, TypeVarTuple

from jobsim.core.time import Duration, Instant

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Signal(Protocol):
    """A doorbell: `ring` wakes waiters in the order they came; one unheard ring is remembered.

    A ring that meets a waiter who is cancelled, or whose machine dies, goes to the next.
    """

    def ring(self, count: int = 1) -> None:
        """Wake up to `count` waiters; where nobody waits, let the next `wait` return at once."""
        ...

    def ring_at(self, at: Instant) -> None:
        """Ring once at `at`, or now if that is past; nothing is added where it will ring earlier anyway."""
        ...

    def forget(self) -> None:
        """Forget an unheard ring: what it was for is about to be looked for."""
        ...


class Runtime(Protocol):
    """Time, waiting and blocking calls. A cancelled wait raises `asyncio.CancelledError` in both worlds."""

    def now(self) -> Instant:
        """Return the present."""
        ...

    def signal(self) -> Signal:
        """Return a new doorbell."""
        ...

    def sleep(self, duration: Duration) -> Awaitable[None]:
        """Wait for `duration`."""
        ...

    def wait(self, signal: Signal, timeout: Duration | None = None) -> Awaitable[bool]:
        """Wait for a ring of `signal`; `False` when `timeout` came first (`None`: wait for ever)."""
        ...

    def call(self, fn: Callable[[*Ts], T], *args: *Ts) -> Awaitable[T]:
        """Run blocking `fn(*args)` and return its value; once begun it is never left half done."""
        ...

    def together(self, *loops: Coroutine[Any, Any, None]) -> Awaitable[None]:
        """Run `loops` until all have ended; the first that fails cancels the others and is raised."""
        ...
