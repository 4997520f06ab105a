"""Whatever is done with a store, in whatever order, its history is sound and tells what its jobs are."""

import tempfile
from pathlib import Path
from typing import Final

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobsim.core.backoff import Exponential
from jobsim.core.decide import LOST, Settlement, decide
from jobsim.core.events import fold, standing
from jobsim.core.job import JobId, Lease
from jobsim.core.outcome import Cancelled, Error, Failed, Lost, Outcome, Released, Snoozed, Succeeded
from jobsim.core.policy import RetryPolicy
from jobsim.core.streams import Stream
from jobsim.core.time import SECOND, Duration, Instant
from jobsim.storage.base import Storage
from jobsim.testing.conformance_base import ANN, BEGAN, BOB, MINUTE, QUEUES, StorageRules, job_id, new
from jobsim.testing.invariants import verify

POLICY: Final = RetryPolicy(Exponential(base="1s", cap="1m", jitter="full"), dead_letter_on="Permanent")
OUTCOMES: Final[list[Outcome]] = [
    Succeeded(),
    Succeeded("1"),
    Failed(Error("ValueError", "no")),
    Failed(Error("Permanent", "never")),
    Failed(Error("Busy"), Duration(90 * SECOND)),
    Released(),
    Snoozed(Duration(SECOND)),
    Cancelled("on request"),
]
_LOST: Final = Lost()

_small = st.integers(0, 5)
_step = st.one_of(
    st.tuples(st.just("enqueue"), _small, _small),
    st.tuples(st.just("claim"), _small, _small),
    st.tuples(st.sampled_from(["settle", "extend"]), st.integers(0, 99), _small),
    st.tuples(st.just("settle"), st.integers(0, 99), st.integers(0, len(OUTCOMES) - 1)),
    st.tuples(st.just("reap"), _small, _small),
    st.tuples(st.sampled_from(["requeue", "cancel"]), _small, _small),
    st.tuples(st.just("wait"), _small, _small),
)


class HistoryRules(StorageRules):
    """All methods together, rules 2 and 14."""

    @settings(deadline=None, suppress_health_check=[HealthCheck.differing_executors])
    @given(steps=st.lists(_step, max_size=60))
    def test_any_history_is_sound(self, steps: list[tuple[str, int, int]]) -> None:
        """After any calls the log breaks no rule of the history checker, and its fold is what is stored."""
        with tempfile.TemporaryDirectory() as directory:
            storage = self.make_storage(Path(directory))
            play = _Play(storage)
            for step in steps:
                play.step(*step)
            events, jobs = list(storage.events()), storage.find()
            assert fold(events) == {job.id: standing(job) for job in jobs}
            verify(events, accepted=play.accepted, offered=play.accepted, jobs=jobs)
            assert sum(storage.counts().values()) == len(jobs)
            storage.close()


class _Play:
    """Makes the calls that the numbers of a step stand for, with any lease that was ever given."""

    def __init__(self, storage: Storage) -> None:
        self.accepted: list[JobId] = []
        self._storage = storage
        self._now = BEGAN
        self._leases: list[Lease] = []
        self._random = Stream(0)

    def step(self, name: str, one: int, two: int) -> None:
        getattr(self, f"_{name}")(one, two)

    def _enqueue(self, count: int, later: int) -> None:
        first = len(self.accepted)
        jobs = [
            new(n, run_at=Instant(self._now + later * SECOND), priority=n % 3, max_attempts=1 + n % 3)
            for n in range(first, first + count)
        ]
        self.accepted += self._storage.enqueue(jobs, self._now)

    def _claim(self, limit: int, who: int) -> None:
        worker = ANN if who % 2 else BOB
        self._leases += self._storage.claim(worker, QUEUES, limit, MINUTE, self._now)

    def _settle(self, which: int, how: int) -> None:
        if self._leases:
            lease = self._leases[which % len(self._leases)]
            decision = decide(lease, OUTCOMES[how], POLICY, self._now, self._random)
            twice = [Settlement(lease, decision)] * (1 + which % 2)
            answers = self._storage.settle(twice, self._now)
            assert not any(answers[1:])

    def _reap(self, limit: int, _: int) -> None:
        lost = self._storage.expired(limit, self._now)
        batch = [Settlement(ls, decide(ls, _LOST, POLICY, self._now, self._random)) for ls in lost]
        assert all(s.decision.why.outcome == LOST for s in batch)
        assert self._storage.settle(batch, self._now) == [True] * len(batch)

    def _extend(self, which: int, minutes: int) -> None:
        leases = self._leases[which % 7 :: 2]
        self._storage.extend(leases, Instant(self._now + minutes * MINUTE), self._now)

    def _requeue(self, number: int, _: int) -> None:
        self._storage.requeue([job_id(number), job_id(number + 1)], self._now)

    def _cancel(self, number: int, _: int) -> None:
        self._storage.cancel([job_id(number)], self._now)

    def _wait(self, seconds: int, minutes: int) -> None:
        self._now = Instant(self._now + seconds * SECOND + minutes * MINUTE)
