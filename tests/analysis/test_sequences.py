"""Confidence sequences: valid however often they are looked at, and what they cost."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.random import Generator, default_rng  # noqa: TID251

from jobsim.analysis.sequences import mean_sequence, sequential_difference
from jobsim.analysis.statistics import mean_interval


def missed(random: Generator, shape: float, looks: range) -> bool:
    """Whether an interval that is looked at after each run ever leaves the mean of gamma values out."""
    sample = random.gamma(shape, 1 / shape, looks[-1])
    return any(not low <= 1 <= high for _, low, high, _ in (mean_sequence(sample[:n]) for n in looks))


def test_sequence_covers_whenever_one_looks() -> None:
    """Over 150 series looked at from 5 to 120 values, at most 5 % (and chance) are ever missed."""
    random = default_rng(1)
    misses = sum(missed(random, 400, range(5, 121, 3)) for _ in range(150))
    assert misses <= 0.05 * 150 + 2 * math.sqrt(0.05 * 0.95 * 150)


@pytest.mark.soak
@pytest.mark.parametrize(("shape", "most"), [(400, 0.05), (10, 0.065), (1, 0.12)])
def test_sequence_covers_under_continuous_peeking(shape: float, most: float) -> None:
    """Nearly normal values are missed in 5 % at most, skewed ones a little more often, over 2,000 series."""
    random = default_rng(2)
    misses = sum(missed(random, shape, range(10, 201)) for _ in range(2000))
    assert misses / 2000 <= most + 2 * math.sqrt(most * (1 - most) / 2000)


def test_sequence_costs_less_than_twice_the_width() -> None:
    """From 15 runs on, it is wider than the t interval by 1.5 to 1.8."""
    random = default_rng(3)
    for n in (15, 30, 60, 200):
        sample = random.normal(10, 1, n)
        wide, narrow = mean_sequence(sample), mean_interval(sample)
        assert 1.5 < (wide.high - wide.low) / (narrow.high - narrow.low) < 1.8


def test_sequence_of_few_or_equal_values_knows_nothing() -> None:
    """Five values cannot exclude anything, nor can any number of equal ones."""
    assert mean_sequence([1.0, 2.0, 3.0, 4.0, 5.0])[:3] == (3.0, -math.inf, math.inf)
    assert mean_sequence([2.0] * 50)[:3] == (2.0, -math.inf, math.inf)
    assert math.isnan(mean_sequence([1.0]).low)
    assert math.isnan(mean_sequence([1.0, math.inf, 2.0]).low)


@given(st.lists(st.floats(-100, 100), min_size=12, max_size=40), st.sampled_from([0.9, 0.95, 0.99]))
def test_sequential_p_value_agrees_with_its_bounds(values: list[float], ci: float) -> None:
    """Zero is outside the bounds exactly where the p-value is below 1 - ci."""
    found = sequential_difference(values, np.zeros(len(values)), ci)
    if np.ptp(values) > 1e-3 and math.isfinite(found.low):
        outside = not found.low <= 0 <= found.high
        assert outside is (found.p_value < 1 - ci) or min(abs(found.low), abs(found.high)) < 1e-9


def test_sequential_difference_of_equal_runs_is_no_difference() -> None:
    """Policies that behave alike are never told apart, however long one looks."""
    assert sequential_difference([1.0, 2.0] * 20, [1.0, 2.0] * 20).p_value == 1
