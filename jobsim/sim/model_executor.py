"""The simulation's executor: how long an attempt takes and what befalls it, from keyed randomness."""

from collections.abc import Awaitable, Iterable

from jobsim.core.job import KEY_MASK, Lease
from jobsim.core.outcome import SUCCEEDED, Outcome
from jobsim.core.streams import Purpose
from jobsim.core.time import Instant
from jobsim.runtime.sim import SimRuntime
from jobsim.sim.draws import Draws
from jobsim.sim.scenario import JobClass


class ModelExecutor:
    """Plays attempts of the scenario's kinds on the runtime's time.

    The fate of an attempt depends on its job, its number, and when it starts: on no policy, and on
    nothing that happened to other jobs.
    """

    def __init__(self, runtime: SimRuntime, kinds: Iterable[JobClass], draws: Draws, began: Instant) -> None:
        self._now, self._after = runtime.now, runtime.after
        self._kinds = {job.kind: _Kind(job, draws) for job in kinds}
        self._began = began

    def execute(self, lease: Lease) -> Awaitable[Outcome]:
        """Take as long as the model says, and end as it says."""
        kind = self._kinds[lease.kind]
        numbers = kind.numbers(lease.id & KEY_MASK, lease.attempt)
        fault = takes = None
        for place, verdict in kind.verdicts:  # the first fault that strikes
            # A plain number tells the offset as well as a `Duration`, which costs as much as to ask for it.
            fault = verdict(self._now() - self._began, numbers[place])  # type: ignore[arg-type]
            if fault is not None:
                takes = fault.takes
                break
        if takes is None:
            takes = kind.draw(numbers[0])
        return self._after(takes, SUCCEEDED if fault is None else fault.outcome)

    def abandon(self, lease: Lease) -> None:
        """Do nothing: what has begun out there goes on, and its outcome is refused."""


class _Kind:
    """What is needed of a kind of job at each attempt."""

    __slots__ = ("draw", "numbers", "verdicts")

    def __init__(self, job: JobClass, draws: Draws) -> None:
        self.numbers = draws.numbers(purposes(job))
        self.draw = job.service.draw
        self.verdicts = [(place, model.verdict) for place, model in enumerate(job.failures, 1)]


def purposes(job: JobClass) -> tuple[str, ...]:
    """Return what numbers are drawn for at each attempt of a kind of job: its service time, each failure."""
    return (Purpose.SERVICE, *(f"{Purpose.FAILURE}:{index}" for index in range(len(job.failures))))
