"""Unique keys."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import pytest

from jobsim.core.decide import REPLACED, Decision, Why
from jobsim.core.errors import KeyTaken, StorageError
from jobsim.core.events import Event
from jobsim.core.job import Conflict, Job, JobId, Lease, NewJob, State
from jobsim.core.time import Duration
from jobsim.core.transitions import Kind
from jobsim.storage.base import Storage
from jobsim.testing.conformance_base import (
    BEGAN,
    BURY,
    SUCCEED,
    StorageRules,
    add,
    at,
    claim,
    job_id,
    last,
    lose,
    new,
    release,
    retry,
    settle,
    snapshot,
    start,
    stored,
)

OPEN: Final = (State.PENDING, State.FAILED, State.RUNNING)
OVER: Final = (State.SUCCEEDED, State.DEAD_LETTER, State.CANCELLED)
WAITS: Final = (State.PENDING, State.FAILED)
SKIP, REPLACE, RAISE = Conflict.SKIP, Conflict.REPLACE, Conflict.RAISE
GIVEN_BACK: Final = {"retry": retry(at(9), Duration(5)), "release": release(at(9))}


def keyed(number: int, conflict: Conflict = SKIP, key: str = "k", **fields: Any) -> NewJob:
    """Return a job with a unique key."""
    return new(number, unique_key=key, conflict=conflict, **fields)


def held(storage: Storage, state: State) -> Job:
    """Return job 1, in `state`, which was enqueued with the key."""
    add(storage, keyed(1))
    if state is State.CANCELLED:
        storage.cancel([job_id(1)], BEGAN)
    elif state is not State.PENDING:
        decisions = {State.FAILED: retry(at(9)), State.SUCCEEDED: SUCCEED, State.DEAD_LETTER: BURY}
        [lease] = claim(storage)
        if state in decisions:
            settle(storage, lease, decisions[state])
    job = stored(storage, job_id(1))
    assert job.state is state
    return job


def replaced(storage: Storage) -> Lease:
    """Return the lease of job 1, which has given its key up to job 2 while it ran."""
    lease = start(storage, unique_key="k")
    assert add(storage, keyed(2, REPLACE)) == [job_id(2)]
    return lease


def of(storage: Storage, job: JobId) -> list[Event]:
    """Return the events of a job."""
    return list(storage.events(job=job))


class UniqueRules(StorageRules):
    """`unique_key` and `conflict`, rule 16."""

    def test_a_job_tells_its_keys(self, storage: Storage) -> None:
        """A stored job has its unique key and its limit key, of any text; others have none."""
        add(storage, keyed(1, key="ü\0'k", limit_key="ß\0:'l"), new(2))
        one, two = storage.find()
        assert (one.unique_key, one.replaced, one.limit_key) == ("ü\0'k", False, "ß\0:'l")
        assert (two.unique_key, two.replaced, two.limit_key) == (None, False, "")

    @pytest.mark.parametrize("state", OPEN)
    def test_skip_lets_the_holder_stand_for_the_new_job(self, storage: Storage, state: State) -> None:
        """The holder's id is returned, and nothing changes."""
        held(storage, state)
        before = snapshot(storage)
        assert add(storage, keyed(2), now=at(1)) == [job_id(1)]
        assert snapshot(storage) == before

    @pytest.mark.parametrize("state", OPEN)
    def test_raise_names_the_key_and_its_holder(self, storage: Storage, state: State) -> None:
        """Who would rather know is told, and nothing of the batch is kept."""
        held(storage, state)
        before = snapshot(storage)
        with pytest.raises(KeyTaken, match=f"{job_id(1)}.*'k'"):
            add(storage, new(3), keyed(4, key="other"), keyed(2, RAISE), now=at(1))
        assert snapshot(storage) == before
        assert add(storage, keyed(4, RAISE, key="other")) == [job_id(4)]

    @pytest.mark.parametrize("state", WAITS)
    def test_replace_cancels_a_holder_that_waits(self, storage: Storage, state: State) -> None:
        """It is never run, and its history says what took its place."""
        before = held(storage, state)
        assert add(storage, keyed(2, REPLACE), now=at(1)) == [job_id(2)]
        job = stored(storage, job_id(1))
        assert (job.state, job.finished, job.attempt) == (State.CANCELLED, at(1), before.attempt)
        why = Why("cancelled", REPLACED, f"by {job_id(2)}")
        event = of(storage, job_id(1))[-1]
        assert (event.kind, event.at, event.worker, event.due, event.why) == (
            Kind.CANCEL,
            at(1),
            None,
            None,
            why,
        )
        assert [lease.id for lease in claim(storage, now=at(99))] == [job_id(2)]

    def test_replace_lets_a_running_holder_go_on(self, storage: Storage) -> None:
        """It is marked, nothing is recorded of it, and both are there."""
        held(storage, State.RUNNING)
        before = of(storage, job_id(1))
        assert add(storage, keyed(2, REPLACE)) == [job_id(2)]
        assert of(storage, job_id(1)) == before
        assert [(job.state, job.replaced) for job in storage.find()] == [
            (State.RUNNING, True),
            (State.PENDING, False),
        ]

    @pytest.mark.parametrize("decision", [SUCCEED, BURY], ids=lambda decision: decision.kind)
    def test_a_replaced_job_ends_as_any(self, storage: Storage, decision: Decision) -> None:
        """Its lease holds: it is renewed, and the end that it comes to is written."""
        lease = replaced(storage)
        assert storage.extend([lease], at(100), at(1)) == {lease.id}
        assert settle(storage, lease, decision, now=at(2))
        assert of(storage, lease.id)[-1].kind is decision.kind
        assert stored(storage, lease.id).finished == at(2)

    @pytest.mark.parametrize("name", GIVEN_BACK)
    def test_a_replaced_job_never_waits_again(self, storage: Storage, name: str) -> None:
        """What would put it back cancels it, with the error that led to it."""
        lease, decision = replaced(storage), GIVEN_BACK[name]
        assert settle(storage, lease, decision, now=at(2))
        why = Why("cancelled", REPLACED, decision.why.error)
        assert of(storage, lease.id)[-1] == Event(
            len(list(storage.events())), at(2), lease.id, Kind.CANCEL, 1, 5, 1, lease.worker, None, why
        )
        job = stored(storage, lease.id)
        assert (job.state, job.finished, job.attempt) == (State.CANCELLED, at(2), 1)
        assert (job.last_error or "") == decision.why.error
        assert [other.id for other in claim(storage, now=at(99))] == [job_id(2)]

    def test_a_replaced_job_that_is_lost_is_cancelled(self, storage: Storage) -> None:
        """A reaper writes no retry of it either, and only once its lease is over."""
        lease = replaced(storage)
        assert not settle(storage, lease, lose(at(70)), now=at(60))
        assert settle(storage, lease, lose(at(70)), now=at(61))
        assert stored(storage, lease.id).state is State.CANCELLED

    def test_a_replaced_job_needs_a_possible_settlement(self, storage: Storage) -> None:
        """What would have been refused otherwise is refused all the same."""
        lease = start(storage, unique_key="k", max_attempts=1)
        add(storage, keyed(2, REPLACE))
        assert not settle(storage, lease, retry(at(9)))
        assert last(storage).kind is Kind.REFUSE
        assert stored(storage, lease.id).state is State.RUNNING

    def test_a_replaced_job_can_be_cancelled(self, storage: Storage) -> None:
        """An operator ends it as any other, and the new holder keeps the key."""
        lease = replaced(storage)
        assert storage.cancel([lease.id], at(2)) == [True]
        assert add(storage, keyed(3)) == [job_id(2)]

    def test_a_holder_can_be_replaced_again_and_again(self, storage: Storage) -> None:
        """The last one holds the key, whatever became of those before it."""
        replaced(storage)
        claim(storage)
        assert add(storage, keyed(3, REPLACE), keyed(4, REPLACE)) == [job_id(3), job_id(4)]
        assert [(job.state, job.replaced) for job in storage.find()] == [
            (State.RUNNING, True),
            (State.RUNNING, True),
            (State.CANCELLED, False),
            (State.PENDING, False),
        ]
        assert add(storage, keyed(5)) == [job_id(4)]

    @pytest.mark.parametrize("conflict", Conflict)
    @pytest.mark.parametrize("state", OVER)
    def test_a_job_that_ended_holds_nothing(self, storage: Storage, state: State, conflict: Conflict) -> None:
        """Its key is free, and it stays as it is."""
        before = held(storage, state)
        assert add(storage, keyed(2, conflict)) == [job_id(2)]
        assert stored(storage, job_id(1)) == before

    @pytest.mark.parametrize("conflict", Conflict)
    def test_other_keys_do_not_meet(self, storage: Storage, conflict: Conflict) -> None:
        """Keys are told apart by every character; jobs without one never meet."""
        batch = [keyed(n, conflict, key) for n, key in enumerate(["k", "K", "k ", "", "k\0", "ｋ"])]
        batch += [new(n) for n in (10, 11)]
        assert add(storage, *batch) == [job.id for job in batch]

    def test_a_key_is_one_over_all_kinds_and_queues(self, storage: Storage) -> None:
        """Who wants it narrower puts that into the key."""
        add(storage, keyed(1, queue="a", kind="x"))
        assert add(storage, keyed(2, queue="b", kind="y")) == [job_id(1)]

    def test_the_first_of_a_batch_stands_for_the_second(self, storage: Storage) -> None:
        """Two of one batch meet as two calls would."""
        assert add(storage, keyed(1), new(5), keyed(2)) == [job_id(1), job_id(5), job_id(1)]
        assert [job.id for job in storage.find()] == [job_id(1), job_id(5)]

    def test_the_second_of_a_batch_replaces_the_first(self, storage: Storage) -> None:
        """The first is cancelled as soon as it is there."""
        assert add(storage, keyed(1), keyed(2, REPLACE)) == [job_id(1), job_id(2)]
        assert [job.state for job in storage.find()] == [State.CANCELLED, State.PENDING]
        assert [event.kind for event in of(storage, job_id(1))] == [Kind.ENQUEUE, Kind.CANCEL]

    def test_the_second_of_a_batch_raises_at_the_first(self, storage: Storage) -> None:
        """The batch is refused, whole."""
        with pytest.raises(KeyTaken, match=f"{job_id(1)}.*'k'"):
            add(storage, keyed(1), keyed(2, RAISE))
        assert snapshot(storage) == ([], [])

    def test_a_batch_meets_its_keys_job_by_job(self, storage: Storage) -> None:
        """Each job sees what those before it have done."""
        held(storage, State.PENDING)
        batch = [keyed(2), keyed(3, REPLACE), keyed(4), keyed(5, key="j"), keyed(6, REPLACE), keyed(7)]
        assert add(storage, *batch) == [job_id(n) for n in (1, 3, 3, 5, 6, 6)]
        assert [job.id for job in storage.find(states=[State.PENDING])] == [job_id(5), job_id(6)]

    def test_a_taken_id_is_refused_whatever_its_key(self, storage: Storage) -> None:
        """An id is given once, also where the job would have been skipped."""
        held(storage, State.PENDING)
        before = snapshot(storage)
        with pytest.raises(StorageError, match=str(job_id(1))):
            add(storage, new(3), keyed(1))
        assert snapshot(storage) == before

    def test_requeue_of_a_taken_key_is_refused(self, storage: Storage) -> None:
        """The dead letter stays one until the holder has ended."""
        held(storage, State.DEAD_LETTER)
        add(storage, keyed(2))
        before = snapshot(storage)
        assert storage.requeue([job_id(1)], at(1)) == [False]
        assert snapshot(storage) == before
        storage.cancel([job_id(2)], at(2))
        assert storage.requeue([job_id(1)], at(3)) == [True]
        assert add(storage, keyed(3)) == [job_id(1)]

    def test_requeue_gives_a_key_to_one(self, storage: Storage) -> None:
        """Of two dead letters with the same key the first is requeued, others of the batch as well."""
        for number, key in enumerate(["k", "k", "j"]):
            settle(storage, start(storage, number, unique_key=key), BURY)
        assert storage.requeue([job_id(0), job_id(1), job_id(2)], at(1)) == [True, False, True]

    def test_requeue_makes_a_replaced_job_a_holder_again(self, storage: Storage) -> None:
        """A dead letter that was replaced takes the key once it is free, and is then like any other."""
        settle(storage, replaced(storage), BURY)
        assert storage.requeue([job_id(1)], at(1)) == [False]
        storage.cancel([job_id(2)], at(2))
        assert storage.requeue([job_id(1)], at(3)) == [True]
        assert not stored(storage, job_id(1)).replaced
        [lease] = claim(storage, now=at(3))
        assert settle(storage, lease, retry(at(9)), now=at(4))
        assert stored(storage, job_id(1)).state is State.FAILED

    @pytest.mark.parametrize("conflict", Conflict)
    def test_two_enqueuers_never_both_hold_a_key(self, storage: Storage, conflict: Conflict) -> None:
        """However many enqueue at once, each key has one holder."""

        def enqueue(number: int) -> None:
            for key in range(10):
                try:
                    add(storage, keyed(100 * number + key, conflict, str(key)))
                except KeyTaken:
                    assert conflict is RAISE

        with ThreadPoolExecutor(4) as threads:
            list(threads.map(enqueue, range(4)))
        holders = [job.unique_key for job in storage.find(states=[State.PENDING])]
        assert sorted(map(str, holders)) == [str(key) for key in range(10)]
        others = storage.find(states=[State.CANCELLED])
        assert len(others) == (30 if conflict is REPLACE else 0)
