"""Intervals and tests over replications; every result says how many it rests on.

Replications are independent; values that are NaN are left out and `n` counts the rest. Where there are
too few (one, mostly) bounds and p-values are NaN: nothing is known about the spread then. A value may be
infinite (a latency that was never reached); its mean is infinite then and has no bounds.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from jobsim.analysis.measure import Scale

Floats = NDArray[np.float64]

_FEW_EVENTS: Final = 30
"""With fewer events than that, those of one run that come together counted as less, a mean of shares is not
normal enough for a t interval."""


class Interval(NamedTuple):
    """A mean over `n` replications and the bounds of its confidence interval."""

    mean: float
    low: float
    high: float
    n: int


class Difference(NamedTuple):
    """A mean paired difference over `n` replications, its confidence interval and p-value."""

    difference: float
    low: float
    high: float
    p_value: float
    n: int


def mean_interval(values: ArrayLike, ci: float = 0.95) -> Interval:
    """Return the mean and its t interval.

    Source: Law, Simulation Modeling and Analysis, 5th ed., section 9.4.1 (replications).
    """
    sample = known(values)
    n = len(sample)
    if n < 2:
        return Interval(sample[0] if n else math.nan, math.nan, math.nan, n)
    mean = float(sample.mean())
    if math.isinf(mean):
        return Interval(mean, math.nan, math.nan, n)
    half = _half_width(sample, ci)
    return Interval(mean, mean - half, mean + half, n)


def measure_interval(
    values: ArrayLike, scale: Scale, ci: float = 0.95, trials: ArrayLike | None = None
) -> Interval:
    """Return the interval that suits a measure of the given scale, inside the scale's own bounds.

    A t interval in general. Where every run gave 0 (or, for a share, every run 1) the spread among runs
    says nothing, so the other bound is exact for rare events: of a share of jobs, with `trials` jobs a
    run, it assumes that jobs fail independently, which an outage breaks; take it as the least that
    the uncertainty can be. Where few jobs make the share, see `clustered_share_interval`. A share of runs has
    the Clopper-Pearson interval.
    """
    sample = known(values)
    n = len(sample)
    if scale is Scale.RUNS_SHARE:
        return share_interval(int(sample.sum()), n, ci)
    if scale is Scale.JOBS_SHARE and trials is not None and n and not np.isnan(trials).any():
        jobs = np.asarray(trials, float)[~np.isnan(np.asarray(values, float))]
        if few_events(sample, jobs):
            return clustered_share_interval(sample, jobs, ci)
    if scale is Scale.COUNT and n and not sample.any():
        return Interval(0.0, 0.0, -math.log(1 - ci) / n, n)
    mean, low, high, n = mean_interval(sample, ci)
    top = 1.0 if scale is Scale.JOBS_SHARE else math.inf
    return Interval(mean, float(np.maximum(low, 0.0)), float(np.minimum(high, top)), n)


def few_events(shares: Floats, trials: Floats) -> bool:
    """Return whether too few jobs, or nearly all, make the shares for their mean to be normal."""
    events, total = shares * trials, float(trials.sum())
    rarer = min(float(events.sum()), total - float(events.sum()))
    return rarer < _FEW_EVENTS * design_effect(events, trials)


def design_effect(events: Floats, trials: Floats) -> float:
    """Return how many times fewer jobs count than there are, since those of one run share its fate."""
    runs, total = len(trials), float(trials.sum())
    share = float(events.sum()) / total
    if runs < 2 or not 0 < share < 1:
        return 1.0
    off = events - share * trials
    return max(1.0, runs / (runs - 1) * float(off @ off) / (total * share * (1 - share)))


def clustered_share_interval(shares: ArrayLike, trials: ArrayLike, ci: float = 0.95) -> Interval:
    """Return the share of all jobs together, and its exact binomial interval for as many jobs as count.

    Jobs of one run share its outages: if they fail together, the shares of the runs differ by more than
    the binomial law allows, and so many times fewer jobs count. Where they fail independently it is nearly
    the Clopper-Pearson interval of all jobs; without any event, or in one run, there is nothing to see
    the difference by, and it is exactly that: the rule of three.

    Source: Korn & Graubard, Survey Methodology 24 (1998), 193-201.
    """
    jobs = np.asarray(trials, float)
    events = np.asarray(shares, float) * jobs
    runs, total = len(jobs), float(jobs.sum())
    share = float(events.sum()) / total
    count = total
    if runs > 1 and 0 < share < 1:
        narrow, wide = (float(stats.t.ppf((1 + ci) / 2, n - 1)) for n in (total, runs))
        count = total / design_effect(events, jobs) * (narrow / wide) ** 2
    low, high = _binomial_bounds(share * count, count, ci)
    return Interval(share, low, high, runs)


def _binomial_bounds(events: float, trials: float, ci: float) -> tuple[float, float]:
    """Return the Clopper-Pearson bounds, of which neither number need be whole; one-sided at 0 and 1."""
    if events <= 0:
        return 0.0, rare_bound(trials, ci)
    if events >= trials:
        return 1.0 - rare_bound(trials, ci), 1.0
    low = stats.beta.ppf((1 - ci) / 2, events, trials - events + 1)
    return float(low), float(stats.beta.ppf((1 + ci) / 2, events + 1, trials - events))


def share_interval(successes: int, trials: int, ci: float = 0.95) -> Interval:
    """Return the share of successes in independent trials and its Clopper-Pearson interval.

    Source: Clopper & Pearson, Biometrika 26 (1934).
    """
    if trials == 0:
        return Interval(math.nan, math.nan, math.nan, 0)
    bounds = stats.binomtest(successes, trials).proportion_ci(ci, method="exact")
    return Interval(successes / trials, float(bounds.low), float(bounds.high), trials)


def rare_bound(trials: float, ci: float = 0.95) -> float:
    """Return the largest probability under which no event in `trials` independent ones is plausible.

    At 95 % it is near 3 / trials, the rule of three. Source: Hanley & Lippman-Hand, JAMA 249 (1983).
    """
    return -math.expm1(math.log1p(-ci) / trials) if trials else math.nan


def paired_difference(values: ArrayLike, baseline: ArrayLike, ci: float = 0.95) -> Difference:
    """Return the mean of `values - baseline`, pair by pair, with its t interval and two-sided p-value.

    Where all differences are equal, or some infinite, there is no spread to judge by; the p-value is
    then that of the sign test (1 where they are all zero). Pairs that are both infinite are left out.
    """
    with np.errstate(invalid="ignore"):  # infinity less infinity
        sample = known(np.asarray(values, float) - np.asarray(baseline, float))
        n = len(sample)
        mean = float(sample.mean()) if n else math.nan
    if n < 2:
        return Difference(mean, math.nan, math.nan, math.nan, n)
    if not np.isfinite(sample).all():
        p_value = stats.binomtest(int((sample > 0).sum()), int((sample != 0).sum())).pvalue
        return Difference(mean, math.nan, math.nan, float(p_value), n)
    if np.allclose(sample, mean, rtol=1e-9, atol=0):
        return Difference(mean, mean, mean, 2.0 ** (1 - n) if mean else 1.0, n)
    half = _half_width(sample, ci)
    p_value = 2 * float(stats.t.sf(abs(mean) / _standard_error(sample), n - 1))
    return Difference(mean, mean - half, mean + half, p_value, n)


def few_jobs_p_value(jobs: float) -> float:
    """Return the least p-value of a difference that is so many jobs more, or fewer, over all runs.

    It is that of the exact test of paired outcomes where all jobs that fared differently did so in one
    direction. A t test of shares would be sure of three jobs in three runs, one in each.

    Source: McNemar, Psychometrika 12 (1947).
    """
    return min(1.0, math.exp2(1 - abs(jobs)))


def holm(p_values: Sequence[float] | Iterable[float]) -> Floats:
    """Return p-values adjusted for their number, so that all claims together err at most that often.

    NaN stays NaN and does not count. Source: Holm, Scandinavian Journal of Statistics 6 (1979).
    """
    given = np.fromiter(p_values, float)
    adjusted = np.full(len(given), np.nan)
    order = np.argsort(given)[: np.count_nonzero(~np.isnan(given))]  # NaN sorts last
    steps = given[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def known(values: ArrayLike) -> Floats:
    """Return the values that are not NaN."""
    array: Floats = np.asarray(values, np.float64)
    return array[~np.isnan(array)]


def _standard_error(sample: Floats) -> float:
    return float(sample.std(ddof=1)) / math.sqrt(len(sample))


def _half_width(sample: Floats, ci: float) -> float:
    return float(stats.t.ppf((1 + ci) / 2, len(sample) - 1)) * _standard_error(sample)
