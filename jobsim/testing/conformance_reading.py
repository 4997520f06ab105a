"""Looking at a store, closing it, and opening it again."""

from pathlib import Path

import pytest

from jobsim.core.decide import Settlement
from jobsim.core.errors import StorageError
from jobsim.core.events import fold, standing
from jobsim.core.job import State
from jobsim.core.transitions import WAITING, Kind
from jobsim.storage.base import Storage
from jobsim.testing.conformance_base import (
    QUEUES,
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
)
from jobsim.testing.conformance_operator import one_in_each_state


class ReadingRules(StorageRules):
    """`get`, `find`, `counts`, `events` and `close`, rules 10, 12 and 14."""

    def test_empty_store_has_nothing(self, storage: Storage) -> None:
        """Every question has an answer before anything was asked of it."""
        assert storage.get(job_id(1)) is None
        assert storage.find() == []
        assert storage.counts() == dict.fromkeys(State, 0)
        assert list(storage.events()) == list(storage.events(job=job_id(1))) == []
        assert storage.depths() == {}
        assert storage.next_due(QUEUES) is None
        assert storage.expired(9, at(1)) == []

    def test_get_finds_a_job_by_its_id(self, storage: Storage) -> None:
        """Each id leads to its own job, others to none."""
        add(storage, new(1), new(2))
        assert [job and job.id for job in map(storage.get, [job_id(2), job_id(3)])] == [job_id(2), None]

    def test_get_many_finds_each_job_in_its_place(self, storage: Storage) -> None:
        """Of several ids each leads to its job, in its place; others to `None`."""
        add(storage, *(new(number, kind=f"kind-{number}") for number in range(1, 4)))
        wanted = [job_id(3), job_id(9), job_id(1), job_id(3)]
        assert storage.get_many(wanted) == [storage.get(job) for job in wanted]
        assert [job and job.kind for job in storage.get_many(wanted)] == ["kind-3", None, "kind-1", "kind-3"]
        assert storage.get_many([]) == []

    def test_find_filters_by_all_that_is_given(self, storage: Storage) -> None:
        """States, kind and queue narrow the search down together; the order is that of enqueueing."""
        for number, (kind, queue) in enumerate([("a", "x"), ("b", "x"), ("a", "y"), ("a", "x"), ("b", "y")]):
            add(storage, new(number, kind=kind, queue=queue))
        for lease in claim(storage, limit=3, queues=("x", "y")):
            settle(storage, lease, SUCCEED)

        def found(**wanted: object) -> list[int]:
            return [job.id & 0xFF for job in storage.find(**wanted)]  # type: ignore[arg-type]

        assert found() == [0, 1, 2, 3, 4]
        assert found(kind="a") == [0, 2, 3]
        assert found(kind="a", queue="x") == [0, 3]
        assert found(states=[State.SUCCEEDED], queue="x") == [0, 1]
        assert found(states=[State.SUCCEEDED, State.PENDING], kind="b") == [1, 4]
        assert found(states=[State.RUNNING]) == found(kind="nothing") == found(queue="") == []

    def test_find_stops_at_its_limit(self, storage: Storage) -> None:
        """Those that were enqueued first are returned, none for 0."""
        add(storage, *(new(9 - n, kind="a" if n % 2 else "b") for n in range(9)))
        assert [job.id for job in storage.find(kind="a", limit=2)] == [job_id(8), job_id(6)]
        assert storage.find(limit=0) == []
        assert len(storage.find(limit=100)) == 9

    def test_counts_tell_of_every_state(self, storage: Storage) -> None:
        """Each state has its number of jobs, 0 where there is none."""
        one_in_each_state(storage)
        assert storage.counts() == dict.fromkeys(State, 1)
        claim(storage)
        assert storage.counts() == {**dict.fromkeys(State, 1), State.PENDING: 0, State.RUNNING: 2}

    def test_depths_tell_of_each_queue(self, storage: Storage) -> None:
        """Jobs are counted by queue and state; the oldest is when the first of those that wait is due."""
        one_in_each_state(storage)
        add(storage, new(91, run_at=at(9), queue="x"), new(92, run_at=at(7), queue="x"), new(93, queue="y"))
        claim(storage, queues=("y",))
        depths = storage.depths()
        assert {name: {s: n for s, n in depth.counts.items() if n} for name, depth in depths.items()} == {
            "default": dict.fromkeys(State, 1),
            "x": {State.PENDING: 2},
            "y": {State.RUNNING: 1},
        }
        waiting = [job.run_at for job in storage.find(states=list(WAITING), queue="default")]
        assert (depths["default"].oldest, depths["x"].oldest) == (min(waiting), at(7))
        assert depths["y"].oldest is None

    def test_events_are_numbered_without_gaps(self, storage: Storage) -> None:
        """Numbers go from 1, whatever was refused or failed in between."""
        one_in_each_state(storage)
        with pytest.raises(StorageError):
            add(storage, new(50), new(1))
        add(storage, new(51))
        seqs = [event.seq for event in storage.events()]
        assert seqs == list(range(1, len(seqs) + 1))

    def test_events_start_after_a_number(self, storage: Storage) -> None:
        """A reader that has seen some is told of the rest."""
        one_in_each_state(storage)
        events = list(storage.events())
        for after in (0, 1, len(events) - 1, len(events), len(events) + 9):
            assert list(storage.events(after=after)) == events[after:]

    def test_events_of_one_job(self, storage: Storage) -> None:
        """A job's history is its part of the log."""
        one_in_each_state(storage)
        events = list(storage.events())
        for job in storage.find():
            assert list(storage.events(job=job.id)) == [event for event in events if event.job == job.id]
            later = [event for event in events[5:] if event.job == job.id]
            assert list(storage.events(after=5, job=job.id)) == later

    def test_events_end_where_the_log_did(self, storage: Storage) -> None:
        """A reader is neither held up by writers nor holds them up."""
        add(storage, *(new(n) for n in range(2_500)))
        events = storage.events()
        first = next(events)
        add(storage, new(9_999))
        assert [first.seq, *(event.seq for event in events)] == list(range(1, 2_501))

    def test_log_tells_what_the_jobs_are(self, storage: Storage) -> None:
        """The fold of all events is what stands in the store."""
        one_in_each_state(storage)
        assert fold(storage.events()) == {job.id: standing(job) for job in storage.find()}

    def test_reading_changes_nothing(self, storage: Storage) -> None:
        """Looking leaves no trace."""
        leases = one_in_each_state(storage)
        before = snapshot(storage)
        storage.get(leases[State.RUNNING].id)
        storage.counts()
        storage.next_due(QUEUES)
        storage.expired(9, at(1_000))
        assert snapshot(storage) == before

    def test_closing_twice_is_harmless(self, storage: Storage) -> None:
        """The second time there is nothing to do."""
        storage.close()
        storage.close()

    def test_jobs_outlive_the_store(self, tmp_path: Path) -> None:
        """Where a store keeps its jobs, another finds them as they were, leases and log included."""
        if not self.reopens():
            pytest.skip("this store ends with its process")
        storage = self.make_storage(tmp_path)
        leases = one_in_each_state(storage)
        before = snapshot(storage)
        storage.close()
        storage = self.make_storage(tmp_path)
        assert snapshot(storage) == before
        assert storage.settle([Settlement(leases[State.RUNNING], SUCCEED)], at(1)) == [True]
        [lease] = claim(storage)
        assert settle(storage, lease, retry(at(2)))
        assert [event.kind for event in storage.events(after=len(before[1]))] == [
            Kind.SUCCEED,
            Kind.CLAIM,
            Kind.RETRY,
        ]
        storage.close()

    def test_two_stores_see_each_other(self, tmp_path: Path) -> None:
        """Where a store keeps its jobs, two that are open at once share them and their log."""
        if not self.reopens():
            pytest.skip("this store ends with its process")
        one, two = self.make_storage(tmp_path), self.make_storage(tmp_path)
        add(one, new(1), new(2))
        assert [lease.id for lease in claim(two, limit=1)] == [job_id(1)]
        [lease] = claim(one)
        assert settle(two, lease, SUCCEED)
        assert not settle(one, lease, SUCCEED)
        with pytest.raises(StorageError):
            add(two, new(1))
        assert snapshot(one) == snapshot(two)
        one.close()
        assert start(two, 3).id == job_id(3)
        two.close()
