"""A worker: its slots and the loops beside them, from start to stop. The same code in both worlds."""

from collections.abc import Callable
from contextlib import suppress

from jobsim.core.job import WorkerId
from jobsim.core.policy import RetryPolicy
from jobsim.core.streams import Purpose, Streams
from jobsim.core.time import duration
from jobsim.runtime.base import Runtime, Signal
from jobsim.storage.base import Storage
from jobsim.worker.calls import StorageCalls
from jobsim.worker.desk import Desk
from jobsim.worker.executor import Executor
from jobsim.worker.heartbeat import heartbeat
from jobsim.worker.judge import judge
from jobsim.worker.reaper import reaper
from jobsim.worker.retention import retention
from jobsim.worker.schedule import schedule_jobs
from jobsim.worker.settings import WorkerSettings


class _Ended(Exception):  # no error: it ends the loops that have no end of their own
    pass


class Worker:
    """Claims jobs, runs attempts, settles them, renews leases, and brings back what others lost.

    `policies` gives the policy of every kind, unknown ones included. `bell` wakes idle slots: whoever
    enqueues rings it; workers that share one must serve the same queues. `streams` must be those of the
    whole engine, so that jitter is keyed alike.
    """

    def __init__(
        self,
        name: WorkerId,
        runtime: Runtime,
        storage: Storage,
        executor: Executor,
        policies: Callable[[str], RetryPolicy],
        streams: Streams,
        settings: WorkerSettings,
        bell: Signal | None = None,
    ) -> None:
        self.name = name
        self._runtime = runtime
        self._storage = storage
        self._executor = executor
        self._judge = judge(runtime, policies, streams)
        self._settings = settings
        self._calls = StorageCalls(runtime, streams)
        self._bell = bell or runtime.signal()
        self._desk = Desk(
            name,
            runtime,
            storage,
            self._calls,
            streams,
            settings,
            self._bell,
            self._judge,
            executor.abandon,
        )
        self._prunes = streams.stream(f"{Purpose.POLL}:retention:{name}")
        self._stop = runtime.signal()
        self._stopping = False
        self._at_once = False

    async def run(self) -> None:
        """Work until stopped.

        Raises:
            StorageError: the store failed for longer than the worker was willing to wait.
        """
        runtime, storage, calls = self._runtime, self._storage, self._calls
        lease = self._settings.lease_duration
        loops = [
            self._work(),
            reaper(runtime, storage, calls, self._bell, self._judge, lease),
            self._watch(),
        ]
        if self._settings.heartbeat:
            loops.insert(1, heartbeat(runtime, storage, calls, self._desk, lease))
        if keep := self._settings.retention:
            loops.append(retention(runtime, storage, calls, keep, self._prunes))
        loops += [
            schedule_jobs(runtime, storage, calls, self._bell, each) for each in self._settings.schedules
        ]
        with suppress(_Ended):
            await runtime.together(*loops)

    def stop(self, *, at_once: bool = False) -> None:
        """Claim nothing more; let running attempts end, or with `at_once` give them back now."""
        if at_once or not self._stopping:
            self._stopping, self._at_once = True, at_once
            self._stop.ring()

    async def _work(self) -> None:
        await self._runtime.together(*(self._slot() for _ in range(self._settings.slots)))
        raise _Ended

    async def _slot(self) -> None:
        """Run one attempt after the other."""
        lease = await self._desk.next()
        while lease is not None:
            outcome = await self._executor.execute(lease)
            lease = await self._desk.next(self._judge(lease, outcome))

    async def _watch(self) -> None:
        """Wait to be told to stop; send the slots home, and after a while release what still runs."""
        await self._runtime.wait(self._stop)
        self._desk.close()
        limit = duration(self._settings.shutdown_timeout)
        if not self._at_once and limit:
            await self._runtime.wait(self._stop, limit)
        await self._desk.give_back()
        raise _Ended
