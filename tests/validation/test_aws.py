"""Optimistic contention against AWS's published program, by the engine and the policies as they ship."""

from functools import cache

import numpy as np
import pytest

from jobsim.core.backoff import Decorrelated, Exponential, NoBackoff
from jobsim.core.policy import RetryPolicy
from jobsim.core.streams import Streams
from jobsim.models import Constant, Listed, Normal, Row, Workers
from jobsim.sim.replication import replication_seed
from jobsim.sim.scenario import JobClass, Scenario
from jobsim.sim.world import run_world
from tests.validation import aws
from tests.validation.aws import RUNS, TABLE, Figure, agree

POLICIES = {
    "none": RetryPolicy(NoBackoff(), max_attempts=None),
    "exponential": RetryPolicy(Exponential(base="5ms", cap="2s", first=1), max_attempts=None),
    "equal": RetryPolicy(Exponential(base="5ms", cap="2s", first=1, jitter="equal"), max_attempts=None),
    "full": RetryPolicy(Exponential(base="5ms", cap="2s", first=1, jitter="full"), max_attempts=None),
    "decorrelated": RetryPolicy(Decorrelated(base="5ms", cap="2s"), max_attempts=None),
}
QUICK = {1: 40, 2: 40, 3: 40, 7: 30, 10: 60, 20: 20, 50: 10}
"""How many runs are made for a number of clients."""

LONG = {100: 60, 150: 30, 190: 30}


def world(clients: int) -> Scenario:
    """Return the model as a scenario: each client is a job with a slot of its own, and all begin at once.

    The store takes no time, as always in a simulation.
    """
    client = JobClass(
        kind="client",
        arrivals=Listed(times=["0s"] * clients),
        service=Constant(value="0s"),
        dependency="row",
    )
    return Scenario(
        name="aws",
        horizon="1s",
        workers=Workers(count=1, slots=clients),
        dependencies=(Row(name="row", network=Normal(mean="10ms", sd="2ms")),),
        jobs=(client,),
        policies=POLICIES,
    )


@cache
def simulated(clients: int, policy: str) -> np.ndarray:
    """Return calls and time (ms) of each run, shape (runs, 2)."""
    scenario, found = world(clients), []
    for number in range((QUICK | LONG)[clients]):
        run = run_world(scenario, POLICIES[policy], replication_seed(1, number))
        writes = run.calls["row"].calls()
        assert writes.useful.sum() == clients
        found.append((len(writes.useful), (run.ended - run.began) / 1000))
    return np.array(found)


def check(figure: Figure) -> None:
    """Hold the engine to a figure of the published program."""
    found = simulated(figure.clients, figure.policy)
    calls, time_ms = found.mean(axis=0)
    assert agree(calls, figure.calls, figure.calls_sd, len(found), RUNS, rounded=0.05)
    assert agree(time_ms, figure.time_ms, figure.time_sd + 0.5, len(found), RUNS, rounded=0.5)


def check_by_program(clients: int, policy: str) -> None:
    """Hold the engine to a program of the same model, at a number of clients that is not in the table."""
    found, random = simulated(clients, policy), Streams(2).stream("aws", clients)
    expected = np.array([aws.run(clients, policy, random) for _ in range(2 * len(found))])
    for mean, other, sd in zip(found.mean(axis=0), expected.mean(axis=0), expected.std(axis=0), strict=True):
        assert agree(mean, other, sd, len(found), len(expected))


@pytest.mark.parametrize("figure", [f for f in TABLE if f.clients in QUICK], ids=str)
def test_contention_agrees_with_the_published_program(figure: Figure) -> None:
    """Calls and completion time of each policy lie within 4 standard errors of the published results."""
    check(figure)


@pytest.mark.soak
@pytest.mark.parametrize("figure", [f for f in TABLE if f.clients in LONG], ids=str)
def test_contention_agrees_with_the_published_program_for_many_clients(figure: Figure) -> None:
    """The same for a hundred clients."""
    check(figure)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("clients", [3, 7, 20])
def test_contention_agrees_at_any_number_of_clients(clients: int, policy: str) -> None:
    """The engine agrees with the model as such, not with the printed figures alone."""
    check_by_program(clients, policy)


@pytest.mark.soak
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("clients", [150, 190])
def test_contention_agrees_at_any_large_number_of_clients(clients: int, policy: str) -> None:
    """The same up to the largest number that was published."""
    check_by_program(clients, policy)


@pytest.mark.parametrize("figure", [f for f in TABLE if f.clients <= 50], ids=str)
def test_program_of_the_model_is_the_published_one(figure: Figure) -> None:
    """The program that the engine is compared with gives the published results itself."""
    runs = 200 if figure.clients <= 10 else 20
    random = Streams(3).stream("aws", figure.clients)
    calls, time_ms = np.array([aws.run(figure.clients, figure.policy, random) for _ in range(runs)]).mean(
        axis=0
    )
    assert agree(calls, figure.calls, figure.calls_sd, runs, RUNS, rounded=0.05)
    assert agree(time_ms, figure.time_ms, figure.time_sd + 0.5, runs, RUNS, rounded=0.5)


def test_one_and_two_clients_are_certain() -> None:
    """One client calls once; of two, one fails once, whatever the policy."""
    for policy in POLICIES:
        assert set(simulated(1, policy)[:, 0]) == {1}
        assert set(simulated(2, policy)[:, 0]) == {3}


def test_order_of_policies_changes_with_the_number_of_clients() -> None:
    """Decorrelated jitter calls less often than full jitter among ten clients, more often among fifty."""
    assert simulated(10, "decorrelated")[:, 0].mean() < simulated(10, "full")[:, 0].mean()
    assert simulated(50, "decorrelated")[:, 0].mean() > simulated(50, "full")[:, 0].mean()


def test_without_backoff_clients_are_done_first() -> None:
    """A row of unbounded capacity lets those win who never wait, at twice the calls."""
    none, full = simulated(50, "none").mean(axis=0), simulated(50, "full").mean(axis=0)
    assert none[1] < full[1]
    assert none[0] > 2 * full[0]
