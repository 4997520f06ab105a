"""What operators do: requeue and cancel."""

import pytest

from jobsim.core.decide import Why
from jobsim.core.events import Event
from jobsim.core.job import Lease, State
from jobsim.core.limits import By, Limit, Scope
from jobsim.core.time import Duration
from jobsim.core.transitions import Kind
from jobsim.storage.base import Storage
from jobsim.testing.conformance_base import (
    BEGAN,
    BURY,
    QUEUES,
    SUCCEED,
    StorageRules,
    add,
    at,
    claim,
    job_id,
    last,
    new,
    retry,
    settle,
    snapshot,
    start,
    stored,
)


def one_in_each_state(storage: Storage) -> dict[State, Lease]:
    """Fill a store with a job for every state; return their leases."""
    decisions = {
        State.SUCCEEDED: SUCCEED,
        State.DEAD_LETTER: BURY,
        State.FAILED: retry(at(9)),
        State.RUNNING: None,
        State.CANCELLED: None,
        State.PENDING: None,
    }
    leases: dict[State, Lease] = {}
    for number, (state, decision) in enumerate(decisions.items(), 1):
        if state is not State.PENDING:
            leases[state] = start(storage, number)
        if decision is not None:
            settle(storage, leases[state], decision)
    add(storage, new(6))
    storage.cancel([leases[State.CANCELLED].id], BEGAN)
    return leases


def buried(storage: Storage, attempts: int = 1, max_attempts: int = 3) -> Lease:
    """Return the last lease of a new dead letter."""
    lease = start(storage, max_attempts=max_attempts)
    for _ in range(attempts - 1):
        settle(storage, lease, retry(BEGAN, Duration(5)))
        [lease] = claim(storage)
    settle(storage, lease, BURY, now=at(1))
    return lease


class OperatorRules(StorageRules):
    """`requeue` and `cancel`, rule 9."""

    def test_requeue_grants_a_new_budget(self, storage: Storage) -> None:
        """A dead letter is pending, due now, fresh but for its attempts, token and history."""
        lease = buried(storage, attempts=2)
        assert storage.requeue([lease.id], at(7)) == [True]
        job = stored(storage, lease.id)
        assert (job.state, job.attempt, job.max_attempts, job.budget) == (State.PENDING, 2, 5, 3)
        assert (job.token, job.run_at, job.enqueued, job.created) == (2, at(7), at(7), BEGAN)
        assert (job.delay, job.finished, job.last_error) == (0, None, BURY.why.error)

    def test_requeue_is_recorded(self, storage: Storage) -> None:
        """The event tells the new limit and when the job is due."""
        lease = buried(storage, attempts=2)
        storage.requeue([lease.id], at(7))
        assert last(storage) == Event(6, at(7), lease.id, Kind.REQUEUE, 2, 5, 2, None, at(7), Why())

    def test_requeued_job_counts_tries_anew(self, storage: Storage) -> None:
        """Its attempts go on, its tries start from 1, and its age and delay from nothing."""
        storage.requeue([buried(storage, attempts=3).id], at(7))
        [lease] = claim(storage, now=at(7))
        assert (lease.attempt, lease.tries, lease.max_attempts, lease.budget) == (4, 1, 6, 3)
        assert (lease.token, lease.enqueued, lease.delay) == (4, at(7), 0)

    def test_requeue_can_be_done_again(self, storage: Storage) -> None:
        """Each time the job is buried it can be given another budget."""
        lease = buried(storage)
        for time in (7, 8, 9):
            assert storage.requeue([lease.id], at(time)) == [True]
            [lease] = claim(storage, now=at(time))
            settle(storage, lease, BURY, now=at(time))
        assert (lease.attempt, lease.max_attempts) == (4, 6)

    def test_requeue_moves_dead_letters_and_what_waits(self, storage: Storage) -> None:
        """Jobs in other states and unknown ones are left as they are, and said so; the others go on."""
        one_in_each_state(storage)
        moved = (State.PENDING, State.FAILED, State.DEAD_LETTER)
        before = storage.find()
        assert storage.requeue([job_id(99), *(job.id for job in before)], at(7)) == [
            False,
            *(job.state in moved for job in before),
        ]
        for was, job in zip(before, storage.find(), strict=True):
            if was.state in moved:
                assert (job.state, job.run_at, job.enqueued) == (State.PENDING, at(7), at(7))
                assert (job.attempt, job.max_attempts) == (was.attempt, was.attempt + was.budget)
            else:
                assert job == was

    @pytest.mark.parametrize("running", [None, 2])
    def test_job_requeued_for_the_same_time_is_claimed_once(
        self, storage: Storage, running: int | None
    ) -> None:
        """However often that is, under limits as well, it comes once, and others after it."""
        storage.set_limits({Scope(By.QUEUE, "default"): Limit(running=running)})
        add(storage, new(1), new(2))
        for time in (0, 1, 0):
            assert storage.requeue([job_id(1)], at(time)) == [True]
        leases = claim(storage, limit=3, now=at(1))
        assert sorted(lease.id for lease in leases) == [job_id(1), job_id(2)]

    def test_requeued_job_that_waited_is_due_once(self, storage: Storage) -> None:
        """It is claimed now, and not again at the time for which it had waited before."""
        settle(storage, start(storage, max_attempts=2), retry(at(100)))
        add(storage, new(2, run_at=at(100)))
        assert claim(storage, now=at(6)) == []
        assert storage.requeue([job_id(1), job_id(2)], at(7)) == [True, True]
        assert storage.next_due(QUEUES) == at(7)
        leases = claim(storage, now=at(7))
        assert [(lease.id, lease.attempt, lease.tries) for lease in leases] == [
            (job_id(1), 2, 1),
            (job_id(2), 1, 1),
        ]
        for lease in leases:
            assert settle(storage, lease, retry(at(200)), now=at(8))
        assert storage.next_due(QUEUES) == at(200)
        assert claim(storage, now=at(150)) == []
        assert len(claim(storage, now=at(200))) == 2

    def test_requeued_job_that_waited_keeps_its_key(self, storage: Storage) -> None:
        """The key that it holds is not in its way, and no other dead letter's."""
        settle(storage, start(storage, 1, unique_key="k"), BURY)
        add(storage, new(2, unique_key="k", run_at=at(100)))
        assert storage.requeue([job_id(1), job_id(2)], at(7)) == [False, True]
        assert add(storage, new(3, unique_key="k")) == [job_id(2)]

    def test_requeue_counts_a_job_once(self, storage: Storage) -> None:
        """A job named twice is requeued once."""
        lease = buried(storage)
        assert storage.requeue([lease.id, lease.id], at(7)) == [True, False]
        assert stored(storage, lease.id).max_attempts == 4

    def test_cancel_ends_what_is_not_final(self, storage: Storage) -> None:
        """Waiting, running and dead jobs are cancelled, others and unknown ones left as they are."""
        one_in_each_state(storage)
        before = {job.id: job for job in storage.find()}
        kept = (State.SUCCEEDED, State.CANCELLED)
        answers = storage.cancel([job_id(99), *before], at(7))
        assert answers == [False, *(job.state not in kept for job in before.values())]
        for job in storage.find():
            if before[job.id].state in kept:
                assert job == before[job.id]
            else:
                assert (job.state, job.finished) == (State.CANCELLED, at(7))
                assert (job.lease_until, job.worker) == (None, None)
                assert (job.attempt, job.token) == (before[job.id].attempt, before[job.id].token)

    def test_cancel_is_recorded_with_its_reason(self, storage: Storage) -> None:
        """The event says that an operator did it, and why."""
        lease = start(storage)
        storage.cancel([lease.id], at(7), "a duplicate, said ‘Zoë’")
        why = Why("cancelled", "operator", "a duplicate, said ‘Zoë’")
        assert last(storage) == Event(3, at(7), lease.id, Kind.CANCEL, 1, 5, 1, None, None, why)

    def test_cancel_takes_the_lease_away(self, storage: Storage) -> None:
        """The worker of a cancelled job finds its lease refused, and nothing to reap."""
        lease = start(storage)
        storage.cancel([lease.id], at(7))
        assert storage.extend([lease], at(100), at(8)) == set()
        assert not settle(storage, lease, SUCCEED, now=at(8))
        assert storage.expired(9, at(1_000)) == []
        assert stored(storage, lease.id).state is State.CANCELLED

    def test_cancelled_job_is_never_handed_out(self, storage: Storage) -> None:
        """Not when it was due, nor when its time comes."""
        add(storage, new(1), new(2, run_at=at(9)), new(3))
        assert storage.cancel([job_id(1), job_id(2)], at(1)) == [True, True]
        assert [lease.id for lease in claim(storage, now=at(10))] == [job_id(3)]

    def test_cancel_counts_a_job_once(self, storage: Storage) -> None:
        """A job named twice is cancelled once."""
        lease = start(storage)
        assert storage.cancel([lease.id, lease.id], at(7)) == [True, False]

    def test_operator_calls_on_nothing_do_nothing(self, storage: Storage) -> None:
        """Empty batches leave no trace."""
        start(storage)
        before = snapshot(storage)
        assert storage.requeue([], at(7)) == storage.cancel([], at(7)) == []
        assert snapshot(storage) == before
