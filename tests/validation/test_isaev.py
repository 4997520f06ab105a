"""Isaev's incident, at a quarter of his rate: what retries do to a service after an outage.

Source: Isaev, "Good Retry, Bad Retry: An Incident Story", 2024, and jirfag/simulations at b552373.
Amplification is completed calls over requests, in the outage (0.6 to 1 s) and after it; he printed
single runs.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from jobsim.analysis.arrays import STATES, History
from jobsim.core.job import State
from jobsim.core.time import SECOND
from jobsim.sim.replication import replication_seed
from jobsim.sim.scenario import Scenario
from jobsim.sim.world import run_world

SCENARIO = Scenario.from_toml(Path(__file__).parents[2] / "scenarios" / "metastable-outage.toml")
RATE = 500
AFTER_S = 1.5
SUCCEEDED = STATES.index(State.SUCCEEDED)


class Outcome(NamedTuple):
    """Means over runs: amplification in the outage and after, and how many requests after it succeed."""

    during: float
    after: float
    success: float


def outcomes(policy: str, capacity: int, attempts: int, jitter: str = "full", runs: int = 3) -> np.ndarray:
    """Return an `Outcome` a run."""
    world = SCENARIO.with_(
        **{"dependencies.api.capacity": capacity, f"policies.{policy}.max_attempts": attempts}
    )
    if policy == "backoff":
        world = world.with_(**{"policies.backoff.backoff.jitter": jitter})
    return np.array([outcome(world, policy, number) for number in range(runs)])


def outcome(world: Scenario, policy: str, number: int) -> Outcome:
    """Return what one run led to."""
    run = run_world(world, world.policies[policy], replication_seed(1, number))
    ended = run.calls["api"].calls().ended / SECOND
    jobs = History.of(run.log).jobs
    created = (jobs.created - run.began) / SECOND
    late = created >= AFTER_S
    return Outcome(
        ((ended >= 0.6) & (ended < 1)).sum() / ((created >= 0.6) & (created < 1)).sum(),
        ((ended >= AFTER_S) & (ended < 3)).sum() / late.sum(),
        (jobs.state[late] == SUCCEEDED).mean(),
    )


@pytest.mark.parametrize("capacity", [20, 10], ids=["A", "B"])
def test_without_retries_the_service_recovers(capacity: int) -> None:
    """A, B, none: load is what is offered, and requests after the outage succeed, but for one in 200."""
    during, after, success = outcomes("no_retries", capacity, 1).mean(axis=0)
    assert during == pytest.approx(1.0, abs=0.08)
    assert after == pytest.approx(1.0, abs=0.05)
    assert success == pytest.approx(0.995, abs=0.005)


@pytest.mark.parametrize(
    ("policy", "jitter", "during"),
    [("three", "none", 3.93), ("backoff", "none", 2.35), ("backoff", "full", 3.09)],
    ids=["retries", "exponential", "full jitter"],
)
def test_with_four_times_the_capacity_it_recovers_from_retries(
    policy: str, jitter: str, during: float
) -> None:
    """A: the load in the outage is his within a tenth, below 4; afterwards all requests succeed."""
    found = outcomes(policy, 20, 4, jitter).mean(axis=0)
    assert found[0] == pytest.approx(during, rel=0.1)
    assert found[2] > 0.99


def test_with_twice_the_capacity_three_retries_keep_it_down() -> None:
    """B: metastable. It works at its capacity long after the outage, and no request succeeds."""
    for during, after, success in outcomes("three", 10, 4):
        assert during == pytest.approx(1.94, abs=0.2)
        assert after == pytest.approx(1.94, abs=0.2)
        assert success < 0.05


def test_it_stays_down_because_of_calls_that_nobody_waits_for() -> None:
    """B: after the outage the service does good work only, and all of it is in vain."""
    run = run_world(SCENARIO, SCENARIO.policies["three"], replication_seed(1, 0))
    calls = run.calls["api"].calls()
    late = (calls.started > AFTER_S * SECOND) & (calls.started < 3 * SECOND)
    assert (calls.fate[late] == 0).mean() > 0.99
    assert calls.useful[late].mean() < 0.05


@pytest.mark.parametrize(("capacity", "attempts"), [(10, 4), (11, 3)], ids=["B", "C"])
def test_a_budget_of_a_tenth_lets_it_recover(capacity: int, attempts: int) -> None:
    """B, C: where retries need the tokens of ten successes each, load stays as offered and all recover."""
    for during, after, success in outcomes("budget", capacity, attempts):
        assert during < 1.25
        assert after == pytest.approx(1.0, abs=0.1)
        assert success > 0.98


@pytest.mark.soak
def test_near_the_threshold_either_may_happen() -> None:
    """C: with 2.1 times the capacity and two retries, some runs recover wholly and others not at all."""
    success = outcomes("three", 11, 3, runs=40)[:, 2]
    assert ((success < 0.2) | (success > 0.8)).mean() > 0.9
    assert 0.1 < (success > 0.8).mean() < 0.9
