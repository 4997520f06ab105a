"""Those who enqueue the jobs of a simulated run."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from jobsim.core.errors import StorageError
from jobsim.core.ids import IdMint, resubmission
from jobsim.core.job import Conflict, JobId, NewJob, State
from jobsim.core.streams import Purpose
from jobsim.core.time import Instant
from jobsim.models.enqueuers import Resubmit
from jobsim.runtime.machine import Machine
from jobsim.runtime.sim import SimRuntime
from jobsim.sim.scenario import JobClass
from jobsim.sim.stage import BEGAN, Stage
from jobsim.storage.base import Storage
from jobsim.worker.calls import StorageCalls

_new_job: Final = tuple.__new__  # the constructor does the same in twice the time

_log: Final = logging.getLogger("jobsim.sim")


@dataclass(slots=True)
class Submissions:
    """What was `offered` to the store, in order, and which of it was `acknowledged`.

    `resubmitted` tells of every job that was enqueued in the place of another which that was. What was
    given up in between may be in the store all the same.
    """

    offered: list[JobId] = field(default_factory=list)
    acknowledged: list[JobId] = field(default_factory=list)
    resubmitted: dict[JobId, JobId] = field(default_factory=dict)


class Clients:
    """The enqueuers of all kinds of job; `waiting` counts those that may yet enqueue."""

    def __init__(self, stage: Stage) -> None:
        self.submissions: Final = Submissions()
        self.waiting = 0
        self._stage = stage

    async def arrive(self, here: SimRuntime, job: JobClass) -> None:
        """Enqueue the jobs of one kind as they arrive, until the horizon."""
        stage = self._stage
        if not stage.rough and job.resubmit is None:
            await _at_once(stage, here, job)
            return
        client = _Client(stage, here, job, self)
        now = BEGAN
        for at, new in _jobs(stage, job):
            if at > now:
                await here.sleep(at - now)  # type: ignore[arg-type]  # as below
                now = at
            self.waiting += 1
            client.begin(new)


async def _at_once(stage: Stage, here: SimRuntime, job: JobClass) -> None:
    """Enqueue where that takes no time and nobody comes back to it."""
    sleep, enqueue, now = here.sleep, stage.storage.enqueue, BEGAN
    ring = stage.news.ringer(job.queue)
    for at, new in _jobs(stage, job):
        if at > now:
            await sleep(at - now)  # type: ignore[arg-type]  # whole microseconds, as good as a `Duration`
            now = at
        enqueue((new,), at)
        ring()


def _jobs(stage: Stage, job: JobClass) -> Iterator[tuple[Instant, NewJob]]:
    """Yield the jobs of one kind, and when each arrives, until the horizon."""
    streams = stage.streams.child(f"jobs:{job.kind}")
    mint = IdMint(streams, partial(stage.draws.foresee, stage.fates[job.kind].drawn)).mint
    limit = stage.policy.limit if job.max_attempts is None else job.max_attempts
    kind, queue, priority, conflict = job.kind, job.queue, job.priority, Conflict.SKIP
    keys = (None, conflict, "", "")
    horizon = stage.scenario.horizon
    for offset in job.arrivals.times(streams.numbers_in_order(Purpose.ARRIVAL)):
        if offset >= horizon:
            break
        at: Instant = BEGAN + offset  # type: ignore[assignment]  # a type would cost a call
        yield at, _new_job(NewJob, (mint(at), kind, at, queue, "{}", limit, priority, *keys))


class _Client:
    """The process that enqueues the jobs of one kind, many at a time, each as if there were no other."""

    def __init__(self, stage: Stage, here: SimRuntime, job: JobClass, clients: Clients) -> None:
        self._stage = stage
        self._clients = clients
        self._resubmit = job.resubmit
        self._machine: SimRuntime | Machine = here
        self._storage: Storage = stage.storage
        if stage.rough:
            process = stage.processes.begin(f"enqueuer:{job.kind}")
            self._machine, self._storage = process.machine, process.storage
        self._calls = StorageCalls(self._machine, stage.streams)
        self._ring = stage.news.ringer(job.queue)

    def begin(self, new: NewJob) -> None:
        """Enqueue a job, and see to it as long as the client cares."""
        self._machine.start(self._see_to(new))

    async def _see_to(self, new: NewJob) -> None:
        await self._submit(new)
        if self._resubmit is not None:
            await self._insist(new, self._resubmit)
        self._clients.waiting -= 1

    async def _submit(self, new: NewJob) -> None:
        """Enqueue a job, again while that may help; what is given up was not acknowledged."""
        submissions, machine, storage = self._clients.submissions, self._machine, self._storage
        submissions.offered.append(new.id)
        jobs = (new,)
        try:
            await self._calls.make(lambda: storage.enqueue(jobs, machine.now()))
        except StorageError as error:
            _log.info("a client gives up: %s", error)
            return
        submissions.acknowledged.append(new.id)
        self._ring()

    async def _insist(self, new: NewJob, resubmit: Resubmit) -> None:
        """Enqueue the job again and again, until one of them has succeeded."""
        sent = [new.id]
        for number in range(1, resubmit.times + 1):
            await self._machine.sleep(resubmit.after)
            if await self._any_succeeded(sent):
                return
            now = self._machine.now()
            again = resubmission(new.id, number, now)
            sent.append(again)
            self._clients.submissions.resubmitted[again] = new.id
            self._stage.draws.again(again.key, new.id.key)
            await self._submit(new._replace(id=again, run_at=now))

    async def _any_succeeded(self, sent: list[JobId]) -> bool:
        """Return whether the client learns that one of its jobs has succeeded."""
        for id_ in sent:
            try:
                job = await self._calls.make(self._storage.get, id_)
            except StorageError:
                return False
            if job is not None and job.state is State.SUCCEEDED:
                return True
        return False
