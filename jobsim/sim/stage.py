"""What all who act in one simulated run share: the world, its store, and the numbers it is made of."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property, partial
from typing import Final, NamedTuple

from jobsim.core.policy import RetryPolicy
from jobsim.core.streams import Streams
from jobsim.core.time import SECOND, Instant
from jobsim.models.workers import Crew
from jobsim.runtime.base import Runtime, Signal
from jobsim.runtime.sim import World
from jobsim.sim.calls import Partner, partners
from jobsim.sim.draws import Draws
from jobsim.sim.model_executor import Fate, fates
from jobsim.sim.process import Processes
from jobsim.sim.scenario import Scenario
from jobsim.storage.base import Storage

BEGAN: Final = Instant(1_767_225_600 * SECOND)
"""When every simulated run begins: 2026-01-01, 00:00 UTC. An arbitrary moment, far from the clock's zero."""


class Headcount(NamedTuple):
    """From `at` on there were so many `workers`, with so many `slots` in all."""

    at: Instant
    workers: int
    slots: int


class Stage:
    """One run's scenario and policy, the fates of its jobs, whom they call, its store, and its news."""

    def __init__(self, scenario: Scenario, policy: RetryPolicy, seed: int, storage: Storage) -> None:
        self.scenario: Final = scenario
        self.policy: Final = policy
        self.streams: Final = Streams(seed)
        self.draws: Final = Draws(self.streams)
        self.storage: Final = storage
        self.world: Final = World(BEGAN)
        self.partners: Final[Mapping[str, Partner]] = partners(
            scenario.dependencies, self.streams, self.world.now
        )
        self.fates: Final[Mapping[str, Fate]] = fates(scenario.jobs, self.streams, self.draws, self.partners)
        self.rough: Final = scenario.storage is not None or scenario.workers.rough
        self._queues: Final = tuple(dict.fromkeys(job.queue for job in scenario.jobs))
        served = map(self.served_by, scenario.workers.crews)
        self.news: Final = OwnBells() if self.rough else SharedBells(self.world, served)
        self.headcounts: Final = [Headcount(BEGAN, 0, 0)]

    @cached_property
    def processes(self) -> Processes:
        """Makes the processes where not all is perfect."""
        return Processes(self.world, BEGAN, self.storage, self.scenario.storage, self.streams)

    def served_by(self, crew: Crew) -> tuple[str, ...]:
        """Return the queues whose jobs `crew` claims."""
        return self._queues if crew.queues is None else tuple(dict.fromkeys(crew.queues))

    def count(self, workers: int, slots: int) -> None:
        """Write down that there are so many more `workers`, or fewer, with so many `slots`."""
        now, last = self.world.now(), self.headcounts[-1]
        if last.at == now:
            self.headcounts.pop()
        self.headcounts.append(Headcount(now, last.workers + workers, last.slots + slots))


class SharedBells:
    """News at no cost: one bell for all workers of the same queues, where each ring wakes one who is idle."""

    def __init__(self, world: World, served: Iterable[tuple[str, ...]]) -> None:
        self._bells = {queues: world.signal() for queues in dict.fromkeys(served)}

    def bell(self, runtime: Runtime, queues: tuple[str, ...]) -> Signal:
        """Return the bell of those who serve `queues`."""
        return self._bells[queues]

    def ringer(self, queue: str) -> Callable[[], None]:
        """Return what tells of a job on `queue`."""
        bells = [bell for queues, bell in self._bells.items() if queue in queues]
        return partial(_ring_all, bells) if len(bells) > 1 else bells[0].ring

    def leave(self, bell: Signal) -> None:
        """Do nothing: the bell is there for the others."""


class OwnBells:
    """News as live processes get it: each has a bell of its own, and all are told.

    Who is told first changes, as no process is always the fastest. Of retries each worker knows by its own
    exchanges, as it does live.
    """

    def __init__(self) -> None:
        self._bells: deque[Signal] = deque()

    def bell(self, runtime: Runtime, queues: tuple[str, ...]) -> Signal:
        """Return a new bell, in the time of its worker."""
        bell = runtime.signal()
        self._bells.append(bell)
        return bell

    def ringer(self, queue: str) -> Callable[[], None]:
        """Return what tells all of a job, those who do not serve its queue, too."""
        return self._ring

    def _ring(self) -> None:
        _ring_all(self._bells)
        self._bells.rotate()

    def leave(self, bell: Signal) -> None:
        """Tell one no more, who has died."""
        self._bells.remove(bell)


def _ring_all(bells: Iterable[Signal]) -> None:
    for bell in bells:
        bell.ring()
