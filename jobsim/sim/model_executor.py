"""The simulation's executor: how long an attempt takes and what befalls it, from keyed randomness."""

from collections.abc import Awaitable, Callable, Iterable, Mapping

from jobsim.core.job import KEY_MASK, Lease
from jobsim.core.outcome import SUCCEEDED, Outcome
from jobsim.core.streams import Purpose, Streams
from jobsim.core.time import MAX_DURATION, Duration, Instant
from jobsim.models.failures_base import Slowing
from jobsim.models.recorded import AsRecorded
from jobsim.runtime.machine import Machine
from jobsim.runtime.sim import SimRuntime
from jobsim.sim.calls import Partner
from jobsim.sim.conditions import begun, drawn
from jobsim.sim.draws import Draw, Draws
from jobsim.sim.scenario import JobClass


class Fate:
    """What befalls the attempts of one kind of job in one run: its conditions, begun.

    `drawn` is what is drawn for an attempt: its service time, a number for each failure, and from `called` on
    what its `partner` asks for, the dependency that it calls.
    """

    __slots__ = ("_before", "called", "draw", "drawn", "numbers", "partner", "slowdowns", "verdicts")

    def __init__(self, job: JobClass, streams: Streams, draws: Draws, partner: Partner | None) -> None:
        conditions = begun(job.failures, streams, job.kind)
        strikes = drawn(job.failures, Purpose.FAILURE)
        self.drawn = (_service(job), *strikes, *(partner.drawn if partner else ()))
        self.numbers = draws.numbers(self.drawn)
        self.draw = job.service.draw
        self.verdicts = [(place, each.verdict) for place, each in enumerate(conditions, 1)]
        self.slowdowns = [each.slowdown for each in conditions if isinstance(each, Slowing)]
        self.partner = partner
        self.called = 1 + len(conditions)
        self._before = 1.0 if job.before_call is None else job.before_call

    def parts(self, takes: Duration) -> tuple[int, int]:
        """Return how much of its own time an attempt spends before and after the call."""
        before = round(takes * self._before)
        return before, takes - before


def _service(job: JobClass) -> Draw:
    """Return the draw of the service time, which is the job's own, by its place, where it was recorded."""
    placed = job.kind if isinstance(job.service, AsRecorded) else None
    return Draw(Purpose.SERVICE, of_job=placed is not None, placed=placed)


def fates(
    jobs: Iterable[JobClass], streams: Streams, draws: Draws, partners: Mapping[str, Partner]
) -> dict[str, Fate]:
    """Return the fate of every kind of job in the run of `streams`, where `partners` are to be called."""
    return {
        job.kind: Fate(job, streams, draws, None if job.dependency is None else partners[job.dependency])
        for job in jobs
    }


class ModelExecutor:
    """Plays attempts of the scenario's kinds on the runtime's time.

    The fate of an attempt depends on its job, its number, and when it starts: on no policy, and on
    nothing that happened to other jobs, unless they call the same dependency. `die` is called where a
    fault kills the machine it plays on.
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
            if fate.partner is not None:
                own = fate.parts(takes)
                return fate.partner.attempt(self._runtime, lease, own, numbers[fate.called :])
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
