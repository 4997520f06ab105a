"""The verbs of a process that is led by hand: whatever it waits for happens when it is told to, not before.

Between two such moments a process does what it can by itself, in one order: its loops run in turn until each
waits for a call of the store, for a moment, for a ring or for the end of an attempt.
"""

import asyncio
import types
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from enum import StrEnum
from typing import Any, Final, NamedTuple, TypeVar, TypeVarTuple

from jobsim.core.job import Lease
from jobsim.core.outcome import Outcome
from jobsim.core.time import Duration, Instant
from jobsim.runtime.base import Signal

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Wants(StrEnum):
    """What a loop waits for, that the world may let happen."""

    CALL = "call"
    """A transaction of the store, and its answer."""

    TIME = "time"
    """The end of a sleep, of a wait or of what a doorbell is set to."""

    END = "end"
    """The end of the attempt that it runs."""


class Call(NamedTuple):
    """A blocking call that a loop waits for."""

    fn: Callable[..., Any]
    args: tuple[Any, ...]


class Pause(NamedTuple):
    """A loop waits until a moment, for a ring of a doorbell, or for whichever comes first."""

    until: Instant | None
    bell: "Bell | None" = None


class Work(NamedTuple):
    """A loop runs the attempt under a lease."""

    lease: Lease


class Task:
    """A loop, and what it waits for; `error` is what it ended with."""

    __slots__ = ("cancelled", "coroutine", "ended", "error", "name", "number", "over", "wants")

    def __init__(self, number: int, coroutine: Coroutine[Any, Any, Any], ended: Callable[[], None]) -> None:
        self.number = number
        self.name: str = getattr(coroutine, "__name__", "")
        self.coroutine = coroutine
        self.ended = ended
        self.over = self.cancelled = False
        self.error: BaseException | None = None
        self.wants: Call | Pause | Work | None = None


class Bell:
    """A doorbell of one process."""

    __slots__ = ("_line", "_remembered", "_verbs", "alarm")

    def __init__(self, verbs: "Verbs") -> None:
        self._verbs = verbs
        self._line: deque[Task] = deque()
        self._remembered = False
        self.alarm: Instant | None = None

    def ring(self, count: int = 1) -> None:
        """Wake up to `count` waiters; where nobody waits, let the next `wait` return at once."""
        if not self._line:
            self._remembered = True
        while count and self._line:
            self._verbs.wake(self._line.popleft(), True)
            count -= 1

    def ring_at(self, at: Instant) -> None:
        """Ring once at `at`, or now if that is past; nothing is added where it will ring earlier anyway."""
        if self.alarm is None or at < self.alarm:
            self.alarm = at
            if at <= self._verbs.now():
                self.ring_alarm()

    def ring_alarm(self) -> None:
        """Ring, as it is time for what it was set to."""
        self.alarm = None
        self.ring()

    def forget(self) -> None:
        """Forget an unheard ring: what it was for is about to be looked for."""
        self._remembered = False

    def heard(self) -> bool:
        """Return whether there was a ring that nobody has heard, and forget it."""
        remembered, self._remembered = self._remembered, False
        return remembered

    def enter(self, task: Task) -> None:
        """Let `task` wait in line."""
        self._line.append(task)

    def leave(self, task: Task) -> None:
        """Let `task` out of the line."""
        self._line.remove(task)


class Verbs:
    """The runtime's verbs for one process; `clock` is what it takes for the present."""

    def __init__(self, clock: Instant) -> None:
        self.clock = clock
        self.tasks: Final[list[Task]] = []
        self.bells: Final[list[Bell]] = []
        self._awake: deque[tuple[Task, Any, BaseException | None]] = deque()

    def now(self) -> Instant:
        """Return the present."""
        return self.clock

    def signal(self) -> Bell:
        """Return a new doorbell."""
        bell = Bell(self)
        self.bells.append(bell)
        return bell

    @types.coroutine
    def sleep(self, duration: Duration) -> Generator[Pause, Any, None]:
        """Wait for `duration`."""
        yield Pause(Instant(self.clock + duration))

    @types.coroutine
    def wait(self, signal: Signal, timeout: Duration | None = None) -> Generator[Pause, bool, bool]:
        """Wait for a ring of `signal`; `False` when `timeout` came first."""
        if not isinstance(signal, Bell):
            raise TypeError(f"{signal!r} is a doorbell of another world, and cannot ring in this one")
        if signal.heard():
            return True
        return (yield Pause(None if timeout is None else Instant(self.clock + timeout), signal))

    @types.coroutine
    def call(self, fn: Callable[[*Ts], T], *args: *Ts) -> Generator[Call, T, T]:
        """Have ``fn(*args)`` run, and return its value."""
        return (yield Call(fn, args))

    @types.coroutine
    def work(self, lease: Lease) -> Generator[Work, Outcome, Outcome]:
        """Run the attempt under `lease`, and return how it ended."""
        return (yield Work(lease))

    async def together(self, *loops: Coroutine[Any, Any, None]) -> None:
        """Run `loops` until all have ended; the first that fails cancels the others and is raised."""
        change, cancelled = self.signal(), None
        tasks = [self.start(loop, change.ring) for loop in loops]
        try:
            while any(not task.over for task in tasks) and all(task.error is None for task in tasks):
                await self.wait(change)
        except asyncio.CancelledError as told:
            cancelled = told
        for task in tasks:
            self._cancel(task)
        while any(not task.over for task in tasks):
            await self.wait(change)
        errors = [task.error for task in tasks if task.error is not None]
        failures = [error for error in errors if not isinstance(error, asyncio.CancelledError)]
        if cancelled is not None:
            raise cancelled
        if errors:
            raise (failures or errors)[0]

    def start(self, coroutine: Coroutine[Any, Any, Any], ended: Callable[[], None]) -> Task:
        """Run `coroutine` beside the others, once they wait; `ended` is called at its end."""
        task = Task(len(self.tasks), coroutine, ended)
        self.tasks.append(task)
        self.wake(task, None)
        return task

    def wake(self, task: Task, value: Any, error: BaseException | None = None) -> None:
        """Let `task` go on, when it is its turn."""
        task.wants = None
        self._awake.append((task, value, error))

    def settle_down(self) -> None:
        """Let all that are awake go on until every one waits."""
        while self._awake:
            self._advance(*self._awake.popleft())

    def _advance(self, task: Task, value: Any, error: BaseException | None) -> None:
        if task.cancelled:
            task.cancelled, error = False, asyncio.CancelledError()
        try:
            task.wants = task.coroutine.send(value) if error is None else task.coroutine.throw(error)
        except StopIteration:
            task.over = True
        except (Exception, asyncio.CancelledError) as problem:  # noqa: BLE001  # it is for whoever started it
            task.over, task.error = True, problem
        if task.over:
            task.ended()
        elif isinstance(task.wants, Pause) and task.wants.bell is not None:
            task.wants.bell.enter(task)

    def _cancel(self, task: Task) -> None:
        """Have `task` cancelled: at once, or, where a call is under way, when that is over."""
        if task.over:
            return
        task.cancelled = True
        if task.wants is not None and not isinstance(task.wants, Call):
            if isinstance(task.wants, Pause) and task.wants.bell is not None:
                task.wants.bell.leave(task)
            self.wake(task, None)
