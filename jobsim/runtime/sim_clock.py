"""SimPy's clock, with a kind of process that needs no event to wait.

A SimPy process makes an event for every wait, with a list of callbacks of which one is called. A `Task`
stands in the clock's queue itself and is resumed from there, at a third of the cost. SimPy's own processes,
events and resources run beside tasks, in one order.
"""

import asyncio
from collections.abc import Callable, Coroutine
from heapq import heappop, heappush, heappushpop
from typing import Any, Final, Protocol, cast

import simpy
from simpy.events import NORMAL, URGENT, Event, EventPriority

from jobsim.core.time import Instant

WOKEN: Final = object()
"""What a coroutine yields that will be woken by `Task.wake`."""

_NEVER: Final = -1


class Line(Protocol):
    """What tasks stand in until they are woken."""

    def leave(self, task: "Task") -> None:
        """Let `task` out, which will not be resumed from here."""
        ...


class Task:
    """A coroutine on a clock: it yields how long it sleeps, a SimPy event to wait for, or `WOKEN`.

    `alive` until it has ended, which `ended` is told; then `said` is its value, or `error` what it raised.
    """

    __slots__ = ("_clock", "alive", "coroutine", "ended", "error", "said", "turn", "waits")

    def __init__(
        self, clock: "Clock", coroutine: Coroutine[Any, Any, Any], ended: "Callable[[Task], None]"
    ) -> None:
        self._clock = clock
        self.coroutine = coroutine
        self.ended = ended
        self.alive = True
        self.error: BaseException | None = None
        self.said: Any = None
        self.waits: Event | Line | None = None
        self.turn = clock.enter(self, URGENT)  # its valid entry in the queue; all others are stale

    def wake(self, said: Any) -> None:
        """Resume with `said`, instead of when its time is up."""
        self.said = said
        self.turn = self._clock.enter(self, NORMAL)

    def interrupt(self, error: BaseException | None = None) -> None:
        """Raise `error` where it waits; without one, it is cancelled."""
        if self.alive:
            self.error = error or asyncio.CancelledError()
            self.turn = self._clock.enter(self, URGENT)

    def kill(self) -> None:
        """Never resume it."""
        if self.alive:
            self.alive, self.turn = False, _NEVER
            if self.waits is not None and not isinstance(self.waits, Event):
                self.waits.leave(self)

    def throw(self) -> Any:
        """Raise the error of an interrupt where it waits, and return what it waits for then."""
        error, self.error, self.waits = self.error, None, None
        return self.coroutine.throw(cast("BaseException", error))

    def end(self, raised: BaseException) -> None:
        """Note what its coroutine has `raised`; when it returns, that is `StopIteration`."""
        self.alive, self.turn = False, _NEVER
        if isinstance(raised, StopIteration):
            self.said = raised.value
        else:
            self.error = raised
        self.ended(self)

    @property
    def name(self) -> str:
        """The name of the coroutine's function."""
        name: str = getattr(self.coroutine, "__qualname__", repr(self.coroutine))
        return name

    def wait_for(self, event: object) -> None:
        """Resume with what a SimPy `event` comes to."""
        if not isinstance(event, Event):
            problem = "awaited something other than the verbs of the runtime"
            self.interrupt(TypeError(f"{self.name} {problem}"))
            return
        self.waits = event
        if event.processed:
            self._learn(event)
        else:
            event.callbacks.append(self._learn)

    def _learn(self, event: Event) -> None:
        if self.waits is not event or not self.alive:
            return  # interrupted meanwhile
        self.waits = None
        if event.ok:
            self.wake(event.value)
        else:
            event.defused = True
            self.interrupt(event.value)


class Clock(simpy.Environment):
    """A SimPy environment whose time is whole microseconds and whose queue holds tasks, too."""

    def __init__(self, begins: Instant) -> None:
        super().__init__(begins)
        self.active: Task
        self._tasks: list[tuple[int, int, int, Any]] = self._queue  # type: ignore[assignment]  # and events

    def read(self) -> Instant:
        """Return the present."""
        return self._now  # type: ignore[return-value]  # whole, since all delays are

    def enter(self, task: Task, priority: EventPriority) -> int:
        """Put `task` into the queue, to be resumed now, and return its turn."""
        turn = next(self._eid)
        heappush(self._tasks, (self.read(), priority, turn, task))
        return turn

    def play(self, root: Task) -> None:
        """Let time pass until `root` has ended; what a task raises is given to who is told of its end.

        Raises:
            RuntimeError: nothing is left to happen.
        """
        queue, eid = self._tasks, self._eid
        entry = heappop(queue)
        while root.alive:
            now, _, turn, task = entry
            if task.__class__ is not Task:
                heappush(queue, entry)
                self.step()
            elif task.turn == turn:
                self._now, self.active = now, task
                try:
                    wait = task.coroutine.send(task.said) if task.error is None else task.throw()
                except BaseException as raised:  # noqa: BLE001  # whoever is told of the end raises it
                    task.end(raised)
                else:
                    if isinstance(wait, int) and task.alive:
                        task.turn = turn = next(eid)
                        entry = heappushpop(queue, (now + wait, NORMAL, turn, task))
                        continue
                    if wait is not WOKEN and task.alive:
                        task.wait_for(wait)
            if not queue:
                break
            entry = heappop(queue)
        if root.alive:
            raise RuntimeError(f"{root.name} waits for what nothing will bring about")
