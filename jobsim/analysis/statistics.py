"""Intervals and tests over replications; every result says how many it rests on.

Replications are independent; values that are NaN are left out and `n` counts the rest. Where there are
too few (one, mostly) bounds and p-values are NaN: nothing is known about the spread then. A value may be
infinite (a latency that was never reached); its mean is infinite then and has no bounds.
"""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from jobsim.analysis.measure import Scale

Floats = NDArray[np.float64]


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
    sample = _known(values)
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
    the uncertainty can be. A share of runs has the Clopper-Pearson interval.
    """
    sample = _known(values)
    n = len(sample)
    if scale is Scale.RUNS_SHARE:
        return share_interval(int(sample.sum()), n, ci)
    all_zero, all_one = n > 0 and not sample.any(), n > 0 and bool((sample == 1).all())
    if scale is Scale.JOBS_SHARE and trials is not None and (all_zero or all_one):
        bound = rare_bound(int(_known(trials).sum()), ci)
        return Interval(0.0, 0.0, bound, n) if all_zero else Interval(1.0, 1 - bound, 1.0, n)
    if scale is Scale.COUNT and all_zero:
        return Interval(0.0, 0.0, -math.log(1 - ci) / n, n)
    mean, low, high, n = mean_interval(sample, ci)
    top = 1.0 if scale is Scale.JOBS_SHARE else math.inf
    return Interval(mean, float(np.maximum(low, 0.0)), float(np.minimum(high, top)), n)


def share_interval(successes: int, trials: int, ci: float = 0.95) -> Interval:
    """Return the share of successes in independent trials and its Clopper-Pearson interval.

    Source: Clopper & Pearson, Biometrika 26 (1934).
    """
    if trials == 0:
        return Interval(math.nan, math.nan, math.nan, 0)
    bounds = stats.binomtest(successes, trials).proportion_ci(ci, method="exact")
    return Interval(successes / trials, float(bounds.low), float(bounds.high), trials)


def rare_bound(trials: int, ci: float = 0.95) -> float:
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
        sample = _known(np.asarray(values, float) - np.asarray(baseline, float))
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


def _known(values: ArrayLike) -> Floats:
    array: Floats = np.asarray(values, np.float64)
    return array[~np.isnan(array)]


def _standard_error(sample: Floats) -> float:
    return float(sample.std(ddof=1)) / math.sqrt(len(sample))


def _half_width(sample: Floats, ci: float) -> float:
    return float(stats.t.ppf((1 + ci) / 2, len(sample) - 1)) * _standard_error(sample)
