"""A whole deployment in simulated time, from enqueue to end, to which happens what a `Plot` says.

A client enqueues jobs, and sends again what it heard no reply of; two workers run them. A process that ends
has a successor. Whatever befalls them, every job must end, and the history must be sound.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, count, repeat
from typing import Final, assert_never

from jobsim.core.backoff import Exponential
from jobsim.core.decide import LOST
from jobsim.core.errors import IdTaken, StorageError
from jobsim.core.events import Event
from jobsim.core.ids import IdMint
from jobsim.core.job import JobId, Lease, NewJob, WorkerId
from jobsim.core.outcome import SUCCEEDED, Error, Failed, Outcome, Snoozed
from jobsim.core.policy import RetryPolicy
from jobsim.core.streams import Streams
from jobsim.core.time import SECOND, Duration, Instant
from jobsim.core.transitions import FINAL
from jobsim.core.transitions import Kind as Happened
from jobsim.runtime.base import Runtime, Signal
from jobsim.runtime.sim import SimRuntime, World
from jobsim.runtime.skew import SkewedRuntime
from jobsim.storage.base import Storage
from jobsim.storage.faulty import FaultyStorage
from jobsim.storage.troubles import PASSING, Mishap, Script, Together, Trouble
from jobsim.testing.backoffs import within_policy
from jobsim.testing.clients import Clients, WatchedStorage
from jobsim.testing.crashing import HANDLER, Doomed
from jobsim.testing.invariants import Violation, check
from jobsim.testing.plots import RIGHT, SOUND, Clock, Fate, Kind, Plot
from jobsim.worker.calls import StorageCalls
from jobsim.worker.pool import Worker
from jobsim.worker.settings import WorkerSettings

BEGAN: Final = Instant(1_767_225_600 * SECOND)
POLICY: Final = RetryPolicy(Exponential(base="3s", cap="4s", jitter="equal"), dead_letter_on="Permanent")
SETTINGS: Final = WorkerSettings(slots=2, lease="9s", poll="5s")
ATTEMPTS: Final = 3
_STREAMS: Final = Streams(1)
_NO_TIME: Final = Duration(0)
_PAUSE: Final = Duration(SECOND)
_PATIENCE: Final = Duration(5 * SECOND)
"""By how much calls may be late in all, and all leases are renewed in time: less than two thirds of one."""

_LONG: Final = Duration(20 * SECOND)
_TO_END: Final = 600 * SECOND
"""How long it may take until all jobs are final once nothing befalls anybody: every attempt with a lease to
its end, the longest backoff and a poll, and those of other jobs before it."""

Wrap = Callable[[Storage], Storage]
"""Returns a store for one process, in the place of the one that it talks to."""


class Play:
    """What came of a plot on a store.

    `clients` tells what all were told, `struck` what befell whom: mishaps with the name of the call, deaths
    and stalls with that of the await. `weak` are those whom it may have cost a lease. Each process gets the
    store that `wrap` returns.
    """

    def __init__(self, plot: Plot, storage: Storage, wrap: Wrap = lambda storage: storage) -> None:
        self.plot: Final = plot
        self.storage: Final = storage
        self.clients: Final = Clients()
        self.struck: Final[dict[str, set[str]]] = {}
        self.weak: Final[set[str]] = set()
        self._wrap = wrap
        self._bells: list[Signal] = []
        self._world: Final = World(BEGAN)
        self._quiet = BEGAN
        mint = IdMint(Streams(plot.seed))
        self._jobs = {mint.mint(BEGAN): kind for kind in plot.jobs}
        self._world.run(self._direct(self._world.machine()))

    @property
    def by(self) -> Instant:
        """When every job must have ended."""
        wrong = max((fate.clock.error for fate in self.plot.fates), default=0)
        return Instant(self._quiet + _TO_END + 2 * ATTEMPTS * wrong)

    def note(self, who: str, what: str, lasts: Duration, *, weakens: bool) -> None:
        """Something befalls a process now."""
        self.struck.setdefault(who, set()).add(what)
        if what != HANDLER:  # which is the job's own doing, and ends with its attempts
            self._quiet = max(self._quiet, Instant(self._world.now() + lasts))
        if weakens:
            self.weak.add(who)

    def found(self) -> list[Violation]:
        """Return what is wrong."""
        events, jobs = list(self.storage.events()), self.storage.find()
        right = all(fate.clock == RIGHT for fate in self.plot.fates)
        late = any(fate.troubles or fate.stalls or fate.cut_off for fate in self.plot.fates)
        rules = [within_policy(lambda _: POLICY, lag=Duration(_TO_END if late else 0))] if right else []
        known = self._jobs.keys()
        return [
            *check(events, accepted=known, offered=known, jobs=jobs, drained=True, by=self.by, rules=rules),
            *self.clients.agreement(events),
            *self._unasked(events),
            *(self._lost_alive(events) if right else ()),
        ]

    def _unasked(self, events: Iterable[Event]) -> Iterator[Violation]:
        """Yield what only an operator does, of whom there is none."""
        for event in events:
            if event.kind is Happened.REQUEUE or (event.kind is Happened.CANCEL and event.worker is None):
                yield Violation("unasked", event.job, f"nobody asked for a {event.kind}", (event,))

    def _lost_alive(self, events: Iterable[Event]) -> Iterator[Violation]:
        """Yield the attempts that were lost although nothing befell their worker that it cannot get over."""
        for event in events:
            if event.why.outcome == LOST and event.worker not in self.weak:
                yield Violation("lost_alive", event.job, f"nothing befell {event.worker}", (event,))

    async def _direct(self, here: SimRuntime) -> None:
        for number, lives in enumerate(self.plot.workers):
            here.start(self._keep(here, f"worker-{number}", lives))
        orders = list(self._jobs.items())
        for number, fate in enumerate(chain(self.plot.client, repeat(SOUND))):
            process = Process(self, self._world, f"client.{number}", fate, self._wrap)
            process.machine.live(self._enqueue(process, orders))
            await here.wait(process.machine.over)
            if not orders:
                break
            await here.sleep(_PAUSE)
        self._quiet = max(self._quiet, here.now())
        while here.now() <= self.by and self._is_any_open():
            await here.sleep(_PATIENCE)

    def _is_any_open(self) -> bool:
        return any(number for state, number in self.storage.counts().items() if state not in FINAL)

    async def _enqueue(self, process: "Process", orders: list[tuple[JobId, Kind]]) -> None:
        calls = StorageCalls(process.runtime, _STREAMS)
        while orders:
            id_, kind = orders[0]
            now = process.runtime.now()
            try:
                await calls.make(
                    process.storage.enqueue, (NewJob(id_, kind, now, max_attempts=ATTEMPTS),), now
                )
            except IdTaken:
                pass  # it was kept, although nobody heard
            except StorageError:
                return  # the process ends
            orders.pop(0)
            for bell in () if self.plot.deaf else self._bells:
                bell.ring()
            await process.runtime.sleep(_PAUSE)

    async def _keep(self, here: SimRuntime, name: str, lives: Iterable[Fate]) -> None:
        for number, fate in zip(count(), chain(lives, repeat(SOUND)), strict=False):
            process = Process(self, self._world, f"{name}.{number}", fate, self._wrap)
            bell = process.runtime.signal()
            self._bells.append(bell)
            process.machine.live(process.work(bell))
            await here.wait(process.machine.over)
            self._bells.remove(bell)
            await here.sleep(_PAUSE)


class Process:
    """One process of a play: its machine, the clock it goes by, and the store as it sees it."""

    def __init__(self, play: Play, world: World, name: str, fate: Fate, wrap: Wrap) -> None:
        self._play, self._world, self._name, self._fate = play, world, name, fate
        self._began = world.now()
        self._delay = 0
        self.machine: Final = Doomed(world.machine(), fate.dies, fate.stalls, self._note)
        self.runtime: Final[Runtime] = self._by_clock(fate.clock)
        troubles = Together(Script(fate.troubles), self._cut_off)
        faulty = FaultyStorage(
            play.storage, lambda call: self._noted(call, troubles(call)), sleep=self.machine.owe
        )
        self.storage: Final[Storage] = WatchedStorage(wrap(faulty), play.clients)

    def _by_clock(self, clock: Clock) -> Runtime:
        if clock == RIGHT:
            return self.machine
        self._note("clock", Duration(max((at for at, _ in clock.sets), default=_NO_TIME)))
        now = self._world.now
        return SkewedRuntime(
            self.machine, lambda: Instant(BEGAN + clock.shows(now() - BEGAN)), 1 + clock.drift
        )

    def _note(self, what: str, lasts: Duration = _NO_TIME) -> None:
        self._play.note(self._name, what, lasts, weakens=True)

    def _noted(self, call: str, trouble: Trouble | None) -> Trouble | None:
        if trouble is not None:
            self._delay += trouble.takes + _PAUSE  # which is longer than the first waits before another try
            weakens = trouble.mishap not in PASSING or self._delay > _PATIENCE
            self._play.note(self._name, f"{trouble.mishap}: {call}", trouble.takes, weakens=weakens)
        return trouble

    def _cut_off(self, _: str) -> Trouble | None:
        if self._fate.cut_off is None:
            return None
        start, length = self._fate.cut_off
        since = self._world.now() - self._began
        return Trouble(Mishap.UNREACHABLE) if start <= since < start + length else None

    async def work(self, bell: Signal) -> None:
        """Run a worker until its store fails it."""
        worker = Worker(
            WorkerId(self._name),
            self.runtime,
            self.storage,
            self,
            lambda _: POLICY,
            _STREAMS,
            SETTINGS,
            bell,
        )
        try:
            await worker.run()
        except StorageError:
            self._note("gives up")

    async def execute(self, lease: Lease) -> Outcome:
        """Run an attempt, as the kind of its job says."""
        match Kind(lease.kind):
            case Kind.WORK:
                await self.runtime.sleep(_PAUSE)
                return Failed(Error("ValueError")) if (lease.id.key + lease.attempt) % 3 else SUCCEEDED
            case Kind.LONG:
                await self.runtime.sleep(_LONG)
                return SUCCEEDED
            case Kind.SNOOZE:
                await self.runtime.sleep(_PAUSE)
                return SUCCEEDED if lease.token > 2 else Snoozed(_PAUSE)
            case Kind.BAD:
                await self.runtime.sleep(_PAUSE)
                return Failed(Error("Permanent"))
            case Kind.POISON:
                await self.machine.die()
                return SUCCEEDED  # which nobody hears
            case _ as never:
                assert_never(never)

    def abandon(self, lease: Lease) -> None:
        """Do nothing: the outcome will be refused."""
