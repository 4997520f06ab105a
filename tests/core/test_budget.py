"""Retry budgets."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobsim.core.budget import TOKEN, Budget, Ending, Purse, WhenEmpty
from jobsim.core.errors import ConfigError
from jobsim.core.time import MAX_DURATION, SECOND, Instant

NOW = Instant(1_767_225_600 * SECOND)
STRICT = Budget(capacity=2, first_try=0, per_second=0, when_empty="dead_letter")


def after(seconds: float) -> Instant:
    return Instant(NOW + round(seconds * SECOND))


def paid(budget: Budget, purse: Purse, now: Instant = NOW, ending: Ending = Ending.FAILED) -> Purse:
    """Return the purse after a retry that must be granted."""
    assert budget.grants(purse, ending, now)
    purse, at = budget.pay(purse, ending, now)
    assert at == now
    return purse


def test_budget_begins_full_and_holds_no_more() -> None:
    """Neither successes nor time fill it beyond its capacity."""
    budget = Budget(capacity=2, success=1)
    purse = budget.ended(budget.open(NOW), Ending.SUCCEEDED, first=True, now=after(100))
    assert budget.available(purse, after(1_000)) == 2


@pytest.mark.parametrize(
    ("ending", "tries", "left"),
    [
        (Ending.SUCCEEDED, 1, 5 + 0.5 + 0.25),
        (Ending.SUCCEEDED, 2, 5 + 2),
        (Ending.FAILED, 1, 5 + 0.25 - 3),
        (Ending.TIMED_OUT, 2, 5 - 3),
    ],
)
def test_budget_earns_and_loses_by_how_attempts_end(ending: Ending, tries: int, left: float) -> None:
    """First tries, first and late successes and failures are told apart."""
    budget = Budget(capacity=9, first_try=0.25, success=0.5, late_success=2, failure_cost=3)
    purse = Purse(5 * TOKEN, NOW)
    assert budget.available(budget.ended(purse, ending, first=tries == 1, now=NOW), NOW) == left


def test_budget_owes_nothing_for_failures() -> None:
    """They take what there is, no more, so that the first successes count."""
    budget = replace(STRICT, success=1, failure_cost=3, cost=0, threshold=1)
    purse = budget.ended(budget.open(NOW), Ending.FAILED, first=True, now=NOW)
    assert not budget.grants(purse, Ending.FAILED, NOW)
    assert budget.grants(budget.ended(purse, Ending.SUCCEEDED, first=True, now=NOW), Ending.FAILED, NOW)


def test_budget_puts_nothing_off_beyond_all_bounds() -> None:
    """However much is owed, times fit what stores keep."""
    budget = Budget(capacity=1e9, cost=1e9, per_second=1e-6)
    purse, _ = budget.pay(budget.open(NOW), Ending.FAILED, NOW)
    assert budget.pay(purse, Ending.FAILED, NOW)[1] == NOW + MAX_DURATION


def test_budget_charges_timeouts_apart() -> None:
    """A retry after a timeout costs `timeout_cost`; after any other failure, `cost`."""
    budget = replace(STRICT, capacity=30, cost=5, timeout_cost=10)
    purse = paid(budget, budget.open(NOW), ending=Ending.TIMED_OUT)
    assert budget.available(paid(budget, purse), NOW) == 15


def test_budget_asks_for_its_threshold() -> None:
    """What must be there for a retry may be more than that costs."""
    budget = replace(STRICT, capacity=3, cost=1, threshold=2)
    purse = paid(budget, paid(budget, budget.open(NOW)))
    assert budget.available(purse, NOW) == 1
    assert not budget.grants(purse, Ending.FAILED, NOW)


def test_budget_refills_by_the_microsecond() -> None:
    """A third of a token a second is one after three seconds, not before, however often it is looked at."""
    budget = Budget(capacity=1, first_try=0, per_second=1 / 3)
    purse = paid(budget, budget.open(NOW))
    for millisecond in range(1, 2_999, 7):
        purse = budget.ended(purse, Ending.FAILED, first=True, now=after(millisecond / 1_000))
    assert not budget.grants(purse, Ending.FAILED, after(2.999999))
    assert budget.grants(purse, Ending.FAILED, after(3.000004))


def test_budget_lets_retries_wait_in_turn() -> None:
    """Each waits for the tokens that it and those before it need; what comes in shortens later waits."""
    budget = Budget(capacity=1, first_try=0, success=1, per_second=0.5)
    purse = paid(budget, budget.open(NOW))
    purse, first = budget.pay(purse, Ending.FAILED, NOW)
    purse, second = budget.pay(purse, Ending.FAILED, NOW)
    purse = budget.ended(purse, Ending.SUCCEEDED, first=True, now=NOW)
    _, third = budget.pay(purse, Ending.FAILED, NOW)
    assert (first, second, third) == (after(2), after(4), after(4))


@given(
    steps=st.lists(st.tuples(st.integers(0, 5 * SECOND), st.sampled_from(Ending)), max_size=60),
    rate=st.sampled_from([0.1, 0.3, 1.0, 2.5]),
)
def test_budget_never_starts_more_than_it_has(steps: list[tuple[int, Ending]], rate: float) -> None:
    """By any moment no more retries begin than its capacity, what came in, and what time has brought."""
    budget = Budget(capacity=3, first_try=0.25, per_second=rate)
    purse, now, starts, earned = budget.open(NOW), NOW, list[Instant](), list[tuple[Instant, float]]()
    for gap, ending in steps:
        now = Instant(now + gap)
        purse = budget.ended(purse, ending, first=True, now=now)
        earned.append((now, 0.25))
        if ending is not Ending.SUCCEEDED:
            purse, at = budget.pay(purse, ending, now)
            starts.append(at)
        assert budget.available(purse, now) <= 3
    for moment in starts:
        begun = sum(at <= moment for at in starts)
        allowed = 3 + sum(tokens for at, tokens in earned if at <= max(moment, now))
        assert begun <= allowed + rate * (moment - NOW) / SECOND + 1e-3


def test_budget_with_a_time_to_live_forgets() -> None:
    """What came in or went out counts for so long; the balance then is what it was at first."""
    budget = Budget(capacity=1, first_try=2, per_second=0, ttl="10s", when_empty="dead_letter")
    purse = budget.ended(budget.open(NOW), Ending.SUCCEEDED, first=True, now=NOW)
    assert budget.available(purse, NOW) == 3
    purse = paid(budget, paid(budget, paid(budget, purse)))
    assert not budget.grants(purse, Ending.FAILED, NOW)
    assert budget.available(purse, after(8.9)) == 0
    assert budget.available(purse, after(10)) == 1


def test_budget_outlives_a_clock_set_back() -> None:
    """A purse of the far future refills from now on."""
    budget = Budget(capacity=1, first_try=0, per_second=1)
    purse = paid(budget, budget.open(after(3_600)), after(3_600))
    purse = budget.ended(purse, Ending.FAILED, first=True, now=NOW)
    assert budget.grants(purse, Ending.FAILED, after(1))


@pytest.mark.parametrize(
    "budget",
    [
        Budget(),
        STRICT,
        Budget(capacity=0.5, cost=0.5, timeout_cost=0.25, threshold=0.5),
        Budget(ttl="1h30m", per_second=0, when_empty=WhenEmpty.DEAD_LETTER),
    ],
)
def test_budget_repr_evaluates_back(budget: Budget) -> None:
    """What is printed can be typed in."""
    assert eval(repr(budget)) == budget  # our own text


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"capacity": 0}, "capacity: must be above 0"),
        ({"capacity": 1, "cost": 2}, "capacity: is less than one retry needs"),
        ({"capacity": 1, "timeout_cost": 2}, "capacity: is less than one retry needs"),
        ({"cost": -1}, "cost: must be a number of tokens, from 0"),
        ({"cost": float("nan")}, "cost: must be a number of tokens"),
        ({"cost": True}, "cost: must be a number of tokens"),
        ({"success": 1e-9}, "success: tokens are counted in millionths"),
        ({"per_second": 0}, "per_second: must be above 0 where retries wait"),
        ({"when_empty": "wiat"}, "did you mean 'wait'"),
        ({"ttl": "10s"}, "per_second: with a ttl"),
        ({"ttl": "0s", "per_second": 0}, "ttl: must be longer than 0s"),
    ],
)
def test_budget_refuses_what_cannot_be(values: dict[str, object], told: str) -> None:
    """An error names the field and says what to write."""
    with pytest.raises(ConfigError, match=told):
        Budget(**values)  # type: ignore[arg-type]  # what is wrong is the point
