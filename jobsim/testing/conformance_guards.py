"""Budgets and breakers: what they make of settlements, and breakers of claims."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from jobsim.core.breaker import Breaker, Stops
from jobsim.core.budget import Budget, WhenEmpty
from jobsim.core.decide import Decision, Settlement
from jobsim.core.events import Event
from jobsim.core.job import Conflict, Lease, State
from jobsim.core.limits import By, Limit, Rate, Scope
from jobsim.core.time import Duration, Instant
from jobsim.core.transitions import Kind
from jobsim.storage.base import Storage
from jobsim.testing.conformance_base import (
    ANN,
    BEGAN,
    BURY,
    MINUTE,
    SUCCEED,
    StorageRules,
    add,
    at,
    claim,
    last,
    lose,
    new,
    release,
    retry,
    settle,
    start,
    stored,
)
from jobsim.testing.conformance_rates import MAIL, QUEUE, SCOPES, ids, jobs

STRICT: Final = Budget(capacity=2, first_try=0, success=1, per_second=0, when_empty=WhenEmpty.DEAD_LETTER)
PATIENT: Final = Budget(capacity=1, first_try=0, per_second=0.1)
SHY: Final = Breaker(threshold=0.5, min_calls=2, window="1m", open_for="20s")


def budget(scope: Scope, value: Budget = STRICT) -> dict[Scope, Limit]:
    """Return limits to put in force: a budget alone."""
    return {scope: Limit(budget=value)}


def fail(storage: Storage, number: int, seconds: float = 0) -> Event:
    """Let an attempt of a new job fail so many seconds after the tests begin, and return what is logged."""
    now = at(seconds)
    add(storage, new(number, run_at=now, priority=number), now=now)
    [lease] = claim(storage, 1, now)
    assert settle(storage, lease, retry(now), now)
    return last(storage)


def trip(storage: Storage, first: int = 100) -> None:
    """Let so many attempts fail, of jobs that are out of the way then, that `SHY` opens."""
    leases = [start(storage, number) for number in (first, first + 1)]
    for lease in leases:
        settle(storage, lease, BURY._replace(why=BURY.why._replace(reason="exhausted")))


class GuardRules(StorageRules):
    """`Limit.budget` and `Limit.breaker`, rule 18."""

    def test_budgets_and_breakers_are_read_back(self, storage: Storage) -> None:
        """Every field is as it was put in force, beside the limits of the same scope."""
        leaky = Budget(
            capacity=3.5, first_try=0.2, late_success=1.1, per_second=0, cost=0.25, timeout_cost=2,
            failure_cost=0.5, threshold=1.001, ttl="10s", when_empty=WhenEmpty.DEAD_LETTER,
        )  # fmt: skip
        broken = Breaker(
            threshold=0.1, window="200ms", min_calls=3, open_for="2m", probes=4, stops=Stops.RETRIES
        )
        limits = {
            Scope(By.KIND, "a"): Limit(running=3, rate=Rate(100, "1m", 7), budget=leaky, breaker=SHY),
            Scope(By.QUEUE, "a"): Limit(breaker=broken),
            Scope(By.QUEUE, "Zoë\0'"): Limit(budget=PATIENT),
        }
        storage.set_limits(limits)
        assert storage.limits() == limits

    @SCOPES
    def test_a_retry_that_cannot_be_paid_becomes_a_dead_letter(self, storage: Storage, scope: Scope) -> None:
        """A budget pays so many retries, and then none until something succeeds."""
        storage.set_limits(budget(scope))
        told = [fail(storage, n) for n in range(3)]
        assert [event.kind for event in told] == [Kind.RETRY, Kind.RETRY, Kind.DEAD_LETTER]
        assert told[2].why == ("failed", "budget", "ValueError: not yet")
        assert stored(storage, told[2].job).state is State.DEAD_LETTER
        storage.cancel(jobs(0, 1), BEGAN)
        settle(storage, start(storage, 4), SUCCEED)
        assert [fail(storage, n).kind for n in (5, 6)] == [Kind.RETRY, Kind.DEAD_LETTER]

    def test_a_retry_waits_until_it_is_paid(self, storage: Storage) -> None:
        """Each waits behind those before it, for as long as the tokens need to come in."""
        storage.set_limits(budget(MAIL, PATIENT))
        told = [fail(storage, n) for n in range(3)]
        assert [event.due for event in told] == [BEGAN, at(10), at(20)]
        assert [event.why.reason for event in told] == ["backoff", "budget", "budget"]
        assert stored(storage, told[2].job).run_at == at(20)

    def test_a_retry_that_waits_too_long_becomes_a_dead_letter(self, storage: Storage) -> None:
        """None is put off beyond the latest moment that its policy allows, and then it pays nothing."""
        storage.set_limits(budget(MAIL, PATIENT))
        fail(storage, 1)
        storage.cancel(jobs(1), BEGAN)
        settle(storage, start(storage, 2), retry(BEGAN)._replace(latest=at(9)))
        assert (last(storage).kind, last(storage).why.reason) == (Kind.DEAD_LETTER, "too_old")
        assert fail(storage, 3).due == at(10)

    def test_a_refused_settlement_neither_pays_nor_earns(self, storage: Storage) -> None:
        """What a zombie says of an attempt that is over changes no budget, nor does saying it twice."""
        storage.set_limits(budget(MAIL))
        lease = start(storage, 1)
        assert storage.settle([Settlement(lease, retry(at(9)))] * 2, BEGAN) == [True, False]
        assert not settle(storage, lease, retry(at(9)))
        assert not settle(storage, lease, SUCCEED)
        assert [fail(storage, n).kind for n in (2, 3)] == [Kind.RETRY, Kind.DEAD_LETTER]

    def test_a_batch_is_judged_in_its_order(self, storage: Storage) -> None:
        """The last token is for the first that asks."""
        storage.set_limits(budget(MAIL, replace(STRICT, capacity=1)))
        add(storage, *(new(n) for n in range(3)))
        one, two, three = claim(storage)
        batch = [Settlement(two, retry(at(9))), Settlement(one, retry(at(9))), Settlement(three, SUCCEED)]
        storage.settle(batch, BEGAN)
        states = [stored(storage, lease.id).state for lease in (one, two, three)]
        assert states == [State.DEAD_LETTER, State.FAILED, State.SUCCEEDED]

    def test_both_budgets_pay_or_none(self, storage: Storage) -> None:
        """A retry that the queue's budget cannot pay costs the kind nothing."""
        storage.set_limits({**budget(MAIL), **budget(QUEUE, replace(STRICT, capacity=1))})
        assert [fail(storage, n).kind for n in (1, 2, 3)] == [Kind.RETRY, Kind.DEAD_LETTER, Kind.DEAD_LETTER]
        storage.set_limits({QUEUE: Limit()})
        assert [fail(storage, n).kind for n in (4, 5)] == [Kind.RETRY, Kind.DEAD_LETTER]

    @pytest.mark.parametrize("decision", [lose(at(70)), release(at(70))], ids=["lost", "released"])
    def test_who_did_not_fail_pays_nothing(self, storage: Storage, decision: Decision) -> None:
        """Neither a lost worker nor one that shuts down is a failure of what jobs depend on."""
        storage.set_limits({MAIL: Limit(budget=replace(STRICT, failure_cost=1), breaker=SHY)})
        for number in (1, 2, 3):
            settle(storage, start(storage, number), decision, at(61))
        assert storage.counts()[State.DEAD_LETTER] == 0
        assert fail(storage, 4, 61).kind is Kind.RETRY

    def test_errors_that_are_not_retried_are_no_failures(self, storage: Storage) -> None:
        """They say nothing of what jobs depend on."""
        storage.set_limits({MAIL: Limit(budget=replace(STRICT, failure_cost=1), breaker=SHY)})
        for number in (1, 2, 3):
            settle(storage, start(storage, number), BURY)
        assert fail(storage, 4).kind is Kind.RETRY

    def test_a_job_that_was_replaced_pays_nothing(self, storage: Storage) -> None:
        """It is cancelled in place of its retry."""
        storage.set_limits(budget(MAIL, replace(STRICT, capacity=1)))
        lease = start(storage, 1, unique_key="k")
        add(storage, new(2, unique_key="k", conflict=Conflict.REPLACE))
        settle(storage, lease, retry(at(9)))
        assert last(storage).kind is Kind.CANCEL
        assert fail(storage, 3) is not None
        assert stored(storage, jobs(3)[0]).state is State.FAILED

    def test_the_same_budget_put_in_force_again_stands_as_it_stood(self, storage: Storage) -> None:
        """Every worker that starts says its limits; none of them fills the bucket. Another begins anew."""
        storage.set_limits({MAIL: Limit(budget=STRICT, breaker=SHY)})
        fail(storage, 1)
        before = storage.tallies()
        assert before.keys() == {MAIL}
        storage.set_limits({MAIL: Limit(budget=STRICT, breaker=SHY, running=9)})
        assert storage.tallies() == before
        storage.set_limits({MAIL: Limit(budget=replace(STRICT, capacity=3), breaker=SHY)})
        [tally] = storage.tallies().values()
        assert (tally.purse, tally.circuit) == (None, before[MAIL].circuit)

    def test_tallies_outlive_their_store(self, storage: Storage, tmp_path: Path) -> None:
        """Another process goes on with what is left, and finds the breaker open."""
        if not self.reopens():
            pytest.skip("this store ends with its process")
        storage.set_limits({MAIL: Limit(budget=STRICT, breaker=SHY)})
        trip(storage)
        before = storage.tallies()
        storage.close()
        again = self.make_storage(tmp_path)
        try:
            assert again.tallies() == before
            add(again, new(1))
            assert claim(again) == []
        finally:
            again.close()

    def test_settlements_at_the_same_time_share_the_budget(self, storage: Storage) -> None:
        """Many who settle at once are granted no more than there is."""
        storage.set_limits({**budget(MAIL, replace(STRICT, capacity=5)), **budget(QUEUE)})
        storage.set_limits({QUEUE: Limit()})
        add(storage, *(new(n, kind="mail" if n % 3 else "post") for n in range(24)))
        leases = claim(storage)

        def work(share: list[Lease]) -> None:
            for lease in share:
                storage.exchange([Settlement(lease, retry(at(99)))], ANN, ["default"], 1, MINUTE, BEGAN)

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, [leases[n::4] for n in range(4)]))
        kinds = [job.kind for job in storage.find(states=[State.FAILED])]
        assert (kinds.count("mail"), kinds.count("post")) == (5, 8)

    @SCOPES
    def test_an_open_breaker_lets_nothing_start(self, storage: Storage, scope: Scope) -> None:
        """Jobs wait and use no attempt up, and `next_due` tells until when."""
        storage.set_limits({scope: Limit(breaker=SHY)})
        trip(storage)
        add(storage, new(1), new(2, run_at=at(30)))
        assert claim(storage, now=Instant(at(20) - 1)) == []
        assert storage.next_due(["default"]) == at(20)
        assert stored(storage, jobs(1)[0]).attempt == 0

    def test_a_half_open_breaker_lets_probes_through(self, storage: Storage) -> None:
        """So many at a time, until so many have succeeded; then it is closed."""
        storage.set_limits({MAIL: Limit(breaker=replace(SHY, probes=2))})
        trip(storage)
        add(storage, *(new(n) for n in range(6)))
        one, two = claim(storage, now=at(20))
        assert claim(storage, now=at(20)) == []
        assert storage.next_due(["default"]) is None
        settle(storage, one, SUCCEED, at(21))
        assert claim(storage, now=at(21)) == []
        settle(storage, two, SUCCEED, at(22))
        assert len(claim(storage, now=at(22))) == 4

    def test_a_probe_that_fails_opens_the_breaker_again(self, storage: Storage) -> None:
        """For as long as at first; a probe that was lost with its worker says nothing."""
        storage.set_limits({MAIL: Limit(breaker=SHY)})
        trip(storage)
        add(storage, new(1), new(2), new(3))
        [probe] = claim(storage, now=at(20), lease=Duration(1))
        settle(storage, probe, lose(at(90)), at(21))
        [probe] = claim(storage, now=at(21))
        settle(storage, probe, retry(at(21)), at(25))
        assert claim(storage, now=Instant(at(45) - 1)) == []
        assert len(claim(storage, now=at(45))) == 1

    def test_what_ends_while_it_is_open_changes_nothing(self, storage: Storage) -> None:
        """Attempts that began before may succeed or fail."""
        storage.set_limits({MAIL: Limit(breaker=SHY)})
        early = [start(storage, number) for number in (1, 2)]
        trip(storage)
        before = storage.tallies()
        for lease, decision in zip(early, (SUCCEED, retry(at(19))), strict=True):
            settle(storage, lease, decision, at(19))
        assert storage.tallies() == before

    def test_an_exchange_goes_by_what_it_has_settled(self, storage: Storage) -> None:
        """Where its settlements open the breaker, it claims nothing, and tells until when."""
        storage.set_limits({MAIL: Limit(breaker=SHY)})
        add(storage, *(new(n) for n in range(3)))
        batch = [Settlement(lease, retry(at(50))) for lease in claim(storage, 2)]
        assert storage.exchange(batch, ANN, ["default"], 9, MINUTE, BEGAN)[1:] == ([], at(20))

    def test_failures_of_long_ago_do_not_open_a_breaker(self, storage: Storage) -> None:
        """Only those within its window count."""
        storage.set_limits({MAIL: Limit(breaker=SHY)})
        for number, seconds in ((1, 0), (2, 61), (3, 122)):
            fail(storage, number, seconds)
            storage.cancel(jobs(number), at(seconds))
        add(storage, new(4), now=at(122))
        assert ids(claim(storage, now=at(122))) == jobs(4)

    def test_a_breaker_may_stop_retries_alone(self, storage: Storage) -> None:
        """First attempts go on, and what fails becomes a dead letter, as long as so many do."""
        storage.set_limits({MAIL: Limit(breaker=replace(SHY, stops=Stops.RETRIES))})
        told = [fail(storage, n) for n in range(3)]
        assert [event.kind for event in told] == [Kind.RETRY, Kind.DEAD_LETTER, Kind.DEAD_LETTER]
        assert told[1].why.reason == "breaker"
        assert fail(storage, 4, 70).kind is Kind.RETRY

    def test_a_breaker_that_is_removed_holds_nobody_back(self, storage: Storage) -> None:
        """What waited may start at once."""
        storage.set_limits({MAIL: Limit(breaker=SHY, budget=STRICT)})
        trip(storage)
        add(storage, new(1))
        storage.set_limits({MAIL: Limit(budget=STRICT)})
        assert ids(claim(storage)) == jobs(1)
        storage.set_limits({MAIL: Limit()})
        assert storage.tallies() == {}
