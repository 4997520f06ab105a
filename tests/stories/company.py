"""Workers of one store in virtual time, each on a machine of its own that can stand still or lose power."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from jobsim.core.backoff import NoBackoff
from jobsim.core.events import Event
from jobsim.core.job import Job, Lease, WorkerId
from jobsim.core.outcome import Outcome
from jobsim.core.policy import RetryPolicy
from jobsim.core.streams import Streams
from jobsim.core.time import SECOND, Duration, Instant
from jobsim.core.transitions import Kind
from jobsim.runtime.machine import Machine
from jobsim.runtime.sim import World
from jobsim.runtime.skew import SkewedRuntime
from jobsim.storage.base import Storage
from jobsim.storage.faulty import FaultyStorage, lose_power
from jobsim.storage.troubles import NO_TROUBLES, Troubles
from jobsim.testing.conformance_base import BEGAN, job_id, new, stored
from jobsim.testing.invariants import verify
from jobsim.testing.scripted import Act, ScriptedExecutor
from jobsim.worker.pool import Worker
from jobsim.worker.settings import WorkerSettings

DEADLY = "deadly"
"""The kind of jobs whose handler takes its machine with it."""


class Employee(NamedTuple):
    """A worker and its machine."""

    worker: Worker
    machine: Machine


class Company:
    """Workers on one store; `script` has the runs of jobs by their numbers, and others take a second."""

    def __init__(
        self,
        storage: Storage,
        script: Mapping[int, Sequence[Act]] | None = None,
        policy: RetryPolicy | None = None,
        began: Instant = BEGAN,
    ) -> None:
        self.storage = storage
        self.world = World(began)
        self.runs: list[tuple[int, str, float]] = []
        self._script = defaultdict(lambda: [Act()], {job_id(n): acts for n, acts in (script or {}).items()})
        self._policy = policy or RetryPolicy(NoBackoff(), max_attempts=5)
        self._began = began

    @property
    def seconds(self) -> float:
        """Seconds since the company began."""
        return (self.world.now() - self._began) / SECOND

    def enqueue(self, *numbers: int, after_s: float = 0, **fields: Any) -> None:
        """Accept jobs, due so long after now; nobody is told."""
        now = self.world.now()
        due = Instant(now + round(after_s * SECOND))
        self.storage.enqueue([new(number, run_at=due, **fields) for number in numbers], now)

    def hire(
        self,
        name: str,
        troubles: Troubles = NO_TROUBLES,
        wrong_s: Callable[[float], float] = lambda _: 0.0,
        **settings: Any,
    ) -> Employee:
        """Start a worker, whom no bell wakes; calls of the store take the time that `troubles` says.

        `wrong_s` tells by how much its clock is wrong, so many seconds after the company began.
        """
        machine = Machine(self.world.machine())

        def now() -> Instant:
            return Instant(machine.now() + round(wrong_s(self.seconds) * SECOND))

        storage = FaultyStorage(self.storage, troubles, sleep=machine.owe)
        values = WorkerSettings(
            **{"slots": 1, "poll": "1s", "lease": "9s", "shutdown_timeout": "0s", **settings}
        )
        executor = _Hands(self, name, machine)
        runtime = SkewedRuntime(machine, now)
        worker = Worker(
            WorkerId(name), runtime, storage, executor, lambda _: self._policy, Streams(1), values
        )
        machine.live(worker.run())
        return Employee(worker, machine)

    def play(self, *acts: tuple[float, Callable[[], object]], until: float) -> None:
        """Let time pass until that second, and do each of `acts` at its own; the history is then sound."""
        here = self.world.machine()

        async def direct() -> None:
            for second, act in (*acts, (until, lambda: None)):
                await here.sleep(Duration(max(0, round((second - self.seconds) * SECOND))))
                act()

        self.world.run(direct())
        verify(self.storage.events(), jobs=self.storage.find())

    def job(self, number: int) -> Job:
        """Return a job as it stands."""
        return stored(self.storage, job_id(number))

    def times(self, number: int, kind: Kind) -> list[float]:
        """Return when something happened to a job, in seconds since the company began."""
        return [(event.at - self._began) / SECOND for event in self.events(number, kind)]

    def events(self, number: int, kind: Kind) -> list[Event]:
        """Return what of a kind happened to a job."""
        return [event for event in self.storage.events(job=job_id(number)) if event.kind is kind]

    def perform(self, name: str, lease: Lease, machine: Machine) -> ScriptedExecutor:
        """Take note of a run, and return who plays it."""
        self.runs.append((lease.id - job_id(0), name, self.seconds))
        return ScriptedExecutor(machine, self._script)


class _Hands:
    """Plays the script of a company, unless the job is deadly."""

    def __init__(self, company: Company, name: str, machine: Machine) -> None:
        self._company = company
        self._name = name
        self._machine = machine

    async def execute(self, lease: Lease) -> Outcome:
        actor = self._company.perform(self._name, lease, self._machine)
        if lease.kind == DEADLY:
            await self._machine.call(lose_power)
        return await actor.execute(lease)

    def abandon(self, lease: Lease) -> None:
        """Do nothing: the run goes on, and its outcome is refused."""
