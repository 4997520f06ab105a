"""The machine finds the bugs that other queues had: each is planted in a store."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from jobsim.core.decide import LOST, Settlement, Why
from jobsim.core.guards import Guard
from jobsim.core.job import JobId, Lease, NewJob, State, WorkerId
from jobsim.core.limits import Limit, Scope
from jobsim.core.time import Duration, Instant
from jobsim.core.transitions import WAITING, Kind
from jobsim.storage.base import Storage
from jobsim.storage.memory import MemoryStorage
from jobsim.storage.memory_keys import Keys
from jobsim.testing.machine_terms import TermsMachine

_NEVER = Instant(2**62)


class Planted(MemoryStorage):
    """A store whose `exchange` is its `settle` and its `claim`, so that a bug is planted once."""

    def exchange(
        self,
        settlements: Sequence[Settlement],
        worker: WorkerId,
        queues: Sequence[str],
        limit: int,
        lease: Duration,
        now: Instant,
    ) -> tuple[list[bool], list[Lease], Instant | None]:
        """Settle, then claim."""
        settled = self.settle(settlements, now)
        return settled, self.claim(worker, queues, limit, lease, now), self.next_due(queues)

    def current(self, lease: Lease) -> Lease:
        """Return the lease under which the job runs, whichever that is."""
        return {running.id: running for running in self.expired(1_000, _NEVER)}.get(lease.id, lease)


class BlindSettle(Planted):
    """A settlement is written by id, without a look at the token."""

    def settle(self, settlements: Sequence[Settlement], now: Instant) -> list[bool]:
        """Write what became of finished attempts."""
        return super().settle([s._replace(lease=self.current(s.lease)) for s in settlements], now)


class BlindExtend(Planted):
    """A renewal prolongs whatever lease the job runs under."""

    def extend(self, leases: Sequence[Lease], until: Instant, now: Instant) -> set[JobId]:
        """Let leases last longer."""
        return super().extend([self.current(lease) for lease in leases], until, now)


class ForgivingReaper(Planted):
    """An attempt that was lost is given back, so that a job which kills its workers never ends."""

    def settle(self, settlements: Sequence[Settlement], now: Instant) -> list[bool]:
        """Write what became of finished attempts."""
        return super().settle([self._forgiven(s, now) for s in settlements], now)

    def _forgiven(self, settlement: Settlement, now: Instant) -> Settlement:
        lost = settlement.decision.why.outcome == LOST
        decision = settlement.decision._replace(kind=Kind.RELEASE, due=now)
        return settlement._replace(decision=decision) if lost else settlement


class OneTooMany(Planted):
    """The last attempt is followed by another: the limit is compared with the wrong sign."""

    def settle(self, settlements: Sequence[Settlement], now: Instant) -> list[bool]:
        """Write what became of finished attempts."""
        return super().settle([self._once_more(s, now) for s in settlements], now)

    def _once_more(self, settlement: Settlement, now: Instant) -> Settlement:
        lease, decision = settlement
        if decision.why.reason != "exhausted":
            return settlement
        why = Why(decision.why.outcome, "backoff")
        retry = decision._replace(kind=Kind.RETRY, why=why, due=now)
        return Settlement(lease._replace(max_attempts=lease.max_attempts + 1), retry)


class HalfBatch(Planted):
    """A batch is accepted job by job, and what was accepted stays where a later one is refused."""

    def enqueue(self, jobs: Sequence[NewJob], now: Instant) -> list[JobId]:
        """Accept jobs."""
        return [id_ for job in jobs for id_ in super(HalfBatch, self).enqueue([job], now)]


class EarlyReply(Planted):
    """A batch is acknowledged and its last job is lost."""

    def enqueue(self, jobs: Sequence[NewJob], now: Instant) -> list[JobId]:
        """Accept jobs."""
        super().enqueue(jobs[:-1] or jobs, now)
        return [job.id for job in jobs]


class EagerReaper(Planted):
    """A lease counts as over at the very moment that it still holds."""

    def expired(self, limit: int, now: Instant, after: int = 0) -> list[Lease]:
        """Return leases that ended."""
        return super().expired(limit, Instant(now + 1), after)


class SwallowedKey(Planted):
    """A conflict of unique keys is swallowed, and two jobs hold the key."""

    def enqueue(self, jobs: Sequence[NewJob], now: Instant) -> list[JobId]:
        """Accept jobs."""
        ids = super().enqueue([job._replace(unique_key=None) for job in jobs], now)
        for job in jobs:
            row = self._book._table.row(job.id)
            assert row is not None
            row.unique_key = job.unique_key
        return ids


class RetriedReplaced(Planted):
    """A job that gave its unique key up is retried as any other, and meets the new holder."""

    def settle(self, settlements: Sequence[Settlement], now: Instant) -> list[bool]:
        """Write what became of finished attempts."""
        rows = [row for row in self._book._table if row.replaced]
        for row in rows:
            row.replaced = False
        settled = super().settle(settlements, now)
        for row in rows:
            row.replaced = True
        return settled


class TakenByRequeue(Planted):
    """A requeue does not look whether the key is taken."""

    def requeue(self, ids: Sequence[JobId], now: Instant) -> list[bool]:
        """Make dead letters pending again."""
        self._book._keys = Keys()
        return super().requeue(ids, now)


class OneMoreRuns(Planted):
    """A limit is compared with the wrong sign."""

    def __init__(self) -> None:
        super().__init__()
        self.told: dict[Scope, Limit] = {}

    def set_limits(self, limits: Mapping[Scope, Limit]) -> None:
        """Put limits in force."""
        self.told = {scope: limit for scope, limit in {**self.told, **limits}.items() if limit}
        super().set_limits({scope: self.loosened(limit) for scope, limit in limits.items()})

    def limits(self) -> dict[Scope, Limit]:
        """Return the limits in force."""
        return self.told

    def loosened(self, limit: Limit) -> Limit:
        """Return what is put in force in place of `limit`."""
        return limit if limit.running is None else replace(limit, running=limit.running + 1)


class OneMoreOfKey(OneMoreRuns):
    """The same, where attempts with one limit key are counted."""

    def loosened(self, limit: Limit) -> Limit:
        """Return what is put in force in place of `limit`."""
        number = limit.running_per_key
        return limit if number is None else replace(limit, running_per_key=number + 1)


class ForgottenTurn(Planted):
    """A rate starts anew at every claim."""

    def claim(
        self, worker: WorkerId, queues: Sequence[str], limit: int, lease: Duration, now: Instant
    ) -> list[Lease]:
        """Claim jobs."""
        self._book._limits._turns.clear()
        return super().claim(worker, queues, limit, lease, now)


class SpinningDue(Planted):
    """A job that is held back counts as due, so that workers look for it all the time."""

    def next_due(self, queues: Sequence[str]) -> Instant | None:
        """Return when the next job can be claimed."""
        waiting = [job for state in WAITING for job in self.find(states=[state]) if job.queue in queues]
        return min((job.run_at for job in waiting), default=None)


class FullPurse(Planted):
    """Each settlement meets a full budget and a closed breaker: how they stand is not kept."""

    def settle(self, settlements: Sequence[Settlement], now: Instant) -> list[bool]:
        """Write what became of finished attempts."""
        limits = self._book._limits
        limits.guard = limits.guard and Guard(limits.in_force, {})
        return super().settle(settlements, now)


class DoubleEntry(Planted):
    """A settlement is told to budgets and breakers twice, as where a reply was lost."""

    def settle(self, settlements: Sequence[Settlement], now: Instant) -> list[bool]:
        """Write what became of finished attempts."""
        settled, guard = super().settle(settlements, now), self._book._limits.guard
        for (lease, decision), done in zip(settlements, settled, strict=True):
            if guard and done:
                guard.settle(lease, decision, now)
        return settled


class DeafDoor(Planted):
    """A claim does not look at breakers."""

    def claim(
        self, worker: WorkerId, queues: Sequence[str], limit: int, lease: Duration, now: Instant
    ) -> list[Lease]:
        """Claim jobs."""
        limits = self._book._limits
        guard, limits.guard = limits.guard, None
        leases = super().claim(worker, queues, limit, lease, now)
        limits.guard = guard
        return leases


class GreedyPrune(Planted):
    """Dead letters are pruned without having been asked for."""

    def prune(self, states: Sequence[State], before: Instant, limit: int) -> int:
        """Remove jobs."""
        return super().prune([*states, State.DEAD_LETTER], before, limit)


BUGS = [
    BlindSettle,
    BlindExtend,
    ForgivingReaper,
    OneTooMany,
    HalfBatch,
    EarlyReply,
    EagerReaper,
    SwallowedKey,
    RetriedReplaced,
    TakenByRequeue,
    OneMoreRuns,
    OneMoreOfKey,
    ForgottenTurn,
    SpinningDue,
    FullPurse,
    DoubleEntry,
    DeafDoor,
    GreedyPrune,
]


@pytest.mark.parametrize("bug", BUGS)
def test_machine_finds_a_planted_bug(bug: type[Planted]) -> None:
    """Within the examples of an everyday run, a store with this bug fails."""
    with pytest.raises(AssertionError):
        run(bug)


def test_machine_finds_nothing_without_a_bug() -> None:
    """The store in which they are planted is not at fault."""
    run(Planted, examples=50)


def run(store: type[Planted], examples: int = 150) -> None:
    """Run the machine on `store`, without shrinking."""

    class Machine(TermsMachine):
        def open_storage(self) -> Storage:
            return store()

    budget = settings(
        max_examples=examples, stateful_step_count=50, phases=[Phase.generate], report_multiple_bugs=False
    )
    run_state_machine_as_test(Machine, settings=budget)
