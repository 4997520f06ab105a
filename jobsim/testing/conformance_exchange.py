"""Settling and claiming at once."""

from pathlib import Path

from jobsim.core.decide import Settlement
from jobsim.storage.base import Storage
from jobsim.testing.conformance_base import (
    ANN,
    BEGAN,
    BOB,
    BURY,
    MINUTE,
    QUEUES,
    SUCCEED,
    StorageRules,
    add,
    at,
    claim,
    job_id,
    new,
    release,
    retry,
    settle,
    snapshot,
    start,
)


class ExchangeRules(StorageRules):
    """`exchange`, rule 13."""

    def test_exchange_is_settle_then_claim_then_next_due(self, tmp_path: Path) -> None:
        """What it returns, the jobs and the log are those of the three calls."""
        once, stepwise = (self._prepared(tmp_path / name) for name in ("once", "stepwise"))
        decisions = [SUCCEED, BURY, retry(at(2)), release(at(3)), retry(at(9)), SUCCEED]
        for now in (at(2), at(3), at(9)):
            batches = []
            for storage in (once, stepwise):
                running = [lease for lease in storage.expired(99, at(10_000)) if lease.until > at(60)]
                batches.append([Settlement(ls, decisions[ls.key % 6]) for ls in running])
            answer = once.exchange(batches[0], ANN, QUEUES, 3, MINUTE, now)
            settled = stepwise.settle(batches[1], now)
            leases = stepwise.claim(ANN, QUEUES, 3, MINUTE, now)
            assert answer == (settled, leases, stepwise.next_due(QUEUES))
            assert snapshot(once) == snapshot(stepwise)
        once.close()
        stepwise.close()

    def _prepared(self, directory: Path) -> Storage:
        directory.mkdir()
        storage = self.make_storage(directory)
        add(storage, *(new(n, priority=n % 3, run_at=at(n % 4)) for n in range(24)))
        leases = claim(storage, limit=4, now=at(1))
        settle(storage, leases[0], SUCCEED, now=at(1))
        return storage

    def test_exchange_can_claim_what_it_released(self, storage: Storage) -> None:
        """A job given back, and due, goes out again in the same call."""
        batch = [Settlement(start(storage), release(at(1)))]
        done, [lease], due = storage.exchange(batch, ANN, QUEUES, 9, MINUTE, at(1))
        assert (done, lease.id, lease.token, due) == ([True], job_id(1), 2, None)

    def test_exchange_without_a_slot_only_settles(self, storage: Storage) -> None:
        """A limit of 0 claims nothing; the answer still tells when the next job is due."""
        batch = [Settlement(start(storage), SUCCEED)]
        add(storage, new(2, run_at=at(5)), new(3, run_at=at(7)))
        assert storage.exchange(batch, ANN, QUEUES, 0, MINUTE, at(1)) == ([True], [], at(5))

    def test_exchange_without_an_attempt_only_claims(self, storage: Storage) -> None:
        """Nothing need be finished."""
        add(storage, new(1), new(2), new(3, run_at=at(5)))
        done, leases, due = storage.exchange([], ANN, QUEUES, 1, MINUTE, BEGAN)
        assert (done, [lease.id for lease in leases], due) == ([], [job_id(1)], BEGAN)

    def test_exchange_reports_what_it_refused(self, storage: Storage) -> None:
        """A settlement that comes too late does not keep new leases back."""
        lease = start(storage, 1)
        settle(storage, lease, SUCCEED)
        add(storage, new(2))
        done, leases, _ = storage.exchange([Settlement(lease, BURY)], ANN, QUEUES, 9, MINUTE, BEGAN)
        assert (done, [lease.id for lease in leases]) == ([False], [job_id(2)])

    def test_exchange_waits_for_what_another_clock_saw_due(self, storage: Storage) -> None:
        """What a worker whose clock is ahead found due is not claimed before its time, and is told of."""
        add(storage, new(1, run_at=at(5), priority=9), new(2), new(3))
        storage.exchange([], BOB, QUEUES, 0, MINUTE, at(9))
        _, [first], due = storage.exchange([], ANN, QUEUES, 1, MINUTE, at(1))
        assert (first.id, due) == (job_id(2), at(0))
        _, [second], due = storage.exchange([], ANN, QUEUES, 9, MINUTE, at(1))
        assert (second.id, due) == (job_id(3), at(5))
        assert storage.exchange([], ANN, QUEUES, 9, MINUTE, at(2)) == ([], [], at(5))

    def test_exchange_tells_of_all_its_queues(self, storage: Storage) -> None:
        """When the next job is due is told of the queues together, of ready jobs first."""
        add(storage, new(1), new(2, queue="other"), new(3, queue="other", run_at=at(5)), new(4, run_at=at(7)))
        both = ("default", "other")
        _, leases, due = storage.exchange([], ANN, both, 1, MINUTE, at(1))
        assert (len(leases), due) == (1, at(0))
        batch = [Settlement(leases[0], retry(at(6)))]
        done, leases, due = storage.exchange(batch, ANN, both, 1, MINUTE, at(1))
        assert (done, len(leases), due) == ([True], 1, at(5))
        assert storage.exchange([], ANN, ("default",), 9, MINUTE, at(1)) == ([], [], at(6))
