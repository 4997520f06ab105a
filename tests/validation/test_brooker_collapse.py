"""Brooker's collapse: a service that slows down with its load, and a spike or a ramp of requests.

Source: Brooker, simple_collapse_sim, mbrooker/simulator_example at bbfe394, 2023; his figures are means
of ten runs.
"""

from pathlib import Path

import numpy as np
import pytest

from jobsim.core.time import SECOND
from jobsim.sim.replication import replication_seed
from jobsim.sim.scenario import Scenario
from jobsim.sim.world import run_world

SCENARIO = Scenario.from_toml(Path(__file__).parents[2] / "scenarios" / "metastable-spike.toml")
RAMP = SCENARIO.with_(
    **{
        "jobs.request.arrivals": {
            "process": "piecewise",
            "rates": [["0s", "40/s"], ["25s", "80/s"], ["75s", "0.001/s"]],
            "between": "lines",
        }
    }
)


def successes(world: Scenario, policy: str, runs: int) -> np.ndarray:
    """Return good replies that found their caller, a second, in bins of 5 s, shape (runs, 16)."""
    bins = []
    for number in range(runs):
        run = run_world(world, world.policies[policy], replication_seed(1, number))
        calls = run.calls["service"].calls()
        counts, _ = np.histogram(calls.ended[calls.useful] / SECOND, np.arange(0, 81, 5))
        bins.append(counts / 5)
    return np.array(bins)


def check_spike(runs: int, recovered: tuple[int, int]) -> None:
    """Hold runs without backoff to what Brooker's means are the mixture of."""
    found = successes(SCENARIO, "at_once", runs)
    assert found[:, 1:4].mean() == pytest.approx(40, abs=4)
    assert found[:, 4].mean() > 45
    last = found[:, -4:].mean(axis=1)
    assert ((last < 1) | (last > 35)).all()
    assert recovered[0] <= (last > 35).sum() <= recovered[1]


def test_without_backoff_a_spike_ends_the_service_in_most_runs() -> None:
    """A run gets over the spike wholly or never; his 14 to 17 a second are the mean of both."""
    check_spike(6, recovered=(0, 4))


@pytest.mark.soak
def test_share_of_runs_that_get_over_a_spike_is_that_of_his_mean() -> None:
    """His 14 to 17 of 40 successes a second, in ten runs, leave room for 10 to 70 % that recovered."""
    check_spike(60, recovered=(6, 42))


def test_with_backoff_and_jitter_the_service_recovers() -> None:
    """From 30 to 45 s it makes up for the spike, about 47 a second, then all is as before; in every run."""
    found = successes(SCENARIO, "patient", 4)
    assert found[:, 6:9].mean() == pytest.approx(47, abs=4)
    assert found[:, 11:].mean(axis=1) == pytest.approx(40, abs=5)


@pytest.mark.parametrize("policy", ["at_once", "patient"])
def test_backoff_does_not_help_against_lasting_overload(policy: str) -> None:
    """On a ramp to twice the load and down again both collapse: nearly nothing succeeds while it is above."""
    found = successes(RAMP, policy, 2).mean(axis=0)
    assert found[4] > 40
    assert found[7:9].max() < 15
