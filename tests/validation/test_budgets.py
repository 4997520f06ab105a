"""Retry budgets and breakers in the engine as shipped, against exact truths and published figures."""

from collections import Counter
from functools import cache
from math import sqrt
from typing import NamedTuple

import pytest

from jobsim.budgets import BUDGETS
from jobsim.core.backoff import Fixed, NoBackoff
from jobsim.core.breaker import Breaker
from jobsim.core.budget import Budget
from jobsim.core.policy import RetryPolicy
from jobsim.core.time import SECOND
from jobsim.core.transitions import Kind
from jobsim.models import Constant, Deterministic, Independent, Poisson, Workers
from jobsim.sim.scenario import JobClass, Scenario
from jobsim.sim.world import Run, run_world

CLIENTS, CALLS = 20, 300
"""A fifth of the source's clients, each with as many calls: its figures hold, with wider intervals."""

STRATEGIES = {
    "none": RetryPolicy(NoBackoff(), max_attempts=1),
    "retries": RetryPolicy(NoBackoff(), max_attempts=4),
    "bucket": RetryPolicy(
        NoBackoff(),
        max_attempts=4,
        budget=Budget(capacity=5, per_second=0, threshold=1.001, when_empty="dead_letter"),
    ),
    "breaker": RetryPolicy(
        NoBackoff(),
        max_attempts=4,
        breaker=Breaker(threshold=0.1, window="1h", min_calls=1, stops="retries"),
    ),
}


class Told(NamedTuple):
    """What came of a cell: the share of jobs that succeeded, attempts a job, and how many jobs there were."""

    success: float
    load: float
    jobs: int


def told(run: Run) -> Told:
    kinds = Counter(event.kind for event in run.log)
    jobs = kinds[Kind.ENQUEUE]
    return Told(kinds[Kind.SUCCEED] / jobs, kinds[Kind.CLAIM] / jobs, jobs)


@cache
def cell(strategy: str, failing: float) -> Told:
    """Run one cell: open clients of ten calls a second, each with a budget or a breaker of its own."""
    clients = [
        JobClass(
            kind=f"client-{number}",
            arrivals=Poisson(rate="10/s"),
            service=Constant(value="10ms"),
            failures=(Independent(probability=failing),),
        )
        for number in range(CLIENTS)
    ]
    scenario = Scenario(
        name="clients", horizon=CALLS / 10, workers=Workers(count=1, slots=50), jobs=tuple(clients)
    )
    return told(run_world(scenario, STRATEGIES[strategy], 1))


def near(share: float, jobs: int) -> object:
    """Return what a mean of so many independent trials lies within, but for one time in 16,000."""
    return pytest.approx(share, abs=4 * sqrt(share * (1 - share) / jobs) + 1e-9)


FAILING = [0.1, 0.3, 0.5]


@pytest.mark.parametrize("failing", FAILING)
@pytest.mark.parametrize(("strategy", "attempts"), [("none", 1), ("retries", 4)])
def test_retries_without_a_budget_multiply_load(strategy: str, attempts: int, failing: float) -> None:
    """Of n attempts, 1 - f^n succeed, at a load of (1 - f^n) / (1 - f).

    Source: the geometric distribution; Brooker, "Fixing retries with token buckets and circuit breakers".
    """
    success, load, jobs = cell(strategy, failing)
    right = 1 - failing**attempts
    assert success == near(right, jobs)
    spread = sqrt(failing) / (1 - failing)  # of the attempts of a job, at most
    assert load == pytest.approx(right / (1 - failing), abs=4 * spread / sqrt(jobs))


@pytest.mark.parametrize(
    ("failing", "success", "load"), [(0.1, 0.9858, 1.097), (0.3, 0.7801, 1.113), (0.5, 0.5617, 1.114)]
)
def test_a_bucket_bounds_load(failing: float, success: float, load: float) -> None:
    """Load is below 1 + r + B / calls, and all but the last token is used where f is well above r.

    Source: Brooker, retry_sim, the adaptive strategy: B = 5, r = 0.1; success and load as his program prints.
    """
    told = cell("bucket", failing)
    bound = 1 + 0.1 + (5 - 1) * CLIENTS / told.jobs
    assert told.load < 1 + 0.1 + 5 * CLIENTS / told.jobs
    assert told.load == pytest.approx(load, abs=0.008 if failing == 0.1 else 0.003)
    assert told.success == pytest.approx(success, abs=4 * sqrt(success * (1 - success) / told.jobs) + 0.002)
    if failing > 0.1:
        assert told.load == pytest.approx(bound, abs=0.003)
        assert told.success == near((1 - failing) * told.load, told.jobs)


@pytest.mark.parametrize(
    ("failing", "success", "load"), [(0.1, 0.9340, 1.037), (0.3, 0.7041, 1.000), (0.5, 0.5021, 1.000)]
)
def test_a_breaker_of_retries_falls_back_to_none(failing: float, success: float, load: float) -> None:
    """Just above its threshold a breaker grants hardly a retry, and well above it none.

    Source: Brooker, retry_sim, the breaker strategy: 3 retries while at most a tenth of all calls failed.
    """
    told = cell("breaker", failing)
    # Near the threshold whole clients differ, so that there are as many trials as clients.
    slack = 0.02 if failing == 0.1 else 0.004
    assert told.success == pytest.approx(success, abs=4 * sqrt(success * (1 - success) / told.jobs) + slack)
    assert told.load == pytest.approx(load, abs=slack)


def steady(budget: Budget, failing: float, rate: int, seconds: int, attempts: int) -> Run:
    """Run one kind whose jobs come evenly, and whose attempts fail by themselves."""
    job = JobClass(
        kind="call",
        arrivals=Deterministic(every=1 / rate),
        service=Constant(value="1ms"),
        failures=(Independent(probability=failing),),
    )
    scenario = Scenario(
        name="steady", horizon=float(seconds), workers=Workers(count=1, slots=20), jobs=(job,)
    )
    return run_world(scenario, RetryPolicy(Fixed("10ms"), max_attempts=attempts, budget=budget), 1)


def retries(run: Run) -> int:
    return sum(event.kind is Kind.RETRY for event in run.log)


def refused(run: Run) -> int:
    """Return how many jobs became dead letters since their budget was empty."""
    return sum(event.kind is Kind.DEAD_LETTER and event.why.reason == "budget" for event in run.log)


@pytest.mark.parametrize(
    ("name", "granted"), [("aws_sdk", 100), ("aws_sdk_2026", 35), ("grpc", 4), ("mongodb", 1000)]
)
def test_a_full_bucket_lasts_so_long_in_a_total_outage(name: str, granted: int) -> None:
    """What a full bucket grants where nothing succeeds: gRPC stops at the fifth failure.

    Source: capacity over cost, of the constants that `jobsim.budgets` cites.
    """
    assert retries(steady(BUDGETS[name], 1.0, 100, 12, 3)) == granted


@pytest.mark.parametrize(
    ("name", "share"), [("aws_sdk", 0.321), ("aws_sdk_2026", 0.215)], ids=["aws_sdk", "aws_sdk_2026"]
)
def test_the_quota_of_aws_drains_above_its_break_even(name: str, share: float) -> None:
    """A little below, it grants every retry for good; a little above, it runs dry.

    Source: the root of (1-p) = c p^2 (1-p) + 2c p^3, of a cost of c and 3 attempts.
    """
    assert refused(steady(BUDGETS[name], share - 0.04, 100, 60, 3)) == 0
    assert refused(steady(BUDGETS[name], share + 0.05, 100, 60, 3)) > 50


def test_finagle_grants_a_share_and_a_rate() -> None:
    """In an outage a fifth of the first tries is retried, and ten a second beside them.

    Source: Finagle, "Retry Budgets", 2016: 20 % and 10 a second, which are forgotten after 10 s.
    """
    run = steady(BUDGETS["finagle"], 1.0, 50, 60, 4)
    late = [e for e in run.log if e.kind is Kind.RETRY and e.at - run.began >= 20 * SECOND]
    assert len(late) / 40 == pytest.approx(0.2 * 50 + 10, rel=0.05)


def test_a_budget_that_waits_loses_nothing_and_bounds_retries_all_the_same() -> None:
    """Through an outage retries begin at the rate at which tokens come in, and all jobs succeed after it."""
    text = """
        name = "wait"
        horizon = "60s"
        jobs = [{ kind = "call", arrivals = { process = "deterministic", every = "100ms" },
                  service = { dist = "constant", value = "1ms" },
                  failures = [{ model = "outage", start = "10s", duration = "20s" }] }]
        [workers]
        count = 1
        slots = 10
    """
    budget = Budget(capacity=10, first_try=0, per_second=2)
    policy = RetryPolicy(Fixed("100ms"), max_attempts=200, budget=budget)
    run = run_world(Scenario.from_text(text.replace("\n                 ", "")), policy, 1)
    kinds = Counter(event.kind for event in run.log)
    assert kinds[Kind.SUCCEED] == kinds[Kind.ENQUEUE] == 600
    again = [e.at - run.began for e in run.log if e.kind is Kind.CLAIM and e.attempt > 1]
    for begin in range(10 * SECOND, max(again), SECOND):
        assert sum(begin <= at < begin + 5 * SECOND for at in again) <= 10 + 5 * 2 + 1
