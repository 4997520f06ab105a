"""Intervals that may be looked at after every run: all of them together cover the mean, whenever one stops.

A t interval of 95 % that is looked at after each of the runs 10 to 200 misses the mean at least once in a
third of all cases. The sequence here is exact for normal values of unknown variance: looked at as often, it
misses in 3 %. It relies on them: exponential values are missed in 10 % (from the 20th on in 8 %). Measures
are means or quantiles over the many jobs of a run, which are nearer to normal; shares of few jobs are not,
and go by the jobs. The price: 1.6 times the width of a t interval.
"""

import math
from typing import Final

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special

from jobsim.analysis.measure import Scale
from jobsim.analysis.statistics import Difference, Interval, design_effect, few_events, known

_NARROWEST_AT: Final = 30
"""The number of replications at which the sequence is narrowest, compared with the t interval."""


def mean_sequence(values: ArrayLike, ci: float = 0.95) -> Interval:
    """Return the mean of the values so far, with the bounds of a confidence sequence.

    Under the Bayes factor B(m) of ``mean = m`` against an effect of size N(0, g), in standard deviations, the
    means with B(m) < 1 / (1 - ci) are kept. B(true mean) is a martingale that starts at 1, so it ever
    reaches 1 / (1 - ci) with probability 1 - ci at most (Ville's inequality). Infinite bounds: too few yet.

    Source: Lai, Annals of Statistics 4 (1976); Wang & Ramdas, Sequential Analysis 44 (2025), "Anytime-valid
    t-tests and confidence sequences for Gaussian means with unknown variance". The Bayes factor: Gönen et
    al., The American Statistician 59 (2005).
    """
    sample = known(values)
    n = len(sample)
    if n < 2 or not np.isfinite(sample).all():
        return Interval(float(sample.mean()) if n else math.nan, math.nan, math.nan, n)
    mean, error = float(sample.mean()), float(sample.std(ddof=1)) / math.sqrt(n)
    half = math.inf if error == 0 else _t_bound(n, 1 - ci) * error
    return Interval(mean, mean - half, mean + half, n)


def share_sequence(successes: float, trials: float, ci: float = 0.95) -> Interval:
    """Return the share of successes in independent trials so far, with the bounds of a confidence sequence.

    As `mean_sequence`, with the Bayes factor of one share against all shares alike, which is exact.

    Source: Robbins, Annals of Mathematical Statistics 41 (1970), 1397-1409.
    """
    if trials == 0:
        return Interval(math.nan, math.nan, math.nan, 0)
    k, n, share = successes, trials, successes / trials
    level = float(special.betaln(k + 1, n - k + 1)) + math.log(1 - ci)

    def excess(p: float) -> float:
        return float(special.xlogy(k, p) + special.xlog1py(n - k, -p)) - level

    low = optimize.brentq(excess, 0.0, share) if k else 0.0
    high = optimize.brentq(excess, share, 1.0) if k < n else 1.0
    return Interval(share, float(low), float(high), int(n))


def clustered_share_sequence(shares: ArrayLike, trials: ArrayLike, ci: float = 0.95) -> Interval:
    """Return the share of all jobs together, with the bounds of a sequence for as many jobs as count.

    As `statistics.clustered_share_interval`: exact where jobs fail independently, and without any event.
    """
    jobs = np.asarray(trials, float)
    events = np.asarray(shares, float) * jobs
    effect = design_effect(events, jobs)
    found = share_sequence(float(events.sum()) / effect, float(jobs.sum()) / effect, ci)
    return found._replace(n=len(jobs))


def sequence_interval(
    values: ArrayLike, scale: Scale, ci: float = 0.95, trials: ArrayLike | None = None
) -> Interval:
    """Return what `measure_interval` does, of a measure that was looked at after every run."""
    sample = known(values)
    n = len(sample)
    if scale is Scale.RUNS_SHARE:
        return share_sequence(int(sample.sum()), n, ci)
    if scale is Scale.JOBS_SHARE and trials is not None and n and not np.isnan(trials).any():
        jobs = np.asarray(trials, float)[~np.isnan(np.asarray(values, float))]
        if few_events(sample, jobs):
            return clustered_share_sequence(sample, jobs, ci)
    if scale is Scale.COUNT and n and not sample.any():  # against all means, by the density exp(-mean)
        return Interval(0.0, 0.0, math.log((n + 1) / (1 - ci)) / n, n)
    mean, low, high, n = mean_sequence(sample, ci)
    if not math.isfinite(low):
        return Interval(mean, math.nan, math.nan, n)
    return Interval(mean, max(low, 0.0), min(high, 1.0) if scale is Scale.JOBS_SHARE else high, n)


def sequential_difference(values: ArrayLike, baseline: ArrayLike, ci: float = 0.95) -> Difference:
    """Return the mean of `values - baseline`, pair by pair, with bounds and a p-value that may be peeked at.

    The p-value is 1 / B(0), at most 1. Pairs of which one is infinite prove nothing here: bounds and p-value
    are NaN then.
    """
    with np.errstate(invalid="ignore"):  # infinity less infinity
        sample = known(np.asarray(values, float) - np.asarray(baseline, float))
    mean, low, high, n = mean_sequence(sample, ci)
    if not math.isfinite(low):
        return Difference(mean, low, high, 1.0 if low == -math.inf else math.nan, n)
    t = mean * math.sqrt(n) / float(sample.std(ddof=1))
    return Difference(mean, low, high, min(1.0, math.exp(-_log_bayes_factor(t, n, 1 - ci))), n)


def _spread(alpha: float) -> float:
    """Return g, the variance of the effect's size, for which the sequence is narrowest at `_NARROWEST_AT`.

    Source: Waudby-Smith et al., Annals of Statistics 52 (2024), "Time-uniform central limit theory and
    asymptotic confidence sequences", appendix B.2.
    """
    return (-2 * math.log(alpha) + math.log(-2 * math.log(alpha)) + 1) / _NARROWEST_AT


def _t_bound(n: int, alpha: float) -> float:
    """Return the |t| at which the Bayes factor reaches 1 / alpha; infinite where it never does."""
    k = 1 + n * _spread(alpha)
    ratio = (math.sqrt(k) / alpha) ** (2 / n)
    return math.inf if ratio >= k else math.sqrt((n - 1) * (ratio - 1) / (1 - ratio / k))


def _log_bayes_factor(t: float, n: int, alpha: float) -> float:
    k, square = 1 + n * _spread(alpha), t * t / (n - 1)
    return n / 2 * (math.log1p(square) - math.log1p(square / k)) - math.log(k) / 2
