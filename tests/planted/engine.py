"""Bugs planted in the engine: in its loops, its decisions and its clock, or between it and the store."""

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from time import time_ns  # noqa: TID251  # a bug reads the clock
from typing import Any

import pytest

from jobsim.core.backoff import Exponential
from jobsim.core.decide import Decision, Settlement, Why, decide
from jobsim.core.errors import StorageError
from jobsim.core.job import JobId, Lease, NewJob, WorkerId
from jobsim.core.outcome import Outcome
from jobsim.core.policy import RetryPolicy
from jobsim.core.streams import Stream, Streams
from jobsim.core.time import Duration, Instant
from jobsim.core.transitions import Kind
from jobsim.runtime.base import Runtime
from jobsim.storage.base import Storage
from jobsim.storage.faulty import FaultyStorage
from jobsim.testing.plays import Wrap
from jobsim.worker import judge as judging
from jobsim.worker import pool
from jobsim.worker.calls import StorageCalls
from jobsim.worker.desk import Desk, Exchanged
from jobsim.worker.judge import Judge

Plant = Callable[[pytest.MonkeyPatch], Wrap]
"""Plants a bug for a test, and returns what each process puts between itself and the store."""


def _as_it_is(storage: Storage) -> Storage:
    return storage


def slow_heartbeat(patch: pytest.MonkeyPatch) -> Wrap:
    """A lease is renewed twice in its length the wrong way round: once in two of them."""
    patch.setattr("jobsim.worker.heartbeat.BEATS", Fraction(1, 2))
    return _as_it_is


def jitter_over_the_cap(patch: pytest.MonkeyPatch) -> Wrap:
    """The delay is cut at the cap, and then spread."""

    def delay(self: Exponential, attempt: int, _: Duration, random: Stream) -> Duration:
        cap = 2**62 if self.cap is None else self.cap
        return Duration(round(min(self._curve(attempt), cap) * (0.5 + random.random())))

    patch.setattr(Exponential, "delay", delay)
    return _as_it_is


def wall_clock(patch: pytest.MonkeyPatch) -> Wrap:
    """A decision looks at the computer's clock, not at that of the runtime."""

    class Misled:
        def __init__(self, runtime: Runtime) -> None:
            self._runtime = runtime

        def __getattr__(self, name: str) -> Any:
            return getattr(self._runtime, name)

        def now(self) -> Instant:
            return Instant(time_ns() // 1_000)

    def judge(runtime: Runtime, policies: Callable[[str], RetryPolicy], streams: Streams) -> Judge:
        return judging.judge(Misled(runtime), policies, streams)

    patch.setattr(pool, "judge", judge)
    return _as_it_is


def one_more_attempt(patch: pytest.MonkeyPatch) -> Wrap:
    """The decision compares the attempt with the limit by the wrong sign."""

    def decided(
        lease: Lease, outcome: Outcome, policy: RetryPolicy, now: Instant, random: Stream
    ) -> Decision:
        longer = lease._replace(max_attempts=lease.max_attempts + 1)
        return decide(longer, outcome, policy, now, random)

    patch.setattr(judging, "decide", decided)
    return _as_it_is


def no_reaper(patch: pytest.MonkeyPatch) -> Wrap:
    """Nobody looks for the jobs of dead workers, but once at the start."""

    async def reaper(runtime: Runtime, storage: Storage, calls: StorageCalls, *_: object) -> None:
        await calls.make(storage.expired, 1, runtime.now(), 0)
        await runtime.wait(runtime.signal())

    patch.setattr(pool, "reaper", reaper)
    return _as_it_is


def dropped_batch(patch: pytest.MonkeyPatch) -> Wrap:
    """Where an exchange is made again, what was to be settled by it is forgotten."""

    def exchange_late(self: Desk, batch: Sequence[Settlement], limit: int) -> Exchanged:
        _, leases, due = self._storage.exchange((), self._name, self._queues, limit, self._lease, self._now())
        return [True] * len(batch), leases, due

    patch.setattr(Desk, "_exchange_late", exchange_late)
    return _as_it_is


class _EarlyAck(FaultyStorage):
    """A store whose enqueue returns before the commit, and tells nobody that there was none."""

    def enqueue(self, jobs: Sequence[NewJob], now: Instant) -> list[JobId]:
        """Accept jobs."""
        try:
            return super().enqueue(jobs, now)
        except StorageError:
            return [job.id for job in jobs]


def ack_before_commit(_: pytest.MonkeyPatch) -> Wrap:
    """A client is told that its job is accepted before the commit has come to its end."""
    return _EarlyAck


class _TwoSteps(FaultyStorage):
    """A store that writes a retry in two transactions: the end of the attempt, then the wait for the next."""

    def exchange(
        self,
        settlements: Sequence[Settlement],
        worker: WorkerId,
        queues: Sequence[str],
        limit: int,
        lease: Duration,
        now: Instant,
    ) -> tuple[list[bool], list[Lease], Instant | None]:
        """Settle, and claim."""
        settled = self.settle(settlements, now)
        return settled, self.claim(worker, queues, limit, lease, now), self.next_due(queues)

    def settle(self, settlements: Sequence[Settlement], now: Instant) -> list[bool]:
        """Settle attempts."""
        retries = [s.lease.id for s in settlements if s.decision.kind is Kind.RETRY]
        settled = super().settle([self._ended(s) for s in settlements], now)
        self.requeue(retries, now)
        return settled

    def _ended(self, settlement: Settlement) -> Settlement:
        decision = settlement.decision
        if decision.kind is not Kind.RETRY:
            return settlement
        why = Why(decision.why.outcome, "not_retryable", decision.why.error)
        return settlement._replace(decision=Decision(Kind.DEAD_LETTER, why))


def retry_in_two_steps(_: pytest.MonkeyPatch) -> Wrap:
    """A retry is lost where the process dies between the end of an attempt and the wait for the next."""
    return _TwoSteps


ENGINE: Mapping[str, Plant] = {
    plant.__name__: plant
    for plant in (
        slow_heartbeat,
        jitter_over_the_cap,
        wall_clock,
        one_more_attempt,
        no_reaper,
        dropped_batch,
        ack_before_commit,
        retry_in_two_steps,
    )
}
"""All of them, by their names."""
