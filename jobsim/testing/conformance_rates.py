"""Limits on how often attempts start."""

import pytest

from jobsim.core.job import JobId, Lease
from jobsim.core.limits import By, Limit, Rate, Scope
from jobsim.core.time import Instant
from jobsim.storage.base import Storage
from jobsim.testing.conformance_base import (
    ANN,
    BEGAN,
    MINUTE,
    SUCCEED,
    StorageRules,
    add,
    at,
    claim,
    job_id,
    new,
    release,
    settle,
    start,
)

MAIL = Scope(By.KIND, "mail")
QUEUE = Scope(By.QUEUE, "default")
ONE = Limit(running=1)
SCOPES = pytest.mark.parametrize("scope", [MAIL, QUEUE], ids=lambda scope: scope.by.value)


def ids(leases: list[Lease]) -> list[JobId]:
    """Return the jobs of `leases`, in their order."""
    return [lease.id for lease in leases]


def jobs(*numbers: int) -> list[JobId]:
    """Return the ids of these numbers."""
    return [job_id(number) for number in numbers]


class RateRules(StorageRules):
    """`Limit.rate`, rule 17."""

    @SCOPES
    def test_a_rate_spaces_starts_evenly(self, storage: Storage, scope: Scope) -> None:
        """One starts each `per / starts`, not a microsecond earlier, however many are asked for."""
        storage.set_limits({scope: Limit(rate=Rate(6, "1m"))})
        add(storage, *(new(n) for n in range(4)))
        assert ids(claim(storage)) == jobs(0)
        for number in (1, 2, 3):
            due = at(10 * number)
            assert claim(storage, now=Instant(due - 1)) == []
            assert storage.next_due(["default"]) == due
            assert ids(claim(storage, now=due)) == jobs(number)

    def test_a_burst_starts_together_after_a_pause(self, storage: Storage) -> None:
        """As many as it says, then one by one; a pause of any length gives one burst, no more."""
        storage.set_limits({MAIL: Limit(rate=Rate(6, "1m", burst=3))})
        add(storage, *(new(n) for n in range(20)))
        assert ids(claim(storage)) == jobs(0, 1, 2)
        assert claim(storage, now=at(9)) == []
        assert ids(claim(storage, now=at(10))) == jobs(3)
        assert ids(claim(storage, now=at(35))) == jobs(4, 5)
        assert ids(claim(storage, now=at(1_000))) == jobs(6, 7, 8)

    def test_a_rate_goes_by_starts_not_by_ends(self, storage: Storage) -> None:
        """Neither an end nor a release gives a start back."""
        storage.set_limits({MAIL: Limit(rate=Rate(1, "10s"))})
        settle(storage, start(storage, 1), release(BEGAN))
        assert claim(storage, now=at(9)) == []
        assert ids(claim(storage, now=at(10))) == jobs(1)

    def test_a_rate_is_not_used_up_by_a_job_that_cannot_start(self, storage: Storage) -> None:
        """A start that another limit holds back takes no turn."""
        storage.set_limits({MAIL: Limit(rate=Rate(1, "10s")), QUEUE: ONE})
        lease = start(storage, 1, kind="other")
        add(storage, new(2))
        assert claim(storage, now=at(1)) == []
        settle(storage, lease, SUCCEED)
        assert ids(claim(storage, now=at(1))) == jobs(2)

    def test_next_due_is_the_later_of_run_at_and_turn(self, storage: Storage) -> None:
        """A job whose time comes after its turn is due at its time."""
        storage.set_limits({MAIL: Limit(rate=Rate(1, "10s"))})
        start(storage, 1)
        add(storage, new(2, run_at=at(15)))
        assert storage.next_due(["default"]) == at(15)
        add(storage, new(3))
        assert storage.next_due(["default"]) == at(10)

    def test_an_exchange_tells_of_the_turn(self, storage: Storage) -> None:
        """It answers as `next_due` would."""
        storage.set_limits({MAIL: Limit(rate=Rate(1, "10s"))})
        add(storage, new(1), new(2))
        _, leases, due = storage.exchange([], ANN, ["default"], 9, MINUTE, BEGAN)
        assert (ids(leases), due) == (jobs(1), at(10))

    def test_the_same_rate_put_in_force_again_keeps_its_turn(self, storage: Storage) -> None:
        """Every worker that starts says its limits; none of them grants another start."""
        storage.set_limits({MAIL: Limit(rate=Rate(1, "10s"))})
        start(storage, 1)
        add(storage, new(2))
        storage.set_limits({MAIL: Limit(rate=Rate(1, "10s"), running=9)})
        assert claim(storage, now=at(9)) == []
        assert ids(claim(storage, now=at(10))) == jobs(2)

    def test_another_rate_begins_anew(self, storage: Storage) -> None:
        """Who makes a slow rate faster does not wait for the turn of the slow one."""
        storage.set_limits({MAIL: Limit(rate=Rate(1, "1h"))})
        start(storage, 1)
        add(storage, new(2), new(3))
        storage.set_limits({MAIL: Limit(rate=Rate(1, "1s"))})
        assert ids(claim(storage, now=at(1))) == jobs(2)
        assert claim(storage, now=at(1)) == []
