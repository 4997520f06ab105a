"""The machine finds the bugs that other queues had: each is planted in a store, by its public methods."""

from collections.abc import Sequence

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from jobsim.core.decide import LOST, Settlement, Why
from jobsim.core.job import JobId, Lease, NewJob, WorkerId
from jobsim.core.time import Duration, Instant
from jobsim.core.transitions import Kind
from jobsim.storage.base import Storage
from jobsim.storage.memory import MemoryStorage
from jobsim.testing.machine import QueueMachine

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


BUGS = [BlindSettle, BlindExtend, ForgivingReaper, OneTooMany, HalfBatch, EarlyReply, EagerReaper]


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

    class Machine(QueueMachine):
        def open_storage(self) -> Storage:
            return store()

    budget = settings(
        max_examples=examples, stateful_step_count=50, phases=[Phase.generate], report_multiple_bugs=False
    )
    run_state_machine_as_test(Machine, settings=budget)
