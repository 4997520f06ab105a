"""Handing jobs out."""

from concurrent.futures import ThreadPoolExecutor
from itertools import permutations

import pytest

from jobsim.core.decide import Why
from jobsim.core.events import Event
from jobsim.core.job import JobId, Lease, State
from jobsim.core.time import Duration, Instant
from jobsim.core.transitions import Kind
from jobsim.storage.base import Storage
from jobsim.testing.conformance_base import (
    ANN,
    BEGAN,
    BOB,
    BURY,
    SUCCEED,
    StorageRules,
    add,
    at,
    claim,
    job_id,
    last,
    new,
    release,
    retry,
    settle,
    snapshot,
    start,
    stored,
)


def ids(leases: list[Lease]) -> list[JobId]:
    """Return the jobs of `leases`, in their order."""
    return [lease.id for lease in leases]


class ClaimRules(StorageRules):
    """`claim` and `next_due`, rules 3, 5 and 6."""

    def test_claim_takes_jobs_when_they_are_due(self, storage: Storage) -> None:
        """A job can be claimed from its `run_at` on, not a microsecond before."""
        add(storage, new(1, run_at=at(5)))
        assert claim(storage, now=Instant(at(5) - 1)) == []
        assert ids(claim(storage, now=at(5))) == [job_id(1)]

    def test_claim_gives_all_that_an_attempt_needs(self, storage: Storage) -> None:
        """A lease tells of its job, ends when it should, and names its worker."""
        add(storage, new(1, payload="[1]", max_attempts=7), now=at(1))
        [lease] = claim(storage, now=at(5), worker=BOB, lease=Duration(10))
        assert lease == Lease(
            key=lease.key,
            id=job_id(1),
            kind="mail",
            queue="default",
            attempt=1,
            max_attempts=7,
            budget=7,
            token=1,
            enqueued=at(1),
            delay=Duration(0),
            until=Instant(at(5) + 10),
            worker=BOB,
            payload="[1]",
        )

    def test_claim_changes_the_job(self, storage: Storage) -> None:
        """A claimed job runs under its lease, its attempt counted."""
        add(storage, new(1))
        claim(storage, now=at(5))
        job = stored(storage, job_id(1))
        assert (job.state, job.attempt, job.token) == (State.RUNNING, 1, 1)
        assert (job.attempted, job.lease_until, job.worker) == (at(5), at(65), ANN)
        assert (job.run_at, job.finished) == (BEGAN, None)

    def test_claim_is_recorded(self, storage: Storage) -> None:
        """The event of a claim has the new attempt and token, and the end of the lease."""
        add(storage, new(1))
        claim(storage, now=at(5))
        assert last(storage) == Event(2, at(5), job_id(1), Kind.CLAIM, 1, 5, 1, ANN, at(65), Why())

    def test_claim_takes_no_more_than_asked_for(self, storage: Storage) -> None:
        """The limit holds, and what it left is there for the next claim."""
        add(storage, *(new(n) for n in range(5)))
        assert ids(claim(storage, limit=2)) == [job_id(0), job_id(1)]
        assert ids(claim(storage, limit=2)) == [job_id(2), job_id(3)]
        assert ids(claim(storage, limit=2)) == [job_id(4)]
        assert claim(storage, limit=2) == []

    def test_claim_of_nothing_changes_nothing(self, storage: Storage) -> None:
        """A limit of 0, or no queue, claims nothing."""
        add(storage, new(1))
        before = snapshot(storage)
        assert claim(storage, limit=0) == []
        assert claim(storage, queues=()) == []
        assert snapshot(storage) == before

    @pytest.mark.parametrize("order", list(permutations(range(4))))
    def test_claim_goes_by_priority_then_time_then_order(
        self, storage: Storage, order: tuple[int, ...]
    ) -> None:
        """The highest priority is first, then the earliest `run_at`, then the first enqueued."""
        jobs = [
            new(1, priority=1, run_at=at(3)),
            new(2, priority=0, run_at=at(1)),
            new(3, priority=0, run_at=at(2)),
            new(4, priority=-1, run_at=at(0)),
        ]
        add(storage, *(jobs[n] for n in order))
        add(storage, new(5, priority=0, run_at=at(2)))
        taken = ids(claim(storage, limit=2, now=at(3)))
        while leases := claim(storage, limit=1, now=at(3)):
            taken += ids(leases)
        assert taken == [job_id(n) for n in (1, 2, 3, 5, 4)]

    def test_claim_goes_by_order_of_enqueueing_not_of_ids(self, storage: Storage) -> None:
        """Jobs alike in priority and time come in the order in which they were enqueued."""
        add(storage, new(9), new(4))
        add(storage, new(7))
        assert ids(claim(storage)) == [job_id(9), job_id(4), job_id(7)]

    def test_claim_compares_those_that_came_due_with_those_that_were(self, storage: Storage) -> None:
        """A job whose time has come overtakes those of lower priority that waited all along."""
        add(storage, new(1), new(2, run_at=at(5), priority=1), new(3, run_at=at(5)), new(4))
        assert ids(claim(storage, limit=1, now=at(4))) == [job_id(1)]
        assert ids(claim(storage, now=at(5))) == [job_id(2), job_id(4), job_id(3)]

    def test_claim_looks_at_all_that_came_due_at_once(self, storage: Storage) -> None:
        """However many jobs come due together, the most urgent of them is first."""
        add(storage, *(new(n, run_at=at(5), priority=n % 7) for n in range(500)))
        leases = claim(storage, limit=100, now=at(5))
        assert ids(leases[:71]) == [job_id(n) for n in range(500) if n % 7 == 6]
        assert len(leases) == 100

    def test_claim_takes_from_its_queues_alone(self, storage: Storage) -> None:
        """Jobs of other queues stay where they are."""
        add(storage, new(1, queue="a"), new(2, queue="b"), new(3, queue="c"))
        assert ids(claim(storage, queues=("b", "nowhere"))) == [job_id(2)]
        assert ids(claim(storage, queues=("default",))) == []
        assert ids(claim(storage, queues=("c", "a"))) == [job_id(1), job_id(3)]

    def test_claim_orders_over_all_queues(self, storage: Storage) -> None:
        """Several queues are one: their own order does not matter, nor does a limit change it."""
        for number, (queue, priority) in enumerate([("a", 0), ("b", 1), ("a", 2), ("b", 0), ("c", 1)]):
            add(storage, new(number, queue=queue, priority=priority))
        assert ids(claim(storage, limit=3, queues=("a", "b", "c"))) == [job_id(n) for n in (2, 1, 4)]
        assert ids(claim(storage, limit=3, queues=("c", "b", "a"))) == [job_id(n) for n in (0, 3)]

    def test_claim_counts_a_queue_once(self, storage: Storage) -> None:
        """A queue named twice gives no job twice."""
        add(storage, new(1), new(2))
        assert ids(claim(storage, queues=("default", "default"))) == [job_id(1), job_id(2)]

    def test_claim_takes_failed_jobs_at_their_time(self, storage: Storage) -> None:
        """A retry waits for its time; attempt and token grow, and the lease knows the delay before."""
        settle(storage, start(storage), retry(at(9), Duration(7)), now=at(2))
        assert claim(storage, now=at(8)) == []
        [lease] = claim(storage, now=at(9), worker=BOB)
        assert (lease.attempt, lease.token, lease.delay, lease.worker) == (2, 2, 7, BOB)
        job = stored(storage, lease.id)
        assert (job.state, job.attempted, job.worker, job.delay) == (State.RUNNING, at(9), BOB, 7)

    def test_claim_takes_released_jobs_again(self, storage: Storage) -> None:
        """After a release the attempt has the same number, under a new token."""
        settle(storage, start(storage), release(at(3)))
        [lease] = claim(storage, now=at(3))
        assert (lease.attempt, lease.token) == (1, 2)

    def test_claim_leaves_running_and_final_jobs_alone(self, storage: Storage) -> None:
        """What runs or has ended is not handed out, whatever the time."""
        leases = [start(storage, number) for number in range(3)]
        settle(storage, leases[0], SUCCEED)
        settle(storage, leases[1], BURY)
        add(storage, new(3))
        storage.cancel([job_id(3)], BEGAN)
        assert claim(storage, now=at(1_000_000)) == []

    def test_claim_goes_by_the_clock_it_is_told(self, storage: Storage) -> None:
        """A worker whose clock is behind another's takes nothing early, though the other saw it due."""
        add(storage, new(1, run_at=at(5), priority=1), new(2, run_at=at(8)), new(3, run_at=at(1)))
        assert ids(claim(storage, limit=1, now=at(8))) == [job_id(1)]
        assert ids(claim(storage, now=at(7))) == [job_id(3)]
        assert ids(claim(storage, now=at(8))) == [job_id(2)]

    def test_claims_of_many_threads_share_the_jobs(self, storage: Storage) -> None:
        """Each job goes to one worker only, and all are handed out."""
        add(storage, *(new(n) for n in range(300)))

        def work(number: int) -> list[JobId]:
            taken: list[JobId] = []
            while leases := claim(storage, limit=number + 1, worker=ANN if number % 2 else BOB):
                taken += ids(leases)
            return taken

        with ThreadPoolExecutor(4) as threads:
            taken = [job for part in threads.map(work, range(4)) for job in part]
        assert sorted(taken) == [job_id(n) for n in range(300)]

    def test_next_due_is_the_earliest_time(self, storage: Storage) -> None:
        """It tells when the first waiting job may start, a retry included."""
        assert storage.next_due(["default"]) is None
        add(
            storage, new(1, run_at=at(9)), new(2, run_at=at(7), priority=-1), new(3, run_at=at(8), priority=1)
        )
        assert storage.next_due(["default"]) == at(7)
        add(storage, new(4, priority=1), new(5))
        for lease, seconds in zip(claim(storage), (6, 5), strict=True):
            settle(storage, lease, retry(at(seconds)))
        assert storage.next_due(["default"]) == at(5)

    def test_next_due_may_name_any_job_that_is_overdue(self, storage: Storage) -> None:
        """Where jobs are due it names the `run_at` of one of them."""
        add(storage, new(1, run_at=at(1)), new(2, run_at=at(2), priority=1), new(3, run_at=at(9)))
        claim(storage, limit=0, now=at(5))
        assert storage.next_due(["default"]) in {at(1), at(2)}

    def test_next_due_looks_at_its_queues_alone(self, storage: Storage) -> None:
        """Other queues do not count; of several, the earliest does."""
        add(storage, new(1, queue="a", run_at=at(3)), new(2, queue="b", run_at=at(2)), new(3, queue="c"))
        assert storage.next_due([]) is None
        assert storage.next_due(["nowhere"]) is None
        assert storage.next_due(["a", "nowhere"]) == at(3)
        assert storage.next_due(["a", "b", "a"]) == at(2)

    def test_next_due_ignores_jobs_that_do_not_wait(self, storage: Storage) -> None:
        """Running and final jobs are never due."""
        start(storage, 1)
        settle(storage, start(storage, 2), SUCCEED)
        add(storage, new(3, run_at=at(5)), new(4))
        storage.cancel([job_id(3), job_id(4)], BEGAN)
        assert storage.next_due(["default"]) is None
