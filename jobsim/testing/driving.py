"""The engine's own worker, let loose on any store in simulated time: to work for a while, or to the end."""

from typing import Final

from jobsim.core.backoff import Exponential
from jobsim.core.decide import Settlement, decide
from jobsim.core.job import Lease, WorkerId
from jobsim.core.outcome import SUCCEEDED, Error, Failed, Outcome
from jobsim.core.policy import RetryPolicy
from jobsim.core.streams import Purpose, Streams
from jobsim.core.time import SECOND, Duration, Instant
from jobsim.core.transitions import FINAL
from jobsim.runtime.base import Runtime, Signal
from jobsim.runtime.sim import SimRuntime, World
from jobsim.storage.base import Storage
from jobsim.testing.crashing import CrashPoint, mortal
from jobsim.worker.executor import Executor
from jobsim.worker.pool import Worker
from jobsim.worker.settings import WorkerSettings

POLICY: Final = RetryPolicy(
    Exponential(base="1s", cap="8s", jitter="full"), max_age="2m", dead_letter_on="Permanent"
)
QUEUES: Final = ("default", "mail")
STREAMS: Final = Streams(1)
_LOOK: Final = Duration(600 * SECOND)
_PATIENCE: Final = 1_000 * _LOOK


def judge(lease: Lease, outcome: Outcome, now: Instant) -> Settlement:
    """Return what the engine decides about an attempt that ended at `now`."""
    jitter = STREAMS.stream(Purpose.JITTER, lease.id.key, lease.attempt)
    return Settlement(lease, decide(lease, outcome, POLICY, now, jitter))


class EveryOther:
    """An executor whose attempts take a second, and of which every other one fails."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def execute(self, lease: Lease) -> Outcome:
        """Take a second, and end as the numbers of job and attempt say."""
        await self._runtime.sleep(Duration(SECOND))
        return SUCCEEDED if (lease.id.key + lease.attempt) % 2 else Failed(Error("ValueError"))

    def abandon(self, lease: Lease) -> None:
        """Do nothing: the outcome will be refused."""


def burst(storage: Storage, name: WorkerId, began: Instant, crash: CrashPoint) -> Duration:
    """Let a worker do all that is due, unless it dies at `crash` first, and return how long that took."""
    world = World(began)
    machine, faulty, _ = mortal(world, storage, crash)
    settings = WorkerSettings(slots=2, queues=QUEUES, lease="10s", burst=True)
    machine.live(_worker(faulty, name, machine, EveryOther(machine), settings).run())
    world.run(_heard(world.machine(), machine.over))
    return Duration(world.now() - began)


def drain(storage: Storage, name: str, began: Instant) -> None:
    """Let two workers run without faults until every job is final, or for a week."""
    world = World(began)
    settings = WorkerSettings(slots=2, queues=QUEUES, lease="1h", poll="1h")
    for number in range(2):
        machine = world.machine()
        worker = _worker(storage, WorkerId(f"{name}-{number}"), machine, EveryOther(machine), settings)
        machine.start(worker.run())
    world.run(_all_final(storage, world.machine()))


def _worker(
    storage: Storage, name: WorkerId, runtime: Runtime, executor: Executor, settings: WorkerSettings
) -> Worker:
    return Worker(name, runtime, storage, executor, lambda _: POLICY, STREAMS, settings)


async def _heard(machine: SimRuntime, signal: Signal) -> None:
    await machine.wait(signal)


async def _all_final(storage: Storage, machine: SimRuntime) -> None:
    limit = machine.now() + _PATIENCE
    while machine.now() < limit and any(n for state, n in storage.counts().items() if state not in FINAL):
        await machine.sleep(_LOOK)
