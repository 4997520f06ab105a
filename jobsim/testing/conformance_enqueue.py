"""Accepting jobs."""

import json
from typing import Final

import pytest

from jobsim.core.decide import Why
from jobsim.core.errors import StorageError
from jobsim.core.events import Event
from jobsim.core.job import UNLIMITED, Job, State
from jobsim.core.time import Duration, Instant
from jobsim.core.transitions import Kind
from jobsim.storage.base import Storage
from jobsim.testing.conformance_base import (
    BEGAN,
    SUCCEED,
    StorageRules,
    add,
    at,
    claim,
    job_id,
    new,
    retry,
    settle,
    snapshot,
    start,
    stored,
)

TEXTS: Final = [
    "",
    "{}",
    '{"name": "Zoë 🚀"}',
    '"\\ud800"',
    "a\0b",
    "\u202e\ufeff",
    json.dumps("x" * 1_000_000),
]


class EnqueueRules(StorageRules):
    """`enqueue`, rules 1, 2 and 15."""

    def test_enqueue_returns_ids_in_order(self, storage: Storage) -> None:
        """Ids come back in the order of the jobs, not in their own."""
        assert add(storage, new(3), new(1), new(2)) == [job_id(3), job_id(1), job_id(2)]

    def test_enqueue_makes_a_fresh_job(self, storage: Storage) -> None:
        """A new job is pending with all that was given, and nothing has happened to it."""
        add(
            storage, new(1, run_at=at(9), queue="mail", payload="[1]", max_attempts=7, priority=-3), now=at(4)
        )
        assert stored(storage, job_id(1)) == Job(
            id=job_id(1),
            kind="mail",
            queue="mail",
            payload="[1]",
            state=State.PENDING,
            attempt=0,
            max_attempts=7,
            budget=7,
            token=0,
            priority=-3,
            run_at=at(9),
            created=at(4),
            enqueued=at(4),
            attempted=None,
            finished=None,
            lease_until=None,
            worker=None,
            delay=Duration(0),
            last_error=None,
            result=None,
        )

    def test_enqueue_is_recorded_with_the_kind(self, storage: Storage) -> None:
        """The event of an enqueue says when the job is due, and its reason is the job's kind."""
        add(storage, new(1, run_at=at(9), max_attempts=7), now=at(4))
        why = Why("", "mail")
        assert list(storage.events()) == [
            Event(1, at(4), job_id(1), Kind.ENQUEUE, 0, 7, 0, None, at(9), why),
        ]

    def test_enqueue_of_nothing_does_nothing(self, storage: Storage) -> None:
        """An empty batch leaves no trace."""
        assert add(storage) == []
        assert snapshot(storage) == ([], [])

    def test_enqueue_refuses_a_taken_id(self, storage: Storage) -> None:
        """Where one id of a batch is taken, none of the batch is kept."""
        add(storage, new(1))
        before = snapshot(storage)
        with pytest.raises(StorageError, match=str(job_id(1))):
            add(storage, new(2), new(1, kind="other"), new(3))
        assert snapshot(storage) == before
        assert add(storage, new(2)) == [job_id(2)]

    def test_enqueue_refuses_an_id_twice_in_a_batch(self, storage: Storage) -> None:
        """Where a batch has one id twice, none of it is kept."""
        with pytest.raises(StorageError):
            add(storage, new(1), new(2), new(1))
        assert snapshot(storage) == ([], [])

    @pytest.mark.parametrize("text", TEXTS, ids=lambda text: ascii(text[:20]))
    def test_texts_come_back_as_they_were(self, storage: Storage, text: str) -> None:
        """A payload, a kind, a queue and an error may be any Unicode text, of any length."""
        lease = start(storage, payload=text, kind=f"kind{text[:99]}")
        settle(storage, lease, retry(at(1), error=f"error{text}"))
        job = stored(storage, lease.id)
        assert (lease.payload, job.payload, job.kind) == (text, text, f"kind{text[:99]}")
        assert job.last_error == f"error{text}"

    @pytest.mark.parametrize("key", [None, "key"])
    def test_headers_come_with_the_lease(self, storage: Storage, key: str | None) -> None:
        """What goes with a job is there at each of its attempts, also of a lost one; others have nothing."""
        head = '{"traceparent": "00-0af7-b7ad-01", "baggage": "name=Zoë"}'
        add(storage, new(1, unique_key=key, headers=head), new(2, unique_key=key and "other"))
        first, bare = claim(storage, limit=2, lease=Duration(10))
        [lost, _] = storage.expired(2, at(9))
        assert (first.headers, bare.headers, lost.headers) == (head, "", head)
        assert settle(storage, first, retry(at(1)), now=at(0))
        [again] = claim(storage, now=at(2))
        assert (again.headers, stored(storage, job_id(1)).headers) == (head, head)
        assert [job.headers for job in storage.find()] == [head, ""]

    def test_a_large_payload_comes_back_as_it_was(self, storage: Storage) -> None:
        """Five megabytes pass through a claim, and as many come back as a result."""
        text = json.dumps("ü🚀" * 900_000, ensure_ascii=False)
        assert len(text.encode()) > 5 * 2**20
        lease = start(storage, payload=text)
        settle(storage, lease, SUCCEED._replace(result=text))
        job = stored(storage, lease.id)
        assert lease.payload == job.payload == job.result == text

    @pytest.mark.parametrize("number", [0, 2**53 + 1, 2**62, -(2**53) - 1])
    def test_numbers_come_back_as_they_were(self, storage: Storage, number: int) -> None:
        """Times and priorities are exact, however large, and may be negative where that means something."""
        add(storage, new(1, priority=number, run_at=Instant(abs(number))))
        job = stored(storage, job_id(1))
        assert (job.priority, job.run_at) == (number, abs(number))

    def test_unlimited_attempts_are_a_limit_like_any(self, storage: Storage) -> None:
        """A job that may be tried for ever goes through its states like another."""
        lease = start(storage, max_attempts=UNLIMITED)
        assert lease.max_attempts == lease.budget == UNLIMITED
        assert settle(storage, lease, retry(at(1)))
        [lease] = claim(storage, now=at(1))
        assert (lease.attempt, lease.tries) == (2, 2)

    def test_a_large_batch_is_kept_whole(self, storage: Storage) -> None:
        """Thousands of jobs fit one call, and keep their order."""
        ids = add(storage, *(new(n) for n in range(3_000)))
        assert [job.id for job in storage.find()] == ids == [job_id(n) for n in range(3_000)]
        assert [event.job for event in storage.events()] == ids
        assert [lease.id for lease in claim(storage, limit=3_000)] == ids
        assert {job.created for job in storage.find()} == {BEGAN}
