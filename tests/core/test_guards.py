"""What budgets and breakers make of settlements, beyond what every store is held to."""

import pytest

from jobsim.core.breaker import Breaker, Circuit
from jobsim.core.budget import Budget, Purse
from jobsim.core.guards import (
    Tally,
    breaker_of,
    budget_of,
    guarded,
    tally_of,
    tally_text,
    written,
)
from jobsim.core.limits import Limit, Rate
from jobsim.core.time import Instant
from jobsim.core.windows import Window

BUDGET = Budget(capacity=3.5, per_second=0, ttl="1m30s", when_empty="dead_letter", threshold=1.001)
BREAKER = Breaker(threshold=0.1, window="200ms", stops="retries")
WINDOW = Window(7, tuple(range(10)))


def test_guards_read_back_what_was_written() -> None:
    """Budgets and breakers survive a database, every field."""
    assert budget_of(written(BUDGET)) == BUDGET
    assert breaker_of(written(BREAKER)) == BREAKER
    assert (budget_of(written(None)), breaker_of(written(None))) == (None, None)


@pytest.mark.parametrize(
    "tally",
    [
        Tally(),
        Tally(Purse(-5, Instant(7), WINDOW), Circuit(Instant(9), 1, WINDOW, WINDOW)),
        Tally(circuit=Circuit()),
    ],
)
def test_tally_reads_back_what_was_written(tally: Tally) -> None:
    """How they stand survives a database."""
    assert tally_of(tally_text(tally)) == tally


def test_guarded_leaves_a_limit_its_own() -> None:
    """A budget that is said of the kind itself wins over that of its policy; all else stays."""
    own = Limit(running=2, rate=Rate(1, "1s"), budget=Budget())
    assert guarded(own, BUDGET, BREAKER) == Limit(
        running=2, rate=Rate(1, "1s"), budget=Budget(), breaker=BREAKER
    )
    assert guarded(own, BUDGET, None) is own
    assert guarded(Limit(), None, None) == Limit()


def test_limit_says_what_it_asks_for() -> None:
    """A budget holds no claim back, nor does a breaker that stops retries alone."""
    assert [limit.holds for limit in (Limit(budget=BUDGET, breaker=BREAKER), Limit(breaker=Breaker()))] == [
        False,
        True,
    ]
    assert [limit.guards for limit in (Limit(running=1), Limit(budget=BUDGET), Limit(breaker=BREAKER))] == [
        False,
        True,
        True,
    ]
