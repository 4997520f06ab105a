"""A queue in the tests of an application: its real engine on memory, with a clock that the test moves."""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Protocol

from jobsim.core.errors import StorageBroken
from jobsim.core.job import DEFAULT_QUEUE, Job, JobId, NewJob, State, WorkerId
from jobsim.core.limits import Limit
from jobsim.core.policy import RetryPolicy
from jobsim.core.time import DurationLike, Instant, duration, to_datetime
from jobsim.live.executor import Handlers
from jobsim.live.handler import Handler
from jobsim.live.inline import Clocked, InlineExecutor, Peril, Safety
from jobsim.live.limits import declared, put_in_force
from jobsim.live.observed import observed
from jobsim.live.telemetry import LAST_WORDS_S
from jobsim.live.tracing import Tracer, sent
from jobsim.runtime.base import Signal
from jobsim.runtime.machine import Machine
from jobsim.runtime.sim import SimRuntime, World
from jobsim.storage.base import Storage
from jobsim.worker.executor import Executor
from jobsim.worker.pool import Worker
from jobsim.worker.schedule import Schedule, enqueue_tick
from jobsim.worker.settings import WorkerSettings

if TYPE_CHECKING:
    from datetime import datetime

SAFETY: Final = Safety()


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
    ids and delays. `peril` may end workers: others take their place, and get what those held when its `lease`
    has ended. `tracer` is told of jobs of schedules and of attempts.
    """

    def __init__(
        self,
        here: Clocked,
        declared: Declared,
        *,
        inline: bool = False,
        peril: Peril = SAFETY,
        lease: DurationLike = "60s",
        tracer: Tracer | None = None,
    ) -> None:
        self._declared = declared
        self._here = here
        self._inline = inline
        self._peril = peril
        self._lease = duration(lease, "lease")
        self._tracer = tracer
        self._at_work = False
        self._workers = 0

    @property
    def _storage(self) -> Storage:
        return self._here.open()

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
        ends: Counter[str] = Counter()
        before, self._at_work = self._at_work, True
        try:
            while not self._peril.live(self._life, ends):
                pass  # another takes its place
        finally:
            self._at_work = before
        if self._tracer is not None:
            self._here.telemetry.flush(LAST_WORDS_S)
            self._tracer.finish()
        return ends

    def _life(self, ends: Counter[str]) -> bool:
        """Let a worker run what is due, counting how attempts end; return whether it came to its own end."""
        world = World(self._here.time)
        machine = Machine(world.machine())
        worker, ended = self._worker(machine, ends), False

        async def life() -> None:
            nonlocal ended
            with suppress(StorageBroken):  # its process has to end
                await worker.run()
                ended = True

        machine.live(life())
        world.run(_heard(world.machine(), machine.over))
        self._here.move_to(world.now())
        return ended

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
            overdue = due < self._here.time
            self._here.move_to(due)
            if tick:
                self._enqueue_ticks(due)
            ran = self.run_due()
            if not ran and overdue:
                break  # what is overdue cannot start
            ends += ran
        if go_on:
            self._here.move_to(until)
        return ends

    def _next(self, *, tick: bool) -> Instant | None:
        now, queues = self._here.time, self._queues
        times = [self._storage.next_due(queues)]
        times += [Instant(job.lease_until + 1) for job in self._held if job.lease_until is not None]
        if tick:
            times += [schedule.after(now) for schedule in self._declared.schedules.values()]
        return min((time for time in times if time is not None), default=None)

    def _enqueue_ticks(self, tick: Instant) -> None:
        for schedule in self._declared.schedules.values():
            if schedule.after(Instant(tick - 1)) == tick:
                enqueue_tick(self._enqueue, schedule.job(tick), tick)

    def _enqueue(self, jobs: Sequence[NewJob], now: Instant) -> list[JobId]:
        return sent(self._tracer, jobs, lambda jobs: self._storage.enqueue(jobs, now))

    @property
    def _queues(self) -> tuple[str, ...]:
        named = {job.queue for job in self._storage.find()}
        return tuple(sorted({DEFAULT_QUEUE, *named}))

    @property
    def _held(self) -> list[Job]:
        """The jobs of workers that died: nobody else runs one while the test looks."""
        return self._storage.find(states=[State.RUNNING])

    def _worker(self, machine: Machine, ends: Counter[str]) -> Worker:
        written, queues, here = self._declared, self._queues, self._here
        put_in_force(self._storage, declared(written.handlers, written.limits, queues))
        settings = WorkerSettings(slots=1, queues=queues, lease=self._lease, burst=True)
        self._workers += 1
        name = WorkerId(f"rehearsal-{self._workers}")
        executor = InlineExecutor(written.handlers, here, machine, self._peril, ends, self._tracer)
        engine: tuple[Storage, Executor] = self._storage, executor
        if self._tracer is not None:
            engine = observed(*engine, name, here.telemetry, machine.now)
        return Worker(name, machine, *engine, written.policy, here.streams, settings)

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
        found = self.find(kind, **arguments)
        if not found or (count is not None and len(found) != count):
            number = "no" if count is None else f"not {count} but {len(found)}"
            call = f"{name}({', '.join(f'{argument}={value!r}' for argument, value in arguments.items())})"
            there = self.told([job for job in self.jobs if job.kind == name])
            raise AssertionError(f"{number} jobs {call} were enqueued; there are: {there}")
        return found[-1]

    def assert_not_enqueued(self, kind: "Handler[..., Any] | str", /, **arguments: Any) -> None:
        """Return if no job of `kind` with those `arguments` was enqueued.

        Raises:
            AssertionError: one was.
        """
        if found := self.find(kind, **arguments):
            raise AssertionError(f"there are: {self.told(found)}")

    def find(self, kind: "Handler[..., Any] | str", /, **arguments: Any) -> list[Job]:
        """Return the jobs of `kind` with those `arguments`, in the order in which they were enqueued."""
        name = kind if isinstance(kind, str) else kind.kind
        return [
            job for job in self.jobs if job.kind == name and arguments.items() <= self._arguments(job).items()
        ]

    def _arguments(self, job: Job) -> Mapping[str, Any]:
        handler = self._declared.handlers.get(job.kind)
        return {} if handler is None else handler.arguments.complete(job.payload)

    def told(self, jobs: list[Job]) -> str:
        """Return `jobs` in words; without any, what else there is."""
        if not jobs:
            kinds = Counter(job.kind for job in self.jobs)
            return ", ".join(f"{count} of {kind}" for kind, count in kinds.items()) or "no jobs at all"
        return "; ".join(map(_in_words, jobs[:20]))


def _in_words(job: Job) -> str:
    why = "" if job.last_error is None or job.state is State.SUCCEEDED else f": {job.last_error}"
    return f"{job.kind}({job.payload}), {job.state.value}{why}"


async def _heard(machine: SimRuntime, signal: Signal) -> None:
    await machine.wait(signal)
