"""Intervals and tests agree with scipy and with published values, and never invent a spread."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.random import default_rng  # noqa: TID251
from scipy import stats

from jobsim.analysis.measure import Scale
from jobsim.analysis.statistics import (
    clustered_share_interval,
    holm,
    mean_interval,
    measure_interval,
    paired_difference,
    rare_bound,
    share_interval,
)

samples = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30)


@given(samples)
def test_mean_interval_is_the_t_interval(values: list[float]) -> None:
    """It is scipy's t interval around the mean."""
    found = mean_interval(values, 0.9)
    assert found.mean == pytest.approx(np.mean(values), abs=1e-6)
    if np.ptp(values) > 1e-3:
        low, high = stats.t.interval(0.9, len(values) - 1, np.mean(values), stats.sem(values))
        assert (found.low, found.high) == pytest.approx((low, high), abs=1e-5)


@pytest.mark.parametrize(
    ("values", "mean", "n"), [([3.0], 3.0, 1), ([], math.nan, 0), ([math.nan], math.nan, 0)]
)
def test_mean_interval_of_one_value_is_unknown(values: list[float], mean: float, n: int) -> None:
    """One replication has a mean and no interval; none has neither."""
    found = mean_interval(values)
    assert found.n == n
    assert found.mean == pytest.approx(mean, nan_ok=True)
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_intervals_leave_nan_out() -> None:
    """A replication without a value does not count, and `n` says so."""
    assert mean_interval([1.0, math.nan, 3.0]) == mean_interval([1.0, 3.0])
    assert paired_difference([1.0, math.nan, 5.0], [0.0, 0.0, math.nan]).n == 1


def test_rare_bound_is_the_rule_of_three() -> None:
    """With no event in n trials, 95 % exclude rates above about 3 / n."""
    assert rare_bound(1000) == pytest.approx(3 / 1000, rel=0.01)
    assert rare_bound(10) == pytest.approx(1 - 0.05 ** (1 / 10))
    assert math.isnan(rare_bound(0))


def test_share_without_dead_letters_is_not_certainly_zero() -> None:
    """Where every run gave 0, the upper bound is that of all jobs together."""
    found = measure_interval([0.0] * 20, Scale.JOBS_SHARE, trials=[500] * 20)
    assert (found.mean, found.low, found.n) == (0, 0, 20)
    assert found.high == pytest.approx(3 / 10_000, rel=0.01)


def test_share_of_all_jobs_is_not_certainly_one() -> None:
    """Where every run gave 1, the lower bound is as far from 1."""
    found = measure_interval([1.0] * 20, Scale.JOBS_SHARE, trials=[500] * 20)
    assert (found.mean, found.high) == (1, 1)
    assert found.low == pytest.approx(1 - 3 / 10_000, rel=0.01)


def test_few_dead_letters_have_the_exact_interval() -> None:
    """Where jobs fail independently it is nearly Clopper and Pearson's of all jobs, and never below zero."""
    events = [0, 1, 0, 0, 2, 0, 0, 1, 0, 0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 1]
    found = measure_interval([e / 500 for e in events], Scale.JOBS_SHARE, trials=[500] * 20)
    exact = share_interval(8, 10_000)
    assert found.mean == pytest.approx(exact.mean)
    assert 0 < found.low < exact.low
    assert exact.high < found.high < 1.1 * exact.high


def test_dead_letters_of_one_outage_count_as_one_event() -> None:
    """Twenty jobs that died together in one run of ten say less than twenty that died apart."""
    together = clustered_share_interval([0.04] + [0.0] * 9, [500] * 10)
    apart = clustered_share_interval([0.004] * 10, [500] * 10)
    assert together.mean == apart.mean
    assert together.high > 4 * apart.high


@pytest.mark.parametrize("clusters", [False, True])
def test_share_interval_of_few_events_covers(clusters: bool) -> None:
    """Over 400 studies of 20 runs the truth is inside in 95 % (of deaths in fours, in nearly as many)."""
    random, jobs, truth = default_rng(4), 400, 0.001
    size = 4 if clusters else 1
    shares = size * random.binomial(jobs // size, truth, (400, 20)) / jobs
    found = [measure_interval(row, Scale.JOBS_SHARE, trials=[jobs] * 20) for row in shares]
    covered = np.mean([low <= truth <= high for _, low, high, _ in found])
    assert covered >= (0.88 if clusters else 0.95) - 2 * math.sqrt(0.95 * 0.05 / 400)


def test_deaths_of_few_outages_are_few_events() -> None:
    """Hundreds of jobs that died in three runs of twenty are three events: their t interval reached zero."""
    shares = [0.0] * 17 + [0.04, 0.1, 0.06]
    found = measure_interval(shares, Scale.JOBS_SHARE, trials=[1_000] * 20)
    assert found == clustered_share_interval(shares, [1_000] * 20)
    assert mean_interval(shares).low < 0 < found.low


def test_share_interval_of_deaths_that_come_together_covers() -> None:
    """Where the share of a run is 2 % give or take 4 %, 88 % of intervals hold it, of t intervals 82 %."""
    random, truth = default_rng(8), 0.02
    shares = random.binomial(1_000, random.beta(0.18, 8.82, (400, 20))) / 1_000
    found = [measure_interval(row, Scale.JOBS_SHARE, trials=[1_000] * 20) for row in shares]
    covered = np.mean([low <= truth <= high for _, low, high, _ in found])
    assert covered >= 0.89 - 2 * math.sqrt(0.89 * 0.11 / 400)


def test_count_of_nothing_has_an_upper_bound() -> None:
    """No event in n runs excludes means above about 3 / n a run."""
    assert measure_interval([0.0] * 10, Scale.COUNT).high == pytest.approx(0.3, rel=0.01)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=10), st.sampled_from(Scale))
def test_measure_interval_stays_within_its_scale(values: list[float], scale: Scale) -> None:
    """No bound is negative, no share above 1, and the mean lies inside."""
    given_values = [round(v) for v in values] if scale is Scale.RUNS_SHARE else values
    found = measure_interval(given_values, scale, trials=[100] * len(values))
    assert -1e-9 <= found.low <= found.mean + 1e-9
    assert found.mean <= found.high + 1e-9
    if scale is not Scale.AMOUNT and scale is not Scale.COUNT:
        assert found.high <= 1 + 1e-9


def test_share_interval_is_clopper_pearson() -> None:
    """At each bound, what was seen or something further off has probability 2.5 %."""
    found = share_interval(4, 20)
    assert (found.mean, found.n) == (0.2, 20)
    assert stats.binom.cdf(4, 20, found.high) == pytest.approx(0.025)
    assert stats.binom.sf(3, 20, found.low) == pytest.approx(0.025)
    assert share_interval(0, 0).n == 0


def test_mean_of_an_infinite_value_has_no_interval() -> None:
    """What was never reached in one run has no finite mean, and no bounds that would hide it."""
    found = mean_interval([1.0, math.inf, 3.0])
    assert (found.mean, found.n) == (math.inf, 3)
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_paired_difference_of_infinite_values_is_judged_by_signs() -> None:
    """Never is later than any number, in every pair; two nevers tell nothing."""
    found = paired_difference([math.inf] * 10, [*range(9), math.inf])
    assert (found.difference, found.n) == (math.inf, 9)
    assert found.p_value == pytest.approx(2 * 0.5**9)
    mixed = paired_difference([math.inf, 1, 2, 3], [0.0, 2, 3, 4])
    assert mixed.p_value == pytest.approx(stats.binomtest(1, 4).pvalue)
    assert math.isnan(paired_difference([math.inf] * 3, [math.inf] * 3).p_value)


@given(samples)
def test_paired_difference_is_the_paired_t_test(values: list[float]) -> None:
    """Interval and p-value are scipy's."""
    baseline = [v * 0.5 + i**2 for i, v in enumerate(values)]
    difference = np.subtract(values, baseline)
    found = paired_difference(values, baseline)
    if np.std(difference) > 1e-3 * max(1, abs(float(np.mean(difference)))):
        expected = stats.ttest_rel(values, baseline)
        interval = expected.confidence_interval(0.95)
        assert found.p_value == pytest.approx(expected.pvalue, rel=1e-6, abs=1e-12)
        assert (found.low, found.high) == pytest.approx((interval.low, interval.high), rel=1e-6, abs=1e-6)


def test_paired_difference_of_equal_runs_is_not_significant() -> None:
    """Two policies that behave alike differ by nothing, with p-value 1."""
    assert paired_difference([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]) == (0, 0, 0, 1, 3)


@pytest.mark.parametrize(("n", "p_value"), [(2, 0.5), (6, 1 / 32)])
def test_paired_difference_without_spread_has_the_sign_tests_p_value(n: int, p_value: float) -> None:
    """The same difference twice is no proof; the t test would call it certain."""
    found = paired_difference([1.1] * n, [1.0] * n)
    assert found.p_value == pytest.approx(p_value)


@pytest.mark.parametrize("n", [0, 1])
def test_paired_difference_of_too_few_runs_is_unknown(n: int) -> None:
    """One pair has no interval and no p-value, and nothing is raised."""
    found = paired_difference([2.0] * n, [1.0] * n)
    assert found.n == n
    assert all(math.isnan(x) for x in (found.low, found.high, found.p_value))


def test_holm_agrees_with_a_worked_example() -> None:
    """0.01, 0.04, 0.03, 0.005 become 0.03, 0.06, 0.06, 0.02 (Holm's step-down, by hand)."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@given(st.lists(st.one_of(st.floats(0, 1), st.just(math.nan)), max_size=12))
def test_holm_corrects_between_nothing_and_bonferroni(p_values: list[float]) -> None:
    """Adjusted values keep their order, lie between p and m p, at most 1; NaN does not count."""
    adjusted = holm(p_values)
    known = [(p, a) for p, a in zip(p_values, adjusted, strict=True) if not math.isnan(p)]
    assert [math.isnan(a) for a in adjusted] == [math.isnan(p) for p in p_values]
    assert all(p <= a <= min(1, p * len(known)) + 1e-12 for p, a in known)
    assert [a for _, a in sorted(known)] == sorted(a for _, a in known)
