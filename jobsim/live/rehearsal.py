"""A queue in the tests of an application: its real engine on memory, with a clock that the test moves."""

import asyncio
import threading
from collections import Counter
from collections.abc import Awaitable, Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol

from jobsim.core.ids import IdMint
from jobsim.core.job import DEFAULT_QUEUE, Job, Lease, State, WorkerId
from jobsim.core.limits import Limit
from jobsim.core.outcome import Outcome
from jobsim.core.policy import RetryPolicy
from jobsim.core.streams import Streams
from jobsim.core.time import SECOND, DurationLike, Instant, duration, to_datetime
from jobsim.live.context import JobContext
from jobsim.live.executor import Handlers
from jobsim.live.handler import Handler
from jobsim.live.limits import declared, put_in_force
from jobsim.live.outcomes import run_async, run_sync, unknown
from jobsim.live.stores import Presence
from jobsim.runtime.sim import SimRuntime, World
from jobsim.storage.memory import MemoryStorage
from jobsim.worker.pool import Worker
from jobsim.worker.schedule import Schedule, enqueue_tick
from jobsim.worker.settings import WorkerSettings

if TYPE_CHECKING:
    from datetime import datetime

BEGAN: Final = Instant(1_767_225_600 * SECOND)
"""What the clock shows at first: 2026-01-01, 00:00 UTC."""

_STREAMS: Final = Streams(1)


class Clocked(Presence):
    """What a rehearsal has of a queue: a store in memory, and a time that stands still unless it is moved."""

    rehearsed = True

    def __init__(self) -> None:
        super().__init__(MemoryStorage())
        self.mint = IdMint(_STREAMS)
        self.time = BEGAN

    def now(self) -> Instant:
        """Return the time."""
        return self.time


class Declared(Protocol):
    """What a queue says of its jobs."""

    @property
    def handlers(self) -> Handlers:
        """The handlers, by their kinds."""
        ...

    @property
    def schedules(self) -> Mapping[str, Schedule]:
        """The schedules, by their names."""
        ...

    @property
    def limits(self) -> Mapping[str, Limit]:
        """The limits of queues, by their names."""
        ...

    def policy(self, kind: str) -> RetryPolicy:
        """Return the retry policy of `kind`."""
        ...


class Rehearsal:
    """A queue while it is rehearsed: what is enqueued stays in memory, and runs when the test says so.

    The engine is the real one, with retries, limits and dead letters as they are declared. Handlers run in
    the test's own process, one after the other, and no time passes while they do. Equal tests get equal
    ids and delays.
    """

    def __init__(self, here: Clocked, declared: Declared, *, inline: bool) -> None:
        self._declared = declared
        self._here = here
        self._storage = here.open()
        self._inline = inline
        self._at_work = False

    @property
    def now(self) -> "datetime":
        """What the clock shows, in UTC."""
        return to_datetime(self._here.time)

    @property
    def jobs(self) -> list[Job]:
        """All jobs, in the order in which they were enqueued."""
        return self._storage.find()

    @property
    def dead_letters(self) -> list[Job]:
        """The jobs that were given up."""
        return self._storage.find(states=[State.DEAD_LETTER])

    def run_due(self) -> Counter[str]:
        """Run what is due now, and what that enqueues for now; return how attempts ended, by their names."""
        executor = _Inline(self._declared.handlers)
        self._at_work = True
        try:
            world = World(self._here.time)
            world.run(self._worker(world.machine(), executor).run())
        finally:
            self._at_work = False
        return executor.ends

    def drain(self, within: DurationLike = "30d") -> Counter[str]:
        """Run all jobs to their end, the clock moving on to each retry; return how attempts ended.

        Jobs that wait for longer than `within` from now are left, and so are the ticks of schedules.
        """
        return self._run_until(Instant(self._here.time + duration(within, "within")), tick=False, go_on=False)

    def advance(self, by: DurationLike) -> Counter[str]:
        """Move the clock on, running what becomes due, schedules too; return how attempts ended."""
        return self._run_until(Instant(self._here.time + duration(by, "by")), tick=True, go_on=True)

    def _run_until(self, until: Instant, *, tick: bool, go_on: bool) -> Counter[str]:
        ends = self.run_due()
        while (due := self._next(tick=tick)) is not None and due <= until:
            self._here.time = max(due, self._here.time)
            if tick:
                self._enqueue_ticks(due)
            ran = self.run_due()
            if not ran and due < self._here.time:
                break  # what is overdue cannot start
            ends += ran
        if go_on:
            self._here.time = max(until, self._here.time)
        return ends

    def _next(self, *, tick: bool) -> Instant | None:
        now, queues = self._here.time, self._queues
        times = [self._storage.next_due(queues)]
        if tick:
            times += [schedule.after(now) for schedule in self._declared.schedules.values()]
        return min((time for time in times if time is not None), default=None)

    def _enqueue_ticks(self, tick: Instant) -> None:
        for schedule in self._declared.schedules.values():
            if schedule.after(Instant(tick - 1)) == tick:
                enqueue_tick(self._storage, schedule.job(tick), tick)

    @property
    def _queues(self) -> tuple[str, ...]:
        named = {job.queue for job in self._storage.find()}
        return tuple(sorted({DEFAULT_QUEUE, *named}))

    def _worker(self, machine: SimRuntime, executor: "_Inline") -> Worker:
        written, queues = self._declared, self._queues
        put_in_force(self._storage, declared(written.handlers, written.limits, queues))
        settings = WorkerSettings(slots=1, queues=queues, lease="1d", burst=True)
        executor.machine = machine
        return Worker(
            WorkerId("rehearsal"), machine, self._storage, executor, written.policy, _STREAMS, settings
        )

    def ring(self, _: int) -> None:
        """Take note of new jobs: run them at once, where that was asked for."""
        if self._inline and not self._at_work:
            self.run_due()

    def stop(self, *, at_once: bool = False) -> None:
        """Do nothing: nothing runs unless the test waits for it."""

    end = stop

    def assert_enqueued(
        self, kind: "Handler[..., Any] | str", /, *, count: int | None = None, **arguments: Any
    ) -> Job:
        """Return the last job of `kind` with those `arguments`, whatever its state; others may be there, too.

        Raises:
            AssertionError: there is none, or not `count` of them; the message says what there is.
        """
        name = kind if isinstance(kind, str) else kind.kind
        of_kind = [job for job in self.jobs if job.kind == name]
        found = [job for job in of_kind if arguments.items() <= self._arguments(job).items()]
        if not found or (count is not None and len(found) != count):
            number = "no" if count is None else f"not {count} but {len(found)}"
            call = f"{name}({', '.join(f'{argument}={value!r}' for argument, value in arguments.items())})"
            raise AssertionError(f"{number} jobs {call} were enqueued; there are: {self._told(of_kind)}")
        return found[-1]

    def assert_not_enqueued(self, kind: "Handler[..., Any] | str", /, **arguments: Any) -> None:
        """Return if no job of `kind` with those `arguments` was enqueued.

        Raises:
            AssertionError: one was.
        """
        name = kind if isinstance(kind, str) else kind.kind
        found = [j for j in self.jobs if j.kind == name and arguments.items() <= self._arguments(j).items()]
        if found:
            raise AssertionError(f"there are: {self._told(found)}")

    def _arguments(self, job: Job) -> Mapping[str, Any]:
        handler = self._declared.handlers.get(job.kind)
        return {} if handler is None else handler.arguments.complete(job.payload)

    def _told(self, jobs: list[Job]) -> str:
        if not jobs:
            kinds = Counter(job.kind for job in self.jobs)
            return ", ".join(f"{count} of {kind}" for kind, count in kinds.items()) or "no jobs at all"
        return "; ".join(f"{job.kind}({job.payload}), {job.state.value}" for job in jobs[:20])


class _Inline:
    """Runs handlers in the thread of the test; `ends` counts how attempts ended."""

    def __init__(self, handlers: Handlers) -> None:
        self.ends: Counter[str] = Counter()
        self.machine: SimRuntime | None = None
        self._handlers = handlers

    async def execute(self, lease: Lease) -> Outcome:
        """Run the handler of the lease's kind."""
        outcome = self._run(lease)
        self.ends[type(outcome).__name__.lower()] += 1
        return outcome

    def _run(self, lease: Lease) -> Outcome:
        handler = self._handlers.get(lease.kind)
        if handler is None:
            return unknown(lease, self._handlers)
        context = JobContext(lease)
        if handler.is_async:
            return _elsewhere(run_async(handler, context, lease.payload))
        return run_sync(handler, context, lease.payload)

    def abandon(self, lease: Lease) -> None:
        """Do nothing: it has ended already."""


def _elsewhere(running: Awaitable[Outcome]) -> Outcome:
    """Return what is awaited, on a loop of its own: the test may have one that runs."""
    found: list[Outcome] = []

    async def wait() -> None:
        found.append(await running)

    thread = threading.Thread(target=lambda: asyncio.run(wait()))
    thread.start()
    thread.join()
    return found[0]
