"""Waiting lines without retries: the engine against a recursion, job by job, and against closed forms."""

from heapq import heappop, heappush

import numpy as np
import pytest

from jobsim.models import Constant, ExponentialService, Lognormal, Service
from jobsim.policies import PRESETS
from tests.validation.lab import Study, agrees, mean_wait_s, run, station, waits_s
from tests.validation.queueing import mean_wait, mean_wait_general

SERVICES = [Constant(value="1s"), ExponentialService(mean="1s"), Lognormal(mean="1s", cv=2.0)]


def recursion(arrivals: list[int], services: list[int], servers: int) -> list[int]:
    """Return when each arrival starts, first come, first served.

    Source: Kiefer & Wolfowitz, Transactions of the AMS 78 (1955); of one server, Lindley (1952).
    """
    free, starts = [0] * servers, list[int]()
    for arrival, service in zip(arrivals, services, strict=True):
        starts.append(max(arrival, heappop(free)))
        heappush(free, starts[-1] + service)
    return starts


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.dist)
@pytest.mark.parametrize("servers", [1, 4])
def test_every_start_is_the_recursions(service: Service, servers: int) -> None:
    """Each attempt starts in the very microsecond at which a slot is free, in the order of arrival."""
    history = run(station(0.9 * servers, service, servers, 2_000), PRESETS["none"], seed=3)
    attempts, jobs = history.attempts, history.jobs
    services = np.empty(len(jobs.created), np.int64)
    services[attempts.job] = attempts.ended - attempts.started
    starts = recursion(jobs.created.tolist(), services.tolist(), servers)
    assert jobs.started.tolist() == starts
    assert waits_s(history).max() > 1  # there was a line to be tested


CASES = [(0.5, 1, 0.12), (0.7, 1, 0.2), (1.5, 2, 0.2), (3.2, 4, 0.25), (7.5, 10, 0.35)]


@pytest.mark.parametrize(("rate", "servers", "within"), CASES)
def test_wait_is_that_of_erlang(rate: float, servers: int, within: float) -> None:
    """M/M/c: the mean wait is Erlang's, C / (c mu - lambda); of M/M/1, rho / (mu - lambda)."""
    study = Study(station(rate, ExponentialService(mean="1s"), servers, 4_000))
    agrees(study.interval(mean_wait_s), mean_wait(rate, 1.0, servers), within)


@pytest.mark.parametrize(("cv", "within"), [(0.0, 0.1), (1.0, 0.12), (2.0, 0.3)])
def test_wait_is_that_of_pollaczek_and_khinchine(cv: float, within: float) -> None:
    """M/G/1: the mean wait depends on the service time's mean and cv alone, and grows with 1 + cv^2."""
    service = Lognormal(mean="1s", cv=cv) if cv else Constant(value="1s")
    study = Study(station(0.5, service, 1, 4_000))
    agrees(study.interval(mean_wait_s), mean_wait_general(0.5, 1.0, cv), within)


@pytest.mark.soak
@pytest.mark.parametrize(
    ("rate", "servers"),
    [(0.8, 1), (0.9, 1), (1.5, 2), (3.2, 4), (3.6, 4), (7.2, 8), (8.0, 10), (9.0, 10), (45.0, 50)],
)
def test_wait_is_that_of_erlang_at_high_load(rate: float, servers: int) -> None:
    """M/M/c at high load, by long runs: the same within a few per cent."""
    study = Study(station(rate, ExponentialService(mean="1s"), servers, 200_000), replications=20)
    agrees(study.interval(mean_wait_s), mean_wait(rate, 1.0, servers), 0.12)


@pytest.mark.soak
def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    """Of 100 intervals at 95 %, each from its own ten runs, 88 to 100 hold the true mean wait."""
    world = station(0.5, ExponentialService(mean="1s"), 1, 2_000)
    truth, held = mean_wait(0.5, 1.0, 1), 0
    for seed in range(100):
        about = Study(world, replications=10, seed=seed).interval(mean_wait_s, ci=0.95)
        held += about.low <= truth <= about.high
    assert held >= 88  # 95 expected; a binomial count is below 88 once in 500
