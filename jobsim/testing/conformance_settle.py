"""Writing what became of attempts."""

import pytest

from jobsim.core.decide import Decision, Settlement, Why
from jobsim.core.events import Event
from jobsim.core.job import UNLIMITED, State
from jobsim.core.time import Duration
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
    lose,
    new,
    release,
    retry,
    settle,
    snapshot,
    start,
    stored,
)

CANCEL = Decision(Kind.CANCEL, Why("cancelled", "handler", "no longer wanted"))


class SettleRules(StorageRules):
    """`settle`, rules 7, 8 and 11."""

    @pytest.mark.parametrize(
        ("decision", "state"),
        [(SUCCEED, State.SUCCEEDED), (BURY, State.DEAD_LETTER), (CANCEL, State.CANCELLED)],
        ids=lambda value: value.kind if isinstance(value, Decision) else "",
    )
    def test_settling_for_good_ends_the_job(self, storage: Storage, decision: Decision, state: State) -> None:
        """The job is final since now, its lease over, the attempt counted, and an event says so."""
        lease = start(storage)
        assert settle(storage, lease, decision, now=at(3))
        job = stored(storage, lease.id)
        assert (job.state, job.finished) == (state, at(3))
        assert (job.lease_until, job.worker, job.attempt, job.token) == (None, None, 1, 1)
        assert job.run_at == BEGAN
        why = decision.why
        assert last(storage) == Event(3, at(3), lease.id, decision.kind, 1, 5, 1, ANN, None, why)

    def test_retry_lets_the_job_wait(self, storage: Storage) -> None:
        """A failed attempt is counted, and the job waits for its time with its delay."""
        lease = start(storage)
        decision = retry(at(9), Duration(7))
        assert settle(storage, lease, decision, now=at(3))
        job = stored(storage, lease.id)
        assert (job.state, job.run_at, job.delay, job.attempt, job.token) == (State.FAILED, at(9), 7, 1, 1)
        assert (job.finished, job.lease_until, job.worker) == (None, None, None)
        assert last(storage) == Event(3, at(3), lease.id, Kind.RETRY, 1, 5, 1, ANN, at(9), decision.why)

    def test_release_gives_the_attempt_back(self, storage: Storage) -> None:
        """A released job is pending as if not started, but for its token."""
        lease = start(storage)
        decision = release(at(4))._replace(delay=Duration(2))
        assert settle(storage, lease, decision, now=at(3))
        job = stored(storage, lease.id)
        assert (job.state, job.attempt, job.token) == (State.PENDING, 0, 1)
        assert (job.run_at, job.delay, job.lease_until, job.worker) == (at(4), 2, None, None)
        assert (job.attempted, job.finished) == (BEGAN, None)
        assert last(storage) == Event(3, at(3), lease.id, Kind.RELEASE, 0, 5, 1, ANN, at(4), decision.why)

    def test_result_is_kept(self, storage: Storage) -> None:
        """What a handler returned comes back as it was."""
        lease = start(storage)
        settle(storage, lease, SUCCEED._replace(result='{"é": 1}'))
        assert stored(storage, lease.id).result == '{"é": 1}'

    def test_last_error_is_the_latest(self, storage: Storage) -> None:
        """Each failure's text takes the place of the one before, and success leaves it there."""
        lease = start(storage)
        for number in range(3):
            settle(storage, lease, retry(BEGAN, error=f"error {number}"))
            assert stored(storage, lease.id).last_error == f"error {number}"
            [lease] = claim(storage)
        settle(storage, lease, SUCCEED)
        assert stored(storage, lease.id).last_error == "error 2"

    def test_settling_nothing_does_nothing(self, storage: Storage) -> None:
        """An empty batch leaves no trace."""
        assert storage.settle([], BEGAN) == []
        assert list(storage.events()) == []

    def test_answers_come_in_the_order_of_the_batch(self, storage: Storage) -> None:
        """A refused settlement is reported at its own place, and the others are written."""
        leases = [start(storage, number) for number in range(4)]
        settle(storage, leases[1], SUCCEED)
        batch = list(map(Settlement, leases, [SUCCEED, BURY, retry(at(1)), CANCEL]))
        assert storage.settle(batch, at(2)) == [True, False, True, True]
        states = [job.state for job in storage.find()]
        assert states == [State.SUCCEEDED, State.SUCCEEDED, State.FAILED, State.CANCELLED]
        kinds = [event.kind for event in storage.events()][-4:]
        assert kinds == [Kind.SUCCEED, Kind.REFUSE, Kind.RETRY, Kind.CANCEL]

    def test_stale_token_is_refused(self, storage: Storage) -> None:
        """A worker that lost its lease changes nothing; the log alone says that it tried, and with what."""
        old = start(storage, max_attempts=9)
        settle(storage, old, lose(at(61)), now=at(61))
        [lease] = claim(storage, now=at(61), worker=BOB)
        before = storage.find()
        assert not settle(storage, old, BURY, now=at(62))
        assert storage.find() == before
        assert last(storage) == Event(5, at(62), old.id, Kind.REFUSE, 1, 9, 1, ANN, None, BURY.why)
        assert settle(storage, lease, SUCCEED, now=at(63))

    def test_attempt_is_settled_once(self, storage: Storage) -> None:
        """A second settlement under the same lease is refused, also within a batch."""
        one, two = start(storage, 1), start(storage, 2)
        assert settle(storage, one, SUCCEED)
        assert not settle(storage, one, SUCCEED)
        assert storage.settle([Settlement(two, retry(at(1))), Settlement(two, SUCCEED)], BEGAN) == [
            True,
            False,
        ]
        assert [job.state for job in storage.find()] == [State.SUCCEEDED, State.FAILED]

    def test_unknown_job_is_refused_without_a_trace(self, storage: Storage) -> None:
        """There is no history that such a settlement could be part of."""
        lease = start(storage)
        before = snapshot(storage)
        assert not settle(storage, lease._replace(id=job_id(77)), SUCCEED)
        assert not settle(storage, lease._replace(id=job_id(77), key=lease.key + 1), SUCCEED)
        assert snapshot(storage) == before

    def test_lease_of_another_job_is_refused(self, storage: Storage) -> None:
        """A lease is one job's: neither its key nor its id alone will do."""
        one, two = start(storage, 1), start(storage, 2)
        before = storage.find()
        assert not settle(storage, one._replace(id=two.id), SUCCEED)
        assert storage.find() == before

    @pytest.mark.parametrize("kind", [Kind.ENQUEUE, Kind.CLAIM, Kind.EXTEND, Kind.REQUEUE, Kind.REFUSE])
    def test_kind_that_ends_no_attempt_is_refused(self, storage: Storage, kind: Kind) -> None:
        """What the transition table does not know is refused for itself; the batch goes on."""
        one, two = start(storage, 1), start(storage, 2)
        batch = [Settlement(one, Decision(kind, Why(), at(9))), Settlement(two, SUCCEED)]
        assert storage.settle(batch, at(1)) == [False, True]
        assert [job.state for job in storage.find()] == [State.RUNNING, State.SUCCEEDED]
        assert settle(storage, one, SUCCEED)

    @pytest.mark.parametrize("decision", [retry(at(9)), release(at(9))], ids=["retry", "release"])
    def test_waiting_without_a_time_is_refused(self, storage: Storage, decision: Decision) -> None:
        """A job that never came due would be lost."""
        lease = start(storage)
        assert not settle(storage, lease, decision._replace(due=None))
        assert stored(storage, lease.id).state is State.RUNNING

    def test_retry_without_an_attempt_left_is_refused(self, storage: Storage) -> None:
        """No attempt passes the limit; a release gives its own back and is possible."""
        lease = start(storage, max_attempts=1)
        assert not settle(storage, lease, retry(at(9)))
        assert settle(storage, lease, release(at(9)))

    def test_lease_that_ended_can_still_be_settled(self, storage: Storage) -> None:
        """Time alone takes no lease away: while nobody took the job over, the result counts."""
        lease = start(storage)
        assert settle(storage, lease, SUCCEED, now=at(1_000))

    def test_loss_is_refused_before_the_lease_ends(self, storage: Storage) -> None:
        """A reaper that saw a lease end does no harm where it was renewed since."""
        lease = start(storage)
        [seen] = storage.expired(9, at(61))
        storage.extend([lease], at(120), at(61))
        assert not settle(storage, seen, lose(at(61)), now=at(62))
        assert not settle(storage, seen, lose(at(120)), now=at(120))
        assert settle(storage, seen, lose(at(121)), now=at(121))

    def test_error_that_is_not_unicode_stops_nothing(self, storage: Storage) -> None:
        """An error text with half a surrogate pair, such as of a file name, is kept as well as may be."""
        one, two = start(storage, 1), start(storage, 2)
        batch = [
            Settlement(one, retry(at(9), error="no file b\udcff")),
            Settlement(two, SUCCEED._replace(result='"\ud800"')),
        ]
        assert storage.settle(batch, at(1)) == [True, True]
        error = stored(storage, one.id).last_error
        assert error is not None
        assert error.startswith("no file b")
        assert stored(storage, two.id).state is State.SUCCEEDED

    def test_many_attempts_are_settled_as_one_batch(self, storage: Storage) -> None:
        """Hundreds of settlements of all kinds fit one call."""
        add(storage, *(new(n, max_attempts=UNLIMITED) for n in range(500)))
        decisions = [SUCCEED, BURY, retry(at(5)), release(at(5)), CANCEL]
        batch = [Settlement(ls, decisions[n % 5]) for n, ls in enumerate(claim(storage, limit=500))]
        assert storage.settle(batch, at(1)) == [True] * 500
        assert set(storage.counts().values()) == {0, 100}
        assert [event.seq for event in storage.events()] == list(range(1, 1501))
        assert [event.kind for event in storage.events(after=1000)] == [d.kind for d in decisions] * 100
