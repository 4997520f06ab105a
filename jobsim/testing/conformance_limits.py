"""Limits on how many attempts run and how often they start."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any

import pytest

from jobsim.core.decide import Decision, Settlement
from jobsim.core.job import Conflict, NewJob
from jobsim.core.limits import By, Limit, Rate, Scope
from jobsim.storage.base import Storage
from jobsim.testing.conformance_base import (
    ANN,
    BEGAN,
    BURY,
    MINUTE,
    SUCCEED,
    add,
    at,
    claim,
    job_id,
    lose,
    new,
    release,
    retry,
    settle,
    snapshot,
    start,
)
from jobsim.testing.conformance_rates import MAIL, ONE, QUEUE, SCOPES, RateRules, ids, jobs


def sized(number: int, key: str, **fields: Any) -> NewJob:
    """Return a job with a limit key."""
    return new(number)._replace(limit_key=key, **fields)


class LimitRules(RateRules):
    """`set_limits`, `limits`, and what a claim makes of them, rule 17; `Rate` among them."""

    def test_limits_are_read_back(self, storage: Storage) -> None:
        """What was put in force is in force, whatever the names."""
        limits = {
            Scope(By.KIND, "a"): Limit(running=3, running_per_key=2, rate=Rate(100, "1m", 7)),
            Scope(By.QUEUE, "a"): Limit(running_per_key=1),
            Scope(By.QUEUE, "Zoë\0'"): Limit(rate=Rate(1, "1us")),
        }
        assert storage.limits() == {}
        storage.set_limits(limits)
        assert storage.limits() == limits

    def test_set_limits_replaces_scope_by_scope(self, storage: Storage) -> None:
        """A scope's limit is replaced whole, or removed; other scopes keep theirs."""
        storage.set_limits({MAIL: Limit(running=3, rate=Rate(1, "1s")), QUEUE: ONE})
        storage.set_limits({MAIL: Limit(running_per_key=2)})
        assert storage.limits() == {MAIL: Limit(running_per_key=2), QUEUE: ONE}
        storage.set_limits({QUEUE: Limit(), Scope(By.KIND, "never"): Limit()})
        assert storage.limits() == {MAIL: Limit(running_per_key=2)}
        storage.set_limits({})
        assert storage.limits() == {MAIL: Limit(running_per_key=2)}

    def test_limits_leave_no_trace_in_the_log(self, storage: Storage) -> None:
        """They change no job."""
        start(storage, 1)
        add(storage, new(2))
        before = snapshot(storage)
        storage.set_limits({MAIL: ONE, QUEUE: ONE})
        assert claim(storage) == []
        assert snapshot(storage) == before

    def test_limits_outlive_their_store(self, storage: Storage, tmp_path: Path) -> None:
        """Another process finds them in force, and the turn of a rate where it was."""
        if not self.reopens():
            pytest.skip("this store ends with its process")
        storage.set_limits({MAIL: Limit(rate=Rate(1, "1m"))})
        add(storage, new(1), new(2))
        assert ids(claim(storage)) == jobs(1)
        storage.close()
        again = self.make_storage(tmp_path)
        try:
            assert again.limits() == {MAIL: Limit(rate=Rate(1, "1m"))}
            assert claim(again, now=at(59)) == []
            assert ids(claim(again, now=at(60))) == jobs(2)
        finally:
            again.close()

    @SCOPES
    def test_running_holds_within_one_claim_and_over_several(self, storage: Storage, scope: Scope) -> None:
        """No more run at once than a limit says, and the first of those that wait are the ones to run."""
        storage.set_limits({scope: Limit(running=3)})
        add(storage, *(new(n) for n in range(6)))
        assert ids(claim(storage, limit=2)) == jobs(0, 1)
        leases = claim(storage, limit=9)
        assert ids(leases) == jobs(2)
        assert claim(storage) == []
        settle(storage, leases[0], SUCCEED)
        assert ids(claim(storage)) == jobs(3)

    def test_a_limit_is_for_its_scope_alone(self, storage: Storage) -> None:
        """Jobs of other kinds and queues run as many as there are."""
        storage.set_limits({Scope(By.KIND, "x"): ONE, Scope(By.QUEUE, "y"): ONE})
        add(storage, *(new(n, kind="y", queue="x") for n in range(5)))
        assert len(claim(storage, queues=("x", "y"))) == 5

    def test_a_kind_is_limited_over_its_queues(self, storage: Storage) -> None:
        """What runs on one queue counts on the other."""
        storage.set_limits({MAIL: ONE})
        add(storage, new(1, queue="a"), new(2, queue="b"))
        [lease] = claim(storage, queues=("b",))
        assert claim(storage, queues=("a",)) == []
        settle(storage, lease, SUCCEED)
        assert ids(claim(storage, queues=("a",))) == jobs(1)

    def test_a_queue_is_limited_over_its_kinds(self, storage: Storage) -> None:
        """Kinds share the places of their queue, by urgency."""
        storage.set_limits({QUEUE: Limit(running=2)})
        add(storage, new(1, kind="a"), new(2, kind="b", priority=1), new(3, kind="c"))
        assert ids(claim(storage)) == jobs(2, 1)

    @SCOPES
    def test_running_per_key_holds_for_each_key(self, storage: Storage, scope: Scope) -> None:
        """Keys do not wait for each other; jobs without one share one."""
        storage.set_limits({scope: Limit(running_per_key=1)})
        add(storage, sized(0, "a"), sized(1, "a"), sized(2, "b"), new(3), new(4), sized(5, "A"))
        leases = claim(storage)
        assert ids(leases) == jobs(0, 2, 3, 5)
        assert claim(storage) == []
        settle(storage, leases[2], SUCCEED)
        assert ids(claim(storage)) == jobs(4)

    def test_running_and_running_per_key_hold_together(self, storage: Storage) -> None:
        """The narrower decides."""
        storage.set_limits({MAIL: Limit(running=3, running_per_key=2)})
        add(storage, *(sized(n, "ab"[n >= 3]) for n in range(6)))
        assert ids(claim(storage)) == jobs(0, 1, 3)

    def test_limits_of_kind_and_queue_hold_together(self, storage: Storage) -> None:
        """An attempt needs a place under each."""
        storage.set_limits({MAIL: Limit(running=2), QUEUE: Limit(running=3)})
        add(storage, *(new(n) for n in range(3)), *(new(n, kind="other") for n in (3, 4)), new(5, queue="b"))
        assert ids(claim(storage)) == jobs(0, 1, 3)
        assert claim(storage, queues=("b",)) == []

    def test_a_key_is_told_apart_from_a_kind(self, storage: Storage) -> None:
        """Kinds and keys that read the same when put together are different ones."""
        storage.set_limits({QUEUE: Limit(running_per_key=1)})
        names = [("a", "bc"), ("ab", "c"), ("1:a", "bc"), ("", "abc"), ("a\0", "c"), ("a", "\0c")]
        add(storage, *(sized(n, key, kind=kind) for n, (kind, key) in enumerate(names)))
        assert ids(claim(storage)) == jobs(0, 1, 3, 5)  # the keys bc, c, abc and \0c

    def test_jobs_that_are_held_back_do_not_block_others(self, storage: Storage) -> None:
        """However many more urgent jobs wait for a place, those behind them are claimed."""
        storage.set_limits({MAIL: ONE})
        add(storage, *(new(n, priority=5) for n in range(300)))
        add(storage, *(new(n, kind="other") for n in range(300, 303)))
        assert ids(claim(storage)) == jobs(0, 300, 301, 302)

    def test_lanes_are_merged_by_urgency(self, storage: Storage) -> None:
        """Limited and free jobs of all queues come in one order: priority, then time, then as enqueued."""
        storage.set_limits({MAIL: Limit(running=4), Scope(By.QUEUE, "b"): Limit(running_per_key=1)})
        add(
            storage,
            new(0, kind="free"),
            new(1),
            sized(2, "k", queue="b", kind="free", priority=1),
            new(3, kind="free", run_at=at(-5)),
            new(4, run_at=at(-9)),
            sized(5, "k", queue="b", priority=9),
            new(6, kind="free", priority=1),
            sized(7, "l", queue="b", priority=1),
            new(8, priority=-1),
        )
        order = []
        while leases := claim(storage, limit=2, queues=("default", "b")):
            order += ids(leases)
        assert order == jobs(5, 6, 7, 4, 3, 0, 1)

    def test_a_limited_job_waits_for_its_time_as_any(self, storage: Storage) -> None:
        """One that is not due takes no place, and overtakes when it is, by its priority."""
        storage.set_limits({MAIL: ONE})
        add(storage, new(1, run_at=at(5), priority=9), new(2), new(3))
        [lease] = claim(storage, now=at(4))
        settle(storage, lease, SUCCEED)
        assert lease.id == job_id(2)
        assert ids(claim(storage, now=at(5))) == jobs(1)

    @pytest.mark.parametrize(
        "decision", [SUCCEED, BURY, retry(at(50)), release(at(50))], ids=lambda d: d.kind
    )
    def test_every_settlement_frees_a_place(self, storage: Storage, decision: Decision) -> None:
        """However an attempt ends, the next may start, in the same exchange at once."""
        storage.set_limits({MAIL: ONE})
        lease = start(storage, 1)
        add(storage, new(2))
        batch = [Settlement(lease, decision)]
        settled, leases, due = storage.exchange(batch, ANN, ["default"], 9, MINUTE, at(1))
        assert (settled, ids(leases), due) == ([True], jobs(2), None)

    def test_a_refused_settlement_frees_nothing(self, storage: Storage) -> None:
        """The place is of the lease in force."""
        storage.set_limits({MAIL: ONE})
        lease = start(storage, 1)
        settle(storage, lease, release(BEGAN))
        [again] = claim(storage)
        add(storage, new(2))
        assert not settle(storage, lease, SUCCEED)
        assert claim(storage) == []
        assert settle(storage, again, SUCCEED)
        assert ids(claim(storage)) == jobs(2)

    def test_cancelling_frees_a_place(self, storage: Storage) -> None:
        """The place of a job that an operator ended is free at once, whatever its worker does."""
        storage.set_limits({MAIL: ONE})
        lease = start(storage, 1)
        add(storage, new(2))
        storage.cancel([lease.id], BEGAN)
        assert ids(claim(storage)) == jobs(2)

    def test_the_place_of_a_lost_worker_is_free_once_its_lease_is_settled(self, storage: Storage) -> None:
        """Not before, though the lease is over: its handler may still run."""
        storage.set_limits({MAIL: ONE})
        lease = start(storage, 1)
        add(storage, new(2))
        assert claim(storage, now=at(61)) == []
        assert storage.expired(9, at(61)) == [lease]
        assert settle(storage, lease, lose(at(90)), now=at(61))
        assert ids(claim(storage, now=at(61))) == jobs(2)

    def test_a_replaced_job_keeps_its_place_while_it_runs(self, storage: Storage) -> None:
        """It runs, whoever holds its unique key."""
        storage.set_limits({MAIL: ONE})
        lease = start(storage, 1, unique_key="k")
        add(storage, new(2, unique_key="k", conflict=Conflict.REPLACE))
        assert claim(storage) == []
        settle(storage, lease, release(BEGAN))
        assert ids(claim(storage)) == jobs(2)

    def test_requeued_and_retried_jobs_stay_limited(self, storage: Storage) -> None:
        """They need a place as at first."""
        storage.set_limits({MAIL: ONE})
        settle(storage, start(storage, 1), retry(BEGAN))
        settle(storage, claim(storage)[0], BURY)
        running = start(storage, 2)
        storage.requeue(jobs(1), BEGAN)
        assert claim(storage) == []
        settle(storage, running, SUCCEED)
        assert ids(claim(storage)) == jobs(1)

    def test_a_limit_holds_for_jobs_that_were_there_before(self, storage: Storage) -> None:
        """Those that wait are held back, and those that run are counted."""
        start(storage, 1)
        add(storage, new(2), new(3, kind="other"))
        storage.set_limits({MAIL: ONE})
        assert ids(claim(storage)) == jobs(3)

    @pytest.mark.parametrize("limit", [ONE, Limit()], ids=["set", "removed"])
    def test_jobs_that_ran_when_limits_changed_wait_by_the_new_ones(
        self, storage: Storage, limit: Limit
    ) -> None:
        """A retry and a requeue after `set_limits` go where new jobs go."""
        storage.set_limits({} if limit else {MAIL: ONE})
        retried = start(storage, 1)
        storage.set_limits({MAIL: limit})
        settle(storage, retried, retry(BEGAN))
        assert ids(claim(storage)) == jobs(1)
        settle(storage, retried._replace(attempt=2, token=2), BURY)
        add(storage, new(2))
        storage.requeue(jobs(1), BEGAN)
        assert ids(claim(storage)) == (jobs(1) if limit else jobs(1, 2))

    def test_a_removed_limit_holds_nobody_back(self, storage: Storage) -> None:
        """All that waited may start, in their order; another scope's limit holds on."""
        storage.set_limits({MAIL: ONE, Scope(By.QUEUE, "b"): ONE})
        add(storage, new(1), new(2), new(3, kind="other"), new(4, queue="b"), new(5, queue="b"))
        assert ids(claim(storage, limit=1)) == jobs(1)
        storage.set_limits({MAIL: Limit()})
        assert ids(claim(storage, queues=("default", "b"))) == jobs(2, 3, 4)
        storage.set_limits({Scope(By.QUEUE, "b"): Limit()})
        assert ids(claim(storage, queues=("b",))) == jobs(5)

    def test_a_lowered_limit_waits_until_enough_have_ended(self, storage: Storage) -> None:
        """Nobody is stopped; nobody starts while more run than may; a raised one lets more start."""
        storage.set_limits({MAIL: Limit(running=3)})
        add(storage, *(new(n) for n in range(9)))
        leases = claim(storage)
        storage.set_limits({MAIL: Limit(running=2)})
        settle(storage, leases[0], SUCCEED)
        assert claim(storage) == []
        settle(storage, leases[1], SUCCEED)
        assert ids(claim(storage)) == jobs(3)
        storage.set_limits({MAIL: Limit(running=4)})
        assert ids(claim(storage)) == jobs(4, 5)

    def test_next_due_ignores_jobs_that_wait_for_others_to_end(self, storage: Storage) -> None:
        """A worker would look in vain: it is told nothing, or of the next job that can start."""
        storage.set_limits({MAIL: ONE})
        lease = start(storage, 1)
        add(storage, new(2), new(3, run_at=at(5)))
        assert storage.next_due(["default"]) is None
        add(storage, new(4, kind="other", run_at=at(9)))
        assert storage.next_due(["default"]) == at(9)
        settle(storage, lease, SUCCEED)
        assert storage.next_due(["default"]) == BEGAN

    def test_next_due_of_a_full_key_is_that_of_another(self, storage: Storage) -> None:
        """Keys are looked at one by one."""
        storage.set_limits({MAIL: Limit(running_per_key=1)})
        add(storage, sized(1, "a"))
        claim(storage)
        add(storage, sized(2, "a"))
        assert storage.next_due(["default"]) is None
        add(storage, sized(3, "b", run_at=at(7)), sized(4, "c", run_at=at(6)))
        assert storage.next_due(["default"]) == at(6)

    def test_many_claimers_never_pass_a_limit(self, storage: Storage) -> None:
        """Of all that claim and settle at once, no more hold a place than there are; all jobs are run."""
        storage.set_limits({MAIL: Limit(running=3), QUEUE: Limit(running_per_key=2)})
        add(storage, *(sized(n, "ab"[n % 2]) for n in range(60)))
        lock, running, most, done = Lock(), 0, 0, 0

        def work(number: int) -> None:
            nonlocal running, most, done
            for _ in range(10_000):  # many more than it takes
                if done == 60:
                    return
                leases = claim(storage, limit=number)
                with lock:
                    running += len(leases)
                    most = max(most, running)
                with lock:
                    running -= len(leases)
                assert all(storage.settle([Settlement(lease, SUCCEED) for lease in leases], BEGAN))
                with lock:
                    done += len(leases)

        with ThreadPoolExecutor(4) as threads:
            list(threads.map(work, (1, 2, 3, 4)))
        assert (most <= 3, done) == (True, 60)

    def test_many_claimers_never_share_the_last_place(self, storage: Storage) -> None:
        """Of many that claim at the same time, under any limit, as many get a job as there is room."""
        storage.set_limits(
            {MAIL: Limit(running=5, rate=Rate(1, "1h", burst=7)), QUEUE: Limit(running_per_key=3)}
        )
        add(storage, *(sized(n, "ab"[n % 2]) for n in range(40)))
        with ThreadPoolExecutor(4) as threads:
            leases = [
                lease for part in threads.map(lambda _: claim(storage, limit=2), range(12)) for lease in part
            ]
        assert len(leases) == 5
        assert all(storage.settle([Settlement(lease, SUCCEED) for lease in leases], BEGAN))
        assert len(claim(storage)) == 2
