"""A Hypothesis state machine for stores: what can befall one, in any order, held against a model.

Several processes, each with a clock of its own, enqueue, claim, settle, renew and reap; replies get lost,
zombies settle late, and the engine's own worker dies at any storage call. After every step the store must
have done just what its contract says, and its log must be a sound history that tells the same as the jobs.
At the end, with faults off, the engine's worker must bring every job to a final state.
"""

import sys
from collections.abc import Sequence
from typing import Final

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, MultipleResults, RuleBasedStateMachine, invariant, multiple, rule

from jobsim.core.backoff import Exponential
from jobsim.core.decide import Settlement, decide
from jobsim.core.errors import StorageError
from jobsim.core.ids import IdMint
from jobsim.core.job import JobId, Lease, NewJob, WorkerId
from jobsim.core.outcome import (
    SUCCEEDED,
    Cancelled,
    Error,
    Failed,
    Lost,
    Outcome,
    Released,
    Snoozed,
    Succeeded,
    TimedOut,
)
from jobsim.core.policy import RetryPolicy
from jobsim.core.streams import Purpose, Streams
from jobsim.core.time import SECOND, Duration, Instant
from jobsim.core.transitions import FINAL, Kind
from jobsim.runtime.base import Runtime, Signal
from jobsim.runtime.sim import SimRuntime, World
from jobsim.storage.base import Storage
from jobsim.testing.crashing import CrashingRuntime, CrashPoint, When
from jobsim.testing.invariants import verify
from jobsim.testing.model import Model
from jobsim.worker.pool import Worker
from jobsim.worker.settings import WorkerSettings

POLICY: Final = RetryPolicy(
    Exponential(base="1s", cap="8s", jitter="full"), max_age="2m", dead_letter_on="Permanent"
)
QUEUES: Final = ("default", "mail")
_BEGAN: Final = Instant(1_767_225_600 * SECOND)
_MINUTE: Final = 60 * SECOND
_PATIENCE: Final = 1_000 * _MINUTE

_names = st.sampled_from([WorkerId("ann"), WorkerId("bob"), WorkerId("cid")])
_queues = st.sampled_from([QUEUES, QUEUES[:1], QUEUES[1:], QUEUES[::-1]])
_lengths = st.sampled_from([Duration(s * SECOND) for s in (1, 10, 60)])
_orders = st.lists(
    st.tuples(
        st.sampled_from(QUEUES),
        st.sampled_from([0, 1, -1]),
        st.sampled_from([Duration(s * SECOND) for s in (0, 1, 30)]),
        st.integers(1, 3),
    ),
    min_size=1,
    max_size=3,
)
_outcomes: st.SearchStrategy[Outcome] = st.sampled_from(
    [
        SUCCEEDED,
        Succeeded('"kept"'),
        Failed(Error("ValueError", "boom")),
        Failed(Error("Permanent")),
        Failed(Error("Busy"), Duration(20 * SECOND)),
        TimedOut(Duration(5 * SECOND)),
        Snoozed(Duration(3 * SECOND)),
        Released(),
        Cancelled("no longer wanted"),
    ]
)
_crashes = st.none() | st.builds(CrashPoint, st.integers(1, 12), st.sampled_from(When))


class QueueMachine(RuleBasedStateMachine):
    """A store and the processes that use it; subclass it, say how to open the store, and run `TestCase`."""

    jobs = Bundle("jobs")
    leases = Bundle("leases")
    ended = Bundle("ended")

    def __init__(self) -> None:
        super().__init__()
        self.storage = self.open_storage()
        self.model = Model()
        self.now = self._latest = _BEGAN
        self._skews: dict[WorkerId, int] = {}
        self._streams = Streams(1)
        self._mint = IdMint(self._streams)
        self._lives = 0

    def open_storage(self) -> Storage:
        """Return an empty store."""
        raise NotImplementedError

    def reopen_storage(self) -> Storage:
        """Return the store as another process would open it; where none can, the same."""
        return self.storage

    def _clock(self, who: WorkerId) -> Instant:
        """Return what the clock of `who` shows."""
        now = Instant(self.now + self._skews.get(who, 0))
        self._latest = max(self._latest, now)
        return now

    @rule(by=st.sampled_from([1, SECOND, 5 * SECOND, 30 * SECOND, 10 * _MINUTE]))
    def advance(self, by: int) -> None:
        """Let time pass."""
        self.now = Instant(self.now + by)

    @rule(off_by=st.sampled_from([-1, 0, 1]))
    def advance_to_edge(self, off_by: int) -> None:
        """Let time pass until just before, at or after the next moment when something is due or ends."""
        standings = self.model.history.standings.values()
        edges = {at + off_by for s in standings for at in (s.lease_until, s.run_at) if at is not None}
        self.now = Instant(min((at for at in edges if at > self.now), default=self.now))

    @rule(who=_names, by=st.sampled_from([0, -50 * SECOND, SECOND, 60 * _MINUTE]))
    def skew(self, who: WorkerId, by: int) -> None:
        """Set the clock of a process wrong, or right."""
        self._skews[who] = by

    @rule()
    def reopen(self) -> None:
        """The process that held the store dies, and another opens it."""
        self.storage = self.reopen_storage()

    @rule(target=jobs, who=_names, orders=_orders, replied=st.booleans())
    def enqueue(
        self, who: WorkerId, orders: Sequence[tuple[str, int, Duration, int]], replied: bool
    ) -> MultipleResults[JobId]:
        """Enqueue a batch; where the reply is lost, nobody was told that it is accepted."""
        now = self._clock(who)
        batch = [
            NewJob(self._mint.mint(now), "work", Instant(now + delay), queue, "{}", limit, priority)
            for queue, priority, delay, limit in orders
        ]
        ids = self.storage.enqueue(batch, now)
        self.model.read(self.storage)
        self.model.enqueued(batch, ids)
        if replied:
            self.model.accepted.update(ids)
        return multiple(*ids)

    @rule(who=_names, job=jobs)
    def enqueue_again(self, who: WorkerId, job: JobId) -> None:
        """Enqueue with an id that is taken, which is refused, whole: so a lost reply is learnt after all."""
        now = self._clock(who)
        try:
            self.storage.enqueue([NewJob(self._mint.mint(now), "work", now), self.model.known[job]], now)
        except StorageError:
            self.model.accepted.add(job)
        else:
            raise AssertionError(f"job {job} was accepted twice")

    @rule(
        target=leases,
        who=_names,
        queues=_queues,
        limit=st.integers(1, 3),
        length=_lengths,
        replied=st.booleans(),
    )
    def claim(
        self, who: WorkerId, queues: tuple[str, ...], limit: int, length: Duration, replied: bool
    ) -> MultipleResults[Lease]:
        """Claim; where the reply is lost, nobody knows of the leases."""
        now = self._clock(who)
        leases = self.storage.claim(who, queues, limit, length, now)
        self.model.read(self.storage)
        self.model.claimed(leases, who, queues, limit, Instant(now + length), now)
        return multiple(*leases) if replied else multiple()

    @rule(who=_names, one=leases, more=st.lists(leases, max_size=2), outcome=_outcomes)
    def settle(self, who: WorkerId, one: Lease, more: list[Lease], outcome: Outcome) -> None:
        """Settle attempts, of which each may be over, settled already, or taken by another."""
        self._settle([one, *more], outcome, self._clock(who))

    def _settle(self, leases: Sequence[Lease], outcome: Outcome, now: Instant) -> None:
        batch = self._judge(leases, outcome, now)
        answers = self.storage.settle(batch, now)
        self.model.read(self.storage)
        self.model.settled(batch, answers, now)

    def _judge(self, leases: Sequence[Lease], outcome: Outcome, now: Instant) -> list[Settlement]:
        jitter = [self._streams.stream(Purpose.JITTER, lease.id.key, lease.attempt) for lease in leases]
        decisions = (decide(lease, outcome, POLICY, now, u) for lease, u in zip(leases, jitter, strict=True))
        return [Settlement(lease, decision) for lease, decision in zip(leases, decisions, strict=True)]

    @rule(target=leases, who=_names, one=leases, outcome=_outcomes, limit=st.integers(0, 2), length=_lengths)
    def exchange(
        self, who: WorkerId, one: Lease, outcome: Outcome, limit: int, length: Duration
    ) -> MultipleResults[Lease]:
        """Settle and claim at once."""
        now = self._clock(who)
        batch = self._judge([one], outcome, now)
        answers, leases, *_ = self.storage.exchange(batch, who, QUEUES, limit, length, now)
        self.model.read(self.storage)
        self.model.settled(batch, answers, now)
        self.model.claimed(leases, who, QUEUES, limit, Instant(now + length), now)
        return multiple(*leases)

    @rule(who=_names, lease=leases, length=_lengths)
    def heartbeat(self, who: WorkerId, lease: Lease, length: Duration) -> None:
        """Renew a lease, which may be lost."""
        now = self._clock(who)
        kept = self.storage.extend([lease], Instant(now + length), now)
        self.model.read(self.storage)
        self.model.extended([lease], kept)

    @rule(target=ended, who=_names, at_once=st.booleans())
    def reap(self, who: WorkerId, at_once: bool) -> MultipleResults[Lease]:
        """Look for leases that ended, and settle them as lost: now, or some time later."""
        now = self._clock(who)
        leases = self.storage.expired(100, now)
        self.model.expired(leases, now)
        if at_once:
            self._settle(leases, Lost(), now)
        return multiple(*leases)

    @rule(who=_names, lease=ended)
    def reap_late(self, who: WorkerId, lease: Lease) -> None:
        """Settle as lost what had ended when a reaper looked: it may be renewed by now, or settled."""
        self._settle([lease], Lost(), self._clock(who))

    @rule(who=_names, job=jobs)
    def requeue(self, who: WorkerId, job: JobId) -> None:
        """Ask for another round of attempts."""
        answers = self.storage.requeue([job], self._clock(who))
        self.model.read(self.storage)
        self.model.operated(Kind.REQUEUE, job, answers)

    @rule(who=_names, job=jobs)
    def cancel(self, who: WorkerId, job: JobId) -> None:
        """Cancel a job, whatever becomes of it just now."""
        answers = self.storage.cancel([job], self._clock(who), "not needed")
        self.model.read(self.storage)
        self.model.operated(Kind.CANCEL, job, answers)

    @rule(who=_names, crash=_crashes)
    def work(self, who: WorkerId, crash: CrashPoint | None) -> None:
        """Let the engine's worker do all that is due, unless it dies before or after a commit."""
        began = self._clock(who)
        world = World(began)
        runtime = CrashingRuntime(world.machine(), crash)
        runtime.start(self._worker(runtime, lease="10s", burst=True).run())
        world.run(_heard(world.machine(), runtime.over))
        self._elapsed(world.now() - began)
        self.model.read(self.storage)
        self.model.anything()

    def _worker(self, runtime: Runtime, *, lease: str, burst: bool) -> Worker:
        self._lives += 1
        name = WorkerId(f"engine-{self._lives}")
        settings = WorkerSettings(slots=2, queues=QUEUES, lease=lease, burst=burst)
        player = _Player(runtime)
        return Worker(name, runtime, self.storage, player, lambda _: POLICY, self._streams, settings)

    def _elapsed(self, micros: int) -> None:
        self.now = Instant(self.now + micros)
        self._latest = Instant(self._latest + micros)

    @invariant()
    def the_store_agrees_with_the_model(self) -> None:
        """After every step the store is as its log tells, which is as the contract tells."""
        self.model.agrees(self.storage)
        for queues in (QUEUES, QUEUES[:1], QUEUES[1:]):
            self.model.foresees(self.storage.next_due(queues), queues, self._latest)

    def teardown(self) -> None:
        """Let two workers run without faults, unless a step has failed: all must become final."""
        try:
            if sys.exc_info()[0] is None:
                self._drain()
        finally:
            self.storage.close()

    def _drain(self) -> None:
        world = World(self.now)
        for _ in range(2):
            machine = world.machine()
            machine.start(self._worker(machine, lease="1h", burst=False).run())
        world.run(self._until_final(world.machine()))
        verify(
            self.storage.events(),
            accepted=self.model.accepted,
            offered=self.model.known,
            jobs=self.storage.find(),
            drained=True,
        )

    async def _until_final(self, machine: SimRuntime) -> None:
        patience = machine.now() + _PATIENCE
        while machine.now() < patience and any(n for s, n in self.storage.counts().items() if s not in FINAL):
            await machine.sleep(Duration(10 * _MINUTE))


async def _heard(machine: SimRuntime, signal: Signal) -> None:
    await machine.wait(signal)


class _Player:
    """An executor whose attempts take a second, of which every other one fails."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def execute(self, lease: Lease) -> Outcome:
        """Take a second, and end as the numbers of job and attempt say."""
        await self._runtime.sleep(Duration(SECOND))
        return SUCCEEDED if (lease.id.key + lease.attempt) % 2 else Failed(Error("ValueError"))

    def abandon(self, lease: Lease) -> None:
        """Do nothing: the outcome will be refused."""
