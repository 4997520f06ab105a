"""Bounds of quantiles by order statistics: exact, without any assumption on the distribution."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.random import default_rng  # noqa: TID251
from scipy import stats

from jobsim.analysis.quantiles import quantile_interval, quantile_sequence
from jobsim.analysis.statistics import Interval


def test_quantile_bounds_are_those_of_the_tables() -> None:
    """Of ten values the median lies between the 2nd and the 9th with 97.9 % (David & Nagaraja)."""
    assert quantile_interval(range(1, 11), 0.5) == (5, 2, 9, 10)
    assert stats.binom.cdf(8, 10, 0.5) - stats.binom.cdf(1, 10, 0.5) == pytest.approx(0.979, abs=1e-3)


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=60), st.floats(0.01, 0.99))
def test_quantile_lies_between_its_bounds(values: list[int], probability: float) -> None:
    """The quantile is a value, so many per cent are not above it, and the bounds enclose it."""
    found = quantile_interval(values, probability)
    assert found.mean in values
    assert np.mean(np.asarray(values) <= found.mean) >= probability - 1e-6
    assert found.low <= found.mean <= found.high


def test_quantile_of_few_values_has_no_upper_bound() -> None:
    """Twenty values say nothing of how high the p99 may be."""
    assert quantile_interval(range(20), 0.99).high == math.inf
    assert quantile_interval([], 0.5).n == 0


def test_quantile_may_be_infinite() -> None:
    """What was never reached is the highest value of all, and no mean is taken."""
    found = quantile_interval([1.0, 2.0, 3.0, math.inf, math.nan], 0.9)
    assert (found.mean, found.n) == (math.inf, 4)


@pytest.mark.parametrize("probability", [0.5, 0.95])
def test_quantile_bounds_cover_as_often_as_they_say(probability: float) -> None:
    """Over 1,000 samples of a heavy tail at least 95 % of the intervals hold the true quantile."""
    samples = default_rng(5).pareto(1.5, (1000, 120))
    truth = (1 - probability) ** (-1 / 1.5) - 1
    found = [quantile_interval(sample, probability) for sample in samples]
    covered = sum(low <= truth <= high for _, low, high, _ in found)
    assert covered >= 950 - 2 * math.sqrt(1000 * 0.05 * 0.95)


@given(st.lists(st.integers(0, 1000), max_size=60), st.floats(0.01, 0.99), st.sampled_from([0.8, 0.95]))
def test_quantile_that_is_looked_at_again_has_wider_bounds(
    values: list[int], probability: float, ci: float
) -> None:
    """It is the same quantile, and no bound is nearer to it than that of a single look."""
    once, often = (f(values, probability, ci) for f in (quantile_interval, quantile_sequence))
    assert once.n == often.n == len(values)
    if values:
        assert once.mean == often.mean
        assert often.low <= once.low
        assert once.high <= often.high


def test_quantile_sequence_covers_whenever_one_looks() -> None:
    """Over 200 series, looked at from 10 to 100 values, at most 5 % (and chance) ever miss the median."""
    samples = default_rng(6).pareto(1.5, (200, 100))
    truth = 0.5 ** (-1 / 1.5) - 1

    def missed(sample: np.ndarray, bounds: Callable[..., Interval]) -> bool:
        looks = (bounds(sample[:n], 0.5) for n in range(10, 101, 3))
        return any(not low <= truth <= high for _, low, high, _ in looks)

    assert sum(missed(sample, quantile_sequence) for sample in samples) <= 10 + 2 * math.sqrt(9.5)
    assert sum(missed(sample, quantile_interval) for sample in samples) > 20
