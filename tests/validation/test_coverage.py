"""Intervals of whole studies, simulated by the engine as shipped, hold the truth as often as they say."""

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest

from jobsim import policies
from jobsim.analysis import summary
from jobsim.analysis.summary import table_of_runs
from jobsim.models import ExponentialService, Independent
from jobsim.sim.replication import replicate, replication_seed
from tests.validation.lab import station

P, LIMITS = 0.3, {"three": 3, "five": 5}
"""Independent failures with this probability, and policies that grant so many attempts."""

WORLD = station(1.0, ExponentialService(mean="1s"), 2, 60, Independent(probability=P))

# Of n attempts: all fail with P^n, and (1 - P^n) / (1 - P) are made.
TRUTH = {
    "dead_letter_rate": lambda n: P**n,
    "success_rate": lambda n: 1 - P**n,
    "attempts_per_job": lambda n: (1 - P**n) / (1 - P),
}


@cache
def study(seed: int, replications: int) -> pd.DataFrame:
    """Return the runs of one study of two policies."""
    return table_of_runs(
        {"policy": label, "replication": number, "seed": seed}
        | replicate(
            WORLD,
            label,
            replace(policies.none, max_attempts=n),
            number,
            replication_seed(seed, number),
            "memory",
        ).measures
        for label, n in LIMITS.items()
        for number in range(replications)
    )


def covered(studies: int, replications: int, measure: str) -> dict[str, float]:
    """Return in what share of studies the intervals of policies and of their difference hold the truth."""
    truth = {label: TRUTH[measure](n) for label, n in LIMITS.items()}
    inside: dict[str, list[bool]] = {"three": [], "five": [], "difference": []}
    for seed in range(studies):
        runs = study(seed, replications)
        for label in LIMITS:
            _, low, high, _ = summary.interval(runs, label, measure)
            inside[label].append(low <= truth[label] <= high)
        apart = summary.pair_difference(runs, measure, "five", "three")
        inside["difference"].append(apart.low <= truth["five"] - truth["three"] <= apart.high)
    return {name: float(np.mean(one)) for name, one in inside.items()}


def least(studies: int, nominal: float = 0.95) -> float:
    """Return the coverage below which a right interval falls once in a thousand."""
    return nominal - 3.1 * math.sqrt(nominal * (1 - nominal) / studies)


@pytest.mark.parametrize("measure", TRUTH)
def test_intervals_cover_as_often_as_they_say(measure: str) -> None:
    """Over 25 studies of 8 runs: shares of few jobs, means and paired differences."""
    for name, share in covered(25, 8, measure).items():
        assert share >= least(25), name


@pytest.mark.soak
@pytest.mark.parametrize("measure", TRUTH)
def test_intervals_cover_in_95_of_100_studies(measure: str) -> None:
    """Over 400 studies of 20 runs about 95 % hold the truth; exact intervals of few dead letters, more."""
    for name, share in covered(400, 20, measure).items():
        assert share >= least(400, 0.94), name
        assert share <= 0.99 or measure != "attempts_per_job", name
