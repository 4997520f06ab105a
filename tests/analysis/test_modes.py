"""Two groups are found where there are two, and hardly ever where there is one."""

import numpy as np
import pytest
from numpy.random import default_rng  # noqa: TID251
from numpy.typing import NDArray

from jobsim.analysis.modes import two_groups

Floats = NDArray[np.float64]


def one_peak(name: str, seed: int) -> Floats:
    random = default_rng(seed)
    draws = {
        "uniform": lambda: random.random(20),
        "normal": lambda: random.normal(0, 1, 20),
        "exponential": lambda: random.exponential(1, 20),
        "lognormal": lambda: random.lognormal(0, 2, 20),
        "pareto": lambda: random.pareto(0.8, 20),
        "laplace": lambda: random.laplace(0, 1, 20),
    }
    return np.asarray(draws[name]())


@pytest.mark.parametrize("name", ["uniform", "normal", "exponential", "lognormal", "pareto", "laplace"])
def test_groups_are_not_seen_in_one_peak(name: str) -> None:
    """Of 1,500 samples with one peak, heavy tails included, at most 5 % are taken for two groups."""
    alarms = [two_groups(one_peak(name, seed)).p_value < 0.05 for seed in range(1500)]
    assert np.mean(alarms) <= 0.05


def test_groups_are_not_seen_in_rare_counts() -> None:
    """Runs with 0, 1 or 2 dead letters are one group, however many are equal."""
    samples = default_rng(1).poisson(0.7, (500, 20)).astype(float)
    assert np.mean([two_groups(sample, step=1.0).p_value < 0.05 for sample in samples]) <= 0.05


@pytest.mark.parametrize(("few", "apart"), [(4, 35), (6, 15), (10, 10)])
def test_groups_that_are_far_apart_are_found(few: int, apart: float) -> None:
    """Of 200 samples of 20 in two normal groups, nine in ten are split where they are."""
    random = default_rng(2)
    found = [
        two_groups(np.concatenate((random.normal(0, 1, few), random.normal(apart, 1, 20 - few))))
        for _ in range(200)
    ]
    assert np.mean([one.p_value < 0.05 and len(one.lower) == few for one in found]) > 0.9


def test_groups_may_have_no_spread() -> None:
    """Fourteen runs in which all succeed, and six in which few do."""
    found = two_groups([1.0] * 14 + [0.2, 0.21, 0.22, 0.25, 0.26, 0.3], step=0.001)
    assert found.p_value < 0.002
    assert (len(found.lower), found.higher.tolist()) == (6, [1.0] * 14)


@pytest.mark.parametrize("values", [[], [1.0] * 20, [1.0, 9.0], [1.0] * 10 + [np.inf] * 10, [np.nan] * 9])
def test_groups_of_too_few_or_equal_values_are_one(values: list[float]) -> None:
    """Nothing can be said, and nothing is raised."""
    assert two_groups(values).p_value == 1
