"""Ready-made budgets and breakers, against what their sources say of them."""

import pytest

from jobsim import budgets
from jobsim.core.breaker import Breaker
from jobsim.core.budget import Budget, Ending, Purse
from jobsim.core.errors import ConfigError
from jobsim.core.time import SECOND, Instant

NOW = Instant(1_767_225_600 * SECOND)


def granted(budget: Budget, ending: Ending, failures: int) -> int:
    """Return how many retries are granted where nothing but `failures` happens, at one moment."""
    purse, number = budget.open(NOW), 0
    for _ in range(failures):
        purse = budget.ended(purse, ending, first=True, now=NOW)
        if budget.grants(purse, ending, NOW):
            purse, _ = budget.pay(purse, ending, NOW)
            number += 1
    return number


@pytest.mark.parametrize(
    ("name", "ending", "retries"),
    [
        ("aws_sdk", Ending.FAILED, 100),
        ("aws_sdk", Ending.TIMED_OUT, 50),
        ("aws_sdk_2026", Ending.FAILED, 35),
        ("mongodb", Ending.FAILED, 1000),
        ("grpc", Ending.FAILED, 4),
        ("envoy", Ending.FAILED, 3 + 500),
        ("finagle", Ending.FAILED, 100 + 400),
    ],
)
def test_preset_in_an_outage_grants_what_its_source_says(name: str, ending: Ending, retries: int) -> None:
    """Of 2,000 calls that all fail at once so many are retried; gRPC stops at the fifth failure."""
    assert granted(budgets.BUDGETS[name], ending, 2_000) == pytest.approx(retries, abs=2 * (name == "envoy"))


def drift(budget: Budget, failing: float, attempts: int) -> float:
    """Return what a call adds to a half-full purse on average, where each attempt fails by itself."""
    half = Purse(budget.open(NOW).balance // 2, NOW)
    total, reached = 0.0, 1.0
    purse = half
    for attempt in range(1, attempts + 1):
        first, before = attempt == 1, budget.available(half, NOW)
        success = budget.available(budget.ended(half, Ending.SUCCEEDED, first=first, now=NOW), NOW) - before
        purse = budget.ended(half, Ending.FAILED, first=first, now=NOW)
        if attempt < attempts:
            purse, _ = budget.pay(purse, Ending.FAILED, NOW)
        total += reached * ((1 - failing) * success + failing * (budget.available(purse, NOW) - before))
        reached *= failing
    return total


@pytest.mark.parametrize(
    ("name", "attempts", "share"),
    [("aws_sdk", 3, 0.321), ("aws_sdk_2026", 3, 0.215), ("grpc", 1, 1 / 11)],
)
def test_preset_drains_above_its_break_even(name: str, attempts: int, share: float) -> None:
    """The balance grows just below that share of failures, and shrinks just above.

    Source: the root of (1-p) = c p^2 (1-p) + 2c p^3 for a cost of c and 3 attempts; 1/11 for gRPC A6.
    """
    budget = budgets.BUDGETS[name]
    assert drift(budget, share - 0.001, attempts) > 0 > drift(budget, share + 0.001, attempts)


def test_names_mean_budgets_and_breakers() -> None:
    """A name that means none is refused, with what could be meant."""
    assert budgets.budget_named("grpc") is budgets.grpc
    assert budgets.breaker_named("polly") is budgets.polly
    with pytest.raises(ConfigError, match="did you mean 'finagle'"):
        budgets.budget_named("finagel")
    with pytest.raises(ConfigError, match="no breaker is called 'grpc'; there are: polly"):
        budgets.breaker_named("grpc")


@pytest.mark.parametrize("guard", [*budgets.BUDGETS.values(), *budgets.BREAKERS.values()])
def test_preset_repr_evaluates_back(guard: Budget | Breaker) -> None:
    """What is printed can be typed in."""
    assert eval(repr(guard)) == guard  # our own text
