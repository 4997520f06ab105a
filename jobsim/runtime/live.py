"""The live world: the verbs on asyncio and the system's clock, with one thread for blocking calls."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, Final, TypeVar, TypeVarTuple

from jobsim.core.time import SECOND, Duration, Instant
from jobsim.runtime.base import Signal

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


def now() -> Instant:
    """Return the present, by the system's clock."""
    return Instant(time.time_ns() // 1_000)  # this is the one place that reads it


def elapsed() -> Instant:
    """Return how long it is since some moment in the past, by a clock that nobody sets."""
    return Instant(time.monotonic_ns() // 1_000)  # as above


GLANCE_S: Final = 0.25
"""How long a main thread waits in one go. Python lets it hear of a signal between two steps alone: one that
comes just before the wait begins, or strikes another thread, does not end it."""


def pause(duration: Duration) -> None:
    """Do nothing for `duration`, where no loop runs: in a command that looks again and again."""
    time.sleep(duration / SECOND)


class LiveRuntime:
    """The verbs on the event loop that runs when this is made, in that loop's thread.

    `clock` tells the time, for all workers of a deployment the same. All blocking calls go through one
    thread, which begins with the first and ends at `close`.
    """

    def __init__(self, clock: Callable[[], Instant] = now) -> None:
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._calls: _CallThread | None = None

    def now(self) -> Instant:
        """Return the present."""
        return self._clock()

    def signal(self) -> "LiveSignal":
        """Return a new doorbell, which may be rung from any thread."""
        return LiveSignal(self._loop, self._clock)

    def sleep(self, duration: Duration) -> Awaitable[None]:
        """Wait for `duration`."""
        return asyncio.sleep(duration / SECOND)  # this is the one place that sleeps

    async def wait(self, signal: Signal, timeout: Duration | None = None) -> bool:  # noqa: ASYNC109
        """Wait for a ring of `signal`; `False` when `timeout` came first."""
        if not isinstance(signal, LiveSignal):
            raise TypeError(f"{signal!r} is a doorbell of another world, and cannot ring in this one")
        return signal.heard() or await signal.listen(timeout)

    def call(self, fn: Callable[[*Ts], T], *args: *Ts) -> Awaitable[T]:
        """Run `fn(*args)` in the thread for blocking calls; a cancelled caller hears of it afterwards."""
        if self._calls is None:
            self._calls = _CallThread(self._loop)
        return self._calls.make(fn, args)

    async def together(self, *loops: Coroutine[Any, Any, None]) -> None:
        """Run `loops` until all have ended; the first that fails cancels the others and is raised."""
        enough = self._loop.create_future()
        ended: list[asyncio.Task[None]] = []

        def note(task: asyncio.Task[None]) -> None:
            ended.append(task)
            failed = task.cancelled() or task.exception() is not None
            if (failed or len(ended) == len(loops)) and not enough.done():
                enough.set_result(None)

        tasks = [self._loop.create_task(loop) for loop in loops]
        for task in tasks:
            task.add_done_callback(note)
        try:
            if tasks:
                await enough
        finally:
            await _end(tasks)
        for task in ended:
            task.result()

    def close(self) -> None:
        """End the thread for blocking calls, after those that were begun."""
        if self._calls is not None:
            self._calls.close()
            self._calls = None


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    """Cancel `tasks` and wait until all have ended, however often the waiting itself is cancelled."""
    while running := [task for task in tasks if not task.done()]:
        for task in running:
            task.cancel()
        with suppress(asyncio.CancelledError):  # its cause is raised by the caller, once all have ended
            await asyncio.wait(running)


class LiveSignal:
    """A doorbell on an event loop; only `ring` may be used from other threads."""

    __slots__ = ("_alarm", "_clock", "_home", "_loop", "_remembered", "_timer", "_waiters")

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Callable[[], Instant]) -> None:
        self._clock = clock
        self._alarm: Instant | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._loop = loop
        self._home = threading.get_ident()
        self._waiters: deque[asyncio.Future[bool]] = deque()
        self._remembered = False

    def ring(self, count: int = 1) -> None:
        """Wake up to `count` waiters; where nobody waits, let the next `wait` return at once."""
        if threading.get_ident() == self._home:
            self._ring(count)
        elif not self._remembered:
            # A ring that is still remembered stands for this one, too: whoever hears it comes later.
            with suppress(RuntimeError):  # the loop is closed: nobody is left to hear
                self._loop.call_soon_threadsafe(self._ring, count)

    def _ring(self, count: int) -> None:
        waiters = self._waiters
        heard = False
        while count and waiters:
            waiter = waiters.popleft()
            if not waiter.done():
                waiter.set_result(True)
                heard = True
                count -= 1
        if not heard:
            self._remembered = True

    def ring_at(self, at: Instant) -> None:
        """Ring once at `at`, or now if that is past; nothing is added where it will ring earlier anyway."""
        if self._alarm is None or at < self._alarm:
            if self._timer is not None:
                self._timer.cancel()
            self._alarm = at
            self._timer = self._loop.call_later(max(at - self._clock(), 0) / SECOND, self._ring_alarm)

    def _ring_alarm(self) -> None:
        self._alarm = self._timer = None
        self._ring(1)

    def forget(self) -> None:
        """Forget an unheard ring: what it was for is about to be looked for."""
        self._remembered = False

    def heard(self) -> bool:
        """Return whether a ring was remembered, and forget it."""
        remembered, self._remembered = self._remembered, False
        return remembered

    async def listen(self, timeout: Duration | None) -> bool:  # noqa: ASYNC109
        """Wait for a ring to come."""
        waiter: asyncio.Future[bool] = self._loop.create_future()
        self._waiters.append(waiter)
        timer = None
        if timeout is not None:
            timer = self._loop.call_later(timeout / SECOND, _time_is_up, waiter)
        try:
            rung = await waiter
        except asyncio.CancelledError:
            if not waiter.cancelled() and waiter.result():
                self._ring(1)  # it was meant for somebody who hears it
            self._forget(waiter)
            raise
        finally:
            if timer is not None:
                timer.cancel()
        if not rung:
            self._forget(waiter)
        return rung

    def _forget(self, waiter: asyncio.Future[bool]) -> None:
        with suppress(ValueError):
            self._waiters.remove(waiter)


def _time_is_up(waiter: asyncio.Future[bool]) -> None:
    if not waiter.done():
        waiter.set_result(False)


class _Ending(asyncio.Future[Any]):
    """The end of a call in a thread.

    Nothing can cancel it. Asyncio then raises `CancelledError` in a cancelled caller as soon as the call
    has ended, which is what is wanted: no commit lands behind the caller's back.
    """

    def cancel(self, msg: Any | None = None) -> bool:
        return False


_Call = tuple[_Ending, Callable[..., Any], tuple[Any, ...]]


class _CallThread:
    """One thread that makes calls one after the other."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name="jobsim-calls", daemon=True)
        self._thread.start()

    def make(self, fn: Callable[..., Any], args: tuple[Any, ...]) -> _Ending:
        """Return the end of ``fn(*args)``, which other calls may precede."""
        ending = _Ending(loop=self._loop)
        self._calls.put((ending, fn, args))
        return ending

    def _serve(self) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits for the end of a call any more
            while call := self._calls.get():
                ending, fn, args = call
                self._loop.call_soon_threadsafe(_tell, ending, *_made(fn, args))
                del call, ending, fn, args  # keep nothing alive while idle

    def close(self) -> None:
        """End the thread once all calls made have ended."""
        self._calls.put(None)
        self._thread.join()


def _made(fn: Callable[..., Any], args: tuple[Any, ...]) -> tuple[Any, BaseException | None]:
    """Make the call; return its value and its error."""
    try:
        return fn(*args), None
    except StopIteration as error:  # no future takes it
        return None, RuntimeError(f"the call raised StopIteration({error.value!r})")
    except BaseException as error:  # noqa: BLE001  # whatever it is, it belongs to the caller
        return None, error


def _tell(ending: _Ending, value: Any, error: BaseException | None) -> None:
    if error is None:
        ending.set_result(value)
    else:
        ending.set_exception(error)
