"""Bugs that other queues had, and some of their kind, each planted in a store."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from jobsim.core.decide import LOST, Settlement, Why
from jobsim.core.errors import IdTaken
from jobsim.core.guards import Guard
from jobsim.core.job import JobId, Lease, NewJob, State, WorkerId
from jobsim.core.limits import Limit, Scope
from jobsim.core.time import SECOND, Duration, Instant
from jobsim.core.transitions import WAITING, Kind
from jobsim.storage.memory import MemoryStorage
from jobsim.storage.memory_keys import Keys
from jobsim.storage.memory_rows import Row

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

    def row(self, job: JobId) -> Row:
        """Return what is kept of a job that is there."""
        row = self._book._table.row(job)
        assert row is not None
        return row


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
            self.row(job.id).unique_key = job.unique_key
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


class RescueByScan(Planted):
    """What a reaper saw some time ago is brought back by id, be it renewed or in other hands by now."""

    def settle(self, settlements: Sequence[Settlement], now: Instant) -> list[bool]:
        """Write what became of finished attempts."""
        return super().settle([self._forced(s, now) for s in settlements], now)

    def _forced(self, settlement: Settlement, now: Instant) -> Settlement:
        lease = self.current(settlement.lease)
        if settlement.decision.why.outcome != LOST or self.get(lease.id) is None:
            return settlement
        row = self.row(lease.id)
        row.lease = row.lease and row.lease._replace(until=Instant(now - 1))
        return settlement._replace(lease=lease)


class ResetToken(Planted):
    """A job that was brought back begins anew, and so does its token."""

    def settle(self, settlements: Sequence[Settlement], now: Instant) -> list[bool]:
        """Write what became of finished attempts."""
        settled = super().settle(settlements, now)
        for (lease, decision), done in zip(settlements, settled, strict=True):
            if done and decision.why.outcome == LOST:
                self.row(lease.id).token = 0
        return settled


class GreedyClaim(Planted):
    """A claim takes all that is due, without a limit."""

    def claim(
        self, worker: WorkerId, queues: Sequence[str], limit: int, lease: Duration, now: Instant
    ) -> list[Lease]:
        """Claim jobs."""
        return super().claim(worker, queues, 1_000 if limit else 0, lease, now)


class EarlyClaim(Planted):
    """A job is claimed some time before it is due."""

    def claim(
        self, worker: WorkerId, queues: Sequence[str], limit: int, lease: Duration, now: Instant
    ) -> list[Lease]:
        """Claim jobs."""
        for job in self.find(states=list(WAITING)):
            if now < job.run_at <= now + SECOND:
                row = self.row(job.id)
                row.run_at = now
                self._book._lines[job.queue].add(row, now)
        return super().claim(worker, queues, limit, lease, now)


class ShortenedLease(Planted):
    """A renewal sets the end of a lease, even to an earlier one."""

    def extend(self, leases: Sequence[Lease], until: Instant, now: Instant) -> set[JobId]:
        """Let leases last longer."""
        for row in self._book._running.values():
            if any(row.runs_under(lease) for lease in leases):
                row.lease = row.lease and row.lease._replace(until=Instant(0))
        return super().extend(leases, until, now)


class SilentCancel(Planted):
    """An operator's cancellation is not in the log."""

    def cancel(self, ids: Sequence[JobId], now: Instant, reason: str = "") -> list[bool]:
        """Cancel jobs."""
        done = super().cancel(ids, now, reason)
        for _ in range(sum(done)):
            self._book._fresh.pop()
        return done


class AcceptedTwice(Planted):
    """A client that enqueues again, as it heard no reply, gets a second job."""

    def enqueue(self, jobs: Sequence[NewJob], now: Instant) -> list[JobId]:
        """Accept jobs."""
        try:
            return super().enqueue(jobs, now)
        except IdTaken:
            return self.enqueue([job._replace(id=JobId(job.id + (1 << 40))) for job in jobs], now)


class LateSuccess(Planted):
    """An attempt that ends after its job was cancelled still counts."""

    def settle(self, settlements: Sequence[Settlement], now: Instant) -> list[bool]:
        """Write what became of finished attempts."""
        for lease, decision in settlements:
            job = self.get(lease.id)
            if decision.kind is Kind.SUCCEED and job is not None and job.state is State.CANCELLED:
                row = self.row(lease.id)
                row.state, row.lease = State.RUNNING, lease
                self._book._running[lease.key] = row
        return super().settle(settlements, now)


class KeptAttempt(Planted):
    """A release takes the attempt that it should give back."""

    def settle(self, settlements: Sequence[Settlement], now: Instant) -> list[bool]:
        """Write what became of finished attempts."""
        settled = super().settle(settlements, now)
        for (lease, decision), done in zip(settlements, settled, strict=True):
            if done and decision.kind is Kind.RELEASE:
                self.row(lease.id).attempt += 1
        return settled


STORES: list[type[Planted]] = [
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
    RescueByScan,
    ResetToken,
    GreedyClaim,
    EarlyClaim,
    ShortenedLease,
    SilentCancel,
    AcceptedTwice,
    LateSuccess,
    KeptAttempt,
]
"""All of them."""
