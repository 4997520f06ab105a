"""Leases while they run, and when they end."""

from jobsim.core.decide import Settlement, Why
from jobsim.core.events import Event
from jobsim.core.job import State
from jobsim.core.time import Instant
from jobsim.core.transitions import Kind
from jobsim.storage.base import Storage
from jobsim.testing.conformance_base import (
    ANN,
    BEGAN,
    BOB,
    SUCCEED,
    StorageRules,
    add,
    at,
    claim,
    job_id,
    last,
    lose,
    new,
    settle,
    snapshot,
    start,
    stored,
)


class LeaseRules(StorageRules):
    """`extend` and `expired`, rule 7."""

    def test_extend_lets_a_lease_last(self, storage: Storage) -> None:
        """The lease ends later, which an event tells; nothing else changes."""
        lease = start(storage)
        before = stored(storage, lease.id)
        assert storage.extend([lease], at(100), at(30)) == {lease.id}
        job = stored(storage, lease.id)
        assert job.lease_until == at(100)
        assert (job.state, job.attempt, job.token, job.run_at) == (State.RUNNING, 1, 1, before.run_at)
        assert last(storage) == Event(3, at(30), lease.id, Kind.EXTEND, 1, 5, 1, ANN, at(100), Why())

    def test_extend_never_shortens(self, storage: Storage) -> None:
        """An earlier end than before leaves the lease as it is, and held."""
        lease = start(storage)
        assert storage.extend([lease], at(10), at(5)) == {lease.id}
        assert stored(storage, lease.id).lease_until == at(60)
        assert last(storage).due == at(60)

    def test_extend_takes_many_leases(self, storage: Storage) -> None:
        """Those still held are returned, whether they are lengthened or long enough, and each is recorded."""
        add(storage, *(new(n) for n in range(4)))
        leases = claim(storage)
        storage.extend(leases[:1], at(300), at(1))
        settle(storage, leases[2], SUCCEED)
        assert storage.extend(leases, at(100), at(2)) == {job_id(0), job_id(1), job_id(3)}
        assert [job.lease_until for job in storage.find()] == [at(300), at(100), None, at(100)]
        told = [(event.job, event.due) for event in storage.events() if event.at == at(2)]
        assert told == [(job_id(0), at(300)), (job_id(1), at(100)), (job_id(3), at(100))]

    def test_extend_needs_the_token(self, storage: Storage) -> None:
        """A lease that was taken over, settled or cancelled is not held any more; nothing is recorded."""
        old = start(storage, 1)
        settle(storage, old, lose(at(61)), now=at(61))
        claim(storage, now=at(61), worker=BOB)
        settled, cancelled = start(storage, 2), start(storage, 3)
        settle(storage, settled, SUCCEED)
        storage.cancel([cancelled.id], BEGAN)
        unknown = settled._replace(id=job_id(9), key=settled.key + 1_000)
        before = snapshot(storage)
        assert storage.extend([old, settled, cancelled, unknown], at(500), at(62)) == set()
        assert snapshot(storage) == before

    def test_extend_of_nothing_does_nothing(self, storage: Storage) -> None:
        """An empty batch leaves no trace."""
        assert storage.extend([], at(100), BEGAN) == set()
        assert list(storage.events()) == []

    def test_extend_saves_a_lease_that_has_ended(self, storage: Storage) -> None:
        """While nobody took the job over, its worker may renew late."""
        lease = start(storage)
        assert storage.extend([lease], at(200), at(100)) == {lease.id}
        assert storage.expired(9, at(100)) == []

    def test_expired_finds_leases_that_ended_before_now(self, storage: Storage) -> None:
        """A lease is over after its last microsecond, not at it."""
        lease = start(storage)
        assert storage.expired(9, at(60)) == []
        assert storage.expired(9, Instant(at(60) + 1)) == [lease]

    def test_expired_tells_of_leases_as_they_stand(self, storage: Storage) -> None:
        """What comes back is the lease in force, with the end that it came to have."""
        lease = start(storage)
        storage.extend([lease], at(100), at(30))
        assert storage.expired(9, at(99)) == []
        assert storage.expired(9, at(101)) == [lease._replace(until=at(100))]

    def test_expired_changes_nothing(self, storage: Storage) -> None:
        """Looking is not judging: the job runs on, and can be settled by its worker."""
        lease = start(storage)
        before = snapshot(storage)
        storage.expired(9, at(61))
        assert snapshot(storage) == before
        assert settle(storage, lease, SUCCEED, now=at(61))
        assert storage.expired(9, at(61)) == []

    def test_expired_pages_by_key(self, storage: Storage) -> None:
        """Pages go on where the one before ended, however the leases were given, and leave none out."""
        add(storage, *(new(n, priority=n % 3) for n in range(10)))
        given = {lease.key: lease for lease in claim(storage)}
        after, pages = 0, []
        for size in (4, 4, 2):
            pages.append(storage.expired(4, at(61), after))
            assert len(pages[-1]) == size
            after = pages[-1][-1].key
        assert storage.expired(4, at(61), after) == []
        assert [lease for page in pages for lease in page] == [given[key] for key in sorted(given)]

    def test_expired_pages_pass_what_was_not_settled(self, storage: Storage) -> None:
        """Jobs that stay expired, whatever is done, hide no later ones."""
        add(storage, *(new(n) for n in range(3)))
        first, second, third = sorted(claim(storage), key=lambda lease: lease.key)
        assert storage.expired(1, at(61), first.key) == [second]
        assert storage.expired(1, at(61), second.key) == [third]
        assert storage.expired(1, at(61), third.key) == []

    def test_expired_job_can_be_brought_back_once(self, storage: Storage) -> None:
        """Of two reapers and a late worker, the first to settle wins."""
        lease = start(storage)
        [one] = storage.expired(9, at(61))
        [two] = storage.expired(9, at(61))
        assert settle(storage, one, lose(at(62)), now=at(61))
        late = [Settlement(two, lose(at(62))), Settlement(lease, SUCCEED)]
        assert storage.settle(late, at(61)) == [False, False]
        assert stored(storage, lease.id).state is State.FAILED

    def test_key_of_a_job_stays(self, storage: Storage) -> None:
        """The key is the same at each claim, and no two jobs have one."""
        add(storage, new(1), new(2))
        keys = {lease.id: lease.key for lease in claim(storage)}
        assert len(set(keys.values())) == 2
        for lease in storage.expired(9, at(61)):
            settle(storage, lease, lose(at(61)), now=at(61))
        assert {lease.id: lease.key for lease in claim(storage, now=at(61))} == keys
