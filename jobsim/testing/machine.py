"""A Hypothesis state machine for stores: what can befall one, in any order, held against a model.

Several processes, each with a clock of its own, enqueue, claim, settle, renew and reap; replies get lost,
zombies settle late, and the engine's own worker dies at any storage call. After every step the store must
have done just what its contract says, and its log must be a sound history that tells the same as the jobs.
At the end, with faults off, the engine's worker must bring every job to a final state.
"""

import sys
from collections.abc import Sequence
from itertools import count
from typing import Final, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from jobsim.core.errors import StorageError
from jobsim.core.ids import IdMint
from jobsim.core.job import Lease, NewJob, State, WorkerId
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
from jobsim.core.time import SECOND, Duration, Instant
from jobsim.core.transitions import FINAL, WAITING, Kind
from jobsim.storage.base import Storage
from jobsim.testing.crashing import CrashPoint, When
from jobsim.testing.driving import QUEUES, STREAMS, burst, drain, judge
from jobsim.testing.invariants import verify
from jobsim.testing.model import Model

T = TypeVar("T")

_BEGAN: Final = Instant(1_767_225_600 * SECOND)
_ANN, _BOB, _CID = WorkerId("ann"), WorkerId("bob"), WorkerId("cid")
_CLOCKS: Final = {_ANN: 0, _BOB: -50 * SECOND, _CID: 3600 * SECOND}
"""By how much the clock of each process is ahead."""

NAMES: Final = st.sampled_from([_ANN, _ANN, _ANN, _BOB, _CID])
_queues = st.sampled_from([QUEUES, QUEUES, QUEUES[:1], QUEUES[1:], QUEUES[::-1]])
_lengths = st.sampled_from([Duration(s * SECOND) for s in (10, 60)])
_orders = st.lists(
    st.tuples(
        st.sampled_from(QUEUES),
        st.sampled_from([0, 1, -1]),
        st.sampled_from([Duration(s * SECOND) for s in (0, 0, 30)]),
        st.integers(1, 3),
    ),
    min_size=1,
    max_size=2,
)
OUTCOMES: Final[st.SearchStrategy[Outcome]] = st.sampled_from(
    [
        Failed(Error("ValueError", "boom")),
        SUCCEEDED,
        Succeeded('"kept"'),
        Failed(Error("Permanent")),
        Failed(Error("Busy"), Duration(20 * SECOND)),
        TimedOut(Duration(5 * SECOND)),
        Snoozed(Duration(3 * SECOND)),
        Released(),
        Cancelled("no longer wanted"),
    ]
)
_FEW: Final = 2
_MANY: Final = 8
PICKS: Final = st.integers(0, 7)
_mostly = st.sampled_from([True, True, True, False])
_acts = st.sampled_from([Kind.REQUEUE, Kind.REQUEUE, Kind.REQUEUE, Kind.CANCEL])
_crashes = st.builds(CrashPoint, st.integers(1, 8), st.sampled_from(When))


class QueueMachine(RuleBasedStateMachine):
    """A store and the processes that use it; subclass it, say how to open the store, and run `TestCase`.

    Rules choose jobs and leases by number among those that they are meant for, so that most steps matter.
    """

    def __init__(self) -> None:
        super().__init__()
        self.storage = self.open_storage()
        self.model = Model()
        self.now = self._latest = _BEGAN
        self._leases: list[Lease] = []
        self._ended: list[Lease] = []
        self._mint = IdMint(STREAMS)
        self._engines = (WorkerId(f"engine-{number}") for number in count(1))

    def open_storage(self) -> Storage:
        """Return an empty store."""
        raise NotImplementedError

    def reopen_storage(self) -> Storage:
        """Return the store as another process would open it; where none can, the same."""
        return self.storage

    def _clock(self, who: WorkerId) -> Instant:
        """Return what the clock of `who` shows."""
        now = Instant(self.now + _CLOCKS[who])
        self._latest = max(self._latest, now)
        return now

    def _in_force(self) -> list[Lease]:
        """Return the leases that somebody knows of and that are in force."""
        return [lease for lease in self._leases if self.model.until(lease) is not None]

    def _taken_over(self) -> list[Lease]:
        """Return the leases that somebody knows of, of jobs that run under another by now."""
        running = self.model.in_states(State.RUNNING)
        return [lease for lease in self._leases if lease.id in running and self.model.until(lease) is None]

    def _over(self) -> list[Lease]:
        """Return the leases that somebody knows of, of jobs that have ended."""
        ended = self.model.in_states(*FINAL)
        return [lease for lease in self._leases if lease.id in ended]

    @precondition(lambda self: self.model.known)
    @rule(by=st.sampled_from([1, SECOND, 5 * SECOND, 30 * SECOND]))
    def advance(self, by: int) -> None:
        """Let time pass."""
        self.now = Instant(self.now + by)

    @precondition(lambda self: self.model.known)
    @rule(off_by=st.sampled_from([-1, 0, 1]))
    def advance_to_edge(self, off_by: int) -> None:
        """Let time pass until just before, at or after the next moment when something is due or ends."""
        standings = self.model.history.standings.values()
        edges = {at + off_by for s in standings for at in (s.lease_until, s.run_at) if at is not None}
        self.now = Instant(min((at for at in edges if at > self.now), default=self.now))

    @precondition(lambda self: type(self).reopen_storage is not QueueMachine.reopen_storage)
    @rule()
    def reopen(self) -> None:
        """The process that held the store dies, and another opens it."""
        self.storage = self.reopen_storage()

    @precondition(lambda self: len(self.model.in_states(State.RUNNING, *WAITING)) < _MANY)
    @rule(who=NAMES, orders=_orders, replied=_mostly)
    def enqueue(
        self, who: WorkerId, orders: Sequence[tuple[str, int, Duration, int]], *, replied: bool
    ) -> None:
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

    @precondition(lambda self: self.model.unheard())
    @rule(who=NAMES, pick=PICKS)
    def enqueue_again(self, who: WorkerId, pick: int) -> None:
        """Enqueue with an id that is taken, which is refused, whole: so a lost reply is learnt after all."""
        now = self._clock(who)
        old = self.model.known[picked(self.model.unheard(), pick)]
        try:
            self.storage.enqueue([NewJob(self._mint.mint(now), "work", now), old], now)
        except StorageError:
            self.model.accepted.add(old.id)
        else:
            raise AssertionError(f"job {old.id} was accepted twice")

    @precondition(lambda self: self.model.in_states(*WAITING))
    @rule(who=NAMES, queues=_queues, limit=st.integers(1, 3), length=_lengths, replied=_mostly)
    def claim(
        self, who: WorkerId, queues: tuple[str, ...], limit: int, length: Duration, *, replied: bool
    ) -> None:
        """Claim; where the reply is lost, nobody knows of the leases."""
        now = self._clock(who)
        leases = self.storage.claim(who, queues, limit, length, now)
        self.model.read(self.storage)
        self.model.claimed(leases, who, queues, limit, Instant(now + length), now)
        self._leases += leases if replied else []

    @precondition(lambda self: self._in_force())
    @rule(who=NAMES, pick=PICKS, more=st.lists(PICKS, max_size=2), outcome=OUTCOMES)
    def settle(self, who: WorkerId, pick: int, more: list[int], outcome: Outcome) -> None:
        """Settle an attempt that runs, and others in the same batch that may be over."""
        others = [picked(self._leases, number) for number in more]
        self._settle([picked(self._in_force(), pick), *others], outcome, self._clock(who))

    @precondition(lambda self: self._taken_over())
    @rule(who=NAMES, pick=PICKS, outcome=OUTCOMES)
    def settle_late(self, who: WorkerId, pick: int, outcome: Outcome) -> None:
        """Settle as a zombie does, whose job runs under another lease."""
        self._settle([picked(self._taken_over(), pick)], outcome, self._clock(who))

    @precondition(lambda self: self._over())
    @rule(who=NAMES, pick=PICKS, outcome=OUTCOMES)
    def settle_after_end(self, who: WorkerId, pick: int, outcome: Outcome) -> None:
        """Settle an attempt of a job that has ended meanwhile: buried, cancelled, or done by another."""
        self._settle([picked(self._over(), pick)], outcome, self._clock(who))

    def _settle(self, leases: Sequence[Lease], outcome: Outcome, now: Instant) -> None:
        batch = [judge(lease, outcome, now) for lease in leases]
        answers = self.storage.settle(batch, now)
        self.model.read(self.storage)
        self.model.settled(batch, answers, now)

    @precondition(lambda self: self._in_force())
    @rule(who=NAMES, pick=PICKS, outcome=OUTCOMES, limit=st.integers(0, 2), length=_lengths)
    def exchange(self, who: WorkerId, pick: int, outcome: Outcome, limit: int, length: Duration) -> None:
        """Settle and claim at once."""
        now = self._clock(who)
        batch = [judge(picked(self._in_force(), pick), outcome, now)]
        answers, leases, due = self.storage.exchange(batch, who, QUEUES, limit, length, now)
        self.model.read(self.storage)
        self.model.settled(batch, answers, now)
        self.model.claimed(leases, who, QUEUES, limit, Instant(now + length), now)
        self.model.foresees(due, QUEUES, self._latest)
        self._leases += leases

    @precondition(lambda self: self._in_force())
    @rule(who=NAMES, pick=PICKS, length=_lengths)
    def heartbeat(self, who: WorkerId, pick: int, length: Duration) -> None:
        """Renew a lease that is in force."""
        self._extend(picked(self._in_force(), pick), length, self._clock(who))

    @precondition(lambda self: self._taken_over())
    @rule(who=NAMES, pick=PICKS, length=_lengths)
    def heartbeat_late(self, who: WorkerId, pick: int, length: Duration) -> None:
        """Renew as a zombie does, whose job runs under another lease."""
        self._extend(picked(self._taken_over(), pick), length, self._clock(who))

    def _extend(self, lease: Lease, length: Duration, now: Instant) -> None:
        kept = self.storage.extend([lease], Instant(now + length), now)
        self.model.read(self.storage)
        self.model.extended([lease], kept)

    @precondition(lambda self: self.model.in_states(State.RUNNING))
    @rule(who=NAMES, at_once=st.booleans())
    def reap(self, who: WorkerId, *, at_once: bool) -> None:
        """Look for leases that ended, and settle them as lost: now, or some time later."""
        now = self._clock(who)
        ended = self.storage.expired(100, now)
        self.model.expired(ended, now)
        if at_once:
            self._settle(ended, Lost(), now)
        self._ended += ended

    @precondition(lambda self: self._ended)
    @rule(who=NAMES, pick=PICKS)
    def reap_late(self, who: WorkerId, pick: int) -> None:
        """Settle as lost what had ended when a reaper looked: it may be renewed by now, or settled."""
        open_ = [lease for lease in self._ended if self.model.until(lease) is not None]
        self._settle([picked(open_ or self._ended, pick)], Lost(), self._clock(who))

    @precondition(lambda self: self.model.known)
    @rule(who=NAMES, pick=PICKS, kind=_acts, state=st.sampled_from(State))
    def operate(self, who: WorkerId, pick: int, kind: Kind, state: State) -> None:
        """Requeue or cancel a job, whether or not its state allows that."""
        job = picked(self.model.in_states(state) or list(self.model.known), pick)
        now = self._clock(who)
        requeue = kind is Kind.REQUEUE
        answers = self.storage.requeue([job], now) if requeue else self.storage.cancel([job], now, "too late")
        self.model.read(self.storage)
        self.model.operated(kind, job, answers)

    @precondition(lambda self: len(self.model.in_states(*WAITING)) > _FEW)
    @rule(who=NAMES, crash=_crashes)
    def work(self, who: WorkerId, crash: CrashPoint) -> None:
        """Let the engine's worker do all that is due, unless it dies before or after a commit."""
        now = self._clock(who)
        took = burst(self.storage, next(self._engines), now, crash)
        self.now = Instant(self.now + took)
        self._latest = max(self._latest, Instant(now + took))
        self.model.read(self.storage)
        self.model.anything()

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
        drain(self.storage, next(self._engines), self.now)
        verify(
            self.storage.events(),
            accepted=self.model.accepted,
            offered=self.model.known,
            jobs=self.storage.find(),
            drained=True,
        )


def picked(choices: Sequence[T], number: int) -> T:
    """Return one of `choices`, whatever the `number`."""
    return choices[number % len(choices)]
