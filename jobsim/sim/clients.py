"""Those who enqueue the jobs of a simulated run."""

from functools import partial
from typing import Final

from jobsim.core.ids import IdMint
from jobsim.core.job import Conflict, NewJob
from jobsim.core.streams import Purpose
from jobsim.core.time import Instant
from jobsim.runtime.sim import SimRuntime
from jobsim.sim.model_executor import drawn
from jobsim.sim.scenario import JobClass
from jobsim.sim.stage import BEGAN, Stage

_new_job: Final = tuple.__new__  # the constructor does the same in twice the time


async def arrive(stage: Stage, machine: SimRuntime, job: JobClass) -> None:
    """Enqueue the jobs of one kind as they arrive, until the horizon."""
    streams = stage.streams.child(f"jobs:{job.kind}")
    mint = IdMint(streams, partial(stage.draws.foresee, drawn(job))).mint
    limit = stage.policy.limit if job.max_attempts is None else job.max_attempts
    kind, queue, priority, conflict = job.kind, job.queue, job.priority, Conflict.SKIP
    sleep, enqueue, ring = machine.sleep, stage.storage.enqueue, stage.bell.ring
    horizon, now = stage.scenario.horizon, BEGAN
    for offset in job.arrivals.times(streams.numbers_in_order(Purpose.ARRIVAL)):
        if offset >= horizon:
            break
        at: Instant = BEGAN + offset  # type: ignore[assignment]  # as in `sleep`: no call for a type
        if at > now:
            await sleep(at - now)  # type: ignore[arg-type]  # whole microseconds, as good as a `Duration`
            now = at
        new = _new_job(NewJob, (mint(at), kind, at, queue, "{}", limit, priority, None, conflict, ""))
        enqueue((new,), at)
        ring()
