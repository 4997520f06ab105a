"""The simulation's executor: how long an attempt takes and what befalls it, from keyed randomness."""

from collections.abc import Awaitable, Callable, Iterable, Mapping

from jobsim.core.job import KEY_MASK, Lease
from jobsim.core.outcome import SUCCEEDED, Outcome
from jobsim.core.streams import Purpose, Streams
from jobsim.core.time import MAX_DURATION, Duration, Instant
from jobsim.models.failures_base import Condition, Failure, Slowing
from jobsim.models.failures_phased import Phased
from jobsim.models.recorded import AsRecorded
from jobsim.runtime.machine import Machine
from jobsim.runtime.sim import SimRuntime
from jobsim.sim.draws import Draw, Draws
from jobsim.sim.scenario import JobClass


class Fate:
    """What befalls the attempts of one kind of job in one run: its conditions, begun."""

    __slots__ = ("draw", "numbers", "slowdowns", "verdicts")

    def __init__(self, job: JobClass, streams: Streams, draws: Draws) -> None:
        conditions = [
            condition(model, streams, f"{job.kind}:{place}") for place, model in enumerate(job.failures)
        ]
        self.numbers = draws.numbers(drawn(job))
        self.draw = job.service.draw
        self.verdicts = [(place, each.verdict) for place, each in enumerate(conditions, 1)]
        self.slowdowns = [each.slowdown for each in conditions if isinstance(each, Slowing)]


def fates(jobs: Iterable[JobClass], streams: Streams, draws: Draws) -> dict[str, Fate]:
    """Return the fate of every kind of job in the run of `streams`."""
    return {job.kind: Fate(job, streams, draws) for job in jobs}


def condition(model: Failure, streams: Streams, owner: str) -> Condition:
    """Return what `model` begins in the run of `streams`, for `owner` alone unless it is named."""
    shared = model.name if isinstance(model, Phased) else None
    course = f"{Purpose.COURSE}:{owner}" if shared is None else f"{Purpose.COURSE}@{shared}"
    return model.begin(streams.numbers_in_order(course))


def drawn(job: JobClass) -> tuple[Draw, ...]:
    """Return what is drawn for an attempt of a kind of job: its service time, and a number each failure."""
    failures = [Draw(f"{Purpose.FAILURE}:{place}", model.of_job) for place, model in enumerate(job.failures)]
    placed = job.kind if isinstance(job.service, AsRecorded) else None
    return (Draw(Purpose.SERVICE, of_job=placed is not None, placed=placed), *failures)


class ModelExecutor:
    """Plays attempts of the scenario's kinds on the runtime's time.

    The fate of an attempt depends on its job, its number, and when it starts: on no policy, and on
    nothing that happened to other jobs. `die` is called where a fault kills the machine it plays on.
    """

    def __init__(
        self,
        runtime: SimRuntime | Machine,
        fates: Mapping[str, Fate],
        began: Instant,
        die: Callable[[], None],
    ) -> None:
        self._runtime = runtime
        self._now, self._after = runtime.now, runtime.after
        self._fates = fates
        self._began = began
        self._die = die

    def execute(self, lease: Lease) -> Awaitable[Outcome]:
        """Take as long as the model says, and end as it says."""
        fate = self._fates[lease.kind]
        numbers = fate.numbers(lease.id & KEY_MASK, lease.attempt)
        fault = takes = None
        for place, verdict in fate.verdicts:  # the first fault that strikes
            # A plain number tells the offset as well as a `Duration`, which costs as much as to ask for it.
            fault = verdict(self._now() - self._began, numbers[place])  # type: ignore[arg-type]
            if fault is not None:
                takes = fault.takes
                break
        if takes is None:
            takes = fate.draw(numbers[0])
            for slowdown in fate.slowdowns:
                slower = takes * slowdown(self._now() - self._began)  # type: ignore[arg-type]  # as above
                takes = Duration(round(min(slower, MAX_DURATION)))
        if fault is None:
            return self._after(takes, SUCCEEDED)
        return self._perish(takes) if fault.kills else self._after(takes, fault.outcome)

    async def _perish(self, takes: Duration) -> Outcome:
        """Let the machine die after `takes`; nothing that runs on it sees the end of this."""
        await self._runtime.sleep(takes)
        self._die()
        while True:
            await self._runtime.wait(self._runtime.signal())

    def abandon(self, lease: Lease) -> None:
        """Do nothing: what has begun out there goes on, and its outcome is refused."""
