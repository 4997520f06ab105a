"""Budgets and breakers that handlers declare, in force on the engine as it runs live."""

import pytest

import jobsim
from jobsim.core.job import State

TRIED: list[int] = []


def failing(order: int) -> None:
    TRIED.append(order)
    raise ConnectionError("refused")


@pytest.fixture
def queue() -> jobsim.Queue:
    TRIED.clear()
    return jobsim.Queue("sqlite://")


def test_a_budget_of_a_kind_bounds_its_retries(queue: jobsim.Queue) -> None:
    """What it cannot pay becomes a dead letter, and other kinds do not notice."""
    budget = jobsim.Budget(capacity=3, first_try=0, per_second=0, when_empty="dead_letter")
    charge = queue.job(name="charge", retry=jobsim.Fixed("1s"), max_attempts=9, budget=budget)(failing)
    mail = queue.job(name="mail", retry=jobsim.Fixed("1s"), max_attempts=2)(failing)
    with queue.testing() as app:
        for order in range(5):
            charge.enqueue(order)
        mail.enqueue(99)
        app.drain()
        assert len(TRIED) == 5 + 3 + 2
        assert sorted(job.kind for job in app.dead_letters) == ["charge"] * 5 + ["mail"]


def test_a_breaker_of_a_policy_lets_jobs_wait(queue: jobsim.Queue) -> None:
    """Once it is open nothing is tried, and no attempt used, until a probe may start."""
    breaker = jobsim.Breaker(threshold=0.5, min_calls=2, window="1m", open_for="5m")
    policy = jobsim.RetryPolicy(jobsim.Fixed("1s"), max_attempts=9, breaker=breaker)
    charge = queue.job(name="charge", retry=policy)(failing)
    with queue.testing() as app:
        for order in range(6):
            charge.enqueue(order)
        app.run_due()
        first = len(TRIED)
        app.advance("4m59s")
        assert len(TRIED) == first
        app.advance("2s")
        assert len(TRIED) == first + 1
        assert State.PENDING in {job.state for job in queue.storage.find(kind="charge")}
