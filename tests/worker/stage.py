"""What the tests of the worker share: a world, a store that keeps notes and fails on demand, and a cast."""

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, NamedTuple, TypeVar, TypeVarTuple

from jobsim.core.backoff import Fixed
from jobsim.core.decide import Settlement
from jobsim.core.errors import StorageError
from jobsim.core.events import Event
from jobsim.core.job import Job, JobId, Lease, NewJob, WorkerId
from jobsim.core.outcome import Error, Failed, Outcome
from jobsim.core.policy import RetryPolicy
from jobsim.core.streams import Streams
from jobsim.core.time import SECOND, Duration, Instant
from jobsim.core.transitions import Kind
from jobsim.runtime.base import Signal
from jobsim.runtime.sim import SimRuntime, World
from jobsim.storage.memory import MemoryStorage
from jobsim.testing.scripted import Act, ScriptedExecutor
from jobsim.worker.pool import Worker
from jobsim.worker.settings import WorkerSettings

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

BEGAN = Instant(1_767_225_600 * SECOND)
POLICY = RetryPolicy(Fixed("10s"), max_attempts=5)
ERROR = Failed(Error("ValueError", "boom"))


class Exchange(NamedTuple):
    """An exchange as the store saw it: when, how many settled and asked for, how many running then."""

    at: float
    settled: int
    limit: int
    busy: int


class Store(MemoryStorage):
    """A store that notes its exchanges, and raises the next of `errors` of a method instead of doing it."""

    def __init__(self, stage: "Stage") -> None:
        super().__init__()
        self.exchanges: list[Exchange] = []
        self.looks: list[tuple[int, int]] = []
        self.errors: dict[str, list[StorageError]] = {}
        self._stage = stage

    def _may_fail(self, method: str) -> None:
        if self.errors.get(method):
            raise self.errors[method].pop(0)

    def exchange(
        self,
        settlements: Sequence[Settlement],
        worker: WorkerId,
        queues: Sequence[str],
        limit: int,
        *rest: Any,
    ) -> tuple[list[bool], list[Lease], Instant | None]:
        self._may_fail("exchange")
        busy = len(self._stage.executor.running)
        self.exchanges.append(Exchange(self._stage.seconds, len(settlements), limit, busy))
        return super().exchange(settlements, worker, queues, limit, *rest)

    def enqueue(self, jobs: Sequence[NewJob], now: Instant) -> list[JobId]:
        self._may_fail("enqueue")
        return super().enqueue(jobs, now)

    def extend(self, leases: Sequence[Lease], until: Instant, now: Instant) -> set[JobId]:
        self._may_fail("extend")
        return super().extend(leases, until, now)

    def expired(self, limit: int, now: Instant, after: int = 0) -> list[Lease]:
        self._may_fail("expired")
        found = super().expired(limit, now, after)
        self.looks.append((limit, len(found)))
        return found


class SlowRuntime:
    """The verbs of a machine, where calls of the functions named in `takes` take that long, then happen."""

    def __init__(self, machine: SimRuntime) -> None:
        self.takes: dict[str, Duration] = {}
        self._machine = machine
        self.now, self.signal, self.sleep = machine.now, machine.signal, machine.sleep

    def wait(self, signal: Signal, timeout: Duration | None = None) -> Awaitable[bool]:
        return self._machine.wait(signal, timeout)

    def together(self, *loops: Coroutine[Any, Any, None]) -> Awaitable[None]:
        return self._machine.together(*loops)

    async def call(self, fn: Callable[[*Ts], T], *args: *Ts) -> T:
        if takes := self.takes.get(fn.__name__):
            await self._machine.sleep(takes)
        return await self._machine.call(fn, *args)


class Executor:
    """Plays the script of `stage`, and notes what runs, when each run began, and what was abandoned."""

    def __init__(self, stage: "Stage") -> None:
        self.running: set[tuple[JobId, int]] = set()
        self.began: list[tuple[int, float]] = []
        self.abandoned: list[tuple[int, int, float]] = []
        self._stage = stage
        self._actor = ScriptedExecutor(stage.here, stage.script)

    async def execute(self, lease: Lease) -> Outcome:
        self.began.append((int(lease.id), self._stage.seconds))
        self.running.add((lease.id, lease.token))
        outcome = await self._actor.execute(lease)
        self.running.remove((lease.id, lease.token))
        return outcome

    def abandon(self, lease: Lease) -> None:
        self.abandoned.append((int(lease.id), lease.token, self._stage.seconds))


class Stage:
    """A world in which `runtime` is the machine of the workers, and `here` that of the director."""

    def __init__(self, script: dict[int, list[Act]] | None = None) -> None:
        self.script = {JobId(id_): acts for id_, acts in (script or {}).items()}
        self.world = World(BEGAN)
        self.here = self.world.machine()
        self.runtime = SlowRuntime(self.world.machine())
        self.bell = self.world.signal()
        self.executor = Executor(self)
        self.store = Store(self)
        self.ended: list[float] = []

    @property
    def seconds(self) -> float:
        """Seconds since the world began."""
        return (self.world.now() - BEGAN) / SECOND

    def enqueue(self, *ids: int, delay_s: float = 0, priority: int = 0, max_attempts: int = 5) -> None:
        """Accept jobs, due after `delay_s`; nobody is told."""
        now = self.world.now()
        due = Instant(now + round(delay_s * SECOND))
        jobs = [NewJob(JobId(i), "work", due, max_attempts=max_attempts, priority=priority) for i in ids]
        self.store.enqueue(jobs, now)

    def worker(self, name: str = "w1", **settings: Any) -> Worker:
        """Return a worker of this stage; its poll is so long that none helps it by chance."""
        values = WorkerSettings(**{"slots": 1, "poll": "1h", **settings})
        return Worker(
            WorkerId(name),
            self.runtime,
            self.store,
            self.executor,
            lambda _: POLICY,
            Streams(1),
            values,
            self.bell,
        )

    def start(self, *workers: Worker) -> None:
        """Start workers, and note when each has ended."""

        async def life(worker: Worker) -> None:
            await worker.run()
            self.ended.append(self.seconds)

        for worker in workers:
            self.here.start(life(worker))

    async def until(self, second: float) -> None:
        """Wait until `second` of this world."""
        await self.here.sleep(Duration(round(second * SECOND) - (self.here.now() - BEGAN)))

    def play(self, *workers: Worker, until: float) -> None:
        """Let `workers` work until `second`."""

        async def direct() -> None:
            self.start(*workers)
            await self.until(until)

        self.world.run(direct())

    def job(self, id_: int) -> Job:
        """Return a job as it stands."""
        job = self.store.get(JobId(id_))
        assert job is not None
        return job

    def events(self, id_: int, *kinds: Kind) -> list[Event]:
        """Return what happened to a job, of the `kinds` given."""
        return [event for event in self.store.events(job=JobId(id_)) if not kinds or event.kind in kinds]

    def times(self, id_: int, *kinds: Kind) -> list[float]:
        """Return when that was, in seconds since the world began."""
        return [(event.at - BEGAN) / SECOND for event in self.events(id_, *kinds)]
