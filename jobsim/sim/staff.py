"""The workers of a simulated run: each is watched over, and another takes the place of one that died."""

import logging
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

from jobsim.core.errors import StorageError
from jobsim.core.job import State, WorkerId
from jobsim.core.streams import Purpose
from jobsim.core.time import Duration, Instant, duration
from jobsim.core.transitions import FINAL
from jobsim.models.clocks import Clock
from jobsim.models.workers import Autoscale, Crew, Group, Pauses
from jobsim.runtime.base import Runtime, Signal
from jobsim.runtime.machine import Machine
from jobsim.runtime.sim import SimRuntime
from jobsim.sim.model_executor import ModelExecutor
from jobsim.sim.stage import BEGAN, Stage
from jobsim.storage.base import Storage
from jobsim.worker.pool import Worker
from jobsim.worker.settings import WorkerSettings

_log: Final = logging.getLogger("jobsim.sim")

_RESTART: Final = duration("30s")
"""How long a worker is away that died, where the scenario knows of no crashes."""

_NO_TIME: Final = Duration(0)


@dataclass(frozen=True, slots=True)
class _Life:
    """One process of a worker, from its start to its end, when `over` rings."""

    worker: Worker
    bell: Signal
    over: Signal
    kill: Callable[[], None]
    pause: Callable[[Duration], None] | None


class Staff:
    """The workers of a `crew`, and `here` the machine of those who watch over them."""

    def __init__(self, stage: Stage, here: SimRuntime, crew: Crew) -> None:
        self._stage = stage
        self._here = here
        self._workers = crew
        self._queues = stage.served_by(crew)
        self._settings = WorkerSettings(
            slots=self._workers.slots,
            queues=self._queues,
            lease=self._workers.lease,
            poll=self._workers.poll,
            heartbeat=self._workers.heartbeat,
        )
        self._numbers = count(1)
        self._staying: list[int] = []
        self._lives: dict[int, _Life] = {}
        self._clocks: dict[int, Clock] = {}

    def start(self) -> None:
        """Start as many workers as the scenario says, and whoever sees to it that they are enough."""
        for _ in range(self._workers.count):
            self._hire(_NO_TIME)
        if self._workers.autoscale is not None:
            self._here.start(self._scale(self._workers.autoscale))

    def _label(self, number: int) -> str:
        """Return what worker `number` is called, and so the streams of what befalls it."""
        return f"{self._workers.called}{number}"

    def _hire(self, start_up: Duration) -> None:
        number = next(self._numbers)
        self._staying.append(number)
        self._here.start(self._keep(number, start_up))

    def _dismiss(self) -> None:
        """Tell the youngest worker to stop, once its running attempts have ended."""
        number = self._staying.pop()
        if number in self._lives:
            self._lives[number].worker.stop()

    async def _keep(self, number: int, start_up: Duration) -> None:
        """Keep worker `number` going: after a crash another takes its place, under a name of its own."""
        here, crash = self._here, self._workers.crash
        if start_up:
            await here.sleep(start_up)
        for life in count(1):
            if number not in self._staying:
                return
            lived = self._lives[number] = self._begin(number, life)
            self._stage.count(1, self._settings.slots)
            u = self._stage.streams.random(f"{Purpose.CRASH}:{self._label(number)}", life)
            await here.wait(lived.over, crash.lifetime(u) if crash else None)
            lived.kill()
            self._stage.news.leave(lived.bell)
            self._stage.count(-1, -self._settings.slots)
            del self._lives[number]
            away = crash.restart_after if crash else _RESTART
            await here.sleep(Duration(away + self._workers.start_up))

    def _begin(self, number: int, life: int) -> _Life:
        """Start worker `number` in a new process."""
        label = self._label(number)
        name = WorkerId(f"worker-{label}.{life}")
        if not self._stage.rough:
            machine, over = self._stage.world.machine(), self._here.signal()
            worker, bell = self._worker(name, machine, machine, self._stage.storage, over.ring)
            machine.start(_until_over(_work(worker), over))
            return _Life(worker, bell, over, machine.kill, None)
        group = self._workers.name if isinstance(self._workers, Group) else None
        process = self._stage.processes.begin(name, number, group, self._clock(number))
        place = process.machine
        worker, bell = self._worker(name, place, process.runtime, process.storage, place.over.ring)
        place.live(_work(worker))
        if self._workers.pause is not None:
            self._here.start(self._disturb(place, self._workers.pause, f"{label}.{life}"))
        return _Life(worker, bell, place.over, place.kill, place.pause)

    def _worker(
        self,
        name: WorkerId,
        machine: SimRuntime | Machine,
        runtime: Runtime,
        storage: Storage,
        die: Callable[[], None],
    ) -> tuple[Worker, Signal]:
        """Return the engine's worker, and its bell; a job that kills it calls `die`."""
        stage = self._stage
        executor = ModelExecutor(machine, stage.fates, BEGAN, die)
        bell = stage.news.bell(runtime, self._queues)
        worker = Worker(
            name, runtime, storage, executor, lambda _: stage.policy, stage.streams, self._settings, bell
        )
        return worker, bell

    def _clock(self, number: int) -> Clock | None:
        """Return the clock of the machine of worker `number`, which outlives the worker's processes."""
        clocks = self._workers.clock
        if clocks is None:
            return None
        if number not in self._clocks:
            numbers = self._stage.streams.numbers(f"{Purpose.CLOCK}:{self._label(number)}")
            self._clocks[number] = clocks.begin(numbers)
        return self._clocks[number]

    async def _disturb(self, machine: Machine, pauses: Pauses, whose: str) -> None:
        """Let a machine stand still now and then, for as long as it lives."""
        numbers = self._stage.streams.numbers(f"{Purpose.PAUSE}:{whose}")
        for number in count():
            wait, length = pauses.pause(number, numbers)
            await self._here.sleep(wait)
            if not machine.alive:
                return
            machine.pause(length)
            await self._here.sleep(length)

    async def _scale(self, scale: Autoscale) -> None:
        """Hire and dismiss as the backlog asks for."""
        here = self._here
        recent: deque[tuple[Instant, int]] = deque([(here.now(), self._workers.count)])
        while True:
            await here.sleep(scale.every)
            wanted = scale.wanted(self._backlog())
            recent.append((here.now(), wanted))
            while recent[0][0] + scale.patience < here.now():
                recent.popleft()
            for _ in range(wanted - len(self._staying)):
                self._hire(self._workers.start_up)
            for _ in range(len(self._staying) - max(number for _, number in recent)):
                self._dismiss()

    def _backlog(self) -> int:
        storage = self._stage.storage
        if self._workers.queues is None:
            return _unfinished(storage.counts())
        depths = storage.depths()
        return sum(_unfinished(depths[queue].counts) for queue in self._queues if queue in depths)


def _unfinished(counts: Mapping[State, int]) -> int:
    return sum(number for state, number in counts.items() if state not in FINAL)


async def _work(worker: Worker) -> None:
    """Let `worker` work until it stops, or gives up on the store."""
    try:
        await worker.run()
    except StorageError as error:
        _log.info("%s ends: %s", worker.name, error)


async def _until_over(process: Coroutine[Any, Any, None], over: Signal) -> None:
    await process
    over.ring()
