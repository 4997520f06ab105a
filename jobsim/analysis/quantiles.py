"""Quantiles with the bounds that ordered values give: no distribution is assumed, values may be infinite."""

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats

from jobsim.analysis.statistics import Interval, known
from jobsim.core.errors import ConfigError


def quantile_interval(values: ArrayLike, probability: float, ci: float = 0.95) -> Interval:
    """Return a quantile of independent values and the two of them between which it lies.

    The quantile is the value of rank ``ceil(probability * n)``. The bounds hold with probability `ci` at
    least, whatever the distribution; where there are too few values, a bound is infinite.

    Source: David & Nagaraja, Order Statistics, 3rd ed., section 7.1.
    """
    n = len(known(values))
    low, high = (int(stats.binom.ppf(tail, n, probability)) for tail in ((1 - ci) / 2, (1 + ci) / 2))
    return _between(values, probability, low, high)


def quantile_sequence(values: ArrayLike, probability: float, ci: float = 0.95) -> Interval:
    """Return the same with bounds that may be looked at after every value.

    How many of n values do not pass the quantile is binomial; kept are the numbers of which the Bayes factor
    of this probability against all alike has not reached 1 / (1 - ci). See `sequences.share_sequence`.

    Source: Howard & Ramdas, Bernoulli 28 (2022), "Sequential estimation of quantiles with applications to
    A/B testing and best-arm identification".
    """
    n = len(known(values))
    below = np.arange(n + 1)
    logs = special.xlogy(below, probability) + special.xlog1py(n - below, -probability)
    kept = below[special.betaln(below + 1, n - below + 1) - logs < -math.log(1 - ci)]
    return _between(values, probability, int(kept[0]), int(kept[-1]))


def _between(values: ArrayLike, probability: float, low: int, high: int) -> Interval:
    """Return the quantile where at least `low` and at most `high` values do not pass it."""
    ordered = np.sort(known(values))
    n = len(ordered)
    if n == 0:
        return Interval(math.nan, math.nan, math.nan, 0)
    rank = max(1, math.ceil(probability * n - 1e-9))
    padded = np.concatenate(([-math.inf], ordered, [math.inf]))
    return Interval(float(ordered[rank - 1]), float(padded[low]), float(padded[high + 1]), n)


def checked_percents(percents: Iterable[float]) -> list[float]:
    """Return the percentages of which quantiles are asked for, each between 0 and 100.

    Raises:
        ConfigError: one is not.
    """
    given = list(percents)
    for percent in given:
        if not 0 < percent < 100:
            raise ConfigError(f"percents: each lies between 0 and 100, such as 95; not {percent!r}")
    return given
