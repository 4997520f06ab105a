"""The simulation's executor: how long an attempt takes and what befalls it, from keyed randomness."""

from collections.abc import Iterable

from jobsim.core.job import KEY_MASK, Lease
from jobsim.core.outcome import SUCCEEDED, Failed, Outcome
from jobsim.core.streams import Purpose, Streams
from jobsim.core.time import Duration, Instant
from jobsim.models.failures import Fault
from jobsim.runtime.base import Runtime
from jobsim.sim.scenario import JobClass


class ModelExecutor:
    """Plays attempts of the scenario's kinds on the runtime's time.

    The fate of an attempt depends on its job, its number, and when it starts: on no policy, and on
    nothing that happened to other jobs.
    """

    def __init__(self, runtime: Runtime, kinds: Iterable[JobClass], streams: Streams, began: Instant) -> None:
        self._runtime = runtime
        self._kinds = {job.kind: _Kind(job, streams) for job in kinds}
        self._numbers = streams.numbers(Purpose.SERVICE)
        self._began = began

    async def execute(self, lease: Lease) -> Outcome:
        """Take as long as the model says, and end as it says."""
        kind = self._kinds[lease.kind]
        key, attempt = lease.id & KEY_MASK, lease.attempt
        fault = self._fault(kind, key, attempt) if kind.failures else None
        if fault is not None and fault.takes is not None:
            takes = fault.takes
        else:
            takes = kind.draw(self._numbers(key, attempt))
        await self._runtime.sleep(takes)
        return SUCCEEDED if fault is None else Failed(fault.error)

    def _fault(self, kind: "_Kind", key: int, attempt: int) -> Fault | None:
        """Return the first fault that strikes; each model has a stream of its own."""
        at = Duration(self._runtime.now() - self._began)
        for numbers, verdict in kind.failures:
            fault = verdict(at, numbers(key, attempt))
            if fault is not None:
                return fault
        return None

    def abandon(self, lease: Lease) -> None:
        """Do nothing: what has begun out there goes on, and its outcome is refused."""


class _Kind:
    """What is needed of a kind of job at each attempt."""

    __slots__ = ("draw", "failures")

    def __init__(self, job: JobClass, streams: Streams) -> None:
        self.draw = job.service.draw
        self.failures = [
            (streams.numbers(f"{Purpose.FAILURE}:{index}"), model.verdict)
            for index, model in enumerate(job.failures)
        ]
