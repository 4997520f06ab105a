"""Whatever befalls the storage calls of those who enqueue and those who work, no job is lost."""

from hypothesis import event, given, settings
from hypothesis import strategies as st

from jobsim.core.errors import StorageError
from jobsim.core.ids import IdMint
from jobsim.core.job import JobId, NewJob, WorkerId
from jobsim.core.time import SECOND, Duration, Instant
from jobsim.core.transitions import FINAL
from jobsim.runtime.machine import Machine
from jobsim.runtime.sim import SimRuntime, World
from jobsim.storage.base import Storage
from jobsim.storage.faulty import FaultyStorage
from jobsim.storage.memory import MemoryStorage
from jobsim.storage.sqlite import SqliteStorage
from jobsim.storage.troubles import PASSING, Script
from jobsim.testing.driving import POLICY, STREAMS, EveryOther
from jobsim.testing.faults import Troubled, troubled_calls
from jobsim.testing.invariants import verify
from jobsim.worker.calls import StorageCalls
from jobsim.worker.pool import Worker
from jobsim.worker.settings import WorkerSettings

BEGAN = Instant(1_767_225_600 * SECOND)
JOBS = 12
LAST = WorkerSettings(slots=2, lease="9s")


class Play:
    """One enqueues, two work; what befalls their calls is given. A worker that ends has a sound successor."""

    def __init__(self, storage: Storage, client: Troubled, workers: list[Troubled]) -> None:
        self.storage = storage
        self.offered: list[JobId] = []
        self.accepted: list[JobId] = []
        self._world = World(BEGAN)
        self._world.run(self._direct(self._world.machine(), client, workers))

    async def _direct(self, here: SimRuntime, client: Troubled, workers: list[Troubled]) -> None:
        for number, troubles in enumerate(workers):
            here.start(self._keep(here, number, troubles))
        machine, storage = self._process(client)
        machine.live(self._enqueue(machine, storage))
        await here.wait(machine.over)
        while any(n for state, n in self.storage.counts().items() if state not in FINAL):
            assert here.now() < BEGAN + 86_400 * SECOND, "not drained within a day"
            await here.sleep(Duration(SECOND))

    def _process(self, troubles: Troubled) -> tuple[Machine, Storage]:
        machine = Machine(self._world.machine())
        return machine, FaultyStorage(self.storage, Script(troubles), sleep=machine.owe)

    async def _enqueue(self, machine: Machine, storage: Storage) -> None:
        mint, calls = IdMint(STREAMS), StorageCalls(machine, STREAMS)
        for _ in range(JOBS):
            job = NewJob(mint.mint(machine.now()), "work", machine.now(), max_attempts=4)
            self.offered.append(job.id)
            try:
                self.accepted += await calls.make(storage.enqueue, (job,), machine.now())
            except StorageError:
                return  # its process ends
            await machine.sleep(Duration(SECOND))

    async def _keep(self, here: SimRuntime, number: int, troubles: Troubled) -> None:
        for life, befalls in enumerate([troubles, {}]):
            machine, storage = self._process(befalls)
            name = WorkerId(f"w{number}.{life}")
            executor = EveryOther(machine)
            worker = Worker(name, machine, storage, executor, lambda _: POLICY, STREAMS, LAST)
            machine.live(_until_broken(worker))
            await here.wait(machine.over)


async def _until_broken(worker: Worker) -> None:
    try:
        await worker.run()
    except StorageError:
        event("a worker gave up")


def hold(play: Play) -> None:
    """Check what must hold of every history."""
    history = list(play.storage.events())
    verify(history, accepted=play.accepted, offered=play.offered, jobs=play.storage.find(), drained=True)
    for what in {*(e.kind.value for e in history), *(e.why.outcome for e in history)} & {"refuse", "lost"}:
        event(what)


@given(client=troubled_calls(calls=20), workers=st.lists(troubled_calls(), min_size=2, max_size=2))
@settings(max_examples=60)
def test_no_job_is_lost_whatever_befalls_storage_calls(client: Troubled, workers: list[Troubled]) -> None:
    """Each acknowledged job ends, and the history is sound, under any faults of any calls."""
    hold(Play(MemoryStorage(), client, workers))


@given(workers=st.lists(troubled_calls(), min_size=2, max_size=2))
@settings(max_examples=20)
def test_no_job_is_lost_on_sqlite_whatever_befalls_storage_calls(workers: list[Troubled]) -> None:
    """The same on the SQL of SQLite."""
    storage = SqliteStorage(":memory:")
    hold(Play(storage, {}, workers))
    storage.close()


@given(
    client=troubled_calls(PASSING, calls=20, most=6),
    workers=st.lists(troubled_calls(PASSING, most=6), min_size=2, max_size=2),
)
@settings(max_examples=30)
def test_faults_that_pass_are_got_over(client: Troubled, workers: list[Troubled]) -> None:
    """Where trying again helps, every job is acknowledged in the end, and runs as often as it should."""
    play = Play(MemoryStorage(), client, workers)
    hold(play)
    assert play.accepted == play.offered
    assert len(play.accepted) == JOBS
