"""The workers of a simulated run: each is watched over, and another takes the place of one that died."""

import logging
import math
from itertools import count
from typing import Final

from jobsim.core.errors import StorageError
from jobsim.core.job import WorkerId
from jobsim.core.streams import Purpose
from jobsim.core.time import Duration, duration
from jobsim.models.workers import Crashes
from jobsim.runtime.base import Signal
from jobsim.runtime.sim import SimRuntime
from jobsim.sim.model_executor import ModelExecutor
from jobsim.sim.stage import BEGAN, Stage
from jobsim.worker.pool import Worker
from jobsim.worker.settings import WorkerSettings

_log: Final = logging.getLogger("jobsim.sim")

_RESTART: Final = duration("30s")
"""How long a worker is away that died, where the scenario knows of no crashes."""


class Staff:
    """All workers of a run, and `here` the machine of those who watch over them."""

    def __init__(self, stage: Stage, here: SimRuntime) -> None:
        self._stage = stage
        self._here = here
        workers, jobs = stage.scenario.workers, stage.scenario.jobs
        self._settings = WorkerSettings(
            slots=workers.slots,
            queues=tuple(dict.fromkeys(job.queue for job in jobs)),
            lease=workers.lease,
            poll=workers.poll,
        )

    def start(self) -> None:
        """Start as many workers as the scenario says."""
        for number in range(1, self._stage.scenario.workers.count + 1):
            self._here.start(self._keep(number))

    async def _keep(self, number: int) -> None:
        """Keep worker `number` going: after a crash another takes its place, under a name of its own."""
        here, crash = self._here, self._stage.scenario.workers.crash
        for life in count(1):
            machine, over = self._stage.world.machine(), here.signal()
            worker = self._worker(WorkerId(f"worker-{number}.{life}"), machine, over)
            machine.start(_work(worker, over))
            await here.wait(over, self._until_crash(crash, number, life) if crash else None)
            machine.kill()
            await here.sleep(crash.restart_after if crash else _RESTART)

    def _until_crash(self, crash: Crashes, number: int, life: int) -> Duration:
        u = self._stage.streams.random(f"{Purpose.CRASH}:{number}", life)
        return Duration(round(-crash.every * math.log1p(-u)))

    def _worker(self, name: WorkerId, machine: SimRuntime, over: Signal) -> Worker:
        """Return the engine's worker, on `machine`; a job that kills it rings `over`."""
        stage = self._stage
        executor = ModelExecutor(machine, stage.fates, BEGAN, over.ring)
        return Worker(
            name,
            machine,
            stage.storage,
            executor,
            lambda _: stage.policy,
            stage.streams,
            self._settings,
            stage.bell,
        )


async def _work(worker: Worker, over: Signal) -> None:
    """Let `worker` work, and ring `over` where its process ends."""
    try:
        await worker.run()
    except StorageError as error:
        _log.info("%s ends: %s", worker.name, error)
    over.ring()
