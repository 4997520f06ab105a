"""One long run of the engine in its steady state, against closed forms."""

import math

import pytest

from jobsim.models import ExponentialService
from jobsim.sim import simulate
from tests.validation.lab import station

# M/M/1 at 0.7: mean wait rho / (mu - lambda), mean number in the system rho / (1 - rho).
TRUTH = {
    "wait_mean_s": 0.7 / 0.3,
    "latency_mean_s": 1 / 0.3,
    "backlog_mean": 0.7 / 0.3,
    "utilisation": 0.7,
    "goodput_per_s": 0.7,
}


def test_steady_state_is_that_of_theory() -> None:
    """Every measure of one run of 12,000 jobs has its closed form inside its 99.9 % interval."""
    result = simulate(station(0.7, ExponentialService(mean="1s"), 1, 12_000), "none", seed=3)
    for name, truth in TRUTH.items():
        found = result.steady_state(name, ci=0.999)
        assert found.low < truth < found.high, (name, found)
        assert found.high - found.low < 0.6 * truth
        assert found.warm_up_s < 12_000 / 0.7 / 2


@pytest.mark.soak
def test_steady_state_covers_as_often_as_it_says() -> None:
    """Over 100 seeds about 95 % of the 95 % intervals of the mean wait hold the truth."""
    world = station(0.7, ExponentialService(mean="1s"), 1, 20_000)
    found = [simulate(world, "none", seed=seed).steady_state("wait_mean_s") for seed in range(100)]
    covered = sum(one.low <= TRUTH["wait_mean_s"] <= one.high for one in found)
    assert covered >= 95 - 2.6 * math.sqrt(100 * 0.95 * 0.05)
