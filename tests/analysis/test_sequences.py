"""Confidence sequences: valid however often they are looked at, and what they cost."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.random import Generator, default_rng  # noqa: TID251
from scipy import stats

from jobsim.analysis.measure import Scale
from jobsim.analysis.sequences import (
    mean_sequence,
    sequence_interval,
    sequential_difference,
    share_sequence,
)
from jobsim.analysis.statistics import Interval, mean_interval, share_interval


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


@pytest.mark.soak
@pytest.mark.parametrize(
    ("cv", "first", "share"), [(0.5, 20, 0.05), (1, 20, 0.11), (2, 20, 0.24), (1, 50, 0.06), (2, 50, 0.14)]
)
def test_sequence_misses_skewed_means_as_often_as_is_said(cv: float, first: int, share: float) -> None:
    """Lognormal values looked at until the 200th are missed as statistics.md says, over 300 series."""
    random, sigma = default_rng(3), math.sqrt(math.log1p(cv * cv))
    misses = 0
    for _ in range(300):
        sample = random.lognormal(-sigma * sigma / 2, sigma, 200)
        misses += any(
            not s.low <= 1 <= s.high for s in (mean_sequence(sample[:n]) for n in range(first, 201))
        )
    assert misses / 300 == pytest.approx(share, abs=3 * math.sqrt(share * (1 - share) / 300))


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


@pytest.mark.parametrize(("successes", "trials"), [(0, 40), (3, 40), (40, 40), (14, 20)])
def test_share_sequence_is_where_the_bayes_factor_is_small(successes: int, trials: int) -> None:
    """At a bound that is not 0 or 1, the data are twenty times likelier under all shares alike."""
    share, low, high, n = share_sequence(successes, trials)
    assert (share, n) == (successes / trials, trials)
    for bound in {low, high} - {0.0, 1.0}:
        alike = stats.betabinom.pmf(successes, trials, 1, 1)
        assert alike / stats.binom.pmf(successes, trials, bound) == pytest.approx(20)
    exact = share_interval(successes, trials)
    assert low <= exact.low + 1e-12
    assert exact.high <= high + 1e-12


def test_share_sequence_covers_whenever_one_looks() -> None:
    """Over 300 series of 60 trials, looked at after each, at most 5 % (and chance) miss the truth ever."""
    trials = default_rng(6).random((300, 60)) < 0.3
    counts = trials.cumsum(axis=1)
    bounds = {(k, n): share_sequence(k, n) for n in range(1, 61) for k in range(n + 1)}
    missed_ever = [
        any(not bounds[int(k), n].low <= 0.3 <= bounds[int(k), n].high for n, k in enumerate(row, 1))
        for row in counts
    ]
    assert np.mean(missed_ever) <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 300)


def misses(series: np.ndarray, truth: float, jobs: int | None) -> int:
    """Return how many series of shares leave the truth out, ever, where `compare` looks; `None`: of means."""
    looks = (10, 15, 20, 25, 31, 38, 47, 58, 72, 90, 112, 140, 175, 200)

    def found(row: np.ndarray, n: int) -> Interval:
        trials = None if jobs is None else [jobs] * n
        return sequence_interval(row[:n], Scale.JOBS_SHARE, trials=trials)

    held = [all(low <= truth <= high for _, low, high, _ in (found(row, n) for n in looks)) for row in series]
    return len(held) - sum(held)


def test_sequence_of_few_dead_letters_covers_whenever_one_looks() -> None:
    """Where a run has a dead letter once in ten, at most 5 % of 300 series ever miss the share."""
    shares = default_rng(7).binomial(300, 0.0003, (300, 200)) / 300
    assert misses(shares, 0.0003, 300) <= 0.05 * 300 < misses(shares, 0.0003, None)


def test_sequence_of_deaths_that_come_together_counts_them_as_few() -> None:
    """Where the share of a run is 2 % give or take 4 %, a fifth of series miss it at most; as means, more."""
    random, jobs = default_rng(8), 1_000
    shares = random.binomial(jobs, random.beta(0.18, 8.82, (150, 200))) / jobs
    assert misses(shares, 0.02, jobs) < 0.2 * 150 < misses(shares, 0.02, None)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=30), st.sampled_from(Scale))
def test_sequence_interval_stays_within_its_scale(values: list[float], scale: Scale) -> None:
    """As the intervals of fixed numbers of runs: no bound is negative, no share above 1."""
    given_values = [round(v) for v in values] if scale is Scale.RUNS_SHARE else values
    mean, low, high, n = sequence_interval(given_values, scale, trials=[100] * len(values))
    assert n == len(values)
    assert math.isnan(low) or 0 <= low <= mean + 1e-9
    assert math.isnan(high) or mean <= high + 1e-9
    assert scale not in {Scale.JOBS_SHARE, Scale.RUNS_SHARE} or not high > 1


def test_sequence_bounds_what_was_never_seen() -> None:
    """No dead letter in 10,000 jobs excludes shares above about 12 / n, where a single look allows 3 / n."""
    found = sequence_interval([0.0] * 20, Scale.JOBS_SHARE, trials=[500] * 20)
    assert (found.mean, found.low, found.n) == (0, 0, 20)
    assert found.high == pytest.approx(math.log(20 * 10_001) / 10_000, rel=1e-3)
    assert sequence_interval([0.0] * 10, Scale.COUNT).high == pytest.approx(math.log(220) / 10)
